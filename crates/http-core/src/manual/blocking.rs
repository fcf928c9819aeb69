//! A server on blocking sockets.
//!
//! One function serves one connection, over anything that reads and writes. Set timeouts for reads and writes on the
//! socket, and return when one fires: the rest of a request may never arrive.
//!
//! With the feature `std`, errors of this crate convert to `std::io::Error`, and `map_err` is not needed.
//!
//! ```
//! use std::io::{self, Read, Write};
//!
//! use http_core::server::{Connection, Event, Response, ResponseBody};
//! use http_core::{FieldBlock, Limits, Status};
//!
//! /// Serves a connection until it must be closed, and returns it for `close` below.
//! fn serve(stream: &mut (impl Read + Write)) -> io::Result<Connection> {
//!     let mut connection = Connection::new(Limits::default());
//!     let mut out = Vec::new();
//!     loop {
//!         match connection.poll() {
//!             Ok(Event::NeedInput) => match stream.read(connection.receive_buffer())? {
//!                 0 => connection.received_eof(),
//!                 n => connection.received(n),
//!             },
//!             Ok(Event::Request(head)) => {
//!                 let (status, body) = match &*head.path.decoded() {
//!                     b"/hello" => (Status::OK, "Hello, world!\n"),
//!                     _ => (Status::NOT_FOUND, "There is nothing here.\n"),
//!                 };
//!                 let (fields, body) = (FieldBlock::new(), ResponseBody::Bytes(body.as_bytes()));
//!                 let response = Response { body, ..Response::new(status, &fields) };
//!                 let _complete = connection.respond(&response, &mut out).map_err(io::Error::other)?;
//!             }
//!             Ok(Event::Closed) => return Ok(connection),
//!             Ok(Event::NeedOutput) => unreachable!("each response is complete when its request arrives"),
//!             Ok(_) => {}   // the request's body, which this server does not use
//!             Err(_) => connection.respond_error(None, &mut out).map_err(io::Error::other)?,
//!         }
//!         stream.write_all(&out)?;
//!         stream.flush()?;
//!         out.clear();
//!     }
//! }
//! # struct Wire(io::Cursor<Vec<u8>>, Vec<u8>);
//! # impl Read for Wire { fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> { self.0.read(buffer) } }
//! # impl Write for Wire {
//! #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { self.1.write(bytes) }
//! #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
//! # }
//! # let mut wire = Wire(io::Cursor::new(b"GET /%68ello HTTP/1.0\r\n\r\n".to_vec()), Vec::new());
//! # let _connection = serve(&mut wire)?;
//! # assert!(wire.1.starts_with(b"HTTP/1.0 200 OK\r\n") && wire.1.ends_with(b"\r\n\r\nHello, world!\n"));
//! # Ok::<(), io::Error>(())
//! ```
//!
//! A plain close can destroy the response: if unread bytes arrive, the system resets the connection. If
//! [`must_linger`](crate::server::Connection::must_linger) returns `true`, close in steps:
//!
//! ```no_run
//! use std::io::{self, Read};
//! use std::net::{Shutdown, TcpStream};
//! use std::time::{Duration, Instant};
//!
//! fn close(connection: &http_core::server::Connection, mut socket: TcpStream) -> io::Result<()> {
//!     if connection.must_linger() {
//!         socket.shutdown(Shutdown::Write)?;
//!         socket.set_read_timeout(Some(Duration::from_secs(2)))?;
//!         let (start, mut dropped) = (Instant::now(), [0; 4096]);
//!         // At most 256 KiB and 10 seconds, so that the peer cannot hold the thread.
//!         for _ in 0..64 {
//!             if start.elapsed() > Duration::from_secs(10) || socket.read(&mut dropped)? == 0 {
//!                 break;
//!             }
//!         }
//!     }
//!     Ok(())   // dropping the socket closes it
//! }
//! ```
//!
//! The client's loop is in [`client`](crate::client).
