//! A seat: where one connection waits, and how it passes from hand to hand. It knows neither sockets nor readiness; how a
//! guest is armed, its caller says.
//!
//! - Whoever takes a guest out owns it; so worker and ticker may both reach for one, and one of them gets it.
//! - A guest is registered once, and each change of its peer's readiness is announced once. An announcement that finds the
//!   guest away is kept, and whoever puts the guest back arms it anew, so that it is announced again.
//! - The lock is held across arming and putting back: an announcement waits until the guest is there.
//! - An announcement for another generation, of a guest that has left for good, is dropped.

use crate::clock::Millis;
use crate::sync::{AtomicU64, Mutex, Relaxed, lock};

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

/// Every order of the steps of a few threads, tried by loom: seats and the rule for arming as they are, and a kernel in
/// small. What is proven: no edge is lost, a guest has one owner at a time and ends once, none sits out of the ticker's
/// sight, and nobody gets up for another's edge.
#[cfg(loom)]
#[cfg(test)] // clippy knows tests by this alone
mod tests {
    use super::*;
    use crate::lobby::Interest::{self, Read, Turn, Write};
    use loom::cell::Cell;
    use loom::sync::Arc;
    use loom::thread;
    use std::sync::atomic::AtomicUsize;

    /// Deadlines: one that has struck, and one that has not.
    const STRUCK: Patience = Patience { until: 1, idle: true };
    const FAR: Patience = Patience { until: 2, idle: false };

    /// A socket, and its entry in an epoll set.
    #[derive(Default)]
    struct Socket(Mutex<Entry>);

    #[derive(Default)]
    struct Entry {
        bytes: usize,
        room: usize,
        armed: Option<(u32, Interest)>,
        /// In the list of those that may be ready, which holds each once.
        listed: bool,
    }

    impl Entry {
        fn level(&mut self, interest: Interest) -> &mut usize {
            if interest == Write { &mut self.room } else { &mut self.bytes }
        }

        fn is_ready(&mut self, interest: Interest) -> bool {
            interest == Turn || *self.level(interest) > 0
        }
    }

    impl Socket {
        /// The peer sends a byte, or makes room for one.
        fn give(&self, what: Interest) {
            let mut entry = lock(&self.0);
            *entry.level(what) += 1;
            entry.listed |= entry.armed.is_some_and(|(_, interest)| interest == what);
        }

        fn take(&self, what: Interest, most: usize) -> usize {
            let mut entry = lock(&self.0);
            let level = entry.level(what);
            let taken = most.min(*level);
            *level -= taken;
            taken
        }

        fn arm(&self, generation: u32, interest: Interest) {
            let mut entry = lock(&self.0);
            entry.armed = Some((generation, interest));
            entry.listed |= entry.is_ready(interest);
        }

        /// Whose edge there is: the lobby's `wait`, where it would not block.
        fn reported(&self) -> Option<u32> {
            let mut entry = lock(&self.0);
            let (generation, interest) = entry.armed.filter(|_| entry.listed)?;
            entry.listed = false;
            entry.is_ready(interest).then_some(generation)
        }

        fn close(&self) {
            *lock(&self.0) = Entry::default();
        }
    }

    struct Guest {
        socket: Arc<Socket>,
        generation: u32,
        armed: Option<Interest>,
        patience: Patience,
        /// What it needs from its peer, one after the other, and how much of that it had. Loom sees who touches it.
        plan: &'static [Interest],
        had: Cell<usize>,
    }

    impl Guest {
        /// What it has to wait for.
        fn drive(&mut self) -> Option<Interest> {
            loop {
                let had = self.had.get();
                let what = *self.plan.get(had)?;
                let most = self.plan[had..].iter().take_while(|next| **next == what).count();
                let taken = if what == Turn { 1 } else { self.socket.take(what, most) };
                self.had.set(had + taken);
                // Less than was asked for is all there was. It does not look again: what comes later is announced.
                if what == Turn || taken < most {
                    return Some(what);
                }
            }
        }
    }

    /// One seat, its guest's socket, and how many guests have ended.
    struct Scene {
        seat: Seat<Guest>,
        socket: Arc<Socket>,
        ended: AtomicUsize,
    }

    impl Scene {
        fn new() -> Arc<Scene> {
            Arc::new(Scene { seat: Seat::new(), socket: Arc::default(), ended: AtomicUsize::new(0) })
        }

        fn guest(&self, plan: &'static [Interest]) -> Guest {
            let (socket, generation) = (self.socket.clone(), self.seat.begin());
            Guest { socket, generation, armed: None, patience: STRUCK, plan, had: Cell::new(0) }
        }

        /// A worker's life, until nothing is reported: one that would wait longer is one that comes later.
        fn work(&self, socket: &Arc<Socket>) {
            while let Some(generation) = socket.reported() {
                if let Some(guest) = self.seat.announce(generation) {
                    assert!(Arc::ptr_eq(&guest.socket, socket), "another's edge");
                    self.turn(guest, FAR);
                }
            }
        }

        fn turn(&self, mut guest: Guest, patience: Patience) {
            match guest.drive() {
                Some(interest) => self.detach(guest, interest, patience),
                None => self.end(guest),
            }
        }

