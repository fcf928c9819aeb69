//! A reverse proxy: it receives requests as a server, and sends each one to its backend as a client.
//!
//! It teaches how the two halves meet in a handler. Hop-by-hop headers are removed, and X-Forwarded-For is
//! replaced. Responses are streamed and not collected. A failure of the backend becomes a 502 or a 504.
//!
//!     cargo run --bin reverse_proxy localhost:6789 8080
//!
//! It leaves out TLS, several servers, kept connections to them, and request bodies of more than 1 MiB (413).

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use http_core::client::{self, Connection, Event};
use http_core::{Authority, FieldBlock, FieldValue, Limits, Status, header};
use http_server::{Action, Body, HandlerError, Request, Response, Server};
use webclient::connection::read_from;

const MAX_BODY: u64 = 1 << 20; // bytes
const OWN_NAME: &[u8] = b"reverse-proxy";

fn main() -> Result<(), Box<dyn Error>> {
    let argument = |n, default: &str| std::env::args().nth(n).unwrap_or(default.into());
    let backend: &str = argument(1, "localhost:6789").leak();
    let backend = Authority::new(backend.as_bytes())?;
    let server = Server::bind(("localhost", argument(2, "8080").parse()?))?.on_message(|text| eprintln!("{text}"));
    let running = server.start(move |request: &Request<'_>| forward(request, backend))?;
    println!("listening on http://{}/", running.local_addrs()[0]);
    running.join();
    Ok(())
}

/// Makes the request to the backend, and sends it when its body has arrived.
fn forward(request: &Request<'_>, backend: Authority<'static>) -> Result<Action, HandlerError> {
    let mut fields = FieldBlock::new();
    fields.forward(&request.headers(), request.version(), Authority::new(OWN_NAME)?);
    fields.set(header::X_FORWARDED_FOR, FieldValue::new(request.client_ip().to_string().as_bytes())?)?;
    if !fields.update_max_forwards(request.head()) {
        return Err(HandlerError::new(
            Status::NOT_IMPLEMENTED,
            "Max-Forwards is 0, and this proxy implements no method",
        ));
    }
    let (mut machine, mut message) = (Connection::new(Limits::default()), Vec::new());
    let _rest = machine.request(&client::Request::forwarded_to(request.head(), backend, &fields), &mut message)?;
    Ok(Action::collect_body(MAX_BODY, move |body| {
        message.extend_from_slice(&body);
        machine.body_sent(body.len() as u64)?;
        respond(backend, machine, &message).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                HandlerError::new(Status::GATEWAY_TIMEOUT, "the backend is too slow")
            }
            _ => HandlerError::new(Status::BAD_GATEWAY, "the backend did not respond").cause(error),
        })
    }))
}

/// Sends a message to the backend, and returns when the head of its response has arrived.
fn respond(backend: Authority<'_>, mut machine: Connection, message: &[u8]) -> io::Result<Response> {
    let mut stream = TcpStream::connect(backend.endpoint())?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(message)?;
    let (response, length) = loop {
        match machine.poll().map_err(io::Error::other)? {
            Event::NeedInput => drop(read_from(&mut machine, &mut stream)?),
            Event::Response(head) => {
                let mut fields = FieldBlock::new();
                fields.forward(&head.fields, head.version, Authority::new(OWN_NAME).map_err(io::Error::other)?);
                break (Response::forwarded(&head, fields), head.content_length());
            }
            _ => return Err(ErrorKind::UnexpectedEof.into()),
        }
    };
    let reader = Box::new(Upstream { machine, stream, piece: io::Cursor::default() });
    Ok(response.body(Body::Reader { reader, length }))
}

/// The body of a response from the backend.
struct Upstream {
    machine: Connection,
    stream: TcpStream,
    /// The part of the body that was received but not read yet.
    piece: io::Cursor<Vec<u8>>,
}

impl Read for Upstream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.piece.read(buffer)? {
                0 => match self.machine.poll().map_err(io::Error::other)? {
                    Event::NeedInput => drop(read_from(&mut self.machine, &mut self.stream)?),
                    Event::Body(bytes) => self.piece = io::Cursor::new(bytes.to_vec()),
                    _ => return Ok(0),
                },
                n => return Ok(n),
            }
        }
    }
}
