//! Saves a body to a file: what `-o`, `-O` and `-C` do. What is incomplete lies in `FILE.part`, and goes on there after
//! `--retry` and `-C`.

mod part;
mod record;
#[cfg_attr(windows, path = "windows.rs")]
#[cfg_attr(not(windows), path = "unix.rs")]
mod system;
mod target;
#[cfg(any(windows, test))]
mod windows_names;

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use webclient::http_core::ResponseError;
use webclient::{Error, RequestBuilder, Response, Url};

use crate::cli::Cli;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::show::{show_body, show_head};
use crate::stdio::Stdout;
use crate::terminal::one_line;
use part::{Part, named};
use record::{Answer, Record};
use target::Target;

/// Fetches a URL into a file, and says how that ended. Only the body of a 2xx response is saved. `request` is called
/// again for each further request that it takes.
pub(crate) fn save<'a>(cli: &Cli, url: &str, request: impl Fn() -> Result<RequestBuilder<'a>, Error>) -> Outcome {
    match target(cli, url) {
        Ok(Target::InPlace(path)) if cli.resume => {
            let message = format!("{}: --continue needs a regular file", path.display());
            Outcome::of_usage(one_line(&message))
        }
        Ok(Target::InPlace(path)) => {
            write_in_place(cli, &path, &request).unwrap_or_else(|error| Outcome::of_error(&error, url))
        }
        Ok(Target::File { path, must_be_new }) => download(cli, url, path, must_be_new, &request),
        Err(error) => Outcome::of_error(&error, url),
    }
}

fn target(cli: &Cli, url: &str) -> Result<Target, Error> {
    let url = Url::parse(url)?;
    let target = match &cli.output {
        Some(path) => Target::of_output(path),
        None => Target::of_url(url.as_http(), cli.force),
    };
    target.map_err(Error::Write)
}

/// Writes the body to what cannot be renamed and has no part to go on from.
fn write_in_place<'a>(
    cli: &Cli,
    path: &Path,
    request: impl Fn() -> Result<RequestBuilder<'a>, Error>,
) -> Result<Outcome, Error> {
    // A file behind a descriptor has bytes already; a disk has no end to append to.
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
    let opened = OpenOptions::new().write(true).append(is_file).open(path);
    let mut file = opened.map_err(|error| Error::Write(named(path, &error)))?;
    let mut response = request()?.send()?;
    if cli.include {
        show_head(cli, &response, Stdout::until(None))?;
    }
    if response.status().class() == 2 {
        let is_terminal = file.is_terminal();
        show_body(cli, &mut response, &mut file, is_terminal)?;
    }
    Ok(Outcome::of_response(&response, cli.has_range()))
}

fn download<'a>(
    cli: &Cli,
    url: &str,
    path: PathBuf,
    must_be_new: bool,
    request: impl Fn() -> Result<RequestBuilder<'a>, Error>,
) -> Outcome {
    let part = match Part::open(path, must_be_new) {
        Ok(part) => part,
        Err(error) => return Outcome::of_error(&Error::Write(error), url),
    };
    let mut download = Download { cli, url: one_line(url), part, rest: None };
    match download.run(request) {
        Ok(End::Saved) => match download.part.finish() {
            Ok(()) => Outcome { exit_status: 0, message: None },
            Err(error) => Outcome::of_error(&Error::Write(error), url),
        },
        Ok(End::NotSaved(outcome)) => outcome,
        Err(error) => {
            let Outcome { exit_status, message } = Outcome::of_error(&error, url);
            Outcome { exit_status, message: message.map(|message| message + &one_line(&download.what_is_left())) }
        }
    }
}

/// A download of a URL to a file.
struct Download<'a> {
    cli: &'a Cli,
    /// As it was typed: it may have a zone, which no other form has.
    url: String,
    part: Part,
    /// What to ask for: what follows the bytes in the part. `None`: everything.
    rest: Option<Record>,
}

enum End {
    /// The part is complete.
    Saved,
    /// The response has no body to save, or breaks the rules.
    NotSaved(Outcome),
}

