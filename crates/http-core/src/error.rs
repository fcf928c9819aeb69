//! Errors, grouped by whose fault they are: the peer's (a request or a response) or the caller's. Each cause is one
//! variant, and all of them are `Copy`. Each request error has the status of its response.

use thiserror::Error;

use crate::message::field::{FieldName, FieldValue, header};
use crate::message::status::Status;
use crate::message::target_error::TargetError;

/// The example of a [`RequestError`]: the bytes that a connection receives, and what `poll` returns.
macro_rules! refused {
    ($bytes:expr $(, $then:literal)? => $error:expr) => {
        concat!(
            "```\n# use http_core::{Limits, RequestError, TargetError, server::Connection};\n",
            "# let mut connection = Connection::new(Limits::default());\n",
            "connection.receive(", stringify!($bytes), ");\n",
            $($then, "\n",)?
            "assert_eq!(connection.poll().err(), Some(RequestError::", stringify!($error), "));\n```"
        )
    };
}

/// The example of a [`ResponseError`], for a connection that has sent a request.
macro_rules! invalid {
    ($bytes:expr $(, $then:literal)? => $error:expr) => {
        concat!(
            "```\n# use http_core::{Authority, FieldBlock, Limits, Method, ResponseError, Target};\n",
            "# use http_core::client::{Connection, Request};\n",
            "# let (host, target) = (Authority::new(b\"a\").unwrap(), Target::new(b\"/\").unwrap());\n",
            "# let mut connection = Connection::new(Limits::default());\n",
            "# let fields = FieldBlock::new();\n",
            "# let request = Request::new(Method::Get, target, host, &fields);\n",
            "# let _no_body = connection.request(&request, &mut Vec::new());\n",
            "connection.receive(", stringify!($bytes), ");\n",
            $($then, "\n",)?
            "assert_eq!(connection.poll().err(), Some(ResponseError::", stringify!($error), "));\n```"
        )
    };
}

/// The example of a [`UsageError`] of a server that has received `GET / HTTP/1.0`.
macro_rules! misused {
    ($($line:literal),* => $call:expr, $error:expr) => {
        concat!(
            "```\n# use http_core::server::{Connection, Response, ResponseBody};\n",
            "# use http_core::{FieldBlock, Limits, Status, UsageError};\n",
            "# let (fields, mut out) = (FieldBlock::new(), Vec::<u8>::new());\n",
            "# let mut connection = Connection::new(Limits::default());\n",
            "connection.receive(b\"GET / HTTP/1.0\\r\\n\\r\\n\");\n",
            $($line, "\n",)*
            "assert_eq!(", stringify!($call), ".err(), Some(UsageError::", stringify!($error), "));\n",
            "# Ok::<(), UsageError>(())\n```"
        )
    };
}

