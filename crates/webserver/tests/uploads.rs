//! Uploads: clients that wait for 100 (Continue), and the memory that collected bodies share.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use http_server::{Action, Log, LogFormat, Request, Response, Server, Timeouts};
use rustix::net::sockopt::set_socket_linger;
use tempfile::TempDir;

use support::{EmbeddedServer, connect, exchange, get, read_response, send, tool, wait_until};

const MIB: usize = 1 << 20;
const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Says how long the body was, and what its bytes add up to.
fn summarise(body: &[u8]) -> String {
    format!("{} {}", body.len(), body.iter().map(|&byte| u64::from(byte)).sum::<u64>())
}

/// Wants bodies of up to 64 MiB, and none for `/unwanted`.
fn collect(request: &Request<'_>) -> Action {
    match &*request.path() {
        "/unwanted" => Response::text("unwanted").into(),
        "/small" => Action::collect_body(5, |body| Response::text(summarise(&body))),
        _ => Action::collect_body(64 << 20, |body| Response::text(summarise(&body))),
    }
}

fn body(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

/// The head of a POST request in HTTP/1.1, with these headers.
fn head(path: &str, length: usize, headers: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n").into()
}

fn with_budget(body: Duration, min_rate: u64) -> impl FnOnce(Server) -> Server {
    move |server| server.threads(2).timeouts(Timeouts { body, min_rate, ..Timeouts::default() })
}

/// Whether a response has begun to arrive, or the connection has ended. It does not block.
fn has_response(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let has_response = !stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    has_response
}

/// Fails if a response arrives soon.
fn assert_waits(stream: &TcpStream) {
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let result = stream.peek(&mut [0]);
    assert!(result.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "{result:?}");
    stream.set_read_timeout(Some(support::TIMEOUT)).unwrap();
}

// --- Expect: 100-continue

// D17, R9110-10.1.1a, R9110-10.1.1b, R9110-10.1.1c
#[test]
fn client_that_waits_gets_100_only_for_a_body_that_is_wanted_and_not_here() {
    let server = EmbeddedServer::start(|server| server.threads(1).body_budget(100), collect);
    let address = server.address();
    let expects = "Expect: 100-continue\r\n";
    let mut stream = send(address, &head("/", 5, expects));
    let mut interim = [0; INTERIM.len()];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(interim, INTERIM);
    assert_waits(&stream);
    stream.write_all(b"hel").unwrap();
    assert_waits(&stream);
    stream.write_all(b"lo").unwrap();
    assert_eq!(read_response(&mut stream).text(), summarise(b"hello"));

    for (why, path, length, headers, status) in [
        ("it is not wanted", "/unwanted", 5, expects, 200),
        ("it has no bytes", "/", 0, expects, 200),
        ("it is longer than the handler allows", "/small", 6, expects, 413),
        ("it is longer than the budget", "/", 101, expects, 413),
        ("it is longer than the budget, and nobody waits", "/", 101, "", 413),
        ("it is too long, whatever is expected", "/small", 6, "Expect: tea\r\n", 413),
        ("something unknown is expected", "/small", 5, "Expect: tea\r\n", 417),
        ("something unknown is expected, and the handler wants no body", "/unwanted", 5, "Expect: tea\r\n", 200),
    ] {
        assert_eq!(exchange(address, &head(path, length, headers)).status, status, "{why}");
    }
    // It is here already.
    let response = exchange(address, &[&head("/", 5, expects)[..], b"hello"].concat());
    assert_eq!(response.text(), summarise(b"hello"));
    let old = String::from_utf8(head("/", 5, expects)).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let mut stream = send(address, old.as_bytes());
    assert_waits(&stream);
    stream.write_all(b"hello").unwrap();
    assert_eq!(read_response(&mut stream).text(), summarise(b"hello"));
    server.finish();
}

fn output(command: &mut Command) -> Output {
    let output = command.env("NO_PROXY", "*").output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// A file of this length below a temporary directory.
fn file(directory: &TempDir, length: usize) -> std::path::PathBuf {
    let path = directory.path().join(length.to_string());
    fs::write(&path, body(length)).unwrap();
    path
}

// R9110-10.1.1b. From 1 MiB on curl waits for 100, and here for a minute, so that a missing 100 is noticed.
#[test]
fn curl_uploads_a_mebibyte_and_more() {
    let Some(curl) = tool("curl") else { return };
    let server = EmbeddedServer::start(|server| server.threads(2), collect);
    let directory = TempDir::new().unwrap();
    for length in [1000, MIB - 1, MIB, MIB + 1, 3 * MIB, 16 * MIB] {
        let path = file(&directory, length);
        let at_path = format!("@{}", path.display());
        for upload in [["--upload-file", path.to_str().unwrap()], ["--data-binary", &at_path]] {
            let began = Instant::now();
            let output = output(
                Command::new(&curl)
                    .args(["--disable", "--silent", "--show-error", "--max-time", "60", "--expect100-timeout", "60"])
                    .args(["--write-out", " %{http_code} %{num_connects}"])
                    .args(upload)
                    .arg(format!("http://{}/", server.address())),
            );
            let expected = format!("{} 200 1", summarise(&body(length)));
            assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{upload:?}");
            assert!(began.elapsed() < Duration::from_secs(30), "{:?} for {upload:?}", began.elapsed());
        }
    }
    // `-d` sends a text without its line ends.
    let text = directory.path().join("text");
    fs::write(&text, "a line\n".repeat(MIB / 4)).unwrap();
    let sent = summarise("a line".repeat(MIB / 4).as_bytes());
    let output = output(
        Command::new(&curl)
            .args(["--disable", "--silent", "--show-error", "--max-time", "60", "--expect100-timeout", "60", "-d"])
            .arg(format!("@{}", text.display()))
            .arg(format!("http://{}/", server.address())),
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), sent);
    server.finish();
}

// What is refused is not uploaded: curl gets the status at once and sends nothing.
#[test]
fn curl_gets_the_status_of_a_refused_upload() {
    let Some(curl) = tool("curl") else { return };
    let server = EmbeddedServer::start(|server| server.threads(2), collect);
    let directory = TempDir::new().unwrap();
    let path = file(&directory, 17 * MIB);
    for (target, status) in [("/", "413"), ("/small", "413"), ("/unwanted", "200")] {
        let output = output(
            Command::new(&curl)
                .args(["--disable", "--silent", "--show-error", "--max-time", "60", "--expect100-timeout", "60"])
                .args(["--write-out", "%{stderr}%{http_code} %{size_upload}", "--upload-file"])
                .arg(&path)
                .arg(format!("http://{}{target}", server.address())),
        );
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("{status} 0"), "{target}");
    }
    server.finish();
}

