//! A slot: where one connection is parked, and how it passes between threads. It knows neither sockets nor readiness:
//! its caller says how a connection is armed.
//!
//! - The thread that takes a connection out owns it. Worker and housekeeper may both try; one of them gets it.
//! - A connection is registered once, and each change of its readiness is reported once. An event that comes while the
//!   connection is taken out is remembered. Parking the connection then arms it again, so that the kernel repeats the
//!   event.
//! - The lock is held while a connection is armed and stored, so an event waits until the connection is there.
//! - An event of an earlier generation, for a connection that is closed, is dropped.

use crate::clock::Millis;
use crate::stats::SlotUse;
use crate::sync::{AtomicU64, Mutex, Relaxed, lock};

#[derive(Debug)]
pub(crate) struct Slot<T> {
    /// The [`SlotUse`] and, of a parked connection, the deadline: both in one word, which others may read without the
    /// lock. A slot becomes free, and ceases to be so, under the lock of the acceptor.
    usage: AtomicU64,
    state: Mutex<SlotState<T>>,
}

#[derive(Debug)]
struct SlotState<T> {
    generation: u32,
    /// An event came while the connection was taken out.
    event_pending: bool,
    parked: Option<T>,
}

/// When a parked connection times out, and what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParkDeadline {
    pub(crate) at: Millis,
    pub(crate) used_for: SlotUse,
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Slot<T> {
        Slot {
            usage: AtomicU64::new(pack(NEVER, SlotUse::Free)),
            state: Mutex::new(SlotState { generation: 0, event_pending: false, parked: None }),
        }
    }

    /// Assigns the slot to a new connection and returns its generation. Events for the previous connection are stale
    /// from now on.
    pub(crate) fn allocate(&self) -> u32 {
        let mut state = lock(&self.state);
        state.generation = state.generation.wrapping_add(1);
        state.event_pending = false;
        state.generation
    }

    /// Takes the connection out after an event, if it is parked. Otherwise the event is remembered until it is parked.
    pub(crate) fn take_ready(&self, generation: u32) -> Option<T> {
        let mut state = lock(&self.state);
        if state.generation != generation {
            return None;
        }
        state.event_pending = state.parked.is_none();
        if !state.event_pending {
            self.set_use(SlotUse::Active); // otherwise it may be free already
        }
        state.parked.take()
    }

    /// Parks a connection. `arm` receives whether an event came meanwhile, which the kernel must then repeat.
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
        self.usage.store(pack(deadline.at, deadline.used_for), Relaxed);
        state.parked = Some(connection);
        Ok(())
    }

    /// What it is used for.
    pub(crate) fn used_for(&self) -> SlotUse {
        SlotUse::ALL[self.usage.load(Relaxed) as usize % SlotUse::ALL.len()]
    }

    /// Only the owner of its connection, or of the free slot, may call this.
    pub(crate) fn set_use(&self, used_for: SlotUse) {
        self.usage.store(pack(NEVER, used_for), Relaxed);
    }

    /// The deadline of the parked connection, if there is one.
    pub(crate) fn deadline(&self) -> Option<ParkDeadline> {
        let packed = self.usage.load(Relaxed);
        let used_for = SlotUse::ALL[packed as usize % SlotUse::ALL.len()];
        (used_for >= SlotUse::Head).then_some(ParkDeadline { at: packed >> USE_BITS, used_for })
    }

    /// Takes the parked connection out without an event, if there is one and the predicate holds for it.
    pub(crate) fn take_if(&self, predicate: impl FnOnce(&T, ParkDeadline) -> bool) -> Option<T> {
        let mut state = lock(&self.state);
        let deadline = self.deadline()?;
        if !predicate(state.parked.as_ref()?, deadline) {
            return None;
        }
        self.set_use(SlotUse::Active);
        state.parked.take()
    }
}

const USE_BITS: u32 = SlotUse::ALL.len().ilog2();
const NEVER: Millis = Millis::MAX >> USE_BITS;

fn pack(at: Millis, used_for: SlotUse) -> u64 {
    at.min(NEVER) << USE_BITS | used_for as u64
}

impl ParkDeadline {
    /// Whether the connection may be closed to make room.
    pub(crate) fn is_evictable(self) -> bool {
        self.used_for == SlotUse::Idle
    }
}

/// Every order of the steps of a few threads, tried by loom: the real slot and the real rule for arming, on a small
/// model of the kernel. It proves that no edge is lost or wakes another connection, and that a connection has one owner
/// at a time and ends once. It also proves that the housekeeper sees every parked connection.
#[cfg(loom)]
#[cfg(test)] // on a line of its own, because that is what clippy recognises
mod tests {
    use super::*;
    use crate::connection::interest::Interest::{self, Read, Write, Yield};
    use crate::stats::{ConnectionCounts, EndReason, OpenConnections};
    use loom::cell::Cell;
    use loom::sync::Arc;
    use loom::thread;
    use std::sync::atomic::AtomicUsize;

