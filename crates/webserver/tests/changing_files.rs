//! Files that change while they are sent. The response is the file as it was when the response head was written, or it
//! is visibly truncated. Pages that the kernel has queued already can still change: it references a file's pages and
//! does not copy them.
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

/// The content of a version. Neighbouring pages differ, and no page occurs in both versions.
fn content(version: u8, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 4096);
    for page in 0..length.div_ceil(4096) {
        bytes.extend_from_slice(&[(page % 125) as u8 * 2 + version; 4096]);
    }
    bytes.truncate(length);
    bytes
}

fn is_part_of(version: u8, bytes: &[u8], from: usize) -> bool {
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

    /// Begins a download and reads only the head.
    fn begin_download(&self, range: &str) -> Download {
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

    /// The end reason and the number of sent bytes in the log.
    fn logged_end(&self) -> (String, usize) {
        let object = || {
            let messages = self.program.messages();
            let mut objects = messages.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            objects.find(|object| object.get("request").is_some())
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
    /// Reads a truncated body up to the close, which must come soon.
    fn read_truncated(mut self) -> Vec<u8> {
        let began = Instant::now();
        let bytes = read_to_end(&mut self.stream).unwrap();
        assert!(began.elapsed() < Duration::from_secs(10), "the server waits for the rest of the file");
        assert!(
            bytes.len() < self.length,
            "the complete body of {} bytes came, although the file had changed",
            self.length
        );
        bytes
    }

    /// Reads the complete body, after which the connection stays open.
    fn read_complete(mut self) -> Vec<u8> {
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
fn v26_truncated_file_is_not_padded() {
    for length in [0, 1, LENGTH / 2, LENGTH - 1] {
        let site = Site::new();
        let download = site.begin_download("");
        File::options().write(true).open(site.file()).unwrap().set_len(length as u64).unwrap();
        let bytes = download.read_truncated();
        // The truncation fills the last page with zeros, and it may have been queued already.
        let certain = bytes.len().min(length) / 4096 * 4096;
        assert!(is_part_of(0, &bytes[..certain], 0));
        assert_eq!(site.logged_end(), ("file-changed".into(), bytes.len()));
        site.program.finish();
    }
}

// V27: the response contains none of the added bytes.
#[test]
fn v27_response_ends_early_when_file_grows() {
    let site = Site::new();
    let download = site.begin_download("");
    OpenOptions::new().append(true).open(site.file()).unwrap().write_all(&[b'x'; 10_000]).unwrap();
    let bytes = download.read_truncated();
    assert!(is_part_of(0, &bytes, 0));
    assert_eq!(site.logged_end(), ("file-changed".into(), bytes.len()));
    site.program.finish();
}

// V27: after the change, less is sent than one piece and the kernel's buffers.
#[test]
fn v27_response_ends_early_when_file_is_overwritten() {
    let site = Site::new();
    let download = site.begin_download("");
    File::options().write(true).open(site.file()).unwrap().write_all_at(&content(1, LENGTH), 0).unwrap();
    let bytes = download.read_truncated();
    assert!(bytes.len() < LENGTH / 2, "{} bytes", bytes.len());
    assert_eq!(site.logged_end(), ("file-changed".into(), bytes.len()));
    site.program.finish();
}

#[test]
fn v27_range_response_ends_early_when_file_changes() {
    let site = Site::new();
    let download = site.begin_download("Range: bytes=1000000-99999999\r\n");
    assert_eq!(download.length, 99_000_000);
    // A change after the range, which keeps the length.
    File::options().write(true).open(site.file()).unwrap().write_all_at(b"x", LENGTH as u64 - 1).unwrap();
    let bytes = download.read_truncated();
    assert!(is_part_of(0, &bytes, 1_000_000));
    assert_eq!(site.logged_end(), ("file-changed".into(), bytes.len()));
    site.program.finish();
}

fn replace(path: &Path, length: usize) {
    let new = path.with_extension("new");
    fs::write(&new, content(1, length)).unwrap();
    fs::rename(new, path).unwrap();
}

// V26, V27: the file that was opened is sent completely, whatever its name refers to later. A rename changes the time
// of the last status change, but not of the last modification.
#[test]
fn response_is_complete_when_file_is_replaced() {
    type Change = fn(&Path);
    let changes: [Change; 4] = [
        |path| replace(path, LENGTH),
        |path| replace(path, 10),
        |path| fs::remove_file(path).unwrap(),
        |path| fs::rename(path, path.with_extension("old")).unwrap(),
    ];
    for change in changes {
        let site = Site::new();
        let download = site.begin_download("");
        change(&site.file());
        let bytes = download.read_complete();
        assert!(bytes.len() == LENGTH && is_part_of(0, &bytes, 0));
        assert_eq!(site.logged_end(), ("complete".into(), LENGTH));
        site.program.finish();
    }
}

// If a handler does not give the modification time of a file, only its length is checked.
#[test]
fn handlers_file_is_checked_by_length_without_modification_time() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, content(0, LENGTH)).unwrap();
    let log_path = directory.path().join("log");
    let log = Log::to_file(LogFormat::Json, &log_path).unwrap();
    let file = std::sync::Arc::new(File::open(&path).unwrap());
    let handler = move |_: &Request<'_>| {
        let body = Body::File { file: file.clone(), offset: 0, length: LENGTH as u64, modified: None };
        Response::text("").body(body)
    };
    let server = EmbeddedServer::start(|server| server.log(log), handler);
    for (keeps_length, is_complete) in [(true, true), (false, false)] {
        let mut stream = connect(server.address());
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        if keeps_length {
            file.write_all_at(b"x", LENGTH as u64 - 1).unwrap();
        } else {
            file.set_len(LENGTH as u64 - 1).unwrap();
        }
        let bytes = read_to_end(&mut stream).unwrap();
        assert_eq!(bytes.len() > LENGTH, is_complete, "{}", bytes.len());
    }
    server.finish();
    let log = fs::read_to_string(log_path).unwrap();
    let ends: Vec<String> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["end"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ends, ["complete", "file-changed"]);
}
