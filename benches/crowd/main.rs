//! Measures one client beside a crowd of slow and silent peers: its latency, which peers are lost, and the memory per
//! connection; then its latency beside peers that ask for much work. It prints each figure beside its goal.
//!
//!     cargo bench -p benches --bench crowd
#![allow(clippy::print_stdout, clippy::print_stderr)] // the report, and a warning if the crowd is smaller

mod client;
mod listings;
mod peers;
#[path = "../peers/process.rs"]
mod process;
mod report;
#[path = "../peers/setup.rs"]
mod setup;

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
use crate::setup::{CargoTarget, raise_descriptor_limit};

type BoxError = Box<dyn Error>;

/// The full crowd, and a server limit above it.
const FULL: Sizes = Sizes { idle: 5_000, dribbling: 10_000, reading: 1_000 };
const MAX_CONNECTIONS: u32 = 17_000;

/// The header and idle timeouts of the server. The measurement has to end earlier.
const TIMEOUT: Duration = Duration::from_secs(60);

const SMALL: (&str, usize) = ("1k.txt", 1 << 10);
/// Entries of the directory that is listed, and the peers that request it.
const LISTED: usize = 10_000;
const LISTING_PEERS: usize = 32;
const LARGE: (&str, u64) = ("10m.bin", 10 << 20);

