//! The crowd, in its own process with the lowest priority: peers that are idle, that dribble a request head, or that
//! read slowly. It reports every peer that the server disconnects.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::retry_on_intr;
use rustix::process::nice;

use crate::{BoxError, LARGE, SMALL, TIMEOUT};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Idle,
    Dribbling,
    Reading,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) idle: usize,
    pub(crate) dribbling: usize,
    pub(crate) reading: usize,
}

/// A dribbling peer sends a byte of its head this often.
const DRIBBLE_INTERVAL: Duration = Duration::from_secs(5);

/// A reading peer reads this often and this much: eight times the minimum rate of the server.
const READ_INTERVAL: Duration = Duration::from_secs(1);
const READ_SIZE: usize = 8 << 10;

/// This many peers connect before their responses are read.
const BATCH: usize = 100;

/// The epoll key of standard input. The key of a peer is its index.
const STDIN: u64 = u64::MAX;

impl Kind {
    /// In the order in which they connect. The idle ones come last: all threads have grown their buffers by then, so what
    /// is measured is the memory of connections alone.
    pub(crate) const ALL: [Kind; 3] = [Kind::Dribbling, Kind::Reading, Kind::Idle];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Dribbling => "dribbling",
            Self::Reading => "reading",
        }
    }
}

impl Sizes {
    pub(crate) fn of(self, kind: Kind) -> usize {
        match kind {
            Kind::Idle => self.idle,
            Kind::Dribbling => self.dribbling,
            Kind::Reading => self.reading,
        }
    }

    pub(crate) fn total(self) -> usize {
        self.idle + self.dribbling + self.reading
    }

    /// The same proportions, with at most `limit` peers.
    pub(crate) fn within(self, limit: usize) -> Sizes {
        let part = |n: usize| n * limit.min(self.total()) / self.total();
        Sizes { idle: part(self.idle), dribbling: part(self.dribbling), reading: part(self.reading) }
    }
}

/// Connects one kind after the other, each at a line on standard input. At the last line it prints the lost peers.
pub(crate) fn run(port: u16, sizes: Sizes) -> Result<(), BoxError> {
    nice(19)?;
    let mut crowd =
        Crowd { port, peers: Vec::new(), epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, lost: Vec::new() };
    epoll::add(&crowd.epoll, io::stdin(), EventData::new_u64(STDIN), EventFlags::IN)?;
    for kind in Kind::ALL {
        for first in (0..sizes.of(kind)).step_by(BATCH) {
            crowd.connect(kind, BATCH.min(sizes.of(kind) - first))?;
        }
        println!("{}", kind.name());
        crowd.run_until_line()?;
    }
    crowd.run_until_line()?;
    for lost in crowd.lost {
        println!("{lost}");
    }
    println!("end");
    Ok(())
}

struct Crowd {
    port: u16,
    peers: Vec<Peer>,
    epoll: OwnedFd,
    lost: Vec<String>,
}

struct Peer {
    kind: Kind,
    /// `None` once the peer is lost.
    stream: Option<TcpStream>,
    connected: Instant,
}

impl Crowd {
    fn connect(&mut self, kind: Kind, count: usize) -> Result<(), BoxError> {
        let first = self.peers.len();
        let request = match kind {
            Kind::Idle => format!("GET /{} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", SMALL.0),
            Kind::Dribbling => format!("GET /{} HTTP/1.0\r\nUser-Agent: ", SMALL.0),
            Kind::Reading => format!("GET /{} HTTP/1.0\r\n\r\n", LARGE.0),
        };
        for _ in 0..count {
            let connected = Instant::now();
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(request.as_bytes())?;
            self.peers.push(Peer { kind, stream: Some(stream), connected });
        }
        for (index, peer) in self.peers.iter_mut().enumerate().skip(first) {
            let Some(stream) = &mut peer.stream else { continue };
            if kind == Kind::Idle {
                let mut response = Vec::new();
                while !response.ends_with(&[b'a'; SMALL.1]) {
                    let mut buffer = [0; 2048];
                    let n = stream.read(&mut buffer)?;
                    response.extend_from_slice(&buffer[..n]);
                    if n == 0 {
                        return Err("a response is truncated".into());
                    }
                }
            }
            stream.set_nonblocking(true)?;
            // An idle or dribbling peer expects no bytes: any byte means that it is lost.
            let flags = if kind == Kind::Reading { EventFlags::RDHUP } else { EventFlags::IN | EventFlags::RDHUP };
            epoll::add(&self.epoll, &*stream, EventData::new_u64(index as u64), flags)?;
        }
        Ok(())
    }

    /// Dribbles and reads until a line arrives on standard input.
    fn run_until_line(&mut self) -> Result<(), BoxError> {
        let of = |crowd: &Crowd, kind| -> Vec<usize> {
            (0..crowd.peers.len()).filter(|&index| crowd.peers[index].kind == kind).collect()
        };
        let (dribbling, reading) = (of(self, Kind::Dribbling), of(self, Kind::Reading));
        let (started, mut dribbled, mut read) = (Instant::now(), 0, 0);
        let mut line_received = false;
        while !line_received {
            for index in due(&dribbling, &mut dribbled, started.elapsed(), DRIBBLE_INTERVAL) {
                self.act(index, |stream| stream.write_all(b"a"));
            }
            for index in due(&reading, &mut read, started.elapsed(), READ_INTERVAL) {
                self.act(index, |stream| match stream.read(&mut [0; READ_SIZE])? {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    _ => Ok(()),
                });
            }
            let mut events = Vec::with_capacity(64);
            let timeout = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            retry_on_intr(|| epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)))?;
            for event in &events {
                let epoll::Event { data, .. } = *event;
                match data.u64() {
                    STDIN => line_received = io::stdin().read(&mut [0; 1])? > 0 || line_received,
                    index => self.lose(index as usize, "disconnected"),
                }
            }
        }
        Ok(())
    }

    /// Does something that fails only if the peer is lost.
    fn act(&mut self, index: usize, act: impl FnOnce(&mut TcpStream) -> io::Result<()>) {
        let Some(stream) = &mut self.peers[index].stream else { return };
        match act(stream) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => self.lose(index, &error.to_string()),
            _ => {}
        }
    }

    fn lose(&mut self, index: usize, how: &str) {
        let Peer { kind, stream, connected } = &mut self.peers[index];
        let Some(mut stream) = stream.take() else { return };
        let (mut received, age) = ([0; 12], connected.elapsed());
        let n = if *kind == Kind::Reading { 0 } else { stream.read(&mut received).unwrap_or(0) };
        if age < TIMEOUT {
            let received = received[..n].escape_ascii();
            self.lost.push(format!("{} after {:.1} s: {how} {received}", kind.name(), age.as_secs_f64()));
        }
    }
}

/// The peers to act on now, so that each acts once per `interval`.
fn due(all: &[usize], done: &mut usize, elapsed: Duration, interval: Duration) -> Vec<usize> {
    let due = (all.len() as f64 * elapsed.as_secs_f64() / interval.as_secs_f64()) as usize;
    let indices = (*done..due).map(|action| all[action % all.len()]).collect();
    *done = due;
    indices
}
