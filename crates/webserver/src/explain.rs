//! `--explain`: how a request would be answered, and why. The code that serves every request also serves this one,
//! without a socket, and records its decisions.

use std::fmt::Write;

use http_server::Handler;
use http_server::http_core::server::{self, Event, RequestHead};
use http_server::http_core::{CloseReason, Framing, Limits, RequestError, TargetError, TargetForm, Version};
use http_server::testing::exchange_with;

/// A request as a client sends it. Its lines are separated by `\n`, typed as two characters or as one. If the first one
/// is a path or a URL alone, it means GET.
pub(crate) fn request(typed: &str) -> Vec<u8> {
    let lines = typed.replace("\\r", "").replace("\\n", "\n").replace("\r\n", "\n");
    let lines = lines.trim_end_matches('\n');
    let (first, rest) = lines.split_once('\n').unwrap_or((lines, ""));
    let is_path = first.starts_with('/') || !first.is_empty() && !first.contains(' ');
    let mut request = match is_path {
        true => format!("GET {} HTTP/1.0", target(first)),
        false => first.to_owned(),
    };
    for line in rest.lines() {
        request += "\r\n";
        request += line;
    }
    // A Simple-Request (HTTP/0.9) ends with its line, any other request with an empty line.
    request += if request.contains("HTTP/") { "\r\n\r\n" } else { "\r\n" };
    request.into_bytes()
}

/// What a browser sends for a path that was typed: it encodes what may not stand in a target.
fn target(typed: &str) -> String {
    let mut target = String::from(if typed.starts_with('/') || typed.contains("://") { "" } else { "/" });
    for byte in typed.bytes() {
        match byte {
            b'!'..=b'~' => target.push(byte.into()),
            _ => target += &format!("%{byte:02X}"),
        }
    }
    target
}

/// Serves a request, and returns the decisions and the response head. Each decision has the option behind it, and with
/// `rules` the rules of the protocol. The request ends with an empty line, as a client sends it.
pub(crate) fn explain(handler: impl Handler, keep_alive: bool, rules: bool, request: &[u8]) -> String {
    let mut decisions = Decisions::default();
    let version = explain_request(request, &mut decisions);
    let exchange = exchange_with(&handler, keep_alive, request);
    decisions.0.extend(exchange.decisions.into_iter().map(|decision| (decision.rule, decision.text)));
    match exchange.close_reason {
        Some(reason) if reason != CloseReason::PeerClosed => {
            decisions.add("D15, R9112-9.3a", || format!("the connection closes: {reason}"));
        }
        _ => decisions.add("D15, R9112-9.3a", || "the connection is kept alive".into()),
    }
    let width = decisions.0.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(0).min(MAX_WIDTH);
    let mut report = String::new();
    for (n, (rule, text)) in decisions.0.iter().enumerate() {
        let behind: Vec<&str> = rule.split(", ").filter(|rule| rules || rule.starts_with("--")).collect();
        // Writing to a String does not fail.
        let _ = match behind.is_empty() {
            true => writeln!(report, "{:3}. {text}", n + 1),
            false => writeln!(report, "{:3}. {text:width$}  [{}]", n + 1, behind.join(", ")),
        };
    }
    report.push('\n');
    let output = exchange.output;
    match output.windows(4).position(|four| four == b"\r\n\r\n") {
        _ if version == Some(Version::HTTP_09) => report.push_str("(an HTTP/0.9 response has a body only)\n"),
        Some(end) if output.starts_with(b"HTTP/") => {
            report.push_str(&String::from_utf8_lossy(&output[..end + 2]).replace("\r\n", "\n"));
        }
        _ if output.is_empty() => report.push_str("(no response: the request is empty)\n"),
        _ => report.push_str(&String::from_utf8_lossy(&output)),
    }
    report
}

/// Rules and the decisions that follow from them, in order.
#[derive(Default)]
struct Decisions(Vec<(String, String)>);

impl Decisions {
    fn add(&mut self, rule: &str, text: impl FnOnce() -> String) {
        self.0.push((rule.to_owned(), text()));
    }
}

/// The rules form a column to the right of decisions up to this width.
const MAX_WIDTH: usize = 72;

