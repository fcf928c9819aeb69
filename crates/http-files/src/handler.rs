//! How a request for a file is served. The functions come in the order of the steps:
//!
//! 1. **Method.** GET, HEAD and OPTIONS are allowed. The response to OPTIONS needs no file.
//! 2. **Dotfiles.** A name that begins with a dot is not found, unless the owner serves hidden files.
//! 3. **Cache.** A cached file is used if its path still leads to it (`cache`).
//! 4. **Lookup.** A path leads to a file, or to a directory's index file, listing or redirect. If it leads nowhere, the
//!    page whose name ends with `.html` or the fallback may be served.
//! 5. **Containment.** Every open stays beneath the root (`root`).
//! 6. **Conditions** and ranges select the status and the bytes (`respond`).
//! 7. **Response.** Errors become pages, and the headers of every response are added.

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use http_core::server::Expectation;
use http_core::{Date, FieldName, FieldValue, Fields, Method, Status, Target, TargetForm, header, percent_encode};
use http_server::freshness::ReceivedAt;
use http_server::{Action, Blocking, ErrorContext, Handler, HandlerError, Later, Request, Response, Upkeep};

#[cfg(feature = "archive")]
use crate::archive;
use crate::cache::Wanted;
#[cfg(feature = "gzip")]
use crate::compress::compressed;
use crate::current_root::View;
use crate::error_page::error_page;
use crate::html::Html;
use crate::open_error::OpenError;
use crate::resource::{NegativeEntry, Place, Resource, accepts_coding};
use crate::respond::{ErrorResponse, respond, respond_with_page};
use crate::root::Opened;
use crate::settings::is_hidden;
use crate::stamp::FileKind;
use crate::system::Errno;
use crate::{Files, fallback, listing};

const ALLOW: FieldValue<'static> = FieldValue::from_static("GET, HEAD, OPTIONS");

/// What a page of another origin may do.
const PREFLIGHT: [(&str, &str); 3] = [
    ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
    ("Access-Control-Allow-Headers", "*, Authorization"), // `*` does not include Authorization
    ("Access-Control-Max-Age", "86400"),
];
const REQUEST_METHOD: FieldName<'static> = FieldName::from_static("Access-Control-Request-Method");

thread_local! {
    /// A buffer for the decoded path, so that a cache hit allocates nothing.
    static PATH_BUF: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a path leads to.
enum Found {
    Resource(Arc<Resource>),
    /// A listing, or the redirect to a directory.
    Page(Response),
}

impl Handler for Files {
    fn handle(&self, request: &Request<'_>) -> Action {
        let view = self.root.view();
        let mut cause = None;
        let response = self.serve(&view, request).or_else(|mut error| {
            cause = error.cause.take();
            self.render_error(&view, error, request)
        });
        match (response, cause) {
            (Ok(response), None) => response.into(),
            (Ok(response), Some(cause)) => {
                let (error, text) = (HandlerError::from(response), format!("the file {cause}"));
                match cause {
                    // Only the operator can mend that.
                    OpenError::LeadsOut(_) | OpenError::TooManySymlinks => error.reported_cause(text).into(),
                    _ => error.cause(text).into(),
                }
            }
            (Err(later), _) => later.into(),
        }
    }

    fn never_blocks(&self) -> bool {
        true // it asks before it opens or reads anything
    }

    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        let (status, message) = (error.status(), sentence(error.message()));
        let error_response = match status {
            Status::METHOD_NOT_ALLOWED => not_allowed(message),
            status => ErrorResponse::new(status, message),
        };
        // A deadline must not wait for a disk.
        let blocking = error.blocking();
        let own = self.own_page(&self.root.view(), status, error.date(), blocking);
        self.page(error_response, own.ok().flatten(), None)
    }

    fn upkeep(&self, upkeep: &Upkeep<'_>) {
        if let Some(message) = self.root.check() {
            upkeep.message(&message);
            self.cache.root_changed();
        }
        self.cache.upkeep(self.root.generation(), upkeep);
    }
}

