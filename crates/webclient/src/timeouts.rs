//! How long to wait: for a connection, for each byte, and for everything.

use std::time::{Duration, Instant};

/// How long to wait for a connection, for each byte, and for a whole exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the host's addresses and a connection to one of them, in total. Default: 10 s.
    pub connect: Duration,
    /// For each next byte, sent or received. Default: 30 s. Less than a millisecond counts as one.
    pub idle: Duration,
    /// For everything, from the lookup of the host to the last byte of the body, redirects and retries included. Without
    /// it, a server that sends a byte before each `idle` ends may take forever. Default: none.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { connect: Duration::from_secs(10), idle: Duration::from_secs(30), total: None }
    }
}

/// When the total time is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    end: Option<Instant>,
    total: Option<Duration>,
}

impl Deadline {
    /// No deadline.
    pub(crate) const NEVER: Deadline = Deadline { end: None, total: None };

    /// Counts from now on.
    pub(crate) fn after(total: Option<Duration>) -> Deadline {
        // A time that the clock cannot express is as good as none.
        Deadline { end: total.and_then(|total| Instant::now().checked_add(total)), total }
    }

    /// The earlier of this and the end of a limit that begins now.
    pub(crate) fn within(self, limit: Duration) -> Deadline {
        let end = Deadline::after(Some(self.limit(limit))).end;
        Deadline { end, ..self }
    }

    /// The time that is left. `None` without a deadline.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn total(&self) -> Option<Duration> {
        self.total
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// The shorter of a limit and what is left.
    pub(crate) fn limit(&self, limit: Duration) -> Duration {
        self.left().map_or(limit, |left| left.min(limit))
    }

    /// The limit behind a wait that ended after `limit`: the total one if it is over.
    pub(crate) fn cause(&self, limit: Duration) -> Duration {
        self.total.filter(|_| self.is_over()).unwrap_or(limit)
    }
}
