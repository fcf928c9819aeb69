//! Header fields: names, values, the borrowed headers of a received head, and the owned ones of a head to be sent. What
//! a header means is decided in `wire` and `semantics`.

use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

use memchr::memchr;
use thiserror::Error;

use crate::grammar::{elements, is_token, is_value_text, trim};
use crate::message::field_index::{FieldIndex, FieldRange};

/// A header's name: a token of letters, digits and ``!#$%&'*+-.^_`|~`` (RFC 1945 §4.2, RFC 9110 §5.1).
///
/// `==` ignores case. The name is sent in the case that was given.
///
/// ```
/// use http_core::{FieldName, InvalidFieldName, header};
/// assert_eq!(FieldName::new(b"content-TYPE"), Ok(header::CONTENT_TYPE));
/// assert_eq!(FieldName::try_from("X-A "), Err(InvalidFieldName));
/// const TRACE_ID: FieldName = FieldName::from_static("X-Trace-Id");   // checked at compile time
/// ```
#[derive(Clone, Copy)]
pub struct FieldName<'a>(&'a [u8]);

impl<'a> FieldName<'a> {
    /// Reads a name.
    ///
    /// # Errors
    /// [`InvalidFieldName`] unless it is a token. A token is not empty.
    pub const fn new(name: &'a [u8]) -> Result<FieldName<'a>, InvalidFieldName> {
        if is_token(name) { Ok(FieldName(name)) } else { Err(InvalidFieldName) }
    }

    /// A name that is known at compile time.
    ///
    /// # Panics
    /// If it is not a token. In a `const` that is a compile error.
    pub const fn from_static(name: &'static str) -> FieldName<'static> {
        assert!(is_token(name.as_bytes()), "a header name must be a token");
        FieldName(name.as_bytes())
    }

    /// The name as it was given, in ASCII. `Display` writes the same.
    pub fn as_str(&self) -> &'a str {
        str::from_utf8(self.0).unwrap_or_default() // a token is ASCII
    }
}

try_from_bytes!(FieldName, new, InvalidFieldName);

/// The error for a [`FieldName`] that is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("invalid header name: expected one or more letters, digits or any of !#$%&'*+-.^_`|~")]
pub struct InvalidFieldName;

impl PartialEq for FieldName<'_> {
    fn eq(&self, other: &FieldName<'_>) -> bool {
        self.0 == other.0 || self.0.eq_ignore_ascii_case(other.0) // most names have the usual case
    }
}

impl Eq for FieldName<'_> {}