/// Runs a script with the address and the path of a file of 2 MiB. It prints the status and the body of the response.
fn upload_by_script(program: &Path, flag: &str, script: &str) {
    let server = EmbeddedServer::start(|server| server.threads(2), collect);
    let directory = TempDir::new().unwrap();
    let path = file(&directory, 2 * MIB);
    let (ip, port) = (server.address().ip().to_string(), server.address().port().to_string());
    let output = output(Command::new(program).args([flag, script, "--", &ip, &port]).arg(&path));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim(),
        format!("200 {}", summarise(&body(2 * MIB))),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    server.finish();
}

#[test]
fn python_uploads_whether_or_not_it_waits_for_100() {
    const SENDS_AT_ONCE: &str = r#"
import http.client, sys
_, ip, port, path = sys.argv[-4:]
peer = http.client.HTTPConnection(ip, int(port), timeout=30)
peer.request("PUT", "/", open(path, "rb").read(), {"Expect": "100-continue"})
response = peer.getresponse()
print(response.status, response.read().decode())
"#;
    const WAITS: &str = r#"
import http.client, sys
_, ip, port, path = sys.argv[-4:]
body = open(path, "rb").read()
peer = http.client.HTTPConnection(ip, int(port), timeout=30)
peer.putrequest("PUT", "/")
peer.putheader("Content-Length", str(len(body)))
peer.putheader("Expect", "100-continue")
peer.endheaders()
interim = b""
while not interim.endswith(b"\r\n\r\n"):
    interim += peer.sock.recv(1)
assert interim == b"HTTP/1.1 100 Continue\r\n\r\n", interim
peer.send(body)
response = peer.getresponse()
print(response.status, response.read().decode())
"#;
    let Some(python) = tool("python3") else { return };
    for script in [SENDS_AT_ONCE, WAITS] {
        upload_by_script(&python, "-c", script);
    }
}

