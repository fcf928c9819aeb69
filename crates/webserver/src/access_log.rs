//! The access log: one line a request, in the Common Log Format, written by a thread of its own behind a bounded
//! buffer. A log that cannot be written loses lines, which are counted; it never stops the service.

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
/// What the lines that wait and those that are written may take: each buffer may have grown by doubling.
pub(crate) const MEMORY: usize = 4 * ROOM;
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
    stamp: Stamp,
    recorded: u64,
    written: u64,
    /// For want of room, or because they could not be written.
    lost: u64,
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
            lines.lost += 1;
            return;
        }
        let was_empty = lines.waiting.is_empty();
        let Lines { waiting, stamp, .. } = &mut *lines;
        write_line(waiting, entry, stamp);
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

    /// Lines that are lost already; others still wait.
    pub(crate) fn lost_so_far(&self) -> u64 {
        self.lock().lost
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
            let written = out.write_all(&writing).and_then(|()| out.flush());
            let count = writing.iter().filter(|&&octet| octet == b'\n').count() as u64;
            let mut lines = self.lock();
            *if written.is_ok() { &mut lines.written } else { &mut lines.lost } += count;
            drop(lines);
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

/// The last date that was written, as it stands in a line: many lines are of one second.
#[derive(Debug, Default)]
struct Stamp(Option<(Date, [u8; STAMP.len()])>);

const STAMP: &[u8] = b" - - [00/Jan/0000:00:00:00 +0000] \"";

impl Stamp {
    fn of(&mut self, date: Date) -> &[u8] {
        if self.0.is_none_or(|(last, _)| last != date) {
            let text = date.text();
            let text = text.as_bytes(); // Sun, 06 Nov 1994 08:49:37 GMT
            let mut stamp = [0; STAMP.len()];
            stamp.copy_from_slice(STAMP);
            for (at, from) in [(6, 5..7), (9, 8..11), (13, 12..16), (18, 17..25)] {
                stamp[at..at + from.len()].copy_from_slice(&text[from]);
            }
            self.0 = Some((date, stamp));
        }
        self.0.as_ref().map_or(STAMP, |(_, stamp)| stamp)
    }
}

/// `host - - [date] "request line" status octets`, without the machinery of `format!`: 35 ns instead of 190.
fn write_line(out: &mut Vec<u8>, entry: &Entry<'_>, stamp: &mut Stamp) {
    match entry.peer {
        IpAddr::V4(peer) => {
            for (n, part) in peer.octets().into_iter().enumerate() {
                if n > 0 {
                    out.push(b'.');
                }
                push_decimal(part.into(), out);
            }
        }
        IpAddr::V6(peer) => {
            let _ = write!(out, "{peer}"); // writing to a Vec does not fail
        }
    }
    out.extend_from_slice(stamp.of(entry.date));
    escape(entry.line, out);
    out.extend_from_slice(b"\" ");
    push_decimal(entry.status.code().into(), out);
    out.push(b' ');
    push_decimal(entry.sent, out);
    out.push(b'\n');
}

fn push_decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = *b"18446744073709551615";
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break out.extend_from_slice(&digits[at..]);
        }
    }
}

/// Nothing that a peer sends can end a line, close a quote or reach a terminal (R1945-12.3, V16).
fn escape(mut octets: &[u8], out: &mut Vec<u8>) {
    let is_special = |c: &u8| !matches!(c, b' '..=b'~') || matches!(c, b'"' | b'\\');
    while let Some(at) = octets.iter().position(is_special) {
        let (plain, rest) = octets.split_at(at);
        out.extend_from_slice(plain);
        match rest[0] {
            c @ (b'"' | b'\\') => out.extend([b'\\', c]),
            c => out.extend([b'\\', b'x', HEX[usize::from(c >> 4)], HEX[usize::from(c & 15)]]),
        }
        octets = &rest[1..];
    }
    out.extend_from_slice(octets);
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;
    use allocation_counter::measure;

    fn entry(line: &[u8]) -> Entry<'_> {
        let date = Date::from_unix(784_111_777).unwrap();
        Entry { peer: IpAddr::from([127, 0, 0, 1]), date, line, status: Status::OK, sent: 12 }
    }

    // R1945-12.3, V16
    #[test]
    fn a_line_stays_one_line() {
        let mut out = Vec::new();
        write_line(&mut out, &entry(b"GET /\x1b[2J\"\\\r\x80 HTTP/1.0"), &mut Stamp::default());
        let expected =
            "127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] \"GET /\\x1b[2J\\\"\\\\\\x0d\\x80 HTTP/1.0\" 200 12\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    // A stamp is used again for its own second alone.
    #[test]
    fn lines_of_all_peers_dates_and_numbers() {
        let (mut out, mut stamp) = (Vec::new(), Stamp::default());
        let peers = ["0.10.255.1", "2001:db8::1", "::"];
        for (n, (peer, seconds)) in peers.into_iter().zip([784_111_777, 784_111_777, 951_782_400]).enumerate() {
            let date = Date::from_unix(seconds).unwrap();
            let sent = [0, 10, u64::MAX][n];
            let entry = Entry { peer: peer.parse().unwrap(), date, line: b"", status: Status::NOT_FOUND, sent };
            write_line(&mut out, &entry, &mut stamp);
        }
        let expected = "0.10.255.1 - - [06/Nov/1994:08:49:37 +0000] \"\" 404 0\n\
                        2001:db8::1 - - [06/Nov/1994:08:49:37 +0000] \"\" 404 10\n\
                        :: - - [29/Feb/2000:00:00:00 +0000] \"\" 404 18446744073709551615\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_line_allocates_nothing() {
        let log = AccessLog::default();
        log.lock().waiting.reserve(1000);
        let measured = measure(|| log.record(&entry(b"GET /\xff HTTP/1.0")));
        assert_eq!(measured.count_total, 0);
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
        assert_eq!((out.iter().filter(|&&c| c == b'\n').count(), lost, log.lost_so_far()), (100, 0, 0));
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
        assert_eq!(log.lost_so_far(), 0);
        log.record(&entry(b"GET / HTTP/1.0"));
        assert_eq!(log.lost_so_far(), 1);
        log.close();
        log.write_to(Full);
        assert_eq!((log.lost(), log.lost_so_far()), (waiting + 1, waiting + 1));
    }
}
