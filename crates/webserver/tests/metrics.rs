//! The metrics of `--metrics`: their values, their format, and their own listener.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use support::{
    Program, connect, fetch, get, keep_alive, parse_responses, read_response, read_to_end, send, wait_until,
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
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut kind = "";
    let mut described = "";
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            described = help.split_once(' ').unwrap().0;
        } else if let Some(of) = line.strip_prefix("# TYPE ") {
            let (name, its_type) = of.split_once(' ').unwrap();
            assert_eq!(name, described);
            kind = its_type;
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let bare = name.split('{').next().unwrap();
            assert!(bare == described && ["counter", "gauge"].contains(&kind), "{line}");
            assert!(bare.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'), "{line}");
            assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{line}");
        }
    }
    samples
}

fn scrape(metrics: SocketAddr) -> BTreeMap<String, f64> {
    let response = get(metrics, "/metrics");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    samples(response.text())
}

/// The sum of all samples with this name.
fn sum(samples: &BTreeMap<String, f64>, name: &str) -> f64 {
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
    let ended = "webserver_connections_ended_total";
    // A client may read a response before it is counted.
    let is_over = |now: &BTreeMap<String, f64>| {
        let is_counted = now.get("webserver_replies_total{class=\"2xx\"}") == Some(&7.0);
        sum(now, ended) == 9.0 && is_counted && now["webserver_sent_bytes_total"] >= bytes as f64
    };
    wait_until("all connections but one have ended and all responses are counted", || is_over(&scrape(metrics)));
    let now = scrape(metrics);
    for (name, expected) in [
        ("webserver_connections_accepted_total", 10.0),
        ("webserver_connections", 1.0),
        ("webserver_connections_ended_total{end=\"completed\"}", 8.0),
        ("webserver_connections_ended_total{end=\"aborted\"}", 1.0),
        ("webserver_connections_ended_total{end=\"refused\"}", 0.0),
        ("webserver_connections_ended_total{end=\"timed_out\"}", 0.0),
        ("webserver_connections_ended_total{end=\"failed\"}", 0.0),
        ("webserver_replies_total{class=\"2xx\"}", 7.0),
        ("webserver_replies_total{class=\"3xx\"}", 1.0),
        ("webserver_replies_total{class=\"5xx\"}", 1.0),
        ("webserver_log_lines_lost_total", 0.0),
    ] {
        assert_eq!(now.get(name), Some(&expected), "{name}: {now:#?}");
    }
    // The incomplete request gets a 400 if the server sees the end of the stream before the reset.
    let client_errors = now["webserver_replies_total{class=\"4xx\"}"];
    assert!((2.0..=3.0).contains(&client_errors), "{now:#?}");
    let sent = now["webserver_sent_bytes_total"];
    assert!(sent >= bytes as f64 && sent < bytes as f64 + 2000.0, "{bytes}: {now:#?}");
    assert!((1.0..=7.0).contains(&now["webserver_files_read_total"]), "{now:#?}");
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((0.0..600.0).contains(&(seconds - now["process_start_time_seconds"])));

    drop(kept);
    wait_until("all connections have ended", || {
        let now = scrape(metrics);
        now["webserver_connections"] == 0.0 && sum(&now, ended) == now["webserver_connections_accepted_total"]
    });
    let messages = program.finish();
    assert!(!messages.contains("/metrics HTTP"), "scrapes are not in the access log: {messages}");
}

// No scrape shows more closed than accepted connections, no counter decreases, and the final sums are right.
#[test]
fn every_scrape_is_consistent_under_load() {
    const CLIENTS: usize = 8;
    const EACH: usize = 150;
    let directory = directory();
    let (program, metrics) = start(&directory, &["--threads", "4", "--log-format", "off"]);
    let address = program.address();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(move || {
                    for n in 0..EACH {
                        assert!(get(address, if n % 3 == 0 { "/missing" } else { "/small" }).status < 500);
                    }
                })
            })
            .collect();
        let mut before = BTreeMap::new();
        while clients.iter().any(|client| !client.is_finished()) {
            let now = scrape(metrics);
            let (accepted, ended) =
                (now["webserver_connections_accepted_total"], sum(&now, "webserver_connections_ended_total"));
            assert!(accepted >= ended && now["webserver_connections"] == accepted - ended, "{now:#?}");
            for (name, value) in before.iter().filter(|(name, _): &(&String, &f64)| name.contains("_total")) {
                assert!(now[name] >= *value, "{name}");
            }
            before = now;
        }
    });
    let all = (CLIENTS * EACH) as f64;
    wait_until("all connections have ended", || sum(&scrape(metrics), "webserver_connections_ended_total") == all);
    let now = scrape(metrics);
    assert_eq!(now["webserver_connections_accepted_total"], all);
    assert_eq!(now["webserver_replies_total{class=\"4xx\"}"], all / 3.0);
    assert_eq!(sum(&now, "webserver_replies_total"), all);
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
