//! Turns of a connection over a peer in memory: how they end, what is deferred or put aside, and what that allocates.

mod bodies;

use super::*;
use crate::access_log::{AccessLog, LogFormat};
use crate::connection::budget::{BodyBudget, MemoryBudget};
use crate::handler::{Action, Body, Request, Response};
use crate::permit::{PermitSource, Turn};
use crate::request_stats::{RequestCounters, RequestStats};
use crate::waker::{Waker, Wakeup};
use allocation_counter::measure;
use http_core::Method;
use std::io::Read;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A peer that sends these bytes, once or for each receive, and accepts every response.
#[derive(Debug)]
struct FakePeer(Vec<u8>, Sends);

#[derive(Debug, PartialEq)]
enum Sends {
    Once,
    EachTime,
}

impl Transport for FakePeer {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = buffer.len().min(self.0.len());
        buffer[..n].copy_from_slice(&self.0[..n]);
        if self.1 == Sends::Once {
            self.0.drain(..n);
        }
        if n == 0 { Err(rustix::io::Errno::AGAIN.into()) } else { Ok(n) }
    }
    fn is_readable(&self) -> bool {
        !self.0.is_empty()
    }
    fn send(&mut self, bytes: &[u8], _: bool) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn send_file(&mut self, _: &std::fs::File, _: &mut u64, _: u64) -> io::Result<usize> {
        Ok(0)
    }
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::NotConnected.into())
    }
}

/// A peer that sends these bytes once, and accepts as many as there is room for.
#[derive(Debug)]
struct Trickle {
    input: Vec<u8>,
    output: Vec<u8>,
    room: usize,
    received: usize,
}

impl Trickle {
    fn new(input: &[u8], room: usize) -> Trickle {
        Trickle { input: input.to_vec(), output: Vec::new(), room, received: 0 }
    }
}

impl Transport for Trickle {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = buffer.len().min(self.input.len());
        buffer[..n].copy_from_slice(&self.input[..n]);
        self.input.drain(..n);
        self.received += n;
        if n == 0 { Err(rustix::io::Errno::AGAIN.into()) } else { Ok(n) }
    }
    fn is_readable(&self) -> bool {
        !self.input.is_empty()
    }
    fn send(&mut self, bytes: &[u8], _: bool) -> io::Result<usize> {
        let n = bytes.len().min(self.room);
        self.output.extend_from_slice(&bytes[..n]);
        self.room -= n;
        if n == 0 { Err(rustix::io::Errno::AGAIN.into()) } else { Ok(n) }
    }
    fn send_file(&mut self, _: &std::fs::File, _: &mut u64, _: u64) -> io::Result<usize> {
        Ok(0)
    }
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::NotConnected.into())
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_WITH_HEADERS: &[u8] = b"GET /a%20b HTTP/1.1\r\nHost: a\r\nReferer: b\r\nUser-Agent: c\r\n\r\n";

fn connected<T: Transport>(socket: T, shared: &Shared) -> Connection<T> {
    Connection::new(socket, SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), shared)
}

#[test]
fn buffered_requests_are_served_without_further_input() {
    let shared = Shared::new(Box::new(|_: &Request<'_>| Response::text("x")));
    let mut context = WorkerContext::new(Turn::unlimited());
    let mut connection = connected(FakePeer(GET.repeat(40), Sends::Once), &shared);
    assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Yield));
    for (responses, next) in [(32, Interest::Yield), (40, Interest::Read)] {
        connection.on_ready(false);
        assert!(!connection.is_idle(), "it is neither evicted nor closed by a shutdown");
        assert_eq!(connection.receive_only(&shared, &mut context), TurnOutcome::Park(next));
        assert_eq!(connection.responses, responses);
    }
    assert!(connection.is_idle_keep_alive());
}

