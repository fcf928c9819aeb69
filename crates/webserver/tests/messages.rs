//! Messages on standard error, as text and as JSON objects, and the causes of failures in them and in the log.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use http_server::http_core::Status;
use http_server::{Action, Body, Log, LogFormat, Request, Response, Server};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};
use serde_json::Value;
use tempfile::TempDir;

use support::{
    EmbeddedServer, Hold, PROGRAM, Program, ProgramWithDisk, connect, directory, exchange, get, keep_alive,
    output_of_command, read_response, read_to_end, send, wait_until,
};

/// The objects of these lines, all of which are valid JSON of printable ASCII.
fn objects(lines: &str) -> Vec<Value> {
    assert!(lines.bytes().all(|c| matches!(c, b' '..=b'~' | b'\n')), "{lines:?}");
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The levels and texts of messages, which have nothing else but a time.
fn messages(objects: &[Value]) -> Vec<(&str, &str)> {
    let message = |object: &Value| {
        assert_eq!(object.as_object().unwrap().len(), 3, "{object}");
        let time = object["time"].as_str().unwrap();
        assert!(time.len() == "1994-11-06T08:49:37Z".len() && time.starts_with("20") && time.ends_with('Z'), "{time}");
    };
    objects.iter().for_each(message);
    objects.iter().map(|object| (object["level"].as_str().unwrap(), object["message"].as_str().unwrap())).collect()
}

fn requests(objects: &[Value]) -> Vec<&Value> {
    objects.iter().filter(|object| object.get("request").is_some()).collect()
}

fn log_file(directory: &TempDir) -> (PathBuf, [String; 4]) {
    let path = directory.path().join("access.log");
    let options = ["--log-format", "json", "--log-file", path.to_str().unwrap()].map(String::from);
    (path, options)
}

// At the start, while it serves, and at the end, wherever the log goes.
#[test]
fn messages_are_json_objects_with_the_json_log() {
    let (root, logs) = (directory(), TempDir::new().unwrap());
    let (path, [format, json, file, log]) = &log_file(&logs);
    let options = [&**format, json, file, log, "--metrics", "127.0.0.1:0"];
    let program = Program::start(root.path(), &options);
    get(program.address(), "/small");
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
    program.signal(Signal::HUP);
    wait_until("the error is reported", || program.messages().contains("cannot reopen the access log"));
    let objects = objects(&program.finish());
    let mut expected = vec![
        ("info", "serving the directory "),
        ("info", "metrics at http://127.0.0.1:"),
        ("info", "requests cannot leave the directory"),
        ("error", "cannot reopen the access log: Is a directory"),
        ("info", "1 connection: 1 completed, "),
    ];
    if rustix::process::geteuid().is_root() {
        expected.insert(0, ("warning", "running as root"));
    }
    let messages = messages(&objects);
    assert_eq!(messages.len(), expected.len(), "{messages:#?}");
    for ((level, message), (expected_level, start)) in messages.into_iter().zip(expected) {
        assert!(level == expected_level && message.starts_with(start), "{level} {message}");
    }
}

#[test]
fn messages_are_objects_between_those_of_requests_on_standard_error() {
    let program = Program::start(directory().path(), &["--log-format", "json"]);
    exchange(program.address(), b"GET /\"\xff\x1b HTTP/1.0\r\n\r\n");
    let objects = objects(&program.finish());
    assert_eq!(requests(&objects)[0]["request"], "GET /\"\u{ff}\u{1b} HTTP/1.0");
    let others: Vec<Value> = objects.into_iter().filter(|object| object.get("request").is_none()).collect();
    assert!(messages(&others).last().unwrap().1.starts_with("1 connection: "));
}

#[test]
fn messages_are_text_with_other_formats() {
    let logs = TempDir::new().unwrap();
    let log = logs.path().join("log");
    for format in ["common", "combined", "off"] {
        let program =
            Program::start(directory().path(), &["--log-format", format, "--log-file", log.to_str().unwrap()]);
        get(program.address(), "/small");
        let messages = program.finish();
        assert!(messages.lines().all(|line| line.starts_with("webserver: ")), "{messages}");
    }
}

#[test]
fn failed_start_is_a_json_object_with_the_json_log() {
    let output = output_of_command(Command::new(PROGRAM).args(["--log-format", "json", "/no/such\n\u{e9}\"directory"]));
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]));
    let objects = objects(str::from_utf8(&output.stderr).unwrap());
    let expected = "cannot serve \"/no/such\\n\u{e9}\\\"directory\": no such directory or file (give what to serve: webserver ROOT)";
    assert_eq!(messages(&objects), [("error", expected)]);
}

