//! A server for HTTP/1.0 on blocking sockets and a fixed pool of threads, and a handler that serves a folder of files.
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
//!
//! ```no_run
//! use webserver::{Files, Server};
//! let files = Files::new("examples/www".as_ref())?;
//! Server::bind_all(6789)?.log(true).start(files)?.join();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The library touches no signals and no resource limits; those are the program's.

#[cfg(not(target_os = "linux"))]
compile_error!("webserver is for Linux: it stands on epoll, openat2 and sendfile");

mod access_log;
mod bounds;
mod clock;
mod connection;
mod deadlines;
mod ends;
mod files;
mod handler;
mod lobby;
mod outgoing;
mod seat;
mod server;
mod site;
mod socket;
mod sockopt;
mod sync;
mod ticker;
mod worker;

pub use bounds::Bounds;
pub use deadlines::Deadlines;
pub use ends::{Counts, End};
pub use files::Files;
pub use handler::{Answer, Body, Handler, Reply, Request, Sink};
pub use server::{Running, Server, Stopper, default_threads};
