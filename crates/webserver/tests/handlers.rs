//! What an embedding program can rely on: handlers, request and response bodies, and their limits.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use http_core::{FieldValue, Status, header};
use http_server::{Action, Body, BodySink, HandlerError, Request, Response, Server, Stats, Timeouts};

use support::{
    EmbeddedServer, connect, exchange, get, keep_alive, parse_responses, read_response, read_to_end, send, wait_until,
};

const BINARY: FieldValue<'static> = FieldValue::from_static("application/octet-stream");
const MIB: usize = 1 << 20;

/// The head of a POST request that asks to keep the connection.
fn post_head(path: &str, length: usize) -> Vec<u8> {
    format!("POST {path} HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: {length}\r\n\r\n").into_bytes()
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    [post_head(path, body.len()), body.to_vec()].concat()
}

fn length_of(body: Vec<u8>) -> Response {
    Response::text(body.len().to_string())
}

fn echo(_: &Request<'_>) -> Action {
    Action::collect_body(64 << 10, |body| Response::bytes(BINARY, body))
}

/// Reads until the server closes the connection, possibly early or with a reset.
fn read_available(stream: &mut TcpStream) -> Vec<u8> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; MIB]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return bytes,
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return bytes,
            Err(error) => panic!("{error} after {} bytes", bytes.len()),
        }
    }
}

fn body_of(bytes: &[u8]) -> &[u8] {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    &bytes[head.unwrap_or_else(|| panic!("no head: {}", bytes.escape_ascii())) + 4..]
}

// --- Request bodies

#[test]
fn body_is_collected_and_next_request_follows() {
    let server = EmbeddedServer::start(|server| server.threads(1), echo);
    for bytes in [0, 1, 5, 16 << 10, (16 << 10) + 1, 64 << 10] {
        let body: Vec<u8> = (0..251).cycle().take(bytes).collect();
        let segment = [post("/a", &body), post("/b", b"second"), b"GET / HTTP/1.0\r\n\r\n".to_vec()].concat();
        let responses = parse_responses(&read_to_end(&mut send(server.address(), &segment)).unwrap(), false).unwrap();
        let bodies: Vec<&[u8]> = responses.iter().map(|response| &*response.body).collect();
        assert!(bodies == [&*body, b"second", b""], "{bytes} bytes");
    }
    server.finish();
}

#[test]
fn slow_body_blocks_no_thread() {
    let server = EmbeddedServer::start(|server| server.threads(1), echo);
    let slow: Vec<_> = (0..8).map(|_| send(server.address(), &post_head("/", 9))).collect();
    for byte in b"dribbling" {
        for mut stream in &slow {
            stream.write_all(&[*byte]).unwrap();
        }
        let response = exchange(server.address(), b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(response.text(), "hello");
    }
    for mut stream in slow {
        let response = read_response(&mut stream);
        assert_eq!((response.text(), response.keeps_alive()), ("dribbling", true));
    }
    server.finish();
}

// A body beyond the limit gets 413.
#[test]
fn body_is_accepted_up_to_its_limit() {
    let handler = |request: &Request<'_>| {
        let path = request.path();
        let limit = path.trim_start_matches('/').parse().unwrap_or(64 << 10);
        Action::collect_body(limit, length_of)
    };
    let server = EmbeddedServer::start(|server| server.threads(1), handler);
    let kept = |path, bytes| {
        let mut stream = send(server.address(), &post(path, &vec![b'x'; bytes]));
        let response = read_response(&mut stream);
        stream.write_all(&post("/", b"on")).unwrap();
        assert_eq!(read_response(&mut stream).text(), "2", "{bytes} to {path}");
        (response.status, response.keeps_alive())
    };
    for (path, bytes, status) in [
        ("/", 64 << 10, 200),
        ("/", (64 << 10) + 1, 413), // the body is discarded, and the connection stays open
        ("/0", 0, 200),
        ("/0", 1, 413),
        ("/10", 10, 200),
        ("/10", 11, 413),
        ("/3000000", 3_000_000, 200),
    ] {
        assert_eq!(kept(path, bytes), (status, true), "{bytes} to {path}");
    }
    // A body that is too long to discard closes the connection. The client still gets the response, even if it sends
    // the complete body first (R9112-9.6b).
    for bytes in [MIB, 3 * MIB / 2] {
        let response = exchange(server.address(), &post("/", &vec![b'x'; bytes]));
        assert_eq!(response.status, 413);
    }
    // The response also comes without any of the body.
    let response = exchange(server.address(), &post_head("/", usize::MAX));
    assert_eq!(response.status, 413);
    server.finish();
}

