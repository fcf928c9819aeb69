//! Request-targets and authorities: their bytes, forms and parts. What a path names is decided in `path`.

use core::fmt;
use core::net::Ipv6Addr;

use memchr::memchr;
use thiserror::Error;

use crate::grammar::{REG_NAME, hex, is_plain_target_text, is_reg_name_byte, is_target_text, span};
use crate::message::path::decoded;
use crate::message::target_error::TargetError;

/// A request-target (RFC 1945 §5.1.2, RFC 9112 §3.2), as it was received or will be sent.
///
/// It contains no invalid byte, and the percent-encodings of its path are complete. A [`Path`](crate::Path) decodes the
/// path.
///
/// ```
/// use http_core::{TargetForm, Target, TargetError};
/// let target = Target::new(b"http://example.org:80/a//b/%2e%2e/c%20d?x=%zz")?;
/// assert_eq!(target.form(), TargetForm::Absolute);
/// assert_eq!(target.authority().unwrap().host(), "example.org");
/// assert_eq!(target.raw_path(), "/a//b/%2e%2e/c%20d");
/// assert_eq!(target.query(), Some("x=%zz"));           // a query is never decoded
/// assert_eq!(Target::new(b"/a?b")?.to_string(), "/a?b");
/// assert_eq!(Target::new(b"/a b"), Err(TargetError::InvalidByte));
/// # Ok::<(), TargetError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target<'a> {
    raw: &'a [u8],
    parts: TargetParts,
}

/// The form of a request-target (RFC 9112 §3.2). Only CONNECT has the authority-form, and CONNECT is refused
/// (R9112-3.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TargetForm {
    /// `/path?query`
    Origin,
    /// `http://host:port/path?query`
    Absolute,
    /// `*`: the server in general.
    Asterisk,
}

/// Where the parts are: offsets from the target's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TargetParts {
    form: TargetForm,
    authority: (u32, u32),
    path: (u32, u32),
    /// Nothing in the path needs decoding.
    plain: bool,
}

const SCHEME: &[u8] = b"http://";

impl<'a> Target<'a> {
    /// Reads a request-target in origin-form, absolute-form or asterisk-form. Nothing is decoded, encoded or resolved.
    ///
    /// # Errors
    /// [`TargetError`], except [`EncodedSeparator`](TargetError::EncodedSeparator) and
    /// [`EscapesRoot`](TargetError::EscapesRoot), which [`Path`](crate::Path) returns. To encode other bytes, see
    /// [`percent_encode`](crate::percent_encode) and [`HttpUrl`](crate::HttpUrl).
    pub fn new(raw: &'a [u8]) -> Result<Target<'a>, TargetError> {
        TargetParts::new(raw).map(|parts| Target { raw, parts })
    }

    pub(crate) const fn from_parts(raw: &'a [u8], parts: TargetParts) -> Target<'a> {
        Target { raw, parts }
    }

    /// The complete target, in visible ASCII; `Display` writes the same.
    pub fn as_str(&self) -> &'a str {
        ascii(self.raw)
    }

    /// The form.
    pub const fn form(&self) -> TargetForm {
        self.parts.form
    }

    /// The host and port of an absolute-form. `None` for the other forms.
    pub fn authority(&self) -> Option<Authority<'a>> {
        match self.parts.form {
            TargetForm::Absolute => Authority::new(self.slice(self.parts.authority)).ok(),
            _ => None,
        }
    }

    /// The path as it was received, percent-encodings and dot segments included. It begins with `/`. It is `/` where an
    /// absolute-form has no path (R1945-5.1.2a), and `*` for the asterisk-form.
    ///
    /// To find the requested resource, use [`Path::decoded`](crate::Path::decoded) instead.
    pub fn raw_path(&self) -> &'a str {
        match self.slice(self.parts.path) {
            b"" => "/",
            path => ascii(path),
        }
    }

    /// What follows the first `?`, undecoded (R3986-3.4): `Some("")` for `/a?`, `None` for `/a`. Its meaning is up to
    /// the program.
    pub fn query(&self) -> Option<&'a str> {
        let rest = &self.raw[self.parts.path.1 as usize..];
        rest.split_first().map(|(_, query)| ascii(query))
    }

    /// Whether this is `*`, or a URL without a path and a query, which means the same for OPTIONS (R9112-3.2.4).
    pub(crate) fn is_whole_server(&self) -> bool {
        let (from, to) = self.parts.path;
        self.parts.form == TargetForm::Asterisk || (from == to && self.query().is_none())
    }

    fn slice(&self, (from, to): (u32, u32)) -> &'a [u8] {
        &self.raw[from as usize..to as usize]
    }
}

