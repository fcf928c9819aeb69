//! The library at work in this process, and the sum that must be right at its end.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use http_server::{Handler, RunningServer, Server, Stats};

pub(crate) struct Inside {
    running: Option<RunningServer>,
}

impl Inside {
    /// On a free port of 127.0.0.1.
    pub(crate) fn start(configure: impl FnOnce(Server) -> Server, handler: impl Handler + 'static) -> Inside {
        let server = Server::bind("127.0.0.1:0").unwrap();
        Inside { running: Some(configure(server).start(handler).unwrap()) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running().local_addrs()[0]
    }

    pub(crate) fn running(&self) -> &RunningServer {
        self.running.as_ref().unwrap()
    }

    /// Stops it. Every connection that was accepted has ended exactly once.
    pub(crate) fn finish(mut self) -> Stats {
        let running = self.running.take().unwrap();
        running.shutdown_handle().shut_down();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(running.join()));
        let counts = receiver.recv_timeout(Duration::from_secs(20)).expect("the server does not end");
        assert_eq!(counts.accepted, counts.ended(), "{counts}");
        counts
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.shutdown_handle().shut_down();
        }
    }
}
