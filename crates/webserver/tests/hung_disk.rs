//! A disk that stops answering holds the requests for its own files and nothing else: neither other files, nor
//! deadlines, nor the shutdown.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rustix::io::Errno;
use rustix::process::Signal;
use tempfile::TempDir;

use support::{
    Hold, ProgramWithDisk, content, get, keep_alive, parse_responses, read_response, read_to_end, send, wait_until,
};

/// What a request for another file may take, or a deadline of 1 s. The disk holds requests for longer than any test takes,
/// or until they get a 503 after half a minute.
const IN_TIME: Duration = Duration::from_secs(10);

/// No more threads than requests that are held.
const THREADS: [&str; 2] = ["--threads", "8"];

/// Requests files of the disk, such as `f0`, one on each connection, and waits until the disk holds some of them.
fn request_held(server: &ProgramWithDisk, prefix: &str, count: usize) -> Vec<TcpStream> {
    let request = |n| send(server.address(), format!("GET /hung/{prefix}{n} HTTP/1.0\r\n\r\n").as_bytes());
    let held = (0..count).map(request).collect();
    wait_until_held(server);
    held
}

fn wait_until_held(server: &ProgramWithDisk) {
    wait_until("the disk holds a request", || server.disk.held() > 0);
    thread::sleep(Duration::from_millis(300)); // the others have been received
}

/// Requests these files beside the disk, each on its own connection, and expects all of them in time.
fn check_local_files(address: SocketAddr, numbers: Range<usize>) {
    let deadline = Instant::now() + IN_TIME;
    let expected = numbers.len();
    let served = numbers.filter(|n| {
        let mut stream = send(address, format!("GET /local{n} HTTP/1.0\r\n\r\n").as_bytes());
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left)).unwrap();
        let mut bytes = Vec::new();
        let complete = stream.read_to_end(&mut bytes).is_ok();
        complete && bytes.ends_with(format!("\r\n\r\nlocal{n}").as_bytes())
    });
    assert_eq!(served.count(), expected, "local files that are served in {IN_TIME:?}");
}

/// Begins a head, which is never completed.
fn late_head(address: SocketAddr) -> (Instant, TcpStream) {
    (Instant::now(), send(address, b"GET /local0 HTTP/1.0\r\n"))
}

/// Expects that a late head was struck, with `--header-timeout 1`. Returns what was received.
fn check_struck((began, mut stream): (Instant, TcpStream)) -> Vec<u8> {
    let left = (began + IN_TIME).saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    stream.set_read_timeout(Some(left)).unwrap();
    read_to_end(&mut stream).unwrap_or_else(|error| panic!("a late head is not struck in {IN_TIME:?}: {error}"))
}

fn check_408(head: (Instant, TcpStream)) {
    let responses = parse_responses(&check_struck(head), false).unwrap();
    assert_eq!(responses.iter().map(|response| response.status).collect::<Vec<_>>(), [408]);
}

/// Shuts it down, with `--shutdown-timeout 1`, and expects its end in time. Returns its messages.
fn check_shutdown(mut server: ProgramWithDisk) -> String {
    server.program.signal(Signal::TERM);
    let status = server.program.wait(IN_TIME).expect("it ends at its shutdown timeout");
    assert_eq!(status.code(), Some(0));
    let messages = server.program.messages();
    assert!(messages.lines().any(|line| line.contains(" completed, ")), "no counters: {messages}");
    messages
}

#[test]
fn held_requests_do_not_delay_other_files() {
    for hold in [Hold::Everything, Hold::Opens] {
        for count in [8, 32] {
            let Some(server) = ProgramWithDisk::below_root(&THREADS) else { return };
            server.disk.hold(hold);
            let _held = request_held(&server, "f", count);
            check_local_files(server.address(), 0..10);
            check_local_files(server.address(), 0..10);
        }
    }
}

#[test]
fn held_requests_do_not_delay_deadlines() {
    let Some(server) = ProgramWithDisk::below_root(&[&THREADS[..], &["--header-timeout", "1"]].concat()) else {
        return;
    };
    server.disk.hold(Hold::Opens);
    let before = late_head(server.address());
    let _held = request_held(&server, "f", 8);
    let after = late_head(server.address());
    check_408(before);
    check_408(after);
}

