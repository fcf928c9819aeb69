//! What a handler is given and what it gives back. It sees no socket: it can be called, and tested, like any function.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use http_core::server::RequestHead;
use http_core::{Date, FieldBlock, FieldName, FieldValue, RequestError, Status, UseError, name};

use crate::socket::Peer;

/// Turns requests into answers. It is called by several threads at once.
///
/// A handler that blocks for long blocks one worker of the pool, and as many of them as there are workers stop the
/// server. A handler that panics is answered for with 500; the pool serves on.
///
/// Every function from a request to a [`Reply`] or an [`Answer`] is a handler:
///
/// ```
/// use webserver::{Reply, Request};
/// let handler = |request: &Request<'_>| Reply::text(format!("you are {}\n", request.peer.ip()));
/// # fn is_a_handler(_: impl webserver::Handler) {}
/// # is_a_handler(handler);
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. The body of a HEAD's reply is not sent, so there is nothing to do for it.
    fn handle(&self, request: &Request<'_>) -> Answer;

    /// Answers what is no valid request; the status is set to that of the error whatever is returned here.
    fn refuse(&self, error: RequestError) -> Reply {
        let mut reply = Reply { status: error.status(), ..Reply::text(format!("{}: {error}\n", error.status())) };
        let needed = match error {
            // R9110-10.2.1: a 405 names the methods that are allowed; here, none.
            RequestError::Connect => Some((name::ALLOW, "")),
            RequestError::NoRoom => Some((name::RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = needed {
            let _ = reply.push(name, FieldValue::from_static(value)); // neither is one of the library's own
        }
        reply
    }
}

impl<F, A> Handler for F
where
    F: Fn(&Request<'_>) -> A + Send + Sync + 'static,
    A: Into<Answer>,
{
    fn handle(&self, request: &Request<'_>) -> Answer {
        self(request).into()
    }
}

/// One request, as its handler sees it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Method, target, version and fields.
    pub head: RequestHead<'a>,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// The time of the request, which the reply's Date will say.
    pub now: Date,
    pub(crate) socket: &'a dyn Peer,
}

impl Request<'_> {
    /// This end of the connection: which of the server's addresses the peer has reached. It costs a call of the system.
    ///
    /// # Errors
    /// Of the system.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.socket.local()
    }
}

/// What a handler does about a request: it replies at once, or once it has the request's body.
///
/// A body that nobody asked for is dropped. A client that waits for `100 Continue` before it sends a body which the
/// handler wants is answered 417, and sends it without waiting (R9110-10.1.1b).
#[derive(Debug)]
pub struct Answer(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Reply(Reply),
    Body { limit: u64, taker: Taker },
}

/// Who takes a request's body.
pub(crate) enum Taker {
    Whole(Vec<u8>, Box<dyn FnOnce(Vec<u8>) -> Reply + Send>),
    Sink(Box<dyn Sink>),
}

/// Takes a request's body as it comes. It is dropped without [`end`](Sink::end) if the body does not come whole.
pub trait Sink: Send {
    /// Takes the next octets, at most [`Limits::head`](http_core::Limits::head) of them at a time.
    ///
    /// # Errors
    /// A reply to be sent at once; the rest of the body is dropped.
    fn take(&mut self, octets: &[u8]) -> Result<(), Reply>;

    /// The body is whole.
    fn end(self: Box<Self>) -> Reply;
}

/// Octets of a request body that are collected if nothing else is said.
const BODY: u64 = 64 << 10;

impl Answer {
    /// Collects the request's body, up to 64 KiB, and then replies. While the body comes no thread waits for it.
    ///
    /// ```
    /// use webserver::{Answer, Reply, Request};
    /// let echo = |_: &Request<'_>| Answer::with_body(|body| Reply::text(format!("{} octets\n", body.len())));
    /// # fn is_a_handler(_: impl webserver::Handler) {}
    /// # is_a_handler(echo);
    /// ```
    pub fn with_body(then: impl FnOnce(Vec<u8>) -> Reply + Send + 'static) -> Answer {
        Answer(Kind::Body { limit: BODY, taker: Taker::Whole(Vec::new(), Box::new(then)) })
    }

    /// Feeds the request's body, up to 64 KiB, to a sink, which then replies.
    pub fn with_sink(sink: impl Sink + 'static) -> Answer {
        Answer(Kind::Body { limit: BODY, taker: Taker::Sink(Box::new(sink)) })
    }

    /// Another limit for the body, in octets. A longer one is answered 413.
    #[must_use]
    pub fn up_to(self, limit: u64) -> Answer {
        match self.0 {
            Kind::Body { taker, .. } => Answer(Kind::Body { limit, taker }),
            reply @ Kind::Reply(_) => Answer(reply),
        }
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Answer {
        Answer(Kind::Reply(reply))
    }
}

impl Taker {
    pub(crate) fn take(&mut self, octets: &[u8]) -> Result<(), Reply> {
        match self {
            Taker::Whole(body, _) => {
                body.extend_from_slice(octets);
                Ok(())
            }
            Taker::Sink(sink) => sink.take(octets),
        }
    }

    pub(crate) fn end(self) -> Reply {
        match self {
            Taker::Whole(body, then) => then(body),
            Taker::Sink(sink) => sink.end(),
        }
    }

    /// Octets that were collected.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Taker::Whole(body, _) => body.capacity(),
            Taker::Sink(_) => 0,
        }
    }
}

