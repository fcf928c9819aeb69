//! What can go wrong, by whose fault it is: the peer's (a request or a response) or the caller's.
//! One variant a cause, all `Copy`; a request's error knows the status that answers it.

use thiserror::Error;

use crate::status::Status;

/// The client's fault: a request that cannot be served as it came. The connection closes after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// More empty lines before the request line than [`Limits::blank_lines`](crate::Limits::blank_lines).
    #[error("expected a request line, got only empty lines")]
    BlankLines,
    /// The first line is none of the forms that RFC 1945 §5 knows.
    #[error("expected a request line like \"GET /path HTTP/1.0\"")]
    RequestLine,
    /// The first word holds an octet that no method may hold.
    #[error("the method is no token")]
    Method,
    /// The first line is too long and holds no space: a method that nobody knows.
    #[error("the method is longer than a request line may be")]
    MethodTooLong,
    /// The first line grew too long inside the request-target.
    #[error("the request-target is too long")]
    TargetTooLong,
    /// The first line grew too long after the request-target.
    #[error("the request line is too long")]
    RequestLineTooLong,
    /// The request-target is not one that names something here.
    #[error("the request-target {0}")]
    Target(#[from] TargetError),
    /// The last word of the first line is no version.
    #[error("expected a version like \"HTTP/1.0\"")]
    Version,
    /// A version that this library does not speak.
    #[error("HTTP/1.x is spoken here, no other version")]
    VersionNotSupported,
    /// Several blanks, or a tab, between the words of an HTTP/1.1 request line (D2).
    #[error("expected one space between the words of the request line")]
    Blanks,
    /// A line of an HTTP/1.1 head that ends with LF alone (D1).
    #[error("expected CRLF at the end of each line, got LF alone")]
    BareLf,
    /// A continuation line in an HTTP/1.1 head, or in a field that decides about the message (D3).
    #[error("a field is folded over several lines")]
    Folded,
    /// A line that is no field line.
    #[error("expected field lines like \"Name: value\"")]
    FieldSyntax,
    /// A field line beyond [`Limits::field_line`](crate::Limits::field_line).
    #[error("a field line is too long")]
    FieldLineTooLong,
    /// More field lines than [`Limits::fields`](crate::Limits::fields).
    #[error("there are too many fields")]
    TooManyFields,
    /// A head beyond [`Limits::head`](crate::Limits::head).
    #[error("the head is too long")]
    HeadTooLong,
    /// An HTTP/1.1 request without Host.
    #[error("an HTTP/1.1 request must have a Host field")]
    HostMissing,
    /// More than one Host field.
    #[error("there is more than one Host field")]
    HostRepeated,
    /// A Host field that names no host.
    #[error("the Host field names no host")]
    HostInvalid,
    /// A Content-Length that is no decimal number of 64 bits.
    #[error("the Content-Length is no number of octets")]
    ContentLength,
    /// More than one Content-Length field, be they equal or not.
    #[error("there is more than one Content-Length field")]
    ContentLengthRepeated,
    /// A POST or PUT in HTTP/1.0 that does not say how long its body is (D8).
    #[error("an HTTP/1.0 request with this method must have a Content-Length")]
    ContentLengthMissing,
    /// Transfer-Encoding in HTTP/1.0, which has none.
    #[error("HTTP/1.0 has no Transfer-Encoding")]
    TransferEncodingVersion,
    /// Transfer-Encoding and Content-Length in one message.
    #[error("there are both Transfer-Encoding and Content-Length")]
    TransferEncodingAndLength,
    /// A Transfer-Encoding from which no length follows.
    #[error("the Transfer-Encoding does not end with one \"chunked\"")]
    TransferEncoding,
    /// A transfer coding; this library decodes none in a request.
    #[error("no transfer coding is understood here, send a Content-Length")]
    TransferCoding,
    /// CONNECT: what follows it may not be HTTP.
    #[error("CONNECT is not allowed here: nothing but HTTP passes")]
    Connect,
    /// A body beyond [`Limits::body`](crate::Limits::body).
    #[error("the request body is too long")]
    BodyTooLong,
    /// The stream ended within a request.
    #[error("the request is incomplete")]
    Incomplete,
    /// The caller's deadline struck within a request.
    #[error("the request did not come in time")]
    TimedOut,
    /// The caller has no room: nobody's fault, and worth another try.
    #[error("the server has no room for this request now, please try again")]
    NoRoom,
}

