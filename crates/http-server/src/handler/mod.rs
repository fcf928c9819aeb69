//! What a handler is given and what it gives back.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use http_core::server::RequestHead;
use http_core::{Date, FieldBlock, FieldName, FieldValue, ReservedField, Status, header};

use crate::connection::context::LeaderHandle;
use crate::connection::transport::Transport;
use crate::freshness::ReceivedAt;
use crate::trace::DecisionTrace;

/// Turns requests into answers. It is called by several threads at once.
///
/// A handler that blocks for long blocks one worker of the pool, and as many of them as there are workers stop the
/// server. One that panics has answered 500; the pool serves on.
///
/// Every function from a request to a [`Response`] or an [`Action`] is a handler. A closure says the type of its request:
///
/// ```
/// use http_server::testing::exchange;
/// use http_server::{Response, Request};
///
/// let handler = |request: &Request<'_>| Response::text(format!("you are {}\n", request.peer.ip()));
/// assert!(exchange(handler, b"GET / HTTP/1.0\r\n\r\n").output.ends_with(b"\r\n\r\nyou are 127.0.0.1\n"));
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. The body of a HEAD's reply is not sent, so there is nothing to do for it. A request that is
    /// not valid, or CONNECT, does not come here.
    fn handle(&self, request: &Request<'_>) -> Action;

    /// Whether it never waits for anything but memory and files that were read before; default no. A worker whose handler
    /// is quick serves one connection after the other; else another is called to look after them, at the cost of a fifth
    /// of a small request.
    fn never_blocks(&self) -> bool {
        false
    }

    /// Makes the response to an error that the server answers itself: a request that is invalid, too slow or too large,
    /// an overload, a missing login, a panic, or a response that HTTP forbids. Default: one line of text.
    ///
    /// The server sets the status, and adds what HTTP requires with it (`Allow`, `Retry-After`, `WWW-Authenticate`).
    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        Response::text(format!("{}: {}\n", error.status, error.message))
    }
}

/// An error that the server answers itself.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ErrorContext<'a> {
    /// The status of the response.
    pub status: Status,
    /// What is wrong, in one sentence without a full stop.
    pub message: &'a str,
    /// The time of the response.
    pub date: Date,
}

impl<F, A> Handler for F
where
    F: Fn(&Request<'_>) -> A + Send + Sync + 'static,
    A: Into<Action>,
{
    fn handle(&self, request: &Request<'_>) -> Action {
        self(request).into()
    }
}

/// One handler for several servers, or exchanges.
impl<H: Handler> Handler for Arc<H> {
    fn handle(&self, request: &Request<'_>) -> Action {
        (**self).handle(request)
    }

    fn never_blocks(&self) -> bool {
        (**self).never_blocks()
    }

    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        (**self).error_page(error)
    }
}

/// One request, as its handler sees it. Only servers and [`exchange`](crate::testing()) make them.
///
/// ```
/// use http_server::http_core::header;
/// use http_server::testing::exchange;
/// use http_server::{Response, Request};
///
/// let handler = |request: &Request<'_>| {
///     let query = request.head.target.query().unwrap_or("nothing");
///     let agent = request.head.fields.get(header::USER_AGENT).and_then(|value| value.as_str());
///     Response::text(format!("{} asks for {query}", agent.unwrap_or("somebody")))
/// };
/// let heard = exchange(handler, b"GET /search?tea HTTP/1.0\r\nUser-Agent: me\r\n\r\n").output;
/// assert!(heard.ends_with(b"\r\n\r\nme asks for tea"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Method, target, version and fields.
    pub head: RequestHead<'a>,
    /// The other end of the connection; a proxy's, if there is one in between. Who comes over the unix domain has
    /// `0.0.0.0:0`.
    pub peer: SocketAddr,
    /// Who asks: the peer's address, unless it is one of
    /// [`Server::trust_proxies`](crate::Server::trust_proxies). Then it is the last hop of X-Forwarded-For that is not
    /// one of them, or the first where all are; what stands before that hop, anybody may have made up.
    pub client: IpAddr,
    /// The time of the request, which the reply's Date will say.
    pub now: Date,
    /// When it had come whole.
    pub(crate) received_at: ReceivedAt,
    pub(crate) socket: &'a dyn Transport,
    pub(crate) trace: DecisionTrace<'a>,
    pub(crate) leader: Option<&'a dyn LeaderHandle>,
}

