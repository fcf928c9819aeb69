//! One connection: sends a request over a blocking stream, receives its response, and is free again. `Client` is built
//! on it, and `http_core::client` decides what the bytes mean.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::TcpStream;
use std::time::Duration;

use http_core::client::{Connection, Event, Request, ResponseHead, SendBody};
use http_core::{CloseReason, Limits, ResponseError, Workspace};

use crate::connect::{Endpoint, Stream, TcpConnector};
use crate::error::{Error, Phase};
use crate::event::{self, Observer};
pub use crate::head::Head;
use crate::timeouts::{Deadline, Timeouts};

/// Bytes of a request that are written at once. Between two writes the server may refuse the rest of a body.
const PIECE: u64 = 16 << 10;

/// Bytes that are received at once. With 16 KiB, a body of 1 GiB costs half as much again (see BENCHMARKS.md).
const RECEIVE: usize = 64 << 10;

/// The shortest timeout: zero would be an error.
const SHORTEST: Duration = Duration::from_millis(1);

/// Reads once from a blocking stream into the state machine, after it asked for input; 0 is the end of the stream.
///
/// It is the one call that a program needs to drive [`http_core::client::Connection`] by itself:
///
/// ```
/// use http_core::client::{Connection, Event, Request};
/// use http_core::{Authority, FieldBlock, Limits, Method, Target};
/// # let mut stream = &b"HTTP/1.0 200 OK\r\n\r\nhello"[..];
///
/// let (mut connection, fields) = (Connection::new(Limits::default()), FieldBlock::new());
/// let host = Authority::new(b"localhost:6789")?;
/// let mut out = Vec::new();
/// let _no_body = connection.request(&Request::new(Method::Get, Target::new(b"/")?, host, &fields), &mut out)?;
/// // stream.write_all(&out)?;
/// let mut body = Vec::new();
/// loop {
///     match connection.poll()? {
///         Event::NeedInput => drop(webclient::connection::read_from(&mut connection, &mut stream)?),
///         Event::Response(head) => assert_eq!(head.status.code(), 200),
///         Event::Body(bytes) => body.extend_from_slice(bytes),
///         _ => break,
///     }
/// }
/// assert_eq!(body, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of the stream, except `Interrupted`, after which it reads again. They are not reported to the machine, because
/// an error does not end a body (R9112-8). `InvalidInput` if the machine's buffer is full: poll for events first.
pub fn read_from(connection: &mut Connection, stream: &mut impl Read) -> io::Result<usize> {
    loop {
        let buffer = connection.receive_buffer();
        if buffer.is_empty() {
            return Err(ErrorKind::InvalidInput.into()); // reading no bytes would look like the end of the stream
        }
        let read = stream.read(buffer);
        match &read {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) => connection.received_eof(),
            Ok(n) => connection.received(*n),
            Err(_) => {}
        }
        return read;
    }
}

/// Whether a kept connection is still open and silent, so that another request may be sent on it. It never waits.
///
/// The stream is in blocking mode afterwards. If it was cloned, the clones must not be in use meanwhile.
///
/// # Errors
/// The system's, if the mode cannot be changed. A broken connection is not an error; it is not idle.
pub fn is_idle(stream: &TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    Ok(peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock))
}

/// Sends one request over any blocking stream and returns when the head of its response has arrived.
///
/// This is [`ClientConnection::new`] and [`ClientConnection::send`] in one call.
///
/// ```no_run
/// use std::net::TcpStream;
///
/// use http_core::client::Request;
/// use http_core::{Authority, FieldBlock, Method, Target};
///
/// let (host, fields, json) = (Authority::new(b"localhost:6789")?, FieldBlock::new(), b"{}");
/// let request = Request::new(Method::Post, Target::new(b"/items")?, host, &fields);
/// let request = Request { body: Some(json.len() as u64), ..request };
/// let mut response = webclient::connection::send(TcpStream::connect(host.endpoint())?, &request, &json[..])?;
/// let body = response.read_to_vec(1 << 20)?;
/// println!("{}: {} bytes", response.head.status, body.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`ClientConnection::send`].
pub fn send<S: Read + Write>(stream: S, request: &Request<'_>, body: impl Read) -> Result<Response<S>, Error> {
    ClientConnection::new(stream).send(request, body)
}

