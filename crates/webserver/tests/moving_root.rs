//! What moves while the program serves it, in its sandbox: ROOT is a symlink that is switched to another release, or is
//! removed, and files are deleted or their file system is to be unmounted.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use tempfile::TempDir;

use support::{
    PROGRAM, Program, connect, get, keep_alive, missing, parse_responses, read_response, read_to_end, send, tool,
    wait_until,
};

/// A file that was written this long ago has settled, so it is cached.
const SETTLE_TIME: Duration = Duration::from_millis(3100);

/// A file that is sent by `sendfile`, and one that does not fit into the buffers of a socket.
const LARGE: usize = 100_000;
const HUGE: usize = 16 << 20;

/// Directories for the releases `v1` to `v3`, and a symlink `current` to the first one.
struct Releases {
    directory: TempDir,
    /// Bytes of the file `large`.
    large: usize,
}

impl Releases {
    fn new(large: usize) -> Releases {
        let releases = Releases { directory: TempDir::new().unwrap(), large };
        for n in 1..=3 {
            releases.write(&format!("v{n}"), n);
        }
        symlink("v1", releases.root()).unwrap();
        releases
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.at("current")
    }

    /// Every file says the release.
    fn write(&self, directory: &str, n: usize) {
        let directory = self.at(directory);
        fs::create_dir(&directory).unwrap();
        for name in ["small", "404.html", &format!("only{n}")] {
            fs::write(directory.join(name), format!("release {n}")).unwrap();
        }
        fs::write(directory.join("large"), [b'0' + n as u8].repeat(self.large)).unwrap();
        symlink(self.root().join("small"), directory.join("absolute")).unwrap();
    }

    /// At once, as deployments do it.
    fn switch(&self, target: &str) {
        symlink(target, self.at("next")).unwrap();
        fs::rename(self.at("next"), self.root()).unwrap();
    }
}

fn serves(program: &Program, text: &str) -> bool {
    let response = get(program.address(), "/small");
    response.status == 200 && response.body == text.as_bytes()
}

/// Whether the program runs in a sandbox, as all tests of this file need it.
fn is_sandboxed(program: &Program) -> bool {
    let is_sandboxed = program.messages().contains("the process is sandboxed by Landlock");
    if !is_sandboxed {
        missing("Landlock");
    }
    is_sandboxed
}

#[test]
fn switched_root_is_served_from_the_next_second_on() {
    let releases = Releases::new(LARGE);
    let program = Program::start(&releases.root(), &["--log-format", "off", "--error-page", "404=404.html"]);
    if !is_sandboxed(&program) {
        return;
    }
    let directory = releases.directory.path().canonicalize().unwrap();
    let start_line = format!("and can read all of {directory:?}, where the symlink ROOT may be switched");
    assert!(program.messages().contains(&start_line), "{}", program.messages());
    thread::sleep(SETTLE_TIME);
    for n in [2, 3, 1] {
        for path in ["/small", "/large", "/absolute", "/none"] {
            get(program.address(), path); // now it is cached
        }
        let began = Instant::now();
        releases.switch(&format!("v{n}"));
        let text = format!("release {n}");
        wait_until("the next release is served", || serves(&program, &text));
        println!("served after {:?}", began.elapsed());
        for _ in 0..3 {
            for path in ["/small", "/absolute", "/none", &format!("/only{n}")] {
                assert_eq!(get(program.address(), path).text(), text, "{path}");
            }
            assert_eq!(get(program.address(), &format!("/only{}", n % 3 + 1)).status, 404);
            assert!(get(program.address(), "/large").body.iter().all(|byte| *byte == b'0' + n as u8));
            assert!(get(program.address(), "/").text().contains(&format!("only{n}")));
        }
        let is_open =
            |directory: &str| open_files(&program).iter().any(|path| path.starts_with(releases.at(directory)));
        let others = ["v1", "v2", "v3"].into_iter().filter(|directory| !text.ends_with(&directory[1..]));
        wait_until("the old release is closed", || !others.clone().any(is_open));
    }
    let messages = program.finish();
    for n in 1..=3 {
        let line = format!("is {:?} now, which is served", directory.join(format!("v{n}")));
        assert_eq!(messages.matches(&line).count(), 1, "{messages}");
    }
}

