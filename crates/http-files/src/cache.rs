//! Cached files, and the check before each use that they are still what their paths lead to.
//!
//! A response is never older than its request: after the request was received, the path is looked up again and must
//! lead to the same file with the same stamp. Only settled files are cached, because two changes within one tick of a
//! file system's clock leave the same timestamp.

use std::sync::Arc;

use http_core::Date;
use http_server::freshness::ReceivedAt;
use http_server::{Blocking, Later};
use quick_cache::Weighter;

use crate::representation::Representation;
use crate::resource::Resource;
use crate::root::Root;

/// The weight of a file that holds a descriptor. It leaves enough descriptors for connections.
const DESCRIPTOR: u64 = 16;

/// Resources by the decoded path of the request, with a slash at the end of a directory's path.
#[derive(Debug)]
pub(crate) struct Cache(Option<quick_cache::sync::Cache<Box<[u8]>, Arc<Resource>, Weight>>);

impl Cache {
    /// A cache of about this many small files. 0 disables it.
    pub(crate) fn new(entries: usize) -> Cache {
        let cache = || quick_cache::sync::Cache::with_weighter(entries, entries as u64, Weight);
        Cache((entries > 0).then(cache))
    }

    /// The resource with this name, if the name still leads to it in the representation that `choose` prefers.
    /// `received_at` is the time of the request. `now` is that time or earlier.
    ///
    /// # Errors
    /// [`Later`], if the check could hang, or has to look the name up again, and no worker is free for that.
    pub(crate) fn get(
        &self,
        name: &[u8],
        root: &Root,
        now: Date,
        received_at: ReceivedAt,
        blocking: Blocking<'_>,
        choose: impl Fn(&Resource) -> &Representation,
    ) -> Result<Option<Arc<Resource>>, Later> {
        let Some(cache) = &self.0 else { return Ok(None) };
        let Some(resource) = cache.get(name) else { return Ok(None) };
        let chosen = choose(&resource);
        if root.is_elsewhere(&resource.plain().stamp) {
            blocking.may_hang()?;
        }
        if resource.is_settled(now) && resource.is_current(chosen, root, now, received_at, blocking)? {
            return Ok(Some(resource));
        }
        cache.remove(name);
        Ok(None)
    }

    /// Adds a resource if it is settled. `now` is a time before it was read.
    pub(crate) fn insert(&self, name: &[u8], resource: &Arc<Resource>, now: Date) {
        if let Some(cache) = &self.0
            && resource.is_settled(now)
        {
            cache.insert(name.into(), resource.clone());
        }
    }

    /// Drops every resource with a descriptor. Descriptors in use by responses stay open until these are sent.
    pub(crate) fn close_files(&self) {
        if let Some(cache) = &self.0 {
            cache.retain(|_, resource| !resource.representations().any(Representation::is_open));
        }
    }
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Box<[u8]>, Arc<Resource>> for Weight {
    fn weight(&self, _: &Box<[u8]>, resource: &Arc<Resource>) -> u64 {
        resource.representations().map(|file| if file.is_open() { DESCRIPTOR } else { 1 }).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Files;
    use allocation_counter::measure;
    use http_core::{Status, header};
    use http_server::testing;
    use http_server::{Action, Body, Handler, Request, Response};
    use std::fs::{self, File};
    use std::os::unix::fs::{FileExt, symlink};
    use std::path::Path;
    use std::thread;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    /// This many seconds from now. A file written now has settled after 10.
    fn after(seconds: u64) -> Date {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
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
        let response = ask(files, &format!("GET {path} HTTP/1.0"), after(10));
        let status = response.status_code().code();
        (status, if status == 200 { content(response.body_ref()) } else { Vec::new() })
    }

    fn is_hit(files: &Files, name: &str) -> bool {
        let (now, received_at) = (after(10), ReceivedAt::now());
        let found =
            files.cache.get(name.as_bytes(), &files.root, now, received_at, Blocking::default(), Resource::plain);
        found.unwrap().is_some()
    }

    fn is_cached(files: &Files, name: &str) -> bool {
        files.cache.0.as_ref().is_some_and(|cache| cache.contains_key(name.as_bytes()))
    }

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("sub")).unwrap();
        for (name, bytes) in [("small", 16 << 10), ("large", (16 << 10) + 1), ("index.html", 9), ("sub/index.html", 8)]
        {
            fs::write(directory.path().join(name), vec![b'a'; bytes]).unwrap();
        }
        directory
    }

