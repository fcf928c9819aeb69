//! The socket options that no safe crate sets yet: the only unsafe code.
#![expect(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};

use libc::{IPPROTO_TCP, TCP_DEFER_ACCEPT, TCP_NOTSENT_LOWAT, c_int, setsockopt, socklen_t};

/// The listener reports a connection when its first bytes are there, or after a second: a connection a request costs a
/// fifth less. It promises nothing: the first `recv` may still find nothing.
pub(crate) fn defer_accept(listener: &impl AsFd) -> io::Result<()> {
    set(listener, TCP_DEFER_ACCEPT, 1)
}

/// The socket takes 128 KiB that are not sent yet and no more, and says that there is room when half of them were: else a
/// peer that reads nothing costs the kernel 2 MB, and that there is room again shows only after 600 KB were read. For who
/// reads fast it would cost half as much again.
pub(crate) fn limit_unsent(socket: &impl AsFd) -> io::Result<()> {
    set(socket, TCP_NOTSENT_LOWAT, 2 * STEP)
}

/// Bytes after which a slow reader is seen to have read.
pub(crate) const STEP: c_int = 64 << 10;

fn set(socket: &impl AsFd, option: c_int, value: c_int) -> io::Result<()> {
    let length = size_of::<c_int>() as socklen_t;
    // SAFETY: the descriptor is borrowed, hence open; the kernel reads `length` bytes of `value`, which lives here.
    let failed =
        unsafe { setsockopt(socket.as_fd().as_raw_fd(), IPPROTO_TCP, option, (&raw const value).cast(), length) != 0 };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}
