//! A seat: where one connection waits, and how it passes from hand to hand. It knows neither sockets nor readiness; how a
//! guest is armed, its caller says.
//!
//! - Whoever takes a guest out owns it; so worker and ticker may both reach for one, and one of them gets it.
//! - A guest is registered once, and each change of its peer's readiness is announced once. An announcement that finds the
//!   guest away is kept, and whoever puts the guest back arms it anew, so that it is announced again.
//! - The lock is held across arming and putting back: an announcement waits until the guest is there.
//! - An announcement for another generation, of a guest that has left for good, is dropped.

use crate::clock::Millis;
use crate::sync::{AtomicU64, Mutex, MutexGuard, PoisonError, Relaxed};

const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Seat<G> {
    /// When the guest's patience ends, twice, and one more if it is idle. It is set under the lock; who looks for somebody
    /// looks without it first.
    patience: AtomicU64,
    place: Mutex<Place<G>>,
}

#[derive(Debug)]
struct Place<G> {
    generation: u32,
    /// Its peer was ready while the guest was away.
    announced: bool,
    guest: Option<G>,
}

/// How long a guest waits, and whether it is idle: then it may have to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    pub(crate) until: Millis,
    pub(crate) idle: bool,
}

impl<G> Seat<G> {
    pub(crate) fn new() -> Seat<G> {
        Seat {
            patience: AtomicU64::new(NEVER),
            place: Mutex::new(Place { generation: 0, announced: false, guest: None }),
        }
    }

    /// A new guest begins here; announcements for the last one mean nothing any more.
    pub(crate) fn begin(&self) -> u32 {
        let mut place = lock(&self.place);
        place.generation = place.generation.wrapping_add(1);
        place.announced = false;
        place.generation
    }

    /// The guest's peer is ready: the guest, if it is here. Else whoever has it will know.
    pub(crate) fn announce(&self, generation: u32) -> Option<G> {
        let mut place = lock(&self.place);
        if place.generation != generation {
            return None;
        }
        place.announced = place.guest.is_none();
        self.patience.store(NEVER, Relaxed);
        place.guest.take()
    }

    /// The guest is back, and waits. `arm` is told whether it must be announced again what was announced meanwhile.
    ///
    /// # Errors
    /// The guest itself, if it could not be armed.
    pub(crate) fn put(
        &self,
        mut guest: G,
        patience: Patience,
        arm: impl FnOnce(&mut G, bool) -> bool,
    ) -> Result<(), G> {
        let mut place = lock(&self.place);
        if !arm(&mut guest, std::mem::take(&mut place.announced)) {
            return Err(guest);
        }
        self.patience.store(patience.word(), Relaxed);
        place.guest = Some(guest);
        Ok(())
    }

    /// The guest's patience, if it is here.
    pub(crate) fn patience(&self) -> Option<Patience> {
        let word = self.patience.load(Relaxed);
        (word != NEVER).then_some(Patience { until: word >> 1, idle: word & 1 == 1 })
    }

    /// The guest gets up without an announcement, if there is one and it is to.
    pub(crate) fn leave(&self, which: impl FnOnce(&G, Patience) -> bool) -> Option<G> {
        let mut place = lock(&self.place);
        let patience = self.patience()?;
        if !which(place.guest.as_ref()?, patience) {
            return None;
        }
        self.patience.store(NEVER, Relaxed);
        place.guest.take()
    }
}

impl Patience {
    fn word(self) -> u64 {
        self.until.min(NEVER >> 2) << 1 | u64::from(self.idle)
    }
}

/// A lock whose holder panicked guards what it did before: each value here is changed in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
