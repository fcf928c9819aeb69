//! Tries the vulnerabilities of other programs on this library: one test per advisory, with the input used there.
//!
//! `docs/vulnerabilities.md` describes each of them. The last test compares that page with the tests of all packages.
//! The server's own tests send such input to a running server.
// Makes Clippy treat the helpers as test code, too.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use http_core::range::{RangeOutcome, parse};
use http_core::{
    Authority, CloseReason, Date, FieldBlock, FieldName, FieldValue, Limits, Method, RequestError, ResponseError,
    Status, Target, TargetError, auth, client, conditional, header, server,
};

/// How a server reads these bytes: the method and target of each request, then the error that ended the connection, if
/// any. Every request gets a 200 at once, before its body is read.
fn served(bytes: &[u8]) -> (Vec<String>, Option<RequestError>) {
    let whole = served_in_pieces(bytes, bytes.len().max(1));
    assert_eq!(served_in_pieces(bytes, 1), whole, "the result depends on the pieces: {}", bytes.escape_ascii());
    whole
}

fn served_in_pieces(bytes: &[u8], size: usize) -> (Vec<String>, Option<RequestError>) {
    let mut connection = server::Connection::new(Limits::default());
    let (fields, mut out) = (FieldBlock::new(), Vec::new());
    let (mut requests, mut rejected) = (Vec::new(), None);
    let mut pieces = bytes.chunks(size);
    let mut rest = &b""[..];
    loop {
        match connection.poll() {
            Ok(server::Event::NeedInput) => {
                if rest.is_empty() {
                    rest = pieces.next().unwrap_or_default();
                }
                if rest.is_empty() {
                    connection.received_eof();
                    continue;
                }
                let space = connection.receive_buffer();
                let n = space.len().min(rest.len());
                space[..n].copy_from_slice(&rest[..n]);
                connection.received(n);
                rest = &rest[n..];
            }
            Ok(server::Event::Request(request)) => {
                requests.push(format!("{} {}", request.method, request.target.as_str()));
                let response = server::Response::new(Status::OK, &fields);
                assert_eq!(connection.respond(&response, &mut out), Ok(server::SendBody::None));
            }
            Ok(server::Event::Closed) => return (requests, rejected),
            Ok(event) => panic!("{event:?}"),
            Err(error) => {
                assert_eq!(rejected.replace(error), None, "one error, and nothing is read after it");
                connection.respond_error(None, &mut out).unwrap();
            }
        }
    }
}

