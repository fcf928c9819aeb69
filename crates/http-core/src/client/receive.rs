//! From received bytes to the next event: heads, bodies, and the end of the stream. `mod` owns the state.

use crate::client::response::Head;
use crate::client::{Connection, State};
use crate::error::ResponseError;
use crate::message::status::Status;
use crate::wire::chunked::{Chunks, Next};
use crate::wire::framing::Framing;
use crate::wire::persistence::CloseReason;

/// What the next event is.
pub(super) enum Step {
    NeedInput,
    Response,
    Body,
    ResponseEnd,
    Closed,
}

impl Connection {
    pub(super) fn advance(&mut self) -> Result<Step, ResponseError> {
        match self.state {
            State::Idle if !self.buffer.unread().is_empty() => Err(ResponseError::Unsolicited), // R9112-6.3d
            State::Idle if self.eof || self.lost => Ok(self.close(CloseReason::PeerClosed)),
            State::Idle if self.timed_out => Ok(self.close(CloseReason::IdleTimeout)),
            State::Idle => Ok(Step::NeedInput),
            State::Head => self.receive_head(),
            State::Body(left) => self.receive_body(left),
            State::Closed => Ok(Step::Closed),
            State::Failed(error) => Err(error),
        }
    }

    fn close(&mut self, reason: CloseReason) -> Step {
        (self.state, self.close_reason) = (State::Closed, Some(reason));
        Step::Closed
    }

    /// More bytes are needed, if there can be any.
    fn need_input(&self) -> Result<Step, ResponseError> {
        if self.lost {
            Err(ResponseError::ConnectionLost)
        } else if self.timed_out {
            Err(ResponseError::TimedOut)
        } else {
            Ok(Step::NeedInput)
        }
    }

    fn receive_head(&mut self) -> Result<Step, ResponseError> {
        let bytes = self.buffer.unread();
        let is_first = !self.reused && self.head.interim == 0;
        if self.allows_http09 && is_first && Head::is_simple(bytes, &self.limits, self.eof) {
            self.close_reason = self.close_reason.or(Some(CloseReason::UnknownLength));
            self.state = State::Body(Framing::UntilClose);
            self.buffer.parts().1.clear();
            return Ok(Step::Response);
        }
        match self.head.read(&mut self.buffer, &self.limits, self.leniency, self.is_head)? {
            None if self.eof && self.buffer.unread().is_empty() => Err(ResponseError::NoResponse),
            None if self.eof => Err(ResponseError::HeadTruncated), // R9112-8
            None => self.need_input(),
            Some((framing, reason)) => {
                let is_408 = self.head.status() == Status::REQUEST_TIMEOUT;
                self.crossed_408 = is_408 && self.reused && self.head.interim == 0;
                self.close_reason = self.close_reason.or(reason);
                self.chunks = Chunks::new();
                self.state = State::Body(framing);
                Ok(Step::Response)
            }
        }
    }

    fn receive_body(&mut self, left: Framing) -> Result<Step, ResponseError> {
        loop {
            let (bytes, index) = self.buffer.parts();
            let n = match left {
                Framing::Empty => return Ok(self.end()),
                Framing::Length(left) => left.min(bytes.len() as u64) as usize,
                Framing::UntilClose => bytes.len(),
                Framing::Chunked => match self.chunks.step(bytes, &self.limits, index)? {
                    Next::NeedInput => 0,
                    Next::Data(n) => n,
                    Next::Framing(n) => {
                        self.buffer.consume(n);
                        continue;
                    }
                    Next::End(n) => {
                        self.buffer.consume(n);
                        return Ok(self.end());
                    }
                },
            };
            if n > 0 {
                if let Framing::Length(left) = left {
                    self.state = State::Body(Framing::of_length(left - n as u64));
                }
                self.buffer.lend_front(n);
                return Ok(Step::Body);
            }
            return match (self.eof, left) {
                (false, _) => self.need_input(),
                (true, Framing::UntilClose) => Ok(self.end()), // R1945-7.2.2a
                // The body has a length or chunks, and is not complete (R9112-6.3b, R9112-8).
                (true, _) => Err(ResponseError::BodyTruncated),
            };
        }
    }

    /// Ends a response. If the request's body is incomplete, the next request could begin anywhere.
    fn end(&mut self) -> Step {
        if self.body_left > 0 {
            self.close_reason = self.close_reason.or(Some(CloseReason::BodyIncomplete));
        }
        self.state = if self.close_reason.is_none() { State::Idle } else { State::Closed };
        self.reused = true;
        Step::ResponseEnd
    }
}
