//! What fields mean, whatever stands in them: credentials, challenges, redirects, preconditions, codings, expiry. Each is
//! compared with a naive reader of its RFC, and what can be written is read again as it was.
#![no_main]

#[path = "../../crates/http-core/tests/worlds/naive/coding.rs"]
mod naive_coding;
#[path = "../../crates/http-core/tests/worlds/naive/credentials.rs"]
mod naive_credentials;
#[path = "../../crates/http-core/tests/worlds/naive/entity_tag.rs"]
mod naive_tag;

use http_core::auth::{self, Basic, Challenge, ProtectionSpace};
use http_core::client::{Connection, Event, Request, ResponseHead};
use http_core::conditional::{self, EntityTag, Outcome, Validators};
use http_core::negotiate::{self, Choice};
use http_core::redirect::{self, RedirectError};
use http_core::{
    Authority, Date, FieldBlock, FieldName, FieldValue, Fields, HttpUrl, Limits, Method, Origin, Status, Target,
    TargetForm, UrlError, expires::is_expired, header, percent_encode,
};
use libfuzzer_sys::fuzz_target;

/// The first byte of a line says which: `a` is If-Match.
const NAMES: [FieldName<'static>; 11] = [
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
    header::ACCEPT_ENCODING,
    header::AUTHORIZATION,
    header::WWW_AUTHENTICATE,
    header::LOCATION,
    header::EXPIRES,
    header::DATE,
];
const METHODS: [Method<'static>; 8] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Delete,
    Method::Options,
    Method::Trace,
    Method::Connect,
];
const STATUSES: [u16; 8] = [301, 302, 303, 307, 308, 304, 200, 300];
const TIMES: [i64; 4] = [784_111_777, 784_111_778, 1_000_000_000, 253_402_300_799];

// A byte of choices, two lines of our own, and a line for each field.
fuzz_target!(|input: &[u8]| {
    let Some((&choices, text)) = input.split_first() else { return };
    let mut lines = text.split(|&c| c == b'\n');
    let own = [lines.next().unwrap_or_default(), lines.next().unwrap_or_default()];
    let fields: Vec<_> = lines
        .filter_map(|line| line.split_first())
        .map(|(letter, value)| (NAMES[usize::from(letter.wrapping_sub(b'a')) % NAMES.len()], value))
        .filter_map(|(name, value)| Some((name, FieldValue::new(value).ok()?)))
        .take(256)
        .collect();
    let method = METHODS[usize::from(choices & 7)];
    let now = Date::from_unix(TIMES[usize::from(choices >> 3 & 3)]).unwrap();
    let status = STATUSES[usize::from(choices >> 5)];
    with_head(status, &fields, |head| {
        let received: Vec<_> = head.fields.iter().collect();
        assert_eq!(received, fields);
        basic(own, &head.fields);
        challenges(own, &head.fields);
        redirects(own, method, head);
        preconditions(own, method, &head.fields, now);
        codings(own[0], &head.fields);
        let date = |name| head.fields.only(name).and_then(|value| Date::parse(value.as_bytes(), now).ok());
        let is_fresh =
            date(header::EXPIRES).is_some_and(|date| date > now) && date(header::EXPIRES) > date(header::DATE);
        assert_eq!(is_expired(&head.fields, now), head.fields.get(header::EXPIRES).map(|_| !is_fresh));
    });
});

