//! A server in memory that sends pieces, and then closes or fails.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use webclient::{Connect, Endpoint, Error, Event, Stream};

/// Both the server and a connection to it.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    /// One for each read.
    pub(crate) pieces: VecDeque<Vec<u8>>,
    /// The error of each later read. `None`: the end.
    pub(crate) after: Option<ErrorKind>,
    pub(crate) on_write: Option<ErrorKind>,
}

impl Connect for Scripted {
    fn connect(&self, _: &Endpoint, _: Duration, _: &dyn Fn(Event<'_>)) -> Result<Box<dyn Stream>, Error> {
        Ok(Box::new(self.clone()))
    }
}

impl Read for Scripted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut piece) = self.pieces.pop_front() else {
            return self.after.map_or(Ok(0), |kind| Err(kind.into()));
        };
        let n = (&piece[..]).read(buffer)?;
        if n < piece.len() {
            self.pieces.push_front(piece.split_off(n));
        }
        Ok(n)
    }
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.on_write.map_or(Ok(bytes.len()), |kind| Err(kind.into()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Scripted {
    fn set_timeout(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn is_idle(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}