// The page exists when the server starts, and is read when a head is late.
#[test]
fn held_error_page_delays_neither_deadlines_nor_other_files() {
    let options = ["--header-timeout", "1", "--error-page", "408=hung/page.html"];
    let Some(server) = ProgramWithDisk::below_root(&[&THREADS[..], &options].concat()) else { return };
    server.disk.hold(Hold::Everything);
    // In the second round, the page is already being held.
    for local in [0..10, 10..20] {
        let late: Vec<_> = (0..16).map(|_| late_head(server.address())).collect();
        for head in late {
            let out = check_struck(head);
            assert!(out.is_empty() || out.starts_with(b"HTTP/1.0 408 "), "{}", out.escape_ascii());
        }
        check_local_files(server.address(), local);
    }
}

// Otherwise the clients of one disk could keep all connections for ever. By its name the longest test begins first.
#[test]
fn after_half_a_minute_a_request_that_no_worker_can_serve_gets_a_503() {
    let Some(server) = ProgramWithDisk::below_root(&THREADS) else { return };
    server.disk.hold(Hold::Everything);
    let mut held = request_held(&server, "f", 12);
    let mut answers = |after: u64| {
        thread::sleep(Duration::from_secs(after));
        let mut answers = Vec::new();
        held.retain_mut(|stream| {
            stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            let mut bytes = Vec::new();
            let answered = stream.read_to_end(&mut bytes).is_ok();
            answers.extend(answered.then(|| String::from_utf8(bytes).unwrap()));
            !answered
        });
        answers
    };
    assert_eq!(answers(25), [""; 0]);
    let mut refused = Vec::new();
    wait_until("requests are refused", || {
        refused.extend(answers(0));
        refused.len() >= 8
    });
    refused.extend(answers(1));
    assert_eq!(refused.len(), 8, "half of the pool waits for the disk");
    for response in refused {
        assert!(response.starts_with("HTTP/1.0 503 ") && response.contains("\r\nRetry-After: "), "{response}");
    }
    check_local_files(server.address(), 0..10);
}

#[test]
fn shutdown_ends_in_time_and_names_held_requests() {
    for count in [8, 32] {
        let Some(server) = ProgramWithDisk::below_root(&[&THREADS[..], &["--shutdown-timeout", "1"]].concat()) else {
            return;
        };
        server.disk.hold(Hold::Opens);
        let _held = request_held(&server, "f", count);
        let messages = check_shutdown(server);
        assert!(messages.lines().any(|line| line.contains("held") && line.contains("/hung/")), "{messages}");
    }
}

#[test]
fn held_downloads_delay_neither_other_files_nor_deadlines_nor_shutdown() {
    let options = ["--header-timeout", "1", "--shutdown-timeout", "1"];
    let Some(server) = ProgramWithDisk::below_root(&[&THREADS[..], &options].concat()) else { return };
    server.disk.hold(Hold::ReadsFrom(1 << 20));
    // Without a reader, a full socket could stop a download before the disk does.
    let read = |mut stream: TcpStream| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            bytes
        })
    };
    let request = |n| read(send(server.address(), format!("GET /hung/large{n} HTTP/1.0\r\n\r\n").as_bytes()));
    let reading: Vec<_> = (0..16).map(request).collect();
    wait_until_held(&server);
    check_local_files(server.address(), 0..10);
    check_408(late_head(server.address()));
    check_shutdown(server);
    let received: Vec<_> = reading.into_iter().map(|thread| thread.join().unwrap().len()).collect();
    assert!(received.iter().any(|length| *length > 1 << 19), "a download has begun: {received:?}");
    assert!(received.iter().all(|length| *length < content("large0").len()), "none is complete: {received:?}");
}

