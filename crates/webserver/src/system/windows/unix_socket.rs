//! std has no Unix sockets on Windows, and there is no `--unix`.

use http_server::{RunningServer, Server};

use crate::cli::Cli;

/// Has no value, because no socket is made.
#[derive(Debug)]
pub(crate) enum SocketFile {}

pub(crate) fn bind(_: &Cli) -> Result<Option<(Server, SocketFile)>, String> {
    Ok(None)
}

pub(crate) fn paths(_: &RunningServer) -> Vec<String> {
    Vec::new()
}
