//! A crowd of slow and silent peers, and beside them one client that just wants its file: how long it waits, who is lost,
//! and what a parked connection costs; each figure beside its goal.
//!
//!     cargo bench -p benches --bench crowd
#![allow(clippy::print_stdout, clippy::print_stderr)] // a report, and what there was no room for

#[path = "../peers/built.rs"]
mod built;
mod client;
mod peers;
#[path = "../peers/process.rs"]
mod process;
mod report;

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::client::Latencies;
use crate::peers::{Kind, Sizes};
use crate::process::Process;

/// Why something was not measured, as a line for people.
type Why = Box<dyn Error>;

/// The whole crowd, and how many connections the server is told to take.
const WHOLE: Sizes = Sizes { idle: 5_000, dribbling: 10_000, reading: 1_000 };
const CONNECTIONS: u32 = 17_000;

/// Both for a head and for who is idle. All must be over by then.
const DEADLINE: Duration = Duration::from_secs(60);

const SMALL: (&str, usize) = ("1k.txt", 1 << 10);
const LARGE: (&str, u64) = ("10m.bin", 10 << 20);

/// Measures how a client fares beside a crowd of slow and silent peers
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Options {
    /// How long the client asks beside the crowd
    #[arg(long, default_value = "20")]
    seconds: u64,

    /// Another build of our server, in the place of this tree's
    #[arg(long, value_name = "PROGRAM")]
    webserver: Option<PathBuf>,

    /// A port, and how many are idle, dribble and read: be that crowd
    #[arg(long, num_args = 4, hide = true)]
    crowd: Option<Vec<usize>>,

    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// All that was measured.
struct Figures {
    sizes: Sizes,
    alone: Latencies,
    beside: Latencies,
    failed: Option<String>,
    /// Who was lost before its time was over, after how long, and what it was told.
    lost: Vec<String>,
    /// Descriptors of the server beside the whole crowd.
    descriptors: usize,
    /// Bytes of memory that a seat takes from the start, and a connection of each kind when it is there.
    seat: f64,
    each: [(Kind, f64); 3],
    /// Of one processor, beside the crowd.
    processor: f64,
    /// From the first of the crowd to the last look at it.
    lasted: Duration,
}

fn main() -> Result<ExitCode, Why> {
    let options = Options::parse();
    let room = built::descriptors();
    if let Some([port, idle, dribbling, reading]) = options.crowd.as_deref() {
        let sizes = Sizes { idle: *idle, dribbling: *dribbling, reading: *reading };
        return peers::be(u16::try_from(*port)?, sizes).map(|()| ExitCode::SUCCESS);
    }
    let webserver = match &options.webserver {
        Some(program) => program.canonicalize()?,
        None => built::Built::new()?.program("webserver", &["-p", "webserver"])?,
    };
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join(SMALL.0), vec![b'a'; SMALL.1])?;
    File::create(directory.path().join(LARGE.0))?.set_len(LARGE.1)?;
    thread::sleep(Duration::from_secs(3)); // files that have just been written are not kept by the server

    let taken = connections(&webserver)?;
    let sizes = WHOLE.within(taken.saturating_sub(8).min(usize::try_from(room)?.saturating_sub(64)));
    if sizes.total() < WHOLE.total() {
        eprintln!(
            "NOT THE WHOLE CROWD: {} instead of {}. Of {room} descriptors a process may have, the server takes {taken} \
             connections; the whole crowd needs a hard limit (`ulimit -Hn`) of about 20,000.",
            sizes.total(),
            WHOLE.total()
        );
    }
    let figures = measure(&webserver, directory.path(), sizes, Duration::from_secs(options.seconds))?;
    Ok(if report::print(&figures) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(webserver: &Path, root: &Path, sizes: Sizes, time: Duration) -> Result<Figures, Why> {
    let (one_seat, _) = start(webserver, root, 1)?;
    let one_seat = settled(&one_seat)?;
    let (server, port) = start(webserver, root, CONNECTIONS)?;
    let seats = connections(webserver)?;
    let (alone, failed_alone) = client::ask(port, time / 4);
    let mut before = settled(&server)?;
    // Both have their threads and one connection at work; the one is asked for less, so this rather overstates.
    let seat = (before - one_seat) / seats as f64;

    let began = Instant::now();
    let mut crowd = Crowd::start(port, sizes)?;
    let mut each = Vec::new();
    for kind in Kind::ALL {
        crowd.said(kind.name())?;
        let now = settled(&server)?;
        each.push((kind, (now - before) / sizes.of(kind).max(1) as f64));
        before = now;
        crowd.go_on()?;
    }
    let used = server.cpu()?;
    let (beside, failed) = client::ask(port, time);
    let processor = (server.cpu()? - used) / time.as_secs_f64();
    let descriptors = fs::read_dir(format!("/proc/{}/fd", server.id()))?.count();
    let lost = crowd.end()?;
    let each = each.try_into().map_err(|_| "a kind was not measured")?;
    let failed = failed_alone.or(failed);
    Ok(Figures { sizes, alone, beside, failed, lost, descriptors, seat, each, processor, lasted: began.elapsed() })
}

/// How many connections the server takes when it is told to take enough, by what it says itself.
fn connections(webserver: &Path) -> Result<usize, Why> {
    let output = Command::new(webserver).args(options(CONNECTIONS)).arg("--print-limits").output()?;
    let said = String::from_utf8(output.stdout)?;
    let number =
        said.lines().find_map(|line| line.strip_prefix("connections ")?.split_whitespace().next()?.parse().ok());
    Ok(number.ok_or("the server does not say its limits")?)
}

fn options(connections: u32) -> Vec<String> {
    let deadline = DEADLINE.as_secs();
    let options =
        format!("--threads 4 --max-connections {connections} --header-timeout {deadline} --idle-timeout {deadline}");
    options.split(' ').map(String::from).collect()
}

/// A server over this directory, warm, and its port.
fn start(webserver: &Path, root: &Path, connections: u32) -> Result<(Process, u16), Why> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = Command::new(webserver);
    command.args(options(connections)).args([
        "--log-format",
        "off",
        "--bind",
        "127.0.0.1",
        "--port",
        &port.to_string(),
    ]);
    let mut server = Process::start({
        command.arg(root).stdout(Stdio::null());
        command
    })?;
    let end = Instant::now() + Duration::from_secs(5);
    while let (_, Some(why)) = client::ask(port, Duration::from_millis(500)) {
        if server.has_ended() || Instant::now() > end {
            return Err(format!("the server does not serve: {why}").into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok((server, port))
}

/// Memory of the server's own in bytes, once it has done what it has to do.
fn settled(server: &Process) -> Result<f64, Why> {
    let mut last = server.memory("RssAnon")?;
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(100));
        let now = server.memory("RssAnon")?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(last as f64 * 1024.0)
}

/// The process of the crowd: it says what it has done, and goes on when told to.
struct Crowd {
    process: Child,
    says: BufReader<ChildStdout>,
}

impl Crowd {
    fn start(port: u16, sizes: Sizes) -> Result<Crowd, Why> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("--crowd")
            .args([usize::from(port), sizes.idle, sizes.dribbling, sizes.reading].map(|n| n.to_string()));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let says = BufReader::new(process.stdout.take().ok_or("the crowd says nothing")?);
        Ok(Crowd { process, says })
    }

    fn line(&mut self) -> Result<String, Why> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        Ok(line.trim_end().into())
    }

    fn said(&mut self, what: &str) -> Result<(), Why> {
        let line = self.line()?;
        if line == what { Ok(()) } else { Err(format!("the crowd said {line:?} instead of {what:?}").into()) }
    }

    fn go_on(&mut self) -> Result<(), Why> {
        Ok(self.process.stdin.as_mut().ok_or("the crowd hears nothing")?.write_all(b"\n")?)
    }

    /// Who was lost.
    fn end(mut self) -> Result<Vec<String>, Why> {
        self.go_on()?;
        let mut lost = Vec::new();
        loop {
            match self.line()? {
                line if line == "end" => return Ok(lost),
                line if line.is_empty() => return Err("the crowd ended too early".into()),
                line => lost.push(line),
            }
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
