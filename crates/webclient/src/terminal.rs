//! Escapes bytes that a terminal would interpret as commands. It knows no HTTP. A file or a pipe gets the bytes
//! unchanged.

use std::io::{self, Write};
use std::mem;

/// The text with its control characters escaped, as [`EscapingWriter`] does it.
pub(crate) fn escaped(text: &[u8]) -> String {
    let mut writer = EscapingWriter::new(Vec::new());
    let _ = writer.write(text).and_then(|_| writer.finish()); // a Vec takes everything
    String::from_utf8_lossy(&writer.inner).into_owned()
}

/// The text with its line ends escaped, too.
pub(crate) fn one_line(text: &str) -> String {
    escaped(text.as_bytes()).replace('\r', "\\r").replace('\n', "\\n")
}

/// Writes to a terminal. Control characters other than tab and the end of a line are written as `\xHH`, and so are bytes
/// that are not UTF-8, and characters that reorder a text.
#[derive(Debug)]
pub(crate) struct EscapingWriter<W> {
    inner: W,
    /// The first bytes of a character, or of a line end; the others have not arrived yet.
    partial: Vec<u8>,
}

impl<W: Write> EscapingWriter<W> {
    pub(crate) const fn new(inner: W) -> EscapingWriter<W> {
        EscapingWriter { inner, partial: Vec::new() }
    }

    /// Writes what is left of a character that was cut short.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let partial = mem::take(&mut self.partial);
        self.inner.write_all(partial.escape_ascii().to_string().as_bytes())?;
        self.inner.flush()
    }
}

impl<W: Write> Write for EscapingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = mem::take(&mut self.partial);
        text.extend_from_slice(bytes);
        if text.pop_if(|last| *last == b'\r').is_some() {
            self.partial = b"\r".into();
        }
        let mut escaped = Vec::with_capacity(text.len());
        let mut chunks = text.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            let mut characters = chunk.valid().chars().peekable();
            while let Some(character) = characters.next() {
                let mut utf8 = [0; 4];
                let utf8 = character.encode_utf8(&mut utf8).as_bytes();
                // Without a line feed, a carriage return would have the line overwritten.
                if is_safe(character) || (character == '\r' && characters.peek() == Some(&'\n')) {
                    escaped.extend_from_slice(utf8);
                } else {
                    escaped.extend(utf8.escape_ascii());
                }
            }
            let is_cut = chunks.peek().is_none() && self.partial.is_empty();
            if is_cut && str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none()) {
                self.partial = chunk.invalid().to_vec();
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

fn is_safe(character: char) -> bool {
    match character {
        '\t' | '\n' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false, // one text could look like another (CVE-2021-42574)
        character => !character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_gets_no_control_characters() {
        for (bytes, expected) in [
            (&b"a\tb\r\nc\n"[..], "a\tb\r\nc\n"),
            (b"\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            (b"\x00\x08\x7f", "\\x00\\x08\\x7f"),
            (b"real\rfake\r\r\n\r", "real\\rfake\\r\r\n\\r"),
            ("\u{9b}31m \u{e9} \u{1f600}".as_bytes(), "\\xc2\\x9b31m \u{e9} \u{1f600}"),
            ("a\u{202e}b\u{2066}".as_bytes(), "a\\xe2\\x80\\xaeb\\xe2\\x81\\xa6"),
            (b"\x9b31m\xff", "\\x9b31m\\xff"),
            (b"caf\xe9 au lait", "caf\\xe9 au lait"),
            (b"cut: \xe2\x82", "cut: \\xe2\\x82"),
            (b"cut: \xe2\r\xe2\r\n", "cut: \\xe2\\r\\xe2\r\n"),
        ] {
            for piece in [1, 2, 3, 99] {
                let mut out = EscapingWriter::new(Vec::new());
                bytes.chunks(piece).for_each(|piece| out.write_all(piece).unwrap());
                out.finish().unwrap();
                assert_eq!(String::from_utf8(out.inner).unwrap(), expected, "pieces of {piece}");
            }
            assert_eq!(escaped(bytes), expected);
        }
        assert_eq!(one_line("a\r\nb\n\rc\x1b\td"), "a\\r\\nb\\n\\rc\\x1b\td");
    }
}
