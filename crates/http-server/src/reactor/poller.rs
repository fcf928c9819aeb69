//! The kernel's readiness events: an epoll set, and ways to wake the threads that wait for it.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Result;

pub(crate) use rustix::event::epoll::{Event, EventFlags};

use super::token::NOTIFY_TOKEN;

/// The most events that one wait returns.
pub(crate) const MAX_EVENTS: usize = 64;

/// Where events come from: the kernel, or a test.
pub(crate) trait EventSource: fmt::Debug + Send + Sync {
    /// Waits for events. Returns how many there are; the rest of the array is unused.
    fn wait(&self) -> ([Event; MAX_EVENTS], usize);

    /// Ends the wait of one worker.
    fn wake(&self);

    /// Ends the current waits and every later one.
    fn notify(&self);
}

#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    /// Written by `wake`, and never read: each write is an edge, which wakes one worker.
    waker: OwnedFd,
    /// Readable after `notify`, and never read.
    notifier: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> Result<Poller> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let event = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let (waker, notifier) = (event()?, event()?);
        epoll::add(&epoll, &waker, EventData::new_u64(NOTIFY_TOKEN), EventFlags::IN | EventFlags::ET)?;
        epoll::add(&epoll, &notifier, EventData::new_u64(NOTIFY_TOKEN), EventFlags::IN)?;
        Ok(Poller { epoll, waker, notifier })
    }

    /// Registers a descriptor.
    pub(crate) fn add(&self, fd: impl AsFd, key: u64, flags: EventFlags) -> Result<()> {
        epoll::add(&self.epoll, fd, EventData::new_u64(key), flags)
    }

    /// Changes what a descriptor is registered for. If it is ready already, that is reported again.
    pub(crate) fn modify(&self, fd: impl AsFd, key: u64, flags: EventFlags) -> Result<()> {
        epoll::modify(&self.epoll, fd, EventData::new_u64(key), flags)
    }

    pub(crate) fn delete(&self, fd: impl AsFd) -> Result<()> {
        epoll::delete(&self.epoll, fd)
    }
}

impl EventSource for Poller {
    fn wait(&self) -> ([Event; MAX_EVENTS], usize) {
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(NOTIFY_TOKEN) }; MAX_EVENTS];
        // The descriptor is ours and valid, so EINTR is the only possible error.
        let n = epoll::wait(&self.epoll, &mut events, None).unwrap_or(0);
        (events, n)
    }

    fn wake(&self) {
        let _ = rustix::io::write(&self.waker, &1u64.to_ne_bytes());
    }

    fn notify(&self) {
        let _ = rustix::io::write(&self.notifier, &1u64.to_ne_bytes());
    }
}
