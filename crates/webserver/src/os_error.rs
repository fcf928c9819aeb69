//! Errors of the operating system, with what to do about them where that is known.

use std::io;

use rustix::io::Errno;

/// The cause, and what to do in parentheses.
pub(crate) fn describe(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => "the process has too many open files (raise the limit: ulimit -n 1024)".into(),
        Some(Errno::NXIO) => "it is a pipe that nothing reads, or a socket".into(),
        Some(Errno::NFILE) => "the system has too many open files (close programs that hold many)".into(),
        Some(Errno::AGAIN) => {
            "no further thread can be started (lower --threads, or raise the limit: ulimit -u, or TasksMax= of the service)"
                .into()
        }
        _ => error.to_string(),
    }
}
