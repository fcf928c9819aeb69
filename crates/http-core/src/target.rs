//! Request-targets: their forms, their authority, and the path below a root that they name.
//! All decoding of paths happens here, once. It knows no file.

use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv6Addr;

use crate::error::TargetError;
use crate::grammar::{hex, is_reg_name, is_target_text, is_unreserved};

/// A request-target that names something (RFC 1945 §5.1.2, RFC 9112 §3.2): its octets are allowed, its
/// percent-encodings are whole, and its path stays below the root.
///
/// ```
/// use http_core::{Form, Target, TargetError};
/// let target = Target::new(b"http://example.org:80/a//b/%2e%2e/c%20d?x=%zz")?;
/// assert_eq!(target.form(), Form::Absolute);
/// assert_eq!(target.authority().unwrap().host(), "example.org");
/// assert_eq!(target.path(), "/a//b/%2e%2e/c%20d");
/// assert_eq!(target.query(), Some("x=%zz"));           // a query is never decoded
/// let mut path = Vec::new();
/// target.decode_path(&mut path);
/// assert_eq!(path, b"a/c d");
/// assert_eq!(Target::new(b"/../x"), Err(TargetError::Climbs));
/// # Ok::<(), TargetError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    raw: &'a [u8],
    parts: TargetParts,
}

/// The form of a request-target (RFC 9112 §3.2). The authority-form is CONNECT's alone, which is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// `/path?query`
    Origin,
    /// `http://host:port/path?query`
    Absolute,
    /// `*`: the whole server.
    Asterisk,
}

/// Where the parts stand; offsets from the target's first octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TargetParts {
    form: Form,
    authority: (u32, u32),
    path: (u32, u32),
}

const SCHEME: &[u8] = b"http://";

impl<'a> Target<'a> {
    /// Reads a request-target in origin-form, absolute-form or asterisk-form.
    ///
    /// # Errors
    /// A [`TargetError`], of which each is answered with 400.
    pub fn new(raw: &'a [u8]) -> Result<Target<'a>, TargetError> {
        TargetParts::new(raw).map(|parts| Target { raw, parts })
    }

    pub(crate) const fn from_parts(raw: &'a [u8], parts: TargetParts) -> Target<'a> {
        Target { raw, parts }
    }

    /// The target as it came.
    pub fn as_str(&self) -> &'a str {
        ascii(self.raw)
    }

    /// Its form.
    pub const fn form(&self) -> Form {
        self.parts.form
    }

    /// The host and port of an absolute-form.
    pub fn authority(&self) -> Option<Authority<'a>> {
        match self.parts.form {
            Form::Absolute => Authority::new(self.slice(self.parts.authority)),
            _ => None,
        }
    }

