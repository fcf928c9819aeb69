//! Devices without an operating system.
//!
//! The crate needs `alloc` and nothing else, and no feature has to be switched off. Without a clock, a response has no
//! Date (RFC 9110 §6.6.1 allows a server without a clock to omit it). Choose [`Limits`](crate::Limits) that fit the
//! memory of the device. Chromium 156 requests a page with 645 bytes and 14 header lines, if it has no cookies.
//!
//! ```
//! extern crate alloc;
//! use alloc::vec::Vec;
//!
//! use http_core::server::{Connection, Event, Response, ResponseBody};
//! use http_core::{FieldBlock, Limits, Status, UsageError};
//!
//! const LIMITS: Limits =
//!     Limits { start_line: 128, field_line: 256, head: 1024, fields: 16, body: 0, ..Limits::DEFAULT };
//!
//! /// Handles one byte of the serial line, and appends what must be sent. Returns whether the connection stays open.
//! fn byte_received(connection: &mut Connection, byte: u8, out: &mut Vec<u8>) -> Result<bool, UsageError> {
//!     connection.receive(&[byte]);
//!     loop {
//!         match connection.poll() {
//!             Ok(Event::NeedInput) => return Ok(true),
//!             Ok(Event::Request(_)) => {
//!                 let (fields, body) = (FieldBlock::new(), ResponseBody::Bytes(b"21 \xb0C\n"));   // the temperature
//!                 let response = Response { body, close: true, ..Response::new(Status::OK, &fields) };
//!                 let _complete = connection.respond(&response, out)?;
//!             }
//!             Ok(Event::Closed) => return Ok(false),
//!             Ok(_) => {}
//!             Err(_) => connection.respond_error(None, out)?,
//!         }
//!     }
//! }
//! # let (mut connection, mut out) = (Connection::new(LIMITS), Vec::new());
//! # let open = b"GET / HTTP/1.0\r\n\r\n".iter().map(|&byte| byte_received(&mut connection, byte, &mut out).unwrap());
//! # assert_eq!(open.collect::<Vec<_>>().iter().position(|open| !open), Some(17));
//! # assert!(out.ends_with(b"\r\n\r\n21 \xb0C\n"));
//! ```
//!
//! # A complete server
//!
//! The example `device` is a package that a firmware can take as it is: a server in `no_std` that owns neither a network
//! nor a clock. `examples/userspace_tcp.rs` runs it over [smoltcp](https://docs.rs/smoltcp), a TCP/IP stack in user space.
//! `examples/serial_line.rs` runs it over a serial line, and `examples/firmware` on a microcontroller, an STM32F405. This
//! is how it does what an operating system would do:
//!
//! - **Memory of a fixed size.** Each connection has a [`Workspace`](crate::Workspace) of `Limits::head` bytes,
//!   [attached](crate::server::Connection::attach) when it begins and
//!   [detached](crate::server::Connection::detach) when it ends. The next one gets the same. The `Vec` for heads and the
//!   [`FieldBlock`](crate::FieldBlock) are kept, too, so that after its first request a connection allocates nothing.
//! - **Bodies from flash.** A page is announced by its [length](crate::server::ResponseBody::Length) and sent from
//!   where it is. Only heads are copied.
//! - **Backpressure.** While a response is unsent, nothing is received. The network's buffer fills, and the peer waits.
//! - **Time by the caller's clock.** Each call says what time it is, as a `Duration` since the start. A deadline follows
//!   from [`phase`](crate::server::Connection::phase), and no byte extends it. The main loop sleeps until the earliest.
//! - **Few sockets.** A connection is [kept](crate::server::Response::close) after a response only while another socket
//!   is free.
//! - **A line that never closes.** After a damaged request on a serial line, bytes are dropped until the line is quiet.
//!
//! # Its size
//!
//! With `Limits` of 1536 bytes and 24 header lines for a head, one connection takes at most 2816 bytes of heap, whatever
//! a peer sends, and 312 bytes for its state, of which [`Connection`](crate::server::Connection) has 200. The
//! buffers of the network come on top. The firmware serves one connection with 4 KiB of heap and 6 KiB of stack (5 KiB
//! are too few).
//!
//! | flash in bytes, on a Cortex-M4 | `opt-level = "s"` | `"z"` | `3` |
//! |---|---|---|---|
//! | without HTTP: the firmware echoes lines | 2420 | 2472 | 2340 |
//! | a server | 34,384 | 31,692 | 67,096 |
//! | a server and a client | 46,312 | 42,496 | 76,976 |
//!
//! So with `"s"` a server costs 31.2 KiB, and a client 11.6 KiB more. The first number includes the example's page, the
//! texts of all errors, and about 8 KiB of `core`, `alloc` and the compiler's library (formatting, addresses, copying).
//! The table was made with Rust 1.95:
//!
//! <!-- not run: `scripts/portable` runs the like; this needs a target from the network, and `size` -->
//! ```sh
//! rustup target add thumbv7em-none-eabihf
//! cd examples/firmware
//! CARGO_PROFILE_RELEASE_OPT_LEVEL=s cargo build --release
//! size ../../target/firmware/thumbv7em-none-eabihf/release/{echo,server,client}
//! ```
//!
//! `scripts/portable` builds the firmware, fails if a server costs more than 36 KiB, and runs it on an emulated
//! microcontroller. It was not tried on a real one.
