//! The measured client: it requests one small file over a keep-alive connection, one request after the other.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::{BoxError, SMALL};

/// The time of each response, in ascending order.
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time within which `permille` out of 1,000 responses arrived.
    pub(crate) fn percentile(&self, permille: usize) -> Duration {
        let index = (self.0.len() * permille).div_ceil(1000).saturating_sub(1);
        self.0.get(index).copied().unwrap_or_default()
    }
}

/// Sends requests for this long. An error ends it early and is returned beside the latencies.
pub(crate) fn run(port: u16, duration: Duration) -> (Latencies, Option<String>) {
    let mut latencies = Vec::new();
    let error = send_requests(&mut latencies, port, duration).err().map(|error| error.to_string());
    latencies.sort_unstable();
    (Latencies(latencies), error)
}

fn send_requests(latencies: &mut Vec<Duration>, port: u16, duration: Duration) -> Result<(), BoxError> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request = format!("GET /{} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", SMALL.0);
    let mut response = vec![0; SMALL.1 + 1024];
    let end = Instant::now() + duration;
    while Instant::now() < end {
        let sent = Instant::now();
        stream.write_all(request.as_bytes())?;
        let mut length = 0;
        loop {
            let n = stream.read(&mut response[length..])?;
            length += n;
            let received = &response[..length];
            if n == 0 || !received.starts_with(&b"HTTP/1.0 200 "[..length.min(13)]) {
                let shown = String::from_utf8_lossy(&received[..length.min(200)]);
                return Err(format!("unexpected response: {shown:?}").into());
            }
            let head = received.windows(4).position(|four| four == b"\r\n\r\n");
            if head.is_some_and(|end| length == end + 4 + SMALL.1) {
                break;
            }
        }
        latencies.push(sent.elapsed());
    }
    Ok(())
}