/// The fields as a client receives them.
fn with_head(status: u16, fields: &[(FieldName<'_>, FieldValue<'_>)], look: impl FnOnce(&ResponseHead<'_>)) {
    let mut bytes = format!("HTTP/1.0 {status} x\r\n").into_bytes();
    for (name, value) in fields {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    let limits =
        Limits { start_line: u32::MAX, field_line: u32::MAX, head: u32::MAX, fields: 256, ..Limits::default() };
    let mut connection = Connection::new(limits);
    let (target, host) = (Target::new(b"/").unwrap(), Authority::new(b"a").unwrap());
    let _no_body =
        connection.request(&Request::new(Method::Get, target, host, &FieldBlock::new()), &mut Vec::new()).unwrap();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let room = connection.receive_buffer();
        let n = room.len().min(rest.len());
        room[..n].copy_from_slice(&rest[..n]);
        connection.received(n);
        rest = &rest[n..];
    }
    match connection.poll() {
        Ok(Event::Response(head)) => look(&head),
        other => panic!("{other:?}"),
    }
}

fn basic([user, password]: [&[u8]; 2], fields: &Fields<'_>) {
    let readable = !user.contains(&b':') && ![user, password].concat().iter().any(u8::is_ascii_control);
    let own = Basic::new(user, password).ok();
    assert_eq!(own.is_some(), readable);
    assert_eq!(auth::constant_time_eq(user, password), user == password);
    let received = fields.get_all(header::AUTHORIZATION).filter_map(|value| {
        let basic = Basic::parse(value).ok();
        let pair = basic.as_ref().map(|basic| (basic.user().to_vec(), basic.password().to_vec()));
        assert_eq!(pair, naive_credentials::read(value.as_bytes()));
        basic
    });
    for basic in own.into_iter().chain(received) {
        assert!(!basic.user().contains(&b':'));
        assert!(![basic.user(), basic.password()].concat().iter().any(u8::is_ascii_control));
        let mut written = Vec::new();
        basic.append_to(&mut written);
        let again = Basic::parse(FieldValue::new(&written).unwrap()).unwrap();
        assert_eq!((again.user(), again.password()), (basic.user(), basic.password()));
    }
}

fn challenges([realm, other]: [&[u8]; 2], fields: &Fields<'_>) {
    let read: Vec<Challenge<'_>> = auth::challenges(fields).collect();
    assert!(read.len() <= 16);
    let mut written = Vec::new();
    for challenge in &read {
        assert!(FieldName::new(challenge.scheme().as_bytes()).is_ok(), "a scheme is a token");
        assert_eq!(challenge.is_basic(), challenge.scheme().eq_ignore_ascii_case("basic"));
        written.extend([b", ", challenge.scheme().as_bytes()].concat());
        if let Some(realm) = challenge.realm() {
            assert!(!realm.contains(&b'"') && !realm.contains(&b'\\'), "it would mean several things");
            written.extend([b" realm=\"", realm, b"\""].concat());
        }
    }
    with_head(401, &[(header::WWW_AUTHENTICATE, FieldValue::new(&written).unwrap())], |head| {
        assert_eq!(auth::challenges(&head.fields).collect::<Vec<_>>(), read);
    });

    let host = Authority::new(b"h").unwrap();
    let is_same = ProtectionSpace::new(host, realm) == ProtectionSpace::new(host, other);
    assert_eq!(is_same, realm == other);
    let Ok(realm) = str::from_utf8(realm) else { return };
    let written = auth::basic_challenge(realm).ok();
    assert_eq!(written.is_some(), realm.chars().all(|c| (' '..='~').contains(&c) && !"\"\\".contains(c)));
    let Some(written) = written else { return };
    // It is read as it was written, whatever stands in the lines before it.
    let mut lines: Vec<_> = fields.iter().filter(|(name, _)| *name == header::WWW_AUTHENTICATE).collect();
    lines.truncate(255);
    lines.push((header::WWW_AUTHENTICATE, FieldValue::new(written.as_bytes()).unwrap()));
    with_head(401, &lines, |head| {
        let last = auth::challenges(&head.fields).last().unwrap();
        let is_own = last.scheme() == "Basic" && last.realm() == Some(realm.as_bytes());
        assert!(is_own || read.len() == 16 || fields.len() == 256, "{last:?}");
    });
}

fn redirects([target, host]: [&[u8]; 2], method: Method<'_>, head: &ResponseHead<'_>) {
    let followed = (host.len() % 7) as u8;
    let target = Target::new(target).or(Target::new(b"/a/b?c")).unwrap();
    let host = Authority::new(host).or(Authority::new(b"example.org")).unwrap();
    let asked = target.authority().unwrap_or(host);
    let base = HttpUrl::of_request(host, target);
    for reference in head.fields.get_all(header::LOCATION) {
        let location = base.resolve(reference);
        let expected = resolved(asked, target, reference.as_bytes());
        assert_eq!(location.as_ref().map(|location| location.as_str()), expected.as_deref());
        let Ok(location) = location else { continue };
        let url = location.as_str();
        assert!(url.len() <= HttpUrl::MAX_LENGTH);
        assert!(url.bytes().all(|c| (b'!'..=b'~').contains(&c) && !b"\"<>\\#".contains(&c)), "{url}");
        assert_eq!(
            (Target::new(url.as_bytes()), location.target().form()),
            (Ok(location.target()), TargetForm::Absolute)
        );
        let authority = location.target().authority().unwrap();
        assert_eq!((location.host(), location.port()), (authority.host(), authority.port().unwrap_or(80)));
        let is_same =
            location.host().eq_ignore_ascii_case(asked.host()) && location.port() == asked.port().unwrap_or(80);
        assert_eq!(
            (location.origin() == base.origin(), Origin::new(authority) == Origin::new(asked)),
            (is_same, is_same)
        );
        // A resolved URL stays as it is, except for dots that the base had. The base may name no host to connect to.
        let can_connect = read_authority(authority.as_str().as_bytes()).is_ok();
        let again = base.resolve(FieldValue::new(url.as_bytes()).unwrap());
        let has_dots = location.target().raw_path().split('/').any(|segment| segment == "." || segment == "..");
        assert!(if has_dots {
            location.target().raw_path() == target.raw_path()
        } else {
            !can_connect || again == Ok(location)
        });
    }

    let locations: Vec<_> = head.fields.get_all(header::LOCATION).collect();
    let agree = locations.windows(2).all(|two| two[0] == two[1]);
    let location = locations.first().filter(|location| agree && !location.as_bytes().is_empty());
    let fields = FieldBlock::new();
    let next = redirect::follow(&Request::new(method, target, host, &fields), head, followed);
    let repeats = matches!(method, Method::Get | Method::Head);
    let expected = match head.status.code() {
        300 | 304 | 200 => Ok(None),
        303 if !repeats => Ok(Some(Method::Get)),
        _ if !repeats => Err(RedirectError::Method),
        _ => Ok(Some(method)),
    };
    match (expected, next) {
        (Ok(None), next) => assert_eq!(next, Ok(None)),
        (Err(error), next) => assert_eq!(next, Err(error)),
        (Ok(Some(_)), Err(RedirectError::TooMany)) => assert!(followed >= redirect::MAX_REDIRECTS),
        (Ok(Some(_)), Err(RedirectError::NoLocation)) => assert!(location.is_none()),
        (Ok(Some(method)), next) => {
            assert!(followed < redirect::MAX_REDIRECTS);
            let location = base.resolve(*location.unwrap());
            assert_eq!(
                next.map(|next| next.map(|next| (next.method, next.url))),
                match location {
                    Ok(location) => Ok(Some((method, location))),
                    Err(error) => Err(RedirectError::Location(error)),
                }
            );
        }
    }
}

/// A host that can be connected to.
fn read_authority(text: &[u8]) -> Result<Authority<'_>, UrlError> {
    let is_future = text.starts_with(b"[v") || text.starts_with(b"[V");
    let authority = Authority::new(text).ok().filter(|authority| authority.port() != Some(0) && !is_future);
    authority.ok_or(UrlError::Authority)
}

