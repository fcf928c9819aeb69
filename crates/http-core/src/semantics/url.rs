//! An `http` URL: read from text, made of its parts, or resolved from a Location header (RFC 3986 §5.2), and the origin
//! that it names. Whether to follow a redirect is decided in `redirect`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::grammar::{hex, is_target_text, trim};
use crate::message::path::percent_encode;
use crate::message::target::{Authority, Target, TargetForm, TargetParts};

/// An absolute `http` URL without a fragment. It can be requested as it is.
///
/// Bytes that a URL may not hold are percent-encoded, and existing encodings are kept (R1945-3.2.1). The default
/// port is left out. `==` compares the text; for the same server, compare [`origin`](Self::origin)s.
///
/// ```
/// use http_core::{HttpUrl, UrlError};
/// let url: HttpUrl = "HTTP://example.org:80/a/b c?d#part".parse()?;
/// assert_eq!(url.as_str(), "http://example.org/a/b%20c?d");
/// assert_eq!((url.host(), url.port()), ("example.org", 80));
/// let next = url.resolve("//example.org:8080/../e")?;   // the value of a Location header, or a link
/// assert_eq!(next.as_str(), "http://example.org:8080/e");
/// assert_ne!(next.origin(), url.origin());
/// assert_eq!(HttpUrl::parse("https://example.org/"), Err(UrlError::Https));
/// # Ok::<(), UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HttpUrl {
    text: String,
    parts: TargetParts,
    /// The lengths of the authority and of the host in it.
    authority: usize,
    host: usize,
}

const SCHEME: &str = "http://";
const DEFAULT_PORT: u16 = 80;

impl HttpUrl {
    /// The maximum length of a URL, in bytes. By default, a server does not accept a longer request line.
    pub const MAX_LENGTH: usize = 8192;

