//! The bonus of the lab: a server with a thread for each connection.
//!
//! It teaches what threads offer and what they cost. A client that sends nothing blocks only its own thread, so all
//! others are served, and connections can be kept for the next request. But nothing limits the number of threads: a
//! client that opens 100,000 connections gets 100,000 of them.
//!
//! Read on in `crates/http-server/src/plain.rs`: a fixed number of such threads, each of which accepts, reads and
//! writes, with a deadline for every call. `webserver --engine plain` runs it. What it cannot do is the reason for the
//! reactor, the default: with as many slow clients as threads, all others wait.
//!
//!     cargo run --bin threaded examples/www

use std::io;
use std::net::TcpListener;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http_server::http_core::Status;
use http_server::{Request, Response, blocking};

const PATIENCE: Duration = Duration::from_secs(15);

fn main() -> io::Result<()> {
    let directory = PathBuf::from(std::env::args().nth(1).unwrap_or(".".into()));
    let port = std::env::args().nth(2).map_or(Ok(6789), |port| port.parse()).map_err(io::Error::other)?;
    let listener = TcpListener::bind(("localhost", port))?;
    println!("listening on http://{}/", listener.local_addr()?);

    let handler = Arc::new(move |request: &Request<'_>| {
        let body = file_name(&directory, &request.path()).and_then(|name| std::fs::read(name).ok());
        body.map_or(Response::not_found(), |body| Response::empty(Status::OK).body(body))
    });
    for client in listener.incoming() {
        let (Ok(client), handler) = (client, handler.clone()) else { continue }; // it has left already, for example
        thread::spawn(move || {
            client.set_read_timeout(Some(PATIENCE))?;
            client.set_write_timeout(Some(PATIENCE))?; // without it, one that reads nothing holds its thread for ever
            blocking::serve_tcp(&client, &handler)
        });
    }
    Ok(())
}

/// The path has no `..` segments, and without its slash it stays below the directory. But on Windows a drive or a
/// backslash leads elsewhere.
fn file_name(directory: &Path, path: &str) -> Option<PathBuf> {
    let name = Path::new(path.trim_start_matches('/'));
    let is_plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    is_plain.then(|| directory.join(name))
}
