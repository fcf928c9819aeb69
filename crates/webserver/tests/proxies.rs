//! Proxies that others wrote, in front of the real program.
// Clippy then takes the helpers, too, for tests.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use support::{Program, connect, wait_until};

// HAProxy's check, by HAProxy.
#[test]
fn haproxy_sees_it_up() {
    let found = Command::new("haproxy").arg("-v").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("MISSING: haproxy (Debian package haproxy)");
        assert!(std::env::var_os("CI").is_none(), "haproxy is missing");
        return;
    }
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a"), "a").unwrap();
    let program = Program::start(folder.path(), &[]);
    let front = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = haproxy_config(folder.path(), front, program.port());
    let mut haproxy = Command::new("haproxy").arg("-db").arg("-f").arg(&config).spawn().unwrap();
    let is_up = |path: &str| {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", front)) else { return None };
        drop(stream);
        Some(ask(front, path))
    };
    wait_until("haproxy serves", || is_up("/a").is_some_and(|(status, body)| status == "200" && body.ends_with('a')));
    // Checks run every 20 ms: after many of them it is still up.
    thread::sleep(Duration::from_millis(500));
    let last = is_up("/a");
    haproxy.kill().unwrap();
    haproxy.wait().unwrap();
    assert_eq!(last.map(|(status, _)| status), Some("200".to_owned()));
    let log = program.finish();
    assert!(log.matches("\"OPTIONS / HTTP/1.0\" 200 0").count() > 5, "{log}");
}

fn haproxy_config(folder: &Path, front: u16, back: u16) -> PathBuf {
    let path = folder.join("haproxy.cfg");
    let config = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
         listen all\n bind 127.0.0.1:{front}\n option httpchk\n server one 127.0.0.1:{back} check inter 20ms fall 1 rise 1\n"
    );
    fs::write(&path, config).unwrap();
    path
}

/// Through the proxy, which speaks HTTP/1.1.
fn ask(port: u16, path: &str) -> (String, String) {
    let mut stream = connect(([127, 0, 0, 1], port).into());
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
    (status, answer)
}
