#![doc = include_str!("../README.md")]

mod admission;
#[cfg(feature = "archive")]
mod archive;
mod cache;
#[cfg(feature = "gzip")]
mod compress;
mod current_root;
mod error_page;
mod fallback;
mod fields;
mod footprint;
mod glob;
mod handler;
mod html;
mod listing;
mod media_types;
mod open_error;
mod precompressed;
mod representation;
mod resource;
mod respond;
mod root;
mod settings;
mod stamp;
mod system;
mod walk;

use std::io;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http_core::{FieldBlock, FieldName, FieldValue, ReservedField, Status, header};
use http_server::Blocking;

use cache::Cache;
use current_root::CurrentRoot;
use fields::push;
pub use glob::{Glob, InvalidGlob};
pub use root::Containment;
use settings::Settings;

const DEFAULT_CACHE_SIZE: u64 = 64 << 20;

/// A quarter of the descriptors that a process usually may have.
const DEFAULT_CACHED_DESCRIPTORS: u64 = 256;

/// Bytes of memory for a listing while it is made.
#[cfg(not(feature = "gzip"))]
const MAX_LISTING_BYTES: usize = 4 * listing::MAX_PAGE_BYTES;
#[cfg(feature = "gzip")]
const MAX_LISTING_BYTES: usize = 4 * listing::MAX_PAGE_BYTES + compress::MEMORY;

/// A handler that serves the files beneath a directory, or one file alone, for GET, HEAD and OPTIONS.
///
/// The methods that take `self` set options. Paths are relative to the directory.
///
/// ```
/// use http_files::Files;
/// use http_server::http_core::FieldValue;
/// use http_server::testing::exchange;
///
/// let files = Files::new("src".as_ref())?
///     .index_files(["lib.rs"])
///     .cache_control(FieldValue::from_static("max-age=3600"));
/// let output = String::from_utf8(exchange(&files, b"GET / HTTP/1.0\r\n\r\n").output).unwrap();
/// assert!(output.starts_with("HTTP/1.0 200 OK\r\n") && output.contains("\r\nCache-Control: max-age=3600\r\n"));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A handler can respond to some paths itself, and pass the others on:
///
/// ```
/// use http_files::Files;
/// use http_server::{Action, ErrorContext, Handler, Request, Response, Upkeep, testing};
///
/// struct Site {
///     files: Files,
/// }
///
/// impl Handler for Site {
///     fn handle(&self, request: &Request<'_>) -> Action {
///         match &*request.path() {
///             "/api/version" => Response::json(r#"{"version":1}"#).into(),
///             path if path.starts_with("/api/") => Response::not_found().into(),
///             _ => self.files.handle(request),
///         }
///     }
///
///     fn error_page(&self, error: &ErrorContext<'_>) -> Response {
///         self.files.error_page(error)
///     }
///
///     fn never_blocks(&self) -> bool {
///         self.files.never_blocks() // a route that blocks asks `request.blocking()` first
///     }
///
///     fn upkeep(&self, upkeep: &Upkeep<'_>) {
///         self.files.upkeep(upkeep)
///     }
/// }
///
/// fn main() -> std::io::Result<()> {
///     let site = Site { files: Files::new("src".as_ref())? };
///     assert_eq!(testing::get("/api/version").send(&site).text(), r#"{"version":1}"#);
///     assert_eq!(testing::get("/api/lib.rs").send(&site).text(), "404 Not Found\n");
///     assert!(testing::get("/lib.rs").send(&site).text().contains("struct Files"));
///     assert!(testing::get("/no-such-file").send(&site).text().contains("<h1>404 Not Found</h1>"));
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Files {
    root: CurrentRoot,
    settings: Settings,
    cache: Cache,
    reads: AtomicU64,
    #[cfg(feature = "archive")]
    archives: archive::Slots,
}

