//! What a proxy keeps of a received message, and what it adds (RFC 9110 §7.6, RFC 2068 §13.5.1).

use alloc::format;

use crate::client::{Request, ResponseHead};
use crate::message::date::Date;
use crate::message::field::{FieldBlock, FieldName, FieldValue, Fields, header};
use crate::message::target::Authority;
use crate::message::version::Version;
use crate::server::types::{RequestHead, Response, ResponseBody};
use crate::wire::framing::Framing;

/// Headers that are always hop-by-hop, whether Connection names them or not. Connection, Keep-Alive and
/// Transfer-Encoding are missing here, because a [`FieldBlock`] rejects them.
const HOP_BY_HOP: [FieldName<'static>; 6] = [
    FieldName::from_static("Proxy-Authenticate"),
    header::PROXY_AUTHORIZATION,
    FieldName::from_static("Proxy-Connection"),
    FieldName::from_static("TE"),
    FieldName::from_static("Trailer"),
    FieldName::from_static("Upgrade"),
];

impl FieldBlock {
    /// Adds the headers of a received message that a proxy passes on, in their order, and then Via.
    ///
    /// It leaves out hop-by-hop headers: those that Connection names, and those that RFC 9110 or RFC 2068 defines as
    /// such. It also leaves out the headers that the connections write themselves (see [`FieldBlock`]). Via names the
    /// version of the message and the proxy, by a host and port or a pseudonym. To drop or replace another header, call
    /// [`remove`](Self::remove) or [`set`](Self::set) afterwards.
    ///
    /// It searches the Connection headers once for each line.
    ///
    /// ```
    /// # use http_core::{server::{Connection, Event}, Limits};
    /// # let mut connection = Connection::new(Limits::default());
    /// # let head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Secret, close\r\nX-Secret: 1\r\nAccept: */*\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n";
    /// # connection.receive(head);
    /// # let Ok(Event::Request(request)) = connection.poll() else { unreachable!() };
    /// use http_core::{Authority, FieldBlock, FieldName, FieldValue};
    /// const X_FORWARDED_FOR: FieldName = FieldName::from_static("X-Forwarded-For");
    /// // Connection: X-Secret, close
    /// // X-Secret: 1
    /// // Accept: */*
    /// // X-Forwarded-For: 10.0.0.1
    /// let mut fields = FieldBlock::new();
    /// fields.forward(&request.fields, request.version, Authority::new(b"proxy:3128")?);
    /// fields.set(X_FORWARDED_FOR, FieldValue::from_static("192.0.2.1"))?;   // the peer's address
    /// assert_eq!(fields.as_bytes(), b"Accept: */*\r\nVia: 1.1 proxy:3128\r\nX-Forwarded-For: 192.0.2.1\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forward(&mut self, received: &Fields<'_>, version: Version, by: Authority<'_>) {
        for (name, value) in received.iter() {
            let is_named = || received.tokens(header::CONNECTION).any(|token| FieldName::new(token) == Ok(name));
            if !HOP_BY_HOP.contains(&name) && !is_named() {
                let _ = self.push(name, value); // fails for headers that the connections write
            }
        }
        // R9110-7.6.3
        let via = format!("{}.{} {}", version.major(), version.minor(), by.as_str());
        if let Ok(via) = FieldValue::new(via.as_bytes()) {
            self.push_unreserved(header::VIA, via);
        }
    }
}

impl<'a> Request<'a> {
    /// The request that a forward proxy sends for a received one. `fields` are the headers that it passes on, see
    /// [`FieldBlock::forward`].
    ///
    /// `None` if the target is not a URL. The request is then meant for the proxy itself.
    pub fn forwarded(received: &RequestHead<'a>, fields: &'a FieldBlock) -> Option<Request<'a>> {
        Some(Request::forwarded_to(received, received.target.authority()?, fields))
    }

    /// The request that a reverse proxy sends to its backend for a received one. `fields` are the headers that it
    /// passes on, see [`FieldBlock::forward`].
    ///
    /// Its Host is the one that the client asked for: the target's if that is a URL, or else the client's Host. If the
    /// client named neither, `host` is sent.
    pub fn forwarded_to(received: &RequestHead<'a>, host: Authority<'a>, fields: &'a FieldBlock) -> Request<'a> {
        // R9112-3.2.2b: the host of a URL replaces Host.
        let header = || received.fields.get(header::HOST).and_then(|host| Authority::new(host.as_bytes()).ok());
        let named = received.target.authority().or_else(header);
        let request = Request::new(received.method, received.target, named.unwrap_or(host), fields);
        let Framing::Length(bytes) = received.body else { return request };
        Request { body: Some(bytes), ..request }
    }
}

