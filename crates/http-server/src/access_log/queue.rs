//! The lines that wait for the writer, and the count of all lines: each is written, lost, or on its way. A line is lost
//! at the moment when that is known, and never counted twice.

use std::io;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memchr::{memchr, memchr_iter, memrchr};

use super::format::{Record, TimestampCache, format_record};
use super::log_format::LogFormat;
use super::output::Output;

/// Bytes of lines that may wait to be written.
const CAPACITY: usize = 1 << 20;
/// Lines are written when the first has waited this long, or when this many bytes wait.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
pub(super) const FLUSH_THRESHOLD: usize = 64 << 10;

/// The most bytes of memory of a queue: as many bytes as wait may have been taken and not removed yet, and the buffer may
/// have doubled.
pub(super) fn memory(max_line: usize) -> usize {
    4 * (CAPACITY + max_line)
}

/// Passes lines to the threads that write them.
#[derive(Debug)]
pub(crate) struct AccessLog {
    pub(crate) format: LogFormat,
    pub(super) destination: Destination,
    pub(super) flush_interval: Duration,
    state: Mutex<State>,
    /// Wakes the thread that writes, and the one that waits for the end.
    pub(super) changed: Condvar,
    /// Wakes the threads that do not write.
    pub(super) spare: Condvar,
}

/// Where the lines go.
#[derive(Debug)]
pub(super) enum Destination {
    StandardError,
    StandardOutput,
    /// A file, which can be reopened.
    File(PathBuf),
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) queue: Queue,
    timestamps: TimestampCache,
    /// `None`: a thread writes to it.
    pub(super) output: Option<Output>,
    /// Device and inode of the current output.
    pub(super) identity: Option<(u64, u64)>,
    /// Counts outputs. A thread that still writes to an earlier one gives that up.
    pub(super) generation: u64,
    /// A thread waits until the lines that wait now are written, to replace the output.
    pub(super) flush: bool,
    /// When the file is to be opened again.
    pub(super) reopen_at: Option<Instant>,
    /// Somebody asked for that, so a failure is reported.
    pub(super) reopen_asked: bool,
    /// The log is too slow, which has not been reported yet.
    pub(super) overflowed: bool,
    pub(super) closed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    /// The bytes before this have been taken.
    taken: usize,
    recorded: u64,
    written: u64,
    lost: u64,
    /// While lines are being lost: how many were lost before.
    lost_before: Option<u64>,
    /// Nothing is counted as written any more.
    ended: bool,
}

impl AccessLog {
    pub(super) fn new(format: LogFormat, destination: Destination, output: Output) -> AccessLog {
        let state = State {
            queue: Queue::default(),
            timestamps: TimestampCache::new(format),
            identity: output.identity,
            output: Some(output),
            generation: 0,
            flush: false,
            reopen_at: None,
            reopen_asked: false,
            overflowed: false,
            closed: false,
        };
        AccessLog {
            format,
            destination,
            flush_interval: FLUSH_INTERVAL,
            state: Mutex::new(state),
            changed: Condvar::new(),
            spare: Condvar::new(),
        }
    }

    /// A log whose queue does not grow.
    #[cfg(test)]
    pub(crate) fn with_full_capacity(format: LogFormat) -> AccessLog {
        let log = AccessLog::new(format, Destination::StandardError, Output::new(io::sink()));
        log.lock().queue.bytes.reserve(CAPACITY);
        log
    }

    /// Adds the line of a request. It never waits for the writer.
    pub(crate) fn record(&self, record: &Record<'_>) {
        self.push(|timestamps, out| format_record(record, timestamps, out));
    }

    pub(super) fn add_line(&self, line: &str) {
        self.push(|_, out| {
            out.extend(line.bytes().map(|c| if c == b'\n' { b' ' } else { c }));
            out.push(b'\n');
        });
    }

    /// Adds a line, or counts it as lost when the writer is too far behind or has ended.
    fn push(&self, format: impl FnOnce(&mut TimestampCache, &mut Vec<u8>)) {
        let mut state = self.lock();
        let State { queue, timestamps, closed, overflowed, .. } = &mut *state;
        let before = queue.waiting();
        queue.recorded += 1;
        if *closed || before >= CAPACITY {
            let is_first = queue.lost_before.is_none() && !*closed;
            if is_first {
                (queue.lost_before, *overflowed) = (Some(queue.lost), true);
            }
            queue.lost += 1;
            drop(state);
            if is_first {
                self.spare.notify_one();
            }
            return;
        }
        format(timestamps, &mut queue.bytes);
        let reached_threshold = before < FLUSH_THRESHOLD && queue.waiting() >= FLUSH_THRESHOLD;
        drop(state);
        if before == 0 || reached_threshold {
            self.changed.notify_one();
        }
    }

    pub(super) fn ask_to_reopen(&self) {
        if let Destination::File(_) = self.destination {
            let mut state = self.lock();
            (state.reopen_at, state.reopen_asked) = (Some(Instant::now()), true);
            drop(state);
            self.spare.notify_one();
        }
    }

