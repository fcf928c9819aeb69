//! The queue of passwords to verify: which is the next one, and when each request gets its answer (V19). It knows no
//! hash, thread or clock.
//!
//! One password is verified at a time. A request with the right one is not to wait for those who guess, however many
//! connections they have:
//!
//! - Clients are served in turn. One whose last password was wrong comes after all others, and after a few more wrong ones
//!   it comes after those with a typing error.
//! - Several people may share the address of such a client. Its newest requests come first, so that a new one does not
//!   wait for all guesses before it. But the oldest is every third, so that no one has to wait for all guesses after it.
//! - Such a client is answered no more than once in the time of eight verifications. It guesses again when it is answered,
//!   so its guesses take an eighth of the time, and few come after a new request.
//! - A result answers all requests with the same credentials. The last wrong ones of a client are not verified again.
//!
//! Nothing here depends on whether a user exists.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use http_core::auth::{Basic, constant_time_eq};

use crate::waker::Wakeup;

/// Requests that wait for a verification or its answer at the same time. Their heads take at most half of the budget for
/// requests that are put aside.
pub(super) const MAX_WAITING: usize = 512;

/// How long a request waits at most.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(30);

/// Clients that are remembered because of a wrong password: the last ones.
pub(super) const MAX_FAILED: usize = 1024;

/// Further wrong passwords of a client do not count.
const MAX_FAILURES: u32 = 3;

/// The time between two answers to a client that guesses, in verifications. It has a bound, because a verification takes
/// long if the whole process was stopped meanwhile.
const ANSWER_EVERY: u32 = 8;
const MAX_SPACING: Duration = Duration::from_secs(5);

/// `W` wakes a request.
pub(super) struct Queue<W> {
    /// Requests whose passwords are to be verified, in their order.
    waiting: Vec<Waiting<W>>,
    /// The one whose password is being verified.
    current: Option<Waiting<W>>,
    answers: Vec<Answer<W>>,
    failed: HashMap<IpAddr, Failed>,
    /// Verifications that have begun.
    begun: u64,
    max_wait: Duration,
    /// How many requests may wait: [`MAX_WAITING`], or fewer where each holds a thread.
    pub(super) max_waiting: usize,
}

struct Waiting<W> {
    client: IpAddr,
    credentials: Basic,
    waker: W,
    deadline: Instant,
}

/// What a request is to be woken with, and when.
struct Answer<W> {
    at: Instant,
    waker: W,
    wakeup: Wakeup,
}

/// A client that has sent a wrong password.
struct Failed {
    /// Its last wrong ones, unless they may be right by now.
    credentials: Option<Basic>,
    /// Wrong passwords since its last right one, up to [`MAX_FAILURES`].
    failures: u32,
    /// When its next wrong password is answered, at the earliest.
    answer_at: Instant,
    /// The number of its last verification.
    verification: u64,
    /// Verifications since its last request came.
    since_arrival: u32,
}

impl<W> Queue<W> {
    /// Requests wait this long at most: [`MAX_WAIT`], or less in a test.
    pub(super) fn new(max_wait: Duration) -> Queue<W> {
        Queue {
            waiting: Vec::new(),
            current: None,
            answers: Vec::new(),
            failed: HashMap::new(),
            begun: 0,
            max_wait,
            max_waiting: MAX_WAITING,
        }
    }

    /// Adds a request. If there is no room, the one whose turn is furthest away gives up.
    pub(super) fn add(&mut self, client: IpAddr, credentials: Basic, waker: W, now: Instant) {
        let client = network(client);
        if let Some(failed) = self.failed.get_mut(&client) {
            if failed.credentials.as_ref().is_some_and(|wrong| are_same(wrong, &credentials)) {
                self.answers.push(Answer { at: now, waker, wakeup: Wakeup::Done });
                return;
            }
            failed.since_arrival = 0;
        }
        self.waiting.push(Waiting { client, credentials, waker, deadline: now + self.max_wait });
        if self.waiting.len() + self.answers.len() > self.max_waiting {
            match self.answers.iter_mut().min_by_key(|answer| answer.at) {
                Some(answer) => answer.at = now,
                None => self.give_up_last(now),
            }
        }
    }

    /// Begins a verification.
    pub(super) fn next(&mut self) -> Option<Basic> {
        let next = self.waiting.remove(self.position_of_next()?);
        self.begun += 1;
        if let Some(failed) = self.failed.get_mut(&next.client) {
            failed.verification = self.begun;
            failed.since_arrival += 1;
        }
        Some(self.current.insert(next).credentials.clone())
    }

