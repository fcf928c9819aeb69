//! Every bound of a server, and the memory that they add up to.

use std::fmt;
use std::time::Duration;

use http_core::Limits;

use crate::access_log;
use crate::connection::Connection;
use crate::connection::context::{LOG_BUF_KEPT, WorkerContext};
use crate::connection::shared::{RECEIVE_BUDGET, SEND_BUDGET};
use crate::reactor::Slot;
use crate::reactor::{OVERLOAD_SLOTS, Registered};
use crate::timeouts::{self, Timeouts};

/// What a server may use at most, however many and however slow its peers are.
///
/// ```
/// let bounds = http_server::ServerConfig { connections: 500, ..http_server::ServerConfig::default() };
/// assert!(bounds.memory_bound() < 400 << 20);
/// println!("{bounds}");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ServerConfig {
    /// Workers: 4 a core, and at least 4.
    pub threads: usize,
    /// Connections: 10,000.
    pub connections: u32,
    /// How long peers may take.
    pub timeouts: Timeouts,
    /// How long replies may go on after a stop: 5 s.
    pub shutdown_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            threads: crate::default_threads(),
            connections: 10_000,
            timeouts: Timeouts::default(),
            shutdown_timeout: Duration::from_secs(5),
        }
    }
}

/// A connection that waits, its seat, and what the allocator adds.
// What 10,000 idle ones cost is their number times this; nothing else of theirs is on the heap.
const CONNECTION: usize = size_of::<Registered<Connection>>() + size_of::<Slot<Box<Registered<Connection>>>>() + 16;
const _: () = assert!(CONNECTION <= 512, "a connection that waits is small");
/// A thread's stack, as the standard library has it if nothing else is said.
const STACK: usize = 2 << 20;
/// The program itself, its libraries and the allocator's own.
const PROGRAM: usize = 16 << 20;

impl ServerConfig {
    /// Bytes of memory that the server uses at most, without what its handler and the kernel use.
    pub fn memory_bound(&self) -> u64 {
        self.memory_bounds().iter().map(|(_, bytes)| bytes).sum()
    }

    /// What the bytes of [`memory_bound`](Self::memory_bound) are for.
    pub fn memory_bounds(&self) -> [(&'static str, u64); 6] {
        let connections =
            (self.connections as usize + OVERLOAD_SLOTS as usize).saturating_mul(CONNECTION + LOG_BUF_KEPT);
        let threads = (self.threads + 3) * (STACK + WorkerContext::MEMORY);
        [
            ("idle connections", connections as u64),
            ("received heads and bodies", RECEIVE_BUDGET as u64),
            ("unread responses", SEND_BUDGET as u64),
            ("worker stacks and buffers", threads as u64),
            ("access log", access_log::MEMORY as u64),
            ("program", PROGRAM as u64),
        ]
    }
}

impl fmt::Display for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerConfig { threads, connections, timeouts, shutdown_timeout } = self;
        let Limits { start_line, field_line, head, fields, blank_lines, drain, .. } = Limits::default();
        let seconds = |time: Duration| format!("{} s", time.as_secs_f64());
        let lines = [
            ("threads", threads.to_string(), "none of which waits for a peer"),
            ("connections", connections.to_string(), "beyond: the longest idle one closes, or 503 with Retry-After"),
            ("  told 503 at once", OVERLOAD_SLOTS.to_string(), "beyond: a plain close"),
            ("request line", format!("{start_line} bytes"), "beyond: 400, 414 or 501"),
            ("field line", format!("{field_line} bytes"), "beyond: 431"),
            ("fields", fields.to_string(), "beyond: 431"),
            ("head", format!("{head} bytes"), "beyond: 431"),
            ("blank lines before it", blank_lines.to_string(), "beyond: 400"),
            ("body that is dropped", format!("{drain} bytes"), "beyond: the connection closes"),
            ("time for a head", seconds(timeouts.head), "then 408, or a close if no byte came"),
            ("time between requests", seconds(timeouts.idle), "then a close"),
            (
                "time for a body",
                format!("{} s", timeouts::BODY_BASE / 1000),
                "and what its bytes earn at the least rate",
            ),
            ("  least rate", format!("{} bytes/s", timeouts.min_rate), "0: any"),
            ("  time without a byte", format!("{} s", timeouts.stall_timeout() / 1000), "then a close"),
            ("time to linger", format!("{} s", timeouts::LINGER / 1000), "or 2 MiB, or 2 s without a byte"),
            ("time after a stop", seconds(*shutdown_timeout), "then replies end short"),
        ];
        for (name, bound, meaning) in lines {
            writeln!(f, "{name:32} {bound:>14}   {meaning}")?;
        }
        Ok(())
    }
}
