//! A folder's listing: its names, folders first, as a plain page. Names are octets; the page escapes them twice, as
//! text for HTML and as segments for URLs.

use std::os::fd::OwnedFd;

use http_core::percent_encode;
use rustix::fs::{Dir, FileType};

use super::page::{escape, frame};
use super::root::{Denied, Kind, Root};

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    is_file: bool,
    name: Vec<u8>,
}

/// A page is built and kept in memory for each request, so it is bounded: in names, and in octets of HTML, of which the
/// longest name makes 2 KB.
const MOST: usize = 10_000;
pub(super) const LONGEST: usize = 4 << 20;

/// The names that may be served: no hidden ones, none that no URL can name, and what leads nowhere is left out; at most
/// 10,000. `path` ends with a slash or is empty.
pub(super) fn read(root: &Root, path: &[u8], folder: OwnedFd, hidden: bool) -> Result<Vec<Entry>, Denied> {
    let mut entries = Vec::new();
    for entry in Dir::new(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") || (!hidden && name.starts_with(b".")) || name.iter().any(u8::is_ascii_control)
        {
            continue;
        }
        if entries.len() == MOST {
            break;
        }
        let kind = match entry.file_type() {
            FileType::RegularFile => Some(Kind::File),
            FileType::Directory => Some(Kind::Folder),
            FileType::Symlink | FileType::Unknown => {
                root.open_below(&[path, name].concat()).ok().map(|opened| opened.kind)
            }
            _ => None,
        };
        if let Some(kind) = kind {
            entries.push(Entry { is_file: kind == Kind::File, name: name.to_vec() });
        }
    }
    entries.sort();
    Ok(entries)
}

/// The page of a folder.
pub(super) fn page(path: &[u8], entries: &[Entry]) -> String {
    let mut list = String::from("<ul>\n");
    if !path.is_empty() {
        list.push_str("<li><a href=\"../\">../</a></li>\n");
    }
    let mut is_whole = entries.len() < MOST;
    for Entry { is_file, name } in entries {
        if list.len() >= LONGEST {
            is_whole = false;
            break;
        }
        let slash = if *is_file { "" } else { "/" };
        let mut href = String::from("./"); // or `javascript:x` were a scheme (V17)
        percent_encode(name, &mut href);
        let name = escape(&String::from_utf8_lossy(name));
        list.push_str(&format!("<li><a href=\"{href}{slash}\">{name}{slash}</a></li>\n"));
    }
    list.push_str("</ul>\n");
    if !is_whole {
        list.push_str("<p>There may be more; a page has no room for them.</p>\n");
    }
    frame(&format!("/{}", String::from_utf8_lossy(path)), &list)
}

#[cfg(test)]
mod tests {
    use super::*;

    // V17
    #[test]
    fn names_are_escaped_as_text_and_as_url() {
        let entry = |is_file, name: &[u8]| Entry { is_file, name: name.to_vec() };
        let mut entries = [
            entry(true, b"<img src=x onerror=alert(1)>\"&.txt"),
            entry(false, b"sub"),
            entry(true, b"javascript:x"),
            entry(true, b"\xff"),
        ];
        entries.sort();
        let page = page(b"<b>/", &entries);
        assert!(page.contains("<title>/&lt;b&gt;/</title>"));
        assert!(
            page.contains("<li><a href=\"../\">../</a></li>\n<li><a href=\"./sub/\">sub/</a></li>"),
            "folders first"
        );
        assert!(page.contains(
            "<a href=\"./%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%22%26.txt\">&lt;img src=x onerror=alert(1)&gt;&quot;&amp;.txt</a>"
        ));
        assert!(page.contains("<a href=\"./javascript%3Ax\">"));
        assert!(page.contains("<a href=\"./%FF\">\u{fffd}</a>"));
        assert!(!page.contains("<img"));
    }

    // V20
    #[test]
    fn a_page_is_bounded() {
        let entries = vec![Entry { is_file: true, name: vec![b'"'; 255] }; MOST - 1];
        let page = page(b"", &entries);
        assert!((LONGEST..LONGEST + 4096).contains(&page.len()), "{}", page.len());
        assert!(page.contains("There may be more"));
    }
}
