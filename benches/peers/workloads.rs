//! The workloads: which files are requested over how many connections. It also writes those files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;

use crate::BoxError;

/// Also requested before each measurement, to check that the server is ready and its response correct.
pub(crate) const SMALL: &str = "1k.txt";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Set {
    /// Small and larger files, 1 to 1000 connections
    Usual,
    /// One file of 1 GiB
    #[value(name = "1gb")]
    Gigabyte,
    /// 64 busy connections beside 1 to 10,000 idle ones
    Connections,
    /// 1 to 100,000 files, chosen at random
    Files,
}

pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) title: String,
    /// The file to request, unless there are `files`.
    pub(crate) file: &'static str,
    /// How many files to choose from at random; 0 for the single file above.
    pub(crate) files: usize,
    /// Bytes per file.
    pub(crate) size: u64,
    pub(crate) connections: u32,
    pub(crate) keep_alive: bool,
    pub(crate) idle: usize,
}

const KB: u64 = 1024;
const GB: u64 = 1 << 30;

impl Set {
    /// The workloads of the set. `max_connections` is what the limit of descriptors allows.
    pub(crate) fn workloads(self, max_connections: usize) -> Vec<Workload> {
        match self {
            Self::Usual => {
                let mut all: Vec<_> =
                    [1, 8, 64, 1000].map(|n| Workload::new(&format!("kept-{n}"), SMALL, KB, n)).into();
                all.push(Workload { keep_alive: false, ..Workload::new("close", SMALL, KB, 64) });
                all.push(Workload::new("16k", "16k.txt", 16 * KB, 8));
                all.push(Workload::new("100k", "100k.txt", 100 * KB, 8));
                all.push(Workload::new("1m", "1m.txt", KB * KB, 8));
                all
            }
            Self::Gigabyte => vec![Workload::new("1gb", "1g.txt", GB, 4)],
            Self::Connections => [1, 100, 1000, 10_000]
                .map(|idle: usize| idle.min(max_connections.saturating_sub(100)))
                .map(|idle| Workload { idle, ..Workload::new(&format!("idle-{idle}"), SMALL, KB, 64) })
                .into(),
            Self::Files => [1, 100, 10_000, 100_000]
                .map(|files| Workload { files, ..Workload::new(&format!("files-{files}"), SMALL, KB, 64) })
                .into(),
        }
        .into_iter()
        .map(Workload::with_title)
        .collect()
    }
}

impl Workload {
    fn new(name: &str, file: &'static str, size: u64, connections: u32) -> Self {
        let (name, title) = (name.into(), String::new());
        Self { name, title, file, files: 0, size, connections, keep_alive: true, idle: 0 }
    }

    fn with_title(mut self) -> Self {
        let files = match (self.files, self.size) {
            (0, size) if size < KB * KB => format!("{} KiB", size / KB),
            (0, size) if size < GB => format!("{} MiB", size / KB / KB),
            (0, _) => "1 GiB".into(),
            (1, size) => format!("1 file of {} KiB", size / KB),
            (files, size) => format!("{files} files of {} KiB, at random", size / KB),
        };
        let connections = match (self.connections, self.keep_alive) {
            (1, true) => "1 keep-alive connection".into(),
            (n, true) => format!("{n} keep-alive connections"),
            (n, false) => format!("one connection per request, {n} at a time"),
        };
        let idle = if self.idle > 0 { format!(", beside {} idle ones", self.idle) } else { String::new() };
        self.title = format!("{files}, {connections}{idle}");
        self
    }
}

/// Writes the files of the workloads below `root`, with random content so that they have no holes.
pub(crate) fn write_files(root: &Path, workloads: &[Workload]) -> Result<(), BoxError> {
    fs::create_dir(root)?;
    write_file(root, SMALL, KB)?;
    for workload in workloads.iter().filter(|workload| workload.files == 0 && !root.join(workload.file).exists()) {
        if workload.size >= GB {
            check_space(root, workload.size)?;
        }
        write_file(root, workload.file, workload.size)?;
    }
    for i in 0..workloads.iter().map(|workload| workload.files).max().unwrap_or(0) {
        // The paths are those of `wrk::script`.
        if i % 1000 == 0 {
            fs::create_dir_all(root.join(format!("files/{}", i / 1000)))?;
        }
        write_file(root, &format!("files/{}/{i}.txt", i / 1000), KB)?;
    }
    // The disk must not be busy during the measurements. The files stay in the page cache.
    rustix::fs::syncfs(File::open(root)?)?;
    Ok(())
}

fn write_file(root: &Path, name: &str, size: u64) -> io::Result<()> {
    let mut state = 0x9e37_79b9_u32;
    let noise: Vec<u8> = (0..size.min(KB * KB))
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            b'a' + (state % 26) as u8
        })
        .collect();
    let mut file = File::create(root.join(name))?;
    for _ in 0..size / noise.len() as u64 {
        file.write_all(&noise)?;
    }
    Ok(())
}

/// Checks that disk and memory have space for the file, and half of it to spare.
fn check_space(root: &Path, size: u64) -> Result<(), BoxError> {
    let needed = size + size / 2;
    let disk = rustix::fs::statvfs(root)?;
    if disk.f_bavail * disk.f_frsize < needed {
        return Err(format!("no space for a file of 1 GiB in {root:?} (set TMPDIR to another directory)").into());
    }
    let memory = fs::read_to_string("/proc/meminfo")?;
    let available = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB"));
    if available.and_then(|kb| kb.parse::<u64>().ok()).is_some_and(|kb| kb * KB < needed) {
        return Err("not enough memory to keep a file of 1 GiB in the page cache".into());
    }
    Ok(())
}
