//! Validators: entity tags and modification times, conditional requests and ranges.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use support::{Program, ReceivedResponse, exchange, fetch, get, send, wait_until};

fn set_modified(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn write_old(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    set_modified(path, UNIX_EPOCH + Duration::from_secs(784_111_777));
}

// R9110-13.1.1, R9110-13.1.2, R9110-13.1.3, R9110-13.1.4, R9110-13.2.1, R9110-13.2.2
#[test]
fn conditions_are_evaluated_in_order() {
    const OLD: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let directory = TempDir::new().unwrap();
    write_old(&directory.path().join("a.txt"), b"0123456789");
    let program = Program::start(directory.path(), &["--cache-control", "max-age=60"]);
    let address = program.address();
    let plain = get(address, "/a.txt");
    let tag = plain.header("ETag").unwrap();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}: a settled file has a strong tag");
    let cases = [
        (format!("If-None-Match: {tag}"), 304),
        (format!("If-None-Match: W/{tag}"), 304),
        (format!("If-None-Match: \"x\", {tag}"), 304),
        ("If-None-Match: *".into(), 304),
        ("If-None-Match: \"x\"".into(), 200),
        (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {SAME}"), 200),
        (format!("If-None-Match: {tag}\r\nIf-Modified-Since: {OLD}"), 304),
        (format!("If-Match: {tag}"), 200),
        (format!("If-Match: W/{tag}"), 412),
        ("If-Match: *".into(), 200),
        ("If-Match: \"x\"".into(), 412),
        (format!("If-Match: \"x\"\r\nIf-None-Match: {tag}"), 412),
        (format!("If-Match: {tag}\r\nIf-Unmodified-Since: {OLD}"), 200),
        (format!("If-Unmodified-Since: {OLD}"), 412),
        (format!("If-Unmodified-Since: {SAME}"), 200),
        (format!("If-Unmodified-Since: {SAME}\r\nIf-None-Match: {tag}"), 304),
        (format!("If-Modified-Since: {SAME}"), 304),
        (format!("If-Modified-Since: {OLD}"), 200),
        (format!("Range: bytes=1-2\r\nIf-None-Match: {tag}"), 304),
        (format!("Range: bytes=1-2\r\nIf-Match: {tag}"), 206),
        (format!("Range: bytes=1-2\r\nIf-Range: {tag}"), 206),
        (format!("Range: bytes=1-2\r\nIf-Range: W/{tag}"), 200),
        ("Range: bytes=1-2\r\nIf-Range: \"x\"".into(), 200),
        (format!("Range: bytes=1-2\r\nIf-Range: {SAME}"), 206),
        (format!("Range: bytes=1-2\r\nIf-Range: {OLD}"), 200),
        ("Range: bytes=99-\r\nIf-Range: \"x\"".into(), 200),
        (format!("Range: bytes=99-\r\nIf-Range: {tag}"), 416),
    ];
    for (headers, status) in cases {
        for method in ["GET", "HEAD"] {
            // R9110-14.2a: Range applies to GET only.
            let expected = if method == "HEAD" && matches!(status, 206 | 416) { 200 } else { status };
            let response = fetch(address, method, "/a.txt", &format!("{headers}\r\n"));
            assert_eq!(response.status, expected, "{method} {headers}");
            // R9110-15.4.5
            if expected < 400 {
                for name in ["ETag", "Last-Modified", "Cache-Control"] {
                    assert_eq!(response.header(name), plain.header(name), "{method} {headers}: {name}");
                }
            }
        }
        // Without a file, conditions have no effect.
        let missing = fetch(address, "GET", "/none", &format!("{headers}\r\n"));
        assert_eq!(missing.status, 404, "{headers}");
    }
}

// R9110-8.8.3, V28: two states within one tick of the clock could have the same tag, so it is weak.
#[test]
fn v28_recently_changed_file_has_weak_tag() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a");
    let program = Program::start(directory.path(), &[]);
    fs::write(&path, "one").unwrap();
    let recent = get(program.address(), "/a");
    let tag = recent.header("ETag").unwrap().to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    // A range is ignored for a weak tag: its parts could be of two states.
    let part = fetch(program.address(), "GET", "/a", &format!("Range: bytes=1-\r\nIf-Range: {tag}\r\n"));
    assert_eq!((part.status, part.text()), (200, "one"));
    fs::write(&path, "four").unwrap();
    assert_ne!(get(program.address(), "/a").header("ETag"), Some(&*tag), "the tag changes with the length");
    let time = SystemTime::now();
    // Two states with the same length and time, as a clock that ticks once a second leaves them.
    set_modified(&path, time);
    let first = get(program.address(), "/a").header("ETag").unwrap().to_owned();
    fs::write(&path, "five").unwrap();
    set_modified(&path, time);
    wait_until("the file has settled", || {
        get(program.address(), "/a").header("ETag").is_some_and(|tag| tag.starts_with('"'))
    });
    let again = fetch(program.address(), "GET", "/a", &format!("If-None-Match: {first}\r\n"));
    assert_eq!((again.status, again.text()), (200, "five"));
    set_modified(&path, SystemTime::now() - Duration::from_secs(10));
    let old = get(program.address(), "/a");
    assert!(old.header("ETag").unwrap().starts_with('"'), "{}", old.head);
}

// V29: some stores give every file the same time near the epoch, which says nothing about changes.
#[test]
fn modification_time_near_epoch_is_no_validator() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a");
    let program = Program::start(directory.path(), &[]);
    for (seconds, validates) in [(0, false), (1, false), (2, true)] {
        fs::write(&path, "a").unwrap();
        set_modified(&path, UNIX_EPOCH + Duration::from_secs(seconds));
        let response = get(program.address(), "/a");
        assert_eq!((response.status, response.header("ETag").is_some()), (200, validates), "{seconds}");
        assert_eq!(response.header("Last-Modified").is_some(), validates, "{seconds}");
        let again = fetch(program.address(), "GET", "/a", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        assert_eq!(again.status, if validates { 304 } else { 200 });
        assert_eq!(fetch(program.address(), "GET", "/a", "If-None-Match: *\r\n").status, 304);
    }
}

