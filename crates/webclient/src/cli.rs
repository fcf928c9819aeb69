//! The command line, parsed and checked.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};
use clap_complete::Shell;
use webclient::http_core::{FieldName, FieldValue, Method};
use webclient::{Client, Family, HttpUrl, RequestBuilder, TcpConnector, Timeouts, UrlError};

/// The end of the help.
const EXIT_STATUSES: &str = "\
Exit status: 0 a 2xx response; 2 wrong usage; 3, 4, 5 a 3xx, 4xx or 5xx response; 6 name not resolved; 7 not connected; \
8 not HTTP, or malformed; 18 cut short; 23 output not written; 28 timeout; 47 too many redirects. With several URLs, that \
of the first failure.";

/// Fetches files over HTTP/1.0, and shows the exchange.
///
/// HOST PORT FILE writes the response as received: the head, then the body. URLs write their bodies only.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_STATUSES, disable_help_flag = true, disable_version_flag = true)]
#[command(override_usage = "webclient [OPTIONS] <URL>...\n       webclient [OPTIONS] <HOST> <PORT> <FILE>")]
pub(crate) struct Cli {
    /// URLs such as http://localhost:6789/HelloWorld.html, or a server's name, its port, and a path
    #[arg(value_name = "URL", required_unless_present_any = ["man", "completions"])]
    arguments: Vec<OsString>,

    /// Write the head, too
    #[arg(short, long, help_heading = SHOWING)]
    pub(crate) include: bool,

    /// Request the head only, by HEAD, and write it
    #[arg(short = 'I', long, help_heading = SHOWING, conflicts_with_all = ["method", "data"])]
    pub(crate) head: bool,

    /// Show the exchange on standard error: > sent, < received, * why
    #[arg(short, long, help_heading = SHOWING)]
    pub(crate) verbose: bool,

    /// Write every byte to a terminal unchanged
    ///
    /// By default, control characters are shown as escapes, and a body with a NUL byte is not shown. Files and pipes always
    /// get every byte unchanged.
    #[arg(long, help_heading = SHOWING)]
    pub(crate) raw: bool,

    /// Write the body to this file
    ///
    /// It is written to FILE.part, and renamed when it is complete. An existing file is replaced.
    #[arg(short, long, value_name = "FILE", help_heading = SAVING, conflicts_with = "remote_name")]
    pub(crate) output: Option<PathBuf>,

    /// Write each body to a file named like the end of its URL
    ///
    /// An existing file is replaced with --force only.
    #[arg(short = 'O', long, help_heading = SAVING)]
    pub(crate) remote_name: bool,

    /// Continue an interrupted download
    ///
    /// It goes on from FILE.part if the server still has the same version of the file. Otherwise it starts again.
    #[arg(short = 'C', long = "continue", help_heading = SAVING)]
    pub(crate) resume: bool,

    /// Let -O replace an existing file
    #[arg(long, help_heading = SAVING, requires = "remote_name")]
    pub(crate) force: bool,

    /// Request method [default: GET, or POST with --data]
    #[arg(short = 'X', long, value_name = "METHOD", help_heading = SENDING, value_parser = method)]
    pub(crate) method: Option<String>,

    /// Header to send; repeatable
    ///
    /// It replaces one that is sent by default (Accept, User-Agent, Content-Type). `NAME:` sends none.
    #[arg(short = 'H', long, value_name = "NAME: VALUE", help_heading = SENDING, value_parser = header)]
    pub(crate) header: Vec<(String, Option<String>)>,

    /// Body to send: text, @FILE, or - for standard input
    ///
    /// Content-Type is application/x-www-form-urlencoded for a text and application/octet-stream for a file or standard
    /// input, unless --header sets another.
    #[arg(short, long, value_name = "DATA", help_heading = SENDING)]
    pub(crate) data: Option<OsString>,

    /// User name for Basic authentication
    ///
    /// The password is asked for on the terminal, or read from --password-file.
    #[arg(short, long, value_name = "NAME", help_heading = SENDING, value_parser = user)]
    pub(crate) user: Option<String>,

