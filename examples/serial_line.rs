//! A device at a serial line: a server without a network, over standard input and output.
//!
//! It teaches that HTTP needs no TCP. What serves is the `no_std` package `device`; this program carries its bytes and
//! says what time it is. One peer is at the other end, and the line is never closed.
//!
//! ```sh
//! printf 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n' | cargo run --bin serial_line
//! ```
//!
//! Over a real line, after `stty -F /dev/ttyUSB0 raw 115200`: `serial_line </dev/ttyUSB0 >/dev/ttyUSB0`.
//! `examples/firmware` does the same on a microcontroller.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use device::line::Line;
use device::page;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{read, retry_on_intr, write};

const CHUNK: usize = 512; // bytes; after POLLOUT, a pipe takes as many without blocking

fn main() -> io::Result<()> {
    let (stdin, stdout, start) = (io::stdin(), io::stdout(), Instant::now());
    let mut line = Line::new(start.elapsed());
    loop {
        line.poll(start.elapsed(), page::find);
        let chunk = line.unsent().chunks(CHUNK).next().unwrap_or_default();
        // Nothing is received while a response is unsent. Both have a deadline.
        let mut polled = match chunk {
            [] => [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)],
            _ => [PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::OUT)],
        };
        let timeout = line.deadline().saturating_sub(start.elapsed()).try_into().ok();
        if retry_on_intr(|| poll(&mut polled, timeout.as_ref()))? == 0 {
            continue;
        }
        if !chunk.is_empty() {
            let n = retry_on_intr(|| write(&stdout, chunk))?;
            line.sent(n);
        } else {
            match retry_on_intr(|| read(&stdin, line.receive_buffer()))? {
                0 => return Ok(()), // nobody is at the other end
                n => line.received(n, start.elapsed()),
            }
        }
    }
}
