//! Conditions, tags and dates, against the tables of RFC 9110.

use super::*;
use Outcome::{NotModified, PreconditionFailed, Proceed};
use alloc::format;

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
const NOW: &str = "Mon, 15 Jun 2026 12:00:00 GMT";
const FUTURE: &str = "Mon, 15 Jun 2026 12:00:01 GMT";

fn day(text: &str) -> Date {
    let now = Date::from_unix(0).unwrap();
    Date::parse(text.as_bytes(), now).unwrap()
}

fn validators(etag: &'static str) -> Validators<'static> {
    Validators { etag: EntityTag::parse(etag.as_bytes()).ok(), last_modified: Some(day(MODIFIED)) }
}

/// Lines are separated by `|`. `{m}`, `{b}`, `{a}` and `{f}` are dates: modified, before, after, in the future.
fn with_fields<T>(lines: &str, f: impl Fn(&Fields<'_>) -> T) -> T {
    let lines = lines.replace("{m}", MODIFIED).replace("{b}", BEFORE).replace("{a}", AFTER).replace("{f}", FUTURE);
    let head = format!("{}\r\n\r\n", lines.replace('|', "\r\n"));
    let mut index = crate::message::field_index::FieldIndex::new();
    crate::wire::parse::fields(head.as_bytes(), 0, &mut index).unwrap();
    f(&Fields::new(head.as_bytes(), &index))
}

fn outcome(method: Method<'_>, lines: &str, validators: &Validators<'_>) -> Outcome {
    with_fields(lines, |fields| evaluate(method, fields, validators, day(NOW)))
}

// RFC 9110 §8.8.3
#[test]
fn tag_is_opaque_bytes_between_quotes() {
    for (text, weak, opaque) in
        [("\"\"", false, ""), ("\"xyzzy\"", false, "xyzzy"), ("W/\"a,b\\\"", true, "a,b\\"), ("\"*\"", false, "*")]
    {
        let tag = EntityTag::parse(text.as_bytes()).unwrap();
        assert_eq!((tag.is_weak(), tag.opaque()), (weak, opaque.as_bytes()));
        let mut out = Vec::new();
        tag.append_to(&mut out);
        assert_eq!(out, text.as_bytes());
    }
    for bad in
        ["", "x", "*", "\"", "\"x", "x\"", "w/\"x\"", "W\"x\"", "W/x", "W/ \"x\"", "\"x\" ", " \"x\"", "\"x\"\"y\""]
    {
        assert!(EntityTag::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    for c in 0..=255 {
        let ok = c > b' ' && c != b'"' && c != 0x7f;
        assert_eq!(EntityTag::new(false, &[c]).is_ok(), ok, "{c}");
    }
}

const S: i128 = 1_000_000_000;

// R9110-8.8.3
#[test]
fn file_tag_is_weak_until_its_times_are_two_seconds_old() {
    let now = Date::from_unix(100).unwrap();
    for (length, modified, changed, expected) in [
        (0, 0, 0, "\"0-0-0\""),
        (0x1f, 1, 98 * S, "\"1f-1-16d1415400\""),
        (31, 98 * S, 1, "\"1f-16d1415400-1\""),
        (31, 1, 98 * S + 1, "W/\"1f-1-16d1415401~\""),
        (31, 98 * S + 1, 1, "W/\"1f-16d1415401-1~\""),
        (31, 1, 99 * S, "W/\"1f-1-170cdc1e00~\""),
        (31, 200 * S, 1, "W/\"1f-2e90edd000-1~\""), // from the future
        (31, -1, -255, "\"1f--1--ff\""),
        (
            u64::MAX,
            i128::MIN,
            i128::MIN,
            "\"ffffffffffffffff--80000000000000000000000000000000--80000000000000000000000000000000\"",
        ),
        (u64::MAX, i128::MAX, 0, "W/\"ffffffffffffffff-7fffffffffffffffffffffffffffffff-0~\""),
    ] {
        let tag = FileTag::from_times(length, modified, changed, now);
        assert_eq!(tag.value().as_str(), Some(expected));
        assert_eq!(format!("{tag:?}"), expected);
        let read = EntityTag::parse(expected.as_bytes()).unwrap();
        assert_eq!((tag.as_tag().is_weak(), tag.as_tag().opaque()), (read.is_weak(), read.opaque()));
    }
    // A different length or time gives a different tag, even if the joined digits are the same.
    let tag = |length, modified, changed| FileTag::from_times(length, modified, changed, now);
    assert!(tag(0x12, 3, 4).as_tag().matches_strongly(tag(0x12, 3, 4).as_tag()));
    for (length, modified, changed) in [(0x13, 3, 4), (0x12, 4, 4), (0x12, 3, 5), (1, 0x23, 4), (0x12, -3, 4)] {
        assert!(!tag(0x12, 3, 4).as_tag().matches_weakly(tag(length, modified, changed).as_tag()));
    }
    // The weak tag may belong to an earlier state than the strong tag that follows it.
    let later = FileTag::from_times(31, 99 * S, 99 * S, Date::from_unix(101).unwrap());
    assert!(!later.as_tag().is_weak() && !later.as_tag().matches_weakly(tag(31, 99 * S, 99 * S).as_tag()));
}

// R9110-8.8.3
#[test]
fn file_tag_from_modification_time_is_always_weak_and_changes_when_that_is_two_seconds_old() {
    let at = |now, modified| FileTag::weak(31, modified, Date::from_unix(now).unwrap());
    assert_eq!(at(100, 98 * S).value().as_str(), Some("W/\"1f-16d1415400\""));
    assert_eq!(at(100, -1).value().as_str(), Some("W/\"1f--1\""));
    assert_eq!(at(99, 98 * S).value().as_str(), Some("W/\"1f-16d1415400~\""));
    assert!(!at(99, 98 * S).as_tag().matches_weakly(at(100, 98 * S).as_tag()));
    assert!(!at(100, 98 * S).as_tag().matches_weakly(FileTag::from_times(31, 98 * S, 0, day(NOW)).as_tag()));
}

// R9110-8.8.3
#[test]
fn file_tag_from_hash_is_always_strong() {
    for (hash, expected) in [(0, "\"0\""), (u128::MAX, "\"ffffffffffffffffffffffffffffffff\"")] {
        let tag = FileTag::from_hash(hash);
        assert_eq!((tag.value().as_str(), tag.as_tag().is_weak()), (Some(expected), false));
    }
    assert!(!FileTag::from_hash(1).as_tag().matches_weakly(FileTag::from_hash(1 << 64).as_tag()));
}

// R9110-13.1.1, R9110-13.1.2: table 3 of RFC 9110 §8.8.3.2
#[test]
fn weak_tags_match_only_in_the_weak_comparison() {
    for (a, b, strong, weak) in [
        ("W/\"1\"", "W/\"1\"", false, true),
        ("W/\"1\"", "W/\"2\"", false, false),
        ("W/\"1\"", "\"1\"", false, true),
        ("\"1\"", "W/\"1\"", false, true),
        ("\"1\"", "\"1\"", true, true),
        ("\"a\"", "\"A\"", false, false),
    ] {
        let (a, b) = (EntityTag::parse(a.as_bytes()).unwrap(), EntityTag::parse(b.as_bytes()).unwrap());
        assert_eq!((a.matches_strongly(b), a.matches_weakly(b)), (strong, weak), "{a:?} {b:?}");
    }
}

// R9110-13.1.1, R9110-13.1.2, R9110-13.1.3, R9110-13.1.4, R9110-13.2.2, R1945-10.9a, R1945-10.9b, R1945-10.9c, D6;
// R1945-8.2b except D5
#[test]
fn preconditions_are_evaluated_for_get_and_head() {
    for (lines, expected) in [
        ("X: y", Proceed),
        ("If-Match: *", Proceed),
        ("If-Match: \"v\"", Proceed),
        ("If-Match: \"u\", \"v\"", Proceed),
        ("If-Match: \"u\"|If-Match: \"v\"", Proceed),
        ("If-Match: \"u\"", PreconditionFailed),
        ("If-Match: W/\"v\"", PreconditionFailed),
        ("If-Match: \"*\"", PreconditionFailed),
        ("If-Match: v", PreconditionFailed),
        ("If-Match:", PreconditionFailed),
        ("If-Match: \"v\", *", PreconditionFailed),
        ("If-Match: *|If-Match: \"v\"", PreconditionFailed),
        ("If-Match: \"v\"|If-Match: *", PreconditionFailed),
        ("If-Match: \"v\", u", PreconditionFailed),
        ("If-Unmodified-Since: {m}", Proceed),
        ("If-Unmodified-Since: {a}", Proceed),
        ("If-Unmodified-Since: {f}", Proceed),
        ("If-Unmodified-Since: {b}", PreconditionFailed),
        ("If-Unmodified-Since: {b}, {b}", Proceed),
        ("If-Unmodified-Since: {b}|If-Unmodified-Since: {b}", Proceed),
        ("If-Unmodified-Since: yesterday", Proceed),
        ("If-Match: \"v\"|If-Unmodified-Since: {b}", Proceed),
        ("If-Match: \"u\"|If-Unmodified-Since: {m}", PreconditionFailed),
        ("If-None-Match: *", NotModified),
        ("If-None-Match: \"v\"", NotModified),
        ("If-None-Match: W/\"v\"", NotModified),
        ("If-None-Match: ,\"u\" ,, \"a,b\"\t,\"v\",", NotModified),
        ("If-None-Match: \"u\",\"v\"", NotModified),
        ("If-None-Match: \"v\",\"u\"", NotModified),
        ("If-None-Match: \"u\"|If-None-Match: \"v\"", NotModified),
        ("If-None-Match: \"u\"", Proceed),
        ("If-None-Match: \"*\"", Proceed),
        ("If-None-Match: v", Proceed),
        ("If-None-Match: w/\"v\"", Proceed),
        ("If-None-Match: \"v", Proceed),
        ("If-None-Match: \"u\" \"v\"", Proceed),
        ("If-None-Match: \"u,\"v\"", Proceed),
        ("If-None-Match: \"v\"; x", Proceed),
        ("If-None-Match: *, \"v\"", Proceed),
        ("If-None-Match: *|If-None-Match: *", Proceed),
        ("If-None-Match:", Proceed),
        ("If-Modified-Since: {m}", NotModified),
        ("If-Modified-Since: {a}", NotModified),
        ("If-Modified-Since: Mon, 15 Jun 2026 12:00:00 GMT", NotModified),
        ("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT", NotModified),
        ("If-Modified-Since: Sun Nov  6 08:49:37 1994", NotModified),
        ("If-Modified-Since: {b}", Proceed),
        ("If-Modified-Since: {f}", Proceed),
        ("If-Modified-Since: Mon, 01 Jan 10000 00:00:00 GMT", Proceed),
        ("If-Modified-Since: {m}; length=5", Proceed),
        ("If-Modified-Since: {m}, {m}", Proceed),
        ("If-Modified-Since: {m}|If-Modified-Since: {m}", Proceed),
        ("If-Modified-Since:", Proceed),
        ("If-Modified-Since: {m}|If-None-Match: \"u\"", Proceed),
        ("If-Modified-Since: {m}|If-None-Match: nonsense", Proceed),
        ("If-Modified-Since: {b}|If-None-Match: \"v\"", NotModified),
        ("If-None-Match: *|If-Match: \"u\"", PreconditionFailed),
        ("If-None-Match: \"v\"|If-Match: \"v\"", NotModified),
        ("If-Modified-Since: {m}|If-Unmodified-Since: {b}", PreconditionFailed),
        ("If-Modified-Since: {m}|If-Unmodified-Since: {m}", NotModified),
    ] {
        assert_eq!(outcome(Method::Get, lines, &validators("\"v\"")), expected, "{lines}");
        assert_eq!(outcome(Method::Head, lines, &validators("\"v\"")), expected, "HEAD, {lines}"); // D5
    }
}

// R9110-13.1.2, R9110-13.1.3, R9110-13.2.1
#[test]
fn preconditions_are_evaluated_for_other_methods() {
    for (method, lines, expected) in [
        (Method::Put, "If-None-Match: *", PreconditionFailed),
        (Method::Delete, "If-None-Match: \"v\"", PreconditionFailed),
        (Method::Post, "If-None-Match: \"u\"", Proceed),
        (Method::Put, "If-Match: \"u\"", PreconditionFailed),
        (Method::Put, "If-Modified-Since: {m}", Proceed),
        (Method::Put, "If-Unmodified-Since: {b}", PreconditionFailed),
        (Method::Options, "If-Match: \"u\"", Proceed),
        (Method::Trace, "If-Unmodified-Since: {b}", Proceed),
        (Method::Connect, "If-None-Match: *", Proceed),
    ] {
        assert_eq!(outcome(method, lines, &validators("\"v\"")), expected, "{method} {lines}");
    }
}

// R9110-13.1.1, R9110-13.1.3, R9110-13.1.4
#[test]
fn preconditions_are_evaluated_without_validators() {
    for (lines, expected) in [
        ("If-Match: *", Proceed),
        ("If-Match: \"v\"", PreconditionFailed),
        ("If-None-Match: *", NotModified),
        ("If-None-Match: \"v\"", Proceed),
        ("If-Modified-Since: {m}", Proceed),
        ("If-Unmodified-Since: {b}", Proceed),
    ] {
        assert_eq!(outcome(Method::Get, lines, &Validators::default()), expected, "{lines}");
    }
    // A weak tag is only for caches.
    assert_eq!(outcome(Method::Get, "If-None-Match: \"v\"", &validators("W/\"v\"")), NotModified);
    assert_eq!(outcome(Method::Get, "If-Match: \"v\"", &validators("W/\"v\"")), PreconditionFailed);
    assert_eq!(outcome(Method::Get, "If-Match: W/\"v\"", &validators("W/\"v\"")), PreconditionFailed);
}

// R9110-13.1.5
#[test]
fn if_range_is_exact_and_strong() {
    for (lines, etag, expected) in [
        ("X: y", "\"v\"", true),
        ("If-Range: \"v\"", "\"v\"", true),
        ("If-Range: \"u\"", "\"v\"", false),
        ("If-Range: W/\"v\"", "\"v\"", false),
        ("If-Range: W/\"v\"", "W/\"v\"", false),
        ("If-Range: \"v\"", "W/\"v\"", false),
        ("If-Range: \"u\", \"v\"", "\"v\"", false),
        ("If-Range: \"v\"|If-Range: \"v\"", "\"v\"", false),
        ("If-Range: *", "\"v\"", false),
        ("If-Range: v", "\"v\"", false),
        ("If-Range:", "\"v\"", false),
        ("If-Range: {m}", "\"v\"", true),
        ("If-Range: Sun Nov  6 08:49:37 1994", "\"v\"", true),
        ("If-Range: {b}", "\"v\"", false),
        ("If-Range: {a}", "\"v\"", false),
        ("If-Range: {m}|If-Range: {m}", "\"v\"", false),
    ] {
        let got = with_fields(lines, |fields| if_range_holds(fields, &validators(etag), day(NOW)));
        assert_eq!(got, expected, "{lines}");
    }
    // A date is weak until its second is over. Without validators nothing matches.
    let at = |now| with_fields("If-Range: {m}", |fields| if_range_holds(fields, &validators("\"v\""), day(now)));
    assert_eq!((at(BEFORE), at(MODIFIED), at(AFTER)), (false, false, true));
    for lines in ["If-Range: {m}", "If-Range: \"v\""] {
        assert!(!with_fields(lines, |fields| if_range_holds(fields, &Validators::default(), day(NOW))));
    }
}
