//! What is said at the start: what is served, at which URLs, also as a QR code, and how to stop it. What a closed
//! terminal does.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;
use tempfile::TempDir;

use support::{PROGRAM, Program, TIMEOUT, exchange, get, terminal, tool, users_line, wait_until};

fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    directory
}

fn run(options: &[&str], root: &Path) -> Program {
    Program::run(Command::new(PROGRAM).args(["--port", "0"]).args(options).arg(root))
}

/// The URLs for other machines.
fn urls(messages: &str) -> Vec<&str> {
    let line = messages.lines().find_map(|line| line.strip_prefix("webserver: from other machines: "));
    line.map(|line| line.split(' ').collect()).unwrap_or_default()
}

fn address_in(url: &str) -> SocketAddr {
    url.strip_prefix("http://").and_then(|url| url.strip_suffix('/')?.parse().ok()).unwrap_or_else(|| panic!("{url}"))
}

#[test]
fn messages_say_what_is_served_where_and_how_to_stop_it() {
    let directory = directory();
    let all = run(&[], directory.path());
    // The ready lines name these addresses, too, as a network of this machine has them.
    let mut elsewhere: Vec<SocketAddr> =
        all.ready()[1..].iter().map(|line| address_in(line.strip_prefix("listening on ").unwrap())).collect();
    elsewhere.sort_by_key(SocketAddr::is_ipv6);
    all.finish();
    let own = elsewhere.first().map(|address| address.ip().to_string()).unwrap_or("127.0.0.1".into());
    let expected = |filter: fn(&SocketAddr) -> bool| elsewhere.iter().filter(move |address| filter(address));
    for (options, expected) in [
        (&[][..], expected(|_| true).collect::<Vec<_>>()),
        (&["--bind", "0.0.0.0"], expected(SocketAddr::is_ipv4).collect()),
        (&["--bind", "::"], expected(SocketAddr::is_ipv6).collect()),
        (&["--bind", &own], elsewhere.iter().take(1).collect()),
        (&["--bind", "127.0.0.1"], Vec::new()),
        (&["--bind", "localhost"], Vec::new()),
    ] {
        if options.contains(&"::") && std::net::TcpListener::bind("[::]:0").is_err() {
            continue; // this machine has no IPv6
        }
        let program = run(options, directory.path());
        let messages = program.messages();
        let urls = urls(&messages);
        assert_eq!(
            urls.iter().map(|url| address_in(url).ip()).collect::<Vec<_>>(),
            expected.iter().map(|address| address.ip()).collect::<Vec<_>>(),
            "{options:?}"
        );
        for url in urls {
            assert_eq!(address_in(url).port(), program.port());
            assert_eq!(get(address_in(url), "/small").text(), "small", "{url}");
        }
        if let ["--bind", "0.0.0.0"] = options {
            assert_eq!(program.ready(), [format!("listening on http://0.0.0.0:{}/", program.port())]);
        }
        let root = directory.path().canonicalize().unwrap();
        let lines: Vec<&str> =
            messages.lines().filter(|line| !line.contains("running as root") && !line.contains("IPv4 only")).collect();
        assert_eq!(lines.len(), 3 + usize::from(!expected.is_empty()), "{messages}");
        assert_eq!(lines[0], format!("webserver: serving the directory {root:?}"));
        assert_eq!(*lines.last().unwrap(), "webserver: Press Ctrl-C to stop");
        program.finish();
    }
}

