//! A server for HTTP/1.0 on blocking sockets and a fixed pool of threads, and a handler that serves a directory of files.
//!
//! # A server of your own
//!
//! A handler is a function from a [`Request`] to a [`Response`], or to an [`Answer`] that wants the request's body first.
//! A [`Server`] is bound, configured and started; then it is [`Running`], and a [`Stopper`] ends it in order.
//!
//! ```
//! use webserver::http_core::{Method, Status};
//! use webserver::{Answer, Response, Request, Server};
//!
//! fn answer(request: &Request<'_>) -> Answer {
//!     match (request.head.method, request.head.target.raw_path()) {
//!         (Method::Get | Method::Head, "/") => Response::text("hello\n").into(),
//!         (Method::Post, "/count") => Answer::with_body(|body| Response::text(format!("{} bytes\n", body.len()))),
//!         _ => Response { status: Status::NOT_FOUND, ..Response::text("there is nothing here\n") }.into(),
//!     }
//! }
//!
//! let running = Server::bind("127.0.0.1:0")?.start(answer)?;
//! println!("listening on http://{}/", running.addresses()[0]);
//! let stopper = running.stopper(); // for whoever is to stop it
//! # stopper.stop();
//! println!("{}", running.join());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! | for | there is |
//! |---|---|
//! | a reply from memory, a file, a reader | [`Body`] |
//! | a request's body, collected or as it comes | [`Answer::with_body`], [`Answer::with_sink`] |
//! | a directory of files | [`Files`] |
//! | users and passwords in front of any of these | [`Guard`], [`Users`] |
//! | tests without a socket | [`exchange`](exchange()) |
//! | why a request is answered as it is | [`explain`](explain()) |
//! | what peers may take of time and memory | [`Deadlines`], [`Bounds`] |
//! | what became of the connections | [`Stopper::counts`] |
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
compile_error!("webserver is for Linux: it stands on epoll, openat2 and sendfile");

mod access_log;
mod bounds;
mod clock;
mod connection;
mod deadlines;
mod desk;
mod ends;
mod epoll;
mod exchange;
mod explain;
mod files;
mod forwarded;
mod guard;
mod handler;
mod lobby;
mod moment;
mod notes;
mod outgoing;
mod seat;
mod server;
mod site;
mod socket;
mod sockopt;
mod sync;
mod ticker;
mod traffic;
mod users;
mod watch;
mod worker;

/// The protocol: statuses, methods, fields and dates of requests and replies.
pub use http_core;

pub use access_log::{Log, LogFormat, LogOpener};
pub use bounds::Bounds;
pub use deadlines::Deadlines;
pub use ends::{Counts, End};
pub use exchange::exchange;
pub use explain::explain;
pub use files::{Containment, Files};
pub use forwarded::{NoTrustedProxy, TrustedProxy};
pub use guard::Guard;
pub use handler::{Answer, Body, Handler, Request, Response, Sink};
pub use server::{Running, Server, Stopper, default_threads};
pub use users::{Users, UsersError};
