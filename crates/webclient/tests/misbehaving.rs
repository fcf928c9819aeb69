//! Servers that misbehave: each response of the table, whole and in pieces, then a close, a reset or silence. The
//! library, the program and curl fetch it, and end as http-core says, or as `docs/differential.md` says.
// Clippy then treats the helpers, too, as test code.
#![cfg(test)]

mod peers;
#[path = "peers/responses.rs"]
mod responses;
mod support;

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use http_core::client::Leniency;
use http_core::{CloseReason, Method};
use peers::scripted::Scripted;
use peers::test_double::{Step, TestDouble};
use peers::tool;
use responses::{Case, End, Ending, Outcome, PAGE, STALLED_S, cases, of_core, of_curl, serve};
use support::webclient;
use webclient::{Client, Error, Event, Timeouts};

const ENDINGS: [Ending; 3] = [Ending::Close, Ending::Reset, Ending::Stall];

/// Whole, byte by byte, and cut at every place of the first 200 bytes.
fn in_pieces(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let cuts = (1..bytes.len().min(200)).map(|n| vec![&bytes[..n], &bytes[n..]]);
    let byte_by_byte = if (1..1000).contains(&bytes.len()) { bytes.chunks(1).collect() } else { vec![bytes] };
    [vec![bytes], byte_by_byte].into_iter().chain(cuts).collect()
}

// --- the library

/// A server that sends these pieces, then ends so.
fn scripted(pieces: &[&[u8]], ending: Ending) -> Scripted {
    let after = match ending {
        Ending::Close => None,
        Ending::Reset => Some(ErrorKind::ConnectionReset),
        Ending::Stall => Some(ErrorKind::WouldBlock),
    };
    let pieces = pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| piece.to_vec()).collect();
    Scripted { pieces, after, ..Scripted::default() }
}

fn of_library(case: &Case, client: &Client, url: &str) -> Outcome {
    let client = client.clone().follow_redirects(false);
    let mut body = Vec::new();
    let result = client.request(case.method, url).send().and_then(|mut response| {
        response.copy_to(&mut body)?;
        Ok(response.status().code())
    });
    let end = match result {
        Ok(status) => End::Complete(status),
        Err(Error::InvalidResponse(error)) if !error.is_truncated() => End::Rejected,
        Err(Error::InvalidResponse(_) | Error::ConnectionLost { .. }) => End::Truncated,
        Err(Error::TimedOut { .. }) => End::TimedOut,
        Err(error) => panic!("{}: {error}", case.name),
    };
    Outcome { end, body }
}

#[test]
fn library_understands_each_response_in_any_pieces_and_whatever_follows() {
    for case in cases() {
        for (leniency, ending) in [Leniency::NONE, Leniency::ALL].iter().flat_map(|l| ENDINGS.map(|e| (*l, e))) {
            let expected = of_core(&case, leniency, ending);
            for pieces in in_pieces(&case.response) {
                let client = Client::new().connector(scripted(&pieces, ending)).leniency(leniency);
                let cut = pieces[0].len();
                assert_eq!(
                    of_library(&case, &client, "http://h/a"),
                    expected,
                    "{}, {ending:?}, cut at {cut}",
                    case.name
                );
            }
        }
    }
}

/// Each beginning of each response, then a reset or silence.
#[test]
fn library_takes_no_part_of_a_response_for_the_whole() {
    for case in cases() {
        let whole = of_core(&case, Leniency::ALL, Ending::Close);
        for (length, ending) in (0..case.response.len().min(200)).flat_map(|n| ENDINGS.map(|ending| (n, ending))) {
            let part = Case { response: case.response[..length].to_vec(), ..case.clone() };
            let client = Client::new().connector(scripted(&[&part.response], ending)).leniency(Leniency::ALL);
            let got = of_library(&case, &client, "http://h/a");
            assert_eq!(got, of_core(&part, Leniency::ALL, ending), "{}, {length} bytes, {ending:?}", case.name);
            if ending != Ending::Close && matches!(got.end, End::Complete(_)) {
                assert_eq!(got, whole, "{}, {length} bytes, {ending:?}", case.name);
            }
        }
    }
}

