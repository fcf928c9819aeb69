//! Tests of the program: the forms of its command line, and what it writes of each response.
// Clippy then treats the helpers, too, as test code.
#![cfg(test)]

mod support;

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, ToSocketAddrs as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex, mpsc};

use support::{OK, Server, TIMEOUT, assert_ends, assert_refused, command, run_on_terminal, webclient};

// These headers and no others: R1945-3.7, R1945-5b, R1945-5.1, R1945-10.6, R1945-10.8, R1945-10.13, R1945-10.15,
// R1945-12.4, R9110-7.2.
#[test]
fn file_is_written_with_its_head_as_received() {
    let response = "HTTP/1.1  200 \t Fine\nX:  y \r\nFolded: a\r\n b\r\nContent-Length: 6\r\n\r\nhello\n";
    let server = Server::responding(response);
    assert_ends(&server.get("HelloWorld.html"), 0, response, "");
    let expected = format!(
        "GET /HelloWorld.html HTTP/1.0\r\nHost: {}\r\nConnection: close\r\nUser-Agent: webclient/{}\r\nAccept: */*\r\n\r\n",
        server.address,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(server.request().head, expected);
}

// What the server makes of it can be seen. A URL is sent as browsers send it.
#[test]
fn file_is_sent_with_its_dots() {
    for (file, sent) in [("../secret", "/../secret"), ("/a/./%2e%2e/b", "/a/./%2e%2e/b")] {
        let server = Server::responding("HTTP/1.0 200 OK\r\n\r\n");
        assert_eq!(server.get(file).status.code(), Some(0));
        assert!(server.request().head.starts_with(&format!("GET {sent} HTTP/1.0\r\n")));
    }
}

// Byte for byte: R1945-3.6.1.
#[test]
fn url_writes_only_the_body() {
    let body: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let server = Server::responding([b"HTTP/1.0 200 OK\r\n\r\n", &body[..]].concat());
    assert_ends(&server.get_url(&[]), 0, &body, "");
    assert!(server.request().head.starts_with("GET /a HTTP/1.0\r\n"));
}

#[test]
fn options_may_stand_beside_host_port_and_file() {
    let server = Server::responding(OK);
    let (host, port) = (server.address.ip().to_string(), server.address.port().to_string());
    assert_ends(&webclient([&host, "-H", "X: y", &port, "a"]), 0, OK, "");
    assert!(server.request().head.contains("\r\nX: y\r\n"));
    assert_ends(&webclient([&host, &port, "a", "-I"]), 0, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n", "");
    assert!(server.request().head.starts_with("HEAD /a "));
}

const KEPT: &str = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi";

// The last request asks to close the connection, the others to keep it.
#[test]
fn urls_of_one_server_share_a_connection_that_the_last_one_closes() {
    for response in [KEPT, OK] {
        let server = Server::answering(move |_| response.into());
        let urls = ["/a", "/b", "/a", "/a"].map(|path| server.url(path));
        assert_ends(&webclient(&urls), 0, "hihihihi", "");
        for (index, path) in ["/a", "/b", "/a", "/a"].into_iter().enumerate() {
            let request = server.request();
            assert!(request.head.starts_with(&format!("GET {path} ")), "{request:?}");
            let connection = if index == 3 { "\r\nConnection: close\r\n" } else { "\r\nConnection: keep-alive\r\n" };
            assert!(request.head.contains(connection), "{request:?}");
            assert_eq!(request.connection, if response == KEPT { 1 } else { index + 1 });
        }
        server.assert_no_request();
    }
}

#[test]
fn urls_of_two_servers_have_a_connection_each() {
    let (one, two) = (Server::answering(|_| KEPT.into()), Server::answering(|_| KEPT.into()));
    assert_ends(&webclient([one.url("/a"), two.url("/b"), one.url("/c")]), 0, "hihihi", "");
    assert_eq!([one.request().connection, one.request().connection, two.request().connection], [1, 1, 1]);
}

// What failed does not keep the other URLs from being fetched.
#[test]
fn exit_status_of_several_urls_is_that_of_the_first_failure() {
    let server = Server::of(&[("/a", KEPT), ("/cut", "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\ncut")]);
    let output = webclient(["/a", "/cut", "/missing", "/a"].map(|path| server.url(path)));
    assert_eq!((output.status.code(), output.stdout), (Some(18), b"hicuthi".to_vec()));
    let lines = String::from_utf8(output.stderr).unwrap();
    let expected = [
        format!("webclient: {}: the body was cut short", server.url("/cut")),
        format!("webclient: {}: the server responded with 404 Not Found", server.url("/missing")),
    ];
    assert_eq!(lines.lines().count(), 2, "{lines}");
    for (line, expected) in lines.lines().zip(&expected) {
        assert!(line.starts_with(expected), "{line} lacks {expected}");
    }
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
        assert_ends(&Server::responding(response).get_url(&[]), 0, written, "");
    }
}

// R1945-6b, and every other error in a response.
#[test]
fn bytes_that_are_not_http_are_not_written() {
    for (response, message) in [
        ("<html>0.9</html>", "expected a status line"),
        ("220 mail.example ESMTP\r\n", "expected a status line"),
        ("HTTP/2.0 200 OK\r\n\r\n", "unsupported HTTP version: expected HTTP/1.x"),
        ("HTTP/1.0 20x\r\n\r\n", "the status line is malformed"),
        ("HTTP/1.0 200 OK\r\nContent-Length : 1\r\n\r\n", "expected header lines"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "Content-Length"),
        ("HTTP/1.1 101 Switching\r\n\r\n", "switched protocols without being asked"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "Transfer-Encoding"),
    ] {
        assert_ends(&Server::responding(response).get("a"), 8, "", message);
    }
    let long = "HTTP/1.0 200 OK\r\n".to_owned() + &"A: b\r\n".repeat(99_999);
    assert_ends(&Server::responding(long).get("a"), 8, "", "head is too long");
    assert_ends(&Server::responding("HTTP/1.1 100 \r\n\r\n".repeat(999)).get("a"), 8, "", "interim");
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n";
    assert_ends(&Server::responding(chunk).get_url(&[]), 8, "a", "chunks");
}

// R1945-6b
#[test]
fn bytes_without_a_head_are_a_body_if_they_are_expected() {
    let server = Server::responding("<html>0.9</html>");
    assert_ends(&server.get_url(&["--http0.9"]), 0, "<html>0.9</html>", "");
    assert_ends(&server.get_url(&["--http0.9", "-i"]), 0, "<html>0.9</html>", "");
}

// No argument can add a line: R9112-11.1, R1945-3.2.1, R1945-5.1.2a.
#[test]
fn file_name_cannot_inject_a_line() {
    let server = Server::responding("HTTP/1.0 204 \r\n\r\n");
    for (file, target) in [
        (&b"a"[..], "/a"),
        (b"/a", "/a"),
        (b"", "/"),
        (b"a b", "/a%20b"),
        (b"a ", "/a%20"),
        (b"a%20b%", "/a%20b%25"),
        (b"?q=1", "/?q=1"),
        (b"a#b", "/a%23b"),
        (b"a?\r\nX: y\r\n", "/a?%0D%0AX:%20y%0D%0A"),
        (b"\xff\xc3\xa9", "/%FF%C3%A9"),
    ] {
        assert_ends(&server.get(OsStr::from_bytes(file)), 0, "HTTP/1.0 204 \r\n\r\n", "");
        let request = server.request().head;
        assert!(request.starts_with(&format!("GET {target} HTTP/1.0\r\nHost: ")), "{request:?}");
        assert_eq!(request.lines().count(), 6);
    }
    let url = [b" http://", server.address.to_string().as_bytes(), b"/\xff?\r\nX: y\t\x1b\xc3\xa9 "].concat();
    assert_ends(&webclient([OsStr::from_bytes(&url)]), 0, "", "");
    let request = server.request().head;
    assert!(request.starts_with("GET /%FF?X:%20y%1B%C3%A9 HTTP/1.0\r\nHost: "), "{request:?}");

    for host in ["h\r\nX: y", "h h", "", "u@h", "h/a?", "h#", "h\\i"] {
        assert_refused(&[host, "80", "a"], "the host is neither a name nor an IP address");
    }
    assert_ends(&webclient(["http://h\r\nX: y/"]), 2, "", "expected http://HOST/");
}

#[test]
fn port_must_be_a_number_from_1_to_65535() {
    for port in ["0", "65536", "+80", "http", "", " 80", "80 ", "0x50", "99999999999"] {
        assert_refused(&["localhost", port, "a"], "expected a port from 1 to 65535");
    }
    for authority in ["localhost:65536", "localhost:+80", "", "user:pw@localhost", "localhost:0"] {
        let message = "expected http://HOST/ or http://HOST:PORT/";
        assert_ends(&webclient([format!("http://{authority}/a")]), 2, "", message);
    }
}

// Nothing is fetched, and no password is asked for, if one of the URLs is https.
#[test]
fn https_is_one_clear_line() {
    let server = Server::responding(OK);
    for url in ["https://localhost/", "HTTPS://localhost", "https://", " https://localhost/"] {
        let message = format!("webclient: {url}: https is not supported: run a TLS proxy such as socat in front");
        assert_ends(&webclient(["-u", "me", &server.url("/"), url]), 2, "", &message);
    }
    server.assert_no_request();
}

#[test]
fn url_with_another_scheme_is_refused() {
    for url in ["ftp://localhost/", "file:///etc/passwd", "://x"] {
        assert_ends(&webclient([url]), 2, "", "expected a URL like http://");
    }
}

#[test]
fn missing_or_wrong_argument_is_named() {
    for (arguments, message) in [
        (&[][..], "<URL>..."),
        (&["localhost"][..], "<PORT> and <FILE> are missing (a URL begins with http://)"),
        (&["localhost", "80"], "<FILE> is missing"),
        (&["http://localhost/", "80"], "expected URLs only"),
        (&["http://localhost/", "80", "a"], "expected URLs only"),
        (&["localhost", "80", "a", "b"], "expected URLs only"),
        (&["--no-such", "localhost", "80", "a"], "--no-such"),
        (&["-4", "-6", "http://localhost/"], "--ipv6"),
        (&["-I", "-X", "GET", "http://localhost/"], "--method"),
        (&["--password-file", "f", "http://localhost/"], "--user"),
        (&["--max-time=-1", "http://localhost/"], "expected a number of seconds"),
        (&["--idle-timeout=0", "http://localhost/"], "expected a number of seconds"),
        (&["--connect-timeout=NaN", "http://localhost/"], "expected a number of seconds"),
        (&["--resolve", "localhost:127.0.0.1", "http://localhost/"], "expected HOST:PORT:IP"),
        (&["--proxy", "https://localhost", "http://localhost/"], "https is not supported"),
        (&["--retry=-1", "http://localhost/"], "--retry"),
    ] {
        assert_refused(arguments, message);
        let text = String::from_utf8(webclient(arguments).stderr).unwrap();
        assert!(text.contains("Usage: webclient") || text.contains("try '--help'"), "{text}");
    }
}

#[test]
fn timeouts_have_no_upper_limit() {
    let options = ["--max-time=1e18", "--idle-timeout=1e18", "--connect-timeout=1e18"];
    assert_ends(&Server::responding(OK).get_url(&options), 0, "hi", "");
}

// R1945-3.2.2
#[test]
fn ipv6_address_is_fetched_by_host_and_by_url() {
    if TcpListener::bind("[::1]:0").is_err() {
        return println!("SKIPPED: no IPv6");
    }
    let server = Server::scripted("[::1]:0", |mut stream| stream.write_all(OK.as_bytes()).unwrap());
    assert_ends(&server.get("a"), 0, OK, "");
    assert_ends(&server.get_url(&[]), 0, "hi", "");
    let port = server.address.port();
    assert_ends(&webclient(["[::1]", &port.to_string(), "a"]), 0, OK, "");
    for _ in 0..3 {
        assert!(server.request().head.contains(&format!("\r\nHost: [::1]:{port}\r\n")));
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
        if TcpListener::bind(address).is_err() {
            continue;
        }
        let server = Server::scripted(&address.to_string(), |mut stream| stream.write_all(OK.as_bytes()).unwrap());
        let port = server.address.port().to_string();
        assert_ends(&webclient(["localhost", &port, "a"]), 0, OK, "");
        assert!(server.request().head.contains(&format!("\r\nHost: localhost:{port}\r\n")));
    }
}

#[test]
fn resolve_and_address_families_choose_the_address() {
    let server = Server::answering(|_| OK.into());
    let port = server.address.port();
    let url = format!("http://name.invalid:{port}/a");
    let v4 = format!("name.invalid:{port}:127.0.0.1");
    assert_ends(&webclient(["--resolve", &v4, &url]), 0, "hi", "");
    assert!(server.request().head.contains(&format!("\r\nHost: name.invalid:{port}\r\n")), "the name is sent");

    // An address that nobody listens on is passed over, and -4 does not even try it.
    let v6 = format!("name.invalid:{port}:[100::1]"); // a prefix that discards everything
    for (options, status) in [(&["-4"][..], 0), (&["-6", "--connect-timeout=0.2"], 7), (&[], 0)] {
        let arguments = [&["-v", "--resolve", &v6, "--resolve", &v4][..], options, &[&url]].concat();
        let output = webclient(&arguments);
        let trace = String::from_utf8(output.stderr).unwrap();
        let status_fits = output.status.code() == Some(status) || (status == 7 && output.status.code() == Some(28));
        assert!(status_fits, "{options:?}: {trace}");
        assert_eq!(trace.contains("* trying [100::1]"), options != ["-4"], "{trace}");
        assert_eq!(trace.contains("* trying 127.0.0.1"), status == 0, "{trace}");
    }
    let other = format!("other.invalid:{port}:127.0.0.1");
    assert_ends(&webclient(["--resolve", &other, &url]), 6, "", "cannot find the address of name.invalid");
    assert_ends(&webclient(["-6", &server.url("/")]), 6, "", "no address of the family");
}

#[test]
fn bytes_are_written_as_they_arrive() {
    let (seen, go_on) = mpsc::channel();
    let go_on = Arc::new(Mutex::new(go_on));
    let server = Server::scripted("127.0.0.1:0", move |mut stream| {
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nno line end").unwrap();
        go_on.lock().unwrap().recv_timeout(TIMEOUT).unwrap();
        stream.write_all(b", the rest").unwrap();
    });
    let mut child = command([server.url("/")]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 11];
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"no line end");
    seen.send(()).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), (", the rest", Some(0)));
}

