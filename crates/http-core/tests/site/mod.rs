//! A file server in memory, without sockets or clocks, and the loop that drives a connection to its end. The laws and
//! the conformance cases run against it. It knows only its files; the library handles the protocol.

use http_core::conditional::{self, EntityTag, Outcome, Validators};
use http_core::range::{self, ContentRange, RangeOutcome};
use http_core::server::{Connection, Event, Expectation, RequestHead, Response, ResponseBody, SendBody};
use http_core::{
    CloseReason, Date, FieldBlock, FieldName, FieldValue, Framing, Limits, Method, RequestError, Status, Workspace,
    header,
};

/// `Sun, 06 Nov 1994 08:49:37 GMT`
const MODIFIED: i64 = 784_111_777;
/// The present time, which never changes.
const NOW: i64 = 1_000_000_000;
const TAG: &str = "\"64-1\"";
const METHODS: &str = "GET, HEAD, OPTIONS";
/// The content of the hidden files must never be sent.
const FILES: [(&str, &[u8]); 4] = [
    ("HelloWorld.html", b"<!DOCTYPE html>\n<title>Hello</title>\n<p>Hello, world!</p>\n"),
    ("Empty.html", b""),
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
    /// Whether bodies are polled for before the response; otherwise the machine drops them.
    pub(crate) reads_bodies: bool,
    /// Whether a timeout follows the last byte; otherwise the stream ends.
    pub(crate) ends_by_timeout: bool,
    /// Whether each request is taken back once, and the connection detached, before it gets its response.
    pub(crate) postpones: bool,
}

/// The outcome of a connection.
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
    /// All bytes of a body: they may arrive in any pieces.
    Body(Vec<u8>),
    Error {
        error: RequestError,
        /// Whether the request line began like that of a HEAD.
        of_head: bool,
    },
    Closed(Option<CloseReason>),
}

/// Feeds the pieces and then the end to a connection, and responds to its requests.
pub(crate) fn drive(plan: Plan, pieces: &[&[u8]]) -> Run {
    drive_with_hand_over(plan, pieces, |connection| connection)
}

/// Like [`drive`], and passes the connection through `hand_over` before each piece.
pub(crate) fn drive_with_hand_over(
    plan: Plan,
    pieces: &[&[u8]],
    mut hand_over: impl FnMut(Connection) -> Connection,
) -> Run {
    let mut connection = Connection::new(plan.limits);
    let (mut seen, mut out) = (Vec::new(), Vec::new());
    let mut pieces = pieces.iter().copied().filter(|piece| !piece.is_empty());
    let (mut rest, mut ended) = (&b""[..], false);
    let mut due: Option<OwnedResponse> = None;
    let (mut workspace, mut was_postponed) = (Workspace::default(), false);
    loop {
        match connection.poll() {
            Ok(Event::NeedInput) => {
                connection = hand_over(connection);
                if rest.is_empty() {
                    rest = pieces.next().unwrap_or_default();
                }
                if rest.is_empty() {
                    assert!(!ended, "it needs input after the end of the stream");
                    ended = true;
                    match plan.ends_by_timeout {
                        true => connection.handle_timeout(),
                        false => connection.received_eof(),
                    }
                    continue;
                }
                let space = connection.receive_buffer();
                assert!(!space.is_empty(), "it needs input and has no space");
                let n = space.len().min(rest.len());
                space[..n].copy_from_slice(&rest[..n]);
                connection.received(n);
                rest = &rest[n..];
            }
            Ok(Event::Request(_)) if plan.postpones && !was_postponed => {
                was_postponed = true;
                connection.postpone();
                connection.detach(&mut workspace);
                connection.attach(&mut workspace);
            }
            Ok(Event::Request(request)) => {
                was_postponed = false;
                let rest = format!("{:?} {} {:?}", request.target, request.version, request.fields);
                seen.push(Seen::Request { method: request.method.to_string(), rest });
                let response = OwnedResponse::to(&request);
                match plan.reads_bodies && request.body != Framing::Empty {
                    true => due = Some(response),
                    false => response.send(&mut connection, &mut out),
                }
            }
            Ok(Event::Continue(_)) => {} // depends on how the bytes are split
            Ok(Event::Body(bytes)) => match seen.last_mut() {
                Some(Seen::Body(body)) => body.extend_from_slice(bytes),
                _ => seen.push(Seen::Body(bytes.to_vec())),
            },
            Ok(Event::NeedOutput) => due.take().expect("a response is due").send(&mut connection, &mut out),
            Ok(Event::Closed) => {
                seen.push(Seen::Closed(connection.close_reason()));
                return Run { seen, out };
            }
            Ok(event) => panic!("a new event: {event:?}"),
            Err(error) => {
                let of_head =
                    connection.start_line().starts_with(b"HEAD ") || connection.start_line().starts_with(b"HEAD\t");
                seen.push(Seen::Error { error, of_head });
                connection.respond_error(Some(now().text()), &mut out).unwrap();
            }
        }
    }
}

