//! Containment: only this file and `walk` open anything, and only what is beneath the root directory.

use std::ffi::{CStr, OsStr};
use std::fs::canonicalize;
use std::io::{self, ErrorKind, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{self, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_core::Date;
use http_server::{Blocking, Later};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, Statx, StatxFlags, fstat, makedev, openat, openat2, statx,
};
use rustix::io::{Errno, pread, preadv, retry_on_intr};
use rustix::path::DecInt;
use rustix::process::{Pid, getpid};
use thiserror::Error;

use crate::walk;

/// A directory whose files are served.
#[derive(Debug)]
pub(crate) struct Root {
    directory: OwnedFd,
    id: DirectoryId,
    /// `/proc/self/fd` of the process with this number. `None` without procfs.
    descriptors: Option<(Pid, OwnedFd)>,
    /// Its absolute names, as given and without symlinks. An absolute symlink that begins with one of them leads into it.
    names: [PathBuf; 2],
    /// Which root it is, among all that the path of the root has named.
    pub(crate) generation: u64,
    /// The kernel is too old for `openat2`, or a sandbox refuses it.
    pub(crate) no_openat2: bool,
    /// Symlinks are followed wherever they lead: the owner has turned containment off.
    follow_symlinks: bool,
    /// Nothing else is opened.
    only: Option<OnlyFile>,
}

/// A file that is served alone.
#[derive(Debug)]
pub(crate) struct OnlyFile {
    /// Its name in the directory, which is not `name` if that is a symlink.
    path: Vec<u8>,
    /// The name by which it is served.
    name: Vec<u8>,
}

/// Which directory it is, as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DirectoryId {
    device: u64,
    inode: u64,
}

/// An open file or directory that may be served.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: OwnedFd,
    pub(crate) kind: FileKind,
    pub(crate) stamp: FileStamp,
    /// It has a size, but no content on a disk: it is a hole, or not what it says.
    pub(crate) has_no_blocks: bool,
}

/// Identifies a file and one state of its content. Programs can set `modified` as they like, but not `changed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStamp {
    device: u64,
    inode: u64,
    /// Bytes.
    pub(crate) length: u64,
    /// Nanoseconds since 1970 (mtime).
    pub(crate) modified: i128,
    /// Nanoseconds since 1970 (ctime).
    pub(crate) changed: i128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    File,
    Directory,
}

/// Why a file is not served. The texts follow its name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum OpenError {
    #[error("does not exist")]
    NotFound,
    #[error("is not readable, or is neither a file nor a directory")]
    Forbidden,
    #[error("is not listed, or is not sent as such an archive")]
    NotListed,
    #[error("leads out of the root: {0}")]
    LeadsOut(Box<str>),
    #[error("leads through more symlinks than the kernel follows, or in a circle")]
    TooManySymlinks,
    #[error("cannot be opened: the root does not exist any more, or cannot be read")]
    NoRoot,
    #[error("cannot be opened: no file descriptor is free")]
    Busy,
    #[error("cannot be opened: another program holds a lease on it")]
    Leased,
    #[error("changes while it is read")]
    Changing,
    #[error("has nothing to read now, and does not end")]
    NoData,
    #[error("cannot be read: {0}")]
    Broken(Errno),
    #[cfg(feature = "archive")]
    #[error("has more names than an archive can have")]
    TooLarge,
    #[cfg(feature = "archive")]
    #[error("is sent later, because too many archives are being sent")]
    ManyArchives,
    #[error("is read later, because too many workers are blocked")]
    Later(Later),
}

/// Why a path does not lead to a file.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It leads into another file system than the root's.
    Elsewhere,
    /// It leads out of the root, by this symlink.
    LeadsOut(Box<str>),
    Failed(Errno),
}

