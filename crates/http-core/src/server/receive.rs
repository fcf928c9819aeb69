//! From received bytes to the next event: heads, bodies, bodies that are dropped, and the end of the stream. `mod` owns
//! the state.

use crate::error::RequestError;
use crate::server::head::Head;
use crate::server::types::Expectation;
use crate::server::{Connection, State};
use crate::wire::framing::Framing;
use crate::wire::persistence::CloseReason;

/// What the next event is.
pub(super) enum Step {
    NeedInput,
    Request,
    Continue,
    Body,
    NeedOutput,
    Closed,
}

impl Connection {
    pub(super) fn advance(&mut self) -> Result<Step, RequestError> {
        loop {
            match self.state {
                State::Head => return self.receive_head(),
                State::Due => return self.receive_body(),
                State::Sending(_) => return Ok(Step::NeedOutput),
                State::Dropping if self.close_reason.is_some() => self.state = State::Closed,
                State::Dropping => {
                    let n = self.body_left.min(self.buffer.unread().len() as u64);
                    self.buffer.consume(n as usize);
                    self.body_left -= n;
                    if self.body_left == 0 {
                        self.next_request();
                    } else if self.eof || self.timed_out {
                        self.close(CloseReason::BodyIncomplete);
                    } else {
                        return Ok(Step::NeedInput);
                    }
                }
                State::Closed => return Ok(Step::Closed),
            }
        }
    }

    fn close(&mut self, reason: CloseReason) {
        (self.state, self.close_reason) = (State::Closed, Some(reason));
    }

    fn next_request(&mut self) {
        self.state = State::Head;
        self.head = Head::NONE;
        self.pieces = u8::from(!self.buffer.unread().is_empty());
    }

    /// Whether a byte of a request was received. Line ends do not count (R9112-8).
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.buffer.unread(), b"" | b"\r" | b"\r\n" | b"\n") && !self.holds_head
    }

    #[cold]
    pub(super) fn refuse(&mut self, error: RequestError) {
        if self.refused.is_none() {
            if self.state == State::Head {
                // The response to HEAD has no body, even if the line is incomplete. Only as much counts as a
                // line may have, or the pieces would decide.
                let line = self.buffer.unread();
                let line = &line[..line.len().min(self.limits.start_line as usize)];
                self.head.is_head = matches!(line, [b'H', b'E', b'A', b'D', b' ' | b'\t', ..]);
            }
            (self.refused, self.state, self.body_left) = (Some(error), State::Due, 0);
        }
    }

    fn receive_head(&mut self) -> Result<Step, RequestError> {
        if self.overloaded {
            return Err(RequestError::Overloaded);
        }
        if let Some(body) = self.head.read(&mut self.buffer, &self.limits, self.allows_http09)? {
            self.holds_head = true;
            self.body_left = if let Framing::Length(bytes) = body { bytes } else { 0 };
            self.state = State::Due;
            return Ok(Step::Request);
        }
        match (self.timed_out, self.eof) {
            (false, false) => return Ok(Step::NeedInput),
            (true, _) if self.has_begun() => return Err(RequestError::TimedOut),
            (_, true) if self.has_begun() => return Err(RequestError::Incomplete),
            (true, _) => self.close(CloseReason::IdleTimeout),
            (_, true) => self.close(CloseReason::PeerClosed),
        }
        Ok(Step::Closed)
    }

    fn receive_body(&mut self) -> Result<Step, RequestError> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        if self.overloaded {
            return Err(RequestError::Overloaded);
        }
        if self.body_left == 0 {
            return Ok(Step::NeedOutput);
        }
        if self.body_left > self.limits.body {
            return Err(RequestError::BodyTooLong);
        }
        let n = self.body_left.min(self.buffer.unread().len() as u64);
        if n > 0 {
            self.buffer.lend_front(n as usize);
            self.body_left -= n;
            self.head.expectation = Expectation::Nothing; // the client did not wait
            return Ok(Step::Body);
        }
        if self.timed_out {
            return Err(RequestError::TimedOut);
        }
        if self.eof {
            return Err(RequestError::Incomplete); // R9112-6.3b
        }
        if self.head.expectation == Expectation::Continue {
            self.head.expectation = Expectation::Nothing; // from now on the client sends the body
            return Ok(Step::Continue);
        }
        Ok(Step::NeedInput)
    }
}
