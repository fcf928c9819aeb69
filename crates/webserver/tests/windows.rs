//! What is different on Windows. `TEST_PROGRAM` is the program for it, which scripts/portable runs under wine.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use support::{
    LARGE, PROGRAM, Program, connect, directory, get, keep_alive, output_of, output_of_command, read_response,
    read_to_end, send,
};

/// The status with which Windows ends a program by Ctrl-C, 0xC000013A, of which a Unix shell sees the last byte.
const CONTROL_C_EXIT: i32 = 0x3A;

#[test]
#[ignore = "for the program on Windows"]
fn what_windows_lacks_is_absent_from_help_completions_and_man_page() {
    let texts = [&["--help"][..], &["-h"], &["--man"], &["--completions", "bash"], &["--completions", "powershell"]];
    for arguments in texts {
        let output = output_of(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("shutdown-timeout") | text.contains("shutdown\\-timeout"));
        for absent in [
            "unix",
            "engine",
            "reactor",
            "pollers",
            "max-connections",
            "max\\-connections",
            "Landlock",
            "sandbox",
            "systemd",
            "SIGHUP",
            "SIGTERM",
            "ulimit",
            "/dev/",
            "man -l",
            "epoll",
            "sendfile",
        ] {
            assert!(!text.contains(absent), "{arguments:?} mentions {absent}");
        }
    }
    for option in [["--unix", "a"], ["--engine", "plain"], ["--pollers", "1"], ["--max-connections", "1"]] {
        let output = output_of(&option);
        assert_eq!(output.status.code(), Some(2), "{option:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("unexpected argument"), "{option:?}");
    }
}

// V3
#[test]
#[ignore = "for the program on Windows"]
fn v3_names_that_windows_takes_for_something_else_are_not_found() {
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("www");
    fs::create_dir_all(root.join("Sub Directory")).unwrap();
    fs::write(root.join("Long File Name.html"), "page").unwrap();
    fs::write(root.join("Sub Directory/a.txt"), "text").unwrap();
    fs::write(directory.path().join("secret"), "secret").unwrap();
    let program = Program::start(&root, &["--hidden"]);
    let at = program.address();
    assert_eq!(get(at, "/Long%20File%20Name.html").text(), "page");
    assert_eq!(get(at, "/Sub%20Directory/a.txt").text(), "text");
    for target in [
        "/NUL",
        "/nul.txt",
        "/CON",
        "/AUX",
        "/PRN",
        "/COM1",
        "/COM%C2%B9",
        "/LPT1.txt",
        "/CONIN$",
        "/CLOCK$",
        "/Sub%20Directory/NUL",
        "/Sub%20Directory/a.txt::$DATA",
        "/Sub%20Directory/a.txt:b",
        "/Sub%20Directory::$INDEX_ALLOCATION/a.txt",
        "/C:",
        "/C:/windows/win.ini",
        "/Z:/etc/passwd",
        "/c:windows",
        "//localhost/c$/windows/win.ini",
        "/%3F%3F/C:/windows/win.ini",
        "/LONGFI~1.HTM",
        "/SUBDIR~1/a.txt",
        "/Sub%20Directory/a.txt.",
        "/Sub%20Directory/a.txt%20",
        "/Sub%20Directory./a.txt",
        "/Sub%20Directory/a.tx%3F",
        "/Sub%20Directory/*",
        "/sub%20directory/A.TXT",
    ] {
        assert_eq!(get(at, target).status, 404, "{target}");
    }
    for target in [
        "/..%5Csecret",
        "/Sub%20Directory%5Ca.txt",
        "/%5C%5C.%5CNUL",
        "/%5C%5C%3F%5CC:%5Cwindows",
        "/..\\secret",
        "/../secret",
        "/%2e%2e/secret",
        "/Sub%20Directory/..%5C..%5Csecret",
    ] {
        let response = get(at, target);
        assert!(matches!(response.status, 400 | 404), "{target}: {}", response.status);
    }
    program.finish();
}

#[test]
#[ignore = "for the program on Windows"]
fn ctrl_c_lets_a_response_finish_and_a_second_one_ends_at_once() {
    let directory = directory();
    let patient = ["--shutdown-timeout", "60"];
    let mut program = Program::start(directory.path(), &patient);
    let mut stream = send(program.address(), b"GET /large HTTP/1.0\r\n\r\n");
    stream.peek(&mut [0]).unwrap();
    program.signal(Signal::INT);
    assert_eq!(program.wait(Duration::from_millis(300)), None, "it waits for the response");
    let bytes = read_to_end(&mut stream).unwrap();
    assert!(bytes.len() as u64 > LARGE && bytes.starts_with(b"HTTP/1.0 200"));
    assert_eq!(program.wait(Duration::from_secs(60)).unwrap().code(), Some(0));
    assert!(program.messages().ends_with("1 completed, 0 refused, 0 timed out, 0 aborted, 0 failed\n"));

    let mut program = Program::start(directory.path(), &patient);
    let stream = send(program.address(), b"GET /large HTTP/1.0\r\n\r\n");
    stream.peek(&mut [0]).unwrap();
    program.signal(Signal::INT);
    assert_eq!(program.wait(Duration::from_millis(300)), None);
    let second = Instant::now();
    program.signal(Signal::INT);
    assert_eq!(program.wait(Duration::from_secs(10)).unwrap().code(), Some(CONTROL_C_EXIT));
    assert!(second.elapsed() < Duration::from_secs(10));
}

#[test]
#[ignore = "for the program on Windows"]
fn all_addresses_are_ipv6_and_ipv4_and_each_url_is_printed_once() {
    let directory = directory();
    let program = Program::run(Command::new(PROGRAM).args(["--port", "0"]).arg(directory.path()));
    let ready = program.ready();
    for (n, line) in ready.iter().enumerate() {
        assert!(line.starts_with("listening on http://") && !ready[..n].contains(line), "{ready:?}");
    }
    assert_eq!(ready[0], format!("listening on http://localhost:{}/", program.port()));
    for at in [(Ipv4Addr::LOCALHOST, program.port()).into(), (Ipv6Addr::LOCALHOST, program.port()).into()] {
        assert_eq!(get(at, "/small").text(), "small");
    }
    program.finish();
}

// Windows would let the server listen on the protocol that is left, which some clients never try.
#[test]
#[ignore = "for the program on Windows"]
fn port_that_is_taken_for_one_protocol_is_in_use() {
    let directory = directory();
    let taken = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = output_of(&["--port", &port, directory.path().to_str().unwrap()]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        message.ends_with(&format!(
            "cannot listen on port {port}: it is in use (choose another with --port; port 0 picks a free one)\n"
        )),
        "{message}"
    );
}

#[test]
#[ignore = "for the program on Windows"]
fn messages_show_paths_as_they_are_typed() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    let shown = format!("serving the directory \"Z:{}\"\n", directory.path().display()).replace('/', "\\");
    assert!(program.messages().contains(&shown), "{}", program.messages());
    program.finish();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = output_of(&["--bind", "127.0.0.1", "--port", &port]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains(&format!("cannot listen on port {port} of 127.0.0.1: it is in use")), "{message}");
    let output = output_of(&["Z:\\none"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("webserver: cannot serve \"Z:\\none\": no such directory or file"), "{message}");
}

#[test]
#[ignore = "for the program on Windows"]
fn variable_is_an_option_in_any_case() {
    let output = output_of_command(Command::new(PROGRAM).env("webserver_Threads", "0").arg("--print-limits"));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(message.contains("WEBSERVER_THREADS: "), "{message}");
}

// The plain engine reads for 100 ms at a time.
#[test]
#[ignore = "for the program on Windows"]
fn idle_connection_is_kept_for_the_next_request() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    let mut stream = connect(program.address());
    for _ in 0..3 {
        stream.write_all(&keep_alive("/small")).unwrap();
        let response = read_response(&mut stream);
        assert!(response.keeps_alive() && response.text() == "small");
        thread::sleep(Duration::from_millis(350));
    }
    drop(stream);
    program.finish();
}