/// Finds a file without opening it. To open a FIFO would wake its writer, which then gets a SIGPIPE, and to open a device
/// may do anything (V25).
pub(crate) const FIND: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Does not wait for a lease, nor for content that does not exist yet, and does not acquire a controlling terminal.
const OPEN: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// The kernel resolves every component, symlinks included, beneath the root.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// How [`Files`](crate::Files) keeps every open beneath its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Containment {
    /// `openat2` with `RESOLVE_BENEATH`: the kernel follows a symlink only if it stays beneath the directory. Absolute
    /// symlinks that do are resolved as below.
    Openat2,
    /// One `openat` per path component, which follows nothing, and symlinks are resolved by their text. Used where
    /// `openat2` is unavailable.
    ComponentWalk,
    /// None: symlinks are followed wherever they lead.
    Unconfined,
}

impl Containment {
    /// The rule or option behind it, for decision traces.
    pub(crate) fn rule(self) -> &'static str {
        match self {
            Containment::Openat2 => "R1945-12.5a, openat2",
            Containment::ComponentWalk => "R1945-12.5a, one component at a time",
            Containment::Unconfined => "--follow-symlinks",
        }
    }
}

impl Root {
    /// Opens the directory that a path names now.
    pub(crate) fn open(path: &Path, generation: u64) -> io::Result<Root> {
        Root::open_as(path, OFlags::RDONLY | OFlags::CLOEXEC, generation)
    }

    /// Opens the directory of the file that a path names now. No other file there is opened.
    pub(crate) fn open_file(path: &Path, generation: u64) -> io::Result<Root> {
        let found = canonicalize(path)?;
        let (Some(directory), Some(in_directory), Some(name)) = (found.parent(), found.file_name(), path.file_name())
        else {
            return Err(ErrorKind::NotADirectory.into());
        };
        if !found.is_file() {
            return Err(ErrorKind::NotADirectory.into());
        }
        openat(CWD, &found, OPEN, Mode::empty())?; // whether it may be read
        let only = OnlyFile { path: in_directory.as_bytes().to_vec(), name: name.as_bytes().to_vec() };
        // Whoever serves a file need not be able to read its directory.
        Ok(Root { only: Some(only), ..Root::open_as(directory, FIND, generation)? })
    }

    fn open_as(path: &Path, flags: OFlags, generation: u64) -> io::Result<Root> {
        let directory = retry_on_intr(|| openat(CWD, path, flags | OFlags::DIRECTORY, Mode::empty()))?;
        // Probed once, because later a single file may be refused too. Only success counts: old kernels return NOSYS, and
        // sandboxes return what they are told to. If the disk is at fault, the walk fails too.
        let probe = openat2(&directory, ".", flags, Mode::empty(), RESOLVE | ResolveFlags::NO_XDEV);
        let no_openat2 = probe.is_err();
        if no_openat2 {
            openat(&directory, ".", FIND, Mode::empty())?;
        }
        let stat = fstat(&directory)?;
        let id = DirectoryId { device: stat.st_dev, inode: stat.st_ino };
        let descriptors = openat(CWD, "/proc/self/fd", FIND | OFlags::DIRECTORY, Mode::empty());
        let descriptors = descriptors.ok().map(|descriptors| (getpid(), descriptors));
        let names = [path::absolute(path)?, canonicalize(path)?];
        Ok(Root { directory, id, descriptors, names, generation, no_openat2, follow_symlinks: false, only: None })
    }

    pub(crate) fn id(&self) -> DirectoryId {
        self.id
    }

    /// The device that it is on.
    pub(crate) fn device(&self) -> u64 {
        self.id.device
    }

    pub(crate) fn names(&self) -> &[PathBuf; 2] {
        &self.names
    }

    /// What is served, without symlinks, when it was opened.
    pub(crate) fn canonical(&self) -> PathBuf {
        match &self.only {
            Some(only) => self.names[1].join(OsStr::from_bytes(&only.path)),
            None => self.names[1].clone(),
        }
    }

    /// The path of the file that is served by this name.
    pub(crate) fn path_of<'a>(&'a self, name: &'a [u8]) -> &'a [u8] {
        self.only.as_ref().map_or(name, |only| &only.path)
    }

    /// The name by which this path is served.
    pub(crate) fn name_of<'a>(&'a self, path: &'a [u8]) -> &'a [u8] {
        self.only.as_ref().map_or(path, |only| &only.name)
    }

