//! The conformance cases over real sockets, sent at once and a byte at a time. It also checks what must hold for every
//! response and every line of the log.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use tempfile::TempDir;

use support::{Program, ReceivedResponse, TIMEOUT, connect, parse_responses};

const HELLO: &[u8] = b"<!DOCTYPE html>\n<title>Hello</title>\n<p>Hello, World!</p>\n";

/// Clients, each with a program of its own, so that a line of the log belongs to one case.
const CLIENTS: usize = 16;

// Every rule that a case names; V1 to V6, V9, V13 to V16, V31, V32, V34.
#[test]
fn every_case_gets_its_response_over_a_socket() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("HelloWorld.html"), HELLO).unwrap();
    let hello = File::options().write(true).open(directory.path().join("HelloWorld.html")).unwrap();
    hello.set_modified(UNIX_EPOCH + Duration::from_secs(784_111_777)).unwrap(); // Sun, 06 Nov 1994 08:49:37 GMT
    fs::write(directory.path().join("Empty.html"), "").unwrap();
    fs::create_dir(directory.path().join(".git")).unwrap();
    fs::write(directory.path().join(".htpasswd"), "root:secret\n").unwrap();
    fs::write(directory.path().join(".git/config"), "root:secret\n").unwrap();

    let cases = cases();
    let runs: Vec<(&Case, bool)> = cases.iter().flat_map(|case| [(case, false), (case, true)]).collect();
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let program = Program::start(directory.path(), &["--threads", "2"]);
                while let Some((case, bytewise)) = runs.get(next.fetch_add(1, Relaxed)) {
                    let how = if *bytewise { "a byte at a time" } else { "at once" };
                    let found = faults_of(case, *bytewise, &program);
                    faults.lock().unwrap().extend(found.iter().map(|fault| format!("{} {how}: {fault}", case.id)));
                }
                let messages = program.finish();
                if !messages.trim_end().ends_with(" 0 failed") {
                    faults.lock().unwrap().push(messages.lines().last().unwrap_or_default().into());
                }
            });
        }
    });
    let mut faults = faults.into_inner().unwrap();
    faults.sort();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// A line of `cases.jsonl`.
struct Case {
    id: String,
    bytes: Vec<u8>,
    /// What this server sends: a status, `0.9-body`, or nothing (`close`).
    class: String,
    responses: Option<u64>,
}

impl Case {
    /// Leading empty lines are not part of the request (R9112-2.2d).
    fn begins_with(&self, word: &[u8]) -> bool {
        let from = self.bytes.iter().position(|c| !matches!(c, b'\r' | b'\n')).unwrap_or(0);
        let rest = self.bytes[from..].strip_prefix(word);
        matches!(rest, Some([b' ' | b'\t', ..]))
    }
}

fn cases() -> Vec<Case> {
    let lines = include_str!("../../http-core/tests/conformance/cases.jsonl").lines();
    let mut cases: Vec<Case> = lines
        .map(|line| {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| case[key].as_str().unwrap_or_else(|| panic!("{key} is missing: {line}"));
            Case {
                id: text("id").into(),
                bytes: text("bytes").chars().map(|c| u8::try_from(c).unwrap()).collect(), // latin-1
                class: text("expect").split('|').next().unwrap().into(),
                responses: case["responses"].as_u64(),
            }
        })
        .collect();
    assert!(cases.len() > 150, "only {} cases", cases.len());
    cases.extend(limits());
    cases
}

/// Each limit, reached exactly and exceeded by one byte.
fn limits() -> Vec<Case> {
    let line = |bytes: usize| format!("GET /{} HTTP/1.0\r\n\r\n", "q".repeat(bytes - "GET / HTTP/1.0".len()));
    let with = |fields: &str| format!("GET /HelloWorld.html HTTP/1.0\r\n{fields}\r\n");
    let field = |bytes: usize| format!("A: {}\r\n", "v".repeat(bytes - "A: ".len()));
    let fill = || field(8000) + &field(4000);
    let head = |bytes: usize| with(&(fill() + &field(bytes - with(&fill()).len() - 2)));
    let after_blank_lines = |lines: usize| "\r\n".repeat(lines) + &with("");
    let case = |id: &str, bytes: String, class: &str| Case {
        id: id.into(),
        bytes: bytes.into_bytes(),
        class: class.into(),
        responses: Some(1),
    };
    assert_eq!((line(8192).len(), head(16_384).len()), (8192 + 4, 16_384));
    vec![
        case("line-8192", line(8192), "404"), // no file name is that long
        case("line-8193", line(8193), "400"), // the byte beyond the limit is after the target
        case("target-8193", line(8193 + " HTTP/1.0".len()), "414"),
        case("field-8192", with(&field(8192)), "200"),
        case("field-8193", with(&field(8193)), "431"),
        case("head-16384", head(16_384), "200"),
        case("head-16385", head(16_385), "431"),
        case("fields-100", with(&"A: v\r\n".repeat(100)), "200"),
        case("fields-101", with(&"A: v\r\n".repeat(101)), "431"),
        case("blank-lines-2", after_blank_lines(2), "200"),
        case("blank-lines-3", after_blank_lines(3), "400"),
    ]
}

