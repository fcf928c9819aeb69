//! Verifies passwords on a thread of its own, so that no worker does. The thread ends when no request is left.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http_core::auth::Basic;

use super::htpasswd::Users;
use super::queue::{MAX_WAITING, Queue};
use crate::handler::Request;
use crate::permit::Turn;
use crate::waker::{Waker, Wakeup};

pub(super) struct Verifier {
    /// Every request with credentials reads them, so reading takes no lock. They are replaced while the state is locked.
    pub(super) users: ArcSwap<Users>,
    state: Mutex<State>,
    /// There is something to verify.
    changed: Condvar,
    verifications: AtomicU64,
}

struct State {
    queue: Queue<Arc<Waker>>,
    has_thread: bool,
}

/// bcrypt needs 4 KiB.
pub(super) const STACK: usize = 256 << 10;

impl Verifier {
    pub(super) fn new(users: Users, max_wait: Duration) -> Arc<Verifier> {
        let state = Mutex::new(State { queue: Queue::new(max_wait), has_thread: false });
        let users = ArcSwap::from_pointee(users);
        Arc::new(Verifier { users, state, changed: Condvar::new(), verifications: AtomicU64::new(0) })
    }

    /// Lets other users log in from now on. Those whose hashes are the same stay logged in.
    pub(super) fn replace_users(&self, mut users: Users) {
        let mut state = self.lock();
        users.keep_cached(&self.users.load());
        let before = self.users.swap(Arc::new(users));
        state.queue.forget_wrong_credentials();
        drop(state);
        drop(before);
    }

    /// The number of verifications that have begun.
    pub(super) fn verifications(&self) -> u64 {
        self.verifications.load(Relaxed)
    }

    /// Whether the verification of a request's credentials has ended. If the request has to wait for that, returns what
    /// wakes it.
    ///
    /// # Errors
    /// Those of the system, if it starts no thread.
    pub(super) fn verify(
        self: &Arc<Self>,
        request: &Request<'_>,
        credentials: &Basic,
    ) -> io::Result<Result<Wakeup, Arc<Waker>>> {
        let owner = Arc::as_ptr(self) as usize;
        if let Some(wakeup) = Waker::woke(request, owner) {
            return Ok(Ok(wakeup));
        }
        let waker = Waker::new(request, owner);
        self.add(request, credentials, waker.clone())?;
        Ok(waker.block().ok_or(waker))
    }

    fn add(self: &Arc<Self>, request: &Request<'_>, credentials: &Basic, waker: Arc<Waker>) -> io::Result<()> {
        let mut state = self.lock();
        if !state.has_thread {
            let verifier = self.clone();
            let thread = thread::Builder::new().name("verifier".into()).stack_size(STACK);
            thread.spawn(move || verifier.run())?;
            state.has_thread = true;
        }
        let now = Instant::now();
        state.queue.max_waiting = request.turn.and_then(Turn::most_waiting).unwrap_or(MAX_WAITING).min(MAX_WAITING);
        state.queue.add(request.client_ip(), self.users.load().shortened(credentials), waker, now);
        let due = state.queue.take_due(now);
        drop(state);
        self.changed.notify_one();
        due.into_iter().for_each(|(waker, wakeup)| waker.wake(wakeup));
        Ok(())
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            let due = state.queue.take_due(Instant::now());
            // The next one is chosen before a client that is answered can send another request.
            let next = state.queue.next();
            if due.is_empty() && next.is_none() {
                let Some(at) = state.queue.next_due() else { break };
                let wait = at.saturating_duration_since(Instant::now());
                state = self
                    .changed
                    .wait_timeout(state, wait)
                    .map_or_else(|error| error.into_inner().0, |(state, _)| state);
                continue;
            }
            drop(state);
            due.into_iter().for_each(|(waker, wakeup)| waker.wake(wakeup));
            state = match next {
                Some(credentials) => self.verify_now(&credentials),
                None => self.lock(),
            };
        }
        state.has_thread = false;
    }

    /// Verifies the credentials, and hands the result to the queue. If the users were replaced meanwhile, it counts for
    /// no request that has come since, so it begins again.
    fn verify_now(&self, credentials: &Basic) -> MutexGuard<'_, State> {
        let began = Instant::now();
        self.verifications.fetch_add(1, Relaxed);
        loop {
            let users = self.users.load_full();
            let is_right = catch_unwind(AssertUnwindSafe(|| users.verify(credentials))).unwrap_or(false);
            let mut state = self.lock();
            if Arc::ptr_eq(&users, &self.users.load()) {
                let now = Instant::now();
                state.queue.finish(is_right, now - began, now);
                return state;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Verifier {
    /// Shows no credentials (R1945-12.3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("users", &self.users.load()).finish_non_exhaustive()
    }
}
