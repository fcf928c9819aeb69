//! What listings contain, their limits, and the escaping of names.

use super::directory::{BoundedNames, Completeness, Listing, MAX_PAGE_BYTES, MAX_READ, MAX_SHOWN};
use super::entry::Entry;
use super::filter::Filter;
use super::query::Query;
use super::{html, json, sort};
use crate::root::Root;
use crate::stamp::FileKind;
use http_server::{Blocking, Body};
use rustix::fs::{CWD, Dir, FileType, Mode, mknodat};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

fn entry(name: &[u8], kind: FileKind, length: u64, modified: i128) -> Entry {
    Entry { name: name.into(), kind, is_symlink: false, length, modified }
}

fn file(name: &[u8]) -> Entry {
    entry(name, FileKind::File, 1, 0)
}

/// What is listed where nothing is left out.
fn complete(entries: Vec<Entry>) -> Listing {
    Listing { entries, completeness: Completeness::Complete, unservable: 0 }
}

fn html(path: &[u8], listing: &Listing, query: &str) -> String {
    html::page(path, listing, &Query::new(query), &[]).finish()
}

fn json(path: &[u8], listing: &Listing) -> Value {
    let response = json::response(path, listing).unwrap();
    let Body::Bytes(bytes) = response.body_ref() else { panic!("{response:?}") };
    serde_json::from_slice(bytes).unwrap()
}

/// The names listed for a directory beneath a root.
fn read(root: &Path, path: &str, hidden: bool) -> (Vec<String>, Completeness) {
    let (names, listing) = read_filtered(root, path, hidden, "");
    (names, listing.completeness)
}

/// The names listed for a directory beneath a root, and what else is known.
fn read_filtered(root: &Path, path: &str, hidden: bool, filter: &str) -> (Vec<String>, Listing) {
    let filter = Filter::from_form(filter);
    let root = Root::open(root, 0).unwrap();
    let directory = root.open_beneath(path.trim_end_matches('/').as_bytes(), Blocking::default()).unwrap().file;
    let mut listing = Listing::read(&root, path.as_bytes(), directory, hidden, &filter, Blocking::default()).unwrap();
    sort::sort(&mut listing.entries, Query::new("").order);
    let name = |entry: &Entry| {
        let slash = if entry.is_directory() { "/" } else { "" };
        format!("{}{slash}", entry.name.escape_ascii())
    };
    (listing.entries.iter().map(name).collect(), listing)
}

