//! What is known of an incomplete download, and what a response to a range request means for it (RFC 9110 §13.1.5,
//! §14.4, §15.3.7, §15.5.17). It reads and writes no file.

use std::str;
use std::time::{SystemTime, UNIX_EPOCH};

use webclient::http_core::conditional::EntityTag;
use webclient::http_core::{Date, FieldName, header};
use webclient::{Head, RequestBuilder, Response};

/// The first line of a record.
const FIRST_LINE: &str = "webclient download 1";

/// After this many seconds without a change, a file that changes again gets another Last-Modified, however much the
/// server's clocks differ (RFC 9110 §8.8.2.2). RFC 7232 named a minute.
const CLOCK_DIFFERENCE: i64 = 60;

/// The response whose body is being saved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// The URL that was asked for.
    pub(crate) url: String,
    /// The URL that responded, after redirects. Only its own responses have the same validators.
    pub(crate) source: String,
    /// The length of the complete body.
    pub(crate) length: Option<u64>,
    /// The value of If-Range: a strong entity tag, or a date that is as good.
    pub(crate) validator: Option<Vec<u8>>,
}

impl Record {
    /// The record of a 200 response.
    pub(crate) fn new(url: &str, response: &Response) -> Record {
        let head = response.head();
        Record {
            url: url.to_owned(),
            source: response.url().as_str().to_owned(),
            length: head.content_length,
            validator: validator(head, now()),
        }
    }

    /// The record as lines of text.
    pub(crate) fn to_text(&self) -> Vec<u8> {
        let Record { url, source, length, validator } = self;
        let length = length.map_or(String::new(), |length| format!("Length: {length}\n"));
        let mut text = format!("{FIRST_LINE}\nURL: {url}\nSource: {source}\n{length}").into_bytes();
        if let Some(validator) = validator {
            text.extend_from_slice(b"Validator: ");
            text.extend_from_slice(validator);
            text.push(b'\n');
        }
        text.extend_from_slice(b"End\n");
        text
    }

    /// Reads [`to_text`](Self::to_text). `None` for anything else, such as a text that was cut short.
    pub(crate) fn parse(text: &[u8]) -> Option<Record> {
        let mut lines = text.strip_suffix(b"\nEnd\n")?.split(|&c| c == b'\n');
        let mut record = Record { url: String::new(), source: String::new(), length: None, validator: None };
        if lines.next()? != FIRST_LINE.as_bytes() {
            return None;
        }
        for line in lines {
            let colon = line.iter().position(|&c| c == b':')?;
            let (name, value) = (&line[..colon], line[colon..].strip_prefix(b": ")?);
            let text = || str::from_utf8(value).ok().map(str::to_owned);
            match name {
                b"URL" => record.url = text()?,
                b"Source" => record.source = text()?,
                b"Length" => record.length = Some(text()?.parse().ok()?),
                b"Validator" => record.validator = Some(value.to_vec()),
                _ => return None,
            }
        }
        Some(record)
    }

