//! Responses, usual, odd and broken; what http-core's client and curl make of each; and a server that sends them.

use std::fmt;
use std::process::{Command, Stdio};
use std::time::Duration;

use http_core::client::{Connection, Event, Leniency, Request};
use http_core::{Authority, FieldBlock, Limits, Method, Target};

use crate::peers::test_double::{Step, TestDouble};

/// How a response was understood, and the body bytes that were delivered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// A complete response with this status.
    Complete(u16),
    /// Cut short, by a close or a reset.
    Truncated,
    Rejected,
    TimedOut,
}
use End::{Complete, Rejected, TimedOut, Truncated};

/// What the server does after its bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    Close,
    Reset,
    /// It keeps the connection and sends nothing more.
    Stall,
}

impl Ending {
    /// How a response ends that needs more bytes, or a close.
    pub(crate) fn cut(self) -> End {
        if self == Ending::Stall { TimedOut } else { Truncated }
    }
}

#[derive(Clone)]
pub(crate) struct Case {
    /// Its name on the page.
    pub(crate) name: &'static str,
    pub(crate) method: Method<'static>,
    pub(crate) response: Vec<u8>,
    /// What curl does differently, and why.
    pub(crate) differs: Option<Difference>,
    /// Why a client that is lenient to devices, as webclient is, differs from curl.
    pub(crate) lenient: Option<&'static str>,
}

#[derive(Clone)]
pub(crate) struct Difference {
    pub(crate) curl: Outcome,
    pub(crate) why: &'static str,
    pub(crate) rules: &'static str,
}

/// The page is absent where this package is built outside the workspace.
pub(crate) const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/differential.md");

fn same(name: &'static str, response: impl Into<Vec<u8>>) -> Case {
    Case { name, method: Method::Get, response: response.into(), differs: None, lenient: None }
}

fn to_head(name: &'static str, response: &str) -> Case {
    Case { method: Method::Head, ..same(name, response) }
}

impl Case {
    fn differs(self, end: End, body: &str, why: &'static str, rules: &'static str) -> Case {
        Case { differs: Some(Difference { curl: Outcome { end, body: body.into() }, why, rules }), ..self }
    }