impl Files {
    fn serve(&self, view: &View<'_>, request: &Request<'_>) -> Result<Response, ErrorResponse> {
        let method = request.head().method;
        request.trace("R9110-9.1b", || format!("the method is {method}; files allow GET, HEAD and OPTIONS"));
        match method {
            Method::Get | Method::Head | Method::Options => {}
            method if method.is_known() => return Err(not_allowed(format!("{method} is not allowed here."))),
            _ => {
                return Err(ErrorResponse::new(Status::NOT_IMPLEMENTED, "The server does not support this method."));
            }
        }
        if request.head().expectation() == Expectation::Unknown {
            let message = "The server cannot meet the expectation of the request.";
            return Err(ErrorResponse::new(Status::EXPECTATION_FAILED, message));
        }
        if method == Method::Options || request.head().target.form() == TargetForm::Asterisk {
            request.trace("R9110-9.3.7", || "the response to OPTIONS needs no file".into());
            return Ok(self.options(&request.head().fields)); // R9110-9.3.7
        }
        match self.lookup(view, request) {
            Ok(Found::Resource(resource)) => self.respond_with(view, &resource, request),
            Ok(Found::Page(page)) => {
                let mut page = respond_with_page(request, page)?;
                self.settings.add_common_headers(page.headers_mut());
                Ok(page)
            }
            Err(OpenError::NotFound) => self.not_found(view, request),
            Err(error) => Err(error.into()),
        }
    }

    fn options(&self, fields: &Fields<'_>) -> Response {
        let mut response = Response::empty(Status::OK).header(header::ALLOW, ALLOW);
        if self.settings.cors && fields.get(REQUEST_METHOD).is_some() {
            for (name, value) in PREFLIGHT {
                response = response.header(name, value);
            }
        }
        self.settings.add_common_headers(response.headers_mut());
        response
    }

    fn lookup(&self, view: &View<'_>, request: &Request<'_>) -> Result<Found, OpenError> {
        let mut name = PATH_BUF.take();
        name.clear();
        request.head().path.decode_to(&mut name);
        if request.head().path.is_directory() {
            name.push(b'/');
        }
        let found = match self.root.file_name() {
            Some(file) if name == b"/" => {
                request.trace("R1945-10.11", || "ROOT is a file, and \"/\" is redirected to it".into());
                Ok(Found::Page(redirect_to_file(file, &request.head().target)))
            }
            Some(file) if name != file => Err(OpenError::NotFound),
            None if !self.settings.hidden && is_hidden(&name) => {
                // Checked before the cache, which may contain an error page with such a name.
                request.trace("R1945-12.5b, --hidden", || "a name that begins with a dot is not served".into());
                Err(OpenError::NotFound)
            }
            _ => match self.cache.get(&name, view.generation(), request.into(), request.received_at()) {
                Ok(Some(resource)) => Ok(Found::Resource(resource)),
                Ok(None) => self.lookup_uncached(view, request, &name),
                Err(later) => Err(OpenError::Later(later)),
            },
        };
        PATH_BUF.set(name);
        found
    }

    /// Looks up a name that is not cached. A directory's name ends with a slash. The root's name is only that slash.
    fn lookup_uncached(&self, view: &View<'_>, request: &Request<'_>, name: &[u8]) -> Result<Found, OpenError> {
        if let Some(directory) = name.strip_suffix(b"/") {
            return self.lookup_directory(view, request, name, directory);
        }
        let is_one_file = self.root.file_name().is_some();
        let path = view.root()?.path_of(name);
        match self.open_traced(view, path, request) {
            Ok(Opened { kind: FileKind::Directory, .. }) if is_one_file => Err(OpenError::NotFound),
            Ok(Opened { kind: FileKind::Directory, .. }) => {
                request.trace("R1945-10.11", || "a directory is redirected to its path with a slash at the end".into());
                Ok(Found::Page(redirect_to_slash(name, &request.head().target)))
            }
            Ok(file) => Ok(Found::Resource(self.read_resource(view, name, path, file, Vec::new(), request.into())?)),
            Err(OpenError::NotFound) if self.settings.pretty_urls && !is_one_file => {
                self.lookup_page(view, request, name)
            }
            Err(error) => Err(error),
        }
    }

    /// Looks up the page whose name is this one with `.html`.
    fn lookup_page(&self, view: &View<'_>, request: &Request<'_>, name: &[u8]) -> Result<Found, OpenError> {
        request.trace("--pretty-urls", || "a name that leads nowhere may be a page without its .html".into());
        let path = [name, b".html"].concat();
        match self.open_traced(view, &path, request)? {
            page if page.is_file() => {
                let negative_entries = CString::new(name).ok().map(|name| (name, None)).into_iter().collect();
                let resource = self.read_resource(view, name, &path, page, negative_entries, request.into())?;
                Ok(Found::Resource(resource))
            }
            _ => Err(OpenError::NotFound),
        }
    }

