//! Families of input for the two connections: heads, bodies and chunks, received whole and in pieces.

use std::hint::black_box;

use http_core::server::ResponseBody;
use http_core::{
    Authority, FieldBlock, Limits, Method, RequestError, ResponseError, Status, Target, Workspace, client, server,
};

use crate::{Family, HEAD, Input, LINE, counted, fill};

pub(crate) fn families(factor: usize) -> Vec<Family> {
    let limits = limits(factor);
    let mut families = Vec::new();
    for (name, largest, scales, input, error) in requests() {
        for (pieces, piece) in PIECES {
            let run = move |size| {
                let input = input(size).into_bytes();
                let mut workspace = Workspace::with_capacity(limits.head as usize);
                let mut result = serve(&limits, &input, piece, &mut workspace); // it has its memory now, as in a server
                counted(&mut || result = serve(&limits, &input, piece, &mut workspace));
                assert!(size == 0 || result.err() == error, "{name}, {size}: {result:?}");
            };
            families.push(Family { scales, ..Family::new(format!("request: {name}, {pieces}"), largest, run) });
        }
    }
    for (name, largest, scales, input, error) in responses() {
        for (pieces, piece) in PIECES {
            let run = move |size| {
                let input = input(size).into_bytes();
                let mut workspace = Workspace::with_capacity(limits.head as usize);
                let mut result = fetch(&limits, &input, piece, &mut workspace); // it has its memory now, as in a server
                counted(&mut || result = fetch(&limits, &input, piece, &mut workspace));
                assert!(size == 0 || result.err() == error, "{name}, {size}: {result:?}");
            };
            families.push(Family { scales, ..Family::new(format!("response: {name}, {pieces}"), largest, run) });
        }
    }
    families
}

/// The default limits on bytes, or a multiple of them, and the largest limits on lines.
pub(crate) fn limits(factor: usize) -> Limits {
    let times = |limit: u32| limit * factor as u32;
    let Limits { start_line, field_line, head, .. } = Limits::default();
    Limits {
        start_line: times(start_line),
        field_line: times(field_line),
        head: times(head),
        fields: LINES as u16,
        blank_lines: u8::MAX,
        interim: u8::MAX,
        ..Limits::default()
    }
}

/// The most header lines that a limit allows.
pub(crate) const LINES: usize = 256;

const PIECES: [(&str, usize); 3] = [("whole", usize::MAX), ("in pieces of 100 bytes", 100), ("byte by byte", 1)];

