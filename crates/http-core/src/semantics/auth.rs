//! Basic authentication (RFC 1945 §11, RFC 7617): parses and writes credentials and challenges, and compares secrets in
//! constant time. It makes no decision about access.
//!
//! ```
//! use http_core::FieldValue;
//! use http_core::auth::{Basic, basic_challenge};
//! let value = FieldValue::from_static("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
//! let credentials = Basic::parse(value)?;
//! assert_eq!(credentials.user(), b"Aladdin");
//! assert_eq!(credentials.password(), b"open sesame");
//! assert_eq!(basic_challenge("WallyWorld").unwrap(), "Basic realm=\"WallyWorld\"");
//! # Ok::<(), http_core::auth::InvalidCredentials>(())
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::hint::black_box;
use core::str::FromStr;

use thiserror::Error;

use crate::message::field::{FieldValue, Fields, header};
use crate::message::target::Authority;
use crate::semantics::url::Origin;
use crate::wire::grammar::{is_token, trim};

/// A user and a password (RFC 1945 §11.1, RFC 7617 §2). Neither holds a control byte, and the user holds no colon.
///
/// There is no `==`: use [`constant_time_eq`].
#[derive(Clone)]
pub struct Basic {
    /// `user ":" password`
    bytes: Vec<u8>,
    colon: usize,
}

impl Basic {
    /// Credentials to be sent.
    ///
    /// # Errors
    /// [`InvalidCredentials`] if the user holds a colon, or either of the two a control byte. No server could read them.
    ///
    /// ```
    /// use http_core::auth::Basic;
    /// assert!(Basic::new(b"Aladdin", b"open:sesame").is_ok());
    /// assert!(Basic::new(b"Ala:ddin", b"open sesame").is_err());
    /// ```
    pub fn new(user: &[u8], password: &[u8]) -> Result<Basic, InvalidCredentials> {
        match Basic::split([user, b":", password].concat()) {
            Some(credentials) if credentials.colon == user.len() => Ok(credentials),
            _ => Err(InvalidCredentials),
        }
    }

    /// Reads the value of an Authorization field.
    ///
    /// The scheme stands in any case, the base64 in the one spelling that RFC 4648 §4 gives it, padding included, so
    /// that no two of them say the same (R1945-11.1).
    ///
    /// # Errors
    /// [`InvalidCredentials`] if it holds no such credentials. The field then counts as absent (R1945-10.2).
    pub fn parse(value: FieldValue<'_>) -> Result<Basic, InvalidCredentials> {
        Basic::read(value.as_bytes()).ok_or(InvalidCredentials)
    }

    fn read(value: &[u8]) -> Option<Basic> {
        let (scheme, rest) = value.split_at_checked(5)?;
        let cookie = rest.trim_ascii_start();
        let blanks = &rest[..rest.len() - cookie.len()];
        if !scheme.eq_ignore_ascii_case(b"Basic") || blanks.is_empty() || blanks.contains(&b'\t') {
            return None;
        }
        Basic::split(from_base64(cookie)?)
    }

    /// The user, possibly empty.
    pub fn user(&self) -> &[u8] {
        &self.bytes[..self.colon]
    }

    /// The password, possibly empty. It may hold colons.
    pub fn password(&self) -> &[u8] {
        &self.bytes[self.colon + 1..]
    }

    /// Appends the value of an Authorization header; the appended bytes are always a valid [`FieldValue`].
    ///
    /// ```
    /// let mut value = Vec::new();
    /// http_core::auth::Basic::new(b"Aladdin", b"open sesame").unwrap().append_to(&mut value);
    /// assert_eq!(value, b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    /// ```
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Basic ");
        to_base64(&self.bytes, out);
    }

    fn split(bytes: Vec<u8>) -> Option<Basic> {
        let colon = bytes.iter().position(|&c| c == b':')?; // R1945-11.1: the first
        let has_control = bytes.iter().any(u8::is_ascii_control);
        (!has_control).then_some(Basic { bytes, colon })
    }
}

/// The error of [`Basic`] credentials that cannot be read or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("invalid credentials: expected Basic and base64 of \"user:password\", without control characters")]
pub struct InvalidCredentials;

impl TryFrom<&[u8]> for Basic {
    type Error = InvalidCredentials;

    fn try_from(value: &[u8]) -> Result<Basic, InvalidCredentials> {
        Basic::read(value).ok_or(InvalidCredentials)
    }
}

