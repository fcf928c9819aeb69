//! Tests of the blocking driver: over streams in memory, and over sockets where the kernel's behaviour matters.
// Clippy then treats the helpers, too, as test code.
#![cfg(test)]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use http_core::client::{Connection, Event, Request};
use http_core::{
    Authority, FieldBlock, FieldName, Limits, Method, ResponseError, Target, UsageError, header, redirect,
};
use webclient::connection::{ClientConnection, Response, is_idle, read_from, send};
use webclient::{Error, Timeouts};

const TIMEOUT: Duration = Duration::from_secs(20);
const KEPT: &str = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello";

/// A stream in memory. Each read returns the next of `reads`, and then the end. Writing fails after `writable` bytes.
#[derive(Debug, Default)]
struct Script {
    reads: VecDeque<io::Result<Vec<u8>>>,
    written: Vec<u8>,
    writes: usize,
    writable: Option<usize>,
}

impl Script {
    fn new(reads: &[&str]) -> Script {
        Script { reads: reads.iter().map(|bytes| Ok(bytes.as_bytes().to_vec())).collect(), ..Script::default() }
    }

    fn failing(reads: &[&str], kind: ErrorKind) -> Script {
        let mut script = Script::new(reads);
        script.reads.push_back(Err(kind.into()));
        script
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.reads.pop_front().unwrap_or_else(|| Ok(Vec::new()))?;
        let n = (&bytes[..]).read(buffer)?;
        if n < bytes.len() {
            self.reads.push_front(Ok(bytes.split_off(n)));
        }
        Ok(n)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        if self.writable.is_some_and(|writable| self.written.len() + bytes.len() > writable) {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

static NO_FIELDS: FieldBlock = FieldBlock::new();

fn request(method: Method<'static>, body: Option<u64>) -> Request<'static> {
    let (target, host) = (Target::new(b"/a").unwrap(), Authority::new(b"h").unwrap());
    Request { body, keep_alive: true, ..Request::new(method, target, host, &NO_FIELDS) }
}

fn get() -> Request<'static> {
    request(Method::Get, None)
}

/// A server on a new thread, and a connection to it.
fn serve(script: impl FnOnce(TcpStream) + Send + 'static) -> (ClientConnection<TcpStream>, thread::JoinHandle<()>) {
    serve_for(TIMEOUT, script)
}

/// The client's timeout is `idle`.
fn serve_for(
    idle: Duration,
    script: impl FnOnce(TcpStream) + Send + 'static,
) -> (ClientConnection<TcpStream>, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        script(stream);
    });
    let timeouts = Timeouts { connect: TIMEOUT, idle, total: None };
    (ClientConnection::connect(("127.0.0.1", address.port()), &timeouts).unwrap(), server)
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

// --- read_from

#[test]
fn read_from_reports_bytes_and_end_and_retries_interrupted_reads() {
    let mut connection = Connection::new(Limits::default());
    let _no_body = connection.request(&get(), &mut Vec::new()).unwrap();
    let mut script = Script::failing(&[], ErrorKind::Interrupted);
    script.reads.push_back(Ok(b"HTTP/1.0 200 OK\r\n\r\nhello".to_vec()));
    assert_eq!(read_from(&mut connection, &mut script).unwrap(), 24);
    assert!(matches!(connection.poll(), Ok(Event::Response(_))));
    assert!(matches!(connection.poll(), Ok(Event::Body(b"hello"))));
    assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
    assert_eq!(read_from(&mut connection, &mut script).unwrap(), 0);
    assert!(matches!(connection.poll(), Ok(Event::ResponseEnd)));
}

// R9112-8
#[test]
fn read_from_does_not_report_an_error_or_a_full_buffer_as_the_end() {
    let mut connection = Connection::new(Limits::default());
    let _no_body = connection.request(&get(), &mut Vec::new()).unwrap();
    let mut script = Script::failing(&["HTTP/1.0 200 OK\r\n\r\n"], ErrorKind::ConnectionReset);
    read_from(&mut connection, &mut script).unwrap();
    assert!(matches!(connection.poll(), Ok(Event::Response(_))));
    assert_eq!(read_from(&mut connection, &mut script).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
    let error = (0..9).find_map(|_| read_from(&mut connection, &mut io::repeat(b'x')).err()).unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(matches!(connection.poll(), Ok(Event::Body(_))));
    assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
}

// --- send: the request

#[test]
fn small_request_is_one_write_and_its_body_ends_at_the_announced_length() {
    let mut script = Script::new(&["HTTP/1.0 204 No Content\r\n\r\n"]);
    let mut body = &b"hello, and more"[..];
    send(&mut script, &request(Method::Post, Some(5)), &mut body).unwrap();
    let expected = "POST /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!((String::from_utf8(script.written).unwrap().as_str(), script.writes), (expected, 1));
    assert_eq!(body, b", and more");
}

#[test]
fn request_body_is_streamed_in_pieces() {
    let mut script = Script::new(&["HTTP/1.0 204 No Content\r\n\r\n"]);
    let length = 1 << 20;
    send(&mut script, &request(Method::Put, Some(length)), io::repeat(b'x')).unwrap();
    assert!(script.written.ends_with(&vec![b'x'; length as usize]));
    assert!(script.writes > 16, "{} writes", script.writes);
}

#[test]
fn request_body_that_ends_early_or_fails_is_an_error() {
    let mut script = Script::new(&["HTTP/1.0 200 OK\r\n\r\n"]);
    let error = send(&mut script, &request(Method::Post, Some(6)), &b"hello"[..]).unwrap_err();
    assert!(matches!(&error, Error::RequestBody(source) if source.kind() == ErrorKind::UnexpectedEof), "{error}");
    assert!(!error.can_retry() && script.written.is_empty());
    let broken = Script::failing(&["hel"], ErrorKind::PermissionDenied);
    let error = send(&mut script, &request(Method::Post, Some(6)), broken).unwrap_err();
    assert!(matches!(&error, Error::RequestBody(source) if source.kind() == ErrorKind::PermissionDenied), "{error}");
}

#[test]
fn request_that_cannot_be_written_is_a_usage_error() {
    let mut script = Script::new(&[]);
    let error = send(&mut script, &request(Method::Connect, None), io::empty()).unwrap_err();
    assert!(matches!(error, Error::Request(UsageError::TargetForm)) && script.written.is_empty());
}

// R1945-9.4a
#[test]
fn early_response_stops_the_request_body() {
    const RESPONSE: &str = "HTTP/1.0 413 Content Too Large\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nno\n";
    let (connection, server) = serve(|mut stream| {
        read_head(&mut stream);
        stream.write_all(RESPONSE.as_bytes()).unwrap();
        // It keeps reading, like a server that lets its response arrive before it closes.
        let received = io::copy(&mut stream, &mut io::sink()).unwrap();
        assert!(received < 1 << 40);
    });
    let mut response = connection.send(&request(Method::Put, Some(1 << 40)), io::repeat(b'x')).unwrap();
    assert_eq!(response.head.status.code(), 413);
    assert_eq!(response.read_to_vec(9).unwrap(), b"no\n");
    assert!(response.into_connection().is_none());
    server.join().unwrap();
}

// R1945-9.4a
#[test]
fn response_is_read_when_the_server_closes_before_it_has_received_the_body() {
    let script = Script { writable: Some(40_000), ..Script::new(&["HTTP/1.0 413 \r\nContent-Length: 0\r\n\r\n"]) };
    let response = send(script, &request(Method::Put, Some(1 << 20)), io::repeat(b'x')).unwrap();
    assert_eq!(response.head.status.code(), 413);
    assert!(response.into_connection().is_none());
}

// R1945-9.4a
#[test]
fn response_is_read_when_the_server_stops_reading_but_does_not_close() {
    let (sender, receiver) = channel();
    let (connection, server) = serve_for(Duration::from_millis(500), move |mut stream| {
        read_head(&mut stream);
        thread::sleep(Duration::from_millis(250)); // the client's write blocks meanwhile
        stream.write_all(b"HTTP/1.0 413 \r\nContent-Length: 0\r\n\r\n").unwrap();
        receiver.recv_timeout(TIMEOUT).unwrap();
    });
    let response = connection.send(&request(Method::Put, Some(1 << 40)), io::repeat(b'x')).unwrap();
    assert_eq!(response.head.status.code(), 413);
    sender.send(()).unwrap();
    server.join().unwrap();
}

// R9110-15.2
#[test]
fn interim_response_does_not_stop_the_request_body() {
    let (connection, server) = serve(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        assert_eq!(io::copy(&mut (&mut stream).take(8 << 20), &mut io::sink()).unwrap(), 8 << 20);
        stream.write_all(KEPT.as_bytes()).unwrap();
    });
    let response = connection.send(&request(Method::Put, Some(8 << 20)), io::repeat(b'x')).unwrap();
    assert_eq!(response.head.status.code(), 200);
    server.join().unwrap();
}

// --- send: the response

#[test]
fn head_is_copied_with_joined_lines_and_repeated_headers() {
    let bytes = "HTTP/1.1 302 Fo\u{fc}nd\r\nX-A: 1\r\nLocation: /b\r\nx-a:\r\n 2\r\nContent-Length: 0\r\n\r\n";
    let Response { head, .. } = send(Script::new(&[bytes]), &get(), io::empty()).unwrap();
    assert_eq!((head.version.to_string().as_str(), head.status.code()), ("HTTP/1.1", 302));
    assert_eq!((&head.reason[..], &head.bytes[..]), ("Fo\u{fc}nd".as_bytes(), bytes.as_bytes()));
    assert_eq!(head.get(header::LOCATION).unwrap().as_bytes(), b"/b");
    assert_eq!(head.get(FieldName::from_static("X-a")).unwrap().as_bytes(), b"1");
    assert_eq!(head.get(header::ETAG), None);
    let headers: Vec<_> =
        head.headers().map(|(name, value)| format!("{name}={}", value.as_bytes().escape_ascii())).collect();
    assert_eq!(headers, ["X-A=1", "Location=/b", "x-a=2", "Content-Length=0"]);
}

#[test]
fn send_with_lends_the_head() {
    let script = Script::new(&["HTTP/1.0 302 Found\r\nLocation: /b\r\n\r\n"]);
    let response = ClientConnection::new(script)
        .send_with(&get(), io::empty(), |head| redirect::follow(&get(), head, 0).unwrap().unwrap().url.to_string())
        .unwrap();
    assert_eq!(response.head, "http://h/b");
}

#[test]
fn body_is_the_same_in_any_pieces() {
    let body: String = (0..40_000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    let chunked: String =
        body.as_bytes().chunks(999).map(|c| format!("{:x}\r\n{}\r\n", c.len(), c.escape_ascii())).collect();
    for response in [
        format!("HTTP/1.0 200 OK\r\n\r\n{body}"),
        format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}0\r\n\r\n"),
    ] {
        for (received, requested) in [(1, 1), (7, 100), (5000, 3), (1 << 20, 1 << 20)] {
            let sent = || {
                let pieces = response.as_bytes().chunks(received);
                let script = Script { reads: pieces.map(|piece| Ok(piece.to_vec())).collect(), ..Script::default() };
                send(script, &get(), io::empty()).unwrap()
            };
            let (mut reader, mut read, mut buffer) = (sent(), Vec::new(), vec![0; requested]);
            while let n @ 1.. = reader.read(&mut buffer).unwrap() {
                read.extend_from_slice(&buffer[..n]);
            }
            assert_eq!(reader.read(&mut buffer).unwrap(), 0, "a read after the end returns the end again");
            assert_eq!(read, body.as_bytes());
            assert_eq!(sent().read_to_vec(body.len()).unwrap(), body.as_bytes());
            let mut copied = Vec::new();
            assert_eq!(sent().copy_to(&mut copied).unwrap(), body.len() as u64);
            assert_eq!(copied, body.as_bytes());
        }
    }
}

#[test]
fn rest_of_a_body_follows_what_was_read() {
    for method in 0..3 {
        let mut response =
            send(Script::new(&["HTTP/1.0 200 OK\r\n\r\nhello", ", world"]), &get(), io::empty()).unwrap();
        let mut first = [0; 2];
        response.read_exact(&mut first).unwrap();
        let mut rest = Vec::new();
        match method {
            0 => rest = response.read_to_vec(10).unwrap(),
            1 => assert_eq!(response.copy_to(&mut rest).unwrap(), 10),
            _ => assert_eq!(response.read_to_end(&mut rest).unwrap(), 10),
        }
        assert_eq!((&first, &rest[..]), (b"he", &b"llo, world"[..]));
        assert_eq!(response.read_to_vec(0).unwrap(), b"");
    }
}

#[test]
fn body_longer_than_the_limit_is_refused() {
    let response = || send(Script::new(&["HTTP/1.0 200 OK\r\n\r\nhello"]), &get(), io::empty()).unwrap();
    assert_eq!(response().read_to_vec(5).unwrap(), b"hello");
    assert!(matches!(response().read_to_vec(4), Err(Error::BodyTooLong { limit: 4 })));
    let endless = || io::Cursor::new("HTTP/1.0 200 OK\r\n\r\n").chain(io::repeat(b'x'));
    let stream = Endless(endless());
    let mut response = send(stream, &get(), io::empty()).unwrap();
    assert!(matches!(response.read_to_vec(1 << 20), Err(Error::BodyTooLong { .. })));
}

struct Endless<R>(R);

impl<R: Read> Read for Endless<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R> Write for Endless<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn output_that_fails_is_a_write_error() {
    let mut response = send(Script::new(&["HTTP/1.0 200 OK\r\n\r\nhello"]), &get(), io::empty()).unwrap();
    let error = response.copy_to(&mut Script { writable: Some(0), ..Script::default() }).unwrap_err();
    assert!(matches!(error, Error::Write(_)) && error.is_broken_pipe());
}

// R9112-8: after a reset, some streams report an end.
#[test]
fn lost_connection_never_ends_a_body() {
    let script = Script::failing(&["HTTP/1.0 200 OK\r\n\r\nhello"], ErrorKind::ConnectionReset);
    let (mut response, mut body) = (send(script, &get(), io::empty()).unwrap(), Vec::new());
    for _ in 0..3 {
        let error = response.copy_to(&mut body).unwrap_err();
        assert!(matches!(error, Error::ConnectionLost { can_retry: false, .. }), "{error}");
        assert!(response.read_to_vec(99).is_err());
    }
    assert_eq!(body, b"hello");
    assert!(response.into_connection().is_none());
}

#[test]
fn timeout_does_not_end_a_body_and_reading_can_continue() {
    let mut script = Script::failing(&["HTTP/1.0 200 OK\r\n\r\nhello"], ErrorKind::WouldBlock);
    script.reads.push_back(Ok(b", world".to_vec()));
    let (mut response, mut body) = (send(script, &get(), io::empty()).unwrap(), Vec::new());
    assert!(matches!(response.copy_to(&mut body), Err(Error::TimedOut { limit: None, .. })));
    assert_eq!(response.copy_to(&mut body).unwrap(), 7);
    assert_eq!(body, b"hello, world");
}

#[test]
fn read_errors_keep_the_cause() {
    for (script, kind, message) in [
        (Script::new(&["HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhello"]), ErrorKind::UnexpectedEof, "cut short"),
        (
            Script::new(&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"]),
            ErrorKind::InvalidData,
            "chunks",
        ),
        (Script::failing(&["HTTP/1.0 200 OK\r\n\r\n"], ErrorKind::ConnectionReset), ErrorKind::ConnectionReset, "lost"),
        (Script::failing(&["HTTP/1.0 200 OK\r\n\r\n"], ErrorKind::TimedOut), ErrorKind::TimedOut, "timed out"),
    ] {
        let mut response = send(script, &get(), io::empty()).unwrap();
        let error = response.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), kind);
        let cause = error.downcast::<Error>().unwrap();
        assert!(cause.to_string().contains(message), "{cause}");
    }
}

// --- the kept connection

#[test]
fn connection_is_reused_until_the_server_does_not_keep_it() {
    let (mut connection, server) = serve(|mut stream| {
        for _ in 0..3 {
            assert!(read_head(&mut stream).contains("\r\nConnection: keep-alive\r\n"));
            stream.write_all(KEPT.as_bytes()).unwrap();
        }
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
    });
    for _ in 0..3 {
        assert!(connection.is_idle().unwrap());
        let mut response = connection.send(&get(), io::empty()).unwrap();
        assert_eq!(response.read_to_vec(5).unwrap(), b"hello");
        connection = response.into_connection().unwrap();
    }
    assert!(connection.send(&get(), io::empty()).unwrap().into_connection().is_none());
    server.join().unwrap();
}

#[test]
fn connection_is_kept_only_if_the_response_has_been_received() {
    for (reads, method, kept) in [
        (&[KEPT][..], Method::Get, true),
        (&[&KEPT[..KEPT.len() - 1], "o"], Method::Get, false),
        (&["HTTP/1.0 304 x\r\nConnection: keep-alive\r\n\r\n"], Method::Get, true),
        (&["HTTP/1.0 200 x\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n"], Method::Head, true),
        (&["HTTP/1.0 200 x\r\nConnection: keep-alive\r\n\r\n"], Method::Get, false),
        (&["HTTP/1.0 200 x\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\nx"], Method::Get, false),
    ] {
        let response = send(Script::new(reads), &request(method, None), io::empty()).unwrap();
        assert_eq!(response.into_connection().is_some(), kept, "{reads:?}");
    }
}

// R9112-6.3d: bytes between two requests are the response to neither.
#[test]
fn request_is_not_sent_over_a_connection_that_was_closed_or_has_input() {
    for unsolicited in ["", "HTTP/1.0 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"] {
        let (connection, server) = serve(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(KEPT.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(50));
            stream.write_all(unsolicited.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            assert!(!matches!(stream.read(&mut [0]), Ok(1..)), "no second request");
        });
        let mut response = connection.send(&get(), io::empty()).unwrap();
        response.read_to_vec(5).unwrap();
        let mut connection = response.into_connection().unwrap();
        while connection.is_idle().unwrap() {
            thread::sleep(Duration::from_millis(1));
        }
        let error = connection.send(&request(Method::Post, Some(2)), &b"{}"[..]).unwrap_err();
        assert!(error.can_retry(), "{error}");
        server.join().unwrap();
    }
}

#[test]
fn only_idempotent_request_may_be_retried_after_a_kept_connection_broke() {
    let kept = |end: Option<ErrorKind>| {
        let mut script = Script::new(&[KEPT]);
        script.reads.extend(end.map(|kind| Err(kind.into())));
        let mut response = send(script, &get(), io::empty()).unwrap();
        response.read_to_vec(5).unwrap();
        response.into_connection().unwrap()
    };
    for end in [None, Some(ErrorKind::ConnectionReset), Some(ErrorKind::BrokenPipe)] {
        let error = kept(end).send(&get(), io::empty()).unwrap_err();
        assert!(matches!(error, Error::ConnectionLost { .. }) && error.can_retry(), "{error}");
        assert!(!kept(end).send(&request(Method::Post, None), io::empty()).unwrap_err().can_retry());
    }
    assert!(!kept(Some(ErrorKind::TimedOut)).send(&get(), io::empty()).unwrap_err().can_retry());
    // The first request on a connection: the server may have acted on it.
    let error = send(Script::new(&[]), &get(), io::empty()).unwrap_err();
    assert!(matches!(error, Error::InvalidResponse(ResponseError::NoResponse)) && !error.can_retry(), "{error}");
    let error = send(Script::failing(&[], ErrorKind::ConnectionReset), &get(), io::empty()).unwrap_err();
    assert!(matches!(error, Error::ConnectionLost { can_retry: false, .. }), "{error}");
}

// R9110-15.5.9
#[test]
fn request_that_a_408_crossed_may_be_retried() {
    const TIMEOUT: &str = "HTTP/1.0 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
    for (method, body) in [(Method::Get, None), (Method::Post, Some(2))] {
        let mut response = send(Script::new(&[KEPT, TIMEOUT]), &get(), io::empty()).unwrap();
        response.read_to_vec(5).unwrap();
        let kept = response.into_connection().unwrap();
        let error = kept.send_with(&request(method, body), &b"{}"[..], |_| panic!("no response")).unwrap_err();
        assert!(error.can_retry(), "{error}");
    }
    let response = send(Script::new(&[TIMEOUT]), &get(), io::empty()).unwrap();
    assert_eq!(response.head.status.code(), 408, "to the first request it is the response");
}

#[test]
fn is_idle_is_false_after_input_a_close_or_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let pair = || {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        (client, listener.accept().unwrap().0)
    };
    let (mut client, mut server) = pair();
    assert!(is_idle(&client).unwrap());
    assert!(is_idle(&client).unwrap(), "asking changes nothing");
    let start = std::time::Instant::now();
    assert!(client.read_exact(&mut [0]).is_err());
    assert!(start.elapsed() >= Duration::from_millis(250), "it blocks as before");
    server.write_all(b"x").unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    client.peek(&mut [0]).unwrap();
    assert!(!is_idle(&client).unwrap());
    assert_eq!(client.read(&mut [0; 2]).unwrap(), 1, "it consumes nothing");
    assert!(is_idle(&client).unwrap());
    drop(server);
    client.peek(&mut [0]).unwrap();
    assert!(!is_idle(&client).unwrap());

