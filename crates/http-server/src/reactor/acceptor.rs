//! Accepting connections: listeners, free slots, and what happens when none is free.
//!
//! At the connection limit the connection that has been idle longest is closed for a new one. If none is idle, the new
//! one gets a 503 in one of [`OVERLOAD_SLOTS`] extra slots. If these are in use too, it is closed.

use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};

use super::poller::{EventFlags, Poller};
use super::slot::Slot;
use super::token::listener_key;
use crate::clock::Millis;
use crate::config::ServerConfig;
use crate::connection::socket::has_input;
use crate::connection::sockopt;
use crate::connection::transport::UNIX_PEER_ADDR;
use crate::stats::{ConnectionCounts, EndReason, OpenConnections, SlotUse, Stats};

/// Slots beyond the connection limit, for connections that get a 503.
pub(super) const OVERLOAD_SLOTS: u32 = ServerConfig::OVERLOAD_CONNECTIONS;

/// Idle connections that can be evicted between two ticks.
const MAX_EVICTIONS_PER_TICK: usize = 1024;

#[derive(Debug)]
pub(super) struct Acceptor {
    /// `None` if it is closed.
    listeners: Vec<Option<OwnedFd>>,
    pub(super) free_slots: Vec<u32>,
    overload_slots: Vec<u32>,
    counts: ConnectionCounts,
    /// Slots that were idle at the last scan, the one that was idle longest at the end.
    eviction_queue: Vec<u32>,
    scanned_this_tick: bool,
    /// A connection was refused since the last tick, for lack of a slot.
    was_full: bool,
    /// The listeners are not armed, because no descriptor is left.
    paused: bool,
    /// The server is shutting down: what waits in the backlog is accepted as slots become free, and then the listeners
    /// are closed.
    stopping: bool,
}

/// The outcome of an accept.
pub(super) enum Accepted<T> {
    /// A new connection and its slot.
    Slot(OwnedFd, SocketAddr, u32),
    /// A new connection, and an idle one that must be closed for it.
    Evicting(OwnedFd, SocketAddr, T),
    /// A new connection over the limit, in a slot where it gets a 503.
    Overloaded(OwnedFd, SocketAddr, u32),
    /// A new connection over the limit, without any slot.
    Rejected(OwnedFd),
    /// No descriptor is left; this idle connection must be closed to free one.
    OutOfDescriptors(T),
}

impl Acceptor {
    pub(super) fn new(listeners: Vec<OwnedFd>, slots: u32) -> Acceptor {
        Acceptor {
            listeners: listeners.into_iter().map(Some).collect(),
            // Low indices first: the housekeeper's scan then stays in the cache.
            free_slots: (0..slots).rev().collect(),
            overload_slots: (slots..slots + OVERLOAD_SLOTS).collect(),
            counts: ConnectionCounts::default(),
            eviction_queue: Vec::new(),
            scanned_this_tick: false,
            was_full: false,
            paused: false,
            stopping: false,
        }
    }

    pub(super) fn accept<T: AsFd>(
        &mut self,
        listener: usize,
        slots: &[Slot<T>],
        poller: &Poller,
    ) -> Option<Accepted<T>> {
        if self.paused {
            return None;
        }
        if self.stopping && self.free_slots.is_empty() {
            self.pause(poller);
            return None;
        }
        let listener = self.listeners.get(listener)?.as_ref()?;
        match accept(listener) {
            Ok((socket, peer)) => {
                if let Some(slot) = self.free_slots.pop() {
                    self.occupy(slot, slots);
                    return Some(Accepted::Slot(socket, peer, slot));
                }
                if let Some(idle) = self.evict_longest_idle(slots) {
                    return Some(Accepted::Evicting(socket, peer, idle));
                }
                self.was_full = true;
                Some(match self.overload_slots.pop() {
                    Some(slot) => {
                        self.occupy(slot, slots);
                        Accepted::Overloaded(socket, peer, slot)
                    }
                    None => {
                        self.counts.accepted();
                        self.counts.ended(EndReason::Overloaded);
                        Accepted::Rejected(socket)
                    }
                })
            }
            // The peer has disconnected, or the connection had a network error, which is reported here (accept(2)).
            Err(
                Errno::AGAIN
                | Errno::INTR
                | Errno::CONNABORTED
                | Errno::PROTO
                | Errno::NETDOWN
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH,
            ) => None,
            // Out of descriptors, or an unknown error. The listener stays readable, so stop polling it until a
            // connection closes or a tick passes, unless an idle connection can make room.
            Err(_) => {
                let idle = self.evict_longest_idle(slots);
                if idle.is_none() {
                    self.pause(poller);
                }
                idle.map(Accepted::OutOfDescriptors)
            }
        }
    }

    /// Counts a connection that gets this slot.
    fn occupy<T>(&mut self, slot: u32, slots: &[Slot<T>]) {
        slots[slot as usize].set_use(SlotUse::Active);
        self.counts.accepted();
    }

