//! A gateway, or reverse proxy.
//!
//! It joins two connections: a [`server::Connection`](crate::server::Connection) to its client, and a
//! [`client::Connection`](crate::client::Connection) to its backend. Each writes its own framing and Connection. For
//! the rest there are functions:
//!
//! | what | how |
//! |---|---|
//! | headers | [`FieldBlock::forward`](crate::FieldBlock::forward) removes the hop-by-hop headers and adds Via; then [`set`](crate::FieldBlock::set) or [`remove`](crate::FieldBlock::remove) others |
//! | Max-Forwards | [`FieldBlock::update_max_forwards`](crate::FieldBlock::update_max_forwards) counts this hop, or says that this request ends here |
//! | the request | [`client::Request::forwarded_to`](crate::client::Request::forwarded_to) |
//! | the response | [`server::Response::forwarded`](crate::server::Response::forwarded), given to [`server::Connection::forward`](crate::server::Connection::forward) |
//!
//! The rest is up to you:
//!
//! - **Order.** A head is valid until the next poll. Write the request to the backend first. Then poll for the body,
//!   pass on each piece, and report it by [`body_sent`](crate::client::Connection::body_sent). The response goes back
//!   in the same way. If it arrives before the request is complete, pass it on at once.
//! - **Limits.** [`Limits::body`](crate::Limits::body) holds for bodies that you poll for. If yours are longer than its
//!   default of 1 MiB, raise it: you hold one piece at a time.
//! - **Loops.** Respond with 502 to a request whose Via already names you: the tokens of
//!   [`header::VIA`](crate::header::VIA) end with your name.
//! - **Addresses.** Replace X-Forwarded-For, and remove Forwarded, X-Real-IP, X-Forwarded-Host and X-Forwarded-Proto
//!   unless the peer is trusted: a client can send any of them.
//! - **Expectations.** If the client waits before it sends the body, polling for the body returns
//!   [`Event::Continue`](crate::server::Event::Continue), whose bytes it waits for. The backend is HTTP/1.0 to you and
//!   expects nothing. To an [unknown expectation](crate::server::RequestHead::expectation), respond with 417.
//! - **Kept connections.** The request to the backend may ask for one, as in [`crawler`](super::crawler). If a request
//!   fails and [`can_retry`](crate::client::Connection::can_retry), send it again on a new connection. Ask after a 408,
//!   too: the backend may have sent it before it received the request. A body must then be sent again from its start.
//! - **Backend errors.** Send a 502 for a [`ResponseError`](crate::ResponseError) or if you cannot connect, and a
//!   504 for a timeout. After the head of a response, close both connections, so that the client notices that the body
//!   is cut short. A body without a length cannot show that: reset the connection if your system can.
//!
//! ```
//! use http_core::{Authority, Date, FieldBlock, FieldValue, Limits, client, header, server};
//!
//! let own_name = Authority::new(b"gateway:80")?;   // for Via
//! let mut front = server::Connection::new(Limits::default());
//! let mut back = client::Connection::new(Limits::default());
//! let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
//!
//! // The client's request goes to the backend …
//! front.receive(b"PUT /a?b HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-For: me\r\nContent-Length: 2\r\n\r\nhi");
//! let server::Event::Request(head) = front.poll()? else { panic!() };
//! let mut fields = FieldBlock::new();
//! fields.forward(&head.fields, head.version, own_name);
//! fields.set(header::X_FORWARDED_FOR, FieldValue::from_static("192.0.2.1"))?;   // the address of the socket
//! assert!(fields.update_max_forwards(&head));   // otherwise respond here
//! let request = client::Request::forwarded_to(&head, Authority::new(b"10.0.0.1:8080")?, &fields);
//! let client::SendBody::Exactly(2) = back.request(&request, &mut to_server)? else { panic!() };
//! while let server::Event::Body(bytes) = front.poll()? {
//!     to_server.extend_from_slice(bytes);
//!     back.body_sent(bytes.len() as u64)?;
//! }
//! assert_eq!(to_server, b"PUT /a?b HTTP/1.0\r\nHost: example.org\r\nConnection: close\r\nContent-Length: 2\r\n\
//!     Via: 1.1 gateway:80\r\nX-Forwarded-For: 192.0.2.1\r\n\r\nhi");
//!
//! // … and its response comes back.
//! back.receive(b"HTTP/1.1 200 OK\r\nServer: x\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 3\r\n\r\nyes");
//! let client::Event::Response(head) = back.poll()? else { panic!() };
//! let mut fields = FieldBlock::new();
//! fields.forward(&head.fields, head.version, own_name);
//! let now = Date::from_unix(9);   // the clock
//! let _length = front.forward(&server::Response::forwarded(&head, &fields, now), &mut to_client)?;
//! while let client::Event::Body(bytes) = back.poll()? {
//!     to_client.extend_from_slice(bytes);
//!     front.body_sent(bytes.len() as u64)?;
//! }
//! assert_eq!(to_client, b"HTTP/1.0 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: keep-alive\r\n\
//!     Content-Length: 3\r\nServer: x\r\nVia: 1.1 gateway:80\r\n\r\nyes");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! If `front.forward` or `respond` returns [`SendBody::UntilClose`](crate::server::SendBody::UntilClose), call
//! [`finish_body`](crate::server::Connection::finish_body) at [`ResponseEnd`](crate::client::Event::ResponseEnd).
