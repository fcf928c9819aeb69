//! Listening sockets by the standard library alone.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use super::Listener;

pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

/// How many free ports are tried until one is free for both protocols.
const TRIES: usize = 100;

/// One socket or two: the settings of some systems decide whether an IPv6 socket takes IPv4, too.
pub(super) fn listen_on_all(port: u16) -> io::Result<Vec<TcpListener>> {
    let mut tries = 0;
    loop {
        tries += 1;
        match listen_on_both(port) {
            Err(error) if port == 0 && tries < TRIES && is_taken(&error) => {}
            result => return result,
        }
    }
}

fn listen_on_both(port: u16) -> io::Result<Vec<TcpListener>> {
    let v6 = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Ok(v6) if takes_ipv4(&v6) => return Ok(vec![v6]),
        v6 => v6,
    };
    let chosen = v6.as_ref().ok().and_then(|v6| v6.local_addr().ok()).map_or(port, |address| address.port());
    match (v6, TcpListener::bind((Ipv4Addr::UNSPECIFIED, chosen))) {
        (Err(error), _) | (_, Err(error)) if is_taken(&error) => Err(error),
        (Ok(v6), Ok(v4)) => Ok(vec![v6, v4]),
        (Ok(only), Err(_)) | (Err(_), Ok(only)) => Ok(vec![only]), // there is no other protocol
        (Err(_), Err(error)) => Err(error),
    }
}

/// Whether it is the port that cannot be had. Windows denies one that another program has to itself, or that is reserved.
fn is_taken(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrInUse || cfg!(windows) && error.kind() == ErrorKind::PermissionDenied
}

#[cfg(unix)]
fn takes_ipv4(v6: &TcpListener) -> bool {
    rustix::net::sockopt::ipv6_v6only(v6) == Ok(false)
}

/// Windows says no unless it is asked, and std does not ask.
#[cfg(not(unix))]
fn takes_ipv4(_: &TcpListener) -> bool {
    false
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
