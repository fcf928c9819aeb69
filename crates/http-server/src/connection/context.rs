//! What a thread lends to each connection that it drives: a connection that waits owns no buffers.

use std::mem;
use std::sync::Arc;

use http_core::{DateCache, Limits, Status, Workspace};

use crate::access_log::{self, PendingRecord};
use crate::permit::Turn;
use crate::request_stats::RequestCounters;
use crate::stats::EndReason;

/// Workspaces that a thread keeps. It needs one for each connection that is deferred at the same time.
pub(crate) const WORKSPACES_KEPT: usize = 16;

/// Bytes that a pending log record may take in any connection. A longer one counts as memory of unsent responses.
pub(crate) const LOG_BUF_KEPT: usize = size_of::<PendingRecord>() + access_log::TEXT_KEPT + 32;

/// A send buffer that grew beyond this for one response is shrunk.
const SEND_BUF_KEPT: usize = 64 << 10;
const DISCARD_BUF: usize = 16 << 10;

/// A thread's turn and its buffers.
pub(crate) struct WorkerContext {
    pub(crate) turn: Turn,
    pub(crate) dates: DateCache,
    /// For bytes that are read and dropped.
    pub(crate) discard_buf: Vec<u8>,
    /// Those that no connection uses. A deferred connection keeps its own, perhaps on another thread.
    pub(crate) workspaces: Vec<Workspace>,
    send_buf: Vec<u8>,
    log_record: Option<Box<PendingRecord>>,
    /// `None`: nothing is counted.
    counters: Option<Arc<RequestCounters>>,
}

impl WorkerContext {
    /// The most bytes of memory of one context.
    pub(crate) fn memory(limits: &Limits) -> usize {
        let head = limits.head as usize;
        let workspace = head + 16 * usize::from(limits.fields.min(256));
        WORKSPACES_KEPT * workspace
            + SEND_BUF_KEPT
            + access_log::max_record(head)
            + DISCARD_BUF
            + size_of::<RequestCounters>()
    }

    pub(crate) fn new(turn: Turn) -> WorkerContext {
        WorkerContext {
            turn,
            dates: DateCache::new(),
            discard_buf: vec![0; DISCARD_BUF],
            workspaces: Vec::new(),
            send_buf: Vec::new(),
            log_record: None,
            counters: None,
        }
    }

    /// Counts in these counters, which no other context has.
    pub(crate) fn counting(self, counters: &Arc<RequestCounters>) -> WorkerContext {
        WorkerContext { counters: Some(counters.clone()), ..self }
    }

    /// Counts a request that has ended.
    pub(crate) fn request_ended(&self, reason: EndReason, response: Option<(Status, u64)>, began: u64) {
        if let Some(counters) = &self.counters {
            counters.request_ended(reason, response, began);
        }
    }

    /// Gives up the buffers after a panic, which may have left anything in them.
    pub(crate) fn forget_buffers(&mut self) {
        let turn = mem::replace(&mut self.turn, Turn::unlimited());
        *self = WorkerContext { counters: self.counters.take(), ..WorkerContext::new(turn) };
    }

    /// A buffer to receive into.
    pub(crate) fn take_workspace(&mut self, limits: &Limits) -> Workspace {
        self.workspaces.pop().unwrap_or_else(|| Workspace::with_capacity(limits.head as usize))
    }

    pub(crate) fn return_workspace(&mut self, workspace: Workspace) {
        if self.workspaces.len() < WORKSPACES_KEPT {
            self.workspaces.push(workspace);
        }
    }

    /// Lends the send buffer to a connection that has none.
    pub(crate) fn lend_send_buf(&mut self, send_buf: &mut Vec<u8>) {
        if send_buf.capacity() == 0 {
            mem::swap(send_buf, &mut self.send_buf);
        }
    }

    /// Takes the send buffer back, unless something is left in it.
    pub(crate) fn reclaim_send_buf(&mut self, send_buf: &mut Vec<u8>) {
        if send_buf.is_empty() {
            self.send_buf = mem::take(send_buf);
            self.send_buf.shrink_to(SEND_BUF_KEPT);
        }
    }

    pub(crate) fn take_log_record(&mut self) -> Box<PendingRecord> {
        self.log_record.take().unwrap_or_default()
    }

    pub(crate) fn return_log_record(&mut self, record: Box<PendingRecord>) {
        self.log_record = Some(record);
    }
}
