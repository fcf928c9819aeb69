//! A request that has arrived is served: at a shutdown, at the connection limit, and after the process was stopped.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use support::{
    Program, TIMEOUT, connect, directory, keep_alive, parse_responses, read_response, read_to_end, send, wait_until,
};

const GET: &[u8] = b"GET /small HTTP/1.0\r\n\r\n";

/// Lets this process open some thousand sockets.
fn raise_fd_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// Stops the process, and waits until it has stopped.
fn stop(program: &Program) {
    program.signal(Signal::STOP);
    let stat = format!("/proc/{}/stat", program.pid().as_raw_pid());
    wait_until("it has stopped", || fs::read_to_string(&stat).unwrap().contains(") T "));
}

/// Kept connections that wait for a request.
fn idle(program: &Program, count: usize) -> Vec<TcpStream> {
    let mut idle: Vec<_> = (0..count).map(|_| send(program.address(), &keep_alive("/small"))).collect();
    idle.iter_mut().for_each(|stream| assert!(read_response(stream).keeps_alive()));
    idle
}

/// How many of these get the whole small file, as the only response.
fn served(streams: Vec<TcpStream>) -> usize {
    let is_served = |mut stream| {
        let Ok(bytes) = read_to_end(&mut stream) else { return false };
        let responses = parse_responses(&bytes, false).unwrap();
        responses.len() == 1 && responses[0].text() == "small"
    };
    streams.into_iter().map(is_served).filter(|served| *served).count()
}

#[test]
fn every_request_that_has_arrived_is_served_at_a_shutdown() {
    raise_fd_limit();
    let directory = directory();
    let mut program = Program::start(directory.path(), &["--shutdown-timeout", "60", "--log-format", "off"]);
    let mut streams = idle(&program, 500);
    stop(&program);
    streams.iter_mut().for_each(|stream| stream.write_all(GET).unwrap());
    streams.extend((0..500).map(|_| send(program.address(), GET)));
    program.signal(Signal::TERM);
    program.signal(Signal::CONT);
    assert_eq!(served(streams), 1000);
    assert_eq!(program.wait(TIMEOUT).and_then(|status| status.code()), Some(0));
}

/// Sends requests until the server refuses connections. Returns how many of the connections that were set up before
/// `stopping` got no response, and how many of the others.
fn load(address: SocketAddr, stopping: &AtomicBool) -> [usize; 2] {
    let mut lost = [0; 2];
    loop {
        let Ok(mut stream) = TcpStream::connect(address) else { return lost };
        let is_late = stopping.load(SeqCst);
        let mut bytes = Vec::new();
        let result = stream.write_all(GET).and_then(|()| stream.read_to_end(&mut bytes));
        if result.is_err() || !bytes.ends_with(b"\r\n\r\nsmall") {
            lost[usize::from(is_late)] += 1;
        }
    }
}

#[test]
fn connection_that_was_set_up_is_served_at_a_shutdown_under_load() {
    let directory = directory();
    for _ in 0..5 {
        let mut program = Program::start(directory.path(), &["--shutdown-timeout", "60", "--log-format", "off"]);
        let (address, stopping) = (program.address(), AtomicBool::new(false));
        let lost = thread::scope(|scope| {
            let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| load(address, &stopping))).collect();
            thread::sleep(Duration::from_millis(200));
            stopping.store(true, SeqCst);
            program.signal(Signal::TERM);
            clients.into_iter().map(|client| client.join().unwrap()).fold([0; 2], |a, b| [a[0] + b[0], a[1] + b[1]])
        });
        // The kernel may set up connections in the moment between the last accept and the close.
        assert!(lost[0] == 0 && lost[1] <= 8, "{lost:?}");
        assert_eq!(program.wait(TIMEOUT).and_then(|status| status.code()), Some(0));
    }
}

#[test]
fn active_kept_connection_gets_one_more_response_at_a_shutdown() {
    let directory = directory();
    let mut program = Program::start(directory.path(), &["--shutdown-timeout", "60"]);
    let mut streams = idle(&program, 8);
    let mut responses = 0;
    let (mut signalled, began) = (false, Instant::now());
    while !streams.is_empty() {
        assert!(began.elapsed() < TIMEOUT);
        streams.iter_mut().for_each(|stream| stream.write_all(&keep_alive("/small")).unwrap());
        streams.retain_mut(|stream| {
            responses += 1;
            read_response(stream).keeps_alive()
        });
        if responses > 100 && !signalled {
            program.signal(Signal::TERM);
            signalled = true;
        }
    }
    assert_eq!(program.wait(TIMEOUT).and_then(|status| status.code()), Some(0));
}

#[test]
fn connection_whose_request_has_arrived_is_not_evicted() {
    let directory = directory();
    let program = Program::start(directory.path(), &["--max-connections", "50"]);
    let mut kept = idle(&program, 50);
    stop(&program);
    let new: Vec<_> = (0..30).map(|_| send(program.address(), GET)).collect();
    kept.iter_mut().for_each(|stream| stream.write_all(GET).unwrap());
    program.signal(Signal::CONT);
    assert_eq!(served(kept), 50);
    for mut stream in new {
        let response = parse_responses(&read_to_end(&mut stream).unwrap(), false).unwrap().remove(0);
        assert!(matches!(response.status, 200 | 503), "{}", response.head);
    }
    program.finish();
}

// The kernel goes on for a stopped process: it delivers what is in the socket.
#[test]
fn reader_that_read_everything_is_not_cut_off_after_a_pause() {
    const LENGTH: u64 = 16 << 20;
    let directory = directory();
    File::create(directory.path().join("file")).unwrap().set_len(LENGTH).unwrap();
    // At this rate a response may make no progress for ten seconds.
    let program = Program::start(directory.path(), &["--min-rate", "200000"]);
    let mut stream = send(program.address(), b"GET /file HTTP/1.0\r\n\r\n");
    let mut bytes = vec![0; 1 << 20];
    stream.read_exact(&mut bytes).unwrap();
    thread::sleep(Duration::from_millis(1500)); // it counts as slow
    stop(&program);
    let stopped = Instant::now();
    stream.set_nonblocking(true).unwrap();
    while stopped.elapsed() < Duration::from_secs(11) {
        match stream.read_to_end(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(10)),
            other => panic!("{other:?}"),
        }
    }
    program.signal(Signal::CONT);
    stream.set_nonblocking(false).unwrap();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(parse_responses(&bytes, false).unwrap()[0].body.len() as u64, LENGTH);
    program.finish();
}

#[test]
fn request_that_arrived_during_a_pause_is_served_after_it() {
    let directory = directory();
    let program = Program::start(directory.path(), &["--idle-timeout", "1", "--header-timeout", "1"]);
    let mut streams = idle(&program, 9);
    streams.extend((0..9).map(|_| send(program.address(), b"GET /small")));
    streams.extend((0..9).map(|_| connect(program.address())));
    thread::sleep(Duration::from_millis(200));
    stop(&program);
    for (n, stream) in streams.iter_mut().enumerate() {
        stream.write_all(if (9..18).contains(&n) { b" HTTP/1.0\r\n\r\n" } else { GET }).unwrap();
    }
    thread::sleep(Duration::from_secs(3));
    program.signal(Signal::CONT);
    assert_eq!(served(streams), 27);
    program.finish();
}
