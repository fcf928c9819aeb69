//! An HTTP/1.0 server for handlers of your own, with a fixed thread pool that slow clients cannot block.
//!
//! ```no_run
//! use http_server::http_core::Method;
//! use http_server::{Action, Request, Response, Server};
//!
//! fn main() -> std::io::Result<()> {
//!     Server::bind("127.0.0.1:8080")?.serve(|request: &Request<'_>| match (request.method(), &*request.path()) {
//!         (Method::Get | Method::Head, "/") => Response::text("hello\n").into(),
//!         (Method::Post, "/count") => {
//!             Action::collect_body(1 << 20, |body| Response::text(format!("{} bytes\n", body.len())))
//!         }
//!         (_, "/") => Response::method_not_allowed("GET, HEAD").into(),
//!         (_, "/count") => Response::method_not_allowed("POST").into(),
//!         _ => Response::not_found().into(),
//!     })
//! }
//! ```
//!
//! A handler is a function. It maps a [`Request`] to a [`Response`], to an [`Action`] that receives the request's body
//! first, or to a [`Result`] of these. It sees neither sockets nor threads, so its tests need none:
//!
//! ```
//! use http_server::{HandlerError, Request, Response, testing};
//!
//! let handler = |request: &Request<'_>| -> Result<Response, HandlerError> {
//!     let number: u64 = request.query().unwrap_or_default().parse().map_err(HandlerError::bad_request)?;
//!     Ok(Response::text((2 * number).to_string()))
//! };
//! assert_eq!(testing::get("/?21").send(&handler).text(), "42");
//! assert_eq!(testing::get("/?many").send(&handler).status.code(), 400);
//! ```
//!
//! | for | use |
//! |---|---|
//! | serving until the process ends, or until a shutdown | [`Server::serve`], [`Server::start`] |
//! | text, HTML, JSON, redirects, errors | [`Response`] |
//! | bodies from memory, a file, a reader | [`Body`] |
//! | a request's body, collected or streamed | [`Action::collect_body`], [`Action::stream_body`] |
//! | errors by `?`, and those of the client | [`HandlerError`], [`HandlerError::bad_request`] |
//! | a reverse proxy | [`Response::forwarded`], and the guide [`gateway`](http_core::manual::gateway) |
//! | error pages of your own | [`Handler::error_page`] |
//! | tests without a socket, and the reasons for a response | [`testing`] |
//! | limits, timeouts, and the memory bound that follows from them | [`ServerConfig`] |
//! | a log line for each request | [`Log`] |
//! | messages about failed handlers and logs | [`Server::on_message`] |
//! | statistics | [`RunningServer::stats_handle`] |
//! | clients behind proxies | [`TrustedProxy`], [`Request::client_ip`] |
//! | refusing other host names, against DNS rebinding | [`AllowedHosts`] |
//! | logins from an htpasswd file | `auth`, with the feature `basic-auth` |
//! | TLS or other streams, and threads of your own | [`blocking`] |
//! | blocking calls instead of a reactor; other systems than Linux | [`Engine::Plain`] |
//!
//! The library handles no signals, changes no resource limits and prints nothing. The program does these things.
//!
//! # How it works
//!
//! On Linux a worker never blocks on a peer: a connection that would block is parked in the reactor. Other systems have
//! only [`Engine::Plain`], where a slow client holds a thread until its deadline.
//!
//! ```text
//! listener ──accept──▶ worker ──receive, handle, send──▶ close, or next
//!                        │  ▲
//!    peer not ready      ▼  │  peer ready
//!                      reactor ──timeout──▶ worker ends it
//! ```
//!
//! A request takes this path: the `reactor` hands a ready connection to a worker of the `pool`, and `connection` drives
//! it. A [`Handler`] responds, and the connection's transport sends the response.

#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports, reason = "only the reactor uses it"))]

mod access_log;
mod allowed_hosts;
#[cfg(feature = "basic-auth")]
pub mod auth;
pub mod blocking;
mod clock;
mod config;
mod connection;
mod forwarded;
pub mod freshness;
mod handler;
mod memory_bound;
mod messages;
mod permit;
mod plain;
#[cfg(target_os = "linux")]
mod pool;
#[cfg(target_os = "linux")]
mod reactor;
mod request_stats;
mod server;
mod stats;
mod sync;
mod system;
pub mod testing;
mod timeouts;
mod trace;
mod waker;

/// The protocol: statuses, methods, headers and dates of requests and responses.
pub use http_core;

pub use access_log::{Log, LogFormat, LogHandle, json_message};
pub use allowed_hosts::{AllowedHost, AllowedHosts, ParseAllowedHostError};
pub use config::{Engine, ServerConfig, default_pollers, default_threads};
pub use forwarded::{ParseTrustedProxyError, TrustedProxy};
pub use handler::{
    Action, Body, BodySink, ErrorContext, FileChanged, Handler, HandlerError, HeaderError, IntoResponse, Request,
    Response, Upkeep,
};
pub use permit::{Blocking, Later};
pub use request_stats::{DurationHistogram, RequestStats};
pub use server::{RunningServer, Server, ShutdownHandle, StatsHandle};
pub use stats::{ConnectionOutcome, EndReason, OpenConnections, ResponsesByClass, Stats};
pub use timeouts::Timeouts;
pub use trace::Decision;

// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
