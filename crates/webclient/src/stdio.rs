//! Standard input and output as they are. std opens `/dev/null` in place of one that was closed when the program began, and
//! ignores that output cannot be written, so that bytes would be lost without an error.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, fcntl_getfd};
use rustix::stdio::{stdin, stdout};

static NO_STDIN: AtomicBool = AtomicBool::new(false);
static NO_STDOUT: AtomicBool = AtomicBool::new(false);

// Before std starts.
ctor::declarative::ctor! {
    #[ctor(unsafe)]
    fn look() {
        NO_STDIN.store(fcntl_getfd(stdin()).is_err(), Ordering::Relaxed);
        NO_STDOUT.store(fcntl_getfd(stdout()).is_err(), Ordering::Relaxed);
    }
}

/// Standard input.
pub(crate) fn input() -> io::Result<File> {
    if NO_STDIN.load(Ordering::Relaxed) {
        return Err(Errno::BADF.into());
    }
    stdin().as_fd().try_clone_to_owned().map(File::from)
}

/// Standard output without a buffer: what was received is written at once.
#[derive(Debug)]
pub(crate) struct Stdout;

impl Stdout {
    pub(crate) fn is_terminal(&self) -> bool {
        stdout().is_terminal()
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if NO_STDOUT.load(Ordering::Relaxed) {
            return Err(Errno::BADF.into());
        }
        loop {
            match rustix::io::write(stdout(), bytes) {
                // Another program may have set the pipe or terminal that it shares to non-blocking.
                Err(Errno::AGAIN) => drop(poll(&mut [PollFd::new(&stdout(), PollFlags::OUT)], None)?),
                result => return Ok(result?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
