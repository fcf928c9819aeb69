//! Where the fields of a received head are, and a summary of their names that saves most searches. It knows only bytes
//! and offsets; `message::field` gives them a meaning.

use alloc::vec::Vec;

/// Where the fields of a head are, in their order, and which kinds of names they have.
///
/// A server looks for a dozen names in each head, and few of them occur. The kinds make most searches unnecessary.
#[derive(Debug, Default)]
pub(crate) struct FieldIndex {
    fields: Vec<FieldRange>,
    /// A bit for each kind that occurs.
    seen: u64,
    /// A bit for each kind that occurs more than once.
    repeated: u64,
}

impl FieldIndex {
    pub(crate) const fn new() -> FieldIndex {
        FieldIndex { fields: Vec::new(), seen: 0, repeated: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.fields.clear();
        (self.seen, self.repeated) = (0, 0);
    }

    /// Adds a field after the others.
    #[inline]
    pub(crate) fn push(&mut self, name: &[u8], field: FieldRange) {
        let kind = kind(name);
        self.repeated |= self.seen & kind;
        self.seen |= kind;
        self.fields.push(field);
    }

    pub(crate) const fn len(&self) -> usize {
        self.fields.len()
    }

    pub(crate) fn iter(&self) -> core::slice::Iter<'_, FieldRange> {
        self.fields.iter()
    }

    /// Bytes of heap memory.
    pub(crate) const fn memory(&self) -> usize {
        self.fields.capacity() * size_of::<FieldRange>()
    }

    /// How many lines can have this name, judging by its kind: none, one, or any number.
    #[inline]
    pub(crate) fn at_most(&self, name: &[u8]) -> usize {
        let kind = kind(name);
        if self.repeated & kind == 0 { usize::from(self.seen & kind != 0) } else { usize::MAX }
    }
}

/// One bit of 64. It is the same for equal names in any case, and seldom the same for others. The 13 was chosen for the
/// names that browsers send and servers look for.
#[inline]
pub(crate) const fn kind(name: &[u8]) -> u64 {
    let [first, ..] = name else { return 0 };
    1u64.wrapping_shl((name.len() as u32).wrapping_mul(13).wrapping_add(*first as u32 & 0x1f))
}

/// Where one field is in its head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldRange {
    pub(crate) name: Place,
    pub(crate) value: Place,
}

/// Where a part of a field is: its offset from the head's first byte, and its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) start: u32,
    pub(crate) length: u32,
}

impl Place {
    /// The part in its head. An empty part may have any offset.
    pub(crate) fn of(self, head: &[u8]) -> &[u8] {
        let rest = head.get(self.start as usize..).unwrap_or_default();
        rest.get(..self.length as usize).unwrap_or_default()
    }
}
