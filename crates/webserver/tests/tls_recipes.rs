//! The recipes for HTTPS, as `docs/recipes/README.md` has them, with the real proxies and curl. Only ports, paths and what the
//! file around a recipe says are changed.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use support::{PROGRAM, Program, tool, wait_until};

const RECIPES: &str = include_str!("../../../docs/recipes/README.md");

/// Where the proxy takes the client's address from the connection. curl connects from there.
const CLIENT: &str = "127.0.0.2";

/// The first block of code below a heading.
fn recipe(heading: &str) -> &'static str {
    let section = RECIPES.split_once(&format!("# {heading}\n")).unwrap().1;
    let block = section.split_once("\n```").unwrap().1.split_once('\n').unwrap().1;
    block.split_once("\n```").unwrap().0
}

/// The line of a recipe for a Unix socket.
fn unix_line(proxy: &str) -> &'static str {
    RECIPES.split_once(&format!("\n| {proxy} | `")).unwrap().1.split_once('`').unwrap().0
}

/// Replaces a part that must be there.
fn replaced(text: &str, part: &str, by: &str) -> String {
    assert!(text.contains(part), "{part} in {text}");
    text.replace(part, by)
}

/// A directory to serve, a certificate with its key, and a place for sockets and for the proxies' files.
struct Place {
    directory: TempDir,
    large: Vec<u8>,
}

impl Place {
    /// `None` without openssl or curl.
    fn new() -> Option<Place> {
        let (openssl, _) = (tool("openssl")?, tool("curl")?);
        let place = Place { directory: TempDir::new().unwrap(), large: (0..251).cycle().take(300_000).collect() };
        fs::create_dir_all(place.path("www/sub")).unwrap();
        fs::write(place.path("www/large"), &place.large).unwrap();
        fs::write(place.path("www/sub/index.html"), "<p>index").unwrap();
        let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=example.org \
                         -addext subjectAltName=DNS:example.org";
        let (key, certificate) = (place.path("example.org.key"), place.path("example.org.pem"));
        let made = Command::new(openssl)
            .args(arguments.split_whitespace())
            .args(["-keyout", &key, "-out", &certificate])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let both = [fs::read(certificate).unwrap(), fs::read(key).unwrap()].concat();
        fs::write(place.path("example.org.both.pem"), both).unwrap();
        Some(place)
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// Starts the server by the line of a recipe.
    fn serve(&self, line: &str) -> Program {
        let line = line.split(" #").next().unwrap().trim_end().strip_prefix("webserver ").unwrap();
        let line = replaced(line, "/srv/www", &self.path("www")).replace("/run/webserver", &self.path(""));
        let mut command = Command::new(PROGRAM);
        if !line.contains("--unix") {
            command.args(["--port", "0"]);
        }
        Program::run(command.args(line.split_whitespace()))
    }
}

/// A running proxy. Dropping the value ends it.
struct Proxy<'a> {
    process: Child,
    port: u16,
    place: &'a Place,
    log: PathBuf,
}

/// How a proxy is started.
struct Kind {
    name: &'static str,
    program: &'static str,
    /// The file around the recipe. `PORT` and `DIR` are replaced.
    file: &'static str,
    /// What listens in the recipe, and on a port of the test.
    listen: (&'static str, &'static str),
    /// `FILE` is replaced by the path of the file.
    arguments: &'static str,
    /// Of HTTP, between curl and the proxy.
    version: &'static str,
}

/// Each is one process, which ends when the test ends it.
const KINDS: [Kind; 4] = [
    Kind {
        name: "Caddy",
        program: "caddy",
        file: "{\nadmin off\nhttps_port PORT\nauto_https disable_redirects\ndefault_bind 127.0.0.1\n\
               storage file_system DIR\n}\nRECIPE\n",
        listen: ("example.org {", "example.org {"),
        arguments: "run --adapter caddyfile --config FILE",
        version: "2",
    },
    Kind {
        name: "nginx",
        program: "nginx",
        file: "daemon off; master_process off; pid DIR/pid; events {}\n\
               http { access_log off; client_body_temp_path DIR; proxy_temp_path DIR; fastcgi_temp_path DIR;\n\
               uwsgi_temp_path DIR; scgi_temp_path DIR;\nRECIPE\n}\n",
        listen: ("listen 443 ssl", "listen 127.0.0.1:PORT ssl"),
        arguments: "-e DIR/log -c FILE",
        version: "1.1",
    },
    Kind {
        name: "HAProxy",
        program: "haproxy",
        file: "defaults\n timeout connect 5s\n timeout client 30s\n timeout server 30s\nRECIPE\n",
        listen: ("bind :443", "bind 127.0.0.1:PORT"),
        arguments: "-db -f FILE",
        version: "2",
    },
    Kind {
        name: "stunnel",
        program: "stunnel",
        file: "foreground = yes\npid =\nRECIPE\n",
        listen: ("accept = 443", "accept = 127.0.0.1:PORT"),
        arguments: "FILE",
        version: "1",
    },
];

