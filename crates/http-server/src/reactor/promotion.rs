//! The rule of the pool: how many workers may block at the same time, and when another one is promoted. It counts, and
//! knows neither threads nor locks.
//!
//! With `threads` threads, at most that many workers may block, and at most half of them on something that may hang.
//! One more may check whether cached files are current, which asks the disk, too. (Not with one thread, which serves one
//! request at a time.) There are two more workers than threads, so one is always left that waits for nothing but events:
//! it accepts, receives, refuses and ends.
//!
//! While turns are short, the worker that waits for events also serves them, because waking another worker for each
//! request would cost a fifth of it. So a turn begins with the permit to block. When turns become long, that changes:
//!
//! - The turns that blocked took long: the disk is slow. A turn begins without the permit, and asks for it when it is
//!   about to block. Another worker is then promoted first. So requests for cached files do not wait for the others.
//! - The other turns took long: handlers compute, or checks are slow. Another worker is promoted before each turn.
//!
//! Both are means, of some 64 turns each.

use crate::permit::{Ended, Permit};

#[derive(Debug)]
pub(crate) struct Promotion {
    threads: usize,
    handler_may_block: bool,
    /// Workers by their permit. Those with [`Permit::None`] are not counted.
    holders: [usize; 4],
    blocking_turns: Mean,
    other_turns: Mean,
}

/// What a turn begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) permit: Permit,
    /// Another worker is to wait for events meanwhile.
    pub(super) promotes: bool,
    /// Turns are short, so disks answer.
    pub(super) is_calm: bool,
}

impl Promotion {
    pub(super) fn new(threads: usize, handler_may_block: bool) -> Promotion {
        Promotion {
            threads,
            handler_may_block,
            holders: [0; 4],
            blocking_turns: Mean::default(),
            other_turns: Mean::default(),
        }
    }

    /// How many workers there must be, so that one always waits for nothing but events.
    pub(crate) const fn workers(threads: usize) -> usize {
        threads.saturating_add(2)
    }

    /// Begins a turn for an event, with the greatest permit that it may have and that is free.
    pub(super) fn begin_turn(&mut self) -> Start {
        let promotes = self.handler_may_block || self.turns_are_long();
        let asks = self.blocking_turns.is_long() && !promotes;
        let wanted = if asks { &[Permit::Check][..] } else { &[Permit::Block, Permit::Check] };
        let free = wanted.iter().find(|permit| self.exchange(Permit::None, **permit));
        let permit = free.copied().unwrap_or_default();
        Start { permit, promotes, is_calm: !self.turns_are_long() && !self.blocking_turns.is_long() }
    }

    /// Whether turns that do not block take long, and so are served one by one.
    pub(super) fn turns_are_long(&self) -> bool {
        self.other_turns.is_long()
    }

    /// Exchanges a permit for another, if one is free.
    pub(super) fn exchange(&mut self, held: Permit, wanted: Permit) -> bool {
        let mut holders = self.holders;
        holders[held as usize] = holders[held as usize].saturating_sub(1);
        holders[wanted as usize] += 1;
        let [_, checking, blocking, hanging] = holders;
        let most = if self.threads > 1 { self.threads + 1 } else { 1 };
        let may = match wanted {
            Permit::None => true,
            _ if checking + blocking + hanging > most => false,
            Permit::Check => true,
            Permit::Block => blocking + hanging <= self.threads,
            Permit::Hang => blocking + hanging <= self.threads && hanging <= self.threads.div_ceil(2),
        };
        if may {
            self.holders = holders;
        }
        may
    }

    pub(super) fn turn_ended(&mut self, turn: Ended) {
        self.exchange(turn.permit, Permit::None);
        let turns = if turn.has_blocked { &mut self.blocking_turns } else { &mut self.other_turns };
        turns.add(turn.nanoseconds);
    }

    /// A turn has not ended for so long that the means must not wait for it.
    pub(super) fn turn_stalled(&mut self) {
        self.disk_is_slow();
        self.other_turns.be_long();
    }

    /// So it is with a turn that blocks.
    pub(super) fn disk_is_slow(&mut self) {
        self.blocking_turns.be_long();
    }
}

/// The mean of durations, of which the last 64 count most.
#[derive(Debug, Default)]
struct Mean(u64);

impl Mean {
    const WEIGHT: u64 = 64;

