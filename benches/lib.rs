//! What the benchmarks share: the request that a browser sends, and how it is received and answered.
#![allow(clippy::unwrap_used, clippy::panic)] // a benchmark that goes wrong is to stop

use http::header::{CONTENT_LENGTH, HeaderValue};
use http_core::Workspace;
use http_core::server::{Connection, Event, Response, SendBody};
use ureq_proto::server::{RecvRequestResult, SendResponseResult};

/// A request head of 640 bytes, as Chromium sends it for a page.
pub const BROWSER: &[u8] = b"GET /directory/page.html?from=here HTTP/1.1\r\n\
Host: localhost:6789\r\n\
Connection: keep-alive\r\n\
Cache-Control: max-age=0\r\n\
sec-ch-ua: \"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
sec-ch-ua-mobile: ?0\r\n\
sec-ch-ua-platform: \"Linux\"\r\n\
Upgrade-Insecure-Requests: 1\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
Sec-Fetch-Shared: none\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-User: ?1\r\n\
Sec-Fetch-Dest: document\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-GB,en;q=0.9\r\n\
\r\n";

/// Receives one request; the workspace is a worker's, so nothing is allocated.
pub fn receive<'c>(connection: &'c mut Connection, workspace: &mut Workspace) -> Event<'c> {
    connection.attach(workspace);
    connection.receive_buffer()[..BROWSER.len()].copy_from_slice(BROWSER);
    connection.received(BROWSER.len());
    connection.poll().unwrap()
}

/// One whole exchange: the request in, the head of the reply out, and the connection ready for the next.
pub fn exchange(connection: &mut Connection, workspace: &mut Workspace, reply: &Response<'_>, out: &mut Vec<u8>) {
    let Event::Request(_) = receive(connection, workspace) else { panic!() };
    out.clear();
    let Ok(SendBody::Exactly(length)) = connection.respond(reply, out) else { panic!() };
    connection.body_sent(length).unwrap();
    let Ok(Event::NeedInput) = connection.poll() else { panic!() };
    connection.detach(workspace);
}

/// The same exchange in `ureq-proto`, which reads and writes where its caller says and has no connection between two
/// exchanges; gives the bytes of the reply's head.
pub fn exchange_of_ureq_proto(received: &[u8], out: &mut [u8]) -> usize {
    let mut request = ureq_proto::server::Reply::new().unwrap();
    let (used, head) = request.try_request(received).unwrap();
    assert!(used == received.len() && head.is_some());
    let Some(RecvRequestResult::ProvideResponse(reply)) = request.proceed() else { panic!() };
    let mut response = http::Response::new(());
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("1024"));
    let mut reply = reply.provide(response).unwrap();
    let length = reply.write(out).unwrap();
    let SendResponseResult::SendBody(mut body) = reply.proceed() else { panic!() };
    body.consume_direct_write(1024).unwrap();
    assert!(!body.proceed().must_close_connection());
    length
}
