//! A file server without files, sockets or clocks, and the loop that drives a connection to its end for it: what every
//! law and every case of conformance runs against. It knows what stands in the directory; all protocol is the library's.

use http_core::conditional::{self, EntityTag, Outcome, Validators};
use http_core::range::{self, ContentRange, RangeOutcome};
use http_core::server::{Connection, Event, Expectation, RequestHead, Response, ResponseBody, SendBody};
use http_core::{
    CloseReason, Date, FieldBlock, FieldName, FieldValue, Framing, Limits, Method, RequestError, Status, header,
};

/// `Sun, 06 Nov 1994 08:49:37 GMT`
const MODIFIED: i64 = 784_111_777;
/// The time that never passes.
const NOW: i64 = 1_000_000_000;
const TAG: &str = "\"64-1\"";
const METHODS: &str = "GET, HEAD, OPTIONS";
/// The hidden ones hold what must never be seen.
const FILES: [(&str, &[u8]); 3] = [
    ("HelloWorld.html", b"<!DOCTYPE html>\n<title>Hello</title>\n<p>Hello, world!</p>\n"),
    (".htpasswd", b"root:secret\n"),
    (".git/config", b"root:secret\n"),
];

/// The lines of `cases.jsonl`.
pub(crate) fn cases() -> Vec<serde_json::Value> {
    let lines = include_str!("../conformance/cases.jsonl").lines();
    let cases: Vec<_> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(cases.len() > 150, "{} cases are not all of them", cases.len());
    cases
}

/// The bytes that a case sends.
pub(crate) fn bytes_of(case: &serde_json::Value) -> Vec<u8> {
    case["bytes"].as_str().unwrap().chars().map(|c| u8::try_from(c).unwrap()).collect() // latin-1
}

pub(crate) fn now() -> Date {
    Date::from_unix(NOW).unwrap()
}

/// How a connection is driven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) limits: Limits,
    /// Bodies are polled for before the reply, or left to the machine.
    pub(crate) reads_bodies: bool,
    /// What comes after the last byte: the deadline, or the end of the stream.
    pub(crate) ends_by_deadline: bool,
}

/// What a connection came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) seen: Vec<Seen>,
    pub(crate) out: Vec<u8>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Request {
        method: String,
        rest: String,
    },
    /// All bytes of a body: how many at a time is no law.
    Body(Vec<u8>),
    Refused {
        error: RequestError,
        /// The line that came began like that of a HEAD.
        of_head: bool,
    },
    Closed(Option<CloseReason>),
}

/// Gives the pieces, then the end, to a connection and answers what comes of it.
pub(crate) fn drive(plan: Plan, pieces: &[&[u8]]) -> Run {
    drive_from_hand_to_hand(plan, pieces, |connection| connection)
}

/// The same, and before each piece the connection passes through `hand_over`.
pub(crate) fn drive_from_hand_to_hand(
    plan: Plan,
    pieces: &[&[u8]],
    mut hand_over: impl FnMut(Connection) -> Connection,
) -> Run {
    let mut connection = Connection::new(plan.limits);
    let (mut seen, mut out) = (Vec::new(), Vec::new());
    let mut pieces = pieces.iter().copied().filter(|piece| !piece.is_empty());
    let (mut rest, mut ended) = (&b""[..], false);
    let mut due: Option<Answer> = None;
    loop {
        match connection.poll() {
            Ok(Event::NeedInput) => {
                connection = hand_over(connection);
                if rest.is_empty() {
                    rest = pieces.next().unwrap_or_default();
                }
                if rest.is_empty() {
                    assert!(!ended, "it waits for more after the end");
                    ended = true;
                    match plan.ends_by_deadline {
                        true => connection.handle_timeout(),
                        false => connection.received_eof(),
                    }
                    continue;
                }
                let room = connection.receive_buffer();
                assert!(!room.is_empty(), "it asks for bytes and has no room");
                let n = room.len().min(rest.len());
                room[..n].copy_from_slice(&rest[..n]);
                connection.received(n);
                rest = &rest[n..];
            }
            Ok(Event::Request(request)) => {
                let rest = format!("{:?} {} {:?}", request.target, request.version, request.fields);
                seen.push(Seen::Request { method: request.method.to_string(), rest });
                let answer = Answer::to(&request);
                match plan.reads_bodies && request.body != Framing::Empty {
                    true => due = Some(answer),
                    false => answer.send(&mut connection, &mut out),
                }
            }
            Ok(Event::Body(bytes)) => match seen.last_mut() {
                Some(Seen::Body(body)) => body.extend_from_slice(bytes),
                _ => seen.push(Seen::Body(bytes.to_vec())),
            },
            Ok(Event::NeedOutput) => due.take().expect("it was answered before").send(&mut connection, &mut out),
            Ok(Event::Closed) => {
                seen.push(Seen::Closed(connection.close_reason()));
                return Run { seen, out };
            }
            Ok(event) => panic!("a new event: {event:?}"),
            Err(error) => {
                let of_head =
                    connection.start_line().starts_with(b"HEAD ") || connection.start_line().starts_with(b"HEAD\t");
                seen.push(Seen::Refused { error, of_head });
                connection.respond_error(Some(now().text()), &mut out).unwrap();
            }
        }
    }
}

