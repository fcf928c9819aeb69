//! Who has no credentials learns nothing, who guesses disturbs nobody, and who is known pays nothing (V19).
// Clippy then takes the helpers, too, for tests.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{self, ErrorKind, Write};
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

use support::{Inside, Program, connect, exchange, get_as, output_of, read_answer, read_to_end, wait_until};

const PASSWORD: &str = "open sesame";
const CHALLENGE: &str = "Basic realm=\"webserver\", charset=\"UTF-8\"";

/// The time of hundreds of requests: 0.1 s of a processor, and three times that where nothing is optimised.
const SLOW_READER_AFTER: u32 = 11;

fn line(user: &str, cost: u32) -> String {
    format!("{user}:{}\n", bcrypt::hash_with_salt(PASSWORD, cost, [7; 16]).unwrap())
}

fn authorization(user: &str, password: &str) -> String {
    let mut value = Vec::new();
    Basic::new(user.as_bytes(), password.as_bytes()).unwrap().append_to(&mut value);
    format!("Authorization: {}\r\n", String::from_utf8(value).unwrap())
}

fn status_for(address: SocketAddr, user: &str, password: &str) -> u16 {
    get_as(address, "GET", "/", &authorization(user, password)).status
}

/// A directory to serve, and a file of users beside it.
fn directory() -> (TempDir, String) {
    let directory = TempDir::new().unwrap();
    fs::create_dir_all(directory.path().join("www/directory")).unwrap();
    fs::write(directory.path().join("www/small"), "small").unwrap();
    fs::write(directory.path().join("users"), line("me", 4) + &line("caf\u{e9}", 5)).unwrap();
    let users = directory.path().join("users").to_str().unwrap().into();
    (directory, users)
}

fn start(directory: &TempDir, users: &str) -> Program {
    Program::start(&directory.path().join("www"), &["--auth", users, "--threads", "2"])
}

fn whole(_: &Request<'_>) -> Action {
    Action::collect_body(64 << 10, |body| Response::text(format!("{} bytes", body.len())))
}

fn guard(cost: u32) -> Arc<BasicAuth<impl Handler>> {
    let users = Users::parse((line("me", cost) + &line("you", 4)).as_bytes()).unwrap();
    Arc::new(BasicAuth::new(users, whole))
}

