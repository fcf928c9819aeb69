//! Directories as archives, over real sockets and with real programs that read them.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use http_files::Files;
use rustix::io::Errno;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use support::{Program, ProgramWithDisk, fetch, get, keep_alive, read_to_end, send, tool, wait_until};

/// Far more than the sockets between a server and a client that does not read.
const LARGE: usize = 32 << 20;

/// Requests this target, and reads until the close.
fn download(address: SocketAddr, target: &str) -> io::Result<(String, Vec<u8>)> {
    let bytes = read_to_end(&mut send(address, &keep_alive(target)))?;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    Ok((String::from_utf8(bytes[..end].to_vec()).unwrap(), bytes[end..].to_vec()))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Everything below a directory: its mode and second of modification, and the content of a file.
fn tree(directory: &Path) -> BTreeMap<Vec<u8>, (u32, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut rest = vec![directory.to_owned()];
    while let Some(directory_or_file) = rest.pop() {
        let metadata = fs::metadata(&directory_or_file).unwrap();
        let content = if metadata.is_dir() {
            rest.extend(fs::read_dir(&directory_or_file).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else {
            fs::read(&directory_or_file).unwrap()
        };
        let name = directory_or_file.strip_prefix(directory).unwrap().as_os_str().as_bytes().to_vec();
        found.insert(name, (metadata.mode() & 0o777, metadata.mtime(), content));
    }
    found
}

/// Names of every kind, with modes and times that tar keeps.
fn site() -> TempDir {
    let directory = TempDir::new().unwrap();
    let top = directory.path().join("many things");
    let deep = [&*"d".repeat(120), &"e".repeat(120)].join("/");
    for name in ["sub/empty", "\u{c4}pfel", &deep] {
        fs::create_dir_all(top.join(name)).unwrap();
    }
    let long = "n".repeat(255);
    for name in [b"plain", &b"-rf"[..], b"a b'\"", "\u{1f34e}".as_bytes(), b"\xff\xfe", b"line\nend", long.as_bytes()] {
        for below in ["", "sub", &deep] {
            fs::write(top.join(below).join(OsStr::from_bytes(name)), [name, below.as_bytes()].concat()).unwrap();
        }
    }
    fs::write(top.join("large"), vec![b'x'; 1_000_000]).unwrap();
    set_metadata(&top);
    directory
}

/// Gives everything below a directory a time of its own, in whole seconds, and the modes that an archive has.
fn set_metadata(directory: &Path) {
    for name in tree(directory).keys().rev() {
        let path = directory.join(OsStr::from_bytes(name));
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000 + name.len() as u64);
        File::open(path).unwrap().set_modified(time).unwrap();
    }
}

/// Programs that unpack an archive, `$1`, in the current directory.
const UNPACK: [(&str, &str); 4] = [
    ("tar", "tar -xf \"$1\""),
    ("bsdtar", "LC_ALL=C.UTF-8 bsdtar -xf \"$1\""),
    ("busybox", "case $1 in *.gz) gunzip <\"$1\" ;; *) cat \"$1\" ;; esac | exec busybox tar -xf -"),
    ("python3", "python3 -W ignore -m tarfile -e \"$1\""),
];

#[test]
fn archive_is_unpacked_by_every_program_as_the_directory_was() {
    let site = site();
    let program = Program::start(site.path(), &[]);
    let expected = tree(&site.path().join("many things"));
    for (extension, media_type) in [("tar", "application/x-tar"), ("tar.gz", "application/gzip")] {
        let (head, archive) = download(program.address(), &format!("/many%20things/?archive={extension}")).unwrap();
        assert!(head.starts_with("HTTP/1.0 200 "), "{head}");
        assert_eq!(header(&head, "Content-Type"), Some(media_type));
        let saved_as = format!("attachment; filename=\"many things.{extension}\"");
        assert_eq!(header(&head, "Content-Disposition"), Some(&*saved_as));
        assert_eq!(header(&head, "Content-Encoding"), None);
        let scratch = TempDir::new().unwrap();
        let file = scratch.path().join(format!("archive.{extension}"));
        fs::write(&file, archive).unwrap();
        for (name, script) in UNPACK {
            if tool(name).is_none() {
                continue;
            }
            let into = scratch.path().join(name);
            fs::create_dir(&into).unwrap();
            let unpack = ["-c", &format!("umask 022; {script}"), "sh", file.to_str().unwrap()];
            let output = Command::new("sh").args(unpack).current_dir(&into).output().unwrap();
            let messages = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && messages.is_empty(), "{name} of {extension}: {messages}");
            let [mut unpacked, mut expected] = [tree(&into.join("many things")), expected.clone()];
            if name == "busybox" {
                // It sets the time of a directory before it writes into it.
                for (mode, modified, _) in unpacked.values_mut().chain(expected.values_mut()) {
                    *modified = if *mode == 0o755 { 0 } else { *modified };
                }
            }
            let names = |tree: &BTreeMap<Vec<u8>, _>| tree.keys().map(|name| name.escape_ascii().to_string()).collect();
            let [unpacked_names, names]: [Vec<_>; 2] = [names(&unpacked), names(&expected)];
            assert_eq!(unpacked_names, names, "{name} of {extension}");
            assert!(unpacked == expected, "{name} of {extension}");
        }
    }
}

// Only its first header is received. The file that is listed has a hole in place of the content.
#[test]
fn file_of_more_than_8_gib_is_listed_by_every_program() {
    const SIZE: u64 = (9 << 30) + 1;
    let site = TempDir::new().unwrap();
    fs::create_dir(site.path().join("d")).unwrap();
    File::create(site.path().join("d/huge")).unwrap().set_len(SIZE).unwrap();
    let program = Program::start(site.path(), &[]);
    let mut stream = send(program.address(), &keep_alive("/d/?archive=tar"));
    let mut begin = vec![0; 4096];
    stream.read_exact(&mut begin).unwrap();
    drop(stream);
    let headers = begin.windows(3).position(|start| start == b"d/\0").unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&begin[headers..headers + 1024]).unwrap();
    file.as_file().set_len(1024 + SIZE.next_multiple_of(512) + 1024).unwrap();
    for (name, script) in [
        ("tar", "tar -tvf"),
        ("bsdtar", "bsdtar -tvf"),
        ("busybox", "busybox tar -tvf"),
        ("python3", "python3 -m tarfile -v -l"),
    ] {
        if tool(name).is_some() {
            let output =
                Command::new("sh").args(["-c", &format!("{script} \"$0\"")]).arg(file.path()).output().unwrap();
            let listed = String::from_utf8(output.stdout).unwrap();
            let lines: Vec<_> = listed.lines().collect();
            assert!(lines.len() == 2 && lines[1].contains(&SIZE.to_string()), "{name}: {listed}");
            assert!(output.status.success() && lines[1].contains("d/huge"), "{name}: {listed}");
        }
    }
}

