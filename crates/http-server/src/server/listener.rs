//! Listening sockets: created here, or inherited.

#[cfg(any(target_vendor = "apple", all(test, target_os = "linux")))]
mod apple;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
#[cfg(unix)]
pub(super) use std::os::unix::net::SocketAddr as UnixAddr;
#[cfg(unix)]
use std::os::{
    fd::OwnedFd,
    unix::net::{UnixListener, UnixStream},
};
use std::time::Duration;

#[cfg(unix)]
use rustix::net::sockopt::set_socket_send_buffer_size;

#[cfg(target_os = "linux")]
use self::linux as system;
#[cfg(not(target_os = "linux"))]
use self::portable as system;
#[cfg(unix)]
use crate::connection::transport::{UNIX_PEER_ADDR, UNIX_SEND_BUFFER};

/// A system without Unix sockets has no address of one.
#[cfg(not(unix))]
pub(super) type UnixAddr = std::convert::Infallible;

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// Listening sockets, and their addresses.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    pub(crate) sockets: Vec<Listener>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) unix_addresses: Vec<UnixAddr>,
}

impl Listeners {
    /// Listens on each of these addresses.
    pub(crate) fn bind(addresses: impl ToSocketAddrs) -> io::Result<Listeners> {
        let mut listeners = Listeners::default();
        for address in addresses.to_socket_addrs()? {
            listeners.add_tcp(system::listen(address)?)?;
        }
        if listeners.sockets.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on"));
        }
        Ok(listeners)
    }

    /// Listens on this port of all addresses.
    pub(crate) fn bind_any(port: u16) -> io::Result<Listeners> {
        let mut listeners = Listeners::default();
        system::listen_on_all(port)?.into_iter().try_for_each(|socket| listeners.add_tcp(socket))?;
        Ok(listeners)
    }

    pub(crate) fn extend(&mut self, other: Listeners) {
        self.sockets.extend(other.sockets);
        self.addresses.extend(other.addresses);
        self.unix_addresses.extend(other.unix_addresses);
    }

    fn add_tcp(&mut self, socket: TcpListener) -> io::Result<()> {
        self.addresses.push(socket.local_addr()?);
        self.sockets.push(Listener::Tcp(socket));
        Ok(())
    }
}

#[cfg(unix)]
impl Listeners {
    /// Listens at this path.
    pub(crate) fn bind_unix(path: &std::path::Path) -> io::Result<Listeners> {
        let mut listeners = Listeners::default();
        listeners.add_unix(system::listen_unix(path)?)?;
        Ok(listeners)
    }

    fn add_unix(&mut self, socket: UnixListener) -> io::Result<()> {
        self.unix_addresses.push(socket.local_addr()?);
        self.sockets.push(Listener::Unix(socket));
        Ok(())
    }
}

impl Listener {
    /// Accepts a connection, and the address of its peer. A Unix socket is read, written and closed by the same calls as
    /// a TCP connection, so it is used as one.
    pub(crate) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self {
            #[cfg(target_vendor = "apple")]
            Listener::Tcp(listener) => apple::accept(listener),
            #[cfg(not(target_vendor = "apple"))]
            Listener::Tcp(listener) => listener.accept(),
            #[cfg(unix)]
            Listener::Unix(listener) => {
                let (socket, _) = listener.accept()?;
                let _ = set_socket_send_buffer_size(&socket, UNIX_SEND_BUFFER); // without it, slow progress is seen later
                system::refuse_descriptors(&socket);
                Ok((OwnedFd::from(socket).into(), UNIX_PEER_ADDR))
            }
        }
    }

    pub(crate) fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => listener.set_nonblocking(on),
            #[cfg(unix)]
            Listener::Unix(listener) => listener.set_nonblocking(on),
        }
    }

    /// Makes each `accept` end after this time, with `WouldBlock`, where the system can do that.
    pub(crate) fn limit_accept(&self, time: Duration) -> io::Result<()> {
        system::limit_accept(self, time)
    }

    /// Connects to it and closes that connection, which ends an `accept` that waits.
    pub(crate) fn connect(&self) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => {
                let mut address = listener.local_addr()?;
                match &mut address {
                    SocketAddr::V4(v4) if v4.ip().is_unspecified() => v4.set_ip(Ipv4Addr::LOCALHOST),
                    SocketAddr::V6(v6) if v6.ip().is_unspecified() => v6.set_ip(Ipv6Addr::LOCALHOST),
                    _ => {}
                }
                TcpStream::connect_timeout(&address, Duration::from_secs(1)).map(drop)
            }
            #[cfg(unix)]
            Listener::Unix(listener) => UnixStream::connect_addr(&listener.local_addr()?).map(drop),
        }
    }
}
