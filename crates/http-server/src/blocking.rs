//! Serves connections over blocking streams, one per call, without an event loop and without a pool.
//!
//! The caller owns the threads. A thread for each connection is the simplest server of all:
//!
//! ```no_run
//! use std::net::TcpListener;
//! use std::thread;
//! use std::time::Duration;
//!
//! use http_server::{Request, Response, blocking};
//!
//! fn handle(request: &Request<'_>) -> Response {
//!     Response::text(format!("you asked for {}\n", request.path()))
//! }
//!
//! for stream in TcpListener::bind("127.0.0.1:8080")?.incoming() {
//!     let Ok(stream) = stream else { continue }; // the client is gone already, for example
//!     stream.set_read_timeout(Some(Duration::from_secs(15)))?;
//!     stream.set_write_timeout(Some(Duration::from_secs(15)))?;
//!     thread::spawn(move || blocking::serve_tcp(&stream, &handle));
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Unlike in a [`Server`](crate::Server), nothing limits the number of connections, and a slow client holds a thread.
//! Set the stream's read and write timeouts; without them a silent client holds its thread forever.

use std::cell::Cell;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use http_core::{CloseReason, server};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;

use crate::clock;
use crate::connection::context::WorkerContext;
use crate::connection::interest::Interest;
use crate::connection::shared::Shared;
use crate::connection::transport::{Transport, UNIX_PEER_ADDR, send_copy};
use crate::connection::{Connection, TurnOutcome};
use crate::handler::{Borrowed, Handler};
use crate::permit::Turn;
use crate::stats::EndReason;

/// Reads once from a blocking stream into a protocol state machine that needs input. Returns the number of bytes; 0 is
/// the end of the stream.
///
/// It suits programs that drive [`http_core::server::Connection`] themselves, without a [`Handler`]:
///
/// ```
/// use http_server::blocking::read_from;
/// use http_server::http_core::server::{Connection, Event};
/// use http_server::http_core::Limits;
///
/// let mut stream = &b"GET /hello HTTP/1.0\r\n\r\n"[..]; // a TcpStream, usually
/// let mut connection = Connection::new(Limits::default());
/// let path = loop {
///     match connection.poll()? {
///         Event::NeedInput => read_from(&mut connection, &mut stream)?,
///         Event::Request(request) => break request.path.decoded().into_owned(),
///         _ => return Err("expected a request".into()),
///     };
/// };
/// assert_eq!(path, b"/hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of the stream, except `Interrupted`, after which it reads again. `InvalidInput` if the machine's buffer is
/// full, because events wait to be polled.
pub fn read_from(connection: &mut server::Connection, stream: &mut impl Read) -> io::Result<usize> {
    let buffer = connection.receive_buffer();
    if buffer.is_empty() {
        return Err(ErrorKind::InvalidInput.into()); // reading no bytes would look like the end of the stream
    }
    let n = uninterrupted(|| stream.read(buffer))?;
    match n {
        0 => connection.received_eof(),
        n => connection.received(n),
    }
    Ok(n)
}

/// Serves one connection until it ends, over any stream, such as TLS or a pipe. Returns why it ended.
///
/// The connection is kept for further requests if both sides allow it. All limits and timeouts are the defaults of
/// [`ServerConfig`](crate::ServerConfig). A timeout is noticed when the stream itself times out or bytes arrive.
///
/// Pass `&mut stream` to keep the stream, for a TLS close_notify for example. Unless the reason is
/// [`PeerClosed`](CloseReason::PeerClosed) or [`IdleTimeout`](CloseReason::IdleTimeout), the client may still be sending, and
/// closing a socket with unread bytes can destroy the response. So end the written half first, and then read until the client
/// closes, for two seconds at most. [`serve_tcp`] does that by itself.
///
/// The peer's address is unknown here: a handler sees `0.0.0.0:0` as [`Request::peer_addr`](crate::Request::peer_addr), and
/// its IP address as [`Request::client_ip`](crate::Request::client_ip). That is no client's address: never forward it. If the
/// address is known, call [`serve_from`].
///
/// # Errors
/// Those of the stream. `TimedOut` if the peer reads too slowly, `Other` if a body cannot be completed. After an error,
/// close the stream. If only the close shows where a response ends, because it has no Content-Length or no head, make that
/// a reset (or what the stream has in its place), or the response looks whole. [`serve_tcp`] does that by itself.
pub fn serve(stream: impl Read + Write, handler: &impl Handler) -> io::Result<Option<CloseReason>> {
    serve_from(stream, UNIX_PEER_ADDR, handler)
}

