//! A blocking HTTP/1.0 client over any stream, with timeouts, streaming bodies and kept connections.
//!
//! ```no_run
//! use http_core::header;
//! use webclient::{HttpUrl, Timeouts, fetch};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let url: HttpUrl = "http://localhost:6789/HelloWorld.html".parse()?;
//!     let mut response = fetch(&url, &Timeouts::default())?;
//!     println!("{}, {:?}", response.head.status, response.head.get(header::CONTENT_TYPE));
//!     let body = response.read_to_vec(1 << 20)?; // at most 1 MiB; `copy_to` streams
//!     println!("{}", String::from_utf8_lossy(&body));
//!     Ok(())
//! }
//! ```
//!
//! There are three levels, and each is built on the one below:
//!
//! - [`fetch()`]: one GET of a URL.
//! - [`ClientConnection`]: any request, over a connection that can be kept. [`send`] is its form for a single request.
//! - [`read_from`]: one read, for programs that drive [`http_core::client::Connection`] themselves.
//!
//! It follows no redirects, keeps no cookies and no cache, and does not speak TLS. A TLS stream can be given to
//! [`send`], as can anything else that reads and writes. The protocol itself is [`http_core`]'s.
#![forbid(unsafe_code)]

mod blocking;
mod connect;
mod error;
mod fetch;

pub use blocking::{ClientConnection, Head, Response, is_idle, read_from, send};
pub use connect::Timeouts;
pub use error::Error;
pub use fetch::fetch;
pub use http_core;
pub use http_core::{HttpUrl, UrlError};

// Tests the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
