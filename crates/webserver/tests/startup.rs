//! The start: a signal interrupts it whatever it waits for, and a fault of the system ends it with its cause or is
//! worked around.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File, Permissions};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, fcntl_setfl, flock};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use support::{Hold, PROGRAM, Program, get, missing, output_of_command, spawn_with_disk, terminal, tool, wait_until};

fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    directory
}

/// A process that starts. Dropping the value ends it.
struct Starting(Child);

impl Starting {
    fn run(command: &mut Command) -> Starting {
        Starting(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// Sends the signal, and checks that the process ends at once with the status of that signal.
    fn interrupt(mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut status = None;
        while status.is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
            status = self.0.try_wait().unwrap();
        }
        assert_eq!(status.map(|status| status.code()), Some(Some(128 + signal.as_raw())), "{signal:?}");
    }

    /// Whether it has ended because it could not start.
    fn has_failed(&mut self) -> bool {
        self.0.try_wait().unwrap().and_then(|status| status.code()) == Some(1)
    }

    /// The states of its threads, such as `S` for a sleep.
    fn thread_states(&self) -> String {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        let stat = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
        stat.filter_map(|stat| stat.rsplit_once(") ")?.1.chars().next()).collect()
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const SIGNALS: [Signal; 2] = [Signal::TERM, Signal::INT];

#[test]
fn signal_interrupts_start_on_root_that_does_not_answer() {
    for signal in SIGNALS {
        let (root, messages) = (TempDir::new().unwrap(), tempfile::tempfile().unwrap());
        let path = root.path().to_str().unwrap();
        let Some((disk, process)) = spawn_with_disk(root.path(), Hold::Everything, &[path], &messages) else { return };
        let process = Starting(process);
        wait_until("it waits for the disk", || disk.held() > 0);
        process.interrupt(signal);
    }
}

// A thread that reads such a file runs no signal handler: the kernel ends its sleep only with the process.
#[test]
fn signal_interrupts_start_in_uninterruptible_sleep() {
    for signal in SIGNALS {
        let (place, root, messages) = (TempDir::new().unwrap(), directory(), tempfile::tempfile().unwrap());
        let users = place.path().join("f7");
        let arguments = ["--auth", users.to_str().unwrap(), root.path().to_str().unwrap()];
        let started = spawn_with_disk(place.path(), Hold::ReadsFrom(0), &arguments, &messages);
        let Some((disk, process)) = started else { return };
        let process = Starting(process);
        wait_until("it waits for the disk", || disk.held() > 0 && process.thread_states().contains('D'));
        process.interrupt(signal);
    }
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn signal_interrupts_start_on_users_file_that_is_a_pipe() {
    let directory = directory();
    let fifo = directory.path().join(".users");
    make_fifo(&fifo);
    for signal in SIGNALS {
        let mut command = Command::new(PROGRAM);
        let process = Starting::run(command.args(["--port", "0", "--auth"]).arg(&fifo).arg(directory.path()));
        wait_until("it waits for the pipe", || process.thread_states() == "SS");
        process.interrupt(signal);
    }
}

/// The end of a pipe that holds all it can.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    (reader, writer)
}

#[test]
fn signal_interrupts_start_whose_output_nobody_reads() {
    for signal in SIGNALS {
        for is_stdout in [true, false] {
            let (directory, (_reader, writer)) = (directory(), full_pipe());
            let socket = directory.path().join("socket");
            let mut command = Command::new(PROGRAM);
            command.arg("--unix").arg(&socket).args(["--log-format", "off"]).arg(directory.path());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            if is_stdout {
                command.stdout(writer)
            } else {
                command.stderr(writer)
            };
            let process = Starting::run(&mut command);
            wait_until("it serves", || UnixStream::connect(&socket).is_ok());
            process.interrupt(signal);
        }
    }
}

#[test]
fn closed_terminal_interrupts_start() {
    let (directory, (_reader, writer), (_outer, inner)) = (directory(), full_pipe(), terminal());
    let socket = directory.path().join("socket");
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", PROGRAM]); // under nohup, the test ignores it
    command.arg("--unix").arg(&socket).arg(directory.path()).stdin(inner).stdout(writer).stderr(Stdio::null());
    let process = Starting(command.spawn().unwrap());
    wait_until("it serves", || UnixStream::connect(&socket).is_ok());
    process.interrupt(Signal::HUP);
}

/// The one line with which a failed start ends.
fn startup_error(command: &mut Command) -> String {
    let output = output_of_command(command);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), &*out), (Some(1), ""), "{command:?}: {err}");
    assert_eq!(err.matches('\n').count(), 1, "{command:?}: {err}");
    assert!(err.starts_with("webserver: "), "{command:?}: {err}");
    err
}

#[test]
fn log_file_that_is_a_pipe_without_reader_is_an_error() {
    let directory = directory();
    let fifo = directory.path().join(".log");
    make_fifo(&fifo);
    let error =
        startup_error(Command::new(PROGRAM).args(["--port", "0", "--log-file"]).arg(&fifo).arg(directory.path()));
    assert!(error.contains("cannot open the log file") && error.contains("pipe that nothing reads"), "{error}");
}

