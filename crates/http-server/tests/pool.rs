//! The pool: how many requests are worked on at once, and what is served while others block.
#![cfg(test)]

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use http_server::{
    Action, Body, BodySink, ErrorContext, Handler, HandlerError, Request, Response, RunningServer, Server, Timeouts,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn send(address: SocketAddr, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream
}

fn get(address: SocketAddr, path: &str) -> TcpStream {
    send(address, &format!("GET {path} HTTP/1.0\r\n\r\n"))
}

fn receive(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn start(threads: usize, handler: impl Handler + 'static) -> (RunningServer, SocketAddr) {
    let timeouts = Timeouts { head: Duration::from_secs(1), ..Timeouts::default() };
    let server = Server::bind("127.0.0.1:0").unwrap().threads(threads).timeouts(timeouts);
    let running = server.shutdown_timeout(Duration::from_millis(300)).start(handler).unwrap();
    let address = running.local_addrs()[0];
    (running, address)
}

fn finish(running: RunningServer) {
    running.shutdown_handle().shut_down();
    let stats = running.join();
    assert_eq!(stats.accepted, stats.ended(), "{stats}");
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A door that requests wait behind.
#[derive(Clone, Default)]
struct Door(Arc<(Mutex<(usize, bool)>, Condvar)>);

impl Door {
    /// Waits until the door is open.
    fn enter(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.0 += 1;
        drop(changed.wait_while(state, |(_, is_open)| !*is_open).unwrap());
    }

    /// How many have come.
    fn visitors(&self) -> usize {
        self.0.0.lock().unwrap().0
    }

    fn open(&self) {
        self.0.0.lock().unwrap().1 = true;
        self.0.1.notify_all();
    }
}

/// It asks before it waits behind its door, and answers from memory otherwise.
struct Asks(Door);

impl Handler for Asks {
    fn handle(&self, request: &Request<'_>) -> Action {
        let asked = match &*request.path() {
            "/block" => request.blocking().will_block(),
            "/hang" => request.blocking().may_hang(),
            _ => return Response::text("from memory").into(),
        };
        if let Err(later) = asked {
            return later.into();
        }
        self.0.enter();
        Response::text("at last").into()
    }

    fn never_blocks(&self) -> bool {
        true
    }

    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        let may_hang = error.blocking().may_hang().is_ok();
        Response::text(format!("{} {may_hang}", error.status().code()))
    }
}

/// Checks that requests from memory, new connections and deadlines are served.
fn check_not_held_up(address: SocketAddr) {
    let late = send(address, "GET /late HTTP/1.0\r\n");
    for _ in 0..50 {
        assert!(receive(get(address, "/")).ends_with("\r\n\r\nfrom memory"));
    }
    assert!(receive(send(address, "GET / HTTP/1.1\r\n\r\n")).ends_with("\r\n\r\n400 false"), "no Host");
    assert!(receive(late).ends_with("\r\n\r\n408 false"), "an error page never hangs");
}

#[test]
fn blocked_requests_hold_up_no_others() {
    for (path, blocked) in [("/block", 4), ("/hang", 2)] {
        let door = Door::default();
        let (running, address) = start(4, Asks(door.clone()));
        let held: Vec<_> = (0..40).map(|_| get(address, path)).collect();
        wait_until("requests block", || door.visitors() == blocked);
        check_not_held_up(address);
        assert_eq!(door.visitors(), blocked, "no more than {blocked} of 4 threads may block");
        assert_eq!(running.stats_handle().blocking_requests(), vec![format!("GET {path}"); blocked]);
        door.open();
        for stream in held {
            assert!(receive(stream).ends_with("\r\n\r\nat last"));
        }
        wait_until("nothing blocks", || running.stats_handle().blocking_requests().is_empty());
        finish(running);
    }
}

// Half of the pool is left for disks that answer.
#[test]
fn requests_that_hang_leave_half_of_the_pool() {
    let door = Door::default();
    let (running, address) = start(4, Asks(door.clone()));
    let hanging: Vec<_> = (0..20).map(|_| get(address, "/hang")).collect();
    wait_until("requests hang", || door.visitors() == 2);
    let blocking: Vec<_> = (0..20).map(|_| get(address, "/block")).collect();
    wait_until("requests block", || door.visitors() == 4);
    check_not_held_up(address);
    door.open();
    for stream in hanging.into_iter().chain(blocking) {
        assert!(receive(stream).ends_with("\r\n\r\nat last"));
    }
    finish(running);
}

// The handler may block whenever it is called.
#[test]
fn handler_that_may_block_is_called_once_per_thread() {
    for threads in [1, 3] {
        let door = Door::default();
        let (running, address) = start(threads, {
            let door = door.clone();
            move |_: &Request<'_>| {
                door.enter();
                Response::text("at last")
            }
        });
        let held: Vec<_> = (0..20).map(|_| get(address, "/")).collect();
        wait_until("requests block", || door.visitors() == threads);
        let late = receive(send(address, "GET /late HTTP/1.0\r\n"));
        assert!(late.starts_with("HTTP/1.0 408 "), "{late}");
        assert_eq!(door.visitors(), threads);
        door.open();
        for stream in held {
            assert!(receive(stream).ends_with("\r\n\r\nat last"));
        }
        finish(running);
    }
}

/// Computes, and counts how many threads do.
struct Computes {
    running: AtomicUsize,
    most: Arc<AtomicUsize>,
}

impl Handler for Computes {
    fn handle(&self, _: &Request<'_>) -> Action {
        self.most.fetch_max(self.running.fetch_add(1, SeqCst) + 1, SeqCst);
        // A fixed amount of work: a clock would count the time of other threads, too.
        let work = (0..2_000_000u64).fold(1u64, |product, n| black_box(product.wrapping_mul(n | 1)));
        self.running.fetch_sub(1, SeqCst);
        Response::text(work.to_string()).into()
    }

    fn never_blocks(&self) -> bool {
        true
    }
}

#[test]
fn handlers_that_compute_run_on_several_threads() {
    for threads in [1, 4] {
        let most = Arc::new(AtomicUsize::new(0));
        let (running, address) = start(threads, Computes { running: AtomicUsize::new(0), most: most.clone() });
        let clients = (0..8).map(|_| thread::spawn(move || (0..10).for_each(|_| drop(receive(get(address, "/"))))));
        clients.collect::<Vec<_>>().into_iter().for_each(|client| client.join().unwrap());
        match threads {
            1 => assert_eq!(most.load(SeqCst), 1, "one request at a time"),
            _ => assert!((2..=5).contains(&most.load(SeqCst)), "{most:?}"),
        }
        finish(running);
    }
}

/// A reader that waits behind a door before each piece.
struct SlowReader(Door);

impl Read for SlowReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.enter();
        buffer[0] = b'x';
        Ok(1)
    }
}

