use super::*;
use crate::stamp::FileStamp;
use http_server::{Blocking, FileChanged};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};
use tar::EntryType;

fn stream_within(directory: &Path, path: &str, hidden: bool, bounds: Bounds) -> Result<TarStream, OpenError> {
    let root = Arc::new(Root::open(directory, 0).unwrap());
    let opened = root.open_beneath(path.trim_end_matches('/').as_bytes(), Blocking::default()).unwrap();
    let tree = Tree { root, hidden, bounds, _slot: Slots::default().take().unwrap() };
    TarStream::new(tree, path.as_bytes(), b"top", opened)
}

fn stream(directory: &Path) -> TarStream {
    stream_within(directory, "", false, Bounds::default()).unwrap()
}

fn archive(mut stream: TarStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What an entry is, and its content or the target of a symlink.
type Entry = (EntryType, Vec<u8>);

fn entries(archive: &[u8]) -> BTreeMap<Vec<u8>, Entry> {
    let mut entries = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        let kind = header.entry_type();
        let mode = if kind.is_dir() { 0o755 } else { 0o644 };
        assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mode().unwrap()), (0, 0, mode));
        assert_eq!((header.username_bytes(), header.groupname_bytes()), (Some(&b""[..]), Some(&b""[..])));
        let mut content = entry.link_name_bytes().map_or_else(Vec::new, |target| target.into_owned());
        entry.read_to_end(&mut content).unwrap();
        let name = entry.path_bytes().into_owned();
        assert!(entries.insert(name.clone(), (kind, content)).is_none(), "{} twice", name.escape_ascii());
    }
    entries
}

fn names(archive: &[u8]) -> Vec<String> {
    entries(archive).into_keys().map(|name| name.escape_ascii().to_string()).collect()
}

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn archive_has_names_of_any_bytes_and_length_with_their_content() {
    let directory = temporary();
    let deep = vec!["d".repeat(200); 15].join("/");
    let long = [b'n'; 255];
    let names: [&[u8]; 9] = [
        b"plain",
        b"a b\t\n\x7f\"'\\",
        "\u{c4}pfel \u{1f34e}".as_bytes(),
        b"\xff\xfe",
        &long,
        &[0xff; 255],
        &long[..94], // with `top/` and a slash 99 to 101 bytes
        &long[..95],
        &long[..96],
    ];
    fs::create_dir_all(directory.path().join(&deep)).unwrap();
    let mut expected = BTreeMap::from([(b"top/".to_vec(), (EntryType::Directory, Vec::new()))]);
    for depth in 1..=15 {
        let name = format!("top/{}/", vec!["d".repeat(200); depth].join("/"));
        expected.insert(name.into_bytes(), (EntryType::Directory, Vec::new()));
    }
    for (below, name) in names.iter().flat_map(|name| [("", *name), (&*deep, *name)]) {
        let content = [name, &vec![b'x'; name.len() * 100][..]].concat();
        fs::write(directory.path().join(below).join(OsStr::from_bytes(name)), &content).unwrap();
        let slash = if below.is_empty() { "" } else { "/" };
        let name = [b"top/", below.as_bytes(), slash.as_bytes(), name].concat();
        expected.insert(name, (EntryType::Regular, content));
    }
    assert!(entries(&archive(stream(directory.path())).unwrap()) == expected);
}

#[test]
fn archive_of_the_same_tree_is_the_same_and_in_order() {
    let [one, two] = [["b", "a", "c/b", "c/a", "\u{e9}", "A"], ["A", "c/a", "\u{e9}", "c/b", "a", "b"]].map(|names| {
        let directory = temporary();
        fs::create_dir(directory.path().join("c")).unwrap();
        names.iter().for_each(|name| fs::write(directory.path().join(name), name).unwrap());
        for name in [&names[..], &["c", "."]].concat() {
            let file = File::open(directory.path().join(name)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_millis(1_700_000_000_900)).unwrap();
        }
        archive(stream(directory.path())).unwrap()
    });
    assert!(one == two);
    let mut in_order = Vec::new();
    for entry in tar::Archive::new(&one[..]).entries().unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.header().mtime().unwrap(), 1_700_000_000);
        in_order.push(String::from_utf8(entry.path_bytes().into_owned()).unwrap());
    }
    assert_eq!(in_order, ["top/", "top/A", "top/a", "top/b", "top/c/", "top/c/a", "top/c/b", "top/\u{e9}"]);
}

