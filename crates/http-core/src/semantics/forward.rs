//! What a proxy keeps of a received message, and what it adds (RFC 9110 §7.6, RFC 2068 §13.5.1).

use alloc::format;
use alloc::vec::Vec;

use crate::client::{Request, ResponseHead};
use crate::grammar::saturating_decimal;
use crate::message::date::Date;
use crate::message::field::{FieldBlock, FieldName, FieldValue, Fields, header};
use crate::message::method::Method;
use crate::message::target::Authority;
use crate::message::version::Version;
use crate::server::types::{RequestHead, Response, ResponseBody};
use crate::wire::framing::Framing;

/// Headers that are for one hop, whether Connection names them or not. Connection, Keep-Alive and Transfer-Encoding are
/// missing here, because a [`FieldBlock`] rejects them.
const HOP_BY_HOP: [FieldName<'static>; 9] = [
    header::EXPECT, // the server's half responds to it, and HTTP/1.0 has no expectations (R9110-10.1.1b)
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHENTICATION_INFO,
    header::PROXY_AUTHORIZATION,
    FieldName::from_static("Proxy-Connection"),
    FieldName::from_static("Public"), // RFC 2068 §14.35
    header::TE,
    header::TRAILER, // no trailer is forwarded
    header::UPGRADE,
];

impl FieldBlock {
    /// Adds the headers of a received message that a proxy passes on, in their order, and then Via.
    ///
    /// It leaves out hop-by-hop headers: those that Connection names, and those that RFC 9110 or RFC 2068 defines as
    /// such. It also leaves out the headers that the connections write themselves (see [`FieldBlock`]), and Expect, which
    /// this hop has responded to. Via names the version of the message and the proxy, by a host and port or a pseudonym.
    /// For Max-Forwards, call [`update_max_forwards`](Self::update_max_forwards) afterwards, and to drop or replace
    /// another header [`remove`](Self::remove) or [`set`](Self::set).
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
    /// use http_core::{Authority, FieldBlock, FieldValue, header};
    /// // Connection: X-Secret, close
    /// // X-Secret: 1
    /// // Accept: */*
    /// // X-Forwarded-For: 10.0.0.1
    /// let mut fields = FieldBlock::new();
    /// fields.forward(&request.fields, request.version, Authority::new(b"proxy:3128")?);
    /// fields.set(header::X_FORWARDED_FOR, FieldValue::from_static("192.0.2.1"))?;   // the peer's address
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

    /// Counts this hop in Max-Forwards, and returns whether the request may be forwarded. If not, its client asks this
    /// proxy: respond in place of the server (RFC 9110 §7.6.2).
    ///
    /// Only OPTIONS and TRACE are counted. Values that are no numbers are ignored, and of several numbers the smallest
    /// counts.
    ///
    /// ```
    /// # use http_core::{Authority, FieldBlock, Limits, server::{Connection, Event}};
    /// # let mut connection = Connection::new(Limits::default());
    /// connection.receive(b"OPTIONS http://a/ HTTP/1.0\r\nMax-Forwards: 1\r\n\r\n");
    /// # let Ok(Event::Request(request)) = connection.poll() else { unreachable!() };
    /// let mut fields = FieldBlock::new();
    /// fields.forward(&request.fields, request.version, Authority::new(b"proxy:3128")?);
    /// assert!(fields.update_max_forwards(&request));
    /// assert_eq!(fields.as_bytes(), b"Via: 1.0 proxy:3128\r\nMax-Forwards: 0\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn update_max_forwards(&mut self, received: &RequestHead<'_>) -> bool {
        if !matches!(received.method, Method::Options | Method::Trace) {
            return true;
        }
        let values = received.fields.get_all(header::MAX_FORWARDS);
        let Some(left) = values.filter_map(|value| saturating_decimal(value.as_bytes())).min() else { return true };
        let left = left.checked_sub(1);
        if let Some(left) = left {
            self.remove(header::MAX_FORWARDS);
            let text = format!("{left}");
            if let Ok(value) = FieldValue::new(text.as_bytes()) {
                self.push_unreserved(header::MAX_FORWARDS, value);
            }
        }
        left.is_some()
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
    use crate::{Limits, Target, server};
    use proptest::{collection, prelude::*};

