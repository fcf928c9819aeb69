//! The reactor: parks connections until their sockets are ready, and hands out work. It knows slots, tokens and
//! readiness, and does not know what a connection is.
//!
//! - A connection is registered with the kernel once, edge-triggered, so that a kept connection costs no further system
//!   call. `slot.rs` makes sure that an event which comes while a worker holds the connection is not lost.
//! - The listeners are level-triggered. Only one worker at a time waits for events (`leader.rs`), so a new connection
//!   wakes one thread.

mod acceptor;
pub(crate) mod batch;
mod leader;
mod poller;
mod promotion;
mod slot;
mod token;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use acceptor::{Accepted, Acceptor, OVERLOAD_SLOTS};
use leader::{Event, ReadyQueue};
use poller::{EventFlags, Poller};
pub(crate) use promotion::Promotion;
use rustix::io::ioctl_fionbio;
pub(crate) use slot::ParkDeadline;
use slot::Slot;
use token::{MAX_LISTENERS, Token, listener_index, listener_key};

use crate::clock::Millis;
use crate::config::ServerConfig;
use crate::connection::interest::Interest;
use crate::connection::socket::has_ended;
use crate::connection::sockopt;
use crate::permit::{Permit, PermitSource, Turn};
use crate::stats::{ConnectionTable, EndReason, SlotUse, Stats};
use crate::sync::{Mutex, lock};
use crate::waker::Waker;

#[derive(Debug)]
pub(crate) struct Reactor<C> {
    queue: Arc<ReadyQueue<Work<C>>>,
    connections: Arc<Connections<C>>,
}

/// The slots, and who gives them away. They can be counted even after the server has ended.
#[derive(Debug)]
pub(crate) struct Connections<C> {
    slots: Box<[Slot<Box<Registered<C>>>]>,
    acceptor: Mutex<Acceptor>,
}

impl<C: fmt::Debug + Send> ConnectionTable for Connections<C> {
    fn stats(&self) -> Stats {
        lock(&self.acceptor).stats(&self.slots)
    }
}

/// A connection with its slot and its registration.
#[derive(Debug)]
pub(crate) struct Registered<C> {
    pub(crate) connection: C,
    token: Token,
    /// What it is registered for.
    registered_interest: Option<Interest>,
}

/// What a worker has to do next.
pub(crate) enum Work<C> {
    /// A new connection and its slot.
    Accepted(OwnedFd, SocketAddr, u32),
    /// A new connection, and an idle one to close for it.
    AcceptedEvicting(OwnedFd, SocketAddr, Box<Registered<C>>),
    /// A new connection over the limit, to get a 503 in this slot.
    Overloaded(OwnedFd, SocketAddr, u32),
    /// A new connection over the limit, to be closed.
    Rejected(OwnedFd),
    /// A connection whose peer is ready. `peer_closed`: its stream has ended too. `more_ready`: other connections are
    /// ready too.
    Ready { registered: Box<Registered<C>>, peer_closed: bool, more_ready: bool },
    /// A connection that was deferred, held or woken.
    Resumed(Box<Registered<C>>),
    /// A connection whose deadline has passed.
    TimedOut(Box<Registered<C>>),
    /// A connection that has waited too long for a permit.
    HeldTooLong(Box<Registered<C>>),
    /// A connection to close as the server shuts down, unless a request has arrived.
    LastTurn(Box<Registered<C>>),
    /// A connection to close, as the server ends.
    ShutDown(Box<Registered<C>>),
    /// Something to drop that may block.
    Drop(Box<dyn Send>),
    /// The handler's upkeep is due.
    Upkeep,
    /// A connection that broke.
    Broken(Box<Registered<C>>),
    /// An idle connection to close, to free a descriptor.
    Evicted(Box<Registered<C>>),
}

