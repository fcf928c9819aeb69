//! Several servers behind a proxy, under load, with the configurations of `deploy/`: one is restarted, another is killed.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use support::{PROGRAM, Program, Proxy, TIMEOUT, connect, deployed_for, free_port, wait_until};

/// More than the buffers of sockets and of a proxy hold, so that a response to a client that does not read stays begun.
const LARGE: usize = 32 << 20;

const CLIENTS: usize = 6;

/// A site with a small file and a large one.
fn site() -> TempDir {
    let directory = TempDir::new().unwrap();
    let large: Vec<u8> = (0..251).cycle().take(LARGE).collect();
    for (name, content) in [("ready", &b"ready"[..]), ("small", &[b's'; 2000]), ("large", &large)] {
        fs::write(directory.path().join(name), content).unwrap();
    }
    directory
}

fn start(port: u16, root: &Path) -> Program {
    let port = port.to_string();
    Program::run(Command::new(PROGRAM).args(["--bind", "127.0.0.1", "--port", &port, "--log-format", "off"]).arg(root))
}

/// Clients that ask one after another until they are told to stop. A client keeps its connection for as long as the proxy
/// does, and every second one opens a connection for each request.
struct Load<'scope> {
    clients: Vec<ScopedJoinHandle<'scope, usize>>,
}

impl<'scope> Load<'scope> {
    fn start<'env>(scope: &'scope thread::Scope<'scope, 'env>, port: u16, stop: &'env AtomicBool) -> Load<'scope> {
        let client = |n: usize| scope.spawn(move || requests_until(stop, port, n.is_multiple_of(2)));
        Load { clients: (0..CLIENTS).map(client).collect() }
    }

    /// How many requests were made. Each of them got its complete response, or the client has panicked.
    fn requests(self) -> usize {
        self.clients.into_iter().map(|client| client.join().unwrap()).sum()
    }
}

/// Sends requests until it is told to stop, and checks every response.
fn requests_until(stop: &AtomicBool, port: u16, keeps: bool) -> usize {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let (mut requests, mut connections, mut kept) = (0, 0, None);
    // It ends by itself if the test has failed elsewhere.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !stop.load(Ordering::Relaxed) && Instant::now() < deadline {
        let mut stream = kept.take().unwrap_or_else(|| connect(address));
        let connection = if keeps { "keep-alive" } else { "close" };
        let request = format!("GET /small HTTP/1.1\r\nHost: a.example\r\nConnection: {connection}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let (head, body) = receive(&mut stream);
        assert!(head.contains(" 200 OK\r\n"), "request {requests}: {head}");
        assert_eq!(body, [b's'; 2000], "request {requests}: {head}");
        requests += 1;
        // HAProxy passes the version of the response on, too.
        let is_kept = head.to_ascii_lowercase().contains("\r\nconnection: keep-alive\r\n");
        connections += usize::from(!is_kept);
        kept = (keeps && is_kept).then_some(stream);
    }
    assert!(!keeps || connections * 2 < requests, "{connections} connections for {requests} requests");
    requests
}

/// Receives the head of a response, and the body until its Content-Length or until the end of the connection.
fn receive(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let mut body = bytes.split_off(end);
            let _ = stream.take((content_length(&head) - body.len()) as u64).read_to_end(&mut body);
            return (head, body);
        }
        match stream.read(&mut piece).unwrap() {
            0 => panic!("a response without a head: {:?}", bytes.escape_ascii().to_string()),
            n => bytes.extend_from_slice(&piece[..n]),
        }
    }
}

fn content_length(head: &str) -> usize {
    let lower = head.to_ascii_lowercase();
    lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap()
}

