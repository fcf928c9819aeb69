//! What all connections of a server have in common: the handler, the bounds, and the memory that waiting ones hold.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use http_core::Limits;

use crate::access_log::AccessLog;
use crate::config::ServerConfig;
use crate::connection::budget::MemoryBudget;
use crate::forwarded::TrustedProxy;
use crate::handler::Handler;
use crate::messages::Messages;
use crate::stats::Counters;
use crate::timeouts::Timeouts;
use crate::trace::Decision;

pub(crate) struct Shared<'h> {
    pub(crate) handler: Box<dyn Handler + 'h>,
    pub(crate) log: Option<Arc<AccessLog>>,
    pub(crate) trusted: Box<[TrustedProxy]>,
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: Limits,
    pub(crate) keep_alive: bool,
    pub(crate) stopping: AtomicBool,
    pub(crate) counters: Counters,
    pub(crate) messages: Arc<Messages>,
    /// Partial heads, and bodies that are collected. When it is full, who brings more is answered 503.
    pub(crate) receive_budget: MemoryBudget,
    /// Replies from memory that their readers take slowly. When it is full, further ones are closed short.
    pub(crate) send_budget: MemoryBudget,
    /// Why requests are answered as they are, where somebody asks.
    pub(crate) trace: Option<Mutex<Vec<Decision>>>,
}

impl<'h> Shared<'h> {
    pub(crate) fn new(handler: Box<dyn Handler + 'h>) -> Shared<'h> {
        Shared::with_config(handler, ServerConfig::default())
    }

    pub(crate) fn with_config(handler: Box<dyn Handler + 'h>, config: ServerConfig) -> Shared<'h> {
        Shared {
            handler,
            log: None,
            trusted: config.trusted_proxies.into(),
            timeouts: config.timeouts,
            limits: config.limits,
            keep_alive: config.keep_alive,
            stopping: AtomicBool::new(false),
            counters: Counters::default(),
            messages: Arc::default(),
            receive_budget: MemoryBudget::new(config.receive_budget),
            send_budget: MemoryBudget::new(config.send_budget),
            trace: None,
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }
}

impl fmt::Debug for Shared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("timeouts", &self.timeouts).field("limits", &self.limits).finish_non_exhaustive()
    }
}
