//! The policy for serving connections in batches: which request is deferred, and after how many others it is served.
//!
//! A request that was just read is deferred while more connections are ready. Their requests are then read before the
//! first gets its response, and one check of a file's freshness is valid for all of them (`freshness`). With 64 kept
//! connections that saves 8 % of a request's cost. A handler that may block is not deferred: other workers would wait
//! for it.

use crate::connection::context::WORKSPACES_KEPT;

/// A deferred connection is overtaken by at most `BATCH_SIZE - 1` others. Each deferred connection holds a workspace.
const BATCH_SIZE: usize = WORKSPACES_KEPT;

/// Whether to read the request of a ready connection now and to serve it later.
pub(crate) fn defers(more_ready: bool, handler_may_block: bool) -> bool {
    more_ready && !handler_may_block
}

/// The position of a deferred connection among the `queued` events. In a short queue it is the middle: the clients of
/// the first half then continue while the second half is served.
pub(crate) fn deferred_position(queued: usize) -> usize {
    if queued < BATCH_SIZE { queued.div_ceil(2) } else { BATCH_SIZE - 1 }
}
