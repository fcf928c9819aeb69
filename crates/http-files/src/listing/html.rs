//! A listing for people: a table that needs no script and nothing but itself. Names are bytes; they are escaped twice, as
//! text for HTML and as segments for URLs.

use super::sort::{Key, Order};
use super::{Entry, Extent, LONGEST, Listing};
use crate::error_page;

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

/// The page of the directory with this path.
pub(crate) fn page(path: &[u8], listing: &Listing, order: Order) -> String {
    let Listing { entries, extent } = listing;
    let mut html = error_page::begin(&format!("/{}", String::from_utf8_lossy(path)), STYLE);
    push_heading(&mut html, path);
    html.push_str("<table>\n<caption>");
    html.push_str(&caption(entries, *extent));
    html.push_str("</caption>\n<thead>\n<tr>");
    for (key, title) in [(Key::Name, "Name"), (Key::Size, "Size"), (Key::Time, "Modified (UTC)")] {
        push_column(&mut html, key, title, order);
    }
    html.push_str("</tr>\n</thead>\n<tbody>\n");
    if !path.is_empty() {
        html.push_str(
            "<tr><th scope=\"row\"><a class=\"up\" href=\"../\">Parent directory</a></th><td></td><td></td></tr>\n",
        );
    }
    let mut shown = 0;
    for entry in entries {
        if html.len() >= LONGEST {
            break;
        }
        push_row(&mut html, entry);
        shown += 1;
    }
    html.push_str("</tbody>\n</table>\n");
    if shown < entries.len() {
        html.push_str(&format!("<p>This page has no room for {} more.</p>\n", entries.len() - shown));
    }
    html.push_str("<p><a href=\"?format=json\">As JSON</a></p>\n");
    error_page::end(html)
}

/// The path, each directory above a link. They are relative: a proxy in front may have put more before the path.
fn push_heading(html: &mut String, path: &[u8]) {
    html.push_str("<h1>Index of ");
    let mut above = path.iter().filter(|&&c| c == b'/').count();
    push_directory(html, "/", above);
    for directory in path.split_inclusive(|&c| c == b'/') {
        let name = String::from_utf8_lossy(&directory[..directory.len() - 1]);
        above -= 1;
        push_directory(html, &format!("<bdi>{}</bdi>/", error_page::escape(&name)), above);
    }
    html.push_str("</h1>\n");
}

/// A directory of the path, and how far it is above this one.
fn push_directory(html: &mut String, name: &str, above: usize) {
    if above == 0 {
        html.push_str(name);
    } else {
        html.push_str(&format!("<a href=\"{}\">{name}</a>", "../".repeat(above)));
    }
}

fn caption(entries: &[Entry], extent: Extent) -> String {
    let count = |count: usize, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let directories = entries.iter().filter(|entry| entry.is_directory()).count();
    let listed = [(directories, "directory"), (entries.len() - directories, "file")];
    let listed: Vec<_> = listed.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| count(n, what)).collect();
    match extent {
        Extent::Whole if listed.is_empty() => "This directory is empty.".into(),
        Extent::Whole => listed.join(", "),
        Extent::First { of } => format!("{}: the first by name of {of}.", listed.join(", ")),
        Extent::Some { of } => {
            format!("{}: the first by name of {of} that were read. There are more.", listed.join(", "))
        }
    }
}

/// The head of a column, which leads to the other order. Of sizes and times one wants the greatest first.
fn push_column(html: &mut String, key: Key, title: &str, order: Order) {
    let sorted = match order {
        Order { by, .. } if by != key => "",
        Order { is_descending: false, .. } => " aria-sort=\"ascending\"",
        Order { is_descending: true, .. } => " aria-sort=\"descending\"",
    };
    let becomes_descending = if order.by == key { !order.is_descending } else { key != Key::Name };
    let sort = match key {
        Key::Name => "name",
        Key::Size => "size",
        Key::Time => "time",
    };
    let order = if becomes_descending { "desc" } else { "asc" };
    let link = format!("<a href=\"?sort={sort}&amp;order={order}\">{title}</a>");
    html.push_str(&format!("<th scope=\"col\"{sorted}>{link}</th>"));
}

fn push_row(html: &mut String, entry: &Entry) {
    let (class, slash) = if entry.is_directory() { (" class=\"directory\"", "/") } else { ("", "") };
    html.push_str("<tr><th scope=\"row\"><a");
    html.push_str(class);
    html.push_str(" href=\"");
    entry.push_link(html);
    html.push_str("\"><bdi>");
    error_page::push_escaped(html, &String::from_utf8_lossy(&entry.name));
    html.push_str("</bdi>");
    html.push_str(slash);
    html.push_str("</a></th>");
    if entry.is_directory() {
        html.push_str("<td></td>");
    } else {
        html.push_str(&format!("<td title=\"{} bytes\">{}</td>", entry.length, readable(entry.length)));
    }
    match entry.modified() {
        Some(time) => {
            let (day, minute) = (&time[..10], &time[11..16]);
            html.push_str(&format!("<td><time datetime=\"{time}\">{day} {minute}</time></td></tr>\n"));
        }
        None => html.push_str("<td></td></tr>\n"),
    }
}

/// A size in three or four digits.
fn readable(bytes: u64) -> String {
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
    fn sizes_are_readable() {
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
            assert_eq!(readable(bytes), expected, "{bytes}");
        }
    }
}