#[test]
fn browser_or_curl_saves_archive_under_the_name_of_its_directory() {
    let Some(curl) = tool("curl") else { return };
    let site = TempDir::new().unwrap();
    for name in ["plain", "a%20\"b"] {
        fs::create_dir(site.path().join(name)).unwrap();
    }
    let program = Program::start(site.path(), &[]);
    for (path, name) in [("plain/", "plain"), ("a%2520%22b/", "a_20_b"), ("", "files")] {
        let into = TempDir::new().unwrap();
        let url = format!("http://{}/{path}?archive=tar.gz", program.address());
        let status = Command::new(&curl).args(["-sSOJ", &url]).current_dir(into.path()).status().unwrap();
        let saved: Vec<_> = fs::read_dir(into.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(status.success(), "{url}");
        assert_eq!(saved, [format!("{name}.tar.gz").as_str()]);
    }
}

#[test]
fn head_of_an_archive_is_that_of_its_get_and_the_length_is_unknown() {
    let site = site();
    let program = Program::start(site.path(), &["--header", "X-A: b"]);
    let undated = |head: String| head.lines().filter(|line| !line.starts_with("Date: ")).collect::<Vec<_>>().join("\n");
    for target in ["/?archive=tar", "/many%20things/?archive=tar.gz"] {
        let (head, archive) = download(program.address(), target).unwrap();
        let [to_head, to_range] = ["HEAD", "GET"].map(|method| {
            let request =
                format!("{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nRange: bytes=0-9\r\nAccept-Encoding: gzip\r\n\r\n");
            let bytes = read_to_end(&mut send(program.address(), request.as_bytes())).unwrap();
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            let body = if method == "HEAD" { &b""[..] } else { &archive };
            assert!(bytes[end..] == *body, "{method} {target}");
            undated(String::from_utf8(bytes[..end].to_vec()).unwrap())
        });
        for (name, value) in [
            ("Content-Length", None),
            ("Connection", Some("close")),
            ("Cache-Control", Some("no-store")),
            ("X-Content-Type-Options", Some("nosniff")),
            ("X-A", Some("b")),
            ("ETag", None),
        ] {
            assert_eq!(header(&head, name), value, "{head}");
        }
        let head = undated(head);
        assert_eq!([&to_head, &to_range], [&head; 2]);
        let bytes = read_to_end(&mut send(program.address(), format!("GET {target}\r\n").as_bytes())).unwrap();
        assert!(bytes == archive, "HTTP/0.9 {target}");
    }
}

#[test]
fn only_a_directory_that_is_listed_is_sent_as_an_archive() {
    let site = TempDir::new().unwrap();
    for name in ["listed/below", "indexed"] {
        fs::create_dir_all(site.path().join(name)).unwrap();
    }
    for name in ["listed/below/index.html", "listed/below/unlinked", "indexed/index.html", "file"] {
        fs::write(site.path().join(name), name).unwrap();
    }
    let [program, no_archive, no_listing] =
        [&[][..], &["--no-archive"], &["--no-listing"]].map(|options| Program::start(site.path(), options));
    let archive = download(program.address(), "/listed/?archive=tar").unwrap().1;
    let has = |name: &[u8]| archive.windows(name.len()).any(|window| window == name);
    assert!(has(b"listed/below/index.html\0") && has(b"listed/below/unlinked\0"), "everything below it is sent");
    for (program, target, status) in [
        (&program, "/listed/?archive=zip", 403),
        (&program, "/listed/?archive=", 403),
        (&program, "/listed/?archive", 200),
        (&program, "/none/?archive=tar", 404),
        (&no_archive, "/listed/?archive=tar", 403),
        (&no_archive, "/listed/?archive=tar.gz", 403),
        (&no_archive, "/listed/", 200),
        (&no_listing, "/listed/?archive=tar", 403),
        (&no_listing, "/listed/", 403),
    ] {
        let response = get(program.address(), target);
        assert_eq!((response.status, response.header("Content-Disposition")), (status, None), "{target}");
    }
    for (program, is_offered) in [(&program, true), (&no_archive, false)] {
        assert_eq!(get(program.address(), "/listed/").text().contains("name=\"archive\""), is_offered);
    }
    let redirect = get(program.address(), "/listed?archive=tar");
    assert_eq!((redirect.status, redirect.header("Location")), (301, Some("./listed/?archive=tar")));
    for (target, body) in [("/indexed/?archive=tar", "indexed/index.html"), ("/file?archive=tar", "file")] {
        assert_eq!(get(program.address(), target).text(), body);
    }
}

/// Random bytes, which gzip leaves as long as they are.
fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes
}

