//! Code that the targets share: it feeds any bytes to one of the machines and records what it reports.

use std::time::Duration;

use http_core::server::{Event, Response, ResponseBody, SendBody};
use http_core::{Authority, CloseReason, Date, FieldBlock, FieldName, FieldValue, Framing, Limits, Method};
use http_core::{RequestError, ResponseError, Status, Target, Workspace, client, server};

/// How a connection is driven, as the first bytes of an input choose.
///
/// One byte chooses what is done, one how the input is split. If a bit of that one is set, four more choose the limits.
#[derive(Clone, Copy, Debug)]
pub struct Choices {
    bits: u8,
    /// How the bytes are split: 0 not at all, 1 one by one, other values in pieces of any length.
    cut: u8,
    /// The server is overloaded, or the client lenient.
    overloaded: bool,
    pub limits: Limits,
}

/// Bytes of the workspace: more than the limits of a small head, beyond which only a client receives, and only a body.
const WORKSPACE: usize = 128;

const SMALL: Limits =
    Limits { start_line: 40, field_line: 32, head: 96, fields: 3, blank_lines: 1, body: 40, drain: 20, interim: 1 };

impl Choices {
    pub fn split(input: &[u8]) -> Option<(Choices, &[u8])> {
        let (&[bits, cut], bytes) = input.split_first_chunk()?;
        let (limits, bytes) = match cut & 0x80 {
            0 => (one_of_four(bits), bytes),
            _ => bytes.split_first_chunk().map(|(digits, bytes)| (extreme(*digits), bytes))?,
        };
        Some((Choices { bits, cut: cut & 0x3f, overloaded: cut & 0x40 != 0, limits }, bytes))
    }

    pub fn with_cut(self, cut: u8) -> Choices {
        Choices { cut, ..self }
    }

    /// Whether the client machine is driven.
    pub fn of_client(self) -> bool {
        self.bits & 0x80 != 0
    }

    /// The server responds after the body; the client sends HEAD.
    fn variant(self) -> bool {
        self.bits & 4 != 0
    }

    fn ends_by_timeout(self) -> bool {
        self.bits & 8 != 0
    }

    /// The server rejects HTTP/0.9, or the client accepts it.
    fn changes_http09(self) -> bool {
        self.bits & 16 != 0
    }

    fn detaches(self) -> bool {
        self.bits & 32 != 0
    }

    /// The client keeps the connection.
    fn keep_alive(self) -> bool {
        self.bits & 64 == 0
    }

    /// The server postpones each request once.
    fn postpones(self) -> bool {
        self.bits & 64 != 0
    }

    /// The same, except that a server postpones no request.
    pub fn at_once(self) -> Choices {
        if self.of_client() { self } else { Choices { bits: self.bits & !64, ..self } }
    }
}

fn one_of_four(bits: u8) -> Limits {
    match bits & 3 {
        0 => Limits::default(),
        1 => Limits { body: 4, drain: 0, interim: 2, ..Limits::default() },
        2 => SMALL,
        _ => Limits { start_line: 200, field_line: 100, head: 300, ..Limits::default() },
    }
}

/// Each limit separately, from half a byte: 0, 1, 2, a small one, the default or the maximum.
fn extreme(digits: [u8; 4]) -> Limits {
    macro_rules! limit {
        ($name:ident, $byte:literal >> $half:literal) => {
            [0, 1, 2, SMALL.$name, Limits::default().$name, !0][usize::from(digits[$byte] >> $half) % 16 % 6]
        };
    }
    Limits {
        start_line: limit!(start_line, 0 >> 4),
        field_line: limit!(field_line, 0 >> 0),
        head: limit!(head, 1 >> 4),
        fields: limit!(fields, 1 >> 0),
        blank_lines: limit!(blank_lines, 2 >> 4),
        body: limit!(body, 2 >> 0),
        drain: limit!(drain, 3 >> 4),
        interim: limit!(interim, 3 >> 0),
    }
}

