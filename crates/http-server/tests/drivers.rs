//! The reactor, the plain pool, the blocking driver and the client in memory drive the same connection: the same bytes get the same
//! responses, whole or in pieces.
#![cfg(test)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use http_core::{Status, header};
use http_server::{
    Action, Body, BodySink, Engine, ErrorContext, Handler, HandlerError, Request, Response, Server, blocking, testing,
};

struct Site;

/// Wants no more than 70,000 bytes, though it says otherwise.
struct Sink(usize);

impl BodySink for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), HandlerError> {
        self.0 += bytes.len();
        if self.0 > 70_000 { Err(HandlerError::new(Status::CONFLICT, "enough")) } else { Ok(()) }
    }

    fn finish(self: Box<Self>) -> Result<Response, HandlerError> {
        Ok(Response::text(self.0.to_string()))
    }
}

fn reader(bytes: impl Read + Send + 'static, length: Option<u64>) -> Action {
    Response::empty(Status::OK).body(Body::Reader { reader: Box::new(bytes), length }).into()
}

impl Handler for Site {
    fn handle(&self, request: &Request<'_>) -> Action {
        match &*request.path() {
            "/collect" => Action::collect_body(1 << 16, |body| Response::text(body.len().to_string())),
            "/stream" => Action::stream_body(1 << 20, Sink(0)),
            "/large" => Response::text("x".repeat(2 << 20)).into(),
            "/reader" => reader(io::repeat(b'r').take(100_000), None),
            "/known" => reader(&b"hello"[..], Some(5)),
            "/short" => reader(&b"hel"[..], Some(5)),
            "/204" => Response::text("body").status(Status::NO_CONTENT).into(),
            "/205" => Response::text("body").status(Status::RESET_CONTENT).into(),
            "/304" => Response::text("body").status(Status::NOT_MODIFIED).into(),
            "/101" => Response::empty(Status::SWITCHING_PROTOCOLS).into(),
            "/405" => HandlerError::new(Status::METHOD_NOT_ALLOWED, "secret: no Allow").into(),
            "/401" => Response::text("secret").status(Status::UNAUTHORIZED).into(),
            "/407" => Response::text("secret").status(Status::PROXY_AUTHENTICATION_REQUIRED).into(),
            "/name" => Response::text("secret").header("A\r\nInjected", "x").into(),
            "/redirect" => Response::redirect("/a\r\nInjected: x").into(),
            "/type" => Response::bytes("a/b\nInjected: y", "secret").into(),
            "/coding" => Response::text("secret").append_header(header::TRANSFER_ENCODING, "chunked").into(),
            "/headers" => Response::text("x").header("X", "h".repeat(1 << 20)).into(),
            "/panic" => panic!("secret"),
            "/error" => HandlerError::from("secret").into(),
            "/page" => HandlerError::new(Status::GONE, "panic").into(),
            path => Response::text(format!("{} {path} {:?}\n", request.method(), request.query())).into(),
        }
    }

    /// A page whose own status is one that HTTP forbids.
    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        assert_ne!(error.message(), "panic");
        Response::text(format!("[{}]", error.status().code())).status(Status::CONTINUE)
    }
}

