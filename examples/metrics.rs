//! A directory of files on one port, and its statistics for Prometheus on another that only this machine reaches.
//!
//! It teaches that servers are values: two of them run side by side, and the handler of one, a closure, reads the
//! statistics of the other.
//!
//!     cargo run --bin metrics examples/www

use std::io;
use std::path::Path;

use http_files::Files;
use http_server::http_core::Method;
use http_server::{Request, Response, Server, Stats};

fn main() -> io::Result<()> {
    let argument = |n, default: &str| std::env::args().nth(n).unwrap_or(default.into());
    let port = |n, default| argument(n, default).parse::<u16>().map_err(io::Error::other);
    let directory = argument(1, ".");

    let files = Server::bind_any(port(2, "6789")?)?.start(Files::new(Path::new(&directory))?)?;
    let stats_handle = files.stats_handle();
    let metrics = move |request: &Request<'_>| match (request.method(), &*request.path()) {
        (Method::Get | Method::Head, "/metrics") => {
            Response::bytes("text/plain; version=0.0.4; charset=utf-8", prometheus_text(&stats_handle.stats()))
        }
        (_, "/metrics") => Response::method_not_allowed("GET, HEAD"),
        _ => Response::not_found(),
    };
    let metrics = Server::bind(("127.0.0.1", port(3, "6790")?))?.threads(1).start(metrics)?;

    println!("metrics at http://{}/metrics", metrics.local_addrs()[0]);
    println!("listening on http://localhost:{}/", files.local_addrs()[0].port());
    println!("{}", files.join());
    Ok(())
}

fn prometheus_text(stats: &Stats) -> String {
    let outcomes = [
        ("completed", stats.completed),
        ("refused", stats.refused),
        ("timed_out", stats.timed_out),
        ("aborted", stats.aborted),
        ("failed", stats.failed),
    ];
    let mut text = format!(
        "# HELP http_connections_accepted_total Connections accepted.\n\
         # TYPE http_connections_accepted_total counter\n\
         http_connections_accepted_total {}\n\
         # HELP http_connections_ended_total Connections closed, by outcome.\n\
         # TYPE http_connections_ended_total counter\n",
        stats.accepted
    );
    for (outcome, count) in outcomes {
        text.push_str(&format!("http_connections_ended_total{{outcome=\"{outcome}\"}} {count}\n"));
    }
    text.push_str(&format!(
        "# HELP http_connections Open connections.\n\
         # TYPE http_connections gauge\n\
         http_connections {}\n",
        stats.open.total()
    ));
    text
}