    /// The path as it came: it begins with `/`, is `/` where an absolute-form has none (R1945-5.1.2a), and `*` for the
    /// asterisk-form.
    pub fn path(&self) -> &'a str {
        match self.slice(self.parts.path) {
            b"" => "/",
            path => ascii(path),
        }
    }

    /// What follows the first `?`, as it came (R3986-3.4).
    pub fn query(&self) -> Option<&'a str> {
        let behind = &self.raw[self.parts.path.1 as usize..];
        behind.split_first().map(|(_, query)| ascii(query))
    }

    /// Whether the path asks for a folder: it ends with `/`, `.` or `..`.
    pub fn is_folder(&self) -> bool {
        let last = self.path().as_bytes().rsplit(|&c| c == b'/').next().unwrap_or_default();
        matches!(plain_dots(last), Some(Dots::Nothing | Dots::One | Dots::Two))
    }

    /// Appends the decoded path, relative to a root: segments joined by `/`, without dot segments, empty segments or a
    /// slash at either end. No segment holds a slash, a NUL or another control octet, so that the result names
    /// something below the root wherever no link leads out of it (R1945-5.1.2b, R3986-5.2.4, V1–V6).
    ///
    /// Octets are not text: 80–FF stand as they are.
    pub fn decode_path(&self, out: &mut Vec<u8>) {
        let root = out.len();
        for segment in self.path().as_bytes().split(|&c| c == b'/') {
            match plain_dots(segment) {
                Some(Dots::Nothing | Dots::One) => {}
                Some(Dots::Two) => {
                    let parent = out[root..].iter().rposition(|&c| c == b'/').unwrap_or(0);
                    out.truncate(root + parent);
                }
                None => {
                    if out.len() > root {
                        out.push(b'/');
                    }
                    out.extend(decoded(segment).flatten());
                }
            }
        }
    }

    fn slice(&self, (from, to): (u32, u32)) -> &'a [u8] {
        &self.raw[from as usize..to as usize]
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl TargetParts {
    pub(crate) fn new(raw: &[u8]) -> Result<TargetParts, TargetError> {
        if !is_target_text(raw) {
            return Err(TargetError::Octet);
        }
        let (form, authority, path_start) = match raw {
            b"*" => return Ok(TargetParts { form: Form::Asterisk, authority: (0, 0), path: (0, 1) }),
            [b'/', ..] => (Form::Origin, (0, 0), 0),
            // R1945-3.2.2: scheme and host in any case.
            _ if raw.len() >= SCHEME.len() && raw[..SCHEME.len()].eq_ignore_ascii_case(SCHEME) => {
                let rest = &raw[SCHEME.len()..];
                let length = rest.iter().position(|c| matches!(c, b'/' | b'?')).unwrap_or(rest.len());
                // R9110-4.2.1, R9110-4.2.4
                Authority::new(&rest[..length]).ok_or(TargetError::Authority)?;
                let end = SCHEME.len() + length;
                (Form::Absolute, (SCHEME.len() as u32, end as u32), end)
            }
            _ if has_scheme(raw) => return Err(TargetError::Scheme), // R9110-7.4
            _ => return Err(TargetError::Form),
        };
        let path_length = raw[path_start..].iter().position(|&c| c == b'?').unwrap_or(raw.len() - path_start);
        let path = &raw[path_start..path_start + path_length];
        judge_path(path)?;
        Ok(TargetParts { form, authority, path: (path_start as u32, (path_start + path_length) as u32) })
    }

    pub(crate) const fn form(&self) -> Form {
        self.form
    }
}

/// `scheme "://"`
fn has_scheme(raw: &[u8]) -> bool {
    let scheme = raw.iter().position(|c| !c.is_ascii_alphanumeric() && !b"+-.".contains(c)).unwrap_or(0);
    scheme > 0 && raw[scheme..].starts_with(b"://")
}

/// Every segment is judged here, so that decoding cannot fail.
fn judge_path(path: &[u8]) -> Result<(), TargetError> {
    let mut depth = 0usize;
    for segment in path.split(|&c| c == b'/') {
        match plain_dots(segment) {
            Some(Dots::Nothing | Dots::One) => {}
            Some(Dots::Two) => depth = depth.checked_sub(1).ok_or(TargetError::Climbs)?,
            None => {
                depth += 1;
                for octet in decoded(segment) {
                    match octet {
                        None => return Err(TargetError::Percent),
                        Some(b'/' | 0..=0x1f | 0x7f) => return Err(TargetError::Segment), // D14
                        Some(_) => {}
                    }
                }
            }
        }
    }
    // D13: no browser sends a backslash in a path; some resolvers take it for a slash.
    if path.contains(&b'\\') { Err(TargetError::Octet) } else { Ok(()) }
}

enum Dots {
    Nothing,
    One,
    Two,
}

/// Whether a raw segment is empty, `.` or `..`, be its dots encoded or not.
fn plain_dots(segment: &[u8]) -> Option<Dots> {
    if segment.len() > 6 {
        return None;
    }
    let mut dots = 0;
    for octet in decoded(segment) {
        if octet != Some(b'.') {
            return None;
        }
        dots += 1;
    }
    match dots {
        0 => Some(Dots::Nothing),
        1 => Some(Dots::One),
        2 => Some(Dots::Two),
        _ => None,
    }
}

