//! A client and a server talk to each other with no socket at all.
//!
//! It teaches what "sans-IO" means: the protocol is a value that is given octets and gives octets back. Two such values
//! and two vectors make an exchange that can be tested, replayed and looked at, byte for byte.
//!
//!     cargo run --bin in_memory

use std::error::Error;

use http_core::{Authority, FieldBlock, FieldValue, Limits, Method, Status, Target, client, name, server};

fn main() -> Result<(), Box<dyn Error>> {
    let mut client = client::Connection::new(Limits::default());
    let mut server = server::Connection::new(Limits::default());

    for path in ["/HelloWorld.html", "/no-such-file"] {
        // The client asks, and means to ask again over the same connection.
        let host = Authority::new(b"localhost:6789").ok_or("no host")?;
        let fields = FieldBlock::new();
        let target = Target::new(path.as_bytes())?;
        let request = client::Request { keep_alive: true, ..client::Request::new(Method::Get, target, host, &fields) };
        let mut to_server = Vec::new();
        let _no_body = client.request(&request, &mut to_server)?;
        print!("{}", String::from_utf8_lossy(&to_server));

        // The server answers. A byte at a time, to show that it makes no difference.
        let mut to_client = Vec::new();
        for octet in to_server {
            server.space()[0] = octet;
            server.received(1);
            if let server::Event::Request(request) = server.poll()? {
                let (status, body) = match request.target.path() {
                    "/HelloWorld.html" => (Status::OK, "<h1>Hello, World!</h1>\n"),
                    _ => (Status::NOT_FOUND, "<h1>There is no such file here.</h1>\n"),
                };
                let mut fields = FieldBlock::new();
                fields.push(name::CONTENT_TYPE, FieldValue::from_static("text/html; charset=utf-8"))?;
                let body = server::ReplyBody::Octets(body.as_bytes());
                let _whole =
                    server.respond(&server::Reply { body, ..server::Reply::new(status, &fields) }, &mut to_client)?;
            }
        }
        print!("{}", String::from_utf8_lossy(&to_client));

        // The client understands what came.
        client.space()[..to_client.len()].copy_from_slice(&to_client);
        client.received(to_client.len());
        loop {
            match client.poll()? {
                client::Event::Response(head) => println!("-- the client reads: {}", head.status),
                client::Event::Body(octets) => println!("-- and {} octets", octets.len()),
                _ => break,
            }
        }
        println!("-- the connection is kept: {}\n", client.may_reuse());
    }
    Ok(())
}
