//! The lobby: where connections wait for their peers, and where workers find who is ready. It knows seats, keys and
//! readiness; what a connection *is* it does not know.
//!
//! - A guest is registered with the kernel once, edge-triggered: a kept connection costs no further call for it. How an
//!   edge that comes while the guest is away is not lost, is the seat's matter (`seat.rs`).
//! - The listeners are level-triggered, and only one worker at a time waits for events (`watch.rs`), so no two come for
//!   one stranger.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};

use crate::clock::Millis;
use crate::epoll::{Epoll, EventFlags, WAKE};
use crate::seat::{Patience, Seat};
use crate::socket::NOWHERE;
use crate::sync::{Mutex, lock};
use crate::watch::{Event, Watch};

/// Keys of what is no guest; a guest's key has a smaller index.
const FIRST_LISTENER: u64 = WAKE - MOST_LISTENERS;
const MOST_LISTENERS: u64 = 1000;

/// Newcomers that are told 503 when there is no room for them; further ones are closed.
pub(crate) const RESERVED: u32 = 64;

/// So many idle guests at most can make room between two ticks.
const MOST_IDLE: usize = 1024;

#[derive(Debug)]
pub(crate) struct Lobby<C> {
    pub(crate) watch: Arc<Watch<Box<Guest<C>>>>,
    seats: Box<[Seat<Box<Guest<C>>>]>,
    door: Mutex<Door>,
}

/// Who may come in.
#[derive(Debug)]
struct Door {
    listeners: Vec<OwnedFd>,
    free: Vec<u32>,
    /// Seats for those who are told that there is none.
    reserved: Vec<u32>,
    /// Seats of idle guests when somebody last looked, who has been idle longest at the end.
    idle: Vec<u32>,
    /// Somebody looked since the last tick.
    looked: bool,
    /// The listeners are not armed: there is no descriptor.
    shut: bool,
    /// For good: the server is stopping.
    closed: bool,
}

/// A connection and its seat.
#[derive(Debug)]
pub(crate) struct Guest<C> {
    pub(crate) connection: C,
    seat: u32,
    generation: u32,
    /// What the kernel was last told to announce.
    armed: Option<Interest>,
}

/// What a worker is to take care of.
#[derive(Debug)]
pub(crate) enum Arrival<C> {
    /// A new connection, and the seat that is now its own.
    Stranger(OwnedFd, SocketAddr, u32),
    /// The same, but all seats are taken.
    Surplus(OwnedFd, SocketAddr, u32),
    /// The same, and it cannot even be told so.
    Refused(OwnedFd),
    /// A guest whose peer is ready, or has ended its stream too; and whether others wait.
    Ready { guest: Box<Guest<C>>, ending: bool, others: bool },
    /// A guest who has let others go first.
    Back(Box<Guest<C>>),
    /// A guest whose connection broke.
    Gone(Box<Guest<C>>),
    /// A new connection, and an idle guest that has to make room for it.
    Instead(OwnedFd, SocketAddr, Box<Guest<C>>),
    /// An idle guest that has to make room.
    Shed(Box<Guest<C>>),
}

/// What a guest waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Bytes that are not there yet, or the end of the stream.
    Read,
    /// Room to write that is not there yet, and nothing else.
    Write,
    /// Its next turn, which comes by itself where there is room to write.
    Turn,
}

