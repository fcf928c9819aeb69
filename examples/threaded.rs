//! The bonus of the lab: a server with a thread for each connection.
//!
//! It teaches what threads offer and what they cost. A client that sends nothing blocks only its own thread, so all
//! others are served, and connections can be kept for the next request. But nothing limits the number of threads: a
//! client that opens 100,000 connections gets 100,000 of them.
//!
//! Read on in `crates/http-server/src/plain.rs`: a fixed number of such threads, each of which accepts, reads and writes,
//! with a deadline for every call. `webserver --engine plain` runs it. What it cannot do is the reason for the reactor, the
//! default: with as many slow clients as threads, all others wait.
//!
//!     cargo run --bin threaded examples/www

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http_server::http_core::Status;
use http_server::{Request, Response, blocking};

fn main() -> io::Result<()> {
    let directory = PathBuf::from(std::env::args().nth(1).unwrap_or(".".into()));
    let port = std::env::args().nth(2).map_or(Ok(6789), |port| port.parse()).map_err(io::Error::other)?;
    let listener = TcpListener::bind(("localhost", port))?;
    println!("listening on http://{}/", listener.local_addr()?);

    // The path is safe to use: it has no `..` segments. Without its slash it cannot leave the directory.
    let handler = Arc::new(move |request: &Request<'_>| {
        match std::fs::read(directory.join(request.path().trim_start_matches('/'))) {
            Ok(body) => Response::empty(Status::OK).body(body),
            Err(_) => Response::not_found(),
        }
    });
    for client in listener.incoming() {
        let (client, handler) = (client?, handler.clone());
        client.set_read_timeout(Some(Duration::from_secs(15)))?;
        thread::spawn(move || blocking::serve_tcp(&client, &handler));
    }
    Ok(())
}
