//! How the program begins and how it ends: ready lines, refusals to start, signals.
// Clippy then takes the helpers, too, for tests.
#![cfg(test)]

mod support;

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use support::{
    PROGRAM, Program, answers, connect, get, keep_alive, output_of, output_of_command, read_answer, read_to_end,
    wait_until,
};

/// Far more than socket buffers hold.
const LARGE: u64 = 64 << 20;

fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    File::create(directory.path().join("large")).unwrap().set_len(LARGE).unwrap();
    directory
}

/// Asks for the large file and takes the first bytes; the rest has to wait.
fn begin_download(address: SocketAddr) -> (TcpStream, Vec<u8>) {
    let mut stream = connect(address);
    stream.write_all(&keep_alive("/large")).unwrap();
    let mut begin = vec![0; 1 << 16];
    stream.read_exact(&mut begin).unwrap();
    (stream, begin)
}

fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn v30_a_signal_lets_replies_end_and_nobody_in() {
    for signal in [Signal::TERM, Signal::INT] {
        let directory = directory();
        let mut program = Program::start(directory.path(), &["--threads", "2", "--shutdown-timeout", "60"]);
        let address = program.address();
        let (mut download, mut bytes) = begin_download(address);
        let mut kept = connect(address);
        kept.write_all(&keep_alive("/small")).unwrap();
        assert!(read_answer(&mut kept).is_idle_keep_alive());
        let mut silent = connect(address);
        silent.write_all(b"\r\n").unwrap(); // no request, and enough to be let in at once
        // A head that has begun before the stop is answered, and is the last of its connection.
        let mut begun = connect(address);
        begun.write_all(b"GET /small HTTP/1.0\r\nConnection: keep-alive\r\n").unwrap();
        thread::sleep(Duration::from_millis(100));

        program.signal(signal);
        assert_eq!(read_to_end(&mut kept).unwrap(), b"", "closed without a word");
        assert_eq!(read_to_end(&mut silent).unwrap(), b"", "closed without a word");
        wait_until("new ones are refused", || is_refused(address));
        begun.write_all(b"\r\n").unwrap();
        let answer = read_answer(&mut begun);
        assert_eq!((answer.text(), answer.is_idle_keep_alive()), ("small", false));
        assert_eq!(read_to_end(&mut begun).unwrap(), b"");

        assert_eq!(program.ended(Duration::ZERO), None, "it does not wait for the download");
        download.read_to_end(&mut bytes).unwrap();
        let answers = answers(&bytes, false).unwrap();
        assert_eq!((answers.len(), answers[0].body.len() as u64), (1, LARGE));
        let status = program.ended(Duration::from_secs(10)).expect("it ends with the last reply");
        assert_eq!(status.code(), Some(0));
        let messages = program.messages();
        let counts = "webserver: 4 connections: 3 completed, 0 refused, 0 timed out, 1 aborted, 0 failed\n";
        assert!(messages.ends_with(counts), "{messages}");
    }
}

#[test]
fn waiting_for_the_last_reply_costs_nothing() {
    let directory = directory();
    let program = Program::start(directory.path(), &["--threads", "2", "--shutdown-timeout", "60"]);
    let _download = begin_download(program.address());
    program.signal(Signal::TERM);
    wait_until("new ones are refused", || is_refused(program.address()));
    let used = program.processor_time();
    thread::sleep(Duration::from_secs(1));
    let used = program.processor_time() - used;
    assert!(used < Duration::from_millis(500), "{used:?} of a second spent on waiting");
}

#[test]
fn a_second_signal_ends_at_once() {
    for (first, second, code) in
        [(Signal::TERM, Signal::TERM, 143), (Signal::INT, Signal::INT, 130), (Signal::TERM, Signal::INT, 130)]
    {
        let directory = directory();
        let mut program = Program::start(directory.path(), &["--shutdown-timeout", "60"]);
        let _download = begin_download(program.address());
        program.signal(first);
        wait_until("new ones are refused", || is_refused(program.address()));
        thread::sleep(Duration::from_millis(200)); // else it is the same wish
        program.signal(second);
        assert_eq!(program.ended(Duration::from_secs(10)).and_then(|status| status.code()), Some(code));
    }
}

// As `timeout` sends them, to the process and then to its group.
#[test]
fn two_signals_at_once_are_one_wish() {
    let directory = directory();
    let mut program = Program::start(directory.path(), &[]);
    program.signal(Signal::TERM);
    program.signal(Signal::TERM);
    assert_eq!(program.ended(Duration::from_secs(10)).and_then(|status| status.code()), Some(0));
}

