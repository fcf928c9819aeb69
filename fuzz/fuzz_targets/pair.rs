//! Joins a client and a server: they agree on every message or both close, and no truncated body counts as complete.
#![no_main]

use std::collections::VecDeque;
use std::io::Read as _;

use arbitrary::Arbitrary;
use http_core::server::{Response, ResponseBody};
use http_core::{
    Authority, FieldBlock, FieldName, FieldValue, Fields, Framing, Limits, Method, ResponseError, Status, Target,
    TargetForm, UsageError, Workspace, client, header, server,
};
use libfuzzer_sys::fuzz_target;

/// A request, and how the server responds to it.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Exchange {
    method: u8,
    target: u8,
    to_proxy: bool,
    keep_alive: bool,
    body: Option<u16>,
    fields: u8,
    status: u16,
    response_body: Option<u16>,
    response_fields: u8,
    close: bool,
    /// The server responds before it has read the body.
    early: bool,
}

#[derive(Arbitrary, Debug)]
struct Plan<'a> {
    small: bool,
    /// One after the other; the first follows the last.
    exchanges: [Exchange; 3],
    fields: [(&'a [u8], &'a [u8]); 3],
    /// The next steps: three bits select the step, five say how far it goes.
    steps: &'a [u8],
}

fuzz_target!(|plan: Plan<'_>| {
    let mut pair = Pair::new(&plan);
    for step in plan.steps {
        let n = step >> 3;
        let far = if n < 24 { usize::from(n) + 1 } else { 1 << (n - 16) };
        match step & 7 {
            0 => drop(pair.client_turn()),
            1 => drop(pair.server_turn()),
            2 => drop(pair.client_sends(far as u64)),
            3 => drop(pair.server_sends(far as u64)),
            4 => drop(pair.reach_server(far)),
            5 => drop(pair.reach_client(far)),
            6 => pair.run(1 + n),
            _ if n == 0 => pair.client_ended = true,
            _ if n == 1 => pair.server_broke = !pair.server_closed,
            _ => pair.detach_and_attach(),
        }
    }
    pair.run(u8::MAX);
    // Nothing moves any more. The client closes, and the server must notice.
    pair.client_ended = true;
    pair.run(u8::MAX);
    assert!(pair.server_closed || pair.server_broke, "the server waits for a client that has closed");
    assert!(!pair.in_response || pair.server_broke, "the client waits for a server that has closed");
});

/// A message that one side sent, to be compared with what the other received.
struct Sent {
    head: String,
    fields: Vec<u8>,
    body: u64,
    until_close: bool,
    keeps: bool,
}

struct Pair<'p, 'a> {
    plan: &'p Plan<'a>,
    client: client::Connection,
    server: server::Connection,
    workspaces: [Workspace; 2],
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    /// The client sends no more; the server has closed in order; the server's connection broke.
    client_ended: bool,
    server_closed: bool,
    server_broke: bool,
    client_done: bool,
    asked: usize,
    served: usize,
    requests: VecDeque<Sent>,
    responses: VecDeque<Sent>,
    /// Body bytes of the current messages: still to be sent, sent (the offset of the next byte) and received.
    request_left: u64,
    request_sent: u64,
    request_received: u64,
    response_left: Option<u64>,
    response_sent: u64,
    response_received: u64,
    response_whole: bool,
    in_response: bool,
}

const LIMITS: Limits =
    Limits { start_line: 64, field_line: 64, head: 200, fields: 6, blank_lines: 1, body: 300, drain: 100, interim: 1 };

impl<'p, 'a> Pair<'p, 'a> {
    fn new(plan: &'p Plan<'a>) -> Self {
        Pair {
            plan,
            client: client::Connection::new(Limits::default()),
            server: server::Connection::new(if plan.small { LIMITS } else { Limits::default() }),
            workspaces: [Workspace::with_capacity(64), Workspace::default()],
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            client_ended: false,
            server_closed: false,
            server_broke: false,
            client_done: false,
            asked: 0,
            served: 0,
            requests: VecDeque::new(),
            responses: VecDeque::new(),
            request_left: 0,
            request_sent: 0,
            request_received: 0,
            response_left: None,
            response_sent: 0,
            response_received: 0,
            response_whole: true,
            in_response: false,
        }
    }

    /// Runs both sides until nothing moves, or for this many rounds.
    fn run(&mut self, rounds: u8) {
        let max = if rounds == u8::MAX { 100_000 } else { rounds.into() };
        for _ in 0..max {
            let moved = [
                self.client_turn(),
                self.client_sends(u64::MAX),
                self.reach_server(usize::MAX),
                self.server_turn(),
                self.server_sends(u64::MAX),
                self.reach_client(usize::MAX),
            ];
            if !moved.contains(&true) {
                return;
            }
        }
        assert!(rounds < u8::MAX, "they never stop");
    }

