//! The command line: one value that the rest is built from.

use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Parser, ValueEnum};
use clap_complete::Shell;
use webserver::http_core::{FieldBlock, FieldName, FieldValue, Status, header};
use webserver::{Bounds, Deadlines, Log, TrustedProxy};

use crate::metrics;

/// What the manual says behind the options.
const BEHIND: &str = "Exit status: 0: ended in order by SIGINT or SIGTERM; 1: could not start, one line says what and what \
    to do; 2: a wrong option; 128 + n: a second signal n ended it at once.";

/// Serves a directory of files over HTTP/1.0.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, disable_help_flag = true, disable_version_flag = true)]
#[command(after_long_help = BEHIND)]
pub(crate) struct Options {
    /// The directory to serve
    #[arg(default_value = ".")]
    pub(crate) root: PathBuf,

    /// The port; 0: any free one [default: 6789]
    #[arg(short, long, help_heading = LISTENING, value_parser = number::<u16>)]
    port: Option<u16>,

    /// An address, repeatable [default: all]
    ///
    /// By default all addresses, of IPv6 and IPv4, by one socket.
    #[arg(short, long = "bind", help_heading = LISTENING, value_name = "IP")]
    bind: Vec<IpAddr>,

    /// A unix socket; alone it opens no port
    ///
    /// Its mode is 0660, for the group of a proxy. One that an ended server has left is replaced; at the end it is removed.
    /// With --port or --bind there is TCP beside it.
    #[arg(long, help_heading = LISTENING, value_name = "PATH")]
    pub(crate) unix: Option<PathBuf>,

    /// Serve counters for Prometheus here
    ///
    /// At http://IP:PORT/metrics, by a server of its own; nowhere else.
    #[arg(long, help_heading = LISTENING, value_name = "IP:PORT", value_parser = ip_and_port)]
    pub(crate) metrics: Option<SocketAddr>,

    /// What a directory shows [default: index.html]
    ///
    /// Repeatable, the best first.
    #[arg(long, help_heading = CONTENT, value_name = "NAME")]
    pub(crate) index: Vec<OsString>,

    /// List no directory that has no index
    #[arg(long, help_heading = CONTENT)]
    pub(crate) no_listing: bool,

    /// Answers for pages that are not there
    ///
    /// A file below ROOT, as single-page applications need it.
    #[arg(long, help_heading = CONTENT, value_name = "FILE", value_parser = below_root)]
    pub(crate) fallback: Option<OsString>,

    /// The page for a status, like 404=404.html
    ///
    /// A file below ROOT; repeatable.
    #[arg(long, help_heading = CONTENT, value_name = "STATUS=FILE", value_parser = error_page)]
    pub(crate) error_page: Vec<(Status, OsString)>,

    /// The type of files, like gmi=text/gemini
    ///
    /// By their extension; repeatable.
    #[arg(long = "type", help_heading = CONTENT, value_name = "EXT=TYPE", value_parser = media_type)]
    pub(crate) types: Vec<(String, String)>,

    /// The charset of text, or none
    #[arg(long, help_heading = CONTENT, value_name = "NAME", default_value = "utf-8", value_parser = charset)]
    pub(crate) charset: String,

    /// Send no FILE.br, .zst or .gz for FILE
    ///
    /// By default they go in the place of FILE to who can decode them, if they are not older.
    #[arg(long, help_heading = CONTENT)]
    pub(crate) no_sidecars: bool,

    /// A field of every answer, repeatable
    #[arg(long, help_heading = FIELDS, value_name = "NAME: VALUE", value_parser = field)]
    pub(crate) header: Vec<(String, String)>,

    /// How long copies last, like max-age=3600
    ///
    /// The value of Cache-Control for files.
    #[arg(long, help_heading = FIELDS, value_name = "VALUE", value_parser = value)]
    pub(crate) cache_control: Option<String>,

    /// Let pages of other sites read the files
    #[arg(long, help_heading = FIELDS)]
    pub(crate) cors: bool,

    /// Users who may come in, of htpasswd -B
    ///
    /// A file of names and hashed passwords; who is in none of its lines is asked for both.
    #[arg(long, help_heading = ACCESS, value_name = "FILE")]
    pub(crate) auth: Option<PathBuf>,

    /// Serve names that begin with a dot
    ///
    /// By default they are neither served nor listed; /.well-known/ is.
    #[arg(long, help_heading = ACCESS)]
    pub(crate) hidden: bool,

