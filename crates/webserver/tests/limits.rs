//! A server at its limits: its memory stays below the bound that it prints, and too few descriptors affect only the
//! connections that exceed them.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Resource, Rlimit, getrlimit, prlimit, setrlimit};
use tempfile::TempDir;

use support::{PROGRAM, Program, connect, exchange, get, keep_alive, output_of, read_response, send, wait_until};

const MIB: u64 = 1 << 20;

/// The cache keeps a file of this size open.
const LARGE_FILE: usize = (16 << 10) + 1;

/// A file that was written this long ago has settled, so it is cached.
const SETTLE_TIME: Duration = Duration::from_secs(3);

/// Lets all tests of this process, which may run at once, and their programs open as many files as they need.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let is_enough = maximum.is_none_or(|maximum| maximum >= 12_000);
    assert!(is_enough, "these tests need a hard limit (ulimit -Hn) of 12000 files");
}

/// The memory bound that the program prints for these options, in bytes.
fn printed_bound(options: &[&str]) -> u64 {
    printed("total", options)
}

/// A part of it.
fn printed(name: &str, options: &[&str]) -> u64 {
    let limits = String::from_utf8(output_of(&[options, &["--print-limits"]].concat()).stdout).unwrap();
    let sum = limits.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" MiB")?.parse().ok());
    let mib: f64 = sum.unwrap_or_else(|| panic!("no {name} in {limits}"));
    (mib * MIB as f64) as u64
}

/// A request head of almost the maximum length, without its end.
fn incomplete_head() -> Vec<u8> {
    let field = format!("A: {}\r\n", "a".repeat(7900));
    format!("GET / HTTP/1.0\r\n{field}{field}").into_bytes()
}

const THREADS: usize = 4;

/// A connection for each thread. Tens of thousands of responses are read from them, so each read takes many bytes.
fn buffered_streams(address: SocketAddr) -> [Mutex<BufReader<TcpStream>>; THREADS] {
    std::array::from_fn(|_| Mutex::new(BufReader::new(connect(address))))
}

/// Calls a function with all numbers below `count`, in several threads.
fn in_parallel(count: usize, act: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for first in 0..THREADS {
            let act = &act;
            scope.spawn(move || (first..count).step_by(THREADS).for_each(act));
        }
    });
}

