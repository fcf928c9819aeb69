//! The metrics of the server in the Prometheus text format, served by a second, small server. It shares nothing with
//! the first but the numbers, so scrapes cannot slow down the files.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_files::Files;
use http_server::http_core::{Method, Status};
use http_server::{Request, Response, RunningServer, Server, ServerConfig, Stats, StatsHandle};

use crate::cli::BindAddress;
use crate::listeners;

/// Descriptors of this server: 8 of its own, 16 connections, and 64 connections that receive 503.
pub(crate) const DESCRIPTORS: u64 = 88;
/// Bytes of memory of this server: the stacks of its threads, and request heads.
pub(crate) const MEMORY: u64 = 6 << 20;

const CONNECTIONS: u32 = 16;
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Listens on the address. [`start`] begins to serve.
pub(crate) fn bind((at, port): &(BindAddress, u16)) -> Result<Server, String> {
    let server = listeners::listen(at, *port).map_err(|(address, error)| {
        format!("cannot listen on {address} for --metrics: {}", listeners::cause(address, "--metrics", &error))
    })?;
    let shutdown_timeout = Duration::from_secs(1);
    Ok(server.config(ServerConfig {
        threads: 1,
        max_connections: CONNECTIONS,
        shutdown_timeout,
        ..ServerConfig::default()
    }))
}

/// Serves the statistics of a server and the number of files that its handler has read.
pub(crate) fn start(server: Server, observed: StatsHandle, files: Arc<Files>) -> io::Result<RunningServer> {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    server.start(move |request: &Request<'_>| match (request.method(), &*request.path()) {
        (Method::Get | Method::Head, "/metrics") => {
            Response::bytes(TYPE, text(&observed.stats(), files.files_read(), started))
        }
        (_, "/metrics") => Response::method_not_allowed("GET, HEAD"),
        _ => Response::text("The metrics are at /metrics.\n").status(Status::NOT_FOUND),
    })
}

fn text(stats: &Stats, files_read: u64, started: f64) -> String {
    let Stats {
        accepted,
        completed,
        refused,
        timed_out,
        aborted,
        failed,
        dropped_log_lines,
        responses,
        bytes_sent,
        ..
    } = *stats;
    let ends = [
        ("{end=\"completed\"}", completed),
        ("{end=\"refused\"}", refused),
        ("{end=\"timed_out\"}", timed_out),
        ("{end=\"aborted\"}", aborted),
        ("{end=\"failed\"}", failed),
    ];
    let classes = [
        ("{class=\"2xx\"}", responses.success),
        ("{class=\"3xx\"}", responses.redirect),
        ("{class=\"4xx\"}", responses.client_error),
        ("{class=\"5xx\"}", responses.server_error),
    ];
    let open = accepted.saturating_sub(stats.ended());
    let mut text = String::with_capacity(2048);
    for (name, kind, help, samples) in [
        ("webserver_connections_accepted_total", "counter", "Connections accepted.", &[("", accepted)][..]),
        ("webserver_connections_ended_total", "counter", "Connections closed, by outcome.", &ends),
        ("webserver_connections", "gauge", "Open connections.", &[("", open)]),
        ("webserver_replies_total", "counter", "Responses, complete or cut off, by status class.", &classes),
        ("webserver_sent_bytes_total", "counter", "Bytes of responses sent, heads and bodies.", &[("", bytes_sent)]),
        (
            "webserver_files_read_total",
            "counter",
            "Files read from disk because they were not cached.",
            &[("", files_read)],
        ),
        ("webserver_log_lines_lost_total", "counter", "Access log lines lost.", &[("", dropped_log_lines)]),
    ] {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (label, value) in samples {
            text.push_str(&format!("{name}{label} {value}\n"));
        }
    }
    let name = "process_start_time_seconds";
    let help = "Start time of the process since the Unix epoch in seconds.";
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {started:.3}\n"));
    text
}
