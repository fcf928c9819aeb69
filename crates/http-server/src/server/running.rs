//! A running server: its threads, its handles, and its shutdown.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::listener::UnixAddr;
use crate::access_log::{AccessLog, LogHandle, Writer};
use crate::connection::shared::Shared;
use crate::permit::RequestName;
use crate::request_stats::{RequestCounters, RequestStats};
use crate::stats::{ConnectionTable, Stats};

/// What a running server runs: a fixed number of workers, and a thread that watches over them.
pub(crate) trait Workers: Send + Sync {
    fn shared(&self) -> &Shared<'static>;

    /// For each worker, the request that may block it.
    fn request_names(&self) -> &Arc<[RequestName]>;

    /// The connections, to count them.
    fn connections(&self) -> Arc<dyn ConnectionTable>;

    /// Runs one worker until the server has shut down. It counts its requests here.
    fn work(&self, worker: usize, counters: &Arc<RequestCounters>);

    /// Runs the housekeeper until the server has shut down.
    fn keep_house(&self, shutdown_timeout: Duration);
}

/// What one thread does.
type Job = Box<dyn FnOnce(&dyn Workers) + Send>;

/// A running server. Dropping it shuts the server down and waits for its end. [`join`](Self::join) waits for a
/// shutdown that a [handle](Self::shutdown_handle) requests, and [`detach`](Self::detach) lets the server run on.
#[derive(Debug)]
#[must_use = "dropping it shuts the server down; call `join` or `detach`"]
pub struct RunningServer {
    shutdown: ShutdownHandle,
    stats: StatsHandle,
    shutdown_timeout: Duration,
    addresses: Vec<SocketAddr>,
    unix_addresses: Vec<UnixAddr>,
    writer: Option<Writer>,
    is_detached: bool,
}

impl RunningServer {
    pub(crate) fn start(
        workers: Arc<dyn Workers>,
        shutdown_timeout: Duration,
        addresses: Vec<SocketAddr>,
        unix_addresses: Vec<UnixAddr>,
        writer: Option<Writer>,
    ) -> io::Result<RunningServer> {
        let lifecycle = Arc::new(Lifecycle::default());
        let (shared, request_names) = (workers.shared(), workers.request_names());
        let stats = StatsHandle {
            connections: workers.connections(),
            requests: request_names.iter().map(|_| RequestCounters::new()).collect(),
            log: shared.log.clone(),
            request_names: request_names.clone(),
        };
        let (stopping, number) = (shared.stopping.clone(), request_names.len());
        let spawn = |name: String, run: Job| {
            let (running, workers) = (RunningThread::new(&lifecycle), workers.clone());
            thread::Builder::new().name(name).spawn(move || {
                let _running = running; // dropped after the workers
                let workers = workers;
                run(&*workers);
            })
        };
        let housekeeper = spawn("housekeeper".into(), Box::new(move |workers| workers.keep_house(shutdown_timeout)));
        let housekeeper = match housekeeper {
            Ok(housekeeper) => housekeeper.thread().clone(),
            Err(error) => {
                if let Some(writer) = writer {
                    writer.finish();
                }
                return Err(error);
            }
        };
        let shutdown = ShutdownHandle { stopping, housekeeper, lifecycle: lifecycle.clone() };
        // From here on, an error drops the server, which ends the threads that were started. They own all: so the
        // last of them drops the handler, whose files may take long to close.
        let running =
            RunningServer { shutdown, stats, shutdown_timeout, addresses, unix_addresses, writer, is_detached: false };
        for n in 0..number {
            let counters = running.stats.requests[n].clone();
            spawn(format!("worker-{n}"), Box::new(move |workers| workers.work(n, &counters)))?;
        }
        Ok(running)
    }

    /// The TCP addresses that it listens on, with their real ports.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses of the Unix sockets that it listens on, each a [`std::os::unix::net::SocketAddr`].
    #[cfg(unix)]
    pub fn unix_addrs(&self) -> &[UnixAddr] {
        &self.unix_addresses
    }

