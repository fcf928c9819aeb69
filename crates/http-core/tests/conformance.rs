//! Runs the conformance cases in pieces of every size. Checks the response to each request, and what must hold of every
//! response. `conformance/cases.jsonl` names the rule that each case shows.
// Makes Clippy treat the helpers as test code, too.
#![cfg(test)]

mod site;

use http_core::{CloseReason, Limits};
use site::{Plan, Run, Seen, bytes_of, drive};

struct Case {
    id: String,
    bytes: Vec<u8>,
    /// The response of this server: a status, `0.9-body` or `close`.
    class: String,
    responses: Option<u64>,
}

fn cases() -> Vec<Case> {
    let text = |case: &serde_json::Value, key: &str| case[key].as_str().unwrap().to_owned();
    let case = |case| Case {
        id: text(&case, "id"),
        bytes: bytes_of(&case),
        class: text(&case, "expect").split('|').next().unwrap().into(),
        responses: case["responses"].as_u64(),
    };
    site::cases().into_iter().map(case).collect()
}

/// The machine drops unread bodies, and the stream ends after the last byte.
fn default_plan() -> Plan {
    Plan { limits: Limits::default(), reads_bodies: false, ends_by_timeout: false, postpones: false }
}

// Every rule that a case names; D1 to D16, V1 to V6, V9, V10, V13 to V16, V31, V32.
#[test]
fn every_case_gets_its_response() {
    let mut faults = Vec::new();
    for case in cases() {
        let run = drive(default_plan(), &[&case.bytes]);
        faults.extend(faults_of(&case, default_plan(), &run));
    }
    assert!(faults.is_empty(), "{}", list(&faults));
}

// R9110-2.3, V20
#[test]
fn every_case_gets_the_same_response_in_any_pieces() {
    let mut faults = Vec::new();
    for case in cases() {
        faults.extend(differences(&case, &cuts_of(&case.bytes)));
    }
    assert!(faults.is_empty(), "{}", list(&faults));
}

// R9112-3a, R9110-5.4, R6585-5, R9112-2.2d, D16, V20
#[test]
fn every_case_gets_the_same_response_after_it_was_postponed() {
    for case in cases() {
        let [at_once, postponed] =
            [false, true].map(|postpones| drive(Plan { postpones, ..default_plan() }, &[&case.bytes]));
        assert_eq!(postponed, at_once, "{}", case.id);
    }
}

// D3: such a connection is not kept. The joined lines are longer than a line may be.
#[test]
fn folded_head_gets_the_same_response_after_it_was_postponed() {
    for line in ["a\r\n b".to_owned(), format!("{}\r\n {}", "a".repeat(5000), "b".repeat(5000))] {
        let head = format!("GET / HTTP/1.0\r\nConnection: keep-alive\r\nX: {line}\r\n\r\n");
        let [at_once, postponed] =
            [false, true].map(|postpones| drive(Plan { postpones, ..default_plan() }, &[head.as_bytes()]));
        assert_eq!(postponed, at_once);
    }
}

