//! The Landlock sandbox: the process keeps only the rights that serving needs. It reads below ROOT, and beside it if ROOT
//! is a symlink that may be switched or a file that may be replaced, reads the users again, writes in the log's directory
//! and removes its Unix socket. It executes nothing, opens no connection and binds no further port. `http-files` already
//! keeps each request below ROOT; this also holds if
//! the program has a bug.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use http_files::Files;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::cli::Cli;
use crate::log_file::{Destination, LogFile};
use crate::system::os_error::describe;
use crate::system::unix_socket::SocketFile;
use crate::users::UsersFile;

/// What the process keeps, opened.
pub(crate) struct Sandbox {
    /// ROOT, and the directory of its symlink. `None` and `None`: anything may be read.
    root: Option<OwnedFd>,
    link: Option<LinkDirectory>,
    users: Vec<(PathBuf, OwnedFd)>,
    log: Option<OwnedFd>,
    socket: Option<OwnedFd>,
}

impl Sandbox {
    /// Opens what the server needs later.
    pub(crate) fn open(
        cli: &Cli,
        files: &Files,
        users: Option<&UsersFile>,
        log: Option<&LogFile>,
        socket: Option<&SocketFile>,
    ) -> Result<Sandbox, String> {
        let cannot_read = |error| format!("cannot serve {:?}: {}", cli.root, describe(&error));
        let (root, link) = match cli.follow_symlinks {
            true => (None, None),
            false => {
                (Some(files.directory().map_err(cannot_read)?), LinkDirectory::of(&cli.root).map_err(cannot_read)?)
            }
        };
        // Without its directory, the users file can be read now, and perhaps not later.
        let users = users.map(UsersFile::directories).unwrap_or_default();
        let users = users.into_iter().filter_map(|path| open(&path).ok().map(|directory| (path, directory))).collect();
        let log = match log.map(|log| &log.destination) {
            Some(Destination::Directory(directory)) => Some(open(directory).map_err(|error| {
                format!("cannot open the directory of the log file {directory:?}: {error} (see --log-file)")
            })?),
            _ => None,
        };
        let socket = socket.map(|socket| socket.directory().try_clone_to_owned()).transpose();
        let socket = socket.map_err(|error| format!("cannot open the directory of --unix: {}", describe(&error)))?;
        Ok(Sandbox { root, link, users, log, socket })
    }

    /// Restricts this thread and all threads that it starts from now on. Returns a sentence about the result.
    pub(crate) fn restrict_process(&self) -> Option<String> {
        Some(restrict_process(&SandboxPaths {
            read: self.root.as_ref().map(AsFd::as_fd),
            link: self.link.as_ref(),
            users: &self.users,
            write: self.log.as_ref().map(AsFd::as_fd),
            remove: self.socket.as_ref().map(AsFd::as_fd),
        }))
    }
}

