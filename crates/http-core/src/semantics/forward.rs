//! What a proxy keeps of a received message, and what it adds (RFC 9110 §7.6, RFC 2068 §13.5.1).

use alloc::format;
use alloc::vec::Vec;

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
    /// The work is linear in the length of the head. A search among the names, for each element of Connection, adds the
    /// logarithm of their number, at most 8.
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
        let named = Named::new(received);
        for (name, value) in received.iter() {
            if !HOP_BY_HOP.contains(&name) && !named.contains(name.as_ref()) {
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

/// Which headers of a message Connection names (R9110-7.6.1).
///
/// Each element is searched for among the names, not each name among the elements: there are few headers, but thousands
/// of elements fit into a head.
struct Named(Vec<Name>);

/// A name in lower case. The hash comes first in its order, so that two names seldom need more than one comparison of
/// numbers.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    hash: u64,
    lower: Vec<u8>,
    is_named: bool,
}

impl Named {
    fn new(received: &Fields<'_>) -> Named {
        let mut elements =
            received.tokens(header::CONNECTION).filter(|element| received.may_contain(element)).peekable();
        if elements.peek().is_none() {
            return Named(Vec::new()); // as usual: Connection is keep-alive or close
        }
        let name = |name: &[u8]| Name { hash: hash(name), lower: name.to_ascii_lowercase(), is_named: false };
        let mut names: Vec<_> = received.iter().map(|line| name(line.0.as_ref())).collect();
        names.sort_unstable();
        names.dedup();
        let mut named = Named(names);
        for element in elements {
            if let Some(place) = named.place(element) {
                named.0[place].is_named = true;
            }
        }
        named
    }

    fn contains(&self, name: &[u8]) -> bool {
        !self.0.is_empty() && self.place(name).is_some_and(|place| self.0[place].is_named)
    }

    fn place(&self, name: &[u8]) -> Option<usize> {
        let (hash, lower) = (hash(name), || name.iter().map(u8::to_ascii_lowercase));
        let order = |other: &Name| other.hash.cmp(&hash).then_with(|| other.lower.iter().copied().cmp(lower()));
        self.0.binary_search_by(order).ok()
    }
}

/// FNV-1a of the name in lower case.
fn hash(name: &[u8]) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(PRIME);
    name.iter().fold(0xcbf2_9ce4_8422_2325, step)
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

    use super::*;
    use crate::client::{Connection, Event};
    use crate::{Limits, Method, Target, server};
    use proptest::{collection, prelude::*};

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

    proptest! {
        // R9110-7.6.1: what the quick search leaves out is what Connection names.
        #[test]
        fn forward_agrees_with_a_search_for_each_name(
            names in collection::vec("[aAbB]{1,3}", 0..20),
            elements in collection::vec("[ abB]{0,3}", 0..20),
        ) {
            let lines: String = names.iter().map(|name| format!("{name}: x\r\n")).collect();
            let elements = elements.join(",");
            let head = format!("{lines}Connection: {elements}\r\n\r\n");
            let mut index = crate::message::field_index::FieldIndex::new();
            crate::wire::parse::fields(head.as_bytes(), 0, 99, &mut index).unwrap();
            let mut fields = FieldBlock::new();
            fields.forward(&Fields::new(head.as_bytes(), &index), Version::HTTP_10, Authority::new(b"p").unwrap());
            let is_named = |name: &&String| elements.split(',').any(|element| element.trim().eq_ignore_ascii_case(name));
            let kept: String = names.iter().filter(|name| !is_named(name)).map(|name| format!("{name}: x\r\n")).collect();
            prop_assert_eq!(str::from_utf8(fields.as_bytes()).unwrap(), format!("{kept}Via: 1.0 p\r\n"));
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
