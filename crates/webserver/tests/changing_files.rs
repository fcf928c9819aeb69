//! Never torn: a file that changes while it is sent comes whole, as it was when its head was written, or visibly short.
//! What the kernel has taken of it is out of our hands: it holds a file's pages, not what stood in them.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use http_server::{Body, Log, LogFormat, Request, Response};
use serde_json::Value;
use tempfile::TempDir;

use support::{EmbeddedServer, Program, connect, keep_alive, read_to_end, wait_until};

/// Far more than socket buffers hold.
const LENGTH: usize = 100 << 20;

/// Each page of a version has a byte of its own, and no two versions have a page in common.
fn content(version: u8, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 4096);
    for page in 0..length.div_ceil(4096) {
        bytes.extend_from_slice(&[(page % 125) as u8 * 2 + version; 4096]);
    }
    bytes.truncate(length);
    bytes
}

fn is_of(version: u8, bytes: &[u8], from: usize) -> bool {
    content(version, from + bytes.len())[from..] == *bytes
}

struct Site {
    root: TempDir,
    program: Program,
}

impl Site {
    fn new() -> Site {
        let root = TempDir::new().unwrap();
        fs::write(root.path().join("file"), content(0, LENGTH)).unwrap();
        let program = Program::start(root.path(), &["--log-format", "json", "--threads", "2"]);
        Site { root, program }
    }

    fn file(&self) -> PathBuf {
        self.root.path().join("file")
    }

    /// A download that has begun, and cannot have gone far.
    fn begin(&self, range: &str) -> Download {
        let mut stream = connect(self.program.address());
        let request = format!("GET /file HTTP/1.0\r\nConnection: keep-alive\r\n{range}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.split("\r\n").find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        Download { length: length.parse().unwrap(), stream }
    }

    /// How the log says that it ended, and after how many bytes.
    fn said(&self) -> (String, usize) {
        let object = || {
            let messages = self.program.messages();
            messages.lines().find_map(|line| serde_json::from_str::<Value>(line).ok())
        };
        wait_until("the log has a line", || object().is_some());
        let object = object().unwrap();
        (object["end"].as_str().unwrap().into(), object["sent"].as_u64().unwrap() as usize)
    }
}

struct Download {
    length: usize,
    stream: TcpStream,
}

impl Download {
    /// The rest, up to the close, which must not be long in coming.
    fn short(mut self) -> Vec<u8> {
        let began = Instant::now();
        let bytes = read_to_end(&mut self.stream).unwrap();
        assert!(began.elapsed() < Duration::from_secs(10), "it waits for a file");
        assert!(bytes.len() < self.length, "all of {} bytes came of a file that had changed", self.length);
        bytes
    }

    /// The whole body, behind which the connection lives on.
    fn whole(mut self) -> Vec<u8> {
        let mut bytes = vec![0; self.length];
        self.stream.read_exact(&mut bytes).unwrap();
        self.stream.write_all(&keep_alive("/")).unwrap();
        let mut next = [0; 12];
        self.stream.read_exact(&mut next).unwrap();
        assert_eq!(&next, b"HTTP/1.0 200");
        bytes
    }
}

// V26
#[test]
fn v26_a_file_that_is_cut_is_not_padded() {
    for length in [0, 1, LENGTH / 2, LENGTH - 1] {
        let site = Site::new();
        let download = site.begin("");
        File::options().write(true).open(site.file()).unwrap().set_len(length as u64).unwrap();
        let bytes = download.short();
        // A page that was with the kernel when its rest was cut off has become zeros: what was sent are the file's pages.
        let sure = bytes.len().min(length) / 4096 * 4096;
        assert!(is_of(0, &bytes[..sure], 0));
        assert_eq!(site.said(), ("file-changed".into(), bytes.len()));
        site.program.finish();
    }
}

// V27: that it grows does not show, unless by an end before the end.
#[test]
fn v27_a_file_that_grows_ends_short() {
    let site = Site::new();
    let download = site.begin("");
    OpenOptions::new().append(true).open(site.file()).unwrap().write_all(&[b'x'; 10_000]).unwrap();
    let bytes = download.short();
    assert!(is_of(0, &bytes, 0));
    assert_eq!(site.said(), ("file-changed".into(), bytes.len()));
    site.program.finish();
}

// V27: what has been sent since the change is less than a piece and what the kernel holds.
#[test]
fn v27_a_file_that_is_written_anew_in_place_ends_short() {
    let site = Site::new();
    let download = site.begin("");
    File::options().write(true).open(site.file()).unwrap().write_all_at(&content(1, LENGTH), 0).unwrap();
    let bytes = download.short();
    assert!(bytes.len() < LENGTH / 2, "{} bytes", bytes.len());
    assert_eq!(site.said(), ("file-changed".into(), bytes.len()));
    site.program.finish();
}

#[test]
fn v27_parts_are_no_more_torn_than_the_whole() {
    let site = Site::new();
    let download = site.begin("Range: bytes=1000000-99999999\r\n");
    assert_eq!(download.length, 99_000_000);
    // Behind the part, and of the same length.
    File::options().write(true).open(site.file()).unwrap().write_all_at(b"x", LENGTH as u64 - 1).unwrap();
    let bytes = download.short();
    assert!(is_of(0, &bytes, 1_000_000));
    assert_eq!(site.said(), ("file-changed".into(), bytes.len()));
    site.program.finish();
}

fn replace(path: &Path, length: usize) {
    let new = path.with_extension("new");
    fs::write(&new, content(1, length)).unwrap();
    fs::rename(new, path).unwrap();
}

// V26, V27: what a name had when it was asked for is sent whole, whatever becomes of the name. A rename changes the time
// of the last change, but not of the last modification.
#[test]
fn a_file_that_is_replaced_ends_whole() {
    type Change = fn(&Path);
    let changes: [Change; 4] = [
        |path| replace(path, LENGTH),
        |path| replace(path, 10),
        |path| fs::remove_file(path).unwrap(),
        |path| fs::rename(path, path.with_extension("old")).unwrap(),
    ];
    for change in changes {
        let site = Site::new();
        let download = site.begin("");
        change(&site.file());
        let bytes = download.whole();
        assert!(bytes.len() == LENGTH && is_of(0, &bytes, 0));
        assert_eq!(site.said(), ("complete".into(), LENGTH));
        site.program.finish();
    }
}

// A handler that says nothing of the file's time is held to its length alone.
#[test]
fn a_file_of_a_handler_is_sent_as_it_says() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, content(0, LENGTH)).unwrap();
    let log_path = directory.path().join("log");
    let log = Log::to_file(LogFormat::Json, &log_path).unwrap();
    let file = std::sync::Arc::new(File::open(&path).unwrap());
    let handler = move |_: &Request<'_>| {
        let body = Body::File { file: file.clone(), offset: 0, length: LENGTH as u64, modified: None };
        Response { body, ..Response::text("") }
    };
    let server = EmbeddedServer::start(|server| server.log(log), handler);
    for (change, is_whole) in [(true, true), (false, false)] {
        let mut stream = connect(server.address());
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        if change {
            file.write_all_at(b"x", LENGTH as u64 - 1).unwrap();
        } else {
            file.set_len(LENGTH as u64 - 1).unwrap();
        }
        let bytes = read_to_end(&mut stream).unwrap();
        assert_eq!(bytes.len() > LENGTH, is_whole, "{}", bytes.len());
    }
    server.finish();
    let log = fs::read_to_string(log_path).unwrap();
    let ends: Vec<String> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["end"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ends, ["complete", "file-changed"]);
}