    /// Follow links out of the directory: unsafe
    ///
    /// It gives up what keeps requests within the directory.
    #[arg(long, help_heading = ACCESS)]
    pub(crate) follow_links: bool,

    /// common, combined, json or off
    ///
    /// What is written of each request; the first two are formats that every analyser knows.
    #[arg(long, help_heading = LOG, value_name = "FORMAT", default_value = "common", hide_possible_values = true)]
    log: LogFormat,

    /// Its file [default: standard error]
    ///
    /// It is appended to, and opened anew at SIGHUP.
    #[arg(long, help_heading = LOG, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,

    /// A proxy that says who the client is
    ///
    /// A network, an address, or unix, whose X-Forwarded-For is believed; repeatable.
    #[arg(long, help_heading = LOG, value_name = "CIDR")]
    pub(crate) trust_proxy: Vec<TrustedProxy>,

    /// Size of the pool [default: 4 a core]
    ///
    /// 1: one request at a time.
    #[arg(short, long, help_heading = LIMITS, value_name = "N", value_parser = number::<NonZeroU16>)]
    threads: Option<NonZeroU16>,

    /// Connections at once
    ///
    /// Less where the limit of open files is lower.
    #[arg(long, help_heading = LIMITS, value_name = "N", default_value = "10000", value_parser = number::<NonZeroU32>)]
    max_connections: NonZeroU32,

    /// Memory for files; 0: none
    ///
    /// For those that are asked for often.
    #[arg(long, help_heading = LIMITS, value_name = "MIB", default_value_t = 64, value_parser = number::<u16>)]
    cache_size: u16,

    /// Time for a request's head
    #[arg(long, help_heading = LIMITS, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    head_timeout: Duration,

    /// Time between two requests
    ///
    /// Of one connection.
    #[arg(long, help_heading = LIMITS, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    idle_timeout: Duration,

    /// Bytes a second at least; 0: any
    ///
    /// What a peer must keep up with, after 10 seconds.
    #[arg(long, help_heading = LIMITS, value_name = "N", default_value_t = 1024, value_parser = number::<u64>)]
    min_rate: u64,

    /// Time for replies after a signal
    #[arg(long, help_heading = LIMITS, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    grace: Duration,

    /// One request a connection
    ///
    /// As in RFC 1945.
    #[arg(long, help_heading = LIMITS)]
    pub(crate) no_keep_alive: bool,

    /// How it would be answered, and why
    ///
    /// Fields may follow behind \n.
    #[arg(long, help_heading = PRINTING, value_name = "REQUEST")]
    pub(crate) explain: Option<String>,

    /// Every bound, and the memory of all
    #[arg(long, help_heading = PRINTING)]
    pub(crate) print_limits: bool,

    /// For bash, elvish, fish, powershell or zsh
    ///
    /// A script that completes these options.
    #[arg(long, help_heading = PRINTING, value_name = "SHELL", hide_possible_values = true)]
    pub(crate) completions: Option<Shell>,

    /// The manual, for man -l
    #[arg(long, help_heading = PRINTING)]
    pub(crate) man: bool,

    /// These options
    #[arg(short, long, help_heading = PRINTING, action = ArgAction::HelpShort)]
    help: Option<bool>,

    /// The version
    #[arg(short = 'V', long, help_heading = PRINTING, action = ArgAction::Version)]
    version: Option<bool>,
}

// The tasks by which the options are grouped.
const LISTENING: &str = "Listening";
const CONTENT: &str = "Content";
const FIELDS: &str = "Fields of answers";
const ACCESS: &str = "Access";
const LOG: &str = "Log";
const LIMITS: &str = "Limits";
const PRINTING: &str = "Print, and exit";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// The Common Log Format
    Common,
    /// The same with Referer and User-Agent
    Combined,
    /// An object for each request
    Json,
    /// No log
    Off,
}

impl LogFormat {
    /// What the library calls it, unless there is to be none.
    fn format(self) -> Option<webserver::LogFormat> {
        match self {
            LogFormat::Common => Some(webserver::LogFormat::Common),
            LogFormat::Combined => Some(webserver::LogFormat::Combined),
            LogFormat::Json => Some(webserver::LogFormat::Json),
            LogFormat::Off => None,
        }
    }
}

/// Descriptors of the server itself.
const OURS: u64 = 32;