try_from_bytes!(Target, new, TargetError);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl TargetParts {
    pub(crate) fn new(raw: &[u8]) -> Result<TargetParts, TargetError> {
        let plain = is_plain_target_text(raw);
        if !plain && !is_target_text(raw) {
            return Err(TargetError::InvalidByte);
        }
        let (form, authority, path_start) = match raw {
            b"*" => {
                return Ok(TargetParts { form: TargetForm::Asterisk, authority: (0, 0), path: (0, 1), plain: true });
            }
            [b'/', ..] => (TargetForm::Origin, (0, 0), 0),
            // R1945-3.2.2: scheme and host in any case.
            _ if raw.len() >= SCHEME.len() && raw[..SCHEME.len()].eq_ignore_ascii_case(SCHEME) => {
                let rest = &raw[SCHEME.len()..];
                let length = rest.iter().position(|c| matches!(c, b'/' | b'?')).unwrap_or(rest.len());
                // R9110-4.2.1, R9110-4.2.4
                host_length(&rest[..length]).ok_or(TargetError::Authority)?;
                let end = SCHEME.len() + length;
                (TargetForm::Absolute, (SCHEME.len() as u32, end as u32), end)
            }
            _ if has_scheme(raw) => return Err(TargetError::Scheme), // R9110-7.4
            _ => return Err(TargetError::Form),
        };
        let path_length = memchr(b'?', &raw[path_start..]).unwrap_or(raw.len() - path_start);
        let path = &raw[path_start..path_start + path_length];
        if !plain {
            if path.contains(&b'\\') {
                return Err(TargetError::InvalidByte); // D13: no browser sends one, and some programs read it as a slash
            }
            if decoded(path).any(|byte| byte.is_none()) {
                return Err(TargetError::PercentEncoding);
            }
        }
        Ok(TargetParts { form, authority, path: (path_start as u32, (path_start + path_length) as u32), plain })
    }

    /// The parts of an absolute-form that is known to be valid. `path` is where its path begins, and `query` where it
    /// ends.
    pub(crate) fn of_absolute(raw: &[u8], path: usize, query: usize) -> TargetParts {
        let (authority, path) = ((SCHEME.len() as u32, path as u32), (path as u32, query as u32));
        TargetParts { form: TargetForm::Absolute, authority, path, plain: is_plain_target_text(raw) }
    }

    /// The raw path within its target; empty for the asterisk-form, which has none.
    pub(crate) fn path<'a>(&self, raw: &'a [u8]) -> &'a [u8] {
        match self.form {
            TargetForm::Asterisk => b"",
            _ => &raw[self.path.0 as usize..self.path.1 as usize],
        }
    }

    /// Whether nothing in the path needs decoding.
    pub(crate) const fn is_plain(&self) -> bool {
        self.plain
    }

    pub(crate) const fn form(&self) -> TargetForm {
        self.form
    }
}

/// `scheme "://"`
fn has_scheme(raw: &[u8]) -> bool {
    let scheme = raw.iter().position(|c| !c.is_ascii_alphanumeric() && !b"+-.".contains(c)).unwrap_or(0);
    scheme > 0 && raw[scheme..].starts_with(b"://")
}

/// A host and an optional port (RFC 3986 §3.2), as Host and the absolute-form have them.
///
/// The host is a name of letters, digits and ``-._~!$&'()*+,;=``, an IPv4 address, or an IP literal in brackets: an IPv6
/// address, or an address of a later version such as `[v7.a:b]`. Userinfo is not allowed. `==` compares bytes; for the
/// same server, compare [`Origin`](crate::Origin)s.
///
/// ```
/// use http_core::Authority;
/// let authority = Authority::new(b"[::1]:8080").unwrap();
/// assert_eq!((authority.host(), authority.port()), ("[::1]", Some(8080)));
/// assert_eq!(authority.to_string(), "[::1]:8080");
/// assert_eq!(Authority::new(b"example.org:").unwrap().port(), None);   // an empty port is the default, 80
/// assert!(Authority::try_from("user@example.org").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Authority<'a> {
    raw: &'a str,
    host: usize,
}