    fn lenient(self, why: &'static str) -> Case {
        Case { lenient: Some(why), ..self }
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
    let ok = "HTTP/1.0 200 OK\r\n";
    vec![
        // The end of the body.
        same("a length", format!("{ok}Content-Length: 2\r\n\r\nab")),
        same("no length", format!("{ok}\r\nab")),
        same("no length in 1.1", "HTTP/1.1 200 OK\r\n\r\nab"),
        same("length 0", format!("{ok}Content-Length: 0\r\n\r\n")),
        same("less than the length", format!("{ok}Content-Length: 5\r\n\r\nab")),
        same("more than the length", format!("{ok}Content-Length: 2\r\n\r\nabc")),
        same("two equal lengths", format!("{ok}Content-Length: 2\r\nContent-Length: 2\r\n\r\nab")),
        same("two lengths", format!("{ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc")).differs(Complete(200), "abc", "curl uses the last; we reject a message that two recipients could read in two ways", "R9112-6.3a"),
        same("two lengths, the longer one first", format!("{ok}Content-Length: 3\r\nContent-Length: 2\r\n\r\nabc")).differs(Complete(200), "ab", "the same", "R9112-6.3a"),
        same("two equal lengths in one line", format!("{ok}Content-Length: 2, 2\r\n\r\nab")),
        same("two lengths in one line", format!("{ok}Content-Length: 2, 3\r\n\r\nabc")).differs(Complete(200), "ab", "curl uses the first number and ignores the rest", "R9112-6.3a"),
        same("a length with a sign", format!("{ok}Content-Length: +2\r\n\r\nab")).differs(Complete(200), "ab", "curl accepts it; a length is digits only", "R1945-10.4"),
        same("a negative length", format!("{ok}Content-Length: -2\r\n\r\nab")),
        same("a length without digits", format!("{ok}Content-Length: two\r\n\r\nab")),
        same("an empty length", format!("{ok}Content-Length:\r\n\r\nab")),
        same("a letter after a length", format!("{ok}Content-Length: 2x\r\n\r\nab")).differs(Complete(200), "ab", "curl ignores what follows the digits", "R1945-10.4"),
        same("a length that needs 64 bits", format!("{ok}Content-Length: 9223372036854775808\r\n\r\nab")).differs(Complete(200), "ab", "curl drops a length that does not fit into 63 bits and reads to the close; we accept 64 bits, and the body falls short", "R9110-8.6b"),
        same("a length that needs 65 bits", format!("{ok}Content-Length: 18446744073709551616\r\n\r\nab")).differs(Complete(200), "ab", "curl drops the length; we reject it", "R9110-8.6b"),
        // Chunks, which a server must not send in response to a 1.0 request.
        same("chunks", format!("{chunked}\r\n2\r\nab\r\n0\r\n\r\n")),
        same("chunks in a 1.0 response", format!("{ok}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")),
        same("chunks and a length", format!("{chunked}Content-Length: 1\r\n\r\n2\r\nab\r\n0\r\n\r\n")),
        same("chunks with extensions and a trailer", format!("{chunked}\r\n2;a=b\r\nab\r\n0\r\nX: y\r\n\r\n")),
        same("truncated chunks", format!("{chunked}\r\n5\r\nab")),
        same("no last chunk", format!("{chunked}\r\n2\r\nab\r\n")),
        same("no end after the last chunk", format!("{chunked}\r\n2\r\nab\r\n0\r\n")),
        same("a chunk without a size", format!("{chunked}\r\nx\r\nab\r\n0\r\n\r\n")),
        same("blanks after a chunk size", format!("{chunked}\r\n2 \t \r\nab\r\n0  \r\n\r\n")),
        same("a word after a chunk size", format!("{chunked}\r\n2 2\r\nab\r\n0\r\n\r\n")).differs(Complete(200), "ab", "curl ignores what follows the digits; only blanks and extensions may follow a size", "R9112-7.1"),
        same("20 KiB of chunk extensions", format!("{chunked}\r\n{}0\r\n\r\n", format!("1;{}\r\na\r\n", "x".repeat(1023)).repeat(20))).differs(Complete(200), "aaaaaaaaaaaaaaaaaaaa", "curl accepts them; our limit for those of one body is 16 KiB, as in hyper", "R9112-7.1.1"),
        same("a space before a chunk size", format!("{chunked}\r\n 2\r\nab\r\n0\r\n\r\n")),
        same("chunks whose lines end with LF", format!("{chunked}\r\n2\nab\n0\n\n")).differs(Complete(200), "ab", "curl accepts LF for CRLF; recipients that do not accept it see different chunks", "R9112-7.1"),
        same("a chunk size that needs 65 bits", format!("{chunked}\r\n10000000000000002\r\nab\r\n0\r\n\r\n")),
        same("two codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
        same("chunked in capitals", "HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
        same("a chunk longer than its size", format!("{chunked}\r\n1\r\nab\r\n0\r\n\r\n")),
        same("chunked twice", format!("{chunked}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")).differs(Complete(200), "ab", "curl decodes once; the second has no defined meaning", "R9112-6.1e"),
        same("another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: zap\r\n\r\nab"),
        same("identity", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nab").differs(Complete(200), "ab", "curl knows the coding, which RFC 7230 removed; we know only `chunked`", "R9112-6.1a"),
        same("an empty coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 2\r\n\r\nabc").differs(Complete(200), "abc", "curl drops the length beside any Transfer-Encoding and reads to the close", "R9112-6.1e").lenient("we ignore the empty header, so that the length holds, and nothing is read beyond it"),
        // Responses without a body.
        to_head("HEAD", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n"),
        to_head("HEAD with a body", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab"),
        to_head("HEAD and chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        same("204", "HTTP/1.0 204 No Content\r\n\r\n"),
        same("204 with a body", "HTTP/1.0 204 No Content\r\nContent-Length: 2\r\n\r\nab"),
        same("204 with chunks", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
        same("205", "HTTP/1.0 205 Reset Content\r\nContent-Length: 0\r\n\r\n"),
        same("205 without a length", "HTTP/1.0 205 Reset Content\r\n\r\n"),
        same("205 with a body", "HTTP/1.0 205 Reset Content\r\nContent-Length: 2\r\n\r\nab").differs(Complete(205), "ab", "curl reads the body; a 205 has none, and we do not use its connection again", "R9110-15.3.6"),
        same("304 with a length", "HTTP/1.0 304 Not Modified\r\nContent-Length: 2\r\n\r\n"),
        same("304 with chunks", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
        // Interim responses.
        same("100 first", format!("HTTP/1.1 100 Continue\r\n\r\n{ok}\r\nab")),
        same("103 with a header first", format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{ok}\r\nab")),
        same("100 with a length first", format!("HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n\r\n{ok}\r\nab")),
        same("100 and nothing else", "HTTP/1.1 100 Continue\r\n\r\n"),
        same("nine 100s first", "HTTP/1.1 100 Continue\r\n\r\n".repeat(9) + ok + "\r\nab").differs(Complete(200), "ab", "curl accepts them; our limit keeps a server from holding us forever", "R9110-15.2"),
        same("101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\nab").differs(Complete(101), "ab", "curl treats it as the final response; we asked for no other protocol", "R9110-7.8"),
        // Status lines.
        same("no reason", "HTTP/1.0 200\r\n\r\nab"),
        same("an empty reason", "HTTP/1.0 200 \r\n\r\nab"),
        same("several spaces", "HTTP/1.0  200  OK\r\n\r\nab"),
        same("an unknown status", "HTTP/1.0 799 Odd\r\n\r\nab"),
        same("HTTP/1.7", "HTTP/1.7 200 OK\r\n\r\nab").differs(Rejected, "", "curl knows only 1.0 and 1.1; to us later minor versions count as 1.1", "R9110-2.5"),
        same("HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\nab").differs(Complete(200), "ab", "curl accepts the line; HTTP/2 is not a text protocol", "R9110-6.2"),
        same("HTTP/0.9", "HTTP/0.9 200 OK\r\n\r\nab"),
        same("HTTP/1.10", "HTTP/1.10 200 OK\r\n\r\nab"),
        same("http in lower case", "http/1.0 200 OK\r\n\r\nab").differs(Complete(200), "ab", "curl accepts it; the name is case-sensitive", "R9112-2.3"),
        same("another protocol", "ICY 200 OK\r\n\r\nab"),
        same("no space after the status", "HTTP/1.0 404Not Found\r\n\r\nab").differs(Complete(404), "ab", "curl takes three digits for the status, whatever follows", "R9112-4"),
        same("two digits", "HTTP/1.0 20 OK\r\n\r\nab"),
        same("four digits", "HTTP/1.0 2000 OK\r\n\r\nab"),
        same("a status below 100", "HTTP/1.0 099 Odd\r\n\r\nab"),
        same("no space before the status", "HTTP/1.0200 OK\r\n\r\nab"),
        same("an empty line first", format!("\r\n{ok}\r\nab")),
        same("HTTP/0.9, not asked for", "<p>ab"),
        same("no minor version", "HTTP/1 200 OK\r\n\r\nab"),
        same("a reason beyond ASCII", b"HTTP/1.1 302 D\xe9plac\xe9\r\n\r\nab"),
        same("a tab for a space", "HTTP/1.0\t200\tOK\r\n\r\nab").differs(Rejected, "", "curl knows only spaces; RFC 1945 asks for any blanks", "R1945-Ba"),
        same("a space before the status line", format!(" {ok}\r\nab")),
        same("a byte order mark", format!("\u{feff}{ok}\r\nab")),
        same("a letter in the status", "HTTP/1.0 20x OK\r\n\r\nab"),
        same("a status with a sign", "HTTP/1.0 +20 OK\r\n\r\nab"),
        // Headers.
        same("no space after a colon", format!("{ok}Content-Length:2\r\n\r\nabc")),
        same("a value with a line end in it", format!("{ok}Content-Disposition: attachment; filename=\"a\n\"\r\n\r\nab")).lenient("the second half of the value is such a line"),
        same("a folded header", format!("{ok}X: a\r\n b\r\n\r\nab")),
        same("a folded length", format!("{ok}Content-Length:\r\n 2\r\n\r\nabc")).differs(Rejected, "", "curl reads the line on its own and misses the number; a client must join the lines", "R9112-5.2, D3"),
        same("a space before the first header", format!("{ok} X: a\r\n\r\nab")),
        same("bare LF", "HTTP/1.0 200 OK\nContent-Length: 2\n\nabc"),
        same("CR CR LF", format!("{ok}Content-Length: 2\r\n\r\nabc").replace("\r\n", "\r\r\n")).differs(Complete(200), "ab", "curl drops every CR at the end of a line; recipients that do not find the end of the head elsewhere", "R9112-2.2c"),
        same("a space before a colon", format!("{ok}Content-Length : 2\r\n\r\nabc")).differs(Complete(200), "abc", "curl treats it as another header and reads to the close; other recipients treat it as the length", "R9112-5.1a"),
        same("no colon", format!("{ok}Content-Length 2\r\n\r\nabc")),
        same("the name of a device", format!("{ok}IP Camera\r\n\r\nab")).lenient("cameras send such a line; it is not a header, and the rest of the head is whole"),
        same("no name", format!("{ok}: 2\r\n\r\nab")).differs(Complete(200), "ab", "curl skips it; it is not a valid header", "R1945-4.2a"),
        same("a space in a name", format!("{ok}X Y: 2\r\n\r\nab")).differs(Complete(200), "ab", "curl skips it; it is not a valid header", "R1945-4.2a"),
        same("NUL in a value", format!("{ok}X: a\0b\r\n\r\nab")).lenient("the line is ignored like any that is not a header"),
        same("CR in a value", format!("{ok}X: a\rb\r\n\r\nab")).differs(Complete(200), "ab", "curl passes it on; other recipients end the line there", "R9112-2.2c"),
        same("another control byte in a value", format!("{ok}X: a\x01b\r\n\r\nab")).differs(Complete(200), "ab", "curl passes it on; no value may hold one", "R9110-5.5"),
        same("control bytes in a cookie", format!("{ok}Set-Cookie: a=\x01\x7f; path=/\r\nContent-Length: 2\r\n\r\nabc")).differs(Complete(200), "ab", "the same", "R9110-5.5"),
        same("bytes that are not ASCII", [ok.as_bytes(), b"X: \xe4\xff\r\n\r\nab"].concat()),
        // Limits.
        same("a header of 8000 bytes", format!("{ok}X: {}\r\n\r\nab", "x".repeat(7997))),
        same("a header of 9000 bytes", format!("{ok}X: {}\r\n\r\nab", "x".repeat(8997))).differs(Complete(200), "ab", "curl's limit is 100 KiB, ours is 8192 bytes", "R9110-2.3"),
        same("a head of 500 KiB", format!("{ok}{}\r\nab", format!("X: {}\r\n", "x".repeat(1019)).repeat(500))),
        same("101 headers", format!("{ok}{}\r\nab", "X: y\r\n".repeat(101))).differs(Complete(200), "ab", "curl limits bytes and not headers; our limit is 100", "R9110-2.3"),
        // Truncated and repeated responses.
        same("nothing", ""),
        same("the start of a status line", "HTT"),
        same("a status line and nothing else", ok).differs(Complete(200), "", "curl treats the end of the stream as the end of the head; a truncated head is not a response", "R9112-8"),
        same("a truncated head", format!("{ok}X: y\r\n")).differs(Complete(200), "", "the same", "R9112-8"),
        same("encoded content", format!("{ok}Content-Encoding: gzip\r\n\r\nab")),
        same("a second response", format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab{ok}\r\nno")),
    ]
}

/// What http-core's client makes of the response.
pub(crate) fn of_core(case: &Case, leniency: Leniency, ending: Ending) -> Outcome {
    let mut connection = Connection::new(Limits::default()).with_leniency(leniency);
    let (target, host, fields) =
        (Target::new(b"/a").unwrap(), Authority::new(b"localhost").unwrap(), FieldBlock::new());
    let request = Request::new(case.method, target, host, &fields);
    let _no_body = connection.request(&request, &mut Vec::new()).unwrap();
    let (mut rest, mut status, mut body) = (&case.response[..], 0, Vec::new());
    let end = loop {
        match connection.poll() {
            Ok(Event::NeedInput) if rest.is_empty() && ending == Ending::Close => connection.received_eof(),
            Ok(Event::NeedInput) if rest.is_empty() => break ending.cut(),
            Ok(Event::NeedInput) => {
                let space = connection.receive_buffer();
                let n = space.len().min(rest.len());
                space[..n].copy_from_slice(&rest[..n]);
                connection.received(n);
                rest = &rest[n..];
            }
            Ok(Event::Response(head)) => status = head.status.code(),
            Ok(Event::Body(bytes)) => body.extend_from_slice(bytes),
            Ok(Event::ResponseEnd) => break Complete(status),
            Err(error) if error.is_truncated() => break Truncated,
            Err(_) => break Rejected,
            Ok(event) => panic!("{}: {event:?}", case.name),
        }
    };
    Outcome { end, body }
}

/// What curl prints and how it exits: 18 is a truncated body, 52 no response at all.
pub(crate) fn of_curl(case: &Case, version: &str, ending: Ending) -> Outcome {
    let server = serve(case, [vec![&case.response[..]]], ending);
    let mut command = Command::new("curl");
    let limit = if ending == Ending::Stall { STALLED_S } else { "60" };
    command.args(["--disable", "--noproxy", "*", "--silent", "--max-time", limit, version]);
    command.args(["--write-out", "%{stderr}%{http_code} %{errormsg}"]).arg(server.url("/a"));
    if case.method == Method::Head {
        command.args(["--head", "--output", "/dev/null"]); // otherwise it prints the head
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let report = String::from_utf8(output.stderr).unwrap();
    let (status, message) = report.split_once(' ').unwrap();
    let end = match output.status.code().unwrap() {
        0 => Complete(status.parse().unwrap()),
        18 | 52 => Truncated,
        56 if message.contains("reset") => Truncated, // it exits so after bad chunks, too
        28 => TimedOut,
        _ => Rejected,
    };
    Outcome { end, body: output.stdout }
}

/// How long a client waits, in seconds, before a server counts as stalled.
pub(crate) const STALLED_S: &str = "3";

/// A server that responds to each request with the pieces for it.
pub(crate) fn serve<'a>(case: &Case, requests: impl IntoIterator<Item = Vec<&'a [u8]>>, ending: Ending) -> TestDouble {
    let script = |pieces: Vec<&[u8]>| {
        let mut steps = Vec::new();
        for piece in pieces {
            if !steps.is_empty() {
                steps.push(Step::Wait(PAUSE)); // so that most pieces arrive alone
            }
            steps.push(Step::Bytes(piece.to_vec()));
        }
        match ending {
            Ending::Close => {}
            Ending::Reset => steps.extend([Step::Wait(10 * PAUSE), Step::Reset]),
            Ending::Stall => steps.push(Step::Wait(Duration::from_secs(60))),
        }
        steps
    };
    let scripts: Vec<_> = requests.into_iter().map(script).collect();
    TestDouble::start(&scripts).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

const PAUSE: Duration = Duration::from_micros(200);

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            Complete(status) => write!(f, "{status}")?,
            Truncated => write!(f, "truncated")?,
            Rejected => write!(f, "rejected")?,
            TimedOut => write!(f, "timed out")?,
        }
        if self.body.is_empty() { Ok(()) } else { write!(f, " `{}`", escaped(&self.body)) }
    }
}

/// Long text is cut.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    if bytes.len() <= 80 { bytes.escape_ascii().to_string() } else { format!("{}...", bytes[..16].escape_ascii()) }
}
