//! Permits: what a worker may do in a turn that could block, and how a handler asks for it.
//!
//! Every turn has a permit. A handler that is about to block asks for a greater one. If too many workers block already,
//! it gets none: its connection is put aside, and the handler is called again once a permit is free. So a disk that
//! hangs holds a part of the pool and no more. How many permits there are is decided elsewhere.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_core::server::RequestHead;

use crate::clock::Millis;
use crate::waker::Waker;

/// What a worker may do in a turn. Each permit includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Permit {
    /// Nothing that may touch a disk.
    #[default]
    None,
    /// Call a handler that never blocks: it may look at most whether a cached file is current.
    Check,
    /// Block.
    Block,
    /// Block on something that may never answer.
    Hang,
}

/// The answer to a handler that asks whether it may block: not now, because too many workers block already.
///
/// The handler returns it as its [`Action`](crate::Action). The server then calls it again for the same request, once a
/// worker may block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "return it as an `Action`, so that the handler is called again"]
pub struct Later(pub(crate) Permit);

/// Asks the pool whether its caller may block; see [`Request::blocking`](crate::Request::blocking) and
/// [`ErrorContext::blocking`](crate::ErrorContext::blocking). The default is for threads outside the pool, which always
/// may.
#[derive(Clone, Copy, Default)]
pub struct Blocking<'a> {
    pub(crate) turn: Option<&'a Turn>,
    /// `None` for an error page. A peer's deadline waits for it, so it may not hang, nor block while a disk is slow.
    pub(crate) head: Option<&'a RequestHead<'a>>,
}

impl Blocking<'_> {
    /// Asks before work that may take longer than some microseconds, such as a read from a disk. As many handlers as the
    /// server has [threads](crate::Server::threads) may do so at once.
    ///
    /// # Errors
    /// [`Later`], if that many do.
    pub fn will_block(self) -> Result<(), Later> {
        self.ask(Permit::Block)
    }

    /// Asks before work that may never end, such as a read from another computer, or that takes long, such as a listing of
    /// many files. Half as many handlers may do so at once, so that the other half goes on. It includes [`will_block`](Self::will_block), and the body: what the response
    /// sends, or what receives the request's.
    ///
    /// # Errors
    /// [`Later`], if that many do.
    pub fn may_hang(self) -> Result<(), Later> {
        self.ask(Permit::Hang)
    }

    fn ask(self, wanted: Permit) -> Result<(), Later> {
        let Some(turn) = self.turn else { return Ok(()) };
        if self.head.is_none() && turn.source.is_some() && (wanted == Permit::Hang || !turn.is_calm.get()) {
            return Err(Later(wanted));
        }
        let name = |name: &mut Vec<u8>| {
            if let Some(head) = self.head {
                name.extend_from_slice(head.method.as_str().as_bytes());
                name.push(b' ');
                name.extend_from_slice(head.target.as_str().as_bytes());
            } else {
                name.extend_from_slice(b"an error page");
            }
        };
        if !turn.may(wanted, name) {
            return Err(Later(wanted));
        }
        if wanted == Permit::Hang {
            turn.asked_to_hang.set(true);
        }
        Ok(())
    }
}

impl fmt::Debug for Blocking<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blocking")
    }
}

/// Where workers get their permits.
pub(crate) trait PermitSource: fmt::Debug + Send + Sync {
    /// Exchanges a permit for a greater one, if one is free. Another worker then waits for events.
    fn upgrade(&self, held: Permit, wanted: Permit) -> bool;

    /// Makes sure that another worker waits for events while the caller is busy.
    fn promote_follower(&self);

    /// Has a worker resume the connection that sleeps until this wakes. Any thread may call it.
    fn wake(&self, waker: &Waker);
}

/// A worker's turn: its permit, and what it has done so far.
pub(crate) struct Turn {
    /// `None`: everything is permitted.
    source: Option<Arc<dyn PermitSource>>,
    permit: Cell<Permit>,
    is_calm: Cell<bool>,
    has_blocked: Cell<bool>,
    asked_to_hang: Cell<bool>,
    bytes: Cell<u64>,
    /// In nanoseconds. `None` between two turns.
    began: Cell<Option<u64>>,
    /// For each worker the request that may block it, and which of them this one is.
    requests: Arc<[RequestName]>,
    worker: usize,
}

/// A finished turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) permit: Permit,
    /// It did something that may block.
    pub(crate) has_blocked: bool,
    /// How long it took, less the time that copying its bytes may take.
    pub(crate) nanoseconds: u64,
}

impl Turn {
    /// Turns of a worker, with permits of this source. What blocks is noted in `requests`.
    pub(crate) fn new(source: Arc<dyn PermitSource>, requests: Arc<[RequestName]>, worker: usize) -> Turn {
        Turn { source: Some(source), ..Turn::named(requests, worker) }
    }

    /// For a worker of a pool without permits: it may block as it likes. What blocks is noted in `requests`.
    pub(crate) fn named(requests: Arc<[RequestName]>, worker: usize) -> Turn {
        Turn { requests, worker, ..Turn::unlimited() }
    }

