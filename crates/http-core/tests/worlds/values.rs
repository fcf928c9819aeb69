//! All small ranges, paths, request-targets, entity tags, codings and credentials, as the library and a naive reader
//! understand them.

use std::sync::Mutex;

use http_core::auth::Basic;
use http_core::conditional::{self, EntityTag, Outcome, Validators};
use http_core::server::{Connection, Event};
use http_core::{
    Date, FieldName, Fields, Limits, Method, Path, Target, TargetForm, header, negotiate, percent_encode, range,
};

use crate::naive;
use crate::sequences::{each_sequence, length};

/// Compares every value of up to so many tokens, and returns how many there were.
fn each_value(beginning: &[u8], tokens: &[&[u8]], lengths: [usize; 2], compare: impl Fn(&[u8]) + Sync) -> u64 {
    each_sequence(beginning, tokens, length(lengths), || {
        |value: &[u8], _| {
            compare(value);
            true
        }
    })
}

// R9110-14.1.2, R9110-14.2a, R9110-14.2b, D11
#[test]
fn every_small_range_is_read_as_by_a_naive_reader() {
    const BYTES: [&[u8]; 10] = [b"0", b"1", b"2", b"9", b"-", b",", b" ", b"\t", b"x", b"18446744073709551615"];
    let compare = |value: &[u8]| {
        let text = str::from_utf8(value).unwrap();
        for length in [0, 1, 2, 3, 10] {
            assert_eq!(range::parse(value, length), naive::range::read(text, length as usize), "{text:?} of {length}");
        }
    };
    const SPECS: [&[u8]; 9] = [b"0-0", b"1-1", b"2-3", b"1-", b"10-", b"-1", b"-0", b",", b" "];
    const UNITS: [&[u8]; 8] = [b"bytes", b"B", b"=", b"0-", b",", b" ", b"-1", b"x"];
    let count = each_value(b"bytes=", &BYTES, [5, 7], compare)
        + each_value(b"bytes=", &SPECS, [5, 7], compare)
        + each_value(b"", &UNITS, [4, 7], compare);
    println!("{count} ranges");
    assert!(count > 150_000);
}

// R1945-5.1.2b, R3986-2.1, R3986-5.2.4, D14
#[test]
fn every_small_path_is_read_as_by_a_naive_reader() {
    const TOKENS: [&[u8]; 11] = [b"/", b".", b"a", b"%2e", b"%2F", b"%1f", b"%7F", b"%", b"2", b"E", b"\xff"];
    let count = each_value(b"", &TOKENS, [5, 6], |raw| {
        let path = Path::new(raw).ok();
        let decoded = path.map(|path| {
            let mut out = Vec::new();
            path.decode_to(&mut out);
            out
        });
        assert_eq!(decoded, naive::path::read(raw), "{}", raw.escape_ascii());
        let (Some(path), Some(mut decoded)) = (path, decoded) else { return };
        // The same name, from its leading slash, and with the slash of a directory.
        decoded.insert(0, b'/');
        if decoded.len() > 1 && path.is_directory() {
            decoded.push(b'/');
        }
        assert_eq!(*path.decoded(), decoded);
        let mut encoded = String::new();
        for segment in decoded.split_inclusive(|&c| c == b'/') {
            let name = segment.strip_suffix(b"/").unwrap_or(segment);
            percent_encode(name, &mut encoded);
            encoded.extend((name.len() < segment.len()).then_some('/'));
        }
        assert_eq!(*Path::new(encoded.as_bytes()).unwrap().decoded(), decoded);
    });
    println!("{count} paths");
    assert!(count > 50_000);
}

// R1945-5.1.2a, R3986-3.4, R9112-3.2.1, R9112-3.2.2a, R9112-3.2.4, R9110-4.2.1, R9110-4.2.4, D12, D13
#[test]
fn every_small_target_is_read_as_by_a_naive_reader() {
    const TOKENS: [&[u8]; 18] = [
        b"/",
        b"a",
        b"?",
        b"*",
        b"http://",
        b"HTTP:",
        b"https://",
        b":",
        b"8",
        b"65536",
        b"@",
        b"%",
        b"4f",
        b"\\",
        b"#",
        b"|",
        b" ",
        b"\x7f",
    ];
    let count = each_value(b"", &TOKENS, [4, 5], |raw| {
        let target = Target::new(raw).ok();
        let parts = target.map(|target| (target.authority().map(|to| to.as_str()), target.raw_path(), target.query()));
        assert_eq!(parts, naive::target::read(str::from_utf8(raw).unwrap()), "{}", raw.escape_ascii());
        let Some((target, (authority, path, _))) = target.zip(parts) else { return };
        let form = match (authority, path) {
            (Some(_), _) => TargetForm::Absolute,
            (None, "*") => TargetForm::Asterisk,
            (None, _) => TargetForm::Origin,
        };
        assert_eq!(target.form(), form, "{}", raw.escape_ascii());
    });
    println!("{count} targets");
    assert!(count > 100_000);
}

