//! The access log when its output is stuck, full or closed: what is written, what is lost, and how that is counted.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use support::{PROGRAM, Program, connect, get, keep_alive, missing, read_response, tool, wait_until};

/// A program whose log is the FIFO `log` of a directory, its metrics, and a client that numbers its requests.
struct Site {
    /// Empty. The server notices if it is removed.
    _root: TempDir,
    logs: TempDir,
    program: Program,
    metrics: SocketAddr,
    client: TcpStream,
    requests: u64,
}

impl Site {
    /// Returns the FIFO's reader, too. It has read nothing yet.
    fn new() -> (Site, File) {
        let (root, logs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let reader = fifo(&logs.path().join("log"));
        let log = logs.path().join("log");
        let options = ["--log-file", log.to_str().unwrap(), "--metrics", "127.0.0.1:0", "--shutdown-timeout", "1"];
        let program = Program::start(root.path(), &options);
        let messages = program.messages();
        let metrics = messages.lines().find_map(|line| line.strip_prefix("webserver: metrics at http://")).unwrap();
        let metrics = metrics.strip_suffix("/metrics").unwrap().parse().unwrap();
        let client = connect(program.address());
        (Site { _root: root, logs, program, metrics, client, requests: 0 }, reader)
    }

    fn log(&self) -> PathBuf {
        self.logs.path().join("log")
    }

    /// Moves the log away, as an administrator does before SIGHUP.
    fn move_log(&self, name: &str) -> PathBuf {
        let moved = self.logs.path().join(name);
        fs::rename(self.log(), &moved).unwrap();
        moved
    }

    /// Sends requests whose lines are some 3,000 bytes long.
    fn request(&mut self, count: u64) {
        for _ in 0..count {
            self.requests += 1;
            let target = format!("/{}/{}", self.requests, "x".repeat(3000));
            self.client.write_all(&keep_alive(&target)).unwrap();
            assert_eq!(read_response(&mut self.client).status, 404);
        }
    }

    /// The lines that are lost so far, according to the metrics.
    fn lost(&self) -> u64 {
        let text = get(self.metrics, "/metrics").text().to_owned();
        let sample = text.lines().find_map(|line| line.strip_prefix("webserver_log_lines_lost_total "));
        sample.unwrap().parse().unwrap()
    }

    /// Shuts the program down, within its timeouts. Returns how many lines it lost, according to its last line.
    fn finish(&mut self) -> u64 {
        let began = Instant::now();
        self.program.signal(Signal::TERM);
        let status = self.program.wait(Duration::from_secs(20)).expect("it ends");
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
        assert_eq!(status.code(), Some(0));
        let messages = self.program.messages();
        let last = messages.lines().last().unwrap();
        let lost = last.strip_suffix(" lost").and_then(|rest| rest.split_once(" log line")).map(|(rest, _)| rest);
        let lost = lost.map(|line| line.rsplit_once(' ').unwrap().1);
        lost.map_or(0, |lost| lost.parse().unwrap())
    }

    /// How many threads of the log there are.
    fn log_threads(&self) -> usize {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.program.pid().as_raw_pid())).unwrap();
        let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.filter(|name| name == "access-log\n").count()
    }
}

/// Makes a FIFO and opens it for reading.
fn fifo(path: &Path) -> File {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    reader(path)
}

fn reader(path: &Path) -> File {
    open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).unwrap().into()
}

/// The numbers of the requests in these lines, all of which are whole.
fn numbers(text: &str) -> Vec<u64> {
    assert!(text.is_empty() || text.ends_with('\n'), "a line is cut off");
    let number = |line: &str| {
        assert!(line.starts_with("127.0.0.1 - - [") && line.contains(" HTTP/1.0\" 404 "), "{line}");
        line.split('/').nth(3).unwrap().parse().unwrap()
    };
    text.lines().map(number).collect()
}

/// What a FIFO holds now, or until its writer ends if reading waits.
fn rest(mut fifo: &File) -> Vec<u64> {
    let mut text = Vec::new();
    match fifo.read_to_end(&mut text) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        result => assert_eq!(result.unwrap(), text.len()),
    }
    numbers(str::from_utf8(&text).unwrap())
}

/// Reads a FIFO until its writer ends.
fn read_on(fifo: File) -> thread::JoinHandle<Vec<u64>> {
    rustix::fs::fcntl_setfl(&fifo, OFlags::empty()).unwrap();
    thread::spawn(move || rest(&fifo))
}

