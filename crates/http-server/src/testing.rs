//! Tests of a handler without sockets and threads: the code that serves connections serves a client in memory.
//!
//! ```
//! use http_server::{Request, Response, testing};
//!
//! let handler = |request: &Request<'_>| Response::text(format!("hello, {}\n", request.query().unwrap_or("world")));
//!
//! let response = testing::get("/?you").send(&handler);
//! assert_eq!((response.status.code(), response.text()), (200, "hello, you\n"));
//! assert_eq!(response.headers.get("Content-Type"), Some("text/plain; charset=utf-8"));
//! ```

use std::fmt::{self, Write as _};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use http_core::{CloseReason, Date, Limits, Method, Status, server};

use crate::blocking::{Ended, Stream, drive_to_end, read_from};
use crate::connection::context::WorkerContext;
use crate::connection::shared::Shared;
use crate::freshness::ReceivedAt;
use crate::handler::{Borrowed, Handler, Request};
use crate::permit::Turn;
use crate::trace::{Decision, DecisionTrace};

/// Sends one request to a handler and returns its response.
///
/// ```
/// use http_server::http_core::Method;
/// use http_server::{Response, Request, testing};
///
/// let handler = |_: &Request<'_>| Response::method_not_allowed("GET, HEAD");
/// let response = testing::request(&handler, Method::Put, "/", &[("Content-Type", "text/plain")], b"hello");
/// assert_eq!((response.status.code(), response.headers.get("allow")), (405, Some("GET, HEAD")));
/// ```
///
/// # Panics
/// As [`RequestBuilder::send`].
pub fn request(
    handler: &impl Handler,
    method: Method<'_>,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> TestResponse {
    let request = RequestBuilder::new(method, target).body(body);
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send(handler)
}

/// Begins a GET request.
pub fn get(target: &str) -> RequestBuilder {
    RequestBuilder::new(Method::Get, target)
}

/// Begins a POST request with this body.
pub fn post(target: &str, body: impl Into<Vec<u8>>) -> RequestBuilder {
    RequestBuilder::new(Method::Post, target).body(body)
}

/// A request that a test builds and sends.
#[derive(Clone, Debug)]
#[must_use]
pub struct RequestBuilder {
    head: String,
    body: Vec<u8>,
}

impl RequestBuilder {
    /// Begins a request in HTTP/1.0. The target is sent as it is, percent-encoded.
    pub fn new(method: Method<'_>, target: &str) -> RequestBuilder {
        RequestBuilder { head: format!("{method} {target} HTTP/1.0\r\n"), body: Vec::new() }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> RequestBuilder {
        let _ = write!(self.head, "{name}: {value}\r\n"); // writing to a String does not fail
        self
    }

    /// Sets the body. Its Content-Length is added automatically.
    pub fn body(self, body: impl Into<Vec<u8>>) -> RequestBuilder {
        RequestBuilder { body: body.into(), ..self }
    }

    /// Sends the request to a handler and returns its response.
    ///
    /// # Panics
    /// If the response is incomplete, because its body is a file or a reader that failed.
    pub fn send(&self, handler: &impl Handler) -> TestResponse {
        let length = self.body.len();
        let head = format!("{}Content-Length: {length}\r\n\r\n", self.head);
        let has_body = !self.head.starts_with("HEAD ");
        TestResponse::new(exchange(handler, &[head.as_bytes(), &self.body].concat()), has_body)
    }
}

/// A response, as its client received it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TestResponse {
    /// The status.
    pub status: Status,
    /// The headers, with those that the server adds.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// The decisions about the request, in order. If the handler failed, they say why.
    pub decisions: Vec<Decision>,
}