impl Kind {
    /// Starts it with this recipe, if it is installed, on one of three ports.
    fn start<'a>(&self, recipe: &str, place: &'a Place) -> Option<Proxy<'a>> {
        let program = tool(self.program)?;
        let proxy = (0..3).find_map(|_| {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let recipe = replaced(recipe, self.listen.0, self.listen.1);
            let recipe = replaced(&recipe, "/etc/ssl/", &place.path(""));
            let fill = |text: &str| text.replace("PORT", &port.to_string()).replace("DIR", &place.path("proxy"));
            let (file, log) = (place.path("proxy/conf"), place.path("proxy/output"));
            fs::create_dir_all(place.path("proxy")).unwrap();
            fs::write(&file, fill(&replaced(self.file, "RECIPE", &recipe))).unwrap();
            let arguments = fill(&replaced(self.arguments, "FILE", &file));
            let output = fs::File::create(&log).unwrap();
            let process = Command::new(&program)
                .args(arguments.split(' '))
                .env("HOME", place.path("proxy"))
                .stdin(Stdio::null())
                .stdout(output.try_clone().unwrap())
                .stderr(output)
                .spawn()
                .unwrap();
            Proxy { process, port, place, log: log.into() }.when_ready()
        });
        Some(proxy.unwrap_or_else(|| panic!("{} ends instead of serving: {}", self.name, log_of(place))))
    }
}

fn log_of(place: &Place) -> String {
    fs::read_to_string(place.path("proxy/output")).unwrap_or_default()
}

impl Proxy<'_> {
    /// `None` if it ends, because another process has taken its port meanwhile.
    fn when_ready(mut self) -> Option<Self> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.curl(&["-o", "/dev/null", "-f"], "/sub/").status.success() {
            if self.process.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(Instant::now() < deadline, "no request is forwarded: {:?}", fs::read_to_string(&self.log));
            sleep(Duration::from_millis(20));
        }
        Some(self)
    }

    /// Sends a request from [`CLIENT`] for a path of `https://example.org/`.
    fn curl(&self, options: &[&str], path: &str) -> Output {
        let resolve = format!("example.org:{}:127.0.0.1", self.port);
        Command::new(tool("curl").unwrap())
            .args(["-q", "-sS", "-m", "20", "--noproxy", "*", "--interface", CLIENT, "--resolve", &resolve])
            .args(["--cacert", &self.place.path("example.org.pem")])
            .args(options)
            .arg(format!("https://example.org:{}{path}", self.port))
            .output()
            .unwrap()
    }

    /// Files, ranges and redirects pass through, and the log has the client's address, whatever the client says.
    fn check(&self, program: &Program, version: &str, logged: &[&str]) {
        let forged = ["-H", "X-Forwarded-For: 192.0.2.1, 198.51.100.7"];
        let output = self.curl(&forged, "/large");
        assert!(output.status.success() && output.stdout == self.place.large, "{:?}", output.stderr);
        let output = self.curl(&["-r", "100-199"], "/large");
        assert!(output.stdout == self.place.large[100..200], "{} bytes", output.stdout.len());
        let output = self.curl(&["-L", "-w", " %{url_effective} %{http_version}"], "/sub");
        let expected = format!("<p>index https://example.org:{}/sub/ {version}", self.port);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
        let is_large = |line: &&str| line.contains("\"GET /large HTTP/1.") && line.contains("\" 200 300000");
        wait_until("the request is logged", || program.messages().lines().any(|line| is_large(&line)));
        let messages = program.messages();
        let line = messages.lines().find(is_large).unwrap();
        assert!(logged.iter().any(|address| line.starts_with(&format!("{address} - - ["))), "{line}");
    }
}

impl Drop for Proxy<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Tests one recipe over TCP and over a Unix socket.
fn check_recipe(kind: &Kind) {
    let Some(place) = Place::new() else { return };
    let of_server = recipe("HTTPS").lines().next().unwrap();
    let is_blind = kind.name == "stunnel"; // it adds no header
    let over_tcp = if is_blind { replaced(of_server, "--trust-proxy 127.0.0.1 ", "") } else { of_server.to_owned() };
    let program = place.serve(&over_tcp);
    let upstream = format!("127.0.0.1:{}", program.port());
    let with_port = replaced(recipe(kind.name), "127.0.0.1:6789", &upstream);
    let Some(proxy) = kind.start(&with_port, &place) else { return };
    proxy.check(&program, kind.version, if is_blind { &["127.0.0.1"] } else { &[CLIENT] });
    drop(proxy);
    program.finish();

    let of_server = recipe("Over a Unix socket").lines().find(|line| line.starts_with("webserver ")).unwrap();
    let over_unix = if is_blind { replaced(of_server, "--trust-proxy unix ", "") } else { of_server.to_owned() };
    let program = place.serve(&over_unix);
    let line_of_tcp = recipe(kind.name).lines().find(|line| line.contains("127.0.0.1:6789")).unwrap().trim();
    let with_socket = replaced(recipe(kind.name), line_of_tcp, unix_line(kind.name));
    let with_socket = replaced(&with_socket, "/run/webserver/", &place.path(""));
    let proxy = kind.start(&with_socket, &place).unwrap();
    proxy.check(&program, kind.version, if is_blind { &["0.0.0.0", "unix"] } else { &[CLIENT] });
    drop(proxy);
    program.finish();
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn caddy_serves_files_over_tls() {
    check_recipe(&KINDS[0]);
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn nginx_serves_files_over_tls() {
    check_recipe(&KINDS[1]);
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn haproxy_serves_files_over_tls() {
    check_recipe(&KINDS[2]);
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn stunnel_serves_files_over_tls() {
    check_recipe(&KINDS[3]);
}
