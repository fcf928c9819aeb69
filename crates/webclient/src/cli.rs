//! The command line, parsed and checked.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser};
use clap_complete::Shell;
use webclient::http_core::client::Leniency;
use webclient::http_core::{FieldBlock, FieldName, FieldValue, Method, header};
use webclient::{Client, Family, RequestBuilder, TcpConnector, Timeouts, Url};

use crate::data::Data;
use crate::help;
use crate::outcome::without_password;

/// Fetches files over HTTP/1.0, and shows what really happened.
///
/// `webclient URL` writes the body of the response to standard output. `webclient HOST PORT FILE` writes the response as it
/// was received: the head, then the body. Several URLs are fetched in turn, those of one server over one connection if the
/// server keeps it open. A body that does not arrive whole is an error, and so is a status other than 2xx.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = "--help shows examples and exit statuses.", after_long_help = help::end(), disable_help_flag = true, disable_version_flag = true)]
#[command(override_usage = "webclient [OPTIONS] <URL>...\n       webclient [OPTIONS] <HOST> <PORT> <FILE>")]
pub(crate) struct Cli {
    /// URL such as http://localhost:6789/HelloWorld.html; or three arguments: a host, its port, and a file
    ///
    /// https:// is not supported: run a TLS proxy such as socat in front.
    #[arg(value_name = "URL", required_unless_present_any = ["man", "completions"])]
    arguments: Vec<OsString>,

    /// They were a host, a port and a file, which is sent with its dots.
    #[arg(skip)]
    is_file: bool,

    /// Write the head of the response, too
    #[arg(short, long, help_heading = SHOWING)]
    pub(crate) include: bool,

    /// Request the head only, by HEAD, and write it
    #[arg(short = 'I', long, help_heading = SHOWING, conflicts_with_all = ["method", "data", "output", "remote_name"])]
    pub(crate) head: bool,

    /// Show the exchange on standard error: > sent, < received, * explained
    ///
    /// The explanations are which addresses are tried, how the end of the body is found, and why the connection is kept or
    /// not. Credentials are not shown.
    #[arg(short, long, help_heading = SHOWING)]
    pub(crate) verbose: bool,

    /// Write every byte to a terminal unchanged
    ///
    /// Without it, control characters are written as escapes such as \x1b, so that a server cannot send commands to the
    /// terminal, and a body with a NUL byte near its start is not shown at all. Files and pipes get every byte unchanged.
    #[arg(long, help_heading = SHOWING)]
    pub(crate) raw: bool,

    /// Write the body to this file
    ///
    /// It is written to FILE.part, and renamed when it is complete. An existing file is replaced. Only the body of a 2xx
    /// response is saved; the head of --include goes to standard output. `-` is standard output.
    #[arg(short, long, value_name = "FILE", help_heading = SAVING, group = "file")]
    pub(crate) output: Option<PathBuf>,

    /// Write each body to a file named like the end of its URL
    ///
    /// An existing file is replaced with --force only.
    #[arg(short = 'O', long, help_heading = SAVING, group = "file")]
    pub(crate) remote_name: bool,

    /// Continue an interrupted download
    ///
    /// It goes on from FILE.part if the server still has the same version of the file. Otherwise it starts again, and says
    /// why.
    #[arg(short = 'C', long = "continue", help_heading = SAVING, requires = "file")]
    pub(crate) resume: bool,

    /// Let -O replace an existing file
    #[arg(long, help_heading = SAVING, requires = "remote_name")]
    pub(crate) force: bool,

    /// Request method [default: GET, or POST with --data]
    #[arg(short = 'X', long, value_name = "METHOD", help_heading = SENDING, value_parser = method)]
    pub(crate) method: Option<String>,

    /// Header to send; repeatable
    ///
    /// It replaces one that is sent by default: Accept, User-Agent, or Content-Type. `NAME:` without a value only leaves
    /// that one out.
    #[arg(short = 'H', long, value_name = "NAME: VALUE", help_heading = SENDING, value_parser = header_line)]
    pub(crate) header: Vec<(String, Option<String>)>,

    /// Body to send: a text, @FILE, or - for standard input
    ///
    /// The default Content-Type is application/x-www-form-urlencoded for a text, and application/octet-stream for a file or
    /// standard input. Files are sent as they are read; a pipe is read to its end first, as HTTP/1.0 sends the length first.
    #[arg(short, long, value_name = "DATA", help_heading = SENDING)]
    pub(crate) data: Option<OsString>,

    /// User name for Basic authentication
    ///
    /// The password is asked for on the terminal, or read from --password-file. Everyone on the way can read both.
    #[arg(short, long, value_name = "NAME", help_heading = SENDING, value_parser = user)]
    pub(crate) user: Option<String>,

