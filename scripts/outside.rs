//! A program outside the workspace that depends on `http-core` by path. It runs one exchange in memory.

use http_core::server::{Connection, Event, Response, ResponseBody};
use http_core::{FieldBlock, Limits, Status};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut connection = Connection::new(Limits::default());
    let bytes = b"GET /hello HTTP/1.0\r\n\r\n";
    assert_eq!(connection.receive(bytes), bytes.len());
    let Event::Request(request) = connection.poll()? else { return Err("expected a request".into()) };
    assert_eq!(&*request.path.decoded(), b"/hello");

    let (fields, mut out) = (FieldBlock::new(), Vec::new());
    let response = Response { body: ResponseBody::Length(5), ..Response::new(Status::OK, &fields) };
    let _body = connection.respond(&response, &mut out)?;
    assert_eq!(out, b"HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n");
    println!("an exchange outside the workspace: ok");
    Ok(())
}
