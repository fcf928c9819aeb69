//! How long peers may take. No deadline is restarted by a single byte.

use std::time::Duration;

use crate::clock::Millis;
use crate::connection::sockopt::STEP;

/// The deadlines that can be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a head: from accept, or from its first byte on a kept connection. 10 s.
    pub head: Duration,
    /// For the next request on a kept connection. 15 s.
    pub idle: Duration,
    /// Bytes a second that a reply's reader, or a body's sender, must keep up with after its first 10 s: 1024. 0: any.
    pub min_rate: u64,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { head: Duration::from_secs(10), idle: Duration::from_secs(15), min_rate: 1024 }
    }
}

/// What a body may take before its rate counts.
pub(crate) const BODY: Millis = 10_000;

/// A reply that waits for so long has a slow reader.
pub(crate) const SLOW_READER_AFTER: Millis = 1_000;

/// What a peer gets more if its bytes were there when the deadline struck; a tick is too short for busy workers.
pub(crate) const BUSY_GRACE: Millis = 1_000;

/// After half-closing we read and drop: until the end of the stream, for 2 s without a byte, 10 s in all, or 2 MiB.
const LINGER_QUIET: Millis = 2_000;
pub(crate) const LINGER: Millis = 10_000;
pub(crate) const LINGER_MAX_BYTES: u64 = 2 << 20;

impl Timeouts {
    /// For a body, in either direction, of which so many bytes have moved, the last of them at `progress`.
    pub(crate) fn body(&self, since: Millis, moved: u64, progress: Millis) -> Millis {
        let rate_allowance = self.rate_allowance(moved);
        since.saturating_add(BODY).saturating_add(rate_allowance).min(progress.saturating_add(self.stall()))
    }

    /// A peer that is seen to move nothing of a body for so long has had its time, whatever it has rate_allowance: the kernel's own
    /// buffers hold half an hour's worth. Who keeps up with the rate is seen to move in this time.
    pub(crate) fn stall(&self) -> Millis {
        self.rate_allowance(STEP as u64).max(BODY)
    }

    fn rate_allowance(&self, bytes: u64) -> Millis {
        bytes.saturating_mul(1000).checked_div(self.min_rate).unwrap_or(Millis::MAX)
    }
}

pub(crate) fn linger(since: Millis, progress: Millis) -> Millis {
    (progress + LINGER_QUIET).min(since + LINGER)
}
