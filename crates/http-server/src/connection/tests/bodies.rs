//! Bodies of requests: what they wait for, whom they make room for, and interim responses.

use super::*;

const HEAD: &[u8] = b"POST / HTTP/1.0\r\nContent-Length: 1000\r\n\r\n";
const EXPECTS: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn collect(_: &Request<'_>) -> Action {
    Action::collect_body(4 << 20, |body| Response::text(body.len().to_string()))
}

#[test]
fn body_that_is_being_received_is_never_refused_for_lack_of_memory() {
    let mut shared = Shared::new(Box::new(collect));
    (shared.head_budget, shared.held_budget) = (MemoryBudget::new(0), MemoryBudget::new(0));
    shared.body_budget = BodyBudget::new(1000);
    shared.handler_permit = Permit::None; // only the collected body needs one
    let permits = Arc::new(Permits(AtomicBool::new(false)));
    let mut context = context_with(&permits);
    let mut connection = connected(FakePeer([HEAD, &[b'a'; 300]].concat(), Sends::Once), &shared);
    for _ in 0..2 {
        permits.0.store(false, Relaxed);
        context.turn.begin(Permit::None, true, clock::monotonic_ns());
        assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Blocked(Permit::Block));
        permits.0.store(true, Relaxed);
        assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Read));
        let Activity::ReadingBody(BodyConsumer::Collect(body, _)) = &connection.activity else { panic!("refused") };
        assert_eq!((body.capacity(), shared.body_budget.free()), (1000, 0), "it takes what it has reserved");
        connection.transport.0 = vec![b'a'; 300];
        connection.on_ready(false);
    }
    connection.transport.0 = vec![b'a'; 400];
    connection.on_ready(false);
    connection.drive(&shared, &mut context);
    assert_eq!((connection.responses, connection.response_reason()), (1, EndReason::Complete));
    assert_eq!(shared.body_budget.free(), 1000, "the memory is free again after the response");
}

// A turn ends in the middle of a body, and all that it has received is in the memory that is reserved.
#[test]
fn turn_leaves_no_received_bytes_of_a_body_unused() {
    let shared = Shared::new(Box::new(collect));
    let mut context = WorkerContext::new(Turn::unlimited());
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n";
    let mut connection = connected(FakePeer([&head[..], &[b'a'; 3_000_000]].concat(), Sends::Once), &shared);
    let mut turns = 0;
    while connection.responses == 0 {
        assert_eq!(connection.protocol.heap_size(), 0);
        connection.drive(&shared, &mut context);
        turns += 1;
    }
    assert!(turns > 3, "{turns}");
}

#[test]
fn body_waits_for_memory_and_is_received_then_or_gets_a_503() {
    let shared = Shared::new(Box::new(collect));
    let mut context = WorkerContext::new(Turn::unlimited());
    let mut others = shared.body_budget.request(16 << 20);
    for granted in [true, false] {
        let mut connection = connected(Trickle::new(EXPECTS, usize::MAX), &shared);
        for _ in 0..3 {
            assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Read));
            connection.on_ready(false);
        }
        let (since, bytes) = connection.waits_for_memory().unwrap();
        assert_eq!((bytes, connection.deadline(&shared)), (3, since + 20_000 + clock::MAX_LAG));
        assert!(connection.transport.output.is_empty(), "no 100 before there is memory");
        assert!(!connection.grant_memory(&shared) && connection.evictable_body(&shared, since + 60_000).is_none());
        if granted {
            shared.body_budget.release(&mut others);
            assert!(connection.grant_memory(&shared) && connection.waits_for_memory().is_none());
            assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Read));
            assert_eq!(connection.transport.output, INTERIM);
            assert_eq!(connection.evictable_body(&shared, since + 60_000), Some((0, 3)));
            connection.release_budget(&shared);
            others = shared.body_budget.request(16 << 20);
        } else {
            connection.on_timeout(&shared, &mut context);
            let output = String::from_utf8_lossy(&connection.transport.output);
            assert!(output.starts_with("HTTP/1.0 503 ") && output.contains("Retry-After: 1\r\n"), "{output}");
            assert_eq!(connection.response_reason(), EndReason::Overloaded);
            assert!(!shared.body_budget.has_waiters());
        }
    }
}

// The time of a body that is dropped is not the time of the next one.
#[test]
fn time_of_a_body_begins_when_the_server_waits_for_it() {
    let handler = |request: &Request<'_>| match &*request.path() {
        "/unwanted" => Response::text("no").into(),
        _ => Action::collect_body(3, |_| Response::text("x")),
    };
    let shared = Shared::new(Box::new(handler));
    let mut context = WorkerContext::new(Turn::unlimited());
    let unwanted = b"POST /unwanted HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
    let mut connection = connected(FakePeer(unwanted.to_vec(), Sends::Once), &shared);
    assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Read));
    connection.timer.enter(Phase::Body, 0);
    connection.transport.0 = [b"x", EXPECTS].concat();
    connection.on_ready(false);
    let before = clock::monotonic_ms();
    assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Read));
    assert!(connection.reservation.reserved() == 3 && connection.timer.phase_started() >= before);
    assert_eq!(connection.evictable_body(&shared, before + 9_000), None);
}

