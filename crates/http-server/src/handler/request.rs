//! A request, as a handler sees it.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::{fmt, io};

use http_core::server::RequestHead;
use http_core::{Date, FieldName, Fields, Method, Version};

use crate::freshness::ReceivedAt;
use crate::permit::{Blocking, Turn};
use crate::trace::DecisionTrace;
use crate::waker::Waker;

/// A request, as a handler sees it.
///
/// ```
/// use http_server::{Request, Response, testing};
///
/// let handler = |request: &Request<'_>| {
///     let agent = request.header("User-Agent").unwrap_or("unknown");
///     Response::text(format!("{} {} {:?} by {agent}", request.method(), request.path(), request.query()))
/// };
/// let response = testing::get("/search%20me/?tea").header("User-Agent", "me").send(&handler);
/// assert_eq!(response.text(), "GET /search me/ Some(\"tea\") by me");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(crate) head: RequestHead<'a>,
    pub(crate) peer_addr: SocketAddr,
    pub(crate) client_ip: IpAddr,
    pub(crate) date: Date,
    pub(crate) received_at: ReceivedAt,
    /// `None` in a test without a connection.
    pub(crate) socket: Option<&'a dyn LocalAddr>,
    pub(crate) trace: DecisionTrace<'a>,
    /// `None` where a handler may block as it likes.
    pub(crate) turn: Option<&'a Turn>,
    /// What woke the request, if the handler is called again because of that.
    pub(crate) waker: Option<&'a Waker>,
}

impl<'a> Request<'a> {
    /// The method.
    pub fn method(&self) -> Method<'a> {
        self.head.method
    }

    /// The decoded, normalised path. Choose routes by it.
    ///
    /// It begins with a slash and has no dot segments and no empty segments. It ends with a slash if the request asks
    /// for a directory. Bytes that are not UTF-8 become U+FFFD; [`path_bytes`](Self::path_bytes) keeps them. It
    /// allocates only if something had to be decoded.
    pub fn path(&self) -> Cow<'a, str> {
        match self.path_bytes() {
            Cow::Borrowed(path) => String::from_utf8_lossy(path),
            Cow::Owned(path) => match String::from_utf8(path) {
                Ok(path) => Cow::Owned(path),
                Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
            },
        }
    }

    /// The decoded, normalised path, like [`path`](Self::path), but in bytes.
    pub fn path_bytes(&self) -> Cow<'a, [u8]> {
        self.head.path.decoded()
    }

    /// What follows the first `?` of the target, as it was received: `Some("")` for `/a?`, `None` for `/a`.
    pub fn query(&self) -> Option<&'a str> {
        self.head.target.query()
    }

    /// The request-target as it was received, with its percent-encodings and dot segments. It suits logs and proxies.
    /// Choose routes by [`path`](Self::path).
    pub fn raw_target(&self) -> &'a str {
        self.head.target.as_str()
    }

    /// The version as it was received.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The value of the first header with this name, in any case. `None` if there is no such header, or if its
    /// value is not UTF-8.
    pub fn header(&self, name: impl AsRef<[u8]>) -> Option<&'a str> {
        let name = FieldName::new(name.as_ref()).ok()?;
        self.head.fields.get(name)?.as_str()
    }

    /// All headers, in their order.
    pub fn headers(&self) -> Fields<'a> {
        self.head.fields
    }

    /// The complete head, as [`http_core`] parsed it. Proxies need it.
    pub fn head(&self) -> &RequestHead<'a> {
        &self.head
    }

    /// The time at which the handler was called.
    pub fn date(&self) -> Date {
        self.date
    }

    /// The other end of the connection, which may be a proxy. A peer over a Unix socket has the address `0.0.0.0:0`.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer_addr
    }

    /// The client: the peer, unless it is a [trusted proxy](crate::Server::trust_proxies).
    ///
    /// Then it is the last address in X-Forwarded-For that is not a trusted proxy, or the first if all of them are. Any
    /// client can forge the addresses before that one.
    pub fn client_ip(&self) -> IpAddr {
        self.client_ip
    }

    /// The local address of the connection, at which the peer reached the server. Each call costs a system call.
    ///
    /// # Errors
    /// Those of the system. A Unix socket has no such address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        // IPv4 over an IPv6 socket is IPv4, as in `peer_addr`.
        let local = self.socket.ok_or(io::ErrorKind::NotConnected)?.local_addr()?;
        Ok(SocketAddr::new(local.ip().to_canonical(), local.port()))
    }

    /// When the request was received, for [`freshness`](crate::freshness).
    pub fn received_at(&self) -> ReceivedAt {
        self.received_at
    }

    /// Asks whether the handler may block now. A handler that [never blocks](crate::Handler::never_blocks) asks before the
    /// rare work that does, and returns what it gets as an error:
    ///
    /// ```
    /// use http_server::{Action, Handler, Request, Response, testing};
    ///
    /// struct Cached;
    ///
    /// impl Handler for Cached {
    ///     fn handle(&self, request: &Request<'_>) -> Action {
    ///         if request.path() == "/" {
    ///             return Response::text("from memory").into();
    ///         }
    ///         if let Err(later) = request.blocking().will_block() {
    ///             return later.into();
    ///         }
    ///         Response::text(std::fs::read_to_string("Cargo.toml").unwrap_or_default()).into()
    ///     }
    ///
    ///     fn never_blocks(&self) -> bool {
    ///         true
    ///     }
    /// }
    /// assert!(testing::get("/file").send(&Cached).text().contains("http-server"));
    /// ```
    pub fn blocking(&self) -> Blocking<'_> {
        Blocking { turn: self.turn, head: Some(&self.head) }
    }

    /// Records a decision about this request and the rule behind it, for [`testing`](crate::testing). Elsewhere it does
    /// nothing, and does not call `text`.
    pub fn trace(&self, rule: &str, text: impl FnOnce() -> String) {
        self.trace.add(rule, text);
    }
}

/// Knows the local address of the connection that carries a request.
pub(crate) trait LocalAddr: fmt::Debug {
    fn local_addr(&self) -> io::Result<SocketAddr>;
}
