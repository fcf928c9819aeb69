//! Windows: names are looked at, opened and read beneath an open directory, by `cap-primitives`. A name has to be plain and
//! spelled as the directory has it. A handle tells that, and which file it is; it does not tell when the file's status
//! changed, so that `changed` is `modified`.

use std::ffi::{CString, OsStr};
use std::fmt::{self, Display};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cap_primitives::fs::OpenOptionsExt as _;
use winx::file::get_file_path;
use winx::winapi_util::file::information;

use super::windows_names::is_plain;
use super::{Kind, Looked, Status};
use crate::open_error::OpenError;
use crate::stamp::{FileKind, FileStamp};

/// An open directory whose entries are read.
pub(crate) type DirectoryRef<'a> = &'a File;

/// A number of Windows for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(i32);

impl Errno {
    pub(crate) const IO: Errno = Errno(1117); // ERROR_IO_DEVICE
    pub(crate) const STALE: Errno = Errno(1006); // ERROR_FILE_INVALID
}

impl Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

// Of Windows' headers.
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000; // opens directories, too
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000; // opens a symlink itself
const FILE_ATTRIBUTE_REPARSE_POINT: u64 = 0x400;

/// What a name in a directory stands for. It is opened for its attributes only, and not followed.
pub(super) fn look_at(directory: &File, name: &[u8]) -> Result<Looked, OpenError> {
    let file = open_name(directory, name, |options| options.access_mode(0))?;
    let kind = match status(&file) {
        Ok(status) => Kind::Served(status),
        Err(_) if file.metadata()?.is_symlink() => Kind::Symlink,
        Err(_) => Kind::Other,
    };
    Ok(Looked { kind, device: information(&file)?.volume_serial_number() })
}

/// Opens a directory with this name, to look up names in it.
pub(super) fn enter(directory: &File, name: &[u8]) -> Result<File, OpenError> {
    open_name(directory, name, |options| options.read(true))
}

/// Opens a file with this name for reading.
pub(super) fn open_at(directory: &File, name: &[u8]) -> Result<File, OpenError> {
    open_name(directory, name, |options| options.read(true))
}

/// The text of a symlink, or of a junction.
pub(super) fn read_link_at(directory: &File, name: &[u8]) -> Result<Vec<u8>, OpenError> {
    let text = cap_primitives::fs::read_link_contents(directory, plain(name)?.as_ref())?;
    Ok(text.into_os_string().into_encoded_bytes())
}

/// Opens an open directory again, to read its entries.
pub(super) fn open_directory(directory: &File) -> Result<File, OpenError> {
    Ok(directory.try_clone()?)
}

/// What a path leads to, whatever symlinks it leads through.
pub(super) fn status_of_path(directory: &File, path: &[u8]) -> Result<Status, OpenError> {
    status(&open_anywhere(directory, path, OpenOptions::new().access_mode(0))?)
}

/// Opens what a path leads to, whatever symlinks it leads through.
pub(super) fn open_path(directory: &File, path: &[u8]) -> Result<File, OpenError> {
    open_anywhere(directory, path, OpenOptions::new().read(true))
}

/// Whether there is anything at this path, whose directories may be reached through symlinks.
pub(super) fn exists_at(directory: &File, path: &[u8]) -> bool {
    let at = path_below(directory, path);
    at.is_ok_and(|at| fs::symlink_metadata(at).is_ok())
}

/// The device and the inode of the directory that a path names now, and how many names it has.
pub(super) fn directory_id(path: &Path) -> Result<(u64, u64, u64), OpenError> {
    let file = OpenOptions::new().access_mode(0).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?;
    let about = information(&file)?;
    Ok((about.volume_serial_number(), about.file_index(), about.number_of_links()))
}

/// Opens the directory that all paths begin in. It may be renamed meanwhile.
pub(super) fn open_base(path: &Path, _is_read: bool) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?;
    if file.metadata()?.is_dir() { Ok(file) } else { Err(ErrorKind::NotADirectory.into()) }
}

/// Whether a file that is served alone may be read.
pub(crate) fn check_readable(path: &Path) -> io::Result<()> {
    File::open(path).map(drop)
}

/// What an open file is, if it may be served. What another program has to fetch first may not.
pub(crate) fn status(file: &File) -> Result<Status, OpenError> {
    let (about, metadata) = (information(file)?, file.metadata()?);
    let kind = match metadata.is_dir() {
        _ if about.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0 => return Err(OpenError::Irregular),
        true => FileKind::Directory,
        false => FileKind::File,
    };
    let modified = about.last_write_time().map_or(0, nanoseconds);
    let stamp = FileStamp {
        device: about.volume_serial_number(),
        inode: about.file_index(),
        length: about.file_size(),
        modified,
        changed: modified,
    };
    Ok(Status { kind, stamp, has_no_blocks: false })
}

/// Nanoseconds since 1970, from intervals of 100 ns since 1601.
fn nanoseconds(time: u64) -> i128 {
    (i128::from(time) - 116_444_736_000_000_000) * 100
}

/// The entries of a directory are read by its path, where a removed one is not found.
pub(crate) fn is_removed(_directory: DirectoryRef<'_>) -> bool {
    false
}

/// A name as Windows takes it.
fn plain(name: &[u8]) -> Result<&OsStr, OpenError> {
    path_from(name).filter(|_| is_plain(name)).ok_or(OpenError::NotFound)
}

