//! A response's head: how it is received, the checks that it passes before the caller sees it, and the view that the
//! caller gets.

use core::fmt;

use crate::error::ResponseError;
use crate::message::field::{Fields, header};
use crate::message::method::Method;
use crate::message::status::Status;
use crate::message::version::Version;
use crate::wire::chunked::Chunks;
use crate::wire::field_index::FieldIndex;
use crate::wire::framing::{self, Framing};
use crate::wire::parse;
use crate::wire::persistence::{self, CloseReason};
use crate::wire::scan::{Found, HeadScanner};

use super::{Body, Connection, State, Step};

/// A response's head, borrowed from its connection (RFC 1945 §6).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct ResponseHead<'a> {
    /// The version as it was received, 1.0 to 1.9. It is [0.9](Version::HTTP_09) for a Simple-Response, which has no head.
    pub version: Version,
    /// The status, never 1xx; 200 for a Simple-Response. Treat one without a name as the x00 of its
    /// [class](Status::class) (R1945-6.1.1a).
    pub status: Status,
    /// The reason phrase as it was received. It means nothing (R9112-4), may be empty, holds no control byte except HTAB,
    /// and need not be ASCII.
    pub reason: &'a [u8],
    /// The headers, in their order. A continuation line is part of its header's value (R9112-5.2).
    pub fields: Fields<'a>,
    /// How the body ends: [`Framing::Empty`] for HEAD, 204 and 304, whatever the headers say.
    pub body: Framing,
    /// The whole head as it was received, including its empty line. It is empty for a Simple-Response.
    pub bytes: &'a [u8],
}

impl ResponseHead<'_> {
    /// What Content-Length says. In a response to HEAD and in a 304 that is the length of the body that a GET would get
    /// (RFC 9110 §8.6). `None` if there is no Content-Length, or the body is chunked.
    ///
    /// How this response's own body ends is in [`body`](Self::body).
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

/// Where the parts of the current head are: offsets from its first byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) start_line_end: u32,
    /// 0 until the head is whole.
    pub(super) length: u32,
    reason: (u32, u32),
    pub(super) version: Version,
    pub(super) status: Status,
    body: Framing,
}

impl Head {
    /// No head; also what a Simple-Response means.
    pub(super) const NONE: Head = Head {
        start_line_end: 0,
        length: 0,
        reason: (0, 0),
        version: Version::HTTP_09,
        status: Status::OK,
        body: Framing::UntilClose,
    };

    /// Reads the status line, without its line end. The next line begins at `next`.
    pub(super) fn validate_start_line(&mut self, line: &[u8], next: usize) -> Result<(), ResponseError> {
        let line = parse::status_line(line)?;
        *self = Head {
            start_line_end: next as u32,
            reason: (line.reason.start as u32, line.reason.end as u32),
            version: line.version,
            status: line.status,
            ..Head::NONE
        };
        Ok(())
    }

    /// Decides what body follows a final response, and why the connection closes after it, if it does.
    pub(super) fn validate(
        &mut self,
        fields: &Fields<'_>,
        is_head: bool,
        scanner: &HeadScanner,
    ) -> Result<(Framing, Option<CloseReason>), ResponseError> {
        let method = if is_head { Method::Head } else { Method::Get };
        self.body = framing::of_response(method, self.status, fields)?;
        // R9112-6.1b, R9112-6.1c: such a response is read, but not trusted to end where it says. Neither is one that
        // another reader might take for another head.
        let coded = fields.get(header::TRANSFER_ENCODING).is_some();
        let doubtful = (coded && (self.version < Version::HTTP_11 || fields.get(header::CONTENT_LENGTH).is_some()))
            || scanner.bare_lf
            || scanner.folded;
        let option = persistence::connection_option(fields);
        let has_end = self.body != Framing::UntilClose;
        Ok((self.body, persistence::close_reason_of_response(self.version, option, has_end, doubtful)))
    }

