//! The files handler: from a request to a file, a folder's index, a listing, a redirect or a page that says what is
//! wrong. Which method, condition or path gives which status is decided here; how a path becomes a file is `root`'s.

mod cache;
mod entry;
mod listing;
mod page;
mod root;
mod types;

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::sync::Arc;

use http_core::conditional::{self, Outcome};
use http_core::range::{self, ContentRange, Ranged};
use http_core::server::{Expectation, RequestHead};
use http_core::{FieldBlock, FieldName, FieldValue, Form, Method, RequestError, Status, Target, name, percent_encode};

use self::cache::Cache;
use self::entry::Entry;
use self::root::{Denied, Kind, Opened, Root};
use crate::handler::{Answer, Handler, Reply, Request};

/// A folder of files, served by GET and HEAD.
///
/// Nothing outside of the folder is reached: every open goes below it by the kernel's own rule. Names that begin with a
/// dot are neither listed nor served, `/.well-known/` excepted. Only regular files and folders are.
///
/// What is often asked for is kept in memory and looked up again at each request, so that every answer shows the file as
/// it was when it was asked for, or later. Only what a program changes through a mapping, for which the kernel notes no
/// time, may not show.
#[derive(Debug)]
pub struct Files {
    root: Root,
    listing: bool,
    cache: Cache,
}

const ALLOW: FieldValue<'static> = FieldValue::from_static("GET, HEAD, OPTIONS");
const INDEX: &[u8] = b"index.html";

/// At most 64 MiB, or 256 descriptors.
pub(crate) const CACHED: usize = 4096;

/// Octets of memory that a kept file may need, and that a listing may while it is made.
pub(crate) const ENTRY: usize = entry::SMALL as usize + 1024;
pub(crate) const LISTING: usize = 4 * listing::LONGEST;

thread_local! {
    /// Room for a decoded path, so that a request for what is cached allocates nothing.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Files {
    /// Serves the files below this folder, which is opened once: if it is renamed later, it is still the one served.
    ///
    /// # Errors
    /// Of the system, if it is no folder or may not be read.
    pub fn new(root: &Path) -> io::Result<Files> {
        Ok(Files { root: Root::open(root)?, listing: true, cache: Cache::new(CACHED) })
    }

    /// Whether a folder without an index is listed; default yes. Else it is 403.
    #[must_use]
    pub fn listing(self, listing: bool) -> Files {
        Files { listing, ..self }
    }

    /// How many files are kept, about; default 4096. One of up to 16 KiB is kept in memory, a larger one costs an open
    /// descriptor and counts as 16. 0 keeps none.
    #[must_use]
    pub fn cache(self, entries: usize) -> Files {
        Files { cache: Cache::new(entries), ..self }
    }

    fn serve(&self, request: &Request<'_>) -> Result<Reply, Denied> {
        let mut name = ROOM.take();
        name.clear();
        request.head.path.decode(&mut name);
        if request.head.path.is_folder() {
            name.push(b'/');
        }
        let reply = match self.cache.get(&name, &self.root, request.now) {
            Some(entry) => Ok(file_reply(request, &entry)),
            None => self.look(request, &name),
        };
        ROOM.set(name);
        reply
    }

    /// Serves what is not cached. The name of a folder ends with a slash; that of the root is nothing else.
    fn look(&self, request: &Request<'_>, name: &[u8]) -> Result<Reply, Denied> {
        if is_hidden(name) {
            return Err(Denied::NotFound);
        }
        if let Some(folder) = name.strip_suffix(b"/") {
            return self.folder(request, name, folder);
        }
        match self.open(name)? {
            Opened { kind: Kind::Folder, .. } => Ok(to_the_slash(name, &request.head.target)),
            file => self.file(request, name, name, file),
        }
    }

    fn folder(&self, request: &Request<'_>, name: &[u8], folder: &[u8]) -> Result<Reply, Denied> {
        let inside = if folder.is_empty() { folder } else { name };
        let index = [inside, INDEX].concat();
        match self.open(&index) {
            Ok(file) if file.kind == Kind::File => return self.file(request, name, &index, file),
            Ok(_) | Err(Denied::NotFound) => {}
            Err(denied) => return Err(denied),
        }
        match self.open(folder)? {
            Opened { kind: Kind::File, .. } => Err(Denied::NotFound),
            Opened { file, .. } if self.listing => {
                let entries = listing::read(&self.root, inside, file)?;
                Ok(page::reply(Status::OK, listing::page(inside, &entries)))
            }
            _ => Err(Denied::Forbidden),
        }
    }

    fn file(&self, request: &Request<'_>, name: &[u8], path: &[u8], opened: Opened) -> Result<Reply, Denied> {
        let entry = Arc::new(Entry::read(path, opened, request.now)?);
        self.cache.keep(name, &entry, request.now);
        Ok(file_reply(request, &entry))
    }

    fn open(&self, path: &[u8]) -> Result<Opened, Denied> {
        match self.root.open_below(path) {
            Err(Denied::Busy) => {
                self.cache.close_files();
                self.root.open_below(path)
            }
            other => other,
        }
    }

    fn reply(&self, request: &Request<'_>) -> Reply {
        let method = request.head.method;
        match method {
            Method::Get | Method::Head | Method::Options => {}
            method if method.is_known() => return not_allowed(&format!("{method} is not allowed here.")),
            _ => return page::error(Status::NOT_IMPLEMENTED, "This server does not know the method."),
        }
        if request.head.expectation() == Expectation::Unknown {
            return page::error(Status::EXPECTATION_FAILED, "This server cannot meet the expectation.");
        }
        if method == Method::Options || request.head.target.form() == Form::Asterisk {
            return with_field(Reply::empty(Status::OK), name::ALLOW, ALLOW); // R9110-9.3.7, before any look at the file
        }
        self.serve(request).unwrap_or_else(|denied| match denied {
            Denied::NotFound => page::error(Status::NOT_FOUND, "There is no such file here."),
            Denied::Forbidden => page::error(Status::FORBIDDEN, "This may not be read."),
            Denied::Busy => try_again("Too many files are open. Please try again."),
            Denied::Changing => try_again("The file is being changed. Please try again."),
            Denied::Broken => page::error(Status::INTERNAL_SERVER_ERROR, "The file could not be read."),
        })
    }
}

