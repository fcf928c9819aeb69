//! A response's head: how it is received, the checks that it passes before the caller sees it, and the view that the
//! caller gets.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::client::leniency::Leniency;
use crate::error::ResponseError;
use crate::limits::Limits;
use crate::message::field::{Fields, header};
use crate::message::method::Method;
use crate::message::status::Status;
use crate::message::version::Version;
use crate::wire::framing::{self, Framing};
use crate::wire::parse;
use crate::wire::persistence::{self, CloseReason, ConnectionOption};
use crate::wire::recv_buffer::RecvBuffer;
use crate::wire::scan::{Found, HeadScanner};

/// A response's head, borrowed from its connection (RFC 1945 §6).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ResponseHead<'a> {
    /// The version as it was received, 1.0 to 1.9. It is [0.9](Version::HTTP_09) for a Simple-Response, which has no
    /// head.
    pub version: Version,
    /// The status, never 1xx; 200 for a Simple-Response. For one without a name, see [`Status::class`].
    pub status: Status,
    /// The reason phrase as it was received. It has no meaning (R9112-4). It may be empty, holds no control byte except
    /// HTAB, and need not be ASCII.
    pub reason: &'a [u8],
    /// The headers, in their order. A continuation line is part of its header's value (R9112-5.2).
    pub fields: Fields<'a>,
    /// How the body ends: [`Framing::Empty`] for HEAD, 204, 205 and 304, whatever the headers say.
    pub body: Framing,
    /// The complete head as it was received, including its empty line. It is empty for a Simple-Response.
    pub bytes: &'a [u8],
}

