//! Connects to a server: resolves its name and tries each of its addresses. Every wait has a timeout. It knows no HTTP.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::blocking::{ClientConnection, is_timeout};
use crate::error::Error;

/// How long to wait for a connection, and for each byte.
///
/// There is no deadline for a whole exchange: a server that sends a byte before each `idle` ends may take forever. To
/// bound the work, limit the body ([`read_to_vec`](crate::Response::read_to_vec)), and check a deadline of your own while
/// you read it in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the host's addresses and a connection to one of them, in total. Default: 10 s.
    pub connect: Duration,
    /// For each next byte, sent or received. Default: 30 s. Less than a millisecond counts as one.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { connect: Duration::from_secs(10), idle: Duration::from_secs(30) }
    }
}

impl ClientConnection<TcpStream> {
    /// Connects to a host, which is a name or an IP address without brackets, and a port.
    ///
    /// A lookup cannot be cancelled. If it takes too long, its thread remains until the resolver returns.
    ///
    /// # Errors
    /// [`Error::Resolve`], [`Error::Connect`] or [`Error::TimedOut`].
    pub fn connect((host, port): (&str, u16), timeouts: &Timeouts) -> Result<Self, Error> {
        let start = Instant::now();
        let addresses = resolve(host, port, timeouts.connect)?;
        let (stream, address) = connect_any(&addresses, start, timeouts.connect)?;
        let idle = Some(timeouts.idle.max(Duration::from_millis(1))); // zero would be an error
        // Otherwise the end of a request waits until the server has acknowledged the bytes before it.
        let options = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(idle));
        let options = options.and_then(|()| stream.set_write_timeout(idle));
        options.map_err(|source| Error::Connect { address, source })?;
        Ok(ClientConnection::from(stream))
    }
}

/// Every address of the host; at least one.
fn resolve(host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, Error> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let failed = |source| Error::Resolve { host: host.to_owned(), source };
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    let lookup = move || sender.send((name.as_str(), port).to_socket_addrs().map(Vec::from_iter));
    thread::Builder::new().spawn(lookup).map_err(failed)?;
    match receiver.recv_timeout(limit) {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(failed(ErrorKind::NotFound.into())),
        Ok(addresses) => addresses.map_err(failed),
        Err(_) => Err(Error::TimedOut { what: "looking up the host", limit: Some(limit) }),
    }
}

/// Tries each address in turn. Each gets half of the remaining time, and the last gets all of it. So an address that
/// does not respond leaves time for the next.
fn connect_any(addresses: &[SocketAddr], start: Instant, limit: Duration) -> Result<(TcpStream, SocketAddr), Error> {
    let timed_out = || Error::TimedOut { what: "connecting", limit: Some(limit) };
    let mut failure = timed_out();
    for (n, &address) in addresses.iter().enumerate() {
        let left = limit.saturating_sub(start.elapsed());
        let share = if n + 1 == addresses.len() { left } else { left / 2 };
        match TcpStream::connect_timeout(&address, share.max(Duration::from_millis(10))) {
            Ok(stream) => return Ok((stream, address)),
            Err(error) if is_timeout(error.kind()) => failure = timed_out(),
            Err(source) => failure = Error::Connect { address, source },
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn every_address_is_tried_until_one_accepts() {
        let limit = Duration::from_secs(9);
        let start = Instant::now();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for addresses in [&[live][..], &[live, dead], &[dead, live], &[dead, dead, live]] {
            assert_eq!(connect_any(addresses, start, limit).unwrap().0.peer_addr().unwrap(), live);
        }
        let error = connect_any(&[dead, dead], start, limit).unwrap_err();
        assert!(matches!(error, Error::Connect { address, .. } if address == dead), "{error}");
    }
}
