//! The server's machine: one connection's requests in, its replies out. It owns the state of the exchange; what a head
//! is worth is decided in `judge`, and what that means for the connection in the files it calls.
//!
//! ```text
//!            received(n)      poll: Request, a body follows      poll: NeedOutput
//!   ┌──────┐          ┌──────┐                         ┌──────┐          ┌──────────┐
//!   │ Idle │ ───────▶ │ Head │ ──────────────────────▶ │ Body │ ───────▶ │ Responding │
//!   └──────┘          └──────┘                         └──────┘          └──────────┘
//!      ▲                  │                             │    ▲               ▲  │
//!      │                  │                             └────┘ poll: Body    │  │
//!      │                  │ poll: Request, no body follows                   │  │
//!      │                  │ poll: Err                                        │  │
//!      │                  └──────────────────────────────────────────────────┘  │
//!      │                  respond() or respond_error(), then body_sent(n), finish_body()│
//!      │ the connection is kept                                                 │
//!      └────────────────────────────────────────────────────────────────────────┤
//!                                                       ┌─────────┐  else       │
//!                                      poll: Closed ◀── │ Closing │ ◀───────────┘
//!                                                       └─────────┘
//! ```
//!
//! A reply may be given in Body, too: what is still to come of the request's body is then dropped, up to
//! [`Limits::drain`] bytes, or the connection closes.
//!
//! Call [`Connection::poll`] again and again, and do each time what the event says, until it says
//! [`NeedInput`](Event::NeedInput) or [`Closed`](Event::Closed):
//!
//! | event | what to do |
//! |---|---|
//! | [`Event::NeedInput`] | read into [`receive_buffer`](Connection::receive_buffer), then [`received`](Connection::received) or [`received_eof`](Connection::received_eof) |
//! | [`Event::Request`] | [`respond`](Connection::respond) now, or poll on for the body and respond at [`Event::NeedOutput`] |
//! | [`Event::Body`] | use the bytes; they are gone at the next call |
//! | [`Event::NeedOutput`] | `respond`, or send on what was promised and report it by [`body_sent`](Connection::body_sent) |
//! | [`Event::Closed`] | close; see [`must_linger`](Connection::must_linger) |
//! | `Err(error)` | [`respond_error`](Connection::respond_error), or `respond` with a page of your own; either closes |
//!
//! The value may be set down after any byte and picked up by another thread. It reads no clock: the caller says when
//! a deadline struck ([`handle_timeout`](Connection::handle_timeout)), and which one runs follows from [`phase`](Connection::phase).
//! When reading or writing fails, drop the value: there is nothing to undo.
//!
//! A request with a body, and one that is refused:
//!
//! ```
//! use http_core::server::{Connection, Event, Response};
//! use http_core::{FieldBlock, Framing, Limits, RequestError, Status};
//!
//! fn receive(connection: &mut Connection, bytes: &[u8]) {
//!     connection.receive_buffer()[..bytes.len()].copy_from_slice(bytes);
//!     connection.received(bytes.len());
//! }
//!
//! let mut connection = Connection::new(Limits::default());
//! let (fields, mut out) = (FieldBlock::new(), Vec::new());
//! receive(&mut connection, b"POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nx=1");
//! let Ok(Event::Request(request)) = connection.poll() else { panic!() };
//! assert_eq!(request.body, Framing::Length(6));
//! assert!(matches!(connection.poll(), Ok(Event::Body(b"x=1"))));
//! assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
//! // The rest of the body, and a next request behind it.
//! receive(&mut connection, b"&y=GET / HTTP/1.1\r\n\r\n");
//! assert!(matches!(connection.poll(), Ok(Event::Body(b"&y="))));
//! assert!(matches!(connection.poll(), Ok(Event::NeedOutput)));
//! let _no_body = connection.respond(&Response::new(Status::NO_CONTENT, &fields), &mut out)?;
//! // HTTP/1.1 must have a Host. It is answered 400, with a line of text.
//! assert!(matches!(connection.poll(), Err(RequestError::HostMissing)));
//! connection.respond_error(None, &mut out)?;
//! assert!(matches!(connection.poll(), Ok(Event::Closed)));
//! # Ok::<(), http_core::UsageError>(())
//! ```