/// The octets of a segment, decoded once (R3986-2.1, V2); `None` for a `%` without two hexadecimal digits.
fn decoded(segment: &[u8]) -> impl Iterator<Item = Option<u8>> {
    let mut rest = segment.iter().copied();
    core::iter::from_fn(move || {
        Some(match rest.next()? {
            b'%' => match (rest.next().and_then(hex), rest.next().and_then(hex)) {
                (Some(high), Some(low)) => Some(high << 4 | low),
                _ => None,
            },
            octet => Some(octet),
        })
    })
}

/// Appends a path segment, percent-encoded so that it stands for itself in any URL: all but letters, digits and
/// `-._~` (RFC 3986 §2.3).
///
/// ```
/// let mut href = String::new();
/// http_core::percent_encode(b"100 %/\xff.html", &mut href);
/// assert_eq!(href, "100%20%25%2F%FF.html");
/// ```
pub fn percent_encode(segment: &[u8], out: &mut alloc::string::String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &octet in segment {
        if is_unreserved(octet) {
            out.push(char::from(octet));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(octet >> 4)]));
            out.push(char::from(DIGITS[usize::from(octet & 15)]));
        }
    }
}

/// `host [ ":" port ]` (RFC 3986 §3.2): what Host and absolute-form carry. No userinfo, and a host that is not empty.
///
/// ```
/// use http_core::Authority;
/// let authority = Authority::new(b"[::1]:8080").unwrap();
/// assert_eq!((authority.host(), authority.port()), ("[::1]", Some(8080)));
/// assert_eq!(Authority::new(b"example.org:").unwrap().port(), None);   // an empty port is the default, 80
/// assert_eq!(Authority::new(b"user@example.org"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    raw: &'a str,
    host: usize,
}

impl<'a> Authority<'a> {
    /// Reads an authority; `None` if it names no host, or a port beyond 65535.
    pub fn new(raw: &'a [u8]) -> Option<Authority<'a>> {
        let host = match raw {
            [b'[', rest @ ..] => {
                let length = rest.iter().position(|&c| c == b']')?;
                str::from_utf8(&rest[..length]).ok()?.parse::<Ipv6Addr>().ok()?;
                length + 2
            }
            _ => {
                let length = raw.iter().position(|&c| c == b':').unwrap_or(raw.len());
                if length == 0 || !is_reg_name(&raw[..length]) {
                    return None;
                }
                length
            }
        };
        match &raw[host..] {
            b"" | b":" => {}
            [b':', port @ ..] => {
                crate::grammar::decimal(port).filter(|&port| port <= 65_535)?;
            }
            _ => return None,
        }
        Some(Authority { raw: str::from_utf8(raw).ok()?, host })
    }

    /// The whole of it, as it came.
    pub const fn as_str(&self) -> &'a str {
        self.raw
    }

    /// The host: a name, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &'a str {
        &self.raw[..self.host]
    }

    /// The port, unless it is left out or empty.
    pub fn port(&self) -> Option<u16> {
        self.raw.get(self.host + 1..)?.parse().ok()
    }
}

