//! Which failures are worth another try, and when. It sends nothing itself.

use std::time::Duration;

use http_core::{Date, Method, header};

use crate::connection::Head;
use crate::error::{Error, Phase};

/// The longest wait between two tries. A server that asks for more is not asked again.
const LONGEST: Duration = Duration::from_secs(60);

/// How long to wait before this try, the first being 1, without a word from the server: 1, 2, 4 s and so on.
fn backoff(attempt: u32) -> Duration {
    Duration::from_secs(1 << (attempt - 1).min(6)).min(LONGEST)
}

/// The wait before another try after this error. `None`: it would fail again.
///
/// An error before the request was sent concerns every method. A later one only those that may be repeated.
pub(crate) fn after_error(error: &Error, method: Method<'_>, attempt: u32) -> Option<Duration> {
    let is_worth = match error {
        Error::Connect { .. } | Error::TimedOut { phase: Phase::Resolving | Phase::Connecting, .. } => true,
        Error::TimedOut { .. } | Error::ConnectionLost { .. } => method.is_idempotent(),
        Error::InvalidResponse(error) => error.is_truncated() && method.is_idempotent(),
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