// As in the listing (R1945-12.5b, V7, V18, V25).
#[test]
fn archive_has_neither_hidden_names_nor_what_leads_out_nor_special_files() {
    let outer = temporary();
    let at = |name: &str| outer.path().join("www").join(name);
    for name in [".git/objects", ".well-known", "sub/.well-known", "other"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    for name in [".git/config", ".well-known/a", "sub/.well-known/b", "sub/.hidden", "other/file", "../secret"] {
        fs::write(at(name), name).unwrap();
    }
    mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    for (name, target) in [
        ("file", "other/file"),
        ("directory", "other"),
        ("dangling", "none"),
        ("out", "../secret"),
        ("absolute-out", "/etc"),
        ("to-fifo", "fifo"),
        ("circle", "circle"),
        ("to-hidden", ".git"),
    ] {
        symlink(target, at(name)).unwrap();
    }
    symlink(at("other/file"), at("absolute")).unwrap();
    let shown = entries(&archive(stream(&at(""))).unwrap());
    let shown = shown.iter().map(|(name, (kind, _))| (str::from_utf8(name).unwrap(), *kind)).collect::<Vec<_>>();
    use EntryType::{Directory, Regular};
    assert_eq!(
        shown,
        [
            ("top/", Directory),
            ("top/.well-known/", Directory),
            ("top/.well-known/a", Regular),
            ("top/absolute", Regular),
            ("top/directory/", Directory),
            ("top/directory/file", Regular),
            ("top/file", Regular),
            ("top/other/", Directory),
            ("top/other/file", Regular),
            ("top/sub/", Directory),
            ("top/to-hidden/", Directory),
            ("top/to-hidden/config", Regular),
            ("top/to-hidden/objects/", Directory),
        ]
    );
    let below = stream_within(&at(""), "sub/", true, Bounds::default()).unwrap();
    let all = ["top/", "top/.hidden", "top/.well-known/", "top/.well-known/b"];
    assert_eq!(names(&archive(below).unwrap()), all);
}

#[test]
fn symlink_to_a_directory_on_the_way_stays_a_symlink_within_the_archive() {
    let directory = temporary();
    fs::create_dir_all(directory.path().join("a/b/c")).unwrap();
    for (name, target) in [("self", "."), ("a/up", ".."), ("a/b/c/top", "../../../"), ("a/b/c/b", "../../b")] {
        symlink(target, directory.path().join(name)).unwrap();
    }
    let symlinks = |archive: &[u8]| {
        let of = |(name, (kind, target)): (Vec<u8>, Entry)| {
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (kind == EntryType::Symlink).then(|| (text(name), text(target)))
        };
        entries(archive).into_iter().filter_map(of).collect::<BTreeMap<_, _>>()
    };
    let expected = [("top/self", "."), ("top/a/up", ".."), ("top/a/b/c/top", "../../.."), ("top/a/b/c/b", "..")];
    let expected = BTreeMap::from(expected.map(|(name, target)| (name.into(), target.into())));
    assert_eq!(symlinks(&archive(stream(directory.path())).unwrap()), expected);
    // From below, the directories above are visited once.
    let below = archive(stream_within(directory.path(), "a/b/c/", false, Bounds::default()).unwrap()).unwrap();
    let targets = symlinks(&below);
    assert_eq!(targets["top/top/self"], ".");
    assert_eq!(targets["top/top/a/b/c"], "../../..");
    assert_eq!(targets["top/b/c"], "..");
}

#[test]
fn archive_fails_at_each_bound_and_not_before() {
    let directory = temporary();
    fs::create_dir_all(directory.path().join("a/b")).unwrap();
    fs::write(directory.path().join("a/b/file"), "").unwrap();
    fs::write(directory.path().join("z"), "").unwrap();
    let read = |bounds| {
        stream_within(directory.path(), "", false, bounds).map(|stream| archive(stream).map_err(|e| e.to_string()))
    };
    // `a` and `z`, then `b`, then `file`: each with two bytes more.
    let enough = Bounds { entries: 5, depth: 3, name_bytes: 6 + 3 + 6 };
    assert_eq!(names(&read(enough).unwrap().unwrap()), ["top/", "top/a/", "top/a/b/", "top/a/b/file", "top/z"]);
    for (bounds, error) in [
        (Bounds { entries: 4, ..enough }, r#""/z" is one of more than 4 entries"#),
        (Bounds { depth: 2, ..enough }, r#""/a/b" is more than 2 directories deep"#),
        (Bounds { name_bytes: 14, ..enough }, r#""/a/b/" has more names than an archive can have"#),
    ] {
        assert_eq!(read(bounds).unwrap(), Err(error.to_owned()));
    }
    assert_eq!(read(Bounds { name_bytes: 5, ..enough }).err(), Some(OpenError::TooLarge));
}

// A Unix socket shows no reset, and one end of a stream is like another.
#[test]
fn archive_that_fails_ends_within_an_entry() {
    let directory = temporary();
    for n in 0..5 {
        fs::write(directory.path().join(n.to_string()), "").unwrap();
    }
    for entries in 1..=5 {
        let bounds = Bounds { entries, ..Bounds::default() };
        let (mut bytes, mut stream) = (Vec::new(), stream_within(directory.path(), "", false, bounds).unwrap());
        stream.read_to_end(&mut bytes).unwrap_err();
        let mut archive = tar::Archive::new(&bytes[..]);
        let last = archive.entries().unwrap().last().unwrap().map(|mut entry| entry.read_to_end(&mut Vec::new()));
        assert!(!matches!(last, Ok(Ok(_))), "{entries}");
        assert_eq!(bytes.len() as u64, 512 * (entries + 1));
    }
}

/// Reads the first bytes of an archive, up to somewhere in the first file, then lets `change` happen, and reads the rest.
fn change_while_read(directory: &Path, change: impl FnOnce()) -> io::Result<Vec<u8>> {
    let mut stream = stream(directory);
    let mut first = [0; 4096];
    stream.read_exact(&mut first)?;
    change();
    let rest = archive(stream)?;
    Ok([&first[..], &rest].concat())
}

// V26, V27
#[test]
fn archive_fails_if_a_file_changes_or_is_removed_while_it_is_read() {
    let directory = temporary();
    let at = |name: &str| directory.path().join(name);
    let write = || {
        fs::write(at("a"), [b'a'; 100_000]).unwrap();
        fs::write(at("b"), "b").unwrap();
        fs::create_dir_all(at("c")).unwrap();
    };
    let append = |name: &str| File::options().append(true).open(at(name)).unwrap().write_all(b"x").unwrap();
    write();
    change_while_read(directory.path(), || {}).unwrap();
    // What comes later is read as it is then, and what was opened stays what it was, though its name goes.
    change_while_read(directory.path(), || append("b")).unwrap();
    change_while_read(directory.path(), || fs::rename(at("b"), at("a")).and_then(|()| fs::write(at("b"), "")).unwrap())
        .unwrap();
    let changes: [&dyn Fn(); 6] = [
        &|| append("a"),
        &|| File::options().write(true).open(at("a")).unwrap().set_len(50_000).unwrap(),
        &|| File::options().write(true).open(at("a")).unwrap().set_len(0).unwrap(),
        &|| File::open(at("a")).unwrap().set_modified(UNIX_EPOCH).unwrap(),
        &|| fs::remove_file(at("b")).unwrap(),
        &|| fs::remove_dir(at("c")).unwrap(),
    ];
    for (n, change) in changes.iter().enumerate() {
        write();
        let error = change_while_read(directory.path(), change).expect_err(&n.to_string());
        assert!(error.get_ref().is_some_and(|error| error.is::<FileChanged>()), "{n}: {error}");
    }
}

#[test]
fn archive_fails_if_a_file_cannot_be_read() {
    let directory = temporary();
    let at = |name: &str| directory.path().join(name);
    for name in ["a", "unreadable", "target"] {
        fs::write(at(name), "").unwrap();
    }
    symlink("target", at("link")).unwrap();
    for name in ["unreadable", "target"] {
        let set_mode = |mode| fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        set_mode(0);
        if File::open(at(name)).is_ok() {
            return; // root reads everything
        }
        let error = archive(stream(directory.path())).unwrap_err().to_string();
        assert!(error.ends_with("may not be read by the user of the server"), "{error}");
        set_mode(0o644);
    }
    archive(stream(directory.path())).unwrap();
}

// It says a length of 0.
#[test]
fn archive_fails_if_a_file_does_not_say_its_length() {
    let mut proc = stream_within(Path::new("/proc"), "sys/kernel/", false, Bounds::default()).unwrap();
    let error = proc.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.get_ref().is_some_and(|error| error.is::<FileChanged>()), "{error}");
}

#[test]
fn sizes_from_8_gib_and_times_before_1970_fit_into_a_header() {
    let file = tempfile::tempfile().unwrap();
    for (length, modified, time) in [
        ((1 << 33) - 1, UNIX_EPOCH + Duration::from_secs(u32::MAX.into()), u32::MAX.into()),
        (1 << 33, UNIX_EPOCH - Duration::from_secs(1), 0),
        (1 << 42, UNIX_EPOCH + Duration::from_secs(1 << 33), 1 << 33),
    ] {
        file.set_len(length).unwrap();
        file.set_modified(modified).unwrap();
        let mut entries = entry::Entries::default();
        entries.file(b"name", &FileStamp::of(&file.try_clone().unwrap()).unwrap());
        let mut header = [0; 512];
        entries.read_exact(&mut header).unwrap();
        let header = tar::Header::from_byte_slice(&header);
        assert_eq!(header.size().unwrap(), length);
        assert!(header.mtime().unwrap() == time || file.metadata().unwrap().modified().unwrap() != modified);
    }
}

// V8
#[test]
fn archive_reveals_nothing_while_a_directory_is_exchanged_with_a_symlink() {
    let outer = temporary();
    let at = |name: &str| outer.path().join(name);
    for name in ["www/dir/deep", "outside/deep"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    fs::write(at("www/dir/deep/file"), "content").unwrap();
    fs::write(at("outside/deep/file"), "secret").unwrap();
    symlink("../outside", at("out")).unwrap();
    thread::scope(|scope| {
        let exchanger = scope.spawn(|| {
            for _ in 0..20_000 {
                renameat_with(CWD, at("www/dir"), CWD, at("out"), RenameFlags::EXCHANGE).unwrap();
            }
        });
        let mut complete = 0;
        for is_last in (0..).map(|_| exchanger.is_finished()) {
            if let Ok(archive) = archive(stream(&at("www"))) {
                assert!(!archive.windows(6).any(|window| window == b"secret"));
                complete += usize::from(archive.windows(7).any(|window| window == b"content"));
            }
            if is_last {
                break;
            }
        }
        assert!(complete > 0, "in the end, the file is there");
    });
}

#[test]
fn query_asks_for_the_last_format() {
    for (query, format) in [
        (None, None),
        (Some(""), None),
        (Some("archive"), None),
        (Some("xarchive=tar&sort=size"), None),
        (Some("archive=tar"), Some(Some(Format::Tar))),
        (Some("sort=size&archive=tar.gz"), Some(Some(Format::TarGz))),
        (Some("archive=zip&archive=tar"), Some(Some(Format::Tar))),
        (Some("archive=tar&archive=zip"), Some(None)),
        (Some("archive=TAR"), Some(None)),
        (Some("archive="), Some(None)),
    ] {
        assert_eq!(requested(query), format, "{query:?}");
    }
}

#[test]
fn as_many_archives_as_allowed_are_sent_at_once() {
    let slots = Slots::default();
    let mut taken: Vec<_> = (0..MAX_AT_ONCE).map(|_| slots.take().unwrap()).collect();
    for _ in 0..2 {
        assert_eq!(slots.take().err(), Some(OpenError::ManyArchives));
        taken.pop();
        taken.push(slots.take().unwrap());
    }
}

// V20: what a client that reads slowly keeps.
#[test]
fn archive_in_progress_takes_no_more_memory_than_is_counted() {
    let directory = temporary();
    // Names of nearly as many bytes as may wait, the directory first, and a file below it that takes several reads.
    let name = |n: usize| format!("{n:05}{}", "n".repeat(245));
    for n in 0..(MAX_NAME_BYTES - 6) / 252 - 1 {
        fs::write(directory.path().join(name(n)), "").unwrap();
    }
    fs::create_dir(directory.path().join("0")).unwrap();
    fs::write(directory.path().join("0/f"), vec![b'x'; 1 << 20]).unwrap();
    let mut reader = None;
    let begin = || {
        let mut begun = GzEncoder::new(stream(directory.path()), Compression::fast());
        begun.read_exact(&mut [0; 200]).unwrap();
        reader = Some(begun);
    };
    let taken = allocation_counter::measure(begin);
    let bytes = taken.bytes_current as usize;
    assert!((MAX_NAME_BYTES * 9 / 10..MEMORY / MAX_AT_ONCE).contains(&bytes), "{bytes}");
    assert!(taken.bytes_max < 16 << 20, "{taken:?}");
}
