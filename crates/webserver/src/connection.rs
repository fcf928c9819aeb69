//! One peer: its socket, its protocol, and what is still to be sent to it. It goes as far as the peer lets it and then
//! says what it waits for; it never waits itself.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use http_core::server::{self, Event, Expectation, Phase, ResponseBody, SendBody};
use http_core::{CloseReason, Date, Framing, RequestError, Status, UsageError, Workspace};

use crate::access_log::{Draft, Entry};
use crate::clock::{self, Millis};
use crate::deadlines::{self, LINGER_BYTES, REPRIEVE};
use crate::desk::{DRAFT, Desk};
use crate::ends::Reason;
use crate::forwarded;
use crate::handler::{Answer, Kind, Request, Response, Taker};
use crate::lobby::Interest;
use crate::moment::Moment;
use crate::notes::Notes;
use crate::outgoing::{FileChanged, Outgoing};
use crate::site::Site;
use crate::socket::{LARGEST_PIECE, Peer, Socket, must_wait};

/// A turn ends after so many replies or bytes, so that one peer does not keep a worker from the others. It is one
/// piece of a file.
const TURN_REPLIES: u32 = 16;
const TURN_BYTES: u64 = LARGEST_PIECE;
/// The turns of a long reply grow up to this: what it sends is in no cache any more, and fewer turns cost less.
const LONG_TURN: u64 = 2 << 20;

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The peer is not ready, or others are to have their turn.
    Wait(Interest),
    /// It has received what may be a request, and is to go on when others who are ready have done so too.
    StepBehind,
    /// The connection is to be closed.
    End(Reason),
}

#[derive(Debug)]
pub(crate) struct Connection<P = Socket> {
    socket: P,
    peer: SocketAddr,
    protocol: server::Connection,
    outgoing: Outgoing,
    /// What the log will say of what is being done.
    draft: Vec<u8>,
    doing: Doing,
    /// Replies that were sent whole.
    replies: u32,
    /// What the deadline is for, since when, how many bytes moved for it, and when last; and when bytes last came.
    phase: Phase,
    since: Millis,
    moved: u64,
    progress: Millis,
    received: Moment,
    /// Bytes of memory that the site knows of.
    held_in: u32,
    held_out: u32,
    waits_for: Interest,
    /// Bytes may be there that nothing announces any more.
    unread: bool,
    /// It has stepped behind others, with a workspace of a desk.
    has_workspace: bool,
    /// The peer has ended its stream, so that a short read is not the end of what can be read.
    ending: bool,
    /// It has made us wait with a reply, so that the kernel holds less of one.
    slow: bool,
    /// The deadline of this phase was put off.
    reprieved: bool,
    /// The deadline struck, for this.
    expired: Option<Reason>,
}

#[derive(Debug)]
enum Doing {
    /// Waiting for a request, or dropping the body of the last.
    Nothing,
    /// A handler wants the body of this request.
    Taking(Taker),
    /// A reply is being sent: its status, the time that it says, and bytes of head and of body; `None`: until the close.
    SendingReply { status: Status, date: Date, head: u64, body: Option<u64> },
    /// All is said and half-closed; what still comes is dropped.
    Lingering { reason: Reason },
}

impl<P: Peer> Connection<P> {
    pub(crate) fn new(socket: P, peer: SocketAddr, site: &Site) -> Connection<P> {
        Connection {
            socket,
            peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            protocol: server::Connection::new(site.limits),
            outgoing: Outgoing::default(),
            draft: Vec::new(),
            doing: Doing::Nothing,
            replies: 0,
            phase: Phase::Head,
            since: clock::now(),
            moved: 0,
            progress: 0,
            received: Moment::NONE,
            held_in: 0,
            held_out: 0,
            waits_for: Interest::Read,
            unread: true,
            has_workspace: false,
            ending: false,
            slow: false,
            reprieved: false,
            expired: None,
        }
    }

    /// The peer is ready; `ending`: and has ended its stream.
    pub(crate) fn wake(&mut self, ending: bool) {
        self.unread = true;
        self.ending |= ending;
    }