#[test]
fn ready_lines_are_the_same_in_every_format() {
    for format in ["common", "combined", "json", "off"] {
        let program = Program::start(directory().path(), &["--log-format", format]);
        assert_eq!(program.ready(), [format!("listening on http://{}/", program.address())]);
    }
}

// The line at the end about what still holds a thread.
#[test]
fn held_requests_are_named_in_a_json_object() {
    let options = ["--threads", "1", "--shutdown-timeout", "0.5", "--log-format", "json"];
    let Some(mut server) = ProgramWithDisk::below_root(&options) else { return };
    server.disk.hold(Hold::Opens);
    let _held = send(server.address(), b"GET /hung/f0 HTTP/1.0\r\n\r\n");
    wait_until("it is held", || server.disk.held() > 0);
    server.program.signal(Signal::TERM);
    server.program.wait(Duration::from_secs(20)).expect("it ends");
    let objects = objects(&server.program.messages());
    let last = messages(&objects[objects.len() - 2..]);
    assert!(last[0].0 == "info" && last[0].1.starts_with("1 connection: "), "{last:?}");
    assert_eq!(last[1], ("warning", "still held by a disk that does not answer: \"GET /hung/f0\""));
}

/// Sends each request to an embedded server, one a second, so that each message is passed on. Returns the lines of the
/// JSON log, and the messages.
fn log_and_messages(handler: fn(&Request<'_>) -> Action, requests: &[&[u8]]) -> (Vec<Value>, Vec<String>) {
    let logs = TempDir::new().unwrap();
    let path = logs.path().join("log");
    let log = Log::to_file(LogFormat::Json, &path).unwrap();
    let (sender, messages) = mpsc::channel();
    let hook = move |message: &str| sender.send(message.to_owned()).unwrap();
    let server = EmbeddedServer::start(|server| server.log(log).on_message(hook), handler);
    for (n, request) in requests.iter().enumerate() {
        if n > 0 {
            thread::sleep(Duration::from_millis(1100));
        }
        drop(read_to_end(&mut send(server.address(), request)));
    }
    server.finish();
    (objects(&fs::read_to_string(path).unwrap()), messages.iter().collect())
}

// R1945-9.5: whatever fails in a handler.
#[test]
fn cause_of_a_failure_is_a_message_and_a_field_of_the_json_log() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("no\n\u{e9}\"paper"))
        }
    }
    let handler = |request: &Request<'_>| -> Action {
        match &*request.path() {
            "/error" => Err::<Response, _>("the disk\r\nis on fire").into(),
            "/panic" => panic!("a \u{1b}[2J bug"),
            "/header" => Response::text("").header("X Y", "1").into(),
            "/challenge" => Response::text("").status(Status::UNAUTHORIZED).into(),
            "/sink" => Action::collect_body(9, |_| Err::<Response, _>("not in the body")),
            _ => Response::empty(Status::OK).body(Body::Reader { reader: Box::new(Fails), length: Some(5) }).into(),
        }
    };
    let cases: [(&[u8], &str, u64, &str, &str); 6] = [
        (b"GET /error HTTP/1.0\r\n\r\n", "GET /error", 500, "complete", "handler failed: the disk\r\nis on fire"),
        (b"GET /panic HTTP/1.0\r\n\r\n", "GET /panic", 500, "complete", "handler panicked: a \u{1b}[2J bug"),
        (b"GET /header HTTP/1.0\r\n\r\n", "GET /header", 500, "complete", "handler set an invalid header: X Y: "),
        (b"GET /challenge HTTP/1.0\r\n\r\n", "GET /challenge", 500, "complete", "handler returned 401 Unauthorized: "),
        (
            b"POST /sink HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody",
            "POST /sink",
            500,
            "complete",
            "handler failed: not in the body",
        ),
        (b"GET /body HTTP/1.0\r\n\r\n", "GET /body", 200, "failed", "body failed: no\n\u{e9}\"paper"),
    ];
    let (lines, messages) = log_and_messages(handler, &cases.map(|(request, ..)| request));
    assert_eq!((lines.len(), messages.len()), (cases.len(), cases.len()), "{messages:#?}");
    for ((line, message), (_, name, status, end, cause)) in lines.iter().zip(messages).zip(cases) {
        assert_eq!((line["status"].as_u64(), line["end"].as_str()), (Some(status), Some(end)), "{line}");
        assert!(line["cause"].as_str().unwrap().starts_with(cause), "{line}");
        let shown = cause.replace(char::is_control, " ");
        assert!(message.starts_with(&format!("{name}: {shown}")), "{message}");
    }
}