/// RFC 3986 §5.2.2 as it stands there, for the one scheme.
fn resolved(asked: Authority<'_>, base: Target<'_>, reference: &[u8]) -> Result<String, UrlError> {
    let reference = reference.split(|&c| c == b'#').next().unwrap();
    let (reference, query) = match reference.iter().position(|&c| c == b'?') {
        Some(at) => (&reference[..at], Some(&reference[at + 1..])),
        None => (reference, None),
    };
    let first = reference.split(|&c| c == b'/').next().unwrap();
    let reference = match first.iter().position(|&c| c == b':') {
        Some(at) if first[..at].eq_ignore_ascii_case(b"https") => return Err(UrlError::Https),
        Some(at) if !first[..at].eq_ignore_ascii_case(b"http") => return Err(UrlError::Scheme),
        Some(at) if !reference[at + 1..].starts_with(b"//") => return Err(UrlError::Authority),
        Some(at) => &reference[at + 1..],
        None => reference,
    };
    let (authority, path) = match reference.strip_prefix(b"//") {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.iter().position(|&c| c == b'/').unwrap_or(rest.len()));
            (read_authority(authority)?, Some(path))
        }
        None => (asked, None),
    };
    let base_path = if base.raw_path() == "*" { "/" } else { base.raw_path() };
    let (path, query) = match (path, reference) {
        (Some(path), _) => (remove_dot_segments(path), query),
        (None, []) => (base_path.into(), query.or(base.query().map(str::as_bytes))),
        (None, [b'/', ..]) => (remove_dot_segments(reference), query),
        (None, _) => {
            let (directory, _) = base_path.rsplit_once('/').unwrap();
            (remove_dot_segments(&[directory.as_bytes(), b"/", reference].concat()), query)
        }
    };
    let has_port = authority.port().is_some_and(|port| port != 80);
    let mut url = format!("http://{}", if has_port { authority.as_str() } else { authority.host() });
    encode(if path.is_empty() { b"/" } else { &path }, &mut url);
    if let Some(query) = query {
        url.push('?');
        encode(query, &mut url);
    }
    if url.len() > HttpUrl::MAX_LENGTH { Err(UrlError::TooLong) } else { Ok(url) }
}