fn open(directory: &Path) -> Result<OwnedFd, Errno> {
    openat(CWD, directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The directories in which the process keeps a right, each with everything below it.
#[derive(Clone, Copy, Debug)]
struct SandboxPaths<'a> {
    /// Read files and list directories. `None`: anywhere.
    read: Option<BorrowedFd<'a>>,
    /// Read files and list directories there, too.
    link: Option<&'a LinkDirectory>,
    /// Read files there, too: the directories of the users file.
    users: &'a [(PathBuf, OwnedFd)],
    /// Create and write files. `None`: nowhere.
    write: Option<BorrowedFd<'a>>,
    /// Remove files. `None`: nowhere.
    remove: Option<BorrowedFd<'a>>,
}

/// The directory of a symlink by which ROOT is named, or of a file that is ROOT. What ROOT is later is read, if it is below.
#[derive(Debug)]
struct LinkDirectory {
    path: PathBuf,
    directory: OwnedFd,
    /// ROOT itself is not below it, so what the symlink leads to later may not be either.
    leads_out: bool,
    is_of_file: bool,
}

impl LinkDirectory {
    /// `None` if ROOT is a directory, and its last component no symlink.
    fn of(root: &Path) -> io::Result<Option<LinkDirectory>> {
        let Some((parent, name)) = root.parent().zip(root.file_name()) else { return Ok(None) };
        let is_of_file = root.is_file();
        if !parent.join(name).is_symlink() && !is_of_file {
            return Ok(None);
        }
        let path = Path::new(".").join(parent).canonicalize()?;
        let directory = open(&path)?;
        let leads_out = !root.canonicalize()?.starts_with(&path);
        Ok(Some(LinkDirectory { path, directory, leads_out, is_of_file }))
    }
}

/// The newest rules to enforce. An older kernel enforces those that it knows.
const WANTED: ABI = ABI::V6;

/// Restricts this thread and all threads that it starts from now on. Returns a sentence about the result.
fn restrict_process(allowed: &SandboxPaths<'_>) -> String {
    let ruleset = Ruleset::default();
    // It has asked the kernel for its version of Landlock. If that failed, only `errno` still knows why.
    let errno = Errno::from_io_error(&io::Error::last_os_error());
    match restrict_thread(ruleset, allowed) {
        Ok(RestrictionStatus { landlock: LandlockStatus::Available { effective_abi, .. }, .. }) => {
            let reading = if allowed.read.is_some() { "" } else { ", except that it may read all that its user may" };
            format!("the process is sandboxed by Landlock (ABI {}){reading}{}", effective_abi as i32, beside(allowed))
        }
        Ok(_) => format!("the process is not sandboxed: {}", why_missing(errno)),
        Err(error) => format!("the process is not sandboxed: {error}; {ADVICE}"),
    }
}

const ADVICE: &str =
    "a seccomp filter must allow landlock_create_ruleset, landlock_add_rule, landlock_restrict_self and prctl";

/// Why the kernel has told no version of Landlock.
fn why_missing(errno: Option<Errno>) -> String {
    match errno {
        Some(Errno::OPNOTSUPP) => "Landlock is disabled (add it to the boot option lsm=)".into(),
        Some(Errno::NOSYS) if has_seccomp_filter() => {
            "this kernel has no Landlock, or a seccomp filter hides it".into()
        }
        Some(Errno::NOSYS) | None => "this kernel has no Landlock".into(),
        Some(errno) => format!("Landlock is refused: {errno}; {ADVICE}"),
    }
}

fn has_seccomp_filter() -> bool {
    fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Seccomp:") && line.ends_with('2')))
}

/// The rest of a sentence about the sandbox: what else may be read.
fn beside(allowed: &SandboxPaths<'_>) -> String {
    let mut text = match allowed.link {
        None => String::new(),
        Some(LinkDirectory { path, leads_out: false, is_of_file: false, .. }) => {
            format!(" and can read all of {path:?}, where the symlink ROOT may be switched")
        }
        Some(LinkDirectory { path, leads_out: false, is_of_file: true, .. }) => {
            format!(" and can read all of {path:?}, where the file may be replaced")
        }
        Some(LinkDirectory { path, leads_out: true, is_of_file, .. }) => {
            let root = if *is_of_file { "the directory of ROOT" } else { "ROOT" };
            format!(
                " and can read {root} and all of {path:?}; the symlink ROOT leads out of there, so restart after it is switched"
            )
        }
    };
    for (path, _) in allowed.users.iter().filter(|_| allowed.read.is_some()) {
        text += &format!("; it can read all of {path:?}, where the users may be replaced");
    }
    text
}

fn restrict_thread(ruleset: Ruleset, allowed: &SandboxPaths<'_>) -> Result<RestrictionStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut handled = AccessFs::from_all(WANTED);
    if allowed.read.is_none() {
        handled.remove(read);
    }
    let users = allowed.users.iter().map(|(_, directory)| (Some(directory.as_fd()), AccessFs::ReadFile.into()));
    let rules: [(_, BitFlags<AccessFs>); 4] = [
        (allowed.read, read),
        (allowed.link.map(|link| link.directory.as_fd()), read),
        (allowed.write, AccessFs::WriteFile | AccessFs::MakeReg),
        (allowed.remove, AccessFs::RemoveFile.into()),
    ];
    let users = users.filter(|_| allowed.read.is_some());
    let rules =
        rules.into_iter().chain(users).filter_map(|(directory, access)| Some(PathBeneath::new(directory?, access)));
    ruleset
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(handled)?
        .handle_access(AccessNet::from_all(WANTED))?
        .scope(Scope::from_all(WANTED))?
        .create()?
        .add_rules(rules.map(Ok::<_, RulesetError>))?
        .restrict_self()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::ErrorKind::PermissionDenied;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use std::thread;

    /// Runs `body` in a thread that is sandboxed, and no other. Skips it if the kernel has no Landlock.
    fn in_sandbox(allowed: &SandboxPaths<'_>, body: impl FnOnce() + Send) {
        thread::scope(|scope| {
            let sandboxed = scope.spawn(|| {
                let outcome = restrict_process(allowed);
                if outcome.starts_with("the process is sandboxed") {
                    body();
                } else {
                    println!("MISSING: Landlock: {outcome}");
                    assert!(std::env::var_os("CI").is_none(), "the kernel of continuous integration has Landlock");
                }
            });
            sandboxed.join().unwrap();
        });
    }

    // V35: this holds even if the containment of `http-files` has a hole.
    #[test]
    fn sandboxed_thread_can_use_nothing_but_allowed_directories() {
        let (root, logs, sockets) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let inside = root.path().join("inside");
        fs::write(&inside, "inside").unwrap();
        symlink("/etc/passwd", root.path().join("link")).unwrap();
        fs::write(logs.path().join("log"), "").unwrap();
        fs::write(sockets.path().join("socket"), "").unwrap();
        let users = tempfile::tempdir().unwrap();
        fs::write(users.path().join("users"), "users").unwrap();
        let open = |directory: &tempfile::TempDir| File::open(directory.path()).unwrap();
        let (read, write, remove) = (open(&root), open(&logs), open(&sockets));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();

        let allowed = SandboxPaths {
            read: Some(read.as_fd()),
            link: None,
            users: &[(users.path().into(), open(&users).into())],
            write: Some(write.as_fd()),
            remove: Some(remove.as_fd()),
        };
        in_sandbox(&allowed, || {
            assert_eq!(fs::read(&inside).unwrap(), b"inside");
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
            for outside in ["link", "/etc/passwd", "/proc/self/environ", "/dev/null", "../"] {
                let error = File::open(root.path().join(outside)).unwrap_err();
                assert_eq!(error.kind(), PermissionDenied, "{outside}");
            }
            let denied = [
                File::create(root.path().join("new")).map(|_| ()),
                File::options().append(true).open(&inside).map(|_| ()),
                fs::remove_file(&inside),
                fs::rename(&inside, root.path().join("other")),
                fs::create_dir(root.path().join("directory")),
                File::open(logs.path().join("log")).map(|_| ()),
                fs::remove_file(logs.path().join("log")),
                fs::read_dir(users.path()).map(|_| ()),
                File::create(users.path().join("users")).map(|_| ()),
                File::create(sockets.path().join("new")).map(|_| ()),
                Command::new("true").status().map(|_| ()),
                TcpStream::connect(address).map(|_| ()),
                TcpListener::bind("127.0.0.1:0").map(|_| ()),
            ];
            for (n, denied) in denied.into_iter().enumerate() {
                assert_eq!(denied.map_err(|error| error.kind()), Err(PermissionDenied), "operation {n}");
            }
            // The log can be written, and created again after its file has been moved away.
            for name in ["log", "new"] {
                let log = File::options().append(true).create(true).open(logs.path().join(name));
                log.unwrap().write_all(b"line\n").unwrap();
            }
            fs::remove_file(sockets.path().join("socket")).unwrap();
            assert_eq!(fs::read(users.path().join("users")).unwrap(), b"users");
        });
        assert!(File::open("/etc/passwd").is_ok(), "only that thread was sandboxed");
    }

    #[test]
    fn directory_of_a_symlink_is_that_of_the_last_component() {
        let outer = tempfile::tempdir().unwrap();
        let outer = outer.path().canonicalize().unwrap();
        fs::create_dir_all(outer.join("a/v1/sub")).unwrap();
        fs::create_dir(outer.join("b")).unwrap();
        symlink("v1", outer.join("a/current")).unwrap();
        symlink("../a/v1", outer.join("b/out")).unwrap();
        symlink("a", outer.join("c")).unwrap();
        fs::write(outer.join("a/file"), "").unwrap();
        symlink("../a/file", outer.join("b/file")).unwrap();
        for (root, expected) in [
            ("a/v1", None),
            ("a/current", Some(("a", false))),
            ("a/current/", Some(("a", false))),
            ("c/current", Some(("a", false))), // without symlinks
            ("a/current/sub", None),
            ("c/v1", None),
            ("b/out", Some(("b", true))),
            ("a/file", Some(("a", false))),
            ("c/file", Some(("a", false))),
            ("b/file", Some(("b", true))),
            ("a/none", None),
            ("", None),
        ] {
            let link = LinkDirectory::of(&outer.join(root)).unwrap();
            let found = link.map(|link| (link.path, link.leads_out));
            assert_eq!(found, expected.map(|(path, leads_out)| (outer.join(path), leads_out)), "{root}");
        }
        for directory in [".", "..", "/", "src"] {
            assert!(LinkDirectory::of(Path::new(directory)).unwrap().is_none(), "{directory}");
        }
    }

    #[test]
    fn sandboxed_thread_can_only_read_if_all_may_be_read() {
        let root = tempfile::tempdir().unwrap();
        in_sandbox(&SandboxPaths { read: None, link: None, users: &[], write: None, remove: None }, || {
            let mut bytes = Vec::new();
            File::open("/etc/passwd").unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(File::create(root.path().join("new")).unwrap_err().kind(), PermissionDenied);
            assert_eq!(Command::new("true").status().unwrap_err().kind(), PermissionDenied);
        });
    }
}
