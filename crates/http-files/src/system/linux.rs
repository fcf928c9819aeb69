//! What only Linux has: a file is found without being opened (`O_PATH`), the kernel keeps a path beneath a directory
//! (`openat2`), and what was found is opened by its descriptor (`/proc/self/fd`).

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, makedev, openat, openat2, readlinkat, statx,
};
use rustix::io::{Errno, retry_on_intr};
use rustix::path::DecInt;
use rustix::process::{Pid, getpid};

use super::unix::{DirectoryRef, OPEN, kind_of, nanoseconds, open_failed, status};
use super::{Found, Method, Node, Place, Status, portable};
use crate::open_error::{OpenError, Stop};
use crate::stamp::{FileKind, FileStamp};

/// Finds a file without opening it.
const FIND: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// The kernel resolves every component, symlinks included, beneath the root.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// The directory that all paths begin in.
#[derive(Debug)]
pub(crate) struct BaseDirectory {
    file: File,
    /// `Components`: the kernel is too old for `openat2`, or a sandbox refuses it. `Portable`: there is no procfs.
    method: Method,
    /// `/proc/self/fd` of the process with this number.
    descriptors: Option<(Pid, OwnedFd)>,
}

impl BaseDirectory {
    /// If it `is_read`, names in it are not only looked up.
    pub(crate) fn open(path: &Path, is_read: bool) -> io::Result<BaseDirectory> {
        let flags = if is_read { OFlags::RDONLY | OFlags::CLOEXEC } else { FIND };
        let directory = retry_on_intr(|| openat(CWD, path, flags | OFlags::DIRECTORY, Mode::empty()))?;
        // Probed once, because later a single file may be refused too. Only success counts: old kernels return NOSYS, and
        // sandboxes return what they are told to. If the disk is at fault, the walk fails too.
        let probe = openat2(&directory, ".", flags, Mode::empty(), RESOLVE | ResolveFlags::NO_XDEV);
        if probe.is_err() {
            openat(&directory, ".", FIND, Mode::empty())?;
        }
        let descriptors = openat(CWD, "/proc/self/fd", FIND | OFlags::DIRECTORY, Mode::empty());
        let descriptors = descriptors.ok().map(|descriptors| (getpid(), descriptors));
        let method = match (&descriptors, probe) {
            (None, _) => Method::Portable,
            (Some(_), Err(_)) => Method::Components,
            (Some(_), Ok(_)) => Method::Openat2,
        };
        Ok(BaseDirectory { file: directory.into(), method, descriptors })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// How files are found. A fork has other descriptors.
    pub(crate) fn method(&self) -> Method {
        match &self.descriptors {
            Some((process, _)) if *process == getpid() => self.method,
            _ => Method::Portable,
        }
    }

    #[cfg(test)]
    pub(crate) fn set_method(&mut self, method: Method) {
        self.method = method;
    }

    /// Finds a path, or returns `None` if it has to be walked. It stays beneath the directory, unless all symlinks are to
    /// be `follow`ed. With a `device`, which is the directory's, it stops before it enters another one. (Where it follows
    /// and has no `openat2`, it enters.)
    pub(crate) fn find(&self, path: &[u8], follow: bool, device: Option<u64>) -> Option<Result<Found, Stop>> {
        let name = OsStr::from_bytes(if path.is_empty() { b"." } else { path });
        let stay = if device.is_some() { ResolveFlags::NO_XDEV } else { ResolveFlags::empty() };
        let found = match (self.method(), follow) {
            (Method::Openat2, false) => match self.openat2(name, RESOLVE | stay) {
                // It would enter another file system, or a symlink is absolute or leads out of the root.
                // LOOP: there are too many symlinks, or one of procfs.
                Err(Errno::XDEV | Errno::LOOP) => return None,
                other => other,
            },
            (Method::Openat2, true) => match self.openat2(name, stay) {
                Err(Errno::XDEV) => return Some(Err(Stop::Elsewhere)),
                other => other,
            },
            (Method::Components, true) => retry_on_intr(|| openat(&self.file, name, FIND, Mode::empty())),
            (Method::Portable, true) => return Some(portable::find_anywhere(&self.file, path, device)),
            (Method::Components | Method::Portable, false) => return None,
        };
        Some(found.map_err(Stop::from).and_then(|file| found_file(file.into())))
    }

    fn openat2(&self, path: &OsStr, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        let mut tries = 0;
        loop {
            match openat2(&self.file, path, FIND, Mode::empty(), resolve) {
                // AGAIN: something was renamed while the kernel resolved the path.
                Err(Errno::AGAIN | Errno::INTR) if tries < 8 => tries += 1,
                other => return other,
            }
        }
    }

    /// What a name is, in a directory on the way of a walk, or in this one. It is not followed. With a `device`, it stops
    /// before it enters another one.
    pub(crate) fn look(&self, at: Option<&File>, name: &[u8], device: Option<u64>) -> Result<Node, Stop> {
        let at = at.unwrap_or(&self.file);
        if self.method() == Method::Portable {
            return portable::look(at, name, device);
        }
        let name = OsStr::from_bytes(name);
        let entry = File::from(retry_on_intr(|| openat(at, name, FIND | OFlags::NOFOLLOW, Mode::empty()))?);
        // As far as the kernel knows without asking a disk.
        let stat = statx(&entry, "", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::TYPE)?;
        if device.is_some_and(|device| device != makedev(stat.stx_dev_major, stat.stx_dev_minor)) {
            return Err(Stop::Elsewhere);
        }
        Ok(match FileType::from_raw_mode(stat.stx_mode.into()) {
            FileType::Directory => Node::Directory(entry),
            FileType::Symlink => Node::Symlink(retry_on_intr(|| readlinkat(&entry, "", Vec::new()))?.into_bytes()),
            FileType::RegularFile => Node::File(status(&entry)?, Some(entry)),
            _ => Node::Other,
        })
    }

    /// The directory where a walk has ended.
    pub(crate) fn found_directory(&self, directory: Option<File>) -> Result<Found, Stop> {
        if self.method() == Method::Portable {
            return portable::found_directory(&self.file, directory);
        }
        match directory {
            Some(directory) => found_file(directory),
            None => found_file(retry_on_intr(|| openat(&self.file, ".", FIND, Mode::empty()))?.into()),
        }
    }

    /// Opens what was found, and says what it was then or is now, whatever its path leads to by now.
    pub(crate) fn reopen(&self, found: &Found) -> Result<(File, Status), OpenError> {
        match (&found.place, &self.descriptors) {
            (Place::Descriptor(file), Some((_, descriptors))) => {
                let name = DecInt::from_fd(file);
                let opened = retry_on_intr(|| openat(descriptors, name.as_c_str(), OPEN, Mode::empty()));
                Ok((opened.map_err(open_failed)?.into(), found.status))
            }
            _ => portable::open(&self.file, found),
        }
    }

    /// Whether there is anything with this name, such as a symlink, which is not followed.
    pub(crate) fn exists(&self, path: &CStr) -> bool {
        statx(&self.file, path, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, StatxFlags::empty()).is_ok()
    }

    /// The stamp of the file that a path leads to now. It follows symlinks out of the root, too, but opens nothing.
    pub(crate) fn stamp(&self, path: &CStr) -> Option<FileStamp> {
        // The flag makes a network file system ask its server again. On a local disk it changes nothing.
        let stat = statx(&self.file, path, AtFlags::STATX_FORCE_SYNC, STAMP).ok()?;
        Some(stamp(&stat))
    }
}

fn found_file(file: File) -> Result<Found, Stop> {
    Ok(Found { status: status(&file)?, place: Place::Descriptor(file) })
}

/// What a stamp consists of.
const STAMP: StatxFlags = StatxFlags::INO.union(StatxFlags::SIZE).union(StatxFlags::MTIME).union(StatxFlags::CTIME);

/// The kind and stamp of a directory's entry, if it may be served. One call, which opens nothing and follows no
/// symlink. `name` comes from the directory itself. Of a mounted network file system it shows what the kernel knows,
/// because its server may not answer.
pub(crate) fn stat_entry(directory: DirectoryRef<'_>, name: &[u8]) -> Option<(FileKind, FileStamp)> {
    const FLAGS: AtFlags = AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::NO_AUTOMOUNT).union(AtFlags::STATX_DONT_SYNC);
    let stat = statx(directory, OsStr::from_bytes(name), FLAGS, StatxFlags::TYPE | STAMP).ok()?;
    Some((kind_of(FileType::from_raw_mode(stat.stx_mode.into()))?, stamp(&stat)))
}

/// The device and the inode of the directory that a path names now, and how many names it has. One call, which does not
/// ask its disk or file server.
pub(crate) fn directory_id(path: &Path) -> Result<(u64, u64, u64), OpenError> {
    let stat = statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::INO | StatxFlags::NLINK)?;
    Ok((makedev(stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino, stat.stx_nlink.into()))
}

fn stamp(stat: &Statx) -> FileStamp {
    FileStamp {
        device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        length: stat.stx_size,
        modified: nanoseconds(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec.into()),
        changed: nanoseconds(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec.into()),
    }
}