    /// File whose first line is the password
    #[arg(long, value_name = "FILE", help_heading = SENDING, requires = "user")]
    pub(crate) password_file: Option<PathBuf>,

    /// Follow redirects, at most 5
    #[arg(short = 'L', long, help_heading = EXCHANGE)]
    pub(crate) location: bool,

    /// Repeat up to N times what failed and may be repeated
    ///
    /// GET, HEAD, PUT, DELETE, OPTIONS and TRACE, after 1, 2, 4 s and so on or as Retry-After says: if there is no
    /// connection, at a timeout, if the response is cut short, and for the statuses 408, 429, 502, 503 and 504. With -o or
    /// -O, what was received is kept and only the rest is requested.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = EXCHANGE)]
    pub(crate) retry: u32,

    /// Longest wait for a connection
    #[arg(long, value_name = "SECONDS", default_value = "10", help_heading = EXCHANGE, value_parser = seconds)]
    connect_timeout: Duration,

    /// Longest wait for each next byte
    #[arg(long, value_name = "SECONDS", default_value = "30", help_heading = EXCHANGE, value_parser = seconds)]
    idle_timeout: Duration,

    /// Longest time for each URL, from the name lookup to the last byte [default: none]
    #[arg(long, value_name = "SECONDS", help_heading = EXCHANGE, value_parser = seconds)]
    max_time: Option<Duration>,

    /// Connect over IPv4 only
    #[arg(short = '4', long, help_heading = EXCHANGE, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Connect over IPv6 only
    #[arg(short = '6', long, help_heading = EXCHANGE)]
    ipv6: bool,

    /// Use this address for a host and port; repeatable
    #[arg(long, value_name = "HOST:PORT:IP", help_heading = EXCHANGE, value_parser = resolution)]
    resolve: Vec<(String, u16, IpAddr)>,

    /// Send requests to this proxy; proxy variables of the environment are ignored
    #[arg(long, value_name = "URL", help_heading = EXCHANGE, value_parser = proxy)]
    proxy: Option<HttpUrl>,

    /// Accept HTTP/0.9 responses: bytes without a head
    #[arg(long = "http0.9", help_heading = EXCHANGE)]
    http09: bool,

    /// Print the completions of a shell
    #[arg(long, value_name = "SHELL", help_heading = META)]
    pub(crate) completions: Option<Shell>,

    /// Print the man page
    #[arg(long, help_heading = META)]
    pub(crate) man: bool,

    /// Print help: -h a summary, --help everything
    #[arg(short, long, help_heading = META, action = clap::ArgAction::Help)]
    help: Option<bool>,

    /// Print the version
    #[arg(short = 'V', long, help_heading = META, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

const SHOWING: &str = "Showing";
const SAVING: &str = "Saving";
const SENDING: &str = "Sending";
const EXCHANGE: &str = "Exchange";
const META: &str = "Meta";

impl Cli {
    /// Reads the command line. It ends the program after `--help` and after an error.
    pub(crate) fn read() -> Cli {
        let mut cli = Cli::parse();
        if let Err((kind, message)) = cli.check() {
            Cli::command().error(kind, message).exit();
        }
        cli
    }

    /// Turns HOST PORT FILE into a URL, and checks what clap cannot.
    fn check(&mut self) -> Result<(), (ErrorKind, String)> {
        let is_url = |argument: &OsString| argument.to_string_lossy().contains("://");
        let invalid = |message: String| (ErrorKind::ValueValidation, message);
        match &self.arguments[..] {
            [host, port, file] if !is_url(host) => {
                let (host, port) = (
                    host.to_string_lossy(),
                    self::port(&port.to_string_lossy()).map_err(|error| invalid(error.into()))?,
                );
                let url = HttpUrl::from_parts(&host, port, file.as_encoded_bytes()).map_err(|error| {
                    invalid(match error {
                        UrlError::Authority => "the host is neither a name nor an IP address".into(),
                        error => error.to_string(),
                    })
                })?;
                self.include = true;
                self.arguments = vec![url.as_str().into()];
            }
            arguments if arguments.iter().all(is_url) => {}
            [_] => {
                return Err((
                    ErrorKind::MissingRequiredArgument,
                    "<PORT> and <FILE> are missing (a URL begins with http://)".into(),
                ));
            }
            [_, _] => {
                return Err((
                    ErrorKind::MissingRequiredArgument,
                    "<FILE> is missing (a URL begins with http://)".into(),
                ));
            }
            _ => {
                return Err((
                    ErrorKind::TooManyValues,
                    "expected URLs only, or HOST PORT FILE (a URL begins with http://)".into(),
                ));
            }
        }
        if self.output.is_some() && self.arguments.len() > 1 {
            return Err((ErrorKind::ArgumentConflict, "--output takes one URL (use --remote-name for several)".into()));
        }
        Ok(())
    }

