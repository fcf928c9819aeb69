//! A slot: where one connection is parked, and how it passes between threads. It knows neither sockets nor readiness: its
//! caller says how a connection is armed.
//!
//! - The thread that takes a connection out owns it. Worker and housekeeper may both try; one of them gets it.
//! - A connection is registered once, and each change of its readiness is reported once. An event that finds the connection
//!   away is remembered, and parking the connection arms it again, so that the kernel repeats the event.
//! - The lock is held while a connection is armed and stored, so an event waits until the connection is there.
//! - An event of an earlier generation, for a connection that is closed, is dropped.

use crate::clock::Millis;
use crate::sync::{AtomicU64, Mutex, Relaxed, lock};

const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Slot<T> {
    /// The packed [`ParkDeadline`]. Written under the lock; the housekeeper reads it without the lock first.
    deadline: AtomicU64,
    state: Mutex<SlotState<T>>,
}

#[derive(Debug)]
struct SlotState<T> {
    generation: u32,
    /// An event came while the connection was away.
    event_pending: bool,
    parked: Option<T>,
}

/// When a parked connection times out, and whether it may be evicted to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParkDeadline {
    pub(crate) at: Millis,
    pub(crate) evictable: bool,
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Slot<T> {
        Slot {
            deadline: AtomicU64::new(NEVER),
            state: Mutex::new(SlotState { generation: 0, event_pending: false, parked: None }),
        }
    }

    /// Assigns the slot to a new connection and returns its generation. Events for the one before are stale from now on.
    pub(crate) fn allocate(&self) -> u32 {
        let mut state = lock(&self.state);
        state.generation = state.generation.wrapping_add(1);
        state.event_pending = false;
        state.generation
    }

    /// The connection is ready: takes it out if it is parked. Otherwise its holder learns of the event when it parks it.
    pub(crate) fn take_ready(&self, generation: u32) -> Option<T> {
        let mut state = lock(&self.state);
        if state.generation != generation {
            return None;
        }
        state.event_pending = state.parked.is_none();
        self.deadline.store(NEVER, Relaxed);
        state.parked.take()
    }

    /// Parks a connection. `arm` is told whether an event came meanwhile, which the kernel must then repeat.
    ///
    /// # Errors
    /// The connection itself, if it could not be armed.
    pub(crate) fn park(
        &self,
        mut connection: T,
        deadline: ParkDeadline,
        arm: impl FnOnce(&mut T, bool) -> bool,
    ) -> Result<(), T> {
        let mut state = lock(&self.state);
        if !arm(&mut connection, std::mem::take(&mut state.event_pending)) {
            return Err(connection);
        }
        self.deadline.store(deadline.pack(), Relaxed);
        state.parked = Some(connection);
        Ok(())
    }

    /// The deadline of the parked connection, if there is one.
    pub(crate) fn deadline(&self) -> Option<ParkDeadline> {
        let packed = self.deadline.load(Relaxed);
        (packed != NEVER).then_some(ParkDeadline { at: packed >> 1, evictable: packed & 1 == 1 })
    }

    /// Takes the parked connection out without an event, if there is one and the predicate holds for it.
    pub(crate) fn take_if(&self, predicate: impl FnOnce(&T, ParkDeadline) -> bool) -> Option<T> {
        let mut state = lock(&self.state);
        let deadline = self.deadline()?;
        if !predicate(state.parked.as_ref()?, deadline) {
            return None;
        }
        self.deadline.store(NEVER, Relaxed);
        state.parked.take()
    }
}

impl ParkDeadline {
    fn pack(self) -> u64 {
        self.at.min(NEVER >> 2) << 1 | u64::from(self.evictable)
    }
}

/// Every order of the steps of a few threads, tried by loom: seats and the rule for arming as they are, and a kernel in
/// small. What is proven: no edge is lost, a guest has one owner at a time and ends once, none sits out of the ticker's
/// sight, and nobody gets up for another's edge.
#[cfg(loom)]
#[cfg(test)] // clippy knows tests by this alone
mod tests {
    use super::*;
    use crate::connection::interest::Interest::{self, Read, Write, Yield};
    use loom::cell::Cell;
    use loom::sync::Arc;
    use loom::thread;
    use std::sync::atomic::AtomicUsize;

    /// Timeouts: one that has struck, and one that has not.
    const STRUCK: ParkDeadline = ParkDeadline { at: 1, evictable: true };
    const FAR: ParkDeadline = ParkDeadline { at: 2, evictable: false };

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
            interest == Yield || *self.level(interest) > 0
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

    struct FakeConnection {
        socket: Arc<Socket>,
        generation: u32,
        armed: Option<Interest>,
        deadline: ParkDeadline,
        /// What it needs from its peer, one after the other, and how much of that it had. Loom sees who touches it.
        plan: &'static [Interest],
        had: Cell<usize>,
    }

    impl FakeConnection {
        /// What it has to wait for.
        fn drive(&mut self) -> Option<Interest> {
            loop {
                let had = self.had.get();
                let what = *self.plan.get(had)?;
                let most = self.plan[had..].iter().take_while(|next| **next == what).count();
                let taken = if what == Yield { 1 } else { self.socket.take(what, most) };
                self.had.set(had + taken);
                // Less than was asked for is all there was. It does not look again: what comes later is event_pending.
                if what == Yield || taken < most {
                    return Some(what);
                }
            }
        }
    }

    /// One slot, its connection's socket, and how many connections have ended.
    struct Scene {
        slot: Slot<FakeConnection>,
        socket: Arc<Socket>,
        ended: AtomicUsize,
    }

    impl Scene {
        fn new() -> Arc<Scene> {
            Arc::new(Scene { slot: Slot::new(), socket: Arc::default(), ended: AtomicUsize::new(0) })
        }