    /// Reads a URL. A fragment is dropped, because it is never sent (R1945-10.13). Dot segments are kept.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(text: impl AsRef<[u8]>) -> Result<HttpUrl, UrlError> {
        let text = before(text.as_ref(), b"#");
        let scheme = before(text, b":");
        let rest = text[scheme.len()..].strip_prefix(b"://").ok_or(UrlError::Scheme)?;
        check_scheme(scheme)?;
        let (authority, rest) = rest.split_at(before(rest, b"/?").len());
        let (path, query) = rest.split_at(before(rest, b"?").len());
        HttpUrl::limited(read_authority(authority)?, path, query)
    }

    /// Builds a URL from a host, a port, and the path and query on that server.
    ///
    /// The host is a name or an address; an IPv6 address may be without its brackets. The `/` at the start of the path
    /// may be left out. `#` is percent-encoded.
    ///
    /// ```
    /// use http_core::HttpUrl;
    /// assert_eq!(HttpUrl::from_parts("::1", 6789, b"a b?c#")?.as_str(), "http://[::1]:6789/a%20b?c%23");
    /// # Ok::<(), http_core::UrlError>(())
    /// ```
    ///
    /// # Errors
    /// [`UrlError::Authority`], [`UrlError::TooLong`].
    pub fn from_parts(host: &str, port: u16, path_and_query: &[u8]) -> Result<HttpUrl, UrlError> {
        let bracketed = host.contains(':') && !host.starts_with('[');
        let authority = if bracketed { alloc::format!("[{host}]:{port}") } else { alloc::format!("{host}:{port}") };
        let (path, query) = path_and_query.split_at(before(path_and_query, b"?").len());
        HttpUrl::limited(read_authority(authority.as_bytes())?, path, query)
    }

    /// The URL that a request asks for. If the target is in absolute-form, its own host is used.
    pub fn of_request(host: Authority<'_>, target: Target<'_>) -> HttpUrl {
        let path = if target.form() == TargetForm::Asterisk { "/" } else { target.raw_path() };
        let query = target.query().map(|query| [b"?", query.as_bytes()].concat()).unwrap_or_default();
        HttpUrl::new(target.authority().unwrap_or(host), path.as_bytes(), &query)
    }

    /// Resolves a reference against this URL: the value of a Location header (RFC 9110 §10.2.2), or a link of a page.
    ///
    /// Blanks around it and a fragment are dropped. Other bytes that a URL may not hold are percent-encoded. A backslash is percent-encoded (D13). Dot segments are removed as in RFC 3986 §5.2.4, so
    /// a path that would escape the root stays at the root. The work is linear in the lengths.
    ///
    /// # Errors
    /// [`UrlError`]. The response may be shown, but not followed.
    pub fn resolve(&self, reference: impl AsRef<[u8]>) -> Result<HttpUrl, UrlError> {
        let reference = before(trim(reference.as_ref()), b"#");

        // RFC 3986 §4.2: a colon in the first segment ends a scheme, or the reference is invalid.
        let front = before(reference, b":/?");
        let relative = match reference[front.len()..].strip_prefix(b":") {
            Some(rest) => {
                check_scheme(front)?;
                if rest.starts_with(b"//") { rest } else { return Err(UrlError::Authority) }
            }
            None => reference,
        };
        let (authority, relative) = match relative.strip_prefix(b"//") {
            Some(rest) => {
                let (authority, rest) = rest.split_at(before(rest, b"/?").len());
                (Some(read_authority(authority)?), rest)
            }
            None => (None, relative),
        };
        let (path, query) = relative.split_at(before(relative, b"?").len());

        // R9110-10.2.2: RFC 3986 §5.2.2, line by line.
        let base_path = self.target().raw_path();
        let (path, query) = match (authority, path) {
            (None, []) if query.is_empty() => (base_path.as_bytes().to_vec(), self.query()),
            (None, []) => (base_path.as_bytes().to_vec(), query),
            (Some(_), _) | (None, [b'/', ..]) => (without_dots(path), query),
            (None, _) => {
                let directory = &base_path[..base_path.rfind('/').map_or(0, |slash| slash + 1)];
                (without_dots(&[directory.as_bytes(), path].concat()), query)
            }
        };
        HttpUrl::limited(authority.unwrap_or(self.authority()), &path, query)
    }

    /// The URL, in ASCII; `Display` writes the same.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL as a request-target in absolute-form. A [`Request`](crate::client::Request) sends it in the form that
    /// its receiver needs.
    pub fn target(&self) -> Target<'_> {
        Target::from_parts(self.text.as_bytes(), self.parts)
    }

    /// The host and port, as Host has them.
    pub fn authority(&self) -> Authority<'_> {
        Authority::from_validated(&self.text[SCHEME.len()..SCHEME.len() + self.authority], self.host)
    }

    /// The host: a name, an IPv4 address, or an IPv6 address in brackets. To connect to it, see
    /// [`Authority::endpoint`].
    pub fn host(&self) -> &str {
        self.authority().host()
    }

    /// The port; 80 if the URL names none (R1945-3.2.2).
    pub fn port(&self) -> u16 {
        self.authority().port().unwrap_or(DEFAULT_PORT)
    }

    /// The server. Credentials and cookies for one origin must not be sent to another (R1945-11b).
    pub fn origin(&self) -> Origin {
        Origin::new(self.authority())
    }

    /// The query with its question mark, or an empty string.
    fn query(&self) -> &[u8] {
        let text = self.text.as_bytes();
        &text[before(text, b"?").len()..]
    }

    fn limited(authority: Authority<'_>, path: &[u8], query: &[u8]) -> Result<HttpUrl, UrlError> {
        let url = HttpUrl::new(authority, path, query);
        if url.text.len() > HttpUrl::MAX_LENGTH { Err(UrlError::TooLong) } else { Ok(url) }
    }

    /// The URL of these parts. The query begins with its question mark, or is empty.
    fn new(authority: Authority<'_>, path: &[u8], query: &[u8]) -> HttpUrl {
        let host = authority.host();
        let has_default_port = authority.port().is_none_or(|port| port == DEFAULT_PORT);
        let authority = if has_default_port { host } else { authority.as_str() };
        let mut text = [SCHEME, authority].concat();
        let path_start = text.len();
        if !path.starts_with(b"/") {
            text.push('/'); // R1945-5.1.2a
        }
        encode(path, &mut text);
        let path_end = text.len();
        encode(query, &mut text);
        let parts = TargetParts::of_absolute(text.as_bytes(), path_start, path_end);
        HttpUrl { parts, authority: authority.len(), host: host.len(), text }
    }
}

