//! What was answered: replies by the class of their status, and how many bytes they had.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http_core::Status;

use crate::stats::Stats;

/// On cache lines of its own: all workers write here, and what stands beside it they read at every request.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Traffic {
    replies: [AtomicU64; 4],
    sent: AtomicU64,
}

impl Traffic {
    /// A reply has ended, whole or cut short, after so many bytes.
    pub(crate) fn replied(&self, status: Status, bytes: u64) {
        let class = usize::from(status.code() / 100).clamp(2, 5);
        self.replies[class - 2].fetch_add(1, Relaxed);
        self.sent.fetch_add(bytes, Relaxed);
    }

    /// Puts its numbers into those of the server.
    pub(crate) fn add_to(&self, counts: Stats) -> Stats {
        let replies = self.replies.each_ref().map(|class| class.load(Relaxed));
        Stats { replies, sent: self.sent.load(Relaxed), ..counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_class() {
        let traffic = Traffic::default();
        for code in [200, 206, 301, 304, 400, 404, 416, 503] {
            traffic.replied(Status::new(code).unwrap(), 10);
        }
        let counts = traffic.add_to(Stats { accepted: 9, ..Stats::default() });
        assert_eq!((counts.replies, counts.sent, counts.accepted), ([2, 2, 3, 1], 80, 9));
    }
}
