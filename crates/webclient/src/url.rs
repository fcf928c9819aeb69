//! URLs as people type them, and as servers send them in Location. `http_core::HttpUrl` decides what a URL is.

use std::borrow::Cow;

use http_core::client::{Request, ResponseHead};
use http_core::redirect::{self, RedirectError};
use http_core::{HttpUrl, Method, UrlError, header};

use crate::connect::Endpoint;

/// A URL as people type it: [`HttpUrl`] is what is sent of it.
///
/// ```
/// use webclient::Url;
/// assert_eq!(Url::parse(" http://h/a/../b c ")?.as_http().as_str(), "http://h/b%20c");
/// let device = Url::parse("http://[fe80::1%eth0]:8080/")?;   // or `[fe80::1%25eth0]` (RFC 6874)
/// assert_eq!(device.as_http().as_str(), "http://[fe80::1]:8080/");   // the zone leads to it, and is never sent
/// # #[cfg(feature = "idn")]
/// assert_eq!(Url::parse("http://B\u{fc}cher.example/")?.as_http().host(), "xn--bcher-kva.example");
/// # Ok::<(), webclient::UrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    http: HttpUrl,
    /// The zone of a link-local IPv6 address, such as `eth0` (RFC 6874).
    zone: Option<String>,
}

impl Url {
    /// Reads a URL as browsers read what is typed or pasted: blanks and control characters around it are dropped, and so
    /// are tabs and line ends in it. Other blanks are percent-encoded. Dot segments are removed, encoded ones as well. A
    /// host beyond ASCII is converted, with the feature `idn`.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        let Url { http, zone } = Url::parse_with_dots(text)?;
        // An absolute reference to itself: only the dot segments change.
        let http = http.resolve(with_plain_dots(http.as_str()))?;
        Ok(Url { http, zone })
    }

    /// As [`parse`](Self::parse), but keeps dot segments, to see what the server makes of them.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse_with_dots(text: &str) -> Result<Url, UrlError> {
        let text = text.trim_matches(|c: char| c <= ' ').replace(['\t', '\n', '\r'], "");
        let (text, zone) = without_zone(&text);
        Ok(Url { http: HttpUrl::parse(with_ascii_host(text.as_bytes()))?, zone })
    }

    /// What is sent of it.
    pub fn as_http(&self) -> &HttpUrl {
        &self.http
    }

    /// Where a redirect leads. The zone is kept as long as the server is the same.
    pub(crate) fn redirected(&self, http: HttpUrl) -> Url {
        let zone = self.zone.clone().filter(|_| http.origin() == self.http.origin());
        Url { http, zone }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        let (host, port) = self.http.authority().endpoint();
        let host = self.zone.as_ref().map_or(host.to_owned(), |zone| format!("{host}%{zone}"));
        Endpoint { host, port }
    }
}

impl From<HttpUrl> for Url {
    fn from(http: HttpUrl) -> Url {
        Url { http, zone: None }
    }
}

/// What a [`Client`](crate::Client) takes for a URL: text, which is [parsed](Url::parse), or a URL as it is.
pub trait IntoUrl {
    /// The URL.
    ///
    /// # Errors
    /// [`UrlError`]. The client reports it when the request is sent.
    fn into_url(self) -> Result<Url, UrlError>;
}

impl IntoUrl for &str {
    fn into_url(self) -> Result<Url, UrlError> {
        Url::parse(self)
    }
}

impl IntoUrl for &String {
    fn into_url(self) -> Result<Url, UrlError> {
        Url::parse(self)
    }
}

impl IntoUrl for String {
    fn into_url(self) -> Result<Url, UrlError> {
        Url::parse(&self)
    }
}

impl IntoUrl for &HttpUrl {
    fn into_url(self) -> Result<Url, UrlError> {
        Ok(self.clone().into())
    }
}

impl IntoUrl for Url {
    fn into_url(self) -> Result<Url, UrlError> {
        Ok(self)
    }
}

/// As [`redirect::follow`], with hosts beyond ASCII in Location. A zone there leads nowhere: it would be the server that
/// chooses an interface of this machine (RFC 6874 §4).
pub(crate) fn follow(
    request: &Request<'_>,
    response: &ResponseHead<'_>,
    followed: u8,
) -> Result<Option<(Method<'static>, HttpUrl)>, RedirectError> {
    match redirect::follow(request, response, followed) {
        Err(RedirectError::Location(UrlError::Authority)) => {
            let location = response.fields.only(header::LOCATION).ok_or(RedirectError::NoLocation)?;
            let base = HttpUrl::of_request(request.host, request.target);
            let url = base.resolve(with_ascii_host(location.as_bytes()))?;
            // The status and the method were checked before Location.
            let method = if request.method == Method::Head { Method::Head } else { Method::Get };
            Ok(Some((method, url)))
        }
        result => Ok(result?.map(|next| (next.method, next.url))),
    }
}