#[test]
fn bodies_that_block_hold_up_no_others() {
    let door = Door::default();
    let (running, address) = start(2, {
        let door = door.clone();
        move |request: &Request<'_>| match &*request.path() {
            "/" => Response::text("from memory"),
            _ => Response::bytes(
                "text/plain",
                Body::Reader { reader: Box::new(SlowReader(door.clone())), length: Some(3) },
            ),
        }
    });
    let held: Vec<_> = (0..10).map(|_| get(address, "/slow")).collect();
    wait_until("readers block", || door.visitors() == 2);
    let late = receive(send(address, "GET /late HTTP/1.0\r\n"));
    assert!(late.starts_with("HTTP/1.0 408 "), "{late}");
    let other = get(address, "/");
    door.open();
    for stream in held {
        assert!(receive(stream).ends_with("\r\n\r\nxxx"));
    }
    assert!(receive(other).ends_with("from memory"));
    finish(running);
}

// V21: what was put aside ends with the server.
#[test]
fn shutdown_ends_requests_that_wait() {
    let door = Door::default();
    let (running, address) = start(2, Asks(door.clone()));
    let held: Vec<_> = (0..10).map(|_| get(address, "/block")).collect();
    let stats = running.stats_handle();
    wait_until("requests block", || door.visitors() == 2 && stats.stats().accepted == 10);
    let began = Instant::now();
    running.shutdown_handle().shut_down();
    drop(running);
    assert!(began.elapsed() < Duration::from_secs(3), "it took {:?}", began.elapsed());
    assert_eq!((stats.stats().accepted, stats.stats().ended()), (10, 8), "two are still blocked");
    assert_eq!(stats.blocking_requests(), ["GET /block"; 2]);
    door.open();
    drop(held);
    wait_until("all have ended", || stats.stats().ended() == 10);
}

/// Its destructor waits behind a door, as the close of a file on a network may.
struct SlowToDrop(Door);

impl Drop for SlowToDrop {
    fn drop(&mut self) {
        self.0.enter();
    }
}

#[test]
fn join_waits_for_no_destructor_of_a_handler() {
    let door = Door::default();
    let slow = SlowToDrop(door.clone());
    let (running, address) = start(2, move |_: &Request<'_>| {
        let _ = &slow;
        Response::text("here")
    });
    assert!(receive(get(address, "/")).ends_with("here"));
    running.shutdown_handle().shut_down();
    let began = Instant::now();
    let stats = running.join();
    assert!(began.elapsed() < Duration::from_secs(3), "it took {:?}", began.elapsed());
    assert_eq!((stats.accepted, door.visitors()), (1, 1));
    door.open();
}

// A peer that sent its head in pieces may still send when its response is complete. So the worker that was blocked
// parks its connection.
#[test]
fn connection_of_a_blocked_worker_ends_after_the_shutdown() {
    let door = Door::default();
    let (running, address) = start(2, Asks(door.clone()));
    let mut stream = send(address, "GET /block HTTP/1.0\r\n");
    thread::sleep(Duration::from_millis(100));
    stream.write_all(b"\r\n").unwrap();
    wait_until("the request blocks", || door.visitors() == 1);
    let stats = running.stats_handle();
    running.shutdown_handle().shut_down();
    drop(running);
    door.open();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("\r\n\r\nat last"), "{response}");
    wait_until("the connection ends", || stats.stats().ended() == 1);
}

