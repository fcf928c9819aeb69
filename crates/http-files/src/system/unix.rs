//! What every Unix has: names are looked at, opened and read beneath an open directory.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::{pread, preadv, retry_on_intr};

use super::{Kind, Looked, Status};
use crate::open_error::{OpenError, Stop};
use crate::stamp::{FileKind, FileStamp, NANOS_PER_SEC};

/// The entries of a directory, and their kinds.
pub(crate) use rustix::fs::{Dir, FileType as EntryType};
pub(crate) use rustix::io::Errno;

/// An open directory whose entries are read.
pub(crate) type DirectoryRef<'a> = BorrowedFd<'a>;

/// Does not wait for a lease, nor for content that does not exist yet, and does not acquire a controlling terminal.
pub(super) const OPEN: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// To look up names in a directory. Where there is no such flag, the directory has to be readable.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
const LOOK_UP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
const LOOK_UP: OFlags = OPEN.union(OFlags::DIRECTORY);

/// What a name in a directory stands for. It is neither opened nor followed.
pub(super) fn look_at(directory: impl AsFd, name: &[u8]) -> Result<Looked, OpenError> {
    let stat = retry_on_intr(|| statat(&directory, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW))?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => Kind::Symlink,
        _ => status_from(&stat).map_or(Kind::Other, Kind::Served),
    };
    Ok(Looked { kind, device: device(&stat) })
}

/// Opens a directory with this name, to look up names in it.
pub(super) fn enter(directory: &File, name: &[u8]) -> Result<File, OpenError> {
    let flags = LOOK_UP | OFlags::NOFOLLOW;
    match retry_on_intr(|| openat(directory, OsStr::from_bytes(name), flags, Mode::empty())) {
        Err(Errno::NOTDIR) => Err(OpenError::Changing),
        other => Ok(other.map_err(not_followed)?.into()),
    }
}

/// The text of a symlink.
pub(super) fn read_link_at(directory: &File, name: &[u8]) -> Result<Vec<u8>, OpenError> {
    match retry_on_intr(|| readlinkat(directory, OsStr::from_bytes(name), Vec::new())) {
        Err(Errno::INVAL) => Err(OpenError::Changing), // it is no longer a symlink
        other => Ok(other?.into_bytes()),
    }
}

/// Opens a file with this name for reading.
pub(super) fn open_at(directory: &File, name: &[u8]) -> Result<File, OpenError> {
    let name = OsStr::from_bytes(name);
    let opened = retry_on_intr(|| openat(directory, name, OPEN | OFlags::NOFOLLOW, Mode::empty()));
    Ok(opened.map_err(not_followed)?.into())
}

/// Opens an open directory again, to read its entries.
pub(super) fn open_directory(directory: &File) -> Result<File, OpenError> {
    let opened = retry_on_intr(|| openat(directory, ".", OPEN | OFlags::DIRECTORY, Mode::empty()));
    Ok(opened.map_err(open_failed)?.into())
}

/// What a path leads to, whatever symlinks it leads through.
pub(super) fn status_of_path(directory: &File, path: &[u8]) -> Result<Status, OpenError> {
    let stat = retry_on_intr(|| statat(directory, os_path(path), AtFlags::empty()))?;
    status_from(&stat).ok_or(OpenError::Irregular)
}

/// Opens what a path leads to, whatever symlinks it leads through.
pub(super) fn open_path(directory: &File, path: &[u8]) -> Result<File, OpenError> {
    let opened = retry_on_intr(|| openat(directory, os_path(path), OPEN, Mode::empty()));
    Ok(opened.map_err(open_failed)?.into())
}

fn os_path(path: &[u8]) -> &OsStr {
    OsStr::from_bytes(if path.is_empty() { b"." } else { path })
}

/// What an open file is, if it may be served.
pub(crate) fn status(file: &File) -> Result<Status, OpenError> {
    status_from(&fstat(file)?).ok_or(OpenError::Irregular)
}

/// Whether a directory has been removed. It then looks empty.
pub(crate) fn is_removed(directory: DirectoryRef<'_>) -> bool {
    fstat(directory).is_ok_and(|stat| stat.st_nlink == 0)
}

#[cfg(not(target_os = "linux"))]
pub(super) use other_systems::{directory_id, exists_at, open_base};

#[cfg(not(target_os = "linux"))]
mod other_systems {
    use super::*;
    use rustix::fs::stat;

    pub(crate) fn open_base(path: &Path, is_read: bool) -> io::Result<File> {
        let flags = if is_read { OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY } else { LOOK_UP };
        Ok(retry_on_intr(|| openat(CWD, path, flags, Mode::empty()))?.into())
    }

