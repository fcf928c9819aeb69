//! Fetches files from other people's servers, nginx, lighttpd and Python's, and from http-files.
// Clippy then treats the helpers, too, as test code.
#![cfg(test)]

mod peers;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use http_files::Files;
use http_server::{RunningServer, Server as HttpServer};
use peers::tool;
use tempfile::TempDir;
use webclient::{Client, Event};

/// The files of the directory that every server serves: nothing, a text, a name to be encoded, and much.
const FILES: [&str; 4] = ["empty", "text.txt", "a b+\u{e9}%.txt", "large.bin"];

/// A server of the directory, which ends when it is dropped.
struct Server {
    running: Running,
    port: u16,
    directory: TempDir,
    /// Connections that 20 requests of a client need.
    connections: usize,
    /// The statuses of a request for a range, and of a POST.
    range: u16,
    post: u16,
}

enum Running {
    Process(Child),
    Own(#[allow(dead_code, reason = "it runs until it is dropped")] RunningServer),
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Running::Process(child) = &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn site() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("sub")).unwrap();
    fs::write(directory.path().join("sub/index.html"), "<p>sub").unwrap();
    let large: Vec<u8> = (0..=250).cycle().take(3_000_000).collect();
    for (name, content) in FILES.iter().zip([&b""[..], b"text\n", b"encoded", &large]) {
        fs::write(directory.path().join(name), content).unwrap();
    }
    directory
}

/// Starts a program, if it is installed. `arguments` gets its port, its root and a directory for its own files. If
/// another process has taken the port, it tries again.
fn start(program: &str, arguments: impl Fn(u16, &str, &Path) -> Vec<String>) -> Option<(Running, u16, TempDir)> {
    let (program, directory) = (tool(program)?, site());
    let own = directory.path().join("own");
    fs::create_dir(&own).unwrap();
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(&program);
        command.args(arguments(port, directory.path().to_str().unwrap(), &own)).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() && child.try_wait().unwrap().is_none() {
                return Some((Running::Process(child), port, directory));
            }
            assert!(Instant::now() < end, "{} does not listen", program.display());
            thread::sleep(Duration::from_millis(10));
        }
    }
    panic!("{} ends at once", program.display());
}

fn nginx() -> Option<Server> {
    let (running, port, directory) = start("nginx", |port, root, own| {
        let own = own.display();
        let config = format!(
            "daemon off; master_process off; pid {own}/pid; error_log {own}/log; events {{}}\n\
             http {{ access_log off; client_body_temp_path {own}/1; proxy_temp_path {own}/2;\n\
             fastcgi_temp_path {own}/3; uwsgi_temp_path {own}/4; scgi_temp_path {own}/5;\n\
             server {{ listen 127.0.0.1:{port}; root {root}; absolute_redirect off; }} }}\n"
        );
        fs::write(format!("{own}/cfg"), config).unwrap();
        ["-e", &format!("{own}/log"), "-c", &format!("{own}/cfg")].map(String::from).to_vec()
    })?;
    Some(Server { running, port, directory, connections: 1, range: 206, post: 405 })
}

/// It serves a file for any method, and honours no range in HTTP/1.0.
fn lighttpd() -> Option<Server> {
    let (running, port, directory) = start("lighttpd", |port, root, own| {
        let config = format!(
            "server.document-root = \"{root}\"\nserver.bind = \"127.0.0.1\"\nserver.port = {port}\n\
             server.modules = (\"mod_indexfile\", \"mod_staticfile\")\nindex-file.names = (\"index.html\")\n\
             server.upload-dirs = (\"{}\")\n",
            own.display()
        );
        fs::write(own.join("cfg"), config).unwrap();
        ["-D", "-f", own.join("cfg").to_str().unwrap()].map(String::from).to_vec()
    })?;
    Some(Server { running, port, directory, connections: 1, range: 200, post: 200 })
}

/// Python's module closes each connection, and knows no ranges.
fn python() -> Option<Server> {
    let (running, port, directory) = start("python3", |port, root, _| {
        ["-m", "http.server", "--bind", "127.0.0.1", "--directory", root, &port.to_string()].map(String::from).to_vec()
    })?;
    Some(Server { running, port, directory, connections: 20, range: 200, post: 501 })
}

