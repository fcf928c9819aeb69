//! The lobby: where connections wait for their peers, and where workers find who is ready. It knows slots, keys and
//! readiness; what a connection *is* it does not know.
//!
//! Hand-over, the part to get right:
//! - A slot is a lock over a generation and a guest, or nothing. It stays locked across arming and storing, and the
//!   readiness key is generation and index. Whoever takes the guest out owns it; an event that finds nothing, or another
//!   generation, is dropped. So the worker and the ticker can both reach for a guest, and one of them gets it.
//! - A guest is armed for one event. Whoever takes it serves it and sets it down again.
//! - One thread at a time waits for an event, the leader, and it stops leading before it serves: with more waiting
//!   threads than cores some thread is always asleep there and each packet wakes one, at twice the cost per request.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags, acceptfrom_with, shutdown};

/// Milliseconds since the server started.
pub(crate) type Millis = u64;

const NEVER: Millis = Millis::MAX;

/// Keys of what is no guest; a guest's key has a smaller index.
const WAKE: u64 = u64::MAX;
const FIRST_LISTENER: u64 = WAKE - MOST_LISTENERS;
const MOST_LISTENERS: u64 = 1000;

#[derive(Debug)]
pub(crate) struct Lobby<C> {
    epoll: OwnedFd,
    listeners: Vec<OwnedFd>,
    leader: Mutex<()>,
    slots: Box<[Slot<C>]>,
    door: Mutex<Door>,
    /// Readable once the workers may leave, and from then on for good.
    wake: OwnedFd,
    leaving: AtomicBool,
}

#[derive(Debug)]
struct Slot<C> {
    /// When the guest's patience ends; set under the lock; the ticker looks without it first.
    deadline: AtomicU64,
    seat: Mutex<Seat<C>>,
}

#[derive(Debug)]
struct Seat<C> {
    generation: u32,
    guest: Option<Box<Guest<C>>>,
}

/// Who may come in.
#[derive(Debug)]
struct Door {
    free: Vec<u32>,
    /// The listeners are not armed: there is no free slot, or no descriptor.
    shut: bool,
    /// For good: the server is stopping.
    closed: bool,
}

/// A connection and its slot.
#[derive(Debug)]
pub(crate) struct Guest<C> {
    pub(crate) connection: C,
    slot: u32,
    registered: bool,
}

/// What a worker is to take care of.
#[derive(Debug)]
pub(crate) enum Arrival<C> {
    /// A new connection, and the slot that is now its own.
    Stranger(OwnedFd, SocketAddr, u32),
    /// A guest whose peer is ready.
    Ready(Box<Guest<C>>),
    /// A guest whose connection broke.
    Gone(Box<Guest<C>>),
}

/// What a guest waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Bytes, or the end of the stream.
    Read,
    /// Room to write, and nothing else: a half-closed peer is always readable.
    Write,
}