    pub(crate) fn exists_at(directory: &File, path: &[u8]) -> bool {
        statat(directory, OsStr::from_bytes(path), AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    pub(crate) fn directory_id(path: &Path) -> Result<(u64, u64, u64), OpenError> {
        let stat = stat(path)?;
        Ok((device(&stat), stat.st_ino, u64::from(stat.st_nlink)))
    }
}

/// How many bytes a read from a file's start delivers, up to this buffer and one more.
pub(crate) fn read(file: &File, buffer: &mut [u8]) -> Result<usize, OpenError> {
    let (mut filled, mut beyond) = (0, [0; 1]);
    while filled < buffer.len() {
        let mut rest = [IoSliceMut::new(&mut buffer[filled..]), IoSliceMut::new(&mut beyond)];
        match retry_on_intr(|| preadv(file, &mut rest, filled as u64)) {
            Ok(0) | Err(Errno::SPIPE) => break, // a file without positions does not know its length
            Ok(n) => filled += n,
            Err(errno) => return Err(read_failed(errno)),
        }
    }
    Ok(filled)
}

/// Reads from this offset until the buffer is full or the file ends.
pub(crate) fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> Result<usize, OpenError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match retry_on_intr(|| pread(file, &mut buffer[filled..], offset + filled as u64)).map_err(read_failed)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Reads on from the file's position until the buffer is full or the file ends. Some files have no other position.
pub(crate) fn read_on(file: &File, buffer: &mut [u8]) -> Result<usize, OpenError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match retry_on_intr(|| rustix::io::read(file, &mut buffer[filled..])).map_err(read_failed)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Whether a file without blocks has a last byte where its size says, and none behind that. On a disk it is a hole.
pub(crate) fn ends_at(file: &File, length: u64) -> Result<bool, OpenError> {
    match retry_on_intr(|| pread(file, &mut [0; 2], length.saturating_sub(1))) {
        Err(Errno::SPIPE) => Ok(false),
        other => other.map(|n| n == 1).map_err(read_failed),
    }
}

/// Whether a file that is served alone may be read.
pub(crate) fn check_readable(path: &Path) -> io::Result<()> {
    retry_on_intr(|| openat(CWD, path, OPEN, Mode::empty()))?;
    Ok(())
}

/// A path as the system has it, from bytes of a URL or of a symlink.
pub(crate) fn path_from(bytes: &[u8]) -> Option<&OsStr> {
    Some(OsStr::from_bytes(bytes))
}

fn status_from(stat: &Stat) -> Option<Status> {
    let kind = kind_of(FileType::from_raw_mode(stat.st_mode))?;
    Some(Status { kind, stamp: stamp(stat), has_no_blocks: stat.st_blocks == 0 })
}

pub(super) fn kind_of(kind: FileType) -> Option<FileKind> {
    match kind {
        FileType::RegularFile => Some(FileKind::File),
        FileType::Directory => Some(FileKind::Directory),
        _ => None,
    }
}

// The types of these fields differ between systems.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "the types differ between systems")]
fn stamp(stat: &Stat) -> FileStamp {
    FileStamp {
        device: device(stat),
        inode: stat.st_ino.into(),
        length: stat.st_size.max(0) as u64,
        modified: nanoseconds(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
        changed: nanoseconds(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
    }
}

#[allow(clippy::unnecessary_cast, reason = "its type differs between systems")]
fn device(stat: &Stat) -> u64 {
    stat.st_dev as u64
}

/// Nanoseconds since 1970. The kernel counts nanoseconds forward, also before 1970.
pub(super) fn nanoseconds(seconds: i64, rest: i128) -> i128 {
    i128::from(seconds) * NANOS_PER_SEC + rest
}

/// The error of a file that was found and cannot be opened.
pub(super) fn open_failed(errno: Errno) -> OpenError {
    // A lease is the only thing that an open without waiting waits for.
    if errno == Errno::AGAIN { OpenError::Leased } else { errno.into() }
}

/// The error of a name that is opened unless it is a symlink. FreeBSD says MLINK then.
fn not_followed(errno: Errno) -> OpenError {
    if matches!(errno, Errno::LOOP | Errno::MLINK) { OpenError::Changing } else { open_failed(errno) }
}

/// The error of a file that was opened and cannot be read.
fn read_failed(errno: Errno) -> OpenError {
    match errno {
        Errno::AGAIN => OpenError::NoData,
        Errno::ACCESS | Errno::PERM => OpenError::Forbidden,
        errno => OpenError::Broken(errno),
    }
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Stop {
        Stop::Failed(errno.into())
    }
}

/// The error of a path.
impl From<Errno> for OpenError {
    fn from(errno: Errno) -> OpenError {
        match errno {
            // ILSEQ: names are Unicode there, and this one is not, or has characters that the system does not know yet.
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ => OpenError::NotFound,
            Errno::LOOP => OpenError::TooManySymlinks,
            Errno::ACCESS | Errno::PERM => OpenError::Forbidden,
            Errno::NXIO | Errno::OPNOTSUPP | Errno::NODEV => OpenError::Irregular, // a socket, or a device
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => OpenError::Busy,
            Errno::AGAIN => OpenError::Changing, // directories on the way were renamed again and again
            errno => OpenError::Broken(errno),
        }
    }
}
