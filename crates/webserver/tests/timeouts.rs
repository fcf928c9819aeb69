//! Slow, silent and disconnecting clients: they time out, receive what they are due, and do not delay other clients.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use http_core::Status;
use http_server::{Action, ErrorContext, Handler, Request, Response, Server, Stats, Timeouts};
use rustix::net::SendFlags;
use tempfile::TempDir;

use support::{
    EmbeddedServer, LARGE, PROGRAM, Program, connect, directory, exchange, get, keep_alive, parse_responses,
    read_response, read_to_end, send, wait_until,
};

fn serve(options: &[&str]) -> (TempDir, Program) {
    let directory = directory();
    let program = Program::start(directory.path(), options);
    (directory, program)
}

/// Downloads the small file as an ordinary client, which must take far less than 5 s.
fn check_small_file(address: SocketAddr) {
    let began = Instant::now();
    assert_eq!(get(address, "/small").text(), "small");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn v11_incomplete_requests_do_not_delay_others() {
    for threads in ["1", "2"] {
        let (_directory, program) = serve(&["--threads", threads]);
        let halves: [&[u8]; 5] = [b"", b"G", b"\r\n", b"GET /small HTTP/1.0\r\nA: b", b"GET /small HTTP/1.0\r\n"];
        let waiting: Vec<_> = halves.iter().cycle().take(200).map(|half| send(program.address(), half)).collect();
        for _ in 0..10 {
            check_small_file(program.address());
        }
        // Each of them can still complete its request.
        let mut stream = waiting.into_iter().nth(199).unwrap();
        stream.write_all(b"\r\n").unwrap();
        assert_eq!(read_response(&mut stream).text(), "small");
        drop(stream);
        program.finish();
    }
}

// V11: no worker waits for a body.
#[test]
fn v11_missing_bodies_do_not_delay_others() {
    let (_directory, program) = serve(&["--threads", "1"]);
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nbegin";
    let waiting: Vec<_> = (0..20).map(|_| send(program.address(), post)).collect();
    for mut stream in waiting {
        check_small_file(program.address());
        assert_eq!(read_response(&mut stream).status, 405, "the response comes before the body");
    }
}

#[test]
fn v12_slow_readers_do_not_delay_others() {
    for threads in ["1", "2"] {
        let (_directory, program) = serve(&["--threads", threads]);
        let get_large = b"GET /large HTTP/1.0\r\n\r\n";
        let mut slow: Vec<_> = (0..8).map(|_| send(program.address(), get_large)).collect();
        // The first one half-closes, and still expects its file.
        slow[0].shutdown(Shutdown::Write).unwrap();
        let used = program.cpu_time();
        let began = Instant::now();
        for _ in 0..10 {
            check_small_file(program.address());
            let mut piece = [0; 4096];
            for stream in &mut slow {
                stream.read_exact(&mut piece).unwrap();
            }
        }
        thread::sleep(Duration::from_secs(1));
        let used = program.cpu_time() - used;
        assert!(
            used < began.elapsed() / 2,
            "{used:?} of CPU time in {:?}, with clients that do not read",
            began.elapsed()
        );
        let bytes = read_to_end(&mut slow[0]).unwrap();
        assert!(bytes.len() as u64 > LARGE - 10 * 4096);
    }
}

// The turn of a connection is bounded, so a fast reader does not starve the others.
#[test]
fn fast_reader_does_not_delay_others() {
    let (directory, program) = serve(&["--threads", "1"]);
    let endless = File::create(directory.path().join("endless")).unwrap();
    endless.set_len(1 << 40).unwrap();
    let mut fast = send(program.address(), b"GET /endless HTTP/1.0\r\n\r\n");
    let stop = fast.try_clone().unwrap();
    let sum = Arc::new(AtomicUsize::new(0));
    let reading = thread::spawn({
        let sum = sum.clone();
        move || {
            let mut piece = vec![0; 1 << 20];
            while let Ok(n @ 1..) = fast.read(&mut piece) {
                sum.fetch_add(n, Relaxed);
            }
        }
    });
    wait_until("the fast client reads", || sum.load(Relaxed) > 4 << 20); // several turns
    for _ in 0..10 {
        check_small_file(program.address());
    }
    let before = sum.load(Relaxed);
    wait_until("the fast client reads on", || sum.load(Relaxed) > before);
    stop.shutdown(Shutdown::Both).unwrap();
    reading.join().unwrap();
}

/// Sends a part of a request, and reads until the server closes.
fn send_and_wait(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    read_to_end(&mut send(address, request)).unwrap()
}

// R9112-9.5, R9110-15.5.9
#[test]
fn late_head_gets_408_and_missing_head_gets_nothing() {
    let (_directory, program) = serve(&["--threads", "1", "--header-timeout", "1", "--idle-timeout", "60"]);
    thread::scope(|scope| {
        for head in ["G", "GET /small", "GET /small HTTP/1.0\r\n", "\r\nGET", "GET /small HTTP/1.0\r\nA: b\r\n\r"] {
            let address = program.address();
            scope.spawn(move || {
                let began = Instant::now();
                let out = send_and_wait(address, head.as_bytes());
                assert!(began.elapsed() >= Duration::from_secs(1), "{head:?} after {:?}", began.elapsed());
                let responses = parse_responses(&out, false).unwrap();
                assert_eq!(responses.len(), 1, "{head:?}");
                assert_eq!((responses[0].status, responses[0].keeps_alive()), (408, false), "{head:?}");
            });
        }
        for nothing in ["", "\r\n", "\n", "\r\n\r\n", "\r"] {
            let address = program.address();
            scope.spawn(move || {
                let began = Instant::now();
                assert_eq!(send_and_wait(address, nothing.as_bytes()), b"", "{nothing:?}");
                assert!(began.elapsed() >= Duration::from_secs(1), "{nothing:?} after {:?}", began.elapsed());
            });
        }
        // On a kept connection the timeout begins with the first byte of a request.
        scope.spawn(|| {
            let mut stream = send(program.address(), &keep_alive("/small"));
            assert!(read_response(&mut stream).keeps_alive());
            thread::sleep(Duration::from_millis(1500));
            stream.write_all(b"GET /small").unwrap();
            assert_eq!(read_response(&mut stream).status, 408);
            assert_eq!(read_to_end(&mut stream).unwrap(), b"");
        });
    });
    let messages = program.finish();
    assert_eq!(messages.matches("\" 408 ").count(), 6, "{messages}");
    assert!(messages.contains(": 0 completed, 0 refused, 6 timed out, 5 aborted, 0 failed\n"), "{messages}");
}

// R9112-9.5: no 408 without a request.
#[test]
fn idle_connection_is_closed_without_response() {
    let (_directory, program) = serve(&["--threads", "1", "--idle-timeout", "1", "--header-timeout", "60"]);
    thread::scope(|scope| {
        for line_ends in ["", "\r\n", "\r\n\r\n"] {
            let address = program.address();
            scope.spawn(move || {
                let mut stream = send(address, &keep_alive("/small"));
                assert!(read_response(&mut stream).keeps_alive());
                let began = Instant::now();
                stream.write_all(line_ends.as_bytes()).unwrap();
                assert_eq!(read_to_end(&mut stream).unwrap(), b"", "{line_ends:?}");
                assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
            });
        }
    });
    assert!(
        program
            .finish()
            .ends_with("webserver: 3 connections: 3 completed, 0 refused, 0 timed out, 0 aborted, 0 failed\n")
    );
}

#[test]
fn v11_slow_bytes_do_not_extend_timeout() {
    let (_directory, program) = serve(&["--threads", "1", "--header-timeout", "1", "--idle-timeout", "1"]);
    let send_slowly = |before: &[u8], bytes: &[u8]| {
        let mut stream = connect(program.address());
        let mut reading = stream.try_clone().unwrap();
        if !before.is_empty() {
            stream.write_all(before).unwrap();
            assert_eq!(read_response(&mut reading).status, 200);
        }
        let began = Instant::now();
        let reader = thread::spawn(move || read_to_end(&mut reading).map_err(|error| error.kind()));
        for byte in bytes.iter().cycle() {
            if reader.is_finished() || stream.write_all(&[*byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(50));
            assert!(began.elapsed() < Duration::from_secs(8), "bytes extend the timeout");
        }
        reader.join().unwrap()
    };
    thread::scope(|scope| {
        for before in [&b""[..], &keep_alive("/small")] {
            let before = before.to_vec();
            scope.spawn(move || {
                let out =
                    send_slowly(&before, b"GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
                        .unwrap();
                assert!(out.starts_with(b"HTTP/1.0 408 "), "{}", out.escape_ascii());
            });
        }
        scope.spawn(|| {
            // Line ends are not a request, but too many of them are an error.
            let out = send_slowly(b"", b"\r\n").unwrap_or_default();
            assert!(out.is_empty() || out.starts_with(b"HTTP/1.0 400 "), "{}", out.escape_ascii());
        });
    });
}

// R9112-9.6c: a half-closed client still gets its response.
#[test]
fn half_closed_client_gets_its_response() {
    let (_directory, program) = serve(&["--threads", "1"]);
    let half_closed = |request: &[u8]| {
        let mut stream = send(program.address(), request);
        stream.shutdown(Shutdown::Write).unwrap();
        parse_responses(&read_to_end(&mut stream).unwrap(), false).unwrap()
    };
    assert_eq!(half_closed(b"GET /small HTTP/1.0\r\n\r\n")[0].text(), "small");
    assert_eq!(half_closed(b"GET /large HTTP/1.0\r\n\r\n")[0].body.len() as u64, LARGE);
    assert_eq!(half_closed(&keep_alive("/small").repeat(40)).len(), 40);
    assert_eq!(half_closed(b"GET /small HT")[0].status, 400);
    assert!(half_closed(b"").is_empty());
    program.finish();
}

fn echo(request: &Request<'_>) -> Response {
    Response::text(request.path())
}

// R9112-9.3.2: more requests than a worker serves in one turn.
#[test]
fn pipelined_requests_get_responses_in_order() {
    for threads in [1, 2] {
        let server = EmbeddedServer::start(|server| server.threads(threads), echo);
        let mut segment: Vec<u8> = (0..99).flat_map(|n| keep_alive(&format!("/{n}"))).collect();
        segment.extend_from_slice(b"GET /99 HTTP/1.0\r\n\r\n");
        let out = send_and_wait(server.address(), &segment);
        let bodies: Vec<String> =
            parse_responses(&out, false).unwrap().iter().map(|response| response.text().into()).collect();
        assert_eq!(bodies, (0..100).map(|n| format!("/{n}")).collect::<Vec<_>>());
        wait_until("the connection ends", || server.running().stats().completed == 1);
        server.finish();
    }
}

// Each file is larger than the socket buffers, and all are requested before any is read.
#[test]
fn pipelined_files_are_sent_in_order() {
    let directory = TempDir::new().unwrap();
    for n in 0..8_u8 {
        fs::write(directory.path().join(n.to_string()), vec![n; 4 << 20]).unwrap();
    }
    let program = Program::start(directory.path(), &["--threads", "2"]);
    let requests: Vec<u8> = (0..8).flat_map(|n| keep_alive(&format!("/{n}"))).collect();
    let mut stream = send(program.address(), &requests);
    for n in 0..8_u8 {
        let response = read_response(&mut stream);
        assert!(response.keeps_alive() && response.body == vec![n; 4 << 20], "file {n}");
    }
}

// The timeout of a response begins with that response, not with the previous one.
#[test]
fn response_after_a_slow_one_has_its_own_timeout() {
    let directory = TempDir::new().unwrap();
    File::create(directory.path().join("first")).unwrap().set_len(16 << 20).unwrap();
    File::create(directory.path().join("second")).unwrap().set_len(1 << 20).unwrap();
    let program = Program::start(directory.path(), &["--threads", "1"]);
    let requests = [keep_alive("/first"), b"GET /second HTTP/1.0\r\n\r\n".to_vec()].concat();
    let mut stream = send(program.address(), &requests);
    thread::sleep(Duration::from_millis(10_500));
    let (mut out, mut piece) = (Vec::new(), vec![0; 1 << 20]);
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            n => out.extend_from_slice(&piece[..n]),
        }
        if out.len() < 18 << 20 {
            thread::sleep(Duration::from_millis(25)); // slow, but far above the minimum rate
        }
    }
    let responses =
        parse_responses(&out, false).unwrap_or_else(|fault| panic!("{fault}; {} bytes in total", out.len()));
    assert_eq!(responses.iter().map(|response| response.body.len()).collect::<Vec<_>>(), [16 << 20, 1 << 20]);
}

/// Calls a function this many times, in eight threads.
fn repeat_in_parallel(count: usize, once: impl Fn() + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while next.fetch_add(1, Relaxed) < count {
                    once();
                }
            });
        }
    });
}

