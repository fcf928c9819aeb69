//! The queue of ready connections, served in the Leader/Followers pattern (Schmidt et al., Pattern-Oriented Software
//! Architecture, volume 2): one worker, the leader, waits for events; the followers sleep.
//!
//! The leader serves the events itself and then waits again. Handing each event to another worker would cost a fifth of
//! a small request, and several waiting workers cost twice as much as one. A follower is promoted when one worker is
//! not enough: after a wait that returned a full batch, and before work that may block. The housekeeper promotes one
//! when no worker has waited or taken an event for a while.

use std::collections::VecDeque;
use std::fmt;
use std::sync::PoisonError;

use super::batch;
use super::poller::{EventFlags, EventSource, MAX_EVENTS, Poller};
use super::token::NOTIFY_TOKEN;
use crate::handler::LeaderHandle;
use crate::sync::{Condvar, Mutex, MutexGuard, lock};

/// What a worker has to serve next.
#[derive(Debug)]
pub(crate) enum Event<T> {
    /// The kernel reported this key. `more_ready`: the next event is of this kind too.
    Ready { key: u64, flags: EventFlags, more_ready: bool },
    /// A connection that was deferred.
    Deferred(T),
}

pub(crate) struct ReadyQueue<T, P = Poller> {
    pub(crate) poller: P,
    state: Mutex<QueueState<T>>,
    promoted: Condvar,
}

struct QueueState<T> {
    /// Events that no worker has taken yet.
    events: VecDeque<Event<T>>,
    has_leader: bool,
    idle_followers: usize,
    /// Rises with each event taken and with each wait.
    progress: u64,
    shut_down: bool,
}

impl<T, P: EventSource> ReadyQueue<T, P> {
    pub(crate) fn new(poller: P) -> ReadyQueue<T, P> {
        let state =
            QueueState { events: VecDeque::new(), has_leader: false, idle_followers: 0, progress: 0, shut_down: false };
        ReadyQueue { poller, state: Mutex::new(state), promoted: Condvar::new() }
    }

    /// Returns the next event, or `None` once the queue is shut down. `deferred` goes back into the queue first.
    pub(crate) fn next(&self, deferred: Option<T>) -> Option<Event<T>> {
        let mut state = lock(&self.state);
        if let Some(connection) = deferred {
            let position = batch::deferred_position(state.events.len());
            state.events.insert(position, Event::Deferred(connection));
        }
        loop {
            if let Some(mut event) = state.events.pop_front() {
                state.progress += 1;
                if let Event::Ready { more_ready, .. } = &mut event {
                    *more_ready = matches!(state.events.front(), Some(Event::Ready { .. }));
                }
                return Some(event);
            }
            if state.shut_down {
                return None;
            }
            state = if state.has_leader { self.wait_as_follower(state) } else { self.wait_as_leader(state) };
        }
    }

    /// Queues an event again after the next one, because more may have arrived for its key. So new and known
    /// connections are served in turn. If the queue is empty, the event is not queued: the next wait reports it.
    pub(crate) fn requeue(&self, key: u64) {
        let mut state = lock(&self.state);
        if !state.events.is_empty() {
            state.events.insert(1, Event::Ready { key, flags: EventFlags::IN, more_ready: false });
        }
    }

    /// Promotes a follower if no worker waits and no event was taken since the last call. Returns whether there was
    /// work.
    pub(crate) fn promote_if_stalled(&self, seen: &mut u64) -> bool {
        let state = lock(&self.state);
        let progressed = state.progress != *seen;
        *seen = state.progress;
        if !progressed && !state.has_leader {
            self.notify_follower(&state);
        }
        progressed || !state.has_leader
    }

    /// Lets all workers leave once the queue is empty.
    pub(crate) fn shut_down(&self) {
        lock(&self.state).shut_down = true;
        self.promoted.notify_all();
        self.poller.notify();
    }

    fn notify_follower(&self, state: &QueueState<T>) {
        if state.idle_followers > 0 {
            self.promoted.notify_one();
        }
    }

    fn wait_as_follower<'a>(&'a self, mut state: MutexGuard<'a, QueueState<T>>) -> MutexGuard<'a, QueueState<T>> {
        state.idle_followers += 1;
        state = self.promoted.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.idle_followers -= 1;
        state
    }