// It would lose what it has sent, and be complete before those that wait give up.
#[test]
fn fast_body_does_not_make_room_for_others() {
    let shared = Shared::new(Box::new(|_: &Request<'_>| Action::collect_body(1 << 20, |_| Response::text("x"))));
    let mut context = WorkerContext::new(Turn::unlimited());
    let head = b"POST / HTTP/1.0\r\nContent-Length: 200000\r\n\r\n";
    let mut connection = connected(FakePeer([&head[..], &[b'x'; 80_000]].concat(), Sends::Once), &shared);
    assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Read));
    let (began, rate) = (connection.timer.phase_started(), |per_second| (per_second, 200_000));
    connection.timer.enter(Phase::Body, began);
    connection.timer.record_progress(65_000, began + 9_000);
    assert_eq!(connection.evictable_body(&shared, began + 9_999), None, "its rate does not count yet");
    assert_eq!(connection.evictable_body(&shared, began + 10_000), None, "the rest takes less than 20 s");
    assert_eq!(connection.evictable_body(&shared, began + 12_000), Some(rate(5416)));
    assert_eq!(connection.evictable_body(&shared, began + 19_000), Some(rate(0)), "it has stalled");
}

// R9110-10.1.1b: the interim response is sent whole, before the body is read, and is no part of the final one.
#[test]
fn interim_response_is_completed_whatever_part_of_it_can_be_sent() {
    for room in 0..INTERIM.len() {
        let shared = Shared::new(Box::new(collect));
        let counters = RequestCounters::new();
        let mut context = WorkerContext::new(Turn::unlimited()).counting(&counters);
        let mut connection = connected(Trickle::new(EXPECTS, room), &shared);
        assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Write));
        assert_eq!(connection.transport.output, INTERIM[..room]);
        connection.transport.input = b"abc".to_vec();
        connection.on_ready(false);
        assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Write));
        assert_eq!(connection.transport.received, EXPECTS.len(), "the body was read before");
        connection.transport.room = usize::MAX;
        assert_eq!(connection.drive(&shared, &mut context), TurnOutcome::Park(Interest::Read));
        let response = connection.transport.output.strip_prefix(INTERIM).unwrap();
        assert!(response.starts_with(b"HTTP/1.0 200 OK\r\n") && response.ends_with(b"\r\n\r\n3"));
        let stats = RequestStats::sum(&[counters]);
        assert_eq!((stats.bytes_sent, stats.responses), (response.len() as u64, vec![(Status::OK, 1)]));
        assert!(connection.is_idle_keep_alive());
    }
}

// R9110-10.1.1b
#[test]
fn no_interim_response_comes_with_a_final_one_or_with_a_body() {
    let handler = |request: &Request<'_>| match &*request.path() {
        "/unwanted" => Response::text("no").into(),
        _ => Action::collect_body(3, |body| Response::text(body.len().to_string())),
    };
    let expects = String::from_utf8(EXPECTS.to_vec()).unwrap();
    for (why, input, status, body) in [
        ("it is not wanted", expects.replace("POST /", "POST /unwanted"), 200, "no"),
        ("it is too long", expects.replace("Length: 3", "Length: 4"), 413, ""),
        ("413 comes before 417", expects.replace("Length: 3", "Length: 4").replace("100-continue", "tea"), 413, ""),
        ("an unknown expectation", expects.replace("100-continue", "tea"), 417, ""),
        ("it is here", [&expects, "abc"].concat(), 200, "3"),
        ("it has begun to arrive", [&expects, "a"].concat(), 0, ""),
        ("HTTP/1.0", expects.replace("HTTP/1.1", "HTTP/1.0"), 0, ""),
    ] {
        let shared = Shared::new(Box::new(handler));
        let mut context = WorkerContext::new(Turn::unlimited());
        let mut connection = connected(Trickle::new(input.as_bytes(), usize::MAX), &shared);
        connection.drive(&shared, &mut context);
        let output = String::from_utf8_lossy(&connection.transport.output).into_owned();
        let expected = if status == 0 { String::new() } else { format!("HTTP/1.0 {status} ") };
        assert!(output.starts_with(&expected) && output.ends_with(body), "{why}: {output}");
        assert!(status > 0 || output.is_empty(), "{why}: {output}");
    }
}