    /// Goes on as far as the peer allows, within one turn.
    pub(crate) fn drive(&mut self, site: &Site, desk: &mut Desk) -> Next {
        let mut next = self.turn(site, desk);
        if let Next::Wait(_) = next
            && site.incoming.is_full()
            && self.incoming() > self.held_in as usize
        {
            next = match self.doing {
                Doing::Nothing | Doing::Taking(_) => {
                    self.protocol.reject_overloaded();
                    self.turn(site, desk)
                }
                Doing::SendingReply { .. } => Next::End(Reason::Unread), // it asks on, and does not read
                Doing::Lingering { .. } => next,
            };
        }
        if let Next::Wait(interest) = next {
            self.waits_for = interest;
            let (incoming, outgoing) = (self.incoming(), self.outgoing());
            if outgoing > self.held_out as usize && site.outgoing.is_full() {
                next = Next::End(Reason::Unread);
            }
            site.incoming.change(&mut self.held_in, incoming);
            site.outgoing.change(&mut self.held_out, outgoing);
        }
        if let Next::End(reason) = next {
            self.record(site, reason);
        }
        next
    }

    /// Receives what may be a request, and goes on when others who are ready have done so too: then one look at a file
    /// serves all who ask for it. What it is in the middle of, or has bytes of, it goes on with at once.
    pub(crate) fn receive(&mut self, site: &Site, desk: &mut Desk) -> Next {
        if !self.is_idle() || self.protocol.heap_size() > 0 || self.ending {
            return self.drive(site, desk);
        }
        let mut workspace = desk.workspace(&site.limits);
        self.protocol.attach(&mut workspace);
        let Err(error) = self.read() else {
            self.has_workspace = true;
            return Next::StepBehind;
        };
        self.protocol.detach(&mut workspace);
        desk.put_back(workspace);
        if must_wait(&error) { Next::Wait(Interest::Read) } else { Next::End(self.end_by(&error)) }
    }

    /// A newcomer for whom there is no place: what has come is read once and answered 503.
    pub(crate) fn turn_away(&mut self, site: &Site, desk: &mut Desk) -> Next {
        if let Ok(n) = self.socket.receive(self.protocol.receive_buffer()) {
            self.protocol.received(n);
        }
        self.protocol.reject_overloaded();
        self.drive(site, desk)
    }

    /// The deadline struck: says so where the peer waits for an answer, and ends. It asks no handler for more than a
    /// refusal, since it is called by the ticker.
    pub(crate) fn expire(&mut self, site: &Site, desk: &mut Desk) -> Next {
        if let Doing::Lingering { reason } = self.doing {
            return Next::End(reason);
        }
        if self.waits_for == Interest::Write && !self.slow {
            self.slow = true;
            self.socket.bound_unsent();
            return Next::Wait(Interest::Write);
        }
        if self.waits_for != Interest::Read {
            // It does not read what it asked for; it may have asked for more, which nobody answers now.
            self.record(site, Reason::SlowSend);
            return Next::End(Reason::SlowSend);
        }
        if !self.reprieved && self.socket.is_readable() {
            // It was in time, and the workers were not: once, they get another second.
            self.reprieved = true;
            (self.since, self.progress) = (self.since + REPRIEVE, self.progress + REPRIEVE);
            return Next::Wait(Interest::Turn);
        }
        self.expired = Some(match self.protocol.phase() {
            Phase::Body => Reason::BodyTimeout,
            _ => Reason::HeadTimeout,
        });
        self.protocol.handle_timeout();
        self.drive(site, desk)
    }

    /// The peer has gone, or we must: why this connection ends without another word; `within`: if something had begun.
    pub(crate) fn cut(&mut self, site: &Site, within: Reason) -> Reason {
        self.record(site, within);
        match self.doing {
            Doing::Lingering { reason } => reason,
            _ if self.is_idle() && self.replies > 0 => Reason::Complete,
            _ if self.is_idle() => Reason::ClientAbort,
            _ => within,
        }
    }

    /// Whether nothing has begun.
    pub(crate) fn is_idle(&self) -> bool {
        self.protocol.phase() == Phase::Idle && self.outgoing.is_empty() && self.waits_for == Interest::Read
    }

