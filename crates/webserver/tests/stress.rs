//! A stress test: clients do random things to a server with too few threads, slots and seconds, which is shut down in
//! the middle. Every response must be correct, every connection must end once, and nothing may leak.
//!
//! `STRESS_SECONDS` sets the duration, and `STRESS_SEED` the first round. A failure prints the seed of its round.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::env;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use http_core::Method;
use http_server::auth::{BasicAuth, Users};
use http_server::{Action, Body, BodySink, Handler, HandlerError, Later, Request, Response, Server, Timeouts};
use rustix::net::sockopt::set_socket_linger;

use support::{EmbeddedServer, PASSWORD, TIMEOUT, authorization, users_line, wait_until};

/// A random number generator with a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pause(&mut self) {
        thread::sleep(Duration::from_millis(self.below(30) as u64));
    }
}

/// The body of this length, in either direction.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

/// The number of sinks that have not been dropped.
static SINKS: AtomicUsize = AtomicUsize::new(0);

struct CountingSink(Vec<u8>);

impl BodySink for CountingSink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), HandlerError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Response, HandlerError> {
        Ok(check_body(&self.0))
    }
}

impl Drop for CountingSink {
    fn drop(&mut self) {
        SINKS.fetch_sub(1, Relaxed);
    }
}

/// The response to a request body: its length, if the body is correct.
fn check_body(body: &[u8]) -> Response {
    Response::text(if body == content(body.len()) { format!("received {}", body.len()) } else { "wrong".into() })
}

/// `/n` is n bytes. A request body is collected, streamed to a sink, or ignored. Some responses come late, and some
/// from a reader that does.
struct TestHandler {
    /// If so, it asks before it blocks, and the reactor may defer a ready connection.
    never_blocks: bool,
}

/// A reader that blocks now and then.
struct SlowReader(std::io::Cursor<Vec<u8>>);

impl Read for SlowReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.0.position().is_multiple_of(3) {
            thread::sleep(Duration::from_millis(2));
        }
        self.0.read(buffer)
    }
}

/// Whether a handler that responds with `length` bytes may block, and how long it does. Some take long without asking, as
/// if they computed.
fn block(request: &Request<'_>, length: usize) -> Result<(), Later> {
    let milliseconds = match length % 8 {
        0 => {
            request.blocking().will_block()?;
            3
        }
        1 => {
            request.blocking().may_hang()?;
            10
        }
        3 => 12,
        _ => return Ok(()),
    };
    thread::sleep(Duration::from_millis(milliseconds));
    Ok(())
}

impl Handler for TestHandler {
    fn handle(&self, request: &Request<'_>) -> Action {
        let path = request.path();
        match (request.method() == Method::Post, &*path) {
            (true, "/collect") => Action::collect_body(1 << 20, |body| check_body(&body)),
            (true, "/sink") => {
                SINKS.fetch_add(1, Relaxed);
                Action::stream_body(4 << 20, CountingSink(Vec::new()))
            }
            _ => {
                let length = path[1..].parse().unwrap_or(0);
                if let Err(later) = block(request, length) {
                    return later.into();
                }
                let content = content(length);
                match length % 8 {
                    2 => {
                        let reader = Box::new(SlowReader(std::io::Cursor::new(content)));
                        Response::bytes(TEXT, Body::Reader { reader, length: Some(length as u64) }).into()
                    }
                    _ => Response::bytes(TEXT, content).into(),
                }
            }
        }
    }

    fn never_blocks(&self) -> bool {
        self.never_blocks
    }
}

const TEXT: http_core::FieldValue<'static> = http_core::FieldValue::from_static("text/plain");

