//! A server that plays a script: one reply for each connection, in order. And how the program is run beside it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_secs(60);

/// As in `tests/support`.
pub(crate) fn program() -> OsString {
    env::var_os("WEBCLIENT_TEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_webclient").into())
}

/// What happens after the bytes of a reply.
enum Then {
    Close,
    Reset,
    /// Nothing, until the client closes.
    Stall,
}

/// One step of a reply.
enum Step {
    Send(Vec<u8>),
    /// Waits for [`Server::go_on`].
    Pause,
    /// Waits until this file has so many bytes.
    Await(PathBuf, u64),
}

/// The bytes that one connection gets, and how it ends.
pub(crate) struct Reply {
    steps: Vec<Step>,
    then: Then,
}

impl Reply {
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Reply {
        Reply { steps: vec![Step::Send(bytes.into())], then: Then::Close }
    }

    pub(crate) fn pause(mut self) -> Reply {
        self.steps.push(Step::Pause);
        self
    }

    pub(crate) fn send(mut self, bytes: impl Into<Vec<u8>>) -> Reply {
        self.steps.push(Step::Send(bytes.into()));
        self
    }

    pub(crate) fn stall(self) -> Reply {
        Reply { then: Then::Stall, ..self }
    }

    /// Resets the connection when the client has written so many bytes.
    pub(crate) fn reset_when(mut self, path: PathBuf, length: u64) -> Reply {
        self.steps.push(Step::Await(path, length));
        Reply { then: Then::Reset, ..self }
    }

    fn play(self, mut stream: TcpStream, go_on: &Receiver<()>) {
        for step in self.steps {
            match step {
                Step::Send(bytes) => drop(stream.write_all(&bytes)), // the client may have closed already
                Step::Pause => go_on.recv_timeout(TIMEOUT).unwrap(),
                Step::Await(path, length) => await_length(&path, length),
            }
        }
        match self.then {
            Then::Close => {}
            Then::Reset => rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap(),
            // Unlike one `read`, it goes on after a signal, such as that of a machine that is paused.
            Then::Stall => drop(io::copy(&mut stream, &mut io::sink())),
        }
    }
}

impl<T: AsRef<[u8]>> From<T> for Reply {
    fn from(bytes: T) -> Reply {
        Reply::new(bytes.as_ref())
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Receiver<String>,
    paused: Sender<()>,
}

impl Server {
    pub(crate) fn new<R: Into<Reply>>(replies: impl IntoIterator<Item = R>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        let (paused, go_on) = channel();
        let replies: Vec<Reply> = replies.into_iter().map(Into::into).collect();
        thread::spawn(move || {
            for reply in replies {
                let (mut stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(TIMEOUT)).unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                let _ = sender.send(String::from_utf8(head).unwrap());
                reply.play(stream, &go_on);
            }
        });
        Server { address, requests, paused }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request.
    pub(crate) fn request(&self) -> String {
        self.requests.recv_timeout(TIMEOUT).unwrap()
    }

    #[track_caller]
    pub(crate) fn assert_no_request(&self) {
        assert_eq!(self.requests.try_recv().ok(), None);
    }

    /// Ends the pause of a reply.
    pub(crate) fn go_on(&self) {
        self.paused.send(()).unwrap();
    }
}

/// A directory in which the program runs.
pub(crate) struct Place(pub(crate) TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    #[track_caller]
    pub(crate) fn assert_has(&self, files: &[(&str, &str)]) {
        let mut found: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let content =
                    if path.extension().is_some_and(|end| end == "meta") { Ok(vec![]) } else { fs::read(&path) };
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, String::from_utf8(content.unwrap_or_default()).unwrap())
            })
            .collect();
        found.sort();
        let found: Vec<_> = found.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
        assert_eq!(found, files);
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a shell script with the program as `$0`.
    pub(crate) fn shell(&self, script: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).arg(program()).args(arguments);
        command.current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap()
    }

    /// Waits until the file has so many bytes.
    pub(crate) fn await_length(&self, name: &str, length: u64) {
        await_length(&self.path(name), length);
    }
}

fn await_length(path: &Path, length: u64) {
    let start = Instant::now();
    while fs::metadata(path).map_or(0, |found| found.len()) < length {
        assert!(start.elapsed() < TIMEOUT, "{} has no {length} bytes", path.display());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Checks the exit status, and what standard error says: nothing, or one line with each of these texts, in order.
#[track_caller]
pub(crate) fn assert_ends(output: &Output, status: i32, lines: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.status.signal()), (Some(status), None), "{stderr}");
    assert_eq!(stderr.lines().count(), lines.len(), "{stderr}");
    for (line, text) in stderr.lines().zip(lines) {
        assert!(line.starts_with("webclient: ") && line.contains(text), "{line:?} does not contain {text:?}");
    }
}
