//! The counters of the server in Prometheus' text format, on a listener of their own: a second, small server, which takes
//! nothing from the first but its numbers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_files::Files;
use http_server::http_core::Method;
use http_server::{Request, Response, RunningServer, Server, ServerConfig, Stats, StatsHandle};

use crate::os_error::describe;

/// Descriptors that it takes: its own, those of its connections, and of those who are told that there is no room.
pub(crate) const DESCRIPTORS: u64 = 88;
/// Bytes of memory: two stacks, and as many heads.
pub(crate) const MEMORY: u64 = 6 << 20;

const CONNECTIONS: u32 = 16;
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Listens; nothing is answered before [`start`].
pub(crate) fn bind(address: SocketAddr) -> Result<Server, String> {
    let server = Server::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!("{address} is in use; choose another by --metrics IP:PORT"),
        io::ErrorKind::AddrNotAvailable => {
            format!("{} is none of this machine's addresses; name one that is by --metrics IP:PORT", address.ip())
        }
        _ => format!("cannot listen on {address} for --metrics: {}", describe(&error)),
    })?;
    let shutdown_timeout = Duration::from_secs(1);
    Ok(server.config(ServerConfig {
        threads: 1,
        max_connections: CONNECTIONS,
        shutdown_timeout,
        ..ServerConfig::default()
    }))
}

/// Answers with what the server counts, and the files that its handler has read.
pub(crate) fn start(server: Server, counted: StatsHandle, files: Arc<Files>) -> io::Result<RunningServer> {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    server.start(move |request: &Request<'_>| match (request.method(), &*request.path()) {
        (Method::Get | Method::Head, "/metrics") => {
            Response::bytes(TYPE, text(&counted.stats(), files.files_read(), started))
        }
        (_, "/metrics") => Response::method_not_allowed("GET, HEAD"),
        _ => Response::not_found(),
    })
}

fn text(counts: &Stats, read: u64, started: f64) -> String {
    let Stats { accepted, completed, refused, timed_out, aborted, failed, dropped_log_lines, responses, .. } = *counts;
    let ends = [
        ("{end=\"completed\"}", completed),
        ("{end=\"refused\"}", refused),
        ("{end=\"timed_out\"}", timed_out),
        ("{end=\"aborted\"}", aborted),
        ("{end=\"failed\"}", failed),
    ];
    let replies = [
        ("{class=\"2xx\"}", responses.success),
        ("{class=\"3xx\"}", responses.redirect),
        ("{class=\"4xx\"}", responses.client_error),
        ("{class=\"5xx\"}", responses.server_error),
    ];
    let open = accepted.saturating_sub(counts.ended());
    let mut text = String::with_capacity(2048);
    for (name, kind, help, samples) in [
        ("webserver_connections_accepted_total", "counter", "Connections that were accepted.", &[("", accepted)][..]),
        ("webserver_connections_ended_total", "counter", "Connections that have ended, by how they did.", &ends),
        ("webserver_connections", "gauge", "Connections that are open.", &[("", open)]),
        ("webserver_replies_total", "counter", "Replies, whole or cut short, by the class of their status.", &replies),
        ("webserver_sent_bytes_total", "counter", "Bytes of replies, heads and bodies.", &[("", counts.bytes_sent)]),
        (
            "webserver_files_read_total",
            "counter",
            "Files that were read since memory had none as fresh.",
            &[("", read)],
        ),
        (
            "webserver_log_lines_lost_total",
            "counter",
            "Queue that the access log has lost.",
            &[("", dropped_log_lines)],
        ),
    ] {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (label, value) in samples {
            text.push_str(&format!("{name}{label} {value}\n"));
        }
    }
    let name = "process_start_time_seconds";
    let help = "When the process started, in seconds since 1970.";
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {started:.3}\n"));
    text
}
