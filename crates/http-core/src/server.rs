//! The server's machine: one connection's requests in, its replies out. It owns the state of the exchange; what a head
//! is worth is decided in `judge`, and what that means for the connection in the files it calls.
//!
//! ```text
//!            received bytes                       poll() -> Request(head)
//!   ┌──────┐ ───────────▶ ┌──────┐ ─────────────────────────────────────▶ ┌──────┐ poll() -> Body(octets)
//!   │ Idle │              │ Head │                                        │ Body │ ◀─┐ until all of it came
//!   └──────┘ ◀─┐          └──────┘ ── poll() -> Err(RequestError) ─┐      └──────┘ ──┘
//!              │ kept                                              ▼          │ respond() at any time
//!              │          ┌─────────┐  respond() or refuse()  ┌─────────┐     │ from Request on
//!              └───────── │  (all   │ ◀── body_sent(n) ────── │Replying │ ◀───┘
//!   ┌─────────┐           │  sent)  │                         └─────────┘
//!   │ Closing │ ◀── else ─┴─────────┘
//!   └─────────┘  poll() -> Closed
//! ```
//!
//! After every [`Connection::poll`] the caller does what the event says:
//!
//! | event | what to do |
//! |---|---|
//! | [`Event::NeedInput`] | read into [`space`](Connection::space), then [`received`](Connection::received) or [`received_eof`](Connection::received_eof) |
//! | [`Event::Request`] | [`respond`](Connection::respond) now, or poll on for the body and respond at [`Event::ReplyDue`] |
//! | [`Event::Body`] | use the octets; they are gone at the next call |
//! | [`Event::ReplyDue`] | `respond`, or send on what was promised and report it by [`body_sent`](Connection::body_sent) |
//! | [`Event::Closed`] | close; see [`must_linger`](Connection::must_linger) |
//! | `Err(error)` | [`refuse`](Connection::refuse), or `respond` with a page of your own; either closes |
//!
//! The value may be set down after any octet and picked up by another thread. It reads no clock: the caller says when
//! a deadline struck ([`timed_out`](Connection::timed_out)), and which one runs follows from [`phase`](Connection::phase).

use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::buffer::{Buffer, Workspace};
use crate::date::DateText;
use crate::encode;
use crate::error::{RequestError, UseError};
use crate::field::{FieldBlock, FieldValue, name};
use crate::judge::Head;
use crate::limits::Limits;
use crate::parse;
use crate::persist::{self, CloseReason, Facts};
use crate::scan::{Found, Scanner, TooLong};
use crate::status::Status;
use crate::version::Version;

pub use crate::exchange::{Event, Expectation, Phase, Reply, ReplyBody, RequestHead, SendBody};

/// One connection, seen from the server.
///
/// ```
/// use http_core::server::{Connection, Event, Reply, ReplyBody, SendBody};
/// use http_core::{FieldBlock, Limits, Status};
///
/// let mut connection = Connection::new(Limits::default());
/// let bytes = b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
/// assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
/// connection.space()[..bytes.len()].copy_from_slice(bytes);
/// connection.received(bytes.len());
///
/// let Ok(Event::Request(request)) = connection.poll() else { panic!() };
/// assert_eq!(request.target.path(), "/hello");
///
/// let fields = FieldBlock::new();
/// let reply = Reply { body: ReplyBody::Length(5), ..Reply::new(Status::OK, &fields) };
/// let mut out = Vec::new();
/// assert_eq!(connection.respond(&reply, &mut out), Ok(SendBody::Exactly(5)));
/// out.extend_from_slice(b"hello");
/// connection.body_sent(5)?;
/// assert_eq!(out, b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello");
/// assert!(matches!(connection.poll(), Ok(Event::NeedInput)));      // the connection is kept
/// # Ok::<(), http_core::UseError>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    limits: Limits,
    buffer: Buffer,
    scanner: Scanner,
    head: Head,
    /// What is handed out is a request's head.
    holds_head: bool,
    /// Octets of the request's body that are still to come.
    body_left: u64,
    state: State,
    refused: Option<RequestError>,
    close_reason: Option<CloseReason>,
    blank_lines: u8,
    /// In how many pieces the current head came; see `must_linger`.
    pieces: u8,
    simple_requests: bool,
    eof: bool,
    timed_out: bool,
    no_room: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between requests, or within a head.
    Head,
    /// A request was handed out, or an error; the reply is due.
    Due,
    /// The reply's head is written; so many octets of its body are still to be sent, `None` until the close.
    Sending(Option<u64>),
    /// The reply is whole; the rest of the request's body is dropped.
    Dropping,
    Closed,
}

