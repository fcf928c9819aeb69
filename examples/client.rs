//! Part 2 of the lab: a client.
//!
//! It teaches the other side of the protocol: connect, send a request, and know where the answer ends, which is what
//! the length in its head, or the close of the connection, is for. An answer that is cut short is told apart from a
//! whole one.
//!
//!     cargo run --bin client localhost 6789 HelloWorld.html

use std::error::Error;
use std::io::{self, Read, Write};
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

    let mut shown = io::stdout().lock();
    loop {
        match connection.poll()? {
            Event::NeedInput => match server.read(connection.receive_buffer())? {
                0 => connection.received_eof(),
                n => connection.received(n),
            },
            Event::Response(head) => shown.write_all(head.bytes)?,
            Event::Body(bytes) => shown.write_all(bytes)?,
            _ => return Ok(()), // the answer is whole
        }
    }
}
