//! How macOS accepts. The socket of a peer that has gone by then has no address, at which `accept` of std panics.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;

use rustix::io::{FdFlags, fcntl_setfd, retry_on_intr};
use rustix::net::acceptfrom;

/// Accepts a connection. `ConnectionAborted`: its peer has gone.
pub(super) fn accept(listener: impl AsFd) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, peer) = retry_on_intr(|| acceptfrom(&listener))?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    match peer.and_then(|peer| SocketAddr::try_from(peer).ok()) {
        Some(peer) => Ok((socket.into(), peer)),
        None => Err(ErrorKind::ConnectionAborted.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::{UnixListener, UnixStream};

    use rustix::io::fcntl_getfd;

    #[test]
    fn peer_is_known_by_its_address_or_has_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, peer) = accept(&listener).unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        assert_eq!(fcntl_getfd(&socket).unwrap(), FdFlags::CLOEXEC);

        // The client of a Unix socket has no address, either.
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
        let _client = UnixStream::connect(directory.path().join("socket")).unwrap();
        assert_eq!(accept(&listener).unwrap_err().kind(), ErrorKind::ConnectionAborted);
    }
}