    // R9110-7.6.1, R9110-7.6.3
    #[test]
    fn hop_by_hop_headers_are_not_passed_on() {
        let passed = |head: &[u8]| {
            let mut index = crate::message::field_index::FieldIndex::new();
            crate::wire::parse::fields(head, 0, &mut index).unwrap();
            let mut fields = FieldBlock::new();
            fields.forward(&Fields::new(head, &index), Version::HTTP_10, Authority::new(b"p:1").unwrap());
            String::from_utf8(fields.as_bytes().to_vec()).unwrap()
        };
        for (head, expected) in [
            ("A: 1\r\nB: 2\r\nA: 3\r\n\r\n", "A: 1\r\nB: 2\r\nA: 3\r\n"),
            ("Connection: b\r\nA: 1\r\nB: 2\r\nb: 3\r\n\r\n", "A: 1\r\n"),
            ("B: 2\r\nA: 1\r\nConnection: close\r\nCONNECTION: , x,b\t,\r\n\r\n", "A: 1\r\n"),
            ("Connection: a b, \"a\", a=1\r\nA: 1\r\n\r\n", "A: 1\r\n"), // no names
            ("A: 1\r\nConnection: Via\r\nVia: 1.1 p\r\n\r\n", "A: 1\r\n"),
        ] {
            assert_eq!(passed(head.as_bytes()), format!("{expected}Via: 1.0 p:1\r\n"), "{head:?}");
        }
        for (name, fate, why) in FATES {
            let line = format!("{name}: x\r\n");
            let expected = if *fate == Fate::Passed { &*line } else { "" };
            let head = format!("{line}\r\n");
            assert_eq!(passed(head.as_bytes()), format!("{expected}Via: 1.0 p:1\r\n"), "{name}: {why}");
        }
    }

    #[derive(PartialEq)]
    enum Fate {
        Passed,
        /// For one hop.
        Dropped,
        /// The next connection writes its own.
        Written,
    }

    /// What becomes of each header of RFC 9110 and 9112, and of others that were for one hop in an older RFC.
    const FATES: &[(&str, Fate, &str)] = {
        use Fate::{Dropped, Passed, Written};
        const END: &str = "between the client and the server";
        &[
            ("Accept", Passed, END),
            ("Accept-Charset", Passed, END),
            ("Accept-Encoding", Passed, END),
            ("Accept-Language", Passed, END),
            ("Accept-Ranges", Passed, END),
            ("Allow", Passed, "§10.2.1: a proxy must not modify it"),
            ("Authentication-Info", Passed, "§11.6.3: a proxy must not modify it"),
            ("Authorization", Passed, "§11.6.2: a proxy must not modify it"),
            ("Connection", Written, "§7.6.1"),
            ("Content-Encoding", Passed, END),
            ("Content-Language", Passed, END),
            ("Content-Length", Written, "the framing may differ"),
            ("Content-Location", Passed, END),
            ("Content-Range", Passed, END),
            ("Content-Type", Passed, END),
            ("Date", Written, "the response keeps the received one, see `Response::forwarded`"),
            ("ETag", Passed, END),
            ("Expect", Dropped, "§10.1.1: HTTP/1.0 ignores it, and the server's half has responded to it"),
            ("From", Passed, END),
            ("Host", Written, "the request keeps the received one, see `Request::forwarded`"),
            ("If-Match", Passed, END),
            ("If-Modified-Since", Passed, END),
            ("If-None-Match", Passed, END),
            ("If-Range", Passed, END),
            ("If-Unmodified-Since", Passed, END),
            ("Last-Modified", Passed, END),
            ("Location", Passed, END),
            ("Max-Forwards", Passed, "§7.6.2: `update_max_forwards` counts it for two methods"),
            ("Proxy-Authenticate", Dropped, "§11.7.1: for the next client of the chain only"),
            ("Proxy-Authentication-Info", Dropped, "§11.7.3: for the next client of the chain only"),
            ("Proxy-Authorization", Dropped, "§11.7.2: for the next proxy only; it may be relayed, but is a secret"),
            ("Range", Passed, END),
            ("Referer", Passed, END),
            ("Retry-After", Passed, END),
            ("Server", Passed, "§7.7: not modified"),
            ("TE", Dropped, "§10.1.4, §7.6.1"),
            ("Trailer", Dropped, "§6.6.2: trailers are not forwarded"),
            ("Upgrade", Dropped, "§7.8, §7.6.1"),
            ("User-Agent", Passed, END),
            ("Vary", Passed, END),
            ("Via", Passed, "§7.6.3: and another entry is added"),
            ("WWW-Authenticate", Passed, "§11.6.1: a proxy must not modify it"),
            ("MIME-Version", Passed, "RFC 9112 §B.1: it says nothing about a hop"),
            ("Transfer-Encoding", Written, "RFC 9112 §6.1"),
            ("Keep-Alive", Written, "RFC 2068 §19.7.1, §7.6.1"),
            ("Proxy-Connection", Dropped, "RFC 9112 §C.2.2, §7.6.1"),
            ("Public", Dropped, "RFC 2068 §14.35: of the server directly connected"),
        ]
    };