impl fmt::Debug for Taker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Taker::Whole(body, _) => write!(f, "Whole({} octets)", body.len()),
            Taker::Sink(_) => f.write_str("Sink"),
        }
    }
}

/// A reply. Connection, Content-Length and Date are written by the library. What HTTP does not allow, a 1xx status, a 401
/// without WWW-Authenticate or a 405 without Allow, is answered for with 500.
#[derive(Debug)]
pub struct Reply {
    /// The status; not 1xx.
    pub status: Status,
    /// All other fields; shared, so that a reply which is made often is made once.
    pub fields: Arc<FieldBlock>,
    /// The body.
    pub body: Body,
}

impl Reply {
    /// A reply without a body.
    pub fn empty(status: Status) -> Reply {
        Reply { status, fields: Arc::default(), body: Body::Octets(Cow::Borrowed(b"")) }
    }

    /// A reply of plain text in UTF-8, status 200.
    pub fn text(text: impl Into<String>) -> Reply {
        Reply::octets(FieldValue::from_static("text/plain; charset=utf-8"), text.into().into_bytes())
    }

    /// A reply of this type, status 200.
    pub fn octets(content_type: FieldValue<'_>, octets: impl Into<Cow<'static, [u8]>>) -> Reply {
        let mut reply = Reply { body: Body::Octets(octets.into()), ..Reply::empty(Status::OK) };
        let _ = reply.push(name::CONTENT_TYPE, content_type); // it is not one of the library's own
        reply
    }

    /// Adds a field.
    ///
    /// # Errors
    /// Those of [`FieldBlock::push`]: it is a field that the library writes itself.
    pub fn push(&mut self, name: FieldName<'_>, value: FieldValue<'_>) -> Result<(), UseError> {
        Arc::make_mut(&mut self.fields).push(name, value)
    }
}

/// A reply's body.
#[non_exhaustive]
pub enum Body {
    /// From memory.
    Octets(Cow<'static, [u8]>),
    /// From memory that others use too.
    Shared(Arc<[u8]>),
    /// Octets of a file, sent by the kernel. If the file turns out to be shorter, the connection closes short.
    File {
        /// A regular file.
        file: Arc<OwnedFd>,
        /// Where to begin, in octets.
        offset: u64,
        /// How many octets.
        length: u64,
    },
    /// What a reader gives, a piece at a time as the peer takes it. A reader that blocks blocks its worker.
    Reader {
        /// Read to its end, or to its length. If it fails or ends too early, the connection closes short.
        reader: Box<dyn io::Read + Send>,
        /// `None`: until the end, which the peer sees by the connection's close.
        length: Option<u64>,
    },
}

impl Body {
    /// Its length in octets, if it is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Body::Octets(octets) => Some(octets.len() as u64),
            Body::Shared(octets) => Some(octets.len() as u64),
            Body::File { length, .. } => Some(*length),
            Body::Reader { length, .. } => *length,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Body::Octets(_) => "Octets",
            Body::Shared(_) => "Shared",
            Body::File { .. } => "File",
            Body::Reader { .. } => "Reader",
        };
        write!(f, "{kind}({:?})", self.length())
    }
}
