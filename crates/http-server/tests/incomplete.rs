//! A response that ends short never looks whole, even if only the close shows where it ends.
#![cfg(test)]

mod support;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use http_core::Status;
use http_server::{Body, Request, Response, Timeouts, blocking};

/// A megabyte, more than sockets hold unread together with what follows.
const PART: usize = 1 << 20;

/// What comes after the first bytes of a body.
#[derive(Clone, Copy)]
enum End {
    Whole,
    Fails,
    Panics,
    Endless,
}

impl Read for End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            End::Whole => Ok(0),
            End::Fails => Err(io::Error::other("the disk is on fire")),
            End::Panics => panic!("in read"),
            End::Endless => io::repeat(b'x').read(buffer),
        }
    }
}

/// A body without a length, or with one that HTTP/0.9 does not show.
fn handler(request: &Request<'_>) -> Response {
    let path = request.path();
    let end = match path.rsplit('/').next().unwrap() {
        "whole" => End::Whole,
        "fails" => End::Fails,
        "panics" => End::Panics,
        _ => End::Endless,
    };
    let rest = match end {
        End::Whole => 0,
        End::Fails | End::Panics => 9,
        End::Endless => 1 << 40,
    };
    let length = path.starts_with("/length").then_some(PART as u64 + rest);
    let reader = Box::new(io::repeat(b'x').take(PART as u64).chain(end));
    Response::empty(Status::OK).body(Body::Reader { reader, length })
}

/// What a client reads.
fn read(address: SocketAddr, request: &str) -> io::Result<usize> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    io::copy(&mut stream, &mut io::sink()).map(|n| n as usize)
}

fn assert_reset(result: io::Result<usize>, what: &str) {
    assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset), "{what}");
}

const REQUESTS: [&str; 3] = ["GET /close/END HTTP/1.0\r\n\r\n", "GET /close/END\r\n", "GET /length/END\r\n"];

fn check(address: SocketAddr) {
    for request in REQUESTS {
        let whole = read(address, &request.replace("END", "whole")).unwrap();
        assert!((PART..PART + 200).contains(&whole), "{request}: {whole}");
        for end in ["fails", "panics"] {
            let request = request.replace("END", end);
            assert_reset(read(address, &request), &request);
        }
    }
}

#[test]
fn response_that_ends_with_the_close_and_short_is_reset() {
    let running = support::server().threads(2).start(handler).unwrap();
    check(running.local_addrs()[0]);
}

#[test]
fn so_it_is_over_a_blocking_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = blocking::serve_tcp(&stream, &handler);
        }
    });
    check(address);
}

#[test]
fn so_it_is_after_a_deadline_and_at_a_shutdown() {
    let timeouts = Timeouts { min_rate: u64::MAX, ..Timeouts::default() };
    let server = support::server().threads(2).timeouts(timeouts);
    let running = server.shutdown_timeout(Duration::from_millis(100)).start(handler).unwrap();
    let address = running.local_addrs()[0];
    let begin = |request: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.replace("END", "endless").as_bytes()).unwrap();
        stream.read_exact(&mut [0; 99]).unwrap();
        stream
    };
    let assert_all_reset = |streams: [TcpStream; 3], when| {
        for mut stream in streams {
            assert_reset(io::copy(&mut stream, &mut io::sink()).map(|n| n as usize), when);
        }
    };
    let streams = REQUESTS.map(begin);
    let began = Instant::now();
    while running.stats().timed_out < 3 {
        assert!(began.elapsed() < Duration::from_secs(100), "{:?}", running.stats());
        thread::sleep(Duration::from_millis(10));
    }
    assert_all_reset(streams, "after the deadline of a slow reader");

    let streams = REQUESTS.map(begin);
    running.shutdown_handle().shut_down();
    assert_all_reset(streams, "at the shutdown");
}
