//! What becomes of a handler's errors, panics and invalid responses, and how they are explained.
#![cfg(test)]

mod support;

use std::fmt;
use std::fs;
use std::io;
use std::sync::mpsc;
use std::time::Duration;

use http_core::{Authority, FieldBlock, Limits, Method, Status, client, header};
use http_server::testing::{self, TestResponse};
use http_server::{Action, Body, BodySink, ErrorContext, Handler, HandlerError, IntoResponse, Request, Response};

/// What every failed request shows: a 500 that tells the client nothing, and the one reason that is traced.
fn failure(response: &TestResponse) -> (&str, &str) {
    assert_eq!(response.status, Status::INTERNAL_SERVER_ERROR);
    assert_eq!(response.text(), "500 Internal Server Error: the server failed to handle the request\n");
    let [decision] = &*response.decisions else { panic!("expected one decision: {:?}", response.decisions) };
    (&decision.rule, &decision.text)
}

// R1945-9.1, R9110-11.6.1, R9110-10.2.1, R9110-15.5.8, R9110-15.5.22, R9112-6.1d
#[test]
fn response_that_http_forbids_becomes_a_500_and_is_explained() {
    let handler = |request: &Request<'_>| match &*request.path() {
        "/continue" => Response::empty(Status::CONTINUE),
        "/allow" => Response::text("no").status(Status::METHOD_NOT_ALLOWED),
        "/challenge" => Response::text("no").status(Status::UNAUTHORIZED),
        "/proxy" => Response::text("no").status(Status::PROXY_AUTHENTICATION_REQUIRED),
        "/upgrade" => Response::text("no").status(Status::UPGRADE_REQUIRED),
        "/length" => Response::text("no").header(header::CONTENT_LENGTH, "5"),
        "/name" => Response::text("no").header("X Y", "5"),
        _ => Response::text("no").header("X-Y", "a\r\nb"),
    };
    for (path, rule, text) in [
        ("/continue", "R1945-9.1", "handler returned 100 Continue: HTTP/1.0 has no 1xx responses"),
        ("/allow", "R9110-10.2.1", "handler returned 405 Method Not Allowed: a 405 response needs Allow"),
        ("/challenge", "R9110-11.6.1", "handler returned 401 Unauthorized: a 401 response needs WWW-Authenticate"),
        (
            "/proxy",
            "R9110-15.5.8",
            "handler returned 407 Proxy Authentication Required: a 407 response needs Proxy-Auth",
        ),
        ("/upgrade", "R9110-15.5.22", "handler returned 426 Upgrade Required: a 426 response needs Upgrade"),
        ("/length", "R9112-6.1d", "handler set an invalid header: Content-Length: reserved header"),
        ("/name", "R9112-6.1d", "handler set an invalid header: X Y: invalid header name"),
        ("/value", "R9112-6.1d", "handler set an invalid header: X-Y: invalid header value"),
    ] {
        let response = testing::get(path).send(&handler);
        let (own_rule, own_text) = failure(&response);
        assert!(own_rule == rule && own_text.starts_with(text), "{path}: {own_rule}, {own_text}");
    }
}

// R9110-6.6.1, R9110-8.6a: a proxy passes on the Date, and what another server left out.
#[test]
fn forwarded_response_keeps_its_date_and_is_not_checked() {
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let handler = |request: &Request<'_>| -> Result<Response, HandlerError> {
        let (mut machine, none) = (client::Connection::new(Limits::default()), FieldBlock::new());
        let sent = client::Request::new(request.method(), request.head().target, Authority::new(b"a")?, &none);
        let _no_body = machine.request(&sent, &mut Vec::new())?;
        let status = request.path()[1..].to_owned();
        let date = if request.query().is_some() { "" } else { &format!("Date: {DATE}\r\n") };
        machine.receive(format!("HTTP/1.1 {status} x\r\n{date}X-A: 1\r\nContent-Length: 5\r\n\r\n").as_bytes());
        let client::Event::Response(head) = machine.poll()? else { panic!("the head is complete") };
        let mut headers = FieldBlock::new();
        headers.forward(&head.fields, head.version, Authority::new(b"proxy")?);
        Ok(Response::forwarded(&head, headers).body("hello"))
    };
    for status in [200, 401, 405, 503] {
        let response = testing::get(&format!("/{status}")).send(&handler);
        assert_eq!((response.status.code(), response.text(), response.decisions.len()), (status, "hello", 0));
        assert_eq!((response.headers.get("Date"), response.headers.get("X-A")), (Some(DATE), Some("1")));
        assert_eq!(response.headers.get("Via"), Some("1.1 proxy"));
    }
    let head = testing::request(&handler, Method::Head, "/200", &[], b"");
    assert_eq!((head.headers.get("Content-Length"), head.text()), (Some("5"), ""));
    let dated = testing::get("/405?").send(&handler);
    assert!(dated.status.code() == 405 && dated.headers.get("Date").is_some_and(|date| date != DATE));
}

