//! Downloads that go on: after `-C`, after `--retry`, and after the program was killed.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::scripted::{Place, Reply, Server, assert_ends};
use http_files::Files;
use http_server::Server as FileServer;
use rustix::process::{Pid, Signal, kill_process};
use webclient::Client;
use webclient::http_core::header;

/// Its last 5 bytes are missing.
const CUT: &str = "HTTP/1.0 200 OK\r\nContent-Length: 10\r\nETag: \"v\"\r\n\r\nbegun";
const REST: &str =
    "HTTP/1.0 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\nETag: \"v\"\r\n\r\n ende";
/// Another version.
const NEW: &str = "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nETag: \"w\"\r\n\r\nnew";

/// Runs the first reply without `-C` and the others with it. `lines` is what the second run says.
#[track_caller]
fn assert_second_run(replies: &[&str], status: i32, lines: &[&str], files: &[(&str, &str)]) -> (Server, Place) {
    let (server, place) = (Server::new(replies), Place::new());
    let url = server.url("/a");
    assert_ends(&place.run(["-o", "file", &url]), 18, &["the body was cut short; file.part has 5 bytes"]);
    place.assert_has(&[("file.part", "begun"), ("file.part.meta", "")]);
    server.request();
    assert_ends(&place.run(["-C", "-o", "file", &url]), status, lines);
    place.assert_has(files);
    (server, place)
}

fn is_range(request: &str, validator: &str) -> bool {
    request.contains(&format!("\r\nRange: bytes=5-\r\nIf-Range: {validator}\r\n"))
}

// R9110-13.1.5
#[test]
fn download_goes_on_where_it_ended() {
    let (server, _) = assert_second_run(&[CUT, REST], 0, &[], &[("file", "begun ende")]);
    assert!(is_range(&server.request(), "\"v\""));
}

#[test]
fn download_goes_on_from_every_byte() {
    let (whole, head) = ("begun ende", "HTTP/1.0 200 OK\r\nContent-Length: 10\r\nETag: \"v\"\r\n\r\n");
    for cut in 1..whole.len() {
        let rest = &whole[cut..];
        let range = format!("Content-Range: bytes {cut}-9/10\r\nContent-Length: {}\r\n\r\n", rest.len());
        let replies = [format!("{head}{}", &whole[..cut]), format!("HTTP/1.0 206 \r\n{range}{rest}")];
        let (server, place) = (Server::new(replies), Place::new());
        let url = server.url("/a");
        assert_eq!(place.run(["-O", &url]).status.code(), Some(18));
        server.request();
        assert_ends(&place.run(["-O", "-C", &url]), 0, &[]);
        assert!(server.request().contains(&format!("\r\nRange: bytes={cut}-\r\n")));
        place.assert_has(&[("a", whole)]);
    }
}

#[test]
fn old_date_is_as_good_as_a_tag() {
    let cut = "HTTP/1.0 200 OK\r\nContent-Length: 10\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
               Date: Mon, 07 Nov 1994 08:49:37 GMT\r\n\r\nbegun";
    let (server, _) = assert_second_run(&[cut, REST], 0, &[], &[("file", "begun ende")]);
    assert!(is_range(&server.request(), "Sun, 06 Nov 1994 08:49:37 GMT"));
}

#[test]
fn nothing_goes_on_without_a_strong_validator() {
    const LENGTH: &str = "HTTP/1.0 200 OK\r\nContent-Length: 10\r\n";
    for lines in [
        "",
        "ETag: W/\"v\"\r\n",
        "ETag: v\r\n",
        "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "ETag: W/\"v\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nDate: Mon, 07 Nov 1994 08:49:37 GMT\r\n",
    ] {
        let cut = format!("{LENGTH}{lines}\r\nbegun");
        let why = ["file.part: the server sent no strong validator: starting again"];
        let (server, _) = assert_second_run(&[&cut, NEW], 0, &why, &[("file", "new")]);
        assert!(!server.request().contains("Range:"), "{lines}");
    }
}