#[test]
fn node_uploads_when_it_is_told_to_continue() {
    const SCRIPT: &str = r#"
const [host, port, path] = process.argv.slice(-3);
const body = require('fs').readFileSync(path);
const headers = {'Expect': '100-continue', 'Content-Length': body.length};
const request = require('http').request({host, port, method: 'PUT', path: '/', headers, timeout: 30000});
request.on('timeout', () => request.destroy(new Error('no response')));
request.on('continue', () => request.end(body));
request.on('response', response => {
    let text = '';
    response.on('data', data => text += data);
    response.on('end', () => { console.log(response.statusCode, text); process.exit(0); });
});
request.flushHeaders();
"#;
    // It is not among the tools that every test run must have.
    let node = Command::new("node").arg("--version").output();
    if !node.is_ok_and(|output| output.status.success()) {
        // Not `eprintln`: the harness hides what a passing test prints.
        let _ = std::io::stderr().write_all(b"SKIPPED: uploads by Node: node is missing\n");
        return;
    }
    upload_by_script(Path::new("node"), "-e", SCRIPT);
}

// --- Memory

// V20: a budget holds what it promises.
#[test]
fn v20_every_body_that_has_begun_completes_however_many_are_waiting() {
    const BODIES: usize = 256;
    const BODY: usize = 64 << 10;
    let server = EmbeddedServer::start(|server| server.threads(2), collect);
    let address = server.address();
    let sent = body(BODY);
    let begin = |_| send(address, &[head("/", BODY, "Expect: 100-continue\r\n"), Vec::new()].concat());
    let mut bodies: Vec<_> = (0..BODIES).map(begin).collect();
    for stream in &mut bodies {
        let mut interim = [0; INTERIM.len()];
        stream.read_exact(&mut interim).unwrap();
    }
    // The budget is reserved to the last byte. Further bodies wait, though not one byte of the others has come.
    let later: Vec<_> = (0..20).map(begin).collect();
    thread::sleep(Duration::from_millis(300));
    assert!(!later.iter().any(has_response));
    // Heads have a budget of their own, which is used up as well.
    let half_head = [b"GET / HTTP/1.0\r\nA: ", &[b'b'; 8000][..], b"\r\nB: ", &[b'b'; 8000]].concat();
    let heads: Vec<_> = (0..1200).map(|_| send(address, &half_head)).collect();
    wait_until("heads are refused", || heads.iter().filter(|stream| has_response(stream)).count() >= 100);
    for piece in sent.chunks(BODY / 4) {
        bodies.iter_mut().for_each(|stream| stream.write_all(piece).unwrap());
    }
    for mut stream in bodies {
        assert_eq!(read_response(&mut stream).text(), summarise(&sent));
    }
    for mut stream in later {
        let mut interim = [0; INTERIM.len()];
        stream.read_exact(&mut interim).unwrap();
        stream.write_all(&sent).unwrap();
        assert_eq!(read_response(&mut stream).text(), summarise(&sent));
    }
    drop(heads);
    server.finish();
}

// What was reserved is returned, however the upload ends.
#[test]
fn memory_is_free_again_after_every_kind_of_end() {
    let handler = |request: &Request<'_>| {
        let path = request.path().into_owned();
        Action::collect_body(16 << 20, move |body| match &*path {
            "/panic" => panic!("as instructed"),
            _ => Response::text(summarise(&body)),
        })
    };
    let timeouts = with_budget(Duration::from_secs(2), 1 << 30);
    let server = EmbeddedServer::start(|server| timeouts(server).body_budget(MIB), handler);
    let address = server.address();
    let whole = || [head("/", MIB, ""), body(MIB)].concat();
    let ends: [(&str, &dyn Fn()); 5] = [
        ("complete", &|| assert_eq!(exchange(address, &whole()).status, 200)),
        ("panic", &|| assert_eq!(exchange(address, &[head("/panic", MIB, ""), body(MIB)].concat()).status, 500)),
        ("reset", &|| drop(send(address, &whole()[..MIB / 2]))),
        ("end of stream", &|| {
            let mut stream = send(address, &whole()[..MIB / 2]);
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(read_response(&mut stream).status, 400);
        }),
        ("timeout", &|| assert_eq!(read_response(&mut send(address, &whole()[..MIB / 2])).status, 408)),
    ];
    for (name, end) in ends {
        end();
        assert_eq!(exchange(address, &whole()).status, 200, "after {name}");
    }
    server.finish();
}