// Connecting to it would wait until its server accepts.
#[test]
fn socket_that_does_not_answer_is_in_use() {
    let directory = directory();
    let socket = directory.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _waiting = UnixStream::connect(&socket).unwrap();
    let error = startup_error(Command::new(PROGRAM).arg("--unix").arg(&socket).arg(directory.path()));
    assert!(error.contains("in use"), "{error}");
}

/// The program, in which a system call fails as `strace -e inject=` says. `None` without strace.
fn with_fault(fault: &str) -> Option<Command> {
    let mut command = Command::new(tool("strace")?);
    // The child is the program, and not the tracer, which uses a seccomp filter that the program sees as its own.
    command.args(["-D", "-f", "--seccomp-bpf", "-o", "/dev/null"]);
    let (calls, _) = fault.split_once(':').unwrap();
    command.args(["-e", &format!("trace={calls}"), "-e", &format!("inject={fault}"), PROGRAM]);
    Some(command)
}

/// Starts the program with a fault, and returns its messages too.
fn run_with_fault(fault: &str, options: &[&str], root: &Path) -> Option<(Program, String)> {
    let program = Program::run(with_fault(fault)?.args(options).arg(root));
    let messages = program.messages();
    Some((program, messages))
}

const LOCAL: [&str; 4] = ["--port", "0", "--bind", "127.0.0.1"];

#[test]
fn any_refusal_of_openat2_is_worked_around() {
    let directory = directory();
    std::os::unix::fs::symlink("/etc/passwd", directory.path().join("out")).unwrap();
    for errno in ["EACCES", "EINVAL", "ENOSYS", "EPERM", "E2BIG", "EOPNOTSUPP"] {
        let fault = format!("openat2:error={errno}");
        let Some((program, messages)) = run_with_fault(&fault, &LOCAL, directory.path()) else { return };
        assert!(messages.contains("no openat2 here"), "{errno}: {messages}");
        assert_eq!(get(program.address(), "/small").text(), "small", "{errno}");
        assert_eq!(get(program.address(), "/out").status, 403, "{errno}");
        assert_eq!(get(program.address(), "/").status, 200, "{errno}");
    }
}

#[test]
fn message_names_why_landlock_is_missing() {
    let directory = directory();
    for (fault, expected) in [
        ("landlock_create_ruleset:error=EPERM", "Landlock is refused: Operation not permitted"),
        ("landlock_create_ruleset:error=EACCES", "Landlock is refused: Permission denied"),
        ("landlock_create_ruleset:error=ENOSYS", "no Landlock, or a seccomp filter hides it"),
        ("landlock_create_ruleset:error=EOPNOTSUPP", "Landlock is disabled"),
        ("landlock_restrict_self:error=EPERM", "Operation not permitted"),
        ("prctl:error=EPERM", "Operation not permitted"),
    ] {
        let Some((program, messages)) = run_with_fault(fault, &LOCAL, directory.path()) else { return };
        let line = messages.lines().find(|line| line.contains("the process is ")).unwrap_or("");
        assert!(line.contains("the process is not sandboxed: ") && line.contains(expected), "{fault:?}: {messages}");
        let names_filter = !expected.contains("disabled");
        assert_eq!(line.contains("seccomp filter"), names_filter, "{fault:?}: {messages}");
        assert_eq!(get(program.address(), "/small").text(), "small");
    }
}

#[test]
fn refused_ipv6_leaves_ipv4_and_a_message() {
    let directory = directory();
    for (errno, cause) in [
        ("EPERM", "Operation not permitted"),
        ("EACCES", "Permission denied"),
        ("EAFNOSUPPORT", "Address family not supported"),
    ] {
        // The first socket of each thread that opens any is for IPv6.
        let fault = format!("socket:error={errno}:when=1");
        let Some((program, messages)) = run_with_fault(&fault, &["--port", "0"], directory.path()) else { return };
        let line = messages.lines().find(|line| line.contains("IPv6")).unwrap_or_else(|| panic!("{messages}"));
        assert!(line.contains("listening on IPv4 only: IPv6 cannot be used: ") && line.contains(cause), "{line}");
        assert_eq!(get(program.address(), "/small").text(), "small");
        assert!(program.ready().iter().all(|line| !line.contains('[')), "{:?}", program.ready());
    }
}

