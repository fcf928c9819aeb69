//! Tests without a socket, a thread or a sleep.
//!
//! What a connection does follows from the bytes alone, however they are split. A timeout is a function call.
//!
//! ```
//! use http_core::server::{Connection, Event};
//! use http_core::{Limits, RequestError, Status};
//!
//! let mut connection = Connection::new(Limits::default());
//! for byte in b"GET /../secret HTTP/1.0\r\n\r" {
//!     connection.receive(&[*byte]);
//!     assert!(matches!(connection.poll(), Ok(Event::NeedInput)));   // a head is checked when it is complete
//! }
//! connection.receive(b"\n");
//! let Err(error @ RequestError::Target(_)) = connection.poll() else { panic!() };
//! assert_eq!(error.status(), Status::BAD_REQUEST);
//! let mut out = Vec::new();
//! connection.respond_error(None, &mut out)?;
//! assert!(out.ends_with(b"\r\n\r\n400 Bad Request: the request-target climbs above the root\n"));
//!
//! let mut connection = Connection::new(Limits::default());
//! connection.receive(b"GET / HT");
//! connection.handle_timeout();
//! assert_eq!(connection.poll().err(), Some(RequestError::TimedOut));
//! # Ok::<(), http_core::UsageError>(())
//! ```
//!
//! A client is tested against a server in the same way: see [the first example](crate#example).
