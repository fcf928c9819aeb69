//! A server for a device without an operating system: the part that a firmware takes as it is.
//!
//! It has no `std`, no thread and no clock. The firmware calls it in its main loop and tells it the time.
//!
//! - [`session::Session`] serves one connection from memory of a fixed size, over anything that carries bytes.
//! - [`tcp::Server`] serves the sockets of smoltcp, a TCP/IP stack in user space (feature `tcp`).
//! - [`line::Line`] serves a serial line.
//! - [`page`] is what this device serves.
//!
//! `examples/userspace_tcp.rs` and `examples/serial_line.rs` run it on a computer, and `examples/firmware` on a
//! microcontroller.
#![no_std]

extern crate alloc;

pub mod line;
pub mod page;
pub mod session;
#[cfg(feature = "tcp")]
pub mod tcp;
