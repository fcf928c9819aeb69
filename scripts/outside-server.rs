//! A program outside the workspace that embeds `http-server` with a closure, and sends it a request over a socket.

use http_server::{Request, Response, Server};
use std::io::Write;
use std::net::TcpStream;

fn main() -> std::io::Result<()> {
    let running = Server::bind("127.0.0.1:0")?.start(|request: &Request<'_>| match &*request.path() {
        "/hello" => Response::text("hello\n"),
        _ => Response::not_found(),
    })?;

    let mut client = TcpStream::connect(running.local_addrs()[0])?;
    client.write_all(b"GET /%68ello HTTP/1.0\r\n\r\n")?;
    assert!(std::io::read_to_string(client)?.ends_with("\r\n\r\nhello\n"));
    println!("a server outside the workspace: ok");
    Ok(())
}