fn requests() -> Vec<Vec<u8>> {
    const PATHS: &str = "/ /collect /stream /large /reader /known /short /204 /205 /304 /101 /405 /401 /407 /name \
                         /redirect /type /coding /headers /panic /error /page /a/../b /../x /%00 /%zz";
    let mut requests = Vec::new();
    for path in PATHS.split_whitespace() {
        for method in ["GET", "HEAD", "POST", "BREW"] {
            requests.push(format!("{method} {path} HTTP/1.0\r\n\r\n"));
            let kept = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
            requests.push(kept + "GET /next HTTP/1.0\r\n\r\n");
        }
        requests.push(format!("GET {path}\r\n"));
    }
    let others = [
        "",
        "\r\n\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        "G",
        "GET / HTTP/1.0\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "CONNECT a:1 HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.0\r\n\r\n",
        "POST /collect HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /collect HTTP/1.0\r\nContent-Length: 10\r\n\r\nabc",
        "POST /stream HTTP/1.0\r\nContent-Length: 10\r\n\r\nabc",
        "POST / HTTP/1.0\r\nContent-Length: 10\r\nConnection: keep-alive\r\n\r\nabc",
        "GET / HTTP/1.0\r\nA : b\r\n\r\n",
        "GET / HTTP/1.0\nA: b\n\n",
        "GET http://x/y HTTP/1.0\r\n\r\n",
        "\x16\x03\x01\x02\x00",
    ];
    requests.extend(others.map(str::to_owned));
    requests.push(format!("GET /{} HTTP/1.0\r\n\r\n", "a".repeat(9000)));
    requests.push(format!("GET / HTTP/1.0\r\nA: {}\r\n\r\n", "a".repeat(9000)));
    for length in [65_536, 65_537, 80_000, 300_000] {
        for path in ["/collect", "/stream", "/"] {
            let head = format!("POST {path} HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: {length}\r\n\r\n");
            requests.push(head + &"b".repeat(length) + "GET /next HTTP/1.0\r\n\r\n");
        }
    }
    for (path, times) in [("/", 50), ("/large", 3)] {
        requests.push(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(times) + "GET / HTTP/1.0\r\n\r\n");
    }
    requests.into_iter().map(String::into_bytes).collect()
}

/// The output without what depends on when the server sends, or when it receives the pieces.
fn without_dates(output: &[u8]) -> String {
    let output = String::from_utf8_lossy(output).replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    output.split_inclusive("\r\n").filter(|line| !line.starts_with("Date: ")).collect()
}

/// What a server sends for these bytes, which come in pieces of this size and then end, and whether it ends with a reset.
fn ask(address: SocketAddr, bytes: &[u8], size: usize) -> (String, bool) {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut output = Vec::new();
    let end = thread::scope(|scope| {
        scope.spawn(|| {
            for piece in bytes.chunks(size) {
                if (&stream).write_all(piece).is_err() {
                    return; // the server has seen enough
                }
                thread::sleep(Duration::from_micros(if size < 100 { 200 } else { 0 }));
            }
            let _ = stream.shutdown(Shutdown::Write);
        });
        (&stream).read_to_end(&mut output)
    });
    let is_reset = end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
    (without_dates(&output), is_reset)
}

// R9112-6.1d, R1945-9.5
#[test]
fn every_driver_responds_alike_and_leaks_nothing() {
    // The plain engine keeps a connection only while another thread is free, and the one before may not have ended yet.
    let start = |engine| Server::bind("127.0.0.1:0").unwrap().engine(engine).threads(8).start(Site).unwrap();
    let (reactor, plain) = (start(Engine::Reactor), start(Engine::Plain));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [reactor.local_addrs()[0], plain.local_addrs()[0], listener.local_addr().unwrap()];
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
            thread::spawn(move || blocking::serve_tcp(&stream, &Site));
        }
    });
    for request in requests() {
        let expected = without_dates(&testing::exchange(&Site, &request).output);
        assert!(!expected.contains("secret") && !expected.contains("Injected"), "{expected}");
        for address in addresses {
            for size in [1 << 20, if request.len() < 400 { 7 } else { 1 << 15 }] {
                let (output, is_reset) = ask(address, &request, size);
                // R9112-8: without a length, a reset shows that the response is incomplete. With one it is a reset, too, if
                // the client still sends. It may destroy what came before.
                let is_short = request.windows(7).any(|part| part == b" /short");
                assert!(is_reset || request != b"GET /short\r\n", "it looks whole");
                if is_reset {
                    assert!(is_short, "{}", request.escape_ascii());
                    continue;
                }
                let shown = |text: &str| text.chars().take(400).collect::<String>();
                let request = shown(&String::from_utf8_lossy(&request));
                let lengths = (output.len(), expected.len());
                assert!(output == expected, "{request}\n{lengths:?}\n{}\n{}", shown(&output), shown(&expected));
            }
        }
    }
}
