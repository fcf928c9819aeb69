//! What the path of the root names now. It may be a symlink that is switched to another release, so it is checked once a
//! second. It knows nothing about files.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fs::canonicalize;
use std::io::{self, ErrorKind};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::open_error::OpenError;
use crate::root::{DirectoryId, Root};

#[derive(Debug)]
pub(crate) struct CurrentRoot {
    path: PathBuf,
    /// It names a file, which is served alone.
    is_file: bool,
    /// Increases whenever the path names something else.
    generation: AtomicU64,
    /// `None`: the path names nothing that can be served. Locked for a copy or a replacement only.
    root: Mutex<Option<Arc<Root>>>,
    follow_symlinks: bool,
    /// Its file system counts the names of a directory, so that a directory without one has been removed.
    counts_names: bool,
}

impl CurrentRoot {
    pub(crate) fn open(path: &Path) -> io::Result<CurrentRoot> {
        let (root, is_file) = match Root::open(path, 0) {
            Err(error) if error.kind() == ErrorKind::NotADirectory => (Root::open_file(path, 0)?, true),
            other => (other?, false),
        };
        let counts_names = DirectoryId::of(path).is_ok_and(|(_, names)| names > 0);
        Ok(CurrentRoot {
            path: path.to_owned(),
            is_file,
            generation: AtomicU64::new(0),
            root: Mutex::new(Some(Arc::new(root))),
            follow_symlinks: false,
            counts_names,
        })
    }

    /// Whether symlinks that lead out of the root are followed.
    pub(crate) fn follow_symlinks(&mut self, follow: bool) {
        self.follow_symlinks = follow;
        let root = self.root.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Nothing has been served yet, so nobody shares it.
        if let Some(root) = root.as_mut().and_then(Arc::get_mut) {
            root.follow_symlinks(follow);
        }
    }

    pub(crate) fn get(&self) -> Result<Arc<Root>, OpenError> {
        self.lock().clone().ok_or(OpenError::NoRoot)
    }

    /// The name of the file that is served alone.
    pub(crate) fn file_name(&self) -> Option<&[u8]> {
        if self.is_file { self.path.file_name().map(OsStr::as_encoded_bytes) } else { None }
    }