#[test]
fn download_ends_with_the_release_that_it_began_with() {
    let releases = Releases::new(HUGE);
    let program = Program::start(&releases.root(), &[]);
    let mut stream = send(program.address(), b"GET /large HTTP/1.0\r\n\r\n");
    let mut begin = vec![0; 1000];
    stream.read_exact(&mut begin).unwrap();
    releases.switch("v2");
    wait_until("the next release is served", || serves(&program, "release 2"));
    fs::remove_dir_all(releases.at("v1")).unwrap();
    begin.extend(read_to_end(&mut stream).unwrap());
    let responses = parse_responses(&begin, false).unwrap();
    assert!(responses[0].status == 200 && responses[0].body == b"1".repeat(HUGE));
    program.finish();
}

// Requests on many connections while ROOT is switched again and again: each response is of one release, and no
// connection goes back to an older one.
#[test]
fn response_is_of_one_release_and_never_of_an_older_one_again() {
    let releases = Releases::new(LARGE);
    for n in 4..8 {
        releases.write(&format!("v{n}"), n);
    }
    let program = Program::start(&releases.root(), &["--log-format", "off", "--error-page", "404=404.html"]);
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for path in ["/small", "/absolute", "/none", "/large", "/"] {
            let (program, is_done) = (&program, &is_done);
            scope.spawn(move || {
                let (mut stream, mut newest) = (connect(program.address()), 1);
                while !is_done.load(SeqCst) {
                    stream.write_all(&keep_alive(path)).unwrap();
                    let response = read_response(&mut stream);
                    let n = match path {
                        "/large" => response.body[0] - b'0',
                        "/" => response.text().split_once("\"only").unwrap().1.as_bytes()[0] - b'0',
                        _ => response.text().strip_prefix("release ").unwrap().as_bytes()[0] - b'0',
                    };
                    assert!(path != "/large" || response.body == [b'0' + n].repeat(LARGE), "a mixture");
                    assert!(n >= newest, "{path}: {n} after {newest}");
                    newest = n;
                }
            });
        }
        for n in 2..8 {
            releases.switch(&format!("v{n}"));
            let text = format!("release {n}");
            wait_until("the next release is served", || serves(&program, &text));
        }
        is_done.store(true, SeqCst);
    });
    program.finish();
}

// The sandbox allows the directory of the symlink and the first release, which is elsewhere.
#[test]
fn release_outside_the_sandbox_is_503_and_the_log_says_restart() {
    let (releases, links) = (Releases::new(LARGE), TempDir::new().unwrap());
    let link = links.path().join("site");
    symlink(releases.at("v1"), &link).unwrap();
    let program = Program::start(&link, &["--log-format", "off"]);
    if !is_sandboxed(&program) {
        return;
    }
    let start = program.messages();
    assert!(start.contains("the symlink ROOT leads out of there, so restart after it is switched"), "{start}");
    assert!(serves(&program, "release 1"));
    let switch = |target: &Path| {
        symlink(target, links.path().join("next")).unwrap();
        fs::rename(links.path().join("next"), &link).unwrap();
    };
    switch(&releases.at("v2"));
    wait_until("the old release is not served any more", || get(program.address(), "/small").status == 503);
    thread::sleep(Duration::from_millis(2500)); // further checks say nothing new
    let messages = program.messages();
    let v2 = releases.at("v2").canonicalize().unwrap();
    let lines: Vec<_> = messages.lines().filter(|line| line.contains("every request gets a 503")).collect();
    assert!(
        matches!(lines[..], [line] if line.contains(&format!("{v2:?}"))
            && line.contains("a sandbox that was made for other directories") && line.contains("restart")),
        "{messages}"
    );
    // A release below the directory of the symlink can be read.
    fs::create_dir(links.path().join("v3")).unwrap();
    fs::write(links.path().join("v3/small"), "release 3").unwrap();
    switch(Path::new("v3"));
    wait_until("the release beside the symlink is served", || serves(&program, "release 3"));
    program.finish();
}

