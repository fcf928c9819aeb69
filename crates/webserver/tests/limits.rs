//! A server at its bounds: memory stays below the figure that it prints, and too few descriptors cost no more than the
//! connections that there is no room for.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Resource, Rlimit, getrlimit, prlimit, setrlimit};
use tempfile::TempDir;

use support::{PROGRAM, Program, connect, exchange, get, keep_alive, output_of, read_response, wait_until};

const MIB: u64 = 1 << 20;

/// Such a file counts 16 in the cache and costs a descriptor.
const OPEN: usize = (16 << 10) + 1;

/// After so long the server keeps what was written.
const REST: Duration = Duration::from_secs(3);

/// One test at a time: each needs thousands of descriptors, and what is measured is measured alone.
static ALONE: Mutex<()> = Mutex::new(());

/// As many descriptors as the tests need at most, and nobody beside.
fn alone() -> impl Drop {
    let guard = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    assert!(maximum.is_none_or(|maximum| maximum >= 4500), "these tests need a hard limit (ulimit -Hn) of 4500 files");
    guard
}

/// The sum that the program prints for these options, in bytes.
fn printed(options: &[&str]) -> u64 {
    let limits = String::from_utf8(output_of(&[options, &["--print-limits"]].concat()).stdout).unwrap();
    let sum = limits.lines().find_map(|line| line.strip_prefix("total")?.trim().strip_suffix(" MiB")?.parse().ok());
    let mib: f64 = sum.unwrap_or_else(|| panic!("no sum in {limits}"));
    (mib * MIB as f64) as u64
}

/// A head that is as long as one may be, but for its end.
fn half_a_head() -> Vec<u8> {
    let field = format!("A: {}\r\n", "a".repeat(7900));
    format!("GET / HTTP/1.0\r\n{field}{field}").into_bytes()
}

fn send(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(request).unwrap();
    stream
}

/// Several threads do this with numbers from 0 on.
fn all(count: usize, act: impl Fn(usize) + Sync) {
    const THREADS: usize = 4;
    thread::scope(|scope| {
        for first in 0..THREADS {
            let act = &act;
            scope.spawn(move || (first..count).step_by(THREADS).for_each(act));
        }
    });
}

