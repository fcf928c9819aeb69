//! Paths: the part of a request-target that names something below a root. All percent-decoding happens here, once. It
//! knows no file system.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::grammar::{hex, is_plain_target_text, is_unreserved};
use crate::message::target_error::TargetError;

/// The path of a [`RequestHead`](crate::server::RequestHead), known to stay below its root.
///
/// Its `..` segments do not climb above the root, and no segment decodes to a slash or a control byte. It keeps the raw
/// bytes and decodes them on demand. It knows nothing about symlinks, nor about Windows, where a `:` or an encoded
/// backslash is more than a byte of a name: a program that opens files must itself keep these from leading out of the
/// root.
///
/// ```
/// use http_core::{Path, TargetError};
/// let path = Path::new(b"/a//b/%2e%2e/c%20d")?;
/// let mut name = Vec::new();
/// path.decode_to(&mut name);
/// assert_eq!(name, b"a/c d");
/// assert_eq!(Path::try_from("/../x"), Err(TargetError::EscapesRoot));
/// assert_eq!(Path::new(b"/..%2fx"), Err(TargetError::EncodedSeparator));
/// # Ok::<(), TargetError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path<'a>(&'a [u8]);

impl<'a> Path<'a> {
    /// Parses a percent-encoded path.
    ///
    /// # Errors
    /// [`TargetError::PercentEncoding`], [`TargetError::EncodedSeparator`] or [`TargetError::EscapesRoot`]. A path that
    /// climbs above the root is rejected, never clamped to it (R3986-5.2.4). Bytes that a [`Target`](crate::Target)
    /// must not hold are not checked here.
    pub fn new(raw: &'a [u8]) -> Result<Path<'a>, TargetError> {
        Path::read(raw, is_plain_target_text(raw))
    }

    /// Like [`Path::new`]; `plain` tells whether the path is [plain target text](is_plain_target_text).
    pub(crate) fn read(raw: &'a [u8], plain: bool) -> Result<Path<'a>, TargetError> {
        // Most paths have no segment that begins with a dot, and nothing to decode.
        if plain && !raw.starts_with(b".") && !has_dot_after_slash(raw) {
            return Ok(Path(raw));
        }
        let mut depth = 0usize;
        for segment in raw.split(|&c| c == b'/') {
            match dots(segment) {
                Some(Dots::Nothing | Dots::One) => {}
                Some(Dots::Two) => depth = depth.checked_sub(1).ok_or(TargetError::EscapesRoot)?,
                None => {
                    depth += 1;
                    for byte in decoded(segment) {
                        match byte {
                            None => return Err(TargetError::PercentEncoding),
                            Some(b'/' | 0..=0x1f | 0x7f) => return Err(TargetError::EncodedSeparator), // D14
                            Some(_) => {}
                        }
                    }
                }
            }
        }
        Ok(Path(raw))
    }

    /// A path that is known to be valid.
    pub(crate) const fn from_validated(raw: &'a [u8]) -> Path<'a> {
        Path(raw)
    }

    /// The decoded path, from its leading slash, with dot segments resolved and empty segments removed. It ends with a
    /// slash if the path [is a directory's](Self::is_directory). It is borrowed if nothing had to be changed.
    ///
    /// The result is safe to compare with the paths that a program serves: each of them has only one spelling
    /// (R1945-5.1.2b, R3986-5.2.4). It is bytes, not text: bytes 80–FF are kept as they are.
    ///
    /// ```
    /// use http_core::Path;
    /// assert_eq!(&*Path::new(b"/a//b/%2e%2e/c%20d/")?.decoded(), b"/a/c d/");
    /// match &*Path::new(b"/caf%C3%A9")?.decoded() {
    ///     b"/" => panic!("the start page"),
    ///     path => assert_eq!(str::from_utf8(path), Ok("/café")),
    /// }
    /// # Ok::<(), http_core::TargetError>(())
    /// ```
    pub fn decoded(&self) -> Cow<'a, [u8]> {
        if self.is_decoded() {
            return Cow::Borrowed(self.0);
        }
        let mut path = Vec::with_capacity(self.0.len() + 1);
        path.push(b'/');
        self.decode_to(&mut path);
        if path.len() > 1 && self.is_directory() {
            path.push(b'/');
        }
        Cow::Owned(path)
    }

    /// Whether the path is already what [`decoded`](Self::decoded) returns.
    fn is_decoded(&self) -> bool {
        let Some(relative) = self.0.strip_prefix(b"/") else { return false };
        let mut segments = relative.rsplit(|&c| c == b'/');
        let last = segments.next().unwrap_or_default();
        !relative.contains(&b'%')
            && matches!(dots(last), None | Some(Dots::Nothing))
            && segments.all(|segment| dots(segment).is_none())
    }

    /// Appends the decoded path to `out`, relative to a root. For the root itself it appends nothing.
    ///
    /// Segments are joined by `/`. There are no dot segments, no empty segments and no slash at either end. No segment
    /// holds a slash, a NUL or another control byte. So the result names something below the root, unless a symlink
    /// leads out of it, or a drive or a backslash on Windows (R1945-5.1.2b, R3986-5.2.4, V1–V6).
    ///
    /// The result is bytes, not text: 80–FF are kept as they are.
    pub fn decode_to(&self, out: &mut Vec<u8>) {
        let root = out.len();
        for segment in self.0.split(|&c| c == b'/') {
            match dots(segment) {
                Some(Dots::Nothing | Dots::One) => {}
                Some(Dots::Two) => {
                    let parent = out[root..].iter().rposition(|&c| c == b'/').unwrap_or(0);
                    out.truncate(root + parent);
                }
                None => {
                    if out.len() > root {
                        out.push(b'/');
                    }
                    match segment.contains(&b'%') {
                        true => out.extend(decoded(segment).flatten()),
                        false => out.extend_from_slice(segment), // most segments: one copy
                    }
                }
            }
        }
    }

    /// Whether the path names a directory: its last segment is empty, `.` or `..`, encoded or not.
    pub fn is_directory(&self) -> bool {
        let last = self.0.rsplit(|&c| c == b'/').next().unwrap_or_default();
        dots(last).is_some()
    }
}

try_from_bytes!(Path, new, TargetError);

impl fmt::Debug for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Like `all` in `grammar`, without an exit.
fn has_dot_after_slash(raw: &[u8]) -> bool {
    raw.iter().zip(raw.iter().skip(1)).fold(false, |found, two| found | (two == (&b'/', &b'.')))
}

enum Dots {
    Nothing,
    One,
    Two,
}

/// Whether a raw segment is empty, `.` or `..`, with its dots encoded or not. `None` for any other segment.
fn dots(segment: &[u8]) -> Option<Dots> {
    if segment.len() > "%2e%2e".len() {
        return None;
    }
    let mut dots = 0;
    for byte in decoded(segment) {
        if byte != Some(b'.') {
            return None;
        }
        dots += 1;
    }
    match dots {
        0 => Some(Dots::Nothing),
        1 => Some(Dots::One),
        2 => Some(Dots::Two),
        _ => None,
    }
}

/// The bytes, percent-decoded once (R3986-2.1, V2); `None` for a `%` without two hexadecimal digits.
pub(crate) fn decoded(raw: &[u8]) -> impl Iterator<Item = Option<u8>> {
    let mut rest = raw.iter().copied();
    core::iter::from_fn(move || {
        Some(match rest.next()? {
            b'%' => match (rest.next().and_then(hex), rest.next().and_then(hex)) {
                (Some(high), Some(low)) => Some(high << 4 | low),
                _ => None,
            },
            byte => Some(byte),
        })
    })
}

/// Appends a path segment to `out`, percent-encoded for use in any URL.
///
/// All bytes except ASCII letters, digits and `-._~` are encoded (RFC 3986 §2.3), with upper-case digits. A slash
/// becomes `%2F`, so encode segment by segment and join with `/`.
///
/// ```
/// let mut href = String::new();
/// http_core::percent_encode(b"100 %/\xff.html", &mut href);
/// assert_eq!(href, "100%20%25%2F%FF.html");
/// ```
pub fn percent_encode(segment: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in segment {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R1945-5.1.2b, R3986-2.1, R3986-5.2.4, D13, D14, V1, V2, V3, V4, V5, V6
    #[test]
    fn path_resolves_below_the_root_or_is_rejected() {
        for (raw, expected) in [
            ("/", Ok("")),
            ("", Ok("")),
            ("/a/b", Ok("a/b")),
            ("//a///b/", Ok("a/b")),
            ("/./a/./b/.", Ok("a/b")),
            ("/a/../b", Ok("b")),
            ("/a/b/c/../../d", Ok("a/d")),
            ("/a/..", Ok("")),
            ("/a/%2e%2E/b", Ok("b")),
            ("/..a/...", Ok("..a/...")),
            ("/%252e%252e", Ok("%2e%2e")),
            ("/Hello%57orld", Ok("HelloWorld")),
            ("/%5c..%5c:%c0", Ok("\\..\\:\u{fffd}")),
            ("//etc/passwd", Ok("etc/passwd")),
            ("/a^{|}[]`", Ok("a^{|}[]`")),
            ("a", Ok("a")),
            ("./a", Ok("a")),
            ("..", Err(TargetError::EscapesRoot)),
            ("/..", Err(TargetError::EscapesRoot)),
            ("/a/../../b", Err(TargetError::EscapesRoot)),
            ("/.%2e/x", Err(TargetError::EscapesRoot)),
            ("/a%", Err(TargetError::PercentEncoding)),
            ("/a%2", Err(TargetError::PercentEncoding)),
            ("/a%zz", Err(TargetError::PercentEncoding)),
            ("/%", Err(TargetError::PercentEncoding)),
            ("/a%2fb", Err(TargetError::EncodedSeparator)),
            ("/a%00", Err(TargetError::EncodedSeparator)),
            ("/a%0a", Err(TargetError::EncodedSeparator)),
            ("/a%7f", Err(TargetError::EncodedSeparator)),
        ] {
            let decoded = Path::new(raw.as_bytes()).map(|path| {
                let mut out = Vec::new();
                path.decode_to(&mut out);
                String::from_utf8_lossy(&out).into_owned()
            });
            assert_eq!(decoded.as_deref(), expected.as_ref().map(|s| *s), "{raw}");
        }
        assert_eq!(alloc::format!("{:?}", Path::new(b"/a%20b")), "Ok(\"/a%20b\")", "the raw path");
    }

    // R1945-5.1.2b, R3986-5.2.4, D14, V1
    #[test]
    fn decoded_path_has_one_spelling_and_is_borrowed_if_received_in_it() {
        for (raw, decoded, borrowed) in [
            ("/", "/", true),
            ("/a/b", "/a/b", true),
            ("/a/b/", "/a/b/", true),
            ("/.well-known/...", "/.well-known/...", true),
            ("", "/", false),
            ("a", "/a", false),
            ("//", "/", false),
            ("/.", "/", false),
            ("/a//b", "/a/b", false),
            ("/a/b//", "/a/b/", false),
            ("/a/b/.", "/a/b/", false),
            ("/a/b/..", "/a/", false),
            ("/a/./../b", "/b", false),
            ("/a/%2E%2e/", "/", false),
            ("/%61dmin", "/admin", false),
            ("/%41/%25", "/A/%", false),
        ] {
            let path = Path::new(raw.as_bytes()).unwrap().decoded();
            assert_eq!(path, decoded.as_bytes(), "{raw}");
            assert_eq!(matches!(path, Cow::Borrowed(_)), borrowed, "{raw}");
        }
    }

    #[test]
    fn directory_path_ends_with_a_slash_or_dots() {
        for (raw, directory) in
            [("/", true), ("/a/", true), ("/a/b/%2E.", true), ("/a/.", true), ("/a", false), ("/a/...", false)]
        {
            assert_eq!(Path::new(raw.as_bytes()).unwrap().is_directory(), directory, "{raw}");
        }
    }

    #[test]
    fn decoding_undoes_encoding() {
        let name: Vec<u8> = (0x20..=0xff).filter(|&c| c != b'/' && c != 0x7f).collect();
        let mut href = String::from("/");
        percent_encode(&name, &mut href);
        let mut back = Vec::new();
        Path::new(href.as_bytes()).unwrap().decode_to(&mut back);
        assert_eq!(back, name);
    }
}