#[test]
fn refused_socket_is_an_error_that_names_its_cause() {
    let directory = directory();
    let socket = directory.path().join("socket");
    let socket = socket.to_str().unwrap();
    // In a container, all ports may be free.
    let first_free = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let has_low_ports = first_free.is_ok_and(|port| port.trim().parse::<u16>().is_ok_and(|port| port > 81));
    for (fault, options, expected) in [
        ("socket:error=EPERM", &["--port", "0", "--bind", "::1"][..], &["::1: IPv6 cannot be used", "AF_INET6"][..]),
        ("socket:error=EAFNOSUPPORT", &LOCAL, &["127.0.0.1: IPv4 cannot be used", "AF_INET)"]),
        ("socket:error=EPERM", &["--port", "0"], &["port 0: IPv4 cannot be used", "AF_INET)"]),
        ("socket:error=EAFNOSUPPORT", &["--unix", socket], &["not supported", "AF_UNIX"]),
        ("socket:error=EPERM", &["--unix", socket], &["not permitted", "AF_UNIX"]),
        ("bind:error=EACCES", &["--port", "80"], &["port 80: ", "need privileges", "--port", "CAP_NET_BIND_SERVICE"]),
        (
            "bind:error=EACCES",
            &["--port", "80", "--bind", "127.0.0.1"],
            &["port 80 of 127.0.0.1: ", "need privileges", "--port"],
        ),
        ("bind:error=EACCES", &["--port", "8080"], &["port 8080: a security policy refuses it", "--port"]),
        ("bind:error=EPERM", &["--port", "8080"], &["port 8080: a security policy refuses it", "--port"]),
        (
            "bind:error=EACCES:when=2",
            &["--port", "0", "--bind", "127.0.0.1", "--metrics", "127.0.0.1:81"],
            &["127.0.0.1:81", "need privileges", "--metrics"],
        ),
        ("bind:error=EACCES", &["--unix", socket], &["Permission denied", "directory that you may write to"]),
    ] {
        if expected.contains(&"need privileges") && !has_low_ports {
            continue;
        }
        let Some(mut command) = with_fault(fault) else { return };
        let error = startup_error(command.args(options).arg(directory.path()));
        assert!(expected.iter().all(|part| error.contains(part)), "{fault} {options:?}: {error}");
    }
}

// Whichever thread it is: of the start, the log, the housekeeper, the workers, the metrics or the signals.
#[test]
fn thread_that_cannot_be_started_ends_the_start() {
    let directory = directory();
    let mut failed = 0;
    for nth in 1.. {
        let fault = format!("clone,clone3:error=EAGAIN:when={nth}");
        let options = ["--port", "0", "--bind", "127.0.0.1", "--metrics", "127.0.0.1:0", "--threads", "2"];
        let Some(mut command) = with_fault(&fault) else { return };
        command.args(options).arg(directory.path());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let is_ready = process.stdout.as_mut().unwrap().read(&mut [0]).unwrap() > 0;
        if is_ready {
            drop(Starting(process));
            break;
        }
        let output = process.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.lines().count()), (Some(1), 1), "{nth}: {err}");
        assert!(err.contains("cannot start: no further thread can be started") && err.contains("--threads"), "{err}");
        failed += 1;
    }
    // The start, the log, the signals, and twice a housekeeper and three workers or more.
    assert!(failed >= 11, "only {failed} threads");
}

#[test]
fn limit_of_threads_ends_the_start() {
    let Some(prlimit) = tool("prlimit") else { return };
    if !rustix::process::geteuid().is_root() {
        return missing("root, to run as a user who has no other threads");
    }
    let directory = directory();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    // That user may not be able to execute the program where it is. Copied by another process: a child of another test
    // could hold the copy open for writing, and then it cannot run.
    let program = directory.path().join("program");
    assert!(Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap().success());
    for limit in [1, 5, 50] {
        let mut command = Command::new(&prlimit);
        command.uid(54_321).gid(54_321).arg(format!("--nproc={limit}")).arg(&program);
        let error = startup_error(command.args(LOCAL).args(["--threads", "100"]).arg(directory.path()));
        assert!(error.contains("no further thread") && error.contains("ulimit -u"), "{error}");
    }
}

#[test]
fn lock_of_another_process_prevents_neither_start_nor_removal_of_socket() {
    let directory = directory();
    let socket = directory.path().join("socket");
    drop(UnixListener::bind(&socket).unwrap()); // a stale one
    let other = File::open(directory.path()).unwrap();
    flock(&other, FlockOperation::LockExclusive).unwrap();
    let program = Program::run(Command::new(PROGRAM).arg("--unix").arg(&socket).arg(directory.path()));
    assert!(UnixStream::connect(&socket).is_ok());
    program.finish();
    assert!(!socket.exists());
}

#[test]
fn of_servers_that_start_at_once_on_a_stale_socket_one_serves() {
    let directory = directory();
    let socket = directory.path().join("socket");
    for _ in 0..5 {
        drop(UnixListener::bind(&socket).unwrap());
        let start = |_| {
            let mut command = Command::new(PROGRAM);
            command.arg("--unix").arg(&socket).arg(directory.path());
            Starting::run(command.stdout(Stdio::null()).stderr(Stdio::null()))
        };
        let mut started: Vec<Starting> = (0..4).map(start).collect();
        let mut failed = || started.iter_mut().map(Starting::has_failed).filter(|failed| *failed).count();
        wait_until("all but one have failed", || failed() == 3);
        let connected = UnixStream::connect(&socket);
        drop(started);
        assert!(connected.is_ok(), "{connected:?}");
        fs::remove_file(&socket).unwrap();
    }
}
