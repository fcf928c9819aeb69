//! Measures throughput over the number of cores: of a handler that computes, and of small files beside nginx.
//!
//!     cargo bench -p benches --bench scale
//!     cargo bench -p benches --bench scale -- --cores 2 --handlers 200 --pollers 2
#![allow(clippy::print_stdout)] // the report

#[path = "../peers/client.rs"]
#[allow(dead_code)] // idle connections
mod client;
#[path = "../peers/figures.rs"]
#[allow(dead_code)] // times
mod figures;
mod load;
#[path = "../peers/process.rs"]
#[allow(dead_code)] // memory
mod process;
#[path = "../peers/servers.rs"]
mod servers;
#[path = "../peers/setup.rs"]
mod setup;
mod work;

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::figures::{median, number, sorted};
use crate::load::Figures;
use crate::process::Process;
use crate::servers::{Kind, Server, Tuning};
use crate::setup::CargoTarget;

type BoxError = Box<dyn Error + Send + Sync>;

/// Measures throughput over the number of cores, beside one thread and beside nginx
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Options {
    /// Numbers of cores for the server [default: 1, 2, 4 and so on, and all]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    cores: Vec<usize>,

    /// Numbers of connections
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "8,32,63")]
    connections: Vec<usize>,

    /// Durations of the handlers that compute
    #[arg(long, value_name = "MICROSECONDS", value_delimiter = ',', default_value = "20,200")]
    handlers: Vec<u64>,

    /// How many workers of ours wait for events at once [default: the server's]
    #[arg(long, value_name = "N")]
    pollers: Option<usize>,

    /// Measurements of each row; the table shows medians
    #[arg(long, default_value = "1")]
    rounds: usize,

    /// Duration of a measurement
    #[arg(long, default_value = "2")]
    seconds: u64,

    /// Measure this build of webserver instead of this tree's
    #[arg(long, value_name = "PROGRAM")]
    webserver: Option<PathBuf>,

    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured.
enum Subject {
    /// A server that computes this many steps for each request.
    Handler { program: PathBuf, micros: u64, steps: u64 },
    /// A server of a small file.
    Files(Server),
}

const FILE: &str = "1k.txt";

fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    let available = available_cores()?;
    let mut counts = options.cores.clone();
    if counts.is_empty() {
        counts = (0..).map(|power| 1 << power).take_while(|&count| count < available.len()).collect();
        counts.push(available.len());
    }
    if counts.iter().any(|&count| count == 0 || count > available.len()) {
        return Err(format!("expected 1 to {} cores", available.len()).into());
    }
    let program =
        CargoTarget::new()?.build("peer-scale", &["-p", "benches", "--features", "scale", "--bin", "peer-scale"])?;
    let mut files = servers::prepare(&[Kind::Nginx], options.webserver.as_deref())?;
    files.retain(|server| server.kind != Kind::Logging);
    let scratch = tempfile::tempdir()?;
    fs::create_dir(scratch.path().join("www"))?;
    fs::write(scratch.path().join("www").join(FILE), [b'a'; 1 << 10])?;
    thread::sleep(Duration::from_secs(3)); // ours does not cache files that were written just now

    let (rounds, seconds, batch) = (options.rounds, options.seconds, load::BATCH);
    figures::machine(&files, &format!("{batch} requests per write; medians of {rounds} rounds of {seconds} s"));
    let steps = steps_per_microsecond();
    println!("- available cores: {available:?}; a handler computes {steps:.0} steps per µs");
    for &count in &counts {
        let load = if count == available.len() { "on **the same ones: no other is left**" } else { "on the others" };
        println!("- server on the first {count} of these cores, load generator {load}");
    }
    let handler =
        |&micros| Subject::Handler { program: program.clone(), micros, steps: (micros as f64 * steps) as u64 };
    let subjects: Vec<_> = options.handlers.iter().map(handler).chain(files.into_iter().map(Subject::Files)).collect();
    println!("\n| server | cores | connections | requests/s | one thread | ratio | CPU µs/request |");
    println!("|---|---|---|---|---|---|---|");
    for subject in &subjects {
        for &count in &counts {
            for &connections in &options.connections {
                let row = (count, connections);
                println!("{}", measure(subject, &available, row, &options, scratch.path())?);
            }
        }
    }
    Ok(())
}

