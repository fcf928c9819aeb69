//! A small service of one's own: a page, and a form whose posts are collected.
//!
//! It teaches what a handler is, a function from a request to a reply that sees neither sockets nor threads, and how a
//! server is stopped in order. A body is asked for and comes later: nobody waits for it meanwhile.
//!
//!     cargo run --bin embed

use std::io;

use webserver::http_core::{FieldValue, Method, Status, header};
use webserver::{Answer, Request, Response, Server};

const FORM: &[u8] = b"<!DOCTYPE html><title>Hello</title>\n\
    <form method=post action=/hello><input name=who> <button>Greet</button></form>\n";

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(6789), |port| port.parse()).map_err(io::Error::other)?;
    let running = Server::bind(("127.0.0.1", port))?.threads(2).start(answer)?;
    println!("listening on http://{}/, until you press Enter", running.addresses()[0]);

    io::stdin().read_line(&mut String::new())?;
    // Could be called from any thread. Replies that are under way still end.
    running.stopper().stop();
    println!("{}", running.join());
    Ok(())
}

fn answer(request: &Request<'_>) -> Answer {
    let (method, path) = (request.head.method, request.head.target.raw_path());
    match (path, method) {
        ("/", Method::Get | Method::Head) => {
            Response::bytes(FieldValue::from_static("text/html; charset=utf-8"), FORM).into()
        }
        // 64 KiB at most, or else the answer is 413 without us.
        ("/hello", Method::Post) => Answer::with_body(hello),
        ("/", _) => not_allowed("GET, HEAD").into(),
        ("/hello", _) => not_allowed("POST").into(),
        _ => Response { status: Status::NOT_FOUND, ..Response::text("There is nothing here.\n") }.into(),
    }
}

fn hello(form: Vec<u8>) -> Response {
    match value(&form, "who") {
        Some(who) => Response::text(format!("Hello, {who}!\n")),
        None => Response { status: Status::BAD_REQUEST, ..Response::text("Say who.\n") },
    }
}

fn not_allowed(methods: &'static str) -> Response {
    Response { status: Status::METHOD_NOT_ALLOWED, ..Response::text("That cannot be done here.\n") }
        .with_field(header::ALLOW, FieldValue::from_static(methods))
}

/// The value of a field of a form, as browsers encode it.
fn value(form: &[u8], name: &str) -> Option<String> {
    let value = str::from_utf8(form).ok()?.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let (mut bytes, mut rest) = (Vec::new(), value.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => u8::from_str_radix(str::from_utf8(&[rest.next()?, rest.next()?]).ok()?, 16).ok()?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}
