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
//!     thread::spawn(move || {
//!         stream.set_read_timeout(Some(Duration::from_secs(15)))?;
//!         stream.set_write_timeout(Some(Duration::from_secs(15)))?;
//!         blocking::serve_tcp(&stream, &handle)
//!     });
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Unlike in a [`Server`](crate::Server), nothing limits the number of connections, and a slow client holds a thread.
//! [`Engine::Plain`](crate::Engine::Plain) has a fixed number of such threads. Set the stream's read and write timeouts;
//! without them a silent client holds its thread forever.

mod tcp;

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use http_core::{CloseReason, server};

pub(crate) use self::tcp::Tcp;
use crate::clock::{self, Millis};
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
    serve_stream(Tcp::<false>::new(stream), stream.peer_addr()?, handler)
}

fn serve_stream(stream: impl Stream, peer: SocketAddr, handler: &impl Handler) -> io::Result<Option<CloseReason>> {
    let shared = Shared::new(Box::new(Borrowed(handler)));
    let Ended { close_reason, result, .. } =
        drive_to_end(stream, peer, &shared, &mut WorkerContext::new(Turn::unlimited()));
    result.map(|()| close_reason)
}

/// A blocking stream, with operations that only some streams have.
pub(crate) trait Stream: Read + Write {
    /// Whether `limit_read` and `limit_write` limit anything. If not, the owner of the stream has set its timeouts: then a
    /// call that times out does so for the peer.
    const HAS_LIMITS: bool = false;

    /// Lets each read take at most this long, before it fails as a stream does that times out.
    fn limit_read(&self, _time: Duration) -> io::Result<()> {
        Ok(())
    }

    /// The same for each write.
    fn limit_write(&self, _time: Duration) -> io::Result<()> {
        Ok(())
    }

    /// Whether bytes can be read now. `false` if that is unknown.
    fn is_readable(&self) -> bool {
        false
    }

