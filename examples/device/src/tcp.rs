//! Serves the TCP sockets of smoltcp: each waits for a connection, serves it and waits for the next.
//!
//! smoltcp has no queue of connections that wait: without a free socket, the peer's SYN gets a reset. So a connection is
//! kept after a response only while another socket is free.

use core::time::Duration;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{RecvError, Socket, State};
use smoltcp::time::Instant;

use crate::page::Page;
use crate::session::{Next, Session};

/// A server with `N` sockets, and so for `N` connections at once.
pub struct Server<const N: usize> {
    port: u16,
    slots: [Slot; N],
}

struct Slot {
    socket: SocketHandle,
    session: Session,
    /// Whether the socket has left the state of listening.
    is_busy: bool,
}

impl<const N: usize> Server<N> {
    /// A server with these sockets of a set. Their buffers have any size; what a session allocates is allocated here.
    pub fn new(port: u16, sockets: [SocketHandle; N]) -> Server<N> {
        let slot = |socket| Slot { socket, session: Session::new(Duration::ZERO), is_busy: false };
        Server { port, slots: sockets.map(slot) }
    }

    /// Does everything that can be done now. Call it after each poll of the interface. It takes no longer than what
    /// the sockets' buffers hold.
    pub fn poll(&mut self, sockets: &mut SocketSet<'_>, now: Instant, find: impl Fn(&[u8], Duration) -> Option<Page>) {
        let now = Duration::from_micros(now.total_micros().unsigned_abs());
        for i in 0..N {
            let keep = self.slots.iter().enumerate().any(|(other, slot)| other != i && !slot.is_busy);
            let slot = &mut self.slots[i];
            let socket = sockets.get_mut::<Socket<'_>>(slot.socket);
            slot.turn(socket, self.port, now, keep, &find);
        }
    }

    /// When to poll again even if the interface has nothing to do.
    pub fn poll_at(&self) -> Option<Instant> {
        let deadlines = self.slots.iter().filter(|slot| slot.is_busy).map(|slot| slot.session.deadline());
        deadlines.min().map(|deadline| Instant::from_micros(deadline.as_micros() as i64))
    }
}

impl Slot {
    fn turn(
        &mut self,
        socket: &mut Socket<'_>,
        port: u16,
        now: Duration,
        keep: bool,
        find: &impl Fn(&[u8], Duration) -> Option<Page>,
    ) {
        if matches!(socket.state(), State::Closed | State::TimeWait) {
            // The wait would hold the socket for 10 seconds. The peer has sent its FIN, so a reset destroys nothing.
            socket.abort();
            self.is_busy = socket.listen(port).is_err();
        }
        if socket.state() == State::Listen {
            return;
        }
        if !self.is_busy {
            self.is_busy = true;
            self.session.reset(now);
        }
        loop {
            match self.session.poll(now, keep, find) {
                Next::Receive => match socket.recv_slice(self.session.receive_buffer()) {
                    Ok(0) => return,
                    Ok(n) => self.session.received(n),
                    Err(RecvError::Finished) => self.session.received_eof(),
                    Err(RecvError::InvalidState) => return, // within the handshake, or reset by the peer
                },
                Next::Send => match socket.send_slice(self.session.unsent()) {
                    Ok(0) | Err(_) => return,
                    Ok(n) => self.session.sent(n),
                },
                Next::Close { .. } => {
                    // What the peer still sends is dropped until its FIN or the deadline, as `must_linger` asks.
                    socket.close();
                    while socket.recv(|bytes| (bytes.len(), bytes.len())).is_ok_and(|n| n > 0) {}
                    return;
                }
                Next::Abort => return socket.abort(),
            }
        }
    }
}