/// A request, and the body of its response if the server has enough time and memory.
fn request(random: &mut Random, keep: bool, large: bool) -> (Vec<u8>, Vec<u8>) {
    let login = authorization(USERS[random.below(USERS.len())], PASSWORD);
    let version = if keep && random.one_in(2) { "1.1\r\nHost: a\r\nExpect: 100-continue" } else { "1.0" };
    let version = format!("{version}\r\n{login}");
    let keep = if keep { "Connection: keep-alive\r\n" } else { "" };
    let length = match random.below(8) {
        _ if !large => random.below(300),
        0 => random.below(2 << 20),
        1 | 2 => random.below(100_000),
        _ => random.below(300),
    };
    let path = match random.below(4) {
        0 => "/collect",
        1 => "/sink",
        _ => return (format!("GET /{length} HTTP/{version}{keep}\r\n").into_bytes(), content(length)),
    };
    let length = length >> 1; // below the smaller of the two limits
    let head = format!("POST {path} HTTP/{version}{keep}Content-Length: {length}\r\n\r\n");
    ([head.as_bytes(), &content(length)].concat(), format!("received {length}").into_bytes())
}

/// One connection with random behaviour. It checks every response. `unlimited`: the server has enough time and memory,
/// so a client that sends complete requests and reads on gets complete responses.
fn run_client(address: SocketAddr, mut random: Random, unlimited: bool) {
    // The server may have stopped accepting.
    let Ok(mut stream) = TcpStream::connect_timeout(&address, TIMEOUT) else { return };
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    let large = !random.one_in(4);
    let requests = 1 + random.below(if large { 6 } else { 60 });
    let (sent, expected): (Vec<_>, Vec<_>) = (1..=requests).map(|n| request(&mut random, n < requests, large)).unzip();
    let mut sent = sent.concat();
    let is_complete = !random.one_in(4);
    if !is_complete {
        // At least a byte: a connection without data is not accepted, and the kernel does not close it at a shutdown.
        sent.truncate(1 + random.below(sent.len() - 1));
    }
    let max_read = if random.one_in(3) { random.below(200_000) } else { usize::MAX };
    thread::scope(|scope| {
        let reader = scope.spawn({
            let (stream, random) = (stream.try_clone().unwrap(), Random(random.next()));
            move || read(stream, random, max_read)
        });
        let largest = [1, 100, 20_000, 1 << 22][random.below(4)];
        let mut rest = &sent[..];
        for piece in 0.. {
            // In at most 65 pieces.
            let n = if piece < 64 { rest.len().min(1 + random.below(largest)) } else { rest.len() };
            if n == 0 || stream.write_all(&rest[..n]).is_err() {
                break;
            }
            rest = &rest[n..];
            if piece < 8 {
                random.pause();
            }
        }
        if random.one_in(3) || (unlimited && !is_complete) {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let (bytes, end) = reader.join().unwrap();
        let responses = check(&bytes, &expected);
        assert!(
            responses == requests || !is_complete || max_read < usize::MAX || !unlimited,
            "{responses} of {requests} responses and {end:?} after {} bytes; {} of {} bytes unsent; the last bytes: {}",
            bytes.len(),
            rest.len(),
            sent.len(),
            bytes[bytes.len().saturating_sub(400)..].escape_ascii()
        );
    });
}

/// Reads until the server closes, with a reset or not, or until the client has read enough and disconnects.
fn read(mut stream: TcpStream, mut random: Random, max_read: usize) -> (Vec<u8>, Option<ErrorKind>) {
    let slow = random.one_in(3);
    let mut pauses = 32;
    let (mut bytes, mut piece) = (Vec::new(), vec![0; if slow { 3000 } else { 1 << 16 }]);
    while bytes.len() < max_read {
        match stream.read(&mut piece) {
            Ok(n @ 1..) => bytes.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("the server hangs after {} bytes", bytes.len())
            }
            end => return (bytes, end.err().map(|error| error.kind())),
        }
        if slow && pauses > 0 && random.one_in(16) {
            pauses -= 1;
            random.pause();
        }
    }
    if random.one_in(2) {
        let _ = set_socket_linger(&stream, Some(Duration::ZERO)); // closing it sends a reset
    }
    let _ = stream.shutdown(Shutdown::Both);
    (bytes, None)
}

