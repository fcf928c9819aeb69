//! Feature `http`: conversions from and to the types of the `http` crate, which hyper, axum and tower share.
//!
//! A [`FieldBlock`] made from a [`HeaderMap`] leaves out the headers that this library alone writes (see
//! [`FieldBlock`]). Instead, Host, Content-Length, Connection and Date become fields of [`client::Request`] and
//! [`server::Response`].

use http::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderName, InvalidHeaderValue};
use thiserror::Error;

use crate::client;
use crate::grammar::{decimal, elements};
use crate::message::date::Date;
use crate::message::field::{FieldBlock, FieldName, FieldValue, Fields, InvalidFieldName, InvalidFieldValue};
use crate::message::method::{InvalidMethod, Method};
use crate::message::status::{InvalidStatus, Status};
use crate::message::target::{Authority, InvalidAuthority, Target};
use crate::message::target_error::TargetError;
use crate::message::version::Version;
use crate::server;

impl From<Status> for http::StatusCode {
    fn from(status: Status) -> http::StatusCode {
        http::StatusCode::from_u16(status.code()).unwrap_or_default() // both are 100 to 999
    }
}

impl TryFrom<http::StatusCode> for Status {
    type Error = InvalidStatus;

    fn try_from(status: http::StatusCode) -> Result<Status, InvalidStatus> {
        Status::new(status.as_u16())
    }
}

impl TryFrom<Method<'_>> for http::Method {
    type Error = http::method::InvalidMethod;

    fn try_from(method: Method<'_>) -> Result<http::Method, http::method::InvalidMethod> {
        http::Method::from_bytes(method.as_str().as_bytes())
    }
}

impl<'a> TryFrom<&'a http::Method> for Method<'a> {
    type Error = InvalidMethod;

    fn try_from(method: &'a http::Method) -> Result<Method<'a>, InvalidMethod> {
        Method::new(method.as_str().as_bytes())
    }
}

impl TryFrom<FieldName<'_>> for HeaderName {
    type Error = InvalidHeaderName;

    /// The name in lower case.
    fn try_from(name: FieldName<'_>) -> Result<HeaderName, InvalidHeaderName> {
        HeaderName::from_bytes(name.as_str().as_bytes())
    }
}

impl<'a> TryFrom<&'a HeaderName> for FieldName<'a> {
    type Error = InvalidFieldName;

    fn try_from(name: &'a HeaderName) -> Result<FieldName<'a>, InvalidFieldName> {
        FieldName::new(name.as_str().as_bytes())
    }
}

impl TryFrom<FieldValue<'_>> for HeaderValue {
    type Error = InvalidHeaderValue;

    fn try_from(value: FieldValue<'_>) -> Result<HeaderValue, InvalidHeaderValue> {
        HeaderValue::from_bytes(value.as_bytes())
    }
}

impl<'a> TryFrom<&'a HeaderValue> for FieldValue<'a> {
    type Error = InvalidFieldValue;

    fn try_from(value: &'a HeaderValue) -> Result<FieldValue<'a>, InvalidFieldValue> {
        FieldValue::new(value.as_bytes())
    }
}

impl TryFrom<&Fields<'_>> for HeaderMap {
    type Error = http::Error;

    fn try_from(fields: &Fields<'_>) -> Result<HeaderMap, http::Error> {
        header_map(fields.iter())
    }
}

impl TryFrom<&FieldBlock> for HeaderMap {
    type Error = http::Error;

    fn try_from(fields: &FieldBlock) -> Result<HeaderMap, http::Error> {
        header_map(fields.iter())
    }
}

impl From<&HeaderMap> for FieldBlock {
    /// All headers except the reserved ones, which are left out (see [`FieldBlock`]).
    fn from(headers: &HeaderMap) -> FieldBlock {
        let mut fields = FieldBlock::new();
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (FieldName::try_from(name), FieldValue::try_from(value)) {
                let _ = fields.push(name, value); // fails for the reserved headers only
            }
        }
        fields
    }
}