impl Hash for FieldName<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Names that differ in case only are equal.
        for byte in self.0 {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl AsRef<[u8]> for FieldName<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl fmt::Debug for FieldName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for FieldName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A header's value: bytes without CR, LF, NUL or any other control byte except HTAB, and without leading or trailing
/// blanks (RFC 9110 §5.5).
///
/// It may be empty. It need not be UTF-8: old peers send ISO-8859-1.
///
/// ```
/// use http_core::FieldValue;
/// assert_eq!(FieldValue::new(b" text/html\t").unwrap().as_bytes(), b"text/html");
/// assert!(FieldValue::try_from("a\r\nSet-Cookie: b").is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FieldValue<'a>(&'a [u8]);

impl<'a> FieldValue<'a> {
    /// Reads a value and trims the blanks around it.
    ///
    /// # Errors
    /// [`InvalidFieldValue`] if it holds a control byte other than HTAB (R9110-5.5, R9112-11.1).
    pub const fn new(value: &'a [u8]) -> Result<FieldValue<'a>, InvalidFieldValue> {
        let value = trim(value);
        if is_value_text(value) { Ok(FieldValue(value)) } else { Err(InvalidFieldValue) }
    }

    /// A value that is known at compile time.
    ///
    /// # Panics
    /// If it holds a control byte other than HTAB. In a `const` that is a compile error.
    pub const fn from_static(value: &'static str) -> FieldValue<'static> {
        assert!(is_value_text(value.as_bytes()), "a header value must not hold a control byte");
        FieldValue(trim(value.as_bytes()))
    }

    /// The bytes of the value, without the blanks around it. The character set of bytes 80–FF is unknown.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The value as text. `None` if it is not UTF-8.
    pub const fn as_str(&self) -> Option<&'a str> {
        match str::from_utf8(self.0) {
            Ok(text) => Some(text),
            Err(_) => None,
        }
    }
}

try_from_bytes!(FieldValue, new, InvalidFieldValue);

/// The error for a [`FieldValue`] that holds a control byte other than HTAB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("invalid header value: expected no line ends and no other control characters")]
pub struct InvalidFieldValue;

impl AsRef<[u8]> for FieldValue<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl fmt::Debug for FieldValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// The names of the headers of RFC 1945 and RFC 9110, and of a few others, and where they are defined. Create more with
/// [`FieldName::from_static`](crate::FieldName::from_static) or [`FieldName::new`](crate::FieldName::new).
pub mod header {
    use super::FieldName;

    macro_rules! names {
        ($($constant:ident $name:literal $source:literal;)+) => {
            $(
                #[doc = concat!("`", $name, "` (", $source, ")")]
                pub const $constant: FieldName<'static> = FieldName::from_static($name);
            )+
        };
    }

    names! {
        ACCEPT "Accept" "RFC 9110 §12.5.1";
        ACCEPT_CHARSET "Accept-Charset" "RFC 9110 §12.5.2";
        ACCEPT_ENCODING "Accept-Encoding" "RFC 9110 §12.5.3";
        ACCEPT_LANGUAGE "Accept-Language" "RFC 9110 §12.5.4";
        ACCEPT_RANGES "Accept-Ranges" "RFC 9110 §14.3";
        AGE "Age" "RFC 9111 §5.1";
        ALLOW "Allow" "RFC 9110 §10.2.1";
        AUTHENTICATION_INFO "Authentication-Info" "RFC 9110 §11.6.3";
        AUTHORIZATION "Authorization" "RFC 9110 §11.6.2";
        CACHE_CONTROL "Cache-Control" "RFC 9111 §5.2";
        CONNECTION "Connection" "RFC 9110 §7.6.1";
        CONTENT_ENCODING "Content-Encoding" "RFC 9110 §8.4";
        CONTENT_LANGUAGE "Content-Language" "RFC 9110 §8.5";
        CONTENT_LENGTH "Content-Length" "RFC 9110 §8.6";
        CONTENT_LOCATION "Content-Location" "RFC 9110 §8.7";
        CONTENT_RANGE "Content-Range" "RFC 9110 §14.4";
        CONTENT_TYPE "Content-Type" "RFC 9110 §8.3";
        COOKIE "Cookie" "RFC 6265 §4.2";
        DATE "Date" "RFC 9110 §6.6.1";
        ETAG "ETag" "RFC 9110 §8.8.3";
        EXPECT "Expect" "RFC 9110 §10.1.1";
        EXPIRES "Expires" "RFC 9111 §5.3";
        FORWARDED "Forwarded" "RFC 7239 §4";
        FROM "From" "RFC 9110 §10.1.2";
        HOST "Host" "RFC 9110 §7.2";
        IF_MATCH "If-Match" "RFC 9110 §13.1.1";
        IF_MODIFIED_SINCE "If-Modified-Since" "RFC 9110 §13.1.3";
        IF_NONE_MATCH "If-None-Match" "RFC 9110 §13.1.2";
        IF_RANGE "If-Range" "RFC 9110 §13.1.5";
        IF_UNMODIFIED_SINCE "If-Unmodified-Since" "RFC 9110 §13.1.4";
        KEEP_ALIVE "Keep-Alive" "RFC 2068 §19.7.1.1";
        LAST_MODIFIED "Last-Modified" "RFC 9110 §8.8.2";
        LOCATION "Location" "RFC 9110 §10.2.2";
        MAX_FORWARDS "Max-Forwards" "RFC 9110 §7.6.2";
        PRAGMA "Pragma" "RFC 1945 §10.12";
        PROXY_AUTHENTICATE "Proxy-Authenticate" "RFC 9110 §11.7.1";
        PROXY_AUTHENTICATION_INFO "Proxy-Authentication-Info" "RFC 9110 §11.7.3";
        PROXY_AUTHORIZATION "Proxy-Authorization" "RFC 9110 §11.7.2";
        RANGE "Range" "RFC 9110 §14.2";
        REFERER "Referer" "RFC 9110 §10.1.3";
        RETRY_AFTER "Retry-After" "RFC 9110 §10.2.3";
        SERVER "Server" "RFC 9110 §10.2.4";
        SET_COOKIE "Set-Cookie" "RFC 6265 §4.1";
        TE "TE" "RFC 9110 §10.1.4";
        TRAILER "Trailer" "RFC 9110 §6.6.2";
        TRANSFER_ENCODING "Transfer-Encoding" "RFC 9112 §6.1";
        UPGRADE "Upgrade" "RFC 9110 §7.8";
        USER_AGENT "User-Agent" "RFC 9110 §10.1.5";
        VARY "Vary" "RFC 9110 §12.5.5";
        VIA "Via" "RFC 9110 §7.6.3";
        WWW_AUTHENTICATE "WWW-Authenticate" "RFC 9110 §11.6.1";
        X_CONTENT_TYPE_OPTIONS "X-Content-Type-Options" "Fetch Standard";
        X_FORWARDED_FOR "X-Forwarded-For" "no standard; see Forwarded";
    }
}

/// The headers of a received head, in their order, borrowed from the connection.
///
/// There are at most [`Limits::fields`](crate::Limits::fields) lines. Each search is linear in their number. The right
/// search depends on the header: for a single value [`only`](Self::only), for a list [`tokens`](Self::tokens), for
/// lines that are read one by one [`get_all`](Self::get_all).
///
/// ```
/// # use http_core::{server::{Connection, Event}, Limits, header};
/// # let mut connection = Connection::new(Limits::default());
/// # connection.receive(b"GET / HTTP/1.0\r\nConnection: TE,\r\nCONNECTION: Keep-Alive\r\n\r\n");
/// # let Ok(Event::Request(request)) = connection.poll() else { unreachable!() };
/// let fields = request.fields;
/// assert_eq!(fields.len(), 2);
/// assert_eq!(fields.get(header::CONNECTION).unwrap().as_bytes(), b"TE,");        // of the first line
/// assert_eq!(fields.only(header::CONNECTION), None);                             // there are two lines
/// assert!(fields.tokens(header::CONNECTION).eq([&b"TE"[..], b"Keep-Alive"]));    // the elements of all lines
/// for (name, value) in fields.iter() {
///     println!("{name}: {}", value.as_bytes().escape_ascii());
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    index: &'a FieldIndex,
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(bytes: &'a [u8], index: &'a FieldIndex) -> Fields<'a> {
        Fields { bytes, index }
    }

    /// The number of lines. A name on two lines counts twice. Continuation lines do not count.
    pub const fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no headers, as in a Simple-Request.
    pub const fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// All lines, in the order and case in which they were received. Names and values live as long as the head.
    pub fn iter(&self) -> impl Iterator<Item = (FieldName<'a>, FieldValue<'a>)> + use<'a> {
        // The parser has checked names and values.
        let bytes = self.bytes;
        self.index.iter().map(move |field| (FieldName(field.name.of(bytes)), FieldValue(field.value.of(bytes))))
    }

    /// The values of all lines with this name, in their order.
    pub fn get_all<'n>(&self, name: FieldName<'n>) -> impl Iterator<Item = FieldValue<'a>> + use<'a, 'n> {
        let (bytes, name) = (self.bytes, name.0);
        // Compares lengths first: few names have the same length.
        let has_name = move |field: &&FieldRange| {
            field.name.length as usize == name.len() && FieldName(field.name.of(bytes)) == FieldName(name)
        };
        let lines = self.index.iter().filter(has_name).take(self.index.at_most(name));
        lines.map(move |field| FieldValue(field.value.of(bytes)))
    }

    /// The value of the first line with this name. For a header that may be there only once, use [`only`](Self::only).
    #[inline]
    pub fn get(&self, name: FieldName<'_>) -> Option<FieldValue<'a>> {
        if self.index.at_most(name.0) == 0 { None } else { self.find(name, false) }
    }

    /// The value of the only line with this name. `None` if there is no such line, or if there are several, which
    /// have no meaning for a header that is not a list (R1945-4.2b).
    #[inline]
    pub fn only(&self, name: FieldName<'_>) -> Option<FieldValue<'a>> {
        if self.index.at_most(name.0) == 0 { None } else { self.find(name, true) }
    }

    /// Whether there may be a line with this name. It takes no search, so it is wrong for a few names.
    pub(crate) fn may_contain(&self, name: &[u8]) -> bool {
        self.index.at_most(name) > 0
    }

    /// The first value; with `alone`, only if there is no other. It is not inlined, because most names do not occur and
    /// never reach it.
    #[inline(never)]
    fn find(&self, name: FieldName<'_>, alone: bool) -> Option<FieldValue<'a>> {
        let mut all = self.get_all(name);
        all.next().filter(|_| !alone || all.next().is_none())
    }

    /// The list elements of all lines with this name, split at commas and trimmed. Empty elements are left out
    /// (R1945-2.1, R9110-5.6.1). Not for headers with quoted strings or dates, which may hold commas.
    pub fn tokens<'n>(&self, name: FieldName<'n>) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.get_all(name).flat_map(|value| elements(value.0))
    }
}

