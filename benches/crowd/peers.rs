//! The crowd itself, in a process of the least priority: connections that are idle, that dribble a head, and that read
//! slowly; and a look-out for whoever of them the server ends.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::retry_on_intr;
use rustix::process::nice;

use crate::{DEADLINE, LARGE, SMALL, Why};

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

/// A byte of a head for each that dribbles, and a sip for each reader: eight times the least rate of a server.
const DRIBBLE: Duration = Duration::from_secs(5);
const SIP: (Duration, usize) = (Duration::from_secs(1), 8 << 10);

/// So many at a time ask and are answered.
const BATCH: usize = 100;

/// The key of standard input; those of peers are their places.
const TOLD: u64 = u64::MAX;

impl Kind {
    /// In the order in which they come.
    pub(crate) const ALL: [Kind; 3] = [Kind::Idle, Kind::Dribbling, Kind::Reading];

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

    /// The same in proportion, where there is room for no more.
    pub(crate) fn within(self, room: usize) -> Sizes {
        let part = |n: usize| n * room.min(self.total()) / self.total();
        Sizes { idle: part(self.idle), dribbling: part(self.dribbling), reading: part(self.reading) }
    }
}

/// Comes, kind by kind, waits to be told before each next, and says at last who was lost.
pub(crate) fn be(port: u16, sizes: Sizes) -> Result<(), Why> {
    nice(19)?;
    let mut crowd =
        Crowd { port, peers: Vec::new(), epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, lost: Vec::new() };
    epoll::add(&crowd.epoll, io::stdin(), EventData::new_u64(TOLD), EventFlags::IN)?;
    for kind in Kind::ALL {
        for first in (0..sizes.of(kind)).step_by(BATCH) {
            crowd.come(kind, BATCH.min(sizes.of(kind) - first))?;
        }
        println!("{}", kind.name());
        crowd.live()?;
    }
    crowd.live()?;
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
    /// `None` once it is lost.
    stream: Option<TcpStream>,
    since: Instant,
}

impl Crowd {
    fn come(&mut self, kind: Kind, count: usize) -> Result<(), Why> {
        let first = self.peers.len();
        let begin = match kind {
            Kind::Idle => format!("GET /{} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", SMALL.0),
            Kind::Dribbling => format!("GET /{} HTTP/1.0\r\nUser-Agent: ", SMALL.0),
            Kind::Reading => format!("GET /{} HTTP/1.0\r\n\r\n", LARGE.0),
        };
        for _ in 0..count {
            let since = Instant::now();
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(begin.as_bytes())?;
            self.peers.push(Peer { kind, stream: Some(stream), since });
        }
        for (place, peer) in self.peers.iter_mut().enumerate().skip(first) {
            let Some(stream) = &mut peer.stream else { continue };
            if kind == Kind::Idle {
                let mut answer = Vec::new();
                while !answer.ends_with(&[b'a'; SMALL.1]) {
                    let mut piece = [0; 2048];
                    let n = stream.read(&mut piece)?;
                    answer.extend_from_slice(&piece[..n]);
                    if n == 0 {
                        return Err("an answer was cut short".into());
                    }
                }
            }
            stream.set_nonblocking(true)?;
            // Nothing is due to who is idle or dribbles.
            let flags = if kind == Kind::Reading { EventFlags::RDHUP } else { EventFlags::IN | EventFlags::RDHUP };
            epoll::add(&self.epoll, &*stream, EventData::new_u64(place as u64), flags)?;
        }
        Ok(())
    }

    /// Dribbles and sips until a line comes.
    fn live(&mut self) -> Result<(), Why> {
        let of = |crowd: &Crowd, kind| -> Vec<usize> {
            (0..crowd.peers.len()).filter(|&place| crowd.peers[place].kind == kind).collect()
        };
        let (dribbling, reading) = (of(self, Kind::Dribbling), of(self, Kind::Reading));
        let (began, mut dribbled, mut sipped) = (Instant::now(), 0, 0);
        let mut told = false;
        while !told {
            for place in due(&dribbling, &mut dribbled, began.elapsed(), DRIBBLE) {
                self.act(place, |stream| stream.write_all(b"a"));
            }
            for place in due(&reading, &mut sipped, began.elapsed(), SIP.0) {
                self.act(place, |stream| match stream.read(&mut [0; SIP.1])? {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    _ => Ok(()),
                });
            }
            let mut events = Vec::with_capacity(64);
            let a_moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            retry_on_intr(|| epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&a_moment)))?;
            for event in &events {
                let epoll::Event { data, .. } = *event;
                match data.u64() {
                    TOLD => told = io::stdin().read(&mut [0; 1])? > 0 || told,
                    place => self.lose(place as usize, "ended"),
                }
            }
        }
        Ok(())
    }

    /// Something that may not fail for a peer that is still there.
    fn act(&mut self, place: usize, act: impl FnOnce(&mut TcpStream) -> io::Result<()>) {
        let Some(stream) = &mut self.peers[place].stream else { return };
        match act(stream) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => self.lose(place, &error.to_string()),
            _ => {}
        }
    }

    fn lose(&mut self, place: usize, how: &str) {
        let Peer { kind, stream, since } = &mut self.peers[place];
        let Some(mut stream) = stream.take() else { return };
        let (mut said, age) = ([0; 12], since.elapsed());
        let n = if *kind == Kind::Reading { 0 } else { stream.read(&mut said).unwrap_or(0) };
        if age < DEADLINE {
            let said = said[..n].escape_ascii();
            self.lost.push(format!("{} after {:.1} s: {how} {said}", kind.name(), age.as_secs_f64()));
        }
    }
}

/// Whose turn it is, so that each has one in every `interval`.
fn due(all: &[usize], done: &mut usize, elapsed: Duration, interval: Duration) -> Vec<usize> {
    let due = (all.len() as f64 * elapsed.as_secs_f64() / interval.as_secs_f64()) as usize;
    let turns = (*done..due).map(|turn| all[turn % all.len()]).collect();
    *done = due;
    turns
}
