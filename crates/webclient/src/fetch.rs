//! One exchange over a socket: find the host, connect, send, receive. Every wait has a bound. What the bytes mean is
//! decided by `http_core::client`.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use http_core::client::{Connection, Event, Request, ResponseHead};
use http_core::{FieldBlock, FieldValue, Limits, Method, ResponseError, Status, header};

use crate::error::Error;
use crate::url::Url;

/// How long to wait, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the host's addresses and a connection to one of them, in all: 10 s.
    pub connect: Duration,
    /// For each next byte, sent or received: 30 s. Less than a millisecond counts as one.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { connect: Duration::from_secs(10), idle: Duration::from_secs(30) }
    }
}

/// A part of an answer, in the order in which it comes: one head, then pieces of the body.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Part<'a> {
    /// The head, whole.
    Head(ResponseHead<'a>),
    /// Bytes of the body, free of any coding of the transfer.
    Body(&'a [u8]),
}

/// What is left to say of an answer that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status; that it is an error is no [`Error`].
    pub status: Status,
    /// The server's phrase for it, with what is not printable escaped.
    pub reason: String,
}

impl Answer {
    /// The exit status of the program that showed it: 0, or the class of the status.
    pub fn exit_status(&self) -> u8 {
        match self.status.class() {
            2 => 0,
            3 => 3,
            4 => 4,
            _ => 5, // RFC 9110 §15: a class that does not exist counts as 5xx
        }
    }

    /// The line to be said of an answer that is not what was asked for.
    pub fn complaint(&self, url: &Url) -> Option<String> {
        // Servers and proxies that want HTTP/1.1 say so by one of these.
        let hint = if matches!(self.status.code(), 426 | 505) { ": it refuses HTTP/1.0" } else { "" };
        let Answer { status, reason } = self;
        let blank = if reason.is_empty() { "" } else { " " };
        let line = || format!("{} answered {}{blank}{reason}{hint}", url.authority(), status.code());
        (self.exit_status() != 0).then(line)
    }
}

const USER_AGENT: FieldValue<'static> = FieldValue::from_static(concat!("webclient/", env!("CARGO_PKG_VERSION"))); // R1945-10.15

/// Fetches a URL by GET, and gives each part of the answer to `receive` as it comes.
///
/// Looking up a name cannot be stopped: if it takes too long, its thread is left behind until it ends by itself.
///
/// # Errors
/// [`Error`]. What came before the error was given to `receive`; if that fails, it is [`Error::Write`].
pub fn fetch(
    url: &Url,
    timeouts: &Timeouts,
    mut receive: impl FnMut(Part<'_>) -> std::io::Result<()>,
) -> Result<Answer, Error> {
    let (target, host) = url.target()?;
    let mut fields = FieldBlock::new();
    let _ = fields.push(header::USER_AGENT, USER_AGENT); // it is not a reserved header
    let mut connection = Connection::new(Limits::default());
    let mut request = Vec::new();
    let _ = connection.request(&Request::new(Method::Get, target, host, &fields), &mut request)?; // has no body

    let broken = |source| Error::Broken { server: url.authority().to_owned(), source };
    let wrong = |source| Error::Response { server: url.authority().to_owned(), source };
    let timed_out = |what| Error::TimedOut { what, limit: timeouts.idle };
    let start = Instant::now();
    let addresses = resolve(url, timeouts.connect)?;
    let mut stream = connect(&addresses, start, timeouts.connect)?;
    let idle = timeouts.idle.max(Duration::from_millis(1)); // zero would be an error
    stream.set_read_timeout(Some(idle)).map_err(broken)?;
    stream.set_write_timeout(Some(idle)).map_err(broken)?;
    if let Err(error) = stream.write_all(&request)
        && is_timeout(error.kind())
    {
        return Err(timed_out("sending the request"));
    } // after any other error: a server that closed at once may have said why

    let mut answer = Answer { status: Status::OK, reason: String::new() };
    loop {
        match connection.poll() {
            Ok(Event::NeedInput) => match stream.read(connection.receive_buffer()) {
                Ok(0) => connection.received_eof(),
                Ok(n) => connection.received(n),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(error.kind()) => return Err(timed_out("waiting for the server")),
                Err(error) => return Err(broken(error)), // no end of stream: R9112-8
            },
            Ok(Event::Response(head)) => {
                answer = Answer { status: head.status, reason: head.reason.escape_ascii().to_string() };
                receive(Part::Head(head)).map_err(Error::Write)?;
            }
            Ok(Event::Body(bytes)) => receive(Part::Body(bytes)).map_err(Error::Write)?,
            Ok(Event::ResponseEnd) => return Ok(answer),
            Ok(_) => return Err(wrong(ResponseError::NoResponse)),
            Err(error) => return Err(wrong(error)),
        }
    }
}

/// Every address of the host; at least one.
fn resolve(url: &Url, limit: Duration) -> Result<Vec<SocketAddr>, Error> {
    let port = url.port();
    if let Ok(address) = url.host().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (found, result) = mpsc::channel();
    let host = url.host().to_owned();
    let lookup = move || found.send((host.as_str(), port).to_socket_addrs().map(Vec::from_iter));
    thread::Builder::new().spawn(lookup).map_err(|error| not_resolved(url, error))?;
    match result.recv_timeout(limit) {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(not_resolved(url, ErrorKind::NotFound.into())),
        Ok(addresses) => addresses.map_err(|error| not_resolved(url, error)),
        Err(_) => Err(Error::TimedOut { what: "looking up the host", limit }),
    }
}

/// Tries every address in turn. None may use up the time of those behind it: each gets half of what is left, the last
/// all of it.
fn connect(addresses: &[SocketAddr], start: Instant, limit: Duration) -> Result<TcpStream, Error> {
    let mut failure = Error::TimedOut { what: "connecting", limit };
    for (n, address) in addresses.iter().enumerate() {
        let left = limit.saturating_sub(start.elapsed());
        let share = if n + 1 == addresses.len() { left } else { left / 2 };
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(10))) {
            Ok(stream) => return Ok(stream),
            Err(error) if is_timeout(error.kind()) => failure = Error::TimedOut { what: "connecting", limit },
            Err(source) => failure = Error::NotConnected { address: *address, source },
        }
    }
    Err(failure)
}

fn not_resolved(url: &Url, source: std::io::Error) -> Error {
    Error::NotResolved { host: url.host().to_owned(), source }
}

/// A socket's time-out comes as either, by system.
fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn every_address_is_tried_until_one_takes_the_connection() {
        let limit = Duration::from_secs(9);
        let start = Instant::now();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for addresses in [&[live][..], &[live, dead], &[dead, live], &[dead, dead, live]] {
            assert_eq!(connect(addresses, start, limit).unwrap().peer_addr().unwrap(), live);
        }
        let error = connect(&[dead, dead], start, limit).unwrap_err();
        assert!(matches!(error, Error::NotConnected { address, .. } if address == dead), "{error}");
    }
}
