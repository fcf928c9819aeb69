//! A request in the making.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};

use http_core::auth::Basic;
use http_core::{FieldBlock, FieldName, FieldValue, Method, UrlError, header};

use crate::client::Client;
use crate::error::Error;
use crate::response::Response;
use crate::retry::Retries;
use crate::url::Url;

/// A request that [`send`](Self::send) sends. Whatever is wrong with it, `send` reports.
#[derive(Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct RequestBuilder<'a> {
    pub(crate) client: &'a Client,
    pub(crate) method: Method<'a>,
    pub(crate) url: Result<Url, UrlError>,
    pub(crate) fields: FieldBlock,
    pub(crate) body: Body<'a>,
    pub(crate) keep_alive: bool,
    /// Those of the request that it repeats.
    pub(crate) retries: Option<Retries>,
    /// The first thing that is wrong.
    error: Option<Error>,
}

/// The body of a request. Its length is known, because HTTP/1.0 has no other way to end it.
#[derive(Default)]
#[non_exhaustive]
pub enum Body<'a> {
    /// No body.
    #[default]
    None,
    /// These bytes. They can be sent again.
    Bytes(Cow<'a, [u8]>),
    /// So many bytes of a file from this position on: the second number is the length. They can be sent again.
    File(File, u64, u64),
    /// So many bytes of a reader. They are sent once, so such a request is neither redirected nor repeated.
    Reader(Box<dyn Read + Send + 'a>, u64),
}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(bytes: &'a [u8]) -> Body<'a> {
        Body::Bytes(bytes.into())
    }
}

impl<'a> From<&'a str> for Body<'a> {
    fn from(text: &'a str) -> Body<'a> {
        text.as_bytes().into()
    }
}

impl From<Vec<u8>> for Body<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Body::Bytes(bytes.into())
    }
}

impl From<String> for Body<'_> {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl Body<'_> {
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Body::None => None,
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::File(_, _, length) | Body::Reader(_, length) => Some(*length),
        }
    }

    pub(crate) fn can_repeat(&self) -> bool {
        !matches!(self, Body::Reader(..))
    }

    /// From its start, if it can be repeated.
    pub(crate) fn reader(&mut self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Body::None => Box::new(io::empty()),
            Body::Bytes(bytes) => Box::new(&bytes[..]),
            Body::File(file, start, _) => {
                file.seek(SeekFrom::Start(*start))?;
                Box::new(file)
            }
            Body::Reader(reader, _) => Box::new(reader),
        })
    }
}

impl fmt::Debug for Body<'_> {
    /// Shows the length and none of the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({:?})", self.length())
    }
}

impl<'a> RequestBuilder<'a> {
    pub(crate) fn new(client: &'a Client, method: Method<'a>, url: Result<Url, UrlError>) -> RequestBuilder<'a> {
        let fields = client.fields.clone();
        RequestBuilder { client, method, url, fields, body: Body::None, keep_alive: true, retries: None, error: None }
    }

    /// Adds a header. The headers that frame a message (Content-Length, Transfer-Encoding, Connection, Host) are the
    /// client's own.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.with(name, value.as_ref(), FieldBlock::push)
    }

    /// Sends this header instead of all others with its name, such as the client's own User-Agent.
    pub fn set_header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.with(name, value.as_ref(), FieldBlock::set)
    }

    /// Leaves out a header, such as the client's own User-Agent.
    pub fn without_header(mut self, name: &str) -> Self {
        if let Ok(name) = FieldName::new(name.as_bytes()) {
            self.fields.remove(name);
        }
        self
    }

    /// Sends Basic credentials (RFC 1945 §11.1): readable for everyone on the way. They are not sent to another server
    /// after a redirect.
    pub fn basic_auth(mut self, user: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Self {
        match Basic::new(user.as_ref(), password.as_ref()) {
            Ok(credentials) => {
                let mut value = Vec::new();
                credentials.append_to(&mut value);
                self.set_header(header::AUTHORIZATION.as_str(), value)
            }
            Err(error) => {
                self.fail(header::AUTHORIZATION.as_str(), &error);
                self
            }
        }
    }

    /// Sends a body: bytes, text, or a [`Body`].
    pub fn body(mut self, body: impl Into<Body<'a>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends `length` bytes of a reader as the body.
    pub fn body_reader(mut self, reader: impl Read + Send + 'a, length: u64) -> Self {
        self.body = Body::Reader(Box::new(reader), length);
        self
    }

    /// Asks the server to close the connection after the response. It is the last one.
    pub fn close(mut self) -> Self {
        self.keep_alive = false;
        self
    }

    /// Sends it in place of the request that this response answered, as when a download goes on after its connection was
    /// lost. The total timeout and the [retries](Client::retries) are what that request left of them. The response's
    /// connection closes, unless its body was read.
    pub fn repeats(mut self, response: Response) -> Self {
        self.retries = Some(response.retries());
        self
    }

    /// Sends the request and returns when the head of the final response has arrived. A status such as 404 is not an
    /// error.
    ///
    /// # Errors
    /// [`Error`].
    pub fn send(mut self) -> Result<Response, Error> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.client.send(self),
        }
    }

    fn with<E: fmt::Display>(
        mut self,
        name: &str,
        value: &[u8],
        add: impl FnOnce(&mut FieldBlock, FieldName<'_>, FieldValue<'_>) -> Result<(), E>,
    ) -> Self {
        let (field, parsed) = (FieldName::new(name.as_bytes()), FieldValue::new(value));
        match (field, parsed) {
            (Ok(field), Ok(value)) => {
                if let Err(error) = add(&mut self.fields, field, value) {
                    self.fail(name, &error);
                }
            }
            (Err(error), _) => self.fail(name, &error),
            (_, Err(error)) => self.fail(name, &error),
        }
        self
    }

    fn fail(&mut self, name: &str, cause: &dyn fmt::Display) {
        self.error.get_or_insert_with(|| Error::Header { name: name.to_owned(), cause: cause.to_string() });
    }
}
