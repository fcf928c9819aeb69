//! The kernel's events: an epoll set, and a way to wake who waits for it.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Result;

pub(crate) use rustix::event::epoll::{Event, EventFlags};

/// Events that are taken at once.
pub(crate) const EVENTS: usize = 64;

/// The key of what wakes who waits; all others are the caller's.
pub(crate) const WAKE: u64 = u64::MAX;

/// Where events come from.
pub(crate) trait Kernel: fmt::Debug + Send + Sync {
    /// Waits for events; so many of these there were, and the others mean nothing.
    fn wait(&self) -> ([Event; EVENTS], usize);

    /// Whoever waits, now or later, does so no longer.
    fn wake(&self);
}

#[derive(Debug)]
pub(crate) struct Epoll {
    set: OwnedFd,
    /// Readable once it was woken, and never read.
    wake: OwnedFd,
}

impl Epoll {
    pub(crate) fn new() -> Result<Epoll> {
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&set, &wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Epoll { set, wake })
    }

    /// Begins to watch a descriptor.
    pub(crate) fn add(&self, fd: impl AsFd, key: u64, flags: EventFlags) -> Result<()> {
        epoll::add(&self.set, fd, EventData::new_u64(key), flags)
    }

    /// Watches for something else, and reports anew what is so already.
    pub(crate) fn modify(&self, fd: impl AsFd, key: u64, flags: EventFlags) -> Result<()> {
        epoll::modify(&self.set, fd, EventData::new_u64(key), flags)
    }

    pub(crate) fn delete(&self, fd: impl AsFd) -> Result<()> {
        epoll::delete(&self.set, fd)
    }
}

impl Kernel for Epoll {
    fn wait(&self) -> ([Event; EVENTS], usize) {
        let mut room = [Event { flags: EventFlags::empty(), data: EventData::new_u64(WAKE) }; EVENTS];
        // EINTR is all that can go wrong: the descriptor is ours and valid.
        let n = epoll::wait(&self.set, &mut room, None).unwrap_or(0);
        (room, n)
    }

    fn wake(&self) {
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}
