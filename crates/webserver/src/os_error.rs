//! Errors of the system that a user can do something about, in words that say what.

use std::io;

use rustix::io::Errno;

/// What the system says, and what to do where that is known.
pub(crate) fn describe(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => "too few open files are allowed; raise the limit: ulimit -n 1024".into(),
        Some(Errno::NFILE) => "the whole system has too many open files; end something that holds many".into(),
        Some(Errno::AGAIN) => "too few threads are allowed; ask for fewer by --threads N, or raise ulimit -u".into(),
        _ => error.to_string(),
    }
}