impl Files {
    /// Serves the files beneath this directory, or beneath the one that a symlink leads to.
    ///
    /// A running [`Server`](http_server::Server) checks once a second which directory the path names (see
    /// [`Handler::upkeep`](http_server::Handler::upkeep)). If that is another one, such as the next release, it is served
    /// from then on, and downloads in progress end with the file that they began with. While the path names nothing that
    /// can be read, every response is a 503.
    ///
    /// If it is a file, `/` is redirected to its name, and everything else is a 404, its precompressed files included. A
    /// file that replaces it is served at once. As long as no file has that name, the name is a 404, too. If it is a
    /// symlink, a switch is noticed as above.
    ///
    /// ```
    /// use http_files::Files;
    /// use http_server::testing::get;
    ///
    /// let file = Files::new("src/lib.rs".as_ref())?;
    /// assert_eq!(get("/").send(&file).headers.get("Location"), Some("./lib.rs"));
    /// assert!(get("/lib.rs").send(&file).text().contains("struct Files"));
    /// assert_eq!(get("/handler.rs").send(&file).status.code(), 404);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// On Windows a name has to be spelled as its directory has it, in upper and lower case, too. One that Windows takes for
    /// a device, a stream, a drive or a short name is a 404, as are dots and blanks at its end.
    ///
    /// # Errors
    /// From the operating system, if it is neither a directory nor a file, or cannot be read.
    pub fn new(root: &Path) -> io::Result<Files> {
        Ok(Files {
            root: CurrentRoot::open(root)?,
            settings: Settings::new(),
            cache: Cache::new(DEFAULT_CACHE_SIZE, DEFAULT_CACHED_DESCRIPTORS),
            reads: AtomicU64::new(0),
            #[cfg(feature = "archive")]
            archives: archive::Slots::default(),
        })
    }

    /// Whether a directory without an index file is listed, as a page or as JSON (`?format=json`). Default: true.
    /// Otherwise the response is 403.
    #[must_use]
    pub fn listing(mut self, listing: bool) -> Files {
        self.settings.listing = listing;
        self
    }

    /// Whether a directory that is listed is also sent as an archive, for `?archive=tar` and `?archive=tar.gz`, which its
    /// page then offers. Default: false. Otherwise that is a 403.
    ///
    /// An archive has everything beneath the directory that can be requested, also where an index file is shown instead
    /// of a listing. Its files belong to root and have the mode 0644, directories 0755. A symlink is what it leads to. An
    /// archive that cannot be completed ends with a reset: a file is written to, is removed or cannot be read, or a limit
    /// is reached ([`MAX_ARCHIVE_ENTRIES`](Self::MAX_ARCHIVE_ENTRIES), [`MAX_ARCHIVE_DEPTH`](Self::MAX_ARCHIVE_DEPTH)).
    ///
    /// ```
    /// use http_files::Files;
    /// use http_server::testing;
    ///
    /// let files = Files::new("src".as_ref())?.archive(true);
    /// let response = testing::get("/?archive=tar").send(&files);
    /// assert_eq!(response.headers.get("Content-Disposition"), Some("attachment; filename=\"files.tar\""));
    /// assert!(response.body.starts_with(b"files/"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "archive")]
    #[must_use]
    pub fn archive(mut self, archive: bool) -> Files {
        self.settings.archives = if archive { &archive::FORMATS } else { &[] };
        self
    }