impl Request<'_> {
    /// This end of the connection: which of the server's addresses the peer has reached. It costs a call of the system.
    ///
    /// # Errors
    /// Of the system; the unix domain has no such address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        // IPv4 over a socket of IPv6 is IPv4, as in `peer`.
        self.socket.local_addr().map(|local| SocketAddr::new(local.ip().to_canonical(), local.port()))
    }

    /// DecisionTrace a decision and what is behind it, for [`explain`](crate::explain()). For all other requests it does nothing.
    pub fn trace(&self, because: &str, what: impl FnOnce() -> String) {
        self.trace.add(because, what);
    }

    /// The decoded, normalised path: what the request names below the root. It begins with a slash, has no dot segments, and
    /// ends with a slash if the target does. Bytes that are not UTF-8 become U+FFFD.
    pub fn path(&self) -> Cow<'_, str> {
        match self.head.path.decoded() {
            Cow::Borrowed(path) => String::from_utf8_lossy(path),
            Cow::Owned(path) => Cow::Owned(String::from_utf8_lossy(&path).into_owned()),
        }
    }

    /// When the request had been received, for [`freshness`](crate::freshness).
    pub fn received_at(&self) -> ReceivedAt {
        self.received_at
    }

    /// Announces that the handler is about to block. Another worker then waits for events meanwhile. A handler whose
    /// [`never_blocks`](Handler::never_blocks) is `true` calls it before the rare work that does block.
    pub fn will_block(&self) {
        if let Some(leader) = self.leader {
            leader.promote_follower();
        }
    }
}

/// What a handler does about a request: it replies at once, or once it has the request's body. While a body comes no
/// thread waits for it. A [`Response`] becomes an answer by `into()`.
///
/// A request without a body has one of no bytes. A body that nobody asked for is dropped. One that ends too early or is
/// slower than [`Timeouts::min_rate`](crate::Timeouts::min_rate) is answered 400 or 408 without the handler. A client
/// that waits for `100 Continue` before it sends a body which the handler wants is answered 417, and sends it without
/// waiting (R9110-10.1.1b).
#[derive(Debug)]
pub struct Action(pub(crate) ActionKind);

#[derive(Debug)]
pub(crate) enum ActionKind {
    Respond(Response),
    ReadBody { limit: u64, consumer: BodyConsumer },
}

/// Who takes a request's body.
pub(crate) enum BodyConsumer {
    Collect(Vec<u8>, Box<dyn FnOnce(Vec<u8>) -> Response + Send>),
    Stream(Box<dyn BodySink>),
}

/// Takes a request's body as it comes. It is called by one thread at a time, not always the same, and dropped without
/// [`finish`](BodySink::finish) if the body does not come whole. If it panics, the reply is 500.
///
/// ```
/// use http_server::testing::exchange;
/// use http_server::{Action, Response, Request, BodySink};
///
/// struct Queue(usize);
///
/// impl BodySink for Queue {
///     fn write(&mut self, bytes: &[u8]) -> Result<(), Response> {
///         self.0 += bytes.iter().filter(|&&byte| byte == b'\n').count();
///         Ok(())
///     }
///
///     fn finish(self: Box<Self>) -> Response {
///         Response::text(format!("{} lines\n", self.0))
///     }
/// }
///
/// let handler = |_: &Request<'_>| Action::stream_body(Queue(0)).up_to(1 << 30);
/// let heard = exchange(handler, b"POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\na\nb\n").output;
/// assert!(heard.ends_with(b"\r\n\r\n2 lines\n"));
/// ```
pub trait BodySink: Send {
    /// Takes the next bytes, at least one and at most 16 KiB of them ([`Limits::head`](http_core::Limits::head)). While
    /// it blocks, it blocks a worker.
    ///
    /// # Errors
    /// A reply to be sent at once. The rest of the body is dropped; if that is more than 256 KiB
    /// ([`Limits::drain`](http_core::Limits::drain)), the connection closes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Response>;

