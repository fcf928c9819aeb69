//! The hosts that a server responds for: a handler that refuses requests for any other, in front of another handler. The
//! host of a request is what the client says. It selects nothing, and is never repeated in a response (V34).

use std::net::IpAddr;
use std::str::FromStr;

use http_core::{Authority, Status, header};

use crate::handler::{Action, ErrorContext, Handler, HandlerError, Request, Response, Upkeep};

/// Refuses requests for other hosts than these with a 421 (Misdirected Request), in front of another handler.
///
/// That keeps out *DNS rebinding*: the owner of `evil.example` lets its name lead to the address of this server, on a
/// visitor's own machine or network. To the visitor's browser, this server is then a part of that site, and a script of the
/// site may read all responses. But the browser sends the name that it was given, as `Host: evil.example`.
///
/// The host of a request is that of an absolute-form target, or else of the Host header. Its port, its case and a dot at its
/// end do not count. Every other name is refused, and so is every other address, such as `127.0.0.1` where only `localhost`
/// is named. A request without a host is served: browsers always send one, and health checks in HTTP/1.0 often do not.
///
/// A login belongs behind it, so that passwords for one site are not tried on another. Invalid requests get their usual
/// response.
///
/// ```
/// use http_server::{AllowedHosts, Request, Response, testing};
///
/// let handler = |_: &Request<'_>| Response::text("hello\n");
/// let handler = AllowedHosts::new(["files.example".parse()?, "192.0.2.7".parse()?], handler);
///
/// let status = |host: &str| testing::get("/").header("Host", host).send(&handler).status.code();
/// assert_eq!(["Files.Example:8080", "192.0.2.7", "evil.example"].map(status), [200, 200, 421]);
/// # Ok::<(), http_server::ParseAllowedHostError>(())
/// ```
#[derive(Debug)]
pub struct AllowedHosts<H> {
    hosts: Box<[AllowedHost]>,
    inner: H,
}

impl<H: Handler> AllowedHosts<H> {
    /// Passes only requests for these hosts, or for none, on to `inner`.
    pub fn new(hosts: impl IntoIterator<Item = AllowedHost>, inner: H) -> AllowedHosts<H> {
        AllowedHosts { hosts: hosts.into_iter().collect(), inner }
    }
}

impl<H: Handler> Handler for AllowedHosts<H> {
    fn handle(&self, request: &Request<'_>) -> Action {
        if let Some(host) = host(request) {
            let allowed = self.hosts.iter().any(|allowed| allowed.is(host));
            request.trace("R9110-7.4, --allowed-host", || {
                format!("the host {host:?} is {}", if allowed { "allowed" } else { "not among the allowed ones" })
            });
            if !allowed {
                let message = "this server does not respond for the host in the address";
                return HandlerError::new(Status::MISDIRECTED_REQUEST, message).into();
            }
        }
        self.inner.handle(request)
    }

    fn never_blocks(&self) -> bool {
        self.inner.never_blocks()
    }

    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        self.inner.error_page(error)
    }

    fn upkeep(&self, upkeep: &Upkeep<'_>) {
        self.inner.upkeep(upkeep);
    }
}

/// The host that a request is for. The target's counts before the header's (R9112-3.2.2b).
fn host<'a>(request: &Request<'a>) -> Option<&'a str> {
    let head = request.head();
    match head.target.authority() {
        Some(authority) => Some(authority.host()),
        // A Host that is no authority is rejected before. It would not be allowed.
        None => head.fields.get(header::HOST).map(|value| Authority::new(value.as_bytes()).map_or("", |of| of.host())),
    }
}

/// A host that [`AllowedHosts`] lets through: a name, such as `files.example`, or an IP address.
///
/// ```
/// use http_server::AllowedHost;
///
/// let host: AllowedHost = "files.example".parse().unwrap();
/// assert_eq!(host, "FILES.example.:8080".parse().unwrap()); // a port does not count
/// assert_eq!("::1".parse::<AllowedHost>(), "[::1]".parse());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllowedHost(Host);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host {
    /// In lower case, without the dot of the root at its end.
    Name(Box<str>),
    Address(IpAddr),
}

