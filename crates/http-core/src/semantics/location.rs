//! Where a Location field leads: a reference, resolved against the URL that was asked for (RFC 3986 §5.2), and whether
//! that is the same server. Whether to go there is `redirect`'s.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::message::field::FieldValue;
use crate::message::path::percent_encode;
use crate::message::target::{Authority, Form, Target, TargetParts};
use crate::wire::grammar::{hex, is_target_text};

/// Why a Location leads nowhere that this library could ask: the server's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LocationError {
    /// A URL of another scheme than `http`: neither `https` nor files, scripts or mail are spoken here.
    #[error("the Location is no http URL")]
    Scheme,
    /// A URL without a host, with userinfo or with a bad port (R9110-4.2.1, R9110-4.2.4).
    #[error("the Location has no valid host and port")]
    Authority,
    /// A URL beyond [`Location::LONGEST`].
    #[error("the Location is longer than {} bytes", Location::LONGEST)]
    TooLong,
}

/// An absolute `http` URL that can be asked for as it stands, made from a Location field (RFC 9110 §10.2.2).
///
/// ```
/// use http_core::{Authority, FieldValue, Location, LocationError, Target};
/// let host = Authority::new(b"example.org:8080").unwrap();
/// let target = Target::new(b"/a/b?c")?;
/// let follow = |reference| Location::resolve(host, target, FieldValue::from_static(reference));
/// assert_eq!(follow("../d e#part")?.as_str(), "http://example.org:8080/d%20e");
/// assert_eq!(follow("?q")?.as_str(), "http://example.org:8080/a/b?q");
/// assert!(follow("//example.org/x")?.leaves_origin());   // another port
/// assert_eq!(follow("https://example.org/").err(), Some(LocationError::Scheme));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    url: String,
    parts: TargetParts,
    leaves_origin: bool,
}

impl Location {
    /// The longest URL that is followed, in bytes: what servers take for a request line, by default.
    pub const LONGEST: usize = 8192;

    /// Resolves a reference against the URL that was asked for: `host` and `target`, of which the latter counts where it
    /// is in absolute-form.
    ///
    /// A fragment is dropped: it is never sent (R1945-10.13). What may not stand in a URL is percent-encoded, and so is a
    /// backslash (R1945-3.2.1, D13). Dot segments are resolved as in RFC 3986 §5.2.4: what would climb above the root
    /// stays there. The work is linear in the lengths.
    ///
    /// # Errors
    /// [`LocationError`]: the answer may be shown, and not followed.
    pub fn resolve(
        host: Authority<'_>,
        target: Target<'_>,
        reference: FieldValue<'_>,
    ) -> Result<Location, LocationError> {
        let asked = target.authority().unwrap_or(host);
        let reference = before(reference.as_bytes(), b"#");

        // RFC 3986 §4.2: a colon in the first segment ends a scheme, or nothing that is valid.
        let front = before(reference, b":/?");
        let relative = match reference[front.len()..].strip_prefix(b":") {
            Some(_) if !front.eq_ignore_ascii_case(b"http") => return Err(LocationError::Scheme),
            Some(rest) if !rest.starts_with(b"//") => return Err(LocationError::Authority),
            Some(rest) => rest,
            None => reference,
        };
        let (authority, relative) = match relative.strip_prefix(b"//") {
            Some(rest) => {
                let (authority, rest) = rest.split_at(before(rest, b"/?").len());
                (Some(Authority::new(authority).map_err(|_| LocationError::Authority)?), rest)
            }
            None => (None, relative),
        };
        let (path, query) = relative.split_at(before(relative, b"?").len());

        // R9110-10.2.2: RFC 3986 §5.2.2, line by line.
        let base_path = if target.form() == Form::Asterisk { "/" } else { target.raw_path() };
        let (path, query) = match (authority, path) {
            (None, []) => {
                let of_base = target.query().filter(|_| query.is_empty());
                let query = of_base.map_or(query.to_vec(), |query| [b"?", query.as_bytes()].concat());
                (base_path.as_bytes().to_vec(), query)
            }
            (Some(_), _) | (None, [b'/', ..]) => (without_dots(path), query.to_vec()),
            (None, _) => {
                let directory = &base_path[..base_path.rfind('/').map_or(0, |slash| slash + 1)];
                (without_dots(&[directory.as_bytes(), path].concat()), query.to_vec())
            }
        };

        let authority = authority.unwrap_or(asked);
        let mut url = String::from("http://");
        url.push_str(authority.as_str());
        encode(&path, &mut url);
        encode(&query, &mut url);
        if url.len() > Location::LONGEST {
            return Err(LocationError::TooLong);
        }
        // Its bytes were encoded and its authority was read, so that this finds nothing wrong.
        let parts = TargetParts::new(url.as_bytes()).map_err(|_| LocationError::Authority)?;
        Ok(Location { url, parts, leaves_origin: Origin::new(authority) != Origin::new(asked) })
    }

    /// The URL, in ASCII, without a fragment; `Display` writes the same.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The URL as a request-target in absolute-form; a [`Request`](crate::client::Request) sends it in the form that its
    /// receiver wants.
    pub fn target(&self) -> Target<'_> {
        Target::from_parts(self.url.as_bytes(), self.parts)
    }

    /// The host to connect to: a name, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        self.target().authority().map_or("", |authority| authority.host()) // there is one
    }

    /// The port to connect to; 80 if the URL names none (R1945-3.2.2).
    pub fn port(&self) -> u16 {
        self.target().authority().and_then(|authority| authority.port()).unwrap_or(DEFAULT_PORT)
    }

    /// Whether this is another [`Origin`] than the one that was asked: credentials and cookies stay behind (R1945-11b).
    pub const fn leaves_origin(&self) -> bool {
        self.leaves_origin
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.url)
    }
}

