//! The server under test, with the engine that the environment names.

#![allow(dead_code, reason = "each test file uses a part of it")]

use http_server::{Engine, Server};

/// `TEST_ENGINE=plain`: the plain one.
pub(crate) fn is_plain() -> bool {
    match std::env::var("TEST_ENGINE").as_deref() {
        Ok("plain") => true,
        Ok(other) => panic!("TEST_ENGINE is {other:?}, and only `plain` is known"),
        Err(_) => false,
    }
}

/// A server on a free port of 127.0.0.1.
pub(crate) fn server() -> Server {
    let server = Server::bind("127.0.0.1:0").unwrap();
    server.engine(if is_plain() { Engine::Plain } else { Engine::default() })
}