impl TryFrom<&[u8]> for HttpUrl {
    type Error = UrlError;

    fn try_from(text: &[u8]) -> Result<HttpUrl, UrlError> {
        HttpUrl::parse(text)
    }
}

impl TryFrom<&str> for HttpUrl {
    type Error = UrlError;

    fn try_from(text: &str) -> Result<HttpUrl, UrlError> {
        HttpUrl::parse(text)
    }
}

impl FromStr for HttpUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<HttpUrl, UrlError> {
        HttpUrl::parse(text)
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// Why a text is not an [`HttpUrl`], or a Location cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The scheme `https`.
    ///
    /// ```
    /// # use http_core::{HttpUrl, UrlError};
    /// assert_eq!(HttpUrl::parse("https://a/"), Err(UrlError::Https));
    /// ```
    #[error("https is not supported: expected an http:// URL")]
    Https,
    /// Another scheme, or none.
    ///
    /// ```
    /// # use http_core::{HttpUrl, UrlError};
    /// assert_eq!(HttpUrl::parse("a.html"), Err(UrlError::Scheme));
    /// ```
    #[error("expected a URL like http://localhost:6789/HelloWorld.html")]
    Scheme,
    /// No host, an invalid host or port, or a user before the host (R9110-4.2.1, R9110-4.2.4).
    ///
    /// ```
    /// # use http_core::{HttpUrl, UrlError};
    /// assert_eq!(HttpUrl::parse("http://user@a/"), Err(UrlError::Authority));
    /// ```
    #[error("expected http://HOST/ or http://HOST:PORT/, with an IPv6 address in brackets and without a user")]
    Authority,
    /// A URL that is longer than [`HttpUrl::MAX_LENGTH`].
    ///
    /// ```
    /// # use http_core::{HttpUrl, UrlError};
    /// let url = format!("http://a/{}", "b".repeat(HttpUrl::MAX_LENGTH));
    /// assert_eq!(HttpUrl::parse(url), Err(UrlError::TooLong));
    /// ```
    #[error("the URL is longer than {} bytes", HttpUrl::MAX_LENGTH)]
    TooLong,
}

/// A server, as a URL names it: the scheme `http`, a host in any case, and a port (RFC 9110 §4.3.1).
///
/// Two spellings of one address, such as `[::1]` and `[0::1]`, are two origins. That errs on the side of keeping
/// secrets.
///
/// ```
/// use http_core::{Authority, Origin};
/// let origin = |text| Authority::new(text).map(Origin::new).unwrap();
/// assert_eq!(origin(b"Example.ORG"), origin(b"example.org:80"));
/// assert_ne!(origin(b"example.org"), origin(b"example.org:8080"));
/// assert_eq!(origin(b"example.org:8080").to_string(), "http://example.org:8080");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// In lower case.
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of the URLs with this host and port.
    pub fn new(authority: Authority<'_>) -> Origin {
        Origin { host: authority.host().to_ascii_lowercase(), port: authority.port().unwrap_or(DEFAULT_PORT) }
    }

    /// The host in lower case: a name, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Origin {
    /// The URL of the origin without a path, as in the header Origin (RFC 6454 §6.2).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            DEFAULT_PORT => write!(f, "{SCHEME}{}", self.host),
            port => write!(f, "{SCHEME}{}:{port}", self.host),
        }
    }
}