/// ROOT as a path, and as the working directory of the program.
fn in_two_ways(root: &Path, body: impl Fn(&Program)) {
    for is_working_directory in [false, true] {
        fs::create_dir(root).unwrap();
        fs::write(root.join("small"), "first").unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["--port", "0", "--bind", "127.0.0.1", "--log-format", "off"]);
        match is_working_directory {
            true => command.current_dir(root),
            false => command.arg(root),
        };
        let program = Program::run(&mut command);
        if !is_sandboxed(&program) {
            return;
        }
        assert!(serves(&program, "first"));
        body(&program);
        let messages = program.finish();
        let lines = messages.lines().filter(|line| line.contains("503") && line.contains("restart the server"));
        assert_eq!(lines.count(), 1, "one line: {messages}");
        assert!(!messages.contains("GET /"), "a line for a request: {messages}");
        let _ = fs::remove_dir_all(root);
    }
}

#[test]
fn removed_root_is_503_and_stays_so_when_it_is_created_again() {
    let outer = TempDir::new().unwrap();
    let root = outer.path().join("www");
    in_two_ways(&root, |program| {
        let mut listings = Vec::new();
        fs::remove_dir_all(&root).unwrap();
        wait_until("every request is refused", || {
            listings.push(get(program.address(), "/").status);
            get(program.address(), "/small").status == 503
        });
        assert!(listings.iter().all(|status| [404, 503].contains(status)), "an empty listing: {listings:?}");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("small"), "second").unwrap();
        let until = Instant::now() + Duration::from_millis(2500);
        while Instant::now() < until {
            for path in ["/", "/small", "/none"] {
                let response = get(program.address(), path);
                assert_eq!((response.status, response.header("Retry-After")), (503, Some("1")), "{path}");
            }
        }
    });
}