impl<C: AsFd> Lobby<C> {
    /// A lobby with so many seats, in front of non-blocking listeners.
    pub(crate) fn new(listeners: Vec<OwnedFd>, seats: u32) -> io::Result<Lobby<C>> {
        if listeners.len() as u64 > MOST_LISTENERS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many addresses to listen on"));
        }
        let watch = Watch::new(Epoll::new()?);
        for (key, listener) in (FIRST_LISTENER..).zip(&listeners) {
            watch.kernel.add(listener, key, EventFlags::IN)?;
        }
        let door = Door {
            listeners,
            // Low indices first, so that the ticker's eyes stay where the guests are.
            free: (0..seats).rev().collect(),
            reserved: (seats..seats + RESERVED).collect(),
            idle: Vec::new(),
            looked: false,
            shut: false,
            closed: false,
        };
        Ok(Lobby {
            watch: Arc::new(watch),
            seats: (0..seats + RESERVED).map(|_| Seat::new()).collect(),
            door: Mutex::new(door),
        })
    }

    /// The next that needs a worker; `None` once the workers may leave. `behind` is to come back behind others who are
    /// ready.
    pub(crate) fn next(&self, mut behind: Option<Box<Guest<C>>>) -> Option<Arrival<C>> {
        loop {
            let (key, flags, others) = match self.watch.next(behind.take())? {
                Event::Ready { key, flags, others } => (key, flags, others),
                Event::Behind(guest) => return Some(Arrival::Back(guest)),
            };
            if key >= FIRST_LISTENER {
                if let Some(arrival) = self.accept((key - FIRST_LISTENER) as usize) {
                    self.watch.again(key);
                    return Some(arrival);
                }
                continue;
            }
            let Some(seat) = self.seats.get(key as u32 as usize) else { continue };
            let Some(guest) = seat.announce((key >> 32) as u32) else { continue };
            // A hang-up alone may have bytes before it: a peer that ends while we linger. They are to be read, or our
            // close becomes a reset that destroys what is on its way to it.
            let ending = flags.intersects(EventFlags::RDHUP | EventFlags::HUP);
            return Some(match flags {
                _ if flags.contains(EventFlags::ERR) => Arrival::Gone(guest),
                _ => Arrival::Ready { guest, ending, others },
            });
        }
    }

    /// Lets a guest wait for its peer.
    ///
    /// # Errors
    /// The guest itself, if the kernel does not take it.
    pub(crate) fn park(
        &self,
        guest: Box<Guest<C>>,
        interest: Interest,
        patience: Patience,
    ) -> Result<(), Box<Guest<C>>> {
        let key = u64::from(guest.generation) << 32 | u64::from(guest.seat);
        self.seats[guest.seat as usize].put(guest, patience, |guest, announced| {
            if !interest.must_be_armed(guest.armed, announced) {
                return true; // the edge is still to come
            }
            let flags = EventFlags::ET
                | match interest {
                    Interest::Read => EventFlags::IN | EventFlags::RDHUP,
                    Interest::Write => EventFlags::OUT,
                    Interest::Turn => EventFlags::IN | EventFlags::RDHUP | EventFlags::OUT,
                };
            let armed = match guest.armed {
                None => self.watch.kernel.add(&guest.connection, key, flags),
                Some(_) => self.watch.kernel.modify(&guest.connection, key, flags),
            };
            guest.armed = Some(interest);
            armed.is_ok()
        })
    }

    /// Takes guests out whose patience has ended, at most `most`.
    pub(crate) fn expired(&self, now: Millis, most: usize) -> impl Iterator<Item = Box<Guest<C>>> {
        let late = move |patience: Patience| patience.until <= now;
        // Looked at without the lock, and again with it: a worker may have served the guest meanwhile.
        let seats = self.seats.iter().filter(move |seat| seat.patience().is_some_and(late));
        seats.filter_map(move |seat| seat.leave(|_, patience| late(patience))).take(most)
    }

    /// Takes out every guest of whom this is true.
    pub(crate) fn sweep(&self, which: impl Fn(&C) -> bool) -> impl Iterator<Item = Box<Guest<C>>> {
        self.seats.iter().filter_map(move |seat| seat.leave(|guest, _| which(&guest.connection)))
    }

    /// Takes a new connection in, on the seat that it was given.
    pub(crate) fn welcome(&self, connection: C, seat: u32) -> Box<Guest<C>> {
        let generation = self.seats[seat as usize].begin();
        Box::new(Guest { connection, seat, generation, armed: None })
    }

    /// A seat is free again.
    pub(crate) fn release(&self, seat: u32) {
        let mut door = lock(&self.door);
        let reserved = seat as usize >= self.seats.len() - RESERVED as usize;
        if reserved { &mut door.reserved } else { &mut door.free }.push(seat);
        self.open(&mut door);
    }

    /// A tick has passed: there may be descriptors again, and guests that have become idle.
    pub(crate) fn tick(&self) {
        let mut door = lock(&self.door);
        door.looked = false;
        door.idle.clear(); // who was idle then may be at work now
        self.open(&mut door);
    }

    /// Whether no seat is taken.
    pub(crate) fn is_empty(&self) -> bool {
        let door = lock(&self.door);
        door.free.len() + door.reserved.len() == self.seats.len()
    }

    /// Lets nobody in any more; who is in stays.
    pub(crate) fn close_door(&self) {
        let mut door = lock(&self.door);
        door.closed = true;
        for listener in door.listeners.drain(..) {
            // Another process may hold it too, and then it stays watched until it is taken out. It is only closed: who
            // waits to be accepted waits for the other, and is told at once where there is none. It cannot fail on a
            // socket of ours, and nothing depends on it.
            let _ = self.watch.kernel.delete(&listener);
        }
    }

    /// Lets the workers leave.
    pub(crate) fn dismiss(&self) {
        self.watch.end();
    }

    fn accept(&self, listener: usize) -> Option<Arrival<C>> {
        let mut door = lock(&self.door);
        if door.closed || door.shut {
            return None;
        }
        let listener = door.listeners.get(listener)?;
        match acceptfrom_with(listener, SocketFlags::CLOEXEC) {
            Ok((socket, peer)) => {
                let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                let peer = peer.unwrap_or(NOWHERE);
                if let Some(seat) = door.free.pop() {
                    return Some(Arrival::Stranger(socket, peer, seat));
                }
                if let Some(guest) = self.longest_idle(&mut door) {
                    return Some(Arrival::Instead(socket, peer, guest));
                }
                match door.reserved.pop() {
                    Some(seat) => Some(Arrival::Surplus(socket, peer, seat)),
                    None => Some(Arrival::Refused(socket)),
                }
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
            ) => None,
            // Too few descriptors, or nobody knows what: the backlog stays readable, so do not look at it before the next
            // close or tick, unless somebody can make room.
            Err(_) => {
                let idle = self.longest_idle(&mut door);
                if idle.is_none() {
                    door.shut = true;
                    self.arm_listeners(&door, EventFlags::empty());
                }
                idle.map(Arrival::Shed)
            }
        }
    }

    /// The guest that has been idle longest, as far as was known at the last look.
    fn longest_idle(&self, door: &mut Door) -> Option<Box<Guest<C>>> {
        if door.idle.is_empty() && !door.looked {
            door.looked = true; // at most once a tick: it costs as much as there are seats
            let idle = self.seats.iter().zip(0..).filter_map(|(seat, index)| Some((seat.patience()?, index)));
            let mut idle: Vec<(Millis, u32)> =
                idle.filter(|(patience, _)| patience.idle).map(|(patience, index)| (patience.until, index)).collect();
            idle.sort_unstable();
            idle.truncate(MOST_IDLE);
            door.idle = idle.into_iter().rev().map(|(_, index)| index).collect();
        }
        loop {
            let seat = &self.seats[door.idle.pop()? as usize];
            if let Some(guest) = seat.leave(|_, patience| patience.idle) {
                return Some(guest);
            }
        }
    }

    fn open(&self, door: &mut Door) {
        if door.shut && !door.closed {
            door.shut = false;
            self.arm_listeners(door, EventFlags::IN);
        }
    }

    fn arm_listeners(&self, door: &Door, flags: EventFlags) {
        for (key, listener) in (FIRST_LISTENER..).zip(&door.listeners) {
            // It fails only for descriptors that are not in the set, and these are.
            let _ = self.watch.kernel.modify(listener, key, flags);
        }
    }
}