/// Everything that is wrong with the result of a case.
fn faults_of(case: &Case, bytewise: bool, program: &Program) -> Vec<String> {
    let mut faults = Vec::new();
    let logged = program.messages_from(0).len();
    let out = match run(program.address(), &case.bytes, bytewise) {
        Ok(out) => out,
        Err(fault) => return vec![fault],
    };
    let class = class(&out);
    if class != case.class {
        faults.push(format!("{class}, not {}", case.class));
    }
    let mut count = 1;
    match class.as_str() {
        "close" => count = 0,
        "0.9-body" => {}
        _ => match parse_responses(&out, case.begins_with(b"HEAD")) {
            Ok(responses) => {
                count = responses.len();
                faults.extend(broken_invariants(case, &responses));
            }
            Err(fault) => faults.push(fault),
        },
    }
    if case.responses.is_some_and(|responses| responses != count as u64) {
        faults.push(format!("{count} responses"));
    }
    if out.windows(5).any(|five| five == b"root:") {
        faults.push("it serves a hidden file".into()); // R1945-12.5b
    }
    let lines = log_lines(program, logged, count);
    faults.extend(log_faults(&lines, count));
    // R9110-9.3.2: HEAD has the Content-Length of GET.
    if let Some(get) = case.begins_with(b"HEAD").then(|| as_get(&case.bytes)) {
        let logged = program.messages_from(0).len();
        let get = run(program.address(), &get, false).unwrap_or_default();
        if let (Ok(got), Ok(responses)) = (parse_responses(&get, false), parse_responses(&out, true)) {
            let lengths =
                [got.first(), responses.first()].map(|response| response.and_then(ReceivedResponse::content_length));
            if lengths[0] != lengths[1] {
                faults.push(format!("GET and HEAD have lengths {lengths:?}"));
            }
            log_lines(program, logged, got.len());
        } else {
            log_lines(program, logged, 1);
        }
    }
    faults
}

/// Checks what must hold for every response with a status line.
fn broken_invariants(case: &Case, responses: &[ReceivedResponse]) -> Vec<String> {
    let mut faults = Vec::new();
    for (i, response) in responses.iter().enumerate() {
        let mut must = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("response {}: {what}", i + 1));
            }
        };
        must((200..600).contains(&response.status), "not a final status");
        must(response.header("Date").is_some_and(|date| date.len() == 29 && date.ends_with(" GMT")), "no Date"); // R9110-6.6.1
        let keeps_alive = match response.header("Connection") {
            Some("keep-alive") => true,
            Some("close") => false,
            _ => {
                must(false, "no Connection"); // R9112-9.3c
                false
            }
        };
        // R9112-9.6a: nothing follows the last response, and an error of syntax, limits or framing is the last one.
        must(keeps_alive || i + 1 == responses.len(), "a response follows Connection: close");
        must(
            !(keeps_alive && matches!(response.status, 400 | 408 | 411 | 413 | 414 | 431 | 505)),
            "the connection stays open after an error",
        );
        let length = response.content_length();
        match response.status {
            204 => must(length.is_none(), "Content-Length with 204"), // R9110-8.6a
            304 => must(length.is_none_or(|length| length == HELLO.len()), "a wrong Content-Length with 304"),
            405 => must(response.header("Allow").is_some(), "no Allow with 405"), // R9110-10.2.1
            416 => must(
                response.header("Content-Range") == Some(&format!("bytes */{}", HELLO.len())),
                "no Content-Range with 416", // R9110-15.5.17
            ),
            200..300 if i == 0 && case.begins_with(b"OPTIONS") => {
                must(response.header("Allow").is_some(), "no Allow for OPTIONS"); // R9110-9.3.7
            }
            _ => {}
        }
        if !matches!(response.status, 204 | 304) {
            must(length.is_some(), "no Content-Length"); // the parser has compared it with the body
        }
    }
    faults
}

/// The lines of the log from an offset on, once there are `count` of them.
fn log_lines(program: &Program, since: usize, count: usize) -> Vec<u8> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let lines = program.messages_from(since);
        if lines.iter().filter(|&&c| c == b'\n').count() >= count || Instant::now() > deadline {
            return lines;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Each response has one line of printable bytes (R1945-12.3, V16).
fn log_faults(lines: &[u8], count: usize) -> Vec<String> {
    let mut faults = Vec::new();
    let ends = lines.iter().filter(|&&c| c == b'\n').count();
    if ends != count {
        faults.push(format!("{ends} log lines for {count} responses: {}", lines.escape_ascii()));
    }
    if !lines.iter().all(|c| matches!(c, b' '..=b'~' | b'\n')) || !(lines.is_empty() || lines.ends_with(b"\n")) {
        faults.push(format!("control characters in the log: {}", lines.escape_ascii()));
    }
    faults
}

/// Sends and reads at the same time, half-closes 300 ms after the last byte, and reads to the end.
fn run(address: SocketAddr, bytes: &[u8], bytewise: bool) -> Result<Vec<u8>, String> {
    let mut stream = connect(address);
    let mut reading = stream.try_clone().unwrap();
    let (sender, ended) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut out = Vec::new();
        let end = reading.read_to_end(&mut out);
        let _ = sender.send(());
        (out, end)
    });
    // A write may fail after the server has closed: only the response matters.
    for piece in bytes.chunks(if bytewise { 1 } else { bytes.len().max(1) }) {
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let _ = ended.recv_timeout(Duration::from_millis(300));
    let _ = stream.shutdown(Shutdown::Write);
    match reader.join().unwrap() {
        (out, Ok(_)) => Ok(out),
        (out, Err(error)) if out.is_empty() && error.kind() == ErrorKind::ConnectionReset => Ok(out),
        (out, Err(error)) => Err(format!("{error} after {} bytes", out.len())), // R9112-9.6b
    }
}

fn as_get(head: &[u8]) -> Vec<u8> {
    let at = head.iter().position(|&c| c == b'H').unwrap();
    [&head[..at], b"GET", &head[at + 4..]].concat()
}

/// The status of the first response, or what comes instead.
fn class(out: &[u8]) -> String {
    match out {
        b"" => "close".into(),
        [b'H', b'T', b'T', b'P', b'/', ..] => String::from_utf8_lossy(out.get(9..12).unwrap_or_default()).into(),
        _ => "0.9-body".into(),
    }
}