/// The pieces of an input. One byte determines where it is split.
fn pieces(mut bytes: &[u8], cut: u8) -> impl Iterator<Item = &[u8]> {
    let mut state = u32::from(cut);
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = match cut {
            0 => bytes.len(),
            1 => 1,
            _ => 1 + (state >> 16) as usize % (usize::from(cut) + 1),
        };
        let (piece, rest) = bytes.split_at(length.min(bytes.len()));
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What a server connection reports.
#[derive(Debug, PartialEq)]
pub enum Served {
    Request(String),
    Body(Vec<u8>),
    Rejected(RequestError),
    Closed(Option<CloseReason>),
}

/// Feeds all bytes and then the end to a server connection, responds to everything, and checks the output.
///
/// With `early_overload`, the server may become overloaded before the last piece is read. What it serves then depends
/// on how the bytes are split.
pub fn serve(choices: Choices, bytes: &[u8], early_overload: bool) -> (Vec<Served>, Vec<u8>) {
    let limits = choices.limits;
    let mut connection = server::Connection::new(limits);
    if choices.changes_http09() {
        connection = connection.allow_http09(false);
    }
    let mut workspace = Workspace::with_capacity(WORKSPACE);
    let (mut seen, mut out) = (Vec::new(), Vec::new());
    let mut pieces = pieces(bytes, choices.cut);
    let (mut rest, mut ended, mut overloaded) = (&b""[..], false, false);
    let (mut due, mut postponed): (Option<OwnedResponse>, _) = (None, false);
    loop {
        match connection.poll() {
            Ok(Event::Request(_)) if choices.postpones() && !postponed => {
                postponed = true;
                connection.postpone();
                if choices.detaches() {
                    connection.detach(&mut workspace);
                    connection.attach(&mut workspace);
                }
            }
            Ok(Event::NeedInput) => {
                if choices.detaches() {
                    connection.detach(&mut workspace);
                    connection.attach(&mut workspace);
                }
                if rest.is_empty() {
                    rest = pieces.next().unwrap_or_default();
                }
                // The index has at most 16 bytes per field, and a field has at least 3. Both buffers grow by doubling.
                assert!(connection.heap_size() <= 256 + 16 * bytes.len(), "{} bytes are owned", connection.heap_size());
                if rest.is_empty() {
                    assert!(!ended, "it needs input after the end of the stream");
                    if choices.overloaded && !overloaded {
                        overloaded = true;
                        connection.reject_overloaded();
                        continue; // the body to drop after a response is still outstanding
                    }
                    ended = true;
                    match choices.ends_by_timeout() {
                        true => connection.handle_timeout(),
                        false => connection.received_eof(),
                    }
                    continue;
                }
                let n = fill(connection.receive_buffer(), rest, bytes, limits.head as usize);
                connection.received(n);
                rest = &rest[n..];
                if early_overload && choices.overloaded && rest.is_empty() {
                    overloaded = true;
                    connection.reject_overloaded();
                }
            }
            Ok(Event::Request(request)) => {
                postponed = false;
                assert!(!overloaded);
                assert!(matches!(request.body, Framing::Empty | Framing::Length(1..)));
                assert!(request.target.form() != http_core::TargetForm::Asterisk || request.method == Method::Options);
                seen.push(Served::Request(format!("{request:?} {:?}", request.expectation())));
                let response = OwnedResponse::to(&request);
                match choices.variant() {
                    true => due = Some(response),
                    false => response.send(&mut connection, &mut out),
                }
            }
            Ok(Event::Body(bytes)) => {
                assert!(!overloaded && !bytes.is_empty() && bytes.len() <= limits.head as usize);
                match seen.last_mut() {
                    Some(Served::Body(body)) => body.extend_from_slice(bytes),
                    _ => seen.push(Served::Body(bytes.to_vec())),
                }
            }
            Ok(Event::Continue(_)) => {} // depends on how the bytes are split
            Ok(Event::NeedOutput) => due.take().expect("a response is due").send(&mut connection, &mut out),
            Ok(Event::Closed) => {
                seen.push(Served::Closed(connection.close_reason()));
                assert!(matches!(connection.poll(), Ok(Event::Closed)));
                return (seen, out);
            }
            Ok(event) => panic!("a new event: {event:?}"),
            Err(error) => {
                assert!(matches!(connection.poll(), Err(again) if again == error));
                assert!(!connection.start_line().contains(&b'\n'));
                seen.push(Served::Rejected(error));
                let from = out.len();
                connection.respond_error(Some(now().text()), &mut out).unwrap();
                check_error_response(&out[from..], error);
            }
        }
    }
}

/// An error response holds only the library's own headers and one line of text.
fn check_error_response(bytes: &[u8], error: RequestError) {
    let text = str::from_utf8(bytes).expect("an error response is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an error response has a head");
    assert_eq!(text.contains("\r\nAllow: \r\n"), error == RequestError::ConnectMethod);
    assert_eq!(text.contains("\r\nRetry-After: 1\r\n"), error == RequestError::Overloaded);
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some(format!("HTTP/1.0 {} {}", error.status().code(), error.status().reason()).as_str()));
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a field line");
        let own = ["Date", "Connection", "Content-Length", "Content-Type", "Allow", "Retry-After"];
        assert!(own.contains(&name), "{line}");
        assert!(name != "Connection" || value == "close");
        assert!(name != "Content-Length" || body.is_empty() || value == body.len().to_string());
    }
    assert!(text.replace("\r\n", "").trim_end_matches('\n').chars().all(|c| !c.is_control()), "{text:?}");
}

