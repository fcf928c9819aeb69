//! Basic authentication (V19): without credentials nothing is revealed, guesses do not slow down other clients, and
//! known users are verified once.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use http_core::auth::Basic;
use http_core::{FieldValue, Method};
use http_server::auth::{BasicAuth, Users};
use http_server::{Action, Handler, Request, Response};
use tempfile::TempDir;

use support::{
    EmbeddedServer, PASSWORD, Program, authorization, connect, exchange, fetch, output_of, read_response, read_to_end,
    send, tool, users_line, wait_until,
};

const CHALLENGE: &str = "Basic realm=\"webserver\", charset=\"UTF-8\"";

/// A bcrypt cost that takes the time of hundreds of requests: 0.1 s, or 0.3 s without optimisation.
const SLOW_COST: u32 = 11;

fn status_for(address: SocketAddr, user: &str, password: &str) -> u16 {
    fetch(address, "GET", "/", &authorization(user, password)).status
}

/// A directory to serve, and a users file next to it.
fn directory() -> (TempDir, String) {
    let directory = TempDir::new().unwrap();
    fs::create_dir_all(directory.path().join("www/directory")).unwrap();
    fs::write(directory.path().join("www/small"), "small").unwrap();
    fs::write(directory.path().join("users"), users_line("me", 4) + &users_line("caf\u{e9}", 5)).unwrap();
    let users = directory.path().join("users").to_str().unwrap().into();
    (directory, users)
}

fn start(directory: &TempDir, users: &str) -> Program {
    Program::start(&directory.path().join("www"), &["--auth", users, "--threads", "2"])
}

fn body_length(_: &Request<'_>) -> Action {
    Action::collect_body(64 << 10, |body| Response::text(format!("{} bytes", body.len())))
}

fn guard(cost: u32) -> Arc<BasicAuth<impl Handler>> {
    let users = Users::parse((users_line("me", cost) + &users_line("you", 4)).as_bytes()).unwrap();
    Arc::new(BasicAuth::new(users, body_length))
}

