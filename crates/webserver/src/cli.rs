//! The command line: options, their help, and what they mean together.

#[cfg_attr(target_os = "linux", path = "cli/engine_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "cli/engine_portable.rs")]
mod engine;
mod environment;
pub(crate) mod near_misses;
mod values;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser, ValueEnum};
use clap_complete::Shell;
use http_server::http_core::Status;
use http_server::{AllowedHost, ServerConfig, Timeouts, TrustedProxy};

use self::engine::EngineOptions;
pub(crate) use self::values::{BindAddress, CacheRule};
use self::values::{
    address_and_port, below_root, bind_address, cache_rule, charset, error_page, field, media_type, number, seconds,
    some_seconds,
};
use crate::metrics;

/// The end of the help.
const ENVIRONMENT: &str = "Environment: WEBSERVER_PORT=80 means --port 80, WEBSERVER_HIDDEN=1 means --hidden (0: not), \
    and so on for each option above Information. Several values are one per line. The command line wins.\n\
    --man has the details of each option.";

/// The end of the long help and of the man page.
const AFTER_HELP: &str = "Environment: WEBSERVER_PORT=80 means --port 80, WEBSERVER_NO_LISTING=1 means --no-listing, \
    and so on for each option that is not below Information, and WEBSERVER_ROOT for ROOT. An option of the command line \
    wins. An option without a value is on with 1, true, yes or on, and off with 0, false, no or off. Several values of a \
    repeatable option are one per line. An empty variable counts as none.\n\n";

/// Its last paragraph.
#[cfg(unix)]
const EXIT_STATUS: &str = "Exit status: 0 after a graceful shutdown (SIGINT, SIGTERM, or SIGHUP of a terminal that \
    closes), 1 if the server could not start, 2 for wrong usage, 128 + N if a signal N during the start, or a second \
    signal N, ended it at once.";
#[cfg(windows)]
const EXIT_STATUS: &str = "Exit status: 0 after a graceful shutdown (Ctrl-C, Ctrl-Break, or a console that closes), 1 if \
    the server could not start, 2 for wrong usage, 0xC000013A if Ctrl-C during the start, or a second one, ended it at once.";

/// Serves a directory of files over HTTP/1.0.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, disable_help_flag = true, disable_version_flag = true)]
#[command(after_help = ENVIRONMENT, after_long_help = format!("{AFTER_HELP}{EXIT_STATUS}"))]
pub(crate) struct Cli {
    /// Directory or file to serve
    ///
    /// It may be a symlink that is switched to another directory, which is then served within a second. Of a file, / is
    /// redirected to its name, and nothing else is served.
    #[arg(default_value = ".")]
    pub(crate) root: PathBuf,

    /// TCP port; 0 picks a free one [default: 6789]
    #[arg(short, long, help_heading = NETWORK, value_parser = number::<u16>)]
    port: Option<u16>,

    /// Address to bind; repeatable [default: all]
    ///
    /// An IP address, localhost for 127.0.0.1 and ::1, or with an interface, e.g. fe80::1%eth0. By default one socket
    /// serves all addresses, IPv6 and IPv4.
    #[arg(short, long = "bind", help_heading = NETWORK, value_name = "IP", value_parser = bind_address)]
    pub(crate) bind: Vec<BindAddress>,

