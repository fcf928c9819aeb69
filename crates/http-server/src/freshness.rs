//! Sharing one check of something that may change, such as a file, among the requests received before the check.
//!
//! A response must not be older than its request. A check that began after a request was received is valid for that
//! request, whichever request made it. So a request only remembers how many checks had begun when it was received.
//!
//! ```
//! use http_server::freshness::{ReceivedAt, SharedCheck};
//!
//! let check = SharedCheck::default();
//! let (first, second) = (ReceivedAt::now(), ReceivedAt::now());
//! let mut checks = 0;
//! for received_at in [first, second] {
//!     assert!(check.is_valid_for(received_at, || { checks += 1; true }));
//! }
//! assert_eq!(checks, 1, "both requests were received before the first check");
//! ```

use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst, fence};

/// How many checks have begun, in all workers of all servers: they may share what they check.
static CHECKS: AtomicU64 = AtomicU64::new(0);

/// When a request was received, as the number of checks that had begun by then. A check with a greater number sees the
/// state at that time or a later one, because its number is published before it reads anything.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedAt(u64);

impl ReceivedAt {
    /// Before anything was received: no check is recent enough.
    pub(crate) const NONE: ReceivedAt = ReceivedAt(u64::MAX);

    /// For bytes received just now.
    pub fn now() -> ReceivedAt {
        ReceivedAt(CHECKS.load(SeqCst))
    }
}

/// The number of the last check that succeeded.
#[derive(Debug, Default)]
pub struct SharedCheck(AtomicU64);

impl SharedCheck {
    /// Whether the check holds for a request received at this time. It calls `check`, unless one that succeeded has
    /// begun since then.
    pub fn is_valid_for(&self, received_at: ReceivedAt, check: impl FnOnce() -> bool) -> bool {
        if self.0.load(Relaxed) > received_at.0 {
            return true;
        }
        let number = CHECKS.fetch_add(1, SeqCst) + 1;
        fence(SeqCst); // the number is published before the check reads anything
        let holds = check();
        if holds {
            self.0.store(number, Relaxed);
        }
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_is_valid_only_for_requests_received_before_it() {
        let check = SharedCheck::default();
        assert!(!check.is_valid_for(ReceivedAt::NONE, || false), "the first request is checked");
        let (first, second) = (ReceivedAt::now(), ReceivedAt::now());
        assert!(check.is_valid_for(first, || true), "no check was made yet");
        let never = || -> bool { panic!("a check was made since") };
        assert!(check.is_valid_for(second, never) && check.is_valid_for(first, never));
        let third = ReceivedAt::now();
        let mut fourth = third;
        assert!(!check.is_valid_for(third, || false), "it was received after the check");
        let during = || {
            fourth = ReceivedAt::now(); // received during the check
            true
        };
        assert!(check.is_valid_for(third, during), "a failed check is repeated");
        let mut checks = 0;
        assert!(check.is_valid_for(third, never));
        assert!(check.is_valid_for(fourth, || {
            checks += 1;
            true
        }));
        assert_eq!(checks, 1, "it may have been received after the check saw its state");
    }
}