/// Asserts that the request is rejected with this error, and that what follows is not read as a request.
fn assert_rejected(request: &str, error: RequestError) {
    let smuggled = format!("{request}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(served(smuggled.as_bytes()), (vec![], Some(error)), "{request:?}");
}

/// How a client reads a response to a GET: its body or the error, and whether the connection may be used again.
fn client_reads(response: &[u8]) -> (Result<Vec<u8>, ResponseError>, bool) {
    let whole = client_reads_in_pieces(response, response.len().max(1));
    assert_eq!(
        client_reads_in_pieces(response, 1),
        whole,
        "the result depends on the pieces: {}",
        response.escape_ascii()
    );
    whole
}

fn client_reads_in_pieces(response: &[u8], size: usize) -> (Result<Vec<u8>, ResponseError>, bool) {
    let mut connection = client::Connection::new(Limits::default());
    let (host, fields) = (Authority::new(b"example.org").unwrap(), FieldBlock::new());
    let request = client::Request::new(Method::Get, Target::new(b"/").unwrap(), host, &fields);
    let request = client::Request { keep_alive: true, ..request };
    let _no_body = connection.request(&request, &mut Vec::new()).unwrap();
    let (mut pieces, mut body) = (response.chunks(size), Vec::new());
    loop {
        match connection.poll() {
            Ok(client::Event::NeedInput) => match pieces.next() {
                Some(piece) => {
                    connection.receive_buffer()[..piece.len()].copy_from_slice(piece);
                    connection.received(piece.len());
                }
                None => connection.received_eof(),
            },
            Ok(client::Event::Response(_)) => {}
            Ok(client::Event::Body(bytes)) => body.extend_from_slice(bytes),
            Ok(client::Event::ResponseEnd | client::Event::Closed) => return (Ok(body), connection.can_reuse()),
            Ok(event) => panic!("{event:?}"),
            Err(error) => return (Err(error), connection.can_reuse()),
        }
    }
}

fn chunked(body: &str) -> (Result<Vec<u8>, ResponseError>, bool) {
    client_reads(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}").as_bytes())
}

/// A request whose body looks like requests. The body is dropped, or the connection closes before it.
fn with_smuggled_body(length: usize) -> Vec<u8> {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let body = smuggled.repeat(length / smuggled.len() + 1);
    format!("{head}{}GET /next HTTP/1.1\r\nHost: a\r\n\r\n", &body[..length]).into_bytes()
}

// V13, R9112-5.1a
#[test]
fn rustsec_2020_0031() {
    use RequestError as E;
    let head = |field: &str| format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n{field}\r\n\r\n0\r\n\r\n");
    for field in [
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chunked\0",
        "Transfer-Encoding: chunked\rX: y",
    ] {
        let error = if field.starts_with(' ') { E::ObsFold } else { E::FieldSyntax };
        assert_rejected(&head(field), error);
    }
    for field in ["Transfer-Encoding: xchunked", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding:"] {
        assert_rejected(&head(field), E::TransferEncoding);
    }
    assert_rejected(&head("transfer-encoding:chunked"), E::TransferEncodingAndLength);
}

// V13, R9112-9.3b
#[test]
fn rustsec_2020_0093() {
    // These are two requests. The body between them is not a third, however long it is, although nobody reads it.
    for length in [0, 1, 36, 4096, 8192, 16_384, 16_385, 65_536, 262_144] {
        let requests = vec!["POST /a".into(), "GET /next".into()];
        assert_eq!(served(&with_smuggled_body(length)), (requests, None), "{length}");
    }
    // Beyond Limits::drain the connection closes instead.
    for length in [262_145, 300_000] {
        assert_eq!(served(&with_smuggled_body(length)), (vec!["POST /a".into()], None), "{length}");
    }
}

// V13, R9112-6.1e
#[test]
fn rustsec_2021_0020() {
    use RequestError as E;
    for (lines, error) in [
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", E::TransferEncoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: x", E::TransferEncoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", E::TransferEncoding),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", E::UnsupportedTransferCoding),
        ("Transfer-Encoding: chunked", E::UnsupportedTransferCoding),
    ] {
        assert_rejected(&format!("POST /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n0\r\n\r\n"), error);
    }
}

// V13, V31, R1945-10.4
#[test]
fn rustsec_2021_0078() {
    for length in ["+5", "-5", "0x5", "5_0", "5 5", "5,", "5.0", "5e0", "\u{661}", "", "18446744073709551616"] {
        assert_rejected(
            &format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"),
            RequestError::ContentLength,
        );
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello");
        assert_eq!(client_reads(response.as_bytes()), (Err(ResponseError::ContentLength), false), "{length:?}");
    }
}

// V31, R9112-7.1
#[test]
fn rustsec_2021_0079() {
    for size in ["10000000000000000", "f0000000000000003", "00000000010000000000000003"] {
        let body = format!("{size}\r\nabc\r\n0\r\n\r\n");
        assert_eq!(chunked(&body), (Err(ResponseError::InvalidChunk), false), "{size}");
    }
    // The largest 64-bit size is accepted, and the body is then incomplete.
    assert_eq!(chunked("ffffffffffffffff\r\nabc\r\n0\r\n\r\n"), (Err(ResponseError::BodyTruncated), false));
    assert_eq!(chunked("0000000000000000003\r\nabc\r\n0\r\n\r\n"), (Ok(b"abc".to_vec()), true));
}

