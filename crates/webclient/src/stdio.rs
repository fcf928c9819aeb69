//! Standard input and output as they are. std opens `/dev/null` in place of one that was closed when the program began, and
//! ignores that output cannot be written, so that bytes would be lost without an error.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::mem;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_getfd};
use rustix::stdio::{stderr, stdin, stdout};

// Before std starts: puts a directory in place of each that is closed. It can be neither read nor written, also by its
// name, as in `--output /dev/fd/1`.
ctor::declarative::ctor! {
    #[ctor(unsafe)]
    fn occupy() {
        for stream in [stdin(), stdout(), stderr()] {
            if fcntl_getfd(stream).is_err() {
                mem::forget(open(c"/", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())); // it gets the lowest free number
            }
        }
    }
}

/// Standard input.
pub(crate) fn input() -> io::Result<File> {
    let input = File::from(stdin().as_fd().try_clone_to_owned()?);
    if input.metadata()?.is_dir() { Err(Errno::BADF.into()) } else { Ok(input) }
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
