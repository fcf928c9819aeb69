//! Malformed heads that a client accepts on request, and how they are repaired. The repaired head is parsed and framed
//! as strictly as any other.

use alloc::vec::Vec;

use crate::message::field::{FieldName, FieldValue, header};
use crate::wire::parse;

/// Malformed responses that a client accepts. Default: none, each is an error.
///
/// Cameras, printers and meters in the field send them. Allow what your devices need, and only for them. After such a
/// response the connection closes ([`CloseReason::LenientParse`](crate::CloseReason::LenientParse)). The limits and
/// the rules for framing hold as for any other response, and chunks have no leniency.
///
/// ```
/// use http_core::client::{Connection, Event, Leniency};
/// # use http_core::{Authority, FieldBlock, Limits, Method, Target, client::Request};
/// # let (host, fields) = (Authority::new(b"camera").unwrap(), FieldBlock::new());
/// let leniency = Leniency { joined_reason: true, ..Leniency::NONE };
/// let mut connection = Connection::new(Limits::default()).with_leniency(leniency);
/// # let _no_body = connection.request(&Request::new(Method::Get, Target::new(b"/")?, host, &fields), &mut Vec::new())?;
/// connection.receive(b"HTTP/1.0 404Not Found\r\n\r\n");
/// let Ok(Event::Response(head)) = connection.poll() else { panic!() };
/// assert_eq!((head.status.code(), head.reason), (404, &b"Not Found"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Leniency {
    /// A reason phrase that follows the status code without a blank: `HTTP/1.0 404Not Found`. Otherwise:
    /// [`StatusLine`](crate::ResponseError::StatusLine) (RFC 9112 §4).
    ///
    /// Risk: none that is known. The status is the first three digits, and a fourth is still an error.
    pub joined_reason: bool,
    /// Lines of a head that end with CR CR LF, as a program sends them that writes CRLF to a text stream. Otherwise:
    /// [`StatusLine`](crate::ResponseError::StatusLine) or [`FieldSyntax`](crate::ResponseError::FieldSyntax)
    /// (RFC 9112 §2.2).
    ///
    /// Risk: another recipient may find the end of the head elsewhere, and so another body.
    pub double_cr: bool,
    /// Header lines without a colon, with an invalid name, or with a control byte, as in some Set-Cookie. They are
    /// missing in [`fields`](super::ResponseHead::fields) and present in [`bytes`](super::ResponseHead::bytes).
    /// Otherwise: [`FieldSyntax`](crate::ResponseError::FieldSyntax) (RFC 9110 §5.5, RFC 9112 §5).
    ///
    /// Risk: what the line meant is lost. So one that mentions Content-Length or Transfer-Encoding is still an error, and
    /// one that begins with CR, where some recipients end the head.
    pub invalid_fields: bool,
    /// A Transfer-Encoding without a coding: an empty one, or `identity` of RFC 2616. It counts as absent, so that
    /// Content-Length or the close ends the body. Otherwise:
    /// [`TransferEncoding`](crate::ResponseError::TransferEncoding) (RFC 9112 §6.1).
    ///
    /// Risk: other recipients let any Transfer-Encoding override the Content-Length, and read to the close.
    pub empty_transfer_encoding: bool,
}

impl Leniency {
    /// No leniency: the default.
    pub const NONE: Leniency =
        Leniency { joined_reason: false, double_cr: false, invalid_fields: false, empty_transfer_encoding: false };

    /// Everything, for a client that shows people what any device says.
    pub const ALL: Leniency =
        Leniency { joined_reason: true, double_cr: true, invalid_fields: true, empty_transfer_encoding: true };

    /// Writes a complete head to `out` without what this leniency ignores. The first `from` bytes are its first line.
    /// `false` if there is nothing to ignore.
    pub(super) fn repair(self, head: &[u8], from: usize, is_folded: bool, out: &mut Vec<u8>) -> bool {
        out.clear();
        out.extend_from_slice(&head[..from]);
        for line in head[from..].split_inclusive(|&c| c == b'\n') {
            match line.strip_suffix(b"\r\r\n") {
                Some(content) if self.double_cr => out.extend([content, b"\r\n"].into_iter().flatten()),
                _ => out.extend_from_slice(line),
            }
        }
        if is_folded && parse::unfold_response(out, from).is_err() {
            return false;
        }
        let (mut kept, mut start) = (from, from);
        while let Some(length) = memchr::memchr(b'\n', &out[start..]) {
            let line = start..start + length + 1;
            start = line.end;
            let content = &out[line.start..line.end - 1];
            if !self.ignores(content.strip_suffix(b"\r").unwrap_or(content)) {
                out.copy_within(line.clone(), kept);
                kept += line.len();
            }
        }
        out.truncate(kept);
        kept < head.len()
    }

    /// Whether a line of a head, without its end, counts as absent. An empty line never does.
    fn ignores(self, line: &[u8]) -> bool {
        let mut parts = line.splitn(2, |&c| c == b':');
        let name = FieldName::new(parts.next().unwrap_or_default());
        match (name, parts.next().map(FieldValue::new)) {
            (Ok(name), Some(Ok(value))) => {
                let is_empty = value.as_bytes().is_empty() || value.as_bytes().eq_ignore_ascii_case(b"identity");
                self.empty_transfer_encoding && is_empty && name == header::TRANSFER_ENCODING
            }
            _ => self.invalid_fields && !matches!(line, [] | [b'\r', ..]) && !mentions_framing(line),
        }
    }
}

fn mentions_framing(line: &[u8]) -> bool {
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].iter().any(|name| {
        let name = name.as_str().as_bytes();
        line.windows(name.len()).any(|part| part.eq_ignore_ascii_case(name))
    })
}