    /// The body is whole. Replies to it.
    fn finish(self: Box<Self>) -> Response;
}

/// Bytes of a request body that are collected if nothing else is said.
const BODY: u64 = 64 << 10;

impl Action {
    /// Collects the request's body, up to 64 KiB, and then replies.
    ///
    /// Bodies and heads of which a part has come hold 16 MiB of memory in all. When that is full, who brings more is
    /// answered 503; for bodies of many MiB there is [`with_sink`](Self::with_sink).
    ///
    /// ```
    /// use http_server::testing::exchange;
    /// use http_server::{Action, Response, Request};
    ///
    /// let handler = |_: &Request<'_>| Action::collect_body(|body| Response::text(format!("{} bytes\n", body.len())));
    /// let heard = exchange(handler, b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello").output;
    /// assert!(heard.ends_with(b"\r\n\r\n5 bytes\n"));
    /// ```
    pub fn collect_body(then: impl FnOnce(Vec<u8>) -> Response + Send + 'static) -> Action {
        Action(ActionKind::ReadBody { limit: BODY, consumer: BodyConsumer::Collect(Vec::new(), Box::new(then)) })
    }

    /// Feeds the request's body, up to 64 KiB, to a sink, which then replies.
    pub fn stream_body(sink: impl BodySink + 'static) -> Action {
        Action(ActionKind::ReadBody { limit: BODY, consumer: BodyConsumer::Stream(Box::new(sink)) })
    }

    /// Another limit for the body, in bytes. A longer one is answered 413, before any of it is taken.
    #[must_use]
    pub fn up_to(self, limit: u64) -> Action {
        match self.0 {
            ActionKind::ReadBody { consumer, .. } => Action(ActionKind::ReadBody { limit, consumer }),
            reply @ ActionKind::Respond(_) => Action(reply),
        }
    }
}

impl Action {
    /// The response, if the handler has responded at once.
    pub fn into_response(self) -> Option<Response> {
        match self.0 {
            ActionKind::Respond(response) => Some(response),
            ActionKind::ReadBody { .. } => None,
        }
    }
}

impl From<Response> for Action {
    fn from(reply: Response) -> Action {
        Action(ActionKind::Respond(reply))
    }
}

impl BodyConsumer {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Response> {
        match self {
            BodyConsumer::Collect(body, _) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
            BodyConsumer::Stream(sink) => sink.write(bytes),
        }
    }

    pub(crate) fn finish(self) -> Response {
        match self {
            BodyConsumer::Collect(body, then) => then(body),
            BodyConsumer::Stream(sink) => sink.finish(),
        }
    }

    /// Bytes that were collected.
    pub(crate) fn heap_size(&self) -> usize {
        match self {
            BodyConsumer::Collect(body, _) => body.capacity(),
            BodyConsumer::Stream(_) => 0,
        }
    }
}

impl fmt::Debug for BodyConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyConsumer::Collect(body, _) => write!(f, "Whole({} bytes)", body.len()),
            BodyConsumer::Stream(_) => f.write_str("BodySink"),
        }
    }
}

/// A reply. Connection, Content-Length and Date are written by the library. What HTTP does not allow, a 1xx status, a 401
/// without WWW-Authenticate or a 405 without Allow, is answered for with 500.
///
/// ```
/// use http_server::Response;
/// use http_server::http_core::{FieldValue, Status, header};
///
/// let missing = Response { status: Status::NOT_FOUND, ..Response::text("no such thing\n") };
///
/// let moved = Response::empty(Status::MOVED_PERMANENTLY).with_header(header::LOCATION, FieldValue::from_static("/new"));
/// ```
#[derive(Debug)]
pub struct Response {
    /// The status; not 1xx.
    pub status: Status,
    /// All other fields; shared, so that a reply which is made often is made once.
    pub fields: Arc<FieldBlock>,
    /// The body.
    pub body: Body,
}

