//! What all connections of a server have in common: the handler, the bounds, and the memory that waiting ones hold.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use http_core::Limits;

use crate::access_log::AccessLog;
use crate::deadlines::Deadlines;
use crate::forwarded::TrustedProxy;
use crate::handler::Handler;
use crate::notes::Note;
use crate::traffic::Traffic;

pub(crate) struct Site {
    pub(crate) handler: Box<dyn Handler>,
    pub(crate) log: Option<Arc<AccessLog>>,
    pub(crate) trusted: Box<[TrustedProxy]>,
    pub(crate) deadlines: Deadlines,
    pub(crate) limits: Limits,
    pub(crate) keep_alive: bool,
    pub(crate) stopping: AtomicBool,
    pub(crate) traffic: Traffic,
    /// Partial heads, and bodies that are collected. When it is full, who brings more is answered 503.
    pub(crate) incoming: Store,
    /// Replies from memory that their readers take slowly. When it is full, further ones are closed short.
    pub(crate) outgoing: Store,
    /// Why requests are answered as they are, where somebody asks.
    pub(crate) notes: Option<Mutex<Vec<Note>>>,
}

/// Bytes that waiting connections may hold in all.
pub(crate) const INCOMING: usize = 16 << 20;
pub(crate) const OUTGOING: usize = 64 << 20;

impl Site {
    pub(crate) fn new(handler: Box<dyn Handler>) -> Site {
        Site {
            handler,
            log: None,
            trusted: Box::default(),
            deadlines: Deadlines::default(),
            // A handler that wants a body says how long it may be.
            limits: Limits { body: u64::MAX, ..Limits::default() },
            keep_alive: true,
            stopping: AtomicBool::new(false),
            traffic: Traffic::default(),
            incoming: Store::new(INCOMING),
            outgoing: Store::new(OUTGOING),
            notes: None,
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("deadlines", &self.deadlines).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A sum of bytes, and its bound.
#[derive(Debug)]
pub(crate) struct Store {
    held: AtomicUsize,
    bound: usize,
}

impl Store {
    fn new(bound: usize) -> Store {
        Store { held: AtomicUsize::new(0), bound }
    }

    /// One share of the sum changes.
    pub(crate) fn change(&self, share: &mut u32, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if bytes != *share {
            self.held.fetch_add(bytes as usize, Relaxed);
            self.held.fetch_sub(*share as usize, Relaxed);
            *share = bytes;
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.held.load(Relaxed) >= self.bound
    }
}
