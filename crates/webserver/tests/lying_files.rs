//! Files that do not behave as files on a disk do: they do not say their size, cannot be sent by `sendfile`, fail while
//! they are read, are locked, or are no files at all.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use rustix::io::Errno;
use tempfile::TempDir;

use support::{
    LIARS, PROGRAM, Program, ProgramWithDisk, content, fetch, get, keep_alive, missing, read_response, read_to_end,
    send, tool, wait_until,
};

/// The head and the body of a response that may end with the close.
fn exchange(address: SocketAddr, request: &str) -> (String, Vec<u8>) {
    let bytes = read_to_end(&mut send(address, request.as_bytes())).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8(bytes[..end].to_vec()).unwrap(), bytes[end..].to_vec())
}

fn is_content_length(head: &str, length: usize) -> bool {
    head.contains(&format!("\r\nContent-Length: {length}\r\n"))
}

#[test]
fn files_that_do_not_say_their_size_are_sent_to_their_end() {
    let Some(server) = ProgramWithDisk::below_root(&["--threads", "2"]) else { return };
    thread::sleep(Duration::from_secs(3)); // a file that was just written is not cached
    for (name, _, length) in LIARS {
        for _ in 0..2 {
            let (head, body) = exchange(server.address(), &format!("GET /hung/{name} HTTP/1.0\r\n\r\n"));
            assert!(head.starts_with("HTTP/1.0 200 "), "{name}: {head}");
            assert!(body == content(name), "{name}: {} of {length} bytes", body.len());
            // What fits into memory has a length.
            assert_eq!(is_content_length(&head, body.len()), length < 16 << 10, "{name}: {head}");
            assert_eq!(head.contains("\r\nContent-Length: "), length < 16 << 10, "{name}: {head}");
            assert_eq!(head.contains("\r\nAccept-Ranges: "), length < 16 << 10, "{name}: {head}");
            assert_eq!(head.contains("\r\nETag: "), length < 16 << 10, "{name}: {head}");
            assert!(!head.contains("\r\nLast-Modified: ") || name.starts_with("ticks"), "{name}: {head}");
            let (of_head, _) = exchange(server.address(), &format!("HEAD /hung/{name} HTTP/1.0\r\n\r\n"));
            let lines = |head: &str| head.lines().filter(|line| !line.starts_with("Date: ")).count();
            assert_eq!(lines(&of_head), lines(&head), "{name}");
        }
        // Nothing of it is skipped, because nothing says that it has not changed.
        let request = format!("GET /hung/{name} HTTP/1.0\r\nRange: bytes=1-\r\nIf-Range: \"x\"\r\n\r\n");
        let (head, body) = exchange(server.address(), &request);
        assert!(head.starts_with("HTTP/1.0 200 ") && body == content(name), "{name}: {head}");
    }
    server.program.finish();
}

#[test]
fn empty_file_is_empty() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("empty");
    fs::write(&path, "").unwrap();
    let program = Program::start(directory.path(), &[]);
    for method in ["GET", "HEAD"] {
        let response = fetch(program.address(), method, "/empty", "");
        assert_eq!((response.status, response.header("Content-Length")), (200, Some("0")));
        assert!(response.header("ETag").is_some() && response.body.is_empty());
    }
    // R9110-14.1.2: no part of it can be sent, so all of it is.
    let tag = fetch(program.address(), "GET", "/empty", "").header("ETag").unwrap().to_owned();
    for range in ["bytes=0-", "bytes=0-0", "bytes=5-9", "bytes=-0", "bytes=-1", "bytes=0-0,2-3", "bytes=5-2", "x=0-"] {
        for condition in [String::new(), format!("If-Range: {tag}\r\n"), "If-Range: \"x\"\r\n".into()] {
            let response = fetch(program.address(), "GET", "/empty", &format!("Range: {range}\r\n{condition}"));
            assert_eq!((response.status, response.header("Content-Length")), (200, Some("0")), "{range} {condition}");
            assert_eq!((response.header("Content-Range"), response.body.len()), (None, 0), "{range} {condition}");
        }
    }
    // It is sent on a connection that stays open.
    let mut stream = send(program.address(), &keep_alive("/empty").repeat(2));
    for _ in 0..2 {
        assert_eq!(read_response(&mut stream).content_length(), Some(0));
    }
}

