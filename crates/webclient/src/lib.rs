//! A blocking HTTP/1.0 client: redirects, kept connections, safe retries, and a limit for every wait.
//!
//! ```no_run
//! use webclient::Client;
//!
//! fn main() -> Result<(), webclient::Error> {
//!     let client = Client::new();
//!     let mut response = client.get("http://localhost:6789/HelloWorld.html").header("Accept", "text/html").send()?;
//!     println!("{} {}", response.url(), response.status());
//!     let body = response.read_to_vec(1 << 20)?; // at most 1 MiB; `copy_to` and `Read` stream
//!     println!("{}", String::from_utf8_lossy(&body));
//!     Ok(())
//! }
//! ```
//!
//! There are three levels, and each is built on the one below:
//!
//! - [`Client`]: any request to any server.
//! - [`connection::ClientConnection`]: any request over one connection, and over any stream. [`connection::send`] is its
//!   form for a single request.
//! - [`connection::read_from`]: one read, for programs that drive [`http_core::client::Connection`] themselves.
//!
//! It keeps no cookies and no cache, decodes no content coding, and does not speak TLS. A TLS stream can be given to
//! [`connection::send`], or to a client by its [`Connect`]. The protocol itself is [`http_core`]'s. [`testing`] replaces
//! the network. `docs/crates.md` says which crate is for what.
#![forbid(unsafe_code)]

mod client;
mod connect;
pub mod connection;
mod error;
mod event;
mod head;
mod pool;
mod request;
mod response;
mod retry;
pub mod testing;
mod timeouts;
mod url;

pub use client::Client;
pub use connect::{Connect, Endpoint, Family, Stream, TcpConnector};
pub use connection::Head;
pub use error::{Error, Phase};
pub use event::{Cause, Event};
pub use http_core;
pub use http_core::{HttpUrl, UrlError};
pub use request::{Body, RequestBuilder};
pub use response::Response;
pub use timeouts::Timeouts;
pub use url::{IntoUrl, Url};

// Tests the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
