//! The files handler: from a request to a file, a directory's index, a listing, a redirect or a page that says what is
//! wrong. Which method or path gives which status is decided here; how a path becomes a file is `root`'s.

mod cache;
mod error_page;
mod listing;
mod media_types;
mod representation;
mod resource;
mod respond;
mod root;
mod settings;

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http_core::server::Expectation;
use http_core::{
    Date, FieldBlock, FieldName, FieldValue, Fields, Form, Method, ReservedField, Status, Target, header,
    percent_encode,
};

use cache::Cache;
use http_server::freshness::ReceivedAt;
use http_server::{Action, ErrorContext, Handler, Request, Response};
use representation::Representation;
use resource::{NegativeEntry, Resource};
use respond::{ErrorResponse, respond};
pub use root::Containment;
use root::{Kind, OpenError, Opened, Root};
use settings::Settings;

/// A directory of files, served by GET and HEAD.
///
/// Nothing outside of the directory is reached: every open goes below it by the kernel's own rule. Names that begin with a
/// dot are neither listed nor served, `/.well-known/` excepted. Only regular files and directories are.
///
/// What is often asked for is kept in memory and looked up again at each request, so that every answer shows the file as
/// it was when it was asked for, or later. Only what a program changes through a mapping, for which the kernel notes no
/// time, may not show. That a file has appeared which comes before the one that was served so far, another index or a
/// coding, may show a second later.
///
/// ```
/// use http_server::http_core::FieldValue;
/// use http_files::Files;
/// use http_server::testing::exchange;
///
/// let files = Files::new("src".as_ref())?
///     .indexes(["lib.rs"])
///     .cache_control(FieldValue::from_static("max-age=3600"));
/// let heard = String::from_utf8(exchange(&files, b"GET / HTTP/1.0\r\n\r\n").output).unwrap();
/// assert!(heard.starts_with("HTTP/1.0 200 OK\r\n") && heard.contains("\r\nCache-Control: max-age=3600\r\n"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Files {
    root: Root,
    settings: Settings,
    cache: Cache,
    reads: AtomicU64,
}

const ALLOW: FieldValue<'static> = FieldValue::from_static("GET, HEAD, OPTIONS");

/// At most 64 MiB, or 256 descriptors.
pub const DEFAULT_CACHE_ENTRIES: usize = 4096;

/// Bytes of memory that a kept file may need, and that a listing may while it is made.
const MAX_ENTRY_BYTES: usize = representation::SMALL as usize + 2048;
const MAX_LISTING_BYTES: usize = 4 * listing::LONGEST;

/// What a page of another origin may do here.
const PREFLIGHT: [(&str, &str); 3] = [
    ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
    ("Access-Control-Allow-Headers", "*, Authorization"), // the star leaves that one out
    ("Access-Control-Max-Age", "86400"),
];
const ACCEPT: FieldName<'static> = FieldName::from_static("Accept");
const REQUEST_METHOD: FieldName<'static> = FieldName::from_static("Access-Control-Request-Method");