impl Download<'_> {
    fn run<'a>(&mut self, request: impl Fn() -> Result<RequestBuilder<'a>, Error>) -> Result<End, Error> {
        if self.cli.resume {
            self.part.read_record();
            self.go_on();
        }
        let mut earlier = None;
        loop {
            let mut next = request()?;
            if let Some(earlier) = earlier.take() {
                next = next.repeats(earlier);
            }
            if let Some(record) = &self.rest {
                next = record.ask_for_rest(next, self.part.length());
            }
            let mut response = next.send()?;
            if self.cli.include {
                show_head(self.cli, &response, Stdout::until(None))?;
            }
            let complete = match self.judge(&response) {
                Answer::Whole => {
                    self.start(&response).map_err(Error::Write)?;
                    None
                }
                Answer::Rest { end, complete } => {
                    self.part.go_on(end).map_err(Error::Write)?;
                    Some(complete)
                }
                Answer::Complete => return Ok(End::Saved),
                Answer::Other => return Ok(End::NotSaved(Outcome::of_response(&response, true))),
                Answer::Unusable(_) if self.rest.is_none() => {
                    return Ok(End::NotSaved(Outcome::of_response(&response, false)));
                }
                Answer::Unusable(why) => {
                    self.start_again(why);
                    earlier = Some(response);
                    continue;
                }
            };
            match self.receive(&mut response, complete) {
                Ok(_) if complete.is_none_or(|complete| complete == self.part.length()) => return Ok(End::Saved),
                Ok(0) => return Err(ResponseError::BodyTruncated.into()),
                Ok(_) => {} // RFC 9110 §15.3.7: a server may send less than was asked for
                Err(Error::Write(error)) if error.kind() == ErrorKind::InvalidData => {
                    return Ok(self.invalid("the response is longer than its Content-Range says"));
                }
                Err(error) if response.wait_for_retry(&error) => self.go_on(),
                Err(error) => return Err(error),
            }
            earlier = Some(response);
        }
    }

    /// Decides whether the next request asks for the rest only.
    fn go_on(&mut self) {
        let (length, record) = (self.part.length(), self.part.record());
        self.rest = None;
        match record.map(|record| record.obstacle(&self.url, length)) {
            _ if length == 0 => {}
            None => self.start_again("nothing is known about it"),
            Some(Some(why)) => self.start_again(why),
            Some(None) => self.rest = record.cloned(),
        }
    }

    fn start_again(&mut self, why: &str) {
        self.rest = None;
        let message = format!("{}: {why}: starting again", self.part.path().display());
        let _ = writeln!(io::stderr(), "webclient: {}", one_line(&message));
    }

    fn judge(&self, response: &Response) -> Answer {
        let head = response.head();
        match &self.rest {
            Some(record) => record.judge(response.url().as_str(), head, self.part.length()),
            None if head.status.code() == 206 && !self.cli.has_range() => Answer::Unusable("it was not asked for"),
            None if head.status.class() == 2 => Answer::Whole,
            None => Answer::Other,
        }
    }

    /// Prepares for the complete body.
    fn start(&mut self, response: &Response) -> io::Result<()> {
        if self.rest.is_some() {
            self.start_again("the server sent the complete file");
        }
        let can_go_on = response.status().code() == 200 && self.cli.can_resume();
        self.part.start(can_go_on.then(|| Record::new(&self.url, response)))
    }

    fn receive(&mut self, response: &mut Response, complete: Option<u64>) -> Result<u64, Error> {
        let total = complete.or(response.head().content_length);
        let name = self.part.path().with_extension("");
        let progress = Progress::new(&one_line(&name.display().to_string()), self.part.length(), total);
        response.copy_to(&mut Watched { part: &mut self.part, progress })
    }

    fn invalid(&self, why: &str) -> End {
        End::NotSaved(Outcome { exit_status: 8, message: Some(format!("{}: {why}", self.url)) })
    }

    /// What a failure leaves, for its message.
    fn what_is_left(&self) -> String {
        let (length, path) = (self.part.length(), self.part.path().display());
        match self.part.record() {
            _ if length == 0 => String::new(),
            Some(record) if self.part.is_recorded() && record.obstacle(&self.url, length).is_none() => {
                format!("; {path} has {length} bytes (--continue goes on)")
            }
            _ => format!("; {path} has {length} bytes"),
        }
    }
}

/// Writes to the part, and shows how far it has come.
struct Watched<'a> {
    part: &'a mut Part,
    progress: Progress,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.part.write(bytes)?;
        self.progress.advance(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