    /// Why a download that has received so many bytes of this cannot go on.
    pub(crate) fn obstacle(&self, url: &str, received: u64) -> Option<&'static str> {
        match self {
            _ if self.url != url => Some("it is from another URL"),
            Record { validator: None, .. } => Some("the server sent no strong validator"),
            Record { length: Some(length), .. } if received > *length => Some("it is longer than the file"),
            _ => None,
        }
    }

    /// Asks for what follows the bytes received. Call it only without an [`obstacle`](Self::obstacle).
    pub(crate) fn ask_for_rest<'a>(&self, request: RequestBuilder<'a>, received: u64) -> RequestBuilder<'a> {
        let validator = self.validator.as_deref().unwrap_or_default();
        request
            .set_header(header::RANGE.as_str(), format!("bytes={received}-"))
            .set_header(header::IF_RANGE.as_str(), validator)
    }

    /// What the response to [`ask_for_rest`](Self::ask_for_rest) is.
    pub(crate) fn judge(&self, source: &str, head: &Head, received: u64) -> Answer {
        match head.status.code() {
            206 | 416 if source != self.source => Answer::Unusable("the redirect leads to another URL"),
            206 | 416 if !self.agrees(head) => Answer::Unusable("the response is about another version"),
            206 => self.judge_part(head, received),
            416 => match only(head, header::CONTENT_RANGE).and_then(ContentRange::parse) {
                // The validator held, or else the server would have ignored the range.
                Some(ContentRange::Unsatisfied(length))
                    if length == received && self.length.is_none_or(|own| own == length) =>
                {
                    Answer::Complete
                }
                _ => Answer::Unusable("the file has another length"),
            },
            200..=299 => Answer::Whole,
            _ => Answer::Other,
        }
    }

    fn judge_part(&self, head: &Head, received: u64) -> Answer {
        let Some(ContentRange::Part { first, last, length }) =
            only(head, header::CONTENT_RANGE).and_then(ContentRange::parse)
        else {
            return Answer::Unusable("the server sent no valid Content-Range");
        };
        let end = last + 1; // `parse` leaves room
        let complete = length.or(self.length);
        match complete {
            _ if first != received => Answer::Unusable("the server sent another range"),
            None => Answer::Unusable("the length of the file is unknown"),
            Some(complete) if end > complete || self.length.is_some_and(|length| length != complete) => {
                Answer::Unusable("the file has another length")
            }
            Some(_) if head.content_length.is_some_and(|length| length != end - first) => {
                Answer::Unusable("Content-Length and Content-Range do not agree")
            }
            Some(complete) => Answer::Rest { end, complete },
        }
    }

    /// Whether the validators in the head, if there are any, are the same.
    ///
    /// By RFC 9110 §15.3.7 a 206 has the ETag that the 200 had; one without is believed, because it says that If-Range
    /// held.
    fn agrees(&self, head: &Head) -> bool {
        let own = self.validator.as_deref().unwrap_or_default();
        let (etag, modified) = (only(head, header::ETAG), only(head, header::LAST_MODIFIED));
        match EntityTag::parse(own) {
            Ok(own) => etag.is_none_or(|etag| EntityTag::parse(etag).is_ok_and(|etag| etag.matches_strongly(own))),
            // A date is that of all encodings, and those bytes were not encoded.
            Err(_) if head.get(header::CONTENT_ENCODING).is_some() => false,
            Err(_) => modified.is_none_or(|modified| date(modified).is_some() && date(modified) == date(own)),
        }
    }
}

/// What a response to a range request means for the bytes received before.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// 206: its body goes on where they end, up to this offset, and the file has this length.
    Rest { end: u64, complete: u64 },
    /// 416: nothing is missing.
    Complete,
    /// 200: the complete file, in another version or from a server that sends no ranges.
    Whole,
    /// Nothing that fits, and why. The complete file must be requested.
    Unusable(&'static str),
    /// A failure that says nothing about the file.
    Other,
}

/// The strong validator of a response (RFC 9110 §8.8.1): its entity tag. A date counts only if there is no tag, and if it
/// is older than the response by more than clocks differ.
fn validator(head: &Head, now: Option<Date>) -> Option<Vec<u8>> {
    match head.get(header::ETAG) {
        Some(_) => {
            let tag = only(head, header::ETAG)?;
            EntityTag::parse(tag).is_ok_and(|tag| !tag.is_weak()).then(|| tag.to_vec())
        }
        // Another encoding of the same file would have the same date.
        None if head.get(header::CONTENT_ENCODING).is_some() => None,
        None => {
            let date = |name| Date::parse(only(head, name)?, now?).ok();
            let (modified, sent) = (date(header::LAST_MODIFIED)?, date(header::DATE)?);
            let is_strong = sent.unix() - modified.unix() >= CLOCK_DIFFERENCE;
            is_strong.then(|| modified.text().as_bytes().to_vec())
        }
    }
}

/// The value of a header that must not be repeated.
fn only<'a>(head: &'a Head, name: FieldName<'_>) -> Option<&'a [u8]> {
    let mut values = head.headers().filter(|(own, _)| *own == name).map(|(_, value)| value.as_bytes());
    let value = values.next();
    value.filter(|_| values.next().is_none())
}

fn date(text: &[u8]) -> Option<Date> {
    Date::parse(text, now()?).ok()
}

/// `None` if the clock shows no year of four digits.
fn now() -> Option<Date> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Date::from_unix(i64::try_from(since.as_secs()).ok()?)
}

/// The value of a Content-Range header (RFC 9110 §14.4).
enum ContentRange {
    /// `first <= last < length`
    Part {
        first: u64,
        last: u64,
        length: Option<u64>,
    },
    Unsatisfied(u64),
}

