//! Shared by the benchmarks: a browser's request, and one exchange with it in `http-core` and in `ureq-proto`.
#![allow(clippy::unwrap_used, clippy::panic)] // a benchmark stops at the first failure

use http::header::{CONTENT_LENGTH, HeaderValue};
use http_core::Workspace;
use http_core::server::{Connection, Event, Response, SendBody};
use ureq_proto::server::{RecvRequestResult, SendResponseResult};

/// The head of a page request by Chromium, 640 bytes.
pub const BROWSER: &[u8] = b"GET /folder/page.html?from=here HTTP/1.1\r\n\
Host: localhost:6789\r\n\
Connection: keep-alive\r\n\
Cache-Control: max-age=0\r\n\
sec-ch-ua: \"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
sec-ch-ua-mobile: ?0\r\n\
sec-ch-ua-platform: \"Linux\"\r\n\
Upgrade-Insecure-Requests: 1\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
Sec-Fetch-Site: none\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-User: ?1\r\n\
Sec-Fetch-Dest: document\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-GB,en;q=0.9\r\n\
\r\n";

const _: () = assert!(BROWSER.len() == 640); // figures for another request cannot be compared

/// Receives one request. The workspace belongs to the caller, as in a worker, so nothing is allocated.
pub fn receive<'c>(connection: &'c mut Connection, workspace: &mut Workspace) -> Event<'c> {
    connection.attach(workspace);
    connection.receive_buffer()[..BROWSER.len()].copy_from_slice(BROWSER);
    connection.received(BROWSER.len());
    connection.poll().unwrap()
}

/// Does one exchange: reads the request, writes the head of the response, and makes the connection ready for the next.
pub fn exchange(connection: &mut Connection, workspace: &mut Workspace, response: &Response<'_>, out: &mut Vec<u8>) {
    let Event::Request(_) = receive(connection, workspace) else { panic!() };
    out.clear();
    let Ok(SendBody::Exactly(length)) = connection.respond(response, out) else { panic!() };
    connection.body_sent(length).unwrap();
    let Ok(Event::NeedInput) = connection.poll() else { panic!() };
    connection.detach(workspace);
}

/// Does the same exchange in `ureq-proto` and returns the length of the response head.
///
/// `ureq-proto` reads from and writes to the caller's buffers, and has no connection between two exchanges.
pub fn exchange_in_ureq_proto(received: &[u8], out: &mut [u8]) -> usize {
    let mut request = ureq_proto::server::Reply::new().unwrap();
    let (used, head) = request.try_request(received).unwrap();
    assert!(used == received.len() && head.is_some());
    let Some(RecvRequestResult::ProvideResponse(state)) = request.proceed() else { panic!() };
    let mut response = http::Response::new(());
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("1024"));
    let mut state = state.provide(response).unwrap();
    let length = state.write(out).unwrap();
    let SendResponseResult::SendBody(mut body) = state.proceed() else { panic!() };
    body.consume_direct_write(1024).unwrap();
    assert!(!body.proceed().must_close_connection());
    length
}
