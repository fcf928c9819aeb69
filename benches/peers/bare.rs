//! A lower bound for the others: one thread that makes only the system calls of a request.
//!
//! These are `recv`, `statx` and `send` or `sendfile`. The program parses only the path. It has no timeouts, limits,
//! conditional requests or log. No server that checks each file with these calls can cost less.
#![allow(clippy::unwrap_used)] // a peer stops if it cannot start

use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, openat, sendfile, statx};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept_with, bind, listen, recv, send, socket_with,
    sockopt,
};

/// A file with its response head, followed by the content if the file is small.
struct Served {
    length: usize,
    keep_alive: Vec<u8>,
    close: Vec<u8>,
    is_small: bool,
    file: OwnedFd,
}

struct Peer {
    socket: OwnedFd,
    /// The file that is being sent; empty between requests.
    path: String,
    offset: u64,
    keep_alive: bool,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (port, root): (u16, String) = (args.next().unwrap().parse().unwrap(), args.next().unwrap());
    let files: HashMap<String, Served> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (format!("/{}", entry.file_name().to_str().unwrap()), open(&entry.path())))
        .collect();
    let root = openat(CWD, root, OFlags::DIRECTORY, Mode::empty()).unwrap();
    let listener = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
    sockopt::set_socket_reuseaddr(&listener, true).unwrap();
    sockopt::set_tcp_nodelay(&listener, true).unwrap();
    bind(&listener, &std::net::SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    listen(&listener, 4096).unwrap();
    let epoll = epoll::create(CreateFlags::empty()).unwrap();
    epoll::add(&epoll, &listener, EventData::new_u64(u64::MAX), EventFlags::IN).unwrap();
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 64];
    loop {
        let n = epoll::wait(&epoll, &mut events, None).unwrap_or(0);
        for event in events.iter().take(n) {
            let mut key = event.data.u64() as usize;
            if event.data.u64() == u64::MAX {
                let Ok(socket) = accept_with(&listener, SocketFlags::NONBLOCK) else { continue };
                key = peers.iter().position(Option::is_none).unwrap_or(peers.len());
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
                let edges = EventData::new_u64(key as u64);
                epoll::add(&epoll, &socket, edges, flags).unwrap();
                peers.resize_with(peers.len().max(key + 1), || None);
                peers[key] = Some(Peer { socket, path: String::new(), offset: 0, keep_alive: true });
            }
            if peers[key].as_mut().is_some_and(|peer| !serve(peer, &files, root.as_fd())) {
                peers[key] = None;
            }
        }
    }
}

fn open(path: &Path) -> Served {
    let file = openat(CWD, path, OFlags::RDONLY, Mode::empty()).unwrap();
    let length = fs::metadata(path).unwrap().len() as usize;
    let is_small = length <= 16 << 10;
    let content = if is_small { fs::read(path).unwrap() } else { Vec::new() };
    let head = |connection: &str| {
        let head = format!(
            "HTTP/1.0 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: {connection}\r\n\
             Content-Length: {length}\r\nContent-Type: text/plain\r\n\
             Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
        );
        [head.as_bytes(), &content].concat()
    };
    Served { length, keep_alive: head("keep-alive"), close: head("close"), is_small, file }
}

/// Reads a request or sends more of a file. Returns whether the connection stays open.
fn serve(peer: &mut Peer, files: &HashMap<String, Served>, root: impl AsFd) -> bool {
    if peer.path.is_empty() {
        let mut buffer = [0; 8192];
        let n = match recv(&peer.socket, &mut buffer, RecvFlags::empty()) {
            Ok((0, _)) => return false,
            Ok((n, _)) => n,
            Err(error) => return error == rustix::io::Errno::AGAIN,
        };
        let request = str::from_utf8(&buffer[..n]).unwrap_or_default();
        let Some(path) = request.split(' ').nth(1) else { return false };
        let Some(file) = files.get(path) else { return false };
        peer.keep_alive = !request.contains("onnection: close") && request.contains("HTTP/1.1");
        // The result is ignored: only the call is measured.
        let wanted = StatxFlags::INO | StatxFlags::SIZE | StatxFlags::MTIME | StatxFlags::CTIME;
        statx(root, &path[1..], AtFlags::empty(), wanted).unwrap();
        let head = if peer.keep_alive { &file.keep_alive } else { &file.close };
        let more = if file.is_small { SendFlags::empty() } else { SendFlags::MORE };
        if send(&peer.socket, head, SendFlags::NOSIGNAL | more).ok() != Some(head.len()) {
            return false;
        }
        if file.is_small {
            return peer.keep_alive;
        }
        path.clone_into(&mut peer.path);
        peer.offset = 0;
    }
    let Some(file) = files.get(&peer.path) else { return false };
    while (peer.offset as usize) < file.length {
        let length = (file.length - peer.offset as usize).min(512 << 10);
        match sendfile(&peer.socket, &file.file, Some(&mut peer.offset), length) {
            Ok(_) => {}
            Err(error) => return error == rustix::io::Errno::AGAIN,
        }
    }
    peer.path.clear();
    peer.keep_alive
}
