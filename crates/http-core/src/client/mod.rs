//! The client's machine: one connection's requests out, its answers in. It owns the state of the exchange; what an
//! answer says is decided in the files it calls.
//!
//! ```text
//!             request()              poll() -> Response(head)
//!   ┌──────┐ ──────────▶ ┌──────┐ ────────────────────────────▶ ┌──────┐ ──┐ poll() -> Body(bytes)
//!   │ Idle │             │ Head │ ──┐                           │ Body │ ◀─┘ until all of it came
//!   └──────┘ ◀─┐         └──────┘ ◀─┘ 1xx: skipped              └──────┘
//!              │ kept                                              │ poll() -> ResponseEnd
//!              └───────────────────────────────────────────────────┤
//!   ┌─────────┐                                                    │
//!   │ Closing │ ◀── else ──────────────────────────────────────────┘
//!   └─────────┘ ◀── at any time: poll() -> Err(ResponseError)
//! ```
//!
//! [`Connection::request`] writes a request's head; the caller sends it, and the body that it announced. Then call
//! [`Connection::poll`] again and again, and do each time what the event says:
//!
//! | event | what to do |
//! |---|---|
//! | [`Event::NeedInput`] | read into [`receive_buffer`](Connection::receive_buffer), then [`received`](Connection::received) or [`received_eof`](Connection::received_eof) |
//! | [`Event::Response`] | look at the head; it is gone at the next call |
//! | [`Event::Body`] | use the bytes; they are gone at the next call |
//! | [`Event::ResponseEnd`] | the answer is whole; if [`can_reuse`](Connection::can_reuse), `request` again, else close |
//! | [`Event::Closed`] | close |
//! | `Err(error)` | close; if [`can_retry`](Connection::can_retry), the request may go out again on a new connection |
//!
//! A stream that broke, or a deadline of the caller's, is no end of stream: it is never reported by `received_eof`, since
//! that may be what ends a body. The value may be set down after any byte and picked up by another thread. It reads no
//! clock; which deadline runs follows from [`phase`](Connection::phase). One that strikes is the caller's to act upon: drop
//! the connection.
//!
//! One request over a blocking socket:
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
//!     let mut socket = TcpStream::connect((host.host(), host.port().unwrap_or(80)))?;
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
//!             Event::Body(bytes) => body.extend_from_slice(bytes),   // bound it, where the server is not yours
//!             _ => return Ok((status, body)),                          // ResponseEnd comes first
//!         }
//!     }
//! }
//! # let host = Authority::new(b"localhost:6789").unwrap();
//! # let (_status, _body) = get(host, Target::new(b"/").map_err(io::Error::other)?)?;
//! # Ok::<(), io::Error>(())
//! ```

use alloc::vec::Vec;
use core::fmt;

use crate::error::{ResponseError, UsageError};
use crate::limits::Limits;
use crate::message::field::{FieldBlock, Fields, header};
use crate::message::method::Method;
use crate::message::status::Status;
use crate::message::target::{Authority, Form, Target};
use crate::message::version::Version;
use crate::wire::chunked::{Chunks, Next};
use crate::wire::encode;
use crate::wire::framing::{self, Framing};
use crate::wire::parse;
use crate::wire::persistence;
use crate::wire::recv_buffer::{RecvBuffer, Workspace};
use crate::wire::scan::{Found, HeadScanner};

pub use crate::server::types::SendBody;

