//! Responses: how a handler builds one.

use std::fmt;
use std::sync::Arc;

use http_core::client::ResponseHead;
use http_core::{Date, FieldBlock, FieldName, FieldValue, Status, header};

use super::body::Body;
use crate::clock;

/// A response.
///
/// Create one with a constructor, and change it with the methods. The library adds Connection, Content-Length and Date.
///
/// ```
/// use http_server::Response;
/// use http_server::http_core::{Status, header};
///
/// let missing = Response::text("no such thing\n").status(Status::NOT_FOUND);
/// let user = Response::json(r#"{"name":"me"}"#).header(header::CACHE_CONTROL, "no-store").header("X-Version", "2");
/// ```
///
/// HTTP forbids some responses: a 1xx, a 401 without WWW-Authenticate, a 405 without Allow. They become a 500, and so
/// does a response with an invalid header. [`testing`](crate::testing) and
/// [`Server::on_message`](crate::Server::on_message) say why.
#[derive(Debug)]
pub struct Response {
    pub(crate) status: Status,
    /// Shared, so that a frequent response is built once.
    pub(crate) fields: Arc<FieldBlock>,
    pub(crate) body: Body,
    /// The first header that could not be set.
    pub(crate) invalid_header: Option<Box<HeaderError>>,
    /// The Date of another server's response, which is passed on as it is.
    pub(crate) forwarded: Option<Date>,
    /// Why the server failed, if that was reported, for the log.
    pub(crate) cause: Option<Box<str>>,
}

/// Constructors. Unless stated otherwise, the status is 200.
impl Response {
    /// A response without a body.
    pub fn empty(status: Status) -> Response {
        Response::from_shared(status, Arc::default(), Body::default())
    }

    /// Plain text in UTF-8.
    pub fn text(text: impl Into<String>) -> Response {
        Response::bytes("text/plain; charset=utf-8", text.into())
    }

    /// A page of HTML in UTF-8. Nothing is escaped: escape text that comes from elsewhere.
    pub fn html(page: impl Into<String>) -> Response {
        Response::bytes("text/html; charset=utf-8", page.into())
    }

    /// A JSON text, as a `String` or bytes of a JSON library.
    pub fn json(json: impl Into<Vec<u8>>) -> Response {
        Response::bytes("application/json", json.into())
    }

    /// A body of any media type.
    pub fn bytes(content_type: impl AsRef<[u8]>, body: impl Into<Body>) -> Response {
        Response::empty(Status::OK).header(header::CONTENT_TYPE, content_type).body(body)
    }

    /// A redirect with status 302 (Found), which every client follows with GET. For another status, add
    /// [`.status(…)`](Self::status).
    ///
    /// The location is a URL or a path, percent-encoded where necessary.
    pub fn redirect(location: impl AsRef<[u8]>) -> Response {
        Response::error(Status::FOUND).header(header::LOCATION, location)
    }

    /// A 404 (Not Found) with a line of text.
    pub fn not_found() -> Response {
        Response::error(Status::NOT_FOUND)
    }

    /// A 405 (Method Not Allowed) with a line of text. `allow` lists the methods that are allowed, for example `GET,
    /// POST`.
    pub fn method_not_allowed(allow: impl AsRef<[u8]>) -> Response {
        Response::error(Status::METHOD_NOT_ALLOWED).header(header::ALLOW, allow)
    }

    /// A 401 (Unauthorized) with a line of text. The challenge is the value of WWW-Authenticate, for example
    /// `Basic realm="private"`; [`basic_challenge`](http_core::auth::basic_challenge) writes it.
    pub fn unauthorized(challenge: impl AsRef<[u8]>) -> Response {
        Response::error(Status::UNAUTHORIZED).header(header::WWW_AUTHENTICATE, challenge)
    }

    /// A response made of shared parts, which allocates nothing if the body does not. It suits caches.
    ///
    /// A later change of a header copies the block first.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use http_server::http_core::{FieldBlock, FieldValue, Status, header};
    /// use http_server::{Request, Response, testing};
    ///
    /// let mut fields = FieldBlock::new();
    /// fields.push(header::CONTENT_TYPE, FieldValue::from_static("text/css"))?;
    /// let (fields, body): (_, Arc<[u8]>) = (Arc::new(fields), Arc::from(*b"p { color: red }"));
    ///
    /// let handler = move |_: &Request<'_>| Response::from_shared(Status::OK, fields.clone(), body.clone().into());
    /// assert_eq!(testing::get("/style.css").send(&handler).headers.get("Content-Type"), Some("text/css"));
    /// # Ok::<(), http_server::http_core::ReservedField>(())
    /// ```
    pub fn from_shared(status: Status, headers: Arc<FieldBlock>, body: Body) -> Response {
        Response { status, fields: headers, body, invalid_header: None, forwarded: None, cause: None }
    }

