//! Every setting of a server that limits something. What memory they add up to is computed in `memory`.

use std::time::Duration;

use http_core::Limits;

use crate::forwarded::TrustedProxy;
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

/// A duration whose milliseconds can be counted, and that nobody outlives.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

impl ServerConfig {
    /// The same settings within what is possible.
    pub(crate) fn clamped(mut self) -> ServerConfig {
        self.threads = self.threads.max(1);
        self.max_connections = self.max_connections.clamp(1, 1 << 24); // as many slots as a token can name
        for time in [&mut self.timeouts.head, &mut self.timeouts.idle, &mut self.shutdown_timeout] {
            *time = (*time).min(LONGEST);
        }
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
        let ages = Duration::from_secs(1 << 61); // 0 ms modulo 2^64
        let timeouts = Timeouts { head: ages, idle: ages, ..Timeouts::default() };
        let config = ServerConfig { timeouts, shutdown_timeout: ages, ..ServerConfig::default() }.clamped();
        assert_eq!([config.timeouts.head, config.timeouts.idle, config.shutdown_timeout], [LONGEST; 3]);
    }
}
