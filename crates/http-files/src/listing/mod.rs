//! Directory listings. `directory` reads which names are listed, `query` parses what the client wants, `filter` and
//! `sort` do it, `html` and `json` write, and `visible` writes names for people.

mod directory;
mod entry;
mod filter;
mod html;
mod json;
mod query;
mod sort;
mod visible;

use std::fs::File;

use http_core::Status;
use http_server::{Blocking, Response};

use self::directory::Listing;
pub(crate) use self::directory::MAX_PAGE_BYTES;
use self::query::{Format, Query};
use crate::open_error::OpenError;
use crate::root::Root;
use crate::settings::Settings;
use crate::system::Errno;

/// Lists an open directory as the query asks for it. `path` is its path with a slash at the end, or empty. The listing has
/// no validator: the directory's own times do not change when a file in it is written to.
pub(crate) fn response(
    root: &Root,
    path: &[u8],
    directory: File,
    query: Option<&str>,
    settings: &Settings,
    blocking: Blocking<'_>,
) -> Result<Response, OpenError> {
    let query = Query::new(query.unwrap_or_default());
    let mut listing = Listing::read(root, path, directory, settings.hidden, &query.filter, blocking)?;
    sort::sort(&mut listing.entries, query.order);
    Ok(match query.format {
        Format::Html => html::page(path, &listing, &query, settings.archives).into_response(Status::OK),
        Format::Json => json::response(path, &listing).map_err(|_| OpenError::Broken(Errno::IO))?,
    })
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