// R1945-9.4d, R1945-11.1, V19: credentials are checked before the path.
#[test]
fn v19_response_without_credentials_reveals_nothing() {
    let (directory, users) = directory();
    let program = start(&directory, &users);
    let address = program.address();
    let refused = |method: &str, target: &str, headers: &str| {
        let response = fetch(address, method, target, headers);
        assert_eq!((response.status, response.header("WWW-Authenticate")), (401, Some(CHALLENGE)), "{method} {target}");
        (response.undated_head(), response.body)
    };
    let expected = refused("GET", "/small", "");
    assert!(expected.1.starts_with(b"<!DOCTYPE html>"), "the built-in page of the files handler");
    assert_eq!(refused("HEAD", "/small", ""), (expected.0.clone(), Vec::new()));
    for target in ["/", "/nothing", "/directory", "/directory/", "/.hidden", "/small/", "/small?q"] {
        for method in ["GET", "DELETE", "PROPFIND"] {
            assert_eq!(refused(method, target, ""), expected, "{method} {target}");
        }
    }
    for headers in [
        authorization("me", "wrong"),
        authorization("me", ""),
        authorization("", ""),
        authorization("nobody", PASSWORD),
        authorization("ME", PASSWORD),
        authorization("cafe", PASSWORD),
        authorization("me", PASSWORD).repeat(2), // R1945-4.2b
        "Authorization: Basic\r\n".into(),
        "Authorization: Basic AAAA\r\n".into(),
        "Authorization: Bearer token\r\n".into(),
        "Proxy-".to_owned() + &authorization("me", PASSWORD),
        "If-Modified-Since: Thu, 01 Jan 2037 00:00:00 GMT\r\n".into(),
        "Range: bytes=9-\r\n".into(),
        "Expect: something\r\n".into(),
    ] {
        assert_eq!(refused("GET", "/small", &headers), expected, "{headers}");
    }
    for user in ["me", "caf\u{e9}"] {
        assert_eq!(fetch(address, "GET", "/small", &authorization(user, PASSWORD)).text(), "small");
    }

    // OPTIONS needs no login, and invalid requests are refused as without authentication.
    let response = fetch(address, "OPTIONS", "/nothing", "");
    assert_eq!((response.status, response.header("Allow")), (200, Some("GET, HEAD, OPTIONS")));
    for (request, status) in [
        ("GET small HTTP/1.0\r\n\r\n", 400),
        ("GET /%2e%2e/users HTTP/1.0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("CONNECT a:1 HTTP/1.0\r\n\r\n", 405),
        ("GET / HTTP/2.0\r\n\r\n", 505),
    ] {
        assert_eq!(exchange(address, request.as_bytes()).status, status, "{request}");
    }
    // An HTTP/0.9 request cannot carry credentials, and its response has no status.
    let mut stream = connect(address);
    stream.write_all(b"GET /small\r\n").unwrap();
    assert_eq!(read_to_end(&mut stream).unwrap(), expected.1);

    let messages = program.finish();
    assert!(messages.contains("\"GET /nothing HTTP/1.0\" 401 "), "{messages}");
    for secret in [PASSWORD, "Basic", "wrong", "$2b$"] {
        assert!(!messages.contains(secret), "{secret} is in {messages}");
    }
}

#[test]
fn kept_connection_stays_open_after_401() {
    let server = EmbeddedServer::start(|server| server.threads(1), guard(4));
    let mut stream = connect(server.address());
    for headers in [String::new(), authorization("me", "wrong"), authorization("me", PASSWORD)] {
        write!(stream, "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n{headers}\r\nhello").unwrap();
        let response = read_response(&mut stream);
        assert!(response.keeps_alive());
        assert_eq!(response.text() == "5 bytes", headers == authorization("me", PASSWORD));
    }
    drop(stream);
    server.finish();
}

// V19
#[test]
fn v19_known_user_is_verified_once() {
    let guard = guard(4);
    let server = EmbeddedServer::start(|server| server.threads(2), guard.clone());
    for round in 1..=20 {
        assert_eq!(status_for(server.address(), "me", PASSWORD), 200);
        assert_eq!(status_for(server.address(), "me", "wrong"), 401);
        assert_eq!(guard.verifications(), 2, "each password is verified once, round {round}");
    }
    server.finish();
}

/// Whether nothing has been received yet.
fn has_no_response(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let is_empty = stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    is_empty
}

// V19: no worker verifies, nor waits for a verification.
#[test]
fn v19_other_requests_are_served_while_passwords_are_verified() {
    let guard = guard(SLOW_COST);
    let server = EmbeddedServer::start(|server| server.threads(1), guard.clone());
    let address = server.address();
    assert_eq!(status_for(address, "me", PASSWORD), 200);

    let guess = |n: usize| format!("GET / HTTP/1.0\r\n{}\r\n", authorization("nobody", &n.to_string()));
    let guesses: Vec<_> = (0..20).map(|n| send(address, guess(n).as_bytes())).collect();
    wait_until("guesses are being verified", || guard.verifications() >= 2);
    for _ in 0..10 {
        assert_eq!(status_for(address, "me", PASSWORD), 200);
        assert_eq!(fetch(address, "GET", "/", "").status, 401);
        assert_eq!(fetch(address, "OPTIONS", "/", "").status, 200);
    }
    let unanswered = guesses.iter().filter(|guess| has_no_response(guess)).count();
    assert!(unanswered >= 10, "the responses came while passwords were being verified: {unanswered}");
    assert!(server.running().stats_handle().blocking_requests().is_empty());
    drop(guesses);
    server.finish();
}

// V19
#[test]
fn v19_concurrent_guesses_are_verified_one_at_a_time() {
    let guard = guard(4);
    let server = EmbeddedServer::start(|server| server.threads(4), guard.clone());
    let address = server.address();
    assert_eq!(status_for(address, "me", PASSWORD), 200);
    let clients: Vec<_> = (0..8)
        .map(|n| {
            thread::spawn(move || {
                let user = ["me", "nobody"][n % 2];
                for guess in 0..8 {
                    assert_eq!(status_for(address, user, &format!("{n}-{guess}")), 401);
                }
            })
        })
        .collect();
    while !clients.iter().all(thread::JoinHandle::is_finished) {
        assert_eq!(status_for(address, "me", PASSWORD), 200, "a wrong guess does not evict a known user");
    }
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(guard.verifications(), 1 + 8 * 8, "each guess is verified");
    server.finish();
}

#[test]
fn realm_is_set_and_error_page_is_the_handlers() {
    let guard = BasicAuth::new(Users::parse(users_line("me", 4).as_bytes()).unwrap(), body_length)
        .realm("The cellar, left")
        .unwrap();
    let server = EmbeddedServer::start(|server| server.threads(1), guard);
    let response = fetch(server.address(), "GET", "/", "");
    assert_eq!(response.header("WWW-Authenticate"), Some("Basic realm=\"The cellar, left\", charset=\"UTF-8\""));
    assert_eq!(response.text(), "401 Unauthorized: a valid user name and password are required\n");
    server.finish();
    let users = || Users::parse(users_line("me", 4).as_bytes()).unwrap();
    for bad in ["a\"b", "a\r\nb", "caf\u{e9}"] {
        assert!(BasicAuth::new(users(), body_length).realm(bad).is_err(), "{bad}");
    }
}

// R1945-12.3, V19
#[test]
fn v19_debug_output_contains_no_secret() {
    let files = http_files::Files::new(Path::new("src")).unwrap();
    let shown = format!("{:?}", BasicAuth::new(Users::parse(users_line("me", 4).as_bytes()).unwrap(), files));
    assert!(shown.contains("Users(1)") && !shown.contains("$2b$") && !shown.contains("\"me\""), "{shown}");
}

#[test]
fn handler_reads_user_name() {
    let hello = |request: &Request<'_>| {
        let credentials =
            request.headers().only(http_core::header::AUTHORIZATION).and_then(|value| Basic::parse(value).ok());
        let user = credentials.map_or(Vec::new(), |credentials| credentials.user().to_vec());
        match request.method() {
            Method::Get => Response::bytes(FieldValue::from_static("text/plain"), user),
            _ => Response::text("not known"),
        }
    };
    let guard = Arc::new(BasicAuth::new(Users::parse(users_line("caf\u{e9}", 4).as_bytes()).unwrap(), hello));
    let request = format!("GET / HTTP/1.0\r\n{}\r\n", authorization("caf\u{e9}", PASSWORD));
    assert!(
        http_server::testing::exchange(&guard, request.as_bytes()).output.ends_with("\r\n\r\ncaf\u{e9}".as_bytes())
    );
}

