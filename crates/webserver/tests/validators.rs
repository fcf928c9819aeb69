//! Validators: entity tags and modification times, conditional requests and ranges.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use support::{Program, ReceivedResponse, exchange, fetch, get, read_to_end, send, wait_until};

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

// R9110-13.1.1, R9110-13.1.2, R9110-13.1.4, R9110-13.2.1: they exist, and have neither a tag nor a modification time.
#[test]
fn conditions_count_for_listings_and_archives() {
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("sub")).unwrap();
    fs::write(directory.path().join("sub/a.txt"), "a").unwrap();
    let program = Program::start(directory.path(), &["--header", "X-A: b"]);
    for target in ["/sub/", "/sub/?format=json", "/sub/?archive=tar", "/sub/?archive=tar.gz", "/sub"] {
        // An archive has no length.
        let lines = |method: &str, headers: &str| -> Vec<String> {
            let request = format!("{method} {target} HTTP/1.0\r\n{headers}\r\n\r\n");
            let response = read_to_end(&mut send(program.address(), request.as_bytes())).unwrap();
            let head = String::from_utf8_lossy(&response).split("\r\n\r\n").next().unwrap().to_owned();
            head.lines().map(String::from).collect()
        };
        let plain = lines("GET", "X-Condition: none");
        assert!(!plain.iter().any(|line| line.starts_with("ETag:") || line.starts_with("Last-Modified:")), "{plain:?}");
        for (headers, status) in [
            ("If-Match: \"x\"", 412),
            ("If-Match: *", 200),
            ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT", 200),
            ("If-None-Match: \"x\"", 200),
            ("If-None-Match: *", 304),
            ("If-Modified-Since: Sun, 06 Nov 2095 08:49:36 GMT", 200),
            ("If-Match: \"x\"\r\nIf-None-Match: *", 412),
        ] {
            let expected = if target == "/sub" { 301 } else { status };
            for method in ["GET", "HEAD"] {
                let head = lines(method, headers);
                assert!(head[0].starts_with(&format!("HTTP/1.0 {expected} ")), "{method} {target} {headers}: {head:?}");
                if expected == 304 {
                    // R9110-15.4.5
                    let of_cache =
                        |line: &&String| ["Vary: ", "Cache-Control: "].iter().any(|name| line.starts_with(name));
                    assert!(plain.iter().filter(of_cache).all(|line| head.contains(line)), "{head:?} {plain:?}");
                    assert!(!head.iter().any(|line| line.starts_with("Content-Type: ")), "{head:?}");
                }
            }
        }
    }
    program.finish();
}

/// Larger than a file whose tag is a hash of its content.
const LARGE: usize = (16 << 10) + 1;

fn tag(program: &Program, target: &str) -> String {
    get(program.address(), target).header("ETag").unwrap().to_owned()
}

// R9110-8.8.3, V28: the tag of a small file is that of its content, whatever its times are.
#[test]
fn v28_small_file_has_tag_of_its_content() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a");
    let program = Program::start(directory.path(), &[]);
    let time = SystemTime::now();
    let mut tags = Vec::new();
    for content in ["one", "two", "one", "four"] {
        fs::write(&path, content).unwrap();
        set_modified(&path, time);
        tags.push(tag(&program, "/a"));
        let part = format!("Range: bytes=1-\r\nIf-Range: {}\r\n", tags[0]);
        let status = if content == "one" { 206 } else { 200 };
        assert_eq!(fetch(program.address(), "GET", "/a", &part).status, status, "{content}");
    }
    assert!(tags.iter().all(|tag| tag.starts_with('"')), "{tags:?}");
    assert!(tags[0] == tags[2] && tags[0] != tags[1] && tags[0] != tags[3] && tags[1] != tags[3], "{tags:?}");
    set_modified(&path, UNIX_EPOCH + Duration::from_secs(784_111_777));
    assert_eq!(tag(&program, "/a"), tags[3], "the time does not count");
}

// R9110-8.8.3, V28: two states within one tick of the clock could have the same times, so the tag is weak.
#[test]
fn v28_recently_changed_large_file_has_weak_tag() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a");
    let program = Program::start(directory.path(), &[]);
    for options in [&[][..], &["--mirror-etags"]] {
        let program = Program::start(directory.path(), options);
        fs::write(&path, [b'a'; LARGE]).unwrap();
        let first = tag(&program, "/a");
        assert!(first.starts_with("W/\""), "{first}");
        // A range is ignored for a weak tag: its parts could be of two states.
        let part = fetch(program.address(), "GET", "/a", &format!("Range: bytes=1-\r\nIf-Range: {first}\r\n"));
        assert_eq!((part.status, part.body.len()), (200, LARGE));
        wait_until("the tag is that of a settled file", || tag(&program, "/a") != first);
        // The client may have an earlier state of the same tick.
        let again = fetch(program.address(), "GET", "/a", &format!("If-None-Match: {first}\r\n"));
        assert_eq!((again.status, again.body.len()), (200, LARGE));
    }
    assert!(tag(&program, "/a").starts_with('"'));
    // To set the time back does not make a change look old.
    fs::write(&path, [b'b'; LARGE]).unwrap();
    set_modified(&path, UNIX_EPOCH + Duration::from_secs(784_111_777));
    assert!(tag(&program, "/a").starts_with("W/\""));
}