impl<C: AsFd + Send + 'static> Reactor<C> {
    /// Bytes of memory of a connection and its slot, with what the allocator adds.
    pub(crate) const MEMORY_PER_SLOT: usize = size_of::<Registered<C>>() + size_of::<Slot<Box<Registered<C>>>>() + 16;

    /// A reactor for this many connections at once. It makes the listeners non-blocking.
    pub(crate) fn new(
        listeners: Vec<OwnedFd>,
        config: &ServerConfig,
        handler_may_block: bool,
    ) -> io::Result<Reactor<C>> {
        if listeners.len() as u64 > MAX_LISTENERS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many addresses to listen on"));
        }
        let promotion = Promotion::new(config.threads, handler_may_block);
        let queue = ReadyQueue::new(Poller::new()?, config.pollers, promotion);
        let slots = config.max_connections;
        for (index, listener) in listeners.iter().enumerate() {
            ioctl_fionbio(listener, true)?;
            let _ = sockopt::defer_accept(listener, true); // it only saves time, and Unix domain sockets do not have it
            queue.poller.add(listener, listener_key(index), EventFlags::IN)?;
        }
        Ok(Reactor {
            queue: Arc::new(queue),
            connections: Arc::new(Connections {
                slots: (0..slots + OVERLOAD_SLOTS).map(|_| Slot::new()).collect(),
                acceptor: Mutex::new(Acceptor::new(listeners, slots)),
            }),
        })
    }

    /// Ends a turn, and waits for work; `None` once the workers may leave. `deferred` comes back after other ready
    /// connections.
    pub(crate) fn next_work(&self, turn: &Turn, deferred: Option<Box<Registered<C>>>) -> Option<Work<C>> {
        let mut deferred = deferred.map(Work::Resumed);
        loop {
            let (key, flags, more_ready) = match self.queue.next(turn, deferred.take())? {
                Event::Ready { key, flags, more_ready } => (key, flags, more_ready),
                Event::Job(work) => {
                    self.set_use(&work, SlotUse::Active);
                    return Some(work);
                }
            };
            if let Some(listener) = listener_index(key) {
                if let Some(work) = self.accept(listener) {
                    self.queue.requeue(key);
                    return Some(work);
                }
                continue;
            }
            let token = Token::from_u64(key);
            let Some(slot) = self.connections.slots.get(token.slot as usize) else { continue };
            let Some(registered) = slot.take_ready(token.generation) else { continue };
            // Bytes may precede a hang-up, from a peer that ends while we linger. They must be read: with unread bytes
            // our close becomes a reset, which destroys what is on its way to the peer.
            let peer_closed = flags.intersects(EventFlags::RDHUP | EventFlags::HUP);
            return Some(if flags.contains(EventFlags::ERR) {
                Work::Broken(registered)
            } else {
                Work::Ready { registered, peer_closed, more_ready }
            });
        }
    }

    /// Parks a connection until its peer is ready, or its deadline passes.
    ///
    /// # Errors
    /// The connection itself, if the kernel does not register it.
    pub(crate) fn park(
        &self,
        registered: Box<Registered<C>>,
        interest: Interest,
        deadline: ParkDeadline,
    ) -> Result<(), Box<Registered<C>>> {
        let token = registered.token;
        self.connections.slots[token.slot as usize].park(registered, deadline, |registered, event_pending| {
            if !interest.needs_rearm(registered.registered_interest, event_pending) {
                return true; // the event is still to come
            }
            let flags = EventFlags::ET
                | match interest {
                    Interest::Read => EventFlags::IN | EventFlags::RDHUP,
                    Interest::Write => EventFlags::OUT,
                    Interest::Yield => EventFlags::IN | EventFlags::RDHUP | EventFlags::OUT,
                };
            let poller = &self.queue.poller;
            let armed = match registered.registered_interest {
                None => poller.add(&registered.connection, token.to_u64(), flags),
                Some(_) => poller.modify(&registered.connection, token.to_u64(), flags),
            };
            registered.registered_interest = Some(interest);
            armed.is_ok()
        })
    }

    /// Takes out connections whose deadline has passed, at most `max`.
    pub(crate) fn take_expired(&self, now: Millis, max: usize) -> impl Iterator<Item = Box<Registered<C>>> {
        let is_due = move |deadline: ParkDeadline| deadline.at <= now;
        // Checked without the lock, and again with it: a worker may have served the connection meanwhile.
        let due = self.connections.slots.iter().filter(move |slot| slot.deadline().is_some_and(is_due));
        due.filter_map(move |slot| slot.take_if(|_, deadline| is_due(deadline))).take(max)
    }

    /// Takes out every parked connection for which this is true.
    pub(crate) fn take_matching(&self, predicate: impl Fn(&C) -> bool) -> impl Iterator<Item = Box<Registered<C>>> {
        self.connections
            .slots
            .iter()
            .filter_map(move |slot| slot.take_if(|registered, _| predicate(&registered.connection)))
    }

    /// What `look` finds in the parked connections, each with its slot.
    pub(crate) fn survey<R>(&self, look: impl Fn(&C) -> Option<R>) -> Vec<(R, usize)> {
        let mut found = Vec::new();
        for (index, slot) in self.connections.slots.iter().enumerate().filter(|(_, slot)| slot.deadline().is_some()) {
            slot.take_if(|registered, _| {
                found.extend(look(&registered.connection).map(|result| (result, index)));
                false
            });
        }
        found
    }

    /// Takes out the connection that is parked in this slot, if this is true for it.
    pub(crate) fn take_if(&self, slot: usize, predicate: impl Fn(&C) -> bool) -> Option<Box<Registered<C>>> {
        self.connections.slots[slot].take_if(|registered, _| predicate(&registered.connection))
    }

    /// Assigns a slot to a new connection.
    pub(crate) fn register(&self, connection: C, slot: u32) -> Box<Registered<C>> {
        let generation = self.connections.slots[slot as usize].allocate();
        Box::new(Registered { connection, token: Token { slot, generation }, registered_interest: None })
    }

    /// Returns a slot whose connection was closed for this reason.
    pub(crate) fn free_slot(&self, slot: u32, reason: EndReason) {
        let Connections { slots, acceptor } = &*self.connections;
        lock(acceptor).free_slot(slot, reason, slots, &self.queue.poller);
    }

    /// Keeps a slot, whose connection was closed for this reason, for another one that was accepted.
    pub(crate) fn reuse_slot(&self, reason: EndReason) {
        lock(&self.connections.acceptor).reuse_slot(reason);
    }

    /// The connections, to count them.
    pub(crate) fn connections(&self) -> Arc<Connections<C>> {
        self.connections.clone()
    }

    /// Called at every tick of the housekeeper. Returns whether a connection was refused since the last one, for lack of a
    /// slot.
    pub(crate) fn on_tick(&self) -> bool {
        lock(&self.connections.acceptor).on_tick(&self.queue.poller)
    }

    /// Promotes a follower if no worker waits and no event was taken since the last call. Returns whether there was
    /// work.
    pub(crate) fn promote_if_stalled(&self, seen: &mut u64) -> bool {
        self.queue.promote_if_stalled(seen)
    }

    /// Where workers get permits to block.
    pub(crate) fn permits(&self) -> Arc<dyn PermitSource> {
        self.queue.clone()
    }

    /// Puts work aside until this permit is free. Only workers may call it.
    pub(crate) fn hold(&self, work: Work<C>, permit: Permit) {
        self.set_use(&work, SlotUse::Held);
        self.queue.hold(work, permit);
    }

    /// Puts work aside until it is woken. Only workers may call it.
    pub(crate) fn sleep(&self, work: Work<C>, waker: Arc<Waker>) {
        self.set_use(&work, SlotUse::Held);
        self.queue.sleep(work, waker);
    }

    /// Hands work to a worker, from another thread.
    pub(crate) fn push(&self, work: Work<C>) {
        self.queue.push(work);
    }

    /// Takes out the connections that wait for a permit or sleep. What else waits for one stays.
    pub(crate) fn take_held(&self) -> impl Iterator<Item = Box<Registered<C>>> {
        self.take_held_if(|_, _| true)
    }

    /// Takes out those that have waited since then.
    pub(crate) fn take_held_since(&self, then: Millis) -> impl Iterator<Item = Box<Registered<C>>> {
        self.take_held_if(move |_, since| since <= then)
    }

    /// Takes out those that have waited since then, and whose peers have ended their streams.
    pub(crate) fn take_held_and_left(&self, then: Millis) -> impl Iterator<Item = Box<Registered<C>>> {
        self.take_held_if(move |registered, since| since <= then && has_ended(registered))
    }

    fn take_held_if(
        &self,
        is_wanted: impl Fn(&Registered<C>, Millis) -> bool,
    ) -> impl Iterator<Item = Box<Registered<C>>> {
        let held = self.queue.take_held(|work, since| match work {
            Work::Resumed(registered) => is_wanted(registered, since),
            _ => false,
        });
        held.into_iter().filter_map(|work| if let Work::Resumed(registered) = work { Some(registered) } else { None })
    }

    /// Lets the next turns ask before they block: a worker was seen that blocks for long.
    pub(crate) fn disk_is_slow(&self) {
        self.queue.disk_is_slow();
    }

    pub(crate) fn is_empty(&self) -> bool {
        let Connections { slots, acceptor } = &*self.connections;
        lock(acceptor).is_done(slots.len())
    }

    /// Lets no connection begin that could only be refused.
    pub(crate) fn stop_accepting(&self) {
        lock(&self.connections.acceptor).stop();
    }

    /// Closes each listener whose backlog is empty, after it has accepted what waited there. `at_once`: whatever waits.
    /// Connections stay.
    pub(crate) fn close_listeners(&self, at_once: bool) {
        let Connections { slots, acceptor } = &*self.connections;
        loop {
            let accepted = lock(acceptor).close_listeners(at_once, slots, &self.queue.poller);
            let Some((socket, peer, slot)) = accepted else { return };
            self.push(Work::Accepted(socket, peer, slot));
        }
    }

    /// Lets the workers leave.
    pub(crate) fn shut_down_workers(&self) {
        self.queue.shut_down();
    }

    /// Notes what becomes of a connection that is deferred, put aside or resumed. The caller owns it.
    fn set_use(&self, work: &Work<C>, used_for: SlotUse) {
        if let Work::Resumed(registered) = work {
            self.connections.slots[registered.token.slot as usize].set_use(used_for);
        }
    }

    fn accept(&self, listener: usize) -> Option<Work<C>> {
        let Connections { slots, acceptor } = &*self.connections;
        let accepted = lock(acceptor).accept(listener, slots, &self.queue.poller)?;
        Some(match accepted {
            Accepted::Slot(socket, peer, slot) => Work::Accepted(socket, peer, slot),
            Accepted::Evicting(socket, peer, idle) => Work::AcceptedEvicting(socket, peer, idle),
            Accepted::Overloaded(socket, peer, slot) => Work::Overloaded(socket, peer, slot),
            Accepted::Rejected(socket) => Work::Rejected(socket),
            Accepted::OutOfDescriptors(idle) => Work::Evicted(idle),
        })
    }
}