    let (client, server) = pair();
    (&client).write_all(b"x").unwrap();
    server.peek(&mut [0]).unwrap();
    drop(server); // with a byte unread, which sends a reset
    for _ in 0..1000 {
        if !is_idle(&client).unwrap() {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    assert!(!is_idle(&client).unwrap());
}

#[test]
fn silent_server_times_out_with_the_limit_in_the_message() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let timeouts = Timeouts { idle: Duration::from_millis(200), ..Timeouts::default() };
    let endpoint = ("127.0.0.1", listener.local_addr().unwrap().port());
    let error = ClientConnection::connect(endpoint, &timeouts).unwrap().send(&get(), io::empty()).unwrap_err();
    assert_eq!(error.to_string(), "waiting for the response timed out after 0.2 s");
    // Sending a body that the server does not read also times out.
    let put = request(Method::Put, Some(u64::MAX));
    let error = ClientConnection::connect(endpoint, &timeouts).unwrap().send(&put, io::repeat(b'x')).unwrap_err();
    assert_eq!(error.to_string(), "sending the request timed out after 0.2 s");
}

#[test]
fn debug_output_shows_no_header_and_no_body() {
    let script = Script::new(&["HTTP/1.0 200 OK\r\nSet-Cookie: secret\r\n\r\nsecret"]);
    let mut response = send(script, &get(), io::empty()).unwrap();
    response.read_exact(&mut [0]).unwrap();
    let text = format!("{response:?} {:?}", response.head);
    assert!(text.contains("Response") && text.contains("200") && !text.contains("secret"), "{text}");
}

// A server that responds before it has the whole head cannot be asked again: the next head would continue this one.
#[test]
fn connection_is_not_kept_after_a_head_that_was_not_written() {
    let script = Script { writable: Some(0), ..Script::new(&[KEPT]) };
    let mut response = send(script, &get(), io::empty()).unwrap();
    assert_eq!(response.read_to_vec(9).unwrap(), b"hello");
    assert!(response.into_connection().is_none());
}
