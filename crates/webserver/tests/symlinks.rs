//! Symlinks below ROOT: those that stay inside are served, with and without `openat2`, and where one leads out, the
//! explanation and the log name it.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use support::{PROGRAM, Program, TIMEOUT, get, output_of, tool, wait_until};

/// The program, and how to shut it down.
struct Served {
    program: Program,
    /// The number of the process that the tracer started.
    traced: Option<Pid>,
}

impl Served {
    /// Without `openat2`, `strace` lets it fail, as an old kernel or a sandbox does. `None` without `strace`.
    fn start(root: &Path, refusal: Option<&str>) -> Option<Served> {
        let Some(refusal) = refusal else {
            return Some(Served { program: Program::start(root, &["--log-format", "off"]), traced: None });
        };
        let mut command = Command::new(tool("strace")?);
        let inject = format!("inject=openat2:error={refusal}");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=openat2", "-e", &inject]);
        let program = Program::run(
            command.args([PROGRAM, "--port", "0", "--bind", "127.0.0.1", "--log-format", "off"]).arg(root),
        );
        let tracer = program.pid().as_raw_pid();
        let children = fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap();
        let traced = children.split_whitespace().next().and_then(|child| Pid::from_raw(child.parse().ok()?));
        Some(Served { program, traced: Some(traced.unwrap()) })
    }

    fn finish(mut self) -> String {
        kill_process(self.traced.unwrap_or(self.program.pid()), Signal::TERM).unwrap();
        assert!(self.program.wait(TIMEOUT).is_some_and(|status| status.success()), "{}", self.program.messages());
        self.program.messages()
    }
}

// Kubernetes mounts a ConfigMap so. Names that begin with a dot are hidden only in requests.
#[test]
fn symlinks_that_stay_in_root_are_served_with_and_without_openat2() {
    for (refusal, containment) in [
        (None, "requests cannot leave the directory (openat2)"),
        (Some("ENOSYS"), "requests cannot leave the directory (no openat2 here)"),
        (Some("EPERM"), "requests cannot leave the directory (no openat2 here)"),
    ] {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        for n in 1..=2 {
            fs::create_dir(at(&format!("..2024_{n}"))).unwrap();
            fs::write(at(&format!("..2024_{n}/page.html")), format!("version {n}")).unwrap();
        }
        symlink("..2024_1", at("..data")).unwrap();
        symlink("..data/page.html", at("page.html")).unwrap();
        fs::create_dir(at("sub")).unwrap();
        symlink(at("page.html"), at("sub/absolute.html")).unwrap();
        symlink(at("sub"), at("again")).unwrap();
        let Some(served) = Served::start(directory.path(), refusal) else { return };
        thread::sleep(Duration::from_millis(3100)); // a file that was just written is not cached
        let paths = ["/page.html", "/sub/absolute.html", "/again/absolute.html"];
        for path in paths.iter().chain(&paths) {
            assert_eq!(get(served.program.address(), path).text(), "version 1", "{path}");
        }
        assert_eq!(get(served.program.address(), "/..data/page.html").status, 404);
        let listing = get(served.program.address(), "/again/");
        assert!(listing.status == 200 && listing.text().contains(">absolute.html<"), "{}", listing.text());
        // An update of the ConfigMap.
        symlink("..2024_2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        for path in paths {
            assert_eq!(get(served.program.address(), path).text(), "version 2", "{path}");
        }
        let messages = served.finish();
        assert!(messages.contains(containment), "{messages}");
    }
}

// V7
#[test]
fn v7_way_out_is_named_by_the_explanation_and_the_log() {
    let outer = TempDir::new().unwrap();
    let outer = outer.path().canonicalize().unwrap();
    let root = outer.join("www");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(outer.join("secret"), "secret").unwrap();
    let absolute = outer.join("secret").to_str().unwrap().to_owned();
    symlink("../../secret", root.join("sub/relative")).unwrap();
    symlink(&absolute, root.join("absolute")).unwrap();
    symlink("sub/relative", root.join("indirect")).unwrap();
    symlink("circle", root.join("circle")).unwrap();
    let leads_out = |symlink: &str, target: &str| {
        format!("leads out of the root: the symlink \"{symlink}\" points to \"{target}\"")
    };
    let program = Program::start(&root, &["--log-format", "off"]);
    for (path, cause) in [
        ("/sub/relative", leads_out("/sub/relative", "../../secret")),
        ("/absolute", leads_out("/absolute", &absolute)),
        ("/indirect", leads_out("/sub/relative", "../../secret")),
        ("/circle", "leads through more symlinks than the kernel follows, or in a circle".into()),
    ] {
        let explained = output_of(&["-v", "--explain", &format!("GET {path} HTTP/1.0"), root.to_str().unwrap()]);
        let explained = String::from_utf8(explained.stdout).unwrap();
        assert!(explained.contains(&format!("\"{path}\" {cause}  [R1945-12.5a, openat2]")), "{explained}");
        assert!(explained.contains("\n\nHTTP/1.0 403 "), "{explained}");
        // Such messages come at most once a second.
        wait_until("the log names the cause", || {
            assert_eq!(get(program.address(), path).status, 403);
            program.messages().lines().any(|line| line.contains(&format!("GET {path}: ")) && line.contains(&cause))
        });
    }
    program.finish();
}