impl<C: AsFd> AsFd for Registered<C> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}

impl<C> Registered<C> {
    pub(crate) fn slot(&self) -> u32 {
        self.token.slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Duration;

    const SOON: ParkDeadline = ParkDeadline { at: 1000, used_for: SlotUse::Response };

    fn with_connection(slots: u32, deadline: ParkDeadline) -> (Reactor<UnixStream>, UnixStream) {
        let config = ServerConfig { max_connections: slots, ..ServerConfig::default() };
        let reactor = Reactor::new(Vec::new(), &config, false).unwrap();
        let peer = park_one(&reactor, deadline);
        (reactor, peer)
    }

    fn park_one(reactor: &Reactor<UnixStream>, deadline: ParkDeadline) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let slot = lock(&reactor.connections.acceptor).free_slots.pop().unwrap();
        reactor.park(reactor.register(ours, slot), Interest::Read, deadline).unwrap();
        theirs
    }

    fn next(reactor: &Reactor<UnixStream>) -> Option<Work<UnixStream>> {
        reactor.next_work(&Turn::unlimited(), None)
    }

    #[test]
    fn connection_is_taken_out_once() {
        let (reactor, mut peer) = with_connection(1, SOON);
        assert_eq!(reactor.take_expired(999, 9).count(), 0);
        let taken: Vec<_> = reactor.take_expired(1000, 9).collect();
        assert_eq!(taken.len(), 1);
        peer.write_all(b"x").unwrap();
        assert_eq!((reactor.take_expired(Millis::MAX, 9).count(), reactor.take_matching(|_| true).count()), (0, 0));
        reactor.shut_down_workers();
        assert!(next(&reactor).is_none(), "a late event finds no connection");
    }

