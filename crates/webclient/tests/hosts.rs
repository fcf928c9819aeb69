//! Hosts that are more than a name or an address: with a zone, beyond ASCII, or typed with blanks and dot segments.
// Clippy then treats the helpers, too, as test code.
#![cfg(test)]

mod peers;
mod support;

use std::fs;
use std::net::{Ipv6Addr, SocketAddrV6, TcpListener};
use std::process::{Command, Output};
use std::thread;

use peers::missing;
use peers::test_double::{Step, TestDouble};
use support::webclient;
use webclient::{Client, TcpConnector, Url};

fn double(count: usize) -> (TestDouble, String) {
    let script = vec![Step::Bytes(b"HTTP/1.0 200 OK\r\n\r\nhere".into())];
    let double = TestDouble::start(&vec![script; count]).unwrap();
    let port = double.url("").rsplit(':').next().unwrap().to_owned();
    (double, port)
}

#[track_caller]
fn assert_here(output: &Output) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &output.stdout[..], &*message), (Some(0), &b"here"[..], ""));
}

/// The request lines and Host headers that arrived.
fn requests(double: &TestDouble) -> Vec<String> {
    let requests = double.take_requests().into_iter().map(Result::unwrap);
    let line = |text: &str, start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    requests.map(|text| format!("{}, {}", line(&text, "GET "), line(&text, "Host: "))).collect()
}

// --- zones

/// A link-local address of this machine that is in use, and its interface.
fn link_local() -> Option<(Ipv6Addr, u32, String)> {
    let table = fs::read_to_string("/proc/net/if_inet6").ok()?;
    table.lines().find_map(|line| {
        // Address, index, length of the prefix, scope (20 is link-local), flags (40 is tentative), name.
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let address = u128::from_str_radix(fields[0], 16).ok()?;
        let is_usable = fields[3] == "20" && u8::from_str_radix(fields[4], 16).ok()? & 0x48 == 0;
        is_usable.then(|| (address.into(), u32::from_str_radix(fields[1], 16).unwrap(), fields[5].to_owned()))
    })
}

/// Runs this test again in a network of its own that has a link-local address.
fn in_a_new_network(test: &str) {
    const SETUP: &str = "ip link set lo up && ip address add fe80::1/64 dev lo && exec \"$@\"";
    if !["unshare", "ip"].iter().all(|name| peers::tool(name).is_some()) || std::env::var_os("NEW_NETWORK").is_some() {
        return missing("a link-local address");
    }
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-c", SETUP, "sh"]).arg(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test]).env("NEW_NETWORK", "1").output().unwrap();
    let failed = String::from_utf8_lossy(&output.stdout).contains("FAILED");
    assert!(!failed, "{output:?}");
    if !output.status.success() {
        missing("a network namespace with IPv6");
    }
}

// R1945-3.2.2
#[test]
fn link_local_device_is_reached_by_its_zone() {
    let Some((address, scope, interface)) = link_local() else {
        return in_a_new_network("link_local_device_is_reached_by_its_zone");
    };
    let listener = TcpListener::bind(SocketAddrV6::new(address, 0, 0, scope)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (double, inner) = double(6);
    thread::spawn(move || {
        // Passes each connection on to the double.
        for stream in listener.incoming() {
            let device = std::net::TcpStream::connect(("127.0.0.1", inner.parse().unwrap())).unwrap();
            let (mut from, mut to) = (stream.unwrap(), device);
            let (mut back, mut out) = (to.try_clone().unwrap(), from.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut back, &mut out).map(|_| out.shutdown(std::net::Shutdown::Both)));
            thread::spawn(move || std::io::copy(&mut from, &mut to));
        }
    });
    for zone in [format!("%25{interface}"), format!("%{interface}"), format!("%25{scope}"), format!("%{scope}")] {
        assert_here(&webclient([&format!("http://[{address}{zone}]:{port}/a")]));
    }
    let url = format!("http://[{address}%{interface}]:{port}/a");
    assert_eq!(Client::new().get(url).send().unwrap().read_to_vec(99).unwrap(), b"here");
    let by_parts = webclient([&format!("{address}%{interface}"), &port.to_string(), "a"]);
    assert!(by_parts.stdout.ends_with(b"here"), "{by_parts:?}");
    let expected = format!("GET /a HTTP/1.0, Host: [{address}]:{port}");
    assert_eq!(requests(&double), vec![expected; 6]);
}

