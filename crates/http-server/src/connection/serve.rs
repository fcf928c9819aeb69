//! Serving: what a connection does within a turn, from the bytes of a request to those of its response. It asks the
//! protocol what comes next, calls the handler, and stops where the peer is not ready or the turn has lasted long
//! enough.

use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http_core::server::{self, Event, Expectation, Phase, ResponseBody, SendBody};
use http_core::{Date, Framing, RequestError, UsageError};

use super::{Activity, Aside, BYTES_PER_TURN, Connection, TurnOutcome};
use crate::access_log::{LogFormat, PendingRecord};
use crate::clock;
use crate::connection::budget::Reservation;
use crate::connection::context::WorkerContext;
use crate::connection::error_response::{ErrorResponses, Failure};
use crate::connection::interest::Interest;
use crate::connection::shared::Shared;
use crate::connection::transport::Transport;
use crate::forwarded;
use crate::freshness::ReceivedAt;
use crate::handler::{ActionKind, Body, HandlerError, Request, Response};
use crate::permit::Turn;
use crate::trace::DecisionTrace;

/// A turn also ends after this many responses.
const RESPONSES_PER_TURN: u32 = 16;
/// The turns of a long response grow up to this: its data no longer fits the processor's caches, and fewer turns cost
/// less.
const MAX_BYTES_PER_TURN: u64 = 2 << 20;

impl<T: Transport> Connection<T> {
    /// Serves requests for one turn. An error is the transport's, or ends the connection.
    pub(super) fn serve(&mut self, shared: &Shared, context: &mut WorkerContext) -> io::Result<TurnOutcome> {
        let (mut responses, mut bytes) = (0, 0);
        loop {
            if self.send_buffer.is_large() {
                context.turn.promote_follower();
            }
            while !self.send_buffer.is_empty() {
                if self.send_buffer.needs_source() {
                    let wanted = self.body_permit();
                    if !context.turn.may(wanted, |name| name.extend_from_slice(self.request_line())) {
                        return Ok(TurnOutcome::Blocked(wanted));
                    }
                }
                if bytes >= (self.timer.bytes_moved() / 2).clamp(BYTES_PER_TURN, MAX_BYTES_PER_TURN) {
                    return Ok(TurnOutcome::Park(Interest::Yield));
                }
                let n = self.send_buffer.send(&mut self.transport)?;
                bytes += n;
                context.turn.add_bytes(n);
                self.record_progress(n);
                if !self.send_buffer.is_empty() && self.is_over(context) {
                    return Ok(TurnOutcome::Park(Interest::Yield));
                }
            }
            if let Activity::SendingResponse { head, body, .. } = self.activity {
                if ends_with_the_close(head, body) {
                    self.transport.reset_on_close(false);
                }
                self.finish_response(shared, context, body)?;
                responses += 1;
            }
            let reads_body = matches!(self.activity, Activity::ReadingBody(_));
            if reads_body && matches!(self.reservation, Reservation::Wanted(_)) {
                return Ok(TurnOutcome::Park(Interest::Read));
            }
            let is_full = responses >= RESPONSES_PER_TURN || bytes >= BYTES_PER_TURN;
            // What has come of a body is used first: no memory is reserved for bytes that wait to be used.
            if !reads_body && (is_full || responses > 0 && self.is_over(context)) {
                return Ok(TurnOutcome::Park(Interest::Yield)); // the next request may be in the buffer already
            }
            // A handler's sink or closure may block.
            let wanted = self.body_permit();
            if reads_body && !context.turn.may(wanted, |name| name.extend_from_slice(self.request_line())) {
                return Ok(TurnOutcome::Blocked(wanted));
            }
            match self.protocol.poll() {
                Ok(Event::NeedInput) => {
                    if !self.may_be_readable {
                        return Ok(TurnOutcome::Park(Interest::Read));
                    }
                    if reads_body && (is_full || bytes > 0 && self.is_over(context)) {
                        return Ok(TurnOutcome::Park(Interest::Yield));
                    }
                    self.update_phase();
                    let n = self.read(shared)?;
                    bytes += n;
                    context.turn.add_bytes(n);
                }
                Ok(Event::Request(_)) => {
                    if let Some(outcome) = self.call_handler(shared, context)? {
                        self.protocol.postpone();
                        return Ok(outcome);
                    }
                }
                Ok(Event::Continue(interim)) => self.send_buffer.bytes.extend_from_slice(interim),
                Ok(Event::Body(part)) => {
                    let memory = self.reservation.reserved();
                    if let Activity::ReadingBody(consumer) = &mut self.activity
                        && let Err(failure) = guard(|| consumer.write(part, memory))
                    {
                        let response = self.error_responses(shared, &context.turn).failed(failure);
                        self.drop_consumer();
                        self.respond(shared, context, response)?;
                    }
                }
                Ok(Event::NeedOutput) => {
                    let Activity::ReadingBody(consumer) = mem::replace(&mut self.activity, Activity::Idle) else {
                        return Err(io::Error::other("a response is due, and no handler makes it"));
                    };
                    let result = guard(|| consumer.finish());
                    let errors = self.error_responses(shared, &context.turn);
                    let response = result.unwrap_or_else(|failure| errors.failed(failure));
                    self.respond(shared, context, response)?;
                }
                Ok(Event::Closed) => return Ok(self.close(context)),
                Ok(_) => return Err(io::Error::other("an unknown event")),
                Err(error) => {
                    if let Some(log) = &shared.log
                        && matches!(self.activity, Activity::Idle)
                        && !matches!(self.aside.as_deref(), Some(Aside::Unwanted(_)))
                    {
                        let record = self.log_record.get_or_insert_with(|| context.take_log_record());
                        let (began, client) = (self.request_began, self.peer_addr.ip());
                        record.begin(log.format, began, client, None, self.protocol.start_line());
                    }
                    let response = self.error_responses(shared, &context.turn).reject(error);
                    self.drop_consumer();
                    self.respond(shared, context, response)?;
                }
            }
        }
    }

