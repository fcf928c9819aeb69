//! A crowd of slow and silent peers, and beside them a client that just wants its file. How well it fares is measured by
//! `cargo bench -p benches --bench crowd`; here a smaller crowd shows that it does, and that nobody is lost.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use support::{Program, connect, keep_alive, parse_responses, read_response, read_to_end};

const IDLE: usize = 200;
const DRIBBLING: usize = 300;
const READING: usize = 50;
/// More than socket buffers hold.
const LARGE: u64 = 2 << 20;

/// Whether the server has ended it, or said anything.
fn is_lost(stream: &TcpStream) -> bool {
    !stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

// V11, V12
#[test]
fn a_crowd_neither_hinders_nor_is_lost() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), [b'a'; 1024]).unwrap();
    File::create(directory.path().join("large")).unwrap().set_len(LARGE).unwrap();
    let options = ["--threads", "4", "--header-timeout", "60", "--idle-timeout", "60", "--log-format", "off"];
    let program = Program::start(directory.path(), &options);
    let come = |request: &[u8]| {
        let mut stream = connect(program.address());
        stream.write_all(request).unwrap();
        stream
    };
    let mut idle: Vec<_> = (0..IDLE).map(|_| come(&keep_alive("/small"))).collect();
    for stream in &mut idle {
        assert!(read_response(stream).keeps_alive());
        stream.set_nonblocking(true).unwrap();
    }
    let mut dribbling: Vec<_> = (0..DRIBBLING).map(|_| come(b"GET /small HTTP/1.0\r\nA: ")).collect();
    let mut reading: Vec<_> = (0..READING).map(|_| (come(b"GET /large HTTP/1.0\r\n\r\n"), Vec::new())).collect();
    for stream in dribbling.iter().chain(reading.iter().map(|(stream, _)| stream)) {
        stream.set_nonblocking(true).unwrap();
    }

    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut stream = connect(program.address());
            let (began, mut times) = (Instant::now(), Vec::new());
            while began.elapsed() < Duration::from_secs(2) {
                let asked = Instant::now();
                stream.write_all(&keep_alive("/small")).unwrap();
                assert_eq!(read_response(&mut stream).body, [b'a'; 1024]);
                times.push(asked.elapsed());
            }
            times.sort_unstable();
            let p99 = times[times.len() * 99 / 100];
            // Ten times what the benchmark allows.
            assert!(p99 < Duration::from_millis(50), "{p99:?} of {} responses", times.len());
        });
        // A byte of each head a tenth of a second, and of each file 8 KiB.
        while !client.is_finished() {
            for stream in &mut dribbling {
                stream.write_all(b"a").unwrap();
            }
            for (stream, bytes) in &mut reading {
                let mut sip = [0; 8 << 10];
                match stream.read(&mut sip) {
                    Ok(n) => bytes.extend_from_slice(&sip[..n]),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
            thread::sleep(Duration::from_millis(100));
        }
    });

    assert_eq!(idle.iter().filter(|stream| is_lost(stream)).count(), 0, "of the idle");
    assert_eq!(dribbling.iter().filter(|stream| is_lost(stream)).count(), 0, "of those that dribble");
    // All of them come to their end.
    for stream in idle.iter().chain(&dribbling) {
        stream.set_nonblocking(false).unwrap();
    }
    for stream in &mut idle {
        stream.write_all(b"GET /small HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!(parse_responses(&read_to_end(stream).unwrap(), false).unwrap()[0].body, [b'a'; 1024]);
    }
    for stream in &mut dribbling {
        stream.write_all(b"\r\n\r\n").unwrap();
        assert_eq!(parse_responses(&read_to_end(stream).unwrap(), false).unwrap()[0].body, [b'a'; 1024]);
    }
    thread::scope(|scope| {
        for (stream, bytes) in &mut reading {
            stream.set_nonblocking(false).unwrap();
            scope.spawn(|| {
                stream.read_to_end(bytes).unwrap();
                assert_eq!(parse_responses(bytes, false).unwrap()[0].body.len() as u64, LARGE);
            });
        }
    });
    let crowd = IDLE + DRIBBLING + READING + 1;
    let messages = program.finish();
    let counts = format!("webserver: {crowd} connections: {crowd} completed, ");
    assert!(messages.contains(&counts), "{messages}");
}
