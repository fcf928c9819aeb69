//! A request that the caller gives to the client, and the parts of it that are written.

use crate::message::field::FieldBlock;
use crate::message::method::Method;
use crate::message::target::{Authority, Target};

/// A request to be sent (RFC 1945 §5). The library adds Content-Length, Host and Connection.
///
/// Every value is valid by its type, so a request cannot hold a line that the caller did not ask for (R9112-11.1).
///
/// ```
/// use http_core::client::{Connection, Request, SendBody};
/// use http_core::{Authority, FieldBlock, FieldValue, Limits, Method, Target, header};
///
/// let mut fields = FieldBlock::new();
/// fields.push(header::USER_AGENT, FieldValue::from_static("probe/1.0"))?;
/// let host = Authority::new(b"example.org")?;
/// let request = Request {
///     body: Some(5),
///     to_proxy: true,
///     ..Request::new(Method::Put, Target::new(b"/a?b")?, host, &fields)
/// };
/// let mut out = Vec::new();
/// assert_eq!(Connection::new(Limits::default()).request(&request, &mut out)?, SendBody::Exactly(5));
/// assert!(out.starts_with(b"PUT http://example.org/a?b HTTP/1.0\r\nHost: example.org\r\nConnection: close\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method: any except CONNECT.
    pub method: Method<'a>,
    /// The request-target, in any form. It is sent in origin-form to a server and in absolute-form to a proxy. `*` is
    /// for OPTIONS only.
    pub target: Target<'a>,
    /// The value of Host. If the target is in absolute-form, its own host is sent instead (RFC 9112 §3.2). The caller
    /// may be connected to another host.
    pub host: Authority<'a>,
    /// All other headers. They should not include TE or Upgrade: Connection does not name them (RFC 9110 §7.8, §10.1.4).
    pub fields: &'a FieldBlock,
    /// How many bytes of body follow the head. `None` for no body: POST, PUT and PATCH then send `Content-Length: 0`,
    /// other methods send nothing (R1945-7.2a). The length must be known, because HTTP/1.0 has no other framing
    /// for requests.
    pub body: Option<u64>,
    /// Asks the server to keep the connection. A proxy is never asked (R2068-19.7.1c).
    pub keep_alive: bool,
    /// The receiver is a proxy, so the absolute-form is sent (R1945-5.1.2c).
    pub to_proxy: bool,
}

impl<'a> Request<'a> {
    /// A request to a server, without a body, after which the connection closes. To change that, write
    /// `Request { body, ..Request::new(method, target, host, &fields) }`.
    pub const fn new(
        method: Method<'a>,
        target: Target<'a>,
        host: Authority<'a>,
        fields: &'a FieldBlock,
    ) -> Request<'a> {
        Request { method, target, host, fields, body: None, keep_alive: false, to_proxy: false }
    }

    /// R9112-3.2.1, R9112-3.2.4, R1945-5.1.2a, R1945-5.1.2c
    pub(super) fn target_pieces(&self) -> [&'a str; 5] {
        let (scheme, host) = if self.to_proxy { ("http://", self.authority().as_str()) } else { ("", "") };
        let whole_server = self.method == Method::Options && self.target.is_whole_server();
        match (whole_server, self.target.query()) {
            (true, _) if self.to_proxy => [scheme, host, "", "", ""],
            (true, _) => ["*", "", "", "", ""],
            (_, None) => [scheme, host, self.target.raw_path(), "", ""],
            (_, Some(query)) => [scheme, host, self.target.raw_path(), "?", query],
        }
    }

    pub(super) fn authority(&self) -> Authority<'a> {
        self.target.authority().unwrap_or(self.host)
    }

    /// The Content-Length. Methods that are made for a body send one even if the body is empty (R1945-7.2a, R1945-8.3).
    pub(super) fn length(&self) -> Option<u64> {
        match self.method {
            Method::Post | Method::Put | Method::Patch => Some(self.body.unwrap_or(0)),
            _ => self.body,
        }
    }
}