    /// File with the password as its first line
    #[arg(long, value_name = "FILE", help_heading = SENDING, requires = "user")]
    pub(crate) password_file: Option<PathBuf>,

    /// Follow redirects, at most 5 in a row
    ///
    /// Another server gets no credentials and no cookies. Only GET and HEAD are redirected, except by a 303.
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
    pub(crate) max_time: Option<Duration>,

    /// Connect over IPv4 only
    #[arg(short = '4', long, help_heading = EXCHANGE, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Connect over IPv6 only
    #[arg(short = '6', long, help_heading = EXCHANGE)]
    ipv6: bool,

    /// Connect to this address for a host and port; repeatable
    #[arg(long, value_name = "HOST:PORT:IP", help_heading = EXCHANGE, value_parser = resolution)]
    resolve: Vec<(String, u16, IpAddr)>,

    /// Send requests to this HTTP proxy, such as http://proxy:3128
    ///
    /// Proxy variables of the environment, such as http_proxy, are ignored.
    #[arg(long, value_name = "URL", help_heading = EXCHANGE, value_parser = proxy)]
    proxy: Option<Url>,

    /// Accept HTTP/0.9 responses: bytes without a head
    #[arg(long = "http0.9", help_heading = EXCHANGE)]
    http09: bool,

    /// Refuse malformed responses that are accepted from devices
    ///
    /// Without it, these are accepted, and the connection closes after them: `404Not Found`, lines that end with CR CR LF,
    /// header lines without a colon or with control characters, an empty Transfer-Encoding.
    #[arg(long, help_heading = EXCHANGE)]
    strict: bool,

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
    /// Reads the command line.
    ///
    /// # Errors
    /// What is wrong with it, or the help or version that it asks for.
    pub(crate) fn read() -> Result<Cli, clap::Error> {
        let mut cli = Cli::try_parse().map_err(without_secret)?;
        match cli.check() {
            Ok(()) => Ok(cli),
            Err((kind, message)) => Err(Cli::command().error(kind, message)),
        }
    }

    /// Turns HOST PORT FILE into a URL, and checks what clap cannot.
    fn check(&mut self) -> Result<(), (ErrorKind, &'static str)> {
        let is_url = |argument: &OsString| argument.to_string_lossy().contains("://");
        self.head |= self.method.as_deref() == Some("HEAD");
        match &self.arguments[..] {
            [host, port, file] if !is_url(host) => {
                let url = url_of(host, port, file).map_err(|message| (ErrorKind::ValueValidation, message))?;
                (self.arguments, self.include, self.is_file) = (vec![url.into()], true, true);
            }
            arguments if arguments.iter().all(is_url) => {}
            arguments => {
                let missing = match arguments.len() {
                    1 => "<PORT> and <FILE> are missing (a URL begins with http://)",
                    2 if !arguments.iter().any(is_url) => "<FILE> is missing (a URL begins with http://)",
                    _ => {
                        let mixed = "expected URLs only, or HOST PORT FILE (a URL begins with http://)";
                        return Err((ErrorKind::TooManyValues, mixed));
                    }
                };
                return Err((ErrorKind::MissingRequiredArgument, missing));
            }
        }
        if self.output.is_some() && self.arguments.len() > 1 {
            return Err((ErrorKind::ArgumentConflict, "--output takes one URL (use --remote-name for several)"));
        }
        if self.resume && !self.can_resume() {
            return Err((
                ErrorKind::ArgumentConflict,
                "--continue asks for a range by itself: only with a GET, and not with a Range or If-Range of your own",
            ));
        }
        if self.resume && !self.saves() {
            return Err((ErrorKind::ArgumentConflict, "--continue needs a file: standard output has none"));
        }
        if self.saves() && self.method.as_deref() == Some("HEAD") {
            return Err((ErrorKind::ArgumentConflict, "the response to HEAD has no body to save"));
        }
        Ok(())
    }

    /// Whether bodies go to a file. Standard output is written as without an option.
    pub(crate) fn saves(&self) -> bool {
        let is_stdout = |path: &PathBuf| path.as_os_str() == "-" || path.as_os_str() == "/dev/stdout";
        self.remote_name || self.output.as_ref().is_some_and(|path| !is_stdout(path))
    }

    /// Whether the request may ask for a range: it is a GET, and asks for none yet.
    pub(crate) fn can_resume(&self) -> bool {
        let is_get = self.method.as_deref().map_or(self.data.is_none(), |method| method == "GET");
        is_get && !self.has_header(header::RANGE) && !self.has_header(header::IF_RANGE)
    }