#[test]
fn listing_contains_exactly_what_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &[u8]| directory.path().join(OsStr::from_bytes(name));
    for name in [".git", ".well-known", "sub", "sub/.well-known", ".well-known/.a", ".well-known/b"] {
        fs::create_dir_all(at(name.as_bytes())).unwrap();
    }
    for name in [&b"a"[..], b".hidden", b"..x", b"...", b"new\nline", b"del\x7f", b"esc\x1b[1m", b"-rf", b"\xff"] {
        fs::write(at(name), "").unwrap();
    }
    mknodat(CWD, at(b"fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    mknodat(CWD, at(b"socket"), FileType::Socket, Mode::RUSR, 0).unwrap();
    for (link, to) in [("in", "a"), ("into", "sub"), ("out", "/etc"), ("up", ".."), ("no", "nothing"), ("me", "me")] {
        symlink(to, at(link.as_bytes())).unwrap();
    }
    symlink("fifo", at(b"to the fifo")).unwrap();
    let (names, listing) = read_filtered(directory.path(), "", false, "");
    assert_eq!(names, [".well-known/", "into/", "sub/", "-rf", "a", "in", "\\xff"]);
    assert_eq!(listing.completeness, Completeness::Complete);
    // Three names with control characters, a FIFO, a socket, and five symlinks. Hidden names are not even counted.
    assert_eq!(listing.unservable, 10);
    let symlinks = listing.entries.iter().filter(|entry| entry.is_symlink).map(|entry| &*entry.name);
    assert_eq!(symlinks.collect::<Vec<_>>(), [&b"into"[..], b"in"]);
    assert_eq!(read(directory.path(), ".well-known/", false).0, ["b/"]);
    assert_eq!(read(directory.path(), "sub/", false).0, [""; 0]);
    let (names, _) = read(directory.path(), "", true);
    let with_hidden = ["...", "..x", ".git/", ".hidden", ".well-known/", "-rf", "a", "in", "into/", "sub/", "\\xff"];
    assert_eq!(BTreeSet::from_iter(names), BTreeSet::from(with_hidden.map(String::from)));
}

// V20: each name is counted, and the first are kept whatever order they are read in.
#[test]
fn first_names_are_kept_of_many() {
    for count in [0, 1, MAX_SHOWN, MAX_SHOWN + 1, 2 * MAX_SHOWN, 2 * MAX_SHOWN + 1, 5 * MAX_SHOWN + 7] {
        let mut names = BoundedNames::default();
        for n in 0..count {
            // 7919 has no divisor in common with any count here.
            names.push(format!("{}", n * 7919 % count).as_bytes());
            assert!(names.kept.len() <= 2 * MAX_SHOWN);
        }
        assert_eq!(names.count, count);
        let mut first = names.first();
        first.sort_by(|a, b| sort::natural_cmp(a, b));
        let expected: Vec<_> =
            (0..count.min(MAX_SHOWN)).map(|n| n.to_string().into_bytes().into_boxed_slice()).collect();
        assert!(first == expected, "of {count}");
    }
}

#[test]
fn large_directory_is_listed_as_truncated() {
    let directory = tempfile::tempdir().unwrap();
    let make = |n: usize| {
        mknodat(CWD, directory.path().join(n.to_string()), FileType::RegularFile, Mode::RUSR, 0).unwrap();
    };
    (1..=MAX_SHOWN).for_each(make);
    let (names, completeness) = read(directory.path(), "", false);
    assert_eq!((names.len(), completeness), (MAX_SHOWN, Completeness::Complete));
    make(0);
    let (names, completeness) = read(directory.path(), "", false);
    assert_eq!((names.len(), completeness), (MAX_SHOWN, Completeness::Truncated { of: MAX_SHOWN + 1 }));
    assert_eq!((&*names[0], &*names[MAX_SHOWN - 1]), ("0", "9999"));
}

// V20: skipped names count as read.
#[test]
fn names_are_read_up_to_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a", "b", ".c", "new\nline"] {
        fs::write(directory.path().join(name), "").unwrap();
    }
    // With `.` and `..` there are six.
    for most in 0..8 {
        let mut directory = Dir::new(fs::File::open(directory.path()).unwrap()).unwrap();
        let names = BoundedNames::read(&mut directory, b"", false, &Filter::default(), most).unwrap();
        match names.completeness() {
            Completeness::Complete => assert!(most >= 6 && (names.count, names.unservable) == (2, 1)),
            Completeness::Unread { of } => assert!(most < 6 && of == names.count && of <= most),
            completeness => panic!("{completeness:?}"),
        }
    }
}

/// What the line above the table says.
fn summary(listing: &Listing, query: &str) -> String {
    let page = html(b"", listing, query);
    let summary = page.split("<p id=\"summary\" role=\"status\"").nth(1).unwrap();
    let (more, text) = summary.split("</p>").next().unwrap().split_once('>').unwrap();
    assert_eq!(more == " data-more", listing.completeness != Completeness::Complete, "{more}");
    text.into()
}

