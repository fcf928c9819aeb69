//! Ranges: which bytes of a representation a GET asks for, and the Content-Range of the response (RFC 9110 §14).
//! At most one range is sent: HTTP/1.0 clients need not understand multipart bodies (D11, R1945-3.6.2).
//!
//! ```
//! use http_core::range::{RangeOutcome, parse};
//! let RangeOutcome::Partial(range) = parse(b"bytes=0-3, 2-4", 10) else { panic!() };
//! assert_eq!((range.start(), range.length()), (0, 5));
//! assert_eq!(range.content_range().as_str(), "bytes 0-4/10");
//! assert_eq!(parse(b"bytes=10-", 10), RangeOutcome::NotSatisfiable);
//! assert_eq!(parse(b"lines=1-2", 10), RangeOutcome::Full);
//! ```

use core::fmt::{self, Write as _};

use crate::grammar::{elements, saturating_decimal};
use crate::message::date::Date;
use crate::message::field::{FieldValue, Fields, header};
use crate::message::method::Method;
use crate::semantics::conditional::{Validators, if_range_holds};

/// The effect of a Range header on a 200 response (RFC 9110 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum RangeOutcome {
    /// No effect: send 200 with the full representation.
    Full,
    /// Send 206 with these bytes and [`ByteRange::content_range`] (R9110-14.2c).
    Partial(ByteRange),
    /// Send 416 with [`ContentRange::unsatisfied`] (R9110-15.5.17).
    NotSatisfiable,
}

/// A non-empty range of bytes that lies within its representation.
///
/// ```
/// use http_core::range::{ByteRange, RangeOutcome, parse};
/// let last_two = ByteRange::new(8, 10, 10).unwrap();
/// assert_eq!(parse(b"bytes=-2", 10), RangeOutcome::Partial(last_two));
/// assert_eq!(ByteRange::new(8, 11, 10), None);
/// assert_eq!(ByteRange::new(8, 8, 10), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRange {
    start: u64,
    end: u64,
    complete: u64,
}

impl ByteRange {
    /// The bytes `start..end` of a representation with `complete` bytes. `None` unless `start < end <= complete`.
    pub const fn new(start: u64, end: u64, complete: u64) -> Option<ByteRange> {
        if start < end && end <= complete { Some(ByteRange { start, end, complete }) } else { None }
    }

    /// The offset of the first byte.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The offset after the last byte.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// The number of bytes, at least 1: the Content-Length of the response.
    pub const fn length(&self) -> u64 {
        self.end - self.start
    }

    /// The length of the complete representation in bytes.
    pub const fn complete_length(&self) -> u64 {
        self.complete
    }

    /// The Content-Range of the 206 response (R9110-14.2c, R9110-15.3.7.1).
    pub fn content_range(&self) -> ContentRange {
        ContentRange::new(format_args!("bytes {}-{}/{}", self.start, self.end - 1, self.complete))
    }
}

/// The value of a Content-Range header (RFC 9110 §14.4).
///
/// ```
/// use http_core::{FieldBlock, header, range::ContentRange};
/// let mut fields = FieldBlock::new();
/// fields.push(header::CONTENT_RANGE, ContentRange::unsatisfied(10).value())?;
/// assert_eq!(fields.as_bytes(), b"Content-Range: bytes */10\r\n");
/// assert_eq!(ContentRange::unsatisfied(10).to_string(), "bytes */10");
/// # Ok::<(), http_core::ReservedField>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentRange {
    text: [u8; MAX_LENGTH],
    length: usize,
}

/// The length of the longest value: `bytes` and three 64-bit numbers.
const MAX_LENGTH: usize = "bytes 18446744073709551614-18446744073709551614/18446744073709551615".len();

impl ContentRange {
    /// The value for a 416 response, which states the complete length (R9110-15.5.17).
    pub fn unsatisfied(complete_length: u64) -> ContentRange {
        ContentRange::new(format_args!("bytes */{complete_length}"))
    }

