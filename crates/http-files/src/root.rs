//! Containment: every open goes below the root, by the kernel's own rule. The only file that opens anything.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_core::Date;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, StatxFlags, fstat, makedev, openat, openat2, statat,
    statx,
};
use rustix::io::{Errno, pread, retry_on_intr};
use thiserror::Error;

/// A directory that nothing leads out of.
#[derive(Debug)]
pub(crate) struct Root {
    directory: OwnedFd,
    /// The kernel, or a sandbox, has no `openat2`.
    walks: bool,
    /// Links lead wherever they lead: the owner gave containment up.
    follows: bool,
}

/// Something that may be served.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: OwnedFd,
    pub(crate) kind: Kind,
    pub(crate) state: State,
}

/// What tells one file, and one state of it, from all others. A file's times may be set, but not that of its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    device: u64,
    inode: u64,
    /// Bytes.
    pub(crate) length: u64,
    /// Nanoseconds since 1970, as below.
    pub(crate) modified: i128,
    pub(crate) changed: i128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
}

/// Why something is not served.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum OpenError {
    #[error("is not there")]
    NotFound,
    /// It is there, and not for peers.
    #[error("may not be read, leads out of the root, or is neither file nor directory")]
    Forbidden,
    /// No descriptor is left.
    #[error("cannot be opened for want of descriptors")]
    Busy,
    #[error("is written to all the time")]
    Changing,
    /// The system failed.
    #[error("cannot be read")]
    Broken,
}

/// Never waits for a FIFO's other end, never takes a terminal (V25).
const OPEN: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// The kernel's own rule.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// How every open of [`Files`](crate::Files) is kept below its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Containment {
    /// By the kernel's own rule, `openat2`: nothing below leads out, and links that stay below are followed.
    EventSource,
    /// Segment by segment, for want of `openat2`, and no link is followed.
    Walk,
    /// Not at all: links are followed wherever they lead.
    None,
}

impl Containment {
    /// What stands behind it.
    pub(crate) fn rule(self) -> &'static str {
        match self {
            Containment::EventSource => "R1945-12.5a, openat2",
            Containment::Walk => "R1945-12.5a, no link is followed",
            Containment::None => "--follow-symlinks",
        }
    }
}

impl Root {
    pub(crate) fn open(path: &Path) -> io::Result<Root> {
        let directory =
            retry_on_intr(|| openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()))?;
        // The first from old kernels, the second from sandboxes. Asked once: a single file may be EPERM later.
        let probe = retry_on_intr(|| openat2(&directory, ".", OPEN, Mode::empty(), RESOLVE));
        let walks = matches!(probe, Err(Errno::NOSYS | Errno::PERM));
        Ok(Root { directory, walks, follows: false })
    }

    /// Follows links out of the root, too, or not.
    pub(crate) fn follow_symlinks(&mut self, follows: bool) {
        self.follows = follows;
    }

    pub(crate) fn containment(&self) -> Containment {
        match (self.follows, self.walks) {
            (true, _) => Containment::None,
            (false, true) => Containment::Walk,
            (false, false) => Containment::EventSource,
        }
    }

    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Opens a name that `http_core::Path::decode_to` has made; empty for the root itself.
    pub(crate) fn open_below(&self, path: &[u8]) -> Result<Opened, OpenError> {
        let path = if path.is_empty() { b"." } else { path };
        let file = self.descriptor(OsStr::from_bytes(path))?;
        let stat = fstat(&file)?;
        let kind = Kind::of(&stat).ok_or(OpenError::Forbidden)?;
        Ok(Opened { file, kind, state: State::new(&stat) })
    }

    /// The state of what a path names now, if it is anything; a link may lead out of the root.
    pub(crate) fn state(&self, path: &CStr) -> Option<State> {
        const WANTED: StatxFlags =
            StatxFlags::INO.union(StatxFlags::SIZE).union(StatxFlags::MTIME).union(StatxFlags::CTIME);
        // A file system over a network is asked anew; to one on a disk the flag means nothing.
        let stat = statx(&self.directory, path, AtFlags::STATX_FORCE_SYNC, WANTED).ok()?;
        Some(State {
            device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            length: stat.stx_size,
            modified: nanoseconds(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec.into()),
            changed: nanoseconds(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec.into()),
        })
    }

    fn descriptor(&self, path: &OsStr) -> Result<OwnedFd, Errno> {
        match self.containment() {
            Containment::None => return retry_on_intr(|| openat(&self.directory, path, OPEN, Mode::empty())),
            Containment::Walk => return walk(self.directory.as_fd(), path),
            Containment::EventSource => {}
        }
        let mut tries = 0;
        loop {
            match openat2(&self.directory, path, OPEN, Mode::empty(), RESOLVE) {
                // Something was renamed while the kernel looked: it asks for another try.
                Err(Errno::AGAIN | Errno::INTR) if tries < 8 => tries += 1,
                other => return other,
            }
        }
    }
}

