//! The threads of the log. One writes. The others wait: when the file is to be opened again, one of them opens it and
//! writes from then on, so a disk or a reader that holds up the first holds up nothing else. How lines are counted is
//! not decided here.

use std::io;
use std::mem;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Log;
use super::output::Output;
use super::queue::{AccessLog, Destination, FLUSH_THRESHOLD, State};
use crate::messages::Messages;

/// The threads of a log to a file: one that writes, and two others that may be stuck with earlier files.
pub(crate) const WRITERS: usize = 3;
/// How long until a file that could not be opened is tried again.
const REOPEN_INTERVAL: Duration = Duration::from_secs(1);
/// How long the earlier lines may take to reach the earlier file when another takes its place.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(100);
/// How long a server that shuts down waits until its last lines are read.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The most bytes of memory of the threads: lines being written, perhaps one that is longer, and a partial line. Each
/// buffer may have doubled.
pub(super) fn memory(max_line: usize) -> usize {
    WRITERS * 2 * (FLUSH_THRESHOLD + 2 * max_line)
}

/// The threads that write a log. Dropping the value lets them end.
#[derive(Debug)]
pub(crate) struct Writer(Arc<AccessLog>);

impl Writer {
    /// # Errors
    /// From the system, if a thread cannot be started.
    pub(crate) fn start(Log(log): Log, messages: &Arc<Messages>) -> io::Result<Writer> {
        let writer = Writer(log);
        let threads = if let Destination::File(_) = writer.0.destination { WRITERS } else { 1 };
        for _ in 0..threads {
            let (log, messages) = (writer.0.clone(), messages.clone());
            let run = move || log.run(&|message| messages.send(message));
            thread::Builder::new().name("access-log".into()).spawn(run)?;
        }
        Ok(writer)
    }

    pub(crate) fn log(&self) -> Arc<AccessLog> {
        self.0.clone()
    }

