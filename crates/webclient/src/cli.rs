//! Parses the command line into one value.

use std::ffi::OsString;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};
use webclient::{HttpUrl, Timeouts, UrlError};

/// The parsed command line.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) url: HttpUrl,
    /// Writes the head before the body.
    pub(crate) shows_head: bool,
    pub(crate) timeouts: Timeouts,
}

/// Fetches a file over HTTP/1.0 and writes it to standard output.
///
/// HOST PORT FILE writes the complete response as received: the head, then the body. A URL writes the body only.
#[derive(Debug, Parser)]
#[command(
    version,
    override_usage = "webclient [OPTIONS] <HOST> <PORT> <FILE>\n       webclient [OPTIONS] <URL>",
    after_help = "Exit status: 0 ok; 2 usage; 3, 4, 5 a 3xx, 4xx or 5xx response; 6 name not resolved; \
                  7 not connected; 8 not HTTP, or malformed; 18 cut short; 23 cannot write; 28 timeout"
)]
struct Arguments {
    /// Server name or address, or a URL such as http://localhost:6789/HelloWorld.html
    #[arg(value_name = "HOST|URL")]
    host: String,
    /// Server port, 1 to 65535
    port: Option<String>,
    /// Path to fetch; the leading "/" is optional
    file: Option<OsString>,
    /// Longest wait for a connection, and for each next byte [default: 10 and 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
}

impl Options {
    /// Reads the command line. It ends the program after `--help` and after an error that clap finds.
    pub(crate) fn read() -> Result<Options, String> {
        let arguments = Arguments::parse();
        let timeouts =
            arguments.timeout.map_or_else(Timeouts::default, |limit| Timeouts { connect: limit, idle: limit });
        let missing = |what: &str| Arguments::command().error(ErrorKind::MissingRequiredArgument, what).exit();
        Ok(match (arguments.port, arguments.file) {
            (None, _) if arguments.host.contains("://") => Options {
                url: HttpUrl::parse(&arguments.host).map_err(|error| error.to_string())?,
                shows_head: false,
                timeouts,
            },
            (Some(_), _) if arguments.host.contains("://") => Arguments::command()
                .error(ErrorKind::TooManyValues, "a URL takes no PORT and FILE: it contains them")
                .exit(),
            (None, _) => missing("<PORT> and <FILE> are missing (a URL begins with http://)"),
            (Some(_), None) => missing("<FILE> is missing"),
            (Some(port), Some(file)) => {
                let url = HttpUrl::from_parts(&arguments.host, self::port(&port)?, file.as_encoded_bytes());
                let url = url.map_err(|error| match error {
                    UrlError::Authority => "the host is neither a name nor an IP address".into(),
                    error => error.to_string(),
                })?;
                Options { url, shows_head: true, timeouts }
            }
        })
    }
}

/// Digits only: no sign, no spaces.
fn port(text: &str) -> Result<u16, &'static str> {
    let digits = text.bytes().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|&port| digits && port > 0).ok_or("expected a port from 1 to 65535, in digits alone")
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|limit| *limit >= Duration::from_millis(1)).ok_or("expected a number of seconds, 0.001 or more")
}
