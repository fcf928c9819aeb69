//! The access log: one line a request, written by a thread of its own behind a bounded buffer. A log that cannot be
//! written loses lines, which are counted; it never stops the service.

mod format;
mod output;
mod pending;

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use self::format::{TimestampCache, longest_line};
use self::output::Output;

use crate::messages::Messages;

pub(crate) use self::format::Entry;
pub(crate) use self::pending::{PendingRecord, draft_memory};

/// What a log says of each request, and where.
///
/// Nothing that a peer sends can end a line or stand in it but as printable ASCII. A thread of its own writes, within
/// 100 ms; when it cannot keep up, or cannot write, lines are lost and [counted](crate::Stats::dropped_log_lines).
///
/// ```
/// use http_server::{Log, LogFormat, Response, Request, Server};
///
/// # let directory = std::env::temp_dir().join(format!("log-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// let log = Log::to_file(LogFormat::Combined, &directory.join("access.log"))?;
/// let server = Server::bind("127.0.0.1:0")?.log(log);
/// let running = server.start(|_: &Request<'_>| Response::text("hello\n"))?;
/// // Whoever has moved the file away:
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

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// The Common Log Format: `client - user [date] "request line" status bytes`, the bytes those of the body that were
    /// sent. Quotes and backslashes stand behind a backslash; bytes that are not printable ASCII as `\xff`, and so does a
    /// blank in the name of a user.
    Common,
    /// The same, and `"referer" "user agent"` behind it.
    Combined,
    /// A JSON object: `time` (RFC 3339), `client`, `peer` where that is another, `user`, `request` (the request line),
    /// `status`, `sent` (bytes of body), `duration_ms`, `end`, `referer`, `user_agent`; `null` for a text that is not
    /// there. A byte beyond ASCII is the character with its number.
    ///
    /// The duration runs from the first byte of a request, or from the accept for the first of a connection, until the
    /// kernel has the last byte of the reply; it is as coarse as the kernel's tick. How it ended is one of `complete`, `client-abort`, `head-timeout`, `body-timeout`,
    /// `slow-send`, `file-changed`, `no-room` (told 503), `unread` (what its client did not read had no room),
    /// `shutdown` and `failed`.
    Json,
}

impl Log {
    /// To standard error.
    ///
    /// # Errors
    /// Of the system, if it has no descriptor left.
    pub fn to_standard_error(format: LogFormat) -> io::Result<Log> {
        Ok(Log { format, output: Output::standard_error()? })
    }

    /// To a file, behind what it holds; it is made, with mode 0640, if it is not there. What is wrong with it later, a
    /// full disk for one, is said on standard error once, and once more when it is over.
    ///
    /// # Errors
    /// Of the system.
    pub fn to_file(format: LogFormat, path: &Path) -> io::Result<Log> {
        Ok(Log { format, output: Output::file(path)? })
    }
}

/// Opens the file of a log anew; see [`RunningServer::log_handle`](crate::RunningServer::log_handle).
#[derive(Clone, Debug)]
pub struct LogHandle(pub(crate) Option<Arc<AccessLog>>);

impl LogHandle {
    /// Has the file of the same name opened before any further line is written, since the one before may have been moved
    /// away. It returns at once. If that fails, lines go on to the old one until it can be opened, and
    /// standard error says so.
    pub fn reopen(&self) {
        if let Some(log) = &self.0 {
            log.lock().reopen = true;
            log.changed.notify_one();
        }
    }
}

/// Bytes of lines that may wait to be written.
const ROOM: usize = 1 << 20;
/// What the lines that wait, those that are written and one that was torn may take where heads have this many bytes: each
/// buffer may have grown by doubling.
pub(crate) fn memory(head: usize) -> usize {
    4 * (ROOM + longest_line(head)) + 2 * longest_line(head)
}
/// How long lines are gathered before they are written, unless there are so many bytes of them.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
const FLUSH_THRESHOLD: usize = 64 << 10;
/// How long the end of the server waits for whoever reads the last lines.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Where lines go on their way to the writer.
#[derive(Debug)]
pub(crate) struct AccessLog {
    pub(crate) format: LogFormat,
    lines: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug)]
struct Queue {
    waiting: Vec<u8>,
    stamp: TimestampCache,
    recorded: u64,
    written: u64,
    /// Of those that the writer has tried.
    lost: u64,
    reopen: bool,
    closed: bool,
}

