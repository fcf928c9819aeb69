//! Unix sockets, and sockets and notifications of systemd.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{ErrorKind, IoSlice, PipeReader, Read, Write, pipe};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use http_server::{Request, Response, Server};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::Signal;
use tempfile::TempDir;

use support::{
    PROGRAM, Program, TIMEOUT, get, keep_alive, output_of, output_of_command, parse_responses, read_response, tool,
    wait_until,
};

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

/// The body of one response over a Unix socket.
fn get_over_unix(path: &Path, target: &str) -> Vec<u8> {
    let mut stream = connect(path);
    write!(stream, "GET {target} HTTP/1.0\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let mut responses = parse_responses(&bytes, false).unwrap();
    assert_eq!((responses.len(), responses[0].status), (1, 200));
    responses.remove(0).body
}

fn serve_on_unix(path: &Path, root: &Path) -> Program {
    Program::run(Command::new(PROGRAM).arg("--unix").arg(path).arg(root))
}

#[test]
fn unix_socket_serves_and_is_removed_at_exit() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("socket");
    let program = serve_on_unix(&path, directory.path());
    assert_eq!(program.ready(), [format!("listening on unix:{}", path.display())], "it listens on nothing else");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    assert_eq!(get_over_unix(&path, "/small"), b"small");
    assert_eq!(get_over_unix(&path, "/large").len(), 3 << 20);
    let messages = program.finish();
    assert!(messages.contains("\nunix - - [") && messages.contains("2 connections: 2 completed"), "{messages}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn curl_downloads_over_unix_socket() {
    let Some(curl) = tool("curl") else { return };
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("socket");
    let program = serve_on_unix(&path, directory.path());
    let curl = |arguments: &[&str]| {
        let output = Command::new(&curl)
            .args(["--disable", "--silent", "--show-error", "--max-time", "10", "--unix-socket"])
            .arg(&path)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let two = ["http://localhost/small", "http://localhost/large"];
    assert_eq!(curl(&two).len(), 5 + (3 << 20), "one connection for both files");
    assert_eq!(curl(&["--http1.0", "--range", "1-3", two[0]]), b"mal");
    let messages = program.finish();
    assert!(messages.contains("2 connections: 2 completed"), "{messages}");
}

#[test]
fn tcp_and_unix_socket_serve_together() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("socket");
    let mut command = Command::new(PROGRAM);
    let program = Program::run(command.args(["-p", "0", "-b", "127.0.0.1", "--unix"]).arg(&path).arg(directory.path()));
    assert_eq!(program.ready().len(), 2, "{:?}", program.ready());
    assert_eq!((get(program.address(), "/small").text(), &*get_over_unix(&path, "/small")), ("small", &b"small"[..]));
    program.finish();
}

#[test]
fn live_unix_socket_is_refused_and_stale_one_is_replaced() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("socket");
    let mut first = serve_on_unix(&path, directory.path());
    let root = directory.path().to_str().unwrap();
    let second = output_of(&["--unix", path.to_str().unwrap(), root]);
    let stderr = String::from_utf8(second.stderr).unwrap();
    assert_eq!((second.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.contains("in use") && stderr.contains("--unix"), "{stderr}");
    assert_eq!(get_over_unix(&path, "/small"), b"small", "the first one still serves");

    first.signal(Signal::KILL);
    first.wait(TIMEOUT).unwrap();
    assert!(path.exists(), "a killed program leaves its socket");
    let third = serve_on_unix(&path, directory.path());
    assert_eq!(get_over_unix(&path, "/small"), b"small");
    third.finish();
    assert!(!path.exists());
}

#[test]
fn shutdown_refuses_new_connections_on_unix_socket() {
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
    wait_until("new connections are refused", || UnixStream::connect(&path).is_err());
    download.read_to_end(&mut bytes).unwrap();
    assert_eq!(parse_responses(&bytes, false).unwrap()[0].body.len(), 3 << 20, "the download is complete");
    assert!(program.wait(TIMEOUT).unwrap().success());
}

// For a Unix socket too, the kernel buffers little of a response. Otherwise the server could not see that a slow client
// reads at the minimum rate.
#[test]
fn kernel_buffers_little_of_a_response_on_unix_socket() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let handler = |_: &Request<'_>| Response::text("x".repeat(1 << 20));
    let running = Server::from_listeners([listener.into()]).unwrap().threads(1).start(handler).unwrap();
    assert!(running.local_addrs().is_empty());
    assert_eq!(running.unix_addrs()[0].as_pathname(), Some(&*path));
    let mut stream = connect(&path);
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let buffered = || {
        let bytes = rustix::io::ioctl_fionread(&stream).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        (bytes, rustix::io::ioctl_fionread(&stream).unwrap())
    };
    wait_until(
        "the kernel's buffer is full",
        || matches!(buffered(), (before, after) if before > 0 && before == after),
    );
    assert!(buffered().1 <= 80 << 10, "{:?}", buffered());
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(parse_responses(&bytes, false).unwrap()[0].body.len(), 1 << 20);
    running.shutdown_handle().shut_down();
    let counts = running.join();
    assert_eq!((counts.accepted, counts.completed), (1, 1), "{counts}");
}