// Their directory is on the disk that answers, so they have begun.
#[test]
fn held_archives_delay_neither_other_files_nor_deadlines_nor_shutdown() {
    let options = ["--header-timeout", "1", "--shutdown-timeout", "1"];
    for hold in [Hold::ReadsFrom(1 << 20), Hold::Everything] {
        let Some(server) = ProgramWithDisk::below_root(&[&THREADS[..], &options].concat()) else { return };
        fs::create_dir(server.root().join("links")).unwrap();
        symlink("../hung/large0", server.root().join("links/large0")).unwrap();
        server.disk.hold(hold);
        let request = |_| send(server.address(), b"GET /links/?archive=tar.gz HTTP/1.0\r\n\r\n");
        let _held: Vec<_> = (0..16).map(request).collect();
        wait_until_held(&server);
        check_local_files(server.address(), 0..10);
        check_local_files(server.address(), 10..20);
        check_408(late_head(server.address()));
        // The kernel ends no process while a read into its page cache is held.
        if hold == Hold::Everything {
            check_shutdown(server);
        }
    }
}

#[test]
fn held_cached_files_delay_neither_other_files_nor_shutdown() {
    let Some(server) = ProgramWithDisk::below_root(&[&THREADS[..], &["--shutdown-timeout", "1"]].concat()) else {
        return;
    };
    thread::sleep(Duration::from_secs(3)); // a file that was just written is not cached
    // The second time they come from the cache: nothing of them is read again.
    for hold in [Hold::Nothing, Hold::ReadsFrom(0)] {
        server.disk.hold(hold);
        for n in 0..16 {
            assert_eq!(get(server.address(), &format!("/hung/f{n}")).body, content(&format!("f{n}")));
        }
        check_local_files(server.address(), 0..10);
    }
    server.disk.hold(Hold::Everything);
    let _held = request_held(&server, "f", 16);
    check_local_files(server.address(), 0..10);
    check_local_files(server.address(), 10..20);
    check_shutdown(server);
}

// What the disk holds takes all permits in the second in which the root goes away.
#[test]
fn removed_root_is_closed_once_the_disk_answers() {
    let (Some(server), other) = (ProgramWithDisk::below_root(&THREADS), TempDir::new().unwrap()) else { return };
    thread::sleep(Duration::from_secs(3)); // a file that was just written is not cached
    for _ in 0..2 {
        assert_eq!(get(server.address(), "/hung/f0").status, 200);
    }
    server.disk.hold(Hold::Opens);
    let _held = request_held(&server, "f1", 8);
    let away = other.path().join("away");
    fs::rename(server.root(), &away).unwrap();
    wait_until("the root is missed", || server.program.messages().contains("does not exist any more"));
    thread::sleep(Duration::from_millis(1500)); // another look
    server.disk.fail_reads_from(0, Errno::IO); // so that none of these files is cached
    server.disk.hold(Hold::Nothing);
    let descriptors = format!("/proc/{}/fd", server.program.pid().as_raw_pid());
    let is_away = |entry: io::Result<fs::DirEntry>| fs::read_link(entry.unwrap().path()).is_ok_and(|path| path == away);
    wait_until("the root is closed", || !fs::read_dir(&descriptors).unwrap().any(is_away));
}

// A cached file is looked at before each use, and by then its path may lead to the disk.
#[test]
fn cached_file_whose_directory_was_replaced_does_not_delay_other_files() {
    let Some(server) = ProgramWithDisk::below_root(&THREADS) else { return };
    let at = |name: &str| server.root().join(name);
    fs::create_dir(at("site")).unwrap();
    let mut page = File::create(at("site/page.html")).unwrap();
    page.write_all(b"content").unwrap();
    page.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    thread::sleep(Duration::from_secs(3)); // a file that was just written is not cached
    for _ in 0..2 {
        assert_eq!(get(server.address(), "/site/page.html").status, 200);
    }
    server.disk.hold(Hold::Everything);
    fs::rename(at("site"), at("away")).unwrap();
    symlink("hung", at("site")).unwrap();
    thread::sleep(Duration::from_millis(1100)); // the path of a cached file is followed once a second
    let request = |_| send(server.address(), b"GET /site/page.html HTTP/1.0\r\n\r\n");
    let _held: Vec<_> = (0..8).map(request).collect();
    wait_until_held(&server);
    check_local_files(server.address(), 0..10);
}

