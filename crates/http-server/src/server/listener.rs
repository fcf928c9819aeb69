//! Listening sockets: created here, or inherited.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::path::Path;

use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, getsockname, listen, socket_with, sockopt as options,
};

use crate::connection::sockopt;

/// Listening sockets, and their addresses.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(crate) sockets: Vec<OwnedFd>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) unix_addresses: Vec<UnixAddr>,
}

/// Connections that the kernel has set up and the server has not accepted yet.
const BACKLOG: i32 = 4096;

impl Listeners {
    /// Listens on each of these addresses.
    pub(crate) fn bind(addresses: impl ToSocketAddrs) -> io::Result<Listeners> {
        let sockets: Vec<_> =
            addresses.to_socket_addrs()?.map(|address| listener(address, true)).collect::<io::Result<_>>()?;
        if sockets.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on"));
        }
        Listeners::from_sockets(sockets)
    }

    /// Listens on this port of all addresses.
    pub(crate) fn bind_any(port: u16) -> io::Result<Listeners> {
        let all = |address: IpAddr| listener(SocketAddr::new(address, port), false);
        let socket = match all(Ipv6Addr::UNSPECIFIED.into()) {
            Err(error) if cannot_use_ipv6(&error) => all(Ipv4Addr::UNSPECIFIED.into())?,
            other => other?,
        };
        Listeners::from_sockets([socket])
    }

    /// Listens at this path.
    pub(crate) fn bind_unix(path: &Path) -> io::Result<Listeners> {
        let address = SocketAddrUnix::new(path)?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let _ = sockopt::refuse_descriptors(&socket); // before the first peer can connect
        bind(&socket, &address)?;
        listen(&socket, BACKLOG)?;
        Listeners::from_sockets([socket])
    }

    /// Uses sockets that already listen.
    pub(crate) fn from_sockets(sockets: impl IntoIterator<Item = OwnedFd>) -> io::Result<Listeners> {
        let mut listeners = Listeners::default();
        sockets.into_iter().try_for_each(|socket| listeners.add(socket))?;
        Ok(listeners)
    }

    pub(crate) fn extend(&mut self, other: Listeners) {
        self.sockets.extend(other.sockets);
        self.addresses.extend(other.addresses);
        self.unix_addresses.extend(other.unix_addresses);
    }

    fn add(&mut self, socket: OwnedFd) -> io::Result<()> {
        let is_stream = options::socket_type(&socket)? == SocketType::STREAM;
        if !is_stream || !options::socket_acceptconn(&socket)? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a listening stream socket"));
        }
        ioctl_fionbio(&socket, true)?;
        let address = getsockname(&socket)?;
        let socket = match SocketAddr::try_from(address.clone()) {
            Ok(address) => {
                // Every accepted socket inherits both options, so they cost no call there. Each only saves time.
                let _ = options::set_tcp_nodelay(&socket, true);
                let _ = sockopt::defer_accept(&socket, true);
                self.addresses.push(address);
                socket
            }
            Err(_) if address.address_family() == AddressFamily::UNIX => {
                let _ = sockopt::refuse_descriptors(&socket);
                let socket = UnixListener::from(socket);
                self.unix_addresses.push(socket.local_addr()?);
                socket.into()
            }
            Err(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a TCP or Unix socket")),
        };
        self.sockets.push(socket);
        Ok(())
    }
}

fn listener(address: SocketAddr, only_v6: bool) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        options::set_ipv6_v6only(&socket, only_v6)?;
    }
    options::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Whether there is no IPv6, or a sandbox refuses it. If the error has another cause, IPv4 fails with the same one.
fn cannot_use_ipv6(error: &io::Error) -> bool {
    const CAUSES: [Errno; 5] =
        [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL, Errno::PROTONOSUPPORT, Errno::PERM, Errno::ACCESS];
    Errno::from_io_error(error).is_some_and(|errno| CAUSES.contains(&errno))
}
