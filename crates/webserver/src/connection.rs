//! One peer: its socket, its protocol, and what is still to be sent to it. It goes as far as the peer lets it and then
//! says what it waits for; it never waits itself.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_core::server::{self, Event, Phase, ReplyBody, SendBody};
use http_core::{CloseReason, Date, DateCache, Limits, RequestError, Status, UseError};

use crate::access_log::{AccessLog, Entry};
use crate::ends::End;
use crate::handler::{Body, Handler, Reply, Request};
use crate::lobby::{Interest, Millis};
use crate::socket::{Socket, must_wait};

/// How long peers may take. None of these is restarted by a single byte.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// For a head: from accept, or from its first byte on a kept connection. 10 s.
    pub head: Duration,
    /// For the next request on a kept connection. 15 s.
    pub idle: Duration,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines { head: Duration::from_secs(10), idle: Duration::from_secs(15) }
    }
}

/// A request's body may take 10 s. So may a reply, and a second more for each so many octets that the kernel took; but
/// not a peer that takes nothing for 30 s, whatever it has earned: the kernel's own buffers hold half an hour's worth.
const MIN_RATE: u64 = 1024;
const BODY_GRACE: Millis = 10_000;
const STALL: Millis = 30_000;

/// What a peer gets more if its octets were there when the deadline struck; a tick is too short for busy workers.
const REPRIEVE: Millis = 1_000;

/// After half-closing we read and drop, so that no reset destroys the answer: until the end of the stream, for 2 s
/// without a byte, 10 s in all, or 2 MiB.
const LINGER_QUIET: Millis = 2_000;
const LINGER: Millis = 10_000;
const LINGER_OCTETS: u64 = 2 << 20;

/// A turn ends after so many replies or octets, so that one peer does not keep a worker from the others.
const TURN_REPLIES: u32 = 16;
const TURN_OCTETS: u64 = 1 << 20;

/// Buffers that grew beyond this for one reply are not kept.
const KEPT_BUFFER: usize = 64 << 10;

/// What all connections of a server have in common.
pub(crate) struct Site {
    pub(crate) handler: Box<dyn Handler>,
    pub(crate) log: Option<std::sync::Arc<AccessLog>>,
    pub(crate) deadlines: Deadlines,
    pub(crate) limits: Limits,
    pub(crate) keep_alive: bool,
    pub(crate) started: Instant,
    pub(crate) stopping: std::sync::atomic::AtomicBool,
}