#[test]
fn from_listeners_accepts_only_listening_sockets() {
    let (one, _other) = UnixStream::pair().unwrap();
    let datagram = UnixDatagram::unbound().unwrap();
    let file = tempfile::tempfile().unwrap();
    let bound = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    for socket in [one.into(), datagram.into(), file.into(), bound] {
        assert!(Server::from_listeners([socket]).is_err());
    }
}

/// Starts the program as systemd does, with sockets from descriptor 3 on. The copies must live until it has started.
fn with_inherited(sockets: &[&dyn AsFd], arguments: &[&str], root: &Path) -> (Command, Vec<OwnedFd>) {
    let copy = |socket: &&dyn AsFd| {
        // Far above 3, the first descriptor of the inherited sockets.
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

/// The one line with which a failed start ends.
fn startup_error(sockets: &[&dyn AsFd], arguments: &[&str], root: &Path) -> String {
    let output = output_of_command(&mut with_inherited(sockets, arguments, root).0);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
    stderr
}

#[test]
fn inherited_sockets_are_served() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("socket");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let address = tcp.local_addr().unwrap();
    let program = Program::run(&mut with_inherited(&[&tcp, &unix], &[], directory.path()).0);
    let expected = [format!("listening on http://{address}/"), format!("listening on unix:{}", path.display())];
    assert_eq!(program.ready(), expected);
    assert_eq!((get(address, "/small").text(), &*get_over_unix(&path, "/small")), ("small", &b"small"[..]));
    program.finish();

    // The socket belongs to systemd: a client that connects after the shutdown waits for the next start.
    let mut early = TcpStream::connect(address).unwrap();
    early.write_all(b"GET /small HTTP/1.0\r\n\r\n").unwrap();
    assert!(path.exists());
    let program = Program::run(&mut with_inherited(&[&tcp], &[], directory.path()).0);
    let mut response = String::new();
    early.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("\r\n\r\nsmall"), "{response}");
    program.finish();
}

// Whether `accept` waits is a property of the socket, which any process that holds it can change.
#[test]
fn another_process_at_the_same_socket_costs_the_plain_engine_no_cpu_time() {
    let directory = directory();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = |engine| Program::run(&mut with_inherited(&[&tcp], &["--engine", engine], directory.path()).0);
    for other in ["plain", "reactor"] {
        let program = start("plain");
        start(other).finish();
        let used = program.cpu_time_in_next_second();
        assert!(used <= Duration::from_millis(50), "{used:?} after {other}");
        assert_eq!(get(tcp.local_addr().unwrap(), "/small").text(), "small");
        program.finish();
    }
}

#[test]
fn inherited_sockets_conflict_with_socket_options() {
    let directory = directory();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    for option in [["--port", "0"], ["--bind", "127.0.0.1"], ["--unix", "/nowhere/socket"]] {
        let stderr = startup_error(&[&tcp], &option, directory.path());
        assert!(stderr.contains("LISTEN_FDS") && stderr.contains(option[0]), "{stderr}");
    }
    let datagram = UnixDatagram::unbound().unwrap();
    let connected = UnixStream::pair().unwrap().0;
    for socket in [&datagram as &dyn AsFd, &connected] {
        let stderr = startup_error(&[socket], &[], directory.path());
        assert!(stderr.contains("LISTEN_FDS"), "{stderr}");
    }
}

// The sockets are for the process that LISTEN_PID names.
#[test]
fn inherited_sockets_of_another_process_are_ignored() {
    let directory = directory();
    let mut command = Command::new(PROGRAM);
    command.args(["--port", "0", "--bind", "127.0.0.1"]).arg(directory.path());
    let program = Program::run(command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1"));
    assert_eq!(get(program.address(), "/small").text(), "small");
    program.finish();
}

// The program must not take a descriptor that it has opened itself for a missing socket: it would close it twice.
#[test]
fn missing_inherited_socket_is_an_error() {
    let directory = directory();
    for count in 1..=8 {
        let script = format!("LISTEN_PID=$$ LISTEN_FDS={count} exec \"$0\" \"$@\" 3<&-");
        let mut command = Command::new("bash");
        let output = output_of_command(command.args(["-c", &script, PROGRAM]).arg(directory.path()));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && stderr.contains("LISTEN_FDS"), "{:?}: {stderr}", output.status);
    }
}

