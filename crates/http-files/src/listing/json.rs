//! The listing for programs: `{"path": …, "entries": [ … ], "complete": …, "unservable": …}`, one entry a
//! line.

use std::borrow::Cow;

use http_server::Response;
use serde::Serialize;

use super::directory::{Completeness, Listing, MAX_PAGE_BYTES};
use super::entry::{Entry, rfc_3339};

/// `name` has U+FFFD in place of what is not UTF-8. `href`, relative to the directory, is always exact.
#[derive(Serialize)]
struct Line<'a> {
    name: Cow<'a, str>,
    href: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    modified: Option<String>,
}

pub(crate) fn response(path: &[u8], listing: &Listing) -> serde_json::Result<Response> {
    let mut json = b"{\"path\":".to_vec();
    serde_json::to_writer(&mut json, &format!("/{}", String::from_utf8_lossy(path)))?;
    json.extend_from_slice(b",\"entries\":[");
    let mut written = 0;
    for entry in &listing.entries {
        if json.len() >= MAX_PAGE_BYTES {
            break;
        }
        json.extend_from_slice(if written == 0 { b"\n" } else { b",\n" });
        serde_json::to_writer(&mut json, &Line::new(entry))?;
        written += 1;
    }
    let Listing { entries, completeness, unservable } = listing;
    let complete = *completeness == Completeness::Complete && written == entries.len() && *unservable == 0;
    json.extend_from_slice(format!("\n],\"complete\":{complete},\"unservable\":{unservable}}}\n").as_bytes());
    Ok(Response::json(json))
}

impl<'a> Line<'a> {
    fn new(entry: &'a Entry) -> Line<'a> {
        Line {
            name: String::from_utf8_lossy(&entry.name),
            href: entry.href(),
            r#type: if entry.is_directory() { "directory" } else { "file" },
            size: (!entry.is_directory()).then_some(entry.length),
            modified: entry.modified().map(rfc_3339),
        }
    }
}
