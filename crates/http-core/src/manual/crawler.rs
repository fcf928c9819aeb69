//! Many requests to one server: a crawler, or any client that keeps its connection.
//!
//! A [`client::Connection`](crate::client::Connection) carries one request after another, as long as both sides keep it.
//!
//! | what | how |
//! |---|---|
//! | keep the connection | [`keep_alive`](crate::client::Request::keep_alive) in each request; after the response, [`can_reuse`](crate::client::Connection::can_reuse) |
//! | the server has closed it | before the next request, read without waiting and report the result; if the request fails or gets a 408, [`can_retry`](crate::client::Connection::can_retry) says whether to send it again |
//! | how much of a body to accept | count the bytes of [`Event::Body`](crate::client::Event::Body), and close if there are too many |
//! | is the page complete? | only after [`Event::ResponseEnd`](crate::client::Event::ResponseEnd); a body that ends with the connection ([`Framing::UntilClose`](crate::Framing::UntilClose)) may still be cut short |
//! | links | [`HttpUrl::resolve`](crate::HttpUrl::resolve), and [`origin`](crate::HttpUrl::origin) to stay on the server |
//! | redirects | [`redirect::follow`](crate::redirect::follow) |
//! | has the page changed? | its ETag in If-None-Match, or its Last-Modified in If-Modified-Since; a 304 says no and has no body |
//! | how long it is fresh | [`expires::is_expired`](crate::expires::is_expired) |
//! | a 401 | [`auth::challenges`](crate::auth::challenges), then [`Basic`](crate::auth::Basic) in Authorization, only for the same [`ProtectionSpace`](crate::auth::ProtectionSpace) |
//! | devices that send malformed responses | [`Leniency`](crate::client::Leniency) |
//!
//! ```
//! use std::io::{self, ErrorKind, Read, Write};
//!
//! use http_core::client::{Connection, Event, Request};
//! use http_core::{FieldBlock, FieldValue, HttpUrl, Limits, Method, Status, header};
//!
//! const MAX_PAGE: usize = 1 << 20;   // bytes
//!
//! struct Page {
//!     status: Status,
//!     etag: Option<Vec<u8>>,
//!     body: Vec<u8>,
//! }
//!
//! /// How to connect to the server, and the connection that it keeps.
//! struct Server<S> {
//!     connect: fn() -> io::Result<S>,   // with timeouts for reads and writes
//!     kept: Option<(S, Connection)>,
//! }
//!
//! impl<S: Read + Write> Server<S> {
//!     /// Fetches a page. With the tag of an earlier copy, the response may be a 304.
//!     fn get(&mut self, url: &HttpUrl, etag: Option<&[u8]>) -> io::Result<Page> {
//!         let mut fields = FieldBlock::new();
//!         if let Some(etag) = etag {
//!             let etag = FieldValue::new(etag).map_err(io::Error::other)?;
//!             fields.push(header::IF_NONE_MATCH, etag).map_err(io::Error::other)?;
//!         }
//!         let request = Request::new(Method::Get, url.target(), url.authority(), &fields);
//!         let request = Request { keep_alive: true, ..request };
//!         loop {
//!             let new = || Ok(((self.connect)()?, Connection::new(Limits::default())));
//!             let (mut stream, mut connection) = self.kept.take().map_or_else(new, Ok::<_, io::Error>)?;
//!             let result = exchange(&mut stream, &mut connection, &request);
//!             if !connection.can_retry() {   // it never can on a new connection
//!                 self.kept = connection.can_reuse().then_some((stream, connection));
//!                 return result;
//!             }
//!         }
//!     }
//! }
//!
//! fn exchange(stream: &mut (impl Read + Write), connection: &mut Connection, request: &Request<'_>) -> io::Result<Page> {
//!     let mut out = Vec::new();
//!     let _no_body = connection.request(request, &mut out).map_err(io::Error::other)?;
//!     let _ = stream.write_all(&out);   // if it fails, there may be a response to read; else reading fails, too
//!     let mut page = Page { status: Status::OK, etag: None, body: Vec::new() };
//!     loop {
//!         match connection.poll().map_err(io::Error::other)? {
//!             Event::NeedInput => match stream.read(connection.receive_buffer()) {
//!                 Ok(0) => connection.received_eof(),
//!                 Ok(n) => connection.received(n),
//!                 Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
//!                     connection.handle_timeout();
//!                 }
//!                 Err(_) => connection.connection_lost(),
//!             },
//!             Event::Response(head) => {
//!                 page.status = head.status;
//!                 page.etag = head.fields.only(header::ETAG).map(|etag| etag.as_bytes().to_vec());
//!             }
//!             Event::Body(bytes) if page.body.len() + bytes.len() > MAX_PAGE => {
//!                 return Err(io::Error::other("the page is too long"));
//!             }
//!             Event::Body(bytes) => page.body.extend_from_slice(bytes),
//!             _ => return Ok(page),   // ResponseEnd
//!         }
//!     }
//! }
//! # /// It closes the connection at the second request, although it said that it keeps it.
//! # struct Wire(u8, &'static [u8]);
//! # impl Read for Wire { fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> { self.1.read(buffer) } }
//! # impl Write for Wire {
//! #     fn write(&mut self, request: &[u8]) -> io::Result<usize> {
//! #         self.0 += 1;
//! #         self.1 = match request.windows(13).any(|part| part == b"If-None-Match") {
//! #             _ if self.0 > 1 => b"",
//! #             true => b"HTTP/1.0 304 Not Modified\r\n\r\n",
//! #             false => b"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 5\r\n\r\nhello",
//! #         };
//! #         Ok(request.len())
//! #     }
//! #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
//! # }
//! # let mut server = Server { connect: || Ok(Wire(0, b"")), kept: None };
//! # let url = HttpUrl::parse("http://localhost:6789/").unwrap();
//!
//! let page = server.get(&url, None)?;
//! assert_eq!((page.status, page.body), (Status::OK, b"hello".to_vec()));
//! assert!(server.kept.is_some());
//! // The server has closed the connection meanwhile, so this request is sent again on a new one.
//! let again = server.get(&url, page.etag.as_deref())?;
//! assert_eq!(again.status, Status::NOT_MODIFIED);
//! # Ok::<(), io::Error>(())
//! ```
//!
//! With a socket, the reading before a request is a `peek` in nonblocking mode: only `WouldBlock` says that the
//! connection is still open and silent.
