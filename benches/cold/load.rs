//! The load: keep-alive connections with one request outstanding each, one thread per connection.
//!
//! A slow disk limits the server to some thousand requests per second, so the threads cost little.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::slow::Call;
use crate::{BoxError, HOT, SMALL, WARM_UP, client};

/// Of each request in µs, in ascending order.
#[derive(Default)]
pub(crate) struct Latencies {
    pub(crate) cold: Vec<f64>,
    pub(crate) hot: Vec<f64>,
}

/// Requests random files over `connections` connections, and the hot file over one more.
pub(crate) fn run(
    port: u16,
    call: &Call,
    connections: usize,
    duration: Duration,
    with_hot: bool,
) -> Result<Latencies, BoxError> {
    let (directory, files, size) = (call.directory, call.files, call.size);
    if with_hot {
        request_repeatedly(port, WARM_UP, SMALL, || HOT.into())?; // so that it is cached
    }
    thread::scope(|scope| {
        let hot = with_hot.then(|| scope.spawn(|| request_repeatedly(port, duration, SMALL, || HOT.into())));
        let request_cold = |mut random: u64| {
            let path = move || format!("{directory}/{}.txt", next(&mut random) % files as u64);
            scope.spawn(move || request_repeatedly(port, duration, size, path))
        };
        let cold: Vec<_> = (1..=connections as u64).map(request_cold).collect();
        let mut latencies = Latencies::default();
        for thread in cold {
            latencies.cold.extend(thread.join().map_err(|_| "a connection panicked")??);
        }
        if let Some(thread) = hot {
            latencies.hot = thread.join().map_err(|_| "the hot connection panicked")??;
        }
        latencies.cold.sort_by(f64::total_cmp);
        latencies.hot.sort_by(f64::total_cmp);
        Ok(latencies)
    })
}

/// The value that this percentage of the values does not exceed.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// Sends requests over one connection for this long, and returns the latencies of those that were answered in time.
fn request_repeatedly(
    port: u16,
    duration: Duration,
    size: usize,
    mut path: impl FnMut() -> String,
) -> Result<Vec<f64>, BoxError> {
    let mut stream = client::connect(port)?;
    stream.set_nodelay(true)?;
    let end = Instant::now() + duration;
    let mut latencies = Vec::new();
    loop {
        let path = path();
        let sent = Instant::now();
        // As browsers do. So ours looks for precompressed files.
        let request = format!("GET /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let (response, body) = client::receive(&mut stream)?;
        let length = response.len() - body;
        if length != size {
            return Err(format!("{path} has {length} bytes instead of {size}").into());
        }
        if Instant::now() > end {
            return Ok(latencies);
        }
        latencies.push(sent.elapsed().as_secs_f64() * 1e6);
    }
}

/// The next number of a generator by Marsaglia (xorshift), from any state but 0.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