#[test]
fn service_manager_is_notified_of_readiness_and_shutdown() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(TIMEOUT)).unwrap();
    let notification = || {
        let mut buffer = [0; 100];
        let n = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..n].to_vec()).unwrap()
    };
    let mut command = Command::new(PROGRAM);
    command.args(["--port", "0", "--bind", "127.0.0.1"]).arg(directory.path());
    let program = Program::run(command.env("NOTIFY_SOCKET", &path));
    assert_eq!(notification(), "READY=1");
    program.finish();
    assert_eq!(notification(), "STOPPING=1");

    // An abstract address on which no manager listens.
    let mut command = Command::new(PROGRAM);
    command.args(["--port", "0", "--bind", "127.0.0.1"]).arg(directory.path());
    Program::run(command.env("NOTIFY_SOCKET", "@no-manager-here")).finish();
}

/// Whether the kernel can refuse descriptors. If it cannot, the server closes them as soon as it reads what they came with.
fn has_passrights() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(16))
}

/// Sends bytes with a descriptor, the only one of a pipe's writing end. Returns the reading end, and the error if the
/// kernel has refused to.
fn pass_descriptor(stream: &UnixStream, bytes: &[u8]) -> (PipeReader, Result<usize, Errno>) {
    let (reader, writer) = pipe().unwrap();
    let descriptors = [writer.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let sent = sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL);
    (reader, sent)
}

/// Whether nobody holds the writing end of a pipe any more.
fn is_closed(reader: &PipeReader) -> bool {
    let mut ready = [PollFd::new(reader, PollFlags::empty())];
    poll(&mut ready, Some(&Timespec::default())).unwrap();
    ready[0].revents().contains(PollFlags::HUP)
}

/// Passes a descriptor, which must be refused or not stay open. The connection serves a request then.
fn check_passing(mut stream: UnixStream, what: &str) {
    let (reader, sent) = pass_descriptor(&stream, b"\r\n");
    if has_passrights() {
        assert_eq!(sent, Err(Errno::PERM), "{what}");
    }
    stream.write_all(b"GET /small HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut stream).status, 200, "{what}");
    wait_until("the descriptor is closed", || is_closed(&reader));
}

#[test]
fn descriptors_passed_over_unix_socket_do_not_stay_open() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let path = place.path().join("socket");
    let program = serve_on_unix(&path, directory.path());
    check_passing(connect(&path), "a new connection");
    let mut kept = connect(&path);
    kept.write_all(&keep_alive("/small")).unwrap();
    assert!(read_response(&mut kept).keeps_alive());
    check_passing(kept, "a kept connection");
    program.finish();
}

#[test]
fn descriptors_passed_before_the_server_accepts_do_not_stay_open() {
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let handler = |_: &Request<'_>| Response::text("small");

    // The server's own socket.
    let path = place.path().join("own");
    let server = Server::bind_unix(&path).unwrap();
    let waiting = connect(&path);
    if has_passrights() {
        assert_eq!(pass_descriptor(&waiting, b"\r\n").1, Err(Errno::PERM));
    }
    let running = server.start(handler).unwrap();
    check_passing(waiting, "a connection that waited");
    running.shutdown_handle().shut_down();
    running.join();

    // A socket of systemd, with connections that were made before the server had it.
    let path = place.path().join("inherited");
    let listener = UnixListener::bind(&path).unwrap();
    let (with_descriptor, without) = (connect(&path), connect(&path));
    let (reader, sent) = pass_descriptor(&with_descriptor, b"GET /small HTTP/1.0\r\n\r\n");
    assert!(sent.is_ok() && !is_closed(&reader), "{sent:?}");
    let program = Program::run(&mut with_inherited(&[&listener], &[], directory.path()).0);
    assert_eq!(read_response(&mut &with_descriptor).status, 200);
    wait_until("the descriptor is closed", || is_closed(&reader));
    let mut accepted = without;
    accepted.write_all(&keep_alive("/small")).unwrap();
    assert!(read_response(&mut accepted).keeps_alive());
    check_passing(accepted, "a connection older than the server");
    check_passing(connect(&path), "a connection younger than the server");
    program.finish();
}

#[test]
fn bind_unix_refuses_a_name_in_use_and_a_long_one() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("socket");
    let _server = Server::bind_unix(&path).unwrap();
    assert_eq!(Server::bind_unix(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
    let long = place.path().join("x".repeat(108));
    assert_eq!(Server::bind_unix(long).unwrap_err().kind(), ErrorKind::InvalidFilename);
}

#[test]
fn stopped_server_leaves_shared_socket_open() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    for _ in 0..2 {
        let handler = |_: &Request<'_>| Response::text("hello");
        let running = Server::from_listeners([listener.try_clone().unwrap().into()]).unwrap().start(handler).unwrap();
        assert_eq!(running.local_addrs(), [address]);
        assert_eq!(get(address, "/").text(), "hello");
        running.shutdown_handle().shut_down();
        assert_eq!(running.join().completed, 1);
    }
    drop(listener);
    // A program that another test is starting may still have it.
    wait_until("the socket closes", || TcpStream::connect(address).is_err());
}
