//! One name of a listing, and what is known about it.

use http_core::{Civil, Date, percent_encode};
use http_server::Blocking;

use crate::open_error::OpenError;
use crate::root::Root;
use crate::stamp::{FileKind, FileStamp, NANOS_PER_SEC};
use crate::system::{DirectoryRef, stat_entry};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Box<[u8]>,
    /// What it is, or what the symlink leads to.
    pub(super) kind: FileKind,
    pub(super) is_symlink: bool,
    /// Bytes of a file.
    pub(super) length: u64,
    /// Nanoseconds since 1970.
    pub(super) modified: i128,
}

impl Entry {
    /// `None` if the name may not be served, such as a symlink that leads out of the root.
    pub(super) fn find(
        root: &Root,
        path: &[u8],
        directory: DirectoryRef<'_>,
        name: Box<[u8]>,
        blocking: Blocking<'_>,
    ) -> Result<Option<Entry>, OpenError> {
        let found = stat_entry(directory, &name);
        let is_symlink = found.is_none(); // or it is not served
        let (kind, FileStamp { length, modified, .. }) = match found {
            Some(found) => found,
            None => match root.stat_beneath(&[path, &name].concat(), blocking) {
                Ok(found) => found,
                Err(error @ (OpenError::Busy | OpenError::Later(_))) => return Err(error),
                Err(_) => return Ok(None),
            },
        };
        Ok(Some(Entry { name, kind, is_symlink, length, modified }))
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// A link to it, relative to the listing. Without `./`, part of a name could be taken for a scheme (V17).
    pub(super) fn href(&self) -> String {
        let mut href = String::from("./");
        percent_encode(&self.name, &mut href);
        if self.is_directory() {
            href.push('/');
        }
        href
    }

    /// When it was modified last, if the year has four digits.
    pub(super) fn modified(&self) -> Option<Civil> {
        let second = i64::try_from(self.modified.div_euclid(NANOS_PER_SEC)).ok()?;
        Some(Date::from_unix(second)?.civil())
    }
}

/// A time as RFC 3339 writes it.
pub(super) fn rfc_3339(time: Civil) -> String {
    let Civil { year, month, day, hour, minute, second, .. } = time;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