impl Site {
    pub(crate) fn now(&self) -> Millis {
        self.started.elapsed().as_millis() as Millis
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// What a thread lends to each connection that it drives, so that a waiting connection owns no buffers.
pub(crate) struct Desk {
    workspace: http_core::Workspace,
    outgoing: Vec<u8>,
    dates: DateCache,
    dropped: Vec<u8>,
}

impl Desk {
    pub(crate) fn new(limits: &Limits) -> Desk {
        Desk {
            workspace: http_core::Workspace::with_room(limits.head as usize),
            outgoing: Vec::new(),
            dates: DateCache::new(),
            dropped: vec![0; 16 << 10],
        }
    }
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The peer is not ready.
    Wait(Interest),
    /// The connection is to be closed.
    End(End),
}

pub(crate) struct Connection {
    socket: Socket,
    peer: SocketAddr,
    protocol: server::Connection,
    outgoing: Outgoing,
    reply: Option<Running>,
    linger: Option<Linger>,
    /// Replies that were sent whole.
    replies: u64,
    /// What the deadline is for, since when.
    phase: Phase,
    since: Millis,
    /// When octets of a reply last left.
    progress: Millis,
    waits_for: Interest,
    /// The deadline of this phase was put off.
    reprieved: bool,
    expired: bool,
}

/// What is still to be sent.
#[derive(Default)]
struct Outgoing {
    /// A head and perhaps a body; the first `sent` octets are with the kernel.
    octets: Vec<u8>,
    sent: usize,
    file: Option<FilePart>,
}

struct FilePart {
    file: OwnedFd,
    offset: u64,
    left: u64,
}

/// The reply that is being sent, for the log.
struct Running {
    line: Vec<u8>,
    date: Date,
    status: Status,
    /// Octets of body that were promised.
    body: u64,
    /// Octets of body with the kernel, less the octets of the head that are not.
    sent: i64,
}

struct Linger {
    began: Millis,
    heard: Millis,
    dropped: u64,
    end: End,
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd, peer: SocketAddr, site: &Site) -> Connection {
        Connection {
            socket: Socket::new(socket),
            peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            protocol: server::Connection::new(site.limits),
            outgoing: Outgoing::default(),
            reply: None,
            linger: None,
            replies: 0,
            phase: Phase::Head,
            since: site.now(),
            progress: 0,
            waits_for: Interest::Read,
            reprieved: false,
            expired: false,
        }
    }

    /// Goes on as far as the peer allows, within one turn.
    pub(crate) fn drive(&mut self, site: &Site, desk: &mut Desk) -> Next {
        self.protocol.lend(&mut desk.workspace);
        if self.outgoing.octets.capacity() == 0 {
            std::mem::swap(&mut self.outgoing.octets, &mut desk.outgoing);
        }
        let next = self.advance(site, desk).unwrap_or_else(|error| Next::End(self.end_by(&error)));
        self.settle(site);
        match next {
            Next::Wait(interest) => self.waits_for = interest,
            Next::End(_) => self.record(site),
        }
        self.protocol.set_down(&mut desk.workspace);
        if self.outgoing.octets.is_empty() {
            desk.outgoing = std::mem::take(&mut self.outgoing.octets);
            desk.outgoing.shrink_to(KEPT_BUFFER);
        }
        next
    }

    /// The deadline struck: says so where the peer waits for an answer, and ends. It asks no handler for more than a
    /// refusal, since it is called by the ticker.
    pub(crate) fn expire(&mut self, site: &Site, desk: &mut Desk) -> Next {
        if let Some(linger) = &self.linger {
            return Next::End(linger.end);
        }
        if self.waits_for == Interest::Write {
            // It does not read what it asked for; it may have asked for more, which nobody answers now.
            self.record(site);
            return Next::End(End::TimedOut);
        }
        if !self.reprieved && self.socket.is_readable() {
            // It was in time, and the workers were not: once, they get another second.
            self.reprieved = true;
            self.since += REPRIEVE;
            return Next::Wait(Interest::Read);
        }
        self.expired = true;
        self.protocol.timed_out();
        self.drive(site, desk)
    }

    /// The peer has gone, or we must: how this connection ends without another word.
    pub(crate) fn cut(&mut self, site: &Site, within: End) -> End {
        self.record(site);
        match &self.linger {
            Some(linger) => linger.end,
            None if self.is_idle() && self.replies > 0 => End::Completed,
            None if self.is_idle() => End::Aborted,
            None => within,
        }
    }

    /// Whether nothing has begun.
    pub(crate) fn is_idle(&self) -> bool {
        self.protocol.phase() == Phase::Idle
    }

    /// When patience ends for what the connection is doing.
    pub(crate) fn deadline(&self, site: &Site) -> Millis {
        if let Some(linger) = &self.linger {
            return (linger.heard + LINGER_QUIET).min(linger.began + LINGER);
        }
        let sent = self.reply.as_ref().map_or(0, |reply| reply.sent.max(0) as u64);
        match self.phase {
            Phase::Idle => self.since.saturating_add(site.deadlines.idle.as_millis() as Millis),
            Phase::Head => self.since.saturating_add(site.deadlines.head.as_millis() as Millis),
            Phase::Replying => {
                let earned = BODY_GRACE.saturating_add(sent.saturating_mul(1000) / MIN_RATE);
                self.since.saturating_add(earned).min(self.progress + STALL)
            }
            _ => self.since + BODY_GRACE,
        }
    }

    fn advance(&mut self, site: &Site, desk: &mut Desk) -> io::Result<Next> {
        if self.linger.is_some() {
            return Ok(self.read_on(site, desk));
        }
        let (mut replies, mut octets) = (0, 0);
        loop {
            while self.is_sending() {
                if octets >= TURN_OCTETS {
                    return Ok(Next::Wait(Interest::Write));
                }
                match self.send() {
                    Ok(n) => {
                        octets += n;
                        self.progress = site.now();
                    }
                    Err(error) if must_wait(&error) => return Ok(Next::Wait(Interest::Write)),
                    Err(error) => return Err(error),
                }
            }
            if let Some(reply) = &self.reply {
                self.protocol.body_sent(reply.body).map_err(io::Error::other)?;
                self.replies += 1;
                self.record(site);
                replies += 1;
            }
            if replies >= TURN_REPLIES {
                // Armed for writing: what is to be done next may be in our hands already.
                return Ok(Next::Wait(Interest::Write));
            }
            match self.protocol.poll() {
                Ok(Event::NeedInput) => {
                    self.settle(site);
                    match self.socket.receive(self.protocol.space()) {
                        Ok(0) => self.protocol.received_eof(),
                        Ok(n) => self.protocol.received(n),
                        Err(error) if must_wait(&error) => return Ok(Next::Wait(Interest::Read)),
                        Err(error) => return Err(error),
                    }
                }
                Ok(Event::Request(head)) => {
                    let now = today();
                    let request = Request { head, peer: self.peer, now };
                    let reply = answered(|| site.handler.handle(&request));
                    self.respond(site, desk, reply, now)?;
                }
                Ok(Event::Closed) => return Ok(self.close(site, desk)),
                Ok(_) => return Err(io::Error::other("a reply is due that nobody gives")),
                Err(error) => {
                    let reply = answered(|| Reply { status: error.status(), ..site.handler.refuse(error) });
                    self.respond(site, desk, reply, today())?;
                }
            }
        }
    }

    fn respond(&mut self, site: &Site, desk: &mut Desk, reply: Reply, now: Date) -> io::Result<()> {
        self.enter(Phase::Replying, site);
        self.progress = self.since;
        let line = self.protocol.first_line().to_vec();
        let head = server::Reply {
            status: reply.status,
            fields: &reply.fields,
            body: ReplyBody::Length(reply.body.len()),
            date: Some(desk.dates.text(now)),
            close: !site.keep_alive || site.is_stopping(),
        };
        let send = match self.protocol.respond(&head, &mut self.outgoing.octets) {
            Ok(send) => send,
            // The handler's fault: such a reply is none, and nothing of it was written.
            Err(UseError::InterimStatus | UseError::FieldMissing) => {
                return self.respond(site, desk, internal_error(), now);
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        let body = if let SendBody::Exactly(length) = send { length } else { 0 };
        let sent = -(self.outgoing.octets.len() as i64);
        self.reply = Some(Running { line, date: now, status: reply.status, body, sent });
        match reply.body {
            _ if body == 0 => {}
            Body::Octets(octets) => self.outgoing.octets.extend_from_slice(&octets),
            Body::File { file, offset, .. } => self.outgoing.file = Some(FilePart { file, offset, left: body }),
        }
        Ok(())
    }

    fn is_sending(&self) -> bool {
        self.outgoing.sent < self.outgoing.octets.len() || self.outgoing.file.is_some()
    }

    /// Sends one piece.
    fn send(&mut self) -> io::Result<u64> {
        let Outgoing { octets, sent, file } = &mut self.outgoing;
        let n = if *sent < octets.len() {
            let n = self.socket.send(&octets[*sent..], file.is_some())?;
            *sent += n;
            n
        } else if let Some(part) = file {
            let n = self.socket.send_file(part.file.as_fd(), &mut part.offset, part.left)?;
            if n == 0 {
                // The head promised more than there is: visibly broken, never padded (V26).
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            part.left -= n as u64;
            n
        } else {
            0
        };
        if *sent == octets.len() {
            octets.clear();
            *sent = 0;
        }
        if file.as_ref().is_some_and(|part| part.left == 0) {
            *file = None;
        }
        if let Some(reply) = &mut self.reply {
            reply.sent += n as i64;
        }
        Ok(n as u64)
    }

    /// All is said: a plain close will do, unless a reset could destroy the answer.
    fn close(&mut self, site: &Site, desk: &mut Desk) -> Next {
        let end = match self.protocol.close_reason() {
            Some(CloseReason::Refused(RequestError::TimedOut)) => End::TimedOut,
            Some(CloseReason::BodyIncomplete) if self.expired => End::TimedOut,
            Some(CloseReason::BodyIncomplete | CloseReason::Refused(RequestError::Incomplete)) => End::Aborted,
            _ if self.replies > 0 => End::Completed,
            _ => End::Aborted,
        };
        if !self.protocol.must_linger() || self.socket.half_close().is_err() {
            return Next::End(end);
        }
        let now = site.now();
        self.linger = Some(Linger { began: now, heard: now, dropped: 0, end });
        self.read_on(site, desk)
    }

    /// Reads and drops.
    fn read_on(&mut self, site: &Site, desk: &mut Desk) -> Next {
        let Some(linger) = &mut self.linger else { return Next::End(End::Completed) };
        let mut turn = 0;
        while linger.dropped < LINGER_OCTETS && turn < TURN_OCTETS {
            match self.socket.receive(&mut desk.dropped) {
                Ok(n) if n > 0 => {
                    linger.heard = site.now();
                    linger.dropped += n as u64;
                    turn += n as u64;
                }
                Err(error) if must_wait(&error) => return Next::Wait(Interest::Read),
                _ => return Next::End(linger.end),
            }
        }
        if linger.dropped < LINGER_OCTETS { Next::Wait(Interest::Read) } else { Next::End(linger.end) }
    }

    /// Notes since when the connection has been doing what it does.
    fn settle(&mut self, site: &Site) {
        // The first head's time runs from accept, be there a byte of it or not.
        let phase = match self.protocol.phase() {
            Phase::Idle if self.replies == 0 => Phase::Head,
            phase => phase,
        };
        if phase != self.phase {
            self.enter(phase, site);
        }
    }

    fn enter(&mut self, phase: Phase, site: &Site) {
        (self.phase, self.since, self.reprieved) = (phase, site.now(), false);
    }

    /// Writes the line of the reply that was being sent, whole or not.
    fn record(&mut self, site: &Site) {
        let (Some(reply), Some(log)) = (self.reply.take(), &site.log) else { return };
        let sent = reply.sent.max(0) as u64;
        log.record(&Entry { peer: self.peer.ip(), date: reply.date, line: &reply.line, status: reply.status, sent });
    }

    fn end_by(&self, error: &io::Error) -> End {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => {
                if self.is_idle() && self.replies > 0 {
                    End::Completed
                } else {
                    End::Aborted
                }
            }
            _ => End::Failed,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What the handler answers; one that panics has answered 500 (R1945-9.5, V33).
fn answered(handler: impl FnOnce() -> Reply) -> Reply {
    catch_unwind(AssertUnwindSafe(handler)).unwrap_or_else(|_| internal_error())
}

fn internal_error() -> Reply {
    Reply { status: Status::INTERNAL_SERVER_ERROR, ..Reply::text("500 Internal Server Error\n") }
}

/// The time of day; 1970 on a machine whose clock is before or far beyond that.
fn today() -> Date {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(seconds).ok().and_then(Date::from_unix).unwrap_or(EPOCH)
}

const EPOCH: Date = match Date::from_unix(0) {
    Some(date) => date,
    None => unreachable!(),
};
