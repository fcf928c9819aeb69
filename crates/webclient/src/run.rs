//! What the program does, in order.

use std::io::{ErrorKind, Write as _};
use std::time::Instant;

use webclient::{Client, Error, RequestBuilder, Response, Url, UrlError};

use crate::cli::Cli;
use crate::data::Data;
use crate::outcome::Outcome;
use crate::save::save;
use crate::show::show;
use crate::stdio::Stdout;
use crate::{help, password, trace};

/// Does what the command line asks for, and reports how each step ended.
pub(crate) fn run(mut report: impl FnMut(Outcome)) {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return report(help::answer(&error)),
    };
    if let Some(text) = help::requested(&cli) {
        return report(Outcome::of_text(Stdout::until(None).write_all(&text)));
    }
    let urls = cli.urls();
    if let Some(url) = urls.iter().find(|url| Url::parse(url) == Err(UrlError::Https)) {
        return report(Outcome::of_error(&Error::Url(UrlError::Https), url)); // before anything is fetched
    }
    let prepared = match Prepared::new(&cli) {
        Ok(prepared) => prepared,
        Err(message) => return report(Outcome::of_usage(message)),
    };
    for (index, url) in urls.iter().enumerate() {
        let is_last = index + 1 == urls.len();
        if cli.saves() {
            report(save(&cli, url, || prepared.request(&cli, url, is_last)));
            continue;
        }
        match prepared.fetch(&cli, url, is_last) {
            Ok(response) => report(Outcome::of_response(&response, cli.has_range())),
            Err(error) => {
                report(Outcome::of_error(&error, url));
                if is_output_lost(&error) {
                    break;
                }
            }
        }
    }
}

/// Whether no other URL could be shown either. A binary body says nothing about the next, and each has its own time.
fn is_output_lost(error: &Error) -> bool {
    matches!(error, Error::Write(error) if !matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::TimedOut))
}

/// What all requests share.
struct Prepared {
    client: Client,
    data: Option<Data>,
    password: Option<Vec<u8>>,
}

impl Prepared {
    fn new(cli: &Cli) -> Result<Prepared, String> {
        let client = if cli.verbose { trace::follow(cli.client(), cli.raw) } else { cli.client() };
        let data = cli.data.as_deref().map(Data::read).transpose()?;
        let password = match (&cli.user, &cli.password_file) {
            (None, _) => None,
            (Some(_), Some(path)) => Some(password::read(path)?),
            (Some(user), None) => Some(password::ask(user)?),
        };
        Ok(Prepared { client, data, password })
    }

    fn fetch(&self, cli: &Cli, url: &str, is_last: bool) -> Result<Response, Error> {
        let out = Stdout::until(cli.max_time.and_then(|time| Instant::now().checked_add(time)));
        let mut response = self.request(cli, url, is_last)?.send()?;
        show(cli, &mut response, out)?;
        Ok(response)
    }

    fn request<'a>(&'a self, cli: &'a Cli, url: &str, is_last: bool) -> Result<RequestBuilder<'a>, Error> {
        let mut request = cli.request(&self.client, url, is_last);
        if let Some(data) = &self.data {
            request = request.body(data.body().map_err(Error::RequestBody)?);
        }
        if let (Some(user), Some(password)) = (&cli.user, &self.password) {
            request = request.basic_auth(user, password);
        }
        Ok(request)
    }
}
