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
use crate::clock::{self, Millis};
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
    /// Jobs that wait for a permit, by its kind, and since when.
    held: [VecDeque<(Millis, T)>; 4],
    /// How many of these were taken.
    taken: usize,
    /// Jobs that sleep until they are woken, and since when.
    asleep: Vec<(Arc<Waker>, Millis, T)>,
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
            taken: 0,
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
        lock(&self.state).held[permit as usize].push_back((clock::monotonic_ms(), job));
    }

    /// Puts a job aside until it is woken. The caller is a worker, which finds the job in its next turn if that has
    /// happened meanwhile.
    pub(crate) fn sleep(&self, job: T, waker: Arc<Waker>) {
        let mut state = lock(&self.state);
        match waker.wakeup() {
            None => state.asleep.push((waker, clock::monotonic_ms(), job)),
            Some(_) => state.events.push_front(Event::Job(job)),
        }
    }

    /// Takes out the jobs that wait for a permit or sleep, since that time, if they are wanted.
    pub(crate) fn take_held(&self, is_wanted: impl Fn(&T, Millis) -> bool) -> Vec<T> {
        let mut state = lock(&self.state);
        let asleep = state.asleep.extract_if(.., |(_, since, job)| is_wanted(job, *since));
        let mut taken: Vec<T> = asleep.map(|(_, _, job)| job).collect();
        for jobs in &mut state.held {
            let is_wanted = |(since, job): &(Millis, T)| is_wanted(job, *since);
            let (wanted, others): (VecDeque<_>, VecDeque<_>) = mem::take(jobs).into_iter().partition(is_wanted);
            *jobs = others;
            taken.extend(wanted.into_iter().map(|(_, job)| job));
        }
        taken
    }

    /// Lets the next turns ask before they block: a worker was seen that blocks for long.
    pub(crate) fn disk_is_slow(&self) {
        lock(&self.state).promotion.disk_is_slow();
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
        // What takes less comes first. But no kind waits for ever, whatever flood there is of another.
        for permit in match self.taken % 64 {
            31 => [Permit::Block, Permit::Check, Permit::Hang],
            63 => [Permit::Hang, Permit::Check, Permit::Block],
            _ => [Permit::Check, Permit::Block, Permit::Hang],
        } {
            if !self.held[permit as usize].is_empty() && self.promotion.exchange(Permit::None, permit) {
                self.taken = self.taken.wrapping_add(1);
                let (_, job) = self.held[permit as usize].pop_front()?;
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
        // Work that takes long waits for all that was put aside and may be short. Its own kind has its turns, too.
        let yields = wanted == Permit::Hang && state.held[..Permit::Hang as usize].iter().any(|jobs| !jobs.is_empty());
        let may = !yields && state.promotion.exchange(held, wanted);
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
        let position = state.asleep.iter().position(|(other, ..)| **other == *waker);
        if let Some(position) = position {
            let (_, _, job) = state.asleep.swap_remove(position);
            self.push_into(&mut state, job);
        }
    }
}

#[cfg(test)]
mod tests;