fn own() -> Option<Server> {
    let directory = site();
    let files = Files::new(directory.path()).unwrap();
    let running = HttpServer::bind("127.0.0.1:0").unwrap().threads(2).start(files).unwrap();
    let port = running.local_addrs()[0].port();
    Some(Server { running: Running::Own(running), port, directory, connections: 1, range: 206, post: 405 })
}

impl Server {
    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{}", self.port, path.replace('%', "%25").replace('+', "%2B"))
    }

    fn webclient(&self, arguments: &[&str], paths: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_webclient"));
        command.args(arguments).args(paths.iter().map(|path| self.url(path))).stdin(Stdio::null());
        command.output().unwrap()
    }

    fn check_all(&self) {
        let content = |name: &str| fs::read(self.directory.path().join(name)).unwrap();
        let assert_ends = |output: Output, status: i32, stdout: &[u8]| {
            let message = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), output.stdout == stdout), (Some(status), true), "{message}");
        };

        // The program.
        for name in FILES {
            assert_ends(self.webclient(&[], &[name]), 0, &content(name));
        }
        assert_ends(self.webclient(&[], &FILES), 0, &FILES.map(content).concat());
        assert_ends(self.webclient(&[], &["sub/../text.txt"]), 0, b"text\n");
        assert_eq!(self.webclient(&[], &["none"]).status.code(), Some(4));
        let refused = if self.post == 200 { 0 } else { i32::from(self.post / 100) };
        assert_eq!(self.webclient(&["-X", "POST"], &["text.txt"]).status.code(), Some(refused));
        assert_eq!(self.webclient(&[], &["sub"]).status.code(), Some(3));
        assert_ends(self.webclient(&["-L"], &["sub"]), 0, b"<p>sub");
        let head = self.webclient(&["-I"], &["text.txt"]);
        let text = String::from_utf8(head.stdout).unwrap();
        assert!(
            text.to_ascii_lowercase().contains("\r\ncontent-length: 5\r\n") && text.ends_with("\r\n\r\n"),
            "{text}"
        );
        let port = self.port.to_string();
        let lab =
            Command::new(env!("CARGO_BIN_EXE_webclient")).args(["127.0.0.1", &port, "text.txt"]).output().unwrap();
        assert!(lab.stdout.starts_with(b"HTTP/1.") && lab.stdout.ends_with(b"\r\n\r\ntext\n"), "{lab:?}");

        // The library: 20 requests by one client.
        let opened = Arc::new(AtomicUsize::new(0));
        let count = opened.clone();
        let client = Client::new().on_event(move |event| {
            count.fetch_add(usize::from(matches!(event, Event::Connected(_))), Relaxed);
        });
        for n in 0..20 {
            let name = FILES[n % FILES.len()];
            assert!(
                client.get(self.url(name)).send().unwrap().read_to_vec(1 << 30).unwrap() == content(name),
                "{name}"
            );
        }
        assert_eq!(opened.load(Relaxed), self.connections);
        let mut part = client.get(self.url("large.bin")).header("Range", "bytes=100-199").send().unwrap();
        assert_eq!(part.status().code(), self.range);
        let expected = content("large.bin");
        let expected = if self.range == 206 { &expected[100..200] } else { &expected };
        assert!(part.read_to_vec(1 << 30).unwrap() == expected);
        let posted = client.post(self.url("text.txt")).body("x").send().unwrap();
        assert_eq!(posted.status().code(), self.post);
    }
}

#[test]
fn files_are_fetched_from_nginx() {
    nginx().iter().for_each(Server::check_all);
}

#[test]
fn files_are_fetched_from_lighttpd() {
    lighttpd().iter().for_each(Server::check_all);
}

#[test]
fn files_are_fetched_from_python() {
    python().iter().for_each(Server::check_all);
}

#[test]
fn files_are_fetched_from_http_files() {
    own().iter().for_each(Server::check_all);
}