#[test]
fn who_reads_nothing_is_waited_for_as_long_as_the_grace() {
    let directory = directory();
    let mut program = Program::start(directory.path(), &["--shutdown-timeout", "1"]);
    let (mut download, mut bytes) = begin_download(program.address());
    let began = Instant::now();
    program.signal(Signal::TERM);
    let status = program.ended(Duration::from_secs(10)).expect("it ends by itself");
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    let messages = program.messages();
    assert!(messages.contains("\"GET /large HTTP/1.0\" 200 "), "the log says what was sent: {messages}");
    assert!(
        messages.ends_with("1 connections: 0 completed, 0 refused, 0 timed out, 0 aborted, 1 failed\n"),
        "{messages}"
    );
    let _ = download.read_to_end(&mut bytes);
    assert!((bytes.len() as u64) < LARGE, "visibly short");
}

#[test]
fn without_a_grace_it_ends_now() {
    let directory = directory();
    let mut program = Program::start(directory.path(), &["--shutdown-timeout", "0"]);
    let _download = begin_download(program.address());
    program.signal(Signal::TERM);
    assert_eq!(program.ended(Duration::from_secs(10)).and_then(|status| status.code()), Some(0));
}

#[test]
fn a_signal_to_an_idle_program_ends_it() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut program = Program::start(directory().path(), &[]);
        program.signal(signal);
        assert_eq!(program.ended(Duration::from_secs(4)).and_then(|status| status.code()), Some(0));
        let counts = "webserver: 0 connections: 0 completed, 0 refused, 0 timed out, 0 aborted, 0 failed\n";
        let messages = program.messages();
        assert!(messages.ends_with(counts) && !messages.contains("\" 200 "), "{messages}");
    }
}

/// The one line with which a start ends that cannot be: what is wrong, and what to do.
fn hindrance(command: &mut Command) -> String {
    let output = output_of_command(command);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), &*out), (Some(1), ""), "{command:?}: {err}");
    assert_eq!(err.matches('\n').count(), 1, "{command:?}: {err}");
    assert!(err.starts_with("webserver: ") && err.ends_with('\n'), "{command:?}: {err}");
    err
}

#[test]
fn what_hinders_a_start_is_one_line_that_says_what_to_do() {
    let directory = directory();
    let root = directory.path().to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_address = taken.local_addr().unwrap().to_string();
    let port = taken.local_addr().unwrap().port().to_string();
    let missing = format!("{root}/missing");
    let file = format!("{root}/small");
    let missing_log = format!("{missing}/log");
    let in_use = format!("cannot listen on port {port}: it is in use");
    let address_in_use = format!("cannot listen on port {port} of 127.0.0.1: it is in use");
    let socket = |name: &str| format!("{root}/{name}");
    let (long, lost) = (socket(&"x".repeat(108)), socket("missing/socket"));
    for (arguments, says, advises) in [
        (&["--bind", "127.0.0.1", "--port", &port, root][..], &*address_in_use, "--port"),
        (&["--port", &port, root], &in_use, "--port"),
        (&["--port", "0", &missing], "no such directory", "webserver ROOT"),
        (&["--port", "0", &file], "not a directory", "webserver ROOT"),
        (
            &["--port", "0", "--bind", "203.0.113.1", root],
            "cannot bind to 203.0.113.1: it is not an address of this machine",
            "--bind",
        ),
        (
            &["--port", "0", "--bind", "127.0.0.1", "--bind", "203.0.113.1", root],
            "cannot bind to 203.0.113.1",
            "--bind",
        ),
        (&["--unix", &long, root], "more than 107 bytes", "--unix"),
        (&["--unix", &lost, root], "its directory does not exist", "--unix"),
        (&["--unix", &file, root], "refusing to replace non-socket file at", "--unix"),
        (&["--unix", "/", root], "not the name of a file", "--unix"),
        (&["--unix", "/proc/socket", root], "cannot", ""),
        (&["--port", "0", "--metrics", &taken_address, root], "is in use", "--metrics"),
        (&["--port", "0", "--metrics", "203.0.113.1:0", root], "not an address of this machine", "--metrics"),
        (&["--port", "0", "--log-file", &missing_log, root], "cannot open the log file", "--log-file"),
    ] {
        let said = hindrance(Command::new(PROGRAM).args(arguments));
        assert!(said.contains(says) && said.contains(advises), "{arguments:?}: {said}");
    }
    assert_eq!(fs::read_dir(root).unwrap().count(), 2, "nothing is left behind");
}

#[test]
fn too_few_descriptors_are_said_before_the_start() {
    let directory = directory();
    for descriptors in [8, 20, 39] {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" --port 0 \"$1\""), PROGRAM]);
        let said = hindrance(command.arg(directory.path()));
        assert!(said.contains("open files") && said.contains("ulimit -n"), "{said}");
    }
}

