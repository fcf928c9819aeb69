//! The receive buffer: bytes that were received and not yet consumed, and the positions of a head's fields in them. It
//! does not know what they mean.
//!
//! It either owns its memory, which grows by doubling, or borrows that of a [`Workspace`] while a thread drives the
//! connection.

use alloc::vec::Vec;
use core::fmt;

use crate::message::field_index::FieldIndex;

/// Memory that a thread lends to each connection it drives, so that an idle connection owns none.
///
/// A workspace is optional: without one, a connection allocates its own buffers. It serves one connection at a time.
/// [`attach`](crate::server::Connection::attach) moves its memory into the connection, and
/// [`detach`](crate::server::Connection::detach) moves it back. No connection ever sees the bytes of another.
#[derive(Default)]
pub struct Workspace {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fields: FieldIndex,
}

impl Workspace {
    /// Creates a workspace with space for `bytes` received bytes.
    ///
    /// [`Limits::head`](crate::Limits::head) is a good size. A client receives bodies into more than that, if there is
    /// more. `default()` has no space at first and keeps what the first connection allocates.
    pub fn with_capacity(bytes: usize) -> Workspace {
        Workspace { bytes: alloc::vec![0; bytes], fields: FieldIndex::new() }
    }
}

impl fmt::Debug for Workspace {
    /// Shows the size and none of the received bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workspace({} bytes)", self.bytes.len())
    }
}

pub(crate) struct RecvBuffer {
    /// Initialised memory; the unread bytes are `start..end`.
    bytes: Vec<u8>,
    start: u32,
    end: u32,
    /// Length of the front part that is lent to the caller; it is dropped at the next call.
    lent_front: u32,
    /// Bytes of free space that were offered to the caller, which cannot receive more.
    writable: u32,
    /// Whether `bytes` belongs to a workspace.
    lent: bool,
    /// The index of the current head.
    fields: FieldIndex,
}

/// The first allocation, in bytes.
const MIN_CAPACITY: u32 = 256;

impl RecvBuffer {
    pub(crate) const fn new() -> RecvBuffer {
        RecvBuffer {
            bytes: Vec::new(),
            start: 0,
            end: 0,
            lent_front: 0,
            writable: 0,
            lent: false,
            fields: FieldIndex::new(),
        }
    }