/// The error of a text that is not an [`AllowedHost`]. It says what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAllowedHostError {
    /// It has a scheme or a path.
    ///
    /// ```
    /// # use http_server::{AllowedHost, ParseAllowedHostError};
    /// assert_eq!("http://files.example".parse::<AllowedHost>(), Err(ParseAllowedHostError::Url));
    /// ```
    #[error("expected a host without http:// and without a path, such as files.example")]
    Url,
    /// It stands for several hosts.
    ///
    /// ```
    /// # use http_server::{AllowedHost, ParseAllowedHostError};
    /// assert_eq!("*.example".parse::<AllowedHost>(), Err(ParseAllowedHostError::Wildcard));
    /// ```
    #[error("expected one host, without a wildcard: allow each host by its own name")]
    Wildcard,
    /// It has characters that a Host header cannot have.
    ///
    /// ```
    /// # use http_server::{AllowedHost, ParseAllowedHostError};
    /// assert_eq!("b\u{fc}cher.example".parse::<AllowedHost>(), Err(ParseAllowedHostError::NotAscii));
    /// ```
    #[error("expected the name as browsers send it, in ASCII: xn--bcher-kva.example, not b\u{fc}cher.example")]
    NotAscii,
    /// It is neither a name nor an address.
    ///
    /// ```
    /// # use http_server::{AllowedHost, ParseAllowedHostError};
    /// assert_eq!("files example".parse::<AllowedHost>(), Err(ParseAllowedHostError::Invalid));
    /// ```
    #[error("expected a host name or an IP address, such as files.example, 192.0.2.7 or [::1]")]
    Invalid,
}

impl FromStr for AllowedHost {
    type Err = ParseAllowedHostError;

    fn from_str(text: &str) -> Result<AllowedHost, ParseAllowedHostError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(AllowedHost(Host::Address(address.to_canonical()))); // an IPv6 address without its brackets
        }
        if text.contains('/') {
            return Err(ParseAllowedHostError::Url);
        }
        if text.contains('*') || text.starts_with('.') {
            return Err(ParseAllowedHostError::Wildcard);
        }
        if !text.is_ascii() {
            return Err(ParseAllowedHostError::NotAscii);
        }
        let authority = Authority::new(text.as_bytes()).map_err(|_| ParseAllowedHostError::Invalid)?;
        if let Some(address) = address(authority.host()) {
            return Ok(AllowedHost(Host::Address(address)));
        }
        // The grammar of Host allows more, such as a list `a,b`, which no browser sends.
        let name = without_root(authority.host()).to_ascii_lowercase();
        match name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c)) {
            true => Ok(AllowedHost(Host::Name(name.into()))),
            false => Err(ParseAllowedHostError::Invalid),
        }
    }
}

impl AllowedHost {
    /// Whether the host of an authority is this one.
    fn is(&self, host: &str) -> bool {
        match &self.0 {
            Host::Name(name) => without_root(host).eq_ignore_ascii_case(name),
            Host::Address(own) => address(host) == Some(*own),
        }
    }
}

