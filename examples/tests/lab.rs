//! The examples of the lab, each run as a program: the client fetches from both servers.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const WWW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/www");
const CLIENT: &str = env!("CARGO_BIN_EXE_client");

/// A server program. Dropping it ends the program.
struct Server {
    child: Child,
    port: String,
}

impl Server {
    fn start(program: &str) -> Server {
        Server::start_by(&mut Command::new(program))
    }

    fn start_by(command: &mut Command) -> Server {
        let mut child = command.args([WWW, "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim_end().trim_end_matches('/').rsplit(':').next().unwrap().to_string();
        Server { child, port }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(format!("localhost:{}", self.port)).unwrap()
    }

    fn fetch(&self, file: &str) -> Output {
        Command::new(CLIENT).args(["localhost", &self.port, file]).output().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serves_the_lab(program: &str) {
    let server = Server::start(program);
    let page = std::fs::read(Path::new(WWW).join("HelloWorld.html")).unwrap();
    let output = server.fetch("HelloWorld.html");
    assert!(output.status.success());
    assert!(output.stdout.starts_with(b"HTTP/1.0 200 OK\r\n") && output.stdout.ends_with(&page));
    assert!(server.fetch("nothing.html").stdout.starts_with(b"HTTP/1.0 404 Not Found\r\n"));

    let mut client = server.connect();
    client.write_all(b"HEAD /HelloWorld.html HTTP/1.0\r\n\r\n").unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    assert!(response.contains(&format!("Content-Length: {}\r\n", page.len())) && response.ends_with("\r\n\r\n"));
}

#[test]
fn one_request_serves_the_lab() {
    serves_the_lab(env!("CARGO_BIN_EXE_one_request"));
}

#[test]
fn threaded_serves_the_lab_beside_a_silent_client() {
    let server = Server::start(env!("CARGO_BIN_EXE_threaded"));
    let _silent = server.connect();
    assert!(server.fetch("HelloWorld.html").status.success());
    serves_the_lab(env!("CARGO_BIN_EXE_threaded"));
}

#[cfg(unix)] // whose shell has `ulimit`
#[test]
fn threaded_goes_on_after_it_had_no_descriptor_for_a_client() {
    let mut limited = Command::new("sh");
    let server =
        Server::start_by(limited.args(["-c", r#"ulimit -n 20; exec "$0" "$@""#, env!("CARGO_BIN_EXE_threaded")]));
    let clients: Vec<_> = (0..30).map(|_| server.connect()).collect();
    (&clients[0]).write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert!((&clients[0]).read(&mut [0]).unwrap() > 0);
    drop(clients);
    assert!(server.fetch("HelloWorld.html").status.success());
}

#[test]
fn client_prints_its_usage_for_wrong_arguments() {
    let output = Command::new(CLIENT).args(["localhost", "6789"]).output().unwrap();
    assert!(
        !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("usage: client HOST PORT FILE")
    );
}

#[test]
fn in_memory_shows_two_exchanges_over_one_connection() {
    let output = Command::new(env!("CARGO_BIN_EXE_in_memory")).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(shown.contains("HTTP/1.0 200 OK\r\n") && shown.contains("HTTP/1.0 404 Not Found\r\n"));
    assert_eq!(shown.matches("the connection can be reused: true").count(), 2);
}