    /// Lets the threads write the lines that wait, and then end. Lines that come later are lost.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
        self.spare.notify_all();
    }

    /// Waits until each line is written or lost, but no longer than this. Then the rest is lost.
    pub(super) fn wait_for_end(&self, timeout: Duration) {
        let state = self.lock();
        let mut state = self.wait_until_settled(state, timeout);
        let queue = &mut state.queue;
        queue.lost = queue.recorded - queue.written;
        queue.ended = true;
        (queue.bytes, queue.taken) = (Vec::new(), 0);
    }

    /// Waits until each line of now is written or lost, but no longer than this.
    pub(super) fn wait_until_settled<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        timeout: Duration,
    ) -> MutexGuard<'a, State> {
        let recorded = state.queue.recorded;
        let is_waiting = |state: &mut State| state.queue.written + state.queue.lost < recorded;
        let settled = self.changed.wait_timeout_while(state, timeout, is_waiting);
        settled.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Lines that were lost so far. It never decreases.
    pub(crate) fn lost(&self) -> u64 {
        self.lock().queue.lost
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// Whether lines have been lost and the writer has not caught up since.
    pub(super) fn is_losing(&self) -> bool {
        self.lost_before.is_some()
    }

    /// Moves whole lines of at most `limit` bytes, or one that is longer, to `piece`, and returns their number.
    pub(super) fn take(&mut self, limit: usize, piece: &mut Vec<u8>) -> u64 {
        let waiting = &self.bytes[self.taken..];
        let last_end = memrchr(b'\n', &waiting[..limit.min(waiting.len())]).or_else(|| memchr(b'\n', waiting));
        let lines = &waiting[..last_end.map_or(0, |at| at + 1)];
        let count = memchr_iter(b'\n', lines).count() as u64;
        piece.extend_from_slice(lines);
        self.taken += lines.len();
        // So each byte is moved once at most, on average.
        if self.taken >= self.waiting() {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        count
    }

    /// Counts lines that a thread took, and returns a message if that is the first failure, or the first success after
    /// one.
    pub(super) fn settle(&mut self, written: u64, lost: u64, result: &io::Result<()>) -> Option<String> {
        if self.ended {
            return None;
        }
        let before = self.lost;
        self.written += written;
        self.lost += lost;
        match (result, self.lost_before) {
            (Err(error), None) => {
                self.lost_before = Some(before);
                Some(format!("cannot write the access log: {error}; lines are lost until it can be written again"))
            }
            (Ok(()), Some(before)) if written > 0 && self.waiting() < FLUSH_THRESHOLD => {
                self.lost_before = None;
                Some(match self.lost - before {
                    1 => "the access log can be written again; 1 line was lost".into(),
                    lost => format!("the access log can be written again; {lost} lines were lost"),
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::tests::{pending, record};
    use super::*;

    fn log() -> AccessLog {
        AccessLog::new(LogFormat::Common, Destination::StandardError, Output::new(io::sink()))
    }

    #[test]
    fn line_is_counted_as_lost_when_it_is_dropped() {
        let log = log();
        while log.lock().queue.waiting() < CAPACITY {
            log.record(&record(&pending(b"GET / HTTP/1.0")));
        }
        assert_eq!(log.lost(), 0);
        for n in 1..=3 {
            log.record(&record(&pending(b"GET / HTTP/1.0")));
            assert_eq!(log.lost(), n, "no thread writes");
        }
        let recorded = log.lock().queue.recorded;
        log.close();
        log.record(&record(&pending(b"GET / HTTP/1.0")));
        assert_eq!(log.lost(), 4, "nobody will write it");
        log.wait_for_end(Duration::ZERO);
        assert_eq!(log.lost(), recorded + 1);
        log.record(&record(&pending(b"GET / HTTP/1.0")));
        assert_eq!(log.lost(), recorded + 2);
    }

    // However the pieces are cut.
    #[test]
    fn pieces_are_whole_lines_in_order() {
        for limit in 1..40 {
            let (log, mut all, mut pieces) = (log(), String::new(), Vec::new());
            for round in 0..20 {
                for length in [3, 0, 17, 1, 8] {
                    let line = format!("{round}{}", "x".repeat(length));
                    log.add_line(&line);
                    all += &format!("{line}\n");
                }
                let (before, queue) = (pieces.len(), &mut log.lock().queue);
                let lines = queue.take(limit, &mut pieces);
                let piece = &pieces[before..];
                assert!(lines == 1 || piece.len() <= limit, "{limit}");
                assert!(piece.ends_with(b"\n") && piece.iter().filter(|&&c| c == b'\n').count() as u64 == lines);
            }
            let queue = &mut log.lock().queue;
            while queue.take(limit, &mut pieces) > 0 {}
            assert_eq!(String::from_utf8(pieces).unwrap(), all);
            assert_eq!(queue.take(limit, &mut Vec::new()), 0);
        }
    }

    #[test]
    fn added_line_stays_one_line() {
        let log = log();
        log.add_line("a\nb");
        let mut piece = Vec::new();
        assert_eq!((log.lock().queue.take(99, &mut piece), &*piece), (1, &b"a b\n"[..]));
    }
}