/// Serves one connection to its end, like [`serve`], and shows handlers this address of the peer.
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::net::TcpStream;
///
/// use http_server::{Handler, blocking};
///
/// /// Serves a client over TLS; `accept` is the TLS library's.
/// fn serve_tls<S: Read + Write>(
///     stream: TcpStream,
///     accept: impl Fn(TcpStream) -> io::Result<S>,
///     handler: &impl Handler,
/// ) -> io::Result<S> {
///     let peer = stream.peer_addr()?;
///     let mut stream = accept(stream)?;
///     blocking::serve_from(&mut stream, peer, handler)?;
///     Ok(stream) // to be closed as TLS requires
/// }
/// ```
///
/// # Errors
/// As [`serve`].
pub fn serve_from(
    stream: impl Read + Write,
    peer: SocketAddr,
    handler: &impl Handler,
) -> io::Result<Option<CloseReason>> {
    serve_stream(Plain(stream), peer, handler)
}

/// Serves one TCP connection to its end, like [`serve`], and shuts it down so that the last response arrives. Handlers see
/// the peer's address.
///
/// # Errors
/// As [`serve`].
pub fn serve_tcp(stream: &TcpStream, handler: &impl Handler) -> io::Result<Option<CloseReason>> {
    stream.set_nodelay(true)?;
    serve_stream(Tcp(stream), stream.peer_addr()?, handler)
}

fn serve_stream(stream: impl Stream, peer: SocketAddr, handler: &impl Handler) -> io::Result<Option<CloseReason>> {
    let (close_reason, result) = drive_to_end(stream, peer, &Shared::new(Box::new(Borrowed(handler))));
    result.map(|()| close_reason)
}

/// A blocking stream, with operations that only some streams have.
pub(crate) trait Stream: Read + Write {
    /// Whether bytes can be read now. `false` if that is unknown.
    fn is_readable(&self) -> bool {
        false
    }

    /// Shuts down the write half. After that, a read takes at most two seconds.
    fn shutdown_write(&self) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    /// Makes the close a reset, or not.
    fn reset_on_close(&self, _on: bool) {}

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(ErrorKind::Unsupported.into())
    }
}

/// Serves one connection until it ends. Returns why the protocol closes it, and whether it was complete.
pub(crate) fn drive_to_end(
    mut stream: impl Stream,
    peer: SocketAddr,
    shared: &Shared<'_>,
) -> (Option<CloseReason>, io::Result<()>) {
    let (timed_out, error) = (Cell::new(false), Cell::new(None));
    let (turn_calls, unflushed) = ([Cell::new(false), Cell::new(false)], Cell::new(false));
    let transport = Blocking {
        stream: &mut stream,
        turn_calls: &turn_calls,
        unflushed: &unflushed,
        timed_out: &timed_out,
        error: &error,
    };
    let mut connection = Connection::new(transport, peer, shared);
    let mut context = WorkerContext::new(Turn::unlimited());
    let mut turn: fn(&mut Connection<_>, &Shared<'_>, &mut WorkerContext) -> TurnOutcome = Connection::drive;
    let reason = loop {
        turn_calls.iter().for_each(|called| called.set(false));
        // A body's reader may panic, which truncates its response.
        match catch_unwind(AssertUnwindSafe(|| turn(&mut connection, shared, &mut context))) {
            Ok(
                TurnOutcome::Park(Interest::Yield)
                | TurnOutcome::Defer
                | TurnOutcome::Blocked(_)
                | TurnOutcome::Sleep(_),
            ) => {
                turn = Connection::drive;
            }
            Ok(TurnOutcome::Park(_)) => {
                let is_over = timed_out.take() || clock::monotonic_ms() >= connection.deadline(shared);
                turn = if is_over { Connection::on_timeout } else { Connection::drive };
                connection.on_ready(false); // the next read waits for the peer
            }
            Ok(TurnOutcome::Close(reason)) => break reason,
            Err(_) => break EndReason::Failed,
        }
    };
    let close_reason = connection.close_reason();
    // A handler's sink or reader may panic when it is dropped.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(connection)));
    let result = match (reason, error.take()) {
        (EndReason::Complete, _) if unflushed.get() => uninterrupted(|| stream.flush()),
        (EndReason::Complete, _) => Ok(()),
        (_, Some(error)) => Err(error),
        (EndReason::SlowReader, None) => Err(ErrorKind::TimedOut.into()),
        (EndReason::FileChanged | EndReason::SendBudgetExhausted | EndReason::Failed, None) => {
            Err(io::Error::other("the response is incomplete"))
        }
        _ => Ok(()),
    };
    (close_reason, result)
}

/// A blocking stream as a connection's transport: it never has to be polled.
struct Blocking<'a, S> {
    stream: &'a mut S,
    /// Whether this turn has read, and written. Each may block, and deadlines are checked between turns. So a peer that
    /// moves a byte now and then does not hold a turn.
    turn_calls: &'a [Cell<bool>; 2],
    /// The stream has taken bytes that it may not have passed on. They must not be written again.
    unflushed: &'a Cell<bool>,
    /// The last read or write timed out.
    timed_out: &'a Cell<bool>,
    /// The error that broke the stream.
    error: &'a Cell<Option<io::Error>>,
}

