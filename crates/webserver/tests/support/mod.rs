//! What the tests over real sockets share: the program under test, the library at work in this process, and a peer that
//! sees every byte.
#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]

mod browser;
mod inside;
mod program;
mod wire;

pub(crate) use browser::Browser;
pub(crate) use inside::Inside;
pub(crate) use program::{PROGRAM, Program, output_of, output_of_command};
pub(crate) use wire::{
    Action, PATIENCE, answers, connect, exchange, get, get_as, keep_alive, read_answer, read_to_end,
};

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Waits until it is so; fails if that takes longer than anything should.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Where a program is. Without it a test has nothing to say, which is said loudly; in CI that is a failure.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is not installed");
        // Past the harness, which swallows what a passing test prints.
        let _ = io::stderr().write_all(format!("MISSING: {name}\n").as_bytes());
    }
    found
}