    /// A deadline that has passed, and one that has not.
    const PASSED: ParkDeadline = ParkDeadline { at: 1, used_for: SlotUse::Idle };
    const FAR: ParkDeadline = ParkDeadline { at: 2, used_for: SlotUse::Head };

    /// A socket with its entry in an epoll set.
    #[derive(Default)]
    struct Socket(Mutex<Entry>);

    #[derive(Default)]
    struct Entry {
        bytes: usize,
        space: usize,
        armed: Option<(u32, Interest)>,
        /// Whether the kernel's ready list has the entry. It holds each entry once.
        listed: bool,
    }

    impl Entry {
        fn level(&mut self, interest: Interest) -> &mut usize {
            if interest == Write { &mut self.space } else { &mut self.bytes }
        }

        fn is_ready(&mut self, interest: Interest) -> bool {
            interest == Yield || *self.level(interest) > 0
        }
    }

    impl Socket {
        /// The peer sends a byte, or makes space for one.
        fn give(&self, what: Interest) {
            let mut entry = lock(&self.0);
            *entry.level(what) += 1;
            entry.listed |= entry.armed.is_some_and(|(_, interest)| interest == what);
        }

        fn take(&self, what: Interest, max: usize) -> usize {
            let mut entry = lock(&self.0);
            let level = entry.level(what);
            let taken = max.min(*level);
            *level -= taken;
            taken
        }

        fn arm(&self, generation: u32, interest: Interest) {
            let mut entry = lock(&self.0);
            entry.armed = Some((generation, interest));
            entry.listed |= entry.is_ready(interest);
        }

        /// The generation that an edge is reported for, if there is one: a wait that does not block.
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
        /// What it needs from its peer, in order, and how much of that it has received. Loom checks that one thread at
        /// a time uses it.
        plan: &'static [Interest],
        had: Cell<usize>,
    }

    impl FakeConnection {
        /// Proceeds as far as it can. Returns what it waits for, or `None` at the end of its plan.
        fn drive(&mut self) -> Option<Interest> {
            loop {
                let had = self.had.get();
                let what = *self.plan.get(had)?;
                let wanted = self.plan[had..].iter().take_while(|next| **next == what).count();
                let taken = if what == Yield { 1 } else { self.socket.take(what, wanted) };
                self.had.set(had + taken);
                // A short read took everything, so it does not read again: an event announces what comes later.
                if what == Yield || taken < wanted {
                    return Some(what);
                }
            }
        }
    }