// V14, R9112-11.1
#[test]
fn rustsec_2017_0002() {
    for value in ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "a\r\n", "\r\na"] {
        assert!(FieldValue::new(value.as_bytes()).is_err(), "{value:?}");
    }
    for name in ["A\r\nB", "A: b\r\nC", "A\n", "A "] {
        assert!(FieldName::new(name.as_bytes()).is_err(), "{name:?}");
    }
    // No other value gets a line end into a head either.
    assert!(Target::new(b"/ HTTP/1.1\r\nA: b").is_err() && Target::new(b"/a\nb").is_err());
    assert!(Authority::new(b"a\r\nB: c").is_err() && Method::new(b"GET /\r\n").is_err());
    assert!(auth::basic_challenge("a\r\nB: c").is_err() && conditional::EntityTag::new(false, b"\r\n").is_err());
}

// V14, R9110-5.5
#[test]
fn cve_2026_66753() {
    // A handler copies part of a request into its response, as an open redirect does.
    let mut fields = FieldBlock::new();
    let from_query = b"/x\r\nSet-Cookie: session=attacker\r\n\r\n<script>";
    assert!(FieldValue::new(from_query).is_err());
    let harmless = FieldValue::new(b"/x%0d%0aSet-Cookie:%20a=b").unwrap();
    fields.push(header::LOCATION, harmless).unwrap();
    assert_eq!(fields.as_bytes(), b"Location: /x%0d%0aSet-Cookie:%20a=b\r\n");

    // A received value cannot hold a line end either.
    for value in ["x\ry", "x\0y", "x\r\r\ny"] {
        let request = format!("GET / HTTP/1.0\r\nX: {value}\r\n\r\n");
        assert_rejected(&request, RequestError::FieldSyntax);
    }
}

// V13, R9112-6.1a
#[test]
fn cve_2026_66752() {
    // A Transfer-Encoding is never ignored, whatever its value.
    for value in ["gzip", "gzip, chunked", "chunked, gzip", "identity", "x", ",", "chunked;q=1", "cow, chunked, x"] {
        let request = format!("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {value}\r\n\r\n");
        let (requests, error) = served(format!("{request}0\r\n\r\nGET /smuggled HTTP/1.0\r\n\r\n").as_bytes());
        assert!(
            requests.is_empty() && error.is_some_and(|error| matches!(error.status().code(), 400 | 501)),
            "{value}"
        );
    }
}

// V13, R9112-7.1
#[test]
fn cve_2025_43859() {
    for body in [
        "3\r\nabcXX0\r\n\r\n",
        "3\r\nabc\r0\r\n\r\n",
        "3\r\nabc\nX0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
    ] {
        assert_eq!(chunked(body), (Err(ResponseError::InvalidChunk), false), "{body:?}");
    }
    assert_eq!(chunked("3\r\nabc\r\n0\r\n\r\n"), (Ok(b"abc".to_vec()), true));
}

// V13, R9112-7.1, R9112-2.2c
#[test]
fn cve_2025_22871() {
    for body in [
        "3\nabc\r\n0\r\n\r\n",
        "3;a\nabc\r\n0\r\n\r\n",
        "3;a\nb\r\nabc\r\n0\r\n\r\n",
        "3;a\rb\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\n\r\n",
        "3\r\nabc\r\n0\r\n\n",
        "3\r\nabc\r\n0\r\nA: b\n\r\n",
    ] {
        assert_eq!(chunked(body), (Err(ResponseError::InvalidChunk), false), "{body:?}");
    }
    assert_eq!(chunked("3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n"), (Ok(b"abc".to_vec()), true));
}

// V13, R9112-6.1b, R1945-7.2.2b, D8
#[test]
fn cve_2026_2835() {
    use RequestError as E;
    for connection in ["close", "keep-alive"] {
        let head = |field: &str| format!("POST /a HTTP/1.0\r\nConnection: {connection}\r\n{field}\r\n");
        // A request's body does not end with the connection, and 1.0 has no transfer codings.
        assert_rejected(&head(""), E::ContentLengthMissing);
        assert_rejected(&head("Transfer-Encoding: chunked\r\n"), E::TransferEncodingInHttp10);
        assert_rejected(&head("Transfer-Encoding: identity, chunked\r\n"), E::TransferEncodingInHttp10);
        assert_rejected(&head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), E::TransferEncodingInHttp10);
    }
    assert_rejected("GET /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", E::TransferEncodingInHttp10);
}

