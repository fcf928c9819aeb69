//! Files that do not behave as files on a disk do.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use rustix::io::Errno;
use tempfile::TempDir;

use support::{PROGRAM, Program, ProgramWithDisk, content, fetch, keep_alive, read_response, send, tool};

fn is_content_length(head: &str, length: usize) -> bool {
    head.contains(&format!("\r\nContent-Length: {length}\r\n"))
}

/// The program, with an error in place of each `sendfile`.
fn without_sendfile(root: &Path, error: &str) -> Option<Program> {
    let mut command = Command::new(tool("strace")?);
    command.args(["-D", "-f", "-o", "/dev/null", "-e", "trace=sendfile", "-e"]);
    command.arg(format!("inject=sendfile:error={error}"));
    command.args([PROGRAM, "--port", "0", "--bind", "127.0.0.1"]).arg(root);
    Some(Program::run(&mut command))
}

#[test]
fn files_are_sent_where_sendfile_is_refused() {
    let directory = TempDir::new().unwrap();
    let expected: Vec<u8> = (0..251).cycle().take(3 << 20).collect();
    fs::write(directory.path().join("large"), &expected).unwrap();
    for error in ["EINVAL", "ENOSYS", "EPERM", "EOPNOTSUPP", "EIO"] {
        let Some(program) = without_sendfile(directory.path(), error) else { return };
        let mut stream = send(program.address(), &keep_alive("/large").repeat(2));
        for _ in 0..2 {
            assert!(read_response(&mut stream).body == expected, "{error}");
        }
        let part = fetch(program.address(), "GET", "/large", "Range: bytes=1000000-1999999\r\n");
        assert!(part.status == 206 && part.body == expected[1_000_000..2_000_000], "{error}");
    }
}

#[test]
fn body_that_cannot_be_read_is_cut_off_with_one_line_that_says_why() {
    for (error, cause) in [(Errno::IO, "Input/output error"), (Errno::STALE, "Stale file handle")] {
        let Some(server) = ProgramWithDisk::below_root(&["--log-format", "off"]) else { return };
        server.disk.fail_reads_from(1 << 20, error);
        let mut bytes = Vec::new();
        let _ = send(server.address(), b"GET /hung/large7 HTTP/1.0\r\n\r\n").read_to_end(&mut bytes);
        let head = String::from_utf8_lossy(&bytes[..400]);
        assert!(is_content_length(&head, content("large7").len()), "{head}");
        assert!(bytes.len() < content("large7").len());
        let messages = server.program.finish();
        let lines: Vec<_> = messages.lines().filter(|line| line.contains("/hung/large7")).collect();
        assert!(lines.len() == 1 && lines[0].contains(cause), "{messages}");
    }
}
