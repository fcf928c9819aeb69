//! The program `webserver`: parses the command line, then prints what an option asks for, or serves until a signal.

mod cli;
mod explain;
mod listeners;
mod metrics;
mod os_error;
mod print;
mod run;
mod sandbox;
mod signals;
mod systemd;
mod unix_socket;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Parser;

use crate::cli::Cli;
use crate::run::App;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(io::stderr(), "webserver: {message}");
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
    let signals = signals::register()?;
    print_last(App::start(cli, inherited, signals)?.join());
    Ok(())
}

/// Prints the last lines. It waits at most a second, because standard error can be a full pipe without a reader.
fn print_last(lines: String) {
    let (written, wait) = mpsc::channel();
    let write = move || written.send(io::stderr().write_all(lines.as_bytes()));
    if thread::Builder::new().spawn(write).is_ok() {
        let _ = wait.recv_timeout(Duration::from_secs(1));
    }
}
