//! Shutdown: signals, the responses that may still finish, and the exit status.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use support::{
    LARGE, PROGRAM, Program, connect, directory, keep_alive, parse_responses, read_response, read_to_end, send,
    wait_until,
};

/// Requests the large file and reads only its first bytes.
fn begin_download(address: SocketAddr) -> (TcpStream, Vec<u8>) {
    let mut stream = send(address, &keep_alive("/large"));
    let mut begin = vec![0; 1 << 16];
    stream.read_exact(&mut begin).unwrap();
    (stream, begin)
}

fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn v30_signal_lets_responses_finish_and_refuses_new_connections() {
    for signal in [Signal::TERM, Signal::INT] {
        let directory = directory();
        let mut program = Program::start(directory.path(), &["--threads", "2", "--shutdown-timeout", "60"]);
        let address = program.address();
        let (mut download, mut bytes) = begin_download(address);
        let mut kept = send(address, &keep_alive("/small"));
        assert!(read_response(&mut kept).keeps_alive());
        let mut silent = send(address, b"\r\n"); // not a request, but enough to be accepted at once
        // A request that began before the shutdown gets a response, and is the last of its connection.
        let mut begun = send(address, b"GET /small HTTP/1.0\r\nConnection: keep-alive\r\n");
        thread::sleep(Duration::from_millis(100));

        program.signal(signal);
        assert_eq!(read_to_end(&mut kept).unwrap(), b"", "closed without a response");
        assert_eq!(read_to_end(&mut silent).unwrap(), b"", "closed without a response");
        wait_until("new connections are refused", || is_refused(address));
        begun.write_all(b"\r\n").unwrap();
        let response = read_response(&mut begun);
        assert_eq!((response.text(), response.keeps_alive()), ("small", false));
        assert_eq!(read_to_end(&mut begun).unwrap(), b"");

        assert_eq!(program.wait(Duration::ZERO), None, "it waits for the download");
        download.read_to_end(&mut bytes).unwrap();
        let responses = parse_responses(&bytes, false).unwrap();
        assert_eq!((responses.len(), responses[0].body.len() as u64), (1, LARGE));
        let status = program.wait(Duration::from_secs(10)).expect("it ends with the last response");
        assert_eq!(status.code(), Some(0));
        let messages = program.messages();
        let stats = "webserver: 4 connections: 3 completed, 0 refused, 0 timed out, 1 aborted, 0 failed\n";
        assert!(messages.ends_with(stats), "{messages}");
    }
}

// Its threads wait in accept and in read. In the sandbox it cannot connect to itself to wake them.
#[test]
fn plain_engine_serves_and_shuts_down_in_the_sandbox() {
    let directory = directory();
    let program = Program::start(directory.path(), &["--engine", "plain", "--shutdown-timeout", "60"]);
    let mut kept = send(program.address(), &keep_alive("/small"));
    let response = read_response(&mut kept);
    assert_eq!((response.text(), response.keeps_alive()), ("small", true));
    let messages = program.finish(); // within 20 s
    let stats = "webserver: 1 connection: 1 completed, 0 refused, 0 timed out, 0 aborted, 0 failed\n";
    assert!(messages.ends_with(stats), "{messages}");
}

#[test]
fn waiting_for_last_response_uses_no_cpu_time() {
    let directory = directory();
    let program = Program::start(directory.path(), &["--threads", "2", "--shutdown-timeout", "60"]);
    let _download = begin_download(program.address());
    program.signal(Signal::TERM);
    wait_until("new connections are refused", || is_refused(program.address()));
    let used = program.cpu_time_in_next_second();
    assert!(used < Duration::from_millis(500), "{used:?} of CPU time in a second of waiting");
}

#[test]
fn second_signal_ends_process_at_once() {
    for (first, second, code) in
        [(Signal::TERM, Signal::TERM, 143), (Signal::INT, Signal::INT, 130), (Signal::TERM, Signal::INT, 130)]
    {
        let directory = directory();
        let mut program = Program::start(directory.path(), &["--shutdown-timeout", "60"]);
        let _download = begin_download(program.address());
        program.signal(first);
        wait_until("new connections are refused", || is_refused(program.address()));
        thread::sleep(Duration::from_millis(200)); // otherwise both count as one signal
        program.signal(second);
        assert_eq!(program.wait(Duration::from_secs(10)).and_then(|status| status.code()), Some(code));
    }
}

// `timeout` signals the process and then its group.
#[test]
fn two_signals_in_quick_succession_count_as_one() {
    let directory = directory();
    let mut program = Program::start(directory.path(), &[]);
    program.signal(Signal::TERM);
    program.signal(Signal::TERM);
    assert_eq!(program.wait(Duration::from_secs(10)).and_then(|status| status.code()), Some(0));
}

#[test]
fn client_that_reads_nothing_is_cut_off_after_shutdown_timeout() {
    let directory = directory();
    let mut program = Program::start(directory.path(), &["--shutdown-timeout", "1"]);
    let (mut download, mut bytes) = begin_download(program.address());
    let began = Instant::now();
    program.signal(Signal::TERM);
    let status = program.wait(Duration::from_secs(10)).expect("it ends by itself");
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    let messages = program.messages();
    assert!(messages.contains("\"GET /large HTTP/1.0\" 200 "), "the log has the response: {messages}");
    assert!(
        messages.ends_with("1 connection: 0 completed, 0 refused, 0 timed out, 0 aborted, 1 failed\n"),
        "{messages}"
    );
    let _ = download.read_to_end(&mut bytes);
    assert!((bytes.len() as u64) < LARGE, "the download is incomplete");
}

