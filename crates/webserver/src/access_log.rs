//! The access log: one line a request, in the Common Log Format, written by a thread of its own behind a bounded
//! buffer. A log that cannot be written loses lines, which are counted; it never stops the service.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use http_core::{Date, Status};

/// Octets of lines that may wait to be written.
const ROOM: usize = 1 << 20;
/// How long lines are gathered before they are written.
const GATHER: Duration = Duration::from_millis(50);
/// How long the end of the server waits for whoever reads the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where lines go on their way to the writer.
#[derive(Debug, Default)]
pub(crate) struct AccessLog {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    waiting: Vec<u8>,
    recorded: u64,
    written: u64,
    closed: bool,
}

/// What is to be said of one request.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) peer: IpAddr,
    pub(crate) date: Date,
    /// The request line, as it came.
    pub(crate) line: &'a [u8],
    pub(crate) status: Status,
    /// Octets of body that were sent.
    pub(crate) sent: u64,
}

impl AccessLog {
    /// Adds a line, or drops it when the writer is too far behind. It never waits for the writer.
    pub(crate) fn record(&self, entry: &Entry<'_>) {
        let mut lines = self.lock();
        lines.recorded += 1;
        if lines.waiting.len() >= ROOM {
            return;
        }
        let was_empty = lines.waiting.is_empty();
        write_line(&mut lines.waiting, entry);
        drop(lines);
        if was_empty {
            self.changed.notify_one();
        }
    }

    /// Lets the writer write what waits, and end.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Lines that were recorded and not written.
    pub(crate) fn lost(&self) -> u64 {
        let lines = self.lock();
        lines.recorded - lines.written
    }

    /// Writes lines until the log is closed.
    pub(crate) fn write_to(&self, mut out: impl Write) {
        let mut writing = Vec::new();
        loop {
            let lines = self.lock();
            let waiting = self.changed.wait_while(lines, |lines| lines.waiting.is_empty() && !lines.closed);
            let closed = waiting.unwrap_or_else(PoisonError::into_inner).closed;
            if !closed {
                thread::sleep(GATHER);
            }
            let mut lines = self.lock();
            std::mem::swap(&mut lines.waiting, &mut writing);
            drop(lines);
            if out.write_all(&writing).and_then(|()| out.flush()).is_ok() {
                self.lock().written += writing.iter().filter(|&&octet| octet == b'\n').count() as u64;
            }
            if closed && writing.is_empty() {
                return;
            }
            writing.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that writes a log to standard error.
#[derive(Debug)]
pub(crate) struct Writer {
    log: Arc<AccessLog>,
    ended: Receiver<()>,
}

impl Writer {
    pub(crate) fn start(log: Arc<AccessLog>) -> io::Result<Writer> {
        // A descriptor of our own: who waits for its reader must not hold the lock that a panic's message needs.
        let out = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let (end, ended) = mpsc::channel();
        let lines = log.clone();
        let write = move || {
            lines.write_to(out);
            end.send(())
        };
        thread::Builder::new().name("access-log".into()).spawn(write)?;
        Ok(Writer { log, ended })
    }

    /// Writes what waits, unless nobody reads it; returns how many lines were lost.
    pub(crate) fn finish(self) -> u64 {
        self.log.close();
        let _ = self.ended.recv_timeout(LAST_LINES);
        self.log.lost()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.log.close();
    }
}

/// `host - - [date] "request line" status octets`
fn write_line(out: &mut Vec<u8>, entry: &Entry<'_>) {
    let text = entry.date.text();
    let date = text.as_str(); // Sun, 06 Nov 1994 08:49:37 GMT
    let (day, month, year, time) = (&date[5..7], &date[8..11], &date[12..16], &date[17..25]);
    let mut line = String::with_capacity(128);
    // Writing to a String does not fail.
    let _ = write!(line, "{} - - [{day}/{month}/{year}:{time} +0000] \"", entry.peer);
    escape(entry.line, &mut line);
    let _ = writeln!(line, "\" {} {}", entry.status.code(), entry.sent);
    out.extend_from_slice(line.as_bytes());
}

/// Nothing that a peer sends can end a line, close a quote or reach a terminal (R1945-12.3, V16).
fn escape(octets: &[u8], out: &mut String) {
    for &octet in octets {
        match octet {
            b'"' | b'\\' => out.extend(['\\', char::from(octet)]),
            b' '..=b'~' => out.push(char::from(octet)),
            _ => {
                let _ = write!(out, "\\x{octet:02x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: &[u8]) -> Entry<'_> {
        let date = Date::from_unix(784_111_777).unwrap();
        Entry { peer: IpAddr::from([127, 0, 0, 1]), date, line, status: Status::OK, sent: 12 }
    }

    // R1945-12.3, V16
    #[test]
    fn a_line_stays_one_line() {
        let mut out = Vec::new();
        write_line(&mut out, &entry(b"GET /\x1b[2J\"\\\r\x80 HTTP/1.0"));
        let expected =
            "127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] \"GET /\\x1b[2J\\\"\\\\\\x0d\\x80 HTTP/1.0\" 200 12\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn every_line_is_written_before_the_end() {
        let log = Arc::new(AccessLog::default());
        let writer = thread::spawn({
            let log = log.clone();
            move || {
                let mut out = Vec::new();
                log.write_to(&mut out);
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

    #[test]
    fn a_log_that_cannot_be_written_loses_lines_and_counts_them() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let log = AccessLog::default();
        while log.lock().waiting.len() < ROOM {
            log.record(&entry(b"GET / HTTP/1.0"));
        }
        let waiting = log.lock().waiting.iter().filter(|&&c| c == b'\n').count() as u64;
        log.record(&entry(b"GET / HTTP/1.0"));
        log.close();
        log.write_to(Full);
        assert_eq!(log.lost(), waiting + 1);
    }
}
