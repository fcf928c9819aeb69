//! Tests the client machine with the responses that a server may send: complete, in pieces, truncated and hostile.
// Makes Clippy treat the helpers as test code, too.
#![cfg(test)]

use http_core::client::{Connection, Event, Leniency, Phase, Request, SendBody};
use http_core::{
    Authority, CloseReason, FieldBlock, FieldValue, Framing, Limits, Method, ResponseError, Target, UsageError,
    Version, Workspace, header,
};
use proptest::prelude::*;

/// What a caller sees of one response.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    status: u16,
    head: Vec<u8>,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    end: End,
}

#[derive(Debug, Default, PartialEq)]
enum End {
    /// The response is incomplete.
    #[default]
    Open,
    /// The response is complete, and the connection may be used again.
    Kept,
    /// The response is complete, and the connection may not be used again.
    Closed,
    Error(ResponseError),
    /// The response is complete, and an error followed.
    WholeThen(ResponseError),
}
use End::{Closed, Kept};
use ResponseError as E;

fn error(error: E) -> End {
    End::Error(error)
}

/// A connection that has sent a request with `keep-alive`.
fn asked(method: Method<'_>) -> Connection {
    let mut connection = Connection::new(Limits::default());
    ask(&mut connection, method).unwrap();
    connection
}

fn ask(connection: &mut Connection, method: Method<'_>) -> Result<(), UsageError> {
    let host = Authority::new(b"example.org").unwrap();
    let target = Target::new(b"/a").unwrap();
    let fields = FieldBlock::new();
    let request = Request { keep_alive: true, ..Request::new(method, target, host, &fields) };
    assert_eq!(connection.request(&request, &mut Vec::new())?, SendBody::None);
    Ok(())
}

/// Receives `bytes` in pieces, then the end of the stream.
fn receive(connection: &mut Connection, bytes: &[u8], piece: usize) -> Seen {
    let mut seen = Seen::default();
    for piece in bytes.chunks(piece.max(1)) {
        let mut rest = piece;
        while !rest.is_empty() && seen.end == End::Open {
            let space = connection.receive_buffer();
            let n = space.len().min(rest.len());
            assert!(n > 0, "there is space after NeedInput");
            space[..n].copy_from_slice(&rest[..n]);
            connection.received(n);
            rest = &rest[n..];
            poll(connection, &mut seen);
        }
        if matches!(seen.end, End::Kept) && !rest.is_empty() {
            connection.receive_buffer()[0] = rest[0];
            connection.received(1);
        }
    }
    if matches!(seen.end, End::Kept) && connection.can_reuse() {
        return seen;
    }
    connection.received_eof();
    poll(connection, &mut seen);
    seen
}

fn poll(connection: &mut Connection, seen: &mut Seen) {
    loop {
        match connection.poll() {
            Ok(Event::NeedInput) => return,
            Ok(Event::Response(head)) => {
                assert_eq!(seen.status, 0, "one response per request");
                seen.status = head.status.code();
                seen.head = head.bytes.to_vec();
                seen.fields = head.fields.iter().map(|(n, v)| (n.to_string(), v.as_bytes().to_vec())).collect();
            }
            Ok(Event::Body(bytes)) => {
                assert!(!bytes.is_empty());
                seen.body.extend_from_slice(bytes);
            }
            Ok(Event::ResponseEnd) => seen.end = if connection.phase() == Phase::Idle { Kept } else { Closed },
            Ok(Event::Closed) => return assert!(matches!(seen.end, Kept | Closed)),
            Ok(event) => panic!("{event:?}"),
            Err(error) => {
                assert!(!connection.can_reuse());
                seen.end = match seen.end {
                    Kept | Closed | End::WholeThen(_) => End::WholeThen(error),
                    _ => End::Error(error),
                };
                return;
            }
        }
    }
}

/// Receives the bytes whole and in small pieces, which must give the same result.
fn received(method: Method<'_>, bytes: &[u8]) -> Seen {
    let whole = receive(&mut asked(method), bytes, usize::MAX);
    for piece in [1, 2, 3, 7] {
        let pieces = receive(&mut asked(method), bytes, piece);
        assert_eq!(pieces, whole, "pieces of {piece}: {}", bytes.escape_ascii());
    }
    whole
}

fn get(bytes: &str) -> Seen {
    received(Method::Get, bytes.as_bytes())
}

