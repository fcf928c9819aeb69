//! The units of `deploy/` and what they promise: checked by systemd's own tools, and served by the command of the unit.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};
use tempfile::TempDir;

use support::{PROGRAM, Program, TIMEOUT, deployed, exchange, free_port, get, replaced, tool, wait_until};

/// The values of a setting in a unit.
fn settings<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

/// The command of the service in its environment, which serves this directory.
fn service_command(root: &Path) -> String {
    let service = deployed("webserver.service");
    let [environment] = settings(&service, "Environment")[..] else { panic!("one Environment in {service}") };
    let [start] = settings(&service, "ExecStart")[..] else { panic!("one ExecStart in {service}") };
    let environment = replaced(environment, "/srv/www", root.to_str().unwrap());
    format!("env {environment} {}", replaced(start, "/usr/bin/webserver", PROGRAM))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn units_are_valid_and_their_exposure_is_as_low_as_the_service_says() {
    let Some(analyze) = tool("systemd-analyze") else { return };
    let units = TempDir::new().unwrap();
    let path = |name: &str| units.path().join(name);
    fs::write(path("webserver.service"), deployed("webserver.service").replace("/usr/bin/webserver", PROGRAM)).unwrap();
    fs::write(path("webserver.socket"), deployed("webserver.socket")).unwrap();
    for unit in ["webserver.service", "webserver.socket"] {
        let output = Command::new(&analyze).args(["verify", "--man=no"]).arg(path(unit)).output().unwrap();
        // What it says about units of this machine does not count.
        let about_ours = text(&output).lines().any(|line| line.contains("webserver."));
        assert!(output.status.success() && !about_ours, "{unit}: {}", text(&output));
    }

    let service = deployed("webserver.service");
    let stated = service.lines().find_map(|line| line.strip_prefix("# Exposure: ")?.split(' ').next()).unwrap();
    let report = |threshold: f64| {
        Command::new(&analyze)
            .args(["security", "--offline=true", "--no-pager", &format!("--threshold={}", threshold.round())])
            .arg(path("webserver.service"))
            .output()
            .unwrap()
    };
    let tenths = stated.parse::<f64>().unwrap() * 10.0;
    let output = report(tenths);
    assert!(output.status.success(), "the exposure is above {stated}: {}", text(&output));
    assert!(!report(tenths - 1.0).status.success(), "the exposure is below {stated}: {}", text(&output));
}

/// Every system call of a server that serves, reopens its log and ends is one that the unit allows.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn service_may_make_every_system_call_of_the_program() {
    let (Some(analyze), Some(strace)) = (tool("systemd-analyze"), tool("strace")) else { return };
    let allowed = |name: &str| {
        let mut names = vec![name.to_owned()];
        let mut calls = BTreeSet::new();
        while let Some(name) = names.pop() {
            if !name.starts_with('@') {
                calls.insert(name);
                continue;
            }
            let output = Command::new(&analyze).args(["syscall-filter", "--no-pager", &name]).output().unwrap();
            let set = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success() && set.starts_with(&name), "{name}: {set}");
            let members = set.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            names.extend(members.map(String::from));
        }
        calls
    };
    let service = deployed("webserver.service");
    let mut calls = BTreeSet::new();
    for filter in settings(&service, "SystemCallFilter") {
        match filter.strip_prefix('~') {
            Some(denied) => denied.split(' ').flat_map(allowed).for_each(|call| _ = calls.remove(&call)),
            None => calls.extend(filter.split(' ').flat_map(allowed)),
        }
    }
    assert!(calls.len() > 200 && calls.contains("read") && !calls.contains("mount"));

    let place = TempDir::new().unwrap();
    let (root, trace) = (place.path().join("www"), place.path().join("trace"));
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(root.join("large"), vec![b'x'; 1 << 20]).unwrap();
    fs::write(root.join("small.txt"), "small").unwrap();
    let mut command = Command::new(strace);
    command.args(["-f", "-qq", "-e", "signal=none", "-o"]).arg(&trace).arg(PROGRAM);
    command.args(["--port", "0", "--bind", "127.0.0.1", "--log-file"]).arg(place.path().join("log")).arg(&root);
    let program = Program::run(&mut command);
    for path in ["/", "/small.txt", "/large", "/none", "/sub", "/sub/"] {
        let status = get(program.address(), path).status;
        assert!([200, 301, 404].contains(&status), "{status} for {path}");
    }
    let server: i32 = fs::read_to_string(&trace).unwrap().split(' ').next().unwrap().parse().unwrap();
    for signal in ["-HUP", "-TERM"] {
        assert!(Command::new("kill").args([signal, &server.to_string()]).status().unwrap().success());
        wait_until("the signal has come", || fs::read_to_string(&trace).unwrap().contains("sendfile"));
    }
    let mut program = program;
    assert_eq!(program.wait(TIMEOUT).and_then(|status| status.code()), Some(0), "{}", program.messages());
    let trace = fs::read_to_string(trace).unwrap();
    let name = |line: &str| Some(line.split_once(' ')?.1.trim_start().split_once('(')?.0.to_owned());
    let made: BTreeSet<String> = trace.lines().filter(|line| !line.contains(" resumed>")).filter_map(name).collect();
    assert!(made.contains("sendfile") && made.contains("landlock_restrict_self"), "{made:?}");
    let refused: Vec<_> = made.difference(&calls).collect();
    // The program is started before the filter holds, and `rseq` and the like are always allowed.
    assert!(refused.is_empty(), "the unit refuses {refused:?}");
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn socket_is_activated_by_the_first_connection() {
    let Some(activate) = tool("systemd-socket-activate") else { return };
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let errors = tempfile::tempfile().unwrap();
    let mut process = Command::new(activate)
        .args(["-l", &address.to_string()])
        .args(service_command(directory.path()).split(' '))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors.try_clone().unwrap())
        .spawn()
        .unwrap();
    // It listens; nothing has been started yet.
    let deadline = Instant::now() + TIMEOUT;
    while !is_listening(address.port()) {
        assert!(Instant::now() < deadline && process.try_wait().unwrap().is_none(), "it does not listen");
        thread::sleep(Duration::from_millis(5));
    }
    let executable = || fs::read_link(format!("/proc/{}/exe", process.id())).unwrap();
    assert_ne!(executable(), Path::new(PROGRAM).canonicalize().unwrap());
    assert_eq!(get(address, "/small").text(), "small");
    assert_eq!(executable(), Path::new(PROGRAM).canonicalize().unwrap());
    let program = Program::when_ready(process, errors);
    assert_eq!(program.ready(), [format!("listening on http://{address}/")]);
    program.finish();
}

