//! Measures how requests for files on a slow disk overlap: one system call at a time takes longer, by `strace`.
//!
//!     cargo bench -p benches --bench cold
//!     cargo bench -p benches --bench cold -- --only open --threads 16
#![allow(clippy::print_stdout, clippy::print_stderr)] // the report, and the progress

#[path = "../peers/client.rs"]
#[allow(dead_code)] // idle connections
mod client;
#[path = "../peers/figures.rs"]
mod figures;
mod load;
#[path = "../peers/process.rs"]
#[allow(dead_code)] // memory
mod process;
mod report;
#[path = "../peers/servers.rs"]
mod servers;
#[path = "../peers/setup.rs"]
mod setup;
mod slow;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Parser;

use crate::servers::{Kind, Server};
use crate::slow::{CALLS, Call, SlowServer};

type BoxError = Box<dyn Error + Send + Sync>;

/// Measures how requests for files on a slow disk overlap, beside nginx
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Options {
    /// Threads of ours, and processes of nginx
    #[arg(long, default_value = "8")]
    threads: usize,

    /// Delay of each call in µs
    #[arg(long, value_name = "MICROSECONDS", default_value = "5000")]
    delay: u64,

    /// Numbers of connections that request cold files
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,4,8,16,64")]
    connections: Vec<usize>,

    /// Measurements of each row; the tables show medians
    #[arg(long, default_value = "1")]
    rounds: usize,

    /// Duration of a measurement
    #[arg(long, default_value = "2")]
    seconds: u64,

    /// Delay only these calls
    #[arg(long, value_name = "CALL", value_delimiter = ',', value_parser = CALLS.map(|call| call.name))]
    only: Vec<String>,

    /// Measure this build of our server instead of this tree's
    #[arg(long, value_name = "PROGRAM")]
    webserver: Option<PathBuf>,

    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// One measurement of one server.
struct Sample {
    /// Responses per second for cold files.
    rate: f64,
    /// Percentiles 50 and 99 in µs: of cold requests, or of hot ones if there is a hot connection.
    latencies: [f64; 2],
    /// Delayed calls per request.
    calls: f64,
}

/// The samples of one server: for each number of connections, and for the hot connection, one per round.
#[derive(Default)]
struct Samples {
    cold: Vec<Vec<Sample>>,
    hot: Vec<Sample>,
}

const SMALL: usize = 1 << 10;
const LARGE: usize = 100 << 10;
const SMALL_FILES: usize = 2_000;
const LARGE_FILES: usize = 200;

/// The hot file is a small one beside the cold ones.
const HOT: &str = "hot.txt";

/// Connections for cold files beside the hot one.
const BESIDE_HOT: usize = 64;

/// Cached files beside a hot connection: enough for the hot one, and too few for the cold ones.
const CACHED: usize = 64;

const WARM_UP: Duration = Duration::from_millis(500);

fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    let strace = slow::find_strace()?;
    let mut servers = servers::prepare(&[Kind::Nginx], options.webserver.as_deref())?;
    servers.retain(|server| server.kind != Kind::Logging);
    let scratch = tempfile::tempdir()?;
    write_files(&scratch.path().join("www"))?;
    thread::sleep(Duration::from_secs(3)); // ours does not cache files that were written just now

    let (rounds, seconds) = (options.rounds, options.seconds);
    figures::machine(&servers, &format!("a thread per connection; medians of {rounds} rounds of {seconds} s"));
    println!("- {strace}; {} threads or processes, each call delayed by {} µs", options.threads, options.delay);
    let selected = |call: &&Call| options.only.is_empty() || options.only.iter().any(|name| name == call.name);
    let mut hot = Vec::new();
    for call in CALLS.iter().filter(selected) {
        let mut samples = Vec::new();
        for server in &servers {
            samples.push(call.of(server.kind).map(|_| measure(server, call, &options, scratch.path())).transpose()?);
        }
        report::cold(call, &options, &samples);
        hot.push((call, samples));
    }
    report::hot(&hot);
    Ok(())
}

/// `small/0.txt` and so on, `large/0.txt` and so on, and the hot file. They stay in the page cache.
fn write_files(root: &Path) -> Result<(), BoxError> {
    for (directory, files, size) in [("small", SMALL_FILES, SMALL), ("large", LARGE_FILES, LARGE)] {
        fs::create_dir_all(root.join(directory))?;
        for i in 0..files {
            fs::write(root.join(format!("{directory}/{i}.txt")), vec![b'a'; size])?;
        }
    }
    Ok(fs::write(root.join(HOT), vec![b'a'; SMALL])?)
}

fn measure(server: &Server, call: &Call, options: &Options, scratch: &Path) -> Result<Samples, BoxError> {
    let duration = Duration::from_secs(options.seconds);
    let mut samples = Samples::default();
    samples.cold.resize_with(options.connections.len(), Vec::new);
    for round in 1..=options.rounds {
        let cold = SlowServer::start(server, call, options, 0, scratch)?;
        load::run(cold.port, call, options.threads, WARM_UP, false)?; // workers of nginx may still be starting
        for (samples, &connections) in samples.cold.iter_mut().zip(&options.connections) {
            let calls = cold.delayed_calls()?;
            let responses = load::run(cold.port, call, connections, duration, false)?.cold;
            let calls = cold.delayed_calls()? - calls;
            samples.push(Sample {
                rate: responses.len() as f64 / duration.as_secs_f64(),
                latencies: [50, 99].map(|percent| load::percentile(&responses, percent)),
                // The last response of each connection came too late to count.
                calls: calls as f64 / (responses.len() + connections) as f64,
            });
            eprintln!("round {round}, {}, {}, {connections}: {}", call.name, server.name(), responses.len());
        }
        drop(cold);
        let warm = SlowServer::start(server, call, options, CACHED, scratch)?;
        let load::Latencies { cold, hot } = load::run(warm.port, call, BESIDE_HOT, duration, true)?;
        samples.hot.push(Sample {
            rate: cold.len() as f64 / duration.as_secs_f64(),
            latencies: [50, 99].map(|percent| load::percentile(&hot, percent)),
            calls: 0.0,
        });
        eprintln!("round {round}, {}, {}, hot: {}", call.name, server.name(), hot.len());
    }
    Ok(samples)
}
