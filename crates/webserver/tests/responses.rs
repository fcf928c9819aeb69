//! The headers of responses of every kind: which are present, which are absent, and that they agree with each other.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_core::header;
use http_server::{Request, Response};
use tempfile::TempDir;

use support::{EmbeddedServer, Program, ReceivedResponse, exchange, fetch, get, keep_alive, read_response, send};

/// `Sun, 06 Nov 1994 08:49:37 GMT`
const MODIFIED: u64 = 784_111_777;

fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, content) in
        [("a.txt", &b"text"[..]), ("README", b"bytes"), ("sub/index.html", b"<p>index"), ("list/b", b"")]
    {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(MODIFIED)).unwrap();
    }
    directory
}

/// Each kind of response: target, header and status for GET.
const KINDS: [(&str, &str, u16); 11] = [
    ("/a.txt", "", 200),
    ("/README", "", 200),
    ("/sub/", "", 200),
    ("/list/", "", 200),
    ("/sub", "", 301),
    ("/a.txt", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304),
    ("/%zz", "", 400),
    ("/missing", "", 404),
    ("/a.txt", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 412),
    ("/a.txt", "Transfer-Encoding: chunked\r\n", 400),
    ("/a.txt", "Host: a\r\nHost: b\r\n", 400),
];

fn names(response: &ReceivedResponse) -> Vec<&str> {
    response.head.split("\r\n").skip(1).filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect()
}

// R1945-10.1, R9110-9.1a, R9110-9.1b, R9110-10.2.1, R1945-D.1
#[test]
fn allow_lists_exactly_the_supported_methods() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    for target in ["/a.txt", "/sub/", "/list/", "/"] {
        let options = fetch(program.address(), "OPTIONS", target, "");
        let allowed: Vec<&str> = options.header("Allow").unwrap().split(", ").collect();
        assert!(allowed.contains(&"GET") && allowed.contains(&"HEAD"), "{allowed:?}");
        for method in "GET HEAD POST PUT DELETE OPTIONS TRACE PATCH LINK UNLINK".split(' ') {
            let response = fetch(program.address(), method, target, "Content-Length: 0\r\n");
            let expected = if allowed.contains(&method) { 200 } else { 405 };
            assert_eq!(response.status, expected, "{method} {target}");
            if method != "GET" && method != "HEAD" {
                assert_eq!(response.header("Allow"), options.header("Allow"), "{method} {target}");
            }
        }
    }
}

// D16, R9110-13.2.1, R9110-13.2.2: every set of faults, and which of them decides the status.
#[test]
fn first_fault_in_order_decides_status() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    let statuses = [400, 501, 417, 404, 412, 416, 200];
    for set in 0..1_u32 << 6 {
        let either = |fault: u32, with, without| if set >> fault & 1 == 1 { with } else { without };
        let request = format!(
            "{} {} HTTP/1.1\r\n{}{}{}Host: a\r\nConnection: close\r\n\r\n",
            either(1, "BREW", "GET"),
            either(0, "/%zz", either(3, "/missing", "/a.txt")),
            either(5, "Range: bytes=9-\r\n", ""),
            either(4, "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", ""),
            either(2, "Expect: tea\r\n", ""),
        );
        let first = (set | 1 << 6).trailing_zeros() as usize;
        assert_eq!(exchange(program.address(), request.as_bytes()).status, statuses[first], "{request:?}");
    }
}

// R1945-7.2.1, R1945-10.5, R1945-10.6, R9110-9.3.2: only a body has a type, and HEAD has the headers of GET.
#[test]
fn content_type_comes_with_every_body() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    for (target, header, status) in KINDS {
        let got = fetch(program.address(), "GET", target, header);
        assert_eq!(got.status, status, "{target} {header}");
        let (has_body, has_type) = (!got.body.is_empty(), got.header("Content-Type").is_some());
        assert_eq!((has_body, has_type), (status != 304, status != 304), "{target} {header}");
        assert!(got.header("Date").is_some(), "{target} {header}");
        let head = fetch(program.address(), "HEAD", target, header);
        assert_eq!((head.status, names(&head)), (got.status, names(&got)), "{target} {header}");
        for name in names(&got).into_iter().filter(|name| *name != "Date") {
            assert_eq!(head.header(name), got.header(name), "{target} {header}");
        }
    }
}

