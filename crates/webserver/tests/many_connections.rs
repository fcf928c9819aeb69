//! Many slow and idle connections next to a client that requests a file. `cargo bench -p benches --bench crowd` measures
//! the latency; this test shows that the client is served and no connection is lost.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use support::{Program, connect, keep_alive, parse_responses, read_response, read_to_end, send};

const IDLE: usize = 200;
const SLOW_SENDERS: usize = 300;
const SLOW_READERS: usize = 50;
/// More than socket buffers hold.
const LARGE: u64 = 2 << 20;

/// Whether the server has closed the connection or sent something.
fn is_lost(stream: &TcpStream) -> bool {
    !stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

// V11, V12
#[test]
fn slow_connections_do_not_delay_others_and_are_not_lost() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), [b'a'; 1024]).unwrap();
    File::create(directory.path().join("large")).unwrap().set_len(LARGE).unwrap();
    let options = ["--threads", "4", "--header-timeout", "60", "--idle-timeout", "60", "--log-format", "off"];
    let program = Program::start(directory.path(), &options);
    let open = |request: &[u8]| send(program.address(), request);
    let mut idle: Vec<_> = (0..IDLE).map(|_| open(&keep_alive("/small"))).collect();
    for stream in &mut idle {
        assert!(read_response(stream).keeps_alive());
        stream.set_nonblocking(true).unwrap();
    }
    let mut senders: Vec<_> = (0..SLOW_SENDERS).map(|_| open(b"GET /small HTTP/1.0\r\nA: ")).collect();
    let mut readers: Vec<_> = (0..SLOW_READERS).map(|_| (open(b"GET /large HTTP/1.0\r\n\r\n"), Vec::new())).collect();
    for stream in senders.iter().chain(readers.iter().map(|(stream, _)| stream)) {
        stream.set_nonblocking(true).unwrap();
    }

    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut stream = connect(program.address());
            let (began, mut times) = (Instant::now(), Vec::new());
            while began.elapsed() < Duration::from_secs(2) {
                let sent = Instant::now();
                stream.write_all(&keep_alive("/small")).unwrap();
                assert_eq!(read_response(&mut stream).body, [b'a'; 1024]);
                times.push(sent.elapsed());
            }
            times.sort_unstable();
            let p99 = times[times.len() * 99 / 100];
            // Ten times the limit of the benchmark.
            assert!(p99 < Duration::from_millis(50), "{p99:?} of {} responses", times.len());
        });
        // Every tenth of a second: one byte of each head is sent, and 8 KiB of each file are read.
        while !client.is_finished() {
            for stream in &mut senders {
                stream.write_all(b"a").unwrap();
            }
            for (stream, bytes) in &mut readers {
                let mut piece = [0; 8 << 10];
                match stream.read(&mut piece) {
                    Ok(n) => bytes.extend_from_slice(&piece[..n]),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
            thread::sleep(Duration::from_millis(100));
        }
    });

    assert_eq!(idle.iter().filter(|stream| is_lost(stream)).count(), 0, "lost idle connections");
    assert_eq!(senders.iter().filter(|stream| is_lost(stream)).count(), 0, "lost slow senders");
    // All of them can finish.
    for stream in idle.iter().chain(&senders) {
        stream.set_nonblocking(false).unwrap();
    }
    for stream in &mut idle {
        stream.write_all(b"GET /small HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(parse_responses(&read_to_end(stream).unwrap(), false).unwrap()[0].body, [b'a'; 1024]);
    }
    for stream in &mut senders {
        stream.write_all(b"\r\n\r\n").unwrap();
        assert_eq!(parse_responses(&read_to_end(stream).unwrap(), false).unwrap()[0].body, [b'a'; 1024]);
    }
    thread::scope(|scope| {
        for (stream, bytes) in &mut readers {
            stream.set_nonblocking(false).unwrap();
            scope.spawn(|| {
                stream.read_to_end(bytes).unwrap();
                assert_eq!(parse_responses(bytes, false).unwrap()[0].body.len() as u64, LARGE);
            });
        }
    });
    let total = IDLE + SLOW_SENDERS + SLOW_READERS + 1;
    let messages = program.finish();
    let stats = format!("webserver: {total} connections: {total} completed, ");
    assert!(messages.contains(&stats), "{messages}");
}