/// Measures a row of the table, with the threads that are usual and with one.
fn measure(
    subject: &Subject,
    available: &[usize],
    (count, connections): (usize, usize),
    options: &Options,
    scratch: &Path,
) -> Result<String, BoxError> {
    let (server_cores, others) = available.split_at(count);
    let load_cores = if others.is_empty() { available } else { others };
    // A thread of the load costs less than the server's work on a core, so it needs no more than the server.
    let load_threads = others.len().clamp(1, count).min(connections);
    let duration = Duration::from_secs(options.seconds);
    let run = |workers| -> Result<Figures, BoxError> {
        let port = client::free_port()?;
        pin(server_cores)?; // the server inherits it, and nginx has a process for each of these
        let mut process = Process::start(subject.command(port, workers, options.pollers, scratch)?)?;
        pin(load_cores)?;
        client::wait_until_ready(port, &mut process)?;
        load::run(&process, port, FILE, connections, load_threads, duration)
    };
    let (mut usual, mut single) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        usual.push(run(None)?);
        single.push(run(Some(1))?);
    }
    let of = |rounds: &[Figures], what: fn(&Figures) -> f64| median(&sorted(rounds.iter().map(what)));
    let [usual_rate, single_rate] = [&usual, &single].map(|rounds| of(rounds, |figures| figures.rate));
    // The two were measured close together.
    let ratio = median(&sorted(usual.iter().zip(&single).map(|(usual, single)| usual.rate / single.rate)));
    Ok(format!(
        "| {} | {count} | {connections} | {} | {} | {} | {} |",
        subject.name(),
        number(usual_rate, 0),
        number(single_rate, 0),
        number(ratio, 2),
        number(of(&usual, |figures| figures.cpu), 1)
    ))
}

impl Subject {
    fn name(&self) -> String {
        match self {
            Self::Handler { micros, .. } => format!("handler of {micros} µs"),
            Self::Files(server) => server.name().into(),
        }
    }

    /// The command that starts it, with this number of threads or processes if one is given.
    fn command(
        &self,
        port: u16,
        workers: Option<usize>,
        pollers: Option<usize>,
        scratch: &Path,
    ) -> io::Result<Command> {
        let (mut command, is_ours) = match self {
            Self::Handler { program, steps, .. } => {
                let mut command = Command::new(program);
                command.args(["--port", &port.to_string(), "--steps", &steps.to_string()]).stdin(Stdio::null());
                if let Some(threads) = workers {
                    command.args(["--threads", &threads.to_string()]);
                }
                (command, true)
            }
            Self::Files(server) => {
                let tuning = Tuning { workers, ..Tuning::default() };
                (server.command(&scratch.join("www"), scratch, port, tuning)?, server.kind != Kind::Nginx)
            }
        };
        if let Some(pollers) = pollers.filter(|_| is_ours) {
            command.args(["--pollers", &pollers.to_string()]);
        }
        Ok(command)
    }
}

/// The cores that this process may use.
fn available_cores() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect())
}

/// Restricts this thread, and what it starts from now on, to these cores, like `taskset`.
fn pin(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// The fastest of several runs: other work on the machine only makes a run slower.
fn steps_per_microsecond() -> f64 {
    const STEPS: u64 = 1_000_000;
    let run = || {
        let started = Instant::now();
        work::work(STEPS);
        started.elapsed().as_secs_f64() * 1e6
    };
    STEPS as f64 / (0..20).map(|_| run()).fold(f64::INFINITY, f64::min)
}
