//! The client's address behind trusted proxies. X-Forwarded-For counts only if a trusted peer sends it, and only as far
//! as trusted hops have added to it.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http_core::{Fields, header};
use ipnet::{IpNet, Ipv4Net};

/// Peers whose X-Forwarded-For is trusted: the addresses of a network, or all peers on a Unix domain socket.
///
/// ```
/// use http_server::TrustedProxy;
///
/// let network: TrustedProxy = "10.0.0.0/8".parse().unwrap();
/// let address: TrustedProxy = "2001:db8::1".parse().unwrap();
/// let local: TrustedProxy = "unix".parse().unwrap();
/// assert!("10.0.0.0/33".parse::<TrustedProxy>().is_err());
/// # let _ = (network, address, local);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedProxy(Peers);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peers {
    Network(IpNet),
    Unix,
}

/// The error of a text that is not a [`TrustedProxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a network like 10.0.0.0/8 or 2001:db8::/32, an address, or unix")]
pub struct ParseTrustedProxyError;

impl FromStr for TrustedProxy {
    type Err = ParseTrustedProxyError;

    fn from_str(text: &str) -> Result<TrustedProxy, ParseTrustedProxyError> {
        if text == "unix" {
            return Ok(TrustedProxy(Peers::Unix));
        }
        let network = text.parse().or_else(|_| text.parse().map(|address: IpAddr| address.into()));
        canonical(network.map_err(|_| ParseTrustedProxyError)?).map(|network| TrustedProxy(Peers::Network(network)))
    }
}

/// Converts a network of IPv4-mapped IPv6 addresses to IPv4. It must not contain other addresses.
fn canonical(network: IpNet) -> Result<IpNet, ParseTrustedProxyError> {
    match network.addr().to_canonical() {
        IpAddr::V4(address) if network.addr().is_ipv6() => {
            let prefix = network.prefix_len().checked_sub(96).ok_or(ParseTrustedProxyError)?;
            Ipv4Net::new(address, prefix).map(IpNet::V4).map_err(|_| ParseTrustedProxyError)
        }
        _ => Ok(network),
    }
}

impl TrustedProxy {
    /// Whether this peer is one of them. A peer on a Unix domain socket has the unspecified address.
    fn contains(self, peer: IpAddr) -> bool {
        match self.0 {
            Peers::Unix => peer.is_unspecified(),
            Peers::Network(network) => !peer.is_unspecified() && network.contains(&peer),
        }
    }
}

/// The address of a request's client: the last hop that is not trusted, or the first hop if all are. An element that is
/// not an address, such as `unknown`, ends the search; then the client is the hop that added it.
///
/// The time is linear in the length of the headers, whatever they contain.
pub(crate) fn client_ip(trusted: &[TrustedProxy], peer: IpAddr, headers: &Fields<'_>) -> IpAddr {
    let is_trusted = |hop: IpAddr| trusted.iter().any(|proxy| proxy.contains(hop));
    last_untrusted(peer, headers.tokens(header::X_FORWARDED_FOR), is_trusted)
}

fn last_untrusted<'a>(
    peer: IpAddr,
    hops: impl Iterator<Item = &'a [u8]>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    if !is_trusted(peer) {
        return peer;
    }
    // From left to right. Where a walk from the right would end, everything found before is forgotten.
    let mut client = None;
    let mut ended = true;
    for hop in hops {
        match parse_hop(hop) {
            Some(hop) if ended || !is_trusted(hop) => (client, ended) = (Some(hop), false),
            Some(_) => {}
            None => (client, ended) = (None, true),
        }
    }
    client.unwrap_or(peer)
}

