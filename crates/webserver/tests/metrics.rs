//! The metrics of `--metrics`: their values, their format, and their own listener.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_server::{Action, Body, OpenConnections, Request, Response};
use rustix::net::sockopt::set_socket_linger;
use tempfile::TempDir;

use support::{
    EmbeddedServer, Program, connect, fetch, get, is_plain, keep_alive, parse_responses, read_response, read_to_end,
    send, tool, wait_until,
};

fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    fs::create_dir(directory.path().join("directory")).unwrap();
    directory
}

fn start(directory: &TempDir, options: &[&str]) -> (Program, SocketAddr) {
    let program = Program::start(directory.path(), &[&["--metrics", "127.0.0.1:0"], options].concat());
    let address = |messages: String| {
        let line = messages.lines().find_map(|line| line.strip_prefix("webserver: metrics at http://"))?;
        line.strip_suffix("/metrics")?.parse().ok()
    };
    let metrics = address(program.messages()).expect("it prints the address before it is ready");
    (program, metrics)
}

/// All samples, by name and label. Checks that each is well formed, has a help text and a type, and occurs once.
fn samples(text: &str) -> Samples {
    let mut samples = BTreeMap::new();
    let mut kind = "";
    let mut described = "";
    let mut types = BTreeSet::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            described = help.split_once(' ').unwrap().0;
        } else if let Some(of) = line.strip_prefix("# TYPE ") {
            let (name, its_type) = of.split_once(' ').unwrap();
            assert_eq!(name, described);
            kind = its_type;
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(types.insert(name), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let bare = name.split('{').next().unwrap();
            let family = match kind {
                "histogram" => ["_bucket", "_sum", "_count"].into_iter().find_map(|part| bare.strip_suffix(part)),
                _ => Some(bare),
            };
            assert!(family == Some(described) && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(bare.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'), "{line}");
            assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{line}");
        }
    }
    samples
}

type Samples = BTreeMap<String, f64>;

/// A scrape. Whatever happens meanwhile, its numbers of connections agree, and so do its numbers of durations.
fn scrape(metrics: SocketAddr) -> Samples {
    let response = get(metrics, "/metrics");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let now = samples(response.text());
    let (accepted, open) = (now["webserver_connections_accepted_total"], now["webserver_connections"]);
    assert_eq!(accepted, open + sum(&now, ENDED), "{now:#?}");
    assert_eq!(open, sum(&now, "webserver_connections_by_state"), "{now:#?}");
    let taken = ["active", "held"].map(|state| now[&in_state(state)]).into_iter().sum::<f64>();
    assert_eq!(open, now["webserver_connections_parked"] + taken, "{now:#?}");
    let name = "webserver_request_duration_seconds";
    let mut buckets: Vec<_> = now
        .iter()
        .filter_map(|(sample, n)| {
            let bound = sample.strip_prefix(name)?.strip_prefix("_bucket{le=\"")?.strip_suffix("\"}")?;
            Some((bound.parse::<f64>().unwrap(), *n))
        })
        .collect();
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    assert!(buckets.is_sorted_by(|one, other| one.1 <= other.1), "{buckets:?}");
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, now[&format!("{name}_count")])), "{buckets:?}");
    now
}

const ENDED: &str = "webserver_connections_ended_total";

fn in_state(state: &str) -> String {
    format!("webserver_connections_by_state{{state=\"{state}\"}}")
}

fn ended(end: &str) -> String {
    let outcome = match end {
        "complete" => "completed",
        "client-abort" => "aborted",
        "no-room" => "refused",
        "head-timeout" | "body-timeout" | "slow-send" => "timed_out",
        _ => "failed",
    };
    format!("{ENDED}{{outcome=\"{outcome}\",end=\"{end}\"}}")
}

/// The sum of all samples with this name.
fn sum(samples: &Samples, name: &str) -> f64 {
    samples.iter().filter(|(sample, _)| sample.split('{').next() == Some(name)).map(|(_, value)| value).sum()
}