    fn wait_as_leader<'a>(&'a self, mut state: MutexGuard<'a, QueueState<T>>) -> MutexGuard<'a, QueueState<T>> {
        state.has_leader = true;
        drop(state);
        let (events, n) = self.poller.wait();
        let mut state = lock(&self.state);
        state.has_leader = false;
        state.progress += 1;
        let reported = events.iter().take(n).filter(|event| event.data.u64() != NOTIFY_TOKEN);
        state.events.extend(reported.map(|event| {
            let (key, flags) = (event.data.u64(), event.flags);
            Event::Ready { key, flags, more_ready: false }
        }));
        if n == MAX_EVENTS {
            self.notify_follower(&state);
        }
        state
    }
}

impl<T, P> fmt::Debug for ReadyQueue<T, P> {
    /// Shows no connection: a handler can print the queue, which holds other clients' requests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadyQueue")
    }
}

impl<T: Send, P: EventSource> LeaderHandle for ReadyQueue<T, P> {
    fn promote_follower(&self) {
        let state = lock(&self.state);
        if !state.has_leader {
            self.notify_follower(&state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::poller::Event as PollEvent;
    use rustix::event::epoll::EventData;

    /// A poller that reports what a test wants.
    #[derive(Debug, Default)]
    struct FakePoller {
        state: Mutex<FakePollerState>,
        changed: Condvar,
    }

    #[derive(Debug, Default)]
    struct FakePollerState {
        ready: Vec<u64>,
        notified: bool,
        waited_for: bool,
    }

    impl FakePoller {
        fn report(&self, keys: impl IntoIterator<Item = u64>) {
            lock(&self.state).ready.extend(keys);
            self.changed.notify_all();
        }
    }

    impl EventSource for FakePoller {
        fn wait(&self) -> ([PollEvent; MAX_EVENTS], usize) {
            let mut state = lock(&self.state);
            assert!(!std::mem::replace(&mut state.waited_for, true), "two threads wait");
            while state.ready.is_empty() && !state.notified {
                state = self.changed.wait(state).unwrap();
            }
            state.waited_for = false;
            let mut events = [PollEvent { flags: EventFlags::IN, data: EventData::new_u64(NOTIFY_TOKEN) }; MAX_EVENTS];
            let n = state.ready.len().clamp(1, MAX_EVENTS); // after a notification, the event of the notifier itself
            for (event, key) in events.iter_mut().zip(state.ready.drain(..)) {
                event.data = EventData::new_u64(key);
            }
            (events, n)
        }

        fn notify(&self) {
            lock(&self.state).notified = true;
            self.changed.notify_all();
        }
    }

    #[cfg(not(loom))]
    mod one_order {
        use super::*;
        use std::sync::mpsc;
        use std::thread;
        use std::time::Duration;

        /// The order in which this many connections are served if all are ready at once, each deferred if possible.
        fn order(ready: u64) -> Vec<u64> {
            let queue = ReadyQueue::new(FakePoller::default());
            queue.poller.report(0..ready);
            let (mut deferred, mut order) = (None, Vec::new());
            while order.len() < ready as usize {
                match queue.next(deferred.take()).unwrap() {
                    Event::Ready { key, more_ready: true, .. } => deferred = Some(key),
                    Event::Ready { key, .. } | Event::Deferred(key) => order.push(key),
                }
            }
            order
        }

        #[test]
        fn batch_is_served_before_the_next_begins() {
            // The last one of a batch is not deferred.
            assert_eq!(order(1), [0]);
            assert_eq!(order(2), [1, 0]);
            assert_eq!(order(8), [4, 0, 1, 2, 3, 6, 5, 7]);
            let batch = |first: u64| std::iter::once(first + 15).chain(first..first + 15);
            assert!(order(33).into_iter().eq(batch(0).chain(batch(16)).chain([32])));
        }

        #[test]
        fn deferred_connection_is_returned_after_shutdown() {
            let queue = ReadyQueue::new(FakePoller::default());
            queue.shut_down();
            assert!(matches!(queue.next(Some(1)), Some(Event::Deferred(1))));
            assert!(queue.next(None).is_none());
        }

        #[test]
        fn debug_shows_no_connection() {
            let queue = ReadyQueue::new(FakePoller::default());
            lock(&queue.state).events.push_back(Event::Deferred("198.51.100.1"));
            assert_eq!(format!("{:?}", &queue as &dyn LeaderHandle), "ReadyQueue");
        }

        // Neither worker promotes the other, and there is no housekeeper.
        #[test]
        fn full_batch_promotes_a_follower() {
            let queue = ReadyQueue::<u64, _>::new(FakePoller::default());
            let (taken, keys) = mpsc::channel();
            thread::scope(|scope| {
                for taken in [taken.clone(), taken] {
                    let queue = &queue;
                    scope.spawn(move || taken.send(queue.next(None)));
                }
                while lock(&queue.state).idle_followers == 0 || !lock(&queue.poller.state).waited_for {
                    thread::sleep(Duration::from_millis(1));
                }
                queue.poller.report(0..MAX_EVENTS as u64);
                let keys = [(); 2].map(|()| keys.recv_timeout(Duration::from_secs(10)));
                queue.shut_down();
                let is_taken =
                    |key| keys.iter().any(|event| matches!(event, Ok(Some(Event::Ready { key: k, .. })) if *k == key));
                assert!(is_taken(0) && is_taken(1), "{keys:?}");
            });
        }
    }

    /// Every order of the steps of two workers, tried by loom. It proves that each event is served once, that one
    /// worker waits at a time, that a blocked worker blocks no other event, and that all workers leave after a
    /// shutdown.
    #[cfg(loom)]
    mod every_order {
        use super::*;
        use loom::sync::Arc;
        use loom::thread;

        /// Serving it blocks until `LAST` was served.
        const SLOW: u64 = 0;
        const LAST: u64 = 1;
        const ANOTHER: u64 = 2;

        struct Scene {
            queue: ReadyQueue<u64, FakePoller>,
            served: Mutex<Vec<u64>>,
            changed: Condvar,
            promotes: bool,
        }

        impl Scene {
            /// Runs a worker until the shutdown.
            fn work(&self) {
                let mut deferred = None;
                while let Some(event) = self.queue.next(deferred.take()) {
                    match event {
                        Event::Ready { key, more_ready: true, .. } => deferred = Some(key),
                        Event::Ready { key, .. } | Event::Deferred(key) => self.serve(key),
                    }
                }
            }

            fn serve(&self, key: u64) {
                if key == SLOW {
                    if self.promotes {
                        self.queue.promote_follower();
                    }
                    self.wait_until(|served| served.contains(&LAST));
                }
                lock(&self.served).push(key);
                self.changed.notify_all();
            }

            fn wait_until(&self, condition: impl Fn(&[u64]) -> bool) {
                let mut served = lock(&self.served);
                while !condition(&served) {
                    served = self.changed.wait(served).unwrap();
                }
            }

            /// Runs the housekeeper until the last event was served.
            fn run_housekeeper(&self) {
                let mut seen = 0;
                while !lock(&self.served).contains(&LAST) {
                    self.queue.promote_if_stalled(&mut seen);
                    thread::yield_now();
                }
            }
        }

        /// Runs two workers. The events `first` are ready from the start, and `LAST` comes at any time.
        fn model(preemptions: usize, first: &'static [u64], promotes: bool) {
            let mut model = loom::model::Builder::new();
            model.preemption_bound = Some(preemptions);
            model.check(move || {
                let (served, changed) = (Mutex::default(), Condvar::new());
                let scene =
                    Arc::new(Scene { queue: ReadyQueue::new(FakePoller::default()), served, changed, promotes });
                scene.queue.poller.report(first.iter().copied());
                let workers = [(); 2].map(|()| {
                    let scene = scene.clone();
                    thread::spawn(move || scene.work())
                });
                scene.queue.poller.report([LAST]);
                if !promotes {
                    scene.run_housekeeper();
                }
                scene.wait_until(|served| served.len() > first.len());
                scene.queue.shut_down();
                for worker in workers {
                    worker.join().unwrap();
                }
                let (mut served, mut all) = (lock(&scene.served), [first, &[LAST]].concat());
                served.sort_unstable();
                all.sort_unstable();
                assert_eq!(*served, all, "each event is served once");
            });
        }

        #[test]
        fn promotion_before_blocking_holds_up_no_event() {
            model(3, &[SLOW], true);
        }

        #[test]
        fn deferred_connection_is_served_once() {
            model(3, &[SLOW, ANOTHER], true);
        }

        #[test]
        fn stalled_leader_is_relieved_by_the_housekeeper() {
            model(3, &[SLOW], false);
        }

        #[test]
        fn deferred_connection_is_served_by_another_worker_while_leader_is_blocked() {
            model(2, &[ANOTHER, SLOW], false);
        }
    }
}
