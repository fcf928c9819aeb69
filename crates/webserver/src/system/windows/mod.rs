//! Windows.

pub(crate) mod os_error;
pub(crate) mod paths;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod unix_socket;
