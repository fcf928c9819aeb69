//! Connects to a server: resolves its name and tries its addresses until one accepts. Every wait has a timeout. It knows
//! no HTTP.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::{is_idle, is_timeout};
use crate::error::{Error, Phase};
use crate::event::Event;
use crate::url;

/// An address that has not answered for this long is overtaken by the next (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A connection to a server, as a [`Client`](crate::Client) uses it.
pub trait Stream: Read + Write + Send {
    /// Limits each read and each write from now on. Both fail with `TimedOut` or `WouldBlock` then. The limit is never
    /// zero.
    ///
    /// # Errors
    /// The system's.
    fn set_timeout(&mut self, limit: Duration) -> io::Result<()>;

    /// Whether it is open and nothing can be read, so that another request may be sent on it. It must not wait.
    ///
    /// # Errors
    /// The system's. A broken connection is not an error; it is not idle.
    fn is_idle(&mut self) -> io::Result<bool>;
}

impl Stream for TcpStream {
    fn set_timeout(&mut self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit)).and_then(|()| self.set_write_timeout(Some(limit)))
    }

    fn is_idle(&mut self) -> io::Result<bool> {
        is_idle(self)
    }
}

impl<S: Stream + ?Sized> Stream for Box<S> {
    fn set_timeout(&mut self, limit: Duration) -> io::Result<()> {
        (**self).set_timeout(limit)
    }

    fn is_idle(&mut self) -> io::Result<bool> {
        (**self).is_idle()
    }
}

/// A server to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Endpoint {
    /// A name, an IPv4 address, or an IPv6 address without brackets. That may have a zone, as `fe80::1%eth0`.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endpoint { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// How a [`Client`](crate::Client) reaches servers. Replace it to connect by other means, or in tests by none:
