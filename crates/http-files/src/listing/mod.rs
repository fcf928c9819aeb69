//! Directory listings: which names are listed, and what is known about each. `query` parses what the client wants,
//! `sort` sorts, `html` and `json` write.

mod html;
mod json;
mod query;
mod sort;

use std::os::fd::{BorrowedFd, OwnedFd};

use http_core::{Civil, Date, Status, header, percent_encode};
use http_server::Response;
use rustix::fs::{Dir, FileType};

use self::query::{Format, Query};
use crate::root::{FileKind, FileStamp, NANOS_PER_SEC, OpenError, Opened, Root, stat_entry};
use crate::settings::is_hidden;

/// A listing is built in memory and not cached, so it is limited: 10,000 names of 110 bytes fit.
pub(crate) const MAX_PAGE_BYTES: usize = 4 << 20;

/// How many names are listed.
const MAX_SHOWN: usize = 10_000;

/// How many names are read, so that a directory with millions of them does not hold up a worker.
const MAX_READ: usize = 100_000;

#[derive(Debug)]
struct Listing {
    entries: Vec<Entry>,
    completeness: Completeness,
}

/// How much of the directory is in the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Completeness {
    /// Everything that may be served.
    Complete,
    /// The first names in order, of this many.
    Truncated { of: usize },
    /// The first names in order, of this many that were read. There are more.
    Unread { of: usize },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: Box<[u8]>,
    kind: FileKind,
    /// Bytes of a file.
    length: u64,
    /// Nanoseconds since 1970.
    modified: i128,
}

/// Lists an open directory as the query asks for it. `path` is its path with a slash at the end, or empty.
pub(crate) fn response(
    root: &Root,
    path: &[u8],
    directory: OwnedFd,
    query: Option<&str>,
    hidden: bool,
) -> Result<Response, OpenError> {
    let query = Query::new(query.unwrap_or_default());
    let mut listing = Listing::read(root, path, directory, hidden)?;
    sort::sort(&mut listing.entries, query.order);
    let response = match query.format {
        Format::Html => html::page(path, &listing, query.order).into_response(Status::OK),
        Format::Json => json::response(path, &listing).map_err(|_| OpenError::Broken)?,
    };
    // It has no validator: the directory's own times do not change when a file in it is written to.
    Ok(response.header(header::CACHE_CONTROL, "no-cache"))
}

impl Listing {
    fn read(root: &Root, path: &[u8], directory: OwnedFd, hidden: bool) -> Result<Listing, OpenError> {
        let mut directory = Dir::new(directory)?;
        let names = BoundedNames::read(&mut directory, path, hidden, MAX_READ)?;
        let completeness = names.completeness();
        let directory = directory.fd()?;
        let entries = names.first().into_iter().filter_map(|name| Entry::find(root, path, directory, name).transpose());
        Ok(Listing { entries: entries.collect::<Result<_, _>>()?, completeness })
    }
}

impl Entry {
    /// `None` if the name may not be served, such as a symlink that leads out of the root.
    fn find(root: &Root, path: &[u8], directory: BorrowedFd<'_>, name: Box<[u8]>) -> Result<Option<Entry>, OpenError> {
        let (kind, FileStamp { length, modified, .. }) = match stat_entry(directory, &name) {
            Some(found) => found,
            // It may be a symlink.
            None => match root.open_beneath(&[path, &name].concat()) {
                Ok(Opened { kind, stamp, .. }) => (kind, stamp),
                Err(OpenError::Busy) => return Err(OpenError::Busy),
                Err(_) => return Ok(None),
            },
        };
        Ok(Some(Entry { name, kind, length, modified }))
    }

    fn is_directory(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// A link to it, relative to the listing. Without `./`, part of a name could be taken for a scheme (V17).
    fn href(&self) -> String {
        let mut href = String::from("./");
        percent_encode(&self.name, &mut href);
        if self.is_directory() {
            href.push('/');
        }
        href
    }

    /// When it was modified last, if the year has four digits.
    fn modified(&self) -> Option<Civil> {
        let second = i64::try_from(self.modified.div_euclid(NANOS_PER_SEC)).ok()?;
        Some(Date::from_unix(second)?.civil())
    }
}

/// A time as RFC 3339 writes it.
fn rfc_3339(time: Civil) -> String {
    let Civil { year, month, day, hour, minute, second, .. } = time;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The first names of a directory in their order, in bounded memory.
#[derive(Debug, Default)]
struct BoundedNames {
    kept: Vec<Box<[u8]>>,
    count: usize,
    /// The directory has more names than were read.
    has_unread: bool,
}

impl BoundedNames {
    /// Reads at most `most` names. It skips hidden names unless `hidden` is set, names that no URL can contain, and
    /// kinds of files that are never served.
    fn read(directory: &mut Dir, path: &[u8], hidden: bool, most: usize) -> Result<BoundedNames, OpenError> {
        let mut names = BoundedNames::default();
        for (read, entry) in directory.enumerate() {
            if read == most {
                names.has_unread = true;
                break;
            }
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || name.iter().any(u8::is_ascii_control) {
                continue;
            }
            if !hidden && name.starts_with(b".") && is_hidden(&[path, name].concat()) {
                continue;
            }
            let kind = entry.file_type();
            if matches!(kind, FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice) {
                continue;
            }
            names.push(name);
        }
        Ok(names)
    }

    fn completeness(&self) -> Completeness {
        match self.count {
            of if self.has_unread => Completeness::Unread { of },
            of if of > MAX_SHOWN => Completeness::Truncated { of },
            _ => Completeness::Complete,
        }
    }

    fn push(&mut self, name: &[u8]) {
        // Only when twice as many are held, so that each name is compared only a few times.
        if self.kept.len() == 2 * MAX_SHOWN {
            self.drop_last();
        }
        self.kept.push(name.into());
        self.count += 1;
    }

    fn first(mut self) -> Vec<Box<[u8]>> {
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

#[cfg(test)]
mod tests;
