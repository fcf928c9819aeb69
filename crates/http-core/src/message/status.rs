//! Status codes and their reason phrases.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// A status code: three digits, 100 to 999 (RFC 1945 §6.1.1, RFC 9110 §15). `Display` writes it with its phrase, and
/// `FromStr` reads the digits alone.
///
/// ```
/// use http_core::{InvalidStatus, Status};
/// assert_eq!(Status::NOT_FOUND.code(), 404);
/// assert_eq!(Status::NOT_FOUND.reason(), "Not Found");
/// assert_eq!(Status::new(99), Err(InvalidStatus));
/// assert_eq!("404".parse(), Ok(Status::NOT_FOUND));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

macro_rules! statuses {
    ($($code:literal $name:ident $reason:literal $source:literal;)+) => {
        impl Status {
            $(
                #[doc = concat!("`", $code, " ", $reason, "` (", $source, ")")]
                pub const $name: Status = Status($code);
            )+

            /// The usual reason phrase, in ASCII. It is empty for a code without a constant here. Clients ignore
            /// it (R9112-4).
            pub const fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)+
                    _ => "",
                }
            }

            /// Every status with a constant here, in order.
            pub const NAMED: &'static [Status] = &[$(Status($code)),+];
        }
    };
}

statuses! {
    100 CONTINUE "Continue" "RFC 9110 §15.2.1";
    101 SWITCHING_PROTOCOLS "Switching Protocols" "RFC 9110 §15.2.2";
    200 OK "OK" "RFC 1945 §9.2";
    201 CREATED "Created" "RFC 1945 §9.2";
    202 ACCEPTED "Accepted" "RFC 1945 §9.2";
    203 NON_AUTHORITATIVE_INFORMATION "Non-Authoritative Information" "RFC 9110 §15.3.4";
    204 NO_CONTENT "No Content" "RFC 1945 §9.2";
    205 RESET_CONTENT "Reset Content" "RFC 9110 §15.3.6";
    206 PARTIAL_CONTENT "Partial Content" "RFC 9110 §15.3.7";
    300 MULTIPLE_CHOICES "Multiple Choices" "RFC 1945 §9.3";
    301 MOVED_PERMANENTLY "Moved Permanently" "RFC 1945 §9.3";
    302 FOUND "Found" "RFC 1945 §9.3, there \"Moved Temporarily\"";
    303 SEE_OTHER "See Other" "RFC 9110 §15.4.4";
    304 NOT_MODIFIED "Not Modified" "RFC 1945 §9.3";
    307 TEMPORARY_REDIRECT "Temporary Redirect" "RFC 9110 §15.4.8";
    308 PERMANENT_REDIRECT "Permanent Redirect" "RFC 9110 §15.4.9";
    400 BAD_REQUEST "Bad Request" "RFC 1945 §9.4";
    401 UNAUTHORIZED "Unauthorized" "RFC 1945 §9.4";
    402 PAYMENT_REQUIRED "Payment Required" "RFC 9110 §15.5.3";
    403 FORBIDDEN "Forbidden" "RFC 1945 §9.4";
    404 NOT_FOUND "Not Found" "RFC 1945 §9.4";
    405 METHOD_NOT_ALLOWED "Method Not Allowed" "RFC 9110 §15.5.6";
    406 NOT_ACCEPTABLE "Not Acceptable" "RFC 9110 §15.5.7";
    407 PROXY_AUTHENTICATION_REQUIRED "Proxy Authentication Required" "RFC 9110 §15.5.8";
    408 REQUEST_TIMEOUT "Request Timeout" "RFC 9110 §15.5.9";
    409 CONFLICT "Conflict" "RFC 9110 §15.5.10";
    410 GONE "Gone" "RFC 9110 §15.5.11";
    411 LENGTH_REQUIRED "Length Required" "RFC 9110 §15.5.12";
    412 PRECONDITION_FAILED "Precondition Failed" "RFC 9110 §15.5.13";
    413 CONTENT_TOO_LARGE "Content Too Large" "RFC 9110 §15.5.14";
    414 URI_TOO_LONG "URI Too Long" "RFC 9110 §15.5.15";
    415 UNSUPPORTED_MEDIA_TYPE "Unsupported Media Type" "RFC 9110 §15.5.16";
    416 RANGE_NOT_SATISFIABLE "Range Not Satisfiable" "RFC 9110 §15.5.17";
    417 EXPECTATION_FAILED "Expectation Failed" "RFC 9110 §15.5.18";
    421 MISDIRECTED_REQUEST "Misdirected Request" "RFC 9110 §15.5.20";
    422 UNPROCESSABLE_CONTENT "Unprocessable Content" "RFC 9110 §15.5.21";
    426 UPGRADE_REQUIRED "Upgrade Required" "RFC 9110 §15.5.22";
    428 PRECONDITION_REQUIRED "Precondition Required" "RFC 6585 §3";
    429 TOO_MANY_REQUESTS "Too Many Requests" "RFC 6585 §4";
    431 REQUEST_HEADER_FIELDS_TOO_LARGE "Request Header Fields Too Large" "RFC 6585 §5";
    500 INTERNAL_SERVER_ERROR "Internal Server Error" "RFC 1945 §9.5";
    501 NOT_IMPLEMENTED "Not Implemented" "RFC 1945 §9.5";
    502 BAD_GATEWAY "Bad Gateway" "RFC 1945 §9.5";
    503 SERVICE_UNAVAILABLE "Service Unavailable" "RFC 1945 §9.5";
    504 GATEWAY_TIMEOUT "Gateway Timeout" "RFC 9110 §15.6.5";
    505 HTTP_VERSION_NOT_SUPPORTED "HTTP Version Not Supported" "RFC 9110 §15.6.6";
    507 INSUFFICIENT_STORAGE "Insufficient Storage" "RFC 4918 §11.5";
}

