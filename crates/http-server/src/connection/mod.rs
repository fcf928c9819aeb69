//! A connection to one peer: its socket, its protocol, and what is still to be sent. A connection goes as far as the
//! peer allows and then returns what it waits for; it never waits itself. It knows neither the reactor nor the pool.

pub(crate) mod budget;
pub(crate) mod context;
mod error_response;
pub(crate) mod interest;
mod memory;
pub(crate) mod send_buffer;
mod serve;
pub(crate) mod shared;
#[cfg(target_os = "linux")]
pub(crate) mod socket;
#[cfg(target_os = "linux")]
pub(crate) mod sockopt;
mod state;
mod timer;
pub(crate) mod transport;

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;

use http_core::server::{self, Phase};
use http_core::{CloseReason, Date, RequestError, Status, Workspace};

use crate::access_log::{PendingRecord, Record};
use crate::clock::{self, Millis};
use crate::connection::budget::Reservation;
use crate::connection::context::WorkerContext;
use crate::connection::interest::Interest;
use crate::connection::send_buffer::SendBuffer;
use crate::connection::shared::Shared;
use crate::connection::timer::PhaseTimer;
use crate::connection::transport::{Transport, would_block};
use crate::freshness::ReceivedAt;
use crate::handler::{BodyConsumer, FileChanged};
use crate::permit::Permit;
use crate::stats::EndReason;
use crate::timeouts::{ACTIVE, LINGER_MAX_BYTES};
use crate::waker::Waker;

/// A turn ends after this many bytes, so that one peer does not keep a worker from the others. One `sendfile` is as
/// long.
const BYTES_PER_TURN: u64 = 512 << 10;

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TurnOutcome {
    /// The peer is not ready, or it is the turn of other connections.
    Park(Interest),
    /// It has received what may be a request, and is to be driven after other ready connections have been read.
    Defer,
    /// It is to be driven again when this permit is free.
    Blocked(Permit),
    /// It is to be driven again when this wakes.
    Sleep(Arc<Waker>),
    /// The connection is to be closed.
    Close(EndReason),
}

#[derive(Debug)]
pub(crate) struct Connection<T> {
    transport: T,
    peer_addr: SocketAddr,
    protocol: server::Connection,
    send_buffer: SendBuffer,
    /// What the log will say of the request in progress. Without a log, it names a request whose body is being received.
    /// It is in a box so that a waiting connection is small.
    log_record: Option<Box<PendingRecord>>,
    activity: Activity,
    /// In a box, because it is rare.
    aside: Option<Box<Aside>>,
    timer: PhaseTimer,
    /// Why it timed out, if it did.
    timeout_reason: Option<EndReason>,
    /// Responses that were sent completely.
    responses: u32,
    received_at: ReceivedAt,
    /// When the request in progress began, in nanoseconds, if the log needs it.
    request_began: u64,
    /// Bytes of memory that are charged to the budgets.
    receive_charge: u32,
    send_charge: u32,
    /// Memory for the body that is received.
    reservation: Reservation,
    waits_for: Interest,
    /// There may be bytes that no event will announce.
    may_be_readable: bool,
    /// The peer has ended its stream, so a short read does not mean that nothing is left.
    peer_closed: bool,
    /// It was deferred with a workspace of a context.
    holds_workspace: bool,
    /// The handler asked whether it may hang, and the body of its response may, too.
    body_may_hang: bool,
    /// It was put aside until it gets a permit or wakes, or what it has received is still charged as if it were.
    is_held: bool,
}

impl TurnOutcome {
    /// Whether the connection goes on later.
    fn is_pause(&self) -> bool {
        matches!(self, TurnOutcome::Park(_)) || self.is_held()
    }

    /// Whether the connection is put aside.
    fn is_held(&self) -> bool {
        matches!(self, TurnOutcome::Blocked(_) | TurnOutcome::Sleep(_))
    }
}

/// Bytes of what a request leaves beside its connection.
pub(crate) const ASIDE: usize = size_of::<Aside>() + size_of::<Waker>();

/// What a request leaves beside its connection.
#[derive(Debug)]
enum Aside {
    /// What received its body until that was refused.
    Unwanted(BodyConsumer),
    /// What wakes it, or has woken it.
    Waker(Arc<Waker>),
}

#[derive(Debug)]
enum Activity {
    /// Waiting for a request, or dropping the body of the last one.
    Idle,
    /// Receiving a request's body for a handler.
    ReadingBody(BodyConsumer),
    /// Sending a response: its status, its date, and the bytes of its head and body. `None`: until the close.
    SendingResponse { status: Status, date: Date, head: u64, body: Option<u64> },
    /// Everything is sent and the write half is shut down. Input is discarded.
    Lingering { reason: EndReason },
}

