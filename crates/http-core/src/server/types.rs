//! The values that pass between a server's connection and its caller: events and heads out, responses in.

use core::time::Duration;

use crate::message::date::DateText;
use crate::message::field::{FieldBlock, Fields, header};
use crate::message::method::Method;
use crate::message::path::Path;
use crate::message::status::Status;
use crate::message::target::Target;
use crate::message::version::Version;
use crate::wire::framing::Framing;

/// What the connection reports to its caller. Borrowed parts are valid until the next call that receives or polls.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The connection needs more bytes, the end of the stream or a timeout.
    NeedInput,
    /// A complete and valid head. There is one for each request, and its response is due from now on.
    Request(RequestHead<'a>),
    /// An interim response, 100 (Continue). The client waits for these bytes before it sends its body
    /// (R9110-10.1.1b), so write them before you read.
    ///
    /// It comes at most once for a request, when the caller polls for the body, accepts one of this length
    /// ([`Limits::body`](crate::Limits::body)), and none of it has arrived.
    Continue(&'static [u8]),
    /// One or more bytes of the request's body. Their total is the length in [`RequestHead::body`].
    Body(&'a [u8]),
    /// It is the caller's turn: call `respond`, or report the response's body by
    /// [`body_sent`](crate::server::Connection::body_sent).
    ///
    /// Either the complete request was received and has no response yet, or the response's body is incomplete. Every
    /// further poll returns it again until that has changed.
    NeedOutput,
    /// The connection must be closed. Before a plain close, ask
    /// [`must_linger`](crate::server::Connection::must_linger). Every further poll returns it again.
    Closed,
}

/// A request's head, borrowed from its connection (RFC 1945 §5).
///
/// It passed every check of decision D16. The caller need not check Host, framing or version again, nor whether the
/// path escapes the root.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method: any except CONNECT. Respond with 405 to a method that the resource does not allow, and with 501 to
    /// an [unknown](Method::is_known) one.
    pub method: Method<'a>,
    /// The request-target as it was received: in origin-form; in absolute-form, whose host then counts instead of Host
    /// (R9112-3.2.2b); or `*`, only with OPTIONS.
    pub target: Target<'a>,
    /// The target's path. [`decoded`](Path::decoded) is what to compare, [`decode_to`](Path::decode_to) names a file
    /// below a root. It is the root for `*`.
    pub path: Path<'a>,
    /// The version as it was received: [0.9](Version::HTTP_09) for a Simple-Request, 1.0, or 1.1. Versions 1.2 to 1.9
    /// are treated as 1.1 (R9110-2.5). The response is in HTTP/1.0, or 0.9.
    pub version: Version,
    /// The headers, in their order. A Simple-Request has none.
    pub fields: Fields<'a>,
    /// The request's body: [`Framing::Empty`], or [`Framing::Length`] with the bytes that were still to come when this
    /// view was made. It may exceed [`Limits::body`](crate::Limits::body), which applies when the caller polls for the
    /// body.
    pub body: Framing,
}

impl RequestHead<'_> {
    /// What an HTTP/1.1 client expects before it sends its body. HTTP/1.0 has no expectations (R9110-10.1.1a).
    ///
    /// Nothing needs to be done about [`Expectation::Continue`]. A caller that polls for the body gets
    /// [`Event::Continue`] if the client waits, and one that responds instead responds at once. The connection then
    /// closes, since the body may or may not follow (R9110-10.1.1b).
    ///
    /// ```
    /// use http_core::server::{Connection, Event, Expectation};
    /// # use http_core::Limits;
    /// # let mut connection = Connection::new(Limits::default());
    /// # connection.receive(b"PUT /a HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    /// // Expect: 100-continue
    /// let Ok(Event::Request(request)) = connection.poll() else { unreachable!() };
    /// assert_eq!(request.expectation(), Expectation::Continue);
    /// assert!(matches!(connection.poll(), Ok(Event::Continue(b"HTTP/1.1 100 Continue\r\n\r\n"))));
    /// assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
    /// ```
    pub fn expectation(&self) -> Expectation {
        Expectation::of_request(self.version, &self.fields)
    }
}

/// The expectation in a request's Expect header (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expectation {
    /// Nothing: there is no such header, or the request is in HTTP/1.0.
    Nothing,
    /// `100-continue`: the client waits for the server before it sends the body.
    Continue,
    /// Something unknown: respond with 417 (R9110-10.1.1c).
    Unknown,
}

