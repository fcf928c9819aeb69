//! Formats one line of the log. Whatever bytes a peer sends, a line holds only 0x20 to 0x7E and stays one line.

use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;

use http_core::{Civil, Date, Method, Status, Target};

use super::pending::PendingRecord;
use crate::access_log::log_format::LogFormat;
use crate::clock;
use crate::stats::EndReason;

/// What a line contains.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// The other end of the connection.
    pub(crate) peer: IpAddr,
    pub(crate) pending: &'a PendingRecord,
    pub(crate) date: Date,
    /// `None`: no response was begun.
    pub(crate) status: Option<Status>,
    /// Bytes of the body that were sent.
    pub(crate) sent: u64,
    pub(crate) reason: EndReason,
}

/// The most bytes of a line, for heads of this many bytes: each byte takes at most six.
pub(super) fn max_line(head: usize) -> usize {
    6 * (head + (1 << 10))
}

/// The formatted date of the last line, because many lines have the same second.
#[derive(Debug)]
pub(super) struct TimestampCache {
    format: LogFormat,
    date: Option<Date>,
    text: Vec<u8>,
}

impl TimestampCache {
    pub(super) fn new(format: LogFormat) -> TimestampCache {
        TimestampCache { format, date: None, text: Vec::with_capacity(32) }
    }

    fn get(&mut self, date: Date) -> &[u8] {
        if self.date != Some(date) {
            self.date = Some(date);
            self.text.clear();
            let civil = date.civil();
            let Civil { year, day, hour, minute, second, .. } = civil;
            let month_name = civil.month_name();
            // Writing to a Vec does not fail.
            let _ = match self.format {
                LogFormat::Json => write!(self.text, "{}", Rfc3339(date)),
                LogFormat::Common | LogFormat::Combined => {
                    write!(self.text, " [{day:02}/{month_name}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000] \"")
                }
            };
        }
        &self.text
    }
}

/// Displays a date as RFC 3339 writes it.
struct Rfc3339(Date);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second, .. } = self.0.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// A message of a program as a JSON object in one line of printable ASCII, for a program whose log is
/// [`LogFormat::Json`]. It has `time` (RFC 3339), `level`, such as `error`, and `message`.
///
/// ```
/// let line = http_server::json_message("error", "cannot read \"caf\u{e9}\"\n");
/// assert!(line.starts_with("{\"time\":\"2"));
/// assert!(line.ends_with(r#"Z","level":"error","message":"cannot read \"caf\u00e9\"\u000a"}"#));
/// ```
pub fn json_message(level: &str, message: &str) -> String {
    let mut line = format!("{{\"time\":\"{}\",\"level\":", Rfc3339(clock::http_date_now())).into_bytes();
    json_string(level, &mut line);
    line.extend_from_slice(b",\"message\":");
    json_string(message, &mut line);
    line.push(b'}');
    String::from_utf8(line).unwrap_or_default() // it is ASCII
}

/// Appends a JSON string of printable ASCII.
fn json_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend([b'\\', c as u8]),
            ' '..='~' => out.push(c as u8),
            // Beyond 0xffff, two surrogates.
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(out, "\\u{unit:04x}"); // writing to a Vec does not fail
            }),
        }
    }
    out.push(b'"');
}

/// Appends the line of a record. With `format!` it would take five times as long.
pub(super) fn format_record(record: &Record<'_>, timestamps: &mut TimestampCache, out: &mut Vec<u8>) {
    match timestamps.format {
        LogFormat::Common => common(record, timestamps, out),
        LogFormat::Combined => {
            common(record, timestamps, out);
            for text in [record.pending.referer(), record.pending.user_agent()] {
                out.extend_from_slice(b" \"");
                escape(if text.is_empty() { b"-" } else { text }, b' ', b"\\x", out);
                out.push(b'"');
            }
        }
        LogFormat::Json => json(record, timestamps, out),
    }
    out.push(b'\n');
}

