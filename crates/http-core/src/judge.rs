//! What a server judges of a head before its caller sees it, in the order of D16: line grammar, version, fields, Host,
//! framing, CONNECT, target. Each judgement itself is in the file that it calls.

use crate::error::{RequestError, TargetError};
use crate::exchange::RequestHead;
use crate::field::{Fields, Index, name};
use crate::framing::{self, Framing};
use crate::method::Method;
use crate::parse;
use crate::path::Path;
use crate::persist::{self, Asked};
use crate::scan::Scanner;
use crate::target::{Form, Target, TargetParts, host_length};
use crate::version::Version;

/// What is known of a head, and where its parts stand: offsets from its first octet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) first_line_end: u32,
    /// 0 until the head is whole.
    pub(crate) length: u32,
    method_end: u32,
    target: (u32, u32),
    parts: Option<TargetParts>,
    pub(crate) version: Version,
    pub(crate) is_head: bool,
    /// Something was let pass that another reader might understand otherwise (D1, D2, D3).
    pub(crate) tolerated: bool,
    pub(crate) expects_continue: bool,
    pub(crate) asked: Asked,
}

impl Head {
    pub(crate) const NONE: Head = Head {
        first_line_end: 0,
        length: 0,
        method_end: 0,
        target: (0, 0),
        parts: None,
        version: Version::HTTP_10, // an error in what follows is answered with a status line
        is_head: false,
        tolerated: false,
        expects_continue: false,
        asked: Asked::Nothing,
    };

    /// The request line, without its line end; `next` is where the line behind it begins.
    pub(crate) fn judge_first_line(
        &mut self,
        bytes: &[u8],
        next: usize,
        simple_requests: bool,
    ) -> Result<(), RequestError> {
        let line = parse::request_line(bytes)?;
        *self = Head {
            first_line_end: next as u32,
            method_end: line.method.end as u32,
            target: (line.target.start as u32, line.target.end as u32),
            is_head: &bytes[line.method] == b"HEAD",
            tolerated: line.tolerated,
            ..Head::NONE
        };
        if line.version == Version::HTTP_09 {
            if !simple_requests {
                return Err(RequestError::RequestLine);
            }
            self.parts = Some(judge_target(&bytes[line.target])?);
        }
        self.version = line.version;
        Ok(())
    }

    /// The field lines, from the head's first octet through its empty line; fills their index.
    pub(crate) fn judge_fields(
        &mut self,
        bytes: &mut [u8],
        scanner: &Scanner,
        index: &mut Index,
    ) -> Result<(), RequestError> {
        let strict = self.version >= Version::HTTP_11;
        let from = self.first_line_end as usize;
        match scanner {
            Scanner { bare_lf: true, .. } if strict => return Err(RequestError::BareLf), // D1
            Scanner { folded: true, .. } if strict => return Err(RequestError::Folded),  // D3
            Scanner { folded: true, .. } => parse::unfold(bytes, from).map_err(|()| RequestError::Folded)?,
            _ => {}
        }
        self.tolerated |= scanner.bare_lf || scanner.folded;
        parse::fields(bytes, from, scanner.field_lines, index).ok_or(RequestError::FieldSyntax)
    }

    /// The whole head, whose first line and field lines were judged before: what body follows.
    pub(crate) fn judge(&mut self, bytes: &[u8], index: &Index) -> Result<Framing, RequestError> {
        let fields = Fields::new(bytes, index);
        judge_host(self.version, &fields)?;
        let method = Method::new(&bytes[..self.method_end as usize]).ok_or(RequestError::Method)?;
        let framing = framing::of_request(method, self.version, &fields)?;
        if method == Method::Connect {
            return Err(RequestError::Connect); // R9112-3.2.3, R9110-9.3.6
        }
        let parts = judge_target(self.target_of(bytes))?;
        if parts.form() == Form::Asterisk && method != Method::Options {
            return Err(RequestError::Target(TargetError::Form)); // R9112-3.2.4
        }
        self.parts = Some(parts);
        self.asked = persist::asked(&fields);
        self.expects_continue = self.version >= Version::HTTP_11 && fields.get(name::EXPECT).is_some();
        Ok(framing)
    }

    /// The head as its caller sees it, with `body` octets still to come.
    pub(crate) fn view<'a>(&self, bytes: &'a [u8], index: &'a Index, body: u64) -> Option<RequestHead<'a>> {
        let target = self.target_of(bytes);
        let parts = self.parts?;
        Some(RequestHead {
            method: Method::new(&bytes[..self.method_end as usize])?,
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
fn judge_target(raw: &[u8]) -> Result<TargetParts, RequestError> {
    let parts = TargetParts::new(raw)?;
    Path::read(parts.path(raw), parts.is_plain())?;
    Ok(parts)
}

/// R9112-3.2a, R9112-3.2b
fn judge_host(version: Version, fields: &Fields<'_>) -> Result<(), RequestError> {
    let mut hosts = fields.get_all(name::HOST);
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
