//! Freshness: files change beside their readers, and no response is older than its request, or half of two versions.
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

/// After so long a file is at rest for whoever counts in whole seconds, and is kept.
const REST: Duration = Duration::from_millis(3100);

/// Queue that all name the version. Lengths differ; the second goes out from memory, the third from a descriptor.
fn version(n: usize) -> Vec<u8> {
    format!("version {n}\n").repeat([1, 1000, 9000][n % 3]).into_bytes()
}

fn write_at(path: &Path, content: &[u8]) {
    File::options().write(true).open(path).unwrap().write_all_at(content, 0).unwrap();
}

/// A file that changes: which of its versions are or were in their place.
struct Changing {
    versions: Vec<Vec<u8>>,
    /// The last one that was begun to be put there, and that is there.
    begun: AtomicUsize,
    done: AtomicUsize,
    /// It changes from one to the next without a state between.
    is_replaced: bool,
}

impl Changing {
    fn new(versions: Vec<Vec<u8>>, is_replaced: bool) -> Changing {
        Changing { versions, begun: AtomicUsize::new(0), done: AtomicUsize::new(0), is_replaced }
    }

    fn change(&self, to: usize, how: impl FnOnce()) {
        self.begun.store(to, SeqCst);
        how();
        self.done.store(to, SeqCst);
    }

    /// Asks for it and judges the response.
    fn read(&self, address: SocketAddr, path: &str) {
        let oldest = self.done.load(SeqCst);
        let response = get(address, path);
        let newest = self.begun.load(SeqCst);
        if self.is_replaced || oldest == newest {
            assert_eq!(response.status, 200, "{path}");
            let is_one = self.versions[oldest..=newest].contains(&response.body);
            let shown = &response.body[..response.body.len().min(20)];
            assert!(is_one, "{path}: {} bytes, {}, of {oldest} to {newest}", response.body.len(), shown.escape_ascii());
        }
    }
}

/// Readers ask for what `path` names until the writer is done.
fn beside(readers: usize, read: impl Fn() + Sync, write: impl FnOnce()) {
    let is_done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| {
                while is_done.load(SeqCst) == 0 {
                    read();
                }
            });
        }
        // A writer that fails lets its readers end.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(write));
        is_done.store(1, SeqCst);
        if let Err(failure) = result {
            std::panic::resume_unwind(failure);
        }
    });
}

#[test]
fn a_file_that_is_always_replaced_is_whole_and_new() {
    let directory = TempDir::new().unwrap();
    let (path, next) = (directory.path().join("a.txt"), directory.path().join("next"));
    let file = Changing::new((0..500).map(version).collect(), true);
    fs::write(&path, version(0)).unwrap();
    let program = Program::start(directory.path(), &["--log-format", "off"]);
    let read = || file.read(program.address(), "/a.txt");
    beside(3, read, || {
        let until = Instant::now() + Duration::from_secs(1);
        for n in (1..file.versions.len()).take_while(|_| Instant::now() < until) {
            fs::write(&next, version(n)).unwrap();
            file.change(n, || fs::rename(&next, &path).unwrap());
            read();
        }
    });
}

#[test]
fn a_file_that_has_been_kept_changes_at_once() {
    const KINDS: [&str; 8] = ["file", "symlink", "link", "directory", "written", "in-place", "truncated", "touched"];
    let directory = TempDir::new().unwrap();
    let at = |path: String| directory.path().join(path);
    let files: Vec<Changing> = (0..160)
        .map(|n| {
            let (kind, round) = (KINDS[n % KINDS.len()], n / KINDS.len());
            let is_replaced = n % KINDS.len() < 4;
            // What is written in place stays small: a longer body is of no single moment.
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
            Changing::new(vec![old, new], is_replaced)
        })
        .collect();
    let program = Program::start(directory.path(), &["--log-format", "off"]);
    thread::sleep(REST);

    let current = AtomicUsize::new(0);
    let read = |n: usize| files[n].read(program.address(), &format!("/old-{n}/{}", KINDS[n % KINDS.len()]));
    let write = || {
        for (n, file) in files.iter().enumerate() {
            let kind = KINDS[n % KINDS.len()];
            let (old, new) = (at(format!("old-{n}/{kind}")), at(format!("new-{n}/{kind}")));
            current.store(n, SeqCst);
            read(n); // now it is kept
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
    beside(3, || read(current.load(SeqCst)), write);
    program.finish();
}

// V7: the file that was kept lies below a directory that is swapped for a link which leads out, and back.
// One look at a file serves many requests, and none that was not whole before it.
#[test]
fn a_request_that_ends_after_a_change_sees_it() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let names: Vec<String> = (0..60).map(|n| format!("file{n}")).collect();
    names.iter().for_each(|name| fs::write(at(name), version(0)).unwrap());
    let program = Program::start(directory.path(), &["--log-format", "off", "--threads", "4"]);
    let connect = || connect(program.address());
    let (mut early, mut late): (Vec<_>, Vec<_>) = (0..24).map(|_| (connect(), connect())).unzip();
    thread::sleep(REST);
    for name in &names {
        let request = keep_alive(&format!("/{name}"));
        let (begin, end) = request.split_at(request.len() / 2);
        late.iter_mut().for_each(|peer| peer.write_all(begin).unwrap());
        let is_done = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                while is_done.load(SeqCst) == 0 {
                    early.iter_mut().for_each(|peer| peer.write_all(&request).unwrap());
                    for peer in &mut early {
                        let response = read_response(peer);
                        assert!(response.status == 200 && [version(0), version(1)].contains(&response.body), "{name}");
                    }
                }
            });
            thread::sleep(Duration::from_millis(3));
            fs::write(at("new"), version(1)).unwrap();
            fs::rename(at("new"), at(name)).unwrap();
            late.iter_mut().for_each(|peer| peer.write_all(end).unwrap());
            let responses: Vec<_> = late.iter_mut().map(read_response).collect();
            is_done.store(1, SeqCst);
            let old = responses.iter().filter(|response| response.body != version(1)).count();
            assert_eq!(old, 0, "{name}: of {}", responses.len());
        });
    }
    program.finish();
}

#[test]
fn what_is_kept_opens_no_way_out() {
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
    thread::sleep(REST);

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
    beside(3, read, || {
        let until = Instant::now() + Duration::from_millis(500);
        while Instant::now() < until {
            renameat_with(CWD, at("www/a"), CWD, at("www/link"), RenameFlags::EXCHANGE).unwrap();
            thread::yield_now();
        }
    });
}

// V22: descriptors that are only kept are given up for those that are needed.
#[test]
fn kept_descriptors_are_given_up_where_none_is_left() {
    let directory = TempDir::new().unwrap();
    for n in 0..20 {
        fs::write(directory.path().join(n.to_string()), version(2)).unwrap();
    }
    let program = Program::start(directory.path(), &[]);
    let pid = program.pid().as_raw_nonzero();
    let open = || fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    thread::sleep(REST);
    let mut peer = connect(program.address());
    let mut ask = |n: usize| {
        peer.write_all(&keep_alive(&format!("/{n}"))).unwrap();
        let response = read_response(&mut peer);
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
