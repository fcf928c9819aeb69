//! What the program does, in order.

use std::io::{self, IsTerminal as _, Write};

use webclient::{Client, Error, Response};

use crate::cli::Cli;
use crate::outcome::Outcome;
use crate::terminal::EscapingWriter;

/// Fetches each URL over one client, and says how each ended.
pub(crate) fn run(cli: &Cli) -> impl Iterator<Item = Outcome> {
    let client = cli.client();
    cli.urls().map(move |url| match fetch(cli, &client, &url) {
        Ok(response) => Outcome::of_response(&response),
        Err(error) => Outcome::of_error(&error, &url),
    })
}

fn fetch(cli: &Cli, client: &Client, url: &str) -> Result<Response, Error> {
    let mut response = cli.request(client, url).send()?;
    let stdout = io::stdout().lock();
    if stdout.is_terminal() && !cli.raw {
        let mut terminal = EscapingWriter::new(stdout);
        let result = write(cli, &mut response, &mut terminal);
        terminal.finish().map_err(Error::Write).and(result)?;
    } else {
        write(cli, &mut response, stdout)?;
    }
    Ok(response)
}

fn write(cli: &Cli, response: &mut Response, mut out: impl Write) -> Result<(), Error> {
    if cli.include || cli.head {
        out.write_all(&response.head().bytes).and_then(|()| out.flush()).map_err(Error::Write)?;
    }
    response.copy_to(&mut out).map(drop)
}
