//! A client and a server exchange messages in memory, without a socket.
//!
//! It teaches what "sans-IO" means: the protocol is a value that gets bytes and returns bytes. Two such values and two
//! vectors make an exchange that can be tested, replayed and inspected, byte for byte.
//!
//!     cargo run --bin in_memory

use std::error::Error;

use http_core::{Authority, FieldBlock, FieldValue, Limits, Method, Status, Target, client, header, server};

fn main() -> Result<(), Box<dyn Error>> {
    let mut client = client::Connection::new(Limits::default());
    let mut server = server::Connection::new(Limits::default());

    for path in ["/HelloWorld.html", "/no-such-file"] {
        // The client sends a request, and wants to use the connection again.
        let host = Authority::new(b"localhost:6789")?;
        let fields = FieldBlock::new();
        let target = Target::new(path.as_bytes())?;
        let request = client::Request { keep_alive: true, ..client::Request::new(Method::Get, target, host, &fields) };
        let mut to_server = Vec::new();
        let _no_body = client.request(&request, &mut to_server)?;
        print!("{}", String::from_utf8_lossy(&to_server));

        // The server receives it byte by byte, to show that the split makes no difference, and responds.
        let mut to_client = Vec::new();
        for byte in to_server {
            server.receive(&[byte]);
            if let server::Event::Request(request) = server.poll()? {
                let (status, body) = match &*request.path.decoded() {
                    b"/HelloWorld.html" => (Status::OK, "<h1>Hello, World!</h1>\n"),
                    _ => (Status::NOT_FOUND, "<h1>Not found</h1>\n"),
                };
                let mut fields = FieldBlock::new();
                fields.push(header::CONTENT_TYPE, FieldValue::from_static("text/html; charset=utf-8"))?;
                let body = server::ResponseBody::Bytes(body.as_bytes());
                let response = server::Response { body, ..server::Response::new(status, &fields) };
                let _no_more = server.respond(&response, &mut to_client)?;
            }
        }
        print!("{}", String::from_utf8_lossy(&to_client));

        // The client reads the response.
        client.receive(&to_client);
        loop {
            match client.poll()? {
                client::Event::Response(head) => println!("-- the client received: {}", head.status),
                client::Event::Body(bytes) => println!("-- and {} bytes", bytes.len()),
                _ => break,
            }
        }
        println!("-- the connection can be reused: {}\n", client.can_reuse());
    }
    Ok(())
}