impl fmt::Debug for Fields<'_> {
    /// Shows every header, but no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(redacted)).finish()
    }
}

/// A header without credentials, for a log (R1945-12.3).
fn redacted<'a>((name, value): (FieldName<'a>, FieldValue<'a>)) -> (FieldName<'a>, FieldValue<'a>) {
    const SECRET: [FieldName<'static>; 4] =
        [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE, header::SET_COOKIE];
    (name, if SECRET.contains(&name) { FieldValue::from_static("(not shown)") } else { value })
}

/// The headers of a message to be sent (RFC 9113's *field block*). Each line is checked once, when it is
/// added.
///
/// The library alone writes the headers that frame a message or end a connection, so these cannot be added: Connection,
/// Content-Length, Date, Host, Keep-Alive and Transfer-Encoding. The block has no limit of its own.
///
/// A [`Response`](crate::server::Response) or [`Request`](crate::client::Request) borrows it. Many can use one block.
///
/// ```
/// use http_core::{FieldBlock, FieldValue, ReservedField, header};
/// let mut fields = FieldBlock::new();
/// fields.push(header::CONTENT_TYPE, FieldValue::from_static("text/html"))?;
/// fields.set(header::CONTENT_TYPE, FieldValue::from_static("text/html; charset=utf-8"))?;
/// assert_eq!(fields.as_bytes(), b"Content-Type: text/html; charset=utf-8\r\n");
/// assert_eq!(fields.push(header::CONTENT_LENGTH, FieldValue::from_static("5")), Err(ReservedField));
/// assert_eq!(fields.remove(header::CONTENT_TYPE), 1);
/// # Ok::<(), ReservedField>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FieldBlock(Vec<u8>);