// R1945-3.1e, R1945-6.1b, R1945-6.1.1a, R1945-6.1.1b, R1945-7.1, R1945-7.2.2a, R1945-Ba, R1945-Bb, R1945-10.4,
// R9112-2.2a, R9112-2.2b, R9112-2.2c, R9112-4, R9112-5.1b, R9112-6.1b, R9112-6.3a, R9112-6.3b, R9112-6.3d, R9112-7.1,
// R9112-8, R9110-5.5, R9110-8.6b, R9110-15.2
#[test]
fn response_is_read_or_rejected() {
    for (response, status, body, end) in [
        ("HTTP/1.0 200\r\n\r\n", 200, "", Closed),
        ("HTTP/1.0 200 \r\n\r\n", 200, "", Closed),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, "ab", Kept),
        ("HTTP/1.7 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, "ab", Kept),
        ("HTTP/1.0 200 OK\nX: y\n\nab", 200, "ab", Closed),
        ("HTTP/1.0  200  OK\r\n\r\nab", 200, "ab", Closed),
        ("HTTP/1.0 299 so so\r\n\r\nab", 299, "ab", Closed),
        ("HTTP/1.0 777 \x7e\r\nContent-Length: 1\r\n\r\na", 777, "a", Closed),
        ("HTTP/1.0 500 \r\n\r\nthe reason", 500, "the reason", Closed),
        ("HTTP/1.0 200 OK\r\nX:\r\nY:  z \r\nX: 2\r\n\r\n", 200, "", Closed),
        ("<html>first</html>", 0, "", error(E::NotHttp)),
        ("\r\nHTTP/1.0 200 OK\r\n\r\n", 0, "", error(E::NotHttp)),
        ("SSH-2.0-OpenSSH_9.2\r\n", 0, "", error(E::NotHttp)),
        ("ICY 200 OK\r\n\r\n", 0, "", error(E::NotHttp)),
        ("http/1.0 200 OK\r\n\r\n", 0, "", error(E::NotHttp)),
        ("HTTP/2.0 200 OK\r\n\r\n", 0, "", error(E::VersionNotSupported)),
        ("HTTP/0.9 200 OK\r\n\r\n", 0, "", error(E::VersionNotSupported)),
        ("HTTP/1.10 200 OK\r\n\r\n", 0, "", error(E::StatusLine)),
        ("HTTP/1.0 099 x\r\n\r\n", 0, "", error(E::StatusLine)),
        ("HTTP/1.0 1000 x\r\n\r\n", 0, "", error(E::StatusLine)),
        ("HTTP/1.0 20x\r\n\r\n", 0, "", error(E::StatusLine)),
        ("HTTP/1.0 +20 x\r\n\r\n", 0, "", error(E::StatusLine)),
        ("HTTP/1.0 200 O\rK\r\n\r\n", 0, "", error(E::StatusLine)),
        // A Content-Length and a body.
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nab", 200, "ab", error(E::BodyTruncated)),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nabc", 200, "ab", Closed),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\n\r\n",
            200,
            "ab",
            End::WholeThen(E::Unsolicited),
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\r\n", 200, "", End::WholeThen(E::Unsolicited)),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab", 200, "ab", Closed),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", 0, "", error(E::ContentLength)),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2, 3\r\n\r\nabc", 0, "", error(E::ContentLength)),
        ("HTTP/1.0 200 OK\r\nContent-Length: +5\r\n\r\nabcde", 0, "", error(E::ContentLength)),
        ("HTTP/1.0 200 OK\r\nContent-Length: -1\r\n\r\nabcde", 0, "", error(E::ContentLength)),
        ("HTTP/1.0 200 OK\r\nContent-Length:\r\n\r\nabcde", 0, "", error(E::ContentLength)),
        ("HTTP/1.0 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\na", 0, "", error(E::ContentLength)),
        ("HTTP/1.0 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\na", 200, "a", error(E::BodyTruncated)),
        // Chunks are decoded.
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 200, "ab", Kept),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            200,
            "ab",
            Closed,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n1\r\na\r\n0\r\n\r\n",
            200,
            "a",
            Closed,
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0, "", error(E::TransferEncoding)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 0, "", error(E::TransferEncoding)),
        // Interim responses.
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nab", 200, "ab", Closed),
        ("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", 200, "a", Kept),
        ("HTTP/1.1 100 Continue\r\n\r\n", 0, "", error(E::NoResponse)),
        ("HTTP/1.1 100 Continue\r\n\r\n<html>", 0, "", error(E::NotHttp)),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n\0\0\0", 0, "", error(E::UnexpectedUpgrade)),
        // Headers.
        ("HTTP/1.0 200 OK\r\nX: a\rb\r\n\r\n", 0, "", error(E::FieldSyntax)),
        ("HTTP/1.0 200 OK\r\nX: a\0b\r\n\r\n", 0, "", error(E::FieldSyntax)),
        ("HTTP/1.0 200 OK\r\nX : y\r\n\r\n", 0, "", error(E::FieldSyntax)),
        ("HTTP/1.0 200 OK\r\nno field\r\n\r\n", 0, "", error(E::FieldSyntax)),
        ("HTTP/1.0 200 OK\r\n X: y\r\n\r\n", 0, "", error(E::FieldSyntax)),
        ("HTTP/1.1 100 Continue\r\nX: a\0b\r\n\r\nHTTP/1.0 200 OK\r\n\r\n", 0, "", error(E::FieldSyntax)),
        // Ends.
        ("", 0, "", error(E::NoResponse)),
        ("HTTP", 0, "", error(E::HeadTruncated)),
        ("HTTP/1.0 200 OK\r\n", 0, "", error(E::HeadTruncated)),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the close", 200, "until the close", Closed),
    ] {
        let seen = get(response);
        assert_eq!((seen.status, seen.body.as_slice(), seen.end), (status, body.as_bytes(), end), "{response:?}");
    }
}

// D18: each response is refused without its own option, and accepted with it, in any pieces. Then the connection closes.
#[test]
fn malformed_response_is_accepted_only_with_its_leniency() {
    const NONE: Leniency = Leniency::NONE;
    let joined = Leniency { joined_reason: true, ..NONE };
    let double_cr = Leniency { double_cr: true, ..NONE };
    let invalid = Leniency { invalid_fields: true, ..NONE };
    let uncoded = Leniency { empty_transfer_encoding: true, ..NONE };
    let all = [joined, double_cr, invalid, uncoded];
    let length = "Content-Length: 2\r\nConnection: keep-alive\r\n";
    let ok = format!("HTTP/1.0 200 OK\r\n{length}");
    for (option, response, status, fields, strict) in [
        (joined, format!("HTTP/1.0 404Not Found\r\n{length}\r\nab"), 404, 2, E::StatusLine),
        (joined, format!("HTTP/1.1  200OK\r\n{length}\r\nab"), 200, 2, E::StatusLine),
        (joined, format!("HTTP/1.0 500-x\r\n{length}\r\nab"), 500, 2, E::StatusLine),
        (double_cr, ok.replace("\r\n", "\r\r\n") + "\r\r\nab", 200, 2, E::StatusLine),
        (double_cr, format!("{ok}\r\r\nab"), 200, 2, E::HeadTruncated),
        (double_cr, format!("HTTP/1.0 200 OK\r\r\n{length}X: a\r\r\n b\r\r\n\r\nab"), 200, 3, E::StatusLine),
        (invalid, format!("HTTP/1.0 200 OK\r\nIP Camera\r\n{length}\r\nab"), 200, 2, E::FieldSyntax),
        (invalid, format!("{ok}Set-Cookie: a=\x01b\r\nX: y\r\n\r\nab"), 200, 3, E::FieldSyntax),
        (invalid, format!("{ok}Set-Cookie: a\0\r\n b\r\n\r\nab"), 200, 2, E::FieldSyntax),
        (
            invalid,
            format!("{ok}X: a\x0c\r\nX: \x7f\r\n: y\r\nX Y: z\r\nX : y\r\nX: a\rb\r\n\r\nab"),
            200,
            2,
            E::FieldSyntax,
        ),
        (uncoded, format!("{ok}Transfer-Encoding:\r\n\r\nab"), 200, 2, E::TransferEncoding),
        (uncoded, format!("HTTP/1.1 200 OK\r\ntransfer-encoding: \t\r\n{length}\r\nab"), 200, 2, E::TransferEncoding),
        (uncoded, format!("{ok}Transfer-Encoding: Identity\r\n\r\nab"), 200, 2, E::TransferEncoding),
    ] {
        let shown = response.escape_debug();
        let read = |leniency: Leniency, piece| {
            let mut connection = asked(Method::Get).with_leniency(leniency);
            let seen = receive(&mut connection, response.as_bytes(), piece);
            (seen, connection.close_reason())
        };
        for piece in [usize::MAX, 1, 2, 3, 7] {
            for other in all.into_iter().filter(|other| *other != option).chain([NONE]) {
                assert_eq!(read(other, piece).0.end, error(strict), "{shown}");
            }
            for leniency in [option, Leniency::ALL] {
                let (seen, why) = read(leniency, piece);
                assert_eq!(
                    (seen.status, seen.fields.len(), seen.body.as_slice()),
                    (status, fields, &b"ab"[..]),
                    "{shown}"
                );
                assert_eq!((seen.end, why), (Closed, Some(CloseReason::LenientParse)), "{shown}");
                assert_eq!(seen.head, response.as_bytes()[..response.len() - 2], "the head as it was received");
            }
        }
    }
}

