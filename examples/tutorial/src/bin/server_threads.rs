//! The server with a thread for each connection, however many there are.

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

static THREADS: AtomicUsize = AtomicUsize::new(0);

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:6789".to_string());
    let listener = TcpListener::bind(address)?;
    println!("listening on http://{}/", listener.local_addr()?);
    for stream in listener.incoming() {
        println!("threads: {}", THREADS.fetch_add(1, Relaxed) + 1);
        thread::spawn(|| {
            if let Err(error) = stream.and_then(serve) {
                eprintln!("{error}");
            }
            THREADS.fetch_sub(1, Relaxed);
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer)?;
    let request = String::from_utf8_lossy(&buffer[..length]);
    let path = request.split(' ').nth(1).unwrap_or("/");
    let name = Path::new("www").join(path.strip_prefix('/').unwrap());
    match fs::read(&name) {
        Ok(body) => respond(&mut stream, "200 OK", media_type(&name), &body),
        Err(_) => respond(&mut stream, "404 Not Found", "text/plain", b"There is no such file.\n"),
    }
}

fn respond(stream: &mut TcpStream, status: &str, media_type: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.0 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

fn media_type(name: &Path) -> &'static str {
    match name.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("png") => "image/png",
        _ => "text/plain; charset=utf-8",
    }
}