    /// The bytes that were received and not consumed.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start as usize..self.end as usize]
    }

    /// The unread bytes and the index of the head, both mutable.
    pub(crate) fn parts(&mut self) -> (&mut [u8], &mut FieldIndex) {
        (&mut self.bytes[self.start as usize..self.end as usize], &mut self.fields)
    }

    /// The index of the current head.
    pub(crate) fn fields(&self) -> &FieldIndex {
        &self.fields
    }

    /// Lends the first `n` unread bytes to the caller, until [`release`](Self::release).
    pub(crate) fn lend_front(&mut self, n: usize) {
        self.lent_front = n as u32;
    }

    pub(crate) fn lent_front(&self) -> &[u8] {
        &self.unread()[..self.lent_front as usize]
    }

    /// Drops the bytes that were lent.
    pub(crate) fn release(&mut self) {
        let n = core::mem::take(&mut self.lent_front);
        self.consume(n as usize);
    }

    /// Takes back the bytes that were lent: they are unread again.
    pub(crate) fn return_front(&mut self) {
        self.lent_front = 0;
    }

    /// Bytes of memory, free or not.
    pub(crate) fn size(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// Free space to receive into. It is never empty while fewer than `limit` bytes are unread, and unread bytes never
    /// exceed `limit`.
    pub(crate) fn receive_buffer(&mut self, limit: u32) -> &mut [u8] {
        self.release();
        let (start, end, size) = (self.start as usize, self.end as usize, self.size() as usize);
        if start == end {
            (self.start, self.end) = (0, 0);
        } else if start > 0 && size - end < size / 2 {
            // At most once per head: afterwards the head begins at 0, so no byte moves twice.
            self.bytes.copy_within(start..end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end as usize == self.bytes.len() && self.end < limit {
            self.bytes.resize(self.end.saturating_mul(2).clamp(MIN_CAPACITY.min(limit), limit) as usize, 0);
        }
        let end = self.end as usize;
        let allowed = self.start.saturating_add(limit).saturating_sub(self.end);
        let space = (self.size() as usize - end).min(allowed as usize);
        self.writable = space as u32;
        &mut self.bytes[end..end + space]
    }

    /// Marks `n` bytes of the free space as received.
    ///
    /// `n` is capped at the space that was offered: the bytes after it may be those of another connection.
    pub(crate) fn received(&mut self, n: usize) {
        let n = n.min(self.writable as usize);
        self.writable -= n as u32;
        self.end += n as u32;
    }

    /// Copies as many bytes as fit, and returns their number.
    pub(crate) fn receive(&mut self, bytes: &[u8], limit: u32) -> usize {
        let mut copied = 0;
        while copied < bytes.len() {
            let space = self.receive_buffer(limit);
            let n = space.len().min(bytes.len() - copied);
            if n == 0 {
                break;
            }
            space[..n].copy_from_slice(&bytes[copied..copied + n]);
            self.received(n);
            copied += n;
        }
        copied
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.start += (self.end - self.start).min(n as u32);
    }

    /// Borrows the workspace's memory, unless the buffer still has its own.
    pub(crate) fn attach(&mut self, workspace: &mut Workspace) {
        self.writable = 0;
        if self.bytes.is_empty() && !self.lent {
            core::mem::swap(&mut self.bytes, &mut workspace.bytes);
            self.lent = true;
        }
        if self.fields.memory() == 0 {
            core::mem::swap(&mut self.fields, &mut workspace.fields);
        }
    }

    /// Bytes of heap memory that the buffer owns, without what a workspace lends.
    pub(crate) fn heap_size(&self) -> usize {
        let bytes = if self.lent { 0 } else { self.bytes.capacity() };
        bytes + self.fields.memory()
    }

    /// Returns the workspace's memory. Unread bytes move to the buffer's own memory, and the index is dropped.
    pub(crate) fn detach(&mut self, workspace: &mut Workspace) {
        self.release();
        self.writable = 0;
        let mut fields = core::mem::take(&mut self.fields);
        if workspace.fields.memory() == 0 {
            fields.clear();
            workspace.fields = fields;
        }
        if self.lent {
            let own = self.unread().to_vec();
            (self.start, self.end, self.lent) = (0, own.len() as u32, false);
            workspace.bytes = core::mem::replace(&mut self.bytes, own);
        } else if self.unread().is_empty() {
            *self = RecvBuffer::new();
        }
    }
}

impl fmt::Debug for RecvBuffer {
    /// Shows sizes and no bytes: a head may hold credentials (R1945-12.3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lent = if self.lent { ", lent" } else { "" };
        write!(f, "{} of {} bytes unread{lent}", self.unread().len(), self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_never_exceeds_the_limit() {
        let mut buffer = RecvBuffer::new();
        let mut received = 0;
        loop {
            let space = buffer.receive_buffer(1000).len();
            if space == 0 {
                break;
            }
            let n = space.min(7);
            buffer.received(n);
            received += n;
        }
        assert_eq!((received, buffer.unread().len()), (1000, 1000));
        buffer.consume(999);
        assert_eq!(buffer.receive_buffer(1000).len(), 999, "the last byte has moved to the front");
    }

    #[test]
    fn detach_returns_lent_memory_and_keeps_unread_bytes() {
        let mut workspace = Workspace::with_capacity(64);
        let mut buffer = RecvBuffer::new();
        buffer.attach(&mut workspace);
        buffer.receive_buffer(64)[..3].copy_from_slice(b"abc");
        buffer.received(3);
        buffer.consume(1);
        assert_eq!(buffer.heap_size(), 0);
        buffer.detach(&mut workspace);
        assert_eq!((workspace.bytes.len(), buffer.unread()), (64, &b"bc"[..]));

        buffer.attach(&mut workspace);
        assert_eq!(workspace.bytes.len(), 64, "the buffer keeps its own memory while that holds unread bytes");
        buffer.consume(2);
        buffer.detach(&mut workspace);
        assert_eq!(buffer.heap_size(), 0, "nothing is left once they are consumed");
    }

    #[test]
    fn memory_doubles_up_to_the_limit() {
        let (mut buffer, mut workspace) = (RecvBuffer::new(), Workspace::with_capacity(64));
        assert_eq!(alloc::format!("{workspace:?}"), "Workspace(64 bytes)");
        buffer.attach(&mut workspace);
        assert_eq!(buffer.receive_buffer(1000).len(), 64);
        buffer.received(60);
        buffer.received(60);
        assert_eq!(buffer.unread().len(), 64, "no more than was offered in total");
        buffer.consume(1);
        assert_eq!(alloc::format!("{buffer:?}"), "63 of 64 bytes unread, lent");
        let mut buffer = RecvBuffer::new();
        let mut spaces = Vec::new();
        while spaces.last() != Some(&0) {
            spaces.push(buffer.receive_buffer(1000).len());
            buffer.received(1000);
        }
        assert_eq!(spaces, [256, 256, 488, 0]);
        let mut buffer = RecvBuffer::new();
        assert_eq!(buffer.receive_buffer(100).len(), 100, "a small limit needs no more");
        assert_eq!(buffer.heap_size(), 100);
    }

    // Bytes are not moved after each of many small requests, but well before the free space runs out.
    #[test]
    fn bytes_move_to_the_front_when_less_than_half_is_free() {
        for (received, space) in [(31, 33), (32, 32), (33, 32), (63, 2)] {
            let mut buffer = RecvBuffer::new();
            buffer.attach(&mut Workspace::with_capacity(64));
            assert_eq!(buffer.receive_buffer(64).len(), 64);
            buffer.received(received);
            buffer.consume(1);
            assert_eq!(buffer.receive_buffer(64).len(), space, "{received}");
        }
    }
}
