//! Parses start lines and field lines into the positions of their parts. What the parts mean together is decided
//! elsewhere.
//!
//! Leniency depends on the version. Some syntax that HTTP/1.1 forbids is accepted from HTTP/1.0 and 0.9 clients, and
//! then the connection closes after the response (D1–D4, D10).

use core::ops::Range;

use memchr::{memchr, memchr2};

use crate::error::{RequestError, ResponseError};
use crate::grammar::{is_blank, is_token, is_value_text};
use crate::limits::Limits;
use crate::message::field::{FieldName, header};
use crate::message::field_index::FieldIndex;
use crate::message::status::Status;
use crate::message::version::Version;
use crate::wire::field_line::{httparse_lines, usual_lines};

/// The parts of a request line. Offsets count from its first byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestLine {
    pub(crate) method: Range<usize>,
    pub(crate) target: Range<usize>,
    pub(crate) version: Version,
    /// The words were separated by several spaces or by a tab (D2).
    pub(crate) lenient: bool,
}

/// Parses a request line without its line end, including that of a Simple-Request (R1945-4.1, R1945-5.1).
pub(crate) fn request_line(line: &[u8]) -> Result<RequestLine, RequestError> {
    let (Some(first), Some(last)) = (line.first(), line.last()) else { return Err(RequestError::RequestLine) };
    // No whitespace before the first word or after the last (R9112-3c).
    if is_blank(first) || is_blank(last) {
        return Err(RequestError::RequestLine);
    }
    let method = 0..line.iter().position(is_blank).unwrap_or(line.len());
    if !is_token(&line[method.clone()]) {
        return Err(RequestError::Method);
    }
    let target = word(line, method.end);
    let version = skip_blanks(line, target.end)..line.len();
    if target.is_empty() {
        return Err(RequestError::RequestLine);
    }
    if version.is_empty() {
        // Exactly `GET SP abs_path` (D10).
        let simple = &line[..method.end] == b"GET"
            && target.start == method.end + 1
            && line[method.end] == b' '
            && line[target.start] == b'/'
            && !ends_in_version(&line[target.clone()]);
        return match simple {
            true => Ok(RequestLine { method, target, version: Version::HTTP_09, lenient: false }),
            false => Err(RequestError::RequestLine),
        };
    }
    let single = |from: usize, to: usize| to - from == 1 && line[from] == b' ';
    let lenient = !(single(method.end, target.start) && single(target.end, version.start));
    let version = match Version::parse(&line[version.clone()]) {
        Some(version) if version.major() == 1 => version,
        Some(version) if version.major() > 1 && !lenient => return Err(RequestError::VersionNotSupported),
        None if line[version].iter().any(is_blank) => return Err(RequestError::RequestLine), // several words
        _ => return Err(RequestError::Version), // HTTP/0.x is never written out (D4, R9110-6.2)
    };
    if lenient && version > Version::HTTP_10 {
        return Err(RequestError::Whitespace); // D2
    }
    Ok(RequestLine { method, target, version, lenient })
}

/// Whether a target ends with `HTTP/`, a digit, and only digits and dots after it. Without a version, it is the target of
/// an HTTP/1.x request that lacks the space before it (D10, R9112-C.1).
fn ends_in_version(target: &[u8]) -> bool {
    let number = target.iter().rev().take_while(|c| matches!(c, b'0'..=b'9' | b'.')).count();
    let (front, number) = target.split_at(target.len() - number);
    front.ends_with(b"HTTP/") && number.first().is_some_and(u8::is_ascii_digit)
}

/// The next word after `from`, without the spaces and tabs before it. Empty at the end of the line.
fn word(line: &[u8], from: usize) -> Range<usize> {
    let start = skip_blanks(line, from);
    let end = memchr2(b' ', b'\t', &line[start..]).map_or(line.len(), |length| start + length);
    start..end
}

fn skip_blanks(line: &[u8], from: usize) -> usize {
    from + line[from..].iter().take_while(|c| is_blank(c)).count()
}

/// The error for a request line that exceeds its limit; `line` is one byte longer than the limit (R9112-3a).
pub(crate) fn request_line_too_long(line: &[u8]) -> RequestError {
    let method = line.iter().position(is_blank).unwrap_or(line.len());
    if !is_token(&line[..method]) {
        return RequestError::Method;
    }
    if method == line.len() {
        return RequestError::MethodTooLong;
    }
    match word(line, method).end == line.len() {
        true => RequestError::TargetTooLong,
        false => RequestError::RequestLineTooLong,
    }
}

