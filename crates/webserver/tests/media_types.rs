//! The media type of each file, and what a browser makes of it.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use support::{Browser, Program, ReceivedResponse, fetch, get, tool};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\
    \xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";
const SVG: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'><circle r='5'/></svg>";
const ATTACK: &str = "<!DOCTYPE html><title>run</title><script>document.title = 'it ran'</script>";

/// "Текст" in KOI8-R.
const KOI8_R: &[u8] = b"\xf4\xc5\xcb\xd3\xd4";

fn site(files: &[(&str, &[u8])]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, content) in files {
        fs::write(directory.path().join(name), content).unwrap();
    }
    directory
}

fn type_of(response: &ReceivedResponse) -> &str {
    response.header("Content-Type").unwrap()
}

fn page_in_koi8_r(padding: usize) -> Vec<u8> {
    [b"<!DOCTYPE html><meta charset=koi8-r><p>", KOI8_R, &vec![b' '; padding]].concat()
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut process =
        Command::new(tool("gzip")?).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(bytes).unwrap();
    Some(process.wait_with_output().unwrap().stdout)
}

#[test]
fn files_have_types_that_browsers_show_and_never_run_by_mistake() {
    let large = [ATTACK.as_bytes(), &[b'x'; 100_000]].concat();
    let large_png = [PNG, &[0; 100_000]].concat();
    let files: &[(&str, &[u8], &str)] = &[
        ("README", b"text", "text/plain; charset=utf-8"),
        ("LICENSE", b"text", "text/plain; charset=utf-8"),
        ("Makefile", b"all:\n", "text/plain; charset=utf-8"),
        ("SHA256SUMS", b"00  a", "text/plain; charset=utf-8"),
        ("main.go", b"package main", "text/plain; charset=utf-8"),
        ("change.patch", b"--- a", "text/plain; charset=utf-8"),
        ("lines.jsonl", b"{}", "text/plain; charset=utf-8"),
        ("run.sh", b"#!/bin/sh", "text/plain; charset=utf-8"),
        ("a.rpm", b"\xed\xab\xee\xdb", "application/x-redhat-package-manager"),
        // Without an extension, the first bytes count.
        ("attack", ATTACK.as_bytes(), "text/plain; charset=utf-8"),
        ("large-attack", &large, "text/plain; charset=utf-8"),
        ("svg", SVG.as_bytes(), "text/plain; charset=utf-8"),
        ("picture", PNG, "image/png"),
        ("large-picture", &large_png, "image/png"),
        ("latin-1", b"caf\xe9", "text/plain"),
        ("program", b"\x7fELF\x02\x01\x01\0", "application/octet-stream"),
        ("picture.unknown", PNG, "application/octet-stream"),
        ("empty", b"", "text/plain; charset=utf-8"),
    ];
    let directory = site(&files.iter().map(|(name, content, _)| (*name, *content)).collect::<Vec<_>>());
    // Once they have settled they are cached, which must not make a difference.
    for options in [&[][..], &["--cache-size", "0"]] {
        let program = Program::start(directory.path(), options);
        for (name, content, expected) in files {
            let response = get(program.address(), &format!("/{name}"));
            assert_eq!(type_of(&response), *expected, "{name}");
            assert_eq!(response.header("X-Content-Type-Options"), Some("nosniff"), "{name}");
            assert!(response.body == *content, "{name}");
        }
    }
}

// A file may change what it is.
#[test]
fn type_follows_content_of_cached_files() {
    let old = [PNG, &[0; 20_000]].concat();
    let new = [ATTACK.as_bytes(), &[b'x'; 20_000]].concat();
    let page = b"<!DOCTYPE html><p>text";
    let directory = site(&[("small", PNG), ("large", &old), ("page.html", &page_in_koi8_r(0))]);
    let program = Program::start(directory.path(), &[]);
    let types = || ["/small", "/large", "/page.html"].map(|path| type_of(&get(program.address(), path)).to_owned());
    sleep(Duration::from_millis(3100)); // settled, so that they are cached
    for _ in 0..2 {
        assert_eq!(types(), ["image/png", "image/png", "text/html"]);
    }
    for (name, content) in [("small", ATTACK.as_bytes()), ("large", &new), ("page.html", page)] {
        fs::write(directory.path().join(name), content).unwrap();
    }
    let text = "text/plain; charset=utf-8";
    assert_eq!(types(), [text, text, "text/html; charset=utf-8"]);
}

#[test]
fn html_that_declares_its_encoding_gets_no_charset_unless_the_owner_sets_one() {
    let late = [&b"<!DOCTYPE html><!--"[..], &[b'x'; 1100], b"--><meta charset=koi8-r>"].concat();
    let directory = site(&[
        ("small.html", &page_in_koi8_r(0)),
        ("large.html", &page_in_koi8_r(50_000)),
        ("pragma.html", b"<meta http-equiv='Content-Type' content='text/html; charset=koi8-r'>"),
        ("none.html", b"<!-- <meta charset=koi8-r> --><p>text"),
        ("late.html", &late),
    ]);
    let names = ["small.html", "large.html", "pragma.html", "none.html", "late.html"];
    let (none, utf8, koi8) = ("text/html", "text/html; charset=utf-8", "text/html; charset=koi8-r");
    for (options, expected) in [
        (&[][..], [none, none, none, utf8, utf8]),
        (&["--charset", "utf-8"], [utf8; 5]),
        (&["--charset", "koi8-r"], [koi8; 5]),
        (&["--charset", "none"], [none; 5]),
        (&["--cache-size", "0"], [none, none, none, utf8, utf8]),
    ] {
        let program = Program::start(directory.path(), options);
        let types = names.map(|name| type_of(&get(program.address(), &format!("/{name}"))).to_owned());
        assert_eq!(types, expected, "{options:?}");
    }
}

