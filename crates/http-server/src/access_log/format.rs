//! One line of the log, in each format. Whatever the bytes of a peer, a line holds 0x20 to 0x7E and nothing else, and
//! stays one line.

use std::io::Write as _;
use std::net::IpAddr;

use http_core::{Date, Status};

use super::LogFormat;
use super::pending::PendingRecord;
use crate::clock;
use crate::stats::EndReason;

/// What is to be said of one request.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// The other end of the connection.
    pub(crate) peer: IpAddr,
    pub(crate) draft: PendingRecord<'a>,
    pub(crate) date: Date,
    pub(crate) status: Status,
    /// Bytes of body that were sent.
    pub(crate) sent: u64,
    pub(crate) reason: EndReason,
}

/// Bytes of a line at most: six for each of a head's.
pub(super) fn longest_line(head: usize) -> usize {
    6 * (head + (1 << 10))
}

/// The last date that was written, as it stands in a line: many lines are of one second.
#[derive(Debug)]
pub(super) struct TimestampCache {
    format: LogFormat,
    last: Option<Date>,
    /// As much of it as the format needs.
    text: [u8; COMMON.len()],
}

const COMMON: &[u8; 31] = b" [00/Jan/0000:00:00:00 +0000] \"";
const JSON: &[u8; 20] = b"0000-00-00T00:00:00Z";

impl TimestampCache {
    pub(super) fn new(format: LogFormat) -> TimestampCache {
        TimestampCache { format, last: None, text: *COMMON }
    }

    fn of(&mut self, date: Date) -> &[u8] {
        if self.last != Some(date) {
            self.last = Some(date);
            let text = date.text();
            let text = text.as_bytes(); // Sun, 06 Nov 1994 08:49:37 GMT
            let mut put = |at: usize, part: &[u8]| self.text[at..at + part.len()].copy_from_slice(part);
            if self.format == LogFormat::Json {
                const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
                let month = MONTHS.chunks(3).zip(1..).find(|(name, _)| *name == &text[8..11]).map_or(0, |(_, n)| n);
                put(0, JSON);
                put(0, &text[12..16]);
                put(5, &[b'0' + month / 10, b'0' + month % 10]);
                put(8, &text[5..7]);
                put(11, &text[17..25]);
            } else {
                for (at, part) in [(2, 5..7), (5, 8..11), (9, 12..16), (14, 17..25)] {
                    put(at, &text[part]);
                }
            }
        }
        &self.text[..if self.format == LogFormat::Json { JSON.len() } else { COMMON.len() }]
    }
}

/// Without the machinery of `format!`, which would take five times as long.
pub(super) fn write(out: &mut Vec<u8>, entry: &Entry<'_>, stamp: &mut TimestampCache) {
    match stamp.format {
        LogFormat::Common => common(out, entry, stamp),
        LogFormat::Combined => {
            common(out, entry, stamp);
            for text in [entry.draft.referer, entry.draft.user_agent] {
                out.extend_from_slice(b" \"");
                escape(if text.is_empty() { b"-" } else { text }, b' ', b"\\x", out);
                out.push(b'"');
            }
        }
        LogFormat::Json => json(out, entry, stamp),
    }
    out.push(b'\n');
}

/// `host - user [date] "request line" status bytes`
fn common(out: &mut Vec<u8>, entry: &Entry<'_>, stamp: &mut TimestampCache) {
    let PendingRecord { client, user, line, .. } = entry.draft;
    push_address(client, out);
    out.extend_from_slice(if user.is_empty() { b" - -" } else { b" - " });
    escape(user, b'!', b"\\x", out); // a blank would end it
    out.extend_from_slice(stamp.of(entry.date));
    escape(line, b' ', b"\\x", out);
    out.extend_from_slice(b"\" ");
    push_decimal(entry.status.code().into(), out);
    out.push(b' ');
    push_decimal(entry.sent, out);
}