impl Opened {
    pub(crate) fn is_file(&self) -> bool {
        self.kind == Kind::File
    }
}

impl Kind {
    fn of(stat: &Stat) -> Option<Kind> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Some(Kind::File),
            FileType::Directory => Some(Kind::Directory),
            _ => None,
        }
    }
}

impl State {
    pub(crate) fn of(file: &OwnedFd) -> Result<State, Errno> {
        Ok(State::new(&fstat(file)?))
    }

    /// When its content was modified last.
    pub(crate) fn modified(&self) -> Option<SystemTime> {
        let (seconds, rest) = (self.modified.div_euclid(1_000_000_000), self.modified.rem_euclid(1_000_000_000));
        system_time(i64::try_from(seconds).ok()?, rest)
    }

    fn new(stat: &Stat) -> State {
        State {
            device: stat.st_dev,
            inode: stat.st_ino,
            length: stat.st_size.max(0) as u64,
            modified: nanoseconds(stat.st_mtime, stat.st_mtime_nsec.into()),
            changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec.into()),
        }
    }
}

/// Nanoseconds since its last change after which a file is at rest: the coarsest tick of a file system in use.
const SETTLE_TIME: i128 = 2_000_000_000;

/// Whether a file whose last change was at this time is at rest, so that any other change will show in its times.
pub(crate) fn is_settled(time: i128, now: Date) -> bool {
    // `now` is the beginning of its second, so that the true age is never overrated.
    time <= i128::from(now.unix()) * 1_000_000_000 - SETTLE_TIME
}

/// A time as the system reports it: nanoseconds count forward, also before 1970.
fn system_time(seconds: i64, nanoseconds: i128) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let begin = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    begin?.checked_add(Duration::new(0, u32::try_from(nanoseconds).ok()?))
}

fn nanoseconds(seconds: i64, rest: i128) -> i128 {
    i128::from(seconds) * 1_000_000_000 + rest
}

/// What an entry of an open directory is by itself, if it may be served: one call, which opens nothing and follows no link,
/// so that it leads nowhere. `name` is one that the directory has given.
pub(crate) fn look(directory: BorrowedFd<'_>, name: &[u8]) -> Option<(Kind, State)> {
    let stat = statat(directory, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT).ok()?;
    Some((Kind::of(&stat)?, State::new(&stat)))
}

/// Segment by segment, following no link at all.
fn walk(root: BorrowedFd<'_>, path: &OsStr) -> Result<OwnedFd, Errno> {
    let segments: Vec<&[u8]> = path.as_bytes().split(|&c| c == b'/').collect();
    let mut directory: Option<OwnedFd> = None;
    for (n, segment) in segments.iter().enumerate() {
        let last = n + 1 == segments.len();
        let flags = OPEN | OFlags::NOFOLLOW | if last { OFlags::empty() } else { OFlags::DIRECTORY };
        let at = directory.as_ref().map_or(root, AsFd::as_fd);
        directory = Some(retry_on_intr(|| openat(at, OsStr::from_bytes(segment), flags, Mode::empty()))?);
    }
    directory.ok_or(Errno::NOENT)
}