fn stuck(site: &mut Site) {
    site.request(40); // 120,000 bytes; the FIFO holds 65,536
    thread::sleep(Duration::from_millis(200)); // the lines have been passed to the thread that writes
}

// A FIFO that nobody reads: each line is lost in the moment in which there is no place for it, and at the end those are
// lost that never found one.
#[test]
fn lost_lines_are_counted_when_they_are_dropped() {
    let (mut site, fifo) = Site::new();
    site.request(250);
    assert_eq!(site.lost(), 0, "they wait");
    while site.lost() == 0 {
        site.request(10);
    }
    for _ in 0..5 {
        // The line follows the response.
        let before = site.lost();
        site.request(20);
        wait_until("the lines are counted", || site.lost() >= before + 20);
        assert_eq!(site.lost(), before + 20);
    }
    assert!(site.program.messages().contains("webserver: the access log is not written fast enough; lines are lost"));
    let lost_before = site.lost();
    let lost = site.finish();
    let written = rest(&fifo);
    assert!(lost > lost_before && !written.is_empty());
    assert_eq!(written, (1..=site.requests - lost).collect::<Vec<_>>());
}

#[test]
fn recovery_after_lost_lines_is_reported_with_their_number() {
    let (mut site, fifo) = Site::new();
    while site.lost() < 2 {
        site.request(10);
    }
    let lost = site.lost();
    let reading = read_on(fifo);
    let again = format!("webserver: the access log can be written again; {lost} lines were lost\n");
    wait_until("the log is written again", || site.program.messages().contains(&again));
    site.request(10);
    assert_eq!(site.finish(), lost);
    let written = reading.join().unwrap();
    assert_eq!(written.len() as u64 + lost, site.requests);
    assert!(written.ends_with(&(site.requests - 9..=site.requests).collect::<Vec<_>>()));
}

#[test]
fn lines_for_a_pipe_without_reader_are_lost_at_once_and_once() {
    let (mut site, fifo) = Site::new();
    site.request(5);
    let mut written = Vec::new();
    wait_until("they are written", || {
        written.extend(rest(&fifo));
        written.len() == 5
    });
    drop(fifo);
    site.request(7);
    wait_until("they are counted", || site.lost() == 7);
    assert!(site.program.messages().contains("webserver: cannot write the access log: Broken pipe"));
    let fifo = reader(&site.log());
    site.request(3);
    assert_eq!(site.finish(), 7);
    assert_eq!(rest(&fifo), [13, 14, 15]);
}

// The stuck thread keeps what it was writing. Everything else goes to the new file at once.
#[test]
fn sighup_reopens_the_file_while_the_writer_is_stuck() {
    let (mut site, fifo) = Site::new();
    stuck(&mut site);
    site.move_log("old");
    site.program.signal(Signal::HUP);
    wait_until("there is a new file", || site.log().is_file());
    site.request(10);
    let text = |site: &Site| fs::read_to_string(site.log()).unwrap();
    wait_until("the new file has the last lines", || text(&site).contains("/50/"));
    assert_eq!(site.lost(), 0);
    // The new file is rotated, too, while the first writer is still stuck.
    let newer = site.move_log("newer");
    site.program.signal(Signal::HUP);
    wait_until("there is a newer file", || site.log().is_file());
    site.request(10);
    wait_until("the newer file has the last lines", || text(&site).contains("/60/"));
    // The pipe is read at last.
    let reading = read_on(fifo);
    assert_eq!(site.finish(), 0);
    let mut written = reading.join().unwrap();
    for file in [newer, site.log()] {
        written.extend(numbers(&fs::read_to_string(file).unwrap()));
    }
    assert_eq!(written, (1..=site.requests).collect::<Vec<_>>(), "each line once, in order");
}

#[test]
fn stuck_writer_that_is_never_read_loses_what_it_was_writing_only() {
    let (mut site, fifo) = Site::new();
    stuck(&mut site);
    site.move_log("old");
    site.program.signal(Signal::HUP);
    wait_until("there is a new file", || site.log().is_file());
    site.request(10);
    let lost = site.finish();
    let mut written = rest(&fifo);
    written.extend(numbers(&fs::read_to_string(site.log()).unwrap()));
    assert_eq!((lost, written.len() as u64), (1, site.requests - 1), "one line fits in a write");
    written.dedup();
    assert_eq!(written.len() as u64, site.requests - 1);
}