/// A context whose turn began this many milliseconds ago.
fn context_since(milliseconds: u64) -> WorkerContext {
    let context = context_with(&Arc::new(Permits(AtomicBool::new(true))));
    context.turn.begin(Permit::Block, true, clock::monotonic_ns() - milliseconds * 1_000_000);
    context
}

#[test]
fn turn_ends_by_time_after_each_response_and_piece() {
    let body = |request: &Request<'_>| match &*request.path() {
        "/read" => Body::Reader { reader: Box::new(std::io::repeat(b'x').take(9 << 10)), length: None },
        _ => Body::Shared(vec![0; 9].into()),
    };
    let handler = move |request: &Request<'_>| match request.head().method {
        Method::Post => Action::collect_body(1 << 20, |_| Response::text("x")),
        _ => Response::text("").body(body(request)).into(),
    };
    let post = [b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", &[b'a'; 100_000][..]].concat();
    let shared = Shared::new(Box::new(handler));
    for (input, quick, slow) in [(GET.repeat(9), 9, 1), (post.repeat(2), 2, 0)] {
        let responses = |mut context: WorkerContext| {
            let mut connection = connected(FakePeer(input.clone(), Sends::Once), &shared);
            let outcome = connection.drive(&shared, &mut context);
            (outcome, connection.responses)
        };
        assert_eq!(responses(WorkerContext::new(Turn::unlimited())), (TurnOutcome::Park(Interest::Read), quick));
        assert_eq!(responses(context_since(1000)), (TurnOutcome::Park(Interest::Yield), slow));
    }
    let mut connection = connected(FakePeer(b"GET /read HTTP/1.0\r\n\r\n".to_vec(), Sends::Once), &shared);
    assert_eq!(connection.drive(&shared, &mut context_since(1000)), TurnOutcome::Park(Interest::Yield));
    assert!(connection.responses == 0 && connection.timer.bytes_moved() > 0, "each turn makes progress");
}

#[test]
fn connection_is_idle_after_a_turn_that_ends_with_a_response() {
    let long = || Response::text("").body(Body::Shared(vec![0; 1 << 20].into()));
    let shared = Shared::new(Box::new(move |_: &Request<'_>| long()));
    let mut context = WorkerContext::new(Turn::unlimited());
    let mut connection = connected(FakePeer(GET.to_vec(), Sends::Once), &shared);
    assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Yield));
    assert_eq!((connection.responses, connection.send_buffer.is_empty()), (1, true));
    connection.on_ready(false);
    assert_eq!(connection.receive_only(&shared, &mut context), TurnOutcome::Park(Interest::Read));
    assert!(
        connection.is_idle_keep_alive() && connection.timer.phase() == Phase::Idle,
        "{:?}",
        connection.timer.phase()
    );
}

#[test]
fn connection_with_unread_bytes_is_not_deferred() {
    let shared = Shared::new(Box::new(|_: &Request<'_>| Response::text("x")));
    let mut context = WorkerContext::new(Turn::unlimited());
    for _ in 0..3 {
        let mut connection = connected(FakePeer(b"\r".to_vec(), Sends::Once), &shared);
        assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Read));
        connection.transport.0 = [b"\n", GET].concat();
        connection.on_ready(false);
        assert_eq!(connection.receive_only(&shared, &mut context), TurnOutcome::Park(Interest::Read));
        assert_eq!(connection.responses, 1);
    }
    let workspaces: Vec<_> = context.workspaces.iter().map(|workspace| format!("{workspace:?}")).collect();
    assert_eq!(workspaces, ["Workspace(16384 bytes)"]);
}

