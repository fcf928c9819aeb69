//! What can go wrong: one variant per cause, with a message of one line. No message names the server: the caller does.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_core::{ResponseError, UrlError, UsageError};
use thiserror::Error;

/// Why there is no response, or only a part of one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be fetched: the caller's fault.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The request cannot be sent: the caller's fault.
    #[error(transparent)]
    Request(#[from] UsageError),
    /// The request's body could not be read, or ended before the announced length.
    #[error("cannot read the request body: {0}")]
    RequestBody(#[source] io::Error),
    /// The host name could not be resolved.
    #[error("cannot find the address of {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// No address of the host accepted the connection.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The last address that was tried.
        address: SocketAddr,
        /// Its error.
        source: io::Error,
    },
    /// No byte was sent or received for too long.
    #[error("{what} timed out{}", .limit.map_or(String::new(), |limit| format!(" after {} s", limit.as_secs_f64())))]
    TimedOut {
        /// What took too long.
        what: &'static str,
        /// The timeout, if it is known.
        limit: Option<Duration>,
    },
    /// The response is malformed or cut short: the server's fault.
    #[error(transparent)]
    InvalidResponse(#[from] ResponseError),
    /// The connection broke before the response was complete.
    #[error("the connection was lost: {source}")]
    ConnectionLost {
        /// The system's error.
        source: io::Error,
        /// What [`Error::can_retry`] returns.
        can_retry: bool,
    },
    /// The response's body is longer than the caller accepts.
    #[error("the response body is longer than {limit} bytes")]
    BodyTooLong {
        /// The caller's limit.
        limit: usize,
    },
    /// The response could not be written to the caller's output.
    #[error("cannot write the response: {0}")]
    Write(#[source] io::Error),
}

impl Error {
    /// Whether the same request may be sent again, once, on a new connection.
    ///
    /// That is so if the server closed a kept connection before the request was sent, or before the first byte of its
    /// response and the method is idempotent. Servers do that when a connection has been idle for too long. Some send a
    /// 408 first, which then says that they did not receive the request, whatever its method.
    #[must_use]
    pub const fn can_retry(&self) -> bool {
        matches!(self, Error::ConnectionLost { can_retry: true, .. })
    }

    /// Whether the reader of the output has closed it, as in `webclient URL | head -1`. That needs no message.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<Error> for io::Error {
    /// Keeps the error inside, for [`io::Error::downcast`]. A body that was cut short is `UnexpectedEof`.
    fn from(error: Error) -> io::Error {
        let kind = match &error {
            Error::Resolve { source, .. } | Error::Connect { source, .. } | Error::ConnectionLost { source, .. } => {
                source.kind()
            }
            Error::RequestBody(source) | Error::Write(source) => source.kind(),
            Error::TimedOut { .. } => io::ErrorKind::TimedOut,
            Error::InvalidResponse(source) if source.is_truncated() => io::ErrorKind::UnexpectedEof,
            Error::InvalidResponse(_) | Error::BodyTooLong { .. } => io::ErrorKind::InvalidData,
            Error::Url(_) | Error::Request(_) => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, error)
    }
}
