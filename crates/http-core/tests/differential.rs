//! Compares http-core with httparse and h11 on the same requests. Each difference has one cause, and
//! `docs/differential.md` lists the causes with the numbers counted here. `conformance.rs` decides what is correct.
//!
//! h11 is written in Python, so `differential/h11.tsv` records its result for each request. `scripts/differential-h11`
//! writes that file.
// Makes Clippy treat the helpers as test code, too.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, Write as _};

use http_core::server::{Connection, Event};
use http_core::{Limits, RequestError};

use RequestError as E;

#[test]
fn each_difference_has_one_cause_and_is_on_the_page() {
    let (requests, h11) = (requests(), of_h11());
    let recorded: BTreeSet<&str> = h11.keys().copied().collect();
    assert_eq!(
        recorded,
        requests.iter().map(|request| &*request.id).collect(),
        "record them: scripts/differential-h11"
    );
    let mut rows: Vec<Row<'_>> = CAUSES.iter().map(|cause| Row { cause, cases: 0, edits: 0, example: &[] }).collect();
    let mut faults = Vec::new();
    for request in &requests {
        let core = of_core(&request.bytes);
        for (peer, outcome) in [(HTTPARSE, of_httparse(&request.bytes)), (H11, h11[&*request.id].clone())] {
            let Some(difference) = Difference::between(request, &core, peer, &outcome) else { continue };
            let mut rows = rows.iter_mut().filter(|row| row.cause.peer == peer && (row.cause.explains)(&difference));
            match (rows.next(), rows.next()) {
                (Some(row), None) => row.count(request),
                (None, _) => faults.push(format!("{peer} differs without a known cause: {difference}")),
                (Some(_), Some(_)) => faults.push(format!("{peer} differs for two causes: {difference}")),
            }
        }
    }
    for row in rows.iter().filter(|row| row.cases + row.edits == 0) {
        faults.push(format!("{} no longer differs like this: {}", row.cause.peer, row.cause.what));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));

    let Some(page) = page() else { return };
    for peer in [HTTPARSE, H11] {
        let table: String = rows.iter().filter(|row| row.cause.peer == peer).map(Row::to_string).collect();
        assert!(page.contains(&table), "docs/differential.md should have these rows of {peer}:\n{table}");
    }
    let edits = requests.iter().filter(|request| is_edit(&request.id)).count();
    let counts = format!("{} conformance cases and {edits} edits", requests.len() - edits);
    assert!(page.contains(&counts), "docs/differential.md should say: {counts}");
}

/// The page of the workspace. `None`, with a message, if this package was taken out of the workspace.
fn page() -> Option<String> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/differential.md"));
    if page.is_err() {
        // Written directly, because the harness hides what a passing test prints.
        let _ = io::stderr().write_all(b"SKIPPED: docs/differential.md is not here, so it was not compared\n");
    }
    page.ok()
}

/// A row of the page: a cause and the differences found.
struct Row<'a> {
    cause: &'static Cause,
    cases: usize,
    edits: usize,
    /// The shortest request.
    example: &'a [u8],
}

impl<'a> Row<'a> {
    fn count(&mut self, request: &'a Request) {
        match is_edit(&request.id) {
            true => self.edits += 1,
            false => self.cases += 1,
        }
        if self.example.is_empty() || request.bytes.len() < self.example.len() {
            self.example = &request.bytes;
        }
    }
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { cause, cases, edits, example } = self;
        let beginning = if example.len() <= 80 { example } else { &example[..16] };
        let more = if example.len() <= 80 { "" } else { "..." };
        writeln!(f, "| {} | {} | {cases} | {edits} | `{}{more}` |", cause.what, cause.rules, beginning.escape_ascii())
    }
}

fn is_edit(id: &str) -> bool {
    id.starts_with("edit-")
}

/// A request that the two read differently.
struct Difference<'a> {
    request: &'a Request,
    verdicts: Verdicts<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Verdicts<'a> {
    /// http-core accepts this head, and the other rejects it with these words.
    AcceptedHere(&'a str, &'a str),
    /// http-core rejects it, and the other accepts it.
    RejectedHere(RequestError),
    /// Both accept it, with these different results.
    Unequal(&'a str, &'a str),
}

