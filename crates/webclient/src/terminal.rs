//! What came, as a terminal may show it: there control bytes are commands. A file or a pipe gets them as they are.

use std::io::{self, Write};

/// Writes to a terminal: a control character other than tab, line feed and carriage return, or a byte that is no
/// UTF-8, is shown as `\xHH`.
///
/// ```
/// use std::io::Write as _;
/// let mut out = webclient::Escaped::new(Vec::new());
/// out.write_all(b"red: \x1b[31m\n")?;
/// out.finish()?;
/// assert_eq!(out.into_inner(), b"red: \\x1b[31m\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Escaped<W> {
    inner: W,
    /// The beginning of a character whose other bytes did not come yet.
    held: Vec<u8>,
}

impl<W: Write> Escaped<W> {
    /// Escapes on the way to `inner`.
    pub const fn new(inner: W) -> Escaped<W> {
        Escaped { inner, held: Vec::new() }
    }

    /// Shows what is left of a character that was cut short.
    ///
    /// # Errors
    /// As `inner` has them.
    pub fn finish(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.inner.write_all(held.escape_ascii().to_string().as_bytes())?;
        self.inner.flush()
    }

    /// What it writes to.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(bytes);
        let mut shown = Vec::with_capacity(text.len());
        let mut chunks = text.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            for character in chunk.valid().chars() {
                let mut utf8 = [0; 4];
                let utf8 = character.encode_utf8(&mut utf8).as_bytes();
                match character {
                    '\t' | '\n' | '\r' => shown.extend_from_slice(utf8),
                    _ if character.is_control() => shown.extend(utf8.escape_ascii()),
                    _ => shown.extend_from_slice(utf8),
                }
            }
            if chunks.peek().is_none()
                && str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none())
            {
                self.held = chunk.invalid().to_vec();
            } else {
                shown.extend(chunk.invalid().escape_ascii());
            }
        }
        self.inner.write_all(&shown)?;
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
    fn a_terminal_gets_no_commands() {
        for (bytes, shown) in [
            (&b"a\tb\r\nc"[..], "a\tb\r\nc"),
            (b"\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            (b"\x00\x08\x7f", "\\x00\\x08\\x7f"),
            ("\u{9b}31m \u{e9} \u{1f600}".as_bytes(), "\\xc2\\x9b31m \u{e9} \u{1f600}"),
            (b"\x9b31m\xff", "\\x9b31m\\xff"),
            (b"caf\xe9 au lait", "caf\\xe9 au lait"),
            (b"cut: \xe2\x82", "cut: \\xe2\\x82"),
        ] {
            for piece in [1, 2, 3, 99] {
                let mut out = Escaped::new(Vec::new());
                bytes.chunks(piece).for_each(|piece| out.write_all(piece).unwrap());
                out.finish().unwrap();
                assert_eq!(String::from_utf8(out.into_inner()).unwrap(), shown, "pieces of {piece}");
            }
        }
    }
}
