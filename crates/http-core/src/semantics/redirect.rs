//! Redirects: what a client may do with a 3xx without asking its user (RFC 1945 §9.3, RFC 9110 §15.4). Where a Location
//! leads is `url`'s; who connects there is the caller.
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
//! # let Ok(Event::Response(answer)) = connection.poll() else { unreachable!() };
//! // HTTP/1.0 302 Found
//! // Location: ../c#d
//! if let Some(next) = redirect::follow(&request, &answer, 0)? {
//!     assert_eq!(next.url.as_str(), "http://example.org/c");
//!     assert_eq!(next.url.origin(), Origin::new(host));   // otherwise leave out credentials and cookies
//!     let _request = Request::new(next.method, next.url.target(), next.url.authority(), &fields);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use thiserror::Error;

use crate::client::{Request, ResponseHead};
use crate::message::field::header;
use crate::message::method::Method;
use crate::semantics::url::{HttpUrl, UrlError};

/// How many redirects are followed in a row without asking (R1945-9.3a).
pub const MAX_REDIRECTS: u8 = 5;

/// Where a redirected request goes on. What the first one carried for the sake of its body is not for this one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// [`Get`](Method::Get) or [`Head`](Method::Head).
    pub method: Method<'static>,
    /// What to request. If its [origin](HttpUrl::origin) is another one, leave out credentials and cookies (R1945-11b).
    pub url: HttpUrl,
}

/// Why a redirect is not followed without asking. The answer itself is sound, and may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// The request is neither GET nor HEAD, and would be repeated (R1945-9.3b).
    #[error("only GET and HEAD are redirected without asking")]
    Method,
    /// [`MAX_REDIRECTS`] redirects were followed before this one (R1945-9.3a).
    #[error("there are more than {MAX_REDIRECTS} redirects in a row")]
    TooMany,
    /// There is no Location, or there are several, which mean nothing (R1945-4.2b).
    #[error("expected one Location in a redirect")]
    NoLocation,
    /// The Location is none that can be asked.
    #[error(transparent)]
    Location(#[from] UrlError),
}

/// What to ask for next, if the answer is a redirect: 301, 302, 303, 307 or 308; `None` for any other.
///
/// `followed` is how many redirects led to this request, 0 for the user's own. GET and HEAD stay what they are; after 303
/// any other method goes on as GET (RFC 9110 §15.4.4), which is what RFC 1945 asks of a request that nobody was asked
/// about. Where the user agrees to more than that, [`HttpUrl::resolve`] says where to.
///
/// # Errors
/// [`RedirectError`]: the answer is the last, unless the user wants otherwise.
pub fn follow(
    request: &Request<'_>,
    answer: &ResponseHead<'_>,
    followed: u8,
) -> Result<Option<Redirect>, RedirectError> {
    let method = match (answer.status.code(), request.method) {
        (301 | 302 | 303 | 307 | 308, Method::Get) => Method::Get,
        (301 | 302 | 303 | 307 | 308, Method::Head) => Method::Head,
        (303, _) => Method::Get,
        (301 | 302 | 307 | 308, _) => return Err(RedirectError::Method), // R1945-9.3b
        _ => return Ok(None),
    };
    if followed >= MAX_REDIRECTS {
        return Err(RedirectError::TooMany); // R1945-9.3a
    }
    let reference = answer.fields.only(header::LOCATION).ok_or(RedirectError::NoLocation)?;
    let url = HttpUrl::of_request(request.host, request.target).resolve(reference)?;
    Ok(Some(Redirect { method, url }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Connection, Event};
    use crate::{Authority, FieldBlock, Limits, Target};
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    /// What is asked for after `http://h/a/b` was answered with this status and these lines.
    fn answered(method: Method<'_>, status: u16, lines: &str, followed: u8) -> Result<Option<Redirect>, RedirectError> {
        let mut connection = Connection::new(Limits::default());
        let (host, fields) = (Authority::new(b"h").unwrap(), FieldBlock::new());
        let request = Request::new(method, Target::new(b"/a/b").unwrap(), host, &fields);
        let _length = connection.request(&request, &mut Vec::new()).unwrap();
        let head = format!("HTTP/1.0 {status} x\r\n{lines}\r\n");
        connection.receive(head.as_bytes());
        let Ok(Event::Response(answer)) = connection.poll() else { panic!("{head}") };
        follow(&request, &answer, followed)
    }

    // R1945-9.3b, R1945-6.1.1a
    #[test]
    fn only_get_and_head_go_on_by_themselves() {
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
            // A Location means no redirect with these.
            (Get, &[200, 201, 204, 300, 304, 305, 306, 309, 399, 404, 503], Ok(None)),
            (Post, &[200, 201, 202, 300, 304, 404], Ok(None)),
        ] {
            for &status in statuses {
                let got = answered(method, status, "Location: /x\r\n", 0);
                assert_eq!(got.map(|next| next.map(|next| next.method)), expected, "{method} {status}");
            }
        }
    }

    // R1945-9.3a
    #[test]
    fn five_are_followed_and_no_more() {
        let followed =
            (0..=u8::MAX).take_while(|&followed| answered(Method::Get, 302, "Location: /x\r\n", followed).is_ok());
        assert_eq!(followed.count(), 5);
        assert_eq!(answered(Method::Get, 302, "Location: /x\r\n", 5), Err(RedirectError::TooMany));
        assert_eq!(answered(Method::Get, 302, "Location: /x\r\n", u8::MAX), Err(RedirectError::TooMany));
        assert_eq!(answered(Method::Get, 200, "Location: /x\r\n", 5), Ok(None), "the end of a row");
    }

    // R9110-10.2.2, R1945-4.2b
    #[test]
    fn one_location_says_where_to() {
        for (lines, expected) in [
            ("Location: http://i:81/c\r\n", Ok("http://i:81/c")),
            ("Location: c?d#e\r\n", Ok("http://h/a/c?d")),
            ("location:\t//i\r\n", Ok("http://i/")),
            ("Location: c\r\n /d\r\n", Ok("http://h/a/c%20%20%20/d")),
            ("Location:\r\n", Ok("http://h/a/b")),
            ("", Err(RedirectError::NoLocation)),
            ("Content-Location: /x\r\n", Err(RedirectError::NoLocation)),
            ("Location: /x\r\nLocation: /x\r\n", Err(RedirectError::NoLocation)),
            ("Location: https://h/a/b\r\n", Err(RedirectError::Location(UrlError::Https))),
            ("Location: //u@h/\r\n", Err(RedirectError::Location(UrlError::Authority))),
        ] {
            let got = answered(Method::Get, 301, lines, 0).map(|next| String::from(next.unwrap().url.as_str()));
            assert_eq!(got.as_deref(), expected.as_ref().map(|url| *url), "{lines:?}");
        }
    }
}