// V13, R9110-7.8
#[test]
fn cve_2026_2833() {
    let upgrade = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    let next = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    let requests = vec!["GET /a".into(), "GET /b".into()];
    assert_eq!(served(format!("{upgrade}{next}").as_bytes()), (requests, None), "what follows is a request");
    assert_eq!(
        client_reads(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
        (Err(ResponseError::UnexpectedUpgrade), false)
    );
}

// V13, R9112-9.3b
#[test]
fn rustsec_2025_0037() {
    // The response is sent before the body arrives, as from a cache.
    let mut connection = server::Connection::new(Limits::default());
    let head = b"GET /cached HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n";
    let body = b"GET /smuggled HTTP/1.0\r\nHost: b\r\n\r\n";
    connection.receive_buffer()[..head.len()].copy_from_slice(head);
    connection.received(head.len());
    assert!(matches!(connection.poll(), Ok(server::Event::Request(_))));
    let fields = FieldBlock::new();
    let _no_body = connection.respond(&server::Response::new(Status::OK, &fields), &mut Vec::new()).unwrap();
    assert!(matches!(connection.poll(), Ok(server::Event::NeedInput)), "the body first");
    connection.receive_buffer()[..33].copy_from_slice(&body[..33]);
    connection.received(33);
    assert!(matches!(connection.poll(), Ok(server::Event::NeedInput)));
    assert_eq!(connection.phase(), server::Phase::Idle, "no byte of the next request has arrived");
}

// V13, R9112-2.2f, R9112-6.3a
#[test]
fn cve_2022_22720() {
    // The connection closes after any error; `assert_rejected` sends a request after it.
    use RequestError as E;
    for (request, error) in [
        ("GET /a HTTP/1.1\r\n\r\n", E::HostMissing),
        ("GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", E::HostRepeated),
        ("GET /a HTTP/2.0\r\n\r\n", E::VersionNotSupported),
        ("GET /a b HTTP/1.1\r\n\r\n", E::RequestLine),
        ("GET /a HTTP/1.1\r\nHost: a\r\nA\r\n\r\n", E::FieldSyntax),
        ("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", E::ContentLength),
        ("GET /../a HTTP/1.1\r\nHost: a\r\n\r\n", E::Target(TargetError::EscapesRoot)),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", E::ConnectMethod),
    ] {
        assert_rejected(request, error);
    }
}

// V13, R9112-6.1c
#[test]
fn hyper_4123() {
    // Both headers in a response: the chunks count, and then the connection closes. In a request this is an error.
    let both = "Transfer-Encoding: chunked\r\nContent-Length: 100\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(client_reads(format!("HTTP/1.1 200 OK\r\n{both}").as_bytes()), (Ok(b"abc".to_vec()), false));
    assert_rejected(&format!("POST /a HTTP/1.1\r\nHost: a\r\n{both}"), RequestError::TransferEncodingAndLength);
}

// V13, R1945-4.1, D10
#[test]
fn llhttp_877() {
    // A line without a version is a complete request: no header and no body after it is read.
    for rest in ["Host: a\r\nContent-Length: 5\r\n\r\nhello", "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"] {
        for line_end in ["\n", "\r\n"] {
            let request = format!("GET /x{line_end}{rest}");
            assert_eq!(served(request.as_bytes()), (vec!["GET /x".into()], None), "{request:?}");
        }
    }
    let mut connection = server::Connection::new(Limits::default());
    let request = b"GET /x\nContent-Length: 5\r\n\r\nhello";
    connection.receive_buffer()[..request.len()].copy_from_slice(request);
    connection.received(request.len());
    let Ok(server::Event::Request(head)) = connection.poll() else { panic!() };
    assert!(head.fields.is_empty() && head.body == http_core::Framing::Empty);
    let fields = FieldBlock::new();
    let _no_body = connection.respond(&server::Response::new(Status::OK, &fields), &mut Vec::new()).unwrap();
    assert_eq!(connection.close_reason(), Some(CloseReason::SimpleRequest));
    // With the version 1.1, lines must end with CRLF.
    assert_rejected("GET /x HTTP/1.1\nHost: a\r\n\r\n", RequestError::BareLf);
}

// R9112-3c, D2
#[test]
fn darkhttpd_99() {
    use RequestError as E;
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        assert_rejected(&format!("GET /foo bar {version}\r\nHost: a\r\n\r\n"), E::RequestLine);
        assert_rejected(&format!("GET / {version} {version}\r\nHost: a\r\n\r\n"), E::RequestLine);
        assert_rejected(&format!("GET / {version} x\r\nHost: a\r\n\r\n"), E::RequestLine);
        assert_rejected(&format!("GET /X-Forwarded-For: evil {version}\r\nHost: a\r\n\r\n"), E::RequestLine);
    }
}