// R1945-9.5
#[test]
fn panic_becomes_a_500_and_its_message_is_explained() {
    struct Panics(&'static str);
    impl BodySink for Panics {
        fn write(&mut self, _: &[u8]) -> Result<(), HandlerError> {
            assert!(self.0 != "write", "in write");
            Ok(())
        }

        fn finish(self: Box<Self>) -> Result<Response, HandlerError> {
            panic!("in {}", self.0)
        }
    }
    let handler = |request: &Request<'_>| match &*request.path() {
        "/text" => panic!("as instructed"),
        "/formatted" => panic!("as instructed by {}", request.method()),
        "/other" => std::panic::panic_any(5),
        "/collect" => Action::collect_body(9, |_| -> Response { panic!("in collect") }),
        "/write" => Action::stream_body(9, Panics("write")),
        _ => Action::stream_body(9, Panics("finish")),
    };
    for (path, message) in [
        ("/text", "as instructed"),
        ("/formatted", "as instructed by POST"),
        ("/other", "no message"),
        ("/collect", "in collect"),
        ("/write", "in write"),
        ("/finish", "in finish"),
    ] {
        let response = testing::post(path, "body").send(&handler);
        assert_eq!(failure(&response), ("R1945-9.5", &*format!("handler panicked: {message}")));
    }
}

// A sink that is dropped early, and the text of an error, are a handler's code, too.
#[test]
fn panic_of_a_dropped_sink_or_of_an_errors_text_costs_no_response() {
    struct PanicsWhenDropped;
    impl BodySink for PanicsWhenDropped {
        fn write(&mut self, _: &[u8]) -> Result<(), HandlerError> {
            Err(HandlerError::new(Status::CONFLICT, "it changed"))
        }

        fn finish(self: Box<Self>) -> Result<Response, HandlerError> {
            Ok(Response::text("fine"))
        }
    }
    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("as instructed")
        }
    }
    #[derive(Debug)]
    struct HasNoText;
    impl fmt::Display for HasNoText {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    impl std::error::Error for HasNoText {}
    let handler = |request: &Request<'_>| match &*request.path() {
        "/text" => HandlerError::from(HasNoText).into(),
        "/long" => Action::stream_body(3, PanicsWhenDropped),
        _ => Action::stream_body(9, PanicsWhenDropped),
    };
    for (path, status) in [("/", 409), ("/long", 413), ("/text", 500)] {
        assert_eq!(testing::post(path, "body").send(&handler).status.code(), status, "{path}");
    }
    let output = testing::exchange(&handler, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n").output;
    assert!(output.starts_with(b"HTTP/1.0 400 "), "the body did not come");
}

#[test]
fn errors_of_handlers_and_of_bodies_become_responses() {
    fn fails(kind: &str) -> Result<Response, HandlerError> {
        match kind {
            "/io" => Err(io::Error::other("the disk is on fire"))?,
            "/text" => Err("the disk is on fire")?,
            "/status" => Err(HandlerError::new(Status::CONFLICT, "it changed").header("X-A", "1")),
            "/cause" => Err(HandlerError::new(Status::BAD_GATEWAY, "try later").cause("the disk is on fire")),
            "/invalid" => Err(HandlerError::new(Status::CONFLICT, "it changed").header("Date", "1")),
            "/response" => Err(Response::not_found())?,
            _ => Ok(Response::text("fine")),
        }
    }
    struct Fails(String);
    impl BodySink for Fails {
        fn write(&mut self, _: &[u8]) -> Result<(), HandlerError> {
            fails(&self.0).map(drop)
        }

        fn finish(self: Box<Self>) -> Result<Response, HandlerError> {
            Ok(Response::text("fine"))
        }
    }
    type Kind = fn(String) -> Result<Action, HandlerError>;
    let kinds: [Kind; 3] = [
        |path| Ok(fails(&path)?.into()),
        |path| Ok(Action::collect_body(9, move |_| fails(&path))),
        |path| Ok(Action::stream_body(9, Fails(path))),
    ];
    for kind in kinds {
        let handler = |request: &Request<'_>| kind(request.path().into_owned());
        let send = |path| testing::post(path, "body").send(&handler);
        assert_eq!(send("/").text(), "fine");
        for path in ["/io", "/text"] {
            assert_eq!(failure(&send(path)), ("R1945-9.5", "handler failed: the disk is on fire"));
        }
        let response = send("/status");
        assert_eq!((response.status.code(), response.text()), (409, "409 Conflict: it changed\n"));
        assert_eq!((response.headers.get("x-a"), response.decisions.len()), (Some("1"), 0));
        let response = send("/cause");
        assert_eq!((response.status.code(), response.text()), (502, "502 Bad Gateway: try later\n"));
        assert_eq!(response.decisions[0].text, "handler failed: the disk is on fire");
        assert!(failure(&send("/invalid")).1.starts_with("handler set an invalid header: Date: reserved"));
        assert_eq!(send("/response").text(), "404 Not Found\n");
    }
}