#[test]
fn idle_connection_is_served_once_more_or_closed_as_the_server_shuts_down() {
    let shared = Shared::new(Box::new(|_: &Request<'_>| Response::text("x")));
    let mut context = WorkerContext::new(Turn::unlimited());
    for (input, before, outcome, responses) in [
        (&b""[..], &b""[..], TurnOutcome::Close(EndReason::ClientAbort), 0),
        (b"\r\n", b"", TurnOutcome::Close(EndReason::ClientAbort), 0),
        (b"", GET, TurnOutcome::Close(EndReason::Complete), 1),
        (b"GET / HT", GET, TurnOutcome::Park(Interest::Read), 1),
        (GET, GET, TurnOutcome::Close(EndReason::Complete), 2),
    ] {
        let mut connection = connected(FakePeer(before.to_vec(), Sends::Once), &shared);
        assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Read));
        assert!(connection.is_idle());
        connection.transport.0 = input.to_vec();
        assert_eq!(connection.drive_or_close(&shared, &mut context), outcome);
        assert_eq!(connection.responses, responses);
    }
}

#[test]
fn reader_is_slow_only_while_its_socket_is_full() {
    /// A peer that accepts nothing now.
    #[derive(Debug)]
    struct Full {
        request: FakePeer,
        is_writable: bool,
    }
    impl Transport for Full {
        fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.request.receive(buffer)
        }
        fn is_readable(&self) -> bool {
            false
        }
        fn is_writable(&self) -> bool {
            self.is_writable
        }
        fn send(&mut self, _: &[u8], _: bool) -> io::Result<usize> {
            Err(rustix::io::Errno::AGAIN.into())
        }
        fn send_file(&mut self, _: &std::fs::File, _: &mut u64, _: u64) -> io::Result<usize> {
            Ok(0)
        }
        fn shutdown_write(&mut self) -> io::Result<()> {
            Ok(())
        }
        fn local_addr(&self) -> io::Result<SocketAddr> {
            Err(io::ErrorKind::NotConnected.into())
        }
    }
    let shared = Shared::new(Box::new(|_: &Request<'_>| Response::text("x")));
    let mut context = WorkerContext::new(Turn::unlimited());
    let peer = Full { request: FakePeer(GET.to_vec(), Sends::Once), is_writable: false };
    let mut connection = connected(peer, &shared);
    assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Write));
    assert_eq!(connection.on_timeout(&shared, &mut context), TurnOutcome::Park(Interest::Write), "to look closer");
    connection.transport.is_writable = true;
    for _ in 0..2 {
        connection.waits_for = Interest::Write;
        assert_eq!(connection.on_timeout(&shared, &mut context), TurnOutcome::Park(Interest::Yield));
        assert!(connection.deadline(&shared) >= clock::monotonic_ms() + 9_000);
    }
    connection.transport.is_writable = false;
    connection.waits_for = Interest::Write;
    assert_eq!(connection.on_timeout(&shared, &mut context), TurnOutcome::Close(EndReason::SlowReader));
}

/// Gives every permit, or none.
#[derive(Debug)]
struct Permits(AtomicBool);

impl PermitSource for Permits {
    fn upgrade(&self, _: Permit, _: Permit) -> bool {
        self.0.load(Relaxed)
    }
    fn promote_follower(&self) {}

    fn wake(&self, _: &Waker) {}
}

/// A context whose turns get permits from there.
fn context_with(permits: &Arc<Permits>) -> WorkerContext {
    WorkerContext::new(Turn::new(permits.clone(), Arc::default(), 0))
}