#[test]
fn complete_response_replaces_what_was_received() {
    let why = ["file.part: the server sent the complete file: starting again"];
    let (server, _) = assert_second_run(&[CUT, NEW], 0, &why, &[("file", "new")]);
    assert!(is_range(&server.request(), "\"v\""));
    // It is cut short, too: its own record counts from then on.
    let cut = "HTTP/1.0 200 OK\r\nContent-Length: 9\r\nETag: \"w\"\r\n\r\nothe";
    let files = [("file.part", "othe"), ("file.part.meta", "")];
    let (_, place) = assert_second_run(&[CUT, cut], 18, &[why[0], "file.part has 4 bytes"], &files);
    assert!(fs::read_to_string(place.path("file.part.meta")).unwrap().contains("\nValidator: \"w\"\n"));
}

// R9110-15.5.17
#[test]
fn range_beyond_the_end_means_that_nothing_is_missing() {
    // The end of such a body is the end of the connection, which may be what was lost.
    let head = "HTTP/1.0 200 OK\r\nETag: \"v\"\r\n\r\nbegun";
    let unsatisfied = |length| format!("HTTP/1.0 416 \r\nContent-Range: bytes */{length}\r\n\r\nerror page");
    let place = Place::new();
    for (length, requests) in [(5, 1), (4, 2), (6, 2)] {
        let first = Reply::new(head).reset_when(place.path("file.part"), 5);
        let server = Server::new([first, unsatisfied(length).into(), NEW.into()]);
        let url = server.url("/a");
        assert_eq!(place.run(["-o", "file", &url]).status.code(), Some(18));
        server.request();
        let output = place.run(["-C", "-o", "file", &url]);
        assert!(is_range(&server.request(), "\"v\""));
        if requests == 1 {
            assert_ends(&output, 0, &[]);
            place.assert_has(&[("file", "begun")]);
        } else {
            assert_ends(&output, 0, &["file.part: the file has another length: starting again"]);
            assert!(!server.request().contains("Range:"));
            place.assert_has(&[("file", "new")]);
        }
    }
}

// R9110-15.3.7
#[test]
fn part_that_does_not_fit_is_not_appended() {
    for (lines, why) in [
        ("Content-Range: bytes 4-9/10", "the server sent another range"),
        ("Content-Range: bytes 0-9/10", "the server sent another range"),
        ("Content-Range: bytes 5-9/11", "the file has another length"),
        ("Content-Range: bytes 5-9/10\r\nETag: \"w\"", "the response is about another version"),
        ("Content-Range: bytes 5-9/10\r\nContent-Length: 4", "Content-Length and Content-Range do not agree"),
        ("Content-Range: bytes 9-5/10", "the server sent no valid Content-Range"),
        ("Content-Type: multipart/byteranges; boundary=x", "the server sent no valid Content-Range"),
    ] {
        let part = format!("HTTP/1.0 206 \r\n{lines}\r\n\r\nwrong");
        let why = [&*format!("file.part: {why}: starting again")];
        let (server, _) = assert_second_run(&[CUT, &part, NEW], 0, &why, &[("file", "new")]);
        server.request();
        assert!(!server.request().contains("Range:"));
    }
}

#[test]
fn redirect_to_another_url_has_other_validators() {
    let moved = "HTTP/1.0 302 Found\r\nLocation: /other\r\n\r\n";
    let (server, place) = (Server::new([CUT, moved, REST, moved, NEW]), Place::new());
    let url = server.url("/a");
    assert_eq!(place.run(["-o", "file", &url]).status.code(), Some(18));
    let why = "file.part: the redirect leads to another URL: starting again";
    assert_ends(&place.run(["-L", "-C", "-o", "file", &url]), 0, &[why]);
    place.assert_has(&[("file", "new")]);
}

#[test]
fn failure_of_the_second_run_leaves_the_part() {
    let files = [("file.part", "begun"), ("file.part.meta", "")];
    for (reply, status) in [
        ("HTTP/1.0 404 Not Found\r\n\r\nerror page", 4),
        ("HTTP/1.0 503 Busy\r\n\r\nerror page", 5),
        ("HTTP/1.0 304 Not Modified\r\n\r\n", 3),
        ("nonsense", 8),
        ("", 18),
        ("HTTP/1.0 206 \r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n", 18),
    ] {
        assert_second_run(&[CUT, reply], status, &[""], &files);
    }
}

