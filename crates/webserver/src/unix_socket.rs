//! The Unix socket of `--unix`: created for a proxy's group, in place of a stale one, and removed at exit.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, flock, fstat, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::umask;

/// The file of a socket. Dropping it removes the file, unless another process has replaced it.
#[derive(Debug)]
pub(crate) struct SocketFile {
    directory: OwnedFd,
    name: OsString,
    /// Held open so that its inode number is not reused.
    file: OwnedFd,
}

/// Leaves 0660: the owner and the group may connect. A proxy that runs as another user belongs to the group.
const FORBIDDEN: Mode = Mode::RWXO.union(Mode::XUSR).union(Mode::XGRP);

impl SocketFile {
    /// Listens at this path. Call it before other threads start: it changes the umask, which all threads share.
    pub(crate) fn bind(path: &Path) -> Result<(UnixListener, SocketFile), String> {
        let cannot = |cause: &dyn std::fmt::Display| format!("cannot create the Unix socket {path:?}: {cause}");
        let name = path.file_name().ok_or_else(|| cannot(&"not the name of a file (use --unix DIRECTORY/NAME)"))?;
        let directory = directory_of(path).map_err(|error| match error {
            Errno::NOENT => cannot(&"its directory does not exist (create it, or choose another path with --unix)"),
            _ => cannot(&format_args!("cannot open its directory: {error}")),
        })?;
        let is_locked = lock(&directory);
        let listener = listen(path).or_else(|error| match error.kind() {
            ErrorKind::AddrInUse if is_locked && is_stale(path) => {
                unlinkat(&directory, name, AtFlags::empty())?;
                listen(path)
            }
            _ => Err(error),
        });
        let listener = listener.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse if !is_socket(path) => {
                format!("refusing to replace non-socket file at {path:?} (choose another path with --unix)")
            }
            ErrorKind::AddrInUse => cannot(&"it is in use (choose another path with --unix)"),
            ErrorKind::InvalidInput => cannot(&"the path has more than 107 bytes (choose a shorter one with --unix)"),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                cannot(&format_args!("{error} (choose a directory that you may write to with --unix)"))
            }
            _ => cannot(&error),
        })?;
        let file = openat(&directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| cannot(&error))?;
        let _ = flock(&directory, FlockOperation::Unlock);
        Ok((listener, SocketFile { directory, name: name.into(), file }))
    }

    /// The directory that the file is in.
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

/// Locks the directory until the descriptor is closed. Otherwise two servers that start at the same time could mistake
/// each other's socket for a stale one. Waits for at most a second. A file system without locks counts as locked.
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
    // Two calls at once, as in tests, would restore each other's mask too early.
    static UMASK: Mutex<()> = Mutex::new(());
    let _held = UMASK.lock().unwrap_or_else(PoisonError::into_inner);
    let mask = umask(FORBIDDEN);
    let listener = UnixListener::bind(path);
    umask(mask);
    listener
}

fn is_socket(path: &Path) -> bool {
    statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket)
}

/// Whether it is a socket on which no process listens.
fn is_stale(path: &Path) -> bool {
    // Non-blocking: a live server whose backlog is full would make it wait.
    let probe = || -> Result<(), Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)
    };
    is_socket(path) && probe() == Err(Errno::CONNREFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    #[test]
    fn socket_file_has_mode_0660_and_is_removed_on_drop() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (_listener, file) = SocketFile::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o660);
        assert!(UnixStream::connect(&path).is_ok());
        drop(file);
        assert!(!path.exists());
    }

    // An administrator does this to give the proxy access.
    #[test]
    fn socket_file_is_removed_on_drop_after_chmod() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (_listener, file) = SocketFile::bind(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn stale_socket_is_replaced_and_live_socket_is_not() {
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
        assert!(UnixStream::connect(&path).is_ok(), "the first one has removed the socket of the second");
        drop(third_file);
        assert!(!path.exists());
    }

    #[test]
    fn stale_socket_is_not_replaced_while_directory_is_locked() {
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
    fn file_that_is_not_a_socket_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "precious").unwrap();
        assert!(SocketFile::bind(&path).unwrap_err().contains("non-socket file"));
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(SocketFile::bind(&link).unwrap_err().contains("non-socket file"));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