impl ContentRange {
    fn parse(value: &[u8]) -> Option<ContentRange> {
        let (unit, value) = str::from_utf8(value).ok()?.split_once(' ')?;
        let (range, length) = value.trim_start().split_once('/')?;
        let number = |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse().ok())?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        if range == "*" {
            return number(length).map(ContentRange::Unsatisfied);
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let length = if length == "*" { None } else { Some(number(length)?) };
        let is_valid = first <= last && last < length.unwrap_or(u64::MAX);
        is_valid.then_some(ContentRange::Part { first, last, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use webclient::{Client, testing};

    /// The head of a response with these lines.
    fn head(lines: &'static str) -> Head {
        let client = Client::new()
            .follow_redirects(false)
            .connector(testing::respond(move |_| [lines.replace('\n', "\r\n").as_bytes(), b"\r\n\r\n"].concat()));
        client.get("http://localhost/").send().unwrap().head().clone()
    }

    fn record(length: Option<u64>, validator: &str) -> Record {
        let url = "http://localhost/a".to_owned();
        Record { source: url.clone(), url, length, validator: Some(validator.into()) }
    }

    // R9110-13.1.5
    #[test]
    fn validator_is_a_strong_tag_or_an_old_date() {
        const OLD: &str = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";
        for (lines, validator) in [
            ("ETag: \"a\"", "\"a\""),
            ("ETag: \"a\"\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\nDate: Mon, 07 Nov 1994 08:49:37 GMT", "\"a\""),
            ("ETag: \"\"", "\"\""),
            ("ETag: W/\"a\"", ""),
            ("ETag: W/\"a\"\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\nDate: Mon, 07 Nov 1994 08:49:37 GMT", ""),
            ("ETag: a", ""),
            ("ETag: \"a\"\nETag: \"b\"", ""),
            ("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", ""),
            ("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\nDate: Sun, 06 Nov 1994 08:49:37 GMT", ""),
            ("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\nDate: Sun, 06 Nov 1994 08:50:36 GMT", ""),
            ("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\nDate: Sun, 06 Nov 1994 08:49:00 GMT", ""),
            ("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\nDate: Sun, 06 Nov 1994 08:50:37 GMT", &OLD[15..]),
            ("Last-Modified: Sunday, 06-Nov-94 08:49:37 GMT\nDate: Sun, 06 Nov 1994 08:50:37 GMT", &OLD[15..]),
            (
                "Content-Encoding: gzip\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\nDate: Sun, 06 Nov 1994 08:50:37 GMT",
                "",
            ),
            ("Content-Encoding: gzip\nETag: \"a\"", "\"a\""),
            ("Last-Modified: yesterday\nDate: Sun, 06 Nov 1994 08:50:37 GMT", ""),
            ("X: y", ""),
        ] {
            let head = head(String::leak(format!("HTTP/1.0 200 OK\n{lines}")));
            let found = super::validator(&head, Date::from_unix(1_000_000_000));
            assert_eq!(String::from_utf8(found.unwrap_or_default()).unwrap(), validator, "{lines}");
        }
    }

    // R9110-15.3.7, R9110-15.5.17
    #[test]
    fn response_fits_or_the_download_starts_again() {
        const TEN: Option<u64> = Some(10);
        let rest = Answer::Rest { end: 10, complete: 10 };
        let some = Answer::Rest { end: 8, complete: 10 };
        let unusable = Answer::Unusable("");
        for (length, lines, expected) in [
            (TEN, "206 \nContent-Range: bytes 5-9/10\nContent-Length: 5\nETag: \"a\"", &rest),
            (TEN, "206 \nContent-Range: bytes 5-9/10", &rest),
            (TEN, "206 \nContent-Range: BYTES  5-9/10", &rest),
            (TEN, "206 \nContent-Range: bytes 5-9/*", &rest),
            (None, "206 \nContent-Range: bytes 5-9/10", &rest),
            (TEN, "206 \nContent-Range: bytes 5-7/10", &some),
            (None, "206 \nContent-Range: bytes 5-9/*", &unusable),
            (TEN, "206 \nContent-Range: bytes 5-9/11", &unusable),
            (TEN, "206 \nContent-Range: bytes 5-10/11", &unusable),
            (TEN, "206 \nContent-Range: bytes 5-10/10", &unusable),
            (TEN, "206 \nContent-Range: bytes 5-10/*", &unusable),
            (TEN, "206 \nContent-Range: bytes 4-9/10", &unusable),
            (TEN, "206 \nContent-Range: bytes 6-9/10", &unusable),
            (TEN, "206 \nContent-Range: bytes 0-9/10", &unusable),
            (TEN, "206 \nContent-Range: bytes 5-4/10", &unusable),
            (TEN, "206 \nContent-Range: bytes 5-9", &unusable),
            (TEN, "206 \nContent-Range: bytes +5-9/10", &unusable),
            (TEN, "206 \nContent-Range: bytes 5-/10", &unusable),
            (TEN, "206 \nContent-Range: bytes 5-18446744073709551615/*", &unusable),
            (TEN, "206 \nContent-Range: bytes */10", &unusable),
            (TEN, "206 \nContent-Range: lines 5-9/10", &unusable),
            (TEN, "206 \nContent-Range: bytes 5-9/10\nContent-Range: bytes 5-9/10", &unusable),
            (TEN, "206 \nContent-Type: multipart/byteranges; boundary=x", &unusable),
            (TEN, "206 \nContent-Range: bytes 5-9/10\nContent-Length: 4", &unusable),
            (TEN, "206 \nContent-Range: bytes 5-9/10\nETag: \"b\"", &unusable),
            (TEN, "206 \nContent-Range: bytes 5-9/10\nETag: W/\"a\"", &unusable),
            (Some(5), "416 \nContent-Range: bytes */5", &Answer::Complete),
            (TEN, "416 \nContent-Range: bytes */5", &unusable),
            (None, "416 \nContent-Range: bytes */5\nETag: \"a\"", &Answer::Complete),
            (TEN, "416 \nContent-Range: bytes */5\nETag: \"b\"", &unusable),
            (TEN, "416 \nContent-Range: bytes */10", &unusable),
            (TEN, "416 \nContent-Range: bytes */4", &unusable),
            (TEN, "416 \nContent-Range: */5", &unusable),
            (TEN, "416 \nX: y", &unusable),
            (TEN, "200 \nContent-Length: 10\nETag: \"a\"", &Answer::Whole),
            (TEN, "203 \nX: y", &Answer::Whole),
            (TEN, "404 \nX: y", &Answer::Other),
            (TEN, "412 \nX: y", &Answer::Other),
            (TEN, "302 \nLocation: /b", &Answer::Other),
            (TEN, "503 \nX: y", &Answer::Other),
        ] {
            let head = head(String::leak(format!("HTTP/1.0 {lines}")));
            let answer = match record(length, "\"a\"").judge("http://localhost/a", &head, 5) {
                Answer::Unusable(_) => Answer::Unusable(""),
                answer => answer,
            };
            assert_eq!(answer, *expected, "{lines}");
        }
        let head = head("HTTP/1.0 206 \nContent-Range: bytes 5-9/10");
        assert!(matches!(record(TEN, "\"a\"").judge("http://localhost/b", &head, 5), Answer::Unusable(_)));
    }

    #[test]
    fn date_must_be_the_same_if_the_response_has_one() {
        let record = record(Some(10), "Sun, 06 Nov 1994 08:49:37 GMT");
        for (line, fits) in [
            ("X: y", true),
            ("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", true),
            ("Last-Modified: Sun, 06 Nov 1994 08:49:38 GMT", false),
            ("Last-Modified: nonsense", false),
            ("Content-Encoding: gzip", false),
        ] {
            let head = head(String::leak(format!("HTTP/1.0 206 \nContent-Range: bytes 5-9/10\n{line}")));
            assert_eq!(matches!(record.judge("http://localhost/a", &head, 5), Answer::Rest { .. }), fits, "{line}");
        }
    }

    #[test]
    fn record_is_read_as_it_was_written_and_in_no_other_form() {
        for record in [
            record(Some(u64::MAX), "\"a: b\u{e9}\""),
            Record { validator: None, source: "http://localhost/b?c".into(), ..record(None, "") },
        ] {
            let text = record.to_text();
            assert_eq!(Record::parse(&text), Some(record));
            for end in 0..text.len() {
                assert_eq!(Record::parse(&text[..end]), None, "{end} of {} bytes", text.len());
            }
        }
        assert_eq!(Record::parse(b"notes of the user\nEnd\n"), None);
        assert_eq!(Record::parse(b"webclient download 1\nLength: -1\nEnd\n"), None);
    }

    #[test]
    fn download_goes_on_only_with_the_same_url_and_a_validator() {
        let with = record(Some(10), "\"a\"");
        let without = Record { validator: None, ..with.clone() };
        assert!(with.obstacle("http://localhost/a", 5).is_none() && with.obstacle("http://localhost/a", 10).is_none());
        assert!(with.obstacle("http://localhost/b", 5).is_some() && with.obstacle("http://localhost/a", 11).is_some());
        assert!(without.obstacle("http://localhost/a", 5).is_some());
    }
}
