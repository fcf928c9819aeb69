//! A listing for programs: `{"path": …, "entries": [ … ], "complete": …}` with an entry a line.

use std::borrow::Cow;

use http_core::FieldValue;
use serde::Serialize;

use super::{Entry, Extent, LONGEST, Listing};
use http_server::Response;

/// A name that is not UTF-8 has U+FFFD for what is wrong in it; `href`, relative to the directory, is always exact.
#[derive(Serialize)]
struct Line<'a> {
    name: Cow<'a, str>,
    href: &'a str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    modified: Option<String>,
}

pub(crate) fn reply(path: &[u8], listing: &Listing) -> serde_json::Result<Response> {
    let bytes = text(path, listing)?;
    Ok(Response::bytes(FieldValue::from_static("application/json"), bytes))
}

fn text(path: &[u8], listing: &Listing) -> serde_json::Result<Vec<u8>> {
    let mut json = b"{\"path\":".to_vec();
    serde_json::to_writer(&mut json, &format!("/{}", String::from_utf8_lossy(path)))?;
    json.extend_from_slice(b",\"entries\":[");
    let mut href = String::new();
    let mut written = 0;
    for entry in &listing.entries {
        if json.len() >= LONGEST {
            break;
        }
        href.clear();
        entry.push_link(&mut href);
        json.extend_from_slice(if written == 0 { b"\n" } else { b",\n" });
        serde_json::to_writer(&mut json, &Line::new(entry, &href))?;
        written += 1;
    }
    let complete = listing.extent == Extent::Whole && written == listing.entries.len();
    json.extend_from_slice(b"\n],\"complete\":");
    serde_json::to_writer(&mut json, &complete)?;
    json.extend_from_slice(b"}\n");
    Ok(json)
}

impl<'a> Line<'a> {
    fn new(entry: &'a Entry, href: &'a str) -> Line<'a> {
        Line {
            name: String::from_utf8_lossy(&entry.name),
            href,
            r#type: if entry.is_directory() { "directory" } else { "file" },
            size: (!entry.is_directory()).then_some(entry.length),
            modified: entry.modified(),
        }
    }
}