const READ: usize = 0;
const WRITE: usize = 1;

impl<S: Stream> Blocking<'_, S> {
    /// The second call of a kind has to wait for the next turn.
    fn once_a_turn(&self, kind: usize) -> io::Result<()> {
        if self.turn_calls[kind].replace(true) { Err(Errno::AGAIN.into()) } else { Ok(()) }
    }

    /// Records an error for the caller. The connection learns only that it has to wait, or the kind of the error.
    fn record_error(&self, result: io::Result<usize>) -> io::Result<usize> {
        result.map_err(|error| {
            if is_timeout(&error) {
                self.timed_out.set(true);
                return Errno::AGAIN.into();
            }
            let kind = error.kind();
            self.error.set(Some(error));
            kind.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.unflushed.get() {
            uninterrupted(|| self.stream.flush())?;
            self.unflushed.set(false);
        }
        Ok(())
    }
}

impl<S: Stream> Transport for Blocking<'_, S> {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.once_a_turn(READ)?;
        let result = self.flush().and_then(|()| uninterrupted(|| self.stream.read(buffer)));
        self.record_error(result)
    }

    fn is_readable(&self) -> bool {
        self.stream.is_readable()
    }

    fn send(&mut self, bytes: &[u8], _more: bool) -> io::Result<usize> {
        self.once_a_turn(WRITE)?;
        let result = match self.flush().and_then(|()| uninterrupted(|| self.stream.write(bytes))) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(n) => {
                self.unflushed.set(true);
                match self.flush() {
                    Err(error) if !is_timeout(&error) => Err(error),
                    _ => Ok(n), // after a timeout, the next call tries again
                }
            }
            error => error,
        };
        self.record_error(result)
    }

    fn send_file(&mut self, file: BorrowedFd<'_>, offset: &mut u64, length: u64) -> io::Result<usize> {
        if self.turn_calls[WRITE].get() {
            return Err(Errno::AGAIN.into());
        }
        send_copy(self, file, offset, length)
    }

    fn reset_on_close(&mut self, on: bool) {
        self.stream.reset_on_close(on);
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream.shutdown_write()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }
}

impl<S> fmt::Debug for Blocking<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blocking")
    }
}

/// Any stream.
struct Plain<S>(S);

impl<S: Read> Read for Plain<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Write> Write for Plain<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<S: Read + Write> Stream for Plain<S> {}

/// A TCP connection.
struct Tcp<'a>(&'a TcpStream);

impl Read for Tcp<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Tcp<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Tcp<'_> {
    fn is_readable(&self) -> bool {
        if self.0.set_nonblocking(true).is_err() {
            return false;
        }
        let peeked = self.0.peek(&mut [0]);
        self.0.set_nonblocking(false).is_ok() && peeked.is_ok_and(|n| n > 0)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)?;
        self.0.set_read_timeout(Some(Duration::from_secs(2)))
    }

    fn reset_on_close(&self, on: bool) {
        let _ = set_socket_linger(self.0, on.then_some(Duration::ZERO)); // cannot fail on a socket
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A stream's timeout is reported as either, depending on the system.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