/// Measures one client beside a crowd of slow and silent peers
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Options {
    /// How long the client sends requests beside the crowd
    #[arg(long, default_value = "20")]
    seconds: u64,

    /// Measure this build instead of this tree's
    #[arg(long, value_name = "PROGRAM")]
    webserver: Option<PathBuf>,

    /// Run the crowd: a port, and the numbers of idle, dribbling and reading peers
    #[arg(long, num_args = 4, hide = true)]
    crowd: Option<Vec<usize>>,

    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

struct Figures {
    sizes: Sizes,
    alone: Latencies,
    beside: Latencies,
    /// Beside peers that pipeline requests for a long listing.
    beside_listings: Latencies,
    /// Why the client stopped early.
    error: Option<String>,
    /// Peers that the server disconnected before their timeout: which kind, after how long, and what they received.
    lost: Vec<String>,
    /// Descriptors of the server beside the full crowd.
    descriptors: usize,
    /// Bytes of memory for a slot, allocated at the start, and for a connection of each kind.
    slot: f64,
    connections: [(Kind, f64); 3],
    /// CPUs that the server used beside the crowd.
    cpus: f64,
    /// From the first connection of the crowd to the last check of it.
    elapsed: Duration,
}

fn main() -> Result<ExitCode, BoxError> {
    let options = Options::parse();
    let descriptors = raise_descriptor_limit();
    if let Some([port, idle, dribbling, reading]) = options.crowd.as_deref() {
        let sizes = Sizes { idle: *idle, dribbling: *dribbling, reading: *reading };
        return peers::run(u16::try_from(*port)?, sizes).map(|()| ExitCode::SUCCESS);
    }
    let webserver = match &options.webserver {
        Some(program) => program.canonicalize()?,
        None => CargoTarget::new()?.build("webserver", &["-p", "webserver"])?,
    };
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join(SMALL.0), vec![b'a'; SMALL.1])?;
    File::create(directory.path().join(LARGE.0))?.set_len(LARGE.1)?;
    listings::create(directory.path())?;
    thread::sleep(Duration::from_secs(3)); // the server does not cache files that were written just now

    let limit = connection_limit(&webserver)?;
    let sizes = FULL.within(limit.saturating_sub(8).min(usize::try_from(descriptors)?.saturating_sub(64)));
    if sizes.total() < FULL.total() {
        eprintln!(
            "NOT THE FULL CROWD: {} instead of {}. With {descriptors} descriptors per process, the server takes \
             {limit} connections. The full crowd needs a hard limit (`ulimit -Hn`) of about 20,000.",
            sizes.total(),
            FULL.total()
        );
    }
    let figures = measure(&webserver, directory.path(), sizes, Duration::from_secs(options.seconds))?;
    Ok(if report::print(&figures) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(webserver: &Path, root: &Path, sizes: Sizes, duration: Duration) -> Result<Figures, BoxError> {
    let (one_slot, _) = start_server(webserver, root, 1)?;
    let one_slot = settled_memory(&one_slot)?;
    let (server, port) = start_server(webserver, root, MAX_CONNECTIONS)?;
    // Both servers have the same threads and have served one connection for as long.
    let slot = (settled_memory(&server)? - one_slot) / connection_limit(webserver)? as f64;
    let (alone, error_alone) = client::run(port, duration / 4);
    let mut before = settled_memory(&server)?;

    let started = Instant::now();
    let mut crowd = Crowd::start(port, sizes)?;
    let mut connections = Vec::new();
    for kind in Kind::ALL {
        crowd.expect_line(kind.name())?;
        let now = settled_memory(&server)?;
        connections.push((kind, (now - before) / sizes.of(kind).max(1) as f64));
        before = now;
        crowd.send_line()?;
    }
    let cpu = server.cpu()?;
    let (beside, error) = client::run(port, duration);
    let cpus = (server.cpu()? - cpu) / duration.as_secs_f64();
    let descriptors = fs::read_dir(format!("/proc/{}/fd", server.id()))?.count();
    let lost = crowd.end()?;
    let connections = connections.try_into().map_err(|_| "a kind was not measured")?;
    drop(server);
    let elapsed = started.elapsed();
    let (_server, port) = start_server(webserver, root, MAX_CONNECTIONS)?;
    let (beside_listings, error_listings) = listings::run(port, duration / 2)?;
    let error = error_alone.or(error).or(error_listings);
    Ok(Figures { sizes, alone, beside, beside_listings, error, lost, descriptors, slot, connections, cpus, elapsed })
}

/// The number of connections that the server takes with these options, from its `--print-limits`.
fn connection_limit(webserver: &Path) -> Result<usize, BoxError> {
    let output = Command::new(webserver).args(arguments(MAX_CONNECTIONS)).arg("--print-limits").output()?;
    let limits = String::from_utf8(output.stdout)?;
    let number =
        limits.lines().find_map(|line| line.strip_prefix("connections ")?.split_whitespace().next()?.parse().ok());
    Ok(number.ok_or("--print-limits has no line for connections")?)
}

fn arguments(max_connections: u32) -> Vec<String> {
    let timeout = TIMEOUT.as_secs();
    let arguments = format!(
        "--threads 4 --max-connections {max_connections} --header-timeout {timeout} --idle-timeout {timeout} \
         --log-format off --bind 127.0.0.1"
    );
    arguments.split(' ').map(String::from).collect()
}

/// Starts a server of `root`, waits until it responds, and returns its port.
fn start_server(webserver: &Path, root: &Path, max_connections: u32) -> Result<(Process, u16), BoxError> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = Command::new(webserver);
    command.args(arguments(max_connections)).args(["--port", &port.to_string()]).arg(root).stdout(Stdio::null());
    let mut server = Process::start(command)?;
    let end = Instant::now() + Duration::from_secs(5);
    while let (_, Some(error)) = client::run(port, Duration::from_millis(500)) {
        if server.has_ended() || Instant::now() > end {
            return Err(format!("the server does not respond: {error}").into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok((server, port))
}

/// Anonymous memory of the server in bytes, once it no longer changes.
fn settled_memory(server: &Process) -> Result<f64, BoxError> {
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

/// The crowd's process. It prints a line after each step and waits for a line before the next.
struct Crowd {
    process: Child,
    stdout: BufReader<ChildStdout>,
}

impl Crowd {
    fn start(port: u16, sizes: Sizes) -> Result<Crowd, BoxError> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("--crowd")
            .args([usize::from(port), sizes.idle, sizes.dribbling, sizes.reading].map(|n| n.to_string()));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = BufReader::new(process.stdout.take().ok_or("the crowd has no standard output")?);
        Ok(Crowd { process, stdout })
    }

    fn read_line(&mut self) -> Result<String, BoxError> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim_end().into())
    }

    fn expect_line(&mut self, expected: &str) -> Result<(), BoxError> {
        let line = self.read_line()?;
        if line == expected { Ok(()) } else { Err(format!("the crowd printed {line:?}, not {expected:?}").into()) }
    }

    fn send_line(&mut self) -> Result<(), BoxError> {
        Ok(self.process.stdin.as_mut().ok_or("the crowd has no standard input")?.write_all(b"\n")?)
    }

    /// Ends the crowd and returns its lost peers.
    fn end(mut self) -> Result<Vec<String>, BoxError> {
        self.send_line()?;
        let mut lost = Vec::new();
        loop {
            match self.read_line()? {
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
