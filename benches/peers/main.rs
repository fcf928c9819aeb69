//! Our server beside others in one run: what a request costs each in processor time, how many it answers and how late.
//!
//!     cargo bench -p benches --bench peers
//!     cargo bench -p benches --bench peers -- connections --peers nginx,h2o
#![allow(clippy::print_stdout, clippy::print_stderr)] // a report, and how far it has come

mod built;
mod client;
mod load;
mod process;
mod report;
mod servers;
mod works;

use std::error::Error;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::load::{Figures, Wrk};
use crate::process::Process;
use crate::servers::{Kind, Server};
use crate::works::{Set, Work};

/// Why something was not measured, as a line for people.
type Why = Box<dyn Error>;

/// Measures our server and others, each with the same works, and prints tables
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Options {
    /// What to measure
    #[arg(value_enum, default_value = "usual")]
    set: Set,

    /// How often each is measured; the tables have the medians
    #[arg(long, default_value = "3")]
    rounds: NonZeroU32,

    /// How long a measurement takes
    #[arg(long, default_value = "3")]
    seconds: NonZeroU32,

    /// Some works of the set, by name
    #[arg(long, value_name = "WORK", value_delimiter = ',')]
    only: Vec<String>,

    /// Some peers; our server is always measured [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Kind>,

    /// Another build of our server, in the place of this tree's
    #[arg(long, value_name = "PROGRAM")]
    webserver: Option<PathBuf>,

    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// One measurement.
struct Sample {
    figures: Figures,
    cpu: f64,
    memory: u64,
    /// Idle connections that the server ended.
    lost: usize,
}

fn main() -> Result<(), Why> {
    let options = Options::parse();
    // Ours counts two descriptors for each connection.
    let room = built::descriptors().saturating_sub(64) / 2;
    let mut works = options.set.works(usize::try_from(room)?);
    if let Some(unknown) = options.only.iter().find(|name| works.iter().all(|work| work.name != **name)) {
        let names: Vec<_> = works.iter().map(|work| work.name.as_str()).collect();
        return Err(format!("no work is named {unknown:?}; there are {}", names.join(", ")).into());
    }
    works.retain(|work| options.only.is_empty() || options.only.contains(&work.name));

    let wrk = Wrk::find()?;
    let servers = servers::ready(&options.peers, options.webserver.as_deref())?;
    let scratch = tempfile::tempdir()?;
    let root = scratch.path().join("www");
    works::write_files(&root, &works)?;

    let mut samples: Vec<Vec<Vec<Result<Sample, String>>>> = Vec::new();
    samples.resize_with(works.len(), || servers.iter().map(|_| Vec::new()).collect());
    for round in 1..=options.rounds.get() as usize {
        for (w, work) in works.iter().enumerate() {
            for turn in 0..servers.len() {
                // Nobody is always the first, or always behind the same one.
                let s = (turn + round + w) % servers.len();
                let sample = measure(&servers[s], work, &root, scratch.path(), &wrk, options.seconds.get());
                let sample = sample.map_err(|why| why.to_string());
                match &sample {
                    Ok(Sample { figures, .. }) => {
                        eprintln!("round {round}, {}, {}: {} requests", work.name, servers[s].name(), figures.requests);
                    }
                    Err(why) => eprintln!("round {round}, {}, {}: {why}", work.name, servers[s].name()),
                }
                samples[w][s].push(sample);
            }
        }
    }
    report::machine(&servers, &wrk, options.rounds.get(), options.seconds.get());
    report::tables(&works, &servers, &samples);
    Ok(())
}

/// A server that has just been started each time: none inherits memory or a cache, and none works beside another.
fn measure(server: &Server, work: &Work, root: &Path, scratch: &Path, wrk: &Wrk, seconds: u32) -> Result<Sample, Why> {
    let port = client::free_port()?;
    let mut process = Process::start(server.command(root, scratch, port)?)?;
    client::wait_until_ready(port, &mut process)?;
    if client::get(&mut client::connect(port)?, works::SMALL)? != std::fs::read(root.join(works::SMALL))? {
        return Err("the file came changed".into());
    }
    let idle = client::idle(port, work.idle)?;

    let script = scratch.join("work.lua");
    std::fs::write(&script, load::script(work))?;
    wrk.warm_up(&script, port, work)?;
    let before = process.cpu()?;
    let figures = wrk.run(&script, port, work, seconds)?;
    let cpu = process.cpu()? - before;
    let memory = process.memory("VmRSS")?;
    if figures.requests == 0 && work.size < 1 << 30 {
        return Err("no answer came to its end".into());
    }
    if figures.bytes < (figures.requests - figures.with_error_status()) * work.size {
        return Err("answers were shorter than the file".into());
    }
    Ok(Sample { figures, cpu, memory, lost: client::ended(&idle) })
}
