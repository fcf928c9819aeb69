//! Laws of the server machine: what holds for every input, in any pieces, on any thread, in any order of calls.
//! `conformance.rs` tests the response to each request.
// Makes Clippy treat the helpers as test code, too.
#![cfg(test)]

mod site;

use std::sync::mpsc;
use std::thread;

use http_core::server::{Connection, Event, Phase, Response, ResponseBody};
use http_core::{FieldBlock, FieldName, FieldValue, Limits, ReservedField, Status, UsageError, Workspace};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use site::{Plan, bytes_of, cases, drive, drive_with_hand_over, now};

fn config(cases: u32) -> ProptestConfig {
    // No files beside the tests: a failure shows its input, which then becomes a conformance case.
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

// R9110-2.3, R9112-2.2a, V20, V33: the split of the input does not matter, and no input causes a panic.
proptest! {
    #![proptest_config(config(768))]
    #[test]
    fn any_pieces_give_the_same_events_and_bytes(input in input(), cuts in vec(any::<Index>(), 0..12), plan in plan()) {
        let whole = drive(plan, &[&input]);
        prop_assert_eq!(&drive(plan, &pieces(&input, &cuts)), &whole);
        if input.len() <= 512 {
            let bytewise: Vec<&[u8]> = input.chunks(1).collect();
            prop_assert_eq!(&drive(plan, &bytewise), &whole);
        }
    }
}

// V11: parking is a move. A worker may detach the connection after any byte, and any other may attach it.
proptest! {
    #![proptest_config(config(128))]
    #[test]
    fn any_threads_give_the_same_events_and_bytes(input in input(), cuts in vec(any::<Index>(), 0..40), plan in plan()) {
        let whole = drive(plan, &[&input]);
        let pieces = match input.len() {
            0..=256 => input.chunks(1).collect(),
            _ => pieces(&input, &cuts),
        };
        // One thread with one workspace.
        let mut workspace = Workspace::with_capacity(64);
        let here = drive_with_hand_over(plan, &pieces, |mut connection| {
            connection.detach(&mut workspace);
            connection.attach(&mut workspace);
            connection
        });
        prop_assert_eq!(&here, &whole);
        // Two threads, each with its own workspace. One detaches the connection and the other attaches it.
        let away = thread::scope(|scope| {
            let (to_other, from_one) = mpsc::channel::<Connection>();
            let (to_one, from_other) = mpsc::channel::<Connection>();
            scope.spawn(move || {
                let mut workspace = Workspace::default();
                for mut connection in from_one {
                    connection.attach(&mut workspace);
                    connection.detach(&mut workspace);
                    to_one.send(connection).unwrap();
                }
            });
            let mut workspace = Workspace::with_capacity(16_384);
            drive_with_hand_over(plan, &pieces, move |mut connection| {
                connection.detach(&mut workspace);
                to_other.send(connection).unwrap();
                let mut connection = from_other.recv().unwrap();
                connection.attach(&mut workspace);
                connection
            })
        });
        prop_assert_eq!(&away, &whole);
    }
}

// A request that is taken back is handed out once more, and nothing else changes.
proptest! {
    #![proptest_config(config(768))]
    #[test]
    fn postponed_requests_give_the_same_events_and_bytes(
        input in input(),
        cuts in vec(any::<Index>(), 0..12),
        plan in plan(),
    ) {
        let pieces = pieces(&input, &cuts);
        prop_assert_eq!(drive(Plan { postpones: true, ..plan }, &pieces), drive(plan, &pieces));
    }
}

/// Headers that decide something: the file, the length of the body, persistence, the status.
const DECISIVE: [&str; 6] = [
    "Host: a\r\n",
    "Content-Length: 2\r\n",
    "Connection: keep-alive, x\r\n",
    "If-None-Match: \"other\"\r\n",
    "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
    "Range: bytes=1-3\r\n",
];

// R1945-4.2c
proptest! {
    #![proptest_config(config(256))]
    #[test]
    fn order_of_headers_does_not_matter(
        fields in Just(DECISIVE.to_vec()).prop_shuffle(),
        count in 0..=DECISIVE.len(),
        minor in 0..=1,
        plan in plan(),
    ) {
        let response_to = |fields: &[&str]| {
            let head = format!("GET /HelloWorld.html HTTP/1.{minor}\r\n{}\r\nhi", fields.concat());
            drive(Plan { limits: Limits::default(), ..plan }, &[head.as_bytes()]).out
        };
        let mut sorted = fields[..count].to_vec();
        sorted.sort_unstable();
        prop_assert_eq!(response_to(&fields[..count]), response_to(&sorted));
    }
}

// R1945-7.1, R1945-10.2, R1945-10.12, R1945-D.2.1, R2068-19.7.1d, R9112-C.2.2, R9110-7.8
#[test]
fn headers_without_effect_do_not_change_the_response() {
    const WITHOUT_EFFECT: [&str; 20] = [
        "X-Unheard-Of: of",
        "Pragma: no-cache, unheard=of",
        "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Authorization: \"",
        "Proxy-Authorization: Basic x",
        "Proxy-Connection: keep-alive",
        "Keep-Alive: timeout=5",
        "Upgrade: h2c",
        "Accept: application/x-unheard-of",
        "Accept-Charset: x",
        "Accept-Encoding: identity;q=0",
        "Accept-Language: x",
        "From: nobody@example.org",
        "Referer: \\\\",
        "User-Agent: ",
        "Cookie: a=b",
        "MIME-Version: 1.0",
        "Content-Type: multipart/mixed",
        "Trailer: Host",
        "If-Range: \"v\"",
    ];
    for request in [
        "GET /HelloWorld.html HTTP/1.0",
        "GET / HTTP/1.1\r\nHost: a",
        "HEAD / HTTP/1.0",
        "DELETE / HTTP/1.0\r\nConnection: keep-alive",
    ] {
        let out = |field: &str| {
            let plan =
                Plan { limits: Limits::default(), reads_bodies: false, ends_by_timeout: false, postpones: false };
            drive(plan, &[format!("{request}\r\n{field}\r\n").as_bytes()]).out
        };
        let plain = out("");
        assert!(plain.starts_with(b"HTTP/1.0 "));
        for field in WITHOUT_EFFECT {
            let with = out(&format!("{field}\r\n"));
            assert_eq!(with.escape_ascii().to_string(), plain.escape_ascii().to_string(), "{request} {field}");
        }
    }
}

// R9112-11.1, R9112-6.1d, R9110-5.5, R1945-2.2a, V14: nothing that a client sends becomes a line.
proptest! {
    #![proptest_config(config(512))]
    #[test]
    fn request_adds_no_line_to_the_response(input in input(), plan in plan()) {
        const NAMES: [&str; 8] = [
            "Date", "Connection", "Content-Length", "Content-Type", "Allow", "ETag", "Last-Modified", "Content-Range",
        ];
        let run = drive(plan, &[&input]);
        prop_assert!(run.out.is_empty() || run.seen.len() > 1, "a response without a request");
        // The bodies of this server hold neither a colon after a word nor a CR, so these are all the lines of its
        // heads.
        for line in run.out.split_inclusive(|&c| c == b'\n').filter(|line| line.ends_with(b"\r\n")) {
            let line = str::from_utf8(line.strip_suffix(b"\r\n").unwrap_or_default()).unwrap();
            prop_assert!(!line.contains(|c: char| c.is_control()), "{:?}", line);
            let ours = line.is_empty()
                || line.contains("HTTP/1.0 ")
                || line.split_once(": ").is_some_and(|(name, _)| NAMES.contains(&name));
            prop_assert!(ours, "{:?}", line);
        }
    }

    // V14: each header that a caller pushes is one line, in order, and there is no other line.
    #[test]
    fn head_holds_exactly_the_requested_lines(
        pushed in vec((bytes(12), bytes(24)), 0..8),
        status in (200u16..=999).prop_map(|code| Status::new(code).unwrap()),
        length in any::<u64>(),
        dated in any::<bool>(),
        close in any::<bool>(),
    ) {
        let mut fields = FieldBlock::new();
        let mut lines = vec![format!("HTTP/1.0 {} {}", status.code(), status.reason()).into_bytes()];
        if dated {
            lines.push(format!("Date: {}", now().text()).into_bytes());
        }
        lines.push(if close { b"Connection: close".to_vec() } else { b"Connection: keep-alive".to_vec() });
        match status.code() {
            205 => lines.push(b"Content-Length: 0".to_vec()), // R9110-15.3.6
            _ if status.is_bodiless() => {}
            _ => lines.push(format!("Content-Length: {length}").into_bytes()),
        }
        for (name, value) in &pushed {
            let (Ok(name), Ok(value)) = (FieldName::new(name), FieldValue::new(value)) else { continue };
            match fields.push(name, value) {
                Ok(()) => lines.push([name.as_str().as_bytes(), b": ", value.as_bytes()].concat()),
                Err(error) => prop_assert_eq!(error, ReservedField),
            }
        }
        let mut connection = Connection::new(Limits::default());
        receive(&mut connection, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        prop_assert!(matches!(connection.poll(), Ok(Event::Request(_))));
        let mut out = Vec::new();
        let date = dated.then(|| now().text());
        let body = ResponseBody::Length(length);
        let written = connection.respond(&Response { body, date, close, ..Response::new(status, &fields) }, &mut out);
        if matches!(status.code(), 401 | 405 | 407 | 426) {
            // Random headers hardly ever include those that these require.
            prop_assume!(written != Err(UsageError::MissingField));
        }
        prop_assert!(written.is_ok());
        let expected: Vec<u8> = lines.iter().flat_map(|line| [&line[..], b"\r\n"].concat()).chain(*b"\r\n").collect();
        prop_assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }
}

// V33: no order of calls causes a panic. A call at the wrong time is an error and changes nothing.
proptest! {
    #![proptest_config(config(512))]
    #[test]
    fn any_order_of_calls_is_safe(calls in vec(call(), 0..40), limits in limits()) {
        let mut connection = Connection::new(limits);
        let (mut workspace, mut out) = (Workspace::default(), Vec::new());
        let block = FieldBlock::new();
        for call in calls {
            let before = (format!("{connection:?}"), out.len());
            let misused = match call {
                Call::Receive(bytes) => {
                    receive(&mut connection, &bytes);
                    false
                }
                Call::Eof => {
                    connection.received_eof();
                    false
                }
                Call::TimedOut => {
                    connection.handle_timeout();
                    false
                }
                Call::Overloaded => {
                    connection.reject_overloaded();
                    false
                }
                Call::Poll => {
                    let first = format!("{:?}", connection.poll());
                    // A final result does not change.
                    if first.starts_with("Err") || first == "Ok(Closed)" {
                        prop_assert_eq!(format!("{:?}", connection.poll()), first);
                    }
                    false
                }
                Call::Respond(code, body, close) => {
                    let response = Response { body, close, ..Response::new(Status::new(code).unwrap(), &block) };
                    connection.respond(&response, &mut out).is_err()
                }
                Call::RespondError => connection.respond_error(None, &mut out).is_err(),
                Call::BodySent(n) => connection.body_sent(n).is_err(),
                Call::FinishBody => connection.finish_body().is_err(),
                Call::Detach => {
                    connection.detach(&mut workspace);
                    false
                }
                Call::Attach => {
                    connection.attach(&mut workspace);
                    false
                }
            };
            prop_assert!(!misused || before == (format!("{connection:?}"), out.len()), "{:?}", connection);
            // A logger may ask at any time.
            let head = connection.request_head().map(|head| format!("{head:?} {:?}", head.expectation()));
            prop_assert!(head.is_none() || connection.phase() != Phase::Head, "a request within a head");
            prop_assert!(!connection.start_line().contains(&b'\n'));
            let _ = (connection.must_linger(), connection.close_reason());
        }
    }
}

#[derive(Clone, Debug)]
enum Call {
    Receive(Vec<u8>),
    Eof,
    TimedOut,
    Overloaded,
    Poll,
    Respond(u16, ResponseBody<'static>, bool),
    RespondError,
    BodySent(u64),
    FinishBody,
    Detach,
    Attach,
}

fn call() -> impl Strategy<Value = Call> {
    const TEXTS: [&str; 8] = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
        "HEAD / HTTP/1.0\r\n",
        "GET /\r\n",
        "Connection: keep-alive\r\nContent-Length: 70000\r\n",
        "\r\n",
        "\0",
        "PUT /%2e%2e/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let given_bytes = select(vec![ResponseBody::Bytes(b""), ResponseBody::Bytes(b"hello")]);
    let body = prop_oneof![(0u64..12).prop_map(ResponseBody::Length), given_bytes, Just(ResponseBody::UntilClose)];
    prop_oneof![
        6 => select(&TEXTS[..]).prop_map(|text| Call::Receive(text.into())),
        2 => bytes(20).prop_map(Call::Receive),
        8 => Just(Call::Poll),
        4 => (select(&[100u16, 200, 204, 304, 404][..]), body, any::<bool>())
            .prop_map(|(code, body, close)| Call::Respond(code, body, close)),
        2 => (0u64..14).prop_map(Call::BodySent),
        1 => Just(Call::FinishBody),
        1 => Just(Call::RespondError),
        1 => Just(Call::Eof),
        1 => Just(Call::TimedOut),
        1 => Just(Call::Overloaded),
        1 => Just(Call::Detach),
        1 => Just(Call::Attach),
    ]
}

fn receive(connection: &mut Connection, bytes: &[u8]) {
    let space = connection.receive_buffer();
    let n = space.len().min(bytes.len());
    space[..n].copy_from_slice(&bytes[..n]);
    connection.received(n);
}

/// Random bytes, most of which matter to a parser.
fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![select(&b"\r\n\t :/%.,AGET10\0"[..]), any::<u8>()];
    vec(byte, 0..max)
}

/// Random bytes, and conformance cases that are joined and randomly edited.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let long: Vec<Vec<u8>> = cases().iter().map(bytes_of).collect();
    let short: Vec<Vec<u8>> = long.iter().filter(|bytes| bytes.len() < 2048).cloned().collect();
    let first = select(&["", "GET /HelloWorld.html HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"][..]);
    let changes = vec((any::<Index>(), 0..6usize, bytes(6)), 0..6);
    let changed = (first, vec(select(short), 1..4), changes).prop_map(|(first, requests, changes)| {
        let mut bytes = [first.as_bytes(), &requests.concat()].concat();
        for (at, removed, inserted) in changes {
            let from = at.index(bytes.len() + 1);
            let to = bytes.len().min(from + removed);
            bytes.splice(from..to, inserted);
        }
        bytes
    });
    prop_oneof![2 => bytes(200), 6 => changed, 1 => select(long)]
}

fn limits() -> impl Strategy<Value = Limits> {
    let small =
        Limits { start_line: 40, field_line: 32, head: 96, fields: 3, blank_lines: 1, body: 40, drain: 20, interim: 1 };
    select(vec![Limits::default(), small, Limits { body: 4, drain: 0, ..Limits::default() }])
}

fn plan() -> impl Strategy<Value = Plan> {
    (limits(), any::<bool>(), any::<bool>()).prop_map(|(limits, reads_bodies, ends_by_timeout)| Plan {
        limits,
        reads_bodies,
        ends_by_timeout,
        postpones: false,
    })
}

fn pieces<'a>(input: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).chain([0, input.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|ends| &input[ends[0]..ends[1]]).collect()
}

// V33: `received` accepts no more than the space that was offered, and never bytes that another connection left in a
// lent buffer.
#[test]
fn no_more_is_received_than_was_offered() {
    let mut workspace = Workspace::with_capacity(64);
    let mut first = Connection::new(Limits::default());
    first.attach(&mut workspace);
    receive(&mut first, b"GET /secret HTTP/1.0\r\n\r\n");
    assert!(matches!(first.poll(), Ok(Event::Request(_))));
    first.detach(&mut workspace);
    let mut second = Connection::new(Limits::default());
    second.attach(&mut workspace);
    second.received(24);
    assert!(matches!(second.poll(), Ok(Event::NeedInput)));
    second.receive_buffer()[0] = b'G';
    second.received(1);
    second.received(0);
    assert!(matches!(second.poll(), Ok(Event::NeedInput)));
    let mut small = Connection::new(Limits { head: 16, ..Limits::default() });
    small.attach(&mut Workspace::with_capacity(4096));
    assert_eq!(small.receive_buffer().len(), 16);
    small.received(usize::MAX);
    assert!(small.poll().is_err(), "exactly 16 bytes without an end");
}
