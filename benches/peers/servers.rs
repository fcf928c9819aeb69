//! The servers: finding or building each, and how each is told to serve the directory.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use clap::ValueEnum;

use crate::Why;
use crate::built::{Built, descriptors};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Ours, as it starts without options
    #[value(skip)]
    Logging,
    /// Ours, on the terms of the peers
    #[value(skip)]
    Silent,
    Nginx,
    H2o,
    Lighttpd,
    /// The kernel's share: the same calls, and nothing around them
    Bare,
    Hyper,
    TinyHttp,
    Python,
}

pub(crate) struct Server {
    pub(crate) kind: Kind,
    program: PathBuf,
    pub(crate) version: String,
}

/// Nobody turns connections away, or ends idle ones, while measured.
const CONNECTIONS: u32 = 16_384;
const IDLE_SECONDS: u32 = 600;

/// `python -m http.server`, without the line that it writes for each request.
const PYTHON: &str = "
import functools, http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
handler = functools.partial(Handler, directory=sys.argv[2])
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), handler).serve_forever()
";

/// Ours twice, and those of the peers that are wanted and there. A missing one is named.
pub(crate) fn ready(wanted: &[Kind], webserver: Option<&Path>) -> Result<Vec<Server>, Why> {
    let built = Built::new()?;
    let (program, version) = match webserver {
        Some(program) => (program.canonicalize()?, said_by(Command::new(program).arg("--version"))),
        None => (built.program("webserver", &["-p", "webserver"])?, commit()),
    };
    let ours = |kind| Server { kind, program: program.clone(), version: version.clone() };
    let mut servers = vec![ours(Kind::Logging), ours(Kind::Silent)];
    for &kind in Kind::value_variants().iter().filter(|kind| wanted.is_empty() || wanted.contains(kind)) {
        let small_program = |name| built.program(name, &["-p", "benches", "--features", "peers", "--bin", name]);
        let (program, version) = match kind {
            Kind::Logging | Kind::Silent => continue,
            Kind::Bare => (Some(small_program("peer-bare")?), "of this tree".into()),
            Kind::Hyper => (Some(small_program("peer-hyper")?), locked_version("hyper")?),
            Kind::TinyHttp => (Some(small_program("peer-tiny-http")?), locked_version("tiny_http")?),
            Kind::Nginx => installed("nginx", "-v"),
            Kind::H2o => installed("h2o", "-v"),
            Kind::Lighttpd => installed("lighttpd", "-v"),
            Kind::Python => installed("python3", "--version"),
        };
        match program {
            Some(program) => servers.push(Server { kind, program, version }),
            None => println!("Left out, since it is not installed: {}\n", kind.name()),
        }
    }
    Ok(servers)
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Logging => "webserver, with its log",
            Self::Silent => "webserver",
            Self::Nginx => "nginx",
            Self::H2o => "h2o",
            Self::Lighttpd => "lighttpd",
            Self::Bare => "bare calls",
            Self::Hyper => "hyper",
            Self::TinyHttp => "tiny_http",
            Self::Python => "Python http.server",
        }
    }
}

impl Server {
    pub(crate) fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// To serve `root` on a port of the loopback interface, in the foreground.
    pub(crate) fn command(&self, root: &Path, scratch: &Path, port: u16) -> io::Result<Command> {
        let config = scratch.join("config");
        let errors = File::create(scratch.join("errors"))?;
        let mut command = Command::new(&self.program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        match self.kind {
            Kind::Logging | Kind::Silent => {
                let log = if self.kind == Kind::Logging { "common" } else { "off" };
                command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--log-format", log]);
                command.args(["--max-connections", &CONNECTIONS.to_string()]);
                command.args(["--idle-timeout", &IDLE_SECONDS.to_string()]).arg(root);
            }
            Kind::Nginx => {
                fs::write(&config, nginx(root, scratch, port))?;
                command.arg("-p").arg(scratch).arg("-e").arg(scratch.join("errors")).arg("-c").arg(config);
            }
            Kind::H2o => {
                fs::write(&config, h2o(root, port))?;
                command.arg("-c").arg(config);
            }
            Kind::Lighttpd => {
                fs::write(&config, lighttpd(root, port))?;
                command.arg("-D").arg("-f").arg(config);
            }
            Kind::Bare | Kind::Hyper | Kind::TinyHttp => {
                command.arg(port.to_string()).arg(root);
            }
            Kind::Python => {
                command.args(["-c", PYTHON]).arg(port.to_string()).arg(root);
            }
        }
        Ok(command)
    }
}

/// `open_file_cache` stays off, which is its default: files may change at any time, as with the others.
fn nginx(root: &Path, scratch: &Path, port: u16) -> String {
    // As root it would give its workers to another user, who may not read the directory.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let (root, scratch) = (root.display(), scratch.display());
    format!(
        "daemon off; {user} worker_processes {cores}; pid {scratch}/pid;
         events {{ worker_connections {CONNECTIONS}; }}
         http {{
             access_log off; sendfile on; tcp_nopush on;
             keepalive_requests 1000000; keepalive_timeout {IDLE_SECONDS};
             types {{ text/plain txt; }}
             client_body_temp_path {scratch}/t1; proxy_temp_path {scratch}/t2; fastcgi_temp_path {scratch}/t3;
             uwsgi_temp_path {scratch}/t4; scgi_temp_path {scratch}/t5;
             server {{ listen 127.0.0.1:{port}; root {root}; }}
         }}\n",
        cores = cores()
    )
}

/// `http1-request-timeout` is also how long a kept connection may be idle.
fn h2o(root: &Path, port: u16) -> String {
    let user = if rustix::process::geteuid().is_root() { "user: root\n" } else { "" };
    format!(
        "{user}num-threads: {cores}
max-connections: {CONNECTIONS}
http1-request-timeout: {IDLE_SECONDS}
listen: {{host: 127.0.0.1, port: {port}}}
hosts: {{default: {{paths: {{/: {{file.dir: {root:?}}}}}}}}}\n",
        cores = cores()
    )
}

/// One process, which is its default. 65,535 is as many requests as it lets a connection have; it takes half as many
/// connections as descriptors.
fn lighttpd(root: &Path, port: u16) -> String {
    format!(
        "server.bind = \"127.0.0.1\"
server.port = {port}
server.document-root = {root:?}
server.max-fds = {fds}
server.max-connections = {CONNECTIONS}
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = {IDLE_SECONDS}
mimetype.assign = (\".txt\" => \"text/plain\")\n",
        fds = descriptors()
    )
}

pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// In PATH, or where daemons are and PATH may not say so. An empty path and version when it is nowhere.
pub(crate) fn installed(program: &str, version: &str) -> (Option<PathBuf>, String) {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories = env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let found = directories.find_map(|directory| Some(directory.join(program)).filter(|file| file.is_file()));
    let version = found.as_ref().map(|program| said_by(Command::new(program).arg(version))).unwrap_or_default();
    (found, version)
}

/// The first line that a program says, wherever it says it.
fn said_by(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return String::new() };
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned()
}

/// What this tree is a build of, where it is a clone.
fn commit() -> String {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    said_by(git.stderr(Stdio::null()))
}

fn locked_version(package: &str) -> Result<String, Why> {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"))?;
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \"")).ok_or("a package is not locked")?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}
