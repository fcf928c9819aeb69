//! Who the client is, where trusted proxies stand between it and us. Only what a trusted peer says of X-Forwarded-For
//! counts, and of that only the hops that trusted ones have added.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http_core::{FieldName, Fields};

const X_FORWARDED_FOR: FieldName<'static> = FieldName::from_static("X-Forwarded-For");

/// Peers that are believed when they say who their client is: the addresses of a network, or whoever comes by a
/// unix-domain socket.
///
/// ```
/// use http_server::TrustedProxy;
///
/// let network: TrustedProxy = "10.0.0.0/8".parse().unwrap();
/// let one: TrustedProxy = "2001:db8::1".parse().unwrap();
/// let local: TrustedProxy = "unix".parse().unwrap();
/// assert!("10.0.0.0/33".parse::<TrustedProxy>().is_err());
/// # let _ = (network, one, local);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedProxy(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The addresses that begin with as many bits of this one.
    Network(IpAddr, u8),
    Unix,
}

/// A text that names no [`TrustedProxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a network like 10.0.0.0/8 or 2001:db8::/32, an address, or unix")]
pub struct ParseTrustedProxyError;

impl FromStr for TrustedProxy {
    type Err = ParseTrustedProxyError;

    fn from_str(text: &str) -> Result<TrustedProxy, ParseTrustedProxyError> {
        if text == "unix" {
            return Ok(TrustedProxy(Kind::Unix));
        }
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| ParseTrustedProxyError)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits: u8 = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|c| c.is_ascii_digit()) => {
                bits.parse().map_err(|_| ParseTrustedProxyError)?
            }
            Some(_) => return Err(ParseTrustedProxyError),
        };
        match address.to_canonical() {
            _ if bits > most => Err(ParseTrustedProxyError),
            IpAddr::V4(mapped) if address.is_ipv6() => {
                Ok(TrustedProxy(Kind::Network(mapped.into(), bits.checked_sub(96).ok_or(ParseTrustedProxyError)?)))
            }
            address => Ok(TrustedProxy(Kind::Network(address, bits))),
        }
    }
}

impl TrustedProxy {
    /// An unspecified address is that of a unix-domain socket.
    fn is(self, peer: IpAddr) -> bool {
        let Kind::Network(network, bits) = self.0 else { return peer.is_unspecified() };
        let (difference, width) = match (network, peer) {
            _ if peer.is_unspecified() => return false,
            (IpAddr::V4(network), IpAddr::V4(peer)) => (u128::from(network.to_bits() ^ peer.to_bits()), 32),
            (IpAddr::V6(network), IpAddr::V6(peer)) => (network.to_bits() ^ peer.to_bits(), 128),
            _ => return false,
        };
        difference.checked_shr(width - u32::from(bits)).unwrap_or(0) == 0
    }
}

/// The client of a request with these fields: the last hop that is not trusted, or the first where all are. What is no
/// address, such as `unknown`, ends what can be known; then it is the hop that said so.
///
/// One way through the field's bytes, whatever is in them.
pub(crate) fn client(trusted: &[TrustedProxy], peer: IpAddr, fields: &Fields<'_>) -> IpAddr {
    let is_trusted = |hop: IpAddr| trusted.iter().any(|proxy| proxy.is(hop));
    if !is_trusted(peer) {
        return peer;
    }
    // Read from the left: whatever ends a walk from the right makes all before it worth nothing.
    let mut client = None;
    let mut ended = true;
    for element in fields.tokens(X_FORWARDED_FOR) {
        match address(element) {
            Some(hop) if ended || !is_trusted(hop) => (client, ended) = (Some(hop), false),
            Some(_) => {}
            None => (client, ended) = (None, true),
        }
    }
    client.unwrap_or(peer)
}