/// Opens a name, which is not followed, if the directory spells it so.
fn open_name(
    directory: &File,
    name: &[u8],
    access: impl Fn(&mut cap_primitives::fs::OpenOptions) -> &mut cap_primitives::fs::OpenOptions,
) -> Result<File, OpenError> {
    let mut options = cap_primitives::fs::OpenOptions::new();
    access(&mut options).custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT);
    let file = cap_primitives::fs::open(directory, plain(name)?.as_ref(), &options)?;
    let spelled = get_file_path(&file)?;
    let is_spelled_so = spelled.file_name().is_some_and(|spelled| spelled.as_encoded_bytes() == name);
    if is_spelled_so { Ok(file) } else { Err(OpenError::NotFound) }
}

/// Where a path leads from a directory. Each of its names has to be plain.
fn path_below(directory: &File, path: &[u8]) -> Result<PathBuf, OpenError> {
    let mut below = get_file_path(directory)?;
    for name in path.split(|&c| c == b'/').filter(|name| !name.is_empty()) {
        below.push(plain(name)?);
    }
    Ok(below)
}

fn open_anywhere(directory: &File, path: &[u8], options: &mut OpenOptions) -> Result<File, OpenError> {
    Ok(options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path_below(directory, path)?)?)
}

/// A path as the system has it, from bytes of a URL or of a symlink.
pub(crate) fn path_from(bytes: &[u8]) -> Option<&OsStr> {
    str::from_utf8(bytes).ok().map(OsStr::new)
}

/// The kind of a directory's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "other systems have more kinds")]
pub(crate) enum EntryType {
    File,
    Directory,
    Symlink,
    Fifo,
    Socket,
    CharacterDevice,
    BlockDevice,
    Unknown,
}

/// The entries of a directory.
pub(crate) struct Dir {
    file: File,
    entries: fs::ReadDir,
}

pub(crate) struct DirEntry {
    name: CString,
    kind: EntryType,
}

impl DirEntry {
    pub(crate) fn file_name(&self) -> &CString {
        &self.name
    }

    pub(crate) fn file_type(&self) -> EntryType {
        self.kind
    }
}

impl Dir {
    pub(crate) fn new(file: File) -> Result<Dir, OpenError> {
        // Not by `read_base_dir`, which cuts the path of a network share to a relative one.
        let entries = fs::read_dir(get_file_path(&file)?)?;
        Ok(Dir { file, entries })
    }

    pub(crate) fn fd(&self) -> Result<DirectoryRef<'_>, OpenError> {
        Ok(&self.file)
    }

    pub(crate) fn read(&mut self) -> Option<Result<DirEntry, OpenError>> {
        self.next()
    }
}

impl Iterator for Dir {
    type Item = Result<DirEntry, OpenError>;

    fn next(&mut self) -> Option<Result<DirEntry, OpenError>> {
        let entry = match self.entries.next()? {
            Ok(entry) => entry,
            Err(error) => return Some(Err(error.into())),
        };
        let kind = match entry.file_type() {
            Ok(kind) if kind.is_symlink() => EntryType::Symlink,
            Ok(kind) if kind.is_dir() => EntryType::Directory,
            Ok(kind) if kind.is_file() => EntryType::File,
            _ => EntryType::Unknown,
        };
        // No name contains a NUL.
        let name = CString::new(entry.file_name().into_encoded_bytes()).unwrap_or_default();
        Some(Ok(DirEntry { name, kind }))
    }
}

/// How many bytes a read from a file's start delivers, up to this buffer and one more.
pub(crate) fn read(file: &File, buffer: &mut [u8]) -> Result<usize, OpenError> {
    match read_at(file, 0, buffer)? {
        filled if filled == buffer.len() => Ok(filled + read_at(file, filled as u64, &mut [0])?),
        filled => Ok(filled),
    }
}

/// Reads from this offset until the buffer is full or the file ends.
pub(crate) fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> Result<usize, OpenError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.seek_read(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Reads on from the file's position until the buffer is full or the file ends.
pub(crate) fn read_on(mut file: &File, buffer: &mut [u8]) -> Result<usize, OpenError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Whether a file has a last byte where its size says, and none behind that.
pub(crate) fn ends_at(file: &File, length: u64) -> Result<bool, OpenError> {
    Ok(read_at(file, length.saturating_sub(1), &mut [0; 2])? == 1)
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        match (error.raw_os_error(), error.kind()) {
            // No such file, path, drive or share; an invalid name; too long a name; no directory.
            (Some(2 | 3 | 15 | 53 | 67 | 123 | 161 | 206 | 267), _) | (_, ErrorKind::NotFound) => OpenError::NotFound,
            (Some(5), _) | (None, ErrorKind::PermissionDenied) => OpenError::Forbidden,
            (Some(4 | 8 | 14), _) => OpenError::Busy, // too many open files; no memory
            (Some(32 | 33), _) => OpenError::Leased,  // another program shares neither the file nor this part of it
            (Some(232), _) => OpenError::NoData,
            (Some(4390), _) => OpenError::Changing, // it is no longer a symlink
            (Some(number), _) => OpenError::Broken(Errno(number)),
            (None, _) => OpenError::Broken(Errno::IO),
        }
    }
}