impl AccessLog {
    fn new(format: LogFormat) -> AccessLog {
        let stamp = TimestampCache::new(format);
        let lines =
            Queue { waiting: Vec::new(), stamp, recorded: 0, written: 0, lost: 0, reopen: false, closed: false };
        AccessLog { format, lines: Mutex::new(lines), changed: Condvar::new() }
    }

    /// One whose lines grow into room that is there.
    #[cfg(test)]
    pub(crate) fn with_room(format: LogFormat) -> AccessLog {
        let log = AccessLog::new(format);
        log.lock().waiting.reserve(ROOM);
        log
    }

    /// Adds a line, or drops it when the writer is too far behind. It never waits for the writer.
    pub(crate) fn record(&self, entry: &Entry<'_>) {
        let mut lines = self.lock();
        lines.recorded += 1;
        if lines.waiting.len() >= ROOM {
            return;
        }
        let Queue { waiting, stamp, .. } = &mut *lines;
        let before = waiting.len();
        format::write(waiting, entry, stamp);
        let enough = before < FLUSH_THRESHOLD && waiting.len() >= FLUSH_THRESHOLD;
        drop(lines);
        if before == 0 || enough {
            self.changed.notify_one();
        }
    }

    /// Lets the writer write what waits, and end.
    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Queue that are lost already; others still wait. It never goes down.
    pub(crate) fn dropped_so_far(&self) -> u64 {
        self.lock().lost
    }

    /// Queue that were recorded and not written.
    fn lost(&self) -> u64 {
        let lines = self.lock();
        lines.recorded - lines.written
    }

