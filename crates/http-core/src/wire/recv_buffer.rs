//! The receive buffer: what came and was not yet consumed, and where the fields of a head stand in it. It knows nothing
//! of what they mean. Its memory is its own, grown by doubling, or a [`Workspace`]'s, lent for as long as a
//! thread drives the connection.

use alloc::vec::Vec;
use core::fmt;

use crate::wire::field_index::FieldIndex;

/// Memory that a thread lends to each connection that it drives, so that a waiting connection owns none.
///
/// A connection works without one and then allocates its own buffers. One connection at a time has it:
/// [`attach`](crate::server::Connection::attach) takes its memory out, [`detach`](crate::server::Connection::detach) puts it
/// back. What one connection received is never shown to another.
#[derive(Default)]
pub struct Workspace {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fields: FieldIndex,
}

impl Workspace {
    /// A workspace with room for `bytes` received bytes; [`Limits::head`](crate::Limits::head) is a good number, and a larger
    /// one is of no use. `default()` has no room, and takes what the first connection allocates.
    pub fn with_room(bytes: usize) -> Workspace {
        Workspace { bytes: alloc::vec![0; bytes], fields: FieldIndex::new() }
    }
}

impl fmt::Debug for Workspace {
    /// Shows its size, and no byte of what any connection received in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workspace({} bytes)", self.bytes.len())
    }
}

pub(crate) struct RecvBuffer {
    /// All of it initialised; received bytes stand at `start..end`.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes from `start` on that were handed out to the caller; they go at the next call.
    lent_front: u32,
    /// Bytes of room that were given to the caller: no more can be received.
    offered: u32,
    lent: bool,
    /// The index of the current head.
    fields: FieldIndex,
}

const SMALLEST: usize = 256;

impl RecvBuffer {
    pub(crate) const fn new() -> RecvBuffer {
        RecvBuffer {
            bytes: Vec::new(),
            start: 0,
            end: 0,
            lent_front: 0,
            offered: 0,
            lent: false,
            fields: FieldIndex::new(),
        }
    }

    /// What came and was not consumed.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The same, to be changed, and the index to be filled.
    pub(crate) fn parts(&mut self) -> (&mut [u8], &mut FieldIndex) {
        (&mut self.bytes[self.start..self.end], &mut self.fields)
    }

    /// The index of the current head.
    pub(crate) fn fields(&self) -> &FieldIndex {
        &self.fields
    }

    /// The first `n` unread bytes are the caller's until [`let_go`](Self::let_go).
    pub(crate) fn lend_front(&mut self, n: usize) {
        self.lent_front = n as u32;
    }

    pub(crate) fn lent_front(&self) -> &[u8] {
        &self.unread()[..self.lent_front as usize]
    }

    /// Drops what was handed out.
    pub(crate) fn release(&mut self) {
        let n = core::mem::take(&mut self.lent_front);
        self.consume(n as usize);
    }

