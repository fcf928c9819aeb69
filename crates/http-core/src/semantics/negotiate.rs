//! Content negotiation: which of the available content codings the client prefers (RFC 9110 §12.5.3).
//! Codings are only names here; nothing is encoded or decoded.

use thiserror::Error;

use crate::grammar::{is_token, trim};
use crate::message::field::{FieldBlock, FieldValue, Fields, header};
use crate::message::status::Status;

/// The coding to send. [`Choice::write_headers`] writes the headers that go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Choice {
    /// The coding at this index of the available ones.
    Coded(usize),
    /// No coding: the representation as it is.
    Identity,
    /// The client accepts none of the codings and not the plain representation either. Respond with 406, or send the
    /// plain representation anyway.
    NotAcceptable,
}

impl Choice {
    /// Adds the headers that a response with this status needs.
    ///
    /// `Vary: Accept-Encoding` is always added, even to a 304. Otherwise a cache would give the response to clients
    /// that cannot decode it (R9110-12.5.5). Content-Encoding is added if an encoded body is sent.
    ///
    /// # Errors
    /// [`UnknownCoding`] if `available` has no coding at the index of the choice, or one that is not a token.
    ///
    /// ```
    /// use http_core::negotiate::Choice;
    /// use http_core::{FieldBlock, Status};
    /// let mut fields = FieldBlock::new();
    /// Choice::Coded(1).write_headers(&["br", "gzip"], Status::OK, &mut fields)?;
    /// assert_eq!(fields.as_bytes(), b"Vary: Accept-Encoding\r\nContent-Encoding: gzip\r\n");
    /// # Ok::<(), http_core::negotiate::UnknownCoding>(())
    /// ```
    pub fn write_headers(
        self,
        available: &[&str],
        status: Status,
        fields: &mut FieldBlock,
    ) -> Result<(), UnknownCoding> {
        let coding = match self {
            Choice::Coded(place) if !status.is_bodiless() => {
                let coding = available.get(place).filter(|coding| is_token(coding.as_bytes()));
                Some(coding.and_then(|coding| FieldValue::new(coding.as_bytes()).ok()).ok_or(UnknownCoding)?)
            }
            _ => None,
        };
        fields.push_unreserved(header::VARY, FieldValue::from_static("Accept-Encoding"));
        if let Some(coding) = coding {
            fields.push_unreserved(header::CONTENT_ENCODING, coding);
        }
        Ok(())
    }
}

/// The error for a [`Choice`] that is not among the codings that [`write_headers`](Choice::write_headers) was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("unknown content coding: expected one of the available codings")]
pub struct UnknownCoding;

/// Chooses one of the available codings or the plain representation. `available` is in the order of preference.
///
/// The greatest weight wins. A tie goes to a coding over the plain representation, and to the coding listed first.
/// Without Accept-Encoding, or with an empty one, the plain representation is sent: clients that can decode
/// announce it. If the header does not name `identity`, it has the lowest weight, or none if `*` has none. Malformed
/// elements are ignored.
///
/// For each coding, the work is linear in the length of the header.
///
/// ```
/// use http_core::negotiate::{Choice, content_coding};
/// # use http_core::{server::{Connection, Event}, Limits};
/// # let mut connection = Connection::new(Limits::default());
/// # let head = b"GET / HTTP/1.0\r\nAccept-Encoding: br;q=0.5, x-gzip, zstd;q=0\r\n\r\n";
/// # connection.receive(head);
/// # let Ok(Event::Request(request)) = connection.poll() else { unreachable!() };
/// # let fields = request.fields;
/// // Accept-Encoding: br;q=0.5, x-gzip, zstd;q=0
/// assert_eq!(content_coding(&fields, &["br", "zstd", "gzip"]), Choice::Coded(2));
/// assert_eq!(content_coding(&fields, &["zstd"]), Choice::Identity);
/// ```
pub fn content_coding(fields: &Fields<'_>, available: &[&str]) -> Choice {
    let any = weight(fields, "*");
    // `*` stands for the codings that are not named. It can refuse the plain representation, but not ask for it.
    let identity = weight(fields, "identity").or(any.filter(|&weight| weight == 0));
    let coded =
        available.iter().enumerate().map(|(place, coding)| (weight(fields, coding).or(any).unwrap_or(0), place));
    // `max_by_key` returns the last of equals, but the server's first must win.
    let best = coded.rev().max_by_key(|&(weight, _)| weight);
    match best {
        Some((weight, place)) if weight > 0 && weight >= identity.unwrap_or(0) => Choice::Coded(place),
        _ if identity == Some(0) => Choice::NotAcceptable,
        _ => Choice::Identity,
    }
}