// More stuck files than threads: the last one waits for its turn, the server serves, and the shutdown is in time.
#[test]
fn stuck_files_hold_a_bounded_number_of_threads() {
    let (mut site, first) = Site::new();
    let mut fifos = vec![first];
    wait_until("each thread has its name", || site.log_threads() == 3);
    for n in 0..4 {
        assert_eq!(site.log_threads(), 3);
        stuck(&mut site);
        site.move_log(&format!("old{n}"));
        fifos.push(fifo(&site.log()));
        site.program.signal(Signal::HUP);
        thread::sleep(Duration::from_millis(300)); // the open cannot be observed
    }
    site.request(10);
    assert_eq!(site.log_threads(), 3);
    let lost = site.finish();
    let mut written: Vec<u64> = fifos.iter().flat_map(rest).collect();
    let count = written.len() as u64;
    written.sort_unstable();
    written.dedup();
    assert_eq!((written.len() as u64, count + lost), (count, site.requests), "each line is written once or lost once");
}

#[test]
fn lines_of_the_last_moment_are_written_before_the_end() {
    let (mut site, fifo) = Site::new();
    site.request(15);
    assert_eq!(site.finish(), 0);
    assert_eq!(rest(&fifo), (1..=15).collect::<Vec<_>>());
}

/// A program whose standard streams a test has chosen. Dropping the value ends it.
struct Streams {
    process: Child,
    _root: TempDir,
}

impl Streams {
    fn start(program: &mut Command, options: &[&str], stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Streams {
        let root = TempDir::new().unwrap();
        fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).unwrap();
        fs::write(root.path().join("small"), "small").unwrap();
        program.args(["--port", "0", "--bind", "127.0.0.1"]).args(options).arg(root.path());
        let process = program.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().unwrap();
        Streams { process, _root: root }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    fn finish(&mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What has been written to a file that a process has, too.
fn text_of(file: &File) -> String {
    fs::read_to_string(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file))).unwrap()
}

/// The address in the ready line in this text, once it is there.
fn ready_address(text: impl Fn() -> String) -> SocketAddr {
    let address = || {
        let text = text();
        let line = text.lines().find_map(|line| line.strip_prefix("listening on http://")?.strip_suffix('/'));
        line.map(|address| address.parse().unwrap())
    };
    wait_until("it is ready", || address().is_some());
    address().unwrap()
}

/// Two requests, with a SIGHUP between them.
fn two_requests(streams: &Streams, address: SocketAddr) {
    assert_eq!(get(address, "/small").status, 200);
    streams.signal(Signal::HUP);
    thread::sleep(Duration::from_millis(200)); // nothing happens, which cannot be observed
    assert_eq!(get(address, "/small?2").status, 200);
}

fn is_log_of_two_requests(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    matches!(lines[..], [one, two] if one.contains("\"GET /small HTTP/1.0\" 200") && two.contains("/small?2 HTTP"))
}

// The log is what was on standard output, whatever that is; the ready lines are then on standard error.
#[test]
fn log_goes_to_a_duplicate_of_standard_output() {
    let links = TempDir::new().unwrap();
    let link = links.path().join("access.log");
    symlink("/dev/stdout", &link).unwrap();
    for name in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", link.to_str().unwrap()] {
        for kind in ["pipe", "socket", "file"] {
            let (reader, writer): (OwnedFd, OwnedFd) = match kind {
                "pipe" => std::io::pipe().map(|(reader, writer)| (reader.into(), writer.into())).unwrap(),
                "socket" => UnixStream::pair().map(|(one, other)| (one.into(), other.into())).unwrap(),
                _ => {
                    let file = tempfile::tempfile().unwrap();
                    (file.try_clone().unwrap().into(), file.into())
                }
            };
            let messages = tempfile::tempfile().unwrap();
            let mut streams = Streams::start(
                &mut Command::new(PROGRAM),
                &["--log-file", name],
                writer,
                messages.try_clone().unwrap(),
            );
            two_requests(&streams, ready_address(|| text_of(&messages)));
            streams.finish();
            let (mut text, mut reader) = (String::new(), File::from(reader));
            if kind == "file" {
                reader.rewind().unwrap();
            }
            drop(streams);
            reader.read_to_string(&mut text).unwrap();
            assert!(is_log_of_two_requests(&text), "{name} {kind}: {text}");
            let messages = text_of(&messages);
            assert!(!messages.contains("GET") && messages.ends_with(" 0 failed\n"), "{name} {kind}: {messages}");
            assert_eq!(messages.matches("listening on http://").count(), 1);
        }
    }
}

