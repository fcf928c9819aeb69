//! A FUSE file system in this process, which answers every request until a test tells it to hold some of them. It knows
//! nothing about the program that uses it, nor where it is mounted.
//!
//! It has no directories but its root, and these files: `page.html`, `gzip`, which may be the compressed form of any file
//! of 1000 bytes, and for each number below 1000 a small file, such as `f7`, and a large one, such as `large7`. The kernel
//! caches no name and no attribute of them. Beside them are the files of [`LIARS`].
//!
//! In two things it is like NFS: closing a file asks nothing, and a request ends when its process is killed. Many FUSE
//! file systems differ, and then a process cannot end while they do not answer, whatever it does. The kernel waits for
//! each request that it has handed over, and asks once more for each open file that it closes.

use std::fs::File;
use std::io::{ErrorKind, PipeWriter, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;

/// The length of a large file.
const LARGE: u64 = 4 << 20;

/// Files that do not say their size: name, length that they say, length of their content. Programs read them to their end,
/// because the kernel does not keep their content (`FOPEN_DIRECT_IO`).
pub(crate) const LIARS: [(&str, u64, u64); 8] = [
    ("says0", 0, 100),
    ("says0-large", 0, 100_000),
    ("says0-16KiB", 0, 16 << 10),
    ("says4096", 4096, 3),
    ("says10", 10, 30),
    ("says1000000", 1_000_000, 50_000),
    // The size is right, but each look at the file shows another modification time.
    ("ticks", 10, 10),
    ("ticks-empty", 0, 0),
];

/// Which requests are held instead of answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Nothing,
    Everything,
    /// Opening a file, but not finding it.
    Opens,
    /// Reading from this offset on, in any file.
    ReadsFrom(u64),
}

/// The content of a file, by its name.
pub(crate) fn content(name: &str) -> Vec<u8> {
    if let Some((_, _, length)) = LIARS.iter().find(|(liar, ..)| *liar == name) {
        return (0..*length).map(|n| (n % 251) as u8).collect();
    }
    if name == "gzip" {
        return [&b"\x1f\x8b"[..], &[b'x'; 100], &1000_u32.to_le_bytes()].concat();
    }
    if name.starts_with("large") { vec![b'x'; LARGE as usize] } else { format!("{name} of the disk\n").into_bytes() }
}

/// The file system. Dropping the value aborts it: each held request then fails, and each later one.
pub(crate) struct Fuse {
    disk: Arc<Disk>,
    thread: Option<JoinHandle<()>>,
    /// Ends the thread when it is dropped.
    stop: Option<PipeWriter>,
}

