//! What can be opened below a root, and what a file says of itself.

use super::*;
use crate::system::{Method, ends_at, read, read_on, stat_entry};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs;
use std::os::fd::AsFd;
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
    symlink(www.join("directory/file"), www.join("absolute-inside")).unwrap();
    symlink("circle", www.join("circle")).unwrap();
    mknodat(CWD, www.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let root = Root::open(&www, 0).unwrap();
    (dir, root)
}

fn kind(root: &Root, path: &str) -> Result<FileKind, OpenError> {
    root.open_beneath(path.as_bytes(), Blocking::default()).map(|opened| opened.kind)
}

// R1945-12.5a, V7, V25
#[test]
fn nothing_leads_out_of_the_root() {
    let (_dir, mut root) = tree();
    assert_eq!(root.containment(), Containment::Openat2, "this kernel has openat2");
    for method in Method::ALL {
        root.set_method(*method);
        assert_eq!(kind(&root, ""), Ok(FileKind::Directory));
        assert_eq!(kind(&root, "directory"), Ok(FileKind::Directory));
        assert_eq!(kind(&root, "directory/file"), Ok(FileKind::File));
        for inside in ["inside", "absolute-inside"] {
            assert_eq!(kind(&root, inside), Ok(FileKind::File), "{inside}");
        }
        for (out, symlink, target) in [("outside", "outside", "../secret"), ("absolute/passwd", "absolute", "/etc")] {
            let way_out = format!("the symlink \"/{symlink}\" points to \"{target}\"");
            assert_eq!(kind(&root, out), Err(OpenError::LeadsOut(way_out.into())), "{out}");
        }
        assert_eq!(kind(&root, "circle"), Err(OpenError::TooManySymlinks));
        assert_eq!(kind(&root, "fifo"), Err(OpenError::Irregular));
        for none in ["nothing", "directory/nothing", "directory/file/x", &"n".repeat(300)] {
            assert_eq!(kind(&root, none), Err(OpenError::NotFound), "{none}");
        }
    }
}

#[test]
fn symlinks_are_followed_only_when_enabled() {
    let (_dir, mut root) = tree();
    assert_eq!(root.containment(), Containment::Openat2);
    root.follow_symlinks(true);
    for method in Method::ALL {
        root.set_method(*method);
        assert_eq!(root.containment(), Containment::Unconfined);
        for there in ["outside", "absolute/passwd", "inside"] {
            assert_eq!(kind(&root, there), Ok(FileKind::File), "{there}");
        }
        assert_eq!(kind(&root, "circle"), Err(OpenError::TooManySymlinks));
        assert_eq!(kind(&root, "fifo"), Err(OpenError::Irregular));
    }
}

#[test]
fn path_and_open_file_have_equal_stamps() {
    let (dir, root) = tree();
    let opened = root.open_beneath(b"directory/file", Blocking::default()).unwrap();
    assert_eq!(root.stamp(c"directory/file"), Some(opened.stamp));
    assert_eq!(root.stamp(c"inside"), Some(opened.stamp));
    assert_eq!(root.stamp(c"directory/nothing"), None);
    assert_eq!(FileStamp::of(&opened.file), Ok(opened.stamp));
    fs::write(dir.path().join("www/directory/file"), "more content").unwrap();
    let now = FileStamp::of(&opened.file).unwrap();
    assert_eq!((now.length, now == opened.stamp), (12, false));
    assert_eq!(root.stamp(c"directory/file"), Some(now));
}

// V7
#[test]
fn root_that_is_a_file_opens_nothing_else() {
    let (dir, _) = tree();
    let www = dir.path().join("www");
    fs::write(www.join("directory/file.gz"), "").unwrap();
    for (path, name) in [("directory/file", "file"), ("inside", "inside"), ("absolute-inside", "absolute-inside")] {
        let mut root = Root::open_file(&www.join(path), 0).unwrap();
        assert_eq!(root.canonical(), www.join("directory/file").canonicalize().unwrap());
        assert_eq!((root.path_of(name.as_bytes()), root.name_of(b"file")), (&b"file"[..], name.as_bytes()));
        for (method, follow) in Method::ALL.iter().flat_map(|method| [(method, false), (method, true)]) {
            root.set_method(*method);
            root.follow_symlinks(follow);
            assert_eq!(kind(&root, "file"), Ok(FileKind::File));
            assert!(root.exists(c"file") && !root.exists(c"file.gz"), "no precompressed file either");
            for other in ["", ".", "file.gz", "../inside", "./file", "file/"] {
                assert_eq!(kind(&root, other), Err(OpenError::NotFound), "{other}");
            }
        }
    }
    for neither in ["directory", "fifo", "circle", "nothing", "directory/file/"] {
        assert!(Root::open_file(&www.join(neither), 0).is_err(), "{neither}");
    }
}

// V7, V25
#[test]
fn stat_entry_follows_no_symlink() {
    let (dir, root) = tree();
    let www = dir.path().join("www");
    let directory = root.open_beneath(b"", Blocking::default()).unwrap().file;
    let kind = |name: &str| stat_entry(directory.as_fd(), name.as_bytes()).map(|(kind, _)| kind);
    assert_eq!(kind("directory"), Some(FileKind::Directory));
    for neither in ["inside", "outside", "absolute", "absolute-inside", "circle", "fifo", "nothing"] {
        assert_eq!(kind(neither), None, "{neither}");
    }
    fs::write(www.join("file"), "content").unwrap();
    assert_eq!(
        stat_entry(directory.as_fd(), b"file"),
        Some((FileKind::File, root.open_beneath(b"file", Blocking::default()).unwrap().stamp))
    );
}

#[test]
fn read_looks_one_byte_beyond_its_buffer() {
    let (_dir, root) = tree();
    let opened = root.open_beneath(b"directory/file", Blocking::default()).unwrap();
    let mut buffer = [0; 9];
    assert_eq!((read(&opened.file, &mut buffer), &buffer), (Ok(7), b"content\0\0"));
    assert_eq!(read(&opened.file, &mut buffer[..7]), Ok(7));
    assert_eq!(read(&opened.file, &mut buffer[..6]), Ok(7));
    assert_eq!(read(&opened.file, &mut buffer[..3]), Ok(4));
    assert_eq!((read_on(&opened.file, &mut buffer[..3]), &buffer[..3]), (Ok(3), &b"con"[..]));
    assert_eq!((read_on(&opened.file, &mut buffer), &buffer[..4]), (Ok(4), &b"tent"[..]));
    assert_eq!([6, 7, 8].map(|length| ends_at(&opened.file, length)), [Ok(false), Ok(true), Ok(false)]);
}