    fn detach_and_attach(&mut self) {
        self.client.detach(&mut self.workspaces[0]);
        self.server.detach(&mut self.workspaces[1]);
        self.client.attach(&mut self.workspaces[0]);
        self.server.attach(&mut self.workspaces[1]);
    }

    fn reach_server(&mut self, n: usize) -> bool {
        let n = transfer(&mut self.to_server, self.server.receive_buffer(), n);
        self.server.received(n);
        if self.client_ended && self.to_server.is_empty() {
            self.server.received_eof();
        }
        n > 0
    }

    fn reach_client(&mut self, n: usize) -> bool {
        if self.client_done {
            return false;
        }
        let n = transfer(&mut self.to_client, self.client.receive_buffer(), n);
        self.client.received(n);
        if (self.server_closed || self.server_broke) && self.to_client.is_empty() {
            // A break within a body that only the close ends is a reset, not an end of the stream.
            let looks_whole =
                self.server_broke && !self.response_whole && self.responses.back().is_some_and(|r| r.until_close);
            if looks_whole {
                self.client_done = true;
            } else {
                self.client.received_eof();
            }
        }
        n > 0
    }

    fn client_sends(&mut self, n: u64) -> bool {
        if self.client_ended || self.client_done {
            return false;
        }
        let n = n.min(self.request_left);
        self.to_server.extend(part(self.request_sent, n));
        self.request_left -= n;
        self.request_sent += n;
        self.client.body_sent(n).unwrap();
        n > 0
    }

    fn server_sends(&mut self, n: u64) -> bool {
        let Some(left) = self.response_left.filter(|_| !self.server_broke) else { return false };
        let n = n.min(left);
        self.to_client.extend(part(self.response_sent, n));
        self.response_sent += n;
        self.server.body_sent(n).unwrap();
        self.response_left = Some(left - n).filter(|&left| left > 0);
        if self.response_left.is_none() {
            self.server.finish_body().unwrap();
            self.response_whole = true;
        }
        true
    }

    /// Sends a request or takes one event. Returns whether anything happened.
    fn client_turn(&mut self) -> bool {
        if self.client_done {
            return false;
        }
        match self.client.poll() {
            Ok(client::Event::NeedInput) => {
                let free = !self.in_response && self.requests.is_empty() && self.responses.is_empty();
                !self.client_ended && free && self.client.can_reuse() && self.client_asks()
            }
            Ok(client::Event::Response(head)) => {
                let sent = self.responses.front().expect("a response that no server sent");
                assert_eq!(head.status.to_string(), sent.head);
                let own =
                    [header::CONNECTION, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::ALLOW, header::DATE];
                assert_eq!(lines(&head.fields, &own), without(&sent.fields, &own));
                assert_eq!(head.body == Framing::UntilClose, sent.until_close, "{:?}", head.body);
                assert!(!self.in_response);
                (self.in_response, self.response_received) = (true, 0);
                true
            }
            Ok(client::Event::Body(bytes)) => {
                assert_eq!(bytes, part(self.response_received, bytes.len() as u64));
                self.response_received += bytes.len() as u64;
                true
            }
            Ok(client::Event::ResponseEnd) => {
                let sent = self.responses.pop_front().expect("an end that no server sent");
                assert!(self.in_response && self.response_received == sent.body, "a truncated body counts as complete");
                assert!(self.response_whole, "the body is complete before the server has finished it");
                assert!(!self.client.can_reuse() || sent.keeps, "it would send on a connection that the server closes");
                assert!(!self.client.can_reuse() || self.request_left == 0, "it would send within a body");
                self.in_response = false;
                if !self.client.can_reuse() {
                    // The server might still read a body or wait for another request.
                    self.client_ended = true;
                }
                true
            }
            Ok(client::Event::Closed) => {
                (self.client_done, self.client_ended) = (true, true);
                false
            }
            Ok(event) => panic!("a new event: {event:?}"),
            Err(error) => {
                let gone = self.client_ended || self.server_broke;
                assert!(gone && error.is_truncated(), "{error:?}, although neither side has closed");
                assert_eq!(error == ResponseError::BodyTruncated, self.in_response, "{error:?}");
                (self.client_done, self.client_ended) = (true, true);
                false
            }
        }
    }

