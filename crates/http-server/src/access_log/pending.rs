//! What the log will say of a request, from its head until its reply has ended: one buffer of bytes, so that a
//! connection that waits is small. It holds no more than the format needs.

use std::net::{IpAddr, Ipv6Addr};

use http_core::auth::Basic;
use http_core::{FieldName, Fields, header};

use super::LogFormat;
use crate::clock::Millis;

/// Bytes of a draft at most where heads have this many: a head's, and what stands before its texts, in a buffer that has
/// doubled.
pub(crate) fn draft_memory(head: usize) -> usize {
    2 * (head + (1 << 10))
}

/// A draft that is read again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingRecord<'a> {
    pub(crate) began: Millis,
    pub(crate) client: IpAddr,
    /// Empty where there is none, and so on.
    pub(super) user: &'a [u8],
    pub(super) referer: &'a [u8],
    pub(super) user_agent: &'a [u8],
    /// The request line, as it came.
    pub(super) line: &'a [u8],
}

/// The time, the client's address, and the lengths of three texts.
const FIXED: usize = 8 + 16 + 3 * 2;

impl PendingRecord<'_> {
    /// Begins a draft, behind which the request line is to be put. Where there is no head, there are no fields.
    pub(crate) fn begin(
        draft: &mut Vec<u8>,
        format: LogFormat,
        began: Millis,
        client: IpAddr,
        fields: Option<&Fields<'_>>,
    ) {
        // R1945-12.3: never the password.
        let credentials =
            fields.and_then(|fields| fields.only(header::AUTHORIZATION)).and_then(|value| Basic::parse(value).ok());
        let text = |name: FieldName<'_>| match fields {
            Some(fields) if format != LogFormat::Common => fields.get(name).map_or(&b""[..], |value| value.as_bytes()),
            _ => b"",
        };
        let user = credentials.as_ref().map_or(&b""[..], Basic::user);
        let texts = [user, text(header::REFERER), text(header::USER_AGENT)];
        let client = match client {
            IpAddr::V4(client) => client.to_ipv6_mapped(),
            IpAddr::V6(client) => client,
        };
        let mut fixed = [0; FIXED];
        fixed[..8].copy_from_slice(&began.to_ne_bytes());
        fixed[8..24].copy_from_slice(&client.octets());
        for (length, text) in fixed[24..].chunks_exact_mut(2).zip(texts) {
            length.copy_from_slice(&(text.len() as u16).to_ne_bytes()); // a head is shorter
        }
        draft.extend_from_slice(&fixed);
        for text in texts.into_iter().filter(|text| !text.is_empty()) {
            draft.extend_from_slice(text);
        }
    }

    /// What was noted; of what was not, nothing.
    pub(crate) fn read(draft: &[u8]) -> PendingRecord<'_> {
        let (began, rest) = draft.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let (client, rest) = rest.split_first_chunk().unwrap_or((&[0; 16], &[]));
        let (lengths, mut texts) = rest.split_first_chunk().unwrap_or((&[0; 6], &[]));
        let mut text = |n: usize| {
            let length = u16::from_ne_bytes([lengths[2 * n], lengths[2 * n + 1]]);
            let (text, rest) = texts.split_at_checked(length.into()).unwrap_or_default();
            texts = rest;
            text
        };
        PendingRecord {
            began: Millis::from_ne_bytes(*began),
            client: Ipv6Addr::from(*client).to_canonical(),
            user: text(0),
            referer: text(1),
            user_agent: text(2),
            line: texts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_core::Limits;
    use http_core::server::{Connection, Event};

    /// What is noted of a request with these fields.
    fn noted(format: LogFormat, client: &str, fields: &str) -> Vec<u8> {
        let mut connection = Connection::new(Limits::default());
        let bytes = format!("GET /path HTTP/1.0\r\n{fields}\r\n").into_bytes();
        connection.receive_buffer()[..bytes.len()].copy_from_slice(&bytes);
        connection.received(bytes.len());
        let Ok(Event::Request(head)) = connection.poll() else { panic!("{fields}") };
        let mut draft = Vec::new();
        PendingRecord::begin(&mut draft, format, 1 << 40 | 10, client.parse().unwrap(), Some(&head.fields));
        draft.extend_from_slice(connection.start_line());
        draft
    }

    fn texts<'a>(draft: &'a PendingRecord<'_>) -> [&'a str; 4] {
        [draft.user, draft.referer, draft.user_agent, draft.line].map(|text| str::from_utf8(text).unwrap())
    }

    #[test]
    fn what_is_noted_is_read_again() {
        let fields = "Referer: http://a/ b\r\nUser-Agent: me/1.0 (a)\r\nAuthorization: Basic QTpi\r\n";
        for client in ["10.10.10.10", "a0a:a0a::a0a", "::"] {
            for (format, referer, agent) in [
                (LogFormat::Common, "", ""),
                (LogFormat::Combined, "http://a/ b", "me/1.0 (a)"),
                (LogFormat::Json, "http://a/ b", "me/1.0 (a)"),
            ] {
                let draft = noted(format, client, fields);
                let draft = PendingRecord::read(&draft);
                assert_eq!((draft.began, draft.client), (1 << 40 | 10, client.parse().unwrap()));
                assert_eq!(texts(&draft), ["A", referer, agent, "GET /path HTTP/1.0"]);
            }
        }
        assert_eq!(PendingRecord::read(b"").line, b"", "nothing");
    }

    // R1945-12.3: of credentials the user alone; what is none, or twice there, is nobody's.
    #[test]
    fn users_are_named_and_their_passwords_are_not() {
        for (fields, user) in [
            ("", ""),
            ("Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n", "Aladdin"),
            ("Authorization: Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n", ""),
            ("Authorization: Basic %\r\n", ""),
            ("Authorization: Basic QTpi\r\nAuthorization: Basic QTpi\r\n", ""),
        ] {
            let draft = noted(LogFormat::Json, "::1", fields);
            assert_eq!(texts(&PendingRecord::read(&draft))[0], user, "{fields}");
            assert!(!draft.escape_ascii().to_string().contains("sesame"));
        }
    }

    #[test]
    fn the_longest_draft_has_room() {
        let limits = Limits::default();
        assert!(limits.head <= u16::MAX.into());
        assert!(
            draft_memory(limits.head as usize) >= 2 * (limits.head as usize + FIXED),
            "its buffer may have doubled"
        );
    }
}
