//! HTTP versions, and how a start line spells them.

use core::fmt;

/// The HTTP version of a message: two digits (RFC 1945 §3.1, RFC 9112 §2.3).
///
/// ```
/// use http_core::Version;
/// assert!(Version::HTTP_11 > Version::HTTP_10);
/// assert_eq!(Version::HTTP_10.to_string(), "HTTP/1.0");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u8,
    minor: u8,
}

impl Version {
    /// The version of a Simple-Request or Simple-Response, which names none (R1945-3.1a).
    pub const HTTP_09: Version = Version { major: 0, minor: 9 };
    /// The version of every head that this library writes (R1945-3.1d).
    pub const HTTP_10: Version = Version { major: 1, minor: 0 };
    /// The version of most peers. 1.2 to 1.9 compare greater and are treated the same (R9110-2.5).
    pub const HTTP_11: Version = Version { major: 1, minor: 1 };

    /// The digit before the dot, 0 to 9.
    pub const fn major(self) -> u8 {
        self.major
    }

    /// The digit after the dot, 0 to 9.
    pub const fn minor(self) -> u8 {
        self.minor
    }

    /// Parses a version such as `HTTP/1.0`: upper case, with exactly one digit on each side of the dot (R9112-2.3, D4).
    pub(crate) fn parse(text: &[u8]) -> Option<Version> {
        match *text {
            [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => {
                Some(Version { major: major - b'0', minor: minor - b'0' })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP/{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    // R1945-3.1c, R9112-2.3
    #[test]
    fn version_has_one_digit_on_each_side_of_the_dot() {
        assert_eq!(Version::parse(b"HTTP/1.0"), Some(Version::HTTP_10));
        assert_eq!(Version::parse(b"HTTP/1.1"), Some(Version::HTTP_11));
        assert_eq!(Version::parse(b"HTTP/0.9"), Some(Version::HTTP_09));
        for bad in [
            "",
            "HTTP/",
            "HTTP/1",
            "HTTP/.",
            "HTTP/1.",
            "HTTP/01.00",
            "HTTP/1.10",
            "HTTP/1,0",
            "http/1.0",
            "HTTP/1.0x",
            "HTTP/+.0",
        ] {
            assert_eq!(Version::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