impl Options {
    /// The port of TCP.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(6789)
    }

    /// The addresses of TCP asked for; empty for all.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.bind.iter().map(|&address| SocketAddr::new(address, self.port())).collect()
    }

    /// Whether TCP is asked for, by name or for want of anything else.
    pub(crate) fn wants_tcp(&self) -> bool {
        self.unix.is_none() || self.names_tcp()
    }

    /// Whether it is said where to listen.
    pub(crate) fn names_sockets(&self) -> bool {
        self.unix.is_some() || self.names_tcp()
    }

    fn names_tcp(&self) -> bool {
        self.port.is_some() || !self.bind.is_empty()
    }

    /// Descriptors for what is no connection and no file.
    fn ours(&self) -> u64 {
        OURS + if self.metrics.is_some() { metrics::DESCRIPTORS } else { 0 }
    }

    /// The log asked for, if one is; its file is open then.
    ///
    /// # Errors
    /// Of the system.
    pub(crate) fn log(&self) -> io::Result<Option<Log>> {
        let log = |format| match &self.log_file {
            Some(path) => Log::to_file(format, path),
            None => Log::to_standard_error(format),
        };
        self.log.format().map(log).transpose()
    }

    /// The bounds asked for, with no more descriptors than there are.
    pub(crate) fn bounds(&self, descriptors: u64) -> Bounds {
        let cached = (usize::from(self.cache_size) * 64)
            .min(usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_mul(2));
        // One each, beside those of the cache. An eighth is left for files that are sent and not kept, and for newcomers
        // who are told that there is no room; where it is not enough, they are told so for want of descriptors.
        let connections = descriptors.saturating_sub(self.ours() + cached as u64 / 16) / 8 * 7;
        Bounds {
            threads: self.threads.map_or_else(webserver::default_threads, |threads| usize::from(threads.get())),
            connections: self.max_connections.get().min(u32::try_from(connections).unwrap_or(u32::MAX)).max(1),
            deadlines: Deadlines { head: self.head_timeout, idle: self.idle_timeout, min_rate: self.min_rate },
            grace: self.grace,
            cached,
        }
    }
}

/// `404=404.html`: an error that a page of the owner's may stand for, and its path below the root.
fn error_page(text: &str) -> Result<(Status, OsString), String> {
    let (status, path) = text.split_once('=').ok_or("expected STATUS=FILE, like 404=404.html")?;
    let status =
        number::<u16>(status).ok().filter(|code| (400..600).contains(code)).and_then(|code| Status::new(code).ok());
    let status = status.ok_or("expected a status from 400 to 599")?;
    Ok((status, below_root(path)?))
}

/// A path below the root, be it written as in a URL.
fn below_root(path: &str) -> Result<OsString, String> {
    match path.trim_start_matches('/') {
        path if path.is_empty() || path.split('/').any(|segment| segment == "..") => {
            Err("expected the path of a file below ROOT".into())
        }
        path => Ok(path.into()),
    }
}

/// `Name: value`, but for what tells of the one answer or of the connection.
fn field(text: &str) -> Result<(String, String), String> {
    const OURS: [FieldName<'static>; 8] = [
        header::ACCEPT_RANGES,
        header::ALLOW,
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::ETAG,
        header::LAST_MODIFIED,
        header::LOCATION,
    ];
    let (given, text) = text.split_once(':').ok_or("expected NAME: VALUE, like Referrer-Policy: no-referrer")?;
    let field = FieldName::new(given.as_bytes())
        .map_err(|_| "expected a name of letters, digits and hyphens before the colon")?;
    if OURS.contains(&field) || FieldBlock::new().push(field, FieldValue::from_static("")).is_err() {
        return Err(format!("{given} tells of each answer by itself and is written by the server"));
    }
    Ok((given.to_owned(), value(text)?))
}

/// A field's value.
fn value(text: &str) -> Result<String, String> {
    let text = text.trim();
    match FieldValue::new(text.as_bytes()) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected one line without control characters".into()),
    }
}

/// `gmi=text/gemini`
fn media_type(text: &str) -> Result<(String, String), String> {
    let (extension, of) = text.split_once('=').ok_or("expected EXT=TYPE, like gmi=text/gemini")?;
    let extension = extension.trim_start_matches('.');
    let is_type = of
        .split_once('/')
        .is_some_and(|(main, sub)| is_token(main) && is_token(sub.split(';').next().unwrap_or("").trim_end()));
    match (extension.is_empty() || extension.contains(['.', '/']), is_type) {
        (true, _) => Err("expected an extension without dots before the =".into()),
        (_, false) => Err("expected a type behind the =, like text/gemini".into()),
        _ => Ok((extension.to_owned(), value(of)?)),
    }
}