fn check_scheme(scheme: &[u8]) -> Result<(), UrlError> {
    if scheme.eq_ignore_ascii_case(b"http") {
        Ok(())
    } else if scheme.eq_ignore_ascii_case(b"https") {
        Err(UrlError::Https)
    } else {
        Err(UrlError::Scheme)
    }
}

/// An authority that can be connected to: its port is not 0, and its host is not an address of a version after 6
/// (R3986-3.2.2).
fn read_authority(text: &[u8]) -> Result<Authority<'_>, UrlError> {
    let can_connect =
        |authority: &Authority<'_>| authority.port() != Some(0) && !authority.endpoint().0.starts_with('[');
    Authority::new(text).ok().filter(can_connect).ok_or(UrlError::Authority)
}

/// The text before the first of these bytes.
fn before<'a>(text: &'a [u8], ends: &[u8]) -> &'a [u8] {
    &text[..text.iter().position(|c| ends.contains(c)).unwrap_or(text.len())]
}

/// The path without its dot segments (RFC 3986 §5.2.4). It begins with a slash; an empty path is `/`.
fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len() + 1);
    let mut segments = path.split(|&c| c == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment == b".." {
            out.truncate(out.iter().rposition(|&c| c == b'/').unwrap_or(0));
        }
        if segment != b"." && segment != b".." {
            out.push(b'/');
            out.extend_from_slice(segment);
        } else if segments.peek().is_none() {
            out.push(b'/'); // a directory
        }
    }
    if out.is_empty() {
        out.push(b'/'); // R1945-5.1.2a
    }
    out
}