    /// The head as its caller sees it. `unfolded` is a copy with its continuation lines joined; empty if there are none.
    pub(super) fn view<'a>(&self, bytes: &'a [u8], unfolded: &'a [u8], index: &'a FieldIndex) -> ResponseHead<'a> {
        let (from, to) = self.reason;
        ResponseHead {
            version: self.version,
            status: self.status,
            reason: &bytes[from as usize..to as usize],
            fields: Fields::new(if unfolded.is_empty() { bytes } else { unfolded }, index),
            body: self.body,
            bytes,
        }
    }
}

/// The first bytes of every response except a Simple-Response.
const HTTP: &[u8] = b"HTTP/";

impl Connection {
    pub(super) fn receive_head(&mut self) -> Result<Step, ResponseError> {
        loop {
            let bytes = self.buffer.unread();
            // Not beyond the limit of the line either, or the pieces would decide which of two errors it is.
            let first = &bytes[..bytes.len().min(HTTP.len()).min((self.limits.start_line as usize).saturating_add(1))];
            // Another protocol's greeting is refused at once, without waiting for the end of its line.
            let simple = !HTTP.starts_with(first) || (self.eof && (1..HTTP.len()).contains(&bytes.len()));
            if simple && self.allows_http09 && !self.reused && self.interim == 0 {
                self.close_reason = self.close_reason.or(Some(CloseReason::UnknownLength));
                self.state = State::Body(Body::UntilClose);
                self.buffer.parts().1.clear();
                return Ok(Step::Response);
            }
            if !HTTP.starts_with(first) {
                return Err(ResponseError::NotHttp);
            }
            match self.scanner.scan(bytes, &self.limits).map_err(|_| ResponseError::HeadTooLong)? {
                Found::Incomplete if self.eof && bytes.is_empty() => return Err(ResponseError::NoResponse),
                Found::Incomplete if self.eof => return Err(ResponseError::HeadTruncated), // R9112-8
                Found::Incomplete => return self.need_input(),
                Found::StartLine(line, next) => self.head.validate_start_line(&bytes[line], next)?,
                Found::HeadEnd(length) => {
                    self.validate_head(length)?;
                    if !self.head.status.is_informational() {
                        self.head.length = length as u32;
                        self.buffer.lend_front(length);
                        return Ok(Step::Response);
                    }
                    self.interim += 1;
                    self.buffer.consume(length);
                    self.scanner = HeadScanner::new();
                }
            }
        }
    }

    /// Checks everything that the caller may rely on.
    fn validate_head(&mut self, length: usize) -> Result<(), ResponseError> {
        let from = self.head.start_line_end as usize;
        self.unfolded.clear();
        if self.scanner.folded {
            // A copy, because the head is also handed out as it was received.
            self.unfolded.extend_from_slice(&self.buffer.unread()[..length]);
            parse::unfold_response(&mut self.unfolded, from).map_err(|()| ResponseError::FieldSyntax)?;
        }
        let (bytes, index) = self.buffer.parts();
        let bytes = if self.scanner.folded { &self.unfolded } else { &bytes[..length] };
        parse::fields(bytes, from, self.scanner.field_lines, index).ok_or(ResponseError::FieldSyntax)?;
        if self.head.status == Status::SWITCHING_PROTOCOLS {
            return Err(ResponseError::UnexpectedUpgrade);
        }
        if self.head.status.is_informational() {
            // Limited, or a server could keep the client waiting for ever (R9110-15.2).
            return if self.interim < self.limits.interim { Ok(()) } else { Err(ResponseError::TooManyInterim) };
        }
        let (framing, reason) = self.head.validate(&Fields::new(bytes, index), self.is_head, &self.scanner)?;
        self.close_reason = self.close_reason.or(reason);
        self.chunks = Chunks::new();
        self.state = State::Body(match framing {
            Framing::Empty => Body::Length(0),
            Framing::Length(bytes) => Body::Length(bytes),
            Framing::UntilClose => Body::UntilClose,
            Framing::Chunked => Body::Chunked,
        });
        Ok(())
    }

    /// The head that is handed out.
    pub(super) fn view(&self) -> ResponseHead<'_> {
        let bytes = &self.buffer.unread()[..self.head.length as usize];
        self.head.view(bytes, &self.unfolded, self.buffer.fields())
    }
}
