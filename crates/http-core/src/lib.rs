//! HTTP/1.0 without IO: bytes in, events out; values in, bytes out.
//!
//! The crate knows the protocol and nothing else: no socket, no clock, no thread, no `std`. A program brings those and
//! asks one of two state machines what to do next:
//!
//! - [`server::Connection`]: requests in, responses out;
//! - [`client::Connection`]: requests out, responses in.
//!
//! Both are plain values, which can be stored after any byte and moved to another thread. The other modules are
//! functions over values: dates, conditional requests, ranges, redirects, negotiation, credentials.
//! The crates `http-server` and `webclient` are a server and a client over it; `docs/crates.md` says which is for what.
//!
//! # Example
//!
//! A client makes a request, a server responds, and no socket is involved. You send the bodies yourself.
//!
//! ```
//! use http_core::{Authority, FieldBlock, FieldValue, Limits, Method, Status, Target, client, header, server};
//!
//! let mut client = client::Connection::new(Limits::default());
//! let mut server = server::Connection::new(Limits::default());
//! let (no_fields, mut wire) = (FieldBlock::new(), Vec::new());
//!
//! // The client makes a request, and would keep the connection.
//! let host = Authority::new(b"localhost:6789")?;
//! let request = client::Request::new(Method::Post, Target::new(b"/echo?x=1")?, host, &no_fields);
//! let request = client::Request { body: Some(5), keep_alive: true, ..request };
//! let client::SendBody::Exactly(5) = client.request(&request, &mut wire)? else { unreachable!() };
//! wire.extend_from_slice(b"hello");
//! client.body_sent(5)?;
//! assert!(wire.starts_with(b"POST /echo?x=1 HTTP/1.0\r\nHost: localhost:6789\r\nConnection: keep-alive\r\n"));
//!
//! // The server receives it …
//! server.receive(&wire);
//! wire.clear();
//! let server::Event::Request(head) = server.poll()? else { unreachable!() };
//! assert_eq!((head.method, &*head.path.decoded(), head.target.query()), (Method::Post, &b"/echo"[..], Some("x=1")));
//! let server::Event::Body(bytes) = server.poll()? else { unreachable!() };
//! let body = bytes.to_vec();
//! assert!(matches!(server.poll()?, server::Event::NeedOutput));
//!
//! // … and responds.
//! let mut fields = FieldBlock::new();
//! fields.push(header::CONTENT_TYPE, FieldValue::from_static("text/plain"))?;
//! let length = server::ResponseBody::Length(body.len() as u64);
//! let response = server::Response { body: length, ..server::Response::new(Status::OK, &fields) };
//! let server::SendBody::Exactly(5) = server.respond(&response, &mut wire)? else { unreachable!() };
//! wire.extend_from_slice(&body);
//! server.body_sent(5)?;
//! assert!(matches!(server.poll()?, server::Event::NeedInput));   // the connection is kept
//!
//! // The client receives the response.
//! client.receive(&wire);
//! let client::Event::Response(head) = client.poll()? else { unreachable!() };
//! assert_eq!(head.status, Status::OK);
//! assert!(matches!(client.poll()?, client::Event::Body(b"hello")));
//! assert!(matches!(client.poll()?, client::Event::ResponseEnd));
//! assert!(client.can_reuse());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every call has one of three directions. What happened is reported: [`received`](server::Connection::received),
//! [`received_eof`](server::Connection::received_eof), [`handle_timeout`](server::Connection::handle_timeout). What the
//! connection has for you comes from `poll`, one event for each call, until it needs input. What you want is a verb,
//! such as [`respond`](server::Connection::respond): it appends bytes to your `Vec`.
//!
//! The modules [`server`] and [`client`] show the states and list what to do for each event. [`manual`] has guides to
//! [blocking sockets](manual::blocking), [an event loop](manual::event_loop), [a gateway](manual::gateway),
//! [a crawler](manual::crawler), [tests](manual::testing) and [devices without `std`](manual::no_std). It also has the
//! [protocol, rule by rule](manual::protocol), and a [review of past vulnerabilities](manual::vulnerabilities). Ids such as
//! R9112-6.1b and D11 name a rule or decision of the first page, and V19 a case of the second.
//!
//! # Scope
//!
//! Supported on both sides: all of RFC 1945 (HTTP/1.0), its keep-alive extension (RFC 2068 §19.7.1), and what RFC 9110
//! and 9112 require of an HTTP/1.0 endpoint that meets HTTP/1.1 peers: Host, the absolute-form, Expect, pipelining,
//! lingering close. HTTP/0.9 is [served](server::Connection::allow_http09) by default, and
//! [accepted](client::Connection::allow_http09) by the client on request. The client decodes chunked responses of
//! servers that ignore the version of its request, and on request accepts [malformed](client::Leniency) responses of
//! devices.
//!
//! | not supported | instead |
//! |---|---|
//! | sending HTTP/1.1: chunked bodies, trailers | every message is `HTTP/1.0`, except the interim `100 (Continue)`; a body has a Content-Length or ends with the connection |
//! | transfer codings in a request | 501; 400 in HTTP/1.0, and beside a Content-Length |
//! | HTTP/2, HTTP/3, WebSocket, Upgrade | the server ignores Upgrade; an unexpected 101 is an error |
//! | CONNECT | the server refuses it with 405 and closes; the client does not send it |
//! | TLS, `https` URLs | put a TLS proxy in front, or pass the bytes of a TLS stream to a connection |
//! | multipart, several ranges in one response | one range, or the full body (decision D11) |
//! | cookies, content codings, caches | headers are passed on; [`negotiate`] chooses a coding, [`expires`] judges a response |
//!
//! For responses of unknown length on kept connections, or for HTTP/2, use `hyper`. For a parser alone, use `httparse`.
//!
//! # Features
//!
//! Both are off by default. `std`: errors convert to `std::io::Error`, and `SystemTime` to [`Date`]. `http` (implies
//! `std`): conversions from and to the types of the `http` crate.
//!
//! # Promises
//!
//! - **Input.** No input from a peer causes a panic, unbounded memory use or more than linear work; see
//!   [`Limits`]. The same bytes give the same events, however they are split, except that 100 (Continue) is for a body
//!   that has not begun to arrive.
//! - **Output.** No output contains a line that the caller did not ask for: a [`FieldValue`] cannot hold a line end.
//! - **Errors** say whose fault it is: [`RequestError`] and [`ResponseError`] are the peer's, [`UsageError`] is the
//!   caller's. A call that returns a `UsageError` has changed nothing.
//! - **Panics.** `from_static` of [`FieldName`] and [`FieldValue`] panics for invalid text; in a `const`, at compile
//!   time.
//! - **Secrets.** `Debug` shows no Authorization, Proxy-Authorization, Cookie or Set-Cookie, no password, and no byte
//!   of a receive buffer. It shows targets with their queries.
//! - **Versions.** Rust 1.88 or newer. A newer requirement is a minor release.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

/// Tests the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub mod client;
mod error;
mod grammar;
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

pub use error::{RequestError, ResponseError, UsageError};
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
pub use message::target::{Authority, InvalidAuthority, Target, TargetForm};
pub use message::target_error::TargetError;
pub use message::version::Version;
pub use semantics::url::{HttpUrl, Origin, UrlError};
pub use semantics::{auth, conditional, expires, negotiate, range, redirect};
pub use wire::framing::Framing;
pub use wire::persistence::CloseReason;
pub use wire::recv_buffer::Workspace;
