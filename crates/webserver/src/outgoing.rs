//! What is still to be sent to a peer: bytes in hand, and the rest of a body where that is.

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::SystemTime;

use rustix::fs::fstat;

use crate::clock;
use crate::handler::Body;
use crate::socket::Peer;

/// Bodies up to here are copied behind their head and leave with it in one call; two slices would cost the same.
const COPIED: usize = 16 << 10;

/// What takes several turns.
const LONG: u64 = 2 << 20;

#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// A head, and perhaps a body or a piece of one; the first `sent` bytes are with the kernel.
    pub(crate) bytes: Vec<u8>,
    sent: usize,
    /// In a box, so that a connection without is small.
    rest: Option<Box<Rest>>,
}

#[derive(Debug)]
struct Rest {
    body: Body,
    /// Bytes of it that were sent.
    sent: u64,
    /// Bytes that are still to come; `None`: until its end.
    left: Option<u64>,
}

/// A file is not any more what the head of its reply was written for.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the file changed while it was sent")]
pub(crate) struct FileChanged;

impl Outgoing {
    /// Sends this body behind the bytes in hand.
    pub(crate) fn push(&mut self, body: Body) {
        match &body {
            Body::Bytes(bytes) if bytes.len() <= COPIED => self.bytes.extend_from_slice(bytes),
            Body::Shared(bytes) if bytes.len() <= COPIED => self.bytes.extend_from_slice(bytes),
            _ => {
                let left = body.length();
                self.rest = Some(Box::new(Rest { body, sent: 0, left }));
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len() && self.rest.is_none()
    }

    /// Whether a piece of it may take the kernel longer than several small replies.
    pub(crate) fn is_long(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.left.is_none_or(|left| left >= LONG))
    }

    /// Bytes of memory that wait here.
    pub(crate) fn memory(&self) -> usize {
        let body = match self.rest.as_deref() {
            Some(Rest { body: Body::Bytes(Cow::Owned(bytes)), .. }) => bytes.capacity(),
            Some(Rest { body: Body::Reader { .. }, .. }) => COPIED,
            _ => 0,
        };
        self.bytes.capacity() + body
    }

    /// Sends one piece, and says of how many bytes.
    ///
    /// # Errors
    /// Of the peer; or where a body is not what was promised: visibly broken, never padded (V26).
    pub(crate) fn send(&mut self, peer: &mut impl Peer) -> io::Result<u64> {
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
            self.read_on()?;
        }
        let n = if self.bytes.is_empty() {
            self.send_rest(peer)?
        } else {
            let file_follows = matches!(self.rest.as_deref(), Some(Rest { body: Body::File { .. }, .. }));
            let n = peer.send(&self.bytes[self.sent..], file_follows)?;
            self.sent += n;
            n
        };
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        }
        Ok(n as u64)
    }

    /// Reads the next piece of a reader's body.
    fn read_on(&mut self) -> io::Result<()> {
        let Some(Rest { body: Body::Reader { reader, .. }, left, .. }) = self.rest.as_deref_mut() else {
            return Ok(());
        };
        let piece = left.map_or(COPIED, |left| left.min(COPIED as u64) as usize);
        self.bytes.resize(piece, 0);
        let n = loop {
            match reader.read(&mut self.bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whatever it is, it is not the peer's.
                other => break other.map_err(io::Error::other)?.min(piece),
            }
        };
        self.bytes.truncate(n);
        self.took(n, n == 0)
    }

    /// Sends from where the body is.
    fn send_rest(&mut self, peer: &mut impl Peer) -> io::Result<usize> {
        let Some(Rest { body, sent, left }) = self.rest.as_deref_mut() else { return Ok(0) };
        let n = match body {
            Body::Bytes(bytes) => peer.send(&bytes[*sent as usize..], false)?,
            Body::Shared(bytes) => peer.send(&bytes[*sent as usize..], false)?,
            Body::File { file, offset, modified, .. } => {
                let left = left.unwrap_or(0);
                if has_changed(file, *modified, *offset + left)? {
                    return Err(io::Error::other(FileChanged));
                }
                match peer.send_file(file.as_fd(), offset, left)? {
                    0 => return Err(io::Error::other(FileChanged)), // cut since it was looked at
                    n => n,
                }
            }
            Body::Reader { .. } => return Ok(0),
        };
        self.took(n, n == 0).map(|()| n)
    }

    /// So many bytes were taken from the rest, or it has ended.
    fn took(&mut self, n: usize, ended: bool) -> io::Result<()> {
        let Some(rest) = &mut self.rest else { return Ok(()) };
        rest.sent += n as u64;
        rest.left = rest.left.map(|left| left.saturating_sub(n as u64));
        match rest.left {
            Some(0) => self.rest = None,
            None if ended => self.rest = None,
            Some(_) if ended => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {}
        }
        Ok(())
    }
}

/// Whether the file has another time than it had, or ends before `end` (V26, V27). Its name may have gone meanwhile: that
/// changes the time of its last change, which does not count.
fn has_changed(file: &OwnedFd, modified: Option<SystemTime>, end: u64) -> io::Result<bool> {
    let stat = fstat(file)?;
    let is_other = |modified| clock::of_file(stat.st_mtime, stat.st_mtime_nsec.into()) != Some(modified);
    Ok(modified.is_some_and(is_other) || u64::try_from(stat.st_size).unwrap_or(0) < end)
}
