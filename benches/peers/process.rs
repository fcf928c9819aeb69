//! A running server with its children: their processor time, their memory, and their end, whatever else happens.

use std::fs;
use std::io;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Why;

pub(crate) struct Process {
    child: Child,
}

/// Of `/proc/PID/stat`.
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

    /// User and system time, in seconds, of all its threads and children, also of those that have ended.
    pub(crate) fn cpu(&self) -> Result<f64, Why> {
        let ticks: u64 = self.tree()?.iter().map(|stat| stat.ticks).sum();
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// A figure of `/proc/PID/status` in KiB: `VmRSS` for all that is resident, `RssAnon` for what is of no file. What
    /// processes have in common is counted for each.
    pub(crate) fn memory(&self, figure: &str) -> Result<u64, Why> {
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
            // It may have ended since.
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
        // The name before may have spaces and parentheses.
        let fields: Vec<_> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // utime, stime, cutime, cstime: numbers 14 to 17 in proc(5), where the state is the third.
        let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
        Some(Self { pid, parent: fields[1].parse().ok()?, ticks })
    }
}

impl Drop for Process {
    /// First asked, since a main process ends its workers then; what is left of them is killed.
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
