//! How long peers may take. A single byte restarts no timeout.

use std::time::Duration;

use crate::clock::Millis;

/// Timeouts of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a request's head, from the accept, or from its first byte on a kept connection. Default: 10 s.
    pub head: Duration,
    /// For the next request on a kept connection. Default: 75 s, which is longer than the 60 s after which the load
    /// balancers of clouds close theirs: one that reuses a connection as it closes reports a 502. With 0, none is kept.
    pub idle: Duration,
    /// How long a request's body or a response may take before its rate counts. Default: 10 s.
    pub body: Duration,
    /// The minimum rate at which a body is sent or a response is read, in bytes per second, after that time.
    /// Default: 1024. 0 allows any rate.
    pub min_rate: u64,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(10),
            min_rate: 1024,
        }
    }
}

/// A reader is slow once its response has waited this long.
pub(crate) const SLOW_READER_AFTER: Millis = 1_000;

/// The progress of a slow reader is visible after at most this many bytes; see [`sockopt`](crate::connection::sockopt).
pub(crate) const SLOW_READER_STEP: u32 = 64 << 10;

/// How long a connection is put aside at most, until a worker may block for it or it wakes. Clients of a disk that does not
/// answer must not keep all connections for ever.
pub(crate) const HELD: Millis = 30_000;

/// The same at the connection limit, if its client has ended its stream: perhaps it has left, and perhaps it only sends no
/// more.
pub(crate) const HELD_AND_LEFT: Millis = 2_000;

/// As the server shuts down, a connection that has been idle for less may still send a request: its client is active, or
/// has just connected.
pub(crate) const ACTIVE: Millis = 500;

/// The extra time for a peer whose input was waiting when it timed out. A tick would be too short for busy workers.
pub(crate) const BUSY_GRACE: Millis = 1_000;

/// A lingering connection ends after 2 s without a byte, after 10 s in total, or after 2 MiB. At a shutdown it has 2 s
/// more, whatever it sends.
pub(crate) const LINGER_QUIET: Millis = 2_000;
const LINGER: Millis = 10_000;
pub(crate) const LINGER_MAX_BYTES: u64 = 2 << 20;

impl Timeouts {
    /// How long a closing connection is read from, so that no reset destroys its last response.
    pub const LINGER: Duration = Duration::from_millis(LINGER);

    /// How long a body or a response may make no progress. `None`: no limit, because any rate is allowed.
    pub fn stall(&self) -> Option<Duration> {
        (self.min_rate > 0).then(|| Duration::from_millis(self.stall_timeout()))
    }

    /// The deadline of a body, in either direction, after this many bytes have moved.
    pub(crate) fn body_deadline(&self, started: Millis, bytes_moved: u64, last_progress: Millis) -> Millis {
        let by_rate = started.saturating_add(self.body_millis()).saturating_add(self.rate_allowance(bytes_moved));
        by_rate.min(last_progress.saturating_add(self.stall_timeout()))
    }

    /// A body without progress for this long ends, whatever its allowance is: the bytes in the kernel's buffers alone
    /// are worth half an hour. A peer that keeps the rate makes progress in this time.
    pub(crate) fn stall_timeout(&self) -> Millis {
        self.rate_allowance(SLOW_READER_STEP.into()).max(self.body_millis())
    }

    pub(crate) fn body_millis(&self) -> Millis {
        self.body.as_millis() as Millis
    }

    /// How long a body waits for memory.
    pub(crate) fn memory_wait(&self) -> Millis {
        2 * self.body_millis()
    }

    fn rate_allowance(&self, bytes: u64) -> Millis {
        bytes.saturating_mul(1000).checked_div(self.min_rate).unwrap_or(Millis::MAX)
    }
}

/// The deadline of a lingering connection.
pub(crate) fn linger(started: Millis, last_progress: Millis) -> Millis {
    (last_progress + LINGER_QUIET).min(started + LINGER)
}
