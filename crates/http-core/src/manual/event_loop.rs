//! Many connections in one thread.
//!
//! A waiting connection is only a [`Connection`](crate::server::Connection) value. Lend each the thread's
//! [`Workspace`](crate::Workspace) while it is driven ([`attach`](crate::server::Connection::attach)), so that waiting
//! connections own no buffer. Choose the timeout by [`phase`](crate::server::Connection::phase); if it fires, call
//! [`handle_timeout`](crate::server::Connection::handle_timeout).
//!
//! Stop reading while output waits. A client that sends requests and reads no response would otherwise fill your memory.
//!
//! ```
//! use std::io::{self, ErrorKind, Read};
//!
//! use http_core::server::{Connection, Event, Response};
//! use http_core::{FieldBlock, Limits, Status, Workspace};
//!
//! const MAX_UNSENT: usize = 64 << 10;   // bytes
//!
//! /// Does everything that can be done when the socket is readable. Returns whether the connection must be closed.
//! /// Call it again when `out` has been sent, even if the socket reports nothing: a request may be in the buffer.
//! fn readable(
//!     connection: &mut Connection,
//!     mut socket: impl Read,
//!     workspace: &mut Workspace,
//!     out: &mut Vec<u8>,   // to be sent when the socket is writable
//! ) -> io::Result<bool> {
//!     connection.attach(workspace);
//!     let is_over = loop {
//!         if out.len() > MAX_UNSENT {
//!             break false;
//!         }
//!         match connection.poll() {
//!             Ok(Event::NeedInput) => match socket.read(connection.receive_buffer()) {
//!                 Ok(0) => connection.received_eof(),
//!                 Ok(n) => connection.received(n),
//!                 Err(error) if error.kind() == ErrorKind::WouldBlock => break false,
//!                 Err(error) => return Err(error),
//!             },
//!             Ok(Event::Request(_)) => {
//!                 let fields = FieldBlock::new();
//!                 let response = Response::new(Status::NO_CONTENT, &fields);
//!                 let _no_body = connection.respond(&response, out).map_err(io::Error::other)?;
//!             }
//!             Ok(Event::Closed) => break true,
//!             Ok(Event::NeedOutput) => unreachable!("each response is complete when its request arrives"),
//!             Ok(_) => {}   // a request's body, which is not used
//!             Err(_) => connection.respond_error(None, out).map_err(io::Error::other)?,
//!         }
//!     };
//!     connection.detach(workspace);
//!     Ok(is_over)
//! }
//! # struct Later<'a>(&'a [u8]);
//! # impl Read for Later<'_> {
//! #     fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
//! #         if self.0.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { self.0.read(buffer) }
//! #     }
//! # }
//! # let mut connection = Connection::new(Limits::default());
//! # let (mut workspace, mut out) = (Workspace::with_capacity(16_384), Vec::new());
//! # assert!(!readable(&mut connection, Later(b"GET / HT"), &mut workspace, &mut out)? && out.is_empty());
//! # assert!(readable(&mut connection, Later(b"TP/1.0\r\n\r\n"), &mut workspace, &mut out)?);
//! # assert!(out.starts_with(b"HTTP/1.0 204 No Content\r\n"));
//! # Ok::<(), io::Error>(())
//! ```
