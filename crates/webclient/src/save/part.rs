//! An incomplete download: `FILE.part`, and beside it `FILE.part.meta` with its record.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::record::Record;
use super::system::{create_record, keep_permissions, open_locked, open_record, rename_to_new, reports_errors_late};
use super::target::EXISTS;

/// What the longer name adds to the file's.
pub(crate) const SUFFIX: &str = ".part.meta";

/// More bytes than two URLs have in practice.
const LONGEST_RECORD: u64 = 64 << 10;

/// A file that becomes another one when it is complete. No other client writes it meanwhile.
///
/// A record never describes other bytes than those in the file, whenever the program is killed: it is written before the
/// first byte, and removed before the file is emptied or renamed.
#[derive(Debug)]
pub(crate) struct Part {
    file: File,
    path: PathBuf,
    record_path: PathBuf,
    /// What it becomes, what it replaces, and whether that is an error.
    target: PathBuf,
    replaced: Option<Metadata>,
    must_be_new: bool,
    length: u64,
    reports_errors_late: bool,
    record: Option<Record>,
    is_recorded: bool,
    /// Where the response ends, if that is known.
    end: u64,
    is_finished: bool,
}

impl Part {
    /// Opens or creates it, and leaves what is in it.
    ///
    /// # Errors
    /// Also if another client is writing it.
    pub(crate) fn open(target: PathBuf, must_be_new: bool) -> io::Result<Part> {
        let beside = |suffix| {
            let mut name = OsString::from(target.as_os_str());
            name.push(suffix);
            PathBuf::from(name)
        };
        let (path, record_path) = (beside(".part"), beside(SUFFIX));
        let replaced = fs::metadata(&target).ok();
        let (file, length) = open_locked(&path, replaced.is_some()).map_err(|error| named(&path, &error))?;
        Ok(Part {
            reports_errors_late: reports_errors_late(&file),
            file,
            path,
            record_path,
            target,
            replaced,
            must_be_new,
            length,
            record: None,
            is_recorded: false,
            end: u64::MAX,
            is_finished: false,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The record of the bytes in it.
    pub(crate) fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// Whether a later run can read the record.
    pub(crate) fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    /// Reads the record of an earlier run.
    pub(crate) fn read_record(&mut self) {
        self.record = read_record(&self.record_path);
        self.is_recorded = self.record.is_some();
    }

    /// Empties it for a response with this record.
    pub(crate) fn start(&mut self, record: Option<Record>) -> io::Result<()> {
        match fs::remove_file(&self.record_path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(named(&self.record_path, &error)),
            _ => (self.record, self.is_recorded) = (record, false),
        }
        if self.length > 0 {
            self.file.set_len(0)?;
            self.file.rewind()?;
        }
        (self.length, self.end) = (0, u64::MAX);
        Ok(())
    }

    /// Goes on after its last byte, up to this offset.
    pub(crate) fn go_on(&mut self, end: u64) -> io::Result<()> {
        self.end = end;
        self.file.seek(SeekFrom::Start(self.length)).map(drop)
    }

    /// Makes it the file that it is for.
    ///
    /// It does not wait until the disk has it: that takes seconds for a large file, and helps only if the machine crashes.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if let Some(replaced) = &self.replaced {
            keep_permissions(&self.file, replaced).map_err(|error| named(&self.path, &error))?;
        }
        if self.reports_errors_late {
            self.file.sync_data().map_err(|error| named(&self.path, &error))?;
        }
        let record = self.record.take_if(|_| self.is_recorded);
        if record.is_some() {
            let _ = fs::remove_file(&self.record_path); // after the rename it could be that of another client
        }
        let renamed = match self.must_be_new {
            true => rename_to_new(&self.path, &self.target),
            false => fs::rename(&self.path, &self.target),
        };
        self.is_finished = renamed.is_ok();
        let Err(error) = renamed else { return Ok(()) };
        if let Some(record) = record {
            self.write_record(&record)?;
        }
        Err(match error.kind() {
            ErrorKind::AlreadyExists => named(&self.target, &io::Error::new(error.kind(), EXISTS)),
            _ => named(&self.target, &error),
        })
    }

    fn write_record(&mut self, record: &Record) -> io::Result<()> {
        let file = create_record(&self.record_path);
        self.is_recorded = file.is_ok();
        file.and_then(|mut file| file.write_all(&record.to_text())).map_err(|error| named(&self.record_path, &error))
    }
}

impl Write for Part {
    /// Nothing is recorded if these bytes are the complete body.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.end - self.length {
            return Err(io::Error::new(ErrorKind::InvalidData, "it is longer than its Content-Range says"));
        }
        if self.length == 0
            && !self.is_recorded
            && let Some(record) = self.record.take_if(|record| record.length != Some(bytes.len() as u64))
        {
            let written = self.write_record(&record);
            self.record = Some(record);
            written?;
        }
        let written = self.file.write(bytes)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Part {
    /// Leaves what was received, but no empty file.
    fn drop(&mut self) {
        if !self.is_finished && self.length == 0 {
            let _ = fs::remove_file(&self.record_path);
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The error of a file. The message names it.
pub(crate) fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn read_record(path: &Path) -> Option<Record> {
    let mut text = Vec::new();
    open_record(path)?.take(LONGEST_RECORD).read_to_end(&mut text).ok()?;
    Record::parse(&text)
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    /// A part of five bytes, and the file that it becomes.
    fn part(directory: &Path) -> (Part, PathBuf) {
        let target = directory.join("file");
        let mut part = Part::open(target.clone(), false).unwrap();
        part.write_all(b"hello").unwrap();
        (part, target)
    }

    #[test]
    fn file_is_flushed_before_the_rename_where_errors_are_late() {
        for is_late in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let (mut part, target) = part(directory.path());
            assert!(!part.reports_errors_late, "a local disk is not waited for");
            part.reports_errors_late = is_late;
            part.file = File::from(OwnedFd::from(io::pipe().unwrap().1)); // flushing a pipe fails
            let finished = part.finish();
            assert_eq!((finished.is_err(), target.exists()), (is_late, !is_late), "{finished:?}");
            assert_eq!(directory.path().join("file.part").exists(), is_late, "what was received stays");
        }
    }
}
