//! How requests and connections end, and how many ended each way. Every accepted connection ends exactly once.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http_core::Status;

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
pub(crate) enum EndReason {
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
    /// The outcome of a connection that ends for this reason.
    pub(crate) fn outcome(self) -> ConnectionOutcome {
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

/// The statistics of a server. Once all connections have ended, `accepted` is the sum of the five outcomes.
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
    /// Responses that have ended, complete or not.
    pub responses: ResponsesByClass,
    /// Bytes of these responses that the kernel has accepted, heads and bodies, without interim responses.
    pub bytes_sent: u64,
    /// Lines of the access log that were lost so far: each counts at the moment when it is dropped or cannot be written.
    /// Once the server has ended, this includes lines that still waited.
    pub dropped_log_lines: u64,
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

/// The counters behind [`Stats`]. They have cache lines of their own: all workers write them, and read the data beside
/// them at every request.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    accepted: AtomicU64,
    outcomes: [AtomicU64; 5],
    responses: [AtomicU64; 4],
    bytes_sent: AtomicU64,
}

impl Counters {
    pub(crate) fn connection_accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    pub(crate) fn connection_ended(&self, reason: EndReason) {
        self.outcomes[reason.outcome() as usize].fetch_add(1, Relaxed);
    }

    /// A response has ended, complete or not, after this many bytes.
    pub(crate) fn response_ended(&self, status: Status, bytes: u64) {
        let class = usize::from(status.code() / 100).clamp(2, 5);
        self.responses[class - 2].fetch_add(1, Relaxed);
        self.bytes_sent.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn stats(&self, dropped_log_lines: u64) -> Stats {
        let load = |counter: &AtomicU64| counter.load(Relaxed);
        let [completed, refused, timed_out, aborted, failed] = self.outcomes.each_ref().map(load);
        let [success, redirect, client_error, server_error] = self.responses.each_ref().map(load);
        Stats {
            accepted: load(&self.accepted), // after the outcomes, so that it is never less than their sum
            completed,
            refused,
            timed_out,
            aborted,
            failed,
            responses: ResponsesByClass { success, redirect, client_error, server_error },
            bytes_sent: load(&self.bytes_sent),
            dropped_log_lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_is_counted_in_the_class_of_its_status() {
        let counters = Counters::default();
        for code in [200, 206, 301, 304, 400, 404, 416, 503] {
            counters.response_ended(Status::new(code).unwrap(), 10);
        }
        let Stats { responses, bytes_sent, dropped_log_lines, .. } = counters.stats(7);
        let expected = ResponsesByClass { success: 2, redirect: 2, client_error: 3, server_error: 1 };
        assert_eq!((responses, bytes_sent, dropped_log_lines), (expected, 80, 7));
    }

    #[test]
    fn connection_is_counted_by_its_outcome() {
        use EndReason::{BodyTimeout, ClientAbort, Complete, Failed, HeadTimeout, Overloaded, Shutdown, SlowReader};
        let counters = Counters::default();
        let reasons = [Complete, Overloaded, HeadTimeout, BodyTimeout, SlowReader, ClientAbort, Failed, Shutdown];
        for reason in reasons {
            counters.connection_accepted();
            counters.connection_ended(reason);
        }
        let stats = counters.stats(0);
        let expected = Stats { accepted: 8, completed: 1, refused: 1, timed_out: 3, aborted: 1, failed: 2, ..stats };
        assert_eq!((stats, stats.ended()), (expected, 8));
        assert_eq!(stats.to_string(), "8 connections: 1 completed, 1 refused, 3 timed out, 1 aborted, 2 failed");
        let stats = Stats { accepted: 1, completed: 1, dropped_log_lines: 1, ..Stats::default() };
        let expected = "1 connection: 1 completed, 0 refused, 0 timed out, 0 aborted, 0 failed; 1 log line lost";
        assert_eq!(stats.to_string(), expected);
    }
}
