//! The time, as coarse as the kernel's tick: a tenth of the price of the exact one, and the clock by which it dates files.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_core::Date;
use rustix::time::{ClockId, clock_gettime};

/// Milliseconds on a clock that only goes forward.
pub(crate) type Millis = u64;

pub(crate) fn now() -> Millis {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    time.tv_sec as Millis * 1000 + time.tv_nsec as Millis / 1_000_000
}

/// The time of day; 1970 on a machine whose clock is before or far beyond that.
pub(crate) fn today() -> Date {
    const EPOCH: Date = match Date::from_unix(0) {
        Some(date) => date,
        None => unreachable!(),
    };
    Date::from_unix(clock_gettime(ClockId::RealtimeCoarse).tv_sec.max(0)).unwrap_or(EPOCH)
}

/// A time that the system has noted of a file; nanoseconds count forward in years before 1970, too.
pub(crate) fn of_file(seconds: i64, nanoseconds: i128) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let begin = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    begin?.checked_add(Duration::new(0, u32::try_from(nanoseconds).ok()?))
}