mod head;
pub(crate) mod types;

use alloc::vec::Vec;
use core::fmt::Write as _;

use memchr::memchr;

use crate::error::{RequestError, UsageError};
use crate::limits::Limits;
use crate::message::date::DateText;
use crate::message::field::{FieldBlock, FieldValue, header};
use crate::message::status::Status;
use crate::message::version::Version;
use crate::wire::encode;
use crate::wire::framing::Framing;
use crate::wire::parse;
use crate::wire::persistence::{self, CloseFacts, CloseReason};
use crate::wire::recv_buffer::{RecvBuffer, Workspace};
use crate::wire::scan::{Found, HeadScanner, TooLong};
use head::Head;

pub use types::{Event, Expectation, Phase, RequestHead, Response, ResponseBody, SendBody};

/// One connection, seen from the server. The [module](self) says in which order to call what.
///
/// It is some 250 bytes large, and `Send`; its buffers are its own, or [lent](Self::attach).
///
/// ```
/// use http_core::server::{Connection, Event, Response, ResponseBody, SendBody};
/// use http_core::{FieldBlock, Limits, Status};
///
/// let mut connection = Connection::new(Limits::default());
/// let bytes = b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
/// assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
/// connection.receive_buffer()[..bytes.len()].copy_from_slice(bytes);
/// connection.received(bytes.len());
///
/// let Ok(Event::Request(request)) = connection.poll() else { panic!() };
/// assert_eq!(request.target.path(), "/hello");
///
/// let fields = FieldBlock::new();
/// let reply = Response { body: ResponseBody::Length(5), ..Response::new(Status::OK, &fields) };
/// let mut out = Vec::new();
/// assert_eq!(connection.respond(&reply, &mut out), Ok(SendBody::Exactly(5)));
/// out.extend_from_slice(b"hello");
/// connection.body_sent(5)?;
/// assert_eq!(out, b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello");
/// assert!(matches!(connection.poll(), Ok(Event::NeedInput)));      // the connection is kept
/// # Ok::<(), http_core::UsageError>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    limits: Limits,
    buffer: RecvBuffer,
    scanner: HeadScanner,
    head: Head,
    /// What is handed out is a request's head.
    holds_head: bool,
    /// Bytes of the request's body that are still to come.
    body_left: u64,
    state: State,
    refused: Option<RequestError>,
    close_reason: Option<CloseReason>,
    blank_lines: u8,
    /// In how many pieces the current head came; see `must_linger`.
    pieces: u8,
    allows_http09: bool,
    eof: bool,
    timed_out: bool,
    overloaded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between requests, or within a head.
    Head,
    /// A request was handed out, or an error; the reply is due.
    Due,
    /// The reply's head is written; so many bytes of its body are still to be sent, `None` until the close.
    Sending(Option<u64>),
    /// The reply is whole; the rest of the request's body is dropped.
    Dropping,
    Closed,
}

impl Connection {
    /// A connection that nothing was received on yet. It allocates nothing before it is asked for [`receive_buffer`](Self::receive_buffer).
    pub const fn new(limits: Limits) -> Connection {
        Connection {
            limits,
            buffer: RecvBuffer::new(),
            scanner: HeadScanner::new(),
            head: Head::NONE,
            holds_head: false,
            body_left: 0,
            state: State::Head,
            refused: None,
            close_reason: None,
            blank_lines: 0,
            pieces: 0,
            allows_http09: true,
            eof: false,
            timed_out: false,
            overloaded: false,
        }
    }