// Only the operator's faults are messages. The log has the cause of others, too, and only of its own request.
#[test]
fn cause_of_a_client_error_is_in_the_json_log_only() {
    let handler = |request: &Request<'_>| -> Action {
        match request.query() {
            Some(_) => Err::<Response, _>(http_server::HandlerError::bad_request("not a number")).into(),
            None => Response::text("").into(),
        }
    };
    let pipelined = b"GET /?a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n";
    let (lines, messages) = log_and_messages(handler, &[pipelined]);
    assert_eq!(lines[0]["cause"], "handler failed: not a number");
    assert_eq!((lines[1]["status"].as_u64(), lines[1].get("cause")), (Some(200), None));
    assert_eq!(messages, [""; 0]);
}

/// The line of this request in a log of JSON objects.
fn line_of(log: &str, request: &str) -> Value {
    let objects = objects(log);
    let found = requests(&objects).into_iter().find(|object| object["request"] == format!("GET {request} HTTP/1.0"));
    found.unwrap_or_else(|| panic!("{request}: {log}")).clone()
}

fn limit_descriptors(program: &Program, current: Option<u64>) -> Rlimit {
    let maximum = getrlimit(Resource::Nofile).maximum; // the program has inherited it
    prlimit(Some(program.pid()), Resource::Nofile, Rlimit { current, maximum }).unwrap()
}

#[test]
fn too_many_open_files_is_a_cause() {
    let (root, logs) = (directory(), TempDir::new().unwrap());
    let (path, options) = log_file(&logs);
    for (options, is_json) in [(options.each_ref().map(|option| &**option).to_vec(), true), (Vec::new(), false)] {
        let program = Program::start(root.path(), &options);
        let mut kept = connect(program.address());
        kept.write_all(&keep_alive("/small")).unwrap();
        assert_eq!(read_response(&mut kept).status, 200);
        let before = limit_descriptors(&program, Some(3)); // fewer than are open
        kept.write_all(&keep_alive("/large")).unwrap();
        assert_eq!(read_response(&mut kept).status, 503);
        limit_descriptors(&program, before.current);
        drop(kept);
        let all = program.finish();
        let cause = "handler failed: the file cannot be opened: no file descriptor is free";
        let expected = format!("GET /large: {cause}");
        if is_json {
            let line = line_of(&fs::read_to_string(&path).unwrap(), "/large");
            assert_eq!((&line["status"], &line["cause"]), (&503.into(), &cause.into()));
            let objects = objects(&all);
            assert!(messages(&objects).contains(&("error", &*expected)), "{all}");
        } else {
            // Among the lines of requests, on standard error.
            assert!(all.contains(&format!("\nwebserver: {expected}\n")), "{all}");
        }
    }
}

