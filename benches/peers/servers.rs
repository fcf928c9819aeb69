//! The servers: how each is found or built, and its configuration.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use clap::ValueEnum;

use crate::BoxError;
use crate::setup::{CargoTarget, raise_descriptor_limit};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Ours with its access log, as by default
    #[value(skip)]
    Logging,
    /// Ours without a log, like the peers
    #[value(skip)]
    Silent,
    Nginx,
    H2o,
    Lighttpd,
    /// The system calls of a request and nothing else
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

/// What a benchmark may change in the configuration of our server and of nginx. `None` leaves their defaults.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tuning {
    /// Threads of ours; processes of nginx, by default one per core.
    pub(crate) workers: Option<usize>,
    /// Small files that ours keeps in memory, and files that nginx keeps open. By default 4,096 and none.
    pub(crate) cached_files: Option<usize>,
}

/// High enough that no server rejects connections or closes idle ones during a measurement.
const CONNECTIONS: u32 = 16_384;
const IDLE_SECONDS: u32 = 600;

/// `python -m http.server` without its access log.
const PYTHON: &str = "
import functools, http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
handler = functools.partial(Handler, directory=sys.argv[2])
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), handler).serve_forever()
";

/// Our server twice, and the selected peers. A peer that is not installed is reported and left out.
pub(crate) fn prepare(selected: &[Kind], webserver: Option<&Path>) -> Result<Vec<Server>, BoxError> {
    let target = CargoTarget::new()?;
    let (program, version) = match webserver {
        Some(program) => (program.canonicalize()?, first_line(Command::new(program).arg("--version"))),
        None => (target.build("webserver", &["-p", "webserver"])?, commit()),
    };
    let ours = |kind| Server { kind, program: program.clone(), version: version.clone() };
    let mut servers = vec![ours(Kind::Logging), ours(Kind::Silent)];
    for &kind in Kind::value_variants().iter().filter(|kind| selected.is_empty() || selected.contains(kind)) {
        let build = |name| target.build(name, &["-p", "benches", "--features", "peers", "--bin", name]);
        let (program, version) = match kind {
            Kind::Logging | Kind::Silent => continue,
            Kind::Bare => (Some(build("peer-bare")?), "built from this tree".into()),
            Kind::Hyper => (Some(build("peer-hyper")?), locked_version("hyper")?),
            Kind::TinyHttp => (Some(build("peer-tiny-http")?), locked_version("tiny_http")?),
            Kind::Nginx => find_installed("nginx", "-v"),
            Kind::H2o => find_installed("h2o", "-v"),
            Kind::Lighttpd => find_installed("lighttpd", "-v"),
            Kind::Python => find_installed("python3", "--version"),
        };
        match program {
            Some(program) => servers.push(Server { kind, program, version }),
            None => println!("Not installed, so left out: {}\n", kind.name()),
        }
    }
    Ok(servers)
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Logging => "webserver with log",
            Self::Silent => "webserver",
            Self::Nginx => "nginx",
            Self::H2o => "h2o",
            Self::Lighttpd => "lighttpd",
            Self::Bare => "bare system calls",
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

    /// The command that serves `root` on a port of the loopback interface, in the foreground.
    pub(crate) fn command(&self, root: &Path, scratch: &Path, port: u16, tuning: Tuning) -> io::Result<Command> {
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
                if let Some(workers) = tuning.workers {
                    command.args(["--threads", &workers.to_string()]);
                }
                if let Some(files) = tuning.cached_files {
                    command.args(["--cache-size", &files.div_ceil(64).to_string()]); // MiB, for files of 16 KiB
                }
            }
            Kind::Nginx => {
                fs::write(&config, nginx(root, scratch, port, tuning))?;
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

/// `open_file_cache` is off by default: files may change at any time, as with the other servers.
fn nginx(root: &Path, scratch: &Path, port: u16, tuning: Tuning) -> String {
    // Started as root, its workers would run as a user that may not read the directory.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let (root, scratch) = (root.display(), scratch.display());
    let workers = tuning.workers.unwrap_or_else(cores);
    let open_files = match tuning.cached_files {
        None | Some(0) => "off".into(),
        Some(files) => format!("max={files} inactive={IDLE_SECONDS}; open_file_cache_valid {IDLE_SECONDS}"),
    };
    format!(
        "daemon off; {user} worker_processes {workers}; pid {scratch}/pid;
         events {{ worker_connections {CONNECTIONS}; }}
         http {{
             access_log off; sendfile on; tcp_nopush on; open_file_cache {open_files};
             keepalive_requests 1000000; keepalive_timeout {IDLE_SECONDS};
             types {{ text/plain txt; }}
             client_body_temp_path {scratch}/t1; proxy_temp_path {scratch}/t2; fastcgi_temp_path {scratch}/t3;
             uwsgi_temp_path {scratch}/t4; scgi_temp_path {scratch}/t5;
             server {{ listen 127.0.0.1:{port}; root {root}; }}
         }}\n"
    )
}

/// `http1-request-timeout` is also the idle timeout.
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

/// One process, its default. It allows at most 65,535 requests per connection, and half as many connections as
/// descriptors.
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
        fds = raise_descriptor_limit()
    )
}

pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Looks for a program in PATH and in the directories of daemons. The version is empty if the program has none.
pub(crate) fn find_installed(program: &str, version: &str) -> (Option<PathBuf>, String) {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories = env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let found = directories.find_map(|directory| Some(directory.join(program)).filter(|file| file.is_file()));
    let version = found.as_ref().map(|program| first_line(Command::new(program).arg(version))).unwrap_or_default();
    (found, version)
}

/// The first line that a program prints, on standard output or else on standard error.
fn first_line(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return String::new() };
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}

/// The commit of this tree, if it is a clone.
fn commit() -> String {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    first_line(git.stderr(Stdio::null()))
}

fn locked_version(package: &str) -> Result<String, BoxError> {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"))?;
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \"")).ok_or("a package is not locked")?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}
