//! What the log needs of a request, kept from its head until its response ends. It holds no more than the format needs.

use std::net::{IpAddr, Ipv4Addr};

use http_core::auth::Basic;
use http_core::{FieldName, Fields, header};

use crate::access_log::log_format::LogFormat;

/// The most bytes of a record, for heads of this many bytes: its texts, in a buffer that may have doubled.
pub(crate) fn max_record(head: usize) -> usize {
    2 * (head + MAX_CAUSE)
}

/// The most bytes of a cause.
pub(crate) const MAX_CAUSE: usize = 500;

/// Bytes of text that every connection may keep while its response waits; more is returned to the allocator.
pub(crate) const TEXT_KEPT: usize = 256;

#[derive(Debug)]
pub(crate) struct PendingRecord {
    /// In nanoseconds; only for a format that says how long a request took.
    pub(super) began: u64,
    pub(super) client: IpAddr,
    /// User, Referer, User-Agent, request line and cause, one after the other. The buffer is reused for the next request.
    text: Vec<u8>,
    user_end: usize,
    referer_end: usize,
    user_agent_end: usize,
    request_line_end: usize,
}

impl Default for PendingRecord {
    fn default() -> PendingRecord {
        let client = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        PendingRecord {
            began: 0,
            client,
            text: Vec::new(),
            user_end: 0,
            referer_end: 0,
            user_agent_end: 0,
            request_line_end: 0,
        }
    }
}

impl PendingRecord {
    /// Begins the record of the next request. A request without a valid head has no headers.
    pub(crate) fn begin(
        &mut self,
        format: LogFormat,
        began: u64,
        client: IpAddr,
        headers: Option<&Fields<'_>>,
        request_line: &[u8],
    ) {
        // R1945-12.3: never the password.
        let credentials =
            headers.and_then(|headers| headers.only(header::AUTHORIZATION)).and_then(|value| Basic::parse(value).ok());
        let user = credentials.as_ref().map_or(&b""[..], Basic::user);
        let header = |name: FieldName<'_>| match headers {
            Some(headers) if format != LogFormat::Common => {
                headers.get(name).map_or(&b""[..], |value| value.as_bytes())
            }
            _ => b"",
        };
        self.set(began, client, [user, header(header::REFERER), header(header::USER_AGENT), request_line]);
    }

    /// Texts are user, Referer, User-Agent and request line; one that is missing is empty.
    pub(super) fn set(&mut self, began: u64, client: IpAddr, texts: [&[u8]; 4]) {
        (self.began, self.client) = (began, client);
        self.text.clear();
        let ends = texts.map(|text| {
            self.text.extend_from_slice(text);
            self.text.len()
        });
        [self.user_end, self.referer_end, self.user_agent_end, self.request_line_end] = ends;
    }

    /// Why the request failed, or the beginning of that. Of several causes, the last counts.
    pub(crate) fn set_cause(&mut self, cause: &str) {
        self.text.truncate(self.request_line_end);
        self.text.extend_from_slice(truncated(cause).as_bytes());
    }

    /// `None` if nothing is known to have failed.
    pub(super) fn cause(&self) -> Option<&str> {
        str::from_utf8(&self.text[self.request_line_end..]).ok().filter(|cause| !cause.is_empty())
    }

    /// Empty if the request has no user; likewise below.
    pub(super) fn user(&self) -> &[u8] {
        &self.text[..self.user_end]
    }

    pub(super) fn referer(&self) -> &[u8] {
        &self.text[self.user_end..self.referer_end]
    }

    pub(super) fn user_agent(&self) -> &[u8] {
        &self.text[self.referer_end..self.user_agent_end]
    }

    /// As it was received.
    pub(crate) fn request_line(&self) -> &[u8] {
        &self.text[self.user_agent_end..self.request_line_end]
    }

    /// Bytes on the heap beyond [`TEXT_KEPT`].
    pub(crate) fn excess(&self) -> usize {
        self.text.capacity().saturating_sub(TEXT_KEPT)
    }

    /// Shrinks the buffer, which may have grown for a longer record of another connection.
    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to(TEXT_KEPT);
    }
}

/// As much of a cause as fits.
pub(crate) fn truncated(cause: &str) -> &str {
    let end = (0..=MAX_CAUSE.min(cause.len())).rev().find(|&end| cause.is_char_boundary(end));
    &cause[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_core::Limits;
    use http_core::server::{Connection, Event};
    use std::io;

    /// The record of a request with these headers.
    fn record_of(format: LogFormat, client: &str, headers: &str) -> PendingRecord {
        let mut connection = Connection::new(Limits::default());
        let bytes = format!("GET /path HTTP/1.0\r\n{headers}\r\n").into_bytes();
        let mut rest = &bytes[..];
        while matches!(connection.poll(), Ok(Event::NeedInput)) {
            let n = io::Read::read(&mut rest, connection.receive_buffer()).unwrap();
            connection.received(n);
        }
        let fields = connection.request_head().unwrap().fields;
        let mut record = PendingRecord::default();
        // A record is reused for the next request, whatever that is.
        record.set(1, IpAddr::from([1; 16]), [b"user", b"", b"agent", b"line"]);
        record.begin(format, 1 << 40, client.parse().unwrap(), Some(&fields), connection.start_line());
        record
    }

    fn texts(record: &PendingRecord) -> [&str; 4] {
        [record.user(), record.referer(), record.user_agent(), record.request_line()]
            .map(|text| str::from_utf8(text).unwrap())
    }

    #[test]
    fn record_holds_what_its_format_needs() {
        let headers = "Referer: http://a/ b\r\nUser-Agent: me/1.0 (a)\r\nAuthorization: Basic QTpi\r\n";
        for client in ["10.10.10.10", "a0a:a0a::a0a", "::"] {
            for (format, referer, agent) in [
                (LogFormat::Common, "", ""),
                (LogFormat::Combined, "http://a/ b", "me/1.0 (a)"),
                (LogFormat::Json, "http://a/ b", "me/1.0 (a)"),
            ] {
                let record = record_of(format, client, headers);
                assert_eq!((record.began, record.client), (1 << 40, client.parse().unwrap()));
                assert_eq!(texts(&record), ["A", referer, agent, "GET /path HTTP/1.0"]);
            }
        }
        assert_eq!(texts(&PendingRecord::default()), [""; 4]);
    }

    // R1945-12.3: only the user name of the credentials. Invalid or repeated credentials name no user.
    #[test]
    fn user_is_recorded_and_password_is_not() {
        for (headers, user) in [
            ("", ""),
            ("Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n", "Aladdin"),
            ("Authorization: Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n", ""),
            ("Authorization: Basic %\r\n", ""),
            ("Authorization: Basic QTpi\r\nAuthorization: Basic QTpi\r\n", ""),
        ] {
            let record = record_of(LogFormat::Json, "::1", headers);
            assert_eq!(texts(&record)[0], user, "{headers}");
            assert!(!record.text.escape_ascii().to_string().contains("sesame"));
        }
    }

    #[test]
    fn longest_record_fits() {
        let headers = format!("Referer: {}\r\n", "a".repeat(7000));
        let mut record = record_of(LogFormat::Combined, "::1", &headers);
        assert!(
            record.excess() >= 7000 - TEXT_KEPT
                && record.text.capacity() <= max_record(Limits::default().head as usize)
        );
        record.set(0, record.client, [b"", b"", b"", b"GET / HTTP/1.0"]);
        record.shrink();
        assert_eq!(record.excess(), 0);
    }
}
