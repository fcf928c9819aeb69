//! The program: reads its command line, fetches each URL, and ends with a status that says what happened.
#![forbid(unsafe_code)]

mod cli;
mod outcome;
mod run;
mod terminal;

use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::read();
    let mut exit_status = 0;
    for outcome in run::run(&cli) {
        if let Some(message) = outcome.message {
            let _ = writeln!(io::stderr(), "webclient: {message}"); // if that fails, the exit status remains
        }
        exit_status = if exit_status == 0 { outcome.exit_status } else { exit_status };
    }
    exit_status.into()
}
