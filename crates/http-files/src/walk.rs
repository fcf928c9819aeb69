//! Opens a path below the root one component after the other, and follows each symlink by its text. It is used where
//! the kernel does not resolve the whole path: for absolute symlinks that lead back into the root, and where there is no
//! `openat2`.
//!
//! Nothing leads out, whatever is renamed meanwhile: each step opens one name in a directory that the step before has
//! opened, and `..` goes back by one step instead of asking the kernel.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags, makedev, openat, readlinkat, statx};
use rustix::io::{Errno, retry_on_intr};

use crate::root::{FIND, Root, Stop};

/// As many as the kernel follows.
const MAX_SYMLINKS: usize = 40;

/// Opens a path below the root with these flags. If it `stays`, it stops before it enters another file system.
pub(crate) fn open(root: &Root, path: &[u8], flags: OFlags, stays: bool) -> Result<OwnedFd, Stop> {
    let mut walk = Walk { root, directories: Vec::new(), rest: Vec::new(), symlinks: Vec::new(), followed: 0 };
    walk.push(path, None);
    while let Some(component) = walk.rest.pop() {
        let Component { name, of } = &component;
        match &**name {
            b"" | b"." => {}
            b".." if walk.directories.pop().is_none() => return Err(walk.leads_out(*of)),
            b".." => {}
            _ => {
                let name = OsStr::from_bytes(name);
                let entry = retry_on_intr(|| openat(walk.directory(), name, FIND | OFlags::NOFOLLOW, Mode::empty()))?;
                let (kind, device) = kind(&entry)?;
                if stays && device != root.device() {
                    return Err(Stop::Elsewhere);
                }
                match kind {
                    FileType::Directory => walk.directories.push((entry, component.name)),
                    FileType::Symlink => walk.follow(&component.name, &entry)?,
                    _ if !walk.rest.is_empty() => return Err(Errno::NOTDIR.into()),
                    FileType::RegularFile if flags == FIND => return Ok(entry),
                    FileType::RegularFile => match walk.reopen(name, flags) {
                        Err(Errno::LOOP) => {
                            walk.count()?; // it has just become a symlink
                            walk.rest.push(component);
                        }
                        other => return Ok(other?),
                    },
                    _ => return Err(Errno::NODEV.into()),
                }
            }
        }
    }
    Ok(walk.reopen(OsStr::new("."), flags)?)
}

struct Walk<'a> {
    root: &'a Root,
    /// Where it is, with the name of each directory. Empty: in the root.
    directories: Vec<(OwnedFd, Vec<u8>)>,
    /// What is left, the next component last.
    rest: Vec<Component>,
    symlinks: Vec<Symlink>,
    followed: usize,
}

struct Component {
    name: Vec<u8>,
    /// The symlink whose text it is from. `None`: the path itself.
    of: Option<usize>,
}

struct Symlink {
    /// Below the root.
    path: Vec<u8>,
    text: Vec<u8>,
}

impl Walk<'_> {
    fn directory(&self) -> BorrowedFd<'_> {
        self.directories.last().map_or(self.root.directory(), |(directory, _)| directory.as_fd())
    }

    /// Opens a name in the directory where the walk is.
    fn reopen(&self, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        retry_on_intr(|| openat(self.directory(), name, flags | OFlags::NOFOLLOW, Mode::empty()))
    }

    fn push(&mut self, path: &[u8], of: Option<usize>) {
        let components = path.rsplit(|&c| c == b'/').map(|name| Component { name: name.to_vec(), of });
        self.rest.extend(components);
    }

    fn follow(&mut self, name: &[u8], symlink: &OwnedFd) -> Result<(), Stop> {
        self.count()?;
        let text = retry_on_intr(|| readlinkat(symlink, "", Vec::new()))?.into_bytes();
        let mut path = self.directories.iter().flat_map(|(_, name)| [&**name, b"/"]).collect::<Vec<_>>().concat();
        path.extend_from_slice(name);
        let of = self.symlinks.len();
        self.symlinks.push(Symlink { path, text: text.clone() });
        if !text.starts_with(b"/") {
            self.push(&text, Some(of));
            return Ok(());
        }
        let text = Path::new(OsStr::from_bytes(&text));
        let below = self.root.names().iter().find_map(|name| text.strip_prefix(name).ok());
        let below = below.ok_or_else(|| self.leads_out(Some(of)))?;
        self.directories.clear();
        self.push(below.as_os_str().as_bytes(), Some(of));
        Ok(())
    }

    /// Counts a symlink. Two may lead to each other.
    fn count(&mut self) -> Result<(), Errno> {
        self.followed += 1;
        if self.followed > MAX_SYMLINKS { Err(Errno::LOOP) } else { Ok(()) }
    }

    fn leads_out(&self, of: Option<usize>) -> Stop {
        match of.and_then(|of| self.symlinks.get(of)) {
            Some(Symlink { path, text }) => {
                let (path, text) = (path.escape_ascii(), text.escape_ascii());
                Stop::LeadsOut(format!("the symlink \"/{path}\" points to \"{text}\"").into())
            }
            None => Stop::Failed(Errno::ACCESS), // a decoded path has no `..`
        }
    }
}

