//! What the kernel asks for, to be measured: one thread, and for each request `recv`, `statx` and `send` or `sendfile`. It
//! reads no more of a request than its path, knows no deadline, bound or condition, and writes no log; so nothing that
//! serves files by these calls, and looks at each anew, can cost less.
#![allow(clippy::unwrap_used)] // a peer that cannot start is to stop

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

/// A file, its head, and its content if that is small.
struct Served {
    length: usize,
    kept: Vec<u8>,
    closing: Vec<u8>,
    small: bool,
    file: OwnedFd,
}

struct Peer {
    socket: OwnedFd,
    /// What is sent, where, and whether the peer keeps its connection.
    path: String,
    offset: u64,
    keeps: bool,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (port, root): (u16, String) = (args.next().unwrap().parse().unwrap(), args.next().unwrap());
    let files: HashMap<String, Served> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (format!("/{}", entry.file_name().to_str().unwrap()), served(&entry.path())))
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
                peers[key] = Some(Peer { socket, path: String::new(), offset: 0, keeps: true });
            }
            if peers[key].as_mut().is_some_and(|peer| !serve(peer, &files, root.as_fd())) {
                peers[key] = None;
            }
        }
    }
}

fn served(path: &Path) -> Served {
    let file = openat(CWD, path, OFlags::RDONLY, Mode::empty()).unwrap();
    let length = fs::metadata(path).unwrap().len() as usize;
    let small = length <= 16 << 10;
    let content = if small { fs::read(path).unwrap() } else { Vec::new() };
    let head = |connection: &str| {
        let head = format!(
            "HTTP/1.0 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: {connection}\r\n\
             Content-Length: {length}\r\nContent-Type: text/plain\r\n\
             Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
        );
        [head.as_bytes(), &content].concat()
    };
    Served { length, kept: head("keep-alive"), closing: head("close"), small, file }
}

/// Goes on with a peer; whether it stays.
fn serve(peer: &mut Peer, files: &HashMap<String, Served>, root: impl AsFd) -> bool {
    if peer.path.is_empty() {
        let mut room = [0; 8192];
        let n = match recv(&peer.socket, &mut room, RecvFlags::empty()) {
            Ok((0, _)) => return false,
            Ok((n, _)) => n,
            Err(error) => return error == rustix::io::Errno::AGAIN,
        };
        let request = str::from_utf8(&room[..n]).unwrap_or_default();
        let Some(path) = request.split(' ').nth(1) else { return false };
        let Some(file) = files.get(path) else { return false };
        peer.keeps = !request.contains("onnection: close") && request.contains("HTTP/1.1");
        // Has it changed? Here nothing is done about it.
        let wanted = StatxFlags::INO | StatxFlags::SIZE | StatxFlags::MTIME | StatxFlags::CTIME;
        statx(root, &path[1..], AtFlags::empty(), wanted).unwrap();
        let head = if peer.keeps { &file.kept } else { &file.closing };
        let more = if file.small { SendFlags::empty() } else { SendFlags::MORE };
        if send(&peer.socket, head, SendFlags::NOSIGNAL | more).ok() != Some(head.len()) {
            return false;
        }
        if file.small {
            return peer.keeps;
        }
        path.clone_into(&mut peer.path);
        peer.offset = 0;
    }
    let Some(file) = files.get(&peer.path) else { return false };
    while (peer.offset as usize) < file.length {
        let piece = (file.length - peer.offset as usize).min(512 << 10);
        match sendfile(&peer.socket, &file.file, Some(&mut peer.offset), piece) {
            Ok(_) => {}
            Err(error) => return error == rustix::io::Errno::AGAIN,
        }
    }
    peer.path.clear();
    peer.keeps
}