/// One connection, seen from the client. The [module](self) says in which order to call what.
///
/// It carries one request at a time: the next may be made when the answer before is whole. It is `Send`; its buffers are
/// its own, or [lent](Self::attach).
///
/// ```
/// use http_core::client::{Connection, Event, Request, SendBody};
/// use http_core::{Authority, FieldBlock, Limits, Method, Target};
///
/// let mut connection = Connection::new(Limits::default());
/// let host = Authority::new(b"example.org").unwrap();
/// let fields = FieldBlock::new();
/// let request = Request { keep_alive: true, ..Request::new(Method::Get, Target::new(b"/hello")?, host, &fields) };
/// let mut out = Vec::new();
/// assert_eq!(connection.request(&request, &mut out)?, SendBody::None);
/// assert_eq!(out, b"GET /hello HTTP/1.0\r\nHost: example.org\r\nConnection: keep-alive\r\n\r\n");
///
/// assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
/// let bytes = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello";
/// connection.receive_buffer()[..bytes.len()].copy_from_slice(bytes);
/// connection.received(bytes.len());
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
    /// The current head with its continuation lines joined; empty if there are none.
    unfolded: Vec<u8>,
    scanner: HeadScanner,
    chunks: Chunks,
    head: HeadIndex,
    /// Bytes of the request's body that are still to be sent.
    body_left: u64,
    state: State,
    interim: u8,
    /// The request that is being answered is HEAD.
    is_head: bool,
    is_idempotent: bool,
    /// The request asked for it, and, once the head came, the answer too.
    keep: bool,
    /// A request was made, and no byte came since.
    unanswered: bool,
    /// An answer was whole before.
    reused: bool,
    allows_http09: bool,
    eof: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Free for a request.
    Idle,
    /// A request was made; its answer's head is not whole.
    Head,
    /// The head was handed out.
    Body(Body),
    Closed,
    Failed(ResponseError),
}

/// What is still to come of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// So many bytes.
    Length(u64),
    UntilClose,
    /// `chunks` knows.
    Chunked,
}

/// What stands where in the current head; offsets from its first byte.
#[derive(Clone, Copy, Debug)]
struct HeadIndex {
    start_line_end: u32,
    length: u32,
    reason: (u32, u32),
    version: Version,
    status: Status,
    body: Framing,
}

const NO_HEAD: HeadIndex = HeadIndex {
    start_line_end: 0,
    length: 0,
    reason: (0, 0),
    version: Version::HTTP_09,
    status: Status::OK,
    body: Framing::UntilClose,
};

/// What every answer but a Simple-Response begins with.
const HTTP: &[u8] = b"HTTP/";

/// A request (RFC 1945 §5). Content-Length, Host and Connection are the library's to write, and every value is valid by
/// its type, so that no request can hold a line that nobody asked for (R9112-11.1).
///
/// ```
/// use http_core::client::{Connection, Request, SendBody};
/// use http_core::{Authority, FieldBlock, FieldValue, Limits, Method, Target, header};
///
/// let mut fields = FieldBlock::new();
/// fields.push(header::USER_AGENT, FieldValue::from_static("probe/1.0"))?;
/// let host = Authority::new(b"example.org").unwrap();
/// let request = Request {
///     body: Some(5),
///     to_proxy: true,
///     ..Request::new(Method::Put, Target::new(b"/a?b")?, host, &fields)
/// };
/// let mut out = Vec::new();
/// assert_eq!(Connection::new(Limits::default()).request(&request, &mut out)?, SendBody::Exactly(5));
/// assert!(out.starts_with(b"PUT http://example.org/a?b HTTP/1.0\r\nHost: example.org\r\nConnection: close\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, any but CONNECT.
    pub method: Method<'a>,
    /// What is asked for, in any form: it is sent in the form that the receiver wants, in origin-form to a server and in
    /// absolute-form to a proxy. `*` goes with OPTIONS only.
    pub target: Target<'a>,
    /// The host that is asked, for Host; where the target is in absolute-form, the one that it names is sent instead
    /// (RFC 9112 §3.2). Whom to connect to is the caller's business, and may be another.
    pub host: Authority<'a>,
    /// All other fields.
    pub fields: &'a FieldBlock,
    /// How many bytes of body follow the head; `None` for no body. POST, PUT and PATCH say `Content-Length: 0` then, other
    /// methods nothing (R1945-7.2a). A length has to be known: HTTP/1.0 has no other way.
    pub body: Option<u64>,
    /// Asks the server to keep the connection. A proxy is never asked (R2068-19.7.1c).
    pub keep_alive: bool,
    /// The receiver is a proxy: it is sent the absolute-form (R1945-5.1.2c).
    pub to_proxy: bool,
}