/// RFC 3986 §5.2.4 as it stands there, for a path that is empty or begins with a slash.
fn remove_dot_segments(path: &[u8]) -> Vec<u8> {
    let (mut input, mut output) = (path.to_vec(), Vec::new());
    let mut from = 0;
    while from < input.len() {
        let rest = &input[from..];
        if rest.starts_with(b"/./") {
            from += 2;
        } else if rest == b"/." {
            from += 1;
            input[from] = b'/';
        } else if rest.starts_with(b"/../") || rest == b"/.." {
            from += if rest.len() > 3 { 3 } else { 2 };
            input[from] = b'/';
            output.truncate(output.iter().rposition(|&c| c == b'/').unwrap_or(0));
        } else {
            let length = 1 + rest[1..].iter().position(|&c| c == b'/').unwrap_or(rest.len() - 1);
            output.extend_from_slice(&rest[..length]);
            from += length;
        }
    }
    output
}

fn encode(text: &[u8], out: &mut String) {
    for (at, &byte) in text.iter().enumerate() {
        let is_encoding = text[at + 1..].iter().take(2).filter(|c| c.is_ascii_hexdigit()).count() == 2;
        match byte {
            b'%' if is_encoding => out.push('%'),
            b'%' | b'"' | b'<' | b'>' | b'\\' | b'#' => percent_encode(&[byte], out),
            b'!'..=b'~' => out.push(char::from(byte)),
            _ => percent_encode(&[byte], out),
        }
    }
}

