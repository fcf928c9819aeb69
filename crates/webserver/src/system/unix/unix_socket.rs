//! The Unix socket of `--unix`: created for a proxy's group, in place of a stale one, and removed at exit.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http_server::{RunningServer, Server};
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, flock, openat, statat, unlinkat};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
use rustix::process::umask;

use crate::cli::Cli;
use crate::system::os_error::describe;

/// The file of a socket. Dropping it removes the file, unless another process has replaced it.
#[derive(Debug)]
pub(crate) struct SocketFile {
    directory: OwnedFd,
    name: OsString,
    id: FileId,
}

/// Which file it is: device, inode, and when it was made, because the number of an inode is used again. Nothing writes to
/// the file of a socket, so this is its modification time.
type FileId = (u64, u64, i64, u64);

/// The socket of `--unix`, if that is given.
pub(crate) fn bind(cli: &Cli) -> Result<Option<(Server, SocketFile)>, String> {
    cli.unix.as_deref().map(SocketFile::bind).transpose()
}

/// The paths of the Unix sockets that a server listens on.
pub(crate) fn paths(running: &RunningServer) -> Vec<String> {
    running.unix_addrs().iter().map(display_path).collect()
}

fn display_path(address: &SocketAddr) -> String {
    match (address.as_pathname(), abstract_name(address)) {
        (Some(path), _) => path.display().to_string(),
        (None, Some(name)) => format!("@{}", name.escape_ascii()),
        (None, None) => String::new(),
    }
}

#[cfg(target_os = "linux")]
fn abstract_name(address: &SocketAddr) -> Option<&[u8]> {
    std::os::linux::net::SocketAddrExt::as_abstract_name(address)
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_: &SocketAddr) -> Option<&[u8]> {
    None
}

/// Leaves 0660: the owner and the group may connect. A proxy that runs as another user belongs to the group.
const FORBIDDEN: Mode = Mode::RWXO.union(Mode::XUSR).union(Mode::XGRP);

impl SocketFile {
    /// Listens at this path. Call it while no other thread creates files: it changes the umask, which all threads share.
    pub(crate) fn bind(path: &Path) -> Result<(Server, SocketFile), String> {
        let cannot = |cause: &dyn std::fmt::Display| format!("cannot create the Unix socket {path:?}: {cause}");
        let name = path.file_name().ok_or_else(|| cannot(&"not the name of a file (use --unix DIRECTORY/NAME)"))?;
        let directory = directory_of(path).map_err(|error| match error {
            Errno::NOENT => cannot(&"its directory does not exist (create it, or choose another path with --unix)"),
            _ => cannot(&format_args!("cannot open its directory: {error}")),
        })?;
        let is_locked = lock(&directory);
        let server = listen(path).or_else(|error| match error.kind() {
            ErrorKind::AddrInUse if is_stale(path) => {
                unlinkat(&directory, name, AtFlags::empty())?;
                listen(path)
            }
            _ => Err(error),
        });
        let server = server.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::ADDRINUSE) if !is_socket(path) => {
                format!("refusing to replace non-socket file at {path:?} (choose another path with --unix)")
            }
            Some(Errno::ADDRINUSE) => cannot(&"it is in use (choose another path with --unix)"),
            Some(Errno::NAMETOOLONG) => cannot(&"the path has more than 107 bytes (choose a shorter one with --unix)"),
            Some(cause @ (Errno::ACCESS | Errno::ROFS)) => {
                cannot(&format_args!("{cause} (choose a directory that you may write to with --unix)"))
            }
            Some(cause @ (Errno::PERM | Errno::AFNOSUPPORT)) => cannot(&format_args!(
                "{cause} (let the service use AF_UNIX, and choose a file system that has sockets with --unix)"
            )),
            _ => cannot(&describe(&error)),
        })?;
        let id = file_id(&directory, name).map_err(|error| cannot(&error))?;
        let file = SocketFile { directory, name: name.into(), id };
        if !is_locked {
            // Another server may have taken the socket for a stale one. If so, it has replaced it by now.
            thread::sleep(Duration::from_millis(100));
            if !file.is_there() || !leads_to_this_process(path) {
                return Err(cannot(&"another server has just replaced it (choose another path with --unix)"));
            }
        }
        let _ = flock(&file.directory, FlockOperation::Unlock);
        Ok((server, file))
    }

    /// The directory that the file is in.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "for the sandbox of Linux"))]
    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Whether the name still leads to this file.
    fn is_there(&self) -> bool {
        file_id(&self.directory, &self.name) == Ok(self.id)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        lock(&self.directory);
        if self.is_there() {
            let _ = unlinkat(&self.directory, &self.name, AtFlags::empty());
        }
    }
}

