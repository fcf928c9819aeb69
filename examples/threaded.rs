//! The bonus of the lab: a server with a thread for each connection.
//!
//! It teaches what threads give and what they cost. A client that says nothing stops only its own thread, so everybody
//! else is served, and connections may be kept for the next request. But nothing bounds the number of threads:
//! whoever opens 100,000 connections gets 100,000 of them. `webserver` serves the same with a fixed number.
//!
//!     cargo run --bin threaded examples/www

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use http_core::server::{Connection, Event, Response, ResponseBody};
use http_core::{FieldBlock, Limits, Status};

fn main() -> io::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or(".".into());
    let port = std::env::args().nth(2).map_or(Ok(6789), |port| port.parse()).map_err(io::Error::other)?;
    let listener = TcpListener::bind(("localhost", port))?;
    println!("listening on http://{}/", listener.local_addr()?);
    for client in listener.incoming() {
        let directory = directory.clone();
        thread::spawn(move || client.and_then(|client| serve(client, Path::new(&directory))));
    }
    Ok(())
}

fn serve(mut client: TcpStream, directory: &Path) -> io::Result<()> {
    let mut connection = Connection::new(Limits::default());
    loop {
        let (status, body) = match connection.poll() {
            Ok(Event::NeedInput) => {
                match client.read(connection.receive_buffer())? {
                    0 => connection.received_eof(),
                    n => connection.received(n),
                }
                continue;
            }
            Ok(Event::Request(request)) => answer(&request.path, directory),
            Ok(Event::Body(_)) => continue, // nobody wants it here
            Ok(_) => return Ok(()),
            Err(error) => (error.status(), format!("{error}\n").into_bytes()),
        };
        let fields = FieldBlock::new();
        let reply = Response { body: ResponseBody::Bytes(&body), ..Response::new(status, &fields) };
        let mut out = Vec::new();
        // To a HEAD no body is sent, and the library knows.
        let _whole = connection.respond(&reply, &mut out).map_err(io::Error::other)?;
        client.write_all(&out)?;
    }
}

/// The path is safe to use: it has no `..` left and cannot begin with a slash.
fn answer(path: &http_core::Path<'_>, directory: &Path) -> (Status, Vec<u8>) {
    let mut name = Vec::new();
    path.decode_to(&mut name);
    match std::fs::read(directory.join(String::from_utf8_lossy(&name).as_ref())) {
        Ok(body) => (Status::OK, body),
        Err(_) => (Status::NOT_FOUND, b"There is no such file here.\n".to_vec()),
    }
}
