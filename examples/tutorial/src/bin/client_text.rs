//! A client that takes every response for text.

use std::env;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [host, port, file] = arguments.as_slice() else { return Err("usage: client HOST PORT FILE".into()) };
    let mut server = TcpStream::connect(format!("{host}:{port}"))?;
    let request = format!("GET /{file} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n");
    server.write_all(request.as_bytes())?;
    let mut response = String::new();
    server.read_to_string(&mut response)?;
    print!("{response}");
    Ok(())
}
