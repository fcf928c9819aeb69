//! Advice where the command line of another server was typed: Python's `http.server`, Caddy, miniserve, dufs,
//! static-web-server, serve, http-server or darkhttpd.

use std::ffi::OsStr;
use std::path::Path;

use clap::Error;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Options that this server does not have, and what to use or to know instead.
const ADVICE: &[(&[&str], &str)] = &[
    // Network
    (&["--host", "--hostname", "--address", "--addr", "--ip", "--interface", "--interfaces", "-a", "-i"], "--bind IP"),
    (&["--listen", "-l"], "--bind IP for the address, --port PORT for the port"),
    (&["--ipv6", "--ipv4", "-6", "-4"], "IPv6 and IPv4 are served by default; --bind IP serves one address"),
    #[cfg(target_os = "linux")]
    (&["--socket", "--unix-socket", "--uds", "--fd", "-f"], "--unix PATH; systemd may pass sockets (LISTEN_FDS)"),
    #[cfg(all(unix, not(target_os = "linux")))]
    (&["--socket", "--unix-socket", "--uds", "-f"], "--unix PATH"),
    (
        &[
            "--tls",
            "--ssl",
            "--https",
            "--cert",
            "--key",
            "--tls-cert",
            "--tls-key",
            "--tls-password-file",
            "--ssl-cert",
            "--ssl-key",
            "--ssl-pass",
            "--http2",
            "--http2-tls-cert",
            "--http2-tls-key",
            "--https-redirect",
            "-S",
            "-K",
        ],
        "TLS is for a proxy in front, e.g.: caddy reverse-proxy --to localhost:6789",
    ),
    (&["--qrcode", "--qr-code"], "--qr"),
    (&["--open", "--open-browser", "--browser", "-o"], "open one of the URLs that are printed at the start"),
    (
        &["--health", "--healthcheck"],
        "a health check may request any file; --metrics IP:PORT has a listener of its own",
    ),
    (&["--experimental-metrics", "--prometheus", "--metrics-address"], "--metrics IP:PORT"),
    // Content
    (
        &[
            "--directory",
            "--dir",
            "--root",
            "--docroot",
            "--document-root",
            "--webroot",
            "--path",
            "--base-dir",
            "--public",
            "-d",
            "-r",
        ],
        "ROOT has no option: webserver DIRECTORY",
    ),
    (&["--single-file", "--file"], "ROOT may be a file: webserver FILE"),
    (&["--spa", "--single", "--render-spa", "--page-fallback", "--history-api-fallback"], "--fallback index.html"),
    (&["--clean-urls", "--ext"], "--pretty-urls"),
    (&["-s"], "--fallback index.html for a single-page application, --log-format off for no log"),
    (&["--index-files", "--index-file", "--index-page", "--render-index", "--render-try-index"], "--index NAME"),
    (&["--page404", "--page50x", "--404", "--not-found", "--error-document"], "--error-page 404=FILE"),
    (
        &["--disable-indexing", "--no-index", "--no-autoindex", "--no-directory-listing", "--no-dir-listing", "-I"],
        "--no-listing",
    ),
    (
        &["--browse", "--listing", "--list", "--autoindex", "--directory-listing", "--show-dir", "-z"],
        "directories are listed by default; --no-listing turns that off",
    ),
    (
        &["--mime", "--mime-type", "--mime-types", "--mimetype", "--mimetypes", "--content-type", "--media-type", "-m"],
        "--type NAME=TYPE",
    ),
    (&["--text-charset", "--default-charset", "--encoding"], "--charset NAME"),
    (
        &[
            "--gzip",
            "--brotli",
            "--zstd",
            "--compress",
            "--compression",
            "--compression-static",
            "--compress-response",
            "--precompressed",
            "-g",
            "-x",
        ],
        "FILE.br, FILE.zst and FILE.gz are sent for FILE by default; --no-precompressed turns that off",
    ),
    (&["--no-compress", "--no-compression", "--no-gzip"], "--no-precompressed"),
    (
        &[
            "--upload",
            "--upload-files",
            "--allow-upload",
            "--allow-all",
            "--allow-delete",
            "--mkdir",
            "--rm-files",
            "--webdav",
            "--enable-webdav",
            "-u",
            "-U",
        ],
        "it only reads files, and takes no uploads",
    ),
    (&["--cgi", "--proxy", "--templates", "-P"], "it serves files, and neither runs programs nor forwards requests"),
    (
        &["--route-prefix", "--path-prefix", "--prefix", "--base-path", "--base-url"],
        "links are relative, so a proxy may serve ROOT below a prefix as it is",
    ),
    (
        &["--watch", "--reload", "--livereload", "--live-reload"],
        "a changed file is served at once, but pages do not reload",
    ),
    (
        &[
            "--archive",
            "--enable-archive",
            "--allow-archive",
            "--tar",
            "--tgz",
            "--enable-tar",
            "--enable-tar-gz",
            "--directory-listing-download",
        ],
        "directories can be downloaded by default, with ?archive=tar or ?archive=tar.gz; --no-archive turns that off",
    ),
    (&["--zip", "--enable-zip"], "a directory is sent as tar or tar.gz, with ?archive=tar.gz; there is no zip"),
    (&["--disable-archive", "--no-tar", "--no-zip"], "--no-archive"),
    (&["--search", "--allow-search", "--filter"], "listings have a filter by default, which is also ?q=TEXT"),
    (&["--readme", "--title"], "a listing shows the names in a directory and no other text"),
    (&["--dirs-first", "--directories-first"], "directories come first by default"),
    // Response headers
    (
        &[
            "--cors-origin",
            "--cors-origins",
            "--cors-allow-origins",
            "--cors-allow-origin",
            "--allow-origin",
            "--enable-cors",
            "-C",
        ],
        "--cors for every origin, --header 'Access-Control-Allow-Origin: ORIGIN' for one",
    ),
    (
        &["--cache", "--cache-time", "--cache-control-headers", "--max-age", "-c", "-e"],
        "--cache-control VALUE, e.g. --cache-control max-age=3600",
    ),
    (
        &["--no-cache", "--nocache", "--no-store", "--disable-cache"],
        "browsers ask before each use of a file by default; --cache-control no-store lets them keep none",
    ),
    (
        &["--headers", "--add-header", "--custom-header", "--response-header", "--security-headers", "-H"],
        "--header 'NAME: VALUE'",
    ),
    (&["--protocol"], "every response is HTTP/1.0, and connections are kept alive"),
    // Access
    (&["--allowed-hosts", "--allow-host", "--trusted-host", "--server-name"], "--allowed-host NAME"),
    (&["--basic-auth", "--auth-file", "--htpasswd", "--username", "--user", "--password", "--pass"], "--auth FILE"),
    (&["--random-route", "--token"], "--auth FILE to keep others out"),
    (&["--dotfiles", "--show-hidden", "--all", "-A"], "--hidden"),
    (&["--no-dotfiles", "--hide-dotfiles", "--ignore-hidden-files", "--no-hidden"], "dotfiles are hidden by default"),
    (&["--symlinks", "--allow-symlink", "--allow-symlinks", "--follow", "--follow-links"], "--follow-symlinks"),
    (&["--no-symlinks", "--disable-symlinks"], "symlinks that lead out of ROOT are refused by default"),
    // Logging
    (
        &["--access-log", "--accesslog", "--log", "--logfile"],
        "--log-file FILE; by default the log is on standard error",
    ),
    (&["--silent", "--quiet", "--no-log", "--no-logging", "--no-request-logging", "-L"], "--log-format off"),
    (&["-q"], "--log-format off for no log, --qr for a QR code"),
    (&["--debug", "--log-level"], "--explain REQUEST for every decision, --log-format for the log"),
    (
        &[
            "--trusted-proxies",
            "--trusted-proxy",
            "--trusted-ip",
            "--real-ip",
            "--proxy-headers",
            "--log-forwarded-for",
        ],
        "--trust-proxy CIDR",
    ),
    // Limits
    (&["--workers", "--threads-multiplier", "--max-blocking-threads", "--jobs", "-j", "-w"], "--threads N"),
    #[cfg(target_os = "linux")]
    (&["--maxconn", "--max-conn", "--connections"], "--max-connections N"),
    #[cfg(not(target_os = "linux"))]
    (&["--maxconn", "--max-conn", "--max-connections", "--connections"], "--threads N"),
    (&["--timeout", "--keepalive-timeout", "--keep-alive-timeout"], "--header-timeout SECS, --idle-timeout SECS"),
    (&["--grace-period", "--graceful-timeout"], "--shutdown-timeout SECS"),
    (&["--no-keepalive"], "--no-keep-alive"),
    (
        &["--config", "--config-file", "--conf"],
        "there is no such file, but each option has a variable: WEBSERVER_PORT=80",
    ),
    (&["--daemon", "--daemonize", "--background"], "let a service manager start it in the background"),
    // Information
    (&["--print-completions", "--generate-completions", "--completion"], "--completions SHELL"),
    (&["--print-manpage", "--manpage"], "--man"),
];