thread_local! {
    /// Room for a decoded path, so that a request for what is cached allocates nothing.
    static PATH_BUF: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How a directory is served.
impl Files {
    /// Serves the files below this directory, which is opened once: if it is renamed later, it is still the one served.
    ///
    /// # Errors
    /// Of the system, if it is no directory or may not be read.
    pub fn new(root: &Path) -> io::Result<Files> {
        Ok(Files {
            root: Root::open(root)?,
            settings: Settings::new(),
            cache: Cache::new(DEFAULT_CACHE_ENTRIES),
            reads: AtomicU64::new(0),
        })
    }

    /// Whether a directory without an index is listed, as a page or with `?format=json` as JSON; default yes. Else it is 403.
    #[must_use]
    pub fn listing(mut self, listing: bool) -> Files {
        self.settings.listing = listing;
        self
    }

    /// Names of files that stand for their directory, the best first; default `index.html`.
    #[must_use]
    pub fn indexes(mut self, names: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Files {
        self.settings.indexes = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether names that begin with a dot are served and listed; default no.
    #[must_use]
    pub fn hidden(mut self, hidden: bool) -> Files {
        self.settings.hidden = hidden;
        self
    }

    /// Whether links are followed wherever they lead; default no. This gives up what keeps a request below the directory:
    /// whoever can make a link there can have any file served that the process may read.
    #[must_use]
    pub fn follow_symlinks(mut self, follow: bool) -> Files {
        self.root.follow_symlinks(follow);
        self
    }

    /// Whether `FILE.br`, `FILE.zst` and `FILE.gz` are sent in the place of `FILE` to who can decode them; default yes.
    /// They are used if they are shorter than the file and not older, and have not been written to for two seconds.
    #[must_use]
    pub fn sidecars(mut self, sidecars: bool) -> Files {
        self.settings.sidecars = sidecars;
        self
    }

    /// Whether pages of other origins may read what is served, and ask for leave before ("preflight"); default no.
    #[must_use]
    pub fn cors(mut self, cors: bool) -> Files {
        self.settings.cors = cors;
        self
    }

    /// A file below the directory that answers, with 200, for each page that is not there, as applications want it that find
    /// their way by the path. It answers where the client asks for HTML, or where the name has no extension.
    #[must_use]
    pub fn fallback(mut self, path: impl Into<Vec<u8>>) -> Files {
        self.settings.fallback = Some(path.into());
        self
    }

    /// A file below the directory that is shown with this status, in the place of our own page. If it cannot be read, that is
    /// shown after all.
    #[must_use]
    pub fn error_page(mut self, status: Status, path: impl Into<Vec<u8>>) -> Files {
        self.settings.error_pages.push((status, path.into()));
        self
    }

    /// The type of files whose name ends with a dot and this extension, in any case.
    #[must_use]
    pub fn media_type(mut self, extension: &str, value: FieldValue<'_>) -> Files {
        self.settings.types.set(extension, value);
        self
    }

    /// The charset of files of text, default `utf-8`; empty: none is named.
    #[must_use]
    pub fn charset(mut self, charset: &str) -> Files {
        self.settings.types.set_charset(charset);
        self
    }

    /// The Cache-Control of every file; default none.
    #[must_use]
    pub fn cache_control(mut self, value: FieldValue<'_>) -> Files {
        self.settings.set_cache_control(value);
        self
    }

    /// A field of every answer, be it a file, a listing or an error, unless that answer has one of its own with this name.
    /// What has a type has `X-Content-Type-Options: nosniff` if nothing else is said.
    ///
    /// # Errors
    /// [`ReservedField`] for a field that tells of the connection, the length or the date.
    pub fn field(mut self, name: FieldName<'_>, value: FieldValue<'_>) -> Result<Files, ReservedField> {
        FieldBlock::new().push(name, value)?;
        self.settings.add_field(name, value);
        Ok(self)
    }

    /// How many files are kept, about; default 4096. One of up to 16 KiB is kept in memory, a larger one costs an open
    /// descriptor and counts as 16. 0 keeps none.
    #[must_use]
    pub fn cache(self, entries: usize) -> Files {
        Files { cache: Cache::new(entries), ..self }
    }

    /// Bytes of memory that a handler with a [`cache`](Self::cache) of this size uses at most in a server with so many
    /// workers: the kept files, and one listing for each worker.
    pub fn memory_bound(cache_entries: usize, workers: usize) -> u64 {
        (cache_entries * MAX_ENTRY_BYTES + workers * MAX_LISTING_BYTES) as u64
    }

    /// How many files were read so far: those that were asked for and not kept, or not as fresh as they were then.
    pub fn files_read(&self) -> u64 {
        self.reads.load(Relaxed)
    }

    /// Whether there is a file below the directory that has this path and can be opened now.
    pub fn contains(&self, path: &[u8]) -> bool {
        self.open(path).is_ok_and(|opened| opened.is_file())
    }

    /// How every open is kept below the directory.
    pub fn containment(&self) -> Containment {
        self.root.containment()
    }
}

/// How a request is answered.
impl Files {
    fn reply(&self, request: &Request<'_>) -> Result<Response, ErrorResponse> {
        let method = request.head().method;
        request.trace("R9110-9.1b", || format!("files take GET, HEAD and OPTIONS; this is {method}"));
        match method {
            Method::Get | Method::Head | Method::Options => {}
            method if method.is_known() => return Err(not_allowed(format!("{method} is not allowed here."))),
            _ => return Err(ErrorResponse::new(Status::NOT_IMPLEMENTED, "This server does not know the method.")),
        }
        if request.head().expectation() == Expectation::Unknown {
            return Err(ErrorResponse::new(Status::EXPECTATION_FAILED, "This server cannot meet the expectation."));
        }
        if method == Method::Options || request.head().target.form() == Form::Asterisk {
            request.trace("R9110-9.3.7", || "OPTIONS is answered before any look at a file".into());
            return Ok(self.options(&request.head().fields)); // R9110-9.3.7, before any look at the file
        }
        let resource = match self.lookup(request) {
            Ok(Found::Resource(resource)) => resource,
            Ok(Found::Page(mut page)) => {
                self.settings.add_common_headers(page.headers_mut());
                return Ok(page);
            }
            Err(OpenError::NotFound) => return self.not_found(request),
            Err(denied) => return Err(denied.into()),
        };
        respond_with(&resource, request)
    }

    /// What answers for a path that leads nowhere.
    fn not_found(&self, request: &Request<'_>) -> Result<Response, ErrorResponse> {
        let Some(path) = &self.settings.fallback else { return Err(OpenError::NotFound.into()) };
        if !has_extension(request) {
            return self.fall_back(path, request);
        }
        let answered =
            if wants_html(request) { self.fall_back(path, request) } else { Err(OpenError::NotFound.into()) };
        // R9110-12.5.5: Accept has chosen, and a cache must not give a script's caller the page, nor a reader the refusal.
        let reply = answered.map(|reply| reply.append_header(header::VARY, "Accept"));
        reply.map_err(|refusal| refusal.with(header::VARY, FieldValue::from_static("Accept")))
    }

    fn fall_back(&self, path: &[u8], request: &Request<'_>) -> Result<Response, ErrorResponse> {
        let name = path.escape_ascii();
        request.trace("--fallback", || format!("a page is asked for that is not there: \"{name}\" answers"));
        let resource = self.load(path, request.date(), |resource| resource.choose(&request.head().fields))?;
        respond_with(&resource, request)
    }

    fn options(&self, fields: &Fields<'_>) -> Response {
        let mut reply = Response::empty(Status::OK);
        let own = reply.headers_mut();
        push(own, header::ALLOW, ALLOW);
        if self.settings.cors && fields.get(REQUEST_METHOD).is_some() {
            for (name, value) in PREFLIGHT {
                push(own, FieldName::from_static(name), FieldValue::from_static(value));
            }
        }
        self.settings.add_common_headers(own);
        reply
    }

    /// What the path of a request leads to.
    fn lookup(&self, request: &Request<'_>) -> Result<Found, OpenError> {
        let mut name = PATH_BUF.take();
        name.clear();
        request.head().path.decode_to(&mut name);
        if request.head().path.is_directory() {
            name.push(b'/');
        }
        let found = if !self.settings.hidden && is_hidden(&name) {
            // Before the cache is asked: a page of the owner's may be kept under such a name.
            request.trace("R1945-12.5b, --hidden", || "a name that begins with a dot is not served".into());
            Err(OpenError::NotFound)
        } else {
            let (head, now, received_at) = (request.head(), request.date(), request.received_at());
            let kept = self.cache.get(&name, &self.root, now, received_at, |resource| resource.choose(&head.fields));
            kept.map_or_else(|| self.lookup_uncached(request, &name), |resource| Ok(Found::Resource(resource)))
        };
        PATH_BUF.set(name);
        found
    }

    /// Looks for what is not kept. The name of a directory ends with a slash; that of the root is nothing else.
    fn lookup_uncached(&self, request: &Request<'_>, name: &[u8]) -> Result<Found, OpenError> {
        if let Some(directory) = name.strip_suffix(b"/") {
            return self.lookup_directory(request, name, directory);
        }
        match self.open_noting(name, request)? {
            Opened { kind: Kind::Directory, .. } => {
                request.trace("R1945-10.11", || "a directory is redirected to its slash".into());
                Ok(Found::Page(redirect_to_slash(name, &request.head().target)))
            }
            file => Ok(Found::Resource(self.read_resource(name, name, file, Vec::new(), request.date())?)),
        }
    }

    fn lookup_directory(&self, request: &Request<'_>, name: &[u8], directory: &[u8]) -> Result<Found, OpenError> {
        let inside = if directory.is_empty() { directory } else { name };
        let mut passed = Vec::new();
        for index in &self.settings.indexes {
            let index = [inside, index].concat();
            request.trace("--index", || "a directory shows its index, if it has one".into());
            let state = match self.open_noting(&index, request) {
                Ok(file) if file.is_file() => {
                    return Ok(Found::Resource(self.read_resource(name, &index, file, passed, request.date())?));
                }
                Ok(other) => Some(other.state),
                Err(OpenError::NotFound) => None,
                Err(denied) => return Err(denied),
            };
            passed.extend(CString::new(index).ok().map(|index| (index, state)));
        }
        match self.open_noting(directory, request)? {
            Opened { kind: Kind::File, .. } => Err(OpenError::NotFound),
            Opened { file, .. } if self.settings.listing => {
                request.trace("--no-listing", || "a directory without an index is listed".into());
                let query = request.head().target.query();
                Ok(Found::Page(listing::reply(&self.root, inside, file, query, self.settings.hidden)?))
            }
            _ => {
                request.trace("--no-listing", || "a directory without an index is not listed".into());
                Err(OpenError::Forbidden)
            }
        }
    }

    /// A file below the root, by its path.
    fn load(
        &self,
        path: &[u8],
        now: Date,
        choose: impl Fn(&Resource) -> &Representation,
    ) -> Result<Arc<Resource>, OpenError> {
        match self.cache.get(path, &self.root, now, ReceivedAt::now(), choose) {
            Some(resource) => Ok(resource),
            None => match self.open(path)? {
                file if file.is_file() => self.read_resource(path, path, file, Vec::new(), now),
                _ => Err(OpenError::NotFound),
            },
        }
    }

    /// Reads what this name led to, and keeps it.
    fn read_resource(
        &self,
        name: &[u8],
        path: &[u8],
        opened: Opened,
        passed: Vec<NegativeEntry>,
        now: Date,
    ) -> Result<Arc<Resource>, OpenError> {
        let resource = Resource::read(path, opened, passed, &self.settings, now, &self.root, |path| self.open(path))?;
        let resource = Arc::new(resource);
        self.cache.keep(name, &resource, now);
        self.reads.fetch_add(1, Relaxed);
        Ok(resource)
    }

    fn open_noting(&self, path: &[u8], request: &Request<'_>) -> Result<Opened, OpenError> {
        let opened = self.open(path);
        request.trace(self.root.containment().rule(), || {
            let what = match &opened {
                Ok(Opened { kind: Kind::File, state, .. }) => format!("is a file of {} bytes", state.length),
                Ok(Opened { kind: Kind::Directory, .. }) => "is a directory".into(),
                Err(denied) => denied.to_string(),
            };
            format!("\"/{}\" {what}", path.escape_ascii())
        });
        opened
    }

    fn open(&self, path: &[u8]) -> Result<Opened, OpenError> {
        match self.root.open_below(path) {
            Err(OpenError::Busy) => {
                self.cache.close_files();
                self.root.open_below(path)
            }
            other => other,
        }
    }

    /// A refusal as a reply, with the owner's page if there is one.
    fn render_error(&self, refusal: ErrorResponse, now: Date) -> Response {
        let ErrorResponse { status, why, fields } = refusal;
        let own = self.settings.error_page(status).and_then(|path| self.load(path, now, Resource::plain).ok());
        let mut reply = match own {
            Some(resource) => Response::bytes(resource.plain().content_type(), resource.plain().whole()).status(status),
            None => error_page::error(status, &why),
        };
        let own = reply.headers_mut();
        own.append(&fields);
        self.settings.add_common_headers(own);
        reply
    }
}

/// The directory.
impl AsFd for Files {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.directory()
    }
}

impl Handler for Files {
    fn handle(&self, request: &Request<'_>) -> Action {
        self.reply(request).unwrap_or_else(|refusal| self.render_error(refusal, request.date())).into()
    }

    fn never_blocks(&self) -> bool {
        true // but for a disk, for which nobody else waits longer than a tenth of a second
    }

    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        let response = match error.status() {
            Status::METHOD_NOT_ALLOWED => not_allowed(error.message().to_owned()),
            Status::SERVICE_UNAVAILABLE => try_again(error.message().to_owned()),
            status => ErrorResponse::new(status, error.message().to_owned()),
        };
        self.render_error(response, error.date())
    }
}

/// What a path leads to.
enum Found {
    Resource(Arc<Resource>),
    /// A listing, or the way to one.
    Page(Response),
}

impl From<OpenError> for ErrorResponse {
    fn from(denied: OpenError) -> ErrorResponse {
        match denied {
            OpenError::NotFound => ErrorResponse::new(Status::NOT_FOUND, "There is no such file here."),
            OpenError::Forbidden => ErrorResponse::new(Status::FORBIDDEN, "This may not be read."),
            OpenError::Busy => try_again("Too many files are open. Please try again."),
            OpenError::Changing => try_again("The file is being changed. Please try again."),
            OpenError::Broken => ErrorResponse::new(Status::INTERNAL_SERVER_ERROR, "The file could not be read."),
        }
    }
}

/// R9110-10.2.1: with Allow.
fn not_allowed(why: impl Into<Cow<'static, str>>) -> ErrorResponse {
    ErrorResponse::new(Status::METHOD_NOT_ALLOWED, why).with(header::ALLOW, ALLOW)
}

fn try_again(why: impl Into<Cow<'static, str>>) -> ErrorResponse {
    ErrorResponse::new(Status::SERVICE_UNAVAILABLE, why).with(header::RETRY_AFTER, FieldValue::from_static("1"))
}

/// The answer that shows a file.
fn respond_with(resource: &Resource, request: &Request<'_>) -> Result<Response, ErrorResponse> {
    let chosen = resource.choose(&request.head().fields);
    resource.trace_choice(chosen, request);
    respond(request, chosen)
}

/// Whether a part of a page may be asked for: the paths of pages have no extension.
fn has_extension(request: &Request<'_>) -> bool {
    request.head().target.raw_path().rsplit('/').next().unwrap_or_default().contains('.')
}

/// Whether somebody asks for a page after all: a browser that opens an address says that it wants HTML.
fn wants_html(request: &Request<'_>) -> bool {
    let is_html = |range: &[u8]| range.get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b"text/html"));
    request.head().fields.tokens(ACCEPT).any(is_html)
}