// D18: what could hide where the body ends is an error with any leniency, and so is a limit that is exceeded.
#[test]
fn leniency_never_hides_framing() {
    for (response, expected) in [
        ("HTTP/1.0 2000K\r\n\r\n".into(), E::StatusLine),
        ("HTTP/1.0 20OK\r\n\r\n".into(), E::StatusLine),
        ("HTTP/1.0200 OK\r\n\r\n".into(), E::StatusLine),
        ("HTTP/1.0 200 OK\r\r\r\n\r\n".into(), E::StatusLine),
        ("HTTP/1.0 200 OK\r\nContent-Length : 2\r\n\r\n".into(), E::FieldSyntax),
        ("HTTP/1.0 200 OK\r\nContent-Length 2\r\n\r\n".into(), E::FieldSyntax),
        ("HTTP/1.0 200 OK\r\ncontent-length\0: 2\r\n\r\n".into(), E::FieldSyntax),
        ("HTTP/1.0 200 OK\r\nX: a\rContent-Length: 2\r\n\r\n".into(), E::FieldSyntax),
        // For curl, a line that begins with CR ends the head.
        ("HTTP/1.0 200 OK\r\n\rX: a\r\n\r\n".into(), E::FieldSyntax),
        ("HTTP/1.0 200 OK\r\n\r\r\r\nX: a\r\n\r\n".into(), E::FieldSyntax),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n".into(), E::FieldSyntax),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\x01\r\n\r\n".into(), E::FieldSyntax),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2, 3\r\nno colon\r\n\r\n".into(), E::FieldSyntax),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding:\r\n\r\n".into(), E::TransferEncoding),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\r\n".into(), E::TransferEncoding),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\r\na\r\n0\r\n\r\n".into(), E::InvalidChunk),
        (format!("HTTP/1.0 200 OK\r\n{}\r\n", "no colon\r\n".repeat(101)), E::HeadTooLong),
        ("ICY 200 OK\r\n\r\n".into(), E::NotHttp),
    ] {
        for piece in [usize::MAX, 1, 2, 3, 7] {
            let seen = receive(&mut asked(Method::Get).with_leniency(Leniency::ALL), response.as_bytes(), piece);
            assert_eq!(seen.end, error(expected), "{response:?}");
        }
    }
}

// D18: what needs no leniency is read the same with it. An interim response that needs it ends the connection, too.
#[test]
fn leniency_changes_nothing_for_a_valid_response() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.0 200 OK\nX: y\n\nab",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    ] {
        for piece in [usize::MAX, 1, 2, 3, 7] {
            let lenient = receive(&mut asked(Method::Get).with_leniency(Leniency::ALL), response.as_bytes(), piece);
            assert_eq!(lenient, receive(&mut asked(Method::Get), response.as_bytes(), piece), "{response:?}");
        }
    }
    let interim = b"HTTP/1.1 103Hints\r\nno colon\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
    let seen = receive(&mut asked(Method::Get).with_leniency(Leniency::ALL), interim, usize::MAX);
    assert_eq!((seen.status, seen.body.as_slice(), seen.end), (200, &b"a"[..], Closed));
}

