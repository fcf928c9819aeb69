//! The server's half of a connection: requests in, responses out. This file owns the state of the exchange.
//! `receive` finds the next event, `head` and `wire` decide what is accepted.
//!
//! ```text
//!            received(n)      poll: Request, a body follows      poll: NeedOutput
//!   ┌──────┐          ┌──────┐                         ┌──────┐          ┌────────────┐
//!   │ Idle │ ───────▶ │ Head │ ──────────────────────▶ │ Body │ ───────▶ │ Responding │
//!   └──────┘          └──────┘                         └──────┘          └────────────┘
//!      ▲                  │                             │    ▲               ▲  │
//!      │                  │                             └────┘ poll: Body    │  │
//!      │                  │ poll: Request, no body follows                   │  │
//!      │                  │ poll: Err                                        │  │
//!      │                  └──────────────────────────────────────────────────┘  │
//!      │          respond() or respond_error(), then body_sent(n), finish_body()│
//!      │ the connection is kept                                                 │
//!      └────────────────────────────────────────────────────────────────────────┤
//!                                                       ┌─────────┐  else       │
//!                                      poll: Closed ◀── │ Closing │ ◀───────────┘
//!                                                       └─────────┘
//! ```
//!
//! A response may also be given in Body. The rest of the request's body is then dropped, up to [`Limits::drain`] bytes,
//! or the connection closes.
//!
//! Call [`Connection::poll`] repeatedly and handle each event, until it is [`NeedInput`](Event::NeedInput) or
//! [`Closed`](Event::Closed):
//!
//! | event | what to do |
//! |---|---|
//! | [`Event::NeedInput`] | read into [`receive_buffer`](Connection::receive_buffer), then call [`received`](Connection::received) or [`received_eof`](Connection::received_eof) |
//! | [`Event::Request`] | [`respond`](Connection::respond) now, or poll for the body and respond at [`Event::NeedOutput`] |
//! | [`Event::Continue`] | write these bytes before you read: the client waits for them |
//! | [`Event::Body`] | use the bytes; they are valid until the next call |
//! | [`Event::NeedOutput`] | `respond`, or send the rest of the body and report it by [`body_sent`](Connection::body_sent) |
//! | [`Event::Closed`] | close; see [`must_linger`](Connection::must_linger) |
//! | `Err(error)` | [`respond_error`](Connection::respond_error), or `respond` with a page of your own; the connection closes after either |
//!
//! The connection can be stored after any byte and moved to another thread. It reads no clock. The current timeout
//! follows from [`phase`](Connection::phase); if it fires, call [`handle_timeout`](Connection::handle_timeout). If
//! reading or writing fails, drop the connection: there is nothing to undo.
//!
//! A request with a body, and one that is refused:
//!
//! ```
//! use http_core::server::{Connection, Event, Response};
//! use http_core::{FieldBlock, Framing, Limits, RequestError, Status};
//!
//! let mut connection = Connection::new(Limits::default());
//! let (fields, mut out) = (FieldBlock::new(), Vec::new());
//! connection.receive(b"POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nx=1");
//! let Ok(Event::Request(request)) = connection.poll() else { panic!() };
//! assert_eq!(request.body, Framing::Length(6));
//! assert!(matches!(connection.poll(), Ok(Event::Body(b"x=1"))));
//! assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
//! // The rest of the body, and the next request after it.
//! connection.receive(b"&y=GET / HTTP/1.1\r\n\r\n");
//! assert!(matches!(connection.poll(), Ok(Event::Body(b"&y="))));
//! assert!(matches!(connection.poll(), Ok(Event::NeedOutput)));
//! let _no_body = connection.respond(&Response::new(Status::NO_CONTENT, &fields), &mut out)?;
//! // HTTP/1.1 must have a Host. The response is a 400 with a line of text.
//! assert!(matches!(connection.poll(), Err(RequestError::HostMissing)));
//! connection.respond_error(None, &mut out)?;
//! assert!(matches!(connection.poll(), Ok(Event::Closed)));
//! # Ok::<(), http_core::UsageError>(())
//! ```