    /// Unix socket to listen on, instead of TCP
    ///
    /// Its mode is 0660, so that a proxy's group can connect. A stale socket is replaced. The socket is removed on
    /// exit. Add --port or --bind to listen on TCP too.
    #[cfg_attr(
        target_os = "linux",
        doc = "Before Linux 6.16, a client can pass descriptors, and closing them can hold up the server: let only programs \
               that you trust connect."
    )]
    #[cfg(unix)]
    #[arg(long, help_heading = NETWORK, value_name = "PATH")]
    pub(crate) unix: Option<PathBuf>,

    /// Serve Prometheus metrics on this address
    ///
    /// They are at http://IP:PORT/metrics, on a separate listener.
    #[arg(long, help_heading = NETWORK, value_name = "IP:PORT", value_parser = address_and_port)]
    pub(crate) metrics: Option<(BindAddress, u16)>,

    /// Print the URL for phones as a QR code
    ///
    /// It is the first URL that works from other machines.
    #[arg(long, help_heading = NETWORK)]
    pub(crate) qr: bool,

    /// Index file; repeatable [default: index.html]
    ///
    /// The first one that exists is served.
    #[arg(long, help_heading = CONTENT, value_name = "NAME")]
    pub(crate) index: Vec<OsString>,

    /// Disable directory listings
    #[arg(long, help_heading = CONTENT)]
    pub(crate) no_listing: bool,

    /// Disable archives of directories
    ///
    /// By default, ?archive=tar or ?archive=tar.gz after the address of a directory that is listed downloads everything
    /// beneath it. --no-listing disables archives, too.
    #[arg(long, help_heading = CONTENT)]
    pub(crate) no_archive: bool,

    /// Serve page.html at /page
    ///
    /// A file or directory of the name itself comes first.
    #[arg(long, help_heading = CONTENT)]
    pub(crate) pretty_urls: bool,

    /// Serve FILE for missing pages (SPA)
    ///
    /// FILE is a path below ROOT. Single-page applications need it. Only a browser that opens a page gets it (Accept with
    /// text/html, or Sec-Fetch-Mode: navigate), and never for a name with the extension of an asset, such as .js.
    #[arg(long, help_heading = CONTENT, value_name = "FILE", value_parser = below_root)]
    pub(crate) fallback: Option<OsString>,

    /// Custom error page, e.g. 404=404.html
    ///
    /// FILE is a path below ROOT. Repeatable.
    #[arg(long, help_heading = CONTENT, value_name = "STATUS=FILE", value_parser = error_page)]
    pub(crate) error_page: Vec<(Status, OsString)>,

    /// Media type by name, e.g. gmi=text/gemini
    ///
    /// NAME is the whole name of a file, or the end of it behind a dot. The longest one that fits is used. Repeatable.
    #[arg(long = "type", help_heading = CONTENT, value_name = "NAME=TYPE", value_parser = media_type)]
    pub(crate) types: Vec<(String, String)>,

    /// Charset for text, or none [default: utf-8]
    ///
    /// By default, none is sent for an HTML file that declares its encoding in its first 1,024 bytes, because browsers
    /// would ignore what the file says.
    #[arg(long, help_heading = CONTENT, value_name = "NAME", value_parser = charset)]
    pub(crate) charset: Option<String>,

    /// Ignore precompressed .br, .zst and .gz files
    ///
    /// By default, clients that accept the encoding receive FILE.br, FILE.zst or FILE.gz instead of FILE. It must be no
    /// older than FILE, and unchanged for 2 seconds. Its content must not contradict its name: the magic number and the
    /// length of gzip, the magic number of zstd, and no text for brotli. None is looked for if the media type is compressed already, such as
    /// image/png, video/mp4, font/woff2 or application/zip.
    #[arg(long, help_heading = CONTENT)]
    pub(crate) no_precompressed: bool,

    /// Extra response header; repeatable
    #[arg(long, help_heading = HEADERS, value_name = "NAME: VALUE", value_parser = field)]
    pub(crate) header: Vec<(String, String)>,

    /// Caching of files [default: no-cache]
    ///
    /// A value that begins with / or * is a rule GLOB=VALUE for the files whose path below ROOT matches, for example
    /// '/assets/*=public, max-age=31536000, immutable'. A * stands for any characters, slashes included. The first rule
    /// that matches is used. A value without a glob is for all other files. Repeatable.
    #[arg(long, help_heading = HEADERS, value_name = "[GLOB=]VALUE", value_parser = cache_rule)]
    pub(crate) cache_control: Vec<CacheRule>,

    /// Weak ETags that are equal on mirrors
    ///
    /// By default the ETag of a file above 16 KiB depends on when it was last changed on this machine (ctime), so
    /// mirrors of the same files behind a load balancer disagree. With this option every ETag is made from the length
    /// and the modification time, which mirrors share if they copy times, as rsync -t does. Different files may share
    /// these too, so it is weak: interrupted downloads start again.
    #[arg(long, help_heading = HEADERS)]
    pub(crate) mirror_etags: bool,

    /// Allow cross-origin requests (CORS)
    #[arg(long, help_heading = HEADERS)]
    pub(crate) cors: bool,

    /// Require a login from this users file
    ///
    /// Add a user with: webserver --hash-password >> FILE. A line is USER:HASH, and the hash one of bcrypt, as htpasswd -B
    /// makes it.
    #[cfg_attr(unix, doc = "SIGHUP has the file read again.")]
    #[cfg_attr(not(unix), doc = "It is read at the start.")]
    #[cfg_attr(
        target_os = "linux",
        doc = "Keep it in a directory of its own, which the sandbox lets the server read."
    )]
    #[arg(long, help_heading = ACCESS, value_name = "FILE")]
    pub(crate) auth: Option<PathBuf>,

    /// Refuse requests for other hosts; repeatable
    ///
    /// NAME is the host name or IP address in the address that clients use, without a port. Requests for any other host
    /// get a 421, before the login; requests without a host are served. This keeps out pages that reach the server by a
    /// name of their own (DNS rebinding).
    #[arg(long, help_heading = ACCESS, value_name = "NAME")]
    pub(crate) allowed_host: Vec<AllowedHost>,

    /// Serve and list dotfiles
    ///
    /// By default they are neither served nor listed, except /.well-known/.
    #[arg(long, help_heading = ACCESS)]
    pub(crate) hidden: bool,

    /// Follow symlinks out of ROOT (unsafe)
    ///
    /// Anyone who can create a symlink below ROOT can then publish any file that the server can read.
    #[arg(long, help_heading = ACCESS)]
    pub(crate) follow_symlinks: bool,

    /// common, combined, json or off
    ///
    /// The format of the access log: one line per request. With json, messages on standard error are JSON objects too,
    /// wherever the log goes; otherwise they are text.
    #[arg(long, help_heading = LOGGING, value_name = "FORMAT", default_value = "common", hide_possible_values = true)]
    pub(crate) log_format: LogFormat,

    /// Log file [default: standard error]
    ///
    /// Lines are appended.
    #[cfg_attr(
        unix,
        doc = "SIGHUP reopens the file. - and /dev/stdout are standard output, which is never reopened; then"
    )]
    #[cfg_attr(not(unix), doc = "- is standard output; then")]
    /// the ready lines go to standard error. Messages stay on standard error.
    #[arg(long, help_heading = LOGGING, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,

    /// Trust X-Forwarded-For of this proxy; repeatable
    ///
    #[cfg_attr(unix, doc = "CIDR is a network or an address, or the word unix for all Unix sockets.")]
    #[cfg_attr(not(unix), doc = "CIDR is a network or an address.")]
    /// X-Forwarded-For from any other peer is ignored.
    #[arg(long, help_heading = LOGGING, value_name = "CIDR")]
    pub(crate) trust_proxy: Vec<TrustedProxy>,

    #[command(flatten)]
    engine: EngineOptions,

    /// File cache in MiB; 0 disables it
    ///
    /// Files of up to 16 KiB are kept in memory. Larger ones are kept open, and each counts as 16 KiB or more.
    #[cfg_attr(unix, doc = "They are at most an eighth as many as the limit of open files (ulimit -Hn) allows.")]
    #[arg(long, help_heading = LIMITS, value_name = "MIB", default_value_t = 64, value_parser = number::<u16>)]
    cache_size: u16,

    /// Timeout for a request's headers
    ///
    /// In seconds, from the start of the connection or, if it was kept, from the first byte. Slower clients receive
    /// 408.
    #[arg(long, help_heading = LIMITS, value_name = "SECS", default_value = "10", value_parser = some_seconds)]
    header_timeout: Duration,

    /// Keep-alive idle timeout
    ///
    /// In seconds, between two requests on one connection. Responses announce it. Behind a load balancer it should be
    /// longer than the balancer's, which otherwise responds with 502 now and then.
    #[arg(long, help_heading = LIMITS, value_name = "SECS", default_value = "75", value_parser = seconds)]
    idle_timeout: Duration,

    /// Minimum rate, bytes/s; 0: off
    ///
    /// A client must keep up with it on average, after the first 10 seconds of a request body or a response.
    #[arg(long, help_heading = LIMITS, value_name = "N", default_value_t = 1024, value_parser = number::<u64>)]
    min_rate: u64,

    /// Graceful shutdown timeout
    ///
    #[cfg_attr(unix, doc = "In seconds. Responses that take longer after SIGINT or SIGTERM are cut off.")]
    #[cfg_attr(
        not(unix),
        doc = "In seconds. Responses that take longer after Ctrl-C are cut off. Windows gives a console that closes 5 s."
    )]
    #[arg(long, help_heading = LIMITS, value_name = "SECS", default_value = "5", value_parser = seconds)]
    shutdown_timeout: Duration,

    /// Disable keep-alive
    ///
    /// Every connection then serves one request, as in RFC 1945.
    #[arg(long, help_heading = LIMITS)]
    pub(crate) no_keep_alive: bool,

    /// Explain how REQUEST would be answered
    ///
    /// A path such as /page.html means GET. Separate header lines with \n, e.g. 'GET / HTTP/1.0\nRange: bytes=0-9'.
    #[arg(long, help_heading = INFORMATION, value_name = "REQUEST")]
    pub(crate) explain: Option<String>,

    /// Add the rules of the protocol to --explain
    #[arg(short, long, help_heading = INFORMATION, requires = "explain")]
    pub(crate) verbose: bool,

    /// Print all limits and the memory bound
    #[arg(long, help_heading = INFORMATION)]
    pub(crate) print_limits: bool,

    /// Print a line for the --auth file
    ///
    /// It asks for the user's name, unless it is given, and for the password. If standard input is a pipe or a file, its
    /// first line is the password of USER.
    #[arg(long, help_heading = INFORMATION, value_name = "USER", num_args = 0..=1)]
    pub(crate) hash_password: Option<Option<String>>,

    /// Print a shell completion script
    ///
    /// For bash, elvish, fish, powershell or zsh.
    #[arg(long, help_heading = INFORMATION, value_name = "SHELL", hide_possible_values = true)]
    pub(crate) completions: Option<Shell>,

    /// Print the man page
    #[cfg_attr(target_os = "linux", doc = "", doc = "Read it with: webserver --man | man -l -")]
    #[arg(long, help_heading = INFORMATION)]
    pub(crate) man: bool,

    /// Print help
    #[arg(short, long, help_heading = INFORMATION, action = ArgAction::HelpShort)]
    help: Option<bool>,

    /// Print version
    #[arg(short = 'V', long, help_heading = INFORMATION, action = ArgAction::Version)]
    version: Option<bool>,
}

