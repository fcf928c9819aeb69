//! Fetches over HTTP/1.0: connect, send, receive. The protocol is `http-core`'s; sockets and time-outs are here.
//!
//! It fetches `http` URLs, follows nothing, stores nothing, and speaks no TLS.
//!
//! ```no_run
//! use webclient::{Part, Timeouts, Url, fetch};
//!
//! let url: Url = "http://localhost:6789/HelloWorld.html".parse()?;
//! let mut page = Vec::new();
//! let answer = fetch(&url, &Timeouts::default(), |part| {
//!     if let Part::Body(bytes) = part {
//!         page.extend_from_slice(bytes);
//!     }
//!     Ok(())
//! })?;
//! println!("{}: {} bytes", answer.status, page.len());
//! # Ok::<(), webclient::Error>(())
//! ```
#![forbid(unsafe_code)]

mod error;
mod fetch;
mod terminal;
mod url;

pub use error::{Error, UrlError};
pub use fetch::{Answer, Part, Timeouts, fetch};
pub use terminal::Escaped;
pub use url::Url;