/// Expects that a response which has begun ends with a reset.
fn check_reset(mut stream: TcpStream, what: &str) {
    let result = io::copy(&mut stream, &mut io::sink()).map_err(|error| error.kind());
    assert_eq!(result, Err(ErrorKind::ConnectionReset), "{what}");
}

/// The JSON lines of the log for archives, as (target, `end`, `cause`).
fn ends(messages: &str) -> Vec<(String, String, Option<String>)> {
    let lines = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let requests = lines.filter_map(|line| {
        let target = format!("{}?{}", text(&line["path"])?, text(&line["query"])?);
        Some((target, text(&line["end"])?, text(&line["cause"])))
    });
    requests.filter(|(target, ..)| target.contains("archive=")).collect()
}

// R9112-8: also for clients that know no more than that the close is the end.
#[test]
fn archive_that_cannot_be_completed_is_reset_and_the_log_says_why() {
    let site = TempDir::new().unwrap();
    let at = |name: &str| site.path().join(name);
    fs::create_dir_all(at("changing")).unwrap();
    fs::create_dir_all(at("deep").join(vec!["d"; Files::MAX_ARCHIVE_DEPTH].join("/"))).unwrap();
    let program = Program::start(site.path(), &["--log-format", "json"]);
    let mut expected = Vec::new();
    for extension in ["tar", "tar.gz"] {
        for version in [" HTTP/1.1\r\nHost: a\r\n\r\n", " HTTP/1.0\r\n\r\n", "\r\n"] {
            let changing = format!("/changing/?archive={extension}");
            fs::write(at("changing/file"), random(LARGE)).unwrap();
            let mut stream = send(program.address(), format!("GET {changing}{version}").as_bytes());
            stream.read_exact(&mut [0; 1000]).unwrap();
            File::options().append(true).open(at("changing/file")).unwrap().write_all(b"x").unwrap();
            check_reset(stream, &changing);
            expected.push((changing, "file-changed".into(), None));

            let deep = format!("/deep/?archive={extension}");
            check_reset(send(program.address(), format!("GET {deep}{version}").as_bytes()), &deep);
            let path = vec!["d"; Files::MAX_ARCHIVE_DEPTH].join("/");
            let cause =
                format!("body failed: \"/deep/{path}\" is more than {} directories deep", Files::MAX_ARCHIVE_DEPTH);
            expected.push((deep, "failed".into(), Some(cause)));
        }
    }
    assert_eq!(ends(&program.finish()), expected);
}

