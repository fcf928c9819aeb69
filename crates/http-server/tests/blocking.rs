//! Connections over blocking streams, served by the same code as all others.
#![cfg(test)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use http_core::server::{Connection, Event};
use http_core::{CloseReason, Limits, RequestError};
use http_server::blocking::{read_from, serve, serve_from, serve_tcp};
use http_server::{Action, Body, Request, Response};

fn handle(request: &Request<'_>) -> Action {
    match &*request.path() {
        "/peer" => Response::text(format!("{} {:?}", request.peer_addr(), request.local_addr().ok())).into(),
        "/large" => Response::text("x".repeat(3 << 20)).into(),
        "/file" => {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
            let file = std::fs::File::open(path).unwrap();
            let length = file.metadata().unwrap().len();
            Response::bytes("text/plain", Body::File { file: file.into(), offset: 0, length, modified: None }).into()
        }
        "/short" => {
            Response::bytes("text/plain", Body::Reader { reader: Box::new(io::empty()), length: Some(5) }).into()
        }
        "/panics" => {
            struct Panics;
            impl Read for Panics {
                fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                    panic!("as instructed")
                }
            }
            Response::bytes("text/plain", Body::Reader { reader: Box::new(Panics), length: Some(5) }).into()
        }
        _ => Action::collect_body(1 << 20, |body| Response::text(body.len().to_string())),
    }
}

/// A client in memory: what it sends, piece by piece, and what it received.
struct Client<'a> {
    input: Vec<io::Result<&'a [u8]>>,
    output: Vec<u8>,
}

impl Read for Client<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Ok(0);
        }
        let piece = self.input.remove(0)?;
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

impl Write for Client<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn serve_input(input: Vec<io::Result<&[u8]>>) -> (io::Result<Option<CloseReason>>, String) {
    let mut client = Client { input, output: Vec::new() };
    let result = serve(&mut client, &handle);
    (result, String::from_utf8(client.output).unwrap())
}

fn connect() -> (TcpStream, JoinHandle<io::Result<Option<CloseReason>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    (client, thread::spawn(move || serve_tcp(&stream, &handle)))
}

const KEPT: &[u8] = b"GET /peer HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";

#[test]
fn connection_is_kept_however_its_bytes_are_cut() {
    let requests = [KEPT, b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"].concat();
    for size in [1, 2, 7, 1000] {
        let (result, output) = serve_input(requests.chunks(size).map(Ok).collect());
        assert_eq!(result.unwrap(), Some(CloseReason::PeerRequested), "{size}");
        assert_eq!(output.matches("HTTP/1.0 200 OK\r\n").count(), 2, "{output}");
        assert!(output.contains("\r\n\r\n0.0.0.0:0 None") && output.ends_with("\r\n\r\n5"), "{output}");
    }
}

#[test]
fn timeout_of_the_stream_is_a_408_within_a_request_and_a_close_between_two() {
    let timeout = || Err(ErrorKind::WouldBlock.into());
    let (result, output) = serve_input(vec![Ok(b"GET /"), timeout()]);
    assert_eq!(result.unwrap(), Some(CloseReason::Refused(RequestError::TimedOut)));
    assert!(output.starts_with("HTTP/1.0 408 "), "{output}");
    let (result, output) = serve_input(vec![Ok(KEPT), timeout()]);
    assert_eq!(result.unwrap(), Some(CloseReason::IdleTimeout));
    assert_eq!(output.matches("HTTP/1.0 ").count(), 1, "{output}");
}

/// A stream with a buffer of its own, as TLS has, whose first flushes time out.
struct Buffered<'a> {
    client: Client<'a>,
    timeouts: usize,
}

impl Read for Buffered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.client.read(buffer)
    }
}

impl Write for Buffered<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.client.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.timeouts == 0 {
            return Ok(());
        }
        self.timeouts -= 1;
        Err(ErrorKind::WouldBlock.into())
    }
}

#[test]
fn bytes_whose_flush_timed_out_are_not_sent_twice() {
    for (timeouts, is_ok) in [(0, true), (1, true), (usize::MAX, false)] {
        let client = Client { input: vec![Ok(KEPT), Ok(b"GET /large HTTP/1.0\r\n\r\n")], output: Vec::new() };
        let mut stream = Buffered { client, timeouts };
        let result = serve(&mut stream, &handle);
        let output = String::from_utf8(stream.client.output).unwrap();
        assert_eq!(result.is_ok(), is_ok, "{timeouts}: {result:?}");
        assert!(output.matches("HTTP/1.0 200 OK\r\n").count() <= 2, "{timeouts}: {}", &output[..600]);
        if is_ok {
            let body = output.rsplit("\r\n\r\n").next().unwrap();
            assert_eq!(body.len(), 3 << 20, "{timeouts}");
        }
    }
}

#[test]
fn interrupted_read_is_repeated() {
    let (result, output) = serve_input(vec![Err(ErrorKind::Interrupted.into()), Ok(KEPT)]);
    assert!(result.is_ok() && output.starts_with("HTTP/1.0 200 "), "{output}");
}

