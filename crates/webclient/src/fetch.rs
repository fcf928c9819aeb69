//! One GET over a new connection.

use std::io;
use std::net::TcpStream;

use http_core::client::Request;
use http_core::{FieldBlock, FieldValue, HttpUrl, Method, header};

use crate::blocking::{ClientConnection, Response};
use crate::connect::Timeouts;
use crate::error::Error;

// R1945-10.15
const USER_AGENT: FieldValue<'static> = FieldValue::from_static(concat!("webclient/", env!("CARGO_PKG_VERSION")));

/// Fetches a URL by GET and returns when the head of the response has arrived. The connection closes after the
/// response.
///
/// A status such as 404 is not an error. Redirects are not followed.
///
/// # Errors
/// [`Error`].
pub fn fetch(url: &HttpUrl, timeouts: &Timeouts) -> Result<Response<TcpStream>, Error> {
    let mut fields = FieldBlock::new();
    let _ = fields.push(header::USER_AGENT, USER_AGENT); // cannot fail: the header is not reserved
    let connection = ClientConnection::connect(url.authority().endpoint(), timeouts)?;
    connection.send(&Request::new(Method::Get, url.target(), url.authority(), &fields), io::empty())
}
