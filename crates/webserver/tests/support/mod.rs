//! What the tests over real sockets share: the program under test, the library at work in this process, and a peer that
//! sees every octet.
#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]

mod inside;
mod program;
mod wire;

pub(crate) use inside::Inside;
pub(crate) use program::{PROGRAM, Program, output_of};
pub(crate) use wire::{
    Answer, PATIENCE, answers, connect, exchange, get, get_as, keep_alive, read_answer, read_to_end,
};

use std::time::{Duration, Instant};

/// Waits until it is so; fails if that takes longer than anything should.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
