//! A server whose handler panics, which is a 500. `scripts/release` builds it like the static binaries, where panics can
//! unwind only if the unwinder is linked in, and asks it.

use std::io::{self, Write};
use std::thread;

use http_server::{Request, Response, Server};

fn main() -> io::Result<()> {
    let running = Server::bind("127.0.0.1:0")?.threads(1).start(panicking)?;
    writeln!(io::stdout(), "http://{}/", running.local_addrs()[0])?;
    loop {
        thread::park();
    }
}

#[expect(clippy::panic, reason = "that is what it is for")]
fn panicking(_: &Request<'_>) -> Response {
    panic!("as asked for")
}
