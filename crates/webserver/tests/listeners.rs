//! Where the program listens besides the ports of TCP: on a socket of the unix domain, and on what is handed over to it.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use http_server::{Request, Response, Server};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::Signal;
use tempfile::TempDir;

use support::{PROGRAM, Program, TIMEOUT, get, output_of, output_of_command, parse_responses, wait_until};

fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    fs::write(directory.path().join("large"), vec![b'x'; 3 << 20]).unwrap();
    directory
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// The body of one response over the unix domain.
fn fetch(path: &Path, target: &str) -> Vec<u8> {
    let mut stream = connect(path);
    write!(stream, "GET {target} HTTP/1.0\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let mut responses = parse_responses(&bytes, false).unwrap();
    assert_eq!((responses.len(), responses[0].status), (1, 200));
    responses.remove(0).body
}

fn on_unix(path: &Path, root: &Path) -> Program {
    Program::run(Command::new(PROGRAM).arg("--unix").arg(path).arg(root))
}

#[test]
fn a_socket_of_the_unix_domain_serves_and_is_gone_at_the_end() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("socket");
    let program = on_unix(&path, directory.path());
    assert_eq!(program.ready(), [format!("listening on unix:{}", path.display())], "and on nothing else");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    assert_eq!(fetch(&path, "/small"), b"small");
    assert_eq!(fetch(&path, "/large").len(), 3 << 20);
    let messages = program.finish(); // which looks at the sum of the ends
    assert!(messages.contains("\n0.0.0.0 - - [") && messages.contains("2 connections: 2 completed"), "{messages}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn curl_over_the_unix_domain() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("MISSING: curl");
        assert!(std::env::var_os("CI").is_none(), "continuous integration has curl");
        return;
    }
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("socket");
    let program = on_unix(&path, directory.path());
    let curl = |arguments: &[&str]| {
        let output = Command::new("curl")
            .args(["--disable", "--silent", "--show-error", "--max-time", "10", "--unix-socket"])
            .arg(&path)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let two = ["http://localhost/small", "http://localhost/large"];
    assert_eq!(curl(&two).len(), 5 + (3 << 20), "one connection for both");
    assert_eq!(curl(&["--http1.0", "--range", "1-3", two[0]]), b"mal");
    let messages = program.finish();
    assert!(messages.contains("2 connections: 2 completed"), "{messages}");
}

#[test]
fn tcp_and_unix_beside_each_other() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("socket");
    let mut command = Command::new(PROGRAM);
    let program = Program::run(command.args(["-p", "0", "-b", "127.0.0.1", "--unix"]).arg(&path).arg(directory.path()));
    assert_eq!(program.ready().len(), 2, "{:?}", program.ready());
    assert_eq!((get(program.address(), "/small").text(), &*fetch(&path, "/small")), ("small", &b"small"[..]));
    program.finish();
}

#[test]
fn a_socket_in_use_is_an_error_and_a_left_one_is_none() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("socket");
    let mut first = on_unix(&path, directory.path());
    let root = directory.path().to_str().unwrap();
    let second = output_of(&["--unix", path.to_str().unwrap(), root]);
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!((second.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("in use") && said.contains("--unix"), "{said}");
    assert_eq!(fetch(&path, "/small"), b"small", "the first serves on");

    first.signal(Signal::KILL);
    first.wait(TIMEOUT).unwrap();
    assert!(path.exists(), "nobody could remove it");
    let third = on_unix(&path, directory.path());
    assert_eq!(fetch(&path, "/small"), b"small");
    third.finish();
    assert!(!path.exists());
}

#[test]
fn a_stop_lets_nobody_in_over_the_unix_domain() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("socket");
    let mut command = Command::new(PROGRAM);
    let mut program =
        Program::run(command.args(["--shutdown-timeout", "60", "--unix"]).arg(&path).arg(directory.path()));
    let mut download = connect(&path);
    write!(download, "GET /large HTTP/1.0\r\n\r\n").unwrap();
    let mut bytes = vec![0; 100_000];
    download.read_exact(&mut bytes).unwrap();
    program.signal(Signal::TERM);
    wait_until("new ones are refused", || UnixStream::connect(&path).is_err());
    download.read_to_end(&mut bytes).unwrap();
    assert_eq!(parse_responses(&bytes, false).unwrap()[0].body.len(), 3 << 20, "what had begun is whole");
    assert!(program.wait(TIMEOUT).unwrap().success());
}

// The kernel holds as little for a slow reader over the unix domain as it does over TCP: else who keeps up with the least
// rate would not be seen to read.
#[test]
fn a_reader_over_the_unix_domain_is_seen_to_read() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let reply = |_: &Request<'_>| Response::text("x".repeat(1 << 20));
    let running = Server::from_listeners([listener.into()]).unwrap().threads(1).start(reply).unwrap();
    assert!(running.local_addrs().is_empty());
    assert_eq!(running.unix_addrs()[0].as_pathname(), Some(&*path));
    let mut stream = connect(&path);
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let held = || {
        let bytes = rustix::io::ioctl_fionread(&stream).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        (bytes, rustix::io::ioctl_fionread(&stream).unwrap())
    };
    wait_until("the kernel takes no more", || matches!(held(), (before, after) if before > 0 && before == after));
    assert!(held().1 <= 80 << 10, "{:?}", held());
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(parse_responses(&bytes, false).unwrap()[0].body.len(), 1 << 20);
    running.shutdown_handle().shut_down();
    let counts = running.join();
    assert_eq!((counts.accepted, counts.completed), (1, 1), "{counts}");
}

