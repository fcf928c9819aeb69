//! The command line: every option works, errors name their cause, and the ready lines name the addresses.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use support::{PROGRAM, Program, fetch, get, output_of, output_of_command, tool};

fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    directory
}

fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// The one line with which a failed start ends.
fn startup_error(command: &mut Command) -> String {
    let output = output_of_command(command);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), &*out), (Some(1), ""), "{command:?}: {err}");
    assert_eq!(err.matches('\n').count(), 1, "{command:?}: {err}");
    assert!(err.starts_with("webserver: ") && err.ends_with('\n'), "{command:?}: {err}");
    err
}

#[test]
fn startup_error_is_one_line_with_cause_and_advice() {
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
    let (too_long, without_directory) = (socket(&"x".repeat(108)), socket("missing/socket"));
    for (arguments, cause, advice) in [
        (&["--bind", "127.0.0.1", "--port", &port, root][..], &*address_in_use, "--port"),
        (&["--port", &port, root], &in_use, "--port"),
        (&["--port", "0", &missing], "no such directory", "webserver ROOT"),
        (&["--port", "0", "/dev/null"], "neither a directory nor a file", "webserver ROOT"),
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
        (&["--unix", &too_long, root], "more than 107 bytes", "--unix"),
        (&["--unix", &without_directory, root], "its directory does not exist", "--unix"),
        (&["--unix", &file, root], "refusing to replace non-socket file at", "--unix"),
        (&["--unix", "/", root], "not the name of a file", "--unix"),
        (&["--unix", "/proc/socket", root], "cannot", ""),
        (&["--port", "0", "--metrics", &taken_address, root], "is in use", "--metrics"),
        (&["--port", "0", "--metrics", "203.0.113.1:0", root], "not an address of this machine", "--metrics"),
        (&["--port", "0", "--log-file", &missing_log, root], "cannot open the log file", "--log-file"),
    ] {
        let error = startup_error(Command::new(PROGRAM).args(arguments));
        assert!(error.contains(cause) && error.contains(advice), "{arguments:?}: {error}");
    }
    assert_eq!(fs::read_dir(root).unwrap().count(), 1, "no file is left behind");
}

#[test]
fn startup_fails_if_open_file_limit_is_too_low() {
    let directory = directory();
    for descriptors in [8, 20, 39] {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" --port 0 \"$1\""), PROGRAM]);
        let error = startup_error(command.arg(directory.path()));
        assert!(error.contains("open files") && error.contains("ulimit -n"), "{error}");
    }
}

#[test]
fn startup_error_names_missing_permission() {
    let directory = directory();
    let at = |name: &str| directory.path().join(name);
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    fs::create_dir(at("locked")).unwrap();
    mode(directory.path(), 0o755);
    // Root may do all of this, so the program runs as another user, from a copy that this user can execute.
    let program = at("program");
    let user = || {
        let mut command = Command::new(PROGRAM);
        if rustix::process::geteuid().is_root() {
            command = Command::new(&program);
            command.uid(65534).gid(65534);
        }
        command
    };
    // Copied by another process: a child of another test could hold the copy open for writing, and then it cannot run.
    assert!(Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap().success());
    mode(&at("locked"), 0o000);
    let error = startup_error(user().args(["--port", "0"]).arg(at("locked")));
    assert!(
        error.contains("cannot serve") && error.contains("permission denied") && error.contains("another ROOT"),
        "{error}"
    );
    mode(&at("locked"), 0o555);
    let error = startup_error(user().arg("--unix").arg(at("locked/socket")).arg(directory.path()));
    assert!(error.contains("directory that you may write to") && error.contains("--unix"), "{error}");
    let first_free = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if first_free.is_ok_and(|port| port.trim().parse::<u16>().is_ok_and(|port| port > 1)) {
        let error = startup_error(user().args(["--port", "1"]).arg(directory.path()));
        assert!(
            error.contains("cannot listen on port 1:") && error.contains("privileges") && error.contains("--port"),
            "{error}"
        );
    }
}