    fn client_asks(&mut self) -> bool {
        if self.asked == 6 {
            return false;
        }
        self.asked += 1;
        let exchange = self.exchange();
        let method = method(exchange.method);
        let targets = ["/", "/a?b", "/a%20b/../c", "http://h:80/x?y", "http://[::1]", "*"];
        let target = Target::new(targets[usize::from(exchange.target) % targets.len()].as_bytes()).unwrap();
        let host = Authority::new(b"example.org").unwrap();
        let fields = self.block(exchange.fields);
        let Exchange { to_proxy, keep_alive, .. } = exchange;
        let body = exchange.body.map(length);
        let request = client::Request { method, target, host, fields: &fields, body, keep_alive, to_proxy };
        let mut out = Vec::new();
        let Ok(send) = self.client.request(&request, &mut out) else {
            assert!(out.is_empty() && target.form() == TargetForm::Asterisk && method != Method::Options);
            return true;
        };
        self.request_left = match send {
            server::SendBody::None => 0,
            server::SendBody::Exactly(n) => n,
            server::SendBody::UntilClose => panic!("a request without a length"),
        };
        assert_eq!(self.request_left, body.unwrap_or(0));
        let authority = target.authority().unwrap_or(host).as_str();
        let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
        // R9112-3.2.4: OPTIONS for the server as a whole.
        let of_server = method == Method::Options && ["*", "http://[::1]"].contains(&target.as_str());
        let path = match (of_server, to_proxy) {
            (true, true) => format!("http://{authority}"),
            (true, false) => "*".to_string(),
            (false, true) => format!("http://{authority}{}{query}", target.raw_path()),
            (false, false) => format!("{}{query}", target.raw_path()),
        };
        self.requests.push_back(Sent {
            head: format!("{method} {path} {authority}"),
            fields: fields.as_bytes().to_vec(),
            body: self.request_left,
            until_close: false,
            keeps: keep_alive && !to_proxy,
        });
        self.request_sent = 0;
        self.to_server.extend(out);
        true
    }

    /// Takes one event. Returns whether anything happened.
    fn server_turn(&mut self) -> bool {
        if self.server_closed || self.server_broke || self.response_left.is_some() {
            return false;
        }
        match self.server.poll() {
            Ok(server::Event::NeedInput) => false,
            Ok(server::Event::Request(head)) => {
                let sent = self.requests.front().expect("a request that no client sent");
                let host = head.fields.only(header::HOST).unwrap();
                let host = str::from_utf8(host.as_bytes()).unwrap();
                assert_eq!(format!("{} {} {host}", head.method, head.target.as_str()), sent.head);
                let own = [header::HOST, header::CONNECTION, header::CONTENT_LENGTH];
                assert_eq!(lines(&head.fields, &own), sent.fields);
                let expected = if sent.body == 0 { Framing::Empty } else { Framing::Length(sent.body) };
                assert_eq!(head.body, expected);
                self.request_received = 0;
                if self.exchange().early {
                    self.server_responds();
                }
                true
            }
            Ok(server::Event::Body(bytes)) => {
                assert_eq!(bytes, part(self.request_received, bytes.len() as u64));
                self.request_received += bytes.len() as u64;
                true
            }
            Ok(server::Event::NeedOutput) => {
                let sent = self.requests.front().expect("a response without a request");
                assert_eq!(self.request_received, sent.body, "a truncated body counts as complete");
                self.server_responds();
                true
            }
            Ok(server::Event::Closed) => {
                self.server_closed = true;
                true
            }
            Ok(event) => panic!("a new event: {event:?}"),
            Err(error) => {
                use http_core::RequestError as E;
                let small = matches!(
                    error,
                    E::TargetTooLong
                        | E::RequestLineTooLong
                        | E::MethodTooLong
                        | E::FieldLineTooLong
                        | E::TooManyFields
                        | E::HeadTooLong
                        | E::BodyTooLong
                );
                let cut = error == E::Incomplete && self.client_ended;
                assert!(cut || (small && self.plan.small), "{error:?}");
                let mut out = Vec::new();
                let of_head = self.requests.pop_front().is_some_and(|sent| sent.head.starts_with("HEAD "));
                self.server.respond_error(None, &mut out).unwrap();
                let at = out.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
                self.to_client.extend(&out[..at]);
                assert_eq!(of_head, out.len() == at);
                // The body is replaced by one with the bytes of the others.
                self.to_client.extend(part(0, (out.len() - at) as u64));
                self.response_whole = true;
                self.responses.push_back(Sent {
                    head: error.status().to_string(),
                    fields: Vec::new(),
                    body: (out.len() - at) as u64,
                    until_close: false,
                    keeps: false,
                });
                true
            }
        }
    }