    /// Whether this path may be opened.
    fn serves(&self, path: &[u8]) -> bool {
        self.only.as_ref().is_none_or(|only| only.path == path)
    }

    /// Whether symlinks that lead out of the root are followed.
    pub(crate) fn follow_symlinks(&mut self, follow: bool) {
        self.follow_symlinks = follow;
    }

    pub(crate) fn containment(&self) -> Containment {
        match (self.follow_symlinks, self.no_openat2) {
            (true, _) => Containment::Unconfined,
            (false, true) => Containment::ComponentWalk,
            (false, false) => Containment::Openat2,
        }
    }

    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Opens a path made by `http_core::Path::decode_to`. The empty path is the root itself.
    ///
    /// It asks whether it may block. If the path leads into another file system, it asks whether it may hang, before it
    /// enters that: the root's disk may answer while a network's does not.
    pub(crate) fn open_beneath(&self, path: &[u8], blocking: Blocking<'_>) -> Result<Opened, OpenError> {
        let found = self.find(path, blocking)?;
        let opened = match &self.descriptors {
            // What is opened is what was found, whatever its path leads to by now.
            Some((process, descriptors)) if *process == getpid() => {
                let name = DecInt::from_fd(&found.file);
                retry_on_intr(|| openat(descriptors, name.as_c_str(), OPEN, Mode::empty()))
            }
            // Without procfs, and in a fork, the path is looked up again.
            _ => {
                let opened = self.descriptor(path, OPEN, !self.is_elsewhere(&found.stamp));
                return Opened::new(opened.map_err(|stop| match stop {
                    Stop::Failed(errno) => open_failed(errno),
                    other => other.into(),
                })?);
            }
        };
        Ok(Opened { file: opened.map_err(open_failed)?, ..found })
    }

    /// The kind and stamp of what a path leads to, which is not opened. It asks as [`open_beneath`](Self::open_beneath).
    pub(crate) fn stat_beneath(&self, path: &[u8], blocking: Blocking<'_>) -> Result<(FileKind, FileStamp), OpenError> {
        self.find(path, blocking).map(|found| (found.kind, found.stamp))
    }

    /// Finds what may be served. Its descriptor is good for nothing but to open it.
    fn find(&self, path: &[u8], blocking: Blocking<'_>) -> Result<Opened, OpenError> {
        if !self.serves(path) {
            return Err(OpenError::NotFound);
        }
        blocking.will_block().map_err(OpenError::Later)?;
        let found = match self.descriptor(path, FIND, true) {
            Err(Stop::Elsewhere) => {
                blocking.may_hang().map_err(OpenError::Later)?;
                self.descriptor(path, FIND, false)
            }
            other => other,
        };
        Opened::new(found?)
    }

    /// Whether a file is on another file system than the root.
    pub(crate) fn is_elsewhere(&self, stamp: &FileStamp) -> bool {
        stamp.device != self.id.device
    }

    /// Whether there is anything with this name, such as a symlink, which is not followed.
    pub(crate) fn exists(&self, path: &CStr) -> bool {
        self.serves(path.to_bytes())
            && statx(&self.directory, path, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, StatxFlags::empty())
                .is_ok()
    }

    /// If it `stays`, it stops before it enters another file system. (Unconfined and without `openat2`, it enters.)
    fn descriptor(&self, path: &[u8], flags: OFlags, stays: bool) -> Result<OwnedFd, Stop> {
        let path = OsStr::from_bytes(if path.is_empty() { b"." } else { path });
        let stay = if stays { ResolveFlags::NO_XDEV } else { ResolveFlags::empty() };
        match self.containment() {
            Containment::Openat2 => match self.openat2(path, flags, RESOLVE | stay) {
                // It would enter another file system, or a symlink is absolute or leads out of the root.
                // LOOP: there are too many symlinks, or one of procfs.
                Err(Errno::XDEV | Errno::LOOP) => walk::open(self, path.as_bytes(), flags, stays),
                other => Ok(other?),
            },
            Containment::ComponentWalk => walk::open(self, path.as_bytes(), flags, stays),
            Containment::Unconfined if !self.no_openat2 => match self.openat2(path, flags, stay) {
                Err(Errno::XDEV) => Err(Stop::Elsewhere),
                other => Ok(other?),
            },
            Containment::Unconfined => Ok(retry_on_intr(|| openat(&self.directory, path, flags, Mode::empty()))?),
        }
    }