impl<'a> Request<'a> {
    /// A request to a server, without a body, after which the connection closes; what is different is written as
    /// `Request { body, ..Request::new(method, target, host, &fields) }`.
    pub const fn new(
        method: Method<'a>,
        target: Target<'a>,
        host: Authority<'a>,
        fields: &'a FieldBlock,
    ) -> Request<'a> {
        Request { method, target, host, fields, body: None, keep_alive: false, to_proxy: false }
    }

    /// R9112-3.2.1, R9112-3.2.4, R1945-5.1.2a, R1945-5.1.2c
    fn target_pieces(&self) -> [&'a str; 5] {
        let (scheme, host) = if self.to_proxy { ("http://", self.authority().as_str()) } else { ("", "") };
        let whole_server = self.method == Method::Options && self.target.is_whole_server();
        match (whole_server, self.target.query()) {
            (true, _) if self.to_proxy => [scheme, host, "", "", ""],
            (true, _) => ["*", "", "", "", ""],
            (_, None) => [scheme, host, self.target.raw_path(), "", ""],
            (_, Some(query)) => [scheme, host, self.target.raw_path(), "?", query],
        }
    }

    fn authority(&self) -> Authority<'a> {
        self.target.authority().unwrap_or(self.host)
    }

    /// Methods whose requests have a body by their nature say so even when it is empty (R1945-7.2a, R1945-8.3).
    fn length(&self) -> Option<u64> {
        match self.method {
            Method::Post | Method::Put | Method::Patch => Some(self.body.unwrap_or(0)),
            _ => self.body,
        }
    }
}

/// What the machine has for its caller. What is borrowed is gone with the next call that receives or polls.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Nothing can be said before more bytes come, or a request is made.
    NeedInput,
    /// An answer's head is whole and correct. It comes once a request. Interim answers (1xx) are skipped (R9110-15.2).
    Response(ResponseHead<'a>),
    /// One or more bytes of the answer's body, freed of chunks. How many there will be is bounded by nobody but the caller.
    Body(&'a [u8]),
    /// The answer is whole; it comes once after each [`Response`](Event::Response), also where there was no body.
    ResponseEnd,
    /// The connection is to be closed: it cannot be kept after the last answer, or the server closed it between two. It comes
    /// again at each poll.
    Closed,
}

/// An answer's head, borrowed from its connection (RFC 1945 §6).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ResponseHead<'a> {
    /// The version as it came, 1.0 to 1.9; [0.9](Version::HTTP_09) for a Simple-Response, which has no head.
    pub version: Version,
    /// The status, never 1xx; 200 for a Simple-Response. One that has no name is to be taken for the x00 of its
    /// [class](Status::class) (R1945-6.1.1a).
    pub status: Status,
    /// The reason phrase as it came, which may be empty; it means nothing (R9112-4), holds no control but HTAB, and need not be
    /// ASCII.
    pub reason: &'a [u8],
    /// The fields, in their order. A continuation line is part of its field's value (R9112-5.2).
    pub fields: Fields<'a>,
    /// How the body ends: [`Framing::Empty`] to HEAD and for 204 and 304, whatever the fields say.
    pub body: Framing,
    /// The whole head as it came, through its empty line, to be shown or kept; empty for a Simple-Response.
    pub bytes: &'a [u8],
}

