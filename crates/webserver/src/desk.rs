//! What a thread lends to each connection that it drives, so that one that waits owns no buffers.

use std::sync::Arc;

use http_core::{DateCache, Limits, Workspace};

use crate::access_log;
use crate::watch::{Deputise, GROUP};

/// Bytes that the log may note of a request in any connection; what is longer counts as memory of its own.
pub(crate) const DRAFT: usize = 256;

/// Buffers that grew beyond this for one reply are not kept.
const KEPT_BUFFER: usize = 64 << 10;
const DROPPED: usize = 16 << 10;

/// A thread's buffers, and whom it may call.
pub(crate) struct Desk {
    /// Where to say that a turn may take long.
    pub(crate) watch: Option<Arc<dyn Deputise>>,
    pub(crate) dates: DateCache,
    /// Room for bytes that nobody reads.
    pub(crate) dropped: Vec<u8>,
    /// Those that no connection has; one that steps behind others takes its with it, perhaps to another desk.
    pub(crate) workspaces: Vec<Workspace>,
    outgoing: Vec<u8>,
    draft: Vec<u8>,
}

impl Desk {
    /// Bytes of one desk at most.
    pub(crate) const MEMORY: usize =
        GROUP * ((16 << 10) + 256 * 16) + KEPT_BUFFER + access_log::LONGEST_DRAFT + DROPPED;

    pub(crate) fn new(watch: Option<Arc<dyn Deputise>>) -> Desk {
        Desk {
            watch,
            dates: DateCache::new(),
            dropped: vec![0; DROPPED],
            workspaces: Vec::new(),
            outgoing: Vec::new(),
            draft: Vec::new(),
        }
    }

    /// Room to receive into.
    pub(crate) fn workspace(&mut self, limits: &Limits) -> Workspace {
        self.workspaces.pop().unwrap_or_else(|| Workspace::with_room(limits.head as usize))
    }

    pub(crate) fn put_back(&mut self, workspace: Workspace) {
        if self.workspaces.len() < GROUP {
            self.workspaces.push(workspace);
        }
    }

    /// Lends buffers for what is sent and what is logged, unless there are some.
    pub(crate) fn lend_buffers(&mut self, outgoing: &mut Vec<u8>, draft: &mut Vec<u8>) {
        for (own, ours) in [(outgoing, &mut self.outgoing), (draft, &mut self.draft)] {
            if own.capacity() == 0 {
                std::mem::swap(own, ours);
            }
        }
    }

    /// Takes back those in which nothing is left.
    pub(crate) fn take_back(&mut self, outgoing: &mut Vec<u8>, draft: &mut Vec<u8>) {
        if outgoing.is_empty() {
            self.outgoing = std::mem::take(outgoing);
            self.outgoing.shrink_to(KEPT_BUFFER);
        }
        if draft.is_empty() {
            self.draft = std::mem::take(draft);
        } else {
            draft.shrink_to(DRAFT); // ours may have been longer
        }
    }
}