    /// Whether it is between two requests.
    pub(crate) fn is_kept(&self) -> bool {
        self.replies > 0 && self.is_idle()
    }

    /// When patience ends for what the connection is doing.
    pub(crate) fn deadline(&self, site: &Site) -> Millis {
        match (&self.doing, self.phase) {
            (Doing::Lingering { .. }, _) => deadlines::linger(self.since, self.progress),
            (_, Phase::Idle) => self.since.saturating_add(site.deadlines.idle.as_millis() as Millis),
            (_, Phase::Head) => self.since.saturating_add(site.deadlines.head.as_millis() as Millis),
            _ => {
                let until = site.deadlines.body(self.since, self.moved, self.progress);
                let is_new = self.waits_for == Interest::Write && !self.slow;
                if is_new { until.min(self.progress + deadlines::SLOW) } else { until }
            }
        }
    }

    /// Why it closes, once that is decided.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.protocol.close_reason()
    }

    /// The site need not count its memory any more.
    pub(crate) fn let_go(&mut self, site: &Site) {
        site.incoming.change(&mut self.held_in, 0);
        site.outgoing.change(&mut self.held_out, 0);
    }

    /// One turn, in the memory of the desk.
    fn turn(&mut self, site: &Site, desk: &mut Desk) -> Next {
        self.waits_for = Interest::Read;
        let mut workspace = if self.has_workspace { Workspace::default() } else { desk.workspace(&site.limits) };
        self.protocol.attach(&mut workspace);
        desk.lend_buffers(&mut self.outgoing.bytes, &mut self.draft);
        let next = match self.doing {
            Doing::Lingering { reason } => self.read_on(reason, desk),
            _ => self.serve(site, desk).unwrap_or_else(|error| match must_wait(&error) {
                true if self.outgoing.is_empty() => Next::Wait(Interest::Read),
                true => Next::Wait(Interest::Write),
                false => Next::End(self.end_by(&error)),
            }),
        };
        if next != Next::Wait(Interest::Turn) {
            self.settle(); // else it goes on with what it did
        }
        self.protocol.detach(&mut workspace);
        desk.put_back(workspace);
        self.has_workspace = false;
        desk.take_back(&mut self.outgoing.bytes, &mut self.draft);
        next
    }

    fn serve(&mut self, site: &Site, desk: &mut Desk) -> io::Result<Next> {
        let (mut replies, mut bytes) = (0, 0);
        loop {
            if self.outgoing.is_long()
                && let Some(watch) = &desk.watch
            {
                watch.deputise();
            }
            while !self.outgoing.is_empty() {
                if bytes >= (self.moved / 2).clamp(TURN_BYTES, LONG_TURN) {
                    return Ok(Next::Wait(Interest::Turn));
                }
                let n = self.outgoing.send(&mut self.socket)?;
                bytes += n;
                self.moves(n);
            }
            if let Doing::SendingReply { body, .. } = self.doing {
                match body {
                    Some(body) => self.protocol.body_sent(body),
                    None => self.protocol.finish_body(),
                }
                .map_err(io::Error::other)?;
                self.replies = self.replies.saturating_add(1);
                self.record(site, self.said());
                replies += 1;
            }
            if replies >= TURN_REPLIES || bytes >= TURN_BYTES {
                return Ok(Next::Wait(Interest::Turn)); // what is to be done next may be in our hands already
            }
            match self.protocol.poll() {
                Ok(Event::NeedInput) => {
                    if !self.unread {
                        return Ok(Next::Wait(Interest::Read));
                    }
                    self.settle();
                    bytes += self.read()?;
                }
                Ok(Event::Request(head)) => {
                    let now = clock::today();
                    let (notes, watch) = (Notes(site.notes.as_ref()), desk.watch.as_deref());
                    let client = forwarded::client(&site.trusted, self.peer.ip(), &head.fields);
                    let (peer, whole, socket) = (self.peer, self.received, &self.socket);
                    let request = Request { head, peer, client, now, whole, socket, notes, watch };
                    let length = if let Framing::Length(length) = head.body { length } else { 0 };
                    let waits = length > 0 && head.expectation() == Expectation::Continue;
                    let answer = answered(|| site.handler.handle(&request));
                    if let Some(log) = &site.log {
                        // The phase is that of what came before, if all of it was there at once.
                        let began = if self.phase == Phase::Head { self.since } else { self.progress };
                        Draft::begin(&mut self.draft, log.format, began, client, Some(&head.fields));
                        self.draft.extend_from_slice(self.protocol.start_line());
                    }
                    match answer.0 {
                        Kind::Response(reply) => self.respond(site, desk, reply)?,
                        Kind::Body { .. } if waits => self.respond(site, desk, error(Status::EXPECTATION_FAILED))?,
                        Kind::Body { limit, .. } if length > limit => {
                            self.respond(site, desk, refusal(site, RequestError::BodyTooLong))?;
                        }
                        Kind::Body { taker, .. } => self.doing = Doing::Taking(taker),
                    }
                }
                Ok(Event::Body(part)) => {
                    let Doing::Taking(taker) = &mut self.doing else { continue };
                    let taken = catch_unwind(AssertUnwindSafe(|| taker.take(part)));
                    if let Err(reply) = taken.unwrap_or_else(|_| Err(error(Status::INTERNAL_SERVER_ERROR))) {
                        self.respond(site, desk, reply)?;
                    }
                }
                Ok(Event::NeedOutput) => {
                    let Doing::Taking(taker) = std::mem::replace(&mut self.doing, Doing::Nothing) else {
                        return Err(io::Error::other("a reply is due that nobody gives"));
                    };
                    let reply = catch_unwind(AssertUnwindSafe(|| taker.end()));
                    self.respond(site, desk, reply.unwrap_or_else(|_| error(Status::INTERNAL_SERVER_ERROR)))?;
                }
                Ok(Event::Closed) => return Ok(self.close(desk)),
                Ok(_) => return Err(io::Error::other("an event that nobody knows")),
                Err(error) => {
                    if let Some(log) = &site.log
                        && self.draft.is_empty()
                    {
                        Draft::begin(&mut self.draft, log.format, self.since, self.peer.ip(), None);
                        self.draft.extend_from_slice(self.protocol.start_line());
                    }
                    self.respond(site, desk, refusal(site, error))?;
                }
            }
        }
    }

    /// Reads what is there, and says of how many bytes.
    fn read(&mut self) -> io::Result<u64> {
        let room = self.protocol.receive_buffer();
        let (all, n) = (room.len(), self.socket.receive(room)?);
        self.received = Moment::of_receipt();
        match n {
            0 => self.protocol.received_eof(),
            n => self.protocol.received(n),
        }
        // A short read took all there was, and what comes later is announced: one call less a request. (It is not so at an
        // urgent mark, whose sender then waits for its deadline.)
        self.unread = n == all || self.ending;
        self.moves(n as u64);
        Ok(n as u64)
    }

    fn respond(&mut self, site: &Site, desk: &mut Desk, reply: Response) -> io::Result<()> {
        let date = clock::today();
        self.enter(Phase::Responding);
        let body = reply.body.length();
        let head = server::Response {
            status: reply.status,
            fields: &reply.fields,
            body: body.map_or(ResponseBody::UntilClose, ResponseBody::Length),
            date: Some(desk.dates.text(date)),
            close: !site.keep_alive || site.is_stopping(),
        };
        let send = match self.protocol.respond(&head, &mut self.outgoing.bytes) {
            Ok(send) => send,
            // The handler's fault: such a reply is none, and nothing of it was written.
            Err(UsageError::InformationalStatus | UsageError::MissingField) => {
                return self.respond(site, desk, error(Status::INTERNAL_SERVER_ERROR));
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        let head = self.outgoing.bytes.len() as u64;
        let body = match send {
            SendBody::Exactly(length) => Some(length),
            SendBody::UntilClose => None,
            _ => Some(0),
        };
        self.doing = Doing::SendingReply { status: reply.status, date, head, body };
        if body != Some(0) {
            self.outgoing.push(reply.body);
        }
        Ok(())
    }

    /// All is said: a plain close will do, unless a reset could destroy the answer.
    fn close(&mut self, desk: &mut Desk) -> Next {
        let reason = match self.protocol.close_reason() {
            Some(CloseReason::BodyIncomplete) => self.expired.unwrap_or(Reason::ClientAbort),
            _ if self.replies > 0 => self.said(),
            _ => Reason::ClientAbort,
        };
        // While a reply took several turns, or others went first, more may have come.
        let more = self.protocol.must_linger() || ((self.unread || self.has_workspace) && self.socket.is_readable());
        if !more || self.socket.half_close().is_err() {
            return Next::End(reason);
        }
        self.doing = Doing::Lingering { reason };
        self.enter(Phase::Closing);
        self.read_on(reason, desk)
    }

    /// Why the last reply was what it was: it answered a request, or said what came of none.
    fn said(&self) -> Reason {
        match self.protocol.close_reason() {
            Some(CloseReason::Refused(RequestError::Overloaded)) => Reason::Overloaded,
            Some(CloseReason::Refused(RequestError::TimedOut)) => self.expired.unwrap_or(Reason::HeadTimeout),
            Some(CloseReason::Refused(RequestError::Incomplete)) => Reason::ClientAbort,
            _ => Reason::Complete,
        }
    }

    /// Reads and drops, so that no reset destroys the answer.
    fn read_on(&mut self, reason: Reason, desk: &mut Desk) -> Next {
        let most = self.moved + TURN_BYTES;
        while self.moved < LINGER_BYTES {
            if self.moved >= most {
                return Next::Wait(Interest::Turn);
            }
            match self.socket.receive(&mut desk.dropped) {
                Ok(n) if n > 0 => self.moves(n as u64),
                Err(error) if must_wait(&error) => return Next::Wait(Interest::Read),
                _ => break,
            }
        }
        Next::End(reason)
    }

    /// Notes since when the connection has been doing what it does.
    fn settle(&mut self) {
        // The first head's time runs from accept, be there a byte of it or not.
        let phase = match self.protocol.phase() {
            _ if matches!(self.doing, Doing::SendingReply { .. }) => Phase::Responding,
            Phase::Idle if self.replies == 0 => Phase::Head,
            phase => phase,
        };
        if phase != self.phase {
            self.enter(phase);
        }
    }

    fn enter(&mut self, phase: Phase) {
        let now = clock::now();
        (self.phase, self.since, self.moved, self.progress, self.reprieved) = (phase, now, 0, now, false);
    }

    fn moves(&mut self, bytes: u64) {
        self.moved += bytes;
        self.progress = clock::now();
    }

    /// Writes the line of the reply that was being sent, whole or not.
    fn record(&mut self, site: &Site, reason: Reason) {
        if let Doing::SendingReply { status, date, head, .. } = self.doing {
            site.traffic.replied(status, self.moved);
            if let Some(log) = &site.log {
                let draft = Draft::read(&self.draft);
                let sent = self.moved.saturating_sub(head);
                log.record(&Entry { peer: self.peer.ip(), draft, date, status, sent, reason });
            }
            self.doing = Doing::Nothing;
        }
        if !matches!(self.doing, Doing::Taking(_)) {
            self.draft.clear();
        }
    }

    /// Bytes that it has received and keeps while it waits.
    fn incoming(&self) -> usize {
        self.protocol.heap_size() + if let Doing::Taking(taker) = &self.doing { taker.memory() } else { 0 }
    }

    /// Bytes of replies that wait to be sent, and of drafts that are longer than usual.
    fn outgoing(&self) -> usize {
        self.outgoing.memory() + self.draft.capacity().saturating_sub(DRAFT)
    }

    fn end_by(&self, error: &io::Error) -> Reason {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => match self.is_kept() {
                true => Reason::Complete,
                false => Reason::ClientAbort,
            },
            _ if error.get_ref().is_some_and(|error| error.is::<FileChanged>()) => Reason::FileChanged,
            _ => Reason::Failed,
        }
    }
}

