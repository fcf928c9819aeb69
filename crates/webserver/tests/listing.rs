//! Listings and the server's own pages over real sockets: their fields, their orders, HEAD, and JSON.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use support::{Program, ReceivedResponse, exchange, fetch, get};

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'self'";

/// A file of this length and time.
fn write(path: &Path, bytes: usize, seconds: u64) {
    fs::write(path, vec![b'a'; bytes]).unwrap();
    let modified = UNIX_EPOCH + Duration::from_secs(seconds);
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// Three files and two directories, in none of the orders.
fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    write(&at("file10"), 2000, 3_000_000);
    write(&at("file2"), 3000, 1_000_000);
    write(&at("Other"), 1000, 2_000_000);
    fs::create_dir(at("sub")).unwrap();
    fs::create_dir(at("empty")).unwrap();
    write(&at("sub/inside"), 0, 0);
    directory
}

/// The names of its rows, in their order.
fn names(page: &str) -> Vec<&str> {
    let rows = page.split("<tbody>").nth(1).unwrap();
    rows.split("<bdi>").skip(1).map(|rest| rest.split("</bdi>").next().unwrap()).collect()
}

fn names_in(json: &Value) -> Vec<&str> {
    json["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[test]
fn each_order_can_be_asked_for_of_both_formats() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    for (query, expected) in [
        ("", ["empty", "sub", "file2", "file10", "Other"]),
        ("?", ["empty", "sub", "file2", "file10", "Other"]),
        ("?order=desc", ["sub", "empty", "Other", "file10", "file2"]),
        ("?sort=size", ["empty", "sub", "Other", "file10", "file2"]),
        ("?sort=size&order=desc", ["empty", "sub", "file2", "file10", "Other"]),
        ("?sort=none&order=%64esc", ["empty", "sub", "file2", "file10", "Other"]),
    ] {
        let page = get(program.address(), &format!("/{query}"));
        assert_eq!(names(page.text()), expected, "{query}");
        let json = get(program.address(), &format!("/{query}{}format=json", if query.is_empty() { "?" } else { "&" }));
        assert_eq!(names_in(&serde_json::from_slice(&json.body).unwrap()), expected, "{query}");
    }
    let by_time = get(program.address(), "/?sort=time");
    assert_eq!(names(by_time.text())[2..], ["file2", "Other", "file10"]);
    let newest = get(program.address(), "/?sort=time&order=desc");
    assert_eq!(names(newest.text())[2..], ["file10", "Other", "file2"]);
}

#[test]
fn json_is_exact() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    let response = get(program.address(), "/sub/?format=json");
    assert_eq!((response.status, response.header("Content-Type")), (200, Some("application/json")));
    assert_eq!(
        response.text(),
        "{\"path\":\"/sub/\",\"entries\":[\n\
         {\"name\":\"inside\",\"href\":\"./inside\",\"type\":\"file\",\"size\":0,\"modified\":\"1970-01-01T00:00:00Z\"}\n\
         ],\"complete\":true}\n"
    );
    let empty = get(program.address(), "/empty/?format=json");
    assert_eq!(empty.text(), "{\"path\":\"/empty/\",\"entries\":[\n],\"complete\":true}\n");
    // Neither an index nor a file is changed by what is asked of a listing.
    fs::write(directory.path().join("empty/index.html"), "index").unwrap();
    assert_eq!(get(program.address(), "/empty/?format=json").text(), "index");
    assert_eq!(get(program.address(), "/file2?format=json").body.len(), 3000);
}

// R9110-9.3.2
#[test]
fn head_of_a_listing_is_that_of_get() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    let dateless = |response: &ReceivedResponse| {
        let lines = response.head.split("\r\n").filter(|line| !line.starts_with("Date: "));
        lines.collect::<Vec<_>>().join("\n")
    };
    for target in ["/", "/sub/", "/?sort=time&order=desc", "/?format=json", "/nothing"] {
        let (got, head) = (get(program.address(), target), fetch(program.address(), "HEAD", target, ""));
        assert_eq!(dateless(&got), dateless(&head), "{target}");
        assert_eq!((got.content_length(), head.body.len()), (Some(got.body.len()), 0), "{target}");
    }
}

// A listing is as it is now: it has no validator, and nobody keeps it without asking.
#[test]
fn a_listing_is_never_stale() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    for target in ["/sub/", "/sub/?format=json"] {
        let first = get(program.address(), target);
        assert_eq!(first.header("Cache-Control"), Some("no-cache"));
        assert_eq!((first.header("ETag"), first.header("Last-Modified")), (None, None));
        // The directory itself is not changed by this.
        let bytes = first.body.len();
        write(&directory.path().join("sub/inside"), bytes, 9);
        let since = "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\nIf-None-Match: \"a\"\r\n";
        let second = fetch(program.address(), "GET", target, since);
        assert_eq!(second.status, 200);
        assert_ne!(second.body, first.body);
    }
}

// V17: every page of the server's own is fenced in, and of one kind.
#[test]
fn own_pages_are_alike_and_ask_for_nothing() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    for (request, status) in [
        ("GET / HTTP/1.0\r\n\r\n", 200),
        ("GET /sub HTTP/1.0\r\n\r\n", 301),
        ("GET nowhere HTTP/1.0\r\n\r\n", 400),
        ("GET /nothing HTTP/1.0\r\n\r\n", 404),
        ("PUT / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", 405),
        ("GET /file2 HTTP/1.0\r\nIf-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n", 412),
        ("GET /file2 HTTP/1.0\r\nRange: bytes=9000-\r\n\r\n", 416),
        ("BREW / HTTP/1.0\r\n\r\n", 501),
    ] {
        let response = exchange(program.address(), request.as_bytes());
        assert_eq!(response.status, status, "{request}");
        assert_eq!(response.header("Content-Type"), Some("text/html; charset=utf-8"), "{request}");
        assert_eq!(response.header("Content-Security-Policy"), Some(POLICY), "{request}");
        assert_eq!(response.header("X-Content-Type-Options"), Some("nosniff"), "{request}");
        let page = response.text();
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">\n") && page.ends_with("</html>\n"), "{page}");
        assert_eq!((page.matches("<title>").count(), page.matches("<h1>").count()), (1, 1), "{page}");
        for never in ["<script", " src=", "http:", "https:", "url(", "@import"] {
            assert!(!page.contains(never), "{never}: {page}");
        }
        if status >= 400 {
            assert_eq!(page.matches("<p>").count(), 2, "what happened, and what can be done: {page}");
            assert!(page.len() < 1024, "{} bytes", page.len());
        }
    }
}
