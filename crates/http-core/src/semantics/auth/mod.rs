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

mod basic;
mod challenge;

use core::hint::black_box;

pub use basic::{Basic, InvalidCredentials};
pub use challenge::{Challenge, InvalidRealm, ProtectionSpace, basic_challenge, challenges};

/// Whether the bytes are equal. The running time depends only on the two lengths (V19).
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // V19: the result; the loop alone determines the time.
        #[test]
        fn constant_time_eq_agrees_with_eq(a in "[ab]{0,4}", b in "[ab]{0,4}") {
            prop_assert_eq!(constant_time_eq(a.as_bytes(), b.as_bytes()), a == b);
        }
    }
}
