//! Ctrl-C, Ctrl-Break, and a console that is closed. During the start, each ends the process at once. Later the first one
//! shuts the server down gracefully, and a second one ends the process at once. Windows ends it 5 s after its console was
//! closed. That a user logs off is told to services alone, whoever it is, and they go on.

use std::future::poll_fn;
use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;
use std::thread;

use tokio::runtime;
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

use crate::cli::Cli;

/// The exit status with which Windows ends a process by Ctrl-C.
const STATUS_CONTROL_C_EXIT: i32 = 0xC000_013A_u32.cast_signed();

/// Until they are handled, Windows ends the process by them.
pub(crate) struct CaughtSignals;

pub(crate) fn register(_: &Cli) -> Result<CaughtSignals, String> {
    Ok(CaughtSignals)
}

/// Runs what may wait for a disk that does not answer. Ctrl-C has a thread of its own on Windows.
pub(crate) fn run_interruptibly<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    Ok(work())
}

impl CaughtSignals {
    /// Acts on them in a thread of its own: `shut_down` may not wait. The start lasts until the flag that it returns is
    /// cleared. Nothing asks for files to be opened again.
    pub(crate) fn handle(
        self,
        shut_down: impl Fn() + Send + 'static,
        _: impl Fn() + Send + 'static,
    ) -> io::Result<Arc<AtomicBool>> {
        let (mut interrupt, mut stop) = (ctrl_c()?, ctrl_break()?);
        let (mut close, mut power_off) = (ctrl_close()?, ctrl_shutdown()?);
        let runtime = runtime::Builder::new_current_thread().build()?;
        let is_starting = Arc::new(AtomicBool::new(true));
        let starting = is_starting.clone();
        let mut next = move || {
            runtime.block_on(poll_fn(|context| {
                let events = [
                    interrupt.poll_recv(context),
                    stop.poll_recv(context),
                    close.poll_recv(context),
                    power_off.poll_recv(context),
                ];
                if events.iter().any(Poll::is_ready) { Poll::Ready(()) } else { Poll::Pending }
            }));
        };
        let act = move || {
            next();
            if !starting.load(SeqCst) {
                shut_down();
                next();
            }
            process::exit(STATUS_CONTROL_C_EXIT);
        };
        thread::Builder::new().name("signals".into()).spawn(act)?;
        Ok(is_starting)
    }
}