/// What has happened to the sinks: the bytes, the number of pieces, and how many sinks were finished and dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct SinkLog {
    bytes: Vec<u8>,
    pieces: usize,
    finished: usize,
    dropped: usize,
}

#[derive(Clone, Default)]
struct Recorder {
    seen: Arc<Mutex<SinkLog>>,
}

impl Recorder {
    fn seen(&self) -> SinkLog {
        self.seen.lock().unwrap().clone()
    }
}

/// A sink that records what happens to it. It responds at once to a `!`, and panics at a `?`.
struct RecordingSink(Recorder);

impl BodySink for RecordingSink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), HandlerError> {
        assert!(!bytes.contains(&b'?'), "panic of the test");
        let mut seen = self.0.seen.lock().unwrap();
        seen.bytes.extend_from_slice(bytes);
        seen.pieces += 1;
        match bytes.contains(&b'!') {
            true => Err(Response::text("enough").status(Status::CONFLICT).into()),
            false => Ok(()),
        }
    }

    fn finish(self: Box<Self>) -> Result<Response, HandlerError> {
        let mut seen = self.0.seen.lock().unwrap();
        seen.finished += 1;
        Ok(Response::text(seen.bytes.len().to_string()))
    }
}

impl Drop for RecordingSink {
    fn drop(&mut self) {
        self.0.seen.lock().unwrap().dropped += 1;
    }
}

fn start_recording() -> (Recorder, EmbeddedServer) {
    let recorder = Recorder::default();
    let to = recorder.clone();
    let handler = move |_: &Request<'_>| Action::stream_body(1 << 40, RecordingSink(to.clone()));
    (recorder, EmbeddedServer::start(|server| server.threads(1), handler))
}

#[test]
fn sink_gets_body_as_it_arrives_and_is_finished_once() {
    let (recorder, server) = start_recording();
    let mut stream = send(server.address(), &post_head("/", 9));
    for (n, piece) in (1..).zip(["abc", "def", "ghi"]) {
        stream.write_all(piece.as_bytes()).unwrap();
        wait_until("the sink gets the bytes", || recorder.seen().pieces == n);
    }
    assert_eq!(read_response(&mut stream).text(), "9");
    let seen = SinkLog { bytes: b"abcdefghi".into(), pieces: 3, finished: 1, dropped: 1 };
    assert_eq!(recorder.seen(), seen);
    // Far more than can be collected.
    stream.write_all(&post("/", &vec![b'x'; 20 * MIB])).unwrap();
    assert_eq!(read_response(&mut stream).text(), (20 * MIB + 9).to_string());
    assert_eq!((recorder.seen().finished, recorder.seen().dropped), (2, 2));
    // Without a body the sink is finished at once.
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut stream).status, 200);
    assert_eq!((recorder.seen().finished, recorder.seen().dropped), (3, 3));
    server.finish();
}

