//! Tests of the program: what it shows on a terminal, what it changes nothing of, and `-v`.
// Clippy then treats the helpers, too, as test code.
#![cfg(test)]

mod support;

use std::io::Write as _;
use std::net::TcpListener;
use std::process::Stdio;

use support::{OK, Server, assert_ends, command, run_on_terminal, wait_for_close, webclient};

#[test]
fn include_adds_the_head_and_head_asks_for_nothing_else() {
    let response = "HTTP/1.1 404  Odd\r\nx-Y:  z \nContent-Length: 2\r\n\r\nhi";
    let server = Server::responding(response);
    let head = response.trim_end_matches("hi");
    for (options, written, method) in [
        (&["-i"][..], response, "GET"),
        (&["--include"], response, "GET"),
        (&["-I"], head, "HEAD"),
        (&["-I", "-i"], head, "HEAD"),
        (&["-X", "HEAD"], head, "HEAD"),
    ] {
        assert_ends(&server.get_url(options), 4, written, "404 Odd");
        assert!(server.request().head.starts_with(&format!("{method} /a HTTP/1.0\r\n")));
    }
}

/// A head and a body with what a terminal would interpret.
const HOSTILE: &str = "HTTP/1.0 200 \u{9b}31m\r\nX: \u{202e}y\r\nContent-Length: 29\r\n\r\n\x1b]0;title\x07 \u{e9}\t\u{9b}2J a\rb\r\nend\x7f\n";
const HOSTILE_BODY: &str = "\\x1b]0;title\\x07 \u{e9}\t\\xc2\\x9b2J a\\rb\r\nend\\x7f\r\n"; // the terminal adds the last CR

#[test]
fn terminal_gets_no_control_characters_of_head_or_body() {
    let server = Server::responding(HOSTILE);
    assert_eq!(HOSTILE.split("\r\n\r\n").nth(1).unwrap().len(), 29);
    let (status, seen) = run_on_terminal(&format!("$W -i {}", server.url("/a")));
    let seen = seen.replace("\r\r\n", "\r\n"); // the same for the lines that end with CR LF
    let head = "HTTP/1.0 200 \\xc2\\x9b31m\r\nX: \\xe2\\x80\\xaey\r\nContent-Length: 29\r\n\r\n";
    assert_eq!((status, seen), (Some(0), format!("{head}{HOSTILE_BODY}")));

    let (_, raw) = run_on_terminal(&format!("stty -opost; $W -i --raw {}", server.url("/a")));
    assert_eq!(raw, HOSTILE);
    // Only what the terminal gets is escaped.
    let (_, seen) = run_on_terminal(&format!("$W -i {} | od -An -c | wc -c; $W {0} >&2", server.url("/a")));
    assert!(seen.replace("\r\r\n", "\r\n").ends_with(&format!("\r\n{HOSTILE_BODY}")), "{seen}");
}

#[test]
fn files_and_pipes_get_every_byte_unchanged() {
    let every_byte: Vec<u8> = (0..=255).collect();
    let binary = [b"HTTP/1.0 200 OK\r\nContent-Length: 256\r\n\r\n", &every_byte[..]].concat();
    for response in [HOSTILE.as_bytes(), &binary] {
        let server = Server::responding(response);
        for options in [&["-i"][..], &["-i", "--raw"]] {
            assert_ends(&server.get_url(options), 0, response, "");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let into_file = command(["-i", &server.url("/a")]).stdout(file.reopen().unwrap()).output().unwrap();
        assert_ends(&into_file, 0, "", "");
        assert_eq!(std::fs::read(file.path()).unwrap(), response);
        // Standard error being a terminal changes nothing.
        let line = format!("$W -i {} >{}", server.url("/a"), file.path().display());
        assert_eq!(run_on_terminal(&line), (Some(0), String::new()));
        assert_eq!(std::fs::read(file.path()).unwrap(), response);
    }
}

#[test]
fn binary_body_is_not_shown_on_a_terminal() {
    let binary = "HTTP/1.0 200 OK\r\nX: y\r\n\r\nPNG\0\x01\x02";
    let server = Server::of(&[("/binary", binary), ("/a", OK)]);
    let (binary_url, text_url) = (server.url("/binary"), server.url("/a"));
    let message = "it is binary, and the output is a terminal (use --output FILE, a pipe, or --raw)\r\n";
    // The head is shown, and so is the next URL.
    let (status, seen) = run_on_terminal(&format!("$W -i {binary_url} {text_url}"));
    assert_eq!(status, Some(23));
    assert!(seen.starts_with("HTTP/1.0 200 OK\r\r\nX: y\r\r\n\r\r\nwebclient: ") && seen.contains(message), "{seen:?}");
    assert!(seen.ends_with("\r\r\n\r\r\nhi") && !seen.contains("PNG"), "{seen:?}");

    let (status, seen) = run_on_terminal(&format!("stty -opost; $W --raw {binary_url}"));
    assert_eq!((status, seen.as_str()), (Some(0), "PNG\0\x01\x02"));
    let (status, seen) = run_on_terminal(&format!("$W {binary_url} | od -An -c"));
    assert_eq!((status, seen.trim()), (Some(0), "P   N   G  \\0 001 002"));

    // A byte that comes later than curl looks for it is escaped like any other.
    let late = Server::responding(format!("HTTP/1.0 200 OK\r\n\r\n{}\0", "x".repeat(2000)));
    let (status, seen) = run_on_terminal(&format!("$W {}", late.url("/")));
    assert_eq!((status, seen), (Some(0), "x".repeat(2000) + "\\x00"));
}

/// The lines of `-v`.
fn trace(arguments: &[&str]) -> Vec<String> {
    let output = webclient([&["-v"], arguments].concat());
    String::from_utf8(output.stderr).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn verbose_shows_the_exchange_line_by_line() {
    let server = Server::responding(OK);
    let address = server.address;
    let output = server.get_url(&["-v"]);
    let agent = concat!("webclient/", env!("CARGO_PKG_VERSION"));
    let expected = format!(
        "* trying {address}\n* connected to {address}\n\
         > GET /a HTTP/1.0\n> Host: {address}\n> Connection: close\n> User-Agent: {agent}\n> Accept: */*\n> \n\
         < HTTP/1.0 200 OK\n< Content-Length: 2\n< \n\
         * body: 2 bytes, as Content-Length says (RFC 1945, 7.2.2)\n\
         * connection not kept: the request asked to close it\n"
    );
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"hi".to_vec()));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
}

