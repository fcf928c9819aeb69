//! Cache-Control by path (`--cache-control`): which rule is used, and what is sent without one.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;

use support::{Browser, Program, exchange, fetch, get, output_of};

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const HTML: &str = "Accept: text/html\r\n";

/// Writes a file that was modified this many seconds after a fixed time in 2001.
fn write(path: &Path, content: impl AsRef<[u8]>, second: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000 + second);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn site() -> TempDir {
    let directory = TempDir::new().unwrap();
    let names = [
        "index.html",
        "page.html",
        "other.txt",
        "large.bin",
        "assets/a.js",
        "assets/deep/b.css",
        "assets/c.html",
        "old/assets/a.js",
        "list/x",
    ];
    for name in names {
        let content = if name == "large.bin" { "a".repeat(20_000) } else { name.repeat(20) };
        write(&directory.path().join(name), content, 0);
    }
    let length = ("assets/a.js".len() * 20) as u32;
    let compressed = [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], b"compressed", &length.to_le_bytes()].concat();
    write(&directory.path().join("assets/a.js.gz"), compressed, 0);
    write(&directory.path().join("a.svgz"), b"\x1f\x8b, but of its own", 0);
    directory
}

// R9110-15.4.5
#[test]
fn first_rule_that_matches_the_file_is_used() {
    let directory = site();
    let immutable = format!("/assets/*={IMMUTABLE}");
    // The value without a glob is for the rest, wherever it stands.
    let rules = ["max-age=5", &immutable, "*.html=max-age=60", "*.svgz=no-transform", "/list/*=no-store"];
    let mut options = vec!["--pretty-urls", "--fallback", "index.html"];
    options.extend(rules.iter().flat_map(|rule| ["--cache-control", *rule]));
    let program = Program::start(directory.path(), &options);
    for (target, headers, expected) in [
        ("/assets/a.js", "", IMMUTABLE),
        ("/assets/a.js?v=2", "", IMMUTABLE),
        ("/x/../%61ssets/a%2ejs", "", IMMUTABLE),
        ("/assets/a.js", "Accept-Encoding: gzip\r\n", IMMUTABLE),
        ("/assets/deep/b.css", "", IMMUTABLE),
        ("/assets/c.html", "", IMMUTABLE),
        ("/assets/c", "", IMMUTABLE),
        ("/page.html", "", "max-age=60"),
        ("/page", "", "max-age=60"),
        ("/index.html", "", "max-age=60"),
        ("/", "", "max-age=60"),
        ("/users/7", HTML, "max-age=60"),
        // A fallback is never kept as long as the asset that is missing would be.
        ("/assets/missing", HTML, "max-age=60"),
        ("/old/assets/a.js", "", "max-age=5"),
        ("/other.txt", "", "max-age=5"),
        ("/large.bin", "", "max-age=5"),
        ("/a.svgz", "", "no-transform"), // its Content-Encoding is not that of a precompressed file
        ("/list/x", "", "no-store"),
    ] {
        for _ in 0..2 {
            let full = fetch(program.address(), "GET", target, headers);
            assert_eq!((full.status, full.header("Cache-Control")), (200, Some(expected)), "{target} {headers}");
            let condition = format!("{headers}If-None-Match: {}\r\n", full.header("ETag").unwrap());
            let range = format!("{headers}Range: bytes=1-2\r\n");
            for (method, headers, status) in [("HEAD", headers, 200), ("GET", &range, 206), ("GET", &condition, 304)] {
                let response = fetch(program.address(), method, target, headers);
                assert_eq!(response.status, status, "{method} {target} {headers}");
                assert_eq!(response.header("Cache-Control"), Some(expected), "{method} {target} {headers}");
            }
        }
    }
    // What is not a file has no rule, although a glob would match its path.
    for (request, status) in [
        ("GET /list/ HTTP/1.0\r\n\r\n", 200),
        ("GET /list/?format=json HTTP/1.0\r\n\r\n", 200),
        ("GET /list HTTP/1.0\r\n\r\n", 301),
        ("GET /assets/missing.js HTTP/1.0\r\n\r\n", 404),
        ("GET /assets/a.js HTTP/1.0\r\nRange: bytes=9999-\r\n\r\n", 416),
        ("GET /assets/a.js HTTP/1.0\r\nIf-Match: \"x\"\r\n\r\n", 412),
        ("DELETE /assets/a.js HTTP/1.0\r\n\r\n", 405),
        ("GET /assets/a.js HTTP/1.1\r\n\r\n", 400),
    ] {
        let response = exchange(program.address(), request.as_bytes());
        assert_eq!((response.status, response.header("Cache-Control")), (status, Some("no-cache")), "{request}");
    }
}

