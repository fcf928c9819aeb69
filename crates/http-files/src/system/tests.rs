//! What happens between a look at a file and its opening, where the portable way is used.

use super::*;
use crate::open_error::OpenError;
use crate::root::Root;
use crate::stamp::FileKind;
use http_server::Blocking;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::ffi::CString;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;

fn base(directory: &Path) -> BaseDirectory {
    let mut base = BaseDirectory::open(directory, true).unwrap();
    base.set_method(Method::Portable);
    base
}

fn find(base: &BaseDirectory, name: &str) -> Found {
    match base.look(None, name.as_bytes(), None).unwrap() {
        Node::File(status, file) => Found::file(None, name.into(), status, file),
        Node::Directory(directory) => base.found_directory(Some(directory)).unwrap(),
        other => panic!("{other:?}"),
    }
}

// V8, V25
#[test]
fn what_replaces_a_file_after_the_look_is_not_opened_in_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let base = base(directory.path());
    fs::write(at("other"), "other").unwrap();
    let others: [(&str, &dyn Fn()); 5] = [
        ("another file", &|| fs::write(at("new"), "").unwrap()),
        ("a directory", &|| fs::create_dir(at("new")).unwrap()),
        ("a symlink", &|| symlink("other", at("new")).unwrap()),
        // An open that waits for a writer would never end.
        ("a FIFO", &|| mknodat(CWD, at("new"), FileType::Fifo, Mode::RUSR, 0).unwrap()),
        ("a device", &|| symlink("/dev/full", at("new")).unwrap()),
    ];
    for (what, make) in others {
        fs::write(at("file"), "file").unwrap();
        let found = find(&base, "file");
        assert!(base.reopen(&found).is_ok());
        make(); // first, so that it is not given the same inode
        fs::remove_file(at("file")).unwrap();
        fs::rename(at("new"), at("file")).unwrap();
        assert_eq!(base.reopen(&found).map(drop), Err(OpenError::Changing), "{what}");
        let _ = fs::remove_file(at("file")).or_else(|_| fs::remove_dir(at("file")));
        assert_eq!(base.reopen(&found).map(drop), Err(OpenError::NotFound), "{what}");
    }
}

#[test]
fn directory_is_opened_as_it_was_found_whatever_has_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let base = base(directory.path());
    fs::create_dir(at("directory")).unwrap();
    let found = find(&base, "directory");
    fs::rename(at("directory"), at("moved")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    let (_, status) = base.reopen(&found).unwrap();
    assert_eq!(status.stamp, base.stamp(c"moved").unwrap());
}

// V25
#[test]
fn what_is_neither_file_nor_directory_is_never_opened() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    symlink("/dev/null", at("device")).unwrap();
    for method in Method::ALL {
        for follow in [false, true] {
            let mut root = Root::open(directory.path(), 0).unwrap();
            root.set_method(*method);
            root.follow_symlinks(follow);
            for name in ["fifo", "socket", "device"] {
                let opened = root.open_beneath(name.as_bytes(), Blocking::default());
                let is_refused = match opened {
                    Err(OpenError::Irregular) => true,
                    Err(OpenError::LeadsOut(_)) => !follow && name == "device",
                    _ => false,
                };
                assert!(is_refused, "{method:?} {follow} {name}");
            }
        }
    }
}

#[test]
fn every_method_finds_the_same_stamps() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("sub")).unwrap();
    fs::write(directory.path().join("sub/file"), "content").unwrap();
    symlink("sub/file", directory.path().join("link")).unwrap();
    for path in ["", "sub", "sub/file", "link"] {
        let found = Method::ALL.iter().flat_map(|method| {
            let mut root = Root::open(directory.path(), 0).unwrap();
            root.set_method(*method);
            let inside = root.stat_beneath(path.as_bytes(), Blocking::default()).unwrap();
            let opened = root.open_beneath(path.as_bytes(), Blocking::default()).unwrap();
            root.follow_symlinks(true);
            [inside, (opened.kind, opened.stamp), root.stat_beneath(path.as_bytes(), Blocking::default()).unwrap()]
        });
        let found: Vec<_> = found.collect();
        assert!(found.iter().all(|one| *one == found[0]), "{path}: {found:?}");
        let of_path = BaseDirectory::open(directory.path(), true).unwrap();
        let name = CString::new(if path.is_empty() { "." } else { path }).unwrap();
        assert_eq!(of_path.stamp(&name), Some(found[0].1), "{path}");
    }
    let sub = fs::File::open(directory.path().join("sub")).unwrap();
    let Kind::Served(looked) = unix::look_at(&sub, b"file").unwrap().kind else { panic!("it is a file") };
    assert_eq!(stat_entry(sub.as_fd(), b"file"), Some((FileKind::File, looked.stamp)));
}

// On macOS, ILSEQ is the error of a name that is not UTF-8.
#[test]
fn name_that_no_file_can_have_is_not_found() {
    for errno in [Errno::NAMETOOLONG, Errno::INVAL, Errno::ILSEQ] {
        assert_eq!(OpenError::from(errno), OpenError::NotFound);
    }
}
