//! How requests and connections end, and how many connections ended each way: the numbers of a server. Every accepted
//! connection ends exactly once.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
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

/// Why a request or a connection ended as it did: finer than [`End`], for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The reply is whole.
    Complete,
    /// The peer went away within its request or our reply, or before a byte of one.
    ClientAbort,
    /// The head did not come in time.
    HeadTimeout,
    /// The body did not come in time.
    BodyTimeout,
    /// The reply was not read in time.
    SlowSend,
    /// The file was not any more what the head had promised.
    FileChanged,
    /// There was no room for the request.
    Overloaded,
    /// There was no room for what the peer did not read.
    Unread,
    /// The grace was over.
    Shutdown,
    /// An error of the system or of a handler.
    Failed,
}

impl Reason {
    /// What a connection that ends for this reason counts as: the one table of it.
    pub(crate) fn end(self) -> End {
        match self {
            Reason::Complete => End::Completed,
            Reason::ClientAbort => End::Aborted,
            Reason::HeadTimeout | Reason::BodyTimeout | Reason::SlowSend => End::TimedOut,
            Reason::Overloaded => End::Refused,
            Reason::FileChanged | Reason::Unread | Reason::Shutdown | Reason::Failed => End::Failed,
        }
    }

    /// As the log says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Complete => "complete",
            Reason::ClientAbort => "client-abort",
            Reason::HeadTimeout => "head-timeout",
            Reason::BodyTimeout => "body-timeout",
            Reason::SlowSend => "slow-send",
            Reason::FileChanged => "file-changed",
            Reason::Overloaded => "no-room",
            Reason::Unread => "unread",
            Reason::Shutdown => "shutdown",
            Reason::Failed => "failed",
        }
    }
}

/// The numbers of a server; of its connections, `accepted` is the sum of the others once all have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections accepted.
    pub accepted: u64,
    /// See [`End::Completed`].
    pub completed: u64,
    /// See [`End::Refused`].
    pub refused: u64,
    /// See [`End::TimedOut`].
    pub timed_out: u64,
    /// See [`End::Aborted`].
    pub aborted: u64,
    /// See [`End::Failed`].
    pub failed: u64,
    /// Replies that have ended, whole or cut short, by the class of their status: 2xx, 3xx, 4xx, 5xx.
    pub replies: [u64; 4],
    /// Bytes of these replies that the system has taken, heads and bodies.
    pub sent: u64,
    /// Lines of the access log that were lost so far; once the server has ended, also those that nobody has read.
    pub lost_lines: u64,
}

impl Counts {
    /// How many connections have ended.
    pub fn ended(&self) -> u64 {
        self.completed + self.refused + self.timed_out + self.aborted + self.failed
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { accepted, completed, refused, timed_out, aborted, failed, lost_lines, .. } = self;
        write!(f, "{accepted} connections: {completed} completed, {refused} refused, ")?;
        write!(f, "{timed_out} timed out, {aborted} aborted, {failed} failed")?;
        match lost_lines {
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

    pub(crate) fn end(&self, reason: Reason) {
        self.ends[reason.end() as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        let [completed, refused, timed_out, aborted, failed] = [0, 1, 2, 3, 4].map(|i| self.ends[i].load(Relaxed));
        // Read last, so that it is never less than the sum of the others.
        Counts {
            accepted: self.accepted.load(Relaxed),
            completed,
            refused,
            timed_out,
            aborted,
            failed,
            ..Counts::default()
        }
    }
}