impl Connection {
    /// A connection that nothing was received on yet.
    pub const fn new(limits: Limits) -> Connection {
        Connection {
            limits,
            buffer: Buffer::new(),
            scanner: Scanner::new(),
            head: Head::NONE,
            holds_head: false,
            body_left: 0,
            state: State::Head,
            refused: None,
            close_reason: None,
            blank_lines: 0,
            pieces: 0,
            simple_requests: true,
            eof: false,
            timed_out: false,
            no_room: false,
        }
    }

    /// Answers HTTP/0.9 requests with 400.
    #[must_use]
    pub const fn without_simple_requests(mut self) -> Connection {
        self.simple_requests = false;
        self
    }

    /// Room to receive into; at least one octet after [`Event::NeedInput`], and never more than
    /// [`Limits::head`] in all.
    pub fn space(&mut self) -> &mut [u8] {
        self.holds_head = false;
        self.buffer.space(self.limits.head as usize)
    }

    /// `n` octets of [`space`](Self::space) are filled.
    pub fn received(&mut self, n: usize) {
        self.pieces = self.pieces.saturating_add(1);
        self.buffer.received(n);
    }

    /// The peer will send no more. What came before is still served (R9112-9.6c).
    pub fn received_eof(&mut self) {
        self.eof = true;
    }

    /// The caller's deadline for the current [`phase`](Self::phase) struck: a request that has begun is refused with
    /// 408, an idle connection closes without a word (R9112-9.5, R9110-15.5.9).
    pub fn timed_out(&mut self) {
        self.timed_out = true;
    }

    /// The caller has no room for what comes: the request, be it whole, begun or not there yet, is refused with 503
    /// (R1945-9.5). A reply that is under way goes on.
    pub fn no_room(&mut self) {
        self.no_room = true;
    }

