//! `-u`: asks for a password on the terminal, or reads it from a file.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use terminal_prompt::Terminal;

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
    let terminal = Terminal::open();
    let terminal =
        terminal.map_err(|error| format!("no terminal to ask for the password ({error}): use --password-file"))?;
    let password = terminal.ask_hidden(&format!("Password of {user}: "));
    let password = password.map_err(|error| format!("cannot ask for the password: {error}"))?;
    password.ok_or_else(|| "no password was given".into())
}

fn without_line_end(mut line: Vec<u8>) -> Vec<u8> {
    line.pop_if(|last| *last == b'\n');
    line.pop_if(|last| *last == b'\r');
    line
}
