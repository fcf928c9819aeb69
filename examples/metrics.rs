//! A directory of files on one port, and its numbers for Prometheus on another that only this machine reaches.
//!
//! It teaches that servers are values: two of them run beside each other, and the handler of one, a closure, holds on to
//! the other.
//!
//!     cargo run --bin metrics examples/www

use std::io;
use std::path::Path;

use webserver::http_core::{FieldValue, Method, Status};
use webserver::{Counts, Files, Request, Response, Server};

fn main() -> io::Result<()> {
    let argument = |n, default: &str| std::env::args().nth(n).unwrap_or(default.into());
    let port = |n, default| argument(n, default).parse::<u16>().map_err(io::Error::other);
    let directory = argument(1, ".");

    let files = Server::bind_all(port(2, "6789")?)?.start(Files::new(Path::new(&directory))?)?;
    let stopper = files.stopper();
    let metrics = move |request: &Request<'_>| match (request.head.method, request.head.target.raw_path()) {
        (Method::Get | Method::Head, "/metrics") => Response::bytes(
            FieldValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
            in_prometheus_text(&stopper.counts()).into_bytes(),
        ),
        _ => Response { status: Status::NOT_FOUND, ..Response::text("The numbers are at /metrics.\n") },
    };
    let numbers = Server::bind(("127.0.0.1", port(3, "6790")?))?.threads(1).start(metrics)?;

    println!("listening on http://localhost:{}/", files.addresses()[0].port());
    println!("listening on http://{}/metrics", numbers.addresses()[0]);
    println!("{}", files.join());
    Ok(())
}

fn in_prometheus_text(counts: &Counts) -> String {
    let ends = [
        ("completed", counts.completed),
        ("refused", counts.refused),
        ("timed_out", counts.timed_out),
        ("aborted", counts.aborted),
        ("failed", counts.failed),
    ];
    let mut text = format!(
        "# HELP http_connections_accepted_total Connections that were accepted.\n\
         # TYPE http_connections_accepted_total counter\n\
         http_connections_accepted_total {}\n\
         # HELP http_connections_ended_total Connections that have ended, by how they did.\n\
         # TYPE http_connections_ended_total counter\n",
        counts.accepted
    );
    for (end, count) in ends {
        text.push_str(&format!("http_connections_ended_total{{end=\"{end}\"}} {count}\n"));
    }
    text.push_str(&format!(
        "# HELP http_connections Connections that are open.\n\
         # TYPE http_connections gauge\n\
         http_connections {}\n",
        counts.accepted - counts.ended()
    ));
    text
}