    /// What comes next.
    ///
    /// # Errors
    /// The peer's fault; the same each time, until [`refuse`](Self::refuse) or [`respond`](Self::respond) was called.
    pub fn poll(&mut self) -> Result<Event<'_>, RequestError> {
        self.let_go();
        match self.advance() {
            Ok(Step::NeedInput) => Ok(Event::NeedInput),
            Ok(Step::Request) => Ok(self.request().map_or(Event::ReplyDue, Event::Request)),
            Ok(Step::Body) => Ok(Event::Body(self.buffer.handed_out())),
            Ok(Step::ReplyDue) => Ok(Event::ReplyDue),
            Ok(Step::Closed) => Ok(Event::Closed),
            Err(error) => {
                if self.refused.is_none() {
                    if self.state == State::Head {
                        // No line need be whole for its answer to be one to HEAD, without a body.
                        self.head.is_head = matches!(self.buffer.unread(), [b'H', b'E', b'A', b'D', b' ' | b'\t', ..]);
                    }
                    (self.refused, self.state, self.body_left) = (Some(error), State::Due, 0);
                }
                Err(error)
            }
        }
    }

    /// The head that the last [`poll`](Self::poll) handed out, until the next call that receives or polls: for the log.
    pub fn request(&self) -> Option<RequestHead<'_>> {
        if !self.holds_head {
            return None;
        }
        self.head.view(self.buffer.handed_out(), self.buffer.fields(), self.body_left)
    }

    /// The first line as far as it came, for the log: any octets but LF. It is there while [`request`](Self::request)
    /// is, and after an error in a head.
    pub fn first_line(&self) -> &[u8] {
        if !self.holds_head && self.head.length > 0 {
            return b"";
        }
        let unread = self.buffer.unread();
        let line = unread.split(|&c| c == b'\n').next().unwrap_or_default();
        let line = &line[..line.len().min(self.limits.first_line as usize)];
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// Appends a reply's head to `out`, with its body if that is [`ReplyBody::Octets`], and says what is to follow. For a
    /// Simple-Request there is no head.
    ///
    /// It may come before the request's body: what is then still to come of it is dropped, or the connection closes.
    ///
    /// # Errors
    /// [`UseError::NoReplyDue`], [`UseError::InterimStatus`], [`UseError::FieldMissing`]; nothing is written then.
    pub fn respond(&mut self, reply: &Reply<'_>, out: &mut Vec<u8>) -> Result<SendBody, UseError> {
        let needed = match reply.status {
            Status::UNAUTHORIZED => Some(name::WWW_AUTHENTICATE), // R1945-9.4d, R9110-11.6.1
            Status::METHOD_NOT_ALLOWED => Some(name::ALLOW),      // R9110-10.2.1
            _ => None,
        };
        if self.state == State::Due && needed.is_some_and(|name| !reply.fields.contains(name)) {
            return Err(UseError::FieldMissing);
        }
        self.forward(reply, out)
    }

    /// Like [`respond`](Self::respond), for an answer that comes from another server and is passed on: it need not carry
    /// what that server has left out.
    ///
    /// # Errors
    /// [`UseError::NoReplyDue`], [`UseError::InterimStatus`]; nothing is written then.
    pub fn forward(&mut self, reply: &Reply<'_>, out: &mut Vec<u8>) -> Result<SendBody, UseError> {
        if self.state != State::Due {
            return Err(UseError::NoReplyDue);
        }
        if reply.status.is_informational() {
            return Err(UseError::InterimStatus);
        }
        let bodiless = reply.status.is_bodiless() || self.head.is_head;
        self.close_reason = persist::close_reason(&Facts {
            version: self.head.version,
            asked: self.head.asked,
            refused: self.refused,
            tolerated: self.head.tolerated,
            caller_asks: reply.close,
            until_close: reply.body == ReplyBody::UntilClose && !bodiless,
            // A client that waits for 100 may or may not send its body now: no telling where the next request begins.
            unread_body: self.body_left > self.limits.drain || (self.head.expects_continue && self.body_left > 0),
        });
        if self.head.version > Version::HTTP_09 {
            let head = encode::ResponseHead {
                status: reply.status,
                date: reply.date,
                keep_alive: self.close_reason.is_none(),
                length: reply.body.length().filter(|_| !reply.status.is_bodiless()), // R9110-8.6a
                fields: reply.fields,
            };
            encode::response_head(&head, out);
        }
        let (send, state) = match reply.body {
            _ if bodiless => (SendBody::None, State::Dropping),
            ReplyBody::Octets(octets) => {
                out.extend_from_slice(octets);
                (SendBody::None, State::Dropping)
            }
            ReplyBody::Length(0) => (SendBody::None, State::Dropping),
            ReplyBody::Length(length) => (SendBody::Exactly(length), State::Sending(Some(length))),
            ReplyBody::UntilClose => (SendBody::UntilClose, State::Sending(None)),
        };
        self.state = state;
        Ok(send)
    }

    /// Appends a whole answer to the error that [`poll`](Self::poll) returned: head, and a line of text that says what
    /// was wrong (R1945-9.4b).
    ///
    /// # Errors
    /// [`UseError::NothingToRefuse`].
    pub fn refuse(&mut self, date: Option<DateText>, out: &mut Vec<u8>) -> Result<(), UseError> {
        let (Some(error), State::Due) = (self.refused, self.state) else { return Err(UseError::NothingToRefuse) };
        let mut text = alloc::string::String::new();
        let _ = writeln!(text, "{}: {error}", error.status()); // writing to a String does not fail
        let mut fields = FieldBlock::new();
        fields.push(name::CONTENT_TYPE, FieldValue::from_static("text/plain; charset=utf-8"))?;
        if error == RequestError::Connect {
            fields.push(name::ALLOW, FieldValue::from_static(""))?; // R9110-10.2.1: no method at all
        }
        if error == RequestError::NoRoom {
            fields.push(name::RETRY_AFTER, FieldValue::from_static("1"))?; // R1945-9.5
        }
        let body = ReplyBody::Octets(text.as_bytes());
        let _whole = self.respond(&Reply { body, date, ..Reply::new(error.status(), &fields) }, out)?;
        Ok(())
    }

    /// `n` octets of the reply's body were sent, by whatever call.
    ///
    /// # Errors
    /// [`UseError::BodyTooLong`], [`UseError::NoBodyDue`]; the connection is of no use any more if it happened.
    pub fn body_sent(&mut self, n: u64) -> Result<(), UseError> {
        match self.state {
            State::Sending(None) => Ok(()),
            State::Sending(Some(left)) => {
                let left = left.checked_sub(n).ok_or(UseError::BodyTooLong)?;
                self.state = if left == 0 { State::Dropping } else { State::Sending(Some(left)) };
                Ok(())
            }
            _ if n == 0 => Ok(()),
            _ => Err(UseError::NoBodyDue),
        }
    }

    /// A body of unknown length is at its end.
    ///
    /// # Errors
    /// [`UseError::BodyTooShort`] if a length was promised and not reached: close the connection, so that the peer sees
    /// it (never pad, never go on). [`UseError::NoBodyDue`] if none was being sent.
    pub fn body_ended(&mut self) -> Result<(), UseError> {
        match self.state {
            State::Sending(None) => {
                self.state = State::Dropping;
                Ok(())
            }
            State::Sending(Some(_)) => Err(UseError::BodyTooShort),
            State::Dropping => Ok(()),
            _ => Err(UseError::NoBodyDue),
        }
    }

    /// What the connection is doing.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Head if self.begun() => Phase::Head,
            State::Head => Phase::Idle,
            State::Due if self.body_left > 0 => Phase::Body,
            State::Dropping if self.body_left > 0 && self.close_reason.is_none() => Phase::Body,
            State::Due | State::Sending(_) => Phase::Replying,
            State::Dropping if self.close_reason.is_none() => Phase::Idle,
            State::Dropping | State::Closed => Phase::Closing,
        }
    }

    /// Why the connection ends, once that is settled; for the log.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.close_reason
    }

    /// Whether octets may still be on their way to us, so that a plain close could destroy the answer by a reset
    /// (R9112-9.6b): half-close, then read and drop for a bounded time and number of octets. Else a plain close will do.
    ///
    /// A head that came in one piece with nothing behind it is taken for all that its client had to say.
    pub fn must_linger(&self) -> bool {
        let more = self.buffer.unread().len() > self.buffer.handed_out().len() || self.body_left > 0;
        !self.eof && (more || self.pieces > 1 || self.refused.is_some() || self.head.version == Version::HTTP_09)
    }

    /// Works in the workspace's memory from here on, so that the connection needs none of its own.
    pub fn lend(&mut self, workspace: &mut Workspace) {
        self.buffer.lend(workspace);
    }

    /// Octets of memory that the connection owns by itself, not counting what is lent: 0 when it was set down idle.
    pub fn memory(&self) -> usize {
        self.buffer.memory()
    }

    /// Gives the memory back. Octets that came and were not consumed move to memory of the connection's own; an idle
    /// connection owns none. The last request's head is gone.
    pub fn set_down(&mut self, workspace: &mut Workspace) {
        self.holds_head = false;
        self.buffer.set_down(workspace);
    }
}