#[test]
fn metrics_count_connections_responses_and_bytes() {
    let directory = directory();
    let (program, metrics) = start(&directory, &[]);
    let address = program.address();
    let mut bytes = 0;
    for (method, target, headers) in [
        ("GET", "/small", ""),
        ("GET", "/", ""),
        ("GET", "/small", "Range: bytes=1-2\r\n"),
        ("HEAD", "/small", ""),
        ("GET", "/directory", ""),
        ("GET", "/missing", ""),
        ("DELETE", "/small", ""),
        ("BREW", "/small", ""),
    ] {
        let response = fetch(address, method, target, headers);
        bytes += response.head.len() + response.body.len();
    }
    drop(send(address, b"GET / HTT"));
    let mut kept = connect(address);
    for _ in 0..3 {
        kept.write_all(&keep_alive("/small")).unwrap();
        let response = read_response(&mut kept);
        bytes += response.head.len() + response.body.len();
    }
    // A client may read a response before it is counted.
    let is_over = |now: &Samples| {
        let code = |code| now.get(&format!("webserver_responses_total{{code=\"{code}\"}}"));
        let is_counted = (code(200), code(206)) == (Some(&6.0), Some(&1.0));
        sum(now, ENDED) == 9.0 && is_counted && now["webserver_sent_bytes_total"] >= bytes as f64
    };
    wait_until("all connections but one have ended and all responses are counted", || is_over(&scrape(metrics)));
    let now = scrape(metrics);
    for (name, expected) in [
        ("webserver_connections_accepted_total", 10.0),
        ("webserver_connections", 1.0),
        ("webserver_connections_parked", if is_plain() { 0.0 } else { 1.0 }),
        (&in_state(if is_plain() { "active" } else { "idle" }), 1.0),
        (&ended("complete"), 8.0),
        (&ended("client-abort"), 1.0),
        (&ended("no-room"), 0.0),
        (&ended("head-timeout"), 0.0),
        (&ended("failed"), 0.0),
        ("webserver_responses_total{code=\"200\"}", 6.0),
        ("webserver_responses_total{code=\"206\"}", 1.0),
        ("webserver_responses_total{code=\"301\"}", 1.0),
        ("webserver_responses_total{code=\"404\"}", 1.0),
        ("webserver_responses_total{code=\"405\"}", 1.0),
        ("webserver_responses_total{code=\"501\"}", 1.0),
        ("webserver_requests_ended_total{end=\"complete\"}", 11.0),
        ("webserver_log_lines_lost_total", 0.0),
    ] {
        assert_eq!(now.get(name), Some(&expected), "{name}: {now:#?}");
    }
    // The incomplete request gets a 400 if the server sees the end of the stream before the reset.
    let incomplete = now.get("webserver_responses_total{code=\"400\"}").copied().unwrap_or_default();
    assert_eq!(sum(&now, "webserver_responses_total"), 11.0 + incomplete, "{now:#?}");
    assert_eq!(now["webserver_request_duration_seconds_count"], 11.0 + incomplete, "{now:#?}");
    assert!((0.0..60.0).contains(&now["webserver_request_duration_seconds_sum"]), "{now:#?}");
    let sent = now["webserver_sent_bytes_total"];
    assert!(sent >= bytes as f64 && sent < bytes as f64 + 2000.0, "{bytes}: {now:#?}");
    let (read, hits) = (now["webserver_files_read_total"], now["webserver_cache_hits_total"]);
    assert!(read >= 1.0 && read + hits == 6.0, "{now:#?}");
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((0.0..600.0).contains(&(seconds - now["process_start_time_seconds"])));

    drop(kept);
    wait_until("all connections have ended", || {
        let now = scrape(metrics);
        now["webserver_connections"] == 0.0 && sum(&now, ENDED) == now["webserver_connections_accepted_total"]
    });
    let messages = program.finish();
    assert!(!messages.contains("/metrics HTTP"), "scrapes are not in the access log: {messages}");
}

/// Ends the attack when it is dropped, also by a failed assertion.
struct EndOfAttack<'a>(&'a AtomicBool);

impl Drop for EndOfAttack<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

