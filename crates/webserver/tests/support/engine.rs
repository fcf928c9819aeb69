//! The engine that the environment names: the tests run against each.

use http_server::{Engine, Server, ServerConfig};

use super::program::is_elsewhere;

/// Whether the program under test has the plain one: it is asked for, or a program for another system has no other.
pub(crate) fn is_plain() -> bool {
    is_plain_chosen() || is_elsewhere()
}

/// `TEST_ENGINE=plain`: the plain one.
fn is_plain_chosen() -> bool {
    match std::env::var("TEST_ENGINE").as_deref() {
        Ok("plain") => true,
        Ok(other) => panic!("TEST_ENGINE is {other:?}, and only `plain` is known"),
        Err(_) => false,
    }
}

/// The server with this engine. Tests have few threads, and more connections than the plain engine could serve by them.
pub(crate) fn with_engine(server: Server) -> Server {
    if is_plain_chosen() { server.engine(Engine::Plain).threads(ServerConfig::DEFAULT_PLAIN_THREADS) } else { server }
}

/// The options of a test, without `--threads` for the plain engine.
pub(crate) fn without_threads<'a>(options: &[&'a str]) -> Vec<&'a str> {
    let mut options = options.to_vec();
    if is_plain()
        && let Some(at) = options.iter().position(|option| *option == "--threads")
    {
        options.drain(at..at + 2);
    }
    options
}

/// The options that choose the engine.
pub(crate) fn engine_options() -> &'static [&'static str] {
    if is_plain_chosen() { &["--engine", "plain"] } else { &[] }
}
