//! Listings and the built-in pages over real sockets: headers, sort orders, HEAD and JSON.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use support::{Program, exchange, fetch, get, send};

/// Writes a file with this length and modification time.
fn write(path: &Path, bytes: usize, seconds: u64) {
    fs::write(path, vec![b'a'; bytes]).unwrap();
    let modified = UNIX_EPOCH + Duration::from_secs(seconds);
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// Three files and two directories, created in none of the sort orders.
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

/// The names in the rows, in order.
fn names(page: &str) -> Vec<&str> {
    let rows = page.split("<tbody>").nth(1).unwrap();
    let links = rows.split("<a href=").skip(1).map(|rest| rest.split(['>', '<']).nth(1).unwrap());
    links.map(|name| name.trim_end_matches('/')).collect()
}

fn names_in_json(json: &Value) -> Vec<&str> {
    json["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[test]
fn listing_is_sorted_and_filtered_as_query_says_in_html_and_json() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    for (query, expected) in [
        ("", &["empty", "sub", "file2", "file10", "Other"][..]),
        ("?", &["empty", "sub", "file2", "file10", "Other"]),
        ("?order=desc", &["sub", "empty", "Other", "file10", "file2"]),
        ("?sort=size", &["empty", "sub", "Other", "file10", "file2"]),
        ("?sort=size&order=desc", &["empty", "sub", "file2", "file10", "Other"]),
        ("?sort=none&order=%64esc", &["empty", "sub", "file2", "file10", "Other"]),
        ("?q=FILE", &["file2", "file10"]),
        ("?sort=name&order=desc&q=e1", &["file10"]),
        ("?q=%2f", &[]),
    ] {
        let page = get(program.address(), &format!("/{query}"));
        assert_eq!(names(page.text()), expected, "{query}");
        let json = get(program.address(), &format!("/{query}{}format=json", if query.is_empty() { "?" } else { "&" }));
        assert_eq!(names_in_json(&serde_json::from_slice(&json.body).unwrap()), expected, "{query}");
    }
    let by_time = get(program.address(), "/?sort=time");
    assert_eq!(names(by_time.text())[2..], ["file2", "Other", "file10"]);
    let newest = get(program.address(), "/?sort=time&order=desc");
    assert_eq!(names(newest.text())[2..], ["file10", "Other", "file2"]);
}

#[test]
fn json_listing_has_exact_form() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    let response = get(program.address(), "/sub/?format=json");
    assert_eq!((response.status, response.header("Content-Type")), (200, Some("application/json")));
    assert_eq!(
        response.text(),
        "{\"path\":\"/sub/\",\"entries\":[\n\
         {\"name\":\"inside\",\"href\":\"./inside\",\"type\":\"file\",\"size\":0,\"modified\":\"1970-01-01T00:00:00Z\"}\n\
         ],\"complete\":true,\"unservable\":0}\n"
    );
    let empty = get(program.address(), "/empty/?format=json");
    assert_eq!(empty.text(), "{\"path\":\"/empty/\",\"entries\":[\n],\"complete\":true,\"unservable\":0}\n");
    // The query of a listing does not affect an index file or any other file.
    fs::write(directory.path().join("empty/index.html"), "index").unwrap();
    assert_eq!(get(program.address(), "/empty/?format=json").text(), "index");
    assert_eq!(get(program.address(), "/file2?format=json").body.len(), 3000);
}

// R9110-9.3.2
#[test]
fn head_response_of_listing_equals_get_response() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    for target in ["/", "/sub/", "/?sort=time&order=desc", "/?format=json", "/nothing"] {
        let (got, head) = (get(program.address(), target), fetch(program.address(), "HEAD", target, ""));
        assert_eq!(got.undated_head(), head.undated_head(), "{target}");
        assert_eq!((got.content_length(), head.body.len()), (Some(got.body.len()), 0), "{target}");
    }
}

// A listing has no validator, and caches must revalidate it.
#[test]
fn listing_is_never_stale() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    for target in ["/sub/", "/sub/?format=json"] {
        let first = get(program.address(), target);
        assert_eq!(first.header("Cache-Control"), Some("no-cache"));
        assert_eq!((first.header("ETag"), first.header("Last-Modified")), (None, None));
        // This does not change the directory itself.
        let bytes = first.body.len();
        write(&directory.path().join("sub/inside"), bytes, 9);
        let since = "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\nIf-None-Match: \"a\"\r\n";
        let second = fetch(program.address(), "GET", target, since);
        assert_eq!(second.status, 200);
        assert_ne!(second.body, first.body);
    }
}

