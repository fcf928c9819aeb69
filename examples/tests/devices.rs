//! The examples for devices without an operating system. The tests of `serial_line` also run against a microcontroller:
//! `SERIAL_LINE` is a command that serves its standard input and output.
#![cfg(test)]

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use http_core::client::{Connection, Event, Request};
use http_core::{Authority, FieldBlock, Limits, Method, Status, Target};
use rustix::event::{PollFd, PollFlags, poll};

#[test]
fn userspace_tcp_fetches_pages_over_one_connection() {
    let paths = ["/", "/uptime", "/other", "/%75ptime?x", "/"];
    let output = Command::new(env!("CARGO_BIN_EXE_userspace_tcp")).args(paths).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    for path in paths {
        assert!(printed.contains(&format!("GET {path} HTTP/1.0\r\nHost: device\r\n")), "{path}: {printed}");
    }
    assert_eq!(printed.matches(include_str!("../device/src/index.html")).count(), 2, "{printed}");
    let count = |line: &str| printed.matches(line).count();
    let uptimes = printed.lines().filter_map(|line| line.strip_suffix(" s")?.parse::<u32>().ok()).count();
    assert_eq!((count("\n200 OK\n"), count("\n404 Not Found\n"), uptimes), (4, 1, 2), "{printed}");
    assert_eq!(count("\nConnection: keep-alive\n"), paths.len(), "{printed}");
}

/// A device at the other end of a serial line. Dropping it ends it.
struct Device {
    child: Child,
    sends: ChildStdout,
    receives: ChildStdin,
    connection: Connection,
}

impl Device {
    fn start() -> Device {
        let mut device = Device::run(&std::env::var("SERIAL_LINE").unwrap_or(env!("CARGO_BIN_EXE_serial_line").into()));
        // A microcontroller loses what arrives before it has started.
        for tries in 0.. {
            assert!(tries < 30, "the device does not start");
            device.send(b"GET / HTTP/1.0\r\n\r\n");
            if is_readable(&device.sends, 2) {
                break;
            }
        }
        while is_readable(&device.sends, 2) {
            assert!(device.sends.read(&mut [0; 512]).unwrap() > 0, "the device has stopped");
        }
        device
    }

    fn run(command: &str) -> Device {
        let mut words = command.split_whitespace();
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sends, receives) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        Device { child, sends, receives, connection: Connection::new(Limits::default()) }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.receives.write_all(bytes).unwrap();
        self.receives.flush().unwrap();
    }

    /// A response, with the client's half of the core.
    fn get(&mut self, path: &str, keep_alive: bool) -> (Status, String) {
        if !self.connection.can_reuse() {
            self.connection = Connection::new(Limits::default()); // the line itself is never closed
        }
        let fields = FieldBlock::new();
        let (target, host) = (Target::new(path.as_bytes()).unwrap(), Authority::new(b"device").unwrap());
        let request = Request { keep_alive, ..Request::new(Method::Get, target, host, &fields) };
        let mut out = Vec::new();
        let _no_body = self.connection.request(&request, &mut out).unwrap();
        self.send(&out);
        self.response()
    }

    fn response(&mut self) -> (Status, String) {
        let (mut status, mut body) = (Status::OK, Vec::new());
        loop {
            match self.connection.poll().unwrap() {
                Event::NeedInput => match read(&mut self.sends, self.connection.receive_buffer()) {
                    0 => self.connection.received_eof(),
                    n => self.connection.received(n),
                },
                Event::Response(head) => status = head.status,
                Event::Body(bytes) => body.extend_from_slice(bytes),
                Event::ResponseEnd => return (status, String::from_utf8(body).unwrap()),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Sends what is not a request, and returns everything that the device says about it.
    fn respond_to_rubbish(&mut self, bytes: &[u8]) -> String {
        self.send(bytes);
        let mut response = Vec::new();
        while !is_complete(&response) {
            let mut byte = [0];
            assert_eq!(read(&mut self.sends, &mut byte), 1, "the device has stopped");
            response.push(byte[0]);
        }
        String::from_utf8(response).unwrap()
    }
}

/// Reads what there is, within a minute.
fn read(device: &mut ChildStdout, buffer: &mut [u8]) -> usize {
    assert!(is_readable(device, 60), "the device is silent");
    device.read(buffer).unwrap()
}

/// Whether there is something to read, within so many seconds.
fn is_readable(device: &ChildStdout, seconds: u64) -> bool {
    let timeout = Duration::from_secs(seconds).try_into().unwrap();
    poll(&mut [PollFd::new(device, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

/// Whether a response has the length that its head says.
fn is_complete(response: &[u8]) -> bool {
    let text = String::from_utf8_lossy(response);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    body.len() == length.parse::<usize>().unwrap()
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn serial_line_serves_pages_with_and_without_keep_alive() {
    let mut device = Device::start();
    for _ in 0..20 {
        for keep_alive in [true, true, false] {
            let page = (Status::OK, include_str!("../device/src/index.html").to_owned());
            assert_eq!(device.get("/", keep_alive), page);
            assert_eq!(device.get("/other", keep_alive).0, Status::NOT_FOUND);
        }
    }
    let (before, start) = (device.get("/uptime", true).1, Instant::now());
    while device.get("/uptime", true).1 == before {
        assert!(start.elapsed() < Duration::from_secs(60), "its clock stands still");
    }
}

// The head as long as allowed, and the deepest stack and most memory on a microcontroller.
#[test]
fn serial_line_is_in_step_again_after_damaged_requests() {
    let mut device = Device::start();
    let long = format!("GET / HTTP/1.0\r\n{}\r\n", format!("A: {}\r\n", "a".repeat(500)).repeat(4));
    let many = format!("GET / HTTP/1.0\r\n{}\r\n", "A: b\r\n".repeat(30));
    for (rubbish, status) in [
        ("GET /../ HTTP/1.0\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nContent-Length: 5, 6\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: [1::2]:x\r\n\r\n", "400 Bad Request"),
        ("POST / HTTP/1.0\r\nContent-Length: 5000\r\n\r\nGET / HTTP/1.0\r\n\r\n", "405 Method Not Allowed"),
        (&long, "431 "),
        (&many, "431 "),
        ("GET /\0\r\n", "400 Bad Request"),
    ] {
        let response = device.respond_to_rubbish(rubbish.as_bytes());
        assert!(response.starts_with(&format!("HTTP/1.0 {status}")), "{rubbish}: {response}");
        // Only a pause shows the device where the next request begins.
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(device.get("/", true).0, Status::OK, "{rubbish}");
    }
}

#[test]
fn serial_line_gives_up_half_a_request_by_its_own_clock() {
    let (mut device, start) = (Device::start(), Instant::now());
    let response = device.respond_to_rubbish(b"GET / HT");
    assert!(response.starts_with("HTTP/1.0 408 ") && start.elapsed() >= Duration::from_secs(9), "{response}");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(device.get("/", true).0, Status::OK);
}

#[test]
#[ignore = "scripts/portable runs it, with SERIAL_CLIENT, a microcontroller that asks for the time"]
fn serial_client_takes_the_time_from_a_response() {
    let mut device = Device::run(&std::env::var("SERIAL_CLIENT").unwrap());
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(read(&mut device.sends, &mut byte), 1, "the device has stopped");
        request.push(byte[0]);
    }
    assert_eq!(request, b"HEAD / HTTP/1.0\r\nHost: host\r\nConnection: keep-alive\r\n\r\n");
    device.send(
        b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
    );
    let (status, time) = device.get("/time", true);
    assert!(status == Status::OK && time.starts_with("Sun, 06 Nov 1994 08:"), "{time}");
}