#[test]
fn wrong_usage_exits_with_status_2() {
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
        &["--threads", "1025"],
        &["--threads", "100000"],
        &["--pollers", "1025"],
        &["--pollers", "0"],
        &["--threads", "-1"],
        &["--max-connections", "0"],
        &["--header-timeout", "soon"],
        &["--shutdown-timeout", "-1"],
        &["--log-format", "xml"],
        &["--trust-proxy", "10.0.0.0/33"],
        &["--no-such-option"],
        &["--verbose"],
        &["--qr", "--log-format", "json"],
        &["one", "two"],
    ] {
        let output = output_of(arguments);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {err}");
        assert!(err.starts_with("error: ") && err.contains("--help"), "{arguments:?}: {err}");
    }
}

#[test]
fn most_threads_are_1024() {
    for option in ["--threads", "--pollers"] {
        let err = String::from_utf8(output_of(&[option, "1025"]).stderr).unwrap();
        assert!(err.contains("from 1 to 1024"), "{err}");
        assert_eq!(output_of(&[option, "1024", "--print-limits"]).status.code(), Some(0));
    }
    let directory = directory();
    let program = Program::start(directory.path(), &["--threads", "1024", "--pollers", "1024"]);
    assert_eq!(get(program.address(), "/small").text(), "small");
    program.finish();
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

// The program serves with all options that the help names.
#[test]
fn help_lists_all_options_and_all_options_work() {
    const OPTIONS: &[(&str, &str)] = &[
        ("--port", "0"),
        ("--bind", "127.0.0.1"),
        ("--qr", ""),
        ("--unix", "socket"),
        ("--metrics", "127.0.0.1:0"),
        ("--threads", "3"),
        ("--pollers", "2"),
        ("--max-connections", "100"),
        ("--cache-size", "1"),
        ("--header-timeout", "2.5"),
        ("--idle-timeout", "2.5"),
        ("--min-rate", "512"),
        ("--shutdown-timeout", "0.5"),
        ("--no-keep-alive", ""),
        ("--no-listing", ""),
        ("--no-archive", ""),
        ("--index", "small"),
        ("--hidden", ""),
        ("--follow-symlinks", ""),
        ("--pretty-urls", ""),
        ("--fallback", "small"),
        ("--error-page", "403=small"),
        ("--header", "X-A: b"),
        ("--cors", ""),
        ("--cache-control", "/small=no-cache"),
        ("--allowed-host", "localhost"),
        ("--type", "gmi=text/gemini"),
        ("--charset", "none"),
        ("--no-precompressed", ""),
        ("--mirror-etags", ""),
        ("--log-file", "/dev/null"),
        ("--trust-proxy", "10.0.0.0/8"),
        ("--log-format", "common"),
        ("--log-format", "combined"),
        ("--log-format", "off"),
        ("--log-format", "json"),
    ];
    let help = String::from_utf8(output_of(&["--help"]).stdout).unwrap();
    let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let mut named: Vec<&str> = words.filter(|word| word.starts_with("--")).collect();
    named.sort_unstable();
    named.dedup();
    // auth.rs and users.rs test --auth and --hash-password, shutdown.rs --engine.
    let mut known: Vec<&str> = OPTIONS
        .iter()
        .map(|(name, _)| *name)
        .chain([
            "--auth",
            "--completions",
            "--engine",
            "--explain",
            "--hash-password",
            "--help",
            "--man",
            "--print-limits",
            "--verbose",
            "--version",
        ])
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
fn ready_lines_name_addresses_of_bind() {
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
fn ready_lines_name_ipv6_addresses_in_brackets() {
    if TcpListener::bind("[::1]:0").is_err() {
        return; // this machine has no IPv6
    }
    let directory = directory();
    let program = Program::run(Command::new(PROGRAM).args(["--port", "0", "--bind", "::1"]).arg(directory.path()));
    let [line] = program.ready()[..] else { panic!("{:?}", program.ready()) };
    assert!(line.starts_with("listening on http://[::1]:"), "{line}");
    assert_eq!(get(address_in(line), "/small").text(), "small");
    assert!(program.finish().contains("::1 - - ["));
}

#[test]
fn ready_lines_begin_with_localhost_without_bind() {
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
    // An IPv4 client has its IPv4 address in the log, although one socket serves both protocols.
    let messages = program.finish();
    assert!(messages.contains("127.0.0.1 - - [") && !messages.contains("::ffff"), "{messages}");
}

fn address_in(line: &str) -> SocketAddr {
    let address = line.strip_prefix("listening on http://").and_then(|rest| rest.strip_suffix('/'));
    address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("not a ready line: {line:?}"))
}

#[test]
fn localhost_is_one_port_of_both_loopback_addresses() {
    let directory = directory();
    let program =
        Program::run(Command::new(PROGRAM).args(["--port", "0", "--bind", "localhost"]).arg(directory.path()));
    let addresses: Vec<SocketAddr> = program.ready().into_iter().map(address_in).collect();
    let mut expected = vec![SocketAddr::from(([127, 0, 0, 1], program.port()))];
    if TcpListener::bind("[::1]:0").is_ok() {
        expected.push(SocketAddr::new("::1".parse().unwrap(), program.port()));
    }
    assert_eq!(addresses, expected);
    assert!(addresses.iter().all(|&address| get(address, "/small").text() == "small"));
    // One of the addresses is not enough if the other one is taken.
    let port = program.port().to_string();
    let error =
        startup_error(Command::new(PROGRAM).args(["--port", &port, "--bind", "localhost"]).arg(directory.path()));
    assert!(error.contains(&format!("cannot listen on port {port} of localhost: it is in use")), "{error}");
    program.finish();

    for taken in &expected {
        let _taken = TcpListener::bind(taken).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["--port", &port, "--bind", "localhost"]).arg(directory.path());
        let error = startup_error(&mut command);
        assert!(error.contains("it is in use"), "{taken}: {error}");
    }
    let metrics = Program::start(directory.path(), &["--metrics", "localhost:0"]);
    let messages = metrics.messages();
    let urls: Vec<&str> =
        messages.lines().filter_map(|line| line.strip_prefix("webserver: metrics at http://")).collect();
    assert_eq!(urls.len(), expected.len(), "{messages}");
    for url in urls {
        assert_eq!(get(url.strip_suffix("/metrics").unwrap().parse().unwrap(), "/metrics").status, 200);
    }
    metrics.finish();
}

/// A link-local address of this machine, with the name and the number of its interface.
fn link_local() -> Option<(Ipv6Addr, String, u32)> {
    let addresses = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let found = addresses.lines().find_map(|line| {
        let [ip, number, _, _, _, name] = line.split_whitespace().collect::<Vec<_>>()[..] else { return None };
        let ip = Ipv6Addr::from(u128::from_str_radix(ip, 16).ok()?);
        ip.is_unicast_link_local().then(|| (ip, name.to_owned(), u32::from_str_radix(number, 16).unwrap()))
    });
    if found.is_none() {
        println!("MISSING: a link-local address");
    }
    found
}

#[test]
fn link_local_address_is_bound_with_its_interface() {
    let directory = directory();
    let Some((ip, name, number)) = link_local() else { return };
    for interface in [name.clone(), number.to_string()] {
        let bind = format!("{ip}%{interface}");
        let program = Program::run(Command::new(PROGRAM).args(["--port", "0", "--bind", &bind]).arg(directory.path()));
        let port = program.port();
        assert_eq!(program.ready(), [format!("listening on http://[{ip}%25{name}]:{port}/")]);
        let address = SocketAddrV6::new(ip, port, 0, number);
        assert_eq!(get(address.into(), "/small").text(), "small");
        if let Some(curl) = tool("curl") {
            let url = format!("{}small", program.ready()[0].strip_prefix("listening on ").unwrap());
            let output = Command::new(curl).args(["--disable", "--silent", "--noproxy", "*", &url]).output().unwrap();
            assert_eq!(output.stdout, b"small", "{url}");
        }
        program.finish();
    }
    for (bind, expected) in [
        (ip.to_string(), format!("it needs its interface, e.g. --bind {ip}%eth0")),
        (format!("{ip}%no-such"), "there is no such interface".into()),
    ] {
        let error = startup_error(Command::new(PROGRAM).args(["--port", "0", "--bind", &bind]).arg(directory.path()));
        assert!(error.contains(&format!("cannot bind to {bind}: {expected}")), "{error}");
    }
}

#[test]
fn environment_stands_in_for_options_that_are_not_given() {
    let directory = directory();
    fs::write(directory.path().join("other"), "other").unwrap();
    let command = || {
        let mut command = Command::new(PROGRAM);
        command.env("WEBSERVER_ROOT", directory.path()).env("WEBSERVER_BIND", "127.0.0.1\n127.0.0.2");
        command
    };
    let mut fallback = command();
    fallback.env("WEBSERVER_FALLBACK", "small").env("WEBSERVER_PORT", "tcp://10.0.0.1:80").env("WEBSERVER_HIDDEN", "0");
    let program = Program::run(fallback.args(["--port", "0"]));
    let missing = |program: &Program| fetch(program.address(), "GET", "/none", "Accept: text/html\r\n");
    assert_eq!((program.ready().len(), missing(&program).text()), (2, "small"));
    assert!(!program.finish().contains("WEBSERVER_PORT"), "the option was given");
    let program = Program::run(
        command().env("WEBSERVER_PORT", "0").env("WEBSERVER_FALLBACK", "none").args(["--fallback", "other"]),
    );
    assert_eq!(missing(&program).text(), "other");
    program.finish();

    let output = output_of_command(command().env("WEBSERVER_PORT", "tcp://10.0.0.1:80").arg("--print-limits"));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && err.starts_with("webserver: warning: WEBSERVER_PORT="), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    let output = output_of_command(command().env("WEBSERVER_PORT", "x"));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && err.starts_with("error: WEBSERVER_PORT: "), "{err}");
    let help = String::from_utf8(output_of(&["-h"]).stdout).unwrap();
    assert!(help.contains("WEBSERVER_PORT=80") && help.lines().all(|line| line.len() <= 100), "{help}");
}

