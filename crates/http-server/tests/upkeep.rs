//! The upkeep of a handler: when a running server calls it, and that nothing waits for it.
#![cfg(test)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_server::{Action, Handler, Request, Response, RunningServer, Upkeep};

const PATIENCE: Duration = Duration::from_secs(20);

/// Counts its upkeeps, and does in them what a test wants.
struct Kept<F> {
    calls: Arc<AtomicUsize>,
    upkeep: F,
}

impl<F: Fn(usize, &Upkeep<'_>) + Send + Sync> Handler for Kept<F> {
    fn handle(&self, request: &Request<'_>) -> Action {
        match request.blocking().will_block() {
            Ok(()) => Response::text("here").into(),
            Err(later) => later.into(),
        }
    }

    fn never_blocks(&self) -> bool {
        true
    }

    fn upkeep(&self, upkeep: &Upkeep<'_>) {
        (self.upkeep)(self.calls.fetch_add(1, SeqCst), upkeep);
    }
}

/// A server, its address, the number of upkeeps so far, and its messages.
fn start(
    threads: usize,
    upkeep: impl Fn(usize, &Upkeep<'_>) + Send + Sync + 'static,
) -> (RunningServer, SocketAddr, Arc<AtomicUsize>, Receiver<String>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let (sender, messages) = channel();
    let server = support::server().threads(threads).shutdown_timeout(Duration::from_millis(300));
    let server = server.on_message(move |message| drop(sender.send(message.to_owned())));
    let running = server.start(Arc::new(Kept { calls: calls.clone(), upkeep })).unwrap();
    let address = running.local_addrs()[0];
    (running, address, calls, messages)
}

fn check_served(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("\r\n\r\nhere"), "{response}");
}

fn finish(running: RunningServer) {
    running.shutdown_handle().shut_down();
    let stats = running.join();
    assert_eq!(stats.accepted, stats.ended(), "{stats}");
}

#[test]
fn idle_server_keeps_its_handler_at_most_once_a_second() {
    let (sender, times) = channel();
    let (running, _, _, messages) = start(2, move |call, upkeep| {
        assert!(upkeep.may_hang() && upkeep.date().unix() > 0);
        upkeep.message(&format!("call {call}"));
        sender.send(Instant::now()).unwrap();
    });
    let times: Vec<_> = (0..3).map(|_| times.recv_timeout(PATIENCE).unwrap()).collect();
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] > Duration::from_millis(700), "{times:?}"); // either may have been late
    }
    assert_eq!(messages.iter().take(3).collect::<Vec<_>>(), ["call 0", "call 1", "call 2"]);
    finish(running);
}

#[test]
fn upkeep_that_hangs_holds_one_thread_and_is_not_repeated() {
    let (sender, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let (running, address, calls, _messages) = start(2, move |_, _| {
        let _ = gate.lock().unwrap().recv();
    });
    let deadline = Instant::now() + PATIENCE;
    while running.stats_handle().blocking_requests() != ["upkeep"] {
        assert!(Instant::now() < deadline, "the upkeep hangs");
    }
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        check_served(address);
    }
    assert_eq!(calls.load(SeqCst), 1);
    drop(sender);
    while calls.load(SeqCst) < 2 {
        assert!(Instant::now() < deadline + PATIENCE, "the next upkeep comes");
    }
    finish(running);
}

#[test]
fn panic_of_upkeep_is_a_message_and_the_next_one_comes() {
    let (running, address, calls, messages) = start(1, |call, upkeep| match call {
        0 => panic!("broken"),
        call => upkeep.message(&format!("call {call}")),
    });
    let next = || messages.recv_timeout(PATIENCE).unwrap();
    assert_eq!((next(), next()), ("the upkeep of the handler panicked: broken".into(), "call 1".into()));
    check_served(address);
    assert!(calls.load(SeqCst) >= 2);
    finish(running);
}
