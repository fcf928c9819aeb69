//! Signals. During the start, SIGINT or SIGTERM ends the process at once. Later the first one shuts the server down
//! gracefully, and a second one ends the process at once. SIGHUP has files opened again, or means that the terminal was
//! closed, and then it ends the server as SIGINT does.

use std::io::{self, IsTerminal};
use std::panic::resume_unwind;
use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag::register_conditional_shutdown;
use signal_hook::iterator::Signals;

use crate::cli::Cli;
use crate::system::os_error::describe;

/// Signals this close together count as one: some supervisors signal the process and then its group.
const SIGNAL_DEBOUNCE: Duration = Duration::from_millis(50);

/// The signals that are caught.
pub(crate) struct CaughtSignals {
    signals: Signals,
    is_starting: Arc<AtomicBool>,
    hangup_ends: bool,
}

/// Catches the signals from now on.
pub(crate) fn register(cli: &Cli) -> Result<CaughtSignals, String> {
    let hangup_ends = hangup_ends(cli);
    let is_starting = Arc::new(AtomicBool::new(true));
    let register = || {
        for signal in [SIGINT, SIGTERM].into_iter().chain(hangup_ends.then_some(SIGHUP)) {
            // It ends the process within the handler, so it needs no thread that runs.
            register_conditional_shutdown(signal, 128 + signal, is_starting.clone())?;
        }
        // By default SIGXFSZ ends the process when the log file reaches the size limit. Caught, it is only a write error.
        Signals::new([SIGINT, SIGTERM, SIGHUP, SIGXFSZ])
    };
    let signals = register().map_err(|error: io::Error| format!("cannot catch signals: {}", describe(&error)))?;
    Ok(CaughtSignals { signals, is_starting, hangup_ends })
}

/// Whether SIGHUP means that a terminal was closed. `nohup` ignores it, and with these options an operator sends it.
fn hangup_ends(cli: &Cli) -> bool {
    cli.log_file.is_none() && cli.auth.is_none() && io::stdin().is_terminal() && !is_ignored(SIGHUP)
}

/// Whether this process has inherited that SIGHUP is ignored. Only Linux says so. `nohup` leaves no terminal on standard
/// error.
#[cfg(not(target_os = "linux"))]
fn is_ignored(_: i32) -> bool {
    !io::stderr().is_terminal()
}

/// Whether this process has inherited that a signal is ignored. Without procfs nobody knows, and it counts as ignored.
#[cfg(target_os = "linux")]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.is_none_or(|signals| signals >> (signal - 1) & 1 == 1)
}

/// Runs what may wait for a disk that does not answer, in another thread: one that waits like that runs no signal handler,
/// and the kernel gives a signal to the main thread if it can.
pub(crate) fn run_interruptibly<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("start".into()).spawn_scoped(scope, work)?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

impl CaughtSignals {
    /// Acts on the signals in a thread of its own: neither function may wait. The start lasts until the flag that it
    /// returns is cleared.
    pub(crate) fn handle(
        mut self,
        shut_down: impl Fn() + Send + 'static,
        reload: impl Fn() + Send + 'static,
    ) -> io::Result<Arc<AtomicBool>> {
        let is_starting = self.is_starting.clone();
        let act = move || {
            let mut first: Option<Instant> = None;
            for signal in self.signals.forever() {
                match (signal, first) {
                    (SIGHUP, _) if !self.hangup_ends => reload(),
                    (SIGXFSZ, _) | (SIGHUP, Some(_)) => {} // a shell and the kernel may both send SIGHUP
                    (_, None) => {
                        first = Some(Instant::now());
                        shut_down();
                    }
                    (_, Some(first)) if first.elapsed() < SIGNAL_DEBOUNCE => {}
                    _ => process::exit(128 + signal),
                }
            }
        };
        thread::Builder::new().name("signals".into()).spawn(act)?;
        Ok(is_starting)
    }
}
