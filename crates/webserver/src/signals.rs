//! Signals. The first SIGINT or SIGTERM shuts the server down gracefully, a second one ends the process at once.
//! SIGHUP reopens the log file.

use std::process;
use std::thread;
use std::time::{Duration, Instant};

use http_server::LogHandle;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::os_error::describe;

/// Signals this close together count as one: some supervisors signal the process and then its group.
const SIGNAL_DEBOUNCE: Duration = Duration::from_millis(50);

/// Catches the signals from now on; [`handle`] acts on them.
pub(crate) fn register() -> Result<Signals, String> {
    // By default SIGXFSZ ends the process when the log file reaches the size limit. Caught, it is only a write error.
    Signals::new([SIGINT, SIGTERM, SIGHUP, SIGXFSZ])
        .map_err(|error| format!("cannot catch signals: {}", describe(&error)))
}

/// Acts on the signals in a thread of its own.
pub(crate) fn handle(mut signals: Signals, shut_down: impl Fn() + Send + 'static, log: LogHandle) {
    thread::spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            match (signal, first) {
                (SIGHUP, _) => log.reopen(),
                (SIGXFSZ, _) => {}
                (_, None) => {
                    first = Some(Instant::now());
                    shut_down();
                }
                (_, Some(first)) if first.elapsed() < SIGNAL_DEBOUNCE => {}
                _ => process::exit(128 + signal),
            }
        }
    });
}