impl Status {
    /// The status with this number.
    ///
    /// # Errors
    /// [`InvalidStatus`] outside 100 to 999.
    pub const fn new(code: u16) -> Result<Status, InvalidStatus> {
        match code {
            100..=999 => Ok(Status(code)),
            _ => Err(InvalidStatus),
        }
    }

    /// The number, 100 to 999.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The three digits, in ASCII.
    pub const fn digits(self) -> [u8; 3] {
        let c = self.0;
        [b'0' + (c / 100) as u8, b'0' + (c / 10 % 10) as u8, b'0' + (c % 10) as u8]
    }

    /// The first digit, 1 to 9. Treat an unknown code as the x00 of its class (R1945-6.1.1a), and one above 599, which is
    /// invalid, as a 500 (RFC 9110 §15).
    pub const fn class(self) -> u16 {
        self.0 / 100
    }

    /// Whether this is 1xx: an interim response, before the final one (RFC 9110 §15.2).
    pub const fn is_informational(self) -> bool {
        self.class() == 1
    }

    /// Whether a response with this status never has a body, whatever its headers say: 1xx, 204, 205 and 304
    /// (R1945-7.2b, R9110-15.3.6).
    pub const fn is_bodiless(self) -> bool {
        self.is_informational() || matches!(self.0, 204 | 205 | 304)
    }
}

/// The error for a [`Status`] outside 100 to 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("invalid status code: expected three digits, 100 to 999")]
pub struct InvalidStatus;

impl TryFrom<u16> for Status {
    type Error = InvalidStatus;

    fn try_from(code: u16) -> Result<Status, InvalidStatus> {
        Status::new(code)
    }
}

impl TryFrom<&[u8]> for Status {
    type Error = InvalidStatus;

    /// Reads exactly three digits.
    fn try_from(digits: &[u8]) -> Result<Status, InvalidStatus> {
        match *digits {
            [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
                Ok(Status(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')))
            }
            _ => Err(InvalidStatus),
        }
    }
}

impl TryFrom<&str> for Status {
    type Error = InvalidStatus;

    fn try_from(digits: &str) -> Result<Status, InvalidStatus> {
        Status::try_from(digits.as_bytes())
    }
}

impl FromStr for Status {
    type Err = InvalidStatus;

    fn from_str(digits: &str) -> Result<Status, InvalidStatus> {
        Status::try_from(digits)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidStatus, Status};
    use alloc::string::ToString;

    #[test]
    fn codes_have_three_digits_and_a_phrase_of_one_line() {
        assert_eq!((Status::new(99), Status::try_from(1000)), (Err(InvalidStatus), Err(InvalidStatus)));
        for bad in ["", "99", "0200", "099", "20", "2OO", "+20", "1000"] {
            assert_eq!(bad.parse::<Status>(), Err(InvalidStatus), "{bad}");
        }
        assert_eq!(Status::new(999).unwrap().digits(), *b"999");
        assert!(Status::NAMED.is_sorted());
        for status in Status::NAMED {
            assert_eq!(status.digits().as_slice(), status.code().to_string().as_bytes());
            assert_eq!(Status::try_from(&status.digits()[..]), Ok(*status));
            assert!(!status.reason().is_empty());
            assert!(status.reason().bytes().all(|b| matches!(b, b' '..=b'~')), "R1945-6.1a");
        }
        // RFC 1945 §6.1.1: every code of RFC 1945 has its name.
        for code in [200, 201, 202, 204, 300, 301, 302, 304, 400, 401, 403, 404, 500, 501, 502, 503] {
            assert!(Status::NAMED.contains(&Status::new(code).unwrap()));
        }
    }

    // R1945-7.2b, R9110-15.3.6
    #[test]
    fn informational_204_205_and_304_are_bodiless() {
        let bodiless: alloc::vec::Vec<u16> =
            Status::NAMED.iter().filter(|s| s.is_bodiless()).map(|s| s.code()).collect();
        assert_eq!(bodiless, [100, 101, 204, 205, 304]);
        assert!(Status::new(199).unwrap().is_bodiless());
    }
}
