//! Servers without a socket, for the tests of programs that use a [`Client`](crate::Client).

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::connect::{Connect, Endpoint, Stream};
use crate::error::Error;
use crate::event::Event;

/// Responds to each request with the bytes that a function returns for the request's bytes. After them, the stream ends,
/// unless the client sends another request.
///
/// The bytes need not be a response, so broken servers can be imitated as well. [`Client`](crate::Client) has an example.
pub fn respond(respond: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Responder {
    Responder(Arc::new(respond))
}

/// What [`respond`] returns.
#[derive(Clone)]
pub struct Responder(Arc<Respond>);

type Respond = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

impl Connect for Responder {
    fn connect(&self, _: &Endpoint, _: Duration, _: &dyn Fn(Event<'_>)) -> Result<Box<dyn Stream>, Error> {
        Ok(Box::new(Responding { responder: self.clone(), request: Vec::new(), response: io::Cursor::default() }))
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder")
    }
}

/// A connection to a [`Responder`].
struct Responding {
    responder: Responder,
    /// The request, which is complete when the client reads.
    request: Vec<u8>,
    response: io::Cursor<Vec<u8>>,
}

impl Read for Responding {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.request.is_empty() {
            self.response = io::Cursor::new((self.responder.0)(&mem::take(&mut self.request)));
        }
        self.response.read(buffer)
    }
}

impl Write for Responding {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_idle()? {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.request.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Responding {
    fn set_timeout(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn is_idle(&mut self) -> io::Result<bool> {
        Ok(self.response.position() == self.response.get_ref().len() as u64)
    }
}
