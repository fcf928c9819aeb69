//! What passes between a server's machine and its caller: events and heads out, replies in. Values only; what they
//! mean for the connection is decided in `server`.

use crate::message::date::DateText;
use crate::message::field::{FieldBlock, Fields, header};
use crate::message::method::Method;
use crate::message::path::Path;
use crate::message::status::Status;
use crate::message::target::Target;
use crate::message::version::Version;
use crate::wire::framing::Framing;

/// What the machine has for its caller. What is borrowed is gone with the next call that receives or polls.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Nothing can be said before more bytes come: receive some, or the end, or let a deadline strike.
    NeedInput,
    /// A request's head is whole and correct. It comes once a request, and its reply is due from now on.
    Request(RequestHead<'a>),
    /// One or more bytes of the request's body, as they came. All of them together are as many as
    /// [`RequestHead::body`] says.
    Body(&'a [u8]),
    /// It is the caller's turn. Either the request is whole, body and all, and has no reply yet; or the reply's head is
    /// written and [`body_sent`](crate::server::Connection::body_sent) did not yet report all of its body. It comes again at
    /// each poll until that has happened.
    NeedOutput,
    /// The connection is to be closed; it comes again at each poll. Before a plain close, ask
    /// [`must_linger`](crate::server::Connection::must_linger).
    Closed,
}

/// A request's head, borrowed from its connection (RFC 1945 §5). What stands in it was judged (decision D16): the caller
/// need not check Host, framing or version again, nor whether the path climbs.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method. CONNECT never comes this far; any other does, known or not: what the resource does not allow is answered
    /// 405, what [nobody knows](Method::is_known) 501.
    pub method: Method<'a>,
    /// What is asked for, as it came: in origin-form, or in absolute-form, whose host then counts instead of Host
    /// (R9112-3.2.2b), or `*`, which comes with OPTIONS only.
    pub target: Target<'a>,
    /// What its path names below a root: [decoded](Path::decode_to) and resolved where it is asked. The root itself for `*`.
    pub path: Path<'a>,
    /// The version as it came: [0.9](Version::HTTP_09) for a Simple-Request, 1.0, or 1.1; 1.2 to 1.9 are treated as 1.1
    /// (R9110-2.5). The reply is always in HTTP/1.0, or 0.9.
    pub version: Version,
    /// The fields, in their order. A Simple-Request has none.
    pub fields: Fields<'a>,
    /// The request's body, [`Framing::Empty`] or [`Framing::Length`] with the bytes that were still to come when this view
    /// was made. It may be larger than [`Limits::body`](crate::Limits::body): that strikes when the body is polled for.
    pub body: Framing,
}

impl RequestHead<'_> {
    /// What an HTTP/1.1 client expects before it sends its body; HTTP/1.0 has no expectations (R9110-10.1.1a).
    ///
    /// A server that wants the body of a request that expects [`Expectation::Continue`] answers 417, and the client
    /// tries again without: HTTP/1.0 has no 100 (Continue). Any other final reply may be given at once. Either way the
    /// connection closes if the body did not come, since nobody can tell whether it will (R9110-10.1.1b).
    ///
    /// ```
    /// use http_core::server::{Connection, Event, Expectation};
    /// # use http_core::Limits;
    /// # let mut connection = Connection::new(Limits::default());
    /// # let head = b"PUT /a HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    /// # connection.receive_buffer()[..head.len()].copy_from_slice(head);
    /// # connection.received(head.len());
    /// // Expect: 100-continue
    /// let Ok(Event::Request(request)) = connection.poll() else { unreachable!() };
    /// assert_eq!(request.expectation(), Expectation::Continue);
    /// ```
    pub fn expectation(&self) -> Expectation {
        if self.version < Version::HTTP_11 {
            return Expectation::Nothing;
        }
        let mut expectation = Expectation::Nothing;
        for token in self.fields.tokens(header::EXPECT) {
            match token.eq_ignore_ascii_case(b"100-continue") {
                true => expectation = Expectation::Continue,
                false => return Expectation::Unknown,
            }
        }
        expectation
    }
}