impl<'a> Authority<'a> {
    /// Reads an authority. The port may be empty.
    ///
    /// # Errors
    /// [`InvalidAuthority`] if it names no host, or a port that is not a number up to 65535 (R9110-4.2.1, R9110-4.2.4).
    pub fn new(raw: &'a [u8]) -> Result<Authority<'a>, InvalidAuthority> {
        match (host_length(raw), str::from_utf8(raw)) {
            (Some(host), Ok(raw)) => Ok(Authority { raw, host }),
            _ => Err(InvalidAuthority),
        }
    }

    /// An authority that is known to be valid, and the length of its host.
    pub(crate) const fn from_validated(raw: &'a str, host: usize) -> Authority<'a> {
        Authority { raw, host }
    }

    /// The complete authority as it was received: the value of Host. `Display` writes the same.
    pub const fn as_str(&self) -> &'a str {
        self.raw
    }

    /// The host, in its original case: a name, an IPv4 address, or an IP literal in brackets.
    pub fn host(&self) -> &'a str {
        &self.raw[..self.host]
    }

    /// The port. `None` if it is left out or empty, which means 80 (R1945-3.2.2).
    pub fn port(&self) -> Option<u16> {
        self.raw.get(self.host + 1..)?.parse().ok()
    }

    /// The endpoint for `std::net::TcpStream::connect`: the host, an IPv6 address without its brackets, and the port,
    /// which defaults to 80 (R1945-3.2.2).
    ///
    /// An address of a later version keeps its brackets, so that no resolver takes it for a name: nothing can connect to
    /// it (R3986-3.2.2).
    pub fn endpoint(&self) -> (&'a str, u16) {
        let host = self.host();
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address = literal.filter(|address| !is_ip_future(address.as_bytes()));
        (address.unwrap_or(host), self.port().unwrap_or(80))
    }
}

try_from_bytes!(Authority, new, InvalidAuthority);

impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.raw)
    }
}

/// The error for an [`Authority`] without a valid host and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("invalid host: expected a host and an optional port, like \"example.org:8080\"")]
pub struct InvalidAuthority;

/// The length of the host of an authority. `None` if [`Authority::new`] refuses it.
pub(crate) fn host_length(raw: &[u8]) -> Option<usize> {
    let length = match raw {
        [b'[', rest @ ..] => {
            let length = rest.iter().position(|&c| c == b']')?;
            let address = &rest[..length];
            let is_ipv6 = || str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok());
            if !is_ip_future(address) && !is_ipv6() {
                return None;
            }
            length + 2
        }
        _ => {
            let length = span::<REG_NAME>(raw);
            if length == 0 {
                return None;
            }
            length
        }
    };
    match &raw[length..] {
        b"" | b":" => {}
        [b':', port @ ..] => {
            crate::grammar::decimal(port).filter(|&port| port <= 65_535)?;
        }
        _ => return None,
    }
    Some(length)
}

/// `IPvFuture`: an address of a version after 6, whose form nobody knows yet (R3986-3.2.2).
fn is_ip_future(literal: &[u8]) -> bool {
    let [b'v' | b'V', rest @ ..] = literal else { return false };
    let digits = rest.iter().take_while(|&&c| hex(c).is_some()).count();
    let [b'.', address @ ..] = &rest[digits..] else { return false };
    digits > 0 && !address.is_empty() && address.iter().all(|&c| c == b':' || is_reg_name_byte(c))
}

fn ascii(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default() // a target is ASCII
}

#[cfg(test)]
mod tests {
    use super::*;