// R1945-4.2a
#[test]
fn darkhttpd_94() {
    // A header is found only at the beginning of its line.
    let mut connection = server::Connection::new(Limits::default());
    let request =
        b"GET /Range:bytes=0-0 HTTP/1.0\r\nReferer: X-Forwarded-For: 99.99.99.99\r\nX-Range: Range: bytes=1-1\r\n\r\n";
    connection.receive_buffer()[..request.len()].copy_from_slice(request);
    connection.received(request.len());
    let Ok(server::Event::Request(head)) = connection.poll() else { panic!() };
    assert_eq!(head.fields.len(), 2);
    assert_eq!(head.fields.get(header::RANGE), None);
    assert_eq!(head.fields.get(FieldName::from_static("X-Forwarded-For")), None);
}

// V9, R9110-14.1.2
#[test]
fn cve_2017_7529() {
    // There, a suffix longer than the file began before the file. Here no range lies outside it.
    for value in ["bytes=-9223372036854775807", "bytes=-18446744073709551615", "bytes=-99999999999999999999"] {
        let RangeOutcome::Partial(range) = parse(value.as_bytes(), 1000) else { panic!("{value}") };
        assert_eq!((range.start(), range.end(), range.length()), (0, 1000, 1000), "{value}");
    }
    let RangeOutcome::Partial(range) = parse(b"bytes=-1500,-9223372036854774308", 1000) else { panic!() };
    assert_eq!((range.start(), range.end()), (0, 1000));
    assert_eq!(parse(b"bytes=0-0,-9223372036854775807", u64::MAX), RangeOutcome::Full);
}

// V10, R9110-17.15, D11
#[test]
fn cve_2011_3192() {
    // The input of the tool of 2011: 1300 ranges, each of which holds the bytes of the one before.
    for first_end in [0, 5] {
        let mut value = String::from("bytes=0-");
        for end in first_end..1300 {
            value += &format!(",5-{end}");
        }
        assert_eq!(parse(value.as_bytes(), 1_000_000), RangeOutcome::Full);
    }
    // With a few ranges the response is one piece, never longer than the file.
    let RangeOutcome::Partial(range) = parse(b"bytes=0-,5-10,5-11,5-12,0-", 1_000_000) else { panic!() };
    assert_eq!(range.length(), 1_000_000);
}

// V32, R9110-5.6.1
#[test]
fn cve_2012_5533() {
    let empty = ",".repeat(8000);
    for value in ["TE,,Keep-Alive", ",keep-alive", ",,,", &empty] {
        let request = format!("GET /a HTTP/1.1\r\nHost: a\r\nConnection: {value}\r\n\r\n");
        assert_eq!(served(request.as_bytes()), (vec!["GET /a".into()], None), "{value}");
    }
}

