//! A worker: takes one ready connection, drives it as far as its peer lets it within a turn, then closes it or sets it
//! down in the lobby. It never waits for a peer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::connection::{Connection, Next};
use crate::desk::Desk;
use crate::ends::{Counters, Reason};
use crate::lobby::{Arrival, Guest, Lobby};
use crate::seat::Patience;
use crate::site::Site;
use crate::watch::Deputise as _;

/// What workers and ticker share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) lobby: Lobby<Connection>,
    pub(crate) site: Site,
    pub(crate) counters: Counters,
}

impl Engine {
    /// One worker's life.
    pub(crate) fn work(&self) {
        let mut desk = Desk::new(Some(self.lobby.watch.clone()));
        let may_wait = !self.site.handler.is_quick();
        let mut behind = None;
        while let Some(arrival) = self.lobby.next(behind.take()) {
            if may_wait {
                self.lobby.watch.deputise();
            }
            behind = match arrival {
                Arrival::Ready { mut guest, ending, others } => {
                    guest.connection.wake(ending);
                    let may_step_behind = others && !may_wait;
                    self.turn(guest, &mut desk, if may_step_behind { Connection::receive } else { Connection::drive })
                }
                Arrival::Back(guest) => self.turn(guest, &mut desk, Connection::drive),
                Arrival::Stranger(socket, peer, seat) => {
                    self.counters.accept();
                    let connection = Connection::over(socket, peer, &self.site);
                    self.turn(self.lobby.welcome(connection, seat), &mut desk, Connection::drive)
                }
                Arrival::Surplus(socket, peer, seat) => {
                    self.counters.accept();
                    let connection = Connection::over(socket, peer, &self.site);
                    self.turn(self.lobby.welcome(connection, seat), &mut desk, Connection::turn_away)
                }
                Arrival::Refused(socket) => {
                    self.counters.accept();
                    drop(socket);
                    self.counters.end(Reason::Overloaded);
                    None
                }
                Arrival::Instead(socket, peer, mut idle) => {
                    self.counters.accept();
                    let reason = idle.connection.cut(&self.site, Reason::ClientAbort);
                    let seat = self.see_out(idle, reason);
                    let connection = Connection::over(socket, peer, &self.site);
                    self.turn(self.lobby.welcome(connection, seat), &mut desk, Connection::drive)
                }
                Arrival::Gone(guest) | Arrival::Shed(guest) => {
                    self.cut(guest, Reason::ClientAbort);
                    None
                }
            };
        }
    }

    /// Gives a guest one turn, and sees to it that it waits or ends afterwards, unless it is to step behind others.
    pub(crate) fn turn(
        &self,
        mut guest: Box<Guest<Connection>>,
        desk: &mut Desk,
        drive: impl FnOnce(&mut Connection, &Site, &mut Desk) -> Next,
    ) -> Option<Box<Guest<Connection>>> {
        let next = catch_unwind(AssertUnwindSafe(|| drive(&mut guest.connection, &self.site, desk)));
        match next {
            Ok(Next::Wait(interest)) => {
                let connection = &guest.connection;
                let patience = Patience { until: connection.deadline(&self.site), idle: connection.is_kept() };
                if let Err(guest) = self.lobby.park(guest, interest, patience) {
                    self.cut(guest, Reason::Failed);
                }
            }
            Ok(Next::StepBehind) => return Some(guest),
            Ok(Next::End(reason)) => self.end(guest, reason),
            Err(_) => {
                *desk = Desk::new(desk.watch.take());
                guest.connection.cut(&self.site, Reason::Failed);
                self.end(guest, Reason::Failed);
            }
        }
        None
    }

    /// Ends a guest without another word; `within` is why, if something had begun.
    pub(crate) fn cut(&self, mut guest: Box<Guest<Connection>>, within: Reason) {
        let reason = guest.connection.cut(&self.site, within);
        self.end(guest, reason);
    }

    fn end(&self, guest: Box<Guest<Connection>>, reason: Reason) {
        let seat = self.see_out(guest, reason);
        self.lobby.release(seat);
    }

    /// Ends a guest, and says whose seat is free.
    fn see_out(&self, mut guest: Box<Guest<Connection>>, reason: Reason) -> u32 {
        guest.connection.let_go(&self.site);
        let seat = guest.seat();
        // The socket closes before its seat is another's. A handler's sink or reader may panic on its way out.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(guest)));
        self.counters.end(reason);
        seat
    }
}