#[test]
fn sink_can_respond_early() {
    let (recorder, server) = start_recording();
    for (rest, kept) in [(0, true), (100, true), (200 << 10, true), (MIB, false)] {
        let body = [b"no!".to_vec(), vec![b'x'; rest]].concat();
        // The client sends the rest of the body after the response.
        let mut stream = send(server.address(), &post("/", &body)[..post_head("/", body.len()).len() + 3]);
        let response = read_response(&mut stream);
        assert_eq!(
            (response.status, response.keeps_alive(), response.text()),
            (409, kept, "enough"),
            "with {rest} more bytes"
        );
        if kept {
            stream.write_all(&body[3..]).unwrap();
            stream.write_all(&post("/", b"on")).unwrap();
            assert_eq!(read_response(&mut stream).status, 200, "after {rest} discarded bytes");
        } else {
            let _ = stream.write_all(&body[3..]);
            assert!(read_available(&mut stream).is_empty());
        }
    }
    let seen = recorder.seen();
    assert_eq!((seen.bytes.as_slice(), seen.finished, seen.dropped), (&b"no!onno!onno!onno!"[..], 3, 7));
    server.finish();
}

#[test]
fn sink_is_dropped_when_client_disconnects() {
    let (recorder, server) = start_recording();
    let stream = send(server.address(), &post("/", b"ab")[..post_head("/", 2).len() + 1]);
    wait_until("the sink gets the bytes", || recorder.seen().pieces == 1);
    drop(stream);
    wait_until("the sink is dropped", || recorder.seen().dropped == 1);
    assert_eq!(recorder.seen().finished, 0);
    let stats = server.finish();
    assert_eq!((stats.aborted, stats.accepted), (1, 1));
}

// --- Panics

/// A reader that yields this many bytes, and then calls the function.
struct ThenCall<F>(io::Repeat, u64, F);

impl<F: FnMut() -> io::Result<usize>> Read for ThenCall<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (&mut self.0).take(self.1).read(buffer)? {
            0 => (self.2)(),
            n => {
                self.1 -= n as u64;
                Ok(n)
            }
        }
    }
}

fn reader(bytes: u64, length: Option<u64>, then: impl FnMut() -> io::Result<usize> + Send + 'static) -> Response {
    let reader = Box::new(ThenCall(io::repeat(b'x'), bytes, then));
    Response::empty(Status::OK).body(Body::Reader { reader, length })
}

/// Panics when it is finished.
struct PanicOnFinish;

impl BodySink for PanicOnFinish {
    fn write(&mut self, _: &[u8]) -> Result<(), HandlerError> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Response, HandlerError> {
        panic!("panic of the test")
    }
}

/// Panics when it is dropped, finished or not.
struct PanicOnDrop;

impl BodySink for PanicOnDrop {
    fn write(&mut self, _: &[u8]) -> Result<(), HandlerError> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Response, HandlerError> {
        Ok(Response::text("ended"))
    }
}

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        panic!("panic of the test");
    }
}

#[test]
fn reserved_header_of_handler_returns_500() {
    for (name, status) in [(header::ALLOW, "200"), (header::CONNECTION, "500"), (header::CONTENT_LENGTH, "500")] {
        let handler = move |_: &Request<'_>| Response::text("").header(name, "0");
        let output = http_server::testing::exchange(&handler, b"GET / HTTP/1.0\r\n\r\n").output;
        let output = String::from_utf8(output).unwrap();
        assert!(output.starts_with(&format!("HTTP/1.0 {status} ")), "{name}: {output}");
        assert_eq!(output.contains("\r\nAllow: 0\r\n"), status == "200", "{name}: {output}");
    }
}

// R1945-9.5
#[test]
fn panic_affects_only_its_own_response() {
    let recorder = Recorder::default();
    let to = recorder.clone();
    let handler = move |request: &Request<'_>| match &*request.path() {
        "/then" => Action::collect_body(64 << 10, |_| -> Response { panic!("panic of the test") }),
        "/take" => Action::stream_body(64 << 10, RecordingSink(to.clone())),
        "/end" => Action::stream_body(64 << 10, PanicOnFinish),
        "/reader" => reader(40_000, Some(80_000), || panic!("panic of the test")).into(),
        "/endless" => reader(40_000, None, || panic!("panic of the test")).into(),
        _ => Action::collect_body(64 << 10, length_of),
    };
    let server = EmbeddedServer::start(|server| server.threads(1), handler);
    for _ in 0..5 {
        for path in ["/then", "/take", "/end"] {
            let mut stream = send(server.address(), &post(path, b"???"));
            let response = read_response(&mut stream);
            assert_eq!((response.status, response.keeps_alive()), (500, true), "{path}");
            stream.write_all(&post("/", b"on")).unwrap();
            assert_eq!(read_response(&mut stream).text(), "2", "after {path}");
        }
        for path in ["/reader", "/endless"] {
            let bytes = read_available(&mut send(server.address(), &keep_alive(path)));
            assert!(bytes.starts_with(b"HTTP/1.0 200 ") && body_of(&bytes).len() <= 40_000, "{path}");
        }
    }
    assert_eq!(recorder.seen(), SinkLog { dropped: 5, ..SinkLog::default() });
    let Stats { accepted, completed, failed, .. } = server.finish();
    assert_eq!((accepted, completed, failed), (25, 15, 10));
}

