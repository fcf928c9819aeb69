//! `-u`: asks for a password on the terminal, or reads it from a file.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

/// The first line of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    let read = File::open(path).and_then(|file| BufReader::new(file).read_until(b'\n', &mut line));
    match read {
        Ok(0) => Err(format!("{path:?} is empty: expected the password as its first line")),
        Ok(_) => Ok(without_line_end(line)),
        Err(error) => Err(format!("cannot read the password from {path:?}: {error}")),
    }
}

/// Asks the user, whatever standard input and output are. What is typed is not shown.
pub(crate) fn ask(user: &str) -> Result<Vec<u8>, String> {
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    let terminal =
        terminal.map_err(|error| format!("no terminal to ask for the password ({error}): use --password-file"))?;
    let line = ask_on(&terminal, user).map_err(|error| format!("cannot ask for the password: {error}"))?;
    if line.is_empty() { Err("no password was given".into()) } else { Ok(without_line_end(line)) }
}

/// What was typed, with its line end; nothing at the end of the input.
fn ask_on(mut terminal: &File, user: &str) -> io::Result<Vec<u8>> {
    let before = tcgetattr(terminal)?;
    let interrupt = before.special_codes[SpecialCodeIndex::VINTR];
    let mut hidden = before.clone();
    // The interrupt character ends the line and sends no signal, so that the echo can be restored first.
    hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    hidden.special_codes[SpecialCodeIndex::VEOL] = interrupt;
    // `Flush` discards what was typed too early, which was shown.
    tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
    let mut line = [0; 4096]; // a terminal's longest line
    let length = write!(terminal, "Password of {user}: ").and_then(|()| terminal.read(&mut line));
    tcsetattr(terminal, OptionalActions::Now, &before)?;
    terminal.write_all(b"\n")?; // the one that was typed was not shown
    let line = &line[..length?];
    if line.ends_with(&[interrupt]) {
        kill_process(getpid(), Signal::INT)?;
    }
    Ok(line.into())
}

fn without_line_end(mut line: Vec<u8>) -> Vec<u8> {
    line.pop_if(|last| *last == b'\n');
    line.pop_if(|last| *last == b'\r');
    line
}
