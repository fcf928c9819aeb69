//! Containment: this file, `walk` and `system` alone open anything, and only what is beneath the root directory.

use std::ffi::{CStr, OsStr};
use std::fs::{File, canonicalize};
use std::io::{self, ErrorKind};
use std::path::{self, Path, PathBuf};

use http_server::Blocking;

use crate::open_error::{OpenError, Stop};
use crate::stamp::{FileKind, FileStamp};
use crate::system::{self, BaseDirectory, Found, Status};
use crate::walk;

/// A directory whose files are served.
#[derive(Debug)]
pub(crate) struct Root {
    directory: BaseDirectory,
    id: DirectoryId,
    /// Its absolute names, as given and without symlinks. An absolute symlink that begins with one of them leads into it.
    names: [PathBuf; 2],
    /// Which root it is, among all that the path of the root has named.
    pub(crate) generation: u64,
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
    pub(crate) file: File,
    pub(crate) kind: FileKind,
    pub(crate) stamp: FileStamp,
    /// It has a size, but no content on a disk: it is a hole, or not what it says.
    pub(crate) has_no_blocks: bool,
}

/// How often a path is looked up while what is found is replaced before it is opened.
const TRIES: usize = 8;

/// How [`Files`](crate::Files) keeps every open beneath its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Containment {
    /// `openat2` with `RESOLVE_BENEATH`: the kernel follows a symlink only if it stays beneath the directory. Absolute
    /// symlinks that do are resolved as below.
    Openat2,
    /// One name is opened after the other, which follows nothing, and symlinks are resolved by their text. Used where
    /// `openat2` is unavailable, as on other systems than Linux.
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
        Root::open_as(path, true, generation)
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
        system::check_readable(&found)?;
        let bytes = |name: &OsStr| name.as_encoded_bytes().to_vec();
        let only = OnlyFile { path: bytes(in_directory), name: bytes(name) };
        // Whoever serves a file need not be able to read its directory.
        Ok(Root { only: Some(only), ..Root::open_as(directory, false, generation)? })
    }

    fn open_as(path: &Path, is_read: bool, generation: u64) -> io::Result<Root> {
        let directory = BaseDirectory::open(path, is_read)?;
        let FileStamp { device, inode, .. } = system::status(directory.file()).map_err(io::Error::other)?.stamp;
        let names = [path::absolute(path)?, canonicalize(path)?];
        let id = DirectoryId { device, inode };
        Ok(Root { directory, id, names, generation, follow_symlinks: false, only: None })
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
            Some(only) => self.names[1].join(system::path_from(&only.path).unwrap_or_default()),
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
        match self.directory.method() {
            _ if self.follow_symlinks => Containment::Unconfined,
            #[cfg(target_os = "linux")]
            system::Method::Openat2 => Containment::Openat2,
            _ => Containment::ComponentWalk,
        }
    }

    pub(crate) fn directory(&self) -> &BaseDirectory {
        &self.directory
    }

    #[cfg(all(test, unix))]
    pub(crate) fn set_method(&mut self, method: system::Method) {
        self.directory.set_method(method);
    }

    /// Opens a path made by `http_core::Path::decode_to`. The empty path is the root itself.
    ///
    /// It asks whether it may block. If the path leads into another file system, it asks whether it may hang, before it
    /// enters that: the root's disk may answer while a network's does not.
    pub(crate) fn open_beneath(&self, path: &[u8], blocking: Blocking<'_>) -> Result<Opened, OpenError> {
        for _ in 0..TRIES {
            let found = self.find(path, blocking)?;
            match self.directory.reopen(&found) {
                Err(OpenError::Changing) => {} // something else is there now
                opened => {
                    let (file, Status { kind, stamp, has_no_blocks }) = opened?;
                    return Ok(Opened { file, kind, stamp, has_no_blocks });
                }
            }
        }
        Err(OpenError::Changing)
    }

    /// The kind and stamp of what a path leads to, which is not opened. It asks as [`open_beneath`](Self::open_beneath).
    pub(crate) fn stat_beneath(&self, path: &[u8], blocking: Blocking<'_>) -> Result<(FileKind, FileStamp), OpenError> {
        self.find(path, blocking).map(|found| (found.status.kind, found.status.stamp))
    }

    /// Finds what may be served.
    fn find(&self, path: &[u8], blocking: Blocking<'_>) -> Result<Found, OpenError> {
        if !self.serves(path) {
            return Err(OpenError::NotFound);
        }
        blocking.will_block().map_err(OpenError::Later)?;
        match self.find_on(path, Some(self.device())) {
            Err(Stop::Elsewhere) => {
                blocking.may_hang().map_err(OpenError::Later)?;
                Ok(self.find_on(path, None)?)
            }
            other => Ok(other?),
        }
    }

    /// With a `device`, it stops before it enters another one.
    fn find_on(&self, path: &[u8], device: Option<u64>) -> Result<Found, Stop> {
        self.directory.find(path, self.follow_symlinks, device).unwrap_or_else(|| walk::find(self, path, device))
    }

    /// Whether a file is on another file system than the root.
    pub(crate) fn is_elsewhere(&self, stamp: &FileStamp) -> bool {
        stamp.device != self.id.device
    }

    /// Whether there is anything with this name, such as a symlink, which is not followed.
    pub(crate) fn exists(&self, path: &CStr) -> bool {
        self.serves(path.to_bytes()) && self.directory.exists(path)
    }

    /// The stamp of the file that a path leads to now. It may follow symlinks out of the root, too, but opens nothing.
    pub(crate) fn stamp(&self, path: &CStr) -> Option<FileStamp> {
        self.directory.stamp(path)
    }
}

impl Opened {
    pub(crate) fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }
}

impl DirectoryId {
    /// The directory that a path names now, and how many names it has.
    pub(crate) fn of(path: &Path) -> Result<(DirectoryId, u64), OpenError> {
        let (device, inode, names) = system::directory_id(path)?;
        Ok((DirectoryId { device, inode }, names))
    }
}

impl FileStamp {
    pub(crate) fn of(file: &File) -> Result<FileStamp, OpenError> {
        system::status(file).map(|status| status.stamp)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