impl TryFrom<&server::RequestHead<'_>> for http::Request<()> {
    type Error = http::Error;

    /// The request without its body. Version 1.2 and later become 1.1.
    ///
    /// ```
    /// use http_core::{Limits, server::{Connection, Event}};
    /// # let mut connection = Connection::new(Limits::default());
    /// # connection.receive(b"GET /a?b HTTP/1.1\r\nHost: example.org\r\n\r\n");
    /// let Event::Request(head) = connection.poll()? else { unreachable!() };
    /// let request = http::Request::try_from(&head)?;
    /// assert!(request.uri().path() == "/a" && request.headers()["host"] == "example.org");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the target holds a byte that [`http::Uri`] rejects, such as a backquote.
    fn try_from(head: &server::RequestHead<'_>) -> Result<http::Request<()>, http::Error> {
        let mut request = http::Request::builder()
            .method(http::Method::try_from(head.method)?)
            .uri(head.target.as_str())
            .version(version(head.version))
            .body(())?;
        *request.headers_mut() = HeaderMap::try_from(&head.fields)?;
        Ok(request)
    }
}

impl TryFrom<&client::ResponseHead<'_>> for http::Response<()> {
    type Error = http::Error;

    /// The response without its body and its reason phrase. Version 1.2 and later become 1.1.
    fn try_from(head: &client::ResponseHead<'_>) -> Result<http::Response<()>, http::Error> {
        let mut response = http::Response::new(());
        *response.status_mut() = head.status.into();
        *response.version_mut() = version(head.version);
        *response.headers_mut() = HeaderMap::try_from(&head.fields)?;
        Ok(response)
    }
}

impl<'a> client::Request<'a> {
    /// Converts a request of the `http` crate into one to be sent.
    ///
    /// Its host is the URI's, or else the Host header's. The length of its body is Content-Length's; without one, set
    /// [`body`](Self::body). `keep_alive` is set if Connection has `keep-alive`. `fields` are the other
    /// headers, as [`FieldBlock::from`] reads them. Feature `http` only.
    ///
    /// ```
    /// use http_core::{FieldBlock, Limits, client::{Connection, Request}};
    /// let request = http::Request::put("http://example.org/a?b").header("Content-Length", 5).header("X-A", "b").body(())?;
    /// let fields = FieldBlock::from(request.headers());
    /// let mut out = Vec::new();
    /// let _body = Connection::new(Limits::default()).request(&Request::from_http(&request, &fields)?, &mut out)?;
    /// assert!(out.starts_with(b"PUT /a?b HTTP/1.0\r\nHost: example.org\r\n"));
    /// assert!(out.ends_with(b"Content-Length: 5\r\nx-a: b\r\n\r\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`FromHttpError`].
    pub fn from_http<T>(
        request: &'a http::Request<T>,
        fields: &'a FieldBlock,
    ) -> Result<client::Request<'a>, FromHttpError> {
        let (uri, headers) = (request.uri(), request.headers());
        let host = match (uri.authority(), headers.get(http::header::HOST)) {
            (Some(authority), _) => Authority::try_from(authority.as_str())?,
            (None, Some(host)) => Authority::new(host.as_bytes())?,
            (None, None) => return Err(FromHttpError::NoHost),
        };
        let target = Target::try_from(uri.path_and_query().map_or("", |path| path.as_str()))?;
        let body = content_length(headers)?;
        let keep_alive = has_option(headers, b"keep-alive");
        let method = Method::try_from(request.method())?;
        Ok(client::Request { body, keep_alive, ..client::Request::new(method, target, host, fields) })
    }
}

impl<'a> server::Response<'a> {
    /// Converts a response of the `http` crate into one to be sent.
    ///
    /// The length of its body is Content-Length's. Without a valid one, the connection closes after the body; set
    /// [`body`](Self::body) if you know the length. `close` is set if Connection has `close`. The date is that of
    /// the response, or else `now`. `fields` are the other headers, as [`FieldBlock::from`] reads them. Feature `http`
    /// only.
    ///
    /// ```
    /// use http_core::{FieldBlock, server::{Response, ResponseBody}};
    /// let response = http::Response::builder().status(404).header("Content-Length", 5).body("gone\n")?;
    /// let fields = FieldBlock::from(response.headers());
    /// assert_eq!(Response::from_http(&response, &fields, None).body, ResponseBody::Length(5));
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn from_http<T>(
        response: &http::Response<T>,
        fields: &'a FieldBlock,
        now: Option<Date>,
    ) -> server::Response<'a> {
        let headers = response.headers();
        let length = content_length(headers).ok().flatten();
        let date =
            headers.get(http::header::DATE).zip(now).and_then(|(date, now)| Date::parse(date.as_bytes(), now).ok());
        // Every status of the `http` crate is one of this crate.
        let status = Status::try_from(response.status()).unwrap_or(Status::INTERNAL_SERVER_ERROR);
        server::Response {
            body: length.map_or(server::ResponseBody::UntilClose, server::ResponseBody::Length),
            date: date.or(now).map(Date::text),
            close: has_option(headers, b"close"),
            ..server::Response::new(status, fields)
        }
    }
}