    fn openat2(&self, path: &OsStr, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        let mut tries = 0;
        loop {
            match openat2(&self.directory, path, flags, Mode::empty(), resolve) {
                // AGAIN: something was renamed while the kernel resolved the path.
                Err(Errno::AGAIN | Errno::INTR) if tries < 8 => tries += 1,
                other => return other,
            }
        }
    }

    /// The stamp of the file that a path leads to now. It follows symlinks out of the root, too, but opens nothing.
    pub(crate) fn stamp(&self, path: &CStr) -> Option<FileStamp> {
        // The flag makes a network file system ask its server again. On a local disk it changes nothing.
        let stat = statx(&self.directory, path, AtFlags::STATX_FORCE_SYNC, STAMP).ok()?;
        Some(FileStamp::from_statx(&stat))
    }
}

/// What a stamp consists of.
const STAMP: StatxFlags = StatxFlags::INO.union(StatxFlags::SIZE).union(StatxFlags::MTIME).union(StatxFlags::CTIME);

/// The kind and stamp of a directory's entry, if it may be served. One call, which opens nothing and follows no
/// symlink. `name` comes from the directory itself. Of a mounted network file system it shows what the kernel knows,
/// because its server may not answer.
pub(crate) fn stat_entry(directory: BorrowedFd<'_>, name: &[u8]) -> Option<(FileKind, FileStamp)> {
    const FLAGS: AtFlags = AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::NO_AUTOMOUNT).union(AtFlags::STATX_DONT_SYNC);
    let stat = statx(directory, OsStr::from_bytes(name), FLAGS, StatxFlags::TYPE | STAMP).ok()?;
    Some((FileKind::from_mode(stat.stx_mode.into())?, FileStamp::from_statx(&stat)))
}

/// Whether a directory has been removed. It then looks empty.
pub(crate) fn is_removed(directory: BorrowedFd<'_>) -> bool {
    fstat(directory).is_ok_and(|stat| stat.st_nlink == 0)
}

