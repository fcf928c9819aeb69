//! Where lines go: standard error, or a file that can be reopened. If a full disk cuts a line off, its rest is written
//! before any other line once there is space again.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use memchr::memchr_iter;
use rustix::fs::{OFlags, fcntl_setfl};

/// A file or standard error that lines are written to.
#[derive(Debug)]
pub(super) struct Output<W = File> {
    out: W,
    /// `None`: standard error.
    path: Option<PathBuf>,
    /// The file ends within a line that another process began.
    needs_newline: bool,
    /// The rest of a line that was written only in part.
    partial_line: Vec<u8>,
}

impl Output {
    /// # Errors
    /// From the system, if no descriptor is left.
    pub(super) fn standard_error() -> io::Result<Output> {
        // A descriptor of its own: a thread that waits for the reader must not hold the lock that a panic's message
        // needs.
        Ok(Output::new(File::from(io::stderr().as_fd().try_clone_to_owned()?)))
    }

    /// # Errors
    /// From the system.
    pub(super) fn file(path: &Path) -> io::Result<Output> {
        // Non-blocking, so that opening a pipe without a reader is an error instead of a wait.
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let out = OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(nonblocking).open(path)?;
        fcntl_setfl(&out, OFlags::APPEND)?;
        let needs_newline = !ends_with_newline(&out, path);
        Ok(Output { path: Some(path.into()), needs_newline, ..Output::new(out) })
    }

    /// Opens the file of the same name again. Standard error stays as it is.
    ///
    /// # Errors
    /// From the system; then the old file stays.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            let reopened = Output::file(path)?;
            // If it is the same file, its partial line still has to be finished.
            if identity(&reopened.out)? != identity(&self.out)? {
                *self = reopened;
            }
        }
        Ok(())
    }
}

impl<W: Write> Output<W> {
    pub(super) fn new(out: W) -> Output<W> {
        Output { out, path: None, needs_newline: false, partial_line: Vec::new() }
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

/// Device and inode, which identify a file whatever its name is.
fn identity(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|data| (data.dev(), data.ino()))
}

/// Whether the file ends with a newline. If it is not a regular file or cannot be read, that is assumed.
fn ends_with_newline(file: &File, path: &Path) -> bool {
    let length = file.metadata().map_or(0, |data| if data.is_file() { data.len() } else { 0 });
    let mut last = [b'\n'];
    if let Some(offset) = length.checked_sub(1)
        && let Ok(file) = File::open(path)
    {
        let _ = file.read_exact_at(&mut last, offset);
    }
    last == [b'\n']
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A disk with space for this many bytes.
    struct Disk {
        room: usize,
        holds: Vec<u8>,
    }

    impl Write for &mut Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.room);
            if n == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= n;
            self.holds.extend_from_slice(&bytes[..n]);
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
        for room in 0..=FIRST.len() {
            for more in 1..=8 {
                let mut disk = Disk { room, holds: Vec::new() };
                let mut output = Output::new(&mut disk);
                let (mut completed, result) = output.write(&mut FIRST.to_vec());
                assert_eq!(result.is_ok(), room == FIRST.len());
                for room in [more, 100] {
                    output.out.room = room;
                    completed += output.write(&mut b"four\n".to_vec()).0;
                }
                let text = String::from_utf8(disk.holds).unwrap();
                assert!(text.ends_with("four\n") && text.lines().count() as u64 == completed, "{room} {more} {text:?}");
                let known = |line: &str| ["one", "two", "three", "four"].contains(&line);
                assert!(text.lines().all(known), "{room} {more} {text:?}");
            }
        }
    }

    #[test]
    fn file_is_appended_to_and_reopened() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("log"), directory.path().join("log.1"));
        let mut output = Output::file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777 & !0o640, 0);
        let write = |output: &mut Output, text: &str| output.write(&mut text.as_bytes().to_vec()).1.unwrap();
        write(&mut output, "one\n");
        fs::rename(&path, &moved).unwrap();
        write(&mut output, "two\n");
        output.reopen().unwrap();
        write(&mut output, "three\n");
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        // A server was killed in the middle of a line.
        fs::write(&path, "half").unwrap();
        let mut output = Output::file(&path).unwrap();
        write(&mut output, "four\n");
        write(&mut output, "five\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "half\nfour\nfive\n");
        // The directory was removed.
        drop(directory);
        assert!(output.reopen().is_err());
        assert_eq!(output.write(&mut b"six\n".to_vec()).0, 1, "lines go to the old file");
    }
}
