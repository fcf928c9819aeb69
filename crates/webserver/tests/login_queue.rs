//! Logins are fair (V19): those that come at once all succeed, and clients that guess keep no one else out.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use http_server::auth::{BasicAuth, MAX_WAITING, Users};
use http_server::{Engine, Request, Response, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use support::{
    EmbeddedServer, PASSWORD, Program, ReceivedResponse, authorization, connect_from, fetch, parse_responses,
    read_response, read_to_end, send, users_line, wait_until,
};

/// Bcrypt costs that take the time of some requests, and of many: 10 ms and 0.1 s, or three times as long without
/// optimisation.
const COST: u32 = 8;
const SLOW_COST: u32 = 11;

const USERS: usize = 8;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

fn user(n: usize) -> String {
    format!("user{n}")
}

/// The lines of [`USERS`] users with the same hash.
fn users(cost: u32) -> String {
    let line = users_line("", cost);
    (0..USERS).map(|n| user(n) + &line).collect()
}

/// A server whose users all have one password. It responds with the number of verifications that have begun.
struct Guarded {
    server: EmbeddedServer,
    guard: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Guarded {
    fn start(cost: u32, configure: impl FnOnce(Server) -> Server) -> Guarded {
        let counter = Arc::new(OnceLock::<Arc<dyn Fn() -> u64 + Send + Sync>>::new());
        let inner = {
            let counter = counter.clone();
            move |_: &Request<'_>| Response::text(counter.get().map_or(0, |count| count()).to_string())
        };
        let auth = Arc::new(BasicAuth::new(Users::parse(users(cost).as_bytes()).unwrap(), inner));
        let guard: Arc<dyn Fn() -> u64 + Send + Sync> = Arc::new({
            let auth = Arc::downgrade(&auth);
            move || auth.upgrade().map_or(0, |auth| auth.verifications())
        });
        let _ = counter.set(guard.clone());
        Guarded { server: EmbeddedServer::start(configure, auth), guard }
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    fn verifications(&self) -> u64 {
        (self.guard)()
    }
}

/// A request from this address.
fn request_from(source: IpAddr, address: SocketAddr, headers: &str) -> ReceivedResponse {
    let mut stream = connect_from(source, address);
    write!(stream, "GET / HTTP/1.0\r\n{headers}\r\n").unwrap();
    parse_responses(&read_to_end(&mut stream).unwrap(), false).unwrap().remove(0)
}

/// Requests at the same moment, each on a connection of its own. Returns the responses in the same order.
fn at_once(address: SocketAddr, requests: Vec<String>) -> Vec<ReceivedResponse> {
    let barrier = Arc::new(Barrier::new(requests.len()));
    let clients = requests.into_iter().map(|headers| {
        let barrier = barrier.clone();
        thread::spawn(move || {
            barrier.wait();
            fetch(address, "GET", "/", &headers)
        })
    });
    clients.collect::<Vec<_>>().into_iter().map(|client| client.join().unwrap()).collect()
}

/// Attackers that guess all the time. Dropping the value ends them.
struct Attack {
    stop: Arc<AtomicBool>,
    connections: Vec<JoinHandle<()>>,
}

impl Attack {
    /// Attackers at these addresses guess over so many connections each, which send the next guess when they are
    /// answered. `keeps`: over the same connection.
    fn start(address: SocketAddr, sources: &[IpAddr], connections: usize, keeps: bool) -> Attack {
        let stop = Arc::new(AtomicBool::new(false));
        let connections = sources.iter().flat_map(|source| (0..connections).map(move |n| (source, n)));
        let connections = connections.map(|(source, n)| {
            let (stop, source) = (stop.clone(), *source);
            thread::spawn(move || {
                let mut stream = None;
                for guess in 0.. {
                    let password = authorization(&user(guess % USERS), &format!("{source} {n} {guess}"));
                    let persistence = if keeps { "Connection: keep-alive\r\n" } else { "" };
                    let request = format!("HEAD / HTTP/1.0\r\n{persistence}{password}\r\n");
                    let mut connected = stream.take().unwrap_or_else(|| connect_from(source, address));
                    let sent = connected.write_all(request.as_bytes()).is_ok();
                    if sent && wait_for_answer(&mut connected, &stop) && keeps {
                        stream = Some(connected);
                    }
                    if stop.load(Relaxed) {
                        break;
                    }
                }
            })
        });
        let connections = connections.collect();
        Attack { stop, connections }
    }
}

/// Whether a head has come. The connection may be closed instead.
fn wait_for_answer(stream: &mut TcpStream, stop: &AtomicBool) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    while !head.ends_with(b"\r\n\r\n") && !stop.load(Relaxed) {
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => head.extend_from_slice(&buffer[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => return false,
        }
    }
    true
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.connections.drain(..).for_each(|connection| connection.join().unwrap());
    }
}

/// Logs users in, one after the other. Returns how many verifications began until each one was in: its own, those that
/// it waited for, and perhaps the next one.
fn verifications_until_logged_in(guarded: &Guarded) -> Vec<u64> {
    let log_in = |n| {
        let before = guarded.verifications();
        let response = fetch(guarded.address(), "GET", "/", &authorization(&user(n), PASSWORD));
        assert_eq!(response.status, 200, "{}", response.head);
        response.text().parse::<u64>().unwrap() - before
    };
    (0..USERS).map(log_in).collect()
}

// V19
#[test]
fn v19_clients_that_guess_keep_no_one_out() {
    // In their order, each would wait for 15 others. Exact counts are in the tests of the queue.
    let is_fair = |counts: &Vec<u64>| counts[USERS / 2] <= 5 && counts[USERS - 1] <= 10;
    for keeps in [false, true] {
        for sources in [[THERE, ELSEWHERE], [HERE, HERE], [HERE, THERE]] {
            let mut rounds: Vec<Vec<u64>> = Vec::new();
            // A busy machine may keep a login from the queue, or its response from this thread: not every time.
            while rounds.len() < 3 && !rounds.last().is_some_and(is_fair) {
                rounds.push(sorted_verifications_in_an_attack(&sources, keeps));
            }
            assert!(rounds.last().is_some_and(is_fair), "{sources:?}, {keeps}: {rounds:?}");
        }
    }
}

fn sorted_verifications_in_an_attack(sources: &[IpAddr], keeps: bool) -> Vec<u64> {
    // Guesses that still wait would delay the shutdown.
    let guarded = Guarded::start(COST, |server| server.threads(1).shutdown_timeout(Duration::ZERO));
    let attack = Attack::start(guarded.address(), sources, 8, keeps);
    // A login among the first guesses of its own address could not be told from them. Each may take long.
    for count in 1..=16 {
        wait_until("each connection has guessed", || guarded.verifications() >= count);
    }
    let mut counts = verifications_until_logged_in(&guarded);
    drop(attack);
    guarded.server.finish();
    counts.sort_unstable();
    counts
}

#[test]
fn browsers_that_log_in_at_once_all_get_in() {
    let guarded = Guarded::start(COST, |server| server.threads(1));
    for (count, expected) in [(1, 1), (USERS, USERS as u64)] {
        let requests = (0..8).map(|n| authorization(&user(n % count), PASSWORD)).collect();
        let responses = at_once(guarded.address(), requests);
        assert!(responses.iter().all(|response| response.status == 200), "{responses:?}");
        assert_eq!(guarded.verifications(), expected, "each user once");
    }
    guarded.server.finish();

    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("www")).unwrap();
    let file = directory.path().join("users");
    fs::write(&file, users(COST)).unwrap();
    let program = Program::start(&directory.path().join("www"), &["--threads", "1", "--auth", file.to_str().unwrap()]);
    let requests = (0..USERS).map(|n| authorization(&user(n), PASSWORD)).collect();
    let responses = at_once(program.address(), requests);
    assert!(responses.iter().all(|response| response.status == 200), "{responses:?}");
    program.finish();
}

#[test]
fn equal_credentials_share_a_verification_that_is_running() {
    let guarded = Guarded::start(SLOW_COST, |server| server.threads(1));
    for (password, status, expected) in [("wrong", 401, 1), (PASSWORD, 200, 2)] {
        let headers = authorization(&user(0), password);
        let request = format!("GET / HTTP/1.0\r\n{headers}\r\n");
        let first = send(guarded.address(), request.as_bytes());
        wait_until("it is being verified", || guarded.verifications() == expected);
        let others = at_once(guarded.address(), vec![headers; 7]);
        assert!(others.iter().all(|response| response.status == status), "{others:?}");
        assert_eq!((read_response(&mut &first).status, guarded.verifications()), (status, expected));
    }
    guarded.server.finish();
}

// V19: a client is known by its address. Its last wrong credentials are not verified again.
#[test]
fn v19_client_behind_a_trusted_proxy_is_told_apart() {
    let wrong = authorization(&user(0), "wrong");
    let hops = ["198.51.100.1", "203.0.113.9, 198.51.100.1", "198.51.100.2", "198.51.100.3, 198.51.100.2"];
    for (trusts, expected) in [(true, [1, 1, 2, 2]), (false, [1; 4])] {
        let proxies = trusts.then(|| "127.0.0.1".parse().unwrap());
        let guarded = Guarded::start(4, |server| server.trust_proxies(proxies));
        let counts = hops.map(|hops| {
            let headers = format!("X-Forwarded-For: {hops}\r\n{wrong}");
            assert_eq!(fetch(guarded.address(), "GET", "/", &headers).status, 401);
            guarded.verifications()
        });
        assert_eq!(counts, expected, "trusted: {trusts}");
        guarded.server.finish();
    }
    let guarded = Guarded::start(4, |server| server);
    let counts = [HERE, THERE, HERE].map(|source| {
        assert_eq!(request_from(source, guarded.address(), &wrong).status, 401);
        guarded.verifications()
    });
    assert_eq!(counts, [1, 2, 2]);
    guarded.server.finish();
}

// With the plain engine each request that waits holds a thread, though its client has left.
#[test]
fn v19_clients_that_guess_leave_threads_of_the_plain_engine_to_others() {
    const THREADS: usize = 8;
    let configure = |server: Server| server.engine(Engine::Plain).threads(THREADS).shutdown_timeout(Duration::ZERO);
    let guarded = Guarded::start(SLOW_COST, configure);
    let log_in = || request_from(HERE, guarded.address(), &authorization(&user(0), PASSWORD));
    assert_eq!(log_in().status, 200);
    for guess in 0..5 * THREADS {
        let mut stream = connect_from(THERE, guarded.address());
        write!(stream, "GET / HTTP/1.0\r\n{}\r\n", authorization(&user(0), &guess.to_string())).unwrap();
    }
    let before = guarded.verifications();
    assert_eq!(log_in().status, 200);
    let count = guarded.verifications() - before;
    assert!(count <= THREADS as u64, "it waits for guesses: {count}");
}

// V21: what waits is bounded.
#[test]
fn v21_guesses_beyond_the_limit_are_refused() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile); // both ends of some thousand sockets are in this process
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let guarded = Guarded::start(SLOW_COST, |server| server.threads(1).shutdown_timeout(Duration::ZERO));
    assert_eq!(request_from(THERE, guarded.address(), &authorization(&user(0), "wrong")).status, 401);
    let guess = |n: usize| format!("GET / HTTP/1.0\r\n{}\r\n", authorization(&user(0), &n.to_string()));
    // More than are verified while they are sent.
    let guesses: Vec<_> = (0..MAX_WAITING + 50)
        .map(|n| {
            let mut stream = connect_from(THERE, guarded.address());
            stream.write_all(guess(n).as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    let is_refused = |mut stream: &TcpStream| {
        let mut response = [0; 1024];
        let n = stream.read(&mut response).unwrap_or(0);
        let response = String::from_utf8_lossy(&response[..n]);
        response.starts_with("HTTP/1.0 503 ") && response.contains("\r\nRetry-After: 10\r\n")
    };
    wait_until("guesses are refused", || guesses.iter().any(is_refused));
    let before = guarded.verifications();
    let login = request_from(HERE, guarded.address(), &authorization(&user(0), PASSWORD));
    assert_eq!(login.status, 200);
    let count = login.text().parse::<u64>().unwrap() - before;
    assert!(count <= 10, "it does not wait for {MAX_WAITING} guesses: {count}");
    let began = Instant::now();
    guarded.server.finish();
    assert!(began.elapsed() < Duration::from_secs(10), "waiting requests end at the shutdown timeout");
    drop(guesses);
}