/// Reads a file from its beginning until the room is full or the file ends.
pub(crate) fn read(file: &OwnedFd, room: &mut [u8]) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < room.len() {
        match retry_on_intr(|| pread(file, &mut room[filled..], filled as u64))? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> OpenError {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL => OpenError::NotFound,
            // XDEV: a link leads out. LOOP: links in a circle, or any link in a walk. NXIO: a socket.
            Errno::ACCESS | Errno::PERM | Errno::XDEV | Errno::LOOP | Errno::NXIO | Errno::NODEV => {
                OpenError::Forbidden
            }
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => OpenError::Busy,
            _ => OpenError::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::mknodat;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let www = dir.path().join("www");
        fs::create_dir_all(www.join("directory")).unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        fs::write(www.join("directory/file"), "content").unwrap();
        symlink("directory/file", www.join("inside")).unwrap();
        symlink("../secret", www.join("outside")).unwrap();
        symlink("/etc", www.join("absolute")).unwrap();
        symlink("circle", www.join("circle")).unwrap();
        mknodat(CWD, www.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let root = Root::open(&www).unwrap();
        (dir, root)
    }

    fn kind(root: &Root, path: &str) -> Result<Kind, OpenError> {
        root.open_below(path.as_bytes()).map(|opened| opened.kind)
    }

    // R1945-12.5a, V7, V25
    #[test]
    fn nothing_leads_out_of_the_root() {
        let (_dir, mut root) = tree();
        assert!(!root.walks, "this kernel has openat2");
        for walks in [false, true] {
            root.walks = walks;
            assert_eq!(kind(&root, ""), Ok(Kind::Directory));
            assert_eq!(kind(&root, "directory"), Ok(Kind::Directory));
            assert_eq!(kind(&root, "directory/file"), Ok(Kind::File));
            assert_eq!(kind(&root, "inside"), if walks { Err(OpenError::Forbidden) } else { Ok(Kind::File) });
            for out in ["outside", "absolute/passwd", "circle", "fifo"] {
                let denied = kind(&root, out).unwrap_err();
                let walked_into_a_link = walks && out.contains('/') && denied == OpenError::NotFound;
                assert!(denied == OpenError::Forbidden || walked_into_a_link, "{out}: {denied:?}");
            }
            for none in ["nothing", "directory/nothing", "directory/file/x", &"n".repeat(300)] {
                assert_eq!(kind(&root, none), Err(OpenError::NotFound), "{none}");
            }
        }
    }

    #[test]
    fn links_are_followed_only_if_that_is_asked_for() {
        let (_dir, mut root) = tree();
        assert_eq!(root.containment(), Containment::EventSource);
        root.follow_symlinks(true);
        for walks in [false, true] {
            root.walks = walks;
            assert_eq!(root.containment(), Containment::None);
            for there in ["outside", "absolute/passwd", "inside"] {
                assert_eq!(kind(&root, there), Ok(Kind::File), "{there}");
            }
            assert_eq!(kind(&root, "circle"), Err(OpenError::Forbidden));
            assert_eq!(kind(&root, "fifo"), Err(OpenError::Forbidden));
        }
    }

    #[test]
    fn a_path_and_what_it_opens_have_one_state() {
        let (dir, root) = tree();
        let opened = root.open_below(b"directory/file").unwrap();
        assert_eq!(root.state(c"directory/file"), Some(opened.state));
        assert_eq!(root.state(c"inside"), Some(opened.state));
        assert_eq!(root.state(c"directory/nothing"), None);
        assert_eq!(State::of(&opened.file), Ok(opened.state));
        fs::write(dir.path().join("www/directory/file"), "more content").unwrap();
        let now = State::of(&opened.file).unwrap();
        assert_eq!((now.length, now == opened.state), (12, false));
        assert_eq!(root.state(c"directory/file"), Some(now));
    }

    // V7, V25
    #[test]
    fn looking_follows_nothing() {
        let (dir, root) = tree();
        let www = dir.path().join("www");
        let directory = root.open_below(b"").unwrap().file;
        let kind = |name: &str| look(directory.as_fd(), name.as_bytes()).map(|(kind, _)| kind);
        assert_eq!(kind("directory"), Some(Kind::Directory));
        for neither in ["inside", "outside", "absolute", "circle", "fifo", "nothing"] {
            assert_eq!(kind(neither), None, "{neither}");
        }
        fs::write(www.join("file"), "content").unwrap();
        assert_eq!(look(directory.as_fd(), b"file"), Some((Kind::File, root.open_below(b"file").unwrap().state)));
    }

    #[test]
    fn reading_ends_with_the_file_or_the_room() {
        let (_dir, root) = tree();
        let opened = root.open_below(b"directory/file").unwrap();
        let mut room = [0; 9];
        assert_eq!((read(&opened.file, &mut room), &room), (Ok(7), b"content\0\0"));
        assert_eq!(read(&opened.file, &mut room[..3]), Ok(3));
    }
}
