//! The finished server: no read or write waits for longer than two seconds.

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

const WORKERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(2);
const LARGEST_HEAD: usize = 8192;

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:6789".to_string());
    let listener = TcpListener::bind(address)?;
    println!("listening on http://{}/", listener.local_addr()?);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| work(&listener));
        }
    });
    Ok(())
}

fn work(listener: &TcpListener) {
    for stream in listener.incoming() {
        if let Err(error) = stream.and_then(serve) {
            eprintln!("{error}");
        }
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = read_head(&mut stream)?;
    let Some(name) = requested_path(&head).and_then(file_name) else {
        return respond(&mut stream, "400 Bad Request", "text/plain", b"This is no request for a file.\n");
    };
    match open(&name) {
        Ok((file, length)) => {
            stream.write_all(head_of("200 OK", media_type(&name), length).as_bytes())?;
            if io::copy(&mut file.take(length), &mut stream)? < length {
                return Err(io::Error::other("the file became shorter while it was sent"));
            }
            Ok(())
        }
        Err(_) => respond(&mut stream, "404 Not Found", "text/plain", b"There is no such file.\n"),
    }
}

fn respond(stream: &mut TcpStream, status: &str, media_type: &str, body: &[u8]) -> io::Result<()> {
    stream.write_all(head_of(status, media_type, body.len() as u64).as_bytes())?;
    stream.write_all(body)
}

fn media_type(name: &Path) -> &'static str {
    match name.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("png") => "image/png",
        _ => "text/plain; charset=utf-8",
    }
}

fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    let deadline = Instant::now() + PATIENCE;
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::other("the request took too long"));
        }
        stream.set_read_timeout(Some(left))?;
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(io::Error::other("the request ends within its head"));
        }
        head.extend_from_slice(&buffer[..length]);
        if head.len() > LARGEST_HEAD {
            return Err(io::Error::other("the head is too large"));
        }
    }
    String::from_utf8(head).map_err(io::Error::other)
}

fn requested_path(head: &str) -> Option<&str> {
    let mut words = head.lines().next()?.split(' ');
    let (Some("GET"), Some(path), Some(_version)) = (words.next(), words.next(), words.next()) else { return None };
    path.strip_prefix('/')
}

fn file_name(path: &str) -> Option<PathBuf> {
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    plain.then(|| Path::new("www").join(path))
}

fn head_of(status: &str, media_type: &str, length: u64) -> String {
    format!("HTTP/1.0 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n")
}

fn open(name: &Path) -> io::Result<(File, u64)> {
    let file = File::open(name)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("this is not a file"));
    }
    Ok((file, metadata.len()))
}