/// Adds what to use instead of an argument that is unknown. `first` is the first argument.
pub(super) fn with_advice(mut error: Error, first: Option<&OsStr>) -> Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let advice = match error.get(ContextKind::InvalidArg) {
        // Before a directory that comes too late, the first one may say where to listen.
        Some(ContextValue::String(argument)) => {
            let first = || listen_options(first.filter(|_| !argument.starts_with('-'))?.to_str()?);
            advice(argument).or_else(|| first().map(|options| format!("{options} {argument}")))
        }
        _ => None,
    };
    if let Some(advice) = advice {
        let advice = if advice.starts_with('-') { format!("use {advice}") } else { advice };
        error.remove(ContextKind::SuggestedArg); // a name that only looks alike
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(advice)]));
    }
    error
}

fn advice(argument: &str) -> Option<String> {
    let name = argument.split_whitespace().next().unwrap_or_default();
    let known = ADVICE.iter().find(|(names, _)| names.contains(&name)).map(|(_, advice)| (*advice).to_owned());
    // A second argument without an option.
    known.or_else(|| listen_options(argument))
}

/// The options for what looks like a place to listen on, such as `8080`, `:8080`, `localhost` or `127.0.0.1:8080`.
fn listen_options(text: &str) -> Option<String> {
    let is_port = |text: &str| text.parse::<u16>().is_ok() && !text.starts_with('+');
    if is_port(text) {
        return Some(format!("--port {text}"));
    }
    if super::values::bind_address(text).is_ok() {
        return Some(format!("--bind {text}"));
    }
    let (address, port) = text.rsplit_once(':').filter(|(_, port)| is_port(port))?;
    match (address, super::values::bind_address(address)) {
        ("", _) => Some(format!("--port {port}")),
        (_, Ok(address)) => Some(format!("--bind {address} --port {port}")),
        _ => None,
    }
}

