//! The settings of a server, and the memory bound that follows from them.

use std::time::Duration;

use http_core::Limits;

use crate::access_log;
use crate::connection::Connection;
use crate::connection::context::{LOG_BUF_KEPT, WorkerContext};
use crate::forwarded::TrustedProxy;
use crate::reactor::Slot;
use crate::reactor::{OVERLOAD_SLOTS, Registered};
use crate::timeouts::Timeouts;

/// The settings of a server. They limit what it uses, however many and however slow its clients are.
///
/// [`Server`](crate::Server) has a method for each. [`Server::config`](crate::Server::config) sets all of them.
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
    /// The most connections at a time. Default: 10,000. It is clamped to 1 to 16,777,216.
    pub max_connections: u32,
    /// Whether a connection may serve more than one request. Default: yes.
    pub keep_alive: bool,
    /// Peers whose X-Forwarded-For is trusted. Default: none.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// The limits of a request. Default: [`Limits::default`], without a limit for bodies: each handler sets its own.
    pub limits: Limits,
    /// How long clients may take.
    pub timeouts: Timeouts,
    /// How long responses may continue after a shutdown request. Default: 5 s.
    pub shutdown_timeout: Duration,
    /// The most bytes that partly received heads and collected bodies may take, over all connections. Default: 16 MiB.
    /// A request beyond it gets a 503.
    pub receive_budget: usize,
    /// The most bytes that responses in memory may take while clients read them, over all connections. Default: 64 MiB.
    /// Beyond it, connections close before their responses are complete.
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

/// Bytes of an idle connection: its state, its slot, and the allocator's overhead. It has nothing else on the heap.
const CONNECTION: usize = size_of::<Registered<Connection>>() + size_of::<Slot<Box<Registered<Connection>>>>() + 16;
const _: () = assert!(CONNECTION <= 512, "an idle connection is small");
/// A thread's stack: the standard library's default.
const STACK: usize = 2 << 20;
/// The program itself, its libraries, and the allocator's own memory.
const PROGRAM: usize = 16 << 20;

impl ServerConfig {
    /// How many connections over the limit can get a 503 at the same time. Further ones are closed.
    pub const OVERLOAD_CONNECTIONS: u32 = OVERLOAD_SLOTS;

    /// The most bytes of memory that the server uses. What its handler and the kernel use is not included.
    pub fn memory_bound(&self) -> u64 {
        self.memory_bounds().iter().map(|(_, bytes)| bytes).sum()
    }

    /// The parts of [`memory_bound`](Self::memory_bound): the purpose and the bytes of each.
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

    /// Clamps the settings to possible values.
    pub(crate) fn clamped(mut self) -> ServerConfig {
        self.threads = self.threads.max(1);
        self.max_connections = self.max_connections.clamp(1, 1 << 24); // keeps tokens below the listeners' keys
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