    fn lookup_directory(
        &self,
        view: &View<'_>,
        request: &Request<'_>,
        name: &[u8],
        directory: &[u8],
    ) -> Result<Found, OpenError> {
        let inside = if directory.is_empty() { directory } else { name };
        let mut negative_entries = Vec::new();
        for index in &self.settings.index_files {
            let index = [inside, index].concat();
            request.trace("--index", || "a directory is served by its index file, if it has one".into());
            let stamp = match self.open_traced(view, &index, request) {
                Ok(file) if file.is_file() => {
                    let resource = self.read_resource(view, name, &index, file, negative_entries, request.into())?;
                    return Ok(Found::Resource(resource));
                }
                Ok(other) => Some(other.stamp),
                Err(OpenError::NotFound) => None,
                Err(error) => return Err(error),
            };
            negative_entries.extend(CString::new(index).ok().map(|index| (index, stamp)));
        }
        match self.open_traced(view, directory, request)? {
            Opened { kind: FileKind::File, .. } => Err(OpenError::NotFound),
            opened if self.settings.listing => {
                request.blocking().may_hang().map_err(OpenError::Later)?; // it looks at every file of the directory
                let (root, query) = (view.root()?, request.head().target.query());
                #[cfg(feature = "archive")]
                if let Some(format) = archive::requested(query) {
                    let format = format.filter(|_| !self.settings.archives.is_empty());
                    request.trace("--no-archive", || match format {
                        Some(_) => "a directory without an index file is sent as an archive".into(),
                        None => "the directory is not sent as such an archive".into(),
                    });
                    let format = format.ok_or(OpenError::NotListed)?;
                    let hidden = self.settings.hidden;
                    return Ok(Found::Page(archive::response(format, root, inside, opened, hidden, &self.archives)?));
                }
                request.trace("--no-listing", || "a directory without an index file is listed".into());
                let page = listing::response(root, inside, opened.file, query, &self.settings, request.blocking())?;
                #[cfg(feature = "gzip")]
                let page = compressed(page, &request.head().fields);
                Ok(Found::Page(page))
            }
            _ => {
                request.trace("--no-listing", || "a directory without an index file is not listed".into());
                Err(OpenError::NotListed)
            }
        }
    }

    /// Responds where a path leads nowhere.
    fn not_found(&self, view: &View<'_>, request: &Request<'_>) -> Result<Response, ErrorResponse> {
        let Some(path) = &self.settings.fallback else { return Err(OpenError::NotFound.into()) };
        if fallback::is_asset(&request.path_bytes(), &self.settings.media_types) {
            request.trace("--fallback", || "the name is that of an asset, which the fallback never replaces".into());
            return Err(OpenError::NotFound.into());
        }
        let result = if fallback::is_navigation(&request.head().fields) {
            request.trace("--fallback", || {
                format!("a page is opened: the fallback \"{}\" is served", path.escape_ascii())
            });
            let resource = self.load(view, path, request.into());
            resource.map_err(ErrorResponse::from).and_then(|resource| self.respond_with(view, &resource, request))
        } else {
            request.trace("--fallback", || "no page is opened: Accept does not ask for text/html".into());
            Err(OpenError::NotFound.into())
        };
        // These have decided, so a cache must not send one client's response to another (R9110-12.5.5).
        let (name, value) = (header::VARY, FieldValue::from_static("Accept, Sec-Fetch-Mode"));
        result.map(|response| response.append_header(name, value)).map_err(|error| error.with(name, value))
    }

    fn respond_with(
        &self,
        view: &View<'_>,
        resource: &Resource,
        request: &Request<'_>,
    ) -> Result<Response, ErrorResponse> {
        let chosen = resource.choose(&request.head().fields);
        resource.trace_choice(chosen, request);
        request.trace("--cache-control", || match self.settings.cache_rule(resource.plain().path.to_bytes()) {
            Some((glob, _)) => format!("the rule for {glob} sets Cache-Control"),
            None => "no rule sets Cache-Control for this file".into(),
        });
        // The page of an error comes from the same release.
        respond(request, chosen, &self.settings).inspect_err(|_| view.pin(&resource.root))
    }

    /// Loads a file that the owner chose, by its path.
    fn load(&self, view: &View<'_>, path: &[u8], wanted: Wanted<'_>) -> Result<Arc<Resource>, OpenError> {
        match self.cache.get(path, view.generation(), wanted, ReceivedAt::now()).map_err(OpenError::Later)? {
            Some(resource) => Ok(resource),
            None => match self.open(view, path, wanted.blocking)? {
                file if file.is_file() => self.read_resource(view, path, path, file, Vec::new(), wanted),
                _ => Err(OpenError::NotFound),
            },
        }
    }