    /// Which root is the current one.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// What one request sees of it.
    pub(crate) fn view(&self) -> View<'_> {
        View { current: self, root: OnceCell::new() }
    }

    /// Looks what the path names now, and returns a message if that has changed. It may block.
    pub(crate) fn check(&self) -> Option<String> {
        let path = &self.path;
        let before = self.get().ok();
        let named = match self.is_file {
            true => match canonicalize(path) {
                Ok(file) if before.as_ref().is_some_and(|root| root.canonical() != file) => Ok(None), // another file
                Ok(file) => DirectoryId::of(file.parent().unwrap_or(&file)).map(|(id, _)| Some(id)),
                Err(_) => return None, // its directory is served on: the file may come back
            },
            false => DirectoryId::of(path).and_then(|(id, names)| match names {
                0 if self.counts_names => Err(OpenError::NotFound), // such as a working directory
                _ => Ok(Some(id)),
            }),
        };
        let open = if self.is_file { Root::open_file } else { Root::open };
        let (root, message) = match named {
            Ok(Some(id)) if before.as_ref().is_some_and(|root| root.id() == id) => return None,
            Ok(_) => match open(path, self.generation() + 1) {
                Ok(mut root) => {
                    root.follow_symlinks(self.follow_symlinks);
                    let message = format!("{path:?} is {:?} now, which is served", root.canonical());
                    (Some(Arc::new(root)), message)
                }
                Err(error) => (None, unreadable(path, &error)),
            },
            Err(OpenError::NotFound | OpenError::TooManySymlinks) => (None, gone(path)),
            Err(_) => return None, // it is not known what the path names
        };
        if root.is_none() && before.is_none() {
            return None;
        }
        let old = self.replace(root);
        drop(old); // without the lock: closing a directory may block
        Some(message)
    }

    fn replace(&self, root: Option<Arc<Root>>) -> Option<Arc<Root>> {
        let mut current = self.lock();
        self.generation.fetch_add(1, Release);
        mem::replace(&mut *current, root)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Root>>> {
        self.root.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone(path: &Path) -> String {
    format!("{path:?} does not exist any more: every request gets a 503 (restart the server when it is there again)")
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    let target = path.canonicalize();
    let target = target.as_deref().unwrap_or(path);
    let cause = match error.kind() {
        ErrorKind::PermissionDenied => "by its mode, or by a sandbox that was made for other directories".into(),
        _ => error.to_string(),
    };
    format!("{path:?} is {target:?} now, which cannot be read ({cause}): every request gets a 503 (restart the server)")
}

/// The root as one request sees it: the same from its first look to its last.
pub(crate) struct View<'a> {
    current: &'a CurrentRoot,
    root: OnceCell<Arc<Root>>,
}

impl View<'_> {
    pub(crate) fn root(&self) -> Result<&Arc<Root>, OpenError> {
        match self.root.get() {
            Some(root) => Ok(root),
            None => {
                let root = self.current.get()?;
                Ok(self.root.get_or_init(|| root))
            }
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.root.get().map_or_else(|| self.current.generation(), |root| root.generation)
    }

    /// From now on, it is the root that a cached file is beneath.
    pub(crate) fn pin(&self, root: &Arc<Root>) {
        self.root.get_or_init(|| root.clone());
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::Files;
    use http_core::Status;
    use http_server::testing::exchange;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_change_of_what_the_path_names_is_noticed_once() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().canonicalize().unwrap();
        let at = |name: &str| directory.join(name);
        fs::create_dir(at("v1")).unwrap();
        fs::create_dir(at("v2")).unwrap();
        symlink("v1", at("current")).unwrap();
        let current = CurrentRoot::open(&at("current")).unwrap();
        let first = current.get().unwrap();
        let switch = |target: &str| {
            symlink(target, at("next")).unwrap();
            fs::rename(at("next"), at("current")).unwrap();
        };
        type Change<'a> = (&'a dyn Fn(), Option<&'a str>, Option<&'a str>);
        let changes: [Change<'_>; 9] = [
            (&|| switch("v2"), Some("which is served"), Some("v2")),
            (&|| switch("./v2"), None, Some("v2")), // the same directory
            (&|| switch("none"), Some("does not exist any more"), None),
            (&|| fs::remove_file(at("current")).unwrap(), None, None), // it was said before
            (&|| fs::write(at("current"), "a file").unwrap(), None, None),
            (&|| fs::remove_file(at("current")).unwrap(), None, None),
            (&|| switch("v1"), Some("which is served"), Some("v1")),
            (&|| fs::rename(at("v1"), at("moved")).unwrap(), Some("does not exist any more"), None),
            (&|| fs::rename(at("moved"), at("v1")).unwrap(), Some("which is served"), Some("v1")),
        ];
        for (n, (change, expected, served)) in changes.into_iter().enumerate() {
            let generation = current.generation();
            assert_eq!(current.check(), None, "before change {n}");
            change();
            let message = current.check();
            assert_eq!(message.is_some(), expected.is_some(), "{n}: {message:?}");
            assert!(message.unwrap_or_default().contains(expected.unwrap_or_default()), "{n}");
            assert_eq!(current.generation() > generation, expected.is_some(), "{n}");
            let root = current.get();
            assert_eq!(root.as_ref().ok().map(|root| root.canonical()), served.map(at), "{n}");
            assert!(root.is_ok_and(|root| root.generation == current.generation()) || served.is_none(), "{n}");
        }
        assert_eq!(Arc::strong_count(&first), 1, "the first root is closed when nobody uses it");
    }

    #[test]
    fn view_is_of_one_root() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root");
        fs::create_dir(&path).unwrap();
        let current = CurrentRoot::open(&path).unwrap();
        let (looked, pinned, fresh) = (current.view(), current.view(), current.view());
        let before = looked.root().unwrap().clone();
        pinned.pin(&before);
        fs::rename(&path, directory.path().join("old")).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(current.check().is_some());
        for view in [looked, pinned] {
            assert!(view.generation() == 0 && Arc::ptr_eq(view.root().unwrap(), &before));
        }
        assert!(fresh.generation() == 1 && fresh.root().unwrap().id() != before.id());
    }

    /// The status, the Location and the body of a response.
    fn answer(files: &Files, path: &str) -> (u16, String, String) {
        let output = exchange(files, format!("GET {path} HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n").as_bytes()).output;
        let output = String::from_utf8(output).unwrap();
        let (head, body) = output.split_once("\r\n\r\n").unwrap();
        let location = head.lines().find_map(|line| line.strip_prefix("Location: "));
        (head[9..12].parse().unwrap(), location.unwrap_or_default().into(), body.into())
    }

    // V7
    #[test]
    fn file_that_is_the_root_is_served_and_nothing_beside_it() {
        let directory = tempfile::TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("www/sub")).unwrap();
        fs::create_dir(at("names")).unwrap();
        for (name, content) in [("www/.a b.html", "page"), ("www/secret", "secret"), ("www/index.html", "index")] {
            fs::write(at(name), content).unwrap();
        }
        symlink("../www/.a b.html", at("names/a.txt")).unwrap();
        for (root, name, content_type) in
            [("www/.a b.html", ".a%20b.html", "text/html"), ("names/a.txt", "a.txt", "text/plain")]
        {
            for files in [Files::new(&at(root)).unwrap(), Files::new(&at(root)).unwrap().follow_symlinks(true)] {
                let files = files.hidden(true).fallback("secret").error_file(Status::NOT_FOUND, "secret");
                assert!(files.is_one_file() && !files.contains(b"secret") && !files.contains(b"index.html"));
                let (status, location, _) = answer(&files, "/?a=b");
                assert_eq!((status, location), (302, format!("./{name}?a=b")));
                for _ in 0..2 {
                    assert_eq!(answer(&files, &format!("/x/../{name}")), (200, String::new(), "page".into()));
                }
                let head = exchange(&files, format!("HEAD /{name} HTTP/1.0\r\n\r\n").as_bytes()).output;
                assert!(String::from_utf8(head).unwrap().contains(&format!("\r\nContent-Type: {content_type};")));
                for other in ["/secret", "/index.html", "/sub", "/sub/", "/sub/x", "/www/", "/.", "/?format=json"]
                    .map(String::from)
                    .into_iter()
                    .chain(["/", "/x"].map(|end| format!("/{name}{end}")))
                {
                    let (status, _, body) = answer(&files, &other);
                    let is_root = matches!(&*other, "/." | "/?format=json");
                    assert_eq!(status, if is_root { 302 } else { 404 }, "{other}");
                    assert!(!["page", "secret", "index"].contains(&&*body), "{other}: {body}");
                }
            }
        }
    }

    #[test]
    fn file_that_is_the_root_may_be_replaced() {
        let directory = tempfile::TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("other")).unwrap();
        fs::write(at("page"), "one").unwrap();
        let files = Files::new(&at("page")).unwrap();
        let page = || answer(&files, "/page");
        let is = |content: &str| (200, String::new(), content.to_owned());
        assert_eq!(page(), is("one"));
        fs::write(at("new"), "two").unwrap();
        fs::rename(at("new"), at("page")).unwrap();
        assert_eq!((page(), files.root.check()), (is("two"), None));
        fs::remove_file(at("page")).unwrap();
        assert_eq!((page().0, files.root.check()), (404, None));
        fs::create_dir(at("page")).unwrap();
        assert_eq!((page().0, answer(&files, "/page/").0, files.root.check()), (404, 404, None));
        fs::remove_dir(at("page")).unwrap();
        fs::write(at("page"), "three").unwrap();
        assert_eq!((page(), files.root.check()), (is("three"), None));

        // A symlink that leads out of the directory is followed once the root has been looked at again.
        fs::write(at("other/page"), "four").unwrap();
        symlink("other/page", at("link")).unwrap();
        fs::rename(at("link"), at("page")).unwrap();
        let message = files.root.check().unwrap();
        assert!(message.contains("other/page\" now, which is served"), "{message}");
        assert_eq!((page(), files.root.check()), (is("four"), None));
        symlink("/dev/null", at("link")).unwrap();
        fs::rename(at("link"), at("page")).unwrap();
        assert!(files.root.check().is_some_and(|message| message.contains("every request gets a 503")));
        assert_eq!((page().0, files.root.check()), (503, None));
    }

    #[test]
    fn root_is_a_directory_or_a_file_that_can_be_read() {
        for neither in ["/dev/null", "src/lib.rs/", "src/lib.rs/x", "src/none", ""] {
            assert!(Files::new(neither.as_ref()).is_err(), "{neither}");
        }
    }
}