    /// Writes the lines that wait, unless the log's reader does not read. Those are lost.
    pub(crate) fn finish(self) {
        self.0.close();
        self.0.wait_for_end(DRAIN_TIMEOUT);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What a thread does next.
enum Task {
    /// Write to this output, the one with this number.
    Write(Output, u64),
    /// Open the file again, in place of the output with this number. A failure is reported if somebody asked for it.
    Reopen {
        generation: u64,
        asked: bool,
    },
    ReportOverflow,
    End,
}

impl AccessLog {
    /// Runs one thread until the log is closed.
    fn run(&self, report: &dyn Fn(&str)) {
        loop {
            match self.next_task() {
                Task::Write(output, generation) => self.write_to(output, generation, report),
                Task::Reopen { generation, asked } => self.reopen(generation, asked, report),
                Task::ReportOverflow => {
                    report("the access log is not written fast enough; lines are lost until it can be written again");
                }
                Task::End => return,
            }
        }
    }

    fn next_task(&self) -> Task {
        let mut state = self.lock();
        loop {
            if let Some(output) = state.output.take() {
                return Task::Write(output, state.generation);
            }
            if state.closed {
                return Task::End;
            }
            let now = Instant::now();
            let wait = state.reopen_at.map(|at| at.saturating_duration_since(now));
            if wait == Some(Duration::ZERO) {
                state.reopen_at = None;
                let asked = mem::take(&mut state.reopen_asked);
                return Task::Reopen { generation: state.generation, asked };
            }
            if mem::take(&mut state.overflowed) && state.queue.is_losing() {
                return Task::ReportOverflow;
            }
            let woken = self.spare.wait_timeout(state, wait.unwrap_or(Duration::MAX));
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Opens the file of the same name, and lets it take the place of the current one.
    fn reopen(&self, generation: u64, asked: bool, report: &dyn Fn(&str)) {
        let Destination::File(path) = &self.destination else { return };
        match Output::file(path) {
            Ok(output) => drop(self.replace_output(generation, output)), // what it drops, it closes, which may take long
            Err(error) => {
                self.lock().reopen_at.get_or_insert_with(|| Instant::now() + REOPEN_INTERVAL);
                if asked {
                    report(&format!("cannot reopen the access log: {error}; lines go to the old file until it can"));
                }
            }
        }
    }

    /// First the lines that wait go to the earlier file, unless that is stuck. Returns the output that is not used: the
    /// earlier one, or this one if it is the same file, whose partial line still has to be finished.
    ///
    /// If another one has taken the place of that with the number `generation` meanwhile, it is not known which was opened
    /// last, so the file is opened once more.
    fn replace_output(&self, generation: u64, output: Output) -> Option<Output> {
        let mut state = self.lock();
        if state.identity != output.identity {
            state.flush = true;
            self.changed.notify_all();
            state = self.wait_until_settled(state, FLUSH_TIMEOUT);
            state.flush = false;
        }
        let unused = if state.identity == output.identity {
            Some(output)
        } else if state.generation != generation {
            state.reopen_at = Some(Instant::now());
            Some(output)
        } else {
            state.identity = output.identity;
            state.generation += 1;
            state.output.replace(output)
        };
        // Also because this thread may have been woken in place of the one that writes.
        self.changed.notify_all();
        self.spare.notify_one();
        unused
    }

    /// Writes lines to the output until another one takes its place or the log is closed.
    fn write_to(&self, mut output: Output, generation: u64, report: &dyn Fn(&str)) {
        let mut piece = Vec::new();
        loop {
            let mut state = self.wait_for_lines(generation);
            let mut left = state.queue.waiting(); // what comes meanwhile is gathered for the next round
            let is_last = state.closed && left == 0;
            while state.generation == generation {
                let lines = state.queue.take(output.piece_length, &mut piece);
                drop(state);
                left = left.saturating_sub(piece.len());
                if let Some(message) = self.write_piece(&mut output, &mut piece, lines) {
                    report(&message);
                }
                state = self.lock();
                if left == 0 {
                    break;
                }
            }
            if is_last || state.generation != generation {
                let partial = u64::from(output.has_partial_line());
                state.queue.settle(0, partial, &Ok(()));
                self.changed.notify_all();
                return;
            }
        }
    }

    /// Writes these lines, and counts them. Returns a message if there is something to report.
    fn write_piece(&self, output: &mut Output, piece: &mut Vec<u8>, lines: u64) -> Option<String> {
        let pending = lines + u64::from(output.has_partial_line());
        let (written, result) = output.write(piece);
        piece.clear();
        let lost = pending - written - u64::from(output.has_partial_line());
        let mut state = self.lock();
        let message = state.queue.settle(written, lost, &result);
        if state.closed || state.flush {
            self.changed.notify_all();
        }
        // On standard error nobody would see that it cannot be written.
        message.filter(|_| result.is_ok() || !matches!(self.destination, Destination::StandardError))
    }

    /// Waits until there are lines, and then a little for more. It does not wait if the log is closed or has another
    /// output.
    fn wait_for_lines(&self, generation: u64) -> MutexGuard<'_, State> {
        let waits = |state: &State, bytes: usize| {
            state.queue.waiting() < bytes && !state.closed && state.generation == generation
        };
        let state = self.changed.wait_while(self.lock(), |state| waits(state, 1));
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let gathers = |state: &mut State| waits(state, FLUSH_THRESHOLD) && !state.flush;
        let gathered = self.changed.wait_timeout_while(state, self.flush_interval, gathers);
        gathered.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::tests::{pending, record};
    use super::super::output::tests::Disk;
    use super::*;
    use crate::access_log::LogFormat;
    use std::fs;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread::JoinHandle;

    /// A log on a disk, the thread that writes it, and its messages.
    fn log_on(disk: &Disk, flush_interval: Duration) -> (Arc<AccessLog>, JoinHandle<()>, Receiver<String>) {
        // The path is not opened.
        let mut log = AccessLog::new(LogFormat::Common, Destination::File("log".into()), Output::new(disk.clone()));
        log.flush_interval = flush_interval;
        let (log, (sender, messages)) = (Arc::new(log), channel());
        let writer = thread::spawn({
            let log = log.clone();
            move || log.run(&|message| sender.send(message.to_owned()).unwrap())
        });
        (log, writer, messages)
    }

    const SOON: Duration = Duration::from_millis(10);
    const NEVER: Duration = Duration::from_secs(3600);

    fn end(log: &AccessLog, writer: JoinHandle<()>) {
        log.close();
        writer.join().unwrap();
        log.wait_for_end(Duration::ZERO);
    }

    fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(Instant::now() < deadline, "{what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn every_line_is_written_before_the_log_ends() {
        let disk = Disk::with_space(usize::MAX);
        let (log, writer, messages) = log_on(&disk, SOON);
        (0..100).for_each(|_| log.record(&record(&pending(b"GET / HTTP/1.0"))));
        end(&log, writer);
        assert_eq!((disk.text().lines().count(), log.lost(), messages.iter().count()), (100, 0, 0));
    }

    #[test]
    fn lines_are_written_at_the_threshold_before_time_passes() {
        let disk = Disk::with_space(usize::MAX);
        let (log, writer, _messages) = log_on(&disk, NEVER);
        (0..1000).for_each(|_| log.record(&record(&pending(b"GET / HTTP/1.0"))));
        wait_until("it waits for the interval", || disk.text().len() + 100 >= FLUSH_THRESHOLD);
        end(&log, writer);
    }

    #[test]
    fn full_disk_is_reported_once_and_recovery_once_and_each_line_counted_once() {
        let line = record_line();
        let disk = Disk::with_space(line.len() + 5); // one line and part of another
        let (log, writer, messages) = log_on(&disk, SOON);
        for lost in [1, 4, 7] {
            (0..3).for_each(|_| log.record(&record(&pending(b"GET / HTTP/1.0"))));
            wait_until("lines are lost", || log.lost() >= lost);
            assert_eq!(log.lost(), lost, "the partial line may still be finished");
        }
        disk.set_space(1 << 20);
        log.record(&record(&pending(b"GET / HTTP/1.0")));
        let first: Vec<String> = messages.iter().take(2).collect();
        assert!(first[0].starts_with("cannot write the access log: "), "{first:?}");
        assert_eq!(first[1], "the access log can be written again; 7 lines were lost");
        end(&log, writer);
        assert_eq!((disk.text(), log.lost()), (line.repeat(3), 7));
    }

    #[test]
    fn partial_line_that_is_never_finished_is_lost() {
        let disk = Disk::with_space(record_line().len() + 5);
        let (log, writer, _messages) = log_on(&disk, SOON);
        (0..3).for_each(|_| log.record(&record(&pending(b"GET / HTTP/1.0"))));
        end(&log, writer);
        assert_eq!(log.lost(), 2);
    }

    // Two threads have opened it, and the file was moved away in between.
    #[test]
    fn file_that_was_opened_first_does_not_take_the_place_of_the_one_that_was_opened_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let open = || Output::file(&path).unwrap();
        let log = AccessLog::new(LogFormat::Common, Destination::File(path.clone()), open());
        let opened_for = || match log.next_task() {
            Task::Reopen { generation, .. } => (generation, open()),
            _ => panic!("nobody asked"),
        };
        let rotate = |to: String| {
            fs::rename(&path, directory.path().join(to)).unwrap();
            log.ask_to_reopen();
        };
        let mut writing = vec![log.next_task()];
        for last_is_late in [false, true] {
            rotate(format!("older-{last_is_late}"));
            let first = opened_for();
            rotate(format!("old-{last_is_late}"));
            let last = opened_for();
            let (early, late) = if last_is_late { (first, last) } else { (last, first) };
            log.replace_output(early.0, early.1);
            writing.push(log.next_task());
            log.replace_output(late.0, late.1);
            while log.lock().reopen_at.is_some() {
                let (generation, output) = opened_for();
                log.replace_output(generation, output);
            }
            assert_eq!(log.lock().identity, open().identity, "lines would go to a file that was moved away");
            if last_is_late {
                writing.push(log.next_task());
            }
        }
        assert!(writing.iter().all(|task| matches!(task, Task::Write(..))));
    }

    fn record_line() -> String {
        let disk = Disk::with_space(usize::MAX);
        let (log, writer, _messages) = log_on(&disk, SOON);
        log.record(&record(&pending(b"GET / HTTP/1.0")));
        end(&log, writer);
        disk.text()
    }
}
