//! Runs the commands of a page in namespaces, by `session.sh`, and compares what they print. The network, processes and
//! files are the page's own: ports are free, and nothing that it installs or ends is seen outside.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::page::{Page, Step};
use crate::workspace;

/// For a page that takes a second or two, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a command printed, with its exit status unless the page ended before.
pub struct Done {
    pub status: Option<i32>,
    pub output: String,
}

/// The directory with the built programs. `None`, with a message, where pages cannot be run; in CI that is a failure.
pub fn programs() -> Option<PathBuf> {
    let programs = Path::new(env!("CARGO_BIN_EXE_embed")).parent().unwrap();
    for name in ["webserver", "webclient"] {
        if !programs.join(name).is_file() {
            return missing(&format!("{name}: cargo build -p webserver -p webclient"));
        }
    }
    for tool in ["bash", "curl", "ip", "jq", "pkill", "python3", "tar", "unshare"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
        if !found.is_ok_and(|found| found.status.success()) {
            return missing(tool);
        }
    }
    let namespaces =
        unshare().args(["sh", "-c", "mount -t tmpfs tmpfs /mnt && chown 1:1 /mnt && ip link set lo up"]).output();
    match namespaces {
        Ok(output) if output.status.success() => Some(programs.into()),
        other => missing(&format!("namespaces for the commands of the pages (run as root): {other:?}")),
    }
}

/// Runs a page, and returns the first fault: what follows may depend on it.
pub fn run(page: &Page, programs: &Path) -> Vec<String> {
    for (step, done) in page.steps.iter().zip(follow(&page.steps, programs)) {
        let Step { place, command, output: told, .. } = step;
        let Done { status, output } = done;
        let happened = match (status, told) {
            (None, _) => format!("did not end, or ended the shell:\n{output}"),
            (Some(0), None) => continue,
            (Some(status), None) => format!("ended with {status}:\n{output}"),
            (_, Some(told)) if is_as_told(told, &output.lines().collect::<Vec<_>>()) => continue,
            (_, Some(told)) => format!("should print\n{}\nand printed\n{output}", told.join("\n")),
        };
        return vec![format!("{place}: `{}` {happened}", command.trim())];
    }
    Vec::new()
}

/// Runs commands in order. One that fails is the last one, unless its output is compared.
pub fn follow(steps: &[Step], programs: &Path) -> Vec<Done> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("docs-{}-{number}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("session.sh"), include_str!("session.sh")).unwrap();
    fs::write(directory.join("server.sh"), include_str!("server.sh")).unwrap();
    let path = |number: usize, kind: &str| directory.join(format!("{number}.{kind}"));
    for (number, step) in steps.iter().enumerate() {
        fs::write(path(number, "sh"), &step.command).unwrap();
        fs::write(path(number, "in"), &step.typed).unwrap();
        if step.output.is_some() {
            fs::write(path(number, "any"), "").unwrap();
        }
    }
    let log = fs::File::create(directory.join("log")).unwrap();
    let mut session = unshare()
        .arg("bash")
        .arg(directory.join("session.sh"))
        .args([&workspace(), programs, &directory])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let start = Instant::now();
    while session.try_wait().unwrap().is_none() && start.elapsed() < PATIENCE {
        sleep(Duration::from_millis(10));
    }
    let _ = session.kill(); // and with it all that runs in its namespace
    let status = session.wait().unwrap();
    let text = |path: PathBuf| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut done = Vec::new();
    for number in 0..steps.len() {
        let status = text(path(number, "status")).ok().and_then(|status| status.trim().parse().ok());
        let log = if status.is_none() { text(directory.join("log")).unwrap() } else { String::new() };
        done.push(Done { status, output: text(path(number, "out")).unwrap_or_default() + &log });
    }
    // Every server ended as it should.
    if let Some(last) = done.last_mut().filter(|_| !status.success()) {
        last.status = None;
        last.output += &text(directory.join("log")).unwrap();
    }
    fs::remove_dir_all(&directory).unwrap();
    done
}

/// `...` stands for any lines, and `…` for anything within one.
fn is_as_told(told: &[String], printed: &[&str]) -> bool {
    match told.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line == "..." => (0..=printed.len()).any(|skipped| is_as_told(rest, &printed[skipped..])),
        Some((line, rest)) => {
            printed.split_first().is_some_and(|(printed, others)| is_line(line, printed) && is_as_told(rest, others))
        }
    }
}

fn is_line(told: &str, printed: &str) -> bool {
    let (printed, told) = (printed.trim_end(), told.trim_end());
    match told.split_once('…') {
        None => told == printed,
        Some((start, rest)) => printed.strip_prefix(start).is_some_and(|end| {
            end.char_indices().map(|(at, _)| at).chain([end.len()]).any(|at| is_line(rest, &end[at..]))
        }),
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child"]);
    command
}

fn missing<T>(what: &str) -> Option<T> {
    assert!(std::env::var_os("CI").is_none(), "{what} is missing");
    // Not by eprintln, which the test harness captures.
    let _ = io::stderr().write_all(format!("MISSING: {what}\n").as_bytes());
    None
}

#[test]
fn output_is_compared_line_by_line() {
    for (told, printed, same) in [
        ("a\nb", "a\nb", true),
        ("a", "a\nb", false),
        ("a\nb", "a", false),
        ("", "a", false),
        ("a\n...", "a\nb\nc", true),
        ("...\nc", "a\nb\nc", true),
        ("...\nb", "a\nb\nc", false),
        ("a\n...\nc", "a\nc", true),
        ("total …MiB", "total   9.5 MiB", true),
        ("total …MiB", "total   9.5 KiB", false),
        ("…: …", "Date: Sun", true),
        ("abc", "abd", false),
    ] {
        let told: Vec<String> = told.lines().map(String::from).collect();
        assert_eq!(is_as_told(&told, &printed.lines().collect::<Vec<_>>()), same, "{told:?}, {printed}");
    }
}
