//! What can go wrong: one variant a cause, one line that says what happened and whose fault it is, and the exit status.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_core::{ResponseError, TargetError, UsageError};
use thiserror::Error;

/// Why there is no answer, or not a whole one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's fault: there is nothing to be asked for.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The caller's fault: no such request can be made.
    #[error(transparent)]
    Use(#[from] UsageError),
    /// The name has no address, or nobody could be asked for it.
    #[error("cannot find the address of {host}: {source}")]
    NotResolved {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address of the host took the connection.
    #[error("cannot connect to {address}: {source}")]
    NotConnected {
        /// The last address that was tried.
        address: SocketAddr,
        /// What it said.
        source: io::Error,
    },
    /// Nothing came, or nothing went, for too long.
    #[error("{what} took longer than {} s", .limit.as_secs_f64())]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        limit: Duration,
    },
    /// The server's fault: what came is no answer, or not a whole one.
    #[error("{server}: {source}")]
    Response {
        /// Host and port.
        server: String,
        /// What is wrong with it.
        source: ResponseError,
    },
    /// The connection broke before the answer was whole.
    #[error("{server}: the connection broke before the answer was whole: {source}")]
    Broken {
        /// Host and port.
        server: String,
        /// What the system said.
        source: io::Error,
    },
    /// What came could not be written.
    #[error("cannot write what came: {0}")]
    Write(#[source] io::Error),
}

impl Error {
    /// The exit status of the program that ends with this error.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Url(_) | Error::Use(_) => 2,
            Error::NotResolved { .. } => 6,
            Error::NotConnected { .. } => 7,
            Error::Response { source, .. } if source.is_truncated() => 18,
            Error::Response { .. } => 8,
            Error::Broken { .. } => 18,
            Error::Write(_) => 23,
            Error::TimedOut { .. } => 28,
        }
    }

    /// Whether the reader of our output went away: it knows, so nothing need be said.
    pub fn is_quiet(&self) -> bool {
        matches!(self, Error::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Why a text is no URL that can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// `https`.
    #[error("this client speaks no TLS: only http:// URLs can be fetched")]
    Tls,
    /// Another scheme, or none.
    #[error("expected a URL like http://localhost:6789/HelloWorld.html")]
    Scheme,
    /// No host, a port that is none, or credentials.
    #[error("expected http://HOST/ or http://HOST:PORT/, with an IPv6 address in brackets and without credentials")]
    Authority,
    /// A host that is neither a name nor an address.
    #[error("the host is neither a name nor an IP address")]
    Host,
    /// A port that is none.
    #[error("expected a port from 1 to 65535, in digits alone")]
    Port,
    /// A path that no server may serve.
    #[error("the path {0}")]
    Target(#[from] TargetError),
}
