//! A handler's answers without a socket: a client in memory, served by the very code that serves all others.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use http_core::{CloseReason, Date, Limits, server};
use rustix::io::{pread, retry_on_intr};

use crate::clock;
use crate::connection::context::WorkerContext;
use crate::connection::interest::Interest;
use crate::connection::shared::{SEND_BUDGET, Shared};
use crate::connection::transport::Transport;
use crate::connection::{Connection, TurnOutcome};
use crate::freshness::ReceivedAt;
use crate::handler::{Handler, Request};
use crate::trace::{Decision, DecisionTrace};

/// What a client got for the bytes that it sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exchange {
    /// Everything that the server sent.
    pub output: Vec<u8>,
    /// Why the connection closes; `None` if it is kept.
    pub close_reason: Option<CloseReason>,
    /// The decisions about the requests, in order.
    pub decisions: Vec<Decision>,
}

/// Serves these bytes and the end of their stream with this handler, without a socket or a thread.
///
/// No time passes, so nothing times out. The client's address is 127.0.0.1:49152, the server's 127.0.0.1:80. After 64 MiB
/// the client goes away, so this ends as soon as handler, sink and reader return. To ask one handler several times, put it
/// into an [`Arc`](std::sync::Arc).
///
/// ```
/// use http_server::testing::exchange;
/// use http_server::{Action, Request, Response};
///
/// let echo = |_: &Request<'_>| Action::collect_body(|body| Response::text(String::from_utf8_lossy(&body)));
/// let output = exchange(echo, b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello").output;
/// assert!(output.starts_with(b"HTTP/1.0 200 OK\r\n") && output.ends_with(b"\r\n\r\nhello"));
/// ```
pub fn exchange(handler: impl Handler, bytes: &[u8]) -> Exchange {
    exchange_with(handler, true, bytes)
}

/// Like [`exchange`], by a server that keeps connections alive or does not.
pub fn exchange_with(handler: impl Handler, keep_alive: bool, bytes: &[u8]) -> Exchange {
    let shared = Shared { keep_alive, trace: Some(Mutex::default()), ..Shared::new(Box::new(handler)) };
    let (output, close_reason) = run_exchange(&shared, bytes, SEND_BUDGET);
    let decisions = shared.trace.unwrap_or_default().into_inner().unwrap_or_else(PoisonError::into_inner);
    Exchange { output, close_reason, decisions }
}

/// Runs an exchange whose client takes at most `max_output` bytes.
fn run_exchange(shared: &Shared, bytes: &[u8], max_output: usize) -> (Vec<u8>, Option<CloseReason>) {
    let mut context = WorkerContext::new(None);
    let mut output = Vec::new();
    let client = MemoryClient { input: bytes, output: &mut output, max_output };
    let mut connection = Connection::new(client, SocketAddr::from((Ipv4Addr::LOCALHOST, 49152)), shared);
    connection.on_ready(true);
    // The only thing that it waits for here is its next turn. A reader that panics cuts the response short, as anywhere.
    let mut turn = || catch_unwind(AssertUnwindSafe(|| connection.drive(shared, &mut context)));
    while matches!(turn(), Ok(TurnOutcome::Park(Interest::Yield))) {}
    let reason = connection.close_reason();
    drop(connection);
    (output, reason)
}

/// Builds one request for a handler and calls it directly.
#[derive(Clone, Copy, Debug)]
pub struct RequestBuilder<'a> {
    bytes: &'a [u8],
    date: Option<Date>,
}

impl<'a> RequestBuilder<'a> {
    /// A request whose head is these bytes, through its empty line.
    pub fn new(bytes: &'a [u8]) -> RequestBuilder<'a> {
        RequestBuilder { bytes, date: None }
    }

    /// The time of the request. Default: now.
    #[must_use]
    pub fn date(self, date: Date) -> RequestBuilder<'a> {
        RequestBuilder { date: Some(date), ..self }
    }

