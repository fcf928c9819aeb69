//! Which file a path without extension leads to (`--pretty-urls`), and that it is served like any other file.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;

use support::{Program, fetch, get, wait_until};

/// A directory with these files. Each contains its own name.
fn directory(names: &[&str]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for name in names {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    directory
}

fn status_and_text(program: &Program, target: &str) -> (u16, String) {
    let response = get(program.address(), target);
    let text = if response.status == 200 { response.text() } else { response.header("Location").unwrap_or_default() };
    (response.status, text.to_owned())
}

#[test]
fn path_leads_to_a_file_else_to_a_directory_else_to_a_page() {
    let outer = directory(&[
        "secret",
        "www/index.html",
        "www/page.html",
        "www/both",
        "www/both.html",
        "www/dir/index.html",
        "www/dir.html",
        "www/empty/x/y",
        "www/empty.html",
        "www/sub/deep.html",
        "www/v1.2.html",
        "www/sp ace.html",
        "www/.hidden.html",
        "www/.well-known/host.html",
        "www/folder.html/x",
        "www/two.html.html",
    ]);
    let root = outer.path().join("www");
    symlink("page.html", root.join("link.html")).unwrap();
    symlink("../secret", root.join("out.html")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    fs::write(root.join("dangling.html"), "dangling.html").unwrap();
    assert!(Command::new("mkfifo").arg(root.join("fifo.html")).status().unwrap().success());
    let long = format!("/{}", "a".repeat(255));
    let cases = [
        ("/page", 200, "www/page.html"),
        ("/page?a=b/c.d", 200, "www/page.html"),
        ("/%70age", 200, "www/page.html"),
        ("/page.html", 200, "www/page.html"),
        ("/x/../page", 200, "www/page.html"),
        ("/both", 200, "www/both"),
        ("/both.html", 200, "www/both.html"),
        ("/dir", 301, "./dir/"),
        ("/dir?a=b", 301, "./dir/?a=b"),
        ("/dir/", 200, "www/dir/index.html"),
        ("/dir/index", 200, "www/dir/index.html"),
        ("/dir.html", 200, "www/dir.html"),
        ("/empty", 301, "./empty/"),
        ("/sub/deep", 200, "www/sub/deep.html"),
        ("/v1.2", 200, "www/v1.2.html"),
        ("/sp%20ace", 200, "www/sp ace.html"),
        ("/index", 200, "www/index.html"),
        ("/two.html", 200, "www/two.html.html"),
        ("/link", 200, "www/page.html"),
        ("/dangling", 200, "dangling.html"),
        ("/.well-known/host", 200, "www/.well-known/host.html"),
        // A slash at the end means a directory.
        ("/page/", 404, ""),
        ("/both/", 404, ""),
        ("/sub/deep/", 404, ""),
        ("/folder", 404, ""),
        ("/PAGE", 404, ""),
        ("/pag", 404, ""),
        ("/page.htm", 404, ""),
        ("/page/x", 404, ""),
        ("/page.html/x", 404, ""),
        (&long, 404, ""),
        // Hidden names and containment hold for the page, too.
        ("/.hidden", 404, ""),
        ("/out", 403, ""),
        ("/fifo", 403, ""),
        ("/../secret", 400, ""),
    ];
    let program = Program::start(&root, &["--pretty-urls"]);
    for (target, status, text) in cases {
        assert_eq!(status_and_text(&program, target), (status, text.to_owned()), "{target}");
        let (got, head) = (get(program.address(), target), fetch(program.address(), "HEAD", target, ""));
        assert_eq!((got.undated_head(), head.body.len()), (head.undated_head(), 0), "{target}");
    }
    drop(program);
    let program = Program::start(&root, &[]);
    for (target, status, text) in cases {
        let is_page = status == 200 && !target.contains(text.rsplit('/').next().unwrap()) && !target.ends_with('/');
        let expected = if is_page && !["/both", "/two.html"].contains(&target) { (404, "") } else { (status, text) };
        if !["/out", "/fifo", "/sp%20ace", "/two.html"].contains(&target) {
            assert_eq!(status_and_text(&program, target), (expected.0, expected.1.to_owned()), "{target} by default");
        }
    }
    assert_eq!(["/out", "/fifo", "/sp%20ace"].map(|target| get(program.address(), target).status), [404; 3]);
}

/// Lets it seem as old as a file that was deployed long ago.
fn set_old(path: &Path) {
    let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

// R9110-13.2.2, R9110-14.2a, R9110-12.5.5
#[test]
fn page_has_the_headers_conditions_ranges_and_precompressed_files_of_its_file() {
    let directory = TempDir::new().unwrap();
    let plain = "<p>page ".repeat(100);
    fs::write(directory.path().join("page.html"), &plain).unwrap();
    let compressed =
        [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], b"compressed", &(plain.len() as u32).to_le_bytes()].concat();
    fs::write(directory.path().join("page.html.gz"), compressed).unwrap();
    for name in ["page.html", "page.html.gz"] {
        set_old(&directory.path().join(name));
    }
    let program = Program::start(directory.path(), &["--pretty-urls"]);
    let tag = get(program.address(), "/page.html").header("ETag").unwrap().to_owned();
    for (headers, status) in [
        ("", 200),
        ("Range: bytes=3-6\r\n", 206),
        ("Range: bytes=9999-\r\n", 416),
        (&format!("If-None-Match: {tag}\r\n"), 304),
        ("If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n", 304),
        ("If-Match: \"x\"\r\n", 412),
        ("Accept-Encoding: gzip\r\n", 200),
        ("Accept-Encoding: gzip\r\nRange: bytes=0-1\r\n", 206),
    ] {
        for _ in 0..2 {
            let [file, page] = ["/page.html", "/page"].map(|target| fetch(program.address(), "GET", target, headers));
            assert_eq!((page.status, page.undated_head()), (status, file.undated_head()), "{headers}");
            assert_eq!(page.body, file.body, "{headers}");
        }
    }
    let coded = fetch(program.address(), "GET", "/page", "Accept-Encoding: gzip\r\n");
    assert_eq!((coded.header("Content-Encoding"), coded.header("Vary")), (Some("gzip"), Some("Accept-Encoding")));
    assert_eq!(coded.header("Content-Type"), Some("text/html; charset=utf-8"));
}

#[test]
fn cached_page_is_as_fresh_as_any_file() {
    let directory = directory(&["page.html", "other.html"]);
    let at = |name: &str| directory.path().join(name);
    let program = Program::start(directory.path(), &["--pretty-urls"]);
    std::thread::sleep(Duration::from_millis(3100)); // settled, so that it is cached
    let both = || ["/page", "/other"].map(|target| status_and_text(&program, target));
    for _ in 0..2 {
        assert_eq!(both(), [(200, "page.html".into()), (200, "other.html".into())]);
    }
    fs::write(at("page.html"), "edited").unwrap();
    assert_eq!(status_and_text(&program, "/page"), (200, "edited".into()), "at once");

    // What comes first is noticed within a second, as an index file is.
    fs::write(at("page"), "file").unwrap();
    fs::create_dir(at("other")).unwrap();
    wait_until("both are noticed", || both() == [(200, "file".into()), (301, "./other/".into())]);
    fs::remove_file(at("page")).unwrap();
    fs::remove_dir(at("other")).unwrap();
    assert_eq!(both(), [(200, "edited".into()), (200, "other.html".into())], "at once");
    fs::remove_file(at("page.html")).unwrap();
    assert_eq!(status_and_text(&program, "/page"), (404, String::new()), "at once");
    fs::write(at("page.html"), "again").unwrap();
    assert_eq!(status_and_text(&program, "/page"), (200, "again".into()), "at once");
}

#[test]
fn page_beside_a_file_that_is_served_alone_is_not_served() {
    let directory = directory(&["page", "page.html", "other.html"]);
    let program = Program::start(&directory.path().join("page"), &["--pretty-urls"]);
    assert_eq!(status_and_text(&program, "/page"), (200, "page".into()));
    assert_eq!(["/other", "/page.html"].map(|target| get(program.address(), target).status), [404; 2]);
    fs::remove_file(directory.path().join("page")).unwrap();
    assert_ne!(get(program.address(), "/page").status, 200);
}