// So quickly that no check sees the moment between.
#[test]
fn root_exchanged_with_another_directory_is_503() {
    let outer = TempDir::new().unwrap();
    let (root, other) = (outer.path().join("www"), outer.path().join("other"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&other).unwrap();
    fs::write(root.join("small"), "first").unwrap();
    fs::write(other.join("small"), "second").unwrap();
    let program = Program::start(&root, &["--log-format", "off"]);
    if !is_sandboxed(&program) {
        return;
    }
    let exchange = || renameat_with(CWD, &root, CWD, &other, RenameFlags::EXCHANGE).unwrap();
    assert!(serves(&program, "first"));
    exchange();
    wait_until("it is refused", || get(program.address(), "/small").status == 503);
    exchange();
    wait_until("it is back", || serves(&program, "first"));
    let messages = program.finish();
    assert_eq!(messages.lines().filter(|line| line.contains("restart the server")).count(), 1, "{messages}");
}

// Without a sandbox, and behind logins, which no request of this test has.
#[test]
fn root_created_again_is_served_if_it_can_be_read() {
    let outer = TempDir::new().unwrap();
    let (root, users) = (outer.path().join("www"), outer.path().join("users"));
    fs::write(&users, "me:$2b$04$abcdefghijklmnopqrstuuWoSZ2iBLJhSZ0jQmZfHDnzS3e1L/PpC\n").unwrap();
    fs::create_dir(&root).unwrap();
    fs::write(root.join("small"), "first").unwrap();
    for login in [&["--auth", users.to_str().unwrap()][..], &[]] {
        let program = Program::start(&root, &[&["--follow-symlinks", "--log-format", "off"], login].concat());
        fs::rename(&root, outer.path().join("away")).unwrap();
        wait_until("it is gone", || program.messages().contains("restart the server"));
        fs::create_dir(&root).unwrap();
        fs::write(root.join("small"), "second").unwrap();
        wait_until("it is there again", || program.messages().contains("now, which is served"));
        assert!(!login.is_empty() || serves(&program, "second"));
        fs::remove_dir_all(outer.path().join("away")).unwrap();
        program.finish();
    }
}

/// What the descriptors of the program are open for.
fn open_files(program: &Program) -> Vec<PathBuf> {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", program.pid().as_raw_pid())).unwrap();
    descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect()
}

// A file that was deleted takes space as long as it is open.
#[test]
fn kept_descriptor_is_closed_10_s_after_its_last_use() {
    let directory = TempDir::new().unwrap();
    for name in ["deleted", "kept", "busy"] {
        fs::write(directory.path().join(name), vec![b'x'; 100_000]).unwrap();
    }
    let program = Program::start(directory.path(), &["--log-format", "off"]);
    thread::sleep(SETTLE_TIME);
    // The name of a deleted file has a suffix.
    let kept = || -> Vec<String> {
        let open = open_files(&program)
            .into_iter()
            .filter_map(|path| Some(path.strip_prefix(directory.path()).ok()?.to_str()?.into()));
        let mut open: Vec<String> = open.filter(|name: &String| !name.is_empty()).collect();
        open.sort();
        open
    };
    let began = Instant::now();
    for name in ["deleted", "kept", "busy"] {
        assert_eq!(get(program.address(), &format!("/{name}")).status, 200);
    }
    assert_eq!(kept(), ["busy", "deleted", "kept"]);
    fs::remove_file(directory.path().join("deleted")).unwrap();
    let closed = || {
        assert_eq!(get(program.address(), "/busy").status, 200);
        kept() == ["busy"]
    };
    let deadline = began + Duration::from_secs(60);
    while !closed() {
        assert!(Instant::now() < deadline, "{:?}", kept());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(began.elapsed() > Duration::from_secs(8), "after {:?}", began.elapsed());
    println!("closed after {:?}", began.elapsed());
    program.finish();
}

/// Mounts a file system in a namespace of its own and becomes the program.
const MOUNT: &str = r#"mount -t tmpfs -o size=64m tmpfs "$0/disk" && cd "$0/disk" && head -c 8000000 /dev/zero >kept &&
    head -c 8000000 /dev/zero >deleted && cd / && exec "$@""#;

#[test]
fn space_is_freed_and_a_file_system_unmounted_10_s_after_the_last_use() {
    let (Some(unshare), Some(nsenter)) = (tool("unshare"), tool("nsenter")) else { return };
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("disk")).unwrap();
    let messages = tempfile::tempfile().unwrap();
    let mut process = Command::new(unshare)
        .args(["--user", "--map-root-user", "--mount", "--propagation", "private", "sh", "-c", MOUNT])
        .arg(directory.path())
        .args([PROGRAM, "--port", "0", "--bind", "127.0.0.1", "--log-format", "off"])
        .arg(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(messages.try_clone().unwrap())
        .spawn()
        .unwrap();
    thread::sleep(SETTLE_TIME);
    if process.try_wait().unwrap().is_some() {
        return missing("a mount namespace of one's own");
    }
    let program = Program::when_ready(process, messages);
    thread::sleep(SETTLE_TIME); // the files are written
    let inside = |script: &str| {
        let pid = program.pid().as_raw_pid().to_string();
        let mut command = Command::new(&nsenter);
        command.args(["--user", "--mount", "--preserve-credentials", "--target", &pid, "sh", "-c", script]);
        command.arg(directory.path()).stderr(Stdio::null()).status().unwrap().success()
    };
    for path in ["/disk/kept", "/disk/deleted"] {
        assert_eq!(get(program.address(), path).body.len(), 8_000_000);
    }
    assert!(inside("rm \"$0/disk/deleted\""), "the namespace of the program can be entered");
    let is_freed = || inside("test $(stat -f -c '%f * %S' \"$0/disk\" | xargs expr) -gt 52000000"); // of 64 MiB
    assert!(!is_freed() && !inside("umount \"$0/disk\""), "both are kept open for others");
    let wait_until = |what: &str, condition: &dyn Fn() -> bool| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < deadline, "{what}");
            thread::sleep(Duration::from_millis(200));
        }
    };
    wait_until("the space of the deleted file is freed", &is_freed);
    wait_until("the file system is not in use", &|| inside("umount \"$0/disk\""));
    assert_eq!(get(program.address(), "/disk/kept").status, 404);
    program.finish();
}
