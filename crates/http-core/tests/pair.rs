//! Joins a client and a server machine by two vectors, without a socket, and tests whole conversations in pieces of any
//! size.
#![cfg(test)]

use http_core::server::{self, Event, Response, ResponseBody, SendBody};
use http_core::{
    Authority, FieldBlock, FieldValue, Limits, Method, RequestError, ResponseError, Status, Target, Workspace, client,
    header,
};
use proptest::prelude::*;

/// A request, and how the server responds to it.
#[derive(Clone, Debug)]
struct Turn {
    method: Method<'static>,
    /// Bytes of the request body.
    body: Option<usize>,
    status: Status,
    /// Bytes of the response body; `None` if only the close ends it.
    response: Option<usize>,
    /// The response is sent before the request body is read.
    early: bool,
    keep: bool,
}

/// The two machines, and the bytes in transit between them.
struct Pair {
    client: client::Connection,
    server: server::Connection,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    piece: usize,
}

/// A response as the client sees it: status, body, and whether the connection may be used again.
type Received = (u16, Vec<u8>, bool);

impl Pair {
    fn new(piece: usize) -> Pair {
        let limits = Limits::default;
        let (client, server) = (client::Connection::new(limits()), server::Connection::new(limits()));
        Pair { client, server, to_server: Vec::new(), to_client: Vec::new(), piece }
    }

    fn ask(&mut self, turn: &Turn) {
        let fields = FieldBlock::new();
        let host = Authority::new(b"localhost:6789").unwrap();
        let plain = client::Request::new(turn.method, Target::new(b"/a").unwrap(), host, &fields);
        let request = client::Request { body: turn.body.map(|n| n as u64), keep_alive: turn.keep, ..plain };
        if let SendBody::Exactly(n) = self.client.request(&request, &mut self.to_server).unwrap() {
            self.to_server.extend((0..n).map(|n| n as u8));
            self.client.body_sent(n).unwrap();
        }
    }

    /// The server reads one request and responds to it. Returns the request body as far as the server read it.
    fn serve(&mut self, turn: &Turn) -> Result<Vec<u8>, RequestError> {
        let mut seen = Vec::new();
        loop {
            match self.server.poll() {
                Ok(Event::NeedInput) => {
                    let n = self.piece.min(self.to_server.len());
                    assert!(n > 0, "the server waits for bytes that the client never sends: {turn:?}");
                    let space = self.server.receive_buffer();
                    let n = n.min(space.len());
                    space[..n].copy_from_slice(&self.to_server[..n]);
                    self.to_server.drain(..n);
                    self.server.received(n);
                }
                Ok(Event::Request(request)) => {
                    assert_eq!(request.method, turn.method);
                    if turn.early {
                        break;
                    }
                }
                Ok(Event::Body(bytes)) => seen.extend_from_slice(bytes),
                Ok(Event::NeedOutput) => break,
                Ok(_) => panic!("closed before a response"),
                Err(error) => {
                    self.server.respond_error(None, &mut self.to_client).unwrap();
                    return Err(error);
                }
            }
        }
        let mut fields = FieldBlock::new();
        fields.push(header::ALLOW, FieldValue::from_static("GET")).unwrap();
        let body = turn.response.map_or(ResponseBody::UntilClose, |n| ResponseBody::Length(n as u64));
        let response = Response { body, ..Response::new(turn.status, &fields) };
        match self.server.respond(&response, &mut self.to_client).unwrap() {
            SendBody::None => {}
            SendBody::Exactly(n) => {
                self.to_client.extend((0..n).map(|n| n as u8));
                self.server.body_sent(n).unwrap();
            }
            SendBody::UntilClose => {
                self.to_client.extend_from_slice(b"until the close");
                self.server.finish_body().unwrap();
            }
        }
        Ok(seen)
    }

