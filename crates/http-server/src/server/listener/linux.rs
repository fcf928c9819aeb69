//! Listening sockets of Linux: a long backlog, options that accepted connections inherit, and sockets of other processes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{self as options, Timeout};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, getsockname, listen as start, socket_with,
};

use super::{Listener, Listeners};
use crate::connection::sockopt;

/// Connections that the kernel has set up and the server has not accepted yet.
const BACKLOG: i32 = 4096;

pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    tcp_listener(address, true)
}

/// One socket serves IPv6 and IPv4.
pub(super) fn listen_on_all(port: u16) -> io::Result<Vec<TcpListener>> {
    let all = |address: IpAddr| tcp_listener(SocketAddr::new(address, port), false);
    Ok(vec![match all(Ipv6Addr::UNSPECIFIED.into()) {
        Err(error) if cannot_use_ipv6(&error) => all(Ipv4Addr::UNSPECIFIED.into())?,
        other => other?,
    }])
}

pub(super) fn listen_unix(path: &Path) -> io::Result<UnixListener> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let _ = sockopt::refuse_descriptors(&socket); // before the first peer can connect
    bind(&socket, &address)?;
    start(&socket, BACKLOG)?;
    Ok(socket.into())
}

pub(super) fn limit_accept(listener: &Listener, time: Duration) -> io::Result<()> {
    Ok(options::set_socket_timeout(listener, Timeout::Recv, Some(time))?)
}

/// For a connection that is older than this option of its listener, as to a socket of systemd.
pub(super) fn refuse_descriptors(socket: &UnixStream) {
    let _ = sockopt::refuse_descriptors(socket);
}

impl Listeners {
    /// Uses sockets that already listen.
    pub(crate) fn from_sockets(sockets: impl IntoIterator<Item = OwnedFd>) -> io::Result<Listeners> {
        let mut listeners = Listeners::default();
        sockets.into_iter().try_for_each(|socket| listeners.add(socket))?;
        Ok(listeners)
    }

    fn add(&mut self, socket: OwnedFd) -> io::Result<()> {
        let is_stream = options::socket_type(&socket)? == SocketType::STREAM;
        if !is_stream || !options::socket_acceptconn(&socket)? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a listening stream socket"));
        }
        match getsockname(&socket)?.address_family() {
            AddressFamily::INET | AddressFamily::INET6 => {
                set_inherited_options(&socket);
                self.add_tcp(socket.into())
            }
            AddressFamily::UNIX => {
                let _ = sockopt::refuse_descriptors(&socket);
                self.add_unix(socket.into())
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a TCP or Unix socket")),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(listener) => listener.as_fd(),
            Listener::Unix(listener) => listener.as_fd(),
        }
    }
}

impl From<Listener> for OwnedFd {
    fn from(listener: Listener) -> OwnedFd {
        match listener {
            Listener::Tcp(listener) => listener.into(),
            Listener::Unix(listener) => listener.into(),
        }
    }
}

fn tcp_listener(address: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        options::set_ipv6_v6only(&socket, only_v6)?;
    }
    options::set_socket_reuseaddr(&socket, true)?;
    set_inherited_options(&socket);
    bind(&socket, &address)?;
    start(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Every accepted connection inherits them, so they cost no call there. They only save time.
fn set_inherited_options(socket: &OwnedFd) {
    let _ = options::set_tcp_nodelay(socket, true);
}

/// Whether there is no IPv6, or a sandbox refuses it. If the error has another cause, IPv4 fails with the same one.
fn cannot_use_ipv6(error: &io::Error) -> bool {
    const CAUSES: [Errno; 5] =
        [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL, Errno::PROTONOSUPPORT, Errno::PERM, Errno::ACCESS];
    Errno::from_io_error(error).is_some_and(|errno| CAUSES.contains(&errno))
}
