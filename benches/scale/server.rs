//! A small server whose handler only computes: `peer-scale --port N --steps N [--threads N] [--pollers N]`.
#![allow(clippy::unwrap_used)] // a peer stops if it cannot start

mod work;

use http_server::{Action, Handler, Request, Response, Server};

struct Work {
    steps: u64,
}

impl Handler for Work {
    fn handle(&self, _: &Request<'_>) -> Action {
        work::work(self.steps);
        Response::text("done\n").into()
    }

    fn never_blocks(&self) -> bool {
        true
    }
}

fn main() {
    let mut server = Server::bind(("127.0.0.1", option("--port").unwrap() as u16)).unwrap();
    if let Some(threads) = option("--threads") {
        server = server.threads(threads);
    }
    if let Some(pollers) = option("--pollers") {
        server = server.pollers(pollers);
    }
    server.serve(Work { steps: option("--steps").unwrap() as u64 }).unwrap();
}

/// The number after an option, if it is given.
fn option(name: &str) -> Option<usize> {
    std::env::args().skip_while(|argument| argument != name).nth(1).map(|number| number.parse().unwrap())
}
