//! Tests of `Client`: over streams in memory, and over sockets where connections and time matter.
// Clippy then treats the helpers, too, as test code.
#![cfg(test)]

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use http_core::redirect::RedirectError;
use http_core::{FieldName, FieldValue, Method, UrlError, header};
use webclient::testing::respond;
use webclient::{Client, Connect, Endpoint, Error, Event, Phase, Stream, TcpConnector, Timeouts, Url};

const OK: &str = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
const KEPT: &str = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok";

/// A client whose server responds by a function of the request's first line and its text, and the requests so far.
fn client(respond_to: impl Fn(&str) -> String + Send + Sync + 'static) -> (Client, Arc<Mutex<Vec<String>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let log = requests.clone();
    let connector = respond(move |request| {
        let request = request.escape_ascii().to_string().replace("\\r\\n", "\r\n");
        let response = respond_to(request.split("\r\n").next().unwrap());
        log.lock().unwrap().push(request);
        response.into_bytes()
    });
    (Client::new().connector(connector), requests)
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.0 {status} Found\r\nLocation: {location}\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nno")
}

fn text(response: Result<webclient::Response, Error>) -> String {
    String::from_utf8(response.unwrap().read_to_vec(1 << 20).unwrap()).unwrap()
}

// --- requests

#[test]
fn request_has_the_defaults_and_what_the_caller_changes() {
    let (client, requests) = client(|_| OK.into());
    assert_eq!(text(client.get("http://h/a?b#c").send()), "ok");
    let version = env!("CARGO_PKG_VERSION");
    let defaults = format!("User-Agent: webclient/{version}\r\nAccept: */*\r\n");
    assert_eq!(
        requests.lock().unwrap().pop().unwrap(),
        format!("GET /a?b HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n{defaults}\r\n")
    );
    let request = client.post("http://h/").set_header("User-Agent", "mine").without_header("Accept");
    let request = request.header("X", "1").header("X", b"2\xff").basic_auth("me", "secret").body("text");
    assert_eq!(text(request.send()).as_str(), "ok");
    assert_eq!(
        requests.lock().unwrap().pop().unwrap(),
        "POST / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nContent-Length: 4\r\nUser-Agent: mine\r\nX: 1\r\n\
         X: 2\\xff\r\nAuthorization: Basic bWU6c2VjcmV0\r\n\r\ntext"
    );
}

