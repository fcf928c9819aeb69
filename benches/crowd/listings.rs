//! Peers that pipeline HEAD requests for the listing of a large directory: little to send, and much work.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::client::{self, Latencies};
use crate::{BoxError, LISTED, LISTING_PEERS};

const REQUEST: &[u8] = b"HEAD /listed/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";

/// Requests that each peer sends before it reads a response.
const PIPELINED: usize = 64;

/// Creates the directory.
pub(crate) fn create(root: &Path) -> Result<(), BoxError> {
    let directory = root.join("listed");
    fs::create_dir(&directory)?;
    (0..LISTED).try_for_each(|n| Ok(File::create(directory.join(format!("name-{n}"))).map(drop)?))
}

/// Runs the client for this long beside the peers.
pub(crate) fn run(port: u16, duration: Duration) -> Result<(Latencies, Option<String>), BoxError> {
    let peers: Vec<TcpStream> =
        (0..LISTING_PEERS).map(|_| TcpStream::connect(("127.0.0.1", port))).collect::<Result<_, _>>()?;
    let measured = thread::scope(|scope| {
        for peer in &peers {
            scope.spawn(move || keep_busy(peer));
        }
        thread::sleep(duration / 10); // until they are served
        let measured = client::run(port, duration);
        peers.iter().for_each(|peer| drop(peer.shutdown(Shutdown::Both)));
        measured
    });
    Ok(measured)
}

/// Sends a request for each response, until the connection ends.
fn keep_busy(mut peer: &TcpStream) {
    let mut buffer = [0; 4096];
    let mut sent = peer.write_all(&REQUEST.repeat(PIPELINED));
    while let (Ok(()), Ok(n @ 1..)) = (&sent, peer.read(&mut buffer)) {
        let responses = buffer[..n].windows(4).filter(|four| four == b"\r\n\r\n").count();
        sent = peer.write_all(&REQUEST.repeat(responses));
    }
}
