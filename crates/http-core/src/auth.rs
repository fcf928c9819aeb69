//! Basic authentication (RFC 1945 §11, RFC 7617): credentials in, credentials and challenges out, and a comparison that
//! tells nothing by its time. Who may do what is decided elsewhere.
//!
//! ```
//! use http_core::FieldValue;
//! use http_core::auth::{Basic, challenge};
//! let value = FieldValue::from_static("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
//! let credentials = Basic::parse(value).unwrap();
//! assert_eq!(credentials.user(), b"Aladdin");
//! assert_eq!(credentials.password(), b"open sesame");
//! assert_eq!(challenge("WallyWorld").unwrap(), "Basic realm=\"WallyWorld\"");
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::hint::black_box;

use crate::field::FieldValue;

/// A user and a password: octets without controls, and the user without a colon (RFC 1945 §11.1, RFC 7617 §2).
///
/// There is no `==`: see [`is_equal`].
#[derive(Clone)]
pub struct Basic {
    /// `user ":" password`
    octets: Vec<u8>,
    colon: usize,
}

impl Basic {
    /// Credentials to be sent; `None` if the user holds a colon, or either a control octet, which none could read back.
    ///
    /// ```
    /// use http_core::auth::Basic;
    /// assert!(Basic::new(b"Aladdin", b"open:sesame").is_some());
    /// assert!(Basic::new(b"Ala:ddin", b"open sesame").is_none());
    /// ```
    pub fn new(user: &[u8], password: &[u8]) -> Option<Basic> {
        let credentials = Basic::split([user, b":", password].concat())?;
        (credentials.colon == user.len()).then_some(credentials)
    }

    /// Reads the value of an Authorization field; `None` if it holds no such credentials, and then it counts as absent
    /// (R1945-10.2).
    ///
    /// The scheme stands in any case, the base64 in the one spelling that RFC 4648 §4 gives it, padding included, so
    /// that no two of them say the same (R1945-11.1).
    pub fn parse(value: FieldValue<'_>) -> Option<Basic> {
        let (scheme, rest) = value.as_bytes().split_at_checked(5)?;
        let cookie = rest.trim_ascii_start();
        let blanks = &rest[..rest.len() - cookie.len()];
        if !scheme.eq_ignore_ascii_case(b"Basic") || blanks.is_empty() || blanks.contains(&b'\t') {
            return None;
        }
        Basic::split(from_base64(cookie)?)
    }

    /// The user; it may be empty.
    pub fn user(&self) -> &[u8] {
        &self.octets[..self.colon]
    }

    /// The password; it may be empty, and hold colons.
    pub fn password(&self) -> &[u8] {
        &self.octets[self.colon + 1..]
    }

    /// Appends the value of an Authorization field; the octets appended always are a [`FieldValue`].
    ///
    /// ```
    /// let mut value = Vec::new();
    /// http_core::auth::Basic::new(b"Aladdin", b"open sesame").unwrap().append_to(&mut value);
    /// assert_eq!(value, b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    /// ```
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Basic ");
        to_base64(&self.octets, out);
    }

    fn split(octets: Vec<u8>) -> Option<Basic> {
        let colon = octets.iter().position(|&c| c == b':')?; // R1945-11.1: the first
        let has_control = octets.iter().any(u8::is_ascii_control);
        (!has_control).then_some(Basic { octets, colon })
    }
}

impl fmt::Debug for Basic {
    /// Shows the user, but no password (R1945-12.3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Basic {{ user: \"{}\", password: (not shown) }}", self.user().escape_ascii())
    }
}

/// The value of a WWW-Authenticate field that asks for Basic credentials (R1945-9.4d, R1945-11a, R9110-11.6.1).
///
/// `None` if the realm holds anything but visible ASCII and blanks, or a quote or backslash: HTTP/1.0 knows no escapes
/// in quoted strings, and HTTP/1.1 reads them, so such a realm would not be the same to all (R1945-2.2d).
pub fn challenge(realm: &str) -> Option<String> {
    let readable = realm.bytes().all(|c| matches!(c, b' '..=b'~') && c != b'"' && c != b'\\');
    readable.then(|| ["Basic realm=\"", realm, "\""].concat())
}

/// Whether the octets are the same, in a time that depends on the two lengths alone (V19).
///
/// The lengths are no secret here: to hide that of a password, compare digests.
///
/// ```
/// assert!(http_core::auth::is_equal(b"secret", b"secret"));
/// assert!(!http_core::auth::is_equal(b"secret", b"secreT"));
/// ```
pub fn is_equal(a: &[u8], b: &[u8]) -> bool {
    // The box keeps the compiler from leaving the loop as soon as the outcome is known.
    a.len() == b.len() && a.iter().zip(b).fold(0, |differences, (a, b)| black_box(differences | (a ^ b))) == 0
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(octets: &[u8], out: &mut Vec<u8>) {
    for group in octets.chunks(3) {
        let bits = group.iter().fold(0, |bits, &octet| bits << 8 | u32::from(octet)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize % 64];
            out.push(if place <= group.len() { digit } else { b'=' });
        }
    }
}

fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, []) = text.as_chunks::<4>() else { return None };
    let mut octets = Vec::with_capacity(groups.len() * 3);
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
        // Bits that no octet needs are zero, or one octet would have several spellings.
        if beyond.iter().any(|&octet| octet != 0) {
            return None;
        }
        octets.extend_from_slice(decoded);
    }
    Some(octets)
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
        let credentials = Basic::parse(FieldValue::new(value.as_bytes())?)?;
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Some((text(credentials.user()), text(credentials.password())))
    }

    // R1945-11.1, R1945-10.2
    #[test]
    fn credentials() {
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
            "Basic YTpi=",    // too much of it
            "Basic YTpi====", // an empty group
            "Basic Og==YTpi", // padding within
            "Basic O===",
            "Basic =Og=",
            "Basic ====",
            "Basic Oh==", // bits beyond the octet
            "Basic YTp=", // likewise
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
            assert_eq!(Basic::new(user.as_bytes(), password.as_bytes()).is_some(), ok, "{user:?} {password:?}");
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
    fn challenges() {
        assert_eq!(challenge("").unwrap(), "Basic realm=\"\"");
        assert_eq!(challenge("The cellar, left").unwrap(), "Basic realm=\"The cellar, left\"");
        for bad in ["a\"b", "a\\b", "a\r\nSet-Cookie: b", "a\0", "a\tb", "\u{7f}", "caf\u{e9}"] {
            assert_eq!(challenge(bad), None, "{bad:?}");
        }
    }

    // RFC 4648 §10
    #[test]
    fn base64() {
        for (octets, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut out = Vec::new();
            to_base64(octets.as_bytes(), &mut out);
            assert_eq!(out, text.as_bytes());
            assert_eq!(from_base64(text.as_bytes()).unwrap(), octets.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(octets: Vec<u8>) {
            let mut text = Vec::new();
            to_base64(&octets, &mut text);
            prop_assert_eq!(from_base64(&text), Some(octets));
        }

        // No octets have two spellings.
        #[test]
        fn encoding_undoes_decoding(text in "[A-D+/=]{0,12}") {
            if let Some(octets) = from_base64(text.as_bytes()) {
                let mut again = Vec::new();
                to_base64(&octets, &mut again);
                prop_assert_eq!(again, text.as_bytes());
            }
        }

        // V19: the outcome; the time is the loop's.
        #[test]
        fn equality_is_equality(a in "[ab]{0,4}", b in "[ab]{0,4}") {
            prop_assert_eq!(is_equal(a.as_bytes(), b.as_bytes()), a == b);
        }
    }
}
