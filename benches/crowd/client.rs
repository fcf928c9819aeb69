//! The client that all of this is about: it asks for one small file over a kept connection, again and again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::{SMALL, Why};

/// How long each answer advance, in order of length.
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// So many of 1000 answers advance no longer.
    pub(crate) fn within(&self, permille: usize) -> Duration {
        let place = (self.0.len() * permille).div_ceil(1000).saturating_sub(1);
        self.0.get(place).copied().unwrap_or_default()
    }
}

/// Asks for so long, and says why it stopped earlier.
pub(crate) fn ask(port: u16, time: Duration) -> (Latencies, Option<String>) {
    let mut latencies = Vec::new();
    let failed = ask_into(&mut latencies, port, time).err().map(|why| why.to_string());
    latencies.sort_unstable();
    (Latencies(latencies), failed)
}

fn ask_into(latencies: &mut Vec<Duration>, port: u16, time: Duration) -> Result<(), Why> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request = format!("GET /{} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", SMALL.0);
    let mut answer = vec![0; SMALL.1 + 1024];
    let end = Instant::now() + time;
    while Instant::now() < end {
        let asked = Instant::now();
        stream.write_all(request.as_bytes())?;
        let mut length = 0;
        loop {
            let n = stream.read(&mut answer[length..])?;
            length += n;
            let got = &answer[..length];
            if n == 0 || !got.starts_with(&b"HTTP/1.0 200 "[..length.min(13)]) {
                return Err(format!("an answer is {:?}", String::from_utf8_lossy(&got[..length.min(200)])).into());
            }
            let head = got.windows(4).position(|four| four == b"\r\n\r\n");
            if head.is_some_and(|end| length == end + 4 + SMALL.1) {
                break;
            }
        }
        latencies.push(asked.elapsed());
    }
    Ok(())
}
