//! The program `webserver`: options to a server, signals to its end.

mod options;
mod startup;

use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;
use std::{io, process, thread};

use clap::Parser;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
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
    if options.print_limits {
        let limits = options.bounds(startup::descriptors());
        return writeln!(io::stdout(), "{limits}").map_err(|error| format!("cannot write: {error}"));
    }
    if let Some(request) = &options.explain {
        let why = startup::explain(options, request)?;
        return io::stdout().write_all(why.as_bytes()).map_err(|error| format!("cannot write: {error}"));
    }
    // SIGXFSZ would end us where the log's file is as long as it may be; that is an error of its write like any other.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGXFSZ])
        .map_err(|error| format!("cannot wait for signals: {error}"))?;
    let running = startup::start(options)?;
    startup::print_ready_lines(options, &running);

    let (stopper, log) = (running.stopper(), running.log_opener());
    thread::spawn(move || {
        let mut stopping = false;
        for signal in signals.forever() {
            match signal {
                SIGHUP => log.open_anew(),
                SIGXFSZ => {}
                _ if stopping => process::exit(128 + signal),
                _ => {
                    stopping = true;
                    stopper.stop();
                }
            }
        }
    });
    say_at_last(format!("webserver: {}\n", running.join()));
    Ok(())
}

/// Says something, unless nobody reads it: a full pipe is no reason to stay.
fn say_at_last(line: String) {
    let (said, wait) = mpsc::channel();
    thread::spawn(move || said.send(io::stderr().write_all(line.as_bytes())));
    let _ = wait.recv_timeout(Duration::from_secs(1));
}
