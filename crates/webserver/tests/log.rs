//! The access log: formats, file, end reasons, and the client behind a proxy.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use http_server::http_core::Status;
use http_server::{Action, Body, Log, LogFormat, Request, Response, Server, Timeouts};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::process::{Resource, Rlimit, Signal, prlimit};
use serde_json::Value;
use tempfile::TempDir;

use support::{
    EmbeddedServer, Program, connect, exchange, fetch, get, keep_alive, output_of, read_response, read_to_end, send,
    wait_until,
};

/// Far more than socket buffers hold.
const LARGE: u64 = 64 << 20;

/// A directory to serve, and another one for the log.
struct Site {
    root: TempDir,
    logs: TempDir,
}

impl Site {
    fn new() -> Site {
        let root = TempDir::new().unwrap();
        fs::write(root.path().join("small"), "small").unwrap();
        File::create(root.path().join("large")).unwrap().set_len(LARGE).unwrap();
        Site { root, logs: TempDir::new().unwrap() }
    }

    fn log(&self) -> PathBuf {
        self.logs.path().join("access.log")
    }

    /// Starts the program with the log in the file.
    fn serve(&self, options: &[&str]) -> Program {
        let log = self.log();
        Program::start(self.root.path(), &[&["--log-file", log.to_str().unwrap()], options].concat())
    }

    fn lines(&self) -> Vec<String> {
        lines(&self.log())
    }

