//! What can go wrong, by whose fault it is: the peer's (a request or a response) or the caller's.
//! One variant a cause, all `Copy`; a request's error knows the status that answers it.

use thiserror::Error;

use crate::message::status::Status;

/// The client's fault: a request that cannot be served as it came. [`server::Connection::poll`](crate::server::Connection::poll)
/// returns it, [`status`](Self::status) answers it, and the connection closes after that. Which of several faults is told is
/// decided by D16.
///
/// It is answered with 400 unless its description says otherwise. `Display` is one line of text that is fit for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// More empty lines before the request line than [`Limits::blank_lines`](crate::Limits::blank_lines).
    #[error("expected a request line, got only empty lines")]
    BlankLines,
    /// The first line is none of the forms that RFC 1945 §5 knows.
    #[error("expected a request line like \"GET /path HTTP/1.0\"")]
    RequestLine,
    /// The first word holds a byte that no method may hold (R1945-5.1.1a).
    #[error("the method is no token")]
    Method,
    /// The first line is beyond [`Limits::start_line`](crate::Limits::start_line) and holds no blank: a method that nobody
    /// knows, 501.
    #[error("the method is longer than a request line may be")]
    MethodTooLong,
    /// The first line grew too long inside the request-target: 414.
    #[error("the request-target is too long")]
    TargetTooLong,
    /// The first line grew too long after the request-target.
    #[error("the request line is too long")]
    RequestLineTooLong,
    /// The request-target is not one that names something here (R1945-3.2.1, R9112-3.2.1).
    #[error("the request-target {0}")]
    Target(#[from] TargetError),
    /// The last word of the first line is no version, or `HTTP/0.x` (D4, R9110-6.2).
    #[error("expected a version like \"HTTP/1.0\"")]
    Version,
    /// A version from 2.0 on: 505 (R9110-6.2).
    #[error("HTTP/1.x is spoken here, no other version")]
    VersionNotSupported,
    /// Several blanks, or a tab, between the words of an HTTP/1.1 request line (D2).
    #[error("expected one space between the words of the request line")]
    Whitespace,
    /// A line of an HTTP/1.1 head that ends with LF alone (D1).
    #[error("expected CRLF at the end of each line, got LF alone")]
    BareLf,
    /// A continuation line in an HTTP/1.1 head, or in a field that decides about the message (D3).
    #[error("a field is folded over several lines")]
    ObsFold,
    /// A line that is no field line: without a colon, with a blank before it, or with a control byte (R1945-4.2a,
    /// R9112-5.1a, R9110-5.5).
    #[error("expected field lines like \"Name: value\"")]
    FieldSyntax,
    /// A field line beyond [`Limits::field_line`](crate::Limits::field_line): 431.
    #[error("a field line is too long")]
    FieldLineTooLong,
    /// More field lines than [`Limits::fields`](crate::Limits::fields): 431.
    #[error("there are too many fields")]
    TooManyFields,
    /// A head beyond [`Limits::head`](crate::Limits::head): 431.
    #[error("the head is too long")]
    HeadTooLong,
    /// An HTTP/1.1 request without Host (R9112-3.2a).
    #[error("an HTTP/1.1 request must have a Host field")]
    HostMissing,
    /// More than one Host field, in any version (R9112-3.2b).
    #[error("there is more than one Host field")]
    HostRepeated,
    /// A Host field that names no host (R9112-3.2b).
    #[error("the Host field names no host")]
    HostInvalid,
    /// A Content-Length that is no decimal number of 64 bits (R1945-10.4, R9110-8.6b).
    #[error("the Content-Length is no number of bytes")]
    ContentLength,
    /// More than one Content-Length field, be they equal or not (R9112-6.3a).
    #[error("there is more than one Content-Length field")]
    ContentLengthRepeated,
    /// A POST or PUT in HTTP/1.0 that does not say how long its body is (D8).
    #[error("an HTTP/1.0 request with this method must have a Content-Length")]
    ContentLengthMissing,
    /// Transfer-Encoding in HTTP/1.0, which has none (R9112-6.1b).
    #[error("HTTP/1.0 has no Transfer-Encoding")]
    TransferEncodingInHttp10,
    /// Transfer-Encoding and Content-Length in one message (R9112-6.1c).
    #[error("there are both Transfer-Encoding and Content-Length")]
    TransferEncodingAndLength,
    /// A Transfer-Encoding from which no length follows (R9112-6.1e).
    #[error("the Transfer-Encoding does not end with one \"chunked\"")]
    TransferEncoding,
    /// A transfer coding, well written; this library decodes none in a request: 501 (R9112-6.1a).
    #[error("no transfer coding is understood here, send a Content-Length")]
    UnsupportedTransferCoding,
    /// CONNECT, 405: what follows it may not be HTTP (R9110-9.3.6).
    #[error("CONNECT is not allowed here: nothing but HTTP passes")]
    ConnectMethod,
    /// A body beyond [`Limits::body`](crate::Limits::body) that the caller polled for: 413.
    #[error("the request body is too long")]
    BodyTooLong,
    /// The stream ended within a request (R9112-6.3b, R9112-8).
    #[error("the request is incomplete")]
    Incomplete,
    /// The caller's deadline struck within a request: 408 (R9110-15.5.9).
    #[error("the request did not come in time")]
    TimedOut,
    /// The caller [has no room](crate::server::Connection::reject_overloaded), 503: nobody's fault, and worth another try (R1945-9.5).
    #[error("the server has no room for this request now, please try again")]
    Overloaded,
}