    /// The names of index files, the preferred one first. Default: `index.html`.
    #[must_use]
    pub fn index_files(mut self, names: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Files {
        self.settings.index_files = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether names that begin with a dot are served and listed. Default: false. `/.well-known/` always is.
    #[must_use]
    pub fn hidden(mut self, hidden: bool) -> Files {
        self.settings.hidden = hidden;
        self
    }

    /// Whether symlinks are followed out of the directory. Default: false. This turns containment off: anyone who can
    /// create a symlink beneath the directory can publish every file that the process can read.
    #[must_use]
    pub fn follow_symlinks(mut self, follow: bool) -> Files {
        self.root.follow_symlinks(follow);
        self
    }

    /// Whether `FILE.br`, `FILE.zst` or `FILE.gz` is sent instead of `FILE` to clients that accept that coding.
    /// Default: true. It must be smaller than `FILE`, no older, and unchanged for 2 seconds, and its content must not
    /// contradict its name: the magic number and length of gzip, the magic number of zstd, and no text for brotli.
    ///
    /// Files of every media type that may compress then have `Vary: Accept-Encoding`. Types that are compressed already
    /// do not: most images, audio and video, WOFF fonts, and archives. For these, nothing is looked for.
    #[must_use]
    pub fn precompressed(mut self, precompressed: bool) -> Files {
        self.settings.precompressed = precompressed;
        self
    }

    /// Whether every entity tag is weak and made from the length and the modification time only, which mirrors of the same
    /// files have in common. Default: false.
    ///
    /// By default the tag of a file of up to 16 KiB is a hash of its content, which mirrors have in common, too. The tag of
    /// a larger one is strong and includes the time of its last status change (ctime), which differs between mirrors.
    /// With a weak tag, browsers cache as before, but an interrupted download starts again.
    #[must_use]
    pub fn mirror_etags(mut self, mirror: bool) -> Files {
        self.settings.mirror_etags = mirror;
        self
    }

    /// Whether pages of every origin may read the files (CORS), including their preflight requests. Default: false.
    #[must_use]
    pub fn cors(mut self, cors: bool) -> Files {
        self.settings.cors = cors;
        self
    }

    /// Whether `/page` is `page.html` where there is neither a file nor a directory `page`. Default: false.
    ///
    /// A query is kept, the file has the same headers as at its own path, and `/page.html` stays what it is. `/page/` is a
    /// directory. A file or directory `page` that has just appeared may be noticed a second late, as an index file is.
    ///
    /// ```
    /// use http_files::Files;
    /// use http_server::testing;
    ///
    /// let directory = tempfile::tempdir()?;
    /// std::fs::write(directory.path().join("about.html"), "<p>About us")?;
    /// let files = Files::new(directory.path())?.pretty_urls(true);
    /// assert_eq!(testing::get("/about?from=home").send(&files).text(), "<p>About us");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn pretty_urls(mut self, pretty: bool) -> Files {
        self.settings.pretty_urls = pretty;
        self
    }

    /// A file that is served, with 200, to a browser that opens a page which does not exist. Single-page applications need
    /// this.
    ///
    /// A browser opens a page if `Accept` lists `text/html`, or if it sends `Sec-Fetch-Mode: navigate` and accepts HTML.
    /// `Accept: */*` alone, as of scripts, images and `curl`, is not enough. A name with the extension of a known type other
    /// than HTML, such as `/app.js`, is an asset, for which the fallback is never served. For other names, the fallback
    /// and the 404 have `Vary: Accept, Sec-Fetch-Mode`.
    ///
    /// ```
    /// use http_files::Files;
    /// use http_server::testing;
    ///
    /// let directory = tempfile::tempdir()?;
    /// std::fs::write(directory.path().join("index.html"), "<p>The app")?;
    /// let files = Files::new(directory.path())?.fallback("index.html");
    /// let status = |path, accept| testing::get(path).header("Accept", accept).send(&files).status.code();
    /// assert_eq!(status("/users/7", "text/html, */*;q=0.8"), 200);
    /// assert_eq!(status("/users/7", "application/json"), 404);
    /// assert_eq!(status("/missing.js", "text/html, */*;q=0.8"), 404);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn fallback(mut self, path: impl Into<Vec<u8>>) -> Files {
        self.settings.fallback = Some(path.into());
        self
    }

    /// A file that is shown as the page of errors with this status. If it cannot be read, the built-in page is shown. The
    /// same holds for errors that the server finds, such as a timeout, while disks are slow or if the file is on another
    /// file system than the directory: a client's timeout waits for no disk.
    #[must_use]
    pub fn error_file(mut self, status: Status, path: impl Into<Vec<u8>>) -> Files {
        self.settings.error_pages.push((status, path.into()));
        self
    }