// While its connection is served, when its client disconnects, and at the shutdown timeout.
#[test]
fn panic_on_drop_ends_no_thread() {
    let handler = |request: &Request<'_>| match &*request.path() {
        "/drop" => Action::stream_body(64 << 10, PanicOnDrop),
        _ => Response::text("on").into(),
    };
    let server =
        EmbeddedServer::start(|server| server.threads(1).shutdown_timeout(Duration::from_millis(100)), handler);
    let complete = b"POST /drop HTTP/1.0\r\nContent-Length: 2\r\n\r\nab";
    let begun = &complete[..complete.len() - 1];
    for _ in 0..3 {
        assert_eq!(exchange(server.address(), complete).status, 500);
        drop(send(server.address(), begun));
        assert_eq!(get(server.address(), "/on").text(), "on");
    }
    let _until_shutdown_timeout = send(server.address(), begun);
    assert_eq!(get(server.address(), "/on").text(), "on");
    assert_eq!(server.finish().accepted, 11);
}

// --- Response bodies

#[test]
fn every_kind_of_body_is_sent_completely_and_omitted_for_head() {
    const LENGTH: usize = 3 * MIB + 1;
    let shared: Arc<[u8]> = vec![b'x'; LENGTH].into();
    let handler = move |request: &Request<'_>| {
        let path = request.path();
        let length = if path.starts_with("/small") { 100 } else { LENGTH };
        let done = || Ok(0);
        match path.rsplit('/').next().unwrap() {
            "bytes" => Response::bytes(BINARY, vec![b'x'; length]),
            "static" => Response::bytes(BINARY, &b"xxxxx"[..]),
            "shared" if length == LENGTH => Response::empty(Status::OK).body(Body::Shared(shared.clone())),
            "shared" => Response::empty(Status::OK).body(Body::Shared(vec![b'x'; length].into())),
            "reader" => reader(length as u64, Some(length as u64), done),
            "longer" => reader(u64::MAX, Some(length as u64), done),
            "until-close" => reader(length as u64, None, done),
            _ => Response::empty(Status::NO_CONTENT),
        }
    };
    let server = EmbeddedServer::start(|server| server.threads(1), handler);
    for (path, length) in [
        ("/small/bytes", Some(100)),
        ("/static", Some(5)),
        ("/small/shared", Some(100)),
        ("/small/reader", Some(100)),
        ("/small/longer", Some(100)), // cut at its length
        ("/large/bytes", Some(LENGTH)),
        ("/large/shared", Some(LENGTH)),
        ("/large/reader", Some(LENGTH)),
        ("/large/longer", Some(LENGTH)),
        ("/small/until-close", None),
        ("/large/until-close", None),
    ] {
        let mut stream = send(server.address(), &keep_alive(path));
        if let Some(length) = length {
            thread::sleep(Duration::from_millis(50)); // a large body has to wait for the client
            let response = read_response(&mut stream);
            assert!(response.keeps_alive() && response.body == vec![b'x'; length], "{path}");
        } else {
            let bytes = read_to_end(&mut stream).unwrap();
            let head = String::from_utf8_lossy(&bytes[..bytes.len() - body_of(&bytes).len()]).into_owned();
            assert!(head.contains("Connection: close\r\n") && !head.contains("Content-Length"), "{path}: {head}");
            let expected = if path.starts_with("/small") { 100 } else { LENGTH };
            assert!(body_of(&bytes) == vec![b'x'; expected], "{path}");
            stream = connect(server.address());
        }
        // HEAD has the same headers and no body, and keeps the connection even if the length is unknown.
        stream.write_all(&keep_alive(path).strip_prefix(b"GET").map(|rest| [b"HEAD", rest].concat()).unwrap()).unwrap();
        stream.write_all(b"GET /empty HTTP/1.0\r\n\r\n").unwrap();
        let bytes = read_to_end(&mut stream).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, next) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200 ") && next.starts_with("HTTP/1.0 204 "), "{path}: {text}");
        let expected = length.map(|length| format!("Content-Length: {length}"));
        assert_eq!(head.lines().find(|line| line.starts_with("Content-Length")), expected.as_deref(), "{path}");
    }
    server.finish();
}