fn charset(text: &str) -> Result<String, String> {
    match text {
        "none" => Ok(String::new()),
        text if is_token(text) => Ok(text.to_owned()),
        _ => Err("expected the name of a charset, like utf-8, or none".into()),
    }
}

/// A word as RFC 9110 has it, which is what names of fields are.
fn is_token(text: &str) -> bool {
    FieldName::new(text.as_bytes()).is_ok()
}

/// Digits alone: the parsers of the standard library take a sign.
fn number<N: FromStr<Err: Display>>(text: &str) -> Result<N, String> {
    if !text.bytes().all(|c| c.is_ascii_digit()) {
        return Err("expected a number, in digits alone".into());
    }
    text.parse().map_err(|error: N::Err| error.to_string())
}

/// An address of TCP, whole.
fn ip_and_port(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected IP:PORT, like 127.0.0.1:9100 or [::1]:9100".into())
}

/// Seconds, decimals allowed; up to a day.
fn seconds(text: &str) -> Result<Duration, String> {
    let plain = text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    match text.parse() {
        Ok(seconds) if plain && (0.0..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected seconds from 0 to 86400, like 10 or 0.5".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Options::command().debug_assert();
        for option in Options::command().get_arguments() {
            assert!(option.is_positional() || option.get_help_heading().is_some(), "{option} belongs to no task");
        }
    }

    // V31
    #[test]
    fn numbers_are_digits() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "-1", "+1", "1e3", "inf", "NaN", "86401", "1s", ".", "0x1"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        for bad in [
            ["--port", "65536"],
            ["--port", "-1"],
            ["--port", "x"],
            ["--port", "+80"],
            ["--max-connections", "+1"],
            ["--threads", "0"],
            ["--bind", "nowhere"],
            ["--metrics", "9100"],
            ["--metrics", "127.0.0.1"],
        ] {
            assert!(Options::try_parse_from(["webserver"].into_iter().chain(bad)).is_err(), "{bad:?}");
        }
    }

    // V14: what goes into a head is checked before the first answer.
    #[test]
    fn fields_types_and_pages_are_checked_at_the_start() {
        assert_eq!(field("X-A:  b c "), Ok(("X-A".into(), "b c".into())));
        for bad in [
            "X",
            "X y: z",
            ": z",
            "X: a\r\nb: c",
            "X: \0",
            "Content-Length: 1",
            "date: x",
            "ETag: x",
            "Connection: close",
        ] {
            assert!(field(bad).is_err(), "{bad:?}");
        }
        assert_eq!(media_type(".gmi=text/gemini; lang=en"), Ok(("gmi".into(), "text/gemini; lang=en".into())));
        for bad in ["gmi", "=a/b", "a=b", "a=/b", "a=b/", "a.b=c/d", "a=b/c\r\nd", "a=b c/d"] {
            assert!(media_type(bad).is_err(), "{bad:?}");
        }
        assert_eq!(error_page("404=/404.html"), Ok((Status::NOT_FOUND, "404.html".into())));
        for bad in ["404", "404=", "404=/", "200=a", "600=a", "=a", "4o4=a", "+404=a", "404=../a"] {
            assert!(error_page(bad).is_err(), "{bad:?}");
        }
        assert_eq!((charset("none"), charset("koi8-r")), (Ok(String::new()), Ok("koi8-r".into())));
        assert!(charset("a b").is_err() && charset("").is_err());
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let options = Options::try_parse_from(["webserver"]).unwrap();
        assert_eq!((options.port(), options.max_connections.get()), (6789, 10_000));
        assert_eq!(options.root, PathBuf::from("."));
        assert_eq!([options.head_timeout, options.idle_timeout, options.grace].map(|d| d.as_secs()), [10, 15, 5]);
        assert!(options.addresses().is_empty() && options.log == LogFormat::Common);
    }

    #[test]
    fn who_asks_for_unix_alone_gets_no_tcp() {
        for (arguments, tcp, named) in [
            (&[][..], true, false),
            (&["--unix", "a"], false, true),
            (&["--unix", "a", "--port", "6789"], true, true),
            (&["--unix", "a", "--bind", "::1"], true, true),
            (&["--port", "6789"], true, true),
        ] {
            let options = Options::try_parse_from([&["webserver"], arguments].concat()).unwrap();
            assert_eq!((options.wants_tcp(), options.names_sockets()), (tcp, named), "{arguments:?}");
        }
    }
}
