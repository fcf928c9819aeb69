//! One connection, served from memory of a fixed size. It knows neither the network nor a clock: the caller carries the
//! bytes and says what time it is.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::time::Duration;

use http_core::server::{Connection, Event, Phase, RequestHead, Response, ResponseBody, SendBody};
use http_core::{CloseReason, FieldBlock, FieldValue, Framing, Limits, Method, Status, Workspace, header};

use crate::page::Page;

/// Enough for the requests of browsers without cookies. What exceeds a limit is refused with 400, 414 or 431.
pub const LIMITS: Limits =
    Limits { start_line: 256, field_line: 512, head: 1536, fields: 24, body: 0, drain: 1024, ..Limits::DEFAULT };

/// How long a peer may take for a request, and how long a kept connection may be idle.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The heads of responses are at most this long: five header lines, and the 200 bytes of an error's text.
const HEAD: usize = 448;

/// A connection and its buffers. They are allocated once: a session is made at the start and [reset](Self::reset)
/// for each connection.
pub struct Session {
    connection: Connection,
    /// The receive buffer, while no connection has it.
    workspace: Workspace,
    fields: FieldBlock,
    /// The response's head, then its body. `sent` counts over both.
    head: Vec<u8>,
    body: Cow<'static, [u8]>,
    sent: usize,
    /// The last request has a body, which is not used.
    has_body: bool,
    phase: Phase,
    deadline: Duration,
}

#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<Session>() <= 312, "the guide in http-core says so");

/// What the caller must do before it polls again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Receive into [`Session::receive_buffer`], or wait until [`Session::deadline`].
    Receive,
    /// Send from [`Session::unsent`], and receive nothing until that is done. The peer's bytes stay in the network's
    /// buffer, so a peer that reads no response can send no further requests.
    Send,
    /// Close. The peer has got its response, or left.
    Close {
        /// Whether the next byte, if any, begins a request. If not, bytes of the last one may follow.
        in_step: bool,
    },
    /// Break the connection: the peer did not read its response in time.
    Abort,
}

impl Session {
    /// A session for a connection that begins now.
    pub fn new(now: Duration) -> Session {
        let mut session = Session {
            connection: Connection::new(LIMITS),
            workspace: Workspace::with_capacity(LIMITS.head as usize),
            fields: FieldBlock::new(),
            head: Vec::with_capacity(HEAD),
            body: Cow::default(),
            sent: 0,
            has_body: false,
            phase: Phase::Idle,
            deadline: now + TIMEOUT,
        };
        session.connection.attach(&mut session.workspace);
        session
    }

    /// Forgets the connection and begins another one in the same memory.
    pub fn reset(&mut self, now: Duration) {
        self.connection.detach(&mut self.workspace);
        self.connection = Connection::new(LIMITS);
        self.connection.attach(&mut self.workspace);
        self.head.clear();
        (self.body, self.sent, self.has_body) = (Cow::default(), 0, false);
        (self.phase, self.deadline) = (Phase::Idle, now + TIMEOUT);
    }

    /// Where to receive.
    pub fn receive_buffer(&mut self) -> &mut [u8] {
        self.connection.receive_buffer()
    }

    /// `n` bytes were received.
    pub fn received(&mut self, n: usize) {
        self.connection.received(n);
    }

    /// The peer sends no more.
    pub fn received_eof(&mut self) {
        self.connection.received_eof();
    }

    /// What is to be sent next.
    pub fn unsent(&self) -> &[u8] {
        match self.head.get(self.sent..) {
            Some(head) if !head.is_empty() => head,
            _ => self.body.get(self.sent - self.head.len()..).unwrap_or_default(),
        }
    }

    /// `n` bytes of [`unsent`](Self::unsent) were sent.
    pub fn sent(&mut self, n: usize) {
        self.sent += n.min(self.unsent().len());
    }

    /// When to poll again even if nothing was received or sent.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Whether the connection is kept for a next request, of which nothing was received.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Handles what was received, and says what to do next. `find` is what the device serves. `keep` says whether the
    /// connection may be kept after a response.
    pub fn poll(&mut self, now: Duration, keep: bool, find: impl Fn(&[u8], Duration) -> Option<Page>) -> Next {
        let (is_late, is_sending) = (now >= self.deadline, !self.unsent().is_empty());
        if is_late && (is_sending || self.phase == Phase::Closing) {
            return Next::Abort;
        }
        if is_sending {
            return Next::Send;
        }
        if is_late && self.phase != Phase::Responding {
            self.connection.handle_timeout(); // 408 if a request has begun
        }
        // `None` is a call in the wrong order, which would be a mistake in this file.
        let next = self.advance(now, keep, find).unwrap_or(Next::Abort);
        let phase = match next {
            Next::Send => Phase::Responding,
            Next::Close { .. } | Next::Abort => Phase::Closing,
            Next::Receive => self.connection.phase(),
        };
        // Bytes that arrive within a phase do not extend it. Each response has its own time.
        if phase != self.phase || phase == Phase::Responding {
            self.phase = phase;
            self.deadline = now + TIMEOUT + Duration::from_millis(self.unsent().len() as u64 + self.body.len() as u64);
        }
        next
    }

    fn advance(&mut self, now: Duration, keep: bool, find: impl Fn(&[u8], Duration) -> Option<Page>) -> Option<Next> {
        (self.body, self.sent) = (Cow::default(), 0);
        self.head.clear();
        match self.connection.poll() {
            Ok(Event::NeedInput) => Some(Next::Receive),
            Ok(Event::Closed) => {
                let asked = matches!(
                    self.connection.close_reason(),
                    Some(CloseReason::PeerRequested | CloseReason::CallerRequested | CloseReason::IdleTimeout)
                );
                Some(Next::Close { in_step: asked && !self.has_body })
            }
            Ok(Event::Request(request)) => {
                self.has_body = request.body != Framing::Empty;
                let (status, page) = answer(&request, |path| find(path, now));
                self.fields.clear();
                self.fields.push(header::CONTENT_TYPE, page.media_type).ok()?;
                if status == Status::METHOD_NOT_ALLOWED {
                    self.fields.push(header::ALLOW, FieldValue::from_static("GET, HEAD")).ok()?;
                }
                let body = ResponseBody::Length(page.body.len() as u64);
                let response =
                    Response { body, close: !keep, idle_timeout: Some(TIMEOUT), ..Response::new(status, &self.fields) };
                if let SendBody::Exactly(length) = self.connection.respond(&response, &mut self.head).ok()? {
                    self.connection.body_sent(length).ok()?; // it will be, or the connection breaks
                    self.body = page.body;
                }
                Some(Next::Send)
            }
            // LIMITS.body refuses bodies.
            Ok(_) => None,
            Err(_) => {
                self.connection.respond_error(None, &mut self.head).ok()?;
                Some(Next::Send)
            }
        }
    }
}

/// The response to a request.
fn answer(request: &RequestHead<'_>, find: impl Fn(&[u8]) -> Option<Page>) -> (Status, Page) {
    let text = |text: &'static str| Page {
        media_type: FieldValue::from_static("text/plain; charset=utf-8"),
        body: Cow::Borrowed(text.as_bytes()),
    };
    match request.method {
        Method::Get | Method::Head => match find(&request.path.decoded()) {
            Some(page) => (Status::OK, page),
            None => (Status::NOT_FOUND, text("There is nothing here.\n")),
        },
        method if method.is_known() => (Status::METHOD_NOT_ALLOWED, text("Only GET and HEAD are possible here.\n")),
        _ => (Status::NOT_IMPLEMENTED, text("This method is unknown here.\n")),
    }
}
