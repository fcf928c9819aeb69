//! The head scanner: finds where each line and the head end, and enforces their limits. `parse` reads the lines.
//!
//! Each byte is scanned once, however the head is split into reads, and every split gives the same result.

use core::ops::Range;

use memchr::memchr;

use crate::grammar::is_blank;
use crate::limits::Limits;

/// The position of the scan in a head. Offsets count from the first byte of the head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadScanner {
    scanned: u32,
    line_start: u32,
    /// Field lines so far, without continuation lines.
    pub(crate) field_lines: u16,
    first_line_seen: bool,
    /// A line ended with a bare LF, or with two CRs.
    pub(crate) bare_lf: bool,
    /// A line may end with CR CR LF.
    pub(crate) allows_double_cr: bool,
    /// A line began with a space or tab.
    pub(crate) folded: bool,
    /// It has read the head before, and the folded lines were joined in place.
    joined: bool,
}

/// What the scanner found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Everything was scanned, and the head goes on.
    Incomplete,
    /// The start line without its line end, possibly empty, and where the next line begins.
    StartLine(Range<usize>, usize),
    /// The head is this many bytes long.
    HeadEnd(usize),
}

/// The limit that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooLong {
    StartLine,
    FieldLine,
    Fields,
    Head,
}

impl HeadScanner {
    pub(crate) const fn new() -> HeadScanner {
        HeadScanner {
            scanned: 0,
            line_start: 0,
            field_lines: 0,
            first_line_seen: false,
            bare_lf: false,
            allows_double_cr: false,
            folded: false,
            joined: false,
        }
    }

    /// Begins again with the head that this scanner has read. Folded lines were joined in place, and an empty line
    /// before the head is gone.
    pub(crate) fn again(self) -> HeadScanner {
        HeadScanner { bare_lf: self.bare_lf, folded: self.folded, joined: self.folded, ..HeadScanner::new() }
    }

    /// Continues where it stopped. `head` begins with the first byte of the head and only grows between calls.
    pub(crate) fn scan(&mut self, head: &[u8], limits: &Limits) -> Result<Found, TooLong> {
        loop {
            let start = self.line_start as usize;
            let Some(to_lf) = memchr(b'\n', &head[self.scanned as usize..]) else {
                self.scanned = head.len() as u32;
                // A CR at the very end may be the first half of a CRLF.
                self.check_length(self.length(&head[start..]), limits)?;
                // A head that goes on needs at least one more byte.
                return if head.len() >= limits.head as usize { Err(TooLong::Head) } else { Ok(Found::Incomplete) };
            };
            let lf = self.scanned as usize + to_lf;
            let end = start + self.length(&head[start..lf]);
            self.check_length(end - start, limits)?;
            if lf >= limits.head as usize {
                return Err(TooLong::Head);
            }
            self.bare_lf |= lf - end != 1;
            self.scanned = lf as u32 + 1;
            self.line_start = self.scanned;

            if !self.first_line_seen {
                self.first_line_seen = true;
                return Ok(Found::StartLine(start..end, lf + 1));
            }
            if start == end {
                return Ok(Found::HeadEnd(lf + 1));
            }
            if is_blank(&head[start]) {
                self.folded = true;
            } else {
                self.field_lines = self.field_lines.saturating_add(1);
                if self.field_lines > limits.fields.min(MAX_FIELDS) {
                    return Err(TooLong::Fields);
                }
            }
        }
    }

    /// A scanner for the head that follows an empty line. A bare LF in that line counts for the head as well (D1).
    pub(crate) const fn after_blank_line(&self) -> HeadScanner {
        HeadScanner { bare_lf: self.bare_lf, ..HeadScanner::new() }
    }

    /// The length of a line without the CR at its end.
    fn length(&self, line: &[u8]) -> usize {
        match line {
            [line @ .., b'\r', b'\r'] if self.allows_double_cr => line.len(),
            [line @ .., b'\r'] => line.len(),
            line => line.len(),
        }
    }

