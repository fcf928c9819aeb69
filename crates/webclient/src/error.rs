//! What can go wrong: one variant per cause, with a message of one line. No message names the server: the caller does.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_core::{ResponseError, UrlError, UsageError};
use thiserror::Error;

/// What a client was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Phase {
    /// It waited for the host's addresses.
    #[error("looking up the host")]
    Resolving,
    /// It waited for a connection.
    #[error("connecting")]
    Connecting,
    /// It sent the request.
    #[error("sending the request")]
    Sending,
    /// It waited for the head of the response.
    #[error("waiting for the response")]
    Waiting,
    /// It received the body of the response.
    #[error("receiving the body")]
    Receiving,
}

/// The example of an [`enum@Error`]: a request over a stream that reads as these bytes.
macro_rules! failed {
    ($response:literal, $($line:literal),+) => {
        concat!(
            "```\n# use std::io::{self, Read, Write};\n",
            "# use http_core::client::Request;\n",
            "# use http_core::{Authority, FieldBlock, Method, ResponseError, Target, UsageError};\n",
            "# use webclient::{Error, connection::send};\n",
            "# struct Server<R>(R);\n",
            "# impl<R: Read> Read for Server<R> {\n",
            "#     fn read(&mut self, out: &mut [u8]) -> io::Result<usize> { self.0.read(out) }\n",
            "# }\n",
            "# impl<R> Write for Server<R> {\n",
            "#     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { Ok(bytes.len()) }\n",
            "#     fn flush(&mut self) -> io::Result<()> { Ok(()) }\n",
            "# }\n",
            "# let (host, root, fields) = (Authority::new(b\"a\")?, Target::new(b\"/\")?, FieldBlock::new());\n",
            "# let request = Request::new(Method::Get, root, host, &fields);\n",
            "let server = Server(&", stringify!($response), "[..]);   // it responds so\n",
            $($line, "\n",)+
            "# Ok::<(), Box<dyn std::error::Error>>(())\n```"
        )
    };
}

/// Why there is no response, or only a part of one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be fetched: the caller's fault.
    ///
    /// ```
    /// # use webclient::{Error, HttpUrl, UrlError};
    /// assert!(matches!(HttpUrl::parse("https://a/").map_err(Error::from), Err(Error::Url(UrlError::Https))));
    /// ```
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The request cannot be sent: the caller's fault.
    #[doc = failed!(
        b"", "let request = Request { target: Target::new(b\"*\")?, ..request };",
        "let Err(Error::Request(UsageError::TargetForm)) = send(server, &request, io::empty()) else { panic!() };"
    )]
    #[error(transparent)]
    Request(#[from] UsageError),
    /// A header of the request cannot be sent: the caller's fault.
    ///
    /// ```
    /// # use webclient::{Client, Error};
    /// let sent = Client::new().get("http://a/").header("X", "1\r\nY: 2").send();
    /// assert!(matches!(sent, Err(Error::Header { .. })));
    /// ```
    #[error("the header {name:?} cannot be sent: {cause}")]
    Header {
        /// Its name.
        name: String,
        /// Why not.
        cause: String,
    },
    /// The request's body could not be read, or ended before the announced length.
    #[doc = failed!(
        b"", "let request = Request { method: Method::Put, body: Some(5), ..request };",
        "let Err(Error::RequestBody(_)) = send(server, &request, &b\"abc\"[..]) else { panic!() };"
    )]
    #[error("cannot read the request body: {0}")]
    RequestBody(#[source] io::Error),
    /// The host name could not be resolved.
    ///
    /// ```
    /// # use webclient::{Error, Timeouts, connection::ClientConnection};
    /// let connected = ClientConnection::connect(("a\0b", 80), &Timeouts::default());
    /// assert!(matches!(connected, Err(Error::Resolve { .. })));
    /// ```
    #[error("cannot find the address of {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// No address of the host accepted the connection.
    ///
    /// ```
    /// # use webclient::{Error, Timeouts, connection::ClientConnection};
    /// let connected = ClientConnection::connect(("127.0.0.1", 1), &Timeouts::default());   // nobody listens there
    /// assert!(matches!(connected, Err(Error::Connect { .. })));
    /// ```
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The last address that was tried.
        address: SocketAddr,
        /// Its error.
        source: io::Error,
    },
    /// It took too long.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use webclient::{Client, Error, Timeouts};
    /// let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let timeouts = Timeouts { idle: Duration::from_millis(10), ..Timeouts::default() };
    /// let response = Client::new().timeouts(timeouts).get(format!("http://{}/", silent.local_addr()?)).send();
    /// assert!(matches!(response, Err(Error::TimedOut { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[error("{phase} timed out{}", .limit.map_or(String::new(), |limit| format!(" after {} s", limit.as_secs_f64())))]
    TimedOut {
        /// What took too long.
        phase: Phase,
        /// The timeout, if it is known.
        limit: Option<Duration>,
    },
    /// The response is malformed or cut short: the server's fault.
    #[doc = failed!(
        b"SSH-2.0-OpenSSH_9.2\r\n",
        "let Err(Error::InvalidResponse(error)) = send(server, &request, io::empty()) else { panic!() };",
        "assert_eq!(error, ResponseError::NotHttp);"
    )]
    #[error(transparent)]
    InvalidResponse(#[from] ResponseError),
    /// The connection broke before the response was complete.
    ///
    /// ```
    /// # use std::{net::TcpListener, thread};
    /// # use webclient::{Client, Error};
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let url = format!("http://{}/", listener.local_addr()?);
    /// // It closes without reading the request, so the system resets the connection.
    /// let server = thread::spawn(move || {
    ///     let (stream, _) = listener.accept()?;
    ///     stream.peek(&mut [0]).map(drop)
    /// });
    /// assert!(matches!(Client::new().get(url).send(), Err(Error::ConnectionLost { .. })));
    /// # server.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[error("the connection was lost while {phase}: {source}")]
    ConnectionLost {
        /// When it broke.
        phase: Phase,
        /// The system's error.
        source: io::Error,
        /// What [`Error::can_retry`] returns.
        can_retry: bool,
    },
    /// The response's body is longer than the caller accepts.
    #[doc = failed!(
        b"HTTP/1.0 200 OK\r\n\r\nhello", "let mut response = send(server, &request, io::empty())?;",
        "assert!(matches!(response.read_to_vec(4), Err(Error::BodyTooLong { limit: 4 })));"
    )]
    #[error("the response body is longer than {limit} bytes")]
    BodyTooLong {
        /// The caller's limit.
        limit: usize,
    },
    /// The response could not be written to the caller's output.
    #[doc = failed!(
        b"HTTP/1.0 200 OK\r\n\r\nhello", "let mut response = send(server, &request, io::empty())?;",
        "let mut full = [0; 4];",
        "assert!(matches!(response.copy_to(&mut &mut full[..]), Err(Error::Write(_))));"
    )]
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
            Error::Url(_) | Error::Request(_) | Error::Header { .. } => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, error)
    }
}
