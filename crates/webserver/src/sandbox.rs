//! Landlock: from here on the process reads below one directory, writes in one other at most, executes nothing, opens no
//! connection and listens nowhere else. It is the second wall behind that of `files/root.rs`, and holds against what goes
//! wrong in this very program.

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// What may still be done, by directory: there and below.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SandboxPaths<'a> {
    /// Files are read and directories are listed.
    pub(crate) reading: Option<BorrowedFd<'a>>,
    /// Files are made and written.
    pub(crate) writing: Option<BorrowedFd<'a>>,
    /// Files are removed.
    pub(crate) removing: Option<BorrowedFd<'a>>,
}

/// What is asked for; a kernel that knows less of it does what it knows.
const WANTED: ABI = ABI::V6;

/// Confines this thread, and all that it starts from now on. Says how far that went: the process is so.
pub(crate) fn confine(allowed: &SandboxPaths<'_>) -> String {
    match restrict(allowed) {
        Ok(RestrictionStatus { ruleset: RulesetStatus::NotEnforced, landlock, .. }) => match landlock {
            LandlockStatus::NotEnabled => "not confined: Landlock is switched off here".into(),
            _ => "not confined: this kernel has no Landlock".into(),
        },
        Ok(RestrictionStatus { landlock: LandlockStatus::Available { effective_abi, .. }, .. }) => {
            format!("confined by Landlock (ABI {})", effective_abi as i32)
        }
        Ok(_) => "confined by Landlock".into(),
        Err(error) => format!("not confined: {error}"),
    }
}

fn restrict(allowed: &SandboxPaths<'_>) -> Result<RestrictionStatus, RulesetError> {
    // What is allowed for reading needs no Landlock on it.
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut handled = AccessFs::from_all(WANTED);
    if allowed.reading.is_none() {
        handled.remove(reading);
    }
    let rules: [(_, BitFlags<AccessFs>); 3] = [
        (allowed.reading, reading),
        (allowed.writing, AccessFs::WriteFile | AccessFs::MakeReg),
        (allowed.removing, AccessFs::RemoveFile.into()),
    ];
    let rules = rules.into_iter().filter_map(|(directory, access)| Some(PathBeneath::new(directory?, access)));
    Ruleset::default()
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
    use std::fs::{self, File};
    use std::io::ErrorKind::PermissionDenied;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use std::thread;

    /// In a thread of its own, which alone is confined. `false` where the kernel has no Landlock.
    fn confined(allowed: &SandboxPaths<'_>, body: impl FnOnce() + Send) -> bool {
        thread::scope(|scope| {
            let confined = scope.spawn(|| {
                let said = confine(allowed);
                let holds = said.starts_with("confined by Landlock");
                if holds {
                    body();
                } else {
                    println!("MISSING: Landlock: {said}");
                    assert!(std::env::var_os("CI").is_none(), "continuous integration has a kernel with Landlock");
                }
                holds
            });
            confined.join().unwrap()
        })
    }

    // V35: what this proves holds even where `files/root.rs` has a hole.
    #[test]
    fn nothing_else_can_be_opened_made_or_executed() {
        let (root, logs, sockets) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let inside = root.path().join("inside");
        fs::write(&inside, "inside").unwrap();
        symlink("/etc/passwd", root.path().join("link")).unwrap();
        fs::write(logs.path().join("log"), "").unwrap();
        fs::write(sockets.path().join("socket"), "").unwrap();
        let open = |directory: &tempfile::TempDir| File::open(directory.path()).unwrap();
        let (reading, writing, removing) = (open(&root), open(&logs), open(&sockets));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();

        let allowed = SandboxPaths {
            reading: Some(reading.as_fd()),
            writing: Some(writing.as_fd()),
            removing: Some(removing.as_fd()),
        };
        confined(&allowed, || {
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
                File::create(sockets.path().join("new")).map(|_| ()),
                Command::new("true").status().map(|_| ()),
                TcpStream::connect(address).map(|_| ()),
                TcpListener::bind("127.0.0.1:0").map(|_| ()),
            ];
            for (n, denied) in denied.into_iter().enumerate() {
                assert_eq!(denied.map_err(|error| error.kind()), Err(PermissionDenied), "number {n}");
            }
            // The log is written, and made anew when the old one was moved away.
            for name in ["log", "new"] {
                let log = File::options().append(true).create(true).open(logs.path().join(name));
                log.unwrap().write_all(b"line\n").unwrap();
            }
            fs::remove_file(sockets.path().join("socket")).unwrap();
        });
        assert!(File::open("/etc/passwd").is_ok(), "only that thread was confined");
    }

    #[test]
    fn where_links_may_lead_out_all_is_read_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        confined(&SandboxPaths { reading: None, writing: None, removing: None }, || {
            let mut bytes = Vec::new();
            File::open("/etc/passwd").unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(File::create(root.path().join("new")).unwrap_err().kind(), PermissionDenied);
            assert_eq!(Command::new("true").status().unwrap_err().kind(), PermissionDenied);
        });
    }
}
