//! Finds and opens files with what every system has. A name is looked at before it is opened, so that neither a FIFO nor
//! a device is opened, and what is opened has to be what was looked at: otherwise the lookup starts again.

use std::fs::File;

#[cfg(unix)]
use super::unix as system;
#[cfg(windows)]
use super::windows as system;
use super::{Found, Kind, Node, Place, Status};
use crate::open_error::{OpenError, Stop};
use crate::stamp::FileKind;

/// How often a name is looked at while it changes.
pub(super) const TRIES: usize = 8;

/// What a name in a directory is, which is not followed. With a `device`, it stops before it enters another one.
pub(super) fn look(directory: &File, name: &[u8], device: Option<u64>) -> Result<Node, Stop> {
    for _ in 0..TRIES {
        let looked = system::look_at(directory, name)?;
        if device.is_some_and(|device| device != looked.device) {
            return Err(Stop::Elsewhere);
        }
        let node = match looked.kind {
            Kind::Other => Ok(Node::Other),
            Kind::Symlink => system::read_link_at(directory, name).map(Node::Symlink),
            Kind::Served(status) if status.kind == FileKind::File => Ok(Node::File(status, None)),
            Kind::Served(status) => system::enter(directory, name)
                .and_then(|entered| now(&entered, &status).map(|_| Node::Directory(entered))),
        };
        match node {
            Err(OpenError::Changing) => {} // it has just become something else
            other => return Ok(other?),
        }
    }
    Err(OpenError::Changing.into())
}

/// The directory where a walk has ended.
pub(super) fn found_directory(base: &File, directory: Option<File>) -> Result<Found, Stop> {
    let status = system::status(directory.as_ref().unwrap_or(base))?;
    Ok(Found { status, place: Place::Directory(directory) })
}

/// Finds a path wherever its symlinks lead. With a `device`, it stops before another one.
pub(super) fn find_anywhere(base: &File, path: &[u8], device: Option<u64>) -> Result<Found, Stop> {
    let status = system::status_of_path(base, path)?;
    if device.is_some_and(|device| device != status.stamp.device) {
        return Err(Stop::Elsewhere);
    }
    Ok(Found { status, place: Place::Path(path.to_vec()) })
}

/// Opens what was found, and says what it is now. [`Changing`](OpenError::Changing): something else is there.
pub(super) fn open(base: &File, found: &Found) -> Result<(File, Status), OpenError> {
    let file = match &found.place {
        Place::Name { directory, name } => system::open_at(directory.as_ref().unwrap_or(base), name)?,
        Place::Path(path) => system::open_path(base, path)?,
        Place::Directory(directory) => system::open_directory(directory.as_ref().unwrap_or(base))?,
        #[cfg(target_os = "linux")]
        Place::Descriptor(_) => return Err(OpenError::Changing), // found by a process of which this is a fork
    };
    let status = now(&file, &found.status)?;
    Ok((file, status))
}

/// What an open file is now, if it is the one that was looked at. Its content may have changed.
fn now(file: &File, looked: &Status) -> Result<Status, OpenError> {
    match system::status(file) {
        Ok(now) if now.stamp.is_same_file(&looked.stamp) && now.kind == looked.kind => Ok(now),
        Ok(_) | Err(OpenError::Irregular) => Err(OpenError::Changing),
        Err(error) => Err(error),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) use other_systems::{BaseDirectory, directory_id, stat_entry};

#[cfg(not(target_os = "linux"))]
mod other_systems {
    use super::*;
    use crate::stamp::FileStamp;
    use crate::system::{DirectoryRef, Method};
    use std::ffi::CStr;
    use std::io;
    use std::path::Path;

    /// The directory that all paths begin in.
    #[derive(Debug)]
    pub(crate) struct BaseDirectory {
        file: File,
    }

    impl BaseDirectory {
        /// If it `is_read`, names in it are not only looked up.
        pub(crate) fn open(path: &Path, is_read: bool) -> io::Result<BaseDirectory> {
            Ok(BaseDirectory { file: system::open_base(path, is_read)? })
        }

        pub(crate) fn file(&self) -> &File {
            &self.file
        }

        pub(crate) fn method(&self) -> Method {
            Method::Portable
        }

        #[cfg(all(test, unix))]
        pub(crate) fn set_method(&mut self, _: Method) {}

        pub(crate) fn find(&self, path: &[u8], follow: bool, device: Option<u64>) -> Option<Result<Found, Stop>> {
            follow.then(|| find_anywhere(&self.file, path, device))
        }

        pub(crate) fn look(&self, at: Option<&File>, name: &[u8], device: Option<u64>) -> Result<Node, Stop> {
            look(at.unwrap_or(&self.file), name, device)
        }

        pub(crate) fn found_directory(&self, directory: Option<File>) -> Result<Found, Stop> {
            found_directory(&self.file, directory)
        }

        pub(crate) fn reopen(&self, found: &Found) -> Result<(File, Status), OpenError> {
            open(&self.file, found)
        }

        /// Whether there is anything with this name, such as a symlink, which is not followed.
        pub(crate) fn exists(&self, path: &CStr) -> bool {
            system::exists_at(&self.file, path.to_bytes())
        }

        /// The stamp of the file that a path leads to now.
        pub(crate) fn stamp(&self, path: &CStr) -> Option<FileStamp> {
            system::status_of_path(&self.file, path.to_bytes()).ok().map(|status| status.stamp)
        }
    }

    /// The kind and stamp of a directory's entry, if it may be served.
    pub(crate) fn stat_entry(directory: DirectoryRef<'_>, name: &[u8]) -> Option<(FileKind, FileStamp)> {
        match system::look_at(directory, name).ok()?.kind {
            Kind::Served(status) => Some((status.kind, status.stamp)),
            _ => None,
        }
    }

    /// The device and the inode of the directory that a path names now, and how many names it has.
    pub(crate) fn directory_id(path: &Path) -> Result<(u64, u64, u64), OpenError> {
        system::directory_id(path)
    }
}
