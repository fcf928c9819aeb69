//! Between bytes and values, in both directions: finding, parsing, framing and writing what both machines exchange.

pub(crate) mod chunked;
pub(crate) mod encode;
pub(crate) mod field_index;
pub(crate) mod framing;
pub(crate) mod grammar;
pub(crate) mod parse;
pub(crate) mod persistence;
pub(crate) mod recv_buffer;
pub(crate) mod scan;