/// Checks that each response is as expected, as far as it came, or is a last error. Returns the number of complete
/// responses.
fn check(mut bytes: &[u8], expected: &[Vec<u8>]) -> usize {
    for (checked, expected) in expected.iter().enumerate() {
        bytes = bytes.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(bytes);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return checked };
        let head = str::from_utf8(&bytes[..end]).unwrap();
        let status = head.strip_prefix("HTTP/1.0 ").and_then(|head| head.get(..3)).unwrap_or_else(|| panic!("{head}"));
        let rest = &bytes[end + 4..];
        if status != "200" {
            assert!(matches!(status, "400" | "408" | "413" | "503"), "{head}");
            assert!(status == "413" || head.contains("\r\nConnection: close"), "{head}"); // a short body is dropped
            return checked;
        }
        assert!(head.contains(&format!("\r\nContent-Length: {}", expected.len())), "{head}");
        let n = rest.len().min(expected.len());
        assert!(rest[..n] == expected[..n], "{head}: wrong body");
        if n < expected.len() {
            return checked;
        }
        bytes = &rest[n..];
    }
    assert_eq!(bytes.len(), 0, "bytes after the last response");
    expected.len()
}

/// Their passwords are verified in each round.
const USERS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn users() -> Users {
    static LINES: LazyLock<String> = LazyLock::new(|| USERS.map(|user| users_line(user, 4)).concat());
    Users::parse(LINES.as_bytes()).unwrap()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn round(seed: u64) {
    let mut random = Random(seed);
    let mut millis = |min, max| Duration::from_millis((min + random.below(max - min)) as u64);
    let [head, idle, shutdown_timeout, duration, shutdown_after] =
        [millis(40, 140), millis(40, 140), millis(0, 100), millis(100, 200), millis(50, 200)];
    let (threads, slots) = (1 + random.below(3), 1 + random.below(8) as u32);
    let unlimited = random.one_in(3);
    let (body_budget, requires_login) = (random.below(600_000), random.one_in(3));
    let (never_blocks, pollers) = (random.one_in(2), 1 + random.below(2));
    let configure = |server: Server| match server.threads(threads).pollers(pollers) {
        server if unlimited => server,
        server => {
            let timeouts = Timeouts { head, idle, body: head, ..Timeouts::default() };
            let server = server.max_connections(slots).timeouts(timeouts).shutdown_timeout(shutdown_timeout);
            server.body_budget(body_budget)
        }
    };
    let handler = TestHandler { never_blocks };
    let server = match requires_login {
        true => EmbeddedServer::start(configure, BasicAuth::new(users(), handler)),
        false => EmbeddedServer::start(configure, handler),
    };
    let address = server.address();
    let stats = thread::scope(|scope| {
        let end = Instant::now() + duration;
        let clients: Vec<_> = (0..16)
            .map(|_| {
                let mut random = Random(random.next());
                scope.spawn(move || {
                    while Instant::now() < end {
                        run_client(address, Random(random.next()), unlimited);
                    }
                })
            })
            .collect();
        if unlimited {
            clients.into_iter().for_each(|client| client.join().unwrap());
        } else {
            thread::sleep(shutdown_after);
        }
        server.finish()
    });
    if unlimited {
        assert_eq!((stats.refused, stats.timed_out, stats.failed), (0, 0, 0), "{stats}");
    }
    if env::var_os("STRESS_SECONDS").is_some() {
        println!("STRESS_SEED={seed}{} {stats}", if unlimited { ", unlimited:" } else { ":" });
    }
}

#[test]
fn responses_are_correct_whatever_clients_do() {
    let number = |name| env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let end = Instant::now() + Duration::from_secs(number("STRESS_SECONDS").unwrap_or(4));
    for seed in number("STRESS_SEED").unwrap_or(0).. {
        let before = descriptors();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| round(seed))) {
            eprintln!("STRESS_SEED={seed}");
            resume_unwind(panic);
        }
        wait_until("all descriptors are closed", || descriptors() <= before);
        assert_eq!(SINKS.load(Relaxed), 0, "STRESS_SEED={seed}: leaked sinks");
        if Instant::now() >= end {
            break;
        }
    }
}