    /// Writes lines until the log is closed; says when it cannot, and when it can again.
    fn write_to<W: Write>(
        &self,
        mut output: Output<W>,
        gather: Duration,
        reopen_output: impl Fn(&mut Output<W>) -> io::Result<()>,
        say: impl Fn(String),
    ) {
        let mut writing = Vec::new();
        let (mut is_failing, mut lost) = (false, 0);
        let mut is_overdue = false;
        loop {
            let lines = self.lock();
            let is_idle = |lines: &mut Queue| lines.waiting.is_empty() && !lines.closed && !lines.reopen;
            let lines = self.changed.wait_while(lines, is_idle).unwrap_or_else(PoisonError::into_inner);
            let gathers = |lines: &mut Queue| lines.waiting.len() < FLUSH_THRESHOLD && !lines.closed && !lines.reopen;
            let gathered = self.changed.wait_timeout_while(lines, gather, gathers);
            let (mut lines, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut lines.waiting, &mut writing);
            let (closed, reopen) = (lines.closed, std::mem::take(&mut lines.reopen));
            let missing = lines.recorded - lines.written;
            drop(lines);
            let is_last = closed && writing.is_empty();

            let (written, result) = output.write(&mut writing);
            writing.clear();
            let mut lines = self.lock();
            lines.written += written;
            lines.lost = lines.lost.max(missing - written); // a torn line is lost until it is finished
            drop(lines);
            match result {
                Ok(()) if written > 0 => {
                    if is_failing {
                        say(format!(
                            "the access log is written again; {} of its lines were lost",
                            missing - written - lost
                        ));
                    }
                    (is_failing, lost) = (false, missing - written);
                }
                Err(error) if !is_failing => {
                    say(format!(
                        "cannot write the access log: {error}; its lines are lost until it can be written again"
                    ));
                    is_failing = true;
                }
                _ => {}
            }
            if is_last {
                return;
            }
            if reopen || is_overdue {
                // There may be no descriptor now, and one later.
                let opened = reopen_output(&mut output);
                is_overdue = opened.is_err();
                if let Err(error) = opened
                    && reopen
                {
                    say(format!(
                        "cannot open the access log anew: {error}; its lines go on to where they went until it can"
                    ));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that writes a log.
#[derive(Debug)]
pub(crate) struct Writer {
    log: Arc<AccessLog>,
    ended: Receiver<()>,
}

impl Writer {
    pub(crate) fn start(Log { format, output }: Log, messages: Arc<Messages>) -> io::Result<Writer> {
        let log = Arc::new(AccessLog::new(format));
        let (end, ended) = mpsc::channel();
        let lines = log.clone();
        let write = move || {
            lines.write_to(output, FLUSH_INTERVAL, Output::reopen, |what| messages.send(&what));
            end.send(())
        };
        thread::Builder::new().name("access-log".into()).spawn(write)?;
        Ok(Writer { log, ended })
    }

    pub(crate) fn log(&self) -> Arc<AccessLog> {
        self.log.clone()
    }

    /// Writes what waits, unless nobody reads it; returns how many lines were lost.
    pub(crate) fn finish(self) -> u64 {
        self.log.close();
        let _ = self.ended.recv_timeout(DRAIN_TIMEOUT);
        self.log.lost()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.log.close();
    }
}

#[cfg(test)]
mod tests {
    use super::format::tests::entry;
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    #[test]
    fn every_line_is_written_before_the_end() {
        let log = Arc::new(AccessLog::new(LogFormat::Common));
        let writer = thread::spawn({
            let log = log.clone();
            move || {
                let mut out = Vec::new();
                log.write_to(Output::new(&mut out), FLUSH_INTERVAL, |_| Ok(()), |what| panic!("{what}"));
                (out, log.lost())
            }
        });
        for _ in 0..100 {
            log.record(&entry(b"GET / HTTP/1.0"));
        }
        log.close();
        let (out, lost) = writer.join().unwrap();
        assert_eq!((out.iter().filter(|&&c| c == b'\n').count(), lost), (100, 0));
    }

    /// Takes so many bytes and then none, and tells of each try.
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
    fn many_lines_are_written_before_there_is_no_room_for_more() {
        let log = Arc::new(AccessLog::new(LogFormat::Common));
        let room = Arc::new(Mutex::new(usize::MAX));
        let (tried, tries) = channel();
        let output = Output::new(Disk { room: room.clone(), tried });
        let writer = thread::spawn({
            let log = log.clone();
            move || log.write_to(output, Duration::from_secs(3600), |_| Ok(()), |what| panic!("{what}"))
        });
        (0..1000).for_each(|_| log.record(&entry(b"GET / HTTP/1.0")));
        tries.recv_timeout(Duration::from_secs(60)).expect("it waits for time to pass");
        assert!(usize::MAX - *room.lock().unwrap() >= FLUSH_THRESHOLD);
        log.close();
        writer.join().unwrap();
    }

    #[test]
    fn a_log_that_cannot_be_written_loses_lines_and_counts_them() {
        let log = AccessLog::new(LogFormat::Common);
        while log.lock().waiting.len() < ROOM {
            log.record(&entry(b"GET / HTTP/1.0"));
        }
        let waiting = log.lock().waiting.iter().filter(|&&c| c == b'\n').count() as u64;
        log.record(&entry(b"GET / HTTP/1.0"));
        log.close();
        let (tried, _) = channel();
        log.write_to(Output::new(Disk { room: Arc::default(), tried }), FLUSH_INTERVAL, |_| Ok(()), |_| ());
        assert_eq!(log.lost(), waiting + 1);
    }

    #[test]
    fn a_disk_that_fills_is_told_of_once_and_once_when_there_is_room() {
        let log = Arc::new(AccessLog::new(LogFormat::Common));
        let room = Arc::new(Mutex::new(100)); // a line and a part of another
        let (tried, tries) = channel();
        let (says, said) = channel();
        let output = Output::new(Disk { room: room.clone(), tried });
        let writer = thread::spawn({
            let log = log.clone();
            move || log.write_to(output, FLUSH_INTERVAL, |_| Ok(()), |what| says.send(what).unwrap())
        });
        for _ in 0..3 {
            (0..3).for_each(|_| log.record(&entry(b"GET / HTTP/1.0")));
            tries.recv().unwrap(); // the disk is full, or becomes so
            while tries.recv_timeout(Duration::from_millis(200)).is_ok() {}
        }
        assert_eq!(log.lost(), 8);
        *room.lock().unwrap() = 1 << 20;
        log.record(&entry(b"GET / HTTP/1.0"));
        let said: Vec<String> = said.iter().take(2).collect();
        assert!(said[0].starts_with("cannot write the access log: "), "{said:?}");
        assert_eq!(said[1], "the access log is written again; 7 of its lines were lost");
        log.close();
        writer.join().unwrap();
        assert_eq!(log.lost(), 7, "what was torn is whole");
    }
}