impl Connection {
    /// A connection over this socket.
    pub(crate) fn over(socket: OwnedFd, peer: SocketAddr, site: &Site) -> Connection {
        Connection::new(Socket::new(socket, peer), peer, site)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// What the handler answers; one that panics has answered 500 (R1945-9.5, V33).
fn answered(handle: impl FnOnce() -> Answer) -> Answer {
    catch_unwind(AssertUnwindSafe(handle)).unwrap_or_else(|_| error(Status::INTERNAL_SERVER_ERROR).into())
}

/// What the handler says about a request that is none.
fn refusal(site: &Site, error: RequestError) -> Response {
    match catch_unwind(AssertUnwindSafe(|| site.handler.request_error(error))) {
        Ok(reply) => Response { status: error.status(), ..reply },
        Err(_) => self::error(Status::INTERNAL_SERVER_ERROR),
    }
}

fn error(status: Status) -> Response {
    Response { status, ..Response::text(format!("{status}\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::{AccessLog, LogFormat};
    use crate::handler::Body;
    use allocation_counter::measure;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    /// Says all of this, once or each time, and takes every answer.
    #[derive(Debug)]
    struct Says(Vec<u8>, Often);

    #[derive(Debug, PartialEq)]
    enum Often {
        Once,
        EachTime,
    }

    impl Peer for Says {
        fn receive(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let n = room.len().min(self.0.len());
            room[..n].copy_from_slice(&self.0[..n]);
            if self.1 == Often::Once {
                self.0.drain(..n);
            }
            if n == 0 { Err(rustix::io::Errno::AGAIN.into()) } else { Ok(n) }
        }
        fn is_readable(&self) -> bool {
            !self.0.is_empty()
        }
        fn send(&mut self, bytes: &[u8], _: bool) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn send_file(&mut self, _: BorrowedFd<'_>, _: &mut u64, _: u64) -> io::Result<usize> {
            Ok(0)
        }
        fn half_close(&mut self) -> io::Result<()> {
            Ok(())
        }
        fn local(&self) -> io::Result<SocketAddr> {
            Err(io::ErrorKind::NotConnected.into())
        }
    }

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const LONG: &[u8] = b"GET /a%20b HTTP/1.1\r\nHost: a\r\nReferer: b\r\nUser-Agent: c\r\n\r\n";

    fn connected<P: Peer>(socket: P, site: &Site) -> Connection<P> {
        Connection::new(socket, SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), site)
    }

    #[test]
    fn requests_in_hand_are_answered_though_nothing_more_comes() {
        let site = Site::new(Box::new(|_: &Request<'_>| Response::text("x")));
        let mut desk = Desk::new(None);
        let mut connection = connected(Says(GET.repeat(40), Often::Once), &site);
        assert_eq!(connection.drive(&site, &mut desk), Next::Wait(Interest::Turn));
        for (replies, next) in [(32, Interest::Turn), (40, Interest::Read)] {
            connection.wake(false);
            assert!(!connection.is_idle(), "it neither makes room nor ends at a stop");
            assert_eq!(connection.receive(&site, &mut desk), Next::Wait(next));
            assert_eq!(connection.replies, replies);
        }
        assert!(connection.is_kept());
    }

    #[test]
    fn after_a_turn_that_ends_with_a_reply_it_is_idle() {
        let long = || Response { body: Body::Shared(vec![0; 1 << 20].into()), ..Response::text("") };
        let site = Site::new(Box::new(move |_: &Request<'_>| long()));
        let mut desk = Desk::new(None);
        let mut connection = connected(Says(GET.to_vec(), Often::Once), &site);
        assert_eq!(connection.drive(&site, &mut desk), Next::Wait(Interest::Turn));
        assert_eq!((connection.replies, connection.outgoing.is_empty()), (1, true));
        connection.wake(false);
        assert_eq!(connection.receive(&site, &mut desk), Next::Wait(Interest::Read));
        assert!(connection.is_kept() && connection.phase == Phase::Idle, "{:?}", connection.phase);
    }

    #[test]
    fn who_has_octets_of_its_own_takes_no_workspace_with_it() {
        let site = Site::new(Box::new(|_: &Request<'_>| Response::text("x")));
        let mut desk = Desk::new(None);
        for _ in 0..3 {
            let mut connection = connected(Says(b"\r".to_vec(), Often::Once), &site);
            assert_eq!(connection.drive(&site, &mut desk), Next::Wait(Interest::Read));
            connection.socket.0 = [b"\n", GET].concat();
            connection.wake(false);
            assert_eq!(connection.receive(&site, &mut desk), Next::Wait(Interest::Read));
            assert_eq!(connection.replies, 1);
        }
        let workspaces: Vec<_> = desk.workspaces.iter().map(|workspace| format!("{workspace:?}")).collect();
        assert_eq!(workspaces, ["Workspace(16384 bytes)"]);
    }

    // R9112-9.6b
    #[test]
    fn what_came_while_others_went_first_is_read_before_the_close() {
        let site = Site::new(Box::new(|_: &Request<'_>| Response::text("x")));
        let mut desk = Desk::new(None);
        for (behind, lingers) in [(&b""[..], false), (GET, true)] {
            let mut connection = connected(Says(b"GET / HTTP/1.0\r\n\r\n".to_vec(), Often::Once), &site);
            assert_eq!(connection.receive(&site, &mut desk), Next::StepBehind);
            connection.socket.0 = behind.to_vec();
            let next = connection.drive(&site, &mut desk);
            let expected = if lingers { Next::Wait(Interest::Read) } else { Next::End(Reason::Complete) };
            assert_eq!((next, connection.socket.0.is_empty()), (expected, true));
        }
    }

    #[test]
    fn who_steps_behind_may_be_resumed_by_anybody() {
        let site = Site::new(Box::new(|request: &Request<'_>| Response::text(request.peer.to_string())));
        let (mut desk, mut another) = (Desk::new(None), Desk::new(None));
        let mut connection = connected(Says(LONG.to_vec(), Often::EachTime), &site);
        for _ in 0..9 {
            let replies = connection.replies;
            connection.wake(false);
            assert_eq!(connection.receive(&site, &mut desk), Next::StepBehind);
            assert_eq!((connection.incoming(), connection.is_idle()), (0, false));
            assert_eq!(connection.drive(&site, &mut another), Next::Wait(Interest::Read));
            assert!(connection.replies > replies && connection.is_kept());
        }
        assert_eq!(
            (desk.workspaces.len(), another.workspaces.len()),
            (0, 9),
            "what was lent comes back, to whom it comes"
        );
    }

    // What a hit of the cache allocates, which is nothing, is shown where it is.
    #[test]
    fn a_kept_connection_allocates_nothing_for_a_request() {
        let content: Arc<[u8]> = vec![b'x'; 1024].into();
        let Response { fields, .. } = Response::text("");
        for format in [None, Some(LogFormat::Common), Some(LogFormat::Combined), Some(LogFormat::Json)] {
            let (content, fields) = (content.clone(), fields.clone());
            let handler = move |_: &Request<'_>| Response {
                status: Status::OK,
                fields: fields.clone(),
                body: Body::Shared(content.clone()),
            };
            let log = format.map(|format| Arc::new(AccessLog::with_room(format)));
            let site = Site { log, ..Site::new(Box::new(handler)) };
            let mut desk = Desk::new(None);
            let mut connection = connected(Says(LONG.to_vec(), Often::EachTime), &site);
            let mut turn = |behind| {
                connection.wake(false);
                if behind {
                    assert_eq!(connection.receive(&site, &mut desk), Next::StepBehind);
                    assert!(!connection.is_idle(), "it has a request in hand");
                }
                assert_eq!(connection.drive(&site, &mut desk), Next::Wait(Interest::Read));
                assert!(connection.is_kept());
            };
            turn(true); // the desk's buffers find their size
            turn(false);
            let measured = measure(|| (0..100).for_each(|n| turn(n % 3 == 0)));
            assert_eq!(measured.count_total, 0, "{format:?}");
            assert_eq!(connection.replies, 102);
            assert_eq!((connection.incoming(), connection.outgoing()), (0, 0), "and it owns none while it waits");
        }
    }
}
