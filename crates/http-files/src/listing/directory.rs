//! Reads the entries of a directory that are listed, in bounded memory.

use std::fs::File;

use http_server::Blocking;

use super::entry::Entry;
use super::filter::Filter;
use super::sort;
use crate::open_error::OpenError;
use crate::root::Root;
use crate::settings::{begins_with_dot, is_hidden};
use crate::system::{Dir, EntryType, is_removed};

/// A listing is built in memory and not cached, so it is limited: 10,000 names of 110 bytes fit.
pub(crate) const MAX_PAGE_BYTES: usize = 4 << 20;

/// How many names are listed.
pub(super) const MAX_SHOWN: usize = 10_000;

/// How many names are read, so that a directory with millions of them does not hold up a worker.
pub(super) const MAX_READ: usize = 100_000;

#[derive(Debug)]
pub(super) struct Listing {
    pub(super) entries: Vec<Entry>,
    pub(super) completeness: Completeness,
    /// How many names are left out because they cannot be served.
    pub(super) unservable: usize,
}

/// How much of the directory is in the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completeness {
    /// Everything that may be served.
    Complete,
    /// The first names in order, of this many.
    Truncated { of: usize },
    /// The first names in order, of this many that were read. There are more.
    Unread { of: usize },
}

impl Listing {
    pub(super) fn read(
        root: &Root,
        path: &[u8],
        directory: File,
        hidden: bool,
        filter: &Filter,
        blocking: Blocking<'_>,
    ) -> Result<Listing, OpenError> {
        let mut directory = Dir::new(directory)?;
        let names = BoundedNames::read(&mut directory, path, hidden, filter, MAX_READ)?;
        let completeness = names.completeness();
        let mut unservable = names.unservable;
        let directory = directory.fd()?;
        if names.count == 0 && is_removed(directory) {
            return Err(if path.is_empty() { OpenError::NoRoot } else { OpenError::NotFound });
        }
        let mut entries = Vec::new();
        for name in names.first() {
            match Entry::find(root, path, directory, name, blocking)? {
                Some(entry) => entries.push(entry),
                None => unservable += 1,
            }
        }
        Ok(Listing { entries, completeness, unservable })
    }
}

/// The first names of a directory in their order, in bounded memory.
#[derive(Debug, Default)]
pub(super) struct BoundedNames {
    pub(super) kept: Vec<Box<[u8]>>,
    pub(super) count: usize,
    /// How many names cannot be served, by what the directory says of them.
    pub(super) unservable: usize,
    /// The directory has more names than were read.
    has_unread: bool,
}

impl BoundedNames {
    /// Reads at most `most` names. It skips hidden names unless `hidden` is set, and what the filter does not match. It
    /// counts names that no URL can contain, and kinds of files that are never served.
    pub(super) fn read(
        directory: &mut Dir,
        path: &[u8],
        hidden: bool,
        filter: &Filter,
        most: usize,
    ) -> Result<BoundedNames, OpenError> {
        let mut names = BoundedNames::default();
        for (read, entry) in directory.enumerate() {
            if read == most {
                names.has_unread = true;
                break;
            }
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || !filter.matches(name) {
                continue;
            }
            if !hidden && begins_with_dot(name) && is_hidden(&[path, name].concat()) {
                continue;
            }
            let kind = entry.file_type();
            if name.iter().any(u8::is_ascii_control)
                || matches!(
                    kind,
                    EntryType::Fifo | EntryType::Socket | EntryType::CharacterDevice | EntryType::BlockDevice
                )
            {
                names.unservable += 1;
            } else {
                names.push(name);
            }
        }
        Ok(names)
    }

    pub(super) fn completeness(&self) -> Completeness {
        match self.count {
            of if self.has_unread => Completeness::Unread { of },
            of if of > MAX_SHOWN => Completeness::Truncated { of },
            _ => Completeness::Complete,
        }
    }

    pub(super) fn push(&mut self, name: &[u8]) {
        // Only when twice as many are held, so that each name is compared only a few times.
        if self.kept.len() == 2 * MAX_SHOWN {
            self.drop_last();
        }
        self.kept.push(name.into());
        self.count += 1;
    }

    pub(super) fn first(mut self) -> Vec<Box<[u8]>> {
        self.drop_last();
        self.kept
    }

    fn drop_last(&mut self) {
        if self.kept.len() > MAX_SHOWN {
            self.kept.select_nth_unstable_by(MAX_SHOWN, |a, b| sort::natural_cmp(a, b));
            self.kept.truncate(MAX_SHOWN);
        }
    }
}