enum Step {
    NeedInput,
    Request,
    Body,
    ReplyDue,
    Closed,
}

impl Connection {
    /// Drops what the last call handed out.
    fn let_go(&mut self) {
        self.buffer.let_go();
        self.holds_head = false;
    }

    fn advance(&mut self) -> Result<Step, RequestError> {
        loop {
            match self.state {
                State::Head => return self.receive_head(),
                State::Due => return self.receive_body(),
                State::Sending(_) => return Ok(Step::ReplyDue),
                State::Dropping if self.close_reason.is_some() => self.state = State::Closed,
                State::Dropping => {
                    let n = self.body_left.min(self.buffer.unread().len() as u64);
                    self.buffer.consume(n as usize);
                    self.body_left -= n;
                    if self.body_left == 0 {
                        self.next_request();
                    } else if self.eof || self.timed_out {
                        self.close(CloseReason::BodyIncomplete);
                    } else {
                        return Ok(Step::NeedInput);
                    }
                }
                State::Closed => return Ok(Step::Closed),
            }
        }
    }

    fn close(&mut self, reason: CloseReason) {
        (self.state, self.close_reason) = (State::Closed, Some(reason));
    }

    fn next_request(&mut self) {
        self.state = State::Head;
        self.head = Head::NONE;
        self.scanner = Scanner::new();
        self.blank_lines = 0;
        self.pieces = u8::from(!self.buffer.unread().is_empty());
    }

