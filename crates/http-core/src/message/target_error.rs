//! Why a request-target is invalid.

use thiserror::Error;

/// Why a request-target is invalid. The status is 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A byte that must be percent-encoded (D12, D13).
    ///
    /// ```
    /// # use http_core::{Target, TargetError};
    /// assert_eq!(Target::new(b"/a b"), Err(TargetError::InvalidByte));
    /// ```
    #[error("holds a byte that must be percent-encoded")]
    InvalidByte,
    /// Neither a path nor an absolute URL nor, for OPTIONS, `*`.
    ///
    /// ```
    /// # use http_core::{Target, TargetError};
    /// assert_eq!(Target::new(b"a/b"), Err(TargetError::Form));
    /// ```
    #[error("is neither a path that begins with \"/\" nor an http URL")]
    Form,
    /// An absolute URL with another scheme, including `https` (R9110-7.4).
    ///
    /// ```
    /// # use http_core::{Target, TargetError};
    /// assert_eq!(Target::new(b"https://a/"), Err(TargetError::Scheme));
    /// ```
    #[error("is a URL with a scheme other than http")]
    Scheme,
    /// An absolute URL with no host, with userinfo or with a bad port (R9110-4.2.1, R9110-4.2.4).
    ///
    /// ```
    /// # use http_core::{Target, TargetError};
    /// assert_eq!(Target::new(b"http://user@a/"), Err(TargetError::Authority));
    /// ```
    #[error("has no valid host and port")]
    Authority,
    /// `%` without two hexadecimal digits in the path (R3986-2.1).
    ///
    /// ```
    /// # use http_core::{Target, TargetError};
    /// assert_eq!(Target::new(b"/%2"), Err(TargetError::PercentEncoding));
    /// ```
    #[error("has a \"%\" without two hexadecimal digits")]
    PercentEncoding,
    /// A segment that decodes to a slash or a control byte (D14).
    ///
    /// ```
    /// # use http_core::{Path, TargetError};
    /// assert_eq!(Path::new(b"/a%2Fb"), Err(TargetError::EncodedSeparator));
    /// ```
    #[error("has a percent-encoded slash or control byte")]
    EncodedSeparator,
    /// More `..` than there are directories (R3986-5.2.4).
    ///
    /// ```
    /// # use http_core::{Path, TargetError};
    /// assert_eq!(Path::new(b"/a/../../b"), Err(TargetError::EscapesRoot));
    /// ```
    #[error("climbs above the root")]
    EscapesRoot,
}
