//! Tests of the program: methods, headers, bodies, passwords and proxies.
// Clippy then treats the helpers, too, as test code.
#![cfg(test)]

mod support;

use std::collections::VecDeque;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use support::{OK, Server, accept, assert_ends, assert_refused, command, on_terminal, webclient};
use tempfile::NamedTempFile;

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn method_is_sent_as_it_is_typed() {
    let server = Server::responding(OK);
    for method in ["DELETE", "PUT", "PURGE", "get"] {
        assert_ends(&server.get_url(&["-X", method]), 0, "hi", "");
        assert!(server.request().head.starts_with(&format!("{method} /a HTTP/1.0\r\n")));
    }
    assert_refused(&["-X", "CONNECT", "http://localhost/"], "CONNECT makes a tunnel");
}

// Accept and User-Agent are sent by default, and can be changed or removed.
#[test]
fn headers_are_added_replaced_and_removed() {
    let server = Server::responding(OK);
    let agent = concat!("User-Agent: webclient/", env!("CARGO_PKG_VERSION"), "\r\n");
    for (headers, lines) in [
        (&[][..], format!("{agent}Accept: */*\r\n")),
        (&["X: a", "x: b", "X:c "], format!("{agent}Accept: */*\r\nX: a\r\nx: b\r\nX: c\r\n")),
        (&["accept: text/html", "User-Agent: me"], "accept: text/html\r\nUser-Agent: me\r\n".into()),
        (&["Accept:", "user-agent: "], "".into()),
        (&["Accept: a", "Accept: b"], format!("{agent}Accept: a\r\nAccept: b\r\n")),
        (&["X: caf\u{e9}: 1"], format!("{agent}Accept: */*\r\nX: caf\u{e9}: 1\r\n")),
    ] {
        let options: Vec<_> = headers.iter().flat_map(|header| ["-H", header]).collect();
        assert_ends(&server.get_url(&options), 0, "hi", "");
        let request = server.request().head;
        assert_eq!(request.split_once("Connection: close\r\n").unwrap().1, format!("{lines}\r\n"));
    }
}

// R9112-11.1
#[test]
fn no_argument_can_add_a_line() {
    let server = Server::responding(OK);
    let url = &server.url("/a");
    for line_end in ["\r\n", "\n", "\r"] {
        let text = &format!("a{line_end}X: y");
        assert_refused(&["-X", text, url], "--method");
        assert_refused(&["-H", &format!("A: {text}"), url], "--header");
        assert_refused(&["-H", &format!("{text}: b"), url], "--header");
        assert_refused(&["-u", text, url], "--user");
        assert_refused(&["--proxy", &format!("http://{text}"), url], "--proxy");
        assert_refused(&["--resolve", &format!("{text}:80:127.0.0.1"), url], "--resolve");
    }
    for password in ["a\rb\n", "a\0b", "\0"] {
        let file = file(password.as_bytes());
        let options = ["-u", "me", "--password-file", file.path().to_str().unwrap()];
        assert_ends(&server.get_url(&options), 2, "", "without control characters");
    }
    for header in
        ["X", "", ": y", "X Y: z", "Host: h", "content-length: 5", "Transfer-Encoding: chunked", "Connection: x"]
    {
        assert_refused(&["-H", header, url], "--header");
    }
    server.assert_no_request();
}

const FORM: &str = "application/x-www-form-urlencoded";
const BYTES: &str = "application/octet-stream";

