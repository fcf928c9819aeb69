//! The program under test with a disk that stops answering when a test says so.
//!
//! The program runs in a mount namespace of its own, so that nothing else sees the disk. `unshare`, a shell and `mount`
//! prepare it; then the shell becomes the program. This process gets the shell's `/dev/fuse` and answers in its place.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use tempfile::TempDir;

use super::engine::engine_options;
use super::program::text;
use super::{Fuse, Hold, PROGRAM, Program, missing, tool};

/// Mounts its descriptor 3, says so, and waits until this process answers in its place. It closes the descriptor before
/// it becomes the program, which would otherwise keep a disk that nobody answers for.
const SCRIPT: &str = r#"exec 3<>/dev/fuse &&
    mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hung "$0" &&
    echo mounted && read -r go && exec "$@" 3>&- </dev/null"#;

/// A program, and the disk on which some or all of its files are. The disk is dropped first, so that it holds nothing
/// when the program is killed.
pub(crate) struct ProgramWithDisk {
    pub(crate) disk: Fuse,
    pub(crate) program: Program,
    root: TempDir,
}

impl ProgramWithDisk {
    /// The disk is the directory `hung` below ROOT, and beside it are 100 files, such as `local7`. `None` if a disk cannot
    /// be mounted here, after a message that says so.
    pub(crate) fn below_root(options: &[&str]) -> Option<ProgramWithDisk> {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join("hung")).unwrap();
        for n in 0..100 {
            fs::write(root.path().join(format!("local{n}")), format!("local{n}")).unwrap();
        }
        ProgramWithDisk::start(root, "hung", options)
    }

    /// The disk is ROOT.
    pub(crate) fn as_root(options: &[&str]) -> Option<ProgramWithDisk> {
        ProgramWithDisk::start(TempDir::new().unwrap(), "", options)
    }

    fn start(root: TempDir, place: &str, options: &[&str]) -> Option<ProgramWithDisk> {
        let messages = tempfile::tempfile().unwrap();
        let options = [options, &[root.path().to_str().unwrap()]].concat();
        let (disk, process) = spawn_with_disk(&root.path().join(place), Hold::Nothing, &options, &messages)?;
        Some(ProgramWithDisk { disk, program: Program::when_ready(process, messages), root })
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.program.address()
    }
}

/// Mounts a disk that holds these requests on a directory, and starts the program with these arguments. Its standard
/// error is the file. `None` as above.
pub(crate) fn spawn_with_disk(place: &Path, hold: Hold, arguments: &[&str], messages: &File) -> Option<(Fuse, Child)> {
    let mut process = Command::new(tool("unshare")?)
        .args(["--user", "--map-root-user", "--mount", "--propagation", "private", "sh", "-c", SCRIPT])
        .arg(place)
        .args([PROGRAM, "--port", "0", "--bind", "127.0.0.1"])
        .args(engine_options())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(messages.try_clone().unwrap())
        .spawn()
        .unwrap();
    let Some(device) = mounted_device(&mut process) else {
        let _ = process.kill();
        let _ = process.wait();
        missing(&format!("a FUSE mount in a namespace: {}", text(messages).trim()));
        return None;
    };
    let disk = Fuse::serve(device);
    disk.hold(hold);
    process.stdin.take().unwrap().write_all(b"go\n").unwrap();
    Some((disk, process))
}

/// The descriptor 3 of a process that has mounted it.
fn mounted_device(process: &mut Child) -> Option<OwnedFd> {
    let mut line = [0; 8];
    process.stdout.as_mut()?.read_exact(&mut line).ok()?;
    assert_eq!(&line, b"mounted\n");
    let pidfd = pidfd_open(Pid::from_child(process), PidfdFlags::empty()).ok()?;
    pidfd_getfd(pidfd, 3, PidfdGetfdFlags::empty()).ok()
}