    /// The text, such as `bytes 0-4/10` or `bytes */10`; `Display` writes the same.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.text[..self.length]).unwrap_or_default() // it is ASCII
    }

    /// The text as a field value.
    pub fn value(&self) -> FieldValue<'_> {
        FieldValue::new(&self.text[..self.length]).unwrap_or(FieldValue::from_static("")) // it holds no control byte
    }

    fn new(text: fmt::Arguments<'_>) -> ContentRange {
        let mut writer = Writer(ContentRange { text: [0; MAX_LENGTH], length: 0 });
        let written = writer.write_fmt(text);
        debug_assert!(written.is_ok(), "no value is longer than MAX_LENGTH");
        writer.0
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// A Content-Range being written. It is a separate type, because `ContentRange` must not implement `Write` publicly.
struct Writer(ContentRange);

impl fmt::Write for Writer {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.0.length + part.len();
        self.0.text.get_mut(self.0.length..end).ok_or(fmt::Error)?.copy_from_slice(part.as_bytes());
        self.0.length = end;
        Ok(())
    }
}

/// Evaluates the Range header of a request. Call it after the preconditions hold, if the response would be 200 with
/// `length` bytes (R9110-13.2.2).
///
/// Range applies only to a GET (R9110-14.2a), if it is not repeated and If-Range holds (R9110-13.1.5).
///
/// ```
/// use http_core::conditional::{EntityTag, Validators};
/// use http_core::range::{RangeOutcome, evaluate};
/// use http_core::{Date, Method};
/// # use http_core::{server::{Connection, Event}, Limits};
/// # let mut connection = Connection::new(Limits::default());
/// # let head = b"GET / HTTP/1.0\r\nRange: bytes=5-\r\nIf-Range: \"old\"\r\n\r\n";
/// # connection.receive(head);
/// # let Ok(Event::Request(request)) = connection.poll() else { unreachable!() };
/// # let fields = request.fields;
/// let now = Date::from_unix(1_000_000_000).unwrap();
/// let validators = Validators { etag: EntityTag::parse(b"\"new\"").ok(), last_modified: None };
/// // Range: bytes=5-, If-Range: "old"
/// assert_eq!(evaluate(Method::Get, &fields, &validators, 10, now), RangeOutcome::Full);
/// ```
pub fn evaluate(
    method: Method<'_>,
    fields: &Fields<'_>,
    validators: &Validators<'_>,
    length: u64,
    now: Date,
) -> RangeOutcome {
    match fields.only(header::RANGE) {
        Some(value) if method == Method::Get && if_range_holds(fields, validators, now) => {
            parse(value.as_bytes(), length)
        }
        _ => RangeOutcome::Full,
    }
}

/// The maximum number of ranges. If there are more, Range is ignored (R9110-14.2b, R9110-17.15, V10). Media players and
/// document viewers ask for fewer.
const MAX_RANGES: usize = 16;

/// Evaluates the value of a Range header for a representation of `length` bytes.
///
/// Ranges that overlap or touch are merged. If several remain, the header is ignored. It is also ignored if it is
/// malformed, if its unit is not `bytes`, or if it lists more than 16 ranges (D11, R9110-14.2a, R9110-14.2b).
///
/// Of an empty representation there is no range to send, and a 416 would refuse what a 200 gives completely
/// (R9110-14.1.2). Ranges beyond the end are skipped, unless all of them are. Numbers beyond 64 bits count as the
/// largest 64-bit number (R9110-14.1.2, V9).
pub fn parse(value: &[u8], length: u64) -> RangeOutcome {
    if length == 0 {
        return RangeOutcome::Full;
    }
    let Some((_, set)) = value.split_at_checked(6).filter(|(unit, _)| unit.eq_ignore_ascii_case(b"bytes=")) else {
        return RangeOutcome::Full;
    };
    let mut ranges = [(0, 0); MAX_RANGES];
    let (mut specs, mut count) = (0, 0);
    for spec in elements(set) {
        specs += 1;
        let Some(spec) = Spec::new(spec, length).filter(|_| specs <= MAX_RANGES) else { return RangeOutcome::Full };
        if spec.satisfiable {
            ranges[count] = (spec.start, spec.end);
            count += 1;
        }
    }
    let satisfiable = &mut ranges[..count];
    satisfiable.sort_unstable();
    let &mut [(start, mut end), ref others @ ..] = satisfiable else {
        return if specs == 0 { RangeOutcome::Full } else { RangeOutcome::NotSatisfiable };
    };
    for &(next_start, next_end) in others {
        if next_start > end {
            return RangeOutcome::Full;
        }
        end = end.max(next_end);
    }
    ByteRange::new(start, end, length).map_or(RangeOutcome::Full, RangeOutcome::Partial)
}