// R9112-9.6b, R1945-9.4c: a reset would destroy the response.
#[test]
fn v24_early_response_reaches_client_that_is_still_sending() {
    const MIB: usize = 1 << 20;
    let (_directory, program) = serve(&["--threads", "2", "--log-format", "off"]);
    let post = [format!("POST /small HTTP/1.0\r\nContent-Length: {MIB}\r\n\r\n").as_bytes(), &vec![b'x'; MIB]].concat();
    let no_length = [b"POST /small HTTP/1.0\r\n\r\n", &vec![b'x'; MIB][..]].concat();
    let target = [b"GET /", &vec![b'x'; MIB][..], b" HTTP/1.0\r\n\r\n"].concat();
    let field = [b"GET / HTTP/1.0\r\nA: ", &vec![b'x'; MIB][..], b"\r\n\r\n"].concat();
    for (request, status) in [(post, 405), (no_length, 400), (target, 414), (field, 431)] {
        repeat_in_parallel(200, || {
            let response = exchange(program.address(), &request);
            assert_eq!((response.status, response.text().ends_with("</html>\n")), (status, true));
        });
    }
    program.finish();
}

// R9112-9.3b: an unwanted body is not parsed as a request, and a small one does not close the connection.
#[test]
fn v13_unwanted_body_is_not_parsed_as_request() {
    let (_directory, program) = serve(&["--threads", "1"]);
    let smuggled = b"GET /large HTTP/1.0\r\n\r\n";
    let post = format!("POST /small HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: {}\r\n\r\n", smuggled.len());
    let mut stream = send(program.address(), &[post.as_bytes(), smuggled].concat());
    let response = read_response(&mut stream);
    assert_eq!((response.status, response.keeps_alive()), (405, true));
    stream.write_all(b"GET /small HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut stream).text(), "small");
    assert_eq!(read_to_end(&mut stream).unwrap(), b"");
}

#[test]
fn longest_idle_connection_is_closed_at_connection_limit() {
    let server = EmbeddedServer::start(|server| server.threads(2).max_connections(4), echo);
    let kept = |_| {
        let mut stream = send(server.address(), &keep_alive("/kept"));
        assert!(read_response(&mut stream).keeps_alive());
        thread::sleep(Duration::from_millis(20)); // so that each is idle longer than the next
        stream
    };
    let mut clients: Vec<_> = (0..4).map(kept).collect();
    // The first one becomes the one that has been idle for the shortest time.
    clients[0].write_all(&keep_alive("/again")).unwrap();
    assert_eq!(read_response(&mut clients[0]).text(), "/again");
    for evicted in [1, 2] {
        clients.push(kept(evicted));
        assert_eq!(clients[evicted].read(&mut [0]).unwrap(), 0, "closed without a reset");
    }
    for kept in [0, 3, 4, 5] {
        clients[kept].write_all(&keep_alive("/on")).unwrap();
        assert_eq!(read_response(&mut clients[kept]).text(), "/on");
    }
    drop(clients);
    let stats = server.finish();
    assert_eq!((stats.accepted, stats.completed), (6, 6));
}

#[test]
fn new_connection_gets_503_at_limit_if_none_is_idle() {
    let server = EmbeddedServer::start(|server| server.threads(2).max_connections(4), echo);
    let halves: Vec<_> = (0..4).map(|_| send(server.address(), b"GET /half")).collect();
    wait_until("the connections are accepted", || server.running().stats().accepted == 4);
    let mut rejected = Vec::new();
    for request in [&b"GET / HTTP/1.0\r\n\r\n"[..], b"GET /begun"].into_iter().cycle().take(64) {
        let mut stream = send(server.address(), request);
        let response = read_response(&mut stream);
        assert_eq!((response.status, response.header("Retry-After")), (503, Some("1")), "{}", response.head);
        assert_eq!(response.header("Connection"), Some("close"));
        rejected.push(stream);
    }
    // Their lingering connections hold all overload slots, so the next one is closed.
    let mut next = send(server.address(), b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(next.read(&mut [0]).map_or(0, |n| n), 0, "closed without a response");
    drop(halves);
    wait_until("the connections have ended", || server.running().stats().aborted == 4);
    assert_eq!(get(server.address(), "/free").text(), "/free");
    drop(rejected);
    let stats = server.finish();
    assert_eq!((stats.accepted, stats.refused, stats.completed), (70, 65, 1));
}

#[test]
fn v21_server_survives_more_connections_than_descriptors() {
    let directory = directory();
    let program = Program::run(
        Command::new("sh")
            .args(["-c", r#"ulimit -n 64; exec "$0" "$@""#, PROGRAM, "--port", "0", "--bind", "127.0.0.1"])
            .args(["--threads", "2"])
            .arg(directory.path()),
    );
    let clients: Vec<_> = (0..200).map(|_| send(program.address(), b"GET /sm")).collect();
    thread::sleep(Duration::from_millis(200));
    let used = program.cpu_time_in_next_second();
    assert!(used < Duration::from_millis(500), "{used:?} of CPU time in a second of waiting"); // V22
    drop(clients);
    for _ in 0..20 {
        check_small_file(program.address());
    }
    program.finish();
}

/// Panics on `/panic`, and in the error page of 505.
struct PanickingHandler;

impl Handler for PanickingHandler {
    fn handle(&self, request: &Request<'_>) -> Action {
        assert_ne!(request.path(), "/panic", "panic of the test");
        echo(request).into()
    }

    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        assert_ne!(error.status(), Status::HTTP_VERSION_NOT_SUPPORTED, "panic of the test");
        Response::text("refused")
    }
}

// R1945-9.5
#[test]
fn v33_pool_survives_panics_of_handler() {
    let server = EmbeddedServer::start(|server| server.threads(2), PanickingHandler);
    let mut kept = connect(server.address());
    for _ in 0..10 {
        assert_eq!(get(server.address(), "/panic").status, 500);
        kept.write_all(&keep_alive("/panic")).unwrap();
        assert_eq!(read_response(&mut kept).status, 500);
        kept.write_all(&keep_alive("/on")).unwrap();
        assert_eq!(read_response(&mut kept).text(), "/on");
    }
    for _ in 0..10 {
        assert_eq!(read_response(&mut send(server.address(), b"GET / HTTP/2.0\r\n\r\n")).status, 500, "R1945-9.5");
    }
    for _ in 0..10 {
        assert_eq!(get(server.address(), "/on").text(), "/on");
    }
    drop(kept);
    wait_until("all connections have ended", || server.running().stats().ended() == 31);
    let Stats { accepted, completed, failed, .. } = server.finish();
    assert_eq!((accepted, completed, failed), (31, 31, 0));
}

// Timeouts, resets and a shutdown at the same time.
#[test]
fn every_connection_ends_exactly_once() {
    let short = Timeouts { head: Duration::from_millis(200), idle: Duration::from_millis(200), ..Timeouts::default() };
    let configure =
        |server: Server| server.threads(3).timeouts(short).max_connections(64).shutdown_timeout(Duration::ZERO);
    let server = EmbeddedServer::start(configure, echo);
    let address = server.address();
    let next = AtomicUsize::new(0);
    repeat_in_parallel(1500, || {
        let n = next.fetch_add(1, Relaxed);
        let mut stream = connect(address);
        let _ = match n % 6 {
            0 => stream.write_all(b""),
            1 => stream.write_all(b"GET /"),
            2 => stream.write_all(&keep_alive("/a")),
            3 => stream.write_all(b"GET /a HTTP/1.0\r\n\r\n"),
            4 => stream.write_all(b"POST /a HTTP/1.0\r\nContent-Length: 100\r\n\r\nbody"),
            _ => stream.write_all(b"nonsense\r\n\r\n"),
        };
        if n.is_multiple_of(5) {
            let _ = read_to_end(&mut stream);
        }
    });
    let begun: Vec<_> = (0..20).map(|n| send(address, &b"GET / HTTP/1.0"[..n % 14])).collect();
    wait_until("all connections are accepted", || server.running().stats().accepted == 1520);
    let stats = server.finish();
    drop(begun);
    assert_eq!((stats.accepted, stats.refused), (1520, 0), "{stats}");
}

// R9112-9.6b, V24: while the server lingers, the client's last bytes arrive in one segment with its FIN. A close
// without reading them would send a reset, and destroy what is still on its way to the client.
#[test]
fn v24_bytes_with_fin_do_not_destroy_response() {
    let (_directory, program) = serve(&["--threads", "2"]);
    for _ in 0..5 {
        // The request comes in two pieces, so that the server lingers.
        let mut stream = send(program.address(), b"GET /large HTTP/1.0\r\nRange: bytes=0-3999999\r\n");
        thread::sleep(Duration::from_millis(20));
        stream.write_all(b"\r\n").unwrap();
        let mut response = vec![0; 1_900_000];
        stream.read_exact(&mut response).unwrap();
        // Now the kernel has the complete response, and the server has half-closed.
        thread::sleep(Duration::from_millis(100));
        rustix::net::send(&stream, &[b'x'; 100], SendFlags::MORE).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        thread::sleep(Duration::from_millis(50));
        stream.read_to_end(&mut response).unwrap();
        let head = response.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(response.len() - head, 4_000_000);
    }
}

// Clients that pipeline requests and read nothing time out. The handler must not be called for them then.
#[test]
fn only_workers_call_handler() {
    let other_calls = Arc::new(AtomicUsize::new(0));
    let counter = other_calls.clone();
    let handler = move |_: &Request<'_>| {
        let is_worker = thread::current().name().is_some_and(|name| name.starts_with("worker-"));
        counter.fetch_add(usize::from(!is_worker), Relaxed);
        Response::text("x".repeat(10_000))
    };
    let short = Timeouts { head: Duration::from_millis(300), idle: Duration::from_millis(300), ..Timeouts::default() };
    let server = EmbeddedServer::start(|server| server.threads(2).timeouts(short), handler);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = connect(server.address());
            stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
            while stream.write_all(&keep_alive("/on")).is_ok() {}
            stream
        })
        .collect();
    thread::sleep(Duration::from_secs(1));
    assert_eq!(other_calls.load(Relaxed), 0);
    drop(clients);
    server.finish();
}

