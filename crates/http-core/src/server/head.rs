//! A request's head: how it is received, and the checks that it passes before the caller sees it, in the order of D16:
//! line grammar, version, headers, Host, framing, CONNECT, target. The checks themselves are in other files.

use crate::error::RequestError;
use crate::limits::Limits;
use crate::message::field::{Fields, header};
use crate::message::field_index::FieldIndex;
use crate::message::method::Method;
use crate::message::path::Path;
use crate::message::target::{Target, TargetForm, TargetParts, host_length};
use crate::message::target_error::TargetError;
use crate::message::version::Version;
use crate::server::types::{Expectation, RequestHead};
use crate::wire::framing::{self, Framing};
use crate::wire::parse;
use crate::wire::persistence::{self, ConnectionOption};
use crate::wire::recv_buffer::RecvBuffer;
use crate::wire::scan::{Found, HeadScanner, TooLong};

/// What is known of the current head, and where its parts are: offsets from its first byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    scanner: HeadScanner,
    blank_lines: u8,
    pub(super) start_line_end: u32,
    /// 0 until the head is complete.
    pub(super) length: u32,
    method_end: u32,
    target: (u32, u32),
    parts: Option<TargetParts>,
    pub(super) version: Version,
    pub(super) is_head: bool,
    /// Something was accepted that another reader might understand differently (D1, D2, D3).
    pub(super) lenient: bool,
    /// What is still expected of us.
    pub(super) expectation: Expectation,
    pub(super) connection_option: ConnectionOption,
}

impl Head {
    pub(super) const NONE: Head = Head {
        scanner: HeadScanner::new(),
        blank_lines: 0,
        start_line_end: 0,
        length: 0,
        method_end: 0,
        target: (0, 0),
        parts: None,
        version: Version::HTTP_10, // so that the response to an error gets a status line
        is_head: false,
        lenient: false,
        expectation: Expectation::Nothing,
        connection_option: ConnectionOption::Nothing,
    };

    /// Before the same head is read once more.
    pub(super) fn again(self) -> Head {
        Head { scanner: self.scanner.again(), ..Head::NONE }
    }

    /// Continues where it stopped. When the head is complete, lends its bytes and returns the framing of the body.
    /// `None` if more bytes are needed.
    pub(super) fn read(
        &mut self,
        buffer: &mut RecvBuffer,
        limits: &Limits,
        allows_http09: bool,
    ) -> Result<Option<Framing>, RequestError> {
        let (length, body) = loop {
            let bytes = buffer.unread();
            if bytes.is_empty() && limits.head > 0 {
                return Ok(None); // as usual between two requests
            }
            // A TLS hello is refused at once, without waiting for the end of its line.
            if let Some(first) = bytes.first()
                && self.start_line_end == 0
                && !matches!(first, b'\r' | b'\n' | 0x21..=0x7e)
            {
                return Err(RequestError::RequestLine);
            }
            match self.scanner.scan(bytes, limits) {
                Ok(Found::Incomplete) => return Ok(None),
                Ok(Found::StartLine(line, next)) if line.is_empty() => {
                    // R9112-2.2d
                    if self.blank_lines >= limits.blank_lines {
                        return Err(RequestError::BlankLines);
                    }
                    self.blank_lines += 1;
                    buffer.consume(next);
                    self.scanner = self.scanner.after_blank_line();
                }
                Ok(Found::StartLine(line, next)) => {
                    self.validate_start_line(&bytes[line], next, allows_http09)?;
                    if self.version == Version::HTTP_09 {
                        buffer.parts().1.clear();
                        break (next, Framing::Empty); // complete with its first line
                    }
                    let (bytes, index) = buffer.parts();
                    if !(self.scanner.bare_lf || self.scanner.folded)
                        && let Some(length) = parse::plain_fields(bytes, next, limits, index)
                    {
                        break (length, self.validate(&bytes[..length], index)?);
                    }
                }
                Ok(Found::HeadEnd(length)) => {
                    let (bytes, index) = buffer.parts();
                    let bytes = &mut bytes[..length];
                    self.validate_fields(bytes, index)?;
                    break (length, self.validate(bytes, index)?);
                }
                Err(TooLong::StartLine) => {
                    return Err(parse::request_line_too_long(&bytes[..limits.start_line as usize + 1]));
                }
                Err(TooLong::FieldLine) => return Err(RequestError::FieldLineTooLong),
                Err(TooLong::Fields) => return Err(RequestError::TooManyFields),
                Err(TooLong::Head) => return Err(RequestError::HeadTooLong),
            }
        };
        self.length = length as u32;
        buffer.lend_front(length);
        Ok(Some(body))
    }

