//! The fixed pool. Each worker takes one ready connection and drives it as far as its peer allows within a turn. Then
//! it closes the connection or parks it in the reactor. A worker never waits for a peer. Where it could wait for a disk or
//! a handler, it needs a permit, and without one it puts the connection aside.

mod housekeeper;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::Millis;
use crate::connection::TurnOutcome;
use crate::connection::context::WorkerContext;
use crate::connection::shared::Shared;
use crate::connection::socket::Socket;
use crate::handler::{UPKEEP, Upkeep};
use crate::permit::{Permit, RequestName, Turn};
use crate::reactor::{ParkDeadline, Promotion, Reactor, Registered, Work, batch};
use crate::request_stats::RequestCounters;
use crate::server::Workers;
use crate::stats::{ConnectionTable, EndReason};

type Connection = crate::connection::Connection<Socket>;

/// What workers and housekeeper share.
#[derive(Debug)]
pub(crate) struct Pool {
    reactor: Reactor<Connection>,
    /// For each worker, the request that may block it.
    request_names: Arc<[RequestName]>,
    shared: Shared<'static>,
    /// A worker has the handler's upkeep, or will get it.
    in_upkeep: AtomicBool,
}

impl Pool {
    /// Bytes of an idle connection. It has nothing else on the heap.
    pub(crate) const CONNECTION_MEMORY: usize = Reactor::<Connection>::MEMORY_PER_SLOT;

    /// Bytes of what lists contain of a connection: the queue of work, as all are closed at a shutdown, the candidates for
    /// eviction, and the free slots. A list may have doubled, and is copied as it grows.
    pub(crate) const LISTED_MEMORY: usize =
        3 * (size_of::<(Millis, Work<Connection>)>() + size_of::<(Millis, u32)>()) + size_of::<u32>();

    /// How many workers there are, for this many that may block.
    pub(crate) const fn workers(threads: usize) -> usize {
        Promotion::workers(threads)
    }

    pub(crate) fn new(reactor: Reactor<Connection>, threads: usize, shared: Shared<'static>) -> Pool {
        let request_names = (0..Pool::workers(threads)).map(|_| RequestName::default()).collect();
        Pool { reactor, request_names, shared, in_upkeep: AtomicBool::new(false) }
    }
}

#[cfg(not(loom))] // its locks are larger
const _: () = assert!(Pool::CONNECTION_MEMORY <= 512, "an idle connection is small");

impl Workers for Pool {
    fn shared(&self) -> &Shared<'static> {
        &self.shared
    }

    fn request_names(&self) -> &Arc<[RequestName]> {
        &self.request_names
    }

    fn keep_house(&self, shutdown_timeout: Duration) {
        housekeeper::run(self, shutdown_timeout);
    }

    fn connections(&self) -> Arc<dyn ConnectionTable> {
        self.reactor.connections()
    }

    fn work(&self, worker: usize, counters: &Arc<RequestCounters>) {
        let turn = Turn::new(self.reactor.permits(), self.request_names.clone(), worker);
        let mut context = WorkerContext::new(turn).counting(counters);
        let handler_may_block = self.shared.handler_permit == Permit::Block;
        let mut deferred = None;
        while let Some(work) = self.reactor.next_work(&context.turn, deferred.take()) {
            deferred = match work {
                Work::Ready { mut registered, peer_closed, more_ready } => {
                    registered.connection.on_ready(peer_closed);
                    let defers = batch::defers(more_ready, handler_may_block);
                    let drive = if defers { Connection::receive_only } else { Connection::drive };
                    self.run_turn(registered, &mut context, drive)
                }
                Work::Resumed(registered) => self.run_turn(registered, &mut context, Connection::drive),
                Work::Accepted(socket, peer, slot) => {
                    let connection = Connection::over(socket, peer, &self.shared);
                    self.run_turn(self.reactor.register(connection, slot), &mut context, Connection::drive)
                }
                Work::AcceptedEvicting(socket, peer, mut idle) => {
                    let reason = idle.connection.abort(&self.shared, &context, EndReason::ClientAbort);
                    let slot = self.close_connection(idle);
                    self.reactor.reuse_slot(reason);
                    let connection = Connection::over(socket, peer, &self.shared);
                    self.run_turn(self.reactor.register(connection, slot), &mut context, Connection::drive)
                }
                Work::Overloaded(socket, peer, slot) => {
                    let connection = Connection::over(socket, peer, &self.shared);
                    self.run_turn(self.reactor.register(connection, slot), &mut context, Connection::reject_overloaded)
                }
                Work::Rejected(socket) => {
                    drop(socket);
                    None
                }
                Work::Broken(registered) | Work::Evicted(registered) => {
                    self.abort(registered, &context, EndReason::ClientAbort);
                    None
                }
                Work::TimedOut(registered) => self.run_turn(registered, &mut context, Connection::on_timeout),
                Work::HeldTooLong(registered) => self.run_turn(registered, &mut context, Connection::refuse_waiting),
                Work::LastTurn(registered) => self.run_turn(registered, &mut context, Connection::drive_or_close),
                Work::ShutDown(registered) => {
                    self.abort(registered, &context, EndReason::Shutdown);
                    None
                }
                Work::Drop(source) => {
                    drop_quietly(source);
                    None
                }
                Work::Upkeep => {
                    self.upkeep(&context.turn);
                    None
                }
            };
        }
    }
}