/// Why a request of the `http` crate cannot be sent over HTTP/1.0. Feature `http` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum FromHttpError {
    /// The method is invalid.
    ///
    /// ```
    /// # use http_core::{FromHttpError, InvalidMethod};
    /// assert!(http::Method::from_bytes(b"G=T").is_err());   // version 1 of the crate refuses the same ones
    /// assert_eq!(FromHttpError::from(InvalidMethod), FromHttpError::Method(InvalidMethod));
    /// ```
    #[error(transparent)]
    Method(#[from] InvalidMethod),
    /// The path and query are not a request-target. A query needs a path: `http://h/?q`.
    ///
    /// ```
    /// # use http_core::{FieldBlock, FromHttpError, TargetError, client::Request};
    /// let request = http::Request::get("http://a?b").body(())?;
    /// let fields = FieldBlock::new();
    /// assert_eq!(Request::from_http(&request, &fields).err(), Some(FromHttpError::Target(TargetError::Form)));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[error("the request-target {0}")]
    Target(#[from] TargetError),
    /// The URI's authority or the Host header is invalid. A user is not allowed.
    ///
    /// ```
    /// # use http_core::{FieldBlock, FromHttpError, InvalidAuthority, client::Request};
    /// let request = http::Request::get("http://user@a/").body(())?;
    /// let fields = FieldBlock::new();
    /// assert_eq!(Request::from_http(&request, &fields).err(), Some(FromHttpError::Host(InvalidAuthority)));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[error(transparent)]
    Host(#[from] InvalidAuthority),
    /// There is no host.
    ///
    /// ```
    /// # use http_core::{FieldBlock, FromHttpError, client::Request};
    /// let request = http::Request::get("/b").body(())?;
    /// let fields = FieldBlock::new();
    /// assert_eq!(Request::from_http(&request, &fields).err(), Some(FromHttpError::NoHost));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[error("no host: expected an absolute URI or a Host header")]
    NoHost,
    /// The Content-Length is invalid, or two differ.
    ///
    /// ```
    /// # use http_core::{FieldBlock, FromHttpError, client::Request};
    /// let request = http::Request::put("http://a/").header("Content-Length", "+5").body(())?;
    /// let fields = FieldBlock::new();
    /// assert_eq!(Request::from_http(&request, &fields).err(), Some(FromHttpError::ContentLength));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[error("the Content-Length is not a number of bytes, or two differ")]
    ContentLength,
}

impl From<FromHttpError> for std::io::Error {
    /// Its kind is [`InvalidInput`](std::io::ErrorKind::InvalidInput).
    fn from(error: FromHttpError) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::InvalidInput, error)
    }
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, FromHttpError> {
    let mut lines = headers.get_all(http::header::CONTENT_LENGTH).iter();
    let Some(first) = lines.next() else { return Ok(None) };
    match decimal(first.as_bytes()) {
        Some(length) if lines.all(|line| line == first) => Ok(Some(length)),
        _ => Err(FromHttpError::ContentLength),
    }
}

fn header_map<'a>(fields: impl Iterator<Item = (FieldName<'a>, FieldValue<'a>)>) -> Result<HeaderMap, http::Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.try_append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?)?;
    }
    Ok(headers)
}

fn has_option(headers: &HeaderMap, option: &[u8]) -> bool {
    let mut options = headers.get_all(http::header::CONNECTION).iter().flat_map(|value| elements(value.as_bytes()));
    options.any(|element| element.eq_ignore_ascii_case(option))
}

