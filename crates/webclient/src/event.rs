//! What a client reports while it works, so that a program can show the exchange.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_core::client::ResponseHead;
use http_core::{CloseReason, HttpUrl};

/// One step of an exchange. [`Client::on_event`](crate::Client::on_event) says who gets it.
#[non_exhaustive]
pub enum Event<'a> {
    /// A connection to this address is being made.
    Connecting(SocketAddr),
    /// This address did not accept the connection.
    ConnectFailed(SocketAddr, &'a io::Error),
    /// A connection was made. No other address is tried.
    Connected(SocketAddr),
    /// The request goes over a connection that an earlier response left open.
    Reusing,
    /// The head of a request, as it is sent.
    Request(&'a [u8]),
    /// Interim responses (1xx), as they were received. They are skipped, and the next event is the response itself.
    Interim(&'a [u8]),
    /// Bytes that were received in place of a head: it is malformed, too long, cut short or late, and the request fails.
    InvalidHead(&'a [u8]),
    /// The head of a response, as it was received. Its [`body`](ResponseHead::body) says how the body ends.
    Response(&'a ResponseHead<'a>),
    /// The response is complete, and the connection stays open.
    Kept,
    /// The connection closes after this response.
    Closing(CloseReason),
    /// The response is a redirect, which is followed.
    Redirected(&'a HttpUrl),
    /// The request is repeated after this time.
    Retrying(Duration, &'a dyn Cause),
}

impl fmt::Debug for Event<'_> {
    /// Shows the first line of what was sent or received, and none of the headers that may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |head: &[u8]| String::from_utf8_lossy(head).lines().next().unwrap_or_default().to_owned();
        let mut show = |name, value: &dyn fmt::Debug| f.debug_tuple(name).field(value).finish();
        match self {
            Event::Connecting(address) => show("Connecting", address),
            Event::ConnectFailed(address, error) => show("ConnectFailed", &(address, error)),
            Event::Connected(address) => show("Connected", address),
            Event::Reusing => f.write_str("Reusing"),
            Event::Request(head) => show("Request", &line(head)),
            Event::Interim(heads) => show("Interim", &line(heads)),
            Event::InvalidHead(bytes) => show("InvalidHead", &line(bytes)),
            Event::Response(head) => show("Response", head),
            Event::Kept => f.write_str("Kept"),
            Event::Closing(reason) => show("Closing", reason),
            Event::Redirected(url) => show("Redirected", &url.as_str()),
            Event::Retrying(wait, cause) => show("Retrying", &(wait, cause)),
        }
    }
}

/// Why a request is repeated: a status or an error.
pub trait Cause: fmt::Debug + fmt::Display {}

impl<T: fmt::Debug + fmt::Display> Cause for T {}

/// Who is told of each event.
#[derive(Clone, Default)]
pub(crate) struct Observer(pub(crate) Option<Arc<Report>>);

type Report = dyn Fn(&Event<'_>) + Send + Sync;

impl Observer {
    pub(crate) fn report(&self, event: Event<'_>) {
        if let Some(report) = &self.0 {
            report(&event);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observer({})", if self.0.is_some() { "set" } else { "none" })
    }
}
