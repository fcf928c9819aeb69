//! Everything at once, by chance: peers that do anything a peer can do, at a server with too few threads, seats and time,
//! which is stopped in the middle of it. Whatever it says is right, every connection ends once, and nothing is left over.
//!
//! `STRESS_SECONDS` is how long it goes on, `STRESS_SEED` the round that it begins with: a failure names its own.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::env;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use http_core::Method;
use http_server::{Action, BodySink, Handler, Request, Response, Timeouts};
use rustix::net::sockopt::set_socket_linger;

use support::{EmbeddedServer, TIMEOUT, wait_until};

/// Chance, the same for the same seed (SplitMix64).
struct Chance(u64);

impl Chance {
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

/// What so many bytes of a body are, in either direction.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

/// Sinks that live.
static SINKS: AtomicUsize = AtomicUsize::new(0);

struct Counting(Vec<u8>);

impl BodySink for Counting {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Response> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Response {
        received(&self.0)
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        SINKS.fetch_sub(1, Relaxed);
    }
}

/// To a body: its length, if it is what peers send.
fn received(body: &[u8]) -> Response {
    Response::text(if body == content(body.len()) { format!("advance {}", body.len()) } else { "wrong".into() })
}

/// `/n` is n bytes; a body is taken whole, or by a sink, or not at all.
struct Serve {
    /// Then who is ready may step behind others.
    never_blocks: bool,
}

impl Handler for Serve {
    fn handle(&self, request: &Request<'_>) -> Action {
        let path = request.path();
        match (request.head.method == Method::Post, &*path) {
            (true, "/whole") => Action::collect_body(|body| received(&body)).up_to(1 << 20),
            (true, "/sink") => {
                SINKS.fetch_add(1, Relaxed);
                Action::stream_body(Counting(Vec::new())).up_to(4 << 20)
            }
            _ => Response::bytes(TEXT, content(path[1..].parse().unwrap_or(0))).into(),
        }
    }