#[test]
fn upload_that_finds_no_memory_in_time_gets_503() {
    let (started, is_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(Some(released));
    let handler = move |request: &Request<'_>| {
        let (started, wait) = (started.clone(), released.lock().unwrap().take());
        let is_first = request.path() == "/first";
        Action::collect_body(MIB as u64, move |body| {
            if let (true, Some(wait)) = (is_first, wait) {
                started.send(()).unwrap();
                let _ = wait.recv();
            }
            Response::text(summarise(&body))
        })
    };
    let timeouts = with_budget(Duration::from_secs(1), 0);
    let server = EmbeddedServer::start(|server| timeouts(server).body_budget(MIB), handler);
    // The handler still uses its body, so that nothing can make room.
    let mut first = send(server.address(), &[head("/first", MIB, ""), body(MIB)].concat());
    is_started.recv().unwrap();
    let began = Instant::now();
    let response = read_response(&mut send(server.address(), &head("/", MIB, "Expect: 100-continue\r\n")));
    assert_eq!((response.status, response.header("Retry-After"), response.keeps_alive()), (503, Some("1"), false));
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    let mut waiting = send(server.address(), &head("/", MIB, ""));
    assert_waits(&waiting);
    release.send(()).unwrap();
    assert_eq!(read_response(&mut first).text(), summarise(&body(MIB)));
    waiting.write_all(&body(MIB)).unwrap();
    assert_eq!(read_response(&mut waiting).text(), summarise(&body(MIB)));
    server.finish();
}

/// An upload that sends this many bytes every 50 ms, until it is complete or has a response, or for a minute. Returns the
/// status.
fn trickle(address: SocketAddr, length: usize, each: usize) -> u16 {
    let mut stream = send(address, &head("/", length, ""));
    let (mut left, began) = (length, Instant::now());
    while left > 0 && !has_response(&stream) && began.elapsed() < Duration::from_secs(60) {
        let n = each.min(left);
        if stream.write_all(&vec![b'x'; n]).is_err() {
            break;
        }
        left -= n;
        thread::sleep(Duration::from_millis(50));
    }
    read_response(&mut stream).status
}

// V11
#[test]
fn v11_slowest_uploads_make_room_but_only_when_it_is_needed() {
    const LENGTH: usize = 4 * MIB;
    let server = EmbeddedServer::start(with_budget(Duration::from_secs(1), 0), collect);
    let address = server.address();
    // The two slow ones would take minutes, and the two fast ones some 4 s.
    let uploads = [100, 50_000, 200, 50_000].map(|each| thread::spawn(move || trickle(address, LENGTH, each)));
    thread::sleep(Duration::from_millis(1500));
    assert!(!uploads.iter().any(thread::JoinHandle::is_finished), "nobody needs their memory yet");
    let began = Instant::now();
    assert_eq!(exchange(address, &[head("/", LENGTH, ""), body(LENGTH)].concat()).text(), summarise(&body(LENGTH)));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    wait_until("the slowest one ends", || uploads[0].is_finished());
    assert!(!uploads[2].is_finished(), "one was enough");
    let [slowest, fast, slow, also_fast] = uploads;
    assert_eq!([slowest, fast, also_fast].map(|upload| upload.join().unwrap()), [408, 200, 200]);
    // Now the next one is in the way of a body that needs all memory.
    assert_eq!(exchange(address, &[head("/", 16 * MIB, ""), body(16 * MIB)].concat()).status, 200);
    assert_eq!(slow.join().unwrap(), 408);
    let stats = server.finish();
    assert_eq!((stats.timed_out, stats.refused), (2, 0));
}

// V11: a silent client that wants all memory does not end the upload of another.
#[test]
fn v11_upload_that_is_nearly_complete_makes_no_room() {
    let timeouts = with_budget(Duration::from_secs(2), 0);
    let server = EmbeddedServer::start(|server| timeouts(server).body_budget(MIB), collect);
    let address = server.address();
    // It takes some 3 s.
    let upload = thread::spawn(move || trickle(address, MIB, MIB / 60));
    thread::sleep(Duration::from_millis(200));
    let silent = send(address, &head("/", MIB, ""));
    assert_waits(&silent);
    assert_eq!(upload.join().unwrap(), 200);
    drop(silent);
    server.finish();
}

/// Ends the attack when it is dropped, also by a failed assertion.
struct EndOfAttack<'a>(&'a AtomicBool);

impl Drop for EndOfAttack<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

