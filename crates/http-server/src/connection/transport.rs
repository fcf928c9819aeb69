//! The stream to a peer, as a connection uses it. It never blocks: every call does something at once or fails with
//! `WouldBlock`.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::handler::LocalAddr;
use crate::system;

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
    fn send_file(&mut self, file: &File, offset: &mut u64, length: u64) -> io::Result<usize>;

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
pub(crate) fn send_copy(peer: &mut impl Transport, file: &File, offset: &mut u64, length: u64) -> io::Result<usize> {
    let mut piece = vec![0; length.min(COPY_CHUNK) as usize];
    let n = loop {
        match system::read_at(file, &mut piece, *offset) {
            Ok(0) => break 0,
            Ok(n) => break peer.send(&piece[..n], false)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(file_failed(error)),
        }
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

/// The address of every peer on a Unix domain socket.
pub(crate) const UNIX_PEER_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The send buffer of a Unix domain socket; the kernel doubles it. Such a socket reports space only when everything was
/// read. With the usual 208 KiB, the progress of a slow reader would not be visible. It costs a third of 8 GB/s.
pub(crate) const UNIX_SEND_BUFFER: usize = 32 << 10;

/// Whether an error only means that the peer is not ready.
pub(crate) fn would_block(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}