impl TryFrom<&str> for Basic {
    type Error = InvalidCredentials;

    fn try_from(value: &str) -> Result<Basic, InvalidCredentials> {
        Basic::try_from(value.as_bytes())
    }
}

impl FromStr for Basic {
    type Err = InvalidCredentials;

    fn from_str(value: &str) -> Result<Basic, InvalidCredentials> {
        Basic::try_from(value)
    }
}

impl fmt::Debug for Basic {
    /// Shows the user but not the password (R1945-12.3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Basic {{ user: \"{}\", password: (not shown) }}", self.user().escape_ascii())
    }
}

/// The value of a WWW-Authenticate header that asks for Basic credentials (R1945-9.4d, R1945-11a, R9110-11.6.1).
///
/// # Errors
/// [`InvalidRealm`] if the realm holds anything but visible ASCII and blanks, or a quote or a backslash. HTTP/1.0 knows no
/// escapes in quoted strings, and HTTP/1.1 reads them, so such a realm would not be the same to all (R1945-2.2d).
pub fn basic_challenge(realm: &str) -> Result<String, InvalidRealm> {
    let readable = realm.bytes().all(|c| matches!(c, b' '..=b'~') && c != b'"' && c != b'\\');
    if readable { Ok(["Basic realm=\"", realm, "\""].concat()) } else { Err(InvalidRealm) }
}

/// The error of a realm that [`basic_challenge`] cannot quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("invalid realm: expected visible ASCII and blanks, without quotes and backslashes")]
pub struct InvalidRealm;

/// A challenge of a server that wants to know who asks (RFC 1945 §11, RFC 9110 §11.3): a scheme, and mostly a realm.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Challenge<'a> {
    scheme: &'a [u8],
    realm: Option<&'a [u8]>,
}

impl<'a> Challenge<'a> {
    /// The scheme as received. It is case-insensitive.
    pub fn scheme(&self) -> &'a str {
        str::from_utf8(self.scheme).unwrap_or_default() // a token is ASCII
    }

    /// Whether the scheme is `Basic`, in any case (R1945-11.1): the server accepts [`Basic`] credentials.
    pub fn is_basic(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"Basic")
    }

    /// The raw bytes of the realm without its quotes, not necessarily ASCII. `None` if the challenge has no realm.
    pub const fn realm(&self) -> Option<&'a [u8]> {
        self.realm
    }
}

impl fmt::Debug for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.scheme())?;
        self.realm.map_or(Ok(()), |realm| write!(f, " realm=\"{}\"", realm.escape_ascii()))
    }
}

/// The most challenges that are read; later ones are ignored.
const MAX_CHALLENGES: usize = 16;

/// The challenges in the WWW-Authenticate headers of a response, in order and at most 16 (R1945-10.16).
///
/// Malformed challenges are skipped. So are those with two realms or with a backslash in the realm, which HTTP/1.0 and
/// 1.1 read differently (R1945-2.2d). Other parameters are parsed and dropped. The work is linear in the length of the
/// headers.
///
/// ```
/// # use http_core::{client::{Connection, Event, Request}, Authority, FieldBlock, Limits, Method, Target};
/// use http_core::auth::challenges;
/// # let mut connection = Connection::new(Limits::default());
/// # let (host, fields) = (Authority::new(b"example.org").unwrap(), FieldBlock::new());
/// # let _no_body = connection.request(&Request::new(Method::Get, Target::new(b"/")?, host, &fields), &mut Vec::new())?;
/// # let head = b"HTTP/1.0 401 x\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"x,y\", Basic realm=\"b\"\r\n\r\n";
/// # connection.receive_buffer()[..head.len()].copy_from_slice(head);
/// # connection.received(head.len());
/// # let Ok(Event::Response(response)) = connection.poll() else { unreachable!() };
/// // WWW-Authenticate: Digest realm="a", nonce="x,y", Basic realm="b"
/// let basic = challenges(&response.fields).find(|challenge| challenge.is_basic()).unwrap();
/// assert_eq!(basic.realm(), Some(&b"b"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn challenges<'a>(fields: &Fields<'a>) -> impl Iterator<Item = Challenge<'a>> + use<'a> {
    fields.get_all(header::WWW_AUTHENTICATE).flat_map(|value| challenges_in(value.as_bytes())).take(MAX_CHALLENGES)
}

