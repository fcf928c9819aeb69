//! How long a peer may take for what its connection is doing. It knows no socket and reads no clock.

use std::mem;
use std::time::Duration;

use http_core::server::Phase;

use crate::clock::Millis;
use crate::connection::interest::Interest;
use crate::timeouts::{self, BUSY_GRACE, SLOW_READER_AFTER, Timeouts};

/// The phase that a connection is in, when it began, and how many bytes have moved in it.
#[derive(Debug)]
pub(crate) struct PhaseTimer {
    phase: Phase,
    phase_started: Millis,
    /// Bytes that moved in this phase, in its one direction.
    bytes_moved: u64,
    last_progress: Millis,
    /// The deadline of this phase was postponed.
    grace_used: bool,
    /// The peer let a response wait. From then on the kernel buffers less of it, so that the peer's progress is
    /// visible.
    slow_reader: bool,
}

impl PhaseTimer {
    /// For a connection that was just accepted. The time for its first head runs from here, whether a byte comes or
    /// not.
    pub(crate) fn new(now: Millis) -> PhaseTimer {
        PhaseTimer {
            phase: Phase::Head,
            phase_started: now,
            bytes_moved: 0,
            last_progress: now,
            grace_used: false,
            slow_reader: false,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn phase_started(&self) -> Millis {
        self.phase_started
    }

    pub(crate) fn bytes_moved(&self) -> u64 {
        self.bytes_moved
    }

    pub(crate) fn last_progress(&self) -> Millis {
        self.last_progress
    }

    pub(crate) fn enter(&mut self, phase: Phase, now: Millis) {
        *self = PhaseTimer { phase, slow_reader: self.slow_reader, ..PhaseTimer::new(now) };
    }

    pub(crate) fn record_progress(&mut self, bytes: u64, now: Millis) {
        self.bytes_moved += bytes;
        self.last_progress = now;
    }

    /// The deadline of a connection that waits for this. A response that waits for its reader times out early, once, to
    /// find out whether the reader is slow.
    pub(crate) fn deadline(&self, timeouts: &Timeouts, waits_for: Interest) -> Millis {
        let after = |timeout: Duration| self.phase_started.saturating_add(timeout.as_millis() as Millis);
        match self.phase {
            Phase::Idle => after(timeouts.idle),
            Phase::Head => after(timeouts.head),
            Phase::Closing => timeouts::linger(self.phase_started, self.last_progress),
            _ => {
                let deadline = timeouts.body_deadline(self.phase_started, self.bytes_moved, self.last_progress);
                if waits_for == Interest::Write && !self.slow_reader {
                    deadline.min(self.last_progress + SLOW_READER_AFTER)
                } else {
                    deadline
                }
            }
        }
    }

    /// The bytes per second in this phase, once it has lasted for this long. 0 if no byte came for as long, whatever
    /// came before.
    pub(crate) fn rate_after(&self, time: Millis, now: Millis) -> Option<u64> {
        let elapsed = now.saturating_sub(self.phase_started);
        let has_stalled = now.saturating_sub(self.last_progress) >= time;
        (elapsed >= time).then(|| if has_stalled { 0 } else { self.bytes_moved * 1000 / elapsed.max(1) })
    }

    /// Records that the peer reads slowly. Returns whether that is new.
    pub(crate) fn mark_slow_reader(&mut self) -> bool {
        !mem::replace(&mut self.slow_reader, true)
    }

    /// Lets the peer take as long as at first: it has read all that it could, and the workers were late.
    pub(crate) fn excuse(&mut self, timeouts: &Timeouts, now: Millis) {
        self.last_progress = now;
        let deadline = timeouts.body_deadline(self.phase_started, self.bytes_moved, now);
        self.phase_started += now.saturating_sub(deadline) + timeouts.body_millis();
    }

    /// Postpones the deadline to a second from now. It does so once per phase if input is waiting: the peer was in time,
    /// and the workers were not. And it does so whenever the deadline is noticed late, because the process was stopped.
    pub(crate) fn grant_grace(&mut self, timeouts: &Timeouts, now: Millis, has_input: impl FnOnce() -> bool) -> bool {
        let late = now.saturating_sub(self.deadline(timeouts, Interest::Read));
        if late < BUSY_GRACE && (self.grace_used || !has_input()) {
            return false;
        }
        self.grace_used = true;
        self.phase_started += late + BUSY_GRACE;
        self.last_progress += late + BUSY_GRACE;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeouts::LINGER_MAX_BYTES;

    const TIMEOUTS: Timeouts = Timeouts {
        head: Duration::from_secs(3),
        idle: Duration::from_secs(5),
        body: Duration::from_secs(10),
        min_rate: 1024,
    };

    fn in_phase(phase: Phase) -> PhaseTimer {
        let mut timer = PhaseTimer::new(0);
        timer.enter(phase, 1_000);
        timer
    }

    fn read_deadline(timer: &PhaseTimer) -> Millis {
        timer.deadline(&TIMEOUTS, Interest::Read)
    }

    #[test]
    fn each_phase_has_its_timeout() {
        assert_eq!(read_deadline(&PhaseTimer::new(1_000)), 4_000, "the first head's time runs from the accept");
        for (phase, deadline) in [
            (Phase::Head, 4_000),
            (Phase::Idle, 6_000),
            (Phase::Body, 11_000),
            (Phase::Responding, 11_000),
            (Phase::Closing, 3_000),
        ] {
            assert_eq!(read_deadline(&in_phase(phase)), deadline, "{phase:?}");
        }
    }

    #[test]
    fn single_byte_restarts_no_deadline() {
        for (phase, deadline) in [(Phase::Head, 4_000), (Phase::Idle, 6_000), (Phase::Body, 11_000)] {
            let mut timer = in_phase(phase);
            (1..=3).for_each(|second| timer.record_progress(1, 1_000 * second));
            assert!((deadline..deadline + 10).contains(&read_deadline(&timer)), "{phase:?}");
        }
    }

    #[test]
    fn body_that_keeps_the_rate_goes_on_and_one_that_stalls_ends() {
        let mut timer = in_phase(Phase::Body);
        for second in 1..=100 {
            timer.record_progress(1024, 1_000 + second * 1_000);
            assert_eq!(read_deadline(&timer), 11_000 + second * 1_000);
        }
        // A large allowance is worth 64 s without a byte.
        timer.record_progress(1 << 30, 102_000);
        assert_eq!(read_deadline(&timer), 102_000 + 64_000);
    }

    #[test]
    fn rate_counts_after_a_time_and_is_0_after_as_long_without_a_byte() {
        let mut timer = in_phase(Phase::Body);
        timer.record_progress(3_000, 5_000);
        let rates = [1_000, 10_999, 11_000, 14_999, 15_000, 21_000].map(|now| timer.rate_after(10_000, now));
        assert_eq!(rates, [None, None, Some(300), Some(214), Some(0), Some(0)]);
        assert_eq!(timer.rate_after(0, 1_000), Some(0));
    }

    #[test]
    fn lingering_ends_after_a_pause_or_in_all() {
        let mut timer = in_phase(Phase::Closing);
        for second in 2..=10 {
            timer.record_progress(1, second * 1_000);
            assert_eq!(read_deadline(&timer), (second * 1_000 + 2_000).min(11_000));
        }
        assert!(timer.bytes_moved() < LINGER_MAX_BYTES);
    }

    #[test]
    fn waiting_response_times_out_early_once() {
        let mut timer = in_phase(Phase::Responding);
        timer.record_progress(100_000, 5_000);
        let write_deadline = |timer: &PhaseTimer| timer.deadline(&TIMEOUTS, Interest::Write);
        assert_eq!(write_deadline(&timer), 6_000);
        let full = read_deadline(&timer);
        assert!(full > 60_000, "{full}");
        assert!(timer.mark_slow_reader());
        assert_eq!(write_deadline(&timer), full);
        assert!(!timer.mark_slow_reader());
        timer.enter(Phase::Responding, 200_000);
        assert_eq!(write_deadline(&timer), 210_000, "the socket stays as it was set");
    }

    #[test]
    fn excused_reader_has_ten_seconds_from_then() {
        for bytes in [1, 100_000] {
            let mut timer = in_phase(Phase::Responding);
            timer.record_progress(bytes, 2_000);
            timer.mark_slow_reader();
            for now in [500_000, 600_000, 605_000] {
                timer.excuse(&TIMEOUTS, now);
                let deadline = timer.deadline(&TIMEOUTS, Interest::Write);
                assert!((now + 10_000..=now + 20_000).contains(&deadline), "{bytes} {now} {deadline}");
            }
        }
    }

    #[test]
    fn grace_is_granted_once_a_phase_and_only_with_input() {
        let mut timer = in_phase(Phase::Head);
        assert!(!timer.grant_grace(&TIMEOUTS, 4_000, || false));
        assert_eq!(read_deadline(&timer), 4_000);
        assert!(timer.grant_grace(&TIMEOUTS, 4_100, || true));
        assert_eq!(read_deadline(&timer), 5_100);
        assert!(!timer.grant_grace(&TIMEOUTS, 5_200, || panic!("it must not check the socket")));
        timer.enter(Phase::Body, 5_000);
        assert!(timer.grant_grace(&TIMEOUTS, 15_000, || true));
        assert_eq!(read_deadline(&timer), 16_000);
    }

    #[test]
    fn after_a_pause_there_is_grace_from_then_on() {
        for phase in [Phase::Head, Phase::Idle, Phase::Body, Phase::Closing] {
            let mut timer = in_phase(phase);
            timer.record_progress(1, 2_000);
            for now in [100_000, 200_000] {
                assert!(timer.grant_grace(&TIMEOUTS, now, || false), "{phase:?}");
                assert_eq!(read_deadline(&timer), now + 1_000, "{phase:?}");
                assert!(!timer.grant_grace(&TIMEOUTS, now + 1_100, || true), "{phase:?}");
            }
        }
        // What a body receives then counts as usual, so it goes on if it keeps the rate.
        let mut timer = in_phase(Phase::Body);
        assert!(timer.grant_grace(&TIMEOUTS, 100_000, || false));
        timer.record_progress(20 << 10, 100_000);
        assert_eq!(read_deadline(&timer), 121_000);
    }
}
