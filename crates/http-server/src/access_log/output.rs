//! Where lines go: standard error, or a file that can be opened anew. A line that a full disk has torn is finished once
//! there is room again, and nothing is ever put behind the half of one.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use memchr::memchr_iter;
use rustix::fs::{OFlags, fcntl_setfl};

/// Something that lines are written to.
#[derive(Debug)]
pub(super) struct Output<W = File> {
    out: W,
    /// `None`: standard error.
    path: Option<PathBuf>,
    /// What is there already ends within a line that is not ours.
    unended: bool,
    /// The rest of a line of which a part was written.
    torn: Vec<u8>,
}

impl Output {
    /// # Errors
    /// Of the system, if it has no descriptor left.
    pub(super) fn standard_error() -> io::Result<Output> {
        // A descriptor of our own: who waits for its reader must not hold the lock that a panic's message needs.
        Ok(Output::new(File::from(io::stderr().as_fd().try_clone_to_owned()?)))
    }

    /// # Errors
    /// Of the system.
    pub(super) fn file(path: &Path) -> io::Result<Output> {
        // A pipe without a reader is an error then, and not waited for.
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let out = OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(nonblocking).open(path)?;
        fcntl_setfl(&out, OFlags::APPEND)?;
        let unended = !ends_a_line(&out, path);
        Ok(Output { path: Some(path.into()), unended, ..Output::new(out) })
    }

    /// Opens the file of the same name anew; standard error stays what it is.
    ///
    /// # Errors
    /// Of the system; then the old one stays.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            let anew = Output::file(path)?;
            // A line that is torn is finished where it was begun.
            if identity(&anew.out)? != identity(&self.out)? {
                *self = anew;
            }
        }
        Ok(())
    }
}

impl<W: Write> Output<W> {
    pub(super) fn new(out: W) -> Output<W> {
        Output { out, path: None, unended: false, torn: Vec::new() }
    }

    /// Writes lines as far as it can; the others are lost. Says how many became whole.
    pub(super) fn write(&mut self, lines: &mut Vec<u8>) -> (u64, io::Result<()>) {
        if self.unended {
            if let Err(error) = self.out.write_all(b"\n") {
                return (0, Err(error));
            }
            self.unended = false;
        }
        let was_torn = !self.torn.is_empty();
        lines.splice(0..0, self.torn.drain(..));
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
        if written.last().map_or(was_torn, |&last| last != b'\n') {
            self.torn.extend(rest.split_inclusive(|&c| c == b'\n').next().unwrap_or_default());
        }
        (memchr_iter(b'\n', written).count() as u64, result)
    }
}

/// Which file it is, whatever its name.
fn identity(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|data| (data.dev(), data.ino()))
}

/// Whether nothing stands behind the last end of a line; of what is no file or may not be read, it is assumed.
fn ends_a_line(file: &File, path: &Path) -> bool {
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

    /// Room for so many bytes.
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

    // At whichever byte the room ends, and whichever room there is later.
    #[test]
    fn a_torn_line_is_finished_and_no_other_is_put_behind_it() {
        const FIRST: &[u8] = b"one\ntwo\nthree\n";
        for room in 0..=FIRST.len() {
            for more in 1..=8 {
                let mut disk = Disk { room, holds: Vec::new() };
                let mut target = Output::new(&mut disk);
                let (mut whole, result) = target.write(&mut FIRST.to_vec());
                assert_eq!(result.is_ok(), room == FIRST.len());
                for room in [more, 100] {
                    target.out.room = room;
                    whole += target.write(&mut b"four\n".to_vec()).0;
                }
                let text = String::from_utf8(disk.holds).unwrap();
                assert!(text.ends_with("four\n") && text.lines().count() as u64 == whole, "{room} {more} {text:?}");
                let known = |line: &str| ["one", "two", "three", "four"].contains(&line);
                assert!(text.lines().all(known), "{room} {more} {text:?}");
            }
        }
    }

    #[test]
    fn a_file_is_appended_to_and_opened_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("log"), directory.path().join("log.1"));
        let mut target = Output::file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777 & !0o640, 0);
        let write = |target: &mut Output, text: &str| target.write(&mut text.as_bytes().to_vec()).1.unwrap();
        write(&mut target, "one\n");
        fs::rename(&path, &moved).unwrap();
        write(&mut target, "two\n");
        target.reopen().unwrap();
        write(&mut target, "three\n");
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        // One that was killed in the midst of a line.
        fs::write(&path, "half").unwrap();
        let mut target = Output::file(&path).unwrap();
        write(&mut target, "four\n");
        write(&mut target, "five\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "half\nfour\nfive\n");
        // One whose directory has gone.
        drop(directory);
        assert!(target.reopen().is_err());
        assert_eq!(target.write(&mut b"six\n".to_vec()).0, 1, "to the old one, as before");
    }
}