    /// The exchange in progress.
    fn exchange(&self) -> Exchange {
        self.plan.exchanges[(self.asked - 1) % self.plan.exchanges.len()]
    }

    /// The headers that the bits select.
    fn block(&self, bits: u8) -> FieldBlock {
        let mut fields = FieldBlock::new();
        for (number, (name, value)) in self.plan.fields.iter().enumerate() {
            if let (Ok(name), Ok(value), true) = (FieldName::new(name), FieldValue::new(value), bits & 1 << number != 0)
            {
                let _ = fields.push(name, value); // the library writes some itself
                assert!(
                    value.as_bytes().iter().all(|c| !c.is_ascii_control() || *c == b'\t'),
                    "the value would begin another line"
                );
            }
        }
        fields
    }

    fn server_responds(&mut self) {
        let sent = self.requests.pop_front().unwrap();
        let exchange = self.exchange();
        self.served += 1;
        assert!(self.served <= self.asked, "more responses than requests");
        let status = Status::new(200 + exchange.status % 800).unwrap();
        let mut fields = self.block(exchange.response_fields);
        let needed = match status {
            Status::UNAUTHORIZED => Some(header::WWW_AUTHENTICATE),
            Status::METHOD_NOT_ALLOWED => Some(header::ALLOW),
            Status::PROXY_AUTHENTICATION_REQUIRED => Some(header::PROXY_AUTHENTICATE),
            Status::UPGRADE_REQUIRED => Some(header::UPGRADE),
            _ => None,
        };
        if let Some(needed) = needed.filter(|needed| !fields.contains(*needed)) {
            let without = self.server.respond(&Response::new(status, &fields), &mut Vec::new());
            assert_eq!(without, Err(UsageError::MissingField));
            fields.push(needed, FieldValue::from_static("x")).unwrap();
        }
        let body = exchange.response_body.map_or(ResponseBody::UntilClose, |n| ResponseBody::Length(length(n)));
        let response = Response { body, close: exchange.close, ..Response::new(status, &fields) };
        let mut out = Vec::new();
        let send = self.server.respond(&response, &mut out).unwrap();
        self.to_client.extend(out);
        let bodiless = sent.head.starts_with("HEAD ") || status.is_bodiless();
        (self.response_left, self.response_sent) = match send {
            server::SendBody::None => (None, 0),
            server::SendBody::Exactly(n) => (Some(n), 0),
            server::SendBody::UntilClose => (Some(77), 0),
        };
        self.response_whole = self.response_left.is_none();
        let keeps = self.server.close_reason().is_none();
        assert!(!keeps || (sent.keeps && !exchange.close));
        let until_close = body == ResponseBody::UntilClose && !bodiless;
        assert_eq!(self.response_left.is_some(), !bodiless && body != ResponseBody::Length(0));
        self.responses.push_back(Sent {
            head: status.to_string(),
            fields: fields.as_bytes().to_vec(),
            body: self.response_left.unwrap_or(0),
            until_close,
            keeps,
        });
    }
}

/// The length of a body. Most are short, or they would take all the time.
fn length(choice: u16) -> u64 {
    u64::from(if choice % 64 == 63 { choice } else { choice % 512 })
}

/// Every body is a prefix of this one.
static BODY: [u8; 65_536] = {
    let mut body = [0; 65_536];
    let mut at = 0;
    while at < body.len() {
        body[at] = (at * 7 + at / 256) as u8;
        at += 1;
    }
    body
};

fn part(from: u64, length: u64) -> &'static [u8] {
    &BODY[from as usize..][..length as usize]
}

fn transfer(wire: &mut VecDeque<u8>, space: &mut [u8], n: usize) -> usize {
    let n = n.min(space.len());
    wire.read(&mut space[..n]).expect("reading from memory cannot fail")
}

fn method(choice: u8) -> Method<'static> {
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "GE", "HEADS"];
    Method::new(methods[usize::from(choice) % methods.len()].as_bytes()).unwrap()
}

/// The header lines as they would be sent, except those that the library writes.
fn lines(fields: &Fields<'_>, own: &[FieldName<'_>]) -> Vec<u8> {
    let others = fields.iter().filter(|(name, _)| !own.contains(name));
    others.flat_map(|(name, value)| [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat()).collect()
}

fn without(lines: &[u8], own: &[FieldName<'_>]) -> Vec<u8> {
    let others = lines.split_inclusive(|&c| c == b'\n').filter(|line| {
        let name = line.split(|&c| c == b':').next().and_then(|name| FieldName::new(name).ok());
        !name.is_some_and(|name| own.contains(&name))
    });
    others.flatten().copied().collect()
}
