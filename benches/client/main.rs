//! Measures `webclient` beside curl against one server: a small file from start to finish, and a large file into a file.
//!
//!     cargo bench -p benches --bench client
#![allow(clippy::print_stdout)] // the report

#[path = "../peers/process.rs"]
#[allow(dead_code)]
mod process;
#[path = "../peers/setup.rs"]
#[allow(dead_code)]
mod setup;

use std::error::Error;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::process::Process;
use crate::setup::CargoTarget;

type BoxError = Box<dyn Error>;

const SMALL: (&str, u64) = ("1k.txt", 1 << 10);
const LARGE: (&str, u64) = ("1g.bin", 1 << 30);

/// Measures webclient beside curl
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Options {
    /// Rounds, in each of which both clients run
    #[arg(long, default_value = "9")]
    rounds: usize,

    /// How often the small file is fetched in a round
    #[arg(long, default_value = "300")]
    fetches: usize,

    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one client took: per fetch, in milliseconds, and its peak of resident memory in KiB.
#[derive(Clone, Copy)]
struct Figures {
    wall: f64,
    cpu: f64,
    memory: u64,
}

fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    let target = CargoTarget::new()?;
    let webserver = target.build("webserver", &["-p", "webserver"])?;
    let webclient = target.build("webclient", &["-p", "webclient"])?;
    let directory = tempfile::tempdir()?;
    for (name, length) in [SMALL, LARGE] {
        File::create(directory.path().join(name))?.set_len(length)?;
    }
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut server = Command::new(webserver);
    server.args(["--bind", "127.0.0.1", "--log-format", "off", "--port", &port.to_string()]).arg(directory.path());
    let _server = Process::start({
        server.stdout(Stdio::null()).stderr(Stdio::null());
        server
    })?;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        thread::sleep(Duration::from_millis(10));
    }

    let output = directory.path().join("output");
    let mut all = [const { Vec::new() }; 4];
    for _ in 0..options.rounds {
        let clients =
            [(PathBuf::from("curl"), &["--http1.0", "--silent", "--noproxy", "*"][..]), (webclient.clone(), &[])];
        for (n, (program, arguments)) in clients.iter().enumerate() {
            let fetch = |(name, length), output: &Path| {
                let mut command = Command::new(program);
                command.args(*arguments).arg("-o").arg(output).arg(format!("http://127.0.0.1:{port}/{name}"));
                run(command, output, length)
            };
            let mut small = Vec::new();
            let cpu = children_cpu()?;
            for _ in 0..options.fetches {
                small.push(fetch(SMALL, &output)?);
            }
            let cpu = (children_cpu()? - cpu) / options.fetches as f64;
            let wall = median(small.iter().map(|figures| figures.0));
            all[n].push(Figures { wall, cpu, memory: small.iter().map(|figures| figures.1).max().unwrap_or(0) });

            let cpu = children_cpu()?;
            let (wall, memory) = fetch(LARGE, &output)?;
            all[2 + n].push(Figures { wall, cpu: children_cpu()? - cpu, memory });
        }
    }
    println!("| medians of {} rounds | wall | CPU | peak memory |\n|---|---|---|---|", options.rounds);
    for (file, of) in [("1 KiB", &all[..2]), ("1 GiB", &all[2..])] {
        let figures = of.iter().map(|of| Figures {
            wall: median(of.iter().map(|figures| figures.wall)),
            cpu: median(of.iter().map(|figures| figures.cpu)),
            memory: of.iter().map(|figures| figures.memory).max().unwrap_or(0),
        });
        let figures: Vec<_> = figures.collect();
        for (name, Figures { wall, cpu, memory }) in ["curl", "webclient"].iter().zip(&figures) {
            let memory = if *memory > 0 { format!("{:.1} MiB", *memory as f64 / 1024.0) } else { String::new() };
            println!("| {file}, {name} | {wall:.2} ms | {cpu:.2} ms | {memory} |");
        }
        let (wall, cpu) = (figures[1].wall / figures[0].wall, figures[1].cpu / figures[0].cpu);
        println!("| {file}, webclient to curl | {wall:.2} | {cpu:.2} | |");
    }
    Ok(())
}

/// Runs a client until it ends. Returns the milliseconds that it took, and its peak memory in KiB: at its last sample, for
/// which a short run has no time.
fn run(mut command: Command, output: &Path, length: u64) -> Result<(f64, u64), BoxError> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut memory = 0;
    let status = if length > 1 << 20 {
        loop {
            memory = peak_memory(&child).unwrap_or(memory);
            if let Some(status) = child.try_wait()? {
                break status;
            }
            thread::sleep(Duration::from_millis(2));
        }
    } else {
        child.wait()?
    };
    let wall = start.elapsed().as_secs_f64() * 1e3;
    if !status.success() || fs::metadata(output)?.len() != length {
        return Err(format!("{command:?} failed: {status}").into());
    }
    fs::remove_file(output)?;
    Ok((wall, memory))
}

fn peak_memory(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix(" kB")?.trim().parse().ok())
}

/// Milliseconds of processor time that all ended children of this process took.
fn children_cpu() -> Result<f64, BoxError> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').ok_or("not a stat")?.1.split_ascii_whitespace();
    // cutime and cstime: fields 16 and 17 in proc(5). The first here is field 3.
    let ticks: u64 = fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 * 1e3 / rustix::param::clock_ticks_per_second() as f64)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
