//! A forward proxy for `http`: it takes requests by one machine and passes them on by the other.
//!
//! It teaches how the two go together. Fields for one hop end here, bodies stream both ways and are not collected, and what
//! goes wrong behind it is a 502 or 504, or, once the reply has begun, a reset: a mere close would make it look whole.
//!
//!     cargo run --bin forward_proxy
//!     curl -x localhost:3128 http://example.org/
//!
//! It leaves out CONNECT, and so `https` (the core answers 405), request bodies in chunks (501), a cache, connections kept
//! to servers, and authentication: whoever reaches its port reaches what this machine does. Clients that expect a 100
//! (Continue) get none, and go on after a while. Its thread hears one side at a time, the server when the whole request
//! is sent; and whoever moves a byte has another 30 s.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use http_core::server::{self, Event, RequestHead, Response, ResponseBody};
use http_core::{Authority, Date, FieldBlock, Limits, Method, Status, client, header};
use rustix::net::sockopt::set_socket_linger;

const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(3128), |port| port.parse()).map_err(io::Error::other)?;
    let listener = TcpListener::bind(("localhost", port))?;
    let own_name = listener.local_addr()?.to_string().leak();
    println!("listening on http://{own_name}/");
    let own_name = Authority::new(own_name.as_bytes()).map_err(io::Error::other)?;
    for client in listener.incoming() {
        thread::spawn(move || client.and_then(prepare).and_then(|client| serve(client, own_name)));
    }
    Ok(())
}

fn serve(mut client: TcpStream, own_name: Authority<'_>) -> io::Result<()> {
    let mut machine = server::Connection::new(Limits { body: u64::MAX, ..Limits::default() });
    let (mut asked, mut out) = (None, Vec::new());
    loop {
        client.write_all(&out)?;
        out.clear();
        match machine.poll() {
            Ok(Event::NeedInput) => match client.read(machine.receive_buffer()) {
                Ok(0) => machine.received_eof(),
                Ok(n) => machine.received(n),
                Err(error) if status_of(&error) == Status::GATEWAY_TIMEOUT => machine.handle_timeout(),
                Err(error) => return Err(error),
            },
            Ok(Event::Request(head)) => match ask(&head, own_name) {
                Ok(origin) => asked = Some(origin),
                Err((status, why)) => say(status, why, &mut machine, &mut out)?,
            },
            Ok(Event::Body(bytes)) => {
                // A server that takes no more may have said why, and takes none of what follows either.
                if let Some((server, _)) = &mut asked
                    && server.write_all(bytes).is_err()
                {
                    server.shutdown(Shutdown::Write)?;
                }
            }
            Ok(Event::NeedOutput) => {
                let Some(origin) = asked.take() else { return Ok(()) };
                let Err(error) = answer(origin, &mut machine, &mut client, own_name) else { continue };
                // No reply is due any more if one has begun.
                if say(status_of(&error), &error.to_string(), &mut machine, &mut out).is_err() {
                    return Ok(set_socket_linger(&client, Some(Duration::ZERO))?);
                }
            }
            Err(_) => machine.respond_error(now().map(Date::text), &mut out).map_err(io::Error::other)?,
            Ok(_) => break,
        }
    }
    if machine.must_linger() {
        client.shutdown(Shutdown::Write)?;
        client.set_read_timeout(Some(Duration::from_secs(2)))?;
        io::copy(&mut client.take(1 << 20), &mut io::sink())?;
    }
    Ok(())
}

type Origin = (TcpStream, client::Connection);

/// Sends the request's head to the server that it is for.
fn ask(head: &RequestHead<'_>, own_name: Authority<'_>) -> Result<Origin, (Status, &'static str)> {
    let counts_hops = matches!(head.method, Method::Options | Method::Trace);
    if counts_hops && head.fields.get(header::MAX_FORWARDS).is_some() {
        return Err((Status::NOT_IMPLEMENTED, "this proxy does not count down Max-Forwards"));
    } else if head.fields.tokens(header::VIA).any(|via| via.ends_with(own_name.as_str().as_bytes())) {
        return Err((Status::BAD_GATEWAY, "the request has come round in a circle"));
    }
    let (mut fields, mut out) = (FieldBlock::new(), Vec::new());
    fields.forward(&head.fields, head.version, own_name);
    let request = client::Request::forwarded(head, &fields);
    let request = request.ok_or((Status::BAD_REQUEST, "a proxy is asked for whole URLs"))?;
    let mut machine = client::Connection::new(Limits::default());
    let _rest = machine.request(&request, &mut out).map_err(|_| (Status::BAD_REQUEST, "that cannot be asked"))?;
    let connected = TcpStream::connect(request.host.endpoint()).and_then(prepare);
    let told = connected.and_then(|mut server| server.write_all(&out).map(|()| server));
    told.map(|server| (server, machine)).map_err(|error| (status_of(&error), "the server cannot be reached"))
}

/// Passes the server's answer on. If that fails, no reply was begun, or it is not whole.
fn answer(origin: Origin, to: &mut server::Connection, client: &mut TcpStream, own: Authority<'_>) -> io::Result<()> {
    let (mut server, mut machine) = origin;
    loop {
        match machine.poll().map_err(io::Error::other)? {
            client::Event::NeedInput => match server.read(machine.receive_buffer())? {
                0 => machine.received_eof(),
                n => machine.received(n),
            },
            client::Event::Response(head) => {
                let (mut fields, mut out) = (FieldBlock::new(), Vec::new());
                fields.forward(&head.fields, head.version, own);
                let reply = Response::forwarded(&head, &fields, now());
                let _rest = to.forward(&reply, &mut out).map_err(io::Error::other)?;
                client.write_all(&out)?;
            }
            client::Event::Body(bytes) => {
                client.write_all(bytes)?;
                to.body_sent(bytes.len() as u64).map_err(io::Error::other)?;
            }
            _ => return to.finish_body().map_err(io::Error::other),
        }
    }
}

fn say(status: Status, why: &str, machine: &mut server::Connection, out: &mut Vec<u8>) -> io::Result<()> {
    let (text, fields) = (format!("{status}: {why}\n"), FieldBlock::new());
    let (body, date) = (ResponseBody::Bytes(text.as_bytes()), now().map(Date::text));
    machine.respond(&Response { body, date, ..Response::new(status, &fields) }, out).map(drop).map_err(io::Error::other)
}

fn prepare(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn status_of(error: &io::Error) -> Status {
    let is_timeout = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    if is_timeout { Status::GATEWAY_TIMEOUT } else { Status::BAD_GATEWAY }
}

fn now() -> Option<Date> {
    Date::from_unix(UNIX_EPOCH.elapsed().ok()?.as_secs() as i64)
}