// R1945-7.2b, R9110-15.3.6: no body, whatever the headers say. Bytes that follow are not a response.
#[test]
fn head_204_205_and_304_responses_have_no_body() {
    for (method, response, end) in [
        (Method::Head, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", Closed),
        (Method::Head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Kept),
        (Method::Head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbogus", End::WholeThen(E::Unsolicited)),
        (Method::Head, "HTTP/1.0 200 OK\r\n\r\nbogus", Closed),
        (Method::Head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Kept),
        (Method::Get, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Closed),
        (Method::Get, "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", Kept),
        (Method::Get, "HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nbogus", Closed),
        (Method::Get, "HTTP/1.0 205 Reset Content\r\n\r\nbogus", Closed),
        (Method::Get, "HTTP/1.0 204 No Content\r\n\r\nbogus", Closed),
        (Method::Get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Kept),
        (Method::Get, "HTTP/1.0 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbogus\r\n0\r\n\r\n", Closed),
    ] {
        let seen = received(method, response.as_bytes());
        assert_eq!((seen.body, seen.end), (Vec::new(), end), "{response:?}");
    }
}

// R9110-8.6a: the length that a proxy passes on.
#[test]
fn content_length_is_reported_unless_it_is_ambiguous() {
    for (method, response, length) in [
        (Method::Get, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", Some(5)),
        (Method::Get, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", Some(0)),
        (Method::Get, "HTTP/1.0 200 OK\r\n\r\n", None),
        (Method::Get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", None),
        (Method::Head, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", Some(5)),
        (Method::Head, "HTTP/1.0 200 OK\r\nContent-Length: 5, 6\r\n\r\n", None),
        (Method::Head, "HTTP/1.0 200 OK\r\n\r\n", None),
        (Method::Get, "HTTP/1.0 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Some(5)),
        (Method::Get, "HTTP/1.0 204 No Content\r\n\r\n", None),
    ] {
        let mut connection = asked(method);
        connection.receive_buffer()[..response.len()].copy_from_slice(response.as_bytes());
        connection.received(response.len());
        let Ok(Event::Response(head)) = connection.poll() else { panic!("{response:?}") };
        assert_eq!(head.content_length(), length, "{method} {response:?}");
    }
}

// R1945-7.1, R1945-10.12, R1945-D.2.7, R2068-19.7.1d, R9112-C.2.2: they change neither the body nor its end.
#[test]
fn unknown_headers_do_not_change_the_body() {
    for field in [
        "MIME-Version: 1.0",
        "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64",
        "Content-Type: multipart/mixed; boundary=a",
        "Content-Encoding: gzip",
        "Pragma: no-cache, unheard=of",
        "Upgrade: h2c",
        "X-Unheard-Of: of",
        "Keep-Alive: timeout=0, max=0",
        "Proxy-Connection: close",
        "Trailer: Content-Length",
        "Content-Range: bytes 0-0/1",
    ] {
        let seen = get(&format!("HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: 8\r\n\r\naGk=\r\n--"));
        assert_eq!((seen.body.as_slice(), seen.end), (&b"aGk=\r\n--"[..], Kept), "{field}");
    }
}

// R1945-2.2b, R9112-5.2: joined in every version and every header. The raw head stays as it was received.
#[test]
fn folded_header_is_joined() {
    for version in ["1.0", "1.1"] {
        let head = format!("HTTP/{version} 302 Found\r\nLocation: /a\r\n\t b\nContent-Length:\r\n 1\r\n\r\n");
        let seen = get(&format!("{head}x"));
        assert_eq!(seen.head, head.as_bytes());
        let fields: Vec<_> = seen.fields.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
        assert_eq!(fields, [("Location", &b"/a  \t b"[..]), ("Content-Length", b"1")]);
        assert_eq!(
            (seen.body.as_slice(), seen.end),
            (&b"x"[..], Closed),
            "another recipient might read it differently"
        );
    }
}

// R9112-4, R1945-2.2c
#[test]
fn head_is_reported_with_its_raw_bytes() {
    let mut connection = asked(Method::Get);
    let head = b"HTTP/1.1   404 \t nicht  gef\xfcnden \r\nX:  y \r\nServer:\r\n\r\n";
    connection.receive_buffer()[..head.len()].copy_from_slice(head);
    connection.received(head.len());
    let Ok(Event::Response(response)) = connection.poll() else { panic!() };
    assert_eq!((response.version, response.status.code()), (Version::HTTP_11, 404));
    assert_eq!(response.reason, b"nicht  gef\xfcnden ");
    assert_eq!((response.bytes, response.body), (&head[..], Framing::UntilClose));
    assert_eq!(response.fields.get(header::SERVER).unwrap().as_bytes(), b"");
    // The Debug output helps the reader and shows no byte that might be a secret.
    let (head, machine) = (format!("{response:?}"), format!("{connection:?}"));
    assert!(head.contains("nicht  gef\\xfcnden") && head.contains("UntilClose") && !head.contains("bytes"), "{head}");
    assert!(machine.contains("UnknownLength") && !machine.contains("nicht"), "{machine}");
}

// R9112-7.1, R9112-2.2c, V13
#[test]
fn chunks_are_read_strictly() {
    let limits = Limits::default();
    let long = "x".repeat(limits.start_line as usize);
    let many = "X: y\r\n".repeat(usize::from(limits.fields) + 1);
    let large = format!("0\r\n{}\r\n", format!("X: {}\r\n", "y".repeat(8000)).repeat(3));
    for (chunks, body, end) in [
        ("5\r\nabcde\r\n0\r\n\r\n", "abcde", Kept),
        ("5\r\nabcde\r\n00\r\n\r\n", "abcde", Kept),
        ("000000000000000000005\r\nabcde\r\n0\r\n\r\n", "abcde", Kept),
        ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", Kept),
        ("1;name=\"v\\\"al\"\r\na\r\n1 ; x\r\nb\r\n0;last\r\n\r\n", "ab", Kept),
        ("1\r\na\r\n0\r\nTrailer: dropped\r\nContent-Length: 9\r\n\r\n", "a", Kept),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", Kept),
        ("0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "", End::WholeThen(E::Unsolicited)),
        // Chunk sizes.
        ("\r\n", "", error(E::InvalidChunk)),
        ("+5\r\nabcde\r\n0\r\n\r\n", "", error(E::InvalidChunk)),
        ("-1\r\n", "", error(E::InvalidChunk)),
        ("0x5\r\nabcde\r\n", "", error(E::InvalidChunk)),
        (" 5\r\nabcde\r\n", "", error(E::InvalidChunk)),
        // Blanks may follow a size, as embedded servers and Apache 1.3 send them, but nothing else.
        ("5   \r\nabcde\r\n0 \t\r\n\r\n", "abcde", Kept),
        ("5 \t;x\r\nabcde\r\n0 ;\r\n\r\n", "abcde", Kept),
        ("5\x0b\r\nabcde\r\n", "", error(E::InvalidChunk)),
        ("5 \r \r\nabcde\r\n", "", error(E::InvalidChunk)),
        ("5 \nabcde\r\n", "", error(E::InvalidChunk)),
        ("5 5\r\nabcde\r\n", "", error(E::InvalidChunk)),
        ("5_0\r\n", "", error(E::InvalidChunk)),
        ("g\r\n", "", error(E::InvalidChunk)),
        (";x\r\n", "", error(E::InvalidChunk)),
        ("10000000000000000\r\na", "", error(E::InvalidChunk)),
        ("ffffffffffffffffff\r\na", "", error(E::InvalidChunk)),
        ("ffffffffffffffff\r\na", "a", error(E::BodyTruncated)),
        // Line ends.
        ("1\na\r\n0\r\n\r\n", "", error(E::InvalidChunk)),
        ("1\r\na\n0\r\n\r\n", "a", error(E::InvalidChunk)),
        ("1\r\nab\r\n0\r\n\r\n", "a", error(E::InvalidChunk)),
        ("1\r\na0\r\n\r\n", "a", error(E::InvalidChunk)),
        ("1\r\na\r0\r\n\r\n", "a", error(E::InvalidChunk)),
        ("1;a\rb\r\na\r\n0\r\n\r\n", "", error(E::InvalidChunk)),
        ("1;a\0b\r\na\r\n0\r\n\r\n", "", error(E::InvalidChunk)),
        ("0\r\n\n", "", error(E::InvalidChunk)),
        // Trailers and extensions have limits.
        ("0\r\nno field\r\n\r\n", "", error(E::InvalidChunk)),
        ("0\r\nX: a\r\n b\r\n\r\n", "", error(E::InvalidChunk)),
        (&format!("1;{long}\r\na\r\n0\r\n\r\n"), "", error(E::InvalidChunk)),
        (&format!("0\r\n{many}\r\n"), "", error(E::InvalidChunk)),
        (&large, "", error(E::InvalidChunk)),
        // Ends.
        ("", "", error(E::BodyTruncated)),
        ("0\r\n", "", error(E::BodyTruncated)),
        ("1\r\na\r\n", "a", error(E::BodyTruncated)),
    ] {
        let seen = get(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n{chunks}"));
        assert_eq!((seen.body.as_slice(), seen.end), (body.as_bytes(), end), "{:.99}", chunks.escape_debug());
    }
}

// R9112-7.1.1, V20: a server that sends many bytes for each byte of data is stopped.
#[test]
fn extensions_of_all_chunks_together_are_limited() {
    let limit = Limits::default().head as usize;
    let chunked = |line: &str, count: usize| {
        let body = format!("{line}\r\na\r\n").repeat(count);
        let seen = get(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n"));
        (seen.body.len(), seen.end)
    };
    for (line, extra) in [
        ("1;a", 2),
        (&*format!("1;{}", "x".repeat(63)), 64),
        (&*format!("1{};x=\"y\"", " ".repeat(26)), 17),
        (&*format!("1{}", " ".repeat(1039)), 1024),
        (&*format!("{}1", "0".repeat(4111)), 4096),
    ] {
        let most = limit / extra;
        assert_eq!(chunked(line, most), (most, Kept), "{line:.20}");
        assert_eq!(chunked(line, most + 1), (most, error(E::InvalidChunk)), "{line:.20}");
    }
    // The padding of sizes to a fixed width is no extension.
    for line in ["1", "00000001", "1       ", "000000000000001 "] {
        assert_eq!(chunked(line, 4000), (4000, Kept), "{line}");
    }
}

// R9112-8, R9112-6.3b, R9112-7.1: a cut after any byte is told from the proper end.
#[test]
fn truncation_at_any_byte_is_an_error() {
    for (head, body) in [
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", "Hello world!"),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "5;x=y\r\nHello\r\n7\r\n world!\r\n0\r\nX: y\r\n\r\n",
        ),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 12\r\n\r\n", "Hello world!"),
        ("HTTP/1.0 200 OK\nContent-Length: 12\n\n", "Hello world!"),
    ] {
        let whole = format!("{head}{body}");
        let last_head = head.find("HTTP/1.1 200").unwrap_or(0);
        assert_eq!(get(&whole).body, b"Hello world!");
        for cut in 0..whole.len() {
            let seen = get(&whole[..cut]);
            let expected = match cut {
                0 => E::NoResponse,
                _ if cut == last_head => E::NoResponse,
                _ if cut < head.len() => E::HeadTruncated,
                _ => E::BodyTruncated,
            };
            assert!(expected.is_truncated());
            assert_eq!(seen.end, error(expected), "{:?}", &whole[..cut]);
            assert!(b"Hello world!".starts_with(&seen.body));
        }
    }
}

// R9110-15.2, R9110-2.3
#[test]
fn interim_responses_are_limited() {
    for (count, end) in [(0, Closed), (8, Closed), (9, error(E::TooManyInterim)), (1000, error(E::TooManyInterim))] {
        let response = "HTTP/1.1 102 Processing\r\nX: y\r\n\r\n".repeat(count) + "HTTP/1.0 200 OK\r\n\r\n";
        assert_eq!(get(&response).end, end, "{count}");
    }
}

// R9110-2.3, V20: a head of any size uses no more memory than the limit.
#[test]
fn head_is_limited() {
    for (response, end) in [
        (format!("HTTP/1.0 200 {}\r\n\r\n", "x".repeat(8192 - 13)), Closed),
        (format!("HTTP/1.0 200 {}\r\n\r\n", "x".repeat(8192 - 12)), error(E::HeadTooLong)),
        (format!("HTTP/1.0 200 OK\r\nX: {}\r\n\r\n", "x".repeat(8189)), Closed),
        (format!("HTTP/1.0 200 OK\r\nX: {}\r\n\r\n", "x".repeat(8190)), error(E::HeadTooLong)),
        (format!("HTTP/1.0 200 OK\r\n{}\r\n", "X: y\r\n".repeat(100)), Closed),
        (format!("HTTP/1.0 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101)), error(E::HeadTooLong)),
        (format!("HTTP/1.0 200 OK\r\n{}\r\n", "X: y\r\n".repeat(100_000)), error(E::HeadTooLong)),
        (format!("HTTP/1.0 200 OK\r\nX:{}\r\n\r\n", "\r\n y".repeat(10_000)), error(E::HeadTooLong)),
        ("HTTP/".to_owned() + &"1".repeat(100_000), error(E::HeadTooLong)),
    ] {
        assert_eq!(get(&response).end, end, "{:.30}", response);
    }
}

// A limit below five bytes gives the same result however the response is split.
#[test]
fn smallest_limits_give_the_same_result_in_any_pieces() {
    for (start_line, response, end) in [
        (0, "", error(E::NoResponse)),
        (0, "X", error(E::NotHttp)),
        (0, "HX", error(E::HeadTooLong)),
        (0, "H\n", error(E::HeadTooLong)),
        (1, "HX", error(E::NotHttp)),
        (1, "H\r\n", error(E::NotHttp)),
        (1, "HTX", error(E::HeadTooLong)),
        (3, "HTTX", error(E::NotHttp)),
        (3, "HTTP/1.0 200\r\n\r\n", error(E::HeadTooLong)),
        (12, "HTTP/1.0 200\r\n\r\n", Closed),
    ] {
        for piece in [usize::MAX, 1] {
            let mut connection = Connection::new(Limits { start_line, ..Limits::default() });
            ask(&mut connection, Method::Get).unwrap();
            assert_eq!(
                receive(&mut connection, response.as_bytes(), piece).end,
                end,
                "{start_line} {response:?} {piece}"
            );
        }
    }
}

// R1945-6b, R1945-3.1e, R1945-6.1b
#[test]
fn http_09_response_is_accepted_only_if_allowed() {
    for (response, body) in [
        ("<html>", "<html>"),
        ("\r\n", "\r\n"),
        ("HTT", "HTT"),
        ("HTML is", "HTML is"),
        ("220 ready\r\n", "220 ready\r\n"),
    ] {
        for piece in [1, usize::MAX] {
            let mut connection = Connection::new(Limits::default()).allow_http09(true);
            ask(&mut connection, Method::Get).unwrap();
            let seen = receive(&mut connection, response.as_bytes(), piece);
            assert_eq!((seen.status, seen.body.as_slice(), seen.end), (200, body.as_bytes(), Closed));
            assert!(seen.head.is_empty() && seen.fields.is_empty());
        }
    }
    for (responses, expected) in
        [("", E::NoResponse), ("HTTP/1.0 20x\r\n\r\n", E::StatusLine), ("HTTP/1.1 100 \r\n\r\n<html>", E::NotHttp)]
    {
        let mut connection = Connection::new(Limits::default()).allow_http09(true);
        ask(&mut connection, Method::Get).unwrap();
        assert_eq!(receive(&mut connection, responses.as_bytes(), 1).end, error(expected));
    }
    let mut connection = Connection::new(Limits::default()).allow_http09(true);
    ask(&mut connection, Method::Get).unwrap();
    assert_eq!(receive(&mut connection, b"HTTP/1.1 204 \r\n\r\n", 1).end, Kept);
    ask(&mut connection, Method::Get).unwrap();
    assert_eq!(
        receive(&mut connection, b"<html>", 1).end,
        error(E::NotHttp),
        "only the first response may be HTTP/0.9"
    );
}

// R2068-19.7.1a, R2068-19.7.1d, R9112-9.3a, R9112-9.6a, R9112-C.2.2, D15
#[test]
fn connection_is_reused_only_if_its_state_is_certain() {
    const LENGTH: &str = "Content-Length: 0\r\n";
    for (version, fields, kept) in [
        ("1.1", LENGTH, true),
        ("1.0", LENGTH, false),
        ("1.0", "Content-Length: 0\r\nConnection: Keep-Alive\r\n", true),
        ("1.0", "Content-Length: 0\r\nKeep-Alive: timeout=5\r\n", false),
        ("1.0", "Content-Length: 0\r\nProxy-Connection: keep-alive\r\n", false),
        ("1.1", "Content-Length: 0\r\nConnection: close\r\n", false),
        ("1.1", "Content-Length: 0\r\nConnection: keep-alive\r\nConnection: x, CLOSE\r\n", false),
        ("1.1", "", false),
        ("1.0", "Connection: keep-alive\r\n", false),
        ("1.1", "Transfer-Encoding: chunked\r\n", true),
        ("1.0", "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n", false),
        ("1.1", "Content-Length: 0\r\nX: folded\r\n too\r\n", false),
        ("1.1", "Content-Length: 0\n", false),
    ] {
        let body = if fields.contains("chunked") { "0\r\n\r\n" } else { "" };
        let response = format!("HTTP/{version} 200 OK\r\n{fields}\r\n{body}");
        for close in [false, true] {
            let mut connection = Connection::new(Limits::default());
            let (host, none) = (Authority::new(b"h").unwrap(), FieldBlock::new());
            let request =
                Request { keep_alive: !close, ..Request::new(Method::Get, Target::new(b"/").unwrap(), host, &none) };
            assert_eq!(connection.request(&request, &mut Vec::new()), Ok(SendBody::None));
            let seen = receive(&mut connection, response.as_bytes(), usize::MAX);
            assert_eq!(seen.end, if kept && !close { Kept } else { Closed }, "{response:?}");
            assert_eq!(connection.can_reuse(), kept && !close);
            assert_eq!(ask(&mut connection, Method::Get).is_ok(), kept && !close);
        }
    }
}

// R1945-7.2b, R9110-8.6a, R9110-15.3.6, R9112-6.1b: a recipient that trusts the headers of a response that must not have
// a body expects the next response elsewhere. A 304 may have the headers of the 200.
#[test]
fn connection_is_not_reused_after_a_body_that_the_status_forbids() {
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    for (status, fields, kept) in [
        (204, "", true),
        (204, "Content-Length: 0\r\n", true),
        (204, "Content-Length: 0, 00\r\n", true),
        (204, "Content-Length: 5\r\n", false),
        (204, "Content-Length: 0\r\nContent-Length: 5\r\n", false),
        (204, "Content-Length: none\r\n", false),
        (204, CHUNKED, false),
        (204, "Transfer-Encoding: gzip\r\n", false),
        (205, "", false),
        (205, "Content-Length: 0\r\n", true),
        (205, "Content-Length: 5\r\n", false),
        (205, CHUNKED, false),
        (304, "", true),
        (304, "Content-Length: 5\r\n", true),
        (304, CHUNKED, true),
        (304, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", false),
        (304, "Content-Length: none\r\n", false),
        (304, "Transfer-Encoding: identity, chunked\r\n", false),
        (304, "Transfer-Encoding:\r\n", false),
    ] {
        let seen = get(&format!("HTTP/1.1 {status} x\r\n{fields}\r\n"));
        let end = if kept { Kept } else { Closed };
        assert_eq!((seen.status, seen.body.len(), seen.end), (status, 0, end), "{status} {fields:?}");
        let old = get(&format!("HTTP/1.0 {status} x\r\nConnection: keep-alive\r\n{fields}\r\n"));
        let end = if kept && fields != CHUNKED { Kept } else { Closed };
        assert_eq!(old.end, end, "HTTP/1.0 {status} {fields:?}");
    }
    // Before the final response.
    for (interim, kept) in [
        ("X: y\r\n", true),
        ("Content-Length: 0\r\n", true),
        ("Content-Length: 9\r\n", false),
        (CHUNKED, false),
        ("X: a\r\n b\r\n", false),
        ("X: y\n", false),
    ] {
        let seen = get(&format!("HTTP/1.1 103 x\r\n{interim}\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"));
        assert_eq!((seen.body.len(), seen.end), (1, if kept { Kept } else { Closed }), "{interim:?}");
    }
}

#[test]
fn kept_connection_carries_one_response_after_another() {
    let mut connection = asked(Method::Get);
    for n in 0..3 {
        assert_eq!(ask(&mut connection, Method::Get), Err(UsageError::ConnectionBusy), "one request at a time");
        assert_eq!(connection.phase(), Phase::Head);
        let seen = receive(&mut connection, format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}").as_bytes(), 1);
        assert_eq!((seen.body, seen.end), (n.to_string().into_bytes(), Kept));
        ask(&mut connection, if n == 1 { Method::Head } else { Method::Get }).unwrap();
        if n == 1 {
            assert_eq!(receive(&mut connection, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 1).end, Kept);
            ask(&mut connection, Method::Get).unwrap();
        }
    }
    connection.received_eof();
    assert!(matches!(connection.poll(), Err(E::NoResponse)));
    assert!(matches!(connection.poll(), Err(E::NoResponse)), "the same each time");
    assert_eq!(connection.phase(), Phase::Closing);
}

// R9112-6.3d
#[test]
fn bytes_without_a_request_are_an_error() {
    let mut fresh = Connection::new(Limits::default());
    assert!(fresh.can_reuse() && matches!(fresh.poll(), Ok(Event::NeedInput)));
    fresh.receive_buffer()[0] = b'H';
    fresh.received(1);
    assert_eq!(ask(&mut fresh, Method::Get), Err(UsageError::ConnectionBusy));
    assert!(matches!(fresh.poll(), Err(E::Unsolicited)));

    let mut idle = asked(Method::Get);
    assert_eq!(receive(&mut idle, b"HTTP/1.1 204 \r\n\r\n", 9).end, Kept);
    idle.received_eof();
    assert_eq!(ask(&mut idle, Method::Get), Err(UsageError::ConnectionBusy));
    assert!(matches!(idle.poll(), Ok(Event::Closed)) && matches!(idle.poll(), Ok(Event::Closed)));
}

// A request is sent again only if a second one does no harm: RFC 9112 §9.3.1, RFC 9110 §9.2.2.
#[test]
fn request_may_be_retried_only_if_a_reused_connection_returned_nothing() {
    for (method, reused, response, retry) in [
        (Method::Get, true, "", true),
        (Method::Head, true, "", true),
        (Method::Delete, true, "", true),
        (Method::Post, true, "", false),
        (Method::Patch, true, "", false),
        (Method::new(b"MOVE").unwrap(), true, "", false),
        (Method::Get, false, "", false),
        (Method::Get, true, "H", false),
        (Method::Get, true, "HTTP/1.1 100 \r\n\r\n", false),
    ] {
        let mut connection = Connection::new(Limits::default());
        if reused {
            ask(&mut connection, Method::Get).unwrap();
            receive(&mut connection, b"HTTP/1.1 204 \r\n\r\n", 99);
        }
        assert!(!connection.can_retry());
        ask(&mut connection, method).unwrap();
        assert_eq!(connection.can_retry(), reused && (retry || !response.is_empty()), "before any response");
        let seen = receive(&mut connection, response.as_bytes(), 1);
        assert!(matches!(seen.end, End::Error(error) if error.is_truncated()));
        assert_eq!(connection.can_retry(), retry, "{method} {reused} {response:?}");
    }
}

// R9110-15.5.9: the server timed out as the request was sent. So it did not receive it, whatever the method.
#[test]
fn request_may_be_retried_if_a_408_crossed_it() {
    const TIMEOUT: &str = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 2\r\n\r\nab";
    for (method, reused, response, retry) in [
        (Method::Get, true, TIMEOUT, true),
        (Method::Post, true, TIMEOUT, true),
        (Method::Get, true, "HTTP/1.0 408 x\r\n\r\n", true),
        (Method::Get, true, "HTTP/1.1 408 x\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", true),
        (Method::Get, true, "HTTP/1.1 408 x\r\nContent-Length: 9\r\n\r\nabc", true),
        // The request came late, and the server had begun to receive it.
        (Method::Get, false, TIMEOUT, false),
        (Method::Get, true, &["HTTP/1.1 100 x\r\n\r\n", TIMEOUT].concat(), false),
        (Method::Get, true, &TIMEOUT.replace("408", "503"), false),
        (Method::Get, true, &TIMEOUT.replace("408", "400"), false),
    ] {
        let mut connection = asked(Method::Get);
        if reused {
            receive(&mut connection, b"HTTP/1.1 204 \r\n\r\n", 99);
            ask(&mut connection, method).unwrap();
        }
        assert_eq!(connection.receive(response.as_bytes()), response.len());
        assert!(matches!(connection.poll(), Ok(Event::Response(_))));
        assert_eq!(connection.can_retry(), retry, "{method} {reused} {response:?}");
        connection.received_eof();
        poll(&mut connection, &mut Seen::default());
        assert_eq!(connection.can_retry(), retry, "after its end: {method} {reused} {response:?}");
        assert!(!connection.can_reuse() || !response.contains("408"), "the server closes: {response:?}");
    }
    // On the same connection, the response to a request that was not received never comes.
    assert_eq!(get(TIMEOUT).end, Closed);
    let mut late = asked(Method::Get);
    receive(&mut late, b"HTTP/1.1 204 \r\n\r\n", 99);
    ask(&mut late, Method::Get).unwrap();
    late.receive(&TIMEOUT.as_bytes()[..TIMEOUT.len() - 1]);
    late.handle_timeout();
    poll(&mut late, &mut Seen::default());
    assert!(!late.can_retry(), "after the caller's own timeout");
}

// RFC 9112 §9.3.1, R9112-8
#[test]
fn lost_connection_is_an_error_after_what_was_received_and_never_the_end_of_a_body() {
    let lost = |came: &[u8]| {
        let mut connection = asked(Method::Get);
        receive(&mut connection, b"HTTP/1.1 204 \r\n\r\n", 99);
        ask(&mut connection, Method::Get).unwrap();
        assert_eq!(connection.receive(came), came.len());
        connection.connection_lost();
        let mut seen = Seen::default();
        poll(&mut connection, &mut seen);
        assert!(!connection.can_reuse() && connection.phase() == Phase::Closing, "{seen:?}");
        (seen, connection.can_retry())
    };
    for (came, body, retry) in [
        ("", "", true),
        ("H", "", false),
        ("HTTP/1.1 100 \r\n\r\n", "", false),
        ("HTTP/1.0 200 OK\r\n\r\nabc", "abc", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nabc", "abc", false),
    ] {
        let (seen, can_retry) = lost(came.as_bytes());
        assert_eq!((seen.end, seen.body), (error(E::ConnectionLost), body.as_bytes().to_vec()), "{came:?}");
        assert_eq!(can_retry, retry, "{came:?}");
    }
    assert_eq!(lost(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").0.end, Kept, "it was whole before");

    let mut idle = Connection::new(Limits::default());
    idle.connection_lost();
    assert!(matches!(idle.poll(), Ok(Event::Closed)) && !idle.can_reuse());
    assert_eq!(idle.close_reason(), Some(CloseReason::PeerClosed));
}

#[test]
fn timeout_is_an_error_after_what_was_received_and_no_reason_to_send_again() {
    for came in ["", "HTTP/1.0 2", "HTTP/1.0 200 OK\r\n\r\nabc", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nabc"] {
        let mut connection = asked(Method::Get);
        receive(&mut connection, b"HTTP/1.1 204 \r\n\r\n", 99);
        ask(&mut connection, Method::Get).unwrap();
        connection.receive(came.as_bytes());
        connection.handle_timeout();
        let mut seen = Seen::default();
        poll(&mut connection, &mut seen);
        assert_eq!((seen.end, connection.can_retry()), (error(E::TimedOut), false), "{came:?}");
    }
    let mut idle = Connection::new(Limits::default());
    idle.handle_timeout();
    assert!(!idle.can_reuse() && matches!(idle.poll(), Ok(Event::Closed)));
    assert_eq!(idle.close_reason(), Some(CloseReason::IdleTimeout));
}

// R2068-19.7.1a, R2068-19.7.1c, R9112-6.1b, R9112-9.3b
#[test]
fn close_reason_says_which_side_ends_the_connection() {
    let (host, fields, target) = (Authority::new(b"h").unwrap(), FieldBlock::new(), Target::new(b"/").unwrap());
    let get = Request { keep_alive: true, ..Request::new(Method::Get, target, host, &fields) };
    let none = "HTTP/1.1 204 x\r\n\r\n";
    for (request, response, reason) in [
        (get, none, None),
        (Request { keep_alive: false, ..get }, none, Some(CloseReason::CallerRequested)),
        (Request { to_proxy: true, ..get }, none, Some(CloseReason::CallerRequested)),
        (Request { body: Some(1), ..get }, none, Some(CloseReason::BodyIncomplete)),
        (get, "HTTP/1.0 204 x\r\n\r\n", Some(CloseReason::PeerRequested)),
        (get, "HTTP/1.1 204 x\nA: b\n\n", Some(CloseReason::LenientParse)),
        (get, "HTTP/1.1 200 x\r\n\r\n", Some(CloseReason::UnknownLength)),
        (get, "no head", Some(CloseReason::UnknownLength)),
    ] {
        let mut connection = Connection::new(Limits::default()).allow_http09(true);
        let _body = connection.request(&request, &mut Vec::new()).unwrap();
        let seen = receive(&mut connection, response.as_bytes(), 1);
        assert_eq!((connection.close_reason(), seen.end), (reason, if reason.is_none() { Kept } else { Closed }));
    }
}

#[test]
fn start_line_and_head_are_there_for_the_log() {
    let mut connection = asked(Method::Get);
    assert_eq!((connection.start_line(), connection.response_head().is_none()), (&b""[..], true));
    assert_eq!(connection.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), 43);
    assert!(matches!(connection.poll(), Ok(Event::Response(_))));
    assert_eq!(connection.start_line(), b"HTTP/1.1 200 OK");
    assert_eq!(connection.response_head().map(|head| head.status.code()), Some(200));
    assert!(matches!(connection.poll(), Ok(Event::Body(b"hello"))));
    assert_eq!((connection.start_line(), connection.response_head().is_none()), (&b""[..], true));

    let mut greeted = asked(Method::Get);
    greeted.receive(b"SSH-2.0-x\r\n");
    assert!(greeted.poll().is_err());
    assert_eq!(greeted.start_line(), b"SSH-2.0-x");
}

#[test]
fn receive_takes_what_fits() {
    let mut connection = Connection::new(Limits { head: 1000, ..Limits::default() });
    ask(&mut connection, Method::Get).unwrap();
    let response = [&b"HTTP/1.0 200 OK\r\nContent-Length: 3000\r\n\r\n"[..], &[b'x'; 3000]].concat();
    let (mut rest, mut seen) = (&response[..], Seen::default());
    while !rest.is_empty() {
        let taken = connection.receive(rest);
        assert!((1..=1000).contains(&taken));
        rest = &rest[taken..];
        poll(&mut connection, &mut seen);
    }
    assert_eq!((seen.body.len(), seen.end), (3000, Closed));
    assert_eq!(connection.receive(b""), 0);
}

// R1945-5b, R1945-5.1, R1945-3.1d, R1945-5.1.2a, R1945-5.1.2c, R1945-7.2a, R1945-10.15, R9112-3.2.1, R9110-7.2,
// R2068-19.7.1c, R9112-C.2.2
#[test]
fn request_head_suits_its_target_method_and_proxy() {
    let host = Authority::new(b"h:8080").unwrap();
    let mut fields = FieldBlock::new();
    fields.push(header::USER_AGENT, FieldValue::from_static("t/1")).unwrap();
    let request =
        |method, target: &'static str| Request::new(method, Target::new(target.as_bytes()).unwrap(), host, &fields);
    let get = |target| request(Method::Get, target);
    let put = request(Method::Put, "/a");
    for (request, line, host, more) in [
        (get("/a?b=c"), "GET /a?b=c", "h:8080", "close\r\n"),
        (get("http://o:1"), "GET /", "o:1", "close\r\n"),
        (get("HTTP://o?b"), "GET /?b", "o", "close\r\n"),
        (Request { keep_alive: true, ..get("/") }, "GET /", "h:8080", "keep-alive\r\n"),
        (Request { to_proxy: true, keep_alive: true, ..get("/a?") }, "GET http://h:8080/a?", "h:8080", "close\r\n"),
        (Request { to_proxy: true, ..get("http://o") }, "GET http://o/", "o", "close\r\n"),
        (request(Method::Options, "*"), "OPTIONS *", "h:8080", "close\r\n"),
        (Request { to_proxy: true, ..request(Method::Options, "*") }, "OPTIONS http://h:8080", "h:8080", "close\r\n"),
        // R9112-3.2.4: as a proxy receives it from its client, and as it forwards it.
        (request(Method::Options, "http://o:1"), "OPTIONS *", "o:1", "close\r\n"),
        (request(Method::Options, "http://o:1/"), "OPTIONS /", "o:1", "close\r\n"),
        (request(Method::Options, "http://o?b"), "OPTIONS /?b", "o", "close\r\n"),
        (Request { to_proxy: true, ..request(Method::Options, "http://o") }, "OPTIONS http://o", "o", "close\r\n"),
        (put, "PUT /a", "h:8080", "close\r\nContent-Length: 0\r\n"),
        (Request { body: Some(7), ..put }, "PUT /a", "h:8080", "close\r\nContent-Length: 7\r\n"),
        (request(Method::Post, "/a"), "POST /a", "h:8080", "close\r\nContent-Length: 0\r\n"),
        (Request { body: Some(0), ..get("/") }, "GET /", "h:8080", "close\r\nContent-Length: 0\r\n"),
    ] {
        let mut out = Vec::new();
        let send = Connection::new(Limits::default()).request(&request, &mut out).unwrap();
        let expected = format!("{line} HTTP/1.0\r\nHost: {host}\r\nConnection: {more}User-Agent: t/1\r\n\r\n");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(send, if request.body == Some(7) { SendBody::Exactly(7) } else { SendBody::None });
    }
    for request in [request(Method::Connect, "/"), request(Method::Get, "*")] {
        let mut out = Vec::new();
        assert_eq!(Connection::new(Limits::default()).request(&request, &mut out), Err(UsageError::TargetForm));
        assert!(out.is_empty());
    }
}

// R1945-9.4a, R9112-9.3b
#[test]
fn response_may_arrive_before_the_request_body_is_sent() {
    for (sent, kept) in [(7, true), (6, false)] {
        let mut connection = Connection::new(Limits::default());
        let (host, none) = (Authority::new(b"h").unwrap(), FieldBlock::new());
        let target = Target::new(b"/").unwrap();
        let request = Request { keep_alive: true, body: Some(7), ..Request::new(Method::Put, target, host, &none) };
        assert_eq!(connection.request(&request, &mut Vec::new()), Ok(SendBody::Exactly(7)));
        assert_eq!(connection.phase(), Phase::Sending);
        assert_eq!(connection.body_sent(8), Err(UsageError::BodyTooLong));
        connection.body_sent(sent).unwrap();
        assert_eq!(connection.body_sent(2), Err(if kept { UsageError::NoBodyDue } else { UsageError::BodyTooLong }));
        assert_eq!(connection.finish_body(), if kept { Ok(()) } else { Err(UsageError::BodyTooShort) });
        let seen = receive(&mut connection, b"HTTP/1.1 413 \r\nContent-Length: 0\r\n\r\n", 1);
        assert_eq!((seen.status, seen.end), (413, if kept { Kept } else { Closed }));
    }
}

#[test]
fn connection_can_be_detached_after_any_byte() {
    let bytes = b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 OK\r\nX: a\r\n b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n0\r\n\r\n";
    let mut workspaces = [Workspace::with_capacity(16_384), Workspace::default()];
    let (mut connection, mut seen) = (asked(Method::Get), Seen::default());
    for (n, byte) in bytes.iter().enumerate() {
        let workspace = &mut workspaces[n % 2];
        connection.attach(workspace);
        connection.receive_buffer()[0] = *byte;
        connection.received(1);
        poll(&mut connection, &mut seen);
        connection.detach(workspace);
        connection = std::thread::spawn(move || connection).join().unwrap();
    }
    assert_eq!((seen.body.as_slice(), seen.end), (&b"Hello"[..], Closed));
}

proptest! {
    // R9112-2.2a, R9110-2.3: no panic, and the same events.
    #[test]
    fn any_bytes_give_the_same_events_in_any_pieces(
        parts in prop::collection::vec(prop_oneof![
            prop::sample::select(vec![
                "HTTP/1.1 200 OK", "HTTP/1.0 404 x", "HTTP/1.1 100 ", "\r\n", "\n", "\r", ": ", "Content-Length: 3", "a", " b",
                "Transfer-Encoding: chunked", "Connection: keep-alive", "0", "3", "5;x", "fff", "\r\n\r\n", "abc",
                "HTTP/1.0 200", "\r\r\n", "Transfer-Encoding:", "\0",
            ]).prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..4),
        ], 0..24),
        pieces in 1usize..9,
        head in any::<bool>(),
        leniency in any::<[bool; 4]>(),
    ) {
        let bytes = parts.concat();
        let method = if head { Method::Head } else { Method::Get };
        let [joined_reason, double_cr, invalid_fields, empty_transfer_encoding] = leniency;
        let leniency = Leniency { joined_reason, double_cr, invalid_fields, empty_transfer_encoding };
        let connection = || asked(method).with_leniency(leniency);
        let whole = receive(&mut connection(), &bytes, usize::MAX);
        prop_assert_eq!(receive(&mut connection(), &bytes, pieces), whole);
    }
}
