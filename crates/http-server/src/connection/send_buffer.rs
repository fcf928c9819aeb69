//! What is still to be sent to a peer: bytes in a buffer, and the rest of a body at its source.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use crate::connection::transport::{Transport, file_failed};
use crate::handler::{Body, FileChanged, panic_message};

/// A body up to this size is copied after its head and sent with it in one call. Two slices would cost the same.
const INLINE_BODY_MAX: usize = 16 << 10;

/// A body from this size takes several turns.
const LARGE_BODY_MIN: u64 = 2 << 20;

#[derive(Debug, Default)]
pub(crate) struct SendBuffer {
    /// A head, and perhaps a body or a piece of one. The kernel has the first `sent` bytes.
    pub(crate) bytes: Vec<u8>,
    sent: usize,
    /// In a box, so that a connection without one is small.
    rest: Option<Box<PendingBody>>,
}

#[derive(Debug)]
struct PendingBody {
    body: Body,
    /// Bytes of the body that were sent.
    sent: u64,
    /// Bytes that are still to be sent. `None`: until the body ends.
    left: Option<u64>,
}

impl PendingBody {
    fn may_block(&self) -> bool {
        matches!(self.body, Body::File { .. } | Body::Reader { .. })
    }
}

impl SendBuffer {
    /// Sends this body after the bytes in the buffer.
    pub(crate) fn push(&mut self, body: Body) {
        match &body {
            Body::Bytes(bytes) if bytes.len() <= INLINE_BODY_MAX => self.bytes.extend_from_slice(bytes),
            Body::Shared(bytes) if bytes.len() <= INLINE_BODY_MAX => self.bytes.extend_from_slice(bytes),
            _ => {
                let left = body.length();
                self.rest = Some(Box::new(PendingBody { body, sent: 0, left }));
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len() && self.rest.is_none()
    }

    /// Whether sending a piece may take the kernel longer than several small responses.
    pub(crate) fn is_large(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.left.is_none_or(|left| left >= LARGE_BODY_MIN))
    }

    /// Whether the next piece comes from a file or a reader, which may block.
    pub(crate) fn needs_source(&self) -> bool {
        self.sent == self.bytes.len() && self.has_source()
    }

    /// Whether more of the body comes from a file or a reader.
    pub(crate) fn has_source(&self) -> bool {
        self.rest.as_deref().is_some_and(PendingBody::may_block)
    }

    /// Takes out the rest of the body, if it may block when it is dropped.
    pub(crate) fn take_source(&mut self) -> Option<Box<dyn Send>> {
        self.rest.take_if(|rest| rest.may_block()).map(|rest| rest as Box<dyn Send>)
    }

    /// Bytes of memory that wait to be sent.
    pub(crate) fn memory(&self) -> usize {
        let body = match self.rest.as_deref() {
            Some(PendingBody { body: Body::Bytes(Cow::Owned(bytes)), .. }) => bytes.capacity(),
            Some(PendingBody { body: Body::Reader { .. }, .. }) => INLINE_BODY_MAX,
            _ => 0,
        };
        self.bytes.capacity() + body
    }

    /// Sends one piece, and returns its length.
    ///
    /// # Errors
    /// From the socket, or if a body is not what was promised. The body is then visibly truncated and never padded
    /// (V26).
    pub(crate) fn send(&mut self, peer: &mut impl Transport) -> io::Result<u64> {
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
            self.refill_from_reader()?;
        }
        let n = if self.bytes.is_empty() {
            self.send_rest(peer)?
        } else {
            let file_follows = matches!(self.rest.as_deref(), Some(PendingBody { body: Body::File { .. }, .. }));
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
    fn refill_from_reader(&mut self) -> io::Result<()> {
        let Some(PendingBody { body: Body::Reader { reader, .. }, left, .. }) = self.rest.as_deref_mut() else {
            return Ok(());
        };
        let piece = left.map_or(INLINE_BODY_MAX, |left| left.min(INLINE_BODY_MAX as u64) as usize);
        self.bytes.resize(piece, 0);
        let n = loop {
            // Whatever the reader does, the peer did not cause it.
            match catch_unwind(AssertUnwindSafe(|| reader.read(&mut self.bytes))) {
                Ok(Ok(n)) => break n.min(piece),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) if FileChanged::is(&error) => return Err(error),
                Ok(Err(error)) => return Err(io::Error::other(error)),
                Err(panic) => return Err(io::Error::other(format!("its reader panicked: {}", panic_message(&*panic)))),
            }
        };
        self.bytes.truncate(n);
        self.advance(n, n == 0)
    }

    /// Sends from the body's source.
    fn send_rest(&mut self, peer: &mut impl Transport) -> io::Result<usize> {
        let Some(PendingBody { body, sent, left }) = self.rest.as_deref_mut() else { return Ok(0) };
        let n = match body {
            Body::Bytes(bytes) => peer.send(&bytes[*sent as usize..], false)?,
            Body::Shared(bytes) => peer.send(&bytes[*sent as usize..], false)?,
            Body::File { file, offset, modified, .. } => {
                let left = left.unwrap_or(0);
                let end = *offset + left;
                if has_changed(file, *modified, end)? {
                    return Err(io::Error::other(FileChanged));
                }
                match peer.send_file(file, offset, left)? {
                    0 if has_changed(file, *modified, end)? => return Err(io::Error::other(FileChanged)),
                    0 => return Err(io::Error::other("the file ends before its size")),
                    n => n,
                }
            }
            Body::Reader { .. } => return Ok(0),
        };
        self.advance(n, n == 0).map(|()| n)
    }

    /// Records that this many bytes of the rest were sent, or that it has ended.
    fn advance(&mut self, n: usize, ended: bool) -> io::Result<()> {
        let Some(rest) = &mut self.rest else { return Ok(()) };
        rest.sent += n as u64;
        rest.left = rest.left.map(|left| left.saturating_sub(n as u64));
        match rest.left {
            Some(0) => self.rest = None,
            None if ended => self.rest = None,
            Some(left) if ended => {
                return Err(io::Error::other(format!("its reader ended early, by a length of {left}")));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether the file was modified, or ends before `end` (V26, V27). The modification time counts. The change time does
/// not, because it changes even if only a name is removed.
fn has_changed(file: &File, modified: Option<SystemTime>, end: u64) -> io::Result<bool> {
    let now = file.metadata().map_err(file_failed)?;
    Ok(now.len() < end || (modified.is_some() && now.modified().ok() != modified))
}
