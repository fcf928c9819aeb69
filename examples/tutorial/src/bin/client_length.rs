//! The finished client. A response that is cut short is an error.

use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [host, port, file] = arguments.as_slice() else { return Err("usage: client HOST PORT FILE".into()) };
    let mut server = TcpStream::connect(format!("{host}:{port}"))?;
    let request = format!("GET /{file} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n");
    server.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    server.read_to_end(&mut response)?;
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or("this is not an HTTP response")?;
    let (head, body) = (String::from_utf8_lossy(&response[..end + 2]), &response[end + 4..]);
    eprint!("{head}");
    io::stdout().write_all(body)?;
    if let Some(length) = content_length(&head)
        && body.len() < length
    {
        return Err(format!("the response ends after {} of {length} bytes", body.len()).into());
    }
    Ok(())
}

fn content_length(head: &str) -> Option<usize> {
    head.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })
}
