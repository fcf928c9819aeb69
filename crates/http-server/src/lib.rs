//! A server for HTTP/1.0 on blocking sockets and a fixed pool of threads, and a handler that serves a directory of files.
//!
//! # A server of your own
//!
//! A handler is a function from a [`Request`] to a [`Response`], or to an [`Action`] that wants the request's body first.
//! A [`Server`] is bound, configured and started; then it is [`RunningServer`], and a [`ShutdownHandle`] ends it in order.
//!
//! ```
//! use http_server::http_core::{Method, Status};
//! use http_server::{Action, Response, Request, Server};
//!
//! fn answer(request: &Request<'_>) -> Action {
//!     match (request.head.method, &*request.path()) {
//!         (Method::Get | Method::Head, "/") => Response::text("hello\n").into(),
//!         (Method::Post, "/count") => Action::collect_body(|body| Response::text(format!("{} bytes\n", body.len()))),
//!         _ => Response { status: Status::NOT_FOUND, ..Response::text("there is nothing here\n") }.into(),
//!     }
//! }
//!
//! let running = Server::bind("127.0.0.1:0")?.start(answer)?;
//! println!("listening on http://{}/", running.local_addrs()[0]);
//! let shutdown_handle = running.shutdown_handle(); // for whoever is to stop it
//! # shutdown_handle.shut_down();
//! println!("{}", running.join());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! | for | there is |
//! |---|---|
//! | a reply from memory, a file, a reader | [`Body`] |
//! | a request's body, collected or as it comes | [`Action::collect_body`], [`Action::stream_body`] |
//! | a directory of files | [`Files`] |
//! | users and passwords in front of any of these | [`BasicAuth`], [`Users`] |
//! | tests without a socket | [`exchange`](exchange()) |
//! | why a request is answered as it is | [`explain`](explain()) |
//! | what peers may take of time and memory | [`Timeouts`], [`ServerConfig`] |
//! | what became of the connections | [`ShutdownHandle::counts`] |
//! | a line for each request | [`Log`] |
//! | clients behind proxies | [`TrustedProxy`], [`Request::client`] |
//!
//! The library touches no signals and no resource limits, confines nothing, and writes to standard error only what a [`Log`]
//! is asked for, or cannot write; those are the program's.
//!
//! # How it works
//!
//! What makes a fixed pool safe is one idea: a worker never waits for a peer; a connection that has to wait for its peer
//! waits in the lobby.
//!
//! ```text
//! listener ──accept──▶ worker ──reads, answers, writes──▶ done, next
//!                        │  ▲
//!    peer not ready      ▼  │  peer ready
//!                       lobby ──deadline──▶ ticker ends it
//! ```
//!
//! The way from a request to the wire: [`server`](Server) starts the threads, `worker` takes a ready connection out of
//! the `lobby`, `connection` drives it, a [`Handler`] such as [`Files`] answers, `socket` sends.

#[cfg(not(target_os = "linux"))]
compile_error!("http-server is for Linux: it is built on epoll and sendfile");

mod access_log;
#[cfg(feature = "basic-auth")]
pub mod auth;
mod clock;
mod config;
mod connection;
mod forwarded;
pub mod freshness;
mod handler;
mod pool;
mod reactor;
mod server;
mod stats;
mod sync;
pub mod testing;
mod timeouts;
mod trace;

/// The protocol: statuses, methods, headers and dates of requests and responses.
pub use http_core;

pub use access_log::{Log, LogFormat, LogHandle};
pub use config::ServerConfig;
pub use forwarded::{ParseTrustedProxyError, TrustedProxy};
pub use handler::{Action, Body, BodySink, ErrorContext, Handler, Request, Response};
pub use server::{RunningServer, Server, ShutdownHandle, default_threads};
pub use stats::{ConnectionOutcome, ResponsesByClass, Stats};
pub use timeouts::Timeouts;
pub use trace::Decision;