// The clients of a refused upload go on sending. Without the shutdown that may take 10 s, and a reset before they have
// read their responses would destroy these.
#[test]
fn lingering_connections_delay_shutdown_by_two_seconds_and_lose_no_response() {
    let directory = directory();
    let mut program = Program::start(directory.path(), &["--shutdown-timeout", "60", "--log-format", "off"]);
    let upload = b"POST /small HTTP/1.0\r\nContent-Length: 1000000\r\n\r\nx";
    let mut silent = send(program.address(), upload);
    let mut sending: Vec<_> = (0..10).map(|_| send(program.address(), upload)).collect();
    for stream in sending.iter_mut().chain([&mut silent]) {
        stream.read_exact(&mut [0; 12]).unwrap(); // it lingers from now on
    }
    let began = Instant::now();
    program.signal(Signal::TERM);
    let mut responses = Vec::new();
    let status = loop {
        for stream in &mut sending {
            let _ = stream.write_all(b"x"); // an error after the end
        }
        if responses.is_empty() && began.elapsed() > Duration::from_secs(1) {
            assert_eq!(program.wait(Duration::ZERO), None, "it lingers");
            responses.extend(sending.iter_mut().map(|stream| {
                let mut bytes = vec![0; 1 << 14];
                let n = stream.read(&mut bytes).unwrap();
                String::from_utf8(bytes[..n].to_vec()).unwrap()
            }));
        }
        if let Some(status) = program.wait(Duration::from_millis(20)) {
            break status;
        }
        assert!(began.elapsed() < Duration::from_secs(8), "it waits for clients that go on sending");
    };
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() >= Duration::from_millis(1900), "{:?}", began.elapsed());
    assert_eq!(responses.len(), 10);
    assert!(responses.iter().all(|response| response.ends_with("</html>\n")), "{responses:?}");
    assert!(program.messages().contains("11 connections: 11 completed,"), "{}", program.messages());
}

#[test]
fn shutdown_timeout_of_zero_ends_process_at_once() {
    let directory = directory();
    let mut program = Program::start(directory.path(), &["--shutdown-timeout", "0"]);
    let _download = begin_download(program.address());
    program.signal(Signal::TERM);
    assert_eq!(program.wait(Duration::from_secs(10)).and_then(|status| status.code()), Some(0));
}

#[test]
fn signal_ends_idle_program() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut program = Program::start(directory().path(), &[]);
        program.signal(signal);
        assert_eq!(program.wait(Duration::from_secs(4)).and_then(|status| status.code()), Some(0));
        let stats = "webserver: 0 connections: 0 completed, 0 refused, 0 timed out, 0 aborted, 0 failed\n";
        let messages = program.messages();
        assert!(messages.ends_with(stats) && !messages.contains("\" 200 "), "{messages}");
    }
}

#[test]
fn response_without_a_length_is_reset_at_a_shutdown() {
    response_without_a_length_is_reset(Signal::TERM, Some(0));
}

#[test]
fn response_without_a_length_is_reset_when_the_process_is_killed() {
    response_without_a_length_is_reset(Signal::KILL, None);
}

// HTTP/0.9 has no Content-Length, and the kernel closes the sockets of a process that was killed.
fn response_without_a_length_is_reset(signal: Signal, code: Option<i32>) {
    let directory = directory();
    let mut program = Program::start(directory.path(), &["--shutdown-timeout", "0"]);
    let mut download = send(program.address(), b"GET /large\r\n");
    download.read_exact(&mut [0; 1 << 16]).unwrap();
    program.signal(signal);
    assert_eq!(program.wait(Duration::from_secs(10)).map(|status| status.code()), Some(code));
    let end = read_to_end(&mut download).map(|bytes| bytes.len()).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
}

// A pipe is full after some hundred lines.
#[test]
fn unread_log_pipe_blocks_neither_service_nor_shutdown() {
    let directory = directory();
    let mut process = Command::new(PROGRAM)
        .args(["--port", "0", "--bind", "127.0.0.1", "--threads", "1"])
        .arg(directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let port = line.trim_end().strip_suffix('/').and_then(|line| line.rsplit(':').next()?.parse().ok()).unwrap();
    let served = thread::spawn(move || {
        let mut stream = connect(SocketAddr::from(([127, 0, 0, 1], port)));
        let longest = format!("/small?{}", "q".repeat(4000));
        for _ in 0..1000 {
            stream.write_all(&keep_alive(&longest)).unwrap();
            assert_eq!(read_response(&mut stream).text(), "small");
        }
    })
    .join();
    let _ = rustix::process::kill_process(Pid::from_child(&process), Signal::TERM);
    let deadline = Instant::now() + Duration::from_secs(8);
    let mut status = None;
    while status.is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
        status = process.try_wait().unwrap();
    }
    let _ = process.kill();
    let _ = process.wait();
    assert!(served.is_ok());
    assert_eq!(status.and_then(|status| status.code()), Some(0), "it waits for the reader of its log");
}