impl Expectation {
    pub(super) fn of_request(version: Version, fields: &Fields<'_>) -> Expectation {
        if version < Version::HTTP_11 {
            return Expectation::Nothing;
        }
        let mut expectation = Expectation::Nothing;
        for token in fields.tokens(header::EXPECT) {
            match token.eq_ignore_ascii_case(b"100-continue") {
                true => expectation = Expectation::Continue,
                false => return Expectation::Unknown,
            }
        }
        expectation
    }
}

/// A response to be sent (RFC 1945 §6). The library adds Content-Length, Connection and Date.
///
/// ```
/// use http_core::server::{Response, ResponseBody};
/// use http_core::{Date, FieldBlock, FieldValue, Status, header};
///
/// let mut fields = FieldBlock::new();
/// fields.push(header::CONTENT_TYPE, FieldValue::from_static("text/html; charset=utf-8"))?;
/// let now = Date::from_unix(1_000_000_000).unwrap();   // the caller's clock
/// let response = Response { body: ResponseBody::Length(12), date: Some(now.text()), ..Response::new(Status::OK, &fields) };
/// assert!(!response.close);
/// # Ok::<(), http_core::ReservedField>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The status, sent with its usual reason phrase. It cannot be 1xx, which HTTP/1.0 does not have.
    pub status: Status,
    /// All other headers. A 401 needs WWW-Authenticate, a 405 Allow, a 407 Proxy-Authenticate, and a 426 Upgrade. Other
    /// responses should have no Upgrade: Connection does not name it there (RFC 9110 §7.8).
    pub fields: &'a FieldBlock,
    /// The body that a GET would get. The same value serves HEAD, which gets the length without the body. A 204 and a
    /// 304 get neither (R9110-8.6a), and a 205 says that its length is 0 (R9110-15.3.6).
    pub body: ResponseBody<'a>,
    /// The time, for Date; `None` without a clock (RFC 9110 §6.6.1). A gateway passes on the Date that it received.
    pub date: Option<DateText>,
    /// Closes the connection after this response, whatever the client asked for. Other reasons to close are in
    /// [`CloseReason`](crate::CloseReason).
    pub close: bool,
    /// How long the caller keeps an idle connection open. A kept connection announces its whole seconds, at least one, as
    /// `Keep-Alive: timeout`, so that the client does not send a request as the connection closes (RFC 2068 §19.7.1.1).
    pub idle_timeout: Option<Duration>,
}

impl<'a> Response<'a> {
    /// A response without a body or a Date, after which the connection is kept if possible. To change that, write
    /// `Response { body, ..Response::new(status, &fields) }`.
    pub const fn new(status: Status, fields: &'a FieldBlock) -> Response<'a> {
        Response { status, fields, body: ResponseBody::Length(0), date: None, close: false, idle_timeout: None }
    }
}

/// A response's body, or how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseBody<'a> {
    /// These bytes, written after the head, except for HEAD.
    Bytes(&'a [u8]),
    /// This many bytes, which Content-Length announces and the caller sends; 0 for none (R1945-7.2c).
    Length(u64),
    /// An unknown number of bytes, ended by closing the connection (R2068-19.7.1b). A client cannot notice that such a
    /// body was cut short. A response to HEAD just has no Content-Length, and the connection is kept.
    UntilClose,
}

impl ResponseBody<'_> {
    /// How many bytes a GET would get, if that is known.
    pub(crate) const fn length(&self) -> Option<u64> {
        match self {
            ResponseBody::Bytes(bytes) => Some(bytes.len() as u64),
            ResponseBody::Length(length) => Some(*length),
            ResponseBody::UntilClose => None,
        }
    }
}

/// What a connection is doing, and so which timeout applies. The library has no clock.
///
/// Start a new timeout when the phase changes, and after each response: the next head may already have begun, and then the
/// phase is the same as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// No byte of a request was received, apart from line ends. A timeout, for example 75 s, closes without a response.
    /// For a new connection, use the timeout of a head, counted from when it was accepted.
    Idle,
    /// Within a head. A timeout, for example 10 s from its first byte, is a 408. Do not extend it when bytes arrive.
    Head,
    /// Within a request's body, whether it is used or dropped. A timeout, for example 10 s and another
    /// second for each KiB received, is a 408, or closes the connection if the response was given before.
    Body,
    /// A response is due or being sent. After a timeout, for example 10 s and another second for each KiB sent, drop the connection
    /// without reporting it.
    Responding,
    /// The last response is complete. For how to close, see
    /// [`Connection::must_linger`](crate::server::Connection::must_linger).
    Closing,
}
