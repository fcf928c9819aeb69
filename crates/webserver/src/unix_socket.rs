//! The socket of the unix domain that `--unix` asks for: made for a proxy's group, put in the place of one that nobody
//! accepts on any more, and removed at the end.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, flock, fstat, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::umask;

/// A socket's file. It is removed with the value, unless somebody has put another in its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    directory: OwnedFd,
    name: OsString,
    /// Held open, since an inode's number is soon another file's.
    file: OwnedFd,
}

/// Whoever is not the owner or of the group may not connect; a proxy of another user belongs to the group.
const FORBIDDEN: Mode = Mode::RWXO.union(Mode::XUSR).union(Mode::XGRP);

impl SocketFile {
    /// Listens at this path. While nobody else's threads run: the mask of modes is the process's.
    pub(crate) fn bind(path: &Path) -> Result<(UnixListener, SocketFile), String> {
        let Some(name) = path.file_name() else {
            return Err(format!("{path:?} names no file; name the socket to make: --unix FOLDER/NAME"));
        };
        let directory = directory_of(path).map_err(|error| match error {
            Errno::NOENT => format!("there is no directory for {path:?}; make it, or name another by --unix PATH"),
            _ => format!("cannot open the directory of {path:?}: {error}"),
        })?;
        let is_ours = lock(&directory);
        let listener = listen(path).or_else(|error| match error.kind() {
            ErrorKind::AddrInUse if is_ours && is_left(path) => {
                unlinkat(&directory, name, AtFlags::empty())?;
                listen(path)
            }
            _ => Err(error),
        });
        let listener = listener.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse if !is_socket(path) => {
                format!("{path:?} is there and is no socket; name another by --unix PATH")
            }
            ErrorKind::AddrInUse => format!("{path:?} is in use; choose another by --unix PATH"),
            ErrorKind::InvalidInput => {
                format!("{path:?} is too long for a socket, which has 107 bytes; name a shorter one by --unix PATH")
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                format!("cannot make {path:?}: {error}; choose a directory that you may write in by --unix PATH")
            }
            _ => format!("cannot listen on {path:?}: {error}"),
        })?;
        let file = openat(&directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| format!("cannot look at {path:?}: {error}"))?;
        let _ = flock(&directory, FlockOperation::Unlock);
        Ok((listener, SocketFile { directory, name: name.into(), file }))
    }

    /// Where it lies.
    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = || {
            let (there, ours) = (statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW)?, fstat(&self.file)?);
            Ok::<_, Errno>((there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino))
        };
        if lock(&self.directory) && is_ours() == Ok(true) {
            let _ = unlinkat(&self.directory, &self.name, AtFlags::empty());
        }
    }
}

/// Two that start at once must not take each other's socket for a left one: whoever replaces or removes one has the lock of
/// its directory, for as long as the descriptor. It waits for a second at most. Where there are no locks, it goes without.
fn lock(directory: &OwnedFd) -> bool {
    (0..20).any(|attempt| {
        if attempt > 0 {
            thread::sleep(Duration::from_millis(50));
        }
        flock(directory, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK)
    })
}

fn directory_of(path: &Path) -> Result<OwnedFd, Errno> {
    let directory =
        path.parent().filter(|directory| !directory.as_os_str().is_empty()).map_or(PathBuf::from("."), Path::to_owned);
    openat(CWD, &directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let mask = umask(FORBIDDEN);
    let listener = UnixListener::bind(path);
    umask(mask);
    listener
}

fn is_socket(path: &Path) -> bool {
    statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket)
}

/// Whether it is a socket on which nobody accepts. It never waits for who is slow to accept.
fn is_left(path: &Path) -> bool {
    let knock = || -> Result<(), Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)
    };
    is_socket(path) && knock() == Err(Errno::CONNREFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_socket_is_the_groups_and_goes_with_the_value() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (_listener, file) = SocketFile::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o660);
        assert!(UnixStream::connect(&path).is_ok());
        drop(file);
        assert!(!path.exists());
    }

    // As an administrator does it who gives the proxy access.
    #[test]
    fn a_socket_whose_mode_was_changed_goes_with_the_value() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (_listener, file) = SocketFile::bind(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_left_one_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let first = UnixListener::bind(&path).unwrap();
        assert!(SocketFile::bind(&path).unwrap_err().contains("in use"));
        drop(first);
        let (second, file) = SocketFile::bind(&path).unwrap();
        assert!(SocketFile::bind(&path).unwrap_err().contains("in use"));
        drop(second);
        let (_third, third_file) = SocketFile::bind(&path).unwrap();
        drop(file);
        assert!(UnixStream::connect(&path).is_ok(), "the first advance away what is the second's");
        drop(third_file);
        assert!(!path.exists());
    }

    #[test]
    fn a_left_one_is_replaced_by_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        let other = directory_of(&path).unwrap();
        assert!(lock(&other));
        assert!(SocketFile::bind(&path).unwrap_err().contains("in use"));
        drop(other);
        assert!(SocketFile::bind(&path).is_ok());
    }

    #[test]
    fn what_is_no_socket_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "precious").unwrap();
        assert!(SocketFile::bind(&path).unwrap_err().contains("no socket"));
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(SocketFile::bind(&link).unwrap_err().contains("no socket"));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