impl FieldBlock {
    /// An empty block. It allocates when the first line is added.
    pub const fn new() -> FieldBlock {
        FieldBlock(Vec::new())
    }

    /// Adds one line after the others. The same name may be on several lines.
    ///
    /// # Errors
    /// [`ReservedField`] for a header that the library alone writes. The block does not change.
    pub fn push(&mut self, name: FieldName<'_>, value: FieldValue<'_>) -> Result<(), ReservedField> {
        const OWNED: [FieldName<'static>; 6] = [
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::DATE,
            header::HOST,
            header::KEEP_ALIVE,
            header::TRANSFER_ENCODING,
        ];
        if OWNED.contains(&name) {
            return Err(ReservedField);
        }
        self.push_unreserved(name, value);
        Ok(())
    }

    /// [`push`](Self::push) for a name that is known not to be reserved.
    pub(crate) fn push_unreserved(&mut self, name: FieldName<'_>, value: FieldValue<'_>) {
        for part in [name.0, b": ", value.0, b"\r\n"] {
            self.0.extend_from_slice(part);
        }
    }

    /// Replaces all lines with this name, in any case, by one at the end.
    ///
    /// # Errors
    /// [`ReservedField`] for a header that the library alone writes. The block does not change.
    pub fn set(&mut self, name: FieldName<'_>, value: FieldValue<'_>) -> Result<(), ReservedField> {
        self.remove(name);
        self.push(name, value)
    }