impl Pool {
    /// Calls the handler's upkeep, now or when a worker may block.
    fn upkeep(&self, turn: &Turn) {
        if !turn.may(Permit::Block, |name| name.extend_from_slice(UPKEEP)) {
            return self.reactor.hold(Work::Upkeep, Permit::Block);
        }
        Upkeep::call(&*self.shared.handler, turn, &self.shared.messages);
        self.in_upkeep.store(false, Relaxed);
    }

    /// Gives a connection one turn, and parks or closes it afterwards. Returns it if it is deferred.
    fn run_turn(
        &self,
        mut registered: Box<Registered<Connection>>,
        context: &mut WorkerContext,
        drive: impl FnOnce(&mut Connection, &Shared, &mut WorkerContext) -> TurnOutcome,
    ) -> Option<Box<Registered<Connection>>> {
        match catch_unwind(AssertUnwindSafe(|| drive(&mut registered.connection, &self.shared, context))) {
            Ok(TurnOutcome::Park(interest)) => {
                let connection = &registered.connection;
                let at = connection.deadline(&self.shared);
                let deadline = ParkDeadline { at, used_for: connection.slot_use() };
                if let Err(registered) = self.reactor.park(registered, interest, deadline) {
                    self.abort(registered, context, EndReason::Failed);
                }
            }
            Ok(TurnOutcome::Blocked(permit)) => self.reactor.hold(Work::Resumed(registered), permit),
            Ok(TurnOutcome::Sleep(waker)) => self.reactor.sleep(Work::Resumed(registered), waker),
            Ok(TurnOutcome::Defer) => return Some(registered),
            Ok(TurnOutcome::Close(reason)) => self.close(registered, context, reason),
            Err(_) => {
                context.forget_buffers();
                registered.connection.abort(&self.shared, context, EndReason::Failed);
                self.close(registered, context, EndReason::Failed);
            }
        }
        None
    }

    /// Closes a connection without sending another byte. `within` is the reason if a request or response had begun.
    fn abort(&self, mut registered: Box<Registered<Connection>>, context: &WorkerContext, within: EndReason) {
        let reason = registered.connection.abort(&self.shared, context, within);
        self.close(registered, context, reason);
    }

    fn close(&self, mut registered: Box<Registered<Connection>>, context: &WorkerContext, reason: EndReason) {
        let source = registered.connection.take_source();
        let slot = self.close_connection(registered);
        self.reactor.free_slot(slot, reason);
        // At last, because it may take long.
        if let Some((source, permit)) = source {
            match context.turn.may(permit, |_| {}) {
                true => drop_quietly(source),
                false => self.reactor.hold(Work::Drop(source), permit),
            }
        }
    }

    /// Closes a connection without a body, and returns its slot, which is not free yet.
    fn close_connection(&self, mut registered: Box<Registered<Connection>>) -> u32 {
        registered.connection.release_budget(&self.shared);
        let slot = registered.slot();
        drop(registered); // the socket closes before its slot is reused
        slot
    }
}

/// Drops a file, or a handler's sink or reader, which may panic.
fn drop_quietly(source: Box<dyn Send>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(source)));
}
