//! The servers with a handler of their own do what they say: each is started as a program.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

const WWW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/www");

/// A program, ended with its test.
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

    /// The port in its next line.
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

fn ask(port: u16, request: &str) -> String {
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn embed_greets_and_stops_in_order() {
    let mut program = Program::start(env!("CARGO_BIN_EXE_embed"), &["0"]);
    let port = program.port();
    let post = |body: &str| ask(port, &format!("POST /hello HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    assert!(ask(port, "GET / HTTP/1.0\r\n\r\n").contains("<form "));
    assert!(post("a=b&name=J%C3%BCrgen+%26+Co&names=").ends_with("\r\n\r\nHello, J\u{fc}rgen & Co!\n"));
    for (body, status) in [("", 400), ("name", 400), ("name=%", 400), ("name=%ff", 400), ("name=", 200)] {
        assert!(post(body).starts_with(&format!("HTTP/1.0 {status} ")), "{body}");
    }
    assert!(post(&"x".repeat((64 << 10) + 1)).starts_with("HTTP/1.0 413 "));
    for (path, allowed) in [("/", "GET, HEAD"), ("/hello", "POST")] {
        let answer = ask(port, &format!("DELETE {path} HTTP/1.0\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.0 405 ") && answer.contains(&format!("\r\nAllow: {allowed}\r\n")));
    }
    assert!(ask(port, "GET /nothing HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 404 "));

    program.child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let mut said = String::new();
    program.output.read_to_string(&mut said).unwrap();
    assert!(program.child.wait().unwrap().success());
    assert_eq!(said, "11 connections: 11 completed, 0 refused, 0 timed out, 0 aborted, 0 failed\n");
}

#[test]
fn metrics_counts_what_the_files_served() {
    let mut program = Program::start(env!("CARGO_BIN_EXE_metrics"), &[WWW, "0", "0"]);
    let (files, numbers) = (program.port(), program.port());
    let metrics = || ask(numbers, "GET /metrics HTTP/1.0\r\n\r\n");
    assert!(metrics().contains("\nhttp_connections_accepted_total 0\n"));
    for _ in 0..3 {
        assert!(ask(files, "GET /HelloWorld.html HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 200 "));
    }
    let open = TcpStream::connect(("127.0.0.1", files)).unwrap();
    (&open).write_all(b"GET").unwrap();
    // A client hears its answer a moment before the server has counted it.
    let mut answer = metrics();
    for _ in 0..500 {
        if answer.contains("_accepted_total 4\n") && answer.contains("{end=\"completed\"} 3\n") {
            break;
        }
        thread::sleep(Duration::from_millis(10));
        answer = metrics();
    }
    assert!(answer.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(answer.contains("\nhttp_connections_ended_total{end=\"completed\"} 3\n"), "{answer}");
    assert!(answer.ends_with("\nhttp_connections 1\n"), "{answer}");
    assert!(ask(numbers, "GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 404 "));
}