    /// Reads the file that a name led to, and caches it.
    fn read_resource(
        &self,
        view: &View<'_>,
        name: &[u8],
        path: &[u8],
        opened: Opened,
        negative_entries: Vec<NegativeEntry>,
        wanted: Wanted<'_>,
    ) -> Result<Arc<Resource>, OpenError> {
        let Wanted { fields, now, blocking } = wanted;
        let root = view.root()?;
        let accepts_coding = fields.is_some_and(accepts_coding);
        // Usually no such file exists, and a failed stat costs half as much as a failed open.
        let open = |path: &CStr| match root.exists(path) {
            true => self.open(view, path.to_bytes(), blocking),
            false => Err(OpenError::NotFound),
        };
        let place = Place { root, path };
        let resource = Resource::read(place, opened, negative_entries, accepts_coding, &self.settings, now, open)?;
        if resource.plain().length().is_none() {
            blocking.may_hang().map_err(OpenError::Later)?; // the rest of a file without an end, perhaps
        }
        let resource = Arc::new(resource);
        self.cache.insert(name, &resource, now);
        if root.generation != self.root.generation() {
            self.cache.root_changed(); // what is beneath the old one is not used again
        }
        self.reads.fetch_add(1, Relaxed);
        Ok(resource)
    }

    fn open_traced(&self, view: &View<'_>, path: &[u8], request: &Request<'_>) -> Result<Opened, OpenError> {
        let opened = self.open(view, path, request.blocking());
        request.trace(view.root()?.containment().rule(), || {
            let what = match &opened {
                Ok(Opened { kind: FileKind::File, stamp, .. }) => format!("is a file of length {}", stamp.length),
                Ok(Opened { kind: FileKind::Directory, .. }) => "is a directory".into(),
                Err(error) => error.to_string(),
            };
            format!("\"/{}\" {what}", path.escape_ascii())
        });
        opened
    }

    pub(crate) fn open(&self, view: &View<'_>, path: &[u8], blocking: Blocking<'_>) -> Result<Opened, OpenError> {
        let root = view.root()?;
        match root.open_beneath(path, blocking) {
            Err(OpenError::Busy) => {
                blocking.may_hang().map_err(OpenError::Later)?; // some of these files may be on a network
                self.cache.close_files();
                root.open_beneath(path, blocking)
            }
            other => other,
        }
    }

    /// Turns an error into the owner's page for its status, or into the built-in one.
    fn render_error(&self, view: &View<'_>, error: ErrorResponse, request: &Request<'_>) -> Result<Response, Later> {
        let path = request.head().target.raw_path();
        match error.later {
            Some(later) => Err(later),
            None => {
                let own = self.own_page(view, error.status, request.date(), request.blocking())?;
                Ok(self.page(error, own, Some(path)))
            }
        }
    }

    /// The owner's page for errors with this status, if it can be read.
    fn own_page(
        &self,
        view: &View<'_>,
        status: Status,
        now: Date,
        blocking: Blocking<'_>,
    ) -> Result<Option<Arc<Resource>>, Later> {
        let Some(path) = self.settings.error_page(status) else { return Ok(None) };
        blocking.will_block()?; // even a look at a cached page may block the worker that enforces a deadline
        match self.load(view, path, Wanted { fields: None, now, blocking }) {
            Err(OpenError::Later(later)) => Err(later),
            other => Ok(other.ok()),
        }
    }

    /// The owner's page for an error, or the built-in one. `path`: what was asked for, undecoded.
    fn page(&self, error: ErrorResponse, own: Option<Arc<Resource>>, path: Option<&str>) -> Response {
        let ErrorResponse { status, message, fields, .. } = error;
        let mut response = match own {
            Some(resource) => {
                let file = resource.plain();
                let page = Response::bytes(file.content_type(), file.full()).status(status);
                file.coding.into_iter().fold(page, |page, coding| page.header(header::CONTENT_ENCODING, coding))
            }
            None => error_page(status, &message, path),
        };
        let headers = response.headers_mut();
        headers.append(&fields);
        self.settings.add_common_headers(headers);
        response
    }
}

/// Redirects a directory to its path with a slash at the end.
fn redirect_to_slash(path: &[u8], target: &Target<'_>) -> Response {
    let mut location = relative(path.rsplit(|&c| c == b'/').next().unwrap_or_default());
    location.push('/');
    redirect(Status::MOVED_PERMANENTLY, "This is a directory. Its address is", location, target)
}

