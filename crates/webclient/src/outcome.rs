//! How the program ends: its exit status, and the line that it writes to standard error. `help.rs` lists the statuses.

use std::fmt::Display;
use std::io;

use webclient::http_core::header;
use webclient::http_core::redirect::RedirectError;
use webclient::{Error, Response, UrlError};

use crate::terminal::escaped;

/// What to do about https.
const IN_FRONT: &str = "https is not supported: run a TLS proxy such as socat in front, and fetch http:// from it";

/// The end of a run, or of one URL.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit_status: u8,
    pub(crate) message: Option<String>,
}

impl Outcome {
    /// After wrong usage.
    pub(crate) fn of_usage(message: impl Display) -> Outcome {
        Outcome { exit_status: 2, message: Some(message.to_string()) }
    }

    /// After the program wrote a text of its own.
    pub(crate) fn of_text(written: io::Result<()>) -> Outcome {
        match written {
            Ok(()) => Outcome { exit_status: 0, message: None },
            Err(error) => Outcome::of_error(&Error::Write(error), ""),
        }
    }

    /// After a complete response: 0, or the class of its status. A part of a body that was not asked for is no success.
    pub(crate) fn of_response(response: &Response, asked_for_part: bool) -> Outcome {
        let head = response.head();
        let exit_status = match head.status.class() {
            2 if head.status.code() == 206 && !asked_for_part => {
                let message = format!("{}: the server sent a part unasked", response.url());
                return Outcome { exit_status: 8, message: Some(message) };
            }
            2 => return Outcome { exit_status: 0, message: None },
            3 if response.redirect_error() == Some(RedirectError::TooMany) => 47,
            class @ (3 | 4) => class as u8,
            _ => 5, // RFC 9110 §15: a class that does not exist counts as 5xx
        };
        let (code, reason) = (head.status.code(), head.reason.escape_ascii());
        let space = if head.reason.is_empty() { "" } else { " " };
        let hint = match code {
            426 | 505 => ": it refuses HTTP/1.0 (Envoy does by default: see its accept_http_10)".into(),
            300..400 => redirect(response),
            _ => String::new(),
        };
        let message = format!("{}: the server responded with {code}{space}{reason}{hint}", response.url());
        Outcome { exit_status, message: Some(message) }
    }

    pub(crate) fn of_error(error: &Error, url: &str) -> Outcome {
        let exit_status = match error {
            Error::Url(_) | Error::Request(_) | Error::Header { .. } | Error::RequestBody(_) => 2,
            Error::Resolve { .. } => 6,
            Error::Connect { .. } => 7,
            Error::InvalidResponse(source) if !source.is_truncated() => 8,
            Error::Write(source) if source.kind() != io::ErrorKind::TimedOut => 23,
            Error::Write(_) | Error::TimedOut { .. } => 28,
            _ => 18, // cut short or lost
        };
        let url = without_password(url);
        let message = match error {
            Error::Url(UrlError::Https) => format!("{url}: {IN_FRONT}"),
            Error::Url(_) if url.contains("…@") => format!("{url}: {error} (see --user)"),
            Error::Write(source) if url.is_empty() => format!("cannot write to standard output: {source}"),
            error => format!("{url}: {error}"),
        };
        Outcome { exit_status, message: (!error.is_broken_pipe()).then_some(message) }
    }
}

/// Where a redirect leads, and why it was not followed.
fn redirect(response: &Response) -> String {
    let Some(location) = response.header(header::LOCATION) else {
        return response.redirect_error().map_or(String::new(), |error| format!(": {error}"));
    };
    let is_https = location.as_bytes().get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https:"));
    let why = match response.redirect_error() {
        _ if is_https => format!(": {IN_FRONT}"),
        Some(error) => format!(": {error}"),
        None if matches!(response.status().code(), 301..=303 | 307 | 308) => " (see --location)".into(),
        None => String::new(),
    };
    format!(" to {}{why}", without_password(&escaped(location.as_bytes())))
}

/// A URL without the user and password before its host, because people show messages to others. No URL with these is
/// requested.
pub(crate) fn without_password(url: &str) -> String {
    let shown = || {
        let start = match url.find("://") {
            Some(scheme) => scheme + 3,
            None if url.starts_with("//") => 2,
            None => 0,
        };
        let length = url[start..].find(['/', '?', '#']).unwrap_or(url.len() - start);
        let at = url[start..start + length].rfind('@')?;
        Some(format!("{}…{}", &url[..start], &url[start + at..]))
    };
    shown().unwrap_or_else(|| url.to_owned())
}