    /// Reads the request line, without its line end. The next line begins at `next`.
    fn validate_start_line(&mut self, bytes: &[u8], next: usize, allows_http09: bool) -> Result<(), RequestError> {
        let line = parse::request_line(bytes)?;
        self.start_line_end = next as u32;
        self.method_end = line.method.end as u32;
        self.target = (line.target.start as u32, line.target.end as u32);
        self.is_head = &bytes[line.method] == b"HEAD";
        self.lenient = line.lenient;
        if line.version == Version::HTTP_09 {
            if !allows_http09 {
                return Err(RequestError::RequestLine);
            }
            self.parts = Some(validate_target(&bytes[line.target])?);
        }
        self.version = line.version;
        Ok(())
    }

    /// Reads the field lines into the index. `bytes` is the complete head, including its empty line.
    fn validate_fields(&mut self, bytes: &mut [u8], index: &mut FieldIndex) -> Result<(), RequestError> {
        let strict = self.version >= Version::HTTP_11;
        let from = self.start_line_end as usize;
        match &self.scanner {
            HeadScanner { bare_lf: true, .. } if strict => return Err(RequestError::BareLf), // D1
            HeadScanner { folded: true, .. } if strict => return Err(RequestError::ObsFold), // D3
            HeadScanner { folded: true, .. } => parse::unfold(bytes, from).map_err(|()| RequestError::ObsFold)?,
            _ => {}
        }
        self.lenient |= self.scanner.bare_lf || self.scanner.folded;
        parse::fields(bytes, from, index).ok_or(RequestError::FieldSyntax)
    }

    /// Decides which body follows a head whose first line and field lines have been read.
    fn validate(&mut self, bytes: &[u8], index: &FieldIndex) -> Result<Framing, RequestError> {
        let fields = Fields::new(bytes, index);
        validate_host(self.version, &fields)?;
        let method = Method::new(&bytes[..self.method_end as usize]).map_err(|_| RequestError::Method)?;
        let framing = framing::of_request(method, self.version, &fields)?;
        if method == Method::Connect {
            return Err(RequestError::ConnectMethod); // R9112-3.2.3, R9110-9.3.6
        }
        let parts = validate_target(self.target_of(bytes))?;
        if parts.form() == TargetForm::Asterisk && method != Method::Options {
            return Err(RequestError::Target(TargetError::Form)); // R9112-3.2.4
        }
        self.parts = Some(parts);
        self.connection_option = persistence::connection_option(&fields);
        self.expectation = Expectation::of_request(self.version, &fields);
        Ok(framing)
    }

    /// The head as its caller sees it. `body` bytes are still to come.
    pub(super) fn view<'a>(&self, bytes: &'a [u8], index: &'a FieldIndex, body: u64) -> Option<RequestHead<'a>> {
        let target = self.target_of(bytes);
        let parts = self.parts?;
        Some(RequestHead {
            method: Method::new(&bytes[..self.method_end as usize]).ok()?,
            target: Target::from_parts(target, parts),
            path: Path::from_validated(parts.path(target)),
            version: self.version,
            fields: Fields::new(bytes, index),
            body: Framing::of_length(body),
        })
    }

    fn target_of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.target.0 as usize..self.target.1 as usize]
    }
}

/// Reads a target and checks that its path stays below the root.
fn validate_target(raw: &[u8]) -> Result<TargetParts, RequestError> {
    let parts = TargetParts::new(raw)?;
    Path::read(parts.path(raw), parts.is_plain())?;
    Ok(parts)
}

/// R9112-3.2a, R9112-3.2b
fn validate_host(version: Version, fields: &Fields<'_>) -> Result<(), RequestError> {
    let mut hosts = fields.get_all(header::HOST);
    match (hosts.next(), hosts.next()) {
        (None, _) if version >= Version::HTTP_11 => Err(RequestError::HostMissing),
        (None, _) => Ok(()),
        (Some(_), Some(_)) => Err(RequestError::HostRepeated),
        (Some(host), None) => match host_length(host.as_bytes()) {
            Some(_) => Ok(()),
            None => Err(RequestError::HostInvalid),
        },
    }
}