// D11, R9110-14.1.2, R9110-14.2b, R9110-14.2c, R9110-15.3.7, R9110-15.5.17, V9
#[test]
fn ranges_of_small_and_large_files_are_sent() {
    let directory = TempDir::new().unwrap();
    for length in [1000_usize, 100_000] {
        let content: Vec<u8> = (0..251).cycle().take(length).collect();
        write_old(&directory.path().join("a"), &content);
        let program = Program::start(directory.path(), &[]);
        let last = length - 1;
        let ask = |ranges: &str| -> ReceivedResponse {
            fetch(program.address(), "GET", "/a", &format!("Range: {ranges}\r\n"))
        };
        for (ranges, from, to) in [
            ("bytes=0-0", 0, 0),
            ("bytes=-1", last, last),
            ("bytes=10-", 10, last),
            ("bytes=0-99999999999999999999999", 0, last),
            ("bytes=-99999999999999999999999", 0, last),
            ("BYTES=3-4", 3, 4),
            ("bytes=0-9,10-19", 0, 19),
            ("bytes=10-19, 0-9", 0, 19),
            ("bytes=0-20,10-30,30-40", 0, 40),
            ("bytes=5-6,999999999-", 5, 6),
        ] {
            let response = ask(ranges);
            assert_eq!(response.status, 206, "{ranges} of {length}");
            assert_eq!(response.header("Content-Range"), Some(&*format!("bytes {from}-{to}/{length}")), "{ranges}");
            assert!(response.body == content[from..=to], "{ranges} of {length}");
            assert_eq!(response.header("Content-Type"), Some("application/octet-stream"));
        }
        let many = format!("bytes={}", (0..17).map(|n| format!("{n}-{n}")).collect::<Vec<_>>().join(","));
        for ranges in ["bytes=0-0,5-5", "bytes=5-4", "lines=0-1", "bytes=+1-2", "bytes=0x1-2", "bytes", &many] {
            let response = ask(ranges);
            assert!(response.status == 200 && response.body == content, "{ranges} of {length}: {}", response.head);
        }
        for ranges in ["bytes=100000-", "bytes=100000-100001,200000-", "bytes=-0"] {
            let response = ask(ranges);
            assert_eq!(response.status, 416, "{ranges}");
            assert_eq!(response.header("Content-Range"), Some(&*format!("bytes */{length}")), "{ranges}");
        }
    }
}

// V10
#[test]
fn v10_many_ranges_use_no_more_memory() {
    let directory = TempDir::new().unwrap();
    write_old(&directory.path().join("a"), &[b'a'; 2000]);
    let program = Program::start(directory.path(), &["--log-format", "off"]);
    for separate in [true, false] {
        let range = |n: usize| if separate { format!("{}-{}", 2 * n, 2 * n) } else { format!("0-{n}") };
        let ranges: Vec<_> = (0..900).map(range).collect();
        let request = format!("GET /a HTTP/1.0\r\nRange: bytes={}\r\n\r\n", ranges.join(","));
        let ask = |times: usize| {
            for _ in 0..times {
                let response = exchange(program.address(), request.as_bytes());
                assert!(matches!(response.status, 200 | 206) && response.body.len() <= 2000, "{}", response.head);
            }
        };
        ask(200);
        let before = program.memory("VmRSS");
        ask(2000);
        let grown = program.memory("VmRSS").saturating_sub(before);
        assert!(grown < 1 << 20, "{grown} bytes");
    }
}

// Larger than 32 bits can count.
#[test]
fn file_of_5_gib_is_served() {
    const LENGTH: u64 = 5 << 30;
    let directory = TempDir::new().unwrap();
    let mut file = File::create(directory.path().join("a")).unwrap();
    file.set_len(LENGTH).unwrap(); // sparse
    file.seek(SeekFrom::End(-3)).unwrap();
    file.write_all(b"end").unwrap();
    let program = Program::start(directory.path(), &[]);
    let head = fetch(program.address(), "HEAD", "/a", "");
    assert_eq!(head.header("Content-Length"), Some("5368709120"));
    let end = fetch(program.address(), "GET", "/a", "Range: bytes=-3\r\n");
    assert_eq!((end.status, end.text()), (206, "end"));
    assert_eq!(end.header("Content-Range"), Some("bytes 5368709117-5368709119/5368709120"));
    // A range across 4 GiB.
    let across = fetch(program.address(), "GET", "/a", "Range: bytes=4294967290-4294967300\r\n");
    assert_eq!((across.status, across.body.len()), (206, 11));
    // A plain GET announces the full length.
    let mut stream = send(program.address(), b"GET /a HTTP/1.0\r\n\r\n");
    let mut begin = vec![0; 1 << 20];
    stream.read_exact(&mut begin).unwrap();
    assert!(String::from_utf8_lossy(&begin[..400]).contains("\r\nContent-Length: 5368709120\r\n"));
}

// R9110-9.3.7: the health check of HAProxy.
#[test]
fn options_health_check_succeeds() {
    let directory = TempDir::new().unwrap();
    let program = Program::start(directory.path(), &["--no-listing"]);
    for target in ["/", "*", "/none"] {
        let response = exchange(program.address(), format!("OPTIONS {target} HTTP/1.0\r\n\r\n").as_bytes());
        assert_eq!((response.status, response.header("Allow")), (200, Some("GET, HEAD, OPTIONS")), "{target}");
    }
}
