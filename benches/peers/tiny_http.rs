//! A minimal file server with `tiny_http`: the response to a request is the file and nothing else.
#![allow(clippy::unwrap_used)] // a peer stops if it cannot start

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
            let content_type = Header::from_bytes("Content-Type", "text/plain").unwrap();
            // Always with Content-Length, like the others. By default it sends larger files in chunks.
            request.respond(Response::from_file(file).with_header(content_type).with_chunked_threshold(usize::MAX))
        }
        _ => request.respond(Response::empty(404)),
    };
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (port, root) = (args.next().unwrap(), args.next().unwrap());
    let server = Arc::new(Server::http(format!("127.0.0.1:{port}")).unwrap());
    // tiny_http reads each connection on its own thread. These threads respond: as many as in our server's pool.
    let threads = 4 * thread::available_parallelism().unwrap().get();
    let responders: Vec<_> = (0..threads)
        .map(|_| {
            let (server, root) = (Arc::clone(&server), root.clone());
            thread::spawn(move || {
                for request in server.incoming_requests() {
                    respond(request, Path::new(&root));
                }
            })
        })
        .collect();
    for thread in responders {
        thread.join().unwrap();
    }
}