#[test]
fn verbose_names_the_framing_and_its_rule() {
    for (response, options, explanation) in [
        (OK, &[][..], "2 bytes, as Content-Length says (RFC 1945, 7.2.2)"),
        (
            "HTTP/1.0 200 OK\r\n\r\nhi",
            &[],
            "all bytes until the server closes the connection, as there is no Content-Length (RFC 1945, 7.2.2)",
        ),
        (
            "hi",
            &["--http0.9"],
            "all bytes until the server closes the connection, as HTTP/0.9 has no head (RFC 1945, 6)",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[],
            "chunks, as Transfer-Encoding says (RFC 9112, 6.3)",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[],
            "chunks, as Transfer-Encoding says, which overrides Content-Length (RFC 9112, 6.3)",
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", &[], "none, as Content-Length is 0 (RFC 1945, 7.2.2)"),
        ("HTTP/1.0 204 \r\nContent-Length: 5\r\n\r\n", &[], "none, as a 204 has none (RFC 1945, 7.2)"),
        ("HTTP/1.0 304 \r\n\r\n", &[], "none, as a 304 has none (RFC 1945, 7.2)"),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
            &["-I"],
            "none, as the response to HEAD has none (RFC 1945, 7.2)",
        ),
        ("HTTP/1.0 200 OK\r\n\r\n", &["-I"], "none, as the response to HEAD has none (RFC 1945, 7.2)"),
    ] {
        let server = Server::responding(response);
        let lines = trace(&[options, &[&server.url("/a")]].concat());
        assert!(lines.contains(&format!("* body: {explanation}")), "{lines:?} lack {explanation:?}");
    }
}

#[test]
fn verbose_says_why_the_connection_was_kept_or_not() {
    for (head, explanation) in [
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: x, Keep-Alive",
            "kept: the server sent Connection: keep-alive (RFC 2068, 19.7.1)",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0",
            "kept: an HTTP/1.1 server keeps it unless it says close (RFC 9112, 9.3)",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close",
            "not kept: the server sent Connection: close (RFC 9112, 9.6)",
        ),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 0",
            "not kept: an HTTP/1.0 server closes it unless it says keep-alive (RFC 2068, 19.7.1)",
        ),
        ("HTTP/1.1 200 OK\r\nX: y", "not kept: the length of the response was not known"),
        ("HTTP/1.1 200 OK\nContent-Length: 0", "not kept: the message was not strictly correct"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore", "not kept: the message was not strictly correct"),
    ] {
        let server = Server::responding(format!("{head}\r\n\r\n"));
        let lines = trace(&[&server.url("/a"), &server.url("/b")]);
        let at = lines.iter().position(|line| line.starts_with("* connection ")).unwrap();
        assert_eq!(lines[at], format!("* connection {explanation}"), "{lines:?}");
    }
    let server = Server::answering(|_| "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n".into());
    let lines = trace(&[&server.url("/a"), &server.url("/b")]);
    let at = lines.iter().position(|line| line.starts_with("* connection kept")).unwrap();
    assert_eq!(lines[at + 1], "* using the connection that was kept");
}

