//! A server for tests of HTTP clients: it plays what it was given, in order, misbehaves where it is told to, and tells
//! which requests it saw.
//!
//! It teaches what a client has to be ready for. Copy this file, or name it in a test by
//! `#[path = "test_double.rs"] mod test_double;`. As a program it plays to `webclient`, and shows both sides:
//!
//!     cargo run --bin test_double
//!
//! It leaves out TLS, and what HTTP/1.1 adds, which `Play::Bytes` can say as it is.

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
    let scenes = [
        vec![Play::reply(Status::FOUND, &[("Location", "/elsewhere")], "hello\n")],
        vec![Play::Bytes(b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhalf".into())],
        vec![Play::Bytes(b"HTTP/1.0 200 OK\r\nContent-".into()), Play::Wait(Duration::from_secs(2))],
        vec![Play::Bytes(b"SSH-2.0-double\r\n".into())],
        vec![Play::Reset],
    ];
    let double = TestDouble::start(&scenes)?;
    for n in 1..=scenes.len() {
        let timeouts = webclient::Timeouts { idle: Duration::from_millis(200), ..Default::default() };
        let response = webclient::fetch(&double.url(&format!("/{n}")).parse()?, &timeouts);
        let status = response.and_then(|mut response| response.copy_to(&mut io::sink()).map(|_| response.head.status));
        println!("the client got {}", status.map_or_else(|error| error.to_string(), |status| status.to_string()));
    }
    double.seen().iter().for_each(|seen| println!("the double saw {seen:?}"));
    Ok(())
}

/// A part of what is done about a request.
#[derive(Clone, Debug)]
pub enum Play {
    Response(Status, FieldBlock, Vec<u8>), // a whole one
    Bytes(Vec<u8>),                        // whatever they are
    Wait(Duration),
    Reset, // makes the close an error
}

impl Play {
    /// A whole reply; a 401 or 405 may lack what it must have.
    ///
    /// # Panics
    /// If a field is none, or one that frames the reply, as Content-Length does: [`Play::Bytes`] says anything.
    pub fn reply(status: Status, fields: &[(&'static str, &'static str)], body: &str) -> Play {
        let mut block = FieldBlock::new();
        let lines = fields.iter().map(|(name, value)| (FieldName::from_static(name), FieldValue::from_static(value)));
        lines.for_each(|(name, value)| block.push(name, value).unwrap());
        Play::Response(status, block, body.into())
    }
}

/// The server. It listens until its program ends.
#[derive(Clone)]
pub struct TestDouble {
    address: SocketAddr,
    scenes: Arc<Mutex<VecDeque<Vec<Play>>>>,
    seen: Arc<Mutex<Vec<Result<String, RequestError>>>>,
}

impl TestDouble {
    /// Plays one scene to each request, over whichever connection it comes; a close ends one that ends with no reply.
    pub fn start(scenes: &[Vec<Play>]) -> io::Result<TestDouble> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let scenes = Arc::new(Mutex::new(scenes.to_vec().into()));
        let double = TestDouble { address: listener.local_addr()?, scenes, seen: Arc::default() };
        let on_stage = double.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let double = on_stage.clone();
                thread::spawn(move || stream.and_then(|stream| double.serve(stream)));
            }
        });
        Ok(double)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests since it was asked last, as text, or what was wrong with them; each before it is answered.
    pub fn seen(&self) -> Vec<Result<String, RequestError>> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// How many scenes were not asked for. Who asks for more hears nothing.
    pub fn left(&self) -> usize {
        self.scenes.lock().unwrap().len()
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut machine = Connection::new(Limits { body: u64::MAX, ..Limits::default() });
        let (mut request, mut out) = (Vec::new(), Vec::new());
        loop {
            stream.write_all(&out)?;
            out.clear();
            match machine.poll() {
                Ok(Event::NeedInput) => match stream.read(machine.receive_buffer())? {
                    0 => machine.received_eof(),
                    n => machine.received(n),
                },
                Ok(Event::Request(head)) => {
                    let lines =
                        head.fields.iter().map(|(n, value)| format!("{n}: {}\n", value.as_bytes().escape_ascii()));
                    let fields = lines.collect::<String>();
                    request = [machine.start_line(), b"\n", fields.as_bytes(), b"\n"].concat();
                }
                Ok(Event::Body(bytes)) => request.extend_from_slice(bytes),
                Ok(Event::NeedOutput) => {
                    self.seen.lock().unwrap().push(Ok(String::from_utf8_lossy(&request).into_owned()));
                    let scene = self.scenes.lock().unwrap().pop_front().unwrap_or_default();
                    play(scene, &mut machine, &mut stream, &mut out)?;
                }
                Err(error) => {
                    self.seen.lock().unwrap().push(Err(error));
                    machine.respond_error(None, &mut out).map_err(io::Error::other)?;
                }
                Ok(_) => {
                    stream.shutdown(Shutdown::Write)?;
                    return io::copy(&mut stream, &mut io::sink()).map(drop); // its client closes
                }
            }
        }
    }
}

fn play(scene: Vec<Play>, machine: &mut Connection, stream: &mut TcpStream, out: &mut Vec<u8>) -> io::Result<()> {
    for play in scene {
        match play {
            Play::Bytes(bytes) => stream.write_all(&bytes)?,
            Play::Wait(time) => thread::sleep(time),
            Play::Reset => set_socket_linger(&*stream, Some(Duration::ZERO))?, // at the close
            Play::Response(status, fields, body) => {
                let reply = Response { body: ResponseBody::Bytes(&body), ..Response::new(status, &fields) };
                return machine.forward(&reply, out).map(drop).map_err(io::Error::other);
            }
        }
    }
    Err(io::ErrorKind::ConnectionAborted.into()) // there was no reply: this is the end
}
