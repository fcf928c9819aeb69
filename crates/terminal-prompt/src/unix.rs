//! The terminal that controls this process, `/dev/tty`.
//!
//! The crate rpassword 7.5 sends itself SIGINT while the terminal still echoes nothing.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

/// The terminal that controls this process, whatever its standard input and output are.
#[derive(Debug)]
pub struct Terminal(File);

impl Terminal {
    /// Opens it.
    ///
    /// # Errors
    /// Those of the system: a service or a detached process has no terminal.
    pub fn open() -> io::Result<Terminal> {
        File::options().read(true).write(true).open("/dev/tty").map(Terminal)
    }

    /// Asks for a line, and returns it without its line end. `None` at the end of the input (Ctrl-D).
    ///
    /// # Errors
    /// Those of the system.
    pub fn ask(&self, prompt: &str) -> io::Result<Option<Vec<u8>>> {
        self.read_line(prompt).map(without_line_end)
    }

    /// Asks for a line that is not shown. The interrupt character (Ctrl-C) raises SIGINT once the terminal is as it was.
    ///
    /// # Errors
    /// Those of the system; [`Interrupted`](ErrorKind::Interrupted) if that signal does not end the process.
    pub fn ask_hidden(&self, prompt: &str) -> io::Result<Option<Vec<u8>>> {
        let before = tcgetattr(&self.0)?;
        let interrupt = before.special_codes[SpecialCodeIndex::VINTR];
        let mut hidden = before.clone();
        // The interrupt character ends the line and sends no signal, so that the echo can be restored first.
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VEOL] = interrupt;
        // `Flush` discards what was typed too early, which was shown.
        tcsetattr(&self.0, OptionalActions::Flush, &hidden)?;
        let line = self.read_line(prompt);
        tcsetattr(&self.0, OptionalActions::Now, &before)?;
        (&self.0).write_all(b"\n")?; // the one that was typed was not shown
        let line = line?;
        if line.ends_with(&[interrupt]) {
            kill_process(getpid(), Signal::INT)?;
            return Err(ErrorKind::Interrupted.into()); // the signal is caught or ignored
        }
        Ok(without_line_end(line))
    }

    /// What was typed, with its line end; nothing at the end of the input.
    fn read_line(&self, prompt: &str) -> io::Result<Vec<u8>> {
        let mut line = vec![0; 4096]; // a terminal's longest line
        (&self.0).write_all(prompt.as_bytes())?;
        let length = (&self.0).read(&mut line)?;
        line.truncate(length);
        Ok(line)
    }
}

fn without_line_end(mut line: Vec<u8>) -> Option<Vec<u8>> {
    if line.is_empty() {
        return None;
    }
    line.pop_if(|last| *last == b'\n');
    Some(line)
}
