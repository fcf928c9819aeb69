//! Standard input and output on Windows. std ignores that output cannot be written, so that bytes would be lost without an
//! error; but it knows how a console gets its characters.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::windows::io::AsHandle as _;
use std::time::Instant;

const ERROR_PIPE_NOT_CONNECTED: i32 = 233;

/// Standard input.
pub(crate) fn input() -> io::Result<File> {
    Ok(File::from(io::stdin().as_handle().try_clone_to_owned()?))
}

/// Standard output without a buffer: what was received is written at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stdout;

impl Stdout {
    /// There is no way to wait for a pipe, so a deadline has no effect.
    pub(crate) fn until(_: Option<Instant>) -> Stdout {
        Stdout
    }

    pub(crate) fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_terminal() {
            let written = io::stdout().write(bytes)?;
            return io::stdout().flush().map(|()| written);
        }
        let mut output = File::from(io::stdout().as_handle().try_clone_to_owned()?);
        output.write(bytes).map_err(|error| match error.raw_os_error() {
            Some(ERROR_PIPE_NOT_CONNECTED) => io::ErrorKind::BrokenPipe.into(), // std knows two others
            _ => error,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