    // R9110-7.6.2
    #[test]
    fn options_and_trace_are_forwarded_as_often_as_max_forwards_says() {
        let no = None;
        for (method, lines, expected) in [
            ("OPTIONS", "Max-Forwards: 0\r\n", no),
            ("TRACE", "Max-Forwards: 0\r\n", no),
            ("OPTIONS", "Max-Forwards: 000\r\n", no),
            ("OPTIONS", "Max-Forwards: 1\r\n", Some("Max-Forwards: 0\r\n")),
            ("TRACE", "max-forwards: 010\r\nA: b\r\n", Some("A: b\r\nMax-Forwards: 9\r\n")),
            ("OPTIONS", "Max-Forwards: 18446744073709551615\r\n", Some("Max-Forwards: 18446744073709551614\r\n")),
            ("OPTIONS", "Max-Forwards: 99999999999999999999999\r\n", Some("Max-Forwards: 18446744073709551614\r\n")),
            ("OPTIONS", "Max-Forwards: 7\r\nMax-Forwards: 5\r\n", Some("Max-Forwards: 4\r\n")),
            ("OPTIONS", "Max-Forwards: 7\r\nMax-Forwards: 0\r\n", no),
            ("OPTIONS", "Max-Forwards: x\r\nMax-Forwards: 5\r\n", Some("Max-Forwards: 4\r\n")),
            ("OPTIONS", "", Some("")),
            ("OPTIONS", "Max-Forwards:\r\n", Some("Max-Forwards: \r\n")),
            ("OPTIONS", "Max-Forwards: -1\r\n", Some("Max-Forwards: -1\r\n")),
            ("OPTIONS", "Max-Forwards: 1, 0\r\n", Some("Max-Forwards: 1, 0\r\n")),
            ("GET", "Max-Forwards: 0\r\n", Some("Max-Forwards: 0\r\n")),
            ("POST", "Content-Length: 0\r\nMax-Forwards: 3\r\n", Some("Max-Forwards: 3\r\n")),
        ] {
            let mut connection = server::Connection::new(Limits::default());
            connection.receive(format!("{method} http://a/ HTTP/1.0\r\n{lines}\r\n").as_bytes());
            let Ok(server::Event::Request(head)) = connection.poll() else { panic!("{lines}") };
            let mut fields = FieldBlock::new();
            fields.forward(&head.fields, head.version, Authority::new(b"p").unwrap());
            let may_forward = fields.update_max_forwards(&head);
            let sent = String::from_utf8(fields.as_bytes().to_vec()).unwrap().replace("Via: 1.0 p\r\n", "");
            assert_eq!(may_forward.then_some(&*sent), expected, "{method} {lines:?}");
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
            crate::wire::parse::fields(head.as_bytes(), 0, &mut index).unwrap();
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
