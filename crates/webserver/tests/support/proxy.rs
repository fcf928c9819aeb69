//! A proxy in front of the program, with a configuration of `deploy/` or one that a test makes.

use std::fs;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{TIMEOUT, read_to_end, tool};

/// A running proxy. Dropping the value ends it.
pub(crate) struct Proxy {
    process: Child,
    pub(crate) port: u16,
    _directory: TempDir,
}

impl Proxy {
    /// HAProxy with this configuration, in which `:80` is its port.
    pub(crate) fn haproxy(config: &str) -> Option<Proxy> {
        Proxy::start("haproxy", |port, own| {
            fs::write(format!("{own}/cfg"), replaced(config, "bind :80", &format!("bind 127.0.0.1:{port}"))).unwrap();
            ["-db", "-f", &format!("{own}/cfg")].map(String::from).to_vec()
        })
    }

    /// nginx with this part of its configuration, which belongs into `http`. It is one process, which ends when the test
    /// ends it: workers would live on without their master.
    pub(crate) fn nginx(http: &str) -> Option<Proxy> {
        Proxy::start("nginx", |port, own| {
            let http = replaced(http, "listen 80;", &format!("listen 127.0.0.1:{port};"));
            let http = http.replace("/var/cache/nginx/webserver", &format!("{own}/cache"));
            let config = format!(
                "daemon off; master_process off; pid {own}/pid; error_log {own}/log; events {{}}\n\
                 http {{ access_log off; client_body_temp_path {own}; proxy_temp_path {own};\n\
                 fastcgi_temp_path {own}; uwsgi_temp_path {own}; scgi_temp_path {own};\n{http} }}\n"
            );
            fs::write(format!("{own}/cfg"), config).unwrap();
            ["-e", &format!("{own}/log"), "-c", &format!("{own}/cfg")].map(String::from).to_vec()
        })
    }

    /// Varnish with this configuration.
    pub(crate) fn varnish(vcl: &str) -> Option<Proxy> {
        Proxy::start("varnishd", |port, own| {
            fs::write(format!("{own}/vcl"), vcl).unwrap();
            let options = format!("-F -a 127.0.0.1:{port} -f {own}/vcl -n {own}/work -s malloc,16m -j none");
            options.split(' ').map(String::from).collect()
        })
    }

    /// Starts it, if it is installed. `arguments` gets its port and a directory for its files.
    fn start(program: &str, arguments: impl Fn(u16, &str) -> Vec<String>) -> Option<Proxy> {
        let program = tool(program)?;
        let proxy = (0..3).find_map(|_| Proxy::try_start(&program, &arguments));
        Some(proxy.expect("it ends instead of serving, on three ports"))
    }

    /// Waits until it forwards requests. `None` if it ends, because another process has taken its port meanwhile.
    fn try_start(program: &Path, arguments: impl Fn(u16, &str) -> Vec<String>) -> Option<Proxy> {
        let directory = TempDir::new().unwrap();
        let port = free_port();
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
    pub(crate) fn get(&self, path: &str, headers: &str) -> (u16, String, Vec<u8>) {
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
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A file of `deploy/`.
pub(crate) fn deployed(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)).unwrap()
}

/// A configuration of `deploy/` for servers on these ports instead of 6789 and the following.
pub(crate) fn deployed_for(name: &str, ports: &[u16]) -> String {
    (6789..).zip(ports).fold(deployed(name), |config, (of_file, port)| {
        // `:6789` in two of the files, and `"6789"` in the third.
        let config = config.replace(&format!("127.0.0.1:{of_file}"), &format!("127.0.0.1:{port}"));
        let config = config.replace(&format!("\"{of_file}\""), &format!("\"{port}\""));
        assert!(config.contains(&port.to_string()), "{of_file} in {config}");
        config
    })
}

/// Replaces a part that must be there.
pub(crate) fn replaced(text: &str, part: &str, by: &str) -> String {
    assert!(text.contains(part), "{part} in {text}");
    text.replace(part, by)
}

/// A free port below those that the kernel gives to connections, so that none takes it while its server is restarted.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 10_000 + u16::try_from(std::process::id() % 200).unwrap() * 100;
    let candidates = || start + NEXT.fetch_add(1, Ordering::Relaxed) % 1000;
    std::iter::repeat_with(candidates).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}
