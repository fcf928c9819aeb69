//! What messages mean, as functions over values: no state, no IO, no clock.

pub mod auth;
pub mod conditional;
pub mod expires;
pub(crate) mod forward;
pub mod negotiate;
pub mod range;
pub mod redirect;
pub(crate) mod url;
