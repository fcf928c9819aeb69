//! Tests of the servers with custom handlers. Each is started as a program.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

const WWW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/www");

/// A program that ends with its test.
struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(program: &str, arguments: &[&str]) -> Program {
        let mut command = Command::new(program);
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Program { child, output }
    }

    /// The port in its next line of output.
    fn port(&mut self) -> u16 {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(port: u16, request: &str) -> String {
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn embed_greets_and_shuts_down() {
    let mut program = Program::start(env!("CARGO_BIN_EXE_embed"), &["0"]);
    let port = program.port();
    let post =
        |body: &str| send(port, &format!("POST /hello HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    assert!(send(port, "GET / HTTP/1.0\r\n\r\n").contains("<form "));
    assert!(post("a=b&name=J%C3%BCrgen+%26+Co&names=").ends_with("\r\n\r\nHello, J\u{fc}rgen & Co!\n"));
    for (body, status) in [("", 400), ("name", 400), ("name=%", 400), ("name=%ff", 400), ("name=", 200)] {
        assert!(post(body).starts_with(&format!("HTTP/1.0 {status} ")), "{body}");
    }
    assert!(post(&"x".repeat((64 << 10) + 1)).starts_with("HTTP/1.0 413 "));
    for (path, allowed) in [("/", "GET, HEAD"), ("/hello", "POST")] {
        let response = send(port, &format!("DELETE {path} HTTP/1.0\r\n\r\n"));
        assert!(response.starts_with("HTTP/1.0 405 ") && response.contains(&format!("\r\nAllow: {allowed}\r\n")));
    }
    assert!(send(port, "GET /nothing HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 404 "));

    program.child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let mut printed = String::new();
    program.output.read_to_string(&mut printed).unwrap();
    assert!(program.child.wait().unwrap().success());
    assert_eq!(printed, "11 connections: 11 completed, 0 refused, 0 timed out, 0 aborted, 0 failed\n");
}

#[test]
fn metrics_counts_what_the_files_served() {
    let mut program = Program::start(env!("CARGO_BIN_EXE_metrics"), &[WWW, "0", "0"]);
    let (metrics_port, files) = (program.port(), program.port());
    let metrics = || send(metrics_port, "GET /metrics HTTP/1.0\r\n\r\n");
    assert!(metrics().contains("\nhttp_connections_accepted_total 0\n"));
    for _ in 0..3 {
        assert!(send(files, "GET /HelloWorld.html HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 200 "));
    }
    let open = TcpStream::connect(("127.0.0.1", files)).unwrap();
    (&open).write_all(b"GET").unwrap();
    // A client receives its response a moment before the server has counted it.
    let mut response = metrics();
    for _ in 0..500 {
        if response.contains("_accepted_total 4\n") && response.contains("{outcome=\"completed\"} 3\n") {
            break;
        }
        thread::sleep(Duration::from_millis(10));
        response = metrics();
    }
    assert!(response.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(response.contains("\nhttp_connections_ended_total{outcome=\"completed\"} 3\n"), "{response}");
    assert!(response.ends_with("\nhttp_connections 1\n"), "{response}");
    assert!(send(metrics_port, "GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 404 "));
}