// The size of a file in procfs is 0, and in sysfs that of a page.
#[test]
fn files_of_the_kernel_are_sent_to_their_end() {
    let pages: &[(&str, &[&str])] = &[
        ("/proc/sys/kernel", &["ostype", "osrelease", "hostname"]),
        ("/proc", &["version", "filesystems", "kallsyms", "config.gz"]),
        ("/sys/kernel", &["fscaps", "mm/transparent_hugepage/enabled", "btf/vmlinux"]),
    ];
    for (root, names) in pages {
        let program = Program::start(Path::new(root), &[]);
        for name in *names {
            let Ok(expected) = fs::read(Path::new(root).join(name)) else {
                missing(&format!("{root}/{name}"));
                continue;
            };
            assert!(!expected.is_empty());
            let (head, body) = exchange(program.address(), &format!("GET /{name} HTTP/1.0\r\n\r\n"));
            assert!(head.starts_with("HTTP/1.0 200 "), "{root}/{name}: {head}");
            assert!(body == expected, "{root}/{name}: {} of {} bytes", body.len(), expected.len());
        }
        program.finish();
    }
}

// Reading the kernel's log would wait for its next line. Only root may open it.
#[test]
fn endless_file_is_cut_off_and_holds_no_worker() {
    if File::open("/proc/kmsg").is_err() {
        return missing("permission to read /proc/kmsg");
    }
    let program = Program::start(Path::new("/proc"), &["--threads", "1", "--shutdown-timeout", "1"]);
    for _ in 0..3 {
        let began = Instant::now();
        let mut bytes = Vec::new();
        let ended = send(program.address(), b"GET /kmsg HTTP/1.0\r\n\r\n").read_to_end(&mut bytes);
        assert!(began.elapsed() < Duration::from_secs(5));
        // If there was something to send, the end of that is a reset.
        assert!(bytes.starts_with(b"HTTP/1.0 503 ") || ended.is_err(), "{}", bytes.escape_ascii());
        assert_eq!(exchange(program.address(), "GET /version HTTP/1.0\r\n\r\n").1, fs::read("/proc/version").unwrap());
    }
    program.finish();
}

/// The program, with an error in place of each `sendfile`.
fn without_sendfile(root: &Path, error: &str) -> Option<Program> {
    let mut command = Command::new(tool("strace")?);
    command.args(["-D", "-f", "-o", "/dev/null", "-e", "trace=sendfile", "-e"]);
    command.arg(format!("inject=sendfile:error={error}"));
    command.args([PROGRAM, "--port", "0", "--bind", "127.0.0.1"]).arg(root);
    Some(Program::run(&mut command))
}

#[test]
fn files_are_sent_where_sendfile_is_refused() {
    let directory = TempDir::new().unwrap();
    let expected: Vec<u8> = (0..251).cycle().take(3 << 20).collect();
    fs::write(directory.path().join("large"), &expected).unwrap();
    for error in ["EINVAL", "ENOSYS", "EPERM", "EOPNOTSUPP", "EIO"] {
        let Some(program) = without_sendfile(directory.path(), error) else { return };
        let mut stream = send(program.address(), &keep_alive("/large").repeat(2));
        for _ in 0..2 {
            assert!(read_response(&mut stream).body == expected, "{error}");
        }
        let part = fetch(program.address(), "GET", "/large", "Range: bytes=1000000-1999999\r\n");
        assert!(part.status == 206 && part.body == expected[1_000_000..2_000_000], "{error}");
    }
}

#[test]
fn file_that_cannot_be_read_is_an_error_with_one_line_that_says_why() {
    for (error, status, cause) in [(Errno::IO, 500, "Input/output error"), (Errno::STALE, 503, "Stale file handle")] {
        let Some(server) = ProgramWithDisk::below_root(&["--log-format", "off"]) else { return };
        server.disk.fail_reads_from(0, error);
        let response = get(server.address(), "/hung/f7");
        assert_eq!((response.status, response.header("Retry-After").is_some()), (status, status == 503));
        assert!(!response.text().contains(cause), "the client does not see it");
        assert_eq!(get(server.address(), "/local7").text(), "local7");
        let messages = server.program.finish();
        let lines: Vec<_> = messages.lines().filter(|line| line.contains("/hung/f7")).collect();
        assert!(lines.len() == 1 && lines[0].contains(cause), "{messages}");
    }
}

#[test]
fn body_that_cannot_be_read_is_cut_off_with_one_line_that_says_why() {
    for (error, cause) in [(Errno::IO, "Input/output error"), (Errno::STALE, "Stale file handle")] {
        let Some(server) = ProgramWithDisk::below_root(&["--log-format", "off"]) else { return };
        server.disk.fail_reads_from(1 << 20, error);
        let mut bytes = Vec::new();
        let _ = send(server.address(), b"GET /hung/large7 HTTP/1.0\r\n\r\n").read_to_end(&mut bytes);
        let head = String::from_utf8_lossy(&bytes[..400]);
        assert!(is_content_length(&head, content("large7").len()), "{head}");
        assert!(bytes.len() < content("large7").len());
        let messages = server.program.finish();
        let lines: Vec<_> = messages.lines().filter(|line| line.contains("/hung/large7")).collect();
        assert!(lines.len() == 1 && lines[0].contains(cause), "{messages}");
    }
}

