//! The limits and the rights of this process, and whether its standard streams take a line now.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

/// How a user raises the limit of open files.
pub(crate) const RAISE_MAX_FDS: &str = "raise it: ulimit -n 1024";

/// macOS reports no maximum, but accepts no higher limit than this.
const OPEN_MAX: u64 = 10_240;

/// Raises the soft limit of open files to the hard one, and returns it.
pub(crate) fn max_fds() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raise = |to| setrlimit(Resource::Nofile, Rlimit { current: to, maximum }).is_ok();
    if raise(maximum) {
        return maximum.unwrap_or(u64::MAX);
    }
    let less = maximum.unwrap_or(u64::MAX).min(OPEN_MAX);
    match current {
        Some(current) if current < less && raise(Some(less)) => less,
        current => current.unwrap_or(u64::MAX),
    }
}

/// Whether it may do everything.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// Whether a stream shows colours.
pub(crate) fn takes_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal()
}

/// Waits until a stream takes a line.
pub(crate) fn wait_until_writable(stream: &impl AsFd) {
    let _ = poll(&mut [PollFd::new(stream, PollFlags::OUT)], None);
}

/// Whether a stream takes a line now.
pub(crate) fn is_writable(stream: &impl AsFd) -> bool {
    poll(&mut [PollFd::new(stream, PollFlags::OUT)], Some(&Timespec::default())) == Ok(1)
}