#[test]
fn part_of_another_url_or_without_a_record_is_not_continued() {
    let place = Place::new();
    for (record, why) in [
        (None, "nothing is known about it"),
        (Some("notes"), "nothing is known about it"),
        (Some("webclient download 1\nURL: http://localhost/"), "nothing is known about it"),
        (
            Some("webclient download 1\nURL: http://localhost/a\nSource: http://localhost/a\nValidator: \"v\"\nEnd\n"),
            "it is from another URL",
        ),
    ] {
        place.write("file.part", "begun");
        let _ = fs::remove_file(place.path("file.part.meta"));
        if let Some(record) = record {
            place.write("file.part.meta", record);
        }
        let server = Server::new([NEW]);
        let why = format!("file.part: {why}: starting again");
        assert_ends(&place.run(["-C", "-o", "file", &server.url("/a")]), 0, &[&why]);
        assert!(!server.request().contains("Range:"));
        place.assert_has(&[("file", "new")]);
    }
    // The record of another user, as in a directory such as /tmp.
    place.write("file.part", "begun");
    let server = Server::new([NEW]);
    let url = server.url("/a");
    let record = format!("webclient download 1\nURL: {url}\nSource: {url}\nLength: 10\nValidator: \"v\"\nEnd\n");
    place.write("file.part.meta", record);
    if chown(place.path("file.part.meta"), Some(65534), None).is_ok() {
        let why = "file.part: nothing is known about it: starting again";
        assert_ends(&place.run(["-C", "-o", "file", &url]), 0, &[why]);
        assert!(!server.request().contains("Range:"));
        place.assert_has(&[("file", "new")]);
    } else {
        println!("SKIPPED: only root can give a file away");
    }
    // Without -C it is overwritten.
    place.write("file.part", "a longer text");
    place.write("file.part.meta", "notes");
    assert_ends(&place.run(["-o", "file", &Server::new([NEW]).url("/a")]), 0, &[]);
    place.assert_has(&[("file", "new")]);
}

#[test]
fn part_longer_than_the_file_is_not_continued() {
    let (server, place) = (Server::new([CUT, NEW]), Place::new());
    let url = server.url("/a");
    assert_eq!(place.run(["-o", "file", &url]).status.code(), Some(18));
    server.request();
    place.write("file.part", "begun ende and more");
    let why = "file.part: it is longer than the file: starting again";
    assert_ends(&place.run(["-C", "-o", "file", &url]), 0, &[why]);
    assert!(!server.request().contains("Range:"));
}

#[test]
fn first_download_needs_nothing_to_continue() {
    let (server, place) = (Server::new([NEW]), Place::new());
    assert_ends(&place.run(["-C", "-O", &server.url("/a")]), 0, &[]);
    assert!(!server.request().contains("Range:"));
    place.assert_has(&[("a", "new")]);
}

// R9110-15.3.7
#[test]
fn shorter_part_is_followed_by_a_request_for_the_rest() {
    let part = |from: usize, to: usize| {
        let rest = &"begun ende"[from..=to];
        format!("HTTP/1.0 206 \r\nContent-Range: bytes {from}-{to}/10\r\nContent-Length: {}\r\n\r\n{rest}", rest.len())
    };
    let replies = [CUT, &part(5, 6), &part(7, 7), &part(8, 9)];
    let (server, _) = assert_second_run(&replies, 0, &[], &[("file", "begun ende")]);
    for from in [5, 7, 8] {
        assert!(server.request().contains(&format!("\r\nRange: bytes={from}-\r\n")));
    }
}

#[test]
fn part_that_is_longer_than_it_says_is_invalid() {
    let long = "HTTP/1.0 206 \r\nContent-Range: bytes 5-9/10\r\n\r\n ende and more";
    let files = [("file.part", "begun"), ("file.part.meta", "")];
    assert_second_run(&[CUT, long], 8, &["the response is longer than its Content-Range says"], &files);
}

