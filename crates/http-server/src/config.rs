//! Every setting of a server that limits something, and the memory that they add up to.

use std::time::Duration;

use http_core::Limits;

use crate::access_log;
use crate::connection::Connection;
use crate::connection::context::{LOG_BUF_KEPT, WorkerContext};
use crate::forwarded::TrustedProxy;
use crate::reactor::Slot;
use crate::reactor::{OVERLOAD_SLOTS, Registered};
use crate::timeouts::Timeouts;

/// The settings of a server: what it may use at most, however many and however slow its clients are.
///
/// [`Server`](crate::Server) has a method for each, or takes them all by [`Server::config`](crate::Server::config).
///
/// ```
/// use http_server::ServerConfig;
/// use http_server::http_core::Limits;
///
/// let mut config = ServerConfig { max_connections: 500, ..ServerConfig::default() };
/// config.limits.fields = 50;
/// assert!(config.memory_bound() < 400 << 20);
/// ```
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The number of worker threads. Default: 4 per core, and at least 4. 0 counts as 1.
    pub threads: usize,
    /// The number of connections at once. Default: 10,000. It counts as at least 1 and at most 16,777,216.
    pub max_connections: u32,
    /// Whether a connection may serve more than one request. Default: yes.
    pub keep_alive: bool,
    /// Peers whose X-Forwarded-For is believed. Default: none.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// What a request may be. Default: [`Limits::default`], but with no limit of its own for a body: each handler states one.
    pub limits: Limits,
    /// How long clients may take.
    pub timeouts: Timeouts,
    /// How long responses may go on after a shutdown was requested. Default: 5 s.
    pub shutdown_timeout: Duration,
    /// Bytes that partly received heads and collected bodies may take together. Default: 16 MiB. A client that sends more
    /// gets a 503.
    pub receive_budget: usize,
    /// Bytes that responses in memory may take together while clients read them. Default: 64 MiB. If it is exhausted, further
    /// connections close before their responses are complete.
    pub send_budget: usize,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            threads: crate::default_threads(),
            max_connections: 10_000,
            keep_alive: true,
            trusted_proxies: Vec::new(),
            limits: Limits { body: u64::MAX, ..Limits::default() },
            timeouts: Timeouts::default(),
            shutdown_timeout: Duration::from_secs(5),
            receive_budget: 16 << 20,
            send_budget: 64 << 20,
        }
    }
}

/// An idle connection, its slot, and what the allocator adds. Nothing else of an idle connection is on the heap.
const CONNECTION: usize = size_of::<Registered<Connection>>() + size_of::<Slot<Box<Registered<Connection>>>>() + 16;
const _: () = assert!(CONNECTION <= 512, "an idle connection is small");
/// A thread's stack: the standard library's default.
const STACK: usize = 2 << 20;
/// The program itself, its libraries, and the allocator's own memory.
const PROGRAM: usize = 16 << 20;

impl ServerConfig {
    /// Connections over the limit that are told 503 at once. Further ones are closed.
    pub const OVERLOAD_CONNECTIONS: u32 = OVERLOAD_SLOTS;

    /// Bytes of memory that the server uses at most, without what its handler and the kernel use.
    pub fn memory_bound(&self) -> u64 {
        self.memory_bounds().iter().map(|(_, bytes)| bytes).sum()
    }

    /// What the bytes of [`memory_bound`](Self::memory_bound) are for.
    pub fn memory_bounds(&self) -> [(&'static str, u64); 6] {
        let ServerConfig { threads, max_connections, limits, receive_budget, send_budget, .. } = self.clone().clamped();
        let connections = max_connections as usize + OVERLOAD_SLOTS as usize;
        [
            ("idle connections", connections.saturating_mul(CONNECTION + LOG_BUF_KEPT) as u64),
            ("received heads and bodies", receive_budget as u64),
            ("unread responses", send_budget as u64),
            ("worker stacks and buffers", ((threads + 3) * (STACK + WorkerContext::memory(&limits))) as u64),
            ("access log", access_log::memory(limits.head as usize) as u64),
            ("program", PROGRAM as u64),
        ]
    }

    /// The same settings within what is possible.
    pub(crate) fn clamped(mut self) -> ServerConfig {
        self.threads = self.threads.max(1);
        self.max_connections = self.max_connections.clamp(1, 1 << 24); // as many slots as a token can name
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_settings_are_clamped() {
        let config = ServerConfig { threads: 0, max_connections: 0, ..ServerConfig::default() }.clamped();
        assert_eq!((config.threads, config.max_connections), (1, 1));
        let config = ServerConfig { max_connections: u32::MAX, ..ServerConfig::default() }.clamped();
        assert_eq!(config.max_connections, 1 << 24);
    }

    #[test]
    fn memory_bound_follows_every_setting_that_costs_memory() {
        let config = ServerConfig { threads: 4, ..ServerConfig::default() };
        let bound = config.memory_bound();
        let more = |change: fn(&mut ServerConfig)| {
            let mut changed = config.clone();
            change(&mut changed);
            changed.memory_bound() - bound
        };
        assert!(more(|config| config.threads += 1) >= STACK as u64);
        assert_eq!(more(|config| config.max_connections += 1), (CONNECTION + LOG_BUF_KEPT) as u64);
        assert_eq!(more(|config| config.receive_budget += 5), 5);
        assert_eq!(more(|config| config.send_budget += 7), 7);
        assert!(more(|config| config.limits.head += 1) >= 7 * 16);
        assert!(more(|config| config.limits.fields += 1) >= 7 * 16);
    }
}
