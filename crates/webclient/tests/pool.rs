//! Kept connections of a `Client`: how many there are, who shares them, and when they are not used again; and failures in
//! each phase of a request.
// Clippy then treats the helpers, too, as test code.
#![cfg(test)]

mod peers;

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use http_core::client::Leniency;
use http_core::{Limits, Method};
use peers::scripted::Scripted;
use webclient::{Client, Connect, Endpoint, Error, Event, Phase, Stream, Timeouts};

/// Servers in memory: they answer with the target of the request. Counts connections per host, all and open.
#[derive(Clone, Default)]
struct Servers(Arc<Mutex<HashMap<String, (usize, usize)>>>);

struct Connection {
    servers: Servers,
    host: String,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Servers {
    fn opened(&self) -> usize {
        self.0.lock().unwrap().values().map(|(all, _)| all).sum()
    }

    fn open(&self) -> usize {
        self.0.lock().unwrap().values().map(|(_, open)| open).sum()
    }
}

impl Connect for Servers {
    fn connect(&self, endpoint: &Endpoint, _: Duration, _: &dyn Fn(Event<'_>)) -> Result<Box<dyn Stream>, Error> {
        let host = endpoint.host.clone();
        let mut counts = self.0.lock().unwrap();
        let (all, open) = counts.entry(host.clone()).or_default();
        (*all, *open) = (*all + 1, *open + 1);
        Ok(Box::new(Connection { servers: self.clone(), host, request: Vec::new(), response: Vec::new() }))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.servers.0.lock().unwrap().get_mut(&self.host).unwrap().1 -= 1;
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.response.is_empty() {
            let request = String::from_utf8(std::mem::take(&mut self.request)).unwrap();
            let target = request.split(' ').nth(1).unwrap();
            let length = target.len();
            let head = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n";
            self.response = format!("{head}Content-Length: {length}\r\n\r\n{target}").into_bytes();
        }
        let n = self.response.len().min(buffer.len()).min(64); // the body comes later
        buffer[..n].copy_from_slice(&self.response[..n]);
        self.response.drain(..n);
        Ok(n)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.request.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Connection {
    fn set_timeout(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn is_idle(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

fn client() -> (Client, Servers) {
    let servers = Servers::default();
    (Client::new().connector(servers.clone()), servers)
}

fn fetch(client: &Client, url: &str) -> String {
    String::from_utf8(client.get(url).send().unwrap().read_to_vec(1 << 20).unwrap()).unwrap()
}

// --- the pool

#[test]
fn at_most_eight_connections_are_kept_and_the_latest_are() {
    let (client, servers) = client();
    for n in 0..20 {
        assert_eq!(fetch(&client, &format!("http://host{n}/{n}")), format!("/{n}"));
        assert_eq!(servers.open(), (n + 1).min(8));
    }
    for n in 12..20 {
        fetch(&client, &format!("http://host{n}/"));
    }
    assert_eq!(servers.opened(), 20, "the last eight were open still");
    fetch(&client, "http://host0/");
    assert_eq!((servers.opened(), servers.open()), (21, 8));
    drop(client);
    assert_eq!(servers.open(), 0);
}

#[test]
fn ports_and_zones_are_other_servers() {
    let (client, servers) = client();
    for url in ["http://h/", "http://h:81/", "http://[fe80::1%a]/", "http://[fe80::1%b]/", "http://[fe80::1]/"] {
        for _ in 0..2 {
            fetch(&client, url);
        }
    }
    assert_eq!(servers.opened(), 5);
}

#[test]
fn threads_share_a_client_and_get_their_own_responses() {
    let (client, servers) = client();
    thread::scope(|scope| {
        for thread in 0..4 {
            let client = client.clone();
            scope.spawn(move || {
                for n in 0..50 {
                    let target = format!("/{thread}/{n}");
                    assert_eq!(fetch(&client, &format!("http://h{target}")), target);
                }
            });
        }
    });
    assert!(servers.opened() <= 4, "{}", servers.opened());
}

#[test]
fn connection_is_kept_only_after_its_whole_response() {
    let (client, servers) = client();
    let long = format!("http://h/{}", "x".repeat(1000));
    drop(client.get(&long).send().unwrap());
    assert_eq!(servers.open(), 0, "a body that was not read");
    client.get(&long).send().unwrap().read_exact(&mut [0; 10]).unwrap();
    assert_eq!(servers.open(), 0, "a body that was read in part");
    assert!(matches!(client.get(&long).send().unwrap().read_to_vec(10), Err(Error::BodyTooLong { .. })));
    assert_eq!(servers.open(), 0, "a body that was too long");
    io::copy(&mut client.get(&long).send().unwrap(), &mut io::sink()).unwrap();
    assert_eq!(servers.open(), 1);
    client.get(&long).close().send().unwrap().read_to_vec(9999).unwrap();
    assert_eq!((servers.opened(), servers.open()), (4, 0), "a request that asks to close");
}

#[test]
fn client_with_other_rules_has_connections_of_its_own() {
    let (client, servers) = client();
    for changed in [
        client.clone(),
        client.clone().timeouts(Timeouts::default()).follow_redirects(false).retries(1),
        client.clone().connector(servers.clone()),
        client.clone().limits(Limits::default()),
        client.clone().leniency(Leniency::ALL),
        client.clone().allow_http09(true),
    ] {
        fetch(&client, "http://h/");
        fetch(&changed, "http://h/");
    }
    assert_eq!(servers.opened(), 1 + 4);
}

#[test]
fn kept_connection_has_the_timeouts_of_its_next_client() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1000]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/1").unwrap();
        let _ = stream.read_to_end(&mut Vec::new()); // until the client closes
    });
    let client = Client::new();
    assert_eq!(fetch(&client, &url), "/1");
    let timeouts = Timeouts { idle: Duration::from_millis(100), ..Timeouts::default() };
    let error = client.timeouts(timeouts).get(&url).send().unwrap_err();
    assert_eq!(error.to_string(), "waiting for the response timed out after 0.1 s");
    server.join().unwrap();
}

// --- phases

#[test]
fn error_says_in_which_phase_a_request_failed() {
    const HEAD: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nab";
    for (kind, in_write, bytes, phase) in [
        (ErrorKind::WouldBlock, true, &b""[..], Phase::Sending),
        (ErrorKind::TimedOut, true, b"", Phase::Sending),
        (ErrorKind::WouldBlock, false, b"", Phase::Waiting),
        (ErrorKind::WouldBlock, false, &HEAD[..9], Phase::Waiting),
        (ErrorKind::TimedOut, false, HEAD, Phase::Receiving),
        (ErrorKind::ConnectionReset, false, b"", Phase::Waiting),
        (ErrorKind::ConnectionReset, false, &HEAD[..9], Phase::Waiting),
        (ErrorKind::ConnectionAborted, false, HEAD, Phase::Receiving),
    ] {
        let timeouts = Timeouts { idle: Duration::from_secs(7), ..Timeouts::default() };
        let pieces = [bytes.to_vec()].into_iter().filter(|piece| !piece.is_empty()).collect();
        let server = Scripted { pieces, after: Some(kind), on_write: in_write.then_some(kind) };
        let client = Client::new().connector(server).timeouts(timeouts);
        let response = client.request(Method::Put, "http://h/").body("x").send();
        let error = response.and_then(|mut response| response.copy_to(&mut io::sink())).unwrap_err();
        let is_timeout = matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut);
        let expected =
            if is_timeout { format!("{phase} timed out after 7 s") } else { format!("lost while {phase}: ") };
        assert!(error.to_string().contains(&expected), "{error} lacks {expected}");
    }
}

#[test]
fn total_timeout_names_the_phase_in_which_it_ended() {
    let total = Some(Duration::from_nanos(1));
    let timeouts = Timeouts { total, ..Timeouts::default() };
    let (client, servers) = client();
    let error = client.timeouts(timeouts).get("http://h/").send().unwrap_err();
    assert!(matches!(error, Error::TimedOut { phase: Phase::Connecting, limit } if limit == total), "{error}");
    assert_eq!(servers.opened(), 0, "nothing is begun that cannot end in time");
}

#[test]
fn body_that_nobody_receives_times_out_while_it_is_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let timeouts = Timeouts { idle: Duration::from_millis(200), ..Timeouts::default() };
    let error = Client::new().timeouts(timeouts).post(url).body(vec![0; 64 << 20]).send().unwrap_err();
    assert!(matches!(error, Error::TimedOut { phase: Phase::Sending, .. }), "{error}");
}
