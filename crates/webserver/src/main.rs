//! The program `webserver`: options to a server, signals to its end.

mod cli;
mod explain;
mod listeners;
mod metrics;
mod os_error;
mod print;
mod run;
mod sandbox;
mod systemd;
mod unix_socket;

use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{io, process, thread};

use clap::Parser;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::cli::Cli;

/// Signals that come so soon behind one are the same wish.
const AT_ONCE: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "webserver: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Cli) -> Result<(), String> {
    if let Some(text) = print::text(options)? {
        return io::stdout().write_all(&text).map_err(|error| format!("cannot write: {error}"));
    }
    // Before anything is opened, which could be taken for what was handed over.
    let handed = systemd::sockets()?;
    // SIGXFSZ would end us where the log's file is as long as it may be; that is an error of its write like any other.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGXFSZ])
        .map_err(|error| format!("cannot wait for signals: {}", os_error::describe(&error)))?;
    let started = run::start(options, handed)?;
    let (stop, log) = (started.shut_down(), started.log_handle());
    thread::spawn(move || {
        let mut stopping: Option<Instant> = None;
        for signal in signals.forever() {
            match (signal, stopping) {
                (SIGHUP, _) => log.reopen(),
                (SIGXFSZ, _) => {}
                (_, None) => {
                    stopping = Some(Instant::now());
                    stop();
                }
                // Some programs tell a process and then its group, which is one wish.
                (_, Some(since)) if since.elapsed() < AT_ONCE => {}
                _ => process::exit(128 + signal),
            }
        }
    });
    say_at_last(format!("webserver: {}\n", started.join()));
    Ok(())
}

/// Says something, unless nobody reads it: a full pipe is no reason to stay.
fn say_at_last(line: String) {
    let (said, wait) = mpsc::channel();
    thread::spawn(move || said.send(io::stderr().write_all(line.as_bytes())));
    let _ = wait.recv_timeout(Duration::from_secs(1));
}
