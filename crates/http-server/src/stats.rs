//! How requests and connections end, how many ended each way, and how many are open. Every accepted connection ends
//! exactly once.

use std::fmt;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionOutcome {
    /// At least one response was complete, and nothing more had begun.
    Completed,
    /// The server was full: it sent a 503, or closed the connection at once.
    Refused,
    /// A timeout passed within a head, a body or a response.
    TimedOut,
    /// The peer ended it, within a message or before the first byte of one.
    Aborted,
    /// The server ended it: a file changed, a system call failed, a handler panicked, or a shutdown cut a response
    /// short.
    Failed,
}

/// Why a request or a connection ended, as the log records it. [`ConnectionOutcome`] is coarser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// The response is complete.
    Complete,
    /// The peer disconnected within its request or our response, or before the first byte of a request.
    ClientAbort,
    /// The head did not come in time.
    HeadTimeout,
    /// The body did not come in time.
    BodyTimeout,
    /// The response was not read in time.
    SlowReader,
    /// The file is no longer what the head promised.
    FileChanged,
    /// There was no slot or no memory for the request.
    Overloaded,
    /// There was no memory for what the peer did not read.
    SendBudgetExhausted,
    /// The shutdown timeout passed.
    Shutdown,
    /// An error of the system or of a handler.
    Failed,
}

impl EndReason {
    /// All of them, each at its own index.
    pub(crate) const ALL: [EndReason; 10] = [
        EndReason::Complete,
        EndReason::ClientAbort,
        EndReason::HeadTimeout,
        EndReason::BodyTimeout,
        EndReason::SlowReader,
        EndReason::FileChanged,
        EndReason::Overloaded,
        EndReason::SendBudgetExhausted,
        EndReason::Shutdown,
        EndReason::Failed,
    ];

    /// The outcome of a connection that ends for this reason.
    pub fn outcome(self) -> ConnectionOutcome {
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

    /// The name in the JSON log.
    pub fn name(self) -> &'static str {
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

/// The statistics of a server. At every moment `accepted` is the sum of the open connections and the five outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that have not ended.
    pub open: OpenConnections,
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
    /// Responses that have ended, complete or not.
    pub responses: ResponsesByClass,
    /// Bytes of these responses that the kernel has accepted, heads and bodies, without interim responses.
    pub bytes_sent: u64,
    /// Lines of the access log that were lost so far: each counts at the moment when it is dropped or cannot be written.
    /// Once the server has ended, this includes lines that still waited.
    pub dropped_log_lines: u64,
    pub(crate) ended: [u64; EndReason::ALL.len()],
}

/// Open connections by what they do. Each is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenConnections {
    /// A worker serves it, or will take it next.
    pub active: u64,
    /// Its request waits until a worker may block, or until a login is verified.
    pub held: u64,
    /// Parked until the rest of its first head, or of a further one, arrives.
    pub head: u64,
    /// Parked between two requests.
    pub idle: u64,
    /// Parked until more of a request's body arrives, or memory for it is free.
    pub body: u64,
    /// Parked until its client reads more of a response, or until its next turn.
    pub response: u64,
    /// Parked until its client closes too, after everything was sent.
    pub closing: u64,
}

/// What a slot is used for. Those from [`Head`](SlotUse::Head) on are parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum SlotUse {
    Free,
    /// Its connection is taken out.
    Active,
    /// Its connection is put aside.
    Held,
    Head,
    /// Its connection is between two requests and may be evicted to make room.
    Idle,
    Body,
    Response,
    Closing,
}

impl SlotUse {
    /// All of them, each at its own index.
    pub(crate) const ALL: [SlotUse; 8] = [
        SlotUse::Free,
        SlotUse::Active,
        SlotUse::Held,
        SlotUse::Head,
        SlotUse::Idle,
        SlotUse::Body,
        SlotUse::Response,
        SlotUse::Closing,
    ];
}

impl OpenConnections {
    /// Counts one more slot.
    pub(crate) fn count(&mut self, slot: SlotUse) {
        *match slot {
            SlotUse::Free => return,
            SlotUse::Active => &mut self.active,
            SlotUse::Held => &mut self.held,
            SlotUse::Head => &mut self.head,
            SlotUse::Idle => &mut self.idle,
            SlotUse::Body => &mut self.body,
            SlotUse::Response => &mut self.response,
            SlotUse::Closing => &mut self.closing,
        } += 1;
    }