#[test]
fn startup_fails_with_one_line_for_bad_users_file() {
    let (directory, users) = directory();
    let www = directory.path().join("www");
    fs::write(www.join("inside"), users_line("me", 4)).unwrap();
    fs::write(www.join(".inside"), users_line("me", 4)).unwrap();
    for name in [".private", ".well-known"] {
        fs::create_dir(www.join(name)).unwrap();
        fs::write(www.join(name).join("users"), users_line("me", 4)).unwrap();
    }
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let costly = users_line("me", 4).replace("$04$", "$31$");
    for (name, content) in
        [("none", ""), ("plain", "me:secret\n"), ("costly", &costly), ("twice", &users_line("me", 4).repeat(2))]
    {
        fs::write(path(name), content).unwrap();
    }
    for (file, expected) in [
        (path("nothing"), "no such file (create it: webserver --hash-password >> FILE)"),
        (path("www"), "it is a directory (name a file in it)"),
        (path("none"), "no users found (add one: webserver --hash-password >> FILE)"),
        (
            path("plain"),
            "line 1: expected a bcrypt hash, found plain text (make the line with: webserver --hash-password)",
        ),
        (
            path("costly"),
            "line 1: bcrypt cost 31 is out of range (4 to 14) (make the line with: webserver --hash-password)",
        ),
        (path("twice"), "line 2: the same user as in line 1 (remove one of them)"),
        (path("www/inside"), "clients could read this file (move it out of "),
        (path("www/../www/inside"), "clients could read this file (move it out of "),
        (path("www/.well-known/users"), "clients could read this file (move it out of "),
    ] {
        let output = output_of(&["--port", "0", "--auth", &file, www.to_str().unwrap()]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
        assert!(stderr.starts_with("webserver: --auth ") && stderr.contains(expected), "{stderr}");
        assert!(!stderr.contains("secret") && output.stdout.is_empty(), "{stderr}");
    }
    for file in [path("www/.inside"), path("www/.private/users")] {
        for options in [&["--hidden", www.to_str().unwrap()][..], &[&file]] {
            let refused = output_of(&[&["--port", "0", "--auth", &file], options].concat());
            assert_eq!(refused.status.code(), Some(1), "clients could read it with {options:?}");
        }
    }
    for file in [users, path("www/.inside"), path("www/.private/users")] {
        let program = start(&directory, &file);
        assert_eq!(status_for(program.address(), "me", PASSWORD), 200);
        for target in ["/.inside", "/.private/users"] {
            let hidden = fetch(program.address(), "GET", target, &authorization("me", PASSWORD));
            assert_eq!(hidden.status, 404, "{target}");
        }
        program.finish();
    }
}

// Custom error pages and extra headers apply to 401 too, and --explain shows the authentication.
#[test]
fn error_page_headers_and_explain_apply_to_401() {
    let (directory, users) = directory();
    let www = directory.path().join("www");
    fs::write(www.join("login.html"), "please log in").unwrap();
    let options = ["--auth", &users, "--error-page", "401=login.html", "--header", "X-A: b"];
    let program = Program::start(&www, &options);
    let response = fetch(program.address(), "GET", "/small", "");
    assert_eq!((response.status, response.text(), response.header("X-A")), (401, "please log in", Some("b")));
    assert_eq!(response.header("WWW-Authenticate"), Some(CHALLENGE));
    program.finish();
    for (headers, status) in [(String::new(), "401 Unauthorized"), (authorization("me", PASSWORD), "200 OK")] {
        let request = format!("GET /small HTTP/1.0\n{}", headers.trim_end());
        let output = output_of(&["--auth", &users, "--explain", &request, www.to_str().unwrap()]);
        let explained = String::from_utf8(output.stdout).unwrap();
        assert!(explained.contains("--auth]") && explained.contains(&format!("\nHTTP/1.0 {status}\n")), "{explained}");
        assert!(!explained.contains(PASSWORD) && !explained.contains("Basic b"), "{explained}");
    }
}

/// The standard output of a program, or `None` if it is not installed.
fn stdout_of(name: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(tool(name)?).args(arguments).stdin(Stdio::null()).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn curl_logs_in() {
    let (directory, users) = directory();
    let program = start(&directory, &users);
    let url = format!("http://{}/small", program.address());
    for (credentials, expected) in [
        (&["--user", "me:open sesame"][..], "small 200"),
        (&["--user", "caf\u{e9}:open sesame"], "small 200"),
        (&["--anyauth", "--user", "me:open sesame"], "small 200"), // it sends the credentials after a 401
        (&["--fail", "--user", "me:open"], " 401"),
        (&["--fail"], " 401"),
    ] {
        let arguments = ["--disable", "--noproxy", "*", "--silent", "--max-time", "20", "--write-out", " %{http_code}"];
        let Some(stdout) = stdout_of("curl", &[&arguments, credentials, &[&url]].concat()) else { return };
        assert_eq!(stdout, expected, "{credentials:?}");
    }
    program.finish();
}

#[test]
fn hashes_from_htpasswd_are_accepted() {
    let long = "0123456789".repeat(8);
    let mut users = String::new();
    for (user, password) in [("a", "plain"), ("\u{e4}", "p\u{e4}ss:wort"), ("long", &long[..72])] {
        let Some(lines) = stdout_of("htpasswd", &["-n", "-b", "-B", "-C", "4", user, password]) else { return };
        users.push_str(&lines); // ends with an empty line
    }
    let guard = Arc::new(BasicAuth::new(Users::parse(users.as_bytes()).unwrap(), body_length));
    let server = EmbeddedServer::start(|server| server, guard);
    for (user, password) in [("a", "plain"), ("\u{e4}", "p\u{e4}ss:wort"), ("long", &long[..72]), ("long", &long)] {
        assert_eq!(status_for(server.address(), user, password), 200, "{user}");
        assert_eq!(status_for(server.address(), user, "p"), 401, "{user}");
    }
    server.finish();
    let md5 = stdout_of("htpasswd", &["-n", "-b", "-m", "a", "plain"]).unwrap();
    assert_eq!(
        Users::parse(md5.as_bytes()).unwrap_err().to_string(),
        "line 1: expected a bcrypt hash, found an MD5 hash (htpasswd -m)"
    );
}
