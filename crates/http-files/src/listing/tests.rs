//! What listings contain, their limits, and the escaping of names.

use super::directory::{BoundedNames, Completeness, Listing, MAX_PAGE_BYTES, MAX_READ, MAX_SHOWN};
use super::entry::Entry;
use super::query::Query;
use super::{html, json, sort};
use crate::root::{FileKind, Root};
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
    Entry { name: name.into(), kind, length, modified }
}

fn file(name: &[u8]) -> Entry {
    entry(name, FileKind::File, 1, 0)
}

fn html(path: &[u8], entries: Vec<Entry>, completeness: Completeness, query: &str) -> String {
    html::page(path, &Listing { entries, completeness }, Query::new(query).order).finish()
}

fn json(path: &[u8], entries: Vec<Entry>, completeness: Completeness) -> Value {
    let response = json::response(path, &Listing { entries, completeness }).unwrap();
    let Body::Bytes(bytes) = response.body_ref() else { panic!("{response:?}") };
    serde_json::from_slice(bytes).unwrap()
}

/// The names listed for a directory beneath a root.
fn read(root: &Path, path: &str, hidden: bool) -> (Vec<String>, Completeness) {
    let root = Root::open(root, 0).unwrap();
    let directory = root.open_beneath(path.trim_end_matches('/').as_bytes(), Blocking::default()).unwrap().file;
    let mut listing = Listing::read(&root, path.as_bytes(), directory, hidden, Blocking::default()).unwrap();
    sort::sort(&mut listing.entries, Query::new("").order);
    let name = |entry: &Entry| {
        let slash = if entry.is_directory() { "/" } else { "" };
        format!("{}{slash}", entry.name.escape_ascii())
    };
    (listing.entries.iter().map(name).collect(), listing.completeness)
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
    let (names, completeness) = read(directory.path(), "", false);
    assert_eq!(names, [".well-known/", "into/", "sub/", "-rf", "a", "in", "\\xff"]);
    assert_eq!(completeness, Completeness::Complete);
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
        let names = BoundedNames::read(&mut directory, b"", false, most).unwrap();
        match names.completeness() {
            Completeness::Complete => assert!(most >= 6 && names.count == 2),
            Completeness::Unread { of } => assert!(most < 6 && of == names.count && of <= most),
            completeness => panic!("{completeness:?}"),
        }
    }
}

#[test]
fn caption_says_what_is_left_out() {
    let entries = || vec![file(b"a"), entry(b"b", FileKind::Directory, 0, 0)];
    for (completeness, caption, complete) in [
        (Completeness::Complete, "1 directory, 1 file", true),
        (Completeness::Truncated { of: 12_345 }, "1 directory, 1 file: the first of 12345 names.", false),
        (
            Completeness::Unread { of: MAX_READ },
            "1 directory, 1 file: the first of the 100000 names that were read. There are more.",
            false,
        ),
    ] {
        let page = html(b"", entries(), completeness, "");
        assert!(page.contains(&format!("<caption>{caption}</caption>")), "{page}");
        assert_eq!(json(b"", entries(), completeness)["complete"], complete);
    }
    assert!(html(b"", Vec::new(), Completeness::Complete, "").contains("<caption>This directory is empty.</caption>"));
    let page = html(b"", [entries(), entries()].concat(), Completeness::Complete, "");
    assert!(page.contains("<caption>2 directories, 2 files</caption>"), "{page}");
}

// V20
#[test]
fn listing_size_is_limited() {
    let long = vec![file(&[b'"'; 255]); MAX_SHOWN];
    let page = html(b"", long.clone(), Completeness::Complete, "");
    assert!((MAX_PAGE_BYTES..MAX_PAGE_BYTES + 4096).contains(&page.len()), "{}", page.len());
    let rows = page.matches("<tr><th scope=\"row\">").count();
    assert!(page.contains(&format!("<p>The page is full: {} more are not shown.</p>", MAX_SHOWN - rows)));
    let json = json(b"", long, Completeness::Complete);
    assert_eq!(json["complete"], false);
    assert!((2000..MAX_SHOWN).contains(&json["entries"].as_array().unwrap().len()));
}

#[test]
fn ten_thousand_names_of_usual_length_fit() {
    let usual =
        vec![entry(&[b'n'; 110], FileKind::File, u64::MAX, i128::from(253_402_300_799_i64) * 1_000_000_000); MAX_SHOWN];
    let page = html(b"", usual.clone(), Completeness::Complete, "");
    assert_eq!(page.matches("<tr><th scope=\"row\">").count(), MAX_SHOWN);
    assert!(!page.contains("not shown"));
    let json = json(b"", usual, Completeness::Complete);
    assert_eq!((json["entries"].as_array().unwrap().len(), &json["complete"]), (MAX_SHOWN, &true.into()));
}

