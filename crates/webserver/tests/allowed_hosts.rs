//! `--allowed-host`: requests for other hosts are refused, before the login.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;

use tempfile::TempDir;

use support::{Browser, PASSWORD, Program, authorization, exchange, get, output_of, read_to_end, send, users_line};

/// A directory to serve, and a users file beside it.
fn directories() -> (TempDir, TempDir) {
    let (root, private) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(root.path().join("file.txt"), "secret").unwrap();
    fs::write(root.path().join("421.html"), "elsewhere").unwrap();
    fs::write(private.path().join("users"), users_line("alice", 4)).unwrap();
    (root, private)
}

// R9110-7.4, V19
#[test]
fn other_hosts_are_refused_before_the_login() {
    let (root, private) = directories();
    let users = private.path().join("users");
    let options = ["--allowed-host", "files.example", "--allowed-host", "[::1]", "--auth", users.to_str().unwrap()];
    let program = Program::start(root.path(), &options);
    let login = authorization("alice", PASSWORD);
    for (request, credentials, status) in [
        ("GET /file.txt HTTP/1.0\r\nHost: files.example", &*login, 200),
        ("GET /file.txt HTTP/1.0\r\nHost: FILES.example.:12345", &login, 200),
        ("GET /file.txt HTTP/1.0\r\nHost: [0::1]:6789", &login, 200),
        ("GET /file.txt HTTP/1.0\r\nHost: files.example", "", 401),
        ("GET /file.txt HTTP/1.0", &login, 200),
        ("GET /file.txt HTTP/1.0", "", 401),
        ("GET http://files.example:1/file.txt HTTP/1.0\r\nHost: evil.example", &login, 200),
        ("GET http://evil.example/file.txt HTTP/1.0\r\nHost: files.example", &login, 421),
        ("GET /file.txt HTTP/1.0\r\nHost: evil.example", &login, 421),
        ("GET /file.txt HTTP/1.0\r\nHost: evil.example", "", 421),
        ("GET /none HTTP/1.0\r\nHost: evil.example", &login, 421),
        ("GET / HTTP/1.0\r\nHost: 127.0.0.1", &login, 421),
        ("HEAD /file.txt HTTP/1.0\r\nHost: evil.example", &login, 421),
        ("DELETE /file.txt HTTP/1.0\r\nHost: evil.example", &login, 421),
        ("OPTIONS /file.txt HTTP/1.0\r\nHost: evil.example", "", 421),
        ("OPTIONS /file.txt HTTP/1.0\r\nHost: files.example", "", 200),
    ] {
        let response = exchange(program.address(), format!("{request}\r\n{credentials}\r\n").as_bytes());
        assert_eq!(response.status, status, "{request}");
        assert_eq!(response.header("WWW-Authenticate").is_some(), status == 401, "{request}");
        // V34
        assert!(status != 421 || !response.head.contains("example") && !response.text().contains("example"));
    }
    let page = exchange(program.address(), b"GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n");
    assert!(page.text().contains("<h1>421 Misdirected Request</h1>"), "{}", page.text());
    // HTTP/0.9 has no host: the login decides.
    let simple = read_to_end(&mut send(program.address(), b"GET /file.txt\r\n")).unwrap();
    assert!(!String::from_utf8(simple).unwrap().contains("secret"));
    program.finish();
}

#[test]
fn owner_may_have_a_page_for_it_and_by_default_every_host_is_served() {
    let (root, _private) = directories();
    let request = b"GET /file.txt HTTP/1.0\r\nHost: evil.example\r\n\r\n";
    let program = Program::start(root.path(), &["--allowed-host", "a", "--error-page", "421=421.html"]);
    let page = exchange(program.address(), request);
    assert_eq!((page.status, page.text()), (421, "elsewhere"));
    assert_eq!(get(program.address(), "/file.txt").text(), "secret", "without a host");
    drop(program);
    let program = Program::start(root.path(), &[]);
    assert_eq!(exchange(program.address(), request).text(), "secret");
}

#[test]
fn allowed_hosts_are_checked_at_the_start() {
    for (value, message) in [
        ("http://files.example/", "without http://"),
        ("*.example", "without a wildcard"),
        ("b\u{fc}cher.example", "xn--bcher-kva.example"),
        ("a,b", "expected a host name or an IP address"),
        ("", "expected a host name or an IP address"),
    ] {
        let output = output_of(&["--port", "0", "--allowed-host", value]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{value}: {stderr}");
        assert!(stderr.contains(message) && stderr.contains("--allowed-host"), "{value}: {stderr}");
    }
}

// A name of the attacker's leads to this machine, so the browser takes the server for a part of that site.
#[test]
fn browser_reads_nothing_under_a_name_that_was_rebound() {
    let Some(mut browser) = Browser::start() else { return };
    let (root, _private) = directories();
    let mut text = |options: &[&str], host: &str| {
        let program = Program::start(root.path(), options);
        browser.open(&format!("http://{host}:{}/file.txt", program.port()));
        browser.evaluate("document.body.innerText").as_str().unwrap().to_owned()
    };
    let allowed = ["--allowed-host", "good.example"];
    assert_eq!(text(&[], "evil.example"), "secret", "the name leads here");
    assert_eq!(text(&allowed, "good.example"), "secret");
    let refused = text(&allowed, "evil.example");
    assert!(refused.contains("421") && !refused.contains("secret"), "{refused}");
}
