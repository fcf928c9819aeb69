//! The queue of ready connections, served in the Leader/Followers pattern (Schmidt et al., Pattern-Oriented Software
//! Architecture, volume 2): one worker, the leader, waits for events; the followers sleep.
//!
//! The leader serves the events itself and then waits again. Handing each event to another worker would cost a fifth of
//! a small request, and so may a second waiting worker on two cores. On many cores one leader is not enough, so their
//! number is a setting. A follower is promoted when `promotion.rs` says so, and after a wait that returned a full
//! batch. The housekeeper promotes one when no worker has waited or taken an event for a while.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, PoisonError};

use super::batch;
use super::poller::{EventFlags, EventSource, MAX_EVENTS, Poller};
use super::promotion::{Promotion, Start};
use super::token::NOTIFY_TOKEN;
use crate::clock;
use crate::permit::{Permit, PermitSource, Turn};
use crate::sync::{Condvar, Mutex, MutexGuard, lock};
use crate::waker::Waker;

/// What a worker has to serve next.
#[derive(Debug)]
pub(crate) enum Event<T> {
    /// The kernel reported this key. `more_ready`: the next event is of this kind too, and turns are short.
    Ready { key: u64, flags: EventFlags, more_ready: bool },
    /// A job that was deferred, held, woken or pushed.
    Job(T),
}

pub(crate) struct ReadyQueue<T, P = Poller> {
    pub(crate) poller: P,
    /// How many workers may wait for events at once.
    pollers: usize,
    state: Mutex<QueueState<T>>,
    promoted: Condvar,
}

struct QueueState<T> {
    /// Events and jobs that no worker has taken yet.
    events: VecDeque<Event<T>>,
    /// Jobs that wait for a permit, by its kind.
    held: [VecDeque<T>; 4],
    /// The kind of permit that such a job got last. Other kinds come first, so that none waits for a flood of it.
    last_kind: Permit,
    /// Jobs that sleep until they are woken.
    asleep: Vec<(Arc<Waker>, T)>,
    promotion: Promotion,
    /// Workers that wait for events.
    waiting: usize,
    serving: usize,
    idle_followers: usize,
    /// Rises with each event taken and with each wait.
    progress: u64,
    shut_down: bool,
}

impl<T, P: EventSource> ReadyQueue<T, P> {
    pub(super) fn new(poller: P, pollers: usize, promotion: Promotion) -> ReadyQueue<T, P> {
        let state = QueueState {
            events: VecDeque::new(),
            held: Default::default(),
            last_kind: Permit::None,
            asleep: Vec::new(),
            promotion,
            waiting: 0,
            serving: 0,
            idle_followers: 0,
            progress: 0,
            shut_down: false,
        };
        ReadyQueue { poller, pollers, state: Mutex::new(state), promoted: Condvar::new() }
    }