    /// In nanoseconds. Two turns of 5 ms are enough to reach it, or 44 of 200 µs. At 64 µs, it does not fall again:
    /// workers that interrupt each other keep it above.
    const LONG: u64 = 100_000;

    /// A single turn counts no more than this, so that the mean falls soon after it.
    const MOST: u64 = 10_000_000;

    fn add(&mut self, nanoseconds: u64) {
        self.0 = self.0 - self.0 / Self::WEIGHT + nanoseconds.min(Self::MOST);
    }

    fn is_long(&self) -> bool {
        self.0 > Self::LONG * Self::WEIGHT
    }

    fn be_long(&mut self) {
        self.0 = self.0.max(2 * Self::LONG * Self::WEIGHT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ended(has_blocked: bool, microseconds: u64) -> Ended {
        Ended { permit: Permit::None, has_blocked, nanoseconds: microseconds * 1000 }
    }

    fn start(permit: Permit, promotes: bool, is_calm: bool) -> Start {
        Start { permit, promotes, is_calm }
    }

    #[test]
    fn worker_serves_short_turns_by_itself() {
        let mut promotion = Promotion::new(4, false);
        for _ in 0..1000 {
            promotion.turn_ended(ended(false, 99));
            promotion.turn_ended(ended(true, 99));
        }
        assert_eq!(promotion.begin_turn(), start(Permit::Block, false, true));
    }

    #[test]
    fn slow_disk_makes_turns_ask() {
        let mut promotion = Promotion::new(4, false);
        promotion.turn_ended(ended(true, 5000));
        assert_eq!(promotion.begin_turn(), start(Permit::Block, false, true));
        promotion.exchange(Permit::Block, Permit::None);
        promotion.turn_ended(ended(true, 5000));
        assert_eq!(promotion.begin_turn(), start(Permit::Check, false, false));
        promotion.exchange(Permit::Check, Permit::None);
        (0..100).for_each(|_| promotion.turn_ended(ended(true, 10)));
        assert_eq!(promotion.begin_turn(), start(Permit::Block, false, true), "it is fast again");
    }

    #[test]
    fn long_turns_promote_another_worker_before_each() {
        let mut promotion = Promotion::new(4, false);
        (0..43).for_each(|_| promotion.turn_ended(ended(false, 200)));
        assert!(!promotion.turns_are_long());
        (0..3).for_each(|_| promotion.turn_ended(ended(false, 200)));
        assert_eq!(promotion.begin_turn(), start(Permit::Block, true, false));
        assert_eq!(Promotion::new(4, true).begin_turn(), start(Permit::Block, true, true), "the handler may block");
    }

    #[test]
    fn one_stalled_turn_is_forgotten_soon() {
        let mut promotion = Promotion::new(4, false);
        promotion.turn_stalled();
        assert!(promotion.turns_are_long());
        promotion.turn_ended(ended(false, 60_000_000));
        (0..100).for_each(|_| promotion.turn_ended(ended(false, 5)));
        assert!(!promotion.turns_are_long());
    }

    // Whatever workers ask for, at most `threads` block, half of them on what may hang, and one holds no permit.
    proptest! {
        #[test]
        fn one_worker_is_always_free(threads in 1usize..9, steps in proptest::collection::vec((0usize..11, 0usize..5), 0..200)) {
            const PERMITS: [Permit; 4] = [Permit::None, Permit::Check, Permit::Block, Permit::Hang];
            let mut promotion = Promotion::new(threads, false);
            let mut workers = vec![Permit::None; Promotion::workers(threads)];
            for (worker, wanted) in steps {
                let Some(held) = workers.get_mut(worker) else { continue };
                match PERMITS.get(wanted) {
                    Some(wanted) if wanted > held && promotion.exchange(*held, *wanted) => *held = *wanted,
                    Some(_) => {}
                    None => {
                        promotion.turn_ended(Ended { permit: *held, ..ended(true, 1) });
                        *held = promotion.begin_turn().permit;
                    }
                }
                let count = |least: Permit| workers.iter().filter(|held| **held >= least).count();
                prop_assert_eq!(promotion.holders[1..].iter().sum::<usize>(), count(Permit::Check));
                prop_assert!(count(Permit::Block) <= threads);
                prop_assert!(count(Permit::Hang) <= threads.div_ceil(2));
                prop_assert!(count(Permit::Check) < workers.len(), "no worker is free");
            }
        }
    }
}