    /// The objects in the log, once there are `count` of them.
    fn objects(&self, count: usize) -> Vec<Value> {
        wait_until("the lines are written", || self.lines().len() >= count);
        let lines = self.lines();
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

const REQUEST: &[u8] = b"GET /small HTTP/1.0\r\nReferer: http://a/\r\nUser-Agent: me \"1\"\r\n\
    Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";

/// A line without its date.
fn undated(line: &str) -> String {
    let (begin, rest) = line.split_once('[').unwrap();
    let (date, end) = rest.split_once(']').unwrap();
    assert_eq!(date.len(), "06/Nov/1994:08:49:37 +0000".len(), "{line}");
    format!("{begin}[]{end}")
}

/// The messages after those of the startup.
fn messages_after_startup(messages: &str) -> Vec<&str> {
    messages.lines().skip_while(|line| *line != "webserver: Press Ctrl-C to stop").skip(1).collect()
}

#[test]
fn each_format_has_its_fields() {
    for (format, expected) in [
        ("common", r#"127.0.0.1 - Aladdin [] "GET /small HTTP/1.0" 200 5"#),
        ("combined", r#"127.0.0.1 - Aladdin [] "GET /small HTTP/1.0" 200 5 "http://a/" "me \"1\"""#),
    ] {
        let site = Site::new();
        let program = site.serve(&["--log-format", format]);
        exchange(program.address(), REQUEST);
        assert_eq!(read_to_end(&mut send(program.address(), b"GET /small\r\n")).unwrap(), b"small");
        let messages = program.finish();
        assert_eq!(messages_after_startup(&messages).len(), 1, "only the final statistics: {messages}");
        let lines: Vec<String> = site.lines().iter().map(|line| undated(line)).collect();
        let dashes = if format == "combined" { r#" "-" "-""# } else { "" };
        assert_eq!(lines, [expected.to_owned(), format!(r#"127.0.0.1 - - [] "GET /small" 200 5{dashes}"#)]);
    }
    let site = Site::new();
    let program = site.serve(&["--log-format", "json"]);
    exchange(program.address(), REQUEST);
    program.finish();
    let object = site.objects(1).remove(0);
    let expected = [
        ("client", Value::from("127.0.0.1")),
        ("user", "Aladdin".into()),
        ("method", "GET".into()),
        ("path", "/small".into()),
        ("query", Value::Null),
        ("request", "GET /small HTTP/1.0".into()),
        ("status", 200.into()),
        ("sent", 5.into()),
        ("end", "complete".into()),
        ("referer", "http://a/".into()),
        ("user_agent", "me \"1\"".into()),
    ];
    for (name, value) in &expected {
        assert_eq!(object[name], *value, "{name}");
    }
    assert_eq!(object.as_object().unwrap().len(), expected.len() + 2, "{object}");
    assert!(object["duration_us"].as_u64().unwrap() < 10_000_000);
    assert!(object["time"].as_str().unwrap().ends_with('Z'));
    assert!(!fs::read_to_string(site.log()).unwrap().contains("sesame"));
}

#[test]
fn log_format_off_creates_no_file() {
    let site = Site::new();
    let program = site.serve(&["--log-format", "off"]);
    get(program.address(), "/small");
    assert_eq!(messages_after_startup(&program.finish()).len(), 1);
    assert!(!site.log().exists());
}

// R1945-12.3, V16: in any part of a request.
#[test]
fn v16_bytes_of_a_client_cannot_forge_a_line() {
    let bytes: Vec<u8> = (1..=255).filter(|c| !b"\r\n".contains(c)).collect();
    let value: Vec<u8> = bytes.iter().copied().filter(|&c| c == b'\t' || (c >= b' ' && c != 0x7f)).collect();
    let header = |name: &str| [name.as_bytes(), b": x", &value, b"x\r\n"].concat();
    let base64 = "eFwiIFsgfl0gIFx4MGE6cA=="; // x\" [ ~]  \x0a:p
    let requests = [
        [b"GET /", &bytes[..], b" HTTP/1.0\r\n\r\n"].concat(),
        [&bytes[..], b"\r\n\r\n"].concat(),
        [b"GET / HTTP/1.0\r\n", &header("Referer")[..], &header("User-Agent"), b"\r\n"].concat(),
        format!("GET / HTTP/1.0\r\nAuthorization: Basic {base64}\r\n\r\n").into_bytes(),
        [b"GET / HTTP/1.0\r\n", &header("X-Forwarded-For")[..], b"\r\n"].concat(),
    ];
    for format in ["common", "combined", "json"] {
        let site = Site::new();
        let program = site.serve(&["--log-format", format, "--trust-proxy", "127.0.0.1"]);
        for request in &requests {
            exchange(program.address(), request);
        }
        program.finish();
        let log = fs::read(site.log()).unwrap();
        assert!(log.iter().all(|c| matches!(c, b' '..=b'~' | b'\n')), "{}", log.escape_ascii());
        assert_eq!(site.lines().len(), requests.len(), "{format}");
        if format == "json" {
            let objects = site.objects(requests.len());
            let latin: String = value.iter().map(|&c| char::from(c)).collect();
            assert_eq!(objects[2]["referer"], format!("x{latin}x"));
            assert_eq!(objects[3]["user"], "x\\\" [ ~]  \\x0a");
        } else {
            assert!(
                site.lines()[3].starts_with(r#"127.0.0.1 - x\\\"\x20[\x20~]\x20\x20\\x0a ["#),
                "{:?}",
                site.lines()
            );
        }
    }
}

/// The log entry of the one request that the function sends.
fn log_entry(options: &[&str], request: impl FnOnce(SocketAddr, Program) -> Option<Program>) -> Value {
    let site = Site::new();
    let program = site.serve(&[&["--log-format", "json"], options].concat());
    if let Some(program) = request(program.address(), program) {
        wait_until("the line is written", || !site.lines().is_empty());
        program.finish();
    }
    site.objects(1).remove(0)
}

fn end_and_status(object: &Value) -> (&str, u64) {
    (object["end"].as_str().unwrap(), object["status"].as_u64().unwrap())
}

#[test]
fn finished_response_is_logged_as_complete() {
    for (request, status) in [(&b"GET /small HTTP/1.0\r\n\r\n"[..], 200), (b"nonsense\r\n\r\n", 400)] {
        let object = log_entry(&[], |address, program| {
            exchange(address, request);
            Some(program)
        });
        assert_eq!(end_and_status(&object), ("complete", status));
    }
}

#[test]
fn disconnect_is_logged_as_client_abort() {
    let in_request = log_entry(&[], |address, program| {
        let mut stream = send(address, b"GET /small HTTP/1.0\r\nA");
        stream.shutdown(Shutdown::Write).unwrap();
        read_to_end(&mut stream).unwrap();
        Some(program)
    });
    assert_eq!(end_and_status(&in_request), ("client-abort", 400));
    assert_eq!(in_request["request"], "GET /small HTTP/1.0");
    let in_response = log_entry(&[], |address, program| {
        let mut stream = send(address, b"GET /large HTTP/1.0\r\n\r\n");
        stream.read_exact(&mut [0; 1000]).unwrap();
        drop(stream); // with bytes unread: a reset
        Some(program)
    });
    assert_eq!(end_and_status(&in_response), ("client-abort", 200));
    assert!(in_response["sent"].as_u64().unwrap() < LARGE, "{in_response}");
}

#[test]
fn late_head_is_logged_as_head_timeout() {
    let object = log_entry(&["--header-timeout", "0.3"], |address, program| {
        read_to_end(&mut send(address, b"GET /small HTTP/1.0\r\nA")).unwrap();
        Some(program)
    });
    assert_eq!(end_and_status(&object), ("head-timeout", 408));
    assert!((300_000..10_000_000).contains(&object["duration_us"].as_u64().unwrap()), "{object}");
}

// From the first byte of the request, however its head comes, and finer than the kernel's tick of some milliseconds.
#[test]
fn duration_is_in_microseconds_and_begins_with_the_request() {
    let site = Site::new();
    let program = site.serve(&["--log-format", "json"]);
    let mut stream = connect(program.address());
    let mut request = |first: &[u8], pause: u64, rest: &[u8]| {
        stream.write_all(first).unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        stream.write_all(rest).unwrap();
        assert_eq!(read_response(&mut stream).status, 200);
    };
    let whole = keep_alive("/small?a=b");
    for _ in 0..20 {
        request(&whole, 0, b"");
    }
    std::thread::sleep(Duration::from_millis(500)); // between two requests, which belongs to neither
    request(&whole, 0, b"");
    request(&whole[..10], 100, &whole[10..]);
    request(&whole[..whole.len() - 1], 100, &whole[whole.len() - 1..]);
    drop(stream);
    program.finish();
    let objects = site.objects(23);
    let durations: Vec<u64> = objects.iter().map(|object| object["duration_us"].as_u64().unwrap()).collect();
    assert!(durations.iter().any(|duration| duration % 1000 != 0), "{durations:?}");
    assert!(durations.iter().min().unwrap() < &10_000 && durations[20] < 500_000, "{durations:?}");
    assert!(durations[21..].iter().all(|duration| (50_000..10_000_000).contains(duration)), "{durations:?}");
    let expected = ("GET".into(), "/small".into(), "a=b".into());
    assert!(objects.iter().all(
        |object| (&object["method"], &object["path"], &object["query"]) == (&expected.0, &expected.1, &expected.2)
    ));
}

/// The log entry of the one request to this handler.
fn embedded_log_entry(
    configure: impl FnOnce(Server) -> Server,
    handler: fn(&Request<'_>) -> Action,
    request: impl FnOnce(SocketAddr),
) -> Value {
    let site = Site::new();
    let log = Log::to_file(LogFormat::Json, &site.log()).unwrap();
    let server = EmbeddedServer::start(|server| configure(server).log(log), handler);
    request(server.address());
    wait_until("the line is written", || !site.lines().is_empty());
    server.finish();
    site.objects(1).remove(0)
}

// The minimum rate is so high that the bytes sent earn no time.
#[test]
fn late_body_is_logged_as_body_timeout() {
    let timeouts = Timeouts { min_rate: 1 << 30, ..Timeouts::default() };
    let object = embedded_log_entry(
        |server| server.timeouts(timeouts),
        |_| Action::collect_body(64 << 10, |_| Response::text("")),
        |address| {
            let mut stream = send(address, b"POST / HTTP/1.0\r\nContent-Length: 9\r\n\r\nfew");
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            assert!(read_to_end(&mut stream).unwrap().starts_with(b"HTTP/1.0 408 "));
        },
    );
    assert_eq!(end_and_status(&object), ("body-timeout", 408));
}

#[test]
fn unread_response_is_logged_as_slow_send() {
    let timeouts = Timeouts { min_rate: 1 << 30, ..Timeouts::default() };
    let endless = |_: &Request<'_>| {
        let body = Body::Reader { reader: Box::new(std::io::repeat(b'x')), length: Some(1 << 40) };
        Response::empty(Status::OK).body(body).into()
    };
    let site = Site::new();
    let log = Log::to_file(LogFormat::Json, &site.log()).unwrap();
    let server =
        EmbeddedServer::start(|server| server.timeouts(timeouts).log(log), endless as fn(&Request<'_>) -> Action);
    let _stream = send(server.address(), b"GET / HTTP/1.0\r\n\r\n");
    let deadline = Instant::now() + Duration::from_secs(60); // a response has 10 s
    while server.running().stats().timed_out == 0 {
        assert!(Instant::now() < deadline, "the server still waits for the client");
        std::thread::sleep(Duration::from_millis(50));
    }
    server.finish();
    assert_eq!(end_and_status(&site.objects(1)[0]), ("slow-send", 200));
}

#[test]
fn request_over_connection_limit_is_logged_as_no_room() {
    let site = Site::new();
    let program = site.serve(&["--log-format", "json", "--max-connections", "1"]);
    let mut first = send(program.address(), b"GET /small HTTP/1.0\r\nA");
    let mut second = send(program.address(), b"GET /small HTTP/1.0\r\n\r\n");
    assert!(read_to_end(&mut second).unwrap().starts_with(b"HTTP/1.0 503 "));
    first.write_all(b": b\r\n\r\n").unwrap();
    read_to_end(&mut first).unwrap();
    program.finish();
    let objects = site.objects(2);
    assert_eq!((end_and_status(&objects[0]), end_and_status(&objects[1])), (("no-room", 503), ("complete", 200)));
}

#[test]
fn response_over_memory_budget_is_logged_as_unread() {
    let site = Site::new();
    let log = Log::to_file(LogFormat::Json, &site.log()).unwrap();
    let large = |_: &Request<'_>| Response::text("x".repeat(65 << 20));
    let server = EmbeddedServer::start(|server| server.threads(1).log(log), large);
    let mut first = send(server.address(), b"GET / HTTP/1.0\r\n\r\n");
    first.read_exact(&mut [0; 1000]).unwrap();
    let second = read_to_end(&mut send(server.address(), b"GET /second HTTP/1.0\r\n\r\n")).unwrap();
    assert!(second.len() < 65 << 20);
    let object = site.objects(1).remove(0);
    assert_eq!((end_and_status(&object), object["request"].as_str()), (("unread", 200), Some("GET /second HTTP/1.0")));
    drop(first);
    server.finish();
}

#[test]
fn response_cut_off_by_shutdown_timeout_is_logged_as_shutdown() {
    let object = log_entry(&["--shutdown-timeout", "0.2"], |address, program| {
        let mut stream = send(address, b"GET /large HTTP/1.0\r\n\r\n");
        stream.read_exact(&mut [0; 1000]).unwrap();
        program.finish();
        None
    });
    assert_eq!(end_and_status(&object), ("shutdown", 200));
}

#[test]
fn failing_reader_is_logged_as_failed() {
    let object = embedded_log_entry(
        |server| server,
        |_| {
            let body = Body::Reader { reader: Box::new(&b"too little"[..]), length: Some(100) };
            Response::empty(Status::OK).body(body).into()
        },
        |address| drop(read_to_end(&mut send(address, b"GET / HTTP/1.0\r\n\r\n"))),
    );
    assert_eq!((end_and_status(&object), object["sent"].as_u64()), (("failed", 200), Some(10)));
}

#[test]
fn sighup_reopens_file_and_loses_no_line() {
    let site = Site::new();
    let program = site.serve(&[]);
    let mode = || fs::metadata(site.log()).unwrap().mode() & 0o777;
    assert_eq!(mode() & !0o640, 0, "other users cannot read it");
    let mut stream = connect(program.address());
    let mut expected = Vec::new();
    for turn in 0..4 {
        for n in 0..50 {
            stream.write_all(&keep_alive(&format!("/{turn}/{n}"))).unwrap();
            assert_eq!(read_response(&mut stream).status, 404);
            expected.push(format!("GET /{turn}/{n} HTTP/1.0"));
        }
        if turn < 3 {
            fs::rename(site.log(), site.logs.path().join(format!("old.{turn}"))).unwrap();
            program.signal(Signal::HUP);
            wait_until("there is a new file", || site.log().exists());
            assert_eq!(mode() & !0o640, 0);
        }
    }
    program.finish();
    let files = ["old.0", "old.1", "old.2", "access.log"].map(|name| lines(&site.logs.path().join(name)));
    assert!(files.iter().all(|lines| !lines.is_empty()), "{files:?}");
    let named: Vec<&str> = files.iter().flatten().map(|line| line.split('"').nth(1).unwrap()).collect();
    assert_eq!(named, expected);
}

#[test]
fn failed_reopening_keeps_old_file() {
    let site = Site::new();
    let mut plain = Program::start(site.root.path(), &[]);
    plain.signal(Signal::HUP);
    let mut program = site.serve(&[]);
    let moved = site.logs.path().join("moved");
    fs::rename(site.log(), &moved).unwrap();
    fs::create_dir(site.log()).unwrap();
    program.signal(Signal::HUP);
    wait_until("the error is reported", || program.messages().contains("cannot reopen the access log"));
    get(program.address(), "/small");
    assert_eq!((plain.wait(Duration::ZERO), program.wait(Duration::ZERO)), (None, None));
    wait_until("the log continues in the old file", || lines(&moved).len() == 1);
    // Once the obstacle is gone, the file is reopened without another signal.
    fs::remove_dir(site.log()).unwrap();
    while !site.log().is_file() {
        get(program.address(), "/small");
    }
    let messages = program.finish();
    assert_eq!(messages.matches("cannot reopen the access log").count(), 1, "{messages}");
    get(plain.address(), "/small");
    assert!(messages_after_startup(&plain.finish())[0].starts_with("127.0.0.1 - - ["));
}

#[test]
fn lines_are_written_soon_and_appended() {
    let site = Site::new();
    let program = site.serve(&[]);
    get(program.address(), "/small");
    wait_until("the line is written before the shutdown", || site.lines().len() == 1);
    // A new program appends.
    program.finish();
    let program = site.serve(&[]);
    get(program.address(), "/small");
    program.finish();
    assert_eq!(site.lines().len(), 2);
}

#[test]
fn full_device_loses_lines_only() {
    let site = Site::new();
    symlink("/dev/full", site.log()).unwrap();
    let program = site.serve(&[]);
    for _ in 0..20 {
        assert_eq!(get(program.address(), "/small").text(), "small");
        std::thread::sleep(Duration::from_millis(10)); // so that there are several writes
    }
    let messages = program.finish();
    let [first, last] = messages_after_startup(&messages)[..] else { panic!("{messages}") };
    assert!(first.starts_with("webserver: cannot write the access log: No space left on device"), "{messages}");
    assert!(last.ends_with("; 20 log lines lost"), "{messages}");
}

// A limit of the file size simulates a disk that is full and later has space again. The last line is cut at the limit.
#[test]
fn full_disk_blocks_nothing_and_splits_no_line() {
    let site = Site::new();
    let program = site.serve(&[]);
    let limit = |bytes: Option<u64>| {
        prlimit(Some(program.pid()), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    };
    let line = format!("/{}", "x".repeat(100));
    let ask = |count: usize| (0..count).for_each(|_| assert_eq!(get(program.address(), &line).status, 404));
    // More bytes than on standard error, which is a file here and has the same limit.
    ask(40);
    wait_until("the lines are written", || site.lines().len() == 40);
    for round in 1..=2 {
        let length = fs::metadata(site.log()).unwrap().len();
        limit(Some(length + 50));
        let failures = || program.messages().matches("cannot write the access log: File too large").count();
        while failures() < round {
            ask(5);
            std::thread::sleep(Duration::from_millis(20));
        }
        ask(5);
        limit(None);
        let again = || program.messages().matches("the access log can be written again; ").count();
        while again() < round {
            ask(1);
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!((failures(), again()), (round, round), "{}", program.messages());
    }
    let messages = program.finish();
    assert!(messages.lines().last().unwrap().ends_with(" log lines lost"), "{messages}");
    assert_eq!(messages_after_startup(&messages).len(), 5, "{messages}");
    let expected = format!("127.0.0.1 - - [] \"GET {line} HTTP/1.0\" 404 ");
    let lines = site.lines();
    assert!(lines.len() >= 5 && lines.iter().all(|line| undated(line).starts_with(&expected)), "{lines:#?}");
}

// An administrator rotates the log when the disk is full. The process cannot read the log to see whether its last line
// is complete.
#[test]
fn sighup_with_partial_line_appends_nothing_to_it() {
    let site = Site::new();
    let program = site.serve(&[]);
    let limit = |bytes: Option<u64>| {
        prlimit(Some(program.pid()), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    };
    let line = format!("/{}", "x".repeat(100));
    let ask = || assert_eq!(get(program.address(), &line).status, 404);
    (0..40).for_each(|_| ask());
    wait_until("the lines are written", || site.lines().len() == 40);
    limit(Some(fs::metadata(site.log()).unwrap().len() + 50));
    ask();
    wait_until("the disk is full", || program.messages().contains("cannot write the access log"));
    program.signal(Signal::HUP);
    std::thread::sleep(Duration::from_millis(200)); // the reopening cannot be observed
    limit(None);
    ask();
    wait_until("the log is written again", || program.messages().contains("the access log can be written again"));
    program.finish();
    let expected = format!("127.0.0.1 - - [] \"GET {line} HTTP/1.0\" 404 ");
    let lines = site.lines();
    assert!(lines.iter().all(|line| undated(line).starts_with(&expected)), "{lines:#?}");
    assert_eq!(lines.len(), 42);
}

#[test]
fn startup_fails_if_log_file_cannot_be_opened() {
    let site = Site::new();
    let log = site.logs.path().join("missing/log");
    let output = output_of(&["--port", "0", "--log-file", log.to_str().unwrap(), site.root.path().to_str().unwrap()]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}

#[test]
fn log_continues_after_server_is_detached() {
    let site = Site::new();
    let log = Log::to_file(LogFormat::Common, &site.log()).unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().log(log);
    let running = server.start(|_: &Request<'_>| Response::text("here\n")).unwrap();
    let (address, shutdown) = (running.local_addrs()[0], running.shutdown_handle());
    running.detach();
    for count in 1..=2 {
        assert_eq!(get(address, "/").text(), "here\n");
        wait_until("the line is written", || site.lines().len() == count);
    }
    shutdown.shut_down();
}

// Otherwise the open would block until there is a reader.
#[test]
fn startup_fails_if_log_pipe_has_no_reader() {
    let site = Site::new();
    let log = site.log();
    mknodat(CWD, &log, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let arguments = ["--port", "0", "--log-file", log.to_str().unwrap(), site.root.path().to_str().unwrap()];
    let output = output_of(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let reader = File::from(open(&log, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap());
    let program = site.serve(&[]);
    get(program.address(), "/small");
    program.finish();
    let mut text = String::new();
    (&reader).read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn log_behind_symlink_is_reopened_at_its_target() {
    let site = Site::new();
    let target = TempDir::new().unwrap();
    let (real, moved) = (target.path().join("real"), target.path().join("moved"));
    symlink(&real, site.log()).unwrap();
    let program = site.serve(&[]);
    get(program.address(), "/small");
    wait_until("the line is written", || lines(&real).len() == 1);
    fs::rename(&real, &moved).unwrap();
    program.signal(Signal::HUP);
    let mut requests = 1;
    wait_until("lines are written to a new file", || {
        get(program.address(), "/small");
        requests += 1;
        !lines(&real).is_empty()
    });
    program.finish();
    assert_eq!(lines(&moved).len() + lines(&real).len(), requests);
}

// The handler and the log have the same client.
#[test]
fn x_forwarded_for_is_used_from_trusted_proxies_only() {
    let client_and_peer =
        |request: &Request<'_>| Response::text(format!("{} by {}", request.client_ip(), request.peer_addr().ip()));
    let headers = "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.1, 10.0.0.1\r\n";
    for (trusted, client) in [
        (&[][..], "127.0.0.1"),
        (&["127.0.0.1"], "10.0.0.1"),
        (&["127.0.0.0/8", "10.0.0.0/8"], "192.0.2.1"),
        (&["10.0.0.0/8", "unix"], "127.0.0.1"),
    ] {
        let site = Site::new();
        let log = Log::to_file(LogFormat::Json, &site.log()).unwrap();
        let proxies: Vec<_> = trusted.iter().map(|proxy| proxy.parse().unwrap()).collect();
        let server = EmbeddedServer::start(|server| server.log(log).trust_proxies(proxies), client_and_peer);
        assert_eq!(fetch(server.address(), "GET", "/", headers).text(), format!("{client} by 127.0.0.1"));
        server.finish();
        let object = site.objects(1).remove(0);
        assert_eq!(object["client"], client);
        assert_eq!(object.get("peer"), (client != "127.0.0.1").then_some(&Value::from("127.0.0.1")));
    }
    let site = Site::new();
    let program = site.serve(&["--trust-proxy", "127.0.0.0/8", "--trust-proxy", "10.0.0.0/8"]);
    fetch(program.address(), "GET", "/small", headers);
    program.finish();
    assert!(site.lines()[0].starts_with("192.0.2.1 - - ["), "{:?}", site.lines());
}
