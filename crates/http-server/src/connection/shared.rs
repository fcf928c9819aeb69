//! What all connections of a server share: the handler, the limits, and the memory of waiting
//! connections.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use http_core::Limits;

use crate::access_log::{AccessLog, LogFormat};
use crate::clock;
use crate::config::ServerConfig;
use crate::connection::budget::{BodyBudget, MemoryBudget};
use crate::forwarded::TrustedProxy;
use crate::handler::Handler;
use crate::messages::Messages;
use crate::permit::Permit;
use crate::timeouts::Timeouts;
use crate::trace::Decision;

pub(crate) struct Shared<'h> {
    pub(crate) handler: Box<dyn Handler + 'h>,
    /// What a worker needs to call the handler.
    pub(crate) handler_permit: Permit,
    pub(crate) log: Option<Arc<AccessLog>>,
    pub(crate) trusted: Box<[TrustedProxy]>,
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: Limits,
    pub(crate) keep_alive: bool,
    pub(crate) measure_durations: bool,
    pub(crate) stopping: Arc<AtomicBool>,
    /// The shutdown timeout has passed. Only blocking drivers look; the reactor's connections are taken out.
    pub(crate) over: AtomicBool,
    /// No thread is left for a new connection, so none is kept for the next request. With the reactor that never happens.
    pub(crate) crowded: AtomicBool,
    pub(crate) messages: Arc<Messages>,
    /// For what is received of heads. When it is exhausted, a request that needs more gets a 503.
    pub(crate) head_budget: MemoryBudget,
    /// For requests that are put aside until a worker may block. As large as the other.
    pub(crate) held_budget: MemoryBudget,
    /// For bodies that handlers collect.
    pub(crate) body_budget: BodyBudget,
    /// For responses from memory that wait for their readers. When it is exhausted, further ones are cut short.
    pub(crate) send_budget: MemoryBudget,
    /// The decisions about requests, if a caller wants them.
    pub(crate) trace: Option<Mutex<Vec<Decision>>>,
}

impl<'h> Shared<'h> {
    pub(crate) fn new(handler: Box<dyn Handler + 'h>) -> Shared<'h> {
        Shared::with_config(handler, ServerConfig::default())
    }

    pub(crate) fn with_config(handler: Box<dyn Handler + 'h>, config: ServerConfig) -> Shared<'h> {
        Shared {
            handler_permit: if handler.never_blocks() { Permit::Check } else { Permit::Block },
            handler,
            log: None,
            trusted: config.trusted_proxies.into(),
            timeouts: config.timeouts,
            limits: config.limits,
            keep_alive: config.keep_alive && !config.timeouts.idle.is_zero(),
            measure_durations: config.measure_durations,
            stopping: Arc::default(),
            over: AtomicBool::default(),
            crowded: AtomicBool::default(),
            messages: Arc::default(),
            head_budget: MemoryBudget::new(config.head_budget),
            held_budget: MemoryBudget::new(config.head_budget),
            body_budget: BodyBudget::new(config.body_budget),
            send_budget: MemoryBudget::new(config.send_budget),
            trace: None,
        }
    }

    /// When a request begins, in nanoseconds, if somebody wants to know how long it takes.
    pub(crate) fn request_begins(&self) -> u64 {
        let is_timed = self.measure_durations || self.log.as_ref().is_some_and(|log| log.format == LogFormat::Json);
        if is_timed { clock::monotonic_ns() } else { 0 }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// Whether a connection may be kept for the next request.
    pub(crate) fn keeps_connections(&self) -> bool {
        self.keep_alive && !self.is_stopping() && !self.crowded.load(Relaxed)
    }
}

impl fmt::Debug for Shared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("timeouts", &self.timeouts).field("limits", &self.limits).finish_non_exhaustive()
    }
}
