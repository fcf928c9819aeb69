//! Escapes bytes that a terminal would interpret as commands. It knows no HTTP. A file or a pipe gets the bytes
//! unchanged.

use std::io::{self, Write};

/// Writes to a terminal. Control characters other than tab, line feed and carriage return are written as `\xHH`, and
/// so are bytes that are not UTF-8.
#[derive(Debug)]
pub(crate) struct EscapingWriter<W> {
    inner: W,
    /// The first bytes of a character; the others have not arrived yet.
    partial_char: Vec<u8>,
}

impl<W: Write> EscapingWriter<W> {
    pub(crate) const fn new(inner: W) -> EscapingWriter<W> {
        EscapingWriter { inner, partial_char: Vec::new() }
    }

    /// Writes what is left of a character that was cut short.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let partial_char = std::mem::take(&mut self.partial_char);
        self.inner.write_all(partial_char.escape_ascii().to_string().as_bytes())?;
        self.inner.flush()
    }
}

impl<W: Write> Write for EscapingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = std::mem::take(&mut self.partial_char);
        text.extend_from_slice(bytes);
        let mut escaped = Vec::with_capacity(text.len());
        let mut chunks = text.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            for character in chunk.valid().chars() {
                let mut utf8 = [0; 4];
                let utf8 = character.encode_utf8(&mut utf8).as_bytes();
                match character {
                    '\t' | '\n' | '\r' => escaped.extend_from_slice(utf8),
                    _ if character.is_control() => escaped.extend(utf8.escape_ascii()),
                    _ => escaped.extend_from_slice(utf8),
                }
            }
            if chunks.peek().is_none()
                && str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none())
            {
                self.partial_char = chunk.invalid().to_vec();
            } else {
                escaped.extend(chunk.invalid().escape_ascii());
            }
        }
        self.inner.write_all(&escaped)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_gets_no_control_characters() {
        for (bytes, escaped) in [
            (&b"a\tb\r\nc"[..], "a\tb\r\nc"),
            (b"\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            (b"\x00\x08\x7f", "\\x00\\x08\\x7f"),
            ("\u{9b}31m \u{e9} \u{1f600}".as_bytes(), "\\xc2\\x9b31m \u{e9} \u{1f600}"),
            (b"\x9b31m\xff", "\\x9b31m\\xff"),
            (b"caf\xe9 au lait", "caf\\xe9 au lait"),
            (b"cut: \xe2\x82", "cut: \\xe2\\x82"),
        ] {
            for piece in [1, 2, 3, 99] {
                let mut out = EscapingWriter::new(Vec::new());
                bytes.chunks(piece).for_each(|piece| out.write_all(piece).unwrap());
                out.finish().unwrap();
                assert_eq!(String::from_utf8(out.inner).unwrap(), escaped, "pieces of {piece}");
            }
        }
    }
}