/// An address, alone or with a port, in brackets or without.
fn address(element: &[u8]) -> Option<IpAddr> {
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
        client(&proxies(trusted), peer.parse().unwrap(), &head.fields).to_string()
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_not_trusted() {
        const OURS: &str = "10.0.0.0/8 2001:db8::/32";
        for (lines, expected) in [
            // Nothing said, or nothing that counts.
            (&[][..], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&[" , ,, "], "10.0.0.1"),
            // One proxy, and several.
            (&["192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.1,10.0.0.2,10.0.0.3"], "192.0.2.1"),
            // What a client says of itself is before what our proxies say of it.
            (&["198.51.100.1, 192.0.2.1"], "192.0.2.1"),
            (&["10.0.0.9, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (&["127.0.0.1, unknown, 192.0.2.1"], "192.0.2.1"),
            // All fields are one list.
            (&["198.51.100.1", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.1", "", "10.0.0.2,"], "192.0.2.1"),
            // All trusted: the first.
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["2001:db8::3", "10.0.0.2"], "2001:db8::3"),
            // What is no address ends the walk at the last hop that was one.
            (&["unknown"], "10.0.0.1"),
            (&["_hidden, 10.0.0.2"], "10.0.0.2"),
            (&["192.0.2.1, unknown, 10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["192.0.2.1, unknown"], "10.0.0.1"),
            (&["192.0.2.1, 10.0.0.256"], "10.0.0.1"),
            (&["192.0.2.1, \"10.0.0.2\""], "10.0.0.1"),
            (&["192.0.2.1, \"", "10.0.0.2"], "10.0.0.2"),
            (&["192.0.2.1, 0.0.0.0"], "10.0.0.1"),
            (&["192.0.2.1, 10.0.0.2 10.0.0.3"], "10.0.0.1"),
            // Ports, brackets, blanks.
            (&["192.0.2.1:80"], "192.0.2.1"),
            (&["\t192.0.2.1 ,  10.0.0.2:443 "], "192.0.2.1"),
            (&["[2001:db9::1]:80"], "2001:db9::1"),
            (&["[2001:db9::1]"], "2001:db9::1"),
            (&["2001:db9::1, [2001:db8::2]:1, [2001:db8::3]"], "2001:db9::1"),
            (&["[192.0.2.1]"], "10.0.0.1"),
            (&["192.0.2.1:port"], "10.0.0.1"),
            (&["[2001:db9::1"], "10.0.0.1"),
            (&["fe80::1%eth0"], "10.0.0.1"),
            // IPv4 in the clothes of IPv6 is IPv4.
            (&["::ffff:192.0.2.1, ::ffff:10.0.0.2"], "192.0.2.1"),
            (&["[::ffff:192.0.2.1]:80"], "192.0.2.1"),
        ] {
            assert_eq!(client_of(OURS, "10.0.0.1", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn who_is_not_trusted_is_not_believed() {
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
            // By a unix-domain socket.
            ("unix", "0.0.0.0", "192.0.2.1"),
            ("unix", "::", "192.0.2.1"),
            ("unix", "10.0.0.1", "10.0.0.1"),
            ("0.0.0.0/0 ::/0", "0.0.0.0", "0.0.0.0"),
            ("0.0.0.0/0 ::/0", "::", "::"),
        ] {
            // All hops are trusted, or none: the answer is the same, unless the peer is not.
            assert_eq!(client_of(trusted, peer, &["192.0.2.1"]), expected, "{trusted} {peer}");
        }
    }

    #[test]
    fn a_network_has_one_spelling_or_none() {
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

    // A head is all that there can be of it.
    #[test]
    fn a_field_as_long_as_can_be_is_read_once() {
        let hops = "10.0.0.2,".repeat(800);
        assert_eq!(client_of("10.0.0.0/8", "10.0.0.1", &[&format!("192.0.2.1,{hops}"), &hops]), "192.0.2.1");
        let empty = ",".repeat(8000);
        assert_eq!(client_of("10.0.0.0/8", "10.0.0.1", &[&format!("192.0.2.1{empty}"), &empty]), "192.0.2.1");
    }
}
