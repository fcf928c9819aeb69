//! What a server judges of a head before its caller sees it, in the order of D16: line grammar, version, fields, Host,
//! framing, CONNECT, target. Each judgement itself is in the file that it calls.

use crate::error::{RequestError, TargetError};
use crate::message::field::{Fields, Index, header};
use crate::message::method::Method;
use crate::message::path::Path;
use crate::message::target::{Form, Target, TargetParts, host_length};
use crate::message::version::Version;
use crate::server::types::RequestHead;
use crate::wire::framing::{self, Framing};
use crate::wire::parse;
use crate::wire::persistence::{self, ConnectionOption};
use crate::wire::scan::HeadScanner;

/// What is known of a head, and where its parts stand: offsets from its first byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) start_line_end: u32,
    /// 0 until the head is whole.
    pub(crate) length: u32,
    method_end: u32,
    target: (u32, u32),
    parts: Option<TargetParts>,
    pub(crate) version: Version,
    pub(crate) is_head: bool,
    /// Something was let pass that another reader might understand otherwise (D1, D2, D3).
    pub(crate) lenient: bool,
    pub(crate) expects_continue: bool,
    pub(crate) connection_option: ConnectionOption,
}

impl Head {
    pub(crate) const NONE: Head = Head {
        start_line_end: 0,
        length: 0,
        method_end: 0,
        target: (0, 0),
        parts: None,
        version: Version::HTTP_10, // an error in what follows is answered with a status line
        is_head: false,
        lenient: false,
        expects_continue: false,
        connection_option: ConnectionOption::Nothing,
    };

    /// The request line, without its line end; `next` is where the line behind it begins.
    pub(crate) fn validate_start_line(
        &mut self,
        bytes: &[u8],
        next: usize,
        allows_http09: bool,
    ) -> Result<(), RequestError> {
        let line = parse::request_line(bytes)?;
        *self = Head {
            start_line_end: next as u32,
            method_end: line.method.end as u32,
            target: (line.target.start as u32, line.target.end as u32),
            is_head: &bytes[line.method] == b"HEAD",
            lenient: line.lenient,
            ..Head::NONE
        };
        if line.version == Version::HTTP_09 {
            if !allows_http09 {
                return Err(RequestError::RequestLine);
            }
            self.parts = Some(validate_target(&bytes[line.target])?);
        }
        self.version = line.version;
        Ok(())
    }

    /// The field lines, from the head's first byte through its empty line; fills their index.
    pub(crate) fn validate_fields(
        &mut self,
        bytes: &mut [u8],
        scanner: &HeadScanner,
        index: &mut Index,
    ) -> Result<(), RequestError> {
        let strict = self.version >= Version::HTTP_11;
        let from = self.start_line_end as usize;
        match scanner {
            HeadScanner { bare_lf: true, .. } if strict => return Err(RequestError::BareLf), // D1
            HeadScanner { folded: true, .. } if strict => return Err(RequestError::ObsFold), // D3
            HeadScanner { folded: true, .. } => parse::unfold(bytes, from).map_err(|()| RequestError::ObsFold)?,
            _ => {}
        }
        self.lenient |= scanner.bare_lf || scanner.folded;
        parse::fields(bytes, from, scanner.field_lines, index).ok_or(RequestError::FieldSyntax)
    }

    /// The whole head, whose first line and field lines were judged before: what body follows.
    pub(crate) fn validate(&mut self, bytes: &[u8], index: &Index) -> Result<Framing, RequestError> {
        let fields = Fields::new(bytes, index);
        validate_host(self.version, &fields)?;
        let method = Method::new(&bytes[..self.method_end as usize]).map_err(|_| RequestError::Method)?;
        let framing = framing::of_request(method, self.version, &fields)?;
        if method == Method::Connect {
            return Err(RequestError::ConnectMethod); // R9112-3.2.3, R9110-9.3.6
        }
        let parts = validate_target(self.target_of(bytes))?;
        if parts.form() == Form::Asterisk && method != Method::Options {
            return Err(RequestError::Target(TargetError::Form)); // R9112-3.2.4
        }
        self.parts = Some(parts);
        self.connection_option = persistence::connection_option(&fields);
        self.expects_continue = self.version >= Version::HTTP_11 && fields.get(header::EXPECT).is_some();
        Ok(framing)
    }

    /// The head as its caller sees it, with `body` bytes still to come.
    pub(crate) fn view<'a>(&self, bytes: &'a [u8], index: &'a Index, body: u64) -> Option<RequestHead<'a>> {
        let target = self.target_of(bytes);
        let parts = self.parts?;
        Some(RequestHead {
            method: Method::new(&bytes[..self.method_end as usize]).ok()?,
            target: Target::from_parts(target, parts),
            path: Path::read_before(parts.path(target)),
            version: self.version,
            fields: Fields::new(bytes, index),
            body: if body == 0 { Framing::Empty } else { Framing::Length(body) },
        })
    }

    fn target_of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.target.0 as usize..self.target.1 as usize]
    }
}

/// A target that a server can have: its path stays below the root.
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