    /// For a driver of one connection, which may block as it likes.
    pub(crate) fn unlimited() -> Turn {
        Turn {
            source: None,
            permit: Cell::default(),
            is_calm: Cell::default(),
            has_blocked: Cell::default(),
            asked_to_hang: Cell::default(),
            bytes: Cell::default(),
            began: Cell::default(),
            requests: Arc::default(),
            worker: 0,
        }
    }

    /// `is_calm`: the disk answers, as far as is known.
    pub(crate) fn begin(&self, permit: Permit, is_calm: bool, now: u64) {
        self.is_calm.set(is_calm);
        self.asked_to_hang.set(false);
        self.permit.set(permit);
        self.has_blocked.set(false);
        self.bytes.set(0);
        self.began.set(Some(now));
    }

    /// Ends the turn, if one has begun.
    pub(crate) fn end(&self, now: u64) -> Option<Ended> {
        let began = self.began.take()?;
        let has_blocked = self.forget_request();
        let nanoseconds = now.saturating_sub(began).saturating_sub(self.bytes.get() * NANOS_PER_BYTE);
        Some(Ended { permit: self.permit.take(), has_blocked, nanoseconds })
    }

    /// No request blocks the worker any more. Returns whether one may have.
    pub(crate) fn forget_request(&self) -> bool {
        let has_blocked = self.has_blocked.take();
        if has_blocked {
            self.note(Vec::clear);
        }
        has_blocked
    }

    /// Whether the turn may do this. If it may block, the request is noted, so that it can be named if it never ends.
    pub(crate) fn may(&self, wanted: Permit, request: impl FnOnce(&mut Vec<u8>)) -> bool {
        let held = self.permit.get();
        if let Some(source) = &self.source
            && wanted > held
        {
            if !source.upgrade(held, wanted) {
                return false;
            }
            self.permit.set(wanted);
        }
        if wanted >= Permit::Block {
            self.has_blocked.set(true);
            self.note(|name| {
                name.clear();
                request(name);
                if name.is_empty() {
                    name.extend_from_slice(b"no request");
                }
            });
        }
        true
    }

    fn note(&self, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(request) = self.requests.get(self.worker) {
            let mut named = request.lock();
            named.since = self.began.get().unwrap_or_default();
            change(&mut named.name);
        }
    }

    /// Whether a handler asked to hang since the last call.
    pub(crate) fn take_asked_to_hang(&self) -> bool {
        self.asked_to_hang.take()
    }

    /// Whether it has lasted so long by now that other connections are next. Turns of [`unlimited`](Self::unlimited) never
    /// end by time.
    pub(crate) fn is_over(&self, now: Millis) -> bool {
        self.began.get().is_some_and(|began| now.saturating_mul(NANOS_PER_MILLI) > began + TURN * NANOS_PER_MILLI)
    }

    /// How many requests may wait for another thread at once where each holds one of a pool: half of them, so that the
    /// other half serves. `None`: no number follows from that.
    #[cfg(feature = "basic-auth")] // only logins wait so
    pub(crate) fn most_waiting(&self) -> Option<usize> {
        (self.source.is_none() && !self.requests.is_empty()).then(|| (self.requests.len() / 2).max(1))
    }

    /// Where its worker gets permits; `None` outside the pool.
    pub(crate) fn source(&self) -> Option<Arc<dyn PermitSource>> {
        self.source.clone()
    }

    /// Makes sure that another worker waits for events during a long turn.
    pub(crate) fn promote_follower(&self) {
        if let Some(source) = &self.source {
            source.promote_follower();
        }
    }

    /// Records that this many bytes were sent or received.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes.set(self.bytes.get() + bytes);
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("permit", &self.permit.get()).finish_non_exhaustive()
    }
}

/// How long a turn may last before its next response or its next piece of a body, in milliseconds. What a handler does at
/// once cannot be divided.
const TURN: Millis = 10;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// Copying at 1 GB/s is no sign of a slow disk.
const NANOS_PER_BYTE: u64 = 1;

/// The request that may block a worker, and since when.
#[derive(Debug, Default)]
pub(crate) struct RequestName(Mutex<Named>);

#[derive(Debug, Default)]
struct Named {
    /// Its method and target. Empty while the worker is free.
    name: Vec<u8>,
    /// When its turn began, in nanoseconds.
    since: u64,
}

impl RequestName {
    /// The name, escaped, unless the worker is free.
    pub(crate) fn get(&self) -> Option<String> {
        const MAX_SHOWN: usize = 100;
        let Named { name, .. } = &*self.lock();
        (!name.is_empty()).then(|| name[..name.len().min(MAX_SHOWN)].escape_ascii().to_string())
    }

    /// Whether the worker has not been free since then.
    pub(crate) fn is_held_since(&self, then: u64) -> bool {
        let named = self.lock();
        !named.name.is_empty() && named.since <= then
    }

    fn lock(&self) -> MutexGuard<'_, Named> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