    /// Whether the turn had lasted long enough when bytes moved last: that costs no look at the clock.
    fn is_over(&self, context: &WorkerContext) -> bool {
        context.turn.is_over(self.timer.last_progress())
    }

    /// Reads the available bytes, and returns their number.
    pub(super) fn read(&mut self, shared: &Shared) -> io::Result<u64> {
        let buffer = self.protocol.receive_buffer();
        let (all, n) = (buffer.len(), self.transport.receive(buffer)?);
        self.received_at = ReceivedAt::now();
        if self.timer.phase() != Phase::Head {
            self.request_began = shared.request_begins(); // perhaps: these may be bytes of a body
        }
        match n {
            0 => self.protocol.received_eof(),
            n => self.protocol.received(n),
        }
        // A short read took everything, and an event will announce what comes later: one call less per request. (That
        // is not so at an urgent mark. Its sender then waits until the timeout.)
        self.may_be_readable = n == all || self.peer_closed;
        self.record_progress(n as u64);
        Ok(n as u64)
    }

    /// Hands the request that the protocol just received to the handler. Returns the outcome of the turn, if the handler
    /// is to be called again.
    fn call_handler(&mut self, shared: &Shared, context: &mut WorkerContext) -> io::Result<Option<TurnOutcome>> {
        let line = self.protocol.start_line();
        if !context.turn.may(shared.handler_permit, |name| name.extend_from_slice(line)) {
            return Ok(Some(TurnOutcome::Blocked(shared.handler_permit)));
        }
        let waker = self.take_waker();
        let Some(head) = self.protocol.request_head() else { return Err(io::Error::other("a request without a head")) };
        let request = Request {
            head,
            peer_addr: self.peer_addr,
            client_ip: forwarded::client_ip(&shared.trusted, self.peer_addr.ip(), &head.fields),
            date: clock::http_date_now(),
            received_at: self.received_at,
            socket: Some(&self.transport),
            trace: DecisionTrace(shared.trace.as_ref()),
            turn: Some(&context.turn),
            waker: waker.as_deref(),
        };
        let action = guard(|| Ok(shared.handler.handle(&request).0));
        let length = if let Framing::Length(length) = head.body { length } else { 0 };
        let is_unmet = head.expectation() == Expectation::Unknown;
        // Messages about a body need the request line, too.
        let body_may_fail = match &action {
            Ok(ActionKind::Respond(Ok(response))) => matches!(response.body, Body::File { .. } | Body::Reader { .. }),
            Ok(ActionKind::ReadBody { .. }) => true,
            _ => false,
        };
        if shared.log.is_some() || body_may_fail {
            let format = shared.log.as_ref().map_or(LogFormat::Common, |log| log.format);
            let (began, client) = (self.request_began, request.client_ip);
            let record = self.log_record.get_or_insert_with(|| context.take_log_record());
            record.begin(format, began, client, Some(&head.fields), self.protocol.start_line());
        }
        self.body_may_hang = context.turn.take_asked_to_hang();
        let errors = || self.error_responses(shared, &context.turn);
        let response = match action {
            Ok(ActionKind::Respond(Ok(response))) => response,
            Ok(ActionKind::Respond(Err(error))) => errors().failed(Failure::Error(error)),
            Ok(ActionKind::ReadBody { limit, consumer }) => {
                let memory = consumer.memory(length);
                let is_too_long = length > limit.min(shared.limits.body) || !shared.body_budget.can_hold(memory);
                self.activity = Activity::ReadingBody(consumer);
                if !is_too_long && !is_unmet {
                    self.reservation = shared.body_budget.request(memory as u32);
                    self.enter_phase(Phase::Responding); // the time of the body begins when the server waits for it
                    return Ok(None);
                }
                self.drop_consumer();
                let errors = self.error_responses(shared, &context.turn);
                if is_too_long { errors.reject(RequestError::BodyTooLong) } else { errors.reject_expectation() }
            }
            Ok(ActionKind::Later(permit)) => return Ok(Some(TurnOutcome::Blocked(permit))),
            Ok(ActionKind::Sleep(waker)) => {
                self.aside = Some(Box::new(Aside::Waker(waker.clone())));
                return Ok(Some(TurnOutcome::Sleep(waker)));
            }
            Err(failure) => errors().failed(failure),
        };
        self.respond(shared, context, response).map(|()| None)
    }

