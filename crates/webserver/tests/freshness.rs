//! Freshness: files change while clients read them. No response is older than its request, or a mixture of two
//! versions.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use tempfile::TempDir;

use support::{Program, connect, get, keep_alive, read_response};

/// A file that was written this long ago has settled, even if its time is in whole seconds, so it is cached.
const SETTLE_TIME: Duration = Duration::from_millis(3100);

/// Lines that name the version. Each version has another length. The second is sent from memory, the third by
/// `sendfile`.
fn version(n: usize) -> Vec<u8> {
    format!("version {n}\n").repeat([1, 1000, 9000][n % 3]).into_bytes()
}

fn write_at(path: &Path, content: &[u8]) {
    File::options().write(true).open(path).unwrap().write_all_at(content, 0).unwrap();
}

/// A file that changes through its versions.
struct ChangingFile {
    versions: Vec<Vec<u8>>,
    /// The last version whose change has begun, and the last one whose change has completed.
    begun: AtomicUsize,
    done: AtomicUsize,
    /// Whether each change is atomic.
    is_replaced: bool,
}

impl ChangingFile {
    fn new(versions: Vec<Vec<u8>>, is_replaced: bool) -> ChangingFile {
        ChangingFile { versions, begun: AtomicUsize::new(0), done: AtomicUsize::new(0), is_replaced }
    }

    fn change(&self, to: usize, how: impl FnOnce()) {
        self.begun.store(to, SeqCst);
        how();
        self.done.store(to, SeqCst);
    }

    /// Requests it and checks that the response is a version that was current during the request.
    fn read(&self, address: SocketAddr, path: &str) {
        let oldest = self.done.load(SeqCst);
        let response = get(address, path);
        let newest = self.begun.load(SeqCst);
        if self.is_replaced || oldest == newest {
            assert_eq!(response.status, 200, "{path}");
            let is_current = self.versions[oldest..=newest].contains(&response.body);
            let start = &response.body[..response.body.len().min(20)];
            assert!(
                is_current,
                "{path}: {} bytes, {}, not of versions {oldest} to {newest}",
                response.body.len(),
                start.escape_ascii()
            );
        }
    }
}

/// Runs readers in threads until the writer is done.
fn read_while(readers: usize, read: impl Fn() + Sync, write: impl FnOnce()) {
    let is_done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| {
                while is_done.load(SeqCst) == 0 {
                    read();
                }
            });
        }
        // If the writer panics, the readers must end.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(write));
        is_done.store(1, SeqCst);
        if let Err(failure) = result {
            std::panic::resume_unwind(failure);
        }
    });
}

#[test]
fn file_replaced_during_requests_is_complete_and_current() {
    let directory = TempDir::new().unwrap();
    let (path, next) = (directory.path().join("a.txt"), directory.path().join("next"));
    let file = ChangingFile::new((0..500).map(version).collect(), true);
    fs::write(&path, version(0)).unwrap();
    let program = Program::start(directory.path(), &["--log-format", "off"]);
    let read = || file.read(program.address(), "/a.txt");
    read_while(3, read, || {
        let until = Instant::now() + Duration::from_secs(1);
        for n in (1..file.versions.len()).take_while(|_| Instant::now() < until) {
            fs::write(&next, version(n)).unwrap();
            file.change(n, || fs::rename(&next, &path).unwrap());
            read();
        }
    });
}