// R9112-8: a short body is never padded, and never followed by another response.
#[test]
fn reader_shorter_than_its_length_closes_connection() {
    let handler = |request: &Request<'_>| match &*request.path() {
        "/early" => reader(50_000, Some(60_000), || Ok(0)),
        "/never" => reader(0, Some(60_000), || Ok(0)),
        "/fails" => reader(50_000, Some(60_000), || Err(ErrorKind::TimedOut.into())),
        "/reset" => reader(50_000, Some(60_000), || Err(ErrorKind::ConnectionReset.into())),
        "/would-block" => reader(50_000, Some(60_000), || Err(io::Error::from_raw_os_error(11))),
        "/until-close" => reader(50_000, None, || Err(ErrorKind::Other.into())),
        _ => Response::text("on"),
    };
    let server = EmbeddedServer::start(|server| server.threads(1), handler);
    let paths = ["/early", "/never", "/fails", "/reset", "/would-block", "/until-close"];
    for path in paths {
        let bytes = read_available(&mut send(server.address(), &keep_alive(path).repeat(2)));
        assert!(body_of(&bytes).iter().all(|&byte| byte == b'x'), "{path}");
        assert!(body_of(&bytes).len() <= 50_000, "{path}: {}", bytes.len());
        assert_eq!(get(server.address(), "/on").text(), "on");
    }
    let Stats { failed, completed, .. } = server.finish();
    assert_eq!((failed, completed), (6, 6));
}

#[test]
fn large_body_for_slow_client_blocks_no_thread() {
    const LARGE: usize = 8 * MIB;
    let handler = |request: &Request<'_>| match &*request.path() {
        "/bytes" => Response::bytes(BINARY, vec![b'x'; LARGE]),
        "/reader" => reader(LARGE as u64, Some(LARGE as u64), || Ok(0)),
        "/until-close" => reader(LARGE as u64, None, || Ok(0)),
        _ => Response::text("small"),
    };
    let server = EmbeddedServer::start(|server| server.threads(1), handler);
    let ask = |path: &str| send(server.address(), format!("GET /{path} HTTP/1.0\r\n\r\n").as_bytes());
    let mut slow = ["bytes", "reader", "until-close"].map(ask);
    let mut received = [0; 3];
    for _ in 0..20 {
        assert_eq!(get(server.address(), "/").text(), "small");
        for (stream, received) in slow.iter_mut().zip(&mut received) {
            *received += stream.read(&mut [0; 10_000]).unwrap();
        }
        thread::sleep(Duration::from_millis(10));
    }
    for (mut stream, received) in slow.into_iter().zip(received) {
        let rest = read_to_end(&mut stream).unwrap().len();
        assert!((LARGE..LARGE + 300).contains(&(received + rest)), "{received} and {rest}");
    }
    server.finish();
}

// --- Addresses

