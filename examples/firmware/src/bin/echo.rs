//! Sends each received line back: everything that `server` is made of except HTTP. The size of the one less that of the
//! other is the size of HTTP.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use firmware::Board;

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(mut board) = Board::start() else { panic!() };
    let mut line = Vec::new();
    loop {
        let _now = board.now();
        let Some(byte) = board.receive() else { continue };
        line.push(byte);
        if byte == b'\n' {
            for byte in line.drain(..) {
                while !board.send(byte) {}
            }
        }
    }
}
