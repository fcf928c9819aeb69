//! A server with one slow system call: `strace` runs it and delays that call.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::Process;
use crate::servers::{Kind, Server, Tuning, find_installed};
use crate::{BoxError, LARGE, LARGE_FILES, Options, SMALL, SMALL_FILES, client};

/// A step that waits for the disk, with the system calls that each server makes for it.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) ours: &'static str,
    pub(crate) nginx: Option<&'static str>,
    pub(crate) directory: &'static str,
    pub(crate) files: usize,
    pub(crate) size: usize,
}

const OF_SMALL: Call = Call { name: "", ours: "", nginx: None, directory: "small", files: SMALL_FILES, size: SMALL };

pub(crate) const CALLS: [Call; 4] = [
    Call { name: "open", ours: "openat2", nginx: Some("openat"), ..OF_SMALL },
    // Of nginx, only `fstat`, which asks no disk: the file is open.
    Call { name: "stat", ours: "statx", ..OF_SMALL },
    Call { name: "read", ours: "pread64,preadv2", nginx: Some("sendfile"), ..OF_SMALL },
    Call {
        name: "sendfile",
        ours: "sendfile",
        nginx: Some("sendfile"),
        directory: "large",
        files: LARGE_FILES,
        size: LARGE,
    },
];

impl Call {
    /// The system calls to delay, or `None` if the server makes none for this step.
    pub(crate) fn of(&self, server: Kind) -> Option<&'static str> {
        if server == Kind::Nginx { self.nginx } else { Some(self.ours) }
    }
}

pub(crate) struct SlowServer {
    pub(crate) port: u16,
    trace: PathBuf,
    /// Dropping it ends the server, and `strace` with it.
    _process: Process,
}

impl SlowServer {
    pub(crate) fn start(
        server: &Server,
        call: &Call,
        options: &Options,
        cached_files: usize,
        scratch: &Path,
    ) -> Result<Self, BoxError> {
        let port = client::free_port()?;
        let trace = scratch.join("trace");
        let tuning = Tuning { workers: Some(options.threads), cached_files: Some(cached_files) };
        let command = server.command(&scratch.join("www"), scratch, port, tuning)?;
        let calls = call.of(server.kind).ok_or("the server makes no such call")?;
        let mut strace = Command::new("strace");
        // `-D`: the server is our child, so that it receives our SIGTERM. `--seccomp-bpf`: only the delayed call stops
        // for `strace`, which then takes 3 % of a core instead of 16 % (nginx, 1,400 requests per second).
        strace.args(["-D", "-f", "-qq", "--seccomp-bpf", "-e", "signal=none", "-o"]).arg(&trace);
        strace.args(["-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:delay_exit={}", options.delay)]);
        strace.arg(command.get_program()).args(command.get_args());
        strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(scratch.join("errors"))?);
        let mut process = Process::start(strace)?;
        client::wait_until_ready(port, &mut process)?;
        Ok(Self { port, trace, _process: process })
    }

    /// How many calls were delayed since the start.
    pub(crate) fn delayed_calls(&self) -> Result<usize, BoxError> {
        Ok(String::from_utf8_lossy(&fs::read(&self.trace)?).matches("(DELAYED)").count())
    }
}

/// The version of `strace`.
pub(crate) fn find_strace() -> Result<String, BoxError> {
    let (program, version) = find_installed("strace", "--version");
    program.map(|_| version).ok_or_else(|| "strace is not installed (Debian package: strace)".into())
}