impl Fuse {
    /// `device`: an open `/dev/fuse` that is mounted. The kernel aborts the file system when its last descriptor closes.
    pub(crate) fn serve(device: OwnedFd) -> Fuse {
        // A request can vanish between `poll` and `read`.
        fcntl_setfl(&device, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
        let disk =
            Disk { device: device.into(), state: Mutex::new((Hold::Nothing, Vec::new())), failing: Mutex::new(None) };
        let disk = Arc::new(disk);
        let (stopped, stop) = pipe().unwrap();
        let thread = thread::spawn({
            let disk = disk.clone();
            move || {
                let mut bytes = vec![0; 1 << 16];
                loop {
                    let mut ready =
                        [PollFd::new(&disk.device, PollFlags::IN), PollFd::new(&stopped, PollFlags::empty())];
                    poll(&mut ready, None).unwrap();
                    if !ready[1].revents().is_empty() {
                        break;
                    }
                    match (&disk.device).read(&mut bytes) {
                        Ok(length) => disk.receive(Request::parse(&bytes[..length])),
                        Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => break, // unmounted
                        Err(_) => {} // interrupted, or the request has vanished
                    }
                }
            }
        });
        Fuse { disk, thread: Some(thread), stop: Some(stop) }
    }

    /// From now on, holds these requests. Those that were held before are answered unless they are held again.
    pub(crate) fn hold(&self, hold: Hold) {
        let mut state = self.disk.state.lock().unwrap();
        state.0 = hold;
        let (held, answered) = state.1.drain(..).partition(|request: &Request| request.is_held(hold));
        state.1 = held;
        for request in answered {
            self.disk.answer(&request);
        }
    }

    /// From now on, reading from this offset on fails with this error, in any file.
    pub(crate) fn fail_reads_from(&self, offset: u64, error: Errno) {
        *self.disk.failing.lock().unwrap() = Some((offset, error));
    }

    /// The number of requests that are held now.
    pub(crate) fn held(&self) -> usize {
        self.disk.state.lock().unwrap().1.len()
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        self.stop = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Disk {
    device: File,
    state: Mutex<(Hold, Vec<Request>)>,
    failing: Mutex<Option<(u64, Errno)>>,
}

/// A request of the kernel: `struct fuse_in_header` of `linux/fuse.h`, and what follows it.
struct Request {
    operation: u32,
    /// Identifies the request.
    unique: u64,
    /// The inode.
    node: u64,
    rest: Vec<u8>,
}

// The operations, from `linux/fuse.h`.
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

/// A flag in the answer to `OPEN`.
const FOPEN_DIRECT_IO: u64 = 1;

/// How often the files that tick were looked at.
static LOOKS: AtomicU32 = AtomicU32::new(0);

impl Disk {
    fn receive(&self, request: Request) {
        let mut state = self.state.lock().unwrap();
        match request.operation {
            FORGET | BATCH_FORGET => {} // it has no answer
            INTERRUPT => {
                let unique = u64_at(&request.rest, 0);
                if let Some(at) = state.1.iter().position(|held| held.unique == unique) {
                    let interrupted = state.1.remove(at);
                    self.reply(&interrupted, Err(Errno::INTR));
                }
            }
            _ if request.is_held(state.0) => state.1.push(request),
            _ => self.answer(&request),
        }
    }

    fn answer(&self, request: &Request) {
        let node = request.node;
        let answer = match request.operation {
            INIT => Ok(init()),
            LOOKUP => {
                let name = request.rest.strip_suffix(b"\0").and_then(|name| str::from_utf8(name).ok());
                name.and_then(node_of).map(entry).ok_or(Errno::NOENT)
            }
            // How long the answer is valid: 0. Then the attributes.
            GETATTR => Ok([vec![0; 16], attributes(node)].concat()),
            OPEN if liar(node).is_some() => Ok([0_u64, FOPEN_DIRECT_IO].map(u64::to_ne_bytes).concat()),
            OPEN | OPENDIR => Ok(vec![0; 16]),
            READ => {
                let (offset, length) = (u64_at(&request.rest, 8), u32_at(&request.rest, 16));
                match *self.failing.lock().unwrap() {
                    Some((from, error)) if offset >= from => Err(error),
                    _ => Ok(read(node, offset, length)),
                }
            }
            READDIR | RELEASE | RELEASEDIR => Ok(Vec::new()),
            STATFS => Ok(vec![0; 80]),
            _ => Err(Errno::NOSYS), // after which the kernel does without
        };
        self.reply(request, answer);
    }

    /// Writes `struct fuse_out_header` and the answer.
    fn reply(&self, request: &Request, answer: Result<Vec<u8>, Errno>) {
        let error = answer.as_ref().map_or_else(|error| -error.raw_os_error(), |_| 0);
        let answer = answer.unwrap_or_default();
        let mut bytes = (16 + answer.len() as u32).to_ne_bytes().to_vec();
        bytes.extend(error.to_ne_bytes());
        bytes.extend(request.unique.to_ne_bytes());
        bytes.extend(answer);
        if let Err(error) = (&self.device).write_all(&bytes) {
            // Nobody waits for it any more, or the file system has been unmounted.
            let gone = error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(Errno::NODEV.raw_os_error());
            assert!(gone, "operation {}: {error}", request.operation);
        }
    }
}

impl Request {
    fn parse(bytes: &[u8]) -> Request {
        let operation = u32_at(bytes, 4);
        Request { operation, unique: u64_at(bytes, 8), node: u64_at(bytes, 16), rest: bytes[40..].to_vec() }
    }

    fn is_held(&self, hold: Hold) -> bool {
        match hold {
            Hold::Nothing => false,
            Hold::Everything => !matches!(self.operation, INIT | FLUSH | RELEASE | RELEASEDIR),
            Hold::Opens => self.operation == OPEN,
            Hold::ReadsFrom(offset) => self.operation == READ && u64_at(&self.rest, 8) >= offset,
        }
    }
}

/// The field of 8 bytes at an offset.
fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_ne_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

/// The field of 4 bytes at an offset.
fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_ne_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

/// `struct fuse_init_out`.
fn init() -> Vec<u8> {
    const ASYNC_READ: u32 = 1 << 0;
    const PARALLEL_DIROPS: u32 = 1 << 18; // otherwise one held lookup blocks the others in the kernel
    let mut bytes = Vec::new();
    for field in [7, 31, 1 << 17, ASYNC_READ | PARALLEL_DIROPS] {
        bytes.extend(u32::to_ne_bytes(field)); // version, longest read ahead, flags
    }
    bytes.extend([1000_u16, 1000].map(u16::to_ne_bytes).concat()); // reads in the background
    bytes.extend([4096_u32, 1].map(u32::to_ne_bytes).concat()); // longest write, granularity of times
    bytes.resize(64, 0);
    bytes
}

/// `struct fuse_entry_out`, valid for no time.
fn entry(node: u64) -> Vec<u8> {
    [node.to_ne_bytes().to_vec(), vec![0; 32], attributes(node)].concat()
}

/// `struct fuse_attr`.
fn attributes(node: u64) -> Vec<u8> {
    let length = liar(node).map_or_else(|| length_of(node), |(_, said, _)| *said);
    let (mode, links) = if node == ROOT { (0o040_755_u32, 2_u32) } else { (0o100_644, 1) };
    let time = 1_700_000_000_u64; // long ago, so that a server may cache the file
    let blocks = if liar(node).is_some() { 0 } else { length.div_ceil(512) };
    let mut bytes: Vec<u8> = [node, length, blocks, time, time, time].map(u64::to_ne_bytes).concat();
    let looks =
        if name_of(node).is_some_and(|name| name.starts_with("ticks")) { LOOKS.fetch_add(1, Relaxed) } else { 0 };
    bytes.extend([0, looks, looks].map(u32::to_ne_bytes).concat()); // nanoseconds
    bytes.extend([mode, links, 0, 0, 0, 4096, 0].map(u32::to_ne_bytes).concat()); // owner, device, block size, flags
    bytes
}

fn read(node: u64, offset: u64, length: u32) -> Vec<u8> {
    let from = offset.min(length_of(node)) as usize;
    let to = (from + length as usize).min(length_of(node) as usize);
    match name_of(node) {
        _ if node >= LARGE_FILES => vec![b'x'; to - from],
        Some(name) => content(&name)[from..to].to_vec(),
        None => Vec::new(),
    }
}

/// The inode numbers: the root, the page, and one range for each kind of file.
const ROOT: u64 = 1;
const PAGE: u64 = 2;
const GZIP: u64 = 3;
const LIAR_FILES: u64 = 100;
const SMALL_FILES: u64 = 1000;
const LARGE_FILES: u64 = 2000;

fn node_of(name: &str) -> Option<u64> {
    let below_1000 = |digits: &str| digits.parse().ok().filter(|n: &u64| *n < 1000);
    if let Some(n) = LIARS.iter().position(|(liar, ..)| *liar == name) {
        return Some(LIAR_FILES + n as u64);
    }
    match name {
        "page.html" => Some(PAGE),
        "gzip" => Some(GZIP),
        _ if name.starts_with("large") => Some(LARGE_FILES + below_1000(&name[5..])?),
        _ => Some(SMALL_FILES + below_1000(name.strip_prefix('f')?)?),
    }
}

fn liar(node: u64) -> Option<&'static (&'static str, u64, u64)> {
    LIARS.get(usize::try_from(node.checked_sub(LIAR_FILES)?).ok()?)
}

fn name_of(node: u64) -> Option<String> {
    match node {
        ROOT => None,
        PAGE => Some("page.html".into()),
        GZIP => Some("gzip".into()),
        LIAR_FILES..SMALL_FILES => liar(node).map(|(name, ..)| (*name).to_owned()),
        LARGE_FILES.. => Some(format!("large{}", node - LARGE_FILES)),
        _ => Some(format!("f{}", node - SMALL_FILES)),
    }
}

fn length_of(node: u64) -> u64 {
    match name_of(node) {
        _ if node >= LARGE_FILES => LARGE,
        Some(name) => content(&name).len() as u64,
        None => 0,
    }
}