// R1945-9.5, R9112-8: each outcome has its counter.
#[test]
fn outcomes_of_connections_are_counted() {
    let short = Timeouts { head: Duration::from_millis(300), idle: Duration::from_secs(30), ..Timeouts::default() };
    let server = EmbeddedServer::start(|server| server.threads(2).timeouts(short), echo);
    let address = server.address();
    let mut half = send(address, b"GET / HTTP/1.0\r\nA");
    assert!(read_to_end(&mut half).unwrap().starts_with(b"HTTP/1.0 408 ")); // timed out
    drop(half);
    let mut truncated = send(address, b"GET / HTTP/1.0\r\nA");
    truncated.shutdown(Shutdown::Write).unwrap();
    assert!(read_to_end(&mut truncated).unwrap().starts_with(b"HTTP/1.0 400 ")); // aborted
    let mut body = send(address, b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfew");
    body.shutdown(Shutdown::Write).unwrap();
    assert!(read_to_end(&mut body).unwrap().starts_with(b"HTTP/1.0 200 ")); // aborted
    assert_eq!(get(address, "/on").text(), "/on"); // completed
    wait_until("all connections have ended", || server.running().stats().ended() == 4);
    let Stats { completed, timed_out, aborted, .. } = server.finish();
    assert_eq!((completed, timed_out, aborted), (1, 1, 2));
}

// R9110-9.3.6, R9110-10.2.1: even if the handler is a function.
#[test]
fn connect_method_gets_405_from_any_handler() {
    let server = EmbeddedServer::start(|server| server, echo);
    let response = exchange(server.address(), b"CONNECT a:80 HTTP/1.0\r\n\r\n");
    assert_eq!((response.status, response.header("Allow")), (405, Some("")));
    server.finish();
}