    /// Removes all lines with this name, in any case, and returns how many there were.
    pub fn remove(&mut self, name: FieldName<'_>) -> usize {
        let (mut removed, mut kept, mut start) = (0, 0, 0);
        while let Some(length) = memchr(b'\n', &self.0[start..]) {
            let line = start..start + length + 1;
            start = line.end;
            if split(&self.0[line.clone()]).is_some_and(|(own, _)| own == name) {
                removed += 1;
            } else {
                self.0.copy_within(line.clone(), kept);
                kept += line.len();
            }
        }
        self.0.truncate(kept);
        removed
    }

    /// Adds the lines of another block after the others.
    pub fn append(&mut self, other: &FieldBlock) {
        self.0.extend_from_slice(&other.0);
    }

    /// Whether there are no lines.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the first line with this name, in any case.
    pub fn get(&self, name: FieldName<'_>) -> Option<FieldValue<'_>> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// Whether there is a line with this name, in any case.
    pub fn contains(&self, name: FieldName<'_>) -> bool {
        self.get(name).is_some()
    }

    /// The lines as they will be sent, each with its CRLF.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Removes all lines and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The lines in their order.
    pub fn iter(&self) -> impl Iterator<Item = (FieldName<'_>, FieldValue<'_>)> {
        self.0.split_inclusive(|&c| c == b'\n').filter_map(split)
    }
}

/// The name and value of a line of a [`FieldBlock`]. Both were checked when it was added.
fn split(line: &[u8]) -> Option<(FieldName<'_>, FieldValue<'_>)> {
    let line = line.strip_suffix(b"\r\n")?;
    let colon = memchr(b':', line)?;
    Some((FieldName(&line[..colon]), FieldValue(&line[colon + b": ".len()..])))
}

impl fmt::Debug for FieldBlock {
    /// Shows every header, but no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(redacted)).finish()
    }
}

