//! Part 1 of the lab: a server that serves one request at a time.
//!
//! It teaches what a server is made of: a listening socket, a connected socket for each client, and between them a
//! protocol. The protocol is `http-core`'s, which owns no socket: it is given what was read and says what to write.
//!
//!     cargo run --bin one_request examples/www
//!
//! Its weakness is worth seeing: a client that connects and says nothing stops everybody else.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use http_core::server::{Connection, Event, Response, ResponseBody};
use http_core::{FieldBlock, Limits, Status};

fn main() -> io::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or(".".into());
    let port = std::env::args().nth(2).map_or(Ok(6789), |port| port.parse()).map_err(io::Error::other)?;
    let listener = TcpListener::bind(("localhost", port))?;
    println!("listening on http://{}/", listener.local_addr()?);
    for client in listener.incoming() {
        if let Err(error) = client.and_then(|client| serve(client, Path::new(&directory))) {
            eprintln!("{error}");
        }
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
            Ok(_) => return Ok(()),
            Err(error) => (error.status(), format!("{error}\n").into_bytes()),
        };
        let fields = FieldBlock::new();
        // `close`: this server has time for one request a connection only.
        let reply = Response { body: ResponseBody::Bytes(&body), close: true, ..Response::new(status, &fields) };
        let mut out = Vec::new();
        // To a HEAD no body is sent, and the library knows.
        let _whole = connection.respond(&reply, &mut out).map_err(io::Error::other)?;
        return client.write_all(&out);
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