    #[test]
    fn cache_hit_allocates_nothing() {
        let directory = directory();
        let files = Files::new(directory.path()).unwrap();
        for (path, name) in [("/small", "small"), ("/%6carge", "large"), ("/", "/"), ("/x/../sub/", "sub/")] {
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
            (
                "grown large",
                Box::new(|| fs::write(at("small"), vec![b'd'; 20_000]).unwrap()),
                (200, vec![b'd'; 20_000]),
            ),
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
            assert_eq!(is_hit(&files, "small"), expected.0 == 200, "{what}");
        }
    }

    #[test]
    fn added_or_removed_index_is_visible_at_once() {
        let directory = directory();
        let files = Files::new(directory.path()).unwrap();
        assert_eq!(get(&files, "/sub/"), (200, b"aaaaaaaa".into()));
        assert!(is_hit(&files, "sub/") && !is_hit(&files, "sub") && !is_hit(&files, "sub/index.html"));
        fs::rename(directory.path().join("sub/index.html"), directory.path().join("sub/x")).unwrap();
        assert!(String::from_utf8(get(&files, "/sub/").1).unwrap().contains("./x"), "a listing");
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
        assert_eq!((get(&files, "/a").0, is_cached(&files, ".errors/app.html")), (200, true));
        assert_eq!(get(&files, "/.errors/app.html").0, 404);
    }

    // R1945-10.10
    #[test]
    fn file_changed_recently_or_in_the_future_is_not_cached() {
        let directory = directory();
        let files = Files::new(directory.path()).unwrap();
        let last_modified = |now| ask(&files, "GET /small HTTP/1.0", now).headers().contains(header::LAST_MODIFIED);
        assert!(!last_modified(after(0)) && !is_cached(&files, "small"));
        assert!(last_modified(after(1)) && !is_cached(&files, "small"));
        assert!(last_modified(after(3)) && is_cached(&files, "small"));
        assert!(!last_modified(after(0)) && !is_cached(&files, "small"), "the clock was set back");
        let file = File::options().write(true).open(directory.path().join("small")).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(3600)).unwrap();
        assert!(!last_modified(after(10)) && !is_cached(&files, "small"));
    }

    // V20
    #[test]
    fn cache_stays_within_its_size() {
        let directory = directory();
        let files = Files::new(directory.path()).unwrap().cache_entries(64);
        for n in 0..300 {
            let path = directory.path().join(format!("{n}"));
            fs::write(&path, vec![b'a'; if n % 2 == 0 { 1 } else { 20_000 }]).unwrap();
            for _ in 0..3 {
                assert_eq!(get(&files, &format!("/{n}")).0, 200);
            }
            let cache = files.cache.0.as_ref().unwrap();
            let open = cache.iter().filter(|(_, resource)| resource.plain().is_open()).count();
            assert!(cache.len() <= 64 && open <= 4, "{} cached, {open} of them open", cache.len());
        }
        assert!(!files.cache.0.as_ref().unwrap().is_empty());
        let none = Files::new(directory.path()).unwrap().cache_entries(0);
        assert_eq!((get(&none, "/small"), is_hit(&none, "small")), ((200, vec![b'a'; 16 << 10]), false));
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
        let files = [Files::new(directory.path()).unwrap(), Files::new(directory.path()).unwrap().cache_entries(0)];
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
}
