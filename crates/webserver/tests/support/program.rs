//! The program under test, serving a directory on a port of its own. Dropping the value ends it.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::engine::{engine_options, without_threads};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_webserver");

/// What runs in place of the program, such as one for another system under an emulator of it.
const OTHER_PROGRAM: &str = "TEST_PROGRAM";

pub(crate) fn is_elsewhere() -> bool {
    env::var_os(OTHER_PROGRAM).is_some()
}

/// The same command with [`OTHER_PROGRAM`] in place of the program, if it runs the program and there is another.
fn elsewhere(command: &Command) -> Option<Command> {
    let mut other = Command::new(env::var_os(OTHER_PROGRAM).filter(|_| command.get_program() == PROGRAM)?);
    other.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    command.get_current_dir().map(|directory| other.current_dir(directory));
    Some(other)
}

pub(crate) struct Program {
    process: Child,
    ready: String,
    messages: File,
    /// Held open: the program would fail to write to a closed pipe.
    _output: ChildStdout,
}

impl Program {
    /// Starts it on a free port of 127.0.0.1.
    pub(crate) fn start(root: &Path, options: &[&str]) -> Program {
        Program::run(
            Command::new(PROGRAM).args(["--port", "0", "--bind", "127.0.0.1"]).args(without_threads(options)).arg(root),
        )
    }

    /// Starts it by this command and waits until it is ready. The command ends with the program's options.
    pub(crate) fn run(command: &mut Command) -> Program {
        let mut other = elsewhere(command);
        let command = other.as_mut().unwrap_or(command);
        if !command.get_args().any(|argument| argument == "--engine") {
            command.args(engine_options());
        }
        // A file, not a pipe: an access log would fill a pipe that is not read.
        let messages = tempfile::tempfile().unwrap();
        let process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(messages.try_clone().unwrap()).spawn().unwrap();
        Program::when_ready(process, messages)
    }

    /// Waits until a process, whose standard error is this file, is ready.
    pub(crate) fn when_ready(mut process: Child, messages: File) -> Program {
        let mut output = process.stdout.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            // All ready lines come in one write, which a pipe delivers in one piece.
            let mut lines = vec![0; 4096];
            let n = output.read(&mut lines).unwrap_or(0);
            lines.truncate(n);
            let _ = sender.send((lines, output));
        });
        let ready = receiver.recv_timeout(Duration::from_secs(10));
        let Ok((lines, output)) = ready else {
            let _ = process.kill();
            let _ = process.wait();
            panic!("not ready within 10 s: {}", text(&messages));
        };
        let ready = String::from_utf8(lines).unwrap();
        let program = Program { process, ready, messages, _output: output };
        assert!(program.ready.ends_with('\n'), "it printed {:?}", program.ready);
        program
    }

    /// The lines on standard output.
    pub(crate) fn ready(&self) -> Vec<&str> {
        self.ready.lines().collect()
    }

    /// The port of the first ready line.
    pub(crate) fn port(&self) -> u16 {
        let port = self.ready().first().and_then(|line| line.strip_suffix('/')?.rsplit(':').next()?.parse().ok());
        port.unwrap_or_else(|| panic!("no port in {:?}", self.ready))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()))
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // Wine makes Ctrl-C of SIGINT, and ends a program by SIGTERM.
        let signal = if is_elsewhere() && signal == Signal::TERM { Signal::INT } else { signal };
        kill_process(self.pid(), signal).unwrap();
    }

    /// The exit status, or `None` if it still runs after the timeout.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.process.try_wait().unwrap() {
                None if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                status => return status,
            }
        }
    }

    /// Shuts it down gracefully and returns its standard error. Every accepted connection has ended exactly once.
    pub(crate) fn finish(mut self) -> String {
        self.signal(Signal::TERM);
        let status = self.wait(Duration::from_secs(20));
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", self.messages());
        let messages = self.messages();
        assert_eq!(final_counts(&messages).map(|(accepted, ended)| accepted == ended), Some(true), "{messages}");
        messages
    }

    /// Its standard error so far.
    pub(crate) fn messages(&self) -> String {
        text(&self.messages)
    }

    /// Its standard error from an offset on.
    pub(crate) fn messages_from(&self, offset: usize) -> Vec<u8> {
        contents(&self.messages, offset)
    }

    /// A field of /proc/PID/status, in bytes.
    pub(crate) fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid().as_raw_pid())).unwrap();
        let value = |line: &str| line.strip_prefix(field)?.strip_prefix(':')?.trim().strip_suffix(" kB")?.parse().ok();
        status.lines().find_map(value).map(|kib: u64| kib << 10).unwrap()
    }

    /// The CPU time that it uses in the next second.
    pub(crate) fn cpu_time_in_next_second(&self) -> Duration {
        let before = self.cpu_time();
        thread::sleep(Duration::from_secs(1));
        self.cpu_time() - before
    }

    /// The CPU time that it has used.
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // The name in parentheses may contain spaces. After it the times are the 12th and 13th field, in units of 10
        // ms.
        let after_name = stat.rsplit_once(") ").unwrap().1;
        let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            let messages = self.messages();
            let from = messages.len().saturating_sub(4096);
            eprintln!("the last messages of the program:\n{}", String::from_utf8_lossy(&messages.as_bytes()[from..]));
        }
    }
}

/// Runs the program with arguments that make it end by itself.
pub(crate) fn output_of(arguments: &[&str]) -> Output {
    output_of_command(Command::new(PROGRAM).args(arguments))
}

/// Runs a command that ends by itself.
pub(crate) fn output_of_command(command: &mut Command) -> Output {
    let mut other = elsewhere(command);
    let command = other.as_mut().unwrap_or(command);
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60); // wine takes long to start a program on a busy machine
    while process.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            let _ = process.kill();
            let _ = process.wait();
            panic!("{command:?} serves instead of ending");
        }
        thread::sleep(Duration::from_millis(5));
    }
    process.wait_with_output().unwrap()
}

/// The numbers of accepted and of ended connections in the last line, which is text or a JSON object.
fn final_counts(messages: &str) -> Option<(u64, u64)> {
    let line = messages.lines().last()?;
    let object: Option<serde_json::Value> = serde_json::from_str(line).ok();
    let line = line.strip_prefix("webserver: ").or_else(|| object.as_ref()?.get("message")?.as_str())?;
    let number = |part: &str| part.trim().split(' ').next()?.parse::<u64>().ok();
    let (accepted, ends) = line.split_once(':')?;
    Some((number(accepted)?, ends.split(',').map(number).sum::<Option<u64>>()?))
}

/// Reads by offset, because the file position is shared with the process that writes.
fn contents(file: &File, offset: usize) -> Vec<u8> {
    let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let mut bytes = vec![0; length.saturating_sub(offset)];
    file.read_exact_at(&mut bytes, offset as u64).unwrap();
    bytes
}

/// What has been written to a file so far.
pub(super) fn text(file: &File) -> String {
    String::from_utf8_lossy(&contents(file, 0)).into_owned()
}