impl Response {
    /// A reply without a body.
    pub fn empty(status: Status) -> Response {
        Response { status, fields: Arc::default(), body: Body::Bytes(Cow::Borrowed(b"")) }
    }

    /// A reply of plain text in UTF-8, status 200.
    pub fn text(text: impl Into<String>) -> Response {
        Response::bytes(FieldValue::from_static("text/plain; charset=utf-8"), text.into().into_bytes())
    }

    /// A reply of this type, status 200.
    pub fn bytes(content_type: FieldValue<'_>, bytes: impl Into<Cow<'static, [u8]>>) -> Response {
        let reply = Response { body: Body::Bytes(bytes.into()), ..Response::empty(Status::OK) };
        reply.with_header(header::CONTENT_TYPE, content_type)
    }

    /// The reply with one field more, whose name is known when the program is written.
    ///
    /// # Panics
    /// If it is a field that the library writes itself: Connection, Content-Length, Date, Host, Keep-Alive,
    /// Transfer-Encoding. In a handler that is a 500. For names from elsewhere there is [`push`](Self::push).
    #[must_use]
    pub fn with_header(mut self, name: FieldName<'static>, value: FieldValue<'_>) -> Response {
        let pushed = self.push(name, value);
        assert!(pushed.is_ok(), "{name} is the library's to write");
        self
    }

    /// Adds a field.
    ///
    /// # Errors
    /// Those of [`FieldBlock::push`]: it is a field that the library writes itself.
    pub fn push(&mut self, name: FieldName<'_>, value: FieldValue<'_>) -> Result<(), ReservedField> {
        Arc::make_mut(&mut self.fields).push(name, value)
    }
}

/// A reply's body.
#[non_exhaustive]
pub enum Body {
    /// From memory. All of these that wait for their readers hold 64 MiB in all; when that is full, further ones are
    /// closed short, and so is a single one of that size.
    Bytes(Cow<'static, [u8]>),
    /// From memory that others use too; it counts for none of them.
    Shared(Arc<[u8]>),
    /// Bytes of a file, sent by the kernel. Before each piece of at most 320 KiB the file is looked at: if it is shorter
    /// than that, or was modified, the connection closes short. What the kernel has taken, up to several MiB, it holds by
    /// reference: what is written over in place before the peer has it goes out as it is then. Replace files by a rename.
    File {
        /// A regular file.
        file: Arc<File>,
        /// Where to begin, in bytes.
        offset: u64,
        /// How many bytes.
        length: u64,
        /// When the file was modified last, as the reply's head has it; `None`: whenever.
        modified: Option<SystemTime>,
    },
    /// What a reader gives, at most 16 KiB at a time and as the peer takes it. While it blocks, it blocks a worker.
    ///
    /// ```
    /// use http_server::http_core::Status;
    /// use http_server::testing::exchange;
    /// use http_server::{Body, Response, Request};
    ///
    /// let handler = |_: &Request<'_>| {
    ///     let body = Body::Reader { reader: Box::new(&b"of any length"[..]), length: None };
    ///     Response { body, ..Response::empty(Status::OK) }
    /// };
    /// assert!(exchange(handler, b"GET / HTTP/1.0\r\n\r\n").output.ends_with(b"\r\n\r\nof any length"));
    /// ```
    Reader {
        /// Read to its end, or to its length. If it fails, panics or ends too early, the connection closes short. Without
        /// a length the peer cannot tell that from the end.
        reader: Box<dyn io::Read + Send>,
        /// `None`: until the end, which the peer sees by the connection's close.
        length: Option<u64>,
    },
}

impl Body {
    /// Its length in bytes, if it is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Shared(bytes) => Some(bytes.len() as u64),
            Body::File { length, .. } => Some(*length),
            Body::Reader { length, .. } => *length,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Body::Bytes(_) => "Bytes",
            Body::Shared(_) => "Shared",
            Body::File { .. } => "File",
            Body::Reader { .. } => "Reader",
        };
        write!(f, "{kind}({:?})", self.length())
    }
}
