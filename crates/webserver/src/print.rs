//! What the program prints instead of serving: limits, an explanation, a line of the users file, shell completions, the
//! man page.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use clap::CommandFactory;
use http_files::Files;
use http_server::auth::{self, BasicAuth};
use http_server::http_core::Limits;
use http_server::{Engine, Handler, ServerConfig, Timeouts};

use crate::cli::Cli;
use crate::system::process;
use crate::users::UsersFile;
use crate::{explain, hash_password, metrics, site, users};

/// The text that an option asks for, if one does.
pub(crate) fn requested(cli: &Cli) -> Result<Option<Vec<u8>>, String> {
    Ok(Some(if cli.print_limits {
        limits(cli).into_bytes()
    } else if let Some(request) = &cli.explain {
        explain(cli, request)?.into_bytes()
    } else if let Some(user) = &cli.hash_password {
        hash_password::line(user.as_deref())?.into_bytes()
    } else if let Some(shell) = cli.completions {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "webserver", &mut script);
        script
    } else if cli.man {
        man_page().map_err(|error| format!("cannot write the man page: {error}"))?
    } else {
        return Ok(None);
    }))
}

fn limits(cli: &Cli) -> String {
    let max_fds = process::max_fds();
    let config = cli.config(max_fds);
    let mut text = String::new();
    for (name, limit, meaning) in rows(&config).into_iter().chain(cache_rows(cli, max_fds)).chain(archive_rows()) {
        text.push_str(&format!("{name:32} {limit:>14}   {meaning}\n"));
    }
    text.push_str("\nmaximum memory\n");
    let readers = if config.engine == Engine::Plain { config.plain_threads } else { config.threads };
    let files = Files::memory_bound(cli.cache_size(), readers);
    let mut total = 0;
    let files = [("cached files and listings", files), ("archives", Files::ARCHIVE_MEMORY)];
    for (name, bytes) in config.memory_bounds().into_iter().chain(files) {
        text.push_str(&format!("{name:32} {:>10.1} MiB\n", mib(bytes)));
        total += bytes;
    }
    text.push_str(&format!("{:32} {:>10.1} MiB\n", "total", mib(total)));
    for (name, bytes) in [
        ("more with --metrics", cli.metrics.as_ref().map(|_| metrics::memory_bound())),
        ("more with --auth", cli.auth.as_ref().map(|_| users::MEMORY)),
    ] {
        let Some(bytes) = bytes else { continue };
        text.push_str(&format!("{name:32} {:>10.1} MiB\n", mib(bytes)));
    }
    text
}

/// Name, limit, and what happens at the limit.
type Row = (&'static str, String, &'static str);

fn rows(config: &ServerConfig) -> Vec<Row> {
    let ServerConfig { limits, timeouts, shutdown_timeout, .. } = config;
    let Limits { start_line, field_line, head, fields, blank_lines, drain, .. } = *limits;
    let bytes = |n: u32| format!("{n} bytes");
    let seconds = |time: Duration| format!("{} s", time.as_secs_f64());
    let mut rows = pool_rows(config);
    rows.extend([
        ("request line", bytes(start_line), "longer: 400, 414 or 501"),
        ("header line", bytes(field_line), "longer: 431"),
        ("headers", fields.to_string(), "more: 431"),
        ("all headers", bytes(head), "longer: 431"),
        ("blank lines before a request", blank_lines.to_string(), "more: 400"),
        ("discarded request body", format!("{drain} bytes"), "longer: the connection is closed"),
        ("header timeout", seconds(timeouts.head), "then 408, or a close if no byte has arrived"),
        ("idle timeout", seconds(timeouts.idle), "then the connection is closed"),
        ("body timeout", seconds(timeouts.body), "plus the time of its bytes at the minimum rate"),
        ("  minimum rate", format!("{} bytes/s", timeouts.min_rate), "0: off"),
        (
            "  timeout without progress",
            timeouts.stall().map_or("none".into(), seconds),
            "then the connection is closed",
        ),
        ("logins waiting (--auth)", auth::MAX_WAITING.to_string(), "more, or after 30 s: 503 with Retry-After"),
        ("lingering close", seconds(Timeouts::LINGER), "or 2 MiB, or 2 s without a byte"),
        ("shutdown timeout", seconds(*shutdown_timeout), "then unfinished responses are cut off"),
    ]);
    rows
}

/// What the engine limits.
fn pool_rows(config: &ServerConfig) -> Vec<Row> {
    let ServerConfig { threads, plain_threads, pollers, max_connections, .. } = config;
    if config.engine == Engine::Plain {
        return vec![("connections served at once", plain_threads.to_string(), "more: they wait in the backlog")];
    }
    vec![
        (
            "files opened or read at once",
            threads.to_string(),
            "more: requests wait; at most half on other file systems",
        ),
        ("threads waiting for events", pollers.to_string(), "default: half of the cores"),
        ("connections", max_connections.to_string(), "more: the longest idle one is closed, or 503 with Retry-After"),
        ("  503 responses at once", ServerConfig::OVERLOAD_CONNECTIONS.to_string(), "more: closed without a response"),
    ]
}

fn cache_rows(cli: &Cli, max_fds: u64) -> [Row; 2] {
    let size = format!("{} MiB", cli.cache_size() >> 20);
    let descriptors = cli.cached_descriptors(max_fds);
    [
        ("cached files", size, "of at most 16 KiB each, with their headers; more: others are dropped"),
        ("  kept open", descriptors.to_string(), "larger files; more: others are closed"),
    ]
}

fn archive_rows() -> [Row; 5] {
    let cut_off = "more: the response is cut off";
    [
        ("archives at once", Files::MAX_ARCHIVES.to_string(), "more: 503 with Retry-After"),
        ("  entries", Files::MAX_ARCHIVE_ENTRIES.to_string(), cut_off),
        ("  directories in one another", Files::MAX_ARCHIVE_DEPTH.to_string(), cut_off),
        ("  names in a directory", Files::MAX_ARCHIVE_NAMES_READ.to_string(), "more: 403, or the response is cut off"),
        ("  names waiting", format!("{} KiB", Files::MAX_ARCHIVE_NAME_BYTES >> 10), "more: as above"),
    ]
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn explain(cli: &Cli, request: &str) -> Result<String, String> {
    let request = explain::request(request);
    let files = Arc::new(site::files(cli)?);
    let handler: Arc<dyn Handler> = match UsersFile::of(cli) {
        Some(file) => Arc::new(BasicAuth::new(file.read()?, files)),
        None => files,
    };
    Ok(explain::explain(site::at_allowed_hosts(cli, handler), !cli.no_keep_alive, cli.verbose, &request))
}

/// The man page, in section 1.
fn man_page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(page)
}