#[test]
fn summary_and_json_say_what_is_listed_and_what_is_left_out() {
    let some = || vec![file(b"a"), entry(b"b", FileKind::Directory, 4096, 0)];
    let many = || vec![entry(b"a", FileKind::File, 5 << 20, 0), entry(b"a", FileKind::File, 1 << 20, 0)];
    let huge = || vec![entry(b"a", FileKind::File, u64::MAX, 0), entry(b"a", FileKind::File, u64::MAX, 0)];
    let (whole, truncated, unread) =
        (Completeness::Complete, Completeness::Truncated { of: 12_345 }, Completeness::Unread { of: MAX_READ });
    for (entries, completeness, unservable, filter, expected, complete) in [
        (some(), whole, 0, "", "1 directory, 1 file, 1 B", true),
        ([some(), some()].concat(), whole, 0, "", "2 directories, 2 files, 2 B", true),
        (many(), whole, 0, "", "2 files, 6.0 MiB", true),
        (huge(), whole, 0, "", "2 files, 16.0 EiB", true),
        (some()[1..].to_vec(), whole, 0, "", "1 directory", true),
        (vec![], whole, 0, "", "This directory is empty", true),
        (vec![], whole, 1, "", "1 name cannot be served", false),
        (some(), whole, 2, "", "1 directory, 1 file, 1 B · 2 names cannot be served", false),
        (some(), truncated, 0, "", "1 directory, 1 file, 1 B · the first of 12345 names", false),
        (
            some(),
            unread,
            1,
            "",
            "1 directory, 1 file, 1 B · the first of the 100000 names that were read, there are more · \
             1 name cannot be served",
            false,
        ),
        (
            vec![],
            Completeness::Unread { of: 0 },
            0,
            "q=a",
            "No name contains “a” · the directory has more names than were read",
            false,
        ),
        (many(), whole, 0, "q=%3Ca", "2 files, 6.0 MiB · names with “&lt;a”", true),
        (vec![], whole, 0, "q=a%e2%80%ae", "No name contains “a\\u202E”", true),
        (vec![], whole, 3, "q=a", "No name contains “a” · 3 names cannot be served", false),
    ] {
        let listing = Listing { entries, completeness, unservable };
        assert_eq!(summary(&listing, filter), expected);
        let json = json(b"", &listing);
        assert_eq!((&json["complete"], &json["unservable"]), (&complete.into(), &unservable.into()), "{expected}");
    }
}

#[test]
fn filter_is_applied_before_names_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        mknodat(CWD, directory.path().join(name), FileType::RegularFile, Mode::RUSR, 0).unwrap();
    };
    (0..=MAX_SHOWN).for_each(|n| make(&n.to_string()));
    ["z-Last.txt", "z-last\n", ".z-last"].iter().for_each(|name| make(name));
    let (names, listing) = read_filtered(directory.path(), "", false, "LAST");
    assert_eq!(names, ["z-Last.txt"]);
    assert_eq!((listing.completeness, listing.unservable), (Completeness::Complete, 1));
    let (names, listing) = read_filtered(directory.path(), "", false, "9999");
    assert_eq!((names, listing.completeness, listing.unservable), (vec!["9999".into()], Completeness::Complete, 0));
}

#[test]
fn forms_keep_the_order_and_the_filter() {
    let hidden = |name: &str, value: &str| format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
    let page = html(b"", &complete(vec![file(b"a")]), "q=%22a%22&sort=size&order=desc");
    let (order, filter) = (hidden("sort", "size") + &hidden("order", "desc"), hidden("q", "&quot;a&quot;"));
    let form = |start: &str| {
        let form = page.split("<form").find(|form| form.contains(start)).unwrap();
        form.split("</form>").next().unwrap().to_owned()
    };
    let search = form("type=\"search\"");
    assert!(search.contains("<a href=\"./\">Show all</a>") && search.contains(" value=\"&quot;a&quot;\" "), "{search}");
    assert!(search.contains(&order), "{search}");
    assert!(form("value=\"name\"").ends_with(&(hidden("order", "asc") + &filter)));
    assert!(form("value=\"json\"").ends_with(&(order + &filter)));
    let usual = html(b"", &complete(vec![file(b"a")]), "");
    assert_eq!(usual.matches("type=\"hidden\"").count(), 3, "the order of each column: {usual}");
    assert!(!usual.contains("Show all"));
}