fn ascii(octets: &[u8]) -> &str {
    str::from_utf8(octets).unwrap_or_default() // a target is ASCII
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn path(raw: &str) -> Result<String, TargetError> {
        let mut out = Vec::new();
        Target::new(raw.as_bytes())?.decode_path(&mut out);
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    // R1945-5.1.2b, R3986-2.1, R3986-5.2.4, D13, D14, V1, V2, V3, V4, V5, V6
    #[test]
    fn paths_resolve_below_the_root_or_not_at_all() {
        for (raw, expected) in [
            ("/", Ok("")),
            ("/a/b", Ok("a/b")),
            ("//a///b/", Ok("a/b")),
            ("/./a/./b/.", Ok("a/b")),
            ("/a/../b", Ok("b")),
            ("/a/b/c/../../d", Ok("a/d")),
            ("/a/..", Ok("")),
            ("/a/%2e%2E/b", Ok("b")),
            ("/..a/...", Ok("..a/...")),
            ("/%252e%252e", Ok("%2e%2e")),
            ("/Hello%57orld", Ok("HelloWorld")),
            ("/%5c..%5c:%c0", Ok("\\..\\:\u{fffd}")),
            ("//etc/passwd", Ok("etc/passwd")),
            ("/a^{|}[]`", Ok("a^{|}[]`")),
            ("/..", Err(TargetError::Climbs)),
            ("/a/../../b", Err(TargetError::Climbs)),
            ("/.%2e/x", Err(TargetError::Climbs)),
            ("/a%", Err(TargetError::Percent)),
            ("/a%2", Err(TargetError::Percent)),
            ("/a%zz", Err(TargetError::Percent)),
            ("/a%2fb", Err(TargetError::Segment)),
            ("/a%00", Err(TargetError::Segment)),
            ("/a%0a", Err(TargetError::Segment)),
            ("/a%7f", Err(TargetError::Segment)),
            ("/a\\b", Err(TargetError::Octet)),
            ("/a b", Err(TargetError::Octet)),
            ("/a#b", Err(TargetError::Octet)),
            ("/caf\u{e9}", Err(TargetError::Octet)),
            ("a", Err(TargetError::Form)),
            ("", Err(TargetError::Form)),
            ("../a", Err(TargetError::Form)),
            ("localhost:80", Err(TargetError::Form)),
            ("https://a/", Err(TargetError::Scheme)),
            ("http:///a", Err(TargetError::Authority)),
            ("http://a:80x/", Err(TargetError::Authority)),
            ("http://u@a/", Err(TargetError::Authority)),
            ("http://a", Ok("")),
            ("HTTP://A/b?c/../..", Ok("b")),
        ] {
            assert_eq!(path(raw).as_deref(), expected.as_ref().map(|s| *s), "{raw}");
        }
    }

    // R3986-3.4, R9112-3.2.1, R9112-3.2.2a, R9112-3.2.4, R1945-5.1.2a
    #[test]
    fn forms_and_parts() {
        let parts = |raw: &'static str| {
            let target = Target::new(raw.as_bytes()).unwrap();
            (target.form(), target.path(), target.query(), target.is_folder())
        };
        assert_eq!(parts("*"), (Form::Asterisk, "*", None, false));
        assert_eq!(parts("/a?b?c\\"), (Form::Origin, "/a", Some("b?c\\"), false));
        assert_eq!(parts("/a/?"), (Form::Origin, "/a/", Some(""), true));
        assert_eq!(parts("/a/b/%2E."), (Form::Origin, "/a/b/%2E.", None, true));
        assert_eq!(parts("http://h?q"), (Form::Absolute, "/", Some("q"), true));
        assert_eq!(parts("http://h:/p"), (Form::Absolute, "/p", None, false));
    }

    // R9112-3.2b, R1945-3.2.2
    #[test]
    fn authorities() {
        for good in ["localhost", "a.example:80", "127.0.0.1:0", "[::1]", "[::ffff:1.2.3.4]:65535", "x_y", "a:"] {
            assert!(Authority::new(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            "",
            ":80",
            "###",
            "local host",
            "a/x",
            "u@a",
            "a, b",
            "a:http",
            "a:65536",
            "a:+80",
            "a:80:80",
            "[::1",
            "[]",
            "[::1]x",
            "[fe80::1%25lo]",
            "a%20b",
            "caf\u{e9}",
        ] {
            assert!(Authority::new(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn encoding_is_undone_by_decoding() {
        let name: Vec<u8> = (0x20..=0xff).filter(|&c| c != b'/' && c != 0x7f).collect();
        let mut href = String::from("/");
        percent_encode(&name, &mut href);
        let mut back = Vec::new();
        Target::new(href.as_bytes()).unwrap().decode_path(&mut back);
        assert_eq!(back, name);
    }
}
