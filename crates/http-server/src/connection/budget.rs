//! Memory that all connections may hold together. What is charged after it was needed can be refused to grow. What a
//! body needs is reserved before.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A sum of bytes, and its limit. Each connection remembers its own part of the sum, its charge.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    used: AtomicUsize,
    limit: usize,
}

impl MemoryBudget {
    pub(crate) const fn new(limit: usize) -> MemoryBudget {
        MemoryBudget { used: AtomicUsize::new(0), limit }
    }

    /// Replaces a connection's charge.
    pub(crate) fn update(&self, charge: &mut u32, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if bytes != *charge {
            self.used.fetch_add(bytes as usize, Relaxed);
            self.used.fetch_sub(*charge as usize, Relaxed);
            *charge = bytes;
        }
    }

    /// Whether the budget is exhausted for a connection with this charge that needs `bytes`. It may keep what it has.
    pub(crate) fn refuses(&self, charge: u32, bytes: usize) -> bool {
        bytes > charge as usize && self.used.load(Relaxed) >= self.limit
    }

    /// Whether a connection that comes from another budget can bring this many bytes. Together they stay within the
    /// limit: otherwise a connection could go back and forth, and grow each time.
    pub(crate) fn admits(&self, bytes: usize) -> bool {
        self.used.load(Relaxed).saturating_add(bytes) <= self.limit
    }
}

/// Memory for bodies that handlers collect. All of a body is reserved before it is received, so every body that has its
/// part can complete.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    reserved: AtomicUsize,
    /// Bodies that wait. While there are some, a new one waits as well, and the housekeeper reserves for them.
    waiting: AtomicUsize,
    limit: usize,
}

/// A body's part of the budget. It is small, as a part of each connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reservation {
    #[default]
    None,
    /// It waits for this many bytes.
    Wanted(u32),
    /// It has this many.
    Reserved(u32),
}

impl Reservation {
    /// Bytes that are reserved.
    pub(crate) fn reserved(self) -> usize {
        if let Reservation::Reserved(bytes) = self { bytes as usize } else { 0 }
    }
}

impl BodyBudget {
    pub(crate) const fn new(limit: usize) -> BodyBudget {
        BodyBudget { reserved: AtomicUsize::new(0), waiting: AtomicUsize::new(0), limit }
    }

    /// Whether this many bytes can ever be reserved.
    pub(crate) fn can_hold(&self, bytes: u64) -> bool {
        bytes <= self.limit.min(u32::MAX as usize) as u64
    }

    /// Reserves this many bytes for a new body. If that is impossible now, or others wait already, it waits as well.
    pub(crate) fn request(&self, bytes: u32) -> Reservation {
        if bytes == 0 {
            return Reservation::None;
        }
        if !self.has_waiters() && self.take(bytes) {
            return Reservation::Reserved(bytes);
        }
        self.waiting.fetch_add(1, Relaxed);
        Reservation::Wanted(bytes)
    }

    /// Reserves what a body waits for, if that is possible now.
    pub(crate) fn grant(&self, reservation: &mut Reservation) -> bool {
        let Reservation::Wanted(bytes) = *reservation else { return false };
        let granted = self.take(bytes);
        if granted {
            self.waiting.fetch_sub(1, Relaxed);
            *reservation = Reservation::Reserved(bytes);
        }
        granted
    }

    pub(crate) fn release(&self, reservation: &mut Reservation) {
        match std::mem::take(reservation) {
            Reservation::None => {}
            Reservation::Wanted(_) => drop(self.waiting.fetch_sub(1, Relaxed)),
            Reservation::Reserved(bytes) => drop(self.reserved.fetch_sub(bytes as usize, Relaxed)),
        }
    }

    pub(crate) fn has_waiters(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    pub(crate) fn free(&self) -> usize {
        self.limit - self.reserved.load(Relaxed)
    }

    fn take(&self, bytes: u32) -> bool {
        let sum = |reserved: usize| reserved.checked_add(bytes as usize).filter(|sum| *sum <= self.limit);
        self.reserved.fetch_update(Relaxed, Relaxed, sum).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_reserve_no_more_than_the_budget_and_wait_in_line() {
        use Reservation::{None, Reserved, Wanted};
        let budget = BodyBudget::new(100);
        assert!(budget.can_hold(100) && !budget.can_hold(101) && !budget.can_hold(u64::MAX));
        assert_eq!((budget.request(0), budget.request(60)), (None, Reserved(60)));
        let [mut large, mut small] = [budget.request(41), budget.request(40)];
        assert_eq!([large, small], [Wanted(41), Wanted(40)], "one that would fit waits behind one that does not");
        assert!(!budget.grant(&mut large) && budget.grant(&mut small) && budget.free() == 0);
        budget.release(&mut Reserved(60));
        assert!(budget.grant(&mut large) && !budget.has_waiters() && budget.free() == 19);
        for reservation in [&mut large, &mut small, &mut None] {
            budget.release(reservation);
            assert!(*reservation == None && !budget.grant(reservation));
        }
        assert_eq!((budget.free(), budget.request(u32::MAX)), (100, Wanted(u32::MAX)));
    }

    #[test]
    fn exhausted_budget_refuses_only_growth() {
        let budget = MemoryBudget::new(100);
        let (mut one, mut two) = (0, 0);
        budget.update(&mut one, 60);
        assert!(!budget.refuses(two, 1000), "the last charge may exceed the limit: it is one connection's");
        budget.update(&mut two, 40);
        assert!(budget.refuses(0, 1) && budget.refuses(one, 61) && !budget.refuses(one, 60) && !budget.refuses(0, 0));
        budget.update(&mut one, 59);
        assert!(!budget.refuses(two, 41));
        assert!(budget.admits(1) && !budget.admits(2));
        budget.update(&mut two, usize::MAX);
        assert_eq!(two, u32::MAX, "a charge saturates");
        budget.update(&mut one, 0);
        budget.update(&mut two, 0);
        assert_eq!(budget.used.load(Relaxed), 0, "every charge is returned");
    }
}
