//! The client's half of a connection: requests out, responses in. This file owns the state of the exchange.
//! `receive` finds the next event, and `response` and `wire` decide what a response means.
//!
//! ```text
//!             request()              poll() -> Response(head)
//!   ┌──────┐ ──────────▶ ┌──────┐ ────────────────────────────▶ ┌──────┐ ──┐ poll() -> Body(bytes)
//!   │ Idle │             │ Head │ ──┐                           │ Body │ ◀─┘ until the body is complete
//!   └──────┘ ◀─┐         └──────┘ ◀─┘ 1xx: skipped              └──────┘
//!              │ kept                                              │ poll() -> ResponseEnd
//!              └───────────────────────────────────────────────────┤
//!   ┌─────────┐                                                    │
//!   │ Closing │ ◀── else ──────────────────────────────────────────┘
//!   └─────────┘ ◀── at any time: poll() -> Err(ResponseError)
//! ```
//!
//! [`Connection::request`] writes a request's head. Send it, and then the body that it announced. Then call
//! [`Connection::poll`] repeatedly and handle each event:
//!
//! | event | what to do |
//! |---|---|
//! | [`Event::NeedInput`] | read into [`receive_buffer`](Connection::receive_buffer), then call [`received`](Connection::received) or [`received_eof`](Connection::received_eof) |
//! | [`Event::Response`] | use the head; it is valid until the next call. After a 408, ask [`can_retry`](Connection::can_retry) |
//! | [`Event::Body`] | use the bytes; they are valid until the next call |
//! | [`Event::ResponseEnd`] | the response is complete: make the next request if [`can_reuse`](Connection::can_reuse), or close |
//! | [`Event::Closed`] | close |
//! | `Err(error)` | close; if [`can_retry`](Connection::can_retry), the request may be sent again on a new connection |
//!
//! If reading or writing fails, call [`connection_lost`](Connection::connection_lost), never `received_eof`: the end of
//! the stream may end a body. The connection can be stored after any byte and moved to another thread. It
//! reads no clock. The current timeout follows from [`phase`](Connection::phase); if it fires, call
//! [`handle_timeout`](Connection::handle_timeout).
//!
//! One request over a blocking socket ([`manual::crawler`](crate::manual::crawler) has many over one connection):
//!
//! ```no_run
//! use std::io::{self, Read, Write};
//! use std::net::TcpStream;
//! use std::time::Duration;
//!
//! use http_core::client::{Connection, Event, Request};
//! use http_core::{Authority, FieldBlock, Limits, Method, Status, Target};
//!
//! fn get(host: Authority<'_>, target: Target<'_>) -> io::Result<(Status, Vec<u8>)> {
//!     let mut socket = TcpStream::connect(host.endpoint())?;
//!     socket.set_read_timeout(Some(Duration::from_secs(10)))?;
//!     let (mut connection, fields) = (Connection::new(Limits::default()), FieldBlock::new());
//!     let mut out = Vec::new();
//!     let request = Request::new(Method::Get, target, host, &fields);
//!     let _no_body = connection.request(&request, &mut out).map_err(io::Error::other)?;
//!     socket.write_all(&out)?;
//!
//!     let (mut status, mut body) = (Status::OK, Vec::new());
//!     loop {
//!         match connection.poll().map_err(io::Error::other)? {
//!             Event::NeedInput => match socket.read(connection.receive_buffer())? {
//!                 0 => connection.received_eof(),
//!                 n => connection.received(n),
//!             },
//!             Event::Response(head) => status = head.status,
//!             Event::Body(bytes) => body.extend_from_slice(bytes),   // limit it if the server is not yours
//!             _ => return Ok((status, body)),                          // ResponseEnd comes first
//!         }
//!     }
//! }
//! # let host = Authority::new(b"localhost:6789").unwrap();
//! # let (_status, _body) = get(host, Target::new(b"/").map_err(io::Error::other)?)?;
//! # Ok::<(), io::Error>(())
//! ```

mod leniency;
mod receive;
mod request;
mod response;

use alloc::vec::Vec;
use core::fmt;

