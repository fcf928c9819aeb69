//! The listing as a page: a table that works without scripts. Names are arbitrary bytes. They are escaped twice: as
//! text for HTML, and as path segments for URLs.

use http_core::Civil;

use super::directory::{Completeness, Listing, MAX_PAGE_BYTES};
use super::entry::{Entry, rfc_3339};
use super::sort::{SortKey, SortOrder};
use crate::html::Html;

const STYLE: &str = "\
    h1 a{text-decoration:none;padding:.2em 0}\
    table{border-collapse:collapse;width:100%}\
    caption{text-align:start;padding:0 0 1rem;opacity:.75}\
    th,td{padding:.35rem 0 .35rem 1.5rem;text-align:start;vertical-align:baseline;border-bottom:1px solid #8884}\
    th:first-child{padding-inline-start:0;width:100%}\
    td,thead th{white-space:nowrap}\
    td{font-variant-numeric:tabular-nums}\
    td:nth-child(2),th:nth-child(2){text-align:end}\
    thead a{color:inherit;text-decoration:none}\
    tbody th{font-weight:normal;overflow-wrap:anywhere}\
    tbody a{display:block;text-decoration:none}\
    tbody tr:hover,tbody tr:focus-within{background:#8882}\
    a:hover,a:focus-visible{text-decoration:underline}\
    a:focus-visible{outline:2px solid;outline-offset:1px}\
    .directory{font-weight:600}\
    .up{font-style:italic}\
    bdi{white-space:pre-wrap}\
    [aria-sort=ascending] a::after{content:' \u{25b2}';content:' \u{25b2}'/''}\
    [aria-sort=descending] a::after{content:' \u{25bc}';content:' \u{25bc}'/''}\
    @media(max-width:36rem){td{font-size:.85rem}th,td{padding-inline-start:.75rem}tr>:last-child{white-space:normal}time{display:block;width:6em}}";

/// The page of the directory at this path.
pub(crate) fn page(path: &[u8], listing: &Listing, order: SortOrder) -> Html {
    let Listing { entries, completeness } = listing;
    let mut page = Html::page(format_args!("/{}", String::from_utf8_lossy(path)), STYLE);
    push_heading(&mut page, path);
    page.raw("<table>\n<caption>").text(caption(entries, *completeness)).raw("</caption>\n<thead>\n<tr>");
    for (key, title) in [(SortKey::Name, "Name"), (SortKey::Size, "Size"), (SortKey::Time, "Modified (UTC)")] {
        push_column(&mut page, key, title, order);
    }
    page.raw("</tr>\n</thead>\n<tbody>\n");
    if !path.is_empty() {
        page.raw(
            "<tr><th scope=\"row\"><a class=\"up\" href=\"../\">Parent directory</a></th><td></td><td></td></tr>\n",
        );
    }
    let mut shown = 0;
    for entry in entries {
        if page.len() >= MAX_PAGE_BYTES {
            break;
        }
        push_row(&mut page, entry);
        shown += 1;
    }
    page.raw("</tbody>\n</table>\n");
    if shown < entries.len() {
        page.raw("<p>The page is full: ").text(entries.len() - shown).raw(" more are not shown.</p>\n");
    }
    page.raw("<p><a href=\"?format=json\">As JSON</a></p>\n");
    page
}

/// The path, with a link to each directory above this one. The links are relative, because a proxy may serve the files
/// under a longer path.
fn push_heading(page: &mut Html, path: &[u8]) {
    let depth = path.iter().filter(|&&c| c == b'/').count();
    page.raw("<h1>Index of ");
    push_ancestor(page, depth, |page| page.raw("/"));
    for (n, name) in path.split(|&c| c == b'/').take(depth).enumerate() {
        push_ancestor(page, depth - 1 - n, |page| page.raw("<bdi>").text(String::from_utf8_lossy(name)).raw("</bdi>/"));
    }
    page.raw("</h1>\n");
}

/// The name of the directory that is this many levels up, as a link unless it is this directory.
fn push_ancestor(page: &mut Html, levels: usize, push_name: impl FnOnce(&mut Html) -> &mut Html) {
    if levels == 0 {
        push_name(page);
    } else {
        page.raw("<a href=\"").text("../".repeat(levels)).raw("\">");
        push_name(page).raw("</a>");
    }
}

fn caption(entries: &[Entry], completeness: Completeness) -> String {
    let directories = entries.iter().filter(|entry| entry.is_directory()).count();
    let counts = [(directories, "directory", "directories"), (entries.len() - directories, "file", "files")];
    let counts: Vec<_> = counts
        .into_iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, one, many)| format!("{n} {}", if n == 1 { one } else { many }))
        .collect();
    match completeness {
        Completeness::Complete if counts.is_empty() => "This directory is empty.".into(),
        Completeness::Complete => counts.join(", "),
        Completeness::Truncated { of } => format!("{}: the first of {of} names.", counts.join(", ")),
        Completeness::Unread { of } => {
            format!("{}: the first of the {of} names that were read. There are more.", counts.join(", "))
        }
    }
}

/// A column head. Its link sorts by this column. Names start ascending, sizes and times start with the greatest.
fn push_column(page: &mut Html, key: SortKey, title: &'static str, order: SortOrder) {
    let sorted = match order {
        SortOrder { by, .. } if by != key => "",
        SortOrder { is_descending: false, .. } => " aria-sort=\"ascending\"",
        SortOrder { is_descending: true, .. } => " aria-sort=\"descending\"",
    };
    let becomes_descending = if order.by == key { !order.is_descending } else { key != SortKey::Name };
    let sort = match key {
        SortKey::Name => "name",
        SortKey::Size => "size",
        SortKey::Time => "time",
    };
    page.raw("<th scope=\"col\"").raw(sorted).raw("><a href=\"?sort=").raw(sort).raw("&amp;order=");
    page.raw(if becomes_descending { "desc" } else { "asc" }).raw("\">").raw(title).raw("</a></th>");
}

fn push_row(page: &mut Html, entry: &Entry) {
    let (class, slash) = if entry.is_directory() { (" class=\"directory\"", "/") } else { ("", "") };
    page.raw("<tr><th scope=\"row\"><a").raw(class).raw(" href=\"").text(entry.href()).raw("\"><bdi>");
    page.text(String::from_utf8_lossy(&entry.name)).raw("</bdi>").raw(slash).raw("</a></th>");
    if entry.is_directory() {
        page.raw("<td></td>");
    } else {
        page.raw("<td title=\"").text(entry.length).raw(" bytes\">").text(human_size(entry.length)).raw("</td>");
    }
    page.raw("<td>");
    if let Some(time) = entry.modified() {
        let Civil { year, month, day, hour, minute, .. } = time;
        page.raw("<time datetime=\"").text(rfc_3339(time)).raw("\">");
        page.text(format_args!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")).raw("</time>");
    }
    page.raw("</td></tr>\n");
}

/// A size with a binary unit, rounded to one decimal place.
fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1023.95 {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_to_one_decimal_place() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1229, "1.2 KiB"),
            (10 << 10, "10.0 KiB"),
            ((1 << 20) - 52, "1023.9 KiB"),
            ((1 << 20) - 51, "1.0 MiB"),
            (1 << 20, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (1 << 40, "1.0 TiB"),
            (1 << 50, "1.0 PiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(human_size(bytes), expected, "{bytes}");
        }
    }
}
