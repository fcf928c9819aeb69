//! The program: reads its command line, fetches each URL, and ends with a status that says what happened.

mod cli;
mod data;
mod help;
mod outcome;
mod password;
mod progress;
mod run;
mod save;
mod show;
#[cfg_attr(windows, path = "stdio_windows.rs")]
mod stdio;
mod terminal;
mod trace;

use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut exit_status = 0;
    run::run(|outcome| {
        if let Some(message) = outcome.message {
            let message = terminal::one_line(&message);
            let _ = writeln!(io::stderr(), "webclient: {message}"); // if that fails, the exit status remains
        }
        exit_status = if exit_status == 0 { outcome.exit_status } else { exit_status };
    });
    exit_status.into()
}
