//! What a program supplies: a handler, which turns each request into an action.

mod action;
mod body;
mod error;
mod request;
mod response;
mod upkeep;

use std::sync::Arc;

pub use self::action::{Action, BodySink, IntoResponse};
pub(crate) use self::action::{ActionKind, BodyConsumer};
pub use self::body::{Body, FileChanged};
pub use self::error::{ErrorContext, HandlerError};
pub(crate) use self::error::{INTERNAL, panic_message};
pub(crate) use self::request::LocalAddr;
pub use self::request::Request;
pub use self::response::{HeaderError, Response};
pub(crate) use self::upkeep::NAME as UPKEEP;
pub use self::upkeep::Upkeep;

/// Turns requests into responses. Several threads call it at once.
///
/// Every function from a [`Request`] to a [`Response`], an [`Action`], or a [`Result`] of these is a handler. A closure
/// must name the type of its argument:
///
/// ```
/// use http_server::{HandlerError, Request, Response, testing};
///
/// let handler = |request: &Request<'_>| -> Result<Response, HandlerError> {
///     let text = std::fs::read_to_string("no/such/file")?;
///     Ok(Response::text(text))
/// };
/// assert_eq!(testing::get("/").send(&handler).status.code(), 500);
/// ```
///
/// A handler that blocks holds one thread of the pool. If all are held, requests wait, and only what needs no handler
/// goes on: new connections, timeouts, refusals. A panic in a handler becomes a response with status 500, and the thread
/// continues to serve.
pub trait Handler: Send + Sync {
    /// Handles one request. The server sends no body to HEAD, so a handler can treat it as GET. Invalid requests and
    /// CONNECT do not reach the handler.
    fn handle(&self, request: &Request<'_>) -> Action;

    /// Whether `handle` [asks](Request::blocking) before it blocks (no I/O except a look at cached files). Default:
    /// `false`.
    ///
    /// Before a handler that may block, the worker promotes another thread to poll for events. That costs about 20 % of
    /// a small request.
    fn never_blocks(&self) -> bool {
        false
    }

    /// Makes the page for an error response of the server itself. Default: one line of text.
    ///
    /// The errors are an invalid request, a timeout, a limit, an overload, a [`HandlerError`], a panic, or a response
    /// that HTTP forbids. The server then sets the status, and adds what HTTP requires with it (`Allow`, `Retry-After`,
    /// `WWW-Authenticate`).
    ///
    /// It must not block unless it has [asked](ErrorContext::blocking). If it may not, it makes a page from memory.
    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        Response::text(format!("{}: {}\n", error.status(), error.message()))
    }

    /// Does what no request asks for, such as closing files that nobody has used lately. Default: nothing.
    ///
    /// A running server calls it about once a second, from one thread at a time. It may block, and then holds one
    /// thread of the pool.
    fn upkeep(&self, upkeep: &Upkeep<'_>) {
        let _ = upkeep;
    }
}

impl<F, A> Handler for F
where
    F: Fn(&Request<'_>) -> A + Send + Sync,
    A: Into<Action>,
{
    fn handle(&self, request: &Request<'_>) -> Action {
        self(request).into()
    }
}

/// One handler for several servers.
impl<H: Handler + ?Sized> Handler for Arc<H> {
    fn handle(&self, request: &Request<'_>) -> Action {
        (**self).handle(request)
    }

    fn never_blocks(&self) -> bool {
        (**self).never_blocks()
    }

    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        (**self).error_page(error)
    }

    fn upkeep(&self, upkeep: &Upkeep<'_>) {
        (**self).upkeep(upkeep);
    }
}

/// A borrowed handler. `&H` itself cannot implement the trait, because it could be a function too.
pub(crate) struct Borrowed<'h, H: ?Sized>(pub(crate) &'h H);

impl<H: Handler + ?Sized> Handler for Borrowed<'_, H> {
    fn handle(&self, request: &Request<'_>) -> Action {
        self.0.handle(request)
    }

    fn never_blocks(&self) -> bool {
        self.0.never_blocks()
    }

    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        self.0.error_page(error)
    }
}
