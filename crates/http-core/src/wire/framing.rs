//! Message framing: the body that a request or a response has (RFC 1945 §7.2, RFC 9112 §6). No other file decides this.
//!
//! Nothing is guessed: a message that two recipients could frame differently is rejected.

use crate::error::{RequestError, ResponseError};
use crate::grammar::{decimal, elements, is_token, trim};
use crate::message::field::{Fields, header};
use crate::message::method::Method;
use crate::message::status::Status;
use crate::message::version::Version;

/// How the end of a body is found (RFC 1945 §7.2, RFC 9112 §6.3).
///
/// The connections count the bytes. The framing is public for callers that need to know it in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// No body, or a body of zero bytes.
    Empty,
    /// This many bytes, at least 1, as stated by Content-Length.
    Length(u64),
    /// All bytes until the connection closes; responses only (R1945-7.2.2a).
    UntilClose,
    /// Chunks, from servers that ignore the version of the request; received responses only (R9112-7.1). The caller
    /// gets the data without the chunk framing.
    Chunked,
}

impl Framing {
    /// A body of this many bytes.
    pub(crate) const fn of_length(bytes: u64) -> Framing {
        if bytes == 0 { Framing::Empty } else { Framing::Length(bytes) }
    }
}

/// The body of a request: [`Framing::Empty`] or [`Framing::Length`].
pub(crate) fn of_request(method: Method<'_>, version: Version, fields: &Fields<'_>) -> Result<Framing, RequestError> {
    let coded = fields.get(header::TRANSFER_ENCODING).is_some();
    let mut lengths = fields.get_all(header::CONTENT_LENGTH);
    match (lengths.next(), coded) {
        // HTTP/1.0 does not define it, and implementations disagree about it (R9112-6.1b).
        (_, true) if version < Version::HTTP_11 => Err(RequestError::TransferEncodingInHttp10),
        (length, true) => Err(match transfer_coding(fields) {
            Coding::Faulty => RequestError::TransferEncoding, // R9112-6.1e
            _ if length.is_some() => RequestError::TransferEncodingAndLength, // R9112-6.1c
            Coding::Chunked | Coding::OthersThenChunked => RequestError::UnsupportedTransferCoding, // R9112-6.1a
        }),
        // Merging equal values would be allowed, but a client that sends two may mean either (R9112-6.3a).
        (Some(_), _) if lengths.next().is_some() => Err(RequestError::ContentLengthRepeated),
        (Some(length), _) => match decimal(length.as_bytes()) {
            Some(bytes) => Ok(Framing::of_length(bytes)),
            None => Err(RequestError::ContentLength),
        },
        // These methods have a body, and in HTTP/1.0 a close cannot end it (D8, R1945-8.3, R1945-7.2.2b).
        (None, _) if version < Version::HTTP_11 && matches!(method, Method::Post | Method::Put) => {
            Err(RequestError::ContentLengthMissing)
        }
        (None, _) => Ok(Framing::Empty), // R9112-6.3c
    }
}

/// The body of a response to a request with this method.
pub(crate) fn of_response(method: Method<'_>, status: Status, fields: &Fields<'_>) -> Result<Framing, ResponseError> {
    if method == Method::Head || status.is_bodiless() {
        return Ok(Framing::Empty); // whatever the headers say (R1945-7.2b)
    }
    if fields.get(header::TRANSFER_ENCODING).is_some() {
        return match transfer_coding(fields) {
            Coding::Chunked => Ok(Framing::Chunked),
            _ => Err(ResponseError::TransferEncoding),
        };
    }
    let mut length = None;
    for value in fields.get_all(header::CONTENT_LENGTH) {
        // Equal members count as one; an empty member is an error (R9112-6.3a).
        for member in value.as_bytes().split(|&c| c == b',').map(trim) {
            let member = decimal(member).ok_or(ResponseError::ContentLength)?;
            if length.replace(member).is_some_and(|other| other != member) {
                return Err(ResponseError::ContentLength);
            }
        }
    }
    Ok(match length {
        Some(bytes) => Framing::of_length(bytes),
        None => Framing::UntilClose, // R1945-7.2.2a
    })
}