/// Adds what the protocol decides before the handler runs. Returns the version of a valid request.
fn explain_request(request: &[u8], decisions: &mut Decisions) -> Option<Version> {
    let mut connection = server::Connection::new(Limits::default());
    let mut rest = request;
    loop {
        match connection.poll() {
            Ok(Event::NeedInput) => {
                let buffer = connection.receive_buffer();
                let n = buffer.len().min(rest.len());
                buffer[..n].copy_from_slice(&rest[..n]);
                rest = &rest[n..];
                match n {
                    0 => connection.received_eof(),
                    n => connection.received(n),
                }
            }
            Ok(Event::Request(head)) => {
                explain_head(&head, decisions);
                return Some(head.version);
            }
            Ok(_) => return None,
            Err(error) => {
                decisions.add(rule(error), || format!("the request is rejected with {}: {error}", error.status()));
                return None;
            }
        }
    }
}

fn explain_head(head: &RequestHead<'_>, decisions: &mut Decisions) {
    let RequestHead { method, target, path, version, fields, body, .. } = head;
    decisions.add("R1945-5.1, D2, D4", || format!("the request is {method} {} {version}", target.raw_path()));
    let form = match target.form() {
        TargetForm::Absolute => {
            ("R9112-3.2.2a, D7", "the target is a URL, whose host takes the place of the Host header")
        }
        TargetForm::Asterisk => ("R9112-3.2.4", "the target is the server itself"),
        _ => ("R9112-3.2.1", "the target is a path"),
    };
    decisions.add(form.0, || form.1.into());
    if let Some(query) = target.query() {
        decisions.add("D14", || format!("the query {query:?} does not select a file"));
    }
    decisions.add("D1, D3, R9112-5.1a", || match fields.len() {
        0 => "there are no headers".into(),
        1 => "there is 1 header, which is valid".into(),
        n => format!("there are {n} headers, all valid"),
    });
    match body {
        Framing::Length(n) => decisions.add("R1945-7.2a", || format!("a body of length {n} follows")),
        _ => decisions.add("R9112-6.3c", || "no body follows".into()),
    }
    let mut name = Vec::new();
    path.decode_to(&mut name);
    decisions.add("R1945-5.1.2b, R3986-5.2.4, D14", || match name.is_empty() {
        true => "the path is ROOT".into(),
        false => format!("the path is \"{}\" below ROOT", name.escape_ascii()),
    });
}

/// The rule that an error violates.
fn rule(error: RequestError) -> &'static str {
    match error {
        RequestError::BlankLines => "R9112-2.2d",
        RequestError::RequestLine => "R9112-3c, D10",
        RequestError::Method => "R1945-5.1.1a",
        RequestError::MethodTooLong | RequestError::TargetTooLong | RequestError::RequestLineTooLong => "R9112-3a",
        RequestError::Target(TargetError::InvalidByte) => "D12, D13",
        RequestError::Target(TargetError::Scheme) => "R9110-7.4",
        RequestError::Target(TargetError::Authority) => "R9112-3.2.2a, R9110-4.2.1",
        RequestError::Target(TargetError::EscapesRoot) => "R1945-12.5a, R3986-5.2.4",
        RequestError::Target(_) => "D14, R9112-3.2.1",
        RequestError::Version => "R9112-2.3, D4",
        RequestError::VersionNotSupported => "R9110-6.2",
        RequestError::Whitespace => "D2, R9112-3b",
        RequestError::BareLf => "D1, R9112-2.2b",
        RequestError::ObsFold => "D3, R9112-5.2",
        RequestError::FieldSyntax => "R1945-4.2a, R9112-5.1a",
        RequestError::FieldLineTooLong | RequestError::TooManyFields | RequestError::HeadTooLong => "R6585-5",
        RequestError::HostMissing => "R9112-3.2a",
        RequestError::HostRepeated | RequestError::HostInvalid => "R9112-3.2b",
        RequestError::ContentLength | RequestError::ContentLengthRepeated => "R9112-6.3a",
        RequestError::ContentLengthMissing => "D8, R1945-8.3",
        RequestError::TransferEncodingInHttp10 => "R9112-6.1b",
        RequestError::TransferEncodingAndLength => "R9112-6.1c",
        RequestError::TransferEncoding => "R9112-6.1e",
        RequestError::UnsupportedTransferCoding => "R9112-6.1a",
        RequestError::ConnectMethod => "R9110-9.3.6",
        RequestError::BodyTooLong => "R9110-5.4",
        RequestError::Incomplete => "R9112-8, R1945-7.2.2b",
        RequestError::TimedOut => "R9110-15.5.9",
        RequestError::Overloaded => "R1945-9.5",
        _ => "D16",
    }
}
