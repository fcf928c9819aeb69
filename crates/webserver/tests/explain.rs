//! `--explain`: its output agrees with what the server does.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use support::{Program, connect, output_of, read_to_end};

fn site() -> TempDir {
    let directory = TempDir::new().unwrap();
    for name in ["sub", "empty", ".git"] {
        fs::create_dir(directory.path().join(name)).unwrap();
    }
    for (name, content) in [
        ("a.css", "body { margin: 0; padding: 0 }"),
        ("sub/index.html", "index"),
        (".git/config", "x"),
        ("404.html", "no"),
    ] {
        fs::write(directory.path().join(name), content).unwrap();
    }
    fs::write(directory.path().join("a.css.gz"), b"\x1f\x8b            \x1e\0\0\0").unwrap();
    fs::write(directory.path().join("a.css.br"), "text").unwrap();
    // Old enough that entity tags are strong and the encoded file is used.
    let time = SystemTime::now() - Duration::from_secs(60);
    for name in ["a.css", "a.css.br", "a.css.gz", "sub/index.html"] {
        File::options().write(true).open(directory.path().join(name)).unwrap().set_modified(time).unwrap();
    }
    directory
}

fn explain(directory: &TempDir, options: &[&str], request: &str) -> String {
    let root = directory.path().to_str().unwrap();
    let output = output_of(&[options, &["--explain", request, root]].concat());
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stderr).unwrap()),
        (Some(0), String::new()),
        "{request}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The head without its Date.
