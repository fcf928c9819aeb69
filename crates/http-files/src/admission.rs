//! Which files a full cache takes in: those that were missed before. It knows only hashes.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// The hashes of names that were missed lately.
///
/// Where clients request many more files than the cache holds, most misses are of files that nobody requests again soon.
/// To cache each of them would replace files that are as good, and the memory of those is in no processor's cache.
#[derive(Debug)]
pub(crate) struct Admission {
    /// The upper half of a hash, at the place that its lower half says. A newer one replaces it.
    missed: Box<[AtomicU32]>,
    /// Whether the cache was full at the last insertion. Until then everything is admitted.
    is_full: AtomicBool,
}

impl Admission {
    /// Remembers about this many misses, for 4 bytes each.
    pub(crate) fn new(misses: usize) -> Admission {
        let missed = (0..misses.next_power_of_two()).map(|_| AtomicU32::new(0)).collect();
        Admission { missed, is_full: AtomicBool::new(false) }
    }

    /// Whether a name with this hash, which has just been missed, is to be inserted.
    pub(crate) fn admits(&self, hash: u64) -> bool {
        if !self.is_full.load(Relaxed) {
            return true;
        }
        let place = hash as usize & (self.missed.len() - 1);
        let upper = (hash >> 32) as u32;
        self.missed[place].swap(upper, Relaxed) == upper
    }

    /// Records whether an insertion had to evict something.
    pub(crate) fn record(&self, evicted: bool) {
        if self.is_full.load(Relaxed) != evicted {
            self.is_full.store(evicted, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_cache_admits_what_was_missed_before() {
        let admission = Admission::new(3);
        assert!(admission.admits(1 << 32), "it is not full yet");
        admission.record(true);
        assert_eq!([1 << 32, 1 << 32, 2 << 32].map(|hash| admission.admits(hash)), [false, true, false]);
        assert!(!admission.admits(1 << 32), "another one took its place");
        assert!(!admission.admits(3 << 32 | 1) && admission.admits(1 << 32), "there are several places");
        admission.record(false);
        assert!(admission.admits(9 << 32));
    }
}