/// A blocking stream to a server, and the state machine that speaks HTTP over it.
///
/// It is free for a request: [`send`](Self::send) turns it into a [`Response`], and
/// [`Response::into_connection`] gives it back if both sides keep the connection. After an error it is closed.
///
/// ```no_run
/// use std::io;
///
/// use http_core::client::Request;
/// use http_core::{Authority, FieldBlock, Method, Target};
/// use webclient::Timeouts;
/// use webclient::connection::ClientConnection;
///
/// let (host, fields) = (Authority::new(b"localhost:6789")?, FieldBlock::new());
/// let mut kept = None;
/// for path in ["/a", "/b", "/c"] {
///     let request = Request::new(Method::Get, Target::new(path.as_bytes())?, host, &fields);
///     let request = Request { keep_alive: true, ..request };
///     let connect = || ClientConnection::connect(host.endpoint(), &Timeouts::default());
///     let mut response = match kept.take().map_or_else(connect, Ok)?.send(&request, io::empty()) {
///         Err(error) if error.can_retry() => connect()?.send(&request, io::empty())?,
///         result => result?,
///     };
///     println!("{path}: {} bytes", response.read_to_vec(1 << 20)?.len());
///     kept = response.into_connection();
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ClientConnection<S> {
    stream: S,
    machine: Connection,
    /// Bytes to write next.
    out: Vec<u8>,
    /// What was received before the head of the response was complete, if somebody is told of it.
    received: Vec<u8>,
    /// A response was received over it before.
    is_reused: bool,
    /// The stream failed. Some streams then report an end, which would look like the end of a body (R9112-8).
    is_lost: bool,
    /// A write failed, so that the server may have a part of the request. Another one would continue it.
    is_cut: bool,
    is_idle: fn(&mut S) -> io::Result<bool>,
    set_timeout: fn(&mut S, Duration) -> io::Result<()>,
    /// How long each read and each write may take, if that is known, and what the stream was told last.
    idle: Option<Duration>,
    armed: Option<Duration>,
    deadline: Deadline,
    observer: Observer,
}

impl ClientConnection<TcpStream> {
    /// Connects to a host, which is a name or an IP address without brackets, and a port. The total time, if there is
    /// one, begins now.
    ///
    /// # Errors
    /// [`Error::Resolve`], [`Error::Connect`] or [`Error::TimedOut`].
    pub fn connect((host, port): (&str, u16), timeouts: &Timeouts) -> Result<Self, Error> {
        let deadline = Deadline::after(timeouts.total);
        let endpoint = Endpoint { host: host.to_owned(), port };
        let stream = TcpConnector::new().open(&endpoint, deadline.limit(timeouts.connect), &|_| ())?;
        let mut connection = ClientConnection::from_stream(stream, Connection::new(Limits::default()));
        connection.prepare(timeouts.idle, deadline, &Observer::default());
        Ok(connection)
    }
}

impl From<TcpStream> for ClientConnection<TcpStream> {
    /// Notices, unlike [`new`](ClientConnection::new), when the server closes the kept connection or responds early.
    fn from(stream: TcpStream) -> ClientConnection<TcpStream> {
        let idle = stream.read_timeout().unwrap_or_default();
        ClientConnection { is_idle: Stream::is_idle, idle, armed: idle, ..ClientConnection::new(stream) }
    }
}

impl<S: Stream> ClientConnection<S> {
    /// A new connection over a stream that can wait.
    pub(crate) fn from_stream(stream: S, machine: Connection) -> Self {
        ClientConnection {
            is_idle: S::is_idle,
            set_timeout: S::set_timeout,
            ..ClientConnection::from_parts(stream, machine)
        }
    }

    /// How long the next exchanges may wait, when they must be over, and who is told of them.
    pub(crate) fn prepare(&mut self, idle: Duration, deadline: Deadline, observer: &Observer) {
        (self.idle, self.deadline, self.observer) = (Some(idle.max(SHORTEST)), deadline, observer.clone());
    }
}

impl<S> fmt::Debug for ClientConnection<S> {
    /// Shows no byte that was sent or received.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConnection").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl<S> ClientConnection<S> {
    /// A new connection over any stream, with the default [`Limits`].
    ///
    /// Only a read shows whether such a stream has input. So a kept connection counts as [idle](Self::is_idle), and an
    /// early response does not stop a request's body. For a `TcpStream` use [`From`] or
    /// [`connect`](ClientConnection::connect).
    pub fn new(stream: S) -> ClientConnection<S> {
        ClientConnection::from_parts(stream, Connection::new(Limits::default()))
    }