// R1945-9.4d, R1945-11.1, V19: before any look at the path.
#[test]
fn v19_without_credentials_nothing_is_told() {
    let (directory, users) = directory();
    let program = start(&directory, &users);
    let address = program.address();
    let told = |method: &str, target: &str, fields: &str| {
        let answer = get_as(address, method, target, fields);
        assert_eq!((answer.status, answer.field("WWW-Authenticate")), (401, Some(CHALLENGE)), "{method} {target}");
        let fields = answer.head.lines().filter(|line| !line.starts_with("Date: "));
        (fields.collect::<Vec<_>>().join("\n"), answer.body)
    };
    let expected = told("GET", "/small", "");
    assert!(expected.1.starts_with(b"<!DOCTYPE html>"), "the page of the files");
    assert_eq!(told("HEAD", "/small", ""), (expected.0.clone(), Vec::new()));
    for target in ["/", "/nothing", "/directory", "/directory/", "/.hidden", "/small/", "/small?q"] {
        for method in ["GET", "DELETE", "PROPFIND"] {
            assert_eq!(told(method, target, ""), expected, "{method} {target}");
        }
    }
    for fields in [
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
        assert_eq!(told("GET", "/small", &fields), expected, "{fields}");
    }
    for user in ["me", "caf\u{e9}"] {
        assert_eq!(get_as(address, "GET", "/small", &authorization(user, PASSWORD)).text(), "small");
    }

    // OPTIONS tells the methods; what is no request is refused as without a guard.
    let answer = get_as(address, "OPTIONS", "/nothing", "");
    assert_eq!((answer.status, answer.field("Allow")), (200, Some("GET, HEAD, OPTIONS")));
    for (request, status) in [
        ("GET small HTTP/1.0\r\n\r\n", 400),
        ("GET /%2e%2e/users HTTP/1.0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("CONNECT a:1 HTTP/1.0\r\n\r\n", 405),
        ("GET / HTTP/2.0\r\n\r\n", 505),
    ] {
        assert_eq!(exchange(address, request.as_bytes()).status, status, "{request}");
    }
    // A simple request has no place for credentials, and its answer none for a status.
    let mut stream = connect(address);
    stream.write_all(b"GET /small\r\n").unwrap();
    assert_eq!(read_to_end(&mut stream).unwrap(), expected.1);

    let messages = program.finish();
    assert!(messages.contains("\"GET /nothing HTTP/1.0\" 401 "), "{messages}");
    for secret in [PASSWORD, "Basic", "wrong", "$2b$"] {
        assert!(!messages.contains(secret), "{secret} in {messages}");
    }
}

#[test]
fn a_kept_connection_outlives_a_401() {
    let inside = Inside::start(|server| server.threads(1), guard(4));
    let mut stream = connect(inside.address());
    for fields in [String::new(), authorization("me", "wrong"), authorization("me", PASSWORD)] {
        write!(stream, "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n{fields}\r\nhello").unwrap();
        let answer = read_answer(&mut stream);
        assert!(answer.is_idle_keep_alive());
        assert_eq!(answer.text() == "5 bytes", fields == authorization("me", PASSWORD));
    }
    drop(stream);
    inside.finish();
}

// V19
#[test]
fn v19_who_is_known_is_verified_once() {
    let guard = guard(4);
    let inside = Inside::start(|server| server.threads(2), guard.clone());
    for round in 1..=20 {
        assert_eq!(status_for(inside.address(), "me", PASSWORD), 200);
        assert_eq!(guard.verifications(), round, "once, and once for each wrong one");
        assert_eq!(status_for(inside.address(), "me", "wrong"), 401);
    }
    inside.finish();
}

/// Whether nothing has come yet.
fn is_silent(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let nothing = stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    nothing
}

// V19: with two workers, of which one verifies.
#[test]
fn v19_one_is_verified_at_a_time_and_the_others_go_on() {
    let guard = guard(SLOW_READER_AFTER);
    let inside = Inside::start(|server| server.threads(2), guard.clone());
    let address = inside.address();
    assert_eq!(status_for(address, "me", PASSWORD), 200);

    let mut guess = connect(address);
    write!(guess, "GET / HTTP/1.0\r\n{}\r\n", authorization("nobody", "guess")).unwrap();
    wait_until("the guess is being verified", || guard.verifications() == 2);
    for (user, password) in [("me", "wrong"), ("nobody", "guess"), ("you", PASSWORD)] {
        let answer = get_as(address, "GET", "/", &authorization(user, password));
        assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("1")), "{user}");
        assert_eq!(status_for(address, "me", PASSWORD), 200);
        assert_eq!(get_as(address, "GET", "/", "").status, 401);
        assert_eq!(get_as(address, "OPTIONS", "/", "").status, 200);
    }
    assert!(is_silent(&guess), "all of it was answered while the guess was verified");
    assert_eq!(guard.verifications(), 2);
    assert_eq!(read_answer(&mut guess).status, 401);
    wait_until("another can be verified", || status_for(address, "you", PASSWORD) == 200);
    drop(guess);
    inside.finish();
}

// V19
#[test]
fn v19_a_crowd_of_guesses_is_verified_one_by_one() {
    let guard = guard(6);
    let inside = Inside::start(|server| server.threads(4), guard.clone());
    let address = inside.address();
    assert_eq!(status_for(address, "me", PASSWORD), 200);
    let crowd: Vec<_> = (0..8)
        .map(|n| {
            thread::spawn(move || {
                let user = ["me", "nobody"][n % 2];
                let statuses = (0..20).map(|guess| status_for(address, user, &format!("{n}-{guess}")));
                statuses
                    .inspect(|status| assert!(matches!(status, 401 | 503), "{status}"))
                    .filter(|s| *s == 401)
                    .count()
            })
        })
        .collect();
    while !crowd.iter().all(thread::JoinHandle::is_finished) {
        assert_eq!(status_for(address, "me", PASSWORD), 200, "a wrong guess takes nobody's place");
    }
    let verified: usize = crowd.into_iter().map(|guesses| guesses.join().unwrap()).sum();
    assert_eq!(guard.verifications(), 1 + verified as u64, "what was not verified was told so");
    inside.finish();
}

