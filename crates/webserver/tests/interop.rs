//! curl, Wget, lftp, ApacheBench, Python, Node, lynx and w3m download the files of the directory.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use support::{Program, tool};

/// A small text, a style sheet, a picture, and a body that is too large for a single send.
const FILES: [&str; 4] = ["HelloWorld.html", "style.css", "sunrise.png", "large.bin"];

#[test]
#[ignore = "beside real software: scripts/interop"]
fn curl_downloads_with_http_1_0() {
    let Some(curl) = tool("curl") else { return };
    let site = Site::start();
    for file in FILES {
        let response = run(curl_quiet(&curl).arg("--http1.0").arg(site.url(file)));
        site.assert_same(file, &response.stdout);
    }
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn curl_downloads_with_http_1_1() {
    let Some(curl) = tool("curl") else { return };
    let site = Site::start();
    for file in FILES {
        let response = run(curl_quiet(&curl).arg(site.url(file)));
        site.assert_same(file, &response.stdout);
    }
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn curl_gets_head() {
    let Some(curl) = tool("curl") else { return };
    let site = Site::start();
    for file in FILES {
        let response = text(run(curl_quiet(&curl).arg("--head").arg(site.url(file))).stdout);
        let length = format!("\r\ncontent-length: {}\r\n", site.bytes(file).len());
        assert!(response.starts_with("HTTP/1.0 200 OK\r\n"), "{response}");
        assert!(response.to_ascii_lowercase().contains(&length), "{response}");
        assert!(response.ends_with("\r\n\r\n"), "a body after a HEAD: {response}");
    }
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn curl_gets_404_for_missing_file() {
    let Some(curl) = tool("curl") else { return };
    let site = Site::start();
    let response = run(curl_quiet(&curl).args(["--write-out", "\n%{http_code}"]).arg(site.url("missing.html")));
    assert!(text(response.stdout).ends_with("\n404"));
}

/// One connection for two files, in both versions.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn curl_keeps_its_connection() {
    let Some(curl) = tool("curl") else { return };
    let site = Site::start();
    let first = site.directory().join("first");
    let second = site.directory().join("second");
    for version in [&["--http1.1"][..], &["--http1.0", "--header", "Connection: keep-alive"]] {
        let response = run(curl_quiet(&curl)
            .args(version)
            .args(["--write-out", "%{num_connects} "])
            .arg("--output")
            .arg(&first)
            .arg(site.url("sunrise.png"))
            .arg("--output")
            .arg(&second)
            .arg(site.url("large.bin")));
        assert_eq!(text(response.stdout), "1 0 ", "connections opened for each file, {version:?}");
        site.assert_same("sunrise.png", &fs::read(&first).unwrap());
        site.assert_same("large.bin", &fs::read(&second).unwrap());
    }
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn wget_keeps_its_connection() {
    let Some(wget) = tool("wget") else { return };
    let site = Site::start();
    let saved = TempDir::new().unwrap();
    let response = run(Command::new(wget)
        .args(["--no-config", "--no-proxy", "--tries=1", "--directory-prefix"])
        .arg(saved.path())
        .args(FILES.map(|file| site.url(file)))
        .env("LC_ALL", "C"));
    for file in FILES {
        site.assert_same(file, &fs::read(saved.path().join(file)).unwrap());
    }
    let report = text(response.stderr);
    assert_eq!(report.matches("Reusing existing connection").count(), FILES.len() - 1, "{report}");
}

/// Directories and files, with names that need care in a link.
fn tree() -> (TempDir, Program, [&'static str; 5]) {
    let files = ["top.txt", "many/a b.txt", "many/c:d%.txt", "many/deep/quo'te\".txt", "many/deep/\u{fc}.txt"];
    let directory = TempDir::new().unwrap();
    for file in files {
        fs::create_dir_all(directory.path().join(file).parent().unwrap()).unwrap();
        fs::write(directory.path().join(file), file).unwrap();
    }
    let program = Program::start(directory.path(), &[]);
    (directory, program, files)
}

/// The paths that were requested, as the log has them.
fn requested(program: Program) -> Vec<String> {
    let log = program.finish();
    let mut paths: Vec<_> = log.lines().filter_map(|line| line.split('"').nth(1)?.split(' ').nth(1)).collect();
    paths.retain(|path| *path != "/robots.txt"); // which Wget asks for first
    paths.sort_unstable();
    paths.into_iter().map(String::from).collect()
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn wget_mirrors_a_directory_and_fetches_each_page_and_file_once() {
    let Some(wget) = tool("wget") else { return };
    let (_directory, program, files) = tree();
    let saved = TempDir::new().unwrap();
    let url = format!("http://{}/", program.address());
    run(Command::new(wget)
        .args(["--no-config", "--no-proxy", "--tries=1", "-r", "-np", "-nH", "--restrict-file-names=nocontrol", "-P"])
        .arg(saved.path())
        .arg(url)
        .env("LC_ALL", "C.UTF-8"));
    for file in files {
        assert_eq!(fs::read_to_string(saved.path().join(file)).unwrap(), file);
    }
    let mut expected = ["/", "/many/", "/many/deep/", "/top.txt", "/many/a%20b.txt", "/many/c%3Ad%25.txt"].to_vec();
    expected.extend(["/many/deep/quo%27te%22.txt", "/many/deep/%C3%BC.txt"]);
    expected.sort_unstable();
    let requested: Vec<_> =
        requested(program).iter().map(|path| path.replace("c:d", "c%3Ad").replace("quo'", "quo%27")).collect();
    assert_eq!(requested, expected);
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn lftp_mirrors_a_directory() {
    let Some(lftp) = tool("lftp") else { return };
    let (_directory, program, files) = tree();
    let saved = TempDir::new().unwrap();
    let script = format!("open http://{}/; mirror . {}; find many", program.address(), saved.path().display());
    let found = text(run(Command::new(lftp).args(["--norc", "-c", &script]).env("LC_ALL", "C.UTF-8")).stdout);
    assert_eq!(found.lines().filter(|line| line.ends_with(".txt")).count(), 4, "{found}");
    for file in files {
        assert_eq!(fs::read_to_string(saved.path().join(file)).unwrap(), file);
    }
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn apache_bench_opens_a_connection_per_request() {
    let Some(ab) = tool("ab") else { return };
    apache_bench(Command::new(ab).args(["-n", "1000", "-c", "8"]));
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn apache_bench_keeps_connections() {
    let Some(ab) = tool("ab") else { return };
    let report = apache_bench(Command::new(ab).args(["-k", "-n", "1000", "-c", "8"]));
    assert_eq!(figure(&report, "Keep-Alive requests:"), 1000, "{report}");
}

fn apache_bench(command: &mut Command) -> String {
    let site = Site::start();
    let report = text(run(command.arg(site.url("sunrise.png"))).stdout);
    let length = site.bytes("sunrise.png").len();
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
#[ignore = "beside real software: scripts/interop"]
fn python_keeps_its_connection() {
    const SCRIPT: &str = r#"
import http.client, pathlib, sys
directory, port, *files = sys.argv[1:]
peer = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
peer.connect()
first = peer.sock
for file in files:
    peer.request("GET", "/" + file)
    response = peer.getresponse()
    assert response.status == 200, (file, response.status)
    assert response.read() == pathlib.Path(directory, file).read_bytes(), file
    assert peer.sock is first, "the connection was not kept after " + file
peer.request("GET", "/missing.html")
response = peer.getresponse()
response.read()
assert response.status == 404, response.status
"#;
    let Some(python) = tool("python3") else {
        return;
    };
    let site = Site::start();
    let port = site.program.port().to_string();
    run(Command::new(python).args(["-c", SCRIPT]).arg(site.directory()).arg(port).args(FILES));
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn python_urllib_downloads_parts_and_revalidates() {
    const SCRIPT: &str = r#"
import pathlib, sys, urllib.error, urllib.request
directory, base, *files = sys.argv[1:]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for file in files:
    content = pathlib.Path(directory, file).read_bytes()
    with opener.open(base + file, timeout=30) as response:
        assert response.read() == content, file
        assert int(response.headers["Content-Length"]) == len(content), file
        tag = response.headers["ETag"]
    request = urllib.request.Request(base + file, headers={"Range": "bytes=10-19"})
    with opener.open(request, timeout=30) as response:
        assert (response.status, response.read()) == (206, content[10:20]), file
    request = urllib.request.Request(base + file, headers={"If-None-Match": tag})
    try:
        opener.open(request, timeout=30)
        raise SystemExit("no 304 for " + file)
    except urllib.error.HTTPError as error:
        assert (error.code, error.read()) == (304, b""), file
try:
    opener.open(base + "missing.html", timeout=30)
    raise SystemExit("no 404")
except urllib.error.HTTPError as error:
    assert error.code == 404 and b"404" in error.read()
"#;
    let Some(python) = tool("python3") else { return };
    let site = Site::start();
    run(Command::new(python).args(["-c", SCRIPT]).arg(site.directory()).arg(site.url("")).args(FILES));
}

/// `fetch` rejects a response that is shorter or longer than its Content-Length.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn node_fetches_and_keeps_its_connection() {
    const SCRIPT: &str = r#"
const fs = require('fs'), assert = require('assert');
const [directory, base, ...files] = process.argv.slice(1);
(async () => {
    for (const file of files) {
        const content = fs.readFileSync(directory + '/' + file);
        const response = await fetch(base + file);
        assert.strictEqual(response.status, 200, file);
        assert(content.equals(Buffer.from(await response.arrayBuffer())), file);
        const part = await fetch(base + file, {headers: {Range: 'bytes=-7'}});
        assert.strictEqual(part.status, 206, file);
        assert(content.subarray(-7).equals(Buffer.from(await part.arrayBuffer())), file);
        const again = await fetch(base + file, {headers: {'If-None-Match': response.headers.get('etag')}});
        assert.strictEqual(again.status, 304, file);
        assert.strictEqual((await fetch(base + file, {method: 'HEAD'})).headers.get('content-length'), '' + content.length);
    }
    const missing = await fetch(base + 'missing.html');
    assert.strictEqual(missing.status, 404);
    await missing.text();
})().catch(error => { console.error(error); process.exit(1); });
"#;
    let Some(node) = tool("node") else { return };
    let site = Site::start();
    run(Command::new(node).args(["-e", SCRIPT]).arg(site.directory()).arg(site.url("")).args(FILES));
    let log = site.program.finish();
    let requests = log.lines().filter(|line| line.contains(" HTTP/1.1\" ")).count();
    let last = log.lines().last().unwrap();
    let connections: usize = last.strip_prefix("webserver: ").unwrap().split(' ').next().unwrap().parse().unwrap();
    // It closes a connection after a HEAD.
    assert!(requests == 17 && connections <= 8, "{requests} requests: {last}");
}

/// Wget has a part of a file, and asks for the rest of it.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn wget_continues_a_download() {
    let Some(wget) = tool("wget") else { return };
    let site = Site::start();
    let saved = TempDir::new().unwrap();
    let (file, content) = (saved.path().join("large.bin"), site.bytes("large.bin"));
    let continue_it = |log: &str| {
        let mut command = Command::new(&wget);
        command.args(["--no-config", "--no-proxy", "--tries=1", "-c", "-P"]).arg(saved.path());
        run(command.arg(site.url("large.bin")).env("LC_ALL", "C"));
        site.assert_same("large.bin", &fs::read(saved.path().join("large.bin")).unwrap());
        support::wait_until("it is logged", || site.program.messages().contains(log));
    };
    fs::write(&file, &content[..1_000_000]).unwrap();
    continue_it("\"GET /large.bin HTTP/1.1\" 206 2000001\n");
    continue_it("\"GET /large.bin HTTP/1.1\" 416 "); // it is complete
}

/// curl has a part of a file, and asks for the rest of it.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn curl_continues_a_download() {
    let Some(curl) = tool("curl") else { return };
    let site = Site::start();
    let file = site.directory().join("part");
    fs::write(&file, &site.bytes("large.bin")[..1_000_000]).unwrap();
    let response = run(curl_quiet(&curl)
        .args(["-C", "-", "--write-out", "%{http_code} %{size_download}", "-o"])
        .arg(&file)
        .arg(site.url("large.bin")));
    assert_eq!(text(response.stdout), "206 2000001");
    site.assert_same("large.bin", &fs::read(&file).unwrap());
}

/// Text browsers show the page, a listing and a text.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn lynx_and_w3m_show_pages() {
    for (browser, options) in [
        ("lynx", &["-nopause", "-cfg=/dev/null", "-display_charset=utf-8", "-dump"][..]),
        ("w3m", &["-no-proxy", "-dump"]),
    ] {
        let Some(browser) = tool(browser) else { continue };
        let site = Site::start();
        fs::create_dir(site.directory().join("sub")).unwrap();
        fs::write(site.directory().join("sub/caf\u{e9}.txt"), "text").unwrap();
        for (path, expected) in [
            ("HelloWorld.html", "Hello, World!"),
            ("sub", "caf\u{e9}.txt"), // a redirect to the listing
            ("sub/caf%C3%A9.txt", "text"),
        ] {
            let mut command = Command::new(&browser);
            command.args(options).arg(site.url(path)).env("LC_ALL", "C.UTF-8");
            let page = text(run(command.env("HOME", site.directory())).stdout);
            assert!(page.contains(expected), "{browser:?} {path}: {page}");
        }
    }
}

/// The program under test, serving a directory.
struct Site {
    program: Program,
    directory: TempDir,
}

impl Site {
    fn start() -> Site {
        let directory = TempDir::new().unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/www");
        for file in &FILES[..3] {
            fs::copy(examples.join(file), directory.path().join(file)).unwrap();
        }
        // A period that is not a power of two, so that a piece from a wrong offset is noticed.
        let large: Vec<u8> = (0..3_000_001_u32).map(|i| (i % 251) as u8).collect();
        fs::write(directory.path().join(FILES[3]), large).unwrap();
        Site { program: Program::start(directory.path(), &[]), directory }
    }

    fn url(&self, file: &str) -> String {
        format!("http://{}/{file}", self.program.address())
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.directory().join(file)).unwrap()
    }

    /// Not `assert_eq`, which would print three million numbers.
    fn assert_same(&self, file: &str, received: &[u8]) {
        let expected = self.bytes(file);
        let lengths = (received.len(), expected.len());
        assert!(received == expected, "{file}: received and expected lengths {lengths:?}");
    }
}

/// curl without configuration file, proxy and progress meter.
fn curl_quiet(curl: &Path) -> Command {
    let mut command = Command::new(curl);
    command.args(["--disable", "--noproxy", "*", "--silent", "--show-error"]);
    command
}

/// Runs a client, which must succeed within a minute.
fn run(command: &mut Command) -> Output {
    let deadline = Instant::now() + Duration::from_secs(60);
    // Files, not pipes: a process that survives the client would hold a pipe open.
    let stdout = tempfile::tempfile().unwrap();
    let stderr = tempfile::tempfile().unwrap();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone().unwrap())
        .stderr(stderr.try_clone().unwrap())
        // A process group of its own, so that all processes of a browser can be killed.
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

/// The content of the file.
fn contents(mut file: File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