    /// Calls `f` with the request.
    ///
    /// # Panics
    /// If the bytes are not a valid request.
    #[expect(clippy::panic, reason = "a test's own mistake")]
    pub fn run<T>(self, f: impl FnOnce(&Request<'_>) -> T) -> T {
        let mut machine = server::Connection::new(Limits::default());
        let mut rest = self.bytes;
        loop {
            match machine.poll() {
                Ok(server::Event::NeedInput) if rest.is_empty() => panic!("the request is not complete"),
                Ok(server::Event::NeedInput) => {
                    let room = machine.receive_buffer();
                    let n = room.len().min(rest.len());
                    room[..n].copy_from_slice(&rest[..n]);
                    machine.received(n);
                    rest = &rest[n..];
                }
                Ok(server::Event::Request(_)) => break,
                other => panic!("not a request: {other:?}"),
            }
        }
        let Some(head) = machine.request() else { panic!("the request has no head") };
        let mut output = Vec::new();
        let socket = MemoryClient { input: &[], output: &mut output, max_output: 0 };
        f(&Request {
            head,
            peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 49152)),
            client: Ipv4Addr::LOCALHOST.into(),
            now: self.date.unwrap_or_else(clock::http_date_now),
            received_at: ReceivedAt::now(),
            socket: &socket,
            trace: DecisionTrace(None),
            leader: None,
        })
    }
}

/// A client that has sent all its input, and takes at most `max_output` bytes.
#[derive(Debug)]
struct MemoryClient<'a> {
    input: &'a [u8],
    output: &'a mut Vec<u8>,
    max_output: usize,
}

/// Bytes of a file that are read at once.
const READ_CHUNK: usize = 64 << 10;

impl Transport for MemoryClient<'_> {
    fn receive(&mut self, room: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut self.input, room)
    }

    fn is_readable(&self) -> bool {
        !self.input.is_empty()
    }

    fn send(&mut self, bytes: &[u8], _more: bool) -> io::Result<usize> {
        match bytes.len().min(self.max_output - self.output.len()) {
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            n => io::Write::write(&mut self.output, &bytes[..n]),
        }
    }

    fn send_file(&mut self, file: BorrowedFd<'_>, offset: &mut u64, length: u64) -> io::Result<usize> {
        let mut piece = vec![0; length.min(READ_CHUNK as u64) as usize];
        let n = match retry_on_intr(|| pread(file, &mut *piece, *offset))? {
            0 => 0,
            n => self.send(&piece[..n], false)?,
        };
        *offset += n as u64;
        Ok(n)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 80)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::SEND_BUDGET;
    use crate::{Body, Handler, Request, Response};
    use http_core::Status;

    fn exchange(handler: impl Handler, bytes: &[u8]) -> Vec<u8> {
        super::exchange(handler, bytes).output
    }

    #[test]
    fn all_requests_are_answered_and_nothing_else_is() {
        let path = Arc::new(|request: &Request<'_>| Response::text(request.path()));
        let get = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        let heard = exchange(path.clone(), &get.repeat(50)); // more than a turn
        assert_eq!(heard.windows(6).filter(|w| w == b"\r\n\r\n/a").count(), 50);
        assert_eq!(exchange(path.clone(), b""), b"");
        assert_eq!(exchange(path.clone(), b"GET /simple\r\n"), b"/simple");
        assert!(exchange(path.clone(), b"GET / HT").starts_with(b"HTTP/1.0 400 "));
        assert!(exchange(path, b"nonsense\r\n\r\n").starts_with(b"HTTP/1.0 400 "));
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
        assert_eq!(exchange(reader(|| Box::new(std::io::repeat(b'x')), None), get).len(), SEND_BUDGET);
        assert_eq!(exchange(reader(|| Box::new(std::io::repeat(b'x')), Some(1 << 40)), get).len(), SEND_BUDGET);
        assert!(exchange(reader(|| Box::new(std::io::empty()), Some(9)), get).ends_with(b"\r\n\r\n"));
        assert!(exchange(reader(|| Box::new(Panics), Some(9)), get).len() < 200);
        let panics = |_: &Request<'_>| -> Response { panic!("as it was told") };
        assert!(exchange(panics, get).starts_with(b"HTTP/1.0 500 "));
    }
}
