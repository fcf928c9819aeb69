//! Linux alone.

pub(crate) mod sandbox;
pub(crate) mod systemd;
