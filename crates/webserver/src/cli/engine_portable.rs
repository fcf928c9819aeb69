//! The options of the plain engine, the only one of other systems than Linux.

use std::num::NonZeroU16;

use clap::Args;
use http_server::ServerConfig;

use super::LIMITS;
use super::values::threads;

#[derive(Debug, Args)]
pub(super) struct EngineOptions {
    /// Connections served at once [default: 64]
    ///
    /// At most 1024. A thread serves a connection to its end, so slow clients can hold all of them, each until its
    /// timeout; more connections wait. A connection is kept only while another thread is free.
    #[arg(short, long, help_heading = LIMITS, value_name = "N", value_parser = threads)]
    threads: Option<NonZeroU16>,
}

impl EngineOptions {
    /// How many connections there may be, if the limit of open files allows so many.
    pub(super) fn max_connections(&self) -> u32 {
        let threads = self.threads.map_or(ServerConfig::DEFAULT_PLAIN_THREADS, |threads| usize::from(threads.get()));
        u32::try_from(threads).unwrap_or(u32::MAX)
    }

    /// What they say, with no more connections than this.
    pub(super) fn config(&self, connections: u32) -> ServerConfig {
        let threads = self.threads.map(|threads| usize::from(threads.get()));
        ServerConfig {
            plain_threads: threads.unwrap_or(ServerConfig::DEFAULT_PLAIN_THREADS),
            max_connections: connections.max(1),
            ..ServerConfig::default()
        }
    }
}
