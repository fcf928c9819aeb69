//! The names in one directory, in the order of their bytes and in little memory.

use std::fs::File;

use super::MAX_NAMES_READ;
use crate::open_error::OpenError;
use crate::settings::{begins_with_dot, is_hidden};
use crate::system::{Dir, EntryType, is_removed, stat_entry};

/// The names that are still to be visited.
#[derive(Debug)]
pub(super) struct Names {
    /// Each name behind a byte, [`SYMLINK`] or [`OTHER`], and before a NUL.
    packed: Box<[u8]>,
    next: usize,
}

const SYMLINK: u8 = b'@';
const OTHER: u8 = b' ';

pub(super) struct Name<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) is_symlink: bool,
}

impl Names {
    /// Reads the names of at most this many bytes. `path` is that of the directory, with a slash at the end, or empty. It
    /// skips hidden names unless `hidden` is set, and kinds of files that are never served.
    pub(super) fn read(directory: File, path: &[u8], hidden: bool, most: usize) -> Result<Names, OpenError> {
        let mut directory = Dir::new(directory)?;
        let (mut names, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = directory.read() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || !hidden && begins_with_dot(name) && is_hidden(&[path, name].concat()) {
                continue;
            }
            let kind = match entry.file_type() {
                EntryType::Fifo | EntryType::Socket | EntryType::CharacterDevice | EntryType::BlockDevice => continue,
                EntryType::Symlink => SYMLINK,
                // What is neither a file nor a directory is skipped where a symlink that leads to it is.
                EntryType::Unknown if stat_entry(directory.fd()?, name).is_none() => SYMLINK,
                _ => OTHER,
            };
            let packed = [&[kind], name, b"\0"].concat();
            bytes += packed.len();
            if bytes > most || names.len() == MAX_NAMES_READ {
                return Err(OpenError::TooLarge);
            }
            names.push(packed);
        }
        if names.is_empty() && is_removed(directory.fd()?) {
            return Err(if path.is_empty() { OpenError::NoRoot } else { OpenError::NotFound });
        }
        names.sort_unstable_by(|a, b| a[1..].cmp(&b[1..]));
        Ok(Names { packed: names.concat().into(), next: 0 })
    }

    /// Bytes that they take, visited or not.
    pub(super) fn size(&self) -> usize {
        self.packed.len()
    }

    pub(super) fn next(&mut self) -> Option<Name<'_>> {
        let rest = &self.packed[self.next..];
        let (kind, rest) = rest.split_first()?;
        let bytes = rest.split(|&c| c == 0).next()?;
        self.next += bytes.len() + 2;
        Some(Name { bytes, is_symlink: *kind == SYMLINK })
    }
}
