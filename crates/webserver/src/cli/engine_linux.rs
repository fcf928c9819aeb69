//! The options of the engines of Linux: the reactor, and the plain one.

use std::num::{NonZeroU16, NonZeroU32};

use clap::{Args, ValueEnum};
use http_server::{Engine, ServerConfig};

use super::LIMITS;
use super::values::{number, threads};

#[derive(Debug, Args)]
pub(super) struct EngineOptions {
    /// reactor, or plain (blocking)
    ///
    /// With the reactor, no client holds a thread, however slow it is. With plain, a thread serves a connection to its
    /// end by blocking calls, as on other systems than Linux: slow clients can hold all threads, each until its timeout.
    /// A connection is kept only while another thread is free.
    #[arg(long, help_heading = LIMITS, value_name = "NAME", default_value = "reactor", hide_possible_values = true)]
    engine: EngineName,

    /// Files read at once [default: 4 per core]
    ///
    /// With --engine plain: connections at once, and 64 by default.
    ///
    /// The size of the pool: so many requests may wait for a disk, at most 1024. With 1 the server reads one file at a
    /// time. On file systems mounted below ROOT, which may not answer, half as many may wait, so that the others are served.
    #[arg(short, long, help_heading = LIMITS, value_name = "N", value_parser = threads)]
    threads: Option<NonZeroU16>,

    /// Threads waiting for events [default: cores / 2]
    ///
    /// They serve all requests that wait for no disk. More than 1 pays on many cores.
    #[arg(long, help_heading = LIMITS, value_name = "N", value_parser = threads)]
    pollers: Option<NonZeroU16>,

    /// Maximum concurrent connections
    ///
    /// The limit of open files (ulimit -Hn) can lower it.
    #[arg(long, help_heading = LIMITS, value_name = "N", default_value = "10000", value_parser = number::<NonZeroU32>)]
    max_connections: NonZeroU32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EngineName {
    /// One thread waits for all clients
    Reactor,
    /// Each client has a thread while it is served
    Plain,
}

impl EngineOptions {
    /// How many connections there may be, if the limit of open files allows so many.
    pub(super) fn max_connections(&self) -> u32 {
        self.max_connections.get()
    }

    /// What they say, with no more connections than this.
    pub(super) fn config(&self, connections: u32) -> ServerConfig {
        let threads = self.threads.map(|threads| usize::from(threads.get()));
        ServerConfig {
            engine: match self.engine {
                EngineName::Reactor => Engine::Reactor,
                EngineName::Plain => Engine::Plain,
            },
            threads: threads.unwrap_or_else(http_server::default_threads),
            plain_threads: threads.unwrap_or(ServerConfig::DEFAULT_PLAIN_THREADS),
            pollers: self.pollers.map_or_else(http_server::default_pollers, |pollers| usize::from(pollers.get())),
            max_connections: self.max_connections.get().min(connections).max(1),
            ..ServerConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use clap::Parser;

    #[test]
    fn default_of_connections_matches_documentation() {
        let cli = Cli::try_parse_from(["webserver"]).unwrap();
        assert_eq!(cli.config(u64::MAX).max_connections, 10_000);
    }
}
