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

/// What may be brotli data, with a recognizable part.
fn br(part: &str) -> Vec<u8> {
    [b"\x0b\x02\x80", part.as_bytes()].concat()
}

fn zst(part: &str) -> Vec<u8> {
    [b"\x28\xb5\x2f\xfd", part.as_bytes()].concat()
}

/// A gzip member of something that has this length.
fn gz(part: &str, length: usize) -> Vec<u8> {
    let (head, length) = (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", (length as u32).to_le_bytes());
    [&head[..], part.as_bytes(), b"\0\0\0\0", &length].concat()
}

fn contains(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

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
    write(directory.path(), "a.css.br", &br("encoded br"), 0);
    write(directory.path(), "a.css.zst", &zst("encoded zstd"), 1);
    write(directory.path(), "a.css.gz", &gz("encoded gzip", PLAIN.len()), 2);
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
            let part = if expected.is_empty() { "body {".to_owned() } else { format!("encoded {expected}") };
            assert!(contains(&got.body, &part) && got.content_length() == Some(got.body.len()), "{accept}");
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
        write(directory.path(), name, &br("encoded br"), 0);
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
    let part = ask(&program, "GET", "/a.css", "gzip", "Range: bytes=18-21\r\n");
    assert_eq!((part.text(), content_encoding(&part)), ("gzip", "gzip"));
    assert_eq!(part.header("Content-Range"), Some("bytes 18-21/30"));
}

#[test]
fn older_longer_or_unsafe_encoded_files_are_not_used() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["older", "longer", "same", "out", "directory", "twins"] {
        write(directory.path(), name, PLAIN, 10);
    }
    write(directory.path(), "older.br", &br("x"), 9);
    write(directory.path(), "longer.br", &br("x").repeat(20), 10);
    write(directory.path(), "same.br", &br(&"x".repeat(PLAIN.len() - 3)), 10);
    symlink("/etc/hostname", at("out.br")).unwrap();
    fs::create_dir(at("directory.br")).unwrap();
    // Two files that would have the same entity tag.
    write(directory.path(), "twins.br", &gz("twin", PLAIN.len()), 11);
    write(directory.path(), "twins.gz", &gz("twin", PLAIN.len()), 11);
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
    write(directory.path(), "a.br", &br("x"), 0);
    assert_eq!(content_encoding(&ask(&program, "GET", "/a", "br", "")), "");
}

// A file may have such a name for another reason. A client could not decode it.
#[test]
fn file_that_cannot_be_the_encoded_one_is_not_used() {
    const LENGTH: usize = 100_000;
    let directory = TempDir::new().unwrap();
    let portuguese = "<p>A documentação em português não está comprimida: só tem o sufixo da língua.\n";
    let long = |bytes: Vec<u8>| [bytes, vec![0; 20_000]].concat(); // it is kept open, and not in memory
    let ending = |bytes: Vec<u8>, end: &[u8]| [bytes, end.to_vec()].concat();
    let length = (LENGTH as u32).to_le_bytes();
    let cases: [(&str, &str, Vec<u8>, bool); 20] = [
        ("br", "br", br("data"), true),
        ("br", "br", long(br("data")), true),
        ("br", "br", vec![0xff], true),
        ("br", "br", Vec::new(), false),
        ("br", "br", portuguese.into(), false),
        ("br", "br", long(portuguese.into()), false),
        ("br", "br", long(ending(portuguese[..64].into(), b"\0\xff")), false),
        ("br", "br", br("data").repeat(9)[1..].into(), true),
        ("br", "br", gz("data", LENGTH), true), // nothing contradicts it
        ("zst", "zstd", zst("data"), true),
        ("zst", "zstd", long(zst("data")), true),
        ("zst", "zstd", gz("data", LENGTH), false),
        ("zst", "zstd", b"\x28\xb5\x2f".to_vec(), false),
        ("gz", "gzip", gz("data", LENGTH), true),
        ("gz", "gzip", ending(long(gz("data", 0)), &length), true),
        ("gz", "gzip", gz("data", LENGTH + 1), false),
        ("gz", "gzip", long(gz("data", LENGTH)), false),
        ("gz", "gzip", gz("", LENGTH)[..17].into(), false),
        ("gz", "gzip", zst("data, and the length at the end"), false),
        ("gz", "gzip", Vec::new(), false),
    ];
    for (n, (suffix, _, content, _)) in cases.iter().enumerate() {
        write(directory.path(), &format!("{n}.html"), &[b'x'; LENGTH], 0);
        write(directory.path(), &format!("{n}.html.{suffix}"), content, 0);
    }
    let program = Program::start(directory.path(), &[]);
    for (n, (suffix, coding, content, is_used)) in cases.iter().enumerate() {
        for _ in 0..2 {
            let response = ask(&program, "GET", &format!("/{n}.html"), coding, "");
            let expected = if *is_used { content.clone() } else { vec![b'x'; LENGTH] };
            assert!(response.status == 200 && response.body == expected, "{n}: {}", response.head);
            assert_eq!(content_encoding(&response), if *is_used { coding } else { "" }, "{n}");
        }
        // Requested by its own name, it is what it is.
        let own = ask(&program, "GET", &format!("/{n}.html.{suffix}"), coding, "");
        assert!(own.body == *content && content_encoding(&own).is_empty(), "{n}: {}", own.head);
    }
}

