//! The files handler: from a request to a file, a folder's index, a listing, a redirect or a page that says what is
//! wrong. Which method, condition or path gives which status is decided here; how a path becomes a file is `root`'s.

mod listing;
mod page;
mod root;
mod types;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use http_core::conditional::{self, Outcome, Validators};
use http_core::range::{self, ContentRange, Ranged};
use http_core::server::{Expectation, RequestHead};
use http_core::{
    Date, FieldBlock, FieldName, FieldValue, Form, Method, RequestError, Status, Target, name, percent_encode,
};

use self::root::{Denied, Kind, Opened, Root};
use crate::handler::{Body, Handler, Reply, Request};

/// A folder of files, served by GET and HEAD.
///
/// Nothing outside of the folder is reached: every open goes below it by the kernel's own rule. Names that begin with a
/// dot are neither listed nor served, `/.well-known/` excepted. Only regular files and folders are.
#[derive(Debug)]
pub struct Files {
    root: Root,
    listing: bool,
}

/// Files up to here go out from memory, head and body in one call; larger ones by `sendfile`.
const SMALL: u64 = 16 << 10;

const ALLOW: FieldValue<'static> = FieldValue::from_static("GET, HEAD, OPTIONS");
const INDEX: &[u8] = b"index.html";

impl Files {
    /// Serves the files below this folder, which is opened once: if it is renamed later, it is still the one served.
    ///
    /// # Errors
    /// Of the system, if it is no folder or may not be read.
    pub fn new(root: &Path) -> io::Result<Files> {
        Ok(Files { root: Root::open(root)?, listing: true })
    }

    /// Whether a folder without an index is listed; default yes. Else it is 403.
    #[must_use]
    pub fn listing(self, listing: bool) -> Files {
        Files { listing, ..self }
    }

    fn serve(&self, request: &Request<'_>) -> Result<Reply, Denied> {
        let wants_folder = request.head.path.is_folder();
        let mut path = Vec::new();
        request.head.path.decode(&mut path);
        if is_hidden(&path) {
            return Err(Denied::NotFound);
        }
        match self.root.open_below(&path)? {
            Opened { kind: Kind::File, .. } if wants_folder => Err(Denied::NotFound),
            Opened { kind: Kind::File, file, length, modified } => file_reply(request, &path, file, length, modified),
            Opened { kind: Kind::Folder, .. } if !wants_folder => Ok(to_the_slash(&path, &request.head.target)),
            Opened { kind: Kind::Folder, file, .. } => self.folder(request, path, file),
        }
    }

    fn folder(&self, request: &Request<'_>, mut path: Vec<u8>, folder: OwnedFd) -> Result<Reply, Denied> {
        let name_at = if path.is_empty() { 0 } else { path.len() + 1 };
        if name_at > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(INDEX);
        match self.root.open_below(&path) {
            Ok(Opened { kind: Kind::File, file, length, modified }) => {
                file_reply(request, &path, file, length, modified)
            }
            Ok(_) | Err(Denied::NotFound) if self.listing => {
                path.truncate(name_at);
                let entries = listing::read(&self.root, &path, folder)?;
                Ok(page::reply(Status::OK, listing::page(&path, &entries)))
            }
            Ok(_) | Err(Denied::NotFound) => Err(Denied::Forbidden),
            Err(denied) => Err(denied),
        }
    }
}

impl Handler for Files {
    fn handle(&self, request: &Request<'_>) -> Reply {
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
            let mut reply = Reply::empty(Status::OK); // R9110-9.3.7, before any look at the file
            push(&mut reply.fields, name::ALLOW, ALLOW);
            return reply;
        }
        self.serve(request).unwrap_or_else(|denied| match denied {
            Denied::NotFound => page::error(Status::NOT_FOUND, "There is no such file here."),
            Denied::Forbidden => page::error(Status::FORBIDDEN, "This may not be read."),
            Denied::Busy => {
                let mut reply = page::error(Status::SERVICE_UNAVAILABLE, "Too many files are open. Please try again.");
                push(&mut reply.fields, name::RETRY_AFTER, FieldValue::from_static("1"));
                reply
            }
            Denied::Broken => page::error(Status::INTERNAL_SERVER_ERROR, "The file could not be read."),
        })
    }

    fn refuse(&self, error: RequestError) -> Reply {
        match error {
            RequestError::Connect => not_allowed("This is no proxy."),
            error => page::error(error.status(), &format!("This request cannot be served: {error}.")),
        }
    }
}

/// R9110-10.2.1: with Allow.
fn not_allowed(why: &str) -> Reply {
    let mut reply = page::error(Status::METHOD_NOT_ALLOWED, why);
    push(&mut reply.fields, name::ALLOW, ALLOW);
    reply
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
    let mut reply = page::reply(Status::MOVED_PERMANENTLY, page);
    if let Some(location) = FieldValue::new(location.as_bytes()) {
        push(&mut reply.fields, name::LOCATION, location);
    }
    reply
}

fn file_reply(request: &Request<'_>, path: &[u8], file: OwnedFd, length: u64, modified: i64) -> Result<Reply, Denied> {
    let mut reply = Reply::empty(Status::OK);
    // R9110-8.8.2: earlier than Date, so that its second is over and a later change shows. Times 0 and 1 are those of
    // files that have none.
    let last_modified = Date::from_unix(modified).filter(|date| date.unix() > 1 && *date < request.now);
    let validators = Validators { etag: None, last_modified };
    let RequestHead { method, fields, .. } = request.head;
    match conditional::evaluate(method, &fields, &validators, request.now) {
        Outcome::Proceed => {}
        Outcome::NotModified => {
            reply.status = Status::NOT_MODIFIED;
            push_last_modified(&mut reply, last_modified);
            return Ok(reply);
        }
        Outcome::PreconditionFailed => {
            return Ok(page::error(Status::PRECONDITION_FAILED, "The file is not in the state that was asked for."));
        }
    }
    let (offset, length) = match range::evaluate(method, &fields, &validators, length, request.now) {
        Ranged::Whole => (0, length),
        Ranged::Part(part) => {
            reply.status = Status::PARTIAL_CONTENT;
            push(&mut reply.fields, name::CONTENT_RANGE, part.content_range().value());
            (part.start(), part.length())
        }
        Ranged::Unsatisfiable => {
            let mut reply =
                page::error(Status::RANGE_NOT_SATISFIABLE, "The file ends before the range that was asked for.");
            push(&mut reply.fields, name::CONTENT_RANGE, ContentRange::unsatisfied(length).value());
            return Ok(reply);
        }
    };
    push(&mut reply.fields, name::CONTENT_TYPE, types::of(path));
    push(&mut reply.fields, name::ACCEPT_RANGES, FieldValue::from_static("bytes"));
    push_last_modified(&mut reply, last_modified);
    reply.body = if length <= SMALL {
        Body::Octets(root::read(&file, offset, length)?.into())
    } else {
        Body::File { file, offset, length }
    };
    Ok(reply)
}

fn push_last_modified(reply: &mut Reply, date: Option<Date>) {
    if let Some(date) = date {
        push(&mut reply.fields, name::LAST_MODIFIED, date.text().value());
    }
}

/// Pushes a field that is none of the library's own, which therefore cannot fail.
fn push(fields: &mut FieldBlock, name: FieldName<'_>, value: FieldValue<'_>) {
    let pushed = fields.push(name, value);
    debug_assert_eq!(pushed, Ok(()));
}