#[test]
fn archives_are_offered_where_they_can_be_made() {
    let page = |archives| html::page(b"", &complete(vec![file(b"a")]), &Query::new(""), archives).finish();
    assert!(!page(&[]).contains("archive"));
    let with = page(&["tar", "tar.gz"]);
    assert!(
        with.contains(
            "<form>This directory as <button name=\"archive\" value=\"tar\">tar</button> \
             <button name=\"archive\" value=\"tar.gz\">tar.gz</button></form>"
        ),
        "{with}"
    );
}

/// The entries that Kodi finds: links whose text is their address, by its regular expression
/// `<a href="([^"]*)"[^>]*>\s*(.*?)\s*</a>`.
fn entries_in_kodi(page: &str) -> Vec<String> {
    let entry = |link: &str| {
        let (href, rest) = link.split_once('"')?;
        let text = rest.split_once('>')?.1.split_once("</a>")?.0;
        let mut decoded = Vec::new();
        http_core::Path::new(format!("/{href}").as_bytes()).ok()?.decode_to(&mut decoded);
        let decoded = String::from_utf8(decoded).ok()?;
        let name = text.trim_end_matches('/').replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'");
        let name = name.replace("&quot;", "\"").replace("&amp;", "&");
        let matches = name == decoded && (!href.starts_with("./") || name.contains(':')) && !name.is_empty();
        matches.then(|| href.to_owned())
    };
    page.split("<a href=\"").skip(1).filter_map(entry).collect()
}

#[test]
fn simple_readers_find_each_entry_and_nothing_else() {
    let mut entries: Vec<_> =
        [&b"a b.txt"[..], b"c:d", b"100%&<'\">", "gr\u{fc}\u{df}e".as_bytes(), b"..x"].map(file).into();
    entries.push(entry(b"sub", FileKind::Directory, 0, 0));
    let page = html(b"up/here/", &complete(entries), "");
    let expected = ["a%20b.txt", "./c%3Ad", "100%25%26%3C%27%22%3E", "gr%C3%BC%C3%9Fe", "..x", "sub/"];
    assert_eq!(entries_in_kodi(&page), expected);
    // No other element has an address.
    assert_eq!(page.matches("href=").count(), page.matches("<a href=\"").count() + 1, "the icon");
}

// V20
#[test]
fn listing_size_is_limited() {
    let long = vec![file(&[b'"'; 255]); MAX_SHOWN];
    let page = html(b"", &complete(long.clone()), "");
    assert!((MAX_PAGE_BYTES..MAX_PAGE_BYTES + 8192).contains(&page.len()), "{}", page.len());
    let rows = page.matches("<th scope=\"row\">").count();
    assert!(page.contains(&format!("<p>The page is full: {} more are not shown.</p>", MAX_SHOWN - rows)));
    let json = json(b"", &complete(long));
    assert_eq!(json["complete"], false);
    assert!((2000..MAX_SHOWN).contains(&json["entries"].as_array().unwrap().len()));
}

#[test]
fn ten_thousand_names_of_usual_length_fit() {
    let usual =
        vec![entry(&[b'n'; 110], FileKind::File, u64::MAX, i128::from(253_402_300_799_i64) * 1_000_000_000); MAX_SHOWN];
    let page = html(b"", &complete(usual.clone()), "");
    assert_eq!(page.matches("<th scope=\"row\">").count(), MAX_SHOWN);
    assert!(!page.contains("not shown"));
    let json = json(b"", &complete(usual));
    assert_eq!((json["entries"].as_array().unwrap().len(), &json["complete"]), (MAX_SHOWN, &true.into()));
}