    /// A new connection with a custom state machine: with other limits, or one that allows HTTP/0.9 or has a
    /// [`Leniency`](http_core::client::Leniency).
    pub fn from_parts(stream: S, mut machine: Connection) -> ClientConnection<S> {
        machine.attach(&mut Workspace::with_capacity(RECEIVE));
        ClientConnection {
            stream,
            machine,
            out: Vec::new(),
            received: Vec::new(),
            is_reused: false,
            is_lost: false,
            is_cut: false,
            is_idle: |_| Ok(true),
            set_timeout: |_, _| Ok(()),
            idle: None,
            armed: None,
            deadline: Deadline::NEVER,
            observer: Observer::default(),
        }
    }

    /// Whether the connection is still open and silent, as far as can be known without waiting.
    ///
    /// # Errors
    /// As [`is_idle`].
    pub fn is_idle(&mut self) -> io::Result<bool> {
        (self.is_idle)(&mut self.stream)
    }

    /// Sets the stream's timeout, if it has to change.
    fn arm(&mut self, phase: Phase) -> Result<(), Error> {
        let Some(wanted) = self.deadline.left().into_iter().chain(self.idle).min() else { return Ok(()) };
        if self.deadline.is_over() {
            return Err(self.timed_out(phase));
        }
        let wanted = wanted.max(SHORTEST);
        if self.armed != Some(wanted) {
            (self.set_timeout)(&mut self.stream, wanted).map_err(|error| self.failed(phase, error))?;
            self.armed = Some(wanted);
        }
        Ok(())
    }

    fn timed_out(&self, phase: Phase) -> Error {
        let limit = self.idle.map(|idle| self.deadline.cause(idle)).or(self.deadline.left().and(self.deadline.total()));
        Error::TimedOut { phase, limit }
    }

    fn failed(&self, phase: Phase, source: io::Error) -> Error {
        if is_timeout(source.kind()) {
            return self.timed_out(phase);
        }
        Error::ConnectionLost { phase, source, can_retry: self.machine.can_retry() }
    }

    fn invalid(&self, phase: Phase, error: ResponseError) -> Error {
        if !self.machine.can_retry() {
            return error.into();
        }
        Error::ConnectionLost { phase, source: io::Error::new(ErrorKind::UnexpectedEof, error), can_retry: true }
    }
}

impl<S: Read + Write> ClientConnection<S> {
    /// Sends a request and returns when the head of its response has arrived. Interim responses (1xx) are skipped.
    ///
    /// [`Request::body`] announces how many bytes of `body` follow the head; `io::empty()` goes with `None`. Bytes after
    /// them are not read. If the server responds before it has received the complete body, the rest is not sent
    /// (R1945-9.4a), and the connection closes after this response.
    ///
    /// # Errors
    /// [`Error`]. If [`Error::can_retry`], the request may be sent again on a new connection, its body from the start.
    pub fn send(self, request: &Request<'_>, body: impl Read) -> Result<Response<S>, Error> {
        self.send_with(request, body, |head| Head::from(head))
    }

    /// Sends a request as [`send`](Self::send) does; `on_head` decides what is kept of the response's head.
    ///
    /// That suits callers that need the borrowed head itself: gateways forward it, and [`http_core::redirect::follow`]
    /// reads it.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_with<H>(
        mut self,
        request: &Request<'_>,
        mut body: impl Read,
        on_head: impl FnOnce(&ResponseHead<'_>) -> H,
    ) -> Result<Response<S, H>, Error> {
        // Bytes that the server sent after the last response would look like the response to this request.
        if self.is_reused && !self.is_silent()? {
            let source = io::Error::new(ErrorKind::ConnectionAborted, "the kept connection is no longer idle");
            return Err(Error::ConnectionLost { phase: Phase::Sending, source, can_retry: true });
        }
        let length = match self.machine.request(request, &mut self.out)? {
            SendBody::Exactly(length) => length,
            _ => 0,
        };
        self.observer.report(event::Event::Request(&self.out));
        let responded = self.await_response(&mut body, length);
        let received = mem::take(&mut self.received);
        if responded.is_err() && !received.is_empty() {
            self.observer.report(event::Event::InvalidHead(&received));
        }
        responded?;
        let head = self.machine.response_head().ok_or(ResponseError::NoResponse)?;
        if let Some(length @ 1..) = received.windows(head.bytes.len().max(1)).position(|bytes| bytes == head.bytes) {
            self.observer.report(event::Event::Interim(&received[..length]));
        }
        self.observer.report(event::Event::Response(&head));
        let head = on_head(&head);
        Ok(Response { head, connection: self, unread: VecDeque::new(), is_complete: false })
    }

