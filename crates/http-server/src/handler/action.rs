//! What a handler does about a request: respond at once, or receive the body first.

use std::fmt;
use std::sync::Arc;

use http_core::Status;

use super::error::HandlerError;
use super::response::Response;
use crate::permit::{Later, Permit};
use crate::waker::Waker;

/// What a handler does about a request: it responds at once, or receives the request's body first.
///
/// A [`Response`], or a [`Result`] of one, becomes an action by `into()`. While a body is received, no thread waits for
/// it.
///
/// - Every request has a body. If the message has none, it is 0 bytes long.
/// - A body that no handler asks for is discarded.
/// - If a body ends too early or is slower than [`Timeouts::min_rate`](crate::Timeouts::min_rate), the response is 400
///   or 408, and the consumer is dropped.
/// - A client may wait for `100 Continue` before it sends a body. It gets that when the handler wants the body, and
///   never before a response that is given at once (R9110-10.1.1b).
/// - A client that expects something else gets a 417 when the handler wants the body. A handler that responds at once
///   decides itself, by [`RequestHead::expectation`](http_core::server::RequestHead::expectation) (R9110-10.1.1c).
#[derive(Debug)]
pub struct Action(pub(crate) ActionKind);

#[derive(Debug)]
pub(crate) enum ActionKind {
    Respond(Result<Response, HandlerError>),
    ReadBody {
        limit: u64,
        consumer: BodyConsumer,
    },
    /// Call the handler again when this permit is free.
    Later(Permit),
    /// Call the handler again when this wakes.
    Sleep(Arc<Waker>),
}

impl Action {
    /// Responds at once.
    pub fn respond(response: impl IntoResponse) -> Action {
        Action(ActionKind::Respond(response.into_response()))
    }

    /// Collects the request's body in memory, then calls `then` for the response. A body of more than `limit` bytes
    /// gets a 413 before any of it is received.
    ///
    /// All bodies that are being collected share one budget,
    /// [`ServerConfig::body_budget`](crate::ServerConfig::body_budget), which says what happens beyond it. For bodies of
    /// many MiB use [`stream_body`](Self::stream_body), which needs none of it.
    ///
    /// While `then` blocks, it holds a thread of the pool. A program that waits there for a back end needs more
    /// [`threads`](crate::Server::threads).
    ///
    /// ```
    /// use http_server::{Action, HandlerError, Request, Response, testing};
    ///
    /// let handler = |_: &Request<'_>| {
    ///     Action::collect_body(1 << 20, |body| -> Result<Response, HandlerError> {
    ///         let text = std::str::from_utf8(&body).map_err(HandlerError::bad_request)?;
    ///         let words = text.split_whitespace().count();
    ///         Ok(Response::text(format!("{words} words\n")))
    ///     })
    /// };
    /// assert_eq!(testing::post("/", "to be or not").send(&handler).text(), "4 words\n");
    /// ```
    pub fn collect_body<R: IntoResponse>(limit: u64, then: impl FnOnce(Vec<u8>) -> R + Send + 'static) -> Action {
        let then = Box::new(|body| then(body).into_response());
        Action(ActionKind::ReadBody { limit, consumer: BodyConsumer::Collect(Vec::new(), then) })
    }

    /// Passes the request's body to `sink` piece by piece; the sink then responds. A body of more than `limit` bytes
    /// gets a 413 before any of it is received.
    pub fn stream_body(limit: u64, sink: impl BodySink + 'static) -> Action {
        Action(ActionKind::ReadBody { limit, consumer: BodyConsumer::Stream(Box::new(sink)) })
    }

    /// The response, if the handler responded at once. An error has one if it was made from a response.
    pub fn into_response(self) -> Option<Response> {
        match self.0 {
            ActionKind::Respond(response) => response.map_or_else(HandlerError::into_response, Some),
            ActionKind::ReadBody { .. } | ActionKind::Later(_) | ActionKind::Sleep(_) => None,
        }
    }
}

impl<R: IntoResponse> From<R> for Action {
    fn from(response: R) -> Action {
        Action::respond(response)
    }
}

impl<E: Into<HandlerError>> From<Result<Action, E>> for Action {
    fn from(result: Result<Action, E>) -> Action {
        result.unwrap_or_else(|error| Action(ActionKind::Respond(Err(error.into()))))
    }
}

impl From<Later> for Action {
    fn from(Later(permit): Later) -> Action {
        Action(ActionKind::Later(permit))
    }
}