// A Unix socket has no resets, so a proxy takes the end for that of the response.
#[test]
fn archive_that_is_broken_off_over_a_unix_socket_is_not_unpacked_as_a_whole() {
    let Some(tar) = tool("tar") else { return };
    let site = TempDir::new().unwrap();
    fs::create_dir_all(site.path().join(vec!["d"; Files::MAX_ARCHIVE_DEPTH].join("/"))).unwrap();
    fs::create_dir(site.path().join("e")).unwrap();
    let socket = site.path().join("socket");
    let _program = Program::run(Command::new(support::PROGRAM).arg("--unix").arg(&socket).arg(site.path()));
    for (target, compression, is_whole) in [
        ("/e/?archive=tar", "--no-auto-compress", true),
        ("/e/?archive=tar.gz", "--gzip", true),
        ("/?archive=tar", "--no-auto-compress", false),
        ("/?archive=tar.gz", "--gzip", false),
    ] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(support::TIMEOUT)).unwrap();
        stream.write_all(format!("GET {target}\r\n").as_bytes()).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        io::copy(&mut stream, &mut file).unwrap();
        let output = Command::new(&tar).args([compression, "-tf"]).arg(file.path()).output().unwrap();
        assert_eq!(output.status.success(), is_whole, "{target}: {output:?}");
    }
}

#[test]
fn archive_with_a_file_that_cannot_be_read_is_reset() {
    let Some(server) = ProgramWithDisk::below_root(&["--log-format", "json"]) else { return };
    fs::create_dir(server.root().join("links")).unwrap();
    symlink("../hung/f7", server.root().join("links/f7")).unwrap();
    let content = support::content("f7");
    let archive = download(server.address(), "/links/?archive=tar").unwrap().1;
    assert!(archive.windows(content.len()).any(|window| window == content));
    server.disk.fail_reads_from(0, Errno::IO);
    check_reset(send(server.address(), &keep_alive("/links/?archive=tar")), "a file on a broken disk");
    let [complete, failed] = &ends(&server.program.finish())[..] else { panic!("two requests") };
    assert_eq!((&*complete.1, &*failed.1), ("complete", "failed"));
    let cause = failed.2.as_deref().unwrap();
    assert!(cause.starts_with("body failed: \"/links/f7\" cannot be read: Input/output error"), "{cause}");
}

