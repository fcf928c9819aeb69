//! An incomplete download: `FILE.part`, and beside it `FILE.part.meta` with its record.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, OFlags, RenameFlags, flock, fstatfs, linkat, renameat_with};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::record::Record;
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
        // Its URL may hold a secret.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.record_path);
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
    let file = OpenOptions::new().read(true).custom_flags(flags()).open(path).ok()?;
    file.metadata().is_ok_and(|found| is_own(&found)).then_some(())?;
    file.take(LONGEST_RECORD).read_to_end(&mut text).ok()?;
    Record::parse(&text)
}

/// A symlink may lead to somebody else's file, and a pipe may wait for a reader.
fn flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// Opens a file for writing, or creates it, and locks it. Also returns its length. The lock ends with the process. File
/// systems without locks are believed to have no other client.
///
/// In a directory that others may write to, somebody may have put a file there, to add to the download or to read it.
fn open_locked(path: &Path, is_private: bool) -> io::Result<(File, u64)> {
    let mode = if is_private { 0o600 } else { 0o666 };
    loop {
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(mode).custom_flags(flags()).open(path)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Err(io::Error::new(ErrorKind::ResourceBusy, "another download is writing it"));
        }
        let opened = file.metadata()?;
        // A client that finished meanwhile has renamed what was opened.
        let is_same = |named: Metadata| (named.dev(), named.ino()) == (opened.dev(), opened.ino());
        if !fs::symlink_metadata(path).is_ok_and(is_same) {
            continue;
        }
        if !is_own(&opened) {
            return Err(io::Error::other("it is no regular file of this user alone"));
        }
        if is_private {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        return Ok((file, opened.len()));
    }
}

/// Whether it is a regular file of this user, and has no other name.
fn is_own(found: &Metadata) -> bool {
    found.is_file() && found.uid() == geteuid().as_raw() && found.nlink() == 1
}

/// Gives a file the owner and the permissions of the one that it replaces. Where the owner cannot be given, the group
/// gets no permission that was meant for another group.
fn keep_permissions(file: &File, replaced: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    let is_foreign = (own.uid(), own.gid()) != (replaced.uid(), replaced.gid())
        && fchown(file, Some(replaced.uid()), Some(replaced.gid())).is_err();
    let mode = replaced.mode() & if is_foreign { 0o707 } else { 0o777 };
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// Renames a file unless the new name exists.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_to_new(from, to),
        result => Ok(result?),
    }
}

/// The same where a rename does not know the flag, as over NFS, which has hard links.
fn link_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match linkat(CWD, from, CWD, to, AtFlags::empty()) {
        Ok(()) => fs::remove_file(from),
        Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP) => rename_to_reserved(from, to),
        Err(error) => Err(error.into()),
    }
}

/// The same where there are no hard links either, as in many FUSE file systems: an empty file takes the name first.
fn rename_to_reserved(from: &Path, to: &Path) -> io::Result<()> {
    File::create_new(to)?;
    fs::rename(from, to).inspect_err(|_| drop(fs::remove_file(to)))
}

/// Whether a full disk or a quota may become known only when the file is flushed, as over a network.
fn reports_errors_late(file: &File) -> bool {
    const NFS: u32 = 0x6969;
    const CIFS: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    const CEPH: u32 = 0x00c3_6400;
    const FUSE: u32 = 0x6573_5546;
    const V9FS: u32 = 0x0102_1997;
    fstatfs(file).is_ok_and(|found| matches!(found.f_type as u32, NFS | CIFS | SMB2 | CEPH | FUSE | V9FS))
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

    /// By each means, of which a file system may lack some.
    #[test]
    fn rename_to_a_new_name_replaces_nothing() {
        for rename in [rename_to_new, link_to_new, rename_to_reserved] {
            let directory = tempfile::tempdir().unwrap();
            let (from, to) = (directory.path().join("from"), directory.path().join("to"));
            fs::write(&from, "new").unwrap();
            rename(&from, &to).unwrap();
            assert_eq!((fs::read(&to).unwrap(), from.exists()), (b"new".to_vec(), false));

            fs::write(&from, "other").unwrap();
            assert_eq!(rename(&from, &to).unwrap_err().kind(), ErrorKind::AlreadyExists);
            assert_eq!((fs::read(&to).unwrap(), fs::read(&from).unwrap()), (b"new".to_vec(), b"other".to_vec()));
            assert!(rename(&directory.path().join("none"), &directory.path().join("a")).is_err());
            assert!(!directory.path().join("a").exists());
        }
    }
}
