//! The plain engine: whom a slow client holds up, when a connection is kept, and how a blocked thread ends.
#![cfg(test)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use http_server::{Action, Body, Engine, Request, Response, RunningServer, Server, ServerConfig, Stats, Timeouts};

const PATIENCE: Duration = Duration::from_secs(20);
const KEPT: &str = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";

/// Short timeouts, so that tests end soon, and a long one for the shutdown, so that none waits for that.
fn config(plain_threads: usize) -> ServerConfig {
    let short = Duration::from_millis(300);
    ServerConfig {
        engine: Engine::Plain,
        plain_threads,
        timeouts: Timeouts { head: short, body: short, min_rate: u64::MAX, ..Timeouts::default() },
        shutdown_timeout: PATIENCE,
        ..ServerConfig::default()
    }
}

fn handle(request: &Request<'_>) -> Action {
    match &*request.path() {
        "/large" => Response::text("x".repeat(16 << 20)).into(),
        "/endless" => {
            Response::bytes("text/plain", Body::Reader { reader: Box::new(io::repeat(b'x')), length: None }).into()
        }
        "/collect" => Action::collect_body(1000, |body| Response::text(body.len().to_string())),
        _ => Response::text("here").into(),
    }
}

fn start(config: ServerConfig) -> (RunningServer, SocketAddr) {
    let running = Server::bind("127.0.0.1:0").unwrap().config(config).start(handle).unwrap();
    let address = running.local_addrs()[0];
    (running, address)
}

fn send(address: SocketAddr, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream
}

fn receive(mut stream: impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn get(address: SocketAddr, path: &str) -> String {
    receive(send(address, &format!("GET {path} HTTP/1.0\r\n\r\n")))
}

/// The next response on a connection that may be kept.
fn next_response(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (String::new(), [0]);
    while !text.ends_with("here") {
        stream.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    text
}

/// A connection that waits for its next request.
fn kept(address: SocketAddr) -> TcpStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut stream = send(address, KEPT);
        if next_response(&mut stream).contains("Connection: keep-alive") {
            return stream;
        }
        assert!(Instant::now() < deadline, "the other workers have not started");
    }
}

fn finish(running: RunningServer) -> Stats {
    running.shutdown_handle().shut_down();
    let began = Instant::now();
    let stats = running.join();
    assert!(began.elapsed() < PATIENCE / 2, "nothing was left to wait for, and it took {:?}", began.elapsed());
    assert_eq!(stats.accepted, stats.ended(), "{stats}");
    stats
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn connection_is_kept_while_another_thread_is_free() {
    let (running, address) = start(config(2));
    let mut stream = kept(address);
    for _ in 0..3 {
        stream.write_all(KEPT.as_bytes()).unwrap();
        assert!(next_response(&mut stream).contains("\r\nConnection: keep-alive\r\n"));
    }
    drop(stream);
    finish(running);
    let (alone, address) = start(config(1));
    assert!(receive(send(address, KEPT)).contains("\r\nConnection: close\r\n"), "nobody else accepts");
    finish(alone);
}

#[test]
fn idle_connection_is_closed_for_a_new_one() {
    let timeouts = Timeouts { head: PATIENCE, ..Timeouts::default() };
    let (running, address) = start(ServerConfig { timeouts, ..config(3) });
    let idle = [kept(address), kept(address)];
    let slow = send(address, "GET / HT");
    // It needs a thread that an idle connection holds.
    for _ in 0..3 {
        assert!(get(address, "/").ends_with("\r\n\r\nhere"));
    }
    let mut left = idle.into_iter().filter(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        stream.read(&mut [0]).is_err()
    });
    assert!(left.by_ref().count() < 2, "one was closed");
    drop(slow);
    finish(running);
}

