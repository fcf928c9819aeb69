//! The response to a request of a `Client`: its head, and its body as a reader.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use http_core::redirect::RedirectError;
use http_core::{FieldName, FieldValue, HttpUrl, Status};

use crate::connect::{Endpoint, Stream};
use crate::connection::{self, Head};
use crate::error::Error;
use crate::event::Observer;
use crate::pool::{Pool, PooledConnection};
use crate::retry::{self, Retries};

/// A response: its head, and its body as a reader.
///
/// A body may not fit in memory. [`read_to_vec`](Self::read_to_vec) has a limit, [`copy_to`](Self::copy_to) streams,
/// and [`Read`] reads what its caller asks for. A body that is cut short is an error, never its end. Once the body was
/// read, the connection is free for another request. A response that is dropped before closes it.
pub struct Response {
    head: Head,
    url: HttpUrl,
    redirect_error: Option<RedirectError>,
    /// `None` once the body was read.
    body: Option<connection::Response<Box<dyn Stream>, ()>>,
    source: Source,
}

/// What a response knows of its request.
pub(crate) struct Source {
    /// Where its connection is kept.
    pub(crate) home: (Arc<Pool>, Endpoint),
    pub(crate) observer: Observer,
    pub(crate) retries: Retries,
    /// The request may be sent again after the server has received it.
    pub(crate) can_repeat: bool,
}

impl Response {
    pub(crate) fn new(
        head: Head,
        url: HttpUrl,
        redirect_error: Option<RedirectError>,
        body: connection::Response<Box<dyn Stream>, ()>,
        source: Source,
    ) -> Response {
        Response { head, url, redirect_error, body: Some(body), source }
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.head.status
    }

    /// The head: version, status, reason and headers.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The value of the first header with this name.
    pub fn header(&self, name: FieldName<'_>) -> Option<FieldValue<'_>> {
        self.head.get(name)
    }

    /// The URL that responded, after all redirects.
    pub fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// Why this redirect was not followed. `None` if the response is no redirect, or redirects are not followed at all.
    pub fn redirect_error(&self) -> Option<RedirectError> {
        self.redirect_error
    }

    /// Reads the rest of the body into memory.
    ///
    /// # Errors
    /// [`Error::BodyTooLong`] if it is longer than `limit` bytes; else as for [`send`](crate::RequestBuilder::send).
    pub fn read_to_vec(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let read = self.body.as_mut().map_or(Ok(Vec::new()), |body| body.read_to_vec(limit));
        self.release();
        read
    }

    /// Writes the rest of the body as it arrives, and returns its length in bytes. Each piece is flushed, because the
    /// next may take long.
    ///
    /// # Errors
    /// [`Error::Write`] if `out` fails; else as for [`send`](crate::RequestBuilder::send). Bytes received before the
    /// error were written.
    pub fn copy_to(&mut self, out: &mut impl Write) -> Result<u64, Error> {
        let copied = self.body.as_mut().map_or(Ok(0), |body| body.copy_to(out));
        self.release();
        copied
    }

    /// After reading the body ended with this error: waits until the request may be sent again, and returns whether it
    /// may, as [`Client::retries`](crate::Client::retries) says. Send it with
    /// [`RequestBuilder::repeats`](crate::RequestBuilder::repeats).
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use webclient::{Client, testing};
    ///
    /// let requests = AtomicUsize::new(0);
    /// let client = Client::new().retries(1).connector(testing::respond(move |_| {
    ///     let body = if requests.fetch_add(1, Ordering::Relaxed) == 0 { "cut sh" } else { "complete" };
    ///     format!("HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\n{body}").into()
    /// }));
    /// let mut response = client.get("http://example.org/").send()?;
    /// let body = loop {
    ///     match response.read_to_vec(1 << 20) {
    ///         Err(error) if response.wait_for_retry(&error) => {
    ///             response = client.get("http://example.org/").repeats(response).send()?;
    ///         }
    ///         result => break result?,
    ///     }
    /// };
    /// assert_eq!(body, b"complete");
    /// # Ok::<(), webclient::Error>(())
    /// ```
    pub fn wait_for_retry(&mut self, error: &Error) -> bool {
        let Source { retries, observer, can_repeat, .. } = &mut self.source;
        let wait = if *can_repeat { retry::after_error(error, true, retries.next()) } else { None };
        let Some(wait) = retries.take(wait) else { return false };
        self.body = None; // closes the connection meanwhile
        retry::wait(wait, error, observer);
        true
    }

    pub(crate) fn retries(&self) -> Retries {
        self.source.retries
    }

    /// Keeps the connection, if the body is complete and both sides keep it.
    fn release(&mut self) {
        if let Some(body) = self.body.take_if(|body| body.is_over())
            && let Some(connection) = body.into_connection()
        {
            self.source.keep(connection);
        }
    }

    /// Frees the connection if little is left of the body, such as the page of a redirect, and arrives soon. Otherwise it
    /// closes.
    pub(crate) fn discard(mut self) {
        const LITTLE: usize = 64 << 10;
        const SOON: Duration = Duration::from_secs(1);
        if self.body.as_mut().is_some_and(|body| body.would_be_kept_within(SOON)) {
            let _ = self.read_to_vec(LITTLE);
        }
    }
}

impl Source {
    fn keep(&self, connection: PooledConnection) {
        let (pool, endpoint) = &self.home;
        pool.put(endpoint.clone(), connection);
    }
}

impl Read for Response {
    /// Reads from the body. An error has the [`Error`] inside, for [`io::Error::downcast`].
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.as_mut().map_or(Ok(0), |body| body.read(buffer));
        self.release();
        read
    }
}

impl Drop for Response {
    /// A body that has arrived completely, such as none, frees its connection.
    fn drop(&mut self) {
        if let Some(connection) = self.body.take().and_then(connection::Response::into_connection) {
            self.source.keep(connection);
        }
    }
}

impl fmt::Debug for Response {
    /// Shows neither headers nor the body, which may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("url", &self.url).field("status", &self.status()).finish_non_exhaustive()
    }
}
