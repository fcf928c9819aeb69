//! Opens a path below the root one component after the other, and follows each symlink by its text. It is used where
//! the kernel does not resolve the whole path: for absolute symlinks that lead back into the root, and where there is no
//! `openat2`.
//!
//! Nothing leads out, whatever is renamed meanwhile: each step opens one name in a directory that the step before has
//! opened, and `..` goes back by one step instead of asking the kernel.

use std::fs::File;
use std::path::{Path, is_separator};

use crate::open_error::{OpenError, Stop};
use crate::root::Root;
use crate::system::{self, Found, Node};

/// As many as the kernel follows.
const MAX_SYMLINKS: usize = 40;

/// Finds a path below the root. With a `device`, which is the root's, it stops before it enters another one.
pub(crate) fn find(root: &Root, path: &[u8], device: Option<u64>) -> Result<Found, Stop> {
    let mut walk = Walk { root, directories: Vec::new(), rest: Vec::new(), symlinks: Vec::new(), followed: 0 };
    walk.push(path.rsplit(|&c| c == b'/'), None);
    while let Some(Component { name, of }) = walk.rest.pop() {
        match &*name {
            b"" | b"." => {}
            b".." if walk.directories.pop().is_none() => return Err(walk.leads_out(of)),
            b".." => {}
            _ => match root.directory().look(walk.directory(), &name, device)? {
                Node::Directory(directory) => walk.directories.push((directory, name)),
                Node::Symlink(text) => walk.follow(&name, text)?,
                _ if !walk.rest.is_empty() => return Err(OpenError::NotFound.into()),
                Node::File(status, file) => return Ok(Found::file(walk.into_directory(), name, status, file)),
                Node::Other => return Err(OpenError::Irregular.into()),
            },
        }
    }
    root.directory().found_directory(walk.into_directory())
}

struct Walk<'a> {
    root: &'a Root,
    /// Where it is, with the name of each directory. Empty: in the root.
    directories: Vec<(File, Vec<u8>)>,
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
    /// Where it is. `None`: in the root.
    fn directory(&self) -> Option<&File> {
        self.directories.last().map(|(directory, _)| directory)
    }

    fn into_directory(mut self) -> Option<File> {
        self.directories.pop().map(|(directory, _)| directory)
    }

    /// Adds components, the last one first.
    fn push<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>, of: Option<usize>) {
        self.rest.extend(names.map(|name| Component { name: name.to_vec(), of }));
    }

    fn follow(&mut self, name: &[u8], text: Vec<u8>) -> Result<(), Stop> {
        self.count()?;
        let mut path = self.directories.iter().flat_map(|(_, name)| [&**name, b"/"]).collect::<Vec<_>>().concat();
        path.extend_from_slice(name);
        let of = Some(self.symlinks.len());
        self.symlinks.push(Symlink { path, text: text.clone() });
        let separates = |c: &u8| is_separator(char::from(*c));
        let target = Path::new(system::path_from(&text).ok_or(OpenError::NotFound)?);
        if !is_rooted(target) {
            self.push(text.rsplit(separates), of);
            return Ok(());
        }
        let below = self.root.names().iter().find_map(|name| target.strip_prefix(name).ok());
        let below = below.ok_or_else(|| self.leads_out(of))?;
        self.directories.clear();
        self.push(below.as_os_str().as_encoded_bytes().rsplit(separates), of);
        Ok(())
    }

    /// Counts a symlink. Two may lead to each other.
    fn count(&mut self) -> Result<(), OpenError> {
        self.followed += 1;
        if self.followed > MAX_SYMLINKS { Err(OpenError::TooManySymlinks) } else { Ok(()) }
    }

    fn leads_out(&self, of: Option<usize>) -> Stop {
        match of.and_then(|of| self.symlinks.get(of)) {
            Some(Symlink { path, text }) => {
                let (path, text) = (path.escape_ascii(), text.escape_ascii());
                Stop::LeadsOut(format!("the symlink \"/{path}\" points to \"{text}\"").into())
            }
            None => OpenError::Forbidden.into(), // a decoded path has no `..`
        }
    }
}

/// Whether the text of a symlink does not begin where the symlink is. On Windows it may also name a drive.
fn is_rooted(target: &Path) -> bool {
    use std::path::Component::{Prefix, RootDir};
    matches!(target.components().next(), Some(Prefix(_) | RootDir))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::stamp::FileKind;
    use crate::system::{Method, read};
    use http_server::Blocking;
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::thread;

    /// The root, opened by a name that is a symlink itself, for each method of finding files.
    fn roots(outer: &Path) -> Vec<Root> {
        fs::create_dir_all(outer.join("www/dir/deep")).unwrap();
        fs::write(outer.join("www/dir/deep/file"), "content").unwrap();
        fs::write(outer.join("secret"), "secret").unwrap();
        symlink("www", outer.join("name")).unwrap();
        let open = |method: &Method| {
            let mut root = Root::open(&outer.join("name"), 0).unwrap();
            root.set_method(*method);
            root
        };
        Method::ALL.iter().map(open).collect()
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
                assert_eq!(content(root, path), expected, "{text}: {:?}", root.directory().method());
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
        for method in Method::ALL {
            root.set_method(*method);
            for path in [&b"proc"[..], b"proc/version"] {
                assert!(matches!(find(&root, path, Some(root.device())), Err(Stop::Elsewhere)));
                assert!(find(&root, path, None).is_ok());
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
            assert!(served >= 3 * roots.len(), "in the end, every path leads to the file");
        });
    }
}