/// Whether a segment begins with a dot; `.well-known` at the root is not hidden (R1945-12.5b, V18).
fn is_hidden(path: &[u8]) -> bool {
    let rest = path.strip_prefix(b".well-known").filter(|rest| matches!(rest, [] | [b'/', ..])).unwrap_or(path);
    rest.split(|&c| c == b'/').any(|segment| segment.starts_with(b"."))
}

/// A directory asked for without its slash: to the path with it. The path is written anew from its segments, so that it
/// never begins with `//` (R9110-10.2.2, V15).
fn redirect_to_slash(path: &[u8], target: &Target<'_>) -> Response {
    let mut location = String::new();
    for segment in path.split(|&c| c == b'/') {
        location.push('/');
        percent_encode(segment, &mut location);
    }
    location.push('/');
    if let Some(query) = target.query() {
        location.push('?');
        location.push_str(query);
    }
    let link = error_page::escape(&location); // R1945-9.3c: for who does not follow by itself
    let main = format!("<p>This is a directory: <a href=\"{link}\">its address</a> ends with a slash.</p>\n");
    let page = error_page::frame(&Status::MOVED_PERMANENTLY.to_string(), &main);
    let mut reply = error_page::reply(Status::MOVED_PERMANENTLY, page);
    if let Ok(location) = FieldValue::new(location.as_bytes()) {
        push(reply.headers_mut(), header::LOCATION, location);
    }
    reply
}

/// Pushes a field that is none of the library's own, which therefore cannot fail.
fn push(fields: &mut FieldBlock, name: FieldName<'_>, value: FieldValue<'_>) {
    let pushed = fields.push(name, value);
    debug_assert_eq!(pushed, Ok(()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_server::testing::exchange;

    #[test]
    fn files_of_any_size_are_sent() {
        let directory = tempfile::TempDir::new().unwrap();
        let files = Arc::new(Files::new(directory.path()).unwrap());
        for bytes in [0, 1, 16 << 10, (16 << 10) + 1, (3 << 20) + 1] {
            let body: Vec<u8> = (0..251).cycle().take(bytes).collect();
            std::fs::write(directory.path().join(bytes.to_string()), &body).unwrap();
            let output = exchange(&files, format!("GET /{bytes} HTTP/1.0\r\n\r\n").as_bytes()).output;
            assert!(
                output.starts_with(b"HTTP/1.0 200 ")
                    && output.strip_suffix(&*body).is_some_and(|head| head.ends_with(b"\r\n\r\n")),
                "{bytes}"
            );
        }
    }
}