/// `client - user [date] "request line" status bytes`
fn common(record: &Record<'_>, timestamps: &mut TimestampCache, out: &mut Vec<u8>) {
    let user = record.pending.user();
    push_address(record.pending.client, out);
    out.extend_from_slice(if user.is_empty() { b" - -" } else { b" - " });
    escape(user, b'!', b"\\x", out); // a space would end it
    out.extend_from_slice(timestamps.get(record.date));
    escape(record.pending.request_line(), b' ', b"\\x", out);
    out.extend_from_slice(b"\" ");
    match record.status {
        Some(status) => push_decimal(status.code().into(), out),
        None => out.extend_from_slice(b"000"), // as nginx has it
    }
    out.push(b' ');
    push_decimal(record.sent, out);
}

/// One object. A byte outside ASCII becomes the character with its number (ISO 8859-1), so that none is lost.
fn json(record: &Record<'_>, timestamps: &mut TimestampCache, out: &mut Vec<u8>) {
    let PendingRecord { began, client, .. } = *record.pending;
    let text = |name: &str, text: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(name.as_bytes());
        if text.is_empty() {
            return out.extend_from_slice(b"null");
        }
        out.push(b'"');
        escape(text, b' ', b"\\u00", out);
        out.push(b'"');
    };
    let number = |name: &str, number: u64, out: &mut Vec<u8>| {
        out.extend_from_slice(name.as_bytes());
        push_decimal(number, out);
    };
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(timestamps.get(record.date));
    out.extend_from_slice(b"\",\"client\":\"");
    push_address(client, out);
    if client != record.peer {
        out.extend_from_slice(b"\",\"peer\":\"");
        push_address(record.peer, out);
    }
    text("\",\"user\":", record.pending.user(), out);
    let line = record.pending.request_line();
    let words = words(line);
    text(",\"method\":", words.map_or(b"", |(method, _)| method), out);
    text(",\"path\":", words.map_or(b"", |(_, target)| target.raw_path().as_bytes()), out);
    match words.and_then(|(_, target)| target.query()) {
        Some("") => out.extend_from_slice(b",\"query\":\"\""),
        query => text(",\"query\":", query.unwrap_or_default().as_bytes(), out),
    }
    text(",\"request\":", line, out);
    match record.status {
        Some(status) => number(",\"status\":", status.code().into(), out),
        None => out.extend_from_slice(b",\"status\":null"),
    }
    number(",\"sent\":", record.sent, out);
    number(",\"duration_us\":", clock::monotonic_ns().saturating_sub(began) / 1000, out);
    text(",\"end\":", record.reason.name().as_bytes(), out);
    if let Some(cause) = record.pending.cause() {
        out.extend_from_slice(b",\"cause\":");
        json_string(cause, out);
    }
    text(",\"referer\":", record.pending.referer(), out);
    text(",\"user_agent\":", record.pending.user_agent(), out);
    out.push(b'}');
}

/// The method and the target of a request line, if it has them. The request may be refused for something else.
fn words(line: &[u8]) -> Option<(&[u8], Target<'_>)> {
    let mut words = line.split(|&c| matches!(c, b' ' | b'\t')).filter(|word| !word.is_empty()); // D2
    let (method, target) = (words.next()?, Target::new(words.next()?).ok()?);
    let is_version = |word: &[u8]| word.starts_with(b"HTTP/");
    (Method::new(method).is_ok() && words.next().is_none_or(is_version) && words.next().is_none())
        .then_some((method, target))
}

fn push_address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        // A peer on a Unix socket has no address, and no other peer has this one.
        _ if address.is_unspecified() => out.extend_from_slice(b"unix"),
        IpAddr::V4(address) => {
            for (n, part) in address.octets().into_iter().enumerate() {
                if n > 0 {
                    out.push(b'.');
                }
                push_decimal(part.into(), out);
            }
        }
        IpAddr::V6(address) => {
            let _ = write!(out, "{address}"); // writing to a Vec does not fail
        }
    }
}

fn push_decimal(number: u64, out: &mut Vec<u8>) {
    let digit = |n: u64| b'0' + (n % 10) as u8;
    match number {
        0..10 => out.push(digit(number)),
        10..100 => out.extend_from_slice(&[digit(number / 10), digit(number)]),
        _ => {
            if number >= 1000 {
                push_decimal(number / 1000, out);
            }
            out.extend_from_slice(&[digit(number / 100), digit(number / 10), digit(number)]);
        }
    }
}

