//! Writes an accepted head again with the library's own encoder, and checks that the other machine reads the same back.
//!
//! What the encoder decides itself is left out: the version, the reason phrase, and the fields that it reserves.

use http_core::server::{Event, RequestHead, Response, ResponseBody};
use http_core::{Authority, FieldBlock, Fields, Framing, Limits, Method, Status, Target, client, header, server};

/// The client writes the head of a request, for a server and for a proxy.
pub(crate) fn request(head: &RequestHead<'_>) {
    let fields = unreserved(&head.fields);
    let own_host = head.fields.only(header::HOST).map(|host| Authority::new(host.as_bytes()).unwrap());
    let host = own_host.unwrap_or(Authority::new(b"a").unwrap());
    let body = if let Framing::Length(bytes) = head.body { Some(bytes) } else { None };
    // R9112-3.2.4: the server as a whole is `*`, or the URL of its root without a slash.
    let target = head.target.as_str();
    let whole_server = head.method == Method::Options
        && (target == "*" || (!target.starts_with('/') && !target[7..].contains(['/', '?'])));
    for to_proxy in [false, true] {
        let request =
            client::Request { body, to_proxy, ..client::Request::new(head.method, head.target, host, &fields) };
        let mut out = Vec::new();
        let _body = client::Connection::new(Limits::default()).request(&request, &mut out).unwrap();
        let mut server = server::Connection::new(Limits::default());
        assert_eq!(server.receive(&out), out.len());
        let Ok(Event::Request(again)) = server.poll() else { panic!("refused: {}", out.escape_ascii()) };
        assert_eq!(again.method, head.method);
        if !whole_server {
            assert_eq!((again.target.raw_path(), again.target.query()), (head.target.raw_path(), head.target.query()));
            assert_eq!(again.path.decoded(), head.path.decoded());
        }
        let authority = head.target.authority().unwrap_or(host).as_str();
        assert_eq!(again.fields.only(header::HOST).unwrap().as_bytes(), authority.as_bytes());
        assert_eq!(again.target.authority().map(|to| to.as_str()), to_proxy.then_some(authority));
        assert_eq!((unreserved(&again.fields), again.body), (fields.clone(), head.body));
    }
}

/// The server writes the head of a response to this method.
pub(crate) fn response(head: &client::ResponseHead<'_>, method: Method<'_>) {
    let mut server = server::Connection::new(Limits::default());
    server.receive(&[method.as_str().as_bytes(), b" / HTTP/1.0\r\n\r\n"].concat());
    assert!(matches!(server.poll(), Ok(Event::Request(_))));
    let fields = unreserved(&head.fields);
    let length = head.content_length();
    let body = length.map_or(ResponseBody::UntilClose, ResponseBody::Length);
    let mut out = Vec::new();
    let _body = server.forward(&Response { body, ..Response::new(head.status, &fields) }, &mut out).unwrap();

    let mut client = client::Connection::new(Limits::default());
    let (target, host, no_fields) = (Target::new(b"/").unwrap(), Authority::new(b"a").unwrap(), FieldBlock::new());
    let request = client::Request::new(method, target, host, &no_fields);
    let _no_body = client.request(&request, &mut Vec::new()).unwrap();
    assert_eq!(client.receive(&out), out.len());
    let Ok(client::Event::Response(again)) = client.poll() else { panic!("refused: {}", out.escape_ascii()) };
    assert_eq!((again.status, unreserved(&again.fields)), (head.status, fields));
    // R9110-8.6a: a 204 and a 304 are sent without a length.
    let sends_length = !matches!(head.status, Status::NO_CONTENT | Status::NOT_MODIFIED);
    assert_eq!(again.content_length(), length.filter(|_| sends_length));
    // R9112-6.1d: chunks are passed on until the close.
    assert_eq!(again.body, if head.body == Framing::Chunked { Framing::UntilClose } else { head.body });
}

fn unreserved(fields: &Fields<'_>) -> FieldBlock {
    let mut block = FieldBlock::new();
    for (name, value) in fields.iter() {
        let _reserved = block.push(name, value);
    }
    block
}