// V17: every built-in page has the same security headers and the same form.
#[test]
fn built_in_pages_have_one_form_and_load_nothing() {
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
        let policy = response.header("Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(policy.contains("; form-action 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(response.header("X-Content-Type-Options"), Some("nosniff"), "{request}");
        let page = response.text();
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">\n") && page.ends_with("</html>\n"), "{page}");
        assert_eq!((page.matches("<title>").count(), page.matches("<h1>").count()), (1, 1), "{page}");
        // Addresses are relative, and what looks like one in a picture is the name of its format.
        let page = page.replace("'http://www.w3.org/2000/svg'", "").replace("url(\"data:", "");
        for forbidden in ["<link rel=\"style", " src=", "http:", "https:", "url(", "@import", " style=", " onclick="] {
            assert!(!page.contains(forbidden), "{forbidden}: {page}");
        }
        assert_eq!(page.matches("<script>").count(), usize::from(status == 200), "only a listing has one: {page}");
        if status >= 400 {
            assert_eq!(page.matches("<p>").count(), 2, "one sentence and the link home: {page}");
            assert_eq!(page.matches("<a href=\"").count(), 1, "{page}");
            assert!(page.len() < 2048, "{} bytes", page.len());
        }
    }
}

// R1945-9.4b
#[test]
fn error_page_is_one_sentence_for_a_visitor_and_a_link_home() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    for (request, status, sentence, home) in [
        ("GET /nothing HTTP/1.0\r\n\r\n", "404 Not Found", "There is no file at this address.", "./"),
        ("GET /a/b/c?d=/e/ HTTP/1.0\r\n\r\n", "404 Not Found", "There is no file at this address.", "./../../"),
        (
            "PUT /sub/x HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
            "405 Method Not Allowed",
            "PUT is not allowed here; files can only be read.",
            "./../",
        ),
        (
            "GET /file2 HTTP/1.0\r\nRange: bytes=9000-\r\n\r\n",
            "416 Range Not Satisfiable",
            "The requested range is outside the file; request the whole file, or a range inside it.",
            "./",
        ),
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "An HTTP/1.1 request must have a Host header.", "/"),
    ] {
        let page = exchange(program.address(), request.as_bytes());
        let body = format!(
            "<main>\n<h1>{status}</h1>\n<p>{sentence}</p>\n<p><a href=\"{home}\">Go to the home page</a></p>\n</main>"
        );
        assert!(page.text().contains(&body), "{}", page.text());
        assert!(page.text().contains(&format!("<title>{status}</title>")), "{}", page.text());
    }
}

// The listing of a large directory takes a worker a long time, and pipelined requests for it take no time to send. They
// hold half of the workers, and each turn ends after one of them.
#[test]
fn pipelined_requests_for_long_listings_delay_no_small_file() {
    let directory = directory();
    let many = directory.path().join("many");
    fs::create_dir(&many).unwrap();
    (0..10_000).for_each(|n| drop(File::create(many.join(format!("name-{n}"))).unwrap()));
    (0..9).for_each(|n| write(&directory.path().join(format!("small{n}")), 100, 0));
    let program = Program::start(directory.path(), &["--log-format", "off"]);
    let requests = b"HEAD /many/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".repeat(100);
    let mut peers: Vec<_> = (0..32).map(|_| send(program.address(), &requests)).collect();
    let time = |n| {
        let began = Instant::now();
        assert_eq!(get(program.address(), &format!("/small{n}")).status, 200);
        began.elapsed()
    };
    for what in ["files that are read", "cached files"] {
        let mut times: Vec<_> = (0..9).map(time).collect();
        times.sort_unstable();
        // The median is below a millisecond. It was seconds when a turn lasted for 16 of these responses.
        assert!(times[4] < Duration::from_millis(500), "{what}: {times:?}");
    }
    let answered = peers.iter_mut().map(|peer| peer.read(&mut [0; 17]).unwrap()).filter(|n| *n > 0).count();
    assert_eq!(answered, 32, "nobody starves");
}