use crate::error::{ResponseError, UsageError};
use crate::limits::Limits;
use crate::message::method::Method;
use crate::message::target::TargetForm;
use crate::wire::chunked::Chunks;
use crate::wire::encode;
use crate::wire::framing::Framing;
use crate::wire::parse;
use crate::wire::persistence::CloseReason;
use crate::wire::recv_buffer::{RecvBuffer, Workspace};
use receive::Step;
use response::Head;

pub use crate::wire::encode::SendBody;
pub use leniency::Leniency;
pub use request::Request;
pub use response::ResponseHead;

/// A connection to a server. The [module](self) explains the order of calls.
///
/// It carries one request at a time: the next may be made when the previous response is complete. It is `Send`. It uses
/// its own buffers, or [a workspace's](Self::attach).
///
/// ```
/// use http_core::client::{Connection, Event, Request, SendBody};
/// use http_core::{Authority, FieldBlock, Limits, Method, Target};
///
/// let mut connection = Connection::new(Limits::default());
/// let host = Authority::new(b"example.org")?;
/// let fields = FieldBlock::new();
/// let request = Request { keep_alive: true, ..Request::new(Method::Get, Target::new(b"/hello")?, host, &fields) };
/// let mut out = Vec::new();
/// assert_eq!(connection.request(&request, &mut out)?, SendBody::None);
/// assert_eq!(out, b"GET /hello HTTP/1.0\r\nHost: example.org\r\nConnection: keep-alive\r\n\r\n");
///
/// assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
/// connection.receive(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello");
///
/// let Ok(Event::Response(response)) = connection.poll() else { panic!() };
/// assert_eq!((response.status.code(), response.reason), (200, &b"OK"[..]));
/// assert!(matches!(connection.poll(), Ok(Event::Body(b"hello"))));
/// assert!(matches!(connection.poll(), Ok(Event::ResponseEnd)));
/// assert!(connection.can_reuse());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connection {
    limits: Limits,
    buffer: RecvBuffer,
    chunks: Chunks,
    head: Head,
    /// The caller holds a response's head.
    holds_head: bool,
    /// Bytes of the request's body that are still to be sent.
    body_left: u64,
    state: State,
    close_reason: Option<CloseReason>,
    /// The current request is HEAD.
    is_head: bool,
    is_idempotent: bool,
    /// A request was made, and no byte has been received since.
    awaits_first_byte: bool,
    /// The response is a 408 that the server may have sent before it received the request.
    crossed_408: bool,
    /// An earlier response was complete.
    reused: bool,
    allows_http09: bool,
    leniency: Leniency,
    eof: bool,
    lost: bool,
    timed_out: bool,
}

const _: () = assert!(size_of::<Connection>() <= 256, "a kept connection is small");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Free for a request.
    Idle,
    /// A request was made. Its response's head is not complete.
    Head,
    /// The head was returned. What is left of the body; see `chunks` for [`Framing::Chunked`].
    Body(Framing),
    Closed,
    Failed(ResponseError),
}

/// What the connection reports to its caller. Borrowed parts are valid until the next call that receives or polls.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The connection needs more bytes, or a request.
    NeedInput,
    /// A complete and valid head. There is one for each request: interim responses (1xx) are skipped (R9110-15.2).
    Response(ResponseHead<'a>),
    /// One or more bytes of the response's body, without chunk framing. Only the caller limits how many there are.
    Body(&'a [u8]),
    /// The response is complete. It follows each [`Response`](Event::Response) once, even if there was no body.
    ResponseEnd,
    /// The connection must be closed: it cannot be kept after the last response, or the server closed it between two
    /// requests. Every further poll returns it again.
    Closed,
}

/// What a connection is doing, and so which timeout applies. The library has no clock. If a timeout fires, call
/// [`Connection::handle_timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Between two requests. As far as is known, the connection is [free](Connection::can_reuse).
    Idle,
    /// A request's body is to be sent, and no byte of a response has been received.
    Sending,
    /// A response's head is due or incomplete.
    Head,
    /// Within a response's body.
    Body,
    /// The last response is complete, or there was an error: close.
    Closing,
}

