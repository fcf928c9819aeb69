//! Errors of the operating system, with what to do about them where that is known.

use std::io;

use rustix::io::Errno;

/// The cause, and what to do in parentheses.
pub(crate) fn describe(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => "the process has too many open files (raise the limit: ulimit -n 1024)".into(),
        Some(Errno::NFILE) => "the system has too many open files (close programs that hold many)".into(),
        Some(Errno::AGAIN) => "the user has too many threads (lower --threads, or raise the limit: ulimit -u)".into(),
        _ => error.to_string(),
    }
}