    /// All that are open.
    pub fn total(&self) -> u64 {
        self.active + self.held + self.parked()
    }

    /// Those that wait for their clients, and take no thread.
    pub fn parked(&self) -> u64 {
        self.head + self.idle + self.body + self.response + self.closing
    }
}

/// Numbers of responses by the class of their status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponsesByClass {
    /// 2xx.
    pub success: u64,
    /// 3xx.
    pub redirect: u64,
    /// 4xx.
    pub client_error: u64,
    /// 5xx.
    pub server_error: u64,
}

impl Stats {
    /// How many connections have ended.
    pub fn ended(&self) -> u64 {
        self.completed + self.refused + self.timed_out + self.aborted + self.failed
    }

    /// How many connections have ended for each reason.
    pub fn ended_by_reason(&self) -> impl Iterator<Item = (EndReason, u64)> + use<> {
        EndReason::ALL.into_iter().zip(self.ended)
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { accepted, completed, refused, timed_out, aborted, failed, dropped_log_lines, .. } = self;
        let s = |n: u64| if n == 1 { "" } else { "s" };
        write!(f, "{accepted} connection{}: {completed} completed, {refused} refused, ", s(*accepted))?;
        write!(f, "{timed_out} timed out, {aborted} aborted, {failed} failed")?;
        match dropped_log_lines {
            0 => Ok(()),
            lost => write!(f, "; {lost} log line{} lost", s(*lost)),
        }
    }
}

/// The open connections of an engine, and how many there were.
pub(crate) trait ConnectionTable: fmt::Debug + Send + Sync {
    /// How many were accepted, are open, and have ended: all at one moment. The rest of the statistics is 0.
    fn stats(&self) -> Stats;
}

/// How many connections were accepted and have ended. Whoever owns the slots owns this too, and changes both under one
/// lock, so that they always agree.
#[derive(Debug, Default)]
pub(crate) struct ConnectionCounts {
    accepted: u64,
    ended: [u64; EndReason::ALL.len()],
}

impl ConnectionCounts {
    pub(crate) fn accepted(&mut self) {
        self.accepted += 1;
    }

    pub(crate) fn ended(&mut self, reason: EndReason) {
        self.ended[reason as usize] += 1;
    }

    /// The statistics of the connections, while this many are open.
    pub(crate) fn stats(&self, open: OpenConnections) -> Stats {
        let mut stats = Stats { accepted: self.accepted, open, ended: self.ended, ..Stats::default() };
        for (reason, n) in stats.ended_by_reason() {
            *match reason.outcome() {
                ConnectionOutcome::Completed => &mut stats.completed,
                ConnectionOutcome::Refused => &mut stats.refused,
                ConnectionOutcome::TimedOut => &mut stats.timed_out,
                ConnectionOutcome::Aborted => &mut stats.aborted,
                ConnectionOutcome::Failed => &mut stats.failed,
            } += n;
        }
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_is_counted_by_its_reason_and_its_outcome() {
        let mut counts = ConnectionCounts::default();
        for (index, reason) in EndReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason:?}");
            counts.accepted();
            counts.ended(reason);
        }
        counts.accepted();
        let stats = counts.stats(OpenConnections { idle: 1, ..OpenConnections::default() });
        let expected = Stats { accepted: 11, completed: 1, refused: 1, timed_out: 3, aborted: 1, failed: 4, ..stats };
        assert_eq!((stats, stats.ended(), stats.open.total()), (expected, 10, 1));
        assert!(stats.ended_by_reason().all(|(_, n)| n == 1));
        assert_eq!(stats.to_string(), "11 connections: 1 completed, 1 refused, 3 timed out, 1 aborted, 4 failed");
        let stats = Stats { accepted: 1, completed: 1, dropped_log_lines: 1, ..Stats::default() };
        let expected = "1 connection: 1 completed, 0 refused, 0 timed out, 0 aborted, 0 failed; 1 log line lost";
        assert_eq!(stats.to_string(), expected);
    }
}