impl<'a> Difference<'a> {
    fn between(
        request: &'a Request,
        core: &'a Result<Outcome, RequestError>,
        peer: &str,
        outcome: &'a Outcome,
    ) -> Option<Difference<'a>> {
        use Outcome::{Accepted, Nothing, Rejected};
        let verdicts = match (core, outcome) {
            (Ok(Accepted { head, body }), Accepted { head: other_head, body: other_body }) => {
                if head != other_head {
                    Verdicts::Unequal(head, other_head)
                } else if body != other_body && peer != HTTPARSE {
                    Verdicts::Unequal(body, other_body)
                } else {
                    return None;
                }
            }
            (Ok(Accepted { head, .. }), Rejected(why)) => Verdicts::AcceptedHere(head, why),
            (Ok(Accepted { head, .. }), Nothing) => Verdicts::AcceptedHere(head, "nothing"),
            (Err(error), Accepted { .. }) => Verdicts::RejectedHere(*error),
            (Ok(other), Accepted { .. }) => panic!("{}: {other:?}", request.id),
            // Two rejections count as equal.
            (_, Rejected(_) | Nothing) => return None,
        };
        Some(Difference { request, verdicts })
    }

    /// Whether only http-core accepts it, as this version.
    fn accepted_as(&self, version: &str) -> bool {
        matches!(self.verdicts, Verdicts::AcceptedHere(head, _) if head.split(' ').nth(2) == Some(version))
    }

    fn rejected_there(&self, words: &str) -> bool {
        matches!(self.verdicts, Verdicts::AcceptedHere(_, why) if why == words)
    }

    /// Whether only http-core rejects it, with one of these errors.
    fn rejected_for(&self, errors: &[RequestError]) -> bool {
        matches!(self.verdicts, Verdicts::RejectedHere(error) if errors.contains(&error))
    }

    fn rejected_for_target(&self) -> bool {
        matches!(self.verdicts, Verdicts::RejectedHere(E::Target(_)))
    }

    /// Whether a line of the head begins with a space or tab.
    fn is_folded(&self) -> bool {
        let lines = self.request.bytes.split(|&c| c == b'\n').skip(1);
        let mut fields = lines.take_while(|line| !matches!(*line, b"" | b"\r"));
        fields.any(|line| matches!(line[0], b' ' | b'\t'))
    }
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.request.id, shown(&self.request.bytes), self.verdicts)
    }
}