/// Whether the headers of a response without a body contradict its status. A recipient that trusts them would look
/// elsewhere for the next response.
///
/// 1xx and 204 must have neither Transfer-Encoding nor a Content-Length (RFC 9112 §6.1, R9110-8.6a). A length of 0 does no
/// harm. A 205 needs one, or the close ends it (R9110-15.3.6). The headers of a 304 are those of the 200.
pub(crate) fn contradicts_status(status: Status, fields: &Fields<'_>) -> bool {
    if !status.is_bodiless() || status == Status::NOT_MODIFIED {
        return false;
    }
    match of_response(Method::Get, Status::OK, fields) {
        Ok(Framing::Empty) => false,
        Ok(Framing::UntilClose) => status == Status::RESET_CONTENT,
        _ => true,
    }
}

enum Coding {
    /// `chunked` alone.
    Chunked,
    /// Other codings, then `chunked`, once.
    OthersThenChunked,
    /// `chunked` is missing, not last or repeated, or an element is malformed.
    Faulty,
}

fn transfer_coding(fields: &Fields<'_>) -> Coding {
    let (mut count, mut chunked, mut last_is_chunked) = (0, 0, false);
    for coding in fields.get_all(header::TRANSFER_ENCODING).flat_map(|value| elements(value.as_bytes())) {
        let token = trim(coding.split(|&c| c == b';').next().unwrap_or_default());
        if !is_token(token) {
            return Coding::Faulty;
        }
        last_is_chunked = token.eq_ignore_ascii_case(b"chunked");
        if last_is_chunked && token.len() != coding.len() {
            return Coding::Faulty; // chunked has no parameters
        }
        chunked += usize::from(last_is_chunked);
        count += 1;
    }
    match (last_is_chunked && chunked == 1, count) {
        (true, 1) => Coding::Chunked,
        (true, _) => Coding::OthersThenChunked,
        (false, _) => Coding::Faulty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn with_fields<T>(lines: &str, f: impl Fn(&Fields<'_>) -> T) -> T {
        let head = format!("{lines}\r\n");
        let mut index = crate::message::field_index::FieldIndex::new();
        crate::wire::parse::fields(head.as_bytes(), 0, &mut index).unwrap();
        f(&Fields::new(head.as_bytes(), &index))
    }

    // R1945-7.2a, R1945-7.2.2b, R1945-8.3, R1945-10.4, R9112-6.1a, R9112-6.1b, R9112-6.1c, R9112-6.1e, R9112-6.3a,
    // R9112-6.3c, D8, V13
    #[test]
    fn request_framing_follows_method_version_and_headers() {
        use RequestError as E;
        const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
        const FIVE: &str = "Content-Length: 5\r\n";
        for (method, version, lines, expected) in [
            ("GET", Version::HTTP_10, "", Ok(Framing::Empty)),
            ("GET", Version::HTTP_10, FIVE, Ok(Framing::Length(5))),
            ("POST", Version::HTTP_10, "", Err(E::ContentLengthMissing)),
            ("PUT", Version::HTTP_10, "", Err(E::ContentLengthMissing)),
            ("DELETE", Version::HTTP_10, "", Ok(Framing::Empty)),
            ("POST", Version::HTTP_11, "", Ok(Framing::Empty)),
            ("POST", Version::HTTP_10, "Content-Length: 0\r\n", Ok(Framing::Empty)),
            ("POST", Version::HTTP_11, "content-LENGTH:005\r\n", Ok(Framing::Length(5))),
            ("POST", Version::HTTP_10, "Content-Length:\r\n", Err(E::ContentLength)),
            ("POST", Version::HTTP_10, "Content-Length: +5\r\n", Err(E::ContentLength)),
            ("GET", Version::HTTP_11, "Content-Length: 5, 5\r\n", Err(E::ContentLength)),
            ("POST", Version::HTTP_11, "Content-Length: 5\r\nContent-Length: 5\r\n", Err(E::ContentLengthRepeated)),
            ("POST", Version::HTTP_10, CHUNKED, Err(E::TransferEncodingInHttp10)),
            ("GET", Version::HTTP_11, CHUNKED, Err(E::UnsupportedTransferCoding)),
            ("POST", Version::HTTP_11, "Transfer-Encoding: gzip, Chunked\r\n", Err(E::UnsupportedTransferCoding)),
            (
                "POST",
                Version::HTTP_11,
                "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
                Err(E::UnsupportedTransferCoding),
            ),
            ("POST", Version::HTTP_11, "Transfer-Encoding: chunked, gzip\r\n", Err(E::TransferEncoding)),
            ("POST", Version::HTTP_11, "Transfer-Encoding: identity\r\n", Err(E::TransferEncoding)),
            (
                "POST",
                Version::HTTP_11,
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                Err(E::TransferEncoding),
            ),
            ("POST", Version::HTTP_11, "Transfer-Encoding: \r\n", Err(E::TransferEncoding)),
            ("POST", Version::HTTP_11, "Transfer-Encoding: ,\r\n", Err(E::TransferEncoding)),
            ("POST", Version::HTTP_11, "Transfer-Encoding: chun ked\r\n", Err(E::TransferEncoding)),
            ("POST", Version::HTTP_11, "Transfer-Encoding: chunked;x=y\r\n", Err(E::TransferEncoding)),
            (
                "POST",
                Version::HTTP_11,
                "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                Err(E::TransferEncodingAndLength),
            ),
            ("POST", Version::HTTP_11, "Transfer-Encoding:\r\nContent-Length: 5\r\n", Err(E::TransferEncoding)),
        ] {
            let method = Method::new(method.as_bytes()).unwrap();
            let got = with_fields(lines, |fields| of_request(method, version, fields));
            assert_eq!(got, expected, "{method} {version} {lines:?}");
        }
    }

    // R1945-7.2b, R1945-7.2.2a, R9112-6.3a, R9112-7.1
    #[test]
    fn response_framing_follows_method_status_and_headers() {
        for (method, status, lines, expected) in [
            (Method::Get, 200, "Content-Length: 5\r\n", Ok(Framing::Length(5))),
            (Method::Get, 200, "Content-Length: 5\r\nContent-Length: 5\r\n", Ok(Framing::Length(5))),
            (Method::Get, 200, "Content-Length: 5, 5\r\n", Ok(Framing::Length(5))),
            (Method::Get, 200, "Content-Length: 0\r\n", Ok(Framing::Empty)),
            (Method::Get, 200, "", Ok(Framing::UntilClose)),
            (Method::Get, 200, "Content-Length: 5\r\nContent-Length: 6\r\n", Err(ResponseError::ContentLength)),
            (Method::Get, 200, "Content-Length: 5,\r\n", Err(ResponseError::ContentLength)),
            (Method::Get, 200, "Content-Length: -1\r\n", Err(ResponseError::ContentLength)),
            (Method::Get, 200, "Content-Length: 18446744073709551616\r\n", Err(ResponseError::ContentLength)),
            (Method::Get, 200, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Ok(Framing::Chunked)),
            (Method::Get, 200, "Transfer-Encoding: gzip, chunked\r\n", Err(ResponseError::TransferEncoding)),
            (Method::Get, 200, "Transfer-Encoding: identity\r\n", Err(ResponseError::TransferEncoding)),
            (Method::Head, 200, "Content-Length: 5\r\n", Ok(Framing::Empty)),
            (Method::Get, 204, "Content-Length: 5\r\n", Ok(Framing::Empty)),
            (Method::Get, 304, "Transfer-Encoding: chunked\r\n", Ok(Framing::Empty)),
            (Method::Get, 100, "Content-Length: x\r\n", Ok(Framing::Empty)),
        ] {
            let status = Status::new(status).unwrap();
            assert_eq!(
                with_fields(lines, |fields| of_response(method, status, fields)),
                expected,
                "{status} {lines:?}"
            );
        }
    }
}