impl ResponseHead<'_> {
    /// What Content-Length says: of this body, or, in an answer to HEAD or a 304, of the one that a GET would get
    /// (RFC 9110 §8.6). `None` where it says nothing, or chunks do. How the body ends is [`body`](Self::body)'s to say.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        match framing::of_response(Method::Get, Status::OK, &self.fields) {
            Ok(Framing::Empty) => Some(0),
            Ok(Framing::Length(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

impl fmt::Debug for ResponseHead<'_> {
    /// Shows all but the bytes, which may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("version", &self.version)
            .field("status", &self.status)
            .field("reason", &format_args!("\"{}\"", self.reason.escape_ascii()))
            .field("fields", &self.fields)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// What a connection is doing: which deadline applies. The library has no clock; when a deadline strikes, drop the
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Between a request and the next: it is free, as far as is known ([`Connection::can_reuse`]).
    Idle,
    /// A request's body is to be sent, and no byte of an answer came.
    Sending,
    /// An answer's head is due, or came in part.
    Head,
    /// Within an answer's body.
    Body,
    /// All is said, or went wrong: close.
    Closing,
}

impl Connection {
    /// A connection that no request was sent on yet. It allocates nothing before it is asked for [`receive_buffer`](Self::receive_buffer).
    pub const fn new(limits: Limits) -> Connection {
        Connection {
            limits,
            buffer: RecvBuffer::new(),
            unfolded: Vec::new(),
            scanner: HeadScanner::new(),
            chunks: Chunks::new(),
            head: NO_HEAD,
            body_left: 0,
            state: State::Idle,
            interim: 0,
            is_head: false,
            is_idempotent: false,
            keep: false,
            unanswered: false,
            reused: false,
            allows_http09: false,
            eof: false,
        }
    }

    /// Takes an answer that does not begin with `HTTP/` for the body of an HTTP/0.9 answer (R1945-6b), if it is the
    /// connection's first. Then every server that speaks another protocol has an answer for us: ask for this only where
    /// an old server is expected. Otherwise such an answer is [`ResponseError::NotHttp`].
    ///
    /// ```
    /// use http_core::client::{Connection, Event};
    /// # use http_core::{Authority, FieldBlock, Limits, Method, Target, Version, client::Request};
    /// # let (host, fields) = (Authority::new(b"example.org").unwrap(), FieldBlock::new());
    /// let mut connection = Connection::new(Limits::default()).allow_http09(true);
    /// # let _no_body = connection.request(&Request::new(Method::Get, Target::new(b"/")?, host, &fields), &mut Vec::new())?;
    /// connection.receive_buffer()[..5].copy_from_slice(b"hello");
    /// connection.received(5);
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

    /// Appends a request's head to `out` and says what body is to follow: none, or exactly what was announced, each byte
    /// reported by [`body_sent`](Self::body_sent).
    ///
    /// The server may have closed or spoken since the last answer: read what there is, without waiting, before a second
    /// request, and tell it to the machine.
    ///
    /// # Errors
    /// [`UsageError::ConnectionBusy`] unless [`can_reuse`](Self::can_reuse); [`UsageError::TargetForm`]. Nothing is written then.
    pub fn request(&mut self, request: &Request<'_>, out: &mut Vec<u8>) -> Result<SendBody, UsageError> {
        if !self.can_reuse() {
            return Err(UsageError::ConnectionBusy);
        }
        let whole_server = request.target.form() == Form::Asterisk;
        if request.method == Method::Connect || (whole_server && request.method != Method::Options) {
            return Err(UsageError::TargetForm); // R9112-3.2.4
        }
        self.keep = request.keep_alive && !request.to_proxy;
        let head = encode::RequestHead {
            method: request.method,
            target: request.target_pieces(),
            host: request.authority().as_str(),
            keep_alive: self.keep,
            length: request.length(),
            fields: request.fields,
        };
        encode::request_head(&head, out);
        self.state = State::Head;
        (self.scanner, self.head, self.interim) = (HeadScanner::new(), NO_HEAD, 0);
        self.is_head = request.method == Method::Head;
        self.is_idempotent = is_idempotent(request.method);
        self.unanswered = true;
        self.body_left = request.body.unwrap_or(0);
        Ok(if self.body_left == 0 { SendBody::None } else { SendBody::Exactly(self.body_left) })
    }

    /// `n` bytes of the request's body were sent. May be called for each piece. An answer may come before all of them; if
    /// it is an error, no more need be sent (R1945-9.4a), but then the connection closes.
    ///
    /// # Errors
    /// [`UsageError::BodyTooLong`] if more were sent than announced; if they went out, the connection is of no use any more.
    pub fn body_sent(&mut self, n: u64) -> Result<(), UsageError> {
        self.body_left = self.body_left.checked_sub(n).ok_or(UsageError::BodyTooLong)?;
        Ok(())
    }

    /// Room to receive into: at least one byte after [`Event::NeedInput`], and with what came and was not yet handed out
    /// never more than [`Limits::head`] in all. It takes away what was handed out. The bytes in it mean nothing before they
    /// are written.
    pub fn receive_buffer(&mut self) -> &mut [u8] {
        self.buffer.receive_buffer(self.limits.head as usize)
    }

    /// The first `n` bytes of the last [`receive_buffer`](Self::receive_buffer) are filled. More than there was room for count as the room; 0 is
    /// no end of the stream, which [`received_eof`](Self::received_eof) is.
    pub fn received(&mut self, n: usize) {
        self.unanswered &= n == 0;
        self.buffer.received(n);
    }

    /// The peer will send no more: its stream ended in order. That may be what ends a body
    /// ([`Framing::UntilClose`]), so tell it for no other reason: a stream that broke, or took too long, is to be dropped.
    pub fn received_eof(&mut self) {
        self.eof = true;
    }

    /// What comes next. What the last call handed out is gone.
    ///
    /// # Errors
    /// The peer's fault; the same each time. The connection is of no use any more. What came of a body before the error was
    /// handed out, so a body is whole only with [`Event::ResponseEnd`].
    pub fn poll(&mut self) -> Result<Event<'_>, ResponseError> {
        self.buffer.release();
        match self.advance() {
            Ok(Step::NeedInput) => Ok(Event::NeedInput),
            Ok(Step::Response) => Ok(Event::Response(self.response())),
            Ok(Step::Body) => Ok(Event::Body(self.buffer.lent_front())),
            Ok(Step::ResponseEnd) => Ok(Event::ResponseEnd),
            Ok(Step::Closed) => Ok(Event::Closed),
            Err(error) => {
                self.state = State::Failed(error);
                Err(error)
            }
        }
    }

    /// What the connection is doing, and so which deadline runs.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Idle => Phase::Idle,
            State::Head if self.unanswered && self.body_left > 0 => Phase::Sending,
            State::Head => Phase::Head,
            State::Body(_) => Phase::Body,
            State::Closed | State::Failed(_) => Phase::Closing,
        }
    }

    /// Whether a request may be made: none is being answered, the last answer left no doubt about where it ended, both
    /// sides keep the connection, and nothing came behind the answer (R9112-6.3d).
    #[must_use]
    pub fn can_reuse(&self) -> bool {
        self.state == State::Idle && !self.eof && self.buffer.unread().is_empty()
    }

    /// Whether the request that failed may be sent again, once, on a new connection: the method is idempotent, and the
    /// server closed a reused connection before the first byte of an answer, as it does when it was idle for too long.
    #[must_use]
    pub fn can_retry(&self) -> bool {
        self.unanswered && self.reused && self.is_idempotent
    }

    /// Works in the workspace's memory from here on, until [`detach`](Self::detach), so that the connection needs none of
    /// its own. A thread lends its workspace to one connection at a time; one that has unread bytes of its own keeps them
    /// where they are. The room that [`receive_buffer`](Self::receive_buffer) gave before is gone.
    pub fn attach(&mut self, workspace: &mut Workspace) {
        self.buffer.attach(workspace);
    }

    /// Gives the memory of [`attach`](Self::attach) back. Bytes that came and were not consumed move to memory of the connection's own; an idle
    /// connection owns none. The last answer's head is gone.
    pub fn detach(&mut self, workspace: &mut Workspace) {
        self.buffer.detach(workspace);
        self.unfolded = Vec::new();
    }
}

