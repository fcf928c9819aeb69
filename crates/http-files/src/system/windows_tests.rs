//! What requests reach on Windows, and what Windows would take for something else.

use std::fs;
use std::os::windows::fs::{symlink_dir, symlink_file};
use std::path::Path;

use http_core::Date;
use http_server::{Handler, testing};

use crate::Files;

fn site() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let www = directory.path().join("www");
    fs::create_dir_all(www.join("Sub Directory")).unwrap();
    fs::create_dir(directory.path().join("outside")).unwrap();
    for (name, content) in [
        ("www/Long File Name.html", "page"),
        ("www/large", &*"a".repeat(20_000)),
        ("www/Sub Directory/index.html", "index"),
        ("www/.hidden", "hidden"),
        ("outside/secret", "secret"),
    ] {
        fs::write(directory.path().join(name), content).unwrap();
    }
    directory
}

fn get(files: &Files, path: &str) -> (u16, String) {
    let response = testing::get(path).send(files);
    (response.status.code(), response.text().to_owned())
}

// V3
#[test]
fn v3_names_that_windows_takes_otherwise_are_not_found() {
    let directory = site();
    let www = directory.path().join("www");
    for follow in [false, true] {
        let files = Files::new(&www).unwrap().hidden(true).follow_symlinks(follow);
        assert_eq!(get(&files, "/Long%20File%20Name.html"), (200, "page".into()));
        assert_eq!(get(&files, "/Sub%20Directory/"), (200, "index".into()));
        for path in [
            "/NUL",
            "/nul.txt",
            "/CON",
            "/con.html",
            "/CONIN$",
            "/CONOUT$",
            "/AUX",
            "/PRN.txt",
            "/COM1",
            "/COM%C2%B9",
            "/LPT%C2%B3.txt",
            "/Sub%20Directory/NUL",
            "/Long%20File%20Name.html::$DATA",
            "/Long%20File%20Name.html:x",
            "/Sub%20Directory::$INDEX_ALLOCATION/index.html",
            "/C:",
            "/C:/Windows/win.ini",
            "/C:%5CWindows%5Cwin.ini",
            "/Z:",
            "//host/share/file",
            "/%3F%3F/C:/Windows/win.ini",
            "/LONGFI~1.HTM",
            "/SUBDIR~1/index.html",
            "/large.",
            "/large%20",
            "/large...",
            "/large%20.",
            "/Sub%20Directory./index.html",
            "/*",
            "/lar%3Fe",
            "/%22large%22",
            "/%FF",
        ] {
            let (status, text) = get(&files, path);
            assert_eq!(status, 404, "{path}: {text}");
        }
        // These are no paths of URLs at all.
        for path in ["/..%5Coutside%5Csecret", "/Sub%20Directory%5Cindex.html", "/%5C%5C.%5CNUL", "/%5C%5C%3F%5CC:%5C"]
        {
            let (status, text) = get(&files, path);
            assert!(matches!(status, 400 | 404), "{path}: {status} {text}");
        }
    }
}

#[test]
fn name_is_spelled_as_the_directory_has_it() {
    let directory = site();
    let files = Files::new(&directory.path().join("www")).unwrap();
    for path in ["/long%20file%20name.html", "/LARGE", "/sub%20directory/index.html", "/SUB%20DIRECTORY/"] {
        for _ in 0..2 {
            assert_eq!(get(&files, path).0, 404, "{path}");
            assert_eq!(get(&files, "/large").0, 200);
        }
    }
}

// V7
#[test]
#[ignore = "wine says that it makes symlinks, and does not"]
fn symlinks_lead_nowhere_outside() {
    let directory = site();
    let www = directory.path().join("www");
    symlink_file("Sub Directory\\index.html", www.join("inside")).unwrap();
    symlink_file(www.join("Sub Directory\\index.html"), www.join("absolute")).unwrap();
    symlink_dir("Sub Directory", www.join("directory")).unwrap();
    symlink_file("..\\outside\\secret", www.join("secret")).unwrap();
    symlink_dir("..\\outside", www.join("outside")).unwrap();
    symlink_dir(directory.path().join("outside"), www.join("absolute-outside")).unwrap();
    symlink_file("circle", www.join("circle")).unwrap();
    let files = Files::new(&www).unwrap();
    for path in ["/inside", "/directory/index.html", "/absolute"] {
        assert_eq!(get(&files, path), (200, "index".into()), "{path}");
    }
    for path in ["/secret", "/outside/secret", "/absolute-outside/secret", "/circle"] {
        assert_eq!(get(&files, path).0, 403, "{path}");
    }
    let files = files.follow_symlinks(true);
    for path in ["/secret", "/outside/secret", "/absolute-outside/secret"] {
        assert_eq!(get(&files, path), (200, "secret".into()), "{path}");
    }
}