// D1, R9112-2.2d: the bare LF counts for the head that follows, and the connection is not kept.
#[test]
fn head_after_an_empty_line_gets_the_same_response_after_it_was_postponed() {
    for (line, keeps) in [("\r\n", true), ("\n", false)] {
        let request = format!("{line}GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let requests = request.repeat(2);
        let [at_once, postponed] =
            [false, true].map(|postpones| drive(Plan { postpones, ..default_plan() }, &[requests.as_bytes()]));
        let served = at_once.seen.iter().filter(|seen| matches!(seen, Seen::Request { .. })).count();
        assert_eq!(served, if keeps { 2 } else { 1 }, "{line:?}");
        assert_eq!(postponed, at_once, "{line:?}");
    }
}

#[test]
fn limits_are_exact() {
    let mut faults = Vec::new();
    for (id, bytes, class) in limit_cases() {
        // On a fresh connection, and as the second request of a kept one.
        let kept = [b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &bytes[..]].concat();
        let fresh = Case { id: id.into(), bytes, class: class.into(), responses: Some(1) };
        let second = Case { id: format!("{id}-second"), bytes: kept, class: "200".into(), responses: Some(2) };
        for case in [&fresh, &second] {
            let run = drive(default_plan(), &[&case.bytes]);
            faults.extend(faults_of(case, default_plan(), &run));
            if let Ok(responses) = responses(&case.bytes, &run) {
                let last = responses.last().map_or(0, |response| response.status).to_string();
                if last != class {
                    faults.push(format!("{}: the last response is {last}, not {class}", case.id));
                }
            }
            let near_the_end = (0..8).filter_map(|n| case.bytes.len().checked_sub(n));
            faults.extend(differences(case, &cuts_of(&case.bytes).into_iter().chain(near_the_end).collect::<Vec<_>>()));
        }
    }
    assert!(faults.is_empty(), "{}", list(&faults));
}

// R9112-8, R9112-9.5, R9110-15.5.9
#[test]
fn timeout_gets_a_response_only_if_a_request_has_begun() {
    let kept = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let with_body = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell";
    let mut faults = Vec::new();
    for (bytes, reads_bodies, class, responses, reason) in [
        ("", false, "close", 0, Some(CloseReason::IdleTimeout)),
        ("\r", false, "close", 0, Some(CloseReason::IdleTimeout)),
        ("\r\n", false, "close", 0, Some(CloseReason::IdleTimeout)),
        ("\r\n\r\n", false, "close", 0, Some(CloseReason::IdleTimeout)),
        ("\n\r", false, "close", 0, Some(CloseReason::IdleTimeout)),
        (kept, false, "200", 1, Some(CloseReason::IdleTimeout)),
        (&format!("{kept}\r\n"), false, "200", 1, Some(CloseReason::IdleTimeout)),
        ("G", false, "408", 1, None),
        ("\r\nG", false, "408", 1, None),
        ("GET / HTTP/1.0", false, "408", 1, None),
        ("GET / HTTP/1.0\r\n", false, "408", 1, None),
        ("GET / HTTP/1.0\r\nA: b\r\n\r", false, "408", 1, None),
        (&format!("{kept}G"), false, "200", 2, None),
        (with_body, true, "408", 1, None),
        (with_body, false, "200", 1, Some(CloseReason::BodyIncomplete)),
    ] {
        let plan = Plan { reads_bodies, ends_by_timeout: true, ..default_plan() };
        let case =
            Case { id: format!("{bytes:?}"), bytes: bytes.into(), class: class.into(), responses: Some(responses) };
        let run = drive(plan, &[&case.bytes]);
        faults.extend(faults_of(&case, plan, &run));
        if let Some(reason) = reason
            && run.seen.last() != Some(&Seen::Closed(Some(reason)))
        {
            faults.push(format!("{}: {:?}, not {reason:?}", case.id, run.seen.last()));
        }
    }
    assert!(faults.is_empty(), "{}", list(&faults));
}

fn list(faults: &[String]) -> String {
    format!("{} faults:\n{}", faults.len(), faults.join("\n"))
}

/// Requests on both sides of each limit, and the status of their responses.
fn limit_cases() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let limits = Limits::default();
    let (line, field) = (limits.start_line as usize, limits.field_line as usize);
    let (head, fields, blank_lines) =
        (limits.head as usize, usize::from(limits.fields), usize::from(limits.blank_lines));
    let get = |fields: &str| format!("GET / HTTP/1.0\r\n{fields}\r\n").into_bytes();
    // A request line of this many bytes, with a version after the query.
    let long_line = |bytes: usize| {
        let query = "q".repeat(bytes - "GET /? HTTP/1.0".len());
        format!("GET /?{query} HTTP/1.0\r\n\r\n").into_bytes()
    };
    let long_field = |bytes: usize| get(&format!("A: {}\r\n", "v".repeat(bytes - "A: ".len())));
    let long_head = |bytes: usize| {
        let first = format!("A: {}\r\n", "v".repeat(4000)).repeat(3);
        let rest = bytes - get(&first).len() - "B: \r\n".len();
        get(&format!("{first}B: {}\r\n", "w".repeat(rest)))
    };
    let many_fields = |count: usize| get(&"A: b\r\n".repeat(count));
    let blank = |count: usize| [&"\r\n".repeat(count).into_bytes()[..], &get("")].concat();
    assert_eq!(long_head(head).len(), head);
    vec![
        ("line-8192", long_line(line), "200"),
        ("line-8193-after-target", long_line(line + 1), "400"),
        ("line-8193-in-target", format!("GET /{} HTTP/1.0\r\n\r\n", "q".repeat(line - 4)).into(), "414"),
        ("line-8193-no-space", format!("{} / HTTP/1.0\r\n\r\n", "A".repeat(line + 1)).into(), "501"),
        ("line-8193-no-token", format!("{}= / HTTP/1.0\r\n\r\n", "A".repeat(line)).into(), "400"),
        ("line-8193-head", format!("HEAD /{} HTTP/1.0\r\n\r\n", "q".repeat(line)).into(), "414"),
        ("field-8192", long_field(field), "200"),
        ("field-8193", long_field(field + 1), "431"),
        ("head-16384", long_head(head), "200"),
        ("head-16385", long_head(head + 1), "431"),
        ("fields-100", many_fields(fields), "200"),
        ("fields-101", many_fields(fields + 1), "431"),
        ("blank-lines-2", blank(blank_lines), "200"),
        ("blank-lines-3", blank(blank_lines + 1), "400"),
    ]
}