/// One object. A byte beyond ASCII is the character with its number (ISO 8859-1), so that none is lost.
fn json(out: &mut Vec<u8>, entry: &Entry<'_>, stamp: &mut TimestampCache) {
    let PendingRecord { began, client, user, referer, user_agent, line } = entry.draft;
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
    out.extend_from_slice(stamp.of(entry.date));
    out.extend_from_slice(b"\",\"client\":\"");
    push_address(client, out);
    if client != entry.peer {
        out.extend_from_slice(b"\",\"peer\":\"");
        push_address(entry.peer, out);
    }
    text("\",\"user\":", user, out);
    text(",\"request\":", line, out);
    number(",\"status\":", entry.status.code().into(), out);
    number(",\"sent\":", entry.sent, out);
    number(",\"duration_ms\":", clock::monotonic_ms().saturating_sub(began), out);
    text(",\"end\":", entry.reason.name().as_bytes(), out);
    text(",\"referer\":", referer, out);
    text(",\"user_agent\":", user_agent, out);
    out.push(b'}');
}

fn push_address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
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

/// Nothing that a peer sends can end a line, close a quote or reach a terminal (R1945-12.3, V16). Bytes from `first` to
/// 0x7E are themselves; all others stand as two digits behind `code`.
fn escape(bytes: &[u8], first: u8, code: &[u8], out: &mut Vec<u8>) {
    let is_plain = |&c: &u8| (c >= first) & (c <= b'~') & (c != b'"') & (c != b'\\');
    // Without a branch for each byte, several are looked at together.
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
    use super::*;
    use allocation_counter::measure;
    use http_core::Limits;
    use serde_json::{Value, json};

    pub(in super::super) fn entry(line: &[u8]) -> Entry<'_> {
        let client = IpAddr::from([127, 0, 0, 1]);
        Entry {
            peer: client,
            draft: PendingRecord {
                began: clock::monotonic_ms() - 2000,
                client,
                user: b"",
                referer: b"",
                user_agent: b"",
                line,
            },
            date: Date::from_unix(784_111_777).unwrap(),
            status: Status::OK,
            sent: 12,
            reason: EndReason::Complete,
        }
    }

    fn written(format: LogFormat, entry: &Entry<'_>) -> String {
        let mut out = Vec::new();
        write(&mut out, entry, &mut TimestampCache::new(format));
        String::from_utf8(out).unwrap()
    }

    const FORMATS: [LogFormat; 3] = [LogFormat::Common, LogFormat::Combined, LogFormat::Json];

    // R1945-12.3, V16
    #[test]
    fn a_line_stays_one_line() {
        let line = b"GET /\x1b[2J\"\\\r\x80 HTTP/1.0";
        let common = "127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] \"GET /\\x1b[2J\\\"\\\\\\x0d\\x80 HTTP/1.0\" 200 12\n";
        assert_eq!(written(LogFormat::Common, &entry(line)), common);
        let combined = common.replace('\n', " \"-\" \"-\"\n");
        assert_eq!(written(LogFormat::Combined, &entry(line)), combined);
    }

    // V16: whatever the bytes, wherever they stand.
    #[test]
    fn every_octet_is_written_in_printable_ones() {
        let all: Vec<u8> = (0..=255).collect();
        for format in FORMATS {
            let mut entry = entry(&all);
            entry.draft = PendingRecord { user: &all, referer: &all, user_agent: &all, ..entry.draft };
            let line = written(format, &entry);
            let (line, end) = line.split_at(line.len() - 1);
            assert!(end == "\n" && line.bytes().all(|c| matches!(c, b' '..=b'~')), "{line:?}");
            if format == LogFormat::Json {
                let value: Value = serde_json::from_str(line).unwrap();
                let latin: String = all.iter().map(|&c| char::from(c)).collect();
                for name in ["user", "request", "referer", "user_agent"] {
                    assert_eq!(value[name], latin, "{name}");
                }
            } else {
                let behind = line.split_once(" - ").unwrap().1;
                let user = behind.split(' ').next().unwrap();
                assert!(user.contains(r##"\x1f\x20!\"#"##) && user.ends_with(r"\xff"), "{user}");
            }
        }
    }

    // The Common Log Format of Apache, and what nginx and Apache call combined.
    #[test]
    fn users_referers_and_agents_have_their_places() {
        let mut entry = entry(b"GET / HTTP/1.0");
        entry.draft = PendingRecord { user: b"a b", referer: b"http://a/\"", user_agent: b"me \\ 1", ..entry.draft };
        let common = r#"127.0.0.1 - a\x20b [06/Nov/1994:08:49:37 +0000] "GET / HTTP/1.0" 200 12"#;
        assert_eq!(written(LogFormat::Common, &entry), format!("{common}\n"));
        let combined = format!("{common} {}\n", r#""http://a/\"" "me \\ 1""#);
        assert_eq!(written(LogFormat::Combined, &entry), combined);
    }

    #[test]
    fn an_object_has_all_that_is_known() {
        let mut entry = entry(b"GET / HTTP/1.0");
        let mut expected = json!({
            "time": "1994-11-06T08:49:37Z",
            "client": "127.0.0.1",
            "user": null,
            "request": "GET / HTTP/1.0",
            "status": 200,
            "sent": 12,
            "end": "complete",
            "referer": null,
            "user_agent": null,
        });
        let read = |entry: &Entry<'_>| {
            let mut value: Value = serde_json::from_str(&written(LogFormat::Json, entry)).unwrap();
            let advance = value.as_object_mut().unwrap().remove("duration_ms").unwrap();
            assert!((2000..10_000).contains(&advance.as_u64().unwrap()), "{advance}");
            value
        };
        assert_eq!(read(&entry), expected);
        entry.draft = PendingRecord { client: "2001:db8::1".parse().unwrap(), user: b"me", ..entry.draft };
        (expected["client"], expected["peer"], expected["user"]) =
            ("2001:db8::1".into(), "127.0.0.1".into(), "me".into());
        (entry.sent, entry.reason) = (u64::MAX, EndReason::FileChanged);
        (expected["sent"], expected["end"]) = (u64::MAX.into(), "file-changed".into());
        assert_eq!(read(&entry), expected);
    }

    // A stamp is used again for its own second alone.
    #[test]
    fn lines_of_all_peers_dates_and_numbers() {
        let (mut out, mut stamp) = (Vec::new(), TimestampCache::new(LogFormat::Common));
        let clients = ["0.10.255.1", "2001:db8::1", "::"];
        for (n, (client, seconds)) in clients.into_iter().zip([784_111_777, 784_111_777, 951_782_400]).enumerate() {
            let mut entry = entry(b"");
            entry.draft.client = client.parse().unwrap();
            (entry.date, entry.status) = (Date::from_unix(seconds).unwrap(), Status::NOT_FOUND);
            entry.sent = [0, 10, u64::MAX][n];
            write(&mut out, &entry, &mut stamp);
        }
        let expected = "0.10.255.1 - - [06/Nov/1994:08:49:37 +0000] \"\" 404 0\n\
                        2001:db8::1 - - [06/Nov/1994:08:49:37 +0000] \"\" 404 10\n\
                        :: - - [29/Feb/2000:00:00:00 +0000] \"\" 404 18446744073709551615\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn every_month_has_its_number() {
        let mut stamp = TimestampCache::new(LogFormat::Json);
        for month in 0..12 {
            let date = Date::from_unix(947_548_800 + month * 2_629_800).unwrap();
            let expected = format!("2000-{:02}-", month + 1);
            assert!(stamp.of(date).starts_with(expected.as_bytes()), "{:?}", stamp.of(date).escape_ascii());
        }
    }

    // A head of the bytes that take most.
    #[test]
    fn the_longest_line_is_bounded() {
        let head = vec![0xff; Limits::default().head as usize];
        for format in FORMATS {
            let length = written(format, &entry(&head)).len();
            assert!(length < longest_line(head.len()), "{format:?}: {length}");
        }
    }

    #[test]
    fn a_line_allocates_nothing() {
        for format in FORMATS {
            let (mut out, mut stamp) = (Vec::with_capacity(1000), TimestampCache::new(format));
            let measured = measure(|| write(&mut out, &entry(b"GET /\xff HTTP/1.0"), &mut stamp));
            assert_eq!(measured.count_total, 0);
        }
    }
}
