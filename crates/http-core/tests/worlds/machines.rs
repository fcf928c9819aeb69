//! R9110-2.3, V20, V33: all short sequences of tokens go through both machines whole, cut at every position and a byte
//! at a time. The events and the output are the same, nothing panics, and what is accepted can be written again.

use std::iter;
use std::time::Instant;

use http_core::client::Leniency;
use http_core::{Limits, Method};

use crate::drive::{Driver, Machine, Record};
use crate::sequences::{each_sequence, length};

/// The sequences of some tokens that follow one beginning.
#[derive(Clone, Copy)]
struct World {
    machine: Machine,
    /// The defaults, unless they are given.
    limits: Option<Limits>,
    beginning: &'static [u8],
    tokens: &'static [&'static [u8]],
    /// Follows each sequence, so that a short one is a complete head.
    ending: &'static [u8],
    /// The number of tokens; see `length`.
    lengths: [usize; 2],
}

/// A test for each world.
macro_rules! worlds {
    ($($name:ident: $world:expr;)+) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), $world);
            }
        )+
    };
}

const fn client(method: Method<'static>, allows_http09: bool) -> Machine {
    Machine::Client { method, allows_http09, leniency: Leniency::NONE }
}

/// One that accepts all responses that any client accepts.
const LENIENT: Machine = Machine::Client { method: Method::Get, allows_http09: true, leniency: Leniency::ALL };

/// The words and separators of a request.
#[rustfmt::skip]
const REQUEST: &[&[u8]] = &[
    b"GET", b" ", b"/", b"HTTP/1.0", b"HTTP/1.1", b"\r\n", b"\n", b"\r", b"\t", b"\0", b"Host:", b"Content-Length:",
    b"Transfer-Encoding:", b"Connection:", b"chunked", b"keep-alive", b"1", b",", b"\"", b"a", b":",
];

/// What field lines are made of, and a short one.
#[rustfmt::skip]
const FIELDS: &[&[u8]] = &[
    b"Host:", b"Content-Length:", b"Transfer-Encoding:", b"Connection:", b"chunked", b"close", b"1", b"a", b":", b",",
    b"\"", b" ", b"\t", b"\r\n", b"\n", b"\r", b"\0", b"x:y\r\n",
];

/// Complete lines of requests, and bytes of a body.
#[rustfmt::skip]
const REQUEST_LINES: &[&[u8]] = &[
    b"GET / HTTP/1.0\r\n", b"HEAD /a HTTP/1.1\r\n", b"POST /?b HTTP/1.1\r\n", b"OPTIONS http://h HTTP/1.1\n",
    b"GET /\r\n", b"Host: a\r\n", b"Content-Length: 3\r\n", b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n",
    b"x: y\r\n", b" z\r\n", b"\r\n", b"ab",
];

/// The words and separators of a response.
#[rustfmt::skip]
const RESPONSE: &[&[u8]] = &[
    b"HTTP/1.0", b"HTTP/1.1", b" ", b"200", b"204", b"304", b"100", b"\r\n", b"\n", b"\r", b"\t", b"\0",
    b"Content-Length:", b"Transfer-Encoding:", b"Connection:", b"chunked", b"keep-alive", b"1", b",", b"\"", b"a",
];

const CHUNKED: &[u8] = b"HTTP/1.1 200 \r\nTransfer-Encoding:chunked\r\n\r\n";

/// What a chunked body is made of. `0`, `1` and `a` are digits as well as data.
const CHUNKS: &[&[u8]] = &[b"0", b"1", b"a", b"\r\n", b"\n", b"\r", b" ", b";", b"=", b"\"", b"x: y", b"\0"];

/// Complete lines of responses, chunks, and bytes of a body.
#[rustfmt::skip]
const RESPONSE_LINES: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 304\r\n", b"HTTP/1.1 100 \r\n", b"Content-Length: 2\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"x: y\r\n", b" z\r\n",
    b"\r\n", b"\n", b"ab", b"2\r\nab\r\n", b"0\r\n",
];

/// Lines of responses, well-formed or not, and the ends of lines.
#[rustfmt::skip]
const MALFORMED_LINES: &[&[u8]] = &[
    b"HTTP/1.1 200OK\r\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100\r\n", b"Content-Length: 2\r\n", b"Content-Length 2\r\n",
    b"Transfer-Encoding:", b"identity", b"chunked", b"no colon\r\n", b"x: \x01\r\n", b"x: y\r\r\n", b" z\r\n", b"\r\n",
    b"\n", b"\r", b"2\r\nab\r\n0\r\n",
];

/// A few tokens exceed each of them.
const SMALL: Limits =
    Limits { start_line: 14, field_line: 18, head: 40, fields: 2, blank_lines: 1, body: 1, drain: 1, interim: 1 };

/// The same for complete lines.
const SMALL_OF_LINES: Limits = Limits { start_line: 26, field_line: 26, head: 60, ..SMALL };

/// Less than the beginning of any message.
const TINY: Limits =
    Limits { start_line: 3, field_line: 1, head: 6, fields: 1, blank_lines: 0, body: 0, drain: 0, interim: 0 };

/// What a message may begin with.
const BEGINNINGS: &[&[u8]] = &[b"HEAD", b"HTTP/", b"H", b"T", b"1", b" ", b"\t", b"\r\n", b"\n", b"\r", b"\0"];

const REQUESTS: World =
    World { machine: Machine::Server, limits: None, beginning: b"", tokens: REQUEST, ending: b"", lengths: [4, 6] };
