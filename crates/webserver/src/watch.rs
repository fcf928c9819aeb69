//! The watch: who waits for the kernel's events.
//!
//! One worker waits. It serves what it saw by itself and then waits again, while the others sleep: passing each event on
//! would cost a fifth of a small request, and several that wait cost twice as much as one. Others are called when there
//! is more to do than one can: when very many events came together, before work that may take long, and by the ticker, which
//! sees that for a while nobody waited and nothing was taken.

use std::collections::VecDeque;
use std::fmt;
use std::sync::PoisonError;

use crate::epoll::{EVENTS, Epoll, EventFlags, Kernel, WAKE};
use crate::sync::{Condvar, Mutex, MutexGuard, lock};

/// So many are a group: who steps behind lets at most the others of one go first.
pub(crate) const GROUP: usize = 16;

/// Calls another worker.
pub(crate) trait Deputise: fmt::Debug + Send + Sync {
    /// What the caller does next may take long: somebody else is to wait meanwhile.
    fn deputise(&self);
}

/// What a worker is to take care of.
#[derive(Debug)]
pub(crate) enum Event<G> {
    /// The kernel has reported this key; `others`: and the next event is of this kind, too.
    Ready { key: u64, flags: EventFlags, others: bool },
    /// Who let others go first.
    Behind(G),
}

pub(crate) struct Watch<G, K = Epoll> {
    pub(crate) kernel: K,
    state: Mutex<State<G>>,
    called: Condvar,
}

struct State<G> {
    /// What nobody took yet.
    events: VecDeque<Event<G>>,
    /// Somebody waits for the kernel.
    kept: bool,
    /// So many wait to be called.
    asleep: usize,
    /// Goes on with each event, and with each wait.
    progress: u64,
    over: bool,
}

impl<G, K: Kernel> Watch<G, K> {
    pub(crate) fn new(kernel: K) -> Watch<G, K> {
        let state = State { events: VecDeque::new(), kept: false, asleep: 0, progress: 0, over: false };
        Watch { kernel, state: Mutex::new(state), called: Condvar::new() }
    }

    /// The next event; `None` once it is over. `behind` comes again when others of those who are ready have come.
    pub(crate) fn next(&self, behind: Option<G>) -> Option<Event<G>> {
        let mut state = lock(&self.state);
        if let Some(guest) = behind {
            let ready = state.events.len();
            // Of few only half: their peers go on while the other half is served.
            let place = if ready < GROUP { ready.div_ceil(2) } else { GROUP - 1 };
            state.events.insert(place, Event::Behind(guest));
        }
        loop {
            if let Some(mut event) = state.events.pop_front() {
                state.progress += 1;
                if let Event::Ready { others, .. } = &mut event {
                    *others = matches!(state.events.front(), Some(Event::Ready { .. }));
                }
                return Some(event);
            }
            if state.over {
                return None;
            }
            state = if state.kept { self.sleep(state) } else { self.wait(state) };
        }
    }

    /// There may be more behind this event: it comes again, behind the next one, if any waits. So newcomers and guests are
    /// served in turn, and who comes alone costs no further look.
    pub(crate) fn again(&self, key: u64) {
        let mut state = lock(&self.state);
        if !state.events.is_empty() {
            state.events.insert(1, Event::Ready { key, flags: EventFlags::IN, others: false });
        }
    }

    /// Sees to it that somebody waits, if since the last call nobody did; whether there was anything to do.
    pub(crate) fn relieve(&self, seen: &mut u64) -> bool {
        let state = lock(&self.state);
        let goes_on = state.progress != *seen;
        *seen = state.progress;
        if !goes_on && !state.kept {
            self.call(&state);
        }
        goes_on || !state.kept
    }

    /// Lets all workers leave.
    pub(crate) fn end(&self) {
        lock(&self.state).over = true;
        self.called.notify_all();
        self.kernel.wake();
    }