// R9110-8.8.3, V28: archives of packages give every file the same time. A resumed download must not mix two of them.
#[test]
fn v28_files_that_share_length_and_time_do_not_share_a_strong_tag() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let contents = |length: usize| [vec![b'a'; length], vec![b'b'; length]];
    for length in [1, 1000, LARGE - 1, LARGE, 1 << 20] {
        let [old, new] = contents(length);
        write_old(&at(&format!("{length}")), &old);
        write_old(&at(&format!("{length}.new")), &new);
    }
    std::thread::sleep(Duration::from_secs(3)); // large files have settled
    let program = Program::start(directory.path(), &[]);
    for length in [1, 1000, LARGE - 1, LARGE, 1 << 20] {
        let target = format!("/{length}");
        let old = get(program.address(), &target);
        let tag = old.header("ETag").unwrap();
        assert!(tag.starts_with('"'), "{length}: {tag}");
        fs::rename(at(&format!("{length}.new")), at(&format!("{length}"))).unwrap();
        let range = format!("Range: bytes={}-\r\nIf-Range: {tag}\r\n", length / 2);
        let resumed = fetch(program.address(), "GET", &target, &range);
        assert!(resumed.status == 200 && resumed.body == contents(length)[1], "{length}: {}", resumed.head);
        assert_eq!(resumed.header("Last-Modified"), old.header("Last-Modified"), "{length}");
        for (condition, status) in [("If-None-Match", 200), ("If-Match", 412)] {
            let response = fetch(program.address(), "GET", &target, &format!("{condition}: {tag}\r\n"));
            assert_eq!(response.status, status, "{length}: {condition}");
        }
    }
}

// R9110-8.8.3: copies of the same files behind one load balancer.
#[test]
fn mirrors_agree_on_weak_tags_if_asked_to() {
    let directories = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    for directory in &directories {
        write_old(&directory.path().join("small"), b"small");
        write_old(&directory.path().join("large"), &[b'a'; LARGE]);
        std::thread::sleep(Duration::from_millis(20)); // another tick
    }
    std::thread::sleep(Duration::from_secs(3)); // large files have settled
    for (options, large_agree) in [(&[][..], false), (&["--mirror-etags"], true)] {
        let programs = directories.each_ref().map(|directory| Program::start(directory.path(), options));
        for (target, agree) in [("/small", true), ("/large", large_agree)] {
            let tags = programs.each_ref().map(|program| tag(program, target));
            assert_eq!(tags[0] == tags[1], agree, "{target}: {tags:?}");
            assert!(tags.iter().all(|tag| tag.starts_with("W/") == large_agree), "{target}: {tags:?}");
            // A browser's cache is used at any mirror. A download is resumed only with a strong tag.
            let again = fetch(programs[1].address(), "GET", target, &format!("If-None-Match: {}\r\n", tags[0]));
            assert_eq!(again.status, if agree { 304 } else { 200 }, "{target}");
            let range = format!("Range: bytes=1-\r\nIf-Range: {}\r\n", tags[1]);
            let part = fetch(programs[1].address(), "GET", target, &range);
            assert_eq!(part.status, if large_agree { 200 } else { 206 }, "{target}");
        }
    }
}

/// Sets the time of the last modification in seconds since 1970.
fn touch(path: &Path, seconds: i64) {
    let time = Duration::from_secs(seconds.unsigned_abs());
    set_modified(path, if seconds < 0 { UNIX_EPOCH - time } else { UNIX_EPOCH + time });
}

// V29: some stores give every file the same time near the epoch, which says nothing about changes.
#[test]
fn modification_time_near_epoch_is_no_validator() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a");
    for (options, length) in [(&[][..], 1), (&[], LARGE), (&["--mirror-etags"], 1), (&["--mirror-etags"], LARGE)] {
        let program = Program::start(directory.path(), options);
        for (seconds, validates) in [(0, false), (1, false), (2, true)] {
            fs::write(&path, vec![b'a'; length]).unwrap();
            touch(&path, seconds);
            let response = get(program.address(), "/a");
            let has_tag = validates || options.is_empty();
            assert_eq!((response.status, response.header("ETag").is_some()), (200, has_tag), "{seconds} {options:?}");
            assert_eq!(response.header("Last-Modified").is_some(), validates, "{seconds}");
            let again = fetch(program.address(), "GET", "/a", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
            assert_eq!(again.status, if validates { 304 } else { 200 });
            assert_eq!(fetch(program.address(), "GET", "/a", "If-None-Match: *\r\n").status, 304);
        }
    }
}

// R9110-8.8.3, V29
#[test]
fn file_dated_before_1970_has_a_tag() {
    let directory = TempDir::new().unwrap();
    for (name, length) in [("small", 1), ("large", LARGE)] {
        for seconds in [-1, -1_000_000_000] {
            let path = directory.path().join(format!("{name}{seconds}"));
            fs::write(&path, vec![b'a'; length]).unwrap();
            touch(&path, seconds);
        }
    }
    std::thread::sleep(Duration::from_secs(3)); // large files have settled
    for options in [&[][..], &["--mirror-etags"]] {
        let program = Program::start(directory.path(), options);
        for target in ["/small-1", "/large-1", "/small-1000000000", "/large-1000000000"] {
            let tag = tag(&program, target);
            assert_eq!(tag.starts_with('"'), options.is_empty(), "{target}: {tag}");
            let again = fetch(program.address(), "GET", target, &format!("If-None-Match: {tag}\r\n"));
            assert_eq!((again.status, again.header("ETag")), (304, Some(&*tag)), "{target}");
        }
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
