//! Directory listings. `directory` reads which names are listed, `query` parses what the client wants, `sort` sorts, `html`
//! and `json` write.

mod directory;
mod entry;
mod html;
mod json;
mod query;
mod sort;

use std::os::fd::OwnedFd;

use http_core::{Status, header};
use http_server::{Blocking, Response};
use rustix::io::Errno;

use self::directory::Listing;
pub(crate) use self::directory::MAX_PAGE_BYTES;
use self::query::{Format, Query};
use crate::root::{OpenError, Root};

/// Lists an open directory as the query asks for it. `path` is its path with a slash at the end, or empty.
pub(crate) fn response(
    root: &Root,
    path: &[u8],
    directory: OwnedFd,
    query: Option<&str>,
    hidden: bool,
    blocking: Blocking<'_>,
) -> Result<Response, OpenError> {
    let query = Query::new(query.unwrap_or_default());
    let mut listing = Listing::read(root, path, directory, hidden, blocking)?;
    sort::sort(&mut listing.entries, query.order);
    let response = match query.format {
        Format::Html => html::page(path, &listing, query.order).into_response(Status::OK),
        Format::Json => json::response(path, &listing).map_err(|_| OpenError::Broken(Errno::IO))?,
    };
    // It has no validator: the directory's own times do not change when a file in it is written to.
    Ok(response.header(header::CACHE_CONTROL, "no-cache"))
}

#[cfg(test)]
mod tests;