/// What a request's Expect field says (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expectation {
    /// Nothing: there is no such field, or the request is in HTTP/1.0.
    Nothing,
    /// `100-continue`: the body waits for a word from the server.
    Continue,
    /// Something that nobody can meet: 417 is the answer (R9110-10.1.1c).
    Unknown,
}

/// A reply's head (RFC 1945 §6). Content-Length, Connection and Date are the library's to write, out of what stands here.
///
/// ```
/// use http_core::server::{Response, ResponseBody};
/// use http_core::{Date, FieldBlock, FieldValue, Status, header};
///
/// let mut fields = FieldBlock::new();
/// fields.push(header::CONTENT_TYPE, FieldValue::from_static("text/html; charset=utf-8"))?;
/// let now = Date::from_unix(1_000_000_000).unwrap();   // the caller's clock
/// let reply = Response { body: ResponseBody::Length(12), date: Some(now.text()), ..Response::new(Status::OK, &fields) };
/// assert!(!reply.close);
/// # Ok::<(), http_core::ReservedField>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The status; not 1xx, which HTTP/1.0 does not have. Its usual reason phrase is sent.
    pub status: Status,
    /// All other fields. A 401 needs WWW-Authenticate among them, a 405 Allow.
    pub fields: &'a FieldBlock,
    /// The body that a GET would get, so that HEAD can be answered with the same value: HEAD, 204 and 304 send none whatever
    /// stands here. To HEAD its length is said, in 204 and 304 it is not (R9110-8.6a).
    pub body: ResponseBody<'a>,
    /// The time, for Date; `None` where there is no clock (RFC 9110 §6.6.1). A gateway puts the Date here that it received.
    pub date: Option<DateText>,
    /// Ends the connection after this reply, whatever the client asked for. It ends without this, too, where the client does
    /// not keep it or something is in doubt ([`CloseReason`](crate::CloseReason)).
    pub close: bool,
}

impl<'a> Response<'a> {
    /// A reply with no body, no Date, and a connection that is kept where it can be; what is different is written as
    /// `Response { body, ..Response::new(status, &fields) }`.
    pub const fn new(status: Status, fields: &'a FieldBlock) -> Response<'a> {
        Response { status, fields, body: ResponseBody::Length(0), date: None, close: false }
    }
}

/// A reply's body, or how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseBody<'a> {
    /// These bytes; they are written behind the head, but to HEAD.
    Bytes(&'a [u8]),
    /// So many bytes that the caller sends, said by Content-Length; 0 for none (R1945-7.2c).
    Length(u64),
    /// Not known. The connection closes after it (R2068-19.7.1b); a client cannot tell a body that was cut short from a whole
    /// one. To HEAD it means that no length is said, and costs no connection.
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

/// What the caller has to send after what was written, by whatever call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum SendBody {
    /// Nothing; the message is whole.
    None,
    /// Exactly so many bytes, 1 or more, each reported by `body_sent`.
    Exactly(u64),
    /// Any number, then [`Connection::finish_body`](crate::server::Connection::finish_body). For replies alone.
    UntilClose,
}

/// What a connection is doing: which deadline applies. The library has no clock; beside each phase stands the time that
/// `webserver` allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// No byte of a request came, line ends apart: 15 s. A deadline closes without a word. For a connection that was
    /// never asked anything, count from when it was accepted, and as for a head.
    Idle,
    /// Within a head: 10 s from its first byte, however many come. A deadline is 408.
    Head,
    /// Within a request's body, be it wanted or dropped: 10 s, and more as it moves. A deadline is 408, or closes where the
    /// reply was given.
    Body,
    /// A reply is due or being sent: 10 s, and more as it moves. There is nothing to be told to the machine when a deadline
    /// strikes; drop the connection.
    Responding,
    /// All is said: [`Connection::must_linger`](crate::server::Connection::must_linger) says how to close.
    Closing,
}