#[test]
fn every_response_has_no_cache_unless_an_option_says_otherwise() {
    let directory = site();
    let values = |options: &[&str]| {
        let program = Program::start(directory.path(), options);
        ["/", "/assets/a.js", "/large.bin", "/list/", "/list", "/missing"]
            .map(|target| get(program.address(), target).header("Cache-Control").unwrap_or("none").to_owned())
    };
    assert_eq!(values(&[]), ["no-cache"; 6]);
    assert_eq!(values(&["--header", "Cache-Control: no-store"]), ["no-store"; 6]);
    let both = values(&["--header", "Cache-Control: private", "--cache-control", "*.js=max-age=9"]);
    assert_eq!(both, ["private", "max-age=9", "private", "private", "private", "private"]);
}

#[test]
fn rule_that_is_never_used_is_mentioned_at_the_start() {
    let directory = site();
    let messages = |rules: &[&str]| {
        let options: Vec<&str> = rules.iter().flat_map(|rule| ["--cache-control", *rule]).collect();
        Program::start(directory.path(), &options).finish()
    };
    let message = "webserver: warning: --cache-control: \"no-store\" is never used, because";
    for (rules, because) in [
        (&["/a/*=public", "/a/b/*=no-store"][..], "/a/* comes first"),
        (&["*=public", "/a/*=no-store"], "* comes first"),
        (&["/a=public", "/a=no-store"], "/a comes first"),
        (&["no-store", "*=public"], "* comes first"),
        (&["public", "no-store"], "\"public\" comes first"),
    ] {
        let messages = messages(rules);
        assert!(messages.contains(&format!("{message} {because}\n")), "{rules:?}: {messages}");
    }
    let used = messages(&["no-store", "/a/b/*=public", "/a/*=private", "*.js=no-cache"]);
    assert!(!used.contains("never used"), "{used}");
}

#[test]
fn rules_are_checked_at_the_start() {
    for (value, message) in [
        ("/assets/*", "expected GLOB=VALUE"),
        ("/assets/=public", "/docs/* for all in it"),
        ("/assets/**=public", "a single *"),
        ("*.{js,css}=public", "no wildcard but *"),
        ("/a%20b=public", "not percent-encoded"),
        ("/assets/*=", "expected directives such as max-age=3600"),
        ("/assets/*=maxage=3600", "did you mean max-age?"),
        ("assets/*=public", "expected a path that begins with / or *"),
        ("max-age=1h", "expected a number of seconds, such as max-age=3600"),
    ] {
        let output = output_of(&["--port", "0", "--cache-control", value]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{value}: {stderr}");
        assert!(stderr.contains(message) && stderr.contains("--cache-control"), "{value}: {stderr}");
    }
}

/// What a page shows that was written by a script, before and after the script is edited.
fn shown_by_browser(browser: &mut Browser, options: &[&str]) -> [String; 2] {
    let directory = TempDir::new().unwrap();
    let page = "<!doctype html><title>page</title><script src=script.js></script>";
    write(&directory.path().join("one.html"), page, 0);
    write(&directory.path().join("two.html"), page, 0);
    let program = Program::start(directory.path(), options);
    ["one", "two"].map(|name| {
        let script = format!("document.title = 'script {name}'");
        write(&directory.path().join("script.js"), script, 1);
        browser.open(&format!("http://{}/{name}.html", program.address()));
        browser.evaluate("document.title").as_str().unwrap().to_owned()
    })
}

// A browser keeps a file that it knows nothing about for a tenth of its age: years, here.
#[test]
fn edited_script_shows_at_once() {
    let Some(mut browser) = Browser::start() else { return };
    assert_eq!(shown_by_browser(&mut browser, &[]), ["script one", "script two"]);
    let kept = shown_by_browser(&mut browser, &["--cache-control", "*.js=max-age=3600"]);
    assert_eq!(kept, ["script one", "script one"], "the browser has a cache");
}