// The headings of the help.
const NETWORK: &str = "Network";
const CONTENT: &str = "Content";
const HEADERS: &str = "Response headers";
const ACCESS: &str = "Access";
const LOGGING: &str = "Logging";
const LIMITS: &str = "Limits";
const INFORMATION: &str = "Information";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// The Common Log Format
    Common,
    /// The Common Log Format with Referer and User-Agent
    Combined,
    /// One JSON object per request
    Json,
    /// No log
    Off,
}

impl LogFormat {
    /// The format for the server, or `None` for no log.
    pub(crate) fn to_server(self) -> Option<http_server::LogFormat> {
        match self {
            LogFormat::Common => Some(http_server::LogFormat::Common),
            LogFormat::Combined => Some(http_server::LogFormat::Combined),
            LogFormat::Json => Some(http_server::LogFormat::Json),
            LogFormat::Off => None,
        }
    }
}

/// The least that an open file takes of the cache, in bytes.
const LARGE_FILE: u64 = 16 << 10;

/// Descriptors for what is neither a connection nor a cached file.
const RESERVED_FDS: u64 = 32;

impl Cli {
    /// The options of the command line and, where it has none, of the environment. Returns notes on the latter, too. A
    /// fault ends the process.
    pub(crate) fn from_process() -> (Cli, Vec<String>) {
        let arguments: Vec<OsString> = env::args_os().collect();
        let result = environment::parse(&arguments, env::vars_os());
        let (cli, notes) = result
            .unwrap_or_else(|error| near_misses::with_advice(error, arguments.get(1).map(|first| &**first)).exit());
        if cli.qr && cli.log_format == LogFormat::Json {
            let message = "--qr cannot be used with --log-format json, which makes every line an object";
            Cli::command().error(ErrorKind::ArgumentConflict, message).exit();
        }
        (cli, notes)
    }

