//! Chunked bodies: which bytes are data, and where the body ends (R9112-7.1). Only a client receives them, from servers
//! that ignore the HTTP version of its request.
//!
//! Parsing is strict. A chunk size has no sign and no prefix, and only CRLF ends a line. Blanks may follow a size:
//! recipients skip them or reject the line, so that none reads another size. Extensions and trailers are limited, checked
//! and skipped.

use crate::error::ResponseError;
use crate::grammar::{hex, is_value_text, trim};
use crate::limits::Limits;
use crate::message::field_index::FieldIndex;
use crate::wire::parse;
use crate::wire::scan::{Found, HeadScanner};

/// The position in a chunked body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunks {
    state: State,
    scanner: HeadScanner,
    /// Length of the last chunk's line, once it has been received.
    last_line: u32,
    /// Bytes of all lines so far that say nothing about a size.
    extra: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Expects the line before a chunk. The last chunk's line is followed by the trailer section.
    Line,
    /// This many bytes of data remain: at least 1.
    Data(u64),
    /// Expects the CRLF after the data.
    DataEnd,
}

/// What the first unread bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Unknown until more bytes arrive.
    NeedInput,
    /// This many bytes of framing.
    Framing(usize),
    /// This many bytes of data.
    Data(usize),
    /// This many bytes of framing, which complete the body.
    End(usize),
}

impl Chunks {
    pub(crate) const fn new() -> Chunks {
        Chunks { state: State::Line, scanner: HeadScanner::new(), last_line: 0, extra: 0 }
    }

    /// Continues where it stopped. `bytes` only grows until bytes are returned. Those must be removed before the next
    /// call. `index` is scratch space for the fields of the trailer section.
    pub(crate) fn step(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        index: &mut FieldIndex,
    ) -> Result<Next, ResponseError> {
        match self.state {
            State::Line => self.line(bytes, limits, index),
            State::Data(left) => {
                let n = left.min(bytes.len() as u64);
                self.state = if n == left { State::DataEnd } else { State::Data(left - n) };
                Ok(if n == 0 { Next::NeedInput } else { Next::Data(n as usize) })
            }
            State::DataEnd => match bytes {
                [b'\r', b'\n', ..] => {
                    *self = Chunks { extra: self.extra, ..Chunks::new() };
                    Ok(Next::Framing(2))
                }
                [] | [b'\r'] => Ok(Next::NeedInput),
                _ => Err(ResponseError::InvalidChunk),
            },
        }
    }

    /// The last chunk's line and the trailer section have the form of a head, and the limits of one.
    fn line(&mut self, bytes: &[u8], limits: &Limits, index: &mut FieldIndex) -> Result<Next, ResponseError> {
        loop {
            let found = self.scanner.scan(bytes, limits).map_err(|_| ResponseError::InvalidChunk)?;
            if self.scanner.bare_lf || self.scanner.folded {
                return Err(ResponseError::InvalidChunk);
            }
            match found {
                Found::Incomplete => return Ok(Next::NeedInput),
                Found::StartLine(line, next) => {
                    let line = &bytes[line];
                    let size = chunk_size(line).ok_or(ResponseError::InvalidChunk)?;
                    // The limit of one line would let a server send any number of bytes for each byte of data.
                    self.extra = self.extra.saturating_add(extra_bytes(line) as u32);
                    if self.extra > limits.head {
                        return Err(ResponseError::InvalidChunk);
                    }
                    match size {
                        0 => self.last_line = next as u32,
                        size => {
                            self.state = State::Data(size);
                            return Ok(Next::Framing(next));
                        }
                    }
                }
                Found::HeadEnd(length) => {
                    let trailers = parse::fields(&bytes[..length], self.last_line as usize, index);
                    return trailers.map(|()| Next::End(length)).ok_or(ResponseError::InvalidChunk);
                }
            }
        }
    }
}

/// Parses `1*HEXDIG BWS [ ";" chunk-ext ]`. `None` also if the size does not fit into 64 bits.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().position(|&c| hex(c).is_none()).unwrap_or(line.len());
    let (digits, rest) = line.split_at(digits);
    if digits.is_empty() || !matches!(trim(rest), [] | [b';', ..]) || !is_value_text(rest) {
        return None;
    }
    digits.iter().try_fold(0u64, |size, &digit| size.checked_mul(16)?.checked_add(u64::from(hex(digit)?)))
}

/// The length of the extensions, and of the zeros and blanks by which a size is longer than any needs to be.
fn extra_bytes(line: &[u8]) -> usize {
    const LONGEST_SIZE: usize = 16; // hexadecimal digits
    let size = line.iter().position(|&c| c == b';').unwrap_or(line.len());
    line.len() - size.min(LONGEST_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    // R9112-7.1, R9110-8.6b. Complete bodies are tested in tests/client.rs.
    #[test]
    fn chunk_size_is_hexadecimal_digits_and_blanks_may_follow() {
        for (line, size) in [
            ("0", Some(0)),
            ("0000000000000000000a", Some(10)),
            ("fFfFfFfFfFfFfFfF", Some(u64::MAX)),
            ("1;a", Some(1)),
            ("1 \t; a=\"b\"", Some(1)),
            ("10000000000000000", None),
            ("", None),
            (";", None),
            ("1 ", Some(1)),
            ("2 \t ", Some(2)),
            ("1 1", None),
            ("1 \x0b", None),
            (" 1", None),
            ("1a ;b\r", None),
            ("+1", None),
            ("-1", None),
            ("0x1", None),
            ("1g", None),
        ] {
            assert_eq!(chunk_size(line.as_bytes()), size, "{line:?}");
        }
    }
}
