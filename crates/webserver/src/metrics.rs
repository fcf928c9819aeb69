//! The metrics of the server in the Prometheus text format, served by a second, small server. It shares nothing with
//! the first but the numbers, so scrapes cannot slow down the files.

use std::fmt::{self, Display};
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_files::Files;
use http_server::http_core::{Method, Status};
use http_server::{
    ConnectionOutcome, Request, RequestStats, Response, RunningServer, Server, ServerConfig, Stats, StatsHandle,
};

use crate::cli::BindAddress;
use crate::listeners;

/// Descriptors of this server: 8 of its own, 16 connections, and 64 connections that receive 503.
pub(crate) const DESCRIPTORS: u64 = 88;
const CONNECTIONS: u32 = 16;
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Listens on the address. [`start`] begins to serve.
pub(crate) fn bind((at, port): &(BindAddress, u16)) -> Result<Server, String> {
    let server = listeners::listen(at, *port).map_err(|(address, error)| {
        format!("cannot listen on {address} for --metrics: {}", listeners::cause(address, "--metrics", &error))
    })?;
    Ok(server.config(config()))
}

fn config() -> ServerConfig {
    ServerConfig {
        threads: 1,
        max_connections: CONNECTIONS,
        shutdown_timeout: Duration::from_secs(1),
        head_budget: 1 << 20,
        body_budget: 0,
        send_budget: 1 << 20,
        ..ServerConfig::default()
    }
}

/// The most bytes of memory that this server uses beside the first.
pub(crate) fn memory_bound() -> u64 {
    let is_its_own = |name: &str| !matches!(name, "program" | "access log");
    config().memory_bounds().iter().filter(|(name, _)| is_its_own(name)).map(|(_, bytes)| bytes).sum()
}

/// Serves the statistics of a server and of the cache of its handler.
pub(crate) fn start(server: Server, observed: StatsHandle, files: Arc<Files>) -> io::Result<RunningServer> {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    server.start(move |request: &Request<'_>| match (request.method(), &*request.path()) {
        (Method::Get | Method::Head, "/metrics") => {
            let mut text = Text(String::with_capacity(8192));
            connections(&mut text, &observed.stats());
            requests(&mut text, &observed.requests());
            text.single("webserver_cache_hits_total", "Files taken from the cache.", files.cache_hits());
            let help = "Files read from disk because they were not cached.";
            text.single("webserver_files_read_total", help, files.files_read());
            text.single("process_start_time_seconds", "Start of the process since the Unix epoch.", started);
            Response::bytes(TYPE, text.0)
        }
        (_, "/metrics") => Response::method_not_allowed("GET, HEAD"),
        _ => Response::text("The metrics are at /metrics.\n").status(Status::NOT_FOUND),
    })
}

fn connections(text: &mut Text, stats: &Stats) {
    text.single("webserver_connections_accepted_total", "Connections accepted.", stats.accepted);
    let name = "webserver_connections_ended_total";
    text.family(name, "counter", "Connections closed, by how they ended.");
    for (reason, n) in stats.ended_by_reason() {
        let outcome = match reason.outcome() {
            ConnectionOutcome::Completed => "completed",
            ConnectionOutcome::Refused => "refused",
            ConnectionOutcome::TimedOut => "timed_out",
            ConnectionOutcome::Aborted => "aborted",
            ConnectionOutcome::Failed => "failed",
        };
        text.sample(format_args!("{name}{{outcome=\"{outcome}\",end=\"{}\"}}", reason.name()), n);
    }
    let open = stats.open;
    text.single("webserver_connections", "Open connections.", open.total());
    text.single("webserver_connections_parked", "Open connections that take no thread.", open.parked());
    let name = "webserver_connections_by_state";
    text.family(name, "gauge", "Open connections, by what they do.");
    for (state, n) in [
        ("active", open.active),
        ("held", open.held),
        ("head", open.head),
        ("idle", open.idle),
        ("body", open.body),
        ("response", open.response),
        ("closing", open.closing),
    ] {
        text.sample(format_args!("{name}{{state=\"{state}\"}}"), n);
    }
    text.single("webserver_log_lines_lost_total", "Access log lines lost.", stats.dropped_log_lines);
}

fn requests(text: &mut Text, stats: &RequestStats) {
    let name = "webserver_responses_total";
    text.family(name, "counter", "Responses that have ended, complete or not, by status.");
    for (status, n) in &stats.responses {
        text.sample(format_args!("{name}{{code=\"{}\"}}", status.code()), n);
    }
    let name = "webserver_requests_ended_total";
    text.family(name, "counter", "Requests that have ended, with a response or without, by why they ended.");
    for (reason, n) in stats.ended_by_reason() {
        text.sample(format_args!("{name}{{end=\"{}\"}}", reason.name()), n);
    }
    text.single("webserver_sent_bytes_total", "Bytes of responses sent, heads and bodies.", stats.bytes_sent);
    let name = "webserver_request_duration_seconds";
    text.family(name, "histogram", "Time from the first byte of a request to the end of its response.");
    for (bound, n) in stats.durations.cumulative() {
        text.sample(format_args!("{name}_bucket{{le=\"{}\"}}", bound.as_secs_f64()), n);
    }
    text.sample(format_args!("{name}_bucket{{le=\"+Inf\"}}"), stats.durations.count());
    text.sample(format_args!("{name}_sum"), stats.durations.sum.as_secs_f64());
    text.sample(format_args!("{name}_count"), stats.durations.count());
}

/// The text format of Prometheus.
struct Text(String);

impl Text {
    /// Begins the samples of this name.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.0 += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: fmt::Arguments<'_>, value: impl Display) {
        self.0 += &format!("{name} {value}\n");
    }

    /// A counter or a gauge without labels.
    fn single(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, if name.ends_with("_total") { "counter" } else { "gauge" }, help);
        self.sample(format_args!("{name}"), value);
    }
}