#[test]
fn verbose_shows_failed_addresses_redirects_and_repetitions() {
    let busy = "HTTP/1.0 503 Busy\r\nRetry-After: 0\r\n\r\n";
    let server = Server::of(&[("/a", "HTTP/1.0 302 Found\r\nLocation: /b\r\n\r\n"), ("/b", OK), ("/busy", busy)]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let lines = trace(&[&format!("http://{free}/")]);
    assert_eq!(lines[0], format!("* trying {free}"));
    assert!(lines[1].starts_with(&format!("* {free} failed: Connection refused")), "{lines:?}");
    assert!(trace(&["-L", &server.url("/a")]).contains(&format!("* redirected to {}", server.url("/b"))));
    let lines = trace(&["--retry", "1", &server.url("/busy")]);
    assert!(lines.iter().any(|line| line.starts_with("* trying again in 0 s: 503")), "{lines:?}");
}

#[test]
fn verbose_shows_interim_responses() {
    let hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let lines = trace(&[&Server::responding(format!("{hints}{OK}")).url("/")]);
    let at = lines.iter().position(|line| line.starts_with('<')).unwrap();
    assert_eq!(
        lines[at..at + 8],
        [
            "< HTTP/1.1 100 Continue",
            "< ",
            "< HTTP/1.1 103 Early Hints",
            "< Link: </a>",
            "< ",
            "* interim (1xx): the response follows",
            "< HTTP/1.0 200 OK",
            "< Content-Length: 2",
        ]
    );
}

/// Whatever is wrong with a head, it is shown, and what nobody would see is escaped.
#[test]
fn verbose_shows_what_is_no_head() {
    for (response, options, status, expected) in [
        ("SSH-2.0-x\r\n", &[][..], 8, "< SSH-2.0-x\n"),
        ("\x15\x03\x01\0\x02\x02\x16", &[], 8, "< \\x15\\x03\\x01\\x00\\x02\\x02\\x16\n"),
        ("HTTP/1.0 200 OK\r\nX\u{1b}: \0y\r\n\r\nbody", &["--strict"], 8, "< X\\x1b: \\x00y\n< \n< body\n"),
        ("HTTP/1.0 200 OK\r\nA: b\rC: d\r\n\r\n", &["--strict"], 8, "< HTTP/1.0 200 OK\n< A: b\\rC: d\n< \n"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 2x\r\n\r\n", &[], 8, "< HTTP/1.1 100 Continue\n< \n< HTTP/1.0 2x\n"),
        ("HTTP/1.0 200 OK\r\nContent-L", &[], 18, "< HTTP/1.0 200 OK\n< Content-L\n"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", &[], 8, "< Content-Length: 2\n"),
    ] {
        let output = Server::responding(response).get_url(&[&["-v"], options].concat());
        let seen = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(status) && seen.contains(expected), "{seen:?} lacks {expected:?}");
        assert!(seen.lines().last().unwrap().starts_with("webclient: "), "{seen}");
    }
    let seen = trace(&[&Server::responding("x".repeat(3000)).url("/")]);
    assert!(seen.contains(&format!("< {}", "x".repeat(2000))), "{seen:?}");
    assert!(seen.iter().any(|line| line.ends_with(" more bytes were received")), "{seen:?}");
    // A head that does not end.
    let server = Server::scripted("127.0.0.1:0", |mut stream| {
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nDate: ");
        wait_for_close(stream);
    });
    let seen = trace(&["--idle-timeout", "1", &server.url("/")]);
    assert!(seen.contains(&"< Date: ".into()), "{seen:?}");
}

// People show these lines to others.
#[test]
fn verbose_shows_no_credentials() {
    let server = Server::responding(OK);
    let lines =
        trace(&["-H", "Authorization: Basic bWU6c2VjcmV0", "-H", "proxy-authorization: secret", &server.url("/")]);
    assert!(lines.contains(&"> Authorization: (not shown)".into()), "{lines:?}");
    assert!(lines.contains(&"> proxy-authorization: (not shown)".into()), "{lines:?}");
    assert!(server.request().head.contains("Authorization: Basic bWU6c2VjcmV0\r\n"), "they are sent");
}

#[test]
fn verbose_is_escaped_on_a_terminal_only() {
    let server = Server::responding(HOSTILE);
    let url = server.url("/a");
    for (options, expected) in [
        ("", "< HTTP/1.0 200 \\xc2\\x9b31m\r\n< X: \\xe2\\x80\\xaey\r\n"),
        ("--raw", "< HTTP/1.0 200 \u{9b}31m\r\n< X: \u{202e}y\r\n"),
    ] {
        let (status, seen) = run_on_terminal(&format!("$W -v {options} {url} >/dev/null"));
        assert!(status == Some(0) && seen.contains(expected), "{seen:?} lacks {expected:?}");
    }
    let output = command(["-v", &url]).stdout(Stdio::null()).output().unwrap();
    let lines = String::from_utf8(output.stderr).unwrap();
    assert!(lines.contains("< HTTP/1.0 200 \u{9b}31m\n< X: \u{202e}y\n"), "{lines:?}");
}