/// The client's fault: a request that cannot be served. [`server::Connection::poll`](crate::server::Connection::poll)
/// returns it, a response with its [`status`](Self::status) follows, and then the connection closes. If a request has
/// several faults, decision D16 determines which is reported.
///
/// The status is 400 unless the description says otherwise. `Display` is one line of text that may be shown to the
/// client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// More empty lines before the request line than [`Limits::blank_lines`](crate::Limits::blank_lines).
    #[doc = refused!(b"\r\n\r\n\r\n" => BlankLines)]
    #[error("expected a request line, got only empty lines")]
    BlankLines,
    /// The first line has none of the forms of RFC 1945 §5.
    #[doc = refused!(b"GET\r\n" => RequestLine)]
    #[error("expected a request line like \"GET /path HTTP/1.0\"")]
    RequestLine,
    /// The first word holds a byte that no method may hold (R1945-5.1.1a).
    #[doc = refused!(b"G=T / HTTP/1.0\r\n" => Method)]
    #[error("the method is not a token")]
    Method,
    /// The first line exceeds [`Limits::start_line`](crate::Limits::start_line) and holds no blank, so its method is
    /// unknown: 501.
    #[doc = refused!(&[b'A'; 8193] => MethodTooLong)]
    #[error("the method is too long")]
    MethodTooLong,
    /// The first line grew too long inside the request-target: 414.
    #[doc = refused!(format!("GET /{}", "a".repeat(8192)).as_bytes() => TargetTooLong)]
    #[error("the request-target is too long")]
    TargetTooLong,
    /// The first line grew too long after the request-target.
    #[doc = refused!(format!("GET / {}", "H".repeat(8192)).as_bytes() => RequestLineTooLong)]
    #[error("the request line is too long")]
    RequestLineTooLong,
    /// The request-target is invalid (R1945-3.2.1, R9112-3.2.1).
    #[doc = refused!(b"GET /../a HTTP/1.0\r\n\r\n" => Target(TargetError::EscapesRoot))]
    #[error("the request-target {0}")]
    Target(#[from] TargetError),
    /// The last word of the first line is not a version, or it is `HTTP/0.x` (D4, R9110-6.2).
    #[doc = refused!(b"GET / HTTP/1\r\n" => Version)]
    #[error("expected a version like \"HTTP/1.0\"")]
    Version,
    /// Version 2.0 or later: 505 (R9110-6.2).
    #[doc = refused!(b"GET / HTTP/2.0\r\n" => VersionNotSupported)]
    #[error("unsupported HTTP version: expected HTTP/1.x")]
    VersionNotSupported,
    /// Several blanks, or a tab, between the words of an HTTP/1.1 request line (D2).
    #[doc = refused!(b"GET  / HTTP/1.1\r\n" => Whitespace)]
    #[error("expected one space between the words of the request line")]
    Whitespace,
    /// A line of an HTTP/1.1 head that ends with LF alone (D1).
    #[doc = refused!(b"GET / HTTP/1.1\nHost: a\n\n" => BareLf)]
    #[error("expected CRLF at the end of each line, got LF alone")]
    BareLf,
    /// A continuation line in an HTTP/1.1 head, or in a header that decides about the message (D3).
    #[doc = refused!(b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n" => ObsFold)]
    #[error("a header is folded over several lines")]
    ObsFold,
    /// A header line without a colon, with a blank before the colon, or with a control byte (R1945-4.2a, R9112-5.1a,
    /// R9110-5.5).
    #[doc = refused!(b"GET / HTTP/1.0\r\nX : y\r\n\r\n" => FieldSyntax)]
    #[error("expected header lines like \"Name: value\"")]
    FieldSyntax,
    /// A header line longer than [`Limits::field_line`](crate::Limits::field_line): 431.
    #[doc = refused!(format!("GET / HTTP/1.0\r\nX: {}", "y".repeat(8192)).as_bytes() => FieldLineTooLong)]
    #[error("a header line is too long")]
    FieldLineTooLong,
    /// More header lines than [`Limits::fields`](crate::Limits::fields): 431.
    #[doc = refused!(format!("GET / HTTP/1.0\r\n{}", "X: y\r\n".repeat(101)).as_bytes() => TooManyFields)]
    #[error("there are too many headers")]
    TooManyFields,
    /// A head longer than [`Limits::head`](crate::Limits::head): 431.
    #[doc = refused!(format!("GET / HTTP/1.0\r\nX: {}", "y\r\n ".repeat(4096)).as_bytes() => HeadTooLong)]
    #[error("the head is too long")]
    HeadTooLong,
    /// An HTTP/1.1 request without Host (R9112-3.2a).
    #[doc = refused!(b"GET / HTTP/1.1\r\n\r\n" => HostMissing)]
    #[error("an HTTP/1.1 request must have a Host header")]
    HostMissing,
    /// More than one Host header, in any version (R9112-3.2b).
    #[doc = refused!(b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n" => HostRepeated)]
    #[error("there is more than one Host header")]
    HostRepeated,
    /// A Host header without a valid host (R9112-3.2b).
    #[doc = refused!(b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n" => HostInvalid)]
    #[error("the Host header has no valid host")]
    HostInvalid,
    /// A Content-Length that is not a decimal number of 64 bits (R1945-10.4, R9110-8.6b).
    #[doc = refused!(b"PUT / HTTP/1.0\r\nContent-Length: +5\r\n\r\n" => ContentLength)]
    #[error("the Content-Length is not a number of bytes")]
    ContentLength,
    /// More than one Content-Length header, even if they are equal (R9112-6.3a).
    #[doc = refused!(b"PUT / HTTP/1.0\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n" => ContentLengthRepeated)]
    #[error("there is more than one Content-Length header")]
    ContentLengthRepeated,
    /// A POST or PUT in HTTP/1.0 without the length of its body (D8).
    #[doc = refused!(b"PUT / HTTP/1.0\r\n\r\n" => ContentLengthMissing)]
    #[error("an HTTP/1.0 request with this method must have a Content-Length")]
    ContentLengthMissing,
    /// Transfer-Encoding in HTTP/1.0, which does not have it (R9112-6.1b).
    #[doc = refused!(b"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" => TransferEncodingInHttp10)]
    #[error("HTTP/1.0 has no Transfer-Encoding")]
    TransferEncodingInHttp10,
    /// Transfer-Encoding and Content-Length in one message (R9112-6.1c).
    #[doc = refused!(
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
        => TransferEncodingAndLength
    )]
    #[error("there are both a Transfer-Encoding and a Content-Length header")]
    TransferEncodingAndLength,
    /// A Transfer-Encoding that does not determine where the body ends (R9112-6.1e).
    #[doc = refused!(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n" => TransferEncoding)]
    #[error("the Transfer-Encoding does not end with one \"chunked\"")]
    TransferEncoding,
    /// A valid transfer coding, which this library does not decode in a request: 501 (R9112-6.1a).
    #[doc = refused!(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" => UnsupportedTransferCoding)]
    #[error("transfer codings are not supported: send a Content-Length")]
    UnsupportedTransferCoding,
    /// CONNECT: 405. What follows it need not be HTTP (R9110-9.3.6).
    #[doc = refused!(b"CONNECT a:443 HTTP/1.0\r\n\r\n" => ConnectMethod)]
    #[error("CONNECT is not allowed: this server does not tunnel")]
    ConnectMethod,
    /// A body longer than [`Limits::body`](crate::Limits::body) that the caller polled for: 413.
    #[doc = refused!(
        b"PUT / HTTP/1.0\r\nContent-Length: 1048577\r\n\r\n", "let _head = connection.poll();" => BodyTooLong
    )]
    #[error("the request body is too long")]
    BodyTooLong,
    /// The stream ended within a request (R9112-6.3b, R9112-8).
    #[doc = refused!(b"GET / HTTP/1.0\r\n", "connection.received_eof();" => Incomplete)]
    #[error("the request is incomplete")]
    Incomplete,
    /// The caller's timeout fired within a request: 408 (R9110-15.5.9).
    #[doc = refused!(b"GET / HTTP/1.0\r\n", "connection.handle_timeout();" => TimedOut)]
    #[error("the request did not arrive in time")]
    TimedOut,
    /// The caller is [overloaded](crate::server::Connection::reject_overloaded): 503. The client may try
    /// again (R1945-9.5).
    #[doc = refused!(b"GET / HTTP/1.0\r\n\r\n", "connection.reject_overloaded();" => Overloaded)]
    #[error("the server is overloaded, please try again")]
    Overloaded,
}