#[test]
fn what_a_user_may_not_do_is_said() {
    let directory = directory();
    let at = |name: &str| directory.path().join(name);
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    fs::create_dir(at("locked")).unwrap();
    mode(directory.path(), 0o755);
    // Root may do all of this, and what nobody may execute lies where all can.
    let program = at("program");
    let user = || {
        let mut command = Command::new(PROGRAM);
        if rustix::process::geteuid().is_root() {
            command = Command::new(&program);
            command.uid(65534).gid(65534);
        }
        command
    };
    // Not by this process: a child of another test would hold the copy open, and it could not be executed.
    assert!(Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap().success());
    mode(&at("locked"), 0o000);
    let said = hindrance(user().args(["--port", "0"]).arg(at("locked")));
    assert!(
        said.contains("cannot serve") && said.contains("permission denied") && said.contains("another ROOT"),
        "{said}"
    );
    mode(&at("locked"), 0o555);
    let said = hindrance(user().arg("--unix").arg(at("locked/socket")).arg(directory.path()));
    assert!(said.contains("directory that you may write to") && said.contains("--unix"), "{said}");
    let first_free = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if first_free.is_ok_and(|port| port.trim().parse::<u16>().is_ok_and(|port| port > 1)) {
        let said = hindrance(user().args(["--port", "1"]).arg(directory.path()));
        assert!(said.contains("cannot listen on port 1:") && said.contains("privileges") && said.contains("--port"), "{said}");
    }
}

#[test]
fn a_wrong_command_line_is_2() {
    for arguments in [
        &["--port", "x"][..],
        &["--port", "65536"],
        &["--port", "-1"],
        &["--port", "+0"],
        &["--threads", "+1"],
        &["--port", "0x50"],
        &["--port"],
        &["--bind", "nowhere"],
        &["--metrics", "9100"],
        &["--unix"],
        &["--threads", "0"],
        &["--threads", "-1"],
        &["--max-connections", "0"],
        &["--header-timeout", "soon"],
        &["--shutdown-timeout", "-1"],
        &["--log-format", "xml"],
        &["--trust-proxy", "10.0.0.0/33"],
        &["--no-such-option"],
        &["one", "two"],
    ] {
        let output = output_of(arguments);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {err}");
        assert!(err.starts_with("error: ") && err.contains("--help"), "{arguments:?}: {err}");
    }
}

