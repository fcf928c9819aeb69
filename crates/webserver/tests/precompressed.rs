//! Precompressed files: which client receives which one, with which headers, and when one is not used.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use support::{Program, ReceivedResponse, fetch, wait_until};

const PLAIN: &[u8] = b"body { color: plain; color: plain; color: plain }";

/// Writes a file whose modification time is this many seconds after a fixed time in 2001.
fn write(directory: &Path, name: &str, content: &[u8], second: u64) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000 + second);
    File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
}

fn style() -> TempDir {
    let directory = TempDir::new().unwrap();
    write(directory.path(), "a.css", PLAIN, 0);
    write(directory.path(), "a.css.br", b"encoded br", 0);
    write(directory.path(), "a.css.zst", b"encoded zstd", 1);
    write(directory.path(), "a.css.gz", b"encoded gzip!", 2);
    directory
}

fn ask(program: &Program, method: &str, target: &str, accept: &str, headers: &str) -> ReceivedResponse {
    let accept = if accept.is_empty() { String::new() } else { format!("Accept-Encoding: {accept}\r\n") };
    fetch(program.address(), method, target, &format!("{accept}{headers}"))
}

fn content_encoding(response: &ReceivedResponse) -> &str {
    response.header("Content-Encoding").unwrap_or("")
}

