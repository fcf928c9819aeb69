//! What a download needs of the file system, on Windows. A file gets the permissions of its directory: those of the file
//! that it replaces, and whose file it is, would take unsafe code to ask for.

use std::ffi::OsString;
use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::Path;

use super::windows_names;

const FILE_SHARE_READ: u32 = 1;
const FILE_SHARE_DELETE: u32 = 4;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const ERROR_SHARING_VIOLATION: i32 = 32;

pub(super) fn check_writable(_: &Path, found: &Metadata) -> io::Result<()> {
    if found.permissions().readonly() { Err(ErrorKind::PermissionDenied.into()) } else { Ok(()) }
}

/// Whether a path names a device, such as `NUL`, which is written as it is.
pub(super) fn stays_in_place(path: &Path) -> bool {
    path.file_name().is_some_and(|name| windows_names::is_device(name.as_encoded_bytes()))
}

/// A name that Windows takes as it is.
pub(super) fn file_name_of(name: Vec<u8>) -> Result<OsString, &'static str> {
    let name = String::from_utf8(name).map_err(|_| "the file name in the URL is not UTF-8 (use --output)")?;
    match windows_names::is_plain(name.as_bytes()) {
        true => Ok(name.into()),
        false => Err("the file name in the URL means something else to Windows (use --output)"),
    }
}

/// None is found by a name in a directory.
pub(super) fn is_socket(_: FileType) -> bool {
    false
}

/// Opens a record for reading, if it is no symlink.
pub(super) fn open_record(path: &Path) -> Option<File> {
    let file = OpenOptions::new().read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path).ok()?;
    file.metadata().is_ok_and(|found| found.is_file()).then_some(file)
}

/// Creates a record.
pub(super) fn create_record(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Opens a file for writing, or creates it, and keeps others from writing it. Also returns its length.
pub(super) fn open_locked(path: &Path, _: bool) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    // Without the right to delete, it could not be renamed.
    options.share_mode(FILE_SHARE_READ | FILE_SHARE_DELETE).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(ERROR_SHARING_VIOLATION) => io::Error::new(ErrorKind::ResourceBusy, "another download is writing it"),
        _ => error,
    })?;
    let opened = file.metadata()?;
    if !opened.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok((file, opened.len()))
}

pub(super) fn keep_permissions(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Renames a file unless the new name exists: an empty file takes the name first.
pub(super) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    File::create_new(to)?;
    fs::rename(from, to).inspect_err(|_| drop(fs::remove_file(to)))
}

/// Whether a full disk may become known only when the file is flushed: over a network, which a drive's letter does not
/// show.
pub(super) fn reports_errors_late(_: &File) -> bool {
    true
}