    /// The TCP port.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(6789)
    }

    /// Whether to listen on TCP: an option asks for it, or there is no Unix socket.
    pub(crate) fn wants_tcp(&self) -> bool {
        !self.has_unix_socket() || self.has_explicit_tcp()
    }

    /// Whether any option says where to listen.
    pub(crate) fn has_explicit_sockets(&self) -> bool {
        self.has_unix_socket() || self.has_explicit_tcp()
    }

    #[cfg(unix)]
    fn has_unix_socket(&self) -> bool {
        self.unix.is_some()
    }

    #[cfg(not(unix))]
    fn has_unix_socket(&self) -> bool {
        false
    }

    fn has_explicit_tcp(&self) -> bool {
        self.port.is_some() || !self.bind.is_empty()
    }

    fn reserved_fds(&self) -> u64 {
        RESERVED_FDS + if self.metrics.is_some() { metrics::DESCRIPTORS } else { 0 }
    }

    /// How many connections there may be, if the limit of open files allows so many.
    pub(crate) fn max_connections(&self) -> u32 {
        self.engine.max_connections()
    }

    /// The server's configuration, with no more connections than this many descriptors allow.
    pub(crate) fn config(&self, descriptors: u64) -> ServerConfig {
        // A connection takes one descriptor. An eighth of the rest is left for files that are sent without being cached
        // and for connections that receive 503.
        let taken = self.reserved_fds() + self.cached_descriptors(descriptors);
        let connections = descriptors.saturating_sub(taken) / 8 * 7;
        ServerConfig {
            timeouts: Timeouts {
                head: self.header_timeout,
                idle: self.idle_timeout,
                min_rate: self.min_rate,
                ..Timeouts::default()
            },
            shutdown_timeout: self.shutdown_timeout,
            keep_alive: !self.no_keep_alive,
            measure_durations: self.metrics.is_some(),
            trusted_proxies: self.trust_proxy.clone(),
            body_budget: 0, // files take no bodies
            ..self.engine.config(u32::try_from(connections).unwrap_or(u32::MAX))
        }
    }

    /// Bytes of memory for cached files.
    pub(crate) fn cache_size(&self) -> u64 {
        u64::from(self.cache_size) << 20
    }

    /// How many files the cache may keep open, if there are this many descriptors.
    pub(crate) fn cached_descriptors(&self, descriptors: u64) -> u64 {
        (descriptors / 8).min(self.cache_size() / LARGE_FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_option_has_a_heading() {
        Cli::command().debug_assert();
        for option in Cli::command().get_arguments() {
            assert!(option.is_positional() || option.get_help_heading().is_some(), "{option} has no heading");
        }
    }

    // V31
    #[test]
    fn numbers_are_refused_unless_digits_only() {
        for bad in [
            ["--port", "65536"],
            ["--port", "-1"],
            ["--port", "x"],
            ["--port", "+80"],
            ["--max-connections", "+1"],
            ["--threads", "0"],
            ["--threads", "1025"],
            ["--threads", "65536"],
            ["--pollers", "1025"],
            ["--bind", "nowhere"],
            ["--metrics", "9100"],
            ["--metrics", "127.0.0.1"],
        ] {
            assert!(Cli::try_parse_from(["webserver"].into_iter().chain(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn defaults_match_documentation() {
        let cli = Cli::try_parse_from(["webserver"]).unwrap();
        assert_eq!(cli.port(), 6789);
        assert_eq!(cli.root, PathBuf::from("."));
        assert_eq!([cli.header_timeout, cli.idle_timeout, cli.shutdown_timeout].map(|d| d.as_secs()), [10, 75, 5]);
        assert!(cli.bind.is_empty() && cli.log_format == LogFormat::Common);
    }

    #[test]
    fn unix_option_alone_disables_tcp() {
        for (arguments, wants_tcp, has_explicit) in [
            (&[][..], true, false),
            (&["--unix", "a"], false, true),
            (&["--unix", "a", "--port", "6789"], true, true),
            (&["--unix", "a", "--bind", "::1"], true, true),
            (&["--port", "6789"], true, true),
        ] {
            let cli = Cli::try_parse_from([&["webserver"], arguments].concat()).unwrap();
            assert_eq!((cli.wants_tcp(), cli.has_explicit_sockets()), (wants_tcp, has_explicit), "{arguments:?}");
        }
    }
}
