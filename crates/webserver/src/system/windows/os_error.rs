//! Errors of the system, with what to do about them where that is known.

use std::io::{self, ErrorKind};
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};

/// What shows the interfaces and their addresses.
pub(crate) const SHOW_ADDRESSES: &str = "ipconfig";

/// The cause, and what to do in parentheses.
pub(crate) fn describe(error: &io::Error) -> String {
    error.to_string()
}

/// Why the server cannot listen on this address, and what to do. The option is the one that chooses it. `None` if the
/// cause is one of every system, or unknown.
pub(crate) fn cannot_listen(_: SocketAddr, option: &str, error: &io::Error) -> Option<String> {
    (error.kind() == ErrorKind::PermissionDenied).then(|| {
        format!(
            "another program has the port to itself, or Windows reserves it (choose another with {option}; see: \
             netsh interface ipv4 show excludedportrange protocol=tcp)"
        )
    })
}

/// Why no IPv6 socket can be made.
pub(crate) fn why_no_ipv6() -> Option<String> {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).err().map(|cause| cause.to_string())
}