// R1945-7.2a, R1945-8.3
#[test]
fn body_is_sent_with_its_length_and_type() {
    let server = Server::responding(OK);
    let from_file = file(b"of\0a\r\nfile");
    let path = &format!("@{}", from_file.path().display());
    let empty = file(b"");
    let empty = &format!("@{}", empty.path().display());
    for (options, body, content_type) in [
        (&["-d", "a=b&c"][..], &b"a=b&c"[..], FORM),
        (&["-d", "two\nlines"], b"two\nlines", FORM),
        (&["-d", ""], b"", FORM),
        (&["-d", path], b"of\0a\r\nfile", BYTES),
        (&["-d", empty], b"", BYTES),
        (&["-d", "-"], b"", BYTES),
        (&["-d", "{}", "-H", "Content-Type: application/json"], b"{}", "application/json"),
        (&["-d", "{}", "-H", "content-type:"], b"{}", ""),
    ] {
        assert_ends(&server.get_url(options), 0, "hi", "");
        let request = server.request();
        assert!(request.head.starts_with("POST /a HTTP/1.0\r\n"), "{request:?}");
        assert!(request.head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{request:?}");
        let line = if content_type.is_empty() { String::new() } else { format!("Content-Type: {content_type}\r\n") };
        let lines: String =
            request.head.split_inclusive("\r\n").filter(|line| line.starts_with("Content-Type")).collect();
        assert_eq!((lines, request.body), (line, body.to_vec()));
    }
    assert_ends(&server.get_url(&["-X", "PUT", "-d", path]), 0, "hi", "");
    assert!(server.request().head.starts_with("PUT /a "));
    assert_refused(&["-I", "-d", "x", &server.url("/a")], "--data");
    assert_ends(&server.get_url(&["-d", "@/no/such"]), 2, "", "cannot read \"/no/such\": No such file");
    assert_ends(&server.get_url(&["-d", "@/"]), 2, "", "cannot read \"/\": Is a directory");
}

// A pipe's length is known at its end, a file's at once. Some files, as those of procfs, say that theirs is 0.
#[test]
fn standard_input_is_sent_from_where_it_stands() {
    let server = Server::responding(OK);
    let url = server.url("/a");
    let mut child =
        command(["-d", "-", &url]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let piped: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    child.stdin.take().unwrap().write_all(&piped).unwrap();
    assert_ends(&child.wait_with_output().unwrap(), 0, "hi", "");
    assert_eq!(server.request().body, piped);

    let from_file = file(b"skipped, sent");
    let mut stdin = from_file.reopen().unwrap();
    stdin.seek(SeekFrom::Start(9)).unwrap();
    assert_ends(&command(["-d", "-", &url]).stdin(stdin).output().unwrap(), 0, "hi", "");
    assert_eq!(server.request().body, b"sent");

    assert_ends(&webclient(["-d", "@/proc/self/comm", &url]), 0, "hi", "");
    assert_eq!(server.request().body, b"webclient\n");

    let mut closed = Command::new("sh");
    closed.args(["-c", &format!("$W -d - {url} <&-")]).env("W", support::program());
    assert_ends(&closed.output().unwrap(), 2, "", "cannot read standard input: Bad file descriptor");
    let mut closed = Command::new("sh");
    closed.args(["-c", &format!("$W -d @/dev/stdin {url} <&-")]).env("W", support::program());
    assert_ends(&closed.output().unwrap(), 2, "", "cannot read \"/dev/stdin\": Is a directory");
    server.assert_no_request();
}

// A file of any size is sent as it is read. Its holes take no space on the disk.
#[test]
fn large_file_is_not_read_into_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sparse = NamedTempFile::new().unwrap();
    sparse.as_file().set_len(1 << 40).unwrap();
    let url = format!("http://{}/a", listener.local_addr().unwrap());
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -v 1000000; exec $W -d @{} {url}", sparse.path().display())]);
    limited.env("W", support::program()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = limited.spawn().unwrap();
    let mut stream = accept(listener);
    let mut received = vec![0; 64 << 20];
    stream.read_exact(&mut received).unwrap();
    let head = String::from_utf8_lossy(&received[..500]).into_owned();
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", 1u64 << 40)), "{head}");
    stream.write_all(b"HTTP/1.0 413 Too Large\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_ends(&child.wait_with_output().unwrap(), 4, "", "413 Too Large");
}

// The same body goes to each URL, over the kept connection, and is sent again where that is safe.
#[test]
fn body_is_sent_to_each_url_and_again_on_a_retry() {
    let mut responses = VecDeque::new();
    let kept = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi";
    responses.extend([kept, "HTTP/1.0 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", kept]);
    let from_file = file(b"skipped, sent");
    let path = format!("@{}", from_file.path().display());
    for (data, body) in [("text", "text"), (&path, "skipped, sent"), ("-", "sent")] {
        let responses = Arc::new(Mutex::new(responses.clone()));
        let server = Server::answering(move |_| responses.lock().unwrap().pop_front().unwrap().into());
        let mut stdin = from_file.reopen().unwrap();
        stdin.seek(SeekFrom::Start(9)).unwrap();
        let (a, b) = (server.url("/a"), server.url("/b"));
        let output = command(["-X", "PUT", "-d", data, "--retry", "1", &a, &b]).stdin(stdin).output().unwrap();
        assert_ends(&output, 0, "hihi", "");
        for path in ["/a", "/b", "/b"] {
            let request = server.request();
            assert!(request.head.starts_with(&format!("PUT {path} ")), "{request:?}");
            assert_eq!(String::from_utf8(request.body).unwrap(), body);
        }
    }
}

/// `me:sesame`
const LOGIN: &str = "\r\nAuthorization: Basic bWU6c2VzYW1l\r\n";

#[test]
fn password_is_the_first_line_of_its_file() {
    let server = Server::responding(OK);
    for (content, login) in [
        ("sesame", LOGIN),
        ("sesame\n", LOGIN),
        ("sesame\r\nmore\n", LOGIN),
        ("\n", "\r\nAuthorization: Basic bWU6\r\n"),
        ("\u{e9}", "Basic bWU6w6k=\r\n"),
    ] {
        let file = file(content.as_bytes());
        assert_ends(&server.get_url(&["-u", "me", "--password-file", file.path().to_str().unwrap()]), 0, "hi", "");
        let request = server.request();
        assert!(request.head.contains(login), "{request:?}");
    }
    let latin1 = file(b"\xe9");
    assert_ends(&server.get_url(&["-u", "me", "--password-file", latin1.path().to_str().unwrap()]), 0, "hi", "");
    assert!(server.request().head.contains("Basic bWU66Q==\r\n"));
    let empty = file(b"");
    assert_ends(&server.get_url(&["-u", "me", "--password-file", empty.path().to_str().unwrap()]), 2, "", "is empty");
    assert_ends(&server.get_url(&["-u", "me", "--password-file", "/no/such"]), 2, "", "cannot read the password from");
}

#[test]
fn password_on_the_command_line_is_refused_with_a_hint() {
    for user in ["me:sesame", ":sesame", "me:"] {
        assert_refused(
            &["-u", user, "http://localhost/"],
            "a password on the command line is visible to other users (it is asked for, or see --password-file)",
        );
    }
    assert_refused(&["-u", "", "http://localhost/"], "expected a user name");
}

/// Runs a line of shell on a terminal, and types this after the prompt.
fn typing(line: &str, typed: &str) -> (Option<i32>, String) {
    let mut child = on_terminal(line).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = Vec::new();
    while !seen.ends_with(b"Password of me: ") {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    stdin.write_all(typed.as_bytes()).unwrap();
    stdout.read_to_end(&mut seen).unwrap();
    (child.wait().unwrap().code(), String::from_utf8(seen).unwrap())
}

#[test]
fn password_is_asked_on_the_terminal_and_not_shown() {
    let server = Server::responding(OK);
    let url = server.url("/a");
    // Also where input and output are no terminals.
    for (line, seen) in [
        (format!("$W -u me {url}"), "Password of me: \r\nhi"),
        (
            format!(
                "$W -u me {url} </dev/null >/dev/null 2>/dev/null; stty -a | tr ' ' '\\n' | grep -x -e '-*isig' -e '-*echo'"
            ),
            "Password of me: \r\nisig\r\necho\r\n",
        ),
    ] {
        assert_eq!(typing(&line, "sesame\n"), (Some(0), seen.into()));
        let request = server.request();
        assert!(request.head.contains(LOGIN), "{request:?}");
    }
    // Once for all URLs, and none of it in `-v`.
    let (status, seen) = typing(&format!("$W -v -u me {url} {url}"), "sesame\n");
    assert!(status == Some(0) && seen.matches("Password").count() == 1, "{seen}");
    assert!(
        seen.contains("> Authorization: (not shown)\r\n") && !seen.contains("bWU6") && !seen.contains("sesame"),
        "{seen}"
    );
}

#[test]
fn interrupted_password_leaves_the_terminal_as_it_was() {
    let line = "$W -u me http://localhost:1/; echo status $?; stty -a | tr ' ' '\\n' | grep -x -e '-*isig' -e '-*echo'";
    let (_, seen) = typing(line, "ses\x03");
    assert_eq!(seen, "Password of me: \r\nstatus 130\r\nisig\r\necho\r\n");
    let (_, seen) = typing(line, "\x04"); // the end of the input
    assert_eq!(seen, "Password of me: \r\nwebclient: no password was given\r\nstatus 2\r\nisig\r\necho\r\n");
}

#[test]
fn password_needs_a_terminal_or_a_file() {
    let server = Server::responding(OK);
    let mut alone = Command::new("setsid");
    alone.args(["--wait", env!("CARGO_BIN_EXE_webclient"), "-u", "me", &server.url("/")]).stdin(Stdio::null());
    let output = alone.output().unwrap();
    assert_ends(&output, 2, "", "no terminal to ask for the password");
    server.assert_no_request();
}

// Messages end up in logs.
#[test]
fn no_message_repeats_a_password() {
    let redirect = Server::responding("HTTP/1.0 302 Found\r\nLocation: http://me:sesame@h/a@b\r\n\r\n");
    let redirect = redirect.url("/");
    for (arguments, status, message) in [
        (&["-u", "me:sesame", "http://h/"][..], 2, "'me:…'"),
        (&["-H", "Authorization: sesame\n", "http://h/"], 2, "'Authorization:…'"),
        (&["--proxy", "http://me:sesame@h", "http://h/"], 2, "'http://…@h'"),
        (&["--proxy", "me:sesame@h", "http://h/"], 2, "'…@h'"),
        (&["http://me:sesame@h/a"], 2, "http://…@h/a: "),
        (&["http://me:sesame@h/a"], 2, "without a user (see --user)"),
        (&["-O", "http://me:sesame@h/a"], 2, "http://…@h/a: "),
        (&["https://me:sesame@h/a"], 2, "https://…@h/a: https is not supported"),
        (&["-L", &redirect], 3, "302 Found to http://…@h/a@b: "),
        (&[&redirect], 3, "302 Found to http://…@h/a@b (see --location)"),
    ] {
        let output = webclient(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
        assert!(text.contains(message) && !text.contains("sesame"), "{arguments:?}: {text}");
    }
}

// R1945-5.1.2c
#[test]
fn proxy_gets_the_absolute_form() {
    let proxy = Server::answering(|_| OK.into());
    for option in [format!("http://{}", proxy.address), proxy.address.to_string()] {
        let output = webclient(["--proxy", &option, "http://name.invalid/a?b", "http://name.invalid:81/c"]);
        assert_ends(&output, 0, "hihi", "");
        for (target, host) in
            [("http://name.invalid/a?b", "name.invalid"), ("http://name.invalid:81/c", "name.invalid:81")]
        {
            let request = proxy.request();
            let expected = format!("GET {target} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n");
            assert!(request.head.starts_with(&expected), "{request:?}");
        }
    }
}

#[test]
fn proxy_variables_of_the_environment_are_ignored() {
    let server = Server::responding(OK);
    let mut fetch = command([server.url("/a")]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        fetch.env(name, "http://127.0.0.1:1/");
    }
    assert_ends(&fetch.output().unwrap(), 0, "hi", "");
}