/// Whether the server has sent something or closed the connection.
fn is_readable(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    !stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

// V20
#[test]
fn v20_memory_stays_below_printed_bound_at_all_limits() {
    const FILES: usize = 4096;
    raise_descriptor_limit();
    let directory = TempDir::new().unwrap();
    // Each name takes 2 KB of a listing, which has at most 4 MiB.
    let name = |n: usize| format!("{n}{}", "\"".repeat(230));
    for n in 0..FILES {
        fs::write(directory.path().join(name(n)), [b'a'; 16 << 10]).unwrap();
    }
    let path = |n: usize| format!("/{}", name(n).replace('"', "%22"));
    let settled = Instant::now() + SETTLE_TIME;
    let pipe = TempDir::new().unwrap();
    let log = pipe.path().join("log");
    mknodat(CWD, &log, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();

    let options = ["--threads", "4", "--max-connections", "2000", "--header-timeout", "60", "--idle-timeout", "60"];
    let bound = printed_bound(&options);
    let program = Program::run(
        Command::new("sh")
            // Opened for reading and writing, the pipe has a reader that never reads.
            .args(["-c", r#"log=$1; shift; exec "$0" "$@" 2<>"$log""#, PROGRAM])
            .arg(&log)
            .args(["--port", "0", "--bind", "127.0.0.1"])
            .args(options)
            .arg(directory.path()),
    );
    let address = program.address();

    // More lines than the queue of the log holds.
    let mut stream = connect(address);
    for _ in 0..500 {
        stream.write_all(&keep_alive(&format!("{}?{}", path(0), "q".repeat(6000)))).unwrap();
        assert_eq!(read_response(&mut stream).status, 200);
    }
    // More request heads than the budget for them.
    let heads: Vec<_> = (0..1200).map(|_| send(address, &incomplete_head())).collect();
    wait_until("request heads are refused", || heads.iter().filter(|stream| is_readable(stream)).count() >= 100);
    // More unread listings than the budget for responses.
    let pages: Vec<_> = (0..24).map(|_| send(address, &keep_alive("/"))).collect();
    wait_until("listings arrive", || pages.iter().filter(|stream| is_readable(stream)).count() == pages.len());
    // As many archives as are sent at once, with all names waiting.
    let archives: Vec<_> = (0..32).map(|_| send(address, &keep_alive("/?archive=tar"))).collect();
    wait_until("archives begin", || archives.iter().filter(|stream| is_readable(stream)).count() == archives.len());
    // More files than the cache holds.
    thread::sleep(settled.saturating_duration_since(Instant::now()));
    for _ in 0..2 {
        let streams = buffered_streams(address);
        in_parallel(FILES, |n| {
            let mut stream = streams[n % streams.len()].lock().unwrap();
            stream.get_mut().write_all(&keep_alive(&path(n))).unwrap();
            assert_eq!(read_response(&mut *stream).body.len(), 16 << 10);
        });
    }
    // More connections than the limit: the longest idle ones are closed.
    let idle: Vec<_> = (0..1000)
        .map(|_| {
            let mut stream = send(address, &keep_alive(&path(0)));
            assert_eq!(read_response(&mut stream).status, 200);
            stream
        })
        .collect();
    // All threads build listings.
    in_parallel(12, |_| {
        let plain = exchange(address, b"HEAD / HTTP/1.0\r\n\r\n");
        assert!(plain.content_length().unwrap() as u64 > 4 * MIB);
        let compressed = exchange(address, b"HEAD / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n");
        assert_eq!(compressed.header("Content-Encoding"), Some("gzip"));
    });

    let (resident, peak) = (program.memory("VmRSS"), program.memory("VmHWM"));
    let mib = |bytes: u64| bytes as f64 / MIB as f64;
    println!("resident {:.1} MiB, peak {:.1} MiB, bound {:.1} MiB", mib(resident), mib(peak), mib(bound));
    assert!(peak < bound, "{:.1} MiB instead of {:.1}", mib(peak), mib(bound));
    // The test is only meaningful if the limits were reached.
    assert!(resident > 80 * MIB, "only {:.1} MiB", mib(resident));
    drop((heads, pages, archives, idle));
    assert_eq!(get(address, &path(0)).status, 200);
}

// V20: what an entry takes beside its content is counted, and so is what the heap loses when files of other sizes follow.
#[test]
fn v20_cache_stays_below_printed_bound_with_files_of_any_size() {
    const SMALL_FILES: usize = 10_000;
    const FILES: usize = 1500;
    raise_descriptor_limit();
    let directory = TempDir::new().unwrap();
    let size = |n: usize| match n {
        0..SMALL_FILES => 1024,
        _ => [0, 300, 5000, 16 << 10][n % 4],
    };
    for n in 0..SMALL_FILES + FILES {
        fs::write(directory.path().join(n.to_string()), vec![b'a'; size(n)]).unwrap();
    }
    let written = Instant::now();
    let options = |size| ["--threads", "4", "--cache-size", size];
    let cached = |size| printed("cached files and listings", &options(size));
    let bound = cached("16") - cached("0");
    let program = Program::start(directory.path(), &options("16"));
    thread::sleep(SETTLE_TIME.saturating_sub(written.elapsed()));
    let before = program.memory("RssAnon");
    let request = |files: Range<usize>| {
        let streams = buffered_streams(program.address());
        in_parallel(files.len(), |n| {
            let mut stream = streams[n % streams.len()].lock().unwrap();
            let n = files.start + n;
            // The headers of its 304 are made for the first one, and counted from the start.
            let conditional = format!("GET /{n} HTTP/1.0\r\nConnection: keep-alive\r\nIf-None-Match: *\r\n\r\n");
            let requests = [keep_alive(&format!("/{n}")), conditional.into()].concat();
            stream.get_mut().write_all(&requests).unwrap();
            assert_eq!(read_response(&mut *stream).body.len(), size(n));
            assert_eq!(read_response(&mut *stream).status, 304);
        });
        let grown = program.memory("RssAnon") - before;
        println!("{:.1} MiB, bound {:.1}", grown as f64 / MIB as f64, bound as f64 / MIB as f64);
        assert!(grown < bound, "{grown} bytes instead of {bound}");
        grown
    };
    let grown = request(0..SMALL_FILES);
    // The test is only meaningful if the limit was reached.
    assert!(grown > 14 * MIB, "only {grown} bytes");
    // A full cache takes in what was requested before.
    for _ in 0..3 {
        request(SMALL_FILES..SMALL_FILES + FILES);
    }
    request(0..SMALL_FILES / 4);
    program.finish();
}

/// A directory with a small file and this many large ones.
fn directory_with(large: usize) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    for n in 0..large {
        fs::write(directory.path().join(n.to_string()), vec![b'a'; LARGE_FILE]).unwrap();
    }
    directory
}

/// Cached files, files that are opened and new connections compete for 64 descriptors. The limit holds from startup on,
/// or is lowered later.
fn check_few_descriptors(limited_at_startup: bool) {
    const LARGE: usize = 40;
    raise_descriptor_limit();
    let directory = directory_with(LARGE);
    thread::sleep(SETTLE_TIME);
    let limit = if limited_at_startup { "64" } else { "4096" };
    let program = Program::run(
        Command::new("sh")
            .args(["-c", r#"ulimit -n "$1"; shift; exec "$0" "$@""#, PROGRAM, limit])
            .args(["--port", "0", "--bind", "127.0.0.1", "--threads", "4", "--header-timeout", "60"])
            .arg(directory.path()),
    );
    let lowered = format!("because the limit of open files (ulimit -Hn) is {limit}");
    assert!(program.messages().contains(&lowered), "{}", program.messages());
    let address = program.address();
    let body_length = |n: usize| get(address, &format!("/{n}")).body.len();
    for n in 0..2 * LARGE {
        assert_eq!(body_length(n % LARGE), LARGE_FILE);
    }
    if !limited_at_startup {
        let limit = Rlimit { current: Some(64), maximum: Some(4096) };
        prlimit(Some(program.pid()), Resource::Nofile, limit).unwrap();
    }

    // Far more clients than descriptors. A third of them request a file and read nothing, while others send requests.
    let requests = [&b"GET /sm"[..], &keep_alive("/small"), &keep_alive("/1")];
    let clients: Vec<_> = (0..300).map(|n| send(address, requests[n % requests.len()])).collect();
    in_parallel(8, |n| {
        let end = Instant::now() + Duration::from_millis(500);
        while Instant::now() < end {
            // The result is a file, a 503, a close, or waiting in the backlog.
            let mut stream = send(address, format!("GET /{} HTTP/1.0\r\n\r\n", n % LARGE).as_bytes());
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let mut begin = [0; 12];
            if stream.read_exact(&mut begin).is_ok() {
                assert!(matches!(&begin[9..], b"200" | b"503"), "{}", begin.escape_ascii());
            }
        }
    });
    thread::sleep(Duration::from_millis(500));
    let used = program.cpu_time_in_next_second();
    assert!(used < Duration::from_millis(250), "{used:?} of CPU time in a second of waiting"); // V22

    drop(clients);
    let closed = Instant::now();
    wait_until("the server serves again", || {
        let mut stream = send(address, b"GET /small HTTP/1.0\r\n\r\n");
        let mut begin = [0; 13];
        stream.read_exact(&mut begin).is_ok() && begin == *b"HTTP/1.0 200 "
    });
    let recovered = closed.elapsed();
    println!("recovered after {recovered:?}, {used:?} of CPU time in a second");
    assert!(recovered < Duration::from_secs(5), "recovered after {recovered:?}");
    for n in 0..2 * LARGE {
        assert_eq!(body_length(n % LARGE), LARGE_FILE);
    }
    program.finish();
}

#[test]
fn v21_server_recovers_from_few_descriptors_since_startup() {
    check_few_descriptors(true);
}

#[test]
fn v21_server_recovers_from_few_descriptors_set_later() {
    check_few_descriptors(false);
}

/// The growth of the program's memory after this many clients have sent the request and read nothing. Each waits for its
/// response to begin: requests that wait for a thread have a budget of their own.
fn memory_growth(program: &Program, count: usize, request: &[u8]) -> u64 {
    let before = program.memory("RssAnon");
    let begin = |_| {
        let stream = send(program.address(), request);
        let _ = stream.peek(&mut [0]); // or it is refused, by a close or a reset
        stream
    };
    let streams: Vec<_> = (0..count).map(begin).collect();
    wait_until("the server is idle", || {
        let before = program.cpu_time();
        thread::sleep(Duration::from_millis(300));
        program.cpu_time() - before <= Duration::from_millis(20)
    });
    let growth = program.memory("RssAnon").saturating_sub(before);
    println!("{growth} bytes, {} per client", growth / count as u64);
    drop(streams);
    growth
}

fn serve_large(directory: &Path) -> Program {
    fs::File::create(directory.join("large")).unwrap().set_len(64 * MIB).unwrap();
    // So many threads that few responses wait for one: there is memory of its own for these.
    Program::start(
        directory,
        &["--threads", "16", "--max-connections", "4000", "--header-timeout", "60", "--log-format", "common"],
    )
}

// V20: a request pipelined after an unread response counts like any other head.
#[test]
fn v20_pipelined_head_after_unread_response_is_bounded() {
    raise_descriptor_limit();
    let directory = TempDir::new().unwrap();
    let program = serve_large(directory.path());
    let request = [keep_alive("/large"), b"GET / HTTP/1.0\r\nA: ".into(), vec![b'b'; 15_000]].concat();
    let growth = memory_growth(&program, 3000, &request);
    // It would be 45 MB. The allocator keeps some of what was freed.
    assert!(growth < 24 * MIB, "{growth} bytes for heads, instead of 16 MiB and 1 KiB for each connection");
    program.finish();
}

// V20: what the log needs of a request counts as part of its response.
#[test]
fn v20_long_request_lines_are_bounded() {
    raise_descriptor_limit();
    let directory = TempDir::new().unwrap();
    for n in 0..2400 {
        fs::write(directory.path().join(format!("{n}{}", "\"".repeat(230))), "").unwrap();
    }
    let program = serve_large(directory.path());
    // The budgets for heads and for responses are used up.
    let heads: Vec<_> = (0..1200).map(|_| send(program.address(), &incomplete_head())).collect();
    let pages: Vec<_> = (0..20).map(|_| send(program.address(), &keep_alive("/"))).collect();
    wait_until("listings arrive", || pages.iter().filter(|stream| is_readable(stream)).count() == pages.len());
    let growth = memory_growth(&program, 2000, &keep_alive(&format!("/large?{}", "q".repeat(8000))));
    // It would be 16 MB. On a busy machine some of the requests are put aside, which are charged to a budget of their own.
    assert!(growth < 12 * MIB, "{growth} bytes for request lines");
    drop((heads, pages));
    program.finish();
}

// V20: heads beyond the budget are refused, and other clients are not affected.
#[test]
fn v20_exhausted_head_budget_cuts_off_no_response() {
    raise_descriptor_limit();
    let directory = TempDir::new().unwrap();
    let program = serve_large(directory.path());
    let heads: Vec<_> = (0..1200).map(|_| send(program.address(), &incomplete_head())).collect();
    wait_until("request heads are refused", || heads.iter().filter(|stream| is_readable(stream)).count() >= 100);
    for request in [&b"GET /large HTTP/1.0\r\n\r\n"[..], b"GET /large?abcdefghijklmnopqrstuvwxyz HTTP/1.0\r\n\r\n"] {
        let mut stream = send(program.address(), request);
        thread::sleep(Duration::from_millis(300)); // the response is larger than the socket buffers
        assert_eq!(read_response(&mut stream).body.len() as u64, 64 * MIB);
    }
    drop(heads);
    program.finish();
}
