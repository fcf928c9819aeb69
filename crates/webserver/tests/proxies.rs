//! HAProxy, nginx and Varnish in front of the program.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use support::{Browser, Program, TIMEOUT, read_to_end, tool, wait_until};

/// A running proxy. Dropping the value ends it.
struct Proxy {
    process: Child,
    port: u16,
    _directory: TempDir,
}

impl Proxy {
    /// Starts it, if it is installed. `arguments` gets its port and a directory for its files.
    fn start(program: &str, arguments: impl Fn(u16, &str) -> Vec<String>) -> Option<Proxy> {
        let program = tool(program)?;
        let proxy = (0..3).find_map(|_| Proxy::try_start(&program, &arguments));
        Some(proxy.expect("it ends instead of serving, on three ports"))
    }

    /// Waits until it forwards requests. `None` if it ends, because another process has taken its port meanwhile.
    fn try_start(program: &Path, arguments: impl Fn(u16, &str) -> Vec<String>) -> Option<Proxy> {
        let directory = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(program)
            .args(arguments(port, directory.path().to_str().unwrap()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut proxy = Proxy { process, port, _directory: directory };
        // Varnish listens, then compiles its configuration with a C compiler, and only then responds.
        let deadline = Instant::now() + Duration::from_secs(60);
        while !proxy.try_get("/ready", "").is_ok_and(|(status, ..)| status == 200) {
            if proxy.process.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(Instant::now() < deadline, "{program:?} forwards no request");
            thread::sleep(Duration::from_millis(5));
        }
        Some(proxy)
    }

    /// Status, head and body of the response to an HTTP/1.1 request.
    fn get(&self, path: &str, headers: &str) -> (u16, String, Vec<u8>) {
        self.try_get(path, headers).unwrap()
    }

    fn try_get(&self, path: &str, headers: &str) -> io::Result<(u16, String, Vec<u8>)> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n{headers}\r\n");
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(request.as_bytes())?;
        let bytes = read_to_end(&mut stream)?;
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok((0, String::new(), bytes));
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok((status, head, bytes[end + 4..].to_vec()))
    }

    /// Checks responses through the proxy against the files.
    fn check_forwarding(&self, large: &[u8]) {
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

// R9110-9.3.7: by default HAProxy checks health by OPTIONS.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn haproxy_considers_server_up() {
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
    wait_until("many health checks have come", || checks() > 20);
    haproxy.check_forwarding(&large); // HAProxy still considers the server up
    drop(haproxy);
    program.finish();
}

/// nginx with these locations, which can pass requests on to `http://own`. It is one process, which ends when the test
/// ends it: workers would live on without their master.
fn nginx(program: &Program, locations: &str) -> Option<Proxy> {
    Proxy::start("nginx", |port, own| {
        let config = format!(
            "daemon off; master_process off; pid {own}/pid; error_log {own}/log; events {{}}\n\
             http {{ access_log off; client_body_temp_path {own}; proxy_temp_path {own}; fastcgi_temp_path {own};\n\
             uwsgi_temp_path {own}; scgi_temp_path {own};\n\
             upstream own {{ server 127.0.0.1:{}; keepalive 4; }}\n\
             server {{ listen 127.0.0.1:{port}; {locations} }} }}\n",
            program.port()
        );
        fs::write(format!("{own}/cfg"), config).unwrap();
        ["-e", &format!("{own}/log"), "-c", &format!("{own}/cfg")].map(String::from).to_vec()
    })
}

// In both versions. nginx does not keep a connection to a server whose responses are HTTP/1.0.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn nginx_forwards_requests() {
    let (directory, large) = site();
    for (version, connection) in [("1.0", "keep-alive"), ("1.1", "")] {
        let program = Program::start(directory.path(), &[]);
        let location = format!(
            "location / {{ proxy_pass http://own; proxy_http_version {version};\n\
             proxy_set_header Connection \"{connection}\"; }}"
        );
        let Some(nginx) = nginx(&program, &location) else { return };
        nginx.check_forwarding(&large);
        drop(nginx);
        program.finish();
    }
}

// R9110-10.2.2
#[test]
#[ignore = "beside real software: scripts/interop"]
fn redirects_and_links_keep_the_prefix_of_a_proxy() {
    let (directory, _) = site();
    fs::create_dir_all(directory.path().join("sub/deeper/foo:bar")).unwrap();
    let program = Program::start(directory.path(), &[]);
    let locations = "location = /ready { proxy_pass http://own; }\nlocation /prefix/ { proxy_pass http://own/; }\n\
                     merge_slashes off;";
    let Some(nginx) = nginx(&program, locations) else { return };
    let root = format!("http://127.0.0.1:{}", nginx.port);

    let redirects = [
        ("/prefix/sub", "/prefix/sub/"),
        ("/prefix/sub?sort=size", "/prefix/sub/?sort=size"),
        ("/prefix/sub/deeper", "/prefix/sub/deeper/"),
        ("/prefix/sub/deeper/foo:bar", "/prefix/sub/deeper/foo%3Abar/"),
        ("/prefix//sub", "/prefix//sub/"),
        ("/prefix/sub//deeper", "/prefix/sub//deeper/"),
    ];
    if let Some(curl) = tool("curl") {
        for (from, to) in redirects {
            let mut command = Command::new(&curl);
            command.args(["-sL", "-m", "10", "-o", "/dev/null", "-w", "%{url_effective} %{http_code}"]);
            let output = command.arg(format!("{root}{from}")).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{root}{to} 200"));
        }
    }
    if let Some(wget) = tool("wget") {
        for (from, to) in redirects {
            let output = Command::new(&wget).args(["-S", "-T", "10", "-O", "-", &format!("{root}{from}")]).output();
            let output = output.unwrap();
            let (page, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
            assert!(page.contains("<title>Index of /") && log.contains(&format!("{root}{to}")), "{log}");
        }
    }
    let Some(mut browser) = Browser::start() else { return };
    for (from, to) in redirects {
        browser.call("Page.navigate", serde_json::json!({"url": format!("{root}{from}")}));
        browser.wait_for_page(&format!("{root}{to}"));
        let outside =
            "[...document.links].map(a => a.href).filter(url => !url.startsWith(location.origin + '/prefix/'))";
        assert_eq!(browser.evaluate(outside), serde_json::json!([]), "links on {to}");
        assert_ne!(browser.evaluate("document.links.length"), 0);
    }
    // The page of an error leads to the start.
    for missing in ["/prefix/missing", "/prefix/missing/", "/prefix/sub/a/b/c", "/prefix/sub//a?b/c"] {
        browser.open(&format!("{root}{missing}"));
        assert_eq!(
            browser.evaluate("[...document.links].map(a => a.pathname)"),
            serde_json::json!(["/prefix/"]),
            "{missing}"
        );
    }
    drop(nginx);
    program.finish();
}

// R9110-13.1.2, R9110-15.4.5: a shared cache revalidates by the entity tag, and then sends its copy.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn varnish_revalidates_by_entity_tag() {
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
    wait_until("varnish has revalidated", || {
        let (status, _, body) = varnish.get("/text.txt", "");
        assert_eq!((status, &*body), (200, &b"text"[..]));
        revalidated() > 0
    });
    let tag = first.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    let (status, _, body) = varnish.get("/text.txt", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((status, body.len()), (304, 0));
    // Changed content has another tag, so the cache fetches it.
    fs::write(directory.path().join("text.txt"), "other").unwrap();
    wait_until("the changed content is served", || varnish.get("/text.txt", "").2 == b"other");
    varnish.check_forwarding(&large);
    drop(varnish);
    program.finish();
}