/// A process that holds a lease on a file until it is killed.
fn lease(path: &Path) -> Option<Child> {
    const SCRIPT: &str = "import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('leased', flush=True)
signal.pause()";
    let mut process =
        Command::new(tool("python3")?).args(["-c", SCRIPT]).arg(path).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if line != "leased\n" {
        let _ = process.wait();
        missing(&format!("a lease on {path:?}"));
        return None;
    }
    Some(process)
}

#[test]
fn leased_file_is_busy_and_costs_no_kept_descriptor() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    for (name, length) in [("small", 10), ("large", 100_000), ("other", 100_000)] {
        fs::write(at(name), vec![b'x'; length]).unwrap();
    }
    thread::sleep(Duration::from_secs(3)); // a file that was just written is not cached
    let program = Program::start(directory.path(), &[]);
    assert_eq!(get(program.address(), "/other").status, 200);
    let is_kept = || {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", program.pid().as_raw_pid())).unwrap();
        descriptors.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|path| path == at("other")))
    };
    assert!(is_kept());
    for name in ["small", "large"] {
        let Some(mut holder) = lease(&at(name)) else { return };
        for _ in 0..3 {
            let response = get(program.address(), &format!("/{name}"));
            assert_eq!((response.status, response.header("Retry-After")), (503, Some("1")));
            assert!(
                response.text().contains("<p>Another program has locked the file; try again"),
                "{}",
                response.text()
            );
        }
        assert!(is_kept(), "an unrelated file was closed");
        holder.kill().unwrap();
        holder.wait().unwrap();
        wait_until("the lease has ended", || get(program.address(), &format!("/{name}")).status == 200);
    }
}

/// A process that writes a line into a FIFO once that has a reader.
fn fifo_writer(path: &Path) -> Child {
    Command::new("sh").args(["-c", "echo line >\"$0\""]).arg(path).spawn().unwrap()
}

/// Reads from a FIFO what its writer, which must not have had another reader, writes.
fn check_writer(path: &Path, mut writer: Child) {
    assert_eq!(writer.try_wait().unwrap(), None, "the writer found a reader");
    let mut line = String::new();
    File::open(path).unwrap().read_to_string(&mut line).unwrap();
    assert_eq!(line, "line\n");
    assert!(writer.wait().unwrap().success());
}

// V25
#[test]
fn v25_fifo_is_refused_without_a_signal_to_its_writer() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["fifo", "sub/index.html", "page.css.gz"] {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        mknodat(CWD, at(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }
    symlink("fifo", at("link")).unwrap();
    fs::write(at("page.css"), [b'a'; 1000]).unwrap();
    let writers = ["fifo", "sub/index.html", "page.css.gz"].map(|name| (at(name), fifo_writer(&at(name))));
    for options in [&[][..], &["--follow-symlinks"]] {
        let program = Program::start(directory.path(), options);
        for (target, status) in [("/fifo", 403), ("/link", 403), ("/sub/", 403), ("/page.css.gz", 403), ("/", 200)] {
            let response = fetch(program.address(), "GET", target, "");
            assert_eq!(response.status, status, "{target}");
            assert!(!response.text().contains(">link<"), "{target}");
        }
        let page = fetch(program.address(), "GET", "/page.css", "Accept-Encoding: gzip\r\n");
        assert_eq!((page.status, page.header("Content-Encoding"), page.body.len()), (200, None, 1000));
    }
    for (path, writer) in writers {
        check_writer(&path, writer);
    }
}

// V8, V25: what was found is what is opened.
#[test]
fn fifo_that_takes_the_place_of_a_file_is_not_opened() {
    let directory = TempDir::new().unwrap();
    let (file, fifo) = (directory.path().join("file"), directory.path().join("fifo"));
    fs::write(&file, "content").unwrap();
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let writer = fifo_writer(&fifo);
    let program = Program::start(directory.path(), &["--cache-size", "0"]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                renameat_with(CWD, &file, CWD, &fifo, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let mut stream = send(program.address(), b"");
        let mut seen = [0; 2];
        for _ in 0..5_000 {
            stream.write_all(&keep_alive("/file")).unwrap();
            let response = read_response(&mut stream);
            match response.status {
                200 => assert_eq!(response.text(), "content"),
                status => assert_eq!(status, 403),
            }
            seen[usize::from(response.status == 200)] += 1;
        }
        done.store(true, Relaxed);
        assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    });
    let fifo = if fs::metadata(&file).unwrap().is_file() { fifo } else { file };
    check_writer(&fifo, writer);
}
