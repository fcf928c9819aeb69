//! Tests of the program, from its arguments to its exit status, against a server with a script for each test.
// Clippy then treats the helpers, too, as test code.
#![cfg(test)]

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Serves one connection: reads a request head, then runs the script.
struct Server {
    address: SocketAddr,
    request: Receiver<String>,
}

impl Server {
    fn start(address: &str, script: impl FnOnce(TcpStream) + Send + 'static) -> Server {
        Server::on(TcpListener::bind(address).unwrap(), script)
    }

    fn on(listener: TcpListener, script: impl FnOnce(TcpStream) + Send + 'static) -> Server {
        let address = listener.local_addr().unwrap();
        let (sender, request) = channel();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            sender.send(String::from_utf8(head).unwrap()).unwrap();
            script(stream);
        });
        Server { address, request }
    }

    /// Responds with these bytes and closes.
    fn responding(response: impl Into<Vec<u8>>) -> Server {
        let response = response.into();
        Server::start("127.0.0.1:0", move |mut stream| {
            let _ = stream.write_all(&response); // the client may have closed already
        })
    }

    fn get(&self, file: impl AsRef<OsStr>) -> Output {
        let port = self.address.port().to_string();
        webclient([self.address.ip().to_string().as_ref(), port.as_ref(), file.as_ref()])
    }

    fn get_url(&self) -> Output {
        webclient([format!("http://{}/a", self.address)])
    }

    fn request(&self) -> String {
        self.request.recv_timeout(TIMEOUT).unwrap()
    }
}

fn webclient<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    command(arguments).output().unwrap()
}

fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webclient"));
    command.args(arguments).stdin(Stdio::null());
    command
}

#[track_caller]
fn assert_ends(output: &Output, status: i32, stdout: impl AsRef<[u8]>, stderr: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{message}");
    assert_eq!(output.stdout.escape_ascii().to_string(), stdout.as_ref().escape_ascii().to_string(), "{message}");
    match stderr {
        "" => assert_eq!(message, ""),
        _ => {
            assert!(
                message.starts_with("webclient: ") && message.contains(stderr),
                "{message:?} does not contain {stderr:?}"
            );
            assert_eq!(message.find('\n'), Some(message.len() - 1), "one line: {message:?}");
        }
    }
}

// These headers and no others: R1945-3.7, R1945-5b, R1945-5.1, R1945-10.6, R1945-10.8, R1945-10.13, R1945-10.15,
// R1945-12.4, R9110-7.2.
#[test]
fn file_is_written_with_its_head_as_received() {
    let response = "HTTP/1.1  200 \t Fine\nX:  y \r\nFolded: a\r\n b\r\nContent-Length: 6\r\n\r\nhello\n";
    let server = Server::responding(response);
    assert_ends(&server.get("HelloWorld.html"), 0, response, "");
    let expected = format!(
        "GET /HelloWorld.html HTTP/1.0\r\nHost: {}\r\nConnection: close\r\nUser-Agent: webclient/{}\r\n\r\n",
        server.address,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(server.request(), expected);
}

// Byte for byte: R1945-3.6.1.
#[test]
fn url_writes_only_the_body() {
    let body: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let server = Server::responding([b"HTTP/1.0 200 OK\r\n\r\n", &body[..]].concat());
    assert_ends(&server.get_url(), 0, &body, "");
    assert!(server.request().starts_with("GET /a HTTP/1.0\r\n"));
}

// R9112-7.1, R9110-15.2, R9112-6.3d
#[test]
fn body_is_written_without_its_framing() {
    for (response, written) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\nT: x\r\n\r\n", "abc"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", "a"),
        ("HTTP/1.0 200\r\n\r\n", ""),
        ("HTTP/1.0 204 No Content\r\n\r\nbogus", ""),
    ] {
        assert_ends(&Server::responding(response).get_url(), 0, written, "");
    }
}

