//! The peer's socket, which never blocks: every call does something at once or fails with `WouldBlock`.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::sendfile;
use rustix::io::{Errno, ioctl_fionbio, pread, retry_on_intr};
use rustix::net::sockopt::{set_socket_linger, set_socket_send_buffer_size};
use rustix::net::{RecvFlags, SendFlags, Shutdown, getsockname, recv, send, shutdown};

use crate::connection::sockopt;
use crate::handler::LocalAddr;

/// A stream to a peer: a socket, or a test's replacement.
pub(crate) trait Transport: fmt::Debug {
    /// Receives the available bytes, and returns 0 at the end of the peer's stream.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Whether bytes can be received now.
    fn is_readable(&self) -> bool;

    /// Whether the peer has read so much that bytes can be sent now. `false` if that is unknown.
    fn is_writable(&self) -> bool {
        false
    }

    /// Sends as many bytes as possible at once. `more`: a file follows, and both may share a packet, which saves a
    /// quarter of the cost at 100 KB.
    fn send(&mut self, bytes: &[u8], more: bool) -> io::Result<usize>;

    /// Sends a piece of a file from `offset`, and advances `offset`. Returns 0 at the end of the file.
    fn send_file(&mut self, file: BorrowedFd<'_>, offset: &mut u64, length: u64) -> io::Result<usize>;

    /// Lets the kernel buffer less, so that the progress of a slow reader is visible.
    fn limit_unsent(&mut self) {}

    /// Whether the close is a reset, however it comes about, and though the process may be killed. Until then it is for a
    /// response whose end only the close shows: if that comes early, the response must not look whole. A Unix domain
    /// socket has no resets.
    fn reset_on_close(&mut self, _on: bool) {}

    /// Shuts down the write half.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// The address of our end.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

impl<T: Transport> LocalAddr for T {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Transport::local_addr(self)
    }
}

/// Sends a piece of a file like [`Transport::send_file`], but by reading it.
pub(crate) fn send_copy(
    peer: &mut impl Transport,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    length: u64,
) -> io::Result<usize> {
    let mut piece = vec![0; length.min(COPY_CHUNK) as usize];
    let n = match retry_on_intr(|| pread(file, &mut *piece, *offset)).map_err(file_failed)? {
        0 => 0,
        n => peer.send(&piece[..n], false)?,
    };
    *offset += n as u64;
    Ok(n)
}

/// The error of a body whose file cannot be read. It is not taken for one of the peer's socket.
pub(crate) fn file_failed(error: impl fmt::Display) -> io::Error {
    io::Error::other(format!("the file cannot be read: {error}"))
}

/// The most bytes of a file that are read at once.
const COPY_CHUNK: u64 = 64 << 10;

/// The most bytes of one `sendfile`. Smaller pieces cost more calls, and larger ones hold a worker for longer. Over a
/// veth pair, 512 KiB costs about 11 % less than 320 KiB, and 1 MiB saves no more. Over loopback, 128 and 256 KiB cost
/// more.
pub(crate) const SENDFILE_CHUNK: u64 = 512 << 10;

/// A connected socket, in blocking mode until a file is sent over it.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    non_blocking: bool,
}

/// The send buffer of a Unix domain socket; the kernel doubles it. Such a socket reports space only when everything was
/// read. With the usual 208 KiB, the progress of a slow reader would not be visible. It costs a third of 8 GB/s.
const UNIX_SEND_BUFFER: usize = 32 << 10;

impl Socket {
    /// A peer without a TCP address is on a Unix domain socket.
    pub(crate) fn new(fd: OwnedFd, peer: SocketAddr) -> Socket {
        if peer == UNIX_PEER_ADDR {
            let _ = set_socket_send_buffer_size(&fd, UNIX_SEND_BUFFER); // without it, slow progress is seen later
        }
        Socket { fd, non_blocking: false }
    }
}

/// The address of every peer on a Unix domain socket.
pub(crate) const UNIX_PEER_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

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

    fn send_file(&mut self, file: BorrowedFd<'_>, offset: &mut u64, length: u64) -> io::Result<usize> {
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

/// Whether an error only means that the peer is not ready.
pub(crate) fn would_block(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::AGAIN.raw_os_error())
}
