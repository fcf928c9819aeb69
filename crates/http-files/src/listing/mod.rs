//! A directory's listing: which of its names are shown, and what is known of them. What the query asks for is read in
//! `query`, `order` sorts, `html` and `json` write.

mod html;
mod json;
mod query;
mod sort;

use std::os::fd::{BorrowedFd, OwnedFd};

use http_core::{Date, FieldValue, Status, header, percent_encode};
use rustix::fs::{Dir, FileType};

use self::query::{Format, Query};
use crate::root::{Kind, OpenError, Opened, Root, State, look};
use crate::{error_page, is_hidden, push};
use http_server::Response;

/// Bytes of HTML or JSON. Neither is kept, and both are built in memory, so they are bounded: 10,000 names of 110 bytes
/// have room.
pub(crate) const LONGEST: usize = 4 << 20;

/// How many names are shown.
const MOST: usize = 10_000;

/// How many are read, so that a directory of millions holds nobody up.
const READ: usize = 100_000;

/// A directory, or as much of it as has room.
#[derive(Debug)]
struct Listing {
    entries: Vec<Entry>,
    extent: Extent,
}

/// How much of a directory there is in its listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// All that may be served.
    Whole,
    /// The first by name, of so many.
    First { of: usize },
    /// The first by name, of so many among those that were read; there are more.
    Some { of: usize },
}

/// What may be served under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: Box<[u8]>,
    kind: Kind,
    /// Bytes of a file.
    length: u64,
    /// Nanoseconds since 1970.
    modified: i128,
}

/// Replies with the listing of an open directory as the query asks for it. `path` is the directory's, with a slash at its end,
/// or empty.
pub(crate) fn reply(
    root: &Root,
    path: &[u8],
    directory: OwnedFd,
    query: Option<&str>,
    hidden: bool,
) -> Result<Response, OpenError> {
    let query = Query::new(query.unwrap_or_default());
    let mut listing = Listing::read(root, path, directory, hidden)?;
    sort::sort(&mut listing.entries, query.order);
    let mut reply = match query.format {
        Format::Html => error_page::reply(Status::OK, html::page(path, &listing, query.order)),
        Format::Json => json::reply(path, &listing).map_err(|_| OpenError::Broken)?,
    };
    // Nothing tells one state of it from the next: what changes in a file does not show in the times of its directory.
    push(reply.headers_mut(), header::CACHE_CONTROL, FieldValue::from_static("no-cache"));
    Ok(reply)
}

impl Listing {
    /// What leads nowhere is left out.
    fn read(root: &Root, path: &[u8], directory: OwnedFd, hidden: bool) -> Result<Listing, OpenError> {
        let mut directory = Dir::new(directory)?;
        let names = Names::read(&mut directory, path, hidden, READ)?;
        let extent = names.extent();
        let directory = directory.fd()?;
        let entries = names.first().into_iter().filter_map(|name| Entry::find(root, path, directory, name).transpose());
        Ok(Listing { entries: entries.collect::<Result<_, _>>()?, extent })
    }
}

impl Entry {
    fn find(root: &Root, path: &[u8], directory: BorrowedFd<'_>, name: Box<[u8]>) -> Result<Option<Entry>, OpenError> {
        let (kind, State { length, modified, .. }) = match look(directory, &name) {
            Some(found) => found,
            // It may be a link.
            None => match root.open_below(&[path, &name].concat()) {
                Ok(Opened { kind, state, .. }) => (kind, state),
                Err(OpenError::Busy) => return Err(OpenError::Busy),
                Err(_) => return Ok(None),
            },
        };
        Ok(Some(Entry { name, kind, length, modified }))
    }

    fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// A link to it, from the listing. Without `./` a name could be taken for a scheme (V17).
    fn push_link(&self, out: &mut String) {
        out.push_str("./");
        percent_encode(&self.name, out);
        if self.is_directory() {
            out.push('/');
        }
    }

    /// The second of its last change as RFC 3339 writes it, where the year has four digits.
    fn modified(&self) -> Option<String> {
        const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
        let seconds = i64::try_from(self.modified.div_euclid(1_000_000_000)).ok()?;
        let text = Date::from_unix(seconds)?.text();
        let text = text.as_str(); // Sun, 06 Nov 1994 08:49:37 GMT
        let (day, month, year, time) = (&text[5..7], &text[8..11], &text[12..16], &text[17..25]);
        let month = MONTHS.find(month)? / 3 + 1;
        Some(format!("{year}-{month:02}-{day}T{time}Z"))
    }
}

/// The first names of a directory in their order, however many there are.
#[derive(Debug, Default)]
struct Names {
    kept: Vec<Box<[u8]>>,
    count: usize,
    /// There are more than may be read.
    are_more: bool,
}

impl Names {
    /// Reads so many names at most. Leaves out those with a dot in front unless `hidden` ones are wanted, those that no URL
    /// can name, and what is surely not served.
    fn read(directory: &mut Dir, path: &[u8], hidden: bool, most: usize) -> Result<Names, OpenError> {
        let mut names = Names::default();
        for (read, entry) in directory.enumerate() {
            if read == most {
                names.are_more = true;
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

    fn extent(&self) -> Extent {
        match self.count {
            of if self.are_more => Extent::Some { of },
            of if of > MOST => Extent::First { of },
            _ => Extent::Whole,
        }
    }

    fn push(&mut self, name: &[u8]) {
        // Now and then, so that few are held and each is compared a few times.
        if self.kept.len() == 2 * MOST {
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
        if self.kept.len() > MOST {
            self.kept.select_nth_unstable_by(MOST, |a, b| sort::natural(a, b));
            self.kept.truncate(MOST);
        }
    }
}

#[cfg(test)]
mod tests;