// R1945-9.3d, R9110-15.4.5, R9110-8.6a
#[test]
fn not_modified_has_the_headers_that_a_cache_needs() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    for target in ["/a.txt", "/README", "/sub/"] {
        let complete = get(program.address(), target);
        let since = format!("If-Modified-Since: {}\r\n", complete.header("Last-Modified").unwrap());
        for method in ["GET", "HEAD"] {
            let not_modified = fetch(program.address(), method, target, &since);
            assert_eq!((not_modified.status, not_modified.body.len()), (304, 0), "{method} {target}");
            for name in ["ETag", "Vary", "Cache-Control", "Expires", "Content-Location", "Last-Modified"] {
                assert_eq!(not_modified.header(name), complete.header(name), "{method} {target}");
            }
            assert!(not_modified.header("Date").is_some() && not_modified.header("Connection").is_some());
            let others = names(&not_modified).into_iter().filter(|name| {
                !["Date", "Connection", "ETag", "Vary", "Cache-Control", "Expires", "Content-Location", "Last-Modified"]
                    .contains(name)
            });
            assert_eq!(others.count(), 0, "{}", not_modified.head);
        }
    }
}

// R1945-3.7, R1945-10.14, R1945-12.4
#[test]
fn server_header_is_sent_only_by_a_handler() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    for (target, header, _) in KINDS {
        let response = fetch(program.address(), "GET", target, header);
        assert!(!response.head.to_ascii_lowercase().contains("server"), "{}", response.head);
    }
    let named = |request: &Request<'_>| Response::text(request.path()).header(header::SERVER, "mine/1");
    let server = EmbeddedServer::start(|server| server.threads(1), named);
    assert_eq!(get(server.address(), "/").header("Server"), Some("mine/1"));
    server.finish();
}

// R1945-7.1, R1945-10.2, R1945-10.12, R1945-D.2.1, R9110-7.8
#[test]
fn irrelevant_request_headers_change_nothing() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    for target in ["/a.txt", "/list/", "/sub", "/missing"] {
        let plain = get(program.address(), target);
        for field in [
            "X-Unheard-Of: of",
            "Pragma: no-cache",
            "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Authorization: nonsense",
            "Accept: image/png",
            "Accept-Charset: iso-8859-1;q=0",
            "Accept-Encoding: identity;q=0",
            "Accept-Language: x",
            "Upgrade: h2c",
            "From: nobody@example.org",
            "Referer: /",
        ] {
            let response = fetch(program.address(), "GET", target, &format!("{field}\r\n"));
            assert_eq!((response.status, names(&response)), (plain.status, names(&plain)), "{target} {field}");
            assert!(response.body == plain.body, "{target} {field}");
        }
    }
}

/// Every path below a directory, with its content and modification time.
fn tree(directory: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let modified = path.metadata().unwrap().modified().unwrap();
        if path.is_dir() {
            found.extend(tree(&path));
            found.insert(path, (modified, Vec::new()));
        } else {
            let content = fs::read(&path).unwrap();
            found.insert(path, (modified, content));
        }
    }
    found
}

// R1945-12.2, V35: not even with methods other than GET and HEAD.
#[test]
fn v35_no_request_changes_a_file() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    let before = tree(directory.path());
    assert_eq!(before.len(), 6);
    for method in "GET HEAD OPTIONS POST PUT DELETE PATCH LINK UNLINK MOVE".split(' ') {
        for (target, header, _) in KINDS {
            let header = header.replace("Transfer-Encoding", "X");
            let request = format!("{method} {target} HTTP/1.0\r\n{header}Content-Length: 3\r\n\r\nnew");
            let status = exchange(program.address(), request.as_bytes()).status;
            assert!((200..600).contains(&status), "{request}");
        }
    }
    program.finish();
    assert!(tree(directory.path()) == before);
}

// R2068-19.7.1d: only with the token, and in whole seconds.
#[test]
fn kept_connection_says_how_long_it_may_be_idle() {
    let directory = directory();
    for (options, timeout) in [
        (&[][..] as &[&str], Some("timeout=75")),
        (&["--idle-timeout", "2.9"], Some("timeout=2")),
        (&["--idle-timeout", "0.5"], None),
        (&["--no-keep-alive"], None),
    ] {
        let program = Program::start(directory.path(), options);
        for target in ["/a.txt", "/missing"] {
            let kept = read_response(&mut send(program.address(), &keep_alive(target)));
            assert_eq!(kept.header("Keep-Alive"), timeout, "{options:?}");
            assert_eq!(kept.keeps_alive(), !options.contains(&"--no-keep-alive"));
            assert_eq!(get(program.address(), target).header("Keep-Alive"), None);
        }
    }
}
