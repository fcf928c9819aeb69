//! How a server starts, keeps its limits, and shuts down.
#![cfg(test)]

mod support;

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use http_core::Limits;
use http_server::{
    Action, ErrorContext, Handler, Log, LogFormat, Request, Response, RunningServer, Server, ServerConfig, Timeouts,
};

fn server() -> Server {
    support::server().threads(2).shutdown_timeout(Duration::from_millis(500))
}

fn start() -> (RunningServer, SocketAddr) {
    let running = server().start(|_: &Request<'_>| Response::text("here")).unwrap();
    let address = running.local_addrs()[0];
    (running, address)
}

fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

fn receive(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

const GET: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

#[test]
fn dropped_server_is_shut_down() {
    let (running, address) = start();
    let stats_handle = running.stats_handle();
    assert!(receive(send(address, GET)).ends_with("\r\n\r\nhere"));
    drop(running);
    assert!(TcpStream::connect(address).is_err());
    assert_eq!((stats_handle.stats().accepted, stats_handle.stats().ended()), (1, 1));
}

#[test]
fn detached_server_runs_until_it_is_shut_down() {
    let (running, address) = start();
    let shutdown_handle = running.shutdown_handle();
    running.detach();
    assert!(receive(send(address, GET)).ends_with("\r\n\r\nhere"));
    shutdown_handle.shut_down();
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "it still accepts");
        thread::sleep(Duration::from_millis(5));
    }
}

// A pipe without a writer is at its end.
#[test]
fn log_of_a_detached_server_is_written_and_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reader = thread::spawn({
        let path = path.clone();
        move || std::fs::read_to_string(path).unwrap()
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    let log = loop {
        match Log::to_file(LogFormat::Common, &path) {
            Ok(log) => break log,
            Err(error) => assert!(Instant::now() < deadline, "{error}"), // the reader has not opened it yet
        }
    };
    let running = server().log(log).start(|_: &Request<'_>| Response::text("here")).unwrap();
    receive(send(running.local_addrs()[0], GET));
    let shutdown_handle = running.shutdown_handle();
    running.detach();
    shutdown_handle.shut_down();
    while !reader.is_finished() {
        assert!(Instant::now() < deadline, "it is still open");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(reader.join().unwrap().lines().count(), 1);
}

#[test]
fn join_waits_for_a_shutdown() {
    let (running, address) = start();
    let shutdown_handle = running.shutdown_handle();
    let joined = thread::spawn(move || running.join());
    thread::sleep(Duration::from_millis(100));
    assert!(!joined.is_finished() && receive(send(address, GET)).ends_with("\r\n\r\nhere"));
    shutdown_handle.shut_down();
    assert_eq!(joined.join().unwrap().completed, 1);
}

// The shutdown timeout is half a second here.
#[test]
fn join_returns_in_time_while_a_handler_is_stuck() {
    let barrier = Arc::new(Barrier::new(2));
    let (entered, stuck) = (Arc::new(Barrier::new(2)), barrier.clone());
    let handler = {
        let entered = entered.clone();
        move |_: &Request<'_>| {
            entered.wait();
            stuck.wait();
            Response::text("late")
        }
    };
    let running = server().start(handler).unwrap();
    let stream = send(running.local_addrs()[0], GET);
    entered.wait();
    running.shutdown_handle().shut_down();
    let since = Instant::now();
    let stats = running.join();
    assert!(since.elapsed() < Duration::from_millis(2500), "{:?}", since.elapsed());
    assert_eq!((stats.accepted, stats.ended()), (1, 0));
    barrier.wait(); // the blocked thread ends
    drop(stream);
}

// Each of the two may use its second, and no more.
#[test]
fn join_returns_in_time_though_a_handler_and_the_reader_of_the_log_are_stuck() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let unread = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let (release, stuck) = mpsc::channel::<()>();
    let stuck = Mutex::new(stuck);
    let handler = move |request: &Request<'_>| {
        if request.path() == "/stuck" {
            let _ = stuck.lock().unwrap().recv();
        }
        Response::text("here")
    };
    let log = Log::to_file(LogFormat::Combined, &path).unwrap();
    let running = server().log(log).start(handler).unwrap();
    let address = running.local_addrs()[0];
    for _ in 0..20 {
        let long = format!("GET / HTTP/1.0\r\nUser-Agent: {}\r\n\r\n", "a".repeat(8000));
        receive(send(address, long.as_bytes()));
    }
    let _stream = send(address, b"GET /stuck HTTP/1.0\r\n\r\n");
    while running.stats().accepted < 21 {
        thread::sleep(Duration::from_millis(1));
    }
    running.shutdown_handle().shut_down();
    let since = Instant::now();
    assert!(running.join().dropped_log_lines > 0);
    assert!(since.elapsed() < Duration::from_millis(2500), "{:?}", since.elapsed());
    drop((release, unread));
}

/// Blocks whoever times a request out, which is the housekeeper.
struct StuckPage(Mutex<Receiver<()>>);

impl Handler for StuckPage {
    fn handle(&self, _: &Request<'_>) -> Action {
        Response::text("here").into()
    }

    fn error_page(&self, _: &ErrorContext<'_>) -> Response {
        let _ = self.0.lock().unwrap().recv();
        Response::text("late")
    }
}