    /// Sends the request, and receives until the machine has the head of the response.
    fn await_response(&mut self, body: &mut impl Read, length: u64) -> Result<(), Error> {
        let mut to_send = Some(length);
        loop {
            match self.machine.poll() {
                Ok(Event::NeedInput) => match to_send {
                    // The server may respond before the body is complete (R1945-9.4a), or send an interim response.
                    Some(left) if !self.out.is_empty() || self.is_silent()? => {
                        to_send = self.write_piece(body, left)?;
                    }
                    _ => self.receive(Phase::Waiting)?,
                },
                Ok(Event::Response(_)) => break,
                Ok(_) => return Err(ResponseError::NoResponse.into()),
                Err(error) => return Err(self.invalid(Phase::Waiting, error)),
            }
        }
        if self.machine.can_retry() {
            // It is a 408, which the server sent before it received the request.
            let source = io::Error::new(ErrorKind::ConnectionAborted, "the server timed out as the request was sent");
            return Err(Error::ConnectionLost { phase: Phase::Sending, source, can_retry: true });
        }
        Ok(())
    }

    /// Writes the request's head, if that is due, and a piece of its body. Returns what is then left of the body, or
    /// `None` if no more is to be sent. A small request is one write.
    fn write_piece(&mut self, body: &mut impl Read, left: u64) -> Result<Option<u64>, Error> {
        let piece = left.min(PIECE);
        if body.take(piece).read_to_end(&mut self.out).map_err(Error::RequestBody)? as u64 != piece {
            return Err(Error::RequestBody(ErrorKind::UnexpectedEof.into()));
        }
        let out = mem::take(&mut self.out);
        match self.write_all(&out) {
            Ok(()) => self.machine.body_sent(piece)?,
            Err(error @ Error::TimedOut { .. }) if self.is_silent()? => return Err(error),
            Err(_) => {
                self.is_cut = true;
                return Ok(None); // a server that closed early may have sent a response
            }
        }
        Ok((left > piece).then_some(left - piece))
    }

    /// Each write has its own timeout, and all of them end at the deadline.
    fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        let phase = Phase::Sending;
        while !bytes.is_empty() {
            self.arm(phase)?;
            match self.stream.write(bytes) {
                Ok(0) => return Err(self.failed(phase, ErrorKind::WriteZero.into())),
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(phase, error)),
            }
        }
        self.stream.flush().map_err(|error| self.failed(phase, error))
    }

    fn is_silent(&mut self) -> Result<bool, Error> {
        self.is_idle().map_err(|error| self.failed(Phase::Sending, error))
    }

    fn receive(&mut self, phase: Phase) -> Result<(), Error> {
        self.arm(phase)?;
        let read = if self.is_lost {
            Err(ErrorKind::NotConnected.into())
        } else if phase == Phase::Waiting && self.observer.0.is_some() {
            read_from(&mut self.machine, &mut Tee(&mut self.stream, &mut self.received))
        } else {
            read_from(&mut self.machine, &mut self.stream)
        };
        self.is_lost |= read.as_ref().is_err_and(|error| !is_timeout(error.kind()));
        read.map(drop).map_err(|error| self.failed(phase, error))
    }
}

/// Keeps a copy of what is read.
struct Tee<'a, S>(&'a mut S, &'a mut Vec<u8>);

impl<S: Read> Read for Tee<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

/// A response: its head, and its body as a reader. It owns its connection.
///
/// A body may not fit in memory. [`read_to_vec`](Self::read_to_vec) has a limit, [`copy_to`](Self::copy_to) streams,
/// and [`Read`] reads what its caller asks for. Dropping a response closes the connection.
pub struct Response<S, H = Head> {
    /// The head that [`ClientConnection::send`] copied, or the value that [`ClientConnection::send_with`] kept.
    pub head: H,
    connection: ClientConnection<S>,
    /// Bytes of the body that [`Read`] received and did not return yet.
    unread: VecDeque<u8>,
    is_complete: bool,
}