impl<C: AsFd> Lobby<C> {
    /// A lobby with so many slots, in front of non-blocking listeners.
    pub(crate) fn new(listeners: Vec<OwnedFd>, slots: u32) -> io::Result<Lobby<C>> {
        if listeners.len() as u64 > MOST_LISTENERS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many addresses to listen on"));
        }
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        for (key, listener) in (FIRST_LISTENER..).zip(&listeners) {
            epoll::add(&epoll, listener, EventData::new_u64(key), EventFlags::IN)?;
        }
        let slot = |_| Slot { deadline: AtomicU64::new(NEVER), seat: Mutex::new(Seat { generation: 0, guest: None }) };
        Ok(Lobby {
            epoll,
            listeners,
            leader: Mutex::new(()),
            slots: (0..slots).map(slot).collect(),
            // Low indices first, so that the ticker's eyes stay where the guests are.
            door: Mutex::new(Door { free: (0..slots).rev().collect(), shut: false, closed: false }),
            wake,
            leaving: AtomicBool::new(false),
        })
    }

    /// The next that needs a worker; `None` once the workers may leave.
    pub(crate) fn next(&self) -> Option<Arrival<C>> {
        loop {
            let leader = lock(&self.leader);
            if self.leaving.load(Relaxed) {
                return None;
            }
            let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(WAKE) }];
            match epoll::wait(&self.epoll, &mut events, None) {
                Ok(0) | Err(_) => continue, // EINTR: the epoll descriptor itself is ours and valid
                Ok(_) => {}
            }
            let [event] = events;
            let (key, flags) = (event.data.u64(), event.flags);
            if key == WAKE {
                continue;
            }
            if key >= FIRST_LISTENER {
                // Accepted while leading: the listener stays armed, and no other thread comes for the same stranger.
                if let Some(stranger) = self.accept((key - FIRST_LISTENER) as usize) {
                    return Some(stranger);
                }
                continue;
            }
            drop(leader);
            if let Some(guest) = self.take(key) {
                // A hang-up alone may have octets before it: a peer that ends while we linger. They are to be read,
                // or our close becomes a reset that destroys what is on its way to it.
                let gone = flags.contains(EventFlags::ERR);
                return Some(if gone { Arrival::Gone(guest) } else { Arrival::Ready(guest) });
            }
        }
    }

    /// Lets a guest wait until its peer is ready, or until the deadline.
    ///
    /// # Errors
    /// The guest itself, if the kernel does not take it.
    pub(crate) fn set_down(
        &self,
        mut guest: Box<Guest<C>>,
        interest: Interest,
        deadline: Millis,
    ) -> Result<(), Box<Guest<C>>> {
        let slot = &self.slots[guest.slot as usize];
        let mut seat = lock(&slot.seat);
        seat.generation = seat.generation.wrapping_add(1);
        let key = EventData::new_u64(u64::from(seat.generation) << 32 | u64::from(guest.slot));
        let flags = match interest {
            Interest::Read => EventFlags::IN | EventFlags::ONESHOT,
            Interest::Write => EventFlags::OUT | EventFlags::ONESHOT,
        };
        let armed = match guest.registered {
            false => epoll::add(&self.epoll, &guest.connection, key, flags),
            true => epoll::modify(&self.epoll, &guest.connection, key, flags),
        };
        if armed.is_err() {
            return Err(guest);
        }
        guest.registered = true;
        slot.deadline.store(deadline, Relaxed);
        seat.guest = Some(guest);
        Ok(())
    }

    /// Takes guests out whose deadline has passed, at most `most`.
    pub(crate) fn expired(&self, now: Millis, most: usize) -> impl Iterator<Item = Box<Guest<C>>> {
        let late = move |slot: &Slot<C>| slot.deadline.load(Relaxed) <= now;
        // Looked at without the lock, and again with it: a worker may have served the guest meanwhile.
        let slots = self.slots.iter().filter(move |slot| late(slot));
        slots.filter_map(move |slot| slot.leave(|_| late(slot))).take(most)
    }

    /// Takes out every guest of whom this is true.
    pub(crate) fn sweep(&self, which: impl Fn(&C) -> bool) -> impl Iterator<Item = Box<Guest<C>>> {
        self.slots.iter().filter_map(move |slot| slot.leave(&which))
    }

    /// Takes a new connection in, in the slot that it was given.
    pub(crate) fn welcome(&self, connection: C, slot: u32) -> Box<Guest<C>> {
        Box::new(Guest { connection, slot, registered: false })
    }

    /// A slot is free again.
    pub(crate) fn release(&self, slot: u32) {
        let mut door = lock(&self.door);
        door.free.push(slot);
        self.open(&mut door);
    }

    /// Arms the listeners again if they were not: a slot or a descriptor may be free by now.
    pub(crate) fn open_door(&self) {
        self.open(&mut lock(&self.door));
    }

    /// Whether no slot is taken.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.door).free.len() == self.slots.len()
    }

    /// Lets nobody in any more; who is in stays.
    pub(crate) fn close_door(&self) {
        lock(&self.door).closed = true;
        for listener in &self.listeners {
            // Taken out first: a hang-up is reported whatever a descriptor is armed for. New peers are told at once.
            // Neither can fail on a listening socket of ours, and nothing depends on it.
            let _ = epoll::delete(&self.epoll, listener);
            let _ = shutdown(listener, Shutdown::Both);
        }
    }

    /// Lets the workers leave.
    pub(crate) fn dismiss(&self) {
        self.leaving.store(true, Relaxed);
        // Level-triggered and never read: it wakes one leader after the other.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    fn take(&self, key: u64) -> Option<Box<Guest<C>>> {
        let slot = self.slots.get(key as u32 as usize)?;
        let mut seat = lock(&slot.seat);
        if seat.generation != (key >> 32) as u32 {
            return None;
        }
        slot.deadline.store(NEVER, Relaxed);
        seat.guest.take()
    }

    fn accept(&self, listener: usize) -> Option<Arrival<C>> {
        let listener = self.listeners.get(listener)?;
        let mut door = lock(&self.door);
        if door.closed || door.shut {
            return None;
        }
        let Some(slot) = door.free.pop() else {
            self.shut(&mut door);
            return None;
        };
        match acceptfrom_with(listener, SocketFlags::CLOEXEC) {
            Ok((socket, peer)) => {
                let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                let peer = peer.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
                return Some(Arrival::Stranger(socket, peer, slot));
            }
            // The peer has gone again; so accept(2) on these.
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
            ) => {}
            // Too few descriptors, or nobody knows what: the backlog stays readable, so do not look at it before the next
            // close or tick.
            Err(_) => self.shut(&mut door),
        }
        door.free.push(slot);
        None
    }

    fn open(&self, door: &mut Door) {
        if door.shut && !door.closed && !door.free.is_empty() {
            door.shut = false;
            self.arm_listeners(EventFlags::IN);
        }
    }

    fn shut(&self, door: &mut Door) {
        door.shut = true;
        self.arm_listeners(EventFlags::empty());
    }

    fn arm_listeners(&self, flags: EventFlags) {
        for (key, listener) in (FIRST_LISTENER..).zip(&self.listeners) {
            // It fails only for descriptors that are not in the set, and these are.
            let _ = epoll::modify(&self.epoll, listener, EventData::new_u64(key), flags);
        }
    }
}

