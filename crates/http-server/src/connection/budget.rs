//! Memory that all parked connections may hold together.

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

#[cfg(test)]
mod tests {
    use super::*;

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
