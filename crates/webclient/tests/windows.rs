//! What is different on Windows. `WEBCLIENT_TEST_PROGRAM` is the program for it, which scripts/portable runs under wine.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;

use tempfile::TempDir;

use support::{OK, Server, assert_ends, command, run_on_terminal};

/// What a terminal got, without the sequences that wine's console adds to show a text.
fn without_sequences(seen: &str) -> String {
    let mut pieces = seen.split("\x1b[");
    let mut text = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        text += &piece[end + 1..];
    }
    text.replace('\r', "")
}

#[test]
#[ignore = "for the program on Windows"]
fn console_gets_no_control_characters_of_head_or_body() {
    let body = "\x1b]0;title\x07 \u{e9} \u{9b}2J a\rb\r\nend\x7f\n";
    let server = Server::responding(format!("HTTP/1.0 200 \u{9b}31m\r\nX: \u{202e}y\r\n\r\n{body}"));
    let (status, seen) = run_on_terminal(&format!("$W -i {}", server.url("/a")));
    let shown = without_sequences(&seen);
    assert_eq!(status, Some(0));
    let expected =
        "HTTP/1.0 200 \\xc2\\x9b31m\nX: \\xe2\\x80\\xaey\n\n\\x1b]0;title\\x07 \u{e9} \\xc2\\x9b2J a\\rb\nend\\x7f\n";
    assert_eq!(shown, expected);
    // A pipe gets the bytes unchanged.
    assert_ends(&server.get_url(&[]), 0, body, "");
}

#[test]
#[ignore = "for the program on Windows"]
fn progress_bar_is_shown_on_a_console_only() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("a");
    let server = Server::of(&[("/a", OK)]);
    let (status, seen) = run_on_terminal(&format!("$W -o {} {}", file.display(), server.url("/a")));
    let shown = without_sequences(&seen);
    assert_eq!(status, Some(0));
    let is_bar = |line: &str| line.contains("/a ") && line.contains('\u{2588}') && line.contains(" 2 B/2 B ");
    assert!(is_bar(&shown), "{shown}");
    assert_eq!(fs::read(&file).unwrap(), b"hi");
    assert_ends(&server.get_url(&["-o", file.to_str().unwrap()]), 0, "", "");
}

#[test]
#[ignore = "for the program on Windows"]
fn url_names_no_device_stream_or_other_file() {
    let server = Server::responding(OK);
    let directory = TempDir::new().unwrap();
    for name in [
        "NUL",
        "con.txt",
        "COM1",
        "lpt%C2%B9",
        "a%3Ab",
        "a::$DATA",
        "C%3A",
        "a.",
        "a%20",
        "..%5Ca",
        "%5Ca",
        "a%3F",
        "a*",
        "AAAAAA~1.TXT",
        "a%FF",
    ] {
        let output = command(["-O", &server.url(&format!("/{name}"))]).current_dir(&directory).output().unwrap();
        assert_ends(&output, 23, "", "the file name in the URL ");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "{name}");
    }
    for (name, file) in
        [("a%20b.txt", "a b.txt"), ("%C3%A9%F0%9F%8C%8D.txt", "\u{e9}\u{1f30d}.txt"), ("com10", "com10")]
    {
        let output = command(["-O", &server.url(&format!("/{name}"))]).current_dir(&directory).output().unwrap();
        assert_ends(&output, 0, "", "");
        assert_eq!(fs::read(directory.path().join(file)).unwrap(), b"hi");
    }
    // An option says what it means: a device gets the bytes.
    assert_ends(&server.get_url(&["-o", "NUL"]), 0, "", "");
}