// The server is full, so connections are also evicted, refused with a 503 and refused without.
#[test]
fn every_scrape_of_hundreds_is_consistent_under_attack() {
    const SCRAPES: usize = 400;
    let directory = directory();
    File::create(directory.path().join("large")).unwrap().set_len(64 << 20).unwrap();
    let options = [
        "--max-connections",
        "24",
        "--header-timeout",
        "1",
        "--idle-timeout",
        "1",
        "--threads",
        "4",
        "--log-format",
        "off",
    ];
    let (program, metrics) = start(&directory, &options);
    let address = program.address();
    let over = &AtomicBool::new(false);
    // Each does this again and again, with connections of its own. Any call may fail: the server is full.
    let attacks: [fn(SocketAddr); 6] = [
        |address| drop(TcpStream::connect(address)),
        |address| {
            let Ok(mut stream) = TcpStream::connect(address) else { return };
            let _ = stream.write_all(b"GET /small HTTP/1.0\r\nA: ");
            let _ = set_socket_linger(&stream, Some(Duration::ZERO)); // a reset
        },
        |address| {
            let Ok(mut stream) = TcpStream::connect(address) else { return };
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.write_all(&keep_alive("/small").repeat(5));
            let _ = stream.read(&mut [0; 3000]);
        },
        |address| {
            let Ok(mut stream) = TcpStream::connect(address) else { return };
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.write_all(b"GET /large HTTP/1.0\r\n\r\n");
            let _ = stream.read(&mut [0; 100_000]);
        },
        |address| {
            // Half a head, and then silence: they time out together.
            let mut streams: Vec<_> = (0..8).filter_map(|_| TcpStream::connect(address).ok()).collect();
            streams.iter_mut().for_each(|stream| drop(stream.write_all(b"GET / HTT")));
            for stream in &mut streams {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                let _ = stream.read_to_end(&mut Vec::new());
            }
        },
        |address| {
            // More than there are slots, with those for a 503.
            let streams: Vec<_> = (0..120).filter_map(|_| TcpStream::connect(address).ok()).collect();
            streams
                .into_iter()
                .for_each(|mut stream| drop(stream.write_all(b"POST / HTTP/1.0\r\nContent-Length: 9\r\n\r\n")));
        },
    ];
    thread::scope(|scope| {
        let _ends = EndOfAttack(over);
        for attack in attacks {
            scope.spawn(move || {
                while !over.load(Relaxed) {
                    attack(address);
                }
            });
        }
        let mut before = Samples::new();
        let (mut scrapes, began) = (0, Instant::now());
        let mut seen = BTreeSet::new();
        // Some ends take a while to occur. The deadline is for a machine that is busy with other things.
        while scrapes < SCRAPES || seen.len() < 4 && began.elapsed() < support::TIMEOUT {
            let now = scrape(metrics);
            for (name, value) in before.iter().filter(|(name, _)| name.contains("_total")) {
                assert!(now[name] >= *value, "{name}");
            }
            let ends = ["complete", "client-abort", "no-room", "head-timeout"];
            seen.extend(ends.into_iter().filter(|end| now[&ended(end)] > 0.0));
            (before, scrapes) = (now, scrapes + 1);
        }
        assert_eq!(seen.len(), 4, "{seen:?} after {scrapes} scrapes");
        println!("{scrapes} scrapes in {:?}, the last {before:#?}", began.elapsed());
    });
    wait_until("all connections have ended", || scrape(metrics)["webserver_connections"] == 0.0);
    let ready = scrape(metrics);
    let messages = program.finish();
    let accepted = ready["webserver_connections_accepted_total"];
    assert!(messages.contains(&format!("webserver: {accepted} connections: ")), "{messages}");
}

// All workers that may block hang in the handler, further requests are put aside, and clients come and go.
#[test]
fn statistics_are_consistent_while_workers_hang() {
    static RELEASED: AtomicBool = AtomicBool::new(false);
    let hang = |_: &Request<'_>| {
        while !RELEASED.load(Relaxed) {
            thread::sleep(Duration::from_millis(5));
        }
        Response::text("")
    };
    let server = EmbeddedServer::start(|server| server.threads(2).max_connections(12), hang);
    let handle = server.running().stats_handle();
    let consistent = || {
        let stats = handle.stats();
        assert_eq!(stats.accepted, stats.open.total() + stats.ended(), "{stats:?}");
        stats
    };
    let request = b"GET / HTTP/1.0\r\n\r\n";
    let mut waiting: Vec<_> = (0..6).map(|_| send(server.address(), request)).collect();
    wait_until("two requests hang and four are put aside", || {
        let open = consistent().open;
        (open.active, open.held, open.parked()) == (2, 4, 0)
    });
    for n in 0..200 {
        let mut streams: Vec<_> = (0..n % 9).map(|_| connect(server.address())).collect();
        streams.iter_mut().for_each(|stream| drop(stream.write_all(b"GET / HTT")));
        consistent();
        drop(streams);
        consistent();
    }
    wait_until("the others have ended", || consistent().open.total() == 6);
    RELEASED.store(true, Relaxed);
    for stream in &mut waiting {
        assert_eq!(read_response(stream).status, 200);
    }
    wait_until("all have ended", || consistent().open.total() == 0);
    let stats = server.finish();
    assert_eq!((stats.completed, stats.open.total()), (6, 0), "{stats:?}");
}