impl Handler for Files {
    fn handle(&self, request: &Request<'_>) -> Answer {
        self.reply(request).into()
    }

    fn is_quick(&self) -> bool {
        true // but for a disk, for which nobody else waits longer than a tenth of a second
    }

    fn refuse(&self, error: RequestError) -> Reply {
        match error {
            RequestError::Connect => not_allowed("This is no proxy."),
            RequestError::NoRoom => try_again(&format!("This request cannot be served: {error}.")),
            error => page::error(error.status(), &format!("This request cannot be served: {error}.")),
        }
    }
}

/// R9110-10.2.1: with Allow.
fn not_allowed(why: &str) -> Reply {
    with_field(page::error(Status::METHOD_NOT_ALLOWED, why), name::ALLOW, ALLOW)
}

fn try_again(why: &str) -> Reply {
    let page = page::error(Status::SERVICE_UNAVAILABLE, why);
    with_field(page, name::RETRY_AFTER, FieldValue::from_static("1"))
}

/// Whether a segment begins with a dot; `.well-known` at the root is not hidden (R1945-12.5b, V18).
fn is_hidden(path: &[u8]) -> bool {
    let rest = path.strip_prefix(b".well-known").filter(|rest| matches!(rest, [] | [b'/', ..])).unwrap_or(path);
    rest.split(|&c| c == b'/').any(|segment| segment.starts_with(b"."))
}

/// A folder asked for without its slash: to the path with it. The path is written anew from its segments, so that it
/// never begins with `//` (R9110-10.2.2, V15).
fn to_the_slash(path: &[u8], target: &Target<'_>) -> Reply {
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
    let link = page::escape(&location); // R1945-9.3c: for who does not follow by itself
    let main = format!("<p>This is a folder: <a href=\"{link}\">its address</a> ends with a slash.</p>\n");
    let page = page::frame(&Status::MOVED_PERMANENTLY.to_string(), &main);
    let reply = page::reply(Status::MOVED_PERMANENTLY, page);
    match FieldValue::new(location.as_bytes()) {
        Some(location) => with_field(reply, name::LOCATION, location),
        None => reply,
    }
}

fn file_reply(request: &Request<'_>, entry: &Entry) -> Reply {
    let RequestHead { method, fields, .. } = request.head;
    let (validators, length) = (entry.validators(), entry.length());
    match conditional::evaluate(method, &fields, &validators, request.now) {
        Outcome::Proceed => {}
        Outcome::NotModified => {
            let reply = Reply::empty(Status::NOT_MODIFIED);
            return match validators.last_modified {
                Some(date) => with_field(reply, name::LAST_MODIFIED, date.text().value()),
                None => reply,
            };
        }
        Outcome::PreconditionFailed => {
            return page::error(Status::PRECONDITION_FAILED, "The file is not in the state that was asked for.");
        }
    }
    let whole = entry.fields.clone();
    match range::evaluate(method, &fields, &validators, length, request.now) {
        Ranged::Whole => Reply { status: Status::OK, fields: whole, body: entry.whole() },
        Ranged::Part(part) => {
            let body = entry.part(part.start(), part.end());
            let reply = Reply { status: Status::PARTIAL_CONTENT, fields: whole, body };
            with_field(reply, name::CONTENT_RANGE, part.content_range().value())
        }
        Ranged::Unsatisfiable => {
            let why = "The file ends before the range that was asked for.";
            let page = page::error(Status::RANGE_NOT_SATISFIABLE, why);
            with_field(page, name::CONTENT_RANGE, ContentRange::unsatisfied(length).value())
        }
    }
}

fn with_field(mut reply: Reply, name: FieldName<'_>, value: FieldValue<'_>) -> Reply {
    push(Arc::make_mut(&mut reply.fields), name, value);
    reply
}

/// Pushes a field that is none of the library's own, which therefore cannot fail.
fn push(fields: &mut FieldBlock, name: FieldName<'_>, value: FieldValue<'_>) {
    let pushed = fields.push(name, value);
    debug_assert_eq!(pushed, Ok(()));
}
