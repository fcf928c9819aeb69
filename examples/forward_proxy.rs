//! A forward proxy for `http` URLs: the server side receives a request, and the client side sends it on.
//!
//! It teaches how the two connections work together. Hop-by-hop headers are removed. Bodies stream both ways and are
//! not collected. A failure of the server becomes a 502 or 504. Once the response has begun it becomes a reset, because
//! after a plain close a truncated response could look complete.
//!
//!     cargo run --bin forward_proxy
//!     curl -x localhost:3128 http://example.org/
//!
//! It leaves out CONNECT, and so `https` (the core responds 405), chunked request bodies (501), a cache, keep-alive to
//! servers, and authentication: every client that reaches its port can reach what this machine reaches. A client that
//! expects 100 (Continue) gets it from the proxy, not from the server. Each thread waits for one side at a time, and for
//! the server only after the request. Each byte extends the timeout by 30 s.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use http_core::server::{self, Event, RequestHead, Response, ResponseBody, SendBody};
use http_core::{Authority, Date, FieldBlock, Limits, Status, client, header};
use rustix::net::sockopt::set_socket_linger;

const TIMEOUT: Duration = Duration::from_secs(30);

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(3128), |port| port.parse()).map_err(io::Error::other)?;
    let listener = TcpListener::bind(("localhost", port))?;
    let name = listener.local_addr()?.to_string().leak();
    println!("listening on http://{name}/");
    let name = Authority::new(name.as_bytes()).map_err(io::Error::other)?;
    for client in listener.incoming() {
        thread::spawn(move || client.and_then(configure).and_then(|client| serve(client, name)));
    }
    Ok(())
}

fn serve(mut client: TcpStream, name: Authority<'_>) -> io::Result<()> {
    let mut connection = server::Connection::new(Limits { body: u64::MAX, ..Limits::default() });
    let (mut origin, mut out) = (None, Vec::new());
    loop {
        client.write_all(&out)?;
        out.clear();
        match connection.poll() {
            Ok(Event::NeedInput) => match client.read(connection.receive_buffer()) {
                Ok(0) => connection.received_eof(),
                Ok(n) => connection.received(n),
                Err(error) if status_of(&error) == Status::GATEWAY_TIMEOUT => connection.handle_timeout(),
                Err(error) => return Err(error),
            },
            Ok(Event::Request(head)) => match send_head(&head, name) {
                Ok(connected) => origin = Some(connected),
                Err((status, why)) => respond_error(status, why, &mut connection, &mut out)?,
            },
            Ok(Event::Continue(interim)) => out.extend_from_slice(interim),
            Ok(Event::Body(bytes)) => {
                // A server that stops reading may already have sent its response. It gets no more of the body.
                if let Some((server, _)) = &mut origin
                    && server.write_all(bytes).is_err()
                {
                    server.shutdown(Shutdown::Write)?;
                }
            }
            Ok(Event::NeedOutput) => {
                let Some(origin) = origin.take() else { return Ok(()) };
                let Err(error) = forward_response(origin, &mut connection, &mut client, name) else { continue };
                // If a response has begun, there cannot be another one.
                if respond_error(status_of(&error), &error.to_string(), &mut connection, &mut out).is_err() {
                    return Ok(set_socket_linger(&client, Some(Duration::ZERO))?);
                }
            }
            Err(_) => connection.respond_error(now().map(Date::text), &mut out).map_err(io::Error::other)?,
            Ok(_) => break,
        }
    }
    if connection.must_linger() {
        client.shutdown(Shutdown::Write)?;
        client.set_read_timeout(Some(Duration::from_secs(2)))?;
        io::copy(&mut client.take(1 << 20), &mut io::sink())?;
    }
    Ok(())
}

type Origin = (TcpStream, client::Connection);

/// Connects to the server and sends it the head of the request.
fn send_head(head: &RequestHead<'_>, name: Authority<'_>) -> Result<Origin, (Status, &'static str)> {
    if head.fields.tokens(header::VIA).any(|via| via.ends_with(name.as_str().as_bytes())) {
        return Err((Status::BAD_GATEWAY, "forwarding loop"));
    }
    let (mut fields, mut out) = (FieldBlock::new(), Vec::new());
    fields.forward(&head.fields, head.version, name);
    if !fields.update_max_forwards(head) {
        return Err((Status::NOT_IMPLEMENTED, "Max-Forwards is 0, and this proxy itself implements no method"));
    }
    let request = client::Request::forwarded(head, &fields);
    let request = request.ok_or((Status::BAD_REQUEST, "a proxy needs an absolute http URL"))?;
    let mut connection = client::Connection::new(Limits::default());
    let _body = connection.request(&request, &mut out).map_err(|_| (Status::BAD_REQUEST, "cannot be forwarded"))?;
    let connected = TcpStream::connect(request.host.endpoint()).and_then(configure);
    let sent = connected.and_then(|mut server| server.write_all(&out).map(|()| server));
    sent.map(|server| (server, connection)).map_err(|error| (status_of(&error), "cannot reach the server"))
}

/// Forwards the server's response. After an error, either no response was begun or it is incomplete.
fn forward_response(
    origin: Origin,
    to: &mut server::Connection,
    client: &mut TcpStream,
    name: Authority<'_>,
) -> io::Result<()> {
    let (mut server, mut connection) = origin;
    let mut body = SendBody::None;
    loop {
        match connection.poll().map_err(io::Error::other)? {
            client::Event::NeedInput => match server.read(connection.receive_buffer())? {
                0 => connection.received_eof(),
                n => connection.received(n),
            },
            client::Event::Response(head) => {
                let (mut fields, mut out) = (FieldBlock::new(), Vec::new());
                fields.forward(&head.fields, head.version, name);
                let response = Response::forwarded(&head, &fields, now());
                body = to.forward(&response, &mut out).map_err(io::Error::other)?;
                client.write_all(&out)?;
            }
            client::Event::Body(bytes) => {
                client.write_all(bytes)?;
                to.body_sent(bytes.len() as u64).map_err(io::Error::other)?;
            }
            _ if body == SendBody::UntilClose => return to.finish_body().map_err(io::Error::other),
            _ => return Ok(()),
        }
    }
}

fn respond_error(status: Status, why: &str, to: &mut server::Connection, out: &mut Vec<u8>) -> io::Result<()> {
    let (text, fields) = (format!("{status}: {why}\n"), FieldBlock::new());
    let (body, date) = (ResponseBody::Bytes(text.as_bytes()), now().map(Date::text));
    to.respond(&Response { body, date, ..Response::new(status, &fields) }, out).map(drop).map_err(io::Error::other)
}

fn configure(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn status_of(error: &io::Error) -> Status {
    let is_timeout = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    if is_timeout { Status::GATEWAY_TIMEOUT } else { Status::BAD_GATEWAY }
}

fn now() -> Option<Date> {
    Date::from_unix(UNIX_EPOCH.elapsed().ok()?.as_secs() as i64)
}