#[test]
fn version_and_help_are_printed() {
    let version = output_of(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(String::from_utf8(version.stdout).unwrap(), format!("webserver {}\n", env!("CARGO_PKG_VERSION")));
    for option in ["--help", "-h"] {
        let help = output_of(&[option]);
        assert_eq!((help.status.code(), help.stderr.len()), (Some(0), 0));
        assert!(String::from_utf8(help.stdout).unwrap().contains("[ROOT]"));
    }
}

// What the help names works: it serves with all of it.
#[test]
fn help_lists_what_works() {
    const OPTIONS: &[(&str, &str)] = &[
        ("--port", "0"),
        ("--bind", "127.0.0.1"),
        ("--unix", "socket"),
        ("--metrics", "127.0.0.1:0"),
        ("--threads", "3"),
        ("--max-connections", "100"),
        ("--cache-size", "1"),
        ("--header-timeout", "2.5"),
        ("--idle-timeout", "2.5"),
        ("--min-rate", "512"),
        ("--shutdown-timeout", "0.5"),
        ("--no-keep-alive", ""),
        ("--no-listing", ""),
        ("--index", "small"),
        ("--hidden", ""),
        ("--follow-symlinks", ""),
        ("--fallback", "small"),
        ("--error-page", "403=small"),
        ("--header", "X-A: b"),
        ("--cors", ""),
        ("--cache-control", "no-cache"),
        ("--type", "gmi=text/gemini"),
        ("--charset", "none"),
        ("--no-precompressed", ""),
        ("--log-file", "/dev/null"),
        ("--trust-proxy", "10.0.0.0/8"),
        ("--log-format", "json"),
        ("--log-format", "combined"),
        ("--log-format", "off"),
        ("--log-format", "common"),
    ];
    let help = String::from_utf8(output_of(&["--help"]).stdout).unwrap();
    let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let mut named: Vec<&str> = words.filter(|word| word.starts_with("--")).collect();
    named.sort_unstable();
    named.dedup();
    // That --auth works is shown in auth.rs.
    let mut known: Vec<&str> = OPTIONS
        .iter()
        .map(|(name, _)| *name)
        .chain(["--auth", "--completions", "--explain", "--help", "--man", "--print-limits", "--version"])
        .collect();
    known.sort_unstable();
    known.dedup();
    assert_eq!(named, known, "{help}");

    let directory = directory();
    let mut command = Command::new(PROGRAM);
    for (name, value) in &OPTIONS[..OPTIONS.len() - 3] {
        command.arg(name).args(Some(value).filter(|value| !value.is_empty()));
    }
    let program = Program::run(command.current_dir(directory.path()).arg(directory.path()));
    assert_eq!(get(program.address(), "/small").text(), "small");
    program.finish();
}

#[test]
fn ready_lines_are_those_of_bind() {
    let directory = directory();
    let program = Program::run(
        Command::new(PROGRAM).args(["-p", "0", "-b", "127.0.0.1", "--bind", "127.0.0.2"]).arg(directory.path()),
    );
    let addresses: Vec<SocketAddr> = program.ready().into_iter().map(address_in).collect();
    assert_eq!(addresses.iter().map(|a| a.ip().to_string()).collect::<Vec<_>>(), ["127.0.0.1", "127.0.0.2"]);
    for &address in &addresses {
        assert!(address.port() > 0);
        assert_eq!(get(address, "/small").text(), "small");
    }
    assert!(is_refused(SocketAddr::new("127.0.0.3".parse().unwrap(), addresses[0].port())));
    program.finish();
}

#[test]
fn ready_lines_name_addresses_of_ipv6_in_brackets() {
    if TcpListener::bind("[::1]:0").is_err() {
        return; // a machine without IPv6 is no error
    }
    let directory = directory();
    let program = Program::run(Command::new(PROGRAM).args(["--port", "0", "--bind", "::1"]).arg(directory.path()));
    let [line] = program.ready()[..] else { panic!("{:?}", program.ready()) };
    assert!(line.starts_with("listening on http://[::1]:"), "{line}");
    assert_eq!(get(address_in(line), "/small").text(), "small");
    assert!(program.finish().contains("::1 - - ["));
}

#[test]
fn without_bind_localhost_comes_first() {
    let directory = directory();
    let program = Program::run(Command::new(PROGRAM).args(["--port", "0"]).arg(directory.path()));
    let port = program.port();
    let ready = program.ready();
    assert_eq!(ready[0], format!("listening on http://localhost:{port}/"));
    for line in &ready[1..] {
        let address = address_in(line);
        assert_eq!(address.port(), port, "{line}");
        assert!(!address.ip().is_loopback() && !address.ip().is_unspecified(), "{line}");
        assert_eq!(get(address, "/small").text(), "small", "{line}");
    }
    assert_eq!(get(program.address(), "/small").text(), "small");
    if TcpListener::bind("[::1]:0").is_ok() {
        assert_eq!(get(SocketAddr::new("::1".parse().unwrap(), port), "/small").text(), "small");
    }
    // A peer by IPv4 is named so, though the socket is one for both.
    let messages = program.finish();
    assert!(messages.contains("127.0.0.1 - - [") && !messages.contains("::ffff"), "{messages}");
}

fn address_in(line: &str) -> SocketAddr {
    let address = line.strip_prefix("listening on http://").and_then(|rest| rest.strip_suffix('/'));
    address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("a ready line is {line:?}"))
}

// A pipe that nobody reads is full after some hundred lines.
#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let directory = directory();
    let mut process = Command::new(PROGRAM)
        .args(["--port", "0", "--bind", "127.0.0.1", "--threads", "1"])
        .arg(directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let served = thread::spawn(move || {
        let mut stream = connect(address_in(line.trim_end()));
        let longest = format!("/small?{}", "q".repeat(4000));
        for _ in 0..1000 {
            stream.write_all(&keep_alive(&longest)).unwrap();
            assert_eq!(read_answer(&mut stream).text(), "small");
        }
    })
    .join();
    let _ = rustix::process::kill_process(Pid::from_child(&process), Signal::TERM);
    let deadline = Instant::now() + Duration::from_secs(8);
    let mut status = None;
    while status.is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
        status = process.try_wait().unwrap();
    }
    let _ = process.kill();
    let _ = process.wait();
    assert!(served.is_ok());
    assert_eq!(status.and_then(|status| status.code()), Some(0), "it waits for the reader of its log");
}

// The current directory is served where none is named.
#[test]
fn the_root_is_where_it_was_started() {
    let directory = directory();
    let program =
        Program::run(Command::new(PROGRAM).current_dir(directory.path()).args(["--port", "0", "--bind", "127.0.0.1"]));
    assert_eq!(get(program.address(), "/small").text(), "small");
    program.finish();
}