#[test]
fn urls_that_allowed_host_refuses_are_named_and_not_recommended() {
    let directory = directory();
    let all = run(&[], directory.path());
    let elsewhere = all.ready().get(1).map(|line| address_in(line.strip_prefix("listening on ").unwrap()).ip());
    let elsewhere = elsewhere.map_or("192.0.2.7".into(), |ip| ip.to_string());
    all.finish();
    for (hosts, options) in [
        (&["files.example"][..], &["--qr"][..]),
        (&["LOCALHOST"], &[]),
        (&["localhost", "127.0.0.1"], &["--bind", "localhost"]),
        (&[&elsewhere], &["--qr"]),
        (&["::1", "127.0.0.1"], &["--bind", "127.0.0.1"]),
    ] {
        let options = hosts.iter().flat_map(|host| ["--allowed-host", host]).chain(options.iter().copied());
        let program = run(&options.collect::<Vec<_>>(), directory.path());
        let messages = program.messages();
        let refused =
            messages.lines().find_map(|line| line.strip_prefix("webserver: --allowed-host refuses requests for: "));
        let refused: Vec<&str> = refused.map(|line| line.split(' ').collect()).unwrap_or_default();
        let status = |url: &str| {
            let host = url.trim_start_matches("http://").trim_end_matches('/');
            exchange(program.address(), format!("GET /small HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).status
        };
        for line in program.ready() {
            let url = line.strip_prefix("listening on ").unwrap();
            assert_eq!(status(url), if refused.contains(&url) { 421 } else { 200 }, "{url} in {messages}");
        }
        for url in urls(&messages) {
            assert_eq!(status(url), 200, "{url} in {messages}");
        }
        assert_eq!(refused.is_empty(), hosts == ["::1", "127.0.0.1"], "{messages}");
        assert_eq!(drawing(&messages).is_some(), messages.contains("QR code of"), "{messages}");
        program.finish();
    }
}

#[test]
fn how_to_stop_it_is_not_for_programs_that_read_messages() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let json = run(&["--log-format", "json"], directory.path()).finish();
    assert!(json.contains("serving the directory") && !json.contains("Ctrl-C"), "{json}");
    for line in json.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(object["message"].is_string(), "{line}");
    }
    let path = place.path().join("notify");
    let _manager = UnixDatagram::bind(&path).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["--port", "0"]).arg(directory.path()).env("NOTIFY_SOCKET", &path);
    let service = Program::run(&mut command).finish();
    assert!(service.contains("serving the directory") && !service.contains("Ctrl-C"), "{service}");
}

/// The text of a QR code that is drawn with block elements, whose light modules are drawn.
fn decode(drawing: &str) -> String {
    let rows: Vec<Vec<char>> = drawing.lines().map(|line| line.chars().collect()).collect();
    const SCALE: usize = 4;
    let (width, height) = (rows[0].len() * SCALE, rows.len() * 2 * SCALE);
    let is_light = |x: usize, y: usize| {
        let (row, upper) = (y / SCALE / 2, (y / SCALE).is_multiple_of(2));
        match rows[row][x / SCALE] {
            '\u{2588}' => true,
            '\u{2580}' => upper,
            '\u{2584}' => !upper,
            ' ' => false,
            other => panic!("{other:?} in {drawing}"),
        }
    };
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| if is_light(x, y) { 255 } else { 0 });
    let codes = image.detect_grids();
    assert_eq!(codes.len(), 1, "{drawing}");
    codes[0].decode().unwrap().1
}