struct OwnedResponse {
    status: Status,
    fields: FieldBlock,
    body: Vec<u8>,
}

impl OwnedResponse {
    fn new(status: Status, body: &[u8]) -> OwnedResponse {
        OwnedResponse { status, fields: FieldBlock::new(), body: body.to_vec() }
    }

    fn error(status: Status) -> OwnedResponse {
        OwnedResponse::new(status, status.to_string().as_bytes())
    }

    fn with(mut self, name: FieldName<'_>, value: &str) -> OwnedResponse {
        self.fields.push(name, FieldValue::new(value.as_bytes()).unwrap()).unwrap();
        self
    }

    /// Checks the request from the method on, in the order of D16.
    fn to(request: &RequestHead<'_>) -> OwnedResponse {
        match request.method {
            Method::Get | Method::Head => {}
            Method::Options => return OwnedResponse::new(Status::OK, b"").with(header::ALLOW, METHODS),
            method if method.is_known() => {
                return OwnedResponse::error(Status::METHOD_NOT_ALLOWED).with(header::ALLOW, METHODS);
            }
            _ => return OwnedResponse::error(Status::NOT_IMPLEMENTED),
        }
        if request.expectation() == Expectation::Unknown {
            return OwnedResponse::error(Status::EXPECTATION_FAILED);
        }
        let mut path = Vec::new();
        request.path.decode_to(&mut path);
        if path.is_empty() {
            return OwnedResponse::new(Status::OK, b"HelloWorld.html\n");
        }
        let hidden = path.split(|&c| c == b'/').any(|segment| segment.starts_with(b"."));
        match FILES.iter().find(|(name, _)| name.as_bytes() == path) {
            Some((_, content)) if !hidden && !request.path.is_directory() => OwnedResponse::with_file(request, content),
            _ => OwnedResponse::error(Status::NOT_FOUND),
        }
    }

    /// Evaluates preconditions, then Range, for a file that exists (R9110-13.2.1, R9110-13.2.2).
    fn with_file(request: &RequestHead<'_>, content: &[u8]) -> OwnedResponse {
        let length = content.len() as u64;
        let modified = Date::from_unix(MODIFIED).unwrap();
        let validators = Validators { etag: EntityTag::parse(TAG.as_bytes()).ok(), last_modified: Some(modified) };
        let response = match conditional::evaluate(request.method, &request.fields, &validators, now()) {
            Outcome::PreconditionFailed => return OwnedResponse::error(Status::PRECONDITION_FAILED),
            Outcome::NotModified => OwnedResponse::new(Status::NOT_MODIFIED, content),
            Outcome::Proceed => match range::evaluate(request.method, &request.fields, &validators, length, now()) {
                RangeOutcome::Full => OwnedResponse::new(Status::OK, content),
                RangeOutcome::Partial(range) => {
                    OwnedResponse::new(Status::PARTIAL_CONTENT, &content[range.start() as usize..range.end() as usize])
                        .with(header::CONTENT_RANGE, range.content_range().as_str())
                }
                RangeOutcome::NotSatisfiable => {
                    return OwnedResponse::error(Status::RANGE_NOT_SATISFIABLE)
                        .with(header::CONTENT_RANGE, ContentRange::unsatisfied(length).as_str());
                }
            },
        };
        response.with(header::ETAG, TAG).with(header::LAST_MODIFIED, modified.text().as_str())
    }

    fn send(&self, connection: &mut Connection, out: &mut Vec<u8>) {
        let body = ResponseBody::Length(self.body.len() as u64);
        let response = Response { body, date: Some(now().text()), ..Response::new(self.status, &self.fields) };
        match connection.respond(&response, out).unwrap() {
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