impl<C> Guest<C> {
    pub(crate) fn slot(&self) -> u32 {
        self.slot
    }
}

impl<C> Slot<C> {
    /// The guest gets up without an event, if there is one and it is to.
    fn leave(&self, which: impl Fn(&C) -> bool) -> Option<Box<Guest<C>>> {
        let mut seat = lock(&self.seat);
        if !seat.guest.as_ref().is_some_and(|guest| which(&guest.connection)) {
            return None;
        }
        self.deadline.store(NEVER, Relaxed);
        seat.guest.take()
    }
}

/// A lock whose holder panicked guards what it did before: each value here is changed in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Duration;

    fn seated(deadline: Millis) -> (Lobby<UnixStream>, UnixStream) {
        let lobby = Lobby::new(Vec::new(), 1).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let slot = lock(&lobby.door).free.pop().unwrap();
        lobby.set_down(lobby.welcome(ours, slot), Interest::Read, deadline).unwrap();
        (lobby, theirs)
    }

    #[test]
    fn whoever_takes_a_guest_owns_it() {
        let (lobby, _peer) = seated(1000);
        let key = u64::from(lock(&lobby.slots[0].seat).generation) << 32;
        assert!(lobby.take(key + (1 << 32)).is_none(), "another generation");
        assert!(lobby.take(key + 1).is_none(), "another slot");
        assert_eq!(lobby.expired(999, 9).count(), 0);
        assert_eq!(lobby.expired(1000, 9).count(), 1);
        assert!(lobby.take(key).is_none(), "an event that comes too late finds nothing");
        assert_eq!((lobby.expired(Millis::MAX - 1, 9).count(), lobby.sweep(|_| true).count()), (0, 0));
    }

    #[test]
    fn a_guest_that_was_served_meanwhile_is_not_expired() {
        let (lobby, _peer) = seated(1000);
        thread::scope(|scope| {
            // A worker is at it: between taking the guest and setting it down again.
            let seat = lock(&lobby.slots[0].seat);
            let ticker = scope.spawn(|| lobby.expired(1500, 9).count());
            thread::sleep(Duration::from_millis(100)); // the ticker has seen 1000 and waits for the seat
            lobby.slots[0].deadline.store(16_000, Relaxed);
            drop(seat);
            assert_eq!(ticker.join().unwrap(), 0);
        });
    }

    #[test]
    fn a_ready_peer_is_reported_once_for_each_time_its_guest_was_set_down() {
        use std::io::Write as _;
        let (lobby, mut peer) = seated(1000);
        peer.write_all(b"x").unwrap();
        let Some(Arrival::Ready(guest)) = lobby.next() else { panic!("not ready") };
        assert_eq!(lobby.sweep(|_| true).count(), 0, "it is the worker's now");
        lobby.set_down(guest, Interest::Read, 1000).unwrap(); // the octet is still there
        assert!(matches!(lobby.next(), Some(Arrival::Ready(_))));
        lobby.dismiss();
        assert!(lobby.next().is_none() && lobby.next().is_none());
    }
}
