//! Measures our server beside others: processor time per request, requests per second and latency.
//!
//!     cargo bench -p benches --bench peers
//!     cargo bench -p benches --bench peers -- connections --peers nginx,h2o
#![allow(clippy::print_stdout, clippy::print_stderr)] // the report, and the progress

mod client;
mod figures;
mod process;
mod report;
mod servers;
mod setup;
mod workloads;
mod wrk;

use std::error::Error;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::process::Process;
use crate::servers::{Kind, Server, Tuning};
use crate::workloads::{SMALL, Set, Workload};
use crate::wrk::{Figures, Wrk};

type BoxError = Box<dyn Error>;

/// Measures our server and others with the same workloads, and prints tables
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Options {
    /// The set of workloads
    #[arg(value_enum, default_value = "usual")]
    set: Set,

    /// Measurements per server and workload; the tables show medians
    #[arg(long, default_value = "3")]
    rounds: NonZeroU32,

    /// Duration of a measurement
    #[arg(long, default_value = "3")]
    seconds: NonZeroU32,

    /// Only these workloads of the set
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,

    /// Only these peers; our server is always measured [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Kind>,

    /// Measure this build of our server instead of this tree's
    #[arg(long, value_name = "PROGRAM")]
    webserver: Option<PathBuf>,

    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// One measurement.
struct Sample {
    figures: Figures,
    /// Processor time in seconds.
    cpu: f64,
    /// Resident memory in KiB.
    memory: u64,
    /// Idle connections that the server closed.
    closed: usize,
}

fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    // Our server reserves two descriptors per connection.
    let max_connections = setup::raise_descriptor_limit().saturating_sub(64) / 2;
    let mut workloads = options.set.workloads(usize::try_from(max_connections)?);
    let names: Vec<_> = workloads.iter().map(|workload| workload.name.clone()).collect();
    if let Some(unknown) = options.only.iter().find(|name| !names.contains(name)) {
        return Err(format!("unknown workload {unknown:?}: expected one of {}", names.join(", ")).into());
    }
    workloads.retain(|workload| options.only.is_empty() || options.only.contains(&workload.name));

    let wrk = Wrk::find()?;
    let servers = servers::prepare(&options.peers, options.webserver.as_deref())?;
    let scratch = tempfile::tempdir()?;
    let root = scratch.path().join("www");
    workloads::write_files(&root, &workloads)?;

    let mut samples: Vec<Vec<Vec<Result<Sample, String>>>> = Vec::new();
    samples.resize_with(workloads.len(), || servers.iter().map(|_| Vec::new()).collect());
    for round in 1..=options.rounds.get() as usize {
        for (w, workload) in workloads.iter().enumerate() {
            for turn in 0..servers.len() {
                // The order rotates, so that no server is always first or always after the same one.
                let s = (turn + round + w) % servers.len();
                let sample = measure(&servers[s], workload, &root, scratch.path(), &wrk, options.seconds.get());
                let sample = sample.map_err(|error| error.to_string());
                let outcome = match &sample {
                    Ok(Sample { figures, .. }) => format!("{} requests", figures.requests),
                    Err(error) => error.clone(),
                };
                eprintln!("round {round}, {}, {}: {outcome}", workload.name, servers[s].name());
                samples[w][s].push(sample);
            }
        }
    }
    let (rounds, seconds) = (options.rounds, options.seconds);
    let generator = format!("{} with one thread; medians of {rounds} rounds of {seconds} s", wrk.version);
    figures::machine(&servers, &generator);
    report::tables(&workloads, &servers, &samples);
    Ok(())
}

/// Starts a new server for each measurement, so that none inherits memory or a cache, or runs beside another.
fn measure(
    server: &Server,
    workload: &Workload,
    root: &Path,
    scratch: &Path,
    wrk: &Wrk,
    seconds: u32,
) -> Result<Sample, BoxError> {
    let port = client::free_port()?;
    let mut process = Process::start(server.command(root, scratch, port, Tuning::default())?)?;
    client::wait_until_ready(port, &mut process)?;
    if client::get(&mut client::connect(port)?, SMALL)? != std::fs::read(root.join(SMALL))? {
        return Err("the response differs from the file".into());
    }
    let idle = client::open_idle(port, SMALL, workload.idle)?;

    let script = scratch.join("wrk.lua");
    std::fs::write(&script, wrk::script(workload))?;
    wrk.warm_up(&script, port, workload)?;
    let before = process.cpu()?;
    let figures = wrk.run(&script, port, workload, seconds)?;
    let cpu = process.cpu()? - before;
    let memory = process.memory("VmRSS")?;
    if figures.requests == 0 && workload.size < 1 << 30 {
        return Err("no response was complete".into());
    }
    if figures.bytes < (figures.requests - figures.error_statuses()) * workload.size {
        return Err("responses were shorter than the file".into());
    }
    Ok(Sample { figures, cpu, memory, closed: client::count_closed(&idle) })
}