#[test]
fn request_has_local_and_peer_address() {
    let local_and_peer =
        |request: &Request<'_>| Response::text(format!("{} {}", request.peer_addr(), request.local_addr().unwrap()));
    let check = |address: SocketAddr| {
        let mut stream = send(address, b"GET / HTTP/1.0\r\n\r\n");
        let expected = format!("{} {}", stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        assert_eq!(read_response(&mut stream).text(), expected);
    };
    let check_server = |server: Server, reached_by: &[&str]| {
        let running = server.threads(1).start(local_and_peer).unwrap();
        for ip in reached_by {
            for bound in running.local_addrs() {
                check(SocketAddr::new(ip.parse().unwrap(), bound.port()));
            }
        }
        running.shutdown_handle().shut_down();
        assert_eq!(running.join().completed, reached_by.len() as u64);
    };
    check_server(Server::bind("127.0.0.1:0").unwrap(), &["127.0.0.1"]);
    let two = [SocketAddr::from(([127, 0, 0, 1], 0)), SocketAddr::from(([127, 0, 0, 2], 0))];
    let several = Server::bind(&two[..]).unwrap().threads(1).start(local_and_peer).unwrap();
    assert_eq!(several.local_addrs().iter().map(SocketAddr::ip).collect::<Vec<_>>(), two.map(|address| address.ip()));
    several.local_addrs().iter().for_each(|address| check(*address));
    several.shutdown_handle().shut_down();
    assert_eq!(several.join().completed, 2);
    assert_eq!(Server::bind(&[][..]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    match Server::bind("[::1]:0") {
        Ok(server) => {
            check_server(server, &["::1"]);
            check_server(Server::bind_any(0).unwrap(), &["127.0.0.1", "::1"]);
        }
        Err(error) => {
            // Not `eprintln`: the harness hides what a passing test prints.
            let _ = io::stderr().write_all(format!("SKIPPED: IPv6 addresses: {error}\n").as_bytes());
            check_server(Server::bind_any(0).unwrap(), &["127.0.0.1"]);
        }
    }
}

// --- Without a socket

#[test]
fn exchange_in_memory_equals_exchange_over_socket() {
    let handler = Arc::new(|request: &Request<'_>| match &*request.path() {
        "/body" => Action::collect_body(9, length_of),
        "/reader" => reader(100_000, Some(100_000), || Ok(0)).into(),
        "/short" => reader(100_000, Some(200_000), || Ok(0)).into(),
        "/until-close" => reader(100_000, None, || Ok(0)).into(),
        "/bytes" => Response::bytes(BINARY, vec![b'x'; 2 * MIB]).into(),
        "/panic" => panic!("panic of the test"),
        "/none" => Response::empty(Status::NO_CONTENT).into(),
        path => Response::text(path).into(),
    });
    let server = EmbeddedServer::start(|server| server.threads(1), handler.clone());
    let undated = |bytes: &[u8]| {
        let lines = bytes.split_inclusive(|&byte| byte == b'\n');
        lines.filter(|line| !line.starts_with(b"Date: ")).collect::<Vec<_>>().concat()
    };
    let simple = |path: &str| format!("GET {path} HTTP/1.0\r\n\r\n").into_bytes();
    for bytes in [
        simple("/a"),
        [keep_alive("/a").repeat(40), simple("/b")].concat(),
        [post("/body", b"hello"), post("/body", b"more than 9"), simple("/a")].concat(),
        simple("/reader"),
        keep_alive("/short").repeat(2),
        keep_alive("/until-close").repeat(2),
        [keep_alive("/bytes"), keep_alive("/panic"), keep_alive("/none"), simple("/a")].concat(),
        b"GET /simple\r\n".to_vec(),
        b"HEAD /bytes HTTP/1.0\r\n\r\n".to_vec(),
        b"GET /half HTTP/1.0\r\nA: b".to_vec(),
        post_head("/body", 5),
        b"nonsense\r\n\r\nand more".to_vec(),
        b"".to_vec(),
    ] {
        let mut stream = send(server.address(), &bytes);
        stream.shutdown(Shutdown::Write).unwrap();
        let expected = undated(&http_server::testing::exchange(&handler, &bytes).output);
        assert!(undated(&read_available(&mut stream)) == expected, "to {}", bytes.escape_ascii());
    }
    server.finish();
}

// --- Shutdown

#[test]
fn shutdown_lets_body_and_response_finish() {
    let server = EmbeddedServer::start(|server| server.threads(1), echo);
    let mut stream = send(server.address(), &post_head("/", 5));
    stream.write_all(b"he").unwrap();
    thread::sleep(Duration::from_millis(50));
    let stats_handle = server.running().stats_handle();
    server.running().shutdown_handle().shut_down();
    wait_until("new connections are refused", || TcpStream::connect(server.address()).is_err());
    stream.write_all(b"llo").unwrap();
    let response = read_response(&mut stream);
    assert_eq!((response.text(), response.keeps_alive()), ("hello", false));
    assert_eq!(read_to_end(&mut stream).unwrap(), b"");
    let stats = server.finish();
    assert_eq!((stats.completed, stats), (1, stats_handle.stats()));
}

// --- Limits

// V12: all unread responses share 64 MiB. Shared bodies do not count.
#[test]
fn unread_responses_share_a_limit() {
    const LARGE: usize = 8 * MIB;
    let shared: Arc<[u8]> = vec![b'x'; LARGE].into();
    let handler = move |request: &Request<'_>| match &*request.path() {
        "/bytes" => Response::bytes(BINARY, vec![b'x'; LARGE]),
        "/shared" => Response::empty(Status::OK).body(Body::Shared(shared.clone())),
        _ => Response::text("small"),
    };
    let server = EmbeddedServer::start(|server| server.threads(2), handler);
    let ask = |path: &str| send(server.address(), format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
    let readers: Vec<_> = (0..12).map(|_| ask("/bytes")).collect();
    wait_until("the limit is reached", || server.running().stats().failed == 4);
    let sharers: Vec<_> = (0..12).map(|_| ask("/shared")).collect();
    assert_eq!(get(server.address(), "/small").text(), "small");
    let lengths = |streams: Vec<TcpStream>| {
        streams.into_iter().map(|mut stream| read_available(&mut stream).len()).filter(|&n| n > LARGE).count()
    };
    assert_eq!((lengths(readers), lengths(sharers)), (8, 12), "complete responses");
    assert_eq!(get(server.address(), "/bytes").body.len(), LARGE, "there is memory again");
    let Stats { accepted, completed, failed, .. } = server.finish();
    assert_eq!((accepted, completed, failed), (26, 22, 4));
}

// R9110-15.5.9. The minimum rate applies after 10 s.
#[test]
fn body_below_minimum_rate_gets_408() {
    let rate = 100 << 10;
    let recorder = Recorder::default();
    let to = recorder.clone();
    let handler = move |_: &Request<'_>| Action::stream_body(1 << 40, RecordingSink(to.clone()));
    let timeouts = Timeouts { min_rate: rate as u64, ..Timeouts::default() };
    let server = EmbeddedServer::start(|server| server.threads(1).timeouts(timeouts), handler);
    let address = server.address();
    // Sends this many bytes every tenth of a second, for at most 14 s. Returns the status of the response and its time.
    let send_at = |each: usize| {
        let mut stream = send(address, &post_head("/", 140 * each));
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut reading = stream.try_clone().unwrap();
        let began = Instant::now();
        let reader = thread::spawn(move || (read_response(&mut reading).status, began.elapsed()));
        for n in 0..140 {
            if reader.is_finished() {
                break;
            }
            thread::sleep((began + Duration::from_millis(100) * n).saturating_duration_since(Instant::now()));
            let _ = stream.write_all(&vec![b'x'; each]);
        }
        reader.join().unwrap()
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let (status, time) = send_at(rate / 100);
            assert_eq!(status, 408);
            assert!((10_500..13_500).contains(&time.as_millis()), "{time:?}"); // with the extra second for busy workers
        });
        scope.spawn(|| assert_eq!(send_at(rate / 5).0, 200));
    });
    wait_until("both sinks are dropped", || recorder.seen().dropped == 2);
    assert_eq!(recorder.seen().finished, 1);
    server.finish();
}