const LINES_OF_REQUESTS: World = World { tokens: REQUEST_LINES, ..REQUESTS };
const FIELDS_OF_REQUESTS: World =
    World { beginning: b"GET / HTTP/1.0\r\n", tokens: FIELDS, ending: b"\r\n\r\n1", lengths: [3, 5], ..REQUESTS };
const RESPONSES: World = World { machine: client(Method::Get, false), tokens: RESPONSE, lengths: [4, 7], ..REQUESTS };
const LINES_OF_RESPONSES: World = World { tokens: RESPONSE_LINES, lengths: [4, 6], ..RESPONSES };
const FIELDS_OF_RESPONSES: World =
    World { beginning: b"HTTP/1.1 200 \r\n", machine: RESPONSES.machine, ..FIELDS_OF_REQUESTS };
const MALFORMED_RESPONSES: World =
    World { machine: LENIENT, tokens: MALFORMED_LINES, ending: b"\r\n\r\nab", lengths: [3, 5], ..RESPONSES };
const CHUNKED_BODIES: World = World { beginning: CHUNKED, tokens: CHUNKS, ..RESPONSES };

#[rustfmt::skip]
worlds! {
    any_split_of_requests_gives_the_same_events:
        REQUESTS;
    any_split_of_requests_within_small_limits_gives_the_same_events:
        World { limits: Some(SMALL), lengths: [3, 6], ..REQUESTS };
    any_split_of_requests_within_tiny_limits_gives_the_same_events:
        World { limits: Some(TINY), tokens: BEGINNINGS, ..REQUESTS };
    any_split_of_lines_of_requests_gives_the_same_events:
        LINES_OF_REQUESTS;
    any_split_of_lines_of_requests_within_small_limits_gives_the_same_events:
        World { limits: Some(SMALL_OF_LINES), lengths: [3, 5], ..LINES_OF_REQUESTS };
    any_split_of_fields_gives_the_same_events:
        FIELDS_OF_REQUESTS;
    any_split_of_fields_within_small_limits_gives_the_same_events:
        World { limits: Some(SMALL), ..FIELDS_OF_REQUESTS };
    any_split_of_fields_of_http_11_gives_the_same_events:
        World { beginning: b"POST / HTTP/1.1\r\nHost:a\r\n", ..FIELDS_OF_REQUESTS };
    any_split_of_responses_gives_the_same_events:
        RESPONSES;
    any_split_of_responses_within_small_limits_gives_the_same_events:
        World { limits: Some(SMALL), ..RESPONSES };
    any_split_of_responses_within_tiny_limits_gives_the_same_events:
        World { limits: Some(TINY), tokens: BEGINNINGS, ..RESPONSES };
    any_split_of_responses_or_http_09_gives_the_same_events:
        World { machine: client(Method::Get, true), lengths: [3, 5], ..RESPONSES };
    any_split_of_responses_or_http_09_within_tiny_limits_gives_the_same_events:
        World { limits: Some(TINY), tokens: BEGINNINGS, machine: client(Method::Get, true), ..RESPONSES };
    any_split_of_lines_of_responses_gives_the_same_events:
        LINES_OF_RESPONSES;
    any_split_of_lines_of_responses_within_small_limits_gives_the_same_events:
        World { limits: Some(SMALL_OF_LINES), lengths: [3, 5], ..LINES_OF_RESPONSES };
    any_split_of_fields_of_responses_gives_the_same_events:
        FIELDS_OF_RESPONSES;
    any_split_of_fields_of_responses_to_head_gives_the_same_events:
        World { machine: client(Method::Head, false), ..FIELDS_OF_RESPONSES };
    any_split_of_malformed_responses_gives_the_same_events:
        MALFORMED_RESPONSES;
    any_split_of_malformed_responses_within_small_limits_gives_the_same_events:
        World { limits: Some(SMALL_OF_LINES), ..MALFORMED_RESPONSES };
    any_split_of_chunks_gives_the_same_events:
        CHUNKED_BODIES;
    any_split_of_chunks_within_small_limits_gives_the_same_events:
        World { limits: Some(Limits { head: 60, field_line: 40, ..SMALL }), ..CHUNKED_BODIES };
}

fn check(name: &str, world: World) {
    let (started, length) = (Instant::now(), length(world.lengths));
    let count = each_sequence(world.beginning, world.tokens, length, || visitor(world));
    println!("{count:>10} sequences of up to {length} tokens in {:8.1?}: {name}", started.elapsed());
    // All pairs of tokens, at the least.
    assert!(count > world.tokens.len().pow(2) as u64, "{count} sequences are not all of them");
}

/// Feeds one sequence after the other. It returns whether the last token was read: otherwise nothing that follows is.
fn visitor(World { machine, limits, beginning, ending, .. }: World) -> impl FnMut(&[u8], usize) -> bool {
    let limits = limits.unwrap_or_default();
    let (mut driver, mut whole, mut split) = (Driver::default(), Record::default(), Record::default());
    let mut input = Vec::new();
    move |text, last| {
        input.clear();
        input.extend_from_slice(text);
        input.extend_from_slice(ending);
        driver.run(machine, limits, iter::once(&input[..]), true, &mut whole);
        let read = driver.run(machine, limits, input.chunks(1), false, &mut split);
        assert_eq!(split, whole, "{}, byte by byte", input.escape_ascii());
        // Behind the byte that closed the connection, a cut changes nothing. Other worlds cut such beginnings.
        for cut in beginning.len().max(1)..read.unwrap_or(input.len()) {
            let (before, after) = input.split_at(cut);
            driver.run(machine, limits, [before, after].into_iter(), false, &mut split);
            assert_eq!(split, whole, "{} | {}", before.escape_ascii(), after.escape_ascii());
        }
        read.is_none_or(|read| read > last)
    }
}
