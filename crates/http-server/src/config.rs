//! The settings of a server. `memory_bound` adds up the memory that they allow.

use std::thread;
use std::time::Duration;

use http_core::Limits;

use crate::forwarded::TrustedProxy;
use crate::timeouts::Timeouts;

/// Which threads wait for clients, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// A reactor waits for all clients, and no thread for a single one: however slow clients are, they hold up nobody
    /// else. The default, on Linux only.
    #[cfg(target_os = "linux")]
    #[default]
    Reactor,
    /// Each thread of a pool accepts a connection, reads and writes it with blocking calls, and serves it to its end. It
    /// needs nothing but the standard library, and is the only engine on other systems than Linux.
    ///
    /// - **A slow client holds a thread** until its deadline: 10 s for a head, and for a body as long as that keeps the
    ///   minimum rate. As many of them as there are [`plain_threads`](ServerConfig::plain_threads) hold up all others,
    ///   who wait in the backlog and get no 503.
    /// - **A connection is kept only while another thread is free.** With none left to accept, responses say
    ///   `Connection: close`, and within a tenth of a second an idle connection is closed for the next one.
    /// - A body that waits for [memory](ServerConfig::body_budget) holds a thread, too, and no slower one makes room.
    /// - [`Request::blocking`](crate::Request::blocking) permits everything at once.
    #[cfg_attr(not(target_os = "linux"), default)]
    Plain,
}

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
    /// Which threads wait for clients. Default: [`Engine::Reactor`] on Linux, and [`Engine::Plain`] elsewhere.
    pub engine: Engine,
    /// How many requests may be worked on at once, if that blocks. Default: 4 per core, and at least 4. It is clamped to
    /// 1 to [`MAX_THREADS`](Self::MAX_THREADS). The pool has two more threads: one that may look whether cached files are
    /// current, and one that never blocks.
    pub threads: usize,
    /// How many threads may wait for events at once. Default: half of the cores, and at least 1. It is clamped to 1 to
    /// `threads`.
    ///
    /// While requests are short, so many threads serve all of them. More than one pays on many cores. On two cores, with
    /// clients on the same machine, a small request then costs up to a fifth more.
    pub pollers: usize,
    /// How many threads [`Engine::Plain`] has, and so how many connections at a time, in place of `threads` and
    /// `pollers`. Default: [`DEFAULT_PLAIN_THREADS`](Self::DEFAULT_PLAIN_THREADS). It is clamped to 1 to
    /// [`MAX_THREADS`](Self::MAX_THREADS) and to `max_connections`. There is one more for each listening socket after the
    /// first.
    pub plain_threads: usize,
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
    /// The most bytes that partly received heads may take, over all connections. Default: 16 MiB. As much again is for
    /// requests that wait until a thread may block or a login is verified. A request beyond it gets a 503.
    pub head_budget: usize,
    /// The most bytes that bodies may take while they are [collected](crate::Action::collect_body), over all
    /// connections. Default: 16 MiB.
    ///
    /// A body reserves its Content-Length before it is received, so each one that has begun can complete. One that is
    /// longer than the budget, or than 4 GiB, gets a 413. One that does not fit now waits, for twice
    /// [`Timeouts::body`], and then gets a 503. The slowest of those that have taken longer than that timeout, and will
    /// not be complete before, make room for it, with a 408.
    pub body_budget: usize,
    /// The most bytes that responses in memory may take while clients read them, over all connections. Default: 64 MiB.
    /// Beyond it, connections close before their responses are complete.
    pub send_budget: usize,
    /// Whether it is measured how long each request takes, for
    /// [`RequestStats::durations`](crate::RequestStats::durations). That costs two looks at the clock. Default: no.
    pub measure_durations: bool,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            engine: Engine::default(),
            threads: default_threads(),
            plain_threads: ServerConfig::DEFAULT_PLAIN_THREADS,
            pollers: default_pollers(),
            max_connections: 10_000,
            keep_alive: true,
            trusted_proxies: Vec::new(),
            limits: Limits { body: u64::MAX, ..Limits::default() },
            timeouts: Timeouts::default(),
            shutdown_timeout: Duration::from_secs(5),
            head_budget: 16 << 20,
            body_budget: 16 << 20,
            send_budget: 64 << 20,
            measure_durations: false,
        }
    }
}

/// The longest timeout: its milliseconds can be counted, and nobody outlives it.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

impl ServerConfig {
    /// The most [`threads`](Self::threads). More would only take memory: each needs a stack.
    pub const MAX_THREADS: usize = 1024;

    /// The default [`plain_threads`](Self::plain_threads): ten browsers have 60 connections. 64 threads take 1.5 MB more
    /// than 8, and serve 63 kept connections over 3 times as fast: with 8, nearly every request needs a new connection.
    pub const DEFAULT_PLAIN_THREADS: usize = 64;

    /// How many connections over the limit the reactor sends a 503 at the same time. Further ones are closed.
    pub const OVERLOAD_CONNECTIONS: u32 = 64;

    /// Clamps the settings to possible values.
    pub(crate) fn clamped(mut self) -> ServerConfig {
        self.threads = self.threads.clamp(1, ServerConfig::MAX_THREADS);
        self.pollers = self.pollers.clamp(1, self.threads);
        self.max_connections = self.max_connections.clamp(1, 1 << 24); // keeps tokens below the listeners' keys
        self.plain_threads = self.plain_threads.clamp(1, ServerConfig::MAX_THREADS.min(self.max_connections as usize));
        let Timeouts { head, idle, body, .. } = &mut self.timeouts;
        for time in [head, idle, body, &mut self.shutdown_timeout] {
            *time = (*time).min(LONGEST);
        }
        self
    }
}

/// The default number of worker threads: 4 per core, at least 4 and at most [`ServerConfig::MAX_THREADS`].
pub fn default_threads() -> usize {
    (4 * cores()).min(ServerConfig::MAX_THREADS)
}

/// The default number of threads that wait for events at once: one for two cores, and at least 1.
pub fn default_pollers() -> usize {
    (cores() / 2).max(1)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_settings_are_clamped() {
        let [none, all] = [0, usize::MAX]
            .map(|n| ServerConfig { threads: n, plain_threads: n, pollers: n, ..ServerConfig::default() }.clamped());
        assert_eq!([none.threads, none.plain_threads, none.pollers], [1; 3]);
        assert_eq!([all.threads, all.plain_threads, all.pollers], [1024; 3]);
        let config = ServerConfig { threads: 1, pollers: 9, max_connections: 0, ..ServerConfig::default() }.clamped();
        assert_eq!((config.plain_threads, config.pollers, config.max_connections), (1, 1, 1));
        let config = ServerConfig { max_connections: u32::MAX, ..ServerConfig::default() }.clamped();
        assert_eq!(config.max_connections, 1 << 24);
        let ages = Duration::from_secs(1 << 61); // 0 ms modulo 2^64
        let timeouts = Timeouts { head: ages, idle: ages, body: ages, ..Timeouts::default() };
        let config = ServerConfig { timeouts, shutdown_timeout: ages, ..ServerConfig::default() }.clamped();
        let Timeouts { head, idle, body, .. } = config.timeouts;
        assert_eq!([head, idle, body, config.shutdown_timeout], [LONGEST; 4]);
    }
}