impl Interest {
    /// Whether the kernel must be told of it, if it was last told of `armed`.
    pub(crate) fn must_be_armed(self, armed: Option<Interest>, announced: bool) -> bool {
        announced || armed != Some(self) || self == Interest::Turn
    }
}

impl<C> Guest<C> {
    pub(crate) fn seat(&self) -> u32 {
        self.seat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Duration;

    const SOON: Patience = Patience { until: 1000, idle: false };

    fn seated(seats: u32, patience: Patience) -> (Lobby<UnixStream>, UnixStream) {
        let lobby = Lobby::new(Vec::new(), seats).unwrap();
        let peer = seat(&lobby, patience);
        (lobby, peer)
    }

    fn seat(lobby: &Lobby<UnixStream>, patience: Patience) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let seat = lock(&lobby.door).free.pop().unwrap();
        lobby.park(lobby.welcome(ours, seat), Interest::Read, patience).unwrap();
        theirs
    }

    #[test]
    fn whoever_takes_a_guest_owns_it() {
        let (lobby, mut peer) = seated(1, SOON);
        assert_eq!(lobby.expired(999, 9).count(), 0);
        let taken: Vec<_> = lobby.expired(1000, 9).collect();
        assert_eq!(taken.len(), 1);
        peer.write_all(b"x").unwrap();
        assert_eq!((lobby.expired(Millis::MAX, 9).count(), lobby.sweep(|_| true).count()), (0, 0));
        lobby.dismiss();
        assert!(lobby.next(None).is_none(), "an event that comes too late finds nothing");
    }

