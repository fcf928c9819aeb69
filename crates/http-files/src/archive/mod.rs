//! A directory as an archive: `?archive=tar` and `?archive=tar.gz`. `stream` visits what is beneath the directory, one entry
//! after the other, while the client receives them; `names` reads one directory of it, `entry` writes tar's headers, and
//! `file_name` says under which name browsers save it.

mod entry;
mod file_name;
mod names;
mod stream;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use flate2::Compression;
use flate2::read::GzEncoder;
use http_core::header;
use http_server::{Body, Response};

use self::stream::{Bounds, TarStream, Tree};
use crate::compress;
use crate::open_error::OpenError;
use crate::root::{Opened, Root};

/// How many archives are sent at once. Each takes memory, however slow its client is.
pub(crate) const MAX_AT_ONCE: usize = 32;

/// How many entries an archive has. Symlinks may lead to the same directory again and again.
pub(crate) const MAX_ENTRIES: u64 = 1_000_000;

/// How many levels of directories an archive has.
pub(crate) const MAX_DEPTH: usize = 64;

/// How many names are read of a directory, so that one with millions of them does not hold up a worker.
pub(crate) const MAX_NAMES_READ: usize = 100_000;

/// How many bytes of names wait to be visited, in all directories on the way to where the archive is.
pub(crate) const MAX_NAME_BYTES: usize = 1 << 20;

/// Bytes of memory of all archives: names, one compressor each with what it reads ahead, and headers of an entry.
pub(crate) const MEMORY: usize = MAX_AT_ONCE * (MAX_NAME_BYTES + compress::MEMORY + (64 << 10));

/// What the root is called in its archive: its own name is not told to clients.
const ROOT_NAME: &[u8] = b"files";

/// The values of `archive` in a query.
pub(crate) const FORMATS: [&str; 2] = ["tar", "tar.gz"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Tar,
    TarGz,
}

/// The format that a query asks for, if it asks for an archive. `Some(None)` if there is no such format.
pub(crate) fn requested(query: Option<&str>) -> Option<Option<Format>> {
    // As in a listing, the last part counts.
    let format = query?.split('&').filter_map(|part| part.strip_prefix("archive=")).next_back()?;
    Some(match format {
        "tar" => Some(Format::Tar),
        "tar.gz" => Some(Format::TarGz),
        _ => None,
    })
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Format::Tar => "tar",
            Format::TarGz => "tar.gz",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Format::Tar => "application/x-tar",
            Format::TarGz => "application/gzip",
        }
    }
}

/// The archives that are being sent.
#[derive(Debug, Default)]
pub(crate) struct Slots(Arc<AtomicUsize>);

/// The place of one of them, until it is dropped.
#[derive(Debug)]
struct Slot(Arc<AtomicUsize>);

impl Slots {
    fn take(&self) -> Result<Slot, OpenError> {
        let slot = Slot(self.0.clone());
        // If no place is free, dropping `slot` undoes the increment.
        if slot.0.fetch_add(1, Relaxed) < MAX_AT_ONCE { Ok(slot) } else { Err(OpenError::ManyArchives) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Sends an open directory. `path` is its path with a slash at the end, or empty.
///
/// Its length is not known before everything has been visited, so only the close shows where it ends, and one that ends
/// early is reset. Nothing says when it changes, so no cache stores it.
pub(crate) fn response(
    format: Format,
    root: &Arc<Root>,
    path: &[u8],
    directory: Opened,
    hidden: bool,
    slots: &Slots,
) -> Result<Response, OpenError> {
    let tree = Tree { root: root.clone(), hidden, bounds: Bounds::default(), _slot: slots.take()? };
    let name = path.rsplit(|&c| c == b'/').nth(1).unwrap_or(ROOT_NAME);
    let stream = TarStream::new(tree, path, name, directory)?;
    let reader: Box<dyn Read + Send> = match format {
        Format::Tar => Box::new(stream),
        Format::TarGz => Box::new(GzEncoder::new(stream, Compression::fast())),
    };
    let file_name = [name, b".", format.extension().as_bytes()].concat();
    Ok(Response::bytes(format.media_type(), Body::Reader { reader, length: None })
        .header("Content-Disposition", file_name::attachment(&file_name))
        .header(header::CACHE_CONTROL, "no-store"))
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