/// Names that have a meaning in HTML, in URLs, in a shell, on a terminal, or for a reader.
const NAMES: [(&[u8], &str, &str); 17] = [
    (
        b"<img src=x onerror=alert(1)>\"&%23.txt",
        "./%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%22%26%2523.txt",
        "&lt;img src=x onerror=alert(1)&gt;&quot;&amp;%23.txt",
    ),
    (b"</bdi></a><script>alert(1)</script>", "./%3C%2Fbdi%3E", "&lt;/bdi&gt;&lt;/a&gt;&lt;script&gt;"),
    (b"javascript:x", "./javascript%3Ax", "javascript:x"),
    (b"foo:bar", "./foo%3Abar", "foo:bar"),
    (b"'quoted\"", "./%27quoted%22", "&#39;quoted&quot;"),
    (b"100%", "./100%25", "100%"),
    (b"a?b#c", "./a%3Fb%23c", "a?b#c"),
    (b"a&amp;b", "./a%26amp%3Bb", "a&amp;amp;b"),
    (b"back\\slash", "./back%5Cslash", "back\\slash"),
    (b"trailing  ", "./trailing%20%20", "trailing  "),
    (b"..x", "./..x", "..x"),
    (b"-rf", "./-rf", "-rf"),
    (b"~", "./~", "~"),
    (b"\xff\xfe.bin", "./%FF%FE.bin", "\u{fffd}\u{fffd}.bin"),
    (b"\xc0\xae", "./%C0%AE", "\u{fffd}\u{fffd}"),
    ("\u{1f600}".as_bytes(), "./%F0%9F%98%80", "\u{1f600}"),
    ("\u{202e}gpj.exe".as_bytes(), "./%E2%80%AEgpj.exe", "\u{202e}gpj.exe"),
];

// V17
#[test]
fn v17_listed_name_is_only_text_and_a_link() {
    let plain = html(b"", vec![file(b"plain")], Completeness::Complete, "");
    for (name, href, text) in NAMES {
        let page = html(b"", vec![file(name)], Completeness::Complete, "");
        if !name.starts_with(b"</") {
            assert!(page.contains(&format!("<a href=\"{href}\"><bdi>{text}</bdi></a>")), "{page}");
        }
        for c in ['<', '>', '"'] {
            assert_eq!(page.matches(c).count(), plain.matches(c).count(), "{c} of {}", name.escape_ascii());
        }
        let json = json(b"", vec![file(name)], Completeness::Complete);
        assert_eq!(json["entries"][0]["name"], String::from_utf8_lossy(name).as_ref());
        assert!(json["entries"][0]["href"].as_str().unwrap().starts_with(href));
        assert!(page.contains(text));
    }
}

// V17: the path is in the title, and each of its directories is in the heading.
#[test]
fn v17_path_is_only_text_and_links() {
    let page = html(b"<b>/\"/\xff/", Vec::new(), Completeness::Complete, "");
    assert!(page.contains("<title>/&lt;b&gt;/&quot;/\u{fffd}/</title>"));
    assert!(page.contains(
        "<h1>Index of <a href=\"../../../\">/</a><a href=\"../../\"><bdi>&lt;b&gt;</bdi>/</a>\
         <a href=\"../\"><bdi>&quot;</bdi>/</a><bdi>\u{fffd}</bdi>/</h1>"
    ));
    assert!(page.contains("href=\"../\">Parent directory</a>"));
    let root = html(b"", Vec::new(), Completeness::Complete, "");
    assert!(root.contains("<h1>Index of /</h1>") && !root.contains("../"));
}

#[test]
fn columns_show_the_order_and_link_to_the_next() {
    for (query, shown, links) in [
        ("", ("Name", "ascending"), ["name&amp;order=desc", "size&amp;order=desc", "time&amp;order=desc"]),
        ("order=desc", ("Name", "descending"), ["name&amp;order=asc", "size&amp;order=desc", "time&amp;order=desc"]),
        ("sort=size", ("Size", "ascending"), ["name&amp;order=asc", "size&amp;order=desc", "time&amp;order=desc"]),
        (
            "sort=time&order=desc",
            ("Modified (UTC)", "descending"),
            ["name&amp;order=asc", "size&amp;order=desc", "time&amp;order=asc"],
        ),
    ] {
        let page = html(b"", vec![file(b"a")], Completeness::Complete, query);
        let head = page.split("<thead>").nth(1).unwrap().split("</thead>").next().unwrap();
        assert_eq!(head.matches("aria-sort").count(), 1, "{query}: {head}");
        for ((cell, title), link) in head.split("<th ").skip(1).zip(["Name", "Size", "Modified (UTC)"]).zip(links) {
            assert!(cell.contains(&format!("<a href=\"?sort={link}\">{title}</a>")), "{query}: {cell}");
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
        let page = html(b"", entries(), Completeness::Complete, "");
        let time =
            expected.map(|time| format!("<td><time datetime=\"{time}\">{} {}</time></td>", &time[..10], &time[11..16]));
        let time = time.unwrap_or("<td></td>".into());
        assert!(page.contains(&format!("<td title=\"1229 bytes\">1.2 KiB</td>{time}</tr>")), "{page}");
        assert!(page.contains(&format!("<td></td>{time}</tr>")), "{page}");
        let json = json(b"", entries(), Completeness::Complete);
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
    let json = json(b"\xff\"/", names.iter().map(|name| file(name)).collect(), Completeness::Complete);
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