    /// A handle that shuts it down, from any thread.
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.shutdown.clone()
    }

    /// A handle that reopens the log's file and adds lines to it, from any thread. Without a log it does nothing.
    pub fn log_handle(&self) -> LogHandle {
        LogHandle(self.stats.log.clone())
    }

    /// A handle that reads its statistics, from any thread.
    pub fn stats_handle(&self) -> StatsHandle {
        self.stats.clone()
    }

    /// Its statistics so far.
    pub fn stats(&self) -> Stats {
        self.stats.stats()
    }

    /// Waits until a [`ShutdownHandle`] has shut the server down, and returns the final statistics.
    ///
    /// After the shutdown request it returns within the shutdown timeout plus two seconds. By then all lines of the log
    /// are written, unless the log's reader does not read them. If a handler still blocks a thread then, the threads end
    /// after the handler has returned.
    pub fn join(mut self) -> Stats {
        self.wait();
        self.stats()
    }

    /// Waits for the end of the threads and of the log.
    fn wait(&mut self) {
        self.shutdown.lifecycle.wait(self.shutdown_timeout);
        if let Some(writer) = self.writer.take() {
            writer.finish();
        }
    }

    /// Lets the server run until a [`ShutdownHandle`] shuts it down or the process ends.
    pub fn detach(mut self) {
        self.is_detached = true;
        let mut state = self.shutdown.lifecycle.lock();
        if state.running > 0 {
            state.writer = self.writer.take();
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        if !self.is_detached {
            self.shutdown.shut_down();
            self.wait();
        }
    }
}

/// Shuts a server down: it accepts what waits in the backlog and no more, serves every request that has arrived, closes
/// idle connections, and lets responses finish within the shutdown timeout. A connection that was active in the last half
/// second may send one more request. One that is read from so that its last response arrives ends within 2 s.
#[derive(Clone, Debug)]
pub struct ShutdownHandle {
    stopping: Arc<AtomicBool>,
    housekeeper: Thread,
    lifecycle: Arc<Lifecycle>,
}

impl ShutdownHandle {
    /// Requests the shutdown; returns at once.
    pub fn shut_down(&self) {
        self.stopping.store(true, Relaxed);
        self.lifecycle.request_shutdown();
        self.housekeeper.unpark();
    }
}

/// Reads the statistics of a server, even after its end.
#[derive(Clone, Debug)]
pub struct StatsHandle {
    connections: Arc<dyn ConnectionTable>,
    requests: Arc<[Arc<RequestCounters>]>,
    log: Option<Arc<AccessLog>>,
    request_names: Arc<[RequestName]>,
}

impl StatsHandle {
    /// The statistics so far. All numbers of connections are of one moment. They are counted in the slots.
    pub fn stats(&self) -> Stats {
        let (connections, requests) = (self.connections.stats(), self.requests());
        let dropped_log_lines = self.log.as_ref().map_or(0, |log| log.lost());
        Stats { responses: requests.by_class(), bytes_sent: requests.bytes_sent, dropped_log_lines, ..connections }
    }

    /// What has become of the requests so far.
    pub fn requests(&self) -> RequestStats {
        RequestStats::sum(&self.requests)
    }

    /// The requests that may be blocked at this moment, on a disk or in a handler, such as `GET /file`. Each holds a
    /// thread.
    pub fn blocking_requests(&self) -> Vec<String> {
        self.request_names.iter().filter_map(RequestName::get).collect()
    }
}

/// How many threads run, and when their shutdown was requested.
#[derive(Debug, Default)]
struct Lifecycle {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    shutdown_requested: Option<Instant>,
    /// The log of a detached server. The last thread closes it.
    writer: Option<Writer>,
}

/// How long the workers may take for their last turn after the shutdown timeout. The log takes another second. Together that
/// is less than the two seconds of `join`, as a thread that waits wakes up late.
const LAST_TURN: Duration = Duration::from_millis(900);

impl Lifecycle {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request_shutdown(&self) {
        self.lock().shutdown_requested.get_or_insert_with(Instant::now);
        self.changed.notify_all();
    }

    /// Waits until all threads have ended, or the time for that has passed.
    fn wait(&self, shutdown_timeout: Duration) {
        let serves = |state: &mut State| state.running > 0 && state.shutdown_requested.is_none();
        let state = self.changed.wait_while(self.lock(), serves).unwrap_or_else(PoisonError::into_inner);
        let elapsed = state.shutdown_requested.map_or(Duration::ZERO, |since| since.elapsed());
        let left = shutdown_timeout.saturating_add(LAST_TURN).saturating_sub(elapsed);
        drop(self.changed.wait_timeout_while(state, left, |state| state.running > 0));
    }
}

/// Counts one running thread until it is dropped.
struct RunningThread(Arc<Lifecycle>);

impl RunningThread {
    fn new(lifecycle: &Arc<Lifecycle>) -> RunningThread {
        lifecycle.lock().running += 1;
        RunningThread(lifecycle.clone())
    }
}

impl Drop for RunningThread {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        if state.running == 0 {
            state.writer = None;
        }
        drop(state);
        self.0.changed.notify_all();
    }
}
