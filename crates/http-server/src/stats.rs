//! How requests and connections end, and how many connections ended each way: the numbers of a server. Every accepted
//! connection ends exactly once.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionOutcome {
    /// At least one reply was whole, and nothing more had begun.
    Completed,
    /// Turned away for want of room: told 503, or closed where even that had no room.
    Refused,
    /// A deadline struck within a head, a body or a reply.
    TimedOut,
    /// By the peer, within a message or before a byte of one.
    Aborted,
    /// By us: a file changed, an error of the system, a shutdown within a reply, a panic.
    Failed,
}

/// Why a request or a connection ended as it did: finer than [`ConnectionOutcome`], for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// The reply is whole.
    Complete,
    /// The peer went away within its request or our reply, or before a byte of one.
    ClientAbort,
    /// The head did not come in time.
    HeadTimeout,
    /// The body did not come in time.
    BodyTimeout,
    /// The reply was not read in time.
    SlowReader,
    /// The file was not any more what the head had promised.
    FileChanged,
    /// There was no room for the request.
    Overloaded,
    /// There was no room for what the peer did not read.
    SendBudgetExhausted,
    /// The shutdown_timeout was over.
    Shutdown,
    /// An error of the system or of a handler.
    Failed,
}

impl EndReason {
    /// What a connection that ends for this reason counts as: the one table of it.
    pub(crate) fn end(self) -> ConnectionOutcome {
        match self {
            EndReason::Complete => ConnectionOutcome::Completed,
            EndReason::ClientAbort => ConnectionOutcome::Aborted,
            EndReason::HeadTimeout | EndReason::BodyTimeout | EndReason::SlowReader => ConnectionOutcome::TimedOut,
            EndReason::Overloaded => ConnectionOutcome::Refused,
            EndReason::FileChanged | EndReason::SendBudgetExhausted | EndReason::Shutdown | EndReason::Failed => {
                ConnectionOutcome::Failed
            }
        }
    }

    /// As the log says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            EndReason::Complete => "complete",
            EndReason::ClientAbort => "client-abort",
            EndReason::HeadTimeout => "head-timeout",
            EndReason::BodyTimeout => "body-timeout",
            EndReason::SlowReader => "slow-send",
            EndReason::FileChanged => "file-changed",
            EndReason::Overloaded => "no-room",
            EndReason::SendBudgetExhausted => "unread",
            EndReason::Shutdown => "shutdown",
            EndReason::Failed => "failed",
        }
    }
}

/// The numbers of a server; of its connections, `accepted` is the sum of the others once all have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections accepted.
    pub accepted: u64,
    /// See [`ConnectionOutcome::Completed`].
    pub completed: u64,
    /// See [`ConnectionOutcome::Refused`].
    pub refused: u64,
    /// See [`ConnectionOutcome::TimedOut`].
    pub timed_out: u64,
    /// See [`ConnectionOutcome::Aborted`].
    pub aborted: u64,
    /// See [`ConnectionOutcome::Failed`].
    pub failed: u64,
    /// Replies that have ended, whole or cut short, by the class of their status: 2xx, 3xx, 4xx, 5xx.
    pub replies: [u64; 4],
    /// Bytes of these replies that the system has taken, heads and bodies.
    pub sent: u64,
    /// Queue of the access log that were lost so far; once the server has ended, also those that nobody has read.
    pub dropped_log_lines: u64,
}

impl Stats {
    /// How many connections have ended.
    pub fn ended(&self) -> u64 {
        self.completed + self.refused + self.timed_out + self.aborted + self.failed
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { accepted, completed, refused, timed_out, aborted, failed, dropped_log_lines, .. } = self;
        write!(f, "{accepted} connections: {completed} completed, {refused} refused, ")?;
        write!(f, "{timed_out} timed out, {aborted} aborted, {failed} failed")?;
        match dropped_log_lines {
            0 => Ok(()),
            lost => write!(f, "; {lost} lines of the log lost"),
        }
    }
}

/// The same, while it is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    ends: [AtomicU64; 5],
}

impl Counters {
    pub(crate) fn accept(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self, reason: EndReason) {
        self.ends[reason.end() as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn stats(&self) -> Stats {
        let [completed, refused, timed_out, aborted, failed] = [0, 1, 2, 3, 4].map(|i| self.ends[i].load(Relaxed));
        // Read last, so that it is never less than the sum of the others.
        Stats {
            accepted: self.accepted.load(Relaxed),
            completed,
            refused,
            timed_out,
            aborted,
            failed,
            ..Stats::default()
        }
    }
}