impl RequestError {
    /// A header of the response to this error, besides those of its content: an empty Allow for CONNECT (RFC 9110 section
    /// 10.2.1), and Retry-After, in seconds, if the caller is overloaded (section 10.2.3).
    ///
    /// ```
    /// use http_core::RequestError;
    /// let (name, value) = RequestError::Overloaded.header().unwrap();
    /// assert_eq!((name.as_str(), value.as_bytes()), ("Retry-After", &b"1"[..]));
    /// assert_eq!(RequestError::HeadTooLong.header(), None);
    /// ```
    pub const fn header(self) -> Option<(FieldName<'static>, FieldValue<'static>)> {
        match self {
            // R9110-10.2.1: a 405 lists the allowed methods. Here there are none.
            RequestError::ConnectMethod => Some((header::ALLOW, FieldValue::from_static(""))),
            RequestError::Overloaded => Some((header::RETRY_AFTER, FieldValue::from_static("1"))), // R1945-9.5
            _ => None,
        }
    }

    /// The status of the response to this error.
    ///
    /// ```
    /// use http_core::{RequestError, Status};
    /// assert_eq!(RequestError::HeadTooLong.status(), Status::REQUEST_HEADER_FIELDS_TOO_LARGE);
    /// assert_eq!(RequestError::HeadTooLong.to_string(), "the head is too long");
    /// ```
    pub const fn status(self) -> Status {
        match self {
            RequestError::MethodTooLong | RequestError::UnsupportedTransferCoding => Status::NOT_IMPLEMENTED,
            RequestError::TargetTooLong => Status::URI_TOO_LONG,
            RequestError::VersionNotSupported => Status::HTTP_VERSION_NOT_SUPPORTED,
            RequestError::FieldLineTooLong | RequestError::TooManyFields | RequestError::HeadTooLong => {
                Status::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            RequestError::ConnectMethod => Status::METHOD_NOT_ALLOWED,
            RequestError::BodyTooLong => Status::CONTENT_TOO_LARGE,
            RequestError::TimedOut => Status::REQUEST_TIMEOUT,
            RequestError::Overloaded => Status::SERVICE_UNAVAILABLE,
            _ => Status::BAD_REQUEST,
        }
    }
}

/// The server's fault: a response that cannot be used. [`client::Connection::poll`](crate::client::Connection::poll)
/// returns it, and then the connection must be closed. A gateway sends 502 to its client, or 504 for a timeout (RFC
/// 9110 §15.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The first bytes are not a status line. The response is not HTTP, or it is HTTP/0.9, which must be
    /// [allowed](crate::client::Connection::allow_http09).
    #[doc = invalid!(b"SSH-2.0-OpenSSH_9.2\r\n" => NotHttp)]
    #[error("expected a status line like \"HTTP/1.0 200 OK\"")]
    NotHttp,
    /// A malformed status line that begins with `HTTP/` (R1945-6.1b).
    #[doc = invalid!(b"HTTP/1.0 20x OK\r\n" => StatusLine)]
    #[error("the status line is malformed")]
    StatusLine,
    /// A version other than HTTP/1.x (R9110-6.2).
    #[doc = invalid!(b"HTTP/2.0 200 OK\r\n" => VersionNotSupported)]
    #[error("unsupported HTTP version: expected HTTP/1.x")]
    VersionNotSupported,
    /// A malformed header line (R1945-4.2a, R9110-5.5).
    #[doc = invalid!(b"HTTP/1.0 200 OK\r\nX : y\r\n\r\n" => FieldSyntax)]
    #[error("expected header lines like \"Name: value\"")]
    FieldSyntax,
    /// A line, a number of headers or a head that exceeds [`Limits`](crate::Limits).
    #[doc = invalid!(format!("HTTP/1.0 200 OK\r\nX: {}", "y".repeat(8192)).as_bytes() => HeadTooLong)]
    #[error("the head is too long")]
    HeadTooLong,
    /// More interim responses (1xx) than [`Limits::interim`](crate::Limits::interim) (R9110-15.2).
    #[doc = invalid!("HTTP/1.1 100 Continue\r\n\r\n".repeat(9).as_bytes() => TooManyInterim)]
    #[error("there are too many interim responses")]
    TooManyInterim,
    /// 101, although the request did not ask for an upgrade (R9110-7.8).
    #[doc = invalid!(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" => UnexpectedUpgrade)]
    #[error("the server switched protocols without being asked")]
    UnexpectedUpgrade,
    /// Content-Length headers that are not numbers, or not equal (R9112-6.3a).
    #[doc = invalid!(b"HTTP/1.0 200 OK\r\nContent-Length: 2, 3\r\n\r\n" => ContentLength)]
    #[error("the Content-Length is not a single number of bytes")]
    ContentLength,
    /// A Transfer-Encoding other than `chunked` alone (R9112-6.1e).
    #[doc = invalid!(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n" => TransferEncoding)]
    #[error("unsupported Transfer-Encoding: expected \"chunked\"")]
    TransferEncoding,
    /// A body whose chunks are malformed, or whose extensions or trailers are too long (R9112-7.1, R9112-7.1.1).
    #[doc = invalid!(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "let _head = connection.poll();" => InvalidChunk
    )]
    #[error("the chunks of the body are malformed or have too many extensions")]
    InvalidChunk,
    /// The stream ended before the first byte of a response. See [`can_retry`](crate::client::Connection::can_retry).
    #[doc = invalid!(b"", "connection.received_eof();" => NoResponse)]
    #[error("the server closed the connection without a response")]
    NoResponse,
    /// The stream ended within the head (R9112-8).
    #[doc = invalid!(b"HTTP/1.0 200 OK\r\n", "connection.received_eof();" => HeadTruncated)]
    #[error("the head was cut short")]
    HeadTruncated,
    /// The stream ended within a body that has a length or chunks (R9112-6.3b, R9112-8).
    #[doc = invalid!(
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", "let _head = connection.poll();\nconnection.received_eof();"
        => BodyTruncated
    )]
    #[error("the body was cut short")]
    BodyTruncated,
    /// Bytes without a request: before the first request, or after a response (R9112-6.3d).
    ///
    /// ```
    /// # use http_core::{Limits, ResponseError, client::Connection};
    /// let mut connection = Connection::new(Limits::default());
    /// connection.receive(b"220 ready\r\n");
    /// assert_eq!(connection.poll().err(), Some(ResponseError::Unsolicited));
    /// ```
    #[error("the server sent bytes without a request")]
    Unsolicited,
    /// The caller reported that the [stream broke](crate::client::Connection::connection_lost) before the response was
    /// complete. See [`can_retry`](crate::client::Connection::can_retry).
    #[doc = invalid!(b"HTTP/1.0 200 OK\r\n", "connection.connection_lost();" => ConnectionLost)]
    #[error("the connection was lost before the response was complete")]
    ConnectionLost,
    /// The caller reported a [timeout](crate::client::Connection::handle_timeout) before the response was complete.
    #[doc = invalid!(b"HTTP/1.0 200 OK\r\n", "connection.handle_timeout();" => TimedOut)]
    #[error("the response did not arrive in time")]
    TimedOut,
}