impl RequestError {
    /// The status that answers this error.
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

/// Why a request-target names nothing; each is answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A byte that must be percent-encoded (D12, D13).
    #[error("holds a byte that must be percent-encoded")]
    InvalidByte,
    /// Neither a path nor an absolute URL nor, for OPTIONS, `*`.
    #[error("is neither a path that begins with \"/\" nor an http URL")]
    Form,
    /// An absolute URL of another scheme, `https` included (R9110-7.4).
    #[error("is a URL of another scheme than http")]
    Scheme,
    /// An absolute URL with no host, with userinfo or with a bad port (R9110-4.2.1, R9110-4.2.4).
    #[error("has no valid host and port")]
    Authority,
    /// `%` without two hexadecimal digits in the path (R3986-2.1).
    #[error("has a \"%\" without two hexadecimal digits")]
    PercentEncoding,
    /// A segment that decodes to a slash or a control byte (D14).
    #[error("hides a slash or a control byte behind a \"%\"")]
    EncodedSeparator,
    /// More `..` than there are directories (R3986-5.2.4).
    #[error("climbs above the root")]
    EscapesRoot,
}

/// The server's fault: an answer that cannot be taken as it came. [`client::Connection::poll`](crate::client::Connection::poll)
/// returns it, and the connection is of no use any more. A gateway answers its client 502 (R9110 §15.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The first bytes are no status line: not HTTP, or HTTP/0.9, which must be asked for.
    #[error("expected a status line like \"HTTP/1.0 200 OK\"")]
    NotHttp,
    /// A status line that begins with `HTTP/` and goes wrong (R1945-6.1b).
    #[error("the status line is malformed")]
    StatusLine,
    /// An answer in a version that is not HTTP/1.x (R9110-6.2).
    #[error("the answer is not in HTTP/1.x")]
    VersionNotSupported,
    /// A line that is no field line (R1945-4.2a, R9110-5.5).
    #[error("expected field lines like \"Name: value\"")]
    FieldSyntax,
    /// A line, a number of fields or a head beyond [`Limits`](crate::Limits).
    #[error("the head is too long")]
    HeadTooLong,
    /// More interim answers (1xx) than [`Limits::interim`](crate::Limits::interim) (R9110-15.2).
    #[error("there are too many interim answers")]
    TooManyInterim,
    /// 101, though no upgrade was asked for (R9110-7.8).
    #[error("the server switched to a protocol that nobody asked for")]
    UnexpectedUpgrade,
    /// Content-Length fields that are no numbers or not equal (R9112-6.3a).
    #[error("the Content-Length is no single number of bytes")]
    ContentLength,
    /// A Transfer-Encoding other than `chunked` alone (R9112-6.1e).
    #[error("the Transfer-Encoding is not understood")]
    TransferEncoding,
    /// A body whose chunks are malformed (R9112-7.1).
    #[error("the chunks of the body are malformed")]
    InvalidChunk,
    /// The stream ended before the first byte of an answer; see
    /// [`can_retry`](crate::client::Connection::can_retry).
    #[error("the server closed the connection without an answer")]
    NoResponse,
    /// The stream ended within the head (R9112-8).
    #[error("the head was cut short")]
    HeadTruncated,
    /// The stream ended within a body that has an end of its own (R9112-6.3b, R9112-8).
    #[error("the body was cut short")]
    BodyTruncated,
    /// Bytes that no request asked for: before the first one, or behind an answer (R9112-6.3d).
    #[error("the server spoke without being asked")]
    Unsolicited,
}