/// Takes the zone out of an IPv6 address in brackets: `[fe80::1%25eth0]`, or as people type it, `[fe80::1%eth0]`.
fn without_zone(text: &str) -> (Cow<'_, str>, Option<String>) {
    let found = || {
        let host = text.find("://")? + 3;
        let (inside, rest) = text[host..].strip_prefix('[')?.split_once(']')?;
        let (address, zone) = inside.split_once('%')?;
        let zone = match zone.strip_prefix("25").filter(|zone| !zone.is_empty()) {
            Some(encoded) => String::from_utf8(percent_decoded(encoded.as_bytes())).ok()?,
            None => zone.to_owned(),
        };
        let is_zone = !zone.is_empty() && !zone.contains(|c: char| c.is_control() || c.is_whitespace() || c == '/');
        is_zone.then(|| (format!("{}[{address}]{rest}", &text[..host]).into(), Some(zone)))
    };
    found().unwrap_or((text.into(), None))
}

/// The reference with its host in ASCII: percent-decoded, and converted as browsers do (UTS #46). Whatever is no host
/// stays as it is, and is an error later.
fn with_ascii_host(reference: &[u8]) -> Cow<'_, [u8]> {
    let converted = || {
        let length = |text: &[u8], ends: &[u8]| text.iter().position(|c| ends.contains(c)).unwrap_or(text.len());
        let scheme = length(reference, b":/?#");
        let start = match &reference[scheme..] {
            [b':', b'/', b'/', ..] => scheme + 3,
            [b'/', b'/', ..] if scheme == 0 => 2,
            _ => return None,
        };
        let authority = &reference[start..start + length(&reference[start..], b"/?#")];
        let host = &authority[..length(authority, b":")];
        if host.iter().all(|&c| c.is_ascii() && c != b'%') {
            return None;
        }
        let ascii = to_ascii(&percent_decoded(host))?;
        Some([&reference[..start], ascii.as_bytes(), &reference[start + host.len()..]].concat())
    };
    converted().map_or(reference.into(), Cow::from)
}

/// A host as the system's resolver understands it.
pub(crate) fn ascii_host(host: &str) -> String {
    if host.is_ascii() { None } else { to_ascii(host.as_bytes()) }.unwrap_or_else(|| host.to_owned())
}

/// No character of the result ends a host: `a\u{2100}b` would otherwise become `aa/cb`, on the host `aa`.
#[cfg(feature = "idn")]
fn to_ascii(host: &[u8]) -> Option<String> {
    let ascii = idna::domain_to_ascii_cow(host, idna::AsciiDenyList::URL).ok()?;
    (!ascii.is_empty()).then(|| ascii.into_owned())
}

#[cfg(not(feature = "idn"))]
fn to_ascii(_: &[u8]) -> Option<String> {
    None
}

/// Segments of the path that are dots and are percent-encoded, as dots (RFC 3986 §6.2.2.2).
fn with_plain_dots(url: &str) -> String {
    let (path, query) = url.split_at(url.find('?').unwrap_or(url.len()));
    let mut segments: Vec<_> = path.split('/').map(Cow::from).collect();
    for segment in segments.iter_mut().filter(|segment| segment.contains('%')) {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        if plain == "." || plain == ".." {
            *segment = plain.into();
        }
    }
    segments.join("/") + query
}