#[test]
fn part_is_accepted_only_if_it_was_asked_for() {
    let without_range = "HTTP/1.0 206 Partial Content\r\nContent-Length: 5\r\n\r\n ende";
    for part in [REST, without_range] {
        let (server, place) = (Server::new([part; 6]), Place::new());
        let url = server.url("/a");
        assert_ends(&place.run(["-o", "file", &url]), 8, &["the server sent a part unasked"]);
        place.assert_has(&[]);
        // What is shown is no success, either.
        for arguments in [&[&*url][..], &["-o", "/dev/fd/1", &url]] {
            let output = place.run(arguments);
            assert_ends(&output, 8, &["the server sent a part unasked"]);
            assert_eq!(output.stdout, b" ende");
        }
        for arguments in [&["-o", "file"][..], &["-o", "/dev/null"], &[]] {
            assert_ends(&place.run(arguments.iter().chain(&["-H", "Range: bytes=5-", &url])), 0, &[]);
        }
        place.assert_has(&[("file", " ende")]);
    }
}

// R9110-15.3.7.1
#[test]
fn part_without_content_range_is_never_appended() {
    let without_range = "HTTP/1.0 206 Partial Content\r\nContent-Length: 5\r\nETag: \"v\"\r\n\r\n ende";
    let why = "file.part: the server sent no valid Content-Range: starting again";
    // Then the complete file is requested. If that brings a part, too, what was received stays.
    assert_second_run(&[CUT, without_range, NEW], 0, &[why], &[("file", "new")]);
    let files = [("file.part", "begun"), ("file.part.meta", "")];
    let lines = [why, "the server sent a part unasked"];
    assert_second_run(&[CUT, without_range, without_range], 8, &lines, &files);
    let (server, place) = (Server::new([CUT, without_range, NEW]), Place::new());
    assert_ends(&place.run(["--retry=1", "-o", "file", &server.url("/a")]), 0, &[why]);
    place.assert_has(&[("file", "new")]);
}

#[test]
fn continue_with_a_range_of_ones_own_is_refused() {
    let (server, place) = (Server::new([NEW]), Place::new());
    let url = server.url("/a");
    for arguments in [
        &["-C", "-o", "f", "-H", "Range: bytes=5-"][..],
        &["-C", "-O", "-H", "range:bytes=0-1"],
        &["-C", "-o", "f", "-H", "If-Range: \"v\""],
        &["-C", "-o", "f", "-d", "x"],
        &["-C", "-o", "f", "-X", "PUT"],
        &["-C"],
        &["-C", "-o", "-"],
        &["-C", "-o", "/dev/null"],
        &["-C", "-o", "/dev/fd/1"],
        &["-o", ""],
        &["--force"],
        &["-o", "f", "-O"],
    ] {
        let output = place.run(arguments.iter().chain(&[url.as_str()]));
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
    }
    server.assert_no_request();
    place.assert_has(&[]);
}

#[test]
fn retry_asks_for_what_is_missing() {
    let cut_rest = "HTTP/1.0 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n en";
    let rest = "HTTP/1.0 206 Partial Content\r\nContent-Range: bytes 8-9/10\r\nContent-Length: 2\r\n\r\nde";
    let (server, place) = (Server::new([CUT, cut_rest, rest]), Place::new());
    assert_ends(&place.run(["--retry=2", "-o", "file", &server.url("/a")]), 0, &[]);
    place.assert_has(&[("file", "begun ende")]);
    assert!(!server.request().contains("Range:"));
    assert!(is_range(&server.request(), "\"v\""));
    assert!(server.request().contains("\r\nRange: bytes=8-\r\n"));
}

#[test]
fn retries_are_counted_together() {
    const BUSY: &str = "HTTP/1.0 503 Busy\r\nRetry-After: 0\r\n\r\n";
    let (server, place) = (Server::new([BUSY, CUT, BUSY, REST]), Place::new());
    let url = server.url("/a");
    assert_ends(&place.run(["--retry=2", "-o", "file", &url]), 5, &["503 Busy"]);
    place.assert_has(&[("file.part", "begun"), ("file.part.meta", "")]);
    assert_ends(&place.run(["-C", "--retry=2", "-o", "file", &url]), 0, &[]);
}