    /// Answers HTTP/0.9 requests with 400 (in HTTP/1.0), instead of serving them. Behind a proxy nobody sends any.
    ///
    /// ```
    /// use http_core::server::Connection;
    /// # use http_core::{Limits, RequestError};
    /// let mut connection = Connection::new(Limits::default()).allow_http09(false);
    /// connection.receive_buffer()[..7].copy_from_slice(b"GET /\r\n");
    /// connection.received(7);
    /// assert_eq!(connection.poll().err(), Some(RequestError::RequestLine));
    /// ```
    #[must_use]
    pub const fn allow_http09(mut self, allow: bool) -> Connection {
        self.allows_http09 = allow;
        self
    }

    /// Room to receive into: at least one byte after [`Event::NeedInput`], and with what came and was not yet handed out
    /// never more than [`Limits::head`] in all. It may be larger than what is asked for, and grows by doubling from 256 bytes,
    /// unless a [`Workspace`] is lent. The bytes in it mean nothing before they are written.
    ///
    /// It takes away the head that was handed out.
    pub fn receive_buffer(&mut self) -> &mut [u8] {
        self.holds_head = false;
        self.buffer.receive_buffer(self.limits.head as usize)
    }

    /// The first `n` bytes of the last [`receive_buffer`](Self::receive_buffer) are filled. More than there was room for count as the room; 0 is
    /// no end of the stream, which [`received_eof`](Self::received_eof) is.
    pub fn received(&mut self, n: usize) {
        self.pieces = self.pieces.saturating_add(1);
        self.buffer.received(n);
    }

    /// The peer will send no more: its stream ended in order. What came before is still served (R9112-9.6c); a request that
    /// began and is not whole is [`RequestError::Incomplete`]. A stream that broke is nothing to tell: drop the connection.
    pub fn received_eof(&mut self) {
        self.eof = true;
    }

    /// The caller's deadline for the current [`phase`](Self::phase) struck: a request that has begun is refused with
    /// 408, an idle connection closes without a word (R9112-9.5, R9110-15.5.9). What is whole is still served. Poll next.
    ///
    /// ```
    /// use http_core::server::{Connection, Event};
    /// # use http_core::{Limits, RequestError};
    /// let mut connection = Connection::new(Limits::default());
    /// connection.receive_buffer()[..5].copy_from_slice(b"GET /");
    /// connection.received(5);
    /// assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
    /// connection.handle_timeout();
    /// assert_eq!(connection.poll().err(), Some(RequestError::TimedOut));
    /// ```
    pub fn handle_timeout(&mut self) {
        self.timed_out = true;
    }

    /// The caller has no room for what comes: the request, be it whole, begun or not there yet, is refused with 503
    /// and `Retry-After: 1` (R1945-9.5): the next poll is [`RequestError::Overloaded`]. A reply that is under way goes on.
    pub fn reject_overloaded(&mut self) {
        self.overloaded = true;
    }

