//! Conditional requests: entity tags and the evaluation of preconditions (RFC 9110 §13). It reads no file and no clock:
//! the caller passes the validators of the selected representation, and the time.
//!
//! ```
//! use http_core::conditional::{EntityTag, Outcome, Validators, evaluate};
//! use http_core::{Date, Fields, Method};
//! # use http_core::{server::{Connection, Event}, Limits};
//! # let mut connection = Connection::new(Limits::default());
//! # let head = b"GET / HTTP/1.0\r\nIf-None-Match: \"a,b\", W/\"5-1\"\r\n\r\n";
//! # connection.receive(head);
//! # let Ok(Event::Request(request)) = connection.poll() else { unreachable!() };
//! # let fields = request.fields;
//! let now = Date::from_unix(1_000_000_000).unwrap();
//! let validators = Validators { etag: EntityTag::parse(b"\"5-1\"").ok(), last_modified: None };
//! // If-None-Match: "a,b", W/"5-1"
//! assert_eq!(evaluate(Method::Get, &fields, &validators, now), Outcome::NotModified);
//! assert_eq!(evaluate(Method::Delete, &fields, &validators, now), Outcome::PreconditionFailed);
//! ```

use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::grammar::trim;
use crate::message::date::Date;
use crate::message::field::{FieldName, FieldValue, Fields, header};
use crate::message::method::Method;
use crate::message::try_from_bytes;

/// An entity tag (RFC 9110 §8.8.3): opaque bytes and a flag that marks it as weak.
///
/// There is no `==`: use the comparison that the purpose requires.
///
/// ```
/// use http_core::conditional::EntityTag;
/// let weak = EntityTag::parse(b"W/\"1\"").unwrap();
/// let strong = EntityTag::new(false, b"1").unwrap();
/// assert!(weak.matches_weakly(strong) && !weak.matches_strongly(strong));
/// assert!(EntityTag::try_from("1").is_err());
/// ```
#[derive(Clone, Copy)]
pub struct EntityTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// The tag with these bytes between its quotes.
    ///
    /// A weak tag may stay the same while bytes of the representation change.
    ///
    /// # Errors
    /// [`InvalidEntityTag`] if it holds a control byte, a blank or a quote.
    pub fn new(weak: bool, opaque: &'a [u8]) -> Result<EntityTag<'a>, InvalidEntityTag> {
        if opaque.iter().all(is_etagc) { Ok(EntityTag { weak, opaque }) } else { Err(InvalidEntityTag) }
    }

    /// Reads exactly one tag, as it appears in a header: `"x"` or `W/"x"` with an upper-case `W`.
    ///
    /// # Errors
    /// [`InvalidEntityTag`] for anything else.
    pub fn parse(text: &'a [u8]) -> Result<EntityTag<'a>, InvalidEntityTag> {
        match EntityTag::at_front(text) {
            Some((tag, [])) => Ok(tag),
            _ => Err(InvalidEntityTag),
        }
    }

    /// Whether the tag is weak, which is written as `W/` (RFC 9110 §8.8.1).
    pub const fn is_weak(&self) -> bool {
        self.weak
    }

    /// The bytes between the quotes.
    pub const fn opaque(&self) -> &'a [u8] {
        self.opaque
    }

    /// The strong comparison (RFC 9110 §8.8.3.2): neither tag is weak, and the bytes are the same.
    pub fn matches_strongly(&self, other: EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// The weak comparison (RFC 9110 §8.8.3.2): the bytes are the same.
    pub fn matches_weakly(&self, other: EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// Appends the tag as a field value; the appended bytes are always a valid [`FieldValue`].
    ///
    /// ```
    /// use http_core::conditional::EntityTag;
    /// let mut value = Vec::new();
    /// EntityTag::new(true, b"5-1").unwrap().append_to(&mut value);
    /// assert_eq!(value, b"W/\"5-1\"");
    /// ```
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.weak { b"W/\"" } else { b"\"" });
        out.extend_from_slice(self.opaque);
        out.push(b'"');
    }

    /// Parses the tag at the front of the text. Also returns what follows its closing quote.
    fn at_front(text: &'a [u8]) -> Option<(EntityTag<'a>, &'a [u8])> {
        let (weak, text) = match text.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let text = text.strip_prefix(b"\"")?;
        let end = text.iter().position(|&c| c == b'"')?;
        Some((EntityTag::new(weak, &text[..end]).ok()?, &text[end + 1..]))
    }
}

try_from_bytes!(EntityTag, parse, InvalidEntityTag);

/// The error for an [`EntityTag`] that cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("invalid entity tag: expected \"x\" or W/\"x\", without blanks and quotes between the quotes")]
pub struct InvalidEntityTag;

impl fmt::Debug for EntityTag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\"{}\"", if self.weak { "W/" } else { "" }, self.opaque.escape_ascii())
    }
}