mod head;
mod receive;
pub(crate) mod types;

use alloc::vec::Vec;

use crate::error::{RequestError, UsageError};
use crate::limits::Limits;
use crate::message::date::DateText;
use crate::message::field::{FieldBlock, FieldValue, header};
use crate::message::status::Status;
use crate::message::version::Version;
use crate::wire::encode;
use crate::wire::parse;
use crate::wire::persistence::{self, CloseFacts, CloseReason};
use crate::wire::recv_buffer::{RecvBuffer, Workspace};
use head::Head;
use receive::Step;

pub use crate::wire::encode::SendBody;
pub use types::{Event, Expectation, Phase, RequestHead, Response, ResponseBody};

/// The interim response to [`Expectation::Continue`]. It says HTTP/1.1, because HTTP/1.0 has no such response, and some
/// clients take one in HTTP/1.0 for the last (D17).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection from a client. The [module](self) explains the order of calls.
///
/// Its size is at most 256 bytes, and it is `Send`. It uses its own buffers, or [a workspace's](Self::attach).
///
/// ```
/// use http_core::server::{Connection, Event, Response, ResponseBody, SendBody};
/// use http_core::{FieldBlock, Limits, Status};
///
/// let mut connection = Connection::new(Limits::default());
/// assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
/// connection.receive(b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
///
/// let Ok(Event::Request(request)) = connection.poll() else { panic!() };
/// assert_eq!(&*request.path.decoded(), b"/hello");
///
/// let fields = FieldBlock::new();
/// let response = Response { body: ResponseBody::Length(5), ..Response::new(Status::OK, &fields) };
/// let mut out = Vec::new();
/// assert_eq!(connection.respond(&response, &mut out), Ok(SendBody::Exactly(5)));
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
    head: Head,
    /// The caller holds a request's head.
    holds_head: bool,
    /// Bytes of the request's body that are still to come.
    body_left: u64,
    state: State,
    refused: Option<RequestError>,
    close_reason: Option<CloseReason>,
    /// The number of pieces in which the current request was received; see `must_linger`.
    pieces: u8,
    allows_http09: bool,
    eof: bool,
    timed_out: bool,
    overloaded: bool,
    /// A body follows, or followed, the current response's head.
    has_body: bool,
}

const _: () = assert!(size_of::<Connection>() <= 256, "an idle connection is small");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between requests, or within a head.
    Head,
    /// A request or an error was handed out. The response is due.
    Due,
    /// The response's head is written. The number of bytes of its body that are still to be sent; `None`: until the
    /// close.
    Sending(Option<u64>),
    /// The response is complete. The rest of the request's body is dropped.
    Dropping,
    Closed,
}

impl Connection {
    /// A connection on which nothing was received yet. It allocates nothing before
    /// [`receive_buffer`](Self::receive_buffer).
    pub const fn new(limits: Limits) -> Connection {
        Connection {
            limits,
            buffer: RecvBuffer::new(),
            head: Head::NONE,
            holds_head: false,
            body_left: 0,
            state: State::Head,
            refused: None,
            close_reason: None,
            pieces: 0,
            allows_http09: true,
            eof: false,
            timed_out: false,
            overloaded: false,
            has_body: false,
        }
    }

    /// Whether HTTP/0.9 requests are served. Default: yes. Otherwise they get a 400 in HTTP/1.0. No proxy sends any.
    ///
    /// ```
    /// use http_core::server::Connection;
    /// # use http_core::{Limits, RequestError};
    /// let mut connection = Connection::new(Limits::default()).allow_http09(false);
    /// connection.receive(b"GET /\r\n");
    /// assert_eq!(connection.poll().err(), Some(RequestError::RequestLine));
    /// ```
    #[must_use]
    pub const fn allow_http09(mut self, allow: bool) -> Connection {
        self.allows_http09 = allow;
        self
    }

