//! Standard input and output as they are. std opens `/dev/null` in place of one that was closed when the program began, and
//! ignores that output cannot be written, so that bytes would be lost without an error.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::mem;
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_getfd};
use rustix::pipe::PIPE_BUF;
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stdout {
    deadline: Option<Instant>,
}

impl Stdout {
    /// Waits no longer than this for a pipe that nobody reads.
    pub(crate) fn until(deadline: Option<Instant>) -> Stdout {
        Stdout { deadline }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        stdout().is_terminal()
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut piece = bytes;
        if self.deadline.is_some() {
            self.wait()?;
            piece = &bytes[..bytes.len().min(PIPE_BUF)]; // a pipe with room takes so many without blocking
        }
        loop {
            match rustix::io::write(stdout(), piece) {
                // Another program may have set the pipe or terminal that it shares to non-blocking.
                Err(Errno::AGAIN) => self.wait()?,
                result => return Ok(result?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stdout {
    /// Waits until it can be written to.
    fn wait(&self) -> io::Result<()> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(&stdout(), PollFlags::OUT)], left.as_ref())? {
            0 => Err(io::Error::new(io::ErrorKind::TimedOut, "nobody read it in time (--max-time)")),
            _ => Ok(()),
        }
    }
}