/// [`testing::respond`](crate::testing::respond).
pub trait Connect: Send + Sync {
    /// Connects within `limit`, and reports what it tries.
    ///
    /// # Errors
    /// [`Error::Resolve`], [`Error::Connect`] or [`Error::TimedOut`].
    fn connect(
        &self,
        endpoint: &Endpoint,
        limit: Duration,
        report: &dyn Fn(Event<'_>),
    ) -> Result<Box<dyn Stream>, Error>;
}

/// Connects by TCP: the default.
///
/// If a host has several addresses, the next one is tried when the last has failed or has not answered for 250 ms, IPv6
/// and IPv4 in turn (RFC 8305). The first connection is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpConnector {
    family: Option<Family>,
    overrides: Vec<(Endpoint, IpAddr)>,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl TcpConnector {
    /// Tries every address of a host.
    pub fn new() -> TcpConnector {
        TcpConnector::default()
    }

    /// Tries addresses of this family only.
    #[must_use]
    pub fn only(mut self, family: Family) -> TcpConnector {
        self.family = Some(family);
        self
    }

    /// Uses this address for a host and port instead of asking the resolver. It may be called several times for the
    /// same host.
    #[must_use]
    pub fn resolve(mut self, host: &str, port: u16, address: IpAddr) -> TcpConnector {
        self.overrides.push((Endpoint { host: url::ascii_host(host), port }, address));
        self
    }

    /// Connects to one of the host's addresses.
    ///
    /// # Errors
    /// As [`Connect::connect`]. A lookup cannot be cancelled. If it takes too long, its thread remains until the
    /// resolver returns.
    pub fn open(&self, endpoint: &Endpoint, limit: Duration, report: &dyn Fn(Event<'_>)) -> Result<TcpStream, Error> {
        let start = Instant::now();
        let addresses = self.addresses(endpoint, limit)?;
        let (stream, address) = connect_any(&addresses, start, limit, report)?;
        // Otherwise the end of a request waits until the server has acknowledged the bytes before it.
        stream.set_nodelay(true).map_err(|source| Error::Connect { address, source })?;
        report(Event::Connected(address));
        Ok(stream)
    }

    /// The addresses to try, in this order; at least one.
    fn addresses(&self, endpoint: &Endpoint, limit: Duration) -> Result<Vec<SocketAddr>, Error> {
        let Endpoint { host, port } = endpoint;
        let is_same = |other: &Endpoint| other.port == *port && other.host.eq_ignore_ascii_case(host);
        let overrides = self.overrides.iter().filter(|(other, _)| is_same(other));
        let mut addresses: Vec<_> = overrides.map(|(_, address)| SocketAddr::new(*address, *port)).collect();
        if addresses.is_empty() {
            addresses = resolve(host, *port, limit)?;
        }
        let wanted = |address: &SocketAddr| match self.family {
            None => true,
            Some(Family::V4) => address.is_ipv4(),
            Some(Family::V6) => address.is_ipv6(),
        };
        addresses.retain(wanted);
        if addresses.is_empty() {
            let source = io::Error::new(ErrorKind::NotFound, "it has no address of the family that is asked for");
            return Err(Error::Resolve { host: host.clone(), source });
        }
        Ok(in_turn(addresses))
    }
}

impl Connect for TcpConnector {
    fn connect(
        &self,
        endpoint: &Endpoint,
        limit: Duration,
        report: &dyn Fn(Event<'_>),
    ) -> Result<Box<dyn Stream>, Error> {
        Ok(Box::new(self.open(endpoint, limit, report)?))
    }
}

/// Both families in turn, each in the resolver's order (RFC 8305 §4).
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first_kind = |address: &SocketAddr| address.is_ipv6() == addresses[0].is_ipv6();
    let (mut first, mut second): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(is_first_kind);
    first.reverse();
    second.reverse();
    let mut all = Vec::new();
    while !first.is_empty() || !second.is_empty() {
        all.extend(first.pop());
        all.extend(second.pop());
    }
    all
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
        Err(_) => Err(Error::TimedOut { phase: Phase::Resolving, limit: Some(limit) }),
    }
}

/// Connects to the first address that accepts. Each attempt is a thread, because a blocking connect cannot be left.
fn connect_any(
    addresses: &[SocketAddr],
    start: Instant,
    limit: Duration,
    report: &dyn Fn(Event<'_>),
) -> Result<(TcpStream, SocketAddr), Error> {
    let timed_out = || Error::TimedOut { phase: Phase::Connecting, limit: Some(limit) };
    // Zero would be an error.
    let left = || limit.saturating_sub(start.elapsed()).max(Duration::from_millis(1));
    let fail = |address, source: io::Error| {
        report(Event::ConnectFailed(address, &source));
        if is_timeout(source.kind()) { timed_out() } else { Error::Connect { address, source } }
    };
    if let &[address] = addresses {
        report(Event::Connecting(address));
        let stream = TcpStream::connect_timeout(&address, left());
        return stream.map(|stream| (stream, address)).map_err(|source| fail(address, source));
    }
    let (sender, receiver) = mpsc::channel();
    let (mut waiting, mut running, mut failure) = (addresses.iter().copied(), 0, timed_out());
    loop {
        if let Some(address) = waiting.next() {
            report(Event::Connecting(address));
            let (sender, left) = (sender.clone(), left());
            let connect = move || sender.send((address, TcpStream::connect_timeout(&address, left)));
            thread::Builder::new().spawn(connect).map_err(|source| Error::Connect { address, source })?;
            running += 1;
        } else if running == 0 {
            return Err(failure);
        }
        let is_last = waiting.len() == 0;
        match receiver.recv_timeout(if is_last { left() } else { ATTEMPT_DELAY.min(left()) }) {
            Ok((address, Ok(stream))) => return Ok((stream, address)),
            Ok((address, Err(source))) => {
                running -= 1;
                failure = fail(address, source);
            }
            Err(_) if start.elapsed() >= limit => return Err(timed_out()),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<(TcpStream, SocketAddr), Error> {
        connect_any(addresses, Instant::now(), limit, &|_| ())
    }

    /// A listener whose queue is full, so that it does not answer. The connections in it have to be kept.
    fn silent() -> (TcpListener, Vec<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        let connections = std::iter::from_fn(connect).take(10_000).collect();
        (listener, connections)
    }

    #[test]
    fn every_address_is_tried_until_one_accepts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let limit = Duration::from_secs(9);
        for addresses in [&[live][..], &[live, dead], &[dead, live], &[dead, dead, live]] {
            assert_eq!(connect(addresses, limit).unwrap().0.peer_addr().unwrap(), live);
        }
        for addresses in [&[dead][..], &[dead, dead]] {
            let error = connect(addresses, limit).unwrap_err();
            assert!(matches!(error, Error::Connect { address, .. } if address == dead), "{error}");
        }
    }

    #[test]
    fn address_that_does_not_answer_is_overtaken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        let (full, _connections) = silent();
        let silent = full.local_addr().unwrap();
        let start = Instant::now();
        assert_eq!(connect(&[silent, silent, live], Duration::from_secs(60)).unwrap().1, live);
        assert!(start.elapsed() >= 2 * ATTEMPT_DELAY - Duration::from_millis(5));
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
        for addresses in [&[silent][..], &[silent, silent]] {
            let error = connect(addresses, Duration::from_millis(300)).unwrap_err();
            assert!(matches!(error, Error::TimedOut { phase: Phase::Connecting, .. }), "{error}");
        }
    }

    #[test]
    fn families_are_tried_in_turn() {
        let parse = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect::<Vec<_>>();
        for (given, expected) in [
            (&["[::1]:1", "[::2]:1", "1.1.1.1:1"][..], &["[::1]:1", "1.1.1.1:1", "[::2]:1"][..]),
            (&["1.1.1.1:1", "1.1.1.2:1", "[::1]:1"], &["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"]),
            (&["1.1.1.1:1", "1.1.1.2:1"], &["1.1.1.1:1", "1.1.1.2:1"]),
        ] {
            assert_eq!(in_turn(parse(given)), parse(expected));
        }
    }

    #[test]
    fn addresses_are_those_of_the_family_and_of_the_caller() {
        let endpoint = |host: &str| Endpoint { host: host.into(), port: 80 };
        let addresses = |connector: TcpConnector, host: &str| {
            let addresses = connector.addresses(&endpoint(host), Duration::from_secs(9));
            addresses.map(|addresses| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        let (v4, v6) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let both = TcpConnector::new().resolve("name.invalid", 80, v4).resolve("NAME.invalid", 80, v6);
        assert_eq!(addresses(both.clone(), "Name.Invalid").unwrap(), "192.0.2.1:80 [2001:db8::1]:80");
        assert_eq!(addresses(both.clone().only(Family::V6), "name.invalid").unwrap(), "[2001:db8::1]:80");
        assert_eq!(addresses(both.clone().only(Family::V4), "127.0.0.1").unwrap(), "127.0.0.1:80");
        assert!(matches!(addresses(both.clone().only(Family::V6), "127.0.0.1"), Err(Error::Resolve { .. })));
        let other_port = TcpConnector::new().resolve("127.0.0.1", 81, v4);
        assert_eq!(addresses(other_port, "127.0.0.1").unwrap(), "127.0.0.1:80");
    }
}