impl TestResponse {
    /// The body as text. Empty if it is not UTF-8.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap_or_default()
    }

    #[expect(clippy::expect_used, clippy::panic, reason = "the failure of a test")]
    fn new(Exchange { output, decisions, .. }: Exchange, has_body: bool) -> TestResponse {
        let end = output.windows(4).position(|four| four == b"\r\n\r\n").expect("a response has a head");
        let head = String::from_utf8_lossy(&output[..end]);
        let mut lines = head.split("\r\n");
        let code = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = Headers(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        let body = output[end + 4..].to_vec();
        if let Some(length) = headers.get("Content-Length").filter(|_| has_body)
            && length != body.len().to_string()
        {
            panic!("the response is incomplete: {} of {length} bytes", body.len());
        }
        TestResponse { status: code.expect("a response has a status"), headers, body, decisions }
    }
}

/// The headers of a [`TestResponse`].
#[derive(Clone, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of the first header with this name, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All names and values, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// What a client received for the bytes that it sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exchange {
    /// Everything that the server sent.
    pub output: Vec<u8>,
    /// Why the connection closes. `None` if it is kept.
    pub close_reason: Option<CloseReason>,
    /// The decisions about the requests, in order.
    pub decisions: Vec<Decision>,
}

/// Serves a client that sends these bytes and then ends its stream. It suits several requests, and invalid ones.
///
/// No time passes, so nothing times out. The client's address is 127.0.0.1:49152, and the server's is 127.0.0.1:80.
/// After 64 MiB of output the client closes the connection.
///
/// ```
/// use http_server::testing::exchange;
/// use http_server::{Request, Response};
///
/// let handler = |request: &Request<'_>| Response::text(request.path());
/// let output = exchange(&handler, b"GET /a HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n").output;
/// assert!(output.starts_with(b"HTTP/1.0 400 Bad Request\r\n"));
/// ```
pub fn exchange(handler: &impl Handler, bytes: &[u8]) -> Exchange {
    exchange_with(handler, true, bytes)
}

/// Like [`exchange`], with or without keep-alive.
pub fn exchange_with(handler: &impl Handler, keep_alive: bool, bytes: &[u8]) -> Exchange {
    let handler = Box::new(Borrowed(handler));
    exchange_over(Shared { keep_alive, trace: Some(Mutex::default()), ..Shared::new(handler) }, bytes)
}

pub(crate) fn exchange_over(shared: Shared<'_>, bytes: &[u8]) -> Exchange {
    let mut output = Vec::new();
    let (client, mut context) = (Client { input: bytes, output: &mut output }, WorkerContext::new(Turn::unlimited()));
    let Ended { close_reason, .. } = drive_to_end(client, PEER, &shared, &mut context);
    let decisions = shared.trace.unwrap_or_default().into_inner().unwrap_or_else(PoisonError::into_inner);
    Exchange { output, close_reason, decisions }
}

/// Calls `f` with the request whose head is these bytes, at this time, instead of a handler.
///
/// # Panics
/// If the bytes are not a valid head, through its empty line.
#[expect(clippy::panic, reason = "a test's own mistake")]
pub fn with_request<T>(mut head: &[u8], date: Date, f: impl FnOnce(&Request<'_>) -> T) -> T {
    let mut machine = server::Connection::new(Limits::default());
    loop {
        match machine.poll() {
            Ok(server::Event::NeedInput) => match read_from(&mut machine, &mut head) {
                Ok(n) if n > 0 => {}
                _ => panic!("the head is not complete"),
            },
            Ok(server::Event::Request(head)) => {
                return f(&Request {
                    head,
                    peer_addr: PEER,
                    client_ip: PEER.ip(),
                    date,
                    received_at: ReceivedAt::now(),
                    socket: None,
                    trace: DecisionTrace(None),
                    turn: None,
                    waker: None,
                });
            }
            other => panic!("not a request: {other:?}"),
        }
    }
}

/// The default memory limit for a server's responses.
const MAX_OUTPUT: usize = 64 << 20;

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 49152);

/// A client that has sent all its input, and receives at most [`MAX_OUTPUT`] bytes.
struct Client<'a> {
    input: &'a [u8],
    output: &'a mut Vec<u8>,
}

impl Read for Client<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Client<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(MAX_OUTPUT - self.output.len());
        self.output.write(&bytes[..n])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Client<'_> {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 80)))
    }
}
