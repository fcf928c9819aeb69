//! A device that serves a page over a TCP/IP stack in user space, and a client that fetches it: no socket of the
//! operating system is involved.
//!
//! It teaches how a firmware serves. What serves is the `no_std` package `device`: this program has the main loop, the
//! network and the clock. smoltcp's loopback device stands for a network card, so the client is in the same loop, over a
//! socket of its own, with the client's half of `http-core`.
//!
//!     cargo run --bin userspace_tcp / /uptime

use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, Instant as Clock};

use device::{page, tcp};
use http_core::client::{Connection, Event, Request};
use http_core::{Authority, FieldBlock, Limits, Method, Target};
use smoltcp::iface::{Config, Interface, PollResult, SocketSet};
use smoltcp::phy::{Loopback, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

const ADDRESS: IpAddress = IpAddress::v4(127, 0, 0, 1);
const BUFFER: usize = 1024; // bytes of each of a socket's two buffers

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        paths.push("/".into());
    }
    let mut link = Loopback::new(Medium::Ip);
    let start = Clock::now();
    let now = || Instant::from_micros(start.elapsed().as_micros() as i64);
    let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut link, now());
    interface.update_ip_addrs(|addresses| addresses.extend([IpCidr::new(ADDRESS, 8)]));

    // The device's sockets and the client's.
    let socket = || Socket::new(SocketBuffer::new(vec![0; BUFFER]), SocketBuffer::new(vec![0; BUFFER]));
    let mut sockets = SocketSet::new(Vec::new());
    let handles = [(); 2].map(|()| sockets.add(socket()));
    let mut server = tcp::Server::new(80, handles);
    let peer = sockets.add(socket());
    let mut client = Client { connection: Connection::new(Limits::default()), paths, out: Vec::new() };
    server.poll(&mut sockets, now(), page::find); // listens
    sockets.get_mut::<Socket>(peer).connect(interface.context(), (ADDRESS, 80), 50_000)?;

    // The main loop of a firmware, apart from the client. It sleeps until the stack or the server has something to do.
    loop {
        let outcome = interface.poll(now(), &mut link, &mut sockets);
        server.poll(&mut sockets, now(), page::find);
        if client.turn(sockets.get_mut(peer))? {
            return Ok(());
        }
        let next = [interface.poll_at(now(), &sockets), server.poll_at()].into_iter().flatten().min();
        if let (PollResult::None, Some(next)) = (outcome, next) {
            sleep(Duration::from_micros((next.total_micros() - now().total_micros()).max(0) as u64));
        }
    }
}

/// Fetches one path after the other over a connection that is kept, and prints the responses.
struct Client {
    connection: Connection,
    /// The paths that were not requested yet.
    paths: Vec<String>,
    /// What is not sent yet.
    out: Vec<u8>,
}

impl Client {
    /// Does what is possible now. Returns whether everything was fetched.
    fn turn(&mut self, socket: &mut Socket<'_>) -> Result<bool, Box<dyn Error>> {
        if !socket.may_send() {
            return Ok(false); // the handshake is not over
        }
        loop {
            if self.connection.can_reuse() {
                if self.paths.is_empty() {
                    return Ok(true);
                }
                let path = self.paths.remove(0);
                let (target, host, fields) =
                    (Target::new(path.as_bytes())?, Authority::new(b"device")?, FieldBlock::new());
                let request = Request { keep_alive: true, ..Request::new(Method::Get, target, host, &fields) };
                let _no_body = self.connection.request(&request, &mut self.out)?;
                print!("{}", String::from_utf8_lossy(&self.out));
            }
            if !self.out.is_empty() {
                let sent = socket.send_slice(&self.out)?;
                self.out.drain(..sent);
                return Ok(false);
            }
            match self.connection.poll()? {
                Event::NeedInput => match socket.recv_slice(self.connection.receive_buffer())? {
                    0 => return Ok(false),
                    n => self.connection.received(n),
                },
                Event::Response(head) => {
                    println!("{}", head.status);
                    for (name, value) in head.fields.iter() {
                        println!("{name}: {}", value.as_bytes().escape_ascii());
                    }
                    println!();
                }
                Event::Body(bytes) => print!("{}", String::from_utf8_lossy(bytes)),
                Event::ResponseEnd => println!(),
                other => return Err(format!("unexpected: {other:?}").into()),
            }
        }
    }
}