/// Escapes bytes, so that nothing from a peer can end a line, close a quote or control a terminal (R1945-12.3, V16).
/// Bytes from `first` to 0x7E are copied; every other byte becomes two hexadecimal digits after `code`.
fn escape(bytes: &[u8], first: u8, code: &[u8], out: &mut Vec<u8>) {
    let is_plain = |&c: &u8| (c >= first) & (c <= b'~') & (c != b'"') & (c != b'\\');
    // Without a branch for each byte, the compiler checks several bytes at once.
    if bytes.iter().fold(true, |all, c| all & is_plain(c)) {
        return out.extend_from_slice(bytes);
    }
    for &c in bytes {
        match c {
            b'"' | b'\\' => out.extend([b'\\', c]),
            c if is_plain(&c) => out.push(c),
            c => {
                out.extend_from_slice(code);
                out.extend([HEX[usize::from(c >> 4)], HEX[usize::from(c & 15)]]);
            }
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
pub(super) mod tests {
    use super::super::pending::MAX_CAUSE;
    use super::*;
    use allocation_counter::measure;
    use http_core::Limits;
    use serde_json::{Value, json};

    /// A finished request with this request line.
    pub(in super::super) fn pending(request_line: &[u8]) -> PendingRecord {
        let mut pending = PendingRecord::default();
        let began = clock::monotonic_ns() - 2_000_000_000;
        pending.set(began, IpAddr::from([127, 0, 0, 1]), [b"", b"", b"", request_line]);
        pending
    }

    pub(in super::super) fn record(pending: &PendingRecord) -> Record<'_> {
        Record {
            peer: IpAddr::from([127, 0, 0, 1]),
            pending,
            date: Date::from_unix(784_111_777).unwrap(),
            status: Some(Status::OK),
            sent: 12,
            reason: EndReason::Complete,
        }
    }

    fn line_of(format: LogFormat, record: &Record<'_>) -> String {
        let mut out = Vec::new();
        format_record(record, &mut TimestampCache::new(format), &mut out);
        String::from_utf8(out).unwrap()
    }

    const FORMATS: [LogFormat; 3] = [LogFormat::Common, LogFormat::Combined, LogFormat::Json];

    // R1945-12.3, V16
    #[test]
    fn hostile_request_line_stays_one_line() {
        let pending = pending(b"GET /\x1b[2J\"\\\r\x80 HTTP/1.0");
        let common = "127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] \"GET /\\x1b[2J\\\"\\\\\\x0d\\x80 HTTP/1.0\" 200 12\n";
        assert_eq!(line_of(LogFormat::Common, &record(&pending)), common);
        let combined = common.replace('\n', " \"-\" \"-\"\n");
        assert_eq!(line_of(LogFormat::Combined, &record(&pending)), combined);
    }

    // V16: any byte, in any text.
    #[test]
    fn every_byte_is_logged_as_printable_ascii() {
        let all: Vec<u8> = (0..=255).collect();
        let mut pending = pending(b"");
        pending.set(0, pending.client, [&all; 4]);
        for format in FORMATS {
            let line = line_of(format, &record(&pending));
            let (line, end) = line.split_at(line.len() - 1);
            assert!(end == "\n" && line.bytes().all(|c| matches!(c, b' '..=b'~')), "{line:?}");
            if format == LogFormat::Json {
                let value: Value = serde_json::from_str(line).unwrap();
                let latin: String = all.iter().map(|&c| char::from(c)).collect();
                for name in ["user", "request", "referer", "user_agent"] {
                    assert_eq!(value[name], latin, "{name}");
                }
            } else {
                let user = line.split_once(" - ").unwrap().1.split(' ').next().unwrap();
                assert!(user.contains(r##"\x1f\x20!\"#"##) && user.ends_with(r"\xff"), "{user}");
            }
        }
    }

    // The Common Log Format of Apache, and what nginx and Apache call combined.
    #[test]
    fn user_referer_and_user_agent_have_their_places() {
        let mut pending = pending(b"");
        pending.set(0, pending.client, [b"a b", b"http://a/\"", b"me \\ 1", b"GET / HTTP/1.0"]);
        let common = r#"127.0.0.1 - a\x20b [06/Nov/1994:08:49:37 +0000] "GET / HTTP/1.0" 200 12"#;
        assert_eq!(line_of(LogFormat::Common, &record(&pending)), format!("{common}\n"));
        let combined = format!("{common} {}\n", r#""http://a/\"" "me \\ 1""#);
        assert_eq!(line_of(LogFormat::Combined, &record(&pending)), combined);
    }

    #[test]
    fn json_object_has_every_known_value() {
        let mut expected = json!({
            "time": "1994-11-06T08:49:37Z",
            "client": "127.0.0.1",
            "user": null,
            "method": "GET",
            "path": "/",
            "query": null,
            "request": "GET / HTTP/1.0",
            "status": 200,
            "sent": 12,
            "end": "complete",
            "referer": null,
            "user_agent": null,
        });
        let parse = |record: &Record<'_>| {
            let mut value: Value = serde_json::from_str(&line_of(LogFormat::Json, record)).unwrap();
            let duration = value.as_object_mut().unwrap().remove("duration_us").unwrap();
            assert!((2_000_000..10_000_000).contains(&duration.as_u64().unwrap()), "{duration}");
            value
        };
        let mut pending = pending(b"GET / HTTP/1.0");
        assert_eq!(parse(&record(&pending)), expected);
        pending.set(pending.began, "2001:db8::1".parse().unwrap(), [b"me", b"", b"", b"GET / HTTP/1.0"]);
        (expected["client"], expected["peer"], expected["user"]) =
            ("2001:db8::1".into(), "127.0.0.1".into(), "me".into());
        (expected["sent"], expected["end"]) = (u64::MAX.into(), "file-changed".into());
        assert_eq!(parse(&Record { sent: u64::MAX, reason: EndReason::FileChanged, ..record(&pending) }), expected);
    }

    // The path is not decoded. A line that is no request line is only in `request`.
    #[test]
    fn json_object_has_method_path_and_query_apart() {
        for (line, method, path, query) in [
            ("GET / HTTP/1.0", Some("GET"), Some("/"), None),
            ("HEAD /a%20b/../c?d=e&f=?g HTTP/1.1", Some("HEAD"), Some("/a%20b/../c"), Some("d=e&f=?g")),
            ("GET /a? HTTP/1.0", Some("GET"), Some("/a"), Some("")),
            ("PURGE \t /a\t HTTP/9.9", Some("PURGE"), Some("/a"), None),
            ("GET http://host:1/a?b HTTP/1.1", Some("GET"), Some("/a"), Some("b")),
            ("GET http://host?b HTTP/1.1", Some("GET"), Some("/"), Some("b")),
            ("OPTIONS * HTTP/1.0", Some("OPTIONS"), Some("*"), None),
            ("GET /simple", Some("GET"), Some("/simple"), None),
            ("GET a HTTP/1.0", None, None, None),
            ("GET /a b HTTP/1.0", None, None, None),
            ("GET /a /b", None, None, None),
            ("G\"T /a HTTP/1.0", None, None, None),
            ("GET", None, None, None),
            ("", None, None, None),
        ] {
            let object: Value =
                serde_json::from_str(&line_of(LogFormat::Json, &record(&pending(line.as_bytes())))).unwrap();
            assert_eq!(
                (&object["method"], &object["path"], &object["query"]),
                (&json!(method), &json!(path), &json!(query))
            );
            assert_eq!(object["request"], if line.is_empty() { Value::Null } else { line.into() });
        }
    }

    // In place of an address, in every format.
    #[test]
    fn peer_on_a_unix_socket_is_named_unix() {
        let mut pending = pending(b"GET / HTTP/1.0");
        let peer = IpAddr::from([0, 0, 0, 0]);
        for (client, start, expected_peer) in
            [("0.0.0.0", "unix - - [", None), ("192.0.2.1", "192.0.2.1 - - [", Some("unix"))]
        {
            pending.client = client.parse().unwrap();
            let record = Record { peer, ..record(&pending) };
            assert!(line_of(LogFormat::Common, &record).starts_with(start));
            let object: Value = serde_json::from_str(&line_of(LogFormat::Json, &record)).unwrap();
            assert_eq!(object["client"], client.replace("0.0.0.0", "unix"));
            assert_eq!(object.get("peer"), expected_peer.map(Value::from).as_ref());
        }
    }

    // The text of an error may be anything.
    #[test]
    fn cause_is_a_json_string_whatever_it_contains() {
        let all: String = (0..=0x250).chain([0x2028, 0xfffe, 0x1f600]).filter_map(char::from_u32).collect();
        let mut pending = pending(b"GET / HTTP/1.0");
        let cause = |pending: &PendingRecord| {
            let line = line_of(LogFormat::Json, &record(pending));
            assert!(line.trim_end_matches('\n').bytes().all(|c| matches!(c, b' '..=b'~')), "{line}");
            serde_json::from_str::<Value>(&line).unwrap().get("cause").cloned()
        };
        assert_eq!(cause(&pending), None);
        for cause_of in all.chars() {
            pending.set_cause(&format!("a{cause_of}"));
            assert_eq!(cause(&pending), Some(format!("a{cause_of}").into()));
        }
        pending.set_cause(&all);
        let shown = cause(&pending).unwrap();
        assert!(all.starts_with(shown.as_str().unwrap()) && shown.as_str().unwrap().len() > MAX_CAUSE - 4);
        let common = line_of(LogFormat::Common, &record(&pending));
        assert_eq!(common, "127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] \"GET / HTTP/1.0\" 200 12\n");
    }

    #[test]
    fn request_without_response_has_no_status() {
        let pending = pending(b"GET / HTTP/1.0");
        let record = Record { status: None, sent: 0, reason: EndReason::Shutdown, ..record(&pending) };
        let common = "127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] \"GET / HTTP/1.0\" 000 0\n";
        assert_eq!(line_of(LogFormat::Common, &record), common);
        let object: Value = serde_json::from_str(&line_of(LogFormat::Json, &record)).unwrap();
        assert_eq!((&object["status"], &object["end"]), (&Value::Null, &"shutdown".into()));
    }

    // A cached timestamp is used for its own second only.
    #[test]
    fn lines_have_the_address_date_and_numbers_of_their_record() {
        let (mut out, mut timestamps) = (Vec::new(), TimestampCache::new(LogFormat::Common));
        for (client, seconds, sent) in
            [("0.10.255.1", 784_111_777, 0), ("2001:db8::1", 784_111_777, 10), ("0.0.0.0", 951_782_400, u64::MAX)]
        {
            let mut pending = pending(b"");
            pending.client = client.parse().unwrap();
            let date = Date::from_unix(seconds).unwrap();
            let record = Record { date, status: Some(Status::NOT_FOUND), sent, ..record(&pending) };
            format_record(&record, &mut timestamps, &mut out);
        }
        let expected = "0.10.255.1 - - [06/Nov/1994:08:49:37 +0000] \"\" 404 0\n\
                        2001:db8::1 - - [06/Nov/1994:08:49:37 +0000] \"\" 404 10\n\
                        unix - - [29/Feb/2000:00:00:00 +0000] \"\" 404 18446744073709551615\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn every_month_has_its_number() {
        let mut timestamps = TimestampCache::new(LogFormat::Json);
        for month in 0..12 {
            let date = Date::from_unix(947_548_800 + month * 2_629_800).unwrap();
            let expected = format!("2000-{:02}-", month + 1);
            assert!(timestamps.get(date).starts_with(expected.as_bytes()), "{:?}", timestamps.get(date).escape_ascii());
        }
    }

    // A head of bytes that become longest.
    #[test]
    fn longest_line_is_bounded() {
        let head = Limits::default().head as usize;
        let mut pending = pending(&vec![0xff; head]);
        pending.set_cause(&"\u{7f}".repeat(MAX_CAUSE));
        for format in FORMATS {
            let length = line_of(format, &record(&pending)).len();
            assert!(length < max_line(head), "{format:?}: {length}");
        }
    }

    #[test]
    fn line_allocates_nothing() {
        let mut pending = pending(b"GET /\xff HTTP/1.0");
        pending.set_cause("\u{ff}");
        for format in FORMATS {
            let (mut out, mut timestamps) = (Vec::with_capacity(1000), TimestampCache::new(format));
            let measured = measure(|| format_record(&record(&pending), &mut timestamps, &mut out));
            assert_eq!(measured.count_total, 0);
        }
    }
}
