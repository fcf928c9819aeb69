//! The options of a site: index files, fallback, error pages, headers, media types, dotfiles and symlinks.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use tempfile::TempDir;

use support::{Browser, Program, ReceivedResponse, exchange, fetch, get, output_of, wait_until};

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory
}

fn status_and_text(response: &ReceivedResponse) -> (u16, &str) {
    (response.status, response.text())
}

#[test]
fn index_files_are_tried_in_order() {
    let directory = directory(&[("a/one", "one"), ("a/two", "two"), ("b/two", "two"), ("c/index.html", "default")]);
    fs::create_dir(directory.path().join("b/one")).unwrap();
    let program = Program::start(directory.path(), &["--index", "one", "--index", "two", "--no-listing"]);
    assert_eq!(status_and_text(&get(program.address(), "/a/")), (200, "one"));
    assert_eq!(status_and_text(&get(program.address(), "/b/")), (200, "two"), "a directory is not an index file");
    assert_eq!(get(program.address(), "/c/").status, 403, "the option replaces the default");
}

#[test]
fn earlier_index_file_is_served_within_a_second_after_it_appears() {
    let directory = directory(&[("two", "two")]);
    let program = Program::start(directory.path(), &["--index", "one", "--index", "two"]);
    std::thread::sleep(Duration::from_millis(3100)); // settled, so that it is cached
    for _ in 0..2 {
        assert_eq!(get(program.address(), "/").text(), "two");
    }
    fs::write(directory.path().join("one"), "one").unwrap();
    wait_until("the other index file is served", || get(program.address(), "/").text() == "one");
    fs::remove_file(directory.path().join("one")).unwrap();
    assert_eq!(get(program.address(), "/").text(), "two", "a removed file is not served any longer");
}

#[test]
fn fallback_is_served_where_a_browser_opens_a_missing_page_only() {
    let directory = directory(&[("app.html", "the app"), ("there.js", "js"), ("sub/x", "x")]);
    let program = Program::start(directory.path(), &["--fallback", "/app.html", "--no-listing"]);
    let html = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n";
    let navigate = "Accept: */*\r\nSec-Fetch-Mode: navigate\r\n";
    for (target, headers, expected) in [
        ("/users/7", html, (200, true)),
        ("/users/7", navigate, (200, true)),
        ("/users/7?tab=a", html, (200, true)),
        ("/users/7/", html, (200, true)),
        ("/users/john.doe", html, (200, true)),
        ("/v1.2", "Accept: TEXT/HTML ; q=0.1\r\n", (200, true)),
        ("/old.html", html, (200, true)),
        ("/users/7", "", (404, false)),
        ("/users/7", "Accept: */*\r\n", (404, false)),
        ("/users/7", "Accept: application/json\r\n", (404, false)),
        ("/users/7", "Accept: application/json\r\nSec-Fetch-Mode: cors\r\n", (404, false)),
        ("/users/7", "Accept: text/html;q=0, image/png\r\n", (404, false)),
        // Never for an asset, although a browser opens it.
        ("/missing.js", html, (404, false)),
        ("/missing.PNG", navigate, (404, false)),
        ("/assets/app.css", html, (404, false)),
        ("/data.json", html, (404, false)),
        ("/setup.exe", html, (404, false)),
        ("/missing.js", "Accept: */*\r\n", (404, false)),
        ("/there.js", html, (200, false)),
        ("/sub/", html, (403, false)),
    ] {
        for method in ["GET", "HEAD"] {
            let response = fetch(program.address(), method, target, headers);
            let is_app = response.header("ETag").is_some() && response.content_length() == Some("the app".len());
            assert_eq!((response.status, is_app), expected, "{method} {target} {headers}");
            // R9110-12.5.5: if these have made the choice, Vary tells caches. Accept-Encoding may choose among files.
            let is_decided = ["/missing", "/assets/", "/data", "/setup", "/there", "/sub/"];
            let vary = |name: &str| response.head.contains(&format!("\r\nVary: {name}\r\n"));
            assert_eq!(
                (vary("Accept, Sec-Fetch-Mode"), vary("Accept-Encoding")),
                (!is_decided.iter().any(|path| target.starts_with(path)), response.status == 200),
                "{target}"
            );
        }
    }
    let response = fetch(program.address(), "GET", "/users/7", html);
    assert_eq!(response.header("Content-Type"), Some("text/html; charset=utf-8"));
    let tag = response.header("ETag").unwrap();
    let again = fetch(program.address(), "GET", "/users/8", &format!("{html}If-None-Match: {tag}\r\n"));
    assert!(again.status == 304 && again.head.contains("\r\nVary: Accept, Sec-Fetch-Mode\r\n"), "{}", again.head);
    let part = fetch(program.address(), "GET", "/users/9", &format!("{html}Range: bytes=4-\r\n"));
    assert_eq!(status_and_text(&part), (206, "app"));
    assert_eq!(exchange(program.address(), b"DELETE /users/7 HTTP/1.0\r\n\r\n").status, 405);
}

