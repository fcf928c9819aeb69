//! hyper's two roles over a connection in memory. Nothing waits: a head is there whenever hyper reads, and all that it
//! writes is dropped. So only its own work is measured, including its tasks and the messages between them.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};

struct Memory {
    /// What is read, again and again.
    head: Vec<u8>,
    /// How many heads may be read before the end of the stream.
    left: u64,
    /// A client gets a response only after it wrote a request.
    after_write: bool,
    written: bool,
}

impl Read for Memory {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.after_write && !std::mem::take(&mut self.written) {
            return Poll::Pending;
        }
        if self.left > 0 {
            self.left -= 1;
            buffer.put_slice(&self.head);
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Memory {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Serves `n` requests with this head on one connection. The responses are empty.
pub(crate) fn serve(head: &[u8], n: u64) -> Duration {
    let served = Cell::new(0);
    let start = Instant::now();
    let service = service_fn(|_| {
        served.set(served.get() + 1);
        async { Ok::<_, Infallible>(Response::new(String::new())) }
    });
    let memory = Memory { head: head.to_vec(), left: n, after_write: false, written: false };
    let mut connection = pin!(server::conn::http1::Builder::new().half_close(true).serve_connection(memory, service));
    let mut context = Context::from_waker(Waker::noop());
    while connection.as_mut().poll(&mut context).map(Result::unwrap).is_pending() {}
    let time = start.elapsed();
    assert_eq!(served.get(), n);
    time
}

/// Makes `n` requests on one connection. Each gets this response, without its body.
pub(crate) fn request(response: &[u8], n: u64) -> Duration {
    let memory = Memory { head: response.to_vec(), left: n, after_write: true, written: false };
    let mut context = Context::from_waker(Waker::noop());
    let start = Instant::now();
    let mut handshake = pin!(client::conn::http1::handshake(memory));
    let Poll::Ready(Ok((mut sender, connection))) = handshake.as_mut().poll(&mut context) else { panic!() };
    let mut connection = pin!(connection);
    for _ in 0..n {
        let request = Request::head("/a.txt").header("host", "localhost").body(String::new()).unwrap();
        let mut response = pin!(sender.send_request(request));
        loop {
            assert!(connection.as_mut().poll(&mut context).map(Result::unwrap).is_pending());
            if let Poll::Ready(response) = response.as_mut().poll(&mut context) {
                assert_eq!(response.unwrap().status(), 200);
                break;
            }
        }
        while sender.poll_ready(&mut context).map(Result::unwrap).is_pending() {
            assert!(connection.as_mut().poll(&mut context).map(Result::unwrap).is_pending());
        }
    }
    start.elapsed()
}
