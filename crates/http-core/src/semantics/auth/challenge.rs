//! Challenges: what WWW-Authenticate asks for, and for which protection space.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::grammar::{TCHAR, is_token, span, trim};
use crate::message::field::{Fields, header};
use crate::message::target::Authority;
use crate::semantics::url::Origin;

/// The value of a WWW-Authenticate header that asks for Basic credentials (R1945-9.4d, R1945-11a, R9110-11.6.1).
///
/// # Errors
/// [`InvalidRealm`] if the realm holds a quote, a backslash, or anything but visible ASCII and blanks. Quoted strings
/// have escapes in HTTP/1.1 but not in HTTP/1.0, so recipients would read such a realm differently (R1945-2.2d).
pub fn basic_challenge(realm: &str) -> Result<String, InvalidRealm> {
    let readable = realm.bytes().all(|c| matches!(c, b' '..=b'~') && c != b'"' && c != b'\\');
    if readable { Ok(["Basic realm=\"", realm, "\""].concat()) } else { Err(InvalidRealm) }
}

/// The error for a realm that [`basic_challenge`] cannot quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("invalid realm: expected visible ASCII and blanks, without quotes and backslashes")]
pub struct InvalidRealm;

/// A server's request for credentials (RFC 1945 §11, RFC 9110 §11.3): a scheme, and usually a realm.
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

    /// Whether the scheme is `Basic`, in any case (R1945-11.1): the server accepts [`Basic`](super::Basic) credentials.
    pub fn is_basic(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"Basic")
    }

    /// The raw bytes of the realm without its quotes, not necessarily ASCII. `None` if the challenge has no realm, or one
    /// that should have quotes and has none, such as `realm=My Router`.
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

/// The maximum number of challenges. Later ones are ignored.
const MAX_CHALLENGES: usize = 16;

/// The challenges in the WWW-Authenticate headers of a response, in order and at most 16 (R1945-10.16).
///
/// Malformed challenges are skipped. So are those with two realms or with a backslash in the realm, which HTTP/1.0 and
/// 1.1 read differently (R1945-2.2d). Other parameters are parsed and dropped, and so is a value that lacks its quotes:
/// the challenge still asks for its scheme. The work is linear in the length of the headers.
///
/// ```
/// # use http_core::{client::{Connection, Event, Request}, Authority, FieldBlock, Limits, Method, Target};
/// use http_core::auth::challenges;
/// # let mut connection = Connection::new(Limits::default());
/// # let (host, fields) = (Authority::new(b"example.org").unwrap(), FieldBlock::new());
/// # let _no_body = connection.request(&Request::new(Method::Get, Target::new(b"/")?, host, &fields), &mut Vec::new())?;
/// # let head = b"HTTP/1.0 401 x\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"x,y\", Basic realm=\"b\"\r\n\r\n";
/// # connection.receive(head);
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

/// A challenge whose parameters are still being read.
struct PartialChallenge<'a> {
    challenge: Challenge<'a>,
    has_realm: bool,
    is_sound: bool,
}

impl<'a> PartialChallenge<'a> {
    fn finish(self) -> Option<Challenge<'a>> {
        self.is_sound.then_some(self.challenge)
    }

    fn add(&mut self, (name, value): (&[u8], Option<&'a [u8]>)) {
        if name.eq_ignore_ascii_case(b"realm") {
            self.is_sound &= !self.has_realm && value.is_none_or(|value| !value.contains(&b'\\')); // R1945-2.2d
            self.has_realm = true;
            self.challenge.realm = value;
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

/// Removes and returns the next element, up to a comma outside quotes. Empty elements are skipped (R1945-2.1).
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
    let mut start = PartialChallenge { challenge: Challenge { scheme, realm: None }, has_realm: false, is_sound: true };
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

/// Parses `token BWS "=" BWS ( token / quoted-string )`. The value loses its quotes and keeps its backslashes. It is
/// `None` if it needs quotes and has none, as in the challenges of some devices.
fn parameter(element: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let (name, rest) = token_at_front(element)?;
    let value = trim(trim(rest).strip_prefix(b"=")?);
    match value {
        [b'"', inner @ .., b'"'] => is_quotable(inner).then_some((name, Some(inner))),
        _ if value.contains(&b'"') => None,
        _ => Some((name, Some(value).filter(|value| is_token(value)))),
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
    text.split_at_checked(span::<TCHAR>(text)).filter(|(token, _)| !token.is_empty())
}

/// Whether the text is `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_token68(text: &[u8]) -> bool {
    let digits = text.iter().position(|&c| c == b'=').unwrap_or(text.len());
    let (digits, padding) = text.split_at(digits);
    let is_digit = |c: &u8| c.is_ascii_alphanumeric() || b"-._~+/".contains(c);
    !digits.is_empty() && digits.iter().all(is_digit) && padding.iter().all(|&c| c == b'=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

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
        let mut index = crate::message::field_index::FieldIndex::new();
        crate::wire::parse::fields(head.as_bytes(), 0, &mut index).unwrap();
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
            ("W: Basic realm=\"a\", =x, Basic realm=\"b\"", &["Basic realm=\"b\""]),
            ("W: Basic realm=\"a\", realm=\"b\", Digest realm=\"c\"", &["Digest realm=\"c\""]),
            ("W: Basic realm=\"a\", Realm=\"a\"", &[]),
            ("W: Basic realm=\"a\\b\"", &[]),
            ("W: Basic realm=\"a\\\"b\", Basic realm=\"c\"", &["Basic realm=\"c\""]),
            // Without its quotes, a value says nothing, but the scheme is clear.
            ("W: Basic realm=a b", &["Basic"]),
            ("W: Basic realm=My Router, Digest realm=\"b\"", &["Basic", "Digest realm=\"b\""]),
            ("W: Basic realm=http://h:80/a?b", &["Basic"]),
            ("W: Basic realm=caf\u{e9}", &["Basic"]),
            ("W: Basic realm=", &["Basic"]),
            ("W: Basic realm=a\\b", &["Basic"]),
            ("W: Basic realm=\"a\", x = y z, Basic realm=\"b\"", &["Basic realm=\"a\"", "Basic realm=\"b\""]),
            ("W: Digest nonce=a b, realm=\"a\"", &["Digest realm=\"a\""]),
            ("W: Basic realm=a b, realm=\"c\"", &[]),
            ("W: Basic realm=\"c\", realm=a b", &[]),
            ("W: Basic realm=a \"b\"", &[]),
            ("W: Basic realm=a\"", &[]),
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
    }
}