    /// Lets the kernel buffer less, so that the progress of a slow reader is visible.
    fn limit_unsent(&self) {}

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

/// How a connection ended.
pub(crate) struct Ended {
    pub(crate) reason: EndReason,
    /// Why the protocol closes it, if it does.
    pub(crate) close_reason: Option<CloseReason>,
    /// Whether it was complete.
    pub(crate) result: io::Result<()>,
}

/// The longest that one call waits, if that can be limited. Then the connection looks at what the server wants of it:
/// whether it is shut down, or needs the thread of an idle connection.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

/// How often a body that waits for memory looks for it.
const MEMORY_POLL: Duration = Duration::from_millis(20);

/// Serves one connection until it ends.
pub(crate) fn drive_to_end<S: Stream>(
    mut stream: S,
    peer: SocketAddr,
    shared: &Shared<'_>,
    context: &mut WorkerContext,
) -> Ended {
    let (timed_out, error, time_left) = (Cell::new(false), Cell::new(None), Cell::new(SLICE));
    let (turn_calls, unflushed) = ([Cell::new(false), Cell::new(false)], Cell::new(false));
    let transport = Blocking {
        stream: &mut stream,
        turn_calls: &turn_calls,
        time_left: &time_left,
        unflushed: &unflushed,
        timed_out: &timed_out,
        error: &error,
    };
    let mut connection = Connection::new(transport, peer, shared);
    if LOSES_COUNT {
        connection.skip_early_timeout();
    }
    let mut turn: fn(&mut Connection<_>, &Shared<'_>, &mut WorkerContext) -> TurnOutcome = Connection::drive;
    let mut longest = Duration::MAX;
    let mut stopped_at = None;
    let reason = loop {
        turn_calls.iter().for_each(|called| called.set(false));
        let left: Millis = connection.deadline(shared).saturating_sub(clock::monotonic_ms());
        time_left.set(Duration::from_millis(left.max(1)).min(longest));
        longest = Duration::MAX;
        // A body's reader may panic, which truncates its response.
        let outcome = catch_unwind(AssertUnwindSafe(|| turn(&mut connection, shared, context)));
        context.turn.forget_request();
        turn = Connection::drive;
        match outcome {
            Ok(TurnOutcome::Park(Interest::Yield)) => {}
            Ok(TurnOutcome::Defer | TurnOutcome::Blocked(_) | TurnOutcome::Sleep(_)) => {}
            Ok(TurnOutcome::Park(_)) => {
                let now = clock::monotonic_ms();
                connection.on_ready(false); // the next read waits for the peer
                let nothing_came = timed_out.take();
                if (nothing_came && !S::HAS_LIMITS) || now >= connection.deadline(shared) {
                    turn = Connection::on_timeout;
                } else if connection.waits_for_memory().is_some() {
                    if !connection.grant_memory(shared) {
                        thread::sleep(MEMORY_POLL);
                    }
                } else if nothing_came
                    && (shared.is_stopping() && connection.is_inactive(now)
                        || connection.is_idle_keep_alive() && shared.crowded.swap(false, Relaxed))
                {
                    (turn, longest) = (Connection::drive_or_close, LAST_LOOK);
                }
            }
            Ok(TurnOutcome::Close(reason)) => break reason,
            Err(_) => {
                context.forget_buffers();
                connection.abort(shared, context, EndReason::Failed);
                break EndReason::Failed;
            }
        }
        let has_lingered = shared.is_stopping() && {
            let now = clock::monotonic_ms();
            connection.has_lingered(*stopped_at.get_or_insert(now), now)
        };
        if has_lingered || shared.is_over() {
            break connection.abort(shared, context, EndReason::Shutdown);
        }
    };
    let close_reason = connection.close_reason();
    connection.release_budget(shared);
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
    Ended { reason, close_reason, result }
}

/// How long an idle connection that is about to be closed may take to find a request that has just come.
const LAST_LOOK: Duration = Duration::from_millis(1);

/// A blocking stream as a connection's transport: it never has to be polled.
struct Blocking<'a, S> {
    stream: &'a mut S,
    /// Whether this turn has read, and written. Each may block, and deadlines are checked between turns. So a peer that
    /// moves a byte now and then does not hold a turn.
    turn_calls: &'a [Cell<bool>; 2],
    /// The time until the deadline. The turn began with it.
    time_left: &'a Cell<Duration>,
    /// The stream has taken bytes that it may not have passed on. They must not be written again.
    unflushed: &'a Cell<bool>,
    /// The last read or write timed out.
    timed_out: &'a Cell<bool>,
    /// The error that broke the stream.
    error: &'a Cell<Option<io::Error>>,
}

const READ: usize = 0;
const WRITE: usize = 1;

/// After a write that timed out, Windows does not say how many bytes were sent. So there a write has all the time that is
/// left, and is the last one if it times out.
const LOSES_COUNT: bool = cfg!(windows);

/// The most bytes of one write whose time is limited: on some systems the limit is for each part that the kernel takes.
const MAX_WRITE: usize = 64 << 10;

impl<S: Stream> Blocking<'_, S> {
    /// The second call of a kind has to wait for the next turn.
    fn once_a_turn(&self, kind: usize) -> io::Result<()> {
        if self.turn_calls[kind].replace(true) { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }

    /// Records an error for the caller. The connection learns only that it has to wait, or the kind of the error.
    fn record_error(&self, kind: usize, result: io::Result<usize>) -> io::Result<usize> {
        result.map_err(|error| {
            if is_timeout(&error) && !(LOSES_COUNT && kind == WRITE) {
                self.timed_out.set(true);
                return ErrorKind::WouldBlock.into();
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
        self.stream.limit_read(self.time_left.get().min(SLICE))?;
        let result = self.flush().and_then(|()| uninterrupted(|| self.stream.read(buffer)));
        self.record_error(READ, result)
    }

    fn is_readable(&self) -> bool {
        self.stream.is_readable()
    }

    fn send(&mut self, bytes: &[u8], _more: bool) -> io::Result<usize> {
        if LOSES_COUNT && self.turn_calls[READ].get() {
            return Err(ErrorKind::WouldBlock.into()); // the time that is left is that of the request
        }
        self.once_a_turn(WRITE)?;
        self.stream.limit_write(self.time_left.get().min(if LOSES_COUNT { Duration::MAX } else { SLICE }))?;
        let bytes = &bytes[..bytes.len().min(if S::HAS_LIMITS { MAX_WRITE } else { usize::MAX })];
        let result = match self.flush().and_then(|()| uninterrupted(|| self.stream.write(bytes))) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(n) => {
                self.unflushed.set(true);
                match self.flush() {
                    Err(error) if !is_timeout(&error) => Err(error),
                    _ => Ok(n), // after a timeout, the next call tries again
                }
            }
            Err(error) if LOSES_COUNT && is_timeout(&error) => Err(ErrorKind::TimedOut.into()),
            error => error,
        };
        self.record_error(WRITE, result)
    }

    fn send_file(&mut self, file: &File, offset: &mut u64, length: u64) -> io::Result<usize> {
        if self.turn_calls[WRITE].get() {
            return Err(ErrorKind::WouldBlock.into());
        }
        send_copy(self, file, offset, length)
    }

    fn limit_unsent(&mut self) {
        self.stream.limit_unsent();
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

/// A stream's timeout is reported as either, depending on the system.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
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
