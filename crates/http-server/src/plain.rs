//! The plain engine: a fixed pool of threads that accept, read and write by blocking calls, on any system.
//!
//! ```text
//! next_listener ──▶ accept ──▶ serve: read, handle, write, until the connection ends ──▶ next_listener
//! ```
//!
//! A worker that is free takes a listening socket and waits there for a connection. Before it serves that, it puts the
//! socket back, so that another worker waits there meanwhile. If none is free, connections wait in the kernel's backlog.
//!
//! It is the server of the textbook, and has its weakness: a slow client holds a worker. These limit the harm:
//!
//! - A connection has a deadline for what it is doing, which no byte restarts (`timeouts.rs`). No read and no write
//!   waits beyond it (`blocking.rs`).
//! - A connection is kept for further requests only while another worker is free, that is, while somebody accepts at
//!   each socket. Otherwise the pool is crowded: responses say `Connection: close`, and an idle connection is closed.
//! - A read or write waits for 100 ms at most before the worker looks whether the server shuts down, or whether an idle
//!   connection is to be closed. So nobody has to interrupt it, which std cannot do.
//!
//! Two more threads serve no connection: one calls the handler's upkeep, and the housekeeper waits for the shutdown.
//! How a connection is served is the same code as under the reactor (`connection/`).

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use http_core::CloseReason;

use crate::blocking::{self, SLICE, Tcp};
use crate::connection::context::WorkerContext;
use crate::connection::shared::Shared;
use crate::handler::{UPKEEP, Upkeep};
use crate::permit::{Permit, RequestName, Turn};
use crate::request_stats::RequestCounters;
use crate::server::{Listener, Workers};
use crate::stats::{ConnectionCounts, ConnectionTable, EndReason, OpenConnections, Stats};

/// How long after an upkeep of the handler the next one begins.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);

/// How often the housekeeper looks whether the last connection has ended, during a shutdown.
const STOP_INTERVAL: Duration = Duration::from_millis(10);

/// How many connections there were, and how many are open. Each of these has a worker.
#[derive(Debug, Default)]
struct Connections(Mutex<(ConnectionCounts, OpenConnections)>);

impl Connections {
    fn lock(&self) -> MutexGuard<'_, (ConnectionCounts, OpenConnections)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionTable for Connections {
    fn stats(&self) -> Stats {
        let (counts, open) = &*self.lock();
        counts.stats(*open)
    }
}

#[derive(Debug)]
pub(crate) struct Pool {
    connections: Arc<Connections>,
    shared: Shared<'static>,
    listeners: Vec<Weak<Listener>>,
    /// For each worker and, at the end, the thread for the upkeep: the request that may block it, which can be named if
    /// it hangs.
    request_names: Arc<[RequestName]>,
    state: Mutex<State>,
    /// A socket is unattended, or closed.
    workers: Condvar,
    /// A socket is closed.
    upkeep: Condvar,
}

#[derive(Debug)]
struct State {
    /// Listening sockets where nobody accepts.
    unattended: VecDeque<Arc<Listener>>,
    /// Workers that neither accept nor serve.
    free: usize,
    /// Listening sockets that are not closed yet.
    open: usize,
    /// Connections that are served.
    connections: usize,
}

impl State {
    /// Whether workers wait for connections, or will.
    fn is_open(&mut self) -> bool {
        self.open > 0
    }
}

/// Makes a socket ready for the pool.
pub(crate) fn prepare(listener: &Listener) -> io::Result<()> {
    listener.set_nonblocking(false)?;
    listener.limit_accept(SLICE)
}

/// Accepts a connection that waits in the backlog, or fails as `accept` does after a timeout.
fn accept_if_any(listener: &Listener) -> io::Result<(TcpStream, SocketAddr)> {
    listener.set_nonblocking(true)?;
    let (socket, peer) = listener.accept()?;
    socket.set_nonblocking(false)?; // some systems inherit it
    Ok((socket, peer))
}

impl Pool {
    /// So many workers serve connections (`ServerConfig::plain_threads`). There is one more for each further listening
    /// socket, because somebody may wait at all the others.
    pub(crate) fn new(listeners: Vec<Listener>, workers: usize, shared: Shared<'static>) -> Pool {
        let workers = workers + listeners.len().saturating_sub(1);
        let listeners: VecDeque<_> = listeners.into_iter().map(Arc::new).collect();
        Pool {
            connections: Arc::default(),
            shared,
            listeners: listeners.iter().map(Arc::downgrade).collect(),
            request_names: (0..=workers).map(|_| RequestName::default()).collect(),
            state: Mutex::new(State { open: listeners.len(), unattended: listeners, free: workers, connections: 0 }),
            workers: Condvar::new(),
            upkeep: Condvar::new(),
        }
    }

    /// Waits for a socket to accept at. `None` once all are closed.
    fn next_listener(&self) -> Option<Arc<Listener>> {
        let has_to_wait = |state: &mut State| state.is_open() && state.unattended.is_empty();
        let mut state = self.workers.wait_while(self.lock(), has_to_wait).unwrap_or_else(PoisonError::into_inner);
        let listener = state.unattended.pop_front();
        state.free -= usize::from(listener.is_some());
        self.note_crowd(&state);
        listener
    }