    /// The client reads the response. The stream ends if the server closes.
    fn receive(&mut self) -> Result<Received, ResponseError> {
        let closes = self.server.close_reason().is_some();
        let (mut status, mut body) = (0, Vec::new());
        loop {
            match self.client.poll()? {
                client::Event::NeedInput if self.to_client.is_empty() => {
                    assert!(closes, "the client waits for bytes that the server never sends");
                    self.client.received_eof();
                }
                client::Event::NeedInput => {
                    let space = self.client.receive_buffer();
                    let n = self.piece.min(self.to_client.len()).min(space.len());
                    space[..n].copy_from_slice(&self.to_client[..n]);
                    self.to_client.drain(..n);
                    self.client.received(n);
                }
                client::Event::Response(head) => status = head.status.code(),
                client::Event::Body(bytes) => body.extend_from_slice(bytes),
                client::Event::ResponseEnd => return Ok((status, body, self.client.can_reuse())),
                _ => panic!("closed within a response"),
            }
        }
    }

    /// The server drops the rest of the last request.
    fn drain(&mut self) {
        while !self.to_server.is_empty() && matches!(self.server.poll(), Ok(Event::NeedInput)) {
            let space = self.server.receive_buffer();
            let n = space.len().min(self.to_server.len());
            space[..n].copy_from_slice(&self.to_server[..n]);
            self.to_server.drain(..n);
            self.server.received(n);
        }
    }
}

fn expected(turn: &Turn) -> Vec<u8> {
    match turn.response {
        _ if turn.method == Method::Head || turn.status.is_bodiless() => Vec::new(),
        Some(n) => (0..n).map(|n| n as u8).collect(),
        None => b"until the close".to_vec(),
    }
}

const GET: Turn =
    Turn { method: Method::Get, body: None, status: Status::OK, response: Some(5), early: false, keep: true };

// R2068-19.7.1a, R2068-19.7.1b, R1945-7.2b, R9112-9.3b
#[test]
fn connection_carries_a_conversation() {
    for piece in [1, 2, 7, 100, 100_000] {
        let mut pair = Pair::new(piece);
        let turns = [
            GET,
            Turn { method: Method::Head, ..GET },
            Turn { method: Method::Post, body: Some(3000), ..GET },
            Turn { method: Method::Put, body: Some(20_000), early: true, ..GET },
            Turn { status: Status::NO_CONTENT, ..GET },
            Turn { status: Status::RESET_CONTENT, ..GET },
            Turn { status: Status::NOT_MODIFIED, response: Some(77), ..GET },
            Turn { response: Some(0), ..GET },
            Turn { method: Method::Post, body: None, ..GET },
            Turn { response: Some(50_000), ..GET },
        ];
        for turn in &turns {
            pair.ask(turn);
            let seen = pair.serve(turn).unwrap();
            assert_eq!(seen.len(), if turn.early { 0 } else { turn.body.unwrap_or(0) });
            assert_eq!(pair.receive(), Ok((turn.status.code(), expected(turn), true)), "{turn:?}");
            pair.drain();
        }
        // R1945-7.2.2a: at last, a response that only the close ends.
        let last = Turn { response: None, ..GET };
        pair.ask(&last);
        pair.serve(&last).unwrap();
        assert_eq!(pair.receive(), Ok((200, expected(&last), false)));
    }
}

// R9112-9.3.2
#[test]
fn pipelined_requests_get_complete_responses_in_order() {
    let mut pair = Pair::new(100_000);
    pair.ask(&GET);
    let second = Turn { response: Some(9), keep: false, ..GET };
    let mut other = Pair::new(100_000);
    other.ask(&second);
    pair.to_server.append(&mut other.to_server);
    pair.serve(&GET).unwrap();
    assert_eq!(pair.receive(), Ok((200, expected(&GET), true)));
    pair.serve(&second).unwrap();
    other.to_client = std::mem::take(&mut pair.to_client);
    other.server = pair.server;
    assert_eq!(other.receive(), Ok((200, expected(&second), false)));
}

// R9112-9.3b
#[test]
fn error_response_is_complete_and_closes_the_connection() {
    for piece in [1, 1000] {
        let mut pair = Pair::new(piece);
        let turn = Turn { method: Method::Post, body: Some(2 << 20), ..GET };
        pair.ask(&turn);
        assert_eq!(pair.serve(&turn), Err(RequestError::BodyTooLong));
        let (status, body, reuse) = pair.receive().unwrap();
        assert_eq!((status, reuse), (413, false));
        assert_eq!(body, b"413 Content Too Large: the request body is too long\n");
        assert!(pair.server.must_linger());
    }
}

