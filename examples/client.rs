//! Part 2 of the lab: a client.
//!
//! It teaches the other side of the protocol: connect, send a request, and find the end of the response. The response
//! ends after the length in its head, or when the connection closes. A response that is cut short is an error.
//!
//!     cargo run --bin client localhost 6789 HelloWorld.html

use std::error::Error;
use std::io::{self, Write};
use std::net::TcpStream;

use http_core::client::{Connection, Event, Request};
use http_core::{Authority, FieldBlock, Limits, Method, Target};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, file] = arguments.as_slice() else { return Err("usage: client HOST PORT FILE".into()) };
    let mut server = TcpStream::connect(format!("{host}:{port}"))?;

    let path = format!("/{file}");
    let host = format!("{host}:{port}");
    let host = Authority::new(host.as_bytes())?;
    let fields = FieldBlock::new();
    let request = Request::new(Method::Get, Target::new(path.as_bytes())?, host, &fields);

    let mut connection = Connection::new(Limits::default());
    let mut out = Vec::new();
    let _no_body = connection.request(&request, &mut out)?;
    server.write_all(&out)?;

    let mut stdout = io::stdout().lock();
    loop {
        match connection.poll()? {
            Event::NeedInput => drop(webclient::connection::read_from(&mut connection, &mut server)?),
            Event::Response(head) => stdout.write_all(head.bytes)?,
            Event::Body(bytes) => stdout.write_all(bytes)?,
            _ => return Ok(()), // the response is complete
        }
    }
}
