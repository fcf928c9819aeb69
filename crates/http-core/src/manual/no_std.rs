//! Devices without an operating system.
//!
//! The crate needs `alloc` and nothing else, and no feature has to be switched off. Without a clock, a response has no
//! Date (RFC 9110 §6.6.1 allows a server without a clock to omit it). Choose [`Limits`](crate::Limits) that fit the
//! memory of the device.
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
