//! Field lines: finds the name and the value on each line of a head (RFC 9112 §5). Those of a usual head are read here in
//! one pass, all others by httparse. It does not know what a name means.

use crate::grammar::{TCHAR, VALUE, span};
use crate::limits::Limits;
use crate::message::field_index::{FieldIndex, FieldRange, Place};
use crate::wire::scan::MAX_FIELDS;

/// Indexes the field lines from the offset `from` to the empty line, and returns where the head ends. `None` unless all
/// of them are complete field lines within the limits, which end with CRLF.
///
/// It reads what [`httparse_lines`] reads, and fills no list on the way. With httparse instead, "receive" takes 1.47 of
/// the instructions of bare httparse; with this, 1.19 (BENCHMARKS.md).
pub(crate) fn usual_lines(bytes: &[u8], from: usize, limits: &Limits, index: &mut FieldIndex) -> Option<usize> {
    let (most, longest) = (limits.fields.min(MAX_FIELDS) as usize, limits.field_line as usize);
    index.clear();
    let place = |after: usize, length: usize| Place { start: (bytes.len() - after) as u32, length: length as u32 };
    let mut line = bytes.get(from..)?;
    loop {
        if let [b'\r', b'\n', rest @ ..] = line {
            return Some(bytes.len() - rest.len());
        }
        if index.len() >= most {
            return None;
        }
        // No blank before the colon (R9112-5.1a), and no continuation line, which begins with one.
        let (name, rest) = line.split_at_checked(span::<TCHAR>(line)).filter(|(name, _)| !name.is_empty())?;
        let [b':', rest @ ..] = rest else { return None };
        let (mut value, end) = rest.split_at_checked(value_length(rest))?;
        let [b'\r', b'\n', next @ ..] = end else { return None };
        if line.len() - end.len() > longest {
            return None;
        }
        // R9112-5.1b: of the bytes of a value, only the blanks are not above SP.
        while let [..=b' ', rest @ ..] = value {
            value = rest;
        }
        let after = value.len() + end.len();
        while let [rest @ .., ..=b' '] = value {
            value = rest;
        }
        index.push(name, FieldRange { name: place(line.len(), name.len()), value: place(after, value.len()) });
        line = next;
    }
}

/// As [`usual_lines`], but a bare LF may end a line (D1), and only the number of the lines is limited.
pub(crate) fn httparse_lines(bytes: &[u8], from: usize, index: &mut FieldIndex) -> Option<usize> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_FIELDS as usize];
    let Ok(httparse::Status::Complete((length, lines))) = httparse::parse_headers(bytes.get(from..)?, &mut lines)
    else {
        return None;
    };
    // httparse returns slices of `bytes`, except that an empty value's slice may point anywhere: hence `wrapping_sub`.
    let place = |part: &[u8]| {
        let start = (part.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize);
        Place { start: start as u32, length: part.len() as u32 }
    };
    index.clear();
    for line in lines {
        let name = line.name.as_bytes();
        index.push(name, FieldRange { name: place(name), value: place(line.value) });
    }
    Some(from + length)
}

/// How many of the first bytes may stand in a value. Most of a head is visible ASCII, which is found in blocks.
#[inline]
fn value_length(bytes: &[u8]) -> usize {
    let rest = skip_visible::<8>(skip_visible::<16>(bytes));
    bytes.len() - rest.len() + span::<VALUE>(rest)
}

/// The bytes after the first blocks of visible ASCII and spaces. A block is checked without a branch per byte.
#[inline]
fn skip_visible<const N: usize>(mut bytes: &[u8]) -> &[u8] {
    while let Some((block, rest)) = bytes.split_first_chunk::<N>()
        && block.iter().fold(true, |all, c| all & matches!(c, b' '..=b'~'))
    {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    type Lines<'a> = Option<(usize, Vec<(&'a [u8], &'a [u8])>)>;

    fn lines<'a>(bytes: &'a [u8], length: Option<usize>, index: &FieldIndex) -> Lines<'a> {
        let lines = index.iter().map(|field| (field.name.of(bytes), field.value.of(bytes)));
        Some((length?, lines.collect()))
    }

    /// What httparse reads. If each line ends with CRLF, our reader finds the same; otherwise nothing.
    fn read<'a>(bytes: &'a [u8], index: &mut FieldIndex) -> Lines<'a> {
        let length = usual_lines(bytes, 0, &Limits::default(), index);
        let usual = lines(bytes, length, index);
        let length = httparse_lines(bytes, 0, index);
        let all = lines(bytes, length, index);
        let ends_with_crlf = |(length, _): &(usize, Vec<_>)| {
            bytes[..*length].split_inclusive(|&c| c == b'\n').all(|line| line.ends_with(b"\r\n"))
        };
        assert_eq!(usual, all.clone().filter(ends_with_crlf), "{}", bytes.escape_ascii());
        all
    }

    // R9112-5.1a, R9112-5.1b, R9110-5.5, D1
    #[test]
    fn both_readers_agree_on_all_short_heads() {
        const BYTES: &[u8] = b"A:\r\n \t\0\x80";
        let (mut index, mut heads) = (FieldIndex::new(), 0);
        for length in 1..=7u32 {
            for number in 0..BYTES.len().pow(length) {
                let mut head = [0; 7];
                let head = &mut head[..length as usize];
                for (i, byte) in head.iter_mut().enumerate() {
                    *byte = BYTES[number / BYTES.len().pow(i as u32) % BYTES.len()];
                }
                heads += usize::from(read(head, &mut index).is_some());
            }
        }
        assert!(heads > 10_000, "{heads}");
    }

    // Blocks of bytes are checked at once: each byte in each place of a block, of a name and of a value.
    #[test]
    fn both_readers_agree_on_each_byte_in_each_place() {
        let mut index = FieldIndex::new();
        for (name, value) in [(5, 40), (40, 5), (16, 16), (1, 0)] {
            let head = [&vec![b'N'; name], &b": "[..], &vec![b'v'; value], b"\r\nB: c\r\n\r\nrest"].concat();
            assert_eq!(read(&head, &mut index).map(|(length, lines)| (length, lines.len())), Some((head.len() - 4, 2)));
            for place in 0..head.len() {
                for byte in 0..=255 {
                    let mut head = head.clone();
                    head[place] = byte;
                    read(&head, &mut index);
                }
            }
        }
    }

    #[test]
    fn no_more_lines_are_indexed_than_allowed() {
        let head = [b"A: b\r\n".repeat(257), b"\r\n".to_vec()].concat();
        for fields in [0, 1, 256, u16::MAX] {
            let (limits, most) = (Limits { fields, ..Limits::default() }, usize::from(fields.min(256)));
            let mut index = FieldIndex::new();
            assert_eq!(usual_lines(&head[6 * (257 - most)..], 0, &limits, &mut index), Some(6 * most + 2));
            assert_eq!(usual_lines(&head[6 * (256 - most)..], 0, &limits, &mut index), None);
            assert_eq!(index.len(), most);
            assert_eq!(httparse_lines(&head[6..], 0, &mut index), Some(6 * 256 + 2));
            assert_eq!(httparse_lines(&head, 0, &mut index), None);
        }
    }

    #[test]
    fn each_usual_line_may_be_as_long_as_its_limit() {
        for (field_line, allowed) in [(8, false), (9, true)] {
            let limits = Limits { field_line, ..Limits::default() };
            let length = usual_lines(b"A: b\r\nC: \t d e \r\n\r\n", 0, &limits, &mut FieldIndex::new());
            assert_eq!(length.is_some(), allowed);
        }
    }
}