fn undated(head: &str) -> String {
    head.lines().filter(|line| !line.starts_with("Date: ")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn explained_response_head_equals_sent_response_head() {
    let directory = site();
    let options = ["--error-page", "404=404.html", "--header", "X-A: b", "--no-listing"];
    let program = Program::start(directory.path(), &options);
    for (request, status) in [
        ("GET /a.css HTTP/1.0", "200"),
        ("HEAD /a.css HTTP/1.0", "200"),
        ("GET /a.css HTTP/1.0\\nAccept-Encoding: gzip", "200"),
        ("GET /a.css HTTP/1.0\\nRange: bytes=1-2", "206"),
        ("GET /a.css HTTP/1.0\\nRange: bytes=99-", "416"),
        ("GET /a.css HTTP/1.1\\nHost: a\\nIf-None-Match: *", "304"),
        ("GET /a.css HTTP/1.0\\nIf-Match: \"x\"", "412"),
        ("GET /a.css HTTP/1.1", "400"),
        ("GET /sub HTTP/1.0\\nConnection: keep-alive", "301"),
        ("GET /sub/ HTTP/1.0", "200"),
        ("GET /empty/ HTTP/1.0", "403"),
        ("GET /.git/config HTTP/1.0", "404"),
        ("GET /none HTTP/1.0", "404"),
        ("GET /%2f HTTP/1.0", "400"),
        ("GET /../a.css HTTP/1.0", "400"),
        ("OPTIONS * HTTP/1.0", "200"),
        ("DELETE /a.css HTTP/1.0", "405"),
        ("BREW /a.css HTTP/1.0", "501"),
        ("GET /a.css HTTP/2.0", "505"),
        ("POST /a.css HTTP/1.0\\nTransfer-Encoding: chunked", "400"),
    ] {
        let explained = explain(&directory, &[&options[..], &["-v"]].concat(), request);
        let (decisions, head) = explained.split_once("\n\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.0 {status} ")), "{request}: {explained}");
        let mut stream = connect(program.address());
        let bytes = format!("{}\r\n\r\n", request.replace("\\n", "\r\n"));
        stream.write_all(bytes.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let sent = String::from_utf8_lossy(&read_to_end(&mut stream).unwrap()).into_owned();
        let (sent, _) = sent.split_once("\r\n\r\n").unwrap();
        assert_eq!(undated(head), undated(sent), "{request}");
        // Each decision ends with its rule.
        for (n, line) in decisions.lines().enumerate() {
            assert!(line.trim_start().starts_with(&format!("{}. ", n + 1)) && line.ends_with(']'), "{line}");
        }
    }
}

#[test]
fn explanation_follows_options_and_form_of_request() {
    let directory = site();
    fs::write(directory.path().join("none.txt"), "").unwrap();
    fs::write(directory.path().join("talk.txt"), "HTTP/1.0 200 OK\r\nX-Not: a head\r\n\r\n").unwrap();
    let kept = "GET /a.css HTTP/1.0\\nConnection: keep-alive";
    for (request, options, expected, unexpected) in [
        (kept, &[][..], "\nConnection: keep-alive\n", "the connection closes"),
        (kept, &["--no-keep-alive"], "the connection closes", "Connection: keep-alive"),
        ("GET /a.css HTTP/1.0\r\nX: y\r\n\r\n", &[], "HTTP/1.0 200 OK", "HTTP/1.0 400"),
        ("/a.css", &[], "the request is GET /a.css HTTP/1.0\n", "HTTP/0.9"),
        ("a.css", &[], "the request is GET /a.css HTTP/1.0\n", "HTTP/0.9"),
        ("http://host/a.css", &[], "the request is GET /a.css HTTP/1.0\n", "HTTP/0.9"),
        ("/a.css\\nRange: bytes=1-2", &[], "HTTP/1.0 206 ", "HTTP/1.0 200"),
        ("/sub?x=/y HTTP", &[], "Location: ./sub/?x=/y%20HTTP\n", "HTTP/1.0 200"),
        ("/\u{e4} b%20c", &[], "GET /%C3%A4%20b%20c HTTP/1.0\n", "HTTP/1.0 400"),
        ("/empty/", &["--no-listing"], "is not listed", "failed"),
        ("/empty/?archive=zip", &[], "is not sent as such an archive", "failed"),
        ("GET /none.txt", &[], "(an HTTP/0.9 response has a body only)", "the request is empty"),
        ("GET /talk.txt", &[], "(an HTTP/0.9 response has a body only)", "X-Not"),
    ] {
        let explained = explain(&directory, options, request);
        assert!(explained.contains(expected) && !explained.contains(unexpected), "{request}: {explained}");
    }
}

#[test]
fn rules_are_shown_only_on_demand() {
    let directory = site();
    let is_rule = |word: &str| word.starts_with(['R', 'D']) && word.contains(|c: char| c.is_ascii_digit());
    let in_brackets = |line: &str| line.rsplit_once(" [").map(|(_, end)| end.trim_end_matches(']').to_owned());
    for request in ["/a.css", "/sub", "/.git/config", "/none", "GET /%2f HTTP/1.0", "POST / HTTP/1.0\\nX: y"] {
        let explain = |options: &[&str]| {
            let explained = explain(&directory, options, request);
            let (decisions, head) = explained.split_once("\n\n").unwrap();
            (decisions.to_owned(), undated(head))
        };
        let ((plain, plain_head), (verbose, head)) = (explain(&[]), explain(&["-v"]));
        assert_eq!((plain.lines().count(), plain_head), (verbose.lines().count(), head), "{request}");
        for (plain, verbose) in plain.lines().zip(verbose.lines()) {
            let (behind, rules) = (in_brackets(plain), in_brackets(verbose).unwrap());
            assert!(verbose.starts_with(plain.split("  [").next().unwrap().trim_end()), "{plain}\n{verbose}");
            let options: Vec<&str> = rules.split(", ").filter(|word| word.starts_with("--")).collect();
            assert_eq!(behind.unwrap_or_default(), options.join(", "), "the options stay: {verbose}");
        }
        assert!(!plain.split([' ', '[', ']', ',']).any(is_rule), "{plain}");
        assert!(verbose.split([' ', '[', ']', ',']).any(is_rule), "{verbose}");
    }
}

#[test]
fn explanation_lists_decisions_in_order_with_their_rules() {
    let directory = site();
    for (request, options, expected) in [
        (
            "GET /x/../sub/ HTTP/1.1\\nHost: a",
            &[][..],
            &[
                "\"sub\" below ROOT",
                "index file, if it has one",
                "\"/sub/index.html\" is a file of length 5",
                "text/html",
                "is kept alive",
            ][..],
        ),
        (
            "GET /sub HTTP/1.0",
            &[],
            &["\"/sub\" is a directory", "redirected to its path with a slash", "closes: the peer does not want"],
        ),
        ("GET /empty/ HTTP/1.0", &[], &["index.html\" does not exist", "\"/empty\" is a directory", "is listed"]),
        ("GET /empty/ HTTP/1.0", &["--no-listing"], &["is not listed"]),
        ("GET /empty/?archive=tar HTTP/1.0", &[], &["is sent as an archive", "application/x-tar"]),
        ("GET /empty/?archive=tar HTTP/1.0", &["--no-archive"], &["is not sent as such an archive", "403"]),
        ("GET /.git/config HTTP/1.0", &[], &["a name that begins with a dot is not served", "--hidden"]),
        ("GET /.git/config HTTP/1.0", &["--hidden"], &["\"/.git/config\" is a file of length 1"]),
        (
            "GET /users/7 HTTP/1.0\\nAccept: text/html",
            &["--fallback", "404.html"],
            &["does not exist", "a page is opened: the fallback \"404.html\" is served"],
        ),
        (
            "GET /users/7 HTTP/1.0\\nAccept: */*",
            &["--fallback", "404.html"],
            &["does not exist", "no page is opened: Accept does not ask for text/html", "--fallback", "HTTP/1.0 404"],
        ),
        (
            "GET /a.js HTTP/1.0\\nAccept: text/html",
            &["--fallback", "404.html"],
            &["does not exist", "the name is that of an asset, which the fallback never replaces", "HTTP/1.0 404"],
        ),
        (
            "GET /404 HTTP/1.0",
            &["--pretty-urls"],
            &["\"/404\" does not exist", "may be a page without its .html", "--pretty-urls", "\"/404.html\" is a file"],
        ),
        (
            "GET /a.css HTTP/1.0\\nHost: EVIL.example:1",
            &["--allowed-host", "localhost"],
            &["the host \"EVIL.example\" is not among the allowed ones", "--allowed-host", "HTTP/1.0 421 Misdirected"],
        ),
        (
            "GET http://localhost:1/a.css HTTP/1.0",
            &["--allowed-host", "localhost"],
            &["the host \"localhost\" is allowed", "\"/a.css\" is a file"],
        ),
        (
            "GET /sub/ HTTP/1.0",
            &["--cache-control", "*.html=max-age=9"],
            &["the rule for *.html sets Cache-Control", "--cache-control"],
        ),
        ("GET /a.css HTTP/1.0", &[], &["no rule sets Cache-Control", "--cache-control"]),
        (
            "GET /a.css HTTP/1.0\\nAccept-Encoding: br",
            &[],
            &["precompressed files exist (gzip), but the client accepts none"],
        ),
        (
            "GET /a.css HTTP/1.0\\nAccept-Encoding: gzip",
            &[],
            &[
                "the precompressed file for br is not used: it is text",
                "precompressed files exist (gzip); the client prefers gzip",
            ],
        ),
        ("GET /a.css HTTP/1.0", &["--type", "css=text/x"], &["the media type is text/x", "--type"]),
        ("GET /a.css HTTP/1.0\\nIf-Modified-Since: x\\nIf-Match: \"y\"", &[], &["If-Match first, do not hold: 412"]),
        ("GET /a.css HTTP/1.1", &[], &["must have a Host header", "R9112-3.2a", "closes: the request was rejected"]),
        ("GET /a.css", &[], &["HTTP/0.9", "\"/a.css\" is a file", "(an HTTP/0.9 response has a body only)"]),
    ] {
        let explained = explain(&directory, &[options, &["--verbose"]].concat(), request);
        let mut rest = &*explained;
        for part in expected {
            let at = rest.find(part).unwrap_or_else(|| panic!("{request}: no {part:?} in order in\n{explained}"));
            rest = &rest[at + part.len()..];
        }
    }
    // Control characters of the request do not reach the terminal.
    let odd = explain(&directory, &[], "GET /\u{1b}[2J%1b HTTP/1.0\\nX: \u{1b}[2J");
    assert!(odd.bytes().all(|c| matches!(c, b' '..=b'~' | b'\n')), "{odd:?}");
}
