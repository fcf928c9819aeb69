//! How the program ends: its exit status, and the line that it writes to standard error. `--help` lists the statuses.

use webclient::http_core::redirect::RedirectError;
use webclient::{Error, HttpUrl, Response, UrlError};

/// The end of a run.
pub(crate) struct Outcome {
    pub(crate) exit_status: u8,
    pub(crate) message: Option<String>,
}

impl Outcome {
    /// After a complete response: 0, or the class of its status.
    pub(crate) fn of_response(response: &Response) -> Outcome {
        let (head, host) = (response.head(), response.url().authority());
        let exit_status = match head.status.class() {
            3 if response.redirect_error() == Some(RedirectError::TooMany) => 47,
            2 => return Outcome { exit_status: 0, message: None },
            class @ (3 | 4) => class as u8,
            _ => 5, // RFC 9110 §15: a class that does not exist counts as 5xx
        };
        let (code, reason) = (head.status.code(), head.reason.escape_ascii());
        let space = if head.reason.is_empty() { "" } else { " " };
        // Servers and proxies that require HTTP/1.1 respond with one of these.
        let hint = match response.redirect_error() {
            Some(RedirectError::Location(UrlError::Https)) => {
                ": it redirects to https, which is not supported (put a TLS proxy such as stunnel in front)".into()
            }
            Some(error) => format!(": {error}"),
            None if matches!(code, 426 | 505) => ": it refuses HTTP/1.0".into(),
            None => String::new(),
        };
        let message = format!("{} responded with {code}{space}{reason}{hint}", host.as_str());
        Outcome { exit_status, message: Some(message) }
    }

    pub(crate) fn of_error(error: &Error, url: &str) -> Outcome {
        let exit_status = match error {
            Error::Url(_) | Error::Request(_) | Error::Header { .. } => 2,
            Error::Resolve { .. } => 6,
            Error::Connect { .. } => 7,
            Error::InvalidResponse(source) if !source.is_truncated() => 8,
            Error::Write(_) => 23,
            Error::TimedOut { .. } => 28,
            _ => 18, // cut short or lost
        };
        let message = match error {
            Error::InvalidResponse(_) | Error::ConnectionLost { .. } => {
                let url = HttpUrl::parse(url);
                format!("{}: {error}", url.as_ref().map_or("", |url| url.authority().as_str()))
            }
            Error::Url(UrlError::Https) => {
                "https is not supported (put a TLS proxy such as stunnel in front, and fetch http from it)".into()
            }
            _ => error.to_string(),
        };
        Outcome { exit_status, message: (!error.is_broken_pipe()).then_some(message) }
    }
}
