//! The access log: one line per request, passed through a bounded queue to a thread that writes. Lines that cannot be
//! written are lost and counted; the log never stops the server.

mod format;
mod log_format;
mod output;
mod pending;
mod queue;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;

use self::format::max_line;
use self::output::Output;
use self::queue::Destination;

pub(crate) use self::format::Record;
pub use self::format::json_message;
pub use self::log_format::LogFormat;
pub(crate) use self::pending::{PendingRecord, TEXT_KEPT, max_record, truncated};
pub(crate) use self::queue::AccessLog;
pub(crate) use self::writer::{WRITERS, Writer};

/// The access log: its format and its output.
///
/// Whatever a client sends, a line stays one line of printable ASCII. A separate thread writes it within 100 ms. When
/// that thread cannot keep up or cannot write, lines are lost and [counted](crate::Stats::dropped_log_lines) at once.
///
/// ```
/// use http_server::{Log, LogFormat, Response, Request, Server};
///
/// # let directory = std::env::temp_dir().join(format!("log-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// let log = Log::to_file(LogFormat::Combined, &directory.join("access.log"))?;
/// let server = Server::bind("127.0.0.1:0")?.log(log);
/// let running = server.start(|_: &Request<'_>| Response::text("hello\n"))?;
/// // After the file was moved away:
/// running.log_handle().reopen();
/// # running.shutdown_handle().shut_down();
/// # assert_eq!(running.join().dropped_log_lines, 0);
/// # std::fs::remove_dir_all(directory)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Log(pub(crate) Arc<AccessLog>);

impl Log {
    /// A log on standard error.
    ///
    /// # Errors
    /// From the system, if no descriptor is left.
    pub fn to_standard_error(format: LogFormat) -> io::Result<Log> {
        Ok(Log(Arc::new(AccessLog::new(format, Destination::StandardError, Output::standard_error()?))))
    }

    /// A log on standard output, which is never reopened. If it cannot be written, there are messages as with a file.
    ///
    /// # Errors
    /// From the system, if no descriptor is left.
    pub fn to_standard_output(format: LogFormat) -> io::Result<Log> {
        Ok(Log(Arc::new(AccessLog::new(format, Destination::StandardOutput, Output::standard_output()?))))
    }

    /// A log that is appended to a file. If the file does not exist, it is created with mode 0640. If it cannot be
    /// written later, for example on a full disk, or not fast enough, there is one
    /// [message](crate::Server::on_message), and another one when it can be written again.
    ///
    /// # Errors
    /// From the system.
    pub fn to_file(format: LogFormat, path: &Path) -> io::Result<Log> {
        Ok(Log(Arc::new(AccessLog::new(format, Destination::File(path.into()), Output::file(path)?))))
    }

    /// A handle, from which lines can be [added](LogHandle::add_line) before the server has started.
    pub fn handle(&self) -> LogHandle {
        LogHandle(Some(self.0.clone()))
    }
}

/// Reopens the file of a log, and adds lines to it; see [`RunningServer::log_handle`](crate::RunningServer::log_handle).
#[derive(Clone, Debug)]
pub struct LogHandle(pub(crate) Option<Arc<AccessLog>>);

impl LogHandle {
    /// Opens the file of the same name, because the old one may have been moved away. It returns at once. Lines go to the
    /// old file until the new one is open.
    ///
    /// A thread that does not write opens it, so the old file may be on a disk that does not answer, or a pipe that
    /// nobody reads. What that file was being given then stays with it, and every other line goes to the new one. If the
    /// file cannot be opened, there is a [message](crate::Server::on_message), and the log tries again each second.
    pub fn reopen(&self) {
        if let Some(log) = &self.0 {
            log.ask_to_reopen();
        }
    }

    /// Adds a line of the program's own between those of requests. A line end within it becomes a space. It never waits:
    /// if the log is too far behind, the line is lost and counted.
    pub fn add_line(&self, line: &str) {
        if let Some(log) = &self.0 {
            log.add_line(line);
        }
    }
}

/// The most bytes of memory of a log, for heads of this many bytes.
pub(crate) fn memory(head: usize) -> usize {
    queue::memory(max_line(head)) + writer::memory(max_line(head))
}
