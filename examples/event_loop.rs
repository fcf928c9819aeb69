//! A server on one thread: an event loop over `poll`, with many connections on sockets that never block.
//!
//! It teaches how the machine is driven by events. A connection is a value that is taken up when its socket is ready, and
//! set down after one call of it: for bytes to come, or, while a reply waits, for room to send and nothing else. So a peer
//! that reads slowly slows itself alone; and each phase of a connection has a deadline, so that a silent one ends.
//!
//!     cargo run --bin event_loop examples/www
//!
//! It leaves out what would make it a file server: types, conditions, ranges, listings. It takes disks to be quick, since
//! a slow one holds up everybody; and `poll` looks at all connections for each event, which `epoll` would not.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Take, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use http_core::server::{Connection, Event, Phase, RequestHead, Response, ResponseBody};
use http_core::{Date, DateText, FieldBlock, Limits, Method, Status};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;

const MOST: usize = 400; // connections at once; further ones wait in the listener's queue
const PATIENCE: Duration = Duration::from_secs(5); // with a head, a body, the next request, a piece of a reply
const PIECE: u64 = 64 << 10; // bytes of a file that are in memory at once

fn main() -> io::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or(".".into());
    let port = std::env::args().nth(2).map_or(Ok(6789), |port| port.parse()).map_err(io::Error::other)?;
    let listener = TcpListener::bind(("localhost", port))?;
    listener.set_nonblocking(true)?;
    println!("listening on http://{}/", listener.local_addr()?);

    let (mut peers, mut accepts_from) = (Vec::<Peer>::new(), Instant::now());
    loop {
        let now = Instant::now();
        let accepts = if peers.len() < MOST && now >= accepts_from { PollFlags::IN } else { PollFlags::empty() };
        let mut polled = vec![PollFd::new(&listener, accepts)];
        polled.extend(peers.iter().map(|peer| PollFd::new(&peer.stream, peer.waits_for())));
        let deadlines = peers.iter().map(|peer| peer.deadline).chain((accepts_from > now).then_some(accepts_from));
        let wait = deadlines.min().and_then(|next| next.saturating_duration_since(now).try_into().ok());
        retry_on_intr(|| poll(&mut polled, wait.as_ref()))?;
        let ready: Vec<bool> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();

        let (now, mut is_ready) = (Instant::now(), ready[1..].iter());
        peers.retain_mut(|peer| {
            let is_ready = is_ready.next() == Some(&true);
            let is_due = is_ready || now >= peer.deadline;
            // Who fails is over, unless it was woken for nothing.
            !is_due || peer.turn(is_ready, Path::new(&directory)).unwrap_or_else(|e| e.kind() == ErrorKind::WouldBlock)
        });
        if ready[0] {
            match listener.accept().and_then(|(stream, _)| Peer::new(stream)) {
                Ok(peer) => peers.push(peer),
                Err(_) => accepts_from = now + Duration::from_millis(100), // no descriptor is left: not at once again
            }
        }
    }
}

struct Peer {
    stream: TcpStream,
    machine: Connection,
    /// What waits for room to send, and what the rest of the reply's body comes from.
    out: Vec<u8>,
    file: Option<Take<File>>,
    phase: Phase,
    deadline: Instant,
}

impl Peer {
    fn new(stream: TcpStream) -> io::Result<Peer> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let (machine, deadline) = (Connection::new(Limits::default()), Instant::now() + PATIENCE);
        Ok(Peer { stream, machine, out: Vec::new(), file: None, phase: Phase::Idle, deadline })
    }

    fn waits_for(&self) -> PollFlags {
        if self.out.is_empty() { PollFlags::IN } else { PollFlags::OUT }
    }

    /// Sends or receives once, or learns that its time is over; then does all that follows without waiting. Whether
    /// there is more to come.
    fn turn(&mut self, is_ready: bool, directory: &Path) -> io::Result<bool> {
        match self.phase {
            Phase::Responding | Phase::Closing if !is_ready => return Ok(false),
            _ if !is_ready => self.machine.handle_timeout(), // a request that has begun is answered 408
            Phase::Responding => drop(self.out.drain(..self.stream.write(&self.out)?)),
            Phase::Closing => return Ok(self.stream.read(&mut [0; 4096])? > 0), // lingers, for as long as it has time
            _ => match self.stream.read(self.machine.receive_buffer())? {
                0 => self.machine.received_eof(),
                n => self.machine.received(n),
            },
        }
        let goes_on = self.out.is_empty();
        while self.out.is_empty() {
            let lingers = self.machine.must_linger();
            match self.machine.poll() {
                Ok(Event::NeedInput) => break,
                Ok(Event::Request(request)) => {
                    let (found, fields) = (open(&request, directory), FieldBlock::new());
                    let (status, body) = match &found {
                        Ok(file) => (Status::OK, ResponseBody::Length(file.limit())),
                        Err(status) => (*status, ResponseBody::Bytes(b"That cannot be had here.\n")),
                    };
                    let reply = Response { body, date: now(), ..Response::new(status, &fields) };
                    let _rest = self.machine.respond(&reply, &mut self.out).map_err(io::Error::other)?;
                    self.file = found.ok();
                }
                Ok(Event::Body(_)) => {} // nobody wants it here
                Ok(Event::NeedOutput) => {
                    let Some(file) = &mut self.file else { return Ok(false) };
                    match file.by_ref().take(PIECE).read_to_end(&mut self.out)? {
                        0 => return Ok(false), // the file became shorter: so does the reply, and its peer sees it
                        n => self.machine.body_sent(n as u64).map_err(io::Error::other)?,
                    }
                }
                Err(_) => self.machine.respond_error(now(), &mut self.out).map_err(io::Error::other)?,
                Ok(_) if lingers => {
                    self.stream.shutdown(Shutdown::Write)?;
                    break;
                }
                Ok(_) => return Ok(false),
            }
        }
        let phase = if self.out.is_empty() { self.machine.phase() } else { Phase::Responding };
        if phase != self.phase || (goes_on && phase == Phase::Responding) {
            (self.phase, self.deadline) = (phase, Instant::now() + PATIENCE); // no byte restarts it
        }
        Ok(true)
    }
}

/// The path is safe to use: it has no `..` left and cannot begin with a slash.
fn open(request: &RequestHead<'_>, directory: &Path) -> Result<Take<File>, Status> {
    if !matches!(request.method, Method::Get | Method::Head) {
        return Err(Status::NOT_IMPLEMENTED);
    }
    let mut name = Vec::new();
    request.path.decode_to(&mut name);
    let path = directory.join(String::from_utf8_lossy(&name).as_ref());
    let length = path.metadata().ok().filter(|found| found.is_file()).ok_or(Status::NOT_FOUND)?.len();
    Ok(File::open(path).map_err(|_| Status::NOT_FOUND)?.take(length))
}

fn now() -> Option<DateText> {
    Date::from_unix(UNIX_EPOCH.elapsed().ok()?.as_secs() as i64).map(Date::text)
}
