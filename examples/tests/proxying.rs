//! Tests of the reverse proxy, started as a program in front of a server in this process.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use http_server::http_core::Status;
use http_server::{Action, Body, Request, Response, Server};

/// The program, in front of a server with this port.
struct Proxy {
    child: Child,
    port: u16,
}

impl Proxy {
    fn start(backend: u16) -> Proxy {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reverse_proxy"));
        let mut child = command.args([&format!("127.0.0.1:{backend}"), "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim_end().trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
        Proxy { child, port }
    }

    fn send(&self, request: &str) -> String {
        let mut client = TcpStream::connect(("localhost", self.port)).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut response = Vec::new();
        client.read_to_end(&mut response).unwrap();
        String::from_utf8(response).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Responds with what it received.
fn echo(request: &Request<'_>) -> Action {
    let head = format!("{} {}\n{:?}\n", request.method(), request.raw_target(), request.headers());
    match &*request.path() {
        "/large" => Response::text("x".repeat(3 << 20)).into(),
        "/stream" => {
            let reader = Box::new(&b"of any length"[..]);
            Response::bytes("text/plain", Body::Reader { reader, length: None }).into()
        }
        "/gone" => Response::text("gone\n").status(Status::GONE).header("X-Own", "1").into(),
        _ => Action::collect_body(1 << 20, move |body| {
            Response::text(head + &String::from_utf8_lossy(&body))
                .header("X-Hop", "1")
                .append_header("Set-Cookie", "a=b")
        }),
    }
}

#[test]
fn requests_and_responses_are_passed_on() {
    let backend = Server::bind("127.0.0.1:0").unwrap().start(echo).unwrap();
    let proxy = Proxy::start(backend.local_addrs()[0].port());
    let response = proxy.send(
        "POST /a/%62?c HTTP/1.1\r\nHost: example.org\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\n\
         X-Forwarded-For: 1.2.3.4\r\nContent-Length: 5\r\n\r\nhello",
    );
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n") && head.contains("\r\nSet-Cookie: a=b\r\n"), "{head}");
    assert!(body.starts_with("POST /a/%62?c\n") && body.ends_with("\nhello"), "{body}");
    for sent in ["Host: \"example.org\"", "X-Forwarded-For: \"127.0.0.1\"", "Via: \"1.1 reverse-proxy\""] {
        assert!(body.contains(sent) || body.contains(&sent.replace("127.0.0.1", "::1")), "{sent}: {body}");
    }
    assert!(!body.contains("Secret") && !body.contains("1.2.3.4"), "{body}");

    let large = proxy.send("GET /large HTTP/1.0\r\n\r\n");
    assert!(large.contains("Content-Length: 3145728\r\n") && large.ends_with(&"x".repeat(3 << 20)));
    assert!(proxy.send("GET /stream HTTP/1.0\r\n\r\n").ends_with("\r\n\r\nof any length"));
    let gone = proxy.send("HEAD /gone HTTP/1.0\r\n\r\n");
    assert!(gone.starts_with("HTTP/1.0 410 Gone\r\n") && gone.contains("\r\nX-Own: 1\r\n"), "{gone}");
    assert!(gone.contains("\r\nContent-Length: 5\r\n") && gone.ends_with("\r\n\r\n"), "{gone}");
    // R9110-7.6.2
    let last = proxy.send("OPTIONS / HTTP/1.0\r\nMax-Forwards: 0\r\n\r\n");
    assert!(last.starts_with("HTTP/1.0 501 "), "{last}");
    let forwarded = proxy.send("OPTIONS / HTTP/1.0\r\nMax-Forwards: 1\r\n\r\n");
    assert!(forwarded.contains("Max-Forwards: \"0\""), "{forwarded}");
    let too_large = proxy.send("POST / HTTP/1.0\r\nContent-Length: 1048577\r\n\r\n");
    assert!(too_large.starts_with("HTTP/1.0 413 "), "{too_large}");
}

#[test]
fn server_that_does_not_respond_is_a_bad_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = Proxy::start(port);
    let closes = thread::spawn(move || drop(listener.accept().unwrap()));
    for _ in ["the server closes without a response", "no server listens"] {
        let response = proxy.send("GET / HTTP/1.0\r\n\r\n");
        assert!(response.starts_with("HTTP/1.0 502 Bad Gateway\r\n"), "{response}");
    }
    closes.join().unwrap();
}