/// Shows the status and message of every error in brackets, and fails itself if it is told to.
struct Pages;

impl Handler for Pages {
    fn handle(&self, request: &Request<'_>) -> Action {
        match &*request.path() {
            "/panic" => panic!("as instructed"),
            "/error" => HandlerError::new(Status::CONFLICT, "it changed").into(),
            "/page-panics" => HandlerError::new(Status::GONE, "panic").into(),
            "/page-is-invalid" => HandlerError::new(Status::GONE, "invalid").into(),
            _ => Action::collect_body(3, |_| Response::text("fine")),
        }
    }

    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        match error.message() {
            "panic" => panic!("as instructed"),
            "invalid" => Response::text("no").header("Date", "1"),
            message => Response::text(format!("[{} {message}]", error.status().code())).status(Status::OK),
        }
    }
}

#[test]
fn every_error_response_of_the_server_is_a_page_of_the_handler() {
    let cases: [(&[u8], u16, &str); 6] = [
        (b"GET /panic HTTP/1.0\r\n\r\n", 500, "[500 the server failed to handle the request]"),
        (b"GET /error HTTP/1.0\r\n\r\n", 409, "[409 it changed]"),
        (b"POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody", 413, "[413 "),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "[400 "),
        (b"CONNECT a:1 HTTP/1.0\r\n\r\n", 405, "[405 "),
        (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 3\r\n\r\n", 417, "[417 "),
    ];
    for (request, status, page) in cases {
        let output = String::from_utf8(testing::exchange(&Pages, request).output).unwrap();
        assert!(output.starts_with(&format!("HTTP/1.0 {status} ")), "{output}");
        assert!(output.split_once("\r\n\r\n").unwrap().1.starts_with(page), "{output}");
        assert_eq!(output.contains("\r\nAllow: \r\n"), status == 405, "{output}");
    }
}

#[test]
fn failed_error_page_is_replaced_by_a_plain_one() {
    for (path, reason) in [
        ("/page-panics", "error page failed: it panicked"),
        ("/page-is-invalid", "error page failed: it set an invalid header: Date: reserved header"),
    ] {
        let response = testing::get(path).send(&Pages);
        assert_eq!((response.status.code(), response.text()), (500, "500 Internal Server Error\n"));
        assert!(response.decisions[0].text.starts_with(reason), "{:?}", response.decisions);
    }
}

#[test]
fn types_of_a_program_become_responses() {
    struct Count(u32);
    impl IntoResponse for Count {
        fn into_response(self) -> Result<Response, HandlerError> {
            Ok(Response::json(self.0.to_string()))
        }
    }
    assert_eq!(testing::get("/").send(&|_: &Request<'_>| Count(5)).text(), "5");
    let collects = |_: &Request<'_>| Action::collect_body(9, |body| Count(body.len() as u32));
    assert_eq!(testing::post("/", "four").send(&collects).text(), "4");
}

#[test]
fn request_shows_path_query_headers_and_target() {
    let handler = |request: &Request<'_>| {
        let path = request.path_bytes().into_owned();
        assert_eq!(request.head().method, request.method());
        assert_eq!(request.headers().len(), 3);
        assert_eq!((request.header("x-own"), request.header("X-Bytes"), request.header("X")), (Some("1"), None, None));
        assert_eq!(request.peer_addr().ip(), request.client_ip());
        assert_eq!(request.local_addr().unwrap().port(), 80);
        Response::text(format!("{} {:?} {} {}", request.path(), request.query(), request.raw_target(), path.len()))
    };
    for (target, expected) in [
        ("/a?b", "/a Some(\"b\") /a?b 2"),
        ("/%63ount//x/../y/?", "/count/y/ Some(\"\") /%63ount//x/../y/? 9"),
        ("/caf%E9", "/caf\u{fffd} None /caf%E9 5"),
    ] {
        let head = [b"GET ", target.as_bytes(), b" HTTP/1.0\r\nX-Own: 1\r\nX-Own: 2\r\nX-Bytes: \xe9\r\n\r\n"].concat();
        let output = String::from_utf8(testing::exchange(&handler, &head).output).unwrap();
        assert!(output.ends_with(&format!("\r\n\r\n{expected}")), "{output}");
    }
}

#[test]
fn test_request_carries_method_headers_and_body() {
    let handler = |request: &Request<'_>| {
        let kind = request.header("Content-Type").unwrap_or_default().to_owned();
        let method = request.method().as_str().to_owned();
        Action::collect_body(9, move |body| Response::text(format!("{method} {kind} {}", body.len())))
    };
    let response = testing::request(&handler, Method::Put, "/", &[("Content-Type", "a/b")], b"hello");
    assert_eq!((response.status, response.text()), (Status::OK, "PUT a/b 5"));
    let head = testing::request(&handler, Method::Head, "/", &[], b"");
    assert_eq!((head.headers.get("content-length"), head.text()), (Some("7"), ""));
}

#[test]
#[should_panic(expected = "the response is incomplete: 3 of 5 bytes")]
fn test_response_that_is_incomplete_fails_the_test() {
    let short = |_: &Request<'_>| {
        Response::empty(Status::OK).body(Body::Reader { reader: Box::new(&b"abc"[..]), length: Some(5) })
    };
    testing::get("/").send(&short);
}

