//! Closing never destroys a response: a client that still sends a megabyte reads all of it. A half-closed connection
//! uses no CPU time.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use http_server::{Action, Request, Response};
use tempfile::TempDir;

use support::{EmbeddedServer, Program, exchange, get, parse_responses, read_to_end, send};

const MIB: usize = 1 << 20;

fn serve(options: &[&str]) -> (TempDir, Program) {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    File::create(directory.path().join("large")).unwrap().set_len(4 * MIB as u64).unwrap();
    let program = Program::start(directory.path(), options);
    (directory, program)
}

/// Sends 1000 requests of a megabyte, and reads only afterwards. All 1000 responses must arrive.
fn check_1000_responses(address: SocketAddr, begin: &str, end: &str, status: u16) {
    let request = [begin.as_bytes(), &vec![b'x'; MIB], end.as_bytes()].concat();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while next.fetch_add(1, Relaxed) < 1000 {
                    let response = exchange(address, &request); // complete, or it panics
                    assert_eq!((response.status, response.body.is_empty()), (status, false));
                }
            });
        }
    });
}

fn post() -> String {
    format!("POST /small HTTP/1.0\r\nContent-Length: {MIB}\r\n\r\n")
}

// R9112-9.6b
#[test]
fn v24_response_to_refused_method_is_never_lost() {
    let (_directory, program) = serve(&["--threads", "2", "--log-format", "off"]);
    check_1000_responses(program.address(), &post(), "", 405);
    program.finish();
}

#[test]
fn v24_response_to_too_long_body_is_never_lost() {
    let with_body = |_: &Request<'_>| Action::collect_body(1000, |_| Response::text("never"));
    let server = EmbeddedServer::start(|server| server.threads(2), with_body);
    check_1000_responses(server.address(), &post(), "", 413);
    let counts = server.finish();
    assert_eq!((counts.accepted, counts.completed), (1000, 1000), "{counts}");
}

#[test]
fn v24_response_to_too_long_target_is_never_lost() {
    let (_directory, program) = serve(&["--threads", "2", "--log-format", "off"]);
    check_1000_responses(program.address(), "GET /", " HTTP/1.0\r\n\r\n", 414);
    program.finish();
}

#[test]
fn v24_response_to_too_long_header_is_never_lost() {
    let (_directory, program) = serve(&["--threads", "2", "--log-format", "off"]);
    check_1000_responses(program.address(), "GET / HTTP/1.0\r\nA: ", "\r\n\r\n", 431);
    program.finish();
}

#[test]
fn v24_response_to_body_without_length_is_never_lost() {
    let (_directory, program) = serve(&["--threads", "2", "--log-format", "off"]);
    check_1000_responses(program.address(), "POST /small HTTP/1.0\r\n\r\n", "", 400);
    program.finish();
}

// With unread bytes the close would be a reset.
#[test]
fn v24_response_of_a_slow_handler_is_not_lost_by_what_comes_meanwhile() {
    let barrier = Arc::new(Barrier::new(2));
    let handler = {
        let barrier = barrier.clone();
        move |_: &Request<'_>| {
            barrier.wait(); // it has the request
            barrier.wait(); // more has come
            Response::text("late")
        }
    };
    let server = EmbeddedServer::start(|server| server.threads(2), handler);
    let mut stream = send(server.address(), b"GET / HTTP/1.0\r\n\r\n");
    barrier.wait();
    stream.write_all(b"\r\n").unwrap();
    thread::sleep(Duration::from_millis(50));
    barrier.wait();
    let response = read_to_end(&mut stream).expect("no reset");
    assert_eq!(parse_responses(&response, false).unwrap()[0].text(), "late");
    drop(stream);
    server.finish();
}

// R9112-9.6c, V22: the end of a stream stays readable, and the server must not poll it again and again.
#[test]
fn v22_half_closed_connections_use_no_cpu_time_and_get_responses() {
    let (_directory, program) = serve(&["--threads", "2", "--log-format", "off"]);
    let half_closed = |request: &[u8]| {
        let stream = send(program.address(), request);
        stream.shutdown(Shutdown::Write).unwrap();
        stream
    };
    // Their file is larger than the kernel's buffers. Half of them half-close during the download.
    let mut reading: Vec<_> = (0..50)
        .map(|n| match n % 2 {
            0 => half_closed(b"GET /large HTTP/1.0\r\n\r\n"),
            _ => send(program.address(), b"GET /large HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
        })
        .collect();
    // These are refused before they have sent their complete body, so the server lingers.
    let mut refused: Vec<_> =
        (0..50).map(|_| send(program.address(), &[post().as_bytes(), b"some"].concat())).collect();
    thread::sleep(Duration::from_millis(300));
    for stream in &reading {
        stream.shutdown(Shutdown::Write).unwrap();
    }
    thread::sleep(Duration::from_millis(200));
    let used = program.cpu_time_in_next_second();
    assert!(used < Duration::from_millis(200), "{used:?} of CPU time in a second of waiting");
    assert_eq!(get(program.address(), "/small").text(), "small");
    for stream in &mut reading {
        let responses = parse_responses(&read_to_end(stream).unwrap(), false).unwrap();
        assert_eq!((responses.len(), responses[0].body.len()), (1, 4 * MIB));
    }
    for stream in &mut refused {
        let responses = parse_responses(&read_to_end(stream).unwrap(), false).unwrap();
        assert_eq!((responses.len(), responses[0].status), (1, 405));
    }
    // A request that has begun gets a response, and is the last of its connection.
    for (request, status) in
        [(&b"GET /sma"[..], 400), (b"GET /small HTTP/1.0\r\n\r\n", 200), (b"GET / HTTP/1.0\r\nA", 400)]
    {
        for _ in 0..50 {
            let responses = parse_responses(&read_to_end(&mut half_closed(request)).unwrap(), false).unwrap();
            assert_eq!((responses.len(), responses[0].status), (1, status), "{}", request.escape_ascii());
        }
    }
    program.finish();
}