/// Why another implementation reads a request differently.
struct Cause {
    peer: &'static str,
    /// The text on the page.
    what: &'static str,
    /// The rules and decisions that http-core follows.
    rules: &'static str,
    explains: fn(&Difference<'_>) -> bool,
}

const HTTPARSE: &str = "httparse";
const H11: &str = "h11";

/// In the order of the page.
const CAUSES: [Cause; 22] = [
    Cause {
        peer: HTTPARSE,
        what: "accepted here: HTTP/0.9, which httparse does not speak",
        rules: "R1945-3.1a, D10",
        explains: |difference| difference.accepted_as("HTTP/0.9"),
    },
    Cause {
        peer: HTTPARSE,
        what: "accepted here: several spaces, or a tab, between the words of an HTTP/1.0 request line",
        rules: "R1945-Ba, D2",
        explains: |difference| difference.accepted_as("HTTP/1.0") && !difference.is_folded(),
    },
    Cause {
        peer: HTTPARSE,
        what: "accepted here: a folded header in HTTP/1.0",
        rules: "R1945-2.2b, D3",
        explains: |difference| difference.accepted_as("HTTP/1.0") && difference.is_folded(),
    },
    Cause {
        peer: HTTPARSE,
        what: "rejected here: the framing, which httparse leaves to its caller",
        rules: "R9112-6.3a, R9112-6.1a, R9112-6.1c, R9112-6.1e, D8",
        explains: |difference| {
            difference.rejected_for(&[
                E::ContentLength,
                E::ContentLengthRepeated,
                E::ContentLengthMissing,
                E::TransferEncodingInHttp10,
                E::TransferEncodingAndLength,
                E::TransferEncoding,
                E::UnsupportedTransferCoding,
            ])
        },
    },
    Cause {
        peer: HTTPARSE,
        what: "rejected here: the stream ends within the body, which httparse does not read",
        rules: "R9112-6.3b, R9112-8",
        explains: |difference| difference.rejected_for(&[E::Incomplete]),
    },
    Cause {
        peer: HTTPARSE,
        what: "rejected here: Host is missing, repeated or not a valid host; to httparse it is a header like any other",
        rules: "R9112-3.2a, R9112-3.2b",
        explains: |difference| difference.rejected_for(&[E::HostMissing, E::HostRepeated, E::HostInvalid]),
    },
    Cause {
        peer: HTTPARSE,
        what: "rejected here: the target names nothing below the root; to httparse it is bytes",
        rules: "R9112-3.2.1, R9112-3.2.4, R3986-2.1, R3986-5.2.4, D12 to D14",
        explains: |difference| difference.rejected_for_target(),
    },
    Cause {
        peer: HTTPARSE,
        what: "rejected here: CONNECT; to httparse any token is a method",
        rules: "R9110-9.3.6",
        explains: |difference| difference.rejected_for(&[E::ConnectMethod]),
    },
    Cause {
        peer: HTTPARSE,
        what: "rejected here: a line of an HTTP/1.1 head ends with a bare LF",
        rules: "R9112-2.2b, D1",
        explains: |difference| difference.rejected_for(&[E::BareLf]),
    },
    Cause {
        peer: HTTPARSE,
        what: "rejected here: a line is too long; httparse limits only the number of headers",
        rules: "R9112-3a, R6585-5",
        explains: |difference| difference.rejected_for(&[E::MethodTooLong, E::FieldLineTooLong]),
    },
    Cause {
        peer: H11,
        what: "accepted here: HTTP/0.9, which h11 does not speak",
        rules: "R1945-3.1a, D10",
        explains: |difference| {
            difference.accepted_as("HTTP/0.9") && !difference.rejected_there("no request line received")
        },
    },
    Cause {
        peer: H11,
        what: "accepted here: an empty line before the request",
        rules: "R9112-2.2d",
        explains: |difference| difference.rejected_there("no request line received"),
    },
    Cause {
        peer: H11,
        what: "accepted here: several spaces, or a tab, between the words of an HTTP/1.0 request line",
        rules: "R1945-Ba, D2",
        explains: |difference| difference.accepted_as("HTTP/1.0") && difference.rejected_there("illegal request line"),
    },
    Cause {
        peer: H11,
        what: "accepted by both: h11 joins the lines of a folded value by one space, we by one for each byte that separated them",
        rules: "R1945-2.2b, D3",
        explains: |difference| {
            let joined =
                |head: &str| head.replace("\\x09", " ").split(' ').filter(|word| !word.is_empty()).collect::<String>();
            matches!(difference.verdicts, Verdicts::Unequal(here, there) if difference.is_folded() && joined(here) == joined(there))
        },
    },
    Cause {
        peer: H11,
        what: "rejected here: HTTP/2.0 and other versions that are not 1.x; h11 passes on any `HTTP/` digit `.` digit",
        rules: "R9110-6.2",
        explains: |difference| difference.rejected_for(&[E::Version, E::VersionNotSupported]),
    },
    Cause {
        peer: H11,
        what: "rejected here: Host is not a valid host, or is missing in HTTP/1.2 to 1.9; h11 requires it once in 1.1 and does not check its value",
        rules: "R9112-3.2a, R9112-3.2b, R9110-2.5",
        explains: |difference| difference.rejected_for(&[E::HostMissing, E::HostInvalid]),
    },
    Cause {
        peer: H11,
        what: "rejected here: a POST in HTTP/1.0 without Content-Length; to h11 it has no body",
        rules: "R1945-8.3, D8",
        explains: |difference| difference.rejected_for(&[E::ContentLengthMissing]),
    },
    Cause {
        peer: H11,
        what: "rejected here: two equal Content-Lengths, and `chunked`, which h11 decodes",
        rules: "R9112-6.3a, R9112-6.1a",
        explains: |difference| difference.rejected_for(&[E::ContentLengthRepeated, E::UnsupportedTransferCoding]),
    },
    Cause {
        peer: H11,
        what: "rejected here: the target names nothing below the root, or the method is CONNECT; h11 leaves both to its caller",
        rules: "R9112-3.2.1, R9112-3.2.4, R3986-2.1, R3986-5.2.4, R9110-9.3.6, D12 to D14",
        explains: |difference| difference.rejected_for_target() || difference.rejected_for(&[E::ConnectMethod]),
    },
    Cause {
        peer: H11,
        what: "rejected here: a bare LF or a folded header in HTTP/1.1, and one of the four critical headers folded in any version; h11 accepts both everywhere",
        rules: "D1, D3",
        explains: |difference| difference.rejected_for(&[E::BareLf, E::ObsFold]),
    },
    Cause {
        peer: H11,
        what: "rejected here: a control byte in a value; h11 rejects only NUL, CR and LF",
        rules: "R9110-5.5",
        explains: |difference| difference.rejected_for(&[E::FieldSyntax]),
    },
    Cause {
        peer: H11,
        what: "rejected here: a line is too long or there are too many headers; h11 limits only the whole head, and only while it is incomplete",
        rules: "R9112-3a, R6585-5",
        explains: |difference| difference.rejected_for(&[E::MethodTooLong, E::FieldLineTooLong, E::TooManyFields]),
    },
];

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Accepted {
        head: String,
        body: String,
    },
    /// Why, in the words of the implementation that rejected it.
    Rejected(String),
    /// The stream ended without a request.
    Nothing,
}

struct Request {
    id: String,
    bytes: Vec<u8>,
}

fn requests() -> Vec<Request> {
    let cases = include_str!("conformance/cases.jsonl").lines().map(|line| {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let bytes = case["bytes"].as_str().unwrap().chars().map(|c| u8::try_from(c).unwrap()).collect(); // latin-1
        Request { id: case["id"].as_str().unwrap().into(), bytes }
    });
    cases.chain(edits()).collect()
}