impl fmt::Debug for Connection {
    /// Shows what it is doing, and no byte of what came.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.state)
            .field("buffer", &self.buffer)
            .field("request_body_left", &self.body_left)
            .field("keep", &self.keep)
            .field("eof", &self.eof)
            .finish_non_exhaustive()
    }
}

enum Step {
    NeedInput,
    Response,
    Body,
    ResponseEnd,
    Closed,
}

impl Connection {
    fn advance(&mut self) -> Result<Step, ResponseError> {
        match self.state {
            State::Idle if !self.buffer.unread().is_empty() => Err(ResponseError::Unsolicited), // R9112-6.3d
            State::Idle if self.eof => {
                self.state = State::Closed;
                Ok(Step::Closed)
            }
            State::Idle => Ok(Step::NeedInput),
            State::Head => self.receive_head(),
            State::Body(body) => self.receive_body(body),
            State::Closed => Ok(Step::Closed),
            State::Failed(error) => Err(error),
        }
    }

    fn receive_head(&mut self) -> Result<Step, ResponseError> {
        loop {
            let bytes = self.buffer.unread();
            // Nor beyond the bound of the line, or the pieces would decide which of two errors it is.
            let first = &bytes[..bytes.len().min(HTTP.len()).min((self.limits.start_line as usize).saturating_add(1))];
            // What does not begin like an answer is none: another protocol's greeting does not wait for a line end.
            let simple = !HTTP.starts_with(first) || (self.eof && (1..HTTP.len()).contains(&bytes.len()));
            if simple && self.allows_http09 && !self.reused && self.interim == 0 {
                (self.keep, self.state) = (false, State::Body(Body::UntilClose));
                self.buffer.parts().1.clear();
                return Ok(Step::Response);
            }
            if !HTTP.starts_with(first) {
                return Err(ResponseError::NotHttp);
            }
            match self.scanner.scan(bytes, &self.limits).map_err(|_| ResponseError::HeadTooLong)? {
                Found::Incomplete if self.eof && bytes.is_empty() => return Err(ResponseError::NoResponse),
                Found::Incomplete if self.eof => return Err(ResponseError::HeadTruncated), // R9112-8
                Found::Incomplete => return Ok(Step::NeedInput),
                Found::StartLine(line, next) => {
                    let line = parse::status_line(&bytes[line])?;
                    self.head = HeadIndex {
                        start_line_end: next as u32,
                        reason: (line.reason.start as u32, line.reason.end as u32),
                        version: line.version,
                        status: line.status,
                        ..NO_HEAD
                    };
                }
                Found::HeadEnd(length) => {
                    self.validate_head(length)?;
                    if !self.head.status.is_informational() {
                        self.head.length = length as u32;
                        self.buffer.lend_front(length);
                        return Ok(Step::Response);
                    }
                    self.interim += 1;
                    self.buffer.consume(length);
                    self.scanner = HeadScanner::new();
                }
            }
        }
    }