/// How many bytes a read from a file's start delivers, up to this buffer and one more.
pub(crate) fn read(file: &OwnedFd, buffer: &mut [u8]) -> Result<usize, OpenError> {
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
pub(crate) fn read_at(file: &impl AsFd, offset: u64, buffer: &mut [u8]) -> Result<usize, OpenError> {
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
pub(crate) fn read_on(file: &OwnedFd, buffer: &mut [u8]) -> Result<usize, OpenError> {
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
pub(crate) fn ends_at(file: &OwnedFd, length: u64) -> Result<bool, OpenError> {
    match retry_on_intr(|| pread(file, &mut [0; 2], length.saturating_sub(1))) {
        Err(Errno::SPIPE) => Ok(false),
        other => other.map(|n| n == 1).map_err(read_failed),
    }
}

impl Opened {
    fn new(file: OwnedFd) -> Result<Opened, OpenError> {
        let stat = fstat(&file)?;
        let kind = FileKind::of(&stat).ok_or(OpenError::Forbidden)?;
        Ok(Opened { file, kind, stamp: FileStamp::new(&stat), has_no_blocks: stat.st_blocks == 0 })
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }
}

impl FileKind {
    fn of(stat: &Stat) -> Option<FileKind> {
        FileKind::from_mode(stat.st_mode)
    }

    fn from_mode(mode: u32) -> Option<FileKind> {
        match FileType::from_raw_mode(mode) {
            FileType::RegularFile => Some(FileKind::File),
            FileType::Directory => Some(FileKind::Directory),
            _ => None,
        }
    }
}

impl DirectoryId {
    /// The directory that a path names now, and how many names it has. One call, which does not ask its disk or file
    /// server.
    pub(crate) fn of(path: &Path) -> Result<(DirectoryId, u32), Errno> {
        let stat = statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::INO | StatxFlags::NLINK)?;
        let device = makedev(stat.stx_dev_major, stat.stx_dev_minor);
        Ok((DirectoryId { device, inode: stat.stx_ino }, stat.stx_nlink))
    }
}

impl FileStamp {
    pub(crate) fn of(file: &OwnedFd) -> Result<FileStamp, Errno> {
        Ok(FileStamp::new(&fstat(file)?))
    }

    fn new(stat: &Stat) -> FileStamp {
        FileStamp {
            device: stat.st_dev,
            inode: stat.st_ino,
            length: stat.st_size.max(0) as u64,
            modified: nanoseconds(stat.st_mtime, stat.st_mtime_nsec.into()),
            changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec.into()),
        }
    }

    fn from_statx(stat: &Statx) -> FileStamp {
        FileStamp {
            device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            length: stat.stx_size,
            modified: nanoseconds(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec.into()),
            changed: nanoseconds(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec.into()),
        }
    }

    /// Whether both are of one file, whatever its content.
    #[cfg(feature = "archive")]
    pub(crate) fn is_same_file(&self, other: &FileStamp) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// The modification time in whole seconds since 1970, rounded down.
    pub(crate) fn modified_second(&self) -> Option<i64> {
        i64::try_from(self.modified.div_euclid(NANOS_PER_SEC)).ok()
    }

    pub(crate) fn modified_time(&self) -> Option<SystemTime> {
        let seconds = self.modified_second()?;
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let second = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
        second?.checked_add(Duration::from_nanos(self.modified.rem_euclid(NANOS_PER_SEC) as u64))
    }
}

pub(crate) const NANOS_PER_SEC: i128 = 1_000_000_000;

/// The coarsest timestamps of a file system in use, FAT's, tick once in 2 seconds.
const SETTLE_TIME: i128 = 2 * NANOS_PER_SEC;

/// Whether no further change can hide in the same timestamp. Git calls index entries for which this is false "racily
/// clean" (its `racy-git` document).
pub(crate) fn is_settled(time: i128, now: Date) -> bool {
    // `now` is the start of its second, so the age is never overestimated.
    time <= i128::from(now.unix()) * NANOS_PER_SEC - SETTLE_TIME
}

/// Nanoseconds since 1970. The kernel counts nanoseconds forward, also before 1970.
fn nanoseconds(seconds: i64, rest: i128) -> i128 {
    i128::from(seconds) * NANOS_PER_SEC + rest
}

/// The error of a file that was found and cannot be opened.
fn open_failed(errno: Errno) -> OpenError {
    // A lease is the only thing that an open without waiting waits for.
    if errno == Errno::AGAIN { OpenError::Leased } else { errno.into() }
}

/// The error of a file that was opened and cannot be read.
fn read_failed(errno: Errno) -> OpenError {
    match errno {
        Errno::AGAIN => OpenError::NoData,
        Errno::ACCESS | Errno::PERM => OpenError::Forbidden,
        errno => OpenError::Broken(errno),
    }
}

/// The error of a path.
impl From<Errno> for OpenError {
    fn from(errno: Errno) -> OpenError {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL => OpenError::NotFound,
            Errno::LOOP => OpenError::TooManySymlinks,
            // NXIO: a socket.
            Errno::ACCESS | Errno::PERM | Errno::NXIO | Errno::NODEV => OpenError::Forbidden,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => OpenError::Busy,
            Errno::AGAIN => OpenError::Changing, // directories on the way were renamed again and again
            errno => OpenError::Broken(errno),
        }
    }
}

impl From<Stop> for OpenError {
    fn from(stop: Stop) -> OpenError {
        match stop {
            Stop::Elsewhere => OpenError::Changing, // a moment ago it did not
            Stop::LeadsOut(way) => OpenError::LeadsOut(way),
            Stop::Failed(errno) => errno.into(),
        }
    }
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Stop {
        Stop::Failed(errno)
    }
}

#[cfg(test)]
mod tests;