#[test]
fn change_is_visible_at_once() {
    let directory = site();
    let at = |name: &str| directory.path().join("www").join(name);
    let files = Files::new(&directory.path().join("www")).unwrap();
    let now = Date::from_unix(4_000_000_000).unwrap(); // every file has settled
    let content = || {
        testing::with_request(b"GET /page HTTP/1.0\r\n\r\n", now, |request| files.handle(request)).into_response().map(
            |response| match response.body_ref() {
                http_server::Body::Shared(bytes) => bytes.to_vec(),
                other => panic!("{other:?}"),
            },
        )
    };
    for text in ["one", "three", "four", "replaced"] {
        fs::write(at("new"), text).unwrap();
        fs::rename(at("new"), at("page")).unwrap();
        let reads = files.files_read();
        for _ in 0..3 {
            assert_eq!(content().as_deref(), Some(text.as_bytes()));
        }
        assert_eq!(files.files_read(), reads + 1, "it is cached");
    }
    fs::write(at("page"), "rewritten").unwrap();
    assert_eq!(content().as_deref(), Some(&b"rewritten"[..]));
}

#[test]
fn listings_archives_and_conditions_work() {
    let directory = site();
    let www = directory.path().join("www");
    let files = Files::new(&www).unwrap();
    let (status, page) = get(&files, "/");
    assert!(status == 200 && page.contains("Long%20File%20Name.html") && page.contains("Sub%20Directory/"), "{page}");
    assert!(!page.contains("./.hidden"));
    let (_, json) = get(&files, "/?format=json");
    assert!(json.contains("\"name\":\"large\"") && json.contains("20000"), "{json}");
    let tag = testing::get("/large").send(&files).headers.get("ETag").unwrap().to_owned();
    assert_eq!(testing::get("/large").header("If-None-Match", &tag).send(&files).status.code(), 304);
    assert_eq!(testing::get("/large").header("Range", "bytes=0-4").send(&files).text(), "aaaaa");
    #[cfg(feature = "archive")]
    {
        let files = files.archive(true);
        let archive = testing::get("/?archive=tar").send(&files).body;
        for name in ["files/Long File Name.html", "files/Sub Directory/index.html", "files/large"] {
            assert!(archive.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
        }
    }
}

#[test]
fn precompressed_files_fallbacks_and_single_files_work() {
    let directory = site();
    let www = directory.path().join("www");
    fs::write(www.join("page.txt"), "a".repeat(100)).unwrap();
    fs::write(www.join("page.txt.zst"), b"\x28\xb5\x2f\xfd").unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    for name in ["page.txt", "page.txt.zst"] {
        fs::File::options().write(true).open(www.join(name)).unwrap().set_modified(old).unwrap();
    }
    let files = Files::new(&www).unwrap().fallback("Long File Name.html");
    let response = testing::get("/page.txt").header("Accept-Encoding", "zstd").send(&files);
    assert_eq!(response.headers.get("Content-Encoding"), Some("zstd"));
    let response = testing::get("/users/7").header("Accept", "text/html").send(&files);
    assert_eq!((response.status.code(), &*response.body), (200, &b"page"[..]));

    let one = Files::new(&www.join("Long File Name.html")).unwrap();
    assert!(one.is_one_file());
    assert_eq!(get(&one, "/Long%20File%20Name.html"), (200, "page".into()));
    assert_eq!(get(&one, "/large").0, 404);
}

#[test]
fn root_is_switched_by_renaming() {
    let directory = site();
    let at = |name: &str| directory.path().join(name);
    let files = Files::new(&at("www")).unwrap();
    fs::rename(at("www"), at("old")).unwrap();
    fs::create_dir(at("www")).unwrap();
    fs::write(at("www/large"), "new").unwrap();
    assert!(files.root.check().is_some_and(|message| message.contains("which is served")));
    assert_eq!(get(&files, "/large"), (200, "new".into()));
    assert!(Files::new(Path::new("NUL")).is_err());
}
