//! A cheap load generator. It sends several requests at once, and counts responses by their bytes.
//!
//! Every response is as long as the first. Whether all were is checked when the load ends.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

use crate::process::Process;
use crate::{BoxError, client};

/// Requests in one write. The next ones are sent when half of the responses to the last ones may still be missing.
pub(crate) const BATCH: usize = 8;

pub(crate) struct Figures {
    /// Responses per second.
    pub(crate) rate: f64,
    /// Processor time of the server per request, in µs.
    pub(crate) cpu: f64,
}

struct Connection {
    stream: TcpStream,
    /// Bytes of the responses that were requested and have not arrived.
    missing: usize,
}

const WARM_UP: Duration = Duration::from_millis(500);

/// Requests `file` over `connections` connections from some threads, and measures after a warm-up.
pub(crate) fn run(
    server: &Process,
    port: u16,
    file: &str,
    connections: usize,
    threads: usize,
    duration: Duration,
) -> Result<Figures, BoxError> {
    let length = response_length(&mut client::connect(port)?, file)?;
    let requests = client::request(file).repeat(BATCH);
    let (received, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let load = |connections| drive(port, &requests, length, connections, &received, &stop);
        let threads: Vec<_> = (0..threads)
            .map(|thread| (connections + thread) / threads) // as evenly as possible
            .map(|connections| scope.spawn(move || load(connections)))
            .collect();
        thread::sleep(WARM_UP);
        let (bytes, cpu, started) = (received.load(Ordering::Relaxed), server.cpu()?, Instant::now());
        thread::sleep(duration);
        let (bytes, elapsed) = (received.load(Ordering::Relaxed) - bytes, started.elapsed());
        let cpu = server.cpu()? - cpu;
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            for mut stream in thread.join().map_err(|_| "the load generator panicked")?? {
                // After a response of another length, its end would not be where it is expected.
                if response_length(&mut stream, file)? != length {
                    return Err("responses differ in length".into());
                }
            }
        }
        let responses = bytes as f64 / length as f64;
        Ok(Figures { rate: responses / elapsed.as_secs_f64(), cpu: cpu * 1e6 / responses })
    })
}

fn response_length(stream: &mut TcpStream, file: &str) -> Result<usize, BoxError> {
    stream.write_all(client::request(file).as_bytes())?;
    Ok(client::receive(stream)?.0.len())
}

/// Keeps up to one and a half batches of requests on each connection. At the end it awaits all responses and returns
/// the connections.
fn drive(
    port: u16,
    requests: &str,
    length: usize,
    connections: usize,
    received: &AtomicU64,
    stop: &AtomicBool,
) -> Result<Vec<TcpStream>, BoxError> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut all = Vec::new();
    for i in 0..connections {
        let mut stream = client::connect(port)?;
        stream.set_nodelay(true)?;
        stream.write_all(requests.as_bytes())?;
        stream.set_nonblocking(true)?;
        epoll::add(&epoll, &stream, EventData::new_u64(i as u64), EventFlags::IN)?;
        all.push(Connection { stream, missing: BATCH * length });
    }
    let mut buffer = vec![0; 64 << 10];
    let mut events = Vec::with_capacity(64);
    let (timeout, mut waits) = (Timespec { tv_sec: 0, tv_nsec: 100_000_000 }, 0);
    while all.iter().any(|connection| connection.missing > 0) {
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout))?;
        waits = if events.is_empty() { waits + 1 } else { 0 };
        if waits > 50 {
            return Err("no response within 5 s".into());
        }
        for event in events.drain(..) {
            let epoll::Event { data, .. } = event;
            let Connection { stream, missing } = &mut all[data.u64() as usize];
            match stream.read(&mut buffer) {
                Ok(n) if n == 0 || n > *missing => return Err("unexpected end, or more bytes than expected".into()),
                Ok(n) => {
                    received.fetch_add(n as u64, Ordering::Relaxed);
                    *missing -= n;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if *missing <= BATCH * length / 2 && !stop.load(Ordering::Relaxed) {
                stream.write_all(requests.as_bytes())?;
                *missing += BATCH * length;
            }
        }
    }
    let blocking = |connection: Connection| connection.stream.set_nonblocking(false).map(|()| connection.stream);
    Ok(all.into_iter().map(blocking).collect::<Result<_, _>>()?)
}
