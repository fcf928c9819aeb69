//! Redirects: which 3xx responses a client may follow without asking its user (RFC 1945 §9.3, RFC 9110 §15.4).
//! `url` resolves the Location header, and the caller opens the connection.
//!
//! ```
//! use http_core::client::{Connection, Event, Request};
//! use http_core::{Authority, FieldBlock, Limits, Method, Origin, Target, redirect};
//! # let mut connection = Connection::new(Limits::default());
//! let (host, fields) = (Authority::new(b"example.org").unwrap(), FieldBlock::new());
//! let request = Request::new(Method::Get, Target::new(b"/a/b")?, host, &fields);
//! # let _no_body = connection.request(&request, &mut Vec::new())?;
//! # let head = b"HTTP/1.0 302 Found\r\nLocation: ../c#d\r\n\r\n";
//! # connection.receive(head);
//! # let Ok(Event::Response(response)) = connection.poll() else { unreachable!() };
//! // HTTP/1.0 302 Found
//! // Location: ../c#d
//! if let Some(next) = redirect::follow(&request, &response, 0)? {
//!     assert_eq!(next.url.as_str(), "http://example.org/c");
//!     assert_eq!(next.url.origin(), Origin::new(host));   // otherwise leave out credentials and cookies
//!     let _request = Request::new(next.method, next.url.target(), next.url.authority(), &fields);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use thiserror::Error;

use crate::client::{Request, ResponseHead};
use crate::message::field::{FieldValue, Fields, header};
use crate::message::method::Method;
use crate::semantics::url::{HttpUrl, UrlError};

/// The maximum number of redirects to follow in a row without asking the user: 5 (R1945-9.3a).
pub const MAX_REDIRECTS: u8 = 5;

/// The request to send next. It has no body, so drop the headers that describe one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// [`Get`](Method::Get) or [`Head`](Method::Head).
    pub method: Method<'static>,
    /// The new URL. If its [origin](HttpUrl::origin) is different, do not send credentials or cookies (R1945-11b).
    pub url: HttpUrl,
}

/// The example of a [`RedirectError`]: the response to a request with this method.
macro_rules! not_followed {
    ($method:ident, $response:literal, $followed:literal => $error:expr) => {
        concat!(
            "```\n# use http_core::client::{Connection, Event, Request};\n",
            "# use http_core::redirect::{RedirectError, follow};\n",
            "# use http_core::{Authority, FieldBlock, Limits, Method, Target, UrlError};\n",
            "# let (mut connection, fields) = (Connection::new(Limits::default()), FieldBlock::new());\n",
            "let (target, host) = (Target::new(b\"/\")?, Authority::new(b\"a\")?);\n",
            "let request = Request::new(Method::",
            stringify!($method),
            ", target, host, &fields);\n",
            "# let _no_body = connection.request(&request, &mut Vec::new())?;\n",
            "connection.receive(",
            stringify!($response),
            ");\n",
            "let Event::Response(response) = connection.poll()? else { unreachable!() };\n",
            "assert_eq!(follow(&request, &response, ",
            $followed,
            "), Err(RedirectError::",
            stringify!($error),
            "));\n",
            "# Ok::<(), Box<dyn std::error::Error>>(())\n```"
        )
    };
}

/// Why a redirect is not followed without asking the user. The response itself is valid and may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// The request is neither GET nor HEAD and would be repeated (R1945-9.3b).
    #[doc = not_followed!(Post, b"HTTP/1.0 302 Found\r\nLocation: /b\r\n\r\n", 0 => Method)]
    #[error("only GET and HEAD are redirected without asking")]
    Method,
    /// [`MAX_REDIRECTS`] redirects were followed before this one (R1945-9.3a).
    #[doc = not_followed!(Get, b"HTTP/1.0 302 Found\r\nLocation: /b\r\n\r\n", 5 => TooMany)]
    #[error("there are more than {MAX_REDIRECTS} redirects in a row")]
    TooMany,
    /// Location is missing or empty, or there are several that differ (R1945-4.2b).
    #[doc = not_followed!(Get, b"HTTP/1.0 302 Found\r\n\r\n", 0 => NoLocation)]
    #[error("expected one Location in a redirect")]
    NoLocation,
    /// Location is not a URL that can be requested.
    #[doc = not_followed!(Get, b"HTTP/1.0 302 Found\r\nLocation: https://a/\r\n\r\n", 0 => Location(UrlError::Https))]
    #[error(transparent)]
    Location(#[from] UrlError),
}

/// The request to send next if the response is a redirect: 301, 302, 303, 307 or 308. `None` for any other status.
///
/// `followed` counts the redirects that led to this request: 0 for the user's own. GET and HEAD keep their method.
/// After 303, any other method becomes GET (RFC 9110 §15.4.4), which RFC 1945 lets a client redirect without asking. If
/// the user agrees to more than that, [`HttpUrl::resolve`] gives the URL.
///
/// # Errors
/// [`RedirectError`]: the response is final unless the user decides otherwise.
pub fn follow(
    request: &Request<'_>,
    response: &ResponseHead<'_>,
    followed: u8,
) -> Result<Option<Redirect>, RedirectError> {
    let method = match (response.status.code(), request.method) {
        (301 | 302 | 303 | 307 | 308, Method::Get) => Method::Get,
        (301 | 302 | 303 | 307 | 308, Method::Head) => Method::Head,
        (303, _) => Method::Get,
        (301 | 302 | 307 | 308, _) => return Err(RedirectError::Method), // R1945-9.3b
        _ => return Ok(None),
    };
    if followed >= MAX_REDIRECTS {
        return Err(RedirectError::TooMany); // R1945-9.3a
    }
    let reference = location(&response.fields).ok_or(RedirectError::NoLocation)?;
    let url = HttpUrl::of_request(request.host, request.target).resolve(reference)?;
    Ok(Some(Redirect { method, url }))
}