    /// Ends a worker's turn and begins its next one. Returns what to serve, or `None` once the queue is shut down.
    /// `deferred` goes back into the queue first.
    pub(crate) fn next(&self, turn: &Turn, deferred: Option<T>) -> Option<Event<T>> {
        let mut now = clock::monotonic_ns();
        let mut state = lock(&self.state);
        if let Some(ended) = turn.end(now) {
            state.serving -= 1;
            // What a deferred connection received is only a part of its turn.
            let nothing = deferred.is_some() && !ended.has_blocked;
            if nothing {
                state.promotion.exchange(ended.permit, Permit::None);
            } else {
                state.promotion.turn_ended(ended);
            }
        }
        if let Some(job) = deferred {
            let position = batch::deferred_position(state.events.len());
            state.events.insert(position, Event::Job(job));
        }
        loop {
            if let Some((start, event)) = state.take() {
                state.progress += 1;
                state.serving += 1;
                turn.begin(start.permit, start.is_calm, now);
                if start.promotes {
                    self.promote(&state);
                }
                return Some(event);
            }
            if state.shut_down {
                return None;
            }
            let may_wait = state.waiting == 0 || state.serving + state.waiting < self.pollers;
            state = if may_wait { self.wait_as_leader(state) } else { self.wait_as_follower(state) };
            now = clock::monotonic_ns();
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

    /// Puts a job aside until this permit is free. The caller is a worker, which takes its next turn soon and then finds
    /// the job if a permit has become free meanwhile.
    pub(crate) fn hold(&self, job: T, permit: Permit) {
        lock(&self.state).held[permit as usize].push_back(job);
    }

    /// Puts a job aside until it is woken. The caller is a worker, which finds the job in its next turn if that has
    /// happened meanwhile.
    pub(crate) fn sleep(&self, job: T, waker: Arc<Waker>) {
        let mut state = lock(&self.state);
        match waker.wakeup() {
            None => state.asleep.push((waker, job)),
            Some(_) => state.events.push_front(Event::Job(job)),
        }
    }

    /// Takes out the jobs that wait for a permit or sleep, if they are wanted.
    pub(crate) fn take_held(&self, is_wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let mut state = lock(&self.state);
        let mut taken: Vec<T> = state.asleep.extract_if(.., |(_, job)| is_wanted(job)).map(|(_, job)| job).collect();
        for jobs in &mut state.held {
            let (wanted, others): (VecDeque<T>, VecDeque<T>) = mem::take(jobs).into_iter().partition(&is_wanted);
            *jobs = others;
            taken.extend(wanted);
        }
        taken
    }

    /// Adds a job from outside the workers, to be done before everything else.
    pub(crate) fn push(&self, job: T) {
        self.push_into(&mut lock(&self.state), job);
    }

    fn push_into(&self, state: &mut QueueState<T>, job: T) {
        state.events.push_front(Event::Job(job));
        // Both, because a follower that was promoted for the last job may still be counted as idle, and this one must
        // not wait for that job.
        if state.idle_followers > 0 {
            self.promoted.notify_one();
        }
        if state.waiting > 0 {
            self.poller.wake();
        }
    }

    /// Promotes a follower if no worker waits and no event was taken since the last call. Returns whether there was
    /// work.
    pub(crate) fn promote_if_stalled(&self, seen: &mut u64) -> bool {
        let mut state = lock(&self.state);
        let progressed = state.progress != *seen;
        *seen = state.progress;
        if !progressed && state.waiting == 0 {
            state.promotion.turn_stalled();
            self.promote(&state);
        }
        progressed || state.waiting == 0
    }

    /// Lets all workers leave once the queue is empty.
    pub(crate) fn shut_down(&self) {
        lock(&self.state).shut_down = true;
        self.promoted.notify_all();
        self.poller.notify();
    }

    /// Makes sure that a worker waits for events, if one is free.
    fn promote(&self, state: &QueueState<T>) {
        if state.waiting == 0 && state.idle_followers > 0 {
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
        state.waiting += 1;
        drop(state);
        let (events, n) = self.poller.wait();
        let mut state = lock(&self.state);
        state.waiting -= 1;
        state.progress += 1;
        let reported = events.iter().take(n).filter(|event| event.data.u64() != NOTIFY_TOKEN);
        state.events.extend(reported.map(|event| {
            let (key, flags) = (event.data.u64(), event.flags);
            Event::Ready { key, flags, more_ready: false }
        }));
        if n == MAX_EVENTS && state.idle_followers > 0 {
            self.promoted.notify_one();
        }
        state
    }
}

impl<T> QueueState<T> {
    /// Takes the next thing to do, and what its turn begins with. What waited for a permit comes first: at least one
    /// worker cannot have one and takes the others.
    fn take(&mut self) -> Option<(Start, Event<T>)> {
        for permit in match self.last_kind {
            Permit::Hang => [Permit::Block, Permit::Check, Permit::Hang],
            Permit::Block => [Permit::Check, Permit::Hang, Permit::Block],
            Permit::Check | Permit::None => [Permit::Hang, Permit::Block, Permit::Check],
        } {
            if !self.held[permit as usize].is_empty() && self.promotion.exchange(Permit::None, permit) {
                self.last_kind = permit;
                let job = self.held[permit as usize].pop_front()?;
                return Some((Start { permit, promotes: true, is_calm: false }, Event::Job(job)));
            }
        }
        let mut event = self.events.pop_front()?;
        if let Event::Ready { more_ready, .. } = &mut event {
            let next_is_ready = matches!(self.events.front(), Some(Event::Ready { .. }));
            *more_ready = next_is_ready && !self.promotion.turns_are_long();
        }
        Some((self.promotion.begin_turn(), event))
    }
}

impl<T, P> fmt::Debug for ReadyQueue<T, P> {
    /// Shows no connection: a handler can print the queue, which holds other clients' requests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadyQueue")
    }
}

impl<T: Send, P: EventSource> PermitSource for ReadyQueue<T, P> {
    fn upgrade(&self, held: Permit, wanted: Permit) -> bool {
        let mut state = lock(&self.state);
        let may = state.promotion.exchange(held, wanted);
        if may {
            self.promote(&state);
        }
        may
    }

    fn promote_follower(&self) {
        self.promote(&lock(&self.state));
    }

    fn wake(&self, waker: &Waker) {
        let mut state = lock(&self.state);
        let position = state.asleep.iter().position(|(other, _)| **other == *waker);
        if let Some(position) = position {
            let (_, job) = state.asleep.swap_remove(position);
            self.push_into(&mut state, job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::poller::Event as PollEvent;
    use crate::waker::Wakeup;
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
        woken: bool,
        notified: bool,
        waiting: usize,
        most: usize,
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
            state.waiting += 1;
            state.most = state.most.max(state.waiting);
            assert!(!cfg!(loom) || state.waiting == 1, "two threads wait");
            while state.ready.is_empty() && !state.woken && !state.notified {
                state = self.changed.wait(state).unwrap();
            }
            state.woken = false;
            state.waiting -= 1;
            let mut events = [PollEvent { flags: EventFlags::IN, data: EventData::new_u64(NOTIFY_TOKEN) }; MAX_EVENTS];
            let n = state.ready.len().clamp(1, MAX_EVENTS); // after a notification, the event of the notifier itself
            for (event, key) in events.iter_mut().zip(state.ready.drain(..)) {
                event.data = EventData::new_u64(key);
            }
            (events, n)
        }

        fn wake(&self) {
            lock(&self.state).woken = true;
            self.changed.notify_all();
        }

        fn notify(&self) {
            lock(&self.state).notified = true;
            self.changed.notify_all();
        }
    }

    #[cfg(not(loom))]
    fn queue<T>(threads: usize) -> ReadyQueue<T, FakePoller> {
        ReadyQueue::new(FakePoller::default(), 1, Promotion::new(threads, false))
    }

    #[cfg(not(loom))]
    mod one_order {
        use super::*;
        use std::sync::mpsc;
        use std::thread;
        use std::time::Duration;

        /// The order in which this many connections are served if all are ready at once, each deferred if possible.
        fn order(ready: u64) -> Vec<u64> {
            let (queue, turn) = (queue(2), Turn::unlimited());
            queue.poller.report(0..ready);
            let (mut deferred, mut order) = (None, Vec::new());
            while order.len() < ready as usize {
                match queue.next(&turn, deferred.take()).unwrap() {
                    Event::Ready { key, more_ready: true, .. } => deferred = Some(key),
                    Event::Ready { key, .. } | Event::Job(key) => order.push(key),
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
        fn no_kind_of_job_waits_for_a_flood_of_another() {
            let (queue, turn) = (queue(1), Turn::unlimited());
            for n in 0..9 {
                queue.hold(Permit::Hang as u64, Permit::Hang);
                queue.hold(Permit::Block as u64, Permit::Block);
                if n == 0 {
                    queue.hold(Permit::Check as u64, Permit::Check);
                }
            }
            let mut order = String::new();
            for _ in 0..7 {
                let Some(Event::Job(kind)) = queue.next(&turn, None) else { panic!("no job") };
                order += ["none ", "check ", "block ", "hang "][kind as usize];
            }
            assert_eq!(order, "hang block check hang block hang block ");
        }

        #[test]
        fn deferred_connection_is_returned_after_shutdown() {
            let (queue, turn) = (queue(2), Turn::unlimited());
            queue.shut_down();
            assert!(matches!(queue.next(&turn, Some(1)), Some(Event::Job(1))));
            assert!(queue.next(&turn, None).is_none());
        }

        #[test]
        fn job_sleeps_until_it_is_woken() {
            let (queue, turn) = (Arc::new(queue(2)), Turn::unlimited());
            let wakers = [(); 3].map(|()| Waker::for_connection(queue.clone()));
            wakers[0].wake(Wakeup::GaveUp);
            (0..3).for_each(|job| queue.sleep(job, wakers[job as usize].clone()));
            assert!(matches!(queue.next(&turn, None), Some(Event::Job(0))), "it was woken before");
            wakers[2].wake(Wakeup::Done);
            wakers[2].wake(Wakeup::Done);
            assert!(matches!(queue.next(&turn, None), Some(Event::Job(2))));
            assert_eq!(queue.take_held(|_| true), [1]);
            wakers[1].wake(Wakeup::Done);
            queue.shut_down();
            assert!(queue.next(&turn, None).is_none(), "what was taken out is not resumed");
        }

        #[test]
        fn debug_shows_no_connection() {
            let queue = queue(2);
            lock(&queue.state).events.push_back(Event::Job("198.51.100.1"));
            assert_eq!(format!("{:?}", &queue as &dyn PermitSource), "ReadyQueue");
        }

        #[test]
        fn as_many_workers_wait_as_there_are_pollers() {
            for pollers in 1..4 {
                let queue = ReadyQueue::<u64, _>::new(FakePoller::default(), pollers, Promotion::new(4, false));
                thread::scope(|scope| {
                    for _ in 0..5 {
                        scope.spawn(|| queue.next(&Turn::unlimited(), None));
                    }
                    let rest = |state: &QueueState<u64>| state.waiting + state.idle_followers;
                    while rest(&lock(&queue.state)) < 5 {
                        thread::sleep(Duration::from_millis(1));
                    }
                    queue.shut_down();
                });
                assert_eq!(lock(&queue.poller.state).most, pollers);
            }
        }

        /// What two workers take that wait until `report` gives the queue something. Neither takes a second event, as if
        /// the first one blocked it, and there is no housekeeper.
        fn taken_by_two(report: impl FnOnce(&ReadyQueue<u64, FakePoller>)) -> Vec<Event<u64>> {
            let queue = queue(2);
            let (sender, taken) = mpsc::channel();
            thread::scope(|scope| {
                for sender in [sender.clone(), sender] {
                    let queue = &queue;
                    scope.spawn(move || sender.send(queue.next(&Turn::unlimited(), None)));
                }
                while lock(&queue.state).idle_followers == 0 || lock(&queue.poller.state).waiting == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
                report(&queue);
                let taken = [(); 2].map(|()| taken.recv_timeout(Duration::from_secs(10)));
                queue.shut_down();
                taken.into_iter().flatten().flatten().collect()
            })
        }

        #[test]
        fn full_batch_promotes_a_follower() {
            let taken = taken_by_two(|queue| queue.poller.report(0..MAX_EVENTS as u64));
            let is_taken = |key| taken.iter().any(|event| matches!(event, Event::Ready { key: k, .. } if *k == key));
            assert!(is_taken(0) && is_taken(1), "{taken:?}");
        }

        #[test]
        fn each_pushed_job_wakes_a_worker() {
            for _ in 0..20 {
                let taken = taken_by_two(|queue| (0..2).for_each(|job| queue.push(job)));
                assert!(matches!(taken[..], [Event::Job(_), Event::Job(_)]), "{taken:?}");
            }
        }
    }

    /// Every order of the steps of two workers, tried by loom. It proves that each event is served once, that one
    /// worker waits at a time, that a blocked worker blocks no other event, that what waits for a permit gets it, that
    /// what sleeps is woken, and that all workers leave after a shutdown.
    #[cfg(loom)]
    mod every_order {
        use super::*;
        use loom::thread;
        use std::sync::Arc;

        /// Serving it blocks until `LAST` was served.
        const SLOW: u64 = 0;
        /// Needs no permit, unlike the others.
        const LAST: u64 = 1;
        const ANOTHER: u64 = 2;
        /// Sleeps until another thread wakes it.
        const SLEEPS: u64 = 3;

        #[derive(Clone, Copy)]
        struct Model {
            preemptions: usize,
            threads: usize,
            handler_may_block: bool,
            /// Events that are ready from the start. `LAST` comes at any time.
            first: &'static [u64],
            /// `LAST` comes from the housekeeper instead of the poller.
            pushed: bool,
            /// The housekeeper looks for stalled workers.
            housekeeper: bool,
        }

        struct Scene {
            model: Model,
            queue: Arc<ReadyQueue<u64, FakePoller>>,
            waker: Arc<Waker>,
            served: Mutex<Vec<u64>>,
            changed: Condvar,
        }

        impl Scene {
            /// Runs a worker until the shutdown.
            fn work(&self) {
                let (turn, mut deferred) = (Turn::new(self.queue.clone(), Arc::default(), 0), None);
                while let Some(event) = self.queue.next(&turn, deferred.take()) {
                    match event {
                        Event::Ready { key, more_ready: true, .. } if !self.model.handler_may_block => {
                            deferred = Some(key);
                        }
                        Event::Ready { key: SLEEPS, .. } => self.queue.sleep(SLEEPS, self.waker.clone()),
                        Event::Ready { key, .. } | Event::Job(key) => {
                            match key == LAST || turn.may(Permit::Block, |_| {}) {
                                true => self.serve(key),
                                false => self.queue.hold(key, Permit::Block),
                            }
                        }
                    }
                }
            }

            fn serve(&self, key: u64) {
                if key == SLOW {
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

            fn run_housekeeper(&self) {
                let mut seen = 0;
                while !lock(&self.served).contains(&LAST) {
                    self.queue.promote_if_stalled(&mut seen);
                    thread::yield_now();
                }
            }
        }

        /// Runs two workers.
        fn check(model: Model) {
            let mut builder = loom::model::Builder::new();
            builder.preemption_bound = Some(model.preemptions);
            builder.check(move || {
                let promotion = Promotion::new(model.threads, model.handler_may_block);
                let queue = Arc::new(ReadyQueue::new(FakePoller::default(), 1, promotion));
                let (served, changed) = (Mutex::default(), Condvar::new());
                let waker = Waker::for_connection(queue.clone());
                let scene = loom::sync::Arc::new(Scene { model, queue, waker, served, changed });
                scene.queue.poller.report(model.first.iter().copied());
                let workers = [(); 2].map(|()| {
                    let scene = scene.clone();
                    thread::spawn(move || scene.work())
                });
                match model.pushed {
                    true => scene.queue.push(LAST),
                    false => scene.queue.poller.report([LAST]),
                }
                if model.first.contains(&SLEEPS) {
                    scene.waker.wake(Wakeup::Done);
                }
                if model.housekeeper {
                    scene.run_housekeeper();
                }
                scene.wait_until(|served| served.len() > model.first.len());
                scene.queue.shut_down();
                for worker in workers {
                    worker.join().unwrap();
                }
                let (mut served, mut all) = (lock(&scene.served), [model.first, &[LAST]].concat());
                served.sort_unstable();
                all.sort_unstable();
                assert_eq!(*served, all, "each event is served once");
            });
        }

        /// One request at a time, with a handler that may block.
        const BLOCKING: Model = Model {
            preemptions: 3,
            threads: 1,
            handler_may_block: true,
            first: &[SLOW],
            pushed: false,
            housekeeper: false,
        };

        /// A worker promotes nobody, as turns are short.
        const SHORT: Model = Model { threads: 2, handler_may_block: false, housekeeper: true, ..BLOCKING };

        #[test]
        fn promotion_before_blocking_holds_up_no_event() {
            check(BLOCKING);
        }

        #[test]
        fn request_without_permit_is_served_after_the_blocked_one() {
            check(Model { first: &[SLOW, ANOTHER], ..BLOCKING });
        }

        #[test]
        fn job_of_the_housekeeper_wakes_a_worker() {
            check(Model { pushed: true, ..BLOCKING });
            check(Model { pushed: true, first: &[], ..BLOCKING });
        }

        #[test]
        fn job_that_sleeps_is_woken_once() {
            check(Model { first: &[SLEEPS], ..BLOCKING });
            check(Model { first: &[SLEEPS, SLOW], preemptions: 2, ..BLOCKING });
            check(Model { first: &[ANOTHER, SLEEPS], preemptions: 2, ..SHORT });
        }

        #[test]
        fn stalled_leader_is_relieved_by_the_housekeeper() {
            check(SHORT);
        }

        #[test]
        fn deferred_connection_is_served_once() {
            check(Model { first: &[SLOW, ANOTHER], ..SHORT });
        }

        #[test]
        fn deferred_connection_is_served_by_another_worker_while_leader_is_blocked() {
            check(Model { preemptions: 2, first: &[ANOTHER, SLOW], ..SHORT });
        }
    }
}