/// What is printed between the line that announces the code and the last one.
fn drawing(messages: &str) -> Option<String> {
    let code = messages.lines().skip_while(|line| !line.contains("QR code of ")).skip(1);
    let lines: Vec<&str> = code.take_while(|line| !line.starts_with("webserver: ")).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[test]
fn qr_code_is_read_as_the_first_url_for_other_machines() {
    let directory = directory();
    let program = run(&["--qr"], directory.path());
    let messages = program.messages();
    match urls(&messages).first() {
        Some(url) => assert_eq!(decode(&drawing(&messages).unwrap()), *url),
        None => assert!(messages.contains("--qr: no URL works from other machines"), "{messages}"),
    }
    program.finish();
    let local = run(&["--qr", "--bind", "127.0.0.1"], directory.path()).finish();
    assert!(local.contains("--qr: no URL works from other machines") && drawing(&local).is_none(), "{local}");
}

#[test]
fn qr_code_on_a_terminal_has_colours_of_its_own() {
    let directory = directory();
    let (outer, inner) = terminal();
    let mut command = Command::new(PROGRAM);
    command.args(["--port", "0", "--qr"]).arg(directory.path());
    let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(inner).spawn().unwrap();
    drop(command); // and with it the last descriptor of the terminal in this process
    let (sender, screen) = mpsc::channel();
    thread::spawn(move || {
        let (mut outer, mut text, mut buffer) = (File::from(outer), String::new(), [0; 4096]);
        while !text.contains("Ctrl-C") {
            let n = outer.read(&mut buffer).unwrap();
            text += &String::from_utf8_lossy(&buffer[..n]);
        }
        let _ = sender.send((text, outer));
    });
    let (text, _outer) = screen.recv_timeout(TIMEOUT).unwrap();
    let program = Program::when_ready(process, tempfile::tempfile().unwrap());
    let text = text.replace('\r', "");
    if let Some(url) = urls(&text).first() {
        let drawing = drawing(&text).unwrap();
        // White on black, both from the part of the palette that no theme changes.
        let colours = ["\x1b[38;5;231;48;5;16m", "\x1b[0m"];
        let plain: Vec<&str> = drawing
            .lines()
            .map(|line| line.strip_prefix(colours[0]).and_then(|line| line.strip_suffix(colours[1])).unwrap())
            .collect();
        assert_eq!(decode(&plain.join("\n")), *url);
    }
    drop(program);
}

#[test]
fn hangup_ends_what_runs_on_a_terminal_and_is_not_told_otherwise() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let (log, users) = (place.path().join("log"), place.path().join("users"));
    fs::write(&users, users_line("user", 4)).unwrap();
    let (log, users) = (log.to_str().unwrap(), users.to_str().unwrap());
    for (options, on_terminal, ignored, ends) in [
        (&[][..], true, false, true),
        (&[], false, false, false),
        (&[], true, true, false), // as nohup does
        (&["--log-file", log], true, false, false),
        (&["--auth", users], true, false, false),
        (&["--log-format", "off"], true, false, true),
    ] {
        let (_outer, inner) = terminal();
        let mut command = Command::new("sh");
        // Under nohup, the test itself ignores it.
        let script =
            if ignored { "trap '' HUP; exec \"$0\" \"$@\"" } else { "exec env --default-signal=HUP \"$0\" \"$@\"" };
        command.args(["-c", script, PROGRAM, "--port", "0", "--bind", "127.0.0.1"]).args(options).arg(directory.path());
        let messages = tempfile::tempfile().unwrap();
        command.stdin(if on_terminal { Stdio::from(inner) } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(messages.try_clone().unwrap());
        let mut program = Program::when_ready(command.spawn().unwrap(), messages);
        let what = format!("{options:?}, on a terminal: {on_terminal}, ignored: {ignored}");
        // A shell and the kernel may both send it.
        program.signal(Signal::HUP);
        program.signal(Signal::HUP);
        if ends {
            let status = program.wait(TIMEOUT);
            assert_eq!(status.map(|status| status.code()), Some(Some(0)), "{what}: {}", program.messages());
            assert!(program.messages().contains("0 connections: "), "{what}");
        } else {
            let status = get(program.address(), "/small").status;
            assert_eq!(status, if options.contains(&"--auth") { 401 } else { 200 }, "{what}");
            program.finish();
        }
    }
}

#[test]
fn closed_terminal_ends_the_server() {
    let Some(setsid) = tool("setsid") else { return };
    let directory = directory();
    let (outer, inner) = terminal();
    let mut command = Command::new(setsid);
    command.args(["--ctty", "env", "--default-signal=HUP"]); // under nohup, the test ignores it
    command.args([PROGRAM, "--port", "0", "--bind", "127.0.0.1"]).arg(directory.path());
    // As in a terminal: everything but the ready lines is on it.
    command.stdin(inner.try_clone().unwrap()).stdout(Stdio::piped()).stderr(inner);
    let process = command.spawn().unwrap();
    drop(command);
    let mut program = Program::when_ready(process, tempfile::tempfile().unwrap());
    assert_eq!(get(program.address(), "/small").text(), "small");
    drop(outer);
    assert_eq!(program.wait(TIMEOUT).map(|status| status.code()), Some(Some(0)));
    wait_until("its port is free", || std::net::TcpStream::connect(program.address()).is_err());
}