fn preconditions([tag, date]: [&[u8]; 2], method: Method<'_>, fields: &Fields<'_>, now: Date) {
    let etag = EntityTag::parse(tag).ok();
    if let Some(etag) = etag {
        let mut written = Vec::new();
        etag.append_to(&mut written);
        assert_eq!((&written[..], FieldValue::new(tag).map(|value| value.as_bytes())), (tag, Ok(tag)));
        assert!(etag.matches_weakly(etag) && etag.matches_strongly(etag) != etag.is_weak());
    }
    assert_eq!(etag.map(|etag| (etag.is_weak(), etag.opaque())), naive_tag::read(tag));
    let validators = Validators { etag, last_modified: Date::parse(date, now).ok() };
    let expected = naive(method, fields, &validators, now);
    assert_eq!(conditional::evaluate(method, fields, &validators, now), expected);

    let holds = match fields.get(header::IF_RANGE).map(|_| fields.only(header::IF_RANGE)) {
        None => true,
        Some(None) => false,
        Some(Some(value)) => {
            let is_tag = etag.is_some_and(|etag| !etag.is_weak()) && value.as_bytes() == tag;
            let date = Date::parse(value.as_bytes(), now).ok();
            is_tag || (date.is_some_and(|date| date < now) && date == validators.last_modified)
        }
    };
    assert_eq!(conditional::if_range_holds(fields, &validators, now), holds);
}

/// RFC 9110 §13.2.2, step by step; step 5 is If-Range's.
fn naive(method: Method<'_>, fields: &Fields<'_>, validators: &Validators<'_>, now: Date) -> Outcome {
    let reads = matches!(method, Method::Get | Method::Head);
    if matches!(method, Method::Connect | Method::Options | Method::Trace) {
        return Outcome::Proceed; // §13.2.1
    }
    let date = |name| fields.only(name).and_then(|value| Date::parse(value.as_bytes(), now).ok());
    let modified = validators.last_modified;
    if let Some(matched) = names(fields, header::IF_MATCH, validators, false) {
        if !matched {
            return Outcome::PreconditionFailed;
        }
    } else if date(header::IF_UNMODIFIED_SINCE).is_some_and(|since| modified.is_some_and(|modified| modified > since)) {
        return Outcome::PreconditionFailed;
    }
    match names(fields, header::IF_NONE_MATCH, validators, true) {
        Some(false) => return Outcome::Proceed,
        Some(true) => return if reads { Outcome::NotModified } else { Outcome::PreconditionFailed },
        None => {}
    }
    let since = date(header::IF_MODIFIED_SINCE).filter(|&since| reads && since <= now);
    match (since, modified) {
        (Some(since), Some(modified)) if modified <= since => Outcome::NotModified,
        _ => Outcome::Proceed,
    }
}

/// Whether the field names the representation; `None` without the field.
fn names(fields: &Fields<'_>, name: FieldName<'_>, validators: &Validators<'_>, weakly: bool) -> Option<bool> {
    let list = joined(fields, name)?;
    let own = validators.etag.map(|own| (own.is_weak(), own.opaque()));
    Some(list == b"*" || own.is_some_and(|own| naive_tag::names(&list, own, weakly)))
}

/// RFC 9110 §5.3: the lines of a list are one list.
fn joined(fields: &Fields<'_>, name: FieldName<'_>) -> Option<Vec<u8>> {
    let values: Vec<_> = fields.get_all(name).map(|value| value.as_bytes()).collect();
    (!values.is_empty()).then(|| values.join(&b", "[..]))
}

fn codings(own: &[u8], fields: &Fields<'_>) {
    let own = str::from_utf8(own).unwrap_or("br,gzip");
    let available: Vec<_> = own.split(',').filter(|coding| FieldName::new(coding.as_bytes()).is_ok()).collect();
    let list = joined(fields, header::ACCEPT_ENCODING).unwrap_or_default();
    // An element that is not UTF-8 is malformed.
    let expected = naive_coding::Reader::new().choose(&String::from_utf8_lossy(&list), &available);
    let choice = negotiate::content_coding(fields, &available);
    assert_eq!(choice, expected, "{available:?}");

    let mut lines = "Vary: Accept-Encoding\r\n".to_owned();
    if let Choice::Coded(place) = choice {
        lines += &format!("Content-Encoding: {}\r\n", available[place]);
    }
    let mut block = FieldBlock::new();
    choice.write_headers(&available, Status::OK, &mut block).unwrap();
    assert_eq!(block.as_bytes(), lines.as_bytes());
}
