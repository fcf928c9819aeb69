//! The body of a response: bytes, a file, or a reader.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

/// The body of a response.
#[non_exhaustive]
pub enum Body {
    /// Bytes in memory. While clients read them, all such bodies share one budget,
    /// [`ServerConfig::send_budget`](crate::ServerConfig::send_budget). If it is exhausted, connections close before
    /// their bodies are complete.
    Bytes(Cow<'static, [u8]>),
    /// Bytes in memory that are shared, for example with a cache. They are not charged to the budget.
    Shared(Arc<[u8]>),
    /// Bytes of a file, sent by the kernel (`sendfile`).
    ///
    /// The file is checked before each piece. If it has become too short, or was modified, the connection closes before
    /// the body is complete. The kernel keeps up to several MiB by reference: if the file is overwritten in place,
    /// those bytes change, too. So replace files by `rename`.
    File {
        /// A regular file.
        file: Arc<File>,
        /// Where to begin, in bytes.
        offset: u64,
        /// The number of bytes.
        length: u64,
        /// The modification time that the file must keep. `None`: any.
        modified: Option<SystemTime>,
    },
    /// The bytes of a reader, at most 16 KiB at a time, as fast as the client receives them. While the reader blocks,
    /// it holds a thread of the pool. A program that waits there for a back end needs more
    /// [`threads`](crate::Server::threads).
    ///
    /// ```
    /// use http_server::{Body, Request, Response, testing};
    ///
    /// let handler = |_: &Request<'_>| {
    ///     let reader = Box::new(&b"of any length"[..]);
    ///     Response::bytes("text/plain", Body::Reader { reader, length: None })
    /// };
    /// assert_eq!(testing::get("/").send(&handler).text(), "of any length");
    /// ```
    Reader {
        /// Read to its end, or to `length`. If it fails, panics or ends too early, the connection closes before the
        /// body is complete. Without a length, it closes with a reset, so that the client can tell that from the end.
        reader: Box<dyn io::Read + Send>,
        /// The number of bytes. `None`: until the end of the reader, where the connection closes.
        length: Option<u64>,
    },
}

/// The error of a reader whose source was changed while it was sent. The log then says `file-changed` instead of
/// `failed`.
///
/// ```
/// use std::fs::File;
/// use std::io::{self, Read};
/// use std::time::SystemTime;
///
/// use http_server::FileChanged;
///
/// struct Unchanged(File, SystemTime);
///
/// impl Read for Unchanged {
///     fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
///         let n = self.0.read(buffer)?;
///         if self.0.metadata()?.modified()? == self.1 { Ok(n) } else { Err(io::Error::other(FileChanged)) }
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file changed while it was sent")]
pub struct FileChanged;

impl FileChanged {
    /// Whether an error is this one.
    pub(crate) fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|error| error.is::<FileChanged>())
    }
}

impl Body {
    /// The length in bytes, if it is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Shared(bytes) => Some(bytes.len() as u64),
            Body::File { length, .. } => Some(*length),
            Body::Reader { length, .. } => *length,
        }
    }
}

impl Default for Body {
    /// A body of no bytes.
    fn default() -> Body {
        Body::Bytes(Cow::Borrowed(b""))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Body::Bytes(bytes.into())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        text.into_bytes().into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Body {
        Body::Bytes(bytes.into())
    }
}

impl<const N: usize> From<&'static [u8; N]> for Body {
    fn from(bytes: &'static [u8; N]) -> Body {
        bytes[..].into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Body {
        text.as_bytes().into()
    }
}

impl From<Arc<[u8]>> for Body {
    fn from(bytes: Arc<[u8]>) -> Body {
        Body::Shared(bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Body::Bytes(_) => "Bytes",
            Body::Shared(_) => "Shared",
            Body::File { .. } => "File",
            Body::Reader { .. } => "Reader",
        };
        write!(f, "{kind}({:?})", self.length())
    }
}