/// Where to cut: everywhere, or only around each limit if the request is long.
fn cuts_of(bytes: &[u8]) -> Vec<usize> {
    let limits = Limits::default();
    if bytes.len() < 2048 {
        return (1..bytes.len()).collect();
    }
    let mut start = 0;
    let lines = bytes.split_inclusive(|&c| c == b'\n').map(|line| {
        start += line.len();
        (line.len(), start - line.len())
    });
    let longest = lines.max_by_key(|(length, _)| *length).map_or(0, |(_, start)| start);
    let blank_lines = 2 * usize::from(limits.blank_lines) + 2;
    [blank_lines, limits.start_line as usize, longest + limits.field_line as usize, limits.head as usize]
        .into_iter()
        .flat_map(|limit| limit.saturating_sub(4)..=limit + 4)
        .filter(|&cut| 0 < cut && cut < bytes.len())
        .collect()
}

/// Compares the case a byte at a time and cut in two with the whole.
fn differences(case: &Case, cuts: &[usize]) -> Vec<String> {
    let whole = drive(default_plan(), &[&case.bytes]);
    let bytewise: Vec<&[u8]> = case.bytes.chunks(1).collect();
    let mut faults = Vec::new();
    let mut compare = |how: String, run: Run| {
        if run != whole {
            faults.push(format!("{} {how}: {run:?}\n    whole: {whole:?}", case.id));
        }
    };
    compare("a byte at a time".into(), drive(default_plan(), &bytewise));
    for &cut in cuts {
        let (front, back) = case.bytes.split_at(cut);
        compare(format!("cut at {cut}"), drive(default_plan(), &[front, back]));
    }
    faults
}

/// Everything that is wrong with the outcome of a case.
fn faults_of(case: &Case, plan: Plan, run: &Run) -> Vec<String> {
    let class = class(&run.out);
    let mut faults = Vec::new();
    if class != case.class {
        faults.push(format!("{class}, not {}", case.class));
    }
    match responses(&case.bytes, run) {
        Ok(responses) => {
            if case.responses.is_some_and(|count| count != responses.len() as u64) {
                faults.push(format!("{} responses", responses.len()));
            }
            faults.extend(broken_invariants(case, plan, run, &responses));
        }
        Err(fault) => faults.push(fault),
    }
    faults.into_iter().map(|fault| format!("{}: {fault}", case.id)).collect()
}

/// Checks what must hold of every response with a status line.
fn broken_invariants(case: &Case, plan: Plan, run: &Run, responses: &[Response<'_>]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            faults.push(what.to_owned());
        }
    };
    must(!run.out.windows(5).any(|five| five == b"root:"), "a hidden file was sent");
    let exchanges = exchanges(run);
    for (i, response) in responses.iter().enumerate() {
        let last = i + 1 == responses.len();
        let content_length = response.field("Content-Length").and_then(|value| value.parse::<usize>().ok());
        must(response.field("Date").is_some(), "no Date"); // R9110-6.6.1, R1945-10.6
        match response.field("Connection") {
            Some("close") => must(last, "a response after Connection: close"), // R9112-9.6a
            Some("keep-alive") => {
                must(!matches!(exchanges.get(i), Some(Seen::Error { .. })), "keep-alive after an error"); // R9112-6.3a
                must(content_length.is_some() || response.status == 304, "kept without a length"); // R2068-19.7.1b
            }
            _ => must(false, "no Connection"), // R9112-9.3c
        }
        match response.status {
            304 => must(content_length.is_none(), "Content-Length with 304"), // R9110-8.6a
            405 => must(response.field("Allow").is_some(), "no Allow with 405"), // R9110-10.2.1
            200 if matches!(exchanges.get(i), Some(Seen::Request { method, .. }) if method == "OPTIONS") => {
                must(response.field("Allow").is_some(), "no Allow for OPTIONS"); // R9110-9.3.7
            }
            416 => must(
                response.field("Content-Range").is_some_and(|value| value.starts_with("bytes */")),
                "no Content-Range with 416", // R9110-15.5.17
            ),
            _ => {}
        }
        if !matches!(response.status, 204 | 304) && !is_head(&case.bytes, run, i) {
            must(content_length == Some(response.body.len()), "Content-Length does not match the body"); // R1945-7.2c
        }
    }
    // R9110-9.3.2, R1945-8.2a: HEAD gets the head of GET.
    if let Some(first) = responses.first().filter(|_| is_head(&case.bytes, run, 0)) {
        let at = case.bytes.iter().position(|&c| c == b'H').unwrap();
        let get = [&case.bytes[..at], b"GET", &case.bytes[at + 4..]].concat();
        let get_run = drive(plan, &[&get]);
        // Without a version it is a Simple-Request, which HEAD cannot be.
        if let Ok([get, ..]) = self::responses(&get, &get_run).as_deref() {
            must(get.head == first.head, "HEAD has other headers than GET");
        }
    }
    faults
}