        fn park(&self, mut guest: Guest, interest: Interest, patience: Patience) {
            guest.patience = patience;
            let put = self.seat.put(guest, patience, |guest, announced| {
                if interest.must_be_armed(guest.armed, announced) {
                    guest.socket.arm(guest.generation, interest);
                    guest.armed = Some(interest);
                }
                true
            });
            assert!(put.is_ok());
        }

        fn end(&self, guest: Guest) {
            guest.had.set(usize::MAX);
            guest.socket.close();
            self.ended.fetch_add(1, Relaxed);
        }

        /// The ticker's look: for a guest whose deadline has struck.
        fn expired(&self) -> Option<Guest> {
            let late = |patience: Patience| patience.until <= STRUCK.until;
            self.seat.patience().filter(|patience| late(*patience))?;
            let guest = self.seat.leave(|_, patience| late(patience))?;
            assert!(late(guest.patience), "its deadline is another");
            Some(guest)
        }

        /// What is left when all have come to rest: how many have ended, and who sits.
        fn at_rest(&self) -> (usize, Option<Guest>) {
            self.work(&self.socket);
            let patience = self.seat.patience();
            let guest = self.seat.leave(|_, _| true);
            assert_eq!(patience, guest.as_ref().map(|guest| guest.patience), "out of the ticker's sight");
            (self.ended.load(Relaxed), guest)
        }
    }

    /// Every order in which a thread that could go on has to stop at most so many times; without a bound it takes minutes.
    fn model(stops: usize, body: impl Fn(Arc<Scene>) + Send + Sync + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(stops);
        model.check(move || body(Scene::new()));
    }

    fn spawn(scene: &Arc<Scene>, run: impl FnOnce(&Scene) + 'static) -> thread::JoinHandle<()> {
        let scene = scene.clone();
        thread::spawn(move || run(&scene))
    }

    /// Two workers, one of whom it comes to first, and a peer who gives all this: what is left.
    fn given(scene: &Arc<Scene>, gifts: &[Interest], plan: &'static [Interest]) -> (usize, Option<Guest>) {
        let guest = scene.guest(plan);
        let first = spawn(scene, |scene| {
            scene.turn(guest, FAR);
            scene.work(&scene.socket);
        });
        let second = spawn(scene, |scene| scene.work(&scene.socket));
        gifts.iter().for_each(|gift| scene.socket.give(*gift));
        first.join().unwrap();
        second.join().unwrap();
        scene.at_rest()
    }

    #[test]
    fn no_edge_is_lost() {
        model(6, |scene| match given(&scene, &[Read; 2], &[Read; 3]) {
            (0, Some(guest)) => assert_eq!(guest.had.get(), 2, "bytes that nobody took"),
            _ => panic!("it has ended, or is nowhere"),
        });
    }

    #[test]
    fn no_edge_is_lost_where_interests_change() {
        model(6, |scene| {
            let left = given(&scene, &[Read, Read, Write], &[Read, Write, Turn, Turn, Read]);
            assert!(matches!(left, (1, None)), "bytes or room that nobody took");
        });
    }

    // The ticker gives it another turn, somebody needs its seat, and its bytes come: one gets it at a time, and it sits
    // or has ended.
    #[test]
    fn who_gets_up_gets_up_once() {
        model(4, |scene| {
            scene.detach(scene.guest(&[Read, Read]), Read, STRUCK);
            let worker = spawn(&scene, |scene| scene.work(&scene.socket));
            let ticker = spawn(&scene, |scene| {
                if let Some(guest) = scene.expired() {
                    scene.detach(guest, Turn, FAR);
                }
            });
            let shedder = spawn(&scene, |scene| {
                if let Some(guest) = scene.seat.leave(|_, patience| patience.idle) {
                    assert!(guest.patience.idle, "it was busy");
                    scene.end(guest);
                }
            });
            scene.socket.give(Read);
            for thread in [worker, ticker, shedder] {
                thread.join().unwrap();
            }
            match scene.at_rest() {
                (1, None) => {}
                (0, Some(guest)) => assert_eq!(guest.had.get(), 1, "its byte was not taken"),
                (ended, guest) => panic!("{ended} ended, and {} sits", if guest.is_some() { "one" } else { "none" }),
            }
        });
    }

    #[test]
    fn nobody_gets_up_for_the_last_guests_edge() {
        model(6, |scene| {
            scene.detach(scene.guest(&[Read]), Read, STRUCK);
            let next: Arc<Socket> = Arc::default();
            let worker = spawn(&scene, |scene| scene.work(&scene.socket));
            let ticker = spawn(&scene, {
                let next = next.clone();
                move |scene| {
                    let Some(guest) = scene.expired() else { return };
                    scene.end(guest);
                    let guest = Guest { socket: next, ..scene.guest(&[Read]) };
                    scene.turn(guest, FAR);
                }
            });
            scene.socket.give(Read);
            next.give(Read);
            worker.join().unwrap();
            ticker.join().unwrap();
            scene.work(&next);
            let (ended, guest) = scene.at_rest();
            assert!(guest.is_none() && (1..=2).contains(&ended), "{ended} ended");
        });
    }
}
