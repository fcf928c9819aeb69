//! Expires: whether a cached response is still fresh (RFC 1945 §10.7). It stores no response and reads no clock.

use crate::message::date::Date;
use crate::message::field::{Fields, header};

/// Whether a response with these headers has expired. `None` if it has no Expires header.
///
/// An invalid date such as `0` counts as expired, and so does a repeated Expires (RFC 9111 §5.3). An Expires that is no
/// later than the response's own Date has expired, whatever the recipient's clock shows.
///
/// ```
/// # use http_core::{client::{Connection, Event, Request}, Authority, FieldBlock, Limits, Method, Target};
/// use http_core::{Date, expires::is_expired};
/// # let mut connection = Connection::new(Limits::default());
/// # let (host, fields) = (Authority::new(b"example.org").unwrap(), FieldBlock::new());
/// # let _no_body = connection.request(&Request::new(Method::Get, Target::new(b"/")?, host, &fields), &mut Vec::new())?;
/// # let head = b"HTTP/1.0 200 OK\r\nExpires: 0\r\n\r\n";
/// # connection.receive(head);
/// # let Ok(Event::Response(response)) = connection.poll() else { unreachable!() };
/// # let fields = response.fields;
/// // Expires: 0
/// let now = Date::from_unix(1_000_000_000).unwrap();
/// assert_eq!(is_expired(&fields, now), Some(true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn is_expired(fields: &Fields<'_>, now: Date) -> Option<bool> {
    fields.get(header::EXPIRES)?;
    let date = |name| Date::parse(fields.only(name)?.as_bytes(), now).ok();
    // R1945-10.7
    Some(
        date(header::EXPIRES)
            .is_none_or(|expires| expires <= now || date(header::DATE).is_some_and(|sent| expires <= sent)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    // R1945-10.7
    #[test]
    fn invalid_or_repeated_expires_is_expired() {
        let now = Date::parse(b"Mon, 15 Jun 2026 12:00:00 GMT", Date::from_unix(0).unwrap()).unwrap();
        for (lines, expected) in [
            ("X: y", None),
            ("Date: Mon, 15 Jun 2026 12:00:00 GMT", None),
            ("Expires: Mon, 15 Jun 2026 11:59:59 GMT", Some(true)),
            ("Expires: Mon, 15 Jun 2026 12:00:00 GMT", Some(true)),
            ("Expires: Mon, 15 Jun 2026 12:00:01 GMT", Some(false)),
            ("expires: Monday, 15-Jun-26 12:00:01 GMT", Some(false)),
            ("Expires: Mon Jun 15 12:00:01 2026", Some(false)),
            ("Expires: 0", Some(true)),
            ("Expires: -1", Some(true)),
            ("Expires:", Some(true)),
            ("Expires: never", Some(true)),
            ("Expires: 1781524801", Some(true)),
            ("Expires: Mon, 15 Jun 2026 12:00:01", Some(true)),
            ("Expires: Mon, 15 Jun 2026 12:00:01 GMT, Mon, 15 Jun 2026 12:00:01 GMT", Some(true)),
            ("Expires: Mon, 15 Jun 2026 12:00:01 GMT|Expires: Mon, 15 Jun 2026 12:00:01 GMT", Some(true)),
            // The server's clock is ahead of ours.
            ("Expires: Mon, 15 Jun 2026 13:00:00 GMT|Date: Mon, 15 Jun 2026 13:00:00 GMT", Some(true)),
            ("Expires: Mon, 15 Jun 2026 13:00:01 GMT|Date: Mon, 15 Jun 2026 13:00:00 GMT", Some(false)),
            ("Expires: Mon, 15 Jun 2026 13:00:00 GMT|Date: 0", Some(false)),
        ] {
            let head = format!("{}\r\n\r\n", lines.replace('|', "\r\n"));
            let mut index = crate::message::field_index::FieldIndex::new();
            crate::wire::parse::fields(head.as_bytes(), 0, &mut index).unwrap();
            assert_eq!(is_expired(&Fields::new(head.as_bytes(), &index), now), expected, "{lines}");
        }
    }
}