// The length in a gzip file is modulo 2^32.
#[test]
fn gzip_file_of_more_than_4_gib_is_used() {
    let directory = TempDir::new().unwrap();
    write(directory.path(), "a.txt", b"", 0);
    let file = File::options().write(true).open(directory.path().join("a.txt")).unwrap();
    file.set_len((4 << 30) + 77).unwrap(); // sparse
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    write(directory.path(), "a.txt.gz", &gz("data", 77), 0);
    let program = Program::start(directory.path(), &[]);
    assert_eq!(ask(&program, "GET", "/a.txt", "gzip", "").body, gz("data", 77));
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
        (content_encoding(&response).to_owned(), response.body)
    };
    std::thread::sleep(Duration::from_millis(3100)); // settled, so that all of it is cached
    for _ in 0..2 {
        assert_eq!(ask(""), (String::new(), PLAIN.into()), "it is cached without its encoded files");
    }
    for _ in 0..2 {
        assert_eq!(ask("br"), ("br".into(), br("encoded br")), "at once");
    }
    fs::remove_file(at("a.css.br")).unwrap();
    assert_eq!(ask("br"), (String::new(), PLAIN.into()), "at once");
    assert_eq!(ask("br, gzip"), ("gzip".into(), gz("encoded gzip", PLAIN.len())));
    write(directory.path(), "a.css.gz", &gz("again", PLAIN.len()), 3);
    assert_eq!(ask("gzip"), ("gzip".into(), gz("again", PLAIN.len())), "at once");
    let new = b"body { color: new; color: new }";
    fs::write(at("a.css"), new).unwrap();
    write(directory.path(), "a.css.gz", &gz("again", new.len()), 3);
    let now = SystemTime::now() - Duration::from_secs(5);
    File::options().write(true).open(at("a.css.gz")).unwrap().set_modified(now).unwrap();
    assert_eq!(ask("gzip"), (String::new(), new.into()), "the encoded file is older");
    std::thread::sleep(Duration::from_millis(3100));
    assert_eq!(ask("br").0, "");
    assert_eq!(ask("br").0, "", "from the cache");
    fs::write(at("a.css.br"), br("new")).unwrap();
    wait_until("the new encoded file is served", || ask("br") == ("br".into(), br("new")));
    // A file that cannot be used is looked at again, too.
    fs::write(at("a.css.br"), "text").unwrap();
    wait_until("the text is not served", || ask("br").0.is_empty());
    fs::write(at("a.css.br"), br("last")).unwrap();
    wait_until("the last encoded file is served", || ask("br") == ("br".into(), br("last")));
}

// V26: most compressors write the encoded file in place, and only then set its time to that of the original.
#[test]
fn encoded_file_is_not_used_while_it_is_written() {
    let directory = TempDir::new().unwrap();
    write(directory.path(), "a.css", PLAIN, 0);
    let program = Program::start(directory.path(), &[]);
    fs::write(directory.path().join("a.css.gz"), gz("half", PLAIN.len())).unwrap();
    for _ in 0..2 {
        let response = ask(&program, "GET", "/a.css", "gzip", "");
        assert_eq!((content_encoding(&response), &*response.body), ("", PLAIN));
    }
    let complete = |part| gz(part, PLAIN.len());
    write(directory.path(), "a.css.gz", &complete("complete"), 0);
    wait_until("the complete encoded file is served", || {
        ask(&program, "GET", "/a.css", "gzip", "").body == complete("complete")
    });
    fs::write(directory.path().join("a.css.gz"), complete("another")).unwrap();
    wait_until("the encoded file is served once it has settled", || {
        ask(&program, "GET", "/a.css", "gzip", "").body == complete("another")
    });
}

#[test]
fn index_file_is_sent_encoded() {
    let directory = TempDir::new().unwrap();
    write(directory.path(), "sub/index.html", PLAIN, 0);
    write(directory.path(), "sub/index.html.gz", &gz("encoded", PLAIN.len()), 0);
    let program = Program::start(directory.path(), &[]);
    let response = ask(&program, "GET", "/sub/", "gzip", "");
    assert_eq!((content_encoding(&response), &*response.body), ("gzip", &*gz("encoded", PLAIN.len())));
    assert_eq!(response.header("Content-Type"), Some("text/html; charset=utf-8"));
}
