//! The memory that a connection takes while it waits, and the budgets that it is charged to.

use super::{Activity, Connection};
use crate::connection::budget::MemoryBudget;
use crate::connection::shared::Shared;
use crate::connection::transport::Transport;

impl<T: Transport> Connection<T> {
    /// The budget for what it has received. A connection that is put aside needs memory only because the server is busy,
    /// so peers that send slowly cannot use that up.
    pub(super) fn receive_budget<'a>(&self, shared: &'a Shared<'_>) -> &'a MemoryBudget {
        if self.is_held { &shared.held_budget } else { &shared.head_budget }
    }

    /// Whether the budget is exhausted for what it has received. If it was put aside or resumed, that is another budget
    /// than before. A response is not cut short for that: what was received during it stays charged where it is.
    pub(super) fn is_refused_memory(&mut self, shared: &Shared, is_held: bool) -> bool {
        let bytes = self.receive_bytes();
        let other = if is_held { &shared.held_budget } else { &shared.head_budget };
        let is_refused = is_held != self.is_held && bytes > 0 && !other.admits(bytes);
        if is_held == self.is_held || is_refused && matches!(self.activity, Activity::SendingResponse { .. }) {
            return self.receive_budget(shared).refuses(self.receive_charge, bytes);
        }
        self.receive_budget(shared).update(&mut self.receive_charge, 0);
        self.is_held = is_held;
        is_refused
    }

    pub(super) fn charge(&mut self, shared: &Shared, received: usize, unsent: usize) {
        self.receive_budget(shared).update(&mut self.receive_charge, received);
        shared.send_budget.update(&mut self.send_charge, unsent);
    }

    /// Bytes that it has received and keeps while it waits. The first ones of a body take what is reserved for it.
    pub(super) fn receive_bytes(&self) -> usize {
        self.protocol.heap_size().saturating_sub(self.reservation.reserved())
    }

    /// Bytes of responses that wait to be sent, and of a log record that is longer than usual.
    pub(super) fn send_bytes(&self) -> usize {
        self.send_buffer.memory() + self.log_record.as_ref().map_or(0, |record| record.excess())
    }
}