impl ResponseError {
    /// Whether the stream ended or broke too early. Otherwise the response is invalid (R9112-8), or a timeout fired.
    pub const fn is_truncated(self) -> bool {
        use ResponseError::{BodyTruncated, ConnectionLost, HeadTruncated, NoResponse};
        matches!(self, NoResponse | HeadTruncated | BodyTruncated | ConnectionLost)
    }
}

/// The caller's fault: a call at the wrong time, or one that contradicts an earlier one. The call has changed nothing.
///
/// A program that follows the events of `poll` sees none of them, except [`MissingField`](Self::MissingField) if it
/// forwards the headers of another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum UsageError {
    /// A response without a request, or a second one to the same request.
    #[doc = misused!( => connection.respond(&Response::new(Status::OK, &fields), &mut out), NoResponseDue)]
    #[error("no response is due: poll for a request first")]
    NoResponseDue,
    /// [`respond_error`](crate::server::Connection::respond_error) although `poll` returned no error, or a response to
    /// it was already given.
    #[doc = misused!("let _request = connection.poll();" => connection.respond_error(None, &mut out), NoErrorToReport)]
    #[error("no error to report: poll returned none")]
    NoErrorToReport,
    /// A response with a 1xx status, which HTTP/1.0 does not have (R1945-9.1).
    #[doc = misused!(
        "let _request = connection.poll();",
        "let response = Response::new(Status::CONTINUE, &fields);"
        => connection.respond(&response, &mut out), InformationalStatus
    )]
    #[error("HTTP/1.0 has no 1xx responses: expected a final status")]
    InformationalStatus,
    /// A 401 without WWW-Authenticate, a 405 without Allow, a 407 without Proxy-Authenticate or a 426 without Upgrade
    /// (R9110-11.6.1, R9110-10.2.1, R9110-15.5.8, R9110-15.5.22).
    #[doc = misused!(
        "let _request = connection.poll();",
        "let response = Response::new(Status::UNAUTHORIZED, &fields);"
        => connection.respond(&response, &mut out), MissingField
    )]
    #[error("missing header: a 401 needs WWW-Authenticate, a 405 Allow, a 407 Proxy-Authenticate, and a 426 Upgrade")]
    MissingField,
    /// More bytes of body than the head announced.
    #[doc = misused!(
        "let _request = connection.poll();",
        "let response = Response { body: ResponseBody::Length(5), ..Response::new(Status::OK, &fields) };",
        "let _exactly = connection.respond(&response, &mut out)?;"
        => connection.body_sent(6), BodyTooLong
    )]
    #[error("the body is longer than the head announced")]
    BodyTooLong,
    /// `finish_body` before the announced length was sent.
    #[doc = misused!(
        "let _request = connection.poll();",
        "let response = Response { body: ResponseBody::Length(5), ..Response::new(Status::OK, &fields) };",
        "let _exactly = connection.respond(&response, &mut out)?;",
        "connection.body_sent(4)?;"
        => connection.finish_body(), BodyTooShort
    )]
    #[error("the body is shorter than the head announced: close the connection")]
    BodyTooShort,
    /// Bytes of a body, or its end, when no body is due.
    #[doc = misused!( => connection.body_sent(1), NoBodyDue)]
    #[error("no body is being sent")]
    NoBodyDue,
    /// A request before the last response was complete, or on a connection that is not kept. See
    /// [`can_reuse`](crate::client::Connection::can_reuse).
    ///
    /// ```
    /// # use http_core::client::{Connection, Request};
    /// # use http_core::{Authority, FieldBlock, Limits, Method, Target, UsageError};
    /// # let (mut connection, fields) = (Connection::new(Limits::default()), FieldBlock::new());
    /// let request = Request::new(Method::Get, Target::new(b"/")?, Authority::new(b"a")?, &fields);
    /// let _no_body = connection.request(&request, &mut Vec::new())?;
    /// assert_eq!(connection.request(&request, &mut Vec::new()), Err(UsageError::ConnectionBusy));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[error("the connection is not free for a request")]
    ConnectionBusy,
    /// A request for `*` with a method other than OPTIONS, or a CONNECT (R9112-3.2.4).
    ///
    /// ```
    /// # use http_core::client::{Connection, Request};
    /// # use http_core::{Authority, FieldBlock, Limits, Method, Target, UsageError};
    /// # let (mut connection, fields) = (Connection::new(Limits::default()), FieldBlock::new());
    /// let request = Request::new(Method::Get, Target::new(b"*")?, Authority::new(b"a")?, &fields);
    /// assert_eq!(connection.request(&request, &mut Vec::new()), Err(UsageError::TargetForm));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[error("the method does not allow this form of request-target")]
    TargetForm,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    // R9112-8
    #[test]
    fn truncated_response_is_not_a_malformed_one() {
        use ResponseError::*;
        assert!(
            [NoResponse, HeadTruncated, BodyTruncated, ConnectionLost].into_iter().all(ResponseError::is_truncated)
        );
        assert!(
            ![NotHttp, StatusLine, FieldSyntax, InvalidChunk, Unsolicited, TimedOut]
                .into_iter()
                .any(ResponseError::is_truncated)
        );
    }

    #[test]
    fn errors_are_small_and_say_what_was_expected() {
        assert!(size_of::<RequestError>() <= 2 && size_of::<ResponseError>() == 1 && size_of::<UsageError>() == 1);
        assert_eq!(
            RequestError::Target(TargetError::EscapesRoot).to_string(),
            "the request-target climbs above the root"
        );
    }
}