/// Fetches from a server that sends these pieces, and expects what http-core says. A reset may destroy what the client
/// has not read yet, and on a busy machine a server may seem to stall. Then the outcome is that of a beginning of the
/// response, and it is tried again.
#[track_caller]
fn assert_outcome<T: PartialEq + fmt::Debug>(
    case: &Case,
    ending: Ending,
    leniency: Leniency,
    pieces: &[&[u8]],
    fetch: impl Fn(&str) -> T,
    expected: impl Fn(&Outcome) -> T,
) {
    let whole = expected(&of_core(case, leniency, ending));
    for attempt in 1.. {
        let server = serve(case, [pieces.to_vec()], ending);
        let got = fetch(&server.url("/a"));
        if got == whole {
            return;
        }
        let is_of_a_part = |length| {
            let part = Case { response: case.response[..length].to_vec(), ..case.clone() };
            got == expected(&of_core(&part, leniency, ending))
        };
        let may_try = ending != Ending::Close && attempt < 9 && (0..case.response.len().min(10_000)).any(is_of_a_part);
        assert!(may_try, "{}, {ending:?}: {got:?} instead of {whole:?}", case.name);
    }
}

fn idle_timeout(ending: Ending) -> &'static str {
    if ending == Ending::Stall { STALLED_S } else { "60" }
}

#[test]
fn library_understands_each_response_from_a_socket() {
    for_each_case(48, |case| {
        for (pieces, ending) in in_pieces(&case.response)[..2].iter().flat_map(|p| ENDINGS.map(|ending| (p, ending))) {
            let idle = Duration::from_secs(idle_timeout(ending).parse().unwrap());
            let client = || Client::new().timeouts(Timeouts { idle, ..Timeouts::default() });
            let fetch = |url: &str| of_library(case, &client(), url);
            assert_outcome(case, ending, Leniency::NONE, pieces, fetch, Outcome::clone);
        }
    });
}

// --- the program

/// The status and the output of the program for `count` URLs of a server.
fn of_program(case: &Case, ending: Ending, url: &str, count: usize) -> (Option<i32>, Vec<u8>, usize) {
    let method = if case.method == Method::Head { "HEAD" } else { "GET" };
    let mut arguments = vec!["-X", method, "--idle-timeout", idle_timeout(ending)];
    arguments.extend(vec![url; count]);
    let output = webclient(arguments);
    let lines = output.stderr.iter().filter(|&&c| c == b'\n').count();
    (output.status.code(), output.stdout, lines)
}

/// What the program does for `count` such outcomes: its status, its output, and its lines of messages.
fn expected(case: &Case, outcome: &Outcome, count: usize) -> (Option<i32>, Vec<u8>, usize) {
    let status = match outcome.end {
        End::Complete(200..300) => 0,
        End::Complete(status @ 300..500) => i32::from(status / 100),
        End::Complete(_) => 5,
        End::Rejected => 8,
        End::Truncated => 18,
        End::TimedOut => 28,
    };
    let head = case.response.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |end| end + 4);
    let output = if case.method == Method::Head { &case.response[..head] } else { &outcome.body };
    (Some(status), output.repeat(count), if status == 0 { 0 } else { count })
}

/// Runs a check of every case, so many at once, because most wait.
fn for_each_case(threads: usize, check: impl Fn(&Case) + Sync) {
    let cases = Mutex::new(cases().into_iter());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = { cases.lock().unwrap().next() } {
                    check(&case);
                }
            });
        }
    });
}

#[test]
fn program_understands_each_response_in_any_pieces() {
    for_each_case(4, |case| {
        let pieces = in_pieces(&case.response);
        let server = serve(case, pieces.iter().cloned(), Ending::Close);
        let outcome = of_core(case, Leniency::ALL, Ending::Close);
        // What nobody asked for may arrive when the next request has just been sent over a kept connection.
        let count = if case.name == "a second response" { 1 } else { pieces.len() };
        for _ in 0..pieces.len() / count {
            let got = of_program(case, Ending::Close, &server.url("/a"), count);
            assert_eq!(got, expected(case, &outcome, count), "{}", case.name);
        }
    });
}

#[test]
fn program_that_gets_a_part_of_a_response_exits_with_18() {
    let names = ["a length", "no length", "chunks with extensions and a trailer"];
    for case in cases().iter().filter(|case| names.contains(&case.name)) {
        let parts: Vec<_> = (0..case.response.len()).map(|length| vec![&case.response[..length]]).collect();
        for part in parts {
            let part_case = Case { response: part[0].to_vec(), ..case.clone() };
            let fetch = |url: &str| of_program(case, Ending::Reset, url, 1);
            let expected = |outcome: &Outcome| {
                assert_eq!(outcome.end, End::Truncated);
                expected(case, outcome, 1)
            };
            assert_outcome(&part_case, Ending::Reset, Leniency::ALL, &part, fetch, expected);
        }
    }
}

#[test]
fn strict_program_refuses_what_only_devices_send() {
    for_each_case(4, |case| {
        let (strict, lenient) =
            (of_core(case, Leniency::NONE, Ending::Close), of_core(case, Leniency::ALL, Ending::Close));
        if strict != lenient {
            let server = serve(case, [vec![&case.response[..]]], Ending::Close);
            let output = webclient(["--strict", &server.url("/a")]);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(8), 0), "{}", case.name);
        }
    });
}

