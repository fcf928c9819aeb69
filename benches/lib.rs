//! Shared by the benchmarks: heads of several sizes, and what `http-core` and `ureq-proto` do with them.
#![allow(clippy::unwrap_used, clippy::panic)] // a benchmark stops at the first failure

use http::header::{CONTENT_LENGTH, HeaderValue};
use http_core::server::{Connection, Event, Response, SendBody};
use http_core::{Authority, FieldBlock, Method, Target, Workspace, client};
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

/// The head of a request by curl, 80 bytes.
pub const CURL: &[u8] = b"GET /a.txt HTTP/1.1\r\n\
Host: localhost:6789\r\n\
User-Agent: curl/8.5\r\n\
Accept: */*\r\n\
\r\n";

/// The head of a response by nginx, 400 bytes.
pub const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
Server: nginx/1.22.1\r\n\
Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
Content-Type: text/html; charset=utf-8\r\n\
Content-Length: 1024\r\n\
Last-Modified: Sat, 05 Nov 1994 20:00:00 GMT\r\n\
Connection: keep-alive\r\n\
Keep-Alive: timeout=75\r\n\
ETag: \"2eb9a4d0-4000\"\r\n\
Expires: Sun, 06 Nov 1994 09:49:37 GMT\r\n\
Cache-Control: no-cache\r\n\
X-Content-Type-Options: nosniff\r\n\
Vary: Accept-Encoding\r\n\
Accept-Ranges: bytes\r\n\
\r\n";

// Figures for other heads cannot be compared.
const _: () = assert!(CURL.len() == 80 && BROWSER.len() == 640 && RESPONSE.len() == 400);

/// The same request as [`BROWSER`] with a Referer and a long Cookie, 4,000 bytes.
pub fn with_cookies() -> Vec<u8> {
    let mut head = BROWSER[..BROWSER.len() - 2].to_vec();
    head.extend_from_slice(b"Referer: http://localhost:6789/folder/\r\nCookie: session=");
    while head.len() < 4000 - "\r\n\r\n".len() {
        let cookie = b"0a1b2c3d4e5f60718293a4b5c6d7e8f9; _ga=GA1.1.1234567890.1700000000; theme=dark; id=";
        let space = 4000 - "\r\n\r\n".len() - head.len();
        head.extend_from_slice(&cookie[..cookie.len().min(space)]);
    }
    head.extend_from_slice(b"\r\n\r\n");
    head
}

/// Receives one request. The workspace belongs to the caller, as in a worker, so nothing is allocated.
pub fn receive<'c>(connection: &'c mut Connection, workspace: &mut Workspace, head: &[u8]) -> Event<'c> {
    connection.attach(workspace);
    connection.receive_buffer()[..head.len()].copy_from_slice(head);
    connection.received(head.len());
    connection.poll().unwrap()
}

/// Makes one request and receives the head of its response.
pub fn request<'c>(
    connection: &'c mut client::Connection,
    workspace: &mut Workspace,
    out: &mut Vec<u8>,
    response: &[u8],
) -> client::Event<'c> {
    const FIELDS: &FieldBlock = &FieldBlock::new();
    let (target, host) = (Target::new(b"/a.txt").unwrap(), Authority::new(b"localhost").unwrap());
    let request = client::Request { keep_alive: true, ..client::Request::new(Method::Head, target, host, FIELDS) };
    out.clear();
    assert_eq!(connection.request(&request, out), Ok(client::SendBody::None));
    connection.attach(workspace);
    connection.receive_buffer()[..response.len()].copy_from_slice(response);
    connection.received(response.len());
    connection.poll().unwrap()
}

/// Does one exchange: reads the request, writes the head of the response, and makes the connection ready for the next.
pub fn exchange(
    connection: &mut Connection,
    workspace: &mut Workspace,
    head: &[u8],
    response: &Response<'_>,
    out: &mut Vec<u8>,
) {
    let Event::Request(_) = receive(connection, workspace, head) else { panic!() };
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
