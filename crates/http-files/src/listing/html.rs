//! The listing as a page that is complete without its script. Names are arbitrary bytes. They are escaped twice: as text
//! for HTML, and as path segments for URLs.
//!
//! Programs read this page, too. Kodi and lftp find an entry by a link whose first attribute is `href`, and whose text is
//! the name. `wget -r` follows links but no forms, so sorting and other formats are forms: it fetches nothing twice.

use http_core::Civil;

use super::directory::{Completeness, Listing, MAX_PAGE_BYTES, MAX_SHOWN};
use super::entry::{Entry, rfc_3339};
use super::query::Query;
use super::sort::{SortKey, SortOrder};
use super::visible::{Visible, push_name};
use crate::html::{Html, LISTING_SCRIPT, LISTING_STYLE};

/// The page of the directory at this path. It offers the directory as an archive in these formats.
pub(crate) fn page(path: &[u8], listing: &Listing, query: &Query, archives: &[&'static str]) -> Html {
    let mut page = Html::page(format_args!("Index of /{}", Visible(path)), LISTING_STYLE);
    push_heading(&mut page, path);
    push_bar(&mut page, listing, query);
    page.raw("<table aria-labelledby=\"summary\">\n<thead>\n<tr>");
    for key in [SortKey::Name, SortKey::Size, SortKey::Time] {
        push_column(&mut page, key, query);
    }
    page.raw("</tr>\n</thead>\n<tbody>\n");
    if !path.is_empty() {
        page.raw(
            "<tr class=\"u\"><th scope=\"row\"><a href=\"../\">Parent directory</a></th><td></td><td></td></tr>\n",
        );
    }
    let mut shown = 0;
    for entry in &listing.entries {
        if page.len() >= MAX_PAGE_BYTES {
            break;
        }
        push_row(&mut page, entry);
        shown += 1;
    }
    page.raw("</tbody>\n</table>\n");
    if shown < listing.entries.len() {
        page.raw("<p>The page is full: ").text(listing.entries.len() - shown).raw(" more are not shown.</p>\n");
    }
    push_footer(&mut page, query, archives);
    page.raw("<script>").raw(LISTING_SCRIPT).raw("</script>\n");
    page
}

/// The path, with a link to each directory above this one. The links are relative, because a proxy may serve the files
/// under a longer path.
fn push_heading(page: &mut Html, path: &[u8]) {
    let depth = path.iter().filter(|&&c| c == b'/').count();
    page.raw("<h1>");
    push_ancestor(page, depth, b"Home");
    for (n, name) in path.split(|&c| c == b'/').take(depth).enumerate() {
        page.raw(" / ");
        push_ancestor(page, depth - 1 - n, name);
    }
    page.raw("</h1>\n");
}

/// The name of the directory that is this many levels up, as a link unless it is this directory.
fn push_ancestor(page: &mut Html, levels: usize, name: &[u8]) {
    if levels > 0 {
        page.raw("<a href=\"").text("../".repeat(levels)).raw("\">");
    }
    page.raw("<bdi>");
    push_name(page, name);
    page.raw("</bdi>");
    if levels > 0 {
        page.raw("</a>");
    }
}

/// What is listed, and the form that filters it.
fn push_bar(page: &mut Html, listing: &Listing, query: &Query) {
    let filter = query.filter.text();
    let has_more = listing.completeness != Completeness::Complete;
    page.raw("<div class=\"bar\">\n<p id=\"summary\" role=\"status\"");
    page.raw(if has_more { " data-more>" } else { ">" }).text(summary(listing, filter)).raw("</p>\n");
    page.raw("<form role=\"search\">");
    if !filter.is_empty() {
        page.raw("<a href=\"./\">Show all</a>");
    }
    // Without completion, a browser does not fill in what was typed before, which the page would not show.
    page.raw("<input type=\"search\" name=\"q\" autocomplete=\"off\" value=\"").text(filter);
    page.raw("\" placeholder=\"Part of a name\" aria-label=\"Part of a name\">");
    push_order(page, query.order);
    page.raw("<button>Filter</button></form>\n</div>\n");
}

fn summary(listing: &Listing, filter: &str) -> String {
    let Listing { entries, completeness, unservable } = listing;
    let directories = entries.iter().filter(|entry| entry.is_directory()).count();
    let files = entries.len() - directories;
    let count = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    let mut counts = Vec::new();
    if directories > 0 {
        counts.push(count(directories, "directory", "directories"));
    }
    if files > 0 {
        let bytes = entries.iter().filter(|entry| !entry.is_directory()).map(|entry| entry.length);
        counts.push(count(files, "file", "files"));
        counts.push(human_size(bytes.fold(0, u64::saturating_add)));
    }
    let mut parts = vec![counts.join(", ")];
    let shown = Visible(filter.as_bytes());
    match (filter, entries.is_empty()) {
        ("", true) if *unservable == 0 && *completeness == Completeness::Complete => {
            parts[0] = "This directory is empty".into();
        }
        ("", _) => {}
        (_, true) => parts[0] = format!("No name contains “{shown}”"),
        (_, false) => parts.push(format!("names with “{shown}”")),
    }
    parts.extend(match *completeness {
        Completeness::Complete => None,
        Completeness::Truncated { of } => Some(format!("the first of {of} names")),
        Completeness::Unread { of } if of > MAX_SHOWN => {
            Some(format!("the first of the {of} names that were read, there are more"))
        }
        // Of these, the filter has left out most.
        Completeness::Unread { .. } => Some("the directory has more names than were read".into()),
    });
    if *unservable > 0 {
        parts.push(format!("{} cannot be served", count(*unservable, "name", "names")));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" · ")
}

/// A column head. Its button sorts by this column. Names start ascending, sizes and times start with the greatest.
fn push_column(page: &mut Html, key: SortKey, query: &Query) {
    let Query { order, filter, .. } = query;
    let sorted = match order {
        SortOrder { by, .. } if *by != key => "",
        SortOrder { is_descending: false, .. } => " aria-sort=\"ascending\"",
        SortOrder { is_descending: true, .. } => " aria-sort=\"descending\"",
    };
    let (title, zone) = match key {
        SortKey::Name => ("Name", ""),
        SortKey::Size => ("Size", ""),
        SortKey::Time => ("Modified", "<small> UTC</small>"),
    };
    let next =
        SortOrder { by: key, is_descending: if order.by == key { !order.is_descending } else { key != SortKey::Name } };
    // Without the label, the column has no name, because a form gives none.
    page.raw("<th scope=\"col\" aria-label=\"").raw(title).raw("\"").raw(sorted).raw("><form>");
    page.raw("<button name=\"sort\" value=\"").raw(next.key()).raw("\">").raw(title).raw(zone).raw("</button>");
    push_hidden(page, "order", next.direction());
    if !filter.text().is_empty() {
        push_hidden(page, "q", filter.text());
    }
    page.raw("</form></th>");
}

fn push_row(page: &mut Html, entry: &Entry) {
    let (is_directory, is_symlink) = (entry.is_directory(), entry.is_symlink);
    page.raw(match (is_directory, is_symlink) {
        (false, false) => "<tr>",
        (true, false) => "<tr class=\"d\">",
        (false, true) => "<tr class=\"l\">",
        (true, true) => "<tr class=\"d l\">",
    });
    let href = entry.href();
    // Kodi wants the name itself, and `./` only before a name with a colon.
    let href = if entry.name.contains(&b':') { &*href } else { href.trim_start_matches("./") };
    page.raw("<th scope=\"row\"><a href=\"").text(href).raw("\">");
    push_name(page, &entry.name);
    page.raw(if is_directory { "/</a></th>" } else { "</a></th>" });
    if is_directory {
        page.raw("<td>—</td>");
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

fn push_footer(page: &mut Html, query: &Query, archives: &[&'static str]) {
    page.raw("<footer>\n<form>This list as <button name=\"format\" value=\"json\">JSON</button>");
    push_order(page, query.order);
    if !query.filter.text().is_empty() {
        push_hidden(page, "q", query.filter.text());
    }
    page.raw("</form>\n");
    if !archives.is_empty() {
        page.raw("<form>This directory as");
        for format in archives {
            page.raw(" <button name=\"archive\" value=\"").raw(format).raw("\">").raw(format).raw("</button>");
        }
        page.raw("</form>\n");
    }
    page.raw("</footer>\n");
}

/// Keeps the order, unless it is the usual one.
fn push_order(page: &mut Html, order: SortOrder) {
    if order != SortOrder::default() {
        push_hidden(page, "sort", order.key());
        push_hidden(page, "order", order.direction());
    }
}

/// A part of the query that a form adds.
fn push_hidden(page: &mut Html, name: &'static str, value: &str) {
    page.raw("<input type=\"hidden\" name=\"").raw(name).raw("\" value=\"").text(value).raw("\">");
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