// R1945-6.1.1a, R1945-6.1.1b
#[test]
fn exit_status_is_the_class_of_the_response_status() {
    for (status_line, status, message) in [
        ("HTTP/1.0 299 odd", 0, ""),
        ("HTTP/1.0 302 Moved", 3, " responded with 302 Moved\n"),
        ("HTTP/1.0 304", 3, " responded with 304\n"),
        ("HTTP/1.0 404 Not Found", 4, " responded with 404 Not Found\n"),
        ("HTTP/1.0 499 caf\u{e9} \u{9b}1m", 4, " responded with 499 caf\\xc3\\xa9 \\xc2\\x9b1m\n"),
        ("HTTP/1.0 503 Busy", 5, " responded with 503 Busy\n"),
        ("HTTP/1.0 777 x", 5, " responded with 777 x\n"),
        ("HTTP/1.1 426 Upgrade Required", 4, " responded with 426 Upgrade Required: it refuses HTTP/1.0\n"),
        ("HTTP/1.1 505 ", 5, " responded with 505: it refuses HTTP/1.0\n"),
    ] {
        let head = format!("{status_line}\r\n\r\n");
        let body = if status_line.contains("304") { "" } else { "why" };
        assert_ends(&Server::responding(format!("{head}{body}")).get("a"), status, format!("{head}{body}"), message);
        assert_ends(&Server::responding(format!("{head}{body}")).get_url(), status, body, message);
    }
    let server = Server::responding("HTTP/1.0 404 Not Found\r\n\r\n");
    let expected = format!("webclient: {} responded with 404 Not Found\n", server.address);
    assert_ends(&server.get_url(), 4, "", &expected);
}

// What was received is written, and the program reports that the rest is missing (R9112-8, R9112-6.3b).
#[test]
fn truncated_response_is_an_error() {
    const HEAD: &str = "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (response, written, message) in [
        ("".into(), "".into(), "closed the connection without"),
        ("HTTP/1.0 2".into(), "".into(), "the head was cut short"),
        ("HTTP/1.0 200 OK\r\nA: b\r\n".into(), "".into(), "the head was cut short"),
        (HEAD.to_owned(), HEAD.to_owned(), "the body was cut short"),
        (format!("{HEAD}12345678"), format!("{HEAD}12345678"), "the body was cut short"),
        (format!("{CHUNKED}3\r\nabc\r\n"), format!("{CHUNKED}abc"), "the body was cut short"),
        (format!("{CHUNKED}3\r\nabc\r\n0\r\n"), format!("{CHUNKED}abc"), "the body was cut short"),
    ] {
        assert_ends(&Server::responding(response).get("a"), 18, written, message);
    }
}

#[test]
fn reset_does_not_end_a_body() {
    // No length: only the end of the connection shows whether the body is complete.
    const RESPONSE: &str = "HTTP/1.0 200 OK\r\n\r\nthe beginn";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.peek(&mut [0]).unwrap();
        stream.write_all(RESPONSE.as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(300));
        // Closing with the request unread sends a reset.
    });
    assert_ends(&webclient([url]), 18, "the beginn", "the connection was lost: ");
    server.join().unwrap();
}

// R1945-6b, and every other error in a response.
#[test]
fn bytes_that_are_not_http_are_not_written() {
    for (response, message) in [
        ("<html>0.9</html>", "expected a status line"),
        ("220 mail.example ESMTP\r\n", "expected a status line"),
        ("HTTP/2.0 200 OK\r\n\r\n", "unsupported HTTP version: expected HTTP/1.x"),
        ("HTTP/1.0 20x\r\n\r\n", "the status line is malformed"),
        ("HTTP/1.0 200 OK\r\nA : b\r\n\r\n", "expected header lines"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "Content-Length"),
        ("HTTP/1.1 101 Switching\r\n\r\n", "switched protocols without being asked"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "Transfer-Encoding"),
    ] {
        assert_ends(&Server::responding(response).get("a"), 8, "", message);
    }
    assert_ends(
        &Server::responding("HTTP/1.0 200 OK\r\n".to_owned() + &"A: b\r\n".repeat(99_999)).get("a"),
        8,
        "",
        "head is too long",
    );
    assert_ends(&Server::responding("HTTP/1.1 100 \r\n\r\n".repeat(999)).get("a"), 8, "", "interim");
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n";
    assert_ends(&Server::responding(chunk).get_url(), 8, "a", "chunks");
}

