//! Which failures are worth another try, and when. It sends nothing itself.

use std::thread;
use std::time::Duration;

use http_core::{Date, Method, header};

use crate::connection::Head;
use crate::error::{Error, Phase};
use crate::event::{Cause, Event, Observer};
use crate::timeouts::Deadline;

/// The longest wait between two tries. A server that asks for more is not asked again.
const LONGEST: Duration = Duration::from_secs(60);

/// The retries of a request, and when the last must be over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retries {
    used: u32,
    allowed: u32,
    pub(crate) deadline: Deadline,
}

impl Retries {
    pub(crate) fn new(allowed: u32, deadline: Deadline) -> Retries {
        Retries { used: 0, allowed, deadline }
    }

    /// The number of the next retry, the first being 1.
    pub(crate) fn next(&self) -> u32 {
        self.used.saturating_add(1)
    }

    /// Takes one retry, if one is left and the wait before it ends in time.
    pub(crate) fn take(&mut self, wait: Option<Duration>) -> Option<Duration> {
        let in_time = |wait: &Duration| self.deadline.left().is_none_or(|left| left > *wait);
        let wait = wait.filter(|wait| self.used < self.allowed && in_time(wait))?;
        self.used += 1;
        Some(wait)
    }
}

/// Waits before a retry, and says why.
pub(crate) fn wait(wait: Duration, cause: &dyn Cause, observer: &Observer) {
    observer.report(Event::Retrying(wait, cause));
    thread::sleep(wait);
}

/// How long to wait before this try, the first being 1, without a word from the server: 1, 2, 4 s and so on.
fn backoff(attempt: u32) -> Duration {
    Duration::from_secs(1 << (attempt - 1).min(6)).min(LONGEST)
}

/// The wait before another try after this error. `None`: it would fail again.
///
/// An error before the request was sent concerns every method. A later one only those that may be repeated.
pub(crate) fn after_error(error: &Error, is_idempotent: bool, attempt: u32) -> Option<Duration> {
    let is_worth = match error {
        Error::Connect { .. } | Error::TimedOut { phase: Phase::Resolving | Phase::Connecting, .. } => true,
        Error::TimedOut { .. } | Error::ConnectionLost { .. } => is_idempotent,
        Error::InvalidResponse(error) => error.is_truncated() && is_idempotent,
        _ => false,
    };
    is_worth.then(|| backoff(attempt))
}

/// The wait before another try after this response: as long as Retry-After says (RFC 9110 §10.2.3).
pub(crate) fn after_response(head: &Head, method: Method<'_>, attempt: u32, now: Option<Date>) -> Option<Duration> {
    if !method.is_idempotent() || !matches!(head.status.code(), 408 | 429 | 502 | 503 | 504) {
        return None;
    }
    let Some(value) = head.get(header::RETRY_AFTER) else { return Some(backoff(attempt)) };
    let wait = match value.as_str().and_then(|value| value.parse().ok()) {
        Some(seconds) => Duration::from_secs(seconds),
        None => {
            let until = Date::parse(value.as_bytes(), now?).ok()?;
            Duration::from_secs(until.unix().saturating_sub(now?.unix()).max(0) as u64)
        }
    };
    (wait <= LONGEST).then_some(wait)
}