/// Redirects from `/` to the file that is served alone. Not for ever: another one may be served there tomorrow.
fn redirect_to_file(name: &[u8], target: &Target<'_>) -> Response {
    redirect(Status::FOUND, "The address of the file is", relative(name), target)
}

/// The address of a name beside the request's. A proxy may serve it under a longer path, so it is relative. Because of its
/// `./`, the name is never taken for a host or a scheme (R9110-10.2.2, V15).
fn relative(name: &[u8]) -> String {
    let mut location = String::from("./");
    percent_encode(name, &mut location);
    location
}

fn redirect(status: Status, sentence: &'static str, mut location: String, target: &Target<'_>) -> Response {
    if let Some(query) = target.query() {
        location.push('?');
        location.push_str(query);
    }
    // R1945-9.3c: with a link, for clients that do not follow redirects.
    let mut page = Html::page(status, "");
    page.raw("<h1>").text(status).raw("</h1>\n<p>").text(sentence).raw(" <a href=\"");
    page.text(&location).raw("\">").text(&location).raw("</a>.</p>\n");
    page.into_response(status).header(header::LOCATION, location)
}

impl From<OpenError> for ErrorResponse {
    fn from(error: OpenError) -> ErrorResponse {
        let cause = match &error {
            // Of the root, the operator was told when it went away. Listings are off because the owner wants that.
            OpenError::NotFound | OpenError::NotListed | OpenError::NoRoot | OpenError::Later(_) => None,
            error => Some(error.clone()),
        };
        ErrorResponse { cause, ..ErrorResponse::without_cause(error) }
    }
}

impl ErrorResponse {
    fn without_cause(error: OpenError) -> ErrorResponse {
        match error {
            OpenError::NotFound => ErrorResponse::new(Status::NOT_FOUND, "There is no file at this address."),
            OpenError::Forbidden
            | OpenError::Irregular
            | OpenError::NotListed
            | OpenError::LeadsOut(_)
            | OpenError::TooManySymlinks => {
                ErrorResponse::new(Status::FORBIDDEN, "Access to this address is not allowed.")
            }
            OpenError::Busy => try_again("Too many files are open."),
            OpenError::Leased => try_again("Another program has locked the file."),
            OpenError::NoRoot => try_again("The directory of this site is not there."),
            OpenError::Changing => try_again("The file is being changed."),
            #[cfg(feature = "archive")]
            OpenError::TooLarge => ErrorResponse::new(Status::FORBIDDEN, "The directory is too large for an archive."),
            #[cfg(feature = "archive")]
            OpenError::ManyArchives => try_again("Too many archives are being sent."),
            OpenError::NoData => try_again("The file has no content at the moment."),
            OpenError::Later(later) => ErrorResponse { later: Some(later), ..try_again("The server is busy.") },
            // A network file system has replaced it. Its path leads to the new one.
            OpenError::Broken(Errno::STALE) => try_again("The file was replaced while it was read."),
            OpenError::Broken(_) => ErrorResponse::new(Status::INTERNAL_SERVER_ERROR, "The file could not be read."),
        }
    }
}

/// A 405 must have Allow (R9110-10.2.1).
fn not_allowed(message: impl Into<Cow<'static, str>>) -> ErrorResponse {
    ErrorResponse::new(Status::METHOD_NOT_ALLOWED, message).with(header::ALLOW, ALLOW)
}

fn try_again(message: &'static str) -> ErrorResponse {
    ErrorResponse::new(Status::SERVICE_UNAVAILABLE, message).with(header::RETRY_AFTER, FieldValue::from_static("1"))
}

/// The server's messages begin in lower case and have no full stop. They are for programmers, and visitors follow links to
/// addresses.
fn sentence(message: &str) -> String {
    let mut sentence = message.replace("the request-target", "the address").trim_end_matches('.').to_owned() + ".";
    sentence.get_mut(..1).map(str::make_ascii_uppercase);
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_server::testing::exchange;

    #[test]
    fn files_of_every_size_are_sent() {
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

    #[test]
    fn error_page_shows_the_servers_message_as_a_sentence() {
        for (request, sentence) in [
            ("GET / HTTP/1.1", "An HTTP/1.1 request must have a Host header."),
            ("GET /a%00 HTTP/1.0", "The address has a percent-encoded slash or control byte."),
        ] {
            let request = format!("{request}\r\n\r\n");
            let output = exchange(&Files::new("src".as_ref()).unwrap(), request.as_bytes()).output;
            let page = String::from_utf8(output).unwrap();
            assert!(page.contains(&format!("<p>{sentence}</p>\n<p><a href=\"/\">")), "{page}");
        }
    }
}