impl ResponseError {
    /// Whether the stream ended too early, as against what came being malformed (R9112-8): `webclient` exits with 18 then.
    pub const fn is_truncated(self) -> bool {
        matches!(self, ResponseError::NoResponse | ResponseError::HeadTruncated | ResponseError::BodyTruncated)
    }
}

/// The caller's fault: a call at the wrong time, or one that contradicts an earlier one. The call has changed nothing.
///
/// A program that follows the events of `poll` sees none of them, except [`MissingField`](Self::MissingField) where it
/// passes on the headers of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UsageError {
    /// A reply without a request, or a second one to the same request.
    #[error("no reply is due: the machine has handed out no request that is still to be answered")]
    NoResponseDue,
    /// [`respond_error`](crate::server::Connection::respond_error), though the request is not in error, or was answered.
    #[error("there is nothing to refuse: the request is not in error")]
    NoErrorToReport,
    /// A 1xx status for a reply: HTTP/1.0 has none (R1945-9.1).
    #[error("a 1xx status is no final reply, and HTTP/1.0 has no other")]
    InformationalStatus,
    /// A 401 without WWW-Authenticate or a 405 without Allow, without which they mean nothing (R9110-11.6.1, R9110-10.2.1).
    #[error("a 401 must carry WWW-Authenticate, and a 405 Allow")]
    MissingField,
    /// More bytes were sent as body than the head promised.
    #[error("more bytes of body were sent than the head promised")]
    BodyTooLong,
    /// [`finish_body`](crate::server::Connection::finish_body) for a body whose length was promised and is not reached.
    #[error("the body is shorter than the head promised: close the connection")]
    BodyTooShort,
    /// A body was sent when none is due.
    #[error("no body is being sent")]
    NoBodyDue,
    /// A request before the one before was answered, or on a connection that is not kept; see
    /// [`can_reuse`](crate::client::Connection::can_reuse).
    #[error("the connection is not free for a request")]
    ConnectionBusy,
    /// A request for `*` that is no OPTIONS, or a CONNECT, for which there is no tunnel here (R9112-3.2.4).
    #[error("no request-target of this form goes with this method")]
    TargetForm,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    // R9112-8
    #[test]
    fn what_ends_too_early_is_no_malformed_answer() {
        use ResponseError::*;
        assert!([NoResponse, HeadTruncated, BodyTruncated].into_iter().all(ResponseError::is_truncated));
        assert!(
            ![NotHttp, StatusLine, FieldSyntax, InvalidChunk, Unsolicited].into_iter().any(ResponseError::is_truncated)
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
