//! What is fetched, and from where: an `http` URL, from its text or from host, port and file.
//! A URL that exists can be asked for as it stands: whatever it may not hold was encoded or refused.

use std::fmt;
use std::str::FromStr;

use http_core::{Authority, Target, percent_encode};

use crate::error::UrlError;

/// An `http` URL without a fragment.
///
/// ```
/// use webclient::Url;
/// let url: Url = "HTTP://[::1]:6789/a b?c#d".parse()?;
/// assert_eq!(url.to_string(), "http://[::1]:6789/a%20b?c");
/// assert_eq!(url, Url::of_file("::1", 6789, b"a b?c")?);
/// # Ok::<(), webclient::UrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    text: String,
    host: String,
    port: u16,
}

const DEFAULT_PORT: u16 = 80;

impl Url {
    /// The URL of a file on a server. The host is a name or an address; `/` before the file may be left out.
    ///
    /// The file is what a URL says after its host, a query included; bytes that no URL may hold are percent-encoded,
    /// `#` too, and encodings that are there are kept (R1945-3.2.1).
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn of_file(host: &str, port: u16, file: &[u8]) -> Result<Url, UrlError> {
        let bracketed = host.contains(':') && !host.starts_with('[');
        let host = if bracketed { format!("[{host}]") } else { host.to_owned() };
        if Authority::new(host.as_bytes()).map_or(true, |authority| authority.host() != host) {
            return Err(UrlError::Host);
        }
        if port == 0 {
            return Err(UrlError::Port);
        }
        let port_text = if port == DEFAULT_PORT { String::new() } else { format!(":{port}") };
        let mut text = format!("http://{host}{port_text}");
        if !file.starts_with(b"/") {
            text.push('/');
        }
        encode(file, &mut text);
        Target::new(text.as_bytes())?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Url { text, host, port })
    }

    /// The host, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 80 if the URL names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as the Host field has them: the port is left out if it is 80, and an IPv6 address is in brackets.
    pub fn authority(&self) -> &str {
        self.text.split('/').nth(2).unwrap_or_default() // http: / / authority / path
    }

    /// The request-target and the host that is asked for it.
    pub(crate) fn target(&self) -> Result<(Target<'_>, Authority<'_>), UrlError> {
        let target = Target::new(self.text.as_bytes())?;
        Ok((target, target.authority().ok_or(UrlError::Host)?))
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Url, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        if scheme.eq_ignore_ascii_case("https") {
            return Err(UrlError::Tls);
        } else if !scheme.eq_ignore_ascii_case("http") {
            return Err(UrlError::Scheme);
        }
        let rest = rest.split('#').next().unwrap_or_default(); // R1945-10.13: a fragment is never sent
        let (authority, file) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let authority = Authority::new(authority.as_bytes()).map_err(|_| UrlError::Authority)?; // R9110-4.2.1, R9110-4.2.4
        Url::of_file(authority.host(), authority.port().unwrap_or(DEFAULT_PORT), file.as_bytes()) // R1945-3.2.2
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Path and query: what RFC 3986 allows there stands for itself; nothing else gets through, no line end above all.
fn encode(file: &[u8], out: &mut String) {
    for (n, byte) in file.iter().enumerate() {
        match byte {
            b'/' | b'?' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => {
                out.push(char::from(*byte));
            }
            b'%' if matches!(file[n + 1..], [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) => {
                out.push('%');
            }
            _ => percent_encode(&[*byte], out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R1945-3.2.1, R1945-3.2.2, R1945-5.1.2a, R1945-10.13, R9110-4.2.1, R9110-4.2.4, R9112-11.1
    #[test]
    fn urls() {
        for (text, expected) in [
            ("http://h", Ok(("http://h/", "h", 80))),
            ("HTTP://H:/", Ok(("http://H/", "H", 80))),
            ("http://h:80/", Ok(("http://h/", "h", 80))),
            ("http://h:6789?q", Ok(("http://h:6789/?q", "h", 6789))),
            ("http://[::1]/a", Ok(("http://[::1]/a", "::1", 80))),
            ("http://127.0.0.1:1/a#b", Ok(("http://127.0.0.1:1/a", "127.0.0.1", 1))),
            ("http://h/ab \"<>\\^`{|}[]\u{e9}", Ok(("http://h/ab%20%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D%C3%A9", "h", 80))),
            ("http://h/%41%zz%", Ok(("http://h/%41%25zz%25", "h", 80))),
            ("http://h?%0d%0aX:+y", Ok(("http://h/?%0d%0aX:+y", "h", 80))),
            ("https://h/", Err(UrlError::Tls)),
            ("ftp://h/", Err(UrlError::Scheme)),
            ("file:///etc/passwd", Err(UrlError::Scheme)),
            ("h/a", Err(UrlError::Scheme)),
            ("http:///a", Err(UrlError::Authority)),
            ("http://:80/a", Err(UrlError::Authority)),
            ("http://user:password@h/", Err(UrlError::Authority)),
            ("http://h\r\nX: y/", Err(UrlError::Authority)),
            ("http://h h/", Err(UrlError::Authority)),
            ("http://::1/", Err(UrlError::Authority)),
            ("http://h:+80/", Err(UrlError::Authority)),
            ("http://h:65536/", Err(UrlError::Authority)),
            ("http://h:0/", Err(UrlError::Port)),
            ("http://h/a\r\nX: y", Ok(("http://h/a%0D%0AX:%20y", "h", 80))),
            ("http://h/../a%2Fb", Ok(("http://h/../a%2Fb", "h", 80))),
        ] {
            let url = text.parse::<Url>();
            let got = url.as_ref().map(|url| (url.text.as_str(), url.host(), url.port())).map_err(|error| *error);
            assert_eq!(got, expected, "{text:?}");
        }
    }

    #[test]
    fn files() {
        for (host, file, expected) in [
            ("h", &b"a.html"[..], Ok("http://h:81/a.html")),
            ("h", b"/a?b#c", Ok("http://h:81/a?b%23c")),
            ("h", b"", Ok("http://h:81/")),
            ("h", b"a?HTTP/1.0\r\nX: y\0\xff", Ok("http://h:81/a?HTTP/1.0%0D%0AX:%20y%00%FF")),
            ("h", b"a\r\n", Ok("http://h:81/a%0D%0A")),
            ("::1", b"a", Ok("http://[::1]:81/a")),
            ("[::1]", b"a", Ok("http://[::1]:81/a")),
            ("h:80", b"a", Err(UrlError::Host)),
            ("", b"a", Err(UrlError::Host)),
            ("[::1", b"a", Err(UrlError::Host)),
            ("h\r\nX:y", b"a", Err(UrlError::Host)),
        ] {
            let url = Url::of_file(host, 81, file);
            assert_eq!(url.map(|url| url.to_string()), expected.map(str::to_owned), "{host:?}");
        }
    }
}