#[test]
fn precompressed_file_has_the_type_of_its_original() {
    let page = page_in_koi8_r(50_000);
    let unknown = vec![b'x'; 50_000];
    let (Some(encoded_page), Some(encoded)) = (gzip(&page), gzip(&unknown)) else { return };
    let directory =
        site(&[("a.html", &page), ("a.html.gz", &encoded_page), ("unknown", &unknown), ("unknown.gz", &encoded)]);
    sleep(Duration::from_millis(3100)); // until they can be used
    let program = Program::start(directory.path(), &[]);
    for (path, expected) in [("/a.html", "text/html"), ("/unknown", "text/plain; charset=utf-8")] {
        let response = fetch(program.address(), "GET", path, "Accept-Encoding: gzip\r\n");
        assert_eq!((response.header("Content-Encoding"), type_of(&response)), (Some("gzip"), expected), "{path}");
        assert_eq!(type_of(&get(program.address(), &format!("{path}.gz"))), "application/gzip");
    }
}

// As other servers do: the coding belongs to the file, whatever the client accepts.
#[test]
fn compressed_svg_has_its_content_encoding() {
    let Some(compressed) = gzip(SVG.as_bytes()) else { return };
    let directory = site(&[("a.svgz", &compressed), ("a.svgz.gz", b"\x1f\x8b"), ("unpacked.svgz", SVG.as_bytes())]);
    let program = Program::start(directory.path(), &["--error-page", "404=a.svgz"]);
    let missing = get(program.address(), "/missing");
    assert_eq!((type_of(&missing), missing.header("Content-Encoding")), ("image/svg+xml", Some("gzip")));
    for headers in ["", "Accept-Encoding: gzip\r\n", "Accept-Encoding: identity\r\n", "Range: bytes=0-9\r\n"] {
        let response = fetch(program.address(), "GET", "/a.svgz", headers);
        assert_eq!(type_of(&response), "image/svg+xml");
        assert_eq!((response.header("Content-Encoding"), response.header("Vary")), (Some("gzip"), None), "{headers}");
        let expected = if headers.starts_with("Range") { &compressed[..10] } else { &compressed };
        assert!(response.body == expected, "{headers}");
    }
    let unpacked = get(program.address(), "/unpacked.svgz");
    assert_eq!((type_of(&unpacked), unpacked.header("Content-Encoding")), ("image/svg+xml", None));
    let overridden = Program::start(directory.path(), &["--type", "svgz=application/octet-stream"]);
    let response = get(overridden.address(), "/a.svgz");
    assert_eq!((type_of(&response), response.header("Content-Encoding")), ("application/octet-stream", None));

    let Some(curl) = tool("curl") else { return };
    let url = format!("http://{}/a.svgz", program.address());
    let output = Command::new(curl).args(["-q", "-sS", "-m", "10", "--noproxy", "*", "--compressed", &url]).output();
    assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), SVG);
}

#[test]
fn browser_shows_what_the_types_say() {
    let Some(mut browser) = Browser::start() else { return };
    let Some(compressed) = gzip(SVG.as_bytes()) else { return };
    let is_text = "document.contentType == 'text/plain' && document.body.innerText.startsWith(";
    let reads = |text: &str| format!("document.body.innerText.startsWith({})", json!(text));
    let shows = |text: &str| format!("{is_text}{})", json!(text));
    // A file, and an expression that must hold on its page.
    let files: &[(&str, &[u8], String)] = &[
        ("README", b"read me", shows("read me")),
        ("Makefile", b"all:", shows("all:")),
        ("main.go", b"package main", shows("package main")),
        ("main.rs", b"fn main", shows("fn main")),
        ("a.patch", b"--- a", shows("--- a")),
        ("a.jsonl", b"{}", shows("{}")),
        ("a.toml", b"[a]", shows("[a]")),
        ("a.yaml", b"a: b", shows("a: b")),
        ("a.sh", b"echo", shows("echo")),
        ("a.md", b"# title", reads("# title")),
        ("latin-1", b"caf\xe9", shows("caf\u{e9}")),
        ("attack", ATTACK.as_bytes(), shows(ATTACK) + " && document.title != 'it ran'"),
        ("svg", SVG.as_bytes(), shows(SVG)),
        ("picture", PNG, "document.images[0].naturalWidth == 1".into()),
        ("a.svgz", &compressed, "document.documentElement.localName == 'svg'".into()),
        ("koi8-r.html", &page_in_koi8_r(0), reads("Текст")),
        ("utf-8.html", "<!DOCTYPE html><p>Текст".as_bytes(), reads("Текст")),
        ("xml.html", &[b"<?xml version='1.0' encoding='koi8-r'?><p>", KOI8_R].concat(), reads("Текст")),
        ("includes-script.html", b"<!DOCTYPE html><script src=script></script>", "typeof ran == 'undefined'".into()),
        ("script", b"var ran = 1", shows("var ran")),
    ];
    let directory = site(&files.iter().map(|(name, content, _)| (*name, *content)).collect::<Vec<_>>());
    let program = Program::start(directory.path(), &[]);
    for (name, _, holds) in files {
        browser.open(&format!("http://{}/{name}", program.address()));
        let seen = browser.evaluate("document.contentType + ' ' + document.documentElement.outerHTML.slice(0, 300)");
        assert_eq!(browser.evaluate(holds), true, "{name}: {seen}");
    }
}

#[test]
fn explain_shows_the_type() {
    let directory = site(&[("picture", PNG)]);
    let output = support::output_of(&["--explain", "GET /picture HTTP/1.0", root(&directory)]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("the media type is image/png"), "{text}");
}

fn root(directory: &TempDir) -> &str {
    Path::to_str(directory.path()).unwrap()
}
