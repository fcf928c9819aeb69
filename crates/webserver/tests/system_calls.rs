//! The number of system calls for each request, counted by `strace` under load from `ab`.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use support::{Program, get, missing, tool};

const REQUESTS: u64 = 10_000;

/// The mean number of calls for a request, over 10,000 requests on 64 connections. `futex` calls do not count: they
/// come from contention, which the tracer causes.
fn calls_per_request(keep_alive: bool, options: &[&str], path: &str) -> Option<f64> {
    let (strace, ab) = (tool("strace")?, tool("ab")?);
    let directory = TempDir::new().unwrap();
    for name in ["small", "page.html"] {
        fs::write(directory.path().join(name), [b'a'; 1024]).unwrap();
    }
    let report = directory.path().join("report");
    thread::sleep(Duration::from_secs(3)); // a file that was just written is not cached
    let program = Program::start(directory.path(), options);
    assert_eq!(get(program.address(), path).status, 200);

    // It attaches to the running server, so that the startup does not count.
    let mut tracing = Command::new(strace)
        .args(["-f", "-c", "-o"])
        .arg(&report)
        .args(["-p", &program.pid().as_raw_pid().to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = String::new();
    let mut messages = BufReader::new(tracing.stderr.take().unwrap());
    while !stderr.contains(" attached") {
        if messages.read_line(&mut stderr).unwrap() == 0 {
            let _ = tracing.wait();
            missing(&format!("permission to trace: {}", stderr.trim()));
            return None;
        }
    }
    let load = Command::new(ab)
        .args(if keep_alive { &["-k"][..] } else { &[] })
        .args(["-q", "-c", "64", "-n", &REQUESTS.to_string()])
        .arg(format!("http://{}{path}", program.address()))
        .output()
        .unwrap();
    kill_process(Pid::from_child(&tracing), Signal::INT).unwrap();
    tracing.wait().unwrap();

    let load = String::from_utf8(load.stdout).unwrap();
    let figure = |name: &str| -> u64 {
        let number = load.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {name:?} in: {load}"))
    };
    assert_eq!((figure("Complete requests:"), figure("Failed requests:")), (REQUESTS, 0), "{load}");
    assert!(!keep_alive || figure("Keep-Alive requests:") == REQUESTS, "{load}");

    let report = fs::read_to_string(report).unwrap();
    // Columns: % time, seconds, µs per call, calls, sometimes errors, name.
    let calls = report.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let calls: u64 = words.get(3)?.parse().ok()?;
        match *words.last()? {
            "futex" | "total" => None,
            // With assertions, the standard library calls it before each close.
            "fcntl" if cfg!(debug_assertions) => None,
            _ => Some(calls),
        }
    });
    let mean = calls.sum::<u64>() as f64 / REQUESTS as f64;
    println!("{mean:.2} calls per request\n{report}");
    assert!(mean >= 2.0, "a request needs a recv and a send: {report}");
    program.finish();
    Some(mean)
}

#[test]
fn request_on_kept_connection_takes_few_system_calls() {
    // A `recv`, a `statx`, a `send`, and a part of an `epoll_wait`. Tracing makes each turn long. Otherwise connections
    // that are ready at once share a check of the file. A page without its `.html`, and a host, cost none.
    for (options, path) in [(&[][..], "/small"), (&["--pretty-urls", "--allowed-host", "127.0.0.1"], "/page")] {
        let Some(mean) = calls_per_request(true, options, path) else { return };
        assert!(mean <= 3.5, "{mean:.2} calls per request for {path}");
    }
}

#[test]
fn connection_for_one_request_takes_few_system_calls() {
    let Some(mean) = calls_per_request(false, &[], "/small") else { return };
    assert!(mean <= 7.0, "{mean:.2} calls per request");
}
