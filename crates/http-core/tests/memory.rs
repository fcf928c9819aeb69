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

/// Serves a request completely, its body included.
fn serve(connection: &mut Connection, workspace: &mut Workspace, request: &[u8], out: &mut Vec<u8>) {
    const FIELDS: &FieldBlock = &FieldBlock::new();
    connection.attach(workspace);
    receive(connection, request);
    out.clear();
    loop {
        match connection.poll() {
            Ok(Event::Request(_) | Event::Body(_)) => {}
            Ok(Event::NeedOutput) => {
                let body = ResponseBody::Bytes(b"hello");
                let response = Response { body, ..Response::new(Status::OK, FIELDS) };
                assert_eq!(connection.respond(&response, out), Ok(SendBody::None));
            }
            Ok(Event::NeedInput) => break,
            other => panic!("{other:?}"),
        }
    }
    connection.detach(workspace);
}

#[test]
fn thousand_exchanges_of_a_kept_connection_allocate_nothing() {
    let many = format!("GET /b HTTP/1.1\r\nHost: b\r\n{}\r\n", "X-Name: a value\r\n".repeat(99));
    let requests = [
        REQUEST,
        b"POST /form HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\na=b&c",
        b"HEAD /a%20b/../c?d HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        many.as_bytes(),
    ];
    let (mut workspace, mut out) = (Workspace::with_capacity(16_384), Vec::with_capacity(512));
    serve(&mut Connection::new(Limits::default()), &mut workspace, many.as_bytes(), &mut out); // grows the workspace
    let measured = measure(|| {
        let mut connection = Connection::new(Limits::default());
        for request in requests.iter().cycle().take(1000) {
            serve(&mut connection, &mut workspace, request, &mut out);
        }
        std::mem::forget(connection); // what it owned would stay allocated
    });
    assert_eq!((measured.count_total, measured.bytes_current), (0, 0));
}

#[test]
fn idle_connection_owns_no_memory() {
    let (mut workspace, mut out) = (Workspace::with_capacity(16_384), Vec::with_capacity(512));
    serve(&mut Connection::new(Limits::default()), &mut workspace, REQUEST, &mut out);
    let measured = measure(|| {
        let mut connection = Connection::new(Limits::default());
        serve(&mut connection, &mut workspace, REQUEST, &mut out);
        assert_eq!(connection.heap_size(), 0);
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
fn ask(connection: &mut client::Connection, workspace: &mut Workspace, response: &[u8], out: &mut Vec<u8>) {
    const FIELDS: &FieldBlock = &FieldBlock::new();
    connection.attach(workspace);
    out.clear();
    let (target, host) = (Target::new(b"/a").unwrap(), Authority::new(b"localhost").unwrap());
    let request = client::Request { keep_alive: true, ..client::Request::new(Method::Get, target, host, FIELDS) };
    assert_eq!(connection.request(&request, out), Ok(SendBody::None));
    connection.receive_buffer()[..response.len()].copy_from_slice(response);
    connection.received(response.len());
    loop {
        match connection.poll() {
            Ok(client::Event::Response(_) | client::Event::Body(_)) => {}
            Ok(client::Event::ResponseEnd) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(connection.can_reuse());
    connection.detach(workspace);
}

#[test]
fn thousand_exchanges_of_a_client_allocate_nothing() {
    let many = format!("HTTP/1.1 304 Not Modified\r\n{}\r\n", "X-Name: a value\r\n".repeat(100));
    let responses = [
        &b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"[..],
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nServer: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nA: b\r\n\r\n",
        many.as_bytes(),
    ];
    let (mut workspace, mut out) = (Workspace::with_capacity(16_384), Vec::with_capacity(512));
    ask(&mut client::Connection::new(Limits::default()), &mut workspace, many.as_bytes(), &mut out); // grows the workspace
    let measured = measure(|| {
        let mut connection = client::Connection::new(Limits::default());
        for response in responses.iter().cycle().take(1000) {
            ask(&mut connection, &mut workspace, response, &mut out);
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

// A body of 1 GiB is received 64 KiB at a time, and a head within its limit.
#[test]
fn client_receives_a_body_into_the_whole_workspace() {
    let mut workspace = Workspace::with_capacity(1 << 16);
    let mut connection = client::Connection::new(Limits::default());
    connection.attach(&mut workspace);
    let (host, fields) = (Authority::new(b"h").unwrap(), FieldBlock::new());
    let request = client::Request::new(Method::Get, Target::new(b"/").unwrap(), host, &fields);
    let _no_body = connection.request(&request, &mut Vec::new()).unwrap();
    assert_eq!(connection.receive_buffer().len(), Limits::default().head as usize);
    connection.receive(b"HTTP/1.0 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    assert!(matches!(connection.poll(), Ok(client::Event::Response(_))));
    let mut left = 1_000_000;
    while left > 0 {
        assert!(matches!(connection.poll(), Ok(client::Event::NeedInput)));
        assert_eq!(connection.receive_buffer().len(), 1 << 16);
        let n = left.min(1 << 16);
        connection.received(n);
        assert!(matches!(connection.poll(), Ok(client::Event::Body(bytes)) if bytes.len() == n));
        left -= n;
    }
    assert!(matches!(connection.poll(), Ok(client::Event::ResponseEnd)));
}

#[test]
fn machines_move_between_threads() {
    fn moves<T: Send + 'static>(_: &T) {}
    moves(&Connection::new(Limits::default()));
    moves(&client::Connection::new(Limits::default()));
}