impl<'a> Response<'a> {
    /// The response that a proxy sends for a received one. Give it to
    /// [`Connection::forward`](crate::server::Connection::forward). `fields` are the headers that the proxy passes on,
    /// see [`FieldBlock::forward`].
    ///
    /// It keeps the length and the date. If the received response has no valid date, its date is `now`.
    pub fn forwarded(received: &ResponseHead<'_>, fields: &'a FieldBlock, now: Option<Date>) -> Response<'a> {
        let dated = received.fields.get(header::DATE).zip(now);
        let date = dated.and_then(|(date, now)| Date::parse(date.as_bytes(), now).ok());
        Response {
            // R9110-8.6a: for HEAD, the length of the body that a GET would get.
            body: received.content_length().map_or(ResponseBody::UntilClose, ResponseBody::Length),
            date: date.or(now).map(Date::text), // R9110-6.6.1
            ..Response::new(received.status, fields)
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;
    use crate::client::{Connection, Event};
    use crate::{Limits, Method, Target, server};

    // R9110-7.6.1, R9110-7.6.3
    #[test]
    fn hop_by_hop_headers_are_not_passed_on() {
        let passed = |head: &[u8]| {
            let mut index = crate::message::field_index::FieldIndex::new();
            crate::wire::parse::fields(head, 0, 99, &mut index).unwrap();
            let mut fields = FieldBlock::new();
            fields.forward(&Fields::new(head, &index), Version::HTTP_10, Authority::new(b"p:1").unwrap());
            String::from_utf8(fields.as_bytes().to_vec()).unwrap()
        };
        for (head, expected) in [
            ("A: 1\r\nB: 2\r\nA: 3\r\n\r\n", "A: 1\r\nB: 2\r\nA: 3\r\n"),
            ("Connection: b\r\nA: 1\r\nB: 2\r\nb: 3\r\n\r\n", "A: 1\r\n"),
            ("B: 2\r\nA: 1\r\nConnection: close\r\nCONNECTION: , x,b\t,\r\n\r\n", "A: 1\r\n"),
            ("Connection: a b, \"a\", a=1\r\nA: 1\r\n\r\n", "A: 1\r\n"), // no names
            ("Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: x\r\nTrailer: A\r\nUpgrade: x\r\nA: 1\r\n\r\n", "A: 1\r\n"),
            ("Proxy-Authorization: x\r\nProxy-Authenticate: x\r\nAuthorization: y\r\n\r\n", "Authorization: y\r\n"),
            (
                "Host: a\r\nContent-Length: 1\r\nDate: x\r\nTransfer-Encoding: chunked\r\nVia: 1.1 p\r\n\r\n",
                "Via: 1.1 p\r\n",
            ),
        ] {
            assert_eq!(passed(head.as_bytes()), format!("{expected}Via: 1.0 p:1\r\n"), "{head:?}");
        }
    }

    // R9112-3.2.2a
    #[test]
    fn request_is_sent_to_the_host_of_its_url() {
        for (received, expected) in [
            ("GET http://o:1/a?b HTTP/1.1\r\nHost: x\r\n\r\n", Some("GET /a?b HTTP/1.0\r\nHost: o:1")),
            ("POST http://o HTTP/1.0\r\nContent-Length: 3\r\n\r\n", Some("POST / HTTP/1.0\r\nHost: o")),
            ("GET /a HTTP/1.1\r\nHost: o\r\n\r\n", None),
            ("OPTIONS * HTTP/1.1\r\nHost: o\r\n\r\n", None),
        ] {
            let mut connection = server::Connection::new(Limits::default());
            connection.receive(received.as_bytes());
            let Ok(server::Event::Request(head)) = connection.poll() else { panic!("{received}") };
            let (fields, mut out) = (FieldBlock::new(), Vec::new());
            let sent = Request::forwarded(&head, &fields).map(|request| {
                assert_eq!(request.body, received.contains("Length").then_some(3));
                let _body = Connection::new(Limits::default()).request(&request, &mut out).unwrap();
                String::from_utf8(out).unwrap()
            });
            assert_eq!(sent.as_deref().and_then(|sent| sent.split_once("\r\nConnection")).map(|(it, _)| it), expected);
        }
    }

    // R9112-3.2a, R9112-3.2.2b
    #[test]
    fn reverse_proxy_keeps_the_host_that_the_client_asked_for() {
        for (received, expected) in [
            ("GET /a?b HTTP/1.0\r\n\r\n", "GET /a?b HTTP/1.0\r\nHost: backend:81"),
            ("GET /a HTTP/1.1\r\nHost: o:1\r\n\r\n", "GET /a HTTP/1.0\r\nHost: o:1"),
            ("GET http://u/a HTTP/1.1\r\nHost: o\r\n\r\n", "GET /a HTTP/1.0\r\nHost: u"),
            ("POST /a HTTP/1.0\r\nContent-Length: 3\r\n\r\n", "POST /a HTTP/1.0\r\nHost: backend:81"),
            ("OPTIONS * HTTP/1.1\r\nHost: o\r\n\r\n", "OPTIONS * HTTP/1.0\r\nHost: o"),
        ] {
            let mut connection = server::Connection::new(Limits::default());
            connection.receive(received.as_bytes());
            let Ok(server::Event::Request(head)) = connection.poll() else { panic!("{received}") };
            let (fields, mut out) = (FieldBlock::new(), Vec::new());
            let request = Request::forwarded_to(&head, Authority::new(b"backend:81").unwrap(), &fields);
            assert_eq!(request.body, received.contains("Length").then_some(3));
            let sent_host = expected.rsplit_once("Host: ").unwrap().1;
            assert_eq!(request.host.as_str(), sent_host, "a proxy connects to the host that it sends");
            let _body = Connection::new(Limits::default()).request(&request, &mut out).unwrap();
            let sent = String::from_utf8(out).unwrap();
            assert_eq!(sent.split_once("\r\nConnection").unwrap().0, expected);
        }
    }

    // R9110-6.6.1, R9110-8.6a
    #[test]
    fn forwarded_response_keeps_its_length_and_date() {
        const SENT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let received = Date::from_unix(784_111_778).unwrap();
        for (method, lines, body, date) in [
            (Method::Get, "Content-Length: 5\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT", ResponseBody::Length(5), SENT),
            (Method::Get, "Date: Sunday, 06-Nov-94 08:49:37 GMT", ResponseBody::UntilClose, SENT),
            (
                Method::Get,
                "Transfer-Encoding: chunked\r\nDate: soon",
                ResponseBody::UntilClose,
                received.text().as_str(),
            ),
            (Method::Head, "Content-Length: 5", ResponseBody::Length(5), received.text().as_str()),
        ] {
            let (mut connection, fields) = (Connection::new(Limits::default()), FieldBlock::new());
            let host = Authority::new(b"a").unwrap();
            let request = Request::new(method, Target::new(b"/").unwrap(), host, &fields);
            let _no_body = connection.request(&request, &mut Vec::new()).unwrap();
            let head = format!("HTTP/1.1 203 x\r\n{lines}\r\n\r\n");
            connection.receive(head.as_bytes());
            let Ok(Event::Response(head)) = connection.poll() else { panic!("{lines}") };
            let response = Response::forwarded(&head, &fields, Some(received));
            assert_eq!((response.status.code(), response.body), (203, body), "{lines}");
            assert_eq!(response.date.unwrap().as_str(), date, "{lines}");
        }
    }
}