    /// The media type of files with this name, or with this extension, in upper or lower case. A whole name wins over an
    /// extension, and a longer extension over a shorter one.
    ///
    /// Otherwise the type is that of the name or extension. Text that browsers would only save, such as sources, is
    /// `text/plain`. A file that has no extension, and a name that says nothing, is `application/octet-stream`.
    /// With the feature `type-detection`, its first bytes tell whether it is text, an image, a recording, a PDF
    /// document or an archive; HTML, SVG and scripts are text then.
    ///
    /// ```
    /// use http_files::Files;
    /// use http_server::http_core::FieldValue;
    /// use http_server::testing;
    ///
    /// let files = Files::new("src".as_ref())?
    ///     .media_type("rs", FieldValue::from_static("text/x-rust"))
    ///     .media_type("lib.rs", FieldValue::from_static("text/x-library"));
    /// assert_eq!(testing::get("/root.rs").send(&files).headers.get("Content-Type"), Some("text/x-rust"));
    /// assert_eq!(testing::get("/lib.rs").send(&files).headers.get("Content-Type"), Some("text/x-library"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn media_type(mut self, name: &str, value: FieldValue<'_>) -> Files {
        self.settings.media_types.set(name, value);
        self
    }

    /// The charset of text files. The empty string leaves it out. Default: `utf-8`, except that an HTML file whose first
    /// 1,024 bytes declare an encoding gets none, because that of the header would win.
    #[must_use]
    pub fn charset(mut self, charset: &str) -> Files {
        self.settings.media_types.set_charset(charset);
        self
    }

    /// The Cache-Control of files for which there is no [rule](Self::cache_rule). Default: `no-cache`, so that a change
    /// shows at once: clients ask before they use a copy, and get a 304 if it is current.
    ///
    /// Listings, redirects and errors have `no-cache`. A Cache-Control that is set as a [header](Self::header) of every
    /// response takes the place of `no-cache`.
    #[must_use]
    pub fn cache_control(mut self, value: FieldValue<'_>) -> Files {
        self.settings.file_headers = cache_control(value);
        self
    }

    /// Adds a rule: the Cache-Control of the files that a glob matches. The first rule that matches is used.
    ///
    /// A rule is for the path of the file that is sent, not for the path of the request. `/index.html` is the page at `/`,
    /// and a [fallback](Self::fallback) is never cached under the rule of a missing asset.
    ///
    /// ```
    /// use http_files::Files;
    /// use http_server::http_core::FieldValue;
    /// use http_server::testing;
    ///
    /// let immutable = FieldValue::from_static("public, max-age=31536000, immutable");
    /// let files = Files::new(".".as_ref())?.cache_rule("/src/*".parse().unwrap(), immutable);
    /// let cache_control = |path| testing::get(path).send(&files).headers.get("Cache-Control").unwrap().to_owned();
    /// assert_eq!(cache_control("/src/listing/mod.rs"), "public, max-age=31536000, immutable");
    /// assert_eq!(cache_control("/Cargo.toml"), "no-cache");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn cache_rule(mut self, glob: Glob, value: FieldValue<'_>) -> Files {
        self.settings.cache_rules.push((glob, cache_control(value)));
        self
    }

    /// Adds a header to every response, errors and listings included. If the response itself sets this header, that one
    /// is sent instead. Responses with a media type also get `X-Content-Type-Options: nosniff`, unless this sets
    /// another value.
    ///
    /// # Errors
    /// [`ReservedField`] for a header that describes the connection, the length or the date.
    pub fn header(mut self, name: FieldName<'_>, value: FieldValue<'_>) -> Result<Files, ReservedField> {
        self.settings.common_headers.push(name, value)?;
        Ok(self)
    }

    /// The memory in bytes that cached files take. Default: 64 MiB. 0 disables the cache.
    ///
    /// A file of up to 16 KiB is cached with its content. Beside that, it takes about 1 KiB for its headers and paths,
    /// which is counted. If the cache is full, a file takes the place of others when it is requested again. A larger file is kept open instead, see [`cached_descriptors`](Self::cached_descriptors).
    ///
    /// ```
    /// use http_files::Files;
    ///
    /// let files = Files::new("src".as_ref())?.cache_size(16 << 20).cached_descriptors(100); // 16 MiB
    /// assert!(Files::memory_bound(16 << 20, 4) < 100 << 20, "with one listing for each of 4 workers");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn cache_size(self, bytes: u64) -> Files {
        Files { cache: self.cache.with_size(bytes), ..self }
    }

    /// The most files that the cache keeps open, beside its limit in bytes. Default: 256. Each of them takes at least
    /// 16 KiB of the [`cache_size`](Self::cache_size), or more if that many descriptors are its limit. If no descriptor is
    /// free, all of them are closed. A server closes those that were not used for 10 s.
    #[must_use]
    pub fn cached_descriptors(self, descriptors: u64) -> Files {
        Files { cache: self.cache.with_descriptors(descriptors), ..self }
    }

    /// The most memory in bytes that a handler with this [`cache_size`](Self::cache_size) uses in a server with this many
    /// workers: the cached files, what the heap loses between them, and one listing per worker.
    pub fn memory_bound(cache_size: u64, workers: usize) -> u64 {
        cache::memory_bound(cache_size).saturating_add((workers * MAX_LISTING_BYTES) as u64)
    }

    /// The most archives that are sent at once. Beyond them, the response is a 503.
    #[cfg(feature = "archive")]
    pub const MAX_ARCHIVES: usize = archive::MAX_AT_ONCE;

    /// The most entries of an archive.
    #[cfg(feature = "archive")]
    pub const MAX_ARCHIVE_ENTRIES: u64 = archive::MAX_ENTRIES;

    /// The most directories of an archive within one another.
    #[cfg(feature = "archive")]
    pub const MAX_ARCHIVE_DEPTH: usize = archive::MAX_DEPTH;

    /// The most names that are read of one directory for an archive.
    #[cfg(feature = "archive")]
    pub const MAX_ARCHIVE_NAMES_READ: usize = archive::MAX_NAMES_READ;

    /// The most bytes of names that wait to be visited for an archive, in all directories on the way to where it is.
    #[cfg(feature = "archive")]
    pub const MAX_ARCHIVE_NAME_BYTES: usize = archive::MAX_NAME_BYTES;

    /// The most memory in bytes that archives take, beside the [`memory_bound`](Self::memory_bound).
    #[cfg(feature = "archive")]
    pub const ARCHIVE_MEMORY: u64 = archive::MEMORY as u64;

    /// How many times a file was read so far, because it was not cached or had changed.
    pub fn files_read(&self) -> u64 {
        self.reads.load(Relaxed)
    }

    /// How many times a file was taken from the cache so far.
    pub fn cache_hits(&self) -> u64 {
        self.cache.hits()
    }

    /// Whether there is a file at this path that can be opened now.
    pub fn contains(&self, path: &[u8]) -> bool {
        let view = self.root.view();
        self.open(&view, path, Blocking::default()).is_ok_and(|opened| opened.is_file())
    }

    /// Whether it serves one file alone.
    pub fn is_one_file(&self) -> bool {
        self.root.file_name().is_some()
    }

    /// How every open is kept beneath the directory.
    pub fn containment(&self) -> Containment {
        self.root.get().map_or(Containment::ComponentWalk, |root| root.containment())
    }

    /// A copy of the directory's descriptor, for a sandbox. On Unix only.
    ///
    /// # Errors
    /// Those of the system, if no descriptor is free.
    #[cfg(unix)]
    pub fn directory(&self) -> io::Result<OwnedFd> {
        let root = self.root.get().map_err(io::Error::other)?;
        root.directory().file().try_clone().map(OwnedFd::from)
    }
}

fn cache_control(value: FieldValue<'_>) -> FieldBlock {
    let mut fields = FieldBlock::new();
    push(&mut fields, header::CACHE_CONTROL, value);
    fields
}
