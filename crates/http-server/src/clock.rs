//! The time. On Linux it has the resolution of the kernel's tick: that costs a tenth of the exact time, and the kernel
//! dates files by the same clock.

use http_core::Date;

#[cfg(target_os = "linux")]
use self::linux as system;
#[cfg(not(target_os = "linux"))]
use self::portable as system;

/// Milliseconds on a clock that only goes forward.
pub(crate) type Millis = u64;

/// What `monotonic_ms` lags behind at most: a tick of the slowest kernels, and the fraction of a millisecond. What began
/// by this clock began up to so much later, so a deadline that must not come early is later by as much.
pub(crate) const MAX_LAG: Millis = 11;

pub(crate) fn monotonic_ms() -> Millis {
    system::monotonic_ms()
}

/// Nanoseconds on a clock that only goes forward, exactly, for lengths of turns and requests. It costs about 30 ns.
pub(crate) fn monotonic_ns() -> u64 {
    if cfg!(all(loom, test)) {
        return 0; // a model must run alike each time
    }
    system::monotonic_ns()
}

/// The time of day. If the machine's clock is before 1970 or far beyond it, this is 1970.
pub(crate) fn http_date_now() -> Date {
    const EPOCH: Date = match Date::from_unix(0) {
        Some(date) => date,
        None => unreachable!(),
    };
    Date::from_unix(system::unix_time().max(0)).unwrap_or(EPOCH)
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn monotonic_ms() -> u64 {
        let time = clock_gettime(ClockId::MonotonicCoarse);
        time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
    }

    pub(super) fn monotonic_ns() -> u64 {
        let time = clock_gettime(ClockId::Monotonic);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }

    pub(super) fn unix_time() -> i64 {
        clock_gettime(ClockId::RealtimeCoarse).tv_sec
    }
}

#[cfg(any(test, not(target_os = "linux")))]
mod portable {
    use std::sync::LazyLock;
    use std::time::{Instant, SystemTime};

    /// When the clock was first read.
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub(super) fn monotonic_ms() -> u64 {
        START.elapsed().as_millis() as u64
    }

    pub(super) fn monotonic_ns() -> u64 {
        START.elapsed().as_nanos() as u64
    }

    pub(super) fn unix_time() -> i64 {
        SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_of_std_and_of_linux_agree() {
        let begin = [portable::monotonic_ms(), portable::monotonic_ns() / 1_000_000, monotonic_ms()];
        std::thread::sleep(std::time::Duration::from_millis(50));
        let end = [portable::monotonic_ms(), portable::monotonic_ns() / 1_000_000, monotonic_ms() + MAX_LAG];
        for (begin, end) in begin.into_iter().zip(end) {
            assert!((50..5_000).contains(&(end - begin)), "{begin} {end}");
        }
        let apart = portable::unix_time() - http_date_now().unix();
        assert!((0..=1).contains(&apart), "{apart}");
    }
}