    /// Makes a slot free, whose connection has ended for this reason.
    pub(super) fn free_slot<T>(&mut self, slot: u32, reason: EndReason, slots: &[Slot<T>], poller: &Poller) {
        slots[slot as usize].set_use(SlotUse::Free);
        self.counts.ended(reason);
        let is_overload = slot as usize >= slots.len() - OVERLOAD_SLOTS as usize;
        if is_overload { &mut self.overload_slots } else { &mut self.free_slots }.push(slot);
        self.resume(poller);
    }

    /// Counts a connection that has ended for this reason, and another one that gets its slot.
    pub(super) fn reuse_slot(&mut self, reason: EndReason) {
        self.counts.ended(reason);
        self.counts.accepted();
    }

    /// The statistics of the connections. No slot becomes free meanwhile, and none ceases to be so.
    pub(super) fn stats<T>(&self, slots: &[Slot<T>]) -> Stats {
        let mut open = OpenConnections::default();
        slots.iter().for_each(|slot| open.count(slot.used_for()));
        self.counts.stats(open)
    }

    /// A tick has passed: there may be descriptors again, and other connections have become idle.
    /// Returns whether a connection was refused since the last one.
    pub(super) fn on_tick(&mut self, poller: &Poller) -> bool {
        self.scanned_this_tick = false;
        self.eviction_queue.clear();
        self.resume(poller);
        mem::take(&mut self.was_full)
    }

    /// Whether everything is closed.
    pub(super) fn is_done(&self, slots: usize) -> bool {
        self.listeners.iter().all(Option::is_none) && self.free_slots.len() + self.overload_slots.len() == slots
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
        for listener in self.listeners.iter().flatten() {
            // Who has connected waits in the backlog from now on, though its request is still to come. It fails for Unix
            // domain sockets, where that is always so.
            let _ = sockopt::defer_accept(listener, false);
        }
    }

    /// Accepts the next connection that waits, if there is a slot for it. Closes each listener where none waits.
    pub(super) fn close_listeners<T>(
        &mut self,
        at_once: bool,
        slots: &[Slot<T>],
        poller: &Poller,
    ) -> Option<(OwnedFd, SocketAddr, u32)> {
        for listener in &mut self.listeners {
            let Some(socket) = listener else { continue };
            if !at_once {
                if self.free_slots.is_empty() {
                    return None;
                }
                match accept(socket) {
                    Ok((socket, peer)) => {
                        let slot = self.free_slots.pop()?;
                        self.occupy(slot, slots);
                        return Some((socket, peer, slot));
                    }
                    Err(Errno::AGAIN) => {}
                    Err(_) => return None, // until the next tick
                }
            }
            // Another process may hold the socket too, and then it would stay registered. It is only closed, not shut
            // down: what connects from now on waits for that process. Removing a registered descriptor cannot fail.
            let _ = poller.delete(&*socket);
            *listener = None;
        }
        None
    }

    /// Takes out the connection that has been idle longest, as of the last scan. One whose request has arrived is not idle.
    pub(super) fn evict_longest_idle<T: AsFd>(&mut self, slots: &[Slot<T>]) -> Option<T> {
        if self.eviction_queue.is_empty() && !self.scanned_this_tick {
            self.scanned_this_tick = true; // a scan visits every slot, so at most one per tick
            let parked = slots.iter().zip(0..).filter_map(|(slot, index)| Some((slot.deadline()?, index)));
            let mut idle: Vec<(Millis, u32)> = parked
                .filter(|(deadline, _)| deadline.is_evictable())
                .map(|(deadline, index)| (deadline.at, index))
                .collect();
            idle.sort_unstable();
            idle.truncate(MAX_EVICTIONS_PER_TICK);
            self.eviction_queue = idle.into_iter().rev().map(|(_, index)| index).collect();
        }
        loop {
            let slot = &slots[self.eviction_queue.pop()? as usize];
            if let Some(idle) = slot.take_if(|idle, deadline| deadline.is_evictable() && !has_input(idle)) {
                return Some(idle);
            }
        }
    }

    fn resume(&mut self, poller: &Poller) {
        if self.paused {
            self.paused = false;
            self.set_listener_interest(poller, EventFlags::IN);
        }
    }

    fn pause(&mut self, poller: &Poller) {
        self.paused = true;
        self.set_listener_interest(poller, EventFlags::empty());
    }

    fn set_listener_interest(&self, poller: &Poller, flags: EventFlags) {
        for (index, listener) in self.listeners.iter().enumerate() {
            if let Some(listener) = listener {
                // It fails only for unregistered descriptors, and these are registered.
                let _ = poller.modify(listener, listener_key(index), flags);
            }
        }
    }
}

/// Accepts a connection, and the address of its peer.
fn accept(listener: &OwnedFd) -> Result<(OwnedFd, SocketAddr), Errno> {
    let (socket, peer) = acceptfrom_with(listener, SocketFlags::CLOEXEC)?;
    match peer.and_then(|peer| SocketAddr::try_from(peer).ok()) {
        Some(peer) => Ok((socket, peer)),
        None => {
            // It may have connected before the listener had the option, as to a socket of systemd.
            let _ = sockopt::refuse_descriptors(&socket);
            Ok((socket, UNIX_PEER_ADDR))
        }
    }
}
