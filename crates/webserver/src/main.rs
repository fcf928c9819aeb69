//! The program `webserver`: parses the command line, then prints what an option asks for, or serves until a signal.

mod cli;
mod explain;
mod hash_password;
mod listeners;
mod log_file;
mod messages;
mod metrics;
mod print;
mod qr_code;
mod run;
mod site;
mod startup_messages;
mod system;
mod users;

use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::{Cli, LogFormat};
use crate::messages::Level;
use crate::run::App;
use crate::system::{signals, systemd};

fn main() -> ExitCode {
    let (cli, notes) = Cli::from_process();
    messages::set_up(cli.log_format == LogFormat::Json);
    notes.iter().for_each(|note| messages::warn(note));
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            messages::print(Level::Error, &message);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), String> {
    if let Some(text) = print::requested(cli)? {
        return io::stdout().write_all(&text).map_err(|error| format!("cannot write to standard output: {error}"));
    }
    // This comes first: an inherited socket is known only by its descriptor number, which any file opened could get.
    let inherited = systemd::inherited()?;
    let signals = signals::register(cli)?;
    messages::print_last(App::start(cli, inherited, signals)?.join());
    Ok(())
}