/// Whether a socket listens on this port. A connection would count as the first one.
fn is_listening(port: u16) -> bool {
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    sockets.lines().any(|line| line.contains(&format!("0100007F:{port:04X} 00000000:0000 0A")))
}

/// Starts the command of the service as systemd does, with a socket as descriptor 3.
fn start_with(socket: &TcpListener, options: &str, root: &Path) -> Program {
    // std creates sockets that a new program does not get.
    let socket = socket.try_clone().unwrap();
    fcntl_setfd(&socket, FdFlags::empty()).unwrap();
    let command = replaced(&service_command(root), PROGRAM, &format!("{PROGRAM}{options}"));
    let script = format!("LISTEN_PID=$$ LISTEN_FDS=1 exec {command} 3<&{}", socket.as_raw_fd());
    Program::run(Command::new("bash").args(["-c", &script, "--"]))
}

/// The server is stopped and started again on the socket that systemd holds, while clients ask without a pause.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn restart_on_a_passed_socket_costs_no_request() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, stop, requests) = (socket.local_addr().unwrap(), AtomicBool::new(false), AtomicUsize::new(0));
    let start = || start_with(&socket, " --log-format off", directory.path());
    thread::scope(|scope| {
        let mut program = start();
        let clients = [(); 4].map(|()| {
            scope.spawn(|| {
                let mut longest = Duration::ZERO;
                let deadline = Instant::now() + Duration::from_secs(60); // if the test has failed elsewhere
                while !stop.load(Ordering::Relaxed) && Instant::now() < deadline {
                    let begin = Instant::now();
                    let response = exchange(address, b"GET /small HTTP/1.0\r\n\r\n");
                    assert_eq!((response.status, response.text()), (200, "small"), "{requests:?} before");
                    longest = longest.max(begin.elapsed());
                    requests.fetch_add(1, Ordering::Relaxed);
                }
                longest
            })
        });
        for n in 1..=20 {
            wait_until("the new server is in use", || requests.load(Ordering::Relaxed) > n * 150);
            program.finish(); // SIGTERM, and every accepted connection has ended once
            program = start();
        }
        stop.store(true, Ordering::Relaxed);
        let clients = clients.map(|client| client.join().unwrap());
        println!("{requests:?} requests in 20 restarts; the longest took {:?}", clients.iter().max().unwrap());
        program.finish();
    });
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn reload_of_the_service_opens_the_log_again() {
    let place = TempDir::new().unwrap();
    let root = place.path().join("www");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("small"), "small").unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (log, moved) = (place.path().join("log"), place.path().join("log.1"));
    let program = start_with(&socket, &format!(" --log-file {}", log.display()), &root);
    let lines = |file: &Path| fs::read_to_string(file).unwrap_or_default().lines().count();
    get(address, "/small");
    wait_until("the request is logged", || lines(&log) == 1);
    fs::rename(&log, &moved).unwrap();
    let service = deployed("webserver.service");
    let [reload] = settings(&service, "ExecReload")[..] else { panic!("one ExecReload in {service}") };
    let reloaded = Command::new("sh").args(["-c", reload]).env("MAINPID", program.pid().to_string()).status();
    assert!(reloaded.unwrap().success(), "{reload}");
    wait_until("the log is opened again", || log.exists());
    get(address, "/small");
    wait_until("the request is logged in the new file", || lines(&log) == 1);
    assert_eq!(lines(&moved), 1);
    program.finish();
}