    /// What comes next. What the last call handed out is gone.
    ///
    /// # Errors
    /// The peer's fault, for which it is to be told: the same each time, until [`respond_error`](Self::respond_error) or
    /// [`respond`](Self::respond) was called. Then comes [`Event::Closed`], once that reply is sent.
    pub fn poll(&mut self) -> Result<Event<'_>, RequestError> {
        self.let_go();
        match self.advance() {
            Ok(Step::NeedInput) => Ok(Event::NeedInput),
            Ok(Step::Request) => Ok(self.request().map_or(Event::NeedOutput, Event::Request)),
            Ok(Step::Body) => Ok(Event::Body(self.buffer.lent_front())),
            Ok(Step::NeedOutput) => Ok(Event::NeedOutput),
            Ok(Step::Closed) => Ok(Event::Closed),
            Err(error) => {
                if self.refused.is_none() {
                    if self.state == State::Head {
                        // No line need be whole for its answer to be one to HEAD, without a body. Of what came, only as
                        // much counts as a line may have, or the pieces would decide.
                        let line = self.buffer.unread();
                        let line = &line[..line.len().min(self.limits.start_line as usize)];
                        self.head.is_head = matches!(line, [b'H', b'E', b'A', b'D', b' ' | b'\t', ..]);
                    }
                    (self.refused, self.state, self.body_left) = (Some(error), State::Due, 0);
                }
                Err(error)
            }
        }
    }

    /// The head that the last [`poll`](Self::poll) handed out, until the next call that receives or polls; `None` otherwise.
    /// It is there after [`respond`](Self::respond), too, which a head that is held on to would not allow: for the log.
    pub fn request(&self) -> Option<RequestHead<'_>> {
        if !self.holds_head {
            return None;
        }
        self.head.view(self.buffer.lent_front(), self.buffer.fields(), self.body_left)
    }

    /// The first line as far as it came, for the log: any bytes but LF, [`Limits::start_line`] at most, so escape them. It is
    /// there while [`request`](Self::request) is, and after an error in a head; else it is empty.
    pub fn start_line(&self) -> &[u8] {
        if !self.holds_head && self.head.length > 0 {
            return b"";
        }
        let unread = self.buffer.unread();
        let length = memchr(b'\n', unread).unwrap_or(unread.len());
        let line = &unread[..length.min(self.limits.start_line as usize)];
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// Appends a reply's head to `out`, with its body if that is [`ResponseBody::Bytes`], and says what is to follow. For a
    /// Simple-Request there is no head; its body is sent as any other.
    ///
    /// It may come before the request's body: what is then still to come of it is dropped, or the connection closes. One
    /// reply answers one request, or one error of [`poll`](Self::poll). Whether the connection is kept is settled now, and
    /// said by Connection (D15); see [`close_reason`](Self::close_reason).
    ///
    /// # Errors
    /// [`UsageError::NoResponseDue`], [`UsageError::InformationalStatus`], [`UsageError::MissingField`]; nothing is written then, and a
    /// better reply may follow.
    ///
    /// ```
    /// use http_core::server::{Connection, Event, Response, ResponseBody, SendBody};
    /// # use http_core::{FieldBlock, Limits, Status};
    /// # let mut connection = Connection::new(Limits::default());
    /// # let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    /// # connection.receive_buffer()[..head.len()].copy_from_slice(head);
    /// # connection.received(head.len());
    /// # assert!(matches!(connection.poll(), Ok(Event::Request(_))));
    /// # let (fields, mut out) = (FieldBlock::new(), Vec::new());
    /// // The length is not known yet: the connection ends with the body.
    /// let reply = Response { body: ResponseBody::UntilClose, ..Response::new(Status::OK, &fields) };
    /// assert_eq!(connection.respond(&reply, &mut out)?, SendBody::UntilClose);
    /// assert_eq!(out, b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n");
    /// out.extend_from_slice(b"one, two");
    /// connection.finish_body()?;
    /// assert!(matches!(connection.poll(), Ok(Event::Closed)));
    /// # Ok::<(), http_core::UsageError>(())
    /// ```
    pub fn respond(&mut self, reply: &Response<'_>, out: &mut Vec<u8>) -> Result<SendBody, UsageError> {
        let needed = match reply.status {
            Status::UNAUTHORIZED => Some(header::WWW_AUTHENTICATE), // R1945-9.4d, R9110-11.6.1
            Status::METHOD_NOT_ALLOWED => Some(header::ALLOW),      // R9110-10.2.1
            _ => None,
        };
        if self.state == State::Due && needed.is_some_and(|name| !reply.fields.contains(name)) {
            return Err(UsageError::MissingField);
        }
        self.forward(reply, out)
    }

    /// Like [`respond`](Self::respond), for an answer that comes from another server and is passed on: it need not carry
    /// what that server has left out.
    ///
    /// # Errors
    /// [`UsageError::NoResponseDue`], [`UsageError::InformationalStatus`]; nothing is written then.
    pub fn forward(&mut self, reply: &Response<'_>, out: &mut Vec<u8>) -> Result<SendBody, UsageError> {
        if self.state != State::Due {
            return Err(UsageError::NoResponseDue);
        }
        if reply.status.is_informational() {
            return Err(UsageError::InformationalStatus);
        }
        let bodiless = reply.status.is_bodiless() || self.head.is_head;
        self.close_reason = persistence::close_reason(&CloseFacts {
            version: self.head.version,
            connection_option: self.head.connection_option,
            refused: self.refused,
            lenient: self.head.lenient,
            caller_asks: reply.close,
            until_close: reply.body == ResponseBody::UntilClose && !bodiless,
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
            ResponseBody::Bytes(bytes) => {
                out.extend_from_slice(bytes);
                (SendBody::None, State::Dropping)
            }
            ResponseBody::Length(0) => (SendBody::None, State::Dropping),
            ResponseBody::Length(length) => (SendBody::Exactly(length), State::Sending(Some(length))),
            ResponseBody::UntilClose => (SendBody::UntilClose, State::Sending(None)),
        };
        self.state = state;
        Ok(send)
    }

    /// Appends a whole answer to the error that [`poll`](Self::poll) returned: its [status](RequestError::status), and a line
    /// of text that says what was wrong (R1945-9.4b), but for HEAD. No `body_sent` is due. The connection closes after it.
    ///
    /// `date` is for the field Date; `None` where there is no clock. For a page of your own, [`respond`](Self::respond) with
    /// `error.status()` instead.
    ///
    /// # Errors
    /// [`UsageError::NoErrorToReport`] where `poll` returned no error, or it was answered.
    pub fn respond_error(&mut self, date: Option<DateText>, out: &mut Vec<u8>) -> Result<(), UsageError> {
        let (Some(error), State::Due) = (self.refused, self.state) else { return Err(UsageError::NoErrorToReport) };
        let mut text = alloc::string::String::new();
        let _ = writeln!(text, "{}: {error}", error.status()); // writing to a String does not fail
        let mut fields = FieldBlock::new();
        fields.push(header::CONTENT_TYPE, FieldValue::from_static("text/plain; charset=utf-8"))?;
        if error == RequestError::ConnectMethod {
            fields.push(header::ALLOW, FieldValue::from_static(""))?; // R9110-10.2.1: no method at all
        }
        if error == RequestError::Overloaded {
            fields.push(header::RETRY_AFTER, FieldValue::from_static("1"))?; // R1945-9.5
        }
        let body = ResponseBody::Bytes(text.as_bytes());
        let _whole = self.respond(&Response { body, date, ..Response::new(error.status(), &fields) }, out)?;
        Ok(())
    }

    /// `n` bytes of the reply's body were sent, by whatever call, or will be for certain: they stand in `out`, say. May be
    /// called for each piece. With the last of them the reply is whole; a body of unknown length needs
    /// [`finish_body`](Self::finish_body) besides.
    ///
    /// # Errors
    /// [`UsageError::BodyTooLong`] for more than the head promised, [`UsageError::NoBodyDue`] where none is; if bytes went out,
    /// the connection is of no use any more. Drop it.
    pub fn body_sent(&mut self, n: u64) -> Result<(), UsageError> {
        match self.state {
            State::Sending(None) => Ok(()),
            State::Sending(Some(left)) => {
                let left = left.checked_sub(n).ok_or(UsageError::BodyTooLong)?;
                self.state = if left == 0 { State::Dropping } else { State::Sending(Some(left)) };
                Ok(())
            }
            _ if n == 0 => Ok(()),
            _ => Err(UsageError::NoBodyDue),
        }
    }

    /// A body of unknown length is at its end: [`SendBody::UntilClose`] needs this call, and after the last byte of
    /// [`SendBody::Exactly`] it changes nothing.
    ///
    /// # Errors
    /// [`UsageError::BodyTooShort`] if a length was promised and not reached: close the connection, so that the peer sees
    /// it (never pad, never go on). [`UsageError::NoBodyDue`] if none was being sent.
    pub fn finish_body(&mut self) -> Result<(), UsageError> {
        match self.state {
            State::Sending(None) => {
                self.state = State::Dropping;
                Ok(())
            }
            State::Sending(Some(_)) => Err(UsageError::BodyTooShort),
            State::Dropping => Ok(()),
            _ => Err(UsageError::NoBodyDue),
        }
    }

    /// What the connection is doing, and so which deadline runs. Ask after [`Event::NeedInput`] or [`Event::NeedOutput`].
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Head if self.begun() => Phase::Head,
            State::Head => Phase::Idle,
            State::Due if self.body_left > 0 => Phase::Body,
            State::Dropping if self.body_left > 0 && self.close_reason.is_none() => Phase::Body,
            State::Due | State::Sending(_) => Phase::Responding,
            State::Dropping if self.close_reason.is_none() => Phase::Idle,
            State::Dropping | State::Closed => Phase::Closing,
        }
    }

    /// Why the connection ends, once that is settled: with the reply's head, or with [`Event::Closed`]. `None` while it is
    /// kept. For the log.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.close_reason
    }

    /// Whether bytes may still be on their way to us, so that a plain close could destroy the answer by a reset
    /// (R9112-9.6b): half-close, then read and drop for a bounded time and number of bytes. Else a plain close will do.
    /// Ask after [`Event::Closed`], when all of the reply is written.
    ///
    /// A head that came in one piece with nothing behind it is taken for all that its client had to say.
    ///
    /// ```no_run
    /// use std::io::{self, Read};
    /// use std::net::{Shutdown, TcpStream};
    /// use std::time::Duration;
    ///
    /// fn close(connection: &http_core::server::Connection, mut socket: TcpStream) -> io::Result<()> {
    ///     if connection.must_linger() {
    ///         socket.shutdown(Shutdown::Write)?;
    ///         socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    ///         let mut dropped = [0; 4096];
    ///         let mut left = 64;   // times 4 KiB at most
    ///         while left > 0 && socket.read(&mut dropped)? > 0 {
    ///             left -= 1;
    ///         }
    ///     }
    ///     Ok(())   // dropped, and so closed
    /// }
    /// ```
    #[must_use]
    pub fn must_linger(&self) -> bool {
        let more = self.buffer.unread().len() > self.buffer.lent_front().len() || self.body_left > 0;
        !self.eof && (more || self.pieces > 1 || self.refused.is_some() || self.head.version == Version::HTTP_09)
    }

    /// Works in the workspace's memory from here on, until [`detach`](Self::detach), so that the connection needs none of
    /// its own. A thread lends its workspace to one connection at a time; one that has unread bytes of its own keeps them
    /// where they are. The room that [`receive_buffer`](Self::receive_buffer) gave before is gone.
    pub fn attach(&mut self, workspace: &mut Workspace) {
        self.buffer.attach(workspace);
    }

    /// Bytes of heap memory that the connection owns by itself, not counting what is lent: 0 when it was set down idle. A
    /// program that bounds the memory of all its connections adds these up.
    pub fn heap_size(&self) -> usize {
        self.buffer.heap_size()
    }

    /// Gives the memory of [`attach`](Self::attach) back. Bytes that came and were not consumed move to memory of the
    /// connection's own; an idle connection owns none. The last request's head is gone.
    ///
    /// ```
    /// use http_core::server::{Connection, Event};
    /// use http_core::{Limits, Workspace};
    ///
    /// let mut workspace = Workspace::with_room(Limits::default().head as usize);   // one a thread
    /// let mut connection = Connection::new(Limits::default());
    /// connection.attach(&mut workspace);
    /// assert_eq!(connection.receive_buffer().len(), 16_384);
    /// assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
    /// connection.detach(&mut workspace);
    /// assert_eq!(connection.heap_size(), 0);
    /// ```
    pub fn detach(&mut self, workspace: &mut Workspace) {
        self.holds_head = false;
        self.buffer.detach(workspace);
    }
}