/// Names that have a meaning in HTML, in URLs, in a shell, on a terminal, or for a reader.
const NAMES: [(&[u8], &str, &str); 17] = [
    (
        b"<img src=x onerror=alert(1)>\"&%23.txt",
        "%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%22%26%2523.txt",
        "&lt;img src=x onerror=alert(1)&gt;&quot;&amp;%23.txt",
    ),
    (b"</td></a><script>alert(1)</script>", "%3C%2Ftd%3E", "&lt;/td&gt;&lt;/a&gt;&lt;script&gt;"),
    (b"javascript:x", "./javascript%3Ax", "javascript:x"),
    (b"foo:bar", "./foo%3Abar", "foo:bar"),
    (b"'quoted\"", "%27quoted%22", "&#39;quoted&quot;"),
    (b"100%", "100%25", "100%"),
    (b"a?b#c", "a%3Fb%23c", "a?b#c"),
    (b"a&amp;b", "a%26amp%3Bb", "a&amp;amp;b"),
    (b"back\\slash", "back%5Cslash", "back\\slash"),
    (b"trailing  ", "trailing%20%20", "trailing  "),
    (b"..x", "..x", "..x"),
    (b"-rf", "-rf", "-rf"),
    (b"~", "~", "~"),
    (b"\xff\xfe.bin", "%FF%FE.bin", "\u{fffd}\u{fffd}.bin"),
    (b"\xc0\xae", "%C0%AE", "\u{fffd}\u{fffd}"),
    ("\u{1f600}".as_bytes(), "%F0%9F%98%80", "\u{1f600}"),
    ("\u{202e}gpj.exe".as_bytes(), "%E2%80%AEgpj.exe", "<mark>\\u202E</mark>gpj.exe"),
];

// V17
#[test]
fn v17_listed_name_is_only_text_and_a_link() {
    let plain = html(b"", &complete(vec![file(b"plain")]), "");
    for (name, href, text) in NAMES {
        let page = html(b"", &complete(vec![file(name)]), "");
        if !name.starts_with(b"</") {
            assert!(page.contains(&format!("<a href=\"{href}\">{text}</a>")), "{page}");
        }
        let marks = 2 * page.matches("<mark>").count();
        for (c, more) in [('<', marks), ('>', marks), ('"', 0)] {
            let expected = plain.matches(c).count() + more;
            assert_eq!(page.matches(c).count(), expected, "{c} of {}", name.escape_ascii());
        }
        let json = json(b"", &complete(vec![file(name)]));
        assert_eq!(json["entries"][0]["name"], String::from_utf8_lossy(name).as_ref());
        assert!(
            json["entries"][0]["href"]
                .as_str()
                .unwrap()
                .trim_start_matches("./")
                .starts_with(href.trim_start_matches("./"))
        );
        assert!(page.contains(text));
    }
}

// V17: the path is in the title, and each of its directories is in the heading.
#[test]
fn v17_path_is_only_text_and_links() {
    let page = html("<b>/\"/\u{fffd}\u{2067}/".as_bytes(), &complete(Vec::new()), "");
    assert!(page.contains("<title>Index of /&lt;b&gt;/&quot;/\u{fffd}\\u2067/</title>"));
    assert!(page.contains(
        "<h1><a href=\"../../../\"><bdi>Home</bdi></a> / <a href=\"../../\"><bdi>&lt;b&gt;</bdi></a> / \
         <a href=\"../\"><bdi>&quot;</bdi></a> / <bdi>\u{fffd}<mark>\\u2067</mark></bdi></h1>"
    ));
    assert!(page.contains("href=\"../\">Parent directory</a>"));
    let root = html(b"", &complete(Vec::new()), "");
    assert!(root.contains("<title>Index of /</title>") && root.contains("<h1><bdi>Home</bdi></h1>"));
    assert!(!root.contains("../"));
}