// V29
#[test]
fn cve_2020_25691() {
    assert_eq!(Date::from_unix(253_402_300_800), None, "the year 10000 has no text");
    assert_eq!(Date::from_unix(253_402_300_799).unwrap().text().as_str(), "Fri, 31 Dec 9999 23:59:59 GMT");
    for seconds in [i64::MIN, i64::MAX, -62_167_219_201] {
        assert_eq!(Date::from_unix(seconds), None);
    }
}

// V19: only the result of `constant_time_eq`; its time is not measured.
#[test]
fn cve_2024_23771() {
    let secret = b"QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    for place in 0..secret.len() {
        let mut guess = *secret;
        guess[place] ^= 1;
        assert!(!auth::constant_time_eq(secret, &guess), "{place}");
    }
    assert!(auth::constant_time_eq(secret, secret) && !auth::constant_time_eq(secret, &secret[1..]));
}

// V1, R3986-5.2.4
#[test]
fn cve_2021_41773() {
    for path in ["/cgi-bin/.%2e/.%2e/etc/passwd", "/.%2e/%2e%2e/x", "/a/%2E%2E/%2e./x", "/icons/../../x"] {
        assert_eq!(http_core::Path::new(path.as_bytes()), Err(TargetError::EscapesRoot), "{path}");
    }
}

// V2
#[test]
fn cve_2021_42013() {
    // Decoded once, the path holds percent signs and no dots.
    for (path, name) in [
        ("/%%32%65%%32%65/x", Err(TargetError::PercentEncoding)),
        ("/%252e%252e/x", Ok("%2e%2e/x")),
        ("/%25%32%65%25%32%65/x", Ok("%2e%2e/x")),
    ] {
        let decoded = http_core::Path::new(path.as_bytes()).map(|path| {
            let mut name = Vec::new();
            path.decode_to(&mut name);
            String::from_utf8(name).unwrap()
        });
        assert_eq!(decoded.as_deref(), name.as_ref().copied(), "{path}");
    }
}

// V5
#[test]
fn cve_2008_2938() {
    // An overlong form is two ordinary bytes of a name: nothing here decodes it to a dot.
    let mut name = Vec::new();
    http_core::Path::new(b"/%c0%ae%c0%ae/%c0%af").unwrap().decode_to(&mut name);
    assert_eq!(name, b"\xc0\xae\xc0\xae/\xc0\xaf");
}

#[test]
fn every_test_named_on_the_page_exists() {
    let Some(workspace) = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).filter(|w| w.join(PAGE).is_file())
    else {
        // Written directly, because the harness hides what a passing test prints.
        let _ =
            io::stderr().write_all(b"SKIPPED: docs/vulnerabilities.md is not here, so its tests were not checked\n");
        return;
    };
    let page = fs::read_to_string(workspace.join(PAGE)).unwrap();
    let named: BTreeSet<(&str, &str)> =
        page.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(".rs::")).collect();
    assert!(named.len() > 40, "{} tests are not all of them", named.len());
    let mut faults = Vec::new();
    for &(file, test) in &named {
        let code = fs::read_to_string(workspace.join("crates").join(file).with_extension("rs")).unwrap_or_default();
        if !code.contains(&format!("fn {test}(")) {
            faults.push(format!("{file}.rs::{test} does not exist"));
        }
    }
    // Each test of this file is on the page.
    let own =
        include_str!("vulnerabilities.rs").split("#[test]\nfn ").skip(1).filter_map(|test| test.split('(').next());
    for test in own.filter(|test| *test != "every_test_named_on_the_page_exists") {
        if !named.contains(&("http-core/tests/vulnerabilities", test)) {
            faults.push(format!("{test} is not on the page"));
        }
    }
    // Every threat is on the page.
    for number in 1..=35 {
        if ![" ", ")", ","].iter().any(|end| page.contains(&format!("V{number}{end}"))) {
            faults.push(format!("V{number} is not on the page"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

const PAGE: &str = "docs/vulnerabilities.md";
