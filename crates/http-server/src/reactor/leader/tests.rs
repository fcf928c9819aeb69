//! The order of events, and, with loom, every order of the steps of two workers.

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
        let kinds = [Permit::Check, Permit::Block, Permit::Hang];
        for kind in kinds {
            (0..200).for_each(|_| queue.hold(kind as u64, kind));
        }
        let mut next = |_| {
            let Some(Event::Job(kind)) = queue.next(&turn, None) else { panic!("no job") };
            kind
        };
        let order: Vec<u64> = (0..128).map(&mut next).collect();
        let positions = kinds.map(|kind| (0..128).filter(|n| order[*n] == kind as u64).collect::<Vec<_>>());
        assert_eq!(positions[1..], [[31, 95], [63, 127]], "the short ones come first");
    }

    #[test]
    fn long_work_waits_for_short_work_that_was_put_aside() {
        let (queue, turn) = (queue(1), Turn::unlimited());
        for kind in [Permit::Check, Permit::Block] {
            queue.hold(1, kind);
            assert!(!queue.upgrade(Permit::None, Permit::Hang));
            assert!(matches!(queue.next(&turn, None), Some(Event::Job(1))));
            assert!(queue.upgrade(kind, Permit::Hang));
            assert!(lock(&queue.state).promotion.exchange(Permit::Hang, Permit::None));
        }
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
        assert_eq!(queue.take_held(|_, _| true), [1]);
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