// R9112-9.6b
#[test]
fn bytes_that_came_while_put_aside_are_read_before_the_close() {
    let shared = Shared::new(Box::new(|_: &Request<'_>| Response::text("x")));
    for (more, lingers) in [(&b""[..], false), (GET, true)] {
        let permits = Arc::new(Permits(AtomicBool::new(false)));
        let mut context = context_with(&permits);
        let mut connection = connected(FakePeer(b"GET / HTTP/1.0\r\n\r\n".to_vec(), Sends::Once), &shared);
        assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Blocked(Permit::Block));
        connection.transport.0 = more.to_vec();
        permits.0.store(true, Relaxed);
        let next = connection.drive(&shared, &mut context);
        let expected =
            if lingers { TurnOutcome::Park(Interest::Read) } else { TurnOutcome::Close(EndReason::Complete) };
        assert_eq!((next, connection.transport.0.is_empty()), (expected, true));
    }
}

#[test]
fn request_that_sleeps_is_handled_again_once_it_is_woken() {
    let handler = |request: &Request<'_>| -> Action {
        assert_eq!(Waker::woke(request, 2), None, "what another handler waits for");
        match Waker::woke(request, 1) {
            Some(_) => Response::text("x").into(),
            None => Waker::new(request, 1).into(),
        }
    };
    let mut shared = Shared::new(Box::new(handler));
    let mut context = context_with(&Arc::new(Permits(AtomicBool::new(true))));
    let peer = |requests| FakePeer(GET.repeat(requests), Sends::Once);
    let mut connection = connected(peer(2), &shared);
    for responses in 0..2 {
        let TurnOutcome::Sleep(waker) = connection.drive(&shared, &mut context) else { panic!("it does not sleep") };
        assert_eq!((connection.responses, waker.wakeup()), (responses, None), "each request sleeps by itself");
        waker.wake(Wakeup::Done);
    }
    // What waits needs memory.
    shared.held_budget = MemoryBudget::new(0);
    let mut refused = connected(peer(1), &shared);
    refused.drive(&shared, &mut context);
    assert_eq!(refused.close_reason(), Some(CloseReason::Refused(RequestError::Overloaded)));
    assert!(refused.aside.is_none());
}

#[test]
fn response_is_not_cut_short_because_its_connection_is_put_aside() {
    let handler = |_: &Request<'_>| {
        let reader = Box::new(std::io::repeat(b'x'));
        Response::text("").body(Body::Reader { reader, length: Some(4 << 20) })
    };
    for full in ["held", "receive"] {
        let mut shared = Shared::new(Box::new(handler));
        let permits = Arc::new(Permits(AtomicBool::new(true)));
        let mut context = context_with(&permits);
        let mut connection = connected(FakePeer([GET, b"GET / HT"].concat(), Sends::Once), &shared);
        assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Yield));
        if full == "held" {
            shared.held_budget = MemoryBudget::new(0);
        }
        permits.0.store(false, Relaxed);
        context.turn.begin(Permit::None, true, 0);
        assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Blocked(Permit::Block), "{full}");
        permits.0.store(true, Relaxed);
        shared.head_budget = MemoryBudget::new(0);
        assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Yield), "{full}");
    }
}