// What first-time users look for.
#[test]
fn help_names_the_forms_the_options_examples_and_exit_statuses() {
    let help = webclient(["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && help.stderr.is_empty());
    for part in [
        "webclient [OPTIONS] <URL>...",
        "webclient [OPTIONS] <HOST> <PORT> <FILE>",
        "https:// is not supported",
        "Proxy variables of the environment, such as http_proxy, are ignored",
        "application/x-www-form-urlencoded for a text, and\n          application/octet-stream for a file",
        "--connect-timeout <SECONDS>\n          Longest wait for a connection\n          \n          [default: 10]",
        "--idle-timeout <SECONDS>\n          Longest wait for each next byte\n          \n          [default: 30]",
        "[default: none]",
        "Examples:\n  webclient localhost 6789 HelloWorld.html\n",
        "\n   18  the response was cut short\n",
    ] {
        assert!(text.contains(part), "{text}\nlacks {part:?}");
    }
    assert!(text.lines().all(|line| line.len() <= 100 && !line.contains('\x1b')));
    let short = String::from_utf8(webclient(["-h"]).stdout).unwrap();
    assert!(short.lines().count() < 60 && short.contains("--help shows examples"), "{short}");
    assert_ends(&webclient(["--version"]), 0, concat!("webclient ", env!("CARGO_PKG_VERSION"), "\n"), "");
    let (status, seen) = run_on_terminal("$W --version");
    assert_eq!((status, seen.trim_end()), (Some(0), concat!("webclient ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn man_page_and_completions_have_every_option_of_the_help() {
    let help = String::from_utf8(webclient(["--help"]).stdout).unwrap();
    let options: Vec<_> = help.split_whitespace().filter(|word| word.starts_with("--")).collect();
    let options: Vec<_> = options.iter().map(|it| it.trim_end_matches(|c: char| !c.is_alphanumeric())).collect();
    assert!(options.len() > 20);
    let man = command(["--man"]).env("SOURCE_DATE_EPOCH", "1").output().unwrap();
    assert_ends(&webclient(["--man"]), 0, &man.stdout, ""); // no date, so the same at any time
    let man = String::from_utf8(man.stdout).unwrap().replace("\\-", "-");
    for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "SENDING", "EXAMPLES"] {
        assert!(man.contains(&format!(".SH {section}\n")), "{section}: {man}");
    }
    assert!(man.contains(".SH \"EXIT STATUS\"\n"));
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let completions = String::from_utf8(webclient(["--completions", shell]).stdout).unwrap();
        for option in &options {
            let name = if shell == "fish" { option.trim_start_matches("--") } else { option };
            assert!(completions.contains(name), "{shell} lacks {option}");
            assert!(man.contains(option), "the man page lacks {option}");
        }
    }
    assert_refused(&["--completions", "cmd"], "--completions");
}
