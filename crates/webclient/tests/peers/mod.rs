//! Other programs to test beside, and servers that misbehave: in memory, and on a socket.
#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]

pub(crate) mod scripted;
#[allow(unreachable_pub, reason = "it is a program as well")]
pub(crate) mod test_double;
mod tool;

pub(crate) use tool::{missing, tool};