    #[test]
    fn served_connection_does_not_expire() {
        let (reactor, mut peer) = with_connection(1, SOON);
        peer.write_all(b"x").unwrap();
        let Some(Work::Ready { registered, .. }) = next(&reactor) else { panic!("not ready") };
        assert_eq!(reactor.take_expired(1500, 9).count(), 0, "the worker owns it");
        reactor.park(registered, Interest::Read, ParkDeadline { at: 16_000, used_for: SlotUse::Response }).unwrap();
        assert_eq!(reactor.take_expired(1500, 9).count(), 0);
    }

    #[test]
    fn edge_while_connection_is_taken_out_is_reported_again() {
        let (reactor, mut peer) = with_connection(1, SOON);
        peer.write_all(b"x").unwrap();
        let Some(Work::Ready { mut registered, peer_closed: false, .. }) = next(&reactor) else { panic!("not ready") };
        let mut byte = [0];
        io::Read::read_exact(&mut registered.connection, &mut byte).unwrap();
        thread::scope(|scope| {
            let worker = scope.spawn(|| next(&reactor));
            peer.write_all(b"y").unwrap(); // the other worker finds the slot empty
            thread::sleep(Duration::from_millis(50));
            reactor.park(registered, Interest::Read, SOON).unwrap();
            assert!(matches!(worker.join().unwrap(), Some(Work::Ready { peer_closed: false, .. })));
        });
    }

