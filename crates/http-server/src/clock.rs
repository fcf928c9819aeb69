//! The time, with the resolution of the kernel's tick. It costs a tenth of the exact time, and the kernel dates files
//! by the same clock.

use http_core::Date;
use rustix::time::{ClockId, clock_gettime};

/// Milliseconds on a clock that only goes forward.
pub(crate) type Millis = u64;

/// What `monotonic_ms` lags behind at most: a tick of the slowest kernels, and the fraction of a millisecond. What began
/// by this clock began up to so much later, so a deadline that must not come early is later by as much.
pub(crate) const MAX_LAG: Millis = 11;

pub(crate) fn monotonic_ms() -> Millis {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    time.tv_sec as Millis * 1000 + time.tv_nsec as Millis / 1_000_000
}

/// Nanoseconds on a clock that only goes forward, exactly, for lengths of turns and requests. It costs about 30 ns.
pub(crate) fn monotonic_ns() -> u64 {
    if cfg!(all(loom, test)) {
        return 0; // a model must run alike each time
    }
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The time of day. If the machine's clock is before 1970 or far beyond it, this is 1970.
pub(crate) fn http_date_now() -> Date {
    const EPOCH: Date = match Date::from_unix(0) {
        Some(date) => date,
        None => unreachable!(),
    };
    Date::from_unix(clock_gettime(ClockId::RealtimeCoarse).tv_sec.max(0)).unwrap_or(EPOCH)
}
