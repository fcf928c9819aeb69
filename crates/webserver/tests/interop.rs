//! Clients that others wrote get from the real program the bytes that lie in its directory.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use support::tool;

/// One small text, one picture, one body too large for a single send.
const FILES: [&str; 4] = ["HelloWorld.html", "style.css", "sunrise.png", "large.bin"];

#[test]
fn curl_speaking_1_0() {
    let Some(curl) = tool("curl") else { return };
    let server = Server::start();
    for file in FILES {
        let reply = run(curl_quiet(&curl).arg("--http1.0").arg(server.url(file)));
        server.assert_same(file, &reply.stdout);
    }
}

#[test]
fn curl_speaking_1_1() {
    let Some(curl) = tool("curl") else { return };
    let server = Server::start();
    for file in FILES {
        let reply = run(curl_quiet(&curl).arg(server.url(file)));
        server.assert_same(file, &reply.stdout);
    }
}

#[test]
fn curl_asking_for_the_head() {
    let Some(curl) = tool("curl") else { return };
    let server = Server::start();
    for file in FILES {
        let reply = text(run(curl_quiet(&curl).arg("--head").arg(server.url(file))).stdout);
        let length = format!("\r\ncontent-length: {}\r\n", server.bytes(file).len());
        assert!(reply.starts_with("HTTP/1.0 200 OK\r\n"), "{reply}");
        assert!(reply.to_ascii_lowercase().contains(&length), "{reply}");
        assert!(reply.ends_with("\r\n\r\n"), "a body after a HEAD: {reply}");
    }
}

#[test]
fn curl_asking_for_a_missing_file() {
    let Some(curl) = tool("curl") else { return };
    let server = Server::start();
    let reply = run(curl_quiet(&curl).args(["--write-out", "\n%{http_code}"]).arg(server.url("missing.html")));
    assert!(text(reply.stdout).ends_with("\n404"));
}

/// One connection for two files, in both versions: the second opens none.
#[test]
fn curl_keeps_its_connection() {
    let Some(curl) = tool("curl") else { return };
    let server = Server::start();
    let first = server.directory().join("first");
    let second = server.directory().join("second");
    for version in [&["--http1.1"][..], &["--http1.0", "--header", "Connection: keep-alive"]] {
        let reply = run(curl_quiet(&curl)
            .args(version)
            .args(["--write-out", "%{num_connects} "])
            .arg("--output")
            .arg(&first)
            .arg(server.url("sunrise.png"))
            .arg("--output")
            .arg(&second)
            .arg(server.url("large.bin")));
        assert_eq!(text(reply.stdout), "1 0 ", "connections opened for each file, {version:?}");
        server.assert_same("sunrise.png", &fs::read(&first).unwrap());
        server.assert_same("large.bin", &fs::read(&second).unwrap());
    }
}

#[test]
fn wget_keeps_its_connection() {
    let Some(wget) = tool("wget") else { return };
    let server = Server::start();
    let saved = TempDir::new().unwrap();
    let reply = run(Command::new(wget)
        .args(["--no-config", "--no-proxy", "--tries=1", "--directory-prefix"])
        .arg(saved.path())
        .args(FILES.map(|file| server.url(file)))
        .env("LC_ALL", "C"));
    for file in FILES {
        server.assert_same(file, &fs::read(saved.path().join(file)).unwrap());
    }
    let report = text(reply.stderr);
    assert_eq!(report.matches("Reusing existing connection").count(), FILES.len() - 1, "{report}");
}

#[test]
fn apache_bench_with_a_connection_a_request() {
    let Some(ab) = tool("ab") else { return };
    apache_bench(Command::new(ab).args(["-n", "1000", "-c", "8"]));
}

#[test]
fn apache_bench_with_kept_connections() {
    let Some(ab) = tool("ab") else { return };
    let report = apache_bench(Command::new(ab).args(["-k", "-n", "1000", "-c", "8"]));
    assert_eq!(figure(&report, "Keep-Alive requests:"), 1000, "{report}");
}

fn apache_bench(command: &mut Command) -> String {
    let server = Server::start();
    let report = text(run(command.arg(server.url("sunrise.png"))).stdout);
    let length = server.bytes("sunrise.png").len();
    assert_eq!(figure(&report, "Complete requests:"), 1000, "{report}");
    assert_eq!(figure(&report, "Failed requests:"), 0, "{report}");
    assert_eq!(figure(&report, "HTML transferred:"), 1000 * length, "{report}");
    assert!(!report.contains("Non-2xx responses"), "{report}");
    report
}

/// The first number on the line of the report that begins with `name`.
fn figure(report: &str, name: &str) -> usize {
    let line = report.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let number = line.split_whitespace().next().unwrap_or_default();
    number.parse().unwrap_or_else(|_| panic!("no {name:?} in: {report}"))
}

#[test]
fn python_keeps_its_connection() {
    const SCRIPT: &str = r#"
import http.client, pathlib, sys
directory, port, *files = sys.argv[1:]
peer = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
peer.connect()
first = peer.sock
for file in files:
    peer.request("GET", "/" + file)
    reply = peer.getresponse()
    assert reply.status == 200, (file, reply.status)
    assert reply.read() == pathlib.Path(directory, file).read_bytes(), file
    assert peer.sock is first, "the connection was not kept after " + file
peer.request("GET", "/missing.html")
reply = peer.getresponse()
reply.read()
assert reply.status == 404, reply.status
"#;
    let Some(python) = tool("python3") else {
        return;
    };
    let server = Server::start();
    let port = server.port.to_string();
    run(Command::new(python).args(["-c", SCRIPT]).arg(server.directory()).arg(port).args(FILES));
}