impl RequestError {
    /// The status that answers this error.
    pub const fn status(self) -> Status {
        match self {
            RequestError::MethodTooLong | RequestError::TransferCoding => Status::NOT_IMPLEMENTED,
            RequestError::TargetTooLong => Status::URI_TOO_LONG,
            RequestError::VersionNotSupported => Status::HTTP_VERSION_NOT_SUPPORTED,
            RequestError::FieldLineTooLong | RequestError::TooManyFields | RequestError::HeadTooLong => {
                Status::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            RequestError::Connect => Status::METHOD_NOT_ALLOWED,
            RequestError::BodyTooLong => Status::CONTENT_TOO_LARGE,
            RequestError::TimedOut => Status::REQUEST_TIMEOUT,
            RequestError::NoRoom => Status::SERVICE_UNAVAILABLE,
            _ => Status::BAD_REQUEST,
        }
    }
}

/// Why a request-target names nothing; each is answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// An octet that must be percent-encoded (D12, D13).
    #[error("holds an octet that must be percent-encoded")]
    Octet,
    /// Neither a path nor an absolute URL nor, for OPTIONS, `*`.
    #[error("is neither a path that begins with \"/\" nor an http URL")]
    Form,
    /// An absolute URL of another scheme.
    #[error("is a URL of another scheme than http")]
    Scheme,
    /// An absolute URL with no host, userinfo or a bad port.
    #[error("has no valid host and port")]
    Authority,
    /// `%` without two hexadecimal digits.
    #[error("has a \"%\" without two hexadecimal digits")]
    Percent,
    /// A segment that decodes to a slash or a control octet (D14).
    #[error("hides a slash or a control octet behind a \"%\"")]
    Segment,
    /// More `..` than there are folders.
    #[error("climbs above the root")]
    Climbs,
}

/// The server's fault: an answer that cannot be taken as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The first octets are no status line: not HTTP, or HTTP/0.9, which must be asked for.
    #[error("expected a status line like \"HTTP/1.0 200 OK\"")]
    NotHttp,
    /// A status line that begins well and goes wrong.
    #[error("the status line is malformed")]
    StatusLine,
    /// An answer in a version that is not HTTP/1.x.
    #[error("the answer is not in HTTP/1.x")]
    VersionNotSupported,
    /// A line that is no field line.
    #[error("expected field lines like \"Name: value\"")]
    FieldSyntax,
    /// A line, a number of fields or a head beyond [`Limits`](crate::Limits).
    #[error("the head is too long")]
    HeadTooLong,
    /// More interim answers than [`Limits::interim`](crate::Limits::interim).
    #[error("there are too many interim answers")]
    TooManyInterim,
    /// 101, though no upgrade was asked for.
    #[error("the server switched to a protocol that nobody asked for")]
    Upgraded,
    /// Content-Length fields that are no numbers or not equal.
    #[error("the Content-Length is no single number of octets")]
    ContentLength,
    /// A Transfer-Encoding that this library does not decode.
    #[error("the Transfer-Encoding is not understood")]
    TransferEncoding,
    /// A body whose chunks are malformed.
    #[error("the chunks of the body are malformed")]
    Chunk,
    /// The stream ended before the first octet of an answer.
    #[error("the server closed the connection without an answer")]
    NoAnswer,
    /// The stream ended within the head.
    #[error("the head was cut short")]
    HeadCutShort,
    /// The stream ended within the body.
    #[error("the body was cut short")]
    BodyCutShort,
    /// Octets that no request asked for.
    #[error("the server spoke without being asked")]
    Unasked,
}

impl ResponseError {
    /// Whether the stream ended too early, as against what came being malformed (R9112-8).
    pub const fn is_cut_short(self) -> bool {
        matches!(self, ResponseError::NoAnswer | ResponseError::HeadCutShort | ResponseError::BodyCutShort)
    }
}

/// The caller's fault: a call that makes no sense at this point. Nothing has changed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UseError {
    /// A reply without a request, or a second one to the same request.
    #[error("no reply is due: the machine has handed out no request that is still to be answered")]
    NoReplyDue,
    /// `refuse`, though the request is not in error.
    #[error("there is nothing to refuse: the request is not in error")]
    NothingToRefuse,
    /// A 1xx status for a reply: HTTP/1.0 has none (R1945-9.1).
    #[error("a 1xx status is no final reply, and HTTP/1.0 has no other")]
    InterimStatus,
    /// A 401 without WWW-Authenticate or a 405 without Allow, without which they mean nothing (R9110-11.6.1, R9110-10.2.1).
    #[error("a 401 must carry WWW-Authenticate, and a 405 Allow")]
    FieldMissing,
    /// A field that the library alone writes.
    #[error("the library alone writes Connection, Content-Length, Date, Host, Keep-Alive and Transfer-Encoding")]
    FieldOfTheLibrary,
    /// A content coding that is not among those that were chosen from.
    #[error("the content coding is not among those that were chosen from")]
    NoCoding,
    /// More octets were sent as body than the head promised.
    #[error("more octets of body were sent than the head promised")]
    BodyTooLong,
    /// `body_ended` for a body whose length was promised and is not reached.
    #[error("the body is shorter than the head promised: close the connection")]
    BodyTooShort,
    /// A body was sent when none is due.
    #[error("no body is being sent")]
    NoBodyDue,
    /// A second request before the first was answered.
    #[error("the connection is not free for a request")]
    Busy,
    /// A request for `*` that is no OPTIONS, or a CONNECT, for which there is no tunnel here.
    #[error("no request-target of this form goes with this method")]
    TargetForm,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn errors_are_small_and_say_what_was_expected() {
        assert!(size_of::<RequestError>() <= 2 && size_of::<ResponseError>() == 1 && size_of::<UseError>() == 1);
        assert_eq!(RequestError::Target(TargetError::Climbs).to_string(), "the request-target climbs above the root");
    }
}