    /// The space to receive into. After [`Event::NeedInput`] it is at least one byte long. It never holds more than
    /// [`Limits::head`] unread bytes. Its content is meaningless before it is written.
    ///
    /// It grows by doubling from 256 bytes, unless a [`Workspace`] is attached. It may move the unread bytes, so call it at
    /// [`Event::NeedInput`] and not after each event. Calling it invalidates what the last poll returned.
    pub fn receive_buffer(&mut self) -> &mut [u8] {
        self.holds_head = false;
        self.buffer.receive_buffer(self.limits.head)
    }

    /// Reports that the first `n` bytes of the last [`receive_buffer`](Self::receive_buffer) are filled.
    ///
    /// A larger `n` counts as the buffer's length. 0 does not mean the end of the stream; that is
    /// [`received_eof`](Self::received_eof).
    pub fn received(&mut self, n: usize) {
        self.pieces = self.pieces.saturating_add(1);
        self.buffer.received(n);
    }

    /// Copies bytes from a buffer of the caller, and returns how many it copied.
    ///
    /// It copies fewer if more than [`Limits::head`] bytes would be unread. Poll, and then pass the rest.
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        self.holds_head = false;
        self.pieces = self.pieces.saturating_add(1);
        self.buffer.receive(bytes, self.limits.head)
    }

    /// Reports the end of the stream: the peer sends no more.
    ///
    /// What was received before is still served (R9112-9.6c). A request that was received in part is
    /// [`RequestError::Incomplete`]. If the stream broke, drop the connection instead.
    pub fn received_eof(&mut self) {
        self.eof = true;
    }

    /// Reports that the caller's timeout for the current [`phase`](Self::phase) fired.
    ///
    /// A request that has begun gets a 408. An idle connection closes without a response (R9112-9.5, R9110-15.5.9).
    /// A complete request is still served. Poll next.
    ///
    /// ```
    /// use http_core::server::{Connection, Event};
    /// # use http_core::{Limits, RequestError};
    /// let mut connection = Connection::new(Limits::default());
    /// connection.receive(b"GET /");
    /// assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
    /// connection.handle_timeout();
    /// assert_eq!(connection.poll().err(), Some(RequestError::TimedOut));
    /// ```
    pub fn handle_timeout(&mut self) {
        self.timed_out = true;
    }

    /// Refuses the current or next request with 503 and `Retry-After: 1` (R1945-9.5), because the caller is overloaded.
    /// The next poll returns [`RequestError::Overloaded`]. A response that is being sent is completed first.
    pub fn reject_overloaded(&mut self) {
        self.overloaded = true;
    }

    /// Returns the next event. What the last call returned is no longer valid.
    ///
    /// # Errors
    /// The peer's fault. Every further poll returns the same error, until [`respond_error`](Self::respond_error) or
    /// [`respond`](Self::respond) is called. When that response is sent, [`Event::Closed`] follows.
    pub fn poll(&mut self) -> Result<Event<'_>, RequestError> {
        self.buffer.release();
        self.holds_head = false;
        match self.advance() {
            Ok(Step::NeedInput) => Ok(Event::NeedInput),
            Ok(Step::Request) => Ok(self.request_head().map_or(Event::NeedOutput, Event::Request)),
            Ok(Step::Continue) => Ok(Event::Continue(CONTINUE)),
            Ok(Step::Body) => Ok(Event::Body(self.buffer.lent_front())),
            Ok(Step::NeedOutput) => Ok(Event::NeedOutput),
            Ok(Step::Closed) => Ok(Event::Closed),
            Err(error) => {
                self.refuse(error);
                Err(error)
            }
        }
    }

    /// The head that the last [`poll`](Self::poll) returned, until the next call that receives or polls. `None`
    /// otherwise.
    ///
    /// Unlike the head in [`Event::Request`], it is also available after [`respond`](Self::respond), for a log.
    pub fn request_head(&self) -> Option<RequestHead<'_>> {
        if !self.holds_head {
            return None;
        }
        self.head.view(self.buffer.lent_front(), self.buffer.fields(), self.body_left)
    }

    /// Takes the request of the last [`poll`](Self::poll) back: the next poll hands it out once more.
    ///
    /// It suits a caller that cannot respond yet and has to [detach](Self::detach) the connection meanwhile. It does
    /// nothing unless [`request_head`](Self::request_head) returns a request that has no response.
    ///
    /// ```
    /// use http_core::server::{Connection, Event};
    /// # use http_core::Limits;
    /// # let mut connection = Connection::new(Limits::default());
    /// connection.receive(b"GET /hello HTTP/1.0\r\n\r\n");
    /// for _ in 0..3 {
    ///     assert!(matches!(connection.poll(), Ok(Event::Request(_))));
    ///     connection.postpone();
    /// }
    /// ```
    pub fn postpone(&mut self) {
        if self.holds_head && self.state == State::Due {
            self.buffer.return_front();
            (self.state, self.body_left, self.holds_head) = (State::Head, 0, false);
            self.head = self.head.again();
        }
    }

    /// The first line as far as it was received, for a log. It may hold any byte except LF, so escape it.
    ///
    /// It is available while a head is received, as long as [`request_head`](Self::request_head), and after an error in a
    /// head. Otherwise it is empty.
    pub fn start_line(&self) -> &[u8] {
        let head = if self.holds_head || self.head.length == 0 { self.buffer.unread() } else { b"" };
        parse::start_line(head, self.limits.start_line as usize)
    }

    /// Appends a response's head to `out`, and its body if that is [`ResponseBody::Bytes`]. Returns what must follow.
    ///
    /// A request or an error of [`poll`](Self::poll) gets one response. It may be given before the request's body has
    /// arrived. The rest of that body is then dropped, or the connection closes. A Simple-Request gets the body without a
    /// head.
    ///
    /// This call decides whether the connection is [kept](Self::close_reason), and writes Connection accordingly (D15).
    ///
    /// # Errors
    /// [`UsageError::NoResponseDue`], [`UsageError::InformationalStatus`], [`UsageError::MissingField`].
    /// After an error nothing is written, and another response may be given.
    ///
    /// ```
    /// use http_core::server::{Connection, Event, Response, ResponseBody, SendBody};
    /// # use http_core::{FieldBlock, Limits, Status};
    /// # let mut connection = Connection::new(Limits::default());
    /// # connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    /// # assert!(matches!(connection.poll(), Ok(Event::Request(_))));
    /// # let (fields, mut out) = (FieldBlock::new(), Vec::new());
    /// // The length is not known yet, so the connection ends with the body.
    /// let response = Response { body: ResponseBody::UntilClose, ..Response::new(Status::OK, &fields) };
    /// assert_eq!(connection.respond(&response, &mut out)?, SendBody::UntilClose);
    /// assert_eq!(out, b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n");
    /// out.extend_from_slice(b"one, two");
    /// connection.finish_body()?;
    /// assert!(matches!(connection.poll(), Ok(Event::Closed)));
    /// # Ok::<(), http_core::UsageError>(())
    /// ```
    pub fn respond(&mut self, response: &Response<'_>, out: &mut Vec<u8>) -> Result<SendBody, UsageError> {
        let needed = match response.status {
            Status::UNAUTHORIZED => Some(header::WWW_AUTHENTICATE), // R1945-9.4d, R9110-11.6.1
            Status::METHOD_NOT_ALLOWED => Some(header::ALLOW),      // R9110-10.2.1
            Status::PROXY_AUTHENTICATION_REQUIRED => Some(header::PROXY_AUTHENTICATE), // R9110-15.5.8
            Status::UPGRADE_REQUIRED => Some(header::UPGRADE),      // R9110-15.5.22
            _ => None,
        };
        if self.state == State::Due && needed.is_some_and(|name| !response.fields.contains(name)) {
            return Err(UsageError::MissingField);
        }
        self.forward(response, out)
    }

    /// [`respond`](Self::respond) for a proxy that passes a response on. A header that the status needs may be missing:
    /// the other server left it out, or it was for the proxy alone.
    ///
    /// # Errors
    /// [`UsageError::NoResponseDue`], [`UsageError::InformationalStatus`]. After an error nothing is written.
    pub fn forward(&mut self, response: &Response<'_>, out: &mut Vec<u8>) -> Result<SendBody, UsageError> {
        if self.state != State::Due {
            return Err(UsageError::NoResponseDue);
        }
        if response.status.is_informational() {
            return Err(UsageError::InformationalStatus);
        }
        let bodiless = response.status.is_bodiless() || self.head.is_head;
        self.close_reason = persistence::close_reason(&CloseFacts {
            version: self.head.version,
            connection_option: self.head.connection_option,
            refused: self.refused,
            lenient: self.head.lenient,
            caller_asks: response.close,
            until_close: response.body == ResponseBody::UntilClose && !bodiless,
            // A client that waits for 100 may or may not send its body now, so the next request could begin anywhere.
            unread_body: self.body_left > self.limits.drain
                || (self.head.expectation != Expectation::Nothing && self.body_left > 0),
        });
        if self.head.version > Version::HTTP_09 {
            let head = encode::ResponseHead {
                status: response.status,
                date: response.date,
                keep_alive: self.close_reason.is_none(),
                upgrade: response.status == Status::UPGRADE_REQUIRED && response.fields.contains(header::UPGRADE),
                idle_seconds: response.idle_timeout.map(|timeout| timeout.as_secs()).filter(|seconds| *seconds > 0),
                length: match response.status {
                    Status::RESET_CONTENT => Some(0),                                   // R9110-15.3.6
                    status => response.body.length().filter(|_| !status.is_bodiless()), // R9110-8.6a
                },
                fields: response.fields,
            };
            encode::response_head(&head, out);
        }
        let (send, state) = match response.body {
            _ if bodiless => (SendBody::None, State::Dropping),
            ResponseBody::Bytes(bytes) => {
                out.extend_from_slice(bytes);
                (SendBody::None, State::Dropping)
            }
            ResponseBody::Length(0) => (SendBody::None, State::Dropping),
            ResponseBody::Length(length) => (SendBody::Exactly(length), State::Sending(Some(length))),
            ResponseBody::UntilClose => (SendBody::UntilClose, State::Sending(None)),
        };
        self.has_body = send != SendBody::None;
        self.state = state;
        Ok(send)
    }

    /// Appends a complete response to the error that [`poll`](Self::poll) returned: its [status](RequestError::status),
    /// and a line of text that says what is wrong (R1945-9.4b), except for HEAD. The connection closes after it.
    ///
    /// `date` is the value of Date; `None` without a clock. For a page of your own, call [`respond`](Self::respond)
    /// with `error.status()` instead.
    ///
    /// # Errors
    /// [`UsageError::NoErrorToReport`] if `poll` returned no error, or a response to it was already given.
    pub fn respond_error(&mut self, date: Option<DateText>, out: &mut Vec<u8>) -> Result<(), UsageError> {
        let (Some(error), State::Due) = (self.refused, self.state) else { return Err(UsageError::NoErrorToReport) };
        let text = alloc::format!("{}: {error}\n", error.status());
        let mut fields = FieldBlock::new();
        fields.push_unreserved(header::CONTENT_TYPE, FieldValue::from_static("text/plain; charset=utf-8"));
        if let Some((name, value)) = error.header() {
            fields.push_unreserved(name, value);
        }
        let body = ResponseBody::Bytes(text.as_bytes());
        let _complete = self.respond(&Response { body, date, ..Response::new(error.status(), &fields) }, out)?;
        Ok(())
    }

    /// Reports that `n` bytes of the response's body were sent, or certainly will be. Call it for each piece.
    ///
    /// The last byte completes the response. A body of unknown length also needs
    /// [`finish_body`](Self::finish_body).
    ///
    /// # Errors
    /// [`UsageError::BodyTooLong`] for more bytes than the head announced, [`UsageError::NoBodyDue`] if none are due.
    /// If the bytes were really sent, close the connection.
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

    /// Ends a body of unknown length ([`SendBody::UntilClose`]). After the last byte of a body it changes nothing.
    ///
    /// # Errors
    /// [`UsageError::BodyTooShort`] if a length was announced and not reached. Close the connection, so that the peer
    /// notices; never pad the body. [`UsageError::NoBodyDue`] if no body followed the head ([`SendBody::None`]), or none
    /// is being sent.
    pub fn finish_body(&mut self) -> Result<(), UsageError> {
        match self.state {
            State::Sending(None) => {
                self.state = State::Dropping;
                Ok(())
            }
            State::Sending(Some(_)) => Err(UsageError::BodyTooShort),
            State::Dropping if self.has_body => Ok(()),
            _ => Err(UsageError::NoBodyDue),
        }
    }

    /// What the connection is doing, and so which timeout applies. Call it after
    /// [`Event::NeedInput`] or [`Event::NeedOutput`].
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Head if self.has_begun() => Phase::Head,
            State::Head => Phase::Idle,
            State::Due if self.body_left > 0 => Phase::Body,
            State::Dropping if self.body_left > 0 && self.close_reason.is_none() => Phase::Body,
            State::Due | State::Sending(_) => Phase::Responding,
            State::Dropping if self.close_reason.is_none() => Phase::Idle,
            State::Dropping | State::Closed => Phase::Closing,
        }
    }

    /// Why the connection closes, for a log. It is known after the response's head or at [`Event::Closed`]. `None`
    /// while the connection is kept.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.close_reason
    }

    /// Whether a plain close could destroy the response, because bytes may still be on their way (R9112-9.6b): the
    /// system then resets the connection. Call it after [`Event::Closed`], when the complete
    /// response is written.
    ///
    /// If so, close in steps, as in [`manual::blocking`](crate::manual::blocking). A client whose request was received in
    /// one piece with nothing after it is assumed to have sent everything.
    #[must_use]
    pub fn must_linger(&self) -> bool {
        let more = self.buffer.unread().len() > self.buffer.lent_front().len() || self.body_left > 0;
        !self.eof && (more || self.pieces > 1 || self.refused.is_some() || self.head.version == Version::HTTP_09)
    }

    /// Bytes of heap memory that the connection owns, not counting a workspace's. It is 0 for an idle connection after
    /// [`detach`](Self::detach). A program that limits the memory of all its connections adds these up.
    pub fn heap_size(&self) -> usize {
        self.buffer.heap_size()
    }

    /// Uses the workspace's memory until [`detach`](Self::detach), so that the connection allocates none.
    ///
    /// A thread lends its workspace to one connection at a time. Unread bytes that the connection owns stay where they
    /// are. An earlier [`receive_buffer`](Self::receive_buffer) is no longer valid.
    pub fn attach(&mut self, workspace: &mut Workspace) {
        self.buffer.attach(workspace);
    }

    /// Gives the memory of [`attach`](Self::attach) back. Unread bytes move to the connection's own memory. The last
    /// request's head is no longer valid.
    ///
    /// ```
    /// use http_core::server::{Connection, Event};
    /// use http_core::{Limits, Workspace};
    ///
    /// let mut workspace = Workspace::with_capacity(Limits::default().head as usize);   // one for each thread
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