/// The page is the example with a script that writes down what the browser made of it.
#[test]
fn chromium_shows_the_page_with_its_picture() {
    const SCRIPT: &str = "<script>
addEventListener('load', () => {
  document.body.dataset.width = document.querySelector('img').naturalWidth;
  document.body.dataset.rules = document.styleSheets[0].cssRules.length;
});
</script>
</body>";
    let Some(chromium) = tool("chromium") else {
        return;
    };
    let server = Server::start();
    let page = text(server.bytes("HelloWorld.html"));
    fs::write(server.directory().join("probe.html"), page.replace("</body>", SCRIPT)).unwrap();

    let profile = TempDir::new().unwrap();
    let dom = text(
        run(Command::new(chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            // It talks to this server and to nobody else.
            .args(["--no-proxy-server", "--disable-quic", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--virtual-time-budget=10000", "--dump-dom"])
            .arg(server.url("probe.html")))
        .stdout,
    );
    let width = picture_width(&server.bytes("sunrise.png"));
    assert!(width > 0);
    assert!(dom.contains("<h1>Hello, World!</h1>"), "{dom}");
    assert!(dom.contains(&format!(r#"data-width="{width}""#)), "the picture is not there: {dom}");
    assert!(dom.contains("data-rules=\"") && !dom.contains(r#"data-rules="0""#), "the stylesheet is not there: {dom}");
}

/// A PNG begins with its signature, then the header chunk: length, name, width.
fn picture_width(png: &[u8]) -> u32 {
    u32::from_be_bytes(png[16..20].try_into().unwrap())
}

/// The program under test, over a directory of its own, on a port of its own; it ends with the value.
struct Server {
    process: Child,
    port: u16,
    directory: TempDir,
    messages: File,
    /// Held open: a program whose output nobody reads may end of it.
    _output: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> Server {
        let directory = TempDir::new().unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/www");
        for file in &FILES[..3] {
            fs::copy(examples.join(file), directory.path().join(file)).unwrap();
        }
        // A period that is no power of two, so that a piece at a wrong offset shows.
        let large: Vec<u8> = (0..3_000_001_u32).map(|i| (i % 251) as u8).collect();
        fs::write(directory.path().join(FILES[3]), large).unwrap();

        // A file, not a pipe: an access log that nobody reads would fill it.
        let messages = tempfile::tempfile().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_webserver"))
            .args(["--port", "0", "--bind", "127.0.0.1"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(messages.try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let read = output.read_line(&mut line);
            let _ = sender.send((read.map(|_| line), output));
        });
        let Ok((line, output)) = receiver.recv_timeout(Duration::from_secs(10)) else {
            let _ = process.kill();
            let _ = process.wait();
            panic!("no ready line within 10 s: {}", text(contents(messages)));
        };
        let mut server = Server { process, port: 0, directory, messages, _output: output };
        let line = line.unwrap();
        let port = line.strip_prefix("listening on http://127.0.0.1:").and_then(|rest| rest.strip_suffix("/\n"));
        server.port = port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("the ready line is {line:?}"));
        server
    }

    fn url(&self, file: &str) -> String {
        format!("http://127.0.0.1:{}/{file}", self.port)
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.directory().join(file)).unwrap()
    }

    /// Not `assert_eq`: nobody reads three million numbers.
    fn assert_same(&self, file: &str, received: &[u8]) {
        let expected = self.bytes(file);
        assert!(
            received == expected,
            "{file}: {} bytes came, not those of the file, {}",
            received.len(),
            expected.len()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            eprintln!("messages of the server:\n{}", text(contents(self.messages.try_clone().unwrap())));
        }
    }
}

/// curl as it comes: no configuration file, no proxy, errors but no progress.
fn curl_quiet(curl: &Path) -> Command {
    let mut command = Command::new(curl);
    command.args(["--disable", "--noproxy", "*", "--silent", "--show-error"]);
    command
}

/// Runs a client to its end, which must be a success and come within a minute.
fn run(command: &mut Command) -> Output {
    let deadline = Instant::now() + Duration::from_secs(60);
    // Files, not pipes: a process that outlives the client would hold a pipe open.
    let stdout = tempfile::tempfile().unwrap();
    let stderr = tempfile::tempfile().unwrap();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone().unwrap())
        .stderr(stderr.try_clone().unwrap())
        // A group of its own, so that a browser ends with all its processes.
        .process_group(0)
        .spawn()
        .unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
            let _ = child.wait();
            panic!("{command:?} had not ended after a minute: {}", text(contents(stderr)));
        }
        thread::sleep(Duration::from_millis(5));
    };
    let output = Output { status, stdout: contents(stdout), stderr: contents(stderr) };
    assert!(status.success(), "{command:?} ended with {status}: {}{}", text(output.stdout), text(output.stderr));
    output
}

/// What was written to the file so far.
fn contents(mut file: File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