    /// Whether an octet of a request came; line ends are none (R9112-8).
    fn begun(&self) -> bool {
        !matches!(self.buffer.unread(), b"" | b"\r" | b"\r\n" | b"\n") && !self.holds_head
    }

    fn receive_head(&mut self) -> Result<Step, RequestError> {
        if self.no_room {
            return Err(RequestError::NoRoom);
        }
        loop {
            let bytes = self.buffer.unread();
            // What begins like no request is no request: a TLS hello does not wait for a line end.
            if let Some(first) = bytes.first()
                && self.head.first_line_end == 0
                && !matches!(first, b'\r' | b'\n' | 0x21..=0x7e)
            {
                return Err(RequestError::RequestLine);
            }
            match self.scanner.step(bytes, &self.limits) {
                Ok(Found::Nothing) if self.timed_out && self.begun() => return Err(RequestError::TimedOut),
                Ok(Found::Nothing) if self.eof && self.begun() => return Err(RequestError::Incomplete),
                Ok(Found::Nothing) if self.timed_out => self.close(CloseReason::Idle),
                Ok(Found::Nothing) if self.eof => self.close(CloseReason::PeerClosed),
                Ok(Found::Nothing) => return Ok(Step::NeedInput),
                Ok(Found::FirstLine(line, next)) if line.is_empty() => {
                    // R9112-2.2d
                    if self.blank_lines >= self.limits.blank_lines {
                        return Err(RequestError::BlankLines);
                    }
                    self.blank_lines += 1;
                    self.buffer.consume(next);
                    self.scanner = self.scanner.behind_blank_line();
                    continue;
                }
                Ok(Found::FirstLine(line, next)) => {
                    self.head.judge_first_line(&bytes[line], next, self.simple_requests)?;
                    if self.head.version == Version::HTTP_09 {
                        self.buffer.parts().1.clear();
                        return Ok(self.hand_out(next)); // whole with its line
                    }
                    continue;
                }
                Ok(Found::HeadEnd(length)) => {
                    let (bytes, index) = self.buffer.parts();
                    self.head.judge(&mut bytes[..length], &self.scanner, index)?;
                    return Ok(self.hand_out(length));
                }
                Err(TooLong::FirstLine) => {
                    let line = &bytes[..self.limits.first_line as usize + 1];
                    return Err(parse::request_line_too_long(line));
                }
                Err(TooLong::FieldLine) => return Err(RequestError::FieldLineTooLong),
                Err(TooLong::Fields) => return Err(RequestError::TooManyFields),
                Err(TooLong::Head) => return Err(RequestError::HeadTooLong),
            }
            return Ok(Step::Closed);
        }
    }

    fn hand_out(&mut self, length: usize) -> Step {
        self.head.length = length as u32;
        self.buffer.hand_out(length);
        self.holds_head = true;
        self.body_left = self.head.body;
        self.state = State::Due;
        Step::Request
    }

    fn receive_body(&mut self) -> Result<Step, RequestError> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        if self.body_left == 0 {
            return Ok(Step::ReplyDue);
        }
        if self.body_left > self.limits.body {
            return Err(RequestError::BodyTooLong);
        }
        if self.no_room {
            return Err(RequestError::NoRoom);
        }
        let n = self.body_left.min(self.buffer.unread().len() as u64);
        if n > 0 {
            self.buffer.hand_out(n as usize);
            self.body_left -= n;
            return Ok(Step::Body);
        }
        if self.timed_out {
            return Err(RequestError::TimedOut);
        }
        if self.eof {
            return Err(RequestError::Incomplete); // R9112-6.3b
        }
        Ok(Step::NeedInput)
    }
}
