//! The console of Windows. What is typed there arrives as UTF-8, whatever its code page.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};

/// The console of this process.
#[derive(Debug)]
pub struct Terminal(File);

impl Terminal {
    /// Opens it.
    ///
    /// # Errors
    /// Those of the system: a service or a detached process has no console.
    pub fn open() -> io::Result<Terminal> {
        File::options().read(true).write(true).open("CONOUT$").map(Terminal)
    }

    /// Asks for a line, and returns it without its line end. `None` at the end of the input (Ctrl-Z). It is read from
    /// standard input.
    ///
    /// # Errors
    /// Those of the system.
    pub fn ask(&self, prompt: &str) -> io::Result<Option<Vec<u8>>> {
        (&self.0).write_all(prompt.as_bytes())?;
        let line = io::stdin().lines().next().transpose()?;
        Ok(line.map(String::into_bytes))
    }

    /// Asks for a line that is not shown. Ctrl-C ends the process at once, and the shell has to set up the console again.
    ///
    /// # Errors
    /// Those of the system; [`Interrupted`](ErrorKind::Interrupted) if Ctrl-C does not end the process.
    pub fn ask_hidden(&self, prompt: &str) -> io::Result<Option<Vec<u8>>> {
        match rpassword::prompt_password(prompt) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            line => line.map(|line| Some(line.into_bytes())),
        }
    }
}