    #[test]
    fn a_guest_that_was_served_meanwhile_is_not_expired() {
        let (lobby, mut peer) = seated(1, SOON);
        peer.write_all(b"x").unwrap();
        let Some(Arrival::Ready { guest, .. }) = lobby.next(None) else { panic!("not ready") };
        assert_eq!(lobby.expired(1500, 9).count(), 0, "it is the worker's now");
        lobby.park(guest, Interest::Read, Patience { until: 16_000, idle: false }).unwrap();
        assert_eq!(lobby.expired(1500, 9).count(), 0);
    }

    #[test]
    fn an_edge_that_came_while_the_guest_was_away_is_announced_again() {
        let (lobby, mut peer) = seated(1, SOON);
        peer.write_all(b"x").unwrap();
        let Some(Arrival::Ready { mut guest, ending: false, .. }) = lobby.next(None) else { panic!("not ready") };
        let mut byte = [0];
        io::Read::read_exact(&mut guest.connection, &mut byte).unwrap();
        thread::scope(|scope| {
            let worker = scope.spawn(|| lobby.next(None));
            peer.write_all(b"y").unwrap(); // the other worker finds nobody
            thread::sleep(Duration::from_millis(50));
            lobby.park(guest, Interest::Read, SOON).unwrap();
            assert!(matches!(worker.join().unwrap(), Some(Arrival::Ready { ending: false, .. })));
        });
    }

    #[test]
    fn a_turn_comes_by_itself_and_the_end_of_a_stream_is_told() {
        let (lobby, peer) = seated(1, SOON);
        drop(peer);
        let Some(Arrival::Ready { guest, ending: true, .. }) = lobby.next(None) else { panic!("not ready") };
        lobby.park(guest, Interest::Turn, SOON).unwrap();
        assert!(matches!(lobby.next(None), Some(Arrival::Ready { .. })));
        lobby.dismiss();
        assert!(lobby.next(None).is_none() && lobby.next(None).is_none());
    }

    #[test]
    fn who_steps_behind_comes_back() {
        let (lobby, mut first) = seated(4, SOON);
        let mut peers = [(); 3].map(|()| seat(&lobby, SOON));
        for peer in std::iter::once(&mut first).chain(&mut peers) {
            peer.write_all(b"x").unwrap();
        }
        let (mut behind, mut order) = (None, Vec::new());
        while order.len() < 4 {
            match lobby.next(behind.take()) {
                Some(Arrival::Ready { guest, others: true, .. }) => behind = Some(guest),
                Some(Arrival::Ready { guest, .. } | Arrival::Back(guest)) => order.push(guest.seat()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(order, [2, 0, 1, 3], "half of them went behind the third");
    }

    #[test]
    fn who_has_been_idle_longest_makes_room() {
        let (lobby, _busy) = seated(4, SOON);
        let _others = [3000, 2000, 4000].map(|until| seat(&lobby, Patience { until, idle: true }));
        let mut shed = Vec::new();
        loop {
            let mut door = lock(&lobby.door);
            let Some(guest) = lobby.longest_idle(&mut door) else { break };
            shed.push(guest.seat());
        }
        assert_eq!(shed, [2, 1, 3], "by patience, and the busy one stays");
    }
}
