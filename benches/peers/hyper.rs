//! A minimal file server with `hyper`: one tokio thread per core, one task per connection. It reads files in the thread
//! that sends them. It shows the least that `hyper` costs and is not a complete file server.
#![allow(clippy::unwrap_used)] // a peer stops if it cannot start

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime;

/// The response body: a file, or nothing.
struct Content {
    file: Option<File>,
    left: u64,
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let length = self.left.min(65_536);
        self.left -= length;
        let mut buffer = vec![0; usize::try_from(length).unwrap()];
        Poll::Ready(match &mut self.file {
            Some(file) if length > 0 => Some(file.read_exact(&mut buffer).map(|()| Frame::data(buffer.into()))),
            _ => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn respond(root: &Path, path: &str) -> io::Result<Response<Content>> {
    if path.split('/').any(|part| part == "..") {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = File::open(root.join(path.trim_start_matches('/')))?;
    let left = file.metadata()?.len();
    let mut response = Response::new(Content { file: Some(file), left });
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

async fn serve(port: &str, root: Arc<Path>) {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let root = Arc::clone(&root);
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let service = service_fn(|request| {
                let response = respond(&root, request.uri().path()).unwrap_or_else(|_| {
                    let mut none = Response::new(Content { file: None, left: 0 });
                    *none.status_mut() = StatusCode::NOT_FOUND;
                    none
                });
                async { Ok::<_, Infallible>(response) }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (port, root) = (args.next().unwrap(), args.next().unwrap());
    let runtime = runtime::Builder::new_multi_thread().enable_io().build().unwrap();
    runtime.block_on(serve(&port, Path::new(&root).into()));
}