impl<S: Read + Write, H> Response<S, H> {
    /// Reads the rest of the body into memory.
    ///
    /// # Errors
    /// [`Error::BodyTooLong`] if it is longer than `limit` bytes; else as [`ClientConnection::send`].
    pub fn read_to_vec(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut body = Vec::from(mem::take(&mut self.unread));
        while body.len() <= limit && self.next(|bytes| body.extend_from_slice(bytes))?.is_some() {}
        if body.len() > limit { Err(Error::BodyTooLong { limit }) } else { Ok(body) }
    }

    /// Writes the rest of the body as it arrives, and returns its length in bytes. Each piece is flushed, because the
    /// next may take long.
    ///
    /// # Errors
    /// [`Error::Write`] if `out` fails; else as [`ClientConnection::send`]. Bytes received before the error were
    /// written.
    pub fn copy_to(&mut self, out: &mut impl Write) -> Result<u64, Error> {
        let mut write = |bytes: &[u8]| {
            let written = out.write_all(bytes).and_then(|()| out.flush());
            written.map(|()| bytes.len() as u64).map_err(Error::Write)
        };
        let mut total = write(mem::take(&mut self.unread).make_contiguous())?;
        while let Some(written) = self.next(&mut write)? {
            total += written?;
        }
        Ok(total)
    }

    /// The next piece of the body; `None` after the last.
    fn next<T>(&mut self, on_piece: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Error> {
        // After the last piece the machine would wait for bytes that no request asked for.
        while !self.is_complete {
            match self.connection.machine.poll() {
                Ok(Event::NeedInput) => self.connection.receive(Phase::Receiving)?,
                Ok(Event::Body(bytes)) => return Ok(Some(on_piece(bytes))),
                Ok(_) => self.is_complete = true,
                Err(error) => return Err(self.connection.invalid(Phase::Receiving, error)),
            }
        }
        Ok(None)
    }
}

impl<S, H> Response<S, H> {
    /// The head, and the same response without it.
    pub(crate) fn split(self) -> (H, Response<S, ()>) {
        let Response { head, connection, unread, is_complete } = self;
        (head, Response { head: (), connection, unread, is_complete })
    }

    /// Whether the connection would be kept if the rest of the body were read now. From now on, that takes no longer.
    pub(crate) fn would_be_kept_within(&mut self, limit: Duration) -> bool {
        let Response { connection, .. } = self;
        connection.deadline = connection.deadline.within(limit);
        connection.machine.close_reason().is_none() && !connection.is_cut
    }

    /// Whether everything was received and returned.
    pub(crate) fn is_over(&self) -> bool {
        self.is_complete && self.unread.is_empty()
    }

    /// The connection, free for the next request, if both sides keep it. It reads nothing: unless the rest of the body
    /// has been received already, the connection closes.
    pub fn into_connection(mut self) -> Option<ClientConnection<S>> {
        while !self.is_complete {
            match self.connection.machine.poll() {
                Ok(Event::Body(_)) => {}
                Ok(Event::ResponseEnd) => self.is_complete = true,
                _ => break,
            }
        }
        let mut connection = self.connection;
        connection.is_reused = true;
        let is_kept = self.is_complete && connection.machine.can_reuse() && !connection.is_cut;
        // Otherwise more bytes were received than the response has.
        let other = if connection.is_cut { CloseReason::BodyIncomplete } else { CloseReason::LenientParse };
        if is_kept {
            connection.observer.report(event::Event::Kept);
        } else if let Some(reason) = connection.machine.close_reason().or(self.is_complete.then_some(other)) {
            connection.observer.report(event::Event::Closing(reason));
        }
        is_kept.then_some(connection)
    }
}

impl<S: Read + Write, H> Read for Response<S, H> {
    /// Reads from the body. An error has the [`Error`] inside, for [`io::Error::downcast`].
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            let mut received = mem::take(&mut self.unread);
            self.next(|bytes| received.extend(bytes))?;
            self.unread = received;
        }
        self.unread.read(buffer)
    }
}

impl<S, H> fmt::Debug for Response<S, H> {
    /// Shows neither the head nor the body, which may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("is_complete", &self.is_complete).finish_non_exhaustive()
    }
}

/// A socket's timeout is reported as either, depending on the system.
pub(crate) fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