#[test]
fn options_of_other_servers_are_answered_with_ours() {
    for (arguments, advice) in [
        (&["--spa"][..], "use --fallback index.html"),
        (&["--host", "0.0.0.0"], "use --bind IP"),
        (&["-d", "public"], "ROOT has no option: webserver DIRECTORY"),
        (&["--listen", ":80"], "use --bind IP for the address, --port PORT for the port"),
        (&["public", "8080"], "use --port 8080"),
        (&["--zip"], "a directory is sent as tar or tar.gz, with ?archive=tar.gz; there is no zip"),
    ] {
        let err = String::from_utf8(output_of(arguments).stderr).unwrap();
        assert_eq!(err.matches("tip: ").count(), 1, "{err}");
        assert!(err.contains(&format!("\n  tip: {advice}\n")), "{arguments:?}: {err}");
    }
    for (root, options) in [("8080", "--port 8080"), ("localhost:8080", "--bind localhost --port 8080")] {
        let error = startup_error(Command::new(PROGRAM).arg(root));
        assert!(
            error.contains(&format!("no such directory or file (to listen there: webserver {options})")),
            "{error}"
        );
    }
}

#[test]
fn root_defaults_to_current_directory() {
    let directory = directory();
    let program =
        Program::run(Command::new(PROGRAM).current_dir(directory.path()).args(["--port", "0", "--bind", "127.0.0.1"]));
    assert_eq!(get(program.address(), "/small").text(), "small");
    program.finish();
}
