//! Proxies and caches that others wrote, in front of the real program.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use support::{Program, connect, wait_until};

/// A proxy at work on `port`; it ends with the value.
struct Proxy {
    process: Child,
    port: u16,
    _directory: TempDir,
}

impl Proxy {
    /// Starts it, unless it is not there. `arguments` are made from its own port and a directory of its own.
    fn start(program: &str, arguments: impl FnOnce(u16, &str) -> Vec<String>) -> Option<Proxy> {
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let version = Command::new(program).env("PATH", &path).arg("-v").output();
        let version = version.or_else(|_| Command::new(format!("/usr/sbin/{program}")).arg("-V").output());
        if version.is_err() {
            println!("MISSING: {program} (Debian package of that name)");
            assert!(std::env::var_os("CI").is_none(), "{program} is missing");
            return None;
        }
        let directory = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(program)
            .env("PATH", &path)
            .args(arguments(port, directory.path().to_str().unwrap()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let proxy = Proxy { process, port, _directory: directory };
        wait_until("the proxy listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        wait_until("the proxy reaches the program", || proxy.get("/ready", "").0 == 200);
        Some(proxy)
    }

    /// Status, head and body of an response to an HTTP/1.1 client.
    fn get(&self, path: &str, fields: &str) -> (u16, String, Vec<u8>) {
        let mut stream = connect(([127, 0, 0, 1], self.port).into());
        let request = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return (0, String::new(), bytes);
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, head, bytes[end + 4..].to_vec())
    }

    /// What passes a proxy is what lies in the directory.
    fn carries(&self, large: &[u8]) {
        for _ in 0..20 {
            let (status, _, body) = self.get("/large", "");
            assert!(status == 200 && body == large, "{status}, {} bytes", body.len());
            let (status, head, body) = self.get("/large", "Range: bytes=100-199\r\n");
            assert!(status == 206 && body == large[100..200], "{head}");
            assert!(head.to_ascii_lowercase().contains("content-range: bytes 100-199/300000"), "{head}");
            assert_eq!(self.get("/none", "").0, 404);
            assert_eq!(self.get("/sub", "").0, 301);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn site() -> (TempDir, Vec<u8>) {
    let directory = TempDir::new().unwrap();
    let large: Vec<u8> = (0..251).cycle().take(300_000).collect();
    fs::create_dir(directory.path().join("sub")).unwrap();
    for (name, content) in [("ready", &b"ready"[..]), ("large", &large), ("text.txt", b"text")] {
        fs::write(directory.path().join(name), content).unwrap();
    }
    (directory, large)
}

// R9110-9.3.7: its usual check is OPTIONS.
#[test]
fn haproxy_sees_it_up() {
    let (directory, large) = site();
    let program = Program::start(directory.path(), &[]);
    let Some(haproxy) = Proxy::start("haproxy", |port, own| {
        let config = format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
             listen all\n bind 127.0.0.1:{port}\n option httpchk\n\
             server one 127.0.0.1:{} check inter 10ms fall 1 rise 1\n",
            program.port()
        );
        fs::write(format!("{own}/cfg"), config).unwrap();
        ["-db", "-f", &format!("{own}/cfg")].map(String::from).to_vec()
    }) else {
        return;
    };
    let checks = || program.messages().matches("\"OPTIONS / HTTP/1.0\" 200 0\n").count();
    wait_until("many checks", || checks() > 20);
    haproxy.carries(&large); // after so many checks it is still up
    drop(haproxy);
    program.finish();
}

// In either version. It keeps no connection to a server that responses in HTTP/1.0, whatever that says.
#[test]
fn nginx_carries_it() {
    let (directory, large) = site();
    for version in ["1.0", "1.1"] {
        let program = Program::start(directory.path(), &[]);
        let Some(nginx) = Proxy::start("nginx", |port, own| {
            let kept = if version == "1.0" { "keep-alive" } else { "" };
            let config = format!(
                "daemon off; pid {own}/pid; error_log {own}/log; events {{}}\n\
                 http {{ access_log off; client_body_temp_path {own}; proxy_temp_path {own}; fastcgi_temp_path {own};\n\
                 uwsgi_temp_path {own}; scgi_temp_path {own};\n\
                 upstream own {{ server 127.0.0.1:{}; keepalive 4; }}\n\
                 server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://own; proxy_http_version {version};\n\
                 proxy_set_header Connection \"{kept}\"; }} }} }}\n",
                program.port()
            );
            fs::write(format!("{own}/cfg"), config).unwrap();
            ["-e", &format!("{own}/log"), "-c", &format!("{own}/cfg")].map(String::from).to_vec()
        }) else {
            return;
        };
        nginx.carries(&large);
        drop(nginx);
        program.finish();
    }
}

// R9110-13.1.2, R9110-15.4.5: a shared cache asks by the tag whether it is still so, and sends what it has.
#[test]
fn varnish_revalidates() {
    let (directory, large) = site();
    let program = Program::start(directory.path(), &["--cache-control", "max-age=1"]);
    let Some(varnish) = Proxy::start("varnishd", |port, own| {
        let options = format!(
            "-F -a 127.0.0.1:{port} -b 127.0.0.1:{} -n {own} -s malloc,16m -p default_keep=600 -p default_grace=0 -j none",
            program.port()
        );
        options.split(' ').map(String::from).collect()
    }) else {
        return;
    };
    let (status, first, body) = varnish.get("/text.txt", "");
    assert_eq!((status, &*body), (200, &b"text"[..]));
    let revalidated = || program.messages().matches("\"GET /text.txt HTTP/1.1\" 304 0\n").count();
    wait_until("a 304", || {
        let (status, _, body) = varnish.get("/text.txt", "");
        assert_eq!((status, &*body), (200, &b"text"[..]));
        revalidated() > 0
    });
    let tag = first.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    let (status, _, body) = varnish.get("/text.txt", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((status, body.len()), (304, 0));
    // Another content, another tag: not taken for the old one.
    fs::write(directory.path().join("text.txt"), "other").unwrap();
    wait_until("the other content", || varnish.get("/text.txt", "").2 == b"other");
    varnish.carries(&large);
    drop(varnish);
    program.finish();
}
