//! The watch: where the kernel's events come in, and who waits for them.
//!
//! One worker waits. It serves what it saw by itself and then waits again, while the others sleep: passing each event on
//! would cost a fifth of a small request, and several that wait cost twice as much as one. Others are called when there
//! is more to do than one can: when very many events came together, before work that may take long, and by the ticker, which
//! sees that for a while nobody waited and nothing was taken.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Result;

/// Events that are taken from the kernel at once; when there are so many, one worker cannot keep up.
const EVENTS: usize = 64;

/// So many together, about, may let each other go first.
pub(crate) const GROUP: usize = 16;

/// The key of what wakes who waits; all others are the caller's.
pub(crate) const WAKE: u64 = u64::MAX;

/// Calls another worker.
pub(crate) trait Deputise: fmt::Debug + Send + Sync {
    /// What the caller does next may take long: somebody else is to wait meanwhile.
    fn deputise(&self);
}

/// What a worker is to take care of.
#[derive(Debug)]
pub(crate) enum Event<G> {
    /// The kernel has reported this key; `others`: and more that nobody took yet.
    Ready { key: u64, flags: EventFlags, others: bool },
    /// Who let the others go first.
    Behind(G),
}

#[derive(Debug)]
pub(crate) struct Watch<G> {
    epoll: OwnedFd,
    state: Mutex<State<G>>,
    called: Condvar,
    /// Readable once the workers may leave, and from then on for good.
    wake: OwnedFd,
}

#[derive(Debug)]
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

impl<G> Watch<G> {
    pub(crate) fn new() -> Result<Watch<G>> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        let state = State { events: VecDeque::new(), kept: false, asleep: 0, progress: 0, over: false };
        Ok(Watch { epoll, state: Mutex::new(state), called: Condvar::new(), wake })
    }

    /// The next event; `None` once it is over. `behind` comes again when the others of its group have come.
    pub(crate) fn next(&self, behind: Option<G>) -> Option<Event<G>> {
        let mut state = self.lock();
        if let Some(guest) = behind {
            let place = state.events.len().min(GROUP - 1);
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
        let mut state = self.lock();
        if !state.events.is_empty() {
            state.events.insert(1, Event::Ready { key, flags: EventFlags::IN, others: false });
        }
    }

    /// Sees to it that somebody waits, if since the last call nobody did; whether there was anything to do.
    pub(crate) fn relieve(&self, seen: &mut u64) -> bool {
        let state = self.lock();
        let goes_on = state.progress != *seen;
        *seen = state.progress;
        if !goes_on && !state.kept {
            self.call(&state);
        }
        goes_on || !state.kept
    }

    /// Lets all workers leave.
    pub(crate) fn end(&self) {
        self.lock().over = true;
        self.called.notify_all();
        // Level-triggered and never read.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Begins to watch a descriptor.
    pub(crate) fn add(&self, fd: impl AsFd, key: u64, flags: EventFlags) -> Result<()> {
        epoll::add(&self.epoll, fd, EventData::new_u64(key), flags)
    }

    /// Watches for something else, and reports anew what is so already.
    pub(crate) fn modify(&self, fd: impl AsFd, key: u64, flags: EventFlags) -> Result<()> {
        epoll::modify(&self.epoll, fd, EventData::new_u64(key), flags)
    }

    pub(crate) fn delete(&self, fd: impl AsFd) -> Result<()> {
        epoll::delete(&self.epoll, fd)
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
        let mut room = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(WAKE) }; EVENTS];
        // EINTR is all that can go wrong: the descriptor is ours and valid.
        let n = epoll::wait(&self.epoll, &mut room, None).unwrap_or(0);
        let mut state = self.lock();
        state.kept = false;
        state.progress += 1;
        state.events.extend(room.iter().take(n).filter(|event| event.data.u64() != WAKE).map(|event| {
            let epoll::Event { flags, data } = *event;
            Event::Ready { key: data.u64(), flags, others: false }
        }));
        if n == EVENTS {
            self.call(&state);
        }
        state
    }

    /// A lock whose holder panicked guards what it did before: each value here is changed in one step.
    fn lock(&self) -> MutexGuard<'_, State<G>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<G: fmt::Debug + Send> Deputise for Watch<G> {
    fn deputise(&self) {
        let state = self.lock();
        if !state.kept {
            self.call(&state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_comes_back_before_the_next_one_begins() {
        let watch = Watch::new().unwrap();
        let all = 2 * GROUP as u64 + 1;
        let ready = |key| Event::Ready { key, flags: EventFlags::IN, others: false };
        watch.lock().events.extend((0..all).map(ready));
        let (mut behind, mut order) = (None, Vec::new());
        let mut stepped = VecDeque::new();
        while order.len() < all as usize {
            match watch.next(behind.take()).unwrap() {
                Event::Ready { key, others: true, .. } => {
                    behind = Some(key);
                    stepped.push_back(key);
                    assert!(stepped.len() < GROUP);
                }
                Event::Ready { key, .. } => order.push(key),
                Event::Behind(key) => {
                    assert_eq!(stepped.pop_front(), Some(key));
                    order.push(key);
                }
            }
        }
        let last = GROUP as u64 - 1;
        assert_eq!((order[0], order[1], order[GROUP]), (last, 0, last + GROUP as u64), "the last of each at once");
    }

    #[test]
    fn who_steps_behind_comes_back_even_if_it_is_over() {
        let watch = Watch::new().unwrap();
        watch.end();
        assert!(matches!(watch.next(Some(1)), Some(Event::Behind(1))));
        assert!(watch.next(None).is_none());
    }
}
