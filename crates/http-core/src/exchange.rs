//! What passes between a server's machine and its caller: events and heads out, replies in. Values only; what they
//! mean for the connection is decided in `server`.

use crate::date::DateText;
use crate::field::{FieldBlock, Fields, name};
use crate::framing::Framing;
use crate::method::Method;
use crate::path::Path;
use crate::status::Status;
use crate::target::Target;
use crate::version::Version;

/// What the machine has for its caller.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Nothing can be said before more octets come.
    NeedInput,
    /// A request's head is whole and correct.
    Request(RequestHead<'a>),
    /// Octets of the request's body, as they came.
    Body(&'a [u8]),
    /// It is the caller's turn: the request is whole and its reply is due, or not wholly sent.
    ReplyDue,
    /// The connection is to be closed.
    Closed,
}

/// A request's head, borrowed from its connection.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method; CONNECT never comes this far.
    pub method: Method<'a>,
    /// What is asked for. `*` comes with OPTIONS only.
    pub target: Target<'a>,
    /// What its path names below a root; the root itself for `*`.
    pub path: Path<'a>,
    /// The version, of which 1.2 to 1.9 count as 1.1.
    pub version: Version,
    /// The fields. A Simple-Request has none.
    pub fields: Fields<'a>,
    /// The request's body, [`Framing::Empty`] or [`Framing::Length`].
    pub body: Framing,
}

impl RequestHead<'_> {
    /// What an HTTP/1.1 client expects before it sends its body; HTTP/1.0 has no expectations (R9110-10.1.1a).
    ///
    /// A server that wants the body of a request that expects [`Expectation::Continue`] answers 417, and the client
    /// tries again without: HTTP/1.0 has no 100 (Continue). Any other final reply may be given at once.
    pub fn expectation(&self) -> Expectation {
        if self.version < Version::HTTP_11 {
            return Expectation::Nothing;
        }
        let mut expectation = Expectation::Nothing;
        for token in self.fields.tokens(name::EXPECT) {
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
    /// Nothing.
    Nothing,
    /// `100-continue`: the body waits for a word from the server.
    Continue,
    /// Something that nobody can meet: 417 is the answer (R9110-10.1.1c).
    Unknown,
}

/// A reply's head. Framing, Connection and Date are the library's to write.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The status; not 1xx, which HTTP/1.0 does not have.
    pub status: Status,
    /// All other fields.
    pub fields: &'a FieldBlock,
    /// The body that a GET would get. HEAD, 204 and 304 send none whatever stands here; 204 and 304 do not mention it.
    pub body: ReplyBody<'a>,
    /// The time, for Date; `None` where there is no clock (RFC 9110 §6.6.1).
    pub date: Option<DateText>,
    /// Ends the connection after this reply.
    pub close: bool,
}

impl<'a> Reply<'a> {
    /// A reply without a body and without a date that keeps the connection where it can.
    pub const fn new(status: Status, fields: &'a FieldBlock) -> Reply<'a> {
        Reply { status, fields, body: ReplyBody::Length(0), date: None, close: false }
    }
}

/// A reply's body, or how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyBody<'a> {
    /// These octets; they are written behind the head, but to HEAD.
    Octets(&'a [u8]),
    /// So many octets that the caller sends; 0 for none (R1945-7.2c).
    Length(u64),
    /// Not known: the connection closes after it.
    UntilClose,
}

impl ReplyBody<'_> {
    /// How many octets a GET would get, if that is known.
    pub(crate) const fn length(&self) -> Option<u64> {
        match self {
            ReplyBody::Octets(octets) => Some(octets.len() as u64),
            ReplyBody::Length(length) => Some(*length),
            ReplyBody::UntilClose => None,
        }
    }
}

/// What the caller has to send after what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum SendBody {
    /// Nothing; the reply is whole.
    None,
    /// Exactly so many octets.
    Exactly(u64),
    /// Any number, then [`Connection::body_ended`](crate::server::Connection::body_ended).
    UntilClose,
}

/// What a connection is doing: which deadline applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// No octet of a request came, line ends apart.
    Idle,
    /// Within a head.
    Head,
    /// Within a request's body.
    Body,
    /// A reply is due or being sent.
    Replying,
    /// All is said.
    Closing,
}