/// The entity tag of a file, made without allocating.
///
/// A strong tag must change with every byte, and two files must not share one, or a resumed download mixes them
/// (R9110-8.8.3). Many files share length and modification time: archives of packages and reproducible builds give every
/// file the same one. So a strong tag is made from the content, or else from the times that include the last status
/// change (ctime), which programs cannot set.
///
/// Two changes within one tick of the file system's clock leave the same times. So a tag made from times is weak until
/// they are 2 seconds old, the coarsest tick of a file system in use. The tag that follows is different. So a client that
/// cached the first of two states within a tick fetches the file again.
///
/// ```
/// use http_core::{Date, FieldBlock, conditional::FileTag, header};
/// let now = Date::from_unix(1_000_000_000).unwrap();
/// let (modified, changed) = (5, 999_999_998_000_000_000);
/// let tag = FileTag::from_times(31, modified, changed, now);
/// assert_eq!(tag.value().as_bytes(), b"\"1f-5-de0b6b3302e6c00\"");
/// assert!(FileTag::from_times(31, modified, changed + 1, now).as_tag().is_weak());
/// assert!(FileTag::weak(31, modified, now).as_tag().is_weak());
/// let mut fields = FieldBlock::new();
/// fields.push(header::ETAG, tag.value())?;
/// # Ok::<(), http_core::ReservedField>(())
/// ```
#[derive(Clone, Copy)]
pub struct FileTag {
    /// `W/"length-time-time~"`, for example. The value of a strong tag begins after the `W/`.
    text: [u8; FileTag::MAX_LENGTH],
    length: usize,
    is_weak: bool,
}

impl FileTag {
    const MAX_LENGTH: usize = b"W/\"----~\"".len() + 16 + 32 + 32;
    /// The coarsest tick of a file system's clock, in nanoseconds.
    const TICK: i128 = 2_000_000_000;

    /// The strong tag of a content with this hash. Different contents must not have the same hash by accident, so it
    /// needs all 128 bits.
    pub fn from_hash(hash: u128) -> FileTag {
        let mut tag = FileTag::empty(false);
        tag.push_hex(hash);
        tag.finish(false)
    }

    /// The tag of a file from its length in bytes, and the times of its last modification and status change in
    /// nanoseconds since 1970-01-01 00:00:00 UTC. Read `now` before them, so that a change in between counts as recent.
    pub fn from_times(length: u64, modified_ns: i128, changed_ns: i128, now: Date) -> FileTag {
        let is_recent = FileTag::is_recent(modified_ns.max(changed_ns), now);
        let mut tag = FileTag::empty(is_recent);
        tag.push_hex(length.into());
        tag.push_time(modified_ns);
        tag.push_time(changed_ns);
        tag.finish(is_recent)
    }

    /// A weak tag from the length and the modification time only. Servers have it in common if they have copies of the
    /// same files, and different files may share it.
    pub fn weak(length: u64, modified_ns: i128, now: Date) -> FileTag {
        let mut tag = FileTag::empty(true);
        tag.push_hex(length.into());
        tag.push_time(modified_ns);
        tag.finish(FileTag::is_recent(modified_ns, now))
    }

    /// The tag for comparisons: see [`Validators::etag`].
    pub fn as_tag(&self) -> EntityTag<'_> {
        EntityTag { weak: self.is_weak, opaque: &self.text[b"W/\"".len()..self.length - b"\"".len()] }
    }

    /// The tag as the value of an ETag header.
    pub fn value(&self) -> FieldValue<'_> {
        let from = if self.is_weak { 0 } else { b"W/".len() };
        FieldValue::new(&self.text[from..self.length]).unwrap_or(FieldValue::from_static("")) // no control byte
    }

    /// Whether another change may hide in the same time.
    fn is_recent(time: i128, now: Date) -> bool {
        // `now` is the start of its second, so the age is never overestimated.
        time > i128::from(now.unix()) * 1_000_000_000 - FileTag::TICK // R9110-8.8.3
    }

    fn empty(is_weak: bool) -> FileTag {
        let mut tag = FileTag { text: [0; FileTag::MAX_LENGTH], length: 0, is_weak };
        tag.push(b"W/\"");
        tag
    }

    /// If-None-Match compares weakly. Without the `~`, a tag would match an outdated state of the same tick forever.
    fn finish(mut self, is_recent: bool) -> FileTag {
        self.push(if is_recent { b"~\"" } else { b"\"" });
        self
    }

    fn push_time(&mut self, nanoseconds: i128) {
        self.push(if nanoseconds < 0 { b"--" } else { b"-" });
        self.push_hex(nanoseconds.unsigned_abs());
    }

    fn push(&mut self, bytes: &[u8]) {
        self.text[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn push_hex(&mut self, number: u128) {
        let digits = (128 - number.leading_zeros()).div_ceil(4).max(1);
        for place in (0..digits).rev() {
            self.push(&[b"0123456789abcdef"[(number >> (4 * place)) as usize % 16]]);
        }
    }
}

impl fmt::Debug for FileTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_tag().fmt(f)
    }
}