/// The scope of credentials: one realm on one server (RFC 1945 §11, RFC 9110 §11.5, R1945-11b). A client stores
/// credentials under this key.
///
/// ```
/// use http_core::Authority;
/// use http_core::auth::ProtectionSpace;
/// let space = |host, realm| ProtectionSpace::new(Authority::new(host).unwrap(), realm);
/// assert_eq!(space(b"example.org", b"cellar"), space(b"EXAMPLE.org:80", b"cellar"));
/// assert_ne!(space(b"example.org", b"cellar"), space(b"example.org", b"Cellar"));
/// assert_ne!(space(b"example.org", b"cellar"), space(b"example.org:8080", b"cellar"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtectionSpace {
    origin: Origin,
    realm: Vec<u8>,
}

impl ProtectionSpace {
    /// The space of this realm on this server. Realms are compared byte by byte.
    pub fn new(host: Authority<'_>, realm: &[u8]) -> ProtectionSpace {
        ProtectionSpace { origin: Origin::new(host), realm: realm.to_vec() }
    }
}

/// Whether the bytes are equal. The time it takes depends only on the two lengths (V19).
///
/// The lengths are not hidden. To hide the length of a password, compare digests.
///
/// ```
/// assert!(http_core::auth::constant_time_eq(b"secret", b"secret"));
/// assert!(!http_core::auth::constant_time_eq(b"secret", b"secreT"));
/// ```
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    // `black_box` keeps the compiler from leaving the loop as soon as the result is known.
    a.len() == b.len() && a.iter().zip(b).fold(0, |differences, (a, b)| black_box(differences | (a ^ b))) == 0
}

/// A challenge whose parameters are still being read.
struct PartialChallenge<'a> {
    challenge: Challenge<'a>,
    is_sound: bool,
}

impl<'a> PartialChallenge<'a> {
    fn finish(self) -> Option<Challenge<'a>> {
        self.is_sound.then_some(self.challenge)
    }

    fn add(&mut self, (name, value): (&[u8], &'a [u8])) {
        if name.eq_ignore_ascii_case(b"realm") {
            self.is_sound &= self.challenge.realm.is_none() && !value.contains(&b'\\'); // R1945-2.2d
            self.challenge.realm = Some(value);
        }
    }
}

/// The challenges in one header. Commas separate both the challenges and the parameters of each.
fn challenges_in<'a>(value: &'a [u8]) -> impl Iterator<Item = Challenge<'a>> {
    let mut rest = value;
    let mut current: Option<PartialChallenge<'a>> = None;
    core::iter::from_fn(move || {
        while let Some(element) = next_element(&mut rest) {
            if let Some(parameter) = parameter(element) {
                if let Some(challenge) = &mut current {
                    challenge.add(parameter);
                }
            } else if let Some(next) = challenge_start(element) {
                if let Some(challenge) = current.replace(next).and_then(PartialChallenge::finish) {
                    return Some(challenge);
                }
            } else if let Some(challenge) = &mut current {
                challenge.is_sound = false;
            }
        }
        current.take().and_then(PartialChallenge::finish)
    })
}

/// Takes the next element, up to a comma outside quotes. Empty elements are skipped (R1945-2.1).
fn next_element<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    while let [b',' | b' ' | b'\t', after @ ..] = rest {
        *rest = after;
    }
    let (mut quoted, mut escaped) = (false, false);
    let ends = |&c: &u8| {
        let is_escaped = escaped;
        escaped = quoted && !is_escaped && c == b'\\';
        quoted ^= c == b'"' && !is_escaped;
        c == b',' && !quoted
    };
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    let (element, after) = rest.split_at(length);
    *rest = after;
    (length > 0).then_some(trim(element))
}

/// Parses `auth-scheme [ 1*SP ( token68 / auth-param ) ]`. A scheme followed by anything else starts an unsound
/// challenge.
fn challenge_start(element: &[u8]) -> Option<PartialChallenge<'_>> {
    let (scheme, rest) = token_at_front(element)?;
    let mut start = PartialChallenge { challenge: Challenge { scheme, realm: None }, is_sound: true };
    match rest {
        [] => {}
        [b' ' | b'\t', rest @ ..] if !trim(rest).starts_with(b"=") => match parameter(trim(rest)) {
            Some(parameter) => start.add(parameter),
            None => start.is_sound = is_token68(trim(rest)),
        },
        _ => return None,
    }
    Some(start)
}