/// A value that becomes a response: a [`Response`], a [`HandlerError`], or a [`Result`] of these.
///
/// Implement it for types of your own that handlers return.
pub trait IntoResponse {
    /// Makes the response.
    ///
    /// # Errors
    /// The error whose response is sent instead.
    fn into_response(self) -> Result<Response, HandlerError>;
}

impl IntoResponse for Response {
    fn into_response(self) -> Result<Response, HandlerError> {
        Ok(self)
    }
}

impl IntoResponse for HandlerError {
    fn into_response(self) -> Result<Response, HandlerError> {
        Err(self)
    }
}

impl<R: IntoResponse, E: Into<HandlerError>> IntoResponse for Result<R, E> {
    fn into_response(self) -> Result<Response, HandlerError> {
        self.map_err(Into::into)?.into_response()
    }
}

/// Receives a request's body piece by piece.
///
/// One thread calls it at a time, not always the same one. If the body is truncated, the sink is dropped without a call
/// of [`finish`](BodySink::finish). If it panics, the response is 500.
///
/// ```
/// use http_server::{Action, BodySink, HandlerError, Request, Response, testing};
///
/// struct CountLines(usize);
///
/// impl BodySink for CountLines {
///     fn write(&mut self, bytes: &[u8]) -> Result<(), HandlerError> {
///         self.0 += bytes.iter().filter(|&&byte| byte == b'\n').count();
///         Ok(())
///     }
///
///     fn finish(self: Box<Self>) -> Result<Response, HandlerError> {
///         Ok(Response::text(format!("{} lines\n", self.0)))
///     }
/// }
///
/// let handler = |_: &Request<'_>| Action::stream_body(1 << 30, CountLines(0));
/// assert_eq!(testing::post("/", "a\nb\n").send(&handler).text(), "2 lines\n");
/// ```
pub trait BodySink: Send {
    /// Receives the next bytes: at least one, and at most [`Limits::head`](http_core::Limits::head) (default: 16 KiB).
    /// While it blocks, it holds a thread of the pool.
    ///
    /// # Errors
    /// The error whose response is sent at once. The rest of the body is discarded. If that is more than
    /// [`Limits::drain`](http_core::Limits::drain) (default: 256 KiB), the connection closes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), HandlerError>;

    /// Responds, after the last byte of the body.
    ///
    /// # Errors
    /// As those of a handler.
    fn finish(self: Box<Self>) -> Result<Response, HandlerError>;
}

/// What receives a request's body.
pub(crate) enum BodyConsumer {
    Collect(Vec<u8>, Box<dyn FnOnce(Vec<u8>) -> Result<Response, HandlerError> + Send>),
    Stream(Box<dyn BodySink>),
}

impl BodyConsumer {
    /// Bytes of memory that a body of this length needs while it is received. A sink counts its own.
    pub(crate) fn memory(&self, length: u64) -> u64 {
        match self {
            BodyConsumer::Collect(..) => length,
            BodyConsumer::Stream(_) => 0,
        }
    }

    /// Bytes of the body that are kept.
    pub(crate) fn collected(&self) -> usize {
        if let BodyConsumer::Collect(body, _) = self { body.len() } else { 0 }
    }

    /// Receives the next bytes of a body for which this much memory is reserved.
    pub(crate) fn write(&mut self, bytes: &[u8], memory: usize) -> Result<(), HandlerError> {
        match self {
            BodyConsumer::Collect(body, _) => {
                // All of it at the first byte, so that a body that grows takes no more than is reserved for it.
                if body.try_reserve_exact(memory - body.len()).is_err() {
                    let full = HandlerError::new(Status::SERVICE_UNAVAILABLE, "there is no memory for the body");
                    return Err(full.header("Retry-After", "1"));
                }
                body.extend_from_slice(bytes);
                Ok(())
            }
            BodyConsumer::Stream(sink) => sink.write(bytes),
        }
    }

    pub(crate) fn finish(self) -> Result<Response, HandlerError> {
        match self {
            BodyConsumer::Collect(body, then) => then(body),
            BodyConsumer::Stream(sink) => sink.finish(),
        }
    }

    /// Drops the bytes that were collected.
    pub(crate) fn forget_bytes(&mut self) {
        if let BodyConsumer::Collect(body, _) = self {
            *body = Vec::new();
        }
    }
}

impl fmt::Debug for BodyConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyConsumer::Collect(body, _) => write!(f, "Collect({} bytes)", body.len()),
            BodyConsumer::Stream(_) => f.write_str("Stream"),
        }
    }
}