/// The status of the first response, or what was sent instead.
fn class(out: &[u8]) -> String {
    match out {
        b"" => "close".into(),
        [b'H', b'T', b'T', b'P', b'/', ..] => String::from_utf8_lossy(&out[9..12]).into(),
        _ => "0.9-body".into(),
    }
}

struct Response<'a> {
    head: &'a str,
    status: u16,
    body: &'a [u8],
}

impl<'a> Response<'a> {
    /// The value of a header, unless it is repeated.
    fn field(&self, name: &str) -> Option<&'a str> {
        let mut values = self
            .head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(n, _)| *n == name)
            .map(|(_, value)| value);
        values.next().filter(|_| values.next().is_none())
    }
}

/// Splits the output into responses with status lines. A Simple-Response is not one of them.
fn responses<'a>(request: &[u8], run: &'a Run) -> Result<Vec<Response<'a>>, String> {
    let mut responses = Vec::new();
    let mut rest = &run.out[..];
    if class(rest) == "0.9-body" {
        return Ok(responses);
    }
    while !rest.is_empty() {
        let shown = || rest.escape_ascii().to_string();
        let end =
            rest.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| format!("no head: {}", shown()))?;
        let (head, after) = rest.split_at(end + 4);
        // R1945-3.1d, R1945-2.2a, R9112-11.1: lines end with CRLF, and a head holds no other control byte.
        let head = str::from_utf8(head).map_err(|_| format!("not ASCII: {}", shown()))?;
        if !head.split("\r\n").all(|line| line.bytes().all(|c| matches!(c, b' '..=b'~'))) {
            return Err(format!("a control byte in the head: {}", shown()));
        }
        let status = head.strip_prefix("HTTP/1.0 ").and_then(|line| line.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| format!("no status line: {}", shown()))?;
        let mut response = Response { head, status, body: b"" };
        let length = match response.field("Content-Length").and_then(|value| value.parse::<usize>().ok()) {
            _ if status == 204 || status == 304 || is_head(request, run, responses.len()) => 0, // R1945-7.2b
            length => length.unwrap_or(after.len()),
        };
        (response.body, rest) =
            after.split_at_checked(length).ok_or_else(|| format!("the body is too short: {}", shown()))?;
        responses.push(response);
    }
    match run.out.len() {
        _ if responses.len() == exchanges(run).len() => Ok(responses),
        _ => Err(format!("{} responses to {:?}", responses.len(), exchanges(run))),
    }
}

/// What got a response, in order: a request, or an error.
fn exchanges(run: &Run) -> Vec<&Seen> {
    let mut exchanges: Vec<&Seen> = Vec::new();
    for (i, seen) in run.seen.iter().enumerate() {
        let body_failed = i > 0 && matches!(run.seen[i - 1], Seen::Body(_)) && matches!(seen, Seen::Error { .. });
        if body_failed {
            exchanges.pop();
        }
        if matches!(seen, Seen::Request { .. } | Seen::Error { .. }) {
            exchanges.push(seen);
        }
    }
    exchanges
}

/// Whether response number `i` is one to HEAD. The input decides this for the first, the events for the others.
fn is_head(request: &[u8], run: &Run, i: usize) -> bool {
    let from = request.iter().position(|c| !matches!(c, b'\r' | b'\n')).unwrap_or(0);
    match i {
        0 => matches!(request[from..], [b'H', b'E', b'A', b'D', b' ' | b'\t', ..]),
        _ => match exchanges(run).get(i) {
            Some(Seen::Request { method, .. }) => method == "HEAD",
            Some(Seen::Error { of_head, .. }) => *of_head,
            _ => false,
        },
    }
}