/// A response that repeats as much of its request as it can.
struct OwnedResponse {
    status: Status,
    fields: FieldBlock,
    lines: Vec<u8>,
    body: ResponseBody<'static>,
    close: bool,
    simple: bool,
    of_head: bool,
}

impl OwnedResponse {
    fn to(request: &server::RequestHead<'_>) -> OwnedResponse {
        let (mut fields, mut lines) = (FieldBlock::new(), Vec::new());
        let mut path = Vec::new();
        request.path.decode_to(&mut path);
        let texts = [&path[..], request.target.as_str().as_bytes(), request.target.raw_path().as_bytes()];
        let echoed = request.fields.iter().map(|(name, value)| (name, value.as_bytes()));
        let own = texts.into_iter().map(|text| (http_core::header::LOCATION, text));
        for (name, value) in own.chain(echoed) {
            let Ok(value) = FieldValue::new(value) else { continue };
            assert_eq!(FieldName::new(name.as_str().as_bytes()), Ok(name));
            if fields.push(name, value).is_ok() {
                lines.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
            }
        }
        let choice = path.last().copied().unwrap_or(0);
        let status = [200, 404, 204, 304, 299, 500, 206, 205][usize::from(choice & 7)];
        OwnedResponse {
            status: Status::new(status).unwrap(),
            fields,
            lines,
            body: if choice & 24 == 24 {
                ResponseBody::UntilClose
            } else {
                ResponseBody::Length(u64::from(choice & 24))
            },
            close: choice & 0x60 == 0x60,
            simple: request.version == http_core::Version::HTTP_09,
            of_head: request.method == Method::Head,
        }
    }

    fn send(&self, connection: &mut server::Connection, out: &mut Vec<u8>) {
        let OwnedResponse { status, body, close, .. } = *self;
        let (date, idle_timeout) = (Some(now().text()), Some(Duration::from_secs(75)));
        let from = out.len();
        let response = Response { status, fields: &self.fields, body, date, close, idle_timeout };
        let send = connection.respond(&response, out).unwrap();
        let mut expected = Vec::new();
        if !self.simple {
            let is_closing = connection.close_reason().is_some();
            let word = if is_closing { "close" } else { "keep-alive\r\nKeep-Alive: timeout=75" };
            let (code, reason) = (status.code(), status.reason());
            let date = now().text();
            expected = format!("HTTP/1.0 {code} {reason}\r\nDate: {date}\r\nConnection: {word}\r\n").into_bytes();
            match body {
                _ if status == Status::RESET_CONTENT => expected.extend_from_slice(b"Content-Length: 0\r\n"),
                ResponseBody::Length(n) if !status.is_bodiless() => {
                    expected.extend(format!("Content-Length: {n}\r\n").into_bytes());
                }
                _ => {}
            }
            expected.extend_from_slice(&self.lines);
            expected.extend_from_slice(b"\r\n");
        }
        assert_eq!(out[from..].escape_ascii().to_string(), expected.escape_ascii().to_string());
        let bodiless = self.of_head || status.is_bodiless() || body == ResponseBody::Length(0);
        match send {
            SendBody::None => assert!(bodiless),
            SendBody::Exactly(n) => {
                assert!(!bodiless && body == ResponseBody::Length(n));
                out.resize(out.len() + n as usize, b'.');
                connection.body_sent(n).unwrap();
            }
            SendBody::UntilClose => {
                assert!(!bodiless && body == ResponseBody::UntilClose && connection.close_reason().is_some());
                out.extend_from_slice(b"...");
                connection.body_sent(3).unwrap();
                connection.finish_body().unwrap();
            }
        }
    }
}

/// What a client connection reports.
#[derive(Debug, PartialEq)]
pub enum Received {
    Response { head: String, bytes: Vec<u8>, body: Framing },
    Body(Vec<u8>),
    End,
    Closed,
    Failed(ResponseError),
}

