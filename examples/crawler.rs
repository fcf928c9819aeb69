//! A crawler: fetches a page and what it links to on the same server, then asks whether the pages have changed.
//!
//! It teaches how a client keeps its connection: when a request may be sent again, how much of a body to accept, and
//! how a conditional request avoids a transfer.
//!
//!     cargo run --bin crawler http://localhost:6789/ 20
//!
//! It leaves out robots.txt, other servers, several connections at once, and a real HTML parser.

use std::error::Error;
use std::io;
use std::net::TcpStream;

use http_core::client::Request;
use http_core::{FieldBlock, FieldValue, HttpUrl, Method, Status, header};
use webclient::{ClientConnection, Response, Timeouts};

const MAX_PAGE: usize = 1 << 20; // bytes

fn main() -> Result<(), Box<dyn Error>> {
    let argument = |n, default: &str| std::env::args().nth(n).unwrap_or(default.into());
    let (start, max_pages) = (argument(1, "http://localhost:6789/"), argument(2, "20").parse::<usize>()?);
    let start = HttpUrl::parse(&start).map_err(|error| format!("{start}: {error}"))?;
    let origin = start.origin();

    let mut server = Server { kept: None, connections: 0 };
    let mut urls = vec![start];
    let (mut next, mut tagged) = (0, Vec::new());
    while let Some(url) = urls.get(next).cloned() {
        next += 1;
        match server.get(&url, None) {
            Ok(page) => {
                println!("{}: {url}, {} bytes", page.status, page.body.len());
                for link in page.links().into_iter().filter_map(|link| url.resolve(link).ok()) {
                    if link.origin() == origin && !urls.contains(&link) && urls.len() < max_pages {
                        urls.push(link);
                    }
                }
                tagged.extend(page.etag.map(|etag| (url, etag)));
            }
            Err(error) => println!("failed: {url}, {error}"),
        }
    }
    let again = tagged.iter().map(|(url, etag)| server.get(url, Some(etag)).map(|page| page.status));
    let unchanged = again.filter(|status| matches!(status, Ok(Status::NOT_MODIFIED))).count();
    println!("{unchanged} of {} tagged pages are unchanged; {} connections", tagged.len(), server.connections);
    Ok(())
}

/// What the crawler keeps of a response.
struct Page {
    status: Status,
    etag: Option<Vec<u8>>,
    location: Option<Vec<u8>>,
    is_html: bool,
    body: Vec<u8>,
}

impl Page {
    /// The target of a redirect, and of each `href` in quotation marks.
    fn links(&self) -> Vec<Vec<u8>> {
        let text = if self.is_html { String::from_utf8_lossy(&self.body) } else { "".into() };
        let attributes = text.split("href=").skip(1).filter_map(|rest| {
            let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
            rest[1..].split_once(quote).map(|(link, _)| link.replace("&amp;", "&").into_bytes())
        });
        self.location.iter().cloned().chain(attributes).collect()
    }
}

/// The one server that is crawled.
struct Server {
    kept: Option<ClientConnection<TcpStream>>,
    connections: u32,
}

impl Server {
    fn get(&mut self, url: &HttpUrl, etag: Option<&Vec<u8>>) -> Result<Page, webclient::Error> {
        let mut fields = FieldBlock::new();
        if let Some(etag) = etag.and_then(|etag| FieldValue::new(etag).ok()) {
            let _ = fields.push(header::IF_NONE_MATCH, etag); // cannot fail: the header is not reserved
        }
        let request = Request { keep_alive: true, ..Request::new(Method::Get, url.target(), url.authority(), &fields) };
        let mut response = self.send(&request)?;
        let value = |name| response.head.get(name).map(|value| value.as_bytes().to_vec());
        let (status, etag, location) = (response.head.status, value(header::ETAG), value(header::LOCATION));
        let is_html = value(header::CONTENT_TYPE).is_some_and(|media_type| media_type.starts_with(b"text/html"));
        let body = response.read_to_vec(MAX_PAGE)?;
        self.kept = response.into_connection();
        Ok(Page { status, etag, location, is_html, body })
    }

    /// Sends over the kept connection, or over a new one if none is kept or the server has closed it.
    fn send(&mut self, request: &Request<'_>) -> Result<Response<TcpStream>, webclient::Error> {
        if let Some(kept) = self.kept.take() {
            match kept.send(request, io::empty()) {
                Err(error) if error.can_retry() => {}
                result => return result,
            }
        }
        self.connections += 1;
        ClientConnection::connect(request.host.endpoint(), &Timeouts::default())?.send(request, io::empty())
    }
}
