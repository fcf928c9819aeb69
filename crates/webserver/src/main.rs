//! The program `webserver`: options to a server, signals to its end.

mod cause;
mod confine;
mod listening;
mod metrics;
mod options;
mod printed;
mod startup;
mod systemd;
mod unix;

use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;
use std::{io, process, thread};

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::options::Options;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "webserver: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    if let Some(text) = printed::text(options)? {
        return io::stdout().write_all(&text).map_err(|error| format!("cannot write: {error}"));
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| format!("cannot wait for signals: {}", cause::cause(&error)))?;
    let started = startup::start(options)?;
    let stop = started.stop();
    thread::spawn(move || {
        let mut signals = signals.forever();
        signals.next();
        stop();
        if let Some(signal) = signals.next() {
            process::exit(128 + signal);
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
