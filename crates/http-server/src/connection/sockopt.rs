//! Three socket options that rustix does not have, and that std has only on other types or not at all. This is the only
//! unsafe code.
#![expect(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};

use libc::{IPPROTO_TCP, SOL_SOCKET, TCP_DEFER_ACCEPT, TCP_NOTSENT_LOWAT, c_int, setsockopt, socklen_t};

use crate::timeouts::SLOW_READER_STEP;

/// From `asm-generic/socket.h` of Linux 6.16; libc does not have it.
const SO_PASSRIGHTS: c_int = 83;

/// The kernel numbers socket options differently there.
const HAS_OTHER_NUMBERS: bool = cfg!(any(
    target_arch = "mips",
    target_arch = "mips32r6",
    target_arch = "mips64",
    target_arch = "mips64r6",
    target_arch = "sparc",
    target_arch = "sparc64"
));

/// Makes the listener report a connection when its first bytes have arrived, or after a second. A connection with one
/// request costs a fifth less. It is not guaranteed: the first `recv` may still find no bytes.
pub(crate) fn defer_accept(listener: &impl AsFd, on: bool) -> io::Result<()> {
    set(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, on.into())
}

/// Makes the kernel accept at most 128 KiB of unsent bytes, and report space when half of them were sent. Otherwise a
/// peer that reads nothing costs the kernel 2 MB, and space is reported only after 600 KB were read. A fast reader
/// would cost half as much again, so it is set for slow ones only.
pub(crate) fn limit_unsent(socket: &impl AsFd) -> io::Result<()> {
    set(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 2 * SLOW_READER_STEP as c_int)
}

/// Makes the kernel refuse descriptors that peers pass over a Unix socket (SCM_RIGHTS). Otherwise they stay open until
/// the bytes they came with are read. To close one can then block, for example if it is the last one of a file on a
/// network. Connections inherit it from the listener when they are made. Kernels before 6.16 do not have it.
pub(crate) fn refuse_descriptors(socket: &impl AsFd) -> io::Result<()> {
    if HAS_OTHER_NUMBERS { Ok(()) } else { set(socket, SOL_SOCKET, SO_PASSRIGHTS, 0) }
}

fn set(socket: &impl AsFd, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    let length = size_of::<c_int>() as socklen_t;
    // SAFETY: the descriptor is borrowed, hence open; the kernel reads `length` bytes of `value`, which lives here.
    let failed =
        unsafe { setsockopt(socket.as_fd().as_raw_fd(), level, option, (&raw const value).cast(), length) != 0 };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}