#[test]
fn a_guard_has_a_realm_and_speaks_as_its_handler() {
    let guard =
        BasicAuth::new(Users::parse(line("me", 4).as_bytes()).unwrap(), whole).realm("The cellar, left").unwrap();
    let inside = Inside::start(|server| server.threads(1), guard);
    let answer = get_as(inside.address(), "GET", "/", "");
    assert_eq!(answer.field("WWW-Authenticate"), Some("Basic realm=\"The cellar, left\", charset=\"UTF-8\""));
    assert_eq!(answer.text(), "401 Unauthorized: a valid user name and password are required\n");
    inside.finish();
    let users = || Users::parse(line("me", 4).as_bytes()).unwrap();
    for bad in ["a\"b", "a\r\nb", "caf\u{e9}"] {
        assert!(BasicAuth::new(users(), whole).realm(bad).is_err(), "{bad}");
    }
}

// R1945-12.3, V19
#[test]
fn v19_debug_shows_no_secret() {
    let files = http_files::Files::new(Path::new("src")).unwrap();
    let shown = format!("{:?}", BasicAuth::new(Users::parse(line("me", 4).as_bytes()).unwrap(), files));
    assert!(shown.contains("Users(1)") && !shown.contains("$2b$") && !shown.contains("\"me\""), "{shown}");
}

#[test]
fn a_handler_reads_who_asks() {
    let hello = |request: &Request<'_>| {
        let credentials =
            request.headers().only(http_core::header::AUTHORIZATION).and_then(|value| Basic::parse(value).ok());
        let user = credentials.map_or(Vec::new(), |credentials| credentials.user().to_vec());
        match request.method() {
            Method::Get => Response::bytes(FieldValue::from_static("text/plain"), user),
            _ => Response::text("not known"),
        }
    };
    let guard = Arc::new(BasicAuth::new(Users::parse(line("caf\u{e9}", 4).as_bytes()).unwrap(), hello));
    let request = format!("GET / HTTP/1.0\r\n{}\r\n", authorization("caf\u{e9}", PASSWORD));
    assert!(
        http_server::testing::exchange(&guard, request.as_bytes()).output.ends_with("\r\n\r\ncaf\u{e9}".as_bytes())
    );
}