#[test]
fn held_requests_are_served_when_disk_answers_again() {
    for hold in [Hold::Everything, Hold::Opens, Hold::ReadsFrom(0)] {
        for prefix in ["f", "large"] {
            let Some(server) = ProgramWithDisk::below_root(&THREADS) else { return };
            server.disk.hold(hold);
            let held = request_held(&server, prefix, 32);
            server.disk.hold(Hold::Nothing);
            for (n, mut stream) in held.into_iter().enumerate() {
                let responses = parse_responses(&read_to_end(&mut stream).unwrap(), false).unwrap();
                assert_eq!((responses.len(), responses[0].status), (1, 200), "{hold:?}, {prefix}{n}");
                assert!(responses[0].body == content(&format!("{prefix}{n}")), "{hold:?}, {prefix}{n}");
            }
            for n in 0..64 {
                assert_eq!(get(server.address(), &format!("/hung/f{n}")).body, content(&format!("f{n}")), "{hold:?}");
            }
            server.program.finish();
        }
    }
}

#[test]
fn held_root_delays_neither_deadlines_nor_shutdown() {
    let options = ["--header-timeout", "1", "--shutdown-timeout", "1"];
    let Some(server) = ProgramWithDisk::as_root(&[&THREADS[..], &options].concat()) else { return };
    let kept = |n| {
        let mut stream = send(server.address(), &keep_alive(&format!("/f{n}")));
        assert_eq!(read_response(&mut stream).body, content(&format!("f{n}")));
        stream
    };
    let mut connections: Vec<_> = (0..64).map(kept).collect();
    let before = late_head(server.address());
    server.disk.hold(Hold::Everything);
    for (n, stream) in connections.iter_mut().enumerate() {
        stream.write_all(&keep_alive(&format!("/f{}", 100 + n))).unwrap();
    }
    wait_until_held(&server);
    let after = late_head(server.address());
    check_408(before);
    check_408(after);
    check_shutdown(server);
}

// A precompressed file is a symlink to the disk. The file itself is beside the disk.
#[test]
fn held_precompressed_files_do_not_delay_other_files() {
    for (is_cached, target) in [(true, "hung/gzip"), (true, "hung/large0"), (false, "hung/gzip")] {
        let Some(server) = ProgramWithDisk::below_root(&THREADS) else { return };
        let page = server.root().join("page.css");
        fs::write(&page, [b'a'; 1000]).unwrap();
        File::options().write(true).open(&page).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(1)).unwrap();
        symlink(target, server.root().join("page.css.gz")).unwrap();
        let request = b"GET /page.css HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n";
        if is_cached {
            thread::sleep(Duration::from_secs(3)); // a file that was just written is not cached
            let mut stream = send(server.address(), request);
            let responses = parse_responses(&read_to_end(&mut stream).unwrap(), false).unwrap();
            let is_plain = responses[0].body == [b'a'; 1000];
            assert!(if target == "hung/gzip" { responses[0].body == content("gzip") } else { is_plain });
            thread::sleep(Duration::from_secs(1)); // which file is chosen is checked once a second
        }
        server.disk.hold(Hold::Everything);
        let _held: Vec<_> = (0..32).map(|_| send(server.address(), request)).collect();
        wait_until_held(&server);
        check_local_files(server.address(), 0..10);
        check_local_files(server.address(), 0..10);
    }
}

// The page is in ROOT, whose disk is held. What is sent instead is up to the server.
#[test]
fn held_error_page_of_root_delays_no_deadline() {
    let options = ["--header-timeout", "1", "--error-page", "408=page.html"];
    let Some(server) = ProgramWithDisk::as_root(&[&THREADS[..], &options].concat()) else { return };
    server.disk.hold(Hold::Everything);
    // The server notices. Otherwise the page's own clients, at most one per thread, wait for it.
    let _held: Vec<_> =
        (0..2).map(|n| send(server.address(), format!("GET /f{n} HTTP/1.0\r\n\r\n").as_bytes())).collect();
    wait_until_held(&server);
    let late: Vec<_> = (0..16).map(|_| late_head(server.address())).collect();
    for head in late {
        let out = check_struck(head);
        assert!(out.is_empty() || out.starts_with(b"HTTP/1.0 408 "), "{}", out.escape_ascii());
    }
}