// A single-page application in a single file. It cannot be another one.
#[test]
fn file_that_is_served_alone_may_be_the_fallback() {
    let directory = directory(&[("app.html", "the app"), ("other.html", "another")]);
    let root = directory.path().join("app.html");
    let program = Program::start(&root, &["--fallback", "app.html"]);
    for (target, headers, status) in [
        ("/app.html", "", 200),
        ("/", "Accept: text/html\r\n", 302),
        ("/users/7", "Accept: text/html\r\n", 200),
        ("/other.html", "Accept: text/html\r\n", 200),
        ("/users/7", "", 404),
        ("/other.js", "Accept: text/html\r\n", 404),
    ] {
        let response = fetch(program.address(), "GET", target, headers);
        assert_eq!((response.status, response.text() == "the app"), (status, status == 200), "{target} {headers}");
    }
    let refused = output_of(&["--port", "0", "--fallback", "other.html", root.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
}

// What a browser itself sends for an address, a script and `fetch`.
#[test]
fn browser_gets_the_fallback_for_an_address_and_for_nothing_else() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = directory(&[("app.html", "<!doctype html><title>the app</title>")]);
    let program = Program::start(directory.path(), &["--fallback", "app.html"]);
    browser.open(&format!("http://{}/users/7", program.address()));
    assert_eq!(browser.evaluate("document.title"), "the app");
    let script = "['/missing.js', '/users/8', '/api/x'].map(path => { const request = new XMLHttpRequest(); \
        request.open('GET', path, false); request.send(); return request.status })";
    assert_eq!(browser.evaluate(script), serde_json::json!([404, 404, 404]));
}

#[test]
fn error_pages_replace_built_in_pages() {
    let directory = directory(&[("404.html", "not here"), ("all.txt", "refused"), ("empty/x", "")]);
    let options = ["--error-page", "404=/404.html", "--error-page", "405=all.txt", "--error-page", "416=all.txt"];
    let more = ["--error-page", "400=all.txt", "--error-page", "403=all.txt", "--no-listing"];
    let program = Program::start(directory.path(), &[&options[..], &more].concat());
    let missing = get(program.address(), "/none");
    assert_eq!(status_and_text(&missing), (404, "not here"));
    assert_eq!(missing.header("Content-Type"), Some("text/html; charset=utf-8"));
    for name in ["ETag", "Last-Modified", "Accept-Ranges"] {
        assert_eq!(missing.header(name), None, "{name} belongs to another resource");
    }
    let head = fetch(program.address(), "HEAD", "/none", "");
    assert_eq!((head.status, head.content_length()), (404, Some(8)));
    let refused = exchange(program.address(), b"DELETE / HTTP/1.0\r\n\r\n");
    assert_eq!(status_and_text(&refused), (405, "refused"));
    assert_eq!(refused.header("Allow"), Some("GET, HEAD, OPTIONS"), "the header that the status requires stays");
    let unsatisfiable = fetch(program.address(), "GET", "/all.txt", "Range: bytes=99-\r\n");
    assert_eq!(
        (status_and_text(&unsatisfiable), unsatisfiable.header("Content-Range")),
        ((416, "refused"), Some("bytes */7"))
    );
    assert_eq!(status_and_text(&exchange(program.address(), b"nonsense\r\n\r\n")), (400, "refused"));
    assert_eq!(status_and_text(&get(program.address(), "/empty/")), (403, "refused"));
    assert_eq!(status_and_text(&get(program.address(), "/404.html")), (200, "not here"));
    fs::remove_file(directory.path().join("404.html")).unwrap();
    let built_in = get(program.address(), "/none");
    assert!(built_in.status == 404 && built_in.text().contains("<h1>404 Not Found</h1>"), "{}", built_in.text());
}

#[test]
fn extra_headers_are_in_every_response() {
    let directory = directory(&[("a.txt", "text"), ("sub/x", "")]);
    let program = Program::start(
        directory.path(),
        &["--header", "X-One: 1", "--header", "x-two:  a, b ", "--cache-control", "no-store", "--header", "X-One: 2"],
    );
    let tag = get(program.address(), "/a.txt").header("ETag").unwrap().to_owned();
    for (request, status, is_file) in [
        ("GET /a.txt HTTP/1.0\r\n\r\n".to_owned(), 200, true),
        ("HEAD /a.txt HTTP/1.0\r\n\r\n".to_owned(), 200, true),
        ("GET /a.txt HTTP/1.0\r\nRange: bytes=1-\r\n\r\n".to_owned(), 206, true),
        (format!("GET /a.txt HTTP/1.0\r\nIf-None-Match: {tag}\r\n\r\n"), 304, true),
        ("GET /sub HTTP/1.0\r\n\r\n".to_owned(), 301, false),
        ("GET /sub/ HTTP/1.0\r\n\r\n".to_owned(), 200, false),
        ("GET /none HTTP/1.0\r\n\r\n".to_owned(), 404, false),
        ("OPTIONS / HTTP/1.0\r\n\r\n".to_owned(), 200, false),
        ("nonsense\r\n\r\n".to_owned(), 400, false),
    ] {
        let response = exchange(program.address(), request.as_bytes());
        assert_eq!(response.status, status, "{request}");
        assert!(
            response.head.contains("\r\nX-One: 1\r\n") && response.head.contains("\r\nX-One: 2\r\n"),
            "{}",
            response.head
        );
        assert_eq!(response.header("x-two"), Some("a, b"), "{request}");
        let is_typed = response.header("Content-Type").is_some();
        assert_eq!(response.header("X-Content-Type-Options"), is_typed.then_some("nosniff"), "{request}");
        let expected = if is_file { "no-store" } else { "no-cache" };
        assert_eq!(response.header("Cache-Control"), Some(expected), "{request}");
        assert!(!response.head.contains("Access-Control"), "{request}");
    }
    drop(program);
    let program = Program::start(directory.path(), &["--header", "X-Content-Type-Options: sniff"]);
    assert_eq!(get(program.address(), "/a.txt").header("X-Content-Type-Options"), Some("sniff"));
}

// The Fetch standard, "CORS protocol".
#[test]
fn cors_headers_are_sent_with_cors_option_only() {
    let directory = directory(&[("a.txt", "text")]);
    let program = Program::start(directory.path(), &["--cors"]);
    let origin = "Origin: https://a.example\r\n";
    for target in ["/a.txt", "/none", "/"] {
        let response = fetch(program.address(), "GET", target, origin);
        assert_eq!(response.header("Access-Control-Allow-Origin"), Some("*"), "{target}");
        assert_eq!(response.header("Access-Control-Expose-Headers"), Some("*"), "{target}");
        assert_eq!(response.header("Access-Control-Allow-Methods"), None, "{target}");
    }
    let preflight = "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: range, x-a\r\n";
    let response = fetch(program.address(), "OPTIONS", "/a.txt", &format!("{origin}{preflight}"));
    assert_eq!((response.status, response.header("Access-Control-Allow-Origin")), (200, Some("*")));
    assert_eq!(response.header("Access-Control-Allow-Methods"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(response.header("Access-Control-Allow-Headers"), Some("*, Authorization"));
    assert_eq!(response.header("Access-Control-Max-Age"), Some("86400"));
    drop(program);
    let program = Program::start(directory.path(), &[]);
    assert!(!fetch(program.address(), "OPTIONS", "/a.txt", preflight).head.contains("Access-Control"));
}

// A browser refuses a response that allows two origins.
#[test]
fn cors_option_does_not_repeat_header_of_the_header_option() {
    let directory = directory(&[("a.txt", "text")]);
    let program =
        Program::start(directory.path(), &["--cors", "--header", "Access-Control-Allow-Origin: https://a.example"]);
    for (method, target) in [("GET", "/a.txt"), ("GET", "/none"), ("GET", "/"), ("OPTIONS", "/a.txt")] {
        let response = fetch(program.address(), method, target, "");
        assert_eq!(response.head.matches("Access-Control-Allow-Origin").count(), 1, "{}", response.head);
        assert_eq!(response.header("Access-Control-Allow-Origin"), Some("https://a.example"), "{target}");
        assert_eq!(response.header("Access-Control-Expose-Headers"), Some("*"), "{target}");
    }
}

// R9110-12.5.5
#[test]
fn vary_of_the_header_option_is_added() {
    let directory = directory(&[("a.txt", "long text"), ("a.txt.gz", "short")]);
    let old = std::time::SystemTime::now() - Duration::from_secs(60);
    for name in ["a.txt", "a.txt.gz"] {
        fs::File::options().write(true).open(directory.path().join(name)).unwrap().set_modified(old).unwrap();
    }
    let program = Program::start(directory.path(), &["--header", "Vary: Origin"]);
    for headers in ["", "If-None-Match: *\r\n"] {
        let response = fetch(program.address(), "GET", "/a.txt", headers);
        let head = response.head;
        assert!(head.contains("\r\nVary: Accept-Encoding\r\n") && head.contains("\r\nVary: Origin\r\n"), "{head}");
    }
}

#[test]
fn media_types_and_charset_are_set_by_options() {
    let directory = directory(&[("a.gmi", "x"), ("a.html", "x"), ("a.css", "x"), ("main.css", "x"), ("LICENSE", "x")]);
    let options = "gmi=text/gemini; lang=en|main.css=text/main|.css=text/x|license=text/licence";
    let mut arguments: Vec<&str> = options.split('|').flat_map(|value| ["--type", value]).collect();
    arguments.extend(["--charset", "koi8-r"]);
    let program = Program::start(directory.path(), &arguments);
    for (path, expected) in [
        ("/a.gmi", "text/gemini; lang=en"),
        ("/a.html", "text/html; charset=koi8-r"),
        ("/a.css", "text/x"),
        ("/main.css", "text/main"), // a whole name wins over an extension
        ("/LICENSE", "text/licence"),
    ] {
        assert_eq!(get(program.address(), path).header("Content-Type"), Some(expected), "{path}");
    }
}

// V18, V7
#[test]
fn dotfiles_and_symlinks_are_served_with_their_options_only() {
    let outer = directory(&[("secret", "secret"), ("www/.hidden/x", "hidden"), ("www/.dot", "dot")]);
    let root = outer.path().join("www");
    symlink("../secret", root.join("link")).unwrap();
    symlink(outer.path().join("secret"), root.join("absolute")).unwrap();
    let statuses = |options: &[&str]| {
        let program = Program::start(&root, options);
        let listing = get(program.address(), "/");
        let statuses = ["/.hidden/x", "/.dot", "/link", "/absolute"].map(|path| get(program.address(), path).status);
        (statuses, listing.text().contains(">.dot<"), listing.text().contains(">link<"))
    };
    assert_eq!(statuses(&[]), ([404, 404, 403, 403], false, false));
    assert_eq!(statuses(&["--hidden"]), ([200, 200, 403, 403], true, false));
    assert_eq!(statuses(&["--follow-symlinks"]), ([404, 404, 200, 200], false, true));
}

#[test]
fn invalid_option_values_are_refused_at_startup() {
    let directory = directory(&[("a", "a"), ("sub/x", "")]);
    let path = directory.path().to_str().unwrap();
    for (option, value, status, message) in [
        ("--fallback", "none", 1, "\"none\": no such file below"),
        ("--fallback", "sub", 1, "\"sub\": no such file below"),
        ("--error-page", "404=none", 1, "\"none\": no such file below"),
        ("--error-page", "404=../../etc/passwd", 2, "below ROOT"),
        ("--fallback", "/../a", 2, "below ROOT"),
        ("--error-page", "200=a", 2, "expected a status from 400 to 599"),
        ("--header", "Content-Length: 3", 2, "is set by the server"),
        ("--header", "X", 2, "expected NAME: VALUE"),
        ("--type", "a", 2, "expected NAME=TYPE"),
        ("--charset", "a b", 2, "expected the name of a charset"),
        ("--cache-control", "a\nb", 2, "without control characters"),
    ] {
        let output = output_of(&["--port", "0", option, value, path]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{option} {value}: {stderr}");
        assert!(stderr.contains(message), "{option} {value}: {stderr}");
    }
}

// V7: the path to a file is checked once a second, not only the file.
#[test]
fn directory_is_not_served_after_it_becomes_symlink_out_of_root() {
    let outer = directory(&[("www/d/file", "file")]);
    let root = outer.path().join("www");
    let program = Program::start(&root, &[]);
    std::thread::sleep(Duration::from_millis(3100)); // settled, so that it is cached
    for _ in 0..2 {
        assert_eq!(status_and_text(&get(program.address(), "/d/file")), (200, "file"));
    }
    fs::rename(root.join("d"), outer.path().join("outside")).unwrap();
    symlink("../outside", root.join("d")).unwrap();
    wait_until("the symlink is noticed", || get(program.address(), "/d/file").status == 403);
}
