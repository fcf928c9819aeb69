//! A load generator: kept connections that request one URL repeatedly for a few seconds.
//!
//! It teaches the client's machine over kept connections: what may be reused, what may be sent again, and that a
//! request and its response allocate nothing. The loop is closed: each connection sends its next request after the
//! response to the last. That measures throughput and latency, but not how a server copes with clients that do not
//! wait.
//!
//!     cargo run --release --bin load http://localhost:6789/HelloWorld.html 64 10
//!
//! It leaves out rates, scripts and several URLs. It has one thread per connection. Beyond a few hundred connections,
//! an event loop would cost less.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use http_core::client::{Connection, Event, Request};
use http_core::{FieldBlock, Limits, Method, Status, Target};

const TIMEOUT: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let argument = |n, default: &str| std::env::args().nth(n).unwrap_or(default.into());
    let url = argument(1, "http://localhost:6789/");
    let (connections, seconds) = (argument(2, "16").parse::<usize>()?, argument(3, "5").parse::<f64>()?);
    let target = Target::new(url.as_bytes()).map_err(|error| format!("{url} {error}"))?;
    let host = target.authority().ok_or("expected a URL like http://localhost:6789/")?;
    let addresses: Vec<SocketAddr> = host.endpoint().to_socket_addrs()?.collect();
    let fields = FieldBlock::new();
    let request = Request { keep_alive: true, ..Request::new(Method::Get, target, host, &fields) };

    let (start, mut all) = (Instant::now(), Tally::new()?);
    let end = start + Duration::from_secs_f64(seconds);
    thread::scope(|scope| {
        let start_thread = || scope.spawn(|| Tally::new().map(|tally| tally.request_until(end, &request, &addresses)));
        let threads: Vec<_> = (0..connections).map(|_| start_thread()).collect();
        threads.into_iter().flat_map(|thread| thread.join().ok()).try_for_each(|tally| all.add(tally?))
    })?;
    all.print(start.elapsed().as_secs_f64());
    Ok(())
}

struct Tally {
    /// Nanoseconds from before a request was sent to the last byte of its response, to three digits.
    times: Histogram<u64>,
    bytes: u64,
    connections: u64,
    failures: BTreeMap<String, u64>,
}

impl Tally {
    fn new() -> Result<Tally, hdrhistogram::CreationError> {
        let times = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
        Ok(Tally { times, bytes: 0, connections: 0, failures: BTreeMap::new() })
    }

    fn request_until(mut self, end: Instant, request: &Request<'_>, addresses: &[SocketAddr]) -> Tally {
        let mut out = Vec::new();
        while Instant::now() < end {
            if let Err(error) = self.request_over_one(end, request, addresses, &mut out) {
                self.fail(error.to_string());
                thread::sleep(Duration::from_millis(10)); // a server that refuses connections gets a pause
            }
        }
        self
    }

    fn request_over_one(
        &mut self,
        end: Instant,
        request: &Request<'_>,
        addresses: &[SocketAddr],
        out: &mut Vec<u8>,
    ) -> Result<(), Box<dyn Error>> {
        let mut stream = TcpStream::connect(addresses)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        self.connections += 1;
        let mut machine = Connection::new(Limits::default());
        while machine.can_reuse() && Instant::now() < end {
            match self.exchange(request, &mut machine, &mut stream, out) {
                // The server closed the kept connection, as it may at any time.
                Err(_) if machine.can_retry() => return Ok(()),
                other => other?,
            }
        }
        Ok(())
    }

    fn exchange(
        &mut self,
        request: &Request<'_>,
        machine: &mut Connection,
        stream: &mut TcpStream,
        out: &mut Vec<u8>,
    ) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        out.clear();
        let _no_body = machine.request(request, out)?;
        stream.write_all(out)?;
        let mut status = Status::OK;
        loop {
            match machine.poll()? {
                Event::NeedInput => drop(webclient::connection::read_from(machine, stream)?),
                Event::Response(head) => {
                    status = head.status;
                    self.bytes += head.bytes.len() as u64;
                }
                Event::Body(bytes) => self.bytes += bytes.len() as u64,
                _ => break,
            }
        }
        self.times.saturating_record(start.elapsed().as_nanos() as u64);
        if status.class() != 2 {
            self.fail(status.to_string());
        }
        Ok(())
    }

    fn fail(&mut self, why: String) {
        *self.failures.entry(why).or_default() += 1;
    }

    fn add(&mut self, other: Tally) -> Result<(), Box<dyn Error>> {
        self.bytes += other.bytes;
        self.connections += other.connections;
        other.failures.into_iter().for_each(|(why, count)| *self.failures.entry(why).or_default() += count);
        Ok(self.times.add(&other.times)?)
    }

    fn print(&self, seconds: f64) {
        let requests = self.times.len();
        println!("{requests} requests in {seconds:.2} s: {:.0} a second", requests as f64 / seconds);
        println!("{} bytes: {:.1} MiB a second", self.bytes, self.bytes as f64 / seconds / 1_048_576.0);
        let at = |quantile| self.times.value_at_quantile(quantile) as f64 / 1e6;
        println!("latency in ms: p50 {:.3}, p99 {:.3}, p99.9 {:.3}, max {:.3}", at(0.5), at(0.99), at(0.999), at(1.0));
        println!("{} connections", self.connections);
        self.failures.iter().for_each(|(why, count)| println!("failed {count} times: {why}"));
    }
}