const DEFAULT_PORT: u16 = 80;

/// One server, as far as URLs tell: the scheme `http`, a host in any case, and a port (RFC 9110 §4.3.1).
///
/// Two spellings of one address, such as `[::1]` and `[0::1]`, are taken for two: that errs on the side of keeping
/// secrets.
///
/// ```
/// use http_core::{Authority, Origin};
/// let origin = |text| Authority::new(text).map(Origin::new);
/// assert_eq!(origin(b"Example.ORG"), origin(b"example.org:80"));
/// assert_ne!(origin(b"example.org"), origin(b"example.org:8080"));
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
}

/// What comes before the first of these bytes.
fn before<'a>(text: &'a [u8], ends: &[u8]) -> &'a [u8] {
    &text[..text.iter().position(|c| ends.contains(c)).unwrap_or(text.len())]
}

/// The path without its dot segments (RFC 3986 §5.2.4); it begins with a slash, and if it is empty, it is `/`.
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

/// Appends a path or a query so that a request-target can hold it; encodings that are there are kept.
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

    fn resolve(base: &str, reference: &[u8]) -> Result<String, LocationError> {
        let host = Authority::new(b"host.of.the.request").unwrap();
        let target = Target::new(base.as_bytes()).unwrap();
        let location = Location::resolve(host, target, FieldValue::new(reference).unwrap())?;
        assert_eq!(Target::new(location.as_str().as_bytes()), Ok(location.target()));
        assert_eq!(
            (format!("{location}"), format!("{location:?}")),
            (location.url.clone(), format!("{:?}", location.url))
        );
        Ok(location.url)
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
    fn references_lead_to_http_or_nowhere() {
        use LocationError::{Authority, Scheme, TooLong};
        let long = "a".repeat(Location::LONGEST);
        for (base, reference, expected) in [
            // What the base has.
            ("/a/b?c", "", Ok("http://host.of.the.request/a/b?c")),
            ("/a/b?c", "?", Ok("http://host.of.the.request/a/b?")),
            ("/a/b?c/d", "x/../y", Ok("http://host.of.the.request/a/y")),
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
            ("/a", "http://h:/%41/..", Ok("http://h:/")),
            ("/a", "///x", Err(Authority)),
            ("/a", "http:///x", Err(Authority)),
            ("/a", "http:x", Err(Authority)),
            ("/a", "http:", Err(Authority)),
            ("/a", "http:/x", Err(Authority)),
            ("/a", "//u@h/", Err(Authority)),
            ("/a", "//u:p@h/", Err(Authority)),
            ("/a", "//h:65536/", Err(Authority)),
            ("/a", "//h:8x/", Err(Authority)),
            ("/a", "//h h/", Err(Authority)),
            ("/a", "//caf\u{e9}/", Err(Authority)),
            ("/a", "//h\\@i/", Err(Authority)),
            ("/a", "//h%2fi/", Err(Authority)),
            // Another scheme, or none that could be one.
            ("/a", "https://h/", Err(Scheme)),
            ("/a", "HTTPS://h/", Err(Scheme)),
            ("/a", "file:///etc/passwd", Err(Scheme)),
            ("/a", "javascript:alert(1)", Err(Scheme)),
            ("/a", "h:80/x", Err(Scheme)),
            ("/a", ":x", Err(Scheme)),
            ("/a", " http ://h/", Err(Scheme)),
            ("/a", "./h:80", Ok("http://host.of.the.request/h:80")),
            ("/a", "?x:y", Ok("http://host.of.the.request/a?x:y")),
            // Bytes that no URL may hold; nothing of them becomes a slash, a host or a line.
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
        // The bound is that of the URL.
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
            let (authority, target) = (Authority::new(asked.as_bytes()).unwrap(), Target::new(b"/a").unwrap());
            let value = FieldValue::new(reference.as_bytes()).unwrap();
            let location = Location::resolve(authority, target, value).unwrap();
            let got = (location.host(), location.port(), location.leaves_origin());
            assert_eq!(got, (host, port, leaves), "{asked} {reference}");
        }
        // The host of an absolute-form is the one that was asked.
        let (host, target) = (Authority::new(b"proxy").unwrap(), Target::new(b"http://h/").unwrap());
        let leaves = |to| Location::resolve(host, target, FieldValue::from_static(to)).unwrap().leaves_origin();
        assert_eq!((leaves("/"), leaves("//h"), leaves("//proxy")), (false, false, true));
    }

    proptest! {
        // Whatever comes, a Location is a target, has no fragment, and names dots nowhere but in what the base had.
        #[test]
        fn a_location_is_a_target(base in "/[a-c./?]{0,12}", reference in "[a-c./?#:%\\\\ \u{e9}]{0,24}|//[a-c]/.*") {
            let target = Target::new(base.as_bytes()).unwrap();
            let host = Authority::new(b"h").unwrap();
            if let Ok(Ok(location)) = FieldValue::new(reference.as_bytes()).map(|v| Location::resolve(host, target, v)) {
                prop_assert_eq!(Target::new(location.as_str().as_bytes()), Ok(location.target()));
                prop_assert_eq!(location.target().form(), Form::Absolute);
                let has_dots = location.target().raw_path().split('/').any(|segment| segment == "." || segment == "..");
                prop_assert!(!has_dots || location.target().raw_path() == target.raw_path());
                // What is resolved stays what it is.
                let again = Location::resolve(host, target, FieldValue::new(location.as_str().as_bytes()).unwrap());
                prop_assert!(has_dots || again == Ok(location));
            }
        }
    }
}
