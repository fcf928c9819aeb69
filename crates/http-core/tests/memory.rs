//! Tests memory: an idle connection owns none, and a kept connection allocates nothing for a request.
#![cfg(test)]

use allocation_counter::measure;
use http_core::server::{Connection, Event, Response, ResponseBody, SendBody};
use http_core::{Authority, FieldBlock, Limits, Method, Status, Target, Workspace, client};

const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: localhost\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n";

fn receive(connection: &mut Connection, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let space = connection.receive_buffer();
        let n = space.len().min(bytes.len());
        space[..n].copy_from_slice(&bytes[..n]);
        connection.received(n);
        bytes = &bytes[n..];
    }
}

fn exchange(connection: &mut Connection, workspace: &mut Workspace, fields: &FieldBlock, out: &mut Vec<u8>) {
    connection.attach(workspace);
    receive(connection, REQUEST);
    assert!(matches!(connection.poll(), Ok(Event::Request(_))));
    out.clear();
    let response = Response { body: ResponseBody::Length(5), ..Response::new(Status::OK, fields) };
    assert_eq!(connection.respond(&response, out), Ok(SendBody::Exactly(5)));
    connection.body_sent(5).unwrap();
    assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
    connection.detach(workspace);
}

#[test]
fn kept_connection_allocates_nothing_for_a_request() {
    let mut workspace = Workspace::with_capacity(16_384);
    let (fields, mut out) = (FieldBlock::new(), Vec::with_capacity(512));
    let mut connection = Connection::new(Limits::default());
    exchange(&mut connection, &mut workspace, &fields, &mut out); // grows the workspace
    let measured = measure(|| {
        for _ in 0..100 {
            exchange(&mut connection, &mut workspace, &fields, &mut out);
        }
    });
    assert_eq!(measured.count_total, 0);
}

#[test]
fn idle_connection_owns_no_memory() {
    let mut workspace = Workspace::with_capacity(16_384);
    let (fields, mut out) = (FieldBlock::new(), Vec::with_capacity(512));
    exchange(&mut Connection::new(Limits::default()), &mut workspace, &fields, &mut out);
    let measured = measure(|| {
        let mut connection = Connection::new(Limits::default());
        exchange(&mut connection, &mut workspace, &fields, &mut out);
        std::mem::forget(connection); // what it owned would stay allocated
    });
    assert_eq!((measured.count_current, measured.bytes_current), (0, 0));
}

#[test]
fn heap_size_is_the_memory_that_the_connection_owns() {
    let mut owned = 0;
    let measured = measure(|| {
        let mut connection = Connection::new(Limits::default());
        receive(&mut connection, REQUEST);
        assert!(matches!(connection.poll(), Ok(Event::Request(_))));
        owned = connection.heap_size();
        std::mem::forget(connection); // what it owned would stay allocated
    });
    assert!(owned > REQUEST.len());
    assert_eq!(measured.bytes_current, owned as i64);
}

/// An exchange on the client's side.
fn ask(connection: &mut client::Connection, workspace: &mut Workspace, fields: &FieldBlock, out: &mut Vec<u8>) {
    connection.attach(workspace);
    out.clear();
    let (target, host) = (Target::new(b"/a").unwrap(), Authority::new(b"localhost").unwrap());
    let request = client::Request { keep_alive: true, ..client::Request::new(Method::Get, target, host, fields) };
    assert_eq!(connection.request(&request, out), Ok(SendBody::None));
    let response = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello";
    connection.receive_buffer()[..response.len()].copy_from_slice(response);
    connection.received(response.len());
    assert!(matches!(connection.poll(), Ok(client::Event::Response(_))));
    assert!(matches!(connection.poll(), Ok(client::Event::Body(b"hello"))));
    assert!(matches!(connection.poll(), Ok(client::Event::ResponseEnd)));
    connection.detach(workspace);
}

#[test]
fn client_uses_lent_memory_and_keeps_none() {
    let mut workspace = Workspace::with_capacity(16_384);
    let (fields, mut out) = (FieldBlock::new(), Vec::with_capacity(512));
    ask(&mut client::Connection::new(Limits::default()), &mut workspace, &fields, &mut out); // grows the workspace
    let measured = measure(|| {
        let mut connection = client::Connection::new(Limits::default());
        for _ in 0..100 {
            ask(&mut connection, &mut workspace, &fields, &mut out);
        }
        std::mem::forget(connection); // what it owned would stay allocated
    });
    assert_eq!((measured.count_total, measured.bytes_current), (0, 0));
}

// V20
#[test]
fn partial_head_owns_about_its_own_size() {
    let mut workspace = Workspace::with_capacity(16_384);
    for size in [1, 100, 1000, 10_000] {
        let head: Vec<u8> =
            REQUEST.iter().copied().chain(*b"x").cycle().take(40).chain((40..size).map(|_| b'x')).take(size).collect();
        let measured = measure(|| {
            let mut connection =
                Connection::new(Limits { start_line: 16_000, field_line: 16_000, ..Limits::default() });
            for byte in &head {
                connection.attach(&mut workspace);
                receive(&mut connection, &[*byte]);
                assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
                connection.detach(&mut workspace);
            }
            assert!(connection.heap_size() >= size && connection.heap_size() <= 256.max(2 * size));
            std::mem::forget(connection);
        });
        assert!(measured.bytes_current as usize <= 256.max(2 * size), "{size}: {measured:?}");
        // The buffer grows by doubling, so bytes are not copied for each new byte.
        assert!(measured.bytes_total as usize <= 1024 + 4 * size, "{size}: {measured:?}");
    }
}

#[test]
fn machines_are_small_and_move_between_threads() {
    fn moves<T: Send + 'static>(_: &T) {}
    moves(&Connection::new(Limits::default()));
    moves(&client::Connection::new(Limits::default()));
    assert!(size_of::<Connection>() <= 256, "{}", size_of::<Connection>());
}
