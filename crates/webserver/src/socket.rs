//! The peer's socket: what can be done with it without ever waiting. Every call either does something at once or
//! says `WouldBlock`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::sendfile;
use rustix::io::{Errno, ioctl_fionbio, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

/// At most so many octets a `sendfile`, so that no call keeps a worker for long: one of 256 KiB to a peer that reads
/// nothing takes 8–16 ms in the kernel.
const LARGEST_PIECE: u64 = 256 << 10;

/// A connected socket, in blocking mode until a file is sent over it.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    non_blocking: bool,
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd) -> Socket {
        Socket { fd, non_blocking: false }
    }

    /// 0 at the end of the peer's stream.
    pub(crate) fn receive(&self, room: &mut [u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| recv(&self.fd, &mut *room, RecvFlags::DONTWAIT))?.0)
    }

    /// Whether octets are there to be received.
    pub(crate) fn is_readable(&self) -> bool {
        recv(&self.fd, &mut [0; 1], RecvFlags::DONTWAIT | RecvFlags::PEEK).is_ok_and(|(n, _)| n > 0)
    }

    /// Sends what the kernel takes at once. `more`: a file follows, so that both can share a packet (saves a quarter of
    /// the work at 100 KB).
    pub(crate) fn send(&self, octets: &[u8], more: bool) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL | if more { SendFlags::MORE } else { SendFlags::empty() };
        Ok(retry_on_intr(|| send(&self.fd, octets, flags))?)
    }

    /// Sends a piece of a file from `offset`, which it moves on; 0 where the file has ended.
    pub(crate) fn send_file(&mut self, file: BorrowedFd<'_>, offset: &mut u64, length: u64) -> io::Result<usize> {
        if !self.non_blocking {
            // `sendfile` knows no DONTWAIT, and SO_SNDTIMEO bounds each 64 KiB of a call, not the call.
            ioctl_fionbio(&self.fd, true)?;
            self.non_blocking = true;
        }
        let piece = length.min(LARGEST_PIECE) as usize;
        Ok(retry_on_intr(|| sendfile(&self.fd, file, Some(offset), piece))?)
    }

    /// Says that nothing more will be sent.
    pub(crate) fn half_close(&self) -> io::Result<()> {
        Ok(shutdown(&self.fd, Shutdown::Write)?)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether an error only says that the peer is not ready.
pub(crate) fn must_wait(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::AGAIN.raw_os_error())
}