/// Parses `token BWS "=" BWS ( token / quoted-string )`. The value loses its quotes and keeps its backslashes.
fn parameter(element: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = token_at_front(element)?;
    let value = trim(trim(rest).strip_prefix(b"=")?);
    match value {
        [b'"', inner @ .., b'"'] => is_quotable(inner).then_some((name, inner)),
        _ => is_token(value).then_some((name, value)),
    }
}

/// Whether the text is the inside of one quoted string: no quote in it ends the string, and no backslash escapes the
/// closing quote.
fn is_quotable(inner: &[u8]) -> bool {
    let mut escaped = false;
    let has_end = inner.iter().any(|&c| {
        let is_escaped = escaped;
        escaped = !is_escaped && c == b'\\';
        c == b'"' && !is_escaped
    });
    !has_end && !escaped
}

fn token_at_front(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = text.iter().position(|&c| !is_token(&[c])).unwrap_or(text.len());
    (length > 0).then(|| text.split_at(length))
}

/// Whether the text is `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_token68(text: &[u8]) -> bool {
    let digits = text.iter().position(|&c| c == b'=').unwrap_or(text.len());
    let (digits, padding) = text.split_at(digits);
    let is_digit = |c: &u8| c.is_ascii_alphanumeric() || b"-._~+/".contains(c);
    !digits.is_empty() && digits.iter().all(is_digit) && padding.iter().all(|&c| c == b'=')
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(bytes: &[u8], out: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize % 64];
            out.push(if place <= group.len() { digit } else { b'=' });
        }
    }
}

fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, []) = text.as_chunks::<4>() else { return None };
    let mut bytes = Vec::with_capacity(groups.len() * 3);
    for (index, group) in groups.iter().enumerate() {
        let padding = match group {
            [_, _, b'=', b'='] => 2,
            [_, _, _, b'='] => 1,
            _ => 0,
        };
        if padding > 0 && index + 1 < groups.len() {
            return None;
        }
        let mut bits = 0;
        for &digit in &group[..4 - padding] {
            bits = bits << 6 | sextet(digit)?;
        }
        bits <<= 6 * padding;
        let [_, decoded @ ..] = bits.to_be_bytes();
        let (decoded, beyond) = decoded.split_at(3 - padding);
        // Unused bits must be zero, or a byte would have several encodings.
        if beyond.iter().any(|&byte| byte != 0) {
            return None;
        }
        bytes.extend_from_slice(decoded);
    }
    Some(bytes)
}

