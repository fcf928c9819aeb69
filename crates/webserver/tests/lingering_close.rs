//! Closing never destroys a response: who is still sending a megabyte that nobody wants reads all of it, and who has said
//! all it had to say is neither forgotten nor asked again and again.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use http_server::{Action, Request, Response};
use tempfile::TempDir;

use support::{EmbeddedServer, Program, connect, exchange, get, parse_responses, read_to_end};

const MIB: usize = 1 << 20;

fn serve(options: &[&str]) -> (TempDir, Program) {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    File::create(directory.path().join("large")).unwrap().set_len(4 * MIB as u64).unwrap();
    let program = Program::start(directory.path(), options);
    (directory, program)
}

fn send(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(request).unwrap();
    stream
}

/// 1000 responses of 1000, each to a client that reads nothing before its megabyte is away.
fn all_are_read(address: SocketAddr, begin: &str, end: &str, status: u16) {
    let request = [begin.as_bytes(), &vec![b'x'; MIB], end.as_bytes()].concat();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while next.fetch_add(1, Relaxed) < 1000 {
                    let response = exchange(address, &request); // whole, or it fails
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
fn v24_none_of_1000_refused_methods_is_lost() {
    let (_directory, program) = serve(&["--threads", "2", "--log-format", "off"]);
    all_are_read(program.address(), &post(), "", 405);
    program.finish();
}

#[test]
fn v24_none_of_1000_bodies_that_are_too_long_is_lost() {
    let with_body = |_: &Request<'_>| Action::collect_body(|_| Response::text("never")).up_to(1000);
    let server = EmbeddedServer::start(|server| server.threads(2), with_body);
    all_are_read(server.address(), &post(), "", 413);
    let counts = server.finish();
    assert_eq!((counts.accepted, counts.completed), (1000, 1000), "{counts}");
}

#[test]
fn v24_none_of_1000_targets_that_are_too_long_is_lost() {
    let (_directory, program) = serve(&["--threads", "2", "--log-format", "off"]);
    all_are_read(program.address(), "GET /", " HTTP/1.0\r\n\r\n", 414);
    program.finish();
}

#[test]
fn v24_none_of_1000_fields_that_are_too_long_is_lost() {
    let (_directory, program) = serve(&["--threads", "2", "--log-format", "off"]);
    all_are_read(program.address(), "GET / HTTP/1.0\r\nA: ", "\r\n\r\n", 431);
    program.finish();
}

#[test]
fn v24_none_of_1000_bodies_without_a_length_is_lost() {
    let (_directory, program) = serve(&["--threads", "2", "--log-format", "off"]);
    all_are_read(program.address(), "POST /small HTTP/1.0\r\n\r\n", "", 400);
    program.finish();
}

// R9112-9.6c, V22: the end of a stream can be read at any time; nobody asks for it again and again.
#[test]
fn v22_half_closed_peers_cost_nothing_and_get_their_answers() {
    let (_directory, program) = serve(&["--threads", "2", "--log-format", "off"]);
    let half_closed = |request: &[u8]| {
        let stream = send(program.address(), request);
        stream.shutdown(Shutdown::Write).unwrap();
        stream
    };
    // Their file is more than the kernel takes. Some half-close while it comes.
    let mut reading: Vec<_> = (0..50)
        .map(|n| match n % 2 {
            0 => half_closed(b"GET /large HTTP/1.0\r\n\r\n"),
            _ => send(program.address(), b"GET /large HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
        })
        .collect();
    // These were refused, have more to send, and do not: the server lingers.
    let mut refused: Vec<_> =
        (0..50).map(|_| send(program.address(), &[post().as_bytes(), b"some"].concat())).collect();
    thread::sleep(Duration::from_millis(300));
    for stream in &reading {
        stream.shutdown(Shutdown::Write).unwrap();
    }
    thread::sleep(Duration::from_millis(200));
    let used = program.cpu_time();
    thread::sleep(Duration::from_secs(1));
    let used = program.cpu_time() - used;
    assert!(used < Duration::from_millis(200), "{used:?} of a second spent on who has nothing to say");
    assert_eq!(get(program.address(), "/small").text(), "small");
    for stream in &mut reading {
        let responses = parse_responses(&read_to_end(stream).unwrap(), false).unwrap();
        assert_eq!((responses.len(), responses[0].body.len()), (1, 4 * MIB));
    }
    for stream in &mut refused {
        let responses = parse_responses(&read_to_end(stream).unwrap(), false).unwrap();
        assert_eq!((responses.len(), responses[0].status), (1, 405));
    }
    // Whatever was begun is answered, and is the last of its connection.
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