    fn call(&self, state: &State<G>) {
        if state.asleep > 0 {
            self.called.notify_one();
        }
    }

    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, State<G>>) -> MutexGuard<'a, State<G>> {
        state.asleep += 1;
        state = self.called.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.asleep -= 1;
        state
    }

    /// Waits for the kernel.
    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State<G>>) -> MutexGuard<'a, State<G>> {
        state.kept = true;
        drop(state);
        let (room, n) = self.kernel.wait();
        let mut state = lock(&self.state);
        state.kept = false;
        state.progress += 1;
        state.events.extend(room.iter().take(n).filter(|event| event.data.u64() != WAKE).map(|event| {
            let (key, flags) = (event.data.u64(), event.flags);
            Event::Ready { key, flags, others: false }
        }));
        if n == EVENTS {
            self.call(&state);
        }
        state
    }
}

impl<G, K> fmt::Debug for Watch<G, K> {
    /// Shows nobody: a handler has one, with the requests of others in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl<G: Send, K: Kernel> Deputise for Watch<G, K> {
    fn deputise(&self) {
        let state = lock(&self.state);
        if !state.kept {
            self.call(&state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoll;
    use rustix::event::epoll::EventData;

    /// A kernel in small.
    #[derive(Debug, Default)]
    struct Few {
        state: Mutex<FewState>,
        changed: Condvar,
    }

    #[derive(Debug, Default)]
    struct FewState {
        ready: Vec<u64>,
        woken: bool,
        waited_for: bool,
    }

    impl Few {
        fn report(&self, keys: impl IntoIterator<Item = u64>) {
            lock(&self.state).ready.extend(keys);
            self.changed.notify_all();
        }
    }

    impl Kernel for Few {
        fn wait(&self) -> ([epoll::Event; EVENTS], usize) {
            let mut state = lock(&self.state);
            assert!(!std::mem::replace(&mut state.waited_for, true), "two wait");
            while state.ready.is_empty() && !state.woken {
                state = self.changed.wait(state).unwrap();
            }
            state.waited_for = false;
            let mut room = [epoll::Event { flags: EventFlags::IN, data: EventData::new_u64(WAKE) }; EVENTS];
            let n = state.ready.len().clamp(1, EVENTS); // who was woken sees that
            for (event, key) in room.iter_mut().zip(state.ready.drain(..)) {
                event.data = EventData::new_u64(key);
            }
            (room, n)
        }

        fn wake(&self) {
            lock(&self.state).woken = true;
            self.changed.notify_all();
        }
    }

    #[cfg(not(loom))]
    mod one_order {
        use super::*;
        use std::sync::mpsc;
        use std::thread;
        use std::time::Duration;

        /// The order in which so many are served that were ready at once, all of whom would step behind.
        fn order(ready: u64) -> Vec<u64> {
            let watch = Watch::new(Few::default());
            watch.kernel.report(0..ready);
            let (mut behind, mut order) = (None, Vec::new());
            while order.len() < ready as usize {
                match watch.next(behind.take()).unwrap() {
                    Event::Ready { key, others: true, .. } => behind = Some(key),
                    Event::Ready { key, .. } | Event::Behind(key) => order.push(key),
                }
            }
            order
        }

        #[test]
        fn a_group_comes_back_before_the_next_one_begins() {
            // The last of each is served at once.
            assert_eq!(order(1), [0]);
            assert_eq!(order(2), [1, 0]);
            assert_eq!(order(8), [4, 0, 1, 2, 3, 6, 5, 7]);
            let group = |first: u64| std::iter::once(first + 15).chain(first..first + 15);
            assert!(order(33).into_iter().eq(group(0).chain(group(16)).chain([32])));
        }

        #[test]
        fn who_steps_behind_comes_back_even_if_it_is_over() {
            let watch = Watch::new(Few::default());
            watch.end();
            assert!(matches!(watch.next(Some(1)), Some(Event::Behind(1))));
            assert!(watch.next(None).is_none());
        }

        #[test]
        fn nobody_is_shown_who_waits() {
            let watch = Watch::new(Few::default());
            lock(&watch.state).events.push_back(Event::Behind("198.51.100.1"));
            assert_eq!(format!("{:?}", &watch as &dyn Deputise), "Watch");
        }

        // None of the two says a word, and no ticker looks.
        #[test]
        fn a_full_batch_calls_another() {
            let watch = Watch::<u64, _>::new(Few::default());
            let (taken, keys) = mpsc::channel();
            thread::scope(|scope| {
                for taken in [taken.clone(), taken] {
                    let watch = &watch;
                    scope.spawn(move || taken.send(watch.next(None)));
                }
                while lock(&watch.state).asleep == 0 || !lock(&watch.kernel.state).waited_for {
                    thread::sleep(Duration::from_millis(1));
                }
                watch.kernel.report(0..EVENTS as u64);
                let keys = [(); 2].map(|()| keys.recv_timeout(Duration::from_secs(10)));
                watch.end();
                let is_taken =
                    |key| keys.iter().any(|event| matches!(event, Ok(Some(Event::Ready { key: k, .. })) if *k == key));
                assert!(is_taken(0) && is_taken(1), "{keys:?}");
            });
        }
    }

    /// Every order of the steps of two workers and whoever calls them, tried by loom. What is proven: each event is served
    /// once, one waits at a time, who is held up holds up nobody else, and all leave when it is over.
    #[cfg(loom)]
    mod every_order {
        use super::*;
        use loom::sync::Arc;
        use loom::thread;

        /// Waits until the last was served.
        const SLOW: u64 = 0;
        const LAST: u64 = 1;
        const ANOTHER: u64 = 2;

        struct Scene {
            watch: Watch<u64, Few>,
            served: Mutex<Vec<u64>>,
            changed: Condvar,
            deputises: bool,
        }

        impl Scene {
            /// A worker's life.
            fn work(&self) {
                let mut behind = None;
                while let Some(event) = self.watch.next(behind.take()) {
                    match event {
                        Event::Ready { key, others: true, .. } => behind = Some(key),
                        Event::Ready { key, .. } | Event::Behind(key) => self.serve(key),
                    }
                }
            }

            fn serve(&self, key: u64) {
                if key == SLOW {
                    if self.deputises {
                        self.watch.deputise();
                    }
                    self.wait_for(|served| served.contains(&LAST));
                }
                lock(&self.served).push(key);
                self.changed.notify_all();
            }

            fn wait_for(&self, so: impl Fn(&[u64]) -> bool) {
                let mut served = lock(&self.served);
                while !so(&served) {
                    served = self.changed.wait(served).unwrap();
                }
            }

            /// The ticker's life.
            fn tick(&self) {
                let mut seen = 0;
                while !lock(&self.served).contains(&LAST) {
                    self.watch.relieve(&mut seen);
                    thread::yield_now();
                }
            }
        }

        /// Two workers, to whom these come at once and the last at any moment.
        fn model(stops: usize, first: &'static [u64], deputises: bool) {
            let mut model = loom::model::Builder::new();
            model.preemption_bound = Some(stops);
            model.check(move || {
                let (served, changed) = (Mutex::default(), Condvar::new());
                let scene = Arc::new(Scene { watch: Watch::new(Few::default()), served, changed, deputises });
                scene.watch.kernel.report(first.iter().copied());
                let workers = [(); 2].map(|()| {
                    let scene = scene.clone();
                    thread::spawn(move || scene.work())
                });
                scene.watch.kernel.report([LAST]);
                if !deputises {
                    scene.tick();
                }
                scene.wait_for(|served| served.len() > first.len());
                scene.watch.end();
                for worker in workers {
                    worker.join().unwrap();
                }
                let (mut served, mut all) = (lock(&scene.served), [first, &[LAST]].concat());
                served.sort_unstable();
                all.sort_unstable();
                assert_eq!(*served, all, "each once");
            });
        }

        #[test]
        fn who_calls_another_holds_up_nobody() {
            model(3, &[SLOW], true);
        }

        #[test]
        fn who_steps_behind_is_served_once() {
            model(3, &[SLOW, ANOTHER], true);
        }

        #[test]
        fn who_is_held_up_without_a_word_is_relieved_by_the_ticker() {
            model(3, &[SLOW], false);
        }

        #[test]
        fn who_stepped_behind_one_who_is_held_up_is_served_by_another() {
            model(2, &[ANOTHER, SLOW], false);
        }
    }
}
