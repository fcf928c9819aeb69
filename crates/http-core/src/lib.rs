//! HTTP/1.0 without IO: bytes in, events out; values in, bytes out.
//!
//! The crate knows the protocol and nothing else. It owns no socket, reads no clock, starts no thread and needs no
//! `std`. A program brings those, and asks one of two machines what to do next:
//!
//! - [`server::Connection`]: requests in, replies out;
//! - [`client::Connection`]: requests out, answers in.
//!
//! Both are plain values that may be set down after any byte and picked up by another thread.
//!
//! ```
//! use http_core::{Authority, FieldBlock, Limits, Method, Status, Target, client, server};
//!
//! let mut client = client::Connection::new(Limits::default());
//! let mut server = server::Connection::new(Limits::default());
//! let (fields, mut wire) = (FieldBlock::new(), Vec::new());
//!
//! // The client asks …
//! let host = Authority::new(b"localhost:6789").unwrap();
//! let request = client::Request::new(Method::Get, Target::new(b"/hello")?, host, &fields);
//! let _no_body = client.request(&request, &mut wire)?;
//!
//! // … the server is given what was sent, and answers …
//! server.space()[..wire.len()].copy_from_slice(&wire);
//! server.received(wire.len());
//! let server::Event::Request(head) = server.poll()? else { unreachable!() };
//! assert_eq!((head.method, head.target.path()), (Method::Get, "/hello"));
//! wire.clear();
//! let body = server::ReplyBody::Octets(b"world");
//! let _whole = server.respond(&server::Reply { body, ..server::Reply::new(Status::OK, &fields) }, &mut wire)?;
//! assert!(matches!(server.poll()?, server::Event::Closed));
//!
//! // … and the client understands.
//! client.space()[..wire.len()].copy_from_slice(&wire);
//! client.received(wire.len());
//! let client::Event::Response(head) = client.poll()? else { unreachable!() };
//! assert_eq!(head.status, Status::OK);
//! assert!(matches!(client.poll()?, client::Event::Body(b"world")));
//! assert!(matches!(client.poll()?, client::Event::ResponseEnd));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does
//!
//! All of RFC 1945, its keep-alive extension (RFC 2068 §19.7.1), HTTP/0.9 requests, and what RFC 9110 and 9112 ask of an
//! HTTP/1.0 endpoint that meets HTTP/1.1 peers. Around the protocol it has the semantics that a server needs, as
//! functions over values: dates ([`Date`]), [`conditional`] requests and entity tags, byte [`range`]s, [`negotiate`] for
//! encodings, [`auth`] for Basic credentials and challenges. A client finds where a [`redirect`] leads and whether an
//! answer [`is_expired`].
//!
//! # What it does not do
//!
//! It does not send HTTP/1.1 or transfer codings (the client decodes chunked answers of servers that ignore the version
//! of the request). It does not do TLS, HTTP/2, CONNECT, Upgrade, cookies or content codings.
//!
//! # Promises
//!
//! - Nothing that a peer sends causes a panic, unbounded memory or more than linear work; [`Limits`] has the bounds.
//! - No output holds a line that the caller did not ask for: a [`FieldValue`] with a line end cannot be built.
//! - Errors say whose fault it is: [`RequestError`] and [`ResponseError`] are the peer's, [`UseError`] is the caller's.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod auth;
mod buffer;
mod chunked;
pub mod client;
pub mod conditional;
mod date;
mod encode;
mod error;
mod exchange;
mod expires;
mod field;
mod forward;
mod framing;
mod grammar;
mod judge;
mod limits;
mod location;
mod method;
pub mod negotiate;
mod parse;
mod path;
mod persist;
pub mod range;
pub mod redirect;
mod scan;
pub mod server;
mod status;
mod target;
mod version;

pub use buffer::Workspace;
pub use date::{Date, DateCache, DateText};
pub use error::{RequestError, ResponseError, TargetError, UseError};
pub use expires::is_expired;
pub use field::{FieldBlock, FieldName, FieldValue, Fields, name};
pub use framing::Framing;
pub use limits::Limits;
pub use location::{Location, LocationError, Origin};
pub use method::Method;
pub use path::{Path, percent_encode};
pub use persist::CloseReason;
pub use status::Status;
pub use target::{Authority, Form, Target};
pub use version::Version;