/// Each of three servers is stopped and started again, three times.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn restarted_server_costs_no_request_behind_haproxy() {
    let directory = site();
    let ports = [free_port(), free_port(), free_port()];
    let mut servers: Vec<_> = ports.iter().map(|port| start(*port, directory.path())).collect();
    let Some(haproxy) = Proxy::haproxy(&deployed_for("haproxy.cfg", &ports)) else { return };
    let stop = AtomicBool::new(false);
    let requests = thread::scope(|scope| {
        let load = Load::start(scope, haproxy.port, &stop);
        for n in 0..9 {
            let at = n % ports.len();
            let used = servers[at].cpu_time();
            // It is in use again: HAProxy has noticed that it is back.
            wait_until("the server gets requests", || servers[at].cpu_time() > used);
            let server = servers.remove(at);
            server.finish(); // SIGTERM, and every accepted connection has ended once
            servers.insert(at, start(ports[at], directory.path()));
        }
        stop.store(true, Ordering::Relaxed);
        load.requests()
    });
    println!("{requests} requests");
    assert!(requests > 500, "{requests} requests in nine restarts");
    drop(haproxy);
    servers.into_iter().for_each(|server| drop(server.finish()));
}

/// While small requests go on, responses have begun when a server is killed. Those of that server end short.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn killed_server_costs_only_responses_that_had_begun_and_each_is_short_behind_haproxy() {
    let directory = site();
    let ports = [free_port(), free_port(), free_port()];
    let mut servers: Vec<_> = ports.iter().map(|port| start(*port, directory.path())).collect();
    let Some(haproxy) = Proxy::haproxy(&deployed_for("haproxy.cfg", &ports)) else { return };
    let address = SocketAddr::from(([127, 0, 0, 1], haproxy.port));
    let large = fs::read(directory.path().join("large")).unwrap();
    let stop = AtomicBool::new(false);
    // Downloads that nobody reads yet. Each server gets some of them in turn.
    let mut downloads: Vec<TcpStream> = (0..12)
        .map(|_| {
            let mut stream = connect(address);
            stream.write_all(b"GET /large HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").unwrap();
            let mut byte = [0];
            stream.peek(&mut byte).unwrap(); // it has begun
            stream
        })
        .collect();
    let requests = thread::scope(|scope| {
        let load = Load::start(scope, haproxy.port, &stop);
        let used = servers[2].cpu_time();
        wait_until("the server gets small requests, too", || servers[2].cpu_time() > used);
        servers[0].signal(Signal::KILL);
        assert!(servers[0].wait(TIMEOUT).is_some());
        let (mut complete, mut short) = (0, 0);
        for stream in &mut downloads {
            let (head, body) = receive(stream);
            assert!(head.contains(" 200 OK\r\n") && content_length(&head) == LARGE, "{head}");
            assert!(large.starts_with(&body), "a response has other bytes than the file");
            if body.len() == LARGE { complete += 1 } else { short += 1 }
        }
        println!("{complete} downloads complete, {short} short");
        assert_eq!((complete, short), (8, 4), "one server of three was killed");
        stop.store(true, Ordering::Relaxed);
        load.requests() // none of them failed
    });
    println!("{requests} requests");
    drop(haproxy);
    servers.drain(..).skip(1).for_each(|server| drop(server.finish()));
}

/// The caches pass a request to the next server, too.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn stopped_server_costs_no_request_behind_nginx_and_varnish() {
    let directory = site();
    for (config, count, proxy) in
        [("nginx.conf", 3, Proxy::nginx as fn(&str) -> Option<Proxy>), ("varnish.vcl", 2, Proxy::varnish)]
    {
        let ports: Vec<_> = (0..count).map(|_| free_port()).collect();
        let mut servers: Vec<_> = ports.iter().map(|port| start(*port, directory.path())).collect();
        let Some(proxy) = proxy(&deployed_for(config, &ports)) else { return };
        // Nothing is cached without `--cache-control`, so each request needs a server.
        let check = |n| {
            let (status, head, body) = proxy.get(&format!("/small?{n}"), "");
            assert!(status == 200 && body == [b's'; 2000], "{config}, request {n}: {head}");
        };
        (0..20).for_each(check);
        servers.remove(0).finish();
        (20..100).for_each(check);
        drop(proxy);
        servers.into_iter().for_each(|server| drop(server.finish()));
    }
}
