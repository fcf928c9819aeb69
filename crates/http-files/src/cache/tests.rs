//! What the cache keeps, how soon it notices a change, and how much memory it takes.

use super::*;
use crate::Files;
use allocation_counter::measure;
use http_core::{FieldBlock, Status, header};
use http_server::testing;
use http_server::{Action, Body, Handler, Request, Response};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// This many seconds from now. A file written now has settled after 10.
fn after(seconds: u64) -> Date {
    seconds_after(SystemTime::now(), seconds)
}

fn seconds_after(time: SystemTime, seconds: u64) -> Date {
    let time = time.duration_since(UNIX_EPOCH).unwrap();
    Date::from_unix((time.as_secs() + seconds) as i64).unwrap()
}

fn with_request<T>(request: &str, now: Date, f: impl FnOnce(&Request<'_>) -> T) -> T {
    testing::with_request(format!("{request}\r\n\r\n").as_bytes(), now, f)
}

fn ask(files: &Files, request: &str, now: Date) -> Response {
    with_request(request, now, |request| files.handle(request)).into_response().unwrap()
}

fn content(body: &Body) -> Vec<u8> {
    match body {
        Body::Bytes(bytes) => bytes.to_vec(),
        Body::Shared(bytes) => bytes.to_vec(),
        Body::File { file, offset, length, .. } => {
            let mut bytes = vec![0; *length as usize];
            file.try_clone().unwrap().read_exact_at(&mut bytes, *offset).unwrap();
            bytes
        }
        _ => panic!("{body:?}"),
    }
}

/// The status, and the content if it is 200.
fn get(files: &Files, path: &str) -> (u16, Vec<u8>) {
    let request = format!("GET {path} HTTP/1.0");
    let action = with_request(&request, after(10), |request| files.handle(request));
    let Some(response) = action.into_response() else { return (403, Vec::new()) }; // an error with a cause
    let status = response.status_code().code();
    (status, if status == 200 { content(response.body_ref()) } else { Vec::new() })
}

fn is_hit(files: &Files, name: &str) -> bool {
    let wanted = Wanted { fields: None, now: after(10), blocking: Blocking::default() };
    files.cache.get(name.as_bytes(), files.root.generation(), wanted, ReceivedAt::now()).unwrap().is_some()
}

fn is_cached(files: &Files, name: &str) -> bool {
    files.cache.entries.as_ref().is_some_and(|cache| cache.contains_key(name.as_bytes()))
}

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("sub")).unwrap();
    for (name, bytes) in
        [("small", 16 << 10), ("large", (16 << 10) + 1), ("index.html", 9), ("sub/index.html", 8), ("page.html", 7)]
    {
        fs::write(directory.path().join(name), vec![b'a'; bytes]).unwrap();
    }
    directory
}

