//! Chunks: which bytes of a chunked body are data, and where it ends (R9112-7.1). Only a client meets them, in answers
//! of servers that ignore the version of its request. Strict, since what is no chunk has no meaning: digits without
//! sign or prefix, CRLF alone ends a line, extensions and trailers are bounded, checked and passed over.

use crate::error::ResponseError;
use crate::limits::Limits;
use crate::wire::field_index::FieldIndex;
use crate::wire::grammar::{hex, is_value_text, trim};
use crate::wire::parse;
use crate::wire::scan::{Found, HeadScanner};

/// How far into a chunked body we are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunks {
    state: State,
    scanner: HeadScanner,
    /// Bytes of the last chunk's line, once it came.
    last_line: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The line before a chunk; for the last one, with the trailer section behind it.
    Line,
    /// So many bytes of data, 1 or more.
    Data(u64),
    /// The line end behind the data.
    DataEnd,
}

/// What stands at the front of what came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing can be said before more bytes come.
    NeedInput,
    /// So many bytes that are no data.
    Framing(usize),
    /// So many bytes of data.
    Data(usize),
    /// So many bytes that are no data, and then the body is whole.
    End(usize),
}

impl Chunks {
    pub(crate) const fn new() -> Chunks {
        Chunks { state: State::Line, scanner: HeadScanner::new(), last_line: 0 }
    }

    /// Goes on. Until it names bytes, `bytes` only grow; those that it names are gone at the next call.
    /// `index` is room for the fields of the trailer section.
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
                    *self = Chunks::new();
                    Ok(Next::Framing(2))
                }
                [] | [b'\r'] => Ok(Next::NeedInput),
                _ => Err(ResponseError::InvalidChunk),
            },
        }
    }

    /// The last chunk's line and the trailer section have the form of a head, and get the bounds of one.
    fn line(&mut self, bytes: &[u8], limits: &Limits, index: &mut FieldIndex) -> Result<Next, ResponseError> {
        loop {
            let found = self.scanner.scan(bytes, limits).map_err(|_| ResponseError::InvalidChunk)?;
            if self.scanner.bare_lf || self.scanner.folded {
                return Err(ResponseError::InvalidChunk);
            }
            match found {
                Found::Incomplete => return Ok(Next::NeedInput),
                Found::StartLine(line, next) => match chunk_size(&bytes[line]).ok_or(ResponseError::InvalidChunk)? {
                    0 => self.last_line = next,
                    size => {
                        self.state = State::Data(size);
                        return Ok(Next::Framing(next));
                    }
                },
                Found::HeadEnd(length) => {
                    let trailers = parse::fields(&bytes[..length], self.last_line, self.scanner.field_lines, index);
                    return trailers.map(|()| Next::End(length)).ok_or(ResponseError::InvalidChunk);
                }
            }
        }
    }
}

/// `1*HEXDIG [ BWS ";" chunk-ext ]`; no overflow.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().position(|&c| hex(c).is_none()).unwrap_or(line.len());
    let (digits, extension) = line.split_at(digits);
    if digits.is_empty() || !(extension.is_empty() || trim(extension).starts_with(b";")) || !is_value_text(extension) {
        return None;
    }
    digits.iter().try_fold(0u64, |size, &digit| size.checked_mul(16)?.checked_add(u64::from(hex(digit)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // R9112-7.1, R9110-8.6b; the machine's tests have whole bodies.
    #[test]
    fn chunk_sizes() {
        for (line, size) in [
            ("0", Some(0)),
            ("0000000000000000000a", Some(10)),
            ("fFfFfFfFfFfFfFfF", Some(u64::MAX)),
            ("1;a", Some(1)),
            ("1 \t; a=\"b\"", Some(1)),
            ("10000000000000000", None),
            ("", None),
            (";", None),
            ("1 ", None),
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
