//! A handler's answers without a socket: a client in memory, served by the very code that serves all others.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http_core::CloseReason;
use rustix::io::{pread, retry_on_intr};

use crate::connection::{Connection, Next};
use crate::desk::Desk;
use crate::handler::Handler;
use crate::lobby::Interest;
use crate::site::{OUTGOING, Site};
use crate::socket::Peer;

/// Everything that a server with this handler answers to a client that sends these bytes and then ends its stream, as
/// a test of a handler wants it: without a socket or a thread. To ask one handler several times, put it into an
/// [`Arc`](std::sync::Arc).
///
/// Only time does not pass here, so that nothing is too late. The client's address is 127.0.0.1:49152, the server's
/// 127.0.0.1:80. After 64 MiB the client goes away, so that this ends whenever handler, sink and reader return.
///
/// ```
/// use webserver::{Answer, Files, Response, Request, exchange};
///
/// let echo = |_: &Request<'_>| Answer::with_body(|body| Response::text(String::from_utf8_lossy(&body)));
/// let heard = exchange(echo, b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello");
/// assert!(heard.starts_with(b"HTTP/1.0 200 OK\r\n") && heard.ends_with(b"\r\n\r\nhello"));
///
/// let heard = exchange(Files::new("src".as_ref())?, b"HEAD /nothing HTTP/1.0\r\n\r\n");
/// assert!(heard.starts_with(b"HTTP/1.0 404 Not Found\r\n") && heard.ends_with(b"\r\n\r\n"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn exchange(handler: impl Handler, bytes: &[u8]) -> Vec<u8> {
    hear(&Site::new(Box::new(handler)), bytes, OUTGOING).0
}

/// The same for a site and at most so many bytes, and why the connection closes, unless it is kept.
pub(crate) fn hear(site: &Site, bytes: &[u8], most: usize) -> (Vec<u8>, Option<CloseReason>) {
    let mut desk = Desk::new(None);
    let mut heard = Vec::new();
    let client = Client { says: bytes, hears: &mut heard, most };
    let mut connection = Connection::new(client, SocketAddr::from((Ipv4Addr::LOCALHOST, 49152)), site);
    connection.wake(true);
    // All that it waits for here is its next turn. A reader that panics ends it short, as anywhere.
    let mut turn = || catch_unwind(AssertUnwindSafe(|| connection.drive(site, &mut desk)));
    while matches!(turn(), Ok(Next::Wait(Interest::Turn))) {}
    let reason = connection.close_reason();
    drop(connection);
    (heard, reason)
}

/// A client that has said all it has to say, and hears at most so many bytes.
#[derive(Debug)]
struct Client<'a> {
    says: &'a [u8],
    hears: &'a mut Vec<u8>,
    most: usize,
}

/// Bytes of a file that are read at once.
const PIECE: usize = 64 << 10;

impl Peer for Client<'_> {
    fn receive(&mut self, room: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut self.says, room)
    }

    fn is_readable(&self) -> bool {
        !self.says.is_empty()
    }

    fn send(&mut self, bytes: &[u8], _more: bool) -> io::Result<usize> {
        match bytes.len().min(self.most - self.hears.len()) {
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            n => io::Write::write(&mut self.hears, &bytes[..n]),
        }
    }

    fn send_file(&mut self, file: BorrowedFd<'_>, offset: &mut u64, length: u64) -> io::Result<usize> {
        let mut piece = vec![0; length.min(PIECE as u64) as usize];
        let n = match retry_on_intr(|| pread(file, &mut *piece, *offset))? {
            0 => 0,
            n => self.send(&piece[..n], false)?,
        };
        *offset += n as u64;
        Ok(n)
    }

    fn half_close(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn local(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 80)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::exchange;
    use crate::{Body, Files, Request, Response};
    use http_core::Status;

    fn ends_with(heard: &[u8], body: &[u8]) -> bool {
        heard.strip_suffix(body).is_some_and(|head| head.ends_with(b"\r\n\r\n"))
    }

    #[test]
    fn all_requests_are_answered_and_nothing_else_is() {
        let path = Arc::new(|request: &Request<'_>| Response::text(request.head.target.raw_path()));
        let get = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        let heard = exchange(path.clone(), &get.repeat(50)); // more than a turn
        assert_eq!(heard.windows(6).filter(|w| w == b"\r\n\r\n/a").count(), 50);
        assert_eq!(exchange(path.clone(), b""), b"");
        assert_eq!(exchange(path.clone(), b"GET /simple\r\n"), b"/simple");
        assert!(exchange(path.clone(), b"GET / HT").starts_with(b"HTTP/1.0 400 "));
        assert!(exchange(path, b"nonsense\r\n\r\n").starts_with(b"HTTP/1.0 400 "));
    }

    #[test]
    fn files_of_any_size_are_sent() {
        let directory = tempfile::TempDir::new().unwrap();
        let files = Arc::new(Files::new(directory.path()).unwrap());
        for bytes in [0, 1, 16 << 10, (16 << 10) + 1, (3 << 20) + 1] {
            let body: Vec<u8> = (0..251).cycle().take(bytes).collect();
            std::fs::write(directory.path().join(bytes.to_string()), &body).unwrap();
            let heard = exchange(files.clone(), format!("GET /{bytes} HTTP/1.0\r\n\r\n").as_bytes());
            assert!(heard.starts_with(b"HTTP/1.0 200 ") && ends_with(&heard, &body), "{bytes}");
        }
    }

    #[test]
    fn it_ends_whatever_the_handler_does() {
        let reader = |reader: fn() -> Box<dyn std::io::Read + Send>, length| {
            move |_: &Request<'_>| Response {
                body: Body::Reader { reader: reader(), length },
                ..Response::empty(Status::OK)
            }
        };
        struct Panics;
        impl std::io::Read for Panics {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                panic!("as it was told")
            }
        }
        let get = b"GET / HTTP/1.0\r\n\r\n";
        assert_eq!(exchange(reader(|| Box::new(std::io::repeat(b'x')), None), get).len(), super::OUTGOING);
        assert_eq!(exchange(reader(|| Box::new(std::io::repeat(b'x')), Some(1 << 40)), get).len(), super::OUTGOING);
        assert!(exchange(reader(|| Box::new(std::io::empty()), Some(9)), get).ends_with(b"\r\n\r\n"));
        assert!(exchange(reader(|| Box::new(Panics), Some(9)), get).len() < 200);
        let panics = |_: &Request<'_>| -> Response { panic!("as it was told") };
        assert!(exchange(panics, get).starts_with(b"HTTP/1.0 500 "));
    }
}
