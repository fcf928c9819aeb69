//! Moments: when a request had come whole, and when something was looked at. A look serves every request that was whole
//! before it, as if it had been made for that one.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst, fence};

/// How many looks have begun, by all workers of all servers: they may share what they look at.
static LOOKS: AtomicU64 = AtomicU64::new(0);

/// So many looks had begun. One with a greater number sees what is so then or later, since all can read its number before it
/// sees anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(u64);

impl Moment {
    /// Nothing was received yet: no look is late enough.
    pub(crate) const NONE: Moment = Moment(u64::MAX);

    /// Bytes were received just now.
    pub(crate) fn of_receipt() -> Moment {
        Moment(LOOKS.load(SeqCst))
    }
}

/// The number of the last look that found something to be as it was.
#[derive(Debug, Default)]
pub(crate) struct Look(AtomicU64);

impl Look {
    /// Whether it is still so, for a request that was whole at this moment: `see` looks, unless somebody has since.
    pub(crate) fn holds(&self, whole: Moment, see: impl FnOnce() -> bool) -> bool {
        if self.0.load(Relaxed) > whole.0 {
            return true;
        }
        let number = LOOKS.fetch_add(1, SeqCst) + 1;
        fence(SeqCst); // nothing is seen before all can read it
        let holds = see();
        if holds {
            self.0.store(number, Relaxed);
        }
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_serves_who_was_whole_before_it_and_nobody_else() {
        let look = Look::default();
        assert!(!look.holds(Moment::NONE, || false), "it is looked at");
        let (first, second) = (Moment::of_receipt(), Moment::of_receipt());
        assert!(look.holds(first, || true), "nobody has looked");
        let never = || -> bool { panic!("it was looked at since") };
        assert!(look.holds(second, never) && look.holds(first, never));
        let third = Moment::of_receipt();
        let mut fourth = third;
        assert!(!look.holds(third, || false), "it came after the look");
        let see = || {
            fourth = Moment::of_receipt(); // while it is looked at
            true
        };
        assert!(look.holds(third, see), "what was found to be otherwise is looked at again");
        let mut looks = 0;
        assert!(look.holds(third, never));
        assert!(look.holds(fourth, || {
            looks += 1;
            true
        }));
        assert_eq!(looks, 1, "it may have come after what was seen");
    }
}
