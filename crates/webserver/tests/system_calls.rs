//! How many system calls a request costs, as `strace` counts them under the load of `ab`.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use support::{Program, get};

const REQUESTS: u64 = 10_000;

/// The mean for one request, of 10,000 by 64 connections. Calls to wait for other threads are left out: they are as many
/// as there is contention, which a tracer makes.
fn calls(kept: bool) -> Option<f64> {
    let (strace, ab) = (tool("strace")?, tool("ab")?);
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), [b'a'; 1024]).unwrap();
    let report = directory.path().join("report");
    thread::sleep(Duration::from_secs(3)); // what was just written is not kept
    let program = Program::start(directory.path(), &[]);
    assert_eq!(get(program.address(), "/small").status, 200);

    // It is there once the server is at work: what a start costs does not count.
    let mut tracing = Command::new(strace)
        .args(["-f", "-c", "-o"])
        .arg(&report)
        .args(["-p", &program.pid().as_raw_pid().to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut messages = BufReader::new(tracing.stderr.take().unwrap());
    while !said.contains(" attached") {
        if messages.read_line(&mut said).unwrap() == 0 {
            let _ = tracing.wait();
            missing(&format!("a strace that may trace: {}", said.trim()));
            return None;
        }
    }
    let load = Command::new(ab)
        .args(if kept { &["-k"][..] } else { &[] })
        .args(["-q", "-c", "64", "-n", &REQUESTS.to_string()])
        .arg(format!("http://{}/small", program.address()))
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
    assert!(!kept || figure("Keep-Alive requests:") == REQUESTS, "{load}");

    let report = fs::read_to_string(report).unwrap();
    // % time, seconds, µs a call, calls, perhaps errors, name
    let calls = report.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let calls: u64 = words.get(3)?.parse().ok()?;
        match *words.last()? {
            "futex" | "total" => None,
            // The standard library looks before each close, where assertions are on.
            "fcntl" if cfg!(debug_assertions) => None,
            _ => Some(calls),
        }
    });
    let mean = calls.sum::<u64>() as f64 / REQUESTS as f64;
    println!("{mean:.2} calls a request\n{report}");
    assert!(mean >= 2.0, "a request costs a recv and a send: {report}");
    program.finish();
    Some(mean)
}

#[test]
fn a_request_on_a_kept_connection() {
    let Some(mean) = calls(true) else { return };
    // At most 5.2 is asked for. Of 64 several are ready at once, and one look at the file serves them.
    assert!(mean <= 2.7, "{mean:.2} calls a request");
}

#[test]
fn a_connection_for_one_request() {
    let Some(mean) = calls(false) else { return };
    assert!(mean <= 7.0, "{mean:.2} calls a request");
}

/// Where the program is. Without it a test has nothing to say.
fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file());
    if found.is_none() {
        missing(name);
    }
    found
}

/// Said loudly; in CI it is a failure.
fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "there is no {what}");
    // Past the harness, which swallows what a passing test prints.
    let _ = io::stderr().write_all(format!("SKIPPED: {what} is not installed\n").as_bytes());
}