    /// Whether a range is asked for by a header.
    pub(crate) fn has_range(&self) -> bool {
        self.has_header(header::RANGE)
    }

    fn has_header(&self, name: FieldName<'_>) -> bool {
        self.header.iter().any(|(own, value)| own.eq_ignore_ascii_case(name.as_str()) && value.is_some())
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.arguments.iter().map(|url| text_of(url)).collect()
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
        let client = client.leniency(if self.strict { Leniency::NONE } else { Leniency::ALL });
        let client = client.follow_redirects(self.location).retries(self.retry);
        match &self.proxy {
            Some(proxy) => client.proxy(proxy.clone()),
            None => client,
        }
    }

    /// A request for a URL, without its body and credentials. After the last, the connection is not needed.
    pub(crate) fn request<'a>(&'a self, client: &'a Client, url: &str, is_last: bool) -> RequestBuilder<'a> {
        let method = match (&self.method, self.head, &self.data) {
            (Some(method), ..) => Method::new(method.as_bytes()).unwrap_or(Method::Get), // it was checked
            (None, true, _) => Method::Head,
            (None, false, Some(_)) => Method::Post,
            (None, false, None) => Method::Get,
        };
        let mut request = match Url::parse_with_dots(url) {
            Ok(url) if self.is_file => client.request(method, url),
            _ => client.request(method, url),
        };
        if let Some(data) = &self.data {
            request = request.header(header::CONTENT_TYPE.as_str(), Data::content_type(data));
        }
        for (name, _) in &self.header {
            request = request.without_header(name);
        }
        for (name, value) in &self.header {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        // A redirect may lead to the same server.
        if is_last && !self.location { request.close() } else { request }
    }
}

/// Leaves out of a message what may be a password: others can read it in logs.
fn without_secret(mut error: clap::Error) -> clap::Error {
    let text = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let (option, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
    let shown = match value.split_once(':') {
        Some((name, _)) if option.starts_with("--user") || option.starts_with("--header") => format!("{name}:…"),
        _ if option.starts_with("--proxy") => without_password(&value),
        _ => return error,
    };
    error.insert(ContextKind::InvalidValue, ContextValue::String(shown));
    error
}

/// The URL of HOST PORT FILE. A host may be an IPv6 address with a zone, which the library understands.
fn url_of(host: &OsStr, port: &OsStr, file: &OsStr) -> Result<String, &'static str> {
    const NO_HOST: &str = "the host is neither a name nor an IP address";
    let host = host.to_str().filter(|host| !host.is_empty()).ok_or(NO_HOST)?;
    if host.contains(|c: char| c.is_control() || c.is_whitespace() || "/?#@\\".contains(c)) {
        return Err(NO_HOST);
    }
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.into() };
    let port = self::port(&port.to_string_lossy())?;
    let mut url = format!("http://{host}:{port}{}", if file.as_encoded_bytes().starts_with(b"/") { "" } else { "/" });
    for character in text_of(file).chars() {
        match character {
            // A URL would drop blanks at its end, and what follows a `#`.
            '\0'..=' ' | '#' | '\x7f' => url += &format!("%{:02X}", u32::from(character)),
            _ => url.push(character),
        }
    }
    Ok(url)
}

/// Percent-encodes bytes that are not UTF-8.
fn text_of(argument: &OsStr) -> String {
    let mut text = String::with_capacity(argument.len());
    for chunk in argument.as_encoded_bytes().utf8_chunks() {
        text += chunk.valid();
        for byte in chunk.invalid() {
            text += &format!("%{byte:02X}");
        }
    }
    text
}

fn method(text: &str) -> Result<String, String> {
    let method = Method::new(text.as_bytes()).map_err(|error| error.to_string())?;
    if method == Method::Connect {
        Err("CONNECT makes a tunnel, which is not supported".into())
    } else {
        Ok(text.into())
    }
}

fn header_line(text: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
    let parsed = FieldName::new(name.as_bytes()).map_err(|error| error.to_string())?;
    let value = value.trim_matches([' ', '\t']);
    let field = FieldValue::new(value.as_bytes()).map_err(|error| error.to_string())?;
    FieldBlock::new().push(parsed, field).map_err(|error| match parsed == header::HOST {
        true => "Host is that of the URL: --resolve connects to another address for it".into(),
        false => error.to_string(),
    })?;
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

fn proxy(text: &str) -> Result<Url, String> {
    let text = if text.contains("://") { text.into() } else { format!("http://{text}") };
    Url::parse(&text).map_err(|error| error.to_string())
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
