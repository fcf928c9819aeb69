//! Where a body goes: what `-o` and `-O` mean by a file. It opens nothing.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf, is_separator};

use webclient::http_core::HttpUrl;

use super::part::{SUFFIX, named};
use super::system::{check_writable, file_name_of, is_socket, stays_in_place};

/// The longest name of a file, less the suffix of what lies beside it while it is incomplete.
const LONGEST: usize = 255 - SUFFIX.len();

/// As many symlinks as Linux follows.
const MOST_LINKS: usize = 40;

/// Where a body goes.
#[derive(Debug, PartialEq)]
pub(crate) enum Target {
    /// A regular file that exists or will exist. Only an existing one is replaced, unless it must be new.
    File { path: PathBuf, must_be_new: bool },
    /// A device, a pipe or an open descriptor: it is written as it is.
    InPlace(PathBuf),
}

impl Target {
    /// What `--output` names. A symlink stays, and the file that it leads to is replaced.
    ///
    /// # Errors
    /// If it cannot be replaced, as far as that is known before.
    pub(crate) fn of_output(path: &Path) -> io::Result<Target> {
        Target::resolve(path.to_owned()).map_err(|error| named(path, &error))
    }

    /// The file that `--remote-name` means, in the working directory. It must be new, unless `force`.
    ///
    /// # Errors
    /// If the URL has no usable name, or the file exists.
    pub(crate) fn of_url(url: &HttpUrl, force: bool) -> io::Result<Target> {
        let path = PathBuf::from(file_name(url).map_err(io::Error::other)?);
        match fs::symlink_metadata(&path) {
            Ok(_) if !force => Err(io::Error::new(ErrorKind::AlreadyExists, EXISTS)),
            Ok(_) => Target::resolve(path.clone()),
            Err(error) if error.kind() == ErrorKind::NotFound => Target::file(path.clone(), !force),
            Err(error) => Err(error),
        }
        .map_err(|error| named(&path, &error))
    }

    fn resolve(mut path: PathBuf) -> io::Result<Target> {
        for _ in 0..MOST_LINKS {
            if stays_in_place(&path) {
                return Ok(Target::InPlace(path));
            }
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_symlink() => {
                    let link = fs::read_link(&path)?;
                    path = path.parent().unwrap_or(Path::new("")).join(link);
                }
                Ok(found) if found.is_dir() => return Err(ErrorKind::IsADirectory.into()),
                Ok(found) if found.is_file() => {
                    check_writable(&path, &found)?; // a rename would replace a write-protected file, too
                    return Target::file(path, false);
                }
                Ok(found) if is_socket(found.file_type()) => return Err(ErrorKind::Unsupported.into()),
                Ok(_) => return Ok(Target::InPlace(path)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Target::file(path, false),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("there are too many symlinks"))
    }

    fn file(path: PathBuf, must_be_new: bool) -> io::Result<Target> {
        match path.file_name() {
            // "x/" and "x/.." name directories.
            None => Err(ErrorKind::IsADirectory.into()),
            Some(_) if ends_with_separator(&path) => Err(ErrorKind::IsADirectory.into()),
            Some(name) if name.len() > LONGEST => Err(io::Error::other(TOO_LONG)),
            Some(_) => Ok(Target::File { path, must_be_new }),
        }
    }
}

fn ends_with_separator(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().last().is_some_and(|last| is_separator((*last).into()))
}

pub(crate) const EXISTS: &str = "it exists (--force replaces it)";
const TOO_LONG: &str = "its name is too long";

/// The file name at the end of a URL: its last segment, decoded. Nothing that the server sends changes it.
///
/// # Errors
/// Why it is no file name.
fn file_name(url: &HttpUrl) -> Result<OsString, &'static str> {
    let segment = url.target().raw_path().rsplit('/').next().unwrap_or_default();
    let name = percent_decoded(segment.as_bytes());
    let is_control = match str::from_utf8(&name) {
        Ok(text) => text.contains(char::is_control),
        Err(_) => name.iter().any(u8::is_ascii_control),
    };
    match &name[..] {
        b"" | b"." | b".." => Err("the URL has no file name at its end (use --output)"),
        [b'-', ..] => Err("the file name in the URL begins like an option (use --output)"), // as in `rm *`
        name if name.contains(&b'/') => Err("the file name in the URL has a slash (use --output)"),
        _ if is_control => Err("the file name in the URL has a control character (use --output)"),
        name if name.len() > LONGEST => Err("the file name in the URL is too long (use --output)"),
        _ => file_name_of(name),
    }
}

/// A `%` without two digits stands for itself.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|digits| str::from_utf8(digits).ok());
        let byte =
            digits.filter(|digits| !digits.starts_with('+')).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn file_name_is_the_last_segment_decoded() {
        for (path, name) in [
            ("/a.txt", &b"a.txt"[..]),
            ("/a/b/c.iso?x=/d#e", b"c.iso"),
            ("/a%20b", b"a b"),
            ("/%C3%A9", "\u{e9}".as_bytes()),
            ("/%ff", b"\xff"),
            ("/100%", b"100%"),
            ("/100%zz", b"100%zz"),
            ("/100%+f", b"100%+f"),
            ("/%2541", b"%41"),
            ("/a-rf", b"a-rf"),
            ("/.hidden", b".hidden"),
            ("/...", b"..."),
            ("/a;b&c", b"a;b&c"),
            ("/a%5Cb", b"a\\b"),
        ] {
            let url = HttpUrl::parse(format!("http://localhost{path}")).unwrap();
            assert_eq!(file_name(&url).unwrap().as_bytes(), name, "{path}");
        }
    }

    #[test]
    fn segment_that_is_no_file_name_is_refused() {
        let long = format!("/{}", "n".repeat(LONGEST + 1));
        for path in [
            "",
            "/",
            "/a/",
            "/?a",
            "/.",
            "/..",
            "/%2e",
            "/%2E%2e",
            "/a%2Fb",
            "/%2Fetc%2Fpasswd",
            "/..%2f..%2fx",
            "/a%00",
            "/a%0A",
            "/%1b[2J",
            "/%7f",
            "/-",
            "/-rf",
            "/a/%2Drf",
            "/%C2%9B",
            "/%ff%01",
            &long,
        ] {
            let url = HttpUrl::parse(format!("http://localhost{path}")).unwrap();
            assert!(file_name(&url).is_err(), "{path}");
        }
        let longest = HttpUrl::parse(format!("http://localhost/{}", "n".repeat(LONGEST))).unwrap();
        assert_eq!(file_name(&longest).unwrap().len(), LONGEST);
    }

    #[test]
    fn symlink_stands_for_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("file"), "").unwrap();
        for (link, to) in [("link", "file"), ("twice", "link"), ("dangling", "new"), ("loop", "loop"), ("dir", ".")] {
            std::os::unix::fs::symlink(to, path(link)).unwrap();
        }
        let file = |name| Target::File { path: path(name), must_be_new: false };
        for (name, target) in
            [("file", "file"), ("link", "file"), ("twice", "file"), ("dangling", "new"), ("other", "other")]
        {
            assert_eq!(Target::of_output(&path(name)).unwrap(), file(target), "{name}");
        }
        for name in ["loop", "dir", "new/", ".."] {
            assert!(Target::of_output(&path(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn device_and_descriptor_are_written_in_place() {
        for path in ["/dev/null", "/dev/full", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
            assert!(matches!(Target::of_output(path.as_ref()), Ok(Target::InPlace(_))), "{path}");
        }
    }
}