/// Locks the directory until the descriptor is closed. Otherwise two servers that start at the same time could mistake
/// each other's socket for a stale one. A server holds the lock for less than a millisecond. Whoever may read the
/// directory can hold it for longer, and then the start goes on without it, which is `false`.
fn lock(directory: &OwnedFd) -> bool {
    let is_locked = || flock(directory, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK);
    let deadline = Instant::now() + Duration::from_millis(500);
    while !is_locked() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

fn directory_of(path: &Path) -> Result<OwnedFd, Errno> {
    let directory =
        path.parent().filter(|directory| !directory.as_os_str().is_empty()).map_or(PathBuf::from("."), Path::to_owned);
    openat(CWD, &directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn listen(path: &Path) -> io::Result<Server> {
    // Two calls at once, as in tests, would restore each other's mask too early.
    static UMASK: Mutex<()> = Mutex::new(());
    let _held = UMASK.lock().unwrap_or_else(PoisonError::into_inner);
    let mask = umask(FORBIDDEN);
    let server = Server::bind_unix(path);
    umask(mask);
    server
}

fn is_socket(path: &Path) -> bool {
    statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket)
}

fn file_id(directory: &OwnedFd, name: &OsStr) -> Result<FileId, Errno> {
    let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((stat.st_dev as u64, stat.st_ino, stat.st_mtime, stat.st_mtime_nsec as u64))
}

/// Whether it is a socket on which no process listens.
fn is_stale(path: &Path) -> bool {
    // Only Linux tells that from a process whose backlog is full, so elsewhere it is asked for half a second.
    let probes = if cfg!(target_os = "linux") { 1 } else { 10 };
    is_socket(path)
        && (0..probes).all(|n| {
            thread::sleep(Duration::from_millis(if n == 0 { 0 } else { 50 }));
            probe(path).err() == Some(Errno::CONNREFUSED)
        })
}

#[cfg(target_os = "linux")]
fn leads_to_this_process(path: &Path) -> bool {
    let listener = probe(path).and_then(rustix::net::sockopt::socket_peercred);
    listener.is_ok_and(|listener| listener.pid == rustix::process::getpid())
}

/// Nobody tells: the file alone decides.
#[cfg(not(target_os = "linux"))]
fn leads_to_this_process(_: &Path) -> bool {
    true
}

/// Connects. It does not wait for a live server whose backlog is full.
fn probe(path: &Path) -> Result<OwnedFd, Errno> {
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?; // this process starts no other
    ioctl_fionbio(&socket, true)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixListener, UnixStream};

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

    // Whoever may read a directory can lock it.
    #[test]
    fn lock_of_another_process_prevents_neither_replacing_nor_removing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        let other = directory_of(&path).unwrap();
        flock(&other, FlockOperation::LockExclusive).unwrap();
        let (_listener, file) = SocketFile::bind(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(file);
        assert!(!path.exists());
    }

    // The probe does not wait either, although connecting to this socket would.
    #[test]
    fn live_socket_with_full_backlog_is_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let _full = full_listener(&path);
        assert!(SocketFile::bind(&path).unwrap_err().contains("in use"));
    }

    /// A listener to which no further peer can connect without waiting.
    fn full_listener(path: &Path) -> (OwnedFd, Vec<OwnedFd>) {
        let socket = || {
            let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
            ioctl_fionbio(&socket, true).unwrap();
            socket
        };
        let (listener, address) = (socket(), SocketAddrUnix::new(path).unwrap());
        rustix::net::bind(&listener, &address).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let mut peers = vec![socket()];
        while connect(peers.last().unwrap(), &address).is_ok() {
            peers.push(socket());
        }
        (listener, peers)
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