#[test]
fn change_of_cached_file_takes_effect_at_once() {
    const KINDS: [&str; 8] = ["file", "symlink", "link", "directory", "written", "in-place", "truncated", "touched"];
    let directory = TempDir::new().unwrap();
    let at = |path: String| directory.path().join(path);
    let files: Vec<ChangingFile> = (0..160)
        .map(|n| {
            let (kind, round) = (KINDS[n % KINDS.len()], n / KINDS.len());
            let is_replaced = n % KINDS.len() < 4;
            // A file that is written in place is small: a longer body is not read all at once.
            let old = version(if is_replaced { round } else { 3 * round + 1 });
            let new = match kind {
                "in-place" => old.to_ascii_uppercase(),
                "truncated" => old[..old.len() / 2].to_vec(),
                "touched" => old.clone(),
                _ if is_replaced => version(round + 7),
                _ => version(3 * round + 4),
            };
            for (directory, content) in [("old", &old), ("new", &new)] {
                fs::create_dir_all(at(format!("{directory}-{n}"))).unwrap();
                fs::write(at(format!("{directory}-{n}/{kind}")), content).unwrap();
            }
            ChangingFile::new(vec![old, new], is_replaced)
        })
        .collect();
    let program = Program::start(directory.path(), &["--log-format", "off"]);
    thread::sleep(SETTLE_TIME);

    let current = AtomicUsize::new(0);
    let read = |n: usize| files[n].read(program.address(), &format!("/old-{n}/{}", KINDS[n % KINDS.len()]));
    let write = || {
        for (n, file) in files.iter().enumerate() {
            let kind = KINDS[n % KINDS.len()];
            let (old, new) = (at(format!("old-{n}/{kind}")), at(format!("new-{n}/{kind}")));
            current.store(n, SeqCst);
            read(n); // now it is cached
            file.change(1, || match kind {
                "file" => fs::rename(new, old).unwrap(),
                "symlink" => {
                    symlink(format!("../new-{n}/{kind}"), at("link".into())).unwrap();
                    fs::rename(at("link".into()), old).unwrap();
                }
                "link" => {
                    fs::hard_link(new, at("link".into())).unwrap();
                    fs::rename(at("link".into()), old).unwrap();
                }
                "directory" => {
                    let (old, new) = (at(format!("old-{n}")), at(format!("new-{n}")));
                    renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE).unwrap();
                }
                "written" => fs::write(old, &file.versions[1]).unwrap(),
                "in-place" => write_at(&old, &file.versions[1]),
                "truncated" => {
                    let length = file.versions[1].len() as u64;
                    File::options().write(true).open(old).unwrap().set_len(length).unwrap();
                }
                _ => {
                    let time = UNIX_EPOCH + Duration::from_secs(784_111_777);
                    File::options().write(true).open(old).unwrap().set_modified(time).unwrap();
                }
            });
            read(n);
            if kind == "touched" {
                let touched = get(program.address(), &format!("/old-{n}/{kind}"));
                assert_eq!(touched.header("Last-Modified"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
            }
        }
    };
    read_while(3, || read(current.load(SeqCst)), write);
    program.finish();
}

// Requests share a check of a file only if they were complete before the check.
#[test]
fn request_completed_after_a_change_gets_new_version() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let names: Vec<String> = (0..60).map(|n| format!("file{n}")).collect();
    names.iter().for_each(|name| fs::write(at(name), version(0)).unwrap());
    let program = Program::start(directory.path(), &["--log-format", "off", "--threads", "4"]);
    let connect = || connect(program.address());
    let (mut early, mut late): (Vec<_>, Vec<_>) = (0..24).map(|_| (connect(), connect())).unzip();
    thread::sleep(SETTLE_TIME);
    for name in &names {
        let request = keep_alive(&format!("/{name}"));
        let (begin, end) = request.split_at(request.len() / 2);
        late.iter_mut().for_each(|client| client.write_all(begin).unwrap());
        let is_done = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                while is_done.load(SeqCst) == 0 {
                    early.iter_mut().for_each(|client| client.write_all(&request).unwrap());
                    for client in &mut early {
                        let response = read_response(client);
                        assert!(response.status == 200 && [version(0), version(1)].contains(&response.body), "{name}");
                    }
                }
            });
            thread::sleep(Duration::from_millis(3));
            fs::write(at("new"), version(1)).unwrap();
            fs::rename(at("new"), at(name)).unwrap();
            late.iter_mut().for_each(|client| client.write_all(end).unwrap());
            let responses: Vec<_> = late.iter_mut().map(read_response).collect();
            is_done.store(1, SeqCst);
            let stale = responses.iter().filter(|response| response.body != version(1)).count();
            assert_eq!(stale, 0, "{name}: stale responses of {}", responses.len());
        });
    }
    program.finish();
}

// V7: the directory of a cached file is exchanged with a symlink that leads out of the root, again and again.
#[test]
fn cached_file_opens_no_way_out_of_root() {
    let outer = TempDir::new().unwrap();
    let at = |path: &str| outer.path().join(path);
    let time = UNIX_EPOCH + Duration::from_secs(784_111_777);
    for (directory, content) in [("www/a", "inside"), ("outside", "secret")] {
        fs::create_dir_all(at(directory)).unwrap();
        for name in ["small", "index.html"] {
            fs::write(at(directory).join(name), content).unwrap();
        }
        fs::write(at(directory).join("large"), content.repeat(10_000)).unwrap();
        for name in ["small", "index.html", "large"] {
            File::options().write(true).open(at(directory).join(name)).unwrap().set_modified(time).unwrap();
        }
    }
    symlink("../outside", at("www/link")).unwrap();
    let program = Program::start(&at("www"), &["--log-format", "off"]);
    thread::sleep(SETTLE_TIME);

    let count = AtomicUsize::new(0);
    let read = || {
        let path = ["/a/small", "/a/large", "/a/"][count.fetch_add(1, SeqCst) % 3];
        let response = get(program.address(), path);
        match response.status {
            200 => assert!(response.body.starts_with(b"inside") && !response.text().contains("secret"), "{path}"),
            status => assert!([403, 404, 503].contains(&status), "{path}: {status}"),
        }
    };
    (0..6).for_each(|_| read());
    read_while(3, read, || {
        let until = Instant::now() + Duration::from_millis(500);
        while Instant::now() < until {
            renameat_with(CWD, at("www/a"), CWD, at("www/link"), RenameFlags::EXCHANGE).unwrap();
            thread::yield_now();
        }
    });
}

// V22: descriptors of cached files are closed when others are needed.
#[test]
fn cached_descriptors_are_closed_when_none_is_left() {
    let directory = TempDir::new().unwrap();
    for n in 0..20 {
        fs::write(directory.path().join(n.to_string()), version(2)).unwrap();
    }
    let program = Program::start(directory.path(), &[]);
    let pid = program.pid().as_raw_nonzero();
    let open = || fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    thread::sleep(SETTLE_TIME);
    let mut stream = connect(program.address());
    let mut ask = |n: usize| {
        stream.write_all(&keep_alive(&format!("/{n}"))).unwrap();
        let response = read_response(&mut stream);
        assert!(response.status == 200 && response.body == version(2), "{n}: {}", response.status);
    };
    ask(0);
    let before = open();
    (1..19).for_each(&mut ask);
    assert_eq!(open(), before + 18);
    let maximum = getrlimit(Resource::Nofile).maximum;
    prlimit(Some(program.pid()), Resource::Nofile, Rlimit { current: Some(open() as u64), maximum }).unwrap();
    (0..20).rev().for_each(&mut ask);
    program.finish();
}