#[test]
fn broken_stream_and_incomplete_response_are_errors() {
    let (result, _) = serve_input(vec![Ok(b"GET /"), Err(ErrorKind::ConnectionReset.into())]);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
    for path in ["/short", "/panics"] {
        let (result, output) = serve_input(vec![Ok(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())]);
        assert_eq!(result.unwrap_err().to_string(), "the response is incomplete", "{path}");
        assert!(output.ends_with("\r\n\r\n"), "{output}");
    }
}

#[test]
fn any_stream_can_be_served() {
    let (mut client, server) = UnixStream::pair().unwrap();
    let served = thread::spawn(move || serve(server, &handle));
    client.write_all(b"GET /file HTTP/1.0\r\n\r\n").unwrap();
    let mut output = Vec::new();
    client.read_to_end(&mut output).unwrap();
    assert!(output.ends_with(include_bytes!("../src/lib.rs")));
    assert_eq!(served.join().unwrap().unwrap(), Some(CloseReason::PeerRequested));
}

#[test]
fn handler_sees_the_peer_that_serve_from_is_told() {
    let mut client = Client { input: vec![Ok(b"GET /peer HTTP/1.0\r\n\r\n")], output: Vec::new() };
    let peer = "[2001:db8::1]:50000".parse().unwrap();
    assert_eq!(serve_from(&mut client, peer, &handle).unwrap(), Some(CloseReason::PeerRequested));
    let output = String::from_utf8(client.output).unwrap();
    assert!(output.ends_with("\r\n\r\n[2001:db8::1]:50000 None"), "{output}");
}

#[test]
fn tcp_connection_has_addresses_and_is_kept() {
    let (mut client, served) = connect();
    client.write_all(KEPT).unwrap();
    thread::sleep(Duration::from_millis(50));
    client.write_all(b"GET /large HTTP/1.0\r\n\r\n").unwrap();
    let mut output = String::new();
    client.read_to_string(&mut output).unwrap();
    let addresses = format!("\r\n\r\n{} Some({})", client.local_addr().unwrap(), client.peer_addr().unwrap());
    assert!(output.contains(&addresses) && output.ends_with(&"x".repeat(3 << 20)));
    assert_eq!(served.join().unwrap().unwrap(), Some(CloseReason::PeerRequested));
}

// R9112-9.6b: a reset must not destroy the response.
#[test]
fn tcp_connection_lingers_while_the_client_still_sends() {
    let (mut client, served) = connect();
    client.write_all(b"POST / HTTP/1.0\r\nContent-Length: 1500000\r\n\r\n").unwrap();
    for _ in 0..15 {
        client.write_all(&[b'x'; 100_000]).unwrap();
    }
    let mut output = String::new();
    client.read_to_string(&mut output).unwrap();
    assert!(output.starts_with("HTTP/1.0 413 "), "{output}");
    drop(client);
    served.join().unwrap().unwrap();
}

#[test]
fn silent_client_and_slow_reader_release_the_thread() {
    let since = Instant::now();
    let (silent, served) = connect();
    assert_eq!(served.join().unwrap().unwrap(), Some(CloseReason::IdleTimeout));
    drop(silent);
    let (mut slow, served) = connect();
    slow.write_all(&b"GET /large HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".repeat(5)).unwrap();
    assert_eq!(served.join().unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

/// A client that moves a byte now and then.
struct Trickle(&'static [u8]);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Trickle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        thread::sleep(Duration::from_millis(50));
        Ok(bytes.len().min(10))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// No single call takes long, and each moves something. Both deadlines are 10 s.
#[test]
fn client_that_trickles_releases_the_thread() {
    let since = Instant::now();
    let reader = thread::spawn(|| serve(Trickle(b"GET /large HTTP/1.0\r\n\r\n"), &handle));
    let (mut client, served) = connect();
    client.write_all(b"POST / HTTP/1.0\r\nContent-Length: 1500000\r\n\r\n").unwrap();
    while !(reader.is_finished() && served.is_finished()) {
        assert!(since.elapsed() < Duration::from_secs(25), "{} {}", reader.is_finished(), served.is_finished());
        let _ = client.write_all(b"x"); // it fails once the server has closed
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(reader.join().unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
    served.join().unwrap().unwrap();
}

#[test]
fn machine_is_driven_by_read_from() {
    let mut input = &b"GET /a HTTP/1.0\r\n\r\n"[..];
    let mut connection = Connection::new(Limits::default());
    assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
    assert_eq!(read_from(&mut connection, &mut input).unwrap(), 19);
    assert!(matches!(connection.poll(), Ok(Event::Request(_))));
    assert_eq!(read_from(&mut connection, &mut input).unwrap(), 0);
    // The buffer is full of bytes that were not polled.
    let mut connection = Connection::new(Limits { head: 16, ..Limits::default() });
    let mut endless = io::repeat(b'x');
    while !connection.receive_buffer().is_empty() {
        read_from(&mut connection, &mut endless).unwrap();
    }
    assert_eq!(read_from(&mut connection, &mut endless).unwrap_err().kind(), ErrorKind::InvalidInput);
}
