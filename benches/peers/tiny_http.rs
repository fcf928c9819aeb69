//! A small file server over `tiny_http`, to be measured: the answer to a request is the file, whatever else one may want.
#![allow(clippy::unwrap_used)] // a peer that cannot start is to stop

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use tiny_http::{Header, Request, Response, Server};

fn respond(request: Request, root: &Path) {
    let path = request.url();
    let inside = path.split('/').all(|part| part != "..");
    let file = File::open(root.join(path.trim_start_matches('/')));
    let _ = match file {
        Ok(file) if inside => {
            let kind = Header::from_bytes("Content-Type", "text/plain").unwrap();
            // With a length always, as the others: on its own it sends larger files in chunks.
            request.respond(Response::from_file(file).with_header(kind).with_chunked_threshold(usize::MAX))
        }
        _ => request.respond(Response::empty(404)),
    };
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (port, root) = (args.next().unwrap(), args.next().unwrap());
    let server = Arc::new(Server::http(format!("127.0.0.1:{port}")).unwrap());
    // It reads each connection on a thread of its own; these answer, as many as our server's pool has.
    let threads = 4 * thread::available_parallelism().unwrap().get();
    let answering: Vec<_> = (0..threads)
        .map(|_| {
            let (server, root) = (Arc::clone(&server), root.clone());
            thread::spawn(move || {
                for request in server.incoming_requests() {
                    respond(request, Path::new(&root));
                }
            })
        })
        .collect();
    for thread in answering {
        thread.join().unwrap();
    }
}