/// The weight of a coding in thousandths. The first element that names it counts.
fn weight(fields: &Fields<'_>, coding: &str) -> Option<u16> {
    let mut elements = fields.tokens(header::ACCEPT_ENCODING).filter_map(weighted);
    elements.find(|(name, _)| is_same(name, coding.as_bytes())).map(|(_, weight)| weight)
}

/// Parses `codings [ OWS ";" OWS "q=" qvalue ]`.
fn weighted(element: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = element.splitn(2, |&c| c == b';').map(trim);
    let coding = parts.next().filter(|coding| is_token(coding))?;
    let weight = match parts.next() {
        None => 1000,
        Some([b'q' | b'Q', b'=', value @ ..]) => qvalue(value)?,
        Some(_) => return None,
    };
    Some((coding, weight))
}

/// Parses `( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )` into thousandths (RFC 9110 §12.4.2).
fn qvalue(text: &[u8]) -> Option<u16> {
    let (integer, digits) = match text {
        [integer @ (b'0' | b'1')] => (integer, &[][..]),
        [integer @ (b'0' | b'1'), b'.', digits @ ..] if digits.len() <= 3 => (integer, digits),
        _ => return None,
    };
    let mut thousandths = u16::from(integer - b'0');
    for place in 0..3 {
        let digit = digits.get(place).unwrap_or(&b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths = thousandths * 10 + u16::from(digit - b'0');
    }
    (thousandths <= 1000).then_some(thousandths)
}

/// Whether two names mean the same coding: case does not matter, `x-gzip` is `gzip`, `x-compress` is `compress`
/// (R1945-3.5).
fn is_same(a: &[u8], b: &[u8]) -> bool {
    plain(a).eq_ignore_ascii_case(plain(b))
}

fn plain(coding: &[u8]) -> &[u8] {
    match coding {
        [b'x' | b'X', b'-', rest @ ..]
            if rest.eq_ignore_ascii_case(b"gzip") || rest.eq_ignore_ascii_case(b"compress") =>
        {
            rest
        }
        _ => coding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R9110-12.5.5, R9110-15.4.5
    #[test]
    fn negotiated_response_has_vary_and_content_encoding() {
        const AVAILABLE: &[&str] = &["br", "gzip"];
        const VARY: &str = "Vary: Accept-Encoding\r\n";
        for (choice, status, expected) in [
            (Choice::Coded(0), Status::OK, Ok("Vary: Accept-Encoding\r\nContent-Encoding: br\r\n")),
            (Choice::Coded(1), Status::NOT_MODIFIED, Ok(VARY)),
            (Choice::Identity, Status::OK, Ok(VARY)),
            (Choice::Identity, Status::NOT_MODIFIED, Ok(VARY)),
            (Choice::NotAcceptable, Status::NOT_ACCEPTABLE, Ok(VARY)),
            (Choice::Coded(2), Status::OK, Err(UnknownCoding)),
        ] {
            let mut fields = FieldBlock::new();
            let written = choice.write_headers(AVAILABLE, status, &mut fields);
            let text = str::from_utf8(fields.as_bytes()).unwrap();
            assert_eq!(written.map(|()| text), expected, "{choice:?} {status}");
            assert_eq!(text.is_empty(), written.is_err(), "an error changes nothing");
        }
        assert_eq!(Choice::Coded(0).write_headers(&["g zip"], Status::OK, &mut FieldBlock::new()), Err(UnknownCoding));
    }

    use Choice::{Coded, Identity, NotAcceptable};
    use alloc::format;

    fn with_fields<T>(lines: &str, f: impl Fn(&Fields<'_>) -> T) -> T {
        let head = format!("{lines}\r\n\r\n");
        let mut index = crate::message::field_index::FieldIndex::new();
        crate::wire::parse::fields(head.as_bytes(), 0, &mut index).unwrap();
        f(&Fields::new(head.as_bytes(), &index))
    }

    // R9110-12.5.3, RFC 9110 §12.4.2, R1945-3.5, R1945-D.2.1
    #[test]
    fn greatest_weight_wins() {
        for (value, expected) in [
            ("", Identity),
            (",", Identity),
            ("gzip", Coded(1)),
            ("GZip", Coded(1)),
            ("x-gzip", Coded(1)),
            ("X-GZIP;q=1", Coded(1)),
            ("x-br", Identity),
            ("deflate", Identity),
            ("gzip, br", Coded(0)),
            ("gzip, deflate, br, zstd", Coded(0)),
            ("br;q=0.9, gzip", Coded(1)),
            ("br;q=0.5,gzip;q=0.501", Coded(1)),
            ("br;q=0.5 ; x, gzip;q=0.1", Coded(1)),
            ("gzip;q=1.0, identity; q=0.5, *;q=0", Coded(1)),
            ("gzip\t;\tQ=0.001", Coded(1)),
            ("gzip;q=0.5, identity", Identity),
            ("gzip;q=0.5, identity;q=0.5", Coded(1)),
            ("gzip;q=0", Identity),
            ("gzip;q=0.000", Identity),
            ("*", Coded(0)),
            ("*, br;q=0", Coded(1)),
            ("*;q=0.5, gzip;q=0.1", Coded(0)),
            // `*` asks for other codings, not for the plain representation.
            ("*;q=0.5, br;q=0.1, gzip;q=0.1", Coded(0)),
            ("gzip;q=0.6, br;q=0.8, *", Coded(0)),
            ("br;q=0.6, gzip;q=0.8, *", Coded(1)),
            ("gzip;q=0.6, *", Coded(0)),
            ("*, br;q=0, gzip;q=0", Identity),
            ("*, br;q=0, gzip;q=0, identity;q=0", NotAcceptable),
            ("gzip;q=0.6, *, identity", Coded(0)),
            ("gzip;q=0.6, br;q=0.8, *, identity", Identity),
            ("*;q=0", NotAcceptable),
            ("*;q=0, identity", Identity),
            ("identity;q=1, *;q=0", Identity),
            ("identity;q=0", NotAcceptable),
            ("identity;q=0, deflate", NotAcceptable),
            ("identity;q=0, gzip;q=0.001", Coded(1)),
            ("identity;q=0, *", Coded(0)),
            // The first element that names a coding counts.
            ("gzip;q=0, gzip", Identity),
            ("gzip;q=0, x-gzip", Identity),
            ("*;q=0.5, *;q=0", Coded(0)),
        ] {
            let line = format!("Accept-Encoding: {value}");
            assert_eq!(with_fields(&line, |fields| content_coding(fields, &["br", "gzip"])), expected, "{value}");
        }
        assert_eq!(with_fields("X: y", |fields| content_coding(fields, &["br", "gzip"])), Identity);
        assert_eq!(with_fields("Accept-Encoding: gzip", |fields| content_coding(fields, &[])), Identity);
        assert_eq!(
            with_fields("Accept-Encoding: compress", |fields| content_coding(fields, &["x-compress"])),
            Coded(0)
        );
        let two = "Accept-Encoding: br;q=0.1\r\nACCEPT-ENCODING: gzip";
        assert_eq!(with_fields(two, |fields| content_coding(fields, &["br", "gzip"])), Coded(1));
    }

    // RFC 9110 §12.4.2
    #[test]
    fn element_with_malformed_weight_is_ignored() {
        for (text, expected) in [
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.5", Some(500)),
            ("0.05", Some(50)),
            ("0.999", Some(999)),
            ("1", Some(1000)),
            ("1.", Some(1000)),
            ("1.000", Some(1000)),
            ("1.001", None),
            ("1.0000", None),
            ("0.0005", None),
            ("2", None),
            ("", None),
            (".5", None),
            ("-1", None),
            ("+1", None),
            ("0,5", None),
            ("0.5 ", None),
            ("0.a", None),
            ("00.5", None),
            ("nan", None),
            ("1e0", None),
        ] {
            assert_eq!(qvalue(text.as_bytes()), expected, "{text}");
        }
        for element in
            ["gzip;q=2", "gzip;q=", "gzip;", "gzip;level=9", "gzip;q =1", "gzip;q=1;x=y", "gz ip", ";q=1", "gz/ip"]
        {
            assert_eq!(weighted(element.as_bytes()), None, "{element}");
        }
    }
}