impl Connection {
    /// A connection on which no request was sent yet. It allocates nothing before
    /// [`receive_buffer`](Self::receive_buffer).
    pub const fn new(limits: Limits) -> Connection {
        Connection {
            limits,
            buffer: RecvBuffer::new(),
            chunks: Chunks::new(),
            head: Head::new(),
            holds_head: false,
            body_left: 0,
            state: State::Idle,
            close_reason: None,
            is_head: false,
            is_idempotent: false,
            awaits_first_byte: false,
            crossed_408: false,
            reused: false,
            allows_http09: false,
            leniency: Leniency::NONE,
            eof: false,
            lost: false,
            timed_out: false,
        }
    }

    /// Whether a first response that does not begin with `HTTP/` is the body of an HTTP/0.9 response (R1945-6b).
    /// Default: no, it is [`ResponseError::NotHttp`].
    ///
    /// If so, the bytes of any protocol count as a response. Use it only where an old server is expected.
    ///
    /// ```
    /// use http_core::client::{Connection, Event};
    /// # use http_core::{Authority, FieldBlock, Limits, Method, Target, Version, client::Request};
    /// # let (host, fields) = (Authority::new(b"example.org").unwrap(), FieldBlock::new());
    /// let mut connection = Connection::new(Limits::default()).allow_http09(true);
    /// # let _no_body = connection.request(&Request::new(Method::Get, Target::new(b"/")?, host, &fields), &mut Vec::new())?;
    /// connection.receive(b"hello");
    /// let Ok(Event::Response(head)) = connection.poll() else { panic!() };
    /// assert_eq!(head.version, Version::HTTP_09);
    /// assert!(matches!(connection.poll(), Ok(Event::Body(b"hello"))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn allow_http09(mut self, allow: bool) -> Connection {
        self.allows_http09 = allow;
        self
    }

    /// Which malformed responses are accepted. Default: [`Leniency::NONE`].
    #[must_use]
    pub const fn with_leniency(mut self, leniency: Leniency) -> Connection {
        self.leniency = leniency;
        self
    }

    /// Appends a request's head to `out`. Returns what body must follow: none, or exactly the announced length. Report
    /// the bytes of the body by [`body_sent`](Self::body_sent).
    ///
    /// The server may have closed the connection since the last response. Before a second request, read without waiting
    /// and pass the result to the connection.
    ///
    /// # Errors
    /// [`UsageError::ConnectionBusy`] unless [`can_reuse`](Self::can_reuse); [`UsageError::TargetForm`]. After an
    /// error nothing is written.
    pub fn request(&mut self, request: &Request<'_>, out: &mut Vec<u8>) -> Result<SendBody, UsageError> {
        if !self.can_reuse() {
            return Err(UsageError::ConnectionBusy);
        }
        let whole_server = request.target.form() == TargetForm::Asterisk;
        if request.method == Method::Connect || (whole_server && request.method != Method::Options) {
            return Err(UsageError::TargetForm); // R9112-3.2.4
        }
        let keep_alive = request.keep_alive && !request.to_proxy;
        let head = encode::RequestHead {
            method: request.method,
            target: request.target_pieces(),
            host: request.authority().as_str(),
            keep_alive,
            length: request.length(),
            fields: request.fields,
        };
        encode::request_head(&head, out);
        self.close_reason = (!keep_alive).then_some(CloseReason::CallerRequested);
        self.state = State::Head;
        self.head = Head::new();
        self.is_head = request.method == Method::Head;
        self.is_idempotent = request.method.is_idempotent();
        self.awaits_first_byte = true;
        self.crossed_408 = false;
        self.body_left = request.body.unwrap_or(0);
        Ok(if self.body_left == 0 { SendBody::None } else { SendBody::Exactly(self.body_left) })
    }

    /// Reports that `n` bytes of the request's body were sent. Call it for each piece.
    ///
    /// A response may arrive before the body is complete. If it is an error, the rest need not be sent (R1945-9.4a),
    /// but then the connection closes.
    ///
    /// # Errors
    /// [`UsageError::BodyTooLong`] for more bytes than announced, [`UsageError::NoBodyDue`] if none are due. If the bytes
    /// were really sent, close the connection.
    pub fn body_sent(&mut self, n: u64) -> Result<(), UsageError> {
        if self.body_left == 0 && n > 0 {
            return Err(UsageError::NoBodyDue);
        }
        self.body_left = self.body_left.checked_sub(n).ok_or(UsageError::BodyTooLong)?;
        Ok(())
    }

    /// Checks that the complete body of the request was sent. It changes nothing, because every such body has a length.
    ///
    /// # Errors
    /// [`UsageError::BodyTooShort`] if bytes are missing. Close the connection, so that the server notices.
    pub fn finish_body(&mut self) -> Result<(), UsageError> {
        if self.body_left == 0 { Ok(()) } else { Err(UsageError::BodyTooShort) }
    }

    /// The space to receive into. After [`Event::NeedInput`] it is at least one byte long. It never holds more than
    /// [`Limits::head`] unread bytes, or all that fits into a larger [workspace](Self::attach) if it receives a body. Its
    /// content is meaningless before it is written.
    ///
    /// It may move the unread bytes, so call it at [`Event::NeedInput`] and not after each event. Calling it invalidates
    /// what the last poll returned.
    pub fn receive_buffer(&mut self) -> &mut [u8] {
        self.holds_head = false;
        let limit = match self.state {
            State::Body(_) => self.limits.head.max(self.buffer.size()),
            _ => self.limits.head,
        };
        self.buffer.receive_buffer(limit)
    }

    /// Reports that the first `n` bytes of the last [`receive_buffer`](Self::receive_buffer) are filled.
    ///
    /// A larger `n` counts as the buffer's length. 0 does not mean the end of the stream; that is
    /// [`received_eof`](Self::received_eof).
    pub fn received(&mut self, n: usize) {
        self.awaits_first_byte &= n == 0;
        self.buffer.received(n);
    }

    /// Copies bytes from a buffer of the caller, and returns how many it copied.
    ///
    /// It copies fewer if more than [`Limits::head`] bytes would be unread. Poll, and then pass the rest.
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        self.holds_head = false;
        self.awaits_first_byte &= bytes.is_empty();
        self.buffer.receive(bytes, self.limits.head)
    }

    /// Reports the end of the stream: the peer sends no more. It may end a body ([`Framing::UntilClose`]).
    ///
    /// If the stream broke, call [`connection_lost`](Self::connection_lost) instead.
    pub fn received_eof(&mut self) {
        self.eof = true;
    }

    /// Reports that the stream broke: reading or writing failed, for example with `ECONNRESET` or `EPIPE`.
    ///
    /// `poll` still returns what was received before. Then it returns [`ResponseError::ConnectionLost`], or
    /// [`Event::Closed`] between two requests. To send the request again, see [`can_retry`](Self::can_retry). After a
    /// failed write there may be a response to read first.
    ///
    /// ```
    /// use http_core::client::{Connection, Event, Request};
    /// # use http_core::{Authority, FieldBlock, Limits, Method, ResponseError, Target};
    /// # let (host, fields, mut out) = (Authority::new(b"example.org")?, FieldBlock::new(), Vec::new());
    /// # let request = Request { keep_alive: true, ..Request::new(Method::Get, Target::new(b"/")?, host, &fields) };
    /// # let mut connection = Connection::new(Limits::default());
    /// # let _no_body = connection.request(&request, &mut out)?;
    /// # connection.receive(b"HTTP/1.1 204 No Content\r\n\r\n");
    /// # while !matches!(connection.poll()?, Event::ResponseEnd) {}
    /// // The second request on a kept connection. The server has just closed it.
    /// let _no_body = connection.request(&request, &mut out)?;
    /// connection.connection_lost();
    /// assert_eq!(connection.poll().err(), Some(ResponseError::ConnectionLost));
    /// assert!(connection.can_retry());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connection_lost(&mut self) {
        self.lost = true;
    }

    /// Reports that the caller's timeout for the current [`phase`](Self::phase) fired.
    ///
    /// `poll` still returns what was received before. Then it returns [`ResponseError::TimedOut`], or
    /// [`Event::Closed`] between two requests. The request must not be sent again: the server may be working on it.
    pub fn handle_timeout(&mut self) {
        self.timed_out = true;
    }

    /// Returns the next event. What the last call returned is no longer valid.
    ///
    /// # Errors
    /// The peer's fault. Every further poll returns the same error: close the connection. Earlier events may have
    /// returned a part of the body, so a body is complete only after [`Event::ResponseEnd`].
    pub fn poll(&mut self) -> Result<Event<'_>, ResponseError> {
        self.buffer.release();
        self.holds_head = false;
        match self.advance() {
            Ok(Step::NeedInput) => Ok(Event::NeedInput),
            Ok(Step::Response) => {
                self.holds_head = true;
                Ok(self.response_head().map_or(Event::NeedInput, Event::Response))
            }
            Ok(Step::Body) => Ok(Event::Body(self.buffer.lent_front())),
            Ok(Step::ResponseEnd) => Ok(Event::ResponseEnd),
            Ok(Step::Closed) => Ok(Event::Closed),
            Err(error) => {
                self.state = State::Failed(error);
                Err(error)
            }
        }
    }

    /// The head that the last [`poll`](Self::poll) returned, until the next call that receives or polls. `None`
    /// otherwise.
    pub fn response_head(&self) -> Option<ResponseHead<'_>> {
        match self.state {
            State::Body(framing) if self.holds_head => Some(self.head.view(&self.buffer, framing)),
            _ => None,
        }
    }

    /// The status line as far as it was received, for a log. It may hold any byte except LF, so escape it.
    ///
    /// It is available while a head is received, as long as [`response_head`](Self::response_head), and after an error in a
    /// head. Otherwise it is empty.
    pub fn start_line(&self) -> &[u8] {
        let in_head = matches!(self.state, State::Head | State::Failed(_)) && self.head.length == 0;
        if in_head || (self.holds_head && self.head.length > 0) {
            parse::start_line(self.buffer.unread(), self.limits.start_line as usize)
        } else {
            b""
        }
    }

    /// What the connection is doing, and so which timeout applies.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Idle => Phase::Idle,
            State::Head if self.awaits_first_byte && self.body_left > 0 => Phase::Sending,
            State::Head => Phase::Head,
            State::Body(_) => Phase::Body,
            State::Closed | State::Failed(_) => Phase::Closing,
        }
    }

    /// Whether a request may be made: no request is in progress, the end of the last response is certain, both sides
    /// keep the connection, and nothing was received after the response (R9112-6.3d).
    #[must_use]
    pub fn can_reuse(&self) -> bool {
        let is_over = self.eof || self.lost || self.timed_out;
        self.state == State::Idle && !is_over && self.buffer.unread().is_empty()
    }

    /// Whether the request that failed may be sent again, once, on a new connection. After a timeout it must not.
    ///
    /// A server may close an idle connection at the moment of the next request. Then a reused connection ends before the
    /// first byte of a response, and the request may be sent again if its method is idempotent. Or the first response
    /// is a 408 that crossed the request. It says that the server received no complete request, so the method does not
    /// matter (R9110-15.5.9).
    #[must_use]
    pub fn can_retry(&self) -> bool {
        let unanswered = self.awaits_first_byte && self.reused && self.is_idempotent;
        (unanswered || self.crossed_408) && !self.timed_out
    }

    /// Why the connection closes. It is known after the request, after the response's head or at [`Event::Closed`].
    /// `None` while the connection is kept. After an error, the error is the reason.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.close_reason
    }

    /// Bytes of heap memory that the connection owns, not counting a workspace's. It is 0 for an idle connection after
    /// [`detach`](Self::detach).
    pub fn heap_size(&self) -> usize {
        self.buffer.heap_size() + self.head.unfolded.as_deref().map_or(0, <[u8]>::len)
    }

    /// Uses the workspace's memory until [`detach`](Self::detach), so that the connection allocates none.
    ///
    /// A thread lends its workspace to one connection at a time. Unread bytes that the connection owns stay where they
    /// are. An earlier [`receive_buffer`](Self::receive_buffer) is no longer valid.
    pub fn attach(&mut self, workspace: &mut Workspace) {
        self.buffer.attach(workspace);
    }

    /// Gives the memory of [`attach`](Self::attach) back. Unread bytes move to the connection's own memory. The last
    /// response's head is no longer valid.
    pub fn detach(&mut self, workspace: &mut Workspace) {
        self.holds_head = false;
        self.buffer.detach(workspace);
        self.head.unfolded = None;
    }
}

impl fmt::Debug for Connection {
    /// Shows the state, and no byte that was received.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.state)
            .field("buffer", &self.buffer)
            .field("request_body_left", &self.body_left)
            .field("close_reason", &self.close_reason)
            .field("eof", &self.eof)
            .finish_non_exhaustive()
    }
}
