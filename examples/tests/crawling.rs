//! The crawler as a program, against a server in this process.
#![cfg(test)]

#[path = "../test_double.rs"]
#[allow(dead_code)]
mod test_double;

use std::process::{Command, Output};

use http_core::Status;
use test_double::{Step, TestDouble};

fn crawl(url: &str, max_pages: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crawler")).args([url, max_pages]).output().unwrap()
}

fn page(etag: &'static str, body: &str) -> Vec<Step> {
    vec![Step::response(Status::OK, &[("Content-Type", "text/html; charset=utf-8"), ("ETag", etag)], body)]
}

/// The request lines that the server received, each followed by its If-None-Match, if any.
fn requests(server: &TestDouble) -> Vec<String> {
    let request = |request: String| {
        let tag = request.lines().find_map(|line| line.strip_prefix("If-None-Match: ")).unwrap_or("");
        let line = request.lines().next().unwrap_or("").trim_end_matches(" HTTP/1.0");
        format!("{line} {tag}").trim_end().to_owned()
    };
    server.take_requests().into_iter().map(|received| request(received.unwrap())).collect()
}

#[test]
fn crawler_follows_links_of_one_server_over_a_kept_connection_and_asks_again() {
    let not_modified = || vec![Step::response(Status::NOT_MODIFIED, &[], "")];
    let server = TestDouble::start(&[
        page(
            "\"1\"",
            "<a href=\"/a\">a</a> <a href='b?x=1&amp;y=2#part'>b</a> <a href=\"/a#top\">a</a> <a href=\"#top\">here</a>\
             <a href=\"http://other.invalid/\">away</a> <a href=\"mailto:a@b\">mail</a> <a href=c>unquoted</a>",
        ),
        vec![Step::response(Status::FOUND, &[("Location", "/d/e")], "")],
        vec![], // the server closes the kept connection: the request is sent again
        page("\"2\"", "<a href=\"d/e\">e</a>"),
        vec![Step::response(Status::OK, &[("Content-Type", "text/plain")], "<a href=\"/no-link\">")],
        // The second round.
        not_modified(),
        page("\"3\"", "changed"),
    ])
    .unwrap();
    let output = crawl(&server.url("/"), "20");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let expected = [
        "GET /",
        "GET /a",
        "GET /b?x=1&y=2",
        "GET /b?x=1&y=2",
        "GET /d/e",
        r#"GET / \"1\""#,
        r#"GET /b?x=1&y=2 \"2\""#,
    ];
    assert_eq!(requests(&server), expected, "{text}");
    assert_eq!(text.matches("200 OK: http://").count(), 3, "{text}");
    assert!(text.contains(&format!("302 Found: {}, 0 bytes\n", server.url("/a"))), "{text}");
    assert!(text.ends_with("\n1 of 2 tagged pages are unchanged; 2 connections\n"), "{text}");
}

#[test]
fn crawler_stops_at_the_maximum_and_goes_on_after_a_failure() {
    let truncated = vec![Step::Bytes(b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhalf".into())];
    let links: String = (0..9).map(|n| format!("<a href=\"/{n}\">")).collect();
    let server = TestDouble::start(&[page("\"1\"", &links), truncated, page("\"2\"", "ok")]).unwrap();
    let text = String::from_utf8(crawl(&server.url("/"), "3").stdout).unwrap();
    assert!(text.contains(&format!("failed: {}, the body was cut short\n", server.url("/0"))), "{text}");
    assert_eq!(requests(&server)[..3], ["GET /", "GET /0", "GET /1"], "{text}");
    assert_eq!(text.matches("200 OK: http://").count(), 2, "{text}");
}

#[test]
fn crawler_refuses_what_is_not_an_http_url() {
    let output = crawl("/no-url", "1");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("expected a URL"), "{text}");
}
