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
    /// Blanks around it and a fragment are dropped. Other bytes that a URL may not hold are percent-encoded, and so is a
    /// backslash (D13). Dot segments are removed as in RFC 3986 §5.2.4, so a path that would escape the root stays at the
    /// root. The work is linear in the lengths.
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
mod tests;