/// A family's name, its largest size, whether that scales, its input, and the error that it causes.
type Case<E> = (&'static str, usize, bool, Input, Option<E>);

/// HTTP/1.0 accepts more than HTTP/1.1 does.
const START: &str = "GET / HTTP/1.0\r\n";

#[rustfmt::skip] // a table
fn requests() -> Vec<Case<RequestError>> {
    use RequestError as E;
    vec![
        ("long target", LINE, true, |n| format!("GET /{} HTTP/1.0\r\n\r\n", fill(n, "a")), None),
        ("long target without a head", LINE, true, |n| format!("GET /{}\r\n", fill(n, "a")), None),
        ("long method", LINE, true, |n| format!("GET{} / HTTP/1.0\r\n\r\n", fill(n, "A")), None),
        ("blanks in the request line", LINE, true, |n| format!("GET {} / HTTP/1.0\r\n\r\n", fill(n, " \t")), None),
        ("words in the request line", LINE, true, |n| format!("GET /{} HTTP/1.0\r\n\r\n", fill(n, " a")), Some(E::RequestLine)),
        ("percent signs", LINE, true, |n| format!("GET /{} HTTP/1.0\r\n\r\n", fill(n, "%41")), None),
        ("dot segments", LINE, true, |n| format!("GET /{} HTTP/1.0\r\n\r\n", fill(n, "./")), None),
        ("segments and dot segments", LINE, true, |n| format!("GET {}{}/ HTTP/1.0\r\n\r\n", fill(n / 2, "/a."), fill(n / 2, "/..")), None),
        ("encoded dot segments", LINE, true, |n| format!("GET /{} HTTP/1.0\r\n\r\n", fill(n, "a/%2e%2E/")), None),
        ("slashes", LINE, true, |n| format!("GET /{} HTTP/1.0\r\n\r\n", fill(n, "/")), None),
        ("question marks", LINE, true, |n| format!("GET /{} HTTP/1.0\r\n\r\n", fill(n, "?")), None),
        ("long host in the target", LINE, true, |n| format!("GET http://a{}/ HTTP/1.0\r\n\r\n", fill(n, ".a")), None),
        ("zeros of a port", LINE, true, |n| format!("GET http://a:0{}/ HTTP/1.0\r\n\r\n", fill(n, "0")), None),
        ("colons of an address", LINE, true, |n| format!("GET http://[::1{}]/ HTTP/1.0\r\n\r\n", fill(n, ":")), Some(E::Target(http_core::TargetError::Authority))),
        ("empty lines", u8::MAX as usize, false, |n| format!("{}{START}\r\n", "\r\n".repeat(n)), None),
        ("empty lines with LF", u8::MAX as usize, false, |n| format!("{}{START}\r\n", "\n".repeat(n)), None),
        ("header lines", LINES, false, |n| format!("{START}{}\r\n", format!("A: {}\r\n", fill(55, "b")).repeat(n)), None),
        ("header lines with LF", LINES, false, |n| format!("{START}{}\n", format!("A: {}\n", fill(56, "b")).repeat(n)), None),
        ("long header", LINE, true, |n| format!("{START}A: {}\r\n\r\n", fill(n, "a")), None),
        ("long headers", HEAD, true, |n| format!("GET / HTTP/1.0\nA: {}\r\nB: {}\r\n\r\n", fill(n / 2, "a"), fill(n / 2, "b\t")), None),
        ("long name", LINE, true, |n| format!("{START}A{}: b\r\n\r\n", fill(n, "a")), None),
        ("blanks before a value", LINE, true, |n| format!("{START}A: {}b\r\n\r\n", fill(n, "\t ")), None),
        ("blanks after a value", LINE, true, |n| format!("{START}A: b{}\r\n\r\n", fill(n, "\t ")), None),
        ("colons", LINE, true, |n| format!("{START}A:{}\r\n\r\n", fill(n, ":")), None),
        ("CRs", LINE, true, |n| format!("{START}A:{}\r\n\r\n", fill(n, "\r")), Some(E::FieldSyntax)),
        ("no colon", HEAD, true, |n| format!("{START}A: {}\r\nA{}\r\n\r\n", fill(n / 2, "a"), fill(n / 2, "a")), Some(E::FieldSyntax)),
        ("folded lines", HEAD, true, |n| format!("{START}A:\r\n{}\r\n", fill(n, " \r\n")), None),
        ("folded lines with LF", HEAD, true, |n| format!("{START}A:\n{}\n", fill(n, "\t\n")), None),
        ("folded lines of a long name", HEAD, true, |n| format!("{START}A{}:\n{}\n", fill(n / 2, "a"), fill(n / 2, " \n")), None),
        ("folded lines of many headers", LINES, false, |n| format!("{START}{}\r\n", format!("A{}:\r\n a\r\n\tb\r\n", fill(37, "a")).repeat(n)), None),
        ("folded lines of no header", HEAD, true, |n| format!("{START}A:\n{}b\n\n", fill(n, " \n")), Some(E::FieldSyntax)),
        ("long Host", LINE, true, |n| format!("{START}Host: a{}\r\n\r\n", fill(n, "a")), None),
        ("zeros of Content-Length", LINE, true, |n| format!("{START}Content-Length: 0{}\r\n\r\n", fill(n, "0")), None),
        ("elements of Connection", LINE, true, |n| format!("{START}Connection: {}\r\n\r\n", fill(n, "a,")), None),
        ("commas in Connection", LINE, true, |n| format!("{START}Connection: a{}\r\n\r\n", fill(n, ", ")), None),
        ("elements of Transfer-Encoding", LINE, true, |n| format!("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {}chunked\r\n\r\n", fill(n, "a,")), Some(E::UnsupportedTransferCoding)),
        ("elements of Expect", LINE, true, |n| format!("GET / HTTP/1.1\r\nHost: a\r\nExpect: {}\r\n\r\n", fill(n, "100-continue,")), None),
        ("a body", 4 * HEAD, false, |n| format!("POST / HTTP/1.0\r\nContent-Length: {n}\r\n\r\n{}", fill(n, "a")), None),
        ("pipelined requests", 4 * HEAD, false, |n| fill(n, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), None),
        ("pipelined requests with bodies", 4 * HEAD, false, |n| fill(n, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na"), None),
    ]
}

const OK: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[rustfmt::skip] // a table
fn responses() -> Vec<Case<ResponseError>> {
    use ResponseError as E;
    vec![
        ("long reason", LINE, true, |n| format!("HTTP/1.0 200 {}\r\n\r\n", fill(n, "a")), None),
        ("blanks in the status line", LINE, true, |n| format!("HTTP/1.0{} 200{} OK\r\n\r\n", fill(n / 2, " "), fill(n / 2, "\t")), None),
        ("header lines", LINES, false, |n| format!("{OK}{}\r\n", format!("A: {}\r\n", fill(55, "b")).repeat(n)), None),
        ("header lines with LF", LINES, false, |n| format!("{OK}{}\n", format!("A: {}\n", fill(56, "b")).repeat(n)), None),
        ("folded lines", HEAD, true, |n| format!("{OK}A:\r\n{}\r\n", fill(n, " \r\n")), None),
        ("folded lines of a long name", HEAD, true, |n| format!("{OK}A{}:\n{}\n", fill(n / 2, "a"), fill(n / 2, " \n")), None),
        ("invalid lines", LINES, false, |n| format!("{OK}{}\r\n", format!("{}\r\n", fill(58, "t")).repeat(n)), None),
        ("a long invalid line", LINE, true, |n| format!("{OK}{}\r\n\r\n", fill(n, "content-lengt")), None),
        ("lines with CR CR LF", LINES, false, |n| format!("{OK}{}\r\r\n", format!("A: {}\r\r\n", fill(54, "b")).repeat(n)), None),
        ("folded lines with CR CR LF", HEAD, true, |n| format!("{OK}A:\r\r\n{}\r\n", fill(n, " \r\r\n")), None),
        ("interim responses", u8::MAX as usize, false, |n| format!("{}{OK}\r\n", "HTTP/1.1 100 Continue\r\n\r\n".repeat(n)), None),
        ("elements of Content-Length", LINE, true, |n| format!("{OK}Content-Length: 0{}\r\n\r\n", fill(n, ",0")), None),
        ("elements of Connection", LINE, true, |n| format!("{OK}Connection: {}\r\n\r\n", fill(n, "a,")), None),
        ("elements of Transfer-Encoding", LINE, true, |n| format!("{OK}Transfer-Encoding: a{}\r\n\r\n", fill(n, ",a")), Some(E::TransferEncoding)),
        ("a body until the close", 4 * HEAD, false, |n| format!("{OK}\r\n{}", fill(n, "a")), None),
        ("chunks", 4 * HEAD, false, |n| format!("{CHUNKED}{}0\r\n\r\n", fill(n, "1\r\na\r\n")), None),
        ("zeros of a chunk size", LINE, true, |n| format!("{CHUNKED}0{}\r\n\r\n", fill(n, "0")), None),
        ("a long chunk extension", LINE, true, |n| format!("{CHUNKED}1;{}\r\na\r\n0\r\n\r\n", fill(n, "a;")), None),
        ("trailers", LINES, false, |n| format!("{CHUNKED}0\r\n{}\r\n", format!("A: {}\r\n", fill(55, "b")).repeat(n)), None),
        ("a long trailer", LINE, true, |n| format!("{CHUNKED}0\r\nA: {}\r\n\r\n", fill(n, ":")), None),
    ]
}

/// Serves a client that sends these bytes, and returns the number of requests. The connection is detached between two
/// pieces, as if it was parked.
fn serve(limits: &Limits, input: &[u8], piece: usize, workspace: &mut Workspace) -> Result<usize, RequestError> {
    let mut connection = server::Connection::new(*limits);
    let (fields, mut out, mut requests) = (FieldBlock::new(), Vec::with_capacity(256), 0);
    let mut receive = |connection: &mut server::Connection, mut rest: &[u8]| -> Result<bool, RequestError> {
        while !rest.is_empty() {
            rest = &rest[connection.receive(rest)..];
            loop {
                match connection.poll()? {
                    server::Event::NeedInput => break,
                    server::Event::Closed => return Ok(false),
                    server::Event::NeedOutput => {
                        out.clear();
                        let body = ResponseBody::Length(0);
                        let response = server::Response { body, ..server::Response::new(Status::OK, &fields) };
                        let _none = connection.respond(&response, &mut out).unwrap();
                        requests += 1;
                    }
                    event => drop(black_box(event)),
                }
            }
        }
        Ok(true)
    };
    for piece in input.chunks(piece) {
        connection.attach(workspace);
        let goes_on = receive(&mut connection, piece);
        connection.detach(workspace);
        if !goes_on? {
            break;
        }
    }
    assert!(requests > 0, "the input is not complete");
    Ok(requests)
}

/// Receives a response of these bytes, and returns the length of its body. A head that is refused is also repaired.
fn fetch(limits: &Limits, input: &[u8], piece: usize, workspace: &mut Workspace) -> Result<usize, ResponseError> {
    let mut connection = client::Connection::new(*limits).with_leniency(client::Leniency::ALL);
    let (host, fields) = (Authority::new(b"a").unwrap(), FieldBlock::new());
    let request = client::Request::new(Method::Get, Target::new(b"/").unwrap(), host, &fields);
    let _none = connection.request(&request, &mut Vec::with_capacity(256)).unwrap();
    let (mut body, mut has_head) = (0, false);
    let mut receive = |connection: &mut client::Connection, mut rest: &[u8]| -> Result<bool, ResponseError> {
        while !rest.is_empty() {
            rest = &rest[connection.receive(rest)..];
            loop {
                match connection.poll()? {
                    client::Event::NeedInput => break,
                    client::Event::Body(bytes) => body += bytes.len(),
                    client::Event::ResponseEnd => return Ok(false),
                    event => has_head |= matches!(event, client::Event::Response(_)),
                }
            }
        }
        Ok(true)
    };
    for piece in input.chunks(piece) {
        connection.attach(workspace);
        let goes_on = receive(&mut connection, piece);
        connection.detach(workspace);
        if !goes_on? {
            break;
        }
    }
    assert!(has_head, "the input is not complete");
    Ok(body)
}