#[test]
fn request_that_waits_too_long_for_a_permit_gets_503_and_a_response_ends_short() {
    let reader = || Body::Reader { reader: Box::new(std::io::repeat(b'x')), length: Some(4 << 20) };
    for (response_has_begun, outcome) in
        [(false, TurnOutcome::Park(Interest::Read)), (true, TurnOutcome::Close(EndReason::Failed))]
    {
        let shared = Shared::new(Box::new(move |_: &Request<'_>| Response::text("").body(reader())));
        let permits = Arc::new(Permits(AtomicBool::new(response_has_begun)));
        let mut context = context_with(&permits);
        let mut connection = connected(Trickle::new(b"GET / HTTP/1.0\r\n\r\n", usize::MAX), &shared);
        connection.drive(&shared, &mut context);
        permits.0.store(false, Relaxed);
        context.turn.begin(Permit::None, true, clock::monotonic_ns());
        assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Blocked(Permit::Block));
        connection.transport.output.clear();
        assert_eq!(connection.refuse_waiting(&shared, &mut context), outcome);
        let output = String::from_utf8_lossy(&connection.transport.output);
        assert!(response_has_begun || output.starts_with("HTTP/1.0 503 ") && output.contains("\r\nRetry-After: "));
        assert_eq!(output.is_empty(), response_has_begun, "{output}");
        let lingers = matches!(connection.activity, Activity::Lingering { reason: EndReason::Overloaded });
        assert_ne!(lingers, response_has_begun);
    }
}

// R9112-9.6b
#[test]
fn bytes_that_came_while_deferred_are_read_before_the_close() {
    let shared = Shared::new(Box::new(|_: &Request<'_>| Response::text("x")));
    let mut context = WorkerContext::new(Turn::unlimited());
    for (more, lingers) in [(&b""[..], false), (GET, true)] {
        let mut connection = connected(FakePeer(b"GET / HTTP/1.0\r\n\r\n".to_vec(), Sends::Once), &shared);
        assert_eq!(connection.receive_only(&shared, &mut context), TurnOutcome::Defer);
        connection.transport.0 = more.to_vec();
        let next = connection.drive(&shared, &mut context);
        let expected =
            if lingers { TurnOutcome::Park(Interest::Read) } else { TurnOutcome::Close(EndReason::Complete) };
        assert_eq!((next, connection.transport.0.is_empty()), (expected, true));
    }
}

#[test]
fn deferred_connection_is_resumed_by_any_worker() {
    let shared = Shared::new(Box::new(|request: &Request<'_>| Response::text(request.peer_addr().to_string())));
    let (mut context, mut another) = (WorkerContext::new(Turn::unlimited()), WorkerContext::new(Turn::unlimited()));
    let mut connection = connected(FakePeer(GET_WITH_HEADERS.to_vec(), Sends::EachTime), &shared);
    for _ in 0..9 {
        let responses = connection.responses;
        connection.on_ready(false);
        assert_eq!(connection.receive_only(&shared, &mut context), TurnOutcome::Defer);
        assert_eq!((connection.receive_bytes(), connection.is_idle()), (0, false));
        assert_eq!(connection.drive(&shared, &mut another), TurnOutcome::Park(Interest::Read));
        assert!(connection.responses > responses && connection.is_idle_keep_alive());
    }
    assert_eq!(
        (context.workspaces.len(), another.workspaces.len()),
        (0, 9),
        "the worker that resumes it gets the workspaces"
    );
}

// A test of http-files shows that a cache hit allocates nothing either.
#[test]
fn kept_connection_allocates_nothing_for_a_request() {
    let content: Arc<[u8]> = vec![b'x'; 1024].into();
    let Response { fields, .. } = Response::text("");
    for format in [None, Some(LogFormat::Common), Some(LogFormat::Combined), Some(LogFormat::Json)] {
        let (content, fields) = (content.clone(), fields.clone());
        let handler =
            move |_: &Request<'_>| Response::from_shared(Status::OK, fields.clone(), Body::Shared(content.clone()));
        let log = format.map(|format| Arc::new(AccessLog::with_full_capacity(format)));
        let shared = Shared { log, measure_durations: true, ..Shared::new(Box::new(handler)) };
        let counters = RequestCounters::new();
        let mut context = WorkerContext::new(Turn::unlimited()).counting(&counters);
        let mut connection = connected(FakePeer(GET_WITH_HEADERS.to_vec(), Sends::EachTime), &shared);
        let mut turn = |deferred| {
            connection.on_ready(false);
            if deferred {
                assert_eq!(connection.receive_only(&shared, &mut context), TurnOutcome::Defer);
                assert!(!connection.is_idle(), "it holds a request");
            }
            assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Read));
            assert!(connection.is_idle_keep_alive());
        };
        turn(true); // the context's buffers grow to their size
        turn(false);
        let measured = measure(|| (0..100).for_each(|n| turn(n % 3 == 0)));
        assert_eq!(measured.count_total, 0, "{format:?}");
        assert_eq!((connection.responses, RequestStats::sum(&[counters]).durations.count()), (102, 102));
        assert_eq!((connection.receive_bytes(), connection.send_bytes()), (0, 0), "it owns no buffers while it waits");
    }
}