#[test]
fn each_state_of_a_connection_is_counted() {
    let collect = |request: &Request<'_>| match &*request.path() {
        "/large" => Response::text("").body(Body::Bytes(vec![b'x'; 32 << 20].into())).into(),
        "/refused" => Response::text("no").into(),
        _ => Action::collect_body(10, |_| Response::text("")),
    };
    let server = EmbeddedServer::start(|server| server.threads(2), collect);
    let handle = server.running().stats_handle();
    let request = |path: &str, more: &str| send(server.address(), format!("POST {path} HTTP/1.0\r\n{more}").as_bytes());
    let length = "Content-Length: 9\r\n\r\n";
    type State<'a> = (&'a str, &'a dyn Fn() -> TcpStream, fn(&OpenConnections) -> u64);
    let states: [State<'_>; 6] = [
        ("nothing was sent", &|| connect(server.address()), |open| open.head),
        ("a part of a head", &|| request("/", "A: "), |open| open.head),
        ("between two requests", &|| send(server.address(), &keep_alive("/refused")), |open| open.idle),
        ("a part of a body", &|| request("/", &format!("{length}12")), |open| open.body),
        ("a response that nobody reads", &|| request("/large", "Content-Length: 0\r\n\r\n"), |open| open.response),
        ("a body that is refused", &|| request("/refused", length), |open| open.closing),
    ];
    for (what, begin, state) in states {
        let stream = begin();
        wait_until(what, || {
            let open = handle.stats().open;
            state(&open) == 1 && open.parked() == 1 && open.total() == 1
        });
        drop(stream);
        wait_until("it has ended", || handle.stats().open.total() == 0);
    }
    server.finish();
}

#[test]
fn promtool_accepts_the_metrics() {
    let Some(promtool) = tool("promtool") else { return };
    let directory = directory();
    let (program, metrics) = start(&directory, &[]);
    for path in ["/small", "/missing", "/"] {
        get(program.address(), path);
    }
    let text = get(metrics, "/metrics").text().to_owned();
    let check = |text: &str| {
        let mut process = Command::new(&promtool)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = process.wait_with_output().unwrap();
        (output.status.success(), [output.stdout, output.stderr].concat())
    };
    let (is_accepted, output) = check(&text);
    assert!(is_accepted && output.is_empty(), "{}", String::from_utf8_lossy(&output));
    assert!(!check(&text.replace("_total", "")).0, "it finds faults");
    program.finish();
}

#[test]
fn metrics_are_served_on_their_own_listener_only() {
    let directory = directory();
    let (program, metrics) = start(&directory, &[]);
    assert_eq!(get(program.address(), "/metrics").status, 404);
    assert_eq!(get(metrics, "/small").status, 404);
    assert_eq!(fetch(metrics, "DELETE", "/metrics", "").status, 405);
    assert_eq!(fetch(metrics, "HEAD", "/metrics", "").status, 200);
    assert_eq!(program.ready().len(), 1, "{:?}", program.ready());
    program.finish();
}

// Clients that use up all connections of the metrics server neither slow down the files nor block the shutdown.
#[test]
fn files_are_served_while_metrics_connections_are_used_up() {
    let directory = directory();
    let (program, metrics) = start(&directory, &[]);
    let mut silent: Vec<_> = (0..200).map(|_| connect(metrics)).collect();
    for stream in &mut silent {
        let _ = stream.write_all(b"GET /metrics HT");
    }
    assert_eq!(get(program.address(), "/small").text(), "small");
    let mut stream = send(metrics, b"GET /metrics HTTP/1.0\r\n\r\n");
    if let Ok(bytes) = read_to_end(&mut stream) {
        assert!(parse_responses(&bytes, false).unwrap().iter().all(|response| response.status == 503));
    }
    program.finish();
}
