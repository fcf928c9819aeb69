//! Part 1 of the lab: a server that serves one request at a time.
//!
//! It teaches what a server is made of: a listening socket, a connected socket for each client, and between them a
//! protocol. The protocol is `http-core`'s, which owns no socket: it gets the bytes that were read,
//! and returns the bytes to write.
//!
//!     cargo run --bin one_request examples/www
//!
//! Its weakness is worth seeing: a client that connects and sends nothing blocks all others.

use std::error::Error;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Component, Path};

use http_core::server::{Connection, Event, Response, ResponseBody};
use http_core::{FieldBlock, Limits, Status};
use http_server::blocking::read_from;

fn main() -> io::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or(".".into());
    let port = std::env::args().nth(2).map_or(Ok(6789), |port| port.parse()).map_err(io::Error::other)?;
    let listener = TcpListener::bind(("localhost", port))?;
    println!("listening on http://{}/", listener.local_addr()?);
    for client in listener.incoming() {
        if let Err(error) = client.map_err(Box::from).and_then(|client| serve(client, Path::new(&directory))) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

fn serve(mut client: TcpStream, directory: &Path) -> Result<(), Box<dyn Error>> {
    let mut connection = Connection::new(Limits::default());
    let (status, body) = loop {
        match connection.poll() {
            Ok(Event::NeedInput) => drop(read_from(&mut connection, &mut client)?),
            Ok(Event::Request(request)) => break read(&request.path, directory),
            Ok(_) => return Ok(()),
            Err(error) => break (error.status(), format!("{error}\n").into_bytes()),
        }
    };
    let fields = FieldBlock::new();
    // `close`: this server has time for only one request per connection.
    let response = Response { body: ResponseBody::Bytes(&body), close: true, ..Response::new(status, &fields) };
    let mut out = Vec::new();
    // The response to HEAD has no body: the library leaves it out.
    let _complete = connection.respond(&response, &mut out)?;
    Ok(client.write_all(&out)?)
}

/// The decoded path has no `..` segments and no slash in front. But on Windows a drive or a backslash leads elsewhere.
fn read(path: &http_core::Path<'_>, directory: &Path) -> (Status, Vec<u8>) {
    let mut name = Vec::new();
    path.decode_to(&mut name);
    let name = String::from_utf8_lossy(&name);
    let is_plain = Path::new(&*name).components().all(|part| matches!(part, Component::Normal(_)));
    match is_plain.then(|| std::fs::read(directory.join(&*name))) {
        Some(Ok(body)) => (Status::OK, body),
        _ => (Status::NOT_FOUND, b"There is no such file here.\n".to_vec()),
    }
}