    /// All that is judged before a caller sees the answer.
    fn validate_head(&mut self, length: usize) -> Result<(), ResponseError> {
        let HeadIndex { start_line_end, version, status, .. } = self.head;
        let from = start_line_end as usize;
        self.unfolded.clear();
        if self.scanner.folded {
            // On a copy: the head is also handed out as it came.
            self.unfolded.extend_from_slice(&self.buffer.unread()[..length]);
            parse::unfold_response(&mut self.unfolded, from).map_err(|()| ResponseError::FieldSyntax)?;
        }
        let (bytes, index) = self.buffer.parts();
        let bytes = if self.scanner.folded { &self.unfolded } else { &bytes[..length] };
        parse::fields(bytes, from, self.scanner.field_lines, index).ok_or(ResponseError::FieldSyntax)?;
        if status == Status::SWITCHING_PROTOCOLS {
            return Err(ResponseError::UnexpectedUpgrade);
        }
        if status.is_informational() {
            // Bounded, or a server could keep us for ever (R9110-15.2).
            return if self.interim < self.limits.interim { Ok(()) } else { Err(ResponseError::TooManyInterim) };
        }
        let fields = Fields::new(bytes, index);
        let method = if self.is_head { Method::Head } else { Method::Get };
        let framing = framing::of_response(method, status, &fields)?;
        // R9112-6.1b, R9112-6.1c: such an answer is read, but not trusted to end where it says. Neither is one that
        // another reader might take for another head.
        let coded = fields.get(header::TRANSFER_ENCODING).is_some();
        let doubtful = (coded && (version < Version::HTTP_11 || fields.get(header::CONTENT_LENGTH).is_some()))
            || self.scanner.bare_lf
            || self.scanner.folded;
        let own_end = framing != Framing::UntilClose;
        self.keep &=
            persistence::server_keeps_alive(version, persistence::connection_option(&fields), own_end, doubtful);
        self.head.body = framing;
        self.chunks = Chunks::new();
        self.state = State::Body(match framing {
            Framing::Empty => Body::Length(0),
            Framing::Length(bytes) => Body::Length(bytes),
            Framing::UntilClose => Body::UntilClose,
            Framing::Chunked => Body::Chunked,
        });
        Ok(())
    }