// As long as the deadline, whatever the client does. Then the others are served.
#[test]
fn client_that_sends_slowly_holds_its_thread_until_the_deadline() {
    let (running, address) = start(config(1));
    let began = Instant::now();
    let silent = send(address, "");
    let half = send(address, "GET / HT");
    let mut trickles = send(address, "GET / HTTP/1.0\r\nA: ");
    let writer = trickles.try_clone().unwrap();
    let writer = thread::spawn(move || {
        while (&writer).write_all(b"a").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let body = send(address, "POST /collect HTTP/1.0\r\nContent-Length: 9\r\n\r\nhalf");
    let other = send(address, "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(receive(silent), "");
    assert!(receive(half).starts_with("HTTP/1.0 408 "));
    let mut response = [0; 13];
    trickles.read_exact(&mut response).unwrap();
    assert_eq!(&response, b"HTTP/1.0 408 ");
    trickles.shutdown(Shutdown::Both).unwrap();
    assert!(receive(body).starts_with("HTTP/1.0 408 "));
    assert!(receive(other).ends_with("\r\n\r\nhere"));
    assert!(began.elapsed() >= 4 * Duration::from_millis(300), "{:?}", began.elapsed());
    writer.join().unwrap();
    let stats = finish(running);
    assert_eq!((stats.timed_out, stats.aborted, stats.completed), (3, 1, 1), "{stats}");
}

#[test]
fn client_that_reads_slowly_holds_its_thread_until_the_deadline() {
    let (running, address) = start(config(1));
    for path in ["/large", "/endless"] {
        let slow = send(address, &format!("GET {path} HTTP/1.0\r\n\r\n"));
        assert!(get(address, "/").ends_with("\r\n\r\nhere"));
        drop(slow);
    }
    let stats = finish(running);
    assert_eq!((stats.timed_out, stats.completed), (2, 2), "{stats}");
}

#[test]
fn large_responses_arrive_complete() {
    let (running, address) = start(ServerConfig { timeouts: Timeouts::default(), ..config(4) });
    let clients = (0..4).map(|_| thread::spawn(move || get(address, "/large").len()));
    for client in clients.collect::<Vec<_>>() {
        assert!((16 << 20..(16 << 20) + 300).contains(&client.join().unwrap()));
    }
    finish(running);
}

// Threads wait for connections, and for requests on kept ones. The connection that wakes them is not counted.
#[test]
fn shutdown_ends_threads_that_wait() {
    let (running, _) = start(config(64));
    assert_eq!(finish(running).accepted, 0);
    let (running, address) = start(config(4));
    let idle = kept(address);
    let silent = TcpStream::connect(address).unwrap();
    let accepted = running.stats_handle();
    wait_until("both are accepted", || accepted.stats().accepted >= 2);
    finish(running);
    drop((idle, silent));
    assert!(TcpStream::connect(address).is_err());
}

// R1945: a request that has arrived is served, in the backlog, too.
#[test]
fn shutdown_serves_what_waits_in_the_backlog() {
    let (inside, leave) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let handler = {
        let (inside, leave) = (inside.clone(), leave.clone());
        move |request: &Request<'_>| {
            if request.path() == "/first" {
                inside.wait();
                leave.wait();
            }
            Response::text("here")
        }
    };
    let running = Server::bind("127.0.0.1:0").unwrap().config(config(1)).start(handler).unwrap();
    let address = running.local_addrs()[0];
    let first = send(address, "GET /first HTTP/1.0\r\n\r\n");
    inside.wait();
    assert_eq!(running.stats_handle().blocking_requests(), ["GET /first HTTP/1.0"]);
    let waiting = [(); 5].map(|()| send(address, "GET / HTTP/1.0\r\n\r\n"));
    running.shutdown_handle().shut_down();
    thread::sleep(Duration::from_millis(100));
    leave.wait();
    for stream in [first].into_iter().chain(waiting) {
        assert!(receive(stream).ends_with("\r\n\r\nhere"));
    }
    assert_eq!(finish(running).completed, 6);
}

#[test]
fn shutdown_timeout_ends_everything_else() {
    let config =
        ServerConfig { shutdown_timeout: Duration::from_millis(300), timeouts: Timeouts::default(), ..config(3) };
    let (running, address) = start(config);
    let mut reads = send(address, "GET /endless HTTP/1.0\r\n\r\n");
    reads.read_exact(&mut [0; 100]).unwrap();
    let reads = thread::spawn(move || io::copy(&mut reads, &mut io::sink()));
    let unread = send(address, "GET /large HTTP/1.0\r\n\r\n");
    let half = send(address, "GET / HT");
    let stats = running.stats_handle();
    wait_until("all are accepted", || stats.stats().accepted == 3);
    let stats = finish(running);
    assert_eq!((stats.accepted, stats.failed), (3, 3), "{stats}");
    assert!(reads.join().unwrap().is_err(), "the response must not look complete");
    drop((unread, half));
}

#[test]
fn each_listening_socket_is_served_with_one_thread() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.merge(Server::bind("127.0.0.2:0").unwrap()).merge(Server::bind_unix(&path).unwrap());
    let running = server.config(config(1)).start(handle).unwrap();
    let addresses = running.local_addrs().to_vec();
    for _ in 0..3 {
        for address in &addresses {
            assert!(get(*address, "/").ends_with("\r\n\r\nhere"));
        }
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        assert!(receive(stream).ends_with("\r\n\r\nhere"));
    }
    let stats = finish(running);
    assert_eq!((stats.accepted, stats.completed), (9, 9), "{stats}");
    assert!(UnixStream::connect(&path).is_err());
}

#[test]
fn body_waits_for_memory_that_another_one_has() {
    let timeouts = Timeouts { body: PATIENCE, ..Timeouts::default() };
    let (running, address) = start(ServerConfig { body_budget: 1000, timeouts, ..config(3) });
    let head = "POST /collect HTTP/1.0\r\nContent-Length: 800\r\n\r\n";
    let mut first = send(address, head);
    let stats = running.stats_handle();
    wait_until("the first body has its memory", || stats.stats().accepted == 1);
    thread::sleep(Duration::from_millis(100));
    let second = send(address, &format!("{head}{}", "b".repeat(800)));
    second.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!((&second).read(&mut [0]).is_err(), "it waits");
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    first.write_all(&[b'a'; 800]).unwrap();
    for stream in [first, second] {
        assert!(receive(stream).ends_with("\r\n\r\n800"));
    }
    finish(running);
}
