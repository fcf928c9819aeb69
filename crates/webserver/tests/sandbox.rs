//! The rights of the program: it keeps only those that it needs, and a message names its sandbox.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use support::{PROGRAM, Program, TIMEOUT, get, keep_alive, send, tool};

fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("small"), "small").unwrap();
    fs::write(directory.path().join("large"), vec![b'x'; 100_000]).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", directory.path().join("link")).unwrap();
    directory
}

/// The calls that open a file, and the flags that create or change one.
const OPENS: [&str; 4] = ["open(", "openat(", "openat2(", "creat("];
const WRITES: [&str; 5] = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"];

// V35: from startup to shutdown, for every kind of request.
#[test]
fn v35_program_executes_nothing_and_writes_no_file() {
    let Some(strace) = tool("strace") else { return };
    let (directory, place) = (directory(), TempDir::new().unwrap());
    let trace = place.path().join("trace");
    let socket = place.path().join("socket");
    let mut command = Command::new(strace);
    command.args(["-f", "-e", "trace=%file,%process,/^landlock", "-o"]).arg(&trace);
    command.arg(PROGRAM).args(["-p", "0", "-b", "127.0.0.1", "--unix"]).arg(&socket).arg(directory.path());
    let mut program = Program::run(&mut command);
    let address = program.address();
    for (target, status) in
        [("/small", 200), ("/large", 200), ("/", 200), ("/missing", 404), ("/link", 403), ("/../etc/passwd", 400)]
    {
        for _ in 0..3 {
            assert_eq!(get(address, target).status, status, "{target}");
        }
    }
    drop(send(address, &keep_alive("/large")));
    let pid = first_pid(&trace);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert!(program.wait(TIMEOUT).unwrap().success(), "{}", program.messages());
    assert!(!socket.exists());

    let trace = fs::read_to_string(&trace).unwrap();
    let calls = || trace.lines().filter_map(|line| line.split_once(' ').map(|(_, call)| call.trim_start()));
    let executed: Vec<&str> = calls().filter(|call| call.starts_with("execve")).collect();
    assert!(matches!(executed[..], [only] if only.contains(PROGRAM)), "{executed:#?}");
    let opened: Vec<&str> = calls().filter(|call| OPENS.iter().any(|open| call.starts_with(open))).collect();
    assert!(opened.iter().any(|call| call.contains("\"small\"")), "the trace has opened files: {trace}");
    let written: Vec<&&str> = opened.iter().filter(|call| WRITES.iter().any(|flag| call.contains(flag))).collect();
    assert!(written.is_empty(), "{written:#?}");
    // The only change on disk is the removal of its socket.
    let changes = ["unlink", "rename", "mkdir", "rmdir", "link", "symlink", "truncate", "chmod", "chown", "mknod"];
    let changed: Vec<&str> = calls().filter(|call| changes.iter().any(|change| call.starts_with(change))).collect();
    assert!(matches!(changed[..], [only] if only.starts_with("unlinkat(")), "{changed:#?}");
    // Requests cannot show how far Landlock restricts reading: what leads out of ROOT is refused before.
    if has_landlock() {
        let landlock: Vec<&str> = calls().filter(|call| call.starts_with("landlock_")).collect();
        let restricted = ["READ_FILE", "READ_DIR", "WRITE_FILE", "EXECUTE"].map(|right| format!("ACCESS_FS_{right}"));
        let has_all = |call: &&&str| restricted.iter().all(|right| call.contains(right));
        assert!(
            landlock.iter().filter(has_all).any(|call| call.starts_with("landlock_create_ruleset(")),
            "{landlock:#?}"
        );
        let reads = |call: &&&str| call.starts_with("landlock_add_rule(") && call.contains("READ_FILE");
        assert_eq!(landlock.iter().filter(reads).count(), 1, "{landlock:#?}");
        assert!(
            landlock.last().is_some_and(|call| call.starts_with("landlock_restrict_self(") && call.ends_with("= 0"))
        );
    }
}

fn first_pid(trace: &Path) -> rustix::process::Pid {
    let trace = fs::read_to_string(trace).unwrap();
    let number = trace.split(' ').next().and_then(|number| number.parse().ok()).unwrap();
    rustix::process::Pid::from_raw(number).unwrap()
}

fn has_landlock() -> bool {
    let directory = directory();
    Program::start(directory.path(), &[]).finish().contains("the process is sandboxed by Landlock")
}

// V35
#[test]
fn startup_message_names_containment_and_sandbox() {
    let directory = directory();
    for (options, expected) in [
        (&[][..], "\nwebserver: requests cannot leave the directory "),
        (&["--follow-symlinks"], "\nwebserver: requests may follow symlinks out of the directory; the process is "),
    ] {
        let messages = format!("\n{}", Program::start(directory.path(), options).finish());
        assert!(messages.contains(expected), "{messages}");
        let reads_all = messages.contains(", except that it may read all that its user may");
        assert_eq!(reads_all, has_landlock() && !options.is_empty(), "{messages}");
        let root = rustix::process::geteuid().is_root();
        assert_eq!(messages.matches("\nwebserver: warning: ").count(), usize::from(root), "{messages}");
    }
}
