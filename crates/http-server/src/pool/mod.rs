//! The fixed pool. Each worker takes one ready connection and drives it as far as its peer allows within a turn. Then
//! it closes the connection or parks it in the reactor. A worker never waits for a peer.

pub(crate) mod housekeeper;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::connection::context::WorkerContext;
use crate::connection::shared::Shared;
use crate::connection::{Connection, TurnOutcome};
use crate::reactor::{ParkDeadline, Reactor, Registered, Work, batch};
use crate::stats::EndReason;

/// What workers and housekeeper share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) reactor: Reactor<Connection>,
    pub(crate) shared: Shared<'static>,
}

impl Engine {
    /// Runs one worker until the server has shut down.
    pub(crate) fn worker_loop(&self) {
        let leader = self.reactor.leader_handle();
        let mut context = WorkerContext::new(Some(leader.clone()));
        let may_block = !self.shared.handler.never_blocks();
        let mut deferred = None;
        while let Some(work) = self.reactor.next_work(deferred.take()) {
            if may_block {
                leader.promote_follower();
            }
            deferred = match work {
                Work::Ready { mut registered, peer_closed, more_ready } => {
                    registered.connection.on_ready(peer_closed);
                    let defers = batch::defers(more_ready, may_block);
                    let drive = if defers { Connection::receive_only } else { Connection::drive };
                    self.run_turn(registered, &mut context, drive)
                }
                Work::Resumed(registered) => self.run_turn(registered, &mut context, Connection::drive),
                Work::Accepted(socket, peer, slot) => {
                    self.shared.counters.connection_accepted();
                    let connection = Connection::over(socket, peer, &self.shared);
                    self.run_turn(self.reactor.register(connection, slot), &mut context, Connection::drive)
                }
                Work::AcceptedEvicting(socket, peer, mut idle) => {
                    self.shared.counters.connection_accepted();
                    let reason = idle.connection.abort(&self.shared, EndReason::ClientAbort);
                    let slot = self.close_connection(idle, reason);
                    let connection = Connection::over(socket, peer, &self.shared);
                    self.run_turn(self.reactor.register(connection, slot), &mut context, Connection::drive)
                }
                Work::Overloaded(socket, peer, slot) => {
                    self.shared.counters.connection_accepted();
                    let connection = Connection::over(socket, peer, &self.shared);
                    self.run_turn(self.reactor.register(connection, slot), &mut context, Connection::reject_overloaded)
                }
                Work::Rejected(socket) => {
                    self.shared.counters.connection_accepted();
                    drop(socket);
                    self.shared.counters.connection_ended(EndReason::Overloaded);
                    None
                }
                Work::Broken(registered) | Work::Evicted(registered) => {
                    self.abort(registered, EndReason::ClientAbort);
                    None
                }
            };
        }
    }

    /// Gives a connection one turn, and parks or closes it afterwards. Returns it if it is deferred.
    pub(crate) fn run_turn(
        &self,
        mut registered: Box<Registered<Connection>>,
        context: &mut WorkerContext,
        drive: impl FnOnce(&mut Connection, &Shared, &mut WorkerContext) -> TurnOutcome,
    ) -> Option<Box<Registered<Connection>>> {
        match catch_unwind(AssertUnwindSafe(|| drive(&mut registered.connection, &self.shared, context))) {
            Ok(TurnOutcome::Park(interest)) => {
                let connection = &registered.connection;
                let at = connection.deadline(&self.shared);
                let deadline = ParkDeadline { at, evictable: connection.is_idle_keep_alive() };
                if let Err(registered) = self.reactor.park(registered, interest, deadline) {
                    self.abort(registered, EndReason::Failed);
                }
            }
            Ok(TurnOutcome::Defer) => return Some(registered),
            Ok(TurnOutcome::Close(reason)) => self.close(registered, reason),
            Err(_) => {
                *context = WorkerContext::new(context.leader.take());
                registered.connection.abort(&self.shared, EndReason::Failed);
                self.close(registered, EndReason::Failed);
            }
        }
        None
    }

    /// Closes a connection without sending another byte. `within` is the reason if a request or response had begun.
    pub(crate) fn abort(&self, mut registered: Box<Registered<Connection>>, within: EndReason) {
        let reason = registered.connection.abort(&self.shared, within);
        self.close(registered, reason);
    }

    fn close(&self, registered: Box<Registered<Connection>>, reason: EndReason) {
        let slot = self.close_connection(registered, reason);
        self.reactor.free_slot(slot);
    }

    /// Closes a connection and returns its slot, which is not free yet.
    fn close_connection(&self, mut registered: Box<Registered<Connection>>, reason: EndReason) -> u32 {
        registered.connection.release_budget(&self.shared);
        let slot = registered.slot();
        // The socket closes before its slot is reused. A handler's sink or reader may panic when it is dropped.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(registered)));
        self.shared.counters.connection_ended(reason);
        slot
    }
}
