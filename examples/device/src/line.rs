//! A serial line: one peer, and neither a beginning nor an end of connections. When one is over, the next begins with
//! the next byte.
//!
//! Only its length ends a response. A peer sends its next request after that, or several at once with
//! `Connection: keep-alive`. What follows a damaged or unfinished request is dropped until the line is quiet, since
//! nothing else shows where the next request begins.

use core::time::Duration;

use crate::page::Page;
use crate::session::{Next, Session};

/// How long the line must be quiet after a damaged request. Peers leave no such gap within one.
pub const QUIET: Duration = Duration::from_millis(500);

/// The device's end of a serial line.
pub struct Line {
    session: Session,
    /// Bytes are dropped until then, or until `QUIET` after the last one.
    dropping_until: Option<Duration>,
}

impl Line {
    /// A line on which nothing was received yet.
    pub fn new(now: Duration) -> Line {
        Line { session: Session::new(now), dropping_until: None }
    }

    /// Where to receive, while nothing is [unsent](Self::unsent). A UART without flow control loses what it
    /// receives while a response is sent.
    pub fn receive_buffer(&mut self) -> &mut [u8] {
        self.session.receive_buffer()
    }

    /// `n` bytes were received.
    pub fn received(&mut self, n: usize, now: Duration) {
        match &mut self.dropping_until {
            Some(until) if now < *until => *until = now + QUIET,
            _ => {
                self.dropping_until = None;
                self.session.received(n);
            }
        }
    }

    /// Handles what was received or sent, and the deadline.
    pub fn poll(&mut self, now: Duration, find: impl Fn(&[u8], Duration) -> Option<Page>) {
        match self.session.poll(now, true, find) {
            Next::Receive | Next::Send => {}
            Next::Close { in_step } => {
                self.session.reset(now);
                self.dropping_until = (!in_step).then_some(now + QUIET);
            }
            Next::Abort => {
                self.session.reset(now);
                self.dropping_until = Some(now + QUIET);
            }
        }
    }

    /// What to send next. While it is not empty, receive nothing.
    pub fn unsent(&self) -> &[u8] {
        self.session.unsent()
    }

    /// `n` bytes of [`unsent`](Self::unsent) were sent.
    pub fn sent(&mut self, n: usize) {
        self.session.sent(n);
    }

    /// When to poll again even if nothing was received or sent.
    pub fn deadline(&self) -> Duration {
        self.session.deadline()
    }
}