    /// Begins the record of a request that was put aside and gets no response. Returns `false` if there is no such request.
    pub(super) fn begin_held_record(&mut self, shared: &Shared) -> bool {
        if self.protocol.phase() != Phase::Head || self.protocol.poll().is_err() {
            return false;
        }
        let Some(head) = self.protocol.request_head() else { return false };
        if let Some(log) = &shared.log {
            let client = forwarded::client_ip(&shared.trusted, self.peer_addr.ip(), &head.fields);
            let mut record = Box::<PendingRecord>::default();
            record.begin(log.format, self.request_began, client, Some(&head.fields), self.protocol.start_line());
            self.log_record = Some(record);
        }
        true
    }

    /// Drops what receives a body that is not wanted any more. A sink that panics then costs no response.
    fn drop_consumer(&mut self) {
        let activity = mem::replace(&mut self.activity, Activity::Idle);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(activity)));
    }

    fn respond(&mut self, shared: &Shared, context: &mut WorkerContext, mut response: Response) -> io::Result<()> {
        shared.body_budget.release(&mut self.reservation);
        if let Some(error) = response.invalid_header {
            response = self.error_responses(shared, &context.turn).invalid_header(&error);
        }
        if let Some(cause) = &response.cause {
            self.note_cause(cause);
        }
        let date = clock::http_date_now();
        // More may have come while the handler was busy. If it is not read, the close is a reset (V24). A deferred
        // connection has waited for others, and `close` looks anyway.
        let took_long = clock::monotonic_ms() > self.timer.last_progress() + clock::MAX_LAG;
        self.may_be_readable |= took_long && !self.holds_workspace;
        self.enter_phase(Phase::Responding);
        let body = response.body.length();
        let head = server::Response {
            status: response.status,
            fields: &response.fields,
            body: body.map_or(ResponseBody::UntilClose, ResponseBody::Length),
            date: Some(response.forwarded.map_or_else(|| context.dates.text(date), Date::text)),
            close: !shared.keeps_connections(),
            idle_timeout: Some(shared.timeouts.idle),
        };
        let (protocol, out) = (&mut self.protocol, &mut self.send_buffer.bytes);
        let written =
            if response.forwarded.is_some() { protocol.forward(&head, out) } else { protocol.respond(&head, out) };
        let send = match written {
            Ok(send) => send,
            // HTTP forbids the handler's response, and nothing of it was written.
            Err(UsageError::InformationalStatus | UsageError::MissingField) => {
                let response = self.error_responses(shared, &context.turn).forbidden_response(response.status);
                return self.respond(shared, context, response);
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        let head = self.send_buffer.bytes.len() as u64;
        let body = match send {
            SendBody::Exactly(length) => Some(length),
            SendBody::UntilClose => None,
            _ => Some(0),
        };
        if ends_with_the_close(head, body) {
            self.transport.reset_on_close(true);
        }
        self.activity = Activity::SendingResponse { status: response.status, date, head, body };
        if body != Some(0) {
            self.send_buffer.push(response.body);
        }
        Ok(())
    }

    pub(super) fn error_responses<'a>(&'a self, shared: &'a Shared<'_>, turn: &'a Turn) -> ErrorResponses<'a> {
        ErrorResponses { shared, request_line: self.request_line(), turn }
    }

    /// The first line of the request in progress, as far as it is known.
    fn request_line(&self) -> &[u8] {
        match (self.protocol.start_line(), &self.log_record) {
            (b"", Some(record)) => record.request_line(), // the head has made room for the body
            (line, _) => line,
        }
    }

    fn finish_response(&mut self, shared: &Shared, context: &WorkerContext, body: Option<u64>) -> io::Result<()> {
        let sent = match body {
            Some(body) => self.protocol.body_sent(body),
            None => self.protocol.finish_body(),
        };
        sent.map_err(io::Error::other)?;
        self.responses = self.responses.saturating_add(1);
        self.body_may_hang = false;
        self.record(shared, context, self.response_reason());
        Ok(())
    }
}

/// Whether only the close shows where a response ends: it has no length, or no head (HTTP/0.9).
fn ends_with_the_close(head: u64, body: Option<u64>) -> bool {
    body.is_none() || (head == 0 && body != Some(0))
}

/// Runs a handler's code.
fn guard<R>(call: impl FnOnce() -> Result<R, HandlerError>) -> Result<R, Failure> {
    catch_unwind(AssertUnwindSafe(call)).map_err(Failure::Panic)?.map_err(Failure::Error)
}