    /// The response by which a proxy passes on the one that it received, without a body: add it with [`body`](Self::body).
    ///
    /// It keeps its status and its Date, and may lack the headers that a 401 or a 405 needs. `headers` are those that are
    /// passed on, see [`FieldBlock::forward`]. The body's length is [`ResponseHead::content_length`], also after HEAD.
    ///
    /// ```
    /// use http_server::http_core::client::ResponseHead;
    /// use http_server::http_core::{Authority, FieldBlock};
    /// use http_server::{Body, Response};
    ///
    /// fn pass_on(head: &ResponseHead<'_>, rest: Box<dyn std::io::Read + Send>) -> Response {
    ///     let mut headers = FieldBlock::new();
    ///     headers.forward(&head.fields, head.version, Authority::new(b"proxy").unwrap());
    ///     Response::forwarded(head, headers).body(Body::Reader { reader: rest, length: head.content_length() })
    /// }
    /// ```
    pub fn forwarded(head: &ResponseHead<'_>, headers: FieldBlock) -> Response {
        let now = clock::http_date_now();
        let date = head.fields.get(header::DATE).and_then(|date| Date::parse(date.as_bytes(), now).ok());
        // R9110-6.6.1: without a Date, it is the time at which the response was received.
        let forwarded = Some(date.unwrap_or(now));
        Response { forwarded, ..Response::from_shared(head.status, Arc::new(headers), Body::default()) }
    }

    fn error(status: Status) -> Response {
        Response::text(format!("{status}\n")).status(status)
    }
}

/// Methods that change it.
impl Response {
    /// Changes the status.
    #[must_use]
    pub fn status(mut self, status: Status) -> Response {
        self.status = status;
        self
    }

    /// Changes the body, but no header.
    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> Response {
        self.body = body.into();
        self
    }

    /// Sets a header, and replaces any others with this name.
    ///
    /// The name is a constant of [`header`] or text; the value is text or bytes. If the header is invalid, or
    /// [reserved](FieldBlock), the response becomes a 500. For values that may be invalid, use
    /// [`try_header`](Self::try_header).
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Response {
        let result = self.set(name.as_ref(), value.as_ref(), true);
        self.keep_first(result)
    }

    /// Adds a header after any others with this name. That suits lists such as Set-Cookie and Vary.
    ///
    /// An invalid header has the same effect as in [`header`](Self::header).
    #[must_use]
    pub fn append_header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Response {
        let result = self.set(name.as_ref(), value.as_ref(), false);
        self.keep_first(result)
    }

    /// Sets a header like [`header`](Self::header), unless it is invalid or reserved.
    ///
    /// ```
    /// use http_server::Response;
    ///
    /// let from_elsewhere = "a\r\nSet-Cookie: b";
    /// let error = Response::text("").try_header("X-Name", from_elsewhere).unwrap_err();
    /// assert!(error.to_string().starts_with("X-Name: invalid header value"));
    /// assert!(Response::text("").try_header("Content-Length", "5").is_err());
    /// ```
    ///
    /// # Errors
    /// [`HeaderError`] says what is wrong with the header. `?` in a handler makes it a 500.
    pub fn try_header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Response, HeaderError> {
        self.set(name.as_ref(), value.as_ref(), true)?;
        Ok(self)
    }

    fn set(&mut self, name: &[u8], value: &[u8], replaces: bool) -> Result<(), HeaderError> {
        let error = |reason: &dyn fmt::Display| HeaderError {
            name: name.escape_ascii().to_string(), // it may come from a client, and may be printed
            reason: reason.to_string(),
        };
        let field_name = FieldName::new(name).map_err(|reason| error(&reason))?;
        let value = FieldValue::new(value).map_err(|reason| error(&reason))?;
        let fields = self.headers_mut();
        let result = if replaces { fields.set(field_name, value) } else { fields.push(field_name, value) };
        result.map_err(|reason| error(&reason))
    }

