//! Feeds the pieces of an input and then the end of the stream to one of the machines, and records what it reports.
//!
//! The record is a few buffers that are used again, because millions of inputs are fed. `tests/site` and `fuzz/src`
//! record more, and more slowly.

use std::fmt;

use http_core::server::{Response, ResponseBody, SendBody};
use http_core::{
    Authority, CloseReason, FieldBlock, Fields, Framing, Limits, Method, ResponseError, Status, Target, Workspace,
    client, server,
};

use crate::reencode;

/// Which machine reads, and how it is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Machine {
    Server,
    /// A client that has sent a request with this method, and that may accept HTTP/0.9 and malformed responses.
    Client {
        method: Method<'static>,
        allows_http09: bool,
        leniency: client::Leniency,
    },
}

/// What one connection reported.
#[derive(Default, PartialEq)]
pub(crate) struct Record {
    /// Heads and bodies. 0xFF begins each, and no token holds it. The bytes of a body may come in any pieces.
    events: Vec<u8>,
    /// The responses of a server.
    out: Vec<u8>,
    end: Option<Result<CloseReason, ResponseError>>,
}

/// What the connections of one thread use, one after the other.
#[derive(Default)]
pub(crate) struct Driver {
    workspace: Workspace,
    no_fields: FieldBlock,
}

impl Driver {
    /// Returns how many bytes were fed before the machine was at its end; `None` if it still read when all were fed.
    ///
    /// With `reencodes`, every head that is accepted is written again and read back.
    pub(crate) fn run<'a>(
        &mut self,
        machine: Machine,
        limits: Limits,
        pieces: impl Iterator<Item = &'a [u8]>,
        reencodes: bool,
        record: &mut Record,
    ) -> Option<usize> {
        record.events.clear();
        record.out.clear();
        let mut input = Input { pieces, rest: b"", fed: 0, ended: false };
        match machine {
            Machine::Server => self.serve(limits, &mut input, reencodes, record),
            Machine::Client { method, allows_http09, leniency } => {
                let connection = client::Connection::new(limits).allow_http09(allows_http09).with_leniency(leniency);
                self.ask(connection, method, &mut input, reencodes, record);
            }
        }
        (!input.ended).then_some(input.fed)
    }

    fn serve<'a>(
        &mut self,
        limits: Limits,
        input: &mut Input<'a, impl Iterator<Item = &'a [u8]>>,
        reencodes: bool,
        record: &mut Record,
    ) {
        let mut connection = server::Connection::new(limits);
        connection.attach(&mut self.workspace);
        let mut in_body = false;
        loop {
            match connection.poll() {
                Ok(server::Event::NeedInput) => match input.next() {
                    Some(bytes) => input.take(connection.receive(bytes)),
                    None => connection.received_eof(),
                },
                Ok(server::Event::Request(head)) => {
                    in_body = false;
                    let version = [head.version.major(), head.version.minor()];
                    let line = [head.method.as_str(), " ", head.target.as_str(), " "].map(str::as_bytes);
                    record.head(&line.concat(), &version, &head.fields, head.body);
                    if reencodes {
                        reencode::request(&head);
                    }
                    // A POST is answered after its body has been read. Other methods do not read it.
                    if head.method != Method::Post {
                        self.respond(&mut connection, Status::OK, &mut record.out);
                    }
                }
                Ok(server::Event::Body(bytes)) => record.body(bytes, &mut in_body),
                Ok(server::Event::Continue(_)) => {} // depends on how the bytes are split
                Ok(server::Event::NeedOutput) => self.respond(&mut connection, Status::OK, &mut record.out),
                Ok(server::Event::Closed) => {
                    record.end = connection.close_reason().map(Ok);
                    assert!(record.end.is_some(), "it closes with a reason");
                    break;
                }
                Ok(event) => panic!("a new event: {event:?}"),
                Err(error) => {
                    self.respond(&mut connection, error.status(), &mut record.out);
                    assert_eq!(connection.close_reason(), Some(CloseReason::Refused(error)));
                }
            }
        }
        connection.detach(&mut self.workspace);
    }

    /// HEAD gets no body, HTTP/0.9 gets no head, and Connection says whether the connection closes. `respond_error` would also
    /// format a text, for every cut of everything that is refused.
    fn respond(&self, connection: &mut server::Connection, status: Status, out: &mut Vec<u8>) {
        let response = Response { body: ResponseBody::Bytes(b"."), ..Response::new(status, &self.no_fields) };
        assert_eq!(connection.forward(&response, out), Ok(SendBody::None));
    }

    fn ask<'a>(
        &mut self,
        mut connection: client::Connection,
        method: Method<'_>,
        input: &mut Input<'a, impl Iterator<Item = &'a [u8]>>,
        reencodes: bool,
        record: &mut Record,
    ) {
        connection.attach(&mut self.workspace);
        let (target, host) = (Target::new(b"/").unwrap(), Authority::new(b"a").unwrap());
        let request =
            client::Request { keep_alive: true, ..client::Request::new(method, target, host, &self.no_fields) };
        assert_eq!(connection.request(&request, &mut record.out), Ok(SendBody::None));
        let mut in_body = false;
        loop {
            match connection.poll() {
                Ok(client::Event::NeedInput) => match input.next() {
                    Some(bytes) => input.take(connection.receive(bytes)),
                    None => connection.received_eof(),
                },
                Ok(client::Event::Response(head)) => {
                    let version = [head.version.major(), head.version.minor()];
                    record.head(&[&head.status.digits(), head.reason].concat(), &version, &head.fields, head.body);
                    if reencodes {
                        reencode::response(&head, method);
                    }
                }
                Ok(client::Event::Body(bytes)) => record.body(bytes, &mut in_body),
                Ok(client::Event::ResponseEnd) => record.events.extend_from_slice(b"\xffend"),
                Ok(client::Event::Closed) => {
                    record.end = connection.close_reason().map(Ok);
                    assert!(record.end.is_some(), "it closes with a reason");
                    break;
                }
                Ok(event) => panic!("a new event: {event:?}"),
                Err(error) => {
                    record.end = Some(Err(error));
                    break;
                }
            }
        }
        connection.detach(&mut self.workspace);
    }
}

