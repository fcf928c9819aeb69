//! What a thread lends to each connection that it drives, so that one that waits owns no buffers.

use std::fmt;
use std::sync::Arc;

use http_core::{DateCache, Limits, Workspace};

use crate::access_log;
use crate::reactor::batch::BATCH_SIZE;

/// Bytes that the log may note of a request in any connection; what is longer counts as memory of its own.
pub(crate) const LOG_BUF_KEPT: usize = 256;

/// Buffers that grew beyond this for one reply are not kept.
const SEND_BUF_KEPT: usize = 64 << 10;
const DISCARD_BUF: usize = 16 << 10;

/// Promotes another worker before one blocks. The engine implements it; an engine without a leader has none.
pub(crate) trait LeaderHandle: fmt::Debug + Send + Sync {
    /// Makes sure that another worker waits for events while the caller blocks.
    fn promote_follower(&self);
}

/// A thread's buffers, and its way to promote another worker.
pub(crate) struct WorkerContext {
    /// Where to say that a turn may take long.
    pub(crate) leader: Option<Arc<dyn LeaderHandle>>,
    pub(crate) dates: DateCache,
    /// Room for bytes that nobody reads.
    pub(crate) discard_buf: Vec<u8>,
    /// Those that no connection has; one that steps behind others takes its with it, perhaps to another desk.
    pub(crate) workspaces: Vec<Workspace>,
    send_buf: Vec<u8>,
    log_buf: Vec<u8>,
}

impl WorkerContext {
    /// Bytes of one context at most.
    pub(crate) fn memory(limits: &Limits) -> usize {
        let head = limits.head as usize;
        let workspace = head + 16 * usize::from(limits.fields.min(256));
        BATCH_SIZE * workspace + SEND_BUF_KEPT + access_log::draft_memory(head) + DISCARD_BUF
    }

    pub(crate) fn new(leader: Option<Arc<dyn LeaderHandle>>) -> WorkerContext {
        WorkerContext {
            leader,
            dates: DateCache::new(),
            discard_buf: vec![0; DISCARD_BUF],
            workspaces: Vec::new(),
            send_buf: Vec::new(),
            log_buf: Vec::new(),
        }
    }

    /// Room to receive into.
    pub(crate) fn take_workspace(&mut self, limits: &Limits) -> Workspace {
        self.workspaces.pop().unwrap_or_else(|| Workspace::with_room(limits.head as usize))
    }

    pub(crate) fn return_workspace(&mut self, workspace: Workspace) {
        if self.workspaces.len() < BATCH_SIZE {
            self.workspaces.push(workspace);
        }
    }

    /// Lends buffers for what is sent and what is logged, unless there are some.
    pub(crate) fn lend_buffers(&mut self, outgoing: &mut Vec<u8>, draft: &mut Vec<u8>) {
        for (own, ours) in [(outgoing, &mut self.send_buf), (draft, &mut self.log_buf)] {
            if own.capacity() == 0 {
                std::mem::swap(own, ours);
            }
        }
    }

    /// Takes back those in which nothing is left.
    pub(crate) fn reclaim_buffers(&mut self, outgoing: &mut Vec<u8>, draft: &mut Vec<u8>) {
        if outgoing.is_empty() {
            self.send_buf = std::mem::take(outgoing);
            self.send_buf.shrink_to(SEND_BUF_KEPT);
        }
        if draft.is_empty() {
            self.log_buf = std::mem::take(draft);
        } else {
            draft.shrink_to(LOG_BUF_KEPT); // ours may have been longer
        }
    }
}