// No argument can add a line: R9112-11.1, R1945-3.2.1, R1945-5.1.2a.
#[test]
fn file_name_cannot_inject_a_line() {
    for (file, target) in [
        (&b"a"[..], "/a"),
        (b"/a", "/a"),
        (b"", "/"),
        (b"a b", "/a%20b"),
        (b"a%20b%", "/a%20b%25"),
        (b"?q=1", "/?q=1"),
        (b"a#b", "/a%23b"),
        (b"../a%2Fb", "/../a%2Fb"),
        (b"a?\r\nX: y\r\n", "/a?%0D%0AX:%20y%0D%0A"),
        (b"\xff\xc3\xa9", "/%FF%C3%A9"),
    ] {
        let server = Server::responding("HTTP/1.0 204 \r\n\r\n");
        assert_ends(&server.get(OsStr::from_bytes(file)), 0, "HTTP/1.0 204 \r\n\r\n", "");
        let request = server.request();
        assert!(request.starts_with(&format!("GET {target} HTTP/1.0\r\nHost: ")), "{request:?}");
        assert_eq!(request.lines().count(), 5);
    }
    for arguments in [&["h\r\nX: y", "80", "a"][..], &["h h", "80", "a"], &["", "80", "a"], &["u@h", "80", "a"]] {
        assert_ends(&webclient(arguments), 2, "", "the host is neither a name nor an IP address");
    }
    assert_ends(&webclient(["http://h\r\nX: y/"]), 2, "", "expected http://HOST/");
}

#[test]
fn port_must_be_a_number_from_1_to_65535() {
    for port in ["0", "65536", "+80", "http", "", " 80", "80 ", "0x50", "99999999999"] {
        assert_ends(&webclient(["localhost", port, "a"]), 2, "", "expected a port from 1 to 65535");
    }
    for url in [
        "http://localhost:65536/",
        "http://localhost:+80/",
        "http:///a",
        "http://user:pw@localhost/",
        "http://localhost:0/",
    ] {
        assert_ends(&webclient([url]), 2, "", "expected http://HOST/ or http://HOST:PORT/");
    }
}

#[test]
fn url_with_another_scheme_is_refused() {
    assert_ends(&webclient(["https://localhost/"]), 2, "", "https is not supported: expected an http:// URL");
    for url in ["ftp://localhost/", "file:///etc/passwd", "://x"] {
        assert_ends(&webclient([url]), 2, "", "expected a URL like http://");
    }
}

#[test]
fn missing_or_wrong_argument_is_named() {
    for (arguments, message) in [
        (&[][..], "<HOST|URL>"),
        (&["localhost"][..], "<PORT> and <FILE> are missing"),
        (&["localhost", "80"], "<FILE> is missing"),
        (&["http://localhost/", "80"], "a URL takes no PORT and FILE"),
        (&["http://localhost/", "80", "a"], "a URL takes no PORT and FILE"),
        (&["localhost", "80", "a", "b"], "unexpected argument 'b'"),
        (&["--no-such", "localhost", "80", "a"], "--no-such"),
        (&["--timeout=-1", "http://localhost/"], "expected a number of seconds"),
        (&["--timeout=0", "http://localhost/"], "expected a number of seconds"),
        (&["--timeout=NaN", "http://localhost/"], "expected a number of seconds"),
    ] {
        let output = webclient(arguments);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("Usage: webclient") || text.contains("try '--help'"), "{text}");
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn timeout_has_no_upper_limit() {
    let server = Server::responding("HTTP/1.0 200 OK\r\n\r\nbody");
    assert_ends(&webclient(["--timeout=1e18", &format!("http://{}/", server.address)]), 0, "body", "");
}

#[test]
fn help_and_version_are_printed() {
    let help = webclient(["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.status.success()
            && text.contains("<HOST> <PORT> <FILE>")
            && text.contains("--timeout")
            && text.contains("18 cut short")
    );
    assert_ends(&webclient(["--version"]), 0, concat!("webclient ", env!("CARGO_PKG_VERSION"), "\n"), "");
}

#[test]
fn unknown_host_and_closed_port_have_different_exit_statuses() {
    assert_ends(
        &webclient(["no-such-host.invalid", "80", "a"]),
        6,
        "",
        "cannot find the address of no-such-host.invalid",
    );
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_ends(&webclient([format!("http://{free}/")]), 7, "", &format!("cannot connect to {free}: "));
}

// R1945-3.2.2
#[test]
fn ipv6_address_is_fetched_by_host_and_by_url() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return println!("SKIPPED: no IPv6") };
    for url in [false, true] {
        let server =
            Server::on(listener.try_clone().unwrap(), |mut stream| stream.write_all(b"HTTP/1.0 200\r\n\r\n").unwrap());
        match url {
            false => assert_ends(&server.get("a"), 0, "HTTP/1.0 200\r\n\r\n", ""),
            true => assert_ends(&server.get_url(), 0, "", ""),
        }
        assert!(server.request().contains(&format!("\r\nHost: [::1]:{}\r\n", server.address.port())));
    }
}

