//! The peer's socket: what can be done with it without ever waiting. Every call either does something at once or
//! says `WouldBlock`.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::sendfile;
use rustix::io::{Errno, ioctl_fionbio, retry_on_intr};
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::net::{RecvFlags, SendFlags, Shutdown, getsockname, recv, send, shutdown};

use crate::connection::sockopt;

/// A peer as a connection sees it: a socket, or what stands in for one.
pub(crate) trait Transport: fmt::Debug {
    /// 0 at the end of the peer's stream.
    fn receive(&mut self, room: &mut [u8]) -> io::Result<usize>;

    /// Whether bytes are there to be received.
    fn is_readable(&self) -> bool;

    /// Sends what is taken at once. `more`: a file follows, so that both can share a packet (saves a quarter of the work
    /// at 100 KB).
    fn send(&mut self, bytes: &[u8], more: bool) -> io::Result<usize>;

    /// Sends a piece of a file from `offset`, which it moves on; 0 where the file has ended.
    fn send_file(&mut self, file: BorrowedFd<'_>, offset: &mut u64, length: u64) -> io::Result<usize>;

    /// The kernel is to take less at a time: who reads slowly is to be seen reading.
    fn limit_unsent(&mut self) {}

    /// Says that nothing more will be sent.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Our own end.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// At most so many bytes a `sendfile`: a few whole segments of the loopback interface. Where the kernel paces (BBR), 1 MiB
/// costs half as much again in pieces of 512 KiB.
pub(crate) const SENDFILE_CHUNK: u64 = 5 * 65_483;

/// A connected socket, in blocking mode until a file is sent over it.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    non_blocking: bool,
}

/// What the kernel may hold for a peer of the unix domain; it takes twice as much. There room shows only when all was read,
/// so that with the usual 208 KiB a slow reader would not be seen to read, and it costs a third of 8 GB/s.
const UNIX_BUFFER: usize = 32 << 10;

impl Socket {
    /// A peer that has no address of TCP comes over the unix domain.
    pub(crate) fn new(fd: OwnedFd, peer: SocketAddr) -> Socket {
        if peer == UNIX_PEER_ADDR {
            let _ = set_socket_send_buffer_size(&fd, UNIX_BUFFER); // without it we only learn later that the peer reads
        }
        Socket { fd, non_blocking: false }
    }
}

/// Stands for the address of a peer that comes over the unix domain.
pub(crate) const UNIX_PEER_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Transport for Socket {
    fn receive(&mut self, room: &mut [u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| recv(&self.fd, &mut *room, RecvFlags::DONTWAIT))?.0)
    }

    fn is_readable(&self) -> bool {
        recv(&self.fd, &mut [0; 1], RecvFlags::DONTWAIT | RecvFlags::PEEK).is_ok_and(|(n, _)| n > 0)
    }

    fn send(&mut self, bytes: &[u8], more: bool) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL | if more { SendFlags::MORE } else { SendFlags::empty() };
        Ok(retry_on_intr(|| send(&self.fd, bytes, flags))?)
    }

    fn send_file(&mut self, file: BorrowedFd<'_>, offset: &mut u64, length: u64) -> io::Result<usize> {
        if !self.non_blocking {
            // `sendfile` knows no DONTWAIT, and SO_SNDTIMEO bounds each 64 KiB of a call, not the call.
            ioctl_fionbio(&self.fd, true)?;
            self.non_blocking = true;
        }
        let piece = length.min(SENDFILE_CHUNK) as usize;
        Ok(retry_on_intr(|| sendfile(&self.fd, file, Some(offset), piece))?)
    }

    fn limit_unsent(&mut self) {
        let _ = sockopt::limit_unsent(&self.fd); // unknown to the unix domain; without it we only learn later that the peer reads
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

/// Whether an error only says that the peer is not ready.
pub(crate) fn would_block(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::AGAIN.raw_os_error())
}