/// A directory whose archive is larger than sockets, however it is compressed.
fn large_site() -> TempDir {
    let site = TempDir::new().unwrap();
    fs::write(site.path().join("small"), "small").unwrap();
    fs::create_dir(site.path().join("d")).unwrap();
    fs::write(site.path().join("d/file"), random(LARGE)).unwrap();
    site
}

// Their places are free as soon as they have gone.
#[test]
fn archives_that_are_not_read_hold_no_thread_and_as_many_as_allowed_begin() {
    let site = large_site();
    let program = Program::start(site.path(), &["--threads", "2"]);
    let begin = |n: usize| {
        let extension = ["tar", "tar.gz"][n % 2];
        let mut stream = send(program.address(), &keep_alive(&format!("/d/?archive={extension}")));
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).unwrap();
        (stream, begin)
    };
    for _ in 0..2 {
        let mut unread: Vec<_> = (0..Files::MAX_ARCHIVES).map(begin).collect();
        assert!(unread.iter().all(|(_, begin)| begin == b"HTTP/1.0 200"));
        let refused = get(program.address(), "/d/?archive=tar");
        assert_eq!((refused.status, refused.header("Retry-After")), (503, Some("1")));
        let refused = fetch(program.address(), "HEAD", "/d/?archive=tar", "");
        assert_eq!(refused.status, 503);
        for _ in 0..10 {
            assert_eq!(get(program.address(), "/small").text(), "small");
        }
        // One that is read is complete, however long it waited.
        let (mut stream, _) = unread.pop().unwrap();
        assert!(io::copy(&mut stream, &mut io::sink()).unwrap() as usize > LARGE);
        drop(unread);
        wait_until("a place is free", || fetch_status(program.address(), "/d/?archive=tar") == "HTTP/1.0 200");
    }
}

/// The begin of the response to a HEAD without a length.
fn fetch_status(address: SocketAddr, target: &str) -> String {
    let bytes = read_to_end(&mut send(address, format!("HEAD {target} HTTP/1.0\r\n\r\n").as_bytes())).unwrap();
    String::from_utf8_lossy(&bytes[..12]).into_owned()
}

#[test]
fn shutdown_lets_archives_complete_and_cuts_off_those_that_are_not_read() {
    let site = large_site();
    let mut program = Program::start(site.path(), &["--log-format", "json", "--shutdown-timeout", "2"]);
    let begin = |extension: &str| {
        let mut stream = send(program.address(), &keep_alive(&format!("/d/?archive={extension}")));
        stream.read_exact(&mut [0; 1000]).unwrap();
        stream
    };
    let (mut read, unread) = (begin("tar"), ["tar", "tar.gz"].map(begin));
    program.signal(Signal::TERM);
    assert!(io::copy(&mut read, &mut io::sink()).unwrap() as usize > LARGE);
    assert_eq!(program.wait(Duration::from_secs(20)).and_then(|status| status.code()), Some(0));
    unread.into_iter().for_each(|stream| check_reset(stream, "at the shutdown"));
    let mut ends: Vec<_> = ends(&program.messages()).into_iter().map(|(_, end, _)| end).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["complete", "shutdown", "shutdown"]);
}

#[test]
fn limits_of_archives_are_printed() {
    let limits = String::from_utf8(support::output_of(&["--print-limits"]).stdout).unwrap();
    let lines: Vec<_> = limits.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in [
        format!("archives at once {} more: 503", Files::MAX_ARCHIVES),
        format!("entries {} more: the response is cut off", Files::MAX_ARCHIVE_ENTRIES),
        format!("directories in one another {} more", Files::MAX_ARCHIVE_DEPTH),
        format!("names in a directory {} more", Files::MAX_ARCHIVE_NAMES_READ),
        format!("names waiting {} KiB", Files::MAX_ARCHIVE_NAME_BYTES >> 10),
        format!("archives {:.1} MiB", Files::ARCHIVE_MEMORY as f64 / f64::from(1 << 20)),
    ] {
        assert!(lines.iter().any(|line| line.starts_with(&expected)), "no {expected} in {limits}");
    }
}