#[test]
fn columns_show_the_order_and_change_it() {
    for (query, shown, next) in [
        ("", ("Name", "ascending"), ["desc", "desc", "desc"]),
        ("order=desc", ("Name", "descending"), ["asc", "desc", "desc"]),
        ("sort=size", ("Size", "ascending"), ["asc", "desc", "desc"]),
        ("sort=time&order=desc", ("Modified", "descending"), ["asc", "desc", "asc"]),
    ] {
        let page = html(b"", &complete(vec![file(b"a")]), query);
        let head = page.split("<thead>").nth(1).unwrap().split("</thead>").next().unwrap();
        assert_eq!(head.matches("aria-sort").count(), 1, "{query}: {head}");
        let columns = [("name", "Name"), ("size", "Size"), ("time", "Modified")];
        for ((cell, (key, title)), order) in head.split("<th ").skip(1).zip(columns).zip(next) {
            assert!(cell.contains(&format!("<button name=\"sort\" value=\"{key}\">{title}")), "{query}: {cell}");
            assert!(cell.contains(&format!("name=\"order\" value=\"{order}\">")), "{query}: {cell}");
            let is_shown = cell.contains(&format!("aria-sort=\"{}\"", shown.1));
            assert_eq!(is_shown, title == shown.0, "{query}: {cell}");
        }
    }
}

#[test]
fn sizes_and_times_are_readable_and_exact() {
    const SECOND: i128 = 1_000_000_000;
    let year_10_000 = 253_402_300_800 * SECOND;
    for (modified, expected) in [
        (784_111_777 * SECOND + 999_999_999, Some("1994-11-06T08:49:37Z")),
        (0, Some("1970-01-01T00:00:00Z")),
        (-1, Some("1969-12-31T23:59:59Z")),
        (1_709_164_800 * SECOND, Some("2024-02-29T00:00:00Z")),
        (1_796_083_199 * SECOND, Some("2026-11-30T23:59:59Z")),
        (year_10_000 - 1, Some("9999-12-31T23:59:59Z")),
        (year_10_000, None),
        (i128::MAX, None),
        (i128::MIN, None),
    ] {
        let entries =
            || vec![entry(b"a", FileKind::File, 1229, modified), entry(b"b", FileKind::Directory, 4096, modified)];
        let page = html(b"", &complete(entries()), "");
        let time =
            expected.map(|time| format!("<td><time datetime=\"{time}\">{} {}</time></td>", &time[..10], &time[11..16]));
        let time = time.unwrap_or("<td></td>".into());
        assert!(page.contains(&format!("<td title=\"1229 bytes\">1.2 KiB</td>{time}</tr>")), "{page}");
        assert!(page.contains(&format!("<td>—</td>{time}</tr>")), "{page}");
        let json = json(b"", &complete(entries()));
        let (file, directory) = (&json["entries"][0], &json["entries"][1]);
        assert_eq!((&file["type"], &file["size"]), (&"file".into(), &1229.into()));
        assert_eq!((&directory["type"], directory.get("size")), (&"directory".into(), None));
        assert_eq!((file["modified"].as_str(), directory["modified"].as_str()), (expected, expected));
        assert_eq!((&file["href"], &directory["href"]), (&"./a".into(), &"./b/".into()));
    }
}

#[test]
fn json_is_valid_with_every_byte() {
    let names = (1..=255).filter(|c| !b"./".contains(c)).flat_map(|c| [vec![c], vec![c, 0x80], vec![b'"', c, b'\\']]);
    let names: Vec<_> = names.collect();
    let json = json(b"\xff\"/", &complete(names.iter().map(|name| file(name)).collect()));
    assert_eq!(json["path"], "/\u{fffd}\"/");
    let entries = json["entries"].as_array().unwrap();
    assert_eq!(entries.len(), names.len());
    for (name, entry) in names.iter().zip(entries) {
        assert_eq!(entry["name"], String::from_utf8_lossy(name).as_ref());
        let href = entry["href"].as_str().unwrap().strip_prefix("./").unwrap();
        let mut decoded = Vec::new();
        http_core::Path::new(format!("/{href}").as_bytes()).map(|path| path.decode_to(&mut decoded)).ok();
        // A URL cannot contain controls, so such names are never listed. All others round-trip exactly.
        assert!(decoded == *name || name.iter().any(u8::is_ascii_control), "{href}");
    }
}
