//! A small service: a page, and a form whose posts are collected.
//!
//! It teaches what a handler is: a function from a request to a response, without sockets or threads. It also teaches
//! how to shut a server down. A handler asks for a request's body, and no thread waits until it has arrived.
//!
//!     cargo run --bin embed

use std::io;

use http_server::http_core::{Method, Status};
use http_server::{Action, HandlerError, Request, Response, Server};

const FORM: &str = "<!DOCTYPE html><title>Hello</title>\n\
    <form method=post action=/hello><input name=name> <button>Greet</button></form>\n";

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(6789), |port| port.parse()).map_err(io::Error::other)?;
    let running = Server::bind(("127.0.0.1", port))?.threads(2).start(handle)?;
    println!("listening on http://{}/, until you press Enter", running.local_addrs()[0]);

    io::stdin().read_line(&mut String::new())?;
    // Any thread may call this. Responses that have begun are completed.
    running.shutdown_handle().shut_down();
    println!("{}", running.join());
    Ok(())
}

fn handle(request: &Request<'_>) -> Action {
    match (&*request.path(), request.method()) {
        ("/", Method::Get | Method::Head) => Response::html(FORM).into(),
        // A body of more than 64 KiB gets a 413, and `greet` is not called.
        ("/hello", Method::Post) => Action::collect_body(64 << 10, greet),
        ("/", _) => Response::method_not_allowed("GET, HEAD").into(),
        ("/hello", _) => Response::method_not_allowed("POST").into(),
        _ => Response::not_found().into(),
    }
}

fn greet(form: Vec<u8>) -> Result<Response, HandlerError> {
    let name = value(&form, "name").ok_or(HandlerError::new(Status::BAD_REQUEST, "the form has no name"))?;
    Ok(Response::text(format!("Hello, {name}!\n")))
}

/// The value of a form field, decoded from the encoding of browsers.
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
