//! Two pages to be read beside the reference. They are text alone, and the same files as in the repository's directory `docs`.

#[doc = include_str!("../docs/protocol.md")]
pub mod protocol {}

#[doc = include_str!("../docs/vulnerabilities.md")]
pub mod vulnerabilities {}
