//! Which fields of a received message a proxy passes on, and what it adds to them (RFC 9110 §7.6, RFC 2068 §13.5.1).

use alloc::format;

use crate::field::{FieldBlock, FieldName, FieldValue, Fields, name};
use crate::target::Authority;
use crate::version::Version;

/// Fields that are for one hop by themselves, whether Connection names them or not. Connection, Keep-Alive and
/// Transfer-Encoding are not among them, as no [`FieldBlock`] takes them.
const FOR_ONE_HOP: [FieldName<'static>; 6] = [
    FieldName::from_static("Proxy-Authenticate"),
    name::PROXY_AUTHORIZATION,
    FieldName::from_static("Proxy-Connection"),
    FieldName::from_static("TE"),
    FieldName::from_static("Trailer"),
    FieldName::from_static("Upgrade"),
];

impl FieldBlock {
    /// Adds the field lines of a received message that a proxy passes on, in order: all but those for one hop, which
    /// Connection names or which are so by themselves, and those that the machines write anew (see [`FieldBlock`]). Via
    /// then says in which version the message came and who passes it on: a host and port, or a pseudonym.
    ///
    /// It looks through the Connection fields once for every field line.
    ///
    /// ```
    /// # use http_core::{server::{Connection, Event}, Limits};
    /// # let mut connection = Connection::new(Limits::default());
    /// # let head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Secret, close\r\nX-Secret: 1\r\nTE: trailers\r\nAccept: */*\r\n\r\n";
    /// # connection.space()[..head.len()].copy_from_slice(head);
    /// # connection.received(head.len());
    /// # let Ok(Event::Request(request)) = connection.poll() else { unreachable!() };
    /// // Host: a, Connection: X-Secret, close, X-Secret: 1, TE: trailers, Accept: */*
    /// let mut fields = http_core::FieldBlock::new();
    /// fields.forward(&request.fields, request.version, http_core::Authority::new(b"proxy:3128").unwrap());
    /// assert_eq!(fields.as_bytes(), b"Accept: */*\r\nVia: 1.1 proxy:3128\r\n");
    /// ```
    pub fn forward(&mut self, received: &Fields<'_>, version: Version, by: Authority<'_>) {
        for (name, value) in received.iter() {
            let is_named = || received.tokens(name::CONNECTION).any(|token| FieldName::new(token) == Some(name));
            if !FOR_ONE_HOP.contains(&name) && !is_named() {
                let _ = self.push(name, value); // what it does not take, the machines write
            }
        }
        // R9110-7.6.3
        let via = format!("{}.{} {}", version.major(), version.minor(), by.as_str());
        let _ = FieldValue::new(via.as_bytes()).map(|via| self.push(name::VIA, via)); // it is one, and none of theirs
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    // R9110-7.6.1, R9110-7.6.3
    #[test]
    fn what_is_for_one_hop_ends_here() {
        let passed = |head: &[u8]| {
            let mut index = Vec::new();
            crate::parse::fields(head, 0, 99, &mut index).unwrap();
            let mut fields = FieldBlock::new();
            fields.forward(&Fields::new(head, &index), Version::HTTP_10, Authority::new(b"p:1").unwrap());
            String::from_utf8(fields.as_bytes().to_vec()).unwrap()
        };
        for (head, expected) in [
            ("A: 1\r\nB: 2\r\nA: 3\r\n\r\n", "A: 1\r\nB: 2\r\nA: 3\r\n"),
            ("Connection: b\r\nA: 1\r\nB: 2\r\nb: 3\r\n\r\n", "A: 1\r\n"),
            ("B: 2\r\nA: 1\r\nConnection: close\r\nCONNECTION: , x,b\t,\r\n\r\n", "A: 1\r\n"),
            ("Connection: a b, \"a\", a=1\r\nA: 1\r\n\r\n", "A: 1\r\n"), // no names
            ("Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: x\r\nTrailer: A\r\nUpgrade: x\r\nA: 1\r\n\r\n", "A: 1\r\n"),
            ("Proxy-Authorization: x\r\nProxy-Authenticate: x\r\nAuthorization: y\r\n\r\n", "Authorization: y\r\n"),
            (
                "Host: a\r\nContent-Length: 1\r\nDate: x\r\nTransfer-Encoding: chunked\r\nVia: 1.1 p\r\n\r\n",
                "Via: 1.1 p\r\n",
            ),
        ] {
            assert_eq!(passed(head.as_bytes()), format!("{expected}Via: 1.0 p:1\r\n"), "{head:?}");
        }
    }
}
