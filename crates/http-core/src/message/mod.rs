//! The values that messages are made of: each is valid if it exists, and none has state.

pub(crate) mod date;
pub(crate) mod field;
pub(crate) mod method;
pub(crate) mod path;
pub(crate) mod status;
pub(crate) mod target;
pub(crate) mod version;
