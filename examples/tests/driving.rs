//! The examples that drive connections in unusual ways. Each runs as a program; its peers are sockets, curl and other
//! examples.
#![cfg(test)]

#[path = "../test_double.rs"]
#[allow(dead_code)]
mod test_double;

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http_core::{RequestError, Status};
use test_double::{Step, TestDouble};

const WWW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/www");

/// A server program. Dropping it ends the program.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(program: &str, arguments: &[&str]) -> Server {
        let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim_end().trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
        Server { child, port }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("localhost", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends these bytes and returns everything that the server sends until it closes.
    fn send(&self, bytes: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).unwrap();
        read_to_end(&mut stream)
    }

    /// Seconds of processor time that the program has used.
    fn cpu_seconds(&self) -> f64 {
        let line = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = line.rsplit(") ").next().unwrap().split(' ').collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs curl and returns its exit status and output. `None` if curl is not installed, which is an error in CI.
fn curl(arguments: &[&str]) -> Option<(i32, String)> {
    let options = ["-q", "-sS", "-i", "--noproxy", "", "-m", "60"];
    match Command::new("curl").args(options).args(arguments).env_clear().output() {
        Ok(output) => Some((output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            // Not by eprintln, which the test harness captures.
            let _ = io::stderr().write_all(b"MISSING: curl\n");
            None
        }
        Err(error) => panic!("curl: {error}"),
    }
}

// --- event_loop

fn event_loop(directory: &str) -> Server {
    Server::start(env!("CARGO_BIN_EXE_event_loop"), &[directory, "0"])
}

const KEEP_ALIVE: &str = "GET /HelloWorld.html HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";

#[test]
fn event_loop_responds_to_pipelined_requests_beside_silent_peers() {
    let server = event_loop(WWW);
    let _silent: Vec<TcpStream> = (0..50).map(|_| server.connect()).collect();
    let page = std::fs::read_to_string(format!("{WWW}/HelloWorld.html")).unwrap();
    let response = server.send(&format!("{}GET /nothing HTTP/1.0\r\n\r\n", KEEP_ALIVE.repeat(50)));
    assert_eq!((response.matches("HTTP/1.0 200 OK\r\n").count(), response.matches(&page).count()), (50, 50));
    assert!(response.contains("HTTP/1.0 404 ") && response.contains("\r\nDate: "));
    let head = server.send("HEAD /HelloWorld.html HTTP/1.0\r\n\r\n");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", page.len())) && head.ends_with("\r\n\r\n"));
    assert!(server.send("GET /../x HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 400 "));
    assert!(server.send("DELETE /HelloWorld.html HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 501 "));
    // The end of the client's stream arrives before the response.
    let mut half_closed = server.connect();
    half_closed.write_all(KEEP_ALIVE.as_bytes()).unwrap();
    half_closed.shutdown(Shutdown::Write).unwrap();
    assert!(read_to_end(&mut half_closed).ends_with(&page));
}

#[test]
fn event_loop_closes_silent_connections_without_using_cpu_until_then() {
    let server = event_loop(WWW);
    let (start, mut idle, mut begun) = (Instant::now(), server.connect(), server.connect());
    begun.write_all(b"GET / HT").unwrap();
    assert_eq!(read_to_end(&mut idle), "");
    assert!(read_to_end(&mut begun).starts_with("HTTP/1.0 408 "));
    assert!(start.elapsed() >= Duration::from_secs(4), "closed before the deadline");
    assert!(server.cpu_seconds() < 0.5, "the loop was busy while it waited");
}

#[test]
fn event_loop_reads_nothing_while_a_response_is_unsent() {
    let directory = std::env::temp_dir().join(format!("event-loop-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("large"), vec![b'x'; 16 << 20]).unwrap();
    let server = event_loop(directory.to_str().unwrap());
    let mut stream = server.connect();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let get = format!("GET /large HTTP/1.0\r\nConnection: keep-alive\r\nA: {}\r\n\r\n", "a".repeat(8000));
    // Once the kernel's buffers are full, the client can send no more.
    let sent = (0..20_000).take_while(|_| stream.write_all(get.as_bytes()).is_ok()).count();
    assert!((1..20_000).contains(&sent), "{sent} requests");
    // The first response still arrives complete, and other clients are served.
    assert!(server.send("GET /nothing HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 404 "));
    let mut response = vec![0; 16 << 20];
    stream.read_exact(&mut response).unwrap();
    assert!(response.starts_with(b"HTTP/1.0 200 OK\r\n") && response.ends_with(b"xxxx"));
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn event_loop_lingers_so_that_its_response_can_be_read() {
    let server = event_loop(WWW);
    for _ in 0..10 {
        let mut stream = server.connect();
        let bytes = format!("GET / HTTP/1.1\r\n\r\n{}", "x".repeat(300_000));
        stream.write_all(bytes.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert!(read_to_end(&mut stream).starts_with("HTTP/1.0 400 "));
    }
}

// --- forward_proxy

fn proxy() -> Server {
    Server::start(env!("CARGO_BIN_EXE_forward_proxy"), &["0"])
}

fn send_bytes(bytes: &str) -> Vec<Step> {
    vec![Step::Bytes(bytes.into())]
}

#[test]
fn proxy_forwards_every_kind_of_response() {
    let head = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-A: 1\r\nX-B: 2\r\nConnection: x-b\r\n";
    let origin = TestDouble::start(&[
        send_bytes(&format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x\r\n wo\r\n0\r\nT: 1\r\n\r\n")),
        send_bytes(&format!("{head}\r\nhello wo")),
        send_bytes(&format!("{head}Content-Length: 8\r\n\r\nhello wo")),
        vec![Step::response(Status::UNAUTHORIZED, &[], "hello wo")],
        send_bytes("HTTP/1.1 204 No Content\r\nProxy-Authentication-Info: x=y\r\n\r\n"),
        send_bytes("HTTP/1.1 205 Reset Content\r\n\r\n"),
    ])
    .unwrap();
    let proxy = proxy();
    for (status, length) in [(200, false), (200, false), (200, true), (401, true)] {
        let response = proxy.send(&format!("GET {} HTTP/1.0\r\n\r\n", origin.url("/a?b")));
        assert!(
            response.starts_with(&format!("HTTP/1.0 {status} ")) && response.ends_with("\r\n\r\nhello wo"),
            "{response}"
        );
        assert_eq!(response.contains("\r\nContent-Length: 8\r\n"), length, "{response}");
        assert_eq!(response.matches("\r\nDate: ").count(), 1, "{response}");
        if status == 200 {
            assert!(
                response.contains("\r\nX-A: 1\r\n") && response.contains("\r\nDate: Sun, 06 Nov 1994 "),
                "{response}"
            );
            assert!(response.contains(&format!("\r\nVia: 1.1 127.0.0.1:{}\r\n", proxy.port)), "{response}");
        }
        assert!(!response.contains("X-B") && !response.contains("Transfer-Encoding"), "{response}");
    }
    // Without a body, and two over one connection.
    let get = format!("GET {} HTTP/1.0\r\n", origin.url("/"));
    let responses = proxy.send(&format!("{get}Connection: keep-alive\r\n\r\n{get}\r\n"));
    let (none, reset) = responses.split_at(responses.rfind("HTTP/1.0 ").unwrap());
    assert!(none.starts_with("HTTP/1.0 204 ") && !none.contains("Content-Length") && !none.contains("Info"), "{none}");
    assert!(reset.starts_with("HTTP/1.0 205 ") && reset.contains("\r\nContent-Length: 0\r\n"), "{reset}");
}

#[test]
fn proxy_removes_hop_by_hop_headers_from_requests() {
    let ok = || vec![Step::response(Status::OK, &[], "")];
    let origin = TestDouble::start(&[ok(), ok(), ok()]).unwrap();
    let (proxy, url) = (proxy(), origin.url(""));
    let host = url.trim_start_matches("http://");
    let request = format!(
        "POST {url}/p HTTP/1.1\r\nHost: other\r\nConnection: X-Secret, close\r\nX-Secret: 1\r\nTE: trailers\r\n\
         Upgrade: h2c\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\nAccept: */*\r\n\
         Via: 1.0 fred\r\nContent-Length: 5\r\n\r\nhello"
    );
    let response = proxy.send(&request);
    assert!(response.starts_with("HTTP/1.0 200 OK\r\n"), "{response}");
    let via = format!("1.1 127.0.0.1:{}", proxy.port);
    let expected = format!(
        "POST /p HTTP/1.0\nHost: {host}\nConnection: close\nContent-Length: 5\nAccept: */*\n\
         Via: 1.0 fred\nVia: {via}\n\nhello"
    );
    assert_eq!(origin.take_requests(), [Ok(expected)]);
    // R9112-3.2.4, R9110-7.6.2
    proxy.send(&format!("OPTIONS {url} HTTP/1.0\r\nMax-Forwards: 2\r\n\r\n"));
    let requests = origin.take_requests();
    let options = requests[0].as_ref().unwrap();
    assert!(options.starts_with("OPTIONS * HTTP/1.0\n") && options.contains("\nMax-Forwards: 1\n"), "{options}");
    // Two requests over one connection. The response to HEAD has no body.
    let get = format!("GET {url}/ HTTP/1.0\r\n\r\n");
    let responses = proxy.send(&format!("HEAD {url}/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n{get}"));
    assert_eq!(
        (responses.matches("HTTP/1.0 ").count(), origin.scripts_left(), origin.take_requests().len()),
        (2, 0, 2)
    );
}

#[test]
fn proxy_rejects_requests_that_it_cannot_forward() {
    let origin = TestDouble::start(&[]).unwrap();
    let (proxy, url) = (proxy(), origin.url("/"));
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (request, status) in [
        (format!("GET http://{dead}/ HTTP/1.0\r\n\r\n"), 502),
        ("GET http://name.invalid/ HTTP/1.0\r\n\r\n".into(), 502),
        ("GET /own HTTP/1.0\r\n\r\n".into(), 400),
        ("GET https://localhost/ HTTP/1.0\r\n\r\n".into(), 400),
        ("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n".into(), 405),
        (format!("GET http://localhost:{}/ HTTP/1.0\r\n\r\n", proxy.port), 502), // itself
        (format!("OPTIONS {url} HTTP/1.0\r\nMax-Forwards: 0\r\n\r\n"), 501),
        (format!("TRACE {url} HTTP/1.0\r\nMax-Forwards: 00\r\n\r\n"), 501),
        // Requests that another parser could read as one or as two.
        (
            format!(
                "POST {url} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            400,
        ),
        (format!("POST {url} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), 400),
        (format!("POST {url} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"), 400),
        (format!("POST {url} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 501),
        (format!("POST {url} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400),
        (format!("GET {url} HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello"), 400),
        (format!("GET {url} HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"), 400),
    ] {
        let response = proxy.send(&request);
        assert!(response.starts_with(&format!("HTTP/1.0 {status} ")), "{request}{response}");
    }
    assert_eq!(origin.take_requests(), [], "a request was forwarded");
}

#[test]
fn proxy_responds_502_or_resets_after_a_failure_of_the_server() {
    let origin = TestDouble::start(&[
        vec![],
        vec![Step::Reset],
        send_bytes("SSH-2.0-x\r\n"),
        send_bytes("HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n"),
        // From here on the response has begun.
        send_bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        send_bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"),
        vec![Step::Bytes(b"HTTP/1.1 200 OK\r\n\r\nhello".into()), Step::Wait(Duration::from_millis(200)), Step::Reset],
    ])
    .unwrap();
    let (proxy, get) = (proxy(), format!("GET {} HTTP/1.0\r\n\r\n", origin.url("/")));
    for _ in 0..4 {
        assert!(proxy.send(&get).starts_with("HTTP/1.0 502 "));
    }
    for _ in 0..3 {
        let mut stream = proxy.connect();
        stream.write_all(get.as_bytes()).unwrap();
        let error = stream.read_to_end(&mut Vec::new()).expect_err("the response looks complete");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn proxy_streams_bodies_both_ways_for_curl() {
    let length = 64 << 20;
    let directory = std::env::temp_dir().join(format!("forward-proxy-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("large"), vec![b'x'; length]).unwrap();
    let (proxy, server) = (proxy(), event_loop(directory.to_str().unwrap()));
    let (through, large) = (format!("localhost:{}", proxy.port), directory.join("large").display().to_string());
    let url = format!("http://localhost:{}/large", server.port);
    if let Some((status, response)) = curl(&["-x", &through, &url]) {
        assert!(status == 0 && response.starts_with("HTTP/1.0 200 OK\r\n") && response.len() > length);
        let origin = TestDouble::start(&[vec![Step::response(Status::OK, &[], "thanks")]]).unwrap();
        // R9110-10.1.1b: curl waits for a 100 (Continue), and for no more than the minute given here.
        let waits = ["--expect100-timeout", "60"];
        let (status, response) =
            curl(&[&["-x", &through, "-T", &large, &origin.url("/up")][..], &waits].concat()).unwrap();
        assert!(status == 0 && response.ends_with("thanks"), "{status} {response}");
        assert!(origin.take_requests()[0].as_ref().unwrap().len() > length);
        let (status, response) = curl(&["-x", &through, "https://localhost/"]).unwrap();
        assert!(status == 56 || status == 7, "{status} {response}");
    }
    let memory = std::fs::read_to_string(format!("/proc/{}/status", proxy.child.id())).unwrap();
    let peak: usize =
        memory.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse().ok()).unwrap();
    assert!(peak < 32 << 10, "{peak} KiB of memory for bodies of 64 MiB");
    std::fs::remove_dir_all(directory).unwrap();
}

// --- test_double

#[test]
fn test_double_program_shows_each_failure() {
    let output = Command::new(env!("CARGO_BIN_EXE_test_double")).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for error in ["302 Found", "cut short", "timed out after 1 s", "expected a status line", "reset by peer"] {
        assert_eq!(
            shown.lines().filter(|line| line.contains("the client got") && line.contains(error)).count(),
            1,
            "{shown}"
        );
    }
    assert_eq!(shown.matches("the server received Ok(\"GET /").count(), 5, "{shown}");
}

#[test]
fn test_double_follows_its_scripts_for_curl_and_records_requests() {
    let slow = Step::Wait(Duration::from_secs(20));
    let double = TestDouble::start(&[
        vec![Step::response(Status::OK, &[("X-A", "b")], "hello")],
        send_bytes("HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
        vec![],
        vec![Step::Reset],
        vec![slow, Step::response(Status::OK, &[], "late")],
        send_bytes("nonsense\r\n"),
    ])
    .unwrap();
    let url = double.url("/a");
    let Some((status, response)) = curl(&["-d", "posted", &url]) else { return };
    assert!(status == 0 && response.contains("\r\nX-A: b\r\n") && response.ends_with("\r\n\r\nhello"), "{response}");
    let requests = double.take_requests();
    assert!(requests[0].as_ref().unwrap().starts_with("POST /a HTTP/1.1\nHost: 127.0.0.1:"), "{requests:?}");
    assert!(requests[0].as_ref().unwrap().ends_with("\n\nposted"), "{requests:?}");
    for (expected, arguments) in [(18, &[][..]), (52, &[]), (56, &[]), (28, &["-m", "1"]), (1, &[])] {
        let (status, response) = curl(&[arguments, &[url.as_str()]].concat()).unwrap();
        assert_eq!(status, expected, "{response}");
    }
    assert_eq!((double.take_requests().len(), double.scripts_left()), (5, 0));

    let mut stream = TcpStream::connect(double.url("").trim_start_matches("http://")).unwrap();
    stream.write_all(b"GET  / HTTP/1.1\r\n\r\n").unwrap();
    assert!(read_to_end_of(&mut stream).starts_with("HTTP/1.0 400 "));
    assert_eq!(double.take_requests(), [Err(RequestError::Whitespace)]);
}

fn read_to_end_of(stream: &mut TcpStream) -> String {
    stream.shutdown(Shutdown::Write).unwrap();
    read_to_end(stream)
}

// --- load

fn load(url: &str, connections: &str, seconds: &str) -> String {
    let mut load = Command::new(env!("CARGO_BIN_EXE_load"));
    let output = load.args([url, connections, seconds]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn load_counts_requests_and_bytes() {
    let server = event_loop(WWW);
    let shown = load(&format!("http://localhost:{}/HelloWorld.html", server.port), "4", "0.5");
    let number = |after: &str, before: &str| -> f64 {
        let from = shown.find(after).unwrap() + after.len();
        shown[from..].split(before).next().unwrap().parse().unwrap()
    };
    let requests = number("", " requests");
    let length =
        server.send(KEEP_ALIVE.replace("keep-alive", "close").as_str()).len() + "keep-alive".len() - "close".len();
    assert!(requests > 20.0 && shown.contains("\n4 connections\n") && !shown.contains("failed"), "{shown}");
    assert_eq!(number("a second\n", " bytes"), requests * length as f64, "{shown}");
    let times = [number("p50 ", ","), number("p99 ", ","), number("p99.9 ", ","), number("max ", "\n")];
    assert!(times.is_sorted() && times[0] > 0.0 && times[3] < 500.0 * 60.0, "{shown}");
}

#[test]
fn load_counts_each_kind_of_failure() {
    let close = || vec![Step::response(Status::OK, &[], "")];
    let double = TestDouble::start(&[
        vec![Step::response(Status::NOT_FOUND, &[], "")],
        vec![], // over a kept-alive connection: the request is sent again
        close(),
        send_bytes("HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
        send_bytes("nonsense\r\n"),
    ])
    .unwrap();
    let shown = load(&double.url("/"), "1", "0.3");
    assert!(shown.starts_with("2 requests in "), "{shown}");
    assert!(
        shown.contains("failed 1 times: 404 Not Found\n") && shown.contains("failed 1 times: the body was cut short\n")
    );
    assert!(shown.contains("failed 1 times: expected a status line"), "{shown}");
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let shown = load(&format!("http://{dead}/"), "2", "0.3");
    assert!(shown.starts_with("0 requests in ") && shown.contains("Connection refused"), "{shown}");
    let output = Command::new(env!("CARGO_BIN_EXE_load")).arg("/no-url").output().unwrap();
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("expected a URL"));
}
