//! Tests of the program: its exit statuses, timeouts, redirects, and output that cannot be written.
// Clippy then treats the helpers, too, as test code.
#![cfg(test)]

mod support;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use support::{OK, Server, accept, assert_ends, command, run_on_terminal, wait_for_close, webclient};

/// A way to each exit status that the help lists.
#[test]
fn every_exit_status_of_the_help_happens() {
    let server = Server::of(&[
        ("/a", OK),
        ("/3", "HTTP/1.0 302 Found\r\nLocation: /loop\r\n\r\n"),
        ("/5", "HTTP/1.0 503 Busy\r\n\r\n"),
        ("/loop", "HTTP/1.0 302 Found\r\nLocation: /loop\r\n\r\n"),
        ("/8", "SSH-2.0-OpenSSH\r\n"),
        ("/18", "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\ncut"),
    ]);
    let fetch = |path: &str| webclient(["--location", &server.url(path)]);
    let outcomes = [
        (0, fetch("/a")),
        (2, webclient(["--no-such-option"])),
        (3, webclient([server.url("/3")])),
        (4, fetch("/4")),
        (5, fetch("/5")),
        (6, webclient(["http://no-such-host.invalid/"])),
        (7, webclient([format!("http://{}/", free_address())])),
        (8, fetch("/8")),
        (18, fetch("/18")),
        (23, command([server.url("/a")]).stdout(File::open("/dev/null").unwrap()).output().unwrap()),
        (28, webclient(["--max-time", "0.2", &format!("http://{}/", silent().local_addr().unwrap())])),
        (47, fetch("/loop")),
    ];
    for (status, output) in &outcomes {
        assert_eq!(output.status.code(), Some(*status), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let help = String::from_utf8(webclient(["--help"]).stdout).unwrap();
    let listed = help.split("Exit status").nth(1).unwrap().lines().skip(1);
    let listed: Vec<i32> = listed.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    assert_eq!(listed, outcomes.each_ref().map(|(status, _)| *status));
}

/// Accepts no connection, but the system does.
fn silent() -> &'static TcpListener {
    Box::leak(Box::new(TcpListener::bind("127.0.0.1:0").unwrap()))
}

fn free_address() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

// R1945-6.1.1a, R1945-6.1.1b
#[test]
fn exit_status_is_the_class_of_the_response_status() {
    for (status_line, status, message) in [
        ("HTTP/1.0 299 odd", 0, ""),
        ("HTTP/1.0 302 Moved", 3, "/a: the server responded with 302 Moved\n"),
        ("HTTP/1.0 304", 3, " responded with 304\n"),
        ("HTTP/1.0 404 Not Found", 4, " responded with 404 Not Found\n"),
        ("HTTP/1.0 499 caf\u{e9} \u{9b}1m", 4, " responded with 499 caf\\xc3\\xa9 \\xc2\\x9b1m\n"),
        ("HTTP/1.0 503 Busy", 5, " responded with 503 Busy\n"),
        ("HTTP/1.0 777 x", 5, " responded with 777 x\n"),
        ("HTTP/1.1 426 Upgrade Required", 4, " responded with 426 Upgrade Required: it refuses HTTP/1.0 (Envoy "),
        ("HTTP/1.1 505 ", 5, " responded with 505: it refuses HTTP/1.0 (Envoy "),
    ] {
        let head = format!("{status_line}\r\n\r\n");
        let body = if status_line.contains("304") { "" } else { "why" };
        let server = Server::responding(format!("{head}{body}"));
        assert_ends(&server.get("a"), status, format!("{head}{body}"), message);
        assert_ends(&server.get_url(&[]), status, body, message);
    }
}

#[test]
fn redirect_that_is_not_followed_says_where_it_leads() {
    const IN_FRONT: &str = ": https is not supported: run a TLS proxy such as socat in front";
    for (location, without, with) in [
        ("https://h/b", format!("Found to https://h/b{IN_FRONT}"), format!("Found to https://h/b{IN_FRONT}")),
        ("HTTPS:", format!("Found to HTTPS:{IN_FRONT}"), format!("Found to HTTPS:{IN_FRONT}")),
        ("/b", "Found to /b (see --location)".into(), "".into()),
        (
            "ftp://h/\u{9b}",
            "to ftp://h/\\xc2\\x9b (see --location)".into(),
            "to ftp://h/\\xc2\\x9b: expected a URL".into(),
        ),
    ] {
        let response = format!("HTTP/1.0 302 Found\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n");
        let server = Server::of(&[("/a", &response), ("/b", OK)]);
        assert_ends(&server.get_url(&[]), 3, "", &without);
        let followed = server.get_url(&["-L"]);
        if with.is_empty() { assert_ends(&followed, 0, "hi", "") } else { assert_ends(&followed, 3, "", &with) }
    }
    let server = Server::responding("HTTP/1.0 302 Found\r\nLocation: /b\r\n\r\n");
    assert_ends(&server.get_url(&["-L", "-d", "x"]), 3, "", "to /b: only GET and HEAD are redirected without asking");
}

#[test]
fn five_redirects_are_followed_and_a_sixth_is_not() {
    let server = Server::answering(|head| {
        let left: u32 = head.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        match left {
            0 => OK.into(),
            _ => format!("HTTP/1.0 302 Found\r\nContent-Length: 4\r\nLocation: {}\r\n\r\nlong", left - 1).into(),
        }
    });
    assert_ends(&webclient(["-L", &server.url("/5")]), 0, "hi", "");
    assert_ends(&webclient(["-L", &server.url("/6")]), 47, "long", "more than 5 redirects in a row");
}

#[test]
fn redirect_uses_the_connection_that_is_kept() {
    let kept = "Connection: keep-alive\r\nContent-Length: 2\r\n";
    let redirect = format!("HTTP/1.0 302 Found\r\nLocation: /b\r\n{kept}\r\nhi");
    let server = Server::of(&[("/a", &redirect), ("/b", &format!("HTTP/1.0 200 OK\r\n{kept}\r\nhi"))]);
    assert_ends(&server.get_url(&["-L"]), 0, "hi", "");
    assert_eq!([server.request().connection, server.request().connection], [1, 1]);
}

// R1945-11b
#[test]
fn other_server_gets_no_credentials() {
    let other = Server::answering(|_| OK.into());
    let location = format!("HTTP/1.0 302 Found\r\nLocation: {}\r\n\r\n", other.url("/c"));
    let server = Server::of(&[("/a", "HTTP/1.0 302 Found\r\nLocation: /b\r\n\r\n"), ("/b", &location)]);
    let headers = ["-L", "-H", "Authorization: Basic bWU6c2VjcmV0", "-H", "Cookie: id=1", "-H", "X: y"];
    assert_ends(&server.get_url(&headers), 0, "hi", "");
    for (request, is_told) in [(server.request(), true), (server.request(), true), (other.request(), false)] {
        assert_eq!(request.head.contains("Authorization: Basic"), is_told, "{request:?}");
        assert_eq!(request.head.contains("Cookie: "), is_told, "{request:?}");
        assert!(request.head.contains("X: y"));
    }
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
    let mut child = command([url]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stream = accept(listener);
    stream.peek(&mut [0]).unwrap();
    stream.write_all(RESPONSE.as_bytes()).unwrap();
    let mut seen = [0; 10];
    child.stdout.as_mut().unwrap().read_exact(&mut seen).unwrap();
    drop(stream); // with the request unread, which sends a reset
    assert_eq!(&seen, b"the beginn");
    assert_ends(&child.wait_with_output().unwrap(), 18, "", "the connection was lost while receiving the body: ");
}

#[test]
fn unknown_host_and_closed_port_have_different_messages() {
    let unknown = webclient(["no-such-host.invalid", "80", "a"]);
    assert_ends(&unknown, 6, "", "cannot find the address of no-such-host.invalid");
    let free = free_address();
    assert_ends(&webclient([format!("http://{free}/")]), 7, "", &format!("cannot connect to {free}: "));
}

// A timeout does not end the stream (R9112-8).
#[test]
fn stalled_server_times_out() {
    for (response, phase) in [
        ("", "waiting for the response"),
        ("HTTP/1.0 200 OK\r\n", "waiting for the response"),
        ("HTTP/1.0 200 OK\r\n\r\nbegun", "receiving the body"),
    ] {
        let server = Server::scripted("127.0.0.1:0", |mut stream| {
            stream.write_all(response.as_bytes()).unwrap();
            wait_for_close(stream);
        });
        let body = response.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        // Both at once, as both wait.
        thread::scope(|scope| {
            for option in ["--idle-timeout", "--max-time"] {
                let url = server.url("/a");
                scope.spawn(move || {
                    let start = Instant::now();
                    assert_ends(&webclient([option, "1", &url]), 28, body, &format!("{phase} timed out after 1 s"));
                    assert!((1000..20_000).contains(&start.elapsed().as_millis()));
                });
            }
        });
    }
}

// `--idle-timeout` begins again with each byte, `--max-time` does not.
#[test]
fn response_that_dribbles_ends_at_the_total_time() {
    let server = Server::scripted("127.0.0.1:0", |mut stream| {
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nX: ");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let output = server.get_url(&["--idle-timeout", "20", "--max-time", "0.5"]);
    assert_ends(&output, 28, "", "waiting for the response timed out after 0.5 s");
}

#[test]
fn server_that_does_not_accept_times_out() {
    let listener = silent();
    let address = listener.local_addr().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let _full: Vec<_> = std::iter::from_fn(connect).take(10_000).collect();
    let output = webclient(["--connect-timeout", "0.2", &format!("http://{address}/")]);
    assert_ends(&output, 28, "", "connecting timed out after 0.2 s");
}

// `webclient --max-time 1 URL URL | sleep 100`
#[test]
fn output_that_is_not_read_in_time_is_a_timeout_for_each_url() {
    let server = Server::responding([b"HTTP/1.0 200 OK\r\n\r\n", &[b'a'; 1_000_000][..]].concat());
    for option in ["--raw", "--include"] {
        let mut child = command([option, "--max-time", "1", &server.url("/a"), &server.url("/b")]);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap(); // it is read when the program has ended
        let ended = child.wait_with_output().unwrap();
        let line = |path| {
            let url = server.url(path);
            format!("webclient: {url}: cannot write the response: nobody read it in time (--max-time)\n")
        };
        assert_eq!(ended.status.code(), Some(28));
        assert_eq!(String::from_utf8_lossy(&ended.stderr), line("/a") + &line("/b"));
        let mut written = Vec::new();
        output.read_to_end(&mut written).unwrap();
        assert!(written.ends_with(b"aaaa") && written.len() < 1_000_000, "{}", written.len());
    }
}

// `webclient URL URL | head -1`
#[test]
fn closed_output_ends_the_program_without_a_message() {
    let server = Server::responding([b"HTTP/1.0 200 OK\r\n\r\n", &b"line\n".repeat(1_000_000)[..]].concat());
    let mut child = command([server.url("/a"), server.url("/b")]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0; 5]).unwrap();
    assert_ends(&child.wait_with_output().unwrap(), 23, "", "");
    server.request();
    server.assert_no_request(); // nobody would read the second
}

#[test]
fn output_that_nobody_reads_is_a_silent_failure() {
    let url = &*Server::responding(OK).url("/a");
    for arguments in [&[url][..], &["-I", url], &["--man"], &["--completions", "zsh"], &["--help"], &["--version"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_ends(&command(arguments).stdout(writer).output().unwrap(), 23, "", "");
    }
}

/// Runs a line of shell, in which `$W` is the program.
fn shell(line: &str) -> Output {
    Command::new("sh").args(["-c", line]).env("W", support::program()).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn output_that_cannot_be_written_is_never_success() {
    let server = Server::responding(OK);
    let url = server.url("/a");
    let fetches =
        [url.clone(), format!("-i {url}"), format!("-I {url}"), url.replace("http://", "").replace([':', '/'], " ")];
    for fetch in &fetches {
        for redirection in [">&-", "1</dev/null", ">/dev/full", ">&- <&- ", ">&- 2>/dev/null <&-"] {
            let output = shell(&format!("$W {fetch} {redirection}"));
            assert_eq!(output.status.code(), Some(23), "{fetch} {redirection}: {output:?}");
            let message = String::from_utf8(output.stderr).unwrap();
            assert_eq!(message.contains(": cannot write the response: "), !redirection.contains("2>"), "{message}");
        }
    }
    for text in ["--man", "--completions bash", "--help", "-h", "--version"] {
        for redirection in [">&-", "1</dev/null", ">/dev/full"] {
            let output = shell(&format!("$W {text} {redirection}"));
            assert_eq!(output.status.code(), Some(23), "{text} {redirection}: {output:?}");
            assert!(
                String::from_utf8(output.stderr).unwrap().starts_with("webclient: cannot write to standard output: ")
            );
        }
    }
    // Where nothing is to be written, nothing is lost. `/dev/null` takes everything.
    let empty = Server::responding("HTTP/1.0 204 No Content\r\n\r\n");
    assert_ends(&shell(&format!("$W {} >&-", empty.url("/"))), 0, "", "");
    for redirection in [">/dev/null", "1<>/dev/null", "2>&-"] {
        assert_eq!(shell(&format!("$W {url} {redirection}")).status.code(), Some(0), "{redirection}");
    }
}

// `/dev/null`, with which std replaces what is closed, would take everything.
#[test]
fn closed_output_cannot_be_written_by_its_name() {
    let server = Server::responding(OK);
    let url = server.url("/a");
    for (name, redirection) in [
        ("/dev/fd/1", ">&-"),
        ("/proc/self/fd/1", ">&-"),
        ("//dev/stdout", ">&-"),
        ("/dev/stderr", "2>&-"),
        ("/dev/fd/0", "<&-"),
    ] {
        let output = shell(&format!("$W -o {name} {url} {redirection}"));
        assert_eq!(output.status.code(), Some(23), "{name}: {output:?}");
        assert!(redirection == "2>&-" || !output.stderr.is_empty(), "{name}: {output:?}");
    }
    server.assert_no_request();
}

// A pipe that another program has made non-blocking delays the output, and loses none of it.
#[test]
fn non_blocking_output_gets_every_byte() {
    let body: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let server = Server::responding([b"HTTP/1.0 200 OK\r\n\r\n", &body[..]].concat());
    let (mut reader, writer) = std::io::pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    let mut child = command([server.url("/a")]).stdout(writer).spawn().unwrap();
    let mut written = Vec::new();
    reader.read_to_end(&mut written).unwrap();
    assert!(child.wait().unwrap().success() && written == body);
}

#[test]
fn full_disk_is_an_error() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = Server::responding(OK);
    let output = command([server.url("/a"), server.url("/b")]).stdout(full).output().unwrap();
    assert_ends(&output, 23, "", "cannot write the response: No space left on device");
    assert_eq!(run_on_terminal(&format!("$W {} >/dev/full", server.url("/a"))).0, Some(23));
}
