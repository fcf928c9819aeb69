//! Where lines go: standard error, standard output or a file. If a full disk cuts a line off, its rest is written before any other line
//! once there is space again.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use memchr::memchr_iter;

use super::queue::FLUSH_THRESHOLD;
use crate::system;

/// A file or a standard stream that lines are written to.
pub(super) struct Output {
    out: Box<dyn Write + Send>,
    /// Identifies the file, whatever its name is.
    pub(super) identity: Option<(u64, u64)>,
    /// How many bytes to write in one call.
    pub(super) piece_length: usize,
    /// The file ends within a line that another process began.
    needs_newline: bool,
    /// The rest of a line that was written only in part.
    partial_line: Vec<u8>,
}

/// A pipe takes a write of so many bytes completely or not at all. So it is known which lines it has, and those of other
/// processes are not among their bytes.
const PIPE_BUF: usize = 4096;
/// How soon a non-blocking pipe or terminal is tried again. Another process made it so: this one never does.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

impl Output {
    /// # Errors
    /// From the system, if no descriptor is left.
    pub(super) fn standard_error() -> io::Result<Output> {
        // A descriptor of its own: a thread that waits for the reader must not hold the lock that a panic's message
        // needs.
        Output::over(system::own_handle(&io::stderr())?)
    }

    /// It is duplicated: a socket cannot be opened by its name, nor what belongs to another user.
    ///
    /// # Errors
    /// From the system, if no descriptor is left.
    pub(super) fn standard_output() -> io::Result<Output> {
        Output::over(system::own_handle(&io::stdout())?)
    }

    /// # Errors
    /// From the system.
    pub(super) fn file(path: &Path) -> io::Result<Output> {
        let out = system::open_log(path)?;
        let needs_newline = !ends_with_newline(&out, path);
        Ok(Output { needs_newline, ..Output::over(out)? })
    }

    fn over(file: File) -> io::Result<Output> {
        let data = file.metadata().ok(); // the consoles and pipes of Windows have none
        let is_file = data.as_ref().is_some_and(Metadata::is_file);
        let piece_length = if is_file { FLUSH_THRESHOLD } else { PIPE_BUF };
        let identity = data.as_ref().and_then(system::file_identity);
        Ok(Output { identity, piece_length, ..Output::new(file) })
    }

    pub(super) fn new(out: impl Write + Send + 'static) -> Output {
        Output {
            out: Box::new(out),
            identity: None,
            piece_length: FLUSH_THRESHOLD,
            needs_newline: false,
            partial_line: Vec::new(),
        }
    }

    /// Whether it ends within a line, whose rest is written first.
    pub(super) fn has_partial_line(&self) -> bool {
        !self.partial_line.is_empty()
    }

    /// Writes lines as far as it can; the rest is dropped. Returns how many lines were completed.
    pub(super) fn write(&mut self, lines: &mut Vec<u8>) -> (u64, io::Result<()>) {
        if self.needs_newline {
            if let Err(error) = self.out.write_all(b"\n") {
                return (0, Err(error));
            }
            self.needs_newline = false;
        }
        let began_partial = !self.partial_line.is_empty();
        lines.splice(0..0, self.partial_line.drain(..));
        let mut at = 0;
        let mut result = Ok(());
        while at < lines.len() && result.is_ok() {
            match self.out.write(&lines[at..]) {
                Ok(0) => result = Err(ErrorKind::WriteZero.into()),
                Ok(n) => at += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY_INTERVAL),
                Err(error) => result = Err(error),
            }
        }
        let (written, rest) = lines.split_at(at);
        if written.last().map_or(began_partial, |&last| last != b'\n') {
            self.partial_line.extend(rest.split_inclusive(|&c| c == b'\n').next().unwrap_or_default());
        }
        (memchr_iter(b'\n', written).count() as u64, result)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Whether the file ends with a newline. If it is not a regular file or cannot be read, that is assumed.
fn ends_with_newline(file: &File, path: &Path) -> bool {
    let length = file.metadata().map_or(0, |data| if data.is_file() { data.len() } else { 0 });
    let mut last = [b'\n'];
    if let Some(offset) = length.checked_sub(1)
        && let Ok(file) = File::open(path)
    {
        let _ = system::read_at(&file, &mut last, offset);
    }
    last == [b'\n']
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rustix::fs::{OFlags, fcntl_setfl};
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::sync::{Arc, Mutex, MutexGuard};

    /// A disk, and how many bytes of space it has left.
    #[derive(Clone, Debug, Default)]
    pub(in super::super) struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Disk {
        pub(in super::super) fn with_space(bytes: usize) -> Disk {
            let disk = Disk::default();
            disk.set_space(bytes);
            disk
        }

        pub(in super::super) fn set_space(&self, bytes: usize) {
            self.lock().1 = bytes;
        }

        pub(in super::super) fn text(&self) -> String {
            String::from_utf8(self.lock().0.clone()).unwrap()
        }

        fn lock(&self) -> MutexGuard<'_, (Vec<u8>, usize)> {
            self.0.lock().unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (holds, space) = &mut *self.lock();
            let n = bytes.len().min(*space);
            if n == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            *space -= n;
            holds.extend_from_slice(&bytes[..n]);
            Ok(n)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    // Wherever the space ends, and however much is freed later.
    #[test]
    fn partial_line_is_finished_before_the_next_one() {
        const FIRST: &[u8] = b"one\ntwo\nthree\n";
        for space in 0..=FIRST.len() {
            for more in 1..=8 {
                let disk = Disk::with_space(space);
                let mut output = Output::new(disk.clone());
                let (mut completed, result) = output.write(&mut FIRST.to_vec());
                assert_eq!(result.is_ok(), space == FIRST.len());
                for space in [more, 100] {
                    disk.set_space(space);
                    completed += output.write(&mut b"four\n".to_vec()).0;
                }
                let text = disk.text();
                assert!(
                    text.ends_with("four\n") && text.lines().count() as u64 == completed,
                    "{space} {more} {text:?}"
                );
                let known = |line: &str| ["one", "two", "three", "four"].contains(&line);
                assert!(text.lines().all(known), "{space} {more} {text:?}");
            }
        }
    }

    #[test]
    fn file_is_appended_to_and_has_an_identity() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let write = |output: &mut Output, text: &str| output.write(&mut text.as_bytes().to_vec()).1.unwrap();
        let mut first = Output::file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777 & !0o640, 0);
        write(&mut first, "one\n");
        let second = Output::file(&path).unwrap();
        assert_eq!(first.identity, second.identity);
        fs::rename(&path, directory.path().join("log.1")).unwrap();
        assert_ne!(Output::file(&path).unwrap().identity, second.identity);
        // A server was killed in the middle of a line.
        fs::write(&path, "half").unwrap();
        let mut output = Output::file(&path).unwrap();
        write(&mut output, "four\n");
        write(&mut output, "five\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "half\nfour\nfive\n");
    }

    // Another process that has the same pipe can make it so.
    #[test]
    fn full_nonblocking_pipe_is_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
        let mut output = Output::over(File::from(std::os::fd::OwnedFd::from(writer))).unwrap();
        let line = format!("{}\n", "x".repeat(4000));
        let thread = thread::spawn(move || {
            (0..100).map(|_| output.write(&mut line.clone().into_bytes())).all(|(n, result)| n == 1 && result.is_ok())
        });
        let mut text = String::new();
        io::Read::read_to_string(&mut reader, &mut text).unwrap();
        assert!(thread.join().unwrap());
        assert_eq!(text.lines().filter(|line| line.len() == 4000).count(), 100);
    }
}