/// The validators of a representation: its ETag and Last-Modified headers in a 200 response (RFC 9110 §8.8).
#[derive(Clone, Copy, Debug, Default)]
pub struct Validators<'a> {
    /// The value of ETag; `None` if the response has none.
    pub etag: Option<EntityTag<'a>>,
    /// The value of Last-Modified, never later than the response's Date (R9110-8.8.2); `None` if the response has none.
    pub last_modified: Option<Date>,
}

/// The result of evaluating preconditions (RFC 9110 §13.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Outcome {
    /// Respond as if there were no preconditions.
    Proceed,
    /// Send 304 without a body, with the headers of the 200 that a cache needs (R9110-15.4.5).
    NotModified,
    /// Send 412 and do not perform the method.
    PreconditionFailed,
}

/// Evaluates all preconditions except If-Range, in the order of RFC 9110 §13.2.2, for a representation that exists.
///
/// Call it only if the response would otherwise be 2xx (R9110-13.2.1). HEAD is treated like GET (D5). A malformed date
/// is ignored. A malformed list of tags matches nothing.
pub fn evaluate(method: Method<'_>, fields: &Fields<'_>, validators: &Validators<'_>, now: Date) -> Outcome {
    // These methods select no representation (R9110-13.2.1).
    if matches!(method, Method::Connect | Method::Options | Method::Trace) {
        return Outcome::Proceed;
    }
    let reads = matches!(method, Method::Get | Method::Head);
    let Validators { etag, last_modified } = *validators;

    // The order of these checks counts, not that of the headers (R9110-13.2.2).
    if fields.get(header::IF_MATCH).is_some() {
        // R9110-13.1.1
        if !names(fields, header::IF_MATCH, |tag| etag.is_some_and(|own| own.matches_strongly(tag))) {
            return Outcome::PreconditionFailed;
        }
    } else if let (Some(since), Some(modified)) = (date(fields, header::IF_UNMODIFIED_SINCE, now), last_modified) {
        // R9110-13.1.4
        if modified > since {
            return Outcome::PreconditionFailed;
        }
    }
    if fields.get(header::IF_NONE_MATCH).is_some() {
        // R9110-13.1.2
        let matched = names(fields, header::IF_NONE_MATCH, |tag| etag.is_some_and(|own| own.matches_weakly(tag)));
        return match (matched, reads) {
            (false, _) => Outcome::Proceed,
            (true, true) => Outcome::NotModified,
            (true, false) => Outcome::PreconditionFailed,
        };
    }
    if reads && let (Some(since), Some(modified)) = (date(fields, header::IF_MODIFIED_SINCE, now), last_modified) {
        // R9110-13.1.3, R1945-10.9b, R1945-10.9c. A date in the future is invalid (D6, R1945-10.9a).
        if since <= now && modified <= since {
            return Outcome::NotModified;
        }
    }
    Outcome::Proceed
}

/// Whether Range applies: there is no If-Range, or it matches the current representation (R9110-13.1.5).
///
/// A tag must match strongly. A date must equal Last-Modified and be strong (RFC 9110 §8.8.2.2): until its second is
/// over, the file may change again and keep the same date.
pub fn if_range_holds(fields: &Fields<'_>, validators: &Validators<'_>, now: Date) -> bool {
    if fields.get(header::IF_RANGE).is_none() {
        return true;
    }
    let Some(value) = fields.only(header::IF_RANGE) else { return false };
    match (EntityTag::parse(value.as_bytes()), validators) {
        (Ok(tag), Validators { etag: Some(etag), .. }) => etag.matches_strongly(tag),
        (Err(_), Validators { last_modified: Some(modified), .. }) => {
            Date::parse(value.as_bytes(), now) == Ok(*modified) && *modified < now
        }
        _ => false,
    }
}

/// The date in a header; `None` if the header is missing, repeated or malformed.
fn date(fields: &Fields<'_>, name: FieldName<'_>, now: Date) -> Option<Date> {
    Date::parse(fields.only(name)?.as_bytes(), now).ok()
}

/// Whether the header is `*` or a list with a tag that matches. Anything else in the list invalidates all of it.
fn names(fields: &Fields<'_>, name: FieldName<'_>, matches: impl Fn(EntityTag<'_>) -> bool) -> bool {
    let mut found = false;
    for value in fields.get_all(name) {
        let mut rest = value.as_bytes();
        if rest == b"*" {
            return fields.only(name).is_some();
        }
        // A tag may hold a comma, so the list cannot be split at commas.
        loop {
            while let [b',' | b' ' | b'\t', after @ ..] = rest {
                rest = after; // R9110-5.6.1
            }
            if rest.is_empty() {
                break;
            }
            let Some((tag, after)) = EntityTag::at_front(rest) else { return false };
            rest = trim(after);
            if !matches!(rest, [] | [b',', ..]) {
                return false;
            }
            found |= matches(tag);
        }
    }
    found
}

/// `etagc`: `%x21 / %x23-7E / obs-text`.
fn is_etagc(c: &u8) -> bool {
    matches!(c, 0x21 | 0x23..=0x7e | 0x80..)
}

#[cfg(test)]
mod tests;
