//! Field lines: finds the name and the value on each line of a head (RFC 9112 §5). It does not know what a name means.

use crate::grammar::{TCHAR, VALUE, span};
use crate::limits::Limits;
use crate::message::field_index::{FieldIndex, FieldRange, Place};
use crate::wire::scan::MAX_FIELDS;

/// Indexes the field lines from the offset `from` to the empty line, and returns where the head ends. `None` unless all
/// of them are complete field lines. With limits, they must be within them and end with CRLF. Without, a bare LF may end
/// them (D1), and only their number is limited.
pub(crate) fn field_lines(bytes: &[u8], from: usize, limits: Option<&Limits>, index: &mut FieldIndex) -> Option<usize> {
    let bare_lf = limits.is_none();
    let (most, longest) = limits.map_or((MAX_FIELDS, u32::MAX), |limits| (limits.fields, limits.field_line));
    let (most, longest) = (most.min(MAX_FIELDS) as usize, longest as usize);
    index.clear();
    let place = |after: usize, length: usize| Place { start: (bytes.len() - after) as u32, length: length as u32 };
    let mut line = bytes.get(from..)?;
    loop {
        if let Some(rest) = line_end(line, bare_lf) {
            return Some(bytes.len() - rest.len());
        }
        if index.len() >= most {
            return None;
        }
        // No blank before the colon (R9112-5.1a), and no continuation line, which begins with one.
        let (name, rest) = line.split_at_checked(span::<TCHAR>(line)).filter(|(name, _)| !name.is_empty())?;
        let [b':', rest @ ..] = rest else { return None };
        let (mut value, end) = rest.split_at_checked(value_length(rest))?;
        let next = line_end(end, bare_lf).filter(|_| line.len() - end.len() <= longest)?;
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

/// What follows the line end that the bytes begin with.
fn line_end(bytes: &[u8], bare_lf: bool) -> Option<&[u8]> {
    match bytes {
        [b'\r', b'\n', rest @ ..] => Some(rest),
        [b'\n', rest @ ..] if bare_lf => Some(rest),
        _ => None,
    }
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

    fn ours<'a>(bytes: &'a [u8], index: &mut FieldIndex) -> Lines<'a> {
        let length = field_lines(bytes, 0, None, index)?;
        let lines = index.iter().map(|field| (field.name.of(bytes), field.value.of(bytes)));
        Some((length, lines.collect()))
    }

    fn of_httparse(bytes: &[u8]) -> Lines<'_> {
        let mut headers = [httparse::EMPTY_HEADER; 9];
        let Ok(httparse::Status::Complete((length, lines))) = httparse::parse_headers(bytes, &mut headers) else {
            return None;
        };
        Some((length, lines.iter().map(|line| (line.name.as_bytes(), line.value)).collect()))
    }

    // R9112-5.1a, R9112-5.1b, R9110-5.5
    #[test]
    fn all_short_heads_are_read_as_httparse_reads_them() {
        const BYTES: &[u8] = b"A:\r\n \t\0\x80";
        let (mut index, mut read) = (FieldIndex::new(), 0);
        for length in 1..=7u32 {
            for number in 0..BYTES.len().pow(length) {
                let mut head = [0; 7];
                let head = &mut head[..length as usize];
                for (i, byte) in head.iter_mut().enumerate() {
                    *byte = BYTES[number / BYTES.len().pow(i as u32) % BYTES.len()];
                }
                let got = ours(head, &mut index);
                assert_eq!(got, of_httparse(head), "{}", head.escape_ascii());
                read += usize::from(got.is_some());
            }
        }
        assert!(read > 10_000, "{read}");
    }

    // Blocks of bytes are checked at once: each byte in each place of a block, of a name and of a value.
    #[test]
    fn each_byte_in_each_place_is_read_as_httparse_reads_it() {
        let mut index = FieldIndex::new();
        for (name, value) in [(5, 40), (40, 5), (16, 16), (1, 0)] {
            let head = [&vec![b'N'; name], &b": "[..], &vec![b'v'; value], b"\r\nB: c\r\n\r\nrest"].concat();
            assert_eq!(ours(&head, &mut index).map(|(length, lines)| (length, lines.len())), Some((head.len() - 4, 2)));
            for place in 0..head.len() {
                for byte in 0..=255 {
                    let mut head = head.clone();
                    head[place] = byte;
                    assert_eq!(ours(&head, &mut index), of_httparse(&head), "{}", head.escape_ascii());
                }
            }
        }
    }

    // D1
    #[test]
    fn bare_lf_ends_a_line_only_where_it_may() {
        for head in ["A: b\n\r\n", "A: b\r\n\n", "A: b\nC: d\r\n\r\n", "\n"] {
            let mut index = FieldIndex::new();
            assert_eq!(field_lines(head.as_bytes(), 0, Some(&Limits::default()), &mut index), None, "{head:?}");
            assert_eq!(field_lines(head.as_bytes(), 0, None, &mut index), Some(head.len()), "{head:?}");
        }
    }

    #[test]
    fn no_more_lines_are_indexed_than_allowed() {
        let head = [b"A: b\r\n".repeat(257), b"\r\n".to_vec()].concat();
        for fields in [0, 1, 256, u16::MAX] {
            let limits = Limits { fields, ..Limits::default() };
            for limits in [Some(&limits), None] {
                let most = limits.map_or(256, |limits| usize::from(limits.fields.min(256)));
                let mut index = FieldIndex::new();
                assert_eq!(field_lines(&head[6 * (257 - most)..], 0, limits, &mut index), Some(6 * most + 2));
                assert_eq!(field_lines(&head[6 * (256 - most)..], 0, limits, &mut index), None);
                assert_eq!(index.len(), most);
            }
        }
    }

    #[test]
    fn each_line_may_be_as_long_as_its_limit() {
        for (field_line, allowed) in [(8, false), (9, true)] {
            let limits = Limits { field_line, ..Limits::default() };
            let length = field_lines(b"A: b\r\nC: \t d e \r\n\r\n", 0, Some(&limits), &mut FieldIndex::new());
            assert_eq!(length.is_some(), allowed);
        }
    }
}