// The disk goes away: before a file is opened, and in the middle of one.
#[test]
fn failed_disk_is_a_cause_before_and_within_a_body() {
    let logs = TempDir::new().unwrap();
    let (path, options) = log_file(&logs);
    let options = [&["--threads", "8"][..], &options.each_ref().map(|option| &**option)].concat();
    let Some(server) = ProgramWithDisk::below_root(&options) else { return };
    let address = server.address();
    server.disk.hold(Hold::ReadsFrom(1 << 20));
    let body = thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = send(address, b"GET /hung/large0 HTTP/1.0\r\n\r\n").read_to_end(&mut bytes);
        bytes.len()
    });
    wait_until("it is held", || server.disk.held() > 0);
    let ProgramWithDisk { disk, program, .. } = server;
    drop(disk);
    assert!(body.join().unwrap() < 4 << 20);
    thread::sleep(Duration::from_millis(1100)); // until another message is admitted
    assert_eq!(get(address, "/hung/f0").status, 500);
    let objects = objects(&program.finish());
    let log = fs::read_to_string(&path).unwrap();
    let messages = messages(&objects);
    for (request, status, end, start) in [
        ("/hung/large0", 200, "failed", "body failed: "),
        ("/hung/f0", 500, "complete", "handler failed: the file cannot be read: "),
    ] {
        let line = line_of(&log, request);
        let cause = line["cause"].as_str().unwrap();
        assert_eq!((&line["status"], &line["end"]), (&status.into(), &end.into()));
        assert!(cause.starts_with(start) && cause.contains("os error"), "{cause}");
        assert!(messages.contains(&("error", &*format!("GET {request}: {cause}"))), "{messages:#?}");
    }
}

// One handler holds the only permit. The second request is put aside, and a third one's body never comes.
#[test]
fn request_without_response_is_logged_when_the_shutdown_ends_it() {
    let logs = TempDir::new().unwrap();
    let path = logs.path().join("log");
    let (release, stuck) = mpsc::channel::<()>();
    let (enter, entered) = mpsc::channel();
    let stuck = Mutex::new(stuck);
    let handler = move |request: &Request<'_>| -> Action {
        if request.path() == "/body" {
            return Action::collect_body(99, |_| Response::text(""));
        }
        enter.send(()).unwrap();
        let _ = stuck.lock().unwrap().recv();
        Response::text("").into()
    };
    let log = Log::to_file(LogFormat::Json, &path).unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().threads(1).shutdown_timeout(Duration::ZERO).log(log);
    let running = server.start(handler).unwrap();
    let address = running.local_addrs()[0];
    let _body = send(address, b"POST /body HTTP/1.0\r\nContent-Length: 9\r\n\r\nfew");
    thread::sleep(Duration::from_millis(300)); // it has been received
    let _stuck = send(address, b"GET /stuck HTTP/1.0\r\n\r\n");
    entered.recv().unwrap();
    let _held = send(address, b"GET /held HTTP/1.0\r\nUser-Agent: me\r\n\r\n");
    thread::sleep(Duration::from_millis(300)); // it has been put aside
    running.shutdown_handle().shut_down();
    let stats = running.join();
    drop(release);
    let text = read(&path);
    let mut lines = objects(&text);
    lines.sort_by_key(|line| line["request"].to_string());
    let names: Vec<&Value> = lines.iter().map(|line| &line["request"]).collect();
    assert_eq!(names, ["GET /held HTTP/1.0", "POST /body HTTP/1.0"], "the stuck one has not ended");
    for line in &lines {
        assert_eq!((&line["status"], &line["end"], &line["sent"]), (&Value::Null, &"shutdown".into(), &0.into()));
        assert!(line["duration_us"].as_u64().unwrap() < 20_000_000, "{line}");
    }
    assert_eq!(lines[0]["user_agent"], "me");
    assert_eq!(stats.responses, Default::default());
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
