//! Requests one at a time: a first one whose response is compared, those of idle connections, and those for cold files.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::BoxError;
use crate::process::Process;

pub(crate) fn free_port() -> Result<u16, BoxError> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

pub(crate) fn connect(port: u16) -> Result<TcpStream, BoxError> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

pub(crate) fn wait_until_ready(port: u16, process: &mut Process) -> Result<(), BoxError> {
    let end = Instant::now() + Duration::from_secs(5);
    while connect(port).is_err() {
        if process.has_ended() || Instant::now() > end {
            return Err("does not start".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Fetches a file. The connection stays open if the server leaves it open.
pub(crate) fn get(stream: &mut TcpStream, file: &str) -> Result<Vec<u8>, BoxError> {
    stream.write_all(request(file).as_bytes())?;
    let (mut response, body) = receive(stream)?;
    Ok(response.split_off(body))
}

pub(crate) fn request(file: &str) -> String {
    format!("GET /{file} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
}

/// Receives a response of status 200, and says where its body begins.
pub(crate) fn receive(stream: &mut TcpStream) -> Result<(Vec<u8>, usize), BoxError> {
    let mut response = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        if let Some(end) = response.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&response[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let length: usize = length.ok_or("a response has no Content-Length")?;
            if head.split(' ').nth(1) != Some("200") {
                return Err(format!("unexpected response: {}", head.lines().next().unwrap_or_default()).into());
            }
            if response.len() >= end + 4 + length {
                return Ok((response, end + 4));
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Err("a response is truncated".into()),
            Ok(n) => response.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err("no response within 5 s".into()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens connections that receive one response each and stay open.
pub(crate) fn open_idle(port: u16, file: &str, count: usize) -> Result<Vec<TcpStream>, BoxError> {
    let open = |_| -> Result<_, BoxError> {
        let mut stream = connect(port)?;
        get(&mut stream, file)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    };
    let opened = |i| open(i).map_err(|error| format!("idle connection {i}: {error}").into());
    (1..=count).map(opened).collect()
}

/// Counts the connections that the server has closed.
pub(crate) fn count_closed(idle: &[TcpStream]) -> usize {
    let open = |stream: &&TcpStream| stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    idle.len() - idle.iter().filter(open).count()
}