/// What an opened name stands for, and its device, as far as the kernel knows without asking a disk.
fn kind(entry: &OwnedFd) -> Result<(FileType, u64), Errno> {
    let stat = statx(entry, "", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::TYPE)?;
    Ok((FileType::from_raw_mode(stat.stx_mode.into()), makedev(stat.stx_dev_major, stat.stx_dev_minor)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::{FileKind, OpenError, read};
    use http_server::Blocking;
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::thread;

    /// The root, opened by a name that is a symlink itself, with and without `openat2`.
    fn roots(outer: &Path) -> [Root; 2] {
        fs::create_dir_all(outer.join("www/dir/deep")).unwrap();
        fs::write(outer.join("www/dir/deep/file"), "content").unwrap();
        fs::write(outer.join("secret"), "secret").unwrap();
        symlink("www", outer.join("name")).unwrap();
        let root = Root::open(&outer.join("name"), 0).unwrap();
        let mut old = Root::open(&outer.join("name"), 0).unwrap();
        old.no_openat2 = true;
        [root, old]
    }

    fn content(root: &Root, path: &str) -> Result<String, OpenError> {
        let opened = root.open_beneath(path.as_bytes(), Blocking::default())?;
        assert_eq!(opened.kind, FileKind::File, "{path}");
        let mut buffer = [0; 100];
        let length = read(&opened.file, &mut buffer)?;
        Ok(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    fn leads_out(symlink: &str, target: &str) -> Result<String, OpenError> {
        Err(OpenError::LeadsOut(format!("the symlink \"/{symlink}\" points to \"{target}\"").into()))
    }

    // V7
    #[test]
    fn symlink_is_followed_as_far_as_it_stays_in_the_root() {
        let outer = tempfile::tempdir().unwrap();
        let outer = outer.path().canonicalize().unwrap();
        let roots = roots(&outer);
        let absolute = |path: &str| outer.join(path).to_str().unwrap().to_owned();
        // The text of the symlink `www/link`, the path that is opened, and what that gives.
        let content_at = |of: &str| Ok(of.to_owned());
        for (text, path, expected) in [
            (absolute("www/dir/deep/file"), "link", content_at("content")),
            (absolute("name/dir/deep/file"), "link", content_at("content")), // by the name as given
            (absolute("www/dir"), "link/deep/file", content_at("content")),
            (absolute("www"), "link/dir/deep/file", content_at("content")),
            (absolute("www/./dir//deep/../deep/file"), "link", content_at("content")),
            ("dir/../dir/deep/file".into(), "link", content_at("content")),
            (absolute("www/../secret"), "link", leads_out("link", &absolute("www/../secret"))),
            (absolute("www2/file"), "link", leads_out("link", &absolute("www2/file"))), // the same letters, not below
            (absolute("secret"), "link", leads_out("link", &absolute("secret"))),
            ("../secret".into(), "link", leads_out("link", "../secret")),
            ("../www/dir/deep/file".into(), "link", leads_out("link", "../www/dir/deep/file")), // as the kernel has it
            ("/etc".into(), "link/passwd", leads_out("link", "/etc")),
            ("/".into(), "link/etc/passwd", leads_out("link", "/")),
            (absolute("www/none"), "link", Err(OpenError::NotFound)),
            (absolute("www/dir/deep/file"), "link/more", Err(OpenError::NotFound)),
        ] {
            symlink(&text, outer.join("www/link")).unwrap();
            for root in &roots {
                assert_eq!(content(root, path), expected, "{text}, without openat2: {}", root.no_openat2);
            }
            fs::remove_file(outer.join("www/link")).unwrap();
        }
    }

    #[test]
    fn directory_is_opened_by_its_symlink() {
        let outer = tempfile::tempdir().unwrap();
        let roots = roots(outer.path());
        for target in [outer.path().join("www/dir"), PathBuf::from("dir"), outer.path().join("www"), "dir/..".into()] {
            symlink(&target, outer.path().join("www/link")).unwrap();
            for root in &roots {
                let opened = root.open_beneath(b"link", Blocking::default()).unwrap();
                assert_eq!(opened.kind, FileKind::Directory, "{target:?}");
            }
            fs::remove_file(outer.path().join("www/link")).unwrap();
        }
    }

    // As Kubernetes mounts a ConfigMap.
    #[test]
    fn symlink_through_a_switched_hidden_directory_is_followed() {
        let outer = tempfile::tempdir().unwrap();
        let roots = roots(outer.path());
        let at = |name: &str| outer.path().join("www").join(name);
        symlink("..data/page.html", at("page.html")).unwrap();
        for (version, name) in [("one", "..2024_1"), ("two", "..2024_2")] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("page.html"), version).unwrap();
            symlink(name, at("..data_tmp")).unwrap();
            fs::rename(at("..data_tmp"), at("..data")).unwrap();
            for root in &roots {
                assert_eq!(content(root, "page.html"), Ok(version.into()));
            }
        }
    }

    #[test]
    fn symlinks_are_followed_up_to_the_limit_of_the_kernel() {
        let outer = tempfile::tempdir().unwrap();
        let roots = roots(outer.path());
        let at = |n: usize| outer.path().join(format!("www/{n}"));
        symlink("dir/deep/file", at(1)).unwrap();
        (2..=41).for_each(|n| symlink(at(n - 1), at(n)).unwrap());
        for root in &roots {
            assert_eq!(content(root, "40"), Ok("content".into()));
            assert_eq!(content(root, "41"), Err(OpenError::TooManySymlinks));
        }
    }

    #[test]
    fn walk_stops_before_another_file_system() {
        let mut root = Root::open(Path::new("/"), 0).unwrap();
        for no_openat2 in [false, true] {
            root.no_openat2 = no_openat2;
            for path in [&b"proc"[..], b"proc/version"] {
                assert!(matches!(open(&root, path, FIND, true), Err(Stop::Elsewhere)));
                assert!(open(&root, path, FIND, false).is_ok());
            }
        }
    }

    // V8
    #[test]
    fn directory_exchanged_with_a_symlink_reveals_nothing() {
        let outer = tempfile::tempdir().unwrap();
        let roots = roots(outer.path());
        let at = |name: &str| outer.path().join(name);
        fs::create_dir_all(at("outside/deep")).unwrap();
        fs::write(at("outside/deep/file"), "secret").unwrap();
        symlink("../outside", at("www/out")).unwrap();
        // Every way leads through the directory that is exchanged, and one goes back from it.
        symlink(at("www/dir/deep/file"), at("www/absolute")).unwrap();
        symlink("dir/deep/../../dir/deep/file", at("www/back")).unwrap();
        thread::scope(|scope| {
            let exchanger = scope.spawn(|| {
                for n in 0..20_000 {
                    let with = if n % 4 < 2 { "www/out" } else { "moved" }; // twice each, so that it comes back
                    match with {
                        "moved" if n % 4 == 2 => fs::rename(at("www/dir"), at(with)).unwrap(),
                        "moved" => fs::rename(at(with), at("www/dir")).unwrap(),
                        _ => renameat_with(CWD, at("www/dir"), CWD, at(with), RenameFlags::EXCHANGE).unwrap(),
                    }
                }
            });
            let mut served = 0;
            for is_last in (0..).map(|_| exchanger.is_finished()) {
                for (root, path) in
                    roots.iter().flat_map(|root| ["absolute", "back", "dir/deep/file"].map(|path| (root, path)))
                {
                    match content(root, path) {
                        Ok(content) => {
                            assert_eq!(content, "content");
                            served += 1;
                        }
                        Err(OpenError::NotFound | OpenError::LeadsOut(_) | OpenError::Changing) => {}
                        Err(other) => panic!("{path}: {other:?}"),
                    }
                }
                if is_last {
                    break;
                }
            }
            assert!(served >= 6, "in the end, every path leads to the file");
        });
    }
}