// --- curl beside the program

/// Responses that end alike after a close only, and why.
const ALIKE_AFTER_A_CLOSE: [(&str, &str); 1] = [("205 without a length", "curl reads to the close; a 205 has no body")];

/// The three endings of each response. After a reset or in silence, a difference is that after a close: what curl reads to
/// the close is then cut, and the rest is equal.
#[test]
fn program_ends_as_curl_does_or_with_a_reason() {
    if tool("curl").is_none() {
        return;
    }
    let count = Mutex::new(0);
    for_each_case(48, |case| {
        let of_close = of_core(case, Leniency::ALL, Ending::Close);
        let strict = of_core(case, Leniency::NONE, Ending::Close);
        // curl's body after a close, and whether only the close ended it.
        let after_close = case.differs.as_ref().map_or(strict.clone(), |difference| difference.curl.clone());
        let waits = ALIKE_AFTER_A_CLOSE.iter().any(|(name, _)| *name == case.name);
        let has_reason = waits || if of_close == strict { case.differs.is_some() } else { case.lenient.is_some() };
        for ending in ENDINGS {
            let here = of_core(case, Leniency::ALL, ending);
            let fetch = |url: &str| of_program(case, ending, url, 1);
            assert_outcome(case, ending, Leniency::ALL, &[&case.response], fetch, |outcome| expected(case, outcome, 1));
            let is_expected = |curl: &Outcome| {
                let cut = Outcome { end: ending.cut(), ..after_close.clone() };
                // A reset destroys what curl has not read yet, as the end of a long head.
                let is_part = curl.end == End::Truncated && after_close.body.starts_with(&curl.body);
                *curl == here
                    || has_reason && (*curl == after_close || *curl == cut)
                    || ending == Ending::Reset && is_part
            };
            // On a busy machine a server may seem to stall.
            let tries = if ending == Ending::Stall { 3 } else { 1 };
            let mut outcomes = (0..tries).map(|_| of_curl(case, "--http1.0", ending));
            let curl = outcomes.find(is_expected);
            let why = case.differs.as_ref().map(|difference| (difference.why, difference.rules));
            assert!(curl.is_some(), "{}, {ending:?}: {here}, curl ends in another way, not by {why:?}", case.name);
            if curl == Some(here) {
                continue;
            }
            *count.lock().unwrap() += usize::from(ending == Ending::Close);
        }
    });
    // Another version of curl may differ less.
    let (count, listed) = (count.into_inner().unwrap(), differing_from_curl());
    assert!(count <= listed, "{count}");
    if let Ok(page) = fs::read_to_string(PAGE) {
        let counts = format!("`webclient` ends as curl does, except after {listed} of them");
        assert!(page.contains(&counts), "docs/differential.md should contain: {counts}");
        for (name, why) in ALIKE_AFTER_A_CLOSE {
            assert!(page.contains(&format!("| {name} | {why} |")), "docs/differential.md lacks {name}");
        }
    }
}

/// How many responses the program treats differently than curl.
fn differing_from_curl() -> usize {
    let differs = |case: &Case| {
        let lenient = of_core(case, Leniency::ALL, Ending::Close);
        let curl = case.differs.as_ref().map(|difference| difference.curl.clone());
        lenient != curl.unwrap_or_else(|| of_core(case, Leniency::NONE, Ending::Close))
    };
    cases().iter().filter(|case| differs(case)).count()
}

// --- what one response does not show

fn response(bytes: impl Into<Vec<u8>>) -> Vec<Step> {
    vec![Step::Bytes(bytes.into())]
}

#[track_caller]
fn assert_ends(output: &Output, status: i32, stdout: &str, message: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*output.stdout), (Some(status), stdout.as_bytes()), "{stderr}");
    assert!(stderr.contains(message), "{stderr}");
}

#[test]
fn connection_that_ends_without_a_byte_exits_with_18() {
    for script in [vec![], vec![Step::Reset]] {
        for arguments in [&[][..], &["--http0.9"], &["-X", "HEAD"], &["-X", "POST", "-d", "x"]] {
            let server = TestDouble::start(std::slice::from_ref(&script)).unwrap();
            assert_ends(&webclient([arguments, &[&server.url("/")]].concat()), 18, "", "");
            assert_eq!(server.take_requests().len(), 1, "{arguments:?}");
        }
    }
}

#[test]
fn bytes_without_a_head_are_shown_if_they_are_asked_for() {
    let server = TestDouble::start(&[response("<p>old"), response("<p>old")]).unwrap();
    assert_ends(&webclient([&server.url("/")]), 8, "", "");
    assert_ends(&webclient(["--http0.9", &server.url("/")]), 0, "<p>old", "");
}