    fn check_length(&self, bytes: usize, limits: &Limits) -> Result<(), TooLong> {
        match self.first_line_seen {
            false if bytes > limits.start_line as usize => Err(TooLong::StartLine),
            true if bytes > limits.field_line as usize && !self.joined => Err(TooLong::FieldLine),
            _ => Ok(()),
        }
    }
}

/// More fields are never indexed, whatever the limit.
pub(crate) const MAX_FIELDS: u16 = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const HEAD: &[u8] = b"GET / HTTP/1.0\r\nA: b\nC: d\r\n e\r\n\r\nrest";

    // Any piece size gives the same result, and each byte is scanned once.
    #[test]
    fn head_in_pieces_of_any_size_is_scanned_once() {
        for piece in 1..=HEAD.len() {
            let (mut scanner, mut scanned, mut found) = (HeadScanner::new(), 0, Vec::new());
            let mut seen = 0;
            'all: while seen < HEAD.len() {
                seen = HEAD.len().min(seen + piece);
                loop {
                    let from = scanner.scanned;
                    let step = scanner.scan(&HEAD[..seen], &Limits::default()).unwrap();
                    assert!(scanner.scanned >= from);
                    scanned += scanner.scanned - from;
                    match step {
                        Found::Incomplete => break,
                        Found::HeadEnd(end) => {
                            assert_eq!(end, HEAD.len() - 4);
                            break 'all;
                        }
                        start_line => found.push(start_line),
                    }
                }
            }
            assert_eq!(found, [Found::StartLine(0..14, 16)]);
            assert_eq!(scanned as usize, HEAD.len() - 4, "pieces of {piece}");
            assert!(scanner.bare_lf && scanner.folded && scanner.field_lines == 2);
        }
    }

    fn at_once_and_bytewise(bytes: &[u8], limits: &Limits) -> Result<usize, TooLong> {
        let run = |pieces: usize| {
            let mut scanner = HeadScanner::new();
            for seen in (1..=bytes.len()).filter(|n| n % pieces == 0) {
                loop {
                    match scanner.scan(&bytes[..seen], limits)? {
                        Found::Incomplete => break,
                        Found::StartLine(..) => {}
                        Found::HeadEnd(end) => return Ok(end),
                    }
                }
            }
            Ok(0)
        };
        let at_once = run(bytes.len());
        assert_eq!(at_once, run(1));
        at_once
    }

    #[test]
    fn limits_are_exact() {
        let limits = Limits { start_line: 10, field_line: 6, head: 40, fields: 2, ..Limits::default() };
        for (text, expected) in [
            ("0123456789\r\n\r\n", Ok(14)),
            ("0123456789x\r\n\r\n", Err(TooLong::StartLine)),
            ("0123456789\n\n", Ok(12)),
            ("a\r\nA: bcd\r\n\r\n", Ok(13)),
            ("a\r\nA: bcde\r\n\r\n", Err(TooLong::FieldLine)),
            ("a\r\nA:\r\nB:\r\n\r\n", Ok(13)),
            ("a\r\nA:\r\nB:\r\nC:\r\n\r\n", Err(TooLong::Fields)),
            ("a\r\nA:\r\n 1\r\n 2\r\n\r\n", Ok(17)),
            ("0123456789\r\nA: bcd\r\n 1234\r\nB: bcd\r\n  \r\n\r\n", Err(TooLong::Head)),
            ("0123456789\r\nA: bcd\r\n 1234\r\nB: bcd\r\n   \r\n", Err(TooLong::Head)),
            ("0123456789\r\nA: bcd\r\n 1234\r\nB: bcd\r\n  \n\r\n", Ok(40)),
        ] {
            assert_eq!(at_once_and_bytewise(text.as_bytes(), &limits), expected, "{text:?}");
        }
    }
}
