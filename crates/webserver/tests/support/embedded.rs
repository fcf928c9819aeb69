//! A server embedded in this process. At shutdown it checks that every accepted connection has ended exactly once.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use http_server::{Handler, RunningServer, Server, Stats};

use super::engine::with_engine;

pub(crate) struct EmbeddedServer {
    running: Option<RunningServer>,
}

impl EmbeddedServer {
    /// On a free port of 127.0.0.1.
    pub(crate) fn start(configure: impl FnOnce(Server) -> Server, handler: impl Handler + 'static) -> EmbeddedServer {
        let server = Server::bind("127.0.0.1:0").unwrap();
        EmbeddedServer { running: Some(with_engine(configure(server)).start(handler).unwrap()) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running().local_addrs()[0]
    }

    pub(crate) fn running(&self) -> &RunningServer {
        self.running.as_ref().unwrap()
    }

    /// Shuts it down. Every accepted connection has ended exactly once.
    pub(crate) fn finish(mut self) -> Stats {
        let running = self.running.take().unwrap();
        running.shutdown_handle().shut_down();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(running.join()).is_ok());
        let stats = receiver.recv_timeout(Duration::from_secs(20)).expect("the server does not shut down");
        assert_eq!(stats.accepted, stats.ended(), "{stats}");
        stats
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.shutdown_handle().shut_down();
        }
    }
}
