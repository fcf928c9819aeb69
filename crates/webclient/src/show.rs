//! Shows a response on standard output or another terminal: as it was received, or made safe for a terminal.

use std::io::{self, Write};

use webclient::{Error, Response};

use crate::cli::Cli;
use crate::stdio::Stdout;
use crate::terminal::EscapingWriter;

/// A body with a NUL byte among its first bytes is binary. curl looks at as many.
const LOOKED_AT: usize = 2000;

/// Writes what the options ask for. A terminal gets no control characters and no binary body, unless it is `--raw`.
pub(crate) fn show(cli: &Cli, response: &mut Response, out: Stdout) -> Result<(), Error> {
    if cli.include || cli.head {
        show_head(cli, response, out)?;
    }
    show_body(cli, response, out, out.is_terminal())
}

pub(crate) fn show_head(cli: &Cli, response: &Response, mut out: Stdout) -> Result<(), Error> {
    let head = &response.head().bytes;
    let written = match cli.raw || !out.is_terminal() {
        true => out.write_all(head),
        false => EscapingWriter::new(out).write_all(head),
    };
    written.map_err(Error::Write)
}

pub(crate) fn show_body(
    cli: &Cli,
    response: &mut Response,
    mut out: impl Write,
    is_terminal: bool,
) -> Result<(), Error> {
    if cli.raw || !is_terminal {
        return response.copy_to(&mut out).map(drop);
    }
    let mut body = TextOnly { terminal: EscapingWriter::new(out), seen: 0 };
    let copied = response.copy_to(&mut body);
    body.terminal.finish().map_err(Error::Write).and(copied).map(drop)
}

/// Refuses a binary body.
struct TextOnly<W> {
    terminal: EscapingWriter<W>,
    seen: usize,
}

impl<W: Write> Write for TextOnly<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let looked_at = bytes.len().min(LOOKED_AT.saturating_sub(self.seen));
        if bytes[..looked_at].contains(&0) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, BINARY));
        }
        self.seen += bytes.len();
        self.terminal.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.terminal.flush()
    }
}

const BINARY: &str = "it is binary, and the output is a terminal (use --output FILE, a pipe, or --raw)";
