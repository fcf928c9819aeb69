//! One connection of a device, without a network: its memory, and the times that the caller's clock says.

use std::borrow::Cow;
use std::time::Duration;

use allocation_counter::measure;
use device::line::{Line, QUIET};
use device::page;
use device::session::{LIMITS, Next, Session, TIMEOUT};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) \
    Gecko/20100101 Firefox/140.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n\
    Upgrade-Insecure-Requests: 1\r\nPriority: u=0, i\r\n\r\n";

fn receive(session: &mut Session, bytes: &[u8]) {
    session.receive_buffer()[..bytes.len()].copy_from_slice(bytes);
    session.received(bytes.len());
}

/// Polls, sends and counts the bytes, until there is nothing more to send.
fn serve(session: &mut Session, now: Duration) -> (Next, usize) {
    let mut sent = 0;
    loop {
        match session.poll(now, true, page::find) {
            Next::Send => {
                sent += session.unsent().len();
                session.sent(session.unsent().len());
            }
            next => return (next, sent),
        }
    }
}

// The guide in http-core's `manual::no_std` says so.
#[test]
fn connection_takes_at_most_2816_bytes_of_heap_whatever_is_sent() {
    let fields = usize::from(LIMITS.fields);
    let worst = [
        b"A: b\r\n".repeat(fields - 1),
        [b"A: ", &b"x".repeat(500)[..], b"\r\nB: ", &b"x".repeat(500), b"\r\n"].concat(),
        b"A: b\r\n".repeat(fields + 1),
        b"Content-Length: 5, 6\r\n".to_vec(),
    ];
    let worst = worst.map(|fields| [b"GET /uptime HTTP/1.1\r\nHost: a\r\n", &fields[..], b"\r\n"].concat());
    let mut closes = 0;
    let measured = measure(|| {
        let mut session = Session::new(Duration::ZERO);
        for head in [REQUEST].into_iter().chain(worst.iter().map(Vec::as_slice)).cycle().take(1000) {
            receive(&mut session, head);
            let (next, sent) = serve(&mut session, Duration::ZERO);
            assert!(sent > 100);
            if next != Next::Receive {
                closes += 1;
                session.reset(Duration::ZERO);
            }
        }
    });
    assert!((300..700).contains(&closes), "{closes}");
    assert!(measured.bytes_max <= 2816, "{measured:?}");
}

#[test]
fn kept_connection_allocates_nothing_after_its_first_request() {
    let mut session = Session::new(Duration::ZERO);
    receive(&mut session, REQUEST);
    serve(&mut session, Duration::ZERO);
    let measured = measure(|| {
        for seconds in 0..1000 {
            let now = Duration::from_secs(seconds);
            receive(&mut session, REQUEST);
            assert_eq!(serve(&mut session, now).0, Next::Receive);
            if seconds % 10 == 0 {
                session.reset(now); // another connection in the same memory
            }
        }
    });
    assert_eq!((measured.count_total, measured.bytes_current), (0, 0));
}

#[test]
fn deadlines_follow_the_phase_and_no_byte_extends_them() {
    let mut session = Session::new(Duration::ZERO);
    let second = Duration::from_secs(1);
    assert_eq!(session.deadline(), TIMEOUT);
    for now in 1..=9 {
        receive(&mut session, b"G");
        assert_eq!(session.poll(second * now, true, page::find), Next::Receive);
        assert_eq!(session.deadline(), second + TIMEOUT, "from the first byte");
    }
    assert_eq!(session.poll(second + TIMEOUT, true, page::find), Next::Send);
    assert!(session.unsent().starts_with(b"HTTP/1.0 408 "));
    let deadline = session.deadline();
    assert!(deadline > second + TIMEOUT * 2, "time to send");
    session.sent(1);
    assert_eq!(session.poll(deadline - second, true, page::find), Next::Send);
    assert_eq!((session.deadline(), session.poll(deadline, true, page::find)), (deadline, Next::Abort));

    // Between requests.
    session.reset(second * 100);
    receive(&mut session, REQUEST);
    assert_eq!(serve(&mut session, second * 101).0, Next::Receive);
    assert_eq!(session.deadline(), second * 101 + TIMEOUT);
    assert_eq!(session.poll(second * 101 + TIMEOUT, true, page::find), Next::Close { in_step: true });
    // Time to close, and no longer.
    assert_eq!(session.poll(second * 101 + TIMEOUT * 2, true, page::find), Next::Abort);
}

/// Sends a request to a line, byte by byte, and returns the response.
fn exchange(line: &mut Line, request: &[u8], now: Duration) -> String {
    let mut response = Vec::new();
    for byte in request {
        line.receive_buffer()[0] = *byte;
        line.received(1, now);
        line.poll(now, page::find);
        while let [first, ..] = line.unsent() {
            response.push(*first);
            line.sent(1);
            line.poll(now, page::find);
        }
    }
    String::from_utf8(response).unwrap()
}

#[test]
fn line_serves_one_request_after_the_other_with_and_without_keep_alive() {
    let mut line = Line::new(Duration::ZERO);
    for second in 0..100 {
        let (now, get) = (Duration::from_secs(second), "GET /uptime HTTP/1.0\r\n");
        let response = exchange(&mut line, format!("{get}\r\n").as_bytes(), now);
        assert!(response.ends_with(&format!("\r\n\r\n{second} s\n")), "{response}");
        let two = exchange(&mut line, format!("{get}Connection: keep-alive\r\n\r\n").repeat(2).as_bytes(), now);
        assert_eq!(two.matches("HTTP/1.0 200 OK\r\n").count(), 2, "{two}");
    }
}

#[test]
fn line_is_in_step_again_after_a_pause_whatever_was_sent() {
    let get = b"GET /uptime HTTP/1.0\r\n\r\n";
    for (rubbish, status) in [
        (&b"GET  /\r\nwhatever\r\n\r\n"[..], "HTTP/1.0 400 "),
        (b"\0\xff\x80\r\n more", "HTTP/1.0 400 "),
        (b"POST / HTTP/1.0\r\nContent-Length: 2000\r\n\r\nGET / HTTP/1.0\r\n\r\n", "HTTP/1.0 405 "),
        (b"GET /\r\nHost: a\r\n\r\n", "<!doctype html>"),
    ] {
        let (mut line, mut now) = (Line::new(Duration::ZERO), Duration::from_secs(1));
        let response = exchange(&mut line, rubbish, now);
        assert!(response.starts_with(status), "{response}");
        assert!(response.matches("\r\nContent-Length: ").count() <= 1, "{response}");
        now += QUIET / 2;
        assert_eq!(exchange(&mut line, get, now), "", "the line was not quiet");
        now += QUIET;
        assert!(exchange(&mut line, get, now).starts_with("HTTP/1.0 200 OK\r\n"));
    }
}

#[test]
fn half_a_request_on_a_line_is_a_408_and_the_next_one_is_served() {
    let mut line = Line::new(Duration::ZERO);
    assert_eq!(exchange(&mut line, b"GET /upti", Duration::from_secs(1)), "");
    let now = line.deadline();
    line.poll(now, page::find);
    assert!(line.unsent().starts_with(b"HTTP/1.0 408 "));
    line.sent(1000);
    line.poll(now, page::find);
    assert!(line.unsent().is_empty());
    assert!(exchange(&mut line, b"GET / HTTP/1.0\r\n\r\n", now + QUIET).starts_with("HTTP/1.0 200 OK\r\n"));
}

#[test]
fn page_in_flash_is_sent_from_where_it_is() {
    assert!(matches!(page::find(b"/", Duration::ZERO).unwrap().body, Cow::Borrowed(_)));
}
