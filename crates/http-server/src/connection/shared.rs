//! What all connections of a server have in common: the handler, the bounds, and the memory that waiting ones hold.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use http_core::Limits;

use crate::access_log::AccessLog;
use crate::connection::budget::MemoryBudget;
use crate::forwarded::TrustedProxy;
use crate::handler::Handler;
use crate::stats::Counters;
use crate::timeouts::Timeouts;
use crate::trace::Decision;

pub(crate) struct Shared {
    pub(crate) handler: Box<dyn Handler>,
    pub(crate) log: Option<Arc<AccessLog>>,
    pub(crate) trusted: Box<[TrustedProxy]>,
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: Limits,
    pub(crate) keep_alive: bool,
    pub(crate) stopping: AtomicBool,
    pub(crate) counters: Counters,
    /// Partial heads, and bodies that are collected. When it is full, who brings more is answered 503.
    pub(crate) receive_budget: MemoryBudget,
    /// Replies from memory that their readers take slowly. When it is full, further ones are closed short.
    pub(crate) send_budget: MemoryBudget,
    /// Why requests are answered as they are, where somebody asks.
    pub(crate) trace: Option<Mutex<Vec<Decision>>>,
}

/// Bytes that waiting connections may hold in all.
pub(crate) const RECEIVE_BUDGET: usize = 16 << 20;
pub(crate) const SEND_BUDGET: usize = 64 << 20;

impl Shared {
    pub(crate) fn new(handler: Box<dyn Handler>) -> Shared {
        Shared {
            handler,
            log: None,
            trusted: Box::default(),
            timeouts: Timeouts::default(),
            // A handler that wants a body says how long it may be.
            limits: Limits { body: u64::MAX, ..Limits::default() },
            keep_alive: true,
            stopping: AtomicBool::new(false),
            counters: Counters::default(),
            receive_budget: MemoryBudget::new(RECEIVE_BUDGET),
            send_budget: MemoryBudget::new(SEND_BUDGET),
            trace: None,
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("timeouts", &self.timeouts).field("limits", &self.limits).finish_non_exhaustive()
    }
}