// A panic for each request must not flood the operator.
#[test]
fn message_hook_reports_failures_at_most_once_a_second() {
    let (sender, messages) = mpsc::channel();
    let server = support::server().threads(1);
    let server = server.on_message(move |message| sender.send(message.to_owned()).unwrap());
    let running = server.start(|_: &Request<'_>| -> Response { panic!("as instructed") }).unwrap();
    let fail = || {
        let mut stream = std::net::TcpStream::connect(running.local_addrs()[0]).unwrap();
        io::Write::write_all(&mut stream, b"GET / HTTP/1.0\r\n\r\n").unwrap();
        assert!(io::read_to_string(stream).unwrap().starts_with("HTTP/1.0 500 "));
    };
    fail();
    assert_eq!(messages.recv().unwrap(), "GET /: handler panicked: as instructed");
    std::thread::sleep(Duration::from_millis(1010));
    (0..10).for_each(|_| fail());
    assert!(messages.try_iter().count() <= 2);
}

/// What a server whose handler fails for `/fail` sends for this path.
fn ask(running: &http_server::RunningServer, path: &str) -> io::Result<String> {
    let mut stream = std::net::TcpStream::connect(running.local_addrs()[0])?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    io::Write::write_all(&mut stream, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    io::read_to_string(stream)
}

fn failing(hook: impl Fn(&str) + Send + Sync + 'static) -> http_server::RunningServer {
    let server = support::server().threads(2).shutdown_timeout(Duration::ZERO).on_message(hook);
    let handler = |request: &Request<'_>| -> Result<Response, HandlerError> {
        if request.path() == "/fail" { Err("as instructed")? } else { Ok(Response::text("fine")) }
    };
    server.start(handler).unwrap()
}

// `eprintln!` panics if standard error is a pipe that nobody reads.
#[test]
fn message_hook_that_panics_costs_no_response() {
    let running = failing(|message| panic!("{message}"));
    for _ in 0..3 {
        assert!(ask(&running, "/fail").unwrap().starts_with("HTTP/1.0 500 "));
    }
}

#[test]
fn message_hook_that_blocks_holds_one_thread() {
    let (release, stuck) = mpsc::channel::<()>();
    let stuck = std::sync::Mutex::new(stuck);
    let running = failing(move |_| assert!(stuck.lock().unwrap().recv().is_err()));
    std::thread::scope(|scope| {
        scope.spawn(|| ask(&running, "/fail"));
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(1010));
            assert!(ask(&running, "/fail").unwrap().starts_with("HTTP/1.0 500 "));
            assert!(ask(&running, "/").unwrap().ends_with("fine"));
        }
        drop(release);
    });
}

#[test]
fn message_hook_reports_that_log_cannot_be_written() {
    let (sender, messages) = mpsc::channel();
    let log = http_server::Log::to_file(http_server::LogFormat::Common, "/dev/full".as_ref()).unwrap();
    let server = support::server().threads(1).log(log);
    let server = server.on_message(move |message| sender.send(message.to_owned()).unwrap());
    let running = server.start(|_: &Request<'_>| Response::text("x")).unwrap();
    let mut stream = std::net::TcpStream::connect(running.local_addrs()[0]).unwrap();
    io::Write::write_all(&mut stream, b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let message = messages.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(message.starts_with("cannot write the access log: "), "{message}");
    assert!(fs::metadata("/dev/full").is_ok());
}
