//! Tests the contract of the server machine: what `poll` returns when, which responses are allowed, when and why a
//! connection closes, and what each misuse returns. `conformance.rs` tests how requests are parsed.
// Makes Clippy treat the helpers as test code, too.
#![cfg(test)]

use http_core::server::{Connection, Event, Expectation, Phase, Response, ResponseBody, SendBody};
use http_core::{
    CloseReason, Date, FieldBlock, FieldValue, Framing, Limits, RequestError, ReservedField, Status, TargetError,
    TargetForm, UsageError, Version, Workspace, header,
};

const KEPT: &str = "GET /kept HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
const PLAIN: &str = "GET /plain HTTP/1.0\r\n\r\n";

// R1945-3.1b, R2068-19.7.1a, D15
#[test]
fn connection_serves_many_requests() {
    let mut connection = after("");
    for _ in 0..3 {
        receive(&mut connection, KEPT);
        assert_eq!(event(&mut connection), "GET /kept");
        let head = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(respond(&mut connection, 2), head);
        assert_eq!((connection.close_reason(), event(&mut connection).as_str()), (None, "NeedInput"));
    }
    receive(&mut connection, PLAIN);
    assert_eq!(event(&mut connection), "GET /plain");
    assert_eq!(respond(&mut connection, 0), "HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(event(&mut connection), "Closed");
    receive(&mut connection, PLAIN);
    assert_eq!(event(&mut connection), "Closed", "after close no request is processed"); // R9112-9.6a
}

// R9112-9.3.2, R2068-19.7.1b
#[test]
fn pipelined_requests_are_reported_one_by_one_in_order() {
    // Old clients send an extra line end after a body (R9112-2.2d). The limit applies to each request separately.
    let mut connection = after(&[KEPT, "\r\n\r\n", KEPT, "\r\n\r\n", PLAIN, PLAIN].concat());
    for path in ["GET /kept", "GET /kept", "GET /plain"] {
        assert_eq!(event(&mut connection), path);
        assert_eq!(event(&mut connection), "NeedOutput", "the next request waits for this response");
        respond(&mut connection, 1);
    }
    assert_eq!(event(&mut connection), "Closed");
    assert!(connection.must_linger(), "the last request was never read");
}

// R9110-2.3, R9110-5.3, R9112-2.2f
#[test]
fn event_is_reported_with_the_byte_that_decides_it() {
    for (bytes, decided) in [
        (PLAIN, "GET /plain"),
        ("GET /old\n", "GET /old"),
        ("\r\nGET / HTTP/1.0\n\n", "GET /"),
        ("\x16", "400"),
        ("GET / HTTP/2.0\r\n", "505"),
        ("HELLO\r\n", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
    ] {
        let mut connection = after("");
        for byte in 0..bytes.len() {
            assert_eq!(event(&mut connection), "NeedInput", "{bytes:?} at {byte}");
            receive(&mut connection, &bytes[byte..=byte]);
        }
        assert_eq!(event(&mut connection), decided, "{bytes:?}");
    }
}

// R9112-9.6c, R9112-8
#[test]
fn half_closed_client_gets_its_response() {
    let mut connection = after(KEPT);
    connection.received_eof();
    assert_eq!(event(&mut connection), "GET /kept");
    respond(&mut connection, 1);
    assert_eq!(event(&mut connection), "Closed");
    assert_eq!(connection.close_reason(), Some(CloseReason::PeerClosed));
}

// R1945-7.2b, R1945-7.2c, R1945-8.2a, R9110-8.6a, R2068-19.7.1b
#[test]
fn response_has_a_body_only_if_allowed() {
    use ResponseBody::{Length, UntilClose};
    for (method, status, body, send, length, kept) in [
        ("GET", 200, Length(5), SendBody::Exactly(5), Some("5"), true),
        ("GET", 404, Length(0), SendBody::None, Some("0"), true),
        ("GET", 200, UntilClose, SendBody::UntilClose, None, false),
        ("GET", 204, Length(5), SendBody::None, None, true),
        ("GET", 304, Length(5), SendBody::None, None, true),
        ("GET", 205, Length(5), SendBody::None, Some("0"), true), // R9110-15.3.6
        ("GET", 205, UntilClose, SendBody::None, Some("0"), true),
        ("HEAD", 205, UntilClose, SendBody::None, Some("0"), true),
        ("GET", 304, UntilClose, SendBody::None, None, true),
        ("HEAD", 200, Length(5), SendBody::None, Some("5"), true),
        ("HEAD", 404, Length(0), SendBody::None, Some("0"), true),
        ("HEAD", 200, UntilClose, SendBody::None, None, true),
        ("HEAD", 304, Length(5), SendBody::None, None, true),
    ] {
        let what = format!("{method} {status} {body:?}");
        let mut connection = after(&format!("{method} / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        assert_eq!(event(&mut connection), format!("{method} /"));
        let block = FieldBlock::new();
        let response = Response { body, ..Response::new(Status::new(status).unwrap(), &block) };
        let mut out = Vec::new();
        assert_eq!(connection.respond(&response, &mut out), Ok(send), "{what}");
        let head = String::from_utf8(out).unwrap();
        assert_eq!(field(&head, "Content-Length"), length, "{what}");
        assert_eq!(field(&head, "Connection"), Some(if kept { "keep-alive" } else { "close" }), "{what}");
        match send {
            SendBody::None => {}
            _ => assert_eq!(event(&mut connection), "NeedOutput", "{what}: its body is missing"),
        }
        match send {
            SendBody::None => assert_eq!(connection.finish_body(), Err(UsageError::NoBodyDue), "{what}"),
            SendBody::Exactly(n) => connection.body_sent(n).unwrap(),
            SendBody::UntilClose => connection.finish_body().unwrap(),
        }
        assert_eq!(event(&mut connection), if kept { "NeedInput" } else { "Closed" }, "{what}");
    }
}

// R9110-15.5.22, RFC 9110 §7.8
#[test]
fn upgrade_of_a_426_is_named_in_connection() {
    let mut fields = FieldBlock::new();
    fields.push(header::UPGRADE, FieldValue::from_static("TLS/1.2")).unwrap();
    let response = Response::new(Status::UPGRADE_REQUIRED, &fields);
    for (request, option) in [(PLAIN, "close, upgrade"), (KEPT, "keep-alive, upgrade")] {
        let (mut connection, mut out) = (after(request), Vec::new());
        event(&mut connection);
        assert_eq!(connection.respond(&response, &mut out), Ok(SendBody::None));
        assert_eq!(field(&String::from_utf8(out).unwrap(), "Connection"), Some(option));
    }
}

// R1945-7.2b, R1945-8.2a, R1945-4.1, R9110-8.6a
#[test]
fn body_bytes_are_written_only_if_a_body_is_allowed() {
    for (request, status, bytes, length, written) in [
        ("GET / HTTP/1.0", 200, "hello", Some("5"), "hello"),
        ("GET / HTTP/1.0", 200, "", Some("0"), ""),
        ("GET / HTTP/1.0", 304, "hello", None, ""),
        ("GET / HTTP/1.0", 205, "hello", Some("0"), ""),
        ("GET /", 205, "hello", None, ""),
        ("HEAD / HTTP/1.0", 200, "hello", Some("5"), ""),
        ("GET /", 200, "hello", None, "hello"),
    ] {
        let mut connection = after(&format!("{request}\r\nConnection: keep-alive\r\n\r\n"));
        event(&mut connection);
        let (block, mut out) = (FieldBlock::new(), Vec::new());
        let body = ResponseBody::Bytes(bytes.as_bytes());
        let response = Response { body, ..Response::new(Status::new(status).unwrap(), &block) };
        assert_eq!(connection.respond(&response, &mut out), Ok(SendBody::None), "{request} {status}");
        let out = String::from_utf8(out).unwrap();
        let (head, body) = out.split_once("\r\n\r\n").unwrap_or(("", &out));
        assert_eq!((field(head, "Content-Length"), body), (length, written), "{request} {status}");
        let next = if head.is_empty() { "Closed" } else { "NeedInput" };
        assert_eq!(event(&mut connection), next, "{request} {status}: the response is complete");
    }
}

// R1945-4.1, R1945-5a, R1945-6a, R9112-9.6b
#[test]
fn simple_request_gets_a_body_and_nothing_else() {
    let mut connection = after("GET /old?q\r\n");
    let Ok(Event::Request(request)) = connection.poll() else { panic!("it is whole") };
    assert_eq!((request.target.raw_path(), request.version), ("/old", Version::HTTP_09));
    assert!(request.fields.is_empty() && request.body == Framing::Empty);
    assert_eq!(respond(&mut connection, 3), "");
    assert_eq!((event(&mut connection).as_str(), connection.must_linger()), ("Closed", true));
    assert_eq!(connection.close_reason(), Some(CloseReason::SimpleRequest));

    let mut strict = Connection::new(Limits::default()).allow_http09(false);
    receive(&mut strict, "GET /old\r\n");
    assert!(matches!(strict.poll(), Err(RequestError::RequestLine)));
    assert!(error_response(&mut strict).starts_with("HTTP/1.0 400 "));
}

// R1945-7.2a, R9112-9.3b
#[test]
fn body_is_reported_as_it_arrives_and_no_byte_more() {
    let mut connection = after("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n");
    let Ok(Event::Request(request)) = connection.poll() else { panic!("the head is complete") };
    assert_eq!(request.body, Framing::Length(30));
    assert_eq!(event(&mut connection), "NeedInput");
    // It looks like a head.
    receive(&mut connection, "GET /b HTTP/1.1\r\nHost: b\r\n\r\n");
    assert_eq!(event(&mut connection), "Body \"GET /b HTTP/1.1\\r\\nHost: b\\r\\n\\r\\n\"");
    assert_eq!(event(&mut connection), "NeedInput");
    receive(&mut connection, &["hi", "\r\n", PLAIN].concat());
    assert_eq!(event(&mut connection), "Body \"hi\"");
    assert_eq!(event(&mut connection), "NeedOutput");
    respond(&mut connection, 0);
    assert_eq!(event(&mut connection), "GET /plain");
}

// R1945-12.3, V16: the log gets the request's own bytes or nothing, and never bytes of a body.
#[test]
fn request_is_available_until_the_next_call() {
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n";
    let mut connection = after("");
    assert!(connection.request_head().is_none() && connection.start_line().is_empty());
    for piece in ["\r\n", "POST /a HTTP/1.1\r\n", "Host: a\r\nContent-Length: 99\r\n"] {
        receive(&mut connection, piece);
        assert_eq!(event(&mut connection), "NeedInput");
        assert!(connection.request_head().is_none(), "within a head");
    }
    assert_eq!(connection.start_line(), b"POST /a HTTP/1.1");
    receive(&mut connection, "\r\n");
    assert_eq!(event(&mut connection), "POST /a");
    assert_eq!(connection.request_head().map(|request| request.target.raw_path()), Some("/a"));
    assert_eq!(connection.start_line(), b"POST /a HTTP/1.1");
    respond(&mut connection, 3);
    assert_eq!(
        connection.request_head().map(|request| request.target.raw_path()),
        Some("/a"),
        "so that it can be logged with its response"
    );

    for body in [&head.replace("/a", "/forged")[..head.len()], "short", &head.repeat(3)[..99]] {
        let mut connection = after(&[head, body].concat());
        assert_eq!(event(&mut connection), "POST /a");
        assert!(event(&mut connection).starts_with("Body"));
        assert!(connection.request_head().is_none(), "a request was made of {body:?}");
        assert_eq!(connection.start_line().escape_ascii().to_string(), "", "a line was made of {body:?}");
    }
    let mut connection = after("GET / HTTP/1.1\r\nno field\r\n\r\n");
    assert!(connection.poll().is_err() && connection.request_head().is_none());
    assert_eq!(connection.start_line(), b"GET / HTTP/1.1");
}

// R9112-9.3b, R9110-9.3.1, V13
#[test]
fn unread_body_is_dropped_or_closes_the_connection() {
    let limits = Limits { drain: 10, ..Limits::default() };
    for (length, kept) in [(0, true), (1, true), (10, true), (11, false), (u64::MAX, false)] {
        for sent in [0, 4, length.min(20)] {
            let what = format!("{sent} of {length}");
            let mut connection = Connection::new(limits);
            receive(&mut connection, &format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
            let body = "x".repeat(sent.min(length) as usize);
            receive(&mut connection, &body);
            assert_eq!(event(&mut connection), "POST /");
            assert_eq!(
                field(&respond(&mut connection, 0), "Connection"),
                Some(if kept { "keep-alive" } else { "close" })
            );
            if !kept {
                assert_eq!((event(&mut connection).as_str(), connection.must_linger()), ("Closed", true), "{what}");
                assert_eq!(connection.close_reason(), Some(CloseReason::UnreadBody), "{what}");
                continue;
            }
            if (body.len() as u64) < length {
                assert_eq!((event(&mut connection).as_str(), connection.phase()), ("NeedInput", Phase::Body), "{what}");
                receive(&mut connection, &"x".repeat(length as usize - body.len()));
            }
            receive(&mut connection, PLAIN);
            assert_eq!(event(&mut connection), "GET /plain", "{what}");
        }
    }
}

// R9110-5.4: a body has a limit only if the caller polls for it.
#[test]
fn body_too_long_is_rejected_when_it_is_polled_for() {
    let limits = Limits { body: 10, ..Limits::default() };
    for (length, second) in [(10, "NeedInput"), (11, "413"), (u64::MAX, "413")] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let mut connection = Connection::new(limits);
        receive(&mut connection, &head);
        assert_eq!(event(&mut connection), "POST /");
        assert_eq!(event(&mut connection), second, "{length}");

        let mut connection = Connection::new(limits);
        receive(&mut connection, &head);
        assert_eq!(event(&mut connection), "POST /");
        assert!(respond(&mut connection, 1).starts_with("HTTP/1.0 200 OK\r\n"), "no limit without polling");
    }
}

// R9110-10.1.1a, R9110-10.1.1c
#[test]
fn expectation_counts_only_in_http_11() {
    use Expectation::{Continue, Nothing, Unknown};
    for (version, value, expected) in [
        ("1.0", "100-continue", Nothing),
        ("1.0", "200-maybe", Nothing),
        ("1.1", "", Nothing),
        ("1.1", "100-continue", Continue),
        ("1.1", "100-Continue,", Continue),
        ("1.1", "200-maybe", Unknown),
        ("1.1", "100-continue, 200-maybe", Unknown),
    ] {
        let mut connection = after(&format!("GET / HTTP/{version}\r\nHost: a\r\nExpect: {value}\r\n\r\n"));
        let Ok(Event::Request(request)) = connection.poll() else { panic!("{value}") };
        assert_eq!(request.expectation(), expected, "{version} {value}");
    }
}

const EXPECTS: &str = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
const CONTINUE: Event<'_> = Event::Continue(b"HTTP/1.1 100 Continue\r\n\r\n");

// D17, R9110-10.1.1a, R9110-10.1.1b, R1945-9.1
#[test]
fn client_that_waits_is_told_to_continue_once() {
    let interim = format!("{CONTINUE:?}");
    let mut connection = after(EXPECTS);
    assert_eq!(event(&mut connection), "POST /");
    assert_eq!([event(&mut connection), event(&mut connection)], [&*interim, "NeedInput"]);
    receive(&mut connection, "h");
    assert_eq!([event(&mut connection), event(&mut connection)], ["Body \"h\"", "NeedInput"]);
    receive(&mut connection, "i");
    assert_eq!([event(&mut connection), event(&mut connection)], ["Body \"i\"", "NeedOutput"]);
    respond(&mut connection, 0);
    assert_eq!(connection.close_reason(), None);
    // The next request has its own expectation, also after it was taken back.
    receive(&mut connection, EXPECTS);
    for _ in 0..2 {
        connection.postpone();
        assert_eq!(event(&mut connection), "POST /");
    }
    assert_eq!(event(&mut connection), interim);

    let others = [
        ("the body has begun", [EXPECTS, "h"].concat(), "Body \"h\""),
        ("HTTP/1.0", EXPECTS.replace("1.1", "1.0"), "NeedInput"),
        ("no body", EXPECTS.replace("Length: 2", "Length: 0"), "NeedOutput"),
        ("another expectation", EXPECTS.replace("continue", "continue, tea"), "NeedInput"),
        ("no expectation", EXPECTS.replace("Expect: 100-continue\r\n", ""), "NeedInput"),
    ];
    for (why, bytes, expected) in others {
        let mut connection = after(&bytes);
        assert_eq!([event(&mut connection), event(&mut connection)], ["POST /", expected], "{why}");
        assert_ne!(event(&mut connection), interim, "{why}");
    }
    // No body can come any more, or none of this length is accepted.
    type Prepare = fn(&mut Connection);
    let ends: [(Prepare, &str); 3] = [
        (Connection::received_eof, "400"),
        (Connection::handle_timeout, "408"),
        (Connection::reject_overloaded, "503"),
    ];
    for (end, expected) in ends {
        let mut connection = after(EXPECTS);
        assert_eq!(event(&mut connection), "POST /");
        end(&mut connection);
        assert_eq!(event(&mut connection), expected);
    }
    let mut connection = Connection::new(Limits { body: 1, ..Limits::default() });
    receive(&mut connection, EXPECTS);
    assert_eq!([event(&mut connection), event(&mut connection)], ["POST /", "413"]);
}

// R9110-10.1.1b
#[test]
fn response_in_place_of_a_body_that_may_not_come_closes_the_connection() {
    // After an early response the body may or may not be sent, so the start of the next request is unknown.
    let mut connection = after(EXPECTS);
    assert_eq!(event(&mut connection), "POST /");
    respond(&mut connection, 0);
    assert_eq!(connection.close_reason(), Some(CloseReason::UnreadBody));
    assert_eq!(event(&mut connection), "Closed", "the final response was decided, so there is no interim one");
    // The client was told to send the body, or has begun to. The rest is dropped.
    for begun in ["", "h"] {
        let mut connection = after(&[EXPECTS, begun].concat());
        assert_eq!(event(&mut connection), "POST /");
        assert!(!matches!(&*event(&mut connection), "NeedInput" | "NeedOutput"));
        respond(&mut connection, 0);
        assert_eq!(connection.close_reason(), None);
        receive(&mut connection, &"hi"[begun.len()..]);
        receive(&mut connection, PLAIN);
        assert_eq!(event(&mut connection), "GET /plain");
    }
}

// R1945-9.1, R9112-11.1, V14: each misuse returns its own error, changes nothing and writes nothing.
#[test]
fn misuse_is_an_error_that_changes_nothing() {
    fn responds(status: Status) -> impl Fn(&mut Connection, &mut Vec<u8>) -> Result<(), UsageError> {
        move |connection, out| connection.respond(&Response::new(status, &FieldBlock::new()), out).map(drop)
    }
    fn forwards(status: Status) -> impl Fn(&mut Connection, &mut Vec<u8>) -> Result<(), UsageError> {
        move |connection, out| connection.forward(&Response::new(status, &FieldBlock::new()), out).map(drop)
    }
    fn due() -> Connection {
        let mut connection = after(KEPT);
        assert_eq!(event(&mut connection), "GET /kept");
        connection
    }
    fn sending(body: ResponseBody<'_>) -> Connection {
        let (mut connection, block) = (due(), FieldBlock::new());
        let response = Response { body, ..Response::new(Status::OK, &block) };
        connection.respond(&response, &mut Vec::new()).map(drop).unwrap();
        connection
    }
    let (sends_five, sends_any) = (|| sending(ResponseBody::Length(5)), || sending(ResponseBody::UntilClose));
    let sent_five = || {
        let mut connection = sends_five();
        connection.body_sent(5).unwrap();
        connection
    };
    type Call = Box<dyn Fn(&mut Connection, &mut Vec<u8>) -> Result<(), UsageError>>;
    let ok = || -> Call { Box::new(responds(Status::OK)) };
    let refuses = || -> Call { Box::new(|connection, out| connection.respond_error(None, out)) };
    let sent = |n| -> Call { Box::new(move |connection, _| connection.body_sent(n)) };
    let ended = || -> Call { Box::new(|connection, _| connection.finish_body()) };
    for (i, (connection, call, expected)) in [
        (after(""), ok(), Err(UsageError::NoResponseDue)),
        (after(KEPT), ok(), Err(UsageError::NoResponseDue)), // not reported yet
        (sends_five(), ok(), Err(UsageError::NoResponseDue)),
        (sending(ResponseBody::Length(0)), ok(), Err(UsageError::NoResponseDue)),
        (sending(ResponseBody::Bytes(b"hello")), sent(1), Err(UsageError::NoBodyDue)), // the body was written with the head
        (due(), Box::new(responds(Status::new(100).unwrap())), Err(UsageError::InformationalStatus)),
        // R1945-9.4d, R9110-11.6.1, R9110-10.2.1
        (due(), Box::new(responds(Status::UNAUTHORIZED)), Err(UsageError::MissingField)),
        (due(), Box::new(responds(Status::METHOD_NOT_ALLOWED)), Err(UsageError::MissingField)),
        // R9110-15.5.8, R9110-15.5.22
        (due(), Box::new(responds(Status::PROXY_AUTHENTICATION_REQUIRED)), Err(UsageError::MissingField)),
        (due(), Box::new(responds(Status::UPGRADE_REQUIRED)), Err(UsageError::MissingField)),
        // A forwarded response may lack the header, because the other server left it out.
        (due(), Box::new(forwards(Status::UNAUTHORIZED)), Ok(())),
        (due(), Box::new(forwards(Status::METHOD_NOT_ALLOWED)), Ok(())),
        (due(), Box::new(forwards(Status::PROXY_AUTHENTICATION_REQUIRED)), Ok(())),
        (due(), Box::new(forwards(Status::UPGRADE_REQUIRED)), Ok(())),
        (due(), Box::new(forwards(Status::new(199).unwrap())), Err(UsageError::InformationalStatus)),
        (after(""), Box::new(forwards(Status::UNAUTHORIZED)), Err(UsageError::NoResponseDue)),
        (after(""), Box::new(responds(Status::UNAUTHORIZED)), Err(UsageError::NoResponseDue)),
        (after(""), refuses(), Err(UsageError::NoErrorToReport)),
        (due(), refuses(), Err(UsageError::NoErrorToReport)),
        (after("\0"), refuses(), Err(UsageError::NoErrorToReport)), // not polled yet
        (sends_five(), sent(6), Err(UsageError::BodyTooLong)),
        (sends_five(), sent(u64::MAX), Err(UsageError::BodyTooLong)),
        (sends_five(), sent(5), Ok(())),
        (sends_five(), ended(), Err(UsageError::BodyTooShort)),
        (sends_any(), sent(u64::MAX), Ok(())),
        (sends_any(), ended(), Ok(())),
        // Without a body, none ends.
        (sending(ResponseBody::Length(0)), ended(), Err(UsageError::NoBodyDue)),
        (sending(ResponseBody::Bytes(b"hello")), ended(), Err(UsageError::NoBodyDue)),
        (sent_five(), ended(), Ok(())),
        (sent_five(), sent(1), Err(UsageError::NoBodyDue)),
        (after(""), sent(1), Err(UsageError::NoBodyDue)),
        (due(), sent(1), Err(UsageError::NoBodyDue)),
        (due(), sent(0), Ok(())),
        (after(""), ended(), Err(UsageError::NoBodyDue)),
        (due(), ended(), Err(UsageError::NoBodyDue)),
    ]
    .into_iter()
    .enumerate()
    {
        let (mut connection, mut out) = (connection, Vec::new());
        let before = format!("{connection:?}");
        assert_eq!(call(&mut connection, &mut out), expected, "row {i}");
        if expected.is_err() {
            assert_eq!((format!("{connection:?}"), out.len()), (before, 0), "row {i}");
        }
    }
    let owned = FieldBlock::new().push(header::DATE, FieldValue::from_static("now"));
    assert_eq!(owned, Err(ReservedField));
}

// R9112-2.2f, R9112-3a, R9112-3c, R9110-5.4, R6585-5, R9112-6.3a, R9112-6.3b, R9110-15.5.9, R9110-7.4, R1945-7.2.2b,
// R1945-9.4b, D1 to D4, D8 to D10, D16: each request error, the bytes that cause it, and its response.
#[test]
fn every_request_error_is_reached_and_reported() {
    use RequestError as E;
    let long = |before: &str, after: &str| format!("{before}{}{after}", "x".repeat(100));
    let fields = |fields: &str| format!("GET / HTTP/1.0\r\n{fields}\r\n");
    let post = |version: &str, fields: &str| format!("POST / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
    let limits = Limits { start_line: 100, field_line: 100, head: 300, fields: 4, body: 10, ..Limits::default() };
    for (bytes, error, status) in [
        ("\r\n\r\n\r\n".into(), E::BlankLines, 400),
        ("GET /\r\n\r\n"[..3].into(), E::Incomplete, 400),
        ("GET\r\n".into(), E::RequestLine, 400),
        ("\0".into(), E::RequestLine, 400),
        ("G=T / HTTP/1.0\r\n".into(), E::Method, 400),
        (long("x", ""), E::MethodTooLong, 501),
        (long("GET /", ""), E::TargetTooLong, 414),
        (long("GET / ", ""), E::RequestLineTooLong, 400),
        ("GET /\" HTTP/1.0\r\n\r\n".into(), E::Target(TargetError::InvalidByte), 400),
        ("GET a HTTP/1.0\r\n\r\n".into(), E::Target(TargetError::Form), 400),
        ("GET * HTTP/1.0\r\n\r\n".into(), E::Target(TargetError::Form), 400),
        ("GET https://a/ HTTP/1.0\r\n\r\n".into(), E::Target(TargetError::Scheme), 400),
        ("GET http:///a HTTP/1.0\r\n\r\n".into(), E::Target(TargetError::Authority), 400),
        ("GET /%zz HTTP/1.0\r\n\r\n".into(), E::Target(TargetError::PercentEncoding), 400),
        ("GET /a%2fb HTTP/1.0\r\n\r\n".into(), E::Target(TargetError::EncodedSeparator), 400),
        ("GET /../a HTTP/1.0\r\n\r\n".into(), E::Target(TargetError::EscapesRoot), 400),
        ("GET / HTTP/01.0\r\n".into(), E::Version, 400),
        ("GET / HTTP/2.0\r\n".into(), E::VersionNotSupported, 505),
        ("GET  / HTTP/1.1\r\n".into(), E::Whitespace, 400),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n".into(), E::BareLf, 400),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), E::BareLf, 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n d\r\n\r\n".into(), E::ObsFold, 400),
        (fields("Host:\r\n a\r\n"), E::ObsFold, 400),
        (fields("A : b\r\n"), E::FieldSyntax, 400),
        (long("GET / HTTP/1.0\r\n", ""), E::Incomplete, 400),
        (long("GET / HTTP/1.0\r\nx", ""), E::FieldLineTooLong, 431),
        (fields("A:\r\nA:\r\nA:\r\nA:\r\nA:\r\n"), E::TooManyFields, 431),
        (fields(&long("A: ", "\r\n")[5..].repeat(3)), E::HeadTooLong, 431),
        ("GET / HTTP/1.1\r\n\r\n".into(), E::HostMissing, 400),
        (fields("Host: a\r\nHost: a\r\n"), E::HostRepeated, 400),
        (fields("Host: a/b\r\n"), E::HostInvalid, 400),
        (post("1.0", "Content-Length: +5\r\n"), E::ContentLength, 400),
        (post("1.0", "Content-Length: 5\r\nContent-Length: 5\r\n"), E::ContentLengthRepeated, 400),
        (post("1.0", ""), E::ContentLengthMissing, 400),
        (post("1.0", "Transfer-Encoding: chunked\r\n"), E::TransferEncodingInHttp10, 400),
        (post("1.1", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), E::TransferEncodingAndLength, 400),
        (post("1.1", "Transfer-Encoding: identity\r\n"), E::TransferEncoding, 400),
        (post("1.1", "Transfer-Encoding: chunked\r\n"), E::UnsupportedTransferCoding, 501),
        ("CONNECT a:443 HTTP/1.0\r\n\r\n".into(), E::ConnectMethod, 405),
        (post("1.1", "Content-Length: 11\r\n"), E::BodyTooLong, 413),
        (post("1.1", "Content-Length: 5\r\n"), E::Incomplete, 400),
        ("GET / HT".into(), E::TimedOut, 408),
        (post("1.1", "Content-Length: 6\r\n"), E::TimedOut, 408),
        ("".into(), E::Overloaded, 503),
        ("GET / HT".into(), E::Overloaded, 503),
        ("GET / HTTP/1.0\r\n\r\n".into(), E::Overloaded, 503),
    ] {
        let bytes: String = bytes;
        let mut connection = Connection::new(limits);
        receive(&mut connection, &bytes);
        match error {
            E::TimedOut => connection.handle_timeout(),
            E::Overloaded => connection.reject_overloaded(),
            _ => connection.received_eof(),
        }
        let mut polled = connection.poll().map(drop);
        if polled.is_ok() {
            polled = connection.poll().map(drop); // an error in the body follows the head
        }
        assert_eq!(polled, Err(error), "{bytes:?}");
        assert_eq!(connection.poll().map(drop), Err(error), "{bytes:?} again");
        assert_eq!(error.status().code(), status, "{error:?}");
        assert_eq!(connection.phase(), Phase::Responding);

        let response = error_response(&mut connection);
        let (head, text) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.0 {status} ")), "{bytes:?}: {response:?}");
        assert_eq!(field(head, "Connection"), Some("close"));
        assert_eq!(field(head, "Content-Length"), Some(&*text.len().to_string()));
        assert_eq!(field(head, "Content-Type"), Some("text/plain; charset=utf-8"));
        assert_eq!(field(head, "Date"), Some("Sun, 09 Sep 2001 01:46:40 GMT"));
        assert_eq!(field(head, "Allow").is_some(), status == 405); // R9110-10.2.1
        assert_eq!(field(head, "Retry-After"), (status == 503).then_some("1")); // R1945-9.5
        assert_eq!(text, format!("{}: {error}\n", error.status()));
        assert_eq!(event(&mut connection), "Closed");
        assert_eq!(connection.close_reason(), Some(CloseReason::Refused(error)));
    }
}

// R9110-2.5, R1945-3.1b: the response is HTTP/1.0.
#[test]
fn higher_minor_version_is_processed_as_1_1() {
    for minor in 1..=9 {
        let mut connection = after(&format!("GET /a HTTP/1.{minor}\r\nHost: a\r\n\r\n"));
        let Ok(Event::Request(request)) = connection.poll() else { panic!("1.{minor} is rejected") };
        assert_eq!((request.version.major(), request.version.minor()), (1, minor));
        let head = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(respond(&mut connection, 0), head);
        let mut without_host = after(&format!("GET /a HTTP/1.{minor}\r\n\r\n"));
        assert!(matches!(without_host.poll(), Err(RequestError::HostMissing)), "1.{minor}");
    }
}

// R9112-3.2.2a, R9112-3.2.2b, D7
#[test]
fn host_is_required_but_unused_with_an_absolute_target() {
    for (fields, expected) in [
        ("Host: b\r\n", "GET /a"),
        ("Host: a:80\r\n", "GET /a"),
        ("", "400"),
        ("Host: b/c\r\n", "400"),
        ("Host:\r\n", "400"),
        ("Host: b\r\nHost: b\r\n", "400"),
    ] {
        let mut connection = after(&format!("GET http://a:1/a HTTP/1.1\r\n{fields}\r\n"));
        assert_eq!(event(&mut connection), expected, "{fields:?}");
        if let Some(request) = connection.request_head() {
            assert_eq!(request.target.authority().map(|authority| authority.as_str()), Some("a:1"), "{fields:?}");
        }
    }
}

// R9112-3.2.4: the asterisk means the server, and its path is the root.
#[test]
fn asterisk_is_not_a_name_below_the_root() {
    let mut connection = after("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(event(&mut connection), "OPTIONS *");
    let (request, mut path) = (connection.request_head().unwrap(), Vec::new());
    request.path.decode_to(&mut path);
    assert_eq!((request.target.form(), path.as_slice()), (TargetForm::Asterisk, &b""[..]));
}

// D16: every set of errors, and which of them is reported. The handler checks what follows the target in that order.
#[test]
fn first_error_in_order_is_reported() {
    let errors = [
        RequestError::Method,
        RequestError::VersionNotSupported,
        RequestError::FieldSyntax,
        RequestError::HostMissing,
        RequestError::ContentLength,
        RequestError::ConnectMethod,
        RequestError::Target(TargetError::Form),
    ];
    for set in 1..1 << errors.len() {
        let has = |fault: usize| set >> fault & 1 == 1;
        let either = |fault, with, without| if has(fault) { with } else { without };
        let request = format!(
            "{} {} HTTP/{}\r\n{}{}{}\r\n",
            either(0, "G=T", either(5, "CONNECT", "GET")),
            either(6, "a", "/"),
            either(1, "2.0", "1.1"),
            either(4, "Content-Length: x\r\n", ""),
            either(2, "A : b\r\n", ""),
            either(3, "", "Host: a\r\n"),
        );
        let first = (0..errors.len()).find(|&fault| has(fault)).unwrap();
        assert_eq!(after(&request).poll().map(drop), Err(errors[first]), "{request:?}");
    }
}

// R1945-7.2b: a request line that begins with HEAD and a space or tab is HEAD, whatever is wrong after it.
#[test]
fn error_response_to_head_has_no_body() {
    for (bytes, status) in [
        ("HEAD / HTTP/1.1\r\n\r\n", "400"),
        ("HEAD /%zz HTTP/1.0\r\n\r\n", "400"),
        ("HEAD / HTTP/9.9\r\n", "505"),
        ("HEAD  / HTTP/1.1\r\n", "400"),
        ("HEAD /\r\n", "400"),
        ("HEAD\t/\r\n", "400"),
        ("\r\nHEAD / x HTTP/1.0\r\n", "400"),
        ("HEAD / HTTP/1.0", "400"), // then the end of the stream
        (&format!("HEAD /{} HTTP/1.0\r\n", "x".repeat(9000)), "414"),
        (&format!("HEAD / HTTP/1.0\r\nA: {}\r\n", "x".repeat(9000)), "431"),
    ] {
        let mut connection = after(bytes);
        connection.received_eof();
        assert!(connection.poll().is_err());
        let response = error_response(&mut connection);
        assert!(response.starts_with(&format!("HTTP/1.0 {status} ")), "{response}");
        assert!(response.ends_with("\r\n\r\n"), "the response to {:?} has a body", &bytes[..bytes.len().min(20)]);
    }
}

// With any limit, the error does not depend on how many bytes had arrived when it was exceeded.
#[test]
fn error_response_is_the_same_for_any_pieces() {
    for start_line in 1..12 {
        for line in ["HEAD \0D", "HEAD /a HTTP/1.0", "HHEAD \0 x", "HEAD\t/ HTTP/1.1", "GET /abcdefghijk"] {
            let [whole, bytes] = [64, 1].map(|size| {
                let mut connection = Connection::new(Limits { start_line, ..Limits::default() });
                let error = line.as_bytes().chunks(size).find_map(|piece| {
                    connection.receive_buffer()[..piece.len()].copy_from_slice(piece);
                    connection.received(piece.len());
                    connection.poll().err()
                });
                let mut out = Vec::new();
                if error.is_some() {
                    connection.respond_error(None, &mut out).unwrap();
                }
                (error, String::from_utf8(out).unwrap())
            });
            assert_eq!(whole, bytes, "{line:?} with {start_line}");
        }
    }
}

// R1945-9.4b: the connection closes as with the built-in response.
#[test]
fn error_may_get_a_response_of_the_callers_own() {
    let mut connection = after("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(event(&mut connection), "400");
    assert_eq!(field(&respond(&mut connection, 7), "Connection"), Some("close"));
    assert_eq!(event(&mut connection), "Closed");
}

// R9112-9.6b, R1945-9.4c, V24
#[test]
fn connection_lingers_only_if_a_plain_close_could_destroy_the_response() {
    let body = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\n";
    for (pieces, ends, expected) in [
        (&[PLAIN][..], false, false), // the complete head in one piece and nothing after it
        (&["GET / HTTP/1.0\r\n", "\r\n"], false, true),
        (&["GET / HTTP/1.0\r\n", "\r\n"], true, false), // nothing follows the end of the stream
        (&[&[PLAIN, "x"].concat()], false, true),
        (&["GET /old\r\n"], false, true),
        (&[body], false, true),
        (&[&[body, "hello"].concat()], false, true),
        (&["GET / HTTP/1.1\r\n\r\n"], false, true), // rejected
        (&["GET / HTTP/1.1\r\n\r\n"], true, false),
        (&[KEPT], true, false),
        (&[&[KEPT, PLAIN].concat()], false, false),
        (&[KEPT, PLAIN], false, false),
        (&[&[KEPT, "GET / HT"].concat(), "TP/1.0\r\n\r\n"], false, true), // began after another request in the same piece
    ] {
        let mut connection = after("");
        let respond_to_all = |connection: &mut Connection| loop {
            match event(connection).as_str() {
                end @ ("Closed" | "NeedInput") => break end.to_owned(),
                _ => drop(respond(connection, 1)),
            }
        };
        for piece in pieces {
            assert_eq!(respond_to_all(&mut connection), "NeedInput");
            receive(&mut connection, piece);
        }
        if ends {
            connection.received_eof();
        }
        assert_eq!(respond_to_all(&mut connection), "Closed", "{pieces:?}");
        assert_eq!(connection.must_linger(), expected, "{pieces:?} {ends}");
    }
}

// R9112-9.5: the phase tells the caller which timeout applies.
#[test]
fn phase_follows_each_step_of_an_exchange() {
    let mut connection = after("");
    let mut steps = vec![connection.phase()];
    receive(&mut connection, "\r\n");
    steps.push(connection.phase());
    receive(&mut connection, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n");
    steps.push(connection.phase());
    receive(&mut connection, "\r\n");
    assert_eq!(event(&mut connection), "POST /");
    steps.push(connection.phase());
    receive(&mut connection, "body");
    assert_eq!((event(&mut connection).as_str(), event(&mut connection).as_str()), ("Body \"body\"", "NeedOutput"));
    steps.push(connection.phase());
    let block = FieldBlock::new();
    let five_bytes = Response { body: ResponseBody::Length(5), ..Response::new(Status::OK, &block) };
    assert_eq!(connection.respond(&five_bytes, &mut Vec::new()), Ok(SendBody::Exactly(5)));
    connection.body_sent(4).unwrap();
    steps.push(connection.phase());
    connection.body_sent(1).unwrap();
    steps.push(connection.phase());
    receive(&mut connection, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(event(&mut connection), "POST /");
    respond(&mut connection, 0); // before its body
    steps.push(connection.phase());
    receive(&mut connection, "body");
    receive(&mut connection, PLAIN);
    assert_eq!(event(&mut connection), "GET /plain");
    steps.push(connection.phase());
    respond(&mut connection, 0);
    steps.push(connection.phase());
    use Phase::{Body, Closing, Head, Idle, Responding};
    assert_eq!(steps, [Idle, Idle, Head, Body, Responding, Responding, Idle, Body, Responding, Closing]);
}

// D15, R9112-9.3a, R9112-9.3c: each reason, and the response says `close`.
#[test]
fn close_reason_is_known_and_sent() {
    let unfinished = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n";
    let (length, until_close) = (ResponseBody::Length(1), ResponseBody::UntilClose);
    for (bytes, body, close, expected) in [
        (PLAIN, length, true, CloseReason::PeerRequested),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
            length,
            false,
            CloseReason::PeerRequested,
        ),
        ("GET /\r\n", length, false, CloseReason::SimpleRequest),
        ("GET / HTTP/1.1\r\n\r\n", length, false, CloseReason::Refused(RequestError::HostMissing)),
        ("GET  / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", length, false, CloseReason::LenientParse), // D2
        ("GET / HTTP/1.0\nConnection: keep-alive\r\n\r\n", length, false, CloseReason::LenientParse),    // D1
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\nA: b\r\n c\r\n\r\n", length, false, CloseReason::LenientParse), // D3
        (KEPT, length, true, CloseReason::CallerRequested),
        (KEPT, until_close, false, CloseReason::UnknownLength),
        (unfinished, length, false, CloseReason::UnreadBody),
    ] {
        let mut connection = after(bytes);
        event(&mut connection);
        assert_eq!(connection.close_reason(), None, "not decided yet");
        let (block, mut out) = (FieldBlock::new(), Vec::new());
        let response = Response { body, close, ..Response::new(Status::OK, &block) };
        connection.respond(&response, &mut out).map(drop).unwrap();
        assert_eq!(connection.close_reason(), Some(expected), "{bytes:?}");
        assert!(out.is_empty() || field(str::from_utf8(&out).unwrap(), "Connection") == Some("close"), "{bytes:?}");
        assert!(!expected.to_string().is_empty());
    }
    let idle = |end: fn(&mut Connection)| {
        let mut connection = after(KEPT);
        event(&mut connection);
        respond(&mut connection, 1);
        end(&mut connection);
        assert_eq!(event(&mut connection), "Closed");
        connection.close_reason()
    };
    assert_eq!(idle(Connection::received_eof), Some(CloseReason::PeerClosed));
    assert_eq!(idle(Connection::handle_timeout), Some(CloseReason::IdleTimeout));
    // The connection was kept, but the rest of the body never arrived.
    let mut connection = after("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    event(&mut connection);
    respond(&mut connection, 1);
    connection.received_eof();
    assert_eq!(
        (event(&mut connection).as_str(), connection.close_reason()),
        ("Closed", Some(CloseReason::BodyIncomplete))
    );
}

// V11, V20: received bytes stay with the connection, and lent memory stays with the workspace.
#[test]
fn connection_can_be_detached_after_any_byte() {
    let fields = ["A: ", &"v".repeat(300), "\r\nB: ", &"w".repeat(300)].concat();
    let bytes = format!("GET /long HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{PLAIN}");
    for cut in 0..=bytes.len() {
        let (mut one, mut other) = (Workspace::with_capacity(1024), Workspace::with_capacity(1024));
        let mut connection = Connection::new(Limits::default());
        connection.attach(&mut one);
        receive(&mut connection, &bytes[..cut]);
        let mut events = vec![event(&mut connection)];
        connection.detach(&mut one);
        if events[0] != "NeedInput" {
            respond(&mut connection, 0);
            events.clear();
        }
        connection.attach(&mut other);
        receive(&mut connection, &bytes[cut..]);
        if !events.is_empty() {
            assert_eq!(event(&mut connection), "GET /long", "cut at {cut}");
            let Some(request) = connection.request_head() else { panic!("the request was reported") };
            assert_eq!(request.fields.iter().map(|(_, value)| value.as_bytes().len()).sum::<usize>(), 601);
            respond(&mut connection, 0);
        }
        assert_eq!(event(&mut connection), "GET /plain", "cut at {cut}");
    }
}

// V11, V20: an idle connection is this value without heap memory. Ten thousand take 2.5 MB, and parking one is a move.
#[test]
fn connection_is_a_small_plain_value() {
    fn is_plain<T: Send + 'static>() {}
    is_plain::<Connection>();
    assert!(size_of::<Connection>() <= 256, "{} bytes", size_of::<Connection>());
}

fn after(bytes: &str) -> Connection {
    let mut connection = Connection::new(Limits::default());
    receive(&mut connection, bytes);
    connection
}

fn receive(connection: &mut Connection, bytes: &str) {
    let mut rest = bytes.as_bytes();
    while !rest.is_empty() {
        let space = connection.receive_buffer();
        let n = space.len().min(rest.len());
        if n == 0 {
            return; // the limit of a head is reached; the peer keeps the rest
        }
        space[..n].copy_from_slice(&rest[..n]);
        connection.received(n);
        rest = &rest[n..];
    }
}

/// The result of `poll` in short form: a request as `GET /path`, an error as its status.
fn event(connection: &mut Connection) -> String {
    match connection.poll() {
        Ok(Event::Request(request)) => format!("{} {}", request.method, request.target.raw_path()),
        Ok(Event::Body(bytes)) => format!("Body \"{}\"", bytes.escape_ascii()),
        Ok(event) => format!("{event:?}"),
        Err(error) => error.status().code().to_string(),
    }
}

/// Responds with 200 and this many bytes. Returns the head.
fn respond(connection: &mut Connection, bytes: u64) -> String {
    let (block, mut head) = (FieldBlock::new(), Vec::new());
    let response = Response { body: ResponseBody::Length(bytes), ..Response::new(Status::OK, &block) };
    if let SendBody::Exactly(n) = connection.respond(&response, &mut head).unwrap() {
        connection.body_sent(n).unwrap();
    }
    String::from_utf8(head).unwrap()
}

fn error_response(connection: &mut Connection) -> String {
    let mut out = Vec::new();
    connection.respond_error(Some(Date::from_unix(1_000_000_000).unwrap().text()), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().filter_map(|line| line.split_once(": ")).find(|(n, _)| *n == name).map(|(_, value)| value)
}

// V33
#[test]
fn largest_limit_of_blank_lines_is_enforced() {
    let mut connection = Connection::new(Limits { blank_lines: u8::MAX, ..Limits::default() });
    receive(&mut connection, &"\r\n".repeat(255));
    assert_eq!(event(&mut connection), "NeedInput");
    receive(&mut connection, "\r\n");
    assert_eq!(event(&mut connection), "400");
}