#[test]
fn whatever_is_wrong_with_a_request_is_reported_when_it_is_sent() {
    let (client, requests) = client(|_| OK.into());
    let get = || client.get("http://h/");
    for (request, expected) in [
        (client.get("https://h/"), "https"),
        (client.get("h"), "http://"),
        (client.get("http:///"), "HOST"),
        (get().header("A B", "c"), "the header \"A B\""),
        (get().header("A", "b\r\nC: d"), "the header \"A\""),
        (get().header("A", "b\0"), "the header \"A\""),
        (get().header("Content-Length", "3"), "the header \"Content-Length\""),
        (get().set_header("Host", "other"), "the header \"Host\""),
        (get().basic_auth("a:b", "c"), "the header \"Authorization\""),
        (client.request(Method::Connect, "http://h/"), ""),
        (client.post("http://h/").body_reader(&b"short"[..], 6), "body"),
    ] {
        let error = request.send().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(requests.lock().unwrap().iter().all(|request| request.starts_with("POST")));
}

#[test]
fn typed_urls_are_read_as_browsers_read_them() {
    let (client, requests) = client(|_| OK.into());
    for (typed, path, host) in [
        ("  http://h/a b ", "/a%20b", "h"),
        ("http://h/a/../b/./c", "/b/c", "h"),
        ("http://h//a//b", "//a//b", "h"),
        ("http://h/../../x?a=/../y", "/x?a=/../y", "h"),
        ("http://h", "/", "h"),
        ("http://[fe80::1%25eth0]:81/x", "/x", "[fe80::1]:81"),
        ("http://[fe80::1%eth0]/", "/", "[fe80::1]"),
    ] {
        assert_eq!(text(client.get(typed).send()), "ok");
        let request = requests.lock().unwrap().pop().unwrap();
        assert!(request.starts_with(&format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n")), "{typed}: {request}");
    }
}

/// Records where it is asked to connect to.
struct Recorder(Arc<Mutex<Vec<String>>>);

impl Connect for Recorder {
    fn connect(
        &self,
        endpoint: &Endpoint,
        limit: Duration,
        report: &dyn Fn(Event<'_>),
    ) -> Result<Box<dyn Stream>, Error> {
        self.0.lock().unwrap().push(endpoint.host.clone() + ":" + &endpoint.port.to_string());
        respond(|_| redirect(302, "/next").into()).connect(endpoint, limit, report)
    }
}

#[test]
fn zone_reaches_the_connector_also_after_a_redirect() {
    let endpoints = Arc::new(Mutex::new(Vec::new()));
    let client = Client::new().connector(Recorder(endpoints.clone()));
    let url = "http://[fe80::1%25eth0]:81/";
    assert_eq!(client.get(url).send().unwrap().redirect_error(), Some(RedirectError::TooMany));
    assert_eq!(*endpoints.lock().unwrap(), ["fe80::1%eth0:81"], "one connection, kept");
}

#[test]
fn proxy_gets_the_absolute_form_and_no_connection_is_kept() {
    let (client, requests) = client(|_| KEPT.into());
    let client = client.proxy(Url::parse("http://proxy:3128").unwrap());
    assert_eq!(text(client.get("http://h/a").send()), "ok");
    let request = requests.lock().unwrap().pop().unwrap();
    assert!(request.starts_with("GET http://h/a HTTP/1.0\r\nHost: h\r\nConnection: close\r\n"), "{request}");
}

// --- redirects

#[test]
fn redirects_are_followed_up_to_five() {
    let (client, requests) = client(|line| match line.split(' ').nth(1).unwrap() {
        "/5" => OK.into(),
        path => match path[1..].parse::<u32>() {
            Ok(n) => redirect(302, &format!("/{}", n + 1)),
            Err(_) => redirect(301, "/loop"),
        },
    });
    let response = client.get("http://h/0").send().unwrap();
    assert_eq!((response.status().code(), response.url().as_str()), (200, "http://h/5"));
    let response = client.get("http://h/loop").send().unwrap();
    assert_eq!((response.status().code(), response.redirect_error()), (301, Some(RedirectError::TooMany)));
    assert_eq!(requests.lock().unwrap().len(), 6 + 6);
    let response = client.follow_redirects(false).get("http://h/0").send().unwrap();
    assert_eq!((response.status().code(), response.redirect_error()), (302, None));
}

#[test]
fn redirect_that_is_not_followed_says_why() {
    for (location, expected) in [
        ("https://h/", RedirectError::Location(UrlError::Https)),
        ("ftp://h/", RedirectError::Location(UrlError::Scheme)),
        ("file:///etc/passwd", RedirectError::Location(UrlError::Scheme)),
    ] {
        let (client, _) = client(move |_| redirect(302, location));
        let mut response = client.get("http://h/").send().unwrap();
        assert_eq!(response.redirect_error(), Some(expected), "{location}");
        assert_eq!(response.read_to_vec(9).unwrap(), b"no");
    }
    let (client, requests) = client(|_| redirect(307, "/next"));
    let response = client.post("http://h/").body("x").send().unwrap();
    assert_eq!(response.redirect_error(), Some(RedirectError::Method));
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[test]
fn credentials_stay_with_their_server_and_a_body_with_its_request() {
    for (location, keeps) in [("/b", true), ("http://h:80/b", true), ("http://h:81/b", false), ("//other/b", false)] {
        let (client, requests) =
            client(move |line| if line.contains("/a") { redirect(303, location) } else { OK.into() });
        let request = client.post("http://h/a").basic_auth("me", "pw").header("Cookie", "a=b").header("X", "1");
        let request = request.header("Proxy-Authorization", "b");
        assert_eq!(text(request.header("Content-Type", "text/plain").body("hello").send()), "ok");
        let last = requests.lock().unwrap().pop().unwrap();
        assert!(last.starts_with("GET /b ") && last.contains("X: 1\r\n"), "{last}");
        assert!(!last.contains("Content-") && last.ends_with("\r\n\r\n"), "{last}");
        for name in ["\nAuthorization: ", "\nProxy-Authorization: ", "\nCookie: "] {
            assert_eq!(last.contains(name), keeps, "{location}: {last}");
        }
    }
    let (client, requests) = client(|line| if line.contains("h/a") { redirect(302, "//other/b") } else { OK.into() });
    let client = client.proxy(Url::parse("http://proxy:3128").unwrap());
    let request = client.get("http://h/a").basic_auth("me", "pw").header("Proxy-Authorization", "b");
    assert_eq!(text(request.send()), "ok");
    let last = requests.lock().unwrap().pop().unwrap();
    assert!(last.starts_with("GET http://other/b ") && last.contains("\nProxy-Authorization: b\r\n"), "{last}");
    assert!(!last.contains("\nAuthorization: "), "{last}");
}

/// Only the body of the redirect is late, whether it could free a connection or not.
#[test]
fn redirect_is_followed_before_its_body_is_complete() {
    for keeps in ["keep-alive", "close"] {
        let url = serve(move |n, mut stream| {
            assert!(read_head(&mut stream));
            let start =
                format!("HTTP/1.0 302 Found\r\nLocation: /b\r\nConnection: {keeps}\r\nContent-Length: 9\r\n\r\nlate");
            stream.write_all(if n == 0 { start.as_bytes() } else { OK.as_bytes() }).unwrap();
            if n == 0 {
                thread::spawn(move || io::copy(&mut stream, &mut io::sink())); // until the client closes
            }
        });
        let (events, log) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(Vec::new())));
        let closings = log.clone();
        let client = Client::new().on_event(move |event| match event {
            Event::Closing(reason) => closings.lock().unwrap().push(*reason),
            _ => *events.lock().unwrap() += 1,
        });
        let began = Instant::now();
        assert_eq!(text(client.get(&url).send()), "ok");
        assert!(began.elapsed() < Timeouts::default().idle / 2, "{:?}", began.elapsed());
        assert_eq!(log.lock().unwrap().len(), if keeps == "close" { 2 } else { 1 }, "why it is not kept");
    }
}

// --- retries

#[test]
fn safe_requests_are_repeated_after_failures_that_may_pass() {
    const WAIT: &str = "HTTP/1.0 503 Busy\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\nno";
    for (method, retries, failures, expected) in [
        (Method::Get, 2, 2, (200, 3)),
        (Method::Get, 2, 3, (503, 3)),
        (Method::Get, 0, 1, (503, 1)),
        (Method::Put, 1, 1, (200, 2)),
        (Method::Post, 5, 1, (503, 1)),
    ] {
        let sent = Arc::new(Mutex::new(0));
        let count = sent.clone();
        let (client, _) = client(move |_| {
            let mut sent = count.lock().unwrap();
            *sent += 1;
            if *sent > failures { OK.into() } else { WAIT.into() }
        });
        let response = client.retries(retries).request(method, "http://h/").body("x").send().unwrap();
        assert_eq!((response.status().code(), *sent.lock().unwrap()), expected, "{method}");
    }
}

#[test]
fn request_is_not_repeated_if_that_is_useless_or_takes_too_long() {
    for (response, retries) in [
        ("HTTP/1.0 404 No\r\n\r\n", 1),
        ("HTTP/1.0 501 No\r\n\r\n", 1),
        ("HTTP/1.0 503 No\r\nRetry-After: 61\r\n\r\n", 1),
        ("HTTP/1.0 503 No\r\nRetry-After: soon\r\n\r\n", 1),
        ("HTTP/1.0 503 No\r\nRetry-After: 30\r\n\r\n", 1), // longer than the total timeout
        ("SSH-2.0\r\n", 1),
    ] {
        let (client, requests) = client(move |_| response.into());
        let timeouts = Timeouts { total: Some(Duration::from_secs(20)), ..Timeouts::default() };
        let _ = client.retries(3).timeouts(timeouts).get("http://h/").send();
        assert_eq!(requests.lock().unwrap().len(), retries, "{response}");
    }
    // A reader has been read.
    let (client, requests) = client(|_| "HTTP/1.0 503 No\r\nRetry-After: 0\r\n\r\n".into());
    client.retries(3).request(Method::Put, "http://h/").body_reader(&b"x"[..], 1).send().unwrap();
    assert_eq!(requests.lock().unwrap().len(), 1);
}

// --- sockets

/// A server that handles each connection in turn by a script, on a port of its own.
fn serve(script: impl Fn(usize, TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            script(n, stream.unwrap());
        }
    });
    format!("http://127.0.0.1:{port}/")
}

/// Reads a head; `false` at the end of the stream.
fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

#[test]
fn fifty_urls_of_a_server_share_a_connection() {
    let connections = Arc::new(Mutex::new(0));
    let count = connections.clone();
    let url = serve(move |_, mut stream| {
        *count.lock().unwrap() += 1;
        while read_head(&mut stream) {
            stream.write_all(KEPT.as_bytes()).unwrap();
        }
    });
    let client = Client::new();
    for n in 0..50 {
        assert_eq!(text(client.get(format!("{url}{n}")).send()), "ok");
    }
    assert_eq!(*connections.lock().unwrap(), 1);
}

#[test]
fn connection_that_the_server_closed_is_replaced_without_a_word() {
    let url = serve(|_, mut stream| {
        for _ in 0..2 {
            if read_head(&mut stream) {
                stream.write_all(KEPT.as_bytes()).unwrap();
            }
        }
    });
    let client = Client::new();
    for _ in 0..7 {
        assert_eq!(text(client.get(&url).send()), "ok");
    }
}

#[test]
fn total_timeout_ends_a_head_and_a_body_that_dribble() {
    for (start, phase) in [
        ("HTTP/1.0 200 OK\r\nX: ", Phase::Waiting),
        ("HTTP/1.0 200 OK\r\nContent-Length: 9999\r\n\r\n", Phase::Receiving),
    ] {
        let url = serve(move |_, mut stream| {
            let mut sent = stream.write_all(start.as_bytes());
            while sent.is_ok() {
                thread::sleep(Duration::from_millis(20));
                sent = stream.write_all(b"a");
            }
        });
        let limit = Duration::from_millis(300);
        let timeouts = Timeouts { total: Some(limit), ..Timeouts::default() };
        let began = Instant::now();
        let response = Client::new().timeouts(timeouts).get(&url).send();
        let error = response.and_then(|mut response| response.copy_to(&mut io::sink())).unwrap_err();
        assert!(matches!(error, Error::TimedOut { phase: p, limit: Some(l) } if p == phase && l == limit), "{error}");
        assert!((limit..limit * 20).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
}

#[test]
fn idle_timeout_says_which_phase_failed() {
    let url = serve(|_, mut stream| {
        let _ = read_head(&mut stream);
        thread::sleep(Duration::from_secs(20));
    });
    let timeouts = Timeouts { idle: Duration::from_millis(100), ..Timeouts::default() };
    let error = Client::new().timeouts(timeouts).get(&url).send().unwrap_err();
    assert_eq!(error.to_string(), "waiting for the response timed out after 0.1 s");
}

#[test]
fn connector_replaces_addresses() {
    let url = serve(|_, mut stream| {
        assert!(read_head(&mut stream));
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let port = url.trim_matches(|c: char| !c.is_ascii_digit()).rsplit(':').next().unwrap().parse().unwrap();
    let connector = TcpConnector::new().resolve("name.invalid", port, IpAddr::from([127, 0, 0, 1]));
    let client = Client::new().connector(connector);
    assert_eq!(text(client.get(format!("http://name.invalid:{port}/")).send()), "ok");
    let error = Client::new().get("http://name.invalid/").send().unwrap_err();
    assert!(matches!(error, Error::Resolve { .. }), "{error}");
}

// --- events

#[test]
fn each_step_is_an_event() {
    let (first, url) = (Arc::new(Mutex::new(true)), Arc::new(Mutex::new(Vec::new())));
    let (events, _) = (url.clone(), first);
    let (client, _) = client(|line| if line.contains("/a") { redirect(302, "/b") } else { OK.into() });
    let client = client.on_event(move |event| {
        let line = match event {
            Event::Request(head) => format!("> {}", String::from_utf8_lossy(head).split("\r\n").next().unwrap()),
            Event::Response(head) => format!("< {} {:?}", head.status.code(), head.body),
            Event::Redirected(url) => format!("to {url}"),
            Event::Closing(reason) => format!("closing: {reason}"),
            other => format!("{other:?}"),
        };
        events.lock().unwrap().push(line);
    });
    assert_eq!(text(client.get("http://h/a").send()), "ok");
    let expected = [
        "> GET /a HTTP/1.0",
        "< 302 Length(2)",
        "to http://h/b",
        "Kept",
        "Reusing",
        "> GET /b HTTP/1.0",
        "< 200 Length(2)",
        "closing: the peer does not want to keep the connection",
    ];
    assert_eq!(*url.lock().unwrap(), expected);
}

#[test]
fn debug_output_of_events_shows_no_credentials() {
    let shown = Arc::new(Mutex::new(String::new()));
    let log = shown.clone();
    let interim = "HTTP/1.1 103 Early Hints\r\nSet-Cookie: id=secret\r\n\r\n";
    let (client, _) = client(move |line| match line.contains("/a") {
        true => format!("{interim}HTTP/1.0 302 Found\r\nSet-Cookie: id=secret\r\nLocation: /b\r\n\r\n"),
        false => "HTTP/1.0 2x\r\nSet-Cookie: id=secret\r\n\r\n".into(),
    });
    let client = client.on_event(move |event| *log.lock().unwrap() += &format!("{event:?}\n"));
    let request = client.get("http://h/a").header("Authorization", "Basic secret").header("Cookie", "secret");
    assert!(request.send().is_err());
    let shown = shown.lock().unwrap();
    for event in ["Request(\"GET /a HTTP/1.0\")", "Interim(\"HTTP/1.1 103", "InvalidHead(\"HTTP/1.0 2x\")", "Response("]
    {
        assert!(shown.contains(event), "{shown} lacks {event}");
    }
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn default_headers_can_be_changed() {
    let (client, requests) = client(|_| OK.into());
    let client = client.without_header(header::USER_AGENT);
    let client = client.header(FieldName::from_static("Accept"), FieldValue::from_static("text/html")).unwrap();
    assert_eq!(text(client.get("http://h/").send()), "ok");
    let request = requests.lock().unwrap().pop().unwrap();
    assert_eq!(request, "GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nAccept: text/html\r\n\r\n");
}
