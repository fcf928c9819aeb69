//! The peer's socket under the reactor.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::sendfile;
use rustix::io::{Errno, ioctl_fionbio, retry_on_intr};
use rustix::net::sockopt::{set_socket_linger, set_socket_send_buffer_size};
use rustix::net::{RecvFlags, SendFlags, Shutdown, getsockname, recv, send, shutdown};

use super::{BYTES_PER_TURN, Connection};
use crate::connection::shared::Shared;
use crate::connection::sockopt;
use crate::connection::transport::{Transport, UNIX_PEER_ADDR, UNIX_SEND_BUFFER, send_copy};

/// The most bytes of one `sendfile`. Smaller pieces cost more calls, and larger ones hold a worker for longer. Over a
/// veth pair, 512 KiB costs about 11 % less than 320 KiB, and 1 MiB saves no more. Over loopback, 128 and 256 KiB cost
/// more.
const SENDFILE_CHUNK: u64 = BYTES_PER_TURN;

/// A connected socket, in blocking mode until a file is sent over it.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    non_blocking: bool,
}

impl Socket {
    /// A peer without a TCP address is on a Unix domain socket.
    pub(crate) fn new(fd: OwnedFd, peer: SocketAddr) -> Socket {
        if peer == UNIX_PEER_ADDR {
            let _ = set_socket_send_buffer_size(&fd, UNIX_SEND_BUFFER); // without it, slow progress is seen later
        }
        Socket { fd, non_blocking: false }
    }
}

impl Transport for Socket {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| recv(&self.fd, &mut *buffer, RecvFlags::DONTWAIT))?.0)
    }

    fn is_readable(&self) -> bool {
        has_input(&self.fd)
    }

    fn is_writable(&self) -> bool {
        let mut fds = [PollFd::new(&self.fd, PollFlags::OUT)];
        poll(&mut fds, Some(&Timespec::default())).is_ok() && fds[0].revents().contains(PollFlags::OUT)
    }

    fn send(&mut self, bytes: &[u8], more: bool) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL | if more { SendFlags::MORE } else { SendFlags::empty() };
        Ok(retry_on_intr(|| send(&self.fd, bytes, flags))?)
    }

    fn send_file(&mut self, file: &File, offset: &mut u64, length: u64) -> io::Result<usize> {
        if !self.non_blocking {
            // `sendfile` has no DONTWAIT, and SO_SNDTIMEO limits each 64 KiB of a call instead of the call.
            ioctl_fionbio(&self.fd, true)?;
            self.non_blocking = true;
        }
        let piece = length.min(SENDFILE_CHUNK) as usize;
        match retry_on_intr(|| sendfile(&self.fd, file, Some(offset), piece)) {
            Ok(n) => Ok(n),
            Err(errno @ (Errno::AGAIN | Errno::PIPE | Errno::CONNRESET)) => Err(errno.into()),
            // Some file systems and sandboxes have no `sendfile`. If it is the file that cannot be read, or the socket
            // that is broken, the error of this says so.
            Err(_) => send_copy(self, file, offset, length),
        }
    }

    fn limit_unsent(&mut self) {
        let _ = sockopt::limit_unsent(&self.fd); // fails on Unix domain sockets, whose buffer is small already
    }

    fn reset_on_close(&mut self, on: bool) {
        let _ = set_socket_linger(&self.fd, on.then_some(Duration::ZERO)); // cannot fail on a socket
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(shutdown(&self.fd, Shutdown::Write)?)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::try_from(getsockname(&self.fd)?)?)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether bytes lie in a socket, unread.
pub(crate) fn has_input(socket: impl AsFd) -> bool {
    recv(socket, &mut [0; 1], RecvFlags::DONTWAIT | RecvFlags::PEEK).is_ok_and(|(n, _)| n > 0)
}

/// Whether a socket's peer has ended its stream, or is gone.
pub(crate) fn has_ended(socket: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&socket, PollFlags::RDHUP)];
    poll(&mut fds, Some(&Timespec::default())).is_ok() && !fds[0].revents().is_empty()
}

impl Connection<Socket> {
    /// A connection over this socket.
    pub(crate) fn over(socket: OwnedFd, peer: SocketAddr, shared: &Shared) -> Connection<Socket> {
        Connection::new(Socket::new(socket, peer), peer, shared)
    }
}

impl AsFd for Connection<Socket> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.transport.as_fd()
    }
}
