//! Serving a directory over real sockets: files, listings, redirects and errors.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_core::{Date, Status};
use http_files::Files;
use http_server::{ErrorContext, Handler, Request, Response};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};
use tempfile::TempDir;

use support::{
    EmbeddedServer, Program, connect, exchange, fetch, get, keep_alive, parse_responses, read_response, read_to_end,
    send, wait_until,
};

/// A directory to serve, and a secret outside of it.
struct Site {
    outer: TempDir,
}

impl Site {
    fn new() -> Site {
        let outer = TempDir::new().unwrap();
        fs::create_dir(outer.path().join("www")).unwrap();
        fs::write(outer.path().join("secret"), "secret").unwrap();
        Site { outer }
    }

    fn root(&self) -> PathBuf {
        self.outer.path().join("www")
    }

    /// Writes a file and creates its directories.
    fn write(&self, name: impl AsRef<OsStr>, content: &[u8]) -> PathBuf {
        let path = self.root().join(Path::new(name.as_ref()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn serve(&self, options: &[&str]) -> Program {
        Program::start(&self.root(), options)
    }
}

/// Content with a period that is not a power of two, so that a piece from a wrong offset is noticed.
fn content(bytes: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..251).collect();
    let mut content = period.repeat(bytes / period.len() + 1);
    content.truncate(bytes);
    content
}

/// A path in which every byte that may be encoded is encoded.
fn path_of(name: &[u8]) -> String {
    let mut path = String::from("/");
    for &byte in name {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => path.push(char::from(byte)),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

// R1945-8.1, R1945-8.2a, R1945-10.5, R9110-9.1a, R9110-9.3.7
#[test]
fn get_head_and_options_get_their_responses() {
    let site = Site::new();
    let path = site.write("hello.html", b"<p>Hello</p>\n");
    // A file that has just changed gets its Last-Modified a second later, perhaps between the two responses.
    File::options().write(true).open(&path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    let program = site.serve(&[]);
    let address = program.address();
    let got = get(address, "/hello.html");
    assert_eq!((got.status, got.body.as_slice()), (200, &b"<p>Hello</p>\n"[..]));
    assert_eq!(got.header("Content-Type"), Some("text/html; charset=utf-8"));
    let head = fetch(address, "HEAD", "/hello.html", "");
    assert_eq!(head.undated_head(), got.undated_head(), "R9110-9.3.2");
    for target in ["/hello.html", "*", "/missing"] {
        let options = fetch(address, "OPTIONS", target, "");
        assert_eq!((options.status, options.header("Allow")), (200, Some("GET, HEAD, OPTIONS")), "{target}");
        assert!(options.body.is_empty());
    }
    let messages = program.finish();
    assert!(messages.contains("\"GET /hello.html HTTP/1.0\" 200 13\n"), "{messages}");
    assert!(messages.contains("\"HEAD /hello.html HTTP/1.0\" 200 0\n"), "{messages}");
}

// R1945-8.1, R1945-3.3a, R1945-10.9a to R1945-10.9c, D5
#[test]
fn unchanged_file_is_not_sent_again() {
    let site = Site::new();
    let path = site.write("a.txt", b"text");
    let modified = UNIX_EPOCH + Duration::from_secs(784_111_777);
    File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let program = site.serve(&[]);
    let address = program.address();
    let got = get(address, "/a.txt");
    assert_eq!(got.header("Last-Modified"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    for (since, status) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 304),
        ("Mon, 07 Nov 1994 08:49:37 GMT", 304),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 304),
        ("Sun Nov  6 08:49:37 1994", 304),
        ("Sun, 06 Nov 1994 08:49:36 GMT", 200),
        ("yesterday", 200),
    ] {
        for method in ["GET", "HEAD"] {
            let response = fetch(address, method, "/a.txt", &format!("If-Modified-Since: {since}\r\n"));
            assert_eq!(response.status, status, "{method} {since}");
            assert!(
                status == 200 || (response.content_length().is_none() && response.header("Content-Type").is_none())
            );
            assert_eq!(response.header("Last-Modified"), got.header("Last-Modified"));
        }
    }
}

#[test]
fn errors_have_a_page() {
    let site = Site::new();
    site.write("a.txt", b"text");
    let program = site.serve(&[]);
    for (request, status) in [
        ("GET /missing HTTP/1.0\r\n\r\n", 404),
        ("GET /a.txt/ HTTP/1.0\r\n\r\n", 404),
        ("GET /a.txt/b HTTP/1.0\r\n\r\n", 404),
        ("DELETE /a.txt HTTP/1.0\r\n\r\n", 405),
        ("POST /a.txt HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", 405),
        ("PUT /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 405),
        ("TRACE / HTTP/1.0\r\n\r\n", 405),
        ("CONNECT a:80 HTTP/1.0\r\n\r\n", 405),
        ("BREW / HTTP/1.0\r\n\r\n", 501),
        ("get / HTTP/1.0\r\n\r\n", 501),
        ("GET / HTTP/2.0\r\n\r\n", 505),
        ("GET nowhere HTTP/1.0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nConnection: close\r\n\r\n", 417),
    ] {
        let response = exchange(program.address(), request.as_bytes());
        assert_eq!(response.status, status, "{request}");
        assert_eq!(response.header("Content-Type"), Some("text/html; charset=utf-8"), "{request}");
        assert!(response.text().contains(&format!("<title>{status} ")), "{request}: {}", response.text());
        assert_eq!(response.header("Allow").is_some(), status == 405, "{request}");
    }
    assert_eq!(fs::read(site.root().join("a.txt")).unwrap(), b"text");
}

// R1945-10.11, R9110-10.2.2: Location contains no host, which the client could have chosen.
#[test]
fn directory_without_slash_is_redirected() {
    let site = Site::new();
    site.write("sub/index.html", b"index of sub");
    site.write("a b/c%d/file", b"file");
    site.write("javascript:x/file", b"file");
    let program = site.serve(&[]);
    for (target, location) in [
        ("/sub", "./sub/"),
        ("/sub?a=b&c=//d", "./sub/?a=b&c=//d"),
        ("/a%20b", "./a%20b/"),
        ("/a%20b/c%25d?q", "./c%25d/?q"),
        ("/x/../sub", "./sub/"),
        ("//sub", "./sub/"),
        ("/javascript:x", "./javascript%3Ax/"),
        ("http://elsewhere.example/sub", "./sub/"),
    ] {
        let response = fetch(program.address(), "GET", target, "Host: other.example\r\n");
        assert_eq!((response.status, response.header("Location")), (301, Some(location)), "{target}");
        let link = format!("<a href=\"{}\">", location.replace('&', "&amp;"));
        assert!(response.text().contains(&link), "R1945-9.3c: {target}");
    }
    assert_eq!(get(program.address(), "/sub/").body, b"index of sub");
    assert_eq!(get(program.address(), "/sub/?query").body, b"index of sub");
}

// R9110-10.2.2
#[test]
fn v15_no_redirect_leads_to_another_host() {
    let site = Site::new();
    site.write("evil.example/file", b"file");
    site.write("\\evil.example/file", b"file");
    site.write("sub/evil.example/file", b"file");
    let program = site.serve(&[]);
    for target in [
        "//evil.example/%2e%2e",
        "//evil.example",
        "///evil.example",
        "/%2e//evil.example",
        "/sub/..//evil.example",
        "//sub/../evil.example",
        "/%5Cevil.example",
        "/sub//evil.example",
        "http://a//evil.example",
        "http://a///evil.example",
    ] {
        let response = get(program.address(), target);
        assert!((200..500).contains(&response.status), "{target}: {}", response.status);
        if let Some(location) = response.header("Location") {
            let segments = location.strip_prefix("./").map(|rest| rest.split(['/', '\\']).collect::<Vec<_>>());
            let Some([segment, ""]) = segments.as_deref() else { panic!("{target}: {location}") };
            assert!(!segment.is_empty(), "{target}: {location}");
        }
    }
}

#[test]
fn v14_no_header_is_split() {
    let site = Site::new();
    site.write("sub/file", b"file");
    let program = site.serve(&[]);
    for target in ["/sub%0d%0aSet-Cookie:%20a", "/sub%0aSet-Cookie:%20a", "/%0d%0a%0d%0abody", "/sub%00"] {
        assert_eq!(get(program.address(), target).status, 400, "{target}");
    }
    let response = get(program.address(), "/sub?%0d%0aSet-Cookie:%20a");
    assert_eq!(response.header("Location"), Some("./sub/?%0d%0aSet-Cookie:%20a"));
    assert_eq!(response.header("Set-Cookie"), None);
}

#[test]
fn directory_shows_its_index_or_listing() {
    let site = Site::new();
    site.write("b.txt", b"");
    site.write("a.txt", b"");
    site.write("z/file", b"");
    site.write("with/index.html", b"the index");
    site.write("odd/index.html/file", b"");
    symlink("a.txt", site.root().join("inside")).unwrap();
    symlink("../secret", site.root().join("outside")).unwrap();
    let program = site.serve(&[]);
    let root = get(program.address(), "/");
    assert_eq!((root.status, root.header("Content-Type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(hrefs(root.text()), ["odd/", "with/", "z/", "a.txt", "b.txt", "inside"]);
    let index = get(program.address(), "/with/");
    assert_eq!((index.status, index.text()), (200, "the index"));
    assert_eq!(index.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(hrefs(get(program.address(), "/odd/").text()), ["../", "index.html/"]);
    assert_eq!(fetch(program.address(), "HEAD", "/", "").content_length(), Some(root.body.len()));
}

#[test]
fn no_listing_option_returns_403() {
    let site = Site::new();
    site.write("a.txt", b"text");
    site.write("with/index.html", b"the index");
    let program = site.serve(&["--no-listing", "--log-format", "json"]);
    let root = get(program.address(), "/");
    assert_eq!(root.status, 403);
    assert!(!root.text().contains("a.txt"));
    assert_eq!(get(program.address(), "/?archive=tar").status, 403);
    assert_eq!(get(program.address(), "/with/").status, 200);
    assert_eq!(get(program.address(), "/with").status, 301);
    assert_eq!(get(program.address(), "/a.txt").status, 200);
    let log = program.finish();
    assert!(log.contains("\"status\":403") && !log.contains("\"cause\""), "the owner wants it, nothing failed: {log}");
}

// Every listed name leads to its file.
#[test]
fn v17_listed_names_are_escaped_links_to_their_files() {
    let site = Site::new();
    let longest = [b'n'; 255];
    let names: [&[u8]; 25] = [
        b"plain.txt",
        b"two  spaces .txt",
        b" leading",
        b"quote\".txt",
        b"apostrophe'.txt",
        b"100%.txt",
        b"%2e",
        b"%2e%2e",
        b"a%20b.txt",
        b"a%00b",
        b"<img src=x onerror=alert(1)>\"&.txt",
        b"javascript:x",
        b"foo:bar",
        b"back\\slash",
        b"a?b",
        b"a#b",
        b"a&amp;b;c=d",
        b"+plus+",
        b"~tilde",
        b"file~",
        "gr\u{fc}\u{df}e \u{2713}.html".as_bytes(),
        b"\xff\xfe.bin",
        b"\xc0\xae\xc0\xae",
        b"\x80",
        &longest,
    ];
    for name in names {
        site.write(OsStr::from_bytes(name), name);
    }
    let program = site.serve(&[]);
    for name in names {
        let response = get(program.address(), &path_of(name));
        assert_eq!((response.status, response.body.as_slice()), (200, name), "{}", name.escape_ascii());
    }
    let page = get(program.address(), "/");
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    let hrefs = hrefs(page.text());
    assert_eq!(hrefs.len(), names.len());
    for href in hrefs {
        let path = &format!("/{}", href.trim_start_matches("./"));
        assert!(path.bytes().all(|c| c.is_ascii_alphanumeric() || b"/%-._~".contains(&c)), "{href}");
        let response = get(program.address(), path);
        assert!(response.status == 200 && names.contains(&response.body.as_slice()), "{href}: {}", response.status);
    }
    let text = page.text();
    assert!(!text.contains("<img") && text.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&amp;.txt"), "{text}");
    // Pages do not repeat the request target, not even escaped.
    for target in ["/%3Czebra%3E", "/%3Czebra%3E/", "/?%3Czebra%3E", "/zebra?a"] {
        assert!(!get(program.address(), target).text().contains("zebra"), "{target}");
    }
}

/// The links in the rows of a listing.
fn hrefs(page: &str) -> Vec<&str> {
    let rows = page.split("<tbody>").nth(1).unwrap().split("</tbody>").next().unwrap();
    rows.split(" href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn v17_directory_name_with_markup_is_escaped() {
    let site = Site::new();
    site.write("<b>&\"'/file", b"");
    let program = site.serve(&[]);
    let page = get(program.address(), "/%3Cb%3E&%22'/");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<title>Index of /&lt;b&gt;&amp;&quot;&#39;/</title>"), "{}", page.text());
    let redirect = get(program.address(), "/%3Cb%3E&%22'");
    assert_eq!(redirect.status, 301);
    assert!(!redirect.text().contains("<b>"));
}

// R1945-12.5b
#[test]
fn v18_dotfiles_are_neither_listed_nor_served() {
    let site = Site::new();
    for name in [".htpasswd", ".git/config", "sub/.env", "sub/.a/b", ".hidden/index.html"] {
        site.write(name, b"root:secret");
    }
    site.write("sub/shown", b"shown");
    site.write(".well-known/security.txt", b"Contact: us");
    site.write(".well-known/.htpasswd", b"root:secret");
    symlink(".git", site.root().join("...")).unwrap();
    let program = site.serve(&[]);
    for target in [
        "/.htpasswd",
        "/.git",
        "/.git/",
        "/.git/config",
        "/%2egit/config",
        "/%2Ehtpasswd",
        "/sub/.env",
        "/sub/.a/b",
        "/sub/../.git/config",
        "/.hidden/",
        "/.hidden/index.html",
        "/.../config",
        "/.well-known/.htpasswd",
        "/sub/.well-known/",
        "/.well-known2",
    ] {
        let response = get(program.address(), target);
        assert_eq!(response.status, 404, "{target}");
        assert!(!response.text().contains("root:"), "{target}");
    }
    assert_eq!(hrefs(get(program.address(), "/").text()), [".well-known/", "sub/"]);
    assert_eq!(hrefs(get(program.address(), "/sub/").text()), ["../", "shown"]);
    assert_eq!(get(program.address(), "/.well-known/security.txt").text(), "Contact: us");
}

// V1 to V6: every path leads below the root or is refused.
#[test]
fn v1_to_v6_no_path_leads_out_of_root() {
    let site = Site::new();
    site.write("sub/file", b"file");
    site.write("%2e%2e/secret", b"a name");
    let program = site.serve(&[]);
    for target in [
        "/../secret",
        "/..",
        "/../",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/.%2e/secret",
        "/%2e./secret",
        "/sub/%2e%2e/%2E%2E/secret",
        "/..%2fsecret",
        "/%2e%2e%2fsecret",
        "/sub%2ffile",
        "/..%5csecret",
        "/..\\secret",
        "/%5c..%5csecret",
        "/%00/../secret",
        "/sub/file%00.html",
        "/%c0%ae%c0%ae/secret",
        "/%e0%80%ae%e0%80%ae/secret",
        "/..%c0%afsecret",
        "/....//secret",
        "/..;/secret",
        "//etc/passwd",
        "/%2fetc/passwd",
        "///etc/passwd",
        "/sub//etc/passwd",
        "http://localhost/../secret",
        "http://localhost//etc/passwd",
        "file:///etc/passwd",
        "/C:/secret",
        "/C:%5Csecret",
        "/%5c%5chost%5cshare",
        "/secret::$DATA",
        "/COM1",
        "/proc/self/environ",
        "/~root/secret",
    ] {
        let response = get(program.address(), target);
        assert!((400..500).contains(&response.status), "{target}: {}", response.status);
        assert!(!response.text().contains("root:") && response.text() != "secret", "{target}");
    }
    // V2: a path is decoded only once.
    assert_eq!(get(program.address(), "/%252e%252e/secret").text(), "a name");
}

#[test]
fn v7_no_symlink_leads_out_of_root() {
    let site = Site::new();
    site.write("sub/file", b"file");
    site.write("index/a", b"");
    let link = |target: &str, name: &str| symlink(target, site.root().join(name)).unwrap();
    link("/etc", "etc");
    link("../secret", "secret");
    link("..", "up");
    link("sub/../../secret", "through");
    link(site.outer.path().join("secret").to_str().unwrap(), "absolute");
    link("/proc/self/root", "magic");
    link("circle", "circle");
    link("nothing", "dangling");
    link("../../secret", "index/index.html");
    link("sub", "directory");
    link("sub/file", "inside");
    let program = site.serve(&[]);
    for target in
        ["/etc", "/etc/", "/etc/passwd", "/secret", "/up/secret", "/up/", "/through", "/absolute", "/magic", "/circle"]
    {
        let response = get(program.address(), target);
        assert_eq!(response.status, 403, "{target}");
        assert!(!response.text().contains("root:") && response.text() != "secret", "{target}");
    }
    assert_eq!(get(program.address(), "/dangling").status, 404);
    assert!(get(program.address(), "/index/").text() != "secret");
    // Symlinks that stay below the root are followed.
    assert_eq!(get(program.address(), "/inside").text(), "file");
    assert_eq!(get(program.address(), "/directory/file").text(), "file");
    let redirect = get(program.address(), "/directory");
    assert_eq!((redirect.status, redirect.header("Location")), (301, Some("./directory/")));
    assert_eq!(hrefs(get(program.address(), "/directory/").text()), ["../", "file"]);
}

// V8: there is no gap between a check and the open.
#[test]
fn v8_directory_exchanged_with_symlink_reveals_nothing() {
    const TIMES: usize = 100_000;
    let site = Site::new();
    site.write("d/file", b"file");
    fs::create_dir(site.outer.path().join("outside")).unwrap();
    fs::write(site.outer.path().join("outside/file"), "secret").unwrap();
    symlink("../outside", site.root().join("link")).unwrap();
    let program = site.serve(&["--log-format", "off"]);
    let (swaps, requests) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut seen = [0; 2];
    thread::scope(|scope| {
        scope.spawn(|| {
            let (d, link) = (site.root().join("d"), site.root().join("link"));
            while swaps.load(SeqCst) < TIMES || requests.load(SeqCst) < TIMES {
                renameat_with(CWD, &d, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                swaps.fetch_add(1, SeqCst);
            }
        });
        let mut stream = BufReader::new(connect(program.address()));
        while swaps.load(SeqCst) < TIMES || requests.load(SeqCst) < TIMES {
            stream.get_mut().write_all(&keep_alive("/d/file").repeat(100)).unwrap();
            for _ in 0..100 {
                let response = read_response(&mut stream);
                match response.status {
                    200 => assert_eq!(response.text(), "file"),
                    403 | 404 | 503 => {}
                    other => panic!("{other}"),
                }
                seen[usize::from(response.status == 200)] += 1;
                requests.fetch_add(1, SeqCst);
            }
        }
    });
    assert!(seen[0] > 0 && seen[1] > 0, "refused and served: {seen:?}");
}

// R1945-12.3
#[test]
fn v16_log_has_one_line_of_printable_bytes_per_request() {
    let site = Site::new();
    let program = site.serve(&[]);
    let requests: [&[u8]; 6] = [
        b"GET /%1b%5b2J%0aforged%22 HTTP/1.0\r\nUser-Agent: a\" 200 0 \"b\r\n\r\n",
        b"GET /\x1b[2J HTTP/1.0\r\n\r\n",
        b"GET /\"\\\x7f\x9b\xff HTTP/1.0\r\n\r\n",
        b"GET /a\rb HTTP/1.0\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"GET /\xe2\x80\xae HTTP/1.0\r\n\r\n",
    ];
    for request in requests {
        exchange(program.address(), request);
    }
    let messages = program.finish();
    let (lines, others): (Vec<&str>, Vec<&str>) =
        messages.lines().partition(|line| line.starts_with("127.0.0.1 - - ["));
    assert_eq!(lines.len(), requests.len(), "{messages}");
    assert!(others.iter().all(|line| line.starts_with("webserver: ")), "{messages}");
    assert!(messages.bytes().all(|c| matches!(c, b' '..=b'~' | b'\n')), "{messages:?}");
    assert!(lines[2].contains(r#""GET /\"\\\x7f\x9b\xff HTTP/1.0" 400 "#), "{}", lines[2]);
}

#[test]
fn media_type_follows_extension() {
    let site = Site::new();
    let types = [
        ("a.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.JPEG", "image/jpeg"),
        ("favicon.ico", "image/x-icon"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.pdf", "application/pdf"),
        ("README", "text/plain; charset=utf-8"),
        ("a.unknown", "application/octet-stream"),
    ];
    for (name, _) in types {
        site.write(name, b"content");
    }
    let program = site.serve(&[]);
    for (name, expected) in types {
        assert_eq!(get(program.address(), &format!("/{name}")).header("Content-Type"), Some(expected), "{name}");
    }
}

// Sizes around the start of `sendfile`, and beyond one turn.
#[test]
fn files_of_every_size_are_sent_completely() {
    let site = Site::new();
    let sizes = [0, 1, 16_383, 16_384, 16_385, 262_144, 262_145, 3_000_000];
    for size in sizes {
        site.write(size.to_string(), &content(size));
    }
    let program = site.serve(&[]);
    let mut kept = connect(program.address());
    for size in sizes {
        let response = get(program.address(), &format!("/{size}"));
        assert_eq!((response.status, response.content_length()), (200, Some(size)));
        assert!(response.body == content(size), "{size} bytes differ");
        let head = fetch(program.address(), "HEAD", &format!("/{size}"), "");
        assert_eq!((head.status, head.content_length()), (200, Some(size)));
        kept.write_all(&keep_alive(&format!("/{size}"))).unwrap();
        let response = read_response(&mut kept);
        assert!(response.keeps_alive() && response.body == content(size), "{size} bytes on a kept connection");
    }
    drop(kept);
    let messages = program.finish();
    for size in sizes {
        let line = format!("\"GET /{size} HTTP/1.0\" 200 {size}\n");
        assert_eq!(messages.matches(&line).count(), 2, "{line}{messages}");
    }
}

#[test]
fn unreadable_file_returns_403() {
    let site = Site::new();
    let path = site.write("private", b"private");
    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    let program = site.serve(&[]);
    // Root may read it.
    let expected = if File::open(&path).is_ok() { 200 } else { 403 };
    assert_eq!(get(program.address(), "/private").status, expected);
}

#[test]
fn v25_fifo_socket_and_device_are_refused_at_once() {
    let site = Site::new();
    assert!(Command::new("mkfifo").arg(site.root().join("fifo")).status().unwrap().success());
    let _listener = UnixListener::bind(site.root().join("socket")).unwrap();
    symlink("/dev/zero", site.root().join("device")).unwrap();
    let program = site.serve(&["--threads", "1"]);
    let began = Instant::now();
    for name in ["fifo", "socket", "device"] {
        assert_eq!(get(program.address(), &format!("/{name}")).status, 403, "{name}");
    }
    assert!(began.elapsed() < Duration::from_secs(3));
    assert!(hrefs(get(program.address(), "/").text()).is_empty());
}

/// Far more than socket buffers hold.
const LARGE: usize = 64 << 20;

/// Requests a file and reads only the first bytes of the response.
fn begin_download(program: &Program, target: &str) -> (std::net::TcpStream, Vec<u8>) {
    let mut stream = send(program.address(), format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes());
    let mut begin = vec![0; 1 << 16];
    stream.read_exact(&mut begin).unwrap();
    (stream, begin)
}

#[test]
fn v26_response_ends_early_when_file_is_truncated() {
    let site = Site::new();
    let path = site.write("large", &content(LARGE));
    let program = site.serve(&[]);
    let (mut stream, mut bytes) = begin_download(&program, "/large");
    let left = LARGE - (16 << 20);
    File::options().write(true).open(path).unwrap().set_len(left as u64).unwrap();
    // A reset would do as well: either way the client sees that the file is incomplete.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let head = str::from_utf8(&bytes[..end]).unwrap();
    assert!(head.contains(&format!("\r\nContent-Length: {LARGE}\r\n")), "{head}");
    let body = &bytes[end..];
    assert!(body.len() <= left, "{} bytes: padded", body.len());
    assert!(body == &content(LARGE)[..body.len()]);
    assert_eq!(get(program.address(), "/large").content_length(), Some(left));
    let messages = program.finish();
    assert!(messages.ends_with(", 1 failed\n"), "{messages}");
}

// V26: without a Content-Length, only a reset shows that the file is incomplete.
#[test]
fn v26_response_without_a_head_is_reset_when_file_is_truncated() {
    let site = Site::new();
    let path = site.write("large", &content(LARGE));
    let program = site.serve(&[]);
    let whole = read_to_end(&mut send(program.address(), b"GET /large\r\n")).unwrap();
    assert!(whole == content(LARGE));
    let mut stream = send(program.address(), b"GET /large\r\n");
    stream.read_exact(&mut [0; 1 << 16]).unwrap();
    File::options().write(true).open(path).unwrap().set_len(LARGE as u64 - (16 << 20)).unwrap();
    let end = read_to_end(&mut stream).map(|bytes| bytes.len()).map_err(|error| error.kind());
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
}

#[test]
fn download_survives_replacement_of_its_file() {
    let site = Site::new();
    let path = site.write("large", &content(LARGE));
    let new = site.write("new", b"new");
    let program = site.serve(&[]);
    let (mut stream, mut bytes) = begin_download(&program, "/large");
    fs::rename(new, path).unwrap();
    assert_eq!(get(program.address(), "/large").text(), "new");
    stream.read_to_end(&mut bytes).unwrap();
    assert!(parse_responses(&bytes, false).unwrap()[0].body == content(LARGE));
}

// V30: SIGSTOP and SIGCONT pause the program.
#[test]
fn v30_download_survives_pause_of_program() {
    let site = Site::new();
    site.write("large", &content(LARGE));
    let program = site.serve(&[]);
    let (mut stream, mut bytes) = begin_download(&program, "/large");
    program.signal(Signal::STOP);
    let reading = thread::spawn(move || stream.read_to_end(&mut bytes).map(|_| bytes));
    thread::sleep(Duration::from_millis(100));
    program.signal(Signal::CONT);
    let bytes = reading.join().unwrap().unwrap();
    assert!(parse_responses(&bytes, false).unwrap()[0].body == content(LARGE));
}

#[test]
fn v23_aborted_downloads_do_no_harm() {
    let site = Site::new();
    site.write("large", &content(8 << 20));
    let program = site.serve(&["--threads", "2"]);
    for _ in 0..200 {
        drop(begin_download(&program, "/large"));
    }
    assert_eq!(get(program.address(), "/large").body.len(), 8 << 20);
    let messages = program.finish();
    assert!(messages.contains("webserver: 201 connections: 1 completed, "), "{messages}");
}

// R1945-10.10, R9110-8.8.2
#[test]
fn v29_files_of_any_age_are_served() {
    let site = Site::new();
    let program = site.serve(&[]);
    let now = SystemTime::now();
    let seconds = Duration::from_secs;
    for (name, time) in [
        ("before", UNIX_EPOCH - seconds(1)),
        ("epoch", UNIX_EPOCH),
        ("long-before", UNIX_EPOCH - seconds(2_000_000_000)),
        ("tomorrow", now + seconds(86_400)),
        ("2038", UNIX_EPOCH + seconds(2_147_483_648)),
        ("10000", UNIX_EPOCH + seconds(253_402_300_800)),
    ] {
        let path = site.write(name, b"content");
        // Some file systems cannot store such times and keep another one.
        let _ = File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(time));
        for fields in ["", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"] {
            let response = fetch(program.address(), "GET", &format!("/{name}"), fields);
            assert!(
                response.status == 200 || (response.status == 304 && !fields.is_empty()),
                "{name}: {}",
                response.head
            );
            let date = |field| response.header(field).map(|date| Date::parse(date.as_bytes(), today()).unwrap());
            assert!(date("Last-Modified") <= date("Date"), "{name}: {}", response.head);
        }
    }
}

fn today() -> Date {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Date::from_unix(i64::try_from(seconds).unwrap()).unwrap()
}

#[test]
fn v34_host_selects_no_file_and_is_not_repeated() {
    let site = Site::new();
    site.write("a.txt", b"text");
    site.write("sub/file", b"file");
    let program = site.serve(&[]);
    for host in ["../../etc", "..", "/etc/passwd", "evil.example", "a\"b", "<b>", ""] {
        for target in ["/a.txt", "/sub", "/missing"] {
            let response = fetch(program.address(), "GET", target, &format!("Host: {host}\r\n"));
            assert!([200, 301, 400, 404].contains(&response.status), "{host}: {}", response.status);
            let seen = |text: &str| text.contains("evil") || text.contains("passwd") || text.contains("..");
            assert!(!seen(&response.head) && !seen(response.text()), "{host}: {}", response.head);
        }
    }
}

#[test]
fn connection_is_kept_until_client_or_option_ends_it() {
    let site = Site::new();
    site.write("a.txt", b"text");
    let one_0 = "GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let one_1 = "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let program = site.serve(&[]);
    for request in [one_0, one_1] {
        let mut stream = connect(program.address());
        for _ in 0..40 {
            stream.write_all(request.as_bytes()).unwrap();
            let response = read_response(&mut stream);
            assert!(response.keeps_alive() && response.text() == "text");
        }
        stream.write_all(b"GET /missing HTTP/1.0\r\n\r\n").unwrap();
        let last = read_response(&mut stream);
        assert_eq!((last.status, last.keeps_alive()), (404, false));
        assert!(read_to_end(&mut stream).unwrap().is_empty());
    }
    assert!(program.finish().contains("webserver: 2 connections: 2 completed, "));

    for options in [&["--no-keep-alive"][..], &["--idle-timeout", "0"]] {
        let program = site.serve(options);
        for request in [one_0.into(), one_1.into(), one_0.repeat(2), one_1.repeat(2)] {
            let response = exchange(program.address(), request.as_bytes());
            assert!(response.text() == "text" && !response.keeps_alive(), "{options:?}: {}", response.head);
        }
    }
}

#[test]
fn http09_request_gets_body_only() {
    let site = Site::new();
    site.write("a.txt", b"text");
    let program = site.serve(&[]);
    for end in ["\r\n", "\n"] {
        let mut stream = send(program.address(), format!("GET /a.txt{end}").as_bytes());
        assert_eq!(read_to_end(&mut stream).unwrap(), b"text");
    }
}

#[test]
fn log_format_off_writes_no_log() {
    let site = Site::new();
    let program = site.serve(&["--log-format", "off"]);
    get(program.address(), "/");
    exchange(program.address(), b"nonsense\r\n\r\n");
    let messages = program.finish();
    assert!(messages.lines().all(|line| line.starts_with("webserver: ")), "{messages}");
}

// R1945-9.5, R1945-D.2.8, V21, V22: without descriptors the server sends 503 or waits, and uses no CPU time.
#[test]
fn v22_server_waits_when_descriptors_run_out() {
    let site = Site::new();
    site.write("a.txt", b"text");
    let program = site.serve(&["--threads", "2"]);
    let mut kept = connect(program.address());
    kept.write_all(&keep_alive("/a.txt")).unwrap();
    assert_eq!(read_response(&mut kept).status, 200);

    let limit = |current| {
        let maximum = getrlimit(Resource::Nofile).maximum; // the program has inherited it
        prlimit(Some(program.pid()), Resource::Nofile, Rlimit { current, maximum }).unwrap()
    };
    let before = limit(Some(3)); // fewer than are open: they stay open, and no new one can be opened
    let waiting: Vec<_> = (0..20).map(|_| connect(program.address())).collect();
    kept.write_all(&keep_alive("/a.txt")).unwrap();
    let busy = read_response(&mut kept);
    assert_eq!((busy.status, busy.header("Retry-After")), (503, Some("1")));

    let used = program.cpu_time_in_next_second();
    assert!(used < Duration::from_millis(500), "{used:?} of CPU time in a second of waiting");

    drop(waiting);
    limit(before.current);
    assert_eq!(get(program.address(), "/a.txt").status, 200);
    drop(kept);
    let messages = program.finish();
    assert!(messages.contains("webserver: 22 connections: "), "{messages}");
}

#[test]
fn function_is_a_handler() {
    let server = EmbeddedServer::start(
        |server| server.threads(1),
        |request: &Request<'_>| match &*request.path() {
            "/empty" => Response::empty(Status::NO_CONTENT),
            path => Response::text(format!("{} {path} for {}", request.method(), request.peer_addr().ip())),
        },
    );
    assert_eq!(get(server.address(), "/a?b").text(), "GET /a for 127.0.0.1");
    let head = fetch(server.address(), "HEAD", "/a", "");
    assert_eq!((head.status, head.content_length()), (200, Some("HEAD /a for 127.0.0.1".len())));
    let empty = get(server.address(), "/empty");
    assert_eq!((empty.status, empty.content_length()), (204, None));
    let refused = exchange(server.address(), b"nonsense\r\n\r\n");
    assert_eq!(refused.status, 400);
    assert!(refused.text().starts_with("400 Bad Request: "), "{}", refused.text());
    assert!(wait_for_ended(&server, 4));
    let stats = server.finish();
    assert_eq!((stats.accepted, stats.completed), (4, 4));
}

#[test]
fn error_page_is_the_handlers_except_for_its_status() {
    struct StatusHandler;
    impl Handler for StatusHandler {
        fn handle(&self, _: &Request<'_>) -> http_server::Action {
            Response::text("not an HTTP/1.0 response").status(Status::CONTINUE).into()
        }
        fn error_page(&self, error: &ErrorContext<'_>) -> Response {
            Response::text(error.status().code().to_string())
        }
    }
    let server = EmbeddedServer::start(|server| server.threads(1), StatusHandler);
    assert_eq!(get(server.address(), "/").status, 500);
    let refused = exchange(server.address(), b"nonsense\r\n\r\n");
    assert_eq!((refused.status, refused.text()), (400, "400"));
    server.finish();
}

#[test]
fn files_handler_survives_rename_of_its_root() {
    let site = Site::new();
    site.write("a.txt", b"text");
    let server = EmbeddedServer::start(|server| server.threads(2), Files::new(&site.root()).unwrap().listing(false));
    fs::rename(site.root(), site.outer.path().join("elsewhere")).unwrap();
    assert_eq!(get(server.address(), "/a.txt").text(), "text");
    assert_eq!(get(server.address(), "/").status, 403);
    server.finish();
}

fn wait_for_ended(server: &EmbeddedServer, count: u64) -> bool {
    wait_until("the connections have ended", || server.running().stats().ended() >= count);
    server.running().stats().ended() == count
}