/// A `%` without two hexadecimal digits stands for itself.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let [first, after @ ..] = rest {
        let digit = |n: usize| after.get(n).and_then(|&c| char::from(c).to_digit(16)).map(|digit| digit as u8);
        let byte = if *first == b'%' { digit(0).zip(digit(1)).map(|(high, low)| high << 4 | low) } else { None };
        out.push(byte.unwrap_or(*first));
        rest = &rest[if byte.is_some() { 3 } else { 1 }..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_parses(text: &str, expected: Result<(&str, &str), UrlError>) {
        let url = Url::parse(text);
        let got = url.as_ref().map(|url| (url.http.as_str(), url.endpoint().to_string()));
        assert_eq!(
            got.map_err(|error| *error),
            expected.map(|(text, endpoint)| (text, endpoint.to_owned())),
            "{text:?}"
        );
    }

    #[test]
    fn typed_url_is_read_as_browsers_read_it() {
        for (text, expected) in [
            // Blanks: browsers drop those around, and tabs and line ends anywhere; curl refuses all of them.
            (" \t\r\n\x0b\0http://h/a \x1f", "http://h/a"),
            ("http://h/a b?c d", "http://h/a%20b?c%20d"),
            ("http://h/long\r\n\t/wrapped\n?q", "http://h/long/wrapped?q"),
            ("http://h/a\u{a0}b\x0bc", "http://h/a%C2%A0b%0Bc"),
            // Dot segments: as browsers; curl leaves the encoded ones.
            ("http://h/a/./b/../c", "http://h/a/c"),
            ("http://h/../../c", "http://h/c"),
            ("http://h/a/%2e%2E/.%2e/%2e/c", "http://h/c"),
            ("http://h/a/%2e%2e", "http://h/"),
            ("http://h/a/b/.", "http://h/a/b/"),
            // Not dot segments.
            ("http://h/a/%2e%2e%2e/..b/%2eb/%2e%2e%2fb", "http://h/a/%2e%2e%2e/..b/%2eb/%2e%2e%2fb"),
            ("http://h/a?/../%2e%2e/b", "http://h/a?/../%2e%2e/b"),
            ("http://h/a//../b", "http://h/a/b"),
            ("http://h/\\..\\a", "http://h/%5C..%5Ca"),
            ("HTTP://h", "http://h/"),
            ("http://h/#/../x", "http://h/"),
        ] {
            assert_parses(text, Ok((expected, "h:80")));
        }
        for text in ["http://h h/", "http:// h/", "http://h%20h/", "http://h%00/", "http://u@h/", "http://h%40i/"] {
            assert_parses(text, Err(UrlError::Authority));
        }
    }

    #[test]
    fn zone_leads_to_a_device_and_is_not_sent() {
        for (text, expected) in [
            ("http://[fe80::1%25eth0]:81/a", ("http://[fe80::1]:81/a", "[fe80::1%eth0]:81")),
            ("http://[fe80::1%eth0]/", ("http://[fe80::1]/", "[fe80::1%eth0]:80")),
            ("http://[fe80::1%25br%2Dlan.1]", ("http://[fe80::1]/", "[fe80::1%br-lan.1]:80")),
            ("http://[fe80::1%3]/", ("http://[fe80::1]/", "[fe80::1%3]:80")),
            ("http://[fe80::1%25]/", ("http://[fe80::1]/", "[fe80::1%25]:80")), // as curl: interface 25
            ("http://[fe80::1]/%25a", ("http://[fe80::1]/%25a", "[fe80::1]:80")),
        ] {
            assert_parses(text, Ok(expected));
        }
        for text in ["http://[fe80::1%]/", "http://[fe80::1%a/b]/", "http://[%eth0]/", "http://[fe80::1%25a%0d]/"] {
            assert_parses(text, Err(UrlError::Authority));
        }
        for text in ["http://fe80::1%eth0/", "http://h%25eth0/", "http://[fe80::1%eth0", "http://[fe80::1%a b]/"] {
            assert_parses(text, Err(UrlError::Authority));
        }
        let url = Url::parse("http://[fe80::1%eth0]/a").unwrap();
        for (location, endpoint) in [
            ("/b", "[fe80::1%eth0]:80"),
            ("http://[FE80::1]:80/b", "[fe80::1%eth0]:80"),
            ("//[fe80::1]:81/", "[fe80::1]:81"),
            ("//[fe80::2]/", "[fe80::2]:80"),
        ] {
            let next = url.redirected(url.http.resolve(location).unwrap());
            assert_eq!(next.endpoint().to_string().to_lowercase(), endpoint, "{location}");
        }
    }

    #[cfg(feature = "idn")]
    #[test]
    fn host_beyond_ascii_is_converted_as_in_browsers() {
        for (host, expected) in [
            ("B\u{fc}cher.example", "xn--bcher-kva.example"),
            ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("b%C3%BCcher.example", "xn--bcher-kva.example"),
            ("fa\u{df}.example", "xn--fa-hia.example"), // not `fass`, which is another site
            ("\u{65e5}\u{672c}\u{3002}example", "xn--wgv71a.example"),
            ("\u{ff11}\u{ff12}\u{ff17}.0.0.1", "127.0.0.1"),
            ("ex%61mple", "example"),
            ("a_b.\u{fc}.example", "a_b.xn--tda.example"),
        ] {
            assert_parses(
                &format!("http://{host}:81/\u{fc}"),
                Ok((&format!("http://{expected}:81/%C3%BC"), &format!("{expected}:81"))),
            );
        }
        // Nothing that is converted ends the host, or becomes another part of the URL (CVE-2019-9636).
        for host in
            ["a\u{2100}b", "a\u{ff0f}b", "u\u{ff20}h", "h\u{ff1a}80", "a%2fb", "\u{ff05}2f", "\u{ad}", "a\u{202e}b"]
        {
            assert_parses(&format!("http://{host}/"), Err(UrlError::Authority));
        }
        assert_parses("http://u\u{fc}@h/", Err(UrlError::Authority));
        assert_parses("https://b\u{fc}cher/", Err(UrlError::Https));
        assert_eq!((ascii_host("B\u{fc}cher"), ascii_host("A_b")), ("xn--bcher-kva".into(), "A_b".into()));
    }
}