impl Record {
    fn head(&mut self, line: &[u8], version: &[u8; 2], fields: &Fields<'_>, body: Framing) {
        let framing: u64 = match body {
            Framing::Empty => 0,
            Framing::Length(bytes) => bytes,
            Framing::UntilClose => u64::MAX,
            Framing::Chunked => u64::MAX - 1,
            body => panic!("a new framing: {body:?}"),
        };
        for part in [b"\xffhead ", line, version, &framing.to_be_bytes()] {
            self.events.extend_from_slice(part);
        }
        for (name, value) in fields.iter() {
            for part in [b"\n", name.as_str().as_bytes(), b":", value.as_bytes()] {
                self.events.extend_from_slice(part);
            }
        }
    }

    fn body(&mut self, bytes: &[u8], in_body: &mut bool) {
        assert!(!bytes.is_empty());
        if !std::mem::replace(in_body, true) {
            self.events.extend_from_slice(b"\xffbody ");
        }
        self.events.extend_from_slice(bytes);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {} | {:?}", self.events.escape_ascii(), self.out.escape_ascii(), self.end)
    }
}

/// The pieces that are still to be fed.
struct Input<'a, P> {
    pieces: P,
    rest: &'a [u8],
    fed: usize,
    ended: bool,
}

impl<'a, P: Iterator<Item = &'a [u8]>> Input<'a, P> {
    /// The rest of a piece, or the next one; `None` once, at the end of the stream.
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            self.rest = self.pieces.next().unwrap_or_default();
        }
        if self.rest.is_empty() {
            assert!(!self.ended, "it needs input after the end of the stream");
            self.ended = true;
            return None;
        }
        Some(self.rest)
    }

    fn take(&mut self, n: usize) {
        assert!(n > 0, "it needs input and has no space");
        self.rest = &self.rest[n..];
        self.fed += n;
    }
}