    /// One slot, the socket of its connection, and how many connections have ended.
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
            FakeConnection { socket, generation, armed: None, deadline: PASSED, plan, had: Cell::new(0) }
        }

        /// Runs a worker until no edge is reported. A worker that waits longer is the same as one that starts later.
        fn work(&self, socket: &Arc<Socket>) {
            while let Some(generation) = socket.reported() {
                if let Some(connection) = self.slot.take_ready(generation) {
                    assert!(Arc::ptr_eq(&connection.socket, socket), "the edge of another connection");
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
            let parked = self.slot.park(connection, deadline, |connection, event_pending| {
                if interest.needs_rearm(connection.armed, event_pending) {
                    connection.socket.arm(connection.generation, interest);
                    connection.armed = Some(interest);
                }
                true
            });
            assert!(parked.is_ok());
        }

        fn end(&self, connection: FakeConnection) {
            connection.had.set(usize::MAX);
            connection.socket.close();
            self.ended.fetch_add(1, Relaxed);
        }

        /// Takes out a connection whose deadline has passed, as the housekeeper does.
        fn take_expired(&self) -> Option<FakeConnection> {
            let is_due = |deadline: ParkDeadline| deadline.at <= PASSED.at;
            self.slot.deadline().filter(|deadline| is_due(*deadline))?;
            let connection = self.slot.take_if(|_, deadline| is_due(deadline))?;
            assert!(is_due(connection.deadline), "it was parked with another deadline");
            Some(connection)
        }

        /// What is left after all threads have ended: the number of ended connections, and the parked one.
        fn outcome(&self) -> (usize, Option<FakeConnection>) {
            self.work(&self.socket);
            let deadline = self.slot.deadline();
            let connection = self.slot.take_if(|_, _| true);
            assert_eq!(
                deadline,
                connection.as_ref().map(|connection| connection.deadline),
                "the housekeeper does not see it"
            );
            (self.ended.load(Relaxed), connection)
        }
    }

    /// Tries every order with at most this many preemptions. Without a limit it takes minutes.
    fn model(preemptions: usize, body: impl Fn(Arc<Scene>) + Send + Sync + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(preemptions);
        model.check(move || body(Scene::new()));
    }

    fn spawn(scene: &Arc<Scene>, run: impl FnOnce(&Scene) + 'static) -> thread::JoinHandle<()> {
        let scene = scene.clone();
        thread::spawn(move || run(&scene))
    }

    /// Runs two workers, one of which has a new connection, while the peer gives what is `given`. Returns what is left.
    fn run_workers(
        scene: &Arc<Scene>,
        given: &[Interest],
        plan: &'static [Interest],
    ) -> (usize, Option<FakeConnection>) {
        let connection = scene.connection(plan);
        let first = spawn(scene, |scene| {
            scene.turn(connection, FAR);
            scene.work(&scene.socket);
        });
        let second = spawn(scene, |scene| scene.work(&scene.socket));
        given.iter().for_each(|what| scene.socket.give(*what));
        first.join().unwrap();
        second.join().unwrap();
        scene.outcome()
    }

    #[test]
    fn edge_is_delivered_in_every_order() {
        model(6, |scene| match run_workers(&scene, &[Read; 2], &[Read; 3]) {
            (0, Some(connection)) => assert_eq!(connection.had.get(), 2, "bytes were left"),
            _ => panic!("it has ended, or is lost"),
        });
    }

    #[test]
    fn edge_is_delivered_when_interest_changes() {
        model(6, |scene| {
            let left = run_workers(&scene, &[Read, Read, Write], &[Read, Write, Yield, Yield, Read]);
            assert!(matches!(left, (1, None)), "bytes or space were left");
        });
    }

    // The deadline passes, the connection is evicted, and its bytes come, all at once. It has one owner at a time, and
    // at the end it is parked or closed.
    #[test]
    fn parked_connection_is_taken_out_once() {
        model(4, |scene| {
            scene.park(scene.connection(&[Read, Read]), Read, PASSED);
            let worker = spawn(&scene, |scene| scene.work(&scene.socket));
            let housekeeper = spawn(&scene, |scene| {
                if let Some(connection) = scene.take_expired() {
                    scene.park(connection, Yield, FAR);
                }
            });
            let evictor = spawn(&scene, |scene| {
                if let Some(connection) = scene.slot.take_if(|_, deadline| deadline.is_evictable()) {
                    assert!(connection.deadline.is_evictable(), "a busy connection was evicted");
                    scene.end(connection);
                }
            });
            scene.socket.give(Read);
            for thread in [worker, housekeeper, evictor] {
                thread.join().unwrap();
            }
            match scene.outcome() {
                (1, None) => {}
                (0, Some(connection)) => assert_eq!(connection.had.get(), 1, "its byte was not received"),
                (ended, connection) => {
                    panic!("{ended} ended, and {} is parked", if connection.is_some() { "one" } else { "none" })
                }
            }
        });
    }

    // As the acceptor counts them, under its lock, while connections come and go.
    #[test]
    fn accepted_connections_are_those_in_slots_and_those_that_ended() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let table = Arc::new(([Slot::new(), Slot::new()], Mutex::new(ConnectionCounts::default())));
            let workers = [0, 1].map(|n| {
                let table = table.clone();
                thread::spawn(move || {
                    let (slot, counts) = (&table.0[n], &table.1);
                    let mut locked = lock(counts);
                    slot.set_use(SlotUse::Active);
                    locked.accepted();
                    drop(locked);
                    slot.park((), FAR, |(), _| true).unwrap();
                    slot.take_if(|(), _| true).unwrap();
                    let mut locked = lock(counts);
                    slot.set_use(SlotUse::Free);
                    locked.ended(EndReason::Complete);
                })
            });
            let (slots, counts) = &*table;
            for _ in 0..2 {
                let (counts, mut open) = (lock(counts), OpenConnections::default());
                slots.iter().for_each(|slot| open.count(slot.used_for()));
                let stats = counts.stats(open);
                assert_eq!(stats.accepted, open.total() + stats.ended());
            }
            workers.into_iter().for_each(|worker| worker.join().unwrap());
        });
    }

    #[test]
    fn stale_event_takes_out_no_later_connection() {
        model(6, |scene| {
            scene.park(scene.connection(&[Read]), Read, PASSED);
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
            let (ended, connection) = scene.outcome();
            assert!(connection.is_none() && (1..=2).contains(&ended), "{ended} ended");
        });
    }
}