#[test]
fn every_address_of_a_name_is_tried() {
    let addresses: Vec<_> = ("localhost", 80).to_socket_addrs().unwrap().collect();
    if addresses.iter().all(|address| address.ip() == addresses[0].ip()) {
        println!("SKIPPED: localhost has one address");
    }
    for mut address in addresses {
        address.set_port(0);
        let Ok(listener) = TcpListener::bind(address) else { continue };
        let server = Server::on(listener, |mut stream| stream.write_all(b"HTTP/1.0 200\r\n\r\nhere").unwrap());
        let port = server.address.port().to_string();
        assert_ends(&webclient(["localhost", &port, "a"]), 0, "HTTP/1.0 200\r\n\r\nhere", "");
        assert!(server.request().contains(&format!("\r\nHost: localhost:{port}\r\n")));
    }
}

// A timeout does not end the stream (R9112-8).
#[test]
fn stalled_server_times_out() {
    for response in ["", "HTTP/1.0 200 OK\r\n", "HTTP/1.0 200 OK\r\n\r\nbegun"] {
        let server = Server::start("127.0.0.1:0", |mut stream| {
            stream.write_all(response.as_bytes()).unwrap();
            let _ = stream.read(&mut [0]); // until the client closes
        });
        let start = Instant::now();
        let output = webclient(["--timeout", "0.3", &format!("http://{}/", server.address)]);
        let body = response.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert_ends(&output, 28, body, "waiting for the server timed out after 0.3 s");
        // The kernel counts a socket's timeout in ticks, the one that has begun included.
        assert!((250..5000).contains(&start.elapsed().as_millis()));
    }
}

#[test]
fn bytes_are_written_as_they_arrive() {
    let (seen, go_on) = channel();
    let server = Server::start("127.0.0.1:0", move |mut stream| {
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nno line end").unwrap();
        go_on.recv_timeout(TIMEOUT).unwrap();
        stream.write_all(b", the rest").unwrap();
    });
    let mut child = command([format!("http://{}/", server.address)]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 11];
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"no line end");
    seen.send(()).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), (", the rest", Some(0)));
}

// `webclient URL | head -1`
#[test]
fn closed_output_ends_the_program_without_a_message() {
    let server = Server::responding([b"HTTP/1.0 200 OK\r\n\r\n", &b"line\n".repeat(1_000_000)[..]].concat());
    let mut child =
        command([format!("http://{}/", server.address)]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0; 5]).unwrap();
    assert_ends(&child.wait_with_output().unwrap(), 23, "", "");
}

#[test]
fn full_disk_is_reported() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        return println!("SKIPPED: no /dev/full");
    };
    let server = Server::responding("HTTP/1.0 200 OK\r\n\r\nbody");
    let output = command([format!("http://{}/", server.address)]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_ends(&output, 23, "", "cannot write the response: ");
}