/// Reads an address, with or without a port, in brackets or without.
fn parse_hop(element: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(element).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).filter(|text| text.contains(':'));
    let address = match bare.unwrap_or(text).parse() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical()).filter(|address| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_core::Limits;
    use http_core::server::{Connection, Event};
    use std::cell::Cell;
    use std::io;

    fn proxies(list: &str) -> Vec<TrustedProxy> {
        list.split_whitespace().map(|proxy| proxy.parse().unwrap()).collect()
    }

    fn client_of(trusted: &str, peer: &str, lines: &[&str]) -> String {
        let mut connection = Connection::new(Limits::default());
        let lines: String = lines.iter().map(|line| format!("x-forwarded-FOR: {line}\r\n")).collect();
        let bytes = format!("GET / HTTP/1.0\r\nVia: a\r\n{lines}\r\n").into_bytes();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
            let n = io::Read::read(&mut rest, connection.receive_buffer()).unwrap();
            connection.received(n);
        }
        let Ok(Event::Request(head)) = connection.poll() else { panic!("{lines}") };
        client_ip(&proxies(trusted), peer.parse().unwrap(), &head.fields).to_string()
    }

    #[test]
    fn client_is_the_last_hop_that_is_not_trusted() {
        const OURS: &str = "10.0.0.0/8 2001:db8::/32";
        for (lines, expected) in [
            // No header, or no element.
            (&[][..], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&[" , ,, "], "10.0.0.1"),
            // One proxy, and several.
            (&["192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.1,10.0.0.2,10.0.0.3"], "192.0.2.1"),
            // What a client claims is left of what our proxies add.
            (&["198.51.100.1, 192.0.2.1"], "192.0.2.1"),
            (&["10.0.0.9, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (&["127.0.0.1, unknown, 192.0.2.1"], "192.0.2.1"),
            // All headers are one list.
            (&["198.51.100.1", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.1", "", "10.0.0.2,"], "192.0.2.1"),
            // All hops are trusted: the first one.
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["2001:db8::3", "10.0.0.2"], "2001:db8::3"),
            // An element that is not an address ends the walk at the last hop that was one.
            (&["unknown"], "10.0.0.1"),
            (&["_hidden, 10.0.0.2"], "10.0.0.2"),
            (&["192.0.2.1, unknown, 10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["192.0.2.1, unknown"], "10.0.0.1"),
            (&["192.0.2.1, 10.0.0.256"], "10.0.0.1"),
            (&["192.0.2.1, \"10.0.0.2\""], "10.0.0.1"),
            (&["192.0.2.1, \"", "10.0.0.2"], "10.0.0.2"),
            (&["192.0.2.1, 0.0.0.0"], "10.0.0.1"),
            (&["192.0.2.1, 10.0.0.2 10.0.0.3"], "10.0.0.1"),
            // Ports, brackets, spaces.
            (&["192.0.2.1:80"], "192.0.2.1"),
            (&["\t192.0.2.1 ,  10.0.0.2:443 "], "192.0.2.1"),
            (&["[2001:db9::1]:80"], "2001:db9::1"),
            (&["[2001:db9::1]"], "2001:db9::1"),
            (&["2001:db9::1, [2001:db8::2]:1, [2001:db8::3]"], "2001:db9::1"),
            (&["[192.0.2.1]"], "10.0.0.1"),
            (&["192.0.2.1:port"], "10.0.0.1"),
            (&["[2001:db9::1"], "10.0.0.1"),
            (&["fe80::1%eth0"], "10.0.0.1"),
            // IPv4 mapped into IPv6 is IPv4.
            (&["::ffff:192.0.2.1, ::ffff:10.0.0.2"], "192.0.2.1"),
            (&["[::ffff:192.0.2.1]:80"], "192.0.2.1"),
        ] {
            assert_eq!(client_of(OURS, "10.0.0.1", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn header_of_an_untrusted_peer_is_ignored() {
        for (trusted, peer, expected) in [
            ("", "10.0.0.1", "10.0.0.1"),
            ("10.0.0.0/31", "10.0.0.2", "10.0.0.2"),
            ("10.0.0.0/31", "10.0.0.1", "192.0.2.1"),
            ("10.0.0.1", "10.0.0.1", "192.0.2.1"),
            ("10.0.0.1", "10.0.0.0", "10.0.0.0"),
            ("0.0.0.0/0", "10.0.0.1", "192.0.2.1"),
            ("0.0.0.0/0", "2001:db8::1", "2001:db8::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("::/0", "10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "192.0.2.1"),
            ("::ffff:10.0.0.0/104", "11.0.0.1", "11.0.0.1"),
            ("2001:db8:0:8000::/49", "2001:db8:0:8001::1", "192.0.2.1"),
            ("2001:db8:0:8000::/49", "2001:db8:0:7fff::1", "2001:db8:0:7fff::1"),
            // A Unix domain socket.
            ("unix", "0.0.0.0", "192.0.2.1"),
            ("unix", "::", "192.0.2.1"),
            ("unix", "10.0.0.1", "10.0.0.1"),
            ("0.0.0.0/0 ::/0", "0.0.0.0", "0.0.0.0"),
            ("0.0.0.0/0 ::/0", "::", "::"),
        ] {
            // One hop: whether it is trusted does not matter, only whether the peer is.
            assert_eq!(client_of(trusted, peer, &["192.0.2.1"]), expected, "{trusted} {peer}");
        }
    }

    #[test]
    fn network_is_parsed_or_refused() {
        for good in ["10.0.0.0/8", "10.0.0.1/8", "::1", "::/0", "0.0.0.0/0", "::ffff:1.2.3.4", "unix"] {
            assert!(good.parse::<TrustedProxy>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0/8",
            "::/129",
            "::/256",
            "::ffff:0.0.0.0/95",
            "10.0.0.0/8/8",
            "UNIX",
            "localhost",
            "10.0.0.0/255.0.0.0",
            " 10.0.0.1",
        ] {
            assert_eq!(bad.parse::<TrustedProxy>(), Err(ParseTrustedProxyError), "{bad}");
        }
    }

    #[test]
    fn each_hop_is_examined_at_most_once() {
        // Almost the longest head.
        let hops = "10.0.0.2,".repeat(800);
        assert_eq!(client_of("10.0.0.0/8", "10.0.0.1", &[&format!("192.0.2.1,{hops}"), &hops]), "192.0.2.1");
        let empty = ",".repeat(8000);
        assert_eq!(client_of("10.0.0.0/8", "10.0.0.1", &[&format!("192.0.2.1{empty}"), &empty]), "192.0.2.1");
        for hop in ["10.0.0.2", "192.0.2.1", "unknown", "unknown,10.0.0.2"] {
            let (hops, examined) = (vec![hop; 1000].join(","), Cell::new(0));
            let is_trusted = |hop: IpAddr| {
                examined.set(examined.get() + 1);
                hop.to_string().starts_with("10.")
            };
            let _ = last_untrusted(IpAddr::from([10, 0, 0, 1]), hops.as_bytes().split(|&c| c == b','), is_trusted);
            assert!(examined.get() <= 1 + 1000, "{hop}: {}", examined.get());
        }
    }
}