    pub(crate) fn urls(&self) -> impl Iterator<Item = String> {
        self.arguments.iter().map(|url| url.to_string_lossy().into_owned())
    }

    /// The client for all URLs.
    pub(crate) fn client(&self) -> Client {
        let mut connector = TcpConnector::new();
        for (host, port, address) in &self.resolve {
            connector = connector.resolve(host, *port, *address);
        }
        if self.ipv4 || self.ipv6 {
            connector = connector.only(if self.ipv4 { Family::V4 } else { Family::V6 });
        }
        let timeouts = Timeouts { connect: self.connect_timeout, idle: self.idle_timeout, total: self.max_time };
        let client = Client::new().connector(connector).timeouts(timeouts).allow_http09(self.http09);
        let client = client.follow_redirects(self.location).retries(self.retry);
        match &self.proxy {
            Some(proxy) => client.proxy(proxy.clone()),
            None => client,
        }
    }

    /// Whether another URL follows this one.
    fn is_last(&self, url: &str) -> bool {
        self.arguments.last().is_some_and(|last| last == url)
    }

    /// A request for a URL, without a body and credentials.
    pub(crate) fn request<'a>(&'a self, client: &'a Client, url: &str) -> RequestBuilder<'a> {
        let default = match (self.head, &self.data) {
            (true, _) => Method::Head,
            (false, Some(_)) => Method::Post,
            (false, None) => Method::Get,
        };
        let method = self.method.as_ref().and_then(|method| Method::new(method.as_bytes()).ok()).unwrap_or(default);
        let mut request = client.request(method, url);
        if self.is_last(url) && !self.location {
            request = request.close();
        }
        for (name, value) in &self.header {
            request = match value {
                Some(value) => request.header(name, value),
                None => request,
            };
        }
        request
    }
}

fn method(text: &str) -> Result<String, String> {
    let method = Method::new(text.as_bytes()).map_err(|error| error.to_string())?;
    if method == Method::Connect {
        Err("CONNECT makes a tunnel, which is not supported".into())
    } else {
        Ok(text.into())
    }
}

fn header(text: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
    FieldName::new(name.as_bytes()).map_err(|error| error.to_string())?;
    let value = value.trim_matches([' ', '\t']);
    FieldValue::new(value.as_bytes()).map_err(|error| error.to_string())?;
    Ok((name.into(), (!value.is_empty()).then(|| value.into())))
}

fn user(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("expected a user name"),
        _ if text.contains(':') => Err(
            "expected a name alone: a password on the command line is visible to other users (it is asked for, or see --password-file)",
        ),
        _ if text.contains(char::is_control) => Err("expected a name without control characters"),
        _ => Ok(text.into()),
    }
}

fn resolution(text: &str) -> Result<(String, u16, IpAddr), &'static str> {
    let parse = || {
        let (host, rest) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once("]:")?,
            None => text.split_once(':')?,
        };
        let (port, address) = rest.split_once(':')?;
        let address = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        Some((host.to_owned(), self::port(port).ok()?, address))
    };
    parse().ok_or("expected HOST:PORT:IP, such as localhost:80:127.0.0.1")
}

fn proxy(text: &str) -> Result<HttpUrl, String> {
    let text = if text.contains("://") { text.into() } else { format!("http://{text}") };
    HttpUrl::parse(&text).map_err(|error| error.to_string())
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
