//! Support for the tests over real sockets: the program under test, a server embedded in this process, and a client
//! that checks every byte.
#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

mod browser;
mod embedded;
mod engine;
mod fuse;
mod login;
mod program;
mod program_with_disk;
mod proxy;
mod recipe;
mod tool;
mod wire;

pub(crate) use browser::Browser;
pub(crate) use embedded::EmbeddedServer;
pub(crate) use engine::is_plain;
pub(crate) use fuse::{Fuse, Hold, LIARS, content};
pub(crate) use login::{PASSWORD, authorization, connect_from, users_line};
pub(crate) use program::{PROGRAM, Program, output_of, output_of_command};
pub(crate) use program_with_disk::{ProgramWithDisk, spawn_with_disk};
pub(crate) use proxy::{Proxy, deployed, deployed_for, free_port, replaced};
pub(crate) use recipe::{Recipe, Service, installed, requests};
pub(crate) use tool::{missing, tool};
pub(crate) use wire::{
    ReceivedResponse, TIMEOUT, connect, exchange, fetch, get, keep_alive, parse_responses, read_response, read_to_end,
    send,
};

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;

/// Far more than socket buffers hold.
pub(crate) const LARGE: u64 = 64 << 20;

/// A directory with a small file and a large one.
pub(crate) fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    File::create(directory.path().join("large")).unwrap().set_len(LARGE).unwrap();
    directory
}

/// Both ends of a terminal.
pub(crate) fn terminal() -> (OwnedFd, File) {
    let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&outer).unwrap();
    unlockpt(&outer).unwrap();
    let path = ptsname(&outer, Vec::new()).unwrap();
    let inner = File::options().read(true).write(true).open(path.to_str().unwrap()).unwrap();
    (outer, inner)
}

/// Waits until the condition holds; panics after [`TIMEOUT`].
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
