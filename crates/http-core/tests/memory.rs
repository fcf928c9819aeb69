//! Who owns memory: an idle connection none, and a kept connection allocates nothing for a request.
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
    let reply = Response { body: ResponseBody::Length(5), ..Response::new(Status::OK, fields) };
    assert_eq!(connection.respond(&reply, out), Ok(SendBody::Exactly(5)));
    connection.body_sent(5).unwrap();
    assert!(matches!(connection.poll(), Ok(Event::NeedInput)));
    connection.detach(workspace);
}

#[test]
fn a_kept_connection_allocates_nothing_for_a_request() {
    let mut workspace = Workspace::with_room(16_384);
    let (fields, mut out) = (FieldBlock::new(), Vec::with_capacity(512));
    let mut connection = Connection::new(Limits::default());
    exchange(&mut connection, &mut workspace, &fields, &mut out); // the workspace finds its size
    let measured = measure(|| {
        for _ in 0..100 {
            exchange(&mut connection, &mut workspace, &fields, &mut out);
        }
    });
    assert_eq!(measured.count_total, 0);
}

#[test]
fn an_idle_connection_owns_no_memory() {
    let mut workspace = Workspace::with_room(16_384);
    let (fields, mut out) = (FieldBlock::new(), Vec::with_capacity(512));
    exchange(&mut Connection::new(Limits::default()), &mut workspace, &fields, &mut out);
    let measured = measure(|| {
        let mut connection = Connection::new(Limits::default());
        exchange(&mut connection, &mut workspace, &fields, &mut out);
        std::mem::forget(connection); // whatever it owned would be missed
    });
    assert_eq!((measured.count_current, measured.bytes_current), (0, 0));
}

#[test]
fn a_connection_knows_what_memory_it_owns() {
    let mut owned = 0;
    let measured = measure(|| {
        let mut connection = Connection::new(Limits::default());
        receive(&mut connection, REQUEST);
        assert!(matches!(connection.poll(), Ok(Event::Request(_))));
        owned = connection.heap_size();
        std::mem::forget(connection); // whatever it owned would be missed
    });
    assert!(owned > REQUEST.len());
    assert_eq!(measured.bytes_current, owned as i64);
}

/// An exchange as a client has it.
fn ask(connection: &mut client::Connection, workspace: &mut Workspace, fields: &FieldBlock, out: &mut Vec<u8>) {
    connection.attach(workspace);
    out.clear();
    let (target, host) = (Target::new(b"/a").unwrap(), Authority::new(b"localhost").unwrap());
    let request = client::Request { keep_alive: true, ..client::Request::new(Method::Get, target, host, fields) };
    assert_eq!(connection.request(&request, out), Ok(SendBody::None));
    let answer = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello";
    connection.receive_buffer()[..answer.len()].copy_from_slice(answer);
    connection.received(answer.len());
    assert!(matches!(connection.poll(), Ok(client::Event::Response(_))));
    assert!(matches!(connection.poll(), Ok(client::Event::Body(b"hello"))));
    assert!(matches!(connection.poll(), Ok(client::Event::ResponseEnd)));
    connection.detach(workspace);
}

#[test]
fn a_client_works_in_the_memory_it_is_lent_and_keeps_none() {
    let mut workspace = Workspace::with_room(16_384);
    let (fields, mut out) = (FieldBlock::new(), Vec::with_capacity(512));
    ask(&mut client::Connection::new(Limits::default()), &mut workspace, &fields, &mut out); // it finds its size
    let measured = measure(|| {
        let mut connection = client::Connection::new(Limits::default());
        for _ in 0..100 {
            ask(&mut connection, &mut workspace, &fields, &mut out);
        }
        std::mem::forget(connection); // whatever it owned would be missed
    });
    assert_eq!((measured.count_total, measured.bytes_current), (0, 0));
}

// V20: what a slow peer has sent is kept, and little more.
#[test]
fn a_partial_head_owns_about_its_own_size() {
    let mut workspace = Workspace::with_room(16_384);
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
        // Grown by doubling, not copied for each byte.
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
