//! The access log: one line per request, passed through a bounded queue to a thread that writes. Lines that cannot be
//! written are dropped and counted; the log never stops the server.

mod format;
mod log_format;
mod output;
mod pending;

use std::io::{self, Write};
use std::mem;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use self::format::{TimestampCache, format_record, max_line};
use self::output::Output;
use crate::messages::Messages;

pub(crate) use self::format::Record;
pub use self::log_format::LogFormat;
pub(crate) use self::pending::{PendingRecord, TEXT_KEPT, max_record};

/// The access log: its format and its output.
///
/// Whatever a client sends, a line stays one line of printable ASCII. A separate thread writes it within 100 ms. When
/// that thread cannot keep up or cannot write, lines are dropped and [counted](crate::Stats::dropped_log_lines).
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
pub struct Log {
    format: LogFormat,
    output: Output,
}

impl Log {
    /// A log on standard error.
    ///
    /// # Errors
    /// From the system, if no descriptor is left.
    pub fn to_standard_error(format: LogFormat) -> io::Result<Log> {
        Ok(Log { format, output: Output::standard_error()? })
    }

    /// A log that is appended to a file. If the file does not exist, it is created with mode 0640. If it cannot be
    /// written later, for example on a full disk, there is one [message](crate::Server::on_message), and another one
    /// when it can be written again.
    ///
    /// # Errors
    /// From the system.
    pub fn to_file(format: LogFormat, path: &Path) -> io::Result<Log> {
        Ok(Log { format, output: Output::file(path)? })
    }
}

/// Reopens the file of a log; see [`RunningServer::log_handle`](crate::RunningServer::log_handle).
#[derive(Clone, Debug)]
pub struct LogHandle(pub(crate) Option<Arc<AccessLog>>);

impl LogHandle {
    /// Opens the file of the same name before any further line is written, because the old one may have been moved
    /// away. It returns at once. If the file cannot be opened, lines go to the old one until it can, and there is a
    /// [message](crate::Server::on_message).
    pub fn reopen(&self) {
        if let Some(log) = &self.0 {
            log.lock().reopen = true;
            log.changed.notify_one();
        }
    }
}

/// Bytes of lines that may wait to be written.
const QUEUE_CAPACITY: usize = 1 << 20;
/// The most bytes of memory of a log, for heads of this many bytes: lines that wait, lines being written, and a partial
/// line. Each buffer may have doubled.
pub(crate) fn memory(head: usize) -> usize {
    4 * (QUEUE_CAPACITY + max_line(head)) + 2 * max_line(head)
}
/// Lines are written when the first has waited this long, or when this many bytes wait.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
const FLUSH_THRESHOLD: usize = 64 << 10;
/// How long a server that shuts down waits until its last lines are read.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Passes lines to the writer.
#[derive(Debug)]
pub(crate) struct AccessLog {
    pub(crate) format: LogFormat,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug)]
struct Queue {
    lines: Vec<u8>,
    timestamps: TimestampCache,
    recorded: u64,
    written: u64,
    /// Lines that the writer tried and could not write. A partial line counts until it is finished.
    dropped: u64,
    reopen: bool,
    closed: bool,
}

impl AccessLog {
    fn new(format: LogFormat) -> AccessLog {
        let timestamps = TimestampCache::new(format);
        let queue =
            Queue { lines: Vec::new(), timestamps, recorded: 0, written: 0, dropped: 0, reopen: false, closed: false };
        AccessLog { format, queue: Mutex::new(queue), changed: Condvar::new() }
    }

    /// A log whose queue does not grow.
    #[cfg(test)]
    pub(crate) fn with_full_capacity(format: LogFormat) -> AccessLog {
        let log = AccessLog::new(format);
        log.lock().lines.reserve(QUEUE_CAPACITY);
        log
    }