        fn connection(&self, plan: &'static [Interest]) -> FakeConnection {
            let (socket, generation) = (self.socket.clone(), self.slot.allocate());
            FakeConnection { socket, generation, armed: None, deadline: STRUCK, plan, had: Cell::new(0) }
        }

        /// A worker's life, until nothing is reported: one that would wait longer is one that comes later.
        fn work(&self, socket: &Arc<Socket>) {
            while let Some(generation) = socket.reported() {
                if let Some(connection) = self.slot.take_ready(generation) {
                    assert!(Arc::ptr_eq(&connection.socket, socket), "another's edge");
                    self.turn(connection, FAR);
                }
            }
        }

        fn turn(&self, mut connection: FakeConnection, deadline: ParkDeadline) {
            match connection.drive() {
                Some(interest) => self.park(connection, interest, deadline),
                None => self.end(connection),
            }
        }

        fn park(&self, mut connection: FakeConnection, interest: Interest, deadline: ParkDeadline) {
            connection.deadline = deadline;
            let put = self.slot.park(connection, deadline, |connection, event_pending| {
                if interest.needs_rearm(connection.armed, event_pending) {
                    connection.socket.arm(connection.generation, interest);
                    connection.armed = Some(interest);
                }
                true
            });
            assert!(put.is_ok());
        }

        fn end(&self, connection: FakeConnection) {
            connection.had.set(usize::MAX);
            connection.socket.close();
            self.ended.fetch_add(1, Relaxed);
        }

        /// The housekeeper's look: for a connection whose deadline has struck.
        fn take_expired(&self) -> Option<FakeConnection> {
            let late = |deadline: ParkDeadline| deadline.at <= STRUCK.at;
            self.slot.deadline().filter(|deadline| late(*deadline))?;
            let connection = self.slot.take_if(|_, deadline| late(deadline))?;
            assert!(late(connection.deadline), "its deadline is another");
            Some(connection)
        }

        /// What is left when all have come to rest: how many have ended, and who sits.
        fn at_rest(&self) -> (usize, Option<FakeConnection>) {
            self.work(&self.socket);
            let deadline = self.slot.deadline();
            let connection = self.slot.take_if(|_, _| true);
            assert_eq!(
                deadline,
                connection.as_ref().map(|connection| connection.deadline),
                "out of the housekeeper's sight"
            );
            (self.ended.load(Relaxed), connection)
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
    fn given(scene: &Arc<Scene>, gifts: &[Interest], plan: &'static [Interest]) -> (usize, Option<FakeConnection>) {
        let connection = scene.connection(plan);
        let first = spawn(scene, |scene| {
            scene.turn(connection, FAR);
            scene.work(&scene.socket);
        });
        let second = spawn(scene, |scene| scene.work(&scene.socket));
        gifts.iter().for_each(|gift| scene.socket.give(*gift));
        first.join().unwrap();
        second.join().unwrap();
        scene.at_rest()
    }

    #[test]
    fn edge_is_delivered_whatever_the_order() {
        model(6, |scene| match given(&scene, &[Read; 2], &[Read; 3]) {
            (0, Some(connection)) => assert_eq!(connection.had.get(), 2, "bytes that nobody took"),
            _ => panic!("it has ended, or is nowhere"),
        });
    }

    #[test]
    fn edge_is_delivered_when_interest_changes() {
        model(6, |scene| {
            let left = given(&scene, &[Read, Read, Write], &[Read, Write, Yield, Yield, Read]);
            assert!(matches!(left, (1, None)), "bytes or room that nobody took");
        });
    }

    // The housekeeper gives it another turn, somebody needs its slot, and its bytes come: one gets it at a time, and it sits
    // or has ended.
    #[test]
    fn parked_connection_is_taken_out_once() {
        model(4, |scene| {
            scene.park(scene.connection(&[Read, Read]), Read, STRUCK);
            let worker = spawn(&scene, |scene| scene.work(&scene.socket));
            let housekeeper = spawn(&scene, |scene| {
                if let Some(connection) = scene.take_expired() {
                    scene.park(connection, Yield, FAR);
                }
            });
            let evictor = spawn(&scene, |scene| {
                if let Some(connection) = scene.slot.take_if(|_, deadline| deadline.evictable) {
                    assert!(connection.deadline.evictable, "it was busy");
                    scene.end(connection);
                }
            });
            scene.socket.give(Read);
            for thread in [worker, housekeeper, evictor] {
                thread.join().unwrap();
            }
            match scene.at_rest() {
                (1, None) => {}
                (0, Some(connection)) => assert_eq!(connection.had.get(), 1, "its byte was not taken"),
                (ended, connection) => {
                    panic!("{ended} ended, and {} sits", if connection.is_some() { "one" } else { "none" })
                }
            }
        });
    }

    #[test]
    fn stale_event_takes_out_no_later_connection() {
        model(6, |scene| {
            scene.park(scene.connection(&[Read]), Read, STRUCK);
            let next: Arc<Socket> = Arc::default();
            let worker = spawn(&scene, |scene| scene.work(&scene.socket));
            let housekeeper = spawn(&scene, {
                let next = next.clone();
                move |scene| {
                    let Some(connection) = scene.take_expired() else { return };
                    scene.end(connection);
                    let connection = FakeConnection { socket: next, ..scene.connection(&[Read]) };
                    scene.turn(connection, FAR);
                }
            });
            scene.socket.give(Read);
            next.give(Read);
            worker.join().unwrap();
            housekeeper.join().unwrap();
            scene.work(&next);
            let (ended, connection) = scene.at_rest();
            assert!(connection.is_none() && (1..=2).contains(&ended), "{ended} ended");
        });
    }
}
