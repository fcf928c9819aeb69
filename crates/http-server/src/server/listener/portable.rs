//! Listening sockets by the standard library alone.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use super::Listener;

pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

/// An IPv6 socket takes IPv4 too on some systems, and not on others. So there may be one socket or two.
pub(super) fn listen_on_all(port: u16) -> io::Result<Vec<TcpListener>> {
    let v6 = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port));
    let port = v6.as_ref().ok().and_then(|v6| v6.local_addr().ok()).map_or(port, |address| address.port());
    match (v6, TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))) {
        // Apple's IPv6 sockets take IPv4. Elsewhere another program has the port of IPv4.
        (Ok(v6), Err(error)) if cfg!(target_vendor = "apple") && error.kind() == ErrorKind::AddrInUse => Ok(vec![v6]),
        (Ok(v6), Ok(v4)) => Ok(vec![v6, v4]),
        (Err(_), Ok(v4)) => Ok(vec![v4]), // there is no IPv6
        (_, Err(error)) => Err(error),
    }
}

#[cfg(unix)]
pub(super) fn listen_unix(path: &std::path::Path) -> io::Result<std::os::unix::net::UnixListener> {
    std::os::unix::net::UnixListener::bind(path)
}

/// Nothing: only Linux has that.
pub(super) fn limit_accept(_: &Listener, _: Duration) -> io::Result<()> {
    Ok(())
}

/// Nothing: only Linux has that.
#[cfg(unix)]
pub(super) fn refuse_descriptors(_: &std::os::unix::net::UnixStream) {}