/// A range-spec. If it is satisfiable, `start..end` lies within the representation; otherwise the offsets mean nothing.
struct Spec {
    start: u64,
    end: u64,
    satisfiable: bool,
}

impl Spec {
    /// Parses `int-range / suffix-range`. A number beyond 64 bits lies beyond the end of any representation.
    fn new(spec: &[u8], length: u64) -> Option<Spec> {
        let dash = spec.iter().position(|&c| c == b'-')?;
        let (first, last) = (&spec[..dash], &spec[dash + 1..]);
        if first.is_empty() {
            let suffix = saturating_decimal(last)?;
            return Some(Spec { start: length - suffix.min(length), end: length, satisfiable: suffix > 0 });
        }
        let start = saturating_decimal(first)?;
        let last = if last.is_empty() { u64::MAX } else { saturating_decimal(last)? };
        let end = last.saturating_add(1).min(length);
        (start <= last).then_some(Spec { start, end, satisfiable: start < length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RangeOutcome::{Full, NotSatisfiable};
    use alloc::format;
    use alloc::string::String;
    use proptest::prelude::*;

    fn part(start: u64, end: u64, complete: u64) -> RangeOutcome {
        RangeOutcome::Partial(ByteRange::new(start, end, complete).unwrap())
    }

    // R9110-14.1.2, R9110-14.2a, R9110-14.2b, R9110-14.2c, V9
    #[test]
    fn single_range_is_satisfied_rejected_or_ignored() {
        const MAX: u64 = u64::MAX;
        for (value, length, expected) in [
            ("bytes=0-4", 10, part(0, 5, 10)),
            ("bytes=0-0", 10, part(0, 1, 10)),
            ("bytes=9-9", 10, part(9, 10, 10)),
            ("bytes=0-9", 10, part(0, 10, 10)),
            ("bytes=0-10", 10, part(0, 10, 10)),
            ("bytes=5-", 10, part(5, 10, 10)),
            ("bytes=0-", 10, part(0, 10, 10)),
            ("bytes=-1", 10, part(9, 10, 10)),
            ("bytes=-10", 10, part(0, 10, 10)),
            ("bytes=-11", 10, part(0, 10, 10)),
            ("BYTES=007-0008", 10, part(7, 9, 10)),
            ("bytes= 0-4 ,,", 10, part(0, 5, 10)),
            ("bytes=10-", 10, NotSatisfiable),
            ("bytes=10-20", 10, NotSatisfiable),
            ("bytes=99999999999-", 10, NotSatisfiable),
            ("bytes=-0", 10, NotSatisfiable),
            ("bytes=0-", 0, Full),
            ("bytes=0-0", 0, Full),
            ("bytes=5-9", 0, Full),
            ("bytes=-0", 0, Full),
            ("bytes=-1", 0, Full),
            ("bytes=0-0, 5-, -1", 0, Full),
            ("bytes=-0,-0", 0, Full),
            ("bytes=0-18446744073709551615", 10, part(0, 10, 10)),
            ("bytes=0-18446744073709551615", MAX, part(0, MAX, MAX)),
            ("bytes=18446744073709551614-", MAX, part(MAX - 1, MAX, MAX)),
            ("bytes=18446744073709551615-", MAX, NotSatisfiable),
            ("bytes=-18446744073709551615", MAX, part(0, MAX, MAX)),
            ("bytes=0-99999999999999999999999", 10, part(0, 10, 10)),
            ("bytes=-99999999999999999999999", 10, part(0, 10, 10)),
            ("bytes=99999999999999999999999-", MAX, NotSatisfiable),
            ("bytes=99999999999999999999999-5", 10, Full),
            ("bytes=5-2", 10, Full),
            ("bytes=20-15", 10, Full),
            ("bytes=+0-+1", 10, Full),
            ("bytes=0x0-0x1", 10, Full),
            ("bytes=-", 10, Full),
            ("bytes=--1", 10, Full),
            ("bytes=1--2", 10, Full),
            ("bytes=1", 10, Full),
            ("bytes=a-b", 10, Full),
            ("bytes=1 -2", 10, Full),
            ("bytes=1-2;x", 10, Full),
            ("bytes=", 10, Full),
            ("bytes=,", 10, Full),
            ("bytes", 10, Full),
            ("bytes =0-1", 10, Full),
            ("bytes:0-1", 10, Full),
            ("0-1", 10, Full),
            ("", 10, Full),
            ("lines=0-1", 10, Full),
            ("none=0-1", 10, Full),
        ] {
            assert_eq!(parse(value.as_bytes(), length), expected, "{value} of {length}");
        }
    }

    // D11, R1945-3.6.2, R9110-14.2b, R9110-15.3.7
    #[test]
    fn several_ranges_are_merged_or_ignored() {
        for (value, expected) in [
            ("bytes=0-4,5-9", part(0, 10, 10)),
            ("bytes=0-4,3-6", part(0, 7, 10)),
            ("bytes=5-6,0-4", part(0, 7, 10)),
            ("bytes=0-8,2-3", part(0, 9, 10)),
            ("bytes=0-1,0-1,0-1", part(0, 2, 10)),
            ("bytes=4-,-3", part(4, 10, 10)),
            ("bytes=0-4,20-30", part(0, 5, 10)),
            ("bytes=20-30,-0", NotSatisfiable),
            ("bytes=0-4,6-9", Full),
            ("bytes=0-0,-1", Full),
            ("bytes=0-4,5", Full),
            ("bytes=0-4,9-6", Full),
        ] {
            assert_eq!(parse(value.as_bytes(), 10), expected, "{value}");
        }
    }

    // R9110-17.15, V10
    #[test]
    fn more_than_16_ranges_are_ignored() {
        let value = |count: usize| format!("bytes={}", "0-,".repeat(count));
        assert_eq!(parse(value(MAX_RANGES).as_bytes(), 10), part(0, 10, 10));
        for count in [MAX_RANGES + 1, 1_300, 20_000] {
            assert_eq!(parse(value(count).as_bytes(), 10), Full);
        }
        let unsatisfiable = format!("bytes={}", "10-,".repeat(MAX_RANGES + 1));
        assert_eq!(parse(unsatisfiable.as_bytes(), 10), Full);
    }

    // R9110-13.1.5, R9110-14.2a
    #[test]
    fn range_counts_once_and_only_in_a_get() {
        let now = Date::from_unix(1_000_000_000).unwrap();
        let etag = crate::semantics::conditional::EntityTag::new(false, b"v").ok();
        let validators = Validators { etag, last_modified: None };
        for (method, lines, expected) in [
            (Method::Get, "Range: bytes=5-", part(5, 10, 10)),
            (Method::Get, "Range: bytes=5-\r\nIf-Range: \"v\"", part(5, 10, 10)),
            (Method::Get, "Range: bytes=5-\r\nIf-Range: \"u\"", Full),
            (Method::Get, "Range: bytes=15-\r\nIf-Range: \"u\"", Full),
            (Method::Get, "Range: bytes=15-", NotSatisfiable),
            (Method::Get, "Range: bytes=5-\r\nRange: bytes=5-", Full),
            (Method::Get, "If-Range: \"v\"", Full),
            (Method::Head, "Range: bytes=5-", Full),
            (Method::Head, "Range: bytes=15-", Full),
            (Method::Post, "Range: bytes=5-", Full),
        ] {
            let head = format!("{lines}\r\n\r\n");
            let mut index = crate::message::field_index::FieldIndex::new();
            crate::wire::parse::fields(head.as_bytes(), 0, &mut index).unwrap();
            let fields = Fields::new(head.as_bytes(), &index);
            assert_eq!(evaluate(method, &fields, &validators, 10, now), expected, "{method} {lines}");
            assert_eq!(evaluate(method, &fields, &validators, 0, now), Full, "of nothing: {method} {lines}");
        }
    }

    // R9110-14.2c, R9110-15.3.7.1, R9110-15.5.17
    #[test]
    fn content_range_names_the_bytes_and_the_length() {
        const MAX: u64 = u64::MAX;
        let text = |start, end, of| String::from(ByteRange::new(start, end, of).unwrap().content_range().as_str());
        assert_eq!(text(0, 5, 10), "bytes 0-4/10");
        assert_eq!(text(0, 1, 1), "bytes 0-0/1");
        let range = ByteRange::new(2, 5, 10).unwrap();
        assert_eq!((range.start(), range.end(), range.length(), range.complete_length()), (2, 5, 3, 10));
        assert_eq!(text(MAX - 1, MAX, MAX), "bytes 18446744073709551614-18446744073709551614/18446744073709551615");
        assert_eq!(ContentRange::unsatisfied(10).as_str(), "bytes */10");
        assert_eq!(ContentRange::unsatisfied(0).value().as_bytes(), b"bytes */0");
        assert_eq!(format!("{:?}", ContentRange::unsatisfied(10)), "\"bytes */10\"");
    }

    /// Numbers near zero, near the largest 64-bit number, and any others.
    fn numbers() -> impl Strategy<Value = u64> {
        prop_oneof![0..20u64, u64::MAX - 20..=u64::MAX, any::<u64>()]
    }

    proptest! {
        // R9110-14.1.2, V9
        #[test]
        fn parse_agrees_with_128_bit_arithmetic(first in numbers(), last in numbers(), length in numbers()) {
            let (a, b, n) = (u128::from(first), u128::from(last), u128::from(length));
            let expected = |start: u128, end: u128| match start < end {
                true => part(start as u64, end as u64, length),
                false => NotSatisfiable,
            };
            let got = |value: String| parse(value.as_bytes(), length);
            if length == 0 {
                prop_assert_eq!([got(format!("bytes={first}-")), got(format!("bytes=-{first}"))], [Full; 2]);
                return Ok(());
            }
            let int = if a > b { Full } else { expected(a, n.min(b + 1)) };
            prop_assert_eq!(got(format!("bytes={first}-{last}")), int);
            prop_assert_eq!(got(format!("bytes={first}-")), expected(a, n));
            prop_assert_eq!(got(format!("bytes=-{first}")), expected(n.saturating_sub(a), n));
        }

        // D11
        #[test]
        fn parse_agrees_with_marking_each_byte(
            specs in proptest::collection::vec((0..30usize, 0..30usize, 0..3), 1..=MAX_RANGES),
            length in 1..24usize,
        ) {
            let mut marked = std::vec![false; length];
            let mut value = String::from("bytes=");
            let mut valid = true;
            for (a, b, form) in specs {
                let (text, from, to) = match form {
                    0 => (format!("{a}-{b},"), a, b + 1),
                    1 => (format!("{a}-,"), a, length),
                    _ => (format!("-{a},"), length.saturating_sub(a), length),
                };
                valid &= form != 0 || a <= b;
                value += &text;
                for (byte, marked) in marked.iter_mut().enumerate() {
                    *marked |= (from..to).contains(&byte);
                }
            }
            let first = marked.iter().position(|&marked| marked);
            let expected = match first {
                _ if !valid => Full,
                None => NotSatisfiable,
                Some(first) => {
                    let count = marked.iter().filter(|&&marked| marked).count();
                    let in_one_piece = marked[first..].iter().take_while(|&&marked| marked).count() == count;
                    if in_one_piece { part(first as u64, (first + count) as u64, length as u64) } else { Full }
                }
            };
            prop_assert_eq!(parse(value.as_bytes(), length as u64), expected, "{}", value);
        }

        #[test]
        fn parse_never_panics(value in proptest::collection::vec(any::<u8>(), 0..40), length: u64) {
            let _ = parse(&value, length);
            let _ = parse(&[b"bytes=", &value[..]].concat(), length);
        }
    }
}
