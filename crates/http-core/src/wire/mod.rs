//! Converts between bytes and values in both directions. Both connections share these modules; none of them keeps the
//! state of a connection.

pub(crate) mod chunked;
pub(crate) mod encode;
pub(crate) mod field_line;
pub(crate) mod framing;
pub(crate) mod parse;
pub(crate) mod persistence;
pub(crate) mod recv_buffer;
pub(crate) mod scan;
