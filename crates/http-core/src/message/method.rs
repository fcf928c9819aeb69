//! Request methods: those with a name in HTTP, and any other token. What a method does is decided in `wire` and
//! `semantics`.

use core::fmt;

use thiserror::Error;

use crate::grammar::is_token;

/// A request method (RFC 1945 §5.1.1, RFC 9110 §9): a case-sensitive token.
///
/// ```
/// use http_core::{InvalidMethod, Method};
/// assert_eq!(Method::try_from("GET"), Ok(Method::Get));
/// assert_eq!(Method::new(b"get").unwrap().as_str(), "get");   // a token, but not GET
/// assert!(!Method::new(b"get").unwrap().is_known());
/// assert_eq!(Method::try_from("G=T"), Err(InvalidMethod));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method<'a> {
    /// `GET` (RFC 9110 §9.3.1)
    Get,
    /// `HEAD`: the response to GET without its body (RFC 9110 §9.3.2).
    Head,
    /// `POST` (RFC 9110 §9.3.3)
    Post,
    /// `PUT` (RFC 9110 §9.3.4)
    Put,
    /// `DELETE` (RFC 9110 §9.3.5)
    Delete,
    /// `OPTIONS` (RFC 9110 §9.3.7)
    Options,
    /// `TRACE` (RFC 9110 §9.3.8)
    Trace,
    /// `CONNECT` (RFC 9110 §9.3.6). Clients do not send it, and servers refuse it.
    Connect,
    /// `PATCH` (RFC 5789)
    Patch,
    /// `LINK` (RFC 1945 §D.1.3)
    Link,
    /// `UNLINK` (RFC 1945 §D.1.4)
    Unlink,
    /// Any other token (`extension-method`, RFC 1945 §5.1.1).
    Other(ExtensionMethod<'a>),
}

/// The name of an unknown method. Only [`Method::new`] creates one, for a token that is not a known name.
/// [`Method::as_str`] returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExtensionMethod<'a>(&'a str);

impl<'a> Method<'a> {
    /// Reads a method. Names are case-sensitive (R1945-5.1.1a).
    ///
    /// # Errors
    /// [`InvalidMethod`] unless it is a token (RFC 9110 §5.6.2). A token is not empty.
    pub fn new(token: &'a [u8]) -> Result<Method<'a>, InvalidMethod> {
        Ok(match token {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"CONNECT" => Method::Connect,
            b"PATCH" => Method::Patch,
            b"LINK" => Method::Link,
            b"UNLINK" => Method::Unlink,
            other if is_token(other) => {
                Method::Other(ExtensionMethod(str::from_utf8(other).map_err(|_| InvalidMethod)?))
            }
            _ => return Err(InvalidMethod),
        })
    }

    /// The method as it appears in a request line. `Display` writes the same.
    pub const fn as_str(&self) -> &'a str {
        match *self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Trace => "TRACE",
            Method::Connect => "CONNECT",
            Method::Patch => "PATCH",
            Method::Link => "LINK",
            Method::Unlink => "UNLINK",
            Method::Other(ExtensionMethod(name)) => name,
        }
    }

    /// Whether the method is one of the named variants. A server responds with 405 to a known method that the resource
    /// does not allow, and with 501 to an unknown one (R9110-9.1b, R1945-D.1).
    pub const fn is_known(&self) -> bool {
        !matches!(self, Method::Other(_))
    }

    /// Whether the effect of several such requests is that of one, so that a client may repeat a request whose response
    /// it did not get (RFC 9110 §9.2.2). A name that is not known here never is.
    pub const fn is_idempotent(&self) -> bool {
        use Method::{Delete, Get, Head, Options, Put, Trace};
        matches!(self, Get | Head | Put | Delete | Options | Trace)
    }
}

try_from_bytes!(Method, new, InvalidMethod);

/// The error for a [`Method`] that is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("invalid method: expected one or more letters, digits or any of !#$%&'*+-.^_`|~")]
pub struct InvalidMethod;

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidMethod, Method};

    // R1945-5.1.1a, R1945-D.1, R9110-9.1b
    #[test]
    fn methods_are_case_sensitive_tokens() {
        for name in "GET HEAD POST PUT DELETE OPTIONS TRACE CONNECT PATCH LINK UNLINK".split(' ') {
            let method = Method::new(name.as_bytes()).unwrap();
            assert_eq!(method.as_str(), name);
            assert!(method.is_known());
        }
        for name in ["get", "GETX", "PROPFIND", "!#$%&'*+-.^_`|~09azAZ"] {
            let method = Method::new(name.as_bytes()).unwrap();
            assert_eq!(method.as_str(), name);
            assert!(!method.is_known());
        }
        for bad in [&b""[..], b"G T", b"G=T", b"G\0ET", b"GET\r", b"caf\xc3\xa9"] {
            assert_eq!(Method::new(bad), Err(InvalidMethod), "{bad:?}");
        }
    }
}