// R9110-12.5.5, R9110-9.3.2
#[test]
fn best_accepted_coding_is_sent() {
    let directory = style();
    let program = Program::start(directory.path(), &["--header", "X-A: b"]);
    for (accept, expected) in [
        ("", ""),
        ("br", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, zstd", "zstd"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("br;q=0, zstd;q=0.000, gzip;q=0.001", "gzip"),
        ("*", "br"),
        ("*;q=0.5, br;q=0", "zstd"),
        ("identity", ""),
        ("identity, br;q=0.5", ""),
        ("deflate, compress", ""),
        ("identity;q=0", ""),
        ("*;q=0", ""),
    ] {
        for _ in 0..2 {
            let got = ask(&program, "GET", "/a.css", accept, "");
            let head = ask(&program, "HEAD", "/a.css", accept, "");
            assert_eq!((got.status, content_encoding(&got)), (200, expected), "{accept}");
            let body = if expected.is_empty() { PLAIN.to_vec() } else { format!("encoded {expected}").into_bytes() };
            assert!(got.body.starts_with(&body) && got.content_length() == Some(got.body.len()), "{accept}");
            assert_eq!(got.header("Vary"), Some("Accept-Encoding"), "{accept}: encoded or not");
            assert_eq!(got.header("Content-Type"), Some("text/css; charset=utf-8"), "{accept}");
            assert_eq!(got.header("X-A"), Some("b"));
            for name in ["Content-Length", "Content-Encoding", "Content-Type", "ETag", "Last-Modified", "Vary"] {
                assert_eq!(head.header(name), got.header(name), "{accept}: {name} of HEAD differs");
            }
        }
    }
    // Requested by its own name, it is a file like any other.
    let own = ask(&program, "GET", "/a.css.gz", "gzip", "");
    assert_eq!((own.header("Content-Type"), content_encoding(&own)), (Some("application/gzip"), ""));
    assert_eq!(own.header("Vary"), None, "there is nothing to choose from");
}

// R9110-12.5.5: whether the header is sent depends on the media type and on nothing else.
#[test]
fn vary_is_sent_with_every_type_that_may_compress() {
    let directory = TempDir::new().unwrap();
    for name in ["with.css", "without.css", "unknown", "a.png", "a.woff2"] {
        write(directory.path(), name, PLAIN, 0);
    }
    for name in ["with.css.br", "a.png.br", "a.woff2.br"] {
        write(directory.path(), name, b"encoded br", 0);
    }
    let vary = |program: &Program, name: &str, accept: &str, headers: &str| {
        let response = ask(program, "GET", &format!("/{name}"), accept, headers);
        response.header("Vary").map(str::to_owned)
    };
    let program = Program::start(directory.path(), &[]);
    for (name, expected) in [
        ("with.css", Some("Accept-Encoding")),
        ("without.css", Some("Accept-Encoding")),
        ("unknown", Some("Accept-Encoding")),
        ("a.png", None),
        ("a.woff2", None),
    ] {
        for accept in ["", "br", "", "identity"] {
            assert_eq!(vary(&program, name, accept, "").as_deref(), expected, "{name} for {accept:?}");
            let not_modified = "If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT\r\n";
            assert_eq!(vary(&program, name, accept, not_modified).as_deref(), expected, "{name} for {accept:?}: 304");
        }
        let encoded = if name == "with.css" { "br" } else { "" };
        assert_eq!(content_encoding(&ask(&program, "GET", &format!("/{name}"), "br", "")), encoded, "{name}");
    }
    drop(program);
    let program = Program::start(directory.path(), &["--no-precompressed"]);
    assert_eq!(vary(&program, "with.css", "br", ""), None);
    let program = Program::start(directory.path(), &["--type", "png=image/x-own"]);
    assert_eq!(content_encoding(&ask(&program, "GET", "/a.png", "br", "")), "br", "the owner decides on the type");
}

// R9110-8.8.3, R9110-15.4.5, R9110-13.1.5: each encoded file is a representation of its own.
#[test]
fn validators_and_ranges_apply_to_encoded_file() {
    let directory = style();
    let program = Program::start(directory.path(), &[]);
    let codings = ["", "br", "zstd", "gzip"];
    let tags = codings.map(|accept| ask(&program, "GET", "/a.css", accept, "").header("ETag").unwrap().to_owned());
    for (n, tag) in tags.iter().enumerate() {
        assert!(!tags[..n].contains(tag), "{tags:?}");
        for (m, accept) in codings.iter().enumerate() {
            let response = ask(&program, "GET", "/a.css", accept, &format!("If-None-Match: {tag}\r\n"));
            assert_eq!(response.status, if n == m { 304 } else { 200 }, "{tag} for {accept}");
            assert_eq!(response.header("Vary"), Some("Accept-Encoding"));
            let range = format!("Range: bytes=0-4\r\nIf-Range: {tag}\r\n");
            let part = ask(&program, "GET", "/a.css", accept, &range);
            assert_eq!(part.status, if n == m { 206 } else { 200 }, "{tag} for {accept}");
        }
    }
    let part = ask(&program, "GET", "/a.css", "gzip", "Range: bytes=8-11\r\n");
    assert_eq!((part.text(), content_encoding(&part)), ("gzip", "gzip"));
    assert_eq!(part.header("Content-Range"), Some("bytes 8-11/13"));
}

#[test]
fn older_longer_or_unsafe_encoded_files_are_not_used() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["older", "longer", "same", "out", "directory", "twins"] {
        write(directory.path(), name, PLAIN, 10);
    }
    write(directory.path(), "older.br", b"x", 9);
    write(directory.path(), "longer.br", &PLAIN.repeat(2), 10);
    write(directory.path(), "same.br", &PLAIN.to_ascii_uppercase(), 10);
    symlink("/etc/hostname", at("out.br")).unwrap();
    fs::create_dir(at("directory.br")).unwrap();
    // Two files that would have the same entity tag.
    write(directory.path(), "twins.br", b"twin br", 11);
    write(directory.path(), "twins.gz", b"twin gz", 11);
    let program = Program::start(directory.path(), &[]);
    for name in ["older", "longer", "same", "out", "directory"] {
        let response = ask(&program, "GET", &format!("/{name}"), "br", "");
        assert_eq!((response.status, content_encoding(&response), &*response.body), (200, "", PLAIN), "{name}");
    }
    assert_eq!(content_encoding(&ask(&program, "GET", "/twins", "br", "")), "br");
    assert_eq!(content_encoding(&ask(&program, "GET", "/twins", "gzip", "")), "");
    drop(program);
    let program = Program::start(directory.path(), &["--no-precompressed"]);
    write(directory.path(), "a", PLAIN, 0);
    write(directory.path(), "a.br", b"x", 0);
    assert_eq!(content_encoding(&ask(&program, "GET", "/a", "br", "")), "");
}