#[test]
fn endless_heads_are_refused() {
    let million = "X: y\r\n".repeat(1_000_000);
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000_000);
    for endless in [format!("HTTP/1.0 200 OK\r\nX: {million}"), interim, "x".repeat(20 << 20), "\r\n".repeat(10 << 20)]
    {
        let server = TestDouble::start(&[response(endless)]).unwrap();
        let start = Instant::now();
        assert_ends(&webclient([&server.url("/")]), 8, "", "");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
}

/// Where Location leads a client: the targets that it requests, its status, and its message.
#[test]
fn location_leads_to_http_only() {
    for (location, target, status, message) in [
        ("Location: /b\r\n", "/b", 0, ""),
        ("Location: ?q\r\n", "/a?q", 0, ""),
        ("Location:\r\n /b\r\n", "/b", 0, ""),
        ("Location: /b\r\n c\r\n", "/b%20%20%20c", 0, ""), // a blank for each byte of the fold (RFC 9112 §5.2)
        ("Location: //HERE/b\r\n", "/b", 0, ""),
        ("Location: http://HERE/../b#c\r\n", "/b", 0, ""),
        ("Location: /caf\u{e9}\r\n", "/caf%C3%A9", 0, ""),
        ("Location: https://HERE/\r\n", "", 3, "https"),
        ("Location: ftp://HERE/\r\n", "", 3, ""),
        ("Location: file:///etc/passwd\r\n", "", 3, ""),
        ("Location: http://u:p@HERE/\r\n", "", 3, ""),
        ("Location: http://[fe80::1%25lo]/\r\n", "", 3, ""),
        ("Location: http://a\u{2100}b/\r\n", "", 3, ""),
        ("Location: /b\r\nLocation: /c\r\n", "", 3, ""),
        ("", "", 3, ""),
        // The line is no header, so that no redirect is left.
        ("Location: /b\rX: y\r\n", "", 3, ""),
    ] {
        let there = TestDouble::start(&[response("HTTP/1.0 200 OK\r\n\r\n")]).unwrap();
        let here = there.url("").replace("http://", "");
        let location = location.replace("HERE", &here);
        let is_other = location.contains(&here);
        let redirect = response(format!("HTTP/1.0 302 Found\r\n{location}\r\n"));
        let server = TestDouble::start(&[redirect, response("HTTP/1.0 200 OK\r\n\r\n")]).unwrap();
        assert_ends(&webclient(["-L", &server.url("/a")]), status, "", message);
        let requests = [server.take_requests(), there.take_requests()].concat();
        let lines: Vec<_> = requests.iter().map(|request| request.as_ref().unwrap().lines().next().unwrap()).collect();
        let mut wanted = vec!["GET /a HTTP/1.0".to_owned()];
        wanted.extend((!target.is_empty()).then(|| format!("GET {target} HTTP/1.0")));
        assert_eq!(lines, wanted, "{location}");
        assert!(status != 0 || there.scripts_left() == usize::from(!is_other), "{location}");
    }
}

#[test]
fn redirects_in_a_circle_end() {
    let script = response("HTTP/1.0 302 Found\r\nLocation: /a\r\n\r\n");
    let server = TestDouble::start(&vec![script; 9]).unwrap();
    assert_ends(&webclient(["-L", &server.url("/a")]), 47, "", "");
    assert_eq!(server.take_requests().len(), 6);
}

/// Each device is served, and its connection is not used again.
#[test]
fn connection_closes_after_the_response_of_a_device() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
    for (response, is_kept) in [
        (ok.to_owned(), true),
        (ok.replace(" OK", "OK"), false),
        (ok.replace("\r\n", "\r\r\n"), false),
        (ok.replace("Con", "IP Camera\r\nCon"), false),
        (ok.replace("Con", "Set-Cookie: a=\x02\r\nCon"), false),
        (ok.replace("Con", "Transfer-Encoding:\r\nCon"), false),
    ] {
        let reasons = Arc::new(Mutex::new(Vec::new()));
        let log = reasons.clone();
        let camera = scripted(&[response.as_bytes()], Ending::Stall);
        let client = Client::new().connector(camera).leniency(Leniency::ALL);
        let client = client.on_event(move |event| match event {
            Event::Kept => log.lock().unwrap().push(None),
            Event::Closing(reason) => log.lock().unwrap().push(Some(*reason)),
            _ => {}
        });
        assert_eq!(client.get("http://camera/").send().unwrap().read_to_vec(9).unwrap(), b"ab", "{response}");
        let reason = (!is_kept).then_some(CloseReason::LenientParse);
        assert_eq!(*reasons.lock().unwrap(), [reason], "{response}");
    }
}