#[test]
fn a_file_that_will_not_do_is_one_line_and_no_start() {
    let (directory, users) = directory();
    let www = directory.path().join("www");
    fs::write(www.join("inside"), line("me", 4)).unwrap();
    fs::write(www.join(".inside"), line("me", 4)).unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    for (name, content) in [("none", ""), ("plain", "me:secret\n"), ("absurd", &line("me", 4).replace("$04$", "$31$"))]
    {
        fs::write(path(name), content).unwrap();
    }
    for (file, expected) in [
        (path("nothing"), "cannot read the file: No such file"),
        (path("www"), "cannot read the file: Is a directory"),
        (path("none"), "no users found; expected `htpasswd -B` lines"),
        (path("plain"), "line 1: expected a bcrypt hash from `htpasswd -B`"),
        (path("absurd"), "line 1: bcrypt cost 31 is out of range (4 to 14)"),
        (path("www/inside"), "it would be served, too"),
        (path("www/../www/inside"), "it would be served, too"),
    ] {
        let output = output_of(&["--port", "0", "--auth", &file, www.to_str().unwrap()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.starts_with("webserver: --auth ") && said.contains(expected), "{said}");
        assert!(!said.contains("secret") && output.stdout.is_empty(), "{said}");
    }
    let hidden = output_of(&["--port", "0", "--hidden", "--auth", &path("www/.inside"), www.to_str().unwrap()]);
    assert_eq!(hidden.status.code(), Some(1), "with --hidden it would be served");
    for file in [users, path("www/.inside")] {
        let program = start(&directory, &file);
        assert_eq!(status_for(program.address(), "me", PASSWORD), 200);
        let hidden = get_as(program.address(), "GET", "/.inside", &authorization("me", PASSWORD));
        assert_eq!(hidden.status, 404);
        program.finish();
    }
}

// The owner's page and fields are those of a 401, too, and what explains a request sees it guarded.
#[test]
fn a_401_is_dressed_and_explained() {
    let (directory, users) = directory();
    let www = directory.path().join("www");
    fs::write(www.join("who.html"), "who are you?").unwrap();
    let options = ["--auth", &users, "--error-page", "401=who.html", "--header", "X-A: b"];
    let program = Program::start(&www, &options);
    let answer = get_as(program.address(), "GET", "/small", "");
    assert_eq!((answer.status, answer.text(), answer.field("X-A")), (401, "who are you?", Some("b")));
    assert_eq!(answer.field("WWW-Authenticate"), Some(CHALLENGE));
    program.finish();
    for (fields, status) in [(String::new(), "401 Unauthorized"), (authorization("me", PASSWORD), "200 OK")] {
        let request = format!("GET /small HTTP/1.0\n{}", fields.trim_end());
        let output = output_of(&["--auth", &users, "--explain", &request, www.to_str().unwrap()]);
        let why = String::from_utf8(output.stdout).unwrap();
        assert!(why.contains("--auth]") && why.contains(&format!("\nHTTP/1.0 {status}\n")), "{why}");
        assert!(!why.contains(PASSWORD) && !why.contains("Basic b"), "{why}");
    }
}

/// Runs a program to its end; `None` where there is none, which is said loudly and in CI is a failure.
fn said_by(name: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(name).args(arguments).stdin(Stdio::null()).output() {
        Ok(output) => Some(String::from_utf8(output.stdout).unwrap()),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{name}: {error}");
            // Past the harness, which swallows what a passing test prints.
            let _ = io::stderr().write_all(format!("MISSING: {name}\n").as_bytes());
            None
        }
    }
}

#[test]
fn curl_comes_in() {
    let (directory, users) = directory();
    let program = start(&directory, &users);
    let url = format!("http://{}/small", program.address());
    for (credentials, expected) in [
        (&["--user", "me:open sesame"][..], "small 200"),
        (&["--user", "caf\u{e9}:open sesame"], "small 200"),
        (&["--anyauth", "--user", "me:open sesame"], "small 200"), // it asks, is told 401, and then asks again
        (&["--fail", "--user", "me:open"], " 401"),
        (&["--fail"], " 401"),
    ] {
        let arguments = ["--disable", "--noproxy", "*", "--silent", "--max-time", "20", "--write-out", " %{http_code}"];
        let Some(said) = said_by("curl", &[&arguments, credentials, &[&url]].concat()) else { return };
        assert_eq!(said, expected, "{credentials:?}");
    }
    program.finish();
}

#[test]
fn htpasswd_writes_what_is_read() {
    let long = "0123456789".repeat(8);
    let mut users = String::new();
    for (user, password) in [("a", "plain"), ("\u{e4}", "p\u{e4}ss:wort"), ("long", &long[..72])] {
        let Some(lines) = said_by("htpasswd", &["-n", "-b", "-B", "-C", "4", user, password]) else { return };
        users.push_str(&lines); // with an empty line
    }
    let guard = Arc::new(BasicAuth::new(Users::parse(users.as_bytes()).unwrap(), whole));
    let inside = Inside::start(|server| server, guard);
    for (user, password) in [("a", "plain"), ("\u{e4}", "p\u{e4}ss:wort"), ("long", &long[..72]), ("long", &long)] {
        assert_eq!(status_for(inside.address(), user, password), 200, "{user}");
        assert_eq!(status_for(inside.address(), user, "p"), 401, "{user}");
    }
    inside.finish();
    let md5 = said_by("htpasswd", &["-n", "-b", "-m", "a", "plain"]).unwrap();
    assert_eq!(
        Users::parse(md5.as_bytes()).unwrap_err().to_string(),
        "line 1: expected a bcrypt hash from `htpasswd -B`"
    );
}
