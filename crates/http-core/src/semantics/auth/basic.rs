//! Basic credentials: a user and a password, in base64.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::message::field::FieldValue;

/// A user and a password (RFC 1945 §11.1, RFC 7617 §2). Neither holds a control byte, and the user holds no colon.
///
/// There is no `==`: use [`constant_time_eq`](super::constant_time_eq).
#[derive(Clone)]
pub struct Basic {
    /// `user ":" password`
    bytes: Vec<u8>,
    colon: usize,
}

impl Basic {
    /// Creates credentials to send.
    ///
    /// # Errors
    /// [`InvalidCredentials`] if the user holds a colon, or if the user or the password holds a control byte. No server
    /// could read them.
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

    /// Reads the value of an Authorization header.
    ///
    /// The scheme is case-insensitive (R1945-11.1). The base64 must be canonical, including its padding (RFC 4648 §4),
    /// so no credentials have two encodings.
    ///
    /// # Errors
    /// [`InvalidCredentials`] if it holds no such credentials. Then treat the header as absent (R1945-10.2).
    pub fn parse(value: FieldValue<'_>) -> Result<Basic, InvalidCredentials> {
        Basic::read(value.as_bytes()).ok_or(InvalidCredentials)
    }

    fn read(value: &[u8]) -> Option<Basic> {
        let (scheme, rest) = value.split_at_checked(5)?;
        let spaces = rest.iter().take_while(|&&c| c == b' ').count();
        if !scheme.eq_ignore_ascii_case(b"Basic") || spaces == 0 {
            return None;
        }
        Basic::split(from_base64(&rest[spaces..])?)
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

/// The error for [`Basic`] credentials that cannot be read or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
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
    use alloc::string::String;
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
        // Blanks that no header value holds, but that a caller may pass.
        for bad in ["Basic\nYTpi", "Basic \nYTpi", "Basic \x0cYTpi", "Basic \tYTpi"] {
            assert!(Basic::try_from(bad).is_err(), "{bad:?}");
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
    }
}
