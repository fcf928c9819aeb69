//! What a download needs of the file system, on Unix.

use std::ffi::OsString;
use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, FlockOperation, OFlags, access, flock, linkat};
use rustix::io::Errno;
use rustix::process::geteuid;

#[cfg(target_os = "linux")]
pub(super) use linux::{rename_to_new, reports_errors_late};
#[cfg(not(target_os = "linux"))]
pub(super) use other::{rename_to_new, reports_errors_late};

/// Whether the user may write a file.
pub(super) fn check_writable(path: &Path, _: &Metadata) -> io::Result<()> {
    Ok(access(path, Access::WRITE_OK)?)
}

/// Whether a path leads to no name of a file, although some links in there look like one.
pub(super) fn stays_in_place(path: &Path) -> bool {
    path.starts_with("/proc") || path.starts_with("/dev/fd")
}

/// Any bytes are a name.
pub(super) fn file_name_of(name: Vec<u8>) -> Result<OsString, &'static str> {
    Ok(OsString::from_vec(name))
}

pub(super) fn is_socket(file_type: FileType) -> bool {
    file_type.is_socket()
}

/// Opens a record for reading, if nobody else has put it there.
pub(super) fn open_record(path: &Path) -> Option<File> {
    let file = OpenOptions::new().read(true).custom_flags(flags()).open(path).ok()?;
    file.metadata().is_ok_and(|found| is_own(&found)).then_some(file)
}

/// Creates a record. Its URL may hold a secret.
pub(super) fn create_record(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A symlink may lead to somebody else's file, and a pipe may wait for a reader.
fn flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// Opens a file for writing, or creates it, and locks it. Also returns its length. The lock ends with the process. File
/// systems without locks are believed to have no other client.
///
/// In a directory that others may write to, somebody may have put a file there, to add to the download or to read it.
pub(super) fn open_locked(path: &Path, is_private: bool) -> io::Result<(File, u64)> {
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
pub(super) fn keep_permissions(file: &File, replaced: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    let is_foreign = (own.uid(), own.gid()) != (replaced.uid(), replaced.gid())
        && fchown(file, Some(replaced.uid()), Some(replaced.gid())).is_err();
    let mode = replaced.mode() & if is_foreign { 0o707 } else { 0o777 };
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// Renames a file unless the new name exists, where a rename knows no such flag, as over NFS, which has hard links.
pub(crate) fn link_to_new(from: &Path, to: &Path) -> io::Result<()> {
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

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use rustix::fs::{CWD, RenameFlags, fstatfs, renameat_with};
    use rustix::io::Errno;

    /// Renames a file unless the new name exists.
    pub(crate) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => super::link_to_new(from, to),
            result => Ok(result?),
        }
    }

    /// Whether a full disk or a quota may become known only when the file is flushed, as over a network.
    pub(crate) fn reports_errors_late(file: &File) -> bool {
        const NFS: u32 = 0x6969;
        const CIFS: u32 = 0xff53_4d42;
        const SMB2: u32 = 0xfe53_4d42;
        const CEPH: u32 = 0x00c3_6400;
        const FUSE: u32 = 0x6573_5546;
        const V9FS: u32 = 0x0102_1997;
        fstatfs(file).is_ok_and(|found| matches!(found.f_type as u32, NFS | CIFS | SMB2 | CEPH | FUSE | V9FS))
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::fs::File;

    pub(crate) use super::link_to_new as rename_to_new;

    /// The types of file systems have other numbers.
    pub(crate) fn reports_errors_late(_: &File) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