    /// Adds a line, or drops it when the writer is too far behind. It never waits for the writer.
    pub(crate) fn record(&self, record: &Record<'_>) {
        let mut queue = self.lock();
        queue.recorded += 1;
        if queue.lines.len() >= QUEUE_CAPACITY {
            return;
        }
        let Queue { lines, timestamps, .. } = &mut *queue;
        let before = lines.len();
        format_record(record, timestamps, lines);
        let reached_threshold = before < FLUSH_THRESHOLD && lines.len() >= FLUSH_THRESHOLD;
        drop(queue);
        if before == 0 || reached_threshold {
            self.changed.notify_one();
        }
    }

    /// Lets the writer write the lines that wait, and then end.
    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Lines that were dropped so far, not those that still wait. It never decreases.
    pub(crate) fn dropped_so_far(&self) -> u64 {
        self.lock().dropped
    }

    /// Lines that were recorded and not written.
    fn unwritten(&self) -> u64 {
        let queue = self.lock();
        queue.recorded - queue.written
    }

    /// Writes lines until the log is closed. Warns when it cannot write, and when it can again.
    fn write_to<W: Write>(
        &self,
        mut output: Output<W>,
        flush_interval: Duration,
        reopen_output: impl Fn(&mut Output<W>) -> io::Result<()>,
        warn: impl Fn(&str),
    ) {
        let mut lines = Vec::new();
        let (mut is_failing, mut dropped_before) = (false, 0);
        let mut reopen_failed = false;
        loop {
            let queue = self.lock();
            let is_idle = |queue: &mut Queue| queue.lines.is_empty() && !queue.closed && !queue.reopen;
            let queue = self.changed.wait_while(queue, is_idle).unwrap_or_else(PoisonError::into_inner);
            let gathers = |queue: &mut Queue| queue.lines.len() < FLUSH_THRESHOLD && !queue.closed && !queue.reopen;
            let gathered = self.changed.wait_timeout_while(queue, flush_interval, gathers);
            let (mut queue, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut queue.lines, &mut lines);
            let (closed, reopen) = (queue.closed, mem::take(&mut queue.reopen));
            let unwritten = queue.recorded - queue.written;
            drop(queue);
            let is_last = closed && lines.is_empty();

            let (written, result) = output.write(&mut lines);
            lines.clear();
            let dropped = unwritten - written;
            let mut queue = self.lock();
            queue.written += written;
            queue.dropped = queue.dropped.max(dropped);
            drop(queue);
            match result {
                Ok(()) if written > 0 => {
                    if is_failing {
                        let lost = dropped - dropped_before;
                        warn(&format!("the access log can be written again; {lost} lines were lost"));
                    }
                    (is_failing, dropped_before) = (false, dropped);
                }
                Err(error) if !is_failing => {
                    warn(&format!(
                        "cannot write the access log: {error}; lines are lost until it can be written again"
                    ));
                    is_failing = true;
                }
                _ => {}
            }
            if is_last {
                return;
            }
            if reopen || reopen_failed {
                let reopened = reopen_output(&mut output);
                reopen_failed = reopened.is_err(); // for example because no descriptor is free now
                if let Err(error) = reopened
                    && reopen
                {
                    warn(&format!("cannot reopen the access log: {error}; lines go to the old file until it can"));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that writes a log.
#[derive(Debug)]
pub(crate) struct Writer {
    log: Arc<AccessLog>,
    /// In a mutex, so that a running server is `Sync`.
    ended: Mutex<Receiver<()>>,
}

impl Writer {
    pub(crate) fn start(Log { format, output }: Log, messages: Arc<Messages>) -> io::Result<Writer> {
        let log = Arc::new(AccessLog::new(format));
        let (end, ended) = mpsc::channel();
        let queue = log.clone();
        let write = move || {
            queue.write_to(output, FLUSH_INTERVAL, Output::reopen, |message| messages.send(message));
            end.send(())
        };
        thread::Builder::new().name("access-log".into()).spawn(write)?;
        Ok(Writer { log, ended: Mutex::new(ended) })
    }

    pub(crate) fn log(&self) -> Arc<AccessLog> {
        self.log.clone()
    }

    /// Writes the lines that wait, unless the log's reader does not read. Returns how many lines were dropped.
    pub(crate) fn finish(self) -> u64 {
        self.log.close();
        let _ = self.ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(DRAIN_TIMEOUT);
        self.log.unwritten()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.log.close();
    }
}

#[cfg(test)]
mod tests {
    use super::format::tests::{pending, record};
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    #[test]
    fn every_line_is_written_before_the_log_ends() {
        let log = Arc::new(AccessLog::new(LogFormat::Common));
        let writer = thread::spawn({
            let log = log.clone();
            move || {
                let mut out = Vec::new();
                log.write_to(Output::new(&mut out), FLUSH_INTERVAL, |_| Ok(()), |message| panic!("{message}"));
                (out, log.unwritten())
            }
        });
        for _ in 0..100 {
            log.record(&record(&pending(b"GET / HTTP/1.0")));
        }
        log.close();
        let (out, dropped) = writer.join().unwrap();
        assert_eq!((out.iter().filter(|&&c| c == b'\n').count(), dropped), (100, 0));
    }

    /// A disk with room for this many bytes. It reports each attempt to write.
    struct Disk {
        room: Arc<Mutex<usize>>,
        tried: Sender<()>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut room = self.room.lock().unwrap();
            let n = bytes.len().min(*room);
            *room -= n;
            let _ = self.tried.send(());
            if n == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(n) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_at_the_threshold_before_time_passes() {
        let log = Arc::new(AccessLog::new(LogFormat::Common));
        let room = Arc::new(Mutex::new(usize::MAX));
        let (tried, attempts) = channel();
        let output = Output::new(Disk { room: room.clone(), tried });
        let writer = thread::spawn({
            let log = log.clone();
            move || log.write_to(output, Duration::from_secs(3600), |_| Ok(()), |message| panic!("{message}"))
        });
        (0..1000).for_each(|_| log.record(&record(&pending(b"GET / HTTP/1.0"))));
        attempts.recv_timeout(Duration::from_secs(60)).expect("it waits for the interval");
        assert!(usize::MAX - *room.lock().unwrap() >= FLUSH_THRESHOLD);
        log.close();
        writer.join().unwrap();
    }

    #[test]
    fn dropped_lines_are_counted_when_nothing_can_be_written() {
        let log = AccessLog::new(LogFormat::Common);
        while log.lock().lines.len() < QUEUE_CAPACITY {
            log.record(&record(&pending(b"GET / HTTP/1.0")));
        }
        let waiting = log.lock().lines.iter().filter(|&&c| c == b'\n').count() as u64;
        log.record(&record(&pending(b"GET / HTTP/1.0")));
        log.close();
        let (tried, _) = channel();
        log.write_to(Output::new(Disk { room: Arc::default(), tried }), FLUSH_INTERVAL, |_| Ok(()), |_| ());
        assert_eq!(log.unwritten(), waiting + 1);
    }

    #[test]
    fn full_disk_is_reported_once_and_recovery_once() {
        let log = Arc::new(AccessLog::new(LogFormat::Common));
        let room = Arc::new(Mutex::new(100)); // one line and part of another
        let (tried, attempts) = channel();
        let (warnings, messages) = channel();
        let output = Output::new(Disk { room: room.clone(), tried });
        let writer = thread::spawn({
            let log = log.clone();
            let warn = move |message: &str| warnings.send(message.to_owned()).unwrap();
            move || log.write_to(output, FLUSH_INTERVAL, |_| Ok(()), warn)
        });
        for _ in 0..3 {
            (0..3).for_each(|_| log.record(&record(&pending(b"GET / HTTP/1.0"))));
            attempts.recv().unwrap(); // the disk is full, or becomes so
            while attempts.recv_timeout(Duration::from_millis(200)).is_ok() {}
        }
        assert_eq!(log.unwritten(), 8);
        *room.lock().unwrap() = 1 << 20;
        log.record(&record(&pending(b"GET / HTTP/1.0")));
        let messages: Vec<String> = messages.iter().take(2).collect();
        assert!(messages[0].starts_with("cannot write the access log: "), "{messages:?}");
        assert_eq!(messages[1], "the access log can be written again; 7 lines were lost");
        log.close();
        writer.join().unwrap();
        assert_eq!(log.unwritten(), 7, "the partial line was finished");
    }
}
