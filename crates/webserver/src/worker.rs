//! A worker: takes one ready connection, drives it as far as its peer lets it within a turn, then closes it or sets it
//! down in the lobby. It never waits for a peer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::connection::{Connection, Desk, Next, Site};
use crate::ends::{Counters, End};
use crate::lobby::{Arrival, Guest, Lobby};

/// What workers and ticker share.
pub(crate) struct Engine {
    pub(crate) lobby: Lobby<Connection>,
    pub(crate) site: Site,
    pub(crate) counters: Counters,
}

impl Engine {
    /// One worker's life.
    pub(crate) fn work(&self) {
        let mut desk = Desk::new(&self.site.limits);
        while let Some(arrival) = self.lobby.next() {
            match arrival {
                Arrival::Stranger(socket, peer, slot) => {
                    self.counters.accept();
                    let connection = Connection::new(socket, peer, &self.site);
                    self.turn(self.lobby.welcome(connection, slot), &mut desk, Connection::drive);
                }
                Arrival::Ready(guest) => self.turn(guest, &mut desk, Connection::drive),
                Arrival::Gone(guest) => self.cut(guest, End::Aborted),
            }
        }
    }

    /// Gives a guest one turn, and sees to it that it waits or ends afterwards.
    pub(crate) fn turn(
        &self,
        mut guest: Box<Guest<Connection>>,
        desk: &mut Desk,
        drive: impl FnOnce(&mut Connection, &Site, &mut Desk) -> Next,
    ) {
        let next = catch_unwind(AssertUnwindSafe(|| drive(&mut guest.connection, &self.site, desk)));
        match next {
            Ok(Next::Wait(interest)) => {
                let deadline = guest.connection.deadline(&self.site);
                if let Err(guest) = self.lobby.set_down(guest, interest, deadline) {
                    self.cut(guest, End::Failed);
                }
            }
            Ok(Next::End(end)) => self.end(guest, end),
            Err(_) => {
                *desk = Desk::new(&self.site.limits);
                self.end(guest, End::Failed);
            }
        }
    }

    /// Ends a guest without another word; `within` is how it ends if something had begun.
    pub(crate) fn cut(&self, mut guest: Box<Guest<Connection>>, within: End) {
        let end = guest.connection.cut(&self.site, within);
        self.end(guest, end);
    }

    fn end(&self, guest: Box<Guest<Connection>>, end: End) {
        let slot = guest.slot();
        drop(guest); // the socket closes before its slot is another's
        self.counters.end(end);
        self.lobby.release(slot);
    }
}
