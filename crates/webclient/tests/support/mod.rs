//! Runs the program, beside servers with a script for each test, and on terminals.
#![allow(dead_code)] // each test file uses a part

use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long anything may take on a loaded machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) const OK: &str = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// A server that reports each request.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Receiver<Request>,
}

/// A request, and over which connection it came: the first is 1.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) connection: usize,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Server {
    /// Answers every request with the bytes that this function returns for its head. It keeps the connection if both
    /// say so.
    pub(crate) fn answering(respond: impl Fn(&str) -> Vec<u8> + Send + Clone + 'static) -> Server {
        Server::every("127.0.0.1:0", move |mut stream, connection, requests| {
            while let Some(request) = read_request(&mut stream, connection) {
                let response = respond(&request.head);
                let is_kept =
                    |head: &[u8]| String::from_utf8_lossy(head).to_lowercase().contains("connection: keep-alive");
                let is_kept = is_kept(request.head.as_bytes()) && is_kept(&response);
                let _ = requests.send(request); // the test may not ask for them
                let _ = stream.write_all(&response); // the client may have closed already
                if !is_kept {
                    break;
                }
            }
        })
    }

    /// Answers each path with its response, and any other with 404.
    pub(crate) fn of(pages: &[(&str, &str)]) -> Server {
        let pages: HashMap<_, _> = pages.iter().map(|(path, page)| (path.to_string(), page.to_string())).collect();
        Server::answering(move |head| {
            let path = head.split(' ').nth(1).unwrap();
            let page = pages.get(path).cloned();
            page.unwrap_or_else(|| "HTTP/1.0 404 Not Found\r\n\r\n".into()).into()
        })
    }

    /// Responds to each request with these bytes and closes.
    pub(crate) fn responding(response: impl Into<Vec<u8>>) -> Server {
        let response = response.into();
        Server::scripted("127.0.0.1:0", move |mut stream| {
            let _ = stream.write_all(&response);
        })
    }

    /// Reads a request on each connection, then runs the script.
    pub(crate) fn scripted(address: &str, script: impl Fn(TcpStream) + Send + Clone + 'static) -> Server {
        Server::every(address, move |mut stream, connection, requests| {
            if let Some(request) = read_request(&mut stream, connection) {
                let _ = requests.send(request);
                script(stream);
            }
        })
    }

    fn every(address: &str, serve: impl Fn(TcpStream, usize, Sender<Request>) + Send + Clone + 'static) -> Server {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (serve, sender) = (serve.clone(), sender.clone());
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(TIMEOUT)).unwrap();
                thread::spawn(move || serve(stream, number + 1, sender));
            }
        });
        Server { address, requests }
    }

    /// Fetches by HOST PORT FILE.
    pub(crate) fn get(&self, file: impl AsRef<OsStr>) -> Output {
        let port = self.address.port().to_string();
        webclient([self.address.ip().to_string().as_ref(), port.as_ref(), file.as_ref()])
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Fetches `/a` by its URL.
    pub(crate) fn get_url(&self, options: &[&str]) -> Output {
        webclient(options.iter().map(|option| option.to_string()).chain([self.url("/a")]))
    }

    pub(crate) fn request(&self) -> Request {
        self.requests.recv_timeout(TIMEOUT).unwrap()
    }

    /// That no further request came. The program has ended, so all of its requests have been read.
    pub(crate) fn assert_no_request(&self) {
        assert!(self.requests.try_recv().is_err());
    }
}

/// The next connection. The test fails if none comes.
pub(crate) fn accept(listener: TcpListener) -> TcpStream {
    let (sender, accepted) = channel();
    thread::spawn(move || sender.send(listener.accept()));
    let (stream, _) = accepted.recv_timeout(TIMEOUT).unwrap().unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Waits until the client closes. Unlike one `read`, it goes on after a signal, such as that of a machine that is paused.
pub(crate) fn wait_for_close(mut stream: TcpStream) {
    let _ = io::copy(&mut stream, &mut io::sink());
}

fn read_request(stream: &mut TcpStream, connection: usize) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length =
        head.split("\r\nContent-Length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body).ok()?;
    Some(Request { connection, head, body })
}

/// The program under test: `WEBCLIENT_TEST_PROGRAM` if it is set, so that these tests can run one for another system.
pub(crate) fn program() -> OsString {
    env::var_os("WEBCLIENT_TEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_webclient").into())
}

pub(crate) fn webclient<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    command(arguments).output().unwrap()
}

pub(crate) fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A command that runs a line of shell on a terminal of its own, where `$W` is the program. Its output is the terminal's.
/// What is written to its input is typed on the terminal, which shows it unless the program turns that off.
pub(crate) fn on_terminal(line: &str) -> Command {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--echo", "always", "--command", line, "/dev/null"]);
    script.env("W", program()).env("SHELL", "/bin/sh").env("LC_ALL", "C.UTF-8");
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    script
}

/// Runs a line of shell on a terminal, and returns its exit status and what the terminal got.
pub(crate) fn run_on_terminal(line: &str) -> (Option<i32>, String) {
    let mut child = on_terminal(line).spawn().expect("`script` of util-linux is needed");
    let input = child.stdin.take(); // open until the end
    let mut seen = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut seen).unwrap();
    drop(input);
    (child.wait().unwrap().code(), String::from_utf8(seen).unwrap())
}

/// Asserts how the program ended. `stderr` is a part of its one line, or nothing.
#[track_caller]
pub(crate) fn assert_ends(output: &Output, status: i32, stdout: impl AsRef<[u8]>, stderr: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{message}");
    assert_eq!(output.stdout.escape_ascii().to_string(), stdout.as_ref().escape_ascii().to_string(), "{message}");
    match stderr {
        "" => assert_eq!(message, ""),
        _ => {
            assert!(message.starts_with("webclient: ") && message.contains(stderr), "{message:?} lacks {stderr:?}");
            assert_eq!(message.find('\n'), Some(message.len() - 1), "one line: {message:?}");
        }
    }
}

/// Asserts that the command line is refused with this explanation, and nothing is written.
#[track_caller]
pub(crate) fn assert_refused(arguments: &[&str], message: &str) {
    let output = webclient(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {text}");
    assert!(text.contains(message), "{arguments:?}: {text:?} lacks {message:?}");
}