    // R1945-3.2.1, R3986-2.1, R9110-4.2.1, R9110-4.2.4, R9110-7.4, D12, D13
    #[test]
    fn invalid_target_is_refused() {
        for (raw, expected) in [
            ("/a%", TargetError::PercentEncoding),
            ("/a%2", TargetError::PercentEncoding),
            ("/a%zz", TargetError::PercentEncoding),
            ("/a\\b", TargetError::InvalidByte),
            ("/a b", TargetError::InvalidByte),
            ("/a#b", TargetError::InvalidByte),
            ("/a?\"", TargetError::InvalidByte),
            ("/caf\u{e9}", TargetError::InvalidByte),
            ("a", TargetError::Form),
            ("", TargetError::Form),
            ("../a", TargetError::Form),
            ("localhost:80", TargetError::Form),
            ("://a/", TargetError::Form),
            ("https://a/", TargetError::Scheme),
            ("http:///a", TargetError::Authority),
            ("http://a:80x/", TargetError::Authority),
            ("http://u@a/", TargetError::Authority),
        ] {
            assert_eq!(Target::new(raw.as_bytes()), Err(expected), "{raw}");
        }
    }

    // R3986-3.4, R9112-3.2.1, R9112-3.2.2a, R9112-3.2.4, R1945-5.1.2a
    #[test]
    fn target_has_a_form_a_path_and_a_query() {
        let parts = |raw: &'static str| {
            let target = Target::new(raw.as_bytes()).unwrap();
            (target.form(), target.raw_path(), target.query())
        };
        assert_eq!(parts("*"), (TargetForm::Asterisk, "*", None));
        assert_eq!(parts("/a?b?c\\"), (TargetForm::Origin, "/a", Some("b?c\\")));
        assert_eq!(parts("/a/?"), (TargetForm::Origin, "/a/", Some("")));
        assert_eq!(parts("/a/b/%2E."), (TargetForm::Origin, "/a/b/%2E.", None));
        assert_eq!(parts("http://h?q"), (TargetForm::Absolute, "/", Some("q")));
        assert_eq!(parts("/a^{|}[]`/%2f/../..?%zz"), (TargetForm::Origin, "/a^{|}[]`/%2f/../..", Some("%zz")));
        assert_eq!(parts("http://h:/p"), (TargetForm::Absolute, "/p", None));
        let target = Target::new(b"/a?b").unwrap();
        assert_eq!((target.as_str(), alloc::format!("{target:?}")), ("/a?b", "\"/a?b\"".into()));
    }

    // R1945-3.2.2, R3986-3.2.2
    #[test]
    fn endpoint_of_an_ipv6_address_has_no_brackets_and_the_port_defaults_to_80() {
        for (raw, endpoint) in [
            ("a.example", ("a.example", 80)),
            ("a:", ("a", 80)),
            ("127.0.0.1:81", ("127.0.0.1", 81)),
            ("[::1]", ("::1", 80)),
            ("[::1]:81", ("::1", 81)),
            // Without its brackets this would be a name that resolves.
            ("[v1.example.org]:81", ("[v1.example.org]", 81)),
        ] {
            assert_eq!(Authority::new(raw.as_bytes()).unwrap().endpoint(), endpoint);
        }
    }

    // R9112-3.2b, R1945-3.2.2, R3986-3.2.2
    #[test]
    fn authority_is_a_host_with_an_optional_port() {
        for good in [
            "localhost",
            "a.example:80",
            "127.0.0.1:0",
            "[::1]",
            "[::ffff:1.2.3.4]:65535",
            "x_y",
            "a:",
            "[v1.a]",
            "[V1f.fe80::a+en1]:80",
            "[vFF.:-._~!$&'()*+,;=]:",
        ] {
            assert!(Authority::new(good.as_bytes()).is_ok(), "{good}");
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
            "[v.a]",
            "[v1]",
            "[v1.]",
            "[vg.a]",
            "[1.a]",
            "[v1.a%20]",
            "[v1.a/b]",
            "[v1.u@a]",
            "[v1.a]b",
            "[v1.a",
            "[v1.[a]]",
            "v1.a]",
            "a%20b",
            "caf\u{e9}",
        ] {
            assert_eq!(Authority::new(bad.as_bytes()), Err(InvalidAuthority), "{bad}");
        }
    }
}