impl ResponseHead<'_> {
    /// The value of Content-Length. For HEAD and in a 304 that is the length of the body that a GET would get
    /// (RFC 9110 §8.6). `None` if there is no Content-Length, if there is a Transfer-Encoding, or if the value is invalid,
    /// which is an error only where a body follows.
    ///
    /// For how this response's own body ends, see [`body`](Self::body).
    ///
    /// ```
    /// use http_core::Framing;
    /// use http_core::client::{Connection, Event};
    /// # use http_core::{Authority, FieldBlock, Limits, Method, Target, client::Request};
    /// # let (host, fields) = (Authority::new(b"example.org")?, FieldBlock::new());
    /// # let mut connection = Connection::new(Limits::default());
    /// # let _no_body = connection.request(&Request::new(Method::Head, Target::new(b"/")?, host, &fields), &mut Vec::new())?;
    /// connection.receive(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n");   // the response to HEAD
    /// let Event::Response(head) = connection.poll()? else { unreachable!() };
    /// assert_eq!((head.content_length(), head.body), (Some(5), Framing::Empty));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        match framing::of_response(Method::Get, Status::OK, &self.fields) {
            Ok(Framing::Empty) => Some(0),
            Ok(Framing::Length(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

impl fmt::Debug for ResponseHead<'_> {
    /// Shows everything except `bytes`, which may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("version", &self.version)
            .field("status", &self.status)
            .field("reason", &format_args!("\"{}\"", self.reason.escape_ascii()))
            .field("fields", &self.fields)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// The head of the current response: how far it was received, and where its parts are. Offsets count from its first
/// byte.
pub(super) struct Head {
    scanner: HeadScanner,
    /// A copy with continuation lines joined, and without what the leniency ignores. `None` if it would be the same.
    pub(super) unfolded: Option<Box<[u8]>>,
    /// The number of interim responses before it.
    pub(super) interim: u8,
    /// Another reader might parse this head, or an interim response before it, differently.
    doubtful: bool,
    start_line_end: u32,
    /// 0 until the head is complete.
    pub(super) length: u32,
    reason: (u32, u32),
    version: Version,
    status: Status,
}

/// The first bytes of every response except a Simple-Response.
const HTTP: &[u8] = b"HTTP/";

impl Head {
    /// No head yet. Its values are also those of a Simple-Response.
    pub(super) const fn new() -> Head {
        Head {
            scanner: HeadScanner::new(),
            unfolded: None,
            interim: 0,
            doubtful: false,
            start_line_end: 0,
            length: 0,
            reason: (0, 0),
            version: Version::HTTP_09,
            status: Status::OK,
        }
    }

    /// Whether the bytes cannot begin a head, so that they are a Simple-Response if that is allowed.
    pub(super) fn is_simple(bytes: &[u8], limits: &Limits, eof: bool) -> bool {
        !HTTP.starts_with(beginning(bytes, limits)) || (eof && (1..HTTP.len()).contains(&bytes.len()))
    }

    /// Continues where it stopped, and skips interim responses. When the final head is complete, lends its bytes and
    /// returns the framing of the body, and the reason if the connection closes after it. `None` if more bytes are
    /// needed.
    pub(super) fn read(
        &mut self,
        buffer: &mut RecvBuffer,
        limits: &Limits,
        leniency: Leniency,
        is_head: bool,
    ) -> Result<Option<(Framing, Option<CloseReason>)>, ResponseError> {
        loop {
            self.scanner.allows_double_cr = leniency.double_cr;
            let bytes = buffer.unread();
            // Another protocol's greeting is refused at once, without waiting for the end of its line.
            if !HTTP.starts_with(beginning(bytes, limits)) {
                return Err(ResponseError::NotHttp);
            }
            let (length, read) = match self.scanner.scan(bytes, limits).map_err(|_| ResponseError::HeadTooLong)? {
                Found::Incomplete => return Ok(None),
                Found::StartLine(line, next) => {
                    let line = parse::status_line(&bytes[line], leniency.joined_reason)?;
                    self.start_line_end = next as u32;
                    self.reason = (line.reason.start as u32, line.reason.end as u32);
                    (self.version, self.status, self.unfolded) = (line.version, line.status, None);
                    self.doubtful |= line.lenient;
                    let (bytes, index) = buffer.parts();
                    match parse::plain_fields(bytes, next, limits, index) {
                        Some(length) => (length, self.judge(length, buffer, is_head)),
                        None => continue,
                    }
                }
                Found::HeadEnd(length) => (length, self.read_fields(length, buffer, is_head)),
            };
            let (framing, option) = match read {
                Err(error) if leniency != Leniency::NONE => {
                    self.read_repaired(length, buffer, leniency, is_head).ok_or(error)?
                }
                read => read?,
            };
            if self.status == Status::SWITCHING_PROTOCOLS {
                return Err(ResponseError::UnexpectedUpgrade);
            }
            if !self.status.is_informational() {
                let reason = persistence::close_reason_of_response(
                    self.version,
                    self.status,
                    option,
                    framing != Framing::UntilClose,
                    self.doubtful,
                );
                self.length = length as u32;
                buffer.lend_front(length);
                return Ok(Some((framing, reason)));
            }
            // Limited, or a server could keep the client waiting forever (R9110-15.2).
            if self.interim >= limits.interim {
                return Err(ResponseError::TooManyInterim);
            }
            self.interim += 1;
            buffer.consume(length);
            self.scanner = HeadScanner::new();
        }
    }

    /// Reads the header lines of a head of this length into the buffer's index, and decides which body follows.
    fn read_fields(
        &mut self,
        length: usize,
        buffer: &mut RecvBuffer,
        is_head: bool,
    ) -> Result<(Framing, ConnectionOption), ResponseError> {
        let from = self.start_line_end as usize;
        let (bytes, index) = buffer.parts();
        let mut bytes = &bytes[..length];
        if self.scanner.folded {
            // A copy, because the head is also handed out as it was received.
            let unfolded = self.unfolded.insert(bytes.into());
            parse::unfold_response(unfolded, from).map_err(|()| ResponseError::FieldSyntax)?;
            bytes = unfolded;
        }
        parse::fields(bytes, from, index).ok_or(ResponseError::FieldSyntax)?;
        self.judge(length, buffer, is_head)
    }

    /// Reads a head that is refused without leniency (D18). `None` if it is refused with it, too.
    fn read_repaired(
        &mut self,
        length: usize,
        buffer: &mut RecvBuffer,
        leniency: Leniency,
        is_head: bool,
    ) -> Option<(Framing, ConnectionOption)> {
        let (from, (bytes, index)) = (self.start_line_end as usize, buffer.parts());
        let mut repaired = Vec::new();
        if !leniency.repair(&bytes[..length], from, self.scanner.folded, &mut repaired) {
            return None;
        }
        parse::fields(self.unfolded.insert(repaired.into()), from, index)?;
        self.doubtful = true;
        self.judge(length, buffer, is_head).ok()
    }

    /// Decides what the indexed header lines say about the body and the connection.
    fn judge(
        &mut self,
        length: usize,
        buffer: &RecvBuffer,
        is_head: bool,
    ) -> Result<(Framing, ConnectionOption), ResponseError> {
        let bytes = self.unfolded.as_deref().unwrap_or(&buffer.unread()[..length]);
        let fields = Fields::new(bytes, buffer.fields());
        let framing = framing::of_response(if is_head { Method::Head } else { Method::Get }, self.status, &fields)?;
        self.doubtful |= is_doubtful(self.version, self.status, &fields, &self.scanner);
        Ok((framing, persistence::connection_option(&fields)))
    }

    pub(super) const fn status(&self) -> Status {
        self.status
    }

    /// The head as its caller sees it. `body` is all that follows it.
    pub(super) fn view<'a>(&'a self, buffer: &'a RecvBuffer, body: Framing) -> ResponseHead<'a> {
        let bytes = &buffer.unread()[..self.length as usize];
        let (from, to) = self.reason;
        ResponseHead {
            version: self.version,
            status: self.status,
            reason: &bytes[from as usize..to as usize],
            fields: Fields::new(self.unfolded.as_deref().unwrap_or(bytes), buffer.fields()),
            body,
            bytes,
        }
    }
}

/// The bytes that show whether this is a head. They end at the limit of a line, or the error would depend on how the
/// input is split.
fn beginning<'a>(bytes: &'a [u8], limits: &Limits) -> &'a [u8] {
    &bytes[..bytes.len().min(HTTP.len()).min((limits.start_line as usize).saturating_add(1))]
}

/// Whether another reader might find the end of the response elsewhere. It is read, but its end is not trusted:
/// R9112-6.1b, R9112-6.1c, D1, D3.
fn is_doubtful(version: Version, status: Status, fields: &Fields<'_>, scanner: &HeadScanner) -> bool {
    let coded = fields.get(header::TRANSFER_ENCODING).is_some();
    (coded && (version < Version::HTTP_11 || fields.get(header::CONTENT_LENGTH).is_some()))
        || framing::contradicts_status(status, fields)
        // Where there is no body, faulty headers have decided nothing here. Others may look for one.
        || framing::of_response(Method::Get, Status::OK, fields).is_err()
        || scanner.bare_lf
        || scanner.folded
}