enum Step {
    NeedInput,
    Request,
    Body,
    NeedOutput,
    Closed,
}

impl Connection {
    /// Drops what the last call handed out.
    fn let_go(&mut self) {
        self.buffer.release();
        self.holds_head = false;
    }

    fn advance(&mut self) -> Result<Step, RequestError> {
        loop {
            match self.state {
                State::Head => return self.receive_head(),
                State::Due => return self.receive_body(),
                State::Sending(_) => return Ok(Step::NeedOutput),
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
        self.scanner = HeadScanner::new();
        self.blank_lines = 0;
        self.pieces = u8::from(!self.buffer.unread().is_empty());
    }

    /// Whether a byte of a request came; line ends are none (R9112-8).
    fn begun(&self) -> bool {
        !matches!(self.buffer.unread(), b"" | b"\r" | b"\r\n" | b"\n") && !self.holds_head
    }

    fn receive_head(&mut self) -> Result<Step, RequestError> {
        if self.overloaded {
            return Err(RequestError::Overloaded);
        }
        loop {
            let bytes = self.buffer.unread();
            // What begins like no request is no request: a TLS hello does not wait for a line end.
            if let Some(first) = bytes.first()
                && self.head.start_line_end == 0
                && !matches!(first, b'\r' | b'\n' | 0x21..=0x7e)
            {
                return Err(RequestError::RequestLine);
            }
            match self.scanner.scan(bytes, &self.limits) {
                Ok(Found::Incomplete) if self.timed_out && self.begun() => return Err(RequestError::TimedOut),
                Ok(Found::Incomplete) if self.eof && self.begun() => return Err(RequestError::Incomplete),
                Ok(Found::Incomplete) if self.timed_out => self.close(CloseReason::IdleTimeout),
                Ok(Found::Incomplete) if self.eof => self.close(CloseReason::PeerClosed),
                Ok(Found::Incomplete) => return Ok(Step::NeedInput),
                Ok(Found::StartLine(line, next)) if line.is_empty() => {
                    // R9112-2.2d
                    if self.blank_lines >= self.limits.blank_lines {
                        return Err(RequestError::BlankLines);
                    }
                    self.blank_lines += 1;
                    self.buffer.consume(next);
                    self.scanner = self.scanner.after_blank_line();
                    continue;
                }
                Ok(Found::StartLine(line, next)) => {
                    self.head.validate_start_line(&bytes[line], next, self.allows_http09)?;
                    if self.head.version == Version::HTTP_09 {
                        self.buffer.parts().1.clear();
                        return Ok(self.hand_out(next, Framing::Empty)); // whole with its line
                    }
                    let (bytes, index) = self.buffer.parts();
                    if !self.scanner.bare_lf
                        && let Some(length) = parse::plain_fields(bytes, next, &self.limits, index)
                    {
                        let body = self.head.validate(&bytes[..length], index)?;
                        return Ok(self.hand_out(length, body));
                    }
                    continue;
                }
                Ok(Found::HeadEnd(length)) => {
                    let (bytes, index) = self.buffer.parts();
                    let bytes = &mut bytes[..length];
                    self.head.validate_fields(bytes, &self.scanner, index)?;
                    let body = self.head.validate(bytes, index)?;
                    return Ok(self.hand_out(length, body));
                }
                Err(TooLong::StartLine) => {
                    let line = &bytes[..self.limits.start_line as usize + 1];
                    return Err(parse::request_line_too_long(line));
                }
                Err(TooLong::FieldLine) => return Err(RequestError::FieldLineTooLong),
                Err(TooLong::Fields) => return Err(RequestError::TooManyFields),
                Err(TooLong::Head) => return Err(RequestError::HeadTooLong),
            }
            return Ok(Step::Closed);
        }
    }

    fn hand_out(&mut self, length: usize, body: Framing) -> Step {
        self.head.length = length as u32;
        self.buffer.lend_front(length);
        self.holds_head = true;
        self.body_left = if let Framing::Length(bytes) = body { bytes } else { 0 };
        self.state = State::Due;
        Step::Request
    }

    fn receive_body(&mut self) -> Result<Step, RequestError> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        if self.body_left == 0 {
            return Ok(Step::NeedOutput);
        }
        if self.body_left > self.limits.body {
            return Err(RequestError::BodyTooLong);
        }
        if self.overloaded {
            return Err(RequestError::Overloaded);
        }
        let n = self.body_left.min(self.buffer.unread().len() as u64);
        if n > 0 {
            self.buffer.lend_front(n as usize);
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