// R9110-13.1.1, R9110-13.1.2, R9110-5.6.1
#[test]
fn every_small_entity_tag_is_read_as_by_a_naive_reader() {
    const TOKENS: [&[u8]; 13] =
        [b"\"", b"W/", b"w/", b"W", b"/", b"a", b"!", b"#", b"\\", b" ", b",", b"\x7f", b"\xff"];
    let count = each_value(b"", &TOKENS, [4, 6], |text| {
        let tag = EntityTag::parse(text).ok();
        assert_eq!(
            tag.map(|tag| (tag.is_weak(), tag.opaque())),
            naive::entity_tag::read(text),
            "{}",
            text.escape_ascii()
        );
        if let Some(tag) = tag {
            let mut written = Vec::new();
            tag.append_to(&mut written);
            assert_eq!(written, text);
        }
        let is_opaque = naive::entity_tag::read(&[b"\"", text, b"\""].concat()).is_some();
        assert_eq!(EntityTag::new(false, text).is_ok(), is_opaque, "{}", text.escape_ascii());
    });
    const LIST: [&[u8]; 9] = [b"\"a\"", b"W/\"a\"", b"\"b\"", b"\"", b"a", b",", b" ", b"*", b"\n"];
    let now = Date::from_unix(0).unwrap();
    let lists = each_value(b"", &LIST, [4, 6], |value| {
        for own in [b"\"a\"" as &[u8], b"W/\"a\""] {
            let validators = Validators { etag: EntityTag::parse(own).ok(), last_modified: None };
            let own = naive::entity_tag::read(own).unwrap();
            let evaluate =
                |name| with_field(name, value, |fields| conditional::evaluate(Method::Get, fields, &validators, now));
            let list = joined(value);
            assert_eq!(
                evaluate(header::IF_MATCH) == Outcome::Proceed,
                naive::entity_tag::names(&list, own, false),
                "If-Match: {}",
                value.escape_ascii()
            );
            assert_eq!(
                evaluate(header::IF_NONE_MATCH) == Outcome::NotModified,
                naive::entity_tag::names(&list, own, true),
                "If-None-Match: {}",
                value.escape_ascii()
            );
        }
    });
    println!("{count} entity tags, {lists} lists");
    assert!(count > 25_000 && lists > 5_000);
}

// R1945-3.5, R9110-12.5.5
#[test]
fn every_small_list_of_codings_is_read_as_by_a_naive_reader() {
    const TOKENS: [&[u8]; 12] =
        [b"gzip", b"X-gzip", b"br", b"identity", b"*", b",", b";q=", b";Q=0.5", b"0", b"1", b".", b" "];
    let reader = naive::coding::Reader::new();
    let count = each_value(b"", &TOKENS, [4, 6], |value| {
        let list = joined(value);
        for available in [&["br", "gzip"][..], &["gzip"]] {
            let choice =
                with_field(header::ACCEPT_ENCODING, value, |fields| negotiate::content_coding(fields, available));
            let expected = reader.choose(str::from_utf8(&list).unwrap(), available);
            assert_eq!(choice, expected, "{} of {available:?}", value.escape_ascii());
        }
    });
    println!("{count} lists of codings");
    assert!(count > 20_000);
}

// R1945-11.1
#[test]
fn every_small_credentials_are_read_as_by_a_naive_reader() {
    let accepted = Mutex::new(0);
    let compare = |value: &[u8]| {
        let basic = Basic::try_from(value).ok();
        let pair = basic.as_ref().map(|basic| (basic.user().to_vec(), basic.password().to_vec()));
        assert_eq!(pair, naive::credentials::read(value), "{}", value.escape_ascii());
        if let Some((basic, (user, password))) = basic.zip(pair) {
            *accepted.lock().unwrap() += 1;
            let mut written = Vec::new();
            basic.append_to(&mut written);
            assert_eq!(naive::credentials::read(&written), Some((user, password)));
        }
    };
    const SCHEMES: [&[u8]; 11] = [b"Basic", b"BASIC", b"b", b" ", b"\t", b"\n", b"\x0c", b"Og==", b"YTpi", b"=", b":"];
    // `:` and `a:` begin with these digits.
    const DIGITS: [&[u8]; 10] = [b"O", b"g", b"Y", b"T", b"o", b"6", b"A", b"=", b"/", b"-"];
    let count = each_value(b"", &SCHEMES, [4, 6], compare)
        + each_value(b"Basic ", &DIGITS, [4, 7], compare)
        + each_value(b"Basic YTpi", &DIGITS, [4, 7], compare);
    println!("{count} credentials, of which {} are valid", accepted.lock().unwrap());
    assert!(count > 35_000 && *accepted.lock().unwrap() > 1000);
}

/// The fields of a request with this value. A line feed in it begins another line with the same name.
fn with_field<T>(name: FieldName<'_>, value: &[u8], look: impl FnOnce(&Fields<'_>) -> T) -> T {
    let mut head = b"GET / HTTP/1.0\r\n".to_vec();
    for line in value.split(|&c| c == b'\n') {
        head.extend([name.as_str().as_bytes(), b":", line, b"\r\n"].concat());
    }
    head.extend_from_slice(b"\r\n");
    let mut connection = Connection::new(Limits::default());
    assert_eq!(connection.receive(&head), head.len());
    match connection.poll() {
        Ok(Event::Request(request)) => look(&request.fields),
        other => panic!("{other:?}"),
    }
}

/// RFC 9110 §5.2: the lines of a list are one list.
fn joined(value: &[u8]) -> Vec<u8> {
    let lines: Vec<_> = value.split(|&c| c == b'\n').map(|line| line.trim_ascii()).collect();
    lines.join(&b", "[..])
}