// Opening it by name would be refused.
#[test]
fn log_goes_to_a_standard_stream_of_another_owner() {
    let Some(setpriv) = tool("setpriv").filter(|_| rustix::process::geteuid().is_root()) else { return };
    for (option, is_output) in [("-", true), ("/dev/stdout", true), ("/dev/stderr", false)] {
        let mut command = Command::new(&setpriv);
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", PROGRAM]);
        let [out, err] = [(); 2].map(|()| tempfile::tempfile().unwrap());
        for file in [&out, &err] {
            file.set_permissions(PermissionsExt::from_mode(0o600)).unwrap();
        }
        let options = ["--log-file", option];
        let mut streams = Streams::start(&mut command, &options, out.try_clone().unwrap(), err.try_clone().unwrap());
        wait_until("it is ready", || text_of(&out).contains("listening") || !text_of(&err).is_empty());
        if text_of(&err).contains("setpriv") {
            return missing("a program that another user may execute");
        }
        let (log, ready) = if is_output { (&out, &err) } else { (&err, &out) };
        two_requests(&streams, ready_address(|| text_of(ready)));
        streams.finish();
        assert_eq!(text_of(log).matches("GET /small").count(), 2, "{}", text_of(log));
        assert_eq!(text_of(ready).matches("GET /small").count(), 0);
    }
}

// Standard error has the log by default. By a name it is the same, though a socket cannot be opened by it.
#[test]
fn log_goes_to_standard_error_by_its_names() {
    for name in ["/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"] {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let ready = tempfile::tempfile().unwrap();
        let options = ["--log-file", name];
        let mut streams =
            Streams::start(&mut Command::new(PROGRAM), &options, ready.try_clone().unwrap(), OwnedFd::from(writer));
        two_requests(&streams, ready_address(|| text_of(&ready)));
        streams.finish();
        drop(streams);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let lines: String = text.lines().filter(|line| line.contains("GET")).map(|line| format!("{line}\n")).collect();
        assert!(is_log_of_two_requests(&lines) && text.contains("webserver: 2 connections: "), "{name}: {text}");
        assert_eq!(text_of(&ready).lines().count(), 1);
    }
}

#[test]
fn ready_lines_are_objects_among_objects_on_standard_error() {
    let [out, err] = [(); 2].map(|()| tempfile::tempfile().unwrap());
    let options = ["--log-file", "-", "--log-format", "json"];
    let mut streams =
        Streams::start(&mut Command::new(PROGRAM), &options, out.try_clone().unwrap(), err.try_clone().unwrap());
    let objects = |file: &File| -> Vec<serde_json::Value> {
        text_of(file).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let ready = || {
        let objects = objects(&err).into_iter();
        objects
            .filter_map(|object| Some(object["message"].as_str()?.strip_prefix("listening on http://")?.to_owned()))
            .next()
    };
    wait_until("it is ready", || ready().is_some());
    get(ready().unwrap().trim_end_matches('/').parse().unwrap(), "/small");
    streams.finish();
    assert_eq!(objects(&err).len(), text_of(&err).lines().count());
    let log = objects(&out);
    assert!(log.len() == 1 && text_of(&out).lines().count() == 1 && log[0]["path"] == "/small", "{log:?}");
}

// Standard output is free for the ready lines without a log.
#[test]
fn ready_lines_stay_on_standard_output_without_a_log() {
    let options = ["--log-file", "-", "--log-format", "off"];
    let program = Program::start(TempDir::new().unwrap().path(), &options);
    assert_eq!(program.ready().len(), 1);
    assert!(!program.finish().contains("listening"));
}

// `webserver --log-file - | head -1`
#[test]
fn closed_standard_output_is_reported_and_the_server_serves_on() {
    let (reader, writer) = std::io::pipe().unwrap();
    let messages = tempfile::tempfile().unwrap();
    let options = ["--log-file", "-"];
    let mut streams =
        Streams::start(&mut Command::new(PROGRAM), &options, OwnedFd::from(writer), messages.try_clone().unwrap());
    let address = ready_address(|| text_of(&messages));
    drop(reader);
    assert_eq!(get(address, "/small").status, 200);
    let expected = "webserver: cannot write the access log: Broken pipe";
    wait_until("it is reported", || text_of(&messages).contains(expected));
    assert_eq!(get(address, "/small").status, 200);
    streams.finish();
    assert!(text_of(&messages).ends_with(" 0 failed; 2 log lines lost\n"), "{}", text_of(&messages));
}
