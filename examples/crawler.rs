//! A crawler: fetches a page and what it links to on the same server, then asks whether the pages have changed.
//!
//! It teaches how a client is used for many requests: which steps it reports, how much of a body to accept, and how a
//! conditional request avoids a transfer.
//!
//!     cargo run --bin crawler http://localhost:6789/ 20
//!
//! It leaves out robots.txt, other servers, several connections at once, and a real HTML parser.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use http_core::{HttpUrl, Status, header};
use webclient::{Client, Event};

const MAX_PAGE: usize = 1 << 20; // bytes

fn main() -> Result<(), Box<dyn Error>> {
    let argument = |n, default: &str| std::env::args().nth(n).unwrap_or(default.into());
    let (start, max_pages) = (argument(1, "http://localhost:6789/"), argument(2, "20").parse::<usize>()?);
    let start = HttpUrl::parse(&start).map_err(|error| format!("{start}: {error}"))?;
    let origin = start.origin();

    let connections = Arc::new(AtomicU32::new(0));
    let count = connections.clone();
    let client = Client::new().follow_redirects(false).on_event(move |event| {
        if let Event::Connected(_) = event {
            count.fetch_add(1, Relaxed);
        }
    });
    let mut urls = vec![start];
    let (mut next, mut tagged) = (0, Vec::new());
    while let Some(url) = urls.get(next).cloned() {
        next += 1;
        match get(&client, &url, None) {
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
    let again = tagged.iter().map(|(url, etag)| get(&client, url, Some(etag)).map(|page| page.status));
    let unchanged = again.filter(|status| matches!(status, Ok(Status::NOT_MODIFIED))).count();
    let connections = connections.load(Relaxed);
    println!("{unchanged} of {} tagged pages are unchanged; {connections} connections", tagged.len());
    Ok(())
}

/// Requests a page, or asks whether it has changed.
fn get(client: &Client, url: &HttpUrl, etag: Option<&Vec<u8>>) -> Result<Page, webclient::Error> {
    let mut request = client.get(url);
    if let Some(etag) = etag {
        request = request.header(header::IF_NONE_MATCH.as_str(), etag);
    }
    let mut response = request.send()?;
    let value = |name| response.header(name).map(|value| value.as_bytes().to_vec());
    let (etag, location) = (value(header::ETAG), value(header::LOCATION));
    let is_html = value(header::CONTENT_TYPE).is_some_and(|media_type| media_type.starts_with(b"text/html"));
    Ok(Page { status: response.status(), etag, location, is_html, body: response.read_to_vec(MAX_PAGE)? })
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