    /// Waits for a connection, and leaves the socket to another worker. During a shutdown it takes those that wait in
    /// the backlog already, and then closes the socket.
    fn accept(&self, listener: Arc<Listener>) -> Option<(TcpStream, SocketAddr)> {
        let accepted = loop {
            let stopping = self.shared.is_stopping();
            let accepted = if stopping { accept_if_any(&listener) } else { listener.accept() };
            if stopping || !accepted.as_ref().is_err_and(blocking::is_timeout) {
                break accepted;
            }
            let _ = prepare(&listener); // another process that holds the socket, too, may have made it non-blocking
        };
        let nobody_waits = accepted.as_ref().is_err_and(blocking::is_timeout);
        match accepted.as_ref().map_err(io::Error::kind) {
            Ok(_) => {}
            Err(_) if nobody_waits => {}
            // The peer has gone. Windows calls that a reset.
            Err(ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(_) => thread::sleep(SLICE), // no descriptor is left, for example
        }
        let mut state = self.lock();
        if nobody_waits || self.shared.is_over() {
            drop(listener);
            self.close(&mut state, 1);
        } else {
            state.unattended.push_back(listener);
            self.workers.notify_one();
        }
        *(if accepted.is_ok() { &mut state.connections } else { &mut state.free }) += 1;
        self.note_crowd(&state);
        accepted.ok()
    }

    /// Serves a connection to its end.
    fn serve(&self, socket: TcpStream, peer: SocketAddr, context: &mut WorkerContext) {
        let may_be_wake_up = self.shared.is_stopping();
        if !may_be_wake_up {
            let (counts, open) = &mut *self.connections.lock();
            counts.accepted();
            open.active += 1;
        }
        let _ = socket.set_nodelay(true); // Unix sockets do not have it
        let ended = blocking::drive_to_end(Tcp::<true>::new(&socket), peer, &self.shared, context);
        drop(socket);
        let mut state = self.lock();
        (state.connections, state.free) = (state.connections - 1, state.free + 1);
        self.note_crowd(&state);
        drop(state);
        let without_a_byte =
            ended.reason == EndReason::ClientAbort && ended.close_reason == Some(CloseReason::PeerClosed);
        if may_be_wake_up && without_a_byte {
            return; // perhaps it came from `wake`
        }
        let (counts, open) = &mut *self.connections.lock();
        if may_be_wake_up {
            counts.accepted();
        } else {
            open.active -= 1;
        }
        counts.ended(ended.reason);
    }

    /// Notes whether nobody accepts at a socket, and nobody is about to.
    fn note_crowd(&self, state: &State) {
        self.shared.crowded.store(state.unattended.len() > state.free, Relaxed);
    }

    /// Notes that sockets are closed.
    fn close(&self, state: &mut State, sockets: usize) {
        state.open -= sockets;
        self.workers.notify_all();
        self.upkeep.notify_all();
    }

    /// Has the handler's upkeep done, now and then.
    fn keep_up(&self, turn: &Turn) {
        loop {
            let wait = self.upkeep.wait_timeout_while(self.lock(), UPKEEP_INTERVAL, State::is_open);
            if !wait.unwrap_or_else(PoisonError::into_inner).0.is_open() {
                return;
            }
            turn.may(Permit::Block, |name| name.extend_from_slice(UPKEEP));
            Upkeep::call(&*self.shared.handler, turn, &self.shared.messages);
            turn.forget_request();
        }
    }

    /// Ends each `accept` that waits. std has no timeout for it and cannot interrupt it. But one can connect: on every
    /// system, and without harm to another process that listens at the same socket. Where a sandbox forbids it, which is
    /// on Linux, an `accept` ends by itself after [`SLICE`].
    fn wake(&self) {
        for listener in self.listeners.iter().filter_map(Weak::upgrade) {
            let _ = listener.connect();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workers for Pool {
    fn shared(&self) -> &Shared<'static> {
        &self.shared
    }

    fn request_names(&self) -> &Arc<[RequestName]> {
        &self.request_names
    }

    fn connections(&self) -> Arc<dyn ConnectionTable> {
        self.connections.clone()
    }

    fn work(&self, worker: usize, counters: &Arc<RequestCounters>) {
        let turn = Turn::named(self.request_names.clone(), worker);
        if worker + 1 == self.request_names.len() {
            return self.keep_up(&turn);
        }
        let mut context = WorkerContext::new(turn).counting(counters);
        while let Some(listener) = self.next_listener() {
            if let Some((socket, peer)) = self.accept(listener) {
                self.serve(socket, peer, &mut context);
            }
        }
    }

    /// Waits for a shutdown, and ends the server.
    fn keep_house(&self, shutdown_timeout: Duration) {
        while !self.shared.is_stopping() {
            thread::park();
        }
        let since = Instant::now();
        self.wake();
        while since.elapsed() < shutdown_timeout {
            let mut state = self.lock();
            if !state.is_open() && state.connections == 0 {
                return;
            }
            drop(state);
            thread::sleep(STOP_INTERVAL);
        }
        self.shared.over.store(true, Relaxed);
        let mut state = self.lock();
        let unattended = mem::take(&mut state.unattended);
        self.close(&mut state, unattended.len());
    }
}