/// The Location of a response. Lines that agree count as one (R1945-4.2b). An empty one would lead back to the request.
fn location<'a>(fields: &Fields<'a>) -> Option<FieldValue<'a>> {
    let mut lines = fields.get_all(header::LOCATION);
    let first = lines.next().filter(|location| !location.as_bytes().is_empty())?;
    lines.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Connection, Event};
    use crate::{Authority, FieldBlock, Limits, Target};
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    /// What follows a request for `http://h/a/b` that got a response with this status and these header lines.
    fn follow_response(
        method: Method<'_>,
        status: u16,
        lines: &str,
        followed: u8,
    ) -> Result<Option<Redirect>, RedirectError> {
        let mut connection = Connection::new(Limits::default());
        let (host, fields) = (Authority::new(b"h").unwrap(), FieldBlock::new());
        let request = Request::new(method, Target::new(b"/a/b").unwrap(), host, &fields);
        let _length = connection.request(&request, &mut Vec::new()).unwrap();
        let head = format!("HTTP/1.0 {status} x\r\n{lines}\r\n");
        connection.receive(head.as_bytes());
        let Ok(Event::Response(response)) = connection.poll() else { panic!("{head}") };
        follow(&request, &response, followed)
    }

    // R1945-9.3b, R1945-6.1.1a
    #[test]
    fn only_get_and_head_are_redirected_without_asking() {
        use Method::{Delete, Get, Head, Options, Post, Put};
        const REFUSED: Result<Option<Method<'_>>, RedirectError> = Err(RedirectError::Method);
        for (method, statuses, expected) in [
            (Get, &[301, 302, 303, 307, 308][..], Ok(Some(Get))),
            (Head, &[301, 302, 303, 307, 308], Ok(Some(Head))),
            (Post, &[303], Ok(Some(Get))),
            (Put, &[303], Ok(Some(Get))),
            (Method::new(b"get").unwrap(), &[303], Ok(Some(Get))),
            (Post, &[301, 302, 307, 308], REFUSED),
            (Put, &[301, 302, 307, 308], REFUSED),
            (Delete, &[301, 302, 307, 308], REFUSED),
            (Options, &[301, 302, 307, 308], REFUSED),
            (Method::new(b"get").unwrap(), &[301, 302, 307, 308], REFUSED),
            // With these statuses, Location does not redirect.
            (Get, &[200, 201, 204, 300, 304, 305, 306, 309, 399, 404, 503], Ok(None)),
            (Post, &[200, 201, 202, 300, 304, 404], Ok(None)),
        ] {
            for &status in statuses {
                let got = follow_response(method, status, "Location: /x\r\n", 0);
                assert_eq!(got.map(|next| next.map(|next| next.method)), expected, "{method} {status}");
            }
        }
    }

    // R1945-9.3a
    #[test]
    fn at_most_five_redirects_are_followed() {
        let followed = (0..=u8::MAX)
            .take_while(|&followed| follow_response(Method::Get, 302, "Location: /x\r\n", followed).is_ok());
        assert_eq!(followed.count(), 5);
        assert_eq!(follow_response(Method::Get, 302, "Location: /x\r\n", 5), Err(RedirectError::TooMany));
        assert_eq!(follow_response(Method::Get, 302, "Location: /x\r\n", u8::MAX), Err(RedirectError::TooMany));
        assert_eq!(
            follow_response(Method::Get, 200, "Location: /x\r\n", 5),
            Ok(None),
            "a response that is not a redirect"
        );
    }

    // R9110-10.2.2, R1945-4.2b
    #[test]
    fn redirect_needs_one_valid_location() {
        for (lines, expected) in [
            ("Location: http://i:81/c\r\n", Ok("http://i:81/c")),
            ("Location: c?d#e\r\n", Ok("http://h/a/c?d")),
            ("location:\t//i\r\n", Ok("http://i/")),
            ("Location: c\r\n /d\r\n", Ok("http://h/a/c%20%20%20/d")),
            ("Location: /x\r\nlocation:  /x\r\n", Ok("http://h/x")),
            ("Location: #d\r\n", Ok("http://h/a/b")),
            ("Location:\r\n", Err(RedirectError::NoLocation)),
            ("Location: \r\nLocation: \r\n", Err(RedirectError::NoLocation)),
            ("Location:\r\nLocation: /x\r\n", Err(RedirectError::NoLocation)),
            ("Location: /x\r\nLocation:\r\n", Err(RedirectError::NoLocation)),
            ("Location: /x\r\nLocation: /x\r\nLocation: /X\r\n", Err(RedirectError::NoLocation)),
            ("Location: http://h/x\r\nLocation: /x\r\n", Err(RedirectError::NoLocation)),
            ("", Err(RedirectError::NoLocation)),
            ("Content-Location: /x\r\n", Err(RedirectError::NoLocation)),
            ("Location: https://h/a/b\r\n", Err(RedirectError::Location(UrlError::Https))),
            ("Location: //u@h/\r\n", Err(RedirectError::Location(UrlError::Authority))),
        ] {
            let got = follow_response(Method::Get, 301, lines, 0).map(|next| String::from(next.unwrap().url.as_str()));
            assert_eq!(got.as_deref(), expected.as_ref().map(|url| *url), "{lines:?}");
        }
    }
}