#[test]
fn dropped_server_accepts_nothing_though_an_error_page_is_stuck() {
    let (release, stuck) = mpsc::channel();
    let timeouts = Timeouts { head: Duration::from_millis(100), ..Timeouts::default() };
    let running = server().timeouts(timeouts).start(StuckPage(Mutex::new(stuck))).unwrap();
    let address = running.local_addrs()[0];
    let _stream = send(address, b"GET / HT");
    thread::sleep(Duration::from_millis(500));
    drop(running);
    assert!(TcpStream::connect(address).is_err());
    drop(release);
}

#[test]
fn limits_of_the_protocol_are_settings() {
    let config =
        ServerConfig { limits: Limits { head: 100, body: 10, ..Limits::default() }, ..ServerConfig::default() };
    let handler = |_: &Request<'_>| Action::collect_body(1000, |body| Response::text(body.len().to_string()));
    let running = server().config(config).threads(1).start(handler).unwrap();
    let address = running.local_addrs()[0];
    for (length, status) in [(10, 200), (11, 413)] {
        let request = format!("POST / HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
        assert!(receive(send(address, request.as_bytes())).starts_with(&format!("HTTP/1.0 {status} ")), "{length}");
    }
    let request = format!("GET / HTTP/1.0\r\nA: {}\r\n\r\n", "a".repeat(100));
    assert!(receive(send(address, request.as_bytes())).starts_with("HTTP/1.0 431 "));
}

#[test]
fn memory_budgets_are_settings() {
    let handler = |request: &Request<'_>| match &*request.path() {
        "/large" => Response::bytes("text/plain", vec![b'x'; 16 << 20]).into(),
        _ => Action::collect_body(1 << 30, |body| Response::text(body.len().to_string())),
    };
    let running = server().head_budget(20_000).body_budget(100_000).send_budget(1 << 20).start(handler).unwrap();
    let address = running.local_addrs()[0];
    let collected = |length: usize| {
        let mut stream = send(address, format!("POST / HTTP/1.0\r\nContent-Length: {length}\r\n\r\n").as_bytes());
        let _ = stream.write_all(&vec![b'x'; length]); // the server may respond before it has all of it
        receive(stream)[..12].to_owned()
    };
    assert_eq!(collected(100_000), "HTTP/1.0 200");
    assert_eq!(collected(100_001), "HTTP/1.0 413");
    let head = format!("GET / HTTP/1.0\r\n{}", format!("A: {}\r\n", "a".repeat(7000)).repeat(2));
    let heads = [(); 4].map(|()| send(address, head.as_bytes()));
    let refused = heads.into_iter().map(|stream| {
        let mut first = [0];
        (&stream).read(&mut first).is_ok_and(|n| n > 0)
    });
    assert!(refused.filter(|refused| *refused).count() > 0);
    // One response exceeds the budget while its client does not read it. Nothing is left for the next one.
    let slow = [send(address, b"GET /large HTTP/1.0\r\n\r\n"), send(address, b"GET /large HTTP/1.0\r\n\r\n")];
    let deadline = Instant::now() + Duration::from_secs(20);
    while running.stats().failed == 0 {
        assert!(Instant::now() < deadline, "no connection was closed: {}", running.stats());
        thread::sleep(Duration::from_millis(5));
    }
    drop(slow);
}

#[test]
fn missing_address_and_datagram_socket_are_errors() {
    assert_eq!(Server::bind(&[][..]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(Server::from_listeners([datagrams.into()]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

/// The number of threads of this process.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Set in a process of a test, in which starting a thread fails.
const FAULTY: &str = "START_WITH_FAULT";

// Whichever thread it is. `strace` makes the call fail in a second process, which runs this test again.
#[test]
fn failed_start_returns_the_error_and_leaves_no_thread() {
    if std::env::var_os(FAULTY).is_some() {
        thread::spawn(|| ()).join().unwrap();
        // A thread that has ended may still be counted for a moment.
        let wait_until_only = |n| {
            let deadline = Instant::now() + Duration::from_secs(10);
            while threads() > n && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(threads(), n);
        };
        wait_until_only(2);
        let directory = tempfile::tempdir().unwrap();
        let log = Log::to_file(LogFormat::Combined, &directory.path().join("log")).unwrap();
        match server().log(log).start(|_: &Request<'_>| Response::text("here")) {
            Ok(running) => {
                // The plain engine has a thread for the upkeep instead of two more workers.
                let workers = if support::is_plain() { 3 } else { 4 };
                assert_eq!(threads() - 2, 4 + workers, "three of the log, the housekeeper and the workers");
                drop(running);
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
                println!("FAILED TO START");
            }
        }
        wait_until_only(2);
        return;
    }
    let mut failed = 0;
    for nth in 1.. {
        // Counted in each thread. In the test's, there is one before the server's, because in the main thread the first
        // one is the test's.
        let fault = format!("inject=clone,clone3:error=EAGAIN:when={}", nth + 1);
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-e", "trace=clone,clone3", "-e", &fault]);
        command.arg(std::env::current_exe().unwrap());
        command.args(["--exact", "failed_start_returns_the_error_and_leaves_no_thread", "--nocapture"]);
        let Ok(output) = command.env(FAULTY, "1").output() else {
            assert!(std::env::var_os("CI").is_none(), "strace is missing");
            println!("MISSING: strace");
            return;
        };
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{nth}: {text}");
        if !text.contains("FAILED TO START") {
            break;
        }
        failed = nth;
    }
    assert_eq!(failed, if support::is_plain() { 7 } else { 8 }, "each thread once");
}