/// The address that the host of an authority is, if it is one.
fn address(host: &str) -> Option<IpAddr> {
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    literal.unwrap_or(host).parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// A name without the dot at its end, which stands for the root of DNS.
fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exchange;
    use http_core::Method;

    fn allowed(hosts: &[&str]) -> AllowedHosts<impl Handler> {
        let inside = |request: &Request<'_>| match request.method() {
            Method::Options => Response::empty(Status::NO_CONTENT),
            _ => Response::text("inside"),
        };
        AllowedHosts::new(hosts.iter().map(|host| host.parse().unwrap()), inside)
    }

    fn status(handler: &impl Handler, request: &str) -> u16 {
        let output = exchange(handler, format!("{request}\r\n\r\n").as_bytes()).output;
        let line = String::from_utf8_lossy(&output).into_owned();
        assert!(line.starts_with("HTTP/1.0 200 ") == line.ends_with("\r\n\r\ninside"), "{request}: {line}");
        line[9..12].parse().unwrap()
    }

    // R9110-7.4, R9112-3.2.2b
    #[test]
    fn request_for_another_host_is_misdirected_whatever_it_asks_for() {
        let handler = allowed(&["files.example", "10.0.0.7", "::1", "[2001:db8::0:1]:80"]);
        for (request, expected) in [
            ("GET / HTTP/1.0\r\nHost: files.example", 200),
            ("GET / HTTP/1.1\r\nHost: files.example", 200),
            ("GET / HTTP/1.0\r\nHost: FILES.Example:8080", 200),
            ("GET / HTTP/1.0\r\nHost: files.example.:1", 200),
            ("GET / HTTP/1.0\r\nHost: files.example:", 200),
            ("GET / HTTP/1.0\r\nHost: 10.0.0.7:6789", 200),
            ("GET / HTTP/1.0\r\nHost: [::1]", 200),
            ("GET / HTTP/1.0\r\nHost: [0:0::1]:6789", 200),
            ("GET / HTTP/1.0\r\nHost: [2001:DB8::1]", 200),
            ("GET / HTTP/1.0\r\nHost: [::ffff:10.0.0.7]", 200),
            ("GET / HTTP/1.0\r\nHost: evil.example", 421),
            ("GET / HTTP/1.1\r\nHost: evil.example:6789", 421),
            ("GET / HTTP/1.0\r\nHost: files.example..", 421),
            ("GET / HTTP/1.0\r\nHost: files.example.evil.example", 421),
            ("GET / HTTP/1.0\r\nHost: evil-files.example", 421),
            ("GET / HTTP/1.0\r\nHost: a.files.example", 421),
            ("GET / HTTP/1.0\r\nHost: example", 421),
            ("GET / HTTP/1.0\r\nHost: localhost", 421),
            ("GET / HTTP/1.0\r\nHost: 127.0.0.1", 421),
            ("GET / HTTP/1.0\r\nHost: 10.0.0.77", 421),
            ("GET / HTTP/1.0\r\nHost: [::2]", 421),
            ("GET / HTTP/1.0\r\nHost: [v1.files.example]", 421),
            // Without a host
            ("GET / HTTP/1.0", 200),
            ("HEAD / HTTP/1.0\r\nHost: evil.example", 421),
            ("POST / HTTP/1.0\r\nHost: evil.example\r\nContent-Length: 0", 421),
            ("OPTIONS * HTTP/1.1\r\nHost: evil.example", 421),
            ("OPTIONS * HTTP/1.1\r\nHost: files.example", 204),
            // The target counts, not the header.
            ("GET http://files.example:1/ HTTP/1.0", 200),
            ("GET http://evil.example/ HTTP/1.0", 421),
            ("GET http://FILES.example/ HTTP/1.1\r\nHost: evil.example", 200),
            ("GET http://evil.example/ HTTP/1.1\r\nHost: files.example", 421),
            // Invalid
            ("GET / HTTP/1.1", 400),
            ("GET / HTTP/1.0\r\nHost: a b", 400),
            ("GET / HTTP/1.0\r\nHost: files.example\r\nHost: files.example", 400),
        ] {
            assert_eq!(status(&handler, request), expected, "{request}");
        }
        assert!(exchange(&handler, b"GET /\r\n").output == b"inside", "a request in HTTP/0.9 has no host");
        assert_eq!(status(&allowed(&[]), "GET / HTTP/1.0\r\nHost: files.example"), 421, "none is allowed");
        assert_eq!(status(&allowed(&["Files.EXAMPLE."]), "GET / HTTP/1.0\r\nHost: files.example"), 200);
    }

    // V34
    #[test]
    fn refusal_keeps_the_connection_and_does_not_repeat_the_host() {
        let bytes =
            b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 4\r\n\r\nbodyGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let output = String::from_utf8(exchange(&allowed(&["a"]), bytes).output).unwrap();
        assert!(output.starts_with("HTTP/1.0 421 Misdirected Request\r\n") && !output.contains("evil"), "{output}");
        assert!(output.contains("HTTP/1.0 200 OK\r\n") && output.ends_with("inside"), "{output}");
    }

    #[test]
    fn text_that_is_no_host_is_refused_with_what_to_write() {
        use ParseAllowedHostError::{Invalid, NotAscii, Url, Wildcard};
        for (text, expected) in [
            ("", Invalid),
            (":80", Invalid),
            ("a b", Invalid),
            ("a,b", Invalid),
            ("a:b", Invalid),
            ("user@a", Invalid),
            ("[v1.a]", Invalid),
            ("[::1", Invalid),
            ("fe80::1%eth0", Invalid),
            ("http://a", Url),
            ("a/", Url),
            ("*", Wildcard),
            ("*.a", Wildcard),
            (".a", Wildcard),
            ("b\u{fc}cher.example", NotAscii),
        ] {
            assert_eq!(text.parse::<AllowedHost>(), Err(expected), "{text}");
        }
    }
}