    /// Room to receive into: never empty while fewer than `limit` bytes are unread, never beyond `limit`.
    pub(crate) fn receive_buffer(&mut self, limit: usize) -> &mut [u8] {
        self.release();
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 && self.bytes.len() - self.end < self.bytes.len() / 2 {
            // At most once a head: from then on it begins at 0, so no byte is moved twice.
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.bytes.len() && self.end < limit {
            self.bytes.resize((2 * self.end).clamp(SMALLEST.min(limit), limit), 0);
        }
        let room = limit.saturating_sub(self.end - self.start).min(self.bytes.len() - self.end);
        self.offered = room as u32;
        &mut self.bytes[self.end..self.end + room]
    }

    /// `n` bytes of the space are now filled; more than there was room for count as the room, so that what stands behind
    /// it, another connection's in a lent buffer, is never taken for received.
    pub(crate) fn received(&mut self, n: usize) {
        let n = n.min(self.offered as usize);
        self.offered -= n as u32;
        self.end += n;
    }

    /// Copies as many of the bytes as there is room for, and returns how many those are.
    pub(crate) fn receive(&mut self, bytes: &[u8], limit: usize) -> usize {
        let mut taken = 0;
        while taken < bytes.len() {
            let room = self.receive_buffer(limit);
            let n = room.len().min(bytes.len() - taken);
            if n == 0 {
                break;
            }
            room[..n].copy_from_slice(&bytes[taken..taken + n]);
            self.received(n);
            taken += n;
        }
        taken
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.start = self.end.min(self.start + n);
    }

    /// Works in the workspace's memory from here on, unless something stands in its own.
    pub(crate) fn attach(&mut self, workspace: &mut Workspace) {
        self.offered = 0;
        if self.bytes.is_empty() && !self.lent {
            core::mem::swap(&mut self.bytes, &mut workspace.bytes);
            self.lent = true;
        }
        if self.fields.memory() == 0 {
            core::mem::swap(&mut self.fields, &mut workspace.fields);
        }
    }

    /// Bytes that are allocated and not lent.
    pub(crate) fn heap_size(&self) -> usize {
        let bytes = if self.lent { 0 } else { self.bytes.capacity() };
        bytes + self.fields.memory()
    }

    /// Gives the workspace's memory back; what is unread moves to memory of its own, and the index is gone.
    pub(crate) fn detach(&mut self, workspace: &mut Workspace) {
        self.release();
        self.offered = 0;
        let mut fields = core::mem::take(&mut self.fields);
        if workspace.fields.memory() == 0 {
            fields.clear();
            workspace.fields = fields;
        }
        if self.lent {
            let own = self.unread().to_vec();
            (self.start, self.end, self.lent) = (0, own.len(), false);
            workspace.bytes = core::mem::replace(&mut self.bytes, own);
        } else if self.unread().is_empty() {
            *self = RecvBuffer::new();
        }
    }

    /// Bytes of heap memory that it owns.
    #[cfg(test)]
    pub(crate) fn owned(&self) -> usize {
        self.fields.memory() + if self.lent { 0 } else { self.bytes.capacity() }
    }
}

impl fmt::Debug for RecvBuffer {
    /// Shows how much there is, and none of it: a head may hold credentials (R1945-12.3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lent = if self.lent { ", lent" } else { "" };
        write!(f, "{} of {} bytes unread{lent}", self.unread().len(), self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_never_beyond_the_limit() {
        let mut buffer = RecvBuffer::new();
        let mut received = 0;
        loop {
            let room = buffer.receive_buffer(1000).len();
            if room == 0 {
                break;
            }
            let n = room.min(7);
            buffer.received(n);
            received += n;
        }
        assert_eq!((received, buffer.unread().len()), (1000, 1000));
        buffer.consume(999);
        assert_eq!(buffer.receive_buffer(1000).len(), 999, "the last byte has moved to the front");
    }

    #[test]
    fn a_lent_buffer_goes_back_and_the_rest_stays() {
        let mut workspace = Workspace::with_room(64);
        let mut buffer = RecvBuffer::new();
        buffer.attach(&mut workspace);
        buffer.receive_buffer(64)[..3].copy_from_slice(b"abc");
        buffer.received(3);
        buffer.consume(1);
        assert_eq!(buffer.owned(), 0);
        buffer.detach(&mut workspace);
        assert_eq!((workspace.bytes.len(), buffer.unread()), (64, &b"bc"[..]));

        buffer.attach(&mut workspace);
        assert_eq!(workspace.bytes.len(), 64, "it keeps its own memory while that holds something");
        buffer.consume(2);
        buffer.detach(&mut workspace);
        assert_eq!(buffer.owned(), 0, "and none afterwards");
    }

    #[test]
    fn memory_is_what_was_asked_for_or_doubles() {
        let (mut buffer, mut workspace) = (RecvBuffer::new(), Workspace::with_room(64));
        assert_eq!(alloc::format!("{workspace:?}"), "Workspace(64 bytes)");
        buffer.attach(&mut workspace);
        assert_eq!(buffer.receive_buffer(1000).len(), 64);
        buffer.received(60);
        buffer.received(60);
        assert_eq!(buffer.unread().len(), 64, "no more than was offered in all");
        buffer.consume(1);
        assert_eq!(alloc::format!("{buffer:?}"), "63 of 64 bytes unread, lent");
        let mut buffer = RecvBuffer::new();
        let mut rooms = Vec::new();
        while rooms.last() != Some(&0) {
            rooms.push(buffer.receive_buffer(1000).len());
            buffer.received(1000);
        }
        assert_eq!(rooms, [256, 256, 488, 0]);
        let mut buffer = RecvBuffer::new();
        assert_eq!(buffer.receive_buffer(100).len(), 100, "no more than may ever be needed");
        assert_eq!(buffer.heap_size(), 100);
    }

    // What came is not moved for each of many small requests, but well before the room is gone.
    #[test]
    fn bytes_move_to_the_front_when_less_than_half_is_free() {
        for (received, room) in [(31, 33), (32, 32), (33, 32), (63, 2)] {
            let mut buffer = RecvBuffer::new();
            buffer.attach(&mut Workspace::with_room(64));
            assert_eq!(buffer.receive_buffer(64).len(), 64);
            buffer.received(received);
            buffer.consume(1);
            assert_eq!(buffer.receive_buffer(64).len(), room, "{received}");
        }
    }
}
