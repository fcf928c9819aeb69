//! A running server with its child processes: their processor time and memory. Dropping the value ends them.

use std::fs;
use std::io;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::BoxError;

pub(crate) struct Process {
    child: Child,
}

/// A part of `/proc/PID/stat`.
struct Stat {
    pid: u32,
    parent: u32,
    ticks: u64,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        Ok(Self { child: command.spawn()? })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// User and system time in seconds, of all threads and children, including those that have ended.
    pub(crate) fn cpu(&self) -> Result<f64, BoxError> {
        let ticks: u64 = self.tree()?.iter().map(|stat| stat.ticks).sum();
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// A figure of `/proc/PID/status` in KiB: `VmRSS` for resident memory, `RssAnon` for its anonymous part. Shared
    /// memory counts for each process.
    pub(crate) fn memory(&self, figure: &str) -> Result<u64, BoxError> {
        let of = |stat: &Stat| {
            let status = fs::read_to_string(format!("/proc/{}/status", stat.pid)).unwrap_or_default();
            let lines = status.lines();
            let mut values = lines.filter_map(|line| line.strip_prefix(figure)?.strip_prefix(':')?.strip_suffix(" kB"));
            values.next().and_then(|kb| kb.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        Ok(self.tree()?.iter().map(of).sum())
    }

    /// The process and its descendants.
    fn tree(&self) -> io::Result<Vec<Stat>> {
        let mut others = Vec::new();
        for entry in fs::read_dir("/proc")? {
            // A process may have ended in the meantime.
            let stat = fs::read_to_string(entry?.path().join("stat"));
            others.extend(stat.ok().and_then(|text| Stat::parse(&text)));
        }
        let mut tree: Vec<Stat> = others.extract_if(.., |stat| stat.pid == self.id()).collect();
        let mut next = 0;
        while next < tree.len() {
            let parent = tree[next].pid;
            tree.extend(others.extract_if(.., |stat| stat.parent == parent));
            next += 1;
        }
        Ok(tree)
    }

    fn ends_within(&mut self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while !self.has_ended() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        self.has_ended()
    }
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        let pid = text.split(' ').next()?.parse().ok()?;
        // The name before it may contain spaces and parentheses.
        let fields: Vec<_> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // utime, stime, cutime, cstime: fields 14 to 17 in proc(5). The state, here the first, is field 3.
        let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
        Some(Self { pid, parent: fields[1].parse().ok()?, ticks })
    }
}

impl Drop for Process {
    /// Sends SIGTERM to the main process, so that it ends its workers. Kills the rest after 1 s.
    fn drop(&mut self) {
        let tree = self.tree().unwrap_or_default();
        let kill = |id: u32, signal| {
            let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
            pid.map(|pid| kill_process(pid, signal))
        };
        kill(self.id(), Signal::TERM);
        if !self.ends_within(Duration::from_secs(1)) {
            for stat in &tree {
                kill(stat.pid, Signal::KILL);
            }
        }
        let _ = self.child.wait();
    }
}
