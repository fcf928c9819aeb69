//! `-v`: the exchange, line by line, on standard error. It explains what the library decided, and decides nothing.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

use webclient::http_core::client::ResponseHead;
use webclient::http_core::{CloseReason, Framing, Version, header};
use webclient::{Client, Event};

use crate::terminal::escaped;

/// Has each step of the client shown. A terminal gets no control characters, unless it is `--raw`.
pub(crate) fn follow(client: Client, raw: bool) -> Client {
    let escapes = !raw && io::stderr().is_terminal();
    // Why the connection of the current response is kept, and why not.
    let persistence = Mutex::new(("", ""));
    client.on_event(move |event| {
        let mut persistence = persistence.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::Response(head) = event {
            *persistence = why_kept_or_not(head);
        }
        let lines = lines(event, *persistence);
        let lines = if escapes { escaped(&lines).into_bytes() } else { lines };
        let _ = io::stderr().write_all(&lines); // the output is worth more than the lines about it
    })
}

fn lines(event: &Event<'_>, (kept, not_kept): (&str, &str)) -> Vec<u8> {
    match event {
        Event::Connecting(address) => format!("* trying {address}\n").into(),
        Event::ConnectFailed(address, error) => format!("* {address} failed: {error}\n").into(),
        Event::Connected(address) => format!("* connected to {address}\n").into(),
        Event::Reusing => "* using the connection that was kept\n".into(),
        Event::Request(head) => quoted(head, "> "),
        Event::Response(head) => {
            let mut lines = quoted(head.bytes, "< ");
            lines.extend_from_slice(format!("* body: {}\n", framing(head)).as_bytes());
            lines
        }
        Event::Interim(heads) => [&quoted(heads, "< ")[..], b"* interim (1xx): the response follows\n"].concat(),
        Event::InvalidHead(bytes) => quoted_start(bytes),
        Event::Kept => format!("* connection kept: {kept}\n").into(),
        Event::Closing(CloseReason::PeerRequested) => format!("* connection not kept: {not_kept}\n").into(),
        Event::Closing(CloseReason::CallerRequested) => "* connection not kept: the request asked to close it\n".into(),
        Event::Closing(reason) => format!("* connection not kept: {reason}\n").into(),
        Event::Redirected(url) => format!("* redirected to {url}\n").into(),
        Event::Retrying(wait, cause) => format!("* trying again in {} s: {cause}\n", wait.as_secs_f64()).into(),
        event => format!("* {event:?}\n").into(),
    }
}

/// Each line of a head behind a mark, without its line end. Passwords are left out, as people show such lines to others.
fn quoted(head: &[u8], mark: &str) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(2 * head.len());
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (name, value) = line.split_at(line.iter().position(|&byte| byte == b':').unwrap_or(0));
        let has_password =
            [&b"Authorization"[..], b"Proxy-Authorization"].iter().any(|it| name.eq_ignore_ascii_case(it));
        let shown: &[u8] = if has_password { b": (not shown)" } else { value };
        for part in [mark.as_bytes(), name, shown, b"\n"] {
            quoted.extend_from_slice(part);
        }
    }
    quoted
}

/// The first bytes of what is no head. They are escaped wherever they are shown: they may be those of any protocol, and
/// what is wrong may be a byte that nobody sees.
fn quoted_start(bytes: &[u8]) -> Vec<u8> {
    const LONGEST: usize = 2000;
    let (shown, more) = bytes.split_at(bytes.len().min(LONGEST));
    let mut lines = quoted(escaped(shown).as_bytes(), "< ");
    if !more.is_empty() {
        lines.extend_from_slice(format!("* {} more bytes were received\n", more.len()).as_bytes());
    }
    lines
}

/// How the end of the body is found, and the rule that says so.
fn framing(head: &ResponseHead<'_>) -> String {
    let has_length = head.fields.get(header::CONTENT_LENGTH).is_some();
    let code = head.status.code();
    match head.body {
        Framing::Length(length) => format!("{length} bytes, as Content-Length says (RFC 1945, 7.2.2)"),
        Framing::UntilClose if head.version == Version::HTTP_09 => {
            "all bytes until the server closes the connection, as HTTP/0.9 has no head (RFC 1945, 6)".into()
        }
        Framing::UntilClose => {
            "all bytes until the server closes the connection, as there is no Content-Length (RFC 1945, 7.2.2)".into()
        }
        Framing::Chunked if has_length => {
            "chunks, as Transfer-Encoding says, which overrides Content-Length (RFC 9112, 6.3)".into()
        }
        Framing::Chunked => "chunks, as Transfer-Encoding says (RFC 9112, 6.3)".into(),
        _ if matches!(code, 204 | 205 | 304) => format!("none, as a {code} has none (RFC 1945, 7.2)"),
        _ if has_length && head.content_length() == Some(0) => "none, as Content-Length is 0 (RFC 1945, 7.2.2)".into(),
        _ => "none, as the response to HEAD has none (RFC 1945, 7.2)".into(),
    }
}

/// Why the connection would be kept after this response, and why not, if that is the server's decision.
fn why_kept_or_not(head: &ResponseHead<'_>) -> (&'static str, &'static str) {
    let has = |option: &[u8]| head.fields.tokens(header::CONNECTION).any(|it| it.eq_ignore_ascii_case(option));
    let kept = if has(b"keep-alive") {
        "the server sent Connection: keep-alive (RFC 2068, 19.7.1)"
    } else {
        "an HTTP/1.1 server keeps it unless it says close (RFC 9112, 9.3)"
    };
    let not_kept = if has(b"close") {
        "the server sent Connection: close (RFC 9112, 9.6)"
    } else {
        "an HTTP/1.0 server closes it unless it says keep-alive (RFC 2068, 19.7.1)"
    };
    (kept, not_kept)
}
