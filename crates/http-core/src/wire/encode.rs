//! Serialises heads. Only validated values come in, so no line can be injected into a head. The headers that frame a
//! message or control the connection are written here and nowhere else.

use alloc::vec::Vec;

use crate::message::date::DateText;
use crate::message::field::{FieldBlock, FieldName, header};
use crate::message::method::Method;
use crate::message::status::Status;

/// The body that the caller must send after the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum SendBody {
    /// None: the message is complete.
    None,
    /// Exactly this many bytes, 1 or more. Report them by `body_sent`.
    Exactly(u64),
    /// Any number of bytes, then [`finish_body`](crate::server::Connection::finish_body). For responses only.
    UntilClose,
}

/// The contents of a response head.
pub(crate) struct ResponseHead<'a> {
    pub(crate) status: Status,
    pub(crate) date: Option<DateText>,
    pub(crate) keep_alive: bool,
    /// The headers hold Upgrade, which Connection must name (RFC 9110 §7.8).
    pub(crate) upgrade: bool,
    /// For how many seconds a kept connection may be idle.
    pub(crate) idle_seconds: Option<u64>,
    pub(crate) length: Option<u64>,
    pub(crate) fields: &'a FieldBlock,
}

/// Appends a response head (R1945-6.1a, R1945-3.1d, R9112-4, R9110-6.6.1).
pub(crate) fn response_head(head: &ResponseHead<'_>, out: &mut Vec<u8>) {
    put(out, &[b"HTTP/1.0 ", &head.status.digits(), b" ", head.status.reason().as_bytes(), b"\r\n"]);
    if let Some(date) = head.date {
        put(out, &[b"Date: ", date.as_bytes(), b"\r\n"]);
    }
    // Always written: without `keep-alive`, an HTTP/1.1 client expects an HTTP/1.0 server to close (D15, R9112-9.3c).
    let options: &[u8] = match (head.keep_alive, head.upgrade) {
        (true, false) => b"keep-alive",
        (false, false) => b"close",
        (true, true) => b"keep-alive, upgrade",
        (false, true) => b"close, upgrade",
    };
    put(out, &[b"Connection: ", options, b"\r\n"]);
    if let (true, Some(seconds)) = (head.keep_alive, head.idle_seconds) {
        let (digits, from) = decimal(seconds);
        put(out, &[b"Keep-Alive: timeout=", &digits[from..], b"\r\n"]); // R2068-19.7.1d
    }
    finish(out, head.length, head.fields);
}

/// The contents of a request head.
pub(crate) struct RequestHead<'a> {
    pub(crate) method: Method<'a>,
    /// The request-target, in pieces to be joined.
    pub(crate) target: [&'a str; 5],
    pub(crate) host: &'a str,
    pub(crate) keep_alive: bool,
    pub(crate) length: Option<u64>,
    pub(crate) fields: &'a FieldBlock,
}

/// Appends a request head, with Host first (R1945-5.1, R1945-3.1d, R9110-7.2).
pub(crate) fn request_head(head: &RequestHead<'_>, out: &mut Vec<u8>) {
    put(out, &[head.method.as_str().as_bytes(), b" "]);
    put(out, &head.target.map(str::as_bytes));
    put(out, &[b" HTTP/1.0\r\n"]);
    field(out, header::HOST, head.host.as_bytes());
    put(out, &[b"Connection: ", if head.keep_alive { b"keep-alive" } else { b"close" }, b"\r\n"]);
    finish(out, head.length, head.fields);
}

fn finish(out: &mut Vec<u8>, length: Option<u64>, fields: &FieldBlock) {
    if let Some(length) = length {
        let (digits, from) = decimal(length);
        put(out, &[b"Content-Length: ", &digits[from..], b"\r\n"]);
    }
    put(out, &[fields.as_bytes(), b"\r\n"]);
}

fn field(out: &mut Vec<u8>, name: FieldName<'_>, value: &[u8]) {
    put(out, &[name.as_str().as_bytes(), b": ", value, b"\r\n"]);
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// The decimal digits of a number, right-aligned: they begin at the returned index.
fn decimal(mut number: u64) -> ([u8; 20], usize) {
    let mut digits = [b'0'; 20];
    let mut from = 19;
    loop {
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return (digits, from);
        }
        from -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::field::FieldValue;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn decimal_writes_the_digits_of_a_number() {
        for number in [0, 9, 10, 1234567890, u64::MAX] {
            let (digits, from) = decimal(number);
            assert_eq!(&digits[from..], number.to_string().as_bytes());
        }
    }

    // R1945-6.1a, R1945-3.1d, R9112-4
    #[test]
    fn response_head_has_status_line_and_headers() {
        let mut fields = FieldBlock::new();
        fields.push(header::CONTENT_TYPE, FieldValue::from_static("text/html")).unwrap();
        let mut out = Vec::new();
        let head = |keep_alive, idle_seconds| ResponseHead {
            status: Status::OK,
            date: None,
            keep_alive,
            upgrade: false,
            idle_seconds,
            length: Some(12),
            fields: &fields,
        };
        for (keep_alive, idle_seconds, connection) in [
            (true, None, "keep-alive"),
            (true, Some(75), "keep-alive\r\nKeep-Alive: timeout=75"), // R2068-19.7.1d: only with the token
            (false, Some(75), "close"),
        ] {
            out.clear();
            response_head(&head(keep_alive, idle_seconds), &mut out);
            let rest = "Content-Length: 12\r\nContent-Type: text/html\r\n\r\n";
            assert_eq!(out, format!("HTTP/1.0 200 OK\r\nConnection: {connection}\r\n{rest}").as_bytes());
        }

        out.clear();
        let unnamed = Status::new(299).unwrap();
        let fields = FieldBlock::new();
        let head = ResponseHead {
            status: unnamed,
            date: None,
            keep_alive: false,
            upgrade: false,
            idle_seconds: None,
            length: None,
            fields: &fields,
        };
        response_head(&head, &mut out);
        assert_eq!(out, b"HTTP/1.0 299 \r\nConnection: close\r\n\r\n", "the space remains without a reason phrase");
    }
}