// The file is checked for each response, and so is an encoded file in use. A file that is missing is looked up once a
// second.
#[test]
fn changes_of_encoded_files_take_effect() {
    let directory = style();
    let at = |name: &str| directory.path().join(name);
    let program = Program::start(directory.path(), &[]);
    let ask = |accept: &str| {
        let response = ask(&program, "GET", "/a.css", accept, "");
        (content_encoding(&response).to_owned(), String::from_utf8(response.body).unwrap())
    };
    std::thread::sleep(Duration::from_millis(3100)); // settled, so that all of it is cached
    let plain = str::from_utf8(PLAIN).unwrap();
    for _ in 0..2 {
        assert_eq!(ask(""), (String::new(), plain.into()), "it is cached without its encoded files");
    }
    for _ in 0..2 {
        assert_eq!(ask("br"), ("br".into(), "encoded br".into()), "at once");
    }
    fs::remove_file(at("a.css.br")).unwrap();
    assert_eq!(ask("br"), (String::new(), plain.into()), "at once");
    assert_eq!(ask("br, gzip"), ("gzip".into(), "encoded gzip!".into()));
    write(directory.path(), "a.css.gz", b"again gzip", 3);
    assert_eq!(ask("gzip"), ("gzip".into(), "again gzip".into()), "at once");
    fs::write(at("a.css"), "body { color: new; color: new }").unwrap();
    let now = SystemTime::now() - Duration::from_secs(5);
    File::options().write(true).open(at("a.css.gz")).unwrap().set_modified(now).unwrap();
    assert_eq!(ask("gzip"), (String::new(), "body { color: new; color: new }".into()), "the encoded file is older");
    std::thread::sleep(Duration::from_millis(3100));
    assert_eq!(ask("br").0, "");
    assert_eq!(ask("br").0, "", "from the cache");
    fs::write(at("a.css.br"), "new br").unwrap();
    wait_until("the new encoded file is served", || ask("br") == ("br".into(), "new br".into()));
}

// V26: most compressors write the encoded file in place, and only then set its time to that of the original.
#[test]
fn encoded_file_is_not_used_while_it_is_written() {
    let directory = TempDir::new().unwrap();
    write(directory.path(), "a.css", PLAIN, 0);
    let program = Program::start(directory.path(), &[]);
    fs::write(directory.path().join("a.css.gz"), "half").unwrap();
    for _ in 0..2 {
        let response = ask(&program, "GET", "/a.css", "gzip", "");
        assert_eq!((content_encoding(&response), &*response.body), ("", PLAIN));
    }
    write(directory.path(), "a.css.gz", b"complete", 0);
    wait_until("the complete encoded file is served", || {
        ask(&program, "GET", "/a.css", "gzip", "").body == b"complete"
    });
    fs::write(directory.path().join("a.css.gz"), "another").unwrap();
    wait_until("the encoded file is served once it has settled", || {
        ask(&program, "GET", "/a.css", "gzip", "").body == b"another"
    });
}

#[test]
fn index_file_is_sent_encoded() {
    let directory = TempDir::new().unwrap();
    write(directory.path(), "sub/index.html", PLAIN, 0);
    write(directory.path(), "sub/index.html.gz", b"encoded", 0);
    let program = Program::start(directory.path(), &[]);
    let response = ask(&program, "GET", "/sub/", "gzip", "");
    assert_eq!((content_encoding(&response), response.text()), ("gzip", "encoded"));
    assert_eq!(response.header("Content-Type"), Some("text/html; charset=utf-8"));
}