impl<T: Transport> Connection<T> {
    pub(crate) fn new(socket: T, peer: SocketAddr, shared: &Shared) -> Connection<T> {
        Connection {
            transport: socket,
            peer_addr: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            protocol: server::Connection::new(shared.limits),
            send_buffer: SendBuffer::default(),
            log_record: None,
            activity: Activity::Idle,
            aside: None,
            timer: PhaseTimer::new(clock::monotonic_ms()),
            timeout_reason: None,
            responses: 0,
            received_at: ReceivedAt::NONE,
            request_began: shared.request_begins(),
            receive_charge: 0,
            send_charge: 0,
            reservation: Reservation::None,
            waits_for: Interest::Read,
            may_be_readable: true,
            peer_closed: false,
            holds_workspace: false,
            body_may_hang: false,
            is_held: false,
        }
    }

    /// A response that waits for its reader shall not time out early, to find out whether the reader is slow.
    pub(crate) fn skip_early_timeout(&mut self) {
        self.timer.mark_slow_reader();
    }

    /// The peer is ready. `peer_closed`: it has also ended its stream.
    pub(crate) fn on_ready(&mut self, peer_closed: bool) {
        self.may_be_readable = true;
        self.peer_closed |= peer_closed;
    }

    /// Proceeds as far as the peer allows, within one turn.
    pub(crate) fn drive(&mut self, shared: &Shared, context: &mut WorkerContext) -> TurnOutcome {
        let mut outcome = self.turn(shared, context);
        if outcome.is_pause() && self.is_refused_memory(shared, outcome.is_held()) {
            outcome = match self.activity {
                Activity::Idle | Activity::ReadingBody(_) => {
                    self.put_consumer_aside();
                    self.take_waker();
                    self.protocol.reject_overloaded();
                    self.turn(shared, context)
                }
                // The peer sends more requests and does not read the responses.
                Activity::SendingResponse { .. } => TurnOutcome::Close(EndReason::SendBudgetExhausted),
                Activity::Lingering { .. } => outcome,
            };
        }
        if let TurnOutcome::Park(interest) = outcome {
            self.waits_for = interest;
        }
        if outcome.is_pause() {
            if shared.send_budget.refuses(self.send_charge, self.send_bytes()) {
                outcome = TurnOutcome::Close(EndReason::SendBudgetExhausted);
            }
            self.charge(shared, self.receive_bytes(), self.send_bytes());
        }
        if let TurnOutcome::Close(reason) = outcome {
            self.record(shared, context, reason);
        }
        outcome
    }

    /// Receives what may be a request, and defers it until other ready connections have been read: then one check of a
    /// file is valid for all of them. A connection that is in the middle of a message, or has unread bytes, is driven
    /// at once.
    pub(crate) fn receive_only(&mut self, shared: &Shared, context: &mut WorkerContext) -> TurnOutcome {
        if !self.is_idle() || self.protocol.heap_size() > 0 || self.peer_closed {
            return self.drive(shared, context);
        }
        let mut workspace = context.take_workspace(&shared.limits);
        self.protocol.attach(&mut workspace);
        let Err(error) = self.read(shared) else {
            self.holds_workspace = true;
            return TurnOutcome::Defer;
        };
        self.protocol.detach(&mut workspace);
        context.return_workspace(workspace);
        if would_block(&error) {
            TurnOutcome::Park(Interest::Read)
        } else {
            TurnOutcome::Close(self.reason_for(&error))
        }
    }

    /// Serves a new connection over the limit: reads once, and responds with 503.
    pub(crate) fn reject_overloaded(&mut self, shared: &Shared, context: &mut WorkerContext) -> TurnOutcome {
        if let Ok(n) = self.transport.receive(self.protocol.receive_buffer()) {
            self.protocol.received(n);
        }
        self.protocol.reject_overloaded();
        self.drive(shared, context)
    }