#[test]
fn only_listening_sockets_are_taken() {
    let (one, _other) = UnixStream::pair().unwrap();
    let datagram = UnixDatagram::unbound().unwrap();
    let file = tempfile::tempfile().unwrap();
    let bound = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    for socket in [one.into(), datagram.into(), file.into(), bound] {
        assert!(Server::from_listeners([socket]).is_err());
    }
}

/// As systemd starts it: descriptors from 3 on, and whose they are. Their copies are for the process that is started.
fn handed_over(sockets: &[&dyn AsFd], arguments: &[&str], root: &Path) -> (Command, Vec<OwnedFd>) {
    let copy = |socket: &&dyn AsFd| {
        // Far from where it is to be.
        let copy = fcntl_dupfd_cloexec(socket.as_fd(), 100).unwrap();
        fcntl_setfd(&copy, FdFlags::empty()).unwrap();
        copy
    };
    let copies: Vec<OwnedFd> = sockets.iter().map(copy).collect();
    let moves: Vec<String> = (3..).zip(&copies).map(|(n, copy)| format!("{n}<&{}", copy.as_raw_fd())).collect();
    let script = format!("LISTEN_PID=$$ LISTEN_FDS={} exec \"$0\" \"$@\" {}", copies.len(), moves.join(" "));
    let mut command = Command::new("bash");
    command.args(["-c", &script, PROGRAM]).args(arguments).arg(root);
    (command, copies)
}

/// The one line with which it ends at once.
fn refused(sockets: &[&dyn AsFd], arguments: &[&str], root: &Path) -> String {
    let output = output_of_command(&mut handed_over(sockets, arguments, root).0);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    said
}

#[test]
fn sockets_that_were_handed_over_are_served() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("socket");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let address = tcp.local_addr().unwrap();
    let program = Program::run(&mut handed_over(&[&tcp, &unix], &[], directory.path()).0);
    let expected = [format!("listening on http://{address}/"), format!("listening on unix:{}", path.display())];
    assert_eq!(program.ready(), expected);
    assert_eq!((get(address, "/small").text(), &*fetch(&path, "/small")), ("small", &b"small"[..]));
    program.finish();

    // The socket is not the program's: who comes when it has ended waits for the next one.
    let mut early = TcpStream::connect(address).unwrap();
    early.write_all(b"GET /small HTTP/1.0\r\n\r\n").unwrap();
    assert!(path.exists());
    let program = Program::run(&mut handed_over(&[&tcp], &[], directory.path()).0);
    let mut response = String::new();
    early.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("\r\n\r\nsmall"), "{response}");
    program.finish();
}

#[test]
fn what_is_handed_over_does_not_go_with_options() {
    let directory = directory();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    for option in [["--port", "0"], ["--bind", "127.0.0.1"], ["--unix", "/nowhere/socket"]] {
        let said = refused(&[&tcp], &option, directory.path());
        assert!(said.contains("LISTEN_FDS") && said.contains(option[0]), "{said}");
    }
    let datagram = UnixDatagram::unbound().unwrap();
    let connected = UnixStream::pair().unwrap().0;
    for no_listener in [&datagram as &dyn AsFd, &connected] {
        let said = refused(&[no_listener], &[], directory.path());
        assert!(said.contains("LISTEN_FDS"), "{said}");
    }
}

// They are meant for whoever LISTEN_PID names.
#[test]
fn what_was_handed_to_another_is_left_alone() {
    let directory = directory();
    let mut command = Command::new(PROGRAM);
    command.args(["--port", "0", "--bind", "127.0.0.1"]).arg(directory.path());
    let program = Program::run(command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1"));
    assert_eq!(get(program.address(), "/small").text(), "small");
    program.finish();
}

// Nothing that the program has opened itself is taken for it: it would be closed twice.
#[test]
fn what_was_promised_and_not_handed_over_is_an_error() {
    let directory = directory();
    for count in 1..=8 {
        let script = format!("LISTEN_PID=$$ LISTEN_FDS={count} exec \"$0\" \"$@\" 3<&-");
        let mut command = Command::new("bash");
        let output = output_of_command(command.args(["-c", &script, PROGRAM]).arg(directory.path()));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains("LISTEN_FDS"), "{:?}: {said}", output.status);
    }
}

#[test]
fn who_waits_for_it_is_told_when_it_is_ready_and_when_it_stops() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("notify");
    let waits = UnixDatagram::bind(&path).unwrap();
    waits.set_read_timeout(Some(TIMEOUT)).unwrap();
    let told = || {
        let mut room = [0; 100];
        let n = waits.recv(&mut room).unwrap();
        String::from_utf8(room[..n].to_vec()).unwrap()
    };
    let mut command = Command::new(PROGRAM);
    command.args(["--port", "0", "--bind", "127.0.0.1"]).arg(directory.path());
    let program = Program::run(command.env("NOTIFY_SOCKET", &path));
    assert_eq!(told(), "READY=1");
    program.finish();
    assert_eq!(told(), "STOPPING=1");

    // An address without a file, and one where nobody waits.
    let mut command = Command::new(PROGRAM);
    command.args(["--port", "0", "--bind", "127.0.0.1"]).arg(directory.path());
    Program::run(command.env("NOTIFY_SOCKET", "@nobody-waits-here")).finish();
}

#[test]
fn a_stopped_server_leaves_a_socket_to_who_holds_it_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    for _ in 0..2 {
        let reply = |_: &Request<'_>| Response::text("hello");
        let running = Server::from_listeners([listener.try_clone().unwrap().into()]).unwrap().start(reply).unwrap();
        assert_eq!(running.local_addrs(), [address]);
        assert_eq!(get(address, "/").text(), "hello");
        running.shutdown_handle().shut_down();
        assert_eq!(running.join().completed, 1);
    }
    drop(listener);
    assert!(TcpStream::connect(address).is_err());
}