// R9112-6.3b, R9112-8
#[test]
fn truncated_response_is_an_error() {
    let last = Turn { keep: false, ..GET };
    let mut whole = Pair::new(100_000);
    whole.ask(&last);
    whole.serve(&last).unwrap();
    for cut in 0..whole.to_client.len() {
        let mut pair = Pair::new(100_000);
        pair.ask(&last);
        pair.serve(&last).unwrap();
        pair.to_client.truncate(cut);
        assert!(pair.receive().is_err_and(ResponseError::is_truncated), "{cut}");
    }
}

// R1945-12.3
#[test]
fn debug_shows_no_secret_of_either_side() {
    let (mut client, mut server) =
        (client::Connection::new(Limits::default()), server::Connection::new(Limits::default()));
    let (mut workspace, mut shown) = (Workspace::with_capacity(4096), String::new());
    let mut fields = FieldBlock::new();
    fields.push(header::AUTHORIZATION, FieldValue::from_static("Basic c2VjcmV0")).unwrap();
    fields.push(header::COOKIE, FieldValue::from_static("c2VjcmV0")).unwrap();
    let request = client::Request::new(Method::Get, Target::new(b"/").unwrap(), Authority::new(b"a").unwrap(), &fields);
    let mut wire = Vec::new();
    let _no_body = client.request(&request, &mut wire).unwrap();
    shown += &format!("{request:?}{client:?}");

    server.attach(&mut workspace);
    server.receive_buffer()[..wire.len()].copy_from_slice(&wire);
    server.received(wire.len());
    shown += &format!("{server:?}");
    shown += &format!("{:?}", server.poll());
    shown += &format!("{server:?}");
    let mut fields = FieldBlock::new();
    fields.push(header::SET_COOKIE, FieldValue::from_static("c2VjcmV0")).unwrap();
    let response = Response::new(Status::OK, &fields);
    wire.clear();
    let _no_body = server.respond(&response, &mut wire).unwrap();
    server.detach(&mut workspace);
    shown += &format!("{response:?}{server:?}{workspace:?}");

    client.receive_buffer()[..wire.len()].copy_from_slice(&wire);
    client.received(wire.len());
    shown += &format!("{client:?}");
    shown += &format!("{:?}", client.poll());
    // Neither as text nor as a list of bytes.
    for secret in ["c2VjcmV0".to_string(), format!("{:?}", b"c2Vj").replace(['[', ']'], "")] {
        assert!(!shown.contains(&secret), "{secret} in {shown}");
    }
    for field in ["Authorization", "Cookie", "Set-Cookie", "(not shown)"] {
        assert!(shown.contains(field), "{field} not in {shown}");
    }
}

fn turn() -> impl Strategy<Value = Turn> {
    let method = prop_oneof![Just(Method::Get), Just(Method::Head), Just(Method::Post), Just(Method::Delete)];
    let status = prop_oneof![
        Just(Status::OK),
        Just(Status::NOT_FOUND),
        Just(Status::NOT_MODIFIED),
        Just(Status::NO_CONTENT),
        Just(Status::RESET_CONTENT)
    ];
    let response = prop_oneof![9 => (0usize..40_000).prop_map(Some), 1 => Just(None)];
    let body = prop::option::of(0usize..40_000);
    (method, body, status, response, any::<bool>(), prop::bool::weighted(0.9))
        .prop_map(|(method, body, status, response, early, keep)| Turn { method, body, status, response, early, keep })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Both sides agree about every message, and about whether the connection stays open.
    #[test]
    fn client_and_server_agree(turns in prop::collection::vec(turn(), 1..8), piece in 1usize..5000) {
        let mut pair = Pair::new(piece);
        for turn in &turns {
            pair.ask(turn);
            let seen = pair.serve(turn).unwrap();
            if !turn.early {
                prop_assert_eq!(seen.len(), turn.body.unwrap_or(0));
            }
            let (status, body, reuse) = pair.receive().unwrap();
            prop_assert_eq!((status, body), (turn.status.code(), expected(turn)));
            prop_assert_eq!(reuse, pair.server.close_reason().is_none());
            if !reuse {
                break;
            }
            pair.drain();
        }
    }
}