/// The parts of a status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatusLine {
    pub(crate) version: Version,
    pub(crate) status: Status,
    /// Offsets count from the first byte of the line.
    pub(crate) reason: Range<usize>,
    /// The reason follows the status without a blank.
    pub(crate) lenient: bool,
}

/// The first line of what was received, without its line end and cut at `limit` bytes, for a log.
pub(crate) fn start_line(received: &[u8], limit: usize) -> &[u8] {
    let length = memchr(b'\n', received).unwrap_or(received.len());
    let line = &received[..length.min(limit)];
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Reads a status line without its line end: any number of blanks, an optional reason phrase, any HTTP/1.x
/// (R1945-6.1b, R1945-Ba, R9112-4). If allowed, the reason may follow the status without a blank (D18).
pub(crate) fn status_line(line: &[u8], allows_joined_reason: bool) -> Result<StatusLine, ResponseError> {
    if !line.starts_with(b"HTTP/") {
        return Err(ResponseError::NotHttp);
    }
    let end = line.iter().position(is_blank).unwrap_or(line.len());
    let version = Version::parse(&line[..end]).ok_or(ResponseError::StatusLine)?;
    if version.major() != 1 {
        return Err(ResponseError::VersionNotSupported);
    }
    let mut code = word(line, end);
    let lenient = allows_joined_reason && line[code.clone()].get(3).is_some_and(|c| !c.is_ascii_digit());
    if lenient {
        code.end = code.start + 3;
    }
    let reason = skip_blanks(line, code.end)..line.len();
    match Status::try_from(&line[code]) {
        Ok(status) if is_value_text(&line[reason.clone()]) => Ok(StatusLine { version, status, reason, lenient }),
        _ => Err(ResponseError::StatusLine),
    }
}

/// Finds the fields of a complete head, which ends with its empty line. Its first `from` bytes are the first line.
/// `None` if a line is not a field line. The scanner has seen which lines end with a bare LF (D1) or are too long.
pub(crate) fn fields(head: &[u8], from: usize, index: &mut FieldIndex) -> Option<()> {
    let length = httparse_lines(head, from, index)?;
    (length == head.len()).then_some(())
}

/// Finds the fields of a head whose end is not known yet, and returns its length. `None` unless the head is complete
/// and the scanner would find nothing irregular in it.
///
/// It saves the search for line ends, a fifth of the work for a usual head. If it fails, the bytes are scanned once
/// more, so it is tried once per head.
pub(crate) fn plain_fields(bytes: &[u8], from: usize, limits: &Limits, index: &mut FieldIndex) -> Option<usize> {
    usual_lines(bytes, from, limits, index).filter(|&length| length <= limits.head as usize)
}

/// Joins continuation lines to their field: a line end before a space or tab becomes spaces (R1945-2.2b, R9112-5.2).
/// `Err` if the folded field affects framing, routing or persistence (D3), or if there is no field to continue.
pub(crate) fn unfold(head: &mut [u8], from: usize) -> Result<(), ()> {
    const STRICT: [FieldName<'static>; 4] =
        [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];
    unfold_if(|name| !STRICT.contains(&name), head, from)
}

/// Like [`unfold`], for a response: a client must accept folding in every field (R9112-5.2).
pub(crate) fn unfold_response(head: &mut [u8], from: usize) -> Result<(), ()> {
    unfold_if(|_| true, head, from)
}

/// Asks once for each folded field: with its name and its lines, it may be as long as the head.
fn unfold_if(mut allowed: impl FnMut(FieldName<'_>) -> bool, head: &mut [u8], from: usize) -> Result<(), ()> {
    let (mut field_start, mut line_start, mut may_fold) = (from, from, false);
    while let Some(first) = head.get(line_start) {
        if !is_blank(first) {
            (field_start, may_fold) = (line_start, false);
        } else {
            if !may_fold {
                let name = head[field_start..line_start].split(|&c| c == b':').next().unwrap_or_default();
                may_fold = FieldName::new(name).is_ok_and(&mut allowed);
            }
            if !may_fold {
                return Err(());
            }
            head[line_start - 1] = b' ';
            if head[line_start - 2] == b'\r' {
                head[line_start - 2] = b' ';
            }
        }
        let rest = &head[line_start..];
        line_start += rest.iter().position(|&c| c == b'\n').map_or(rest.len(), |length| length + 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::field::Fields;
    use crate::message::field_index::kind;
    use alloc::format;
    use alloc::vec::Vec;

    // R1945-5.1, R1945-4.1, R1945-3.1a, R1945-Ba, R9112-3b, R9112-3c, R9112-C.1, R9110-6.2, D2, D4, D10
    #[test]
    fn request_line_is_strict_for_http_11_and_lenient_for_http_10() {
        use RequestError as E;
        for (line, expected) in [
            ("GET /a HTTP/1.0", Ok((Version::HTTP_10, false))),
            ("GET /a HTTP/1.1", Ok((Version::HTTP_11, false))),
            ("GET /a", Ok((Version::HTTP_09, false))),
            ("GET  /a\tHTTP/1.0", Ok((Version::HTTP_10, true))),
            ("GET \t/a HTTP/1.0", Ok((Version::HTTP_10, true))),
            ("GET  /a HTTP/1.1", Err(E::Whitespace)),
            ("GET /a\tHTTP/1.1", Err(E::Whitespace)),
            // The space before the version is missing.
            ("GET /HTTP/1.0", Err(E::RequestLine)),
            ("GET /HTTP/1.1", Err(E::RequestLine)),
            ("GET /aHTTP/1.0", Err(E::RequestLine)),
            ("GET /a/HTTP/2", Err(E::RequestLine)),
            ("GET /aHTTP/1.10", Err(E::RequestLine)),
            ("GET /a?bHTTP/1.0", Err(E::RequestLine)),
            ("GET /a?b=HTTP/0.9", Err(E::RequestLine)),
            ("GET http://h/HTTP/1.0", Err(E::RequestLine)),
            ("GET HTTP/1.0", Err(E::RequestLine)),
            ("GET/ HTTP/1.0", Err(E::Method)),
            ("GET /HTTP/1.0 HTTP/1.0", Ok((Version::HTTP_10, false))),
            ("GET /HTTP/1.0/", Ok((Version::HTTP_09, false))),
            ("GET /HTTP/1.0?a", Ok((Version::HTTP_09, false))),
            ("GET /HTTP/1.0x", Ok((Version::HTTP_09, false))),
            ("GET /http/1.0", Ok((Version::HTTP_09, false))),
            ("GET /HTTP/", Ok((Version::HTTP_09, false))),
            ("GET /HTTP/..", Ok((Version::HTTP_09, false))),
            ("GET /1.0", Ok((Version::HTTP_09, false))),
            ("GET  /a", Err(E::RequestLine)),
            ("GET\t/a", Err(E::RequestLine)),
            ("GET a", Err(E::RequestLine)),
            ("HEAD /a", Err(E::RequestLine)),
            ("GET", Err(E::RequestLine)),
            ("", Err(E::RequestLine)),
            (" GET / HTTP/1.0", Err(E::RequestLine)),
            ("GET / HTTP/1.0 ", Err(E::RequestLine)),
            ("GET / ", Err(E::RequestLine)),
            ("GET /a b HTTP/1.0", Err(E::RequestLine)),
            ("GET\x0b/a HTTP/1.0", Err(E::Method)),
            ("GET\r/a HTTP/1.0", Err(E::Method)),
            ("G=T / HTTP/1.0", Err(E::Method)),
            ("\x16\x03\x01", Err(E::Method)),
            ("GET / HTTP/1.0\r", Err(E::Version)),
            ("GET / HTTP/1.0\0", Err(E::Version)),
            ("GET / HTTP/0.9", Err(E::Version)),
            ("GET / HTTP/1.10", Err(E::Version)),
            ("GET / ICE/1.0", Err(E::Version)),
            ("GET / HTTP/2.0", Err(E::VersionNotSupported)),
            ("PRI * HTTP/2.0", Err(E::VersionNotSupported)),
        ] {
            let got = request_line(line.as_bytes()).map(|line| (line.version, line.lenient));
            assert_eq!(got, expected, "{line:?}");
        }
        let line = request_line(b"GET \t /a  HTTP/1.0").unwrap();
        assert_eq!((line.method, line.target), (0..3, 6..8));
    }

    // R9112-3a
    #[test]
    fn error_for_long_request_line_names_the_part_that_is_too_long() {
        for (line, expected) in [
            ("AAAA", RequestError::MethodTooLong),
            ("A=AA", RequestError::Method),
            ("GET /aaaa", RequestError::TargetTooLong),
            ("GET  ", RequestError::TargetTooLong),
            ("GET /a H", RequestError::RequestLineTooLong),
        ] {
            assert_eq!(request_line_too_long(line.as_bytes()), expected, "{line}");
        }
    }

    // R1945-6.1b, R1945-3.1e, R9112-4, R1945-Ba
    #[test]
    fn status_line_is_read_with_any_spacing_and_without_a_reason() {
        use ResponseError::*;
        for (line, expected) in [
            ("HTTP/1.0 200 OK", Ok(200)),
            ("HTTP/1.1 404 Not Found", Ok(404)),
            ("HTTP/1.0 200", Ok(200)),
            ("HTTP/1.0 200 ", Ok(200)),
            ("HTTP/1.0  200  OK", Ok(200)),
            ("HTTP/1.9 599 x", Ok(599)),
            ("HTTP/1.0 099 x", Err(StatusLine)),
            ("HTTP/1.0 1000 x", Err(StatusLine)),
            ("HTTP/1.0 20x", Err(StatusLine)),
            ("HTTP/1.0", Err(StatusLine)),
            ("HTTP/1.0 200 O\rK", Err(StatusLine)),
            ("HTTP/1.0 200 O\0K", Err(StatusLine)),
            ("HTTP/1.0200 OK", Err(StatusLine)),
            ("HTTP/2.0 200 OK", Err(VersionNotSupported)),
            ("http/1.0 200 OK", Err(NotHttp)),
            ("<html>", Err(NotHttp)),
            ("", Err(NotHttp)),
        ] {
            assert_eq!(status_line(line.as_bytes(), false).map(|line| line.status.code()), expected, "{line}");
        }
        assert_eq!(status_line(b"HTTP/1.0  200 \t so  so", false).map(|line| line.reason), Ok(16..22));
    }

    // R1945-2.2b, R9112-5.2, D3
    #[test]
    fn folded_field_is_joined_unless_it_is_critical() {
        let mut head = *b"x\r\nA: b\r\n\tc\n d\r\nE: f\r\n\r\n";
        assert_eq!(unfold(&mut head, 3), Ok(()));
        assert_eq!(&head, b"x\r\nA: b  \tc  d\r\nE: f\r\n\r\n");
        for strict in ["Host", "content-length", "Connection", "TRANSFER-ENCODING", "", "a b"] {
            let mut head = format!("x\r\n{strict}:\r\n a\r\n\r\n").into_bytes();
            assert_eq!(unfold(&mut head, 3), Err(()), "{strict}");
            assert_eq!(unfold_response(&mut head, 3).is_ok(), FieldName::new(strict.as_bytes()).is_ok(), "{strict}");
        }
        assert_eq!(unfold(&mut b"x\r\n A: b\r\n\r\n".to_vec(), 3), Err(()), "R9112-2.2e");
        // Each folded field is judged by its own name, once, however many lines it has.
        let mut head = *b"x\nA:\n b\n c\nB: d\nHost: e\n f\n\n";
        assert_eq!(unfold(&mut head.clone(), 2), Err(()));
        let names = core::cell::Cell::new(0);
        let count = |_: FieldName<'_>| names.replace(names.get() + 1) < 9;
        assert_eq!(unfold_if(count, &mut head, 2), Ok(()));
        assert_eq!((&head, names.get()), (b"x\nA:  b  c\nB: d\nHost: e  f\n\n", 2));
    }

    // Any irregular line leaves the head to the scanner, and so does any limit that might be exceeded.
    #[test]
    fn only_a_regular_head_within_the_limits_is_plain() {
        let plain = |head: &str, limits: Limits| plain_fields(head.as_bytes(), 3, &limits, &mut FieldIndex::new());
        let limits = Limits { field_line: 4, head: 17, fields: 2, ..Limits::default() };
        let head = "x\r\nA: b\r\nC: d \r\n\r\n";
        assert_eq!((head.len(), plain(head, limits)), (18, None), "the head is one byte too long");
        let limits = Limits { head: 18, ..limits };
        assert_eq!(plain(head, limits), None, "a line is too long");
        let limits = Limits { field_line: 5, ..limits };
        assert_eq!(plain(head, limits), Some(18));
        assert_eq!(plain(&format!("{head}GET"), limits), Some(18), "what follows does not count");
        assert_eq!(plain(head, Limits { fields: 1, ..limits }), None);
        assert_eq!(plain("x\r\n\r\n", limits), Some(5), "no fields");
        for end in 3..head.len() {
            assert_eq!(plain(&head[..end], limits), None, "{end} bytes");
        }
        for odd in [
            "x\r\nA: b\n\r\n",
            "x\r\nA: b\r\n\n",
            "x\r\n\n",
            "x\r\nA: b\nC: d\r\n\r\n",
            "x\r\nA: b\r\n c\r\n\r\n",
            "x\r\nA: b\rc\r\n\r\n",
            "x\r\nA : b\r\n\r\n",
        ] {
            assert_eq!(plain(odd, limits), None, "{odd:?}");
        }
        let many = format!("x\r\n{}\r\n", "A: b\r\n".repeat(257));
        let limits = Limits { fields: u16::MAX, ..Limits::default() };
        assert_eq!(plain(&many, limits), None, "more than 256 fields");
        assert!(plain(&many.replacen("A: b\r\n", "", 1), limits).is_some(), "256 fields");
    }

    #[test]
    fn fields_are_found_and_trimmed() {
        let head = b"x\r\nA:b\r\nEmpty: \t\r\nC: \td e\x80 \r\n\r\n";
        let mut index = FieldIndex::new();
        fields(head, 3, &mut index).unwrap();
        let found: Vec<_> =
            crate::message::field::Fields::new(head, &index).iter().map(|(_, v)| v.as_bytes()).collect();
        assert_eq!(found, [&b"b"[..], b"", b"d e\x80"]);
        for bad in ["A : b", ": b", "A", "A\x01: b", "A: b\0", "A: b\rc", "A: b\r"] {
            let head = format!("x\r\n{bad}\r\n\r\n");
            assert_eq!(fields(head.as_bytes(), 3, &mut index), None, "{bad:?}");
        }
    }

    // R1945-4.2b, R1945-2.1
    #[test]
    fn header_on_several_lines_is_a_list_or_nothing() {
        for (lines, only, tokens) in [
            ("A: x\r\n", Some("x"), &["x"][..]),
            ("A: x, y\r\n", Some("x, y"), &["x", "y"]),
            ("A: x\r\nB: z\r\na: y,\r\n", None, &["x", "y"]),
            ("A: x\r\nA: x\r\n", None, &["x", "x"]),
            ("A:\r\nA: y\r\n", None, &["y"]),
            ("B: z\r\n", None, &[]),
            ("", None, &[]),
        ] {
            let head = format!("{lines}\r\n");
            let mut index = FieldIndex::new();
            fields(head.as_bytes(), 0, &mut index).unwrap();
            let (fields, a) = (Fields::new(head.as_bytes(), &index), FieldName::from_static("A"));
            assert_eq!(fields.only(a).and_then(|value| value.as_str()), only, "{lines:?}");
            assert_eq!((fields.len(), fields.is_empty()), (lines.lines().count(), lines.is_empty()));
            assert!(fields.tokens(a).eq(tokens.iter().map(|token| token.as_bytes())), "{lines:?}");
        }
    }

    // The index only saves searches: it may overestimate the number of lines, but never underestimate it.
    #[test]
    fn index_knows_which_names_cannot_be_found() {
        let head = b"A: x\r\nBb: y\r\na: z\r\n\r\n";
        let mut index = FieldIndex::new();
        fields(head, 0, &mut index).unwrap();
        for (name, expected) in [(&b"a"[..], usize::MAX), (b"bB", 1), (b"Cc", 0)] {
            assert_eq!(index.at_most(name), expected, "{}", name.escape_ascii());
        }
    }

    // The kinds of names save searches and change no result.
    #[test]
    fn name_is_found_whatever_its_kind() {
        let names: Vec<_> = (1..40).flat_map(|n| [b'a', b'B', b'_'].map(|c| [c].repeat(n))).collect();
        let kinds: std::collections::HashSet<_> = names.iter().map(|name| kind(name)).collect();
        assert!(kinds.len() < names.len(), "several names are of one kind");
        for (i, first) in names.iter().enumerate() {
            let present = [first, &names[(i * 7 + 1) % names.len()], first, &names[(i * 5 + 2) % names.len()]];
            let lines: Vec<_> = present.iter().map(|name| [name, &b": x\r\n"[..]].concat()).collect();
            let head = [lines.concat(), b"\r\n".to_vec()].concat();
            let mut index = FieldIndex::new();
            fields(&head, 0, &mut index).unwrap();
            let fields = Fields::new(&head, &index);
            for name in &names {
                let name = FieldName::new(name).unwrap();
                let lines = fields.iter().filter(|line| line.0 == name).count();
                assert_eq!((fields.get(name).is_some(), fields.get_all(name).count()), (lines > 0, lines), "{name}");
            }
        }
    }

    #[test]
    fn debug_of_a_head_shows_no_credentials() {
        let bytes = b"Authorization: Basic c2VjcmV0\r\nAccept: */*\r\n\r\n";
        let mut index = FieldIndex::new();
        fields(bytes, 0, &mut index).unwrap();
        let shown = format!("{:?}", Fields::new(bytes, &index));
        assert!(!shown.contains("c2Vj") && shown.contains("*/*"), "{shown}");
    }
}