/// The error for a header that a [`FieldBlock`] rejects, because the library alone writes it (R9112-6.1d).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error(
    "reserved header: the library alone writes Connection, Content-Length, Date, Host, Keep-Alive and Transfer-Encoding"
)]
pub struct ReservedField;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    // R9110-5.5, R9112-11.1, R1945-2.2a, V14
    #[test]
    fn value_cannot_contain_a_line_end() {
        for byte in 0..=255u8 {
            let value = [b'a', byte, b'b'];
            let ok = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
            assert_eq!(FieldValue::new(&value).is_ok(), ok, "{byte}");
        }
        for (raw, value) in [("", ""), ("  ", ""), ("\ta b ", "a b")] {
            assert_eq!(FieldValue::new(raw.as_bytes()).unwrap().as_bytes(), value.as_bytes());
        }
        assert_eq!(FieldValue::new(b"a\r\n"), Err(InvalidFieldValue), "blanks are trimmed, line ends are not");
    }

    // R1945-4.2a
    #[test]
    fn names_are_tokens_in_any_case() {
        assert_eq!(FieldName::new(b"host"), Ok(header::HOST));
        for bad in ["", "a b", "a:", "a\r", "X(1)", "caf\u{e9}"] {
            assert_eq!(FieldName::new(bad.as_bytes()), Err(InvalidFieldName), "{bad}");
        }
        let names = std::collections::HashSet::from([header::ETAG, header::HOST]);
        assert!(names.contains(&FieldName::from_static("etag")) && !names.contains(&header::TE));
        let name = FieldName::new(b"hoSt").unwrap();
        assert_eq!((format!("{name}"), format!("{name:?}")), ("hoSt".into(), "hoSt".into()), "in the given case");
    }

    // R9112-6.1d: no caller can send a transfer coding.
    #[test]
    fn only_the_library_writes_framing_headers() {
        let mut block = FieldBlock::new();
        for name in ["connection", "CONTENT-LENGTH", "Date", "host", "keep-alive", "transfer-encoding"] {
            let name = FieldName::new(name.as_bytes()).unwrap();
            assert_eq!(block.push(name, FieldValue::from_static("x")), Err(ReservedField));
            assert_eq!(block.set(name, FieldValue::from_static("x")), Err(ReservedField));
        }
        assert!(block.as_bytes().is_empty());
        block.push(header::ALLOW, FieldValue::from_static("GET")).unwrap();
        block.push(header::VARY, FieldValue::from_static("server: x")).unwrap();
        assert!(block.contains(FieldName::from_static("allow")) && block.contains(header::VARY));
        assert!(!block.contains(header::SERVER) && !block.contains(FieldName::from_static("GET")));
        let mut two = FieldBlock::new();
        two.append(&block);
        two.append(&block);
        assert_eq!(two.as_bytes(), block.as_bytes().repeat(2));
        block.clear();
        assert!(block.as_bytes().is_empty());
    }

    #[test]
    fn set_and_remove_match_whole_names_in_any_case() {
        let mut block = FieldBlock::new();
        assert_eq!(block.remove(header::VIA), 0);
        for (name, value) in [("Via", "a"), ("X-Via", "b"), ("vIA", "Via: c"), ("Vi", ""), ("VIA", "d")] {
            block.push(FieldName::new(name.as_bytes()).unwrap(), FieldValue::new(value.as_bytes()).unwrap()).unwrap();
        }
        let mut set = block.clone();
        set.set(FieldName::from_static("via"), FieldValue::from_static("e")).unwrap();
        assert_eq!(set.as_bytes(), b"X-Via: b\r\nVi: \r\nvia: e\r\n");
        assert_eq!(block.remove(header::VIA), 3);
        assert_eq!(block.as_bytes(), b"X-Via: b\r\nVi: \r\n");
        let lines: Vec<_> = block.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(lines, [("X-Via", &b"b"[..]), ("Vi", b"")]);
        assert_eq!(
            (block.get(FieldName::from_static("x-via")), block.get(header::VIA)),
            (Some(FieldValue(b"b")), None)
        );
        assert!(!block.is_empty() && FieldBlock::new().is_empty());
        assert_eq!((block.remove(FieldName::from_static("X-VIA")), block.remove(FieldName::from_static("VI"))), (1, 1));
        assert!(block.as_bytes().is_empty());
    }

    #[test]
    fn debug_of_a_block_shows_no_credentials() {
        let mut block = FieldBlock::new();
        block.push(header::AUTHORIZATION, FieldValue::from_static("Basic c2VjcmV0")).unwrap();
        block.push(header::ACCEPT_ENCODING, FieldValue::from_static("gzip")).unwrap();
        block.push(header::SET_COOKIE, FieldValue::from_static("")).unwrap();
        assert_eq!(
            format!("{block:?}"),
            r#"{Authorization: "(not shown)", Accept-Encoding: "gzip", Set-Cookie: "(not shown)"}"#
        );
    }
}
