//! The works: which files are asked for, over how many connections; and writing these files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;

use crate::Why;

/// Asked for also before each measurement, to see that the server is ready and right.
pub(crate) const SMALL: &str = "1k.txt";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Set {
    /// Small and larger files, 1 to 1000 connections
    Usual,
    /// One file of 1 GiB
    #[value(name = "1gb")]
    Gigabyte,
    /// 64 busy connections beside more and more idle ones
    Connections,
    /// One file or many, at random
    Files,
}

pub(crate) struct Work {
    pub(crate) name: String,
    pub(crate) title: String,
    /// The file, unless there are `files`.
    pub(crate) file: &'static str,
    /// How many files to draw from, 0 for the one above.
    pub(crate) files: usize,
    /// Of one file.
    pub(crate) size: u64,
    pub(crate) connections: u32,
    pub(crate) kept: bool,
    pub(crate) idle: usize,
}

const KB: u64 = 1024;
const GB: u64 = 1 << 30;

impl Set {
    /// `room` is for how many connections there are descriptors.
    pub(crate) fn works(self, room: usize) -> Vec<Work> {
        match self {
            Self::Usual => {
                let mut works: Vec<_> = [1, 8, 64, 1000].map(|n| Work::new(&format!("kept-{n}"), SMALL, KB, n)).into();
                works.push(Work { kept: false, ..Work::new("close", SMALL, KB, 64) });
                works.push(Work::new("16k", "16k.txt", 16 * KB, 8));
                works.push(Work::new("100k", "100k.txt", 100 * KB, 8));
                works.push(Work::new("1m", "1m.txt", KB * KB, 8));
                works
            }
            Self::Gigabyte => vec![Work::new("1gb", "1g.txt", GB, 4)],
            Self::Connections => [1, 100, 1000, 10_000]
                .map(|idle: usize| idle.min(room.saturating_sub(100)))
                .map(|idle| Work { idle, ..Work::new(&format!("idle-{idle}"), SMALL, KB, 64) })
                .into(),
            Self::Files => [1, 100, 10_000, 100_000]
                .map(|files| Work { files, ..Work::new(&format!("files-{files}"), SMALL, KB, 64) })
                .into(),
        }
        .into_iter()
        .map(Work::titled)
        .collect()
    }
}

impl Work {
    fn new(name: &str, file: &'static str, size: u64, connections: u32) -> Self {
        let (name, title) = (name.into(), String::new());
        Self { name, title, file, files: 0, size, connections, kept: true, idle: 0 }
    }

    fn titled(mut self) -> Self {
        let what = match (self.files, self.size) {
            (0, size) if size < KB * KB => format!("{} KiB", size / KB),
            (0, size) if size < GB => format!("{} MiB", size / KB / KB),
            (0, _) => "1 GiB".into(),
            (1, size) => format!("1 file of {} KiB", size / KB),
            (files, size) => format!("{files} files of {} KiB, at random", size / KB),
        };
        let connections = match (self.connections, self.kept) {
            (1, true) => "1 kept connection".into(),
            (n, true) => format!("{n} kept connections"),
            (n, false) => format!("a connection for each request, {n} at a time"),
        };
        let idle = if self.idle > 0 { format!(", {} idle beside them", self.idle) } else { String::new() };
        self.title = format!("{what}, {connections}{idle}");
        self
    }
}

/// What the works ask for, below the root: noise, so that nothing is gained by leaving holes.
pub(crate) fn write_files(root: &Path, works: &[Work]) -> Result<(), Why> {
    fs::create_dir(root)?;
    write_file(root, SMALL, KB)?;
    for work in works.iter().filter(|work| work.files == 0 && !root.join(work.file).exists()) {
        if work.size >= GB {
            there_is_room(root, work.size)?;
        }
        write_file(root, work.file, work.size)?;
    }
    for i in 0..works.iter().map(|work| work.files).max().unwrap_or(0) {
        // As `load::script` asks for them.
        if i % 1000 == 0 {
            fs::create_dir_all(root.join(format!("files/{}", i / 1000)))?;
        }
        write_file(root, &format!("files/{}/{i}.txt", i / 1000), KB)?;
    }
    // The disk is not to be busy with them later; that they stay in memory is what the measurements are about.
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

/// On the disk and in memory, with some to spare.
fn there_is_room(root: &Path, size: u64) -> Result<(), Why> {
    let wanted = size + size / 2;
    let disk = rustix::fs::statvfs(root)?;
    if disk.f_bavail * disk.f_frsize < wanted {
        return Err(
            format!("there is no room for a file of 1 GiB in {root:?}; name another directory by TMPDIR").into()
        );
    }
    let memory = fs::read_to_string("/proc/meminfo")?;
    let available = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB"));
    if available.and_then(|kb| kb.parse::<u64>().ok()).is_some_and(|kb| kb * KB < wanted) {
        return Err("there is no memory left to hold a file of 1 GiB, and a disk is not what is measured".into());
    }
    Ok(())
}