    /// Ends the verification, which took this long.
    pub(super) fn finish(&mut self, is_right: bool, took: Duration, now: Instant) {
        let Some(current) = self.current.take() else { return };
        let credentials = current.credentials.clone();
        let same = self.waiting.extract_if(.., |waiting| are_same(&waiting.credentials, &credentials));
        let mut finished: Vec<_> = same.chain([current]).collect();
        finished.sort_by_key(|one| one.client);
        let mut last = None;
        for Waiting { client, waker, deadline, .. } in finished {
            let at = match last {
                Some((same, at)) if same == client => at,
                _ if is_right => self.record_success(client, now),
                _ => self.record_failure(client, &credentials, took, now),
            };
            last = Some((client, at));
            self.answers.push(Answer { at: at.min(deadline), waker, wakeup: Wakeup::Done });
        }
    }

    /// What was wrong may be right from now on, because other users are known. Who guesses is remembered.
    pub(super) fn forget_wrong_credentials(&mut self) {
        self.failed.values_mut().for_each(|failed| failed.credentials = None);
    }

    /// Takes out the requests that are to be woken now, in their order.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<(W, Wakeup)> {
        let late = self.waiting.extract_if(.., |waiting| waiting.deadline <= now);
        let late = late.map(|waiting| (waiting.waker, Wakeup::GaveUp));
        let due = self.answers.extract_if(.., |answer| answer.at <= now).map(|answer| (answer.waker, answer.wakeup));
        due.chain(late).collect()
    }

    /// When a request is to be woken next, whatever happens meanwhile. `None`: no request is left.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let answers = self.answers.iter().map(|answer| answer.at);
        answers.chain(self.waiting.iter().map(|waiting| waiting.deadline)).min()
    }

    /// Returns when the client is to be answered: now.
    fn record_success(&mut self, client: IpAddr, now: Instant) -> Instant {
        if let Some(failed) = self.failed.get_mut(&client) {
            failed.failures = 0;
        }
        now
    }

    /// Returns when the client is to be answered.
    fn record_failure(&mut self, client: IpAddr, credentials: &Basic, took: Duration, now: Instant) -> Instant {
        let before = self.failed.remove(&client);
        if self.failed.len() >= MAX_FAILED {
            let oldest = self.failed.iter().min_by_key(|(_, failed)| failed.verification).map(|(client, _)| *client);
            oldest.map(|oldest| self.failed.remove(&oldest));
        }
        let (failures, since_arrival, at) = match before {
            Some(before) => (before.failures, before.since_arrival, before.answer_at.max(now)),
            None => (0, 0, now),
        };
        self.failed.insert(
            client,
            Failed {
                credentials: Some(credentials.clone()),
                failures: (failures + 1).min(MAX_FAILURES),
                answer_at: at + (took * ANSWER_EVERY).min(MAX_SPACING),
                verification: self.begun,
                since_arrival,
            },
        );
        at
    }

    fn position_of_next(&self) -> Option<usize> {
        let first = (0..self.waiting.len()).min_by_key(|index| self.rank(&self.waiting[*index]))?;
        let client = self.waiting[first].client;
        match self.failed.get(&client) {
            Some(failed) if failed.since_arrival % 3 < 2 => self.waiting.iter().rposition(|one| one.client == client),
            _ => Some(first),
        }
    }

    /// Of a client that guesses the newest requests come first, so its oldest one gives up. Otherwise a new one, perhaps of
    /// someone else at its address, would not even wait.
    fn give_up_last(&mut self, now: Instant) {
        let Some(last) = (0..self.waiting.len()).max_by_key(|index| self.rank(&self.waiting[*index])) else { return };
        let client = self.waiting[last].client;
        let oldest = self.waiting.iter().position(|one| one.client == client);
        let last = oldest.filter(|_| self.failed.contains_key(&client)).unwrap_or(last);
        let waker = self.waiting.remove(last).waker;
        self.answers.push(Answer { at: now, waker, wakeup: Wakeup::GaveUp });
    }

    /// The least one is next: one of a client with the fewest failures, and then of the one that was served longest ago.
    fn rank(&self, waiting: &Waiting<W>) -> (u32, u64) {
        self.failed.get(&waiting.client).map_or((0, 0), |failed| (failed.failures, failed.verification))
    }
}

/// The client of this address. Whoever has one address of IPv6 has a network of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}

fn are_same(one: &Basic, other: &Basic) -> bool {
    constant_time_eq(one.user(), other.user()) & constant_time_eq(one.password(), other.password())
}

#[cfg(test)]
mod tests;