fn sextet(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    fn parse(value: &str) -> Option<(String, String)> {
        let credentials = Basic::parse(FieldValue::new(value.as_bytes()).ok()?).ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((text(credentials.user()), text(credentials.password())))
    }

    // R1945-11.1, R1945-10.2
    #[test]
    fn basic_credentials_are_parsed_strictly() {
        for (value, user, password) in [
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"),
            ("bASIC QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"),
            ("Basic    YTpi", "a", "b"),
            ("Basic YTpiOmM=", "a", "b:c"),
            ("Basic Og==", "", ""),
            ("Basic Ojo=", "", ":"),
            ("Basic YTo=", "a", ""),
            ("Basic w6k6w7w=", "\u{e9}", "\u{fc}"),
        ] {
            assert_eq!(parse(value), Some((user.into(), password.into())), "{value}");
        }
        for bad in [
            "",
            "Basic",
            "Basic ",
            "Basic YTpi YTpi",
            "Basic\tYTpi",
            "BasicYTpi",
            "Basic=YTpi",
            "Bearer YTpi",
            "Basi YTpi",
            "Digest username=\"a\"",
            "Basic YTpi,",
            "Basic YQ==",     // no colon
            "Basic YTo",      // no padding
            "Basic YTpi=",    // too much padding
            "Basic YTpi====", // an empty group
            "Basic Og==YTpi", // padding in the middle
            "Basic O===",
            "Basic =Og=",
            "Basic ====",
            "Basic Oh==", // bits beyond the byte
            "Basic YTp=", // the same
            "Basic YTp-", // the other alphabet
            "Basic YTpi\u{e9}",
            "Basic YTpiDQo=", // CR LF
            "Basic AGE6Yg==", // NUL
            "Basic YTp/",     // DEL
            "Basic CTpi",     // HTAB
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        for (user, password, ok) in [
            ("a", "b", true),
            ("", "", true),
            ("a:b", "c", false),
            ("a", "b:c", true),
            ("a\n", "b", false),
            ("a", "\0", false),
        ] {
            assert_eq!(Basic::new(user.as_bytes(), password.as_bytes()).is_ok(), ok, "{user:?} {password:?}");
        }
    }

    // R1945-12.3
    #[test]
    fn debug_shows_no_password() {
        let shown = format!("{:?}", Basic::new("Al\u{e9}".as_bytes(), b"sesame").unwrap());
        assert_eq!(shown, "Basic { user: \"Al\\xc3\\xa9\", password: (not shown) }");
    }

    // R1945-11a, R1945-2.2d
    #[test]
    fn basic_challenge_rejects_realms_that_need_quoting() {
        assert_eq!(basic_challenge("").unwrap(), "Basic realm=\"\"");
        assert_eq!(basic_challenge("The cellar, left").unwrap(), "Basic realm=\"The cellar, left\"");
        for bad in ["a\"b", "a\\b", "a\r\nSet-Cookie: b", "a\0", "a\tb", "\u{7f}", "caf\u{e9}"] {
            assert_eq!(basic_challenge(bad), Err(InvalidRealm), "{bad:?}");
        }
    }

    fn with_fields<T>(lines: &str, f: impl Fn(&Fields<'_>) -> T) -> T {
        let head = format!("{}\r\n\r\n", lines.replace('|', "\r\n"));
        let mut index = crate::wire::field_index::FieldIndex::new();
        crate::wire::parse::fields(head.as_bytes(), 0, 99, &mut index).unwrap();
        f(&Fields::new(head.as_bytes(), &index))
    }

    // R1945-10.16, R1945-2.1, R1945-2.2d
    #[test]
    fn challenges_are_parsed_and_malformed_ones_skipped() {
        for (lines, expected) in [
            ("X: y", &[][..]),
            ("W:", &[]),
            ("W: ,\t,", &[]),
            ("W: Basic realm=\"a\"", &["Basic realm=\"a\""]),
            ("W: bASIC  REALM = \"a b\" ", &["bASIC realm=\"a b\""]),
            ("W: Basic realm=\"\"", &["Basic realm=\"\""]),
            ("W: Basic realm=a", &["Basic realm=\"a\""]),
            ("W: Basic realm=\"caf\u{e9}\"", &["Basic realm=\"caf\\xc3\\xa9\""]),
            ("W: Basic realm=\"a, Digest realm=b\"", &["Basic realm=\"a, Digest realm=b\""]),
            ("W: Basic charset=\"UTF-8\", realm=\"a\"", &["Basic realm=\"a\""]),
            ("W: Basic realm=\"a\", charset=\"UTF-8\", x = y ,", &["Basic realm=\"a\""]),
            // Several challenges, in one header and in several.
            ("W: Basic realm=\"a\", Basic realm=\"b\"", &["Basic realm=\"a\"", "Basic realm=\"b\""]),
            ("W: Basic realm=\"a\"|X: y|w: Basic realm=\"b\"", &["Basic realm=\"a\"", "Basic realm=\"b\""]),
            ("W: Negotiate|W: Basic realm=\"a\"", &["Negotiate", "Basic realm=\"a\""]),
            ("W: Negotiate, Basic realm=\"a\"", &["Negotiate", "Basic realm=\"a\""]),
            ("W: Negotiate abc+/==,Basic realm=\"a\"", &["Negotiate", "Basic realm=\"a\""]),
            (
                "W: Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\"",
                &["Newauth realm=\"apps\"", "Basic realm=\"simple\""],
            ),
            (
                "W: ,, Digest qop=\"auth, auth-int\", nonce=\"x\", realm=\"a\",, Basic realm=\"b\",",
                &["Digest realm=\"a\"", "Basic realm=\"b\""],
            ),
            // Only the malformed challenge is skipped.
            ("W: realm=\"a\"", &[]),
            ("W: realm=\"a\", Basic realm=\"b\"", &["Basic realm=\"b\""]),
            ("W: Basic|W: realm=\"a\"", &["Basic"]),
            ("W: \"Basic\", Basic realm=\"b\"", &["Basic realm=\"b\""]),
            ("W: Basic realm=\"a", &[]),
            ("W: Basic realm=\"a|W: Basic realm=\"b\"", &["Basic realm=\"b\""]),
            ("W: Basic realm=\"a\\\"", &[]),
            ("W: Basic realm=\"a\"b\"", &[]),
            ("W: Basic realm=\"a\" x", &[]),
            ("W: Basic realm=\"a\" Basic realm=\"b\", Basic realm=\"c\"", &["Basic realm=\"c\""]),
            ("W: Basic realm=\"a\", x=\", Basic realm=b", &[]),
            ("W: Basic realm=\"a\", x = y z, Basic realm=\"b\"", &["Basic realm=\"b\""]),
            ("W: Basic realm=\"a\", =x, Basic realm=\"b\"", &["Basic realm=\"b\""]),
            ("W: Basic realm=\"a\", realm=\"b\", Digest realm=\"c\"", &["Digest realm=\"c\""]),
            ("W: Basic realm=\"a\", Realm=\"a\"", &[]),
            ("W: Basic realm=\"a\\b\"", &[]),
            ("W: Basic realm=\"a\\\"b\", Basic realm=\"c\"", &["Basic realm=\"c\""]),
            ("W: Basic realm=a b", &[]),
            ("W: Ba/sic realm=\"a\"", &[]),
            ("W: Basic;realm=\"a\"", &[]),
        ] {
            let lines = lines.replace("W:", "WWW-Authenticate:").replace("w:", "www-authenticate:");
            let got = with_fields(&lines, |fields| challenges(fields).map(|c| format!("{c:?}")).collect::<Vec<_>>());
            assert_eq!(got, expected, "{lines}");
        }
        // Only the first 16 count.
        let many = format!("WWW-Authenticate: {}", "x,".repeat(999));
        assert_eq!(with_fields(&many, |fields| challenges(fields).count()), MAX_CHALLENGES);
    }

    // R1945-11b
    #[test]
    fn credentials_stay_within_their_server_and_realm() {
        let space =
            |host: &str, realm: &str| ProtectionSpace::new(Authority::new(host.as_bytes()).unwrap(), realm.as_bytes());
        for (host, realm, same) in [
            ("h", "a", true),
            ("H:80", "a", true),
            ("h:", "a", true),
            ("h", "A", false),
            ("h", "a ", false),
            ("h", "", false),
            ("h:81", "a", false),
            ("www.h", "a", false),
            ("h.evil.example", "a", false),
        ] {
            assert_eq!(space(host, realm) == space("h", "a"), same, "{host} {realm}");
        }
    }

    // RFC 4648 §10
    #[test]
    fn base64_matches_the_test_vectors() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut out = Vec::new();
            to_base64(bytes.as_bytes(), &mut out);
            assert_eq!(out, text.as_bytes());
            assert_eq!(from_base64(text.as_bytes()).unwrap(), bytes.as_bytes());
        }
    }

    proptest! {
        // R1945-10.16, R1945-11a: a written challenge is read back, whatever the header before it holds.
        #[test]
        fn challenge_is_read_as_written(realm in "[ !#-\\[\\]-~]{0,9}", before in "[a \",=\\\\]{0,9}") {
            let realm = realm.replace('|', "!"); // `|` separates the lines here
            let lines = format!("WWW-Authenticate: {before}|WWW-Authenticate: {}", basic_challenge(&realm).unwrap());
            with_fields(&lines, |fields| {
                let last = challenges(fields).last().unwrap();
                assert_eq!((last.is_basic(), last.realm()), (true, Some(realm.as_bytes())), "{lines}");
            });
        }

        #[test]
        fn decoding_undoes_encoding(bytes: Vec<u8>) {
            let mut text = Vec::new();
            to_base64(&bytes, &mut text);
            prop_assert_eq!(from_base64(&text), Some(bytes));
        }

        // No bytes have two encodings.
        #[test]
        fn encoding_undoes_decoding(text in "[A-D+/=]{0,12}") {
            if let Some(bytes) = from_base64(text.as_bytes()) {
                let mut again = Vec::new();
                to_base64(&bytes, &mut again);
                prop_assert_eq!(again, text.as_bytes());
            }
        }

        // V19: the result; the loop alone determines the time.
        #[test]
        fn constant_time_eq_agrees_with_eq(a in "[ab]{0,4}", b in "[ab]{0,4}") {
            prop_assert_eq!(constant_time_eq(a.as_bytes(), b.as_bytes()), a == b);
        }
    }
}
