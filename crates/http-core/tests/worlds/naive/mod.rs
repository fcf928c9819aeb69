//! Naive readers, written from the grammar of the RFCs alone: short, slow, and with nothing in common with the library.
//! Where the library differs from an RFC on purpose, the rule's id stands beside the line that differs as well.

pub(crate) mod coding;
pub(crate) mod credentials;
pub(crate) mod date;
pub(crate) mod entity_tag;
pub(crate) mod path;
pub(crate) mod range;
pub(crate) mod target;