struct Answer {
    status: Status,
    fields: FieldBlock,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: Status, body: &[u8]) -> Answer {
        Answer { status, fields: FieldBlock::new(), body: body.to_vec() }
    }

    fn error(status: Status) -> Answer {
        Answer::new(status, status.to_string().as_bytes())
    }

    fn with(mut self, name: FieldName<'_>, value: &str) -> Answer {
        self.fields.push(name, FieldValue::new(value.as_bytes()).unwrap()).unwrap();
        self
    }

    /// From the method on, in the order of D16.
    fn to(request: &RequestHead<'_>) -> Answer {
        match request.method {
            Method::Get | Method::Head => {}
            Method::Options => return Answer::new(Status::OK, b"").with(header::ALLOW, METHODS),
            method if method.is_known() => {
                return Answer::error(Status::METHOD_NOT_ALLOWED).with(header::ALLOW, METHODS);
            }
            _ => return Answer::error(Status::NOT_IMPLEMENTED),
        }
        if request.expectation() == Expectation::Unknown {
            return Answer::error(Status::EXPECTATION_FAILED);
        }
        let mut path = Vec::new();
        request.path.decode_to(&mut path);
        if path.is_empty() {
            return Answer::new(Status::OK, b"HelloWorld.html\n");
        }
        let hidden = path.split(|&c| c == b'/').any(|segment| segment.starts_with(b"."));
        match FILES.iter().find(|(name, _)| name.as_bytes() == path) {
            Some((_, content)) if !hidden && !request.path.is_directory() => Answer::with_file(request, content),
            _ => Answer::error(Status::NOT_FOUND),
        }
    }
    /// What has the answer 200 but for its fields: preconditions, then Range (R9110-13.2.1, R9110-13.2.2).
    fn with_file(request: &RequestHead<'_>, content: &[u8]) -> Answer {
        let length = content.len() as u64;
        let modified = Date::from_unix(MODIFIED).unwrap();
        let validators = Validators { etag: EntityTag::parse(TAG.as_bytes()).ok(), last_modified: Some(modified) };
        let answer = match conditional::evaluate(request.method, &request.fields, &validators, now()) {
            Outcome::PreconditionFailed => return Answer::error(Status::PRECONDITION_FAILED),
            Outcome::NotModified => Answer::new(Status::NOT_MODIFIED, content),
            Outcome::Proceed => match range::evaluate(request.method, &request.fields, &validators, length, now()) {
                RangeOutcome::Full => Answer::new(Status::OK, content),
                RangeOutcome::Partial(range) => {
                    Answer::new(Status::PARTIAL_CONTENT, &content[range.start() as usize..range.end() as usize])
                        .with(header::CONTENT_RANGE, range.content_range().as_str())
                }
                RangeOutcome::NotSatisfiable => {
                    return Answer::error(Status::RANGE_NOT_SATISFIABLE)
                        .with(header::CONTENT_RANGE, ContentRange::unsatisfied(length).as_str());
                }
            },
        };
        answer.with(header::ETAG, TAG).with(header::LAST_MODIFIED, modified.text().as_str())
    }

    fn send(&self, connection: &mut Connection, out: &mut Vec<u8>) {
        let body = ResponseBody::Length(self.body.len() as u64);
        let reply = Response { body, date: Some(now().text()), ..Response::new(self.status, &self.fields) };
        match connection.respond(&reply, out).unwrap() {
            SendBody::None => {}
            SendBody::Exactly(n) => {
                assert_eq!(n, self.body.len() as u64);
                out.extend_from_slice(&self.body);
                connection.body_sent(n).unwrap();
            }
            SendBody::UntilClose => panic!("the length is known"),
        }
    }
}