    /// Handles a passed deadline: sends a 408 if the peer waits for a response, and ends.
    pub(crate) fn on_timeout(&mut self, shared: &Shared, context: &mut WorkerContext) -> TurnOutcome {
        if matches!(self.reservation, Reservation::Wanted(_)) {
            return self.refuse_waiting(shared, context);
        }
        let now = clock::monotonic_ms();
        if self.waits_for == Interest::Read
            && self.timer.grant_grace(&shared.timeouts, now, || self.transport.is_readable())
        {
            return TurnOutcome::Park(Interest::Yield);
        }
        if let Activity::Lingering { reason } = self.activity {
            return TurnOutcome::Close(reason);
        }
        if self.waits_for == Interest::Write && self.timer.mark_slow_reader() {
            self.transport.limit_unsent();
            return TurnOutcome::Park(Interest::Write);
        }
        if self.waits_for != Interest::Read {
            if self.transport.is_writable() {
                self.timer.excuse(&shared.timeouts, now);
                return TurnOutcome::Park(Interest::Yield);
            }
            // The peer does not read its response. Further requests of it get none.
            self.record(shared, context, EndReason::SlowReader);
            return TurnOutcome::Close(EndReason::SlowReader);
        }
        self.timeout_reason = Some(match self.protocol.phase() {
            Phase::Body => EndReason::BodyTimeout,
            _ => EndReason::HeadTimeout,
        });
        self.put_consumer_aside();
        self.protocol.handle_timeout();
        self.drive(shared, context)
    }

    /// Responds with 503 to a request that has waited too long, for a permit or for memory. A response that has begun ends short.
    pub(crate) fn refuse_waiting(&mut self, shared: &Shared, context: &mut WorkerContext) -> TurnOutcome {
        match self.activity {
            Activity::Idle | Activity::ReadingBody(_) => {
                self.put_consumer_aside();
                self.protocol.reject_overloaded();
                self.drive(shared, context)
            }
            Activity::SendingResponse { .. } => {
                self.note_cause("too many requests wait for a disk");
                self.record(shared, context, EndReason::Failed);
                TurnOutcome::Close(EndReason::Failed)
            }
            Activity::Lingering { reason } => TurnOutcome::Close(reason),
        }
    }

    /// Serves a request that has arrived as the server shuts down, or closes the connection.
    pub(crate) fn drive_or_close(&mut self, shared: &Shared, context: &mut WorkerContext) -> TurnOutcome {
        self.on_ready(false);
        match self.drive(shared, context) {
            TurnOutcome::Park(_) if self.is_idle() => {
                TurnOutcome::Close(self.abort(shared, context, EndReason::Shutdown))
            }
            outcome => outcome,
        }
    }

    /// Ends the connection without sending another byte, and returns why it ended. `within` is the reason if a request
    /// or response had begun.
    pub(crate) fn abort(&mut self, shared: &Shared, context: &WorkerContext, within: EndReason) -> EndReason {
        self.record(shared, context, within);
        match self.activity {
            Activity::Lingering { reason } => reason,
            _ if self.is_idle_keep_alive() => EndReason::Complete,
            _ if self.is_idle() => EndReason::ClientAbort,
            _ => within,
        }
    }

    /// Whether no request or response has begun.
    pub(crate) fn is_idle(&self) -> bool {
        self.protocol.phase() == Phase::Idle && self.send_buffer.is_empty() && self.waits_for == Interest::Read
    }

    /// Whether no request or response has begun for a while.
    pub(crate) fn is_inactive(&self, now: Millis) -> bool {
        self.is_idle() && now >= self.timer.phase_started() + ACTIVE
    }

    /// Whether it is between two requests.
    pub(crate) fn is_idle_keep_alive(&self) -> bool {
        self.responses > 0 && self.is_idle()
    }

    /// When it times out, if it is parked now. No peer has less time than its timeout.
    pub(crate) fn deadline(&self, shared: &Shared) -> Millis {
        let deadline = match self.reservation {
            Reservation::Wanted(_) => self.timer.phase_started() + shared.timeouts.memory_wait(),
            _ => self.timer.deadline(&shared.timeouts, self.waits_for),
        };
        deadline.saturating_add(clock::MAX_LAG)
    }

    /// Since when its body waits for memory, and how many bytes, if it does.
    pub(crate) fn waits_for_memory(&self) -> Option<(Millis, usize)> {
        match self.reservation {
            Reservation::Wanted(bytes) => Some((self.timer.phase_started(), bytes as usize)),
            _ => None,
        }
    }

    /// Gives its body the memory that it waits for, if that is free. Its time begins now.
    pub(crate) fn grant_memory(&mut self, shared: &Shared) -> bool {
        let granted = shared.body_budget.grant(&mut self.reservation);
        if granted {
            self.enter_phase(Phase::Body);
        }
        granted
    }

