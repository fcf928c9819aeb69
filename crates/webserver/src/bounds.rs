//! Every bound of a server, and the memory that they add up to.

use std::fmt;
use std::time::Duration;

use http_core::Limits;

use crate::connection::Connection;
use crate::deadlines::{self, Deadlines};
use crate::desk::{DRAFT, Desk};
use crate::lobby::{Guest, RESERVED};
use crate::seat::Seat;
use crate::site::{INCOMING, OUTGOING};
use crate::{access_log, files};

/// What a server may use at most, however many and however slow its peers are.
///
/// ```
/// let bounds = webserver::Bounds { connections: 500, ..webserver::Bounds::default() };
/// assert!(bounds.memory() < 400 << 20);
/// println!("{bounds}");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Workers: 4 a core, and at least 4.
    pub threads: usize,
    /// Connections: 10,000.
    pub connections: u32,
    /// How long peers may take.
    pub deadlines: Deadlines,
    /// How long replies may go on after a stop: 5 s.
    pub grace: Duration,
    /// Files that [`Files`](crate::Files) keeps, of 16 KiB or less: 4096. A larger one counts as 16 of them, and costs a
    /// descriptor.
    pub cached: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            threads: crate::default_threads(),
            connections: 10_000,
            deadlines: Deadlines::default(),
            grace: Duration::from_secs(5),
            cached: files::CACHED,
        }
    }
}

/// A connection that waits, its seat, and what the allocator adds.
// What 10,000 idle ones cost is their number times this; nothing else of theirs is on the heap.
const CONNECTION: usize = size_of::<Guest<Connection>>() + size_of::<Seat<Box<Guest<Connection>>>>() + 16;
const _: () = assert!(CONNECTION <= 512, "a connection that waits is small");
/// A thread's stack, as the standard library has it if nothing else is said.
const STACK: usize = 2 << 20;
/// The program itself, its libraries and the allocator's own.
const PROGRAM: usize = 16 << 20;

impl Bounds {
    /// Bytes of memory in all, without what the kernel holds for sockets and threads.
    pub fn memory(&self) -> u64 {
        self.parts().iter().map(|(_, bytes)| *bytes as u64).sum()
    }

    fn parts(&self) -> [(&'static str, usize); 7] {
        [
            (
                "connections that wait",
                (self.connections as usize + RESERVED as usize).saturating_mul(CONNECTION + DRAFT),
            ),
            ("heads and bodies that they sent", INCOMING),
            ("replies that they have not read", OUTGOING),
            ("files that are kept", self.cached * files::ENTRY),
            (
                "threads, each with a listing",
                (self.threads + 3) * (STACK + Desk::MEMORY) + self.threads * files::LISTING,
            ),
            ("lines of the access log", access_log::MEMORY),
            ("the program", PROGRAM),
        ]
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { threads, connections, deadlines, grace, cached } = self;
        let Limits { start_line, field_line, head, fields, blank_lines, drain, .. } = Limits::default();
        let seconds = |time: Duration| format!("{} s", time.as_secs_f64());
        let lines = [
            ("threads", threads.to_string(), "none of which waits for a peer"),
            ("connections", connections.to_string(), "beyond: the longest idle one closes, or 503 with Retry-After"),
            ("  told 503 at once", RESERVED.to_string(), "beyond: a plain close"),
            ("request line", format!("{start_line} bytes"), "beyond: 400, 414 or 501"),
            ("field line", format!("{field_line} bytes"), "beyond: 431"),
            ("fields", fields.to_string(), "beyond: 431"),
            ("head", format!("{head} bytes"), "beyond: 431"),
            ("blank lines before it", blank_lines.to_string(), "beyond: 400"),
            ("body that is dropped", format!("{drain} bytes"), "beyond: the connection closes"),
            ("time for a head", seconds(deadlines.head), "then 408, or a close if no byte came"),
            ("time between requests", seconds(deadlines.idle), "then a close"),
            ("time for a body", format!("{} s", deadlines::BODY / 1000), "and what its bytes earn at the least rate"),
            ("  least rate", format!("{} bytes/s", deadlines.min_rate), "0: any"),
            ("  time without a byte", format!("{} s", deadlines.stall() / 1000), "then a close"),
            ("time to linger", format!("{} s", deadlines::LINGER / 1000), "or 2 MiB, or 2 s without a byte"),
            ("time after a stop", seconds(*grace), "then replies end short"),
            ("files in memory", cached.to_string(), "of 16 KiB; or a 16th as many descriptors of larger ones"),
        ];
        for (name, bound, meaning) in lines {
            writeln!(f, "{name:32} {bound:>14}   {meaning}")?;
        }
        writeln!(f, "\nmemory, at most")?;
        for (name, bytes) in self.parts() {
            writeln!(f, "{name:32} {:>10.1} MiB", bytes as f64 / f64::from(1 << 20))?;
        }
        write!(f, "{:32} {:>10.1} MiB", "in all", self.memory() as f64 / f64::from(1 << 20))
    }
}
