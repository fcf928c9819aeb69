//! A server for tests of HTTP clients. It follows a script, misbehaves where the script asks for it, and records the
//! requests that it receives.
//!
//! It teaches what a client must be ready for. Copy this file into your tests, as `tests/test_double/mod.rs`, without
//! `main`. It needs `http-core`, and `rustix` with the feature `net`. As a program it serves `webclient` and prints
//! both sides:
//!
//!     cargo run --bin test_double
//!
//! It leaves out TLS. What HTTP/1.1 adds can be sent with `Step::Bytes`.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use http_core::server::{Connection, Event, Response, ResponseBody};
use http_core::{FieldBlock, FieldName, FieldValue, Limits, RequestError, Status};
use rustix::net::sockopt::set_socket_linger;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scripts = [
        vec![Step::response(Status::FOUND, &[("Location", "/elsewhere")], "hello\n")],
        vec![Step::Bytes(b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhalf".into())],
        vec![Step::Bytes(b"HTTP/1.0 200 OK\r\nContent-".into()), Step::Wait(Duration::from_secs(5))],
        vec![Step::Bytes(b"SSH-2.0-double\r\n".into())],
        vec![Step::Reset],
    ];
    let double = TestDouble::start(&scripts)?;
    for n in 1..=scripts.len() {
        let timeouts = webclient::Timeouts { idle: Duration::from_secs(1), ..Default::default() };
        let client = webclient::Client::new().timeouts(timeouts).follow_redirects(false);
        let response = client.get(double.url(&format!("/{n}"))).send();
        let status = response.and_then(|mut response| response.copy_to(&mut io::sink()).map(|_| response.status()));
        println!("the client got {}", status.map_or_else(|error| error.to_string(), |status| status.to_string()));
    }
    double.take_requests().iter().for_each(|request| println!("the server received {request:?}"));
    Ok(())
}

/// One step of the script for a request.
#[derive(Clone, Debug)]
pub enum Step {
    Response(Status, FieldBlock, Vec<u8>), // a complete response; no step follows it
    Bytes(Vec<u8>),                        // sent as they are
    Wait(Duration),
    Reset, // turns the close at the end into a reset
}

impl Step {
    /// A complete response. A 401 or 405 may lack the header that it needs.
    ///
    /// # Panics
    /// If a header is invalid or one that the library writes, such as Content-Length. Use [`Step::Bytes`] for those.
    pub fn response(status: Status, fields: &[(&'static str, &'static str)], body: &str) -> Step {
        let mut block = FieldBlock::new();
        let lines = fields.iter().map(|(name, value)| (FieldName::from_static(name), FieldValue::from_static(value)));
        lines.for_each(|(name, value)| block.push(name, value).unwrap());
        Step::Response(status, block, body.into())
    }
}

/// The server. It listens until the program ends.
#[derive(Clone)]
pub struct TestDouble {
    address: SocketAddr,
    scripts: Arc<Mutex<VecDeque<Vec<Step>>>>,
    requests: Arc<Mutex<Vec<Result<String, RequestError>>>>,
}

impl TestDouble {
    /// Follows one script per request, over any connection. A script without a response ends with a close.
    pub fn start(scripts: &[Vec<Step>]) -> io::Result<TestDouble> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let scripts = Arc::new(Mutex::new(scripts.to_vec().into()));
        let double = TestDouble { address: listener.local_addr()?, scripts, requests: Arc::default() };
        let server = double.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let server = server.clone();
                thread::spawn(move || stream.and_then(|stream| server.serve(stream)));
            }
        });
        Ok(double)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests since the last call, as text, or the error in each. A request is recorded before its response.
    pub fn take_requests(&self) -> Vec<Result<String, RequestError>> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// How many scripts are left. A request without a script gets no response.
    pub fn scripts_left(&self) -> usize {
        self.scripts.lock().unwrap().len()
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?; // each step is sent at once
        let mut connection = Connection::new(Limits { body: u64::MAX, ..Limits::default() });
        let (mut request, mut out) = (Vec::new(), Vec::new());
        loop {
            stream.write_all(&out)?;
            out.clear();
            match connection.poll() {
                Ok(Event::NeedInput) => match stream.read(connection.receive_buffer())? {
                    0 => connection.received_eof(),
                    n => connection.received(n),
                },
                Ok(Event::Request(head)) => {
                    let lines =
                        head.fields.iter().map(|(n, value)| format!("{n}: {}\n", value.as_bytes().escape_ascii()));
                    let fields = lines.collect::<String>();
                    request = [connection.start_line(), b"\n", fields.as_bytes(), b"\n"].concat();
                }
                Ok(Event::Continue(interim)) => out.extend_from_slice(interim),
                Ok(Event::Body(bytes)) => request.extend_from_slice(bytes),
                Ok(Event::NeedOutput) => {
                    self.requests.lock().unwrap().push(Ok(String::from_utf8_lossy(&request).into_owned()));
                    let script = self.scripts.lock().unwrap().pop_front().unwrap_or_default();
                    run(script, &mut connection, &mut stream, &mut out)?;
                }
                Err(error) => {
                    self.requests.lock().unwrap().push(Err(error));
                    connection.respond_error(None, &mut out).map_err(io::Error::other)?;
                }
                Ok(_) => {
                    stream.shutdown(Shutdown::Write)?;
                    return io::copy(&mut stream, &mut io::sink()).map(drop); // until the client closes
                }
            }
        }
    }
}

fn run(script: Vec<Step>, connection: &mut Connection, stream: &mut TcpStream, out: &mut Vec<u8>) -> io::Result<()> {
    for step in script {
        match step {
            Step::Bytes(bytes) => stream.write_all(&bytes)?,
            Step::Wait(time) => thread::sleep(time),
            Step::Reset => set_socket_linger(&*stream, Some(Duration::ZERO))?, // takes effect at the close
            Step::Response(status, fields, body) => {
                let response = Response { body: ResponseBody::Bytes(&body), ..Response::new(status, &fields) };
                return connection.forward(&response, out).map(drop).map_err(io::Error::other);
            }
        }
    }
    Err(io::ErrorKind::ConnectionAborted.into()) // no response: close
}