#[test]
fn zone_that_does_not_exist_is_no_address() {
    for zone in ["%25no-such-if", "%no-such-if"] {
        let output = webclient([&format!("http://[fe80::1{zone}]:1/a")]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(6), "{message}");
        assert!(message.contains("fe80::1%no-such-if"), "{message}");
    }
}

// --- beyond ASCII

#[test]
fn name_beyond_ascii_is_converted_in_arguments() {
    let (double, port) = double(5);
    let here = |host: &str| format!("{host}:{port}:127.0.0.1");
    for (name, resolved) in [
        ("b\u{fc}cher.example", "xn--bcher-kva.example"),
        ("B%C3%9CCHER.example", "b\u{fc}cher.example"),
        ("xn--bcher-kva.example", "B\u{dc}CHER.example"),
    ] {
        assert_here(&webclient(["--resolve", &here(resolved), &format!("http://{name}:{port}/\u{e9}")]));
    }
    let proxy = format!("http://b\u{fc}cher.example:{port}");
    assert_here(&webclient([
        "--resolve",
        &here("b\u{fc}cher.example"),
        "--proxy",
        &proxy,
        "http://f\u{fc}r.example/a",
    ]));
    let by_parts = webclient(["--resolve", &here("xn--fr-xka"), "f\u{fc}r", &port, "\u{e9}"]);
    assert!(by_parts.stdout.ends_with(b"here"), "{by_parts:?}");
    let direct = format!("GET /%C3%A9 HTTP/1.0, Host: xn--bcher-kva.example:{port}");
    let by_proxy = "GET http://xn--fr-xka.example/a HTTP/1.0, Host: xn--fr-xka.example".to_owned();
    let by_parts = format!("GET /%C3%A9 HTTP/1.0, Host: xn--fr-xka:{port}");
    assert_eq!(requests(&double), [vec![direct; 3], vec![by_proxy, by_parts]].concat());
    assert_eq!(webclient(["http://a\u{2100}b/"]).status.code(), Some(2));
}

#[test]
fn name_beyond_ascii_is_converted_in_location() {
    for (location, status) in [
        ("http://b\u{fc}cher.example:PORT/\u{fc}".as_bytes(), 200),
        ("//b%c3%bccher.example:PORT/\u{fc}".as_bytes(), 200),
        (b"http://b\xfccher.example:PORT/", 302), // Latin-1: which name that is cannot be known
    ] {
        let (there, port) = double(1);
        let location = String::from_utf8_lossy(location).replace("PORT", &port).into_bytes();
        let location = if status == 302 { b"http://b\xfccher.example/".to_vec() } else { location };
        let redirect = [b"HTTP/1.0 302 Found\r\nLocation: ", &location[..], b"\r\n\r\n"].concat();
        let server = TestDouble::start(&[vec![Step::Bytes(redirect)]]).unwrap();
        let connector =
            TcpConnector::new().resolve("xn--bcher-kva.example", port.parse().unwrap(), [127, 0, 0, 1].into());
        let client = Client::new().connector(connector);
        let response = client.get(server.url("/a")).header("Authorization", "Basic eDp5").send().unwrap();
        assert_eq!(response.status().code(), status, "{}", location.escape_ascii());
        assert_eq!(response.redirect_error().is_some(), status == 302);
        let arrived = there.take_requests();
        assert!(arrived.iter().all(|request| !request.as_ref().unwrap().contains("Authorization")), "{arrived:?}");
        assert_eq!(arrived.len(), usize::from(status == 200));
    }
}

// --- as typed

#[test]
fn typed_url_is_sent_as_browsers_send_it() {
    let (double, port) = double(4);
    for (typed, sent) in
        [("/a/../%2e%2e/./b", "/b"), ("/a b?c d", "/a%20b?c%20d"), ("/a\t\n", "/a"), ("/caf\u{e9}#part", "/caf%C3%A9")]
    {
        assert_here(&webclient([&format!(" http://127.0.0.1:{port}{typed} ")]));
        assert_eq!(requests(&double), [format!("GET {sent} HTTP/1.0, Host: 127.0.0.1:{port}")]);
    }
    assert_eq!(webclient(["http://a b/"]).status.code(), Some(2));
    assert!(Url::parse("http://a b/").is_err());
}
