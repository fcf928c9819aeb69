//! The diagrams of the two state machines show the transitions of the code, all of them and no other. Each machine is
//! driven through every order of a few calls, and its phases before and after each call are compared with the edges in
//! `docs/pictures/*.dot`.
#![cfg(test)]

use std::collections::{BTreeSet, HashSet};
use std::fs;

use http_core::client::{self, Request};
use http_core::server::{self, Response, ResponseBody};
use http_core::{Authority, FieldBlock, Limits, Method, Status, Target};

/// A phase, the next one, and the call between them.
type Edges = BTreeSet<(String, String, &'static str)>;

/// A call: its name, and what makes it. The latter returns what to write at an edge instead of the name.
type Call<'a, C> = (&'static str, &'a dyn Fn(&mut C) -> Option<&'static str>);

/// Makes every call in every state that any order of at most `depth` calls leads to. `state` tells states apart.
fn walk<C>(
    new: impl Fn() -> C,
    calls: &[Call<'_, C>],
    phase: impl Fn(&C) -> String,
    state: impl Fn(&C) -> String,
    depth: usize,
) -> Edges {
    let mut edges = Edges::new();
    let mut seen = HashSet::new();
    let mut orders = vec![Vec::new()];
    for _ in 0..depth {
        let mut longer = Vec::new();
        for order in orders {
            for (next, (name, call)) in calls.iter().enumerate() {
                let mut connection = new();
                let flags: BTreeSet<usize> =
                    order.iter().copied().chain([next]).filter(|n| is_flag(calls[*n].0)).collect();
                for earlier in &order {
                    let earlier: &usize = earlier;
                    calls[*earlier].1(&mut connection);
                }
                let before = phase(&connection);
                let event = call(&mut connection).unwrap_or(name);
                let after = phase(&connection);
                if before != after {
                    edges.insert((before, after, event));
                }
                if seen.insert(format!("{} {} {flags:?}", phase(&connection), state(&connection))) {
                    longer.push([&order[..], &[next]].concat());
                }
            }
        }
        orders = longer;
    }
    edges
}

/// Calls that set what the text of a state does not show.
fn is_flag(name: &str) -> bool {
    matches!(name, "received_eof" | "handle_timeout" | "connection_lost" | "reject_overloaded")
}

/// The edges of a diagram: each line `A -> B [label="call, call"]`.
fn drawn(file: &str) -> BTreeSet<(String, String, String)> {
    let path = format!("{}/../../docs/pictures/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let mut edges = BTreeSet::new();
    for line in text.lines() {
        let Some((from, rest)) = line.trim().split_once(" -> ") else { continue };
        let (to, attributes) = rest.split_once(" [").unwrap();
        let label = attributes.split_once("label=\"").unwrap().1.split_once('"').unwrap().0;
        for call in label.split("\\l").flat_map(|line| line.split(',')).map(str::trim).filter(|call| !call.is_empty()) {
            edges.insert((from.to_owned(), to.to_owned(), call.to_owned()));
        }
    }
    edges
}

fn assert_drawn(edges: Edges, file: &str) {
    let found: BTreeSet<_> = edges.into_iter().map(|(from, to, call)| (from, to, call.to_owned())).collect();
    let drawn = drawn(file);
    let (missing, wrong): (Vec<_>, Vec<_>) = (found.difference(&drawn).collect(), drawn.difference(&found).collect());
    assert!(missing.is_empty() && wrong.is_empty(), "{file} lacks {missing:#?} and should not have {wrong:#?}");
}

#[test]
fn diagram_of_the_server_has_the_transitions_of_the_code() {
    use server::{Connection, Event};
    /// Polls as long as the connection has something to say: a phase is defined when it waits.
    fn settle(connection: &mut Connection) -> Option<&'static str> {
        while matches!(connection.poll(), Ok(Event::Request(_) | Event::Continue(_) | Event::Body(_))) {}
        None
    }
    fn receive(bytes: &'static [u8]) -> impl Fn(&mut Connection) -> Option<&'static str> {
        move |connection| {
            connection.receive(bytes);
            settle(connection)
        }
    }
    fn respond(body: ResponseBody<'static>) -> impl Fn(&mut Connection) -> Option<&'static str> {
        move |connection| {
            let _ = connection
                .respond(&Response { body, ..Response::new(Status::OK, &FieldBlock::new()) }, &mut Vec::new());
            settle(connection)
        }
    }
    let limits = Limits { drain: 2, body: 3, ..Limits::default() };
    let edges = walk(
        || Connection::new(limits),
        &[
            ("received", &receive(b"GET / HTTP/1.0\r\n")),
            ("received", &receive(b"PUT / HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n")),
            ("received", &receive(b"Connection: keep-alive\r\n\r\n")),
            ("received", &receive(b"Connection: keep-alive\r\nContent-Length: 2\r\n\r\n")),
            ("received", &receive(b"Content-Length: 3\r\n\r\n")),
            ("received", &receive(b"Content-Length: 4\r\n\r\n")),
            ("received", &receive(b"\r\n")),
            ("received", &receive(b"x")),
            ("received_eof", &|connection| {
                connection.received_eof();
                settle(connection)
            }),
            ("handle_timeout", &|connection| {
                connection.handle_timeout();
                settle(connection)
            }),
            ("reject_overloaded", &|connection| {
                connection.reject_overloaded();
                settle(connection)
            }),
            ("respond", &respond(ResponseBody::Length(0))),
            ("respond", &respond(ResponseBody::Length(2))),
            ("respond", &respond(ResponseBody::UntilClose)),
            ("respond_error", &|connection| {
                let _ = connection.respond_error(None, &mut Vec::new());
                settle(connection)
            }),
            ("body_sent", &|connection| {
                let _ = connection.body_sent(1);
                settle(connection)
            }),
            ("finish_body", &|connection| {
                let _ = connection.finish_body();
                settle(connection)
            }),
        ],
        |connection| format!("{:?}", connection.phase()),
        |connection| format!("{connection:?}"),
        6,
    );
    assert_drawn(edges, "server-connection.dot");
}

#[test]
fn diagram_of_the_client_has_the_transitions_of_the_code() {
    use client::{Connection, Event};
    fn receive(bytes: &'static [u8]) -> impl Fn(&mut Connection) -> Option<&'static str> {
        move |connection| {
            connection.receive(bytes);
            None
        }
    }
    fn request(body: Option<u64>, keep_alive: bool) -> impl Fn(&mut Connection) -> Option<&'static str> {
        move |connection| {
            let fields = FieldBlock::new();
            let (target, host) = (Target::new(b"/").unwrap(), Authority::new(b"a").unwrap());
            let request = Request { keep_alive, body, ..Request::new(Method::Post, target, host, &fields) };
            let _ = connection.request(&request, &mut Vec::new());
            None
        }
    }
    let edges = walk(
        || Connection::new(Limits::default()),
        &[
            ("request", &request(None, true)),
            ("request", &request(Some(1), true)),
            ("request", &request(None, false)),
            ("body_sent", &|connection| {
                let _ = connection.body_sent(1);
                None
            }),
            ("received", &receive(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx")),
            ("received", &receive(b"HTTP/1.0 200 OK\r\n")),
            ("received", &receive(b"Connection: keep-alive\r\nContent-Length: 1\r\n\r\n")),
            ("received", &receive(b"\r\n")),
            ("received", &receive(b"x")),
            ("received_eof", &|connection| {
                connection.received_eof();
                None
            }),
            ("handle_timeout", &|connection| {
                connection.handle_timeout();
                None
            }),
            ("connection_lost", &|connection| {
                connection.connection_lost();
                None
            }),
            ("poll", &|connection| {
                Some(match connection.poll() {
                    Ok(Event::NeedInput) => "NeedInput",
                    Ok(Event::Response(_)) => "Response",
                    Ok(Event::Body(_)) => "Body",
                    Ok(Event::ResponseEnd) => "ResponseEnd",
                    Ok(Event::Closed) => "Closed",
                    Ok(_) => unreachable!(),
                    Err(_) => "Err",
                })
            }),
        ],
        |connection| format!("{:?}", connection.phase()),
        |connection| format!("{connection:?} {}", connection.can_retry()),
        6,
    );
    assert_drawn(edges, "client-connection.dot");
}
