//! Errors that become responses: those of a handler, and what an error page may show of any error.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;

use http_core::{Date, Status};

use super::response::Response;
use crate::permit::Blocking;

/// An error that a handler returns instead of a response.
///
/// The operator `?` converts every error into one, for example an [`std::io::Error`]. The client then gets a 500 that
/// does not show the error. [`Server::on_message`](crate::Server::on_message) reports it.
///
/// For what the client sent, there is [`bad_request`](Self::bad_request). To tell the client more, give the error a status and a message of its own, or use a [`Response`] as the error:
///
/// ```
/// use http_server::http_core::Status;
/// use http_server::{HandlerError, Request, Response, testing};
///
/// fn page(name: &str) -> Result<String, HandlerError> {
///     match name {
///         "/old" => Err(HandlerError::new(Status::GONE, "this page was removed")),
///         "/moved" => Err(Response::redirect("/new").into()),
///         name => Ok(std::fs::read_to_string(name)?),
///     }
/// }
/// let handler = |request: &Request<'_>| page(&request.path()).map(Response::text);
///
/// assert_eq!(testing::get("/old").send(&handler).text(), "410 Gone: this page was removed\n");
/// assert_eq!(testing::get("/moved").send(&handler).headers.get("Location"), Some("/new"));
/// assert!(!testing::get("/no/such/file").send(&handler).text().contains("such"));
/// ```
///
/// It does not implement [`Error`] itself, as every `Error` converts into it.
#[derive(Debug)]
pub struct HandlerError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    /// The complete response, or only its status and headers if there is a message.
    response: Response,
    message: Option<Cow<'static, str>>,
    cause: Option<Box<dyn Error + Send + Sync>>,
    /// Whether the cause is reported whatever the status.
    is_reported: bool,
}

impl HandlerError {
    /// An error whose status and message the client sees, on the page that
    /// [`Handler::error_page`](crate::Handler::error_page) makes. The message is one sentence without a full stop.
    pub fn new(status: Status, message: impl Into<Cow<'static, str>>) -> HandlerError {
        let response = Response::empty(status);
        HandlerError(Box::new(Parts { response, message: Some(message.into()), cause: None, is_reported: false }))
    }

    /// A 400, for what the client sent and cannot be used. The client does not see the cause.
    ///
    /// ```
    /// use http_server::{HandlerError, Request, Response, testing};
    ///
    /// let handler = |request: &Request<'_>| -> Result<Response, HandlerError> {
    ///     let page: u32 = request.query().unwrap_or("1").parse().map_err(HandlerError::bad_request)?;
    ///     Ok(Response::text(format!("page {page}\n")))
    /// };
    /// let response = testing::get("/?two").send(&handler);
    /// assert_eq!(response.text(), "400 Bad Request: the request has an invalid value\n");
    /// assert_eq!(response.decisions[0].text, "handler failed: invalid digit found in string");
    /// ```
    pub fn bad_request(cause: impl Into<Box<dyn Error + Send + Sync>>) -> HandlerError {
        HandlerError::new(Status::BAD_REQUEST, "the request has an invalid value").cause(cause)
    }

    /// Sets a header of the response, as [`Response::header`] does.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> HandlerError {
        self.0.response = self.0.response.header(name, value);
        self
    }

    /// The cause, which the client does not see. [`Server::on_message`](crate::Server::on_message) reports it, unless the
    /// status is a 4xx: that is the client's fault. The [JSON log](crate::LogFormat::Json) and [`testing`](crate::testing)
    /// show both.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> HandlerError {
        self.0.cause = Some(cause.into());
        self
    }

    /// As [`cause`](Self::cause), but reported with a 4xx as well: the client asked for something that the operator could
    /// change, such as a symlink that leads out of a site.
    ///
    /// ```
    /// use http_server::http_core::Status;
    /// use http_server::{HandlerError, Request, Response, Server};
    ///
    /// let handler = |_: &Request<'_>| -> Result<Response, HandlerError> {
    ///     Err(HandlerError::new(Status::FORBIDDEN, "not here").reported_cause("the site leads out of itself"))
    /// };
    /// let server = Server::bind("127.0.0.1:0")?.on_message(|message| println!("{message}"));
    /// # let _ = server.start(handler)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn reported_cause(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> HandlerError {
        self.0.is_reported = true;
        self.cause(cause)
    }

    /// Whether the cause is the operator's concern.
    pub(crate) fn is_reported(&self) -> bool {
        self.0.is_reported || self.0.response.status.class() != 4
    }

    /// The response, unless a page is to be made for it.
    pub(crate) fn into_response(self) -> Option<Response> {
        let Parts { response, message, .. } = *self.0;
        message.is_none().then_some(response)
    }

    /// The response, the message for a page if there is to be one, and the cause.
    pub(crate) fn into_parts(self) -> (Response, Option<Cow<'static, str>>, Option<Box<dyn Error + Send + Sync>>) {
        let Parts { response, message, cause, .. } = *self.0;
        (response, message, cause)
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for HandlerError {
    fn from(error: E) -> HandlerError {
        HandlerError::new(Status::INTERNAL_SERVER_ERROR, INTERNAL).cause(error)
    }
}

impl From<Response> for HandlerError {
    /// The response is sent as it is.
    fn from(response: Response) -> HandlerError {
        HandlerError(Box::new(Parts { response, message: None, cause: None, is_reported: false }))
    }
}

/// The message to a client about an error that it did not cause.
pub(crate) const INTERNAL: &str = "the server failed to handle the request";

/// An error for which the server makes the response itself, by [`Handler::error_page`](crate::Handler::error_page).
#[derive(Clone, Copy, Debug)]
pub struct ErrorContext<'a> {
    status: Status,
    message: &'a str,
    date: Date,
    blocking: Blocking<'a>,
}

impl<'a> ErrorContext<'a> {
    pub(crate) fn new(status: Status, message: &'a str, date: Date, blocking: Blocking<'a>) -> ErrorContext<'a> {
        ErrorContext { status, message, date, blocking }
    }

    /// The status of the response.
    pub fn status(&self) -> Status {
        self.status
    }

    /// What is wrong, in one sentence without a full stop.
    pub fn message(&self) -> &'a str {
        self.message
    }

    /// The time of the response.
    pub fn date(&self) -> Date {
        self.date
    }

    /// Asks whether the handler may block to make the page. A client's timeout waits for the page, so it may never
    /// [hang](Blocking::may_hang), and not block while disks are slow.
    pub fn blocking(&self) -> Blocking<'a> {
        self.blocking
    }
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
