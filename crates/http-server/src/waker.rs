//! Lets a request wait for another thread without a worker. Its connection is put aside, and once the other thread wakes
//! it, the handler is called again.

#![cfg_attr(not(feature = "basic-auth"), allow(dead_code, reason = "only logins wait for another thread"))]

use std::fmt;
use std::ptr;
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};

use crate::handler::{Action, ActionKind, Request};
use crate::permit::{PermitSource, Turn};

/// Wakes one request.
pub(crate) struct Waker {
    /// The address of what the request waits for. A request may pass through several handlers, and another one waits for
    /// something else.
    owner: usize,
    wakeup: OnceLock<Wakeup>,
    sleeper: Sleeper,
}

/// Why a request was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wakeup {
    /// What it waited for is done.
    Done,
    /// It has waited too long, or there is no room to wait.
    GaveUp,
}

enum Sleeper {
    /// A connection that a worker has put aside here, or is about to.
    Connection(Arc<dyn PermitSource>),
    /// A thread outside the pool, which may block.
    Thread(Thread),
}

impl Waker {
    pub(crate) fn new(request: &Request<'_>, owner: usize) -> Arc<Waker> {
        let sleeper = match request.turn.and_then(Turn::source) {
            Some(source) => Sleeper::Connection(source),
            None => Sleeper::Thread(thread::current()),
        };
        Arc::new(Waker { owner, wakeup: OnceLock::new(), sleeper })
    }

    /// Why this request was woken, if it was, and if it had waited for this.
    pub(crate) fn woke(request: &Request<'_>, owner: usize) -> Option<Wakeup> {
        request.waker.filter(|waker| waker.owner == owner)?.wakeup()
    }

    /// Waits, on a thread that may block. A worker gets `None` at once: it returns the waker as an [`Action`].
    pub(crate) fn block(&self) -> Option<Wakeup> {
        if let Sleeper::Thread(_) = self.sleeper {
            while self.wakeup().is_none() {
                thread::park();
            }
        }
        self.wakeup()
    }

    /// Wakes the request, whether it sleeps already or not.
    pub(crate) fn wake(&self, wakeup: Wakeup) {
        let _ = self.wakeup.set(wakeup);
        match &self.sleeper {
            Sleeper::Connection(source) => source.wake(self),
            Sleeper::Thread(thread) => thread.unpark(),
        }
    }

    /// `None` until it is woken.
    pub(crate) fn wakeup(&self) -> Option<Wakeup> {
        self.wakeup.get().copied()
    }

    #[cfg(test)]
    pub(crate) fn for_connection(source: Arc<dyn PermitSource>) -> Arc<Waker> {
        Arc::new(Waker { owner: 0, wakeup: OnceLock::new(), sleeper: Sleeper::Connection(source) })
    }
}

impl From<Arc<Waker>> for Action {
    fn from(waker: Arc<Waker>) -> Action {
        Action(ActionKind::Sleep(waker))
    }
}

/// Each wakes a request of its own.
impl PartialEq for Waker {
    fn eq(&self, other: &Waker) -> bool {
        ptr::eq(self, other)
    }
}

impl Eq for Waker {}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").field("wakeup", &self.wakeup).finish_non_exhaustive()
    }
}