#[test]
fn cache_hit_allocates_nothing() {
    let directory = directory();
    let files = Files::new(directory.path()).unwrap().pretty_urls(true);
    let paths = [("/small", "small"), ("/%6carge", "large"), ("/", "/"), ("/x/../sub/", "sub/"), ("/page?q", "page")];
    for (path, name) in paths {
        for method in ["GET", "HEAD"] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nAccept: */*");
            let first = ask(&files, &request, after(10));
            assert!(is_hit(&files, name), "{name}");
            with_request(&request, after(10), |request| {
                let mut again = None;
                let measured = measure(|| again = Some(files.handle(request)));
                assert_eq!(measured.count_total, 0, "{path}");
                let Some(again) = again.and_then(Action::into_response) else { panic!("{path}") };
                assert_eq!((again.status_code(), again.headers()), (first.status_code(), first.headers()));
                assert_eq!(content(again.body_ref()), content(first.body_ref()));
            });
        }
    }
}

#[test]
fn change_is_visible_at_once() {
    let directory = directory();
    let at = |name: &str| directory.path().join(name);
    let files = Files::new(directory.path()).unwrap();
    let modified = fs::metadata(at("small")).unwrap().modified().unwrap();
    let set_modified = |path: &Path, time| File::options().write(true).open(path).unwrap().set_modified(time);
    type Change<'a> = (&'a str, Box<dyn Fn() + 'a>, (u16, Vec<u8>));
    let changes: [Change<'_>; 12] = [
        ("rewritten", Box::new(|| fs::write(at("small"), "bb").unwrap()), (200, b"bb".into())),
        (
            "overwritten with the same length, and its time set back",
            Box::new(|| {
                File::options().write(true).open(at("small")).unwrap().write_all_at(b"cc", 0).unwrap();
                set_modified(&at("small"), modified).unwrap();
            }),
            (200, b"cc".into()),
        ),
        (
            "truncated",
            Box::new(|| File::options().write(true).open(at("small")).unwrap().set_len(1).unwrap()),
            (200, b"c".into()),
        ),
        ("empty", Box::new(|| fs::write(at("small"), "").unwrap()), (200, b"".into())),
        ("grown large", Box::new(|| fs::write(at("small"), vec![b'd'; 20_000]).unwrap()), (200, vec![b'd'; 20_000])),
        (
            "replaced",
            Box::new(|| {
                fs::write(at("new"), "e").unwrap();
                fs::rename(at("new"), at("small")).unwrap();
            }),
            (200, b"e".into()),
        ),
        (
            "a symlink",
            Box::new(|| {
                symlink("sub/index.html", at("new")).unwrap();
                fs::rename(at("new"), at("small")).unwrap();
            }),
            (200, b"aaaaaaaa".into()),
        ),
        (
            "a symlink to another file",
            Box::new(|| {
                symlink("index.html", at("new")).unwrap();
                fs::rename(at("new"), at("small")).unwrap();
            }),
            (200, b"aaaaaaaaa".into()),
        ),
        (
            "a symlink out of the root",
            Box::new(|| {
                symlink("/etc/passwd", at("new")).unwrap();
                fs::rename(at("new"), at("small")).unwrap();
            }),
            (403, Vec::new()),
        ),
        ("removed", Box::new(|| fs::remove_file(at("small")).unwrap()), (404, Vec::new())),
        ("a directory", Box::new(|| fs::create_dir(at("small")).unwrap()), (301, Vec::new())),
        (
            "created again",
            Box::new(|| {
                fs::remove_dir(at("small")).unwrap();
                fs::write(at("small"), "f").unwrap();
            }),
            (200, b"f".into()),
        ),
    ];
    assert_eq!(get(&files, "/small").0, 200);
    for (what, change, expected) in changes {
        thread::sleep(Duration::from_millis(11)); // one tick: to this test, new files are settled
        change();
        assert!(!is_hit(&files, "small"), "{what}");
        assert!(get(&files, "/small") == expected && get(&files, "/small") == expected, "{what}");
        // An empty file may be one that does not say its size.
        assert_eq!(is_hit(&files, "small"), expected.0 == 200 && !expected.1.is_empty(), "{what}");
    }
}

#[test]
fn added_or_removed_index_is_visible_at_once() {
    let directory = directory();
    let files = Files::new(directory.path()).unwrap();
    assert_eq!(get(&files, "/sub/"), (200, b"aaaaaaaa".into()));
    assert!(is_hit(&files, "sub/") && !is_hit(&files, "sub") && !is_hit(&files, "sub/index.html"));
    fs::rename(directory.path().join("sub/index.html"), directory.path().join("sub/x")).unwrap();
    assert!(String::from_utf8(get(&files, "/sub/").1).unwrap().contains("href=\"x\""), "a listing");
    fs::rename(directory.path().join("sub/x"), directory.path().join("sub/index.html")).unwrap();
    assert_eq!(get(&files, "/sub/"), (200, b"aaaaaaaa".into()));
    assert_eq!((get(&files, "/sub").0, get(&files, "/small/").0), (301, 404));
}

// V18
#[test]
fn error_page_with_hidden_name_is_not_served_under_that_name() {
    let directory = directory();
    fs::create_dir(directory.path().join(".errors")).unwrap();
    for name in ["404.html", "app.html"] {
        fs::write(directory.path().join(".errors").join(name), name).unwrap();
    }
    let files = Files::new(directory.path()).unwrap().error_file(Status::NOT_FOUND, ".errors/404.html");
    assert_eq!((get(&files, "/a.b").0, is_cached(&files, ".errors/404.html")), (404, true));
    assert_eq!(get(&files, "/.errors/404.html").0, 404);
    let files = Files::new(directory.path()).unwrap().fallback(".errors/app.html");
    let status = ask(&files, "GET /a HTTP/1.0\r\nAccept: text/html", after(10)).status_code().code();
    assert_eq!((status, is_cached(&files, ".errors/app.html")), (200, true));
    assert_eq!(get(&files, "/.errors/app.html").0, 404);
}

// R1945-10.10
#[test]
fn file_changed_recently_or_in_the_future_is_not_cached() {
    let directory = directory();
    let files = Files::new(directory.path()).unwrap();
    let file = File::options().write(true).open(directory.path().join("small")).unwrap();
    let written = file.metadata().unwrap().modified().unwrap();
    let has_last_modified = |seconds| {
        let now = seconds_after(written, seconds);
        ask(&files, "GET /small HTTP/1.0", now).headers().contains(header::LAST_MODIFIED)
    };
    assert!(!has_last_modified(0) && !is_cached(&files, "small"));
    assert!(has_last_modified(1) && !is_cached(&files, "small"));
    assert!(has_last_modified(3) && is_cached(&files, "small"));
    assert!(!has_last_modified(0) && !is_cached(&files, "small"), "the clock was set back");
    file.set_modified(written + Duration::from_secs(3600)).unwrap();
    assert!(!has_last_modified(10) && !is_cached(&files, "small"));
}

// V20
#[test]
fn cache_stays_within_its_limits() {
    let directory = directory();
    let files = Files::new(directory.path()).unwrap().cache_size(200_000).cached_descriptors(4);
    for n in 0..300 {
        let path = directory.path().join(format!("{n}"));
        fs::write(&path, vec![b'a'; if n % 2 == 0 { 1000 } else { 20_000 }]).unwrap();
        for _ in 0..3 {
            assert_eq!(get(&files, &format!("/{n}")).0, 200);
        }
        let cache = files.cache.entries.as_ref().unwrap();
        let open = cache.iter().map(|(_, resource)| resource.descriptors()).sum::<usize>();
        assert!(cache.weight() <= 200_000 && open <= 4, "{} bytes, {open} open", cache.weight());
    }
    let cached = |files: &Files| files.cache.entries.as_ref().unwrap().len();
    assert!(cached(&files) > 2, "{} cached", cached(&files));
    let none = Files::new(directory.path()).unwrap().cache_size(0);
    assert_eq!((get(&none, "/small"), is_hit(&none, "small")), ((200, vec![b'a'; 16 << 10]), false));
    let small_only = Files::new(directory.path()).unwrap().cached_descriptors(0);
    assert_eq!((get(&small_only, "/small").0, get(&small_only, "/large").0), (200, 200));
    assert_eq!((is_cached(&small_only, "small"), is_cached(&small_only, "large")), (true, false));
}

// V20
#[test]
fn footprint_is_what_the_heap_takes() {
    let directory = directory();
    fs::write(directory.path().join("a.txt"), [b'a'; 1000]).unwrap();
    fs::write(directory.path().join("a.txt.gz"), [b"\x1f\x8b", &[b'a'; 500][..], &1000_u32.to_le_bytes()].concat())
        .unwrap();
    let files = Files::new(directory.path()).unwrap().index_files(["none", "index.html"]);
    for (request, name) in [
        ("GET /small HTTP/1.0", "small"),
        ("GET /large HTTP/1.0", "large"),
        ("GET /sub/ HTTP/1.0\r\nAccept-Encoding: gzip", "sub/"),
        ("GET /a.txt HTTP/1.0\r\nAccept-Encoding: gzip", "a.txt"),
    ] {
        assert_eq!(ask(&files, request, after(10)).status_code().code(), 200, "{name}");
        let resource = files.cache.entries.as_ref().unwrap().get(name.as_bytes()).unwrap();
        files.cache.entries.as_ref().unwrap().remove(name.as_bytes());
        assert_eq!(Arc::strong_count(&resource), 1, "{name}");
        // The headers of a 304 are counted as if they were those of a 200.
        let length = |fields: Arc<FieldBlock>| fields.as_bytes().len();
        let overrated = resource.representations().map(|file| {
            let not_modified = file.not_modified(&files.settings);
            length(file.fields.clone()) - length(not_modified)
        });
        let footprint = (resource.footprint - overrated.sum::<usize>()) as u64;
        let freed = measure(|| drop(resource));
        // The counter knows neither what glibc adds to each allocation, 8 to 23 bytes, nor its least size, 32.
        let (allocations, bytes) = (freed.count_current.unsigned_abs(), freed.bytes_current.unsigned_abs());
        assert!((bytes + 8 * allocations..=bytes + 32 * allocations).contains(&footprint), "{name}: {footprint}");
    }
}

#[test]
fn close_files_drops_open_files_only() {
    let directory = directory();
    let files = Files::new(directory.path()).unwrap();
    assert_eq!((get(&files, "/small").0, get(&files, "/large").0), (200, 200));
    assert!(is_hit(&files, "small") && is_hit(&files, "large"));
    files.cache.close_files();
    assert!(is_hit(&files, "small") && !is_hit(&files, "large"));
}

// R9110-13.2.2, R9110-14.2a: the response is the same whether its file was cached or not.
#[test]
fn conditions_and_ranges_are_the_same_with_and_without_cache() {
    let directory = directory();
    let files = [Files::new(directory.path()).unwrap(), Files::new(directory.path()).unwrap().cache_size(0)];
    let now = after(10);
    for path in ["/small", "/large"] {
        for field in [
            "X: y",
            "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT",
            &format!("If-Modified-Since: {}", now.text()),
            "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
            "Range: bytes=1-4",
            "Range: bytes=-3",
            "Range: bytes=99999-",
        ] {
            let request = format!("GET {path} HTTP/1.0\r\n{field}");
            let [read, hit, uncached] = [0, 0, 1].map(|n| ask(&files[n], &request, now));
            for other in [hit, uncached] {
                assert_eq!(other.status_code(), read.status_code(), "{request}");
                assert_eq!(other.headers(), read.headers(), "{request}");
                assert!(content(other.body_ref()) == content(read.body_ref()), "{request}");
            }
        }
    }
}

/// A value that needs every shard of its cache when it is dropped.
struct Probe {
    cache: Weak<Entries<Arc<Probe>, ProbeWeight>>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        let Some(cache) = self.cache.upgrade() else { return };
        for name in 0..100_u8 {
            assert!(cache.try_contains_key(&[name][..]).is_ok(), "a shard is locked while a value is dropped");
        }
        self.dropped.fetch_add(1, Relaxed);
    }
}

#[derive(Clone)]
struct ProbeWeight;

impl Weighter<Box<[u8]>, Arc<Probe>> for ProbeWeight {
    fn weight(&self, name: &Box<[u8]>, _: &Arc<Probe>) -> u64 {
        if name.is_empty() { 40 } else { 1 }
    }
}

// Closing a file may wait, so no worker may have to wait for the lock meanwhile.
#[test]
fn values_are_dropped_after_the_lock_is_released() {
    let cache = Arc::new(Entries::with(100, 100, ProbeWeight, DefaultHashBuilder::default(), DropUnlocked));
    let dropped = Arc::new(AtomicUsize::new(0));
    let probe = || Arc::new(Probe { cache: Arc::downgrade(&cache), dropped: dropped.clone() });
    let fill = || (0..100).for_each(|name: u8| cache.insert([name].into(), probe()));
    fill();
    let evicted = dropped.load(Relaxed);
    cache.insert(Box::default(), probe()); // as heavy as many others
    let at_once = dropped.load(Relaxed) - evicted;
    assert!(at_once > 2, "only {at_once} were evicted at once");
    fill(); // replaces values
    assert!(dropped.load(Relaxed) - evicted > at_once);
    let (before, removed) = (dropped.load(Relaxed), cache.len());
    drop_where(&cache, |_| true);
    assert_eq!((cache.len(), dropped.load(Relaxed)), (0, before + removed));
}