    fn never_blocks(&self) -> bool {
        self.never_blocks
    }
}

const TEXT: http_core::FieldValue<'static> = http_core::FieldValue::from_static("text/plain");

/// A request, one of a few, and the body of its response if the server has the time and the room.
fn request(chance: &mut Chance, keep: bool, few: bool) -> (Vec<u8>, Vec<u8>) {
    let keep = if keep { "Connection: keep-alive\r\n" } else { "" };
    let length = match chance.below(8) {
        _ if !few => chance.below(300),
        0 => chance.below(2 << 20),
        1 | 2 => chance.below(100_000),
        _ => chance.below(300),
    };
    let path = match chance.below(4) {
        0 => "/whole",
        1 => "/sink",
        _ => return (format!("GET /{length} HTTP/1.0\r\n{keep}\r\n").into_bytes(), content(length)),
    };
    let length = length >> 1; // the lower of the two limits
    let head = format!("POST {path} HTTP/1.0\r\n{keep}Content-Length: {length}\r\n\r\n");
    ([head.as_bytes(), &content(length)].concat(), format!("advance {length}").into_bytes())
}

/// One connection. It is as good or as bad as chance will have it, and checks whatever it is told. `in_peace`: the server
/// has time and room for everybody, so whoever asks in full and reads on is answered in full.
fn visit(address: SocketAddr, mut chance: Chance, in_peace: bool) {
    // The door may be closed already.
    let Ok(mut stream) = TcpStream::connect_timeout(&address, TIMEOUT) else { return };
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    let few = !chance.one_in(4);
    let requests = 1 + chance.below(if few { 6 } else { 60 });
    let (sent, expected): (Vec<_>, Vec<_>) = (1..=requests).map(|n| request(&mut chance, n < requests, few)).unzip();
    let mut sent = sent.concat();
    let whole = !chance.one_in(4);
    if !whole {
        // At least a byte: who says nothing is not accepted yet, and the kernel does not tell him of a stop.
        sent.truncate(1 + chance.below(sent.len() - 1));
    }
    let most = if chance.one_in(3) { chance.below(200_000) } else { usize::MAX };
    thread::scope(|scope| {
        let reader = scope.spawn({
            let (stream, chance) = (stream.try_clone().unwrap(), Chance(chance.next()));
            move || read(stream, chance, most)
        });
        let largest = [1, 100, 20_000, 1 << 22][chance.below(4)];
        let mut rest = &sent[..];
        for piece in 0.. {
            // Not a million calls.
            let n = if piece < 64 { rest.len().min(1 + chance.below(largest)) } else { rest.len() };
            if n == 0 || stream.write_all(&rest[..n]).is_err() {
                break;
            }
            rest = &rest[n..];
            if piece < 8 {
                chance.pause();
            }
        }
        if chance.one_in(3) || (in_peace && !whole) {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let (bytes, end) = reader.join().unwrap();
        let answered = check(&bytes, &expected);
        assert!(
            answered == requests || !whole || most < usize::MAX || !in_peace,
            "{answered} of {requests} responses and {end:?} after {} bytes, {} of {} unsent; the last: {}",
            bytes.len(),
            rest.len(),
            sent.len(),
            bytes[bytes.len().saturating_sub(400)..].escape_ascii()
        );
    });
}

/// What came until the server closed, by a reset or not, or until the peer had enough and vanished.
fn read(mut stream: TcpStream, mut chance: Chance, most: usize) -> (Vec<u8>, Option<ErrorKind>) {
    let slow = chance.one_in(3);
    let mut pauses = 32;
    let (mut bytes, mut piece) = (Vec::new(), vec![0; if slow { 3000 } else { 1 << 16 }]);
    while bytes.len() < most {
        match stream.read(&mut piece) {
            Ok(n @ 1..) => bytes.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("it hangs after {} bytes", bytes.len()),
            end => return (bytes, end.err().map(|error| error.kind())),
        }
        if slow && pauses > 0 && chance.one_in(16) {
            pauses -= 1;
            chance.pause();
        }
    }
    if chance.one_in(2) {
        let _ = set_socket_linger(&stream, Some(Duration::ZERO)); // its close is a reset
    }
    let _ = stream.shutdown(Shutdown::Both);
    (bytes, None)
}

/// Each response is what was asked for, as far as it came, or an error that is the last. How many came whole.
fn check(mut bytes: &[u8], expected: &[Vec<u8>]) -> usize {
    for (answered, expected) in expected.iter().enumerate() {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return answered };
        let head = str::from_utf8(&bytes[..end]).unwrap();
        let status = head.strip_prefix("HTTP/1.0 ").and_then(|head| head.get(..3)).unwrap_or_else(|| panic!("{head}"));
        let rest = &bytes[end + 4..];
        if status != "200" {
            assert!(matches!(status, "400" | "408" | "503"), "{head}");
            assert!(head.contains("\r\nConnection: close"), "{head}");
            return answered;
        }
        assert!(head.contains(&format!("\r\nContent-Length: {}", expected.len())), "{head}");
        let n = rest.len().min(expected.len());
        assert!(rest[..n] == expected[..n], "{head}: another body");
        if n < expected.len() {
            return answered;
        }
        bytes = &rest[n..];
    }
    assert_eq!(bytes.len(), 0, "more than was asked for");
    expected.len()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn round(seed: u64) {
    let mut chance = Chance(seed);
    let mut millis = |least, most| Duration::from_millis((least + chance.below(most - least)) as u64);
    let [head, idle, shutdown_timeout, stay, stop] =
        [millis(40, 140), millis(40, 140), millis(0, 100), millis(100, 200), millis(50, 200)];
    let (threads, seats) = (1 + chance.below(3), 1 + chance.below(8) as u32);
    let in_peace = chance.one_in(3);
    let never_blocks = chance.one_in(2);
    let server = EmbeddedServer::start(
        |server| match server.threads(threads) {
            server if in_peace => server,
            server => {
                let deadlines = Timeouts { head, idle, ..Timeouts::default() };
                server.max_connections(seats).timeouts(deadlines).shutdown_timeout(shutdown_timeout)
            }
        },
        Serve { never_blocks },
    );
    let address = server.address();
    let counts = thread::scope(|scope| {
        let end = Instant::now() + stay;
        let peers: Vec<_> = (0..16)
            .map(|_| {
                let mut chance = Chance(chance.next());
                scope.spawn(move || {
                    while Instant::now() < end {
                        visit(address, Chance(chance.next()), in_peace);
                    }
                })
            })
            .collect();
        if in_peace {
            peers.into_iter().for_each(|peer| peer.join().unwrap());
        } else {
            thread::sleep(stop);
        }
        server.finish()
    });
    if in_peace {
        assert_eq!((counts.refused, counts.timed_out, counts.failed), (0, 0, 0), "{counts}");
    }
    if env::var_os("STRESS_SECONDS").is_some() {
        println!("STRESS_SEED={seed}{} {counts}", if in_peace { ", in peace:" } else { ":" });
    }
}

#[test]
fn whatever_peers_do() {
    let number = |name| env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let end = Instant::now() + Duration::from_secs(number("STRESS_SECONDS").unwrap_or(4));
    for seed in number("STRESS_SEED").unwrap_or(0).. {
        let before = descriptors();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| round(seed))) {
            eprintln!("STRESS_SEED={seed}");
            resume_unwind(panic);
        }
        wait_until("all descriptors are closed", || descriptors() <= before);
        assert_eq!(SINKS.load(Relaxed), 0, "STRESS_SEED={seed}: sinks that nobody dropped");
        if Instant::now() >= end {
            break;
        }
    }
}