/// A sink that waits behind a door before it takes anything, and behind another one when it is dropped.
struct SlowSink {
    door: Door,
    _slow_to_drop: SlowToDrop,
}

impl BodySink for SlowSink {
    fn write(&mut self, _: &[u8]) -> Result<(), HandlerError> {
        self.door.enter();
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Response, HandlerError> {
        Ok(Response::text("received"))
    }
}

/// Its sinks wait behind its first door, and are dropped behind its second one.
#[derive(Clone)]
struct Receives(Door, Door);

impl Handler for Receives {
    fn handle(&self, request: &Request<'_>) -> Action {
        match &*request.path() {
            "/sink" => {
                let Receives(door, last) = self.clone();
                Action::stream_body(100, SlowSink { door, _slow_to_drop: SlowToDrop(last) })
            }
            _ => Response::text("from memory").into(),
        }
    }

    fn never_blocks(&self) -> bool {
        true
    }
}

#[test]
fn sinks_that_block_hold_up_no_others() {
    let (door, open) = (Door::default(), Door::default());
    open.open();
    let (running, address) = start(2, Receives(door.clone(), open));
    let held: Vec<_> = (0..10).map(|_| send(address, "POST /sink HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")).collect();
    wait_until("sinks block", || door.visitors() >= 2);
    for _ in 0..9 {
        assert!(receive(get(address, "/")).ends_with("\r\n\r\nfrom memory"));
    }
    assert_eq!(door.visitors(), 2, "no more than 2 threads may block");
    door.open();
    for stream in held {
        assert!(receive(stream).ends_with("\r\n\r\nreceived"));
    }
    finish(running);
}

#[test]
fn sinks_that_are_slow_to_drop_hold_up_no_deadline() {
    let (open, door) = (Door::default(), Door::default());
    open.open();
    let (running, address) = start(1, Receives(open, door.clone()));
    // Their bodies never come.
    let late: Vec<_> = (0..6).map(|_| send(address, "POST /sink HTTP/1.0\r\nContent-Length: 1\r\n\r\n")).collect();
    for stream in late {
        let response = receive(stream);
        assert!(response.starts_with("HTTP/1.0 408 "), "{response}");
    }
    door.open();
    finish(running);
}

/// A reader without an end, which is slow to drop.
struct Endless {
    _slow_to_drop: SlowToDrop,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        Ok(buffer.len())
    }
}

#[test]
fn connection_ends_before_its_body_is_dropped() {
    let door = Door::default();
    let (running, address) = start(2, {
        let door = door.clone();
        move |_: &Request<'_>| {
            let reader = Box::new(Endless { _slow_to_drop: SlowToDrop(door.clone()) });
            Response::bytes("text/plain", Body::Reader { reader, length: None })
        }
    });
    let mut streams = [(); 4].map(|()| get(address, "/"));
    for stream in &mut streams {
        stream.read_exact(&mut [0; 100]).unwrap();
    }
    running.shutdown_handle().shut_down();
    let stats = running.join();
    assert_eq!((stats.accepted, stats.ended()), (4, 4));
    door.open();
}

// Clients that have left, because what they asked for took too long, keep no others out.
#[test]
fn connections_that_are_put_aside_make_room_when_their_clients_have_left() {
    let door = Door::default();
    let server = Server::bind("127.0.0.1:0").unwrap().threads(2).max_connections(8);
    let server = server.shutdown_timeout(Duration::from_millis(300));
    let running = server.start(Asks(door.clone())).unwrap();
    let address = running.local_addrs()[0];
    for _ in 0..3 {
        let held: Vec<_> = (0..8).map(|_| get(address, "/block")).collect();
        wait_until("two block", || door.visitors() == 2);
        drop(held);
        let deadline = Instant::now() + PATIENCE;
        let mut response = receive(get(address, "/"));
        while !response.ends_with("from memory") {
            assert!(response.starts_with("HTTP/1.0 503 ") && Instant::now() < deadline, "{response}");
            thread::sleep(Duration::from_millis(10));
            response = receive(get(address, "/"));
        }
    }
    // A client that waits is no reason to put others off.
    let waits = get(address, "/block");
    door.open();
    assert!(receive(waits).ends_with("at last"));
    finish(running);
}

// Its request has arrived.
#[test]
fn client_that_only_ends_its_stream_is_served_at_the_connection_limit() {
    let door = Door::default();
    let running = Server::bind("127.0.0.1:0").unwrap().threads(2).max_connections(8).start(Asks(door.clone())).unwrap();
    let address = running.local_addrs()[0];
    let held = [(); 8].map(|()| get(address, "/block"));
    held.iter().for_each(|stream| stream.shutdown(Shutdown::Write).unwrap());
    wait_until("two block", || door.visitors() == 2);
    for _ in 0..5 {
        assert!(receive(get(address, "/")).starts_with("HTTP/1.0 503 "));
        thread::sleep(Duration::from_millis(50)); // the next tick
    }
    door.open();
    assert!(held.map(receive).iter().all(|response| response.ends_with("at last")));
    finish(running);
}