    #[test]
    fn yielding_connection_is_ready_by_itself() {
        let (reactor, peer) = with_connection(1, SOON);
        drop(peer);
        let Some(Work::Ready { registered, peer_closed: true, .. }) = next(&reactor) else { panic!("not ready") };
        reactor.park(registered, Interest::Yield, SOON).unwrap();
        assert!(matches!(next(&reactor), Some(Work::Ready { .. })));
        reactor.shut_down_workers();
        assert!(next(&reactor).is_none() && next(&reactor).is_none());
    }

    #[test]
    fn deferred_connection_comes_back() {
        let (reactor, mut first) = with_connection(4, SOON);
        let mut peers = [(); 3].map(|()| park_one(&reactor, SOON));
        for peer in std::iter::once(&mut first).chain(&mut peers) {
            peer.write_all(b"x").unwrap();
        }
        let (turn, mut deferred, mut order) = (Turn::unlimited(), None, Vec::new());
        while order.len() < 4 {
            match reactor.next_work(&turn, deferred.take()) {
                Some(Work::Ready { registered, more_ready: true, .. }) => deferred = Some(registered),
                Some(Work::Ready { registered, .. } | Work::Resumed(registered)) => order.push(registered.slot()),
                _ => panic!("other work"),
            }
        }
        assert_eq!(order, [2, 0, 1, 3], "the first two were deferred until after the third");
    }

    #[test]
    fn longest_idle_connection_is_evicted_first() {
        let (reactor, _busy) = with_connection(4, SOON);
        let _others = [3000, 2000, 4000].map(|at| park_one(&reactor, ParkDeadline { at, used_for: SlotUse::Idle }));
        let mut evicted = Vec::new();
        loop {
            let Some(registered) = lock(&reactor.connections.acceptor).evict_longest_idle(&reactor.connections.slots)
            else {
                break;
            };
            evicted.push(registered.slot());
        }
        assert_eq!(evicted, [2, 1, 3], "by deadline, and the busy one stays");
    }

    // At a shutdown nobody is refused for lack of a slot: what waits is accepted as slots become free.
    #[test]
    fn listener_is_closed_once_its_backlog_is_empty() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let config = ServerConfig { max_connections: 1, ..ServerConfig::default() };
        let reactor: Reactor<UnixStream> = Reactor::new(vec![listener.into()], &config, false).unwrap();
        let _peers: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        reactor.stop_accepting();
        for _ in 0..2 {
            let Some(Work::Accepted(_, _, slot)) = next(&reactor) else { panic!("not accepted") };
            reactor.close_listeners(false);
            assert!(
                lock(&reactor.connections.acceptor)
                    .accept(0, &reactor.connections.slots, &reactor.queue.poller)
                    .is_none(),
                "no slot is free"
            );
            reactor.free_slot(slot, EndReason::Complete);
        }
        reactor.close_listeners(false);
        let Some(Work::Accepted(_, _, slot)) = next(&reactor) else { panic!("the last one is not accepted") };
        reactor.free_slot(slot, EndReason::Complete);
        assert!(!reactor.is_empty());
        reactor.close_listeners(false);
        assert!(reactor.is_empty());
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn listener_is_closed_in_time_whatever_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let reactor: Reactor<UnixStream> =
            Reactor::new(vec![listener.into()], &ServerConfig::default(), false).unwrap();
        let _peer = TcpStream::connect(address).unwrap();
        reactor.stop_accepting();
        reactor.close_listeners(true);
        assert!(reactor.is_empty() && TcpStream::connect(address).is_err());
    }

    #[test]
    fn connection_whose_request_has_arrived_is_not_evicted() {
        let (reactor, _busy) = with_connection(4, SOON);
        let mut others = [3000, 2000, 4000].map(|at| park_one(&reactor, ParkDeadline { at, used_for: SlotUse::Idle }));
        others[1].write_all(b"G").unwrap();
        let evicted = lock(&reactor.connections.acceptor)
            .evict_longest_idle(&reactor.connections.slots)
            .map(|evicted| evicted.slot());
        assert_eq!(evicted, Some(1), "the next one");
        let Some(Work::Ready { registered, .. }) = next(&reactor) else { panic!("not ready") };
        assert_eq!(registered.slot(), 2, "it stays parked");
    }
}