fn version(version: Version) -> http::Version {
    match (version.major(), version.minor()) {
        (0, _) => http::Version::HTTP_09,
        (1, 0) => http::Version::HTTP_10,
        _ => http::Version::HTTP_11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::UsageError;
    use crate::limits::Limits;
    use alloc::vec::Vec;

    #[test]
    fn statuses_and_methods_convert_both_ways() {
        for code in 100..=999 {
            let status = Status::new(code).unwrap();
            assert_eq!(http::StatusCode::from(status).as_u16(), code);
            assert_eq!(Status::try_from(http::StatusCode::from(status)), Ok(status));
        }
        for name in ["GET", "PATCH", "LINK", "CONNECT", "get", "!#$%&'*+-.^_`|~09azAZ", "A-LONG-EXTENSION-METHOD"] {
            let method = Method::try_from(name).unwrap();
            let converted = http::Method::try_from(method).unwrap();
            assert_eq!((converted.as_str(), Method::try_from(&converted)), (name, Ok(method)));
        }
    }

    // R9110-5.5, R9112-11.1
    #[test]
    fn every_byte_of_a_name_or_value_is_valid_in_both_crates_or_in_none() {
        for byte in 0..=255u8 {
            let text = [b'a', byte, b'b'];
            let (name, value) = (FieldName::new(&text), FieldValue::new(&text));
            assert_eq!(HeaderName::from_bytes(&text).is_ok(), name.is_ok(), "{byte}");
            assert_eq!(HeaderValue::from_bytes(&text).is_ok(), value.is_ok(), "{byte}");
            if let Ok(name) = name {
                assert_eq!(FieldName::try_from(&HeaderName::try_from(name).unwrap()), Ok(name));
            }
            if let Ok(value) = value {
                assert_eq!(FieldValue::try_from(&HeaderValue::try_from(value).unwrap()), Ok(value));
            }
        }
    }

    // R9112-6.1d
    #[test]
    fn header_maps_convert_without_the_reserved_headers() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("via", "a"),
            ("via", "b"),
            ("host", "h"),
            ("content-length", "5"),
            ("connection", "x"),
            ("date", "x"),
            ("keep-alive", "x"),
            ("transfer-encoding", "chunked"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let fields = FieldBlock::from(&headers);
        assert_eq!(fields.as_bytes(), b"via: a\r\nvia: b\r\n");
        let back = HeaderMap::try_from(&fields).unwrap();
        assert!(back.get_all("Via").iter().eq(["a", "b"]) && back.len() == 2);
    }

    #[test]
    fn received_request_converts() {
        for (head, uri, version) in [
            ("POST /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\nX: 2\r\n\r\n", "/a?b", http::Version::HTTP_11),
            ("POST http://h:81/a HTTP/1.3\r\nHost: h\r\nX: 1\r\nX: 2\r\n\r\n", "http://h:81/a", http::Version::HTTP_11),
            ("POST / HTTP/1.0\r\nContent-Length: 0\r\nX: 1\r\nX: 2\r\n\r\n", "/", http::Version::HTTP_10),
        ] {
            let mut connection = server::Connection::new(Limits::default());
            connection.receive(head.as_bytes());
            let Ok(server::Event::Request(head)) = connection.poll() else { panic!("{head}") };
            let request = http::Request::try_from(&head).unwrap();
            assert_eq!(
                (request.method(), request.uri(), request.version()),
                (&http::Method::POST, &uri.parse().unwrap(), version)
            );
            assert!(request.headers().get_all("x").iter().eq(["1", "2"]));
        }
        let mut connection = server::Connection::new(Limits::default());
        connection.receive(b"GET /` HTTP/1.0\r\n\r\n");
        let Ok(server::Event::Request(head)) = connection.poll() else { panic!() };
        assert!(http::Request::try_from(&head).is_err(), "`http::Uri` has no backquote");
    }

    #[test]
    fn request_to_be_sent_is_converted_or_refused() {
        let sent = |request: http::request::Builder| {
            let request = request.body(()).unwrap();
            let fields = FieldBlock::from(request.headers());
            let request = client::Request::from_http(&request, &fields)?;
            let mut out = Vec::new();
            let _body = client::Connection::new(Limits::default()).request(&request, &mut out).unwrap();
            Ok(alloc::string::String::from_utf8(out).unwrap())
        };
        let get = http::Request::get;
        for (request, expected) in [
            (get("http://h:81/a?b"), Ok("GET /a?b HTTP/1.0\r\nHost: h:81\r\nConnection: close\r\n\r\n")),
            (get("http://h"), Ok("GET / HTTP/1.0\r\nHost: h\r\nConnection: close\r\n\r\n")),
            (
                get("/a").header("Host", "h").header("Connection", "x, Keep-Alive").header("Via", "v"),
                Ok("GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nvia: v\r\n\r\n"),
            ),
            (
                http::Request::post("http://u/").header("Host", "h").header("Content-Length", "0"),
                Ok("POST / HTTP/1.0\r\nHost: u\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
            ),
            (
                http::Request::options("*").header("Host", "h"),
                Ok("OPTIONS * HTTP/1.0\r\nHost: h\r\nConnection: close\r\n\r\n"),
            ),
            (get("/a"), Err(FromHttpError::NoHost)),
            (get("/a").header("Host", "u@h"), Err(FromHttpError::Host(InvalidAuthority))),
            (get("http://u@h/a"), Err(FromHttpError::Host(InvalidAuthority))),
            (get("http://h?q"), Err(FromHttpError::Target(TargetError::Form))),
            (http::Request::connect("h:443"), Err(FromHttpError::Target(TargetError::Form))),
            (get("http://h/").header("Content-Length", "x"), Err(FromHttpError::ContentLength)),
            (
                http::Request::post("http://h/").header("Content-Length", "5").header("Content-Length", "6"),
                Err(FromHttpError::ContentLength),
            ),
            (
                http::Request::post("http://h/").header("Content-Length", "0").header("Content-Length", "0"),
                Ok("POST / HTTP/1.0\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
            ),
        ] {
            assert_eq!(sent(request).as_deref(), expected.as_ref().map(|text| *text));
        }
    }

    #[test]
    fn responses_convert_both_ways() {
        let now = Date::from_unix(784_111_777).unwrap();
        let response = http::Response::builder()
            .status(299)
            .header("Content-Length", "5")
            .header("Connection", "close")
            .header("Date", "Sun, 06 Nov 1994 08:49:36 GMT")
            .header("ETag", "\"x\"")
            .body(())
            .unwrap();
        let fields = FieldBlock::from(response.headers());
        let converted = server::Response::from_http(&response, &fields, Some(now));
        assert_eq!(
            (converted.status.code(), converted.body, converted.close),
            (299, server::ResponseBody::Length(5), true)
        );
        assert_eq!(converted.date.unwrap().as_str(), "Sun, 06 Nov 1994 08:49:36 GMT");
        assert_eq!(fields.as_bytes(), b"etag: \"x\"\r\n");
        let plain = server::Response::from_http(&http::Response::new(()), &fields, Some(now));
        assert_eq!((plain.body, plain.close), (server::ResponseBody::UntilClose, false));
        assert_eq!(plain.date.unwrap(), now.text());
        let interim = http::Response::builder().status(100).body(()).unwrap();
        let interim = server::Response::from_http(&interim, &fields, None);
        let mut server = server::Connection::new(Limits::default());
        server.receive(b"GET / HTTP/1.0\r\n\r\n");
        assert!(matches!(server.poll(), Ok(server::Event::Request(_))));
        let mut out = Vec::new();
        assert_eq!(server.respond(&interim, &mut out), Err(UsageError::InformationalStatus));

        let _body = server.respond(&converted, &mut out).unwrap();
        let mut client = client::Connection::new(Limits::default());
        let (host, target) = (Authority::new(b"h").unwrap(), Target::new(b"/").unwrap());
        let _body = client.request(&client::Request::new(Method::Get, target, host, &fields), &mut Vec::new()).unwrap();
        client.receive(&out);
        let Ok(client::Event::Response(head)) = client.poll() else { panic!() };
        let back = http::Response::try_from(&head).unwrap();
        assert_eq!((back.status().as_u16(), back.version()), (299, http::Version::HTTP_10));
        assert!(back.headers()["etag"] == "\"x\"" && back.headers()["connection"] == "close");
    }
}