// V11, V20: ten clients reserve all memory, send nothing, and come back as soon as they are sent away.
#[test]
fn v11_ten_silent_uploaders_do_not_cost_others_their_uploads() {
    const PART: usize = 16 * MIB / 10;
    let server = EmbeddedServer::start(with_budget(Duration::from_millis(500), 0), collect);
    let address = server.address();
    let (attack_is_over, attempts) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _ends = EndOfAttack(&attack_is_over);
        for n in 0..10 {
            let (attack_is_over, attempts) = (&attack_is_over, &attempts);
            scope.spawn(move || {
                while !attack_is_over.load(Relaxed) {
                    // Some send almost all of it first.
                    let begun = if n % 3 == 0 { body(PART - 1) } else { Vec::new() };
                    let mut stream = connect(address);
                    let sent = stream.write_all(&[head("/", PART, ""), begun].concat());
                    attempts.fetch_add(1, Relaxed);
                    while sent.is_ok() && !has_response(&stream) && !attack_is_over.load(Relaxed) {
                        thread::sleep(Duration::from_millis(5));
                    }
                }
            });
        }
        wait_until("all memory is taken", || attempts.load(Relaxed) >= 10);
        let mut times = Vec::new();
        for n in 0..8 {
            let began = Instant::now();
            let length = [PART, 1000, MIB, 2 * PART][n % 4];
            let response = exchange(address, &[head("/", length, ""), body(length)].concat());
            assert_eq!((response.status, response.text()), (200, &*summarise(&body(length))), "upload {n}");
            times.push(began.elapsed());
            assert_eq!(get(address, "/unwanted").text(), "unwanted");
        }
        println!("{} attempts; uploads took {times:?}", attempts.load(Relaxed));
    });
    let stats = server.finish();
    assert_eq!(stats.failed, 0, "{stats}");
    assert!(stats.timed_out > 0, "nobody made room: {stats}");
}

// However an upload ends, the log has one line for it, and the statistics count it once.
#[test]
fn aborted_upload_leaves_one_line_that_says_how_it_ended() {
    #[derive(Debug, Clone, Copy)]
    enum Ends {
        Reset,
        HalfClosed,
        Silent,
        Shutdown,
    }
    let waits_for_memory = [head("/waits", 90, ""), body(1)].concat();
    let part = |path| [head(path, 90, ""), body(10)].concat();
    for (request, how, status, end) in [
        (part("/reset"), Ends::Reset, None, "client-abort"),
        (waits_for_memory.clone(), Ends::Reset, None, "client-abort"),
        (head("/nothing", 90, ""), Ends::Reset, None, "client-abort"),
        (head("/expected", 90, "Expect: 100-continue\r\n"), Ends::Reset, None, "client-abort"),
        (part("/half"), Ends::HalfClosed, Some(400), "client-abort"),
        (part("/unwanted"), Ends::Reset, Some(200), "complete"),
        (part("/silent"), Ends::Silent, Some(408), "body-timeout"),
        (part("/shutdown"), Ends::Shutdown, None, "shutdown"),
        (waits_for_memory, Ends::Shutdown, None, "shutdown"),
    ] {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("log");
        let log = Log::to_file(LogFormat::Json, &path).unwrap();
        let patience = Duration::from_millis(if matches!(how, Ends::Silent) { 500 } else { 60_000 });
        let configure = |server: Server| server.body_budget(100).shutdown_timeout(Duration::from_millis(50)).log(log);
        let server = EmbeddedServer::start(|server| configure(with_budget(patience, 1024)(server)), collect);
        let waits = request.starts_with(b"POST /waits");
        let other = waits.then(|| send(server.address(), &head("/other", 90, "")));
        let open = |server: &EmbeddedServer| server.running().stats().open;
        if waits {
            wait_until("another body has the memory", || open(&server).body == 1);
        }
        let mut stream = send(server.address(), &request);
        let is_parked = |server: &EmbeddedServer| open(server).body == 1 + u64::from(waits);
        let is_refused = matches!(status, Some(200 | 400 | 408));
        wait_until("the upload is parked", || is_refused || is_parked(&server));
        match how {
            Ends::Reset => {
                if is_refused {
                    read_response(&mut stream);
                }
                set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
                drop(stream);
                let left = usize::from(waits) as u64;
                wait_until("the connection has ended", || open(&server).total() == left);
            }
            Ends::HalfClosed | Ends::Silent => {
                if let Ends::HalfClosed = how {
                    stream.shutdown(Shutdown::Write).unwrap();
                }
                assert_eq!(Some(read_response(&mut stream).status), status);
            }
            Ends::Shutdown => {}
        }
        let handle = server.running().stats_handle();
        server.finish();
        drop(other);
        let log = fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let lines: Vec<_> = lines.iter().filter(|line| line["path"] != "/other").collect();
        let [line] = lines[..] else { panic!("{how:?}: {log}") };
        assert_eq!(
            (line["status"].as_u64(), line["end"].as_str()),
            (status.map(u64::from), Some(end)),
            "{how:?}: {line}"
        );
        let ended: u64 =
            handle.requests().ended_by_reason().filter(|(reason, _)| reason.name() == end).map(|(_, n)| n).sum();
        assert_eq!(ended, 1 + u64::from(waits && end == "shutdown"), "{how:?}: {log}");
    }
}