/// What is wrong with a ROOT that does not exist.
pub(crate) fn missing_root(root: &Path) -> String {
    match root.to_str().and_then(listen_options) {
        Some(options) => format!("no such directory or file (to listen there: webserver {options})"),
        None => "no such directory or file (give what to serve: webserver ROOT)".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::{CommandFactory, Parser};
    use std::collections::HashSet;

    fn refusal(arguments: &[&str]) -> String {
        let error = Cli::try_parse_from(["webserver"].iter().chain(arguments)).unwrap_err();
        with_advice(error, arguments.first().map(OsStr::new)).to_string()
    }

    #[test]
    fn advice_is_one_line_and_names_options_that_exist() {
        let command = Cli::command();
        let exists = |option: &str| {
            command
                .get_arguments()
                .any(|arg| arg.get_long().is_some_and(|long| option.strip_prefix("--") == Some(long)))
        };
        let mut seen = HashSet::new();
        for (names, advice) in ADVICE {
            let ours = advice.split(": caddy ").next().unwrap();
            for option in ours.split([' ', ';', ',']).filter(|word| word.starts_with("--")) {
                assert!(exists(option), "{option} does not exist: {advice}");
            }
            for name in *names {
                assert!(seen.insert(name), "{name} is listed twice");
                let refusal = refusal(&[name, "value"]);
                let tips: Vec<&str> = refusal.lines().filter(|line| line.trim_start().starts_with("tip: ")).collect();
                assert!(matches!(tips[..], [tip] if tip.ends_with(advice)), "{refusal}");
            }
        }
    }

    #[test]
    fn place_to_listen_on_is_told_from_a_directory() {
        for (text, expected) in [
            ("8080", "--port 8080"),
            (":8080", "--port 8080"),
            ("localhost", "--bind localhost"),
            ("127.0.0.1", "--bind 127.0.0.1"),
            ("0.0.0.0:8080", "--bind 0.0.0.0 --port 8080"),
            ("[::1]:8080", "--bind ::1 --port 8080"),
        ] {
            assert!(missing_root(Path::new(text)).ends_with(&format!("(to listen there: webserver {expected})")));
            let refusal = refusal(&["public", text]);
            assert!(refusal.contains(&format!("\n  tip: use {expected}\n")), "{refusal}");
            let refusal = self::refusal(&[text, "public"]);
            assert!(refusal.contains(&format!("\n  tip: use {expected} public\n")), "{refusal}");
        }
        for directory in ["public", "80800", "a:80", "./8080", "+80", ":", ""] {
            assert!(missing_root(Path::new(directory)).contains("webserver ROOT"), "{directory}");
        }
    }

    #[test]
    fn value_of_an_option_is_no_place_to_listen_on() {
        for arguments in [&["--port", "8080", "public", "other"][..], &["public", "other"]] {
            assert!(!refusal(arguments).contains("tip: use"), "{arguments:?}");
        }
    }

    #[test]
    fn misspelt_option_keeps_the_advice_of_the_parser() {
        let refusal = refusal(&["--prot", "80"]);
        assert!(refusal.contains("tip: a similar argument exists: '--port'"), "{refusal}");
    }
}