    /// The head that is handed out.
    fn response(&self) -> ResponseHead<'_> {
        let bytes = &self.buffer.unread()[..self.head.length as usize];
        let (from, to) = self.head.reason;
        ResponseHead {
            version: self.head.version,
            status: self.head.status,
            reason: &bytes[from as usize..to as usize],
            fields: Fields::new(if self.unfolded.is_empty() { bytes } else { &self.unfolded }, self.buffer.fields()),
            body: self.head.body,
            bytes,
        }
    }

    fn receive_body(&mut self, body: Body) -> Result<Step, ResponseError> {
        loop {
            let (bytes, index) = self.buffer.parts();
            let n = match body {
                Body::Length(0) => return Ok(self.end()),
                Body::Length(left) => left.min(bytes.len() as u64) as usize,
                Body::UntilClose => bytes.len(),
                Body::Chunked => match self.chunks.step(bytes, &self.limits, index)? {
                    Next::NeedInput => 0,
                    Next::Data(n) => n,
                    Next::Framing(n) => {
                        self.buffer.consume(n);
                        continue;
                    }
                    Next::End(n) => {
                        self.buffer.consume(n);
                        return Ok(self.end());
                    }
                },
            };
            if n > 0 {
                if let Body::Length(left) = body {
                    self.state = State::Body(Body::Length(left - n as u64));
                }
                self.buffer.lend_front(n);
                return Ok(Step::Body);
            }
            return match (self.eof, body) {
                (false, _) => Ok(Step::NeedInput),
                (true, Body::UntilClose) => Ok(self.end()), // R1945-7.2.2a
                // It has an end of its own, and this is not it (R9112-6.3b, R9112-8).
                (true, _) => Err(ResponseError::BodyTruncated),
            };
        }
    }

    /// The answer is whole. A request whose body is not all sent leaves nothing to reuse.
    fn end(&mut self) -> Step {
        self.keep &= self.body_left == 0;
        self.state = if self.keep { State::Idle } else { State::Closed };
        self.reused = true;
        Step::ResponseEnd
    }
}

/// RFC 9110 §9.2.2
fn is_idempotent(method: Method<'_>) -> bool {
    use Method::{Delete, Get, Head, Options, Put, Trace};
    matches!(method, Get | Head | Put | Delete | Options | Trace)
}