/// Whether the server has said something or ended it.
fn has_heard(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    !stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

// V20
#[test]
fn v20_all_bounds_at_once_stay_below_the_printed_figure() {
    const FILES: usize = 4096;
    let _alone = alone();
    let directory = TempDir::new().unwrap();
    // Each makes 2 KB of a page, which has 4 MiB at most.
    let name = |n: usize| format!("{n}{}", "\"".repeat(230));
    for n in 0..FILES {
        fs::write(directory.path().join(name(n)), [b'a'; 16 << 10]).unwrap();
    }
    let path = |n: usize| format!("/{}", name(n).replace('"', "%22"));
    let rest = Instant::now() + REST;
    let pipe = TempDir::new().unwrap();
    let log = pipe.path().join("log");
    mknodat(CWD, &log, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();

    let options = ["--threads", "4", "--max-connections", "2000", "--header-timeout", "60", "--idle-timeout", "60"];
    let figure = printed(&options);
    let program = Program::run(
        Command::new("sh")
            // Open for both, the pipe has a reader, who never reads.
            .args(["-c", r#"log=$1; shift; exec "$0" "$@" 2<>"$log""#, PROGRAM])
            .arg(&log)
            .args(["--port", "0", "--bind", "127.0.0.1"])
            .args(options)
            .arg(directory.path()),
    );
    let address = program.address();

    // More lines than the log has room for.
    let mut stream = connect(address);
    for _ in 0..500 {
        stream.write_all(&keep_alive(&format!("{}?{}", path(0), "q".repeat(6000)))).unwrap();
        assert_eq!(read_response(&mut stream).status, 200);
    }
    // More heads than there is room for.
    let heads: Vec<_> = (0..1200).map(|_| send(address, &half_a_head())).collect();
    wait_until("heads are refused", || heads.iter().filter(|stream| has_heard(stream)).count() >= 100);
    // More pages than there is room for, and nobody reads them.
    let pages: Vec<_> = (0..24).map(|_| send(address, &keep_alive("/"))).collect();
    wait_until("pages come", || pages.iter().filter(|stream| has_heard(stream)).count() == pages.len());
    // More files than there is room for.
    thread::sleep(rest.saturating_duration_since(Instant::now()));
    for _ in 0..2 {
        let streams: Vec<_> = (0..4).map(|_| Mutex::new(connect(address))).collect();
        all(FILES, |n| {
            let mut stream = streams[n % streams.len()].lock().unwrap();
            stream.write_all(&keep_alive(&path(n))).unwrap();
            assert_eq!(read_response(&mut *stream).body.len(), 16 << 10);
        });
    }
    // More connections than there is room for: those that have been idle longest go.
    let idle: Vec<_> = (0..1000)
        .map(|_| {
            let mut stream = send(address, &keep_alive(&path(0)));
            assert_eq!(read_response(&mut stream).status, 200);
            stream
        })
        .collect();
    // And all threads build pages.
    all(12, |_| {
        let response = exchange(address, b"HEAD / HTTP/1.0\r\n\r\n");
        assert!(response.content_length().unwrap() as u64 > 4 * MIB);
    });

    let (resident, highest) = (program.memory("VmRSS"), program.memory("VmHWM"));
    let mib = |bytes: u64| bytes as f64 / MIB as f64;
    println!("resident {:.1} MiB, at most {:.1} of {:.1}", mib(resident), mib(highest), mib(figure));
    assert!(highest < figure, "{:.1} MiB instead of {:.1}", mib(highest), mib(figure));
    // The bounds were reached, or this would show nothing.
    assert!(resident > 80 * MIB, "only {:.1} MiB", mib(resident));
    drop((heads, pages, idle));
    assert_eq!(get(address, &path(0)).status, 200);
}

/// A directory with small files and larger ones.
fn directory_of(large: usize) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    for n in 0..large {
        fs::write(directory.path().join(n.to_string()), vec![b'a'; OPEN]).unwrap();
    }
    directory
}

/// 64 descriptors, from the start on or when all is at work: kept files, files that are looked up and new connections
/// compete for them.
fn competes_for_descriptors(limited_from_the_start: bool) {
    const LARGE: usize = 40;
    let _alone = alone();
    let directory = directory_of(LARGE);
    thread::sleep(REST);
    let limit = if limited_from_the_start { "64" } else { "4096" };
    let program = Program::run(
        Command::new("sh")
            .args(["-c", r#"ulimit -n "$1"; shift; exec "$0" "$@""#, PROGRAM, limit])
            .args(["--port", "0", "--bind", "127.0.0.1", "--threads", "4", "--header-timeout", "60"])
            .arg(directory.path()),
    );
    let address = program.address();
    let whole = |n: usize| get(address, &format!("/{n}")).body.len();
    for n in 0..2 * LARGE {
        assert_eq!(whole(n % LARGE), OPEN);
    }
    if !limited_from_the_start {
        let limit = Rlimit { current: Some(64), maximum: Some(4096) };
        prlimit(Some(program.pid()), Resource::Nofile, limit).unwrap();
    }

    // Far more peers than descriptors, a third of which ask for a file and read nothing; meanwhile others ask.
    let requests = [&b"GET /sm"[..], &keep_alive("/small"), &keep_alive("/1")];
    let peers: Vec<_> = (0..300).map(|n| send(address, requests[n % requests.len()])).collect();
    all(8, |n| {
        let end = Instant::now() + Duration::from_millis(500);
        while Instant::now() < end {
            // Whatever it is: a response, a refusal, a close, or a place in the queue.
            let mut stream = send(address, format!("GET /{} HTTP/1.0\r\n\r\n", n % LARGE).as_bytes());
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let mut begin = [0; 12];
            if stream.read_exact(&mut begin).is_ok() {
                assert!(matches!(&begin[9..], b"200" | b"503"), "{}", begin.escape_ascii());
            }
        }
    });
    thread::sleep(Duration::from_millis(500));
    let used = program.cpu_time();
    thread::sleep(Duration::from_secs(1));
    let used = program.cpu_time() - used;
    assert!(used < Duration::from_millis(250), "{used:?} of a second spent on waiting"); // V22

    drop(peers);
    let left = Instant::now();
    wait_until("it serves again", || {
        let mut stream = send(address, b"GET /small HTTP/1.0\r\n\r\n");
        let mut begin = [0; 13];
        stream.read_exact(&mut begin).is_ok() && begin == *b"HTTP/1.0 200 "
    });
    let back = left.elapsed();
    println!("back after {back:?}, {used:?} of a second used");
    assert!(back < Duration::from_secs(1), "back after {back:?}");
    for n in 0..2 * LARGE {
        assert_eq!(whole(n % LARGE), OPEN);
    }
    program.finish();
}

#[test]
fn v21_few_descriptors_from_the_start() {
    competes_for_descriptors(true);
}

#[test]
fn v21_descriptors_that_run_out_at_work() {
    competes_for_descriptors(false);
}

/// How much more memory the server has of its own when so many have sent this and read nothing.
fn grown_by(program: &Program, count: usize, request: &[u8]) -> u64 {
    let before = program.memory("RssAnon");
    let streams: Vec<_> = (0..count).map(|_| send(program.address(), request)).collect();
    wait_until("it has settled", || {
        let before = program.cpu_time();
        thread::sleep(Duration::from_millis(300));
        program.cpu_time() - before <= Duration::from_millis(20)
    });
    let grown = program.memory("RssAnon").saturating_sub(before);
    println!("{grown} bytes, {} for each", grown / count as u64);
    drop(streams);
    grown
}

fn serve_large(directory: &Path) -> Program {
    fs::File::create(directory.join("large")).unwrap().set_len(64 * MIB).unwrap();
    Program::start(
        directory,
        &["--threads", "2", "--max-connections", "4000", "--header-timeout", "60", "--log-format", "common"],
    )
}

// V20: what is pipelined behind a reply that nobody reads is as bounded as any other head.
#[test]
fn v20_what_waits_behind_a_slow_reply_is_bounded() {
    let _alone = alone();
    let directory = TempDir::new().unwrap();
    let program = serve_large(directory.path());
    let request = [keep_alive("/large"), half_a_head()].concat();
    let grown = grown_by(&program, 3000, &request);
    assert!(grown < 24 * MIB, "{grown} bytes for heads, instead of 16 MiB and 1 KiB for each connection");
    program.finish();
}

// V20: so is what is remembered of a request for the log; it is a part of its reply.
#[test]
fn v20_long_request_lines_are_bounded() {
    let _alone = alone();
    let directory = TempDir::new().unwrap();
    for n in 0..2400 {
        fs::write(directory.path().join(format!("{n}{}", "\"".repeat(230))), "").unwrap();
    }
    let program = serve_large(directory.path());
    // Neither for heads nor for pages of 4 MiB there is more room.
    let heads: Vec<_> = (0..1200).map(|_| send(program.address(), &half_a_head())).collect();
    let pages: Vec<_> = (0..20).map(|_| send(program.address(), &keep_alive("/"))).collect();
    wait_until("pages come", || pages.iter().filter(|stream| has_heard(stream)).count() == pages.len());
    let grown = grown_by(&program, 2000, &keep_alive(&format!("/large?{}", "q".repeat(8000))));
    assert!(grown < 8 * MIB, "{grown} bytes for request lines");
    drop((heads, pages));
    program.finish();
}

// V20: who brings more is refused, and nobody else pays for it.
#[test]
fn v20_heads_that_fill_their_room_cut_no_reply() {
    let _alone = alone();
    let directory = TempDir::new().unwrap();
    let program = serve_large(directory.path());
    let heads: Vec<_> = (0..1200).map(|_| send(program.address(), &half_a_head())).collect();
    wait_until("heads are refused", || heads.iter().filter(|stream| has_heard(stream)).count() >= 100);
    for request in [&b"GET /large HTTP/1.0\r\n\r\n"[..], b"GET /large?abcdefghijklmnopqrstuvwxyz HTTP/1.0\r\n\r\n"] {
        let mut stream = send(program.address(), request);
        thread::sleep(Duration::from_millis(300)); // it has to wait for room to write
        assert_eq!(read_response(&mut stream).body.len() as u64, 64 * MIB);
    }
    drop(heads);
    program.finish();
}
