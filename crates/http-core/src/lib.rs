//! HTTP/1.0 without IO: bytes in, events out; values in, bytes out.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod auth;
mod buffer;
pub mod conditional;
mod date;
mod encode;
mod error;
mod field;
mod framing;
mod grammar;
mod limits;
mod method;
pub mod negotiate;
mod parse;
mod persist;
pub mod range;
mod scan;
pub mod server;
mod status;
mod target;
mod version;

pub use buffer::Workspace;
pub use date::{Date, DateCache, DateText};
pub use error::{RequestError, ResponseError, TargetError, UseError};
pub use field::{FieldBlock, FieldName, FieldValue, Fields, name};
pub use framing::Framing;
pub use limits::Limits;
pub use method::Method;
pub use persist::CloseReason;
pub use status::Status;
pub use target::{Authority, Form, Target, percent_encode};
pub use version::Version;
