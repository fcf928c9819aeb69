//! `deploy/Dockerfile`, without Docker: what it says is done in an empty chroot, where the program is the first process.
//! `scripts/release` names the static program by `STATIC_PROGRAM`.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::env;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use support::{TIMEOUT, deployed, fetch, get, missing, output_of, tool, wait_until};

/// What the Dockerfile says.
#[derive(Debug, Default)]
struct Image {
    /// From where, and to where.
    copied: Vec<(String, String)>,
    user: String,
    directory: String,
    environment: Vec<(String, String)>,
    port: String,
    stop_signal: String,
    entry_point: Vec<String>,
}

impl Image {
    /// Reads the instructions. One that it does not know is an error, so that the test does all of them.
    fn read() -> Image {
        let mut image = Image::default();
        let dockerfile = deployed("Dockerfile");
        let lines = dockerfile.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            let (instruction, value) = line.split_once(' ').unwrap();
            let value = value.to_owned();
            match instruction {
                "FROM" => assert_eq!(value, "scratch"),
                "ARG" => assert!(value.starts_with("PROGRAM="), "{line}"),
                "COPY" => {
                    let (from, to) = value.split_once(' ').unwrap();
                    image.copied.push((from.into(), to.into()));
                }
                "USER" => image.user = value,
                "WORKDIR" => image.directory = value,
                "ENV" => {
                    let (name, value) = value.split_once('=').unwrap();
                    image.environment.push((name.into(), value.into()));
                }
                "EXPOSE" => image.port = value,
                "STOPSIGNAL" => image.stop_signal = value,
                "ENTRYPOINT" => image.entry_point = serde_json::from_str(&value).unwrap(),
                _ => panic!("unknown instruction: {line}"),
            }
        }
        image
    }

    /// Makes the files of the image in an empty directory, and mounts a site as a user would.
    fn build(&self, program: &Path) -> TempDir {
        let root = TempDir::new().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let inside = |path: &str| root.path().join(path.strip_prefix('/').unwrap());
        for (from, to) in &self.copied {
            assert_eq!(from, "$PROGRAM");
            fs::copy(program, inside(to)).unwrap();
        }
        fs::create_dir_all(inside(&self.directory)).unwrap();
        fs::create_dir(inside(&self.directory).join("sub")).unwrap();
        fs::write(inside(&self.directory).join("small.txt"), "small").unwrap();
        fs::write(inside(&self.directory).join("large"), vec![b'x'; 3_000_000]).unwrap();
        symlink("/etc/passwd", inside(&self.directory).join("out")).unwrap();
        root
    }

    /// Runs it as the first process in namespaces of its own, as a runtime for containers does, with these arguments.
    fn run(&self, root: &Path, arguments: &[&str]) -> Container {
        let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let (user, group) = self.user.split_once(':').unwrap();
        let process = Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child", "--root"])
            .arg(root)
            .args(["--wd", &self.directory])
            .args(["--setgid", group, "--setuid", user])
            .args(&self.entry_point)
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap())
            .spawn()
            .unwrap();
        Container { process, stdout, stderr }
    }
}

/// A running container. Dropping the value ends it: its first process ends with `unshare`.
struct Container {
    process: Child,
    stdout: File,
    stderr: File,
}

impl Container {
    /// Waits until it is ready.
    fn address(&mut self) -> SocketAddr {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let messages = contents(&self.stderr);
            let url = messages.lines().find_map(|line| line.strip_prefix("listening on http://"));
            if let Some(url) = url.filter(|_| messages.ends_with('\n')) {
                return url.trim_end_matches('/').parse().unwrap();
            }
            assert!(self.process.try_wait().unwrap().is_none() && Instant::now() < deadline, "{messages}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The first process, as it is numbered outside.
    fn first_process(&self) -> Pid {
        let children = format!("/proc/{0}/task/{0}/children", self.process.id());
        Pid::from_raw(fs::read_to_string(children).unwrap().trim().parse().unwrap()).unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn contents(file: &File) -> String {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The static program, and whether this process may make namespaces.
fn static_program() -> Option<PathBuf> {
    let Some(program) = env::var_os("STATIC_PROGRAM") else {
        missing("STATIC_PROGRAM, the path of the static program");
        return None;
    };
    let may = Command::new("unshare").args(["--pid", "--fork", "--root", "/", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        missing("permission for namespaces and chroot");
        return None;
    }
    Some(program.into())
}

#[test]
#[ignore = "with the static program: scripts/release"]
fn program_of_the_image_is_static() {
    let (Some(program), Some(readelf)) = (static_program(), tool("readelf")) else { return };
    let output =
        Command::new(readelf).args(["--program-headers", "--dynamic", "--wide"]).arg(&program).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && report.contains("LOAD"), "{report}");
    assert!(!report.contains("INTERP") && !report.contains("NEEDED"), "{report}");
}

#[test]
#[ignore = "with the static program: scripts/release"]
fn image_serves_logs_and_ends_at_its_stop_signal() {
    let Some(program) = static_program() else { return };
    let image = Image::read();
    let help = String::from_utf8(output_of(&["--help"]).stdout).unwrap();
    assert!(help.contains(&format!("[default: {}]", image.port)), "the port in EXPOSE is the default one");
    let root = image.build(&program);
    // Options are written behind the name of the image. Each test has a port of its own.
    let mut container = image.run(root.path(), &["--bind", "127.0.0.1", "--port", "0"]);
    let address = container.address();
    let first = container.first_process();
    let status = fs::read_to_string(format!("/proc/{}/status", first.as_raw_pid())).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    assert!(field("NSpid:").ends_with("\t1"), "it is the first process: {status}");
    let nobody = ["65534"; 4].join("\t");
    assert_eq!((field("Uid:"), field("Gid:")), (&*nobody, &*nobody));

    assert_eq!(get(address, "/small.txt").text(), "small");
    assert_eq!(get(address, "/small.txt").header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(fetch(address, "GET", "/large", "Range: bytes=-5\r\n").text(), "xxxxx");
    assert!(get(address, "/").text().contains("small.txt"), "a listing");
    assert_eq!(
        (get(address, "/sub").status, get(address, "/none").status, get(address, "/out").status),
        (301, 404, 403)
    );
    wait_until("the requests are logged", || contents(&container.stdout).lines().count() == 7);
    assert!(contents(&container.stdout).starts_with("127.0.0.1 - - ["), "{}", contents(&container.stdout));

    assert_eq!(image.stop_signal, "SIGTERM");
    kill_process(first, Signal::TERM).unwrap();
    let deadline = Instant::now() + TIMEOUT;
    let status = loop {
        match container.process.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(Instant::now() < deadline, "SIGTERM does not end it"),
        }
        thread::sleep(Duration::from_millis(5));
    };
    let messages = contents(&container.stderr);
    assert_eq!(status.code(), Some(0), "{messages}");
    println!("{messages}");
    assert!(messages.lines().last().unwrap().contains("7 connections: 7 "), "{messages}");
    assert!(!messages.contains("warning"), "{messages}");
}