/// Each byte of a common request removed, replaced, and preceded by another, as in `scripts/differential-h11`.
fn edits() -> Vec<Request> {
    let mut edits = Vec::new();
    for (name, base) in [
        ("edit-0.9", "GET /a\r\n"),
        ("edit-1.0", "POST /a?b HTTP/1.0\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"),
        ("edit-1.1", "POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"),
        ("edit-folded", "GET /a HTTP/1.0\r\nX: b\r\n c\r\n\r\n"),
    ] {
        for (at, &byte) in base.as_bytes().iter().enumerate() {
            let mut edit = |how: String, middle: &[u8]| {
                let bytes = [&base.as_bytes()[..at], middle, &base.as_bytes()[at + 1..]].concat();
                edits.push(Request { id: format!("{name}-{at}-{how}"), bytes });
            };
            edit("removed".into(), &[]);
            for other in *b"\0\t\n\r ,:\x80" {
                if other != byte {
                    edit(format!("is-{other:02x}"), &[other]);
                }
                edit(format!("after-{other:02x}"), &[other, byte]);
            }
        }
    }
    edits
}

/// How http-core reads these bytes, followed by the end of the stream.
fn of_core(bytes: &[u8]) -> Result<Outcome, RequestError> {
    let mut connection = Connection::new(Limits::default());
    let (mut rest, mut ended, mut head, mut body) = (bytes, false, None, Vec::new());
    loop {
        match connection.poll()? {
            Event::NeedInput if rest.is_empty() => {
                assert!(!ended, "it waits for more after the end");
                ended = true;
                connection.received_eof();
            }
            Event::NeedInput => {
                let space = connection.receive_buffer();
                let n = space.len().min(rest.len());
                space[..n].copy_from_slice(&rest[..n]);
                connection.received(n);
                rest = &rest[n..];
            }
            Event::Request(request) => {
                let fields = request.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
                let (method, version) = (request.method.as_str(), request.version.to_string());
                head = Some(head_of(method, request.target.as_str(), &version, fields));
            }
            Event::Continue(_) => {} // it comes before a body, not in place of one
            Event::Body(bytes) => body.extend_from_slice(bytes),
            Event::NeedOutput => return Ok(Outcome::Accepted { head: head.unwrap(), body: shown(&body) }),
            Event::Closed => return Ok(Outcome::Nothing),
            event => panic!("a new event: {event:?}"),
        }
    }
}

/// How httparse reads the head. It does not read bodies.
fn of_httparse(bytes: &[u8]) -> Outcome {
    let mut space = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut space);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {
            let fields = request.headers.iter().map(|field| (field.name, field.value));
            let version = format!("HTTP/1.{}", request.version.unwrap());
            let head = head_of(request.method.unwrap(), request.path.unwrap(), &version, fields);
            Outcome::Accepted { head, body: String::new() }
        }
        Ok(httparse::Status::Partial) => Outcome::Rejected("incomplete".into()),
        Err(error) => Outcome::Rejected(error.to_string()),
    }
}

/// How h11 read each request, by id.
fn of_h11() -> BTreeMap<&'static str, Outcome> {
    let lines = include_str!("differential/h11.tsv").lines().filter(|line| !line.starts_with("h11\t"));
    lines
        .map(|line| {
            let (id, outcome) = line.split_once('\t').unwrap();
            let outcome = match (outcome.strip_prefix("refused: "), outcome.split_once(" || ")) {
                (Some(why), _) => Outcome::Rejected(why.into()),
                (None, Some((head, body))) => Outcome::Accepted { head: head.into(), body: body.into() },
                (None, None) => {
                    assert_eq!(outcome, "nothing");
                    Outcome::Nothing
                }
            };
            (id, outcome)
        })
        .collect()
}

fn head_of<'a>(method: &str, target: &str, version: &str, fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut head = format!("{} {} {version}", shown(method.as_bytes()), shown(target.as_bytes()));
    for (name, value) in fields {
        head += &format!(" | {}: {}", shown(name.to_ascii_lowercase().as_bytes()), shown(value));
    }
    head
}

/// The text, or the beginning and length of a long one.
fn shown(bytes: &[u8]) -> String {
    let escaped = |bytes: &[u8]| {
        let mut text = String::new();
        for &byte in bytes {
            match byte {
                b'\\' => text.push_str("\\\\"),
                b' '..=b'~' => text.push(char::from(byte)),
                _ => text += &format!("\\x{byte:02x}"),
            }
        }
        text
    };
    if bytes.len() <= 64 { escaped(bytes) } else { format!("{}... of {}", escaped(&bytes[..16]), bytes.len()) }
}
