//! What a handler is given and what it gives back. It sees no socket: it can be called, and tested, like any function.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use http_core::server::RequestHead;
use http_core::{Date, FieldBlock, FieldValue, RequestError, Status, name};

/// Turns requests into replies. It is called by several threads at once.
///
/// A handler that blocks for long blocks one worker of the pool, and as many of them as there are workers stop the
/// server. A handler that panics is answered for with 500; the pool serves on.
///
/// Every function from a request to a reply is a handler:
///
/// ```
/// use webserver::{Reply, Request};
/// let handler = |request: &Request<'_>| Reply::text(format!("you are {}\n", request.peer.ip()));
/// # fn is_a_handler(_: impl webserver::Handler) {}
/// # is_a_handler(handler);
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. The body of a HEAD's reply is not sent, so there is nothing to do for it.
    fn handle(&self, request: &Request<'_>) -> Reply;

    /// Answers what is no valid request; the status is set to that of the error whatever is returned here.
    fn refuse(&self, error: RequestError) -> Reply {
        let mut reply = Reply { status: error.status(), ..Reply::text(format!("{}: {error}\n", error.status())) };
        if error == RequestError::Connect {
            // R9110-10.2.1: a 405 names the methods that are allowed; here, none. Allow is not one of the library's own.
            let _ = reply.fields.push(name::ALLOW, FieldValue::from_static(""));
        }
        reply
    }
}

impl<F: Fn(&Request<'_>) -> Reply + Send + Sync + 'static> Handler for F {
    fn handle(&self, request: &Request<'_>) -> Reply {
        self(request)
    }
}

/// One request, as its handler sees it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Method, target, version and fields.
    pub head: RequestHead<'a>,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// The time of the request, which the reply's Date will say.
    pub now: Date,
}

/// An answer. Connection, Content-Length and Date are written by the library. What HTTP does not allow, a 1xx status, a 401
/// without WWW-Authenticate or a 405 without Allow, is answered for with 500.
#[derive(Debug)]
pub struct Reply {
    /// The status; not 1xx.
    pub status: Status,
    /// All other fields.
    pub fields: FieldBlock,
    /// The body.
    pub body: Body,
}

impl Reply {
    /// A reply without a body.
    pub fn empty(status: Status) -> Reply {
        Reply { status, fields: FieldBlock::new(), body: Body::Octets(Cow::Borrowed(b"")) }
    }

    /// A reply of plain text in UTF-8, status 200.
    pub fn text(text: impl Into<String>) -> Reply {
        Reply::octets(FieldValue::from_static("text/plain; charset=utf-8"), text.into().into_bytes())
    }

    /// A reply of this type, status 200.
    pub fn octets(content_type: FieldValue<'_>, octets: impl Into<Cow<'static, [u8]>>) -> Reply {
        let mut reply = Reply { body: Body::Octets(octets.into()), ..Reply::empty(Status::OK) };
        // Content-Type is not one of the fields that the library keeps to itself.
        let _ = reply.fields.push(name::CONTENT_TYPE, content_type);
        reply
    }
}

/// A reply's body.
#[derive(Debug)]
#[non_exhaustive]
pub enum Body {
    /// From memory.
    Octets(Cow<'static, [u8]>),
    /// Octets of a file, sent by the kernel. If the file turns out to be shorter, the connection closes short.
    File {
        /// A regular file.
        file: OwnedFd,
        /// Where to begin, in octets.
        offset: u64,
        /// How many octets.
        length: u64,
    },
}

impl Body {
    /// Its length in octets.
    pub fn len(&self) -> u64 {
        match self {
            Body::Octets(octets) => octets.len() as u64,
            Body::File { length, .. } => *length,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
