//! A TCP connection as a blocking stream.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::Stream;
#[cfg(target_os = "linux")]
use crate::connection::sockopt;

/// A TCP connection. `LIMITED`: the driver sets its timeouts, and not its owner.
pub(crate) struct Tcp<'a, const LIMITED: bool> {
    stream: &'a TcpStream,
    /// The timeouts as they were set last. To set one costs a system call.
    read_timeout: Cell<Duration>,
    write_timeout: Cell<Duration>,
}

impl<const LIMITED: bool> Tcp<'_, LIMITED> {
    pub(crate) fn new(stream: &TcpStream) -> Tcp<'_, LIMITED> {
        Tcp { stream, read_timeout: Cell::default(), write_timeout: Cell::default() }
    }
}

impl<const LIMITED: bool> Read for Tcp<'_, LIMITED> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if cfg!(windows) {
            self.stream.peek(&mut [0])?; // a read that times out may lose bytes there
        }
        self.stream.read(buffer)
    }
}

impl<const LIMITED: bool> Write for Tcp<'_, LIMITED> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<const LIMITED: bool> Stream for Tcp<'_, LIMITED> {
    const HAS_LIMITS: bool = LIMITED;

    fn limit_read(&self, time: Duration) -> io::Result<()> {
        if LIMITED && self.read_timeout.replace(time) != time {
            self.stream.set_read_timeout(Some(time))?;
        }
        Ok(())
    }

    fn limit_write(&self, time: Duration) -> io::Result<()> {
        if LIMITED && self.write_timeout.replace(time) != time {
            self.stream.set_write_timeout(Some(time))?;
        }
        Ok(())
    }

    fn is_readable(&self) -> bool {
        if self.stream.set_nonblocking(true).is_err() {
            return false;
        }
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).is_ok() && peeked.is_ok_and(|n| n > 0)
    }

    #[cfg(target_os = "linux")]
    fn limit_unsent(&self) {
        let _ = sockopt::limit_unsent(&self.stream); // it only makes progress visible
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        if LIMITED { Ok(()) } else { self.stream.set_read_timeout(Some(Duration::from_secs(2))) }
    }

    fn reset_on_close(&self, on: bool) {
        let _ = set_socket_linger(self.stream, on.then_some(Duration::ZERO)); // cannot fail on a socket
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }
}