#[test]
fn retry_starts_again_without_a_validator() {
    let cut = "HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nbegun";
    let (server, place) = (Server::new([cut, NEW]), Place::new());
    let why = "file.part: the server sent no strong validator: starting again";
    assert_ends(&place.run(["--retry=1", "-o", "file", &server.url("/a")]), 0, &[why]);
    place.assert_has(&[("file", "new")]);
}

#[test]
fn post_is_not_repeated() {
    let (server, place) = (Server::new([CUT, NEW]), Place::new());
    let output = place.run(["--retry=3", "-X", "POST", "-o", "file", &server.url("/a")]);
    assert_ends(&output, 18, &["file.part has 5 bytes"]);
    server.request();
    server.assert_no_request();

    let see_other = "HTTP/1.0 303 See Other\r\nLocation: /b\r\n\r\n";
    let (server, place) = (Server::new([see_other, CUT, NEW]), Place::new());
    let output = place.run(["--retry=3", "-L", "-d", "x", "-o", "file", &server.url("/a")]);
    assert_ends(&output, 18, &["file.part has 5 bytes"]);
    assert!(server.request().starts_with("POST /a ") && server.request().starts_with("GET /b "));
    server.assert_no_request();
}

#[test]
fn retries_end_with_the_total_time() {
    let server = Server::new([Reply::new(CUT).stall(), Reply::new(REST).stall()]);
    let place = Place::new();
    let start = Instant::now();
    let options = ["--retry=9", "--idle-timeout=1", "--max-time=1.9", "-o", "file"];
    assert_ends(&place.run(options.iter().chain(&[server.url("/a").as_str()])), 28, &["receiving the body timed out"]);
    assert!(start.elapsed() < Duration::from_secs(19), "the second of waiting that a retry needs was not left");
    place.assert_has(&[("file.part", "begun"), ("file.part.meta", "")]);
}

#[test]
fn killed_download_goes_on() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let (server, place) = (Server::new([Reply::new(CUT).stall(), REST.into()]), Place::new());
        let url = server.url("/a");
        let mut child = place.command(["-o", "file", &url]).stderr(Stdio::null()).spawn().unwrap();
        place.await_length("file.part", 5);
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(signal.as_raw()));
        place.assert_has(&[("file.part", "begun"), ("file.part.meta", "")]);
        assert_ends(&place.run(["-C", "-o", "file", &url]), 0, &[]);
        place.assert_has(&[("file", "begun ende")]);
    }
}

// R9110-8.8.3, R9110-13.1.5
#[test]
fn server_of_files_sends_the_rest_of_the_same_version_only() {
    let (root, place) = (Place::new(), Place::new());
    let running = FileServer::bind(("127.0.0.1", 0)).unwrap().threads(2);
    let running = running.start(Files::new(root.0.path()).unwrap()).unwrap();
    let url = format!("http://{}/file", running.local_addrs()[0]);
    let content = |seed: usize| (0..1 << 20).map(|n| char::from(b'a' + (n * n / 77 + seed) as u8 % 26)).collect();
    let (old, new): (String, String) = (content(0), content(1));
    for (content, lines) in [(&old, &[][..]), (&new, &["file.part: the server sent the complete file: starting again"])]
    {
        root.write("file", &old);
        // A file that has just changed has a weak tag.
        let start = Instant::now();
        let is_weak = || {
            let response = Client::new().head(&url).send().unwrap();
            response.header(header::ETAG).unwrap().as_bytes().starts_with(b"W/")
        };
        while is_weak() {
            assert!(start.elapsed() < Duration::from_secs(60));
            thread::sleep(Duration::from_millis(50));
        }
        let output = place.shell(r#"trap '' XFSZ; ulimit -f 512; exec "$0" -o file "$1""#, &[&url]);
        assert_ends(&output, 23, &["file.part has 524288 bytes (--continue goes on)"]);
        if content != &old {
            root.write("file", content);
        }
        assert_ends(&place.run(["-C", "-o", "file", &url]), 0, lines);
        place.assert_has(&[("file", content)]);
    }
    running.shutdown_handle().shut_down();
}
