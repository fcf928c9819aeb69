//! HTTP/1.0 without IO: bytes in, events out; values in, bytes out.
//!
//! The crate knows the protocol and nothing else. It owns no socket, reads no clock, starts no thread and needs no
//! `std`. A program brings those, and asks one of two machines what to do next:
//!
//! - [`server::Connection`]: requests in, replies out;
//! - [`client::Connection`]: requests out, answers in.
//!
//! Both are plain values. They may be set down after any byte, moved to another thread, and picked up there. Around them
//! stand the semantics that a server or client needs, as functions over values: dates, conditional requests, ranges,
//! redirects, negotiation, credentials.
//!
//! Contents: [scope](#scope) · [why, and when not](#why-this-crate-and-when-not) · [the two machines](#the-two-machines) ·
//! [a whole exchange](#a-whole-exchange) · [blocking sockets](#using-it-from-blocking-sockets) ·
//! [an event loop](#from-an-event-loop) · [tests](#in-tests) · [no std](#on-a-machine-without-std) ·
//! [a gateway](#in-a-gateway) · [where is what](#where-is-what) · [promises](#promises). Two pages stand beside this one:
//! the [protocol, rule by rule](manual::protocol), and a [review of past vulnerabilities](manual::vulnerabilities).
//!
//! # Scope
//!
//! **Supported**, on both sides: all of RFC 1945 (HTTP/1.0), its keep-alive extension (RFC 2068 §19.7.1), and what RFC 9110
//! and 9112 ask of an HTTP/1.0 endpoint that meets HTTP/1.1 peers: Host, the absolute-form, Expect, pipelining, lingering
//! close. The server takes HTTP/0.9 requests, too (unless it is
//! [told not to](server::Connection::allow_http09)); the client takes HTTP/0.9 answers where it is
//! [asked to](client::Connection::allow_http09), and decodes the chunked answers of servers that ignore the
//! version of its request.
//!
//! **Not supported**, and what there is instead:
//!
//! | not supported | instead |
//! |---|---|
//! | HTTP/1.1 on the sending side: `100 (Continue)`, chunked bodies, trailers | every head that is sent says `HTTP/1.0`; a body has a Content-Length or ends with the connection |
//! | transfer codings in a request | 501; 400 in HTTP/1.0, and beside a Content-Length |
//! | HTTP/2, HTTP/3, WebSocket, Upgrade | Upgrade means nothing to the server; a 101 that nobody asked for is an error |
//! | CONNECT | the server refuses it with 405 and closes; the client sends none |
//! | TLS, `https` URLs | put a TLS proxy in front, or give the machines the bytes of a TLS stream |
//! | multipart, several ranges in one answer | one range, or the whole (decision D11) |
//! | cookies, content codings, caches | fields are handed on; [`negotiate`] chooses a coding, [`expires::is_expired`] judges an answer |
//!
//! # Why this crate, and when not
//!
//! It is for you if you write a server, client, gateway, test tool or device that speaks plain HTTP/1.x, and want to
//! own the IO yourself: blocking threads, an event loop, an async runtime, a serial line, or no IO at all. It is small enough
//! to read, `no_std` with `alloc`, and has three dependencies and no `unsafe`. Each rule of the protocol that it obeys has
//! an id, a line on [one page](manual::protocol) and a test.
//!
//! It is not for you if you want HTTP/1.1 responses of unknown length on kept connections (chunked), or HTTP/2: take
//! `hyper`. If you want a parser and nothing else, take `httparse`, which this crate uses. If you want a file server or a
//! client program, the packages `webserver` and `webclient` are made of this crate.
//!
//! # The two machines
//!
//! The boxes are what `phase()` answers ([`server::Phase`], [`client::Phase`]). The modules [`server`] and [`client`] say
//! for each event what to do.
//!
//! ```text
//! server::Connection
//!
//!   ┌──────┐ a byte ┌──────┐ Request, a body follows ┌──────┐ NeedOutput ┌──────────┐
//!   │ Idle │ ───────▶ │ Head │ ──────────────────────▶ │ Body │ ───────▶ │ Responding │
//!   └──────┘          └──────┘                         └──────┘          └──────────┘
//!      ▲                  │ Request without a body, or Err                   ▲  │
//!      │                  └──────────────────────────────────────────────────┘  │
//!      │                  respond() or respond_error(), then body_sent(n), finish_body()│
//!      │ the connection is kept                                                 │
//!      └────────────────────────────────────────────────────────────────────────┤
//!                                                       ┌─────────┐  else       │
//!                                               Closed  │ Closing │ ◀───────────┘
//!                                                       └─────────┘
//!
//! client::Connection
//!
//!   ┌──────┐ request() ┌─────────┐ body_sent(n) ┌──────┐ Response ┌──────┐ Body(bytes)
//!   │ Idle │ ────────▶ │ Sending │ ───────────▶ │ Head │ ───────▶ │ Body │ ──┐
//!   └──────┘           └─────────┘              └──────┘          └──────┘ ◀─┘
//!      ▲                 without a body: Head at once                │ ResponseEnd
//!      │ both sides keep the connection                              │
//!      └─────────────────────────────────────────────────────────────┤
//!                                               ┌─────────┐  else    │
//!                                       Closed  │ Closing │ ◀────────┘   Err: from anywhere
//!                                               └─────────┘
//! ```
//!
//! Every call has one of three directions. What came is told to the machine ([`received`](server::Connection::received),
//! [`received_eof`](server::Connection::received_eof), [`handle_timeout`](server::Connection::handle_timeout)). What it has for you
//! comes from `poll`, one event a call, until it says `NeedInput`. What you want is a verb
//! ([`respond`](server::Connection::respond), [`request`](client::Connection::request)): it appends bytes to a `Vec` of
//! yours, which you send and clear. Heads are borrowed from the connection and gone with its next call.
//!
//! # A whole exchange
//!
//! A client asks, a server answers, and no socket is involved. Bodies are yours to send: the machine writes heads and counts.
//!
//! ```
//! use http_core::{Authority, FieldBlock, FieldValue, Limits, Method, Status, Target, client, header, server};
//!
//! let mut client = client::Connection::new(Limits::default());
//! let mut server = server::Connection::new(Limits::default());
//! let (no_fields, mut wire) = (FieldBlock::new(), Vec::new());
//!
//! // The client asks, and would keep the connection …
//! let host = Authority::new(b"localhost:6789").unwrap();
//! let request = client::Request::new(Method::Post, Target::new(b"/echo?x=1")?, host, &no_fields);
//! let request = client::Request { body: Some(5), keep_alive: true, ..request };
//! let client::SendBody::Exactly(5) = client.request(&request, &mut wire)? else { unreachable!() };
//! wire.extend_from_slice(b"hello");
//! client.body_sent(5)?;
//! assert!(wire.starts_with(b"POST /echo?x=1 HTTP/1.0\r\nHost: localhost:6789\r\nConnection: keep-alive\r\n"));
//!
//! // … the server is given what was sent …
//! server.receive_buffer()[..wire.len()].copy_from_slice(&wire);
//! server.received(wire.len());
//! wire.clear();
//! let server::Event::Request(head) = server.poll()? else { unreachable!() };
//! assert_eq!((head.method, &*head.path.decoded(), head.target.query()), (Method::Post, &b"/echo"[..], Some("x=1")));
//! let server::Event::Body(bytes) = server.poll()? else { unreachable!() };
//! let body = bytes.to_vec();
//! assert!(matches!(server.poll()?, server::Event::NeedOutput));
//!
//! // … and answers …
//! let mut fields = FieldBlock::new();
//! fields.push(header::CONTENT_TYPE, FieldValue::from_static("text/plain"))?;
//! let length = server::ResponseBody::Length(body.len() as u64);
//! let reply = server::Response { body: length, ..server::Response::new(Status::OK, &fields) };
//! let server::SendBody::Exactly(5) = server.respond(&reply, &mut wire)? else { unreachable!() };
//! wire.extend_from_slice(&body);
//! server.body_sent(5)?;
//! assert!(matches!(server.poll()?, server::Event::NeedInput));   // the connection is kept
//!
//! // … and the client understands.
//! client.receive_buffer()[..wire.len()].copy_from_slice(&wire);
//! client.received(wire.len());
//! let client::Event::Response(head) = client.poll()? else { unreachable!() };
//! assert_eq!(head.status, Status::OK);
//! assert!(matches!(client.poll()?, client::Event::Body(b"hello")));
//! assert!(matches!(client.poll()?, client::Event::ResponseEnd));
//! assert!(client.can_reuse());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Using it from blocking sockets
//!
//! One function serves one connection, over anything that reads and writes. Set a time-out for reads and writes on the
//! socket, and give up when one strikes: half a request may never be followed by its rest.
//!
//! ```
//! use std::io::{self, Read, Write};
//!
//! use http_core::server::{Connection, Event, Response, ResponseBody, SendBody};
//! use http_core::{FieldBlock, Limits, Status};
//!
//! fn serve(mut stream: impl Read + Write) -> io::Result<()> {
//!     let mut connection = Connection::new(Limits::default());
//!     let mut out = Vec::new();
//!     loop {
//!         match connection.poll() {
//!             Ok(Event::NeedInput) => match stream.read(connection.receive_buffer())? {
//!                 0 => connection.received_eof(),
//!                 n => connection.received(n),
//!             },
//!             Ok(Event::Request(head)) => {
//!                 let body = format!("You asked for {}\n", head.path.decoded().escape_ascii());
//!                 let fields = FieldBlock::new();
//!                 let length = ResponseBody::Length(body.len() as u64);
//!                 let reply = Response { body: length, ..Response::new(Status::OK, &fields) };
//!                 // To a HEAD no body is sent, and the machine says so.
//!                 if let SendBody::Exactly(length) = connection.respond(&reply, &mut out).map_err(io::Error::other)? {
//!                     out.extend_from_slice(body.as_bytes());
//!                     connection.body_sent(length).map_err(io::Error::other)?;
//!                 }
//!             }
//!             Ok(Event::Closed) => return Ok(()),   // and close; if must_linger() says so, in steps
//!             Ok(_) => {}                           // the request's body, which nobody wants here
//!             Err(_) => connection.respond_error(None, &mut out).map_err(io::Error::other)?,
//!         }
//!         stream.write_all(&out)?;
//!         out.clear();
//!     }
//! }
//! # struct Wire(io::Cursor<Vec<u8>>, Vec<u8>);
//! # impl Read for Wire { fn read(&mut self, room: &mut [u8]) -> io::Result<usize> { self.0.read(room) } }
//! # impl Write for Wire {
//! #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { self.1.write(bytes) }
//! #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
//! # }
//! # let mut wire = Wire(io::Cursor::new(b"GET /a HTTP/1.0\r\n\r\n".to_vec()), Vec::new());
//! # serve(&mut wire)?;
//! # assert!(wire.1.starts_with(b"HTTP/1.0 200 OK\r\n") && wire.1.ends_with(b"\r\n\r\nYou asked for /a\n"));
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # From an event loop
//!
//! The same machine, given what came when it came. A connection that waits is this value and nothing else; where there are
//! many, [`attach`](server::Connection::attach) each the one [`Workspace`] of its thread, so that those who wait own no buffer.
//! Which deadline runs follows from [`phase`](server::Connection::phase), and when it strikes,
//! [`handle_timeout`](server::Connection::handle_timeout) is all that you have to say.
//!
//! ```
//! use std::io::{self, ErrorKind, Read};
//!
//! use http_core::server::{Connection, Event, Response};
//! use http_core::{FieldBlock, Limits, Status, Workspace};
//!
//! /// The socket is readable: everything that can be done now. `Ok(true)` if the connection is at its end.
//! fn readable(
//!     connection: &mut Connection,
//!     mut socket: impl Read,
//!     workspace: &mut Workspace,
//!     out: &mut Vec<u8>,   // to be sent when the socket is writable
//! ) -> io::Result<bool> {
//!     connection.attach(workspace);
//!     let ended = loop {
//!         match connection.poll() {
//!             Ok(Event::NeedInput) => match socket.read(connection.receive_buffer()) {
//!                 Ok(0) => connection.received_eof(),
//!                 Ok(n) => connection.received(n),
//!                 Err(error) if error.kind() == ErrorKind::WouldBlock => break false,
//!                 Err(error) => return Err(error),
//!             },
//!             Ok(Event::Request(_)) => {
//!                 let fields = FieldBlock::new();
//!                 let _no_body = connection.respond(&Response::new(Status::NO_CONTENT, &fields), out).map_err(io::Error::other)?;
//!             }
//!             Ok(Event::Closed) => break true,
//!             Ok(_) => {}
//!             Err(_) => connection.respond_error(None, out).map_err(io::Error::other)?,
//!         }
//!     };
//!     connection.detach(workspace);
//!     Ok(ended)
//! }
//! # struct Later<'a>(&'a [u8]);
//! # impl Read for Later<'_> {
//! #     fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
//! #         if self.0.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { self.0.read(room) }
//! #     }
//! # }
//! # let mut connection = Connection::new(Limits::default());
//! # let (mut workspace, mut out) = (Workspace::with_room(16_384), Vec::new());
//! # assert!(!readable(&mut connection, Later(b"GET / HT"), &mut workspace, &mut out)? && out.is_empty());
//! # assert!(readable(&mut connection, Later(b"TP/1.0\r\n\r\n"), &mut workspace, &mut out)?);
//! # assert!(out.starts_with(b"HTTP/1.0 204 No Content\r\n"));
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # In tests
//!
//! What a program does with a request can be tested with the bytes alone, and without a port, a thread or a sleep.
//!
//! ```
//! use http_core::server::{Connection, Event};
//! use http_core::{Limits, RequestError, Status};
//!
//! let mut connection = Connection::new(Limits::default());
//! for byte in b"GET /../secret HTTP/1.0\r\n\r" {
//!     connection.receive_buffer()[0] = *byte;
//!     connection.received(1);
//!     assert!(matches!(connection.poll(), Ok(Event::NeedInput)));   // a head is judged when it is whole
//! }
//! connection.receive_buffer()[0] = b'\n';
//! connection.received(1);
//! let Err(error @ RequestError::Target(_)) = connection.poll() else { panic!() };
//! assert_eq!(error.status(), Status::BAD_REQUEST);
//! let mut out = Vec::new();
//! connection.respond_error(None, &mut out)?;
//! assert!(out.ends_with(b"\r\n\r\n400 Bad Request: the request-target climbs above the root\n"));
//! # Ok::<(), http_core::UsageError>(())
//! ```
//!
//! # On a machine without std
//!
//! The crate needs `alloc`, and no feature has to be switched off. Without a clock a reply has no Date (RFC 9110 §6.6.1
//! allows that to who has none). Memory is bounded: [`Limits`] can be made as small as the device is.
//!
//! ```
//! extern crate alloc;
//! use alloc::vec::Vec;
//!
//! use http_core::server::{Connection, Event, Response, ResponseBody};
//! use http_core::{FieldBlock, Limits, Status, UsageError};
//!
//! fn limits() -> Limits {
//!     Limits { start_line: 128, field_line: 256, head: 1024, fields: 16, body: 0, ..Limits::default() }
//! }
//!
//! /// One byte came over the serial line; what is to be sent is appended. `Ok(false)` at the end of the connection.
//! fn byte_received(connection: &mut Connection, byte: u8, out: &mut Vec<u8>) -> Result<bool, UsageError> {
//!     connection.receive_buffer()[0] = byte;
//!     connection.received(1);
//!     loop {
//!         match connection.poll() {
//!             Ok(Event::NeedInput) => return Ok(true),
//!             Ok(Event::Request(_)) => {
//!                 let fields = FieldBlock::new();
//!                 let reply = Response { body: ResponseBody::Length(6), close: true, ..Response::new(Status::OK, &fields) };
//!                 if connection.respond(&reply, out)? != http_core::server::SendBody::None {
//!                     out.extend_from_slice(b"21 \xb0C\n");   // how warm it is
//!                     connection.body_sent(6)?;
//!                 }
//!             }
//!             Ok(Event::Closed) => return Ok(false),
//!             Ok(_) => {}
//!             Err(_) => connection.respond_error(None, out)?,
//!         }
//!     }
//! }
//! # let (mut connection, mut out) = (Connection::new(limits()), Vec::new());
//! # let ended = b"GET / HTTP/1.0\r\n\r\n".iter().map(|&byte| byte_received(&mut connection, byte, &mut out).unwrap());
//! # assert_eq!(ended.collect::<Vec<_>>().iter().position(|goes_on| !goes_on), Some(17));
//! # assert!(out.ends_with(b"\r\n\r\n21 \xb0C\n"));
//! ```
//!
//! # In a gateway
//!
//! A gateway (reverse proxy) is a server towards its client and a client towards the server behind it. It joins one machine
//! of each kind; what each side writes about framing and the connection it writes for itself. What is left to you:
//!
//! - **Fields.** Those of one hop are not passed on (RFC 9110 §7.6.1): Connection and whatever it names, Keep-Alive,
//!   Proxy-Connection, TE, Trailer, Transfer-Encoding, Upgrade. [`FieldBlock::push`] refuses Connection, Content-Length,
//!   Date, Host, Keep-Alive and Transfer-Encoding, since the machines write these. Via and Forwarded are yours to add.
//! - **Order.** A head is gone when the next call polls: write the request for the server behind first, then poll for the
//!   body and pass on each piece as it comes, and report it by [`body_sent`](client::Connection::body_sent). The answer goes
//!   back in the same way. If it comes before the request's body was sent, [`respond`](server::Connection::respond) at once.
//! - **Target and host.** `head.target` may be given to [`client::Request::new`] as it is: an absolute-form is sent as the
//!   path that it holds, and then its own host is sent, not the one of the request. `head.target` is not resolved; to check
//!   a path against a rule, ask [`Path::decode_to`].
//! - **The request's body** has a length or is empty ([`Framing`]), and so [`client::Request::body`] is known. A client that
//!   [expects](server::RequestHead::expectation) 100 is answered 417: this server sends no 100.
//! - **The answer's body**: [`Framing::Length`] goes on as [`ResponseBody::Length`](server::ResponseBody::Length); chunks and
//!   [`Framing::UntilClose`] as [`ResponseBody::UntilClose`](server::ResponseBody::UntilClose). To a HEAD there is none, and
//!   [`content_length`](client::ResponseHead::content_length) says what Content-Length said.
//! - **Date** is passed on by [`Response::date`](server::Response::date): parse it, and take its [`text`](Date::text).
//! - **401 and 405** need WWW-Authenticate and Allow, or [`respond`](server::Connection::respond) fails: answer 502 then.
//! - **Faults behind you**: a [`ResponseError`], or no connection, is 502 to the client, a deadline 504. Once the head of a
//!   reply is written there is no other answer: drop both connections, so that the client sees the body cut short. One that
//!   goes on until the close cannot show that; so reset the connection, if your system lets you.
//!
//! ```
//! use http_core::client::ResponseHead;
//! use http_core::server::{Response, ResponseBody, RequestHead};
//! use http_core::{Authority, Date, FieldBlock, FieldName, Fields, Framing, Method, client, header};
//!
//! /// The fields that are meant for the next hop, too.
//! fn end_to_end(from: &Fields<'_>, to: &mut FieldBlock) {
//!     const HOP_BY_HOP: [FieldName; 5] = [
//!         FieldName::from_static("Proxy-Connection"),
//!         FieldName::from_static("TE"),
//!         FieldName::from_static("Trailer"),
//!         FieldName::from_static("Upgrade"),
//!         header::EXPECT,   // answered here
//!     ];
//!     for (field, value) in from.iter() {
//!         let is_named = from.tokens(header::CONNECTION).any(|token| FieldName::new(token) == Ok(field));
//!         if !is_named && !HOP_BY_HOP.contains(&field) {
//!             let _ = to.push(field, value);   // what it does not take, the machines write
//!         }
//!     }
//! }
//!
//! /// The request for the server behind; `fields` are those of `end_to_end`.
//! fn forward<'a>(head: &RequestHead<'a>, behind: Authority<'a>, fields: &'a FieldBlock) -> client::Request<'a> {
//!     // The Host of the client, where there is one: it was judged, and is there once at most.
//!     let host = head.fields.get(header::HOST).and_then(|host| Authority::new(host.as_bytes()).ok()).unwrap_or(behind);
//!     let body = match head.body {
//!         Framing::Length(bytes) => Some(bytes),
//!         _ => None,   // requests have no other
//!     };
//!     client::Request { body, keep_alive: true, ..client::Request::new(head.method, head.target, host, fields) }
//! }
//!
//! /// The reply to the client.
//! fn back<'a>(head: &ResponseHead<'_>, to: Method<'_>, fields: &'a FieldBlock, now: Date) -> Response<'a> {
//!     let body = match (to, head.body) {
//!         (Method::Head, _) => head.content_length().map_or(ResponseBody::UntilClose, ResponseBody::Length),
//!         (_, Framing::Empty) => ResponseBody::Length(0),
//!         (_, Framing::Length(bytes)) => ResponseBody::Length(bytes),
//!         _ => ResponseBody::UntilClose,
//!     };
//!     let date = head.fields.only(header::DATE).and_then(|date| Date::parse(date.as_bytes(), now).ok());
//!     Response { body, date: Some(date.unwrap_or(now).text()), ..Response::new(head.status, fields) }
//! }
//! # use http_core::{Limits, Status, server};
//! # let mut in_front = server::Connection::new(Limits::default());
//! # let head = b"HEAD http://a/b?c HTTP/1.1\r\nHost: x\r\nConnection: x-y\r\nX-Y: z\r\nKeep-Alive: 1\r\nAccept: */*\r\n\r\n";
//! # in_front.receive_buffer()[..head.len()].copy_from_slice(head);
//! # in_front.received(head.len());
//! # let server::Event::Request(head) = in_front.poll()? else { unreachable!() };
//! # let (mut fields, mut out) = (FieldBlock::new(), Vec::new());
//! # end_to_end(&head.fields, &mut fields);
//! # let mut behind = client::Connection::new(Limits::default());
//! # let _none = behind.request(&forward(&head, Authority::new(b"b:81").unwrap(), &fields), &mut out)?;
//! # assert_eq!(out, b"HEAD /b?c HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nAccept: */*\r\n\r\n");
//! # let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
//! # behind.receive_buffer()[..answer.len()].copy_from_slice(answer);
//! # behind.received(answer.len());
//! # let client::Event::Response(answer) = behind.poll()? else { unreachable!() };
//! # let mut fields = FieldBlock::new();
//! # end_to_end(&answer.fields, &mut fields);
//! # out.clear();
//! # let reply = back(&answer, Method::Head, &fields, Date::from_unix(9).unwrap());
//! # assert_eq!(in_front.respond(&reply, &mut out)?, server::SendBody::None);
//! # assert_eq!(out, b"HTTP/1.0 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: keep-alive\r\nContent-Length: 7\r\n\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where is what
//!
//! | question | answer |
//! |---|---|
//! | What came, and what is to be done? | [`server::Connection::poll`], [`client::Connection::poll`] |
//! | What does a request say? | [`server::RequestHead`]: [`Method`], [`Target`], [`Path`], [`Version`], [`Fields`], [`Framing`] |
//! | Which file does it mean? | [`Path::decode_to`], [`Path::is_directory`] |
//! | What does an answer say? | [`client::ResponseHead`]: [`Status`], [`Fields`], [`Framing`] |
//! | How are fields made? | [`FieldBlock::push`] of a [`FieldName`] (usual ones in [`name`]) and a [`FieldValue`] |
//! | May the connection be used again? | the machines say so: [`server::Connection::close_reason`], [`client::Connection::can_reuse`] |
//! | How much may a peer send? | [`Limits`] |
//! | Whose fault was it? | [`RequestError`], [`ResponseError`]: the peer's; [`UsageError`]: yours |
//! | Dates | [`Date::parse`], [`Date::text`], [`DateCache`] |
//! | 304 and 412, entity tags | [`conditional`] |
//! | 206 and 416 | [`range`] |
//! | gzip or not | [`negotiate`] |
//! | Who asks | [`auth`]: Basic credentials, challenges |
//! | Where does a redirect lead? | [`redirect`], [`HttpUrl`], [`Origin`] |
//! | Is what I have still fresh? | [`expires::is_expired`] |
//! | Links and file names | [`percent_encode`] |
//! | How many connections fit into memory? | [`Workspace`], [`server::Connection::heap_size`] |
//!
//! # Promises
//!
//! - **Input.** Nothing that a peer sends causes a panic, unbounded memory or more than linear work; [`Limits`] has the
//!   bounds. Pieces do not matter: the same bytes give the same events, however they were cut.
//! - **Output.** No output holds a line that the caller did not ask for: a [`FieldValue`] with a line end cannot be built.
//! - **Errors** say whose fault it is. A call in the wrong order is a [`UsageError`], and has changed nothing.
//! - **Panics.** Three functions panic, at once and for the caller's fault alone: [`FieldName::from_static`] and
//!   [`FieldValue::from_static`] with text that is no name or value (in a `const` the compiler says so), and indexing beyond
//!   what [`receive_buffer`](server::Connection::receive_buffer) lent, which is the caller's own slice. There are `debug_assert`s of the crate
//!   about itself; if one fails, that is a bug here.
//! - **Secrets.** `Debug` shows no value of Authorization, Proxy-Authorization, Cookie or Set-Cookie, no password and no
//!   byte of a receive buffer. It does show targets, with their queries.
//! - **Versions.** Semantic versioning. The least Rust version is 1.88, and a newer one is a minor release. Enums that may
//!   grow, and structs that only the crate makes, are `#[non_exhaustive]`; enums that a caller must decide about one by one,
//!   such as [`server::SendBody`] or [`conditional::Outcome`], are not.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

/// The example of the package's page is compiled and run like the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub mod client;
mod error;
#[cfg(feature = "http")]
mod interop_http;
#[cfg(feature = "std")]
mod interop_std;
mod limits;
pub mod manual;
mod message;
mod semantics;
pub mod server;
mod wire;

pub use error::{RequestError, ResponseError, TargetError, UsageError};
#[cfg(feature = "http")]
pub use interop_http::FromHttpError;
pub use limits::Limits;
pub use message::date::{Civil, Date, DateCache, DateText, InvalidDate};
pub use message::field::{
    FieldBlock, FieldName, FieldValue, Fields, InvalidFieldName, InvalidFieldValue, ReservedField, header,
};
pub use message::method::{ExtensionMethod, InvalidMethod, Method};
pub use message::path::{Path, percent_encode};
pub use message::status::{InvalidStatus, Status};
pub use message::target::{Authority, Form, InvalidAuthority, Target};
pub use message::version::Version;
pub use semantics::url::{HttpUrl, Origin, UrlError};
pub use semantics::{auth, conditional, expires, negotiate, range, redirect};
pub use wire::framing::Framing;
pub use wire::persistence::CloseReason;
pub use wire::recv_buffer::Workspace;