/// Appends a path or a query. Bytes that a request-target may not hold are percent-encoded; encodings are kept.
fn encode(text: &[u8], out: &mut String) {
    for (n, &byte) in text.iter().enumerate() {
        let stands_for_itself = match byte {
            b'%' => matches!(text[n + 1..], [a, b, ..] if hex(a).is_some() && hex(b).is_some()),
            b'\\' => false,
            _ => is_target_text(&[byte]),
        };
        if stands_for_itself {
            out.push(char::from(byte));
        } else {
            percent_encode(&[byte], out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    fn resolve(base: &str, reference: &[u8]) -> Result<String, UrlError> {
        let host = Authority::new(b"host.of.the.request").unwrap();
        let base = HttpUrl::of_request(host, Target::new(base.as_bytes()).unwrap());
        let url = base.resolve(reference)?;
        assert_eq!(Target::new(url.as_str().as_bytes()), Ok(url.target()));
        assert_eq!(url.target().authority(), Some(url.authority()));
        assert_eq!((format!("{url}"), format!("{url:?}")), (url.text.clone(), format!("{:?}", url.text)));
        Ok(url.text)
    }

    // R9110-10.2.2: the examples of RFC 3986 §5.4 that are http and need no query in their path.
    #[test]
    fn references_resolve_as_in_rfc_3986() {
        for (reference, expected) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("?y", "/b/c/d;p?y"),
            ("g?y", "/b/c/g?y"),
            ("#s", "/b/c/d;p?q"),
            ("g#s", "/b/c/g"),
            ("g?y#s", "/b/c/g?y"),
            (";x", "/b/c/;x"),
            ("g;x", "/b/c/g;x"),
            ("g;x?y#s", "/b/c/g;x?y"),
            ("", "/b/c/d;p?q"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../", "/"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("../../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            (".g", "/b/c/.g"),
            ("g..", "/b/c/g.."),
            ("..g", "/b/c/..g"),
            ("./../g", "/b/g"),
            ("./g/.", "/b/c/g/"),
            ("g/./h", "/b/c/g/h"),
            ("g/../h", "/b/c/h"),
            ("g;x=1/./y", "/b/c/g;x=1/y"),
            ("g;x=1/../y", "/b/c/y"),
            ("g?y/./x", "/b/c/g?y/./x"),
            ("g?y/../x", "/b/c/g?y/../x"),
            ("g#s/../x", "/b/c/g"),
        ] {
            assert_eq!(resolve("http://a/b/c/d;p?q", reference.as_bytes()), Ok(format!("http://a{expected}")));
        }
    }

    // R9110-10.2.2, R1945-3.2.1, R1945-3.2.2, R1945-5.1.2a, R1945-10.13, R9110-4.2.1, R9110-4.2.4, D13
    #[test]
    fn reference_resolves_to_an_http_url_or_is_an_error() {
        use UrlError::{Authority, Https, Scheme, TooLong};
        let long = "a".repeat(HttpUrl::MAX_LENGTH);
        for (base, reference, expected) in [
            // From the base.
            ("/a/b?c", "", Ok("http://host.of.the.request/a/b?c")),
            ("/a/b?c", "?", Ok("http://host.of.the.request/a/b?")),
            ("/a/b?c/d", "x/../y", Ok("http://host.of.the.request/a/y")),
            ("/a/b", " \tx y\r\n ", Ok("http://host.of.the.request/a/x%20y%0D%0A")),
            ("*", "x", Ok("http://host.of.the.request/x")),
            ("*", "?q", Ok("http://host.of.the.request/?q")),
            ("http://h", "x", Ok("http://h/x")),
            ("http://h?q", "#f", Ok("http://h/?q")),
            ("http://h:81/a/", "..", Ok("http://h:81/")),
            // Another host.
            ("/a", "//H", Ok("http://H/")),
            ("/a", "//h:8080?q", Ok("http://h:8080/?q")),
            ("/a", "//[::1]/x/./y", Ok("http://[::1]/x/y")),
            ("/a", "HTTP://h/x#y?z", Ok("http://h/x")),
            ("/a", "http://h:/%41/..", Ok("http://h/")),
            ("/a", "//h:80", Ok("http://h/")),
            ("http://h:80/a", "b", Ok("http://h/b")),
            ("/a", "///x", Err(Authority)),
            ("/a", "http:///x", Err(Authority)),
            ("/a", "http:x", Err(Authority)),
            ("/a", "http:", Err(Authority)),
            ("/a", "http:/x", Err(Authority)),
            ("/a", "//u@h/", Err(Authority)),
            ("/a", "//u:p@h/", Err(Authority)),
            ("/a", "//h:65536/", Err(Authority)),
            ("/a", "//h:0/", Err(Authority)),
            ("/a", "//[v1.h]/", Err(Authority)),
            ("/a", "//h:8x/", Err(Authority)),
            ("/a", "//h h/", Err(Authority)),
            ("/a", "//caf\u{e9}/", Err(Authority)),
            ("/a", "//h\\@i/", Err(Authority)),
            ("/a", "//h%2fi/", Err(Authority)),
            // Another scheme, or an invalid one.
            ("/a", "https://h/", Err(Https)),
            ("/a", "HTTPS://h/", Err(Https)),
            ("/a", "file:///etc/passwd", Err(Scheme)),
            ("/a", "javascript:alert(1)", Err(Scheme)),
            ("/a", "h:80/x", Err(Scheme)),
            ("/a", ":x", Err(Scheme)),
            ("/a", " http ://h/", Err(Scheme)),
            ("/a", "./h:80", Ok("http://host.of.the.request/h:80")),
            ("/a", "?x:y", Ok("http://host.of.the.request/a?x:y")),
            // Bytes that no URL may hold. None of them becomes a slash, a host or a line.
            ("/a", "/b c\t\"<>\u{e9}", Ok("http://host.of.the.request/b%20c%09%22%3C%3E%C3%A9")),
            ("/a", "/%zz%4%41%", Ok("http://host.of.the.request/%25zz%254%41%25")),
            ("/a", "/\\h/..\\x?\\", Ok("http://host.of.the.request/%5Ch/..%5Cx?%5C")),
            ("/a", "\\\\h/x", Ok("http://host.of.the.request/%5C%5Ch/x")),
            ("/a", "/%0d%0aX:%20y", Ok("http://host.of.the.request/%0d%0aX:%20y")),
            ("/a", "/.//h/x", Ok("http://host.of.the.request//h/x")),
            ("/a", "/%2e%2e/x", Ok("http://host.of.the.request/%2e%2e/x")),
            ("/a", &long, Err(TooLong)),
        ] {
            assert_eq!(
                resolve(base, reference.as_bytes()).as_deref(),
                expected.as_ref().map(|url| *url),
                "{reference}"
            );
        }
        // The limit is that of the URL.
        let host = "http://h/";
        let longest = resolve(host, &long.as_bytes()[host.len()..]).unwrap();
        assert_eq!((longest.len(), resolve(host, &long.as_bytes()[host.len() - 1..])), (8192, Err(TooLong)));
    }

    // R1945-11b
    #[test]
    fn another_host_or_port_is_another_origin() {
        for (asked, reference, host, port, leaves) in [
            ("h", "/x", "h", 80, false),
            ("h", "//H:80/x", "H", 80, false),
            ("h:80", "http://h/", "h", 80, false),
            ("h:", "//h/", "h", 80, false),
            ("h:81", "x", "h", 81, false),
            ("[::1]:81", "//[::1]:81", "[::1]", 81, false),
            ("h:81", "//h/", "h", 80, true),
            ("h", "//h:81/", "h", 81, true),
            ("h", "//h.evil.example/", "h.evil.example", 80, true),
            ("h", "//www.h/", "www.h", 80, true),
            ("[::1]", "//[0::1]/", "[0::1]", 80, true),
        ] {
            let asked = HttpUrl::of_request(Authority::new(asked.as_bytes()).unwrap(), Target::new(b"/a").unwrap());
            let url = asked.resolve(reference).unwrap();
            let got = (url.host(), url.port(), url.origin() != asked.origin());
            assert_eq!(got, (host, port, leaves), "{asked} {reference}");
        }
        // The origin of an absolute-form is its own host, not the proxy.
        let asked = HttpUrl::of_request(Authority::new(b"proxy").unwrap(), Target::new(b"http://h/").unwrap());
        let leaves = |to| asked.resolve(to).unwrap().origin() != asked.origin();
        assert_eq!((leaves("/"), leaves("//h"), leaves("//proxy")), (false, false, true));
    }

    // R1945-3.2.1, R1945-3.2.2, R1945-5.1.2a, R1945-10.13, R9110-4.2.1, R9110-4.2.4, R9112-11.1
    #[test]
    fn parsed_url_can_be_requested() {
        use UrlError::{Authority, Https, Scheme, TooLong};
        let long = format!("http://h/{}", "a".repeat(HttpUrl::MAX_LENGTH));
        for (text, expected) in [
            ("http://h", Ok(("http://h/", "h", 80))),
            ("HTTP://H:/", Ok(("http://H/", "H", 80))),
            ("http://h:80/", Ok(("http://h/", "h", 80))),
            ("http://h:080/", Ok(("http://h/", "h", 80))),
            ("http://h:6789?q", Ok(("http://h:6789/?q", "h", 6789))),
            ("http://[::1]/a", Ok(("http://[::1]/a", "[::1]", 80))),
            ("http://127.0.0.1:1/a#b", Ok(("http://127.0.0.1:1/a", "127.0.0.1", 1))),
            ("http://h/ab \"<>\\^`{|}[]\u{e9}", Ok(("http://h/ab%20%22%3C%3E%5C^`{|}[]%C3%A9", "h", 80))),
            ("http://h/%41%zz%", Ok(("http://h/%41%25zz%25", "h", 80))),
            ("http://h?%0d%0aX:+y", Ok(("http://h/?%0d%0aX:+y", "h", 80))),
            ("http://h/a\r\nX: y", Ok(("http://h/a%0D%0AX:%20y", "h", 80))),
            ("http://h/../a%2Fb", Ok(("http://h/../a%2Fb", "h", 80))),
            ("https://h/", Err(Https)),
            ("ftp://h/", Err(Scheme)),
            ("file:///etc/passwd", Err(Scheme)),
            ("h/a", Err(Scheme)),
            ("", Err(Scheme)),
            ("http:/h/", Err(Scheme)),
            ("http:///a", Err(Authority)),
            ("http://:80/a", Err(Authority)),
            ("http://user:password@h/", Err(Authority)),
            ("http://h\r\nX: y/", Err(Authority)),
            ("http://h h/", Err(Authority)),
            ("http://::1/", Err(Authority)),
            ("http://h:+80/", Err(Authority)),
            ("http://h:65536/", Err(Authority)),
            ("http://h:0/", Err(Authority)),
            ("http://[v1.example.org]/", Err(Authority)), // R3986-3.2.2
            (&long, Err(TooLong)),
        ] {
            let url = text.parse::<HttpUrl>();
            assert_eq!(HttpUrl::try_from(text.as_bytes()), url);
            let got = url.as_ref().map(|url| (url.as_str(), url.host(), url.port())).map_err(|error| *error);
            assert_eq!(got, expected, "{text:?}");
            if let Ok(url) = &url {
                assert_eq!(Target::new(url.as_str().as_bytes()), Ok(url.target()));
                assert_eq!(HttpUrl::parse(url.as_str()).as_ref(), Ok(url), "parsing a URL again changes nothing");
            }
        }
    }

    // R1945-3.2.1, R9112-11.1
    #[test]
    fn parts_are_encoded_or_refused() {
        for (host, file, expected) in [
            ("h", &b"a.html"[..], Ok("http://h:81/a.html")),
            ("h", b"/a?b#c", Ok("http://h:81/a?b%23c")),
            ("h", b"", Ok("http://h:81/")),
            ("h", b"?a", Ok("http://h:81/?a")),
            ("h", b"a?HTTP/1.0\r\nX: y\0\xff", Ok("http://h:81/a?HTTP/1.0%0D%0AX:%20y%00%FF")),
            ("h", b"a\r\n", Ok("http://h:81/a%0D%0A")),
            ("::1", b"a", Ok("http://[::1]:81/a")),
            ("[::1]", b"a", Ok("http://[::1]:81/a")),
            ("h:80", b"a", Err(UrlError::Authority)),
            ("", b"a", Err(UrlError::Authority)),
            ("[::1", b"a", Err(UrlError::Authority)),
            ("h\r\nX:y", b"a", Err(UrlError::Authority)),
        ] {
            let url = HttpUrl::from_parts(host, 81, file);
            assert_eq!(url.as_ref().map(HttpUrl::as_str).map_err(|error| *error), expected, "{host:?}");
        }
        assert_eq!(HttpUrl::from_parts("h", 0, b""), Err(UrlError::Authority));
        assert_eq!(HttpUrl::from_parts("h", 80, b"").unwrap().as_str(), "http://h/");
    }

    proptest! {
        // A resolved URL is a target, has no fragment, and has dot segments only if its base had them.
        #[test]
        fn resolved_url_is_a_target(base in "/[a-c./?]{0,12}", reference in "[a-c./?#:%\\\\ \u{e9}]{0,24}|//[a-c]/.*") {
            let base = HttpUrl::of_request(Authority::new(b"h").unwrap(), Target::new(base.as_bytes()).unwrap());
            if let Ok(url) = base.resolve(&reference) {
                prop_assert_eq!(Target::new(url.as_str().as_bytes()), Ok(url.target()));
                prop_assert_eq!(url.target().form(), TargetForm::Absolute);
                let has_dots = url.target().raw_path().split('/').any(|segment| segment == "." || segment == "..");
                prop_assert!(!has_dots || url.target().raw_path() == base.target().raw_path());
                // Resolving the result again changes nothing.
                let again = base.resolve(url.as_str());
                prop_assert!(has_dots || again == Ok(url));
            }
        }
    }
}
