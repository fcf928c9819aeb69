//! The memory that the settings of a server allow it to use.

use crate::access_log;
use crate::config::{Engine, ServerConfig};
use crate::connection::ASIDE;
use crate::connection::context::{LOG_BUF_KEPT, WorkerContext};
#[cfg(target_os = "linux")]
use crate::pool::Pool;

/// Bytes of what a request may leave beside its connection, and of its log record.
const REST: usize = ASIDE + 16 + LOG_BUF_KEPT;
/// A thread's stack: the standard library's default.
const STACK: usize = 2 << 20;
/// The program itself, its libraries, and the allocator's own memory.
const PROGRAM: usize = 16 << 20;

impl ServerConfig {
    /// The most bytes of memory that the server uses. What its handler and the kernel use is not included.
    pub fn memory_bound(&self) -> u64 {
        self.memory_bounds().iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes))
    }

    /// The parts of [`memory_bound`](Self::memory_bound): the purpose and the bytes of each.
    pub fn memory_bounds(&self) -> [(&'static str, u64); 8] {
        let config = self.clone().clamped();
        let ServerConfig { limits, head_budget, body_budget, send_budget, .. } = config;
        let (workers, connections) = match config.engine {
            #[cfg(target_os = "linux")]
            Engine::Reactor => {
                let connections = config.max_connections as usize + ServerConfig::OVERLOAD_CONNECTIONS as usize;
                let each = Pool::CONNECTION_MEMORY + Pool::LISTED_MEMORY + REST;
                (Pool::workers(config.threads), connections.saturating_mul(each))
            }
            // One more thread for the upkeep. The connections are on the stacks.
            Engine::Plain => (config.plain_threads + 1, config.plain_threads * REST),
        };
        // The name of a request that may block is a part of its first line, in a buffer that may have doubled.
        let thread = STACK + WorkerContext::memory(&limits) + 2 * limits.start_line as usize;
        // The workers, the housekeeper, the program's own two, and the log's.
        let threads = workers.saturating_add(2 + access_log::WRITERS);
        [
            ("connections", connections as u64),
            ("received heads", head_budget as u64),
            ("received bodies", body_budget as u64),
            ("requests that are put aside", head_budget as u64),
            ("unread responses", send_budget as u64),
            ("thread stacks and buffers", threads.saturating_mul(thread) as u64),
            ("access log", access_log::memory(limits.head as usize) as u64),
            ("program", PROGRAM as u64),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_bound_of_the_plain_engine_follows_its_threads() {
        let config = ServerConfig { engine: Engine::Plain, ..ServerConfig::default() };
        let bound = |plain_threads| ServerConfig { plain_threads, ..config.clone() }.memory_bound();
        assert!((STACK as u64..2 * STACK as u64).contains(&(bound(65) - bound(64))));
        assert_eq!(ServerConfig { max_connections: 9, ..config.clone() }.memory_bound(), bound(9));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_bound_follows_every_setting_that_costs_memory() {
        let config = ServerConfig { threads: 4, ..ServerConfig::default() };
        let bound = config.memory_bound();
        let more = |change: fn(&mut ServerConfig)| {
            let mut changed = config.clone();
            change(&mut changed);
            changed.memory_bound() - bound
        };
        assert!(more(|config| config.threads += 1) >= STACK as u64);
        let connection = (Pool::CONNECTION_MEMORY + Pool::LISTED_MEMORY + REST) as u64;
        assert_eq!(more(|config| config.max_connections += 1), connection);
        assert_eq!(more(|config| config.head_budget += 5), 10);
        assert_eq!(more(|config| config.body_budget += 3), 3);
        assert_eq!(more(|config| config.send_budget += 7), 7);
        assert!(more(|config| config.limits.head += 1) >= 7 * 16);
        assert!(more(|config| config.limits.start_line += 1) >= 2 * 6);
        assert!(more(|config| config.limits.fields += 1) >= 7 * 16);
    }

    #[test]
    fn memory_bound_of_settings_without_limits_saturates() {
        let unlimited = |change: fn(&mut ServerConfig)| {
            let mut config = ServerConfig::default();
            change(&mut config);
            config.memory_bound()
        };
        assert_eq!(unlimited(|config| config.head_budget = usize::MAX), u64::MAX);
        assert_eq!(unlimited(|config| config.body_budget = usize::MAX), u64::MAX);
        assert_eq!(unlimited(|config| config.send_budget = usize::MAX), u64::MAX);
    }
}
