//! Why a request-target is invalid.

use thiserror::Error;

/// Why a request-target is invalid. The status is 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A byte that must be percent-encoded (D12, D13).
    #[error("holds a byte that must be percent-encoded")]
    InvalidByte,
    /// Neither a path nor an absolute URL nor, for OPTIONS, `*`.
    #[error("is neither a path that begins with \"/\" nor an http URL")]
    Form,
    /// An absolute URL with another scheme, including `https` (R9110-7.4).
    #[error("is a URL with a scheme other than http")]
    Scheme,
    /// An absolute URL with no host, with userinfo or with a bad port (R9110-4.2.1, R9110-4.2.4).
    #[error("has no valid host and port")]
    Authority,
    /// `%` without two hexadecimal digits in the path (R3986-2.1).
    #[error("has a \"%\" without two hexadecimal digits")]
    PercentEncoding,
    /// A segment that decodes to a slash or a control byte (D14).
    #[error("has a percent-encoded slash or control byte")]
    EncodedSeparator,
    /// More `..` than there are directories (R3986-5.2.4).
    #[error("climbs above the root")]
    EscapesRoot,
}