    /// The bytes per second of a body that may have to make room for others, and the memory that it holds. One that will
    /// be complete before they give up has not to.
    pub(crate) fn evictable_body(&self, shared: &Shared, now: Millis) -> Option<(u64, usize)> {
        match (self.reservation, &self.activity) {
            (Reservation::Reserved(bytes), Activity::ReadingBody(consumer)) if self.timer.phase() == Phase::Body => {
                let rate = self.timer.rate_after(shared.timeouts.body_millis(), now)?;
                let soon = rate.saturating_mul(shared.timeouts.memory_wait()) / 1000;
                let left = u64::from(bytes).saturating_sub(consumer.collected() as u64);
                (soon < left).then_some((rate, bytes as usize))
            }
            _ => None,
        }
    }

    /// Why it closes, once that is decided.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.protocol.close_reason()
    }

    /// Returns its charges to the memory budgets.
    pub(crate) fn release_budget(&mut self, shared: &Shared) {
        shared.body_budget.release(&mut self.reservation);
        self.charge(shared, 0, 0);
    }

    /// Takes out what may block when it is dropped: a file, or something of the handler's. Returns the permit for that,
    /// too.
    pub(crate) fn take_source(&mut self) -> Option<(Box<dyn Send>, Permit)> {
        self.put_consumer_aside();
        let unwanted = match self.aside.take().map(|aside| *aside) {
            Some(Aside::Unwanted(consumer)) => Some(consumer),
            _ => None,
        };
        let source = match (self.send_buffer.take_source(), unwanted) {
            (None, None) => return None,
            (Some(body), None) => body,
            (body, Some(consumer)) => Box::new((body, consumer)),
        };
        Some((source, self.body_permit()))
    }

    /// Keeps what receives a body, which is not wanted any more, until the close: to drop it may block, and neither a
    /// deadline nor a refusal may wait for that. The bytes that it collected are dropped at once.
    fn put_consumer_aside(&mut self) {
        match mem::replace(&mut self.activity, Activity::Idle) {
            Activity::ReadingBody(mut consumer) => {
                consumer.forget_bytes();
                self.aside = Some(Box::new(Aside::Unwanted(consumer)));
            }
            other => self.activity = other,
        }
    }

    fn take_waker(&mut self) -> Option<Arc<Waker>> {
        match *self.aside.take()? {
            Aside::Waker(waker) => Some(waker),
            unwanted => {
                self.aside = Some(Box::new(unwanted));
                None
            }
        }
    }

    /// What a worker needs to use what the handler supplied for a body: a file, a reader, or what receives a request's.
    fn body_permit(&self) -> Permit {
        if self.body_may_hang { Permit::Hang } else { Permit::Block }
    }

    /// One turn, in buffers of the context.
    fn turn(&mut self, shared: &Shared, context: &mut WorkerContext) -> TurnOutcome {
        self.waits_for = Interest::Read;
        let mut workspace =
            if self.holds_workspace { Workspace::default() } else { context.take_workspace(&shared.limits) };
        self.protocol.attach(&mut workspace);
        context.lend_send_buf(&mut self.send_buffer.bytes);
        let outcome = match self.activity {
            Activity::Lingering { reason } => self.discard_input(reason, context),
            _ => self.serve(shared, context).unwrap_or_else(|error| match would_block(&error) {
                true if self.send_buffer.is_empty() => TurnOutcome::Park(Interest::Read),
                true => TurnOutcome::Park(Interest::Write),
                false => {
                    let reason = self.reason_for(&error);
                    // The kernel does not say whether a file failed or the network. Its errors contain no other.
                    if reason == EndReason::Failed && (error.get_ref().is_some() || self.send_buffer.has_source()) {
                        let cause = self.error_responses(shared, &context.turn).body_failed(&error);
                        self.note_cause(&cause);
                    }
                    TurnOutcome::Close(reason)
                }
            }),
        };
        // A connection that could go on stays in its phase.
        if outcome != TurnOutcome::Park(Interest::Yield) && !outcome.is_held() {
            self.update_phase();
        }
        self.protocol.detach(&mut workspace);
        context.return_workspace(workspace);
        self.holds_workspace = false;
        context.reclaim_send_buf(&mut self.send_buffer.bytes);
        self.reclaim_log_record(context);
        outcome
    }

    /// Closes, once everything is sent: at once, or after lingering if a reset could destroy the response.
    fn close(&mut self, context: &mut WorkerContext) -> TurnOutcome {
        let reason = match self.protocol.close_reason() {
            Some(CloseReason::BodyIncomplete) => self.timeout_reason.unwrap_or(EndReason::ClientAbort),
            _ if self.responses > 0 => self.response_reason(),
            _ => EndReason::ClientAbort,
        };
        // More may have come while a response took several turns, or while the connection was deferred or put aside.
        let more = self.protocol.must_linger()
            || ((self.may_be_readable || self.holds_workspace || self.is_held) && self.transport.is_readable());
        if !more || self.transport.shutdown_write().is_err() {
            return TurnOutcome::Close(reason);
        }
        self.activity = Activity::Lingering { reason };
        self.enter_phase(Phase::Closing);
        self.discard_input(reason, context)
    }

    /// Why the last response was sent: a request was complete, or why it was not.
    fn response_reason(&self) -> EndReason {
        match self.protocol.close_reason() {
            Some(CloseReason::Refused(RequestError::Overloaded)) => EndReason::Overloaded,
            Some(CloseReason::Refused(RequestError::TimedOut)) => self.timeout_reason.unwrap_or(EndReason::HeadTimeout),
            Some(CloseReason::Refused(RequestError::Incomplete)) => EndReason::ClientAbort,
            _ => EndReason::Complete,
        }
    }

    /// Reads and drops, so that no reset destroys the response.
    fn discard_input(&mut self, reason: EndReason, context: &mut WorkerContext) -> TurnOutcome {
        let turn_end = self.timer.bytes_moved() + BYTES_PER_TURN;
        while self.timer.bytes_moved() < LINGER_MAX_BYTES {
            if self.timer.bytes_moved() >= turn_end {
                return TurnOutcome::Park(Interest::Yield);
            }
            match self.transport.receive(&mut context.discard_buf) {
                Ok(n) if n > 0 => self.record_progress(n as u64),
                Err(error) if would_block(&error) => return TurnOutcome::Park(Interest::Read),
                _ => break,
            }
        }
        TurnOutcome::Close(reason)
    }

    /// Enters the phase that the connection is in, if it has changed.
    fn update_phase(&mut self) {
        let phase = match self.protocol.phase() {
            _ if matches!(self.activity, Activity::SendingResponse { .. }) => Phase::Responding,
            // The time for the first head runs from the accept, whether a byte came or not.
            Phase::Idle if self.responses == 0 => Phase::Head,
            phase => phase,
        };
        if phase != self.timer.phase() {
            self.enter_phase(phase);
        }
    }

    fn enter_phase(&mut self, phase: Phase) {
        self.timer.enter(phase, clock::monotonic_ms());
    }

    fn record_progress(&mut self, bytes: u64) {
        self.timer.record_progress(bytes, clock::monotonic_ms());
    }

    /// Counts and logs the response that was being sent, complete or not, or a request that gets none.
    fn record(&mut self, shared: &Shared, context: &WorkerContext, reason: EndReason) {
        let (response, date, sent) = match self.activity {
            Activity::SendingResponse { status, date, head, .. } => {
                let sent = self.timer.bytes_moved();
                (Some((status, sent)), date, sent.saturating_sub(head))
            }
            Activity::ReadingBody(_) => (None, clock::http_date_now(), 0),
            Activity::Idle if self.is_held => match self.begin_held_record(shared) {
                true => (None, clock::http_date_now(), 0),
                false => return,
            },
            Activity::Idle | Activity::Lingering { .. } => return,
        };
        context.request_ended(reason, response, self.request_began);
        if let (Some(log), Some(pending)) = (&shared.log, &self.log_record) {
            let status = response.map(|(status, _)| status);
            log.record(&Record { peer: self.peer_addr.ip(), pending, date, status, sent, reason });
        }
        match response {
            Some(_) => self.activity = Activity::Idle,
            None => {
                self.put_consumer_aside();
                self.log_record = None;
            }
        }
    }

    /// The log names this cause for the request in progress.
    fn note_cause(&mut self, cause: &str) {
        if let Some(record) = &mut self.log_record {
            record.set_cause(cause);
        }
    }

    /// Returns the log record to the context, unless a request is in progress.
    fn reclaim_log_record(&mut self, context: &mut WorkerContext) {
        match &mut self.activity {
            Activity::Idle | Activity::Lingering { .. } => {
                if let Some(record) = self.log_record.take() {
                    context.return_log_record(record);
                }
            }
            Activity::ReadingBody(_) | Activity::SendingResponse { .. } => {
                if let Some(record) = &mut self.log_record {
                    record.shrink();
                }
            }
        }
    }

    fn reason_for(&self, error: &io::Error) -> EndReason {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => match self.is_idle_keep_alive() {
                true => EndReason::Complete,
                false => EndReason::ClientAbort,
            },
            _ if FileChanged::is(error) => EndReason::FileChanged,
            _ => EndReason::Failed,
        }
    }
}

#[cfg(test)]
mod tests;
