//! A server on one thread: an event loop with `poll`, and many connections on non-blocking sockets.
//!
//! It teaches how events drive a connection. A connection is a value. When its socket is ready, the loop makes one system
//! call for it and handles the result. While a response is unsent, the connection waits only until it can send,
//! so a peer that reads slowly delays no other. Each phase has a deadline, so a silent peer is disconnected.
//!
//!     cargo run --bin event_loop examples/www
//!
//! It leaves out what a file server needs: media types, conditional requests, ranges and listings. A slow disk blocks
//! all connections. `poll` checks every connection at each event, which `epoll` does not.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Take, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Component, Path};
use std::time::{Duration, Instant, UNIX_EPOCH};

use http_core::server::{Connection, Event, Phase, RequestHead, Response, ResponseBody};
use http_core::{Date, DateText, FieldBlock, Limits, Method, Status};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;

const MAX_CONNECTIONS: usize = 400; // more wait in the listener's backlog
const TIMEOUT: Duration = Duration::from_secs(5); // for a head, a body, the next request, and each chunk of a response
const CHUNK: u64 = 64 << 10; // bytes of a file in memory at once

fn main() -> io::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or(".".into());
    let port = std::env::args().nth(2).map_or(Ok(6789), |port| port.parse()).map_err(io::Error::other)?;
    let listener = TcpListener::bind(("localhost", port))?;
    listener.set_nonblocking(true)?;
    println!("listening on http://{}/", listener.local_addr()?);

    let (mut peers, mut accept_from) = (Vec::<Peer>::new(), Instant::now());
    loop {
        let now = Instant::now();
        let accepts = peers.len() < MAX_CONNECTIONS && now >= accept_from;
        let mut polled = vec![PollFd::new(&listener, if accepts { PollFlags::IN } else { PollFlags::empty() })];
        polled.extend(peers.iter().map(|peer| PollFd::new(&peer.stream, peer.interest())));
        let deadlines = peers.iter().map(|peer| peer.deadline).chain((accept_from > now).then_some(accept_from));
        let timeout = deadlines.min().and_then(|next| next.saturating_duration_since(now).try_into().ok());
        retry_on_intr(|| poll(&mut polled, timeout.as_ref()))?;
        let ready: Vec<bool> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();

        let (now, mut ready_peers) = (Instant::now(), ready[1..].iter());
        peers.retain_mut(|peer| {
            let is_ready = ready_peers.next() == Some(&true);
            let is_due = is_ready || now >= peer.deadline;
            // An error ends the connection, except a spurious wake-up.
            !is_due || peer.turn(is_ready, Path::new(&directory)).unwrap_or_else(|e| e.kind() == ErrorKind::WouldBlock)
        });
        if ready[0] {
            match listener.accept().and_then(|(stream, _)| Peer::new(stream)) {
                Ok(peer) => peers.push(peer),
                Err(_) => accept_from = now + Duration::from_millis(100), // out of descriptors: do not retry at once
            }
        }
    }
}

struct Peer {
    stream: TcpStream,
    connection: Connection,
    /// Bytes that are not sent yet, and the source of the rest of the body.
    out: Vec<u8>,
    file: Option<Take<File>>,
    phase: Phase,
    deadline: Instant,
}

impl Peer {
    fn new(stream: TcpStream) -> io::Result<Peer> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let (connection, deadline) = (Connection::new(Limits::default()), Instant::now() + TIMEOUT);
        Ok(Peer { stream, connection, out: Vec::new(), file: None, phase: Phase::Idle, deadline })
    }

    fn interest(&self) -> PollFlags {
        if self.out.is_empty() { PollFlags::IN } else { PollFlags::OUT }
    }

    /// Sends once, receives once or handles the timeout, and then does whatever is possible without waiting. Returns
    /// whether the connection stays open.
    fn turn(&mut self, is_ready: bool, directory: &Path) -> io::Result<bool> {
        match self.phase {
            Phase::Responding | Phase::Closing if !is_ready => return Ok(false),
            _ if !is_ready => self.connection.handle_timeout(), // 408 if a request has begun
            Phase::Responding => drop(self.out.drain(..self.stream.write(&self.out)?)),
            Phase::Closing => return Ok(self.stream.read(&mut [0; 4096])? > 0), // lingers until the deadline
            _ => match self.stream.read(self.connection.receive_buffer())? {
                0 => self.connection.received_eof(),
                n => self.connection.received(n),
            },
        }
        let everything_sent = self.out.is_empty();
        while self.out.is_empty() {
            let must_linger = self.connection.must_linger();
            match self.connection.poll() {
                Ok(Event::NeedInput) => break,
                Ok(Event::Request(request)) => {
                    let (found, fields) = (open(&request, directory), FieldBlock::new());
                    let (status, body) = match &found {
                        Ok(file) => (Status::OK, ResponseBody::Length(file.limit())),
                        Err(status) => (*status, ResponseBody::Bytes(b"This file is not available.\n")),
                    };
                    let response = Response { body, date: now(), ..Response::new(status, &fields) };
                    let _body = self.connection.respond(&response, &mut self.out).map_err(io::Error::other)?;
                    self.file = found.ok();
                }
                Ok(Event::Body(_)) => {} // no request needs a body here
                Ok(Event::NeedOutput) => {
                    let Some(file) = &mut self.file else { return Ok(false) };
                    match file.by_ref().take(CHUNK).read_to_end(&mut self.out)? {
                        0 => return Ok(false), // the file was truncated: the peer sees that the response is too short
                        n => self.connection.body_sent(n as u64).map_err(io::Error::other)?,
                    }
                }
                Err(_) => self.connection.respond_error(now(), &mut self.out).map_err(io::Error::other)?,
                Ok(_) if must_linger => {
                    self.stream.shutdown(Shutdown::Write)?;
                    break;
                }
                Ok(_) => return Ok(false),
            }
        }
        let phase = if self.out.is_empty() { self.connection.phase() } else { Phase::Responding };
        if phase != self.phase || (everything_sent && phase == Phase::Responding) {
            (self.phase, self.deadline) = (phase, Instant::now() + TIMEOUT); // a single byte does not restart it
        }
        Ok(true)
    }
}

/// Opens the requested file. The decoded path has no `..` and no slash in front. But on Windows a drive or a backslash
/// leads elsewhere.
fn open(request: &RequestHead<'_>, directory: &Path) -> Result<Take<File>, Status> {
    if !matches!(request.method, Method::Get | Method::Head) {
        return Err(Status::NOT_IMPLEMENTED);
    }
    let mut name = Vec::new();
    request.path.decode_to(&mut name);
    let name = String::from_utf8_lossy(&name);
    if !Path::new(&*name).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Status::NOT_FOUND);
    }
    let path = directory.join(&*name);
    let length = path.metadata().ok().filter(|found| found.is_file()).ok_or(Status::NOT_FOUND)?.len();
    Ok(File::open(path).map_err(|_| Status::NOT_FOUND)?.take(length))
}

fn now() -> Option<DateText> {
    Date::from_unix(UNIX_EPOCH.elapsed().ok()?.as_secs() as i64).map(Date::text)
}
