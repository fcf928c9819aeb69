//! What `wrk` does not do: a free port, a first request whose answer is compared, and idle connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::Why;
use crate::process::Process;
use crate::works::SMALL;

pub(crate) fn free_port() -> Result<u16, Why> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

pub(crate) fn connect(port: u16) -> Result<TcpStream, Why> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

pub(crate) fn wait_until_ready(port: u16, process: &mut Process) -> Result<(), Why> {
    let end = Instant::now() + Duration::from_secs(5);
    while connect(port).is_err() {
        if process.has_ended() || Instant::now() > end {
            return Err("does not start".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The content of a file, by an exchange that leaves the connection open if the server does.
pub(crate) fn get(stream: &mut TcpStream, file: &str) -> Result<Vec<u8>, Why> {
    stream.write_all(format!("GET /{file} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let length: usize = length.ok_or("an answer has no length")?;
            if head.split(' ').nth(1) != Some("200") {
                return Err(format!("answers {}", head.lines().next().unwrap_or_default()).into());
            }
            if answer.len() >= end + 4 + length {
                return Ok(answer.split_off(end + 4));
            }
        }
        match stream.read(&mut piece) {
            Ok(0) => return Err("an answer is cut short".into()),
            Ok(n) => answer.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err("does not answer within 5 s".into()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Connections that have each had an answer and stay open.
pub(crate) fn idle(port: u16, count: usize) -> Result<Vec<TcpStream>, Why> {
    let open = |_| -> Result<_, Why> {
        let mut stream = connect(port)?;
        get(&mut stream, SMALL)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    };
    let opened = |i| open(i).map_err(|why| format!("idle connection {i}: {why}").into());
    (1..=count).map(opened).collect()
}

/// How many of them the server has ended.
pub(crate) fn ended(idle: &[TcpStream]) -> usize {
    let open = |stream: &&TcpStream| stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    idle.len() - idle.iter().filter(open).count()
}