    fn keep_first(mut self, result: Result<(), HeaderError>) -> Response {
        if let (Err(error), None) = (result, &self.invalid_header) {
            self.invalid_header = Some(Box::new(error));
        }
        self
    }
}

/// Its parts.
impl Response {
    /// The status.
    pub fn status_code(&self) -> Status {
        self.status
    }

    /// All headers, except those that the library adds.
    pub fn headers(&self) -> &FieldBlock {
        &self.fields
    }

    /// All headers, for changes in place. A shared block is copied first.
    pub fn headers_mut(&mut self) -> &mut FieldBlock {
        Arc::make_mut(&mut self.fields)
    }

    /// The body.
    pub fn body_ref(&self) -> &Body {
        &self.body
    }
}

/// The error of a header that cannot be set: its name or value is invalid, or it is reserved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct HeaderError {
    name: String,
    reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(response: &Response) -> String {
        String::from_utf8(response.headers().as_bytes().to_vec()).unwrap()
    }

    // V16: it may be printed on a terminal.
    #[test]
    fn header_error_escapes_the_name() {
        let error = Response::empty(Status::OK).try_header("X\r\n\x1b[2J", "5").unwrap_err().to_string();
        assert!(error.starts_with("X\\r\\n\\x1b[2J: invalid header name"), "{error}");
    }

    #[test]
    fn header_replaces_and_append_header_adds() {
        let response = Response::html("<p>").header("content-type", "text/plain").header(header::VARY, b"Accept");
        assert_eq!(lines(&response), "content-type: text/plain\r\nVary: Accept\r\n");
        let response = response.append_header("Vary", String::from("Origin")).append_header("A", "1").header("A", "2");
        assert_eq!(lines(&response), "content-type: text/plain\r\nVary: Accept\r\nVary: Origin\r\nA: 2\r\n");
        assert_eq!(response.invalid_header, None);
    }

    #[test]
    fn constructors_set_status_type_and_what_the_status_needs() {
        for (response, status, expected) in [
            (Response::empty(Status::NO_CONTENT), 204, ""),
            (Response::text("x"), 200, "Content-Type: text/plain; charset=utf-8\r\n"),
            (Response::html("x"), 200, "Content-Type: text/html; charset=utf-8\r\n"),
            (Response::json(b"{}"), 200, "Content-Type: application/json\r\n"),
            (Response::bytes("image/png", b"x"), 200, "Content-Type: image/png\r\n"),
            (Response::redirect("/a"), 302, "Content-Type: text/plain; charset=utf-8\r\nLocation: /a\r\n"),
            (Response::not_found(), 404, "Content-Type: text/plain; charset=utf-8\r\n"),
            (Response::method_not_allowed("GET"), 405, "Content-Type: text/plain; charset=utf-8\r\nAllow: GET\r\n"),
            (
                Response::unauthorized("Basic realm=\"a\""),
                401,
                "Content-Type: text/plain; charset=utf-8\r\nWWW-Authenticate: Basic realm=\"a\"\r\n",
            ),
        ] {
            assert_eq!((response.status_code().code(), &*lines(&response)), (status, expected));
        }
    }

    // V33: no header can hold a line end, and a handler cannot write those of the library (R9112-6.1d).
    #[test]
    fn first_invalid_header_is_kept_and_none_is_written() {
        for (name, value, reason) in [
            ("X-A", "b\r\nX-C: d", "X-A: invalid header value: "),
            ("X A", "b", "X A: invalid header name: "),
            ("content-LENGTH", "0", "content-LENGTH: reserved header: "),
        ] {
            let response = Response::text("x").header(name, value).append_header("Date", "never").header("X-Ok", "1");
            assert_eq!(lines(&response), "Content-Type: text/plain; charset=utf-8\r\nX-Ok: 1\r\n");
            let error = response.invalid_header.unwrap().to_string();
            assert!(error.starts_with(reason), "{error}");
            let error = Response::text("x").try_header(name, value).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }

    #[test]
    fn shared_headers_are_copied_before_a_change() {
        let shared = Arc::new(FieldBlock::new());
        let response = Response::from_shared(Status::OK, shared.clone(), Body::default());
        assert!(std::ptr::eq(&*shared, response.headers()));
        let response = response.header("A", "1");
        assert_eq!((lines(&response).as_str(), shared.as_bytes()), ("A: 1\r\n", &b""[..]));
    }
}