/// Feeds all bytes and then the end to a client connection that has sent a request.
///
/// With `reuses`, it sends another request whenever it may, which depends on how the bytes are split.
pub fn ask(choices: Choices, bytes: &[u8], reuses: bool) -> Vec<Received> {
    let limits = choices.limits;
    let mut connection = client::Connection::new(limits);
    if choices.changes_http09() {
        connection = connection.allow_http09(true);
    }
    if choices.overloaded {
        connection = connection.with_leniency(client::Leniency::ALL);
    }
    let mut workspace = Workspace::with_capacity(WORKSPACE);
    // A body is received into all that fits into the workspace.
    let body_limit = WORKSPACE.max(limits.head as usize);
    let mut seen = Vec::new();
    let mut pieces = pieces(bytes, choices.cut);
    let (mut rest, mut ended) = (&b""[..], false);
    request(&mut connection, choices);
    loop {
        match connection.poll() {
            Ok(client::Event::NeedInput) => {
                if choices.detaches() {
                    connection.detach(&mut workspace);
                    connection.attach(&mut workspace);
                }
                if rest.is_empty() {
                    rest = pieces.next().unwrap_or_default();
                }
                if rest.is_empty() {
                    assert!(!ended, "it needs input after the end of the stream");
                    ended = true;
                    connection.received_eof();
                    continue;
                }
                let is_body = connection.phase() == client::Phase::Body;
                let limit = if is_body { body_limit } else { limits.head as usize };
                let n = fill(connection.receive_buffer(), rest, bytes, limit);
                connection.received(n);
                rest = &rest[n..];
            }
            Ok(client::Event::Response(head)) => {
                assert!(!head.status.is_informational() && head.bytes.len() <= limits.head as usize);
                assert!(head.bytes.ends_with(b"\n") || (head.bytes.is_empty() && choices.changes_http09()));
                for (name, value) in head.fields.iter() {
                    assert_eq!(FieldName::new(name.as_str().as_bytes()), Ok(name));
                    assert_eq!(FieldValue::new(value.as_bytes()), Ok(value));
                }
                let (bytes, body) = (head.bytes.to_vec(), head.body);
                seen.push(Received::Response { head: format!("{head:?}"), bytes, body });
            }
            Ok(client::Event::Body(bytes)) => {
                assert!(!bytes.is_empty() && bytes.len() <= body_limit);
                match seen.last_mut() {
                    Some(Received::Body(body)) => body.extend_from_slice(bytes),
                    _ => seen.push(Received::Body(bytes.to_vec())),
                }
            }
            Ok(client::Event::ResponseEnd) => {
                seen.push(Received::End);
                if reuses && connection.can_reuse() {
                    request(&mut connection, choices);
                }
            }
            Ok(client::Event::Closed) => {
                seen.push(Received::Closed);
                assert!(!connection.can_reuse());
                return seen;
            }
            Ok(event) => panic!("a new event: {event:?}"),
            Err(error) => {
                assert!(matches!(connection.poll(), Err(again) if again == error));
                assert!(!connection.can_reuse());
                let of_408 =
                    |seen: &Received| matches!(seen, Received::Response { head, .. } if head.contains("Status(408)"));
                assert!(!connection.can_retry() || error == ResponseError::NoResponse || seen.iter().any(of_408));
                seen.push(Received::Failed(error));
                return seen;
            }
        }
    }
}

fn request(connection: &mut client::Connection, choices: Choices) {
    let method = if choices.variant() { Method::Head } else { Method::Get };
    let (target, host) = (Target::new(b"/").unwrap(), Authority::new(b"a").unwrap());
    let fields = FieldBlock::new();
    let request =
        client::Request { keep_alive: choices.keep_alive(), ..client::Request::new(method, target, host, &fields) };
    assert_eq!(connection.request(&request, &mut Vec::new()), Ok(SendBody::None));
}

/// Fills the free space. It is never empty, and bounded by the input as well: a high limit alone costs no memory.
fn fill(space: &mut [u8], rest: &[u8], bytes: &[u8], limit: usize) -> usize {
    let max = limit.min(256.max(2 * bytes.len()));
    assert!((1..=max).contains(&space.len()), "space for {}", space.len());
    let n = space.len().min(rest.len());
    space[..n].copy_from_slice(&rest[..n]);
    n
}

fn now() -> Date {
    Date::from_unix(1_000_000_000).unwrap()
}
